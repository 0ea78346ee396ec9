//! Who may upload, and what the others are told.

use std::fmt::Write as _;

use serde_json::json;
use testkit::python::{Part, Upload, exchange};
use testkit::{Answer, Api, Method, Role, Visibility};

use super::scene::{Index, OwnIndex, expect_refusal, expect_taken, leaving_nothing, wheel};
use crate::scene::{Calls as _, own_server, user_of};

/// Asserts that an answer is a refusal with status 401 that asks for a password.
#[track_caller]
fn expect_challenge(answer: Answer, place: &str) {
    let challenge = format!("Basic realm=\"{place}\", charset=\"UTF-8\"");
    let all: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(all, [challenge.as_str()], "{answer}");
    expect_refusal(answer, 401, "UNAUTHORIZED", "");
}

/// Uploads to a place that need not exist.
#[track_caller]
fn upload_to(api: &Api, organization: &str, registry: &str) -> Answer {
    api.python_upload(organization, registry, &wheel().build())
}

#[test]
fn u24_who_says_nothing_is_asked_for_a_password() {
    let index = Index::new();
    let name = &index.organization().name;
    index.organization().registry("open", Visibility::Public);
    let nobody = index.writer.as_nobody();
    // Whether a registry is private, public or not there is not to be seen from the answer.
    let answers = ["main", "open", "absent"].map(|registry| {
        let answer = upload_to(&nobody, name, registry);
        expect_challenge(answer.clone(), &format!("{name}/{registry}"));
        answer.json()
    });
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    expect_challenge(upload_to(&nobody, "no-such-organization", "main"), "no-such-organization/main");
    // No registry has such a name; it is not repeated in a header.
    expect_challenge(upload_to(&nobody, "No_Such%22", "main"), "larder");
    index.is_empty();
}

#[test]
fn u24_wrong_credentials_are_401() {
    // A server of its own: wrong passwords slow down everybody at the same address.
    let server = own_server(&[]);
    let index = Index::on(&server);
    let place = format!("{}/main", index.organization().name);
    let wrong = index.writer.as_user(index.writer.username(), "wrong");
    expect_challenge(upload_to(&wrong, &index.organization().name, "main"), &place);
    let token = index.writer.as_user("__token__", "lrd_0000000000000000000000000000000000000000");
    expect_challenge(upload_to(&token, &index.organization().name, "main"), &place);
    let nobody = index.writer.as_nobody();
    for credentials in
        ["Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Digest username=\"x\"", "Bearer", "Bearer x y", "x"]
    {
        let headers = [("Authorization", credentials), ("Content-Type", "text/plain")];
        expect_challenge(nobody.exchange(&Method::POST, &index.path(""), &headers, b"x"), &place);
    }
    index.is_empty();
}

#[test]
fn u24_a_personal_token_as_twine_uv_and_programs_send_it() {
    let index = Index::new();
    let created = index.writer.token_create("twine");
    let secret = created["token"].as_str().expect("a token");
    let file = wheel().build();
    for api in [
        index.writer.as_user("__token__", secret),
        index.writer.as_user("__token__", &format!("{secret}\n")),
        index.writer.as_user(index.writer.username(), secret),
        index.writer.as_bearer(secret),
    ] {
        expect_taken(api.python_upload(&index.organization().name, "main", &file));
    }
    assert_eq!(index.row(&file.name, &file.filename)["uploaded_by"].as_str(), Some(index.writer.username()));
    let id = created["id"].as_str().expect("an id");
    index.writer.token_delete(id);
    let revoked = index.writer.as_user("__token__", secret);
    expect_challenge(
        revoked.python_upload(&index.organization().name, "main", &file),
        &format!("{}/main", index.organization().name),
    );
}

#[test]
fn u24_who_may_only_read_or_nothing_at_all_is_403() {
    let index = Index::new();
    let name = &index.organization().name;
    index.organization().registry("open", Visibility::Public);
    let viewer = index.organization().member(Role::Viewer);
    let message = expect_refusal(upload_to(&viewer, name, "main"), 403, "DENIED", "push");
    assert!(message.contains(viewer.username()), "{message}");
    let outsider = user_of(index.organization().admin());
    // A registry that somebody may not see and one that is not there are answered alike.
    let hidden = expect_refusal(upload_to(&outsider, name, "main"), 403, "DENIED", "");
    let absent = expect_refusal(upload_to(&outsider, name, "gone"), 403, "DENIED", "");
    assert_eq!(hidden.replace("main", "gone"), absent);
    expect_refusal(upload_to(&outsider, "no-such-organization", "main"), 403, "DENIED", "");
    expect_refusal(upload_to(&outsider, name, "No_Such"), 403, "DENIED", "");
    expect_refusal(upload_to(&outsider, name, "open"), 403, "DENIED", "push");
    // Who may push elsewhere in the organization may not push here.
    let elsewhere = user_of(index.organization().admin());
    index.organization().admin().member_put(
        testkit::Place::Registry(name, "open"),
        elsewhere.username(),
        Role::Writer,
    );
    expect_refusal(upload_to(&elsewhere, name, "main"), 403, "DENIED", "");
    expect_taken(upload_to(&elsewhere, name, "open"));
    index.is_empty();
}

#[test]
fn u24_a_token_for_a_repository_is_none_for_an_index() {
    let index = Index::new();
    let scope = format!("repository:{}:pull,push", index.repository("demo"));
    let bearer = index.writer.as_bearer(&index.writer.token(&[&scope]));
    let answer = bearer.python_upload(&index.organization().name, "main", &wheel().build());
    expect_refusal(answer, 403, "DENIED", "this token is for pushing and pulling under /v2/");
    index.is_empty();
}

#[test]
fn rights_come_before_what_is_wrong_with_the_request() {
    let index = Index::new();
    let viewer = index.organization().member(Role::Viewer);
    let send =
        |api: &Api| api.exchange(&Method::POST, &index.path(""), &[("Content-Type", "text/plain")], b"x");
    expect_refusal(send(&viewer), 403, "DENIED", "");
    expect_refusal(send(&index.writer.as_nobody()), 401, "UNAUTHORIZED", "");
    expect_refusal(send(&index.writer), 415, "UNSUPPORTED", "");
}

#[test]
fn u25_b27_a_read_only_registry_takes_nothing() {
    leaving_nothing(|index| {
        index.change(&json!({ "read_only": true }));
        let file = wheel().build();
        let answer = index.upload(&file);
        // Nothing that a client would try again at once.
        assert_eq!(answer.header("retry-after"), None, "{answer}");
        expect_refusal(answer, 403, "DENIED", "is read-only");
        index.has_nothing_of(&file.name);
    });
    let index = Index::new();
    let file = wheel().build();
    index.takes(&file);
    index.change(&json!({ "read_only": true }));
    // Not even what is there already, and reading goes on.
    expect_refusal(index.upload(&file), 403, "DENIED", "is read-only");
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    index.change(&json!({ "read_only": false }));
    index.takes(&file);
}

#[test]
fn b27_a_project_that_is_archived_or_quarantined_takes_nothing() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().build();
    index.takes(&file);
    let project = format!("/projects/{}", file.name);
    let next = testkit::python::Wheel::new(&file.name, "2.0").build();
    for (status, code) in
        [("archived", "PYTHON_PROJECT_ARCHIVED"), ("quarantined", "PYTHON_PROJECT_QUARANTINED")]
    {
        let change = json!({ "status": status, "reason": "it is said so" });
        index.manage("PATCH", &project, &change).expect(&[200]);
        for file in [&file, &next] {
            let answer = index.upload(file);
            let message = expect_refusal(answer, 403, code, &format!("is {status}"));
            assert!(message.contains("it is said so"), "{message}");
        }
    }
    index.manage("PATCH", &project, &json!({ "status": "active" })).expect(&[200]);
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    own.collect();
    own.scrub();
    own.holds(false, &next);
    index.manage("PATCH", &project, &json!({ "status": "deprecated" })).expect(&[200]);
    index.takes(&next);
}

#[test]
fn u27_the_index_is_not_where_uploads_go() {
    let index = Index::new();
    let file = wheel().build();
    let content_type = Upload::content_type();
    let headers = [("Content-Type", content_type.as_str())];
    for path in ["/simple/", "/simple", "/simple/demo/", "/+simple/", "/%2Bsimple/demo/"] {
        let answer =
            index.writer.exchange(&Method::POST, &index.path(path), &headers, &Upload::new(&file).body());
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{answer}");
        expect_refusal(answer, 405, "UNSUPPORTED", "upload to the URL that ends in /python");
    }
    for (method, path, allow) in [
        (Method::PUT, "", "GET, HEAD, POST"),
        (Method::DELETE, "/", "GET, HEAD, POST"),
        (Method::PATCH, "", "GET, HEAD, POST"),
        (Method::PUT, "/simple/", "GET, HEAD"),
        (Method::DELETE, "/simple/demo/", "GET, HEAD"),
    ] {
        let answer = index.writer.exchange(&method, &index.path(path), &headers, b"x");
        assert_eq!(answer.header("allow"), Some(allow), "{answer}");
        expect_refusal(answer, 405, "UNSUPPORTED", "");
    }
    expect_refusal(
        index.writer.exchange(&Method::POST, &index.path("/elsewhere"), &headers, b"x"),
        404,
        "NOT_FOUND",
        "nothing is at this path",
    );
    index.is_empty();
}

/// What a request says of the host that it was sent to is in no page: pages are kept and passed on.
#[test]
fn s2_a_host_that_a_request_makes_up_is_in_no_url() {
    for public_url in [None, Some("https://packages.example.com")] {
        let variables: Vec<_> = public_url.iter().map(|url| ("LARDER_SERVER__PUBLIC_URL", *url)).collect();
        let server = own_server(&variables);
        let index = Index::on(&server);
        let file = wheel().build();
        index.takes(&file);
        let authorization = index.writer.request(Method::GET, "/").build().expect("a request can be built");
        let authorization = authorization.headers()["authorization"].to_str().expect("text").to_owned();
        let ask = |path: &str, host: &str, more: &[(&str, &str)]| {
            let mut head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
            let _ = write!(
                head,
                "Authorization: {authorization}\r\nAccept: application/vnd.pypi.simple.v1+json\r\n"
            );
            for (name, value) in more {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            exchange(index.host(), format!("{head}\r\n").as_bytes()).expect(&[200])
        };
        for path in [
            index.path(&format!("/simple/{}/", file.name)),
            index.path(&format!("/simple/{}/?format=text/html", file.name)),
            index.path(&format!("/simple/{}/?token=lrd_evil&host=evil.example.net", file.name)),
            index.path("/simple/"),
            index.path("/"),
        ] {
            let honest = ask(path.split('?').next().unwrap_or_default(), &server.host(), &[]);
            for (host, more) in [
                ("evil.example.net", &[][..]),
                (
                    &server.host(),
                    &[("X-Forwarded-Host", "evil.example.net"), ("X-Forwarded-Proto", "gopher")],
                ),
                (&server.host(), &[("Forwarded", "host=evil.example.net;proto=gopher")]),
                (&server.host(), &[("X-Forwarded-Prefix", "/evil"), ("X-Original-URL", "/evil")]),
            ] {
                let answer = ask(&path, host, more);
                let text = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
                assert!(!text.contains("evil") && !text.contains("gopher"), "{answer}");
                if !path.contains("format=") {
                    assert_eq!(answer.body, honest.body, "{answer}");
                    assert_eq!(answer.header("etag"), honest.header("etag"), "{answer}");
                }
            }
        }
        let url =
            index.entry(&file.name, &file.filename)["url"].as_str().expect("a file has a URL").to_owned();
        assert!(url.starts_with(&format!("{}/api/v1/", public_url.unwrap_or_default())), "{url}");
    }
}

#[test]
fn credentials_of_a_client_are_in_no_answer() {
    let index = Index::new();
    let file = wheel().build();
    index.takes(&file);
    let answers = [
        index.page(&file.name),
        index.upload(&file.clone().renamed("x.zip")),
        index.send(&Upload::new(&file).part(Part::text("password", index.writer.password()))),
    ];
    for answer in answers {
        let text = format!("{:?} {}", answer.headers, String::from_utf8_lossy(&answer.body));
        assert!(!text.contains(index.writer.password()), "{answer}");
    }
}
