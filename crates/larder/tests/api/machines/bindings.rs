//! Bindings: which jobs of which issuer may act as a service account.

use serde_json::{Value, json};
use testkit::issuer::Claims;

use super::scene::{Machine, issuer, text};
use crate::scene::expect_problem;

#[test]
fn a_binding_from_making_to_deleting() {
    let machine = Machine::new();
    let id = machine.bind(json!({
        "scopes": [{ "repositories": machine.repository("app"), "actions": ["pull", "push"] }],
        "token_ttl_secs": 600,
    }));
    let binding = machine.of_account("GET", &format!("/bindings/{id}"), &Value::Null).expect(&[200]).json();
    assert_eq!(binding["issuer"], issuer().url());
    assert_eq!(binding["audience"], machine.url.as_str(), "the registry's URL, unless another is given");
    assert_eq!(binding["claims"][0]["claim"], "repository_id");
    assert_eq!(binding["token_ttl_secs"], 600);
    assert_eq!(binding["created_by"], machine.owner.username());
    assert_eq!(binding["last_used_at"], Value::Null);
    let list = machine.of_account("GET", "/bindings", &Value::Null).expect(&[200]).json();
    assert_eq!(list["items"], json!([binding]));
    machine.of_account("DELETE", &format!("/bindings/{id}"), &Value::Null).expect(&[204]);
    for method in ["GET", "DELETE"] {
        let answer = machine.of_account(method, &format!("/bindings/{id}"), &Value::Null);
        expect_problem(answer, 404, "not_found");
    }
}

#[test]
fn bindings_that_are_refused() {
    let machine = Machine::new();
    let exact = json!({ "claim": "repository_id", "equals": "1" });
    for (field, more) in [
        ("claims", json!({ "claims": [] })),
        // Names of repositories change hands, numbers do not.
        ("claims", json!({ "claims": [{ "claim": "repository", "equals": "acme/app" }] })),
        ("claims", json!({ "claims": [{ "claim": "project_path", "equals": "acme/app" }] })),
        ("claims", json!({ "claims": [{ "claim": "repository_id", "glob": "1*" }] })),
        ("claims", json!({ "claims": [exact, { "claim": "ref", "glob": "**" }] })),
        ("issuer", json!({ "issuer": "token.actions.githubusercontent.com" })),
        ("issuer", json!({ "issuer": "ftp://ci.example.com" })),
        ("audience", json!({ "audience": "" })),
        ("token_ttl", json!({ "token_ttl_secs": 5 })),
        ("token_ttl", json!({ "token_ttl_secs": 86400 })),
        ("jwks", json!({ "jwks": { "keys": [] } })),
        ("name", json!({ "name": "" })),
    ] {
        let problem = expect_problem(machine.try_bind(more.clone()), 422, "invalid");
        assert_eq!(problem["field"], field, "{more}: {problem}");
    }
    for more in [
        json!({ "claims": [{ "claim": "ref" }] }),
        json!({ "claims": [{ "claim": "ref", "equals": "a", "any_of": ["b"] }] }),
        json!({ "claims": "everything" }),
        json!({ "until": "tomorrow" }),
    ] {
        expect_problem(machine.try_bind(more), 422, "malformed");
    }
    let list = machine.of_account("GET", "/bindings", &Value::Null).expect(&[200]).json();
    assert_eq!(list["items"], json!([]), "nothing of it was kept");
}

#[test]
fn a_binding_says_what_should_be_known_about_it() {
    let machine = Machine::new();
    let made = machine.try_bind(json!({ "claims": [{ "claim": "repository_owner_id", "equals": "7" }] }));
    let made = made.expect(&[201]).json();
    assert!(made["notes"][0].as_str().is_some_and(|note| note.contains("repository_id")), "{made}");
}

#[test]
fn a_token_is_tested_and_stays_as_good_as_it_was() {
    let machine = Machine::new();
    let id = machine.bind(json!({ "name": "tags alone", "claims": [
        { "claim": "repository_id", "equals": machine.claims().text("repository_id") },
        { "claim": "ref", "glob": "refs/tags/v*" },
    ] }));
    let token = issuer().token(&machine.claims().with("ref", "refs/tags/v1.0"));
    for _ in 0..2 {
        let tested = machine.trials(&token);
        assert_eq!(tested["accepted"], true, "{tested}");
        assert_eq!(tested["trials"][0]["binding_id"], id.as_str(), "{tested}");
        assert_eq!(tested["trials"][0]["service_account"], machine.username(), "{tested}");
        assert_eq!(tested["trials"][0]["reasons"], json!([]), "{tested}");
    }
    machine.exchange(&token, "").expect(&[200]);
    // Used up as it is, it still tells about the binding.
    assert_eq!(machine.trials(&token)["accepted"], true);
}

#[test]
fn a_test_says_what_is_in_the_way() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let good = machine.claims();
    for (claims, expected) in [
        (good.clone().with("repository_id", "1"), "repository_id"),
        (good.clone().without("repository_id"), "repository_id"),
        (good.clone().with("aud", "https://elsewhere.example.com"), "audience"),
        (good.clone().with("aud", json!([machine.url, "https://elsewhere.example.com"])), "audience"),
        (good.clone().with("iss", "https://elsewhere.example.com"), "issuer"),
        (good.clone().shifted(-3600), "expired"),
        (good.clone().shifted(3600), "yet"),
        (good.clone().with("event_name", "pull_request_target"), "pull_request_target"),
    ] {
        let tested = machine.trials(&issuer().token(&claims));
        assert_eq!(tested["accepted"], false, "{tested}");
        let reasons = tested["trials"][0]["reasons"].to_string();
        assert!(reasons.contains(expected), "{expected:?} is not among {reasons}");
    }
    // A signature of somebody else's.
    let forged = testkit::issuer::Key::rs256().named(issuer().key().kid()).token(&good);
    let tested = machine.trials(&forged);
    assert_eq!(tested["accepted"], false, "{tested}");
    assert!(tested["trials"][0]["reasons"].to_string().contains("signature"), "{tested}");
    for text in ["", "x", "a.b.c", "lrd_pat_0000"] {
        let answer = machine.manage("POST", "/bindings:test", &json!({ "token": text }));
        let problem = expect_problem(answer, 422, "invalid");
        assert_eq!(problem["field"], "token", "{problem}");
    }
}

/// A cluster whose keys nobody can fetch: they come with the binding, and count for it alone.
#[test]
fn keys_that_come_with_a_binding() {
    let machine = Machine::new();
    let key = testkit::issuer::Key::rs256();
    let cluster = "https://cluster.internal.example";
    let claims = Claims::kubernetes(cluster, "ci", "push", &machine.url);
    machine.bind(json!({
        "issuer": cluster,
        "jwks": { "keys": [key.jwk()] },
        "claims": [{
            "claim": "/kubernetes.io/serviceaccount/uid",
            "equals": claims.get("kubernetes.io")["serviceaccount"]["uid"],
        }],
    }));
    let token = key.token(&claims);
    machine.may_push(&machine.job(&token));
    // Another organization that names the same issuer and brings keys of its own gains nothing by it.
    let other = Machine::new();
    let own = testkit::issuer::Key::rs256();
    other.bind(json!({
        "issuer": cluster,
        "jwks": { "keys": [own.jwk()] },
        "claims": [{
            "claim": "/kubernetes.io/serviceaccount/uid",
            "equals": claims.get("kubernetes.io")["serviceaccount"]["uid"],
        }],
    }));
    let forged = own.token(&claims.clone().anew());
    assert_eq!(
        machine.push(&machine.job(&forged)),
        403,
        "it is the other one's account, which may not push here"
    );
    assert_eq!(machine.push(&machine.owner.as_user(&machine.username(), &forged)), 401);
    machine.may_push(&machine.job(&key.token(&claims.anew())));
}

#[test]
fn a_use_of_a_binding_is_noted() {
    let machine = Machine::new();
    let id = machine.bind(json!({}));
    machine.exchange(&issuer().token(&machine.claims()), "").expect(&[200]);
    let binding = machine.of_account("GET", &format!("/bindings/{id}"), &Value::Null).expect(&[200]).json();
    assert!(!text(&binding, "last_used_at").is_empty());
}
