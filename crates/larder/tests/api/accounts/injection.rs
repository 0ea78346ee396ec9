//! Logs: nobody writes lines into them, and no secret ends up there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::random_word;

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server, raw, user_of};

#[test]
fn t35_no_secret_is_logged_and_nobody_writes_lines() {
    let server = own_server(&[
        ("LARDER_LOG__LEVEL", "trace"),
        ("LARDER_LOG__FORMAT", "json"),
        ("LARDER_AUTH__SIGN_UP", "open"),
    ]);
    let admin = server.api();
    let user = user_of(&admin);
    let mut secrets = vec![user.password().to_owned(), server.admin_password().to_owned()];
    let mut secret = || {
        let word = format!("canary-{}", random_word());
        secrets.push(word.clone());
        word
    };

    let mut browser = Browser::signed_in(&user);
    let wrong = secret();
    expect_problem(browser.sign_in(user.username(), &wrong), 401, "unauthenticated");
    let name = "a\r\nlevel=ERROR forged\u{1b}[31m\u{202e}";
    expect_problem(browser.sign_in(name, &secret()), 401, "unauthenticated");
    // Whoever types a password where the name goes.
    expect_problem(browser.sign_in(&secret(), "x"), 401, "unauthenticated");
    let new = secret();
    let change = json!({ "current_password": user.password(), "new_password": new });
    browser.ask("POST", "/me/password", &change).expect(&[200]);
    let user = user.as_user(user.username(), &new);
    let token = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    user.as_bearer(&token).manage("GET", "/me", &NOTHING).expect(&[200]);
    user.as_bearer(&format!("lrd_pat_{}", secret())).manage("GET", "/me", &NOTHING).expect(&[401]);
    user.as_bearer(&format!("{}.{}.{}", secret(), secret(), secret())).ask("GET", "/v2/").expect(&[401]);
    let access = user.token(&["registry:catalog:*"]);
    user.as_bearer(&access).ask("GET", "/v2/_catalog").expect(&[200]);
    let path = format!("/users/{}/password-reset", user.username());
    let link = admin.manage("POST", &path, &NOTHING).expect(&[201]).json();
    let reset_code = link["code"].as_str().expect("a code is text").to_owned();
    for (path, body) in [
        ("/auth/password/reset", json!({ "code": secret(), "password": secret() })),
        ("/auth/email/verify", json!({ "code": secret() })),
        ("/auth/sign-up", json!({ "username": "x", "email": "x@example.com", "password": secret() })),
        (
            "/auth/sign-up",
            json!({ "username": "y", "email": "y@example.com", "password": secret(), "invitation": secret() }),
        ),
        ("/auth/sign-in", json!({ "username": "x", "password": secret(), "unknown": secret() })),
        ("/auth/prove", json!({ "password": secret() })),
        ("/auth/second-factor", json!({ "code": secret() })),
    ] {
        browser.ask("POST", path, &body);
    }
    // Where none belongs: in an address, and in fields that nobody reads.
    for path in [
        format!("/api/v1/me?access_token={}", secret()),
        format!("/api/v1/auth/providers/none/callback?code={}&state={}", secret(), secret()),
        format!("/v2/?password={}", secret()),
        format!("/token?service=larder&password={}&refresh_token={}", secret(), secret()),
    ] {
        user.as_nobody().ask("GET", &path);
    }
    let answer = user.as_nobody().call("GET", "/api/v1/me", &[("x-api-key", &secret())], "");
    expect_problem(answer, 401, "unauthenticated");
    let basic = STANDARD.encode(format!("{}:{}", user.username(), secret()));
    raw(
        &server,
        format!(
            "GET /nothing%0d%0aforged%1b[31m HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {basic}\r\n\
             User-Agent: x\u{1b}[31m\r\nX-Forwarded-For: 1.2.3.4 forged\r\nConnection: close\r\n\r\n"
        )
        .as_bytes(),
    );
    let cookie = browser.cookie().to_owned();
    let csrf = browser.csrf().to_owned();
    browser.ask("POST", "/auth/sign-out", &NOTHING).expect(&[200]);
    secrets.extend([token, access, reset_code, cookie, csrf, basic]);

    let log = server.log();
    assert!(log.lines().count() > 20, "the log is elsewhere: {log}");
    assert!(log.contains("/api/v1/auth/sign-in"), "{log}");
    for secret in &secrets {
        let found = log.lines().find(|line| line.contains(secret.as_str()));
        assert!(found.is_none(), "a secret is logged: {found:?}");
    }
    for line in log.lines() {
        assert!(!line.chars().any(char::is_control), "control characters in the log: {line:?}");
        if line.starts_with('{') {
            let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_ne!(entry["level"], "forged", "{line}");
        }
        assert!(!line.starts_with("level=ERROR forged") && !line.starts_with("forged"), "{line}");
    }
}

#[test]
fn t35_a_token_in_an_address_is_none() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let token = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    let access = user.token(&["registry:catalog:*"]);
    let browser = Browser::signed_in(&user);
    for (name, value) in [
        ("access_token", &token),
        ("access_token", &access),
        ("token", &token),
        ("api_key", &token),
        ("larder", &browser.cookie().to_owned()),
        ("authorization", &format!("Bearer%20{token}")),
    ] {
        for path in ["/api/v1/me", "/v2/", "/v2/_catalog"] {
            let answer = user.as_nobody().ask("GET", &format!("{path}?{name}={value}"));
            assert_eq!(answer.status, 401, "{path}?{name}: {answer}");
        }
    }
}
