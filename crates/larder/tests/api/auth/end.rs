//! When tokens end: by time, with the password, with the user; and those that never were any.

use std::time::Duration;

use ::auth::{Auth, Settings};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::Clock;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use testkit::{Api, Role, Server, random_word, run};

use super::challenge;
use crate::scene::{Calls as _, Organization, admin, expect_error, outsider, own_server, server, user_of};

/// Asserts that a token is refused as no longer or never valid.
#[track_caller]
fn check_invalid(server: &Api, token: &str) {
    let answer = server.as_bearer(token).ask("GET", "/v2/");
    assert!(challenge(&answer).ends_with(",error=\"invalid_token\""), "{answer}");
    expect_error(answer, 401, "UNAUTHORIZED");
}

/// A token that the server itself would have issued some time ago.
fn issued_before(server: &Server, user: &Api, age: Duration) -> String {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can start");
    runtime.block_on(async {
        let options = db::Options {
            location: db::Location::Sqlite(server.data_directory().join("larder.db")),
            durability: db::Durability::Relaxed,
        };
        let database = db::Db::open(options).await.expect("the database can be opened beside the server");
        let then = Clock::manual(Clock::system().now() - age);
        // The server's keys are sealed with the one that lies beside its database.
        let sealing_key = std::fs::read_to_string(server.data_directory().join("sealing.key"));
        let sealing_key = sealing_key.expect("the server has a key").trim().to_owned();
        let settings = Settings { sealing_key: Some(sealing_key.into()), ..Settings::default() };
        let auth = Auth::open(database, then, settings).await.expect("the keys can be read");
        let password = SecretString::from(user.password());
        let origin = std::net::Ipv4Addr::LOCALHOST.into();
        let identity =
            auth.identify_basic(user.username(), &password, origin).await.expect("the password is right");
        auth.access_token(&identity, Vec::new()).token.expose_secret().to_owned()
    })
}

#[test]
fn a_token_ends_with_its_time() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let fresh = issued_before(&server, &user, Duration::from_mins(1));
    user.as_bearer(&fresh).ask("GET", "/v2/").expect(&[200]);
    let expired = issued_before(&server, &user, Duration::from_mins(10));
    check_invalid(&user, &expired);
    let message = expect_error(user.as_bearer(&expired).ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    assert!(message.contains("expired"), "{message}");
    expect_error(user.as_bearer(&expired).ask("GET", "/token?service=larder"), 401, "UNAUTHORIZED");
}

#[test]
fn a_token_of_another_server_is_none_here() {
    let other = own_server(&[]);
    // The same names on both.
    let token = other.api().token(&["registry:catalog:*"]);
    other.api().as_bearer(&token).ask("GET", "/v2/_catalog").expect(&[200]);
    check_invalid(admin(), &token);
    let personal = other.api().token_create("test");
    check_invalid(admin(), personal["token"].as_str().expect("a token is shown once"));
}

#[test]
fn a_token_that_was_changed_is_none() {
    let user = outsider();
    let token = user.token(&["registry:catalog:*"]);
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("a token has three parts") };
    let decode =
        |text: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap() };
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |text: &str, field: &str, value: Value| {
        let mut changed = decode(text);
        changed[field] = value;
        encode(&changed)
    };
    for changed in [
        format!("{header}.{}.{signature}", with(claims, "sub", "admin".into())),
        format!("{header}.{}.{signature}", with(claims, "uid", 1.into())),
        format!("{header}.{}.{signature}", with(claims, "exp", 99_999_999_999_i64.into())),
        format!("{}.{claims}.{signature}", with(header, "alg", "none".into())),
        format!("{}.{claims}.", with(header, "alg", "none".into())),
        format!("{}.{claims}.{signature}", with(header, "alg", "HS512".into())),
        format!("{}.{claims}.{signature}", with(header, "kid", random_word().into())),
        format!("{}.{claims}.{signature}", with(header, "typ", "JWT".into())),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{}", signature.chars().rev().collect::<String>()),
    ] {
        check_invalid(admin(), &changed);
    }
    user.as_bearer(&token).ask("GET", "/v2/").expect(&[200]);
}

#[test]
fn a_changed_password_ends_what_came_from_the_old_one_at_once() {
    let server = own_server(&[]);
    let organization = Organization::on(&server.api());
    let repository = organization.repository("app");
    let writer = organization.member(Role::Writer);
    let pull = format!("/v2/{repository}/tags/list");
    writer.blob_push(&repository, b"content");
    let access = writer.as_bearer(&writer.token(&[&format!("repository:{repository}:pull")]));
    access.ask("GET", &pull).expect(&[200]);
    let personal = writer.token_create("test");
    let personal = writer.as_bearer(personal["token"].as_str().expect("a token is shown once"));
    let answer = writer.ask("GET", "/token?service=larder&offline_token=true").expect(&[200]);
    let refresh = answer.json()["refresh_token"].as_str().expect("it was asked for").to_owned();
    let bystander = organization.member(Role::Viewer);
    let other_access = bystander.as_bearer(&bystander.token(&[&format!("repository:{repository}:pull")]));
    other_access.ask("GET", &pull).expect(&[200]);

    let output = run(&mut server.command(&["admin", "reset-password", writer.username()])).success();
    let password = output.stdout.trim().rsplit(' ').next().expect("the new password is printed").to_owned();

    expect_error(writer.ask("GET", &pull), 401, "UNAUTHORIZED");
    let answer = access.ask("GET", &pull);
    assert!(challenge(&answer).contains("error=\"invalid_token\""), "{answer}");
    let form = format!("grant_type=refresh_token&refresh_token={refresh}&service=larder&client_id=test");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    expect_error(writer.as_nobody().call("POST", "/token", &headers, form), 401, "UNAUTHORIZED");

    // The new one is good; so is what was made to be independent of it, and what others have.
    writer.as_user(writer.username(), &password).ask("GET", &pull).expect(&[200]);
    personal.ask("GET", &pull).expect(&[200]);
    other_access.ask("GET", &pull).expect(&[200]);
    bystander.ask("GET", &pull).expect(&[200]);
}

#[test]
fn with_a_user_everything_of_the_user_ends() {
    let user = outsider();
    let personal = user.token_create("test");
    let callers = [
        user.clone(),
        user.as_bearer(&user.token(&[])),
        user.as_bearer(personal["token"].as_str().expect("a token is shown once")),
    ];
    for caller in &callers {
        caller.ask("GET", "/v2/").expect(&[200]);
    }
    server().api().user_delete(user.username());
    // The password last: it is the one that counts as a failure to sign in.
    for caller in callers.iter().rev() {
        expect_error(caller.ask("GET", "/v2/"), 401, "UNAUTHORIZED");
    }
}
