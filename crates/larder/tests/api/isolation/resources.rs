//! Requests that would use up the server.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};
use testkit::{random_word, sha256};

use crate::scene::{
    Calls as _, LAYER_TYPE, MANIFEST_TYPE, Organization, connect, empty_config, expect_error, expect_problem,
    own_server, small_manifest, writer_and_repository,
};

#[test]
fn t30_open_uploads_of_one_user_have_a_limit() {
    let server = own_server(&[("LARDER_UPLOADS__OPEN_PER_USER", "3")]);
    let organization = Organization::on(&server.api());
    let [one, other] =
        [organization.member(testkit::Role::Writer), organization.member(testkit::Role::Writer)];
    let (first, second) = (organization.repository("first"), organization.repository("second"));
    let open: Vec<String> =
        [&first, &second, &first].iter().map(|repository| one.upload_open(repository)).collect();
    for (repository, query) in [
        (&first, String::new()),
        (&second, format!("?digest={}", sha256(b"x"))),
        (&second, format!("?mount={}", sha256(b"nothing"))),
        (&second, format!("?mount={}&from={first}", sha256(b"nothing"))),
    ] {
        let answer = one.call("POST", &format!("/v2/{repository}/blobs/uploads/{query}"), &[], "x");
        let after = answer.header("retry-after").and_then(|after| after.parse::<u64>().ok());
        assert!(after.is_some_and(|after| after > 0), "{answer}");
        expect_error(answer, 429, "TOOMANYREQUESTS");
    }
    // Nobody else is held up, and what is open goes on.
    other.blob_push(&first, b"somebody else's");
    one.call("PATCH", &open[0], &[], "x").expect(&[202]);
    one.ask("PUT", &format!("{}?digest={}", open[0], sha256(b"x"))).expect(&[201]);
    // Room is made by finishing and by giving up.
    let reopened = one.upload_open(&first);
    one.ask("POST", &format!("/v2/{first}/blobs/uploads/")).expect(&[429]);
    one.ask("DELETE", &reopened).expect(&[204]);
    one.upload_open(&first);
}

/// Tags that one answer lists at most.
const LARGEST_PAGE: usize = 10_000;

#[test]
fn t30_a_page_has_a_size_that_the_client_cannot_raise() {
    let (api, repository) = writer_and_repository();
    let pushed = api.image_push(&repository, "first", &small_manifest());
    // More tags than the largest page has, 32 in each request.
    let tags: Vec<String> = (0..=LARGEST_PAGE).map(|number| format!("t{number:05}")).collect();
    for tags in tags.chunks(32) {
        let query: Vec<String> = tags.iter().map(|tag| format!("tag={tag}")).collect();
        let path = format!("/v2/{repository}/manifests/{}?{}", pushed.digest, query.join("&"));
        api.call("PUT", &path, &[("content-type", MANIFEST_TYPE)], pushed.bytes.clone()).expect(&[201]);
    }
    for n in ["10001", "4294967296", "18446744073709551615", "18446744073709551616", &"9".repeat(100)] {
        for path in [format!("/v2/{repository}/tags/list?n={n}"), format!("/v2/_catalog?n={n}")] {
            let answer = api.ask("GET", &path).expect(&[200]);
            let page = answer.json();
            let items = page["tags"].as_array().or(page["repositories"].as_array()).expect("a list");
            assert!(items.len() <= LARGEST_PAGE, "{} items in a page of {n}", items.len());
            assert_eq!(answer.header("link").is_some(), path.contains("tags"), "{:?}", answer.headers);
        }
        let path = format!("/v2/{repository}/referrers/{}?n={n}", pushed.digest);
        api.ask("GET", &path).expect(&[200]);
    }
    for n in ["-1", "x", "1.5", "0x10", "%00"] {
        let answer = api.ask("GET", &format!("/v2/{repository}/tags/list?n={n}"));
        expect_error(answer, 400, "PAGINATION_NUMBER_INVALID");
    }
}

#[test]
fn t30_a_manifest_names_a_bounded_number_of_things() {
    let (api, repository) = writer_and_repository();
    let layer = api.blob_push(&repository, b"layer");
    api.blob_push(&repository, b"{}");
    let push = |layers: usize| {
        let layer = json!({ "mediaType": LAYER_TYPE, "digest": layer, "size": 5 });
        let mut manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": empty_config() });
        manifest["layers"] = Value::Array(vec![layer; layers]);
        api.manifest_put(&repository, "many", MANIFEST_TYPE, manifest.to_string().as_bytes())
    };
    push(4095).expect(&[201]);
    let message = expect_error(push(4096), 400, "MANIFEST_INVALID");
    assert!(message.contains("4096"), "{message}");
}

#[test]
fn t30_bodies_have_a_size() {
    let (api, repository) = writer_and_repository();
    let manifest = vec![b' '; 4 * 1024 * 1024 + 1];
    expect_error(api.manifest_put(&repository, "big", MANIFEST_TYPE, &manifest), 413, "SIZE_INVALID");
    let body = json!({ "name": random_word().repeat(4000) });
    expect_problem(api.manage("POST", "/me/tokens", &body), 413, "malformed");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer =
        api.call("POST", "/token", &form, format!("grant_type=password&scope={}", "x".repeat(70_000)));
    answer.expect(&[413]);
}

#[test]
fn t30_a_body_that_stands_still_is_given_up_and_the_upload_goes_on() {
    let server = own_server(&[("LARDER_UPLOADS__STALL_TIMEOUT", "1s")]);
    let organization = Organization::on(&server.api());
    let (api, repository) = (organization.member(testkit::Role::Writer), organization.repository("app"));
    let upload = api.upload_open(&repository);
    let token = api.token_create("raw")["token"].as_str().expect("a token is text").to_owned();
    let head = format!(
        "PATCH {upload} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nContent-Length: 1000\r\n\r\nten bytes!"
    );
    // Nothing more is sent, and the connection stays open: the server has to end it.
    let mut stream = connect(&server);
    stream.write_all(head.as_bytes()).expect("the server takes the beginning");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("BLOB_UPLOAD_INVALID"), "{answer}");
    assert!(answer.contains("no data came for 1 seconds"), "{answer}");
    // What came is kept, and the client goes on from there.
    let status = api.ask("GET", &upload).expect(&[204]);
    assert_eq!(status.header("range"), Some("0-9"), "{status}");
    api.call("PATCH", &upload, &[("content-range", "10-13")], "more").expect(&[202]);
    api.ask("PUT", &format!("{upload}?digest={}", sha256(b"ten bytes!more"))).expect(&[201]);
}
