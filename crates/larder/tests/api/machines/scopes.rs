//! Tokens that are good for some repositories: on the registry protocol, on the Python index, and nowhere else.

use serde_json::{Value, json};
use testkit::python::Wheel;
use testkit::{Answer, Api, Role, random_word};

use super::scene::{Machine, text};
use crate::scene::{Calls as _, expect_error, expect_problem, small_manifest};

/// Tokens of a service account and of a person with these scopes: the same rules count for both.
fn limited(machine: &Machine, scopes: &Value) -> Vec<Api> {
    let person = machine.organization.member(Role::Writer);
    let body = json!({ "name": "limited", "scopes": scopes });
    let made = person.manage("POST", "/me/tokens", &body).expect(&[201]).json();
    assert_eq!(made["scopes"], *scopes, "{made}");
    let service = machine.token(json!({ "scopes": scopes }));
    [made, service].iter().map(|made| machine.bringing(&text(made, "token"))).collect()
}

#[test]
fn a_limited_token_reaches_what_it_names() {
    let machine = Machine::new();
    let (app, other) = (machine.repository("app"), machine.repository("other"));
    let writer = machine.organization.member(Role::Writer);
    for repository in [&app, &other] {
        writer.image_push(repository, "1", &small_manifest());
    }
    let scopes = json!([
        { "repositories": app, "actions": ["pull", "push"] },
        { "repositories": format!("{}/main/oth*", machine.organization.name), "actions": ["pull"] },
    ]);
    for caller in limited(&machine, &scopes) {
        let scope = format!(
            "repository:{app}:pull,push,delete repository:{other}:pull,push,delete \
             repository:{app}-2:pull"
        );
        let answer = caller.ask("GET", &format!("/token?service=larder&scope={}", scope.replace(' ', "%20")));
        let issued = answer.expect(&[200]).json();
        assert_eq!(
            issued["scope"],
            format!("repository:{app}:pull,push repository:{other}:pull"),
            "{issued}"
        );
        let bearer = caller.as_bearer(&text(&issued, "token"));
        for caller in [&caller, &bearer] {
            caller.manifest_get(&app, "1").expect(&[200]);
            caller.manifest_get(&other, "1").expect(&[200]);
            machine.may_push(caller);
            let push = caller.ask("POST", &format!("/v2/{other}/blobs/uploads/"));
            expect_error(push, 403, "DENIED");
            let delete = caller.ask("DELETE", &format!("/v2/{app}/manifests/1"));
            expect_error(delete, 403, "DENIED");
            for absent in [format!("{app}-2"), format!("{}/second/app", machine.organization.name)] {
                let answer = caller.manifest_get(&absent, "1");
                assert!([401, 403].contains(&answer.status), "{answer}");
            }
        }
        let text = expect_error(caller.ask("DELETE", &format!("/v2/{app}/manifests/1")), 403, "DENIED");
        assert!(text.contains("token"), "what is in the way has to be said: {text}");
    }
}

#[test]
fn the_catalog_shows_what_a_limited_token_may_pull() {
    let machine = Machine::new();
    let [app, other, pushed] = ["app", "other", "pushed"].map(|name| machine.repository(name));
    let writer = machine.organization.member(Role::Writer);
    for repository in [&app, &other, &pushed] {
        writer.image_push(repository, "1", &small_manifest());
    }
    let scopes = json!([
        { "repositories": app, "actions": ["pull"] },
        { "repositories": pushed, "actions": ["push"] },
    ]);
    for caller in limited(&machine, &scopes) {
        let catalog = caller.ask("GET", "/v2/_catalog?n=1000").expect(&[200]).json();
        let own: Vec<_> = catalog["repositories"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|name| name.as_str().is_some_and(|name| name.starts_with(&machine.organization.name)))
            .collect();
        assert_eq!(own, [app.as_str()], "{catalog}");
    }
}

/// A mount reads where it takes from.
#[test]
fn t12_a_limited_token_mounts_only_from_where_it_may_pull() {
    let machine = Machine::new();
    let (app, secret) = (machine.repository("app"), machine.repository("secret"));
    let writer = machine.organization.member(Role::Writer);
    let content = random_word();
    let digest = writer.blob_push(&secret, content.as_bytes());
    let scopes = json!([{ "repositories": app, "actions": ["pull", "push"] }]);
    for caller in limited(&machine, &scopes) {
        for query in [format!("mount={digest}&from={secret}"), format!("mount={digest}")] {
            let answer = caller.ask("POST", &format!("/v2/{app}/blobs/uploads/?{query}"));
            assert_eq!(answer.status, 202, "an upload is opened, nothing is mounted: {answer}");
        }
        caller.blob_get(&app, &digest).expect(&[404]);
    }
    let all =
        json!([{ "repositories": format!("{}/**", machine.organization.name), "actions": ["pull", "push"] }]);
    for caller in limited(&machine, &all) {
        caller.ask("POST", &format!("/v2/{app}/blobs/uploads/?mount={digest}&from={secret}")).expect(&[201]);
    }
}

/// A project is the repository of its name.
#[test]
fn a_limited_token_on_the_python_index() {
    let machine = Machine::new();
    let organization = &machine.organization.name;
    let [mine, theirs] = ["mine", "theirs"].map(|end| format!("pkg-{}-{end}", random_word()));
    let writer = machine.organization.member(Role::Writer);
    let files: Vec<_> = [&mine, &theirs].iter().map(|name| Wheel::new(name, "1.0").build()).collect();
    for file in &files {
        writer.python_upload(organization, "main", file).expect(&[200]);
    }
    let list = |caller: &Api| caller.ask("GET", &format!("/api/v1/{organization}/main/python/simple/"));
    let scopes = json!([{ "repositories": machine.repository(&mine), "actions": ["pull", "push"] }]);
    for caller in limited(&machine, &scopes) {
        caller.python_page(organization, "main", &mine).expect(&[200]);
        caller.python_file(organization, "main", &mine, &files[0].filename).expect(&[200]);
        let next = Wheel::new(&mine, &format!("2.{}", digits())).build();
        caller.python_upload(organization, "main", &next).expect(&[200]);
        caller.python_page(organization, "main", &theirs).expect(&[403]);
        let path = writer.python_path(organization, "main", &theirs, &files[1].filename);
        caller.ask("GET", &path).expect(&[403]);
        caller.ask("GET", &format!("{path}.metadata")).expect(&[403]);
        let next = Wheel::new(&theirs, &format!("2.{}", digits())).build();
        let message = refusal(&caller.python_upload(organization, "main", &next));
        assert!(message.contains("token"), "what is in the way has to be said: {message}");
        // The list names every project of the registry.
        list(&caller).expect(&[403]);
    }
    let scopes = json!([{ "repositories": format!("{organization}/main/**"), "actions": ["pull"] }]);
    for caller in limited(&machine, &scopes) {
        list(&caller).expect(&[200]);
        caller.python_page(organization, "main", &theirs).expect(&[200]);
        let next = Wheel::new(&mine, &format!("3.{}", digits())).build();
        caller.python_upload(organization, "main", &next).expect(&[403]);
    }
}

fn digits() -> String {
    random_word().bytes().take(9).map(|byte| char::from(b'1' + byte % 9)).collect()
}

#[track_caller]
fn refusal(answer: &Answer) -> String {
    assert_eq!(answer.status, 403, "{answer}");
    text(&answer.json(), "message")
}

#[test]
fn a_limited_token_manages_nothing() {
    let machine = Machine::new();
    machine.is(Role::Admin);
    let scopes = json!([{ "repositories": "**", "actions": ["pull", "push", "delete"] }]);
    for caller in limited(&machine, &scopes) {
        for (method, path, body) in [
            ("GET", machine.at(""), Value::Null),
            ("GET", machine.at("/members"), Value::Null),
            ("GET", "/organizations".to_owned(), Value::Null),
            ("PATCH", machine.at("/registries/main"), json!({ "visibility": "public" })),
            ("POST", machine.at("/service-accounts/deploy/tokens"), json!({ "name": "more" })),
            ("POST", "/me/tokens".to_owned(), json!({ "name": "more" })),
            ("GET", machine.at("/registries/main/python/projects"), Value::Null),
        ] {
            let problem = expect_problem(caller.manage(method, &path, &body), 403, "denied");
            let detail = text(&problem, "detail");
            assert!(detail.starts_with("this token is limited to repositories"), "{method} {path}: {detail}");
        }
        // Who it is may be asked: clients show it.
        caller.manage("GET", "/me", &Value::Null).expect(&[200]);
    }
}

#[test]
fn scopes_that_are_refused() {
    let machine = Machine::new();
    for scopes in [
        json!([]),
        json!([{ "repositories": "acme", "actions": ["pull"] }]),
        json!([{ "repositories": "acme/main/app", "actions": [] }]),
        json!([{ "repositories": "acme/**/app", "actions": ["pull"] }]),
        json!([{ "repositories": "acme/main/App", "actions": ["pull"] }]),
        json!([{ "repositories": "acme/main/app", "actions": ["admin"] }]),
        json!([{ "repositories": "acme/main/app", "actions": ["pull"], "until": "tomorrow" }]),
        json!([{ "repositories": "acme/main/app" }]),
        Value::Array(
            (0..33).map(|n| json!({ "repositories": format!("a/b/{n}"), "actions": ["pull"] })).collect(),
        ),
    ] {
        let answer = machine.of_account("POST", "/tokens", &json!({ "name": "ci", "scopes": scopes }));
        assert_eq!(answer.status, 422, "{scopes}: {answer}");
    }
}
