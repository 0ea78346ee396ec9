use std::time::Duration;

use crate::testing::{HERE, PASSWORD, Setup, browser, setup};
use crate::{AccountError, Proof, SignInError, SignedIn, totp};
use db::params;
use secrecy::{ExposeSecret as _, SecretString};

/// Sets up a second factor for a user; returns the secret and the recovery codes.
async fn with_second_factor(setup: &Setup, user_id: i64) -> (Vec<u8>, Vec<SecretString>) {
    setup.auth.totp_begin(user_id).await.unwrap();
    let secret = secret_of(setup, user_id).await;
    let code = totp::at(&secret, setup.clock.now());
    let codes = setup.auth.totp_confirm(user_id, &code.into()).await.unwrap();
    (secret, codes)
}

async fn secret_of(setup: &Setup, user_id: i64) -> Vec<u8> {
    let (sealed,): (Vec<u8>,) =
        setup.db.one("SELECT secret FROM second_factors WHERE user_id = $1", params![user_id]).await.unwrap();
    let purpose = crate::seal::Purpose::SecondFactor;
    setup.auth.0.sealer.open(purpose, &user_id.to_string(), &sealed).unwrap().to_vec()
}

fn code(setup: &Setup, secret: &[u8]) -> SecretString {
    totp::at(secret, setup.clock.now()).into()
}

#[tokio::test]
async fn a_password_signs_a_browser_in() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let answer = setup.auth.sign_in("alice", &PASSWORD.into(), browser()).await.unwrap();
    let SignedIn::Complete(secret, _) = answer else { panic!("{answer:?}") };
    let found = setup.auth.session_find(secret.expose_secret()).await.unwrap().unwrap();
    assert_eq!(found.identity.principal.user_id(), Some(alice.id));
}

#[tokio::test]
async fn wrong_names_passwords_and_tokens_are_wrong_in_one_way() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (_, token) = setup.auth.session_open(alice.id, None, browser()).await.map(|(s, v)| (v, s)).unwrap();
    for (username, password) in [
        ("alice", "wrong password"),
        ("nobody", PASSWORD),
        ("", ""),
        ("alice", ""),
        ("alice", token.expose_secret()),
        ("alice", "lrd_pat_0000000000000000000000000000000000000000000000000"),
        ("alice", "eyJhbGciOiJub25lIn0.e30."),
    ] {
        let answer = setup.auth.sign_in(username, &password.into(), browser()).await;
        assert!(matches!(answer, Err(SignInError::Wrong)), "{username}: {answer:?}");
        // Each from its own address: this is not about delays.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_sign_in_makes_its_own_value() {
    let setup = setup().await;
    setup.user("alice").await;
    let (first, second) = (setup.browse("alice").await, setup.browse("alice").await);
    assert_ne!(first, second);
    // A value that somebody made up never becomes a session.
    let planted = "A".repeat(43);
    assert!(setup.auth.session_find(&planted).await.unwrap().is_none());
}

#[tokio::test]
async fn with_a_second_factor_a_password_alone_is_worth_nothing() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (secret, _) = with_second_factor(&setup, alice.id).await;
    setup.clock.advance(Duration::from_mins(1));
    let answer = setup.auth.sign_in("alice", &PASSWORD.into(), browser()).await.unwrap();
    let SignedIn::SecondFactorNeeded(partial, _) = answer else { panic!("{answer:?}") };
    let partial = partial.expose_secret();
    let found = setup.auth.session_find(partial).await.unwrap().unwrap();
    assert!(found.is_partial);
    assert_eq!(found.identity.principal.user_id(), None);
    assert!(setup.auth.session_list(alice.id).await.unwrap().is_empty());
    let proof = Proof::Password(PASSWORD.into());
    let answer = setup.auth.session_prove(partial, &proof, HERE).await;
    assert!(matches!(answer, Err(AccountError::SignInOver)));
    // A command line cannot show a code.
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::SecondFactor)));
    assert!(matches!(setup.sign_in("alice", "wrong password").await, Err(SignInError::Wrong)));

    let answer = setup.auth.second_factor_check(partial, &"000000".into()).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
    let (complete, _) = setup.auth.second_factor_check(partial, &code(&setup, &secret)).await.unwrap();
    let found = setup.auth.session_find(complete.expose_secret()).await.unwrap().unwrap();
    assert_eq!(found.identity.principal.user_id(), Some(alice.id));
    assert!(!found.is_partial);
    // The value from before is worth nothing now, and the code neither.
    assert!(setup.auth.session_find(partial).await.unwrap().is_none());
    let again = setup.browse("alice").await;
    let answer = setup.auth.second_factor_check(&again, &code(&setup, &secret)).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)), "{answer:?}");
}

#[tokio::test]
async fn a_recovery_code_counts_once() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (_, codes) = with_second_factor(&setup, alice.id).await;
    assert_eq!(codes.len(), 10);
    let first = setup.browse("alice").await;
    let typed = codes[0].expose_secret().to_uppercase().replace('-', " ");
    setup.auth.second_factor_check(&first, &typed.into()).await.unwrap();
    assert_eq!(setup.auth.second_factor_get(alice.id).await.unwrap().recovery_codes, 9);
    let second = setup.browse("alice").await;
    let answer = setup.auth.second_factor_check(&second, &codes[0]).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
    setup.auth.second_factor_check(&second, &codes[1]).await.unwrap();
}

#[tokio::test]
async fn a_recovery_code_is_of_one_user() {
    let setup = setup().await;
    let (alice, bob) = (setup.user("alice").await, setup.user("bob").await);
    let (_, codes) = with_second_factor(&setup, alice.id).await;
    with_second_factor(&setup, bob.id).await;
    let cookie = setup.browse("bob").await;
    let answer = setup.auth.second_factor_check(&cookie, &codes[0]).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
}

#[tokio::test]
async fn a_sign_in_that_waits_too_long_begins_again() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (secret, _) = with_second_factor(&setup, alice.id).await;
    let cookie = setup.browse("alice").await;
    setup.clock.advance(Duration::from_mins(10));
    let answer = setup.auth.second_factor_check(&cookie, &code(&setup, &secret)).await;
    assert!(matches!(answer, Err(AccountError::SignInOver)));
}

#[tokio::test]
async fn guesses_of_codes_are_few_wherever_they_come_from() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    with_second_factor(&setup, alice.id).await;
    let mut wrong = 0;
    loop {
        let cookie = setup.browse("alice").await;
        match setup.auth.second_factor_check(&cookie, &"000000".into()).await {
            Err(AccountError::WrongCode) => wrong += 1,
            Err(AccountError::Throttled { retry_after }) => {
                assert!(retry_after <= Duration::from_mins(1));
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(wrong <= 10, "{wrong}");
}

#[tokio::test]
async fn who_proves_again_gets_a_new_value() {
    let setup = setup().await;
    setup.user("alice").await;
    let cookie = setup.browse("alice").await;
    let before = setup.auth.session_find(&cookie).await.unwrap().unwrap();
    setup.clock.advance(Duration::from_hours(1));
    let wrong = Proof::Password("wrong password".into());
    let answer = setup.auth.session_prove(&cookie, &wrong, HERE).await;
    assert!(matches!(answer, Err(AccountError::WrongPassword)));
    let answer = setup.auth.session_prove(&cookie, &Proof::Code("000000".into()), HERE).await;
    assert!(matches!(answer, Err(AccountError::WrongCode)));
    let right = Proof::Password(PASSWORD.into());
    let (secret, view) = setup.auth.session_prove(&cookie, &right, HERE).await.unwrap();
    assert_eq!(view.id, before.public_id);
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
    let after = setup.auth.session_find(secret.expose_secret()).await.unwrap().unwrap();
    assert_eq!(after.proved_at, setup.clock.now());
    // It does not live longer for it.
    assert_eq!(view.expires_at.since(view.created_at), Duration::from_hours(7 * 24));
}
