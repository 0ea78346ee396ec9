//! Passwords of a provider where there is no browser (RFC 6749 §4.3). Nobody gets that without asking for it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::scene::{Company, disable, give, manage, organization, push, usernames};

#[test]
fn a_password_of_the_provider_works_without_a_browser_and_is_asked_about_once() {
    let mut company = Company::with(&[("password_grant", "oauth2")]);
    let ada = company.person("ada", &["dev"]);
    let organization = organization(&company.server);
    give(&company.server, &organization, "dev", "writer");
    let caller = company.server.api().as_user("ada", ada.password());
    for _ in 0..10 {
        caller.get("/v2/").expect(&[200]);
        caller.get("/token?service=larder").expect(&[200]);
    }
    company.expect_exchanges(1);
    assert_eq!(push(&caller, &organization), 202);
    let me = manage(&caller, Method::GET, "/me", &Value::Null).expect(&[200]).json();
    assert_eq!((&me["username"], &me["email"]), (&json!("ada"), &json!("ada@example.com")), "{me}");
    // With a browser it is the same person.
    assert_eq!(company.signed_in(&ada).me()["username"], "ada");
    assert_eq!(usernames(&company.server), ["ada"]);
    assert!(!company.server.log().contains(ada.password()));

    disable(&company.server, "ada", true);
    manage(&caller, Method::GET, "/me", &Value::Null).expect(&[401]);
}

#[test]
fn t9_wrong_passwords_of_the_provider_tell_nothing() {
    let mut company = Company::with(&[("password_grant", "oauth2")]);
    let ada = company.person("ada", &[]);
    let answers = [("ada", "guessed"), ("nobody", ada.password())].map(|(username, password)| {
        let caller = company.server.api().as_user(username, password);
        let mut answer = manage(&caller, Method::GET, "/me", &Value::Null).expect(&[401]).json();
        answer["request_id"] = Value::Null;
        answer
    });
    assert_eq!(answers[0], answers[1]);
    assert!(usernames(&company.server).is_empty());
}

#[test]
fn unless_it_is_switched_on_no_password_goes_to_the_provider() {
    let mut company = Company::new();
    let ada = company.person("ada", &[]);
    let caller = company.server.api().as_user("ada", ada.password());
    manage(&caller, Method::GET, "/me", &Value::Null).expect(&[401]);
    company.expect_exchanges(0);
}
