//! `/api/v1/access/explain`: whether somebody may do something, and everything that decides it.

use access::Operation;
use axum::response::{IntoResponse as _, Response};
use registry::Target;
use serde::Deserialize;

use super::problem::Problem;
use super::request::{Query, Session, name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// A user name; without it, whoever asks.
    principal: Option<String>,
    /// Such as `artifact:push` or `registry:manage`.
    action: String,
    /// `organization`, `organization/registry` or `organization/registry/repository`.
    resource: String,
}

pub(super) async fn explain(session: Session, Query(question): Query<Question>) -> Response {
    let outcome = async {
        let action: Operation = name("action", &question.action)?;
        let resource: Target = name("resource", &question.resource)?;
        let registry = &session.state.registry;
        let principal = question.principal.as_deref();
        // Nobody has such a name, and PostgreSQL takes no text with one.
        if principal.is_some_and(|name| name.contains('\0')) {
            return Err(Problem::invalid("principal", "principal has to be the name of a user"));
        }
        let explanation = registry.access_explain(&session.caller, principal, action, &resource).await?;
        Ok::<_, Problem>(axum::Json(explanation).into_response())
    };
    session.answer(outcome.await)
}
