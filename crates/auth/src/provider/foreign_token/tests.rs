use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::super::testing::{ED25519, FakeIssuer, NOW, P256, RSA, Setup, changed, p256, setup, unsigned};
use super::*;
use crate::Settings;

const AUDIENCE: &str = "larder";

struct Scene {
    issuer: FakeIssuer,
    setup: Setup,
}

async fn scene() -> Scene {
    let issuer = FakeIssuer::with_keys(&[RSA.public("rsa"), P256.public("p256"), ED25519.public("ed")]).await;
    let setup = setup(Settings { internal_issuers: vec![issuer.url.clone()], ..Settings::default() }).await;
    Scene { issuer, setup }
}

impl Scene {
    fn claims(&self) -> Value {
        json!({
            "iss": self.issuer.url, "aud": AUDIENCE, "sub": "alice", "iat": NOW, "nbf": NOW, "exp": NOW + 300,
            "jti": "1",
        })
    }

    fn expected(&self, token_use: TokenUse) -> Expectation<'_> {
        Expectation { token_use, ..Expectation::of_job(&self.issuer.url, AUDIENCE) }
    }

    async fn verify(&self, token: &str, expected: &Expectation<'_>) -> Result<Claims, ForeignTokenError> {
        self.setup.auth.0.providers.issuers.verify(token, expected).await
    }

    async fn outcome(&self, token_use: TokenUse, claims: &Value) -> Option<ForeignTokenError> {
        self.verify(&P256.token("p256", claims), &self.expected(token_use)).await.err()
    }
}

#[tokio::test]
async fn good_tokens_of_every_type_of_key_are_believed() {
    let scene = scene().await;
    for (key, name) in [(&*RSA, "rsa"), (&*P256, "p256"), (&*ED25519, "ed")] {
        let claims = scene.claims();
        let verified = scene.verify(&key.token(name, &claims), &scene.expected(TokenUse::Job)).await.unwrap();
        assert_eq!(Value::from(verified.0.clone()), claims);
        assert_eq!(verified.expires_at().as_secs(), NOW + 300);
        let untyped = key.token_with(&json!({ "alg": key.algorithm(), "kid": name }), &claims);
        assert!(scene.verify(&untyped, &scene.expected(TokenUse::Id)).await.is_ok());
    }
}

#[tokio::test]
async fn t17_no_forged_header_counts_and_none_makes_us_ask_anybody() {
    let scene = scene().await;
    let elsewhere = FakeIssuer::with_keys(&[P256.public("p256")]).await;
    let thief = p256();
    let claims = scene.claims();
    let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "p256" });
    let with = |change: Value| changed(&header, &change);
    let rsa_modulus = RSA.public("rsa")["n"].as_str().unwrap().to_owned();
    let hmac = |secret: &[u8], header: &Value| {
        use aws_lc_rs::hmac;
        let message = unsigned(header, &claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let forged = [
        format!("{}.", unsigned(&with(json!({ "alg": "none" })), &claims)),
        format!("{}.AA", unsigned(&with(json!({ "alg": "none" })), &claims)),
        P256.token_with(&with(json!({ "alg": "None" })), &claims),
        P256.token_with(&with(json!({ "alg": "nOnE" })), &claims),
        P256.token_with(&with(json!({ "alg": null })), &claims),
        P256.token_with(&with(json!({ "alg": ["ES256"] })), &claims),
        P256.token_with(&with(json!({ "alg": "es256" })), &claims),
        P256.token_with(&with(json!({ "alg": "ES256K" })), &claims),
        hmac(rsa_modulus.as_bytes(), &with(json!({ "alg": "HS256", "kid": "rsa" }))),
        hmac(RSA.public("rsa").to_string().as_bytes(), &with(json!({ "alg": "HS256", "kid": "rsa" }))),
        hmac(b"", &with(json!({ "alg": "HS256" }))),
        P256.token_with(&with(json!({ "kid": null })), &claims),
        P256.token_with(&with(json!({ "kid": "" })), &claims),
        P256.token_with(&with(json!({ "kid": 1 })), &claims),
        P256.token_with(&with(json!({ "kid": "x".repeat(600) })), &claims),
        P256.token_with(&with(json!({ "crit": ["exp"] })), &claims),
        P256.token_with(&with(json!({ "crit": [] })), &claims),
        P256.token_with(&with(json!({ "typ": "logout+jwt" })), &claims),
        P256.token_with(&with(json!({ "typ": "at+jwt" })), &claims),
        P256.token_with(&with(json!({ "typ": 1 })), &claims),
        thief.token("p256", &claims).replacen('.', "..", 1),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{}.{}", unsigned(&header, &claims), "x".repeat(20_000)),
    ];
    for token in &forged {
        let refused = scene.verify(token, &scene.expected(TokenUse::Job)).await.unwrap_err();
        assert!(
            matches!(
                refused,
                ForeignTokenError::Malformed
                    | ForeignTokenError::Algorithm
                    | ForeignTokenError::Kind
                    | ForeignTokenError::Key
            ),
            "{token}: {refused:?}"
        );
    }
    assert_eq!(scene.issuer.count(), 0);
    // Those that name a key have to be held against it, and it is always the issuer's own key.
    for (change, expected) in [
        (json!({ "kid": "../../etc/passwd" }), ForeignTokenError::Key),
        (json!({ "kid": "p256' OR '1'='1" }), ForeignTokenError::Key),
        (json!({ "kid": "rsa" }), ForeignTokenError::Key),
        (json!({ "alg": "RS256" }), ForeignTokenError::Key),
        (json!({ "alg": "ES384" }), ForeignTokenError::Key),
        (json!({ "alg": "PS256", "kid": "rsa" }), ForeignTokenError::Signature),
        (json!({ "jwk": thief.public("p256") }), ForeignTokenError::Signature),
        (json!({ "jku": elsewhere.at("/jwks") }), ForeignTokenError::Signature),
        (json!({ "x5u": elsewhere.at("/jwks"), "x5c": ["AAAA"] }), ForeignTokenError::Signature),
        (json!({}), ForeignTokenError::Signature),
    ] {
        let token = thief.token_with(&with(change.clone()), &claims);
        let refused = scene.verify(&token, &scene.expected(TokenUse::Job)).await;
        assert_eq!(refused, Err(expected), "{change}");
    }
    assert_eq!(elsewhere.count(), 0);
    assert!(scene.verify(&P256.token("p256", &claims), &scene.expected(TokenUse::Job)).await.is_ok());
}

#[tokio::test]
async fn t17_t18_wrong_claims_are_refused_before_anybody_is_asked() {
    use ForeignTokenError as E;
    let scene = scene().await;
    let later = NOW + 1000;
    for (change, expected) in [
        (json!({ "iss": "https://issuer.example.com" }), E::Issuer),
        (json!({ "iss": scene.issuer.at("/") }), E::Issuer),
        (json!({ "iss": null }), E::Issuer),
        (json!({ "iss": [scene.issuer.url] }), E::Issuer),
        (json!({ "aud": "other" }), E::Audience),
        (json!({ "aud": "LARDER" }), E::Audience),
        (json!({ "aud": "larder/" }), E::Audience),
        (json!({ "aud": null }), E::Audience),
        (json!({ "aud": [] }), E::Audience),
        (json!({ "aud": ["other"] }), E::Audience),
        (json!({ "aud": [AUDIENCE, 1] }), E::Audience),
        (json!({ "aud": { "larder": true } }), E::Audience),
        (json!({ "aud": [AUDIENCE, "other"] }), E::SeveralAudiences),
        (json!({ "aud": [AUDIENCE, AUDIENCE] }), E::SeveralAudiences),
        (json!({ "exp": NOW - 60 }), E::Expired),
        (json!({ "exp": 0 }), E::Expired),
        (json!({ "exp": null }), E::Missing("exp")),
        (json!({ "exp": later.to_string() }), E::Missing("exp")),
        (json!({ "exp": 1e300 }), E::Missing("exp")),
        (json!({ "iat": null }), E::Missing("iat")),
        (json!({ "iat": NOW + 61, "exp": later }), E::NotYetValid),
        (json!({ "nbf": NOW + 61 }), E::NotYetValid),
        (json!({ "nbf": "now" }), E::Missing("nbf")),
        (json!({ "iat": NOW - 86_400 - 61 }), E::TooOld),
    ] {
        let refused = scene.outcome(TokenUse::Job, &changed(&scene.claims(), &change)).await;
        assert_eq!(refused, Some(expected), "{change}");
    }
    assert_eq!(scene.issuer.count(), 0);
    for change in [
        json!({ "aud": [AUDIENCE] }),
        json!({ "exp": NOW - 59 }),
        json!({ "iat": NOW + 60, "nbf": NOW + 60 }),
        json!({ "nbf": null }),
        json!({ "exp": 1_800_000_300.5 }),
    ] {
        let refused = scene.outcome(TokenUse::Job, &changed(&scene.claims(), &change)).await;
        assert_eq!(refused, None, "{change}");
    }
}

#[tokio::test]
async fn an_id_token_for_several_says_who_asked() {
    let scene = scene().await;
    for (change, is_good) in [
        (json!({ "azp": AUDIENCE }), true),
        (json!({ "azp": "other" }), false),
        (json!({ "azp": 1 }), false),
        (json!({ "aud": [AUDIENCE, "other"] }), false),
        (json!({ "aud": [AUDIENCE, "other"], "azp": "other" }), false),
        (json!({ "aud": [AUDIENCE, "other"], "azp": AUDIENCE }), true),
    ] {
        let refused = scene.outcome(TokenUse::Id, &changed(&scene.claims(), &change)).await;
        let expected = (!is_good).then_some(ForeignTokenError::AuthorizedParty);
        assert_eq!(refused, expected, "{change}");
    }
    for change in
        [json!({ "sub": null }), json!({ "sub": "" }), json!({ "sub": "x".repeat(256) }), json!({ "sub": 1 })]
    {
        let refused = scene.outcome(TokenUse::Id, &changed(&scene.claims(), &change)).await;
        assert_eq!(refused, Some(ForeignTokenError::Missing("sub")), "{change}");
    }
}

#[tokio::test]
async fn nonce_required_claims_and_the_hash_of_the_access_token() {
    let scene = scene().await;
    let half = |token: &str| URL_SAFE_NO_PAD.encode(&Sha256::digest(token)[..16]);
    let claims = changed(
        &scene.claims(),
        &json!({ "nonce": "n", "token_use": "id", "ok": true, "at_hash": half("access") }),
    );
    let token = P256.token("p256", &claims);
    let required =
        BTreeMap::from([("token_use".to_owned(), "id".to_owned()), ("ok".to_owned(), "true".to_owned())]);
    let good = Expectation {
        nonce: Some("n"),
        required_claims: Some(&required),
        access_token: Some("access"),
        ..scene.expected(TokenUse::Id)
    };
    assert!(scene.verify(&token, &good).await.is_ok());
    assert_eq!(
        scene.verify(&token, &Expectation { nonce: Some("m"), ..good }).await,
        Err(ForeignTokenError::Nonce)
    );
    assert_eq!(
        scene.verify(&token, &Expectation { access_token: Some("other"), ..good }).await,
        Err(ForeignTokenError::Claim("at_hash".to_owned()))
    );
    for name in ["token_use", "absent", "aud"] {
        let required = BTreeMap::from([(name.to_owned(), "access".to_owned())]);
        assert_eq!(
            scene.verify(&token, &Expectation { required_claims: Some(&required), ..good }).await,
            Err(ForeignTokenError::Claim(name.to_owned()))
        );
    }
    let silent = P256.token("p256", &changed(&claims, &json!({ "nonce": null })));
    assert_eq!(scene.verify(&silent, &good).await, Err(ForeignTokenError::Nonce));
}

#[tokio::test]
async fn t18_a_token_counts_for_its_own_use_only() {
    let scene = scene().await;
    let id = changed(&scene.claims(), &json!({ "at_hash": "x", "nonce": "n" }));
    let plain_id = scene.claims();
    let access = changed(&scene.claims(), &json!({ "scope": "openid", "client_id": AUDIENCE }));
    let keycloak_id = changed(&access, &json!({ "typ": "ID" }));
    for (claims, is_access) in [(id, false), (plain_id, false), (keycloak_id, false), (access, true)] {
        let refused = scene.outcome(TokenUse::Access, &claims).await;
        assert_eq!(refused.is_none(), is_access, "{claims}");
    }
    let header = json!({ "alg": "ES256", "kid": "p256", "typ": "at+jwt" });
    let typed = P256.token_with(&header, &scene.claims());
    assert!(scene.verify(&typed, &scene.expected(TokenUse::Access)).await.is_ok());
    for other in [TokenUse::Id, TokenUse::Job] {
        assert_eq!(scene.verify(&typed, &scene.expected(other)).await, Err(ForeignTokenError::Kind));
    }
}

#[tokio::test]
async fn t18_a_client_that_stands_for_the_audience_is_the_only_one() {
    let scene = scene().await;
    let claims = changed(&scene.claims(), &json!({ "aud": null, "client_id": AUDIENCE, "scope": "openid" }));
    let expected = Expectation { audience: Audience::ClientId(AUDIENCE), ..scene.expected(TokenUse::Access) };
    for (change, is_good) in [
        (json!({}), true),
        (json!({ "aud": AUDIENCE }), true),
        (json!({ "client_id": "other" }), false),
        (json!({ "client_id": null }), false),
        (json!({ "aud": "other" }), false),
        (json!({ "aud": [AUDIENCE, "other"] }), false),
    ] {
        let token = P256.token("p256", &changed(&claims, &change));
        let outcome = scene.verify(&token, &expected).await;
        assert_eq!(outcome.is_ok(), is_good, "{change}");
    }
}

#[test]
fn the_form_of_a_token_is_recognized_good_or_bad() {
    let token = P256.token("a", &json!({ "iss": "x" }));
    assert!(looks_foreign(&token));
    assert_eq!(Peeked::of(&token).unwrap().issuer(), Some("x"));
    assert!(looks_foreign(&format!("{}.", unsigned(&json!({ "alg": "none" }), &json!({})))));
    assert!(!looks_foreign(&format!("{}.!", unsigned(&json!({ "alg": "none" }), &json!({})))));
    for other in
        ["", "a.b.c", "..", "correct.horse.battery", "lrd_pat_x", "e30.e30.e30", &token.replace('.', "")]
    {
        assert!(!looks_foreign(other), "{other}");
    }
}

#[test]
fn key_sets_of_bindings_are_looked_at() {
    let set = |key: Value| json!({ "keys": [key] }).to_string();
    assert!(check_jwks(&set(P256.public("a"))).is_ok());
    assert!(check_jwks(&set(changed(&P256.public("a"), &json!({ "kid": null })))).is_err());
    assert!(check_jwks("{}").is_err());
}

#[test]
fn no_change_of_a_valid_token_verifies() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let scene = runtime.block_on(scene());
    let token = RSA.token("rsa", &scene.claims());
    let verifies =
        |token: &str| runtime.block_on(scene.verify(token, &scene.expected(TokenUse::Job))).is_ok();
    assert!(verifies(&token));
    let mut runner = TestRunner::default();
    let one_byte = (any::<prop::sample::Index>(), 0_u8..128);
    let outcome = runner.run(&one_byte, |(index, byte)| {
        let mut bytes = token.clone().into_bytes();
        let index = index.index(bytes.len());
        prop_assume!(bytes[index] != byte);
        bytes[index] = byte;
        prop_assert!(!verifies(&String::from_utf8(bytes).unwrap()));
        Ok(())
    });
    outcome.unwrap();
    let one_piece = (any::<prop::sample::Index>(), "[A-Za-z0-9_.=-]{0,8}", 0_usize..8);
    let outcome = runner.run(&one_piece, |(index, piece, removed)| {
        let start = index.index(token.len() + 1);
        let end = (start + removed).min(token.len());
        let forged = format!("{}{piece}{}", &token[..start], &token[end..]);
        prop_assume!(forged != token);
        prop_assert!(!verifies(&forged));
        Ok(())
    });
    outcome.unwrap();
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "\\PC{0,120}", parts in prop::collection::vec("[A-Za-z0-9_-]{0,30}", 0..5)) {
        let _ = (looks_foreign(&text), Peeked::of(&text).is_some());
        let dotted = parts.join(".");
        let _ = (looks_foreign(&dotted), Peeked::of(&dotted).is_some());
        let _ = KeySet::parse(text.as_bytes());
    }
}
