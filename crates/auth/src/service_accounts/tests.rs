use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::job_token::testing::maker;
use crate::testing::{PASSWORD, setup};
use crate::{Credential, NewToken, SignInError};

fn new_token() -> NewToken {
    NewToken { name: "build".to_owned(), ..NewToken::default() }
}

#[tokio::test]
async fn an_account_is_made_listed_described_and_deleted_within_its_organization() {
    let setup = setup().await;
    let (acme, ci) = setup.account("acme").await;
    let (umbrella, _) = setup.account("umbrella").await;
    assert_eq!((ci.username.as_str(), ci.name(), ci.description.as_str()), ("acme+ci", "ci", "builds"));
    let second = setup.auth.service_account_create(acme, "acme", "deploy", "").await.unwrap();
    let names = |found: Vec<ServiceAccountView>| -> Vec<String> {
        found.iter().map(|account| account.name().to_owned()).collect()
    };
    assert_eq!(names(setup.auth.service_account_list(acme, None, 10).await.unwrap()), ["ci", "deploy"]);
    assert_eq!(names(setup.auth.service_account_list(acme, Some("acme+ci"), 10).await.unwrap()), ["deploy"]);
    assert_eq!(setup.auth.service_account_get(acme, "acme", "deploy").await.unwrap(), second);
    for (organization, word) in [(umbrella, "acme"), (acme, "umbrella"), (umbrella, "umbrella")] {
        let found = setup.auth.service_account_get(organization, word, "deploy").await;
        assert!(matches!(found, Err(AccountError::NotFound)));
    }
    assert!(matches!(setup.auth.service_account_delete(umbrella, ci.id).await, Err(AccountError::NotFound)));
    assert!(matches!(
        setup.auth.service_account_describe(umbrella, ci.id, "mine").await,
        Err(AccountError::NotFound)
    ));
    assert!(matches!(
        setup.auth.service_account_set_disabled(umbrella, ci.id, true).await,
        Err(AccountError::NotFound)
    ));
    let described = setup.auth.service_account_describe(acme, ci.id, "pushes").await.unwrap();
    assert_eq!(described.description, "pushes");
    setup.auth.service_account_delete(acme, ci.id).await.unwrap();
    assert!(matches!(setup.auth.service_account_get(acme, "acme", "ci").await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn names_are_plain_and_taken_once() {
    let setup = setup().await;
    let (acme, _) = setup.account("acme").await;
    let long = "a".repeat(33);
    for name in ["", "CI", "a b", "a+b", "-a", ".a", "ä", "a/b", "a\n", &long] {
        let refused = setup.auth.service_account_create(acme, "acme", name, "").await;
        assert!(matches!(refused, Err(AccountError::Invalid { field: "name", .. })), "{name:?}");
    }
    let long = "a".repeat(501);
    for description in ["a\nb", "\u{1b}[1m", &long] {
        let refused = setup.auth.service_account_create(acme, "acme", "x", description).await;
        assert!(matches!(refused, Err(AccountError::Invalid { field: "description", .. })));
    }
    let again = setup.auth.service_account_create(acme, "acme", "ci", "").await;
    assert!(matches!(again, Err(AccountError::Conflict)));
}

#[tokio::test]
async fn a_service_account_has_no_password() {
    let setup = setup().await;
    let (_, ci) = setup.account("acme").await;
    for password in [PASSWORD, "acme+ci", " "] {
        assert!(matches!(setup.sign_in(&ci.username, password).await, Err(SignInError::Wrong)));
    }
}

#[tokio::test]
async fn its_tokens_work_and_end_after_ninety_days_unless_something_else_was_said() {
    let setup = setup().await;
    let (organization, ci) = setup.account("acme").await;
    let (view, token) = setup.auth.service_token_create(&maker(), ci.id, new_token()).await.unwrap();
    assert_eq!(view.expires_at, Some(setup.clock.now() + Duration::from_hours(90 * 24)));
    assert!(token.expose_secret().starts_with("lrd_sat_"));
    for username in ["acme+ci", "__token__"] {
        let identity = setup.sign_in(username, token.expose_secret()).await.unwrap();
        assert_eq!(identity.credential, Credential::ServiceToken);
        assert_eq!(identity.principal.user_id(), Some(ci.id));
        assert!(!identity.principal.is_system_admin());
    }
    assert!(setup.sign_in("acme+other", token.expose_secret()).await.is_err());
    assert_eq!(setup.auth.service_token_list(ci.id, None, 10).await.unwrap()[0].id, view.id);
    assert_eq!(setup.auth.token_list(ci.id, None, 10).await.unwrap(), []);

    let access = setup.auth.access_token(&setup.bearer(token.expose_secret()).await.unwrap(), vec![]).token;
    setup.auth.service_account_set_disabled(organization, ci.id, true).await.unwrap();
    assert!(setup.bearer(token.expose_secret()).await.is_err());
    assert!(setup.bearer(access.expose_secret()).await.is_err());
    assert!(matches!(
        setup.auth.service_token_create(&maker(), ci.id, new_token()).await,
        Err(AccountError::NotFound)
    ));
    setup.auth.service_account_set_disabled(organization, ci.id, false).await.unwrap();
    assert!(setup.bearer(token.expose_secret()).await.is_ok());
    assert!(setup.bearer(access.expose_secret()).await.is_err(), "what was over stays over");
    setup.auth.service_account_delete(organization, ci.id).await.unwrap();
    assert!(setup.bearer(token.expose_secret()).await.is_err());
}

#[tokio::test]
async fn kinds_of_tokens_and_of_accounts_do_not_mix() {
    let setup = setup().await;
    let (_, ci) = setup.account("acme").await;
    let alice = setup.user("alice").await;
    let personal = setup.auth.token_create(&maker(), ci.id, new_token()).await;
    assert!(matches!(personal, Err(AccountError::NotFound)));
    let service = setup.auth.service_token_create(&maker(), alice.id, new_token()).await;
    assert!(matches!(service, Err(AccountError::NotFound)));
}
