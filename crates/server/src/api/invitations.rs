//! Invitations to an organization or to one registry of it, and what takes one up: `/api/v1/invitations:accept`.

use access::Role;
use auth::Gate;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use registry::{InvitationMade, InvitationView, NewInvitation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::page::{PageQuery, time};
use super::problem::Problem;
use super::request::{Json, Path, Query, Session};
use super::service_accounts::outlives_no_job;
use crate::rate_limit;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InvitationRequest {
    /// Where the link is sent; without it whoever invites hands it over.
    email: Option<String>,
    role: Role,
}

impl InvitationRequest {
    fn parse(self) -> NewInvitation {
        NewInvitation { email: self.email, role: self.role }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acceptance {
    secret: SecretString,
}

#[derive(Serialize)]
struct Invitation {
    id: String,
    email: Option<String>,
    role: Role,
    registry: Option<String>,
    invited_by: String,
    created_at: String,
    expires_at: String,
    /// What the invited person opens. Shown once, when the invitation is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// Whether the link was sent to the address. Without a mail server whoever invites hands it over.
    #[serde(skip_serializing_if = "Option::is_none")]
    mailed: Option<bool>,
}

impl From<InvitationView> for Invitation {
    fn from(view: InvitationView) -> Self {
        Self {
            id: view.id,
            email: view.email,
            role: view.role,
            registry: view.registry,
            invited_by: view.invited_by,
            created_at: time(view.created_at),
            expires_at: time(view.expires_at),
            link: None,
            mailed: None,
        }
    }
}

/// What somebody became a member of.
#[derive(Serialize)]
struct Accepted {
    organization: String,
    registry: Option<String>,
    role: Role,
}

/// Sends the link, where there is an address and a mail server, and answers with it.
fn invite(session: &Session, place: &str, made: InvitationMade) -> Response {
    let InvitationMade { view, secret } = made;
    // Part of the path and of no query: pages do not tell others the path that they were opened by.
    let path = format!("/invitations/{}", secret.expose_secret());
    let mailed = is_mailed(session, place, &view, &path);
    let mut invitation = Invitation::from(view);
    invitation.link = Some(format!("{}{path}", session.context.base_url));
    invitation.mailed = Some(mailed);
    (StatusCode::CREATED, axum::Json(invitation)).into_response()
}

fn is_mailed(session: &Session, place: &str, view: &InvitationView, path: &str) -> bool {
    let auth = &session.state.auth;
    let (Some(email), Some(link)) = (&view.email, auth.mail_link(path)) else { return false };
    let text = format!(
        "{} invites you to {place}, with the role {}.\n\nTo accept, open\n\n    {link}\n\nThe link is good once, \
         until {}. If you expect no invitation, leave it alone: nothing happens.\n",
        view.invited_by,
        view.role,
        time(view.expires_at),
    );
    auth.mail_send(email, &format!("Invitation to {place}"), &text).is_ok()
}

fn answer_list(page: &PageQuery, found: Vec<InvitationView>) -> Response {
    let items: Vec<Invitation> = found.into_iter().map(Into::into).collect();
    page.answer(items, |invitation| invitation.id.clone())
}

/// Takes an invitation up for whoever is signed in.
pub(super) async fn accept(session: Session, Json(acceptance): Json<Acceptance>) -> Response {
    let allowance = session.state.auth.gate_take(Gate::Invitation, session.context.client);
    let outcome = async {
        session.authorize_person()?;
        if !allowance.is_allowed {
            return Err(Problem::limited(&allowance));
        }
        let secret = acceptance.secret.expose_secret();
        let view = session.state.registry.invitation_accept(secret, session.user_id).await?;
        let accepted = Accepted { organization: view.organization, registry: view.registry, role: view.role };
        Ok::<_, Problem>(axum::Json(accepted).into_response())
    };
    let mut response = session.answer(outcome.await);
    rate_limit::write(response.headers_mut(), &allowance);
    response
}

/// Invitations to an organization: the role will count in all its registries.
pub(super) mod to_organization {
    use registry::OrganizationMembersManage as Manage;

    use super::*;

    pub(in crate::api) async fn list(
        session: Session,
        Path(organization): Path<String>,
        Query(page): Query<PageQuery>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<Manage>(&organization).await?;
            let found = registry.organization_invitation_list(&granted, page.after(), page.rows()).await?;
            Ok::<_, Problem>(answer_list(&page, found))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn create(
        session: Session,
        Path(organization): Path<String>,
        Json(new): Json<InvitationRequest>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<Manage>(&organization).await?;
            outlives_no_job(&session)?;
            let made = registry.organization_invitation_create(&granted, new.parse()).await?;
            Ok::<_, Problem>(invite(&session, &organization, made))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn remove(
        session: Session,
        Path((organization, invitation)): Path<(String, String)>,
    ) -> Response {
        let outcome = async {
            let registry = &session.state.registry;
            let granted = session.organization::<Manage>(&organization).await?;
            registry.organization_invitation_delete(&granted, &invitation).await?;
            Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
        };
        session.answer(outcome.await)
    }
}

/// Invitations to one registry.
pub(super) mod to_registry {
    use registry::MembersManage as Manage;

    use super::*;

    pub(in crate::api) async fn list(
        session: Session,
        Path((organization, registry)): Path<(String, String)>,
        Query(page): Query<PageQuery>,
    ) -> Response {
        let outcome = async {
            let granted = session.registry::<Manage>(&organization, &registry).await?;
            let registry = &session.state.registry;
            let found = registry.registry_invitation_list(&granted, page.after(), page.rows()).await?;
            Ok::<_, Problem>(answer_list(&page, found))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn create(
        session: Session,
        Path((organization, registry)): Path<(String, String)>,
        Json(new): Json<InvitationRequest>,
    ) -> Response {
        let outcome = async {
            let place = format!("{organization}/{registry}");
            let granted = session.registry::<Manage>(&organization, &registry).await?;
            let registry = &session.state.registry;
            outlives_no_job(&session)?;
            let made = registry.registry_invitation_create(&granted, new.parse()).await?;
            Ok::<_, Problem>(invite(&session, &place, made))
        };
        session.answer(outcome.await)
    }

    pub(in crate::api) async fn remove(
        session: Session,
        Path((organization, registry, invitation)): Path<(String, String, String)>,
    ) -> Response {
        let outcome = async {
            let granted = session.registry::<Manage>(&organization, &registry).await?;
            let registry = &session.state.registry;
            registry.registry_invitation_delete(&granted, &invitation).await?;
            Ok::<_, Problem>(StatusCode::NO_CONTENT.into_response())
        };
        session.answer(outcome.await)
    }
}
