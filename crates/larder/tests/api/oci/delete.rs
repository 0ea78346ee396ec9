//! Deleting tags, manifests and blobs. What was acknowledged as complete stays complete: what something else
//! still names is not deleted.

use serde_json::json;
use testkit::{Answer, Api, Role, random_bytes, sha256};

use crate::scene::{
    Calls as _, INDEX_TYPE, MANIFEST_TYPE, Organization, expect_error, referrer_of, small_manifest,
    writer_and_repository,
};

#[track_caller]
fn manifest(writer: &Api, method: &str, repository: &str, reference: &str) -> Answer {
    writer.ask(method, &format!("/v2/{repository}/manifests/{reference}"))
}

#[track_caller]
fn blob(writer: &Api, method: &str, repository: &str, digest: &str) -> Answer {
    writer.ask(method, &format!("/v2/{repository}/blobs/{digest}"))
}

#[test]
fn deleting_a_tag_deletes_the_tag_alone() {
    let (writer, repository) = writer_and_repository();
    let pushed = writer.image_push(&repository, "one", &small_manifest());
    writer.manifest_put(&repository, "two", MANIFEST_TYPE, &pushed.bytes).expect(&[201]);
    let answer = manifest(&writer, "DELETE", &repository, "one").expect(&[202]);
    assert!(answer.body.is_empty());
    for method in ["GET", "HEAD"] {
        manifest(&writer, method, &repository, "one").expect(&[404]);
        manifest(&writer, method, &repository, "two").expect(&[200]);
        manifest(&writer, method, &repository, &pushed.digest).expect(&[200]);
    }
    assert_eq!(writer.tag_list(&repository), ["two"]);
    expect_error(manifest(&writer, "DELETE", &repository, "one"), 404, "MANIFEST_UNKNOWN");
    // The last tag of a manifest takes nothing with it either.
    manifest(&writer, "DELETE", &repository, "two").expect(&[202]);
    manifest(&writer, "GET", &repository, &pushed.digest).expect(&[200]);
    // And a deleted tag can be set again.
    writer.manifest_put(&repository, "one", MANIFEST_TYPE, &pushed.bytes).expect(&[201]);
    manifest(&writer, "GET", &repository, "one").expect(&[200]);
}

#[test]
fn deleting_a_manifest_deletes_all_its_tags() {
    let (writer, repository) = writer_and_repository();
    let pushed = writer.image_push(&repository, "one", &small_manifest());
    writer.manifest_put(&repository, "two", MANIFEST_TYPE, &pushed.bytes).expect(&[201]);
    let other = writer.image_push(&repository, "other", &small_manifest());
    manifest(&writer, "DELETE", &repository, &pushed.digest).expect(&[202]);
    for reference in ["one", "two", &pushed.digest] {
        for method in ["GET", "HEAD"] {
            manifest(&writer, method, &repository, reference).expect(&[404]);
        }
        expect_error(manifest(&writer, "DELETE", &repository, reference), 404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(writer.tag_list(&repository), ["other"]);
    assert_eq!(manifest(&writer, "GET", &repository, "other").expect(&[200]).body, other.bytes);
    // The same manifest can be pushed again.
    writer.image_push(&repository, "one", &serde_json::from_slice(&pushed.bytes).unwrap());
    manifest(&writer, "GET", &repository, "one").expect(&[200]);
    assert_eq!(writer.tag_list(&repository), ["one", "other"]);
}

#[test]
fn deleting_a_blob_deletes_the_link_of_this_repository() {
    let organization = Organization::new();
    let writer = organization.member(Role::Writer);
    let (one, other) = (organization.repository("one"), organization.repository("other"));
    let bytes = random_bytes(100);
    let digest = writer.blob_push(&one, &bytes);
    writer.blob_push(&other, &bytes);
    blob(&writer, "DELETE", &one, &digest).expect(&[202]);
    for method in ["GET", "HEAD", "DELETE"] {
        blob(&writer, method, &one, &digest).expect(&[404]);
    }
    assert_eq!(blob(&writer, "GET", &other, &digest).expect(&[200]).body, bytes);
    writer.blob_push(&one, &bytes);
    assert_eq!(blob(&writer, "GET", &one, &digest).expect(&[200]).body, bytes);
}

#[test]
fn a_blob_that_a_manifest_names_stays() {
    let (writer, repository) = writer_and_repository();
    let layer = random_bytes(50);
    let digest = writer.blob_push(&repository, &layer);
    let mut image = small_manifest();
    image["layers"] = json!([{ "mediaType": "a/b", "digest": digest, "size": 50 }]);
    let pushed = writer.image_push(&repository, "1", &image);
    for named in [&digest, &sha256(b"{}")] {
        let message = expect_error(blob(&writer, "DELETE", &repository, named), 403, "DENIED");
        assert!(message.contains(&pushed.digest) && message.contains(named), "{message}");
        blob(&writer, "GET", &repository, named).expect(&[200]);
    }
    // Without its tag the manifest is still a manifest.
    manifest(&writer, "DELETE", &repository, "1").expect(&[202]);
    expect_error(blob(&writer, "DELETE", &repository, &digest), 403, "DENIED");
    manifest(&writer, "DELETE", &repository, &pushed.digest).expect(&[202]);
    blob(&writer, "DELETE", &repository, &digest).expect(&[202]);
    blob(&writer, "GET", &repository, &digest).expect(&[404]);
}

#[test]
fn a_child_of_an_index_stays() {
    let (writer, repository) = writer_and_repository();
    let child = writer.image_push(&repository, "child", &small_manifest());
    let bytes = random_bytes(10);
    let layer = json!({ "mediaType": "a/b", "digest": writer.blob_push(&repository, &bytes), "size": 10 });
    let index =
        json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [child.descriptor(), layer] });
    let index = writer.image_push(&repository, "index", &index);
    let message = expect_error(manifest(&writer, "DELETE", &repository, &child.digest), 403, "DENIED");
    assert!(message.contains(&index.digest), "{message}");
    expect_error(blob(&writer, "DELETE", &repository, &sha256(&bytes)), 403, "DENIED");
    // A refused deletion changes nothing, not even tags.
    assert_eq!(writer.tag_list(&repository), ["child", "index"]);
    manifest(&writer, "DELETE", &repository, "child").expect(&[202]);
    manifest(&writer, "GET", &repository, &child.digest).expect(&[200]);
    manifest(&writer, "DELETE", &repository, &index.digest).expect(&[202]);
    manifest(&writer, "DELETE", &repository, &child.digest).expect(&[202]);
    blob(&writer, "DELETE", &repository, &sha256(&bytes)).expect(&[202]);
}

#[test]
fn a_subject_may_go_before_what_refers_to_it() {
    let (writer, repository) = writer_and_repository();
    let subject = writer.image_push(&repository, "1", &small_manifest());
    let referrer = writer.image_push(&repository, "", &referrer_of(&subject.descriptor(), "a/b"));
    manifest(&writer, "DELETE", &repository, &subject.digest).expect(&[202]);
    manifest(&writer, "GET", &repository, "1").expect(&[404]);
    // It is collected later, or never if it is tagged; until then it is there.
    manifest(&writer, "GET", &repository, &referrer.digest).expect(&[200]);
    manifest(&writer, "DELETE", &repository, &referrer.digest).expect(&[202]);
}

#[test]
fn in_a_repository_that_is_not_there_nothing_can_be_deleted() {
    let (writer, repository) = writer_and_repository();
    for path in [format!("manifests/{}", sha256(b"x")), "manifests/1".to_owned()] {
        let answer = writer.ask("DELETE", &format!("/v2/{repository}/{path}"));
        expect_error(answer, 404, "NAME_UNKNOWN");
    }
    expect_error(blob(&writer, "DELETE", &repository, &sha256(b"x")), 404, "BLOB_UNKNOWN");
}

#[test]
fn deleting_takes_the_right_to_delete() {
    let organization = Organization::new();
    let (writer, viewer) = (organization.member(Role::Writer), organization.member(Role::Viewer));
    let repository = organization.repository("app");
    let pushed = writer.image_push(&repository, "1", &small_manifest());
    let loose = writer.blob_push(&repository, &random_bytes(10));
    for reference in ["1", &pushed.digest] {
        expect_error(manifest(&viewer, "DELETE", &repository, reference), 403, "DENIED");
    }
    expect_error(blob(&viewer, "DELETE", &repository, &loose), 403, "DENIED");
    // Nor does a token for something else do.
    let token = writer.token(&[&format!("repository:{repository}:pull,push")]);
    let answer = manifest(&writer.as_bearer(&token), "DELETE", &repository, "1");
    let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
    assert!(challenge.contains(&format!("scope=\"repository:{repository}:delete\"")), "{answer}");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{answer}");
    expect_error(answer, 401, "UNAUTHORIZED");
    // The scopes that clients ask for when they delete.
    for actions in ["delete", "*", "pull,push,delete"] {
        let token = writer.token(&[&format!("repository:{repository}:{actions}")]);
        let digest = writer.blob_push(&repository, &random_bytes(10));
        blob(&writer.as_bearer(&token), "DELETE", &repository, &digest).expect(&[202]);
    }
    manifest(&writer, "GET", &repository, "1").expect(&[200]);
}
