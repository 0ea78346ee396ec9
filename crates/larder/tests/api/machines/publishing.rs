//! Trusted publishing: `/_/oidc/audience`, `/_/oidc/mint-token`, `/_/oidc/burn-token`.

use serde_json::{Value, json};
use testkit::python::Wheel;
use testkit::{Answer, random_word};

use super::scene::{Machine, issuer, server, text};
use crate::scene::{Calls as _, own_server};

/// Asserts that an answer is an error as the upload tools read it.
#[track_caller]
fn refused(answer: &Answer, code: &str) {
    assert_eq!(answer.status, 422, "{answer}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    let body = answer.json();
    assert_eq!(body["message"], "Token request failed", "{answer}");
    assert_eq!(body["errors"].as_array().map(Vec::len), Some(1), "{answer}");
    assert_eq!(body["errors"][0]["code"], code, "{answer}");
    assert!(!text(&body["errors"][0], "description").is_empty(), "{answer}");
}

#[test]
fn a_job_publishes_with_nothing_but_the_url() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let nobody = machine.owner.as_nobody();
    let audience = nobody.ask("GET", "/_/oidc/audience").expect(&[200]).json();
    assert_eq!(audience, json!({ "audience": machine.url }));
    let token = issuer().token(&machine.claims().with("aud", audience["audience"].clone()));
    let minted = machine.publishing("mint-token", &token).expect(&[200]);
    assert_eq!(minted.header("cache-control"), Some("no-store"), "{minted}");
    let minted = minted.json();
    assert_eq!(minted["success"], true, "{minted}");
    let now = jiff::Timestamp::now().as_second();
    let expires = minted["expires"].as_i64().expect("seconds since 1970");
    assert!((now + 800..=now + 901).contains(&expires), "{minted}");
    let caller = machine.bringing(&text(&minted, "token"));
    let file = Wheel::new(&format!("pkg-{}", random_word()), "1.0").build();
    caller.python_upload(&machine.organization.name, "main", &file).expect(&[200]);
    // Burned, it is over: for uploads and for everything that was made from it.
    let bearer = caller.as_bearer(&caller.token(&[]));
    let burned = machine.publishing("burn-token", &text(&minted, "token")).expect(&[200]).json();
    assert_eq!(burned, json!({ "success": true }));
    caller.python_page(&machine.organization.name, "main", &file.name).expect(&[401]);
    bearer.ask("GET", "/v2/").expect(&[401]);
}

#[test]
fn burning_says_nothing_about_tokens_and_ends_no_other_ones() {
    let machine = Machine::new();
    let service = text(&machine.token(Value::Null), "token");
    let personal = text(&machine.owner.token_create("laptop"), "token");
    for token in [service.as_str(), &personal, "lrd_cit_nothing", "x", "a.b.c", ""] {
        let answer = machine.publishing("burn-token", token).expect(&[200]);
        assert_eq!(answer.json(), json!({ "success": true }), "{answer}");
    }
    machine.may_push(&machine.bringing(&service));
    machine.may_push(&machine.bringing(&personal));
}

#[test]
fn requests_that_are_refused() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let nobody = machine.owner.as_nobody();
    for endpoint in ["mint-token", "burn-token"] {
        for body in ["", "{}", "[]", "token", "{\"token\": 5}", "{\"token\": null}", "{\"token\": \"x\""] {
            let answer = nobody.call("POST", &format!("/_/oidc/{endpoint}"), &[], body);
            refused(&answer, "invalid-payload");
        }
        nobody.call("POST", &format!("/_/oidc/{endpoint}"), &[], "x".repeat(100_000)).expect(&[413]);
        nobody.ask("GET", &format!("/_/oidc/{endpoint}")).expect(&[405]);
    }
    let good = machine.claims();
    for token in ["x", "lrd_pat_0", "a.b.c"] {
        refused(&machine.publishing("mint-token", token), "invalid-token");
    }
    refused(
        &machine.publishing("mint-token", &issuer().token(&good.clone().shifted(-3600))),
        "invalid-token",
    );
    let other = issuer().token(&good.clone().with("repository_id", "1"));
    refused(&machine.publishing("mint-token", &other), "invalid-publisher");
    // Some clients send JSON without saying so, and one says more than it is asked for.
    let body = json!({ "token": issuer().token(&good), "extra": true }).to_string();
    nobody.call("POST", "/_/oidc/mint-token", &[], body).expect(&[200]);
    nobody.ask("GET", "/_/oidc/nothing").expect(&[404]);
}

#[test]
fn the_audience_is_what_the_operator_says() {
    let server = own_server(&[("LARDER_SERVER__PUBLIC_URL", "https://registry.example.com/")]);
    let api = server.api();
    let audience = |headers: &[(&str, &str)]| {
        api.as_nobody().call("GET", "/_/oidc/audience", headers, "").expect(&[200]).json()["audience"].clone()
    };
    assert_eq!(audience(&[]), "https://registry.example.com");
    assert_eq!(audience(&[("host", "evil.example.com")]), "https://registry.example.com");
    assert_ne!(server.url(), self::server().url());
}

/// A binding for this audience takes a token of another one no more than any other door does.
#[test]
fn t18_a_token_for_another_audience_mints_nothing() {
    let machine = Machine::new();
    machine.bind(json!({ "audience": "https://registry.example.com/acme" }));
    machine.publishing("mint-token", &issuer().token(&machine.claims())).expect(&[422]);
    let fitting = machine.claims().with("aud", "https://registry.example.com/acme");
    machine.publishing("mint-token", &issuer().token(&fitting)).expect(&[200]);
}
