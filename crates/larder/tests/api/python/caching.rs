//! What clients keep of pages, and how they ask whether it still holds (RFC 9110 §13, RFC 9111).

use serde_json::{Value, json};
use testkit::python::{Upload, Wheel};
use testkit::{Answer, Visibility};

use super::scene::{Index, project, wheel};
use crate::scene::{Calls as _, own_server};

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const HTML_V1: &str = "application/vnd.pypi.simple.v1+html";
const HTML: &str = "text/html";

#[track_caller]
fn get(index: &Index, path: &str, accept: &str) -> Answer {
    index.writer.call("GET", &index.path(path), &[("accept", accept)], "").expect(&[200])
}

/// The tag of a page, as a client sends it back.
#[track_caller]
fn tag(index: &Index, path: &str, accept: &str) -> String {
    let answer = get(index, path, accept);
    let tag = answer.header("etag").unwrap_or_else(|| panic!("a page without a tag: {answer}")).to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{answer}");
    tag
}

/// The header fields of an answer without those of the single exchange.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let mut fields: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id", "connection"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    fields.sort();
    fields
}

#[test]
fn i10_a_page_that_has_not_changed_is_not_sent_again() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    for path in ["/simple/".to_owned(), format!("/simple/{}/", file.name)] {
        for accept in [JSON, HTML_V1, HTML] {
            let tag = tag(&index, &path, accept);
            let again = |value: &str, accept: &str| {
                let headers = [("accept", accept), ("if-none-match", value)];
                index.writer.call("GET", &index.path(&path), &headers, "")
            };
            let weak = format!("W/{tag}");
            for value in
                [&tag, &weak, &format!("\"other\", {tag}"), &format!("{tag},W/\"x\""), &"*".to_owned()]
            {
                let answer = again(value, accept).expect(&[304]);
                assert!(answer.body.is_empty(), "{answer}");
                assert_eq!(answer.header("etag"), Some(tag.as_str()), "{answer}");
                assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{answer}");
                assert!(answer.header("vary").is_some_and(|vary| vary.contains("Accept")), "{answer}");
                assert_eq!(answer.header("content-type"), None, "{answer}");
            }
            for value in ["\"other\"", "W/\"\"", "nonsense", ""] {
                again(value, accept).expect(&[200]);
            }
        }
        // The forms are different things.
        let tags = [JSON, HTML_V1, HTML].map(|accept| tag(&index, &path, accept));
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
    }
}

#[test]
fn i10_head_is_get_without_the_body() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    let at = index.writer.python_path(&index.organization().name, "main", &file.name, &file.filename);
    for path in [
        index.path("/simple/"),
        index.path("/+simple/"),
        index.path(&format!("/simple/{}/", file.name)),
        index.path("/simple/No.Such/"),
        index.path("/simple/no-such/"),
        at.clone(),
        format!("{at}.metadata"),
        index.path(""),
    ] {
        for accept in [JSON, HTML, "application/json"] {
            let get = index.writer.call("GET", &path, &[("accept", accept)], "");
            let head = index.writer.call("HEAD", &path, &[("accept", accept)], "");
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(lasting(&head), lasting(&get), "{path}");
            assert!(head.body.is_empty(), "{head}");
            let Some(tag) = get.header("etag") else { continue };
            let headers = [("accept", accept), ("if-none-match", tag)];
            let unchanged = index.writer.call("HEAD", &path, &headers, "").expect(&[304]);
            assert_eq!(
                lasting(&unchanged),
                lasting(&index.writer.call("GET", &path, &headers, "")),
                "{path}"
            );
        }
    }
    index.writer.as_nobody().ask("HEAD", &index.path("/simple/")).expect(&[401]);
}

/// Installers keep pages, and one that is kept for a while hides a release.
#[test]
fn a_page_is_asked_for_each_time() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    for accept in [JSON, HTML] {
        for path in ["/simple/".to_owned(), format!("/simple/{}/", file.name)] {
            let answer = get(&index, &path, accept);
            assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{answer}");
            assert_eq!(answer.header("expires"), None, "{answer}");
            assert_eq!(answer.header("x-pypi-last-serial"), None, "{answer}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{answer}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
            let policy = answer.header("content-security-policy");
            assert_eq!(policy.is_some(), accept == HTML, "{answer}");
        }
    }
}

#[test]
fn a_tag_changes_with_what_the_page_shows_and_with_nothing_else() {
    let index = Index::new();
    let name = project();
    let path = format!("/simple/{name}/");
    let first = Wheel::new(&name, "1.0").build();
    index.takes(&first);
    let mut seen = vec![tag(&index, &path, JSON)];
    let mut changed = |what: &str| {
        let now = tag(&index, &path, JSON);
        assert!(!seen.contains(&now), "{what} does not show in the tag {now} of {seen:?}");
        seen.push(now);
    };
    index.takes(&Wheel::new(&name, "2.0").build());
    changed("another file");
    let file = format!("/projects/{name}/files/{}", first.filename);
    let release = format!("/projects/{name}/releases/2.0");
    for (what, path, body) in [
        ("a yanked file", &file, json!({ "yanked": true })),
        ("a reason", &file, json!({ "yanked": true, "reason": "broken" })),
        ("no yank", &file, json!({ "yanked": false })),
        ("a yanked release", &release, json!({ "yanked": true })),
        ("a status", &format!("/projects/{name}"), json!({ "status": "archived" })),
        ("the status before", &format!("/projects/{name}"), json!({ "status": "active" })),
    ] {
        index.manage("PATCH", path, &body).expect(&[200]);
        changed(what);
    }
    index.manage("DELETE", &file, &Value::Null).expect(&[204]);
    changed("a deleted file");
    index.manage("POST", &format!("{file}/restore"), &Value::Null).expect(&[200]);
    changed("a restored file");
    index.organization().admin().registry_update(&index.organization().name, "main", Visibility::Public);
    changed("another audience");
    // The same file once more, and reading, change nothing.
    let before = tag(&index, &path, JSON);
    index.takes(&first);
    index.send(&Upload::new(&first).field("summary", "other words")).expect(&[200]);
    get(&index, &path, HTML);
    index.takes(&wheel().build());
    assert_eq!(tag(&index, &path, JSON), before);
}

#[test]
fn the_tag_of_the_list_changes_when_a_project_joins() {
    let (index, file) = (Index::new(), wheel().build());
    let empty = tag(&index, "/simple/", JSON);
    index.takes(&file);
    let one = tag(&index, "/simple/", JSON);
    assert_ne!(empty, one);
    index.takes(&Wheel::new(&file.name, "2.0").build());
    assert_eq!(tag(&index, "/simple/", JSON), one);
    index.takes(&wheel().build());
    assert_ne!(tag(&index, "/simple/", JSON), one);
}

/// A tag means one page: after a restart, and where the server is said to be elsewhere.
#[test]
fn a_tag_survives_a_restart_and_not_another_address() {
    let mut server = own_server(&[]);
    let index = Index::on(&server);
    let file = wheel().build();
    index.takes(&file);
    let path = format!("/simple/{}/", file.name);
    let before = tag(&index, &path, JSON);
    server.restart();
    assert_eq!(tag(&index, &path, JSON), before);
    let directory = server.data_directory();
    server.stop();
    let moved = testkit::Server::start(
        crate::scene::options()
            .data_directory(directory)
            .env("LARDER_SERVER__PUBLIC_URL", "https://packages.example.org"),
    );
    let writer = testkit::Api::new(moved.url(), index.writer.username(), index.writer.password());
    let answer = writer.call("GET", &index.path(&path), &[("accept", JSON)], "").expect(&[200]);
    assert_ne!(answer.header("etag"), Some(before.as_str()), "{answer}");
    let headers = [("accept", JSON), ("if-none-match", before.as_str())];
    writer.call("GET", &index.path(&path), &headers, "").expect(&[200]);
}

#[test]
fn what_a_public_registry_shows_may_be_kept_by_everybody() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    let organization = index.organization();
    organization.admin().registry_update(&organization.name, "main", Visibility::Public);
    let nobody = index.writer.as_nobody();
    let at = index.writer.python_path(&organization.name, "main", &file.name, &file.filename);
    for (path, kept) in [
        (index.path("/simple/"), "public, no-cache"),
        (index.path(&format!("/simple/{}/", file.name)), "public, no-cache"),
        (at.clone(), "public, max-age=31536000, immutable"),
        (format!("{at}.metadata"), "public, max-age=31536000, immutable"),
    ] {
        for caller in [&nobody, &index.writer] {
            let answer =
                caller.call("GET", &path, &[("accept", JSON), ("origin", "https://example.org")], "");
            let answer =
                if path.contains("/files/") { caller.ask("GET", &path) } else { answer }.expect(&[200]);
            assert_eq!(answer.header("cache-control"), Some(kept), "{answer}");
        }
    }
    let answer = nobody.call("GET", &index.path("/simple/"), &[("accept", JSON)], "").expect(&[200]);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer}");
}
