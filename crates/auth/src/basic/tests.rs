use std::net::IpAddr;
use std::time::Duration;

use access::Principal;
use secrecy::{ExposeSecret, SecretString};

use crate::testing::{HERE, PASSWORD, may_go, setup};
use crate::{Credential, SignInError};

#[tokio::test]
async fn a_password_signs_in_its_user() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let identity = setup.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(identity.principal.user_id(), Some(user.id));
    assert_eq!(identity.credential, Credential::Password);
    assert!(identity.limit.is_none());
}

#[tokio::test]
async fn nothing_at_all_is_anonymous() {
    let setup = setup().await;
    let identity = setup.sign_in("", "").await.unwrap();
    assert_eq!(identity.principal, Principal::Anonymous);
    assert_eq!(identity.credential, Credential::None);
}

#[tokio::test]
async fn wrong_credentials_are_wrong_in_one_way() {
    let setup = setup().await;
    setup.user("alice").await;
    let long = "a".repeat(1025);
    let cases = [
        ("alice", "wrong password"),
        ("nobody", PASSWORD),
        ("alice", ""),
        ("", PASSWORD),
        ("Alice", PASSWORD),
        ("alice", &long),
        (&long, PASSWORD),
    ];
    for (username, password) in cases {
        let answer = setup.sign_in(username, password).await;
        assert!(matches!(answer, Err(SignInError::Wrong)), "{username}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn t9_an_unknown_user_costs_a_hash_as_well() {
    let setup = setup().await;
    setup.user("alice").await;
    assert!(setup.sign_in("nobody", "wrong password").await.is_err());
    assert_eq!(setup.auth.password_verifications(), 1);
    assert!(setup.sign_in("alice", "wrong password").await.is_err());
    assert_eq!(setup.auth.password_verifications(), 2);
}

#[tokio::test]
async fn a_password_costs_once_until_it_is_forgotten() {
    let setup = setup().await;
    setup.user("alice").await;
    for _ in 0..10 {
        setup.sign_in("alice", PASSWORD).await.unwrap();
    }
    assert_eq!(setup.auth.password_verifications(), 1);
    setup.clock.advance(Duration::from_mins(2));
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(setup.auth.password_verifications(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_sent_on_many_connections_costs_once() {
    let setup = setup().await;
    setup.user("alice").await;
    let sign_ins: Vec<_> = (0..50)
        .map(|_| {
            let auth = setup.auth.clone();
            tokio::spawn(async move { auth.identify_basic("alice", &PASSWORD.into(), HERE).await.is_ok() })
        })
        .collect();
    for sign_in in sign_ins {
        assert!(sign_in.await.unwrap());
    }
    assert_eq!(setup.auth.password_verifications(), 1);
}

#[tokio::test]
async fn t16_a_new_password_counts_at_once() {
    let setup = setup().await;
    setup.user("alice").await;
    setup.sign_in("alice", PASSWORD).await.unwrap();
    setup.auth.password_set("alice", &"another long password".into()).await.unwrap();
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::Wrong)));
    setup.sign_in("alice", "another long password").await.unwrap();
    // Back to the first password: what was remembered of it is of another epoch.
    setup.auth.password_set("alice", &PASSWORD.into()).await.unwrap();
    assert!(matches!(setup.sign_in("alice", "another long password").await, Err(SignInError::Wrong)));
    setup.sign_in("alice", PASSWORD).await.unwrap();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(setup.auth.password_verifications(), 5);
}

#[tokio::test]
async fn t16_a_deleted_user_is_unknown_at_once() {
    let setup = setup().await;
    setup.user("alice").await;
    setup.sign_in("alice", PASSWORD).await.unwrap();
    setup.auth.user_delete("alice", may_go).await.unwrap();
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::Wrong)));
}

#[tokio::test]
async fn a_personal_token_works_as_password_of_its_owner() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    setup.user("bob").await;
    let (view, token) = setup.token(user.id, "laptop", None).await.unwrap();
    for username in ["alice", "__token__"] {
        let identity = setup.sign_in(username, token.expose_secret()).await.unwrap();
        assert_eq!(identity.principal.user_id(), Some(user.id));
        assert_eq!(identity.credential, Credential::PersonalToken);
    }
    for username in ["bob", "nobody", ""] {
        assert!(matches!(setup.sign_in(username, token.expose_secret()).await, Err(SignInError::Wrong)));
    }
    assert_eq!(setup.auth.password_verifications(), 0, "a token never costs a slow hash");
    setup.auth.token_delete(user.id, &view.id).await.unwrap();
    assert!(matches!(setup.sign_in("alice", token.expose_secret()).await, Err(SignInError::Wrong)));
}

#[tokio::test(start_paused = true)]
async fn failures_slow_down_and_success_ends_it() {
    let setup = setup().await;
    setup.user("alice").await;
    let mut waits = Vec::new();
    for number in 0..6 {
        let arrived = tokio::time::Instant::now();
        assert!(setup.sign_in("alice", &format!("wrong password {number}")).await.is_err());
        waits.push(arrived.elapsed().as_millis());
    }
    assert_eq!(waits, [0, 0, 0, 250, 500, 1000]);
    let arrived = tokio::time::Instant::now();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(arrived.elapsed().as_millis(), 2000);
    let arrived = tokio::time::Instant::now();
    assert!(setup.sign_in("alice", "wrong again").await.is_err());
    assert_eq!(arrived.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn guesses_in_parallel_are_refused_and_a_remembered_password_is_not() {
    let setup = setup().await;
    setup.user("alice").await;
    setup.sign_in("alice", PASSWORD).await.unwrap();
    let guesses: Vec<_> = (0..40)
        .map(|number| {
            let auth = setup.auth.clone();
            let secret = SecretString::from(format!("guess number {number}"));
            let elsewhere = IpAddr::from([198, 51, 100, 7]);
            tokio::spawn(async move { auth.identify_basic("alice", &secret, elsewhere).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let arrived = tokio::time::Instant::now();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(arrived.elapsed(), Duration::ZERO);
    let mut throttled = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Err(SignInError::Throttled { retry_after }) => {
                assert!(retry_after > Duration::from_secs(10));
                throttled += 1;
            }
            Err(SignInError::Wrong) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(throttled, 30);
    assert_eq!(setup.auth.password_verifications(), 11);
}

#[tokio::test]
async fn secrets_do_not_show() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let (view, token) = setup.token(user.id, "laptop", None).await.unwrap();
    let identity = setup.sign_in("alice", PASSWORD).await.unwrap();
    let issued = setup.auth.access_token(&identity, vec![]);
    let shown = format!(
        "{:?} {:?} {view:?} {token:?} {identity:?} {issued:?}",
        setup.auth,
        crate::testing::new_user("x")
    );
    assert!(!shown.contains(PASSWORD) && !shown.contains("lrd_") && !shown.contains("eyJ"), "{shown}");
}

#[tokio::test]
async fn one_wrong_password_repeated_costs_once_and_is_one_guess() {
    let setup = setup().await;
    setup.user("alice").await;
    for _ in 0..50 {
        assert!(matches!(setup.sign_in("alice", "wrong password").await, Err(SignInError::Wrong)));
        assert!(matches!(setup.sign_in("nobody", "wrong password").await, Err(SignInError::Wrong)));
    }
    assert_eq!(setup.auth.password_verifications(), 2);
}

#[tokio::test]
async fn a_password_that_was_wrong_is_right_as_soon_as_it_is_set() {
    let setup = setup().await;
    setup.user("alice").await;
    assert!(setup.sign_in("alice", "another password").await.is_err());
    setup.auth.password_set("alice", &SecretString::from("another password")).await.unwrap();
    assert!(setup.sign_in("alice", "another password").await.is_ok());
    assert!(setup.sign_in("bob", PASSWORD).await.is_err());
    setup.user("bob").await;
    assert!(setup.sign_in("bob", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn disabled_and_unconfirmed_accounts_have_no_right_password() {
    for change in [
        "UPDATE users SET disabled_at = 1 WHERE username = 'alice'",
        "UPDATE users SET is_unconfirmed = 1 WHERE username = 'alice'",
    ] {
        let setup = setup().await;
        setup.user("alice").await;
        assert!(setup.sign_in("alice", PASSWORD).await.is_ok());
        setup.change(change).await;
        assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::Wrong)));
        assert!(matches!(setup.sign_in("alice", "wrong password").await, Err(SignInError::Wrong)));
        assert!(matches!(
            setup.auth.password_check("alice", &PASSWORD.into(), HERE).await,
            Err(SignInError::Wrong)
        ));
        setup
            .change("UPDATE users SET disabled_at = NULL, is_unconfirmed = 0 WHERE username = 'alice'")
            .await;
        assert!(setup.sign_in("alice", PASSWORD).await.is_ok());
    }
}

#[tokio::test]
async fn a_second_factor_is_told_only_to_who_knows_the_password() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    assert!(setup.sign_in("alice", PASSWORD).await.is_ok());
    let user_id = alice.id;
    let made: Result<u64, db::Error> = setup
        .db
        .write(db::Durability::Relaxed, move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO second_factors (user_id, secret, created_at) VALUES ($1, $2, 0)";
                tx.exec(sql, db::params![user_id, vec![0_u8]]).await
            })
        })
        .await;
    made.unwrap();
    assert!(setup.sign_in("alice", PASSWORD).await.is_ok(), "it was not confirmed yet");
    setup.change("UPDATE second_factors SET confirmed_at = 1 WHERE user_id > 0").await;
    for _ in 0..3 {
        assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::SecondFactor)));
    }
    assert!(matches!(setup.sign_in("alice", "wrong password").await, Err(SignInError::Wrong)));
    assert_eq!(setup.auth.password_verifications(), 2);
    let owner = setup.auth.password_check("alice", &PASSWORD.into(), HERE).await.unwrap();
    assert_eq!(owner.user_id, alice.id);
    let (_, token) = setup.token(alice.id, "laptop", None).await.unwrap();
    assert!(setup.sign_in("alice", token.expose_secret()).await.is_ok(), "a token needs no second factor");
}

#[tokio::test]
async fn what_has_the_form_of_a_job_token_is_never_tried_as_a_password() {
    let setup = setup().await;
    setup.user("alice").await;
    let token = format!("eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.{}.{}", "e30", "c2ln");
    for username in ["alice", "oidc", "nobody"] {
        assert!(matches!(setup.sign_in(username, &token).await, Err(SignInError::Wrong)));
        let long = token.replace("e30", &"A".repeat(9000));
        assert!(matches!(setup.sign_in(username, &long).await, Err(SignInError::Wrong)));
    }
    assert!(setup.auth.password_check("alice", &token.into(), HERE).await.is_err());
    assert_eq!(setup.auth.password_verifications(), 0);
}
