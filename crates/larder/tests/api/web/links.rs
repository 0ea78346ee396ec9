//! What links lead to that people are given. Who only opens one, as mail servers do to look for what is bad, does
//! not use it up.

use serde_json::{Value, json};
use testkit::random_word;

use super::{Visitor, encode, hidden, text};
use crate::scene::{Calls as _, Organization, own_server, user_of};

const NOTHING: Value = Value::Null;

#[test]
fn an_administrators_link_sets_a_new_password() {
    let server = own_server(&[]);
    let admin = server.api();
    let user = user_of(&admin);
    let path = format!("/users/{}/password-reset", user.username());
    let made = admin.manage("POST", &path, &NOTHING).expect(&[201]).json();
    let url = made["url"].as_str().expect("a link is text");
    let link = url.strip_prefix(&server.url()).unwrap_or_else(|| panic!("another server: {url}"));
    let mut visitor = Visitor::new(&admin);
    visitor.get(link).expect(&[200]);
    let page = visitor.get(link).expect(&[200]);
    let code = hidden(&page, "code");
    assert_eq!(Some(code.as_str()), made["code"].as_str());
    let new = "correct horse battery";
    let send = |password: &str| {
        let mut visitor = visitor.clone();
        visitor.post("/reset-password", &[("code", &code), ("password", password)])
    };
    // What is not good enough as a password does not use it up.
    let page = send("").expect(&[422]);
    assert_eq!(hidden(&page, "code"), code);
    send(new).expect(&[200]);
    let over = send(new).expect(&[403]);
    assert!(text(&over).contains("/forgot-password"), "{over}");
    Visitor::signed_in(&user.as_user(user.username(), new));
    assert!(!server.log().contains(&code), "the code is logged");
}

#[test]
fn without_mail_the_pages_say_whom_to_ask() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "closed")]);
    let mut visitor = Visitor::new(&server.api());
    let page = visitor.get("/forgot-password").expect(&[200]);
    assert!(text(&page).contains("administrator") && !text(&page).contains("<form"), "{page}");
    visitor.post("/forgot-password", &[("account", "ada")]).expect(&[409]);
    let page = visitor.get("/sign-up").expect(&[200]);
    assert!(text(&page).contains("administrator") && !text(&page).contains("<form"), "{page}");
    let fields = [("username", "ada"), ("email", "ada@example.com"), ("password", "correct horse battery")];
    visitor.post("/sign-up", &fields).expect(&[403]);
    visitor.post("/verify", &[("code", "x")]).expect(&[403]);
}

#[test]
fn who_is_invited_makes_an_account_and_accepts() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "invited")]);
    let admin = server.api();
    let organization = Organization::on(&admin);
    let invite = || {
        let path = format!("/organizations/{}/invitations", organization.name);
        let body = json!({ "email": "new@example.com", "role": "writer" });
        let made = admin.manage("POST", &path, &body).expect(&[201]).json();
        let link = made["link"].as_str().expect("a link is text").to_owned();
        link.strip_prefix(&server.url()).unwrap_or_else(|| panic!("another server: {link}")).to_owned()
    };
    let link = invite();
    let mut visitor = Visitor::new(&admin);
    assert!(!text(&visitor.get("/sign-up").expect(&[200])).contains("<form"));
    visitor.get(&link).expect(&[200]);
    let page = visitor.get(&link).expect(&[200]);
    assert!(text(&page).contains(&organization.name) && text(&page).contains("writer"), "{page}");
    assert!(text(&page).contains("value=\"new@example.com\""), "{page}");
    let secret = hidden(&page, "invitation");
    let (name, password) = (format!("user-{}", random_word()), "correct horse battery");
    let account = |invitation: &str| {
        [
            ("username".to_owned(), name.clone()),
            ("email".to_owned(), "new@example.com".to_owned()),
            ("password".to_owned(), password.to_owned()),
            ("invitation".to_owned(), invitation.to_owned()),
        ]
    };
    let sign_up = |visitor: &mut Visitor, invitation: &str| {
        let account = account(invitation);
        let fields: Vec<(&str, &str)> =
            account.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        visitor.post("/sign-up", &fields)
    };
    sign_up(&mut visitor, &random_word()).expect(&[403]);
    let page = sign_up(&mut visitor, &secret).expect(&[200]);
    assert_eq!(hidden(&page, "return_to"), link);
    let answer = visitor.sign_in(&name, password, &[("return_to", &link)]).expect(&[303]);
    assert_eq!(answer.header("location"), Some(link.as_str()), "{answer}");
    let page = visitor.get(&link).expect(&[200]);
    assert!(text(&page).contains("Accept") && text(&page).contains(&name), "{page}");
    // Not before the button.
    assert!(!text(&visitor.get("/account").expect(&[200])).contains(&organization.name));
    let page = visitor.send("/invitations", &[("secret", &secret)]).expect(&[200]);
    assert!(text(&page).contains(&organization.name), "{page}");
    assert!(text(&visitor.get("/account").expect(&[200])).contains(&organization.name));
    let user = admin.as_user(&name, password);
    user.blob_push(&organization.repository("app"), b"content");

    visitor.send("/invitations", &[("secret", &secret)]).expect(&[404]);
    visitor.get(&link).expect(&[404]);
    assert!(!server.log().contains(&secret), "the invitation is logged");
    for wrong in ["x", "..", "%2e%2e", "%00", &encode("<script>"), &"x".repeat(2000)] {
        let answer = visitor.get(&format!("/invitations/{wrong}"));
        assert!((400..500).contains(&answer.status) || answer.status == 303, "{answer}");
    }
}
