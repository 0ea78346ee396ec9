use access::Role;
use bytes::Bytes;
use oci::{Algorithm, RepositoryName};

use super::*;
use crate::testing::{ADA, BOB, Scene, limited, person, scene};
use crate::{Caller, NewGroupRole};

/// Pushes a blob as Ada.
async fn push(scene: &Scene, name: &str, bytes: &'static [u8]) -> Digest {
    let digest = Digest::of(Algorithm::Sha256, bytes);
    let name: RepositoryName = name.parse().unwrap();
    let granted = scene.registry.authorize::<Push>(&person(ADA, "ada"), &name).await.unwrap();
    let body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(bytes))]);
    scene.registry.blob_push(&granted, &digest, body).await.unwrap();
    digest
}

/// Mounts from wherever it may be.
async fn mount(scene: &Scene, caller: &Caller, digest: &Digest) -> Mounted {
    let target = "acme/open/target".parse().unwrap();
    let granted = scene.registry.authorize::<Push>(caller, &target).await.unwrap();
    scene.registry.blob_mount(&granted, digest, None).await.unwrap()
}

#[tokio::test]
async fn t2_a_search_for_a_blob_stays_within_what_the_token_is_good_for() {
    let scene = scene().await;
    let digest = push(&scene, "acme/prod/app", b"bread").await;
    let scopes = |other: &'static str| {
        limited(person(ADA, "ada"), &[("acme/open/**", &[Action::Push]), (other, &[Action::Pull])])
    };
    assert_eq!(mount(&scene, &scopes("acme/prod/other"), &digest).await, Mounted::No);
    assert_eq!(mount(&scene, &scopes("acme/open/**"), &digest).await, Mounted::No);
    // One that is reached among others that are not.
    push(&scene, "acme/prod/other", b"bread").await;
    assert_eq!(mount(&scene, &scopes("acme/prod/other"), &digest).await, Mounted::Yes);
}

#[tokio::test]
async fn a_search_finds_what_a_group_may_pull() {
    let scene = scene().await;
    let digest = push(&scene, "acme/prod/app", b"bread").await;
    let granted = scene.manage_acme().await;
    scene.group_join(BOB, "staff").await;
    let role = |registry: &str, role| NewGroupRole {
        provider: "sso".to_owned(),
        group: "staff".to_owned(),
        registry: Some(registry.parse().unwrap()),
        role,
    };
    scene.registry.group_role_create(&granted, role("open", Role::Writer)).await.unwrap();
    let bob = person(BOB, "bob");
    assert_eq!(mount(&scene, &bob, &digest).await, Mounted::No);
    scene.registry.group_role_create(&granted, role("prod", Role::Viewer)).await.unwrap();
    assert_eq!(mount(&scene, &bob, &digest).await, Mounted::Yes);
}
