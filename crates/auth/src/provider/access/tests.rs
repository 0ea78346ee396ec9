use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::testing::{FakeIssuer, NOW, P256, RSA, Setup, changed, setup};
use super::*;
use crate::testing::may_go;
use crate::{ProviderSettings, Settings};

struct Scene {
    issuer: FakeIssuer,
    setup: Setup,
    user_id: i64,
}

/// A provider of Cognito's shape, with one who has signed in.
async fn scene() -> Scene {
    let issuer = FakeIssuer::with_keys(&[RSA.public("a")]).await;
    let mut provider = ProviderSettings::new("pool", &issuer.url, "client");
    provider.groups_claim = "cognito:groups".to_owned();
    provider.allowed_groups = vec!["team".to_owned()];
    provider.access_tokens = Some(ProviderAccessTokens {
        audience_claim: AudienceClaim::ClientId,
        audience: None,
        required_claims: BTreeMap::from([("token_use".to_owned(), "access".to_owned())]),
    });
    let setup = setup(Settings { providers: vec![provider], ..Settings::default() }).await;
    let claims = json!({ "sub": "1", "cognito:groups": ["team"] });
    let claims = super::super::Claims(claims.as_object().unwrap().clone());
    let provider = setup.auth.0.providers.find("pool").unwrap();
    let user_id = setup.auth.admit(provider, &claims, None).await.unwrap().user_id;
    Scene { issuer, setup, user_id }
}

impl Scene {
    fn token(&self, change: &Value) -> String {
        let claims = json!({
            "iss": self.issuer.url, "client_id": "client", "sub": "1", "iat": NOW, "exp": NOW + 3600,
            "token_use": "access", "scope": "openid", "cognito:groups": ["team"],
        });
        RSA.token("a", &changed(&claims, change))
    }

    async fn identify(&self, token: &str) -> Result<Option<Identity>, BearerError> {
        self.setup.auth.identify_provider_token(token).await
    }
}

#[tokio::test]
async fn whoever_has_signed_in_may_bring_an_access_token() {
    let scene = scene().await;
    let token = scene.token(&json!({}));
    let identity = scene.identify(&token).await.unwrap().unwrap();
    assert_eq!(identity.principal.user_id(), Some(scene.user_id));
    assert_eq!(identity.credential, Credential::ProviderToken);
    assert_eq!(identity.source.expires_at.map(Timestamp::as_secs), Some(NOW + 3600));
    let asked = scene.issuer.count();
    assert!(scene.identify(&token).await.unwrap().is_some());
    assert_eq!(scene.issuer.count(), asked);
    // A token that says nothing about groups leaves it at what was said at sign-in.
    assert!(scene.identify(&scene.token(&json!({ "cognito:groups": null }))).await.unwrap().is_some());
    scene.setup.clock.advance(Duration::from_mins(61));
    assert!(matches!(scene.identify(&token).await, Err(BearerError::Expired)));
}

#[tokio::test]
async fn t18_other_tokens_do_not_pass_for_access_tokens() {
    let scene = scene().await;
    for change in [
        json!({ "token_use": "id", "aud": "client", "client_id": null }),
        json!({ "token_use": "id" }),
        json!({ "sub": "2" }),
        json!({ "cognito:groups": [] }),
        json!({ "iat": NOW - 90_000 }),
        json!({ "at_hash": "x" }),
    ] {
        let outcome = scene.identify(&scene.token(&change)).await;
        assert!(!matches!(outcome, Ok(Some(_))), "{change}");
    }
    // It may be somebody else's business: the token of a job, or one of ours.
    for other in [
        scene.token(&json!({ "iss": "https://other.example.com" })),
        scene.token(&json!({ "client_id": "other" })),
        "lrd_pat_x".to_owned(),
        "a.b.c".to_owned(),
    ] {
        assert!(matches!(scene.identify(&other).await, Ok(None)), "{other}");
    }
    let forged = P256.token("a", &json!({ "iss": scene.issuer.url, "client_id": "client", "sub": "1" }));
    assert!(matches!(scene.identify(&forged).await, Err(BearerError::Invalid)));
}

#[tokio::test]
async fn a_token_is_over_with_the_link_and_with_the_user() {
    let scene = scene().await;
    let token = scene.token(&json!({}));
    assert!(scene.identify(&token).await.unwrap().is_some());
    let name = scene.identify(&token).await.unwrap().unwrap();
    let name = name.principal.user().unwrap().name.to_string();
    scene.setup.auth.user_delete(&name, may_go).await.unwrap();
    assert!(matches!(scene.identify(&token).await, Err(BearerError::Invalid)));
}
