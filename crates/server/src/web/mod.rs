//! Pages for people: signing in, one's own account, and what links in letters lead to. This file is the list of
//! them; a handler is in the file of its page. Pages need no script and have none.
//!
//! What a page does is what the management API does: the same use cases, behind the same gates and checks.

mod account;
mod answer;
mod forgotten;
mod home;
mod html;
mod invitations;
mod new_password;
mod request;
mod sign_in;
mod sign_up;
mod verify;

use axum::response::Response;
use axum::routing::{get, post};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderValue, header};

use crate::SharedState;

/// What a page may load and where its forms may go. The browser holds redirects after a form to the last as well,
/// so that what leads to an identity provider has to be a link.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// What the path of an invitation's page begins with. The rest of it is a secret.
const INVITATIONS: &str = "/invitations/";

pub(crate) fn router() -> axum::Router<SharedState> {
    axum::Router::new()
        .route("/", get(home::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/second-factor", post(sign_in::second_factor))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/sign-up", get(sign_up::show).post(sign_up::submit))
        .route("/verify", get(verify::show).post(verify::submit))
        .route("/forgot-password", get(forgotten::show).post(forgotten::submit))
        .route("/reset-password", get(new_password::show).post(new_password::submit))
        .route("/invitations", post(invitations::accept))
        .route("/invitations/{secret}", get(invitations::show))
        .route("/account", get(account::show))
        .route("/account/prove", get(account::prove::show).post(account::prove::submit))
        .route("/account/password", post(account::password::change))
        .route("/account/tokens", post(account::tokens::create))
        .route("/account/tokens/revoke", post(account::tokens::revoke))
        .route("/account/sessions/end", post(account::sessions::end))
        .route("/account/sessions/end-others", post(account::sessions::end_others))
        .route("/account/identities/unlink", post(account::identities::unlink))
        .route("/account/second-factor", post(account::second_factor::begin))
        .route("/account/second-factor/confirm", post(account::second_factor::confirm))
        .route("/account/second-factor/remove", post(account::second_factor::remove))
        .route("/account/second-factor/recovery-codes", post(account::second_factor::recovery_codes))
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(axum::middleware::map_response(label))
        .route("/static/larder.css", get(stylesheet))
}

pub(crate) use answer::not_found;

/// What is true of every page: it is for who asked, it loads nothing of others, and no other page shows it in a
/// frame.
///
/// The policy for referrers keeps addresses from all other sites. `no-referrer` would do so too, but with it
/// browsers say nothing of where a form comes from (Fetch, "append a request `Origin` header"), and over http that
/// is how a form of ours is told from another site's.
async fn label(mut response: Response) -> Response {
    dress(&mut response);
    response
}

fn dress(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // For browsers that do not know `frame-ancestors`.
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response.extensions_mut().insert(crate::observe::Endpoint("web"));
}

/// How all pages look.
async fn stylesheet() -> impl axum::response::IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "max-age=300"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
    ];
    (headers, include_str!("larder.css"))
}

/// The path of a request as logs may show it.
pub(crate) fn path_without_secret(path: &str) -> &str {
    if path.starts_with(INVITATIONS) { INVITATIONS } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_no_invitation() {
        assert_eq!(path_without_secret("/invitations/0123abc"), "/invitations/");
        assert_eq!(path_without_secret("/account"), "/account");
        assert_eq!(path_without_secret("/v2/acme/invitations/x"), "/v2/acme/invitations/x");
    }

    /// An organization may one day have a page under its own name.
    #[test]
    fn no_organization_has_the_name_of_a_page() {
        let source = include_str!("mod.rs");
        let router = source.split("fn router()").nth(1).and_then(|rest| rest.split("\n}").next());
        let paths = router.expect("there is a router").split(".route(\"/").skip(1);
        let mut count = 0;
        for path in paths {
            let name = path.split(['/', '"']).next().expect("a path has a beginning");
            count += 1;
            assert!(
                name.is_empty() || oci::name::RESERVED_ORGANIZATION_NAMES.contains(&name),
                "{name} is the first part of a page's path and has to be reserved"
            );
        }
        assert!(count > 20, "the routes were not found in the source");
    }
}
