//! Lists of tags.

use serde_json::json;
use testkit::{Answer, Api, sha256};

use crate::scene::{Calls as _, MANIFEST_TYPE, expect_error, small_manifest, writer_and_repository};

/// A repository with these tags, pushed in this order.
fn tagged(tags: &[&str]) -> (Api, String) {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"{}");
    let bytes = small_manifest().to_string().into_bytes();
    for tag in tags {
        writer.manifest_put(&repository, tag, MANIFEST_TYPE, &bytes).expect(&[201]);
    }
    (writer, repository)
}

#[track_caller]
fn list(writer: &Api, repository: &str, query: &str) -> Answer {
    let answer = writer.ask("GET", &format!("/v2/{repository}/tags/list{query}")).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    assert_eq!(answer.json()["name"], repository);
    answer
}

#[track_caller]
fn tags(answer: &Answer) -> Vec<String> {
    let listing = answer.json();
    let tags = listing["tags"].as_array().unwrap_or_else(|| panic!("`tags` is no list: {answer}"));
    tags.iter().map(|tag| tag.as_str().expect("a tag is text").to_owned()).collect()
}

/// The address of the next page, read as the strictest client reads it.
pub(super) fn next(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let url = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""));
    Some(url.unwrap_or_else(|| panic!("a link of another form: {answer}")).to_owned())
}

#[test]
fn tags_come_in_the_order_of_their_bytes() {
    let (writer, repository) = tagged(&["b", "a", "_", "Z", "0", "a.b", "a-b", "a_b", "B"]);
    let answer = list(&writer, &repository, "");
    assert_eq!(tags(&answer), ["0", "B", "Z", "_", "a", "a-b", "a.b", "a_b", "b"]);
    assert_eq!(answer.header("link"), None, "{answer}");
}

#[test]
fn a_page_and_where_it_begins() {
    let (writer, repository) = tagged(&["a", "b", "c", "d"]);
    for (query, expected, goes_on) in [
        ("?n=2", &["a", "b"][..], true),
        ("?n=2&last=b", &["c", "d"], false),
        ("?n=4", &["a", "b", "c", "d"], false),
        ("?n=100", &["a", "b", "c", "d"], false),
        ("?n=99999999999999999999999", &["a", "b", "c", "d"], false),
        ("?n=1&last=c", &["d"], false),
        ("?n=1&last=b", &["c"], true),
        ("?last=b", &["c", "d"], false),
        // Where a page begins need not be a tag, nor a possible one.
        ("?last=bb", &["c", "d"], false),
        ("?n=1&last=%20", &["a"], true),
        ("?last=d", &[], false),
        ("?last=zzz", &[], false),
        ("?n=0", &[], false),
        ("?n=0&last=a", &[], false),
        ("?n=2&unknown=1", &["a", "b"], true),
    ] {
        let answer = list(&writer, &repository, query);
        assert_eq!(tags(&answer), expected, "{query}");
        assert_eq!(next(&answer).is_some(), goes_on, "{query}: {answer}");
    }
    let first = list(&writer, &repository, "?n=2");
    assert_eq!(next(&first), Some(format!("/v2/{repository}/tags/list?n=2&last=b")));
    for query in ["?n=-1", "?n=two", "?n=1.5", "?n=%2B1"] {
        let answer = writer.ask("GET", &format!("/v2/{repository}/tags/list{query}"));
        expect_error(answer, 400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn a_repository_without_tags_has_an_empty_list() {
    let (writer, repository) = tagged(&["1"]);
    writer.ask("DELETE", &format!("/v2/{repository}/manifests/1")).expect(&[202]);
    let answer = list(&writer, &repository, "");
    assert_eq!(answer.json(), json!({ "name": repository, "tags": [] }));
}

#[test]
fn a_repository_that_nobody_pushed_to_has_no_list() {
    let (writer, repository) = writer_and_repository();
    let path = format!("/v2/{repository}/tags/list");
    let message = expect_error(writer.ask("GET", &path), 404, "NAME_UNKNOWN");
    assert!(message.contains(&repository), "{message}");
    let bytes = small_manifest().to_string();
    writer.blob_push(&repository, b"{}");
    writer
        .manifest_put(&repository, &sha256(bytes.as_bytes()), MANIFEST_TYPE, bytes.as_bytes())
        .expect(&[201]);
    assert_eq!(tags(&list(&writer, &repository, "")), Vec::<String>::new());
}

#[test]
fn pages_are_complete_while_others_push() {
    let names: Vec<String> = (0..60).map(|number| format!("stable-{number:02}")).collect();
    let (writer, repository) = tagged(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let bytes = small_manifest().to_string().into_bytes();
    let read_all = || {
        let (mut found, mut page) = (Vec::new(), list(&writer, &repository, "?n=7"));
        loop {
            let tags = tags(&page);
            assert!(tags.len() == 7 || next(&page).is_none(), "a short page that goes on: {page}");
            found.extend(tags);
            let Some(path) = next(&page) else { return found };
            page = writer.ask("GET", &path).expect(&[200]);
        }
    };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            for _ in 0..3 {
                let found = read_all();
                assert!(found.is_sorted_by(|one, other| one < other), "out of order or twice: {found:?}");
                let stable = found.iter().filter(|tag| names.contains(tag)).count();
                assert_eq!(stable, names.len(), "tags that were there all the time are missing");
            }
        });
        for number in 0.. {
            if reader.is_finished() {
                break;
            }
            // Before, between and behind the others.
            let tag = format!("{}-{number}", ["a", "stable-30", "z"][number % 3]);
            writer.manifest_put(&repository, &tag, MANIFEST_TYPE, &bytes).expect(&[201]);
        }
        reader.join().expect("every page was right");
    });
}
