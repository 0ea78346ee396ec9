//! Under which addresses pages and files are, and which addresses they name.

use serde_json::Value;
use testkit::python::{Sdist, Wheel};
use testkit::{Role, Visibility};

use super::scene::{Index, project, wheel};
use crate::scene::{Calls as _, outsider, own_server};

/// `accept` for JSON.
const JSON: [(&str, &str); 1] = [("accept", "application/vnd.pypi.simple.v1+json")];

#[test]
fn i3_one_redirect_leads_to_the_page() {
    let index = Index::new();
    index.takes(&Wheel::new("Zope.Event_2", "1.0").build());
    let wanted = index.path("/simple/zope-event-2/");
    for spelled in [
        "zope-event-2",
        "Zope.Event_2",
        "Zope.Event_2/",
        "ZOPE__.event-.-2",
        "zope.event.2/",
        "%5Aope.Event_2",
        "zope%2Devent%2D2",
    ] {
        for folder in ["simple", "+simple", "%2Bsimple"] {
            let answer = index
                .writer
                .call("GET", &index.path(&format!("/{folder}/{spelled}")), &JSON, "")
                .expect(&[301]);
            // From the root, so that it holds behind every proxy, and never to another host.
            assert_eq!(answer.header("location"), Some(wanted.as_str()), "{answer}");
            assert!(answer.body.is_empty(), "{answer}");
        }
    }
    index.writer.call("GET", &wanted, &JSON, "").expect(&[200]);
    // A name that needs no escape is the same with one.
    index.writer.call("GET", &index.path("/simple/zope%2Devent%2D2/"), &JSON, "").expect(&[200]);
    for path in ["/simple", "/+simple", "/%2Bsimple"] {
        let answer = index.writer.call("GET", &index.path(path), &JSON, "").expect(&[301]);
        assert_eq!(answer.header("location"), Some(index.path("/simple/").as_str()), "{answer}");
    }
}

#[test]
fn i3_a_redirect_keeps_the_query_and_answers_head_and_everybody() {
    let index = Index::new();
    for caller in [&index.writer, &index.writer.as_nobody(), &outsider()] {
        for method in ["GET", "HEAD"] {
            let answer = caller.ask(method, &index.path("/simple/Six?format=text/html")).expect(&[301]);
            let location = index.path("/simple/six/?format=text/html");
            assert_eq!(answer.header("location"), Some(location.as_str()), "{answer}");
        }
    }
}

/// A redirected upload is one that most clients give up.
#[test]
fn uploads_go_with_and_without_a_slash() {
    let index = Index::new();
    let name = project();
    let upload = |version: &str, slash: &str| {
        let form = testkit::python::Upload::new(&Wheel::new(&name, version).build());
        let headers = [("content-type", testkit::python::Upload::content_type())];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        index.writer.call("POST", &index.path(slash), &headers, form.body()).expect(&[200]);
    };
    upload("1.0", "");
    upload("2.0", "/");
    assert_eq!(index.files(&name).len(), 2);
}

#[test]
fn the_alias_shows_the_same_pages() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    for rest in [String::new(), format!("{}/", file.name)] {
        for accept in ["text/html", "application/vnd.pypi.simple.v1+json"] {
            let get = |folder: &str| {
                let path = index.path(&format!("/{folder}/{rest}"));
                index.writer.call("GET", &path, &[("accept", accept)], "").expect(&[200])
            };
            let page = get("simple");
            for folder in ["+simple", "%2Bsimple", "%2bsimple"] {
                let alias = get(folder);
                assert_eq!(alias.body, page.body);
                assert_eq!(alias.header("etag"), page.header("etag"));
            }
        }
    }
}

#[test]
fn whoever_opens_the_upload_url_reads_how_to_use_it() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    for path in [index.path(""), index.path("/")] {
        let answer = index.writer.ask("GET", &path).expect(&[200]);
        assert!(
            answer.header("content-type").is_some_and(|value| value.starts_with("text/html")),
            "{answer}"
        );
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'none'"), "{answer}");
        let page = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(page.contains(&format!("{}/simple/", index.path(""))), "{page}");
        assert!(page.contains("twine upload") && page.contains("pip install"), "{page}");
        // It is no list of projects.
        assert!(!page.contains(&file.name), "{page}");
        let head = index.writer.ask("HEAD", &path).expect(&[200]);
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-length"), answer.header("content-length"), "{head}");
    }
    index.writer.as_nobody().ask("GET", &index.path("")).expect(&[401]);
    outsider().ask("GET", &index.path("")).expect(&[403]);
}

#[test]
fn what_is_not_there_is_not_there() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    for rest in [
        "/nothing",
        "/files",
        "/files/",
        "/simple/a/b/",
        "/simple/a/b",
        "/simple//",
        "/integrity/x",
        "/simple/-/",
        "/simple/_x/",
        "/simple/acm%C3%A9/",
        "/simple/a%2Fb/",
        "/simple/a%00/",
    ] {
        index.writer.call("GET", &index.path(rest), &JSON, "").expect(&[404]);
    }
    // Only with the right is that told.
    index.writer.as_nobody().call("GET", &index.path("/nothing"), &JSON, "").expect(&[401]);
    outsider().call("GET", &index.path("/nothing"), &JSON, "").expect(&[403]);
}

#[test]
fn a_method_that_an_address_does_not_take() {
    let (index, file) = (Index::new(), wheel().build());
    index.takes(&file);
    let at = index.writer.python_path(&index.organization().name, "main", &file.name, &file.filename);
    for (method, path, allow) in [
        ("POST", index.path("/simple/"), "GET, HEAD"),
        ("POST", index.path("/simple"), "GET, HEAD"),
        ("PUT", index.path("/simple/six/"), "GET, HEAD"),
        ("POST", index.path("/+simple/six/"), "GET, HEAD"),
        ("DELETE", at.clone(), "GET, HEAD"),
        ("POST", at, "GET, HEAD"),
        ("DELETE", index.path(""), "GET, HEAD, POST"),
        ("PUT", index.path("/"), "GET, HEAD, POST"),
    ] {
        let answer = index.writer.call(method, &path, &[], "").expect(&[405]);
        assert_eq!(answer.header("allow"), Some(allow), "{answer}");
        assert_eq!(answer.json()["errors"][0]["code"], "UNSUPPORTED", "{answer}");
    }
    let answer = index.writer.call("POST", &index.path("/simple/"), &[], "").expect(&[405]);
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("/python"), "where uploads go is not said: {answer}");
}

/// Every address on a page: those of files and those of provenance objects.
fn addresses(page: &Value) -> Vec<String> {
    let files = page["files"].as_array().into_iter().flatten();
    files
        .flat_map(|file| [&file["url"], &file["provenance"]])
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect()
}

#[test]
fn addresses_begin_at_the_root_when_nobody_said_where_the_server_is() {
    let index = Index::new();
    let name = project();
    for file in [Wheel::new(&name, "1.0").build(), Sdist::new(&name, "1.0").build()] {
        index.takes(&file);
    }
    for spoof in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "/evil"),
    ] {
        let path = index.path(&format!("/simple/{name}/"));
        let page = index.writer.call("GET", &path, &[JSON[0], spoof], "").expect(&[200]).json();
        let found = addresses(&page);
        assert_eq!(found.len(), 2, "{page}");
        let begins = index.path(&format!("/files/{name}/"));
        assert!(found.iter().all(|address| address.starts_with(&begins)), "{page}");
        let html = index.writer.call("GET", &path, &[("accept", "text/html"), spoof], "").expect(&[200]);
        assert!(!String::from_utf8_lossy(&html.body).contains("evil"), "{html}");
        let help = index.writer.call("GET", &index.path(""), &[spoof], "").expect(&[200]);
        assert!(!String::from_utf8_lossy(&help.body).contains("evil"), "{help}");
    }
}

#[test]
fn addresses_are_absolute_when_the_operator_said_where_the_server_is() {
    for url in ["https://packages.example.org", "https://packages.example.org/"] {
        let server = own_server(&[("LARDER_SERVER__PUBLIC_URL", url)]);
        let index = Index::on(&server);
        let file = Wheel::new(&project(), "1!2.0+cpu.1").build();
        index.takes(&file);
        let base = format!("https://packages.example.org{}", index.path(""));
        let expected = format!(
            "{base}/files/{}/{}/{}",
            file.name,
            file.sha256(),
            file.filename.replace('!', "%21").replace('+', "%2B")
        );
        let path = index.path(&format!("/simple/{}/", file.name));
        let spoof = ("host", "evil.example");
        let page = index.writer.call("GET", &path, &[JSON[0], spoof], "").expect(&[200]).json();
        assert_eq!(addresses(&page), [expected.as_str()], "{page}");
        let html = index.writer.call("GET", &path, &[("accept", "text/html"), spoof], "").expect(&[200]);
        let html = String::from_utf8_lossy(&html.body).into_owned();
        assert!(html.contains(&format!("href=\"{expected}#sha256={}\"", file.sha256())), "{html}");
        let help = index.writer.call("GET", &index.path(""), &[spoof], "").expect(&[200]);
        let help = String::from_utf8_lossy(&help.body).into_owned();
        assert!(help.contains(&format!("{base}/simple/")) && !help.contains("evil"), "{help}");
        // A redirect stays from the root: it is not kept anywhere.
        let answer = index.writer.ask("GET", &index.path("/simple/Six")).expect(&[301]);
        assert_eq!(answer.header("location"), Some(index.path("/simple/six/").as_str()), "{answer}");
    }
}

/// The address of a file has in it what the file is, and is found by no other name.
#[test]
fn a_file_is_under_its_own_address_alone() {
    let index = Index::new();
    let (one, other) = (wheel().build(), wheel().build());
    index.takes(&one);
    index.takes(&other);
    let at = |project: &str, digest: &str, filename: &str| {
        index.writer.ask("GET", &index.path(&format!("/files/{project}/{digest}/{filename}")))
    };
    for file in [&one, &other] {
        assert_eq!(at(&file.name, &file.sha256(), &file.filename).expect(&[200]).body, file.bytes);
        at(&file.name, &file.sha256(), &format!("{}.metadata", file.filename)).expect(&[200]);
    }
    let zeros = "0".repeat(64);
    for (project, digest, filename) in [
        (&one.name, &other.sha256(), &one.filename),
        (&one.name, &zeros, &one.filename),
        (&other.name, &one.sha256(), &one.filename),
        (&one.name, &one.sha256(), &other.filename),
        (&one.name, &one.sha256().to_uppercase(), &one.filename),
        (&one.name, &one.sha256()[..63].to_owned(), &one.filename),
        (&one.name, &one.sha256(), &one.filename.to_uppercase()),
        (&one.name, &one.sha256(), &format!("{}%00", one.filename)),
        (&one.name, &one.sha256(), &format!("..%2F{}", one.filename)),
        (&one.name, &one.sha256(), &format!("{}.metadata.metadata", one.filename)),
        (&one.name, &one.sha256(), &format!("{}/", one.filename)),
    ] {
        at(project, digest, filename).expect(&[404]);
    }
    // The same in another registry is another address.
    let organization = index.organization();
    organization.registry("second", Visibility::Private);
    let second = index.path("").replace("/main/", "/second/");
    let path = format!("{second}/files/{}/{}/{}", one.name, one.sha256(), one.filename);
    index.writer.ask("GET", &path).expect(&[404]);
}

#[test]
fn plus_and_exclamation_mark_are_found_escaped_and_raw() {
    let index = Index::new();
    let file = Wheel::new(&project(), "1!2.0+cu118.abc").build();
    index.takes(&file);
    let entry = index.entry(&file.name, &file.filename);
    let url = entry["url"].as_str().expect("a file has an address");
    assert!(url.ends_with(&file.filename.replace('!', "%21").replace('+', "%2B")), "{url}");
    let folder = index.path(&format!("/files/{}/{}", file.name, file.sha256()));
    for spelled in [
        file.filename.clone(),
        file.filename.replace('+', "%2B"),
        file.filename.replace('+', "%2b").replace('!', "%21"),
        file.filename.replace('-', "%2D"),
    ] {
        for suffix in ["", ".metadata"] {
            index.writer.ask("GET", &format!("{folder}/{spelled}{suffix}")).expect(&[200]);
        }
    }
    let viewer = index.organization().member(Role::Viewer);
    assert_eq!(viewer.get(url).expect(&[200]).body, file.bytes);
}
