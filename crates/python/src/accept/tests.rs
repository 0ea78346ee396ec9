use proptest::prelude::*;

use super::*;

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const HTML_V1: &str = "application/vnd.pypi.simple.v1+html";

#[test]
fn what_clients_send() {
    for (accept, expected) in [
        // pip, uv, poetry
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
            Some(Format::Json),
        ),
        (
            "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01",
            Some(Format::Json),
        ),
        ("application/vnd.pypi.simple.v1+json, */*;q=0.1", Some(Format::Json)),
        // hatch, curl, requests
        ("*/*", Some(Format::Html)),
        // a browser
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Some(Format::Html)),
        ("text/html", Some(Format::Html)),
        ("application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01", Some(Format::HtmlV1)),
        ("application/json", None),
        ("application/vnd.pypi.simple.latest+json", Some(Format::Json)),
        ("application/vnd.pypi.simple.latest+html", Some(Format::HtmlV1)),
        ("application/vnd.pypi.simple.v2+json", None),
        (
            "application/vnd.pypi.simple.v2+json, application/vnd.pypi.simple.v1+json;q=0.5",
            Some(Format::Json),
        ),
    ] {
        assert_eq!(negotiate(Some(accept), None), expected, "{accept}");
    }
    assert_eq!(negotiate(None, None), Some(Format::Html));
}

#[test]
fn weights_and_ranges() {
    for (accept, expected) in [
        ("", Some(Format::Html)),
        (" , ", Some(Format::Html)),
        ("text/*", Some(Format::Html)),
        ("application/*", Some(Format::Json)),
        ("*/*;q=0", None),
        ("application/vnd.pypi.simple.v1+json;q=0, */*;q=0.5", Some(Format::Html)),
        ("text/html;q=0, */*", Some(Format::Json)),
        ("text/html;q=0, application/vnd.pypi.simple.v1+json;q=0, */*", Some(Format::HtmlV1)),
        ("text/html;q=0.5, */*;q=0.8", Some(Format::Json)),
        ("text/html, application/vnd.pypi.simple.v1+json", Some(Format::Json)),
        ("text/html, application/vnd.pypi.simple.v1+html", Some(Format::HtmlV1)),
        ("text/html;q=0.001, application/json", Some(Format::Html)),
        ("TEXT/HTML;Q=1.0", Some(Format::Html)),
        ("Application/Vnd.PyPI.Simple.V1+JSON", Some(Format::Json)),
        ("text/html;charset=utf-8;q=0.2, application/vnd.pypi.simple.v1+json;q=0.1", Some(Format::Html)),
        ("application/vnd.pypi.simple.v1+json;x=\"a,b;c\\\";q=0\"", Some(Format::Json)),
        (
            "text/html;q=0.5, application/*;q=0.4, application/vnd.pypi.simple.v1+json;q=0.3",
            Some(Format::Html),
        ),
    ] {
        assert_eq!(negotiate(Some(accept), None), expected, "{accept}");
    }
}

#[test]
fn malformed_members_are_skipped() {
    for malformed in [
        "text/html;q=2",
        "text/html;q=-1",
        "text/html;q=0.1234",
        "text/html;q=1.001",
        "text/html;q=",
        "text/html;q=.5",
        "text/html;q=a",
        "text/html;q",
        "text",
        "/",
        "text/",
        "*/html",
        "te xt/html",
    ] {
        let accept = format!("{malformed}, {HTML_V1};q=0.1");
        assert_eq!(negotiate(Some(&accept), None), Some(Format::HtmlV1), "{accept}");
        assert_eq!(negotiate(Some(malformed), None), Some(Format::Html), "{malformed}");
    }
}

#[test]
fn the_query_wins() {
    for (query, expected) in [
        (JSON, Some(Format::Json)),
        ("application/vnd.pypi.simple.v1 json", Some(Format::Json)),
        (HTML_V1, Some(Format::HtmlV1)),
        ("text/html", Some(Format::Html)),
        ("application/vnd.pypi.simple.latest+json", Some(Format::Json)),
        ("application/json", None),
        ("json", None),
        ("", None),
        ("*/*", None),
    ] {
        for accept in [None, Some("text/html"), Some("application/json"), Some(JSON)] {
            assert_eq!(negotiate(accept, Some(query)), expected, "{query}");
        }
    }
}

proptest! {
    #[test]
    fn any_header_gets_an_answer(accept in any::<String>()) {
        let _ = negotiate(Some(&accept), None);
    }

    /// Without wildcards the answer is the form of the highest weight, the first of equals.
    #[test]
    fn the_highest_weight_wins(json in 0_u16..=1000, html_v1 in 0_u16..=1000, html in 0_u16..=1000, swap: bool) {
        let weight = |thousandths: u16| match thousandths {
            1000 => "1.000".to_owned(),
            other => format!("0.{other:03}"),
        };
        let mut ranges = [
            format!("{JSON};q={}", weight(json)),
            format!("{HTML_V1} ; q={}", weight(html_v1)),
            format!("text/html; q={}", weight(html)),
        ];
        if swap {
            ranges.reverse();
        }
        let highest = json.max(html_v1).max(html);
        let expected = [(json, Format::Json), (html_v1, Format::HtmlV1), (html, Format::Html)]
            .into_iter()
            .find_map(|(weight, format)| (weight == highest && weight > 0).then_some(format));
        prop_assert_eq!(negotiate(Some(&ranges.join(",")), None), expected);
    }
}
