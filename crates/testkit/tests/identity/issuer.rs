use std::io::Read as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::issuer::{Claims, Document, Issuer, Key, Misbehavior, claims_of, header_of};

use super::{client, post_form};

fn get(url: &str) -> Value {
    client().get(url).send().expect("an answer").json().expect("JSON")
}

fn discovery_url(issuer: &str) -> String {
    format!("{issuer}/.well-known/openid-configuration")
}

fn kids(issuer: &Issuer) -> Vec<String> {
    let keys = get(&issuer.keys_url());
    let keys = keys["keys"].as_array().expect("a list of keys");
    keys.iter().map(|key| key["kid"].as_str().expect("a key has a name").to_owned()).collect()
}

#[test]
fn an_issuer_is_discovered_and_rotates_its_keys() {
    let issuer = Issuer::start_with(Key::es256());
    let document = get(&discovery_url(&issuer.url()));
    assert_eq!(document["issuer"], json!(issuer.url()));
    assert_eq!(document["jwks_uri"], json!(issuer.keys_url()));
    assert_eq!(get(&issuer.keys_url()), issuer.keys());
    let tenant = issuer.url_at("/org/o-1");
    assert_eq!(get(&discovery_url(&tenant))["issuer"], json!(tenant));

    let token = issuer.token(&Claims::github(&issuer.url(), "acme/app", "larder"));
    assert_eq!(kids(&issuer), [header_of(&token)["kid"].as_str().unwrap()]);
    let old = issuer.rotate();
    assert_eq!(kids(&issuer), [issuer.key().kid()]);
    assert_ne!(old.kid(), issuer.key().kid());
    issuer.rotate_gently();
    assert_eq!(kids(&issuer).len(), 2);
    issuer.publish(vec![old.clone()]);
    assert_eq!(kids(&issuer), [old.kid()]);
    assert_eq!((issuer.count(Document::Discovery), issuer.count(Document::Keys)), (2, 5));
}

#[test]
fn an_issuer_misbehaves_when_it_is_told_to() {
    let issuer = Issuer::start_with(Key::es256());
    let (keys, discovery) = (issuer.keys_url(), discovery_url(&issuer.url()));
    issuer.misbehave(Document::Keys, Misbehavior::Down);
    client().get(&keys).send().expect_err("nobody answers");
    assert_eq!(get(&discovery)["issuer"], json!(issuer.url()), "the other document is as it was");
    issuer.misbehave(Document::Keys, Misbehavior::Status(503));
    assert_eq!(client().get(&keys).send().unwrap().status(), 503);
    issuer.misbehave(Document::Keys, Misbehavior::Redirect("http://127.0.0.1:1/".to_owned()));
    let answer = client().get(&keys).send().unwrap();
    assert_eq!(answer.status(), 302);
    assert_eq!(answer.headers()["location"], "http://127.0.0.1:1/");
    issuer.misbehave(Document::Keys, Misbehavior::Huge(3 << 20));
    let body = client().get(&keys).send().unwrap().text().unwrap();
    assert!(body.len() > 3 << 20 && body.trim_start() == issuer.keys().to_string());
    issuer.misbehave(Document::Keys, Misbehavior::Endless);
    let answer = client().get(&keys).send().unwrap();
    assert_eq!(answer.content_length(), None);
    assert_eq!(std::io::copy(&mut answer.take(10 << 20), &mut std::io::sink()).unwrap(), 10 << 20);
    for misbehavior in
        [Misbehavior::Slow(Duration::from_millis(300)), Misbehavior::Trickle(Duration::from_millis(1))]
    {
        issuer.misbehave(Document::Keys, misbehavior);
        let start = Instant::now();
        assert_eq!(get(&keys), issuer.keys());
        assert!(start.elapsed() > Duration::from_millis(200));
    }
    issuer.misbehave(Document::Keys, Misbehavior::Text("no JSON".to_owned()));
    assert_eq!(client().get(&keys).send().unwrap().text().unwrap(), "no JSON");
    issuer.misbehave(Document::Keys, None);
    assert_eq!(get(&keys), issuer.keys());

    issuer.say("issuer", "https://somebody.example");
    issuer.say("jwks_uri", Value::Null);
    let document = get(&discovery);
    assert_eq!(
        (&document["issuer"], &document["jwks_uri"]),
        (&json!("https://somebody.example"), &Value::Null)
    );
    let url = issuer.url();
    drop(issuer);
    client().get(discovery_url(&url)).send().expect_err("nobody listens");
}

#[test]
fn a_job_asks_its_runner_for_tokens() {
    let issuer = Issuer::start();
    let claims = Claims::github(&issuer.url(), "acme/app", "https://github.com/acme");
    let environment = issuer.github_environment(&claims);
    let variable = |name: &str| {
        environment
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
            .expect("it is set")
    };
    let url = format!("{}&audience=lar%20der", variable("ACTIONS_ID_TOKEN_REQUEST_URL"));
    let secret = variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN");
    let ask = |secret: &str| client().get(&url).bearer_auth(secret).send().expect("an answer");
    assert_eq!(ask("guessed").status(), 401);
    let [one, two] = [ask(&secret), ask(&secret)].map(|answer| answer.json::<Value>().expect("JSON"));
    let [one, two] = [one, two].map(|answer| claims_of(answer["value"].as_str().expect("a token")));
    assert_eq!((&one["aud"], &one["repository"]), (&json!("lar der"), &json!("acme/app")));
    assert_ne!(one["jti"], two["jti"]);
}

#[test]
fn a_token_endpoint_answers_as_the_test_has_it() {
    let issuer = Issuer::start_with(Key::es256());
    let ask = || post_form(&issuer.token_url(), &[("code", "a+b c")]).send().expect("an answer");
    assert_eq!(ask().status(), 400);
    let key = issuer.key();
    issuer.answer_tokens_with(move |request| {
        let claims = Claims::new("i", &request.field("code").unwrap_or_default(), "a");
        (200, json!({ "id_token": key.token(&claims) }))
    });
    let answer: Value = ask().json().expect("JSON");
    assert_eq!(claims_of(answer["id_token"].as_str().expect("a token"))["sub"], "a+b c");
    let requests = issuer.requests();
    assert_eq!(
        (requests.len(), requests[1].method.as_str(), requests[1].path.as_str()),
        (2, "POST", "/token")
    );
}
