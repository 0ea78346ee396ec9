//! The registry protocol (OCI distribution-spec): one match from a typed call to its handler.
//!
//! The order is the same for every call: credentials, then the right, and only then what is wrong with the
//! rest of the request, so that nobody learns anything from an error that they had no right to.

mod asker;
mod blob;
mod challenge;
mod discover;
mod error;
mod manifest;
mod referrers;
mod respond;
mod tag;
mod upload;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use oci::{Call, CallErrorReason, RepositoryName};
use registry::{Caller, Delete, Granted, Pull, Push, Right};

use crate::State;
use crate::body::{Body, Response};
use crate::context::Context;
use crate::identify::IdentifyError;
use crate::observe::Endpoint;
use asker::Asker;
use error::Failure;

/// Whether this surface answers for a path.
pub(crate) fn serves(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/") || path.starts_with("/oras/artifacts/v1/")
}

/// How often credentials are looked at anew because the account changed while a right was asked for.
const LOOKS: usize = 3;

/// One call with everything that answering it may need.
struct Exchange<'a> {
    state: &'a Arc<State>,
    context: &'a Context,
    headers: HeaderMap,
    asker: Asker,
    body: Incoming,
}

/// Why there is no right.
enum Ungranted {
    /// The credentials are not accepted any more.
    Credentials(IdentifyError),
    /// The account changes with every look at it.
    Unsteady,
    /// The caller has no such right, or nobody could tell.
    Right(registry::Error),
}

impl Exchange<'_> {
    /// Asks for a right over a repository.
    async fn grant<R>(&self, name: &RepositoryName) -> Result<Granted<R>, Failure>
    where
        R: Right<Resource = registry::Repository>,
    {
        self.authorize::<R>(name).await.map_err(|ungranted| match ungranted {
            Ungranted::Right(error) => Failure::refused::<R>(error, self.asker.presumed(), name),
            Ungranted::Credentials(error) => {
                Failure::not_identified(&error, Some(challenge::scope_of_right::<R>(name)))
            }
            Ungranted::Unsteady => Failure::unavailable(),
        })
    }

    async fn authorize<R>(&self, name: &RepositoryName) -> Result<Granted<R>, Ungranted>
    where
        R: Right<Resource = registry::Repository>,
    {
        let registry = &self.state.registry;
        let mut granted = self.asker.authorize(registry, name).await.map_err(Ungranted::Right)?;
        for _ in 0..LOOKS {
            if granted.is_some() {
                break;
            }
            let asker = self.identify().await.map_err(Ungranted::Credentials)?;
            granted = asker.authorize(registry, name).await.map_err(Ungranted::Right)?;
        }
        granted.ok_or(Ungranted::Unsteady)
    }

    /// The caller, for what is no right over a repository.
    async fn caller(&self) -> Result<Caller, Failure> {
        if let Some(caller) = self.asker.known() {
            return Ok(caller.clone());
        }
        let asker = self.identify().await.map_err(|error| Failure::not_identified(&error, None))?;
        Ok(asker.presumed().clone())
    }

    async fn identify(&self) -> Result<Asker, IdentifyError> {
        Asker::identify(self.state, &self.headers, self.context).await
    }

    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Answers one request.
pub(crate) async fn handle(state: &Arc<State>, context: &Context, request: Request<Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let call = Call::parse(&parts.method, parts.uri.path(), parts.uri.query());
    let endpoint = call.as_ref().map_or("oci_invalid", Call::endpoint);
    let answered = match Asker::find(state, &parts.headers, context).await {
        Err(error) => Err(not_identified(&error, call.as_ref().ok())),
        Ok(asker) => {
            let exchange = Exchange { state, context, headers: parts.headers, asker, body };
            match call {
                Ok(call) => answer(exchange, call).await,
                Err(error) => Err(refuse_invalid(exchange, &parts.method, error).await),
            }
        }
    };
    let mut response = answered.unwrap_or_else(|failure| failure.respond(state, context));
    if head {
        *response.body_mut() = Body::empty();
    }
    let headers = response.headers_mut();
    headers.insert("docker-distribution-api-version", HeaderValue::from_static("registry/2.0"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response.extensions_mut().insert(Endpoint(endpoint));
    response
}

async fn answer(exchange: Exchange<'_>, call: Call) -> Result<Response, Failure> {
    match call {
        Call::Ping => discover::ping(&exchange).await,
        Call::Catalog { n, last } => tag::catalog(&exchange, n, last.as_deref()).await,
        Call::ExtensionDiscover { name } => discover::extensions(&exchange, name.as_ref()).await,
        Call::BlobGet { name, digest } => blob::get(&exchange, &name, &digest).await,
        Call::BlobHead { name, digest } => blob::head(&exchange, &name, &digest).await,
        Call::BlobDelete { name, digest } => blob::delete(&exchange, &name, &digest).await,
        Call::UploadStart { name, mode } => upload::start(exchange, &name, mode).await,
        Call::UploadStatus { name, id } => upload::status(&exchange, &name, &id).await,
        Call::UploadPatch { name, id } => upload::patch(exchange, &name, &id).await,
        Call::UploadPut { name, id, digest } => upload::put(exchange, &name, &id, digest).await,
        Call::UploadCancel { name, id } => upload::cancel(&exchange, &name, &id).await,
        Call::ManifestGet { name, reference } => manifest::get(&exchange, &name, &reference).await,
        Call::ManifestHead { name, reference } => manifest::head(&exchange, &name, &reference).await,
        Call::ManifestPut { name, reference, tags } => {
            manifest::put(exchange, &name, &reference, &tags).await
        }
        Call::ManifestDelete { name, reference } => manifest::delete(&exchange, &name, &reference).await,
        Call::TagList { name, n, last } => tag::list(&exchange, &name, n, last.as_deref()).await,
        Call::Referrers(query) => referrers::list(&exchange, query, referrers::Form::Oci).await,
        Call::OrasReferrersDraft(query) => {
            referrers::list(&exchange, query, referrers::Form::OrasDraft).await
        }
        Call::OrasReferrersRc(query) => {
            referrers::list(&exchange, query, referrers::Form::OrasReleaseCandidate).await
        }
    }
}

/// Credentials that were not accepted are answered with the challenge that the call would have needed.
fn not_identified(error: &IdentifyError, call: Option<&Call>) -> Failure {
    let scope = call.and_then(challenge::scope_of_call);
    Failure::not_identified(error, scope)
}

/// What is wrong with a request is told only to those who have the right that it would have needed.
async fn refuse_invalid(exchange: Exchange<'_>, method: &Method, error: oci::CallError) -> Failure {
    if let Some(name) = &error.name {
        let granted = match *method {
            Method::GET | Method::HEAD => exchange.grant::<Pull>(name).await.map(|_| ()),
            Method::DELETE => exchange.grant::<Delete>(name).await.map(|_| ()),
            _ => exchange.grant::<Push>(name).await.map(|_| ()),
        };
        if let Err(failure) = granted {
            return failure;
        }
    } else if let Err(failure) = exchange.caller().await {
        return failure;
    }
    let mut status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    if *method == Method::HEAD && matches!(error.reason, CallErrorReason::Name(_)) {
        // An answer to HEAD has no body. As "not there" it lets the client go on to a request whose answer
        // has one, which then says what is wrong with the name.
        status = StatusCode::NOT_FOUND;
    }
    Failure::invalid_call(&error, status)
}
