//! Codes of an authenticator beside the password (RFC 6238).

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use testkit::Api;

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_error, expect_problem, own_server, user_of};

/// Seconds of a time step.
const STEP: u64 = 30;

/// What an authenticator shows for a secret, so many steps from now.
pub(crate) fn code(secret: &str, steps_ahead: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    let counter = now.as_secs() / STEP + steps_ahead;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(secret));
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let word = [tag[offset] & 0x7f, tag[offset + 1], tag[offset + 2], tag[offset + 3]];
    format!("{:06}", u32::from_be_bytes(word) % 1_000_000)
}

/// RFC 4648 §6.
fn base32(text: &str) -> Vec<u8> {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            other => panic!("no base32: {other}"),
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).expect("eight bits are a byte"));
        }
    }
    bytes
}

/// Sets a second factor up and returns its secret and the recovery codes.
#[track_caller]
fn set_up(browser: &mut Browser) -> (String, Vec<String>) {
    let new = browser.ask("POST", "/me/second-factor", &NOTHING).expect(&[201]).json();
    let secret = new["secret"].as_str().expect("a secret is text").to_owned();
    assert!(new["url"].as_str().is_some_and(|url| url.starts_with("otpauth://totp/")), "{new}");
    let body = json!({ "code": code(&secret, 0) });
    let confirmed = browser.ask("POST", "/me/second-factor/confirm", &body).expect(&[200]).json();
    let codes = confirmed["recovery_codes"].as_array().expect("a list of codes");
    let codes: Vec<String> =
        codes.iter().map(|code| code.as_str().expect("a code is text").to_owned()).collect();
    assert_eq!(codes.len(), 10, "{confirmed}");
    (secret, codes)
}

/// A browser in which the password was right, and that is all.
#[track_caller]
fn half_signed_in(user: &Api) -> Browser {
    let mut browser = Browser::new(user);
    let answer = browser.sign_in(user.username(), user.password()).expect(&[200]).json();
    assert_eq!(answer["second_factor_needed"], true, "{answer}");
    browser
}

/// Shows a code.
#[track_caller]
fn show(browser: &mut Browser, code: &str) -> testkit::Answer {
    browser.ask("POST", "/auth/second-factor", &json!({ "code": code }))
}

#[test]
fn a_second_factor_is_set_up_and_asked_for() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let (mut browser, other) = (Browser::signed_in(&user), Browser::signed_in(&user));
    let token = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    assert_eq!(browser.ask("GET", "/me/second-factor", &NOTHING).expect(&[200]).json()["enabled"], false);
    // Begun is not done: without a code nothing changes.
    browser.ask("POST", "/me/second-factor", &NOTHING).expect(&[201]);
    let wrong = browser.ask("POST", "/me/second-factor/confirm", &json!({ "code": "000000" }));
    expect_problem(wrong, 403, "wrong_code");
    user.manage("GET", "/me", &NOTHING).expect(&[200]);

    let before = browser.clone();
    let (secret, codes) = set_up(&mut browser);
    assert!(browser.is_signed_in() && !before.is_signed_in() && !other.is_signed_in());
    assert_eq!(browser.me()["second_factor"], true);
    let view = browser.ask("GET", "/me/second-factor", &NOTHING).expect(&[200]).json();
    assert_eq!((&view["enabled"], &view["recovery_codes_left"]), (&json!(true), &json!(10)), "{view}");
    expect_problem(browser.ask("POST", "/me/second-factor", &NOTHING), 409, "conflict");

    // The password alone is not enough any more, anywhere; a personal token is what programs use.
    let message = expect_error(user.ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    assert!(message.contains("personal token"), "what to do next is missing: {message}");
    let problem = expect_problem(user.manage("GET", "/me", &NOTHING), 401, "unauthenticated");
    assert!(problem.to_string().contains("personal token"), "{problem}");
    user.as_bearer(&token).ask("GET", "/v2/").expect(&[200]);

    // Half signed in is not signed in.
    let mut half = half_signed_in(&user);
    assert!(!half.is_signed_in());
    for (method, path, body) in [
        ("GET", "/me", NOTHING),
        ("GET", "/organizations", NOTHING),
        ("POST", "/me/tokens", json!({ "name": "x" })),
        ("POST", "/me/second-factor", NOTHING),
        ("POST", "/auth/prove", json!({ "password": user.password() })),
    ] {
        expect_problem(half.ask(method, path, &body), 401, "unauthenticated");
    }
    assert_eq!(half.ask("GET", "/auth", &NOTHING).json()["second_factor_needed"], true);
    let before = half.clone();
    show(&mut half, &code(&secret, 1)).expect(&[200]);
    assert!(half.is_signed_in());
    assert_ne!(half.cookie(), before.cookie(), "more than before, and the same secret");
    assert!(!before.is_signed_in());

    // A recovery code is good once.
    let mut lost = half_signed_in(&user);
    show(&mut lost, &codes[3]).expect(&[200]);
    let mut again = half_signed_in(&user);
    expect_problem(show(&mut again, &codes[3]), 403, "wrong_code");
    let view = lost.ask("GET", "/me/second-factor", &NOTHING).expect(&[200]).json();
    assert_eq!(view["recovery_codes_left"], 9, "{view}");
    let body = json!({ "code": codes[4] });
    let new = lost.ask("POST", "/me/second-factor/recovery-codes", &body).expect(&[201]).json();
    assert_eq!(new["recovery_codes"].as_array().map(Vec::len), Some(10), "{new}");
    expect_problem(show(&mut again, &codes[5]), 403, "wrong_code");

    let fresh = new["recovery_codes"][0].as_str().expect("a code is text");
    lost.ask("DELETE", "/me/second-factor", &json!({ "code": fresh })).expect(&[200]);
    assert_eq!(lost.me()["second_factor"], false);
    user.manage("GET", "/me", &NOTHING).expect(&[200]);
}

#[test]
fn t17_a_code_counts_once_and_guessing_ends_soon() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let (secret, _) = set_up(&mut browser);
    // The code of setting up was used with it, and one that was shown is used too.
    let mut half = half_signed_in(&user);
    let shown = code(&secret, 1);
    show(&mut half, &shown).expect(&[200]);
    let mut half = half_signed_in(&user);
    expect_problem(show(&mut half, &shown), 403, "wrong_code");
    for wrong in ["", "0", "12345678901234567890", "abcdef", "１２３４５６"] {
        expect_problem(show(&mut half, wrong), 403, "wrong_code");
    }
    // Whoever has the password and guesses the code is put off, from whatever sign-in.
    let mut statuses = Vec::new();
    for guess in 0..12 {
        let mut half = half_signed_in(&user);
        statuses.push(show(&mut half, &format!("{guess:06}")).status);
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
    // That is no way to lock the owner's own browser out of what it may.
    assert!(browser.is_signed_in());
}

#[test]
fn an_administrator_takes_a_second_factor_away_that_was_lost() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let mut browser = Browser::signed_in(&user);
    set_up(&mut browser);
    let path = format!("/users/{}/second-factor", user.username());
    expect_problem(browser.ask("DELETE", &path, &NOTHING), 403, "denied");
    admin.manage("DELETE", &path, &NOTHING).expect(&[204]);
    user.manage("GET", "/me", &NOTHING).expect(&[200]);
    expect_problem(admin.manage("DELETE", &path, &NOTHING), 404, "not_found");
}

#[test]
fn a_secret_is_sealed_and_shown_once() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let (secret, codes) = set_up(&mut browser);
    let view = browser.ask("GET", "/me/second-factor", &NOTHING).expect(&[200]);
    let text = String::from_utf8_lossy(&view.body).into_owned();
    assert!(!text.contains(&secret) && !codes.iter().any(|code| text.contains(code)), "{text}");
    if server.database().is_none() {
        let mut stored = Vec::new();
        for name in ["larder.db", "larder.db-wal"] {
            stored.extend(std::fs::read(server.data_directory().join(name)).unwrap_or_default());
        }
        let holds = |needle: &[u8]| stored.windows(needle.len()).any(|window| window == needle);
        assert!(holds(user.username().as_bytes()), "the database is elsewhere");
        for needle in [secret.as_bytes(), &base32(&secret), codes[0].as_bytes(), browser.cookie().as_bytes()]
        {
            assert!(!holds(needle), "a secret is stored as it is");
        }
    }
    let answer: Value = browser.me();
    assert_eq!(answer["second_factor"], true);
}
