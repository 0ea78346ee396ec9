//! More than was given: in what a request says of itself, and in what a token makes.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Role, random_word};

use super::scene::{Machine, issuer, server, text};
use crate::scene::{Calls as _, expect_problem, user_of};

/// Members that an answer has are none that a request may have.
#[test]
fn t13_a_request_says_nothing_of_what_it_may_not_decide() {
    let machine = Machine::new();
    let root = server().api();
    let user = user_of(&root);
    let foreign = Machine::new();
    let requests = [
        ("POST", "/me/tokens".to_owned(), json!({ "name": "t" })),
        ("POST", machine.at("/service-accounts"), json!({ "name": format!("m-{}", &random_word()[..12]) })),
        ("PATCH", machine.at("/service-accounts/deploy"), json!({ "description": "x" })),
        ("POST", machine.at("/service-accounts/deploy/tokens"), json!({ "name": "t" })),
        ("POST", machine.at("/invitations"), json!({ "role": "viewer" })),
        ("POST", machine.at("/registries/main/invitations"), json!({ "role": "viewer" })),
        ("PUT", machine.at(&format!("/members/{}", user.username())), json!({ "role": "viewer" })),
        ("POST", "/invitations:accept".to_owned(), json!({ "secret": "x" })),
        ("POST", machine.at("/bindings:test"), json!({ "token": "x" })),
    ];
    let extras = [
        ("system_admin", json!(true)),
        ("is_admin", json!(true)),
        ("has_admin_role", json!(true)),
        ("id", json!(1)),
        ("user_id", json!(1)),
        ("username", json!("admin")),
        ("organization", json!(foreign.organization.name)),
        ("organization_id", json!(1)),
        ("kind", json!("person")),
        ("created_by", json!("admin")),
        ("invited_by", json!("admin")),
        ("token", json!("lrd_pat_0")),
        ("roles", json!(["admin"])),
    ];
    for (method, path, body) in requests {
        for (name, value) in &extras {
            if body.get(name).is_some() {
                continue;
            }
            let mut body = body.clone();
            body[name] = value.clone();
            let answer = machine.owner.manage(method, &path, &body);
            assert_eq!(answer.status, 422, "{method} {path} takes {name}: {answer}");
        }
    }
    let me = machine.signed_in().manage("GET", "/me", &Value::Null).expect(&[200]).json();
    assert_eq!(me["system_admin"], false, "{me}");
}

/// A pattern that reaches into other organizations opens nothing there.
#[test]
fn t13_a_scope_gives_no_right() {
    let (machine, foreign) = (Machine::new(), Machine::new());
    let target = foreign.repository("app");
    for pattern in ["**".to_owned(), format!("{}/**", foreign.organization.name), target.clone()] {
        let scopes = json!([{ "repositories": pattern, "actions": ["pull", "push", "delete"] }]);
        let made = machine.of_account("POST", "/tokens", &json!({ "name": "t", "scopes": scopes }));
        // Either it is refused or it is worth nothing.
        if made.status != 201 {
            assert_eq!(made.status, 422, "{made}");
            continue;
        }
        let caller = machine.bringing(&text(&made.json(), "token"));
        let issued = caller.ask("GET", &format!("/token?scope=repository:{target}:pull,push")).expect(&[200]);
        assert_eq!(issued.json()["scope"], "", "{issued}");
        caller.manifest_get(&target, "1").expect(&[403]);
        caller.ask("POST", &format!("/v2/{target}/blobs/uploads/")).expect(&[403]);
    }
}

/// What a token makes is no stronger than the token, and lives no longer.
#[test]
fn t13_a_token_makes_none_that_is_stronger() {
    let machine = Machine::new();
    machine.is(Role::Admin);
    let tokens = machine.at("/service-accounts/deploy/tokens");
    // A person's token does not make another one of that person.
    let personal = text(&machine.owner.token_create("laptop"), "token");
    let body = json!({ "name": "more" });
    expect_problem(machine.bringing(&personal).manage("POST", "/me/tokens", &body), 403, "denied");
    // One that ends makes only what ends as soon.
    let soon = (jiff::Timestamp::now() + Duration::from_hours(1)).to_string();
    let short = machine.token(json!({ "expires_at": soon }));
    let caller = machine.bringing(&text(&short, "token"));
    for body in [json!({ "name": "more" }), json!({ "name": "more", "expires_at": "2099-01-01T00:00:00Z" })] {
        let made = caller.manage("POST", &tokens, &body);
        if made.status == 201 {
            let end: jiff::Timestamp = text(&made.json(), "expires_at").parse().expect("a time");
            assert!(end <= soon.parse().expect("a time"), "{made}");
        } else {
            expect_problem(made, 403, "denied");
        }
    }
    // A limited one manages nothing, so it makes none at all.
    let limited = machine.token(json!({ "scopes": [{ "repositories": "**", "actions": ["pull"] }] }));
    let caller = machine.bringing(&text(&limited, "token"));
    expect_problem(caller.manage("POST", &tokens, &json!({ "name": "more" })), 403, "denied");
}

/// A job lives for minutes. Nothing that it can make lives longer.
#[test]
fn t13_a_job_makes_nothing_that_stays() {
    let machine = Machine::new();
    machine.is(Role::Admin);
    machine.bind(json!({}));
    let old = machine.token(Value::Null);
    let direct = machine.job(&issuer().token(&machine.claims()));
    let issued = machine.exchange(&issuer().token(&machine.claims()), "").expect(&[200]).json();
    let exchanged = machine.bringing(&text(&issued, "access_token"));
    let accounts = machine.at("/service-accounts/deploy");
    let binding = json!({
        "name": "more",
        "issuer": machine.issuer,
        "claims": [{ "claim": "repository_id", "equals": "1" }],
    });
    for caller in [direct, exchanged] {
        let made = caller.manage("POST", &format!("{accounts}/tokens"), &json!({ "name": "more" }));
        if made.status == 201 {
            let end: jiff::Timestamp = text(&made.json(), "expires_at").parse().expect("a time");
            let latest = jiff::Timestamp::now() + Duration::from_hours(1);
            assert!(end <= latest, "{made}");
        } else {
            expect_problem(made, 403, "denied");
        }
        let rotate = format!("{accounts}/tokens/{}/rotate", text(&old, "id"));
        expect_problem(caller.manage("POST", &rotate, &json!({})), 403, "denied");
        expect_problem(caller.manage("POST", &format!("{accounts}/bindings"), &binding), 403, "denied");
        let invitation = json!({ "role": "admin" });
        expect_problem(caller.manage("POST", &machine.at("/invitations"), &invitation), 403, "denied");
    }
}

/// An administrator of one registry is none of the organization around it, nor of its machines.
#[test]
fn t13_a_role_on_a_registry_makes_no_machine() {
    let machine = Machine::new();
    let user = user_of(&server().api());
    let place = testkit::Place::Registry(&machine.organization.name, "main");
    machine.owner.member_put(place, user.username(), Role::Admin);
    for (path, body) in [
        ("/service-accounts", json!({ "name": "mine" })),
        ("/service-accounts/deploy/tokens", json!({ "name": "mine" })),
        ("/invitations", json!({ "role": "admin" })),
        ("/group-roles", json!({ "provider": "company", "group": "all", "role": "admin" })),
        ("/bindings:test", json!({ "token": "x" })),
    ] {
        expect_problem(user.manage("POST", &machine.at(path), &body), 403, "denied");
    }
}
