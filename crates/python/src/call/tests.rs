use proptest::prelude::*;

use super::*;

const BASE: &str = "/api/v1/acme/main/python";
const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn place() -> Place {
    Place { organization: "acme".to_owned(), registry: "main".to_owned() }
}

fn parse(method: &Method, rest: &str) -> Result<Target, CallErrorReason> {
    let path = format!("{BASE}{}", rest.replace("SHA256", SHA256));
    match Call::parse(method, &path) {
        Ok(call) => {
            assert_eq!(call.place, place());
            Ok(call.target)
        }
        Err(error) => {
            assert_eq!(error.place, Some(place()));
            Err(error.reason)
        }
    }
}

fn get(rest: &str) -> Target {
    parse(&Method::GET, rest).unwrap()
}

fn name(text: &str) -> NormalizedName {
    text.parse().unwrap()
}

fn redirect(rest: &str) -> Target {
    Target::Redirect { location: format!("{BASE}{rest}") }
}

fn file(filename: &str) -> FilePath {
    FilePath { name: name("six"), sha256: SHA256.to_owned(), filename: filename.to_owned() }
}

#[test]
fn every_endpoint() {
    let wheel = "six-1.17.0-py2.py3-none-any.whl";
    for (method, rest, expected) in [
        (Method::GET, "", Target::Help),
        (Method::HEAD, "/", Target::Help),
        (Method::POST, "", Target::Upload),
        (Method::POST, "/", Target::Upload),
        (Method::GET, "/simple/", Target::ProjectList),
        (Method::GET, "/+simple/", Target::ProjectList),
        (Method::HEAD, "/simple/six/", Target::Project { name: name("six") }),
        (Method::GET, "/%2Bsimple/six/", Target::Project { name: name("six") }),
        (Method::GET, "/simple/%73ix/", Target::Project { name: name("six") }),
        (Method::GET, "/files/six/SHA256/six-1.17.0-py2.py3-none-any.whl", Target::File(file(wheel))),
        (
            Method::HEAD,
            "/files/six/SHA256/six-1.17.0-py2.py3-none-any.whl.metadata",
            Target::Metadata(file(wheel)),
        ),
        (
            Method::GET,
            "/integrity/six/1.17.0/six-1.17.0-py2.py3-none-any.whl/provenance",
            Target::Provenance {
                name: name("six"),
                version: "1.17.0".parse().unwrap(),
                filename: wheel.to_owned(),
            },
        ),
    ] {
        assert_eq!(parse(&method, rest), Ok(expected), "{method} {rest}");
    }
}

#[test]
fn one_redirect_leads_to_the_page() {
    assert_eq!(get("/simple"), redirect("/simple/"));
    assert_eq!(get("/+simple"), redirect("/simple/"));
    assert_eq!(get("/simple/six"), redirect("/simple/six/"));
    assert_eq!(get("/simple/Six"), redirect("/simple/six/"));
    assert_eq!(get("/simple/zope.event"), redirect("/simple/zope-event/"));
    assert_eq!(get("/simple/ZOPE__.event/"), redirect("/simple/zope-event/"));
    assert_eq!(get("/%2Bsimple/ZOPE__.event/"), redirect("/simple/zope-event/"));
}

#[test]
fn plus_and_exclamation_mark_are_taken_in_both_spellings() {
    let filename = "demo-1!1.0+cu118-py3-none-any.whl";
    for spelled in [filename, "demo-1%211.0%2Bcu118-py3-none-any.whl"] {
        let Target::File(path) = get(&format!("/files/six/SHA256/{spelled}")) else { panic!("{spelled}") };
        assert_eq!(path.filename, filename);
    }
    // Decoded once and no more.
    let Target::File(path) = get("/files/six/SHA256/demo-1%252B.whl") else { panic!() };
    assert_eq!(path.filename, "demo-1%2B.whl");
}

#[test]
fn an_upload_to_the_index_is_told_where_uploads_go() {
    for rest in ["/simple", "/simple/", "/simple/six/", "/+simple/", "/simple/six/more"] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!(
                parse(&method, rest),
                Err(CallErrorReason::UploadToIndex { allow: "GET, HEAD" }),
                "{method} {rest}"
            );
        }
    }
}

#[test]
fn other_methods_are_told_which_are_taken() {
    let refused = |allow| Err(CallErrorReason::MethodNotAllowed { allow });
    assert_eq!(parse(&Method::PUT, ""), refused("GET, HEAD, POST"));
    assert_eq!(parse(&Method::DELETE, "/"), refused("GET, HEAD, POST"));
    assert_eq!(parse(&Method::POST, "/files/six/SHA256/six.whl"), refused("GET, HEAD"));
    assert_eq!(parse(&Method::DELETE, "/integrity/six/1.0/six.whl/provenance"), refused("GET, HEAD"));
}

#[test]
fn paths_that_lead_nowhere() {
    for rest in [
        "//",
        "/other",
        "/simple//",
        "/simple/six/six/",
        "/simple/six//",
        "/simple/a%2Fb/",
        "/simple/../",
        "/simple/%2e%2E/",
        "/simple/six%0a/",
        "/simple/%ff/",
        "/files/six/SHA256/six.whl/",
        "/files/six/SHA256/",
        "/files/six/SHA256/.metadata",
        "/files/six/SHA256/s%C3%AFx.whl",
        "/files/six/e3b0/six.whl",
        "/files/_six/SHA256/six.whl",
        "/integrity/six/not-a-version/six.whl/provenance",
        "/integrity/six/1.0/six.whl",
    ] {
        assert_eq!(parse(&Method::GET, rest), Err(CallErrorReason::NotFound), "{rest}");
    }
    let upper = format!("/files/six/{}/six.whl", SHA256.to_uppercase());
    assert_eq!(parse(&Method::GET, &upper), Err(CallErrorReason::NotFound));
    let long = format!("/files/six/SHA256/{}.whl", "a".repeat(252));
    assert_eq!(parse(&Method::GET, &long), Err(CallErrorReason::NotFound));
    for rest in ["/simple/_x/", "/simple/x-", "/simple/acm%C3%A9/", "/simple/a%20b/", "/simple/%E2%84%AA/"] {
        assert_eq!(parse(&Method::GET, rest), Err(CallErrorReason::Name), "{rest}");
    }
}

#[test]
fn only_the_third_name_makes_a_path_ours() {
    for path in [
        "/api/v1/acme/main/python",
        "/api/v1/acme/main/python/",
        "/api/v1/acme/main/python/simple/six/",
        "/api/v1/%61cme/main/%70ython",
    ] {
        assert_eq!(Place::find(path), Some(place()), "{path}");
    }
    for path in [
        "/",
        "/api/v1",
        "/api/v1/acme/main",
        "/api/v1/acme/main/",
        "/api/v1/acme/main/pythons",
        "/api/v1/acme//python",
        "/api/v1/../main/python",
        "/api/v1/acme/%2e%2e/python",
        "/api/v1/acme/a%2Fb/python",
        "/api/v1/organizations/acme/registries/main/python/projects",
        "/v2/acme/main/python",
    ] {
        assert_eq!(Place::find(path), None, "{path}");
        assert_eq!(
            Call::parse(&Method::GET, path),
            Err(CallError { place: None, reason: CallErrorReason::NotFound })
        );
    }
}

proptest! {
    #[test]
    fn any_path_is_read_or_refused(path in "(/api/v1/a/b/python)?[/a-z0-9%+._A-Z-]{0,60}") {
        let _ = Call::parse(&Method::GET, &path);
        let _ = Call::parse(&Method::POST, &path);
    }

    #[test]
    fn a_redirect_leads_to_a_page_of_the_same_registry(
        organization in "[a-z%2e]{1,8}",
        rest in "/[+]?simple(/[A-Za-z0-9._-]{1,20})?/?",
    ) {
        let base = format!("/api/v1/{organization}/main/python");
        if let Ok(Call { place, target: Target::Redirect { location } }) =
            Call::parse(&Method::GET, &format!("{base}{rest}"))
        {
            prop_assert!(location.starts_with(&base));
            let there = Call::parse(&Method::GET, &location).unwrap();
            prop_assert_eq!(there.place, place);
            let is_page = matches!(there.target, Target::ProjectList | Target::Project { .. });
            prop_assert!(is_page);
        }
    }
}
