//! A job's token for one of ours: OAuth 2.0 Token Exchange (RFC 8693) at `POST /token`.
//!
//! The subject token says who the job is, and a binding, which service account it may act as. Nothing else is
//! exchanged here: no delegation, and no token of this registry for another.

use access::scope::parse_list;
use auth::{Allowance, Gate, IssuedJobToken, JobTokenError};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use oci::ErrorCode;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Parameters, answer, error_as, grant, unavailable};
use crate::cause::chain;
use crate::context::Context;
use crate::rate_limit;

/// The grant type (RFC 8693 §2.1).
pub(super) const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The one type of token that is issued (RFC 8693 §3).
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The types of token that are taken.
const SUBJECTS: [&str; 2] =
    ["urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"];
/// What may come once at most (RFC 6749 §3.2).
const SINGLE: [&str; 7] = [
    "grant_type",
    "subject_token",
    "subject_token_type",
    "requested_token_type",
    "actor_token",
    "actor_token_type",
    "service_account",
];

/// Why an exchange was refused: the word of RFC 6749 §5.2 or RFC 8693 §2.2.2, and what to do about it.
struct Refused(&'static str, String);

/// What is asked for.
struct Asked<'a> {
    subject: &'a str,
    /// The user name of a service account; without it exactly one binding has to match.
    account: Option<&'a str>,
}

pub(super) async fn exchange(state: &crate::State, context: &Context, parameters: &Parameters) -> Response {
    let allowance = state.auth.gate_take(Gate::Exchange, context.client);
    let mut response =
        if allowance.is_allowed { trade(state, context, parameters).await } else { throttled(&allowance) };
    rate_limit::write(response.headers_mut(), &allowance);
    response
}

async fn trade(state: &crate::State, context: &Context, parameters: &Parameters) -> Response {
    let asked = match read(parameters, state.auth.service(), &context.base_url) {
        Ok(asked) => asked,
        Err(Refused(word, message)) => {
            return error_as(StatusCode::BAD_REQUEST, ErrorCode::Unsupported, word, &message);
        }
    };
    let issued = match state.auth.job_exchange(asked.subject, asked.account).await {
        Ok(issued) => issued,
        Err(error) => return refused(&error),
    };
    let body = if parameters.one("scope").is_some() {
        narrowed(state, context, &issued, parameters).await
    } else {
        Some(body(issued.token.expose_secret(), issued.expires_in_secs, &issued.account))
    };
    body.map_or_else(unavailable, |body| answer(StatusCode::OK, body.to_string()))
}

fn body(token: &str, expires_in_secs: u64, account: &str) -> Value {
    json!({
        "access_token": token,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": expires_in_secs,
        // Not of the specification: the user name, for clients that want one beside the token.
        "username": account,
    })
}

/// The answer to whoever asks for certain scopes: a token for those alone, as the token service gives it.
async fn narrowed(
    state: &crate::State,
    context: &Context,
    issued: &IssuedJobToken,
    parameters: &Parameters,
) -> Option<Value> {
    let identity = match state.auth.identify_bearer(issued.token.expose_secret(), context.client).await {
        Ok(identity) => identity,
        Err(cause) => {
            tracing::error!(error = %chain(&cause), "a token that was just made could not be used");
            return None;
        }
    };
    let scopes = parse_list(parameters.all("scope")).scopes;
    let grants = match grant::evaluate(&state.registry, &identity, &scopes).await {
        Ok(grants) => grants,
        Err(cause) => {
            tracing::error!(error = %chain(&cause), "scopes could not be evaluated");
            return None;
        }
    };
    let scope = grant::render(&grants);
    let narrow = state.auth.access_token(&identity, grants);
    let mut body = body(narrow.token.expose_secret(), narrow.expires_in_secs, &issued.account);
    body["scope"] = scope.into();
    Some(body)
}

/// Reads the request. The order of the checks is that of the parameters in RFC 8693 §2.1.
fn read<'a>(parameters: &'a Parameters, service: &str, base_url: &str) -> Result<Asked<'a>, Refused> {
    let invalid = |message: &str| Refused("invalid_request", message.to_owned());
    if let Some(name) = SINGLE.iter().find(|name| parameters.all(name).count() > 1) {
        return Err(Refused("invalid_request", format!("{name} may be given once")));
    }
    // A token is for this registry and for nothing else, by whichever of its names.
    let is_this = |target: &str| target == service || target.trim_end_matches('/') == base_url;
    if ["resource", "audience"].iter().any(|name| parameters.all(name).any(|target| !is_this(target))) {
        return Err(Refused(
            "invalid_target",
            format!(
                "this registry gives out tokens for itself alone: leave audience out, or send {base_url}"
            ),
        ));
    }
    if parameters.one("requested_token_type").is_some_and(|kind| kind != ACCESS_TOKEN) {
        return Err(invalid(&format!("requested_token_type has to be {ACCESS_TOKEN}, or absent")));
    }
    let subject = parameters
        .one("subject_token")
        .filter(|token| !token.is_empty())
        .ok_or_else(|| invalid("subject_token is missing: send the token that the job was given"))?;
    if !parameters.one("subject_token_type").is_some_and(|kind| SUBJECTS.contains(&kind)) {
        return Err(invalid(&format!("subject_token_type has to be {} or {}", SUBJECTS[0], SUBJECTS[1])));
    }
    if parameters.one("actor_token").is_some() || parameters.one("actor_token_type").is_some() {
        return Err(invalid("nobody acts for somebody else here: leave actor_token out"));
    }
    let account = parameters.one("service_account").filter(|account| !account.is_empty());
    // Nobody has such a name, and PostgreSQL takes no text with one.
    if account.is_some_and(|account| account.contains('\0')) {
        return Err(invalid("service_account has to be the user name of a service account"));
    }
    Ok(Asked { subject, account })
}

fn refused(reason: &JobTokenError) -> Response {
    match reason {
        // Whatever is wrong with a subject token is an invalid request (RFC 8693 §2.2.2).
        JobTokenError::Invalid
        | JobTokenError::NoBinding
        | JobTokenError::SeveralBindings
        | JobTokenError::Used => {
            error_as(StatusCode::BAD_REQUEST, ErrorCode::Unauthorized, "invalid_request", &reason.to_string())
        }
        JobTokenError::Unavailable(cause) => {
            tracing::error!(error = %chain(cause), "the token of a job could not be checked");
            unavailable()
        }
    }
}

fn throttled(allowance: &Allowance) -> Response {
    let seconds = rate_limit::seconds(allowance.next).max(1);
    let message = format!("too many tokens were exchanged from this address, try again in {seconds} seconds");
    let status = StatusCode::TOO_MANY_REQUESTS;
    let mut response = error_as(status, ErrorCode::TooManyRequests, "temporarily_unavailable", &message);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://registry.example.com";
    const NEEDED: &str = "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=a.b.c\
                          &subject_token_type=urn:ietf:params:oauth:token-type:jwt";

    fn word(query: &str) -> Result<(), &'static str> {
        let parameters = Parameters::parse(query.as_bytes());
        read(&parameters, "larder", BASE).map(|_| ()).map_err(|Refused(word, _)| word)
    }

    #[test]
    fn what_is_needed_and_what_is_no_reason_to_refuse() {
        for more in [
            "",
            "&requested_token_type=urn:ietf:params:oauth:token-type:access_token",
            "&audience=larder",
            "&audience=https://registry.example.com&resource=https://registry.example.com/",
            "&scope=repository:a/b/c:pull&scope=nonsense",
            "&service_account=acme%2Bdeploy&client_id=anything",
        ] {
            assert_eq!(word(&format!("{NEEDED}{more}")), Ok(()), "{more}");
        }
        let id_token = NEEDED.replace(":jwt", ":id_token");
        assert_eq!(word(&id_token), Ok(()));
    }

    #[test]
    fn what_is_refused_and_how() {
        for (query, expected) in [
            (String::new(), "invalid_request"),
            (NEEDED.replace("subject_token=a.b.c", "subject_token="), "invalid_request"),
            (NEEDED.replace(":jwt", ":saml2"), "invalid_request"),
            (NEEDED.replace(":jwt", ":access_token"), "invalid_request"),
            (format!("{NEEDED}&subject_token=d.e.f"), "invalid_request"),
            (format!("{NEEDED}&actor_token=d.e.f"), "invalid_request"),
            (format!("{NEEDED}&service_account=a&service_account=b"), "invalid_request"),
            (
                format!("{NEEDED}&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token"),
                "invalid_request",
            ),
            (format!("{NEEDED}&audience=https://elsewhere.example.com"), "invalid_target"),
            (format!("{NEEDED}&audience=larder&audience=other"), "invalid_target"),
            (format!("{NEEDED}&resource=https://registry.example.com.evil.example"), "invalid_target"),
        ] {
            assert_eq!(word(&query), Err(expected), "{query}");
        }
    }
}
