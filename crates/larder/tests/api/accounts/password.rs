//! Changing one's own password, and one's address.

use serde_json::json;
use testkit::random_word;

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server, user_of};

#[test]
fn a_new_password_ends_what_the_old_one_opened() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let (mut browser, other) = (Browser::signed_in(&user), Browser::signed_in(&user));
    let token = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    let access = user.as_bearer(&user.token(&["registry:catalog:*"]));
    let password = random_word();
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let wrong = browser.ask("POST", "/me/password", &change("not the password", &password));
    expect_problem(wrong, 403, "wrong_password");
    let short = browser.ask("POST", "/me/password", &change(user.password(), "short"));
    assert_eq!(expect_problem(short, 422, "invalid")["field"], "password");
    let none = browser.ask("POST", "/me/password", &json!({ "new_password": password }));
    expect_problem(none, 403, "wrong_password");

    let before = browser.clone();
    browser.ask("POST", "/me/password", &change(user.password(), &password)).expect(&[200]);
    // The browser that asked has a session anew; it is signed in, and its old cookie is none.
    assert!(browser.is_signed_in() && !before.is_signed_in() && !other.is_signed_in());
    browser.ask("DELETE", "/me/sessions", &NOTHING).expect(&[204]);
    expect_problem(access.ask("GET", "/api/v1/me"), 401, "unauthenticated");
    expect_problem(user.manage("GET", "/me", &NOTHING), 401, "unauthenticated");
    user.as_bearer(&token).manage("GET", "/me", &NOTHING).expect(&[200]);
    let user = user.as_user(user.username(), &password);
    // Without a browser it works alike, and no cookie is set.
    let answer = user.manage("POST", "/me/password", &change(&password, &random_word())).expect(&[200]);
    assert!(answer.header("set-cookie").is_none(), "{answer}");
    assert!(!browser.is_signed_in());
}

#[test]
fn an_address_is_changed_by_who_is_there() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let email = format!("{}@example.org", random_word());
    let me = browser.ask("PATCH", "/me", &json!({ "email": email })).expect(&[200]).json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(email), &json!(false)), "{me}");
    for wrong in ["", "nobody", "a@b@c", "a b@example.com", "a@b\r\nBcc: c@d"] {
        let problem = expect_problem(browser.ask("PATCH", "/me", &json!({ "email": wrong })), 422, "invalid");
        assert_eq!(problem["field"], "email", "{problem}");
    }
    assert_eq!(browser.me()["email"], email);
}

#[test]
fn who_proves_again_may_do_what_is_delicate() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let wrong = browser.ask("POST", "/auth/prove", &json!({ "password": "not the password" }));
    expect_problem(wrong, 403, "wrong_password");
    let before = browser.clone();
    browser.ask("POST", "/auth/prove", &json!({ "password": user.password() })).expect(&[200]);
    assert!(browser.is_signed_in());
    // Who proves who it is gets more than before, and so another secret.
    assert_ne!(browser.cookie(), before.cookie());
    assert!(!before.is_signed_in());
    expect_problem(
        Browser::new(&user).ask("POST", "/auth/prove", &json!({ "password": user.password() })),
        401,
        "unauthenticated",
    );
}

#[test]
fn without_mail_nothing_is_sent_and_it_is_said() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::new(&user);
    let offer = browser.ask("GET", "/auth", &NOTHING).expect(&[200]).json();
    assert_eq!(offer["mail"], false, "{offer}");
    let answer = browser.ask("POST", "/auth/password/forgot", &json!({ "account": user.username() }));
    let problem = expect_problem(answer, 409, "not_configured");
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains("administrator"), "what to do next is missing: {detail}");
}
