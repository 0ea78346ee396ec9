//! `GET /v2/` and the list of extensions (OCI distribution-spec, "Extensions").

use oci::RepositoryName;
use registry::Pull;

use super::Exchange;
use super::error::Failure;
use super::respond::json;
use crate::body::Response;

/// Anonymous callers are always challenged, even where everything is public: some clients learn only here
/// that there is a token service, and public content takes an anonymous token.
pub(super) async fn ping(exchange: &Exchange<'_>) -> Result<Response, Failure> {
    signed_in(exchange).await?;
    Ok(json("application/json", b"{}".to_vec()))
}

pub(super) async fn extensions(
    exchange: &Exchange<'_>,
    name: Option<&RepositoryName>,
) -> Result<Response, Failure> {
    match name {
        Some(name) => {
            exchange.grant::<Pull>(name).await?;
        }
        None => signed_in(exchange).await?,
    }
    let body = serde_json::json!({
        "extensions": [{
            "name": "_oras",
            "description": "ORAS artifacts: referrers of a manifest",
            "url": "https://github.com/oras-project/artifacts-spec",
            "endpoints": ["_oras/artifacts/referrers"]
        }]
    });
    Ok(json("application/json", body.to_string().into_bytes()))
}

async fn signed_in(exchange: &Exchange<'_>) -> Result<(), Failure> {
    let caller = exchange.caller().await?;
    let nobody = caller.principal.is_anonymous() && caller.limit.is_none();
    if nobody { Err(Failure::unauthorized("sign in to use this registry", None)) } else { Ok(()) }
}
