use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::super::testing::{Setup, setup};
use super::*;
use crate::{ProviderSettings, Settings};

const ISSUER: &str = "https://issuer.example.com";

async fn registry(change: impl FnOnce(&mut ProviderSettings)) -> Setup {
    let mut provider = ProviderSettings::new("company", ISSUER, "larder");
    change(&mut provider);
    setup(Settings { providers: vec![provider], ..Settings::default() }).await
}

fn claims(value: &Value) -> Claims {
    Claims(value.as_object().unwrap().clone())
}

impl Setup {
    async fn admit(&self, value: &Value, link_to: Option<i64>) -> Result<Admitted, ProviderError> {
        let linking = match link_to {
            Some(user_id) => Some(self.linking(user_id).await),
            None => None,
        };
        self.admit_with(value, linking).await
    }

    async fn admit_with(&self, value: &Value, linking: Option<Linking>) -> Result<Admitted, ProviderError> {
        let provider = self.auth.0.providers.find("company").unwrap();
        self.auth.admit(provider, &claims(value), linking).await
    }

    /// What linking takes in a new session of this user, if there can be one.
    async fn linking(&self, user_id: i64) -> Linking {
        let opened = self.auth.session_open(user_id, None, crate::testing::browser()).await;
        let session_id = match opened {
            Ok((cookie, _)) => self.auth.session_held(cookie.expose_secret()).await.unwrap().unwrap().id,
            Err(_) => 0,
        };
        Linking { user_id, session_id, secret_hash: crate::random::bytes() }
    }

    async fn groups(&self, user_id: i64) -> Vec<String> {
        let rows: Vec<(String,)> = self
            .db
            .all(
                "SELECT group_name FROM user_groups WHERE user_id = $1 AND provider = 'company' ORDER BY group_name",
                params![user_id],
            )
            .await
            .unwrap();
        rows.into_iter().map(|(group,)| group).collect()
    }
}

#[test]
fn names_are_made_valid() {
    for (text, expected) in [
        ("alice", Some("alice")),
        ("Alice.Smith@example.com", Some("alice.smith")),
        ("DOMAIN\\Alice Smith", Some("domain-alice-smith")),
        ("--alice--", Some("alice")),
        ("_service", Some("service")),
        ("José", Some("jos")),
        ("a+b", Some("a-b")),
        ("李", None),
        ("@example.com", None),
        ("", None),
        ("…", None),
    ] {
        assert_eq!(account_name(text).as_deref(), expected, "{text}");
    }
    assert_eq!(account_name(&"x".repeat(300)).unwrap().len(), LONGEST_BASE);
}

proptest! {
    #[test]
    fn every_name_that_is_made_is_a_user_name(text in "\\PC{0,100}") {
        if let Some(name) = account_name(&text) {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            prop_assert!(name.len() <= LONGEST_BASE);
            prop_assert!(is_plain(name.as_bytes()[0]));
            prop_assert!(name.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte)));
        }
    }
}

#[test]
fn groups_are_found_where_providers_put_them() {
    let told = claims(&json!({
        "groups": ["/team", "b", "b", 1, "", "x\u{7}", "x".repeat(256)],
        "cognito:groups": ["admins"],
        "realm_access": { "roles": ["offline", "writer"] },
        "a.b": ["exact"],
        "a": { "b": ["nested"] },
        "single": "one",
        "number": 7,
    }));
    let found = |path: &str| groups(&told, path).into_iter().collect::<Vec<_>>();
    assert_eq!(found("groups"), ["/team", "b"]);
    assert_eq!(found("cognito:groups"), ["admins"]);
    assert_eq!(found("realm_access.roles"), ["offline", "writer"]);
    assert_eq!(found("a.b"), ["exact"]);
    assert_eq!(found("single"), ["one"]);
    for absent in ["number", "absent", "groups.x", "realm_access.x.y", "", "."] {
        assert!(found(absent).is_empty(), "{absent}");
    }
    let many: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(groups(&claims(&json!({ "groups": many })), "groups").len(), MOST_GROUPS);
}

#[tokio::test]
async fn the_first_time_makes_a_user_and_the_next_finds_it() {
    let setup = registry(|_| ()).await;
    let alice = json!({ "sub": "1", "preferred_username": "Alice", "email": "alice@example.com", "email_verified": true });
    let first = setup.admit(&alice, None).await.unwrap();
    assert!(first.is_new);
    assert_eq!(first.username, "alice");
    let again = setup.admit(&json!({ "sub": "1", "preferred_username": "changed" }), None).await.unwrap();
    assert_eq!(again, Admitted { is_new: false, ..first.clone() });
    let row: (String, Option<i64>, Option<String>) = setup
        .db
        .one(
            "SELECT email, email_verified_at, password_hash FROM users WHERE id = $1",
            params![first.user_id],
        )
        .await
        .unwrap();
    assert_eq!((row.0.as_str(), row.1.is_some(), row.2), ("alice@example.com", true, None));
    // Neither a name nor an address makes somebody the same person.
    let stranger = json!({ "sub": "2", "preferred_username": "alice", "email": "alice@example.com", "email_verified": true });
    let second = setup.admit(&stranger, None).await.unwrap();
    assert_eq!(second.username, "alice-2");
    assert_ne!(second.user_id, first.user_id);
}

#[tokio::test]
async fn names_that_mean_something_else_and_taken_ones_are_not_given() {
    let setup = registry(|provider| provider.username_claim = Some("nick".to_owned())).await;
    let mut names = Vec::new();
    for number in 0..22 {
        let person = json!({ "sub": number.to_string(), "nick": "oidc" });
        names.push(setup.admit(&person, None).await.unwrap().username);
    }
    assert_eq!(names[0], "oidc-2");
    assert!(names[21].starts_with("oidc-") && names[21].len() == 13, "{}", names[21]);
    for (claims, expected) in [
        (json!({ "sub": "a", "preferred_username": "bob" }), "bob"),
        (json!({ "sub": "b", "email": "carol@example.com" }), "carol"),
        (json!({ "sub": "c", "email": "not an address" }), "user"),
        (json!({ "sub": "d" }), "user-2"),
    ] {
        assert_eq!(setup.admit(&claims, None).await.unwrap().username, expected);
    }
}

#[tokio::test]
async fn groups_are_replaced_and_never_added_up() {
    let setup = registry(|_| ()).await;
    let with = |groups: Value| json!({ "sub": "1", "groups": groups });
    let id = setup.admit(&with(json!(["a", "b"])), None).await.unwrap().user_id;
    assert_eq!(setup.groups(id).await, ["a", "b"]);
    setup.admit(&with(json!(["b", "c"])), None).await.unwrap();
    assert_eq!(setup.groups(id).await, ["b", "c"]);
    setup.admit(&json!({ "sub": "1" }), None).await.unwrap();
    assert!(setup.groups(id).await.is_empty());
}

#[tokio::test]
async fn only_allowed_groups_and_domains_come_in() {
    let setup = registry(|provider| {
        provider.allowed_groups = vec!["staff".to_owned(), "guests".to_owned()];
        provider.allowed_domains = vec!["example.com".to_owned()];
    })
    .await;
    let good = json!({ "sub": "1", "groups": ["staff"], "email": "a@Example.com", "email_verified": "true" });
    assert!(setup.admit(&good, None).await.is_ok());
    for (name, change) in [
        ("groups", json!([])),
        ("groups", json!(["STAFF"])),
        ("email_verified", json!(false)),
        ("email_verified", json!(null)),
        ("email", json!("a@evil.com")),
        ("email", json!("a@example.com.evil.com")),
        ("email", json!("a@evil.com@example.com")),
        ("email", json!("")),
    ] {
        let mut bad = good.clone();
        bad[name] = change;
        // Also for one who came in before.
        assert!(matches!(setup.admit(&bad, None).await, Err(ProviderError::NotAllowed)), "{bad}");
    }
}

#[tokio::test]
async fn strangers_stay_out_where_no_users_are_made_but_can_be_linked() {
    let setup = registry(|provider| provider.create_users = false).await;
    let person = json!({ "sub": "1" });
    assert!(matches!(setup.admit(&person, None).await, Err(ProviderError::NotAllowed)));
    let alice = setup.auth.user_create(crate::testing::new_user("alice")).await.unwrap();
    let bob = setup.auth.user_create(crate::testing::new_user("bob")).await.unwrap();
    assert_eq!(setup.admit(&person, Some(alice.id)).await.unwrap().user_id, alice.id);
    assert_eq!(setup.admit(&person, Some(alice.id)).await.unwrap().user_id, alice.id);
    assert_eq!(setup.admit(&person, None).await.unwrap().username, "alice");
    assert!(matches!(setup.admit(&person, Some(bob.id)).await, Err(ProviderError::LinkedElsewhere)));
    assert!(matches!(setup.admit(&json!({ "sub": "2" }), Some(4711)).await, Err(ProviderError::NotAllowed)));
}

#[tokio::test]
async fn nothing_is_linked_for_a_session_that_is_over() {
    let setup = registry(|_| ()).await;
    let alice = setup.auth.user_create(crate::testing::new_user("alice")).await.unwrap();
    let bob = setup.auth.user_create(crate::testing::new_user("bob")).await.unwrap();
    let linking = setup.linking(alice.id).await;
    let of_another = Linking { session_id: setup.linking(bob.id).await.session_id, ..linking };
    for linking in [Linking { session_id: linking.session_id + 100, ..linking }, of_another] {
        let refused = setup.admit_with(&json!({ "sub": "1" }), Some(linking)).await;
        assert!(matches!(refused, Err(ProviderError::State)), "{refused:?}");
        assert!(setup.auth.identity_list(alice.id).await.unwrap().is_empty());
    }
    setup.admit_with(&json!({ "sub": "1" }), Some(linking)).await.unwrap();
}

#[tokio::test]
async fn a_disabled_user_stays_out() {
    let setup = registry(|_| ()).await;
    let person = json!({ "sub": "1" });
    let id = setup.admit(&person, None).await.unwrap().user_id;
    let written: Result<u64, db::Error> = setup
        .db
        .write(Durability::Durable, move |tx| {
            Box::pin(
                async move { tx.exec("UPDATE users SET disabled_at = 1 WHERE id = $1", params![id]).await },
            )
        })
        .await;
    written.unwrap();
    assert!(matches!(setup.admit(&person, None).await, Err(ProviderError::NotAllowed)));
    assert!(matches!(setup.admit(&json!({ "sub": "2" }), Some(id)).await, Err(ProviderError::NotAllowed)));
}
