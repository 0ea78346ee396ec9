//! Pages of other sites that make a browser ask.

use serde_json::json;

use super::{Browser, NOTHING};
use crate::scene::{expect_problem, own_server, user_of};

#[test]
fn t23_another_sites_page_changes_nothing() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let ours = || ("origin", server.url());
    let csrf = browser.csrf().to_owned();
    let word = || ("x-csrf-token", csrf.clone());
    let body = json!({ "name": "stolen" });
    let foreign = |origin: &str| ("origin", origin.to_owned());
    let site = |site: &str| ("sec-fetch-site", site.to_owned());
    // Without the word, with another one, and with the word of another session.
    let other = Browser::signed_in(&user).csrf().to_owned();
    for headers in [
        vec![ours()],
        vec![],
        vec![ours(), ("x-csrf-token", String::new())],
        vec![ours(), ("x-csrf-token", format!("{csrf}x"))],
        vec![ours(), ("x-csrf-token", csrf[1..].to_owned())],
        vec![ours(), ("x-csrf-token", other)],
        vec![ours(), ("x-csrf-token", browser.cookie().to_owned())],
        vec![site("same-origin")],
    ] {
        let answer = browser.ask_once("POST", "/me/tokens", &headers, &body);
        expect_problem(answer, 403, "csrf");
    }
    // With the word, from elsewhere.
    for elsewhere in [
        foreign("https://evil.example"),
        foreign("null"),
        foreign(&server.url().replace("http://", "https://evil.")),
        foreign(&format!("{}.evil.example", server.url())),
        foreign("http://localhost:1"),
        site("cross-site"),
        site("same-site"),
    ] {
        for (method, path, body) in [
            ("POST", "/me/tokens", body.clone()),
            ("DELETE", "/me/sessions", NOTHING),
            ("POST", "/auth/sign-out", NOTHING),
            ("POST", "/auth/sign-in", json!({ "username": user.username(), "password": user.password() })),
        ] {
            let headers = [elsewhere.clone(), word()];
            let answer = browser.ask_once(method, path, &headers, &body);
            expect_problem(answer, 403, "cross_site");
        }
    }
    // A form cannot send JSON, and no other site may ask whether it may.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let headers = [ours(), word(), ("content-type", kind.to_owned())];
        let mut fields: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let cookie = format!("larder={}", browser.cookie());
        fields.push(("cookie", &cookie));
        let answer = crate::scene::Calls::call(
            &user.as_nobody(),
            "POST",
            "/api/v1/me/tokens",
            &fields,
            body.to_string(),
        );
        expect_problem(answer, 415, "malformed");
    }
    let answer = browser.ask_once("OPTIONS", "/me/tokens", &[foreign("https://evil.example")], &NOTHING);
    assert!(answer.header("access-control-allow-origin").is_none(), "{answer}");
    let answer = browser.ask_once("GET", "/me", &[foreign("https://evil.example")], &NOTHING);
    assert!(answer.header("access-control-allow-origin").is_none(), "{answer}");

    let tokens = browser.ask("GET", "/me/tokens", &NOTHING).expect(&[200]).json();
    assert_eq!(tokens["items"], json!([]), "{tokens}");
    assert!(browser.is_signed_in());
    browser.ask("POST", "/me/tokens", &body).expect(&[201]);
    let headers = [site("same-origin"), word()];
    browser.ask_once("POST", "/me/tokens", &headers, &body).expect(&[201]);
}

/// A name and a password that a browser keeps for a site are sent along like a cookie.
#[test]
fn t23_a_browser_that_remembers_a_password_is_not_used_either() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    for headers in [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]] {
        for (method, path) in [("DELETE", "/api/v1/me/sessions"), ("POST", "/api/v1/me/second-factor")] {
            let answer = crate::scene::Calls::call(&user, method, path, &headers, "");
            expect_problem(answer, 403, "cross_site");
        }
    }
    // A token no browser keeps.
    let token = user.token_create("script")["token"].as_str().expect("a token is text").to_owned();
    let headers = [("origin", "https://evil.example")];
    let answer =
        crate::scene::Calls::call(&user.as_bearer(&token), "DELETE", "/api/v1/me/tokens/none", &headers, "");
    expect_problem(answer, 404, "not_found");
}

#[test]
fn t23_reading_needs_no_word_and_other_sites_cannot_read() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let browser = Browser::signed_in(&user);
    let answer = browser.ask_once("GET", "/me", &[], &NOTHING).expect(&[200]);
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
}

/// A page could sign the browser in at the provider as somebody else first, and then have that one linked.
#[test]
fn t23_an_account_of_a_provider_is_linked_from_our_own_pages_alone() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let browser = Browser::signed_in(&user);
    let start = "/auth/providers/none/start?link=true";
    for site in ["cross-site", "same-site", "none"] {
        let answer = browser.ask_once("GET", start, &[("sec-fetch-site", site.to_owned())], &NOTHING);
        expect_problem(answer, 403, "csrf");
    }
    expect_problem(browser.ask_once("GET", start, &[], &NOTHING), 403, "csrf");
    expect_problem(Browser::new(&user).ask_once("GET", start, &[], &NOTHING), 401, "unauthenticated");
    // From ours it goes as far as there being no such provider.
    let ours = [("sec-fetch-site", "same-origin".to_owned())];
    expect_problem(browser.ask_once("GET", start, &ours, &NOTHING), 404, "not_found");
    let with_word = format!("{start}&csrf={}", browser.csrf());
    expect_problem(browser.ask_once("GET", &with_word, &[], &NOTHING), 404, "not_found");
}
