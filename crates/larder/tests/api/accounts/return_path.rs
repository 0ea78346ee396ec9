//! Where a browser is sent after signing in.

use super::{Browser, NOTHING};
use crate::scene::{expect_problem, server};

/// Texts that browsers take for another site, or that would begin a header of their own.
const ELSEWHERE: [&str; 16] = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "%2f%2fevil.example",
    "%2F%2Fevil.example",
    "/%2fevil.example",
    "/%5cevil.example",
    "%252f%252fevil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/%09/evil.example",
    "account",
    "/@evil.example",
];

#[test]
fn t24_nobody_is_sent_to_another_site() {
    let admin = server().api();
    for text in ELSEWHERE {
        // As it is, and as a page would encode it.
        for text in [text.replace('\\', "%5c"), encode(text)] {
            let path = format!("/auth/providers/none/start?return_to={text}");
            let answer = Browser::new(&admin).ask("GET", &path, &NOTHING);
            assert!(answer.header("location").is_none(), "{text}: {answer}");
            let problem = expect_problem(answer, 422, "invalid");
            assert_eq!(problem["field"], "return_to", "{text}: {problem}");
        }
    }
    // A path of ours is none of the reasons to refuse.
    let answer =
        Browser::new(&admin).ask("GET", "/auth/providers/none/start?return_to=/account%3Fx=1", &NOTHING);
    expect_problem(answer, 404, "not_found");
}

#[test]
fn t24_a_provider_that_nobody_configured_is_not_there() {
    let admin = server().api();
    for path in [
        "/auth/providers/none/start",
        "/auth/providers/none/callback?code=x&state=y",
        "/auth/providers/%2e%2e/start",
        "/auth/providers/none/callback?error=access_denied&error_description=%3Cscript%3E",
    ] {
        let answer = Browser::new(&admin).ask("GET", path, &NOTHING);
        assert!(answer.header("location").is_none(), "{path}: {answer}");
        let problem = expect_problem(answer, 404, "not_found");
        assert!(!problem.to_string().contains("script"), "{problem}");
    }
}

/// Every byte that is no letter as an escape.
fn encode(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02x}")
                }
            },
        )
        .collect()
}
