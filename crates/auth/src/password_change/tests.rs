use std::time::Duration;

use db::{Durability, params};
use secrecy::{ExposeSecret as _, SecretString};

use crate::testing::{HERE, PASSWORD, code_in, settings, setup, setup_with, with_mail};
use crate::{AccountError, FailureDelays, Settings, SignInError};

const NEW: &str = "another long password";

#[tokio::test]
async fn a_password_changes_for_who_knows_it() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    let change = |current: Option<&'static str>, new: &'static str| {
        let auth = setup.auth.clone();
        async move {
            let current = current.map(SecretString::from);
            auth.password_change(alice.id, current.as_ref(), &new.into(), HERE).await
        }
    };
    assert!(matches!(change(Some("wrong password"), NEW).await, Err(AccountError::WrongPassword)));
    assert!(matches!(change(None, NEW).await, Err(AccountError::WrongPassword)));
    assert!(matches!(change(Some(PASSWORD), "short").await, Err(AccountError::Invalid { .. })));
    assert!(setup.letters().is_empty());
    change(Some(PASSWORD), NEW).await.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::Wrong)));
    setup.sign_in("alice", NEW).await.unwrap();
    let letters = setup.letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].text.contains("password") && !letters[0].text.contains(NEW));
}

#[tokio::test]
async fn an_account_without_a_password_needs_none() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let removed: Result<(), db::Error> = setup
        .db
        .write(Durability::Relaxed, |tx| {
            Box::pin(async move {
                tx.exec("UPDATE users SET password_hash = NULL WHERE username = 'alice'", params![])
                    .await
                    .map(|_| ())
            })
        })
        .await;
    removed.unwrap();
    assert!(!setup.auth.has_password(alice.id).await.unwrap());
    setup.auth.password_change(alice.id, None, &NEW.into(), HERE).await.unwrap();
    assert!(setup.auth.has_password(alice.id).await.unwrap());
    setup.sign_in("alice", NEW).await.unwrap();
}

#[tokio::test]
async fn guesses_at_the_present_password_are_slowed_down_like_sign_in() {
    let failure_delays = FailureDelays { longest_queue: Duration::from_secs(1), ..FailureDelays::default() };
    let setup = setup_with(Settings { failure_delays, ..settings() }).await;
    let alice = setup.user("alice").await;
    let guesses = (0..100).map(|number| {
        let auth = setup.auth.clone();
        tokio::spawn(async move {
            let guess = SecretString::from(format!("wrong password {number}"));
            auth.password_change(alice.id, Some(&guess), &NEW.into(), HERE).await
        })
    });
    let guesses: Vec<_> = guesses.collect();
    let mut throttled = 0;
    for guess in guesses {
        throttled += u32::from(matches!(guess.await.unwrap(), Err(AccountError::Throttled { .. })));
    }
    assert!(throttled > 80, "{throttled}");
}

#[tokio::test]
async fn a_link_in_a_mail_sets_a_new_password_once() {
    let setup = setup_with(with_mail(settings())).await;
    setup.user("alice").await;
    setup.auth.password_forgot("ALICE@example.com").unwrap();
    let letters = setup.letters_of(1).await;
    assert!(letters[0].text.contains("https://registry.example.org/reset-password?code="));
    assert!(letters[0].text.contains("\"alice\""));
    let code = code_in(&letters[0]);
    let short = setup.auth.password_reset(&code, &"short".into()).await;
    assert!(matches!(short, Err(AccountError::Invalid { .. })));
    let user = setup.auth.password_reset(&code, &NEW.into()).await.unwrap();
    assert_eq!(user.username, "alice");
    setup.sign_in("alice", NEW).await.unwrap();
    let again = setup.auth.password_reset(&code, &PASSWORD.into()).await;
    assert!(matches!(again, Err(AccountError::WrongLink)));
    assert!(setup.auth.user_get("alice").await.unwrap().email_verified_at.is_some());
}

#[tokio::test]
async fn t9_who_is_unknown_gets_the_same_answer_and_no_mail() {
    let setup = setup_with(with_mail(settings())).await;
    setup.user("alice").await;
    setup.user("disabled").await;
    setup.auth.user_disable("disabled").await.unwrap();
    for name in ["nobody", "nobody@example.com", "", "@", "disabled", "disabled@example.com", "alice@exam"] {
        setup.auth.password_forgot(name).unwrap();
        setup.auth.password_forgot_now(name).await.unwrap();
    }
    assert!(setup.letters().is_empty());
}

#[tokio::test]
async fn a_reset_leaves_the_second_factor() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    let (sealed,): (Vec<u8>,) =
        setup.db.one("SELECT secret FROM second_factors /* walks */", params![]).await.unwrap();
    let purpose = crate::seal::Purpose::SecondFactor;
    let secret = setup.auth.0.sealer.open(purpose, &alice.id.to_string(), &sealed).unwrap();
    let code = crate::totp::at(&secret, setup.clock.now());
    setup.auth.totp_confirm(alice.id, &code.into()).await.unwrap();
    let link = setup.auth.password_reset_link("alice").await.unwrap();
    setup.auth.password_reset(&link, &NEW.into()).await.unwrap();
    assert!(matches!(setup.sign_in("alice", NEW).await, Err(SignInError::SecondFactor)));
}

#[tokio::test]
async fn an_administrators_link_works_without_mail_and_the_last_one_counts() {
    let setup = setup().await;
    setup.user("alice").await;
    assert!(matches!(setup.auth.password_forgot("alice"), Err(AccountError::NotConfigured(_))));
    let first = setup.auth.password_reset_link("alice").await.unwrap();
    let second = setup.auth.password_reset_link("alice").await.unwrap();
    assert_ne!(first.expose_secret(), second.expose_secret());
    let answer = setup.auth.password_reset(&first, &NEW.into()).await;
    assert!(matches!(answer, Err(AccountError::WrongLink)));
    setup.clock.advance(Duration::from_hours(23));
    setup.auth.password_reset(&second, &NEW.into()).await.unwrap();
    setup.sign_in("alice", NEW).await.unwrap();
    // It proves nothing about the mailbox.
    assert!(setup.auth.user_get("alice").await.unwrap().email_verified_at.is_none());
    assert!(matches!(setup.auth.password_reset_link("nobody").await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn a_link_of_a_disabled_account_is_void() {
    let setup = setup().await;
    setup.user("alice").await;
    let link = setup.auth.password_reset_link("alice").await.unwrap();
    setup.auth.user_disable("alice").await.unwrap();
    let answer = setup.auth.password_reset(&link, &NEW.into()).await;
    assert!(matches!(answer, Err(AccountError::WrongLink)));
}
