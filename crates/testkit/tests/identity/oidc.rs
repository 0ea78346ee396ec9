use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::Browser;
use testkit::issuer::{Issuer, claims_of, header_of};
use testkit::oidc::{Client, OidcProvider, User};

use super::{client, post_form};

const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-taken-for-one";

/// Where a browser is sent to sign in.
fn authorization(provider: &OidcProvider, program: &Client, redirect: &str, state: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let parameters = [
        ("response_type", "code"),
        ("client_id", program.id()),
        ("redirect_uri", redirect),
        ("scope", "openid email profile groups"),
        ("state", state),
        ("nonce", "n-1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let url = Url::parse_with_params(&format!("{}/auth", provider.issuer()), parameters);
    url.expect("a URL").into()
}

/// A parameter that the provider has sent the browser back with.
fn returned(browser: &Browser, name: &str) -> String {
    let url = Url::parse(&browser.url()).expect("the browser is somewhere");
    let value = url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
    value.unwrap_or_else(|| panic!("no {name} in {url}"))
}

fn exchange(provider: &OidcProvider, program: &Client, form: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}/token", provider.issuer());
    let answer = post_form(&url, form).basic_auth(program.id(), Some(program.secret())).send();
    let answer = answer.expect("an answer");
    (answer.status().as_u16(), answer.json().expect("JSON"))
}

#[test]
fn a_person_signs_in_and_out_in_a_browser() {
    // Something has to be where the browser is sent back to.
    let place = Issuer::start();
    let (redirect, goodbye) = (place.url_at("/callback"), place.url_at("/goodbye"));
    let mut provider = OidcProvider::start();
    let user = User::new("ada").email("ada@example.com").groups(&["dev", "ops"]);
    let program = Client::confidential("larder", &redirect).after_logout(&goodbye);
    provider.put_user(&user);
    provider.put_client(&program);

    let browser = Browser::start();
    browser.go_to(&authorization(&provider, &program, &redirect, "s-1"));
    browser.type_into("input[name=username]", "ada");
    browser.type_into("input[name=password]", "guessed");
    browser.click("#sign-in");
    assert_eq!(browser.text("#message"), "the user name or the password is wrong");
    provider.sign_in(&browser, &user);
    assert_eq!(returned(&browser, "state"), "s-1");
    assert_eq!(returned(&browser, "iss"), provider.issuer());
    let code = returned(&browser, "code");
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", &redirect),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = exchange(&provider, &program, &form);
    assert_eq!(status, 200, "{tokens}\n{}", provider.log());
    let token = tokens["id_token"].as_str().expect("an ID token");
    let claims = claims_of(token);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(provider.issuer()), &json!("larder")));
    assert_eq!((&claims["sub"], &claims["nonce"]), (&json!(user.subject()), &json!("n-1")));
    assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("ada@example.com"), &json!(true)));
    assert_eq!((&claims["groups"], &claims["preferred_username"]), (&json!(["dev", "ops"]), &json!("ada")));

    // Whoever is signed in is asked nothing.
    browser.go_to(&authorization(&provider, &program, &redirect, "s-2"));
    assert_eq!(returned(&browser, "state"), "s-2");
    let parameters = [("id_token_hint", token), ("post_logout_redirect_uri", &goodbye), ("state", "s-3")];
    let logout = Url::parse_with_params(&format!("{}/session/end", provider.issuer()), parameters);
    browser.go_to(logout.expect("a URL").as_str());
    browser.click("#sign-out");
    browser.wait_until("the person has signed out", |browser| browser.url().starts_with(&goodbye));
    assert_eq!(returned(&browser, "state"), "s-3");
    browser.go_to(&authorization(&provider, &program, &redirect, "s-4"));
    browser.wait_for("#sign-in");
    // The provider would also have taken back what was allowed with it.
    assert_eq!(exchange(&provider, &program, &form).0, 400, "a code is good once");
}

#[test]
fn a_person_says_no() {
    let place = Issuer::start();
    let redirect = place.url_at("/callback");
    let mut provider = OidcProvider::start();
    let user = User::new("ada");
    let program = Client::public("larder", &redirect);
    provider.put_user(&user);
    provider.put_client(&program);
    let browser = Browser::start();
    browser.go_to(&authorization(&provider, &program, &redirect, "s-1"));
    browser.type_into("input[name=username]", user.username());
    browser.type_into("input[name=password]", user.password());
    browser.click("#sign-in");
    browser.click("#deny");
    browser.wait_until("the browser is back", |browser| browser.url().starts_with(&redirect));
    assert_eq!(
        (returned(&browser, "error"), returned(&browser, "state")),
        ("access_denied".into(), "s-1".into())
    );
}

#[test]
fn programs_get_tokens_with_a_password_or_their_own_secret() {
    let mut provider = OidcProvider::start();
    let user = User::new("ada").groups(&["dev"]);
    let program =
        Client::confidential("larder", "http://localhost/").grant("password").grant("client_credentials");
    provider.put_user(&user);
    provider.put_client(&program);
    let password = |password: &str| {
        let form = [
            ("grant_type", "password"),
            ("username", "ada"),
            ("password", password),
            ("scope", "openid groups"),
        ];
        exchange(&provider, &program, &form)
    };
    let (status, tokens) = password(user.password());
    assert_eq!(status, 200, "{tokens}\n{}", provider.log());
    let claims = claims_of(tokens["id_token"].as_str().expect("an ID token"));
    assert_eq!((&claims["sub"], &claims["groups"]), (&json!(user.subject()), &json!(["dev"])));
    let (status, refusal) = password("guessed");
    assert_eq!((status, &refusal["error"]), (400, &json!("invalid_grant")));

    let form =
        [("grant_type", "client_credentials"), ("scope", "api"), ("resource", "https://larder.example")];
    let (_, tokens) = exchange(&provider, &program, &form);
    let claims = claims_of(tokens["access_token"].as_str().expect("an access token"));
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("https://larder.example"), &json!("larder")));
}

#[test]
fn keys_are_forgotten_and_people_too() {
    let mut provider = OidcProvider::start();
    let user = User::new("ada");
    let program = Client::confidential("larder", "http://localhost/").grant("password");
    provider.put_user(&user);
    provider.put_client(&program);
    let form = [("grant_type", "password"), ("username", "ada"), ("password", user.password())];
    let kid = |provider: &OidcProvider| {
        let (_, tokens) = exchange(provider, &program, &form);
        header_of(tokens["id_token"].as_str().expect("an ID token"))["kid"].clone()
    };
    let first = kid(&provider);
    provider.stop();
    provider.start_again();
    assert_eq!(kid(&provider), first);
    provider.rotate_keys();
    let second = kid(&provider);
    assert_ne!(second, first);
    let keys: Value = client().get(format!("{}/jwks", provider.issuer())).send().unwrap().json().unwrap();
    let kids: Vec<&Value> = keys["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
    assert!(kids.contains(&&second) && !kids.contains(&&first), "{keys}");
    provider.remove_user("ada");
    assert_eq!(exchange(&provider, &program, &form).0, 400);
}
