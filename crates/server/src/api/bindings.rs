//! `…/service-accounts/{account}/bindings`: which jobs of which issuer may act as the account, without any
//! stored secret; and `…/bindings:test`, which tells why a token does or does not match.

use std::time::Duration;

use access::TokenScope;
use auth::{BindingTrial, BindingView, ClaimMatch, JobTokenError, NewBinding};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};
use super::service_accounts::{managed_account, managed_organization, outlives_no_job};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BindingRequest {
    name: String,
    issuer: String,
    /// Without it, the URL of this registry.
    audience: Option<String>,
    claims: Vec<ClaimMatch>,
    scopes: Option<Vec<TokenScope>>,
    /// Life of the tokens that are made through it; without it 15 minutes.
    token_ttl_secs: Option<u64>,
    /// The issuer's keys (RFC 7517), when they cannot be fetched.
    jwks: Option<Value>,
}

#[derive(Serialize)]
struct Binding {
    id: String,
    name: String,
    issuer: String,
    audience: String,
    claims: Vec<ClaimMatch>,
    scopes: Option<Vec<TokenScope>>,
    token_ttl_secs: u64,
    jwks: Option<Value>,
    created_by: String,
    created_at: String,
    last_used_at: Option<String>,
    /// What whoever made it should know about it.
    notes: Vec<&'static str>,
}

impl From<BindingView> for Binding {
    fn from(view: BindingView) -> Self {
        Self {
            notes: view.notes(),
            id: view.id,
            name: view.name,
            issuer: view.issuer,
            audience: view.audience,
            claims: view.claims,
            scopes: view.scopes,
            token_ttl_secs: view.token_ttl.as_secs(),
            jwks: view.jwks.and_then(|text| serde_json::from_str(&text).ok()),
            created_by: view.created_by,
            created_at: time(view.created_at),
            last_used_at: view.last_used_at.map(time),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    token: SecretString,
}

#[derive(Serialize)]
struct Trials {
    /// True when the token would be taken at the door that asks for exactly one match.
    accepted: bool,
    trials: Vec<Trial>,
}

#[derive(Serialize)]
struct Trial {
    service_account: String,
    binding: String,
    binding_id: String,
    matched: bool,
    /// What stood in the way, one sentence each; empty when it matched.
    reasons: Vec<String>,
}

impl From<BindingTrial> for Trial {
    fn from(trial: BindingTrial) -> Self {
        Self {
            service_account: trial.account,
            binding: trial.binding.name,
            binding_id: trial.binding.id,
            matched: trial.matched,
            reasons: trial.reasons,
        }
    }
}

pub(super) async fn list(
    session: Session,
    Path((organization, account)): Path<(String, String)>,
    Query(page): Query<PageQuery>,
) -> Response {
    let outcome = async {
        let (_, account) = managed_account(&session, &organization, &account).await?;
        let after = Some(page.after()).filter(|after| !after.is_empty());
        let found = session.state.auth.binding_list(account.id, after, page.rows()).await?;
        let items: Vec<Binding> = found.into_iter().map(Into::into).collect();
        Ok::<_, Problem>(page.answer(items, |binding| binding.id.clone()))
    };
    session.answer(outcome.await)
}

pub(super) async fn create(
    session: Session,
    Path((organization, account)): Path<(String, String)>,
    Json(new): Json<BindingRequest>,
) -> Response {
    let outcome = async {
        let (_, account) = managed_account(&session, &organization, &account).await?;
        outlives_no_job(&session)?;
        let new = NewBinding {
            name: new.name,
            issuer: new.issuer,
            audience: new.audience.unwrap_or_else(|| session.context.base_url.to_string()),
            claims: new.claims,
            scopes: new.scopes,
            token_ttl: new.token_ttl_secs.map(Duration::from_secs),
            jwks: new.jwks.map(|keys| keys.to_string()),
        };
        let view = session.state.auth.binding_create(&session.identity, account.id, new).await?;
        Ok::<_, Problem>((StatusCode::CREATED, axum::Json(Binding::from(view))).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn read(
    session: Session,
    Path((organization, account, binding)): Path<(String, String, String)>,
) -> Response {
    let outcome = async {
        let (_, account) = managed_account(&session, &organization, &account).await?;
        let view = session.state.auth.binding_get(account.id, &binding).await?;
        Ok::<_, Problem>(axum::Json(Binding::from(view)).into_response())
    };
    session.answer(outcome.await)
}

pub(super) async fn remove(
    session: Session,
    Path((organization, account, binding)): Path<(String, String, String)>,
) -> Response {
    let outcome = async {
        let (_, account) = managed_account(&session, &organization, &account).await?;
        session.state.auth.binding_delete(account.id, &binding).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
    };
    session.answer(outcome.await)
}

/// Tries a job's token on every binding of the organization. It stays as good as it was.
pub(super) async fn test(
    session: Session,
    Path(organization): Path<String>,
    Json(test): Json<Test>,
) -> Response {
    let outcome = async {
        let organization = managed_organization(&session, &organization).await?;
        let auth = &session.state.auth;
        let trials = match auth.bindings_explain(organization, test.token.expose_secret()).await {
            Ok(trials) => trials,
            Err(JobTokenError::Unavailable(cause)) => return Err(cause.into()),
            Err(_) => {
                return Err(Problem::invalid(
                    "token",
                    "token has to be that of a job: three parts with dots between them, as its platform gave it",
                ));
            }
        };
        let trials: Vec<Trial> = trials.into_iter().map(Into::into).collect();
        let accepted = trials.iter().filter(|trial| trial.matched).count() == 1;
        Ok::<_, Problem>(axum::Json(Trials { accepted, trials }).into_response())
    };
    session.answer(outcome.await)
}
