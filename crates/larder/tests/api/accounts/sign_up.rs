//! Making an account for oneself.

use serde_json::json;
use testkit::random_word;

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server};

/// What somebody gives for a new account.
fn account(username: &str) -> serde_json::Value {
    json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": "correct horse battery",
    })
}

#[test]
fn somebody_signs_up_where_everybody_may() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let mut browser = Browser::new(&admin);
    assert_eq!(browser.ask("GET", "/auth", &NOTHING).expect(&[200]).json()["sign_up"], "open");
    let name = format!("user-{}", random_word());
    let answer = browser.ask("POST", "/auth/sign-up", &account(&name)).expect(&[201]);
    assert_eq!(answer.json()["check_mail"], false, "{answer}");
    assert!(!String::from_utf8_lossy(&answer.body).contains("horse"), "the password comes back: {answer}");
    // Signed up is not signed in.
    assert!(answer.header("set-cookie").is_none(), "{answer}");
    browser.sign_in(&name, "correct horse battery").expect(&[200]);
    let me = browser.me();
    assert_eq!(me["system_admin"], false, "{me}");
    // A stranger gets nothing of anybody, and the name is taken now.
    let listed = browser.ask("GET", "/organizations", &NOTHING).expect(&[200]).json();
    assert_eq!(listed["items"], json!([]), "{listed}");
    expect_problem(browser.ask("POST", "/auth/sign-up", &account(&name)), 409, "conflict");
    // A name of ours is nobody's to take.
    expect_problem(browser.ask("POST", "/auth/sign-up", &account("admin")), 409, "conflict");
    for wrong in ["", "Upper", "a b", "acme+deploy", "a\u{1b}[31m", "__token__"] {
        let problem = expect_problem(browser.ask("POST", "/auth/sign-up", &account(wrong)), 422, "invalid");
        assert_eq!(problem["field"], "username", "{problem}");
    }
}

#[test]
fn nobody_signs_up_where_nobody_may() {
    for (rule, word) in [("closed", "administrator"), ("invited", "invitation")] {
        let server = own_server(&[("LARDER_AUTH__SIGN_UP", rule)]);
        let admin = server.api();
        let mut browser = Browser::new(&admin);
        assert_eq!(browser.ask("GET", "/auth", &NOTHING).expect(&[200]).json()["sign_up"], rule);
        let name = format!("user-{}", random_word());
        let problem = expect_problem(browser.ask("POST", "/auth/sign-up", &account(&name)), 403, "denied");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(word), "what to do next is missing: {detail}");
        let mut invented = account(&name);
        invented["invitation"] = json!(random_word());
        expect_problem(browser.ask("POST", "/auth/sign-up", &invented), 403, "denied");
        expect_problem(admin.manage("GET", &format!("/users/{name}"), &NOTHING), 404, "not_found");
    }
}
