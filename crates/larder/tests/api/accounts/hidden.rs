//! What nobody can find out: who has an account.
//!
//! That two answers take the same time is not measured, for the reasons that the tests of isolation give; that
//! both take the same way shows in the number of passwords that were compared.

use serde_json::{Value, json};
use testkit::{Answer, Api, random_word};

use super::Browser;
use crate::scene::{Calls as _, own_server, user_of};

/// How many passwords the server has compared since its start.
#[track_caller]
fn verifications(admin: &Api) -> u64 {
    let text = String::from_utf8(admin.as_nobody().ask("GET", "/metrics").body).expect("metrics are text");
    let line = text.lines().find_map(|line| line.strip_prefix("larder_password_verifications "));
    line.and_then(|value| value.parse().ok()).expect("the metric is there")
}

/// What a caller can tell one answer from another by.
fn seen(answer: &Answer, names: &[&str]) -> (u16, Vec<(String, String)>, String) {
    let hide = |text: &str| names.iter().fold(text.to_owned(), |text, name| text.replace(name, "{name}"));
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        // How many attempts are left is counted for the address, not for the account.
        .filter(|(name, _)| !["x-request-id", "date", "ratelimit"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), hide(&String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    headers.sort();
    let mut body = hide(&String::from_utf8_lossy(&answer.body));
    if let Some(id) = answer.header("x-request-id") {
        body = body.replace(id, "{request}");
    }
    (answer.status, headers, body)
}

#[test]
fn t9_signing_in_says_the_same_of_a_name_that_nobody_has() {
    let server = own_server(&[]);
    let admin = server.api();
    let (user, disabled) = (user_of(&admin), user_of(&admin));
    let path = format!("/users/{}", disabled.username());
    admin.manage("PATCH", &path, &json!({ "disabled": true })).expect(&[200]);
    let ask = |username: &str, password: &str| {
        let before = verifications(&admin);
        let answer = Browser::new(&admin).sign_in(username, password);
        assert_eq!(answer.status, 401, "{answer}");
        (seen(&answer, &[username]), verifications(&admin) - before)
    };
    let wrong = ask(user.username(), "not the password");
    assert_eq!(wrong.1, 1, "a password is compared");
    assert_eq!(wrong, ask(&format!("user-{}", random_word()), "not the password"));
    assert_eq!(wrong, ask(disabled.username(), disabled.password()));
}

#[test]
fn t9_a_forgotten_password_says_nothing_of_who_has_an_account() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let ask = |account: &str| {
        let before = verifications(&admin);
        let body = json!({ "account": account });
        let answer = Browser::new(&admin).ask("POST", "/auth/password/forgot", &body);
        (seen(&answer, &[account]), verifications(&admin) - before)
    };
    let known = ask(user.username());
    assert_eq!(known, ask(&format!("user-{}", random_word())));
    assert_eq!(known, ask(&format!("{}@example.com", user.username())));
    assert_eq!(known, ask(&format!("{}@example.com", random_word())));
}

#[test]
fn t9_signing_up_says_nothing_of_an_address_that_is_taken() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let user = user_of(&admin);
    let ask = |email: &str| {
        let username = format!("user-{}", random_word());
        let body = json!({ "username": username, "email": email, "password": "correct horse battery" });
        let before = verifications(&admin);
        let answer = Browser::new(&admin).ask("POST", "/auth/sign-up", &body);
        (seen(&answer, &[email, &username]), verifications(&admin) - before)
    };
    let fresh = ask(&format!("user-{}@example.com", random_word()));
    assert_eq!(fresh, ask(&format!("{}@example.com", user.username())));
}

#[test]
fn t9_a_code_for_nothing_and_a_code_for_somebody_else_are_alike() {
    let server = own_server(&[]);
    let admin = server.api();
    let ask = |path: &str, code: &str| {
        let mut body = json!({ "code": code });
        if path.ends_with("reset") {
            body["password"] = Value::from("correct horse battery");
        }
        seen(&Browser::new(&admin).ask("POST", path, &body), &[code])
    };
    for path in ["/auth/password/reset", "/auth/email/verify"] {
        let short = ask(path, "x");
        assert_eq!(short.0, 403, "{short:?}");
        assert_eq!(short, ask(path, &"a".repeat(43)));
    }
}
