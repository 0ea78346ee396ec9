//! `GET …/python`: what people see who open the upload URL in a browser.

use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use registry::PackagesRead;

use super::Exchange;
use super::error::Failure;
use crate::body::{Body, Response};

pub(super) async fn get(exchange: &Exchange<'_>) -> Result<Response, Failure> {
    exchange.grant::<PackagesRead>().await?;
    let mut response = http::Response::new(Body::from(page(exchange).into_bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn page(exchange: &Exchange<'_>) -> String {
    // Names that were granted follow the grammar of names, so nothing here needs an escape.
    let base = exchange.base_url();
    let shown = match exchange.public_url() {
        Some(_) => base.clone(),
        None => format!("https://&lt;this server&gt;{base}"),
    };
    let place = &exchange.place;
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Python packages of \
         {organization}/{registry}</title>\n</head>\n<body>\n<h1>Python packages of \
         {organization}/{registry}</h1>\n<p>Install from <a \
         href=\"{base}/simple/\">{shown}/simple/</a>:</p>\n<pre>pip install --index-url {shown}/simple/ \
         &lt;project&gt;\nuv pip install --index-url {shown}/simple/ &lt;project&gt;</pre>\n<p>Upload to \
         {shown}:</p>\n<pre>twine upload --repository-url {shown} dist/*\nuv publish --publish-url {shown}</pre>\n\
         <p>The user name is yours, or __token__ with a personal token as the password.</p>\n</body>\n</html>\n",
        organization = place.organization,
        registry = place.registry,
    )
}
