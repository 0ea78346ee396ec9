use http::Method;
use proptest::prelude::*;

use super::*;
use crate::digest::DigestError;
use crate::error::ErrorCode;
use crate::name::NameError;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ID: &str = "0190a7e2-3c5b-7d4e-8f60-718293a4b5c6";

fn digest() -> Digest {
    format!("sha256:{HEX}").parse().unwrap()
}

fn id() -> UploadId {
    ID.parse().unwrap()
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// Parses a request target, path and query together.
fn parse(method: &Method, target: &str) -> Result<Call, CallError> {
    let target = target.replace("DIGEST", digest().as_str()).replace("UUID", ID);
    let (path, query) =
        target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
    Call::parse(method, path, query)
}

fn get(target: &str) -> Call {
    parse(&Method::GET, target).unwrap()
}

fn reason(method: &Method, target: &str) -> CallErrorReason {
    parse(method, target).unwrap_err().reason
}

fn referrers(artifact_type: Option<&str>) -> ReferrersQuery {
    ReferrersQuery {
        name: name("a/b/c"),
        digest: digest().into(),
        artifact_type: artifact_type.map(str::to_owned),
        n: None,
        cursor: None,
    }
}

#[test]
fn every_endpoint() {
    let at = || name("a/b/c");
    for (method, target, expected) in [
        (Method::GET, "/v2/", Call::Ping),
        (Method::HEAD, "/v2", Call::Ping),
        (Method::GET, "/v2/a/b/c/blobs/DIGEST", Call::BlobGet { name: at(), digest: digest() }),
        (
            Method::HEAD,
            "/v2/a/b/c/blobs/DIGEST?ns=docker.io",
            Call::BlobHead { name: at(), digest: digest() },
        ),
        (Method::DELETE, "/v2/a/b/c/blobs/DIGEST", Call::BlobDelete { name: at(), digest: digest() }),
        (
            Method::GET,
            "/v2/a/b/c/blobs/uploads/UUID?digest=DIGEST",
            Call::UploadStatus { name: at(), id: id() },
        ),
        (Method::PATCH, "/v2/a/b/c/blobs/uploads/UUID", Call::UploadPatch { name: at(), id: id() }),
        (
            Method::PUT,
            "/v2/a/b/c/blobs/uploads/UUID?digest=DIGEST",
            Call::UploadPut { name: at(), id: id(), digest: Some(digest()) },
        ),
        (Method::PUT, "/v2/a/b/c/blobs/uploads/UUID", Call::UploadPut { name: at(), id: id(), digest: None }),
        (Method::DELETE, "/v2/a/b/c/blobs/uploads/UUID", Call::UploadCancel { name: at(), id: id() }),
        (
            Method::GET,
            "/v2/a/b/c/manifests/v1",
            Call::ManifestGet { name: at(), reference: Reference::Tag(tag("v1")) },
        ),
        (
            Method::HEAD,
            "/v2/a/b/c/manifests/DIGEST",
            Call::ManifestHead { name: at(), reference: Reference::Digest(digest()) },
        ),
        (
            Method::PUT,
            "/v2/a/b/c/manifests/DIGEST?tag=x&tag=y&tag=x",
            Call::ManifestPut {
                name: at(),
                reference: Reference::Digest(digest()),
                tags: vec![tag("x"), tag("y")],
            },
        ),
        (
            Method::PUT,
            "/v2/a/b/c/manifests/v1?tag=-bad",
            Call::ManifestPut { name: at(), reference: Reference::Tag(tag("v1")), tags: Vec::new() },
        ),
        (
            Method::DELETE,
            "/v2/a/b/c/manifests/v1",
            Call::ManifestDelete { name: at(), reference: Reference::Tag(tag("v1")) },
        ),
        (
            Method::GET,
            "/v2/a/b/c/tags/list?n=5&last=v1",
            Call::TagList { name: at(), n: Some(5), last: Some("v1".to_owned()) },
        ),
        (Method::GET, "/v2/a/b/c/referrers/DIGEST", Call::Referrers(referrers(None))),
        (
            Method::GET,
            "/oras/artifacts/v1/a/b/c/manifests/DIGEST/referrers?artifactType=x/y",
            Call::OrasReferrersDraft(referrers(Some("x/y"))),
        ),
        (
            Method::GET,
            "/v2/a/b/c/_oras/artifacts/referrers?digest=DIGEST&n=3&nextToken=t",
            Call::OrasReferrersRc(ReferrersQuery {
                n: Some(3),
                cursor: Some("t".to_owned()),
                ..referrers(None)
            }),
        ),
        (Method::GET, "/v2/_catalog?n=0", Call::Catalog { n: Some(0), last: None }),
        (Method::GET, "/v2/_oci/ext/discover", Call::ExtensionDiscover { name: None }),
        (Method::GET, "/v2/a/b/c/_oci/ext/discover", Call::ExtensionDiscover { name: Some(at()) }),
    ] {
        assert_eq!(parse(&method, target).as_ref(), Ok(&expected), "{method} {target}");
        let has_name =
            !matches!(expected, Call::Ping | Call::Catalog { .. } | Call::ExtensionDiscover { name: None });
        assert_eq!(expected.repository().cloned(), has_name.then(at), "{target}");
        assert!(expected.endpoint().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    }
}

#[test]
fn uploads_begin_in_three_ways() {
    let start = |query: &str| match parse(&Method::POST, &format!("/v2/a/b/c/blobs/uploads{query}")) {
        Ok(Call::UploadStart { mode, .. }) => Ok(mode),
        Ok(call) => panic!("{call:?}"),
        Err(error) => Err(error.reason),
    };
    let mount = |from: Option<&str>, from_given| UploadStart::Mount {
        digest: digest(),
        from: from.map(name),
        from_given,
    };
    for (query, expected) in [
        ("", UploadStart::Session { algorithm: None }),
        ("/", UploadStart::Session { algorithm: None }),
        ("/?digest=&mount=", UploadStart::Session { algorithm: None }),
        ("/?digest-algorithm=sha512", UploadStart::Session { algorithm: Some(Algorithm::Sha512) }),
        ("/?digest=DIGEST", UploadStart::Monolithic { digest: digest() }),
        ("/?mount=DIGEST", mount(None, false)),
        ("/?mount=DIGEST&digest=DIGEST&from=x/y/z", mount(Some("x/y/z"), true)),
        ("?from=x%2Fy%2Fz&mount=DIGEST&origin=example.com", mount(Some("x/y/z"), true)),
        ("?mount=DIGEST&from=library/alpine", mount(None, true)),
    ] {
        assert_eq!(start(query), Ok(expected), "{query}");
    }
    let encoded = format!("/?mount=sha256%3A{HEX}&from=x/y/z");
    assert_eq!(start(&encoded), Ok(mount(Some("x/y/z"), true)));
    for query in ["?mount=x", "?digest=sha256:baddigest", "?digest=other:abc", "?digest-algorithm=md5"] {
        assert!(matches!(start(query), Err(CallErrorReason::Digest(_))), "{query}");
    }
}

#[test]
fn the_rightmost_match_decides() {
    for inner in
        ["blobs/uploads", "manifests", "tags/list", "blobs", "uploads", "referrers", "manifests/latest", "v2"]
    {
        let repository = format!("a/b/{inner}");
        for (method, tail) in [
            (Method::GET, "blobs/DIGEST"),
            (Method::POST, "blobs/uploads"),
            (Method::POST, "blobs/uploads/"),
            (Method::PATCH, "blobs/uploads/UUID"),
            (Method::GET, "manifests/list"),
            (Method::GET, "manifests/uploads"),
            (Method::GET, "tags/list"),
            (Method::GET, "referrers/DIGEST"),
            (Method::GET, "_oci/ext/discover"),
        ] {
            let call = parse(&method, &format!("/v2/{repository}/{tail}")).unwrap();
            assert_eq!(call.repository(), Some(&name(&repository)), "{tail}");
        }
    }
    assert!(matches!(get("/v2/a/b/tags/list/manifests/uploads"), Call::ManifestGet { .. }));
}

#[test]
fn the_plus_in_an_artifact_type_survives() {
    for query in
        ["application/x+json", "application%2Fx%2Bjson", "application/x json", "application/x%20json"]
    {
        let call = get(&format!("/v2/a/b/c/referrers/DIGEST?artifactType={query}"));
        assert_eq!(call, Call::Referrers(referrers(Some("application/x+json"))), "{query}");
    }
    assert_eq!(get("/v2/a/b/c/referrers/DIGEST?artifactType="), Call::Referrers(referrers(None)));
}

#[test]
fn referrers_take_any_digest() {
    assert!(matches!(get("/v2/a/b/c/referrers/other+x:abc"), Call::Referrers(_)));
    assert!(matches!(reason(&Method::GET, "/v2/a/b/c/referrers/x"), CallErrorReason::Digest(_)));
    let missing = reason(&Method::GET, "/v2/a/b/c/_oras/artifacts/referrers");
    assert!(matches!(missing, CallErrorReason::Digest(DigestError::Malformed { .. })));
}

#[test]
fn errors_know_code_status_and_repository() {
    for (method, target, code, status, named) in [
        (Method::GET, "/", ErrorCode::Unsupported, 404, false),
        (Method::GET, "v2/", ErrorCode::Unsupported, 404, false),
        (Method::GET, "/v3/a/b/c/tags/list", ErrorCode::Unsupported, 404, false),
        (Method::GET, "/v2/a/b/c", ErrorCode::Unsupported, 404, false),
        (Method::GET, "/v2/a/b/c/tags/list/", ErrorCode::Unsupported, 404, false),
        (Method::GET, "/v2/a/b/c/blobs/uploads/UUID/", ErrorCode::Unsupported, 404, false),
        (Method::POST, "/v2/", ErrorCode::Unsupported, 405, false),
        (Method::POST, "/v2/a/b/c/tags/list", ErrorCode::Unsupported, 405, true),
        (Method::PUT, "/v2/a/b/c/blobs/DIGEST", ErrorCode::Unsupported, 405, true),
        (Method::GET, "/v2/a/b/c/blobs/uploads/", ErrorCode::Unsupported, 405, true),
        (Method::GET, "/v2/alpine/manifests/latest", ErrorCode::NameInvalid, 400, false),
        (Method::GET, "/v2/a/b/C/manifests/latest", ErrorCode::NameInvalid, 400, false),
        (Method::GET, "/v2/tags/list", ErrorCode::NameInvalid, 400, false),
        (Method::GET, "/v2/a/b/c/blobs/x", ErrorCode::DigestInvalid, 400, true),
        (Method::GET, "/v2/a/b/c/manifests/sha256:totallywrong", ErrorCode::DigestInvalid, 400, true),
        (Method::PUT, "/v2/a/b/c/blobs/uploads/UUID?digest=x", ErrorCode::DigestInvalid, 400, true),
        (Method::GET, "/v2/a/b/c/manifests/.INVALID", ErrorCode::ManifestUnknown, 404, true),
        (Method::PUT, "/v2/a/b/c/manifests/.INVALID", ErrorCode::ManifestInvalid, 400, true),
        (Method::PUT, "/v2/a/b/c/manifests/DIGEST?tag=", ErrorCode::ManifestInvalid, 400, true),
        (Method::GET, "/v2/a/b/c/blobs/uploads/x", ErrorCode::BlobUploadUnknown, 404, true),
        (Method::GET, "/v2/a/b/c/tags/list?n=-1", ErrorCode::PaginationNumberInvalid, 400, true),
        (Method::GET, "/v2/_catalog?n=x", ErrorCode::PaginationNumberInvalid, 400, false),
    ] {
        let error = parse(&method, target).unwrap_err();
        assert_eq!((error.code(), error.status()), (code, status), "{method} {target}");
        assert_eq!(error.name, named.then(|| name("a/b/c")), "{method} {target}");
    }
    let short = parse(&Method::GET, "/v2/library/alpine/manifests/latest").unwrap_err();
    assert!(matches!(short.reason, CallErrorReason::Name(NameError::TooFewComponents { .. })));
    assert!(short.to_string().contains("<organization>/<registry>/<repository>"));
}

#[test]
fn tags_by_query_are_bounded() {
    let target = |count: usize| {
        let tags: Vec<String> = (0..count).map(|at| format!("tag=t{at}")).collect();
        format!("/v2/a/b/c/manifests/DIGEST?{}", tags.join("&"))
    };
    assert!(parse(&Method::PUT, &target(MAX_TAGS_PER_PUSH)).is_ok());
    let error = parse(&Method::PUT, &target(MAX_TAGS_PER_PUSH + 1)).unwrap_err();
    assert_eq!((error.status(), error.reason), (414, CallErrorReason::TooManyTags));
}

#[test]
fn page_sizes() {
    let size = |query: &str| match get(&format!("/v2/a/b/c/tags/list?{query}")) {
        Call::TagList { n, .. } => n,
        call => panic!("{call:?}"),
    };
    assert_eq!(size("n=99999999999999999999999"), Some(u64::MAX));
    assert_eq!(size("n="), None);
    assert_eq!(size("last"), None);
    assert!(matches!(reason(&Method::GET, "/v2/a/b/c/tags/list?n=+1"), CallErrorReason::Pagination { .. }));
}

#[test]
fn paths_that_others_read_differently_are_refused() {
    for path in [
        "/v2/a/b%2Fc/tags/list",
        "/v2/a/b%2fc/d/tags/list",
        "/v2/a/b/../c/tags/list",
        "/v2/a/b/%2e%2e/c/tags/list",
        "/v2/a/b/./tags/list",
        "/v2/a//b/c/tags/list",
        "//v2/a/b/c/tags/list",
        "/v2/a/b/c%00/tags/list",
        "/v2/a/b/c%0a/tags/list",
        "/v2/a/b\\c/d/tags/list",
        "/v2/a/b%5cc/d/tags/list",
        "/v2/a/b/%ff/tags/list",
        "/v2/%2fetc/b/c/tags/list",
    ] {
        let error = parse(&Method::GET, path).unwrap_err();
        assert!(matches!(error.reason, CallErrorReason::Path { .. }), "{path}: {error:?}");
        assert_eq!(error.status(), 400, "{path}");
    }
    // Decoded once, not twice.
    assert!(matches!(reason(&Method::GET, "/v2/a/b/%2563/tags/list"), CallErrorReason::Name(_)));
    assert_eq!(get("/v2/a/b/%63/tags/list").repository(), Some(&name("a/b/c")));
    let encoded = format!("/v2/a/b/c/blobs/sha256%3A{HEX}");
    assert_eq!(get(&encoded), Call::BlobGet { name: name("a/b/c"), digest: digest() });
}

#[test]
fn upload_ids_are_uuids() {
    assert_eq!(ID.replace('-', "").parse::<UploadId>().unwrap().as_str(), ID.replace('-', ""));
    for text in
        ["", "x", &ID.to_uppercase(), &ID.replace('a', "g"), &ID.replacen('-', "0", 1), &format!("{ID}0")]
    {
        assert!(text.parse::<UploadId>().is_err(), "{text}");
    }
}

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,5}([._-][a-z0-9]{1,5})?",
        prop::sample::select(vec!["blobs", "uploads", "manifests", "tags", "list", "referrers", "latest"])
            .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn any_name_routes_to_itself(parts in prop::collection::vec(component(), 3..8)) {
        let repository = parts.join("/");
        for (method, tail, endpoint) in [
            (Method::GET, "blobs/DIGEST", "blob_get"),
            (Method::POST, "blobs/uploads/", "upload_start"),
            (Method::POST, "blobs/uploads", "upload_start"),
            (Method::PUT, "blobs/uploads/UUID", "upload_put"),
            (Method::PUT, "manifests/list", "manifest_put"),
            (Method::GET, "tags/list", "tag_list"),
            (Method::GET, "referrers/DIGEST", "referrers"),
            (Method::GET, "_oras/artifacts/referrers?digest=DIGEST", "oras_referrers_rc"),
        ] {
            let call = parse(&method, &format!("/v2/{repository}/{tail}")).unwrap();
            prop_assert_eq!(call.repository().unwrap().as_str(), &repository);
            prop_assert_eq!(call.endpoint(), endpoint);
        }
        let draft = get(&format!("/oras/artifacts/v1/{repository}/manifests/DIGEST/referrers"));
        prop_assert_eq!(draft.repository().unwrap().as_str(), &repository);
    }

    #[test]
    fn never_panics(path in "(/v2|/oras/artifacts/v1|)(/(blobs|uploads|manifests|tags|list|referrers|a|%2f|%e9|é|\\.\\.|))*", query in any::<String>()) {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            if let Err(error) = Call::parse(&method, &path, Some(&query)) {
                prop_assert!((400..500).contains(&error.status()));
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn encoding_every_byte_changes_nothing(parts in prop::collection::vec(component(), 3..5)) {
        let encode = |part: &String| part.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        let encoded: Vec<String> = parts.iter().map(encode).collect();
        let call = get(&format!("/v2/{}/tags/list", encoded.join("/")));
        prop_assert_eq!(call.repository().unwrap().as_str(), parts.join("/"));
    }
}
