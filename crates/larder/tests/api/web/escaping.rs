//! What somebody wrote is text on every page.

use testkit::{Role, random_word};

use super::{Visitor, encode, text};
use crate::scene::{Calls as _, Organization, own_server, user_of};

/// What ends a tag, an attribute, a comment or a title, and begins something of its own.
const HOSTILE: &str = "</title>\"'><script>alert(1)</script><img src=x onerror=alert(2)>";

#[track_caller]
fn is_harmless(page: &str, what: &str) {
    assert!(!page.contains("<script") && !page.contains("<img"), "{what} is markup: {page}");
    assert!(page.contains("&lt;script&gt;"), "{what} is not shown at all: {page}");
}

#[test]
fn hostile_names_of_tokens_browsers_and_addresses_are_text() {
    let server = own_server(&[]);
    let admin = server.api();
    let (name, password) = (format!("user-{}", random_word()), random_word());
    let email = "o'neil&co@example.com";
    let body = serde_json::json!({ "username": name, "email": email, "password": password });
    admin.manage("POST", "/users", &body).expect(&[201]);
    let mut visitor = Visitor::signed_in(&admin.as_user(&name, &password));
    let page = text(&visitor.get("/account").expect(&[200]));
    assert!(page.contains("o&#x27;neil&amp;co@example.com") && !page.contains(email), "{page}");

    let user = user_of(&admin);
    let mut visitor = Visitor::signed_in(&user);
    let made = visitor.send("/account/tokens", &[("name", HOSTILE), ("life", "30")]).expect(&[201]);
    is_harmless(&text(&made), "a new token's name");
    let page = visitor.get("/account").expect(&[200]);
    is_harmless(&text(&page), "a token's name");

    // A browser calls itself what it likes.
    let user = user_of(&admin);
    let agent = [("user-agent", HOSTILE), ("origin", admin.url())];
    let fields = [("username", user.username()), ("password", user.password())];
    Visitor::new(&user).post_from("/sign-in", &agent, &fields).expect(&[303]);
    let page = Visitor::signed_in(&user).get("/account").expect(&[200]);
    is_harmless(&text(&page), "a browser's name");
}

#[test]
fn what_a_form_or_an_address_brings_is_text() {
    let server = own_server(&[("LARDER_AUTH__SIGN_UP", "open")]);
    let admin = server.api();
    let mut visitor = Visitor::new(&admin);
    is_harmless(&text(&visitor.sign_in(HOSTILE, "x", &[]).expect(&[401])), "a user name");
    let fields = [("username", HOSTILE), ("email", HOSTILE), ("password", "x"), ("invitation", HOSTILE)];
    is_harmless(&text(&visitor.post("/sign-up", &fields).expect(&[422])), "a sign-up");
    for path in ["/verify", "/reset-password"] {
        let page = visitor.get(&format!("{path}?code={}", encode(HOSTILE))).expect(&[200]);
        is_harmless(&text(&page), path);
    }
    // A word that is none of ours is not shown at all.
    for path in ["/sign-in?problem=", "/sign-in?return_to=", "/invitations/", "/nothing/"] {
        let page = text(&visitor.get(&format!("{path}{}", encode(HOSTILE))));
        assert!(!page.contains("script"), "{path}: {page}");
    }
    let page = text(&Visitor::signed_in(&user_of(&admin)).get(&format!("/account?done={}", encode(HOSTILE))));
    assert!(!page.contains("alert("), "{page}");
}

#[test]
fn names_that_look_like_something_else_stay_within_their_cell() {
    let server = own_server(&[]);
    let admin = server.api();
    let organization = Organization::on(&admin);
    let user = organization.member(Role::Viewer);
    let mut visitor = Visitor::signed_in(&user);
    let backwards = "safe\u{202e}gnirts";
    visitor.send("/account/tokens", &[("name", backwards), ("life", "7")]).expect(&[201]);
    let page = text(&visitor.get("/account").expect(&[200]));
    assert!(page.contains(&format!("<bdi>{backwards}</bdi>")), "{page}");
    assert!(page.contains(&format!("<li>{}</li>", organization.name)), "{page}");
}
