//! The way back from the provider, as somebody walks it who did not set out, or not so.

use crate::scene::{
    Browser, CALLBACK, Company, PUBLIC_URL, expect_in, expect_out, usernames, with_parameter,
};

/// A person who came as far as the provider's answer, and the answer.
struct HalfWay {
    company: Company,
    browser: Browser,
    back: String,
}

impl HalfWay {
    fn new() -> Self {
        let mut company = Company::new();
        let ada = company.person("ada", &[]);
        let mut browser = Browser::new(&company.server);
        let url = browser.set_out("return_to=/account");
        let back = browser.at_provider(&url, &ada);
        assert!(back.starts_with(CALLBACK), "{back}");
        Self { company, browser, back }
    }
}

#[test]
fn t23_an_answer_counts_for_the_browser_that_asked() {
    let HalfWay { company, browser, back } = HalfWay::new();
    // Somebody is lured to the answer of another one's sign-in, to act as that one from then on.
    let mut lured = Browser::new(&company.server);
    let page = lured.get(&back);
    expect_out(&mut lured, &page, "provider-state");
    // The same, while they are on their way themselves.
    lured.set_out("return_to=/account");
    let page = lured.get(&back);
    expect_out(&mut lured, &page, "provider-state");
    // What the one who asked kept is gone after one try, and the other one's cookie is none for this answer.
    let mut other = Browser::new(&company.server);
    other.set_out("return_to=/account");
    let mut swapped = browser.clone();
    swapped.cookies.retain(|(place, ..)| place != PUBLIC_URL);
    swapped.cookies.extend(other.cookies.iter().filter(|(place, ..)| place == PUBLIC_URL).cloned());
    let page = swapped.get(&back);
    expect_out(&mut swapped, &page, "provider-state");
    assert!(usernames(&company.server).is_empty());
}

#[test]
fn t23_an_answer_counts_once() {
    let scene = HalfWay::new();
    let mut browser = scene.browser.clone();
    let page = browser.get(&scene.back);
    expect_in(&page, "/account");
    assert!(browser.is_signed_in());
    // The browser goes back in its history.
    let page = browser.get(&scene.back);
    expect_in(&page, "/sign-in?problem=provider-state");
    // Somebody kept everything, the cookie too: the provider gives nothing for a code that was used.
    let mut kept = scene.browser.clone();
    let page = kept.get(&scene.back);
    expect_out(&mut kept, &page, "provider-refused");
}

#[test]
fn t23_a_changed_answer_is_refused_before_the_provider_is_asked() {
    let scene = HalfWay::new();
    for (name, value, word) in [
        ("state", Some("guessed"), "provider-state"),
        ("state", Some(""), "provider-state"),
        ("state", None, "provider-state"),
        ("code", None, "provider-state"),
        ("code", Some(""), "provider-state"),
        // Who says that the answer is from another provider, or hides from which it is (RFC 9207).
        ("iss", Some("https://evil.example"), "provider-state"),
        ("iss", None, "provider-state"),
        ("error", Some("access_denied"), "provider-refused"),
    ] {
        let mut browser = scene.browser.clone();
        let page = browser.get(&with_parameter(&scene.back, name, value));
        expect_out(&mut browser, &page, word);
    }
    scene.company.expect_exchanges(0);
    // A guessed code goes there, and is refused there.
    let mut browser = scene.browser.clone();
    let page = browser.get(&with_parameter(&scene.back, "code", Some("guessed")));
    expect_out(&mut browser, &page, "provider-refused");
    scene.company.expect_exchanges(1);
    assert!(usernames(&scene.company.server).is_empty());
}

#[test]
fn t24_what_an_answer_says_of_where_to_go_does_not_count() {
    let scene = HalfWay::new();
    let mut browser = scene.browser.clone();
    let lies = format!(
        "{}&return_to=https%3A%2F%2Fevil.example&redirect_uri=https%3A%2F%2Fevil.example",
        scene.back
    );
    let page = browser.get(&lies);
    expect_in(&page, "/account");
}

#[test]
fn t35_neither_codes_nor_cookies_are_in_the_log() {
    let scene = HalfWay::new();
    let mut browser = scene.browser.clone();
    let sealed: Vec<String> = secrets(&browser);
    browser.get(&scene.back);
    let log = scene.company.server.log();
    let mut all = secrets(&browser);
    all.extend(sealed);
    all.extend(["code", "state"].map(|name| crate::scene::parameter(&scene.back, name)));
    assert!(all.len() >= 4, "{all:?}");
    for secret in all {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}

/// The values of the cookies of our server.
fn secrets(browser: &Browser) -> Vec<String> {
    let ours = browser.cookies.iter().filter(|(place, ..)| place == PUBLIC_URL);
    ours.map(|(_, _, value)| value.clone()).collect()
}
