//! Invitations: a role for whoever brings the link, once.

use serde_json::{Value, json};
use testkit::{Api, Role};

use super::scene::{Machine, server, text};
use crate::scene::{Calls as _, expect_problem, user_of};

/// The secret that a link ends in.
fn secret(invitation: &Value) -> String {
    let link = text(invitation, "link");
    assert!(link.starts_with(&format!("{}/invitations/", server().url())), "{invitation}");
    link.rsplit('/').next().expect("a link has a last part").to_owned()
}

#[track_caller]
fn accept(caller: &Api, secret: &str) -> testkit::Answer {
    caller.manage("POST", "/invitations:accept", &json!({ "secret": secret }))
}

#[test]
fn an_invitation_is_taken_up_once() {
    let machine = Machine::new();
    let organization = &machine.organization.name;
    for (rest, registry) in [("/invitations", Value::Null), ("/registries/main/invitations", json!("main"))] {
        let body = json!({ "email": "new@example.com", "role": "writer" });
        let made = machine.manage("POST", rest, &body).expect(&[201]).json();
        assert_eq!((&made["email"], &made["registry"]), (&json!("new@example.com"), &registry), "{made}");
        assert_eq!(made["invited_by"], machine.owner.username(), "{made}");
        assert_eq!(made["mailed"], false, "this server sends no mail: {made}");
        let list = machine.manage("GET", rest, &Value::Null).expect(&[200]).json();
        let listed = list["items"].as_array().into_iter().flatten().find(|item| item["id"] == made["id"]);
        let listed = listed.unwrap_or_else(|| panic!("it is not listed: {list}"));
        assert_eq!(listed.get("link"), None, "the link is shown once: {list}");

        let user = user_of(&server().api());
        assert_eq!(machine.push(&user), 403);
        let accepted = accept(&user, &secret(&made)).expect(&[200]).json();
        let expected = json!({ "organization": organization, "registry": registry, "role": "writer" });
        assert_eq!(accepted, expected);
        machine.may_push(&user);
        let other = user_of(&server().api());
        for caller in [&user, &other] {
            expect_problem(accept(caller, &secret(&made)), 404, "not_found");
        }
        let list = machine.manage("GET", rest, &Value::Null).expect(&[200]).json();
        assert_eq!(list["items"], json!([]));
    }
}

#[test]
fn an_invitation_is_taken_back() {
    let machine = Machine::new();
    let made = machine.manage("POST", "/invitations", &json!({ "role": "viewer" })).expect(&[201]).json();
    assert_eq!(made["email"], Value::Null);
    let path = format!("/invitations/{}", text(&made, "id"));
    machine.manage("DELETE", &path, &Value::Null).expect(&[204]);
    expect_problem(machine.manage("DELETE", &path, &Value::Null), 404, "not_found");
    expect_problem(accept(&user_of(&server().api()), &secret(&made)), 404, "not_found");
}

#[test]
fn invitations_that_are_refused() {
    let machine = Machine::new();
    for body in [
        json!({ "email": "nowhere", "role": "viewer" }),
        json!({ "email": "a@b\r\nBcc: c@d", "role": "viewer" }),
        json!({ "email": "new@example.com", "role": "owner" }),
        json!({ "email": "new@example.com" }),
        json!({ "role": "viewer", "registry": "main" }),
    ] {
        let answer = machine.manage("POST", "/invitations", &body);
        assert!([400, 422].contains(&answer.status), "{body}: {answer}");
    }
    let user = user_of(&server().api());
    for secret in ["", "x", "../../etc", &"0".repeat(64), &"x".repeat(10_000)] {
        expect_problem(accept(&user, secret), 404, "not_found");
    }
    accept(&user.as_nobody(), "x").expect(&[401]);
}

/// Whoever was invited with less than they have loses nothing by it.
#[test]
fn an_invitation_takes_nothing_away() {
    let machine = Machine::new();
    let made = machine.manage("POST", "/invitations", &json!({ "role": "viewer" })).expect(&[201]).json();
    let writer = machine.organization.member(Role::Writer);
    accept(&writer, &secret(&made)).expect(&[200]);
    machine.may_push(&writer);
}

/// An invitation stands for a right that its maker has.
#[test]
fn t16_an_invitation_is_over_when_its_maker_may_invite_no_more() {
    let machine = Machine::new();
    let maker = machine.organization.member(Role::Admin);
    let made = maker.manage("POST", &machine.at("/invitations"), &json!({ "role": "admin" }));
    let made = made.expect(&[201]).json();
    let place = testkit::Place::Organization(&machine.organization.name);
    machine.owner.member_put(place, maker.username(), Role::Writer);
    expect_problem(accept(&user_of(&server().api()), &secret(&made)), 404, "not_found");
}

/// A job is over soon, and whoever it would invite is not.
#[test]
fn t13_a_job_invites_nobody() {
    let machine = Machine::new();
    machine.is(Role::Admin);
    machine.bind(json!({}));
    let job = machine.job(&super::scene::issuer().token(&machine.claims()));
    let answer = job.manage("POST", &machine.at("/invitations"), &json!({ "role": "viewer" }));
    expect_problem(answer, 403, "denied");
    let person = machine.manage("POST", "/invitations", &json!({ "role": "viewer" })).expect(&[201]).json();
    expect_problem(accept(&machine.signed_in(), &secret(&person)), 403, "denied");
}
