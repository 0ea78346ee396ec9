//! Roles that the groups of an identity provider have.

use reqwest::Url;
use serde_json::{Value, json};
use testkit::Server;
use testkit::issuer::{Claims, Issuer};

use super::scene::text;
use crate::accounts::Browser;
use crate::scene::{Calls as _, Organization, expect_problem, own_server};

/// A server with one identity provider, and an organization.
struct Company {
    provider: Issuer,
    server: Server,
    organization: Organization,
}

impl Company {
    fn new() -> Self {
        let provider = Issuer::start();
        let server = own_server(&[
            ("LARDER_SERVER__PUBLIC_URL", "http://localhost:1"),
            ("LARDER_AUTH__INTERNAL_ISSUERS", &provider.url()),
            ("LARDER_AUTH__PROVIDERS__COMPANY__ISSUER", &provider.url()),
            ("LARDER_AUTH__PROVIDERS__COMPANY__CLIENT_ID", "larder"),
        ]);
        Self { organization: Organization::on(&server.api()), provider, server }
    }

    /// A browser in which the provider's one user signs in, as a member of these groups.
    #[track_caller]
    fn sign_in(&self, groups: &[&str]) -> Browser {
        let mut browser = Browser::new(&self.server.api());
        let started = browser.ask("GET", "/auth/providers/company/start?return_to=/", &Value::Null);
        let started = started.expect(&[302, 303]);
        let url = Url::parse(started.header("location").expect("it leads to the provider")).expect("a URL");
        let parameter = |name: &str| {
            let mut pairs = url.query_pairs();
            pairs.find(|(found, _)| found == name).map(|(_, value)| value.into_owned()).expect("a parameter")
        };
        let claims = Claims::new(&self.provider.url(), "sub-1", "larder")
            .with("nonce", parameter("nonce"))
            .with("preferred_username", "robin")
            .with("groups", json!(groups));
        let id_token = self.provider.token(&claims);
        self.provider.answer_tokens_with(move |_| {
            (200, json!({ "access_token": "none", "token_type": "Bearer", "id_token": id_token }))
        });
        let callback = format!("/auth/providers/company/callback?code=code&state={}", parameter("state"));
        browser.ask("GET", &callback, &Value::Null).expect(&[302, 303]);
        assert!(browser.is_signed_in());
        browser
    }

    #[track_caller]
    fn manage(&self, method: &str, rest: &str, body: &Value) -> testkit::Answer {
        let path = format!("/organizations/{}{rest}", self.organization.name);
        self.organization.admin().manage(method, &path, body)
    }

    /// Gives a group a role and returns what names it.
    #[track_caller]
    fn give(&self, group: &str, role: &str, registry: &Value) -> String {
        let body = json!({ "provider": "company", "group": group, "role": role, "registry": registry });
        text(&self.manage("POST", "/group-roles", &body).expect(&[201]).json(), "id")
    }

    /// The status that the registry `main` is answered with.
    #[track_caller]
    fn status(&self, browser: &Browser) -> u16 {
        let path = format!("/organizations/{}/registries/main", self.organization.name);
        browser.ask_once("GET", &path, &[], &Value::Null).status
    }

    /// What decides whether the user may do something in that registry.
    #[track_caller]
    fn explain(&self, browser: &Browser, action: &str) -> Value {
        let resource = format!("{}/main", self.organization.name);
        let path = format!("/access/explain?action={action}&resource={resource}");
        browser.ask_once("GET", &path, &[], &Value::Null).expect(&[200]).json()
    }
}

#[test]
fn a_group_has_a_role_as_soon_as_it_is_given() {
    let company = Company::new();
    let browser = company.sign_in(&["developers", "everybody"]);
    assert_eq!(company.status(&browser), 404);
    let id = company.give("developers", "viewer", &json!("main"));
    assert_eq!(company.status(&browser), 200);
    let explained = company.explain(&browser, "registry:manage");
    assert_eq!(explained["allowed"], false, "{explained}");
    assert_eq!(explained["steps"][0]["source"], "group", "{explained}");
    assert_eq!(explained["steps"][0]["group"], "developers", "{explained}");
    let path = format!("/group-roles/{id}");
    let changed = company.manage("PATCH", &path, &json!({ "role": "admin" })).expect(&[200]).json();
    assert_eq!((&changed["role"], &changed["registry"]), (&json!("admin"), &json!("main")), "{changed}");
    assert_eq!(company.explain(&browser, "registry:manage")["allowed"], true);
    let list = company.manage("GET", "/group-roles", &Value::Null).expect(&[200]).json();
    assert_eq!(list["items"], json!([changed]));
    company.manage("DELETE", &path, &Value::Null).expect(&[204]);
    assert_eq!(company.status(&browser), 404);
    expect_problem(company.manage("GET", &path, &Value::Null), 404, "not_found");
}

/// What a provider said once counts until it says something else, and then no more.
#[test]
fn t16_groups_are_replaced_at_every_sign_in() {
    let company = Company::new();
    company.give("developers", "writer", &Value::Null);
    let first = company.sign_in(&["developers"]);
    assert_eq!(company.status(&first), 200);
    let second = company.sign_in(&["everybody"]);
    for browser in [&first, &second] {
        assert_eq!(company.status(browser), 404, "who left the group still has its role");
    }
    company.sign_in(&[]);
    assert_eq!(company.status(&first), 404);
    company.sign_in(&["everybody", "developers"]);
    assert_eq!(company.status(&first), 200);
}

/// A group is one of a provider, by its name to the letter.
#[test]
fn t13_a_group_is_what_its_provider_says_to_the_letter() {
    let company = Company::new();
    company.give("Admins", "admin", &Value::Null);
    let names = ["admins", "ADMINS", "Admins ", " Admins", "/Admins", "Admin", "Admins,x", "\u{410}dmins"];
    let browser = company.sign_in(&names);
    assert_eq!(company.status(&browser), 404);
    for (provider, status) in [("company", 409), ("other", 422), ("Company", 422), ("", 422)] {
        let body = json!({ "provider": provider, "group": "Admins", "role": "viewer" });
        let answer = company.manage("POST", "/group-roles", &body);
        assert_eq!(answer.status, status, "{answer}");
    }
    for (field, value) in [
        ("group", json!("")),
        ("group", json!("a\nb")),
        ("role", json!("owner")),
        ("registry", json!("none")),
    ] {
        let mut body = json!({ "provider": "company", "group": "x", "role": "viewer" });
        body[field] = value;
        let answer = company.manage("POST", "/group-roles", &body);
        assert!([400, 404, 422].contains(&answer.status), "{answer}");
    }
}
