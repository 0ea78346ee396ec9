//! The token of a job as the password: `docker login`, `helm registry login` and twine with the user name `oidc`.

use serde_json::{Value, json};
use testkit::issuer::Claims;
use testkit::python::Wheel;
use testkit::{Api, random_word};

use super::scene::{Machine, issuer, text};
use crate::scene::{Calls as _, expect_error};

#[test]
fn a_job_signs_in_with_its_own_token() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let token = issuer().token(&machine.claims());
    for username in ["oidc".to_owned(), machine.username()] {
        let caller = machine.owner.as_user(&username, &token);
        // As often as it likes, while the token lives: clients send it again and again.
        for _ in 0..3 {
            machine.may_push(&caller);
            let scope = format!("repository:{}:pull,push", machine.repository("app"));
            let answer = caller.ask("GET", &format!("/token?service=larder&scope={scope}")).expect(&[200]);
            assert_eq!(answer.json()["scope"], scope, "{answer}");
            machine.may_push(&caller.as_bearer(&text(&answer.json(), "token")));
        }
        let me = caller.manage("GET", "/me", &Value::Null).expect(&[200]).json();
        assert_eq!(me["username"], machine.username());
    }
    // Nobody else's name goes with it.
    for username in ["", "admin", machine.owner.username(), "acme+deploy", "OIDC"] {
        machine.owner.as_user(username, &token).ask("GET", "/v2/").expect(&[401]);
    }
}

/// Clients that keep what they were told to keep send a refresh token later on; a job has none to come back to.
#[test]
fn a_job_gets_no_refresh_token() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let caller = machine.job(&issuer().token(&machine.claims()));
    let answer = caller.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]);
    assert_eq!(answer.json()["refresh_token"], Value::Null, "{answer}");
}

#[test]
fn a_job_uploads_with_its_own_token() {
    let machine = Machine::new();
    machine.bind(json!({}));
    // Read from a file, a token often has a line break at its end.
    let token = issuer().token(&machine.claims());
    for password in [token.clone(), format!("{token}\n")] {
        let file = Wheel::new(&format!("pkg-{}", random_word()), "1.0").build();
        let caller = machine.job(&password);
        caller.python_upload(&machine.organization.name, "main", &file).expect(&[200]);
    }
}

#[test]
fn a_binding_limits_what_its_jobs_may() {
    let machine = Machine::new();
    machine.bind(json!({
        "scopes": [{ "repositories": machine.repository("other"), "actions": ["pull", "push"] }],
    }));
    let caller = machine.job(&issuer().token(&machine.claims()));
    assert_eq!(machine.push(&caller), 403);
    caller.upload_open(&machine.repository("other"));
    let minted = machine.publishing("mint-token", &issuer().token(&machine.claims())).expect(&[200]).json();
    let caller = machine.bringing(&text(&minted, "token"));
    assert_eq!(machine.push(&caller), 403);
    caller.upload_open(&machine.repository("other"));
}

/// Tokens of jobs carry dozens of claims: 8 KiB of header have to fit.
#[test]
fn a_large_token_fits_into_a_header() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let token = issuer().token(&machine.claims().with("padding", "x".repeat(4_500)));
    assert!(token.len() > 6_000, "{}", token.len());
    machine.may_push(&machine.job(&token));
}

#[test]
fn two_bindings_that_match_are_none_unless_one_is_named() {
    let machine = Machine::new();
    machine.bind(json!({}));
    machine.manage("POST", "/service-accounts", &json!({ "name": "other" })).expect(&[201]);
    let body = json!({
        "name": "release",
        "issuer": machine.issuer,
        "claims": [{ "claim": "repository_id", "equals": machine.claims().text("repository_id") }],
    });
    machine.manage("POST", "/service-accounts/other/bindings", &body).expect(&[201]);
    let token = issuer().token(&machine.claims());
    expect_error(machine.job(&token).ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    let answer = machine.exchange(&token, "").expect(&[400]);
    assert_eq!(answer.json()["error"], "invalid_request", "{answer}");
    let answer = machine.publishing("mint-token", &token).expect(&[422]);
    assert_eq!(answer.json()["errors"][0]["code"], "invalid-publisher", "{answer}");
    assert_eq!(machine.trials(&token)["accepted"], false);
    // Named, each of them is one.
    machine.may_push(&machine.signed_in_with(&token));
    let named = machine.username().replace('+', "%2B");
    let answer = machine.exchange(&token, &format!("&service_account={named}")).expect(&[200]);
    assert_eq!(answer.json()["username"], machine.username(), "{answer}");
}

/// Platforms other than the first, each by a claim that never changes hands.
#[test]
fn jobs_of_other_platforms() {
    let machine = Machine::new();
    let source = machine.source();
    let circle = issuer().url_at("/org/o-1");
    let kubernetes = Claims::kubernetes(&machine.issuer, "ci", &machine.organization.name, &machine.url);
    let jobs: [(&str, Claims); 3] = [
        ("project_id", Claims::gitlab(&machine.issuer, &source, &machine.url)),
        ("oidc.circleci.com/project-id", Claims::circleci(&circle, &source, &machine.url)),
        ("/kubernetes.io/serviceaccount/uid", kubernetes),
    ];
    for (claim, claims) in jobs {
        let value = match claim {
            "/kubernetes.io/serviceaccount/uid" => &claims.get("kubernetes.io")["serviceaccount"]["uid"],
            claim => claims.get(claim),
        };
        machine.bind(json!({
            "issuer": claims.text("iss"),
            "claims": [{ "claim": claim, "equals": value }],
        }));
        let caller: Api = machine.job(&issuer().token(&claims));
        machine.may_push(&caller);
    }
}
