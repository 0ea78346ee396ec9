//! Browsers: the cookies of a session, and the checks that keep other sites' pages from using them.
//!
//! A browser sends a cookie along whoever's page made it ask. So whatever changes something has to come from a
//! page of ours, which the browser says itself ([`check_origin`]), and carry a word that only a page of ours can
//! know ([`check_csrf`]): of the two one alone would do, and neither is a secret that script could lose.

use std::net::IpAddr;
use std::time::Duration;

use auth::{Auth, BrowserInfo, SessionFound, Unavailable};
use clock::Clock;
use http::header::{COOKIE, HOST, ORIGIN, SET_COOKIE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};

use crate::context::Context;

/// The header that carries the word which only a page of ours can know.
pub(crate) const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// The hidden field of a form that does the same.
pub(crate) const CSRF_FIELD: &str = "csrf";

/// How long a sign-in at an identity provider may take.
pub(crate) const SIGN_IN_AT_PROVIDER: Duration = Duration::from_mins(10);

/// For how long a proof of who somebody is counts for what is delicate.
const PROOF_LASTS: Duration = Duration::from_mins(15);

/// Characters of a browser's name that are kept.
const LONGEST_USER_AGENT: usize = 200;
/// Bytes of a path to come back to.
const LONGEST_RETURN_PATH: usize = 1024;

/// A cookie of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The secret of the session.
    Session,
    /// What a sign-in at an identity provider has to come back to, sealed.
    SignIn,
}

impl Cookie {
    /// Its name. Over https the prefix keeps every other host from setting it (RFC 6265bis §4.1.3.2).
    fn name(self, context: &Context) -> &'static str {
        match (self, is_secure(context)) {
            (Self::Session, true) => "__Host-larder",
            (Self::Session, false) => "larder",
            (Self::SignIn, true) => "__Host-larder-signin",
            (Self::SignIn, false) => "larder-signin",
        }
    }

    /// Its value in a request. Two of one name are none: a neighbouring host may have planted one of them.
    pub(crate) fn read<'a>(self, headers: &'a HeaderMap, context: &Context) -> Option<&'a str> {
        let name = self.name(context);
        let mut values = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(found, value)| *found == name && !value.is_empty())
            .map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }

    /// Sets it for as long; without a time it goes with the browser.
    pub(crate) fn set(self, headers: &mut HeaderMap, context: &Context, value: &str, life: Option<Duration>) {
        let age = life.map(|life| format!("; Max-Age={}", life.as_secs())).unwrap_or_default();
        self.write(headers, context, value, &age);
    }

    /// Takes it away.
    pub(crate) fn clear(self, headers: &mut HeaderMap, context: &Context) {
        self.write(headers, context, "", "; Max-Age=0");
    }

    fn write(self, headers: &mut HeaderMap, context: &Context, value: &str, age: &str) {
        let secure = if is_secure(context) { "; Secure" } else { "" };
        let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name(context));
        if let Ok(mut value) = HeaderValue::from_str(&text) {
            value.set_sensitive(true);
            headers.append(SET_COOKIE, value);
        }
    }
}

fn is_secure(context: &Context) -> bool {
    context.base_url.starts_with("https://")
}

/// A browser with a session that counts.
pub(crate) struct Browser {
    /// The session, and who is signed in with it.
    pub(crate) session: SessionFound,
    /// The cookie's value.
    pub(crate) secret: SecretString,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Browser").finish_non_exhaustive()
    }
}

impl Browser {
    /// The browser that sent a request, if it has a session: one that waits for the second factor too.
    pub(crate) async fn find(
        auth: &Auth,
        headers: &HeaderMap,
        context: &Context,
    ) -> Result<Option<Self>, Unavailable> {
        let Some(secret) = Cookie::Session.read(headers, context) else { return Ok(None) };
        let secret = SecretString::from(secret);
        let session = auth.session_find(secret.expose_secret()).await?;
        Ok(session.map(|session| Self { session, secret }))
    }

    /// Who is signed in; nobody while the second factor is missing.
    pub(crate) fn user_id(&self) -> Option<i64> {
        self.session.identity.principal.user_id()
    }

    /// Whether the user proved a moment ago to be that one: for what decides who gets in from now on.
    pub(crate) fn is_proven(&self) -> bool {
        !self.session.is_partial && Clock::system().now().since(self.session.proved_at) < PROOF_LASTS
    }

    /// The word that requests of this session's pages carry.
    pub(crate) fn csrf_token(&self, auth: &Auth) -> String {
        auth.csrf_token(self.secret.expose_secret())
    }

    /// Whether a request carries that word: in the header, or in the field of a form.
    pub(crate) fn check_csrf(&self, auth: &Auth, presented: Option<&str>) -> Result<(), Forgery> {
        let is_right =
            presented.is_some_and(|presented| auth.csrf_matches(self.secret.expose_secret(), presented));
        if is_right { Ok(()) } else { Err(Forgery::Token) }
    }
}

/// The word in a request's header.
pub(crate) fn csrf_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok())
}

/// Why a request may be the doing of another site's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Forgery {
    /// The browser says that another site's page asks.
    #[error(
        "another site's page may not ask for this; if it was a page of this registry, its operator has to set \
         server.public_url to the address that the browser shows"
    )]
    Origin,
    /// The word of this session's pages is missing or another one.
    #[error(
        "the request does not carry this session's CSRF token; read csrf_token from /api/v1/me and send it as \
         the header x-csrf-token"
    )]
    Token,
}

/// Refuses what another site's page makes a browser ask, as far as it changes something. Clients that are no
/// browsers say nothing of where a request comes from, and pass.
pub(crate) fn check_origin(method: &Method, headers: &HeaderMap, context: &Context) -> Result<(), Forgery> {
    if method.is_safe() {
        return Ok(());
    }
    // A browser that says it knows better than what can be told from names (Fetch Metadata Request Headers).
    if let Some(site) = headers.get("sec-fetch-site") {
        let is_ours = site == "same-origin" || site == "none";
        return if is_ours { Ok(()) } else { Err(Forgery::Origin) };
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    // Whoever is between may not say that it was reached over https; the other way round nobody is.
    let under_host = |host: &str| match origin.split_once("://") {
        Some(("https", place)) => place == host,
        Some(("http", place)) => place == host && !is_secure(context),
        _ => false,
    };
    let is_ours = is_same_origin(origin, &context.base_url) || host.is_some_and(under_host);
    if is_ours { Ok(()) } else { Err(Forgery::Origin) }
}

/// Whether two URLs have the same scheme, host and port (RFC 6454 §5).
fn is_same_origin(left: &str, right: &str) -> bool {
    let parts = |url: &str| {
        let url = url.to_ascii_lowercase();
        let (scheme, place) = url.split_once("://")?;
        let place = place.split('/').next()?;
        let usual = if scheme == "https" { ":443" } else { ":80" };
        Some((scheme.to_owned(), place.strip_suffix(usual).unwrap_or(place).to_owned()))
    };
    parts(left).is_some_and(|left| Some(left) == parts(right))
}

/// What of a browser is kept with its session: its owner has to recognize it.
pub(crate) fn browser_info(headers: &HeaderMap, address: IpAddr) -> BrowserInfo {
    let name = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let user_agent = name.unwrap_or_default();
    let user_agent =
        user_agent.chars().filter(|character| !character.is_control()).take(LONGEST_USER_AGENT).collect();
    BrowserInfo { user_agent, address }
}

/// The path on this server to come back to after signing in, when the text is one and nothing else. It has been
/// decoded once.
pub(crate) fn return_path(text: &str) -> Option<&str> {
    let is_plain = text.len() <= LONGEST_RETURN_PATH && text.bytes().all(|byte| byte.is_ascii_graphic());
    // However often what is on the way decodes it.
    let mut seen = text.to_owned();
    for _ in 0..3 {
        let is_path = seen.starts_with('/') && !seen.starts_with("//") && !seen.contains(['\\', '@']);
        if !is_path || seen.chars().any(char::is_control) {
            return None;
        }
        seen = percent_decode_str(&seen).decode_utf8_lossy().into_owned();
    }
    is_plain.then_some(text)
}

#[cfg(test)]
mod tests;
