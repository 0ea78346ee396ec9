use std::time::Duration;

use db::params;
use secrecy::ExposeSecret;

use crate::testing::{PASSWORD, Setup, setup};
use crate::{BearerError, Credential};

async fn last_used_at(setup: &Setup) -> Option<i64> {
    let (at,): (Option<i64>,) =
        setup.db.one("SELECT last_used_at FROM tokens WHERE id > $1 LIMIT 1", params![0_i64]).await.unwrap();
    at
}

/// Waits for what is written beside the request.
async fn last_used_becomes(setup: &Setup, expected: i64) {
    for _ in 0..500 {
        if last_used_at(setup).await == Some(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the last use was not written");
}

#[tokio::test]
async fn a_personal_token_is_its_owner_without_limit() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let (_, token) = setup.token(user.id, "laptop", None).await.unwrap();
    let identity = setup.bearer(token.expose_secret()).await.unwrap();
    assert_eq!(identity.principal.user_id(), Some(user.id));
    assert_eq!(identity.credential, Credential::PersonalToken);
    assert!(identity.limit.is_none());
}

#[tokio::test]
async fn a_token_ends_when_it_is_deleted_or_its_time_is_over() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let (view, token) = setup.token(user.id, "laptop", None).await.unwrap();
    setup.auth.token_delete(user.id, &view.id).await.unwrap();
    assert!(matches!(setup.bearer(token.expose_secret()).await, Err(BearerError::Invalid)));

    let end = setup.clock.now() + Duration::from_hours(1);
    let (_, token) = setup.token(user.id, "laptop", Some(end)).await.unwrap();
    assert!(setup.bearer(token.expose_secret()).await.is_ok());
    setup.clock.advance(Duration::from_hours(1));
    assert!(matches!(setup.bearer(token.expose_secret()).await, Err(BearerError::Expired)));
}

#[tokio::test]
async fn a_well_formed_token_that_nobody_issued_is_invalid() {
    let setup = setup().await;
    let invented = crate::secret_token::generate(crate::secret_token::Kind::Personal);
    assert!(matches!(setup.bearer(invented.expose_secret()).await, Err(BearerError::Invalid)));
}

#[tokio::test]
async fn a_refresh_token_works_again_and_again_until_the_password_changes() {
    let setup = setup().await;
    setup.user("alice").await;
    let alice = setup.sign_in("alice", PASSWORD).await.unwrap();
    let token = setup.auth.refresh_token_issue(&alice, "docker").await.unwrap().unwrap();
    for _ in 0..3 {
        let identity = setup.auth.identify_refresh(token.expose_secret()).await.unwrap();
        assert_eq!(identity.credential, Credential::RefreshToken);
        assert_eq!(identity.principal, alice.principal);
    }
    setup.auth.password_set("alice", &"another long password".into()).await.unwrap();
    assert!(matches!(setup.auth.identify_refresh(token.expose_secret()).await, Err(BearerError::Invalid)));
}

#[tokio::test]
async fn a_refresh_token_ends_after_ninety_days() {
    let setup = setup().await;
    setup.user("alice").await;
    let alice = setup.sign_in("alice", PASSWORD).await.unwrap();
    let token = setup.auth.refresh_token_issue(&alice, "docker").await.unwrap().unwrap();
    setup.clock.advance(Duration::from_hours(90 * 24));
    assert!(matches!(setup.auth.identify_refresh(token.expose_secret()).await, Err(BearerError::Expired)));
}

#[tokio::test]
async fn the_last_use_is_written_every_ten_minutes_at_most() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let (_, token) = setup.token(user.id, "laptop", None).await.unwrap();
    assert_eq!(last_used_at(&setup).await, None);
    let first = setup.clock.now().as_millis();
    setup.bearer(token.expose_secret()).await.unwrap();
    last_used_becomes(&setup, first).await;

    let commits = setup.db.commits();
    setup.clock.advance(Duration::from_mins(9));
    for _ in 0..5 {
        setup.bearer(token.expose_secret()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(setup.db.commits(), commits, "using a token writes nothing");

    setup.clock.advance(Duration::from_mins(1));
    setup.bearer(token.expose_secret()).await.unwrap();
    last_used_becomes(&setup, first + 600_000).await;
}
