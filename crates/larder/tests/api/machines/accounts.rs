//! Service accounts from making to deleting.

use serde_json::{Value, json};
use testkit::{Place, Role};

use super::scene::{Machine, server, text};
use crate::scene::{Calls as _, Organization, expect_problem, own_server};

#[test]
fn an_account_from_making_to_deleting() {
    let machine = Machine::without_rights_on(server(), "https://ci.example.com");
    let made = machine.manage(
        "POST",
        "/service-accounts",
        &json!({ "name": "nightly", "description": "builds at night" }),
    );
    let account = made.expect(&[201]).json();
    let username = format!("{}+nightly", machine.organization.name);
    assert_eq!(account["name"], "nightly");
    assert_eq!(account["username"], username.as_str());
    assert_eq!(account["description"], "builds at night");
    assert_eq!(account["disabled"], false);

    let list = machine.manage("GET", "/service-accounts", &Value::Null).expect(&[200]).json();
    let names: Vec<_> = list["items"].as_array().into_iter().flatten().map(|item| &item["name"]).collect();
    assert_eq!(names, ["deploy", "nightly"]);
    let page = machine.manage("GET", "/service-accounts?limit=1", &Value::Null).expect(&[200]).json();
    let next = format!("/service-accounts?limit=1&cursor={}", text(&page, "next_cursor").replace('+', "%2B"));
    let page = machine.manage("GET", &next, &Value::Null).expect(&[200]).json();
    assert_eq!(page["items"][0]["name"], "nightly", "{page}");

    let path = "/service-accounts/nightly";
    assert_eq!(machine.manage("GET", path, &Value::Null).expect(&[200]).json(), account);
    let changed = machine.manage("PATCH", path, &json!({ "description": "builds at noon" }));
    assert_eq!(changed.expect(&[200]).json()["description"], "builds at noon");
    machine.manage("DELETE", path, &Value::Null).expect(&[204]);
    expect_problem(machine.manage("GET", path, &Value::Null), 404, "not_found");
    expect_problem(machine.manage("DELETE", path, &Value::Null), 404, "not_found");
}

#[test]
fn names_that_are_refused() {
    let machine = Machine::new();
    for name in ["", "Deploy", "a b", "a+b", "a/b", "-a", ".a", "ü", &"a".repeat(33)] {
        let answer = machine.manage("POST", "/service-accounts", &json!({ "name": name }));
        let problem = expect_problem(answer, 422, "invalid");
        assert_eq!(problem["field"], "name", "{problem}");
    }
    let answer = machine.manage("POST", "/service-accounts", &json!({ "name": "deploy" }));
    expect_problem(answer, 409, "conflict");
    // The same name elsewhere is another account.
    let other = Machine::new();
    assert_ne!(other.username(), machine.username());
}

#[test]
fn an_account_does_what_its_roles_say() {
    let machine = Machine::without_rights_on(server(), "https://ci.example.com");
    let caller = machine.signed_in();
    assert_eq!(machine.push(&caller), 403);
    let place = Place::Registry(&machine.organization.name, "main");
    machine.owner.member_put(place, &machine.username(), Role::Writer);
    machine.may_push(&caller);
    let members = machine.owner.member_list(place);
    assert_eq!(members["items"][0]["username"], machine.username().as_str(), "{members}");
    let me = caller.manage("GET", "/me", &Value::Null).expect(&[200]).json();
    assert_eq!((&me["username"], &me["kind"]), (&json!(machine.username()), &json!("service")), "{me}");
    machine.owner.member_delete(place, &machine.username());
    assert_eq!(machine.push(&caller), 403);
}

#[test]
fn an_account_has_roles_in_its_own_organization_alone() {
    let (machine, other) = (Machine::new(), Machine::new());
    let role = json!({ "role": "viewer" });
    for place in [other.at(""), other.at("/registries/main")] {
        let path = format!("{place}/members/{}", machine.username());
        let answer = other.owner.manage("PUT", &path, &role);
        assert!([404, 409, 422].contains(&answer.status), "{answer}");
        let path = format!("{place}/members/{}", other.username());
        other.owner.manage("PUT", &path, &role).expect(&[200]);
    }
}

#[test]
fn a_disabled_account_may_nothing_until_it_is_enabled() {
    let machine = Machine::new();
    let caller = machine.signed_in();
    let scope = format!("repository:{}:pull,push", machine.repository("app"));
    let bearer = caller.as_bearer(&caller.token(&[&scope]));
    machine.may_push(&caller);
    machine.may_push(&bearer);
    let changed = machine.of_account("PATCH", "", &json!({ "disabled": true })).expect(&[200]).json();
    assert_eq!(changed["disabled"], true);
    assert_eq!(machine.push(&caller), 401);
    assert_eq!(machine.push(&bearer), 401);
    caller.ask("GET", "/token?service=larder").expect(&[401]);
    machine.of_account("PATCH", "", &json!({ "disabled": false })).expect(&[200]);
    machine.may_push(&caller);
    assert_eq!(machine.push(&bearer), 401, "what was issued before stays over");
    machine.of_account("DELETE", "", &Value::Null).expect(&[204]);
    assert_eq!(machine.push(&caller), 401);
}

/// A person's things: password, tokens of its own, sessions, the list of users.
#[test]
fn an_account_is_no_person() {
    let server = own_server(&[]);
    let machine = Machine::on(&server, "https://ci.example.com");
    for password in ["", "deploy", &machine.username()] {
        let caller = machine.owner.as_user(&machine.username(), password);
        caller.ask("GET", "/v2/").expect(&[401]);
    }
    let users = server.api().manage("GET", "/users?limit=200", &Value::Null).expect(&[200]).json();
    assert!(!users.to_string().contains("+deploy"), "{users}");
    let caller = machine.signed_in();
    for (method, path, body) in [
        ("GET", "/me/tokens", Value::Null),
        ("POST", "/me/tokens", json!({ "name": "mine" })),
        ("GET", "/me/sessions", Value::Null),
        ("GET", "/me/identities", Value::Null),
        ("GET", "/me/second-factor", Value::Null),
        ("POST", "/me/password", json!({ "current": "x", "new": "a long enough password" })),
        ("POST", "/invitations:accept", json!({ "secret": "none" })),
    ] {
        let answer = caller.manage(method, path, &body);
        assert!([403, 422].contains(&answer.status), "{answer}");
    }
    let created = caller.manage("POST", "/organizations", &json!({ "name": "of-a-machine" }));
    expect_problem(created, 403, "denied");
}

/// Whatever it was made, a machine does not run the server.
#[test]
fn an_account_is_never_a_system_administrator() {
    let machine = Machine::new();
    let root = server().api();
    let path = format!("/users/{}", machine.username().replace('+', "%2B"));
    let answer = root.manage("PATCH", &path, &json!({ "system_admin": true }));
    assert!([404, 409, 422, 403].contains(&answer.status), "{answer}");
    expect_problem(machine.signed_in().manage("GET", "/users", &Value::Null), 403, "denied");
}

#[test]
fn accounts_fall_with_their_organization() {
    let server = own_server(&[]);
    let machine = Machine::on(&server, "https://ci.example.com");
    let caller = machine.signed_in();
    caller.ask("GET", "/v2/").expect(&[200]);
    machine.owner.registry_delete(&machine.organization.name, "main");
    testkit::run(&mut server.command(&["gc", "--once"])).success();
    machine.owner.organization_delete(&machine.organization.name);
    caller.ask("GET", "/v2/").expect(&[401]);
    // The name is free for somebody else, and what the old account had is not theirs.
    server.api().organization_create(&machine.organization.name);
    let again = Organization::on(&server.api());
    assert_ne!(again.name, machine.organization.name);
    caller.ask("GET", "/v2/").expect(&[401]);
}
