//! A platform that runs jobs, as far as its tokens go.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Durability, params};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::testing::Setup;
use crate::{BindingView, ClaimMatch, Credential, Identity, NewBinding, ServiceAccountView};

/// GitHub Enterprise Server: its tokens have the shape of GitHub's, and its keys may have to be brought along.
pub(crate) const ISSUER: &str = "https://ghe.example.com/_services/token";
pub(crate) const AUDIENCE: &str = "https://registry.example.com";

/// Keys that sign, and the set that says so.
pub(crate) struct Platform {
    key: EncodingKey,
    pub(crate) jwks: String,
}

impl Platform {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let public = pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let jwks = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
            "x": coordinate(&public[1..33]), "y": coordinate(&public[33..]),
        }]});
        let private = pair.to_pkcs8v1().unwrap();
        Self { key: EncodingKey::from_ec_der(private.as_ref()), jwks: jwks.to_string() }
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("one".to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// What GitHub says about a job that pushes to the main branch.
pub(crate) fn claims(setup: &Setup) -> Value {
    let now = setup.clock.now().as_secs();
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300, "jti": "first",
        "sub": "repo:octo-org/app:ref:refs/heads/main",
        "repository": "octo-org/app", "repository_id": "1296269",
        "repository_owner": "octo-org", "repository_owner_id": "583231",
        "ref": "refs/heads/main", "event_name": "push", "run_id": "17", "sha": "0a1b", "actor": "octocat",
    })
}

/// The same with other values; null takes a claim away.
pub(crate) fn with(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// A binding for jobs of the repository on its main branch.
pub(crate) fn new_binding(platform: &Platform) -> NewBinding {
    NewBinding {
        name: "main branch".to_owned(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        claims: vec![
            ClaimMatch::equals("repository_id", "1296269"),
            ClaimMatch::equals("repository", "octo-org/app"),
            ClaimMatch::glob("ref", "refs/heads/*"),
        ],
        scopes: None,
        token_ttl: None,
        jwks: Some(platform.jwks.clone()),
    }
}

/// Whoever signed in with a password.
pub(crate) fn maker() -> Identity {
    Identity { credential: Credential::Password, ..Identity::anonymous() }
}

impl Setup {
    pub(crate) async fn organization(&self, name: &'static str) -> i64 {
        self.db
            .write(Durability::Durable, move |tx| {
                Box::pin(async move {
                    let (id,): (i64,) = tx
                        .one(
                            "INSERT INTO organizations (name, created_at) VALUES ($1, 0) RETURNING id",
                            params![name],
                        )
                        .await?;
                    Ok::<_, db::Error>(id)
                })
            })
            .await
            .unwrap()
    }

    /// The service account `ci` of a new organization.
    pub(crate) async fn account(&self, organization: &'static str) -> (i64, ServiceAccountView) {
        let id = self.organization(organization).await;
        let account = self.auth.service_account_create(id, organization, "ci", "builds").await.unwrap();
        (id, account)
    }

    pub(crate) async fn bind(&self, account: &ServiceAccountView, new: NewBinding) -> BindingView {
        self.auth.binding_create(&maker(), account.id, new).await.unwrap()
    }
}
