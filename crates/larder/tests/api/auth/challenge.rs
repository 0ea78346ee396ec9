//! What a client that has to sign in, or to sign in otherwise, is told.

use testkit::{Role, random_word};

use super::challenge;
use crate::scene::{
    Calls as _, Organization, admin, expect_error, outsider, raw, server, writer_and_repository,
};

#[test]
fn a_token_for_something_else_is_told_what_it_lacks() {
    let (writer, repository) = writer_and_repository();
    writer.blob_push(&repository, b"content");
    let path = format!("/v2/{repository}/tags/list");
    for scopes in [vec![], vec!["repository:other/main/app:pull"], vec!["registry:catalog:*"]] {
        let bearer = writer.as_bearer(&writer.token(&scopes));
        let answer = bearer.ask("GET", &path);
        let expected = format!(
            "Bearer realm=\"{}/token\",service=\"larder\",scope=\"repository:{repository}:pull\",\
             error=\"insufficient_scope\"",
            server().url()
        );
        assert_eq!(challenge(&answer), expected);
        expect_error(answer, 401, "UNAUTHORIZED");
    }
    // One that may pull and wants to push.
    let bearer = writer.as_bearer(&writer.token(&[&format!("repository:{repository}:pull")]));
    let answer = bearer.ask("POST", &format!("/v2/{repository}/blobs/uploads/"));
    assert!(challenge(&answer).contains(&format!("scope=\"repository:{repository}:pull,push\"")), "{answer}");
}

/// Another token would not help: the client stops and its user reads why.
#[test]
fn a_token_that_was_asked_for_it_and_refused_is_denied() {
    let organization = Organization::new();
    let repository = organization.repository("app");
    organization.member(Role::Writer).blob_push(&repository, b"content");
    let (viewer, stranger) = (organization.member(Role::Viewer), outsider());
    let nobody = admin().as_nobody();
    let everything = format!("repository:{repository}:pull,push,delete");
    for (caller, method, rest, code) in [
        (&viewer, "GET", "tags/list", None),
        (&viewer, "POST", "blobs/uploads/", Some("DENIED")),
        (&viewer, "DELETE", "manifests/1", Some("DENIED")),
        (&stranger, "GET", "tags/list", Some("DENIED")),
        (&stranger, "POST", "blobs/uploads/", Some("DENIED")),
        (&nobody, "GET", "tags/list", Some("DENIED")),
        (&nobody, "POST", "blobs/uploads/", Some("DENIED")),
    ] {
        let bearer = caller.as_bearer(&caller.token(&[&everything]));
        let answer = bearer.ask(method, &format!("/v2/{repository}/{rest}"));
        match code {
            Some(code) => {
                assert_eq!(answer.header("www-authenticate"), None, "{answer}");
                expect_error(answer, 403, code);
            }
            None => {
                answer.expect(&[200]);
            }
        }
    }
}

#[test]
fn who_may_see_it_reads_what_is_missing_and_who_may_not_reads_both_reasons() {
    let organization = Organization::new();
    let repository = organization.repository("app");
    organization.member(Role::Writer).blob_push(&repository, b"content");
    let (viewer, stranger) = (organization.member(Role::Viewer), outsider());
    let uploads = format!("/v2/{repository}/blobs/uploads/");
    let message = expect_error(viewer.ask("POST", &uploads), 403, "DENIED");
    assert!(message.contains(viewer.username()) && message.contains("writer"), "{message}");
    let message = expect_error(stranger.ask("POST", &uploads), 403, "DENIED");
    assert!(message.contains(&repository) && message.contains("does not exist, or"), "{message}");
}

#[test]
fn credentials_that_cannot_be_read_are_refused_with_a_challenge() {
    let nobody = admin().as_nobody();
    for value in
        ["Basic", "Basic !!!", "Basic bm9jb2xvbg==", "Digest username=\"x\"", "Bearer", "x", "Basic /w=="]
    {
        let answer = nobody.call("GET", "/v2/", &[("authorization", value)], "");
        assert!(challenge(&answer).starts_with("Bearer realm="), "{value}: {answer}");
        expect_error(answer, 401, "UNAUTHORIZED");
    }
}

#[test]
fn a_token_that_is_none_is_told_so() {
    let (_, repository) = writer_and_repository();
    let path = format!("/v2/{repository}/tags/list");
    for token in ["garbage", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", &random_word().repeat(500), "lrd_pat_x"] {
        let answer = admin().as_bearer(token).ask("GET", &path);
        let expected = format!(
            "Bearer realm=\"{}/token\",service=\"larder\",scope=\"repository:{repository}:pull\",\
             error=\"invalid_token\"",
            server().url()
        );
        assert_eq!(challenge(&answer), expected);
        expect_error(answer, 401, "UNAUTHORIZED");
    }
}

/// Clients refuse a token service on another host than the registry's.
#[test]
fn the_token_service_is_where_the_client_found_the_registry() {
    let ask = |fields: &str| {
        raw(server(), format!("GET /v2/ HTTP/1.1\r\n{fields}Connection: close\r\n\r\n").as_bytes())
    };
    let answer = ask("Host: registry.example.org:8443\r\n");
    assert!(answer.contains("realm=\"http://registry.example.org:8443/token\""), "{answer}");
    // Nobody set up a proxy, so nobody may claim to be one.
    let answer = ask(
        "Host: registry.example.org\r\nX-Forwarded-Host: evil.example.org\r\nX-Forwarded-Proto: https\r\n\
         Forwarded: host=evil.example.org;proto=https\r\n",
    );
    assert!(answer.contains("realm=\"http://registry.example.org/token\""), "{answer}");
    let answer = ask("Host: a\",service=\"b\r\n");
    assert!(!answer.contains("service=\"b"), "{answer}");
}
