use db::params;

use super::*;
use crate::SignInError;
use crate::mail::Letter;
use crate::testing::{HERE, PASSWORD, Setup, browser, code_in, new_user, settings, setup_with, with_mail};

fn open() -> Settings {
    Settings { sign_up: SignUp::Open, ..settings() }
}

impl Setup {
    /// Follows the link of a letter, with a password.
    async fn confirm(&self, letter: &Letter, password: &str) -> Result<UserView, AccountError> {
        self.auth.email_verify(&code_in(letter), Some(&password.into()), HERE).await
    }
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
    let user = setup.confirm(&letters[0], PASSWORD).await.unwrap();
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
    assert!(matches!(setup.confirm(&letters[0], PASSWORD).await, Err(AccountError::WrongLink)));
    assert!(matches!(setup.confirm(&letters[1], PASSWORD).await, Err(AccountError::WrongPassword)));
    setup.confirm(&letters[1], "another long password").await.unwrap();
    setup.sign_in("alice", "another long password").await.unwrap();
    assert!(setup.sign_in("alice", PASSWORD).await.is_err());
}

#[tokio::test]
async fn t18_whose_address_a_stranger_signed_up_with_confirms_nothing_for_the_stranger() {
    let setup = setup_with(with_mail(open())).await;
    let stranger = NewUser { email: "victim@example.com".to_owned(), ..new_user("mallory") };
    setup.auth.sign_up(stranger, false).await.unwrap();
    let letter = setup.letters_of(1).await.remove(0);
    let code = code_in(&letter);
    assert!(setup.auth.email_verify_needs_password(&code).await.unwrap());
    // Whoever reads the mail has the link and does not know the password, and whoever knows it has no link.
    let answer = setup.auth.email_verify(&code, None, HERE).await;
    assert!(matches!(answer, Err(AccountError::Invalid { field: "password", .. })), "{answer:?}");
    for wrong in ["", "my own password", &"x".repeat(2000)] {
        let answer = setup.confirm(&letter, wrong).await;
        assert!(matches!(answer, Err(AccountError::WrongPassword)), "{answer:?}");
    }
    assert!(setup.sign_in("mallory", PASSWORD).await.is_err());
    assert!(setup.auth.user_get("mallory").await.unwrap().is_unconfirmed);
    // The address is free for its owner.
    let owner = NewUser {
        email: "victim@example.com".to_owned(),
        password: "my own password".into(),
        ..new_user("victim")
    };
    setup.auth.sign_up(owner, false).await.unwrap();
    let letters = setup.letters_of(2).await;
    setup.confirm(&letters[1], "my own password").await.unwrap();
    assert!(matches!(setup.confirm(&letter, PASSWORD).await, Err(AccountError::WrongLink)));
}

#[tokio::test]
async fn the_password_of_a_new_account_cannot_be_guessed_with_its_link() {
    let setup = setup_with(with_mail(open())).await;
    setup.auth.sign_up(new_user("alice"), false).await.unwrap();
    let letter = setup.letters_of(1).await.remove(0);
    let mut is_slowed_down = false;
    for guess in 0..30 {
        let guess = format!("guess {guess}");
        let answer = tokio::time::timeout(Duration::from_millis(50), setup.confirm(&letter, &guess)).await;
        match answer {
            Ok(Err(AccountError::WrongPassword)) => {}
            Err(_) | Ok(Err(AccountError::Throttled { .. })) => is_slowed_down = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(is_slowed_down);
}

#[tokio::test]
async fn an_address_confirms_one_account() {
    let setup = setup_with(with_mail(open())).await;
    for name in ["first", "second"] {
        let user = NewUser { email: "shared@example.com".to_owned(), ..new_user(name) };
        setup.auth.sign_up(user, false).await.unwrap();
    }
    let letters = setup.letters_of(2).await;
    setup.confirm(&letters[0], PASSWORD).await.unwrap();
    let answer = setup.confirm(&letters[1], PASSWORD).await;
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
