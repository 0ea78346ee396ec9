//! Signing in with a browser.

use serde_json::json;

use super::{Browser, NOTHING};
use crate::scene::{expect_problem, own_server, user_of};

#[test]
fn a_browser_signs_in_and_out() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::new(&user);
    let offer = browser.ask("GET", "/auth", &NOTHING).expect(&[200]).json();
    assert_eq!(offer["providers"], json!([]), "{offer}");
    assert_eq!(offer["signed_in"], false, "{offer}");
    expect_problem(browser.ask("GET", "/me", &NOTHING), 401, "unauthenticated");

    let answer = browser.sign_in(user.username(), user.password()).expect(&[200]);
    let cookie = answer.header("set-cookie").expect("a cookie is set");
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    assert!(
        !String::from_utf8_lossy(&answer.body).contains(browser.cookie()),
        "script can read it: {answer}"
    );
    let me = browser.me();
    assert_eq!(me["username"], user.username(), "{me}");
    assert_eq!(me["credential"], "session", "{me}");
    assert_eq!(me["csrf_token"], browser.csrf(), "{me}");
    assert_eq!(browser.ask("GET", "/auth", &NOTHING).json()["signed_in"], true);

    let before = browser.clone();
    browser.ask("POST", "/auth/sign-out", &NOTHING).expect(&[200]);
    assert!(!browser.is_signed_in());
    assert!(!before.is_signed_in(), "the old cookie is still good");
    // Again, with nothing to end.
    browser.ask("POST", "/auth/sign-out", &NOTHING).expect(&[200]);
}

#[test]
fn the_cookie_is_for_management_alone() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let browser = Browser::signed_in(&user);
    let cookie = format!("larder={}", browser.cookie());
    for path in ["/v2/", "/v2/_catalog", "/api/v1/a/b/python/simple/"] {
        let answer = crate::scene::Calls::call(&user.as_nobody(), "GET", path, &[("cookie", &cookie)], "");
        answer.expect(&[401]);
    }
    // Nor is it a token.
    let bearer = user.as_bearer(browser.cookie());
    expect_problem(crate::scene::Calls::manage(&bearer, "GET", "/me", &NOTHING), 401, "unauthenticated");
    // And who sends credentials is who they say, cookie or not.
    let path = "/api/v1/me";
    let answer = crate::scene::Calls::call(&server.api(), "GET", path, &[("cookie", &cookie)], "");
    assert_eq!(answer.expect(&[200]).json()["username"], "admin");
}

#[test]
fn signing_in_makes_a_session_anew() {
    let server = own_server(&[]);
    let (user, other) = (user_of(&server.api()), user_of(&server.api()));
    // A cookie that somebody else put there is none, and stays none.
    let planted = Browser::new(&user).with_cookie("0123456789012345678901234567890123456789012");
    assert!(!planted.is_signed_in());
    let mut victim = planted.clone();
    victim.sign_in(user.username(), user.password()).expect(&[200]);
    assert!(victim.is_signed_in());
    assert_ne!(victim.cookie(), planted.cookie());
    assert!(!planted.is_signed_in(), "session fixation");
    // Nor does the session of somebody else stay: who signs in over it ends it.
    let attacker = Browser::signed_in(&other);
    let mut victim = attacker.clone();
    victim.sign_in(user.username(), user.password()).expect(&[200]);
    assert_eq!(victim.me()["username"], user.username());
    assert!(!attacker.is_signed_in());
}

#[test]
fn wrong_passwords_and_wrong_bodies_sign_nobody_in() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::new(&user);
    let answer = browser.sign_in(user.username(), "not the password");
    assert_eq!(answer.header("www-authenticate"), Some("Cookie realm=\"larder\""), "{answer}");
    assert!(answer.header("set-cookie").is_none(), "{answer}");
    expect_problem(answer, 401, "unauthenticated");
    // A token is no password here: a session would outlive it.
    let token = user.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    expect_problem(browser.sign_in(user.username(), &token), 401, "unauthenticated");
    expect_problem(browser.sign_in("__token__", &token), 401, "unauthenticated");
    expect_problem(browser.sign_in("", ""), 401, "unauthenticated");
    for body in [
        json!({ "username": user.username() }),
        json!({ "username": user.username(), "password": user.password(), "remember": true }),
        json!({ "username": user.username(), "password": ["x"] }),
    ] {
        expect_problem(browser.ask("POST", "/auth/sign-in", &body), 422, "malformed");
    }
    assert!(!browser.is_signed_in());
}

#[test]
fn two_cookies_of_one_name_are_none() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let browser = Browser::signed_in(&user);
    let cookies = format!("larder={}; larder=planted", browser.cookie());
    let answer = Browser::new(&user).ask_once("GET", "/me", &[("cookie", cookies)], &NOTHING);
    expect_problem(answer, 401, "unauthenticated");
}
