use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::testing::{CHEAP, PASSWORD, Setup, setup, setup_with};
use crate::{Settings, SignInError};

async fn secret_of(setup: &Setup, user_id: i64) -> Zeroizing<Vec<u8>> {
    let (sealed,): (Vec<u8>,) =
        setup.db.one("SELECT secret FROM second_factors WHERE user_id = $1", params![user_id]).await.unwrap();
    unseal(&setup.auth.0.sealer, user_id, &sealed).unwrap()
}

async fn code(setup: &Setup, user_id: i64) -> SecretString {
    totp::at(&secret_of(setup, user_id).await, setup.clock.now()).into()
}

#[tokio::test]
async fn it_counts_from_the_first_code_on() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    assert_eq!(setup.auth.second_factor_get(alice.id).await.unwrap(), SecondFactorView::default());
    let new = setup.auth.totp_begin(alice.id).await.unwrap();
    let secret = secret_of(&setup, alice.id).await;
    assert_eq!(new.secret.expose_secret(), totp::base32(&secret));
    let url = new.url.expose_secret();
    assert!(url.starts_with("otpauth://totp/larder:alice?secret="), "{url}");
    assert!(url.contains(new.secret.expose_secret()) && url.ends_with("&issuer=larder"));
    assert!(!format!("{new:?}").contains(new.secret.expose_secret()));
    // Not yet in force.
    setup.sign_in("alice", PASSWORD).await.unwrap();
    let answer = setup.auth.totp_confirm(alice.id, &"000000".into()).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
    let codes = setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await.unwrap();
    assert_eq!(codes.len(), RECOVERY_CODES);
    let view = setup.auth.second_factor_get(alice.id).await.unwrap();
    assert_eq!((view.confirmed_at, view.recovery_codes), (Some(setup.clock.now()), 10));
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::SecondFactor)));
    assert!(matches!(setup.auth.totp_begin(alice.id).await, Err(AccountError::SecondFactorOn)));
    let answer = setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await;
    assert!(matches!(answer, Err(AccountError::SecondFactorOn)));
}

#[tokio::test]
async fn to_begin_again_makes_another_secret() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    let first = code(&setup, alice.id).await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    assert!(matches!(setup.auth.totp_confirm(alice.id, &first).await, Err(AccountError::WrongCode)));
}

#[tokio::test]
async fn putting_it_into_force_ends_what_the_password_alone_opened() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
}

#[tokio::test]
async fn it_goes_with_a_code_of_it() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await.unwrap();
    // The code that put it into force is used up.
    let answer = setup.auth.totp_disable(alice.id, &code(&setup, alice.id).await).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
    setup.clock.advance(Duration::from_secs(30));
    let codes = setup.auth.recovery_codes_renew(alice.id, &code(&setup, alice.id).await).await.unwrap();
    setup.clock.advance(Duration::from_secs(30));
    setup.auth.totp_disable(alice.id, &codes[9]).await.unwrap();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    let answer = setup.auth.totp_disable(alice.id, &codes[8]).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
}

#[tokio::test]
async fn renewed_recovery_codes_replace_the_earlier() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    let old = setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await.unwrap();
    let new = setup.auth.recovery_codes_renew(alice.id, &old[0]).await.unwrap();
    assert_eq!(setup.auth.second_factor_get(alice.id).await.unwrap().recovery_codes, 10);
    let answer = setup.auth.totp_disable(alice.id, &old[1]).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
    setup.auth.totp_disable(alice.id, &new[0]).await.unwrap();
}

#[tokio::test]
async fn an_administrator_removes_it_for_who_lost_it() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await.unwrap();
    setup.auth.second_factor_remove("alice").await.unwrap();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert!(matches!(setup.auth.second_factor_remove("alice").await, Err(AccountError::NotFound)));
    assert!(matches!(setup.auth.second_factor_remove("nobody").await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn a_secret_moved_to_another_user_opens_nothing() {
    let setup = setup().await;
    let (alice, mallory) = (setup.user("alice").await, setup.user("mallory").await);
    for user in [&alice, &mallory] {
        setup.auth.totp_begin(user.id).await.unwrap();
        setup.auth.totp_confirm(user.id, &code(&setup, user.id).await).await.unwrap();
    }
    let known = secret_of(&setup, mallory.id).await;
    let (from, to) = (mallory.id, alice.id);
    let moved: Result<(), db::Error> = setup
        .db
        .write(Durability::Relaxed, move |tx| {
            Box::pin(async move {
                tx.exec(
                    "UPDATE second_factors SET last_step = 0, secret = \
                     (SELECT secret FROM second_factors WHERE user_id = $1) WHERE user_id = $2",
                    params![from, to],
                )
                .await
                .map(|_| ())
            })
        })
        .await;
    moved.unwrap();
    let cookie = setup.browse("alice").await;
    let code = totp::at(&known, setup.clock.now());
    let answer = setup.auth.second_factor_check(&cookie, &code.into()).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
}

#[tokio::test]
async fn without_a_key_that_lasts_there_is_none() {
    let setup = setup_with(Settings { password_cost: CHEAP, ..Settings::default() }).await;
    let alice = setup.user("alice").await;
    assert!(matches!(setup.auth.totp_begin(alice.id).await, Err(AccountError::NotConfigured(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_code_shown_many_times_at_once_counts_once() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    setup.auth.totp_begin(alice.id).await.unwrap();
    setup.auth.totp_confirm(alice.id, &code(&setup, alice.id).await).await.unwrap();
    setup.clock.advance(Duration::from_secs(30));
    let code = code(&setup, alice.id).await;
    let mut attempts = Vec::new();
    for _ in 0..5 {
        let cookie = setup.browse("alice").await;
        let (auth, code) = (setup.auth.clone(), code.clone());
        attempts.push(tokio::spawn(async move { auth.second_factor_check(&cookie, &code).await.is_ok() }));
    }
    let mut right = 0;
    for attempt in attempts {
        right += u32::from(attempt.await.unwrap());
    }
    assert_eq!(right, 1);
}

#[test]
fn recovery_codes_have_one_form() {
    let code = recovery_code();
    let text = code.expose_secret();
    assert_eq!(text.len(), RECOVERY_LENGTH + 3);
    assert!(text.split('-').all(|group| group.len() == 4));
    assert_ne!(text, recovery_code().expose_secret());
    assert!(recovery_hash(1, &code).is_some());
    assert_ne!(recovery_hash(1, &code), recovery_hash(2, &code));
    assert!(recovery_hash(1, &"287082".into()).is_none());
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,80}") {
        recovery_hash(1, &text.as_str().into());
    }
}
