//! What every page says about itself.

use serde_json::json;
use testkit::Answer;

use super::{Visitor, text};
use crate::scene::{Calls as _, expect_problem, own_server, user_of};

/// Asserts what is true of every page that is no redirect.
#[track_caller]
pub(super) fn check(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    for part in [
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.split("; ").any(|found| found == part), "{part} is missing: {answer}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains("script"), "{answer}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}: {answer}");
    }
    if answer.status == 303 {
        return;
    }
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer}");
    let page = text(answer);
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{answer}");
    assert_eq!(page.matches("<h1>").count(), 1, "{answer}");
    for forbidden in ["<script", "javascript:", " style=", "<style", " onclick", "http-equiv"] {
        assert!(!page.contains(forbidden), "{forbidden}: {answer}");
    }
    // Whoever hears a page instead of seeing it has to know what a field is.
    for field in page.split("<input ").skip(1).chain(page.split("<select ").skip(1)) {
        let field = field.split('>').next().unwrap_or_default();
        let id = field.split("id=\"").nth(1).and_then(|rest| rest.split('"').next());
        let is_labelled = id.is_some_and(|id| page.contains(&format!("<label for=\"{id}\">")));
        assert!(is_labelled || field.contains("type=\"hidden\""), "no label: {field}");
    }
}

#[test]
fn every_page_says_that_it_is_for_who_asked_and_loads_nothing_of_others() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let user = user_of(&admin);
    let (mut nobody, mut somebody) = (Visitor::new(&admin), Visitor::signed_in(&user));
    for (path, to_nobody, to_somebody) in [
        ("/", 303, 303),
        ("/sign-in", 200, 303),
        ("/sign-in?problem=provider-failed", 200, 200),
        ("/sign-in?problem=anything", 200, 200),
        ("/sign-up", 200, 303),
        ("/forgot-password", 200, 200),
        ("/reset-password?code=x", 200, 200),
        ("/reset-password", 200, 200),
        ("/verify?code=x", 200, 200),
        ("/invitations/0123", 404, 404),
        ("/account", 303, 200),
        ("/account/prove", 303, 200),
        ("/account/tokens", 405, 405),
        ("/sign-out", 405, 405),
        ("/invitations", 405, 405),
        ("/nothing", 404, 404),
        ("/account/nothing", 404, 404),
    ] {
        check(&nobody.get(path).expect(&[to_nobody]));
        check(&somebody.get(path).expect(&[to_somebody]));
    }
    for path in ["/sign-in", "/sign-up", "/verify", "/reset-password", "/forgot-password"] {
        let answer = nobody.post(path, &[]);
        assert!(answer.status >= 400, "{answer}");
        check(&answer);
    }
    for path in ["/account/tokens", "/account/password", "/account/second-factor/confirm"] {
        check(&nobody.post(path, &[]).expect(&[303]));
        check(&somebody.post(path, &[]).expect(&[403]));
    }
    check(&somebody.send("/account/tokens", &[("name", "laptop"), ("life", "7")]).expect(&[201]));
    check(&somebody.send("/account/second-factor", &[]).expect(&[200]));
    check(&somebody.get("/account?done=password"));

    let style = nobody.get("/static/larder.css").expect(&[200]);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"), "{style}");
    assert_eq!(style.header("x-content-type-options"), Some("nosniff"), "{style}");
}

/// Another site shows our page in a frame and has somebody click what they do not see.
#[test]
fn t23_no_page_is_shown_in_a_frame() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut visitor = Visitor::signed_in(&user);
    for path in ["/", "/sign-in", "/account", "/account/prove", "/invitations/x", "/nothing"] {
        let answer = visitor.get(path);
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("frame-ancestors 'none'"), "{answer}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{answer}");
    }
}

#[test]
fn programs_that_ask_for_no_page_get_none() {
    let server = own_server(&[]);
    let nobody = server.api().as_nobody();
    for path in ["/", "/nothing"] {
        expect_problem(nobody.ask("GET", path), 404, "not_found");
    }
    let answer = nobody.manage("POST", "/organizations", &json!({ "name": "sign-in" }));
    expect_problem(answer, 401, "unauthenticated");
    for page in ["sign-in", "sign-up", "verify", "account", "invitations", "reset-password"] {
        let answer = server.api().manage("POST", "/organizations", &json!({ "name": page }));
        expect_problem(answer, 422, "invalid");
    }
}
