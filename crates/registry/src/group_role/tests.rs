use super::*;
use crate::grant::{OrganizationRead, PackagesPush, Pull, Push, RegistryManage};
use crate::testing::{ADA, BOB, EVE, Scene, person, scene};
use crate::{Caller, Refusal};

fn role(group: &str, registry: Option<&str>, role: Role) -> NewGroupRole {
    NewGroupRole {
        provider: "sso".to_owned(),
        group: group.to_owned(),
        registry: registry.map(|name| name.parse().unwrap()),
        role,
    }
}

fn bob() -> Caller {
    person(BOB, "bob")
}

/// Pull, push, push of packages, manage: what Bob may do on acme/prod.
async fn rights(scene: &Scene) -> String {
    let registry = &scene.registry;
    let (caller, name) = (bob(), "acme/prod/app".parse().unwrap());
    let (acme, prod) = ("acme".parse().unwrap(), "prod".parse().unwrap());
    [
        registry.authorize::<Pull>(&caller, &name).await.is_ok(),
        registry.authorize::<Push>(&caller, &name).await.is_ok(),
        registry.authorize_packages::<PackagesPush>(&caller, &acme, &prod).await.is_ok(),
        registry.authorize_registry::<RegistryManage>(&caller, &acme, &prod).await.is_ok(),
    ]
    .map(|may| if may { 'y' } else { '-' })
    .into_iter()
    .collect()
}

#[tokio::test]
async fn a_groups_role_counts_for_who_is_in_it_and_changes_at_once() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    scene.group_join(BOB, "staff").await;
    assert_eq!(rights(&scene).await, "----");
    let view = registry.group_role_create(&granted, role("staff", None, Role::Viewer)).await.unwrap();
    assert_eq!(rights(&scene).await, "y---");
    registry.group_role_set(&granted, &view.id, Role::Writer).await.unwrap();
    assert_eq!(rights(&scene).await, "yyy-");
    registry.group_role_set(&granted, &view.id, Role::Admin).await.unwrap();
    assert_eq!(rights(&scene).await, "yyyy");
    // Out of the group at the provider, as the next sign-in finds.
    scene.change("DELETE FROM user_groups WHERE user_id = 1002").await;
    assert_eq!(rights(&scene).await, "----");
    scene.group_join(BOB, "staff").await;
    assert_eq!(rights(&scene).await, "yyyy");
    registry.group_role_delete(&granted, &view.id).await.unwrap();
    assert_eq!(rights(&scene).await, "----");
}

#[tokio::test]
async fn the_highest_of_all_roles_counts() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    scene.group_join(BOB, "staff").await;
    scene.group_join(BOB, "builders").await;
    registry.group_role_create(&granted, role("staff", None, Role::Viewer)).await.unwrap();
    registry.group_role_create(&granted, role("builders", Some("prod"), Role::Writer)).await.unwrap();
    assert_eq!(rights(&scene).await, "yyy-");
    registry.registry_member_put(&scene.manage_prod().await, BOB, Role::Admin).await.unwrap();
    assert_eq!(rights(&scene).await, "yyyy");
    registry.registry_member_put(&scene.manage_prod().await, BOB, Role::Viewer).await.unwrap();
    assert_eq!(rights(&scene).await, "yyy-");
}

#[tokio::test]
async fn a_role_on_a_registry_is_one_on_no_other() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    scene.group_join(BOB, "staff").await;
    registry.group_role_create(&granted, role("staff", Some("open"), Role::Admin)).await.unwrap();
    assert_eq!(rights(&scene).await, "----");
    // It makes the organization visible, and nothing more.
    let name = "acme".parse().unwrap();
    registry.authorize_organization::<OrganizationRead>(&bob(), &name).await.unwrap();
    let refused =
        registry.authorize_organization::<OrganizationMembersManage>(&bob(), &name).await.unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::Refused(Refusal::RoleTooLow { .. })));
    let eve =
        registry.authorize_organization::<OrganizationRead>(&person(EVE, "eve"), &name).await.unwrap_err();
    assert!(matches!(eve.kind(), ErrorKind::Refused(Refusal::Hidden { .. })));
}

#[tokio::test]
async fn the_same_group_of_another_provider_is_another() {
    let scene = scene().await;
    let granted = scene.manage_acme().await;
    scene.group_join(BOB, "staff").await;
    let new = NewGroupRole { provider: "other".to_owned(), ..role("staff", None, Role::Admin) };
    scene.registry.group_role_create(&granted, new).await.unwrap();
    let upper = role("Staff", None, Role::Admin);
    scene.registry.group_role_create(&granted, upper).await.unwrap();
    assert_eq!(rights(&scene).await, "----");
}

#[tokio::test]
async fn lists_show_what_groups_open() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    let organizations = async || {
        let found = registry.organization_list(&bob(), "", 10).await.unwrap();
        found.into_iter().map(|view| view.name).collect::<Vec<_>>()
    };
    let catalog = async || registry.catalog(&bob(), None, None).await.unwrap().repositories;
    scene.group_join(BOB, "staff").await;
    assert!(organizations().await.is_empty() && catalog().await.is_empty());
    let view = registry.group_role_create(&granted, role("staff", Some("prod"), Role::Viewer)).await.unwrap();
    assert_eq!(organizations().await, ["acme"]);
    assert_eq!(catalog().await, ["acme/prod/app"]);
    let name = "acme".parse().unwrap();
    let read = registry.authorize_organization::<OrganizationRead>(&bob(), &name).await.unwrap();
    let names: Vec<String> =
        registry.registry_list(&read, "", 10).await.unwrap().into_iter().map(|view| view.name).collect();
    assert_eq!(names, ["open", "prod"]);
    registry.group_role_delete(&granted, &view.id).await.unwrap();
    assert!(organizations().await.is_empty() && catalog().await.is_empty());
    registry.group_role_create(&granted, role("staff", None, Role::Viewer)).await.unwrap();
    assert_eq!(organizations().await, ["acme"]);
    assert_eq!(catalog().await, ["acme/prod/app"]);
}

#[tokio::test]
async fn t12_roles_of_groups_are_changed_in_their_own_organization_alone() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    let globex = registry
        .authorize_organization::<OrganizationMembersManage>(&person(EVE, "eve"), &"globex".parse().unwrap())
        .await
        .unwrap();
    let view = registry.group_role_create(&granted, role("staff", Some("prod"), Role::Viewer)).await.unwrap();
    assert_eq!(registry.group_role_get(&granted, &view.id).await.unwrap(), view);
    assert_eq!(registry.group_role_list(&granted, "", 10).await.unwrap(), std::slice::from_ref(&view));
    assert!(registry.group_role_list(&granted, &view.id, 10).await.unwrap().is_empty());
    assert!(registry.group_role_list(&globex, "", 10).await.unwrap().is_empty());
    let unknown = ErrorKind::NotFound(What::Member);
    assert_eq!(*registry.group_role_get(&globex, &view.id).await.unwrap_err().kind(), unknown);
    let set = registry.group_role_set(&globex, &view.id, Role::Admin).await.unwrap_err();
    assert_eq!(*set.kind(), unknown);
    assert_eq!(*registry.group_role_delete(&globex, &view.id).await.unwrap_err().kind(), unknown);
    // The registry of another organization is none of this one.
    let foreign =
        registry.group_role_create(&granted, role("staff", Some("lab"), Role::Admin)).await.unwrap_err();
    assert_eq!(*foreign.kind(), ErrorKind::NotFound(What::Registry));
}

#[tokio::test]
async fn a_group_has_one_role_in_one_place() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    for place in [None, Some("prod"), Some("open")] {
        registry.group_role_create(&granted, role("staff", place, Role::Viewer)).await.unwrap();
        let again =
            registry.group_role_create(&granted, role("staff", place, Role::Admin)).await.unwrap_err();
        assert_eq!(*again.kind(), ErrorKind::Conflict);
    }
    for (provider, group) in [("", "staff"), ("sso", ""), ("sso", "a\nb"), ("s\0o", "a")] {
        let new = NewGroupRole { provider: provider.to_owned(), ..role(group, None, Role::Viewer) };
        let error = registry.group_role_create(&granted, new).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::InvalidRequest);
    }
}

#[tokio::test]
async fn roles_of_groups_go_with_their_registry() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    scene.group_join(BOB, "staff").await;
    registry.group_role_create(&granted, role("staff", Some("prod"), Role::Viewer)).await.unwrap();
    let (acme, prod) = ("acme".parse().unwrap(), "prod".parse().unwrap());
    let manage =
        registry.authorize_registry::<RegistryManage>(&person(ADA, "ada"), &acme, &prod).await.unwrap();
    registry.registry_delete(&manage, true).await.unwrap();
    assert!(registry.group_role_list(&granted, "", 10).await.unwrap().is_empty());
    assert!(registry.organization_list(&bob(), "", 10).await.unwrap().is_empty());
    assert!(registry.catalog(&bob(), None, None).await.unwrap().repositories.is_empty());
}
