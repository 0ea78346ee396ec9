//! What a page takes out of a request: who looks at it, and the fields of a form.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use secrecy::SecretString;

use super::answer::{answer, redirect};
use crate::SharedState;
use crate::api::problem::Problem;
use crate::api::request::{Session, Visitor, context};
use crate::context::Context;
use crate::session::{CSRF_FIELD, return_path};

/// Bytes of a form.
const FORM_BYTES: usize = 64 * 1024;

/// Whoever looks at a page, signed in or not.
pub(super) struct Visit(pub(super) Visitor);

impl FromRequestParts<SharedState> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let context = context(parts).map_err(Problem::into_response)?;
        let found = Visitor::of_request(parts, state.get(), context.clone()).await;
        found.map(Self).map_err(|problem| refused(&context, problem))
    }
}

/// Whoever is signed in and looks at a page.
pub(super) struct SignedIn(pub(super) Session);

impl FromRequestParts<SharedState> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, Response> {
        let Visit(visitor) = Visit::from_request_parts(parts, state).await?;
        let context = visitor.context.clone();
        // Nothing is lost that had to be explained.
        Session::of_browser(visitor).map(Self).map_err(|_| answer(&context, redirect("/sign-in")))
    }
}

/// A form that whoever looked at a page sent. It is of ours, but need not be of this session: for who signs in, and
/// what goes before.
pub(super) struct Form {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
}

impl FromRequest<SharedState> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let Visit(mut visitor) = Visit::from_request_parts(&mut parts, state).await?;
        let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let fields = if kind.starts_with("application/x-www-form-urlencoded") {
            let bytes = axum::body::to_bytes(body, FORM_BYTES).await;
            bytes.map_err(|_| malformed("the form is too large, or did not arrive as a whole"))
        } else {
            Err(malformed("this takes the form of a page and nothing else"))
        };
        let fields = fields.and_then(|bytes| Fields::parse(&bytes));
        let fields = fields.map_err(|problem| refused(&visitor.context, problem))?;
        visitor.csrf = fields.optional(CSRF_FIELD).map(str::to_owned);
        Ok(Self { visitor, fields })
    }
}

/// A form of this session's pages.
pub(super) struct SessionForm {
    pub(super) session: Session,
    pub(super) fields: Fields,
}

impl FromRequest<SharedState> for SessionForm {
    type Rejection = Response;

    async fn from_request(request: Request, state: &SharedState) -> Result<Self, Response> {
        let Form { visitor, fields } = Form::from_request(request, state).await?;
        let context = visitor.context.clone();
        let is_ours = visitor.authorize_browser().map(|_| ());
        let session = is_ours.and_then(|()| Session::of_browser(visitor));
        session.map(|session| Self { session, fields }).map_err(|problem| refused(&context, problem))
    }
}

fn refused(context: &Context, problem: Problem) -> Response {
    answer(context, Err(problem))
}

fn malformed(detail: &str) -> Problem {
    Problem::malformed(StatusCode::BAD_REQUEST, detail)
}

/// The fields of a form, of which some are secrets: nothing prints them.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        let fields: Vec<(String, String)> = form_urlencoded::parse(bytes).into_owned().collect();
        // PostgreSQL takes no text with one, and nobody types it.
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(malformed("the form holds a NUL, which is in no name"));
        }
        Ok(Self(fields))
    }

    /// The fields of a query.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self::parse(query.unwrap_or_default().as_bytes()).unwrap_or(Self(Vec::new()))
    }

    /// A field that has something in it.
    pub(super) fn optional(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A field, empty when it is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_default()
    }

    /// A field that is a secret.
    pub(super) fn secret(&self, name: &str) -> SecretString {
        SecretString::from(self.text(name))
    }

    /// A code, which people type with spaces.
    pub(super) fn code(&self) -> SecretString {
        self.text("code").split_whitespace().collect::<String>().into()
    }

    /// Where to go after signing in: a path of ours.
    pub(super) fn return_to(&self) -> &str {
        self.optional("return_to").and_then(return_path).unwrap_or("/account")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_nobody_is_sent_elsewhere() {
        let fields = Fields::of_query(Some("a=1&b=&return_to=%2Faccount%3Fx&c=%3Cb%3E"));
        assert_eq!((fields.text("a"), fields.optional("b"), fields.text("c")), ("1", None, "<b>"));
        assert_eq!(fields.return_to(), "/account?x");
        for elsewhere in ["//evil.example", "https://evil.example", "/%5cevil.example", ""] {
            let query =
                form_urlencoded::Serializer::new(String::new()).append_pair("return_to", elsewhere).finish();
            assert_eq!(Fields::of_query(Some(&query)).return_to(), "/account", "{elsewhere}");
        }
        assert!(Fields::parse(b"name=a%00b").is_err());
    }
}
