//! Who is asking: challenges, the token service, Basic and personal tokens.

mod challenge;
mod end;
mod personal;
mod sign_in;
mod token;

use testkit::Answer;

/// The challenge of an answer that asks to sign in.
#[track_caller]
fn challenge(answer: &Answer) -> &str {
    assert_eq!(answer.status, 401, "{answer}");
    answer.header("www-authenticate").unwrap_or_else(|| panic!("no challenge: {answer}"))
}
