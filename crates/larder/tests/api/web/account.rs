//! One's own account: tokens, sessions, password and second factor.

use testkit::{Api, Role};

use super::{Visitor, between, hidden, text};
use crate::accounts::second_factor::code;
use crate::scene::{Calls as _, Organization, own_server, user_of};

/// Whether a token, given as the password, opens the registry.
fn opens(user: &Api, token: &str) -> bool {
    match user.as_user(user.username(), token).ask("GET", "/v2/").status {
        200 => true,
        401 => false,
        other => panic!("neither in nor out: {other}"),
    }
}

#[test]
fn who_signs_in_makes_a_token_that_the_registry_takes() {
    let server = own_server(&[]);
    let organization = Organization::on(&server.api());
    let user = organization.member(Role::Writer);
    let mut visitor = Visitor::signed_in(&user);
    let page = visitor.get("/account").expect(&[200]);
    assert_eq!(between(&page, "id=\"me\">", "<"), user.username());
    assert!(text(&page).contains(&organization.name), "{page}");

    let made = visitor.send("/account/tokens", &[("name", "laptop"), ("life", "30")]).expect(&[201]);
    let token = between(&made, "<pre id=\"token\" tabindex=\"0\">", "</pre>");
    assert!(token.starts_with("lrd_pat_"), "{made}");
    assert!(opens(&user, &token));
    user.as_user(user.username(), &token).blob_push(&organization.repository("app"), b"content");
    // The lines are for this host and this user, and hold no token.
    let lines = between(&made, "<pre id=\"lines\" tabindex=\"0\">", "</pre>");
    let (host, name) = (server.host(), user.username());
    let index = format!("{}/api/v1/{}/main/python", server.url(), organization.name);
    for line in [
        format!("docker login {host} --username {name} --password-stdin"),
        format!("helm registry login {host} --plain-http --username {name}"),
        format!("oras login {host} --plain-http --username {name}"),
        format!("twine upload --repository-url {index} --username __token__"),
        format!("uv publish --publish-url {index} --token"),
        format!("__token__:$TOKEN@{host}/api/v1/{}/main/python/simple/", organization.name),
    ] {
        assert!(lines.contains(&line), "{line} is missing: {lines}");
    }
    assert_eq!(text(&made).matches(&token).count(), 1, "{made}");

    let page = visitor.get("/account").expect(&[200]);
    assert!(text(&page).contains("laptop") && !text(&page).contains(&token), "{page}");
    let id = hidden(&page, "token");
    // Somebody else's token is not there.
    let mut other = Visitor::signed_in(&user_of(&server.api()));
    other.send("/account/tokens/revoke", &[("token", &id)]).expect(&[404]);
    assert!(opens(&user, &token));
    let answer = visitor.send("/account/tokens/revoke", &[("token", &id)]).expect(&[303]);
    assert_eq!(answer.header("location"), Some("/account?done=token-revoked"), "{answer}");
    assert!(!opens(&user, &token));
    assert!(!server.log().contains(&token), "the token is logged");
    for (name, life) in [("", "7"), ("x", ""), ("x", "forever"), ("two\nlines", "7"), ("x", "-1")] {
        visitor.send("/account/tokens", &[("name", name), ("life", life)]).expect(&[422]);
    }
}

#[test]
fn a_wrong_password_lets_nobody_in_and_says_what_to_do() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let mut visitor = Visitor::new(&user);
    let known = visitor.sign_in(user.username(), "wrong", &[]).expect(&[401]);
    assert!(known.header("www-authenticate").is_some_and(|scheme| !scheme.contains("Basic")), "{known}");
    assert!(known.header("ratelimit-policy").is_some() && visitor.cookies.is_empty(), "{known}");
    assert!(text(&known).contains("role=\"alert\""), "{known}");
    assert_eq!(between(&known, "name=\"username\" value=\"", "\""), user.username());
    assert!(!text(&known).contains("value=\"wrong\""), "the password comes back: {known}");
    let unknown = visitor.sign_in("nobody-here", "wrong", &[]).expect(&[401]);
    let told = |answer: &testkit::Answer| between(answer, "role=\"alert\">", "<");
    assert_eq!(told(&known), told(&unknown));
    // A token is for programs.
    let token = user.token_create("script")["token"].as_str().expect("a token is text").to_owned();
    visitor.sign_in(user.username(), &token, &[]).expect(&[401]);
}

#[test]
fn sessions_are_seen_and_ended() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let (mut one, two, three) =
        (Visitor::signed_in(&user), Visitor::signed_in(&user), Visitor::signed_in(&user));
    let page = one.get("/account").expect(&[200]);
    assert_eq!(text(&page).matches("action=\"/account/sessions/end\"").count(), 2, "{page}");
    let id = hidden(&page, "session");
    one.send("/account/sessions/end", &[("session", &id)]).expect(&[303]);
    assert_ne!(two.is_signed_in(), three.is_signed_in(), "one of the two is ended");
    one.send("/account/sessions/end-others", &[]).expect(&[303]);
    assert!(one.is_signed_in() && !two.is_signed_in() && !three.is_signed_in());
}

#[test]
fn a_new_password_ends_the_other_sessions() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let (mut one, two) = (Visitor::signed_in(&user), Visitor::signed_in(&user));
    let new = "correct horse battery";
    let wrong = [("current_password", "wrong"), ("new_password", new)];
    one.send("/account/password", &wrong).expect(&[403]);
    // Without the present one it is not changed either.
    one.send("/account/password", &[("new_password", new)]).expect(&[403]);
    let fields = [("current_password", user.password()), ("new_password", new)];
    let before = one.cookie().to_owned();
    let answer = one.send("/account/password", &fields).expect(&[303]);
    assert_eq!(answer.header("location"), Some("/account?done=password"), "{answer}");
    assert_ne!(one.cookie(), before);
    assert!(one.is_signed_in() && !two.is_signed_in());
    Visitor::signed_in(&user.as_user(user.username(), new));
}

#[test]
fn the_second_factor_is_set_up_on_the_page_and_asked_for() {
    let server = own_server(&[]);
    let user = user_of(&server.api());
    let (mut visitor, other) = (Visitor::signed_in(&user), Visitor::signed_in(&user));
    let page = visitor.send("/account/second-factor", &[]).expect(&[200]);
    let secret = between(&page, "<code id=\"secret\">", "<");
    assert!(between(&page, "<code id=\"secret-url\">", "<").starts_with("otpauth://totp/"), "{page}");
    visitor.send("/account/second-factor/confirm", &[("code", "000000")]).expect(&[403]);
    assert!(other.is_signed_in());
    // People type it as they read it.
    let spaced = code(&secret, 0);
    let spaced = format!(" {} {}", &spaced[..3], &spaced[3..]);
    let page = visitor.send("/account/second-factor/confirm", &[("code", &spaced)]).expect(&[200]);
    let codes: Vec<String> = text(&page)
        .split("<li><code>")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(codes.len(), 10, "{page}");
    assert!(visitor.is_signed_in() && !other.is_signed_in());

    let mut again = Visitor::new(&user);
    let page = again.sign_in(user.username(), user.password(), &[("return_to", "/account?x")]).expect(&[200]);
    assert_eq!(hidden(&page, "return_to"), "/account?x");
    assert!(!again.is_signed_in(), "the password alone is not enough");
    let half = again.cookie().to_owned();
    let page = again.get("/sign-in").expect(&[200]);
    let csrf = hidden(&page, "csrf");
    let send = |visitor: &mut Visitor, code: &str| {
        let fields = [("csrf", csrf.as_str()), ("code", code), ("return_to", "/account?x")];
        visitor.post("/sign-in/second-factor", &fields)
    };
    send(&mut again, "000000").expect(&[403]);
    again.post("/sign-in/second-factor", &[("code", &codes[0])]).expect(&[403]);
    // A code that was used, for confirming, is used up.
    let answer = send(&mut again, &codes[0]).expect(&[303]);
    assert_eq!(answer.header("location"), Some("/account?x"), "{answer}");
    assert!(again.is_signed_in());
    assert_ne!(again.cookie(), half);
    let page = again.get("/account").expect(&[200]);
    assert!(text(&page).contains("Recovery codes left: 9"), "{page}");
    again.send("/account/second-factor/remove", &[("code", &codes[0])]).expect(&[403]);
    again.send("/account/second-factor/remove", &[("code", &codes[1])]).expect(&[303]);
    assert!(again.is_signed_in());
    Visitor::signed_in(&user);
}

#[test]
fn who_is_asked_again_shows_the_password_or_a_code() {
    let server = own_server(&[]);
    let (user, other) = (user_of(&server.api()), user_of(&server.api()));
    let mut visitor = Visitor::signed_in(&user);
    let page = visitor.get("/account/prove").expect(&[200]);
    assert!(text(&page).contains("prove-password") && !text(&page).contains("prove-code"), "{page}");
    let before = visitor.clone();
    for wrong in ["", "wrong", other.password()] {
        let page = visitor.send("/account/prove", &[("password", wrong)]).expect(&[403]);
        assert!(text(&page).contains("prove-password"), "{page}");
    }
    let answer = visitor.send("/account/prove", &[("password", user.password())]).expect(&[303]);
    assert_eq!(answer.header("location"), Some("/account?done=proved"), "{answer}");
    assert!(visitor.is_signed_in() && !before.is_signed_in(), "the secret is another one now");
}
