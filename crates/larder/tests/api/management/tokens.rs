//! Personal tokens.

use serde_json::json;

use super::{NOTHING, fields, read_all};
use crate::scene::{Calls as _, expect_problem, outsider};

#[test]
fn a_personal_token_is_shown_once_listed_and_revoked() {
    let user = outsider();
    let created = user.manage("POST", "/me/tokens", &json!({ "name": "laptop" })).expect(&[201]).json();
    let (id, secret) = (created["id"].as_str().expect("an id"), created["token"].as_str().expect("a token"));
    assert!(secret.starts_with("lrd_"), "{created}");
    assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{created}");
    assert!(created["expires_at"].is_null(), "{created}");
    let list = user.manage("GET", "/me/tokens", &NOTHING).expect(&[200]);
    assert!(!String::from_utf8_lossy(&list.body).contains(secret), "the list shows the token: {list}");
    assert_eq!(fields(&list.json(), "id"), [id]);
    let bearer = user.as_bearer(secret);
    assert_eq!(bearer.manage("GET", "/me", &NOTHING).expect(&[200]).json()["username"], user.username());
    user.manage("DELETE", &format!("/me/tokens/{id}"), &NOTHING).expect(&[204]);
    expect_problem(bearer.manage("GET", "/me", &NOTHING), 401, "unauthenticated");
    expect_problem(user.manage("DELETE", &format!("/me/tokens/{id}"), &NOTHING), 404, "not_found");
    assert!(read_all(&user, "/me/tokens", 10, "id").is_empty());
}

#[test]
fn personal_tokens_are_their_owners_and_may_end() {
    let (user, other) = (outsider(), outsider());
    for name in ["one", "two", "three"] {
        user.token_create(name);
    }
    let ids = read_all(&user, "/me/tokens", 2, "id");
    assert_eq!(ids.len(), 3);
    expect_problem(other.manage("DELETE", &format!("/me/tokens/{}", ids[0]), &NOTHING), 404, "not_found");
    assert!(read_all(&other, "/me/tokens", 10, "id").is_empty());
    assert_eq!(read_all(&user, "/me/tokens", 10, "id"), ids);

    let body = json!({ "name": "short", "expires_at": "2099-01-31T12:00:00Z" });
    let created = user.manage("POST", "/me/tokens", &body).expect(&[201]).json();
    assert_eq!(created["expires_at"], "2099-01-31T12:00:00Z");
    for expires_at in ["tomorrow", "2001-01-31T12:00:00Z"] {
        let body = json!({ "name": "short", "expires_at": expires_at });
        let problem = expect_problem(user.manage("POST", "/me/tokens", &body), 422, "invalid");
        assert_eq!(problem["field"], "expires_at", "{problem}");
    }
    let body = json!({ "name": "" });
    assert_eq!(expect_problem(user.manage("POST", "/me/tokens", &body), 422, "invalid")["field"], "name");
}
