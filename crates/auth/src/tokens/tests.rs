use std::time::Duration;

use db::params;

use super::*;
use crate::testing::{PASSWORD, Setup, setup};

async fn stored(setup: &Setup, kind: Kind) -> i64 {
    let (count,): (i64,) = setup
        .db
        .one("SELECT count(*) FROM tokens WHERE user_id = $1 AND kind = $2", params![1_i64, kind.as_str()])
        .await
        .unwrap();
    count
}

#[tokio::test]
async fn a_token_is_made_listed_and_deleted_by_its_owner_only() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let bob = setup.user("bob").await.id;
    let (view, secret) = setup.auth.token_create(alice, "laptop", None).await.unwrap();
    assert!(
        view.hint.starts_with("lrd_pat_…")
            && secret.expose_secret().ends_with(&view.hint[view.hint.len() - 4..])
    );
    assert_eq!(setup.auth.token_list(alice, None, 10).await.unwrap(), std::slice::from_ref(&view));
    assert_eq!(setup.auth.token_list(bob, None, 10).await.unwrap(), []);
    assert!(matches!(setup.auth.token_delete(bob, &view.id).await, Err(AccountError::NotFound)));
    setup.auth.token_delete(alice, &view.id).await.unwrap();
    assert!(matches!(setup.auth.token_delete(alice, &view.id).await, Err(AccountError::NotFound)));
    assert_eq!(setup.auth.token_list(alice, None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn the_secret_is_stored_as_a_hash_only() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let (view, secret) = setup.auth.token_create(alice, "laptop", None).await.unwrap();
    let (hash,): (Vec<u8>,) =
        setup.db.one("SELECT secret_hash FROM tokens WHERE public_id = $1", params![&view.id]).await.unwrap();
    assert_eq!(hash, secret_token::hash(secret.expose_secret()));
}

#[tokio::test]
async fn lists_come_in_pages_oldest_first() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    for name in ["one", "two", "three"] {
        setup.auth.token_create(alice, name, None).await.unwrap();
        setup.clock.advance(Duration::from_millis(1));
    }
    let first = setup.auth.token_list(alice, None, 2).await.unwrap();
    assert_eq!(first.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    let rest = setup.auth.token_list(alice, Some(&first[1].id), 2).await.unwrap();
    assert_eq!(rest[0].name, "three");
}

#[tokio::test]
async fn unacceptable_values_are_named() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let past = Some(setup.clock.now());
    let long = "ä".repeat(101);
    for (name, expires_at, field) in [
        ("", None, "name"),
        ("  ", None, "name"),
        ("a\nb", None, "name"),
        (&*long, None, "name"),
        ("ci", past, "expires_at"),
    ] {
        let error = setup.auth.token_create(alice, name, expires_at).await.unwrap_err();
        assert!(matches!(error, AccountError::Invalid { field: named, .. } if named == field), "{error}");
    }
    assert!(matches!(setup.auth.token_create(4711, "ci", None).await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_personal_tokens() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    for number in 0..3 {
        let name = format!("token {number}");
        setup.auth.token_insert(Kind::Personal, alice, &name, None, 3).await.unwrap();
    }
    let error = setup.auth.token_insert(Kind::Personal, alice, "one more", None, 3).await.unwrap_err();
    assert!(matches!(error, AccountError::Invalid { field: "tokens", .. }));
}

#[tokio::test]
async fn signing_in_over_and_over_pushes_out_the_oldest_refresh_tokens() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let (_, personal) = setup.auth.token_create(alice, "stays", None).await.unwrap();
    let identity = setup.sign_in("alice", PASSWORD).await.unwrap();
    let first = setup.auth.refresh_token_issue(&identity, "docker").await.unwrap().unwrap();
    for _ in 0..MOST_REFRESH {
        setup.clock.advance(Duration::from_millis(1));
        setup.auth.refresh_token_issue(&identity, "docker").await.unwrap();
    }
    assert_eq!(stored(&setup, Kind::Refresh).await, MOST_REFRESH);
    assert!(setup.auth.identify_refresh(first.expose_secret()).await.is_err());
    assert!(setup.auth.identify_bearer(personal.expose_secret()).await.is_ok());
}

#[tokio::test]
async fn only_a_password_earns_a_refresh_token() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let (_, personal) = setup.auth.token_create(alice, "laptop", None).await.unwrap();
    let by_token = setup.auth.identify_bearer(personal.expose_secret()).await.unwrap();
    let by_password = setup.sign_in("alice", PASSWORD).await.unwrap();
    let access = setup.auth.access_token(&by_password, vec![]).token;
    let by_access = setup.auth.identify_bearer(access.expose_secret()).await.unwrap();
    for identity in [Identity::anonymous(), by_token, by_access] {
        assert!(setup.auth.refresh_token_issue(&identity, "docker").await.unwrap().is_none());
    }
    assert!(setup.auth.refresh_token_issue(&by_password, "docker\n").await.unwrap().is_some());
}

#[tokio::test]
async fn expired_tokens_are_removed_after_a_week() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let end = setup.clock.now() + Duration::from_hours(1);
    setup.auth.token_create(alice, "ends", Some(end)).await.unwrap();
    setup.auth.token_create(alice, "stays", None).await.unwrap();
    setup.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(setup.auth.tokens_remove_expired().await.unwrap(), 0);
    setup.clock.advance(Duration::from_hours(2));
    assert_eq!(setup.auth.tokens_remove_expired().await.unwrap(), 1);
    assert_eq!(setup.auth.token_list(alice, None, 10).await.unwrap()[0].name, "stays");
}
