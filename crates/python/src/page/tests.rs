use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn file(filename: &str) -> PageFile {
    PageFile {
        filename: filename.to_owned(),
        url: format!("https://host.example/files/{}", file_path_segment(filename)),
        sha256: "ab".repeat(32),
        size: 1727,
        uploaded_at_millis: 1_785_542_400_000,
        requires_python: None,
        yanked: None,
        metadata_sha256: None,
        provenance: None,
    }
}

fn page<'a>(files: &'a [PageFile], versions: &'a [String]) -> Page<'a> {
    Page { name: "acme-demo", status: Status::Active, reason: None, files, versions }
}

fn json_of(page: &Page<'_>) -> Value {
    serde_json::from_slice(&page.to_json()).expect("JSON")
}

#[test]
fn json_is_exact() {
    let full = PageFile {
        requires_python: Some(">=3.8".to_owned()),
        yanked: Some("broken".to_owned()),
        metadata_sha256: Some("cd".repeat(32)),
        provenance: Some("https://host.example/provenance".to_owned()),
        ..file("acme_demo-1.0+a-py3-none-any.whl")
    };
    let files = [file("acme_demo-1.1.tar.gz"), full];
    let versions = ["1.1".to_owned(), "1.0+a".to_owned()];
    let expected = format!(
        concat!(
            r#"{{"meta":{{"api-version":"1.4"}},"name":"acme-demo","project-status":{{"status":"active"}},"#,
            r#""versions":["1.0+a","1.1"],"files":["#,
            r#"{{"filename":"acme_demo-1.0+a-py3-none-any.whl","#,
            r#""url":"https://host.example/files/acme_demo-1.0%2Ba-py3-none-any.whl","#,
            r#""hashes":{{"sha256":"{ab}"}},"requires-python":">=3.8","size":1727,"#,
            r#""upload-time":"2026-08-01T00:00:00.000000Z","yanked":"broken","#,
            r#""core-metadata":{{"sha256":"{cd}"}},"#,
            r#""provenance":"https://host.example/provenance"}},"#,
            r#"{{"filename":"acme_demo-1.1.tar.gz","url":"https://host.example/files/acme_demo-1.1.tar.gz","#,
            r#""hashes":{{"sha256":"{ab}"}},"size":1727,"upload-time":"2026-08-01T00:00:00.000000Z","#,
            r#""yanked":false,"provenance":null}}]}}"#,
        ),
        ab = "ab".repeat(32),
        cd = "cd".repeat(32),
    );
    assert_eq!(String::from_utf8(page(&files, &versions).to_json()).expect("JSON is text"), expected);
}

#[test]
fn html_is_exact() {
    let full = PageFile {
        requires_python: Some(">=3.8,<4".to_owned()),
        yanked: Some("a\"b<c>&'d\nnext".to_owned()),
        metadata_sha256: Some("cd".repeat(32)),
        provenance: Some("https://host.example/provenance".to_owned()),
        ..file("acme_demo-1.0-py3-none-any.whl")
    };
    let files = [full, file("acme_demo-1.1.tar.gz")];
    let page = Page { status: Status::Archived, reason: Some("moved to <b>"), ..page(&files, &[]) };
    let expected = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"pypi:repository-version\" content=\"1.4\">\n\
         <meta name=\"pypi:project-status\" content=\"archived\">\n\
         <meta name=\"pypi:project-status-reason\" content=\"moved to &lt;b&gt;\">\n\
         <title>Links for acme-demo</title>\n</head>\n<body>\n<h1>Links for acme-demo</h1>\n\
         <a href=\"https://host.example/files/acme_demo-1.0-py3-none-any.whl#sha256={ab}\" \
         data-requires-python=\"&gt;=3.8,&lt;4\" data-yanked=\"a&quot;b&lt;c&gt;&amp;&#x27;d next\" \
         data-core-metadata=\"sha256={cd}\" data-dist-info-metadata=\"sha256={cd}\" \
         data-provenance=\"https://host.example/provenance\" data-size=\"1727\" \
         data-upload-time=\"2026-08-01T00:00:00.000000Z\">acme_demo-1.0-py3-none-any.whl</a><br>\n\
         <a href=\"https://host.example/files/acme_demo-1.1.tar.gz#sha256={ab}\" data-size=\"1727\" \
         data-upload-time=\"2026-08-01T00:00:00.000000Z\">acme_demo-1.1.tar.gz</a><br>\n\
         </body>\n</html>\n",
        ab = "ab".repeat(32),
        cd = "cd".repeat(32),
    );
    assert_eq!(page.to_html(), expected);
}

#[test]
fn yanked_without_a_reason() {
    let files = [PageFile { yanked: Some(String::new()), ..file("acme_demo-1.0.tar.gz") }];
    let page = page(&files, &[]);
    assert_eq!(json_of(&page)["files"][0]["yanked"], json!(true));
    assert!(page.to_html().contains(" data-yanked=\"\""));
}

#[test]
fn versions_and_files_are_in_the_order_of_versions() {
    let texts = ["1.9", "1!0.1", "1.10", "1.0rc1", "1.0"];
    let versions = texts.map(str::to_owned);
    let files = texts.map(|text| file(&format!("acme_demo-{text}.tar.gz")));
    let wheel = file("acme_demo-1.10.0-py3-none-any.whl");
    let files: Vec<PageFile> = files.into_iter().chain([wheel]).collect();
    let json = json_of(&page(&files, &versions));
    assert_eq!(json["versions"], json!(["1.0rc1", "1.0", "1.9", "1.10", "1!0.1"]));
    let names: Vec<&str> = json["files"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| file["filename"].as_str().expect("a text"))
        .collect();
    assert_eq!(
        names,
        [
            "acme_demo-1.0rc1.tar.gz",
            "acme_demo-1.0.tar.gz",
            "acme_demo-1.9.tar.gz",
            "acme_demo-1.10.0-py3-none-any.whl",
            "acme_demo-1.10.tar.gz",
            "acme_demo-1!0.1.tar.gz",
        ]
    );
}

#[test]
fn statuses() {
    let files = [file("acme_demo-1.0.tar.gz")];
    let versions = ["1.0".to_owned()];
    for status in Status::ALL {
        assert_eq!(status.as_str().parse(), Ok(status));
        let page = Page { status, reason: Some("because"), ..page(&files, &versions) };
        let json = json_of(&page);
        let html = page.to_html();
        assert_eq!(json["project-status"]["status"], status.as_str());
        assert!(html.contains(&format!("<meta name=\"pypi:project-status\" content=\"{status}\">")));
        assert_eq!(json["project-status"].get("reason").is_some(), status != Status::Active);
        assert_eq!(html.contains("because"), status != Status::Active);
        let listed = usize::from(status != Status::Quarantined);
        assert_eq!(json["files"].as_array().map(Vec::len), Some(listed));
        assert_eq!(html.matches("<a ").count(), listed);
        assert_eq!(json["versions"], json!(["1.0"]));
    }
    assert_eq!("ACTIVE".parse::<Status>(), Err(UnknownStatus));
}

#[test]
fn lists_of_projects() {
    let names = ["acme-demo", "six"];
    assert_eq!(
        project_list_json(&names),
        br#"{"meta":{"api-version":"1.4"},"projects":[{"name":"acme-demo"},{"name":"six"}]}"#
    );
    let html = project_list_html(&names);
    assert!(html.contains("<meta name=\"pypi:repository-version\" content=\"1.4\">\n"));
    assert!(
        html.contains(
            "<body>\n<a href=\"acme-demo/\">acme-demo</a><br>\n<a href=\"six/\">six</a><br>\n</body>"
        )
    );
    assert_eq!(project_list_json::<&str>(&[]), br#"{"meta":{"api-version":"1.4"},"projects":[]}"#);
}

#[test]
fn path_segments() {
    assert_eq!(file_path_segment("a_b-1!2.0+c.1~-x.whl"), "a_b-1%212.0%2Bc.1~-x.whl");
    assert_eq!(file_path_segment("a b/é"), "a%20b%2F%C3%A9");
}

#[test]
fn upload_times() {
    for (millis, expected) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_785_542_400_123, "2026-08-01T00:00:00.123000Z"),
        (-1, "1969-12-31T23:59:59.999000Z"),
    ] {
        assert_eq!(upload_time(millis), expected);
    }
    assert!(upload_time(i64::MAX).starts_with("9999-"));
    assert!(upload_time(i64::MIN).ends_with('Z'));
}

/// What a client reads from the HTML with a regular expression: per line `href` and text.
fn html_files(html: &str) -> BTreeMap<String, String> {
    html.lines()
        .filter_map(|line| {
            let (href, rest) = line.strip_prefix("<a href=\"")?.split_once('"')?;
            let text = rest.strip_suffix("</a><br>")?.rsplit_once('>')?.1;
            let decode = |text: &str| html_escape::decode_html_entities(text).into_owned();
            Some((decode(text), decode(href)))
        })
        .collect()
}

proptest! {
    #[test]
    fn both_forms_list_the_same_files(
        numbers in proptest::collection::btree_set((0_u8..20, 0_u8..3, any::<bool>()), 0..12),
        reason in proptest::option::of("\\PC{0,20}|[\"<>&'\n\r]{0,6}"),
        requires_python in proptest::option::of("\\PC{0,20}"),
    ) {
        let files: Vec<PageFile> = numbers
            .iter()
            .map(|(major, minor, wheel)| {
                let tail = if *wheel { "-py3-none-any.whl" } else { ".tar.gz" };
                PageFile {
                    yanked: reason.clone(),
                    requires_python: requires_python.clone(),
                    ..file(&format!("acme_demo-{major}.{minor}{tail}"))
                }
            })
            .collect();
        let page = page(&files, &[]);
        let json = json_of(&page);
        let listed = json["files"].as_array().expect("a list");
        let from_json: BTreeMap<String, String> = listed
            .iter()
            .map(|file| {
                let text = |key: &str| file[key].as_str().expect("a text").to_owned();
                let hash = file["hashes"]["sha256"].as_str().expect("a text");
                (text("filename"), format!("{}#sha256={hash}", text("url")))
            })
            .collect();
        let html = page.to_html();
        prop_assert_eq!(html_files(&html), from_json);
        prop_assert_eq!(listed.len(), files.len());
        prop_assert_eq!(html.matches("<a ").count(), files.len());

        let mut reversed = files.clone();
        reversed.reverse();
        let reversed = Page { files: &reversed, ..page };
        prop_assert_eq!(reversed.to_json(), page.to_json());
        prop_assert_eq!(reversed.to_html(), html);
    }
}
