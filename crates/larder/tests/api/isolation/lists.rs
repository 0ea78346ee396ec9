//! Everything that lists or reads, asked by everybody: nothing of one organization shows to another.

use serde_json::{Value, json};
use testkit::{Api, Place, Role, Visibility, random_word};

use super::Victim;
use super::table::{api_endpoints, protocol_endpoints, python_endpoints, python_mistakes};
use crate::scene::{Calls as _, Organization, admin, outsider, referrer_of, small_manifest};

/// A word that turns up in everything that belongs to the victim and in nothing else.
struct Canary(String);

impl Canary {
    /// An answer does not hold the word, once what the request itself said is taken out.
    #[track_caller]
    fn is_silent(&self, who: &str, answer: &testkit::Answer, asked: &[String]) {
        let mut text = format!("{:?}\n{}", answer.headers, String::from_utf8_lossy(&answer.body));
        for said in asked {
            text = text.replace(said.as_str(), "");
        }
        assert!(!text.contains(&self.0), "{who} learns of {}: {answer}", self.0);
    }
}

/// An organization whose every name, tag, annotation and type holds the canary.
fn victim_with(canary: &Canary) -> Victim {
    let word = &canary.0;
    let name = format!("org-{word}");
    admin().organization_create(&name);
    let organization = Organization::named(&name);
    let victim = Victim::in_organization(organization);
    let mut manifest = small_manifest();
    manifest["annotations"][format!("{word}-annotation")] = word.clone().into();
    let repository = format!("{name}/{}/{word}-repository", victim.registry);
    let image = victim.writer.image_push(&repository, &format!("{word}-tag"), &manifest);
    let referrer = referrer_of(&image.descriptor(), &format!("application/vnd.{word}"));
    victim.writer.image_push(&repository, "", &referrer);
    let username = format!("user-{word}");
    admin().user_create(&username, &random_word());
    admin().member_put(Place::Organization(&name), &username, Role::Writer);
    victim.writer.token_create(&format!("{word}-token"));
    account_with(canary, &name);
    let wheel = testkit::python::Wheel::new(&format!("{word}-project"), "1.0").header("Summary", word);
    victim.writer.python_upload(&name, &victim.registry, &wheel.build()).expect(&[200]);
    // In one of the attacker's own repositories nothing refers to it either.
    victim
}

/// A service account of the organization, and everything that hangs on one.
fn account_with(canary: &Canary, organization: &str) {
    let word = &canary.0;
    let made = |rest: &str, body: &Value| {
        admin().manage("POST", &format!("/organizations/{organization}{rest}"), body).expect(&[201]);
    };
    // Its name has room for some of the word: what it is for has room for all of it.
    made("/service-accounts", &json!({ "name": "deploy", "description": word }));
    made("/service-accounts/deploy/tokens", &json!({ "name": word }));
    let binding = json!({
        "name": word,
        "issuer": format!("https://{word}.example.com"),
        "claims": [{ "claim": "project_id", "equals": word }],
    });
    made("/service-accounts/deploy/bindings", &binding);
    made("/invitations", &json!({ "role": "viewer", "email": format!("{word}@example.com") }));
}

#[test]
fn t10_no_list_and_no_answer_shows_anything_of_others() {
    let canary = Canary(format!("canary{}", random_word()));
    let victim = victim_with(&canary);
    let own = Organization::new();
    own.registry("open", Visibility::Public);
    let own_repository = own.repository("app");
    let pushed = own.member(Role::Writer).image_push(&own_repository, "v1", &small_manifest());
    let own_wheel = super::wheel_of(&format!("pkg-{}", random_word()));
    admin().python_upload(&own.name, "open", &own_wheel).expect(&[200]);
    let nobody = admin().as_nobody();
    let scopes = |repository: &str| format!("repository:{repository}:pull,push,delete registry:catalog:*");
    let writer = own.member(Role::Writer);
    let callers: Vec<(&str, Api)> = vec![
        ("nobody", nobody.clone()),
        ("nobody with a token", nobody.as_bearer(&nobody.token(&[&scopes(&victim.repository)]))),
        ("somebody without a role", outsider()),
        ("a viewer elsewhere", own.member(Role::Viewer)),
        ("a writer elsewhere", writer.clone()),
        ("a writer elsewhere with a token", writer.as_bearer(&writer.token(&[&scopes(&victim.repository)]))),
        (
            "a writer elsewhere with a token for its own",
            writer.as_bearer(&writer.token(&[&scopes(&own_repository)])),
        ),
        ("an administrator elsewhere", own.member(Role::Admin)),
    ];
    let targets = [
        // What the attacker names itself is no secret; what comes back beyond that is.
        vec![
            ("{repository}", victim.repository.clone()),
            ("{organization}", victim.organization.name.clone()),
            ("{registry}", victim.registry.clone()),
            ("{blob}", victim.layer_digest.clone()),
            ("{manifest}", victim.image.digest.clone()),
            ("{upload}", victim.upload_id().to_owned()),
            ("{username}", victim.writer.username().to_owned()),
            ("{token}", victim.token_id.clone()),
            ("{account}", "deploy".to_owned()),
            ("{account_token}", victim.account_token_id.clone()),
            ("{binding}", victim.binding_id.clone()),
            ("{invitation}", victim.invitation_id.clone()),
            ("{tag}", victim.tag.clone()),
            ("{project}", victim.project.clone()),
            ("{filename}", victim.wheel.filename.clone()),
            ("{sha256}", victim.wheel.sha256()),
            ("{version}", victim.wheel.version.clone()),
        ],
        // What is in the canary's own project is there to be named as well.
        vec![
            ("{organization}", victim.organization.name.clone()),
            ("{registry}", victim.registry.clone()),
            ("{project}", format!("{}-project", canary.0)),
            ("{filename}", format!("{}_project-1.0-py3-none-any.whl", canary.0)),
            ("{sha256}", "0".repeat(64)),
            ("{version}", "1.0".to_owned()),
        ],
        vec![
            ("{repository}", own_repository.clone()),
            ("{organization}", own.name.clone()),
            ("{registry}", "main".to_owned()),
            ("{blob}", victim.layer_digest.clone()),
            ("{manifest}", victim.image.digest.clone()),
            ("{upload}", victim.upload_id().to_owned()),
            ("{username}", victim.writer.username().to_owned()),
            ("{token}", victim.token_id.clone()),
            ("{account}", victim.account.clone()),
            ("{account_token}", victim.account_token_id.clone()),
            ("{binding}", victim.binding_id.clone()),
            ("{invitation}", victim.invitation_id.clone()),
            ("{tag}", "v1".to_owned()),
            ("{project}", victim.project.clone()),
            ("{filename}", victim.wheel.filename.clone()),
            ("{sha256}", victim.wheel.sha256()),
            ("{version}", victim.wheel.version.clone()),
        ],
        vec![
            ("{repository}", own_repository.clone()),
            ("{organization}", own.name.clone()),
            ("{registry}", "open".to_owned()),
            ("{blob}", pushed.digest.clone()),
            ("{manifest}", pushed.digest.clone()),
            ("{upload}", super::upload_of_nothing()),
            ("{username}", writer.username().to_owned()),
            ("{token}", "none".to_owned()),
            ("{tag}", "v1".to_owned()),
            ("{project}", own_wheel.name.clone()),
            ("{filename}", own_wheel.filename.clone()),
            ("{sha256}", own_wheel.sha256()),
            ("{version}", own_wheel.version.clone()),
        ],
    ];
    let reads = protocol_endpoints()
        .iter()
        .map(|endpoint| ("", endpoint))
        .chain(api_endpoints().iter().map(|endpoint| ("/api/v1", endpoint)))
        .chain(python_endpoints().iter().chain(python_mistakes()).map(|endpoint| ("", endpoint)))
        .filter(|(_, endpoint)| ["GET", "HEAD"].contains(&endpoint.method))
        .map(|(prefix, endpoint)| format!("{} {prefix}{}", endpoint.method, endpoint.path))
        .chain(
            ["GET /healthz", "GET /readyz", "GET /metrics", "GET /token?scope=registry:catalog:*"]
                .map(String::from),
        )
        .chain(
            ["GET /v2/_catalog?n=100000&last=a", "GET /api/v1/organizations?limit=200&cursor=org"]
                .map(String::from),
        );
    for read in reads {
        let (method, template) = read.split_once(' ').expect("a method and a path");
        for target in &targets {
            let path =
                target.iter().fold(template.to_owned(), |path, (name, value)| path.replace(name, value));
            let asked: Vec<String> = target
                .iter()
                .filter(|(name, _)| template.contains(name))
                .map(|(_, value)| value.clone())
                .collect();
            for (who, caller) in &callers {
                canary.is_silent(who, &caller.ask(method, &path), &asked);
            }
        }
    }
    // The canary is there to be heard: its owner does.
    let listed = victim.writer.ask("GET", "/v2/_catalog").expect(&[200]).json();
    assert!(listed["repositories"].to_string().contains(&format!("{}-repository", canary.0)), "{listed}");
    let path = format!("/api/v1/{}/{}/python/simple/", victim.organization.name, victim.registry);
    let listed = victim.writer.ask("GET", &path).expect(&[200]);
    assert!(String::from_utf8_lossy(&listed.body).contains(&format!("{}-project", canary.0)), "{listed}");
}

#[test]
fn t10_the_catalog_holds_what_the_caller_may_pull() {
    let (victim, own) = (Victim::new(), Organization::new());
    own.registry("open", Visibility::Public);
    let (private, public) = (own.repository("app"), format!("{}/open/app", own.name));
    let writer = own.member(Role::Writer);
    for repository in [&private, &public] {
        writer.image_push(repository, "v1", &small_manifest());
    }
    let names = |caller: &Api| {
        let listed = caller.ask("GET", &format!("/v2/_catalog?last={}", own.name)).expect(&[200]).json();
        let all = listed["repositories"].as_array().expect("a list").clone();
        all.into_iter()
            .filter(|name| {
                let name = name.as_str().unwrap_or_default();
                [&private, &public, &victim.repository].iter().any(|known| *known == name)
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&writer), [private.as_str(), public.as_str()]);
    assert_eq!(names(&outsider()), [public.as_str()]);
    // A token for nothing but the catalog opens no more than its owner sees.
    let token = writer.token(&["registry:catalog:*"]);
    assert_eq!(names(&writer.as_bearer(&token)), [private.as_str(), public.as_str()]);
}
