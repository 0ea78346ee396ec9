use serde_json::{Value, json};

use super::super::foreign_token::{Expectation, ForeignTokenError, Keys};
use super::super::testing::{FakeIssuer, NOW, P256, Reply, Setup, SigningKey, p256, setup};
use super::*;
use crate::Settings;

const AUDIENCE: &str = "https://registry.example.com";

/// A registry that may reach this issuer.
async fn registry(issuer: &FakeIssuer) -> Setup {
    setup(Settings { internal_issuers: vec![issuer.url.clone()], ..Settings::default() }).await
}

/// A token that is good for a year, so that only keys grow old.
fn token(issuer: &FakeIssuer, key: &SigningKey, name: &str) -> String {
    let claims =
        json!({ "iss": issuer.url, "aud": AUDIENCE, "sub": "job", "iat": NOW, "exp": NOW + 31_536_000 });
    key.token(name, &claims)
}

async fn verify(setup: &Setup, issuer: &FakeIssuer, token: &str) -> Result<(), ForeignTokenError> {
    let mut expected = Expectation::of_job(&issuer.url, AUDIENCE);
    expected.longest_age = Duration::from_hours(10_000);
    setup.auth.0.providers.issuers.verify(token, &expected).await.map(|_| ())
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_after_a_quarter_of_an_hour() {
    let issuer = FakeIssuer::with_keys(&[P256.public("a")]).await;
    let setup = registry(&issuer).await;
    let token = token(&issuer, &P256, "a");
    for _ in 0..3 {
        assert_eq!(verify(&setup, &issuer, &token).await, Ok(()));
    }
    assert_eq!(issuer.count(), 2);
    setup.clock.advance(FRESH_FOR);
    assert_eq!(verify(&setup, &issuer, &token).await, Ok(()));
    assert_eq!(issuer.seen("/jwks").len(), 2);
}

#[tokio::test]
async fn t17_a_key_that_was_rotated_away_is_over_and_its_successor_counts_at_once() {
    let (old, new) = (p256(), p256());
    let issuer = FakeIssuer::with_keys(&[old.public("old")]).await;
    let setup = registry(&issuer).await;
    let (by_old, by_new) = (token(&issuer, &old, "old"), token(&issuer, &new, "new"));
    assert_eq!(verify(&setup, &issuer, &by_old).await, Ok(()));
    setup.clock.advance(Duration::from_mins(2));
    issuer.keys(&[new.public("new")]);
    assert_eq!(verify(&setup, &issuer, &by_new).await, Ok(()));
    assert_eq!(verify(&setup, &issuer, &by_old).await, Err(ForeignTokenError::Key));
}

#[tokio::test]
async fn t17_a_flood_of_unknown_keys_is_one_question_a_minute() {
    let issuer = FakeIssuer::with_keys(&[P256.public("a")]).await;
    let setup = registry(&issuer).await;
    assert_eq!(verify(&setup, &issuer, &token(&issuer, &P256, "a")).await, Ok(()));
    let strangers: Vec<String> =
        (0..100).map(|number| token(&issuer, &P256, &format!("unknown-{number}"))).collect();
    for (minute, fetched) in [(0, 1), (1, 2), (2, 3)] {
        for stranger in &strangers {
            assert_eq!(verify(&setup, &issuer, stranger).await, Err(ForeignTokenError::Key));
        }
        assert_eq!(issuer.seen("/jwks").len(), fetched, "minute {minute}");
        setup.clock.advance(Duration::from_mins(1));
    }
    // And whoever has a known key is served meanwhile.
    assert_eq!(verify(&setup, &issuer, &token(&issuer, &P256, "a")).await, Ok(()));
}

#[tokio::test]
async fn many_at_once_are_one_question() {
    let issuer = FakeIssuer::with_keys(&[P256.public("a")]).await;
    issuer.reply(
        "/jwks",
        Reply { wait: Duration::from_millis(100), ..Reply::json(&json!({ "keys": [P256.public("a")] })) },
    );
    let setup = registry(&issuer).await;
    let token = token(&issuer, &P256, "a");
    let (one, two, three) = tokio::join!(
        verify(&setup, &issuer, &token),
        verify(&setup, &issuer, &token),
        verify(&setup, &issuer, &token)
    );
    assert_eq!((one, two, three), (Ok(()), Ok(()), Ok(())));
    assert_eq!(issuer.seen("/jwks").len(), 1);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_believed_for_a_day() {
    let issuer = FakeIssuer::with_keys(&[P256.public("a")]).await;
    let setup = registry(&issuer).await;
    let token = token(&issuer, &P256, "a");
    assert_eq!(verify(&setup, &issuer, &token).await, Ok(()));
    issuer.reply("/jwks", Reply::bytes(Vec::new()).status(503));
    issuer.reply("/.well-known/openid-configuration", Reply::bytes(Vec::new()).status(503));
    setup.clock.advance(Duration::from_hours(23));
    let before = issuer.count();
    for _ in 0..10 {
        assert_eq!(verify(&setup, &issuer, &token).await, Ok(()));
    }
    // Each of both documents once.
    assert_eq!(issuer.count(), before + 2);
    setup.clock.advance(Duration::from_hours(1));
    assert!(matches!(verify(&setup, &issuer, &token).await, Err(ForeignTokenError::Unavailable(_))));
}

#[tokio::test]
async fn an_issuer_that_never_answered_is_asked_again_soon_but_not_at_once() {
    let issuer = FakeIssuer::silent().await;
    let setup = registry(&issuer).await;
    let token = token(&issuer, &P256, "a");
    for _ in 0..10 {
        let refused = verify(&setup, &issuer, &token).await;
        assert_eq!(refused, Err(ForeignTokenError::Unavailable(EgressError::Status(404))));
    }
    assert_eq!(issuer.count(), 1);
    setup.clock.advance(RETRY_AFTER);
    let _ = verify(&setup, &issuer, &token).await;
    assert_eq!(issuer.count(), 2);
}

#[tokio::test]
async fn t17_an_issuer_that_says_it_is_another_one_is_not_believed() {
    let token = |issuer: &FakeIssuer| token(issuer, &P256, "a");
    let change = |issuer: &FakeIssuer, document: Value| {
        issuer.reply("/.well-known/openid-configuration", Reply::json(&document));
    };
    for wrong in ["https://issuer.example.com".to_owned(), String::new()] {
        let issuer = FakeIssuer::with_keys(&[P256.public("a")]).await;
        change(&issuer, json!({ "issuer": wrong, "jwks_uri": issuer.at("/jwks") }));
        let setup = registry(&issuer).await;
        let refused = verify(&setup, &issuer, &token(&issuer)).await;
        assert!(matches!(refused, Err(ForeignTokenError::Unavailable(EgressError::Unusable(_)))));
        assert!(issuer.seen("/jwks").is_empty());
    }
    let issuer = FakeIssuer::with_keys(&[P256.public("a")]).await;
    change(&issuer, json!({ "issuer": issuer.at("/"), "jwks_uri": issuer.at("/jwks") }));
    let setup = registry(&issuer).await;
    assert!(verify(&setup, &issuer, &token(&issuer)).await.is_err(), "a slash more is another issuer");
}

#[tokio::test]
async fn t20_an_issuer_cannot_send_us_to_places_inside() {
    let (issuer, inside) = (FakeIssuer::with_keys(&[]).await, FakeIssuer::silent().await);
    for url in [
        inside.at("/latest/meta-data/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        inside.url.replace("http://127.0.0.1", "https://localhost"),
        "file:///etc/passwd".to_owned(),
    ] {
        issuer.reply(
            "/.well-known/openid-configuration",
            Reply::json(&json!({ "issuer": issuer.url, "jwks_uri": url })),
        );
        let setup = registry(&issuer).await;
        let refused = verify(&setup, &issuer, &token(&issuer, &P256, "a")).await;
        assert!(
            matches!(refused, Err(ForeignTokenError::Unavailable(EgressError::NotAllowed(_)))),
            "{url}: {refused:?}"
        );
    }
    assert_eq!(inside.count(), 0);
}

#[tokio::test]
async fn t20_an_issuer_that_nobody_named_reaches_nothing_inside() {
    let (named, other) = (FakeIssuer::with_keys(&[]).await, FakeIssuer::with_keys(&[P256.public("a")]).await);
    let setup = registry(&named).await;
    let refused = verify(&setup, &other, &token(&other, &P256, "a")).await;
    assert!(matches!(refused, Err(ForeignTokenError::Unavailable(EgressError::NotAllowed(_)))));
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn huge_slow_and_odd_key_sets_do_not_count() {
    for odd in [
        Reply::bytes(vec![b'['; 2 * 1024 * 1024]),
        Reply { wait: Duration::from_mins(1), ..Reply::bytes(Vec::new()) },
        Reply { trickles: true, ..Reply::bytes(b"{\"keys\":[".to_vec()) },
        Reply::bytes(b"<html>".to_vec()),
        Reply::bytes("[".repeat(100_000).into_bytes()),
        Reply { location: Some("/elsewhere".to_owned()), ..Reply::bytes(Vec::new()).status(302) },
    ] {
        let issuer = FakeIssuer::with_keys(&[]).await;
        issuer.reply("/jwks", odd);
        let setup = registry(&issuer).await;
        let refused = verify(&setup, &issuer, &token(&issuer, &P256, "a")).await;
        assert!(matches!(refused, Err(ForeignTokenError::Unavailable(_))), "{refused:?}");
        assert!(issuer.seen("/elsewhere").is_empty());
    }
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_may_have_its_keys_given() {
    let issuer = FakeIssuer::silent().await;
    let setup = setup(Settings::default()).await;
    let given = json!({ "keys": [P256.public("a")] }).to_string();
    let token = token(&issuer, &P256, "a");
    let mut expected = Expectation::of_job(&issuer.url, AUDIENCE);
    expected.keys = Keys::Given(&given);
    assert!(setup.auth.0.providers.issuers.verify(&token, &expected).await.is_ok());
    expected.keys = Keys::Given("{}");
    let refused = setup.auth.0.providers.issuers.verify(&token, &expected).await;
    assert_eq!(refused.map(|_| ()), Err(ForeignTokenError::Key));
    assert_eq!(issuer.count(), 0);
}

#[tokio::test]
async fn t17_keys_of_one_issuer_do_not_count_for_another() {
    let one = FakeIssuer::with_keys(&[P256.public("a")]).await;
    let two = FakeIssuer::with_keys(&[p256().public("a")]).await;
    let internal_issuers = vec![one.url.clone(), two.url.clone()];
    let setup = setup(Settings { internal_issuers, ..Settings::default() }).await;
    assert_eq!(verify(&setup, &one, &token(&one, &P256, "a")).await, Ok(()));
    assert_eq!(verify(&setup, &two, &token(&two, &P256, "a")).await, Err(ForeignTokenError::Signature));
    assert_eq!(verify(&setup, &two, &token(&one, &P256, "a")).await, Err(ForeignTokenError::Issuer));
}
