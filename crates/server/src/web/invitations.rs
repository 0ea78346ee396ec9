//! `/invitations/{secret}`: what an invitation is to, for whoever has its link, and taking it up. The secret is in
//! the path of the page and in the form, so that the path of what is logged has none.

use auth::Gate;
use axum::extract::Path;
use axum::response::Response;
use registry::InvitationView;

use super::answer::{answer, note, page};
use super::html::{Html, html};
use super::request::{SessionForm, Visit};
use super::sign_in::ways_in;
use super::sign_up::{Filled, offer};
use crate::api::problem::Problem;
use crate::api::request::Visitor;
use crate::rate_limit;

pub(super) async fn show(Visit(visitor): Visit, Path(secret): Path<String>) -> Response {
    let outcome = async {
        let view = find(&visitor, &secret).await?;
        let main = html!(
            "<p><bdi>{}</bdi> invites you to <strong>{}</strong>, with the role {}.</p>\n{}",
            view.invited_by,
            place(&view),
            view.role.to_string(),
            next(&visitor, &secret, &view),
        );
        Ok(page("You are invited", &main))
    };
    answer(&visitor.context, outcome.await)
}

/// The invitation. An attempt counts when there is none: who has the link may look as often as they like.
async fn find(visitor: &Visitor, secret: &str) -> Result<InvitationView, Problem> {
    let (auth, client) = (&visitor.state.auth, visitor.context.client);
    let allowance = auth.gate_look(Gate::Invitation, client);
    if !allowance.is_allowed {
        return Err(Problem::limited(&allowance));
    }
    let found = visitor.state.registry.invitation_get(secret).await;
    found.map_err(|error| {
        auth.gate_take(Gate::Invitation, client);
        error.into()
    })
}

/// The organization, or the registry in it.
fn place(view: &InvitationView) -> String {
    match &view.registry {
        Some(registry) => format!("{}/{registry}", view.organization),
        None => view.organization.clone(),
    }
}

fn next(visitor: &Visitor, secret: &str, view: &InvitationView) -> Html {
    let signed_in = visitor.browser.as_ref().and_then(|browser| {
        let user = browser.session.identity.principal.user()?;
        Some((user.name.to_string(), browser.csrf_token(&visitor.state.auth)))
    });
    if let Some((username, csrf)) = signed_in {
        return html!(
            "<p>You are signed in as <strong>{}</strong>.</p>\n\
             <form method=\"post\" action=\"/invitations\">\n\
             <input type=\"hidden\" name=\"csrf\" value=\"{}\">\n\
             <input type=\"hidden\" name=\"secret\" value=\"{}\">\n\
             <button>Accept</button>\n</form>\n\
             <form method=\"post\" action=\"/sign-out\">\n\
             <input type=\"hidden\" name=\"csrf\" value=\"{}\">\n\
             <button class=\"quiet\">That is not me</button>\n</form>\n",
            username,
            csrf,
            secret,
            csrf,
        );
    }
    let return_to = format!("{}{secret}", super::INVITATIONS);
    let email = view.email.as_deref().unwrap_or_default();
    html!(
        "<h2>Sign in to accept</h2>\n{}<h2>Or make an account first</h2>\n{}",
        ways_in(&visitor.state, &return_to, "", false),
        offer(&visitor.state, &Filled { username: "", email, invitation: Some(secret) }),
    )
}

pub(super) async fn accept(SessionForm { session, fields }: SessionForm) -> Response {
    let allowance = session.state.auth.gate_take(Gate::Invitation, session.context.client);
    let outcome = async {
        session.authorize_person()?;
        if !allowance.is_allowed {
            return Err(Problem::limited(&allowance));
        }
        let view = session.state.registry.invitation_accept(fields.text("secret"), session.user_id).await?;
        let main = html!(
            "{}<p>You are now a member of <strong>{}</strong>, with the role {}.</p>\n\
             <p><a class=\"button\" href=\"/account\">Go to your account</a></p>\n",
            note("The invitation is accepted."),
            place(&view),
            view.role.to_string(),
        );
        Ok(page("Welcome", &main))
    };
    let mut response = answer(&session.context, outcome.await);
    rate_limit::write(response.headers_mut(), &allowance);
    response
}
