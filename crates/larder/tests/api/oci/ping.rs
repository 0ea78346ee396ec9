//! `GET /v2/`, routing, and the shape of every error.

use testkit::{Api, random_word, sha256};

use crate::scene::{
    Calls as _, MANIFEST_TYPE, Organization, admin, expect_error, raw, server, small_manifest,
    writer_and_repository,
};

/// The longest part of an offending value that a message repeats.
const LONGEST_EXCERPT: usize = 64;

fn challenge(scope: &str) -> String {
    let scope = if scope.is_empty() { String::new() } else { format!(",scope=\"{scope}\"") };
    format!("Bearer realm=\"{}/token\",service=\"larder\"{scope}", server().url())
}

#[test]
fn nobody_is_asked_to_sign_in_by_a_quoted_bearer_challenge() {
    let nobody = admin().as_nobody();
    for path in ["/v2/", "/v2"] {
        let answer = nobody.ask("GET", path).expect(&[401]);
        assert_eq!(answer.header("www-authenticate"), Some(challenge("").as_str()), "{answer}");
        assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 1, "{answer}");
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"), "{answer}");
        expect_error(answer, 401, "UNAUTHORIZED");
        let head = nobody.ask("HEAD", path).expect(&[401]);
        assert_eq!(head.header("www-authenticate"), Some(challenge("").as_str()), "{head}");
    }
}

#[test]
fn a_token_of_anybody_is_good_for_the_ping() {
    let anonymous_token = admin().as_nobody().token(&[]);
    for caller in
        [admin().clone(), admin().as_bearer(&admin().token(&[])), admin().as_bearer(&anonymous_token)]
    {
        for path in ["/v2/", "/v2"] {
            let answer = caller.ask("GET", path).expect(&[200]);
            assert_eq!(answer.body, b"{}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
            assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"), "{answer}");
            let head = caller.ask("HEAD", path).expect(&[200]);
            assert_eq!(head.header("content-type"), Some("application/json"), "{head}");
        }
    }
}

#[test]
fn nobody_is_told_which_scope_a_request_takes() {
    let (writer, repository) = writer_and_repository();
    let nobody = admin().as_nobody();
    let digest = writer.blob_push(&repository, b"content");
    let session = writer.upload_open(&repository);
    let (pull, push, delete) = (
        format!("repository:{repository}:pull"),
        format!("repository:{repository}:pull,push"),
        format!("repository:{repository}:delete"),
    );
    let at = |rest: &str| format!("/v2/{repository}/{rest}");
    let from = repository.replace("/app", "/other");
    let mount = format!("{push} repository:{from}:pull");
    for (method, path, scope) in [
        ("GET", at(&format!("blobs/{digest}")), pull.as_str()),
        ("HEAD", at(&format!("blobs/{digest}")), &pull),
        ("DELETE", at(&format!("blobs/{digest}")), &delete),
        ("POST", at("blobs/uploads/"), &push),
        ("POST", at(&format!("blobs/uploads/?mount={digest}")), &push),
        ("POST", at(&format!("blobs/uploads/?mount={digest}&from={from}")), &mount),
        ("GET", session.clone(), &push),
        ("PATCH", session.clone(), &push),
        ("PUT", session.clone(), &push),
        ("DELETE", session, &push),
        ("GET", at("manifests/1"), &pull),
        ("HEAD", at("manifests/1"), &pull),
        ("PUT", at("manifests/1"), &push),
        ("DELETE", at("manifests/1"), &delete),
        ("GET", at("tags/list"), &pull),
        ("GET", at(&format!("referrers/{digest}")), &pull),
        ("GET", at(&format!("_oras/artifacts/referrers?digest={digest}")), &pull),
        ("GET", at("_oci/ext/discover"), &pull),
        ("GET", format!("/oras/artifacts/v1/{repository}/manifests/{digest}/referrers"), &pull),
        ("GET", "/v2/_catalog".to_owned(), "registry:catalog:*"),
        ("GET", "/v2/_oci/ext/discover".to_owned(), ""),
        // What is wrong with a request is nobody's business who has no right to it.
        ("GET", at("blobs/sha256:bad"), &pull),
        ("PUT", at("manifests/-"), &push),
    ] {
        let answer = nobody.ask(method, &path).expect(&[401]);
        assert_eq!(answer.header("www-authenticate"), Some(challenge(scope).as_str()), "{answer}");
    }
}

#[test]
fn i5_a_repository_may_be_called_like_an_endpoint() {
    let organization = Organization::new();
    let writer = organization.member(testkit::Role::Writer);
    for name in [
        "blobs",
        "manifests",
        "tags",
        "referrers",
        "uploads",
        "blobs/uploads",
        "tags/list",
        "manifests/latest",
        "a/blobs/uploads",
        "a/referrers/b",
        "v2",
        "token",
    ] {
        let repository = organization.repository(name);
        let manifest = small_manifest();
        let session = writer.upload_open(&repository);
        assert!(session.starts_with(&format!("/v2/{repository}/blobs/uploads/")), "{session}");
        writer.ask("GET", &session).expect(&[204]);
        writer.ask("DELETE", &session).expect(&[204]);
        let pushed = writer.image_push(&repository, "latest", &manifest);
        let get = |rest: &str| writer.ask("GET", &format!("/v2/{repository}/{rest}")).expect(&[200]);
        assert_eq!(get("manifests/latest").body, pushed.bytes, "{repository}");
        assert_eq!(get(&format!("blobs/{}", sha256(b"{}"))).body, b"{}", "{repository}");
        let tags = get("tags/list").json();
        assert_eq!(tags, serde_json::json!({ "name": repository, "tags": ["latest"] }));
        get(&format!("referrers/{}", pushed.digest));
    }
}

#[test]
fn a_component_with_an_underscore_in_front_is_never_a_repository() {
    let organization = Organization::new();
    let writer = organization.member(testkit::Role::Writer);
    for name in ["_app", "_catalog", "_oci", "_oras", "a/_b"] {
        let path = format!("/v2/{}/tags/list", organization.repository(name));
        expect_error(writer.ask("GET", &path), 400, "NAME_INVALID");
    }
}

#[test]
fn a_name_of_less_than_three_parts_says_what_a_name_is() {
    let organization = Organization::new();
    let writer = organization.member(testkit::Role::Writer);
    for name in ["app".to_owned(), format!("{}/main", organization.name)] {
        let message = expect_error(writer.ask("GET", &format!("/v2/{name}/tags/list")), 400, "NAME_INVALID");
        assert!(message.contains("<organization>/<registry>/<repository>"), "{message}");
        // An answer to HEAD cannot say it; the client goes on to a request whose answer can.
        writer.ask("HEAD", &format!("/v2/{name}/manifests/1")).expect(&[404]);
    }
}

#[test]
fn names_follow_the_grammar() {
    let organization = Organization::new();
    let writer = organization.member(testkit::Role::Writer);
    for good in ["a", "0", "a.b", "a_b", "a__b", "a-b", "a---b", "a/b/c/d/e", &"x".repeat(100)] {
        writer.blob_push(&organization.repository(good), b"content");
    }
    for bad in ["A", "a..b", "a___b", "-a", "a-", "a.", "a_-b", "a%20b", "%C3%A4", &"x/".repeat(120)] {
        let name = organization.repository(bad.trim_end_matches('/'));
        let path = format!("/v2/{name}/blobs/uploads/");
        expect_error(writer.ask("POST", &path), 400, "NAME_INVALID");
    }
}

#[test]
fn what_is_no_endpoint_is_not_found() {
    let (writer, repository) = writer_and_repository();
    for path in ["/v2/nothing", &format!("/v2/{repository}"), &format!("/v2/{repository}/tags")] {
        expect_error(writer.ask("GET", path), 404, "UNSUPPORTED");
    }
}

#[test]
fn a_method_that_an_endpoint_does_not_take_is_told_which_it_does() {
    let (writer, repository) = writer_and_repository();
    let digest = writer.blob_push(&repository, b"content");
    let session = writer.upload_open(&repository);
    let at = |rest: &str| format!("/v2/{repository}/{rest}");
    for (method, path, allow) in [
        ("POST", "/v2/".to_owned(), "GET, HEAD"),
        ("POST", "/v2/_catalog".to_owned(), "GET, HEAD"),
        ("PUT", at(&format!("blobs/{digest}")), "GET, HEAD, DELETE"),
        ("GET", at("blobs/uploads/"), "POST"),
        ("POST", session, "GET, HEAD, PATCH, PUT, DELETE"),
        ("PATCH", at("manifests/1"), "GET, HEAD, PUT, DELETE"),
        ("DELETE", at("tags/list"), "GET, HEAD"),
        ("PUT", at(&format!("referrers/{digest}")), "GET, HEAD"),
    ] {
        let answer = writer.ask(method, &path);
        assert_eq!(answer.header("allow"), Some(allow), "{answer}");
        expect_error(answer, 405, "UNSUPPORTED");
    }
}

/// Every request that a writer can get wrong, with its status and code.
#[test]
fn i12_every_refusal_has_the_body_of_the_protocol() {
    let (writer, repository) = writer_and_repository();
    let digest = writer.blob_push(&repository, b"content");
    let absent = sha256(random_word().as_bytes());
    let nowhere = repository.replace("/app", "/nowhere");
    let session = "blobs/uploads/00000000-0000-4000-8000-000000000000";
    for (method, rest, status, code) in [
        ("GET", format!("blobs/{absent}"), 404, "BLOB_UNKNOWN"),
        ("DELETE", format!("blobs/{absent}"), 404, "BLOB_UNKNOWN"),
        ("GET", "blobs/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        (
            "GET",
            format!("blobs/{}", digest.to_uppercase().replace("SHA256", "sha256")),
            400,
            "DIGEST_INVALID",
        ),
        ("GET", format!("blobs/md5:{}", "0".repeat(32)), 400, "DIGEST_INVALID"),
        ("GET", "blobs/content".to_owned(), 400, "DIGEST_INVALID"),
        ("DELETE", "blobs/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "manifests/absent".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", format!("manifests/{absent}"), 404, "MANIFEST_UNKNOWN"),
        ("DELETE", "manifests/absent".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("DELETE", format!("manifests/{absent}"), 404, "MANIFEST_UNKNOWN"),
        ("GET", "manifests/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("DELETE", "manifests/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", format!("manifests/{}", "t".repeat(129)), 404, "MANIFEST_UNKNOWN"),
        ("PUT", format!("manifests/{}", "t".repeat(129)), 400, "MANIFEST_INVALID"),
        ("PUT", "manifests/-t".to_owned(), 400, "MANIFEST_INVALID"),
        ("PUT", "manifests/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("PUT", "manifests/1".to_owned(), 400, "MANIFEST_INVALID"),
        ("GET", session.to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PATCH", session.to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PUT", format!("{session}?digest={digest}"), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("PUT", session.to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("DELETE", session.to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET", "blobs/uploads/none".to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("POST", "blobs/uploads/?digest=sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("POST", "blobs/uploads/?mount=sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("POST", "blobs/uploads/?digest-algorithm=md5".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "tags/list?n=-1".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "tags/list?n=many".to_owned(), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", "referrers/sha256:bad".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", format!("referrers/{digest}?n=x"), 400, "PAGINATION_NUMBER_INVALID"),
        ("GET", format!("referrers/{digest}?nextToken=x"), 400, "UNSUPPORTED"),
        ("GET", "_oras/artifacts/referrers".to_owned(), 400, "DIGEST_INVALID"),
    ] {
        expect_error(writer.ask(method, &format!("/v2/{repository}/{rest}")), status, code);
    }
    for rest in [format!("blobs/{absent}"), "manifests/1".to_owned(), "tags/list".to_owned()] {
        let answer = writer.ask("GET", &format!("/v2/{nowhere}/{rest}")).expect(&[404]);
        let code = answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned();
        assert!(["NAME_UNKNOWN", "BLOB_UNKNOWN"].contains(&code.as_str()), "{answer}");
        expect_error(answer, 404, &code);
    }
    expect_error(writer.ask("GET", "/v2/_catalog?n=-5"), 400, "PAGINATION_NUMBER_INVALID");
}

/// The part of a message that repeats a run of `x`, which no message has of its own.
fn longest_run(message: &str) -> usize {
    message.split(|character| character != 'x').map(str::len).max().unwrap_or_default()
}

#[test]
fn offending_values_come_back_cut_and_harmless() {
    let (writer, repository) = writer_and_repository();
    let long = "x".repeat(1000);
    let session = writer.upload_open(&repository);
    let at = |rest: &str| format!("/v2/{repository}/{rest}");
    let typed = |media_type: &str| [("content-type", media_type.to_owned())];
    let check = |answer: testkit::Answer| {
        let code = answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned();
        let message = expect_error(answer.clone(), answer.status, &code);
        assert!((400..500).contains(&answer.status), "{answer}");
        assert!(longest_run(&message) <= LONGEST_EXCERPT, "{message}");
    };
    for path in [
        at(&format!("manifests/sha256:{long}")),
        at(&format!("blobs/{long}")),
        at(&format!("tags/list?n={long}")),
        at("tags/list?n=%1b%5b31m%0d%0a"),
        at(&format!("referrers/{long}:00")),
        at(&format!("referrers/{}?nextToken={long}", sha256(b""))),
        format!("/v2/{repository}/{long}-/tags/list"),
        format!("/v2/{repository}/%1b/tags/list"),
        "/v2/_catalog?n=x%00".to_owned(),
    ] {
        check(writer.ask("GET", &path));
    }
    let manifest = |body: String, media_type: &str| {
        let headers = typed(media_type);
        let headers = [(headers[0].0, headers[0].1.as_str())];
        check(writer.call("PUT", &at("manifests/1"), &headers, body));
    };
    manifest("{}".to_owned(), &format!("application/{long}"));
    manifest(format!("{{\"schemaVersion\":2,\"mediaType\":\"{long}\\u001b\"}}"), MANIFEST_TYPE);
    manifest(format!("{{\"{long}\":1,\"{long}\":2}}"), MANIFEST_TYPE);
    manifest(format!("{{\"{long}"), MANIFEST_TYPE);
    manifest(long.clone(), MANIFEST_TYPE);
    manifest(
        format!("{{\"schemaVersion\":2,\"config\":{{\"digest\":\"{long}\"}},\"layers\":[]}}"),
        MANIFEST_TYPE,
    );
    let mut annotated = small_manifest();
    annotated["annotations"][long.as_str()] = 1.into();
    manifest(annotated.to_string(), MANIFEST_TYPE);
    check(writer.call("PATCH", &session, &[("content-range", &long)], "a"));
    check(writer.ask("PUT", &format!("{session}?digest=sha256:{long}")));
}

#[test]
fn an_error_about_a_head_request_has_no_body() {
    let (writer, repository) = writer_and_repository();
    let authorization = basic(&writer);
    for (path, status) in [
        (format!("/v2/{repository}/manifests/absent"), "404"),
        (format!("/v2/{repository}/blobs/{}", sha256(b"absent")), "404"),
        (format!("/v2/{repository}/blobs/sha256:bad"), "400"),
    ] {
        let answer = raw(
            server(),
            format!("HEAD {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n", server().host())
                .as_bytes(),
        );
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(body, "", "{answer}");
    }
}

/// The header that says who this is.
fn basic(caller: &Api) -> String {
    let request = caller.request(testkit::Method::GET, "/").build().expect("a plain request can be built");
    request.headers()["authorization"].to_str().expect("credentials are text").to_owned()
}
