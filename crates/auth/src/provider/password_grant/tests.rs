use serde_json::Value;

use super::super::testing::{FakeIssuer, NOW, RSA, Reply, Setup, changed, setup};
use super::*;
use crate::{ProviderSettings, Settings};

struct Scene {
    issuer: FakeIssuer,
    setup: Setup,
}

async fn scene(password_grant: impl FnOnce(&FakeIssuer) -> PasswordGrant) -> Scene {
    let issuer = FakeIssuer::with_keys(&[RSA.public("a")]).await;
    let mut provider = ProviderSettings::new("pool", &issuer.url, "client");
    provider.client_secret = Some("secret".into());
    provider.required_claims = [("token_use".to_owned(), "id".to_owned())].into();
    provider.groups_claim = "cognito:groups".to_owned();
    provider.username_claim = Some("cognito:username".to_owned());
    provider.password_grant = password_grant(&issuer);
    let setup = setup(Settings { providers: vec![provider], ..Settings::default() }).await;
    Scene { issuer, setup }
}

impl Scene {
    fn id_token(&self, change: &Value) -> String {
        let claims = json!({
            "iss": self.issuer.url, "aud": "client", "sub": "1", "iat": NOW, "exp": NOW + 300, "token_use": "id",
            "cognito:username": "alice", "cognito:groups": ["team"], "email": "alice@example.com",
        });
        RSA.token("a", &changed(&claims, change))
    }

    async fn ask(&self) -> Option<(i64, i64)> {
        self.setup.auth.identify_provider_password("alice", &"pass word".into()).await.unwrap()
    }
}

#[tokio::test]
async fn passwords_of_a_provider_are_checked_only_where_that_is_turned_on() {
    let scene = scene(|_| PasswordGrant::Off).await;
    assert!(!scene.setup.auth.has_password_grant());
    assert_eq!(scene.ask().await, None);
    assert_eq!(scene.issuer.count(), 0);
}

#[tokio::test]
async fn a_password_is_checked_by_initiate_auth() {
    let scene = scene(|issuer| PasswordGrant::Cognito { endpoint: Some(issuer.at("/idp")) }).await;
    assert!(scene.setup.auth.has_password_grant());
    let result = |id_token: &str| {
        Reply::json(&json!({ "AuthenticationResult": { "IdToken": id_token, "AccessToken": "at" } }))
    };
    scene.issuer.reply("/idp", result(&scene.id_token(&json!({}))));
    let (user_id, _) = scene.ask().await.unwrap();
    assert_eq!(scene.ask().await.unwrap().0, user_id);
    assert_eq!(scene.setup.auth.user_get("alice").await.unwrap().id, user_id);
    let seen = scene.issuer.seen("/idp").remove(0);
    assert!(seen.head.contains("AWSCognitoIdentityProviderService.InitiateAuth"));
    assert!(seen.head.contains("application/x-amz-json-1.1"));
    let request: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(request["AuthFlow"], "USER_PASSWORD_AUTH");
    assert_eq!(request["ClientId"], "client");
    assert_eq!(request["AuthParameters"]["USERNAME"], "alice");
    assert_eq!(request["AuthParameters"]["PASSWORD"], "pass word");
    // HMAC-SHA256 with the key "secret" of "aliceclient".
    assert_eq!(
        request["AuthParameters"]["SECRET_HASH"].as_str().unwrap(),
        secret_hash("alice", "client", &"secret".into())
    );

    for change in [
        json!({ "token_use": "access" }),
        json!({ "aud": "other" }),
        json!({ "exp": NOW - 61 }),
        json!({ "iss": "https://other.example.com" }),
    ] {
        scene.issuer.reply("/idp", result(&scene.id_token(&change)));
        assert_eq!(scene.ask().await, None, "{change}");
    }
    for refusal in [
        Reply::json(&json!({ "__type": "NotAuthorizedException" })).status(400),
        Reply::json(&json!({ "__type": "UserNotFoundException" })).status(400),
        Reply::json(&json!({ "ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "x" })),
        Reply::json(&json!({ "AuthenticationResult": {} })),
        Reply::bytes(b"<html>".to_vec()),
        Reply::bytes(Vec::new()).status(500),
        Reply { wait: Duration::from_mins(1), ..Reply::bytes(Vec::new()) },
    ] {
        scene.issuer.reply("/idp", refusal);
        assert_eq!(scene.ask().await, None);
    }
}

#[test]
fn the_secret_hash_is_hmac_over_user_name_and_client() {
    // Computed with `openssl dgst -sha256 -hmac secret -binary | base64` over "aliceclient".
    assert_eq!(secret_hash("alice", "client", &"secret".into()), SECRET_HASH);
}

const SECRET_HASH: &str = "RTsve+FQ659UKyESgvLg9GYmZEL+QjzQsW/OjL77/b0=";

#[tokio::test]
async fn a_password_is_checked_by_the_password_grant() {
    let scene = scene(|_| PasswordGrant::OAuth2).await;
    let id_token = scene.id_token(&json!({}));
    scene.issuer.reply("/token", Reply::json(&json!({ "access_token": "at", "id_token": id_token })));
    assert!(scene.ask().await.is_some());
    let form = scene.issuer.seen("/token").remove(0).body;
    assert_eq!(form, "grant_type=password&username=alice&password=pass+word&scope=openid+email+profile");
    scene.issuer.reply("/token", Reply::json(&json!({ "error": "invalid_grant" })).status(400));
    assert_eq!(scene.ask().await, None);
    scene.issuer.reply("/token", Reply::json(&json!({ "access_token": "at" })));
    assert_eq!(scene.ask().await, None);
}
