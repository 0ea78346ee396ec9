//! `GET /v2/<name>/tags/list` and `GET /v2/_catalog`.

use access::Action;
use oci::{RepositoryName, listing};
use registry::Pull;

use super::Exchange;
use super::challenge;
use super::error::Failure;
use super::respond::{escape, json, link_next};
use crate::body::Response;

pub(super) async fn list(
    exchange: &Exchange<'_>,
    name: &RepositoryName,
    n: Option<u64>,
    last: Option<&str>,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Pull>(name).await?;
    let page = exchange.state.registry.tag_list(&granted, n, last).await?;
    let mut response = json("application/json", listing::render_tags(name, &page.tags));
    if let Some(next) = &page.next {
        let url = format!("/v2/{name}/tags/list?n={}&last={}", page.tags.len(), escape(next));
        link_next(response.headers_mut(), &url);
    }
    Ok(response)
}

pub(super) async fn catalog(
    exchange: &Exchange<'_>,
    n: Option<u64>,
    last: Option<&str>,
) -> Result<Response, Failure> {
    let caller = &exchange.caller().await?;
    let asked = match caller.limit.grants() {
        None => !caller.principal.is_anonymous(),
        Some(grants) => {
            let name = access::ScopeGrant::CATALOG;
            access::scope::evaluate(grants, name, Action::Pull) == access::ScopeVerdict::Granted
        }
    };
    if !asked {
        let scope = challenge::CATALOG.to_owned();
        return Err(Failure::unasked("sign in to list repositories", caller, scope));
    }
    let page = exchange.state.registry.catalog(caller, n, last).await?;
    let mut response = json("application/json", listing::render_catalog(&page.repositories));
    if let Some(next) = &page.next {
        let url = format!("/v2/_catalog?n={}&last={}", page.repositories.len(), escape(next));
        link_next(response.headers_mut(), &url);
    }
    Ok(response)
}
