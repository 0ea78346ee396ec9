//! Where somebody is sent after signing in.

use super::{Visitor, encode, hidden};
use crate::scene::{own_server, user_of};

/// Texts that browsers take for another site, or that would begin a header of their own.
const ELSEWHERE: [&str; 12] = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "/%2fevil.example",
    "/%5cevil.example",
    "/%09/evil.example",
    "/\r\nLocation: https://evil.example",
    "account",
    "/@evil.example",
];

#[test]
fn t24_nobody_is_sent_to_another_site() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut somebody = Visitor::signed_in(&user);
    for text in ELSEWHERE {
        let path = format!("/sign-in?return_to={}", encode(text));
        let page = Visitor::new(&user).get(&path).expect(&[200]);
        assert_eq!(hidden(&page, "return_to"), "/account", "{text}");
        let answer = somebody.get(&path).expect(&[303]);
        assert_eq!(answer.header("location"), Some("/account"), "{text}: {answer}");
        let mut visitor = Visitor::new(&user);
        let answer = visitor.sign_in(user.username(), user.password(), &[("return_to", text)]);
        assert_eq!(answer.expect(&[303]).header("location"), Some("/account"), "{text}");
    }
    let page = Visitor::new(&user).get("/sign-in?return_to=/invitations/abc").expect(&[200]);
    assert_eq!(hidden(&page, "return_to"), "/invitations/abc");
    let mut visitor = Visitor::new(&user);
    let answer = visitor.sign_in(user.username(), user.password(), &[("return_to", "/invitations/abc")]);
    assert_eq!(answer.expect(&[303]).header("location"), Some("/invitations/abc"));
}

#[test]
fn the_first_page_leads_to_the_account_or_to_signing_in() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    for (mut visitor, place) in [(Visitor::new(&user), "/sign-in"), (Visitor::signed_in(&user), "/account")] {
        let answer = visitor.get("/").expect(&[303]);
        assert_eq!(answer.header("location"), Some(place), "{answer}");
    }
}
