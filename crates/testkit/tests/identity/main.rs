//! What people and machines prove themselves with does what is asked of it, and leaves nothing behind.

mod browser;
mod cognito;
mod issuer;
mod mail;
mod oidc;

use reqwest::Url;
use reqwest::blocking::{Client, RequestBuilder};

/// A client that goes nowhere by itself.
fn client() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(10))
        .build()
        .expect("a client can be built")
}

/// A form on its way (WHATWG URL, "application/x-www-form-urlencoded").
fn post_form(url: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let form = Url::parse_with_params("http://localhost", fields).expect("fields can be encoded");
    let body = form.query().unwrap_or_default().to_owned();
    client().post(url).header("Content-Type", "application/x-www-form-urlencoded").body(body)
}
