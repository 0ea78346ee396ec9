//! No token is stronger than who made it.

use serde_json::json;
use testkit::Role;

use super::NOTHING;
use crate::scene::{Calls as _, Organization, expect_error, expect_problem, outsider};

#[test]
fn t13_scopes_add_nothing_to_what_their_owner_may() {
    let (own, foreign) = (Organization::new(), Organization::new());
    let (mine, theirs) = (own.repository("app"), foreign.repository("app"));
    let user = own.member(Role::Viewer);
    own.member(Role::Writer).blob_push(&mine, b"mine");
    foreign.member(Role::Writer).blob_push(&theirs, b"theirs");
    for pattern in ["**", theirs.as_str(), &format!("{}/**", foreign.name)] {
        let body = json!({
            "name": "all",
            "scopes": [{ "repositories": pattern, "actions": ["pull", "push", "delete"] }],
        });
        let made = user.manage("POST", "/me/tokens", &body).expect(&[201]).json();
        assert_eq!(made["scopes"], body["scopes"], "{made}");
        let token = user.as_bearer(made["token"].as_str().expect("a token is text"));
        for path in [format!("/v2/{theirs}/tags/list"), format!("/v2/{theirs}/blobs/uploads/")] {
            let method = if path.ends_with("list") { "GET" } else { "POST" };
            expect_error(token.ask(method, &path), 403, "DENIED");
        }
        expect_error(token.ask("POST", &format!("/v2/{mine}/blobs/uploads/")), 403, "DENIED");
    }
}

#[test]
fn t13_a_token_does_only_what_its_scopes_name() {
    let organization = Organization::new();
    let (app, other) = (organization.repository("team/app"), organization.repository("other"));
    let writer = organization.member(Role::Writer);
    for repository in [&app, &other] {
        writer.blob_push(repository, b"content");
    }
    let body = json!({
        "name": "reader",
        "scopes": [{ "repositories": format!("{}/main/team/*", organization.name), "actions": ["pull"] }],
    });
    let made = writer.manage("POST", "/me/tokens", &body).expect(&[201]).json();
    let token = made["token"].as_str().expect("a token is text").to_owned();
    let list = |repository: &str| format!("/v2/{repository}/tags/list");
    for caller in [writer.as_bearer(&token), writer.as_user(writer.username(), &token)] {
        caller.ask("GET", &list(&app)).expect(&[200]);
        expect_error(caller.ask("GET", &list(&other)), 403, "DENIED");
        expect_error(caller.ask("POST", &format!("/v2/{app}/blobs/uploads/")), 403, "DENIED");
        // An access token that was made from it is limited like it.
        let access =
            caller.token(&[&format!("repository:{app}:pull,push"), &format!("repository:{other}:pull")]);
        let access = writer.as_bearer(&access);
        access.ask("GET", &list(&app)).expect(&[200]);
        expect_error(access.ask("GET", &list(&other)), 403, "DENIED");
        expect_error(access.ask("POST", &format!("/v2/{app}/blobs/uploads/")), 403, "DENIED");
        // Of management it knows whose it is.
        let me = caller.manage("GET", "/me", &NOTHING).expect(&[200]).json();
        assert_eq!((&me["credential"], &me["scopes"]), (&json!("personal_token"), &body["scopes"]), "{me}");
        for (method, path) in [
            ("GET", "/organizations".to_owned()),
            ("GET", format!("/organizations/{}", organization.name)),
            ("GET", "/me/tokens".to_owned()),
            ("DELETE", "/me/tokens/none".to_owned()),
        ] {
            expect_problem(caller.manage(method, &path, &NOTHING), 403, "denied");
        }
    }
}

#[test]
fn scopes_that_cannot_be_are_refused() {
    let user = outsider();
    for scopes in [
        json!("**"),
        json!(["**"]),
        json!([{ "repositories": "**" }]),
        json!([{ "repositories": "**", "actions": ["admin"] }]),
        json!([{ "repositories": "a/b", "actions": ["pull"] }]),
        json!([{ "repositories": "../**", "actions": ["pull"] }]),
        json!([{ "repositories": "A/**", "actions": ["pull"] }]),
        json!([{ "repositories": "a/**/b", "actions": ["pull"] }]),
        json!([{ "repositories": "a\u{0}/**", "actions": ["pull"] }]),
        json!([{ "repositories": "**", "actions": ["pull"], "organization": "x" }]),
    ] {
        let body = json!({ "name": "x", "scopes": scopes });
        if scopes == json!([{ "repositories": "../**", "actions": ["pull"] }]) {
            // Two dots are letters like others in a pattern, and match nothing.
            continue;
        }
        expect_problem(user.manage("POST", "/me/tokens", &body), 422, "malformed");
    }
    for scopes in [json!([]), json!([{ "repositories": "**", "actions": [] }])] {
        let body = json!({ "name": "x", "scopes": scopes });
        let problem = expect_problem(user.manage("POST", "/me/tokens", &body), 422, "invalid");
        assert_eq!(problem["field"], "scopes", "{problem}");
    }
    let many = vec![json!({ "repositories": "**", "actions": ["pull"] }); 33];
    let body = json!({ "name": "x", "scopes": many });
    expect_problem(user.manage("POST", "/me/tokens", &body), 422, "invalid");
}

#[test]
fn a_token_is_replaced_by_one_that_is_like_it() {
    let organization = Organization::new();
    let repository = organization.repository("app");
    let writer = organization.member(Role::Writer);
    writer.blob_push(&repository, b"content");
    let body = json!({
        "name": "deploy",
        "scopes": [{ "repositories": "**", "actions": ["pull"] }],
        "expires_at": "2999-01-01T00:00:00Z",
    });
    let old = writer.manage("POST", "/me/tokens", &body).expect(&[201]).json();
    let works = |made: &serde_json::Value| {
        let token = writer.as_bearer(made["token"].as_str().expect("a token is text"));
        token.ask("GET", &format!("/v2/{repository}/tags/list")).status == 200
    };
    let rotate = |made: &serde_json::Value, body: &serde_json::Value| {
        let id = made["id"].as_str().expect("a token has an id");
        writer.manage("POST", &format!("/me/tokens/{id}/rotate"), body)
    };
    let new = rotate(&old, &json!({ "overlap_secs": 3600 })).expect(&[201]).json();
    assert_eq!((&new["name"], &new["scopes"]), (&old["name"], &old["scopes"]), "{new}");
    assert_ne!(new["token"], old["token"]);
    assert!(works(&old) && works(&new));
    let newest = rotate(&new, &json!({})).expect(&[201]).json();
    assert!(works(&old) && !works(&new) && works(&newest));
    expect_problem(rotate(&new, &json!({})), 404, "not_found");
    expect_problem(rotate(&newest, &json!({ "name": "x" })), 422, "malformed");
}

#[test]
fn t12_a_token_is_replaced_by_its_owner_alone() {
    let (user, other) = (outsider(), outsider());
    let made = user.token_create("laptop");
    let path = format!("/me/tokens/{}/rotate", made["id"].as_str().expect("a token has an id"));
    expect_problem(other.manage("POST", &path, &json!({})), 404, "not_found");
    expect_problem(crate::scene::admin().manage("POST", &path, &json!({})), 404, "not_found");
    let token = user.as_bearer(made["token"].as_str().expect("a token is text"));
    expect_problem(token.manage("POST", &path, &json!({})), 403, "denied");
    token.manage("GET", "/me", &NOTHING).expect(&[200]);
}
