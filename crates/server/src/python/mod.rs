//! The Python index of a registry: uploads as twine and uv send them, and the simple repository API that pip
//! and uv install from. One match from a typed call to its handler.
//!
//! The order is the same for every call: credentials, then the right, and only then what is wrong with the
//! rest of the request.

mod encoding;
mod error;
mod file;
mod form;
mod help;
mod multipart;
mod pages;
mod provenance;
mod simple;
mod unread;
mod upload;

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use oci::name::RESERVED_ORGANIZATION_NAMES;
use python::{Call, Place, Target};
use registry::{Caller, Granted, Packages, PackagesRead, Refusal, Right};

use crate::State;
use crate::body::{Body, Response, empty};
use crate::context::Context;
use crate::identify;
use crate::observe::Endpoint;
use error::Failure;
pub(crate) use pages::Pages;
use unread::Unread;

/// Whether this surface answers for a path. Names that no organization can have begin other paths.
pub(crate) fn serves(path: &str) -> bool {
    Place::find(path).is_some_and(|place| !RESERVED_ORGANIZATION_NAMES.contains(&place.organization.as_str()))
}

/// One call with everything that answering it may need.
struct Exchange<'a> {
    state: &'a Arc<State>,
    place: Place,
    /// Only the head of the answer is sent.
    head: bool,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    caller: Caller,
    body: &'a mut Unread,
}

impl Exchange<'_> {
    /// Asks for a right over the registry's packages.
    async fn grant<R>(&self) -> Result<Granted<R>, Failure>
    where
        R: Right<Resource = Packages>,
    {
        let (Ok(organization), Ok(registry)) = (self.place.organization.parse(), self.place.registry.parse())
        else {
            // A name that cannot exist is answered like one that does not.
            return Err(self.nothing_there());
        };
        Ok(self.state.registry.authorize_packages::<R>(&self.caller, &organization, &registry).await?)
    }

    fn nothing_there(&self) -> Failure {
        if self.caller.principal.is_anonymous() {
            return Failure::unauthenticated();
        }
        let (organization, registry) = (&self.place.organization, &self.place.registry);
        let refusal = Refusal::Hidden {
            what: oci::excerpt(&format!("{organization}/{registry}")),
            who: "you".to_owned(),
            verb: "see",
        };
        Failure::denied(refusal.to_string())
    }

    fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The URL of the index. Only what the operator set makes it absolute: what a request says of its host is
    /// in nobody's page but its own, and these pages are kept and passed on.
    fn base_url(&self) -> String {
        let host = self.public_url().unwrap_or_default();
        format!("{host}/api/v1/{}/{}/python", self.place.organization, self.place.registry)
    }

    fn public_url(&self) -> Option<&str> {
        self.state.settings.public_url.as_deref().map(|url| url.trim_end_matches('/'))
    }
}

/// Answers one request.
pub(crate) async fn handle(state: &Arc<State>, context: &Context, request: Request<Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    let head = parts.method == Method::HEAD;
    let call = Call::parse(&parts.method, parts.uri.path());
    let endpoint = call.as_ref().map_or("python_invalid", Call::endpoint);
    let realm = realm(parts.uri.path());
    let mut body = Unread::new(body, &parts.headers);
    let answered = answer(state, context, &parts, &mut body, call).await;
    let mut response = answered.unwrap_or_else(|failure| {
        body.drain();
        failure.respond(&realm)
    });
    if head {
        // The length is that of the body that GET would bring; what is not sent cannot say it itself.
        // An answer that sends nothing to GET either says no length (RFC 9110 §8.6).
        let length = response.body().size_hint().exact();
        let is_unsaid =
            response.status() != StatusCode::NOT_MODIFIED && !response.headers().contains_key(CONTENT_LENGTH);
        if let Some(length) = length.filter(|_| is_unsaid) {
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Body::empty();
    }
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response.extensions_mut().insert(Endpoint(endpoint));
    response
}

/// Names the registry that credentials are asked for.
fn realm(path: &str) -> String {
    Place::find(path)
        .and_then(|place| {
            let organization: oci::OrganizationName = place.organization.parse().ok()?;
            let registry: oci::RegistryName = place.registry.parse().ok()?;
            Some(format!("{organization}/{registry}"))
        })
        .unwrap_or_else(|| "larder".to_owned())
}

async fn answer(
    state: &Arc<State>,
    context: &Context,
    parts: &http::request::Parts,
    body: &mut Unread,
    call: Result<Call, python::CallError>,
) -> Result<Response, Failure> {
    let identity = identify::identify(&state.auth, &parts.headers, context).await?;
    if identity.limit.grants().is_some() {
        return Err(Failure::denied(
            "this token is for pushing and pulling under /v2/; use a password or a personal token here",
        ));
    }
    let place = match &call {
        Ok(call) => Some(call.place.clone()),
        Err(error) => error.place.clone(),
    };
    let Some(place) = place else {
        return Err(Failure::not_found("nothing is at this path"));
    };
    let exchange = Exchange {
        state,
        place,
        head: parts.method == Method::HEAD,
        query: parts.uri.query(),
        headers: &parts.headers,
        caller: identify::caller(&identity),
        body,
    };
    match call {
        Ok(call) => serve(exchange, call.target).await,
        Err(error) => {
            // What is wrong with a request is told only to those who may see the registry.
            exchange.grant::<PackagesRead>().await?;
            Err(error.into())
        }
    }
}

async fn serve(exchange: Exchange<'_>, target: Target) -> Result<Response, Failure> {
    match target {
        Target::Help => help::get(&exchange).await,
        Target::Upload => upload::post(exchange).await,
        Target::ProjectList => simple::list(&exchange).await,
        Target::Project { name } => simple::project(&exchange, &name).await,
        Target::File(path) => file::get(&exchange, &path).await,
        Target::Metadata(path) => file::metadata(&exchange, &path).await,
        Target::Provenance { name, version, filename } => {
            provenance::get(&exchange, &name, &version, &filename).await
        }
        Target::Redirect { location } => Ok(redirect(&location, exchange.query)),
    }
}

/// To the one right path of the same page, which is no secret: whoever goes there is asked for credentials.
fn redirect(location: &str, query: Option<&str>) -> Response {
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    set(response.headers_mut(), LOCATION, &format!("{location}{query}"));
    response
}

/// Sets a header whose value was made here of harmless parts.
fn set(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Who may keep an answer.
fn audience(public: bool) -> &'static str {
    if public { "public" } else { "private" }
}
