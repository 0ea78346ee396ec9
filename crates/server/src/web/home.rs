//! `/`: to the account of whoever is signed in, or to where one signs in.

use axum::Extension;
use axum::response::Response;
use http::HeaderMap;

use super::answer::{answer, not_found, redirect};
use super::request::Visit;
use crate::api::providers::wants_page;

pub(super) async fn show(Visit(visitor): Visit, headers: HeaderMap) -> Response {
    // A program that was given no more than our name is told where the registry is.
    if !wants_page(&headers) {
        return not_found(Extension(visitor.context), headers).await;
    }
    let place = if visitor.user_id().is_some() { "/account" } else { "/sign-in" };
    answer(&visitor.context, redirect(place))
}
