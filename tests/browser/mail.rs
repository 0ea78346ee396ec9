//! What the links in letters lead to.

use testkit::{Browser, MailServer, Message, Server, random_word};

use super::{arrives, server, sign_in};

/// What the links in letters begin with: a server is told it before it has a port.
const PUBLIC_URL: &str = "http://registry.example.org";

const PASSWORD: &str = "correct horse battery";

fn server_with(mail: &MailServer) -> Server {
    server(&[
        ("LARDER_SERVER__PUBLIC_URL", PUBLIC_URL),
        ("LARDER_MAIL__URL", &format!("smtp://localhost:{}", mail.port())),
        ("LARDER_MAIL__FROM", "Larder <larder@example.org>"),
        ("LARDER_AUTH__SIGN_UP", "open"),
    ])
}

/// Where a letter's link leads on this server.
#[track_caller]
fn link(server: &Server, letter: &Message) -> String {
    let link = letter.link();
    let path = link.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("another server: {link}"));
    format!("{}{path}", server.url())
}

#[test]
fn a_forgotten_password_is_replaced() {
    let mail = MailServer::start();
    let server = server_with(&mail);
    let old = random_word();
    server.api().user_create("ada", &old);
    let browser = Browser::start();
    browser.go_to(&format!("{}/sign-in", server.url()));
    browser.click("a[href='/forgot-password']");
    browser.type_into("#account", "ada");
    browser.click("main form button");
    browser.wait_for("[role=status]");
    let link = link(&server, &mail.wait_for("ada@example.com", 1));
    // Opened by whoever looks for what is bad in mail, and then by its reader.
    let scanner = server.api().as_nobody();
    let path = link.strip_prefix(&server.url()).expect("it is of this server");
    scanner.get(path).expect(&[200]);
    browser.go_to(&link);
    browser.type_into("#password", PASSWORD);
    browser.click("main form button");
    browser.wait_for("[role=status]");
    sign_in(&browser, "ada", PASSWORD);
    arrives(&browser, &server.url(), "/account");
    assert_eq!(browser.text("#me"), "ada");
    browser.go_to(&link);
    browser.type_into("#password", "another one that is long");
    browser.click("main form button");
    browser.wait_for("[role=alert]");
    assert!(browser.has("a[href='/forgot-password']"), "what to do next is missing");
    assert_eq!(server.api().as_user("ada", &old).get("/v2/").status, 401);
}

#[test]
fn who_signs_up_confirms_the_address() {
    let mail = MailServer::start();
    let server = server_with(&mail);
    let browser = Browser::start();
    browser.go_to(&format!("{}/sign-up", server.url()));
    browser.type_into("#new-username", "ada");
    browser.type_into("#new-email", "ada@example.org");
    browser.type_into("#new-password", PASSWORD);
    browser.click("form[action='/sign-up'] button");
    browser.wait_for("[role=status]");
    let link = link(&server, &mail.wait_for("ada@example.org", 1));
    let path = link.strip_prefix(&server.url()).expect("it is of this server").to_owned();
    for _ in 0..2 {
        server.api().as_nobody().get(&path).expect(&[200]);
    }
    let ada = server.api().as_user("ada", PASSWORD);
    assert_eq!(ada.get("/v2/").status, 401, "opening the link is not confirming it");
    browser.go_to(&link);
    // Who reads the mail may be somebody else than who signed up.
    browser.type_into("#password", "somebody else's");
    browser.click("main form button");
    browser.wait_for("[role=alert]");
    assert_eq!(ada.get("/v2/").status, 401);
    browser.type_into("#password", PASSWORD);
    browser.click("main form button");
    browser.wait_for("[role=status]");
    assert_eq!(ada.get("/v2/").status, 200);
    browser.click("main a.button");
    arrives(&browser, &server.url(), "/sign-in");
    sign_in(&browser, "ada", PASSWORD);
    arrives(&browser, &server.url(), "/account");
}
