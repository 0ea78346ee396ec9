//! Tokens of service accounts, and what they share with those of people: life, use, rotation.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Api, Role};

use super::scene::{Machine, server, text};
use crate::scene::{Calls as _, Organization, expect_problem};

#[test]
fn a_token_is_shown_once_and_used_everywhere() {
    let machine = Machine::new();
    let made = machine.token(json!({ "name": "laptop" }));
    let secret = text(&made, "token");
    assert!(secret.starts_with("lrd_sat_"), "{made}");
    assert_eq!((&made["name"], &made["scopes"]), (&json!("laptop"), &Value::Null), "{made}");
    assert_eq!(made["created_by"], machine.owner.username(), "{made}");
    assert!(made["expires_at"].is_string(), "without a word about it, it ends some day: {made}");
    for caller in
        [machine.signed_in_with(&secret), machine.bringing(&secret), machine.owner.as_bearer(&secret)]
    {
        machine.may_push(&caller);
        caller.manage("GET", "/me", &Value::Null).expect(&[200]);
    }
    // Under no other name.
    machine.owner.as_user(machine.owner.username(), &secret).ask("GET", "/v2/").expect(&[401]);
    let answer = machine.of_account("GET", "/tokens", &Value::Null).expect(&[200]);
    assert!(!String::from_utf8_lossy(&answer.body).contains(&secret[8..50]), "{answer}");
    let list = answer.json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list["items"][0]["id"], made["id"]);
}

#[test]
fn a_token_ends_when_it_says() {
    let machine = Machine::new();
    for (member, value) in [
        ("expires_at", json!("2001-01-01T00:00:00Z")),
        ("expires_at", json!("tomorrow")),
        ("name", json!("")),
        ("name", json!("two\nlines")),
        ("scopes", json!([])),
    ] {
        let mut body = json!({ "name": "ci" });
        body[member] = value;
        let problem = expect_problem(machine.of_account("POST", "/tokens", &body), 422, "invalid");
        assert_eq!(problem["field"], member, "{problem}");
    }
    let soon = jiff::Timestamp::now() + Duration::from_secs(2);
    let made = machine.token(json!({ "expires_at": soon.to_string() }));
    let caller = machine.bringing(&text(&made, "token"));
    machine.may_push(&caller);
    let bearer =
        caller.as_bearer(&caller.token(&[&format!("repository:{}:push", machine.repository("app"))]));
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(machine.push(&caller), 401);
    // Clocks may differ by some seconds: so much longer counts what was made from it.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(machine.push(&bearer), 401, "what was made from it does not outlive it");
}

#[test]
fn a_use_is_noted_with_its_place() {
    let machine = Machine::new();
    let made = machine.token(Value::Null);
    assert_eq!(made["last_used_at"], Value::Null, "{made}");
    machine.may_push(&machine.bringing(&text(&made, "token")));
    // Written beside the request.
    let noted = || {
        let list = machine.of_account("GET", "/tokens", &Value::Null).expect(&[200]).json();
        list["items"][0].clone()
    };
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while noted()["last_used_at"].is_null() {
        assert!(std::time::Instant::now() < deadline, "no use was noted");
        std::thread::sleep(Duration::from_millis(50));
    }
    let from = text(&noted(), "last_used_from");
    assert!(["127.0.0.1", "::1"].contains(&from.as_str()), "{from}");
}

/// The tokens of a place: how to make one, and where they are.
fn rotations(machine: &Machine) -> Vec<(Api, String)> {
    let person = machine.organization.member(Role::Writer);
    vec![
        (machine.owner.clone(), machine.at("/service-accounts/deploy/tokens")),
        (person, "/me/tokens".to_owned()),
    ]
}

#[test]
fn a_token_is_rotated_with_an_overlap() {
    let machine = Machine::new();
    for (owner, tokens) in rotations(&machine) {
        let old = owner.manage("POST", &tokens, &json!({ "name": "ci" })).expect(&[201]).json();
        let rotate = format!("{tokens}/{}/rotate", text(&old, "id"));
        let new = owner.manage("POST", &rotate, &json!({ "overlap_secs": 3600 })).expect(&[201]).json();
        assert_ne!(text(&old, "token"), text(&new, "token"));
        assert_eq!((&new["name"], &new["scopes"]), (&old["name"], &old["scopes"]));
        for token in [&old, &new] {
            machine.may_push(&machine.bringing(&text(token, "token")));
        }
        // Without an overlap the old one is over at once.
        let rotate = format!("{tokens}/{}/rotate", text(&new, "id"));
        let newest = owner.manage("POST", &rotate, &json!({})).expect(&[201]).json();
        assert_eq!(machine.push(&machine.bringing(&text(&new, "token"))), 401);
        machine.may_push(&machine.bringing(&text(&newest, "token")));
        // What is over is not rotated again.
        expect_problem(owner.manage("POST", &rotate, &json!({})), 404, "not_found");
        let path = format!("{tokens}/{}", text(&newest, "id"));
        owner.manage("DELETE", &path, &Value::Null).expect(&[204]);
        assert_eq!(machine.push(&machine.bringing(&text(&newest, "token"))), 401);
        expect_problem(owner.manage("DELETE", &path, &Value::Null), 404, "not_found");
    }
}

/// What a token is good for is asked when it is used: its owner's rights then.
#[test]
fn a_token_is_never_stronger_than_its_owner_is_now() {
    let machine = Machine::new();
    let everything = json!([{ "repositories": "**", "actions": ["pull", "push", "delete"] }]);
    let caller = machine.bringing(&text(&machine.token(json!({ "scopes": everything })), "token"));
    machine.may_push(&caller);
    machine.is(Role::Viewer);
    assert_eq!(machine.push(&caller), 403);
    caller.ask("GET", &format!("/v2/{}/tags/list", machine.repository("app"))).expect(&[200, 404]);
    let foreign = Organization::on(&server().api()).repository("app");
    caller.ask("GET", &format!("/v2/{foreign}/tags/list")).expect(&[403]);
}
