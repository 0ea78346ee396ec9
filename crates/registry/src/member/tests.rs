use super::*;
use crate::testing::{ACME_CI, ADA, BOB, EVE, GLOBEX_CI, Scene, scene};

/// Why a user may not go, if the user may not.
async fn needed(scene: &Scene, user_id: i64) -> Option<String> {
    let asked: Result<(), Error> =
        scene.db.write(Durability::Relaxed, move |transaction| user_may_go_in(transaction, user_id)).await;
    asked.err().map(|error| {
        assert_eq!(*error.kind(), ErrorKind::Conflict);
        error.message().to_owned()
    })
}

#[tokio::test]
async fn a_service_account_has_roles_in_its_own_organization_alone() {
    let scene = scene().await;
    let (organization, prod) = (scene.manage_acme().await, scene.manage_prod().await);
    let registry = &scene.registry;
    registry.organization_member_put(&organization, ACME_CI, Role::Writer).await.unwrap();
    registry.registry_member_put(&prod, ACME_CI, Role::Viewer).await.unwrap();
    let other = registry.organization_member_put(&organization, GLOBEX_CI, Role::Viewer).await.unwrap_err();
    assert_eq!(*other.kind(), ErrorKind::NotFound(What::Member));
    let other = registry.registry_member_put(&prod, GLOBEX_CI, Role::Viewer).await.unwrap_err();
    assert_eq!(*other.kind(), ErrorKind::NotFound(What::Member));
    // A person may be a member anywhere.
    registry.organization_member_put(&organization, EVE, Role::Viewer).await.unwrap();
}

#[tokio::test]
async fn only_people_who_can_sign_in_and_have_the_role_themselves_keep_an_organization() {
    let scene = scene().await;
    let organization = scene.manage_acme().await;
    let registry = &scene.registry;
    let last = async || {
        let gone = registry.organization_member_delete(&organization, ADA).await.unwrap_err();
        assert_eq!(*gone.kind(), ErrorKind::Conflict);
        let lower = registry.organization_member_put(&organization, ADA, Role::Writer).await.unwrap_err();
        assert_eq!(*lower.kind(), ErrorKind::Conflict);
        let needed = needed(&scene, ADA).await.unwrap();
        assert!(needed.starts_with("this user is the only administrator of acme; give another"), "{needed}");
    };
    last().await;
    // Neither a machine, nor a group, nor somebody who cannot sign in.
    registry.organization_member_put(&organization, ACME_CI, Role::Admin).await.unwrap();
    scene.group_join(EVE, "staff").await;
    scene
        .change(
            "INSERT INTO group_roles
                 (public_id, organization_id, provider, group_name, level, created_at)
             VALUES ('g', 2001, 'sso', 'staff', 3, 0)",
        )
        .await;
    registry.organization_member_put(&organization, BOB, Role::Admin).await.unwrap();
    scene.change("UPDATE users SET disabled_at = 1 WHERE username = 'bob'").await;
    last().await;
    scene.change("UPDATE users SET disabled_at = NULL, is_unconfirmed = 1 WHERE username = 'bob'").await;
    last().await;
    scene.change("UPDATE users SET is_unconfirmed = 0 WHERE username = 'bob'").await;
    assert_eq!(needed(&scene, ADA).await, None);
    registry.organization_member_delete(&organization, ADA).await.unwrap();
    assert!(needed(&scene, BOB).await.is_some());
}

#[tokio::test]
async fn who_administers_much_alone_is_told_a_part_of_it() {
    let scene = scene().await;
    let make = async |number: usize| {
        let name = format!("own-{number:02}").parse().unwrap();
        scene.registry.organization_create(&name, BOB).await.unwrap();
    };
    assert_eq!(needed(&scene, BOB).await, None);
    for number in 0..NAMED_AT_ONCE {
        make(number).await;
    }
    let told = needed(&scene, BOB).await.unwrap();
    assert!(told.contains("of own-00, own-01,") && told.contains(", own-09; give"), "{told}");
    make(NAMED_AT_ONCE).await;
    let told = needed(&scene, BOB).await.unwrap();
    assert!(told.contains(" and others; give"), "{told}");
}

#[tokio::test]
async fn who_is_no_administrator_comes_and_goes_whoever_else_there_is() {
    let scene = scene().await;
    let organization = scene.manage_acme().await;
    scene.change("UPDATE users SET disabled_at = 1 WHERE username = 'ada'").await;
    let registry = &scene.registry;
    registry.organization_member_put(&organization, BOB, Role::Viewer).await.unwrap();
    registry.organization_member_put(&organization, BOB, Role::Writer).await.unwrap();
    registry.organization_member_delete(&organization, BOB).await.unwrap();
}
