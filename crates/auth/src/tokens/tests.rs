use std::time::Duration;

use access::{Action, ActionSet, ScopeVerdict};
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
    let (view, secret) = setup.token(alice, "laptop", None).await.unwrap();
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
    let (view, secret) = setup.token(alice, "laptop", None).await.unwrap();
    let (hash,): (Vec<u8>,) =
        setup.db.one("SELECT secret_hash FROM tokens WHERE public_id = $1", params![&view.id]).await.unwrap();
    assert_eq!(hash, secret_token::hash(secret.expose_secret()));
}

#[tokio::test]
async fn lists_come_in_pages_oldest_first() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    for name in ["one", "two", "three"] {
        setup.token(alice, name, None).await.unwrap();
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
        let error = setup.token(alice, name, expires_at).await.unwrap_err();
        assert!(matches!(error, AccountError::Invalid { field: named, .. } if named == field), "{error}");
    }
    assert!(matches!(setup.token(4711, "ci", None).await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_personal_tokens() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let row = |name: String| TokenRow {
        kind: Kind::Personal,
        user_id: alice,
        name,
        scopes: None,
        created_by: String::new(),
        expires_at: None,
        binding_id: None,
        most: 3,
    };
    for number in 0..3 {
        setup.auth.token_insert(row(format!("token {number}"))).await.unwrap();
    }
    let error = setup.auth.token_insert(row("one more".to_owned())).await.unwrap_err();
    assert!(matches!(error, AccountError::Invalid { field: "tokens", .. }));
}

fn scope(pattern: &str, actions: ActionSet) -> TokenScope {
    TokenScope { repositories: pattern.parse().unwrap(), actions }
}

#[tokio::test]
async fn t13_scopes_limit_the_token_and_what_is_issued_for_it() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let maker = setup.sign_in("alice", PASSWORD).await.unwrap();
    let scopes = vec![scope("acme/prod/**", Action::Pull.into())];
    let new = NewToken { name: "ci".to_owned(), scopes: Some(scopes.clone()), expires_at: None };
    let (view, secret) = setup.auth.token_create(&maker, alice.id, new).await.unwrap();
    assert_eq!((&view.scopes, view.created_by.as_str()), (&Some(scopes), "alice"));
    assert_eq!(setup.auth.token_list(alice.id, None, 10).await.unwrap(), [view]);
    let identity = setup.bearer(secret.expose_secret()).await.unwrap();
    let wide = |name: &str| access::ScopeGrant {
        name: name.to_owned(),
        granted: ActionSet::ALL,
        denied: ActionSet::NONE,
    };
    let issued = setup.auth.access_token(&identity, vec![wide("acme/prod/app"), wide("acme/dev/app")]);
    let by_access = setup.bearer(issued.token.expose_secret()).await.unwrap();
    for identity in [identity, by_access] {
        assert_eq!(identity.evaluate("acme/prod/app", Action::Pull), ScopeVerdict::Granted);
        assert_eq!(identity.evaluate("acme/prod/app", Action::Push), ScopeVerdict::Denied);
        assert_eq!(identity.evaluate("acme/dev/app", Action::Pull), ScopeVerdict::Denied);
    }
}

#[tokio::test]
async fn t13_a_token_is_no_stronger_than_the_one_that_makes_it() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let password = setup.sign_in("alice", PASSWORD).await.unwrap();
    let end = setup.clock.now() + Duration::from_hours(1);
    let pull = ActionSet::of(Action::Pull);
    let held = vec![scope("acme/prod/**", pull), scope("acme/dev/app", ActionSet::ALL)];
    let new = |scopes| NewToken { name: "ci".to_owned(), scopes, expires_at: Some(end) };
    let (_, secret) = setup.auth.token_create(&password, alice.id, new(Some(held))).await.unwrap();
    let maker = setup.bearer(secret.expose_secret()).await.unwrap();
    for (scopes, is_allowed) in [
        (None, false),
        (Some(vec![]), false),
        (Some(vec![scope("**", pull)]), false),
        (Some(vec![scope("acme/**", pull)]), false),
        (Some(vec![scope("acme/prod/app", Action::Push.into())]), false),
        (Some(vec![scope("acme/prod/app", pull), scope("umbrella/prod/app", pull)]), false),
        (Some(vec![scope("acme/prod/app", pull), scope("acme/dev/app", ActionSet::ALL)]), true),
    ] {
        let later = NewToken { expires_at: Some(end + Duration::from_hours(9)), ..new(scopes.clone()) };
        let made = setup.auth.token_create(&maker, alice.id, later).await;
        assert_eq!(made.is_ok(), is_allowed, "{scopes:?}");
        if let Ok((view, _)) = made {
            assert_eq!(view.expires_at, Some(end), "it does not outlive its maker");
        }
    }
    let issued = setup.auth.access_token(&password, vec![]);
    let maker = setup.bearer(issued.token.expose_secret()).await.unwrap();
    assert!(setup.auth.token_create(&maker, alice.id, new(None)).await.is_err());
}

#[tokio::test]
async fn scopes_have_to_be_good_for_something_and_few() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let maker = setup.sign_in("alice", PASSWORD).await.unwrap();
    let pull = || scope("acme/prod/**", Action::Pull.into());
    for scopes in [vec![], vec![scope("acme/prod/**", ActionSet::NONE)], vec![pull(); 33]] {
        let new = NewToken { name: "ci".to_owned(), scopes: Some(scopes), expires_at: None };
        let error = setup.auth.token_create(&maker, alice.id, new).await.unwrap_err();
        assert!(matches!(error, AccountError::Invalid { field: "scopes", .. }));
    }
}

#[tokio::test]
async fn a_token_that_was_rotated_works_beside_the_new_one_for_a_while() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let bob = setup.user("bob").await;
    let maker = setup.sign_in("alice", PASSWORD).await.unwrap();
    let start = setup.clock.now();
    let new = NewToken {
        name: "ci".to_owned(),
        scopes: Some(vec![scope("acme/prod/**", Action::Pull.into())]),
        expires_at: Some(start + Duration::from_hours(24)),
    };
    let (old, old_secret) = setup.auth.token_create(&maker, alice.id, new).await.unwrap();
    setup.clock.advance(Duration::from_hours(1));
    let hour = Duration::from_hours(1);
    assert!(matches!(setup.auth.token_rotate(bob.id, &old.id, hour).await, Err(AccountError::NotFound)));
    let (new, new_secret) = setup.auth.token_rotate(alice.id, &old.id, hour).await.unwrap();
    assert_eq!((&new.name, &new.scopes), (&old.name, &old.scopes));
    assert_eq!(new.expires_at, Some(start + Duration::from_hours(25)), "as long a life as before");
    for secret in [&old_secret, &new_secret] {
        assert!(setup.bearer(secret.expose_secret()).await.is_ok());
    }
    setup.clock.advance(hour);
    assert!(setup.bearer(old_secret.expose_secret()).await.is_err());
    assert!(setup.bearer(new_secret.expose_secret()).await.is_ok());
    assert!(matches!(setup.auth.token_rotate(alice.id, &old.id, hour).await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn rotated_without_overlap_a_token_is_over_with_all_that_came_from_it() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (old, secret) = setup.token(alice.id, "leaked", None).await.unwrap();
    let identity = setup.bearer(secret.expose_secret()).await.unwrap();
    let access = setup.auth.access_token(&identity, vec![]).token;
    let (new, _) = setup.auth.token_rotate(alice.id, &old.id, Duration::ZERO).await.unwrap();
    assert!(setup.bearer(secret.expose_secret()).await.is_err());
    assert!(setup.bearer(access.expose_secret()).await.is_err());
    assert_eq!(new.expires_at, None);
    assert_eq!(setup.auth.token_list(alice.id, None, 10).await.unwrap(), [new]);
}

#[tokio::test]
async fn an_overlap_makes_no_token_live_longer() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let end = setup.clock.now() + Duration::from_mins(10);
    let (old, _) = setup.token(alice.id, "short", Some(end)).await.unwrap();
    setup.auth.token_rotate(alice.id, &old.id, Duration::from_hours(10)).await.unwrap();
    let listed = setup.auth.token_list(alice.id, None, 10).await.unwrap();
    let found = listed.iter().find(|token| token.id == old.id).unwrap();
    assert_eq!(found.expires_at, Some(end));
}

#[tokio::test]
async fn signing_in_over_and_over_pushes_out_the_oldest_refresh_tokens() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let (_, personal) = setup.token(alice, "stays", None).await.unwrap();
    let identity = setup.sign_in("alice", PASSWORD).await.unwrap();
    let first = setup.auth.refresh_token_issue(&identity, "docker").await.unwrap().unwrap();
    for _ in 0..MOST_REFRESH {
        setup.clock.advance(Duration::from_millis(1));
        setup.auth.refresh_token_issue(&identity, "docker").await.unwrap();
    }
    assert_eq!(stored(&setup, Kind::Refresh).await, MOST_REFRESH);
    assert!(setup.auth.identify_refresh(first.expose_secret()).await.is_err());
    assert!(setup.bearer(personal.expose_secret()).await.is_ok());
}

#[tokio::test]
async fn only_a_password_earns_a_refresh_token() {
    let setup = setup().await;
    let alice = setup.user("alice").await.id;
    let (_, personal) = setup.token(alice, "laptop", None).await.unwrap();
    let by_token = setup.bearer(personal.expose_secret()).await.unwrap();
    let by_password = setup.sign_in("alice", PASSWORD).await.unwrap();
    let access = setup.auth.access_token(&by_password, vec![]).token;
    let by_access = setup.bearer(access.expose_secret()).await.unwrap();
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
    setup.token(alice, "ends", Some(end)).await.unwrap();
    setup.token(alice, "stays", None).await.unwrap();
    setup.clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(setup.auth.tokens_remove_expired().await.unwrap(), 0);
    setup.clock.advance(Duration::from_hours(2));
    assert_eq!(setup.auth.tokens_remove_expired().await.unwrap(), 1);
    assert_eq!(setup.auth.token_list(alice, None, 10).await.unwrap()[0].name, "stays");
}
