use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::testing::{FakeIssuer, NOW, RSA, Reply, Setup, changed, p256, setup};
use super::*;
use crate::testing::{HERE, browser, new_user};
use crate::{ClientAuthentication, ProviderSettings, SessionFound, Settings};

const REDIRECT: &str = "https://registry.example.com/api/v1/auth/providers/company/callback";

struct Scene {
    issuer: FakeIssuer,
    setup: Setup,
}

async fn scene(change: impl FnOnce(&mut ProviderSettings)) -> Scene {
    let issuer = FakeIssuer::with_keys(&[RSA.public("a")]).await;
    let mut provider = ProviderSettings::new("company", &issuer.url, "larder");
    provider.client_secret = Some("s%cret:".into());
    change(&mut provider);
    let other = ProviderSettings::new("other", "https://other.example.com", "larder");
    let setup = setup(Settings { providers: vec![provider, other], ..Settings::default() }).await;
    Scene { issuer, setup }
}

/// A browser that was sent away, as the provider sees it.
struct Gone {
    sealed_state: SecretString,
    query: HashMap<String, String>,
}

impl Scene {
    async fn start(&self, link_user: Option<i64>) -> Gone {
        let started =
            self.setup.auth.provider_start("company", "/after?x=1", link_user, REDIRECT).await.unwrap();
        let url = Url::parse(&started.url).unwrap();
        assert!(started.url.starts_with(&self.issuer.at("/authorize?")));
        Gone { sealed_state: started.sealed_state, query: url.query_pairs().into_owned().collect() }
    }

    fn claims(&self, gone: &Gone) -> Value {
        json!({
            "iss": self.issuer.url, "aud": "larder", "sub": "1", "iat": NOW, "exp": NOW + 300,
            "nonce": gone.query["nonce"], "preferred_username": "alice", "email": "alice@example.com",
            "groups": ["staff"],
        })
    }

    /// Lets the provider give this ID token for a code.
    fn give(&self, id_token: &str) {
        self.issuer.reply(
            "/token",
            Reply::json(&json!({ "access_token": "at", "token_type": "Bearer", "id_token": id_token })),
        );
    }

    async fn finish(&self, gone: &Gone, callback: &Callback) -> Result<Finished, ProviderError> {
        let browser = BrowserInfo { user_agent: "test".to_owned(), address: HERE };
        self.setup.auth.provider_finish("company", &gone.sealed_state, callback, browser).await
    }

    /// The cookie of a browser in which this user has signed in.
    async fn session(&self, user_id: i64) -> SecretString {
        self.setup.auth.session_open(user_id, None, browser()).await.unwrap().0
    }

    async fn found(&self, cookie: &SecretString) -> Option<SessionFound> {
        self.setup.auth.session_find(cookie.expose_secret()).await.unwrap()
    }

    /// The whole way, with the claims changed.
    async fn sign_in(&self, change: &Value) -> Result<Finished, ProviderError> {
        let gone = self.start(None).await;
        self.give(&RSA.token("a", &changed(&self.claims(&gone), change)));
        self.finish(&gone, &callback(&gone)).await
    }
}

fn callback(gone: &Gone) -> Callback {
    Callback {
        state: Some(gone.query["state"].clone()),
        code: Some("code".to_owned()),
        ..Callback::default()
    }
}

#[tokio::test]
async fn somebody_signs_in() {
    let scene = scene(|_| ()).await;
    assert_eq!(scene.setup.auth.providers()[0].name, "company");
    let gone = scene.start(None).await;
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", "larder"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(gone.query[name], expected);
    }
    scene.give(&RSA.token("a", &scene.claims(&gone)));
    let finished = scene.finish(&gone, &callback(&gone)).await.unwrap();
    assert_eq!((finished.username.as_str(), finished.is_new), ("alice", true));
    assert_eq!(finished.return_to, "/after?x=1");
    let cookie = finished.session;
    let found = scene.setup.auth.session_find(cookie.expose_secret()).await.unwrap().unwrap();
    assert_eq!(found.identity.principal.user_id(), Some(finished.user_id));
    assert_eq!(found.provider.as_deref(), Some("company"));

    let seen = scene.issuer.seen("/token").remove(0);
    // RFC 6749 §2.3.1: encoded as in a form, then base64.
    let expected = base64::engine::general_purpose::STANDARD.encode("larder:s%25cret%3A");
    assert!(seen.head.contains(&format!("Basic {expected}")), "{}", seen.head);
    let form: HashMap<_, _> = form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "code");
    assert_eq!(form["redirect_uri"], REDIRECT);
    assert!(!form.contains_key("client_secret"));
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(challenge, gone.query["code_challenge"]);

    assert!(!scene.sign_in(&json!({})).await.unwrap().is_new);
}

#[tokio::test]
async fn a_client_may_show_its_secret_in_the_form_or_have_none() {
    for (secret, expected) in [(Some("secret"), Some("secret")), (None, None)] {
        let scene = scene(|provider| {
            provider.client_authentication = ClientAuthentication::Post;
            provider.client_secret = secret.map(Into::into);
        })
        .await;
        scene.sign_in(&json!({})).await.unwrap();
        let seen = scene.issuer.seen("/token").remove(0);
        let form: HashMap<_, _> = form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect();
        assert_eq!(form["client_id"], "larder");
        assert_eq!(form.get("client_secret").map(String::as_str), expected);
        assert!(!seen.head.to_lowercase().contains("authorization:"));
    }
}

#[tokio::test]
async fn what_the_id_token_does_not_say_comes_from_userinfo() {
    let scene = scene(|_| ()).await;
    let terse = json!({ "preferred_username": null, "email": null, "groups": null });
    scene.issuer.reply(
        "/userinfo",
        Reply::json(&json!({ "sub": "1", "preferred_username": "bob", "iss": "ignored", "groups": ["a"] })),
    );
    assert_eq!(scene.sign_in(&terse).await.unwrap().username, "bob");
    assert!(scene.issuer.seen("/userinfo").remove(0).head.contains("Bearer at"));
    scene.issuer.reply("/userinfo", Reply::json(&json!({ "sub": "2", "preferred_username": "eve" })));
    assert!(matches!(scene.sign_in(&terse).await, Err(ProviderError::Failed)));
    scene.issuer.reply("/userinfo", Reply::json(&json!({ "sub": "1" })).status(500));
    assert!(matches!(scene.sign_in(&terse).await, Err(ProviderError::Failed)));
}

#[tokio::test]
async fn t23_an_answer_that_this_browser_did_not_ask_for_is_refused() {
    let scene = scene(|_| ()).await;
    let (mine, other) = (scene.start(None).await, scene.start(None).await);
    scene.give(&RSA.token("a", &scene.claims(&mine)));
    let browser = || BrowserInfo { user_agent: "test".to_owned(), address: HERE };
    for bad in [
        callback(&other),
        Callback { state: None, ..callback(&mine) },
        Callback { state: Some(String::new()), ..callback(&mine) },
        Callback { code: None, ..callback(&mine) },
        Callback { code: Some("x".repeat(5000)), ..callback(&mine) },
        Callback { issuer: Some("https://other.example.com".to_owned()), ..callback(&mine) },
    ] {
        assert!(matches!(scene.finish(&mine, &bad).await, Err(ProviderError::State)), "{bad:?}");
    }
    for cookie in ["", "x", "AAAA", &format!("{}A", mine.sealed_state.expose_secret())] {
        let auth = &scene.setup.auth;
        let refused = auth.provider_finish("company", &cookie.into(), &callback(&mine), browser()).await;
        assert!(matches!(refused, Err(ProviderError::State)), "{cookie}");
        // Begun with one provider, brought back to another.
        let refused = auth.provider_finish("other", &mine.sealed_state, &callback(&mine), browser()).await;
        assert!(matches!(refused, Err(ProviderError::State)));
        let refused = auth.provider_finish("absent", &mine.sealed_state, &callback(&mine), browser()).await;
        assert!(matches!(refused, Err(ProviderError::Unknown)));
    }
    assert!(scene.issuer.seen("/token").is_empty());
    let with_issuer = Callback { issuer: Some(scene.issuer.url.clone()), ..callback(&mine) };
    assert!(scene.finish(&mine, &with_issuer).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_promises_to_name_itself_has_to() {
    let scene = scene(|_| ()).await;
    scene.issuer.reply(
        "/.well-known/openid-configuration",
        Reply::json(&json!({
            "issuer": scene.issuer.url,
            "jwks_uri": scene.issuer.at("/jwks"),
            "authorization_endpoint": scene.issuer.at("/authorize"),
            "token_endpoint": scene.issuer.at("/token"),
            "authorization_response_iss_parameter_supported": true,
        })),
    );
    let gone = scene.start(None).await;
    scene.give(&RSA.token("a", &scene.claims(&gone)));
    assert!(matches!(scene.finish(&gone, &callback(&gone)).await, Err(ProviderError::State)));
    let named = Callback { issuer: Some(scene.issuer.url.clone()), ..callback(&gone) };
    assert!(scene.finish(&gone, &named).await.is_ok());
}

#[tokio::test]
async fn whoever_is_away_too_long_begins_again() {
    let scene = scene(|_| ()).await;
    let gone = scene.start(None).await;
    scene.give(&RSA.token("a", &scene.claims(&gone)));
    scene.setup.clock.advance(LONGEST_ABSENCE);
    assert!(matches!(scene.finish(&gone, &callback(&gone)).await, Err(ProviderError::State)));
}

#[tokio::test]
async fn t17_t18_id_tokens_that_do_not_count() {
    let scene = scene(|provider| {
        provider.required_claims = [("token_use".to_owned(), "id".to_owned())].into();
    })
    .await;
    let good = json!({ "token_use": "id" });
    assert!(scene.sign_in(&good).await.is_ok());
    for mut change in [
        json!({ "nonce": "other" }),
        json!({ "nonce": null }),
        json!({ "aud": "other" }),
        json!({ "aud": ["larder", "other"] }),
        json!({ "azp": "other" }),
        json!({ "iss": "https://other.example.com" }),
        json!({ "exp": NOW - 61 }),
        json!({ "iat": NOW - 700 }),
        json!({ "sub": null }),
        json!({ "token_use": "access" }),
        json!({ "at_hash": "other" }),
    ] {
        if change.get("token_use").is_none() {
            change["token_use"] = "id".into();
        }
        let refused = scene.sign_in(&change).await;
        assert!(matches!(refused, Err(ProviderError::Failed)), "{change}: {refused:?}");
    }
    // ES256 is not among the algorithms of this provider, and the key is not its own.
    let gone = scene.start(None).await;
    scene.give(&p256().token("a", &changed(&scene.claims(&gone), &good)));
    assert!(matches!(scene.finish(&gone, &callback(&gone)).await, Err(ProviderError::Failed)));
}

#[tokio::test]
async fn refusals_and_failures_of_the_provider_are_told_apart() {
    let scene = scene(|_| ()).await;
    let gone = scene.start(None).await;
    let denied = Callback { error: Some("access_denied\r\nx".to_owned()), ..callback(&gone) };
    assert!(matches!(scene.finish(&gone, &denied).await, Err(ProviderError::Refused)));
    for (reply, is_refusal) in [
        (Reply::json(&json!({ "error": "invalid_grant" })).status(400), true),
        (Reply::json(&json!({ "error": "invalid_client" })).status(401), false),
        (Reply::bytes(b"<html>".to_vec()), false),
        (Reply::json(&json!({ "access_token": "at" })), false),
        (Reply::bytes(Vec::new()).status(500), false),
        (Reply { location: Some("/jwks".to_owned()), ..Reply::bytes(Vec::new()).status(307) }, false),
    ] {
        scene.issuer.reply("/token", reply);
        let refused = scene.finish(&gone, &callback(&gone)).await.unwrap_err();
        assert_eq!(matches!(refused, ProviderError::Refused), is_refusal, "{refused:?}");
        assert!(is_refusal || matches!(refused, ProviderError::Failed));
    }
}

#[tokio::test]
async fn an_account_is_linked_to_whoever_asked_and_to_nobody_else() {
    let scene = scene(|_| ()).await;
    let auth = &scene.setup.auth;
    let bob = auth.user_create(new_user("bob")).await.unwrap();
    let eve = auth.user_create(new_user("eve")).await.unwrap();
    let gone = scene.start(Some(bob.id)).await;
    scene.give(&RSA.token("a", &scene.claims(&gone)));
    let of_bob = scene.session(bob.id).await;
    let of_eve = scene.session(eve.id).await;
    for present_session in [None, Some("none".into()), Some(of_eve.clone())] {
        let wrong = Callback { present_session, ..callback(&gone) };
        assert!(matches!(scene.finish(&gone, &wrong).await, Err(ProviderError::State)));
    }
    let right = Callback { present_session: Some(of_bob), ..callback(&gone) };
    let finished = scene.finish(&gone, &right).await.unwrap();
    assert_eq!((finished.username.as_str(), finished.is_new), ("bob", false));
    assert_eq!(auth.identity_list(bob.id).await.unwrap()[0].subject, "1");
    assert_eq!(scene.sign_in(&json!({})).await.unwrap().username, "bob");
    let gone = scene.start(Some(eve.id)).await;
    scene.give(&RSA.token("a", &scene.claims(&gone)));
    let right = Callback { present_session: Some(of_eve.clone()), ..callback(&gone) };
    assert!(matches!(scene.finish(&gone, &right).await, Err(ProviderError::LinkedElsewhere)));
    // Nothing came of it, so her browser is signed in as before.
    assert!(scene.found(&of_eve).await.is_some());
}

#[tokio::test]
async fn linking_gives_the_session_a_new_secret() {
    let scene = scene(|_| ()).await;
    let bob = scene.setup.auth.user_create(new_user("bob")).await.unwrap();
    let (old, other) = (scene.session(bob.id).await, scene.session(bob.id).await);
    let before = scene.found(&old).await.unwrap();
    let gone = scene.start(Some(bob.id)).await;
    scene.give(&RSA.token("a", &scene.claims(&gone)));
    let back = Callback { present_session: Some(old.clone()), ..callback(&gone) };
    let new = scene.finish(&gone, &back).await.unwrap().session;
    assert!(scene.found(&old).await.is_none(), "the old cookie still counts");
    let after = scene.found(&new).await.unwrap();
    assert_eq!(after.identity.principal.user_id(), Some(bob.id));
    // It is the same session: another account there proves nothing about who is here.
    let kept = |found: SessionFound| (found.public_id, found.proved_at, found.provider);
    assert_eq!(kept(after), kept(before));
    assert!(scene.found(&other).await.is_some());
}

#[tokio::test]
async fn signing_out_leads_to_the_provider_and_back() {
    let back = "https://registry.example.com/sign-in?a=b";
    let scene = scene(|_| ()).await;
    let url = scene.setup.auth.provider_logout_url("company", back).await.unwrap();
    let url = Url::parse(&url).unwrap();
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(url.path(), "/logout");
    assert_eq!((query["client_id"].as_str(), query["post_logout_redirect_uri"].as_str()), ("larder", back));
    assert_eq!(scene.setup.auth.provider_logout_url("absent", back).await, None);

    let cognito = self::scene(|provider| {
        provider.logout_url =
            Some("https://pool.example.com/logout?client_id={client_id}&logout_uri={return_to}".to_owned());
    })
    .await;
    assert_eq!(
        cognito.setup.auth.provider_logout_url("company", back).await.as_deref(),
        Some(
            "https://pool.example.com/logout?client_id=larder&logout_uri=https%3A%2F%2Fregistry.example.com%2Fsign-in%3Fa%3Db"
        )
    );
}

#[tokio::test]
async fn unusable_providers_are_refused_at_the_start() {
    for (change, expected) in [
        (ProviderSettings::new("Company", "https://a.example.com", "c"), "name"),
        (ProviderSettings::new("", "https://a.example.com", "c"), "name"),
        (ProviderSettings::new("a", "a.example.com", "c"), "issuer"),
        (ProviderSettings::new("a", "https://a.example.com/?x", "c"), "issuer"),
        (ProviderSettings::new("a", "https://a.example.com", ""), "client_id"),
        (
            ProviderSettings {
                scopes: vec!["email".to_owned()],
                ..ProviderSettings::new("a", "https://a.example.com", "c")
            },
            "openid",
        ),
        (
            ProviderSettings {
                algorithms: Vec::new(),
                ..ProviderSettings::new("a", "https://a.example.com", "c")
            },
            "RS256",
        ),
        (
            ProviderSettings {
                logout_url: Some("pool.example.com".to_owned()),
                ..ProviderSettings::new("a", "https://a.example.com", "c")
            },
            "https://",
        ),
        (ProviderSettings::new("twin", "https://b.example.com", "c"), "issuer"),
        (ProviderSettings::new("b", "https://c.example.com", "c"), "name"),
    ] {
        let twin = ProviderSettings::new("b", "https://b.example.com", "c");
        let (db, _database) = db::testing::temporary().await;
        let settings = Settings { providers: vec![twin, change.clone()], ..Settings::default() };
        let refused = Auth::open(db, clock::Clock::system(), settings).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}
