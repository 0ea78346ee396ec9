//! How much the registry takes, and how it refuses more.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};
use testkit::{Answer, Api, random_word, sha256};

use crate::scene::{
    Calls as _, MANIFEST_TYPE, Organization, chunked, connect, empty_config, expect_error, own_server, raw,
    server, small_manifest, writer_and_repository,
};

/// The longest manifest, in bytes.
const LONGEST_MANIFEST: usize = 4 * 1024 * 1024;

/// A manifest of exactly this length.
fn manifest_of(length: usize) -> Vec<u8> {
    let mut manifest = small_manifest();
    manifest["annotations"]["filler"] = "".into();
    let missing = length - manifest.to_string().len();
    manifest["annotations"]["filler"] = "x".repeat(missing).into();
    let bytes = manifest.to_string().into_bytes();
    assert_eq!(bytes.len(), length);
    bytes
}

#[track_caller]
fn put(writer: &Api, repository: &str, body: impl Into<testkit::Body>) -> Answer {
    let path = format!("/v2/{repository}/manifests/1");
    writer.call("PUT", &path, &[("content-type", MANIFEST_TYPE)], body)
}

#[test]
fn a_manifest_of_4_mib_is_taken_and_one_byte_more_is_not() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let longest = manifest_of(LONGEST_MANIFEST);
    for body in [longest.clone().into(), chunked(&longest)] {
        put(&writer, &repository, body).expect(&[201]);
    }
    let path = format!("/v2/{repository}/manifests/1");
    let answer = writer.ask("GET", &path).expect(&[200]);
    assert_eq!(answer.header("content-length"), Some("4194304"));
    assert!(answer.body == longest, "the manifest came back with other bytes");

    let longer = manifest_of(LONGEST_MANIFEST + 1);
    for body in [longer.clone().into(), chunked(&longer)] {
        let message = expect_error(put(&writer, &repository, body), 413, "SIZE_INVALID");
        assert!(message.contains("4194304"), "{message}");
    }
    writer.ask("GET", &format!("/v2/{repository}/manifests/{}", sha256(&longer))).expect(&[404]);
}

/// The limit is no reason to take in everything first, nor to hang up on a client that still sends.
#[test]
fn a_manifest_that_never_ends_is_refused_while_it_comes() {
    let (writer, repository) = writer_and_repository();
    let request = writer.request(testkit::Method::GET, "/").build().unwrap();
    let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
    let mut stream = connect(server());
    let head = format!(
        "PUT /v2/{repository}/manifests/1 HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\n\
         Content-Type: {MANIFEST_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n",
        server().host()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; 0x10000];
    for _ in 0..=LONGEST_MANIFEST / piece.len() {
        stream.write_all(b"10000\r\n").unwrap();
        stream.write_all(&piece).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    // There is no end of the body, and yet an answer.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn a_manifest_names_4096_pieces_of_content_and_no_more() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let image = |layers: usize| {
        let mut manifest = small_manifest();
        manifest["layers"] = Value::Array(vec![empty_config(); layers]);
        manifest.to_string()
    };
    put(&writer, &repository, image(4095)).expect(&[201]);
    let message = expect_error(put(&writer, &repository, image(4096)), 400, "MANIFEST_INVALID");
    assert!(message.contains("4096"), "{message}");
}

#[test]
fn documents_that_cost_more_than_they_weigh_are_refused() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let with = |field: &str, value: &str| {
        small_manifest().to_string().replacen('{', &format!("{{\"{field}\":{value},"), 1)
    };
    for body in [
        with("deep", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        with("many", &format!("[{}0]", "0,".repeat(1_000_000))),
    ] {
        expect_error(put(&writer, &repository, body), 400, "MANIFEST_INVALID");
    }
    // What real tools write is far below that.
    put(&writer, &repository, with("some", &format!("[{}0]", "0,".repeat(10_000)))).expect(&[201]);
}

#[test]
fn hundreds_of_annotations_are_fine() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let mut manifest = small_manifest();
    for number in 0..390 {
        manifest["annotations"][format!("annotation-{number}")] = "x".repeat(10_000).into();
    }
    manifest["subject"] = json!({ "mediaType": MANIFEST_TYPE, "digest": sha256(b"subject"), "size": 7 });
    put(&writer, &repository, manifest.to_string()).expect(&[201]);
    let answer =
        writer.ask("GET", &format!("/v2/{repository}/referrers/{}", sha256(b"subject"))).expect(&[200]);
    assert_eq!(answer.json()["manifests"][0]["annotations"], manifest["annotations"]);
}

#[test]
fn a_user_has_a_limited_number_of_uploads_open() {
    let server = own_server(&[("LARDER_UPLOADS__OPEN_PER_USER", "3")]);
    let organization = Organization::on(&server.api());
    let (writer, other) =
        (organization.member(testkit::Role::Writer), organization.member(testkit::Role::Writer));
    let repository = organization.repository("app");
    let sessions: Vec<_> = (0..3).map(|_| writer.upload_open(&repository)).collect();
    for query in ["", &format!("?mount={}", sha256(b"absent")), &format!("?digest={}", sha256(b"x"))] {
        let answer = writer.call("POST", &format!("/v2/{repository}/blobs/uploads/{query}"), &[], "x");
        let seconds: u64 =
            answer.header("retry-after").and_then(|value| value.parse().ok()).unwrap_or_default();
        assert!((1..=3600).contains(&seconds), "{answer}");
        expect_error(answer, 429, "TOOMANYREQUESTS");
    }
    // Others are not concerned, and a place that becomes free can be used, however it became free.
    other.upload_open(&repository);
    writer.ask("DELETE", &sessions[0]).expect(&[204]);
    let session = writer.upload_open(&repository);
    expect_error(writer.ask("POST", &format!("/v2/{repository}/blobs/uploads/")), 429, "TOOMANYREQUESTS");
    writer.call("PUT", &format!("{session}?digest={}", sha256(b"done")), &[], "done").expect(&[201]);
    writer.upload_open(&repository);
}

#[test]
fn long_names_and_long_queries() {
    let (writer, repository) = writer_and_repository();
    let long = random_word().repeat(400);
    let path = format!("/v2/{repository}/tags/list?ignored={long}&n=1");
    writer.ask("GET", &path).expect(&[404]);
    expect_error(writer.ask("GET", &format!("/v2/{repository}/{long}/tags/list")), 400, "NAME_INVALID");
    expect_error(writer.ask("GET", &format!("/v2/{repository}/manifests/{long}")), 404, "MANIFEST_UNKNOWN");
}

#[test]
fn a_head_of_more_fields_than_anybody_sends_is_refused() {
    let fields = "X-Field: x\r\n".repeat(200);
    let request = format!("GET /v2/ HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", server().host());
    let answer = raw(server(), request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
