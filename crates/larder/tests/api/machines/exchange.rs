//! Token exchange (RFC 8693) at `POST /token`.

use std::time::Duration;

use serde_json::json;
use testkit::Answer;

use super::scene::{Machine, issuer, text};
use crate::scene::{Calls as _, own_server};

/// Asserts that an answer is an error of RFC 6749, section 5.2.
#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{answer}");
    let body = answer.json();
    assert_eq!(body["error"], error, "{answer}");
    let description = text(&body, "error_description");
    // Section 5.2 has neither quotes nor backslashes in it.
    assert!(
        description.chars().all(|character| matches!(character, ' '..='~') && !"\"\\".contains(character))
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
}

#[test]
fn a_job_gets_a_token_for_its_own() {
    let machine = Machine::new();
    machine.bind(json!({ "token_ttl_secs": 1200 }));
    let answer = machine.exchange(&issuer().token(&machine.claims()), "").expect(&[200]);
    let body = answer.json();
    assert_eq!(body["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token", "{body}");
    assert_eq!(body["token_type"], "Bearer", "{body}");
    assert_eq!(body["username"], machine.username(), "{body}");
    assert!(body["expires_in"].as_u64().is_some_and(|seconds| (1190..=1200).contains(&seconds)), "{body}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    assert!(answer.header("ratelimit").is_some_and(|value| value.starts_with("\"exchange\"")), "{answer}");
    let token = text(&body, "access_token");
    assert!(token.starts_with("lrd_cit_"), "{body}");
    for caller in [machine.owner.as_bearer(&token), machine.bringing(&token), machine.signed_in_with(&token)]
    {
        machine.may_push(&caller);
    }
}

#[test]
fn a_job_asks_for_less() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let (app, other) = (machine.repository("app"), machine.repository("other"));
    let scope = format!("&scope=repository:{app}:pull,push&scope=repository:nobody/main/app:pull");
    let answer = machine.exchange(&issuer().token(&machine.claims()), &scope).expect(&[200]);
    let body = answer.json();
    assert_eq!(body["scope"], format!("repository:{app}:pull,push"), "{body}");
    let caller = machine.owner.as_bearer(&text(&body, "access_token"));
    machine.may_push(&caller);
    caller.ask("POST", &format!("/v2/{other}/blobs/uploads/")).expect(&[401, 403]);
    caller.ask("DELETE", &format!("/v2/{app}/manifests/1")).expect(&[401, 403]);
}

#[test]
fn either_type_of_token_and_either_name_of_the_registry() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let url = machine.url.clone();
    for more in [
        "&audience=larder".to_owned(),
        format!("&audience={url}"),
        format!("&resource={url}/"),
        "&requested_token_type=urn:ietf:params:oauth:token-type:access_token".to_owned(),
    ] {
        machine.exchange(&issuer().token(&machine.claims()), &more).expect(&[200]);
    }
    let form = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={}\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token",
        issuer().token(&machine.claims())
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    machine.owner.as_nobody().call("POST", "/token", &headers, form).expect(&[200]);
}

#[test]
fn requests_that_are_refused() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let token = issuer().token(&machine.claims());
    for (more, error) in [
        ("&audience=https://elsewhere.example.com", "invalid_target"),
        ("&resource=https://elsewhere.example.com", "invalid_target"),
        ("&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token", "invalid_request"),
        ("&actor_token=x&actor_token_type=urn:ietf:params:oauth:token-type:jwt", "invalid_request"),
        ("&subject_token=twice", "invalid_request"),
        ("&service_account=nobody%2Bdeploy", "invalid_request"),
    ] {
        refused(&machine.exchange(&token, more), 400, error);
    }
    refused(&machine.exchange("", ""), 400, "invalid_request");
    for no_token in ["x", "a.b.c", "lrd_pat_0", "eyJhbGciOiJub25lIn0.e30."] {
        refused(&machine.exchange(no_token, ""), 400, "invalid_request");
    }
    // None of it used the token up.
    machine.exchange(&token, "").expect(&[200]);
}

#[test]
fn t17_a_token_is_exchanged_once() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let token = issuer().token(&machine.claims());
    machine.exchange(&token, "").expect(&[200]);
    refused(&machine.exchange(&token, ""), 400, "invalid_request");
    // By whichever door.
    let answer = machine.publishing("mint-token", &token).expect(&[422]);
    assert_eq!(answer.json()["errors"][0]["code"], "invalid-reuse-token", "{answer}");
    // The same number signed again is the same token.
    let claims = machine.claims();
    machine.exchange(&issuer().token(&claims), "").expect(&[200]);
    refused(
        &machine.exchange(&issuer().token(&claims.clone().with("run_id", "2")), ""),
        400,
        "invalid_request",
    );
    // Without a number it is the text that counts.
    let claims = machine.claims().without("jti");
    let token = issuer().token(&claims);
    machine.exchange(&token, "").expect(&[200]);
    refused(&machine.exchange(&token, ""), 400, "invalid_request");
    // The doors that take it as a password take it until its end.
    machine.may_push(&machine.job(&token));
}

#[test]
fn t17_of_many_at_the_same_time_one_gets_something() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let token = issuer().token(&machine.claims());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let attempts: Vec<_> = (0..8)
            .map(|number| {
                let (machine, token) = (&machine, &token);
                scope.spawn(move || {
                    if number % 2 == 0 {
                        machine.exchange(token, "").status
                    } else {
                        machine.publishing("mint-token", token).status
                    }
                })
            })
            .collect();
        attempts.into_iter().map(|attempt| attempt.join().expect("an attempt ends")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

/// The token of the platform is over long before a large push is.
#[test]
fn what_is_issued_outlives_the_token_of_the_job() {
    let machine = Machine::new();
    machine.bind(json!({}));
    let now = jiff::Timestamp::now().as_second();
    let token = issuer().token(&machine.claims().with("exp", now + 2));
    let issued = machine.exchange(&token, "").expect(&[200]).json();
    machine.may_push(&machine.job(&token));
    // Clocks may differ by a minute, and so much is allowed.
    std::thread::sleep(Duration::from_secs(2));
    machine.may_push(&machine.bringing(&text(&issued, "access_token")));
}

#[test]
fn who_exchanges_too_much_has_to_wait() {
    let server = own_server(&[]);
    let machine = Machine::on(&server, "https://ci.example.com");
    // Each replica counts by itself, where there are several.
    let until_refused = |ask: &dyn Fn() -> Answer| {
        let mut answers = (0..3_000).map(|_| ask());
        answers.find(|answer| answer.status == 429).expect("nobody may ask as often as this")
    };
    let last = until_refused(&|| machine.exchange("x", ""));
    refused(&last, 429, "temporarily_unavailable");
    for answer in [last, until_refused(&|| machine.publishing("mint-token", "x"))] {
        let after = answer.header("retry-after").and_then(|after| after.parse::<u64>().ok());
        assert!(after.is_some_and(|after| after > 0), "{answer}");
        assert!(answer.header("ratelimit-policy").is_some(), "{answer}");
    }
}
