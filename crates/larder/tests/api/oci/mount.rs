//! `POST /v2/<name>/blobs/uploads/?mount=`: a blob from another repository, without sending it again.

use testkit::{Answer, Api, Role, Visibility, random_bytes, sha256};

use crate::scene::{Calls as _, Organization, expect_error, outsider};

#[track_caller]
fn mount(caller: &Api, target: &str, query: &str) -> Answer {
    caller.ask("POST", &format!("/v2/{target}/blobs/uploads/?{query}"))
}

/// Asserts that the blob is in the target now.
#[track_caller]
fn check_mounted(caller: &Api, answer: Answer, target: &str, digest: &str) {
    let answer = answer.expect(&[201]);
    let location = format!("/v2/{target}/blobs/{digest}");
    assert_eq!(answer.header("location"), Some(location.as_str()), "{answer}");
    assert_eq!(answer.header("docker-content-digest"), Some(digest), "{answer}");
    assert_eq!(sha256(&caller.ask("GET", &location).expect(&[200]).body), digest);
}

/// Asserts that the answer is a session like any other, and that the blob is not in the target.
#[track_caller]
fn check_session(caller: &Api, answer: Answer, target: &str, digest: &str) {
    let answer = answer.expect(&[202]);
    assert_eq!(answer.header("range"), Some("0-0"), "{answer}");
    assert!(answer.header("docker-upload-uuid").is_some(), "{answer}");
    assert_eq!(answer.header("docker-content-digest"), None, "{answer}");
    let location = answer.header("location").expect("a session has a location");
    caller.ask("GET", location).expect(&[204]);
    caller.ask("GET", &format!("/v2/{target}/blobs/{digest}")).expect(&[404]);
}

/// An organization with a blob in repository `source`, and a writer in it.
struct Scene {
    organization: Organization,
    writer: Api,
    source: String,
    digest: String,
}

impl Scene {
    fn new() -> Self {
        let organization = Organization::new();
        let writer = organization.member(Role::Writer);
        let source = organization.repository("source");
        let digest = writer.blob_push(&source, &random_bytes(1000));
        Self { organization, writer, source, digest }
    }

    fn target(&self, name: &str) -> String {
        self.organization.repository(name)
    }
}

#[test]
fn with_the_right_to_both_the_blob_is_linked() {
    let scene = Scene::new();
    let Scene { writer, source, digest, .. } = &scene;
    // Plain and escaped, with and without what some clients add.
    for (name, query) in [
        ("plain", format!("mount={digest}&from={source}")),
        ("escaped", format!("from={}&mount={}", source.replace('/', "%2F"), digest.replace(':', "%3A"))),
        ("origin", format!("mount={digest}&from={source}&origin=registry.example.org")),
    ] {
        let target = scene.target(name);
        check_mounted(writer, mount(writer, &target, &query), &target, digest);
    }
    let target = scene.target("bearer");
    let (pull, push) = (format!("repository:{source}:pull"), format!("repository:{target}:pull,push"));
    let bearer = writer.as_bearer(&writer.token(&[&push, &pull]));
    check_mounted(
        &bearer,
        mount(&bearer, &target, &format!("mount={digest}&from={source}")),
        &target,
        digest,
    );
}

#[test]
fn a_token_that_says_nothing_about_the_source_is_told_both_scopes() {
    let scene = Scene::new();
    let Scene { writer, source, digest, .. } = &scene;
    let target = scene.target("target");
    let push = format!("repository:{target}:pull,push");
    let bearer = writer.as_bearer(&writer.token(&[&push]));
    let answer = mount(&bearer, &target, &format!("mount={digest}&from={source}"));
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let scope = format!("scope=\"{push} repository:{source}:pull\"");
    assert!(challenge.contains(&scope), "{answer}");
    expect_error(answer, 401, "UNAUTHORIZED");
    // As a client does with it: all that the challenge asks for, in one parameter.
    let bearer = writer.as_bearer(&writer.token(&[&format!("{push} repository:{source}:pull")]));
    check_mounted(
        &bearer,
        mount(&bearer, &target, &format!("mount={digest}&from={source}")),
        &target,
        digest,
    );
}

#[test]
fn i4_without_the_right_to_the_source_a_session_begins() {
    let scene = Scene::new();
    let Scene { source, digest, .. } = &scene;
    let other = Organization::new();
    let stranger = other.member(Role::Writer);
    let target = other.repository("target");
    let query = format!("mount={digest}&from={source}");
    check_session(&stranger, mount(&stranger, &target, &query), &target, digest);
    // The token was evaluated for the source and denied: another one would not help, so there is no 401.
    let scopes = [format!("repository:{target}:pull,push"), format!("repository:{source}:pull")];
    let bearer = stranger.as_bearer(&stranger.token(&[&scopes[0], &scopes[1]]));
    check_session(&bearer, mount(&bearer, &target, &query), &target, digest);
}

#[test]
fn what_is_not_in_the_source_begins_a_session() {
    let scene = Scene::new();
    let Scene { writer, source, digest, .. } = &scene;
    let target = scene.target("target");
    let absent = sha256(&random_bytes(10));
    for query in [
        format!("mount={absent}&from={source}"),
        format!("mount={digest}&from={}", scene.target("nowhere")),
        format!("mount={digest}&from=org-that-is-not/main/app"),
        format!("mount={digest}&from=Not%20A%20Name"),
        format!("mount={absent}"),
    ] {
        let answer = mount(writer, &target, &query);
        check_session(writer, answer, &target, digest);
    }
    // A session after a mount takes the bytes as any other.
    let bytes = random_bytes(10);
    let answer = mount(writer, &target, &format!("mount={}&from={source}", sha256(&bytes))).expect(&[202]);
    let location = answer.header("location").expect("a session has a location");
    writer.call("PUT", &format!("{location}?digest={}", sha256(&bytes)), &[], bytes.clone()).expect(&[201]);
}

#[test]
fn without_a_source_any_repository_that_the_caller_may_pull_from_will_do() {
    let scene = Scene::new();
    let Scene { writer, digest, .. } = &scene;
    let target = scene.target("target");
    check_mounted(writer, mount(writer, &target, &format!("mount={digest}")), &target, digest);

    let other = Organization::new();
    let stranger = other.member(Role::Writer);
    let target = other.repository("target");
    check_session(&stranger, mount(&stranger, &target, &format!("mount={digest}")), &target, digest);
}

#[test]
fn public_content_may_be_mounted_by_anybody_who_may_push_somewhere() {
    let scene = Scene::new();
    scene.organization.registry("public", Visibility::Public);
    let source = format!("{}/public/app", scene.organization.name);
    let digest = scene.writer.blob_push(&source, &random_bytes(100));
    let other = Organization::new();
    let stranger = other.member(Role::Writer);
    for (name, query) in
        [("named", format!("mount={digest}&from={source}")), ("any", format!("mount={digest}"))]
    {
        let target = other.repository(name);
        check_mounted(&stranger, mount(&stranger, &target, &query), &target, &digest);
    }
}

#[test]
fn a_mount_takes_the_right_to_push() {
    let scene = Scene::new();
    let Scene { source, digest, .. } = &scene;
    let target = scene.target("target");
    let query = format!("mount={digest}&from={source}");
    for caller in [scene.organization.member(Role::Viewer), outsider()] {
        expect_error(mount(&caller, &target, &query), 403, "DENIED");
    }
}

#[test]
fn what_was_mounted_survives_its_source() {
    let scene = Scene::new();
    let Scene { writer, source, digest, .. } = &scene;
    let target = scene.target("target");
    mount(writer, &target, &format!("mount={digest}&from={source}")).expect(&[201]);
    writer.ask("DELETE", &format!("/v2/{source}/blobs/{digest}")).expect(&[202]);
    writer.ask("HEAD", &format!("/v2/{source}/blobs/{digest}")).expect(&[404]);
    let answer = writer.ask("GET", &format!("/v2/{target}/blobs/{digest}")).expect(&[200]);
    assert_eq!(sha256(&answer.body), *digest);
}
