//! Every endpoint, asked by somebody else for what exists and for what does not: one answer.
//!
//! That the two take the same time is not measured here: on a machine that does other things too, a clock
//! proves nothing in either direction. What can be said is that both take the same way: one statement resolves
//! a name to a place and the caller's standing there, whether or not the place exists, nothing is looked up
//! before that has been decided, and a password is compared even when nobody has the name (which shows in the
//! metrics, and is asserted below).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use testkit::{Answer, Api, random_word};

use super::table::{Endpoint, api_endpoints, protocol_endpoints, python_endpoints, python_mistakes};
use super::{Attacker, Victim, account_name, digest_of_nothing, upload_of_nothing, wheel_of};
use crate::accounts::Browser;
use crate::scene::{Calls as _, own_server, server, system_admin_of, user_of};

/// What stands in a request for each name in braces.
#[derive(Clone, Debug)]
struct Target(Vec<(&'static str, String)>);

impl Target {
    fn new(victim: &Victim) -> Self {
        Self(vec![
            // The longest first: a repository's name holds two others.
            ("{repository}", victim.repository.clone()),
            ("{blob}", victim.layer_digest.clone()),
            ("{manifest}", victim.image.digest.clone()),
            ("{organization}", victim.organization.name.clone()),
            ("{registry}", victim.registry.clone()),
            ("{upload}", victim.upload_id().to_owned()),
            ("{username}", victim.writer.username().to_owned()),
            ("{token}", victim.token_id.clone()),
            ("{account}", victim.account.clone()),
            ("{account_token}", victim.account_token_id.clone()),
            ("{binding}", victim.binding_id.clone()),
            ("{invitation}", victim.invitation_id.clone()),
            // Groups have roles only where there is a provider: this is one that nobody has.
            ("{group_role}", upload_of_nothing()),
            ("{session}", session_id(&victim.writer)),
            ("{tag}", victim.tag.clone()),
            // A file's name holds its version.
            ("{filename}", victim.wheel.filename.clone()),
            ("{project}", victim.project.clone()),
            ("{sha256}", victim.wheel.sha256()),
            ("{version}", victim.wheel.version.clone()),
        ])
    }

    /// The same with other values, which are just as long.
    fn with(&self, changes: &[(&str, String)]) -> Self {
        let mut target = self.clone();
        for (name, value) in changes {
            let (_, old) =
                target.0.iter_mut().find(|(found, _)| found == name).expect("the name is one of ours");
            assert_eq!(old.len(), value.len(), "answers would differ in length for no reason");
            value.clone_into(old);
        }
        target
    }

    fn value(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.as_str())
            .expect("a name of ours")
    }

    /// Puts the values in place of the names.
    fn fill(&self, template: &str) -> String {
        self.0.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    /// Puts the names back in place of the values.
    fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(value, name))
    }

    /// Where nothing is: another organization, registry, repository, and nothing of the name in the same one.
    fn missing(&self) -> Vec<(&'static str, Self)> {
        let [organization, registry] =
            ["{organization}", "{registry}"].map(|name| self.value(name).to_owned());
        let wheel = wheel_of(&format!("pkg-{}", random_word()));
        let last = self.value("{repository}").rsplit('/').next().unwrap_or_default().to_owned();
        let repository = |organization: &str, registry: &str, last: &str| {
            ("{repository}", format!("{organization}/{registry}/{last}"))
        };
        let (other_organization, other_registry, other_last) = (
            format!("org-{}", random_word()),
            format!("vault-{}", random_word()),
            format!("app-{}", random_word()),
        );
        vec![
            (
                "no such organization",
                self.with(&[
                    ("{organization}", other_organization.clone()),
                    repository(&other_organization, &registry, &last),
                ]),
            ),
            (
                "no such registry",
                self.with(&[
                    ("{registry}", other_registry.clone()),
                    repository(&organization, &other_registry, &last),
                ]),
            ),
            ("no such repository", self.with(&[repository(&organization, &registry, &other_last)])),
            (
                "no such content",
                self.with(&[
                    ("{blob}", digest_of_nothing()),
                    ("{manifest}", digest_of_nothing()),
                    ("{upload}", upload_of_nothing()),
                    ("{username}", format!("user-{}", random_word())),
                    ("{token}", self.value("{token}").chars().rev().collect()),
                    ("{account}", account_name()),
                    ("{account_token}", self.value("{account_token}").chars().rev().collect()),
                    ("{binding}", self.value("{binding}").chars().rev().collect()),
                    ("{invitation}", self.value("{invitation}").chars().rev().collect()),
                    ("{group_role}", upload_of_nothing()),
                    ("{session}", self.value("{session}").chars().rev().collect()),
                    ("{tag}", format!("tag-{}", random_word())),
                    ("{project}", wheel.name.clone()),
                    ("{filename}", wheel.filename.clone()),
                    ("{sha256}", wheel.sha256()),
                    ("{version}", wheel.version.clone()),
                ]),
            ),
        ]
    }

    /// The scope that would open all of the repository.
    fn scope(&self) -> String {
        format!("repository:{}:pull,push,delete", self.value("{repository}"))
    }
}

/// The identifier of a session of this user, in a browser that is signed in.
fn session_id(user: &Api) -> String {
    let list = Browser::signed_in(user).ask("GET", "/me/sessions", &Value::Null).expect(&[200]).json();
    list["items"][0]["id"].as_str().expect("a session has an id").to_owned()
}

/// What a caller can tell one answer from another by.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn new(answer: &Answer, target: &Target) -> Self {
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
            .map(|(name, value)| (name.to_string(), target.hide(&String::from_utf8_lossy(value.as_bytes()))))
            .collect();
        headers.sort();
        let mut body = target.hide(&String::from_utf8_lossy(&answer.body));
        if let Some(id) = answer.header("x-request-id") {
            body = body.replace(id, "{request}");
        }
        Self { status: answer.status, headers, body }
    }
}

fn send(caller: &Api, prefix: &str, endpoint: &Endpoint, target: &Target) -> Seen {
    let path = format!("{prefix}{}", target.fill(endpoint.path));
    let answer = caller.call(endpoint.method, &path, endpoint.headers, target.fill(endpoint.body));
    Seen::new(&answer, target)
}

/// A way to sign a request, which may depend on what it is aimed at, and the status that it gets.
type Way<'a> = (&'static str, Box<dyn Fn(&Target) -> Api + 'a>, u16);

fn check(endpoints: &[Endpoint], prefix: &str, victim: &Victim, ways: &[Way<'_>]) {
    let existing = Target::new(victim);
    // The body of every request has braces if it is JSON; only a name in braces is aimed at something.
    let aimed = |endpoint: &&Endpoint| {
        existing.0.iter().any(|(name, _)| endpoint.path.contains(name) || endpoint.body.contains(name))
    };
    for endpoint in endpoints.iter().filter(aimed) {
        for (who, sign, status) in ways {
            let seen = send(&sign(&existing), prefix, endpoint, &existing);
            let (method, path) = (endpoint.method, endpoint.path);
            assert_eq!(seen.status, *status, "{who} asks {method} {path}: {seen:?}");
            for (why, target) in existing.missing() {
                let missing = send(&sign(&target), prefix, endpoint, &target);
                assert_eq!(seen, missing, "{who} can tell from {method} {path} that there is {why}");
            }
        }
    }
    victim.is_untouched();
}

#[test]
fn t9_the_protocol_answers_the_same_for_what_is_hidden_and_what_is_missing() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let nobody = attacker.api.as_nobody();
    let own_scope = format!("repository:{}:pull,push,delete", attacker.repository);
    let silent = attacker.api.as_bearer(&attacker.api.token(&[&own_scope]));
    let personal = attacker.api.token_create("laptop")["token"].as_str().expect("a token").to_owned();
    let personal = attacker.api.as_bearer(&personal);
    let ways: [Way<'_>; 7] = [
        ("a stranger with a password", Box::new(|_| attacker.api.clone()), 403),
        ("a stranger with a personal token", Box::new(|_| personal.clone()), 403),
        (
            "a stranger with a token for it",
            Box::new(|target| attacker.api.as_bearer(&attacker.api.token(&[&target.scope()]))),
            403,
        ),
        ("a stranger with a token for something else", Box::new(|_| silent.clone()), 401),
        (
            "nobody with a token for it",
            Box::new(|target| nobody.as_bearer(&nobody.token(&[&target.scope()]))),
            403,
        ),
        ("nobody", Box::new(|_| nobody.clone()), 401),
        // Who runs the server does not read what is stored on it.
        ("the server's administrator", Box::new(|_| server_administrator()), 403),
    ];
    check(protocol_endpoints(), "", &victim, &ways);
}

/// A system administrator who is a member of nothing.
fn server_administrator() -> Api {
    use std::sync::OnceLock;
    static ADMINISTRATOR: OnceLock<Api> = OnceLock::new();
    ADMINISTRATOR.get_or_init(|| system_admin_of(server())).clone()
}

#[test]
fn t9_management_answers_the_same_for_what_is_hidden_and_what_is_missing() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let personal = attacker.api.token_create("laptop")["token"].as_str().expect("a token").to_owned();
    let personal = attacker.api.as_bearer(&personal);
    let nobody = attacker.api.as_nobody();
    // Who may not create users or organizations is told just that, whatever the name.
    let (instance, rest): (Vec<Endpoint>, Vec<Endpoint>) = api_endpoints().iter().partition(|endpoint| {
        endpoint.path.starts_with("/users") || (endpoint.method, endpoint.path) == ("POST", "/organizations")
    });
    // What keeps an account safe no token may touch, not even its owner's own.
    let (account, rest): (Vec<Endpoint>, Vec<Endpoint>) = rest.into_iter().partition(|endpoint| {
        ["/me/sessions/{session}", "/me/tokens/{token}/rotate"].contains(&endpoint.path)
    });
    for (endpoints, status, with_token) in [(&instance, 403, 403), (&account, 404, 403), (&rest, 404, 404)] {
        let ways: [Way<'_>; 3] = [
            ("a stranger with a password", Box::new(|_| attacker.api.clone()), status),
            ("a stranger with a personal token", Box::new(|_| personal.clone()), with_token),
            ("nobody", Box::new(|_| nobody.clone()), 401),
        ];
        check(endpoints, "/api/v1", &victim, &ways);
    }
}

/// The statuses are others here: installers take 404 as leave to look elsewhere, and know no token service.
#[test]
fn t9_the_python_index_answers_the_same_for_what_is_hidden_and_what_is_missing() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let nobody = attacker.api.as_nobody();
    let personal = attacker.api.token_create("laptop")["token"].as_str().expect("a token").to_owned();
    let silent = attacker.api.as_bearer(&attacker.api.token(&["registry:catalog:*"]));
    // To the one right path of a page anybody is sent, whether or not it is there.
    let is_redirect =
        |endpoint: &Endpoint| ["/simple", "/simple/{project}"].iter().any(|end| endpoint.path.ends_with(end));
    let (redirects, mut rest): (Vec<Endpoint>, Vec<Endpoint>) =
        python_endpoints().iter().partition(|endpoint| is_redirect(endpoint));
    rest.extend(python_mistakes());
    assert_eq!(redirects.len(), 2);
    for (endpoints, refused, unsigned) in [(&redirects, 301, 301), (&rest, 403, 401)] {
        let ways: [Way<'_>; 6] = [
            ("a stranger with a password", Box::new(|_| attacker.api.clone()), refused),
            ("a stranger with a personal token", Box::new(|_| attacker.api.as_bearer(&personal)), refused),
            (
                "a stranger with a personal token as a password",
                Box::new(|_| attacker.api.as_user("__token__", &personal)),
                refused,
            ),
            ("nobody", Box::new(|_| nobody.clone()), unsigned),
            ("the server's administrator", Box::new(|_| server_administrator()), refused),
            // Refused before anything is looked at, and so before a redirect.
            (
                "a stranger with a token for pulling",
                Box::new(|target| attacker.api.as_bearer(&attacker.api.token(&[&target.scope()]))),
                403,
            ),
        ];
        check(endpoints, "", &victim, &ways);
        let ways: [Way<'_>; 2] = [
            ("a stranger with a token for something else", Box::new(|_| silent.clone()), 403),
            (
                "nobody with a token for it",
                Box::new(|target| nobody.as_bearer(&nobody.token(&[&target.scope()]))),
                403,
            ),
        ];
        check(endpoints, "", &victim, &ways);
    }
}

#[test]
fn t9_the_token_service_says_the_same_for_what_is_hidden_and_what_is_missing() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let existing = Target::new(&victim);
    for caller in [&attacker.api, &attacker.api.as_nobody()] {
        let seen = |target: &Target| {
            let path = format!("/token?service=larder&scope={}", target.scope());
            let answer = caller.ask("GET", &path).expect(&[200]);
            let body = answer.json();
            let claims =
                body["token"].as_str().and_then(|token| token.split('.').nth(1)).expect("a token has claims");
            let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).expect("claims are base64url");
            let mut claims: Value = serde_json::from_slice(&claims).expect("claims are JSON");
            for changing in ["iat", "nbf", "exp", "jti"] {
                claims[changing] = Value::Null;
            }
            assert_eq!(body["scope"], "", "{answer}");
            (target.hide(&claims.to_string()), answer.body.len(), body["expires_in"].clone())
        };
        let expected = seen(&existing);
        for (why, target) in existing.missing() {
            assert_eq!(expected, seen(&target), "a token tells that there is {why}");
        }
    }
}

#[test]
fn t9_a_viewer_cannot_find_out_who_has_an_account() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let organization = attacker.repository.split('/').next().expect("a name has parts");
    for place in ["", "/registries/main"] {
        let path = format!("/organizations/{organization}{place}/members/{{username}}");
        let seen = |username: &str| {
            let target = Target(vec![("{username}", username.to_owned())]);
            let answer = attacker.api.manage("GET", &target.fill(&path), &Value::Null).expect(&[404]);
            Seen::new(&answer, &target)
        };
        assert_eq!(seen(victim.writer.username()), seen(&format!("user-{}", random_word())));
    }
}

#[test]
fn t9_a_name_that_nobody_has_costs_a_password_check_too() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let checks = || {
        let text =
            String::from_utf8(server.api().as_nobody().get("/metrics").body).expect("metrics are text");
        let line = text.lines().find(|line| line.starts_with("larder_password_verifications "));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).expect("the metric is there")
    };
    let seen = |username: &str| {
        let before = checks();
        let answer = server.api().as_user(username, "not the password").ask("GET", "/v2/");
        let target = Target(vec![("{username}", username.to_owned())]);
        (Seen::new(&answer, &target), checks() - before)
    };
    let known = seen(user.username());
    assert_eq!((known.0.status, known.1), (401, 1), "{known:?}");
    assert_eq!(known, seen(&format!("user-{}", random_word())));
}
