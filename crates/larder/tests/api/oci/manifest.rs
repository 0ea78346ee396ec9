//! Pushing and pulling manifests.

use serde_json::{Value, json};
use testkit::{Answer, Api, random_word, sha256};

use crate::scene::{
    Calls as _, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, chunked, empty_config, expect_error, raw, server,
    small_manifest, writer_and_repository,
};

pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A repository that has the empty configuration, so that a manifest needs nothing else.
pub(super) fn with_config() -> (Api, String) {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    (writer, repository)
}

#[track_caller]
pub(super) fn put(writer: &Api, repository: &str, media_type: &str, manifest: &Value) -> Answer {
    writer.manifest_put(repository, "1", media_type, manifest.to_string().as_bytes())
}

#[track_caller]
pub(super) fn get(writer: &Api, repository: &str, reference: &str) -> Answer {
    writer.ask("GET", &format!("/v2/{repository}/manifests/{reference}"))
}

/// Asserts that a manifest is served as it was pushed, with this type, by tag `1` and by digest.
#[track_caller]
fn check_served(writer: &Api, repository: &str, media_type: &str, bytes: &[u8]) {
    let digest = sha256(bytes);
    for reference in ["1", &digest] {
        let mut answer = get(writer, repository, reference).expect(&[200]);
        assert!(answer.body == bytes, "other bytes: {answer}");
        for (name, value) in [
            ("content-type", media_type),
            ("content-length", &bytes.len().to_string()),
            ("docker-content-digest", &digest),
            ("etag", &format!("\"{digest}\"")),
            ("docker-distribution-api-version", "registry/2.0"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}: {answer}");
        }
        let mut head = writer.ask("HEAD", &format!("/v2/{repository}/manifests/{reference}")).expect(&[200]);
        for name in ["date", "x-request-id"] {
            answer.headers.remove(name);
            head.headers.remove(name);
        }
        assert_eq!(head.headers, answer.headers);
    }
}

/// Asserts that a manifest is taken and served as it came.
#[track_caller]
pub(super) fn check_taken(writer: &Api, repository: &str, media_type: &str, manifest: &Value) {
    put(writer, repository, media_type, manifest).expect(&[201]);
    check_served(writer, repository, media_type, manifest.to_string().as_bytes());
}

/// Asserts that a manifest is refused as invalid and not stored, and returns the message.
#[track_caller]
pub(super) fn check_refused(writer: &Api, repository: &str, media_type: &str, bytes: &[u8]) -> String {
    let reference = format!("refused-{}", random_word());
    let answer = writer.manifest_put(repository, &reference, media_type, bytes);
    let message = expect_error(answer, 400, "MANIFEST_INVALID");
    get(writer, repository, &reference).expect(&[404]);
    get(writer, repository, &sha256(bytes)).expect(&[404]);
    message
}

#[test]
fn a_push_is_answered_with_place_and_digest() {
    let (writer, repository) = with_config();
    let bytes = small_manifest().to_string().into_bytes();
    let digest = sha256(&bytes);
    // The same again is the same again.
    for reference in ["1", "1", &digest, &digest] {
        let answer = writer.manifest_put(&repository, reference, MANIFEST_TYPE, &bytes).expect(&[201]);
        let location = format!("/v2/{repository}/manifests/{digest}");
        assert_eq!(answer.header("location"), Some(location.as_str()), "{answer}");
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
        assert_eq!(answer.header("content-length"), Some("0"), "{answer}");
        assert_eq!(answer.header("oci-subject"), None, "{answer}");
        assert_eq!(answer.header("oci-tag"), None, "{answer}");
    }
    check_served(&writer, &repository, MANIFEST_TYPE, &bytes);
}

#[test]
fn bytes_come_back_as_they_were_whatever_their_form() {
    let (writer, repository) = with_config();
    let compact = small_manifest();
    let pretty = format!("\n{}\n ", serde_json::to_string_pretty(&compact).unwrap());
    let path = format!("/v2/{repository}/manifests/1");
    // In chunks, as some clients send all of them.
    writer.call("PUT", &path, &[("content-type", MANIFEST_TYPE)], chunked(pretty.as_bytes())).expect(&[201]);
    check_served(&writer, &repository, MANIFEST_TYPE, pretty.as_bytes());
}

#[test]
fn what_a_client_accepts_changes_nothing() {
    let (writer, repository) = with_config();
    let bytes = small_manifest().to_string().into_bytes();
    writer.manifest_put(&repository, "1", MANIFEST_TYPE, &bytes).expect(&[201]);
    let path = format!("/v2/{repository}/manifests/1");
    let (docker, several) =
        ([("accept", DOCKER_MANIFEST)], [("accept", DOCKER_LIST), ("accept", MANIFEST_TYPE)]);
    let list = format!("{DOCKER_LIST}, {INDEX_TYPE};q=0.5, */*");
    for headers in [&docker[..], &several, &[("accept", list.as_str())], &[("accept", "text/html")], &[]] {
        for method in ["GET", "HEAD"] {
            let answer = writer.call(method, &path, headers, "").expect(&[200]);
            assert_eq!(answer.header("content-type"), Some(MANIFEST_TYPE), "{answer}");
            assert_eq!(answer.header("docker-content-digest"), Some(sha256(&bytes).as_str()), "{answer}");
        }
    }
}

#[test]
fn an_unchanged_manifest_is_not_sent_again() {
    let (writer, repository) = with_config();
    let bytes = small_manifest().to_string().into_bytes();
    writer.manifest_put(&repository, "1", MANIFEST_TYPE, &bytes).expect(&[201]);
    let path = format!("/v2/{repository}/manifests/1");
    let tag = format!("\"{}\"", sha256(&bytes));
    for method in ["GET", "HEAD"] {
        let answer = writer.call(method, &path, &[("if-none-match", &tag)], "").expect(&[304]);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), Some(tag.as_str()), "{answer}");
    }
    writer
        .manifest_put(&repository, "1", MANIFEST_TYPE, small_manifest().to_string().as_bytes())
        .expect(&[201]);
    writer.call("GET", &path, &[("if-none-match", &tag)], "").expect(&[200]);
}

#[test]
fn the_type_is_that_of_the_header_or_else_of_the_body() {
    let (writer, repository) = with_config();
    let manifest = small_manifest();
    let path = format!("/v2/{repository}/manifests/1");
    writer.call("PUT", &path, &[], manifest.to_string()).expect(&[201]);
    check_served(&writer, &repository, MANIFEST_TYPE, manifest.to_string().as_bytes());
    let mut bare = small_manifest();
    bare.as_object_mut().unwrap().remove("mediaType");
    expect_error(writer.call("PUT", &path, &[], bare.to_string()), 400, "MANIFEST_INVALID");
    put(&writer, &repository, &format!("{MANIFEST_TYPE}; charset=utf-8"), &bare).expect(&[201]);
    check_served(&writer, &repository, MANIFEST_TYPE, bare.to_string().as_bytes());
}

#[test]
fn a_type_that_contradicts_the_body_is_refused() {
    let (writer, repository) = with_config();
    let image = small_manifest().to_string();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] }).to_string();
    for (media_type, body) in [
        (INDEX_TYPE, &image),
        (DOCKER_MANIFEST, &image),
        (MANIFEST_TYPE, &index),
        (DOCKER_LIST, &index),
        ("application/json", &image),
        ("application/octet-stream", &image),
        ("text/plain", &image),
    ] {
        check_refused(&writer, &repository, media_type, body.as_bytes());
    }
}

/// What one reader takes for an index and another for an image is how one digest comes to mean two things.
#[test]
fn a_document_that_is_two_things_is_refused() {
    let (writer, repository) = with_config();
    for (media_type, field, value) in [
        (MANIFEST_TYPE, "manifests", json!([])),
        (MANIFEST_TYPE, "manifests", json!([empty_config()])),
        (INDEX_TYPE, "layers", json!([])),
        (INDEX_TYPE, "config", empty_config()),
    ] {
        let mut document = if media_type == MANIFEST_TYPE {
            small_manifest()
        } else {
            json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] })
        };
        document[field] = value;
        check_refused(&writer, &repository, media_type, document.to_string().as_bytes());
        document.as_object_mut().unwrap().remove("mediaType");
        check_refused(&writer, &repository, media_type, document.to_string().as_bytes());
    }
    // Fields that stand twice, or differ in letter case alone: some parsers take the last, some the first.
    let config = empty_config();
    for text in [
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"layers\":[]}}"),
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"Layers\":[]}}"),
        format!("{{\"schemaVersion\":2,\"config\":{config},\"layers\":[],\"MANIFESTS\":[]}}"),
    ] {
        check_refused(&writer, &repository, MANIFEST_TYPE, text.as_bytes());
    }
}

#[test]
fn what_is_no_manifest_is_refused() {
    let (writer, repository) = with_config();
    let with = |field: &str, value: Value| {
        let mut manifest = small_manifest();
        manifest[field] = value;
        manifest.to_string().into_bytes()
    };
    let mut config = empty_config();
    config["size"] = (-2).into();
    let mut without_layers = small_manifest();
    without_layers.as_object_mut().unwrap().remove("layers");
    for body in [
        Vec::new(),
        b"not json".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"{\"schemaVersion\":2}{}".to_vec(),
        [b"\xef\xbb\xbf".as_slice(), small_manifest().to_string().as_bytes()].concat(),
        small_manifest().to_string().into_bytes()[..40].to_vec(),
        b"{\"schemaVersion\":2,\"annotations\":{\"a\":\"\xff\"}}".to_vec(),
        with("schemaVersion", json!(3)),
        with("schemaVersion", json!("2")),
        with("config", json!(null)),
        with("config", json!([])),
        with("config", config),
        with("layers", json!({})),
        with("layers", json!([{ "mediaType": LAYER_TYPE, "size": 2 }])),
        with("layers", json!([{ "mediaType": LAYER_TYPE, "digest": "sha256:bad", "size": 2 }])),
        with("layers", json!([{ "digest": sha256(b"{}"), "size": 2 }])),
        with("annotations", json!({ "a": 1 })),
        with("artifactType", json!(7)),
        with("subject", json!({ "mediaType": MANIFEST_TYPE, "digest": "sha256:bad", "size": 2 })),
        without_layers.to_string().into_bytes(),
    ] {
        check_refused(&writer, &repository, MANIFEST_TYPE, &body);
    }
}

#[test]
fn schema_1_is_refused_with_what_to_do_about_it() {
    let (writer, repository) = with_config();
    let body =
        json!({ "schemaVersion": 1, "name": "app", "tag": "1", "fsLayers": [], "history": [] }).to_string();
    for media_type in [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/json",
    ] {
        let message = check_refused(&writer, &repository, media_type, body.as_bytes());
        assert!(message.contains("schema 1") && message.contains("skopeo"), "{message}");
    }
}

#[test]
fn i1_the_digest_of_a_push_has_to_be_that_of_the_bytes() {
    let (writer, repository) = with_config();
    let bytes = small_manifest().to_string().into_bytes();
    let wrong = sha256(b"other");
    let message =
        expect_error(writer.manifest_put(&repository, &wrong, MANIFEST_TYPE, &bytes), 400, "DIGEST_INVALID");
    assert!(message.contains(&sha256(&bytes)), "{message}");
    get(&writer, &repository, &wrong).expect(&[404]);
    get(&writer, &repository, &sha256(&bytes)).expect(&[404]);
    // Never a tag of this name, whatever the bytes are.
    let answer = writer.manifest_put(&repository, "sha256:baddigeststring", MANIFEST_TYPE, &bytes);
    expect_error(answer, 400, "DIGEST_INVALID");
    expect_error(get(&writer, &repository, "sha256:baddigeststring"), 400, "DIGEST_INVALID");
}

#[test]
fn a_tag_moves_and_what_it_pointed_to_stays() {
    let (writer, repository) = with_config();
    let (one, other) = (small_manifest(), small_manifest());
    check_taken(&writer, &repository, MANIFEST_TYPE, &one);
    check_taken(&writer, &repository, MANIFEST_TYPE, &other);
    let one = one.to_string();
    assert_eq!(get(&writer, &repository, &sha256(one.as_bytes())).expect(&[200]).body, one.as_bytes());
}

#[test]
fn tags_are_told_apart_by_letter_case() {
    let (writer, repository) = with_config();
    let lower = writer.image_push(&repository, "latest", &small_manifest());
    let upper = writer.image_push(&repository, "LATEST", &small_manifest());
    assert_eq!(get(&writer, &repository, "latest").expect(&[200]).body, lower.bytes);
    assert_eq!(get(&writer, &repository, "LATEST").expect(&[200]).body, upper.bytes);
    for tag in ["_", "0", "a.b-c_d", &"t".repeat(128)] {
        writer.image_push(&repository, tag, &small_manifest());
        get(&writer, &repository, tag).expect(&[200]);
    }
}

#[test]
fn tags_in_the_query_of_a_push_by_digest() {
    let (writer, repository) = with_config();
    let bytes = small_manifest().to_string().into_bytes();
    let digest = sha256(&bytes);
    let push = |query: &str| {
        let reference = format!("{digest}?{query}");
        writer.manifest_put(&repository, &reference, MANIFEST_TYPE, &bytes)
    };
    let set = |answer: Answer| -> Vec<String> {
        let answer = answer.expect(&[201]);
        assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
        answer.headers.get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(set(push("tag=a&tag=b.c&tag=a")), ["a", "b.c"]);
    let many: Vec<String> = (0..32).map(|number| format!("tag=t{number}")).collect();
    assert_eq!(set(push(&many.join("&"))).len(), 32);
    for tag in ["a", "b.c", "t0", "t31"] {
        assert_eq!(get(&writer, &repository, tag).expect(&[200]).body, bytes, "{tag}");
    }
    // One that is no tag, and nothing is set at all.
    expect_error(push("tag=fresh&tag=-bad"), 400, "MANIFEST_INVALID");
    expect_error(push(&format!("tag=fresh&{}", many.join("&"))), 414, "MANIFEST_INVALID");
    get(&writer, &repository, "fresh").expect(&[404]);
    // Beside a tag it is a parameter that nobody knows.
    let answer = writer.manifest_put(&repository, "1?tag=fresh", MANIFEST_TYPE, &bytes).expect(&[201]);
    assert_eq!(answer.header("oci-tag"), None, "{answer}");
    get(&writer, &repository, "fresh").expect(&[404]);
}

#[test]
fn i2_a_manifest_that_does_not_come_whole_is_not_stored() {
    let (writer, repository) = with_config();
    let bytes = small_manifest().to_string().into_bytes();
    let request = writer.request(testkit::Method::GET, "/").build().unwrap();
    let authorization = request.headers()["authorization"].to_str().unwrap().to_owned();
    let head = format!(
        "PUT /v2/{repository}/manifests/1 HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\n\
         Content-Type: {MANIFEST_TYPE}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        server().host(),
        bytes.len()
    );
    let mut stream = crate::scene::connect(server());
    std::io::Write::write_all(&mut stream, &[head.as_bytes(), &bytes[..bytes.len() - 1]].concat()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
    assert!(!answer.contains(" 201 "), "{answer}");
    get(&writer, &repository, "1").expect(&[404]);
    get(&writer, &repository, &sha256(&bytes)).expect(&[404]);
    // The same request with its last byte goes through.
    let answer = raw(server(), &[head.as_bytes(), &bytes].concat());
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}
