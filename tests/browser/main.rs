//! People in a real browser: signing in with an identity provider or a password, and what their tokens are good for
//! afterwards.

mod local;
mod mail;
mod page;
mod provider;

use std::time::{Duration, Instant};

use testkit::{Browser, Options, Server};

/// Within which time whatever was ended is over everywhere.
const OVER_WITHIN: Duration = Duration::from_secs(2);

/// A server with these variables.
fn server(variables: &[(&str, &str)]) -> Server {
    let options = Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_STORAGE__DURABILITY", "relaxed");
    Server::start(variables.iter().fold(options, |options, (name, value)| options.env(name, value)))
}

/// Waits until `is_so`, no longer than something may stay that was ended.
#[track_caller]
fn over_soon(what: &str, begun: Instant, is_so: impl Fn() -> bool) {
    while !is_so() {
        assert!(begun.elapsed() < OVER_WITHIN, "{what} is not over after {:?}", begun.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Types a name and a password into the sign-in page that the browser is at.
#[track_caller]
fn sign_in(browser: &Browser, username: &str, password: &str) {
    browser.type_into("#username", username);
    browser.type_into("#password", password);
    browser.click("form[action='/sign-in'] button");
}

/// Waits for a page of this server.
#[track_caller]
fn arrives(browser: &Browser, server: &str, path: &str) {
    let url = format!("{server}{path}");
    browser.wait_until(&format!("the browser is at {url}"), |browser| browser.url() == url);
}

/// Makes a token on the account's page, and goes back there.
#[track_caller]
fn make_token(browser: &Browser, name: &str) -> String {
    browser.type_into("#token-name", name);
    browser.click("#token-create button");
    let token = browser.text("#token");
    assert!(token.starts_with("lrd_pat_"), "{token}");
    browser.click("main a.button");
    browser.wait_for("#tokens");
    assert!(browser.text("#tokens").contains(name));
    assert!(!browser.source().contains(&token), "the token is shown again");
    token
}
