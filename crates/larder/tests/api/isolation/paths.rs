//! Paths that try to mean something else than they say.

use testkit::{Server, random_word};

use super::Victim;
use crate::scene::{Calls as _, raw_with_token, server};

/// The status of an answer that came as bytes, and the rest.
#[track_caller]
fn status(answer: &str) -> u16 {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

/// A personal token of somebody who may read the victim's repository.
fn token(victim: &Victim) -> String {
    victim.writer.token_create("raw")["token"].as_str().expect("a token is text").to_owned()
}

#[test]
fn t25_a_path_is_decoded_once_and_never_climbs() {
    let victim = Victim::new();
    let token = token(&victim);
    let (name, digest, tag) = (&victim.repository, &victim.layer_digest, &victim.tag);
    let (organization, rest) = name.split_once('/').expect("a name has parts");
    let ask = |path: &str| raw_with_token(server(), &format!("GET {path} HTTP/1.1"), &token);
    assert_eq!(status(&ask(&format!("/v2/{name}/manifests/{tag}"))), 200);
    assert_eq!(status(&ask(&format!("/v2/{name}/blobs/{digest}"))), 200);
    // An escape that stands for a plain character is that character.
    assert_eq!(status(&ask(&format!("/v2/{name}/blobs/{}", digest.replace(':', "%3A")))), 200);
    let paths = [
        format!("/v2/{organization}%2f{rest}/manifests/{tag}"),
        format!("/v2/{organization}%2F{rest}/manifests/{tag}"),
        format!("/v2/{organization}%252f{rest}/manifests/{tag}"),
        format!("/v2/{name}%2fmanifests%2f{tag}"),
        format!("/v2/{name}/other/../manifests/{tag}"),
        format!("/v2/{name}/other/%2e%2e/manifests/{tag}"),
        format!("/v2/{name}/other/.%2e/manifests/{tag}"),
        format!("/v2/{name}/./manifests/{tag}"),
        format!("/v2/{name}/%2e/manifests/{tag}"),
        format!("/v2/../v2/{name}/manifests/{tag}"),
        format!("/v2//{name}/manifests/{tag}"),
        format!("/v2/{name}//manifests/{tag}"),
        format!("/v2/{name}/manifests//{tag}"),
        format!("/v2/{name}/manifests/{tag}/"),
        format!("/v2/{name}/manifests/{tag}%00"),
        format!("/v2/{name}%00/manifests/{tag}"),
        format!("/v2/{name}/manifests/{tag}%0d%0aX-Injected:%20yes"),
        format!("/v2/{organization}\\{rest}/manifests/{tag}"),
        format!("/v2/{organization}%5c{rest}/manifests/{tag}"),
        format!("/v2/{organization}%c0%af{rest}/manifests/{tag}"),
        format!("/v2/{organization}%e0%80%af{rest}/manifests/{tag}"),
        format!("/v2/{organization}/%ff%fe/x/manifests/{tag}"),
        format!("/v2/{}/manifests/{tag}", name.to_uppercase()),
        format!("/v2/{}/manifests/{tag}", name.replace('o', "%ce%bf")),
        format!("/v2/{}/manifests/{tag}", name.replace('o', "%ef%bd%8f")),
        format!("/V2/{name}/manifests/{tag}"),
        format!("/v2/{name}/manifests/../../../../../../etc/passwd"),
        format!("/v2/{name}/manifests/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        format!("/v2/{name}/blobs/..%2f..%2flarder.db"),
        format!("/v2/{name}/blobs/sha256:..%2f..%2f..%2flarder.db"),
        format!("/v2/{name}/blobs/uploads/..%2f..%2flarder.db"),
        format!("/v2/{name}/blobs/uploads/../../../../larder.db"),
        format!("/{name}/manifests/{tag}"),
        "/v2/../../../../etc/passwd".to_owned(),
        "/../../../../etc/passwd".to_owned(),
        "/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/api/v1/../../v2/_catalog".to_owned(),
        "/api/v1/organizations/%2e%2e%2f%2e%2e".to_owned(),
        format!("/api/v1/organizations/{organization}%2fregistries"),
        format!("/api/v1/organizations/{organization}%00"),
    ];
    for path in &paths {
        let answer = ask(path);
        assert!([400, 404, 405].contains(&status(&answer)), "{path}: {answer}");
        for leak in ["root:", "SQLite", "X-Injected: yes", "schemaVersion", "\"repositories\""] {
            assert!(!answer.contains(leak), "{path} gives {leak}: {answer}");
        }
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert!(
            body.contains("\"errors\"") || body.contains("\"code\""),
            "an error without a body: {path}: {answer}"
        );
        let control = |character: char| character.is_control() && !"\r\n".contains(character);
        assert!(!answer.contains(control), "control characters come back: {path}: {answer:?}");
    }
    victim.is_untouched();
}

#[test]
fn t25_writing_through_such_a_path_makes_nothing() {
    let victim = Victim::new();
    let token = token(&victim);
    let name = &victim.repository;
    let before = files(server());
    for path in [
        format!("/v2/{name}/../../../escape/blobs/uploads/"),
        format!("/v2/{name}/%2e%2e/escape/blobs/uploads/"),
        format!("/v2/{name}%2f..%2fescape/blobs/uploads/"),
        format!("/v2/{name}%00/blobs/uploads/"),
        format!("/v2/{name}//blobs/uploads/"),
    ] {
        let answer = raw_with_token(server(), &format!("POST {path} HTTP/1.1\r\nContent-Length: 0"), &token);
        assert!([400, 404].contains(&status(&answer)), "{path}: {answer}");
    }
    let mut escaped: Vec<_> = files(server());
    escaped.retain(|name| !before.contains(name));
    assert!(escaped.is_empty(), "new names in the data directory: {escaped:?}");
}

/// The names at the top of the data directory, and beside it.
fn files(server: &Server) -> Vec<String> {
    let data = server.data_directory();
    let above = data.parent().expect("the data directory lies in a directory").to_owned();
    [data, above]
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).expect("the directory is there"))
        .map(|entry| entry.expect("an entry can be read").file_name().to_string_lossy().into_owned())
        // The database's companions come and go.
        .filter(|name| !name.starts_with("larder.db"))
        .collect()
}

#[test]
fn t25_requests_that_are_no_http_end_in_an_error() {
    let name = random_word();
    for request in [
        format!("GET /v2/{name} HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n"),
        format!("GET /v2/{name}\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET /v2/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"),
        format!("POST /v2/{name} HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"),
        format!("POST /v2/{name} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: nonsense\r\n\r\n"),
        format!("GET /v2/{name} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET /v2/{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 20)),
        "\u{16}\u{3}\u{1}\0\u{1}\r\n\r\n".to_owned(),
    ] {
        let answer = crate::scene::raw(server(), request.as_bytes());
        let start: String = request.chars().take(60).collect();
        assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "{start:?}: {answer}");
    }
    crate::scene::admin().ask("GET", "/healthz").expect(&[200]);
}
