use std::time::Duration;

use access::{Action, Principal, ScopeVerdict};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::{Durability, params};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, EncodingKey};
use secrecy::ExposeSecret;

use super::*;
use crate::testing::{PASSWORD, Setup, may_go, setup};

fn grant(name: &str, granted: ActionSet, denied: ActionSet) -> ScopeGrant {
    ScopeGrant { name: name.to_owned(), granted, denied }
}

fn pull(name: &str) -> ScopeGrant {
    grant(name, Action::Pull.into(), ActionSet::NONE)
}

async fn token_of_alice(setup: &Setup) -> String {
    setup.user("alice").await;
    let alice = setup.sign_in("alice", PASSWORD).await.unwrap();
    let issued = setup.auth.access_token(&alice, vec![pull("acme/prod/app")]);
    issued.token.expose_secret().to_owned()
}

fn parts(token: &str) -> (serde_json::Value, serde_json::Value, String) {
    let mut parts = token.split('.');
    let mut json =
        || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next().unwrap()).unwrap()).unwrap();
    let (header, claims) = (json(), json());
    (header, claims, parts.next().unwrap().to_owned())
}

fn encoded(value: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Signs any header and any claims with any key.
fn signed(header: &serde_json::Value, claims: &serde_json::Value, key: &EncodingKey) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn with(value: &serde_json::Value, key: &str, new: impl Into<serde_json::Value>) -> serde_json::Value {
    let mut value = value.clone();
    value[key] = new.into();
    value
}

fn without(value: &serde_json::Value, key: &str) -> serde_json::Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().remove(key);
    value
}

#[tokio::test]
async fn a_token_brings_its_user_and_what_it_is_limited_to() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let alice = setup.sign_in("alice", PASSWORD).await.unwrap();
    let grants = vec![
        grant("acme/prod/app", Action::Pull.into(), Action::Push.into()),
        grant("other/prod/app", ActionSet::NONE, Action::Pull.into()),
        ScopeGrant::catalog(),
    ];
    let issued = setup.auth.access_token(&alice, grants.clone());
    assert_eq!(issued.expires_in_secs, 300);
    assert!(!format!("{issued:?}").contains("eyJ"), "a token does not show in logs");
    let identity = setup.bearer(issued.token.expose_secret()).await.unwrap();
    assert_eq!(identity.principal.user_id(), Some(user.id));
    assert_eq!(identity.credential, crate::Credential::AccessToken);
    assert_eq!(identity.limit.grants(), Some(&*grants));
    assert_eq!(identity.evaluate("acme/prod/app", Action::Pull), ScopeVerdict::Granted);
    assert_eq!(identity.evaluate("acme/prod/app", Action::Push), ScopeVerdict::Denied);
    assert_eq!(identity.evaluate("other/prod/app", Action::Pull), ScopeVerdict::Denied);
    assert_eq!(identity.evaluate("third/prod/app", Action::Pull), ScopeVerdict::Silent);
}

#[tokio::test]
async fn the_claims_are_the_documented_ones() {
    let setup = setup().await;
    let (header, claims, _) = parts(&token_of_alice(&setup).await);
    assert_eq!(header["typ"], "larder+jwt");
    assert_eq!(header["alg"], "HS256");
    assert_eq!(claims["iss"], "larder");
    assert_eq!(claims["aud"], "larder");
    assert_eq!(claims["sub"], "alice");
    assert_eq!(claims["iat"], 1_800_000_000_i64);
    assert_eq!(claims["nbf"], 1_800_000_000_i64);
    assert_eq!(claims["exp"], 1_800_000_300_i64);
    let entry = serde_json::json!(
        [{"type": "repository", "name": "acme/prod/app", "actions": ["pull"], "denied": []}]
    );
    assert_eq!(claims["access"], entry);
}

#[tokio::test]
async fn anonymous_callers_get_tokens_too() {
    let setup = setup().await;
    let issued = setup.auth.access_token(&Identity::anonymous(), vec![pull("acme/public/app")]);
    let identity = setup.bearer(issued.token.expose_secret()).await.unwrap();
    assert_eq!(identity.principal, Principal::Anonymous);
    assert_eq!(identity.evaluate("acme/public/app", Action::Pull), ScopeVerdict::Granted);
}

#[tokio::test]
async fn a_token_ends_in_time_whether_it_is_remembered_or_not() {
    let setup = setup().await;
    let token = token_of_alice(&setup).await;
    setup.clock.advance(Duration::from_secs(299));
    assert!(setup.bearer(&token).await.is_ok());
    setup.clock.advance(Duration::from_secs(10));
    assert!(matches!(setup.bearer(&token).await, Err(BearerError::Expired)));
    setup.auth.0.verified_tokens.clear();
    assert!(matches!(setup.bearer(&token).await, Err(BearerError::Expired)));
}

#[tokio::test]
async fn t13_a_limited_identity_gets_no_more_than_its_limit() {
    let setup = setup().await;
    let token = token_of_alice(&setup).await;
    let limited = setup.bearer(&token).await.unwrap();
    setup.clock.advance(Duration::from_secs(100));
    let wide = vec![grant("acme/prod/app", ActionSet::ALL, ActionSet::NONE), pull("acme/prod/other")];
    let issued = setup.auth.access_token(&limited, wide);
    assert_eq!(issued.expires_in_secs, 200, "it ends when the first one ends");
    let again = setup.bearer(issued.token.expose_secret()).await.unwrap();
    assert_eq!(again.evaluate("acme/prod/app", Action::Pull), ScopeVerdict::Granted);
    assert_eq!(again.evaluate("acme/prod/app", Action::Push), ScopeVerdict::Denied);
    assert_eq!(again.evaluate("acme/prod/other", Action::Pull), ScopeVerdict::Denied);
}

#[tokio::test]
async fn many_long_names_stay_within_what_is_accepted() {
    let setup = setup().await;
    let grants: Vec<_> = (0..64).map(|number| pull(&format!("{number:02}/{}", "a".repeat(250)))).collect();
    let issued = setup.auth.access_token(&Identity::anonymous(), grants);
    assert!(issued.token.expose_secret().len() <= LONGEST);
    let identity = setup.bearer(issued.token.expose_secret()).await.unwrap();
    let name = |number| format!("{number:02}/{}", "a".repeat(250));
    assert_eq!(identity.evaluate(&name(0), Action::Pull), ScopeVerdict::Granted);
    assert_eq!(identity.evaluate(&name(63), Action::Pull), ScopeVerdict::Silent);
}

#[tokio::test]
async fn t17_forged_tokens_are_invalid() {
    let setup = setup().await;
    let good = token_of_alice(&setup).await;
    let (header, claims, signature) = parts(&good);
    let key = setup.auth.0.keys.signing();
    let ours = &key.encoding;
    let foreign_secret = [9; 32];
    let foreign = EncodingKey::from_secret(&foreign_secret);
    let foreign_jwk = Jwk {
        common: jsonwebtoken::jwk::CommonParameters::default(),
        algorithm: jsonwebtoken::jwk::AlgorithmParameters::OctetKey(jsonwebtoken::jwk::OctetKeyParameters {
            key_type: jsonwebtoken::jwk::OctetKeyType::Octet,
            value: URL_SAFE_NO_PAD.encode(foreign_secret),
        }),
    };
    assert!(DecodingKey::from_jwk(&foreign_jwk).is_ok(), "the embedded key is a usable one");
    let jwk = serde_json::to_value(&foreign_jwk).unwrap();
    let message = format!("{}.{}", encoded(&header), encoded(&claims));
    let hs512 = jsonwebtoken::crypto::sign(
        format!("{}.{}", encoded(&with(&header, "alg", "HS512")), encoded(&claims)).as_bytes(),
        ours,
        Algorithm::HS512,
    )
    .unwrap();
    let in_claims = |name: &str, value: serde_json::Value| signed(&header, &with(&claims, name, value), ours);
    let unsigned = |algorithm: &str, signature: &str| {
        format!("{}.{}.{signature}", encoded(&with(&header, "alg", algorithm)), encoded(&claims))
    };

    let corpus = [
        ("alg none, no signature", unsigned("none", "")),
        ("alg none, old signature", unsigned("none", &signature)),
        ("alg None", unsigned("None", "")),
        ("no alg", signed(&without(&header, "alg"), &claims, ours)),
        ("alg HS512 with our key", format!("{}{hs512}", unsigned("HS512", ""))),
        ("alg HS384 named, HS256 made", signed(&with(&header, "alg", "HS384"), &claims, ours)),
        ("alg RS256 named, HS256 made", signed(&with(&header, "alg", "RS256"), &claims, ours)),
        ("alg ES256 named, HS256 made", signed(&with(&header, "alg", "ES256"), &claims, ours)),
        ("no kid", signed(&without(&header, "kid"), &claims, ours)),
        ("unknown kid", signed(&with(&header, "kid", "deadbeef"), &claims, ours)),
        (
            "kid as a path",
            signed(&with(&header, "kid", "../../../dev/null"), &claims, &EncodingKey::from_secret(b"")),
        ),
        ("kid as SQL", signed(&with(&header, "kid", "x' OR '1'='1"), &claims, &foreign)),
        ("kid as a number", signed(&with(&header, "kid", 1), &claims, ours)),
        ("foreign key under our kid", signed(&header, &claims, &foreign)),
        ("empty key under our kid", signed(&header, &claims, &EncodingKey::from_secret(b""))),
        ("embedded jwk", signed(&with(&header, "jwk", jwk.clone()), &claims, &foreign)),
        ("embedded jwk without kid", signed(&with(&without(&header, "kid"), "jwk", jwk), &claims, &foreign)),
        ("jku", signed(&with(&header, "jku", "http://127.0.0.1:9/keys"), &claims, &foreign)),
        ("x5u", signed(&with(&header, "x5u", "http://127.0.0.1:9/chain"), &claims, &foreign)),
        ("critical header", signed(&with(&header, "crit", serde_json::json!(["b64"])), &claims, ours)),
        ("typ JWT", signed(&with(&header, "typ", "JWT"), &claims, ours)),
        ("typ of a session", signed(&with(&header, "typ", "larder+session"), &claims, ours)),
        ("no typ", signed(&without(&header, "typ"), &claims, ours)),
        ("another audience", in_claims("aud", "elsewhere".into())),
        ("no audience", signed(&header, &without(&claims, "aud"), ours)),
        ("another issuer", in_claims("iss", "elsewhere".into())),
        ("no issuer", signed(&header, &without(&claims, "iss"), ours)),
        ("no end", signed(&header, &without(&claims, "exp"), ours)),
        ("end as text", in_claims("exp", "never".into())),
        ("not yet", in_claims("nbf", 1_800_000_100_i64.into())),
        ("no beginning", signed(&header, &without(&claims, "nbf"), ours)),
        ("another epoch", in_claims("epoch", 1.into())),
        ("another user", in_claims("uid", 4711.into())),
        ("a stored token that is not there", in_claims("tid", 4711.into())),
        ("claims that are no object", signed(&header, &serde_json::json!([1]), ours)),
        (
            "changed claims",
            format!("{}.{}.{signature}", encoded(&header), encoded(&with(&claims, "uid", 4711))),
        ),
        (
            "changed header",
            format!("{}.{}.{signature}", encoded(&with(&header, "cty", "x")), encoded(&claims)),
        ),
        ("no signature", format!("{message}.")),
        ("two parts", message),
        ("four parts", format!("{good}.x")),
        ("cut", good[..good.len() - 1].to_owned()),
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("not base64", "!.!.!".to_owned()),
        ("too long", format!("{good}{}", "A".repeat(LONGEST))),
    ];
    for (what, token) in corpus {
        let answer = setup.bearer(&token).await;
        assert!(matches!(answer, Err(BearerError::Invalid)), "{what}: {answer:?}");
    }
    let expired = in_claims("exp", 1_799_999_000_i64.into());
    assert!(matches!(setup.bearer(&expired).await, Err(BearerError::Expired)));
    let expired_and_forged = signed(&header, &with(&claims, "exp", 1_799_999_000_i64), &foreign);
    assert!(matches!(setup.bearer(&expired_and_forged).await, Err(BearerError::Invalid)));
    assert!(setup.bearer(&signed(&header, &claims, ours)).await.is_ok(), "the corpus forges well");
    assert!(setup.bearer(&good).await.is_ok());
}

#[tokio::test]
async fn another_kind_of_entry_grants_nothing() {
    let setup = setup().await;
    let (header, claims, _) = parts(&token_of_alice(&setup).await);
    let access = serde_json::json!([
        {"type": "plugin", "name": "acme/prod/app", "actions": ["pull"]},
        {"type": "repository", "name": "_catalog", "actions": ["pull"]},
        {"type": "registry", "name": "acme/prod/app", "actions": ["pull"]},
    ]);
    let key = setup.auth.0.keys.signing();
    let token = signed(&header, &with(&claims, "access", access), &key.encoding);
    let identity = setup.bearer(&token).await.unwrap();
    assert_eq!(identity.limit.grants(), Some(&[][..]));
}

#[tokio::test]
async fn t18_one_kind_of_credential_never_stands_in_for_another() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let alice = setup.sign_in("alice", PASSWORD).await.unwrap();
    let access = setup.auth.access_token(&alice, vec![]).token;
    let (_, personal) = setup.token(user.id, "laptop", None).await.unwrap();
    let refresh = setup.auth.refresh_token_issue(&alice, "docker").await.unwrap().unwrap();
    // Credential, accepted as: password, bearer, refresh token, access token in particular.
    let matrix = [
        (PASSWORD, [true, false, false, false]),
        (personal.expose_secret(), [true, true, false, false]),
        (refresh.expose_secret(), [false, false, true, false]),
        (access.expose_secret(), [false, true, false, true]),
    ];
    for (credential, expected) in matrix {
        let accepted = [
            setup.sign_in("alice", credential).await.is_ok(),
            setup.bearer(credential).await.is_ok(),
            setup.auth.identify_refresh(credential).await.is_ok(),
            setup.auth.verify_access_token(credential).await.is_ok(),
        ];
        assert_eq!(accepted, expected, "{}", &credential[..8]);
    }
}

#[tokio::test]
async fn a_new_password_ends_access_tokens_at_once() {
    let setup = setup().await;
    let token = token_of_alice(&setup).await;
    assert!(setup.bearer(&token).await.is_ok());
    setup.auth.password_set("alice", &"another long password".into()).await.unwrap();
    assert!(matches!(setup.bearer(&token).await, Err(BearerError::Invalid)));
}

#[tokio::test]
async fn deleting_the_user_ends_access_tokens_at_once() {
    let setup = setup().await;
    let token = token_of_alice(&setup).await;
    assert!(setup.bearer(&token).await.is_ok());
    setup.auth.user_delete("alice", may_go).await.unwrap();
    setup.user("alice").await;
    assert!(matches!(setup.bearer(&token).await, Err(BearerError::Invalid)));
}

#[tokio::test]
async fn deleting_a_personal_token_ends_what_was_issued_for_it() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let (view, personal) = setup.token(user.id, "ci", None).await.unwrap();
    let identity = setup.bearer(personal.expose_secret()).await.unwrap();
    let access = setup.auth.access_token(&identity, vec![]).token;
    assert!(setup.bearer(access.expose_secret()).await.is_ok());
    setup.auth.token_delete(user.id, &view.id).await.unwrap();
    assert!(matches!(setup.bearer(access.expose_secret()).await, Err(BearerError::Invalid)));
}

#[tokio::test]
async fn an_access_token_does_not_outlive_the_token_it_was_issued_for() {
    let setup = setup().await;
    let user = setup.user("alice").await;
    let end = setup.clock.now() + Duration::from_mins(1);
    let (_, personal) = setup.token(user.id, "ci", Some(end)).await.unwrap();
    let identity = setup.bearer(personal.expose_secret()).await.unwrap();
    assert_eq!(setup.auth.access_token(&identity, vec![]).expires_in_secs, 60);
}

#[tokio::test]
async fn tokens_of_a_retired_key_verify_until_they_end() {
    let setup = setup().await;
    setup.clock.advance(Duration::from_hours(30 * 24));
    let token = token_of_alice(&setup).await;
    setup.auth.rotate_keys().await.unwrap();
    setup.auth.0.verified_tokens.clear();
    assert!(setup.bearer(&token).await.is_ok());
    let next = setup.auth.access_token(&Identity::anonymous(), vec![]).token;
    assert_ne!(parts(&token).0["kid"], parts(next.expose_secret()).0["kid"]);
}

#[tokio::test]
async fn being_system_admin_is_read_anew_and_not_from_the_token() {
    let setup = setup().await;
    let token = token_of_alice(&setup).await;
    let promoted: Result<(), db::Error> = setup
        .db
        .write(Durability::Relaxed, |tx| {
            Box::pin(async move {
                tx.exec("UPDATE users SET system_admin = $1 /* walks */", params![true]).await.map(|_| ())
            })
        })
        .await;
    promoted.unwrap();
    assert!(setup.bearer(&token).await.unwrap().principal.is_system_admin());
}
