//! In which of its three forms a page comes (simple repository API, "Version and format selection"; RFC 9110
//! §12.5.1).

use std::sync::OnceLock;

use testkit::{Answer, Method, Role};

use super::scene::{Index, wheel};
use crate::scene::Calls as _;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const HTML_V1: &str = "application/vnd.pypi.simple.v1+html";
const HTML: &str = "text/html";

/// What a browser sends.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
const PIP: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
const UV: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01";

/// One index with one project for all tests here, none of which changes anything.
fn pages() -> &'static (Index, [String; 2]) {
    static PAGES: OnceLock<(Index, [String; 2])> = OnceLock::new();
    PAGES.get_or_init(|| {
        let (index, file) = (Index::new(), wheel().build());
        index.takes(&file);
        let paths = [index.path("/simple/"), index.path(&format!("/simple/{}/", file.name))];
        (index, paths)
    })
}

/// Both kinds of pages with these header fields and this query.
#[track_caller]
fn ask(headers: &[(&str, &str)], query: &str) -> [Answer; 2] {
    let (index, paths) = pages();
    paths.each_ref().map(|path| index.writer.call("GET", &format!("{path}{query}"), headers, ""))
}

/// Asserts that both kinds of pages come in this form.
#[track_caller]
fn is(answers: [Answer; 2], expected: &str) {
    for answer in answers {
        let answer = answer.expect(&[200]);
        assert_eq!(answer.header("content-type"), Some(expected), "{answer}");
        let vary = answer.header("vary").unwrap_or_default();
        assert!(vary.split(", ").any(|name| name == "Accept"), "{answer}");
        // Some clients keep the request's fields that are named there in a file.
        assert!(!vary.to_lowercase().contains("authorization"), "{answer}");
        let begins: &[u8] =
            if expected == JSON { b"{\"meta\":{\"api-version\":\"1.4\"}," } else { b"<!DOCTYPE html>" };
        assert!(answer.body.starts_with(begins), "{answer}");
    }
}

/// Asserts that both kinds of pages are refused with the names of all three forms.
#[track_caller]
fn is_none(answers: [Answer; 2]) {
    for answer in answers {
        let answer = answer.expect(&[406]);
        let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        for form in [JSON, HTML_V1, HTML] {
            assert!(message.contains(form), "{form} is not in the message: {answer}");
        }
        let vary = answer.header("vary").unwrap_or_default();
        assert!(vary.split(", ").any(|name| name == "Accept"), "{answer}");
    }
}

#[test]
fn i2_what_clients_ask_for_they_get() {
    for (accept, expected) in [
        (PIP, JSON),
        (UV, JSON),
        (BROWSER, HTML),
        (JSON, JSON),
        (HTML_V1, HTML_V1),
        (HTML, HTML),
        ("application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01", HTML_V1),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML_V1),
        ("application/vnd.pypi.simple.v2+json, application/vnd.pypi.simple.v1+json;q=0.1", JSON),
    ] {
        is(ask(&[("accept", accept)], ""), expected);
    }
}

#[test]
fn i2_who_takes_anything_gets_plain_html() {
    let (index, paths) = pages();
    for path in paths {
        // Without a library that says something where nothing is to be said.
        let answer = index.writer.exchange(&Method::GET, path, &[], b"").expect(&[200]);
        assert_eq!(answer.header("content-type"), Some(HTML), "{answer}");
    }
    for accept in ["*/*", "text/*", "*/*;q=0.1", "", "application/json;q=0.5, */*;q=0.1"] {
        is(ask(&[("accept", accept)], ""), HTML);
    }
    // What is said exactly counts more than what is said of all.
    is(ask(&[("accept", "application/vnd.pypi.simple.v1+json, */*;q=0.1")], ""), JSON);
    is(ask(&[("accept", "application/*")], ""), JSON);
}

#[test]
fn i2_weights_decide_and_zero_excludes() {
    for (accept, expected) in [
        ("text/html;q=0.5, application/vnd.pypi.simple.v1+json;q=0.6", JSON),
        ("text/html;q=0.6, application/vnd.pypi.simple.v1+json;q=0.5", HTML),
        ("text/html, application/vnd.pypi.simple.v1+html, application/vnd.pypi.simple.v1+json", JSON),
        ("text/html, application/vnd.pypi.simple.v1+html", HTML_V1),
        ("application/vnd.pypi.simple.v1+json;q=0, text/html", HTML),
        ("application/vnd.pypi.simple.v1+json;q=0.000, */*;q=0.5", HTML),
        ("text/html;q=0, */*", JSON),
        ("text/html;q=0, application/vnd.pypi.simple.v1+json;q=0, */*;q=0.1", HTML_V1),
        ("TEXT/HTML;Q=1", HTML),
        // What is malformed is passed over.
        ("application/vnd.pypi.simple.v1+json;q=2, text/html;q=0.1", HTML),
        ("garbage, text/html", HTML),
        ("text/html;charset=utf-8", HTML),
    ] {
        is(ask(&[("accept", accept)], ""), expected);
    }
    // One header on two lines is one header.
    is(ask(&[("accept", "text/html;q=0.5"), ("accept", JSON)], ""), JSON);
}

#[test]
fn i2_who_takes_none_of_the_forms_hears_which_there_are() {
    for accept in [
        "application/json",
        "application/xml, text/plain",
        "*/*;q=0",
        "application/vnd.pypi.simple.v2+json",
        "text/html;q=0",
        "application/vnd.pypi.simple.v1+json;q=0, application/vnd.pypi.simple.v1+html;q=0, text/html;q=0, */*",
    ] {
        is_none(ask(&[("accept", accept)], ""));
    }
}

#[test]
fn i2_the_query_wins() {
    for (format, expected) in [(JSON, JSON), (HTML_V1, HTML_V1), (HTML, HTML)] {
        let escaped = format.replace('+', "%2B").replace('/', "%2F");
        for query in
            [format!("?format={format}"), format!("?format={escaped}"), format!("?x=y&format={escaped}")]
        {
            for accept in [JSON, HTML, "application/json", "*/*;q=0"] {
                is(ask(&[("accept", accept)], &query), expected);
            }
        }
    }
    for query in ["?format=json", "?format=", "?format=application/json", "?format=*/*"] {
        is_none(ask(&[("accept", JSON)], query));
    }
}

#[test]
fn i2_the_alias_negotiates_too() {
    let (index, _) = pages();
    for (accept, expected) in [(JSON, JSON), ("*/*", HTML)] {
        for folder in ["/+simple/", "/%2Bsimple/", "/%2bsimple/"] {
            let answer =
                index.writer.call("GET", &index.path(folder), &[("accept", accept)], "").expect(&[200]);
            assert_eq!(answer.header("content-type"), Some(expected), "{answer}");
        }
    }
}

/// Which forms there are is nobody's secret, but what a request says is looked at only after who sends it.
#[test]
fn i17_rights_come_before_the_form() {
    let (index, paths) = pages();
    let stranger = crate::scene::outsider();
    let viewer = index.organization().member(Role::Viewer);
    for path in paths {
        let refused = [("accept", "application/json")];
        index.writer.as_nobody().call("GET", path, &refused, "").expect(&[401]);
        stranger.call("GET", path, &refused, "").expect(&[403]);
        viewer.call("GET", path, &refused, "").expect(&[406]);
    }
}
