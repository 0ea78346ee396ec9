//! SHA-512 in every place where a digest can stand: what a client named comes back in the same algorithm.

use serde_json::json;
use testkit::{Answer, random_bytes, sha256, sha512};

use crate::scene::{
    Calls as _, MANIFEST_TYPE, chunked, expect_error, referrer_of, small_manifest, writer_and_repository,
};

#[track_caller]
fn check_created(answer: Answer, location: &str, digest: &str) {
    let answer = answer.expect(&[201]);
    assert_eq!(answer.header("location"), Some(location), "{answer}");
    assert_eq!(answer.header("docker-content-digest"), Some(digest), "{answer}");
}

#[test]
fn blobs_by_every_way_of_pushing() {
    let (writer, repository) = writer_and_repository();
    for bytes in [random_bytes(50_000), Vec::new()] {
        let digest = sha512(&bytes);
        let location = format!("/v2/{repository}/blobs/{digest}");
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let check = |answer: Answer| {
            check_created(answer, &location, &digest);
            for method in ["GET", "HEAD"] {
                let answer = writer.ask(method, &location).expect(&[200]);
                assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
                assert_eq!(answer.header("etag"), Some(format!("\"{digest}\"").as_str()), "{answer}");
                let length = bytes.len().to_string();
                assert_eq!(answer.header("content-length"), Some(length.as_str()), "{answer}");
            }
            assert!(writer.ask("GET", &location).body == bytes, "the blob holds other bytes");
            writer.ask("DELETE", &location).expect(&[202]);
        };
        check(writer.call("POST", &format!("{uploads}?digest={digest}"), &[], chunked(&bytes)));
        // Announced, and named only at the end, which is what most clients do.
        for query in ["", "?digest-algorithm=sha512", "?digest-algorithm=sha256"] {
            let open = || {
                let answer = writer.ask("POST", &format!("{uploads}{query}")).expect(&[202]);
                answer.header("location").expect("an upload has a location").to_owned()
            };
            check(writer.call("PUT", &format!("{}?digest={digest}", open()), &[], bytes.clone()));
            let session = open();
            let (one, other) = bytes.split_at(bytes.len() / 3);
            writer.call("PATCH", &session, &[], one.to_vec()).expect(&[202]);
            writer.call("PATCH", &session, &[], chunked(other)).expect(&[202]);
            check(writer.ask("PUT", &format!("{session}?digest={digest}")));
        }
    }
}

#[test]
fn a_digest_that_does_not_match_is_refused() {
    let (writer, repository) = writer_and_repository();
    let wrong = sha512(b"other");
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let answer = writer.call("POST", &format!("{uploads}?digest={wrong}"), &[], "bytes");
    let message = expect_error(answer, 400, "DIGEST_INVALID");
    assert!(message.contains("sha512:"), "{message}");
    let session = writer.upload_open(&repository);
    writer.call("PATCH", &session, &[], "bytes").expect(&[202]);
    expect_error(writer.ask("PUT", &format!("{session}?digest={wrong}")), 400, "DIGEST_INVALID");
    expect_error(writer.ask("GET", &session), 404, "BLOB_UPLOAD_UNKNOWN");
    // 64 digits are not enough for it, and 128 too many for the other.
    for digest in
        [sha256(b"a").replace("256", "512"), sha512(b"a").replace("512", "256"), "sha512:bad".to_owned()]
    {
        expect_error(writer.ask("POST", &format!("{uploads}?digest={digest}")), 400, "DIGEST_INVALID");
        expect_error(writer.ask("GET", &format!("/v2/{repository}/blobs/{digest}")), 400, "DIGEST_INVALID");
    }
}

#[test]
fn a_blob_under_both_algorithms_is_two_links_to_the_same_bytes() {
    let (writer, repository) = writer_and_repository();
    let bytes = random_bytes(1000);
    writer.blob_push(&repository, &bytes);
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let digest = sha512(&bytes);
    writer.call("POST", &format!("{uploads}?digest={digest}"), &[], bytes.clone()).expect(&[201]);
    for digest in [sha256(&bytes), digest] {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let answer = writer.ask("GET", &path).expect(&[200]);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
        assert_eq!(answer.body, bytes);
        writer.ask("DELETE", &path).expect(&[202]);
        writer.ask("GET", &path).expect(&[404]);
    }
}

#[test]
fn ranges_and_mounts() {
    let (writer, repository) = writer_and_repository();
    let bytes = random_bytes(1000);
    let digest = sha512(&bytes);
    let uploads = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    writer.call("POST", &uploads, &[], bytes.clone()).expect(&[201]);
    let path = format!("/v2/{repository}/blobs/{digest}");
    let answer = writer.call("GET", &path, &[("range", "bytes=10-19")], "").expect(&[206]);
    assert_eq!(answer.body, bytes[10..20]);
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
    writer.call("GET", &path, &[("if-none-match", &format!("\"{digest}\""))], "").expect(&[304]);
    let target = repository.replace("/app", "/other");
    let mount = format!("/v2/{target}/blobs/uploads/?mount={digest}&from={repository}");
    check_created(writer.ask("POST", &mount), &format!("/v2/{target}/blobs/{digest}"), &digest);
}

#[test]
fn a_manifest_by_digest_and_what_its_tags_answer() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let bytes = small_manifest().to_string().into_bytes();
    let digest = sha512(&bytes);
    let location = format!("/v2/{repository}/manifests/{digest}");
    let reference = format!("{digest}?tag=1&tag=2");
    let answer = writer.manifest_put(&repository, &reference, MANIFEST_TYPE, &bytes).expect(&[201]);
    assert_eq!(answer.headers.get_all("oci-tag").iter().count(), 2, "{answer}");
    check_created(answer, &location, &digest);
    let check_tag = |tag: &str, digest: &str| {
        for method in ["GET", "HEAD"] {
            let answer = writer.ask(method, &format!("/v2/{repository}/manifests/{tag}")).expect(&[200]);
            assert_eq!(answer.header("docker-content-digest"), Some(digest), "{tag}: {answer}");
            assert_eq!(answer.header("etag"), Some(format!("\"{digest}\"").as_str()), "{answer}");
        }
    };
    for tag in ["1", "2", &digest] {
        check_tag(tag, &digest);
    }
    // A push by tag means SHA-256; the tag answers what it was last pushed with.
    writer.manifest_put(&repository, "1", MANIFEST_TYPE, &bytes).expect(&[201]);
    check_tag("1", &sha256(&bytes));
    check_tag("2", &digest);
    expect_error(
        writer.manifest_put(&repository, &sha512(b"other"), MANIFEST_TYPE, &bytes),
        400,
        "DIGEST_INVALID",
    );
    writer.ask("DELETE", &location).expect(&[202]);
    writer.ask("GET", &format!("/v2/{repository}/manifests/2")).expect(&[404]);
    check_tag("1", &sha256(&bytes));
}

#[test]
fn a_manifest_may_name_its_blobs_and_its_subject_by_it() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let layer = random_bytes(10);
    let digest = sha512(&layer);
    let mut manifest = small_manifest();
    manifest["layers"] = json!([{ "mediaType": "a/b", "digest": digest, "size": 10 }]);
    let push = || writer.manifest_put(&repository, "1", MANIFEST_TYPE, manifest.to_string().as_bytes());
    // The digest that the manifest has is the one under which the blob was pushed.
    writer.blob_push(&repository, &layer);
    expect_error(push(), 400, "MANIFEST_BLOB_UNKNOWN");
    let uploads = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    writer.call("POST", &uploads, &[], layer).expect(&[201]);
    push().expect(&[201]);

    let subject = sha512(manifest.to_string().as_bytes());
    let descriptor =
        json!({ "mediaType": MANIFEST_TYPE, "digest": subject, "size": manifest.to_string().len() });
    let referrer = referrer_of(&descriptor, "application/vnd.example").to_string();
    let path = format!("/v2/{repository}/referrers/{subject}");
    let answer =
        writer.manifest_put(&repository, &sha512(referrer.as_bytes()), MANIFEST_TYPE, referrer.as_bytes());
    assert_eq!(answer.header("oci-subject"), Some(subject.as_str()), "{answer}");
    let listed = writer.ask("GET", &path).expect(&[200]).json();
    assert_eq!(listed["manifests"][0]["digest"], sha512(referrer.as_bytes()));
}
