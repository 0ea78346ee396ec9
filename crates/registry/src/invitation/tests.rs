use secrecy::ExposeSecret as _;

use super::*;
use crate::grant::{Push, RegistryManage};
use crate::testing::{ACME_CI, ADA, BOB, EVE, Scene, person, scene};

fn to(role: Role) -> NewInvitation {
    NewInvitation { email: Some("bob@example.com".to_owned()), role }
}

async fn may_push(scene: &Scene, id: i64, name: &str) -> bool {
    let repository = "acme/prod/app".parse().unwrap();
    scene.registry.authorize::<Push>(&person(id, name), &repository).await.is_ok()
}

fn is_over(error: &Error) -> bool {
    *error.kind() == ErrorKind::NotFound(What::Member) && error.message() == invitation_over().message()
}

#[tokio::test]
async fn an_invitation_gives_its_role_once() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    let made = registry.organization_invitation_create(&granted, to(Role::Writer)).await.unwrap();
    let secret = made.secret.expose_secret();
    assert!(!format!("{made:?}").contains(secret), "a secret in the log");
    assert_eq!(registry.invitation_get(secret).await.unwrap(), made.view);
    assert!(!may_push(&scene, BOB, "bob").await);
    let view = registry.invitation_accept(secret, BOB).await.unwrap();
    assert_eq!((view.organization.as_str(), view.registry, view.role), ("acme", None, Role::Writer));
    assert!(may_push(&scene, BOB, "bob").await);
    assert!(is_over(&registry.invitation_accept(secret, EVE).await.unwrap_err()));
    assert!(is_over(&registry.invitation_get(secret).await.unwrap_err()));
    assert!(!may_push(&scene, EVE, "eve").await);
}

#[tokio::test]
async fn two_who_bring_the_link_at_once_are_not_both_let_in() {
    let scene = scene().await;
    let granted = scene.manage_acme().await;
    let made = scene.registry.organization_invitation_create(&granted, to(Role::Writer)).await.unwrap();
    let secret = made.secret.expose_secret();
    let (one, other) = tokio::join!(
        scene.registry.invitation_accept(secret, BOB),
        scene.registry.invitation_accept(secret, EVE)
    );
    assert!(one.is_ok() != other.is_ok());
}

#[tokio::test]
async fn an_invitation_to_a_registry_is_to_that_one() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_prod().await;
    let made = registry.registry_invitation_create(&granted, to(Role::Admin)).await.unwrap();
    registry.invitation_accept(made.secret.expose_secret(), BOB).await.unwrap();
    let (acme, caller) = ("acme".parse().unwrap(), person(BOB, "bob"));
    for (name, expected) in [("prod", true), ("open", false)] {
        let name = name.parse().unwrap();
        let outcome = registry.authorize_registry::<RegistryManage>(&caller, &acme, &name).await;
        assert_eq!(outcome.is_ok(), expected, "{name}");
    }
}

#[tokio::test]
async fn an_invitation_takes_nothing_away() {
    let scene = scene().await;
    let granted = scene.manage_acme().await;
    let made = scene.registry.organization_invitation_create(&granted, to(Role::Viewer)).await.unwrap();
    scene.registry.invitation_accept(made.secret.expose_secret(), ADA).await.unwrap();
    scene.manage_acme().await;
}

#[tokio::test]
async fn an_invitation_ends() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    let made = registry.organization_invitation_create(&granted, to(Role::Viewer)).await.unwrap();
    assert_eq!(made.view.expires_at, made.view.created_at + LIFE);
    scene.clock.advance(LIFE);
    assert!(is_over(&registry.invitation_accept(made.secret.expose_secret(), BOB).await.unwrap_err()));
    assert!(is_over(&registry.invitation_get(made.secret.expose_secret()).await.unwrap_err()));
    assert!(registry.organization_invitation_list(&granted, "", 10).await.unwrap().is_empty());
    assert_eq!(registry.invitations_remove_expired().await.unwrap(), 1);
    assert_eq!(registry.invitations_remove_expired().await.unwrap(), 0);
}

#[tokio::test]
async fn t16_an_invitation_falls_with_the_right_of_whoever_made_it() {
    let scene = scene().await;
    let registry = &scene.registry;
    let granted = scene.manage_acme().await;
    registry.organization_member_put(&granted, EVE, Role::Admin).await.unwrap();
    let by_eve = registry
        .authorize_organization::<OrganizationMembersManage>(&person(EVE, "eve"), &"acme".parse().unwrap())
        .await
        .unwrap();
    let made = registry.organization_invitation_create(&by_eve, to(Role::Admin)).await.unwrap();
    let secret = made.secret.expose_secret();
    registry.organization_member_put(&granted, EVE, Role::Writer).await.unwrap();
    assert!(is_over(&registry.invitation_get(secret).await.unwrap_err()));
    assert!(is_over(&registry.invitation_accept(secret, EVE).await.unwrap_err()));
    assert!(is_over(&registry.invitation_accept(secret, BOB).await.unwrap_err()));
    // It was not used up by that, and comes back with the right.
    registry.organization_member_put(&granted, EVE, Role::Admin).await.unwrap();
    scene.change("UPDATE users SET disabled_at = 1 WHERE username = 'eve'").await;
    assert!(is_over(&registry.invitation_accept(secret, BOB).await.unwrap_err()));
    scene.change("UPDATE users SET disabled_at = NULL WHERE username = 'eve'").await;
    registry.invitation_accept(secret, BOB).await.unwrap();
}

#[tokio::test]
async fn a_machine_accepts_no_invitation_and_uses_none_up() {
    let scene = scene().await;
    let granted = scene.manage_acme().await;
    let made = scene.registry.organization_invitation_create(&granted, to(Role::Admin)).await.unwrap();
    let secret = made.secret.expose_secret();
    let error = scene.registry.invitation_accept(secret, ACME_CI).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Forbidden);
    scene.registry.invitation_accept(secret, BOB).await.unwrap();
}

#[tokio::test]
async fn t12_invitations_are_listed_and_taken_back_in_their_own_place_alone() {
    let scene = scene().await;
    let registry = &scene.registry;
    let (acme, prod) = (scene.manage_acme().await, scene.manage_prod().await);
    let globex = registry
        .authorize_organization::<OrganizationMembersManage>(&person(EVE, "eve"), &"globex".parse().unwrap())
        .await
        .unwrap();
    let whole = registry.organization_invitation_create(&acme, to(Role::Viewer)).await.unwrap().view;
    scene.clock.advance(Duration::from_millis(1));
    let part = registry.registry_invitation_create(&prod, to(Role::Viewer)).await.unwrap().view;
    let all = registry.organization_invitation_list(&acme, "", 10).await.unwrap();
    assert_eq!(all, [whole.clone(), part.clone()]);
    let second = registry.organization_invitation_list(&acme, &whole.id, 10).await.unwrap();
    assert_eq!(second, std::slice::from_ref(&part));
    assert_eq!(registry.registry_invitation_list(&prod, "", 10).await.unwrap(), std::slice::from_ref(&part));
    assert!(registry.registry_invitation_list(&prod, &part.id, 10).await.unwrap().is_empty());
    assert!(registry.organization_invitation_list(&globex, "", 10).await.unwrap().is_empty());
    let unknown = ErrorKind::NotFound(What::Member);
    let foreign = registry.organization_invitation_delete(&globex, &whole.id).await.unwrap_err();
    assert_eq!(*foreign.kind(), unknown);
    let above = registry.registry_invitation_delete(&prod, &whole.id).await.unwrap_err();
    assert_eq!(*above.kind(), unknown);
    registry.registry_invitation_delete(&prod, &part.id).await.unwrap();
    registry.organization_invitation_delete(&acme, &whole.id).await.unwrap();
    assert!(registry.organization_invitation_list(&acme, "", 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn invitations_go_with_their_registry() {
    let scene = scene().await;
    let registry = &scene.registry;
    let prod = scene.manage_prod().await;
    let made = registry.registry_invitation_create(&prod, to(Role::Admin)).await.unwrap();
    let (acme, name) = ("acme".parse().unwrap(), "prod".parse().unwrap());
    let manage =
        registry.authorize_registry::<RegistryManage>(&person(ADA, "ada"), &acme, &name).await.unwrap();
    registry.registry_delete(&manage, true).await.unwrap();
    assert!(is_over(&registry.invitation_accept(made.secret.expose_secret(), BOB).await.unwrap_err()));
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let scene = scene().await;
    let granted = scene.manage_acme().await;
    for email in ["", "bob", "@x", "bob@", "a@b@c", "bob@x\r\n", "b ob@x"] {
        let new = NewInvitation { email: Some(email.to_owned()), role: Role::Viewer };
        let error = scene.registry.organization_invitation_create(&granted, new).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::InvalidRequest, "{email:?}");
    }
    let new = NewInvitation { email: None, role: Role::Viewer };
    let made = scene.registry.organization_invitation_create(&granted, new).await.unwrap();
    assert_eq!(scene.registry.invitation_get(made.secret.expose_secret()).await.unwrap().email, None);
}

#[tokio::test]
async fn no_secret_that_somebody_makes_up_is_one() {
    let scene = scene().await;
    for secret in ["", "x", "\0", &"0".repeat(64)] {
        assert!(is_over(&scene.registry.invitation_get(secret).await.unwrap_err()));
        assert!(is_over(&scene.registry.invitation_accept(secret, BOB).await.unwrap_err()));
    }
}
