//! One registry over HTTP: credentials, tokens, redirects, faults that pass, and answers that are refusals.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::address::Site;
use crate::challenge::{self, Challenge};
use crate::credentials::Credentials;
use crate::error::{Error, one_line};
use crate::retry::{retry, retry_after};

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// How long an answer without a large body may take.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);
/// A token that ends sooner than this is not used any more.
const TOKEN_MARGIN: Duration = Duration::from_secs(10);
/// What a token service means when it names no lifetime (distribution, "Token Authentication Specification").
const TOKEN_LIFETIME: u64 = 60;
/// The most bytes of a refusal or of a token answer that are read.
const SMALL_BODY: usize = 256 * 1024;
const REDIRECTS: usize = 10;

/// A registry, and who we are there.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    site: Site,
    credentials: Option<Credentials>,
    session: Mutex<Session>,
}

/// What the registry has taught us so far.
#[derive(Debug, Default)]
struct Session {
    mode: Mode,
    /// By scope.
    tokens: HashMap<String, Token>,
}

#[derive(Debug, Clone, Default)]
enum Mode {
    /// Nothing was asked for yet.
    #[default]
    Open,
    Basic,
    Bearer {
        realm: Url,
        service: Option<String>,
    },
}

#[derive(Debug, Clone)]
struct Token {
    value: SecretString,
    until: Instant,
}

impl Client {
    pub(crate) fn new(site: Site, credentials: Option<Credentials>) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            // Nothing that was asked for over TLS comes over a connection that anybody can read. Credentials
            // do not follow to another host: the library takes them off.
            .redirect(reqwest::redirect::Policy::custom(|attempt| {
                let downgraded = attempt.url().scheme() == "http"
                    && attempt.previous().iter().any(|url| url.scheme() == "https");
                if downgraded || attempt.previous().len() > REDIRECTS {
                    attempt.error("the registry redirects to plain http or in a circle")
                } else {
                    attempt.follow()
                }
            }));
        if site.is_local() {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Error::Other(format!("cannot prepare connections: {}", causes(&error))))?;
        Ok(Self { http, site, credentials, session: Mutex::default() })
    }

    pub(crate) fn site(&self) -> &Site {
        &self.site
    }

    /// Asks as often as it takes and returns the first answer that is a success, or one of `expected`.
    /// `scope` is what a token has to allow.
    pub(crate) async fn send(
        &self,
        scope: &str,
        expected: &[StatusCode],
        build: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        retry(|| async {
            let response = tokio::time::timeout(ANSWER_WITHIN, self.attempt(scope, &build));
            let response = response.await.map_err(|_| {
                let limit = ANSWER_WITHIN.as_secs();
                Error::temporary(format!("{} did not answer within {limit} seconds", self.site.host()))
            })??;
            if response.status().is_success() || expected.contains(&response.status()) {
                Ok(response)
            } else {
                Err(self.refusal(response).await)
            }
        })
        .await
    }

    /// Sends a request whose body can be sent only once. There has to be a token for `scope` already.
    pub(crate) async fn send_once(&self, scope: &str, request: RequestBuilder) -> Result<Response, Error> {
        let authorization = self.authorization(scope).await?;
        let response = self.execute(request, authorization).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    async fn attempt(
        &self,
        scope: &str,
        build: &impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Error> {
        let authorization = self.authorization(scope).await?;
        let response = self.execute(build(&self.http), authorization).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let Some(authorization) = self.answer_challenge(scope, &response).await? else {
            return Ok(response);
        };
        self.execute(build(&self.http), Some(authorization)).await
    }

    async fn execute(
        &self,
        request: RequestBuilder,
        authorization: Option<SecretString>,
    ) -> Result<Response, Error> {
        let mut request = request
            .build()
            .map_err(|error| Error::Other(format!("cannot build a request: {}", causes(&error))))?;
        if let Some(authorization) = authorization
            && self.site.owns(request.url())
        {
            let mut value = HeaderValue::from_str(authorization.expose_secret()).map_err(|_| {
                Error::Refused("the token or password has characters that no header can hold".to_owned())
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        self.http.execute(request).await.map_err(|error| self.broken(&error))
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to send with a request that needs `scope`, as far as the registry has told what it wants.
    async fn authorization(&self, scope: &str) -> Result<Option<SecretString>, Error> {
        let mode = self.session().mode.clone();
        match mode {
            Mode::Open => Ok(None),
            Mode::Basic => Ok(self.credentials.as_ref().map(Credentials::basic)),
            Mode::Bearer { realm, service } => {
                let known = self.session().tokens.get(scope).cloned();
                match known {
                    Some(token) if token.until > Instant::now() => Ok(Some(token.value)),
                    _ => self.token_fetch(scope, scope, &realm, service.as_deref()).await.map(Some),
                }
            }
        }
    }

    /// What to repeat a refused request with, if there is anything left to try.
    async fn answer_challenge(
        &self,
        scope: &str,
        response: &Response,
    ) -> Result<Option<SecretString>, Error> {
        let fields = response.headers().get_all(WWW_AUTHENTICATE);
        let challenges: Vec<Challenge> =
            fields.iter().filter_map(|field| field.to_str().ok()).flat_map(challenge::parse).collect();
        for challenge in challenges {
            match challenge {
                Challenge::Bearer { realm, service, scope: asked } => {
                    let realm = self.check_realm(&realm)?;
                    let wanted = asked.filter(|asked| !asked.is_empty()).unwrap_or_else(|| scope.to_owned());
                    let token = self.token_fetch(scope, &wanted, &realm, service.as_deref()).await?;
                    self.session().mode = Mode::Bearer { realm, service };
                    return Ok(Some(token));
                }
                Challenge::Basic => {
                    let Some(credentials) = &self.credentials else { continue };
                    if matches!(self.session().mode, Mode::Basic) {
                        return Ok(None);
                    }
                    self.session().mode = Mode::Basic;
                    return Ok(Some(credentials.basic()));
                }
            }
        }
        Ok(None)
    }

    /// A registry could name any address for its token service, and would get the password sent there.
    fn check_realm(&self, realm: &str) -> Result<Url, Error> {
        let host = self.site.host();
        let url = self.site.at("/").join(realm).map_err(|_| {
            let shown = oci::excerpt(realm);
            Error::Other(format!("{host} names \"{shown}\" for its token service, which is no address"))
        })?;
        if url.scheme() != "https" && !self.site.is_plain() {
            return Err(Error::Other(format!(
                "{host} wants tokens fetched without TLS from {url}; that is not safe"
            )));
        }
        if self.credentials.is_some() && !same_site(&self.site.at("/"), &url) {
            let elsewhere = url.host_str().unwrap_or_default();
            return Err(Error::Refused(format!(
                "{host} wants your password sent to {elsewhere}, which is another site; go on without credentials, or \
                 name the registry by the host that belongs to it"
            )));
        }
        Ok(url)
    }

    async fn token_fetch(
        &self,
        key: &str,
        scope: &str,
        realm: &Url,
        service: Option<&str>,
    ) -> Result<SecretString, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(alias = "access_token")]
            token: SecretString,
            #[serde(default)]
            expires_in: Option<u64>,
        }
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = service {
                query.append_pair("service", service);
            }
            for scope in scope.split(' ').filter(|scope| !scope.is_empty()) {
                query.append_pair("scope", scope);
            }
        }
        let mut request = self.http.get(url).timeout(ANSWER_WITHIN);
        if let Some(credentials) = &self.credentials {
            request = request.basic_auth(&credentials.username, Some(credentials.password.expose_secret()));
        }
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = read_bounded(response, SMALL_BODY).await?;
        // Some services send both names for the token, which the derived reader would call a duplicate.
        let answer: Answer = serde_json::from_slice::<serde_json::Value>(&body)
            .and_then(|mut value| {
                if value.get("token").is_some()
                    && let Some(object) = value.as_object_mut()
                {
                    object.remove("access_token");
                }
                serde_json::from_value(value)
            })
            .map_err(|_| {
                Error::Other(format!("the token service of {} answers no token", self.site.host()))
            })?;
        let lifetime = Duration::from_secs(answer.expires_in.unwrap_or(TOKEN_LIFETIME).max(TOKEN_LIFETIME));
        let until = Instant::now() + lifetime.min(Duration::from_hours(24)).saturating_sub(TOKEN_MARGIN);
        let value = SecretString::from(format!("Bearer {}", answer.token.expose_secret()));
        self.session().tokens.insert(key.to_owned(), Token { value: value.clone(), until });
        Ok(value)
    }

    /// What an answer that is no success means.
    pub(crate) async fn refusal(&self, response: Response) -> Error {
        let (status, host) = (response.status(), self.site.host());
        let path = response.url().path().to_owned();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        let body = read_bounded(response, SMALL_BODY).await.unwrap_or_default();
        let said = said(&body);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let message = format!("{host} answers {} for {path}{said}", status.as_u16());
        match status {
            StatusCode::UNAUTHORIZED if self.credentials.is_none() => {
                Error::Refused(format!("{message}; it wants to know who you are: give a user and a password"))
            }
            StatusCode::UNAUTHORIZED => {
                Error::Refused(format!("{message}; check the user and the password for {host}"))
            }
            StatusCode::FORBIDDEN => Error::Refused(message),
            StatusCode::NOT_FOUND => Error::Missing(message),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                Error::Temporary { message, retry_after: wait }
            }
            status if status.is_server_error() => Error::Temporary { message, retry_after: wait },
            _ => Error::Other(message),
        }
    }

    /// What a request that got no answer means.
    pub(crate) fn broken(&self, error: &reqwest::Error) -> Error {
        let (host, why) = (self.site.host(), causes(error));
        if why.contains("UnknownIssuer") {
            return Error::Other(format!(
                "the certificate of {host} comes from an authority that this machine does not trust; add the authority \
                 to the system's trust store, or name a file with it in SSL_CERT_FILE"
            ));
        }
        if why.contains("invalid peer certificate") {
            return Error::Other(format!("the certificate of {host} is not valid: {why}"));
        }
        if why.contains("InvalidContentType") || why.contains("corrupt message") {
            return Error::Other(format!(
                "{host} does not speak TLS; if it is meant to, write http:// for https://"
            ));
        }
        if error.is_redirect() || error.is_builder() {
            return Error::Other(format!("cannot ask {host}: {why}"));
        }
        if error.is_connect() {
            return Error::temporary(format!(
                "cannot reach {host}: {why}; check the address, and that it runs"
            ));
        }
        Error::temporary(format!("the connection to {host} broke: {why}"))
    }
}

/// Whether two addresses belong to the same owner, as far as their names tell: the same host, or the same last
/// two labels of its name.
fn same_site(one: &Url, other: &Url) -> bool {
    fn labels(url: &Url) -> Option<Vec<&str>> {
        let host = url.domain()?;
        let labels: Vec<&str> = host.rsplit('.').take(2).collect();
        (labels.len() == 2).then_some(labels)
    }
    one.host() == other.host()
        || labels(one).is_some_and(|labels_of_one| labels(other) == Some(labels_of_one))
}

/// The words of an error answer (OCI distribution-spec, "Error Codes"), or of whatever else was sent.
fn said(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let entries = json.as_ref().and_then(|json| json["errors"].as_array());
    let text = match entries {
        Some(entries) => {
            let words = entries.iter().filter_map(|entry| {
                let message = entry["message"].as_str().filter(|message| !message.is_empty());
                message.or(entry["code"].as_str())
            });
            words.take(3).collect::<Vec<_>>().join("; ")
        }
        None => json
            .as_ref()
            .and_then(|json| json["details"].as_str().or(json["message"].as_str()))
            .map(str::to_owned)
            .unwrap_or_default(),
    };
    one_line(&text)
}

/// The body of an answer that has to be small.
pub(crate) async fn read_bounded(mut response: Response, limit: usize) -> Result<bytes::Bytes, Error> {
    let mut body = bytes::BytesMut::new();
    let broken = |error: &reqwest::Error| Error::temporary(format!("an answer broke off: {}", causes(error)));
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + chunk.len() > limit {
            let address = response.url();
            return Err(Error::Other(format!(
                "the answer of {address} is longer than {limit} bytes, which is too much"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// An error with what caused it, on one line and without the address, which can hold a signature.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let this = error.to_string();
        // Wrappers repeat what they wrap.
        if !text.contains(&this) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&this);
        }
        cause = error.source();
    }
    if text.is_empty() {
        text = if error.is_timeout() {
            "it took too long".to_owned()
        } else {
            "nothing more is known".to_owned()
        };
    }
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str, with_credentials: bool) -> Client {
        let crate::SourceAddress::Registry(registry) = address.parse().unwrap() else {
            panic!("no registry")
        };
        let credentials = with_credentials
            .then(|| Credentials { username: "me".to_owned(), password: SecretString::from("secret") });
        Client::new(registry.site, credentials).unwrap()
    }

    #[test]
    fn a_password_does_not_leave_the_site() {
        let hub = client("https://registry-1.docker.io", true);
        assert!(hub.check_realm("https://auth.docker.io/token").is_ok());
        assert!(
            hub.check_realm("https://auth.example/token").unwrap_err().to_string().contains("another site")
        );
        assert!(hub.check_realm("http://auth.docker.io/token").unwrap_err().to_string().contains("TLS"));
        assert!(client("https://registry-1.docker.io", false).check_realm("https://auth.example/t").is_ok());
        let local = client("http://localhost:5000", true);
        assert!(local.check_realm("http://localhost:5001/token").is_ok());
        assert!(local.check_realm("http://127.0.0.1:5001/token").is_err());
        assert_eq!(local.check_realm("/token").unwrap().as_str(), "http://localhost:5000/token");
    }

    #[test]
    fn refusals_are_quoted() {
        let body = br#"{"errors":[{"code":"DENIED","message":"ask\nan administrator"},{"code":"UNKNOWN"}]}"#;
        assert_eq!(said(body), "ask an administrator; UNKNOWN");
        assert_eq!(said(br#"{"details":"wrong password"}"#), "wrong password");
        assert_eq!(said(b"<html>"), "");
    }
}
