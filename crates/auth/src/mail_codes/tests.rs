use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::testing::{HERE, code_in, settings, setup, setup_with, with_mail};

#[tokio::test]
async fn a_code_shows_that_mail_arrives_and_counts_once() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    assert!(alice.email_verified_at.is_none());
    setup.auth.email_verify_send(alice.id).await.unwrap();
    let letters = setup.letters();
    assert_eq!(letters[0].to.to_string(), "alice@example.com");
    assert!(letters[0].text.contains("https://registry.example.org/verify?code="));
    let code = code_in(&letters[0]);
    let view = setup.auth.email_verify(&code, None, HERE).await.unwrap();
    assert_eq!(view.email_verified_at, Some(setup.clock.now()));
    assert!(matches!(setup.auth.email_verify(&code, None, HERE).await, Err(AccountError::WrongLink)));
}

#[tokio::test]
async fn the_database_does_not_hold_the_code() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    setup.auth.email_verify_send(alice.id).await.unwrap();
    let code = code_in(&setup.letters()[0]);
    let (hash,): (Vec<u8>,) =
        setup.db.one("SELECT secret_hash FROM mail_codes /* walks */", params![]).await.unwrap();
    assert_eq!(hash, secret_token::hash(code.expose_secret()));
}

#[tokio::test]
async fn a_code_expires_and_is_removed() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    setup.auth.email_verify_send(alice.id).await.unwrap();
    let code = code_in(&setup.letters()[0]);
    setup.clock.advance(Duration::from_hours(24));
    assert!(matches!(setup.auth.email_verify(&code, None, HERE).await, Err(AccountError::WrongLink)));
    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(setup.auth.mail_codes_remove_expired().await.unwrap(), 1);
    assert_eq!(setup.auth.mail_codes_remove_expired().await.unwrap(), 0);
}

#[tokio::test]
async fn a_new_address_counts_when_its_code_comes_back() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    assert!(!setup.auth.email_change(alice.id, "new@example.com").await.unwrap());
    assert_eq!(setup.auth.user_get("alice").await.unwrap().email, "alice@example.com");
    let letters = setup.letters();
    assert_eq!(letters[0].to.to_string(), "new@example.com");
    let view = setup.auth.email_verify(&code_in(&letters[0]), None, HERE).await.unwrap();
    assert_eq!(view.email, "new@example.com");
    let letters = setup.letters();
    assert_eq!(letters[1].to.to_string(), "alice@example.com");
    assert!(letters[1].subject.contains("was changed"));
    assert!(matches!(
        setup.auth.email_change(alice.id, "no address").await,
        Err(AccountError::Invalid { .. })
    ));
}

#[tokio::test]
async fn of_two_new_addresses_the_later_counts() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    setup.auth.email_change(alice.id, "first@example.com").await.unwrap();
    setup.auth.email_change(alice.id, "second@example.com").await.unwrap();
    let letters = setup.letters();
    assert!(matches!(
        setup.auth.email_verify(&code_in(&letters[0]), None, HERE).await,
        Err(AccountError::WrongLink)
    ));
    let view = setup.auth.email_verify(&code_in(&letters[1]), None, HERE).await.unwrap();
    assert_eq!(view.email, "second@example.com");
}

#[tokio::test]
async fn a_code_for_another_address_proves_nothing() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    setup.auth.email_verify_send(alice.id).await.unwrap();
    setup.auth.password_forgot_now("alice").await.unwrap();
    let (verify, reset) = (code_in(&setup.letters()[0]), code_in(&setup.letters()[1]));
    let changed: Result<(), db::Error> = setup
        .db
        .write(Durability::Relaxed, |tx| {
            Box::pin(async move {
                tx.exec("UPDATE users SET email = 'other@example.com' WHERE username = 'alice'", params![])
                    .await
                    .map(|_| ())
            })
        })
        .await;
    changed.unwrap();
    assert!(matches!(setup.auth.email_verify(&verify, None, HERE).await, Err(AccountError::WrongLink)));
    let answer = setup.auth.password_reset(&reset, &"another long password".into()).await;
    assert!(matches!(answer, Err(AccountError::WrongLink)));
}

#[tokio::test]
async fn one_kind_is_never_taken_for_another() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    setup.auth.email_verify_send(alice.id).await.unwrap();
    let verify = code_in(&setup.letters()[0]);
    let answer = setup.auth.password_reset(&verify, &"another long password".into()).await;
    assert!(matches!(answer, Err(AccountError::WrongLink)));
    let reset = setup.auth.password_reset_link("alice").await.unwrap();
    assert!(matches!(setup.auth.email_verify(&reset, None, HERE).await, Err(AccountError::WrongLink)));
}

#[tokio::test]
async fn an_address_that_is_known_to_be_anothers_is_not_taken_over() {
    let setup = setup_with(with_mail(settings())).await;
    let (alice, mallory) = (setup.user("alice").await, setup.user("mallory").await);
    setup.auth.email_verify_send(alice.id).await.unwrap();
    setup.auth.email_verify(&code_in(&setup.letters()[0]), None, HERE).await.unwrap();
    // The answer does not tell whose it is.
    assert!(!setup.auth.email_change(mallory.id, "Alice@example.com").await.unwrap());
    let code = code_in(&setup.letters()[1]);
    assert!(matches!(setup.auth.email_verify(&code, None, HERE).await, Err(AccountError::WrongLink)));
}

#[tokio::test]
async fn no_mailbox_is_filled() {
    let setup = setup_with(with_mail(settings())).await;
    let alice = setup.user("alice").await;
    for _ in 0..10 {
        setup.auth.email_verify_send(alice.id).await.unwrap();
    }
    assert_eq!(setup.letters().len(), 3);
    setup.clock.advance(Duration::from_hours(1));
    setup.auth.email_verify_send(alice.id).await.unwrap();
    assert_eq!(setup.letters().len(), 4);
}

#[tokio::test]
async fn without_mail_an_address_changes_at_once() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    assert!(setup.auth.email_change(alice.id, "new@example.com").await.unwrap());
    let view = setup.auth.user_get("alice").await.unwrap();
    assert_eq!((view.email.as_str(), view.email_verified_at), ("new@example.com", None));
    let answer = setup.auth.email_verify_send(alice.id).await;
    assert!(matches!(answer, Err(AccountError::NotConfigured(_))));
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,80}") {
        let code = SecretString::from(text.as_str());
        prop_assert!(hash(&code).is_none() || text.len() == CODE_LENGTH);
    }
}
