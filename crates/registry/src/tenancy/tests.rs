use super::*;
use crate::grant::OrganizationMembersManage;
use crate::testing::{ACME_CI, BOB, person, scene};

fn first(username: &str) -> Option<String> {
    starting_names(username).next().map(|name| name.to_string())
}

#[test]
fn the_first_organization_is_named_after_its_owner_as_far_as_names_allow() {
    assert_eq!(first("bob").as_deref(), Some("bob"));
    assert_eq!(first("bob..o_neil-").as_deref(), Some("bob-o-neil"));
    assert_eq!(first("api").as_deref(), Some("api-2"), "a reserved name");
    assert_eq!(first("..."), None);
    let long = "a".repeat(200);
    assert!(starting_names(&long).all(|name| name.as_str().len() <= oci::name::MAX_COMPONENT_BYTES));
    assert_eq!(starting_names("bob").count(), NAMES_TRIED as usize);
}

#[tokio::test]
async fn who_comes_first_gets_an_organization_to_run() {
    let scene = scene().await;
    let registry = &scene.registry;
    let view = registry.organization_create_starting(BOB, "acme").await.unwrap();
    assert_eq!(view.name, "acme-2", "acme is taken");
    let name = view.name.parse().unwrap();
    let caller = person(BOB, "bob");
    registry.authorize_organization::<OrganizationMembersManage>(&caller, &name).await.unwrap();
    assert_eq!(registry.organization_create_starting(BOB, "acme").await.unwrap().name, "acme-3");
}

#[tokio::test]
async fn a_machine_gets_none() {
    let scene = scene().await;
    let error = scene.registry.organization_create_starting(ACME_CI, "ci").await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Forbidden);
}
