//! Signing in with a company's provider, and what follows from what it says about people.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::oidc::User;

use crate::scene::{
    Browser, Company, PUBLIC_URL, disable, expect_in, expect_out, give, manage, organization, parameter,
    push, usernames,
};

#[test]
fn the_first_sign_in_makes_a_user_and_the_second_finds_it() {
    let mut company = Company::new();
    let ada = company.person("ada", &[]);
    let mut browser = Browser::new(&company.server);
    let url = browser.set_out("return_to=/account%3Ftab%3Dtokens");
    assert!(url.starts_with(&format!("{}/", company.provider.issuer())), "{url}");
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    let back = browser.at_provider(&url, &ada);
    let page = browser.get(&back);
    expect_in(&page, "/account?tab=tokens");
    let me = browser.me();
    assert_eq!((&me["username"], &me["kind"]), (&json!("ada"), &json!("person")), "{me}");
    assert_eq!((&me["email"], &me["email_verified"]), (&json!("ada@example.com"), &json!(true)), "{me}");
    assert_eq!(me["system_admin"], false, "{me}");
    let sessions = browser.ask(Method::GET, "/me/sessions", &Value::Null).expect(200).json();
    assert_eq!(sessions["items"][0]["provider"], "company", "{sessions}");
    // With a token of theirs, programs work at once.
    let program = browser.token(&company.server);
    program.get("/v2/").expect(&[200]);

    // Who calls herself something else is the same person.
    let renamed = ada.clone().claim("preferred_username", "countess").email("countess@example.com");
    company.provider.put_user(&renamed);
    assert_eq!(company.signed_in(&renamed).me()["username"], "ada");
    assert_eq!(usernames(&company.server), ["ada"]);
    let identities = browser.ask(Method::GET, "/me/identities", &Value::Null).expect(200).json();
    let [identity] = identities["items"].as_array().expect("a list").as_slice() else {
        panic!("{identities}")
    };
    assert_eq!(identity["issuer"], company.provider.issuer(), "{identity}");
    assert_eq!(identity["subject"], ada.subject(), "{identity}");
    assert_eq!(identity["email"], "countess@example.com", "{identity}");
}

/// Nobody becomes somebody else by what they call themselves.
#[test]
fn t18_a_name_or_an_address_of_another_is_no_way_to_their_account() {
    let mut company = Company::new();
    let local = company.server.api();
    local.user_create("grace", "a password of her own");
    for (name, expected) in [("grace", "grace-2"), ("admin", "admin-2"), ("oidc", "oidc-2")] {
        let user = User::new(name).email("grace@example.com");
        company.provider.put_user(&user);
        let me = company.signed_in(&user).me();
        assert_eq!((&me["username"], &me["system_admin"]), (&json!(expected), &json!(false)), "{me}");
    }
    let grace = local.as_user("grace", "a password of her own");
    assert_eq!(manage(&grace, Method::GET, "/me", &Value::Null).expect(&[200]).json()["username"], "grace");
}

#[test]
fn t16_a_role_follows_the_groups_of_the_last_sign_in_and_the_roles_of_now() {
    let mut company = Company::new();
    let ada = company.person("ada", &["dev"]);
    let organization = organization(&company.server);
    let role = give(&company.server, &organization, "dev", "writer");
    let mut browser = company.signed_in(&ada);
    let program = browser.token(&company.server);
    assert_eq!(push(&program, &organization), 202);

    // A role that changes counts for the next request, without anybody signing in again.
    let admin = company.server.api();
    manage(&admin, Method::PATCH, &role, &json!({ "role": "viewer" })).expect(&[200]);
    assert_eq!(push(&program, &organization), 403);
    manage(&admin, Method::PATCH, &role, &json!({ "role": "writer" })).expect(&[200]);
    assert_eq!(push(&program, &organization), 202);
    give(&company.server, &organization, "ops", "viewer");

    // Who moves to another group has its role, and not the old one, from the next sign-in on.
    company.person("ada", &[]);
    let ada = ada.groups(&["ops"]);
    company.provider.put_user(&ada);
    assert_eq!(push(&program, &organization), 202);
    company.signed_in(&ada);
    assert_eq!(push(&program, &organization), 403);
    let ada = ada.groups(&[]);
    company.provider.put_user(&ada);
    company.signed_in(&ada);
    let status = push(&program, &organization);
    assert!([403, 404].contains(&status), "{status}");
}

#[test]
fn only_whom_the_settings_name_comes_in() {
    let mut company =
        Company::with(&[("allowed_groups", "dev,ops"), ("allowed_domains", "example.com,Example.NET")]);
    let person = |email: &str, groups: &[&str]| User::new("ada").email(email).groups(groups);
    for (is_allowed, user) in [
        (true, person("ada@example.com", &["dev", "everybody"])),
        (true, person("ada@EXAMPLE.net", &["ops"])),
        (false, person("ada@example.com", &["everybody"])),
        (false, person("ada@example.com", &["Dev"])),
        (false, person("ada@example.com", &[])),
        (false, person("ada@sub.example.com", &["dev"])),
        (false, person("ada@example.com.evil.example", &["dev"])),
        (false, person("ada@example.com", &["dev"]).claim("email_verified", false)),
        (false, User::new("ada").groups(&["dev"])),
    ] {
        company.provider.put_user(&user);
        let mut browser = Browser::new(&company.server);
        let page = browser.sign_in(&user);
        if is_allowed {
            expect_in(&page, "/account");
        } else {
            expect_out(&mut browser, &page, "provider-not-allowed");
        }
    }
    assert_eq!(usernames(&company.server), ["ada", "ada-2"], "who is refused becomes no user");
}

#[test]
fn who_left_the_group_that_may_come_in_stays_outside() {
    let mut company = Company::with(&[("allowed_groups", "staff")]);
    let ada = company.person("ada", &["staff"]);
    company.signed_in(&ada);
    let ada = ada.groups(&["alumni"]);
    company.provider.put_user(&ada);
    company.refused(&ada, "provider-not-allowed");
}

#[test]
fn where_nobody_new_is_taken_only_who_is_known_comes_in() {
    let mut company = Company::with(&[("create_users", "false")]);
    let ada = company.person("ada", &[]);
    company.refused(&ada, "provider-not-allowed");
    assert!(usernames(&company.server).is_empty());
}

#[test]
fn a_first_sign_in_may_come_with_an_organization() {
    let mut company = Company::with(&[("LARDER_AUTH__STARTING_ORGANIZATION", "true")]);
    let ada = company.person("ada", &[]);
    let mut browser = company.signed_in(&ada);
    let list = browser.ask(Method::GET, "/organizations", &Value::Null).expect(200).json();
    let [own] = list["items"].as_array().expect("a list").as_slice() else { panic!("{list}") };
    assert_eq!(own["name"], "ada", "{own}");
    let mut again = company.signed_in(&ada);
    let list = again.ask(Method::GET, "/organizations", &Value::Null).expect(200).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
}

#[test]
fn t16_who_is_disabled_here_is_out_whatever_the_provider_says() {
    let mut company = Company::new();
    let ada = company.person("ada", &[]);
    let mut browser = company.signed_in(&ada);
    let program = browser.token(&company.server);
    disable(&company.server, "ada", true);
    assert!(!browser.is_signed_in());
    assert_eq!(manage(&program, Method::GET, "/me", &Value::Null).status, 401);
    company.refused(&ada, "provider-not-allowed");
    disable(&company.server, "ada", false);
    assert!(!browser.is_signed_in(), "a session that was ended is back");
    company.signed_in(&ada);
}

#[test]
fn who_signs_out_is_shown_the_way_out_of_the_provider_too() {
    let mut company = Company::new();
    let ada = company.person("ada", &[]);
    let mut browser = company.signed_in(&ada);
    let answer = browser.ask(Method::POST, "/auth/sign-out", &Value::Null).expect(200).json();
    assert!(!browser.is_signed_in());
    let url = answer["provider_sign_out_url"].as_str().expect("an address").to_owned();
    assert!(url.starts_with(&format!("{}/session/end?", company.provider.issuer())), "{url}");
    assert_eq!(parameter(&url, "client_id"), "larder");
    assert_eq!(parameter(&url, "post_logout_redirect_uri"), format!("{PUBLIC_URL}/sign-in"));
    // The provider knows the address, so it asks instead of refusing.
    let page = browser.get(&url).expect(200);
    assert!(page.body.contains("id=\"sign-out\""), "{page:?}");
}

#[test]
fn while_the_provider_is_away_everything_else_goes_on() {
    let mut company = Company::with(&[("LARDER_AUTH__ISSUER_REFRESH_INTERVAL", "1s")]);
    let ada = company.person("ada", &[]);
    let mut browser = company.signed_in(&ada);
    let program = browser.token(&company.server);
    let mut half_way = Browser::new(&company.server);
    let url = half_way.set_out("return_to=/account");
    let back = half_way.at_provider(&url, &ada);
    company.provider.stop();

    let page = half_way.get(&back);
    expect_out(&mut half_way, &page, "provider-failed");
    assert_eq!(browser.me()["username"], "ada");
    program.get("/v2/").expect(&[200]);
    let page = Browser::new(&company.server).sign_in_here("admin", company.server.admin_password());
    assert_eq!(page.status, 200, "{page:?}");
    // Signing out does not wait for it.
    browser.ask(Method::POST, "/auth/sign-out", &Value::Null).expect(200);

    company.provider.start_again();
    company.signed_in(&ada);
    // New keys count as soon as something is signed with them, but for the interval in which nobody asks twice.
    company.provider.rotate_keys();
    std::thread::sleep(Duration::from_secs(1));
    company.signed_in(&ada);
}
