//! Amazon Cognito as an emulator has it: its tokens, and its way of checking a password.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::cognito::{Client, Cognito, Pool};
use testkit::issuer::{Claims, Issuer};
use testkit::{Answer, Api, Server, random_word};

use crate::scene::{Count, disable, give, manage, organization, push, server, usernames};

const PASSWORD: &str = "Correct-horse-7";

/// A pool of people, and a server that knows it.
struct Scene {
    pool: Pool,
    client: Client,
    /// What the server takes for Amazon's interface; it checks what the emulator does not.
    door: Issuer,
    calls: Arc<Count>,
    server: Server,
    cognito: Cognito,
}

impl Scene {
    fn new() -> Self {
        let cognito = Cognito::start();
        let pool = cognito.pool();
        let client = pool.client(true);
        let (door, calls) = (Issuer::start(), Arc::new(Count::default()));
        let (asked, amazon) = (Arc::clone(&calls), client.clone());
        door.answer_tokens_with(move |request| {
            asked.add();
            let target = request.header("x-amz-target");
            assert_eq!(target, Some("AWSCognitoIdentityProviderService.InitiateAuth"));
            let input = request.json();
            let text = |name: &str| input["AuthParameters"][name].as_str().unwrap_or_default().to_owned();
            let (username, password) = (text("USERNAME"), text("PASSWORD"));
            let is_ours = input["ClientId"] == amazon.id()
                && input["AuthFlow"] == "USER_PASSWORD_AUTH"
                && Some(text("SECRET_HASH")) == amazon.secret_hash(&username);
            if !is_ours {
                return (
                    400,
                    json!({ "__type": "NotAuthorizedException", "message": "Unable to verify secret hash" }),
                );
            }
            let answer = amazon.initiate(&username, &password);
            (answer.status, answer.json())
        });
        let server = server(&[
            ("issuer", &pool.issuer()),
            ("jwks_uri", &pool.keys_url()),
            // There is no page to sign in at; nothing here goes there.
            ("authorization_endpoint", &door.url_at("/authorize")),
            ("token_endpoint", &door.token_url()),
            ("client_id", client.id()),
            ("client_secret", client.secret().expect("the client has one")),
            ("username_claim", "cognito:username"),
            ("groups_claim", "cognito:groups"),
            ("required_claims__token_use", "id"),
            ("password_grant", "cognito"),
            ("password_grant_endpoint", &door.url()),
            ("accept_access_tokens", "true"),
            ("access_token_audience_claim", "client_id"),
            ("access_token_required_claims__token_use", "access"),
        ]);
        pool.put_user("grace", PASSWORD, &[("email", "grace@example.com")]);
        Self { pool, client, door, calls, server, cognito }
    }

    /// Somebody with a name and a password.
    fn caller(&self, username: &str, password: &str) -> Api {
        self.server.api().as_user(username, password)
    }

    fn me(&self, caller: &Api) -> Answer {
        manage(caller, Method::GET, "/me", &Value::Null)
    }

    /// Whom a bearer token lets in, if anybody.
    fn bearer(&self, token: &str) -> Option<String> {
        let answer = self.me(&self.server.api().as_bearer(token)).expect(&[200, 401]);
        (answer.status == 200).then(|| answer.json()["username"].as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn a_password_of_the_pool_works_where_there_is_no_browser_and_costs_one_call() {
    let scene = Scene::new();
    let organization = organization(&scene.server);
    give(&scene.server, &organization, "dev", "writer");
    scene.pool.put_group("dev");
    scene.pool.join("grace", "dev");
    let grace = scene.caller("grace", PASSWORD);
    for _ in 0..10 {
        grace.get("/v2/").expect(&[200]);
        grace.get("/token?service=larder").expect(&[200]);
    }
    assert_eq!(scene.calls.get(), 1, "{:?}", scene.door.requests());
    let me = scene.me(&grace).expect(&[200]).json();
    assert_eq!((&me["username"], &me["credential"]), (&json!("grace"), &json!("provider_password")), "{me}");
    assert_eq!(push(&grace, &organization), 202);
    assert_eq!(usernames(&scene.server), ["grace"]);
    let log = scene.server.log();
    assert!(!log.contains(PASSWORD) && !log.contains(scene.client.secret().expect("it has one")));
}

#[test]
fn t9_a_wrong_password_and_nobody_of_that_name_are_answered_alike() {
    let scene = Scene::new();
    scene.pool.invite_user("invited", PASSWORD, &[]);
    scene.pool.put_user("disabled", PASSWORD, &[]);
    scene.pool.set_enabled("disabled", false);
    let mut bodies = Vec::new();
    for (username, password) in [
        ("grace", "Wrong-horse-8"),
        ("nobody", PASSWORD),
        // Who has to choose a password first, and who may not come in there.
        ("invited", PASSWORD),
        ("disabled", PASSWORD),
    ] {
        let answer = scene.me(&scene.caller(username, password)).expect(&[401]);
        let mut body = answer.json();
        body["request_id"] = Value::Null;
        bodies.push((body, answer.header("www-authenticate").map(str::to_owned)));
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
    assert_eq!(scene.calls.get(), 4);
    assert!(usernames(&scene.server).is_empty());
}

#[test]
fn a_user_of_the_server_itself_is_never_asked_about_elsewhere() {
    let scene = Scene::new();
    // Somebody has the same name in the pool, and is somebody else.
    scene.server.api().user_create("ada", "a password of the server");
    scene.pool.put_user("ada", PASSWORD, &[]);
    scene.me(&scene.caller("ada", "a password of the server")).expect(&[200]);
    scene.me(&scene.caller("ada", PASSWORD)).expect(&[401]);
    assert_eq!(scene.calls.get(), 0);
}

#[test]
fn t16_who_is_disabled_here_is_out_with_a_password_that_was_just_right() {
    let scene = Scene::new();
    let grace = scene.caller("grace", PASSWORD);
    scene.me(&grace).expect(&[200]);
    let token = scene.client.sign_in("grace", PASSWORD).access;
    assert_eq!(scene.bearer(&token).as_deref(), Some("grace"));
    disable(&scene.server, "grace", true);
    scene.me(&grace).expect(&[401]);
    assert_eq!(scene.bearer(&token), None);
    disable(&scene.server, "grace", false);
    assert_eq!(scene.bearer(&token).as_deref(), Some("grace"));
}

#[test]
fn t18_access_tokens_of_the_client_count_and_no_others() {
    let scene = Scene::new();
    let tokens = scene.client.sign_in("grace", PASSWORD);
    // An access token says too little about somebody to make a user of.
    assert_eq!(scene.bearer(&tokens.access), None);
    scene.me(&scene.caller("grace", PASSWORD)).expect(&[200]);
    let calls = scene.calls.get();
    for _ in 0..5 {
        assert_eq!(scene.bearer(&tokens.access).as_deref(), Some("grace"));
    }
    // As a password it is good under its owner's name alone.
    scene.me(&scene.caller("grace", &tokens.access)).expect(&[200]);
    scene.me(&scene.caller("admin", &tokens.access)).expect(&[401]);

    assert_eq!(scene.bearer(&tokens.id), None, "an ID token is for a client and not for an interface");
    assert_eq!(scene.bearer(&tokens.refresh), None);
    let other_client = scene.pool.client(false).sign_in("grace", PASSWORD);
    assert_eq!(scene.bearer(&other_client.access), None, "made for another client");
    // Another pool's people have the same names, and in the emulator the same keys.
    let other = scene.cognito.pool();
    other.put_user("grace", PASSWORD, &[]);
    let other = other.client(false).sign_in("grace", PASSWORD);
    assert_eq!(scene.bearer(&other.access), None, "of another pool");
    let forged = Claims::new(&scene.pool.issuer(), &random_word(), "x")
        .without("aud")
        .with("client_id", scene.client.id())
        .with("token_use", "access");
    assert_eq!(scene.bearer(&Issuer::start().token(&forged)), None);
    for part in [&tokens.id, &other_client.access, &other.access] {
        scene.me(&scene.caller("grace", part)).expect(&[401]);
    }
    assert_eq!(scene.calls.get(), calls, "a token went where passwords go");
    let log = scene.server.log();
    for token in [&tokens.id, &tokens.access, &tokens.refresh] {
        assert!(!log.contains(token.as_str()), "a token is in the log");
    }
}

#[test]
fn while_cognito_is_away_nobody_of_the_pool_comes_in_and_all_others_do() {
    let scene = Scene::new();
    scene.door.answer_tokens_with(|_| (500, json!({ "__type": "InternalErrorException" })));
    scene.me(&scene.caller("grace", PASSWORD)).expect(&[401]);
    scene.me(&scene.server.api()).expect(&[200]);
}
