//! Letters: what a server with a mail server beside it sends, and what its links are good for.

use serde_json::{Value, json};
use testkit::{Answer, Api, MailServer, Message, Method, Options, Server, random_word};

/// What the links in letters begin with.
const PUBLIC_URL: &str = "http://registry.example.org";

const PASSWORD: &str = "correct horse battery";

/// A server that sends its letters to `mail`.
fn server(mail: &MailServer, variables: &[(&str, &str)]) -> Server {
    let credentials =
        mail.credentials().map(|(username, password)| format!("{username}:{password}@")).unwrap_or_default();
    let options = Options::new(env!("CARGO_BIN_EXE_larder"))
        .env("LARDER_STORAGE__DURABILITY", "relaxed")
        .env("LARDER_SERVER__PUBLIC_URL", PUBLIC_URL)
        .env("LARDER_MAIL__URL", &format!("smtp://{credentials}localhost:{}", mail.port()))
        .env("LARDER_MAIL__FROM", "Larder <larder@example.org>");
    Server::start(variables.iter().fold(options, |options, (name, value)| options.env(name, value)))
}

/// Calls the management API; `path` starts behind `/api/v1`.
#[track_caller]
fn ask(caller: &Api, method: Method, path: &str, body: &Value) -> Answer {
    let request = caller.request(method, &format!("/api/v1{path}"));
    caller.send(if body.is_null() { request } else { request.json(body) })
}

#[track_caller]
fn post(caller: &Api, path: &str, body: &Value) -> Answer {
    ask(caller, Method::POST, path, body)
}

/// Whether a name and a password let somebody in.
#[track_caller]
fn signs_in(server: &Server, username: &str, password: &str) -> bool {
    let answer = ask(&server.api().as_user(username, password), Method::GET, "/me", &Value::Null);
    assert!([200, 401].contains(&answer.status), "{answer}");
    answer.status == 200
}

/// The code in a letter's link, which leads to this page.
#[track_caller]
fn code(message: &Message, page: &str) -> String {
    let link = message.link();
    let code = link.strip_prefix(&format!("{PUBLIC_URL}{page}?code="));
    code.unwrap_or_else(|| panic!("another link: {link}")).to_owned()
}

fn account(username: &str, email: &str) -> Value {
    json!({ "username": username, "email": email, "password": PASSWORD })
}

#[test]
fn who_signs_up_confirms_the_address() {
    let mail = MailServer::start();
    let server = server(
        &mail,
        &[("LARDER_AUTH__SIGN_UP", "open"), ("LARDER_AUTH__SIGN_UP_DOMAINS", "example.org,example.net")],
    );
    let nobody = server.api().as_nobody();
    let (name, email) = ("ada", "ada@example.org");
    for other in ["ada@evil.example", "ada@example.org.evil.example", "ada@sub.example.org"] {
        post(&nobody, "/auth/sign-up", &account(name, other)).expect(&[403]);
    }
    let answer = post(&nobody, "/auth/sign-up", &account(name, email)).expect(&[202]).json();
    assert_eq!(answer["check_mail"], true, "{answer}");
    let letter = mail.wait_for(email, 1);
    assert_eq!(letter.from, "larder@example.org", "{letter:#?}");
    assert!(letter.text.contains(name), "{letter:#?}");
    assert!(!letter.source.contains(PASSWORD), "the password is in the letter");

    // Nothing counts before it is confirmed.
    assert!(!signs_in(&server, name, PASSWORD));
    let code = code(&letter, "/verify");
    // Who only reads the mail may be somebody else than who signed up.
    let answer = post(&nobody, "/auth/email/verify", &json!({ "code": code })).expect(&[422]).json();
    assert_eq!(answer["field"], "password", "{answer}");
    let stranger = json!({ "code": code, "password": "somebody else's" });
    let answer = post(&nobody, "/auth/email/verify", &stranger).expect(&[403]).json();
    assert_eq!(answer["code"], "wrong_password", "{answer}");
    assert!(!signs_in(&server, name, PASSWORD));
    let confirmation = json!({ "code": code, "password": PASSWORD });
    post(&nobody, "/auth/email/verify", &confirmation).expect(&[204]);
    post(&nobody, "/auth/email/verify", &confirmation).expect(&[403]);
    assert!(signs_in(&server, name, PASSWORD));
    let me = ask(&server.api().as_user(name, PASSWORD), Method::GET, "/me", &Value::Null).json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!(email), &json!(true)), "{me}");
}

#[test]
fn t9_who_signs_up_with_somebodys_address_learns_nothing() {
    let mail = MailServer::start();
    let server = server(&mail, &[("LARDER_AUTH__SIGN_UP", "open")]);
    let nobody = server.api().as_nobody();
    server.api().user_create("grace", &random_word());
    let sign_up = |username: &str, email: &str| {
        let answer = post(&nobody, "/auth/sign-up", &account(username, email));
        (answer.status, answer.body)
    };
    let fresh = sign_up("ada", "ada@example.org");
    assert_eq!(fresh.0, 202);
    assert_eq!(fresh, sign_up("eve", "grace@example.com"));
    assert_eq!(fresh, sign_up("grace", "eve@example.org"));
    // Who reads the mail of the address is told.
    assert!(mail.wait_for("grace@example.com", 1).text.contains("grace"));
    assert!(mail.wait_for("eve@example.org", 1).text.contains("taken"));
    mail.wait_for("ada@example.org", 1);
    for name in ["eve", "ada"] {
        assert!(!signs_in(&server, name, PASSWORD));
    }
    assert!(!signs_in(&server, "grace", PASSWORD));
}

#[test]
fn a_forgotten_password_is_replaced_by_who_gets_the_mail() {
    let mail = MailServer::start_with_password();
    let server = server(&mail, &[]);
    let (admin, nobody) = (server.api(), server.api().as_nobody());
    let old = random_word();
    admin.user_create("ada", &old);
    let forgot = |account: &str| {
        let answer = post(&nobody, "/auth/password/forgot", &json!({ "account": account }));
        (answer.status, answer.body)
    };
    let known = forgot("ada");
    assert_eq!(known.0, 202);
    assert_eq!(known, forgot("nobody"));
    assert_eq!(known, forgot("nobody@example.com"));
    let letter = mail.wait_for("ada@example.com", 1);
    let code = code(&letter, "/reset-password");
    assert!(signs_in(&server, "ada", &old), "asking alone changes nothing");
    let reset = |password: &str| {
        post(&nobody, "/auth/password/reset", &json!({ "code": code, "password": password }))
    };
    reset(PASSWORD).expect(&[204]);
    reset(PASSWORD).expect(&[403]);
    assert!(signs_in(&server, "ada", PASSWORD) && !signs_in(&server, "ada", &old));
    // By the address it works alike, and the letters of strangers were never sent.
    assert_eq!(known, forgot("ADA@example.com"));
    mail.wait_for("ada@example.com", 2);
    assert!(mail.messages().iter().all(|letter| letter.to == ["ada@example.com"]));
    let log = server.log();
    assert!(!log.contains(&code), "the code is logged");
    let (_, password) = mail.credentials().expect("the mail server asks for them");
    assert!(!log.contains(password), "the mail server's password is logged");
}

#[test]
fn an_address_changes_when_mail_arrives_there() {
    let mail = MailServer::start();
    let server = server(&mail, &[]);
    let (admin, nobody) = (server.api(), server.api().as_nobody());
    let password = random_word();
    admin.user_create("ada", &password);
    let ada = admin.as_user("ada", &password);
    let change = |email: &str| ask(&ada, Method::PATCH, "/me", &json!({ "email": email }));
    let me = change("ada@example.net").expect(&[200]).json();
    assert_eq!(me["email"], "ada@example.com", "{me}");
    let code = code(&mail.wait_for("ada@example.net", 1), "/verify");
    post(&nobody, "/auth/email/verify", &json!({ "code": code })).expect(&[204]);
    let me = ask(&ada, Method::GET, "/me", &Value::Null).json();
    assert_eq!((&me["email"], &me["email_verified"]), (&json!("ada@example.net"), &json!(true)), "{me}");
    // No address begins a header of its own.
    for wrong in ["ada@example.net\r\nBcc: eve@example.org", "ada@example.net,eve@example.org"] {
        change(wrong).expect(&[422]);
    }
    assert!(mail.messages().iter().all(|letter| !letter.to.contains(&"eve@example.org".to_owned())));
}

#[test]
fn a_mail_server_that_is_away_holds_up_nobody() {
    let mut mail = MailServer::start();
    let server = server(&mail, &[]);
    server.api().user_create("ada", &random_word());
    mail.stop();
    let begun = std::time::Instant::now();
    let body = json!({ "account": "ada" });
    post(&server.api().as_nobody(), "/auth/password/forgot", &body).expect(&[202]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
}
