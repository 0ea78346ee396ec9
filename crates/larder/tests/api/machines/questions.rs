//! `/api/v1/access/explain`: who may do what, and why.

use serde_json::{Value, json};
use testkit::{Answer, Api, Place, Role, Visibility};

use super::scene::{Machine, server};
use crate::scene::{Calls as _, expect_problem, system_admin_of, user_of};

/// Asks with these parameters.
#[track_caller]
fn ask(caller: &Api, principal: &str, action: &str, resource: &str) -> Answer {
    let principal = match principal {
        "" => String::new(),
        name => format!("&principal={}", name.replace('+', "%2B")),
    };
    let query = format!("action={action}&resource={resource}{principal}");
    caller.manage("GET", &format!("/access/explain?{query}"), &Value::Null)
}

/// The steps that allow or refuse, by where they come from.
fn sources(explanation: &Value, effect: &str) -> Vec<String> {
    let steps = explanation["steps"].as_array().into_iter().flatten();
    let mut found: Vec<String> = steps
        .filter(|step| step["effect"] == effect)
        .map(|step| step["source"].as_str().unwrap_or_default().to_owned())
        .collect();
    found.sort();
    found
}

#[test]
fn the_grants_that_decide() {
    let machine = Machine::new();
    let repository = machine.repository("app");
    let user = user_of(&server().api());
    let name = user.username();
    let asked = ask(&user, "", "artifact:push", &repository).expect(&[200]).json();
    assert_eq!(asked["allowed"], false, "{asked}");
    assert_eq!((&asked["principal"], &asked["role_needed"]), (&json!(name), &json!("writer")), "{asked}");
    assert_eq!(asked["steps"], json!([]), "{asked}");

    machine.owner.member_put(Place::Organization(&machine.organization.name), name, Role::Viewer);
    let asked = ask(&user, "", "artifact:push", &repository).expect(&[200]).json();
    assert_eq!(asked["allowed"], false, "{asked}");
    assert_eq!(sources(&asked, "nothing"), ["organization_member"], "{asked}");
    let asked = ask(&user, "", "artifact:pull", &repository).expect(&[200]).json();
    assert_eq!(asked["allowed"], true, "{asked}");

    machine.owner.member_put(Place::Registry(&machine.organization.name, "main"), name, Role::Writer);
    let asked = ask(&machine.owner, name, "artifact:push", &repository).expect(&[200]).json();
    assert_eq!(asked["allowed"], true, "{asked}");
    assert_eq!(sources(&asked, "allows"), ["registry_member"], "{asked}");
    assert_eq!(sources(&asked, "nothing"), ["organization_member"], "{asked}");

    machine.owner.registry_change(&machine.organization.name, "main", &json!({ "read_only": true }));
    let asked = ask(&user, "", "artifact:push", &repository).expect(&[200]).json();
    assert_eq!(asked["allowed"], false, "{asked}");
    assert_eq!(sources(&asked, "refuses"), ["read_only"], "{asked}");
}

#[test]
fn machines_and_public_registries() {
    let machine = Machine::new();
    let repository = machine.repository("app");
    let account = machine.username();
    for caller in [&machine.owner, &machine.signed_in()] {
        let asked = ask(caller, &account, "artifact:push", &repository).expect(&[200]).json();
        assert_eq!(asked["allowed"], true, "{asked}");
    }
    machine.of_account("PATCH", "", &json!({ "disabled": true })).expect(&[200]);
    let asked = ask(&machine.owner, &account, "artifact:push", &repository).expect(&[200]).json();
    assert_eq!(asked["allowed"], false, "{asked}");
    assert_eq!(sources(&asked, "refuses"), ["disabled"], "{asked}");

    machine.organization.registry("open", Visibility::Public);
    let open = format!("{}/open/app", machine.organization.name);
    let asked = ask(&user_of(&server().api()), "", "artifact:pull", &open).expect(&[200]).json();
    assert_eq!(asked["allowed"], true, "{asked}");
    assert_eq!(sources(&asked, "allows"), ["public"], "{asked}");
}

#[test]
fn who_may_ask_about_whom() {
    let machine = Machine::new();
    let repository = machine.repository("app");
    let user = machine.organization.member(Role::Writer);
    let system = system_admin_of(server());
    for caller in [&machine.owner, &system, &user] {
        let asked = ask(caller, user.username(), "artifact:push", &repository).expect(&[200]).json();
        assert_eq!(asked["allowed"], true, "{asked}");
    }
    expect_problem(ask(&user, machine.owner.username(), "artifact:push", &repository), 403, "denied");
    let stranger = user_of(&server().api());
    for principal in [user.username(), "nobody-at-all"] {
        expect_problem(ask(&stranger, principal, "artifact:push", &repository), 404, "not_found");
    }
    expect_problem(ask(&machine.owner, "nobody-at-all", "artifact:push", &repository), 404, "not_found");
    // Machines of others are none of an administrator's business.
    let other = Machine::new();
    expect_problem(ask(&machine.owner, &other.username(), "artifact:push", &repository), 404, "not_found");
    ask(&user.as_nobody(), "", "artifact:push", &repository).expect(&[401]);
}

#[test]
fn questions_that_make_no_sense() {
    let machine = Machine::new();
    let repository = machine.repository("app");
    for (action, resource) in
        [("fly", repository.as_str()), ("artifact:push", ""), ("artifact:push", "No/Such"), ("", "")]
    {
        expect_problem(ask(&machine.owner, "", action, resource), 422, "invalid");
    }
    expect_problem(ask(&machine.owner, "", "artifact:push", &machine.organization.name), 400, "malformed");
    let answer = machine.owner.manage("GET", "/access/explain?action=artifact:push", &Value::Null);
    assert_eq!(answer.status, 400, "{answer}");
}
