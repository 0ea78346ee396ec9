//! Accounts that have a password here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use serde_json::json;
use testkit::{Browser, Method, random_word};

use super::{arrives, make_token, over_soon, server, sign_in};

const PASSWORD: &str = "correct horse battery";

/// What an authenticator shows for a secret, so many half minutes from now (RFC 6238).
fn code(secret: &str, ahead: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    // RFC 4648 §6: eight bits at a time out of letters of five.
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_usize, 0);
    for letter in secret.chars() {
        let value = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".find(letter).expect("the secret is base32");
        (buffer, bits) = ((buffer << 5) | value, bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((buffer >> bits) & 0xff).expect("eight bits are a byte"));
            buffer &= (1 << bits) - 1;
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let tag = hmac::sign(&key, &(now.as_secs() / 30 + ahead).to_be_bytes());
    let start = usize::from(tag.as_ref()[19] & 15);
    let word: [u8; 4] = tag.as_ref()[start..start + 4].try_into().expect("four bytes");
    format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000)
}

#[test]
fn somebody_who_is_invited_signs_up_accepts_and_pushes() {
    let server = server(&[("LARDER_AUTH__SIGN_UP", "invited")]);
    let admin = server.api();
    let body = json!({ "role": "writer" });
    let request = admin.request(Method::POST, "/api/v1/organizations/demo/invitations").json(&body);
    let made = admin.send(request).expect(&[201]).json();
    let link = made["link"].as_str().expect("a link is text");

    let browser = Browser::start();
    browser.go_to(link);
    assert!(browser.text("main").contains("invites you to demo"));
    browser.type_into("#new-username", "ada");
    browser.type_into("#new-email", "ada@example.com");
    browser.type_into("#new-password", PASSWORD);
    browser.click("form[action='/sign-up'] button");
    browser.wait_for("[role=status]");
    assert_eq!(browser.attribute("#username", "value").as_deref(), Some("ada"));
    sign_in(&browser, "ada", "not the password");
    browser.wait_for("[role=alert]");
    sign_in(&browser, "ada", PASSWORD);
    browser.wait_until("the invitation is shown again", |browser| browser.url() == link);
    browser.click("form[action='/invitations'] button");
    browser.wait_for("[role=status]");
    browser.click("main a.button");
    arrives(&browser, &server.url(), "/account");
    assert_eq!(browser.text("#organizations"), "demo");

    let token = make_token(&browser, "laptop");
    let ada = admin.as_user("ada", &token);
    let digest = testkit::sha256(b"content");
    let path = format!("/v2/demo/main/app/blobs/uploads/?digest={digest}");
    let push = || ada.send(ada.request(Method::POST, &path).body("content")).status;
    assert_eq!(push(), 201);
    browser.click("#tokens button");
    arrives(&browser, &server.url(), "/account?done=token-revoked");
    over_soon("the token", Instant::now(), || push() == 401);
}

#[test]
fn the_second_factor_is_set_up_and_asked_for() {
    let server = server(&[]);
    let password = random_word();
    server.api().user_create("ada", &password);
    let browser = Browser::start();
    browser.go_to(&format!("{}/sign-in", server.url()));
    sign_in(&browser, "ada", &password);
    arrives(&browser, &server.url(), "/account");
    browser.click("#second-factor button");
    let secret = browser.text("#secret");
    assert!(browser.text("#secret-url").starts_with("otpauth://totp/"));
    browser.type_into("#code", "000000");
    browser.click("#confirm button");
    browser.wait_for("[role=alert]");
    browser.type_into("#code", &code(&secret, 0));
    browser.click("#confirm button");
    browser.wait_for("#recovery-codes");
    assert_eq!(browser.count("#recovery-codes li"), 10);
    let spare = browser.text("#recovery-codes li:first-child");
    browser.click("main a.button");
    arrives(&browser, &server.url(), "/account");

    // The password alone opens nothing any more, neither here nor for programs.
    browser.click("#sign-out button");
    browser.wait_for("[role=status]");
    browser.go_to(&format!("{}/sign-in", server.url()));
    sign_in(&browser, "ada", &password);
    browser.wait_for("form[action='/sign-in/second-factor']");
    let ada = server.api().as_user("ada", &password);
    assert_eq!(ada.get("/v2/").status, 401);
    browser.go_to(&format!("{}/account", server.url()));
    arrives(&browser, &server.url(), "/sign-in");
    browser.type_into("#code", "000000");
    browser.click("form[action='/sign-in/second-factor'] button");
    browser.wait_for("[role=alert]");
    browser.type_into("#code", &code(&secret, 1));
    browser.click("form[action='/sign-in/second-factor'] button");
    arrives(&browser, &server.url(), "/account");
    let token = make_token(&browser, "laptop");
    assert_eq!(server.api().as_user("ada", &token).get("/v2/").status, 200);

    browser.type_into("#second-factor-code", &spare);
    browser.click("#second-factor button.danger");
    arrives(&browser, &server.url(), "/account?done=second-factor-removed");
    assert_eq!(ada.get("/v2/").status, 200);
}

#[test]
fn a_session_is_ended_from_another_browser() {
    let server = server(&[]);
    let password = random_word();
    server.api().user_create("ada", &password);
    let (one, two) = (Browser::start(), Browser::start());
    for browser in [&one, &two] {
        browser.go_to(&format!("{}/sign-in", server.url()));
        sign_in(browser, "ada", &password);
        arrives(browser, &server.url(), "/account");
    }
    // The page that the other one has open does nothing any more.
    one.reload();
    one.click("#end-others button");
    arrives(&one, &server.url(), "/account?done=others-ended");
    two.type_into("#token-name", "too late");
    two.click("#token-create button");
    arrives(&two, &server.url(), "/sign-in?problem=session-over");
    one.go_to(&format!("{}/account", server.url()));
    assert!(!one.has("#tokens"));
}

/// A page of nobody's sends our forms, with the cookie if the browser lets it.
#[test]
fn t23_another_sites_page_posts_our_forms_in_vain() {
    let server = server(&[]);
    let (password, other) = (random_word(), random_word());
    server.api().user_create("ada", &password);
    server.api().user_create("eve", &other);
    let browser = Browser::start();
    browser.go_to(&format!("{}/sign-in", server.url()));
    sign_in(&browser, "ada", &password);
    arrives(&browser, &server.url(), "/account");
    let csrf = browser.attribute("input[name=csrf]", "value").expect("the page has the session's word");
    let eve = format!("<input name=username value=eve><input name=password value={other}>");
    let token =
        format!("<input name=csrf value={csrf}><input name=name value=stolen><input name=life value=never>");
    for (path, fields) in [("/sign-in", &eve), ("/account/tokens", &token)] {
        let form =
            format!("<form method=post action={}{path}>{fields}<button>Win</button></form>", server.url());
        browser.go_to(&format!("data:text/html,{form}"));
        browser.click("button");
        browser.wait_for("[role=alert]");
        assert!(browser.text("[role=alert]").contains("Another site"), "{path}");
    }
    browser.go_to(&format!("{}/account", server.url()));
    assert_eq!(browser.text("#me"), "ada");
    assert!(!browser.has("#tokens"));
}
