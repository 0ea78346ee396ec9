use proptest::prelude::*;

use super::*;
use crate::SignInError;
use crate::testing::{PASSWORD, browser, may_go, new_user, setup};

fn field(error: AccountError) -> &'static str {
    match error {
        AccountError::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_user_is_made_seen_listed_and_deleted() {
    let setup = setup().await;
    let made = setup.user("alice").await;
    assert_eq!(setup.auth.user_get("alice").await.unwrap(), made);
    assert_eq!(made.created_at, setup.clock.now());
    setup.auth.user_delete("alice", may_go).await.unwrap();
    assert!(matches!(setup.auth.user_get("alice").await, Err(AccountError::NotFound)));
    assert!(matches!(
        setup.auth.user_delete("alice", may_go).await,
        Err(UserDeleteError::Account(AccountError::NotFound))
    ));
}

#[tokio::test]
async fn a_name_is_given_once() {
    let setup = setup().await;
    setup.user("alice").await;
    assert!(matches!(setup.auth.user_create(new_user("alice")).await, Err(AccountError::Conflict)));
}

#[tokio::test]
async fn lists_come_in_pages_by_name() {
    let setup = setup().await;
    for name in ["dave", "alice", "carol", "bob"] {
        setup.user(name).await;
    }
    let names = |page: Vec<UserView>| page.into_iter().map(|user| user.username).collect::<Vec<_>>();
    assert_eq!(names(setup.auth.user_list(None, 3).await.unwrap()), ["alice", "bob", "carol"]);
    assert_eq!(names(setup.auth.user_list(Some("carol"), 3).await.unwrap()), ["dave"]);
    assert_eq!(names(setup.auth.user_list(Some("dave"), 0).await.unwrap()), Vec::<String>::new());
}

#[tokio::test]
async fn the_last_system_admin_stays() {
    let setup = setup().await;
    setup.user("alice").await;
    let admin = |name: &str| NewUser { system_admin: true, ..new_user(name) };
    setup.auth.user_create(admin("root")).await.unwrap();
    assert!(matches!(
        setup.auth.user_delete("root", may_go).await,
        Err(UserDeleteError::Account(AccountError::LastAdmin))
    ));
    setup.auth.user_create(admin("second")).await.unwrap();
    setup.auth.user_delete("root", may_go).await.unwrap();
    assert!(matches!(
        setup.auth.user_delete("second", may_go).await,
        Err(UserDeleteError::Account(AccountError::LastAdmin))
    ));
}

/// Asked in the transaction that removes the account, where all of it is still there.
fn alice_is_needed(tx: &mut db::Transaction, id: i64) -> db::WriteFuture<'_, (), AccountError> {
    Box::pin(async move {
        let name: Option<(String,)> =
            tx.opt("SELECT username FROM users WHERE id = $1", db::params![id]).await?;
        assert_eq!(name.unwrap().0, "alice");
        Err(AccountError::Conflict)
    })
}

#[tokio::test]
async fn whoever_is_needed_elsewhere_stays() {
    let setup = setup().await;
    setup.user("alice").await;
    let kept = setup.auth.user_delete("alice", alice_is_needed).await;
    assert!(matches!(kept, Err(UserDeleteError::Needed(AccountError::Conflict))), "{kept:?}");
    setup.sign_in("alice", PASSWORD).await.unwrap();
    setup.auth.user_delete("alice", may_go).await.unwrap();
}

#[tokio::test]
async fn unacceptable_values_are_named() {
    let setup = setup().await;
    let long = "a".repeat(65);
    for username in
        ["", "Alice", "-alice", ".alice", "_alice", "__token__", "al ice", "älice", "a/b", "a:b", &long]
    {
        assert_eq!(field(setup.auth.user_create(new_user(username)).await.unwrap_err()), "username");
    }
    let long = format!("{}@example.com", "a".repeat(250));
    for email in ["", "alice", "@example.com", "alice@", "a@b@c", "a b@example.com", "a@exam\nple", &long] {
        let user = NewUser { email: email.to_owned(), ..new_user("alice") };
        assert_eq!(field(setup.auth.user_create(user).await.unwrap_err()), "email");
    }
    let long = "a".repeat(1025);
    for password in ["", "eleven char", "lrd_but_not_a_token", &long] {
        let user = NewUser { password: password.into(), ..new_user("alice") };
        assert_eq!(field(setup.auth.user_create(user).await.unwrap_err()), "password");
        let error = setup.auth.password_set("alice", &password.into()).await.unwrap_err();
        assert_eq!(field(error), "password");
    }
}

#[tokio::test]
async fn a_password_may_be_any_text_of_twelve_characters() {
    let setup = setup().await;
    let password = "пароль: дюж.";
    assert_eq!(password.chars().count(), 12);
    let user = NewUser { password: password.into(), ..new_user("alice") };
    setup.auth.user_create(user).await.unwrap();
    setup.sign_in("alice", password).await.unwrap();
}

#[tokio::test]
async fn a_password_is_set_for_one_user() {
    let setup = setup().await;
    setup.user("alice").await;
    setup.user("bob").await;
    setup.auth.password_set("alice", &"another long password".into()).await.unwrap();
    setup.sign_in("bob", PASSWORD).await.unwrap();
    let answer = setup.auth.password_set("nobody", &"another long password".into()).await;
    assert!(matches!(answer, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn the_last_enabled_system_admin_stays_enabled_and_admin() {
    let setup = setup().await;
    let admin = |name: &str| NewUser { system_admin: true, ..new_user(name) };
    setup.auth.user_create(admin("root")).await.unwrap();
    assert!(matches!(setup.auth.user_disable("root").await, Err(AccountError::LastAdmin)));
    assert!(matches!(setup.auth.user_set_admin("root", false).await, Err(AccountError::LastAdmin)));
    setup.user("alice").await;
    assert!(setup.auth.user_set_admin("alice", true).await.unwrap().system_admin);
    assert!(setup.auth.user_disable("root").await.unwrap().is_disabled);
    // A disabled one runs nothing.
    assert!(matches!(
        setup.auth.user_delete("alice", may_go).await,
        Err(UserDeleteError::Account(AccountError::LastAdmin))
    ));
    setup.auth.user_delete("root", may_go).await.unwrap();
}

#[tokio::test]
async fn everything_of_a_disabled_user_stops_and_what_was_made_comes_back() {
    let setup = setup().await;
    let alice = setup.user("alice").await;
    let (_, token) = setup.auth.session_open(alice.id, None, browser()).await.map(|(s, v)| (v, s)).unwrap();
    let cookie = token.expose_secret().to_owned();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_some());
    setup.auth.user_disable("alice").await.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
    assert!(matches!(setup.sign_in("alice", PASSWORD).await, Err(SignInError::Wrong)));
    let answer = setup.auth.sign_in("alice", &PASSWORD.into(), browser()).await;
    assert!(matches!(answer, Err(SignInError::Wrong)));
    assert!(matches!(setup.auth.session_open(alice.id, None, browser()).await, Err(AccountError::NotFound)));
    assert!(setup.auth.user_get("alice").await.unwrap().is_disabled);
    setup.auth.user_enable("alice").await.unwrap();
    setup.sign_in("alice", PASSWORD).await.unwrap();
    assert!(setup.auth.session_find(&cookie).await.unwrap().is_none());
}

#[tokio::test]
async fn machines_are_not_among_people() {
    let setup = setup().await;
    setup.user("alice").await;
    let made: Result<(), db::Error> = setup
        .db
        .write(Durability::Relaxed, |tx| {
            Box::pin(async move {
                tx.exec(
                    "INSERT INTO users (username, email, kind, created_at) VALUES ('acme+ci', '', 'service', 1)",
                    params![],
                )
                .await
                .map(|_| ())
            })
        })
        .await;
    made.unwrap();
    assert_eq!(setup.auth.user_list(None, 10).await.unwrap().len(), 1);
    let machine = setup.auth.user_get("acme+ci").await.unwrap();
    assert_eq!(machine.kind, AccountKind::Service);
    assert!(matches!(
        setup.auth.user_delete("acme+ci", may_go).await,
        Err(UserDeleteError::Account(AccountError::NotFound))
    ));
    assert!(matches!(setup.auth.user_disable("acme+ci").await, Err(AccountError::NotFound)));
    assert!(matches!(setup.auth.user_set_admin("acme+ci", true).await, Err(AccountError::NotFound)));
    let password = "another long password".into();
    assert!(matches!(setup.auth.password_set("acme+ci", &password).await, Err(AccountError::NotFound)));
    assert!(matches!(
        setup.auth.session_open(machine.id, None, browser()).await,
        Err(AccountError::NotFound)
    ));
}

proptest! {
    #[test]
    fn names_of_the_grammar_are_acceptable(name in "[a-z0-9][a-z0-9._-]{0,63}") {
        prop_assert!(check_username(&name).is_ok());
    }

    #[test]
    fn any_text_is_survived(text in ".{0,300}") {
        if check_username(&text).is_ok() {
            prop_assert!(text.len() <= 64 && text.is_ascii());
        }
        if check_email(&text).is_ok() {
            prop_assert_eq!(text.matches('@').count(), 1);
        }
    }
}
