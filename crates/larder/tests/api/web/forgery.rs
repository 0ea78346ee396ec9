//! Pages of other sites that send our forms.

use serde_json::json;

use super::{Visitor, text};
use crate::scene::{Calls as _, own_server, user_of};

/// Everything that changes something for who is signed in.
const FORMS: &[&str] = &[
    "/sign-out",
    "/invitations",
    "/account/prove",
    "/account/password",
    "/account/tokens",
    "/account/tokens/revoke",
    "/account/sessions/end",
    "/account/sessions/end-others",
    "/account/identities/unlink",
    "/account/second-factor",
    "/account/second-factor/confirm",
    "/account/second-factor/remove",
    "/account/second-factor/recovery-codes",
];

#[test]
fn t23_a_form_without_the_sessions_word_changes_nothing() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut visitor = Visitor::signed_in(&user);
    let other = Visitor::signed_in(&user).csrf();
    let own = visitor.csrf();
    let (cookie, server_url) = (visitor.cookie().to_owned(), server.url());
    let fields = [("name", "stolen"), ("life", "never"), ("new_password", "correct horse battery")];
    for path in FORMS {
        for wrong in ["", "x", &other, &own[1..], &cookie] {
            let fields = [&[("csrf", wrong)], &fields[..]].concat();
            let answer = visitor.post(path, &fields).expect(&[403]);
            assert!(text(&answer).contains("Nothing has been changed"), "{path}: {answer}");
        }
        visitor.post(path, &fields).expect(&[403]);
        // In an address it counts for nothing, and neither does it in another form of body.
        visitor.post(&format!("{path}?csrf={own}"), &fields).expect(&[403]);
        let json = json!({ "csrf": own, "name": "stolen", "life": "never" }).to_string();
        let headers = [("content-type", "application/json"), ("origin", server_url.as_str())];
        visitor.ask("POST", path, &headers, &json).expect(&[400]);
    }
    let tokens = user.manage("GET", "/me/tokens", &serde_json::Value::Null).expect(&[200]).json();
    assert_eq!(tokens["items"], json!([]), "{tokens}");
    assert!(visitor.is_signed_in());
    user.manage("GET", "/me", &serde_json::Value::Null).expect(&[200]);
}

#[test]
fn t23_another_sites_page_sends_no_form_of_ours() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let user = user_of(&server.api());
    let mut visitor = Visitor::signed_in(&user);
    let csrf = visitor.csrf();
    let neighbour = format!("{}.evil.example", server.url());
    let elsewhere: &[(&str, &str)] = &[
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", &neighbour),
        ("origin", "http://localhost:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    // To be signed in as somebody else is an attack as well.
    let open =
        ["/sign-in", "/sign-up", "/forgot-password", "/reset-password", "/verify", "/sign-in/second-factor"];
    for path in FORMS.iter().chain(&open) {
        for from in elsewhere {
            let fields = [
                ("csrf", csrf.as_str()),
                ("username", user.username()),
                ("password", user.password()),
                ("name", "stolen"),
                ("life", "never"),
            ];
            let answer = visitor.post_from(path, &[*from], &fields).expect(&[403]);
            assert!(answer.header("set-cookie").is_none(), "{path}: {answer}");
            assert!(text(&answer).contains("Another site"), "{path}: {answer}");
        }
    }
    assert!(visitor.is_signed_in());
    // The same form of ours does it.
    let fields = [("csrf", csrf.as_str()), ("name", "mine"), ("life", "7")];
    visitor.post_from("/account/tokens", &[("sec-fetch-site", "same-origin")], &fields).expect(&[201]);
}

#[test]
fn a_password_in_a_header_opens_no_page() {
    let server = own_server(&[]);
    let admin = server.api();
    let answer = admin.call("GET", "/account", &[("accept", "text/html")], "").expect(&[303]);
    assert_eq!(answer.header("location"), Some("/sign-in"), "{answer}");
}

/// Somebody plants a session in a browser and waits until its owner signs in with it.
#[test]
fn t23_signing_in_gives_another_session_than_the_one_before() {
    let server = own_server(&[]);
    let (attacker, victim) = (user_of(&server.api()), user_of(&server.api()));
    let mut browser = Visitor::signed_in(&attacker);
    let planted = browser.clone();
    browser.sign_in(victim.username(), victim.password(), &[]).expect(&[303]);
    assert_ne!(browser.cookie(), planted.cookie());
    assert!(browser.is_signed_in() && !planted.is_signed_in());
    assert!(text(&browser.get("/account")).contains(victim.username()));
}

#[test]
fn who_signs_out_is_signed_out() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut visitor = Visitor::signed_in(&user);
    let before = visitor.clone();
    visitor.send("/sign-out", &[]).expect(&[200]);
    assert!(visitor.cookies.is_empty() && !before.is_signed_in());
    let answer = visitor.get("/account").expect(&[303]);
    assert_eq!(answer.header("location"), Some("/sign-in"), "{answer}");
}
