use std::collections::HashSet;
use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::job_token::testing::{Platform, claims, new_binding, with};
use crate::testing::setup;
use crate::{Credential, NewBinding};

#[tokio::test]
async fn a_job_gets_a_token_that_outlives_its_own_and_ends_by_itself() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let issued = setup.auth.job_exchange(&platform.sign(&claims(&setup)), None).await.unwrap();
    assert_eq!((issued.expires_in_secs, &*issued.account), (900, "acme+ci"));
    assert!(issued.token.expose_secret().starts_with("lrd_cit_"));
    setup.clock.advance(Duration::from_secs(890));
    for username in ["acme+ci", "__token__"] {
        let identity = setup.sign_in(username, issued.token.expose_secret()).await.unwrap();
        assert_eq!(identity.principal.user_id(), Some(account.id));
        assert_eq!(identity.credential, Credential::JobToken);
        assert!(setup.auth.refresh_token_issue(&identity, "docker").await.unwrap().is_none());
    }
    setup.clock.advance(Duration::from_secs(10));
    assert!(setup.sign_in("__token__", issued.token.expose_secret()).await.is_err());
}

#[tokio::test]
async fn t19_a_token_is_exchanged_once() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let token = platform.sign(&claims(&setup));
    setup.auth.job_exchange(&token, None).await.unwrap();
    for name in [None, Some("acme+ci")] {
        assert!(matches!(setup.auth.job_exchange(&token, name).await, Err(JobTokenError::Used)));
    }
    // The same name on another text: what the issuer calls one token is one token.
    let again = platform.sign(&with(&claims(&setup), &json!({"run_id": "18"})));
    assert!(matches!(setup.auth.job_exchange(&again, None).await, Err(JobTokenError::Used)));
    let next = platform.sign(&with(&claims(&setup), &json!({"jti": "second"})));
    assert!(setup.auth.job_exchange(&next, None).await.is_ok());
    assert!(setup.sign_in("oidc", &token).await.is_ok(), "as a password it is good until its end");
}

#[tokio::test]
async fn t19_without_a_name_what_was_signed_is_exchanged_once() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let nameless = with(&claims(&setup), &json!({"jti": null}));
    let (token, same) = (platform.sign(&nameless), platform.sign(&nameless));
    setup.auth.job_exchange(&token, None).await.unwrap();
    assert!(matches!(setup.auth.job_exchange(&token, None).await, Err(JobTokenError::Used)));
    // Another signature of the same text, which this algorithm makes every time.
    assert_ne!(token, same);
    assert!(matches!(setup.auth.job_exchange(&same, None).await, Err(JobTokenError::Used)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t19_of_many_who_bring_one_token_at_once_one_gets_something() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let token = platform.sign(&claims(&setup));
    let tries: Vec<_> = (0..20)
        .map(|_| {
            let (auth, token) = (setup.auth.clone(), token.clone());
            tokio::spawn(async move { auth.job_exchange(&token, None).await })
        })
        .collect();
    let mut issued = HashSet::new();
    for outcome in tries {
        match outcome.await.unwrap() {
            Ok(found) => assert!(issued.insert(found.token.expose_secret().to_owned())),
            Err(JobTokenError::Used) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(issued.len(), 1);
}

#[tokio::test]
async fn what_was_not_exchanged_is_not_used_up() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let binding = setup.bind(&account, new_binding(&platform)).await;
    let token = platform.sign(&claims(&setup));
    assert!(matches!(setup.auth.job_exchange(&token, Some("acme+other")).await, Err(JobTokenError::Invalid)));
    setup.auth.binding_delete(account.id, &binding.id).await.unwrap();
    assert!(matches!(setup.auth.job_exchange(&token, None).await, Err(JobTokenError::Invalid)));
    setup.bind(&account, new_binding(&platform)).await;
    assert!(setup.auth.job_exchange(&token, None).await.is_ok());
}

#[tokio::test]
async fn t16_a_jobs_token_falls_with_its_binding_its_account_and_its_organization() {
    let setup = setup().await;
    let platform = Platform::new();
    let (organization, account) = setup.account("acme").await;
    let exchange = async |number: u32| {
        let token = platform.sign(&with(&claims(&setup), &json!({"jti": number.to_string()})));
        setup.auth.job_exchange(&token, None).await.unwrap().token.expose_secret().to_owned()
    };
    let binding = setup.bind(&account, new_binding(&platform)).await;
    let token = exchange(1).await;
    assert!(setup.bearer(&token).await.is_ok());
    setup.auth.binding_delete(account.id, &binding.id).await.unwrap();
    assert!(setup.bearer(&token).await.is_err());

    setup.bind(&account, new_binding(&platform)).await;
    let token = exchange(2).await;
    setup.auth.service_account_set_disabled(organization, account.id, true).await.unwrap();
    assert!(setup.bearer(&token).await.is_err());
    setup.auth.service_account_set_disabled(organization, account.id, false).await.unwrap();
    assert!(setup.bearer(&token).await.is_ok());

    let gone: Result<u64, db::Error> = setup
        .db
        .write(Durability::Durable, move |tx| {
            Box::pin(async move {
                tx.exec("DELETE FROM organizations WHERE id = $1", params![organization]).await
            })
        })
        .await;
    gone.unwrap();
    assert!(setup.bearer(&token).await.is_err());
    let left: (i64,) = setup.db.one("SELECT count(*) FROM bindings /* walks */", params![]).await.unwrap();
    assert_eq!(left, (0,));
}

#[tokio::test]
async fn a_token_that_was_burnt_is_over_and_only_a_jobs_can_be() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let issued = setup.auth.job_exchange(&platform.sign(&claims(&setup)), None).await.unwrap();
    assert!(setup.auth.job_burn(issued.token.expose_secret()).await.unwrap());
    assert!(setup.bearer(issued.token.expose_secret()).await.is_err());
    assert!(!setup.auth.job_burn(issued.token.expose_secret()).await.unwrap());
    let alice = setup.user("alice").await;
    let (_, personal) = setup.token(alice.id, "laptop", None).await.unwrap();
    assert!(!setup.auth.job_burn(personal.expose_secret()).await.unwrap());
    assert!(setup.bearer(personal.expose_secret()).await.is_ok());
    assert!(!setup.auth.job_burn("anything").await.unwrap());
}

#[tokio::test]
async fn used_tokens_are_forgotten_when_nobody_could_use_them_again() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let hour = Some(Duration::from_hours(1));
    setup.bind(&account, NewBinding { token_ttl: hour, ..new_binding(&platform) }).await;
    let token = platform.sign(&claims(&setup));
    assert_eq!(setup.auth.job_exchange(&token, None).await.unwrap().expires_in_secs, 3600);
    setup.clock.advance(Duration::from_secs(359));
    assert_eq!(setup.auth.used_assertions_remove_expired().await.unwrap(), 0);
    assert!(setup.auth.job_exchange(&token, None).await.is_err());
    setup.clock.advance(Duration::from_mins(10));
    assert_eq!(setup.auth.used_assertions_remove_expired().await.unwrap(), 1);
    assert!(matches!(setup.auth.job_exchange(&token, None).await, Err(JobTokenError::Invalid)));
}
