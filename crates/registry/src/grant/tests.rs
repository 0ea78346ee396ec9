use super::*;
use crate::testing::{ADA, BOB, ROOT, limited, person, refusal, scene};

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
