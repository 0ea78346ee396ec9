//! How often one address may ask for what checks a credential, and that it is told.

use serde_json::json;
use testkit::{Answer, random_word};

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server, user_of};

/// A number in one of the fields, as in `"mail";r=3;t=120`.
#[track_caller]
fn number(answer: &Answer, field: &str, name: &str) -> u64 {
    let value = answer.header(field).unwrap_or_else(|| panic!("no {field}: {answer}"));
    let found = value.split(';').find_map(|part| part.trim().strip_prefix(&format!("{name}=")));
    found.and_then(|found| found.parse().ok()).unwrap_or_else(|| panic!("no {name} in {value}"))
}

#[test]
fn what_checks_a_credential_says_how_often_it_may_be_asked() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let mut browser = Browser::new(&admin);
    let code = "a".repeat(43);
    for (path, body) in [
        ("/auth/sign-in", json!({ "username": "nobody", "password": "not the password" })),
        ("/auth/sign-up", json!({ "username": "Bad", "email": "x", "password": "y" })),
        ("/auth/second-factor", json!({ "code": "123456" })),
        ("/auth/password/forgot", json!({ "account": "nobody" })),
        ("/auth/password/reset", json!({ "code": code, "password": "correct horse battery" })),
        ("/auth/email/verify", json!({ "code": code })),
        ("/auth/prove", json!({ "password": "not the password" })),
    ] {
        let answer = browser.ask("POST", path, &body);
        let (most, window) =
            (number(&answer, "ratelimit-policy", "q"), number(&answer, "ratelimit-policy", "w"));
        assert!(most > 0 && window > 0, "{answer}");
        assert!(number(&answer, "ratelimit", "r") < most, "{answer}");
        assert!(number(&answer, "ratelimit", "t") <= window, "{answer}");
    }
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let user = user_of(&admin);
    let mut browser = Browser::new(&admin);
    let ask = |browser: &mut Browser| {
        let body = json!({ "code": random_word(), "password": "correct horse battery" });
        browser.ask("POST", "/auth/password/reset", &body)
    };
    let first = ask(&mut browser);
    let most = number(&first, "ratelimit-policy", "q");
    for left in (0..most - 1).rev() {
        let answer = ask(&mut browser);
        assert_eq!(answer.status, 403, "{answer}");
        assert_eq!(number(&answer, "ratelimit", "r"), left, "{answer}");
    }
    let answer = ask(&mut browser);
    let after: u64 = answer.header("retry-after").and_then(|after| after.parse().ok()).unwrap_or_default();
    assert!((1..=number(&answer, "ratelimit-policy", "w")).contains(&after), "{answer}");
    assert_eq!(number(&answer, "ratelimit", "r"), 0, "{answer}");
    let problem = expect_problem(answer, 429, "throttled");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("seconds")), "{problem}");
    // Everything else goes on.
    browser.sign_in(user.username(), user.password()).expect(&[200]);
    user.manage("GET", "/me", &NOTHING).expect(&[200]);
}

#[test]
fn who_repeats_a_token_that_was_revoked_is_put_off_and_nobody_else() {
    let server = own_server(&[]);
    let (user, neighbour) = (user_of(&server.api()), user_of(&server.api()));
    let made = user.token_create("laptop");
    let text = |made: &serde_json::Value, field: &str| made[field].as_str().expect("a text").to_owned();
    user.token_delete(&text(&made, "id"));
    let revoked = user.as_bearer(&text(&made, "token"));
    let good = neighbour.as_bearer(&text(&neighbour.token_create("laptop"), "token"));
    for _ in 0..100 {
        revoked.ask("GET", "/v2/").expect(&[401]);
    }
    // It fills up meanwhile, so that how many it takes is not certain.
    let put_off = (0..2000).map(|_| revoked.ask("GET", "/api/v1/me")).find(|answer| answer.status != 401);
    let put_off = put_off.expect("nobody is put off");
    assert!(put_off.header("retry-after").is_some(), "{put_off}");
    expect_problem(put_off, 429, "throttled");
    good.ask("GET", "/v2/").expect(&[200]);
    user.ask("GET", "/v2/").expect(&[200]);
}
