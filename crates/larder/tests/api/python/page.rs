//! What pages say (simple repository API; PEP 792 for the status of a project).

use serde_json::{Value, json};
use testkit::python::{Sdist, Wheel};
use testkit::{Answer, Visibility, random_word};

use super::scene::{Index, project, wheel};
use crate::scene::Calls as _;

/// The page of a project in HTML.
#[track_caller]
fn html(index: &Index, project: &str) -> String {
    let path = index.path(&format!("/simple/{project}/"));
    let answer = index.writer.call("GET", &path, &[("accept", "text/html")], "").expect(&[200]);
    String::from_utf8(answer.body).expect("a page is UTF-8")
}

/// The lines of a page that hold anchors.
fn anchors(page: &str) -> Vec<&str> {
    page.lines().filter(|line| line.contains("<a ")).collect()
}

/// The value of an attribute of an anchor, its escapes undone.
fn attribute(anchor: &str, name: &str) -> Option<String> {
    let value = anchor.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?;
    let escapes =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    Some(escapes.iter().fold(value.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain)))
}

/// The list of projects in JSON.
#[track_caller]
fn list(index: &Index) -> Answer {
    let accept = [("accept", "application/vnd.pypi.simple.v1+json")];
    index.writer.call("GET", &index.path("/simple/"), &accept, "").expect(&[200])
}

#[test]
fn i5_a_page_says_everything_about_a_file() {
    let index = Index::new();
    let name = project();
    let wheel = Wheel::new(&name, "1.0").header("Requires-Python", ">=3.8,<4").build();
    let sdist = Sdist::new(&name, "1.0").build();
    index.takes(&wheel);
    index.takes(&sdist);
    let answer = index.page(&name).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some("application/vnd.pypi.simple.v1+json"), "{answer}");
    let page = answer.json();
    let time = |filename: &str| {
        let time = index.entry(&name, filename)["upload-time"].as_str().unwrap_or_default().to_owned();
        let shape: String =
            time.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z", "{time}");
        time
    };
    let url = |file: &testkit::python::BuiltFile| {
        index.path(&format!("/files/{name}/{}/{}", file.sha256(), file.filename))
    };
    let metadata = testkit::sha256(&wheel.metadata).replace("sha256:", "");
    let expected = json!({
        "meta": { "api-version": "1.4" },
        "name": name,
        "project-status": { "status": "active" },
        "versions": ["1.0"],
        "files": [
            {
                "filename": wheel.filename,
                "url": url(&wheel),
                "hashes": { "sha256": wheel.sha256() },
                "requires-python": ">=3.8,<4",
                "size": wheel.bytes.len(),
                "upload-time": time(&wheel.filename),
                "yanked": false,
                "core-metadata": { "sha256": metadata },
                "provenance": null,
            },
            {
                "filename": sdist.filename,
                "url": url(&sdist),
                "hashes": { "sha256": sdist.sha256() },
                "size": sdist.bytes.len(),
                "upload-time": time(&sdist.filename),
                "yanked": false,
                "provenance": null,
            },
        ],
    });
    // `-` sorts before `.`, so the wheel comes first.
    assert_eq!(page, expected);
}

#[test]
fn i5_versions_stand_in_their_own_order() {
    let index = Index::new();
    let name = project();
    let ordered = [
        "0.9",
        "1.0.dev1",
        "1.0a2",
        "1.0a10",
        "1.0rc1",
        "1.0",
        "1.0+local.2",
        "1.0+local.10",
        "1.0.post1",
        "1.2",
        "1.9",
        "1.10",
        "2024.1",
        "1!0.1",
    ];
    // In the order of their bytes, which is another one.
    let mut mixed = ordered;
    mixed.sort_unstable();
    assert_ne!(mixed, ordered);
    for version in mixed {
        index.takes(&Wheel::new(&name, version).build());
    }
    let page = index.page(&name).expect(&[200]).json();
    assert_eq!(page["versions"], json!(ordered), "{page}");
    let filenames = ordered.map(|version| Wheel::new(&name, version).build().filename);
    assert_eq!(index.files(&name), filenames);
    let page = html(&index, &name);
    let listed = anchors(&page);
    assert_eq!(listed.len(), filenames.len(), "{page}");
    for (anchor, filename) in listed.iter().zip(&filenames) {
        assert!(anchor.ends_with(&format!(">{filename}</a><br>")), "{anchor}");
    }
}

#[test]
fn i5_files_of_a_version_stand_in_the_order_of_their_names() {
    let index = Index::new();
    let name = project();
    for tag in ["py3-none-any", "cp39-cp39-win_amd64", "cp313-cp313-linux_aarch64"] {
        index.takes(&Wheel::new(&name, "1.0").tag(tag).build());
    }
    index.takes(&Wheel::new(&name, "1.0").build_number("2").build());
    index.takes(&Sdist::new(&name, "1.0").build());
    let files = index.files(&name);
    let mut sorted = files.clone();
    sorted.sort_unstable();
    assert_eq!(files, sorted);
    assert_eq!(files.len(), 5);
    // One release, although there are five files; `1.0.0` would be the same one.
    assert_eq!(index.page(&name).json()["versions"], json!(["1.0"]));
    index.takes(&Wheel::new(&name, "1.0.0").tag("cp312-cp312-win32").build());
    assert_eq!(index.page(&name).json()["versions"], json!(["1.0"]));
    assert_eq!(index.files(&name).len(), 6);
}

#[test]
fn i6_each_file_shows_its_own_requires_python() {
    let index = Index::new();
    let name = project();
    let wheels = [
        ("cp38-cp38-any", Some(">=3.8")),
        ("cp312-cp312-any", Some(">=3.12, !=3.12.1")),
        ("py3-none-any", None),
    ]
    .map(|(tag, requires)| {
        let wheel = Wheel::new(&name, "1.0").tag(tag);
        let wheel = match requires {
            Some(requires) => wheel.header("Requires-Python", requires),
            None => wheel,
        };
        (wheel.build(), requires)
    });
    for (wheel, _) in &wheels {
        index.takes(wheel);
    }
    let page = html(&index, &name);
    for (wheel, requires) in &wheels {
        let entry = index.entry(&name, &wheel.filename);
        assert_eq!(entry.get("requires-python").and_then(Value::as_str), *requires, "{entry}");
        let anchor =
            anchors(&page).into_iter().find(|anchor| anchor.contains(&format!(">{}<", wheel.filename)));
        let shown = attribute(anchor.expect("the file is listed"), "data-requires-python");
        assert_eq!(shown.as_deref(), *requires, "{page}");
    }
}

#[test]
fn i4_html_is_one_line_for_each_file_with_the_address_first() {
    let index = Index::new();
    let name = project();
    let wheel = Wheel::new(&name, "1.0").header("Requires-Python", ">=3.8").build();
    index.takes(&wheel);
    index.takes(&Sdist::new(&name, "1.0").build());
    let page = html(&index, &name);
    assert!(page.starts_with("<!DOCTYPE html>\n"), "{page}");
    assert!(page.contains("<meta name=\"pypi:repository-version\" content=\"1.4\">"), "{page}");
    assert!(page.contains("<meta name=\"pypi:project-status\" content=\"active\">"), "{page}");
    assert!(!page.contains("<base") && !page.contains("<script"), "{page}");
    assert_eq!(anchors(&page).len(), 2, "{page}");
    for anchor in anchors(&page) {
        assert!(anchor.trim_start().starts_with("<a href=\"") && anchor.ends_with("</a><br>"), "{anchor}");
        assert_eq!(anchor.matches('<').count(), 3, "an anchor with something inside: {anchor}");
        let href = attribute(anchor, "href").expect("an anchor has an address");
        let entry_name = anchor.split('>').nth(1).and_then(|text| text.split('<').next()).expect("a text");
        let entry = index.entry(&name, entry_name);
        let expected = format!(
            "{}#sha256={}",
            entry["url"].as_str().unwrap_or_default(),
            entry["hashes"]["sha256"].as_str().unwrap_or_default()
        );
        assert_eq!(href, expected);
        let metadata = entry["core-metadata"]["sha256"].as_str().map(|digest| format!("sha256={digest}"));
        assert_eq!(attribute(anchor, "data-core-metadata"), metadata, "{anchor}");
        assert_eq!(attribute(anchor, "data-dist-info-metadata"), metadata, "{anchor}");
        assert_eq!(attribute(anchor, "data-size"), Some(entry["size"].to_string()), "{anchor}");
        assert_eq!(
            attribute(anchor, "data-upload-time").as_deref(),
            entry["upload-time"].as_str(),
            "{anchor}"
        );
        assert_eq!(attribute(anchor, "data-yanked"), None, "{anchor}");
    }
    let listed = anchors(&page);
    let anchor = listed.iter().find(|anchor| anchor.contains(".whl</a>")).expect("the wheel is listed");
    assert!(anchor.contains("data-requires-python=\"&gt;=3.8\""), "{anchor}");
}

#[test]
fn i4_what_people_write_stays_text() {
    let index = Index::new();
    let name = project();
    let hostile = "a\"b<c>&'</a><script>alert(1)</script>";
    let wheel = Wheel::new(&name, "1.0").build();
    index.takes(&wheel);
    let file = format!("/projects/{name}/files/{}", wheel.filename);
    index.manage("PATCH", &file, &json!({ "yanked": true, "reason": hostile })).expect(&[200]);
    let status = json!({ "status": "deprecated", "reason": hostile });
    index.manage("PATCH", &format!("/projects/{name}"), &status).expect(&[200]);
    let page = html(&index, &name);
    assert!(!page.contains("<script") && !page.contains("<c>"), "{page}");
    let [anchor] = anchors(&page)[..] else { panic!("not one anchor: {page}") };
    assert_eq!(anchor.matches(['<', '>']).count(), 6, "{anchor}");
    assert_eq!(attribute(anchor, "data-yanked").as_deref(), Some(hostile), "{anchor}");
    let meta =
        page.lines().find(|line| line.contains("pypi:project-status-reason")).expect("a reason is shown");
    assert_eq!(attribute(meta, "content").as_deref(), Some(hostile), "{meta}");
    // JSON needs no care but its own.
    let json = index.page(&name).expect(&[200]).json();
    assert_eq!(json["files"][0]["yanked"], hostile);
    assert_eq!(json["project-status"], json!({ "status": "deprecated", "reason": hostile }));
}

#[test]
fn i5_the_list_names_the_projects_of_this_registry() {
    let index = Index::new();
    assert_eq!(list(&index).json(), json!({ "meta": { "api-version": "1.4" }, "projects": [] }));
    let word = random_word();
    for name in [format!("Zeta.{word}"), format!("alpha_{word}"), format!("M-{word}")] {
        index.takes(&Wheel::new(&name, "1.0").build());
    }
    let names = [format!("alpha-{word}"), format!("m-{word}"), format!("zeta-{word}")];
    let listed = list(&index).json();
    let found: Vec<_> =
        listed["projects"].as_array().expect("a list").iter().map(|item| &item["name"]).collect();
    assert_eq!(found, names.each_ref().map(String::as_str));
    let answer =
        index.writer.call("GET", &index.path("/simple/"), &[("accept", "text/html")], "").expect(&[200]);
    let page = String::from_utf8_lossy(&answer.body).into_owned();
    let expected = names.map(|name| format!("<a href=\"{name}/\">{name}</a><br>"));
    assert_eq!(anchors(&page), expected);
    // A repository of another format is none of them, nor is what another registry has.
    index.writer.image_push(&index.repository("app"), "v1", &crate::scene::small_manifest());
    let organization = index.organization();
    organization.registry("second", Visibility::Private);
    index.writer.python_upload(&organization.name, "second", &wheel().build()).expect(&[200]);
    assert_eq!(list(&index).json(), listed);
}

#[test]
fn i17_a_name_that_nobody_has_is_not_there() {
    let index = Index::new();
    index.writer.image_push(&index.repository("app"), "v1", &crate::scene::small_manifest());
    for name in [project().as_str(), "app"] {
        let answer = index.page(name).expect(&[404]);
        assert!(answer.json()["message"].as_str().is_some_and(|message| message.contains(name)), "{answer}");
    }
}

/// An installer takes 404 as leave to look elsewhere, where somebody else may have the name.
#[test]
fn i20_a_name_that_was_used_stays_a_page() {
    let index = Index::new();
    let file = wheel().build();
    index.takes(&file);
    index.manage("DELETE", &format!("/projects/{}/releases/1.0", file.name), &Value::Null).expect(&[204]);
    let page = index.page(&file.name).expect(&[200]).json();
    assert_eq!((&page["files"], &page["versions"]), (&json!([]), &json!([])), "{page}");
    let page = html(&index, &file.name);
    assert!(anchors(&page).is_empty(), "{page}");
    assert!(list(&index).json()["projects"].to_string().contains(&file.name));
}

/// One project with as many files as the largest ones of the public index have.
#[test]
fn i24_a_page_of_two_thousand_files() {
    use std::io::Read as _;
    let index = Index::new();
    let name = project();
    std::thread::scope(|scope| {
        for minor in 0..4 {
            let (index, name) = (&index, &name);
            scope.spawn(move || {
                for patch in 0..500 {
                    index.takes(&Wheel::new(name, &format!("{minor}.{patch}")).build());
                }
            });
        }
    });
    let plain = index.page(&name).expect(&[200]);
    assert_eq!(plain.header("content-encoding"), None, "{:?}", plain.headers);
    let page = plain.json();
    assert_eq!(page["files"].as_array().map(Vec::len), Some(2000));
    assert_eq!(page["versions"].as_array().map(Vec::len), Some(2000));
    let path = index.path(&format!("/simple/{name}/"));
    for accept in ["application/vnd.pypi.simple.v1+json", "text/html"] {
        let get = |encoding: &str| {
            let headers = [("accept", accept), ("accept-encoding", encoding)];
            index.writer.call("GET", &path, &headers, "").expect(&[200])
        };
        let plain = get("identity");
        for encoding in ["gzip", "gzip, deflate", "gzip, deflate, zstd", "zstd;q=1.0, gzip;q=0.5"] {
            let packed = get(encoding);
            assert_eq!(packed.header("content-encoding"), Some("gzip"), "{:?}", packed.headers);
            assert!(
                packed.header("vary").is_some_and(|vary| vary.contains("Accept-Encoding")),
                "{:?}",
                packed.headers
            );
            assert_eq!(packed.header("content-length"), Some(packed.body.len().to_string().as_str()));
            assert!(
                packed.body.len() * 3 < plain.body.len(),
                "{} bytes of {}",
                packed.body.len(),
                plain.body.len()
            );
            // A strong tag is that of the bytes as they are sent (RFC 9110 §8.8.3.3).
            let tag = packed.header("etag").expect("a page has a tag");
            assert_ne!(Some(tag), plain.header("etag"));
            let again = [("accept", accept), ("accept-encoding", encoding), ("if-none-match", tag)];
            index.writer.call("GET", &path, &again, "").expect(&[304]);
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(packed.body.as_slice())
                .read_to_end(&mut unpacked)
                .expect("this is gzip");
            assert!(unpacked == plain.body, "another page");
        }
        for encoding in ["identity", "deflate, br", "gzip;q=0", ""] {
            assert_eq!(get(encoding).header("content-encoding"), None, "{encoding}");
        }
    }
}
