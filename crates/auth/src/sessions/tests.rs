use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret as _;

use super::*;
use crate::testing::{PASSWORD, browser, setup};

#[tokio::test]
async fn a_cookie_stands_for_its_user_until_it_is_closed() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (secret, view) = setup.auth.session_open(alice.id, Some("keycloak"), browser()).await.unwrap();
    let cookie = secret.expose_secret();
    let found = setup.auth.session_find(cookie).await.unwrap().unwrap();
    assert_eq!(found.identity.principal.user_id(), Some(alice.id));
    assert_eq!(found.identity.credential, Credential::Session);
    assert_eq!((found.public_id, found.provider), (view.id, Some("keycloak".to_owned())));
    assert!(!found.is_partial);
    setup.auth.session_close(cookie).await.unwrap();
    assert!(setup.auth.session_find(cookie).await.unwrap().is_none());
    setup.auth.session_close(cookie).await.unwrap();
}

#[tokio::test]
async fn the_database_does_not_hold_the_cookie() {
    let setup = setup().await;
    setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    let (hash,): (Vec<u8>,) =
        setup.db.one("SELECT secret_hash FROM sessions /* walks */", params![]).await.unwrap();
    assert_eq!(hash, secret_token::hash(&cookie));
}

#[tokio::test]
async fn a_session_ends_idle_and_in_any_case() {
    let setup = setup().await;
    setup.user("alice").await;
    let idle = setup.browse("alice").await;
    setup.clock.advance(Duration::from_hours(12));
    assert!(setup.auth.session_find(&idle).await.unwrap().is_none());
    let busy = setup.browse("alice").await;
    for hour in 0..7 * 24 {
        assert!(setup.auth.session_find(&busy).await.unwrap().is_some(), "hour {hour}");
        // What is written beside the request has to arrive before the clock moves on.
        let now = setup.clock.now().as_millis();
        for _ in 0..1_000 {
            let seen: Vec<(i64,)> = setup
                .db
                .all("SELECT last_seen_at FROM sessions WHERE last_seen_at = $1 /* walks */", params![now])
                .await
                .unwrap();
            if !seen.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        setup.clock.advance(Duration::from_hours(1));
    }
    assert!(setup.auth.session_find(&busy).await.unwrap().is_none());
    setup.clock.advance(Duration::from_hours(1));
    assert_eq!(setup.auth.sessions_remove_expired().await.unwrap(), 2);
}

#[tokio::test]
async fn t12_sessions_are_listed_and_ended_by_their_owner_only() {
    let setup = setup().await;
    let (alice, mallory) = (setup.user("alice").await, setup.user("mallory").await);
    let (first, second) = (setup.browse("alice").await, setup.browse("alice").await);
    let listed = setup.auth.session_list(alice.id).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].user_agent.as_str(), listed[0].address.as_str()), ("Firefox", "192.0.2.1"));
    assert!(setup.auth.session_list(mallory.id).await.unwrap().is_empty());
    let answer = setup.auth.session_delete(mallory.id, &listed[0].id).await;
    assert!(matches!(answer, Err(AccountError::NotFound)));
    let id = setup.auth.session_find(&first).await.unwrap().unwrap().public_id;
    assert_eq!(setup.auth.sessions_delete_others(alice.id, &id).await.unwrap(), 1);
    assert!(setup.auth.session_find(&second).await.unwrap().is_none());
    setup.auth.session_delete(alice.id, &id).await.unwrap();
    assert!(setup.auth.session_find(&first).await.unwrap().is_none());
}

#[tokio::test]
async fn t35_what_a_browser_says_of_itself_is_kept_short_and_plain() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let user_agent = format!("\x1b[31mred\r\nX: y{}", "é".repeat(500));
    let odd = BrowserInfo { user_agent, ..browser() };
    let (_, view) = setup.auth.session_open(alice.id, None, odd).await.unwrap();
    assert!(view.user_agent.starts_with("[31mredX: yé"));
    assert_eq!(view.user_agent.chars().count(), LONGEST_USER_AGENT);
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    setup.auth.password_set("alice", &"another long password".into()).await.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
    assert!(setup.auth.session_list(alice.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_of_another_epoch_is_over_even_when_its_row_stayed() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    let raised: Result<(), db::Error> = setup
        .db
        .write(Durability::Relaxed, |tx| {
            Box::pin(async move {
                tx.exec("UPDATE users SET epoch = epoch + 1 WHERE username = 'alice'", params![])
                    .await
                    .map(|_| ())
            })
        })
        .await;
    raised.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
    assert!(setup.auth.session_list(alice.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_oldest_of_too_many_is_pushed_out() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let first = setup.browse("alice").await;
    for _ in 0..MOST_SESSIONS {
        setup.clock.advance(Duration::from_millis(1));
        setup.auth.session_open(alice.id, None, browser()).await.unwrap();
    }
    assert!(setup.auth.session_find(&first).await.unwrap().is_none());
    assert_eq!(setup.auth.session_list(alice.id).await.unwrap().len(), 100);
}

#[tokio::test]
async fn t23_a_token_against_forgery_belongs_to_one_cookie() {
    let setup = setup().await;
    setup.user("alice").await;
    let (mine, other) = (setup.browse("alice").await, setup.browse("alice").await);
    let token = setup.auth.csrf_token(&mine);
    assert!(setup.auth.csrf_matches(&mine, &token));
    assert!(!setup.auth.csrf_matches(&other, &token));
    for wrong in ["", "x", &mine, &token[1..], &format!("{token}A")] {
        assert!(!setup.auth.csrf_matches(&mine, wrong), "{wrong}");
    }
    assert!(!token.contains(&mine[..8]));
}

#[tokio::test]
async fn a_personal_token_is_no_cookie_and_a_cookie_no_password() {
    let setup = setup().await;
    setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    assert!(setup.bearer(&cookie).await.is_err());
    assert!(setup.sign_in("alice", &cookie).await.is_err());
    assert!(setup.auth.session_find(PASSWORD).await.unwrap().is_none());
}

proptest! {
    #[test]
    fn any_cookie_is_survived(cookie in ".{0,80}") {
        prop_assert!(hash(&cookie).is_none() || cookie.len() == SECRET_LENGTH);
    }
}
