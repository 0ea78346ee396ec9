//! What an administrator does about accounts.

use serde_json::json;
use testkit::random_word;

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server, user_of};

#[test]
fn a_user_becomes_administrator_and_is_one_no_more() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let path = format!("/users/{}", user.username());
    expect_problem(user.manage("GET", "/users", &NOTHING), 403, "denied");
    let changed = admin.manage("PATCH", &path, &json!({ "system_admin": true })).expect(&[200]).json();
    assert_eq!(changed["system_admin"], true, "{changed}");
    user.manage("GET", "/users", &NOTHING).expect(&[200]);
    // The one takes it from the other, and the last one keeps it.
    user.manage("PATCH", "/users/admin", &json!({ "system_admin": false })).expect(&[200]);
    expect_problem(admin.manage("GET", "/users", &NOTHING), 403, "denied");
    let own = user.manage("PATCH", &path, &json!({ "system_admin": false }));
    expect_problem(own, 409, "last_admin");
    expect_problem(user.manage("PATCH", &path, &json!({ "disabled": true })), 409, "last_admin");
    expect_problem(user.manage("DELETE", &path, &NOTHING), 409, "last_admin");
}

#[test]
fn an_administrator_hands_out_a_link_for_a_new_password() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let mut browser = Browser::signed_in(&user);
    let path = format!("/users/{}/password-reset", user.username());
    expect_problem(user.manage("POST", &path, &NOTHING), 403, "denied");
    expect_problem(browser.ask("POST", &path, &NOTHING), 403, "denied");
    let answer = admin.manage("POST", &path, &NOTHING).expect(&[201]).json();
    let code = answer["code"].as_str().expect("a code is text").to_owned();
    let url = answer["url"].as_str().expect("a link is text");
    assert!(url.starts_with(&server.url()) && url.contains(&code), "{answer}");

    let password = random_word();
    let reset = |code: &str, password: &str| {
        Browser::new(&admin).ask(
            "POST",
            "/auth/password/reset",
            &json!({ "code": code, "password": password }),
        )
    };
    let mut changed = code.clone().into_bytes();
    changed[5] = if changed[5] == b'a' { b'b' } else { b'a' };
    let changed = String::from_utf8(changed).expect("a code is text");
    for wrong in ["", "x", &changed, "lrd_pat_0000"] {
        expect_problem(reset(wrong, &password), 403, "wrong_link");
    }
    // A password that cannot be does not use the code up.
    let problem = expect_problem(reset(&code, "short"), 422, "invalid");
    assert_eq!(problem["field"], "password", "{problem}");
    reset(&code, &password).expect(&[204]);
    expect_problem(reset(&code, &random_word()), 403, "wrong_link");
    // What the old password opened is over.
    assert!(!browser.is_signed_in());
    expect_problem(user.manage("GET", "/me", &NOTHING), 401, "unauthenticated");
    let user = user.as_user(user.username(), &password);
    user.manage("GET", "/me", &NOTHING).expect(&[200]);
    Browser::signed_in(&user);
}

#[test]
fn t13_a_request_sets_only_what_it_may() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let user = user_of(&admin);
    let mut browser = Browser::signed_in(&user);
    let name = format!("user-{}", random_word());
    let password = random_word();
    let whole = |extra: (&str, serde_json::Value)| {
        let mut body = json!({ "username": name, "email": "a@example.com", "password": password });
        body[extra.0] = extra.1;
        body
    };
    for extra in [
        ("system_admin", json!(true)),
        ("is_admin", json!(true)),
        ("kind", json!("service")),
        ("organization_id", json!(1)),
        ("disabled", json!(false)),
        ("email_verified", json!(true)),
        ("epoch", json!(0)),
        ("id", json!(1)),
    ] {
        let field = extra.0;
        let problem =
            expect_problem(browser.ask("POST", "/auth/sign-up", &whole(extra.clone())), 422, "malformed");
        assert!(
            problem["detail"].as_str().is_some_and(|detail| detail.contains("unknown field")),
            "{problem}"
        );
        expect_problem(admin.manage("POST", "/users", &whole(extra.clone())), 422, "malformed");
        let mut change = json!({ "email": "b@example.com" });
        change[field] = extra.1.clone();
        expect_problem(browser.ask("PATCH", "/me", &change), 422, "malformed");
        let mut token = json!({ "name": "mine" });
        token[field] = extra.1.clone();
        expect_problem(browser.ask("POST", "/me/tokens", &token), 422, "malformed");
    }
    for field in ["username", "email", "password", "kind"] {
        let mut change = json!({ "disabled": false });
        change[field] = json!("x");
        let path = format!("/users/{}", user.username());
        expect_problem(admin.manage("PATCH", &path, &change), 422, "malformed");
    }
    let me = browser.me();
    assert_eq!(
        (&me["system_admin"], &me["email"]),
        (&json!(false), &json!(format!("{}@example.com", user.username())))
    );
    // Nor does somebody else's account change by its owner's right.
    let path = format!("/users/{}", user.username());
    for body in [json!({ "system_admin": true }), json!({ "disabled": false })] {
        expect_problem(browser.ask("PATCH", &path, &body), 403, "denied");
        expect_problem(browser.ask("PATCH", "/users/admin", &body), 403, "denied");
    }
}
