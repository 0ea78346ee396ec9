//! What refers to a manifest, in the form of OCI 1.1 and in the two forms that ORAS had before it. All are
//! answered from the same rows.

use http::{HeaderName, HeaderValue};
use oci::call::ReferrersQuery;
use oci::{media_type, referrers};
use registry::{Pull, ReferrerQuery};

use super::Exchange;
use super::error::Failure;
use super::respond::{escape, json, link_next};
use crate::body::Response;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const ORAS_VERSION: HeaderName = HeaderName::from_static("oras-api-version");

/// Which generation of the API asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// OCI distribution-spec 1.1, `/v2/<name>/referrers/<digest>`.
    Oci,
    /// ORAS artifacts-spec draft, `/oras/artifacts/v1/<name>/manifests/<digest>/referrers`.
    OrasDraft,
    /// ORAS artifacts-spec 1.0 release candidates, `/v2/<name>/_oras/artifacts/referrers?digest=`.
    OrasReleaseCandidate,
}

pub(super) async fn list(
    exchange: &Exchange<'_>,
    asked: ReferrersQuery,
    form: Form,
) -> Result<Response, Failure> {
    let granted = exchange.grant::<Pull>(&asked.name).await?;
    let query = ReferrerQuery {
        artifact_type: asked.artifact_type.clone(),
        limit: asked.n,
        cursor: asked.cursor.clone(),
    };
    let page = exchange.state.registry.referrer_list(&granted, &asked.digest, &query).await?;
    let mut response = match form {
        Form::Oci => json(media_type::OCI_INDEX, referrers::render_oci_index(&page.referrers)),
        Form::OrasDraft => json("application/json", referrers::render_oras_draft(&page.referrers)),
        Form::OrasReleaseCandidate => json("application/json", referrers::render_oras_rc(&page.referrers)),
    };
    let headers = response.headers_mut();
    if form == Form::Oci {
        if asked.artifact_type.is_some() {
            headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
        }
    } else {
        headers.insert(ORAS_VERSION, HeaderValue::from_static("oras/1.0"));
    }
    if let Some(next) = &page.next {
        link_next(headers, &next_url(&asked, form, next));
    }
    Ok(response)
}

fn next_url(asked: &ReferrersQuery, form: Form, next: &str) -> String {
    let (name, digest) = (&asked.name, &asked.digest);
    let mut parameters = vec![("nextToken", next.to_owned())];
    parameters.extend(asked.n.map(|n| ("n", n.to_string())));
    parameters.extend(asked.artifact_type.as_deref().map(|kind| ("artifactType", escape(kind))));
    let path = match form {
        Form::Oci => format!("/v2/{name}/referrers/{digest}"),
        Form::OrasDraft => format!("/oras/artifacts/v1/{name}/manifests/{digest}/referrers"),
        Form::OrasReleaseCandidate => {
            parameters.insert(0, ("digest", escape(digest.as_str())));
            format!("/v2/{name}/_oras/artifacts/referrers")
        }
    };
    let query: Vec<String> = parameters.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{path}?{}", query.join("&"))
}
