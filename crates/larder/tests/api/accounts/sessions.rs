//! The browsers in which one is signed in.

use super::{Browser, NOTHING};
use crate::scene::{Calls as _, expect_problem, own_server, user_of};

/// The identifiers of all sessions, as one of them lists them.
#[track_caller]
fn ids(browser: &mut Browser) -> Vec<String> {
    let list = browser.ask("GET", "/me/sessions", &NOTHING).expect(&[200]).json();
    let items = list["items"].as_array().expect("a list has items");
    items.iter().map(|item| item["id"].as_str().expect("a session has an id").to_owned()).collect()
}

/// The identifier of the browser's own session.
#[track_caller]
fn own_id(browser: &mut Browser) -> String {
    let list = browser.ask("GET", "/me/sessions", &NOTHING).expect(&[200]).json();
    let items = list["items"].as_array().expect("a list has items");
    let mut current = items.iter().filter(|item| item["current"] == true);
    let own = current.next().expect("one session is the one that asks");
    assert!(current.next().is_none(), "{list}");
    own["id"].as_str().expect("a session has an id").to_owned()
}

#[test]
fn sessions_are_listed_and_ended() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browsers = [0; 4].map(|_| Browser::signed_in(&user));
    let [first, second, ..] = &mut browsers;
    assert_eq!(ids(first).len(), 4);
    let list = first.ask("GET", "/me/sessions", &NOTHING).expect(&[200]);
    assert!(!String::from_utf8_lossy(&list.body).contains(first.cookie()), "the list shows the secret");
    let item = &list.json()["items"][0];
    for field in ["user_agent", "address", "created_at", "last_seen_at", "expires_at"] {
        assert!(item[field].is_string(), "{field}: {item}");
    }

    let id = own_id(second);
    first.ask("DELETE", &format!("/me/sessions/{id}"), &NOTHING).expect(&[204]);
    assert!(!second.is_signed_in());
    assert_eq!(ids(first).len(), 3);
    expect_problem(first.ask("DELETE", &format!("/me/sessions/{id}"), &NOTHING), 404, "not_found");

    first.ask("DELETE", "/me/sessions", &NOTHING).expect(&[204]);
    let [first, .., fourth] = &mut browsers;
    assert!(first.is_signed_in() && !fourth.is_signed_in());
    assert_eq!(ids(first), [own_id(first)]);
    // With a password one ends them all.
    user.manage("DELETE", "/me/sessions", &NOTHING).expect(&[204]);
    assert!(!first.is_signed_in());
}

#[test]
fn t12_a_session_is_its_owners() {
    let server = own_server(&[]);
    let (one, other) = (user_of(&server.api()), user_of(&server.api()));
    let mut browser = Browser::signed_in(&one);
    let id = own_id(&mut browser);
    let mut stranger = Browser::signed_in(&other);
    for caller in [&other, &server.api()] {
        let path = format!("/me/sessions/{id}");
        expect_problem(caller.manage("DELETE", &path, &NOTHING), 404, "not_found");
    }
    expect_problem(stranger.ask("DELETE", &format!("/me/sessions/{id}"), &NOTHING), 404, "not_found");
    assert!(!ids(&mut stranger).contains(&id));
    for id in ["0", "1", "-1", "9223372036854775807", "' OR 1=1 --"] {
        let path = format!("/me/sessions/{}", id.replace(' ', "%20"));
        expect_problem(stranger.ask("DELETE", &path, &NOTHING), 404, "not_found");
    }
    other.manage("DELETE", "/me/sessions", &NOTHING).expect(&[204]);
    assert!(browser.is_signed_in());
}

#[test]
fn a_session_that_nobody_uses_ends() {
    let server =
        own_server(&[("LARDER_AUTH__SESSION_IDLE", "60s"), ("LARDER_AUTH__SESSION_LIFETIME", "60s")]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let list = browser.ask("GET", "/me/sessions", &NOTHING).expect(&[200]).json();
    let time = |field: &str| -> f64 {
        let text = list["items"][0][field].as_str().expect("a time is text");
        let (_, clock) = text.split_once('T').expect("a time has a clock");
        let parts = clock.trim_end_matches('Z').split(':').map(|part| part.parse::<f64>().expect("a number"));
        parts.fold(0.0, |time, part| time * 60.0 + part)
    };
    // It may end on the next day.
    let life = (time("expires_at") - time("created_at")).rem_euclid(86_400.0);
    assert!((59.0..=61.0).contains(&life), "{life} s: {list}");
}

#[test]
fn a_user_who_is_deleted_is_signed_out() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let browser = Browser::signed_in(&user);
    server.api().user_delete(user.username());
    assert!(!browser.is_signed_in());
}

/// What a token may not do, so that whoever finds one does not keep the account.
#[test]
fn a_token_is_no_browser() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut browser = Browser::signed_in(&user);
    let id = own_id(&mut browser);
    let token = user.token_create("found")["token"].as_str().expect("a token is text").to_owned();
    for caller in
        [user.as_bearer(&token), user.as_user("__token__", &token), user.as_user(user.username(), &token)]
    {
        for (method, path, body) in [
            ("GET", "/me/sessions".to_owned(), NOTHING),
            ("DELETE", "/me/sessions".to_owned(), NOTHING),
            ("DELETE", format!("/me/sessions/{id}"), NOTHING),
            ("POST", "/me/tokens".to_owned(), serde_json::json!({ "name": "more" })),
            ("PATCH", "/me".to_owned(), serde_json::json!({ "email": "mine@example.com" })),
            (
                "POST",
                "/me/password".to_owned(),
                serde_json::json!({ "current_password": user.password(), "new_password": "a new one of mine" }),
            ),
            ("GET", "/me/second-factor".to_owned(), NOTHING),
            ("POST", "/me/second-factor".to_owned(), NOTHING),
            ("DELETE", "/me/second-factor".to_owned(), serde_json::json!({ "code": "123456" })),
            ("GET", "/me/identities".to_owned(), NOTHING),
            ("DELETE", "/me/identities?issuer=a&subject=b".to_owned(), NOTHING),
        ] {
            let answer = caller.manage(method, &path, &body);
            assert_eq!(answer.status, 403, "{method} {path}: {answer}");
            expect_problem(answer, 403, "denied");
        }
        // Who it is, it may say; and it may end itself.
        caller.manage("GET", "/me", &NOTHING).expect(&[200]);
    }
    assert!(browser.is_signed_in());
    let tokens = browser.ask("GET", "/me/tokens", &NOTHING).expect(&[200]).json();
    let id = tokens["items"][0]["id"].as_str().expect("a token has an id").to_owned();
    user.as_bearer(&token).manage("DELETE", &format!("/me/tokens/{id}"), &NOTHING).expect(&[204]);
    user.as_bearer(&token).manage("GET", "/me", &NOTHING).expect(&[401]);
}
