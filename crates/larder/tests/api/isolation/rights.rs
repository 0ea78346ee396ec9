//! Rights that stop short: a viewer changes nothing, and nobody takes away what is still needed.

use serde_json::json;
use testkit::{Api, Role};

use super::Victim;
use crate::scene::{Calls as _, INDEX_TYPE, expect_error, small_manifest};

/// Callers of a victim's repository who may read it and no more.
fn readers(victim: &Victim) -> Vec<(&'static str, Api, u16)> {
    let viewer = victim.organization.member(Role::Viewer);
    let all = format!("repository:{}:pull,push,delete", victim.repository);
    let pull = format!("repository:{}:pull", victim.repository);
    let personal = viewer.token_create("laptop")["token"].as_str().expect("a token is text").to_owned();
    vec![
        ("a viewer with a password", viewer.clone(), 403),
        ("a viewer with a personal token", viewer.as_bearer(&personal), 403),
        ("a viewer with a token for everything", viewer.as_bearer(&viewer.token(&[&all])), 403),
        // A writer may, but has not asked for it.
        ("a writer with a token for pulling", victim.writer.as_bearer(&victim.writer.token(&[&pull])), 401),
    ]
}

/// There is no role that may create and not overwrite. What there is: who may not push neither moves a tag
/// nor makes one, whatever the tag is called and whether or not it is there.
#[test]
fn t14_who_may_only_read_moves_no_tag_and_makes_none() {
    let victim = Victim::new();
    victim
        .writer
        .manifest_put(&victim.repository, "latest", &victim.image.media_type, &victim.image.bytes)
        .expect(&[201]);
    let other = small_manifest().to_string().into_bytes();
    for (who, caller, status) in readers(&victim) {
        let code = if status == 401 { "UNAUTHORIZED" } else { "DENIED" };
        for tag in [victim.tag.as_str(), "latest", "new"] {
            for bytes in [&other, &victim.image.bytes] {
                let answer = caller.manifest_put(&victim.repository, tag, &victim.image.media_type, bytes);
                assert_eq!(answer.status, status, "{who} puts {tag}: {answer}");
                expect_error(answer, status, code);
            }
        }
        // By digest with tags in the query.
        let path = format!("/v2/{}/manifests/{}?tag=latest&tag=new", victim.repository, victim.image.digest);
        let headers = [("content-type", victim.image.media_type.as_str())];
        expect_error(caller.call("PUT", &path, &headers, victim.image.bytes.clone()), status, code);
        for method in ["POST", "PATCH"] {
            let path = format!("/v2/{}/manifests/latest", victim.repository);
            assert!([401, 403, 405].contains(&caller.ask(method, &path).status), "{who} {method}");
        }
    }
    victim.writer.ask("DELETE", &format!("/v2/{}/manifests/latest", victim.repository)).expect(&[202]);
    victim.is_untouched();
}

#[test]
fn t14_a_role_that_was_taken_away_moves_no_tag_with_an_old_token() {
    let victim = Victim::new();
    let writer = victim.organization.member(Role::Writer);
    let bearer = writer.as_bearer(&writer.token(&[&format!("repository:{}:pull,push", victim.repository)]));
    let put = |expected: u16| {
        bearer
            .manifest_put(&victim.repository, "later", &victim.image.media_type, &victim.image.bytes)
            .expect(&[expected]);
    };
    put(201);
    let place = testkit::Place::Organization(&victim.organization.name);
    victim.organization.admin().member_put(place, writer.username(), Role::Viewer);
    put(403);
    victim.organization.admin().member_delete(place, writer.username());
    put(403);
    victim.writer.ask("DELETE", &format!("/v2/{}/manifests/later", victim.repository)).expect(&[202]);
    victim.is_untouched();
}

#[test]
fn t15_who_may_only_read_deletes_nothing_by_any_route() {
    let victim = Victim::new();
    let repository = &victim.repository;
    let routes = [
        format!("/v2/{repository}/manifests/{}", victim.tag),
        format!("/v2/{repository}/manifests/{}", victim.image.digest),
        format!("/v2/{repository}/manifests/{}", victim.referrer.digest),
        format!("/v2/{repository}/blobs/{}", victim.layer_digest),
        victim.upload.clone(),
    ];
    for (who, caller, status) in readers(&victim) {
        for route in &routes {
            let answer = caller.ask("DELETE", route);
            assert_eq!(answer.status, status, "{who} deletes {route}: {answer}");
            expect_error(answer, status, if status == 401 { "UNAUTHORIZED" } else { "DENIED" });
        }
        let registry =
            format!("/organizations/{}/registries/{}?force=true", victim.organization.name, victim.registry);
        let status = caller.manage("DELETE", &registry, &serde_json::Value::Null).status;
        assert_eq!(status, 403, "{who} deletes the registry");
    }
    // Pushing is not deleting: a token for the one is none for the other.
    let scope = format!("repository:{repository}:pull,push");
    let pusher = victim.writer.as_bearer(&victim.writer.token(&[&scope]));
    for route in &routes[..4] {
        let answer = pusher.ask("DELETE", route).expect(&[401]);
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        assert!(challenge.contains("delete"), "{answer}");
    }
    victim.is_untouched();
}

#[test]
fn t15_who_may_only_read_changes_nothing_of_a_python_project() {
    let victim = Victim::new();
    let (organization, registry) = (&victim.organization.name, &victim.registry);
    let (project, file) = (&victim.project, &victim.wheel);
    let base = format!("/organizations/{organization}/registries/{registry}/python/projects/{project}");
    let calls = [
        ("PATCH", base.clone(), json!({ "status": "quarantined" })),
        ("PATCH", format!("{base}/releases/{}", file.version), json!({ "yanked": true })),
        ("DELETE", format!("{base}/releases/{}", file.version), serde_json::Value::Null),
        ("POST", format!("{base}/releases/{}/restore", file.version), serde_json::Value::Null),
        ("PATCH", format!("{base}/files/{}", file.filename), json!({ "yanked": true })),
        ("DELETE", format!("{base}/files/{}", file.filename), serde_json::Value::Null),
        ("POST", format!("{base}/files/{}/restore", file.filename), serde_json::Value::Null),
    ];
    let repository = format!("{organization}/{registry}/{project}");
    let manifest = victim.writer.manifest_get(&repository, &file.version).expect(&[200]);
    let digest = testkit::sha256(&manifest.body);
    let other = testkit::python::Wheel::new(project, "9.9").build();
    for (who, caller, _) in readers(&victim).into_iter().take(2) {
        for (method, path, body) in &calls {
            let answer = caller.manage(method, path, body);
            assert_eq!(answer.status, 403, "{who} {method} {path}: {answer}");
        }
        for file in [file, &other] {
            let answer = caller.python_upload(organization, registry, file);
            assert_eq!(answer.status, 403, "{who} uploads {}: {answer}", file.filename);
        }
        for reference in [file.version.as_str(), &digest] {
            let path = format!("/v2/{repository}/manifests/{reference}");
            expect_error(caller.ask("DELETE", &path), 403, "DENIED");
            let headers = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
            expect_error(caller.call("PUT", &path, &headers, manifest.body.clone()), 403, "DENIED");
        }
    }
    victim.is_untouched();
}

#[test]
fn t15_what_is_still_needed_is_deleted_by_nobody() {
    let victim = Victim::new();
    let (api, repository) = (&victim.writer, &victim.repository);
    let index =
        json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [victim.image.descriptor()] });
    let index = api.image_push(repository, "index", &index);
    let delete =
        |kind: &str, reference: &str| api.ask("DELETE", &format!("/v2/{repository}/{kind}/{reference}"));
    let owner = victim.organization.member(Role::Admin);
    for caller in [api, &owner] {
        for (kind, digest) in [("blobs", &victim.layer_digest), ("manifests", &victim.image.digest)] {
            let answer = caller.ask("DELETE", &format!("/v2/{repository}/{kind}/{digest}"));
            let message = expect_error(answer, 403, "DENIED");
            assert!(message.contains("delete the"), "what to do next is missing: {message}");
        }
    }
    // The tag is no part of what the index needs.
    delete("manifests", &index.digest).expect(&[202]);
    victim.is_untouched();
    // Once nothing names them they go, from the top down.
    delete("manifests", &victim.image.digest).expect(&[202]);
    delete("blobs", &victim.layer_digest).expect(&[202]);
    api.manifest_get(repository, &victim.tag).expect(&[404]);
    api.blob_get(repository, &victim.layer_digest).expect(&[404]);
}
