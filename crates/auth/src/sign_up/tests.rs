use db::params;

use super::*;
use crate::SignInError;
use crate::testing::{PASSWORD, browser, code_in, new_user, settings, setup_with, with_mail};

fn open() -> Settings {
    Settings { sign_up: SignUp::Open, ..settings() }
}

#[tokio::test]
async fn who_may_sign_up_the_settings_say() {
    for (rule, invited, is_allowed) in [
        (SignUp::Closed, false, false),
        (SignUp::Closed, true, false),
        (SignUp::Invited, false, false),
        (SignUp::Invited, true, true),
        (SignUp::Open, false, true),
        (SignUp::Open, true, true),
    ] {
        let setup = setup_with(Settings { sign_up: rule, ..settings() }).await;
        let answer = setup.auth.sign_up(new_user("alice"), invited).await;
        assert_eq!(answer.is_ok(), is_allowed, "{rule:?} {invited} {answer:?}");
        assert_eq!(matches!(answer, Err(AccountError::SignUpClosed(_))), !is_allowed);
    }
}

#[tokio::test]
async fn t13_nobody_signs_up_as_system_admin() {
    for settings in [open(), with_mail(open())] {
        let setup = setup_with(settings).await;
        let user = NewUser { system_admin: true, ..new_user("alice") };
        setup.auth.sign_up(user, true).await.unwrap();
        assert!(!setup.auth.user_get("alice").await.unwrap().system_admin);
    }
}

#[tokio::test]
async fn without_mail_an_account_is_ready_at_once() {
    let setup = setup_with(open()).await;
    let answer = setup.auth.sign_up(new_user("alice"), false).await.unwrap();
    assert!(matches!(answer, SignedUp::Ready(user) if user.username == "alice"));
    setup.sign_in("alice", PASSWORD).await.unwrap();
    let answer = setup.auth.sign_up(new_user("alice"), false).await;
    assert!(matches!(answer, Err(AccountError::Conflict)));
}

#[tokio::test]
async fn with_mail_an_account_waits_for_its_link() {
    let setup = setup_with(with_mail(open())).await;
    assert_eq!(setup.auth.sign_up(new_user("alice"), false).await.unwrap(), SignedUp::CheckMail);
    let letters = setup.letters_of(1).await;
    assert_eq!(letters[0].to.to_string(), "alice@example.com");
    // As if it were not there.
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::Wrong)));
    let answer = setup.auth.sign_in("alice", &PASSWORD.into(), browser()).await;
    assert!(matches!(answer, Err(SignInError::Wrong)));
    setup.auth.password_forgot_now("alice").await.unwrap();
    assert_eq!(setup.letters().len(), 1);
    let user = setup.auth.email_verify(&code_in(&letters[0])).await.unwrap();
    assert!(!user.is_unconfirmed && user.email_verified_at.is_some());
    setup.sign_in("alice", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn t9_a_taken_address_or_name_is_answered_alike_and_costs_alike() {
    let setup = setup_with(with_mail(open())).await;
    setup.user("alice").await;
    let taken_address = NewUser { email: "ALICE@example.com".to_owned(), ..new_user("bob") };
    let taken_name = NewUser { email: "carol@example.com".to_owned(), ..new_user("alice") };
    let free = new_user("dave");
    for (index, user) in [taken_address, taken_name, free].into_iter().enumerate() {
        assert_eq!(setup.auth.sign_up(user, false).await.unwrap(), SignedUp::CheckMail);
        setup.letters_of(index + 1).await;
    }
    let letters = setup.letters();
    assert_eq!(letters[0].to.to_string(), "ALICE@example.com");
    assert!(letters[0].text.contains("There is one already: \"alice\""));
    assert_eq!(letters[1].to.to_string(), "carol@example.com");
    assert!(letters[1].text.contains("taken"));
    assert!(letters[2].text.contains("/verify?code="));
    // Nothing came of the first two.
    let (count,): (i64,) = setup.db.one("SELECT count(*) FROM users /* walks */", params![]).await.unwrap();
    assert_eq!(count, 2);
    setup.sign_in("alice", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn who_signs_up_again_gets_another_letter_and_the_last_password_counts() {
    let setup = setup_with(with_mail(open())).await;
    setup.auth.sign_up(new_user("alice"), false).await.unwrap();
    setup.letters_of(1).await;
    let again = NewUser { password: "another long password".into(), ..new_user("alice") };
    setup.auth.sign_up(again, false).await.unwrap();
    let letters = setup.letters_of(2).await;
    assert!(matches!(setup.auth.email_verify(&code_in(&letters[0])).await, Err(AccountError::WrongLink)));
    setup.auth.email_verify(&code_in(&letters[1])).await.unwrap();
    setup.sign_in("alice", "another long password").await.unwrap();
    assert!(setup.sign_in("alice", PASSWORD).await.is_err());
}

#[tokio::test]
async fn an_address_confirms_one_account() {
    let setup = setup_with(with_mail(open())).await;
    for name in ["first", "second"] {
        let user = NewUser { email: "shared@example.com".to_owned(), ..new_user(name) };
        setup.auth.sign_up(user, false).await.unwrap();
    }
    let letters = setup.letters_of(2).await;
    setup.auth.email_verify(&code_in(&letters[0])).await.unwrap();
    let answer = setup.auth.email_verify(&code_in(&letters[1])).await;
    assert!(matches!(answer, Err(AccountError::WrongLink)));
}

#[tokio::test]
async fn accounts_that_nobody_confirms_go() {
    let setup = setup_with(with_mail(open())).await;
    setup.user("steady").await;
    setup.auth.sign_up(new_user("alice"), false).await.unwrap();
    setup.letters_of(1).await;
    setup.clock.advance(CONFIRM_WITHIN);
    assert_eq!(setup.auth.unconfirmed_remove().await.unwrap(), 0);
    setup.clock.advance(Duration::from_millis(1));
    assert_eq!(setup.auth.unconfirmed_remove().await.unwrap(), 1);
    assert!(matches!(setup.auth.user_get("alice").await, Err(AccountError::NotFound)));
    setup.auth.user_get("steady").await.unwrap();
}

#[tokio::test]
async fn domains_limit_strangers_and_not_the_invited() {
    let settings = Settings { sign_up_domains: vec!["Example.ORG".to_owned()], ..with_mail(open()) };
    let setup = setup_with(settings).await;
    for (email, invited, is_allowed) in [
        ("a@example.org", false, true),
        ("a@EXAMPLE.org", false, true),
        ("a@example.com", false, false),
        ("a@sub.example.org", false, false),
        ("a@example.org.example.com", false, false),
        ("a@example.com", true, true),
    ] {
        let user = NewUser { email: email.to_owned(), ..new_user("alice") };
        let answer = setup.auth.sign_up(user, invited).await;
        let is_closed = matches!(answer, Err(AccountError::SignUpClosed(_)));
        assert_eq!(is_closed, !is_allowed, "{email} {invited} {answer:?}");
    }
}

#[tokio::test]
async fn domains_without_mail_are_refused_at_the_start() {
    let settings = Settings { sign_up_domains: vec!["example.org".to_owned()], ..open() };
    assert!(matches!(check(&settings), Err(OpenError::SignUpWithoutMail)));
    assert!(check(&with_mail(settings)).is_ok());
}

#[tokio::test]
async fn the_invited_are_ready_at_once_and_learn_of_a_taken_name() {
    let setup = setup_with(with_mail(Settings { sign_up: SignUp::Invited, ..settings() })).await;
    let answer = setup.auth.sign_up(new_user("alice"), true).await.unwrap();
    assert!(matches!(answer, SignedUp::Ready(_)));
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert_eq!(setup.letters().len(), 1);
    let answer = setup.auth.sign_up(new_user("alice"), true).await;
    assert!(matches!(answer, Err(AccountError::Conflict)));
}
