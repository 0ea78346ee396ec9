//! Members of organizations and of registries, and when their roles count.

use serde_json::json;
use testkit::{Place, Role, random_word};

use super::{NOTHING, read_all};
use crate::scene::{Calls as _, Organization, admin, expect_problem, outsider};

/// The members of an organization and of a registry are managed alike.
#[test]
fn a_member_is_added_read_changed_listed_and_removed() {
    let organization = Organization::new();
    let owner = organization.member(Role::Admin);
    for place in [
        format!("/organizations/{}", organization.name),
        format!("/organizations/{}/registries/main", organization.name),
    ] {
        let someone = outsider();
        let path = format!("{place}/members/{}", someone.username());
        expect_problem(owner.manage("GET", &path, &NOTHING), 404, "not_found");
        expect_problem(owner.manage("DELETE", &path, &NOTHING), 404, "not_found");
        for role in ["viewer", "admin", "writer"] {
            let expected = json!({ "username": someone.username(), "role": role });
            let put = owner.manage("PUT", &path, &json!({ "role": role })).expect(&[200]).json();
            assert_eq!(put, expected);
            assert_eq!(owner.manage("GET", &path, &NOTHING).expect(&[200]).json(), expected);
        }
        let listed = read_all(&owner, &format!("{place}/members"), 1, "username");
        assert!(listed.contains(&someone.username().to_owned()), "{listed:?}");
        expect_problem(owner.manage("PUT", &path, &json!({ "role": "owner" })), 422, "malformed");
        let unknown = format!("{place}/members/nobody-{}", random_word());
        expect_problem(owner.manage("PUT", &unknown, &json!({ "role": "viewer" })), 404, "not_found");
        owner.manage("DELETE", &path, &NOTHING).expect(&[204]);
        expect_problem(owner.manage("GET", &path, &NOTHING), 404, "not_found");
    }
}

#[test]
fn a_role_counts_from_the_next_request_on() {
    let organization = Organization::new();
    let (user, repository) = (outsider(), organization.repository("app"));
    let push = |expected: u16| {
        let path = format!("/v2/{repository}/blobs/uploads/");
        user.ask("POST", &path).expect(&[expected]);
    };
    for place in [Place::Organization(&organization.name), Place::Registry(&organization.name, "main")] {
        push(403);
        admin().member_put(place, user.username(), Role::Viewer);
        push(403);
        admin().member_put(place, user.username(), Role::Writer);
        push(202);
        admin().member_put(place, user.username(), Role::Viewer);
        push(403);
        admin().member_delete(place, user.username());
    }
    push(403);
}

#[test]
fn who_may_see_and_change_members() {
    let organization = Organization::new();
    let viewer = organization.member(Role::Viewer);
    let writer = organization.member(Role::Writer);
    let stranger = outsider();
    let of_organization = format!("/organizations/{}/members", organization.name);
    let of_registry = format!("/organizations/{}/registries/main/members", organization.name);
    viewer.manage("GET", &of_organization, &NOTHING).expect(&[200]);
    expect_problem(viewer.manage("GET", &of_registry, &NOTHING), 403, "denied");
    writer.manage("GET", &of_registry, &NOTHING).expect(&[200]);
    for list in [&of_organization, &of_registry] {
        let own = format!("{list}/{}", viewer.username());
        for member in [&viewer, &writer] {
            expect_problem(member.manage("PUT", &own, &json!({ "role": "admin" })), 403, "denied");
            expect_problem(member.manage("DELETE", &own, &NOTHING), 403, "denied");
        }
        for (method, path, body) in [
            ("GET", list, NOTHING),
            ("GET", &own, NOTHING),
            ("PUT", &own, json!({ "role": "viewer" })),
            ("DELETE", &own, NOTHING),
        ] {
            expect_problem(stranger.manage(method, path, &body), 404, "not_found");
        }
    }
}

#[test]
fn an_organization_keeps_an_administrator() {
    let organization = Organization::new();
    let path = format!("/organizations/{}/members/admin", organization.name);
    expect_problem(admin().manage("DELETE", &path, &NOTHING), 409, "conflict");
    expect_problem(admin().manage("PUT", &path, &json!({ "role": "viewer" })), 409, "conflict");
    admin().manage("PUT", &path, &json!({ "role": "admin" })).expect(&[200]);
    // With another one it may go.
    let second = organization.member(Role::Admin);
    admin().manage("DELETE", &path, &NOTHING).expect(&[204]);
    let last = format!("/organizations/{}/members/{}", organization.name, second.username());
    expect_problem(second.manage("DELETE", &last, &NOTHING), 409, "conflict");
}
