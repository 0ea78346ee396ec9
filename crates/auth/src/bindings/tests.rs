use super::*;
use crate::job_token::testing::{Platform, maker, new_binding};
use crate::testing::setup;
use access::{ActionSet, Limit};

#[tokio::test]
async fn a_binding_is_made_listed_and_deleted_within_its_account() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let (_, other) = setup.account("umbrella").await;
    let made = setup.bind(&account, new_binding(&platform)).await;
    assert_eq!(made.token_ttl, Duration::from_mins(15));
    assert_eq!(setup.auth.binding_list(account.id, None, 10).await.unwrap(), std::slice::from_ref(&made));
    assert_eq!(setup.auth.binding_get(account.id, &made.id).await.unwrap(), made);
    assert_eq!(setup.auth.binding_list(other.id, None, 10).await.unwrap(), []);
    assert!(matches!(setup.auth.binding_get(other.id, &made.id).await, Err(AccountError::NotFound)));
    assert!(matches!(setup.auth.binding_delete(other.id, &made.id).await, Err(AccountError::NotFound)));
    setup.auth.binding_delete(account.id, &made.id).await.unwrap();
    assert!(matches!(setup.auth.binding_get(account.id, &made.id).await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn t19_what_would_let_in_strangers_is_refused() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let good = || new_binding(&platform);
    let by_name = vec![ClaimMatch::equals("repository", "octo-org/app")];
    let long = "a".repeat(256);
    for (new, field) in [
        (NewBinding { name: String::new(), ..good() }, "name"),
        (NewBinding { issuer: String::new(), ..good() }, "issuer"),
        (NewBinding { issuer: "file:///etc/passwd".to_owned(), ..good() }, "issuer"),
        (NewBinding { issuer: "https://user@host.example.com".to_owned(), ..good() }, "issuer"),
        (NewBinding { audience: String::new(), ..good() }, "audience"),
        (NewBinding { audience: "a b".to_owned(), ..good() }, "audience"),
        (NewBinding { audience: long, ..good() }, "audience"),
        (NewBinding { claims: vec![], ..good() }, "claims"),
        (NewBinding { claims: by_name, ..good() }, "claims"),
        (NewBinding { claims: vec![ClaimMatch::glob("ref", "refs/*")], ..good() }, "claims"),
        (NewBinding { claims: vec![ClaimMatch::equals("repository_id", "1"); 21], ..good() }, "claims"),
        (NewBinding { claims: vec![ClaimMatch::glob("repository_id", "1*")], ..good() }, "claims"),
        (NewBinding { scopes: Some(vec![]), ..good() }, "scopes"),
        (NewBinding { token_ttl: Some(Duration::from_secs(59)), ..good() }, "token_ttl"),
        (NewBinding { token_ttl: Some(Duration::from_secs(3601)), ..good() }, "token_ttl"),
        (NewBinding { issuer: "https://token.actions.githubusercontent.com".to_owned(), ..good() }, "jwks"),
        (NewBinding { jwks: Some("{}".to_owned()), ..good() }, "jwks"),
        (NewBinding { jwks: Some(r#"{"keys":[]}"#.to_owned()), ..good() }, "jwks"),
        (
            NewBinding {
                jwks: Some(r#"{"keys":[{"kty":"oct","k":"AAAA","kid":"a"}]}"#.to_owned()),
                ..good()
            },
            "jwks",
        ),
    ] {
        let shown = format!("{new:?}");
        let error = setup.auth.binding_create(&maker(), account.id, new).await.unwrap_err();
        assert!(
            matches!(error, AccountError::Invalid { field: named, .. } if named == field),
            "{error}: {shown}"
        );
    }
    assert!(setup.auth.binding_create(&maker(), account.id, good()).await.is_ok());
    assert!(matches!(setup.auth.binding_create(&maker(), 4711, good()).await, Err(AccountError::NotFound)));
}

#[tokio::test]
async fn t13_a_binding_is_no_stronger_than_the_credentials_that_make_it() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let scope =
        |pattern: &str, actions| Some(vec![TokenScope { repositories: pattern.parse().unwrap(), actions }]);
    let pull = ActionSet::of(Action::Pull);
    let limit = Limit::of_scopes(scope("acme/prod/**", pull).map(Into::into));
    let maker = Identity { limit, ..maker() };
    for (scopes, is_allowed) in [
        (None, false),
        (scope("acme/**", pull), false),
        (scope("acme/prod/**", ActionSet::ALL), false),
        (scope("acme/prod/app", pull), true),
        (scope("acme/prod/**", pull), true),
    ] {
        let new = NewBinding { scopes: scopes.clone(), ..new_binding(&platform) };
        let made = setup.auth.binding_create(&maker, account.id, new).await;
        assert_eq!(made.is_ok(), is_allowed, "{scopes:?}");
    }
}

#[tokio::test]
async fn an_account_has_a_bounded_number_of_bindings() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    for _ in 0..MOST_BINDINGS {
        setup.bind(&account, new_binding(&platform)).await;
    }
    let error = setup.auth.binding_create(&maker(), account.id, new_binding(&platform)).await.unwrap_err();
    assert!(matches!(error, AccountError::Invalid { field: "bindings", .. }));
}

#[tokio::test]
async fn an_issuer_of_somebodys_own_needs_one_exact_claim() {
    let setup = setup().await;
    let platform = Platform::new();
    let (_, account) = setup.account("acme").await;
    let new = NewBinding {
        issuer: "https://jobs.example.com".to_owned(),
        claims: vec![ClaimMatch::equals("sub", "release")],
        ..new_binding(&platform)
    };
    let made = setup.bind(&account, new).await;
    assert!(made.notes().is_empty());
}
