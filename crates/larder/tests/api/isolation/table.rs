//! Every endpoint that there is, once, with what a sensible request to it carries; and the proof that none is
//! missing.

use std::collections::BTreeSet;

use ::oci::Call;
use reqwest::Method;

/// How a request says that its body is JSON.
const CONTENT_TYPE_JSON: &[(&str, &str)] = &[("content-type", "application/json")];
/// How it says that its body is an index.
const CONTENT_TYPE_MANIFEST: &[(&str, &str)] = &[("content-type", "application/vnd.oci.image.index.v1+json")];

/// One endpoint. Names in braces stand for what the request is aimed at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    /// For the management API what stands behind `/api/v1`, else the whole path.
    pub(crate) path: &'static str,
    /// Header fields of the request.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Its body; names in braces as in the path.
    pub(crate) body: &'static str,
}

const fn plain(method: &'static str, path: &'static str) -> Endpoint {
    Endpoint { method, path, headers: &[], body: "" }
}

const fn with_body(
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Endpoint {
    Endpoint { method, path, headers, body }
}

/// The registry protocol, the older ORAS path included.
const PROTOCOL: &[Endpoint] = &[
    plain("GET", "/v2/"),
    plain("GET", "/v2/_catalog"),
    plain("GET", "/v2/_oci/ext/discover"),
    plain("GET", "/v2/{repository}/_oci/ext/discover"),
    plain("GET", "/v2/{repository}/blobs/{blob}"),
    plain("HEAD", "/v2/{repository}/blobs/{blob}"),
    plain("DELETE", "/v2/{repository}/blobs/{blob}"),
    plain("POST", "/v2/{repository}/blobs/uploads/"),
    plain("POST", "/v2/{repository}/blobs/uploads/?digest={blob}"),
    plain("POST", "/v2/{repository}/blobs/uploads/?mount={blob}&from={repository}"),
    plain("POST", "/v2/{repository}/blobs/uploads/?mount={blob}"),
    plain("GET", "/v2/{repository}/blobs/uploads/{upload}"),
    with_body("PATCH", "/v2/{repository}/blobs/uploads/{upload}", &[], "more"),
    plain("PUT", "/v2/{repository}/blobs/uploads/{upload}?digest={blob}"),
    plain("DELETE", "/v2/{repository}/blobs/uploads/{upload}"),
    plain("GET", "/v2/{repository}/manifests/{tag}"),
    plain("GET", "/v2/{repository}/manifests/{manifest}"),
    plain("HEAD", "/v2/{repository}/manifests/{tag}"),
    plain("HEAD", "/v2/{repository}/manifests/{manifest}"),
    with_body("PUT", "/v2/{repository}/manifests/{tag}", CONTENT_TYPE_MANIFEST, MANIFEST),
    with_body("PUT", "/v2/{repository}/manifests/{manifest}", CONTENT_TYPE_MANIFEST, MANIFEST),
    plain("DELETE", "/v2/{repository}/manifests/{tag}"),
    plain("DELETE", "/v2/{repository}/manifests/{manifest}"),
    plain("GET", "/v2/{repository}/tags/list"),
    plain("GET", "/v2/{repository}/referrers/{manifest}"),
    plain("GET", "/v2/{repository}/_oras/artifacts/referrers?digest={manifest}"),
    plain("GET", "/oras/artifacts/v1/{repository}/manifests/{manifest}/referrers"),
];

/// A manifest that would be accepted where its parts are.
const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// The management API.
const API: &[Endpoint] = &[
    plain("GET", "/me"),
    plain("GET", "/me/tokens"),
    with_body("POST", "/me/tokens", CONTENT_TYPE_JSON, r#"{"name":"mine"}"#),
    plain("DELETE", "/me/tokens/{token}"),
    plain("GET", "/users"),
    with_body(
        "POST",
        "/users",
        CONTENT_TYPE_JSON,
        r#"{"username":"{username}","email":"a@example.com","password":"correct horse battery"}"#,
    ),
    plain("GET", "/users/{username}"),
    plain("DELETE", "/users/{username}"),
    plain("GET", "/organizations"),
    with_body("POST", "/organizations", CONTENT_TYPE_JSON, r#"{"name":"{organization}"}"#),
    plain("GET", "/organizations/{organization}"),
    plain("DELETE", "/organizations/{organization}"),
    plain("GET", "/organizations/{organization}/members"),
    with_body(
        "PUT",
        "/organizations/{organization}/members/{username}",
        CONTENT_TYPE_JSON,
        r#"{"role":"viewer"}"#,
    ),
    plain("GET", "/organizations/{organization}/members/{username}"),
    plain("DELETE", "/organizations/{organization}/members/{username}"),
    plain("GET", "/organizations/{organization}/registries"),
    with_body(
        "POST",
        "/organizations/{organization}/registries",
        CONTENT_TYPE_JSON,
        r#"{"name":"{registry}"}"#,
    ),
    plain("GET", "/organizations/{organization}/registries/{registry}"),
    with_body(
        "PATCH",
        "/organizations/{organization}/registries/{registry}",
        CONTENT_TYPE_JSON,
        r#"{"visibility":"public"}"#,
    ),
    plain("DELETE", "/organizations/{organization}/registries/{registry}?force=true"),
    plain("GET", "/organizations/{organization}/registries/{registry}/members"),
    with_body(
        "PUT",
        "/organizations/{organization}/registries/{registry}/members/{username}",
        CONTENT_TYPE_JSON,
        r#"{"role":"viewer"}"#,
    ),
    plain("GET", "/organizations/{organization}/registries/{registry}/members/{username}"),
    plain("DELETE", "/organizations/{organization}/registries/{registry}/members/{username}"),
];

/// The endpoints of the registry protocol.
pub(crate) fn protocol_endpoints() -> &'static [Endpoint] {
    PROTOCOL
}

/// The endpoints of the management API; their paths begin behind `/api/v1`.
pub(crate) fn api_endpoints() -> &'static [Endpoint] {
    API
}

/// What stands between two marks of a source text, wherever it does.
fn between<'a>(text: &'a str, begin: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(begin).skip(1).filter_map(move |rest| rest.split(end).next())
}

#[test]
fn every_call_of_the_protocol_is_in_the_table() {
    // The labels of all calls, from the one match that gives each its label.
    let source = include_str!("../../../../oci/src/call.rs");
    let labels = source.split("fn endpoint(").nth(1).expect("calls have labels");
    let expected: BTreeSet<&str> = between(labels, "=> \"", "\"").collect();
    let digest = format!("sha256:{}", "0".repeat(64));
    let found: BTreeSet<&str> = PROTOCOL
        .iter()
        .map(|endpoint| {
            let path = endpoint
                .path
                .replace("{repository}", "a/b/c")
                .replace("{blob}", &digest)
                .replace("{manifest}", &digest)
                .replace("{tag}", "v1")
                .replace("{upload}", "5e0f0f0e-8f4e-4f6e-9d5c-000000000000");
            let (path, query) =
                path.split_once('?').map_or((path.as_str(), None), |(path, query)| (path, Some(query)));
            let method = Method::from_bytes(endpoint.method.as_bytes()).expect("a method is a token");
            Call::parse(&method, path, query)
                .unwrap_or_else(|error| panic!("{endpoint:?}: {error}"))
                .endpoint()
        })
        .collect();
    assert!(expected.len() > 15, "the labels were not found in the source: {expected:?}");
    assert_eq!(found, expected);
}

#[test]
fn every_route_of_management_is_in_the_table() {
    // The router's file is the list of endpoints: `.route("path", get(…).post(…))`.
    let source = include_str!("../../../../server/src/api/mod.rs");
    let mut expected = BTreeSet::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).expect("a route has a path");
        let handlers =
            route.split(".route(").next().unwrap_or_default().split(".fallback(").next().unwrap_or_default();
        for (word, method) in
            [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("patch(", "PATCH"), ("delete(", "DELETE")]
        {
            if handlers.contains(word) {
                expected.insert((method, path.replace("{token}", "{}").replace("{username}", "{}")));
            }
        }
    }
    let found = API
        .iter()
        .map(|endpoint| {
            let path = endpoint.path.split('?').next().unwrap_or_default();
            (endpoint.method, path.replace("{token}", "{}").replace("{username}", "{}"))
        })
        .collect();
    assert!(expected.len() > 20, "the routes were not found in the source: {expected:?}");
    assert_eq!(expected, found);
}
