use std::time::Duration;

use access::{Action, ActionSet, TokenScope};
use serde_json::json;

use super::testing::{AUDIENCE, ISSUER, Platform, claims, new_binding, with};
use super::*;
use crate::testing::{PASSWORD, setup};
use crate::{ClaimMatch, ClaimRule, NewBinding};

fn pull_only() -> Vec<TokenScope> {
    let actions = ActionSet::of(Action::Pull);
    vec![TokenScope { repositories: "acme/prod/**".parse().unwrap(), actions }]
}

#[tokio::test]
async fn a_job_is_its_service_account_under_oidc_and_under_the_accounts_name() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, NewBinding { scopes: Some(pull_only()), ..new_binding(&platform) }).await;
    let token = platform.sign(&claims(&setup));
    for username in ["oidc", "__token__", "acme+ci"] {
        let identity = setup.sign_in(username, &token).await.unwrap();
        assert_eq!(identity.principal.user_id(), Some(account.id), "{username}");
        assert_eq!(identity.credential, Credential::JobAssertion);
        assert!(identity.limit.reaches("acme/prod/app", Action::Pull));
        assert!(!identity.limit.reaches("acme/prod/app", Action::Push));
        assert!(!identity.limit.reaches("acme/other/app", Action::Pull));
    }
    assert_eq!(setup.bearer(&token).await.unwrap().principal.user_id(), Some(account.id));
    assert_eq!(setup.auth.password_verifications(), 0, "it is never tried as a password");
}

#[tokio::test]
async fn t19_a_jobs_token_opens_no_other_account() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let (_, other) = setup.account("umbrella").await;
    setup.bind(&account, new_binding(&platform)).await;
    let elsewhere = ClaimMatch::equals("repository_id", "4711");
    setup.bind(&other, NewBinding { claims: vec![elsewhere], ..new_binding(&platform) }).await;
    setup.user("alice").await;
    let token = platform.sign(&claims(&setup));
    for username in ["umbrella+ci", "acme+deploy", "alice", "nobody", "OIDC", "ACME+ci", "acme"] {
        let answer = setup.sign_in(username, &token).await;
        assert!(matches!(answer, Err(SignInError::Wrong)), "{username}: {answer:?}");
    }
    assert_eq!(setup.auth.password_verifications(), 0);
}

#[tokio::test]
async fn two_bindings_that_match_let_nobody_in_as_oidc() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let (_, other) = setup.account("umbrella").await;
    setup.bind(&account, new_binding(&platform)).await;
    setup.bind(&other, new_binding(&platform)).await;
    let token = platform.sign(&claims(&setup));
    assert!(matches!(setup.sign_in("oidc", &token).await, Err(SignInError::Wrong)));
    assert!(matches!(setup.auth.job_find(&token, None).await, Err(JobTokenError::SeveralBindings)));
    assert_eq!(setup.sign_in("acme+ci", &token).await.unwrap().principal.user_id(), Some(account.id));
    assert_eq!(setup.sign_in("umbrella+ci", &token).await.unwrap().principal.user_id(), Some(other.id));
}

#[tokio::test]
async fn of_an_accounts_own_bindings_the_oldest_one_counts() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let first = setup.bind(&account, new_binding(&platform)).await;
    setup.clock.advance(Duration::from_millis(5));
    setup.bind(&account, NewBinding { scopes: Some(pull_only()), ..new_binding(&platform) }).await;
    let token = platform.sign(&claims(&setup));
    let job = setup.auth.job_find(&token, Some("acme+ci")).await.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(job.bound.binding.id, first.id);
}

#[tokio::test]
async fn t19_forged_and_foreign_claims_are_refused() {
    let setup = setup().await;
    let (platform, stranger) = (Platform::new(), Platform::new());
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let good = claims(&setup);
    let now = setup.clock.now().as_secs();
    let imitator = "https://ghe.elsewhere.example.com/_services/token";
    let github = "https://token.actions.githubusercontent.com";
    let corpus = [
        ("another key", stranger.sign(&good)),
        ("GHES with the same repository", stranger.sign(&with(&good, &json!({"iss": imitator})))),
        ("GHES, signed by the right key", platform.sign(&with(&good, &json!({"iss": imitator})))),
        ("a name of GitHub's", platform.sign(&with(&good, &json!({"iss": github})))),
        ("issuer with a slash", platform.sign(&with(&good, &json!({"iss": format!("{ISSUER}/")})))),
        ("issuer in other case", platform.sign(&with(&good, &json!({"iss": ISSUER.to_uppercase()})))),
        ("no issuer", platform.sign(&with(&good, &json!({"iss": null})))),
        ("another audience", platform.sign(&with(&good, &json!({"aud": "https://elsewhere.example.com"})))),
        ("two audiences", platform.sign(&with(&good, &json!({"aud": [AUDIENCE, "sts.amazonaws.com"]})))),
        ("audience in other case", platform.sign(&with(&good, &json!({"aud": AUDIENCE.to_uppercase()})))),
        ("no audience", platform.sign(&with(&good, &json!({"aud": null})))),
        ("expired", platform.sign(&with(&good, &json!({"exp": now - 61})))),
        ("no end", platform.sign(&with(&good, &json!({"exp": null})))),
        ("not yet", platform.sign(&with(&good, &json!({"nbf": now + 120})))),
        ("resurrected repository", platform.sign(&with(&good, &json!({"repository_id": "99"})))),
        (
            "repository id as a list with more",
            platform.sign(&with(&good, &json!({"repository_id": {"1296269": 1}}))),
        ),
        ("another repository", platform.sign(&with(&good, &json!({"repository": "octo-org/app2"})))),
        ("no repository id", platform.sign(&with(&good, &json!({"repository_id": null})))),
        ("another branch", platform.sign(&with(&good, &json!({"ref": "refs/heads/feature/x"})))),
        ("a tag", platform.sign(&with(&good, &json!({"ref": "refs/tags/main"})))),
        ("pull_request_target", platform.sign(&with(&good, &json!({"event_name": "pull_request_target"})))),
        ("workflow_run", platform.sign(&with(&good, &json!({"event_name": "workflow_run"})))),
    ];
    for (what, token) in corpus {
        for username in ["oidc", "acme+ci"] {
            let answer = setup.sign_in(username, &token).await;
            assert!(matches!(answer, Err(SignInError::Wrong)), "{what}: {answer:?}");
        }
        assert!(setup.bearer(&token).await.is_err(), "{what}");
        assert!(setup.auth.job_exchange(&token, None).await.is_err(), "{what}");
    }
    assert!(setup.sign_in("oidc", &platform.sign(&good)).await.is_ok(), "the corpus forges well");
    assert!(
        setup
            .sign_in("oidc", &platform.sign(&with(&good, &json!({"repository": "Octo-Org/App"}))))
            .await
            .is_ok(),
        "names have no case"
    );
    assert!(setup.sign_in("oidc", &platform.sign(&with(&good, &json!({"aud": [AUDIENCE]})))).await.is_ok());
}

#[tokio::test]
async fn t19_keys_that_one_binding_brought_speak_for_no_other() {
    let setup = setup().await;
    let (platform, attacker) = (Platform::new(), Platform::new());
    let (_, account) = setup.account("acme").await;
    let (_, mine) = setup.account("attacker").await;
    setup.bind(&account, new_binding(&platform)).await;
    setup.bind(&mine, new_binding(&attacker)).await;
    let token = attacker.sign(&claims(&setup));
    assert!(setup.sign_in("acme+ci", &token).await.is_err());
    assert_eq!(setup.sign_in("oidc", &token).await.unwrap().principal.user_id(), Some(mine.id));
    // And the other way round: the attacker's binding does not stand in the way of the real one.
    let token = platform.sign(&claims(&setup));
    assert_eq!(setup.sign_in("oidc", &token).await.unwrap().principal.user_id(), Some(account.id));
}

#[tokio::test]
async fn events_that_strangers_cause_may_pull_where_that_is_all_that_is_allowed() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, NewBinding { scopes: Some(pull_only()), ..new_binding(&platform) }).await;
    let token = platform.sign(&with(&claims(&setup), &json!({"event_name": "pull_request_target"})));
    assert!(setup.sign_in("oidc", &token).await.is_ok());
}

#[tokio::test]
async fn an_issuer_that_no_binding_names_is_refused_before_anything_is_asked() {
    let setup = setup().await;
    let platform = Platform::new();
    let token = platform.sign(&with(&claims(&setup), &json!({"iss": "https://127.0.0.1:9/issuer"})));
    assert!(matches!(setup.auth.job_find(&token, None).await, Err(JobTokenError::Invalid)));
    for text in ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0..", "eyJhbGciOiJub25lIn0.e30."] {
        assert!(matches!(setup.auth.job_find(text, None).await, Err(JobTokenError::Invalid)), "{text}");
        assert!(setup.sign_in("oidc", text).await.is_err(), "{text}");
    }
}

#[tokio::test]
async fn t16_a_job_ends_with_its_token_its_binding_its_account_and_its_organization() {
    let setup = setup().await;
    let platform = Platform::new();
    let (organization, account) = setup.account("acme").await;
    let token = platform.sign(&with(&claims(&setup), &json!({"exp": setup.clock.now().as_secs() + 3000})));

    let binding = setup.bind(&account, new_binding(&platform)).await;
    let identity = setup.sign_in("oidc", &token).await.unwrap();
    let access = setup.auth.access_token(&identity, vec![]).token;
    assert!(setup.bearer(secrecy::ExposeSecret::expose_secret(&access)).await.is_ok());
    setup.auth.binding_delete(account.id, &binding.id).await.unwrap();
    assert!(setup.sign_in("oidc", &token).await.is_err());
    assert!(setup.bearer(secrecy::ExposeSecret::expose_secret(&access)).await.is_err());

    setup.bind(&account, new_binding(&platform)).await;
    assert!(setup.sign_in("acme+ci", &token).await.is_ok());
    setup.auth.service_account_set_disabled(organization, account.id, true).await.unwrap();
    assert!(setup.sign_in("acme+ci", &token).await.is_err());
    setup.auth.service_account_set_disabled(organization, account.id, false).await.unwrap();
    assert!(setup.sign_in("acme+ci", &token).await.is_ok());
    setup.auth.service_account_delete(organization, account.id).await.unwrap();
    assert!(setup.sign_in("acme+ci", &token).await.is_err());
}

#[tokio::test]
async fn a_jobs_token_is_good_until_its_end_and_so_is_what_came_from_it() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let token = platform.sign(&claims(&setup));
    assert!(setup.sign_in("oidc", &token).await.is_ok());
    setup.clock.advance(Duration::from_secs(290));
    let identity = setup.sign_in("oidc", &token).await.unwrap();
    assert!(setup.auth.access_token(&identity, vec![]).expires_in_secs <= 70);
    setup.clock.advance(Duration::from_secs(71));
    assert!(setup.sign_in("oidc", &token).await.is_err());
}

#[tokio::test]
async fn a_job_cannot_sign_in_as_a_person() {
    let setup = setup().await;
    let platform = Platform::new();
    let user = setup.user("oidc").await;
    let (_, account) = setup.account("acme").await;
    setup.bind(&account, new_binding(&platform)).await;
    let token = platform.sign(&claims(&setup));
    assert_eq!(setup.sign_in("oidc", &token).await.unwrap().principal.user_id(), Some(account.id));
    assert_eq!(setup.sign_in("oidc", PASSWORD).await.unwrap().principal.user_id(), Some(user.id));
    let refused = setup.auth.binding_create(&testing::maker(), user.id, new_binding(&platform)).await;
    assert!(matches!(refused, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn the_test_of_bindings_tells_each_reason_and_uses_nothing_up() {
    let setup = setup().await;
    let (platform, stranger) = (Platform::new(), Platform::new());
    let (organization, account) = setup.account("acme").await;
    let (_, elsewhere) = setup.account("umbrella").await;
    setup.bind(&elsewhere, new_binding(&platform)).await;
    let named = |name: &str| NewBinding { name: name.to_owned(), ..new_binding(&platform) };
    setup.bind(&account, named("good")).await;
    setup.bind(&account, NewBinding { jwks: Some(stranger.jwks.clone()), ..named("signature") }).await;
    setup.bind(&account, NewBinding { audience: "https://other".to_owned(), ..named("audience") }).await;
    let elsewhere = NewBinding {
        issuer: "https://gitlab.example.com".to_owned(),
        claims: vec![ClaimMatch::equals("project_id", "1")],
        ..named("issuer")
    };
    setup.bind(&account, elsewhere).await;
    let release = ClaimMatch {
        claim: "environment".to_owned(),
        rule: ClaimRule::AnyOf(vec!["release".to_owned()]),
        ignore_case: true,
    };
    let claims_of = |rule| vec![ClaimMatch::equals("repository_id", "1296269"), rule];
    setup.bind(&account, NewBinding { claims: claims_of(release), ..named("claim") }).await;
    let token = platform.sign(&claims(&setup));
    let trials = setup.auth.bindings_explain(organization, &token).await.unwrap();
    assert_eq!(trials.len(), 5, "only those of the organization");
    for trial in &trials {
        assert_eq!(trial.account, "acme+ci");
        assert_eq!(trial.matched, trial.binding.name == "good", "{trial:?}");
        let named = if trial.matched {
            trial.reasons.is_empty()
        } else {
            trial
                .reasons
                .iter()
                .any(|reason| reason.contains(trial.binding.name.as_str()) || reason.contains("key"))
        };
        assert!(named, "{trial:?}");
    }
    assert!(trials[0].matched, "those that match come first");
    assert!(setup.auth.job_exchange(&token, Some("acme+ci")).await.is_ok(), "the test uses nothing up");
    assert!(matches!(setup.auth.bindings_explain(organization, "x").await, Err(JobTokenError::Invalid)));
}
