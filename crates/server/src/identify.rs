//! From the `Authorization` header to an identity.

use auth::{Auth, BearerError, Gate, Identity, SignInError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use registry::Caller;
use secrecy::{ExposeSecret as _, SecretString};

use crate::context::Context;

/// The user name that stands for whoever owns the token.
const ANY_OWNER: &str = "__token__";
/// The user name that stands for whichever account a job's token leads to.
const ANY_JOB: &str = "oidc";

/// How a token that is stored begins, and how long it is.
const STORED_TOKEN_PREFIX: &str = "lrd_";
const STORED_TOKEN_LENGTH: usize = 57;

/// Why credentials were not accepted.
#[derive(Debug)]
pub(crate) enum IdentifyError {
    /// The header is neither Basic nor Bearer, or cannot be read.
    Malformed,
    /// A user name with its password or token.
    Basic(SignInError),
    /// A token.
    Bearer(BearerError),
}

impl IdentifyError {
    /// What to tell the client.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Malformed => {
                "the Authorization header is not understood; send Basic or Bearer credentials".to_owned()
            }
            Self::Basic(error) => error.to_string(),
            Self::Bearer(error) => error.to_string(),
        }
    }

    /// What could not be answered rather than was refused, for the log.
    pub(crate) fn unavailable(&self) -> Option<&auth::Unavailable> {
        match self {
            Self::Basic(SignInError::Unavailable(cause)) | Self::Bearer(BearerError::Unavailable(cause)) => {
                Some(cause)
            }
            _ => None,
        }
    }
}

/// Credentials as a client sent them.
pub(crate) enum Presented<'a> {
    /// None.
    Nothing,
    /// A user name and a secret.
    Basic(String, SecretString),
    /// A token.
    Bearer(&'a str),
}

/// Reads the header.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Presented<'_>, IdentifyError> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(Presented::Nothing) };
    let value = value.to_str().map_err(|_| IdentifyError::Malformed)?;
    let (scheme, rest) = value.split_once(' ').ok_or(IdentifyError::Malformed)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Presented::Bearer(rest));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(IdentifyError::Malformed);
    }
    let decoded = STANDARD.decode(rest).map_err(|_| IdentifyError::Malformed)?;
    let text = String::from_utf8(decoded).map_err(|_| IdentifyError::Malformed)?;
    let (username, secret) = text.split_once(':').ok_or(IdentifyError::Malformed)?;
    // A token that was copied or read from a file often has a line break at its end, and no token has one.
    let secret = if [ANY_OWNER, ANY_JOB].contains(&username) { secret.trim() } else { secret };
    Ok(Presented::Basic(username.to_owned(), SecretString::from(secret)))
}

/// Who is calling.
pub(crate) async fn identify(
    auth: &Auth,
    headers: &HeaderMap,
    context: &Context,
) -> Result<Identity, IdentifyError> {
    match presented(headers)? {
        Presented::Nothing => Ok(Identity::anonymous()),
        Presented::Basic(username, secret) => {
            let found = auth.identify_basic(&username, &secret, context.client).await;
            found.map_err(|error| {
                let is_counted =
                    matches!(error, SignInError::Wrong) && is_stored_token(secret.expose_secret());
                counted(auth, context, is_counted).unwrap_or(IdentifyError::Basic(error))
            })
        }
        Presented::Bearer(token) => {
            let found = auth.identify_bearer(token, context.client).await;
            found.map_err(|error| {
                let is_counted = matches!(error, BearerError::Invalid) && is_stored_token(token);
                counted(auth, context, is_counted).unwrap_or(IdentifyError::Bearer(error))
            })
        }
    }
}

/// Whether a secret has the form of a token that is looked for in the database.
fn is_stored_token(secret: &str) -> bool {
    secret.len() == STORED_TOKEN_LENGTH && secret.starts_with(STORED_TOKEN_PREFIX)
}

/// Counts a token that is none. Nobody guesses one; but who repeats one that was revoked, over and over, is told to
/// come again later. Only the answer changes: a neighbour at the same address who has a good token keeps it.
fn counted(auth: &Auth, context: &Context, is_counted: bool) -> Option<IdentifyError> {
    if !is_counted {
        return None;
    }
    let allowance = auth.gate_take(Gate::InvalidToken, context.client);
    let retry_after = allowance.next;
    (!allowance.is_allowed).then_some(IdentifyError::Basic(SignInError::Throttled { retry_after }))
}

/// The identity as the registry's use cases take it.
pub(crate) fn caller(identity: &Identity) -> Caller {
    Caller { principal: identity.principal.clone(), limit: identity.limit.clone() }
}
