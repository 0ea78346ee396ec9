//! Linking an account of the company's provider to a user who is there already, and unlinking it.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::oidc::User;
use url::form_urlencoded::byte_serialize;

use crate::scene::{Browser, Company, expect_in, usernames};

const PASSWORD: &str = "correct horse battery";

/// A browser in which a user of the server's own signed in.
#[track_caller]
fn local(company: &Company, username: &str) -> Browser {
    company.server.api().user_create(username, PASSWORD);
    let mut browser = Browser::new(&company.server);
    browser.sign_in_here(username, PASSWORD).expect(200);
    browser
}

/// Sets out to link, and comes back as this person.
#[track_caller]
fn link(browser: &mut Browser, user: &User) -> crate::scene::Page {
    let more = format!("return_to=/account&link=true&csrf={}", browser.csrf());
    let url = browser.set_out(&more);
    let back = browser.at_provider(&url, user);
    let before = browser.clone();
    let page = browser.get(&back);
    // What was linked is linked to another secret than the one that went out, and the word of its pages with it.
    let is_linked = page.location().is_some_and(|location| location.ends_with("/account"));
    assert_eq!(before.clone().is_signed_in(), !is_linked, "{page:?}");
    browser.me();
    page
}

#[track_caller]
fn identities(browser: &mut Browser) -> Vec<Value> {
    let list = browser.ask(Method::GET, "/me/identities", &Value::Null).expect(200).json();
    list["items"].as_array().expect("a list").clone()
}

/// The path of one identity.
fn path(company: &Company, user: &User) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let (issuer, subject) = (encode(&company.provider.issuer()), encode(user.subject()));
    format!("/me/identities?issuer={issuer}&subject={subject}")
}

#[test]
fn an_account_is_linked_and_unlinked() {
    let mut company = Company::new();
    let ada = company.person("countess", &[]);
    let mut browser = local(&company, "ada");
    assert!(identities(&mut browser).is_empty());
    let page = link(&mut browser, &ada);
    expect_in(&page, "/account");
    let linked = identities(&mut browser);
    assert_eq!((linked.len(), &linked[0]["subject"]), (1, &json!(ada.subject())), "{linked:?}");
    // Either way leads to the same user, and linking again changes nothing.
    assert_eq!(company.signed_in(&ada).me()["username"], "ada");
    expect_in(&link(&mut browser, &ada), "/account");
    assert_eq!(identities(&mut browser).len(), 1);
    assert_eq!(usernames(&company.server), ["ada"]);

    browser.ask(Method::DELETE, &path(&company, &ada), &Value::Null).expect(204);
    browser.ask(Method::DELETE, &path(&company, &ada), &Value::Null).expect(404);
    assert!(identities(&mut browser).is_empty());
    assert_eq!(company.signed_in(&ada).me()["username"], "countess");
    Browser::new(&company.server).sign_in_here("ada", PASSWORD).expect(200);
}

#[test]
fn the_last_way_in_stays() {
    let mut company = Company::new();
    let ada = company.person("ada", &[]);
    let mut browser = company.signed_in(&ada);
    let page = browser.ask(Method::DELETE, &path(&company, &ada), &Value::Null);
    assert!(page.clone().expect(422).body.contains("last way to sign in"), "{page:?}");
    company.signed_in(&ada);
}

#[test]
fn t12_an_account_is_linked_to_whoever_asked_and_to_nobody_else() {
    let mut company = Company::new();
    let (ada, eve) = (company.person("ada", &[]), company.person("eve", &[]));
    // It has a user already.
    company.signed_in(&eve);
    let mut grace = local(&company, "grace");
    let page = link(&mut grace, &eve);
    expect_in(&page, "/sign-in?problem=provider-linked-elsewhere");
    assert!(identities(&mut grace).is_empty());

    // Somebody else is signed in when the browser comes back.
    let more = format!("return_to=/account&link=true&csrf={}", grace.csrf());
    let url = grace.set_out(&more);
    let back = grace.at_provider(&url, &ada);
    company.server.api().user_create("mallory", PASSWORD);
    grace.sign_in_here("mallory", PASSWORD).expect(200);
    let page = grace.get(&back);
    expect_in(&page, "/sign-in?problem=provider-state");
    assert!(identities(&mut grace).is_empty());
    assert_eq!(company.signed_in(&ada).me()["username"], "ada");

    // Nobody takes away what is another one's.
    let page = grace.ask(Method::DELETE, &path(&company, &ada), &Value::Null);
    assert_eq!(page.status, 404, "{page:?}");
    company.signed_in(&ada);
}

#[test]
fn t23_only_a_page_of_ours_begins_to_link() {
    let mut company = Company::new();
    company.person("ada", &[]);
    let mut browser = local(&company, "grace");
    let start = |more: &str| {
        format!("{}/api/v1/auth/providers/company/start?link=true{more}", crate::scene::PUBLIC_URL)
    };
    for more in ["", "&csrf=", "&csrf=guessed"] {
        let page = browser.get(&start(more));
        assert_eq!(page.status, 403, "{more}: {page:?}");
        assert!(page.location().is_none(), "{page:?}");
    }
    let page = Browser::new(&company.server).get(&start(""));
    assert!([303, 401].contains(&page.status), "{page:?}");
    assert!(page.location().is_none_or(|location| !location.starts_with(&company.provider.issuer())));
}
