use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::context::RequestIds;

fn context(base_url: &str) -> Context {
    Context {
        request_id: RequestIds::new().next(),
        client: Ipv4Addr::LOCALHOST.into(),
        base_url: base_url.into(),
    }
}

fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in entries {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn a_cookie_has_the_prefix_where_it_is_secure() {
    let mut answer = HeaderMap::new();
    Cookie::Session.set(&mut answer, &context("https://registry.example.org"), "secret", None);
    assert_eq!(answer[SET_COOKIE], "__Host-larder=secret; Path=/; HttpOnly; SameSite=Lax; Secure");
    let mut answer = HeaderMap::new();
    Cookie::SignIn.set(&mut answer, &context("http://localhost:5000"), "x", Some(SIGN_IN_AT_PROVIDER));
    assert_eq!(answer[SET_COOKIE], "larder-signin=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=600");
    let mut answer = HeaderMap::new();
    Cookie::Session.clear(&mut answer, &context("http://localhost:5000"));
    assert_eq!(answer[SET_COOKIE], "larder=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
}

#[test]
fn a_cookie_is_found_among_others_and_two_of_a_name_are_none() {
    let read = |entries: &[(&'static str, &str)]| {
        let headers = headers(entries);
        Cookie::Session.read(&headers, &context("http://localhost")).map(str::to_owned)
    };
    assert_eq!(read(&[("cookie", "a=1; larder=abc; larder-signin=2")]).as_deref(), Some("abc"));
    assert_eq!(read(&[("cookie", "a=1"), ("cookie", "larder=abc")]).as_deref(), Some("abc"));
    assert_eq!(read(&[("cookie", "larder=abc; larder=def")]), None);
    assert_eq!(read(&[("cookie", "larder=abc"), ("cookie", "larder=abc")]), None);
    assert_eq!(read(&[("cookie", "larder=; x")]), None);
    assert_eq!(read(&[("cookie", "__Host-larder=abc; LARDER=abc; larder_=abc")]), None);
    // Over https the name without the prefix is anybody's.
    let planted = headers(&[("cookie", "larder=abc")]);
    assert_eq!(Cookie::Session.read(&planted, &context("https://localhost")), None);
}

#[test]
fn only_our_own_pages_change_something() {
    let check = |method: Method, entries: &[(&'static str, &str)]| {
        check_origin(&method, &headers(entries), &context("https://registry.example.org")).is_ok()
    };
    for (entries, is_ours) in [
        (&[][..], true),
        (&[("sec-fetch-site", "same-origin")][..], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "")], false),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://registry.example.org")], false),
        (&[("origin", "https://registry.example.org")], true),
        (&[("origin", "https://registry.example.org:443")], true),
        (&[("origin", "https://Registry.Example.Org")], true),
        (&[("origin", "http://registry.example.org")], false),
        (&[("origin", "https://registry.example.org:8443")], false),
        (&[("origin", "https://registry.example.org.evil.example")], false),
        (&[("origin", "https://evil.example")], false),
        (&[("origin", "null")], false),
        (&[("origin", "")], false),
        (&[("origin", "https://evil.example"), ("host", "registry.example.org")], false),
        (&[("origin", "https://inside:5000"), ("host", "inside:5000")], true),
        (&[("origin", "http://inside:5000"), ("host", "inside:5000")], false),
    ] {
        assert_eq!(check(Method::POST, entries), is_ours, "{entries:?}");
        assert_eq!(check(Method::DELETE, entries), is_ours, "{entries:?}");
        assert!(check(Method::GET, entries), "{entries:?}");
    }
}

#[test]
fn t24_a_path_to_come_back_to_is_on_this_server() {
    for good in ["/", "/account", "/invitations/abc?x=1&y=%20", "/a/b#c", "/account?next=a//b"] {
        assert_eq!(return_path(good), Some(good));
    }
    for bad in [
        "",
        "account",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%5cevil.example",
        "/%2fevil.example",
        "/%2Fevil.example",
        "%2f%2fevil.example",
        "/%252fevil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\tevil",
        "/\r\nLocation: https://evil.example",
        "/%0d%0aLocation:%20https://evil.example",
        "/\u{2044}/evil.example",
        "/a b",
        "/@evil.example",
        " /account",
    ] {
        assert_eq!(return_path(bad), None, "{bad:?}");
    }
    assert_eq!(return_path(&format!("/{}", "a".repeat(2000))), None);
}

proptest! {
    #[test]
    fn any_text_is_survived(text in ".{0,60}") {
        if let Some(path) = return_path(&text) {
            prop_assert!(path.starts_with('/') && !path.starts_with("//"));
            prop_assert!(HeaderValue::from_str(path).is_ok());
        }
    }

    #[test]
    fn any_cookie_is_survived(text in "[ -~]{0,60}") {
        let headers = headers(&[("cookie", &text)]);
        let _ = Cookie::Session.read(&headers, &context("http://localhost"));
    }
}
