//! Names of rows that are shown outside.

use clock::Timestamp;

/// A name that nobody guesses and that sorts by time (UUID version 7, RFC 9562 §5.7).
pub(crate) fn public_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    let mut random = [0; 10];
    // A server without random numbers makes no secrets either, and does not get here.
    getrandom::fill(&mut random).expect("the operating system has a source of randomness");
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}
