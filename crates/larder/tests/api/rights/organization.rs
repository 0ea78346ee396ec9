//! Rows about an organization: its members, its service accounts, and everything else that gives rights.

use serde_json::{Value, json};
use testkit::{Answer, Api, random_word};

use super::{PROVIDER, Row, Stage};
use crate::scene::{Calls as _, user_of};

/// Columns: anonymous, other | organization V W A | registry V W A | system | machine W, machine A.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row("see the organization",        |s, c| get(s, c, ""),                   "401 404 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    // It holds registries: who has the right hears so.
    Row("delete the organization",     |s, c| delete(s, c, ""),                "401 404 | 403 403 409 | 403 403 403 | 409 | 403 409"),
    Row("list registries",             |s, c| get(s, c, "/registries"),        "401 404 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("create a registry",           create_registry,                        "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("list members",                |s, c| get(s, c, "/members"),           "401 404 | 200 200 200 | 403 403 403 | 403 | 403 200"),
    Row("see a member",                see_member,                             "401 404 | 200 200 200 | 403 403 403 | 403 | 403 200"),
    Row("make somebody a member",      put_member,                             "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("end a membership",            delete_member,                          "401 404 | 403 403 204 | 403 403 403 | 403 | 403 204"),
    Row("list invitations",            |s, c| get(s, c, "/invitations"),       "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("invite somebody",             |s, c| post(s, c, "/invitations", &invitation()), "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("take an invitation back",     delete_invitation,                      "401 404 | 403 403 204 | 403 403 403 | 403 | 403 204"),
    Row("list group roles",            |s, c| get(s, c, "/group-roles"),       "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("give a group a role",         |s, c| post(s, c, "/group-roles", &group_role()), "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("see a group's role",          |s, c| of_group_role(s, c, "GET", &Value::Null), "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("change a group's role",       |s, c| of_group_role(s, c, "PATCH", &json!({ "role": "writer" })), "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("take a group's role",         |s, c| of_group_role(s, c, "DELETE", &Value::Null), "401 404 | 403 403 204 | 403 403 403 | 403 | 403 204"),
    Row("list service accounts",       |s, c| get(s, c, "/service-accounts"),  "401 404 | 200 200 200 | 403 403 403 | 403 | 403 200"),
    Row("create a service account",    create_account,                         "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("see a service account",       |s, c| of_account(s, c, "GET", "", &Value::Null), "401 404 | 200 200 200 | 403 403 403 | 403 | 403 200"),
    Row("disable a service account",   |s, c| of_account(s, c, "PATCH", "", &json!({ "disabled": true })), "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("delete a service account",    |s, c| of_account(s, c, "DELETE", "", &Value::Null), "401 404 | 403 403 204 | 403 403 403 | 403 | 403 204"),
    Row("list an account's tokens",    |s, c| of_account(s, c, "GET", "/tokens", &Value::Null), "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("make an account's token",     |s, c| of_account(s, c, "POST", "/tokens", &token()), "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("rotate an account's token",   rotate_token,                           "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("delete an account's token",   delete_token,                           "401 404 | 403 403 204 | 403 403 403 | 403 | 403 204"),
    Row("list an account's bindings",  |s, c| of_account(s, c, "GET", "/bindings", &Value::Null), "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("bind an account",             |s, c| of_account(s, c, "POST", "/bindings", &binding()), "401 404 | 403 403 201 | 403 403 403 | 403 | 403 201"),
    Row("see a binding",               |s, c| of_binding(s, c, "GET"),         "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
    Row("delete a binding",            |s, c| of_binding(s, c, "DELETE"),      "401 404 | 403 403 204 | 403 403 403 | 403 | 403 204"),
    Row("test the bindings",           |s, c| post(s, c, "/bindings:test", &json!({ "token": "eyJhbGciOiJSUzI1NiJ9.e30.AA" })), "401 404 | 403 403 200 | 403 403 403 | 403 | 403 200"),
];

fn get(stage: &Stage, caller: &Api, rest: &str) -> Answer {
    caller.manage("GET", &stage.at(rest), &Value::Null)
}

fn delete(stage: &Stage, caller: &Api, rest: &str) -> Answer {
    caller.manage("DELETE", &stage.at(rest), &Value::Null)
}

fn post(stage: &Stage, caller: &Api, rest: &str, body: &Value) -> Answer {
    caller.manage("POST", &stage.at(rest), body)
}

fn create_registry(stage: &Stage, caller: &Api) -> Answer {
    post(stage, caller, "/registries", &json!({ "name": format!("r-{}", random_word()) }))
}

/// Somebody who is a viewer of the organization.
fn member(stage: &Stage) -> String {
    stage.organization.member(testkit::Role::Viewer).username().to_owned()
}

fn see_member(stage: &Stage, caller: &Api) -> Answer {
    let path = format!("/members/{}", stage.callers[2].username());
    get(stage, caller, &path)
}

fn put_member(stage: &Stage, caller: &Api) -> Answer {
    let user = user_of(stage.organization.admin());
    caller.manage("PUT", &stage.at(&format!("/members/{}", user.username())), &json!({ "role": "viewer" }))
}

fn delete_member(stage: &Stage, caller: &Api) -> Answer {
    delete(stage, caller, &format!("/members/{}", member(stage)))
}

pub(super) fn invitation() -> Value {
    json!({ "email": format!("{}@example.com", random_word()), "role": "viewer" })
}

fn delete_invitation(stage: &Stage, caller: &Api) -> Answer {
    let id = stage.made(&stage.at("/invitations"), &invitation(), "id");
    delete(stage, caller, &format!("/invitations/{id}"))
}

fn group_role() -> Value {
    json!({ "provider": PROVIDER, "group": format!("team-{}", random_word()), "role": "viewer" })
}

fn of_group_role(stage: &Stage, caller: &Api, method: &str, body: &Value) -> Answer {
    let id = stage.made(&stage.at("/group-roles"), &group_role(), "id");
    caller.manage(method, &stage.at(&format!("/group-roles/{id}")), body)
}

fn create_account(stage: &Stage, caller: &Api) -> Answer {
    post(stage, caller, "/service-accounts", &json!({ "name": format!("m-{}", &random_word()[..12]) }))
}

/// A call about a service account that was made for it.
fn of_account(stage: &Stage, caller: &Api, method: &str, rest: &str, body: &Value) -> Answer {
    let account = stage.account();
    caller.manage(method, &stage.at(&format!("/service-accounts/{account}{rest}")), body)
}

fn token() -> Value {
    json!({ "name": "t" })
}

/// The path of a new token of a new account.
fn token_path(stage: &Stage) -> String {
    let tokens = stage.at(&format!("/service-accounts/{}/tokens", stage.account()));
    let id = stage.made(&tokens, &token(), "id");
    format!("{tokens}/{id}")
}

fn rotate_token(stage: &Stage, caller: &Api) -> Answer {
    caller.manage("POST", &format!("{}/rotate", token_path(stage)), &json!({}))
}

fn delete_token(stage: &Stage, caller: &Api) -> Answer {
    caller.manage("DELETE", &token_path(stage), &Value::Null)
}

fn binding() -> Value {
    json!({
        "name": "release",
        "issuer": "https://token.actions.githubusercontent.com",
        "claims": [{ "claim": "repository_id", "equals": "74" }],
    })
}

fn of_binding(stage: &Stage, caller: &Api, method: &str) -> Answer {
    let bindings = stage.at(&format!("/service-accounts/{}/bindings", stage.account()));
    let id = stage.made(&bindings, &binding(), "id");
    caller.manage(method, &format!("{bindings}/{id}"), &Value::Null)
}
