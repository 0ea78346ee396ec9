//! The token service: `GET` and `POST /token` (Docker token authentication, RFC 6749).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{Answer, Api, Role, Visibility};

use crate::scene::{
    Calls as _, Organization, admin, expect_error, outsider, own_server, small_manifest, user_of,
    writer_and_repository,
};

/// Asserts that the answer is a token as every client reads it.
#[track_caller]
fn issued(answer: Answer) -> Value {
    let answer = answer.expect(&[200]);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    let body = answer.json();
    assert!(body["token"].as_str().is_some_and(|token| !token.is_empty()), "{answer}");
    assert_eq!(body["token"], body["access_token"], "{answer}");
    // Less than a minute is taken for a minute; a time of issue is taken for wrong by a clock that differs.
    assert!(body["expires_in"].as_u64().is_some_and(|seconds| seconds >= 60), "{answer}");
    assert_eq!(body["issued_at"], Value::Null, "{answer}");
    body
}

#[track_caller]
fn get(caller: &Api, query: &str) -> Value {
    issued(caller.ask("GET", &format!("/token?{query}")))
}

#[track_caller]
fn post(caller: &Api, form: &str) -> Answer {
    caller.call("POST", "/token", &[("content-type", "application/x-www-form-urlencoded")], form.to_owned())
}

/// The claims of a token, which clients do not look at.
#[track_caller]
fn claims(body: &Value) -> Value {
    let token = body["token"].as_str().expect("a token is text");
    let part = |index: usize| -> Value {
        let text = token.split('.').nth(index).expect("a token has three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("a part is base64"))
            .expect("a part is JSON")
    };
    assert_eq!(part(0)["alg"], "HS256");
    assert!(part(0)["kid"].is_string());
    part(1)
}

/// What a token grants, as `name:action,action`.
#[track_caller]
fn granted(body: &Value) -> Vec<String> {
    let claims = claims(body);
    let access = claims["access"].as_array().expect("there is a list of rights");
    let text = |value: &Value| value.as_str().expect("a right is text").to_owned();
    access
        .iter()
        .map(|entry| {
            let actions = entry["actions"].as_array().expect("there is a list of actions").iter().map(text);
            format!("{}:{}", text(&entry["name"]), actions.collect::<Vec<_>>().join(","))
        })
        .collect()
}

#[test]
fn a_token_without_a_scope_is_how_clients_sign_in() {
    let user = outsider();
    let query = format!("account={}&service=larder&client_id=docker", user.username());
    let body = get(&user, &query);
    assert_eq!(granted(&body), Vec::<String>::new());
    assert_eq!(body["refresh_token"], Value::Null);
    let claims = claims(&body);
    assert_eq!(claims["sub"], user.username());
    for claim in ["iss", "aud"] {
        assert_eq!(claims[claim], "larder");
    }
    for claim in ["exp", "nbf", "iat"] {
        assert!(claims[claim].is_i64(), "{claims}");
    }
    assert_eq!(
        claims["exp"].as_i64(),
        Some(claims["iat"].as_i64().unwrap() + body["expires_in"].as_i64().unwrap())
    );
    assert!(claims["jti"].is_string());
    user.as_bearer(body["token"].as_str().unwrap()).ask("GET", "/v2/").expect(&[200]);
    assert_ne!(get(&user, &query)["token"], body["token"], "each token is one of its own");
}

#[test]
fn scopes_in_every_way_that_clients_write_them() {
    let (writer, repository) = writer_and_repository();
    let other = repository.replace("/app", "/other");
    let both = [format!("{repository}:pull,push"), format!("{other}:pull")];
    for query in [
        format!("scope=repository:{repository}:pull,push&scope=repository:{other}:pull"),
        format!("scope=repository:{repository}:pull,push%20repository:{other}:pull"),
        format!("scope=repository:{repository}:pull,push+repository:{other}:pull"),
        format!(
            "scope=repository%3A{}%3Apull%2Cpush&scope=repository:{other}:pull",
            repository.replace('/', "%2F")
        ),
        format!(
            "scope=repository:{repository}:push&scope=repository:{repository}:pull&scope=repository:{other}:pull"
        ),
        format!("scope=repository(plugin):{repository}:pull,push&scope=repository:{other}:pull&scope="),
    ] {
        assert_eq!(granted(&get(&writer, &query)), both, "{query}");
    }
    for (actions, expected) in [
        ("pull", "pull"),
        ("delete", "delete"),
        ("pull,delete", "pull,delete"),
        ("*", "pull,push,delete"),
        ("pull,fly", "pull"),
        ("fly", ""),
        ("", ""),
    ] {
        let found = granted(&get(&writer, &format!("scope=repository:{repository}:{actions}")));
        assert_eq!(found, [format!("{repository}:{expected}")], "{actions}");
    }
    assert_eq!(granted(&get(&writer, "scope=registry:catalog:*")).len(), 1);
    // What is not understood is passed over, and the rest is granted.
    let query = format!("scope=nonsense&scope=aardvark:{repository}:pull&scope=repository:{repository}:pull");
    assert_eq!(granted(&get(&writer, &query)), [format!("{repository}:pull")]);
}

#[test]
fn a_flood_of_scopes_gives_a_token_for_some() {
    let (writer, repository) = writer_and_repository();
    let scope = |number: usize| format!("scope=repository:{repository}-{number}:pull");
    let query: Vec<_> = (0..200).map(scope).collect();
    let body = get(&writer, &query.join("&"));
    let token = body["token"].as_str().unwrap();
    // Proxies cap a header at 8 KiB.
    assert!(token.len() < 8 * 1024, "{}", token.len());
    let first = granted(&body).first().cloned();
    assert_eq!(first, Some(format!("{repository}-0:pull")));
    writer.as_bearer(token).ask("GET", "/v2/").expect(&[200]);
}

#[test]
fn what_is_not_granted_is_no_error() {
    let organization = Organization::new();
    let repository = organization.repository("app");
    let (viewer, stranger) = (organization.member(Role::Viewer), outsider());
    let query = format!("scope=repository:{repository}:pull,push,delete");
    assert_eq!(granted(&get(&viewer, &query)), [format!("{repository}:pull")]);
    for caller in [stranger, admin().as_nobody()] {
        assert_eq!(granted(&get(&caller, &query)), [format!("{repository}:")]);
        let impossible = "scope=repository:NoName:pull&scope=repository:org-that-is-not/main/app:pull";
        assert_eq!(granted(&get(&caller, impossible)), ["NoName:", "org-that-is-not/main/app:"]);
    }
}

#[test]
fn nobody_gets_a_token_for_what_is_public() {
    let organization = Organization::new();
    organization.registry("open", Visibility::Public);
    let (public, private) = (format!("{}/open/app", organization.name), organization.repository("app"));
    let writer = organization.member(Role::Writer);
    for repository in [&public, &private] {
        writer.image_push(repository, "1", &small_manifest());
    }
    let query = format!("service=larder&scope=repository:{public}:pull,push&scope=repository:{private}:pull");
    let nobody = admin().as_nobody();
    // Two ways to be nobody: no credentials, and a user name and a password that are both empty.
    let empty = nobody.call("GET", &format!("/token?{query}"), &[("authorization", "Basic Og==")], "");
    for body in [get(&nobody, &query), issued(empty)] {
        assert_eq!(claims(&body)["sub"], "");
        assert_eq!(granted(&body), [format!("{public}:pull"), format!("{private}:")]);
        let bearer = nobody.as_bearer(body["token"].as_str().unwrap());
        bearer.ask("GET", &format!("/v2/{public}/manifests/1")).expect(&[200]);
        bearer.ask("GET", &format!("/v2/{public}/tags/list")).expect(&[200]);
        expect_error(bearer.ask("POST", &format!("/v2/{public}/blobs/uploads/")), 403, "DENIED");
        expect_error(bearer.ask("GET", &format!("/v2/{private}/manifests/1")), 403, "DENIED");
    }
    // Even what is public takes a token: some clients learn only from a challenge that there are any.
    expect_error(nobody.ask("GET", &format!("/v2/{public}/manifests/1")), 401, "UNAUTHORIZED");
}

#[test]
fn a_password_by_form() {
    let (writer, repository) = writer_and_repository();
    let nobody = admin().as_nobody();
    let form = format!(
        "grant_type=password&username={}&password={}&service=larder&client_id=containerd-client",
        writer.username(),
        writer.password()
    );
    let scope = format!("repository%3A{}%3Apull%2Cpush", repository.replace('/', "%2F"));
    let body = issued(post(&nobody, &format!("{form}&scope={scope}&scope=repository:a/b/c:pull")));
    assert_eq!(granted(&body), [format!("{repository}:pull,push"), "a/b/c:".to_owned()]);
    assert_eq!(body["scope"], format!("repository:{repository}:pull,push"), "only what was granted");
    assert_eq!(body["refresh_token"], Value::Null);
    let bearer = nobody.as_bearer(body["access_token"].as_str().unwrap());
    bearer.blob_push(&repository, b"content");
}

#[test]
fn a_refresh_token_stands_in_for_the_password() {
    let (writer, repository) = writer_and_repository();
    let nobody = admin().as_nobody();
    let form = format!(
        "grant_type=password&username={}&password={}&service=larder&client_id=test&access_type=offline",
        writer.username(),
        writer.password()
    );
    let by_form = issued(post(&nobody, &form));
    let by_query = get(&writer, "service=larder&client_id=docker&offline_token=true");
    for body in [by_form, by_query] {
        let refresh = body["refresh_token"].as_str().expect("it was asked for").to_owned();
        let form = format!(
            "grant_type=refresh_token&refresh_token={refresh}&service=larder&client_id=test\
             &scope=repository:{repository}:pull,push"
        );
        for _ in 0..2 {
            let again = issued(post(&nobody, &form));
            assert_eq!(again["refresh_token"], refresh.as_str(), "it stays good");
            assert_eq!(granted(&again), [format!("{repository}:pull,push")]);
            nobody.as_bearer(again["access_token"].as_str().unwrap()).upload_open(&repository);
        }
        // It is good for nothing else.
        expect_error(nobody.as_bearer(&refresh).ask("GET", "/v2/"), 401, "UNAUTHORIZED");
        expect_error(writer.as_user(writer.username(), &refresh).ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    }
    assert_eq!(get(&writer, "offline_token=false")["refresh_token"], Value::Null);
    let anonymous = get(&nobody, "offline_token=true");
    assert_eq!(anonymous["refresh_token"], Value::Null, "nobody has nothing to come back to");
}

#[test]
fn a_token_does_not_make_a_token_for_more() {
    let (writer, repository) = writer_and_repository();
    let narrow = writer.as_bearer(&writer.token(&[&format!("repository:{repository}:pull")]));
    let query = format!("scope=repository:{repository}:pull,push&scope=repository:{repository}-other:pull");
    let body = get(&narrow, &query);
    assert_eq!(granted(&body), [format!("{repository}:pull"), format!("{repository}-other:")]);
    assert_eq!(get(&narrow, "offline_token=true")["refresh_token"], Value::Null);
}

#[test]
fn a_token_is_worth_what_its_owner_may_do_now() {
    let organization = Organization::new();
    let repository = organization.repository("app");
    let writer = organization.member(Role::Writer);
    let bearer = writer.as_bearer(&writer.token(&[&format!("repository:{repository}:*")]));
    bearer.upload_open(&repository);
    let place = testkit::Place::Organization(&organization.name);
    admin().member_put(place, writer.username(), Role::Viewer);
    expect_error(bearer.ask("POST", &format!("/v2/{repository}/blobs/uploads/")), 403, "DENIED");
    admin().member_delete(place, writer.username());
    expect_error(bearer.ask("GET", &format!("/v2/{repository}/tags/list")), 403, "DENIED");
}

#[test]
fn requests_that_are_none() {
    let nobody = admin().as_nobody();
    for form in ["", "grant_type=magic", "grant_type=authorization_code&code=x", "username=a&password=b"] {
        expect_error(post(&nobody, form), 400, "UNSUPPORTED");
    }
    for token in ["", "garbage", "lrd_idt_garbage"] {
        expect_error(
            post(&nobody, &format!("grant_type=refresh_token&refresh_token={token}")),
            401,
            "UNAUTHORIZED",
        );
    }
    let form = format!("grant_type=password&scope={}", "x".repeat(100_000));
    assert!((400..500).contains(&post(&nobody, &form).status));
}

#[test]
fn a_wrong_password_gets_no_token() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let nobody = admin.as_nobody();
    let form = |username: &str, password: &str| {
        format!("grant_type=password&username={username}&password={password}&service=larder&client_id=test")
    };
    let mut messages = Vec::new();
    for (username, password) in
        [(user.username(), "wrong"), ("nobody-at-all", "wrong"), (user.username(), "")]
    {
        let answer = admin.as_user(username, password).ask("GET", "/token?service=larder");
        messages.push(expect_error(answer, 401, "UNAUTHORIZED"));
        let answer = post(&nobody, &form(username, password));
        assert_eq!(answer.json()["error"], "invalid_grant", "{answer}");
        messages.push(expect_error(answer, 401, "UNAUTHORIZED"));
    }
    messages.dedup();
    assert_eq!(messages.len(), 1, "whether there is such a user is not told: {messages:?}");
    issued(post(&nobody, &form(user.username(), user.password())));
    assert_eq!(json!(granted(&get(&user, ""))), json!([]));
}
