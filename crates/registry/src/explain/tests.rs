use access::{Limit, ScopeGrant};

use super::*;
use crate::NewGroupRole;
use crate::grant::{Delete, OrganizationDelete, Pull, Push};
use crate::testing::{ACME_CI, ADA, BOB, EVE, ROOT, Scene, limited, nobody, person, refusal, scene};

fn word(text: &str) -> Operation {
    text.parse().unwrap()
}

fn target(text: &str) -> Target {
    text.parse().unwrap()
}

async fn explain(
    scene: &Scene,
    caller: &Caller,
    about: Option<&str>,
    action: &str,
    resource: &str,
) -> Result<Explanation, Error> {
    scene.registry.access_explain(caller, about, word(action), &target(resource)).await
}

async fn group_role(scene: &Scene, group: &str, registry: Option<&str>, role: Role) -> String {
    let registry = registry.map(|name| name.parse().unwrap());
    let new = NewGroupRole { provider: "sso".to_owned(), group: group.to_owned(), registry, role };
    let granted = scene.manage_acme().await;
    scene.registry.group_role_create(&granted, new).await.unwrap().id
}

#[test]
fn what_a_question_is_about_comes_back() {
    for text in ["instance", "acme", "acme/prod", "acme/prod/app", "acme/prod/team/app"] {
        assert_eq!(target(text).to_string(), text);
    }
    for text in ["", "Acme", "acme/", "/prod", "acme//app", "acme/prod/", "acme/prod/App", "_"] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
    assert!(
        "instance".parse::<OrganizationName>().is_err(),
        "an organization could be mistaken for the instance"
    );
}

#[tokio::test]
async fn every_source_of_a_right_is_a_step() {
    let scene = scene().await;
    let ada = person(ADA, "ada");
    scene.group_join(BOB, "staff").await;
    scene.group_join(BOB, "idle").await;
    let id = group_role(&scene, "staff", Some("prod"), Role::Writer).await;
    group_role(&scene, "staff", Some("open"), Role::Admin).await;
    group_role(&scene, "nobody", None, Role::Admin).await;
    scene.registry.organization_member_put(&scene.manage_acme().await, BOB, Role::Viewer).await.unwrap();
    let found = explain(&scene, &ada, Some("bob"), "artifact:push", "acme/prod/app").await.unwrap();
    let expected = Explanation {
        allowed: true,
        principal: "bob".to_owned(),
        action: Operation::Content(Action::Push),
        resource: target("acme/prod/app"),
        role_needed: Some(Role::Writer),
        steps: vec![
            Step {
                source: Source::OrganizationMember { organization: "acme".to_owned() },
                role: Some(Role::Viewer),
                effect: Effect::Nothing,
            },
            Step {
                source: Source::Group {
                    id: id.clone(),
                    provider: "sso".to_owned(),
                    group: "staff".to_owned(),
                    on: "acme/prod".to_owned(),
                },
                role: Some(Role::Writer),
                effect: Effect::Allows,
            },
        ],
    };
    assert_eq!(found, expected);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "allowed": true,
            "principal": "bob",
            "action": "artifact:push",
            "resource": "acme/prod/app",
            "role_needed": "writer",
            "steps": [
                { "source": "organization_member", "organization": "acme", "role": "viewer", "effect": "nothing" },
                { "source": "group", "id": id, "provider": "sso", "group": "staff", "on": "acme/prod",
                  "role": "writer", "effect": "allows" },
            ],
        })
    );
}

#[tokio::test]
async fn a_public_registry_and_being_system_admin_are_sources_too() {
    let scene = scene().await;
    let found = explain(&scene, &person(BOB, "bob"), None, "artifact:pull", "acme/open/app").await.unwrap();
    let public = |effect| {
        let source = Source::Public { registry: "acme/open".to_owned() };
        Step { source, role: None, effect }
    };
    assert_eq!((found.allowed, found.steps), (true, vec![public(Effect::Allows)]));
    let found = explain(&scene, &person(BOB, "bob"), None, "artifact:push", "acme/open/app").await.unwrap();
    assert_eq!((found.allowed, found.steps), (false, vec![public(Effect::Nothing)]));
    let admin = |effect| vec![Step { source: Source::SystemAdmin, role: None, effect }];
    let root = person(ROOT, "root");
    for (action, resource, expected) in [
        ("users:manage", "instance", Effect::Allows),
        ("organization:delete", "acme", Effect::Allows),
        ("registry:manage", "acme/prod", Effect::Nothing),
        ("artifact:pull", "acme/prod/app", Effect::Nothing),
    ] {
        let found = explain(&scene, &root, None, action, resource).await.unwrap();
        assert_eq!((found.allowed, found.steps), (expected == Effect::Allows, admin(expected)), "{action}");
    }
    let found = explain(&scene, &root, None, "users:manage", "instance").await.unwrap();
    assert_eq!(found.role_needed, None);
}

#[tokio::test]
async fn a_role_on_a_registry_makes_its_organization_visible() {
    let scene = scene().await;
    scene.registry.registry_member_put(&scene.manage_prod().await, BOB, Role::Admin).await.unwrap();
    let bob = person(BOB, "bob");
    let step = |effect| Step {
        source: Source::RegistryMember { registry: "acme/prod".to_owned() },
        role: Some(Role::Admin),
        effect,
    };
    for (action, effect) in
        [("organization:read", Effect::Allows), ("organization-members:manage", Effect::Nothing)]
    {
        let found = explain(&scene, &bob, None, action, "acme").await.unwrap();
        assert_eq!(found.steps, [step(effect)], "{action}");
    }
    assert_eq!(
        explain(&scene, &bob, None, "registry:read", "acme/open").await.unwrap().steps.len(),
        1,
        "public"
    );
}

#[tokio::test]
async fn what_one_cannot_see_is_explained_like_what_does_not_exist() {
    let scene = scene().await;
    let eve = person(EVE, "eve");
    for operation in Operation::ALL {
        let ask = async |there: &str, not_there: &str| {
            let ask = |resource: &str| {
                let resource = target(resource);
                let (registry, eve) = (&scene.registry, &eve);
                async move { registry.access_explain(eve, None, operation, &resource).await }
            };
            match (ask(there).await, ask(not_there).await) {
                (Ok(one), Ok(other)) => {
                    assert_eq!((one.allowed, &one.steps), (other.allowed, &other.steps), "{operation}");
                    assert!(one.steps.is_empty() && !one.allowed, "{operation} {one:?}");
                }
                (one, other) => assert_eq!(one.unwrap_err().kind(), other.unwrap_err().kind(), "{operation}"),
            }
        };
        ask("acme", "nowhere").await;
        ask("acme/prod", "acme/nowhere").await;
        ask("acme/prod", "nowhere/prod").await;
        ask("acme/prod/app", "acme/prod/nothing").await;
        ask("acme/prod/app", "nowhere/prod/app").await;
    }
    // Not even that it takes no changes.
    scene.change("UPDATE registries SET read_only = 1 WHERE id = 3001").await;
    let found = explain(&scene, &eve, None, "artifact:push", "acme/prod/app").await.unwrap();
    assert!(found.steps.is_empty());
}

#[tokio::test]
async fn about_others_whoever_gives_roles_there_may_ask() {
    let scene = scene().await;
    let (ada, bob, eve, root) =
        (person(ADA, "ada"), person(BOB, "bob"), person(EVE, "eve"), person(ROOT, "root"));
    scene.registry.registry_member_put(&scene.manage_prod().await, EVE, Role::Admin).await.unwrap();
    let ask = async |caller: &Caller, action, resource| {
        explain(&scene, caller, Some("bob"), action, resource).await
    };
    for resource in ["acme/prod", "acme/prod/app", "acme/prod/nothing"] {
        for caller in [&ada, &eve, &root] {
            assert!(!ask(caller, "artifact:pull", resource).await.unwrap().allowed);
        }
        assert!(!ask(&bob, "artifact:pull", resource).await.unwrap().allowed, "about oneself");
    }
    // One on a registry learns of the registry alone.
    assert!(matches!(refusal(ask(&eve, "organization:update", "acme").await), Refusal::RoleTooLow { .. }));
    assert!(matches!(refusal(ask(&ada, "artifact:pull", "globex/lab").await), Refusal::Hidden { .. }));
    assert!(matches!(refusal(ask(&ada, "users:manage", "instance").await), Refusal::Hidden { .. }));
    assert!(!ask(&root, "users:manage", "instance").await.unwrap().allowed);
    assert_eq!(refusal(ask(&nobody(), "artifact:pull", "acme/open").await), Refusal::Unasked);
    // Nobody of that name, and a machine of others.
    for name in ["mallory", "globex+ci"] {
        let error = explain(&scene, &ada, Some(name), "artifact:pull", "acme/prod").await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::NotFound(What::Member), "{name}");
    }
    explain(&scene, &ada, Some("acme+ci"), "artifact:pull", "acme/prod").await.unwrap();
    // Who asks with a token for content asks about nobody else.
    let token = limited(ada, &[("acme/**", &Action::ALL)]);
    assert!(matches!(refusal(ask(&token, "artifact:pull", "acme/prod").await), Refusal::Limited { .. }));
    let token = limited(root, &[("acme/**", &Action::ALL)]);
    assert!(matches!(refusal(ask(&token, "artifact:pull", "acme/prod").await), Refusal::Limited { .. }));
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let scene = scene().await;
    let ada = person(ADA, "ada");
    let last = async |caller: &Caller, about, action, resource| {
        let mut found = explain(&scene, caller, about, action, resource).await.unwrap();
        let step = found.steps.pop().unwrap();
        (found.allowed, step.source, step.effect)
    };
    let token = limited(ada.clone(), &[("acme/prod/app*", &[Action::Pull])]);
    assert_eq!(
        last(&token, None, "artifact:pull", "acme/prod/app").await,
        (true, Source::Credentials, Effect::Nothing)
    );
    for (action, resource) in
        [("artifact:push", "acme/prod/app"), ("artifact:pull", "acme/prod/x"), ("registry:read", "acme/prod")]
    {
        let refused = (false, Source::Credentials, Effect::Refuses);
        assert_eq!(last(&token, None, action, resource).await, refused, "{action} {resource}");
    }
    let grants: [ScopeGrant; 0] = [];
    let token = Caller { limit: Limit::NONE.with_grants(grants.into()), ..ada.clone() };
    let refused = (false, Source::Credentials, Effect::Refuses);
    assert_eq!(last(&token, None, "artifact:pull", "acme/prod/app").await, refused);
    scene.change("UPDATE registries SET read_only = 1 WHERE id = 3001").await;
    let read_only = Source::ReadOnly { registry: "acme/prod".to_owned() };
    assert_eq!(last(&ada, None, "artifact:push", "acme/prod/app").await, (false, read_only, Effect::Refuses));
    assert!(explain(&scene, &ada, None, "artifact:pull", "acme/prod/app").await.unwrap().allowed);
    scene.change("UPDATE repositories SET quarantine = '' WHERE id = 4001").await;
    let quarantined = Source::Quarantined { repository: "acme/prod/app".to_owned() };
    assert_eq!(
        last(&ada, None, "artifact:pull", "acme/prod/app").await,
        (false, quarantined, Effect::Refuses)
    );
    scene.registry.organization_member_put(&scene.manage_acme().await, BOB, Role::Admin).await.unwrap();
    scene.change("UPDATE users SET disabled_at = 1 WHERE id = 1002").await;
    assert_eq!(
        last(&ada, Some("bob"), "registry:manage", "acme/prod").await,
        (false, Source::Disabled, Effect::Refuses)
    );
}

#[tokio::test]
async fn a_question_has_to_fit_what_it_is_about() {
    let scene = scene().await;
    let ada = person(ADA, "ada");
    for (action, resource) in [
        ("artifact:pull", "acme"),
        ("artifact:pull", "instance"),
        ("registry:manage", "acme"),
        ("organization:read", "instance"),
    ] {
        let error = explain(&scene, &ada, None, action, resource).await.unwrap_err();
        assert_eq!(*error.kind(), ErrorKind::InvalidRequest, "{action} {resource}");
    }
    for (action, resource, expected) in [
        ("registry:manage", "acme/prod/app", "acme/prod"),
        ("organization:update", "acme/prod/app", "acme"),
        ("registry:create", "acme/prod", "acme"),
        ("users:manage", "acme", "instance"),
    ] {
        let found = explain(&scene, &ada, None, action, resource).await.unwrap();
        assert_eq!(found.resource.to_string(), expected);
    }
}

/// Whatever somebody has, the explanation says what the authorization does.
#[tokio::test]
async fn an_explanation_agrees_with_what_happens() {
    let scene = scene().await;
    let registry = &scene.registry;
    let name: RepositoryName = "acme/prod/app".parse().unwrap();
    let id = group_role(&scene, "staff", None, Role::Viewer).await;
    scene.group_join(BOB, "staff").await;
    for (group, own) in [
        (None, None),
        (Some(Role::Viewer), None),
        (Some(Role::Writer), None),
        (Some(Role::Viewer), Some(Role::Writer)),
        (Some(Role::Writer), Some(Role::Viewer)),
        (Some(Role::Admin), Some(Role::Viewer)),
    ] {
        let granted = scene.manage_acme().await;
        match group {
            Some(role) => {
                registry.group_role_set(&granted, &id, role).await.unwrap();
                scene.change("DELETE FROM user_groups /* walks */").await;
                scene.group_join(BOB, "staff").await;
            }
            None => scene.change("DELETE FROM user_groups /* walks */").await,
        }
        match own {
            Some(role) => registry.organization_member_put(&granted, BOB, role).await.unwrap(),
            None => scene.change("DELETE FROM organization_members WHERE user_id = 1002").await,
        }
        let bob = person(BOB, "bob");
        let explained =
            async |action, resource| explain(&scene, &bob, None, action, resource).await.unwrap().allowed;
        let about = format!("{group:?} {own:?}");
        let pull = registry.authorize::<Pull>(&bob, &name).await.is_ok();
        assert_eq!(explained("artifact:pull", "acme/prod/app").await, pull, "{about}");
        let push = registry.authorize::<Push>(&bob, &name).await.is_ok();
        assert_eq!(explained("artifact:push", "acme/prod/app").await, push, "{about}");
        let delete = registry.authorize::<Delete>(&bob, &name).await.is_ok();
        assert_eq!(explained("artifact:delete", "acme/prod/app").await, delete, "{about}");
        let acme = "acme".parse().unwrap();
        let drop = registry.authorize_organization::<OrganizationDelete>(&bob, &acme).await.is_ok();
        assert_eq!(explained("organization:delete", "acme").await, drop, "{about}");
    }
}

#[tokio::test]
async fn a_machine_is_explained_like_a_person() {
    let scene = scene().await;
    scene.registry.organization_member_put(&scene.manage_acme().await, ACME_CI, Role::Writer).await.unwrap();
    let ada = person(ADA, "ada");
    let found = explain(&scene, &ada, Some("acme+ci"), "artifact:push", "acme/prod/app").await.unwrap();
    assert!(found.allowed);
}
