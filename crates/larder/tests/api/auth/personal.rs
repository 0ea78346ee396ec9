//! Personal tokens: made once, good in place of the password and as a bearer token.

use testkit::{Api, Role};

use crate::scene::{Calls as _, Organization, expect_error, outsider, own_server};

/// Makes a token and returns its identifier and its text.
#[track_caller]
fn create(user: &Api) -> (String, String) {
    let token = user.token_create("test");
    let text =
        |field: &str| token[field].as_str().unwrap_or_else(|| panic!("no {field}: {token}")).to_owned();
    (text("id"), text("token"))
}

/// Every way of signing in with a personal token.
fn ways(user: &Api, token: &str) -> [Api; 3] {
    [user.as_bearer(token), user.as_user(user.username(), token), user.as_user("__token__", token)]
}

#[test]
fn a_personal_token_does_what_its_owner_may() {
    let organization = Organization::new();
    let repository = organization.repository("app");
    let writer = organization.member(Role::Writer);
    let (_, token) = create(&writer);
    assert!(token.starts_with("lrd_"), "{token}");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{token}");
    for caller in ways(&writer, &token) {
        caller.ask("GET", "/v2/").expect(&[200]);
        let digest = caller.blob_push(&repository, b"content");
        caller.ask("GET", &format!("/v2/{repository}/blobs/{digest}")).expect(&[200]);
        // And it gets access tokens, as a client that signed in with it does.
        let bearer = writer.as_bearer(&caller.token(&[&format!("repository:{repository}:pull,push")]));
        bearer.upload_open(&repository);
    }
    let form = format!("grant_type=password&username={}&password={token}", writer.username());
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    writer.as_nobody().call("POST", "/token", &headers, form).expect(&[200]);
}

#[test]
fn a_personal_token_is_nobody_elses() {
    let server = own_server(&[]);
    let admin = server.api();
    let (one, other) = (crate::scene::user_of(&admin), crate::scene::user_of(&admin));
    let (_, token) = create(&one);
    expect_error(one.as_user(other.username(), &token).ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    // A letter more or less, or another one: refused before the database is asked.
    let (head, tail) = token.split_at(token.len() - 1);
    let changed = format!("{head}{}", if tail == "0" { "1" } else { "0" });
    for wrong in [format!("{token}0"), head.to_owned(), changed, token.to_uppercase()] {
        for caller in ways(&one, &wrong) {
            expect_error(caller.ask("GET", "/v2/"), 401, "UNAUTHORIZED");
        }
    }
}

#[test]
fn a_deleted_token_is_over_at_once_with_all_that_came_from_it() {
    let user = outsider();
    let (id, token) = create(&user);
    let (_, kept) = create(&user);
    let access = ways(&user, &token).map(|caller| caller.token(&[]));
    for caller in ways(&user, &token).into_iter().chain(access.iter().map(|token| user.as_bearer(token))) {
        caller.ask("GET", "/v2/").expect(&[200]);
    }
    user.token_delete(&id);
    for caller in ways(&user, &token).into_iter().chain(access.iter().map(|token| user.as_bearer(token))) {
        expect_error(caller.ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    }
    user.as_bearer(&kept).ask("GET", "/v2/").expect(&[200]);
    user.ask("GET", "/v2/").expect(&[200]);
}

#[test]
fn a_token_can_have_an_end() {
    let user = outsider();
    let body = serde_json::json!({ "name": "past", "expires_at": "2020-01-01T00:00:00Z" });
    let answer = user.manage("POST", "/me/tokens", &body);
    // Whether such a token is made at all or not: it lets nobody in.
    if let Some(token) = answer.json()["token"].as_str() {
        for caller in ways(&user, token) {
            expect_error(caller.ask("GET", "/v2/"), 401, "UNAUTHORIZED");
        }
    } else {
        answer.expect(&[422]);
    }
    let body = serde_json::json!({ "name": "future", "expires_at": "2999-01-01T00:00:00Z" });
    let answer = user.manage("POST", "/me/tokens", &body).expect(&[201]).json();
    user.as_bearer(answer["token"].as_str().expect("a token is shown once"))
        .ask("GET", "/v2/")
        .expect(&[200]);
}

#[test]
fn no_refresh_token_outlives_a_personal_one() {
    let user = outsider();
    let (_, token) = create(&user);
    for caller in ways(&user, &token) {
        let answer = caller.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]);
        assert!(answer.json()["refresh_token"].is_null(), "{answer}");
    }
}
