//! Rows about registries, the packages in them, and the instance.

use serde_json::{Value, json};
use testkit::python::Wheel;
use testkit::{Answer, Api, Place, Role, random_word};

use super::organization::invitation;
use super::{Row, Stage};
use crate::scene::{Calls as _, user_of};

/// Columns: anonymous, other | organization V W A | registry V W A | system | machine W, machine A.
#[rustfmt::skip]
pub(super) const REGISTRY: &[Row] = &[
    Row("see a registry, private",         |s, c| of(s, c, "GET", "main", "", &Value::Null),         "401 404 | 200 200 200 | 200 200 200 | 404 | 200 200"),
    Row("change a registry, private",      |s, c| of(s, c, "PATCH", "main", "", &same()),            "401 404 | 403 403 200 | 403 403 200 | 404 | 403 200"),
    Row("delete a registry, private",      |s, c| of(s, c, "DELETE", "main", "", &Value::Null),      "401 404 | 403 403 409 | 403 403 409 | 404 | 403 409"),
    Row("list members, private",           |s, c| of(s, c, "GET", "main", "/members", &Value::Null), "401 404 | 403 200 200 | 403 200 200 | 404 | 200 200"),
    Row("see a member, private",           |s, c| see_member(s, c, "main"),                          "401 404 | 403 200 200 | 403 200 200 | 404 | 200 200"),
    Row("make somebody a member, private", |s, c| put_member(s, c, "main"),                          "401 404 | 403 403 200 | 403 403 200 | 404 | 403 200"),
    Row("end a membership, private",       |s, c| delete_member(s, c, "main"),                       "401 404 | 403 403 204 | 403 403 204 | 404 | 403 204"),
    Row("list invitations, private",       |s, c| of(s, c, "GET", "main", "/invitations", &Value::Null), "401 404 | 403 403 200 | 403 403 200 | 404 | 403 200"),
    Row("invite somebody, private",        |s, c| of(s, c, "POST", "main", "/invitations", &invitation()), "401 404 | 403 403 201 | 403 403 201 | 404 | 403 201"),
    Row("take an invitation back, private", |s, c| delete_invitation(s, c, "main"),                  "401 404 | 403 403 204 | 403 403 204 | 404 | 403 204"),
    Row("see a registry, public",          |s, c| of(s, c, "GET", "open", "", &Value::Null),         "401 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("change a registry, public",       |s, c| of(s, c, "PATCH", "open", "", &json!({})),         "401 403 | 403 403 200 | 403 403 200 | 403 | 403 200"),
    Row("delete a registry, public",       |s, c| of(s, c, "DELETE", "open", "", &Value::Null),      "401 403 | 403 403 409 | 403 403 409 | 403 | 403 409"),
    Row("list members, public",            |s, c| of(s, c, "GET", "open", "/members", &Value::Null), "401 403 | 403 200 200 | 403 200 200 | 403 | 200 200"),
    Row("make somebody a member, public",  |s, c| put_member(s, c, "open"),                          "401 403 | 403 403 200 | 403 403 200 | 403 | 403 200"),
    Row("end a membership, public",        |s, c| delete_member(s, c, "open"),                       "401 403 | 403 403 204 | 403 403 204 | 403 | 403 204"),
    Row("invite somebody, public",         |s, c| of(s, c, "POST", "open", "/invitations", &invitation()), "401 403 | 403 403 201 | 403 403 201 | 403 | 403 201"),
];

/// The columns are the same.
#[rustfmt::skip]
pub(super) const PACKAGES: &[Row] = &[
    Row("list projects, private",    |s, c| package(s, c, "GET", "main", "", &Value::Null),          "401 404 | 200 200 200 | 200 200 200 | 404 | 200 200"),
    Row("see a project, private",    |s, c| project(s, c, "GET", "main", "", &Value::Null),          "401 404 | 200 200 200 | 200 200 200 | 404 | 200 200"),
    Row("list releases, private",    |s, c| project(s, c, "GET", "main", "/releases", &Value::Null), "401 404 | 200 200 200 | 200 200 200 | 404 | 200 200"),
    Row("list files, private",       |s, c| project(s, c, "GET", "main", "/files", &Value::Null),    "401 404 | 200 200 200 | 200 200 200 | 404 | 200 200"),
    Row("set a status, private",     |s, c| project(s, c, "PATCH", "main", "", &json!({ "status": "active" })), "401 404 | 403 403 200 | 403 403 200 | 404 | 403 200"),
    Row("yank a release, private",   |s, c| project(s, c, "PATCH", "main", "/releases/1.0", &json!({ "yanked": true })), "401 404 | 403 200 200 | 403 200 200 | 404 | 200 200"),
    Row("delete a file, private",    |s, c| delete_file(s, c, "main"),                               "401 404 | 403 204 204 | 403 204 204 | 404 | 204 204"),
    Row("see a project, public",     |s, c| project(s, c, "GET", "open", "", &Value::Null),          "401 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("set a status, public",      |s, c| project(s, c, "PATCH", "open", "", &json!({ "status": "active" })), "401 403 | 403 403 200 | 403 403 200 | 403 | 403 200"),
    Row("delete a file, public",     |s, c| delete_file(s, c, "open"),                               "401 403 | 403 204 204 | 403 204 204 | 403 | 204 204"),
];

/// The columns are the same. Where the caller is an account of a machine, what is a person's is refused.
#[rustfmt::skip]
pub(super) const INSTANCE: &[Row] = &[
    Row("who am I",                 |_, c| c.manage("GET", "/me", &Value::Null),                     "401 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("list my tokens",           |_, c| c.manage("GET", "/me/tokens", &Value::Null),              "401 200 | 200 200 200 | 200 200 200 | 200 | 403 403"),
    Row("make a token of mine",     |_, c| c.manage("POST", "/me/tokens", &json!({ "name": "t" })),  "401 201 | 201 201 201 | 201 201 201 | 201 | 403 403"),
    Row("list organizations",       |_, c| c.manage("GET", "/organizations", &Value::Null),          "401 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("create an organization",   create_organization,                                             "401 403 | 403 403 403 | 403 403 403 | 201 | 403 403"),
    Row("list users",               |_, c| c.manage("GET", "/users", &Value::Null),                  "401 403 | 403 403 403 | 403 403 403 | 200 | 403 403"),
    Row("create a user",            create_user,                                                     "401 403 | 403 403 403 | 403 403 403 | 201 | 403 403"),
    Row("see a user",               |s, c| of_user(s, c, "GET", &Value::Null),                       "401 403 | 403 403 403 | 403 403 403 | 200 | 403 403"),
    Row("disable a user",           |s, c| of_user(s, c, "PATCH", &json!({ "disabled": true })),     "401 403 | 403 403 403 | 403 403 403 | 200 | 403 403"),
    Row("delete a user",            |s, c| of_user(s, c, "DELETE", &Value::Null),                    "401 403 | 403 403 403 | 403 403 403 | 204 | 403 403"),
    Row("what may I",               |s, c| explain(s, c, ""),                                        "401 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("what may a member",        |s, c| explain(s, c, s.callers[3].username()),                   "401 404 | 403 200 200 | 403 403 200 | 200 | 403 200"),
];

/// A change that changes nothing.
fn same() -> Value {
    json!({})
}

fn of(stage: &Stage, caller: &Api, method: &str, registry: &str, rest: &str, body: &Value) -> Answer {
    caller.manage(method, &stage.at(&format!("/registries/{registry}{rest}")), body)
}

fn see_member(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    // The viewer of the registries.
    of(stage, caller, "GET", registry, &format!("/members/{}", stage.callers[5].username()), &Value::Null)
}

fn put_member(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let user = user_of(stage.organization.admin());
    of(stage, caller, "PUT", registry, &format!("/members/{}", user.username()), &json!({ "role": "viewer" }))
}

fn delete_member(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let user = user_of(stage.organization.admin());
    stage.owner.member_put(
        Place::Registry(&stage.organization.name, registry),
        user.username(),
        Role::Viewer,
    );
    of(stage, caller, "DELETE", registry, &format!("/members/{}", user.username()), &Value::Null)
}

fn delete_invitation(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let invitations = stage.at(&format!("/registries/{registry}/invitations"));
    let id = stage.made(&invitations, &invitation(), "id");
    caller.manage("DELETE", &format!("{invitations}/{id}"), &Value::Null)
}

fn package(stage: &Stage, caller: &Api, method: &str, registry: &str, rest: &str, body: &Value) -> Answer {
    of(stage, caller, method, registry, &format!("/python/projects{rest}"), body)
}

fn project(stage: &Stage, caller: &Api, method: &str, registry: &str, rest: &str, body: &Value) -> Answer {
    package(stage, caller, method, registry, &format!("/{}{rest}", stage.wheel.name), body)
}

fn delete_file(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let file = Wheel::new(&format!("pkg-{}", random_word()), "1.0").build();
    stage.owner.python_upload(&stage.organization.name, registry, &file).expect(&[200]);
    let rest = format!("/{}/files/{}", file.name, file.filename);
    package(stage, caller, "DELETE", registry, &rest, &Value::Null)
}

fn create_organization(_: &Stage, caller: &Api) -> Answer {
    caller.manage("POST", "/organizations", &json!({ "name": format!("org-{}", random_word()) }))
}

fn create_user(_: &Stage, caller: &Api) -> Answer {
    let username = format!("user-{}", random_word());
    let body = json!({
        "username": username,
        "email": format!("{username}@example.com"),
        "password": random_word(),
    });
    caller.manage("POST", "/users", &body)
}

fn of_user(stage: &Stage, caller: &Api, method: &str, body: &Value) -> Answer {
    let user = user_of(stage.organization.admin());
    caller.manage(method, &format!("/users/{}", user.username()), body)
}

/// Whether somebody may push to the private repository.
fn explain(stage: &Stage, caller: &Api, principal: &str) -> Answer {
    let principal = if principal.is_empty() { String::new() } else { format!("&principal={principal}") };
    let resource = stage.repository("main");
    caller.manage(
        "GET",
        &format!("/access/explain?action=artifact:push&resource={resource}{principal}"),
        &Value::Null,
    )
}
