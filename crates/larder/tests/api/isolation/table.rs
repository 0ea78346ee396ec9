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

/// The Python index.
const PYTHON: &[Endpoint] = &[
    plain("GET", "/api/v1/{organization}/{registry}/python"),
    plain("HEAD", "/api/v1/{organization}/{registry}/python/"),
    with_body("POST", "/api/v1/{organization}/{registry}/python", CONTENT_TYPE_FORM, FORM),
    with_body("POST", "/api/v1/{organization}/{registry}/python/", CONTENT_TYPE_FORM, FORM),
    plain("GET", "/api/v1/{organization}/{registry}/python/simple/"),
    plain("HEAD", "/api/v1/{organization}/{registry}/python/simple/"),
    plain("GET", "/api/v1/{organization}/{registry}/python/+simple/"),
    plain("GET", "/api/v1/{organization}/{registry}/python/simple/{project}/"),
    plain("HEAD", "/api/v1/{organization}/{registry}/python/simple/{project}/"),
    plain("GET", "/api/v1/{organization}/{registry}/python/+simple/{project}/"),
    plain("GET", "/api/v1/{organization}/{registry}/python/files/{project}/{sha256}/{filename}"),
    plain("HEAD", "/api/v1/{organization}/{registry}/python/files/{project}/{sha256}/{filename}"),
    plain("GET", "/api/v1/{organization}/{registry}/python/files/{project}/{sha256}/{filename}.metadata"),
    plain(
        "GET",
        "/api/v1/{organization}/{registry}/python/integrity/{project}/{version}/{filename}/provenance",
    ),
    plain("GET", "/api/v1/{organization}/{registry}/python/simple"),
    plain("GET", "/api/v1/{organization}/{registry}/python/simple/{project}"),
];

/// What is no call of the Python index, although it is aimed at one.
const PYTHON_MISTAKES: &[Endpoint] = &[
    with_body("POST", "/api/v1/{organization}/{registry}/python/simple/", CONTENT_TYPE_FORM, FORM),
    plain("PUT", "/api/v1/{organization}/{registry}/python"),
    plain("DELETE", "/api/v1/{organization}/{registry}/python/simple/{project}/"),
    plain("GET", "/api/v1/{organization}/{registry}/python/nothing/{project}"),
    plain("GET", "/api/v1/{organization}/{registry}/python/simple/_{project}/"),
    plain("GET", "/api/v1/{organization}/{registry}/python/files/{project}/none/{filename}"),
    plain("DELETE", "/api/v1/{organization}/{registry}/python/files/{project}/{sha256}/{filename}"),
];

/// How a request says that its body is a form with a file.
const CONTENT_TYPE_FORM: &[(&str, &str)] = &[("content-type", "multipart/form-data; boundary=x")];

/// A form that says which project it is about.
const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\":action\"\r\n\r\nfile_upload\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n{project}\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"content\"; filename=\"{filename}\"\r\n\r\n\
                    bytes\r\n--x--\r\n";

/// What one asks before one is signed in.
const OPEN: &[Endpoint] = &[
    plain("GET", "/auth"),
    with_body(
        "POST",
        "/auth/sign-up",
        CONTENT_TYPE_JSON,
        r#"{"username":"{username}","email":"a@example.com","password":"correct horse battery"}"#,
    ),
    with_body(
        "POST",
        "/auth/sign-in",
        CONTENT_TYPE_JSON,
        r#"{"username":"{username}","password":"correct horse battery"}"#,
    ),
    with_body("POST", "/auth/second-factor", CONTENT_TYPE_JSON, r#"{"code":"123456"}"#),
    with_body("POST", "/auth/prove", CONTENT_TYPE_JSON, r#"{"password":"correct horse battery"}"#),
    plain("POST", "/auth/sign-out"),
    with_body("POST", "/auth/password/forgot", CONTENT_TYPE_JSON, r#"{"account":"{username}"}"#),
    with_body(
        "POST",
        "/auth/password/reset",
        CONTENT_TYPE_JSON,
        r#"{"code":"none","password":"correct horse battery"}"#,
    ),
    with_body("POST", "/auth/email/verify", CONTENT_TYPE_JSON, r#"{"code":"none"}"#),
    plain("GET", "/auth/providers/{provider}/start"),
    plain("GET", "/auth/providers/{provider}/callback"),
];

/// The management API.
const API: &[Endpoint] = &[
    plain("GET", "/me"),
    with_body("PATCH", "/me", CONTENT_TYPE_JSON, r#"{"email":"a@example.com"}"#),
    with_body(
        "POST",
        "/me/password",
        CONTENT_TYPE_JSON,
        r#"{"current_password":"none of the passwords","new_password":"correct horse battery"}"#,
    ),
    plain("GET", "/me/tokens"),
    with_body("POST", "/me/tokens", CONTENT_TYPE_JSON, r#"{"name":"mine"}"#),
    plain("DELETE", "/me/tokens/{token}"),
    with_body("POST", "/me/tokens/{token}/rotate", CONTENT_TYPE_JSON, "{}"),
    plain("GET", "/me/sessions"),
    plain("DELETE", "/me/sessions"),
    plain("DELETE", "/me/sessions/{session}"),
    plain("GET", "/me/identities"),
    plain("DELETE", "/me/identities?issuer=https://none.example&subject=none"),
    plain("GET", "/me/second-factor"),
    plain("POST", "/me/second-factor"),
    with_body("DELETE", "/me/second-factor", CONTENT_TYPE_JSON, r#"{"code":"123456"}"#),
    with_body("POST", "/me/second-factor/confirm", CONTENT_TYPE_JSON, r#"{"code":"123456"}"#),
    with_body("POST", "/me/second-factor/recovery-codes", CONTENT_TYPE_JSON, r#"{"code":"123456"}"#),
    plain("GET", "/users"),
    with_body(
        "POST",
        "/users",
        CONTENT_TYPE_JSON,
        r#"{"username":"{username}","email":"a@example.com","password":"correct horse battery"}"#,
    ),
    plain("GET", "/users/{username}"),
    with_body("PATCH", "/users/{username}", CONTENT_TYPE_JSON, r#"{"disabled":true}"#),
    plain("POST", "/users/{username}/password-reset"),
    plain("DELETE", "/users/{username}/second-factor"),
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
    plain("GET", "/organizations/{organization}/invitations"),
    with_body("POST", "/organizations/{organization}/invitations", CONTENT_TYPE_JSON, r#"{"role":"viewer"}"#),
    plain("DELETE", "/organizations/{organization}/invitations/{invitation}"),
    plain("GET", "/organizations/{organization}/registries/{registry}/invitations"),
    with_body(
        "POST",
        "/organizations/{organization}/registries/{registry}/invitations",
        CONTENT_TYPE_JSON,
        r#"{"role":"viewer"}"#,
    ),
    plain("DELETE", "/organizations/{organization}/registries/{registry}/invitations/{invitation}"),
    with_body("POST", "/invitations:accept", CONTENT_TYPE_JSON, r#"{"secret":"x"}"#),
    plain("GET", "/organizations/{organization}/group-roles"),
    with_body(
        "POST",
        "/organizations/{organization}/group-roles",
        CONTENT_TYPE_JSON,
        r#"{"provider":"company","group":"everybody","role":"viewer","registry":"{registry}"}"#,
    ),
    plain("GET", "/organizations/{organization}/group-roles/{group_role}"),
    with_body(
        "PATCH",
        "/organizations/{organization}/group-roles/{group_role}",
        CONTENT_TYPE_JSON,
        r#"{"role":"admin"}"#,
    ),
    plain("DELETE", "/organizations/{organization}/group-roles/{group_role}"),
    plain("GET", "/organizations/{organization}/service-accounts"),
    with_body(
        "POST",
        "/organizations/{organization}/service-accounts",
        CONTENT_TYPE_JSON,
        r#"{"name":"{account}"}"#,
    ),
    plain("GET", "/organizations/{organization}/service-accounts/{account}"),
    with_body(
        "PATCH",
        "/organizations/{organization}/service-accounts/{account}",
        CONTENT_TYPE_JSON,
        r#"{"disabled":true}"#,
    ),
    plain("DELETE", "/organizations/{organization}/service-accounts/{account}"),
    plain("GET", "/organizations/{organization}/service-accounts/{account}/tokens"),
    with_body(
        "POST",
        "/organizations/{organization}/service-accounts/{account}/tokens",
        CONTENT_TYPE_JSON,
        r#"{"name":"mine"}"#,
    ),
    plain("DELETE", "/organizations/{organization}/service-accounts/{account}/tokens/{account_token}"),
    with_body(
        "POST",
        "/organizations/{organization}/service-accounts/{account}/tokens/{account_token}/rotate",
        CONTENT_TYPE_JSON,
        "{}",
    ),
    plain("GET", "/organizations/{organization}/service-accounts/{account}/bindings"),
    with_body(
        "POST",
        "/organizations/{organization}/service-accounts/{account}/bindings",
        CONTENT_TYPE_JSON,
        r#"{"name":"mine","issuer":"https://gitlab.com","claims":[{"claim":"project_id","equals":"1"}]}"#,
    ),
    plain("GET", "/organizations/{organization}/service-accounts/{account}/bindings/{binding}"),
    plain("DELETE", "/organizations/{organization}/service-accounts/{account}/bindings/{binding}"),
    with_body(
        "POST",
        "/organizations/{organization}/bindings:test",
        CONTENT_TYPE_JSON,
        r#"{"token":"eyJhbGciOiJSUzI1NiJ9.e30.AA"}"#,
    ),
    plain(
        "GET",
        "/access/explain?principal={username}&action=registry:read&resource={organization}/{registry}",
    ),
    plain("GET", "/organizations/{organization}/registries/{registry}/python/projects"),
    plain("GET", "/organizations/{organization}/registries/{registry}/python/projects/{project}"),
    with_body(
        "PATCH",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}",
        CONTENT_TYPE_JSON,
        r#"{"status":"archived"}"#,
    ),
    plain("GET", "/organizations/{organization}/registries/{registry}/python/projects/{project}/releases"),
    plain(
        "GET",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/releases/{version}",
    ),
    with_body(
        "PATCH",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/releases/{version}",
        CONTENT_TYPE_JSON,
        r#"{"yanked":true}"#,
    ),
    plain(
        "DELETE",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/releases/{version}",
    ),
    plain(
        "POST",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/releases/{version}/restore",
    ),
    plain("GET", "/organizations/{organization}/registries/{registry}/python/projects/{project}/files"),
    plain(
        "GET",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/files/{filename}",
    ),
    with_body(
        "PATCH",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/files/{filename}",
        CONTENT_TYPE_JSON,
        r#"{"yanked":true,"reason":"no"}"#,
    ),
    plain(
        "DELETE",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/files/{filename}?reason=no",
    ),
    plain(
        "POST",
        "/organizations/{organization}/registries/{registry}/python/projects/{project}/files/{filename}/restore",
    ),
];

/// The endpoints of the registry protocol.
pub(crate) fn protocol_endpoints() -> &'static [Endpoint] {
    PROTOCOL
}

/// The endpoints of the Python index.
pub(crate) fn python_endpoints() -> &'static [Endpoint] {
    PYTHON
}

/// Requests to the Python index that none of its endpoints takes.
pub(crate) fn python_mistakes() -> &'static [Endpoint] {
    PYTHON_MISTAKES
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
fn every_call_of_the_python_index_is_in_the_table() {
    let source = include_str!("../../../../python/src/call.rs");
    let labels = source.split("fn endpoint(").nth(1).expect("calls have labels");
    let labels = labels.split("\n}").next().expect("the labels end");
    let expected: BTreeSet<&str> = between(labels, "=> \"", "\"").collect();
    let parse = |endpoint: &Endpoint| {
        let path = endpoint
            .path
            .replace("{project}", "demo")
            .replace("{sha256}", &"0".repeat(64))
            .replace("{filename}", "demo-1.0-py3-none-any.whl")
            .replace("{version}", "1.0")
            .replace(['{', '}'], "");
        let method = Method::from_bytes(endpoint.method.as_bytes()).expect("a method is a token");
        ::python::Call::parse(&method, &path)
    };
    let found: BTreeSet<&str> = PYTHON
        .iter()
        .map(|endpoint| parse(endpoint).unwrap_or_else(|error| panic!("{endpoint:?}: {error}")).endpoint())
        .collect();
    assert!(expected.len() > 7, "the labels were not found in the source: {expected:?}");
    assert_eq!(found, expected);
    for mistake in PYTHON_MISTAKES {
        parse(mistake).expect_err("a mistake is no call");
    }
}

/// The routes that a router's file lists, `.route("path", get(…).post(…))`, and the routers that it nests,
/// `.nest("path", …)`: their paths.
fn routes(source: &'static str) -> (BTreeSet<(&'static str, String)>, Vec<&'static str>) {
    let router = source.split("fn router()").nth(1).and_then(|rest| rest.split("\n}").next());
    let router = router.expect("the file has a router");
    let mut found = BTreeSet::new();
    for route in router.split(".route(").skip(1) {
        let path = route.split('"').nth(1).expect("a route has a path");
        let handlers = [".nest(", ".fallback("]
            .iter()
            .fold(route, |text, end| text.split(end).next().expect("a text has a beginning"));
        for (word, method) in
            [("get(", "GET"), ("post(", "POST"), ("put(", "PUT"), ("patch(", "PATCH"), ("delete(", "DELETE")]
        {
            if handlers.contains(word) {
                found.insert((method, path.to_owned()));
            }
        }
    }
    (found, between(router, ".nest(\"", "\"").collect())
}

#[test]
fn every_route_of_management_is_in_the_table() {
    let (mut expected, nested) = routes(include_str!("../../../../server/src/api/mod.rs"));
    let [packages] = nested[..] else {
        panic!("a nested router that this table knows nothing of: {nested:?}")
    };
    let (below, nested) = routes(include_str!("../../../../server/src/api/python/mod.rs"));
    assert!(nested.is_empty(), "a nested router that this table knows nothing of: {nested:?}");
    expected.extend(below.into_iter().map(|(method, path)| (method, format!("{packages}{path}"))));
    let found = API
        .iter()
        .chain(OPEN)
        .map(|endpoint| (endpoint.method, endpoint.path.split('?').next().unwrap_or_default().to_owned()))
        .collect();
    assert!(expected.len() > 35, "the routes were not found in the source: {expected:?}");
    assert_eq!(expected, found);
}
