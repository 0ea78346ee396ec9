//! A provider that does what an honest one never does, or one in whose name somebody else speaks.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Server;
use testkit::issuer::{Claims, Document, Issuer, Key, Misbehavior, hmac_token, unsigned_token};

use crate::scene::{
    Browser, CALLBACK, PUBLIC_URL, Page, expect_in, expect_out, give, organization, parameter, push, server,
    usernames,
};

/// A server whose one provider is the tests' own.
struct Liar {
    issuer: Issuer,
    server: Server,
}

impl Liar {
    fn with(variables: &[(&str, &str)]) -> Self {
        let issuer = Issuer::start();
        let url = issuer.url();
        let mut all = vec![("issuer", url.as_str()), ("client_id", "larder"), ("client_secret", "known")];
        all.extend(variables);
        Self { server: server(&all), issuer }
    }

    /// What an honest provider says of the one who was sent to this address.
    fn claims(&self, url: &str) -> Claims {
        Claims::new(&self.issuer.url(), "sub-1", "larder")
            .with("nonce", parameter(url, "nonce"))
            .with("preferred_username", "robin")
            .with("email", "robin@example.com")
            .with("email_verified", true)
    }

    /// Has the token endpoint answer so from now on.
    fn answer(&self, status: u16, body: Value) {
        self.issuer.answer_tokens_with(move |_| (status, body.clone()));
    }

    /// The whole way, with the ID token that is made of the honest claims.
    #[track_caller]
    fn try_with(&self, token: impl FnOnce(Claims) -> String) -> (Browser, Page) {
        let mut browser = Browser::new(&self.server);
        let url = browser.set_out("return_to=/account");
        let token = token(self.claims(&url));
        self.answer(200, json!({ "access_token": "none", "token_type": "Bearer", "id_token": token }));
        let page = browser.get(&back(&url));
        (browser, page)
    }

    #[track_caller]
    fn expect_refused(&self, why: &str, token: impl FnOnce(Claims) -> String) {
        let (mut browser, page) = self.try_with(token);
        let location = page.location().unwrap_or_default();
        assert!(location.ends_with("/sign-in?problem=provider-failed"), "{why}: {page:?}");
        assert!(!browser.is_signed_in(), "{why}");
    }
}

/// The address with which an honest provider sends somebody back.
fn back(url: &str) -> String {
    format!("{CALLBACK}?code=code&state={}", parameter(url, "state"))
}

#[test]
fn t17_t18_id_tokens_that_do_not_count() {
    let liar = Liar::with(&[]);
    let evil = Issuer::start();
    let (honest, kid) = (liar.issuer.key(), liar.issuer.key().kid().to_owned());
    let sign = |claims: Claims| honest.token(&claims);

    liar.expect_refused("a nonce of another sign-in", |claims| sign(claims.with("nonce", "another")));
    liar.expect_refused("no nonce", |claims| sign(claims.without("nonce")));
    liar.expect_refused("for another client", |claims| sign(claims.with("aud", "another")));
    liar.expect_refused("for several clients, without saying who asked", |claims| {
        sign(claims.with("aud", json!(["larder", "another"])))
    });
    liar.expect_refused("asked for by another client", |claims| {
        sign(claims.with("aud", json!(["larder", "another"])).with("azp", "another"))
    });
    liar.expect_refused("for nobody", |claims| sign(claims.without("aud")));
    liar.expect_refused("of another issuer", |claims| sign(claims.with("iss", evil.url())));
    liar.expect_refused("of an issuer that is almost the same", |claims| {
        let issuer = format!("{}/", claims.text("iss"));
        sign(claims.with("iss", issuer))
    });
    liar.expect_refused("of nobody", |claims| sign(claims.without("iss")));
    liar.expect_refused("about nobody", |claims| sign(claims.without("sub")));
    liar.expect_refused("over", |claims| sign(claims.shifted(-3600)));
    liar.expect_refused("not begun", |claims| sign(claims.shifted(3600)));
    liar.expect_refused("without an end", |claims| sign(claims.without("exp")));
    for none in ["none", "None", "NONE", ""] {
        liar.expect_refused("unsigned", |claims| unsigned_token(none, &claims));
    }
    liar.expect_refused("signed with what everybody knows", |claims| {
        hmac_token(&kid, honest.public_pem().as_bytes(), &claims)
    });
    liar.expect_refused("signed by somebody else in the name of the key", |claims| {
        Key::rs256().named(&kid).token(&claims)
    });
    liar.expect_refused("signed with a key that nobody knows", |claims| evil.token(&claims));
    liar.expect_refused("signed with a key that it brings along", |claims| {
        let (key, mut header) = (evil.key(), json!({ "typ": "JWT" }));
        for (name, value) in [
            ("alg", json!(key.algorithm())),
            ("kid", json!(key.kid())),
            ("jwk", key.jwk()),
            ("jku", json!(evil.keys_url())),
            ("x5u", json!(evil.url_at("/certificate"))),
        ] {
            header[name] = value;
        }
        key.token_with_header(&header, &claims.to_json())
    });
    liar.expect_refused("a key that is a path", |claims| {
        let header = json!({ "alg": "RS256", "kid": "../../../../dev/null" });
        honest.token_with_header(&header, &claims.to_json())
    });
    liar.expect_refused("an access token", |claims| {
        let header = json!({ "alg": "RS256", "kid": kid, "typ": "at+jwt" });
        honest.token_with_header(&header, &claims.to_json())
    });
    liar.expect_refused("changed", |claims| {
        let token = sign(claims);
        let (rest, signature) = token.rsplit_once('.').expect("a token has three parts");
        let last = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{rest}.{last}{}", &signature[1..])
    });
    assert!(usernames(&liar.server).is_empty());
    assert!(evil.requests().is_empty(), "a token led the server elsewhere: {:?}", evil.requests());

    let (mut browser, page) = liar.try_with(sign);
    expect_in(&page, "/account");
    assert_eq!(browser.me()["username"], "robin");
}

#[test]
fn what_the_token_endpoint_answers_otherwise_lets_nobody_in() {
    let liar = Liar::with(&[]);
    for (status, body, word) in [
        (400, json!({ "error": "invalid_grant" }), "provider-refused"),
        (400, json!({ "error": "invalid_client" }), "provider-failed"),
        (401, json!({ "error": "invalid_client" }), "provider-failed"),
        (500, json!({ "error": "server_error" }), "provider-failed"),
        (200, json!({ "access_token": "at", "token_type": "Bearer" }), "provider-failed"),
        (200, json!({ "id_token": 5 }), "provider-failed"),
        (200, json!("text"), "provider-failed"),
        (302, json!({}), "provider-failed"),
    ] {
        let mut browser = Browser::new(&liar.server);
        let url = browser.set_out("return_to=/account");
        liar.answer(status, body);
        let page = browser.get(&back(&url));
        expect_out(&mut browser, &page, word);
        // What went wrong is for the operator and not for whoever asks.
        let mut program = Browser::new(&liar.server);
        let url = program.set_out("return_to=/account");
        let page = program.get_json(&back(&url));
        assert!([403, 502].contains(&page.status), "{page:?}");
        assert!(!page.body.contains("invalid_") && !page.body.contains("localhost"), "{page:?}");
    }
    assert!(usernames(&liar.server).is_empty());
}

#[test]
fn t17_a_provider_that_says_it_is_another_one_is_none() {
    let liar = Liar::with(&[("LARDER_AUTH__ISSUER_REFRESH_INTERVAL", "1s")]);
    let start = format!("{PUBLIC_URL}/api/v1/auth/providers/company/start");
    let elsewhere = Issuer::start();
    let spoil = |misbehavior: Option<Misbehavior>| liar.issuer.misbehave(Document::Discovery, misbehavior);
    let tries = [
        Misbehavior::Down,
        Misbehavior::Status(503),
        Misbehavior::Text("{}".to_owned()),
        Misbehavior::Text(json!({ "issuer": "https://evil.example" }).to_string()),
        Misbehavior::Redirect(elsewhere.url_at("/.well-known/openid-configuration")),
        Misbehavior::Huge(64 << 20),
        Misbehavior::Endless,
    ];
    for misbehavior in tries {
        spoil(Some(misbehavior.clone()));
        let mut browser = Browser::new(&liar.server);
        let page = browser.get(&start);
        expect_out(&mut browser, &page, "provider-failed");
    }
    spoil(None);
    liar.issuer.say("issuer", format!("{}/", liar.issuer.url()));
    let mut browser = Browser::new(&liar.server);
    let page = browser.get(&start);
    expect_out(&mut browser, &page, "provider-failed");
    assert!(elsewhere.requests().is_empty());
    // Nothing of this is kept.
    liar.issuer.say("issuer", liar.issuer.url());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while browser.get(&start).location().is_none_or(|location| !location.starts_with(&liar.issuer.url())) {
        assert!(std::time::Instant::now() < deadline, "the provider stays away: {}", liar.server.log());
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn t20_a_provider_sends_the_server_to_no_place_inside() {
    for (member, place) in [
        ("token_endpoint", "http://169.254.169.254/latest/meta-data"),
        ("token_endpoint", "http://[::ffff:127.0.0.1]:1/token"),
        ("token_endpoint", "file:///etc/passwd"),
        ("jwks_uri", "http://127.1:1/keys"),
        ("jwks_uri", "https://10.0.0.1/keys"),
    ] {
        let liar = Liar::with(&[]);
        liar.issuer.say(member, place);
        let (mut browser, page) = liar.try_with(|claims| liar.issuer.token(&claims));
        expect_out(&mut browser, &page, "provider-failed");
    }
    // Nor the browser.
    for place in ["javascript:alert(1)", "http://evil.example/authorize", "/authorize"] {
        let liar = Liar::with(&[]);
        liar.issuer.say("authorization_endpoint", place);
        let mut browser = Browser::new(&liar.server);
        let page = browser.get(&format!("{PUBLIC_URL}/api/v1/auth/providers/company/start"));
        expect_out(&mut browser, &page, "provider-failed");
    }
}

/// One provider does not get to see the codes of another, and cannot sign anybody in at it (RFC 9700 §4.4).
#[test]
fn t18_what_was_begun_with_one_provider_is_not_completed_with_another() {
    let evil = Issuer::start();
    let liar = Liar::with(&[
        ("LARDER_AUTH__PROVIDERS__EVIL__ISSUER", &evil.url()),
        ("LARDER_AUTH__PROVIDERS__EVIL__CLIENT_ID", "larder"),
    ]);
    let mut browser = Browser::new(&liar.server);
    let url = browser.set_out("return_to=/account");
    let token =
        evil.token(&Claims::new(&evil.url(), "sub-1", "larder").with("nonce", parameter(&url, "nonce")));
    evil.answer_tokens_with(move |_| (200, json!({ "id_token": token })));
    let other = back(&url).replace("/company/", "/evil/");
    let page = browser.get(&other);
    expect_out(&mut browser, &page, "provider-state");
    // At the right door, with a word of the wrong one.
    let mut browser = Browser::new(&liar.server);
    let url = browser.set_out("return_to=/account");
    let named = format!("{}&iss={}", back(&url), evil.url());
    let page = browser.get(&named);
    expect_out(&mut browser, &page, "provider-state");
    let asked = |issuer: &Issuer| issuer.requests().iter().any(|request| request.method == "POST");
    assert!(!asked(&evil) && !asked(&liar.issuer));
}

/// One who always says who it is has to say it every time (RFC 9207).
#[test]
fn t18_a_provider_that_names_itself_has_to_do_so() {
    let liar = Liar::with(&[]);
    liar.issuer.say("authorization_response_iss_parameter_supported", true);
    let (mut browser, page) = liar.try_with(|claims| liar.issuer.token(&claims));
    expect_out(&mut browser, &page, "provider-state");
    let mut browser = Browser::new(&liar.server);
    let url = browser.set_out("return_to=/account");
    let token = liar.issuer.token(&liar.claims(&url));
    liar.answer(200, json!({ "id_token": token }));
    let page = browser.get(&format!("{}&iss={}", back(&url), liar.issuer.url()));
    expect_in(&page, "/account");
}

/// What Amazon Cognito does otherwise than others: the kind of a token is a claim, groups and names have claims of
/// their own, there is no end of session in its document.
#[test]
fn cognitos_differences_are_settings() {
    let logout =
        "https://corp.auth.us-east-1.amazoncognito.com/logout?client_id={client_id}&logout_uri={return_to}";
    let liar = Liar::with(&[
        ("username_claim", "cognito:username"),
        ("groups_claim", "cognito:groups"),
        ("required_claims__token_use", "id"),
        ("logout_url", logout),
    ]);
    let organization = organization(&liar.server);
    give(&liar.server, &organization, "dev", "writer");
    let shape = |claims: Claims| {
        claims
            .with("token_use", "id")
            .with("cognito:username", "grace")
            .with("cognito:groups", json!(["dev"]))
            .with("email_verified", "true")
    };
    liar.expect_refused("an access token", |claims| {
        liar.issuer.token(&shape(claims).with("token_use", "access").with("client_id", "larder"))
    });
    liar.expect_refused("a token of an unknown kind", |claims| {
        liar.issuer.token(&shape(claims).without("token_use"))
    });
    let (mut browser, page) = liar.try_with(|claims| liar.issuer.token(&shape(claims)));
    expect_in(&page, "/account");
    let me = browser.me();
    assert_eq!((&me["username"], &me["email_verified"]), (&json!("grace"), &json!(true)), "{me}");
    assert_eq!(push(&browser.token(&liar.server), &organization), 202);
    let answer = browser.ask(Method::POST, "/auth/sign-out", &Value::Null).expect(200).json();
    let url = answer["provider_sign_out_url"].as_str().expect("an address");
    assert_eq!(parameter(url, "client_id"), "larder");
    assert_eq!(parameter(url, "logout_uri"), format!("{PUBLIC_URL}/sign-in"));
}
