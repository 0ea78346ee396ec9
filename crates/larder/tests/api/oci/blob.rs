//! Pulling blobs: whole, in ranges, and only when changed.

use testkit::{Answer, Api, random_bytes, sha256};

use crate::scene::{Calls as _, MANIFEST_TYPE, expect_error, small_manifest, writer_and_repository};

/// A blob of `length` bytes: who pushed it, its bytes, its path and its digest.
struct Blob {
    writer: Api,
    bytes: Vec<u8>,
    path: String,
    digest: String,
}

impl Blob {
    fn new(length: usize) -> Self {
        let (writer, repository) = writer_and_repository();
        let bytes = random_bytes(length);
        let digest = writer.blob_push(&repository, &bytes);
        Self { writer, bytes, path: format!("/v2/{repository}/blobs/{digest}"), digest }
    }

    #[track_caller]
    fn get(&self, headers: &[(&str, &str)]) -> Answer {
        self.writer.call("GET", &self.path, headers, "")
    }
}

/// The header fields that differ between two answers to the same request.
const PASSING: [&str; 2] = ["date", "x-request-id"];

#[test]
fn a_blob_comes_with_everything_that_clients_look_at() {
    let blob = Blob::new(5000);
    let answer = blob.get(&[]).expect(&[200]);
    assert_eq!(answer.body, blob.bytes);
    for (name, value) in [
        ("content-length", "5000"),
        ("docker-content-digest", &blob.digest),
        ("content-type", "application/octet-stream"),
        ("accept-ranges", "bytes"),
        ("etag", &format!("\"{}\"", blob.digest)),
        ("docker-distribution-api-version", "registry/2.0"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}: {answer}");
    }
    assert!(
        answer.header("cache-control").is_some_and(|value| value.contains("max-age=31536000")),
        "{answer}"
    );

    let mut head = blob.writer.ask("HEAD", &blob.path).expect(&[200]);
    let mut get = answer;
    for name in PASSING {
        head.headers.remove(name);
        get.headers.remove(name);
    }
    assert_eq!(head.headers, get.headers);
    assert!(head.body.is_empty());
}

#[test]
fn ranges_of_2048_bytes() {
    let blob = Blob::new(2048);
    for (range, first, last) in [
        ("bytes=500-1499", 500, 1499),
        ("bytes=500-", 500, 2047),
        ("bytes=-500", 1548, 2047),
        ("bytes=-5000", 0, 2047),
        ("bytes=2000-5000", 2000, 2047),
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, 2047),
        ("bytes=2047-2047", 2047, 2047),
    ] {
        let answer = blob.get(&[("range", range)]).expect(&[206]);
        assert_eq!(answer.body, blob.bytes[first..=last], "{range}");
        assert_eq!(
            answer.header("content-length"),
            Some((last - first + 1).to_string().as_str()),
            "{answer}"
        );
        let content_range = format!("bytes {first}-{last}/2048");
        assert_eq!(answer.header("content-range"), Some(content_range.as_str()), "{answer}");
        assert_eq!(answer.header("docker-content-digest"), Some(blob.digest.as_str()), "{answer}");
        assert_eq!(answer.header("accept-ranges"), Some("bytes"), "{answer}");
    }
    for range in ["bytes=500-0", "bytes=5000-10000", "bytes=2048-", "bytes=-0"] {
        let answer = blob.get(&[("range", range)]);
        assert_eq!(answer.header("content-range"), Some("bytes */2048"), "{range}: {answer}");
        expect_error(answer, 416, "SIZE_INVALID");
    }
    // RFC 9110 §14.2: a range that cannot be read is passed over; several at once may be.
    for range in ["bytes=", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "0-1"] {
        let answer = blob.get(&[("range", range)]).expect(&[200]);
        assert_eq!(answer.body, blob.bytes, "{range}");
        assert_eq!(answer.header("content-range"), None, "{answer}");
    }
}

#[test]
fn head_passes_over_a_range() {
    let blob = Blob::new(2048);
    let answer = blob.writer.call("HEAD", &blob.path, &[("range", "bytes=0-9")], "").expect(&[200]);
    assert_eq!(answer.header("content-length"), Some("2048"), "{answer}");
}

#[test]
fn a_range_under_if_range_counts_only_for_the_same_content() {
    let blob = Blob::new(2048);
    let get = |tag: &str| blob.get(&[("range", "bytes=0-9"), ("if-range", tag)]);
    assert_eq!(get(&format!("\"{}\"", blob.digest)).expect(&[206]).body, blob.bytes[..10]);
    // RFC 9110 §13.1.5 compares strongly: a weak tag never matches.
    for other in [
        format!("\"{}\"", sha256(b"other")),
        format!("W/\"{}\"", blob.digest),
        "Wed, 21 Oct 2015 07:28:00 GMT".to_owned(),
    ] {
        assert_eq!(get(&other).expect(&[200]).body, blob.bytes, "{other}");
    }
}

#[test]
fn unchanged_content_is_not_sent_again() {
    let blob = Blob::new(100);
    let other = sha256(b"other");
    for tag in [
        format!("\"{}\"", blob.digest),
        blob.digest.clone(),
        format!("W/\"{}\"", blob.digest),
        format!("\"{other}\", \"{}\"", blob.digest),
        "*".to_owned(),
    ] {
        let headers = [("if-none-match", tag.as_str()), ("range", "bytes=0-9")];
        let answer = blob.get(&headers).expect(&[304]);
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), Some(format!("\"{}\"", blob.digest).as_str()), "{answer}");
        assert_eq!(answer.header("docker-content-digest"), Some(blob.digest.as_str()), "{answer}");
        blob.writer.call("HEAD", &blob.path, &headers, "").expect(&[304]);
    }
    let tag = format!("\"{other}\"");
    assert_eq!(blob.get(&[("if-none-match", &tag)]).expect(&[200]).body, blob.bytes);
    // Whether something is unchanged is asked only of what is there.
    let absent = blob.path.replace(&blob.digest, &other);
    blob.writer.call("GET", &absent, &[("if-none-match", "*")], "").expect(&[404]);
}

/// Go's client drops the length of what comes compressed, and tools that need it fail.
#[test]
fn nothing_is_ever_compressed() {
    let (writer, repository) = writer_and_repository();
    let text = "compress me, ".repeat(1000);
    let digest = writer.blob_push(&repository, text.as_bytes());
    let pushed = writer.image_push(&repository, "1", &small_manifest());
    for rest in [
        format!("blobs/{digest}"),
        "manifests/1".to_owned(),
        "tags/list".to_owned(),
        format!("referrers/{}", pushed.digest),
    ] {
        for accepted in ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"] {
            let path = format!("/v2/{repository}/{rest}");
            let answer = writer.call("GET", &path, &[("accept-encoding", accepted)], "").expect(&[200]);
            assert_eq!(answer.header("content-encoding"), None, "{answer}");
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("content-length"), Some(length.as_str()), "{answer}");
        }
    }
}

#[test]
fn a_large_blob_comes_whole_and_in_every_range() {
    let blob = Blob::new(3 * 1024 * 1024 + 17);
    assert_eq!(sha256(&blob.get(&[]).expect(&[200]).body), blob.digest);
    let answer = blob.get(&[("range", "bytes=1048000-3100000")]).expect(&[206]);
    assert!(answer.body == blob.bytes[1_048_000..=3_100_000], "the range holds other bytes");
}

#[test]
fn the_empty_blob_is_a_blob() {
    let (writer, repository) = writer_and_repository();
    let digest = writer.blob_push(&repository, b"");
    assert_eq!(digest, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    let path = format!("/v2/{repository}/blobs/{digest}");
    for method in ["GET", "HEAD"] {
        let answer = writer.ask(method, &path).expect(&[200]);
        assert_eq!(answer.header("content-length"), Some("0"), "{answer}");
        assert!(answer.body.is_empty());
    }
    writer.call("GET", &path, &[("range", "bytes=0-")], "").expect(&[200]);
    writer.call("GET", &path, &[("range", "bytes=1-")], "").expect(&[416]);
}

#[test]
fn the_hint_of_a_proxy_changes_nothing() {
    let blob = Blob::new(10);
    let path = format!("{}?ns=docker.io&what=ever", blob.path);
    assert_eq!(blob.writer.ask("GET", &path).expect(&[200]).body, blob.bytes);
}

#[test]
fn blobs_and_manifests_are_two_things() {
    let (writer, repository) = writer_and_repository();
    let pushed = writer.image_push(&repository, "1", &small_manifest());
    let blob = format!("/v2/{repository}/blobs/{}", pushed.digest);
    expect_error(writer.ask("GET", &blob), 404, "BLOB_UNKNOWN");
    let config = format!("/v2/{repository}/manifests/{}", sha256(b"{}"));
    expect_error(writer.ask("GET", &config), 404, "MANIFEST_UNKNOWN");
    // The same bytes can be both, and each goes its own way.
    writer.blob_push(&repository, &pushed.bytes);
    let answer = writer.ask("GET", &blob).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some("application/octet-stream"), "{answer}");
    writer.ask("DELETE", &blob).expect(&[202]);
    let answer = writer.ask("GET", &format!("/v2/{repository}/manifests/1")).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some(MANIFEST_TYPE), "{answer}");
}
