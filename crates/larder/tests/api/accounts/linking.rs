//! An account at an identity provider that is linked to a user who is signed in. `tests/providers` does it with
//! providers that others have written.

use serde_json::json;
use testkit::issuer::{Claims, Issuer};
use url::Url;

use super::{Browser, NOTHING};
use crate::scene::{own_server, user_of};

#[test]
fn linking_ends_the_cookie_that_asked_for_it() {
    let issuer = Issuer::start();
    let server = own_server(&[
        ("LARDER_SERVER__PUBLIC_URL", "http://registry.example.org"),
        ("LARDER_AUTH__PROVIDERS__COMPANY__ISSUER", &issuer.url()),
        ("LARDER_AUTH__PROVIDERS__COMPANY__CLIENT_ID", "larder"),
        ("LARDER_AUTH__PROVIDERS__COMPANY__CLIENT_SECRET", "known"),
    ]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let start = format!("/auth/providers/company/start?link=true&return_to=/account&csrf={}", browser.csrf());
    let answer = browser.ask("GET", &start, &NOTHING).expect(&[303]);
    let away =
        answer.header("location").and_then(|url| Url::parse(url).ok()).expect("it leads to the provider");
    let parameter = |name: &str| {
        let found = away.query_pairs().find(|(found, _)| found == name);
        found.map(|(_, value)| value.into_owned()).expect("the provider is told")
    };
    let claims = Claims::new(&issuer.url(), "ada", "larder").with("nonce", parameter("nonce"));
    let tokens = json!({ "access_token": "none", "token_type": "Bearer", "id_token": issuer.token(&claims) });
    issuer.answer_tokens_with(move |_| (200, tokens.clone()));

    let before = browser.clone();
    let back = format!("/auth/providers/company/callback?code=code&state={}", parameter("state"));
    let answer = browser.ask("GET", &back, &NOTHING).expect(&[303]);
    assert_eq!(answer.header("location"), Some("/account"), "{answer}");
    assert_ne!(browser.cookie(), before.cookie(), "the cookie is the same");
    assert!(!before.is_signed_in(), "the old cookie still counts");
    assert_eq!(browser.me()["username"], user.username());
    let linked = browser.ask("GET", "/me/identities", &NOTHING).expect(&[200]).json();
    assert_eq!(linked["items"][0]["subject"], "ada", "{linked}");
    // The word of the pages has changed with the cookie, and the new one is good.
    let path = format!("/me/identities?issuer={}&subject=ada", issuer.url());
    browser.ask("DELETE", &path, &NOTHING).expect(&[204]);
}
