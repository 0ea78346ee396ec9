use access::Anchor;

use super::*;
use crate::testing::{ACME_CI, ADA, BOB, EVE, ROOT, Scene, limited, person, refusal, scene};

#[tokio::test]
async fn t13_a_limited_token_is_good_for_what_its_scopes_name() {
    let scene = scene().await;
    let registry = &scene.registry;
    let token =
        limited(person(ADA, "ada"), &[("acme/prod/app*", &[Action::Pull]), ("acme/open/**", &Action::ALL)]);
    let may = async |name: &str| {
        let name = name.parse().unwrap();
        [
            registry.authorize::<Pull>(&token, &name).await.map(|_| ()),
            registry.authorize::<Push>(&token, &name).await.map(|_| ()),
            registry.authorize::<Delete>(&token, &name).await.map(|_| ()),
        ]
    };
    assert!(may("acme/prod/app").await[0].is_ok());
    assert!(may("acme/open/any").await.iter().all(Result::is_ok));
    let [_, push, delete] = may("acme/prod/app").await;
    for outcome in [push, delete] {
        assert!(matches!(refusal(outcome), Refusal::Limited { .. }));
    }
    // The answer is the same whether it exists or not, and whoever's it is.
    for name in ["acme/prod/other", "acme/nowhere/app", "globex/lab/app", "nowhere/prod/app"] {
        for outcome in may(name).await {
            assert!(matches!(refusal(outcome), Refusal::Limited { .. }), "{name}");
        }
    }
}

#[tokio::test]
async fn a_limited_token_never_adds_to_what_its_owner_may() {
    let scene = scene().await;
    let token = limited(person(BOB, "bob"), &[("acme/**", &Action::ALL)]);
    let outcome = scene.registry.authorize::<Pull>(&token, &"acme/prod/app".parse().unwrap()).await;
    assert!(matches!(refusal(outcome), Refusal::Hidden { .. }));
}

#[tokio::test]
async fn a_limited_token_manages_nothing() {
    let scene = scene().await;
    let registry = &scene.registry;
    let (acme, prod) = ("acme".parse().unwrap(), "prod".parse().unwrap());
    for owner in [person(ADA, "ada"), person(ROOT, "root")] {
        let token = limited(owner, &[("acme/**", &Action::ALL)]);
        let outcomes = [
            registry.authorize_organization::<OrganizationRead>(&token, &acme).await.map(|_| ()),
            registry.authorize_organization::<OrganizationDelete>(&token, &acme).await.map(|_| ()),
            registry.authorize_organization::<RegistryCreate>(&token, &acme).await.map(|_| ()),
            registry.authorize_registry::<RegistryRead>(&token, &acme, &prod).await.map(|_| ()),
            registry.authorize_registry::<MembersManage>(&token, &acme, &prod).await.map(|_| ()),
            registry.authorize_packages::<PackagesManage>(&token, &acme, &prod).await.map(|_| ()),
        ];
        for outcome in outcomes {
            assert!(matches!(refusal(outcome), Refusal::Limited { .. }));
        }
    }
}

#[tokio::test]
async fn packages_are_reached_by_project() {
    let scene = scene().await;
    let registry = &scene.registry;
    let (acme, prod) = ("acme".parse().unwrap(), "prod".parse().unwrap());
    let owner = person(ADA, "ada");
    let bread: python::NormalizedName = "bread".parse().unwrap();
    let cake: python::NormalizedName = "cake".parse().unwrap();
    let one = limited(owner.clone(), &[("acme/prod/bread", &[Action::Pull])]);
    let granted = registry.authorize_packages::<PackagesRead>(&one, &acme, &prod).await.unwrap();
    let not_found = registry.python_project(&granted, &bread).await.unwrap_err();
    assert_eq!(*not_found.kind(), ErrorKind::NotFound(What::Project));
    assert!(matches!(refusal(registry.python_project(&granted, &cake).await), Refusal::Limited { .. }));
    assert!(matches!(refusal(registry.python_projects(&granted)), Refusal::Limited { .. }));
    assert!(matches!(refusal(registry.python_project_names(&granted).await), Refusal::Limited { .. }));
    assert!(matches!(refusal(registry.python_project_list(&granted, "", 9).await), Refusal::Limited { .. }));
    let push = registry.authorize_packages::<PackagesPush>(&one, &acme, &prod).await;
    assert!(matches!(refusal(push), Refusal::Limited { .. }));
    let elsewhere = registry.authorize_packages::<PackagesRead>(&one, &acme, &"open".parse().unwrap()).await;
    assert!(matches!(refusal(elsewhere), Refusal::Limited { .. }));
    for caller in [owner.clone(), limited(owner, &[("acme/prod/**", &[Action::Pull])])] {
        let granted = registry.authorize_packages::<PackagesRead>(&caller, &acme, &prod).await.unwrap();
        registry.python_projects(&granted).unwrap();
        assert!(registry.python_project_names(&granted).await.unwrap().is_empty());
        assert!(registry.python_project_list(&granted, "", 9).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_access_token_is_asked_before_its_owner() {
    let scene = scene().await;
    let name = "acme/prod/app".parse().unwrap();
    let silent = Caller { limit: Limit::NONE.with_grants(std::sync::Arc::default()), ..person(ADA, "ada") };
    assert_eq!(refusal(scene.registry.authorize::<Pull>(&silent, &name).await), Refusal::Unasked);
    let (acme, prod) = ("acme".parse().unwrap(), "prod".parse().unwrap());
    let packages = scene.registry.authorize_packages::<PackagesRead>(&silent, &acme, &prod).await;
    assert_eq!(refusal(packages), Refusal::Unasked);
}

/// A token of Ada's that ends half a second later, one of Eve's that does not, and a binding of acme's machine.
async fn credentials_store(scene: &Scene) {
    scene
        .change(
            "INSERT INTO bindings
                 (id, public_id, user_id, name, issuer, audience, claims, token_ttl, created_by, created_at)
             VALUES (6001, 'b1', 1005, 'ci', 'https://issuer.example', 'larder', '{}', 900, 'ada', 0)",
        )
        .await;
    for (id, user_id, expires_at) in [(5001_i64, ADA, Some(1_000_500_i64)), (5002, EVE, None)] {
        scene
            .db
            .write::<_, db::Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move {
                    let sql = "INSERT INTO tokens
                                   (id, public_id, user_id, kind, name, secret_hash, hint, created_at, expires_at)
                               VALUES ($1, $2, $3, 'pat', 'laptop', $4, '', 0, $5)";
                    let secret_hash = id.to_be_bytes().to_vec();
                    let params = db::params![id, format!("t{id}"), user_id, secret_hash, expires_at];
                    transaction.exec(sql, params).await
                })
            })
            .await
            .unwrap();
    }
}

fn basis(user_id: i64, anchor: Anchor) -> Basis {
    Basis { user_id, epoch: 0, anchor }
}

#[tokio::test]
async fn credentials_that_stand_get_what_their_owner_gets() {
    let scene = scene().await;
    credentials_store(&scene).await;
    let registry = &scene.registry;
    let (ada, ci) = (person(ADA, "ada"), person(ACME_CI, "acme+ci"));
    for (caller, anchor) in
        [(&ada, Anchor::Account), (&ada, Anchor::Token(5001)), (&ci, Anchor::Binding(6001))]
    {
        let basis = basis(caller.user_id(), anchor);
        for name in ["acme/prod/app", "acme/prod/new", "acme/open/any", "acme/nowhere/app", "globex/lab/app"]
        {
            let name = name.parse().unwrap();
            let direct = registry.authorize::<Push>(caller, &name).await;
            let standing = registry.authorize_standing::<Push>(caller, &basis, &name).await;
            match (direct, standing) {
                (Ok(direct), Ok(Some(standing))) => {
                    assert_eq!(format!("{:?}", direct.resource), format!("{:?}", standing.resource));
                }
                (Err(direct), Err(standing)) => assert_eq!(direct.message(), standing.message()),
                (direct, standing) => panic!("{name} {anchor:?}: {direct:?} but {standing:?}"),
            }
        }
    }
}

#[tokio::test]
async fn credentials_that_do_not_stand_are_told_apart_from_rights_whatever_exists() {
    let scene = scene().await;
    credentials_store(&scene).await;
    let stands = async |basis: Basis| {
        let caller = person(basis.user_id, "ada");
        let mut found = Vec::new();
        for name in ["acme/prod/app", "acme/open/any", "acme/nowhere/app", "nowhere/prod/app"] {
            let outcome =
                scene.registry.authorize_standing::<Pull>(&caller, &basis, &name.parse().unwrap()).await;
            found.push(!matches!(outcome, Ok(None)));
        }
        assert!(found.iter().all(|one| *one == found[0]), "{basis:?}: {found:?}");
        found[0]
    };
    let (account, token) = (basis(ADA, Anchor::Account), basis(ADA, Anchor::Token(5001)));
    assert!(stands(account).await && stands(token).await);
    assert!(!stands(Basis { epoch: 1, ..account }).await, "of another epoch");
    assert!(!stands(basis(9999, Anchor::Account)).await, "of nobody");
    assert!(!stands(basis(ADA, Anchor::Token(5002))).await, "of somebody else");
    assert!(!stands(basis(ADA, Anchor::Binding(6001))).await, "of a machine");
    assert!(!stands(basis(ADA, Anchor::Token(7777))).await, "deleted");

    scene.clock.advance(std::time::Duration::from_millis(500));
    assert!(!stands(token).await, "at its end");
    scene.change("UPDATE users SET disabled_at = 1 WHERE id = 1001").await;
    assert!(!stands(account).await, "disabled");
}
