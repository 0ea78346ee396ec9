//! Sending a client to the object store for large content.

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::body::{Response, empty};

/// A client that cannot reach the object store says so with `Larder-Redirect: never`.
const DECLINE: &str = "larder-redirect";

/// Whether the client wants the bytes from this server whatever it costs.
pub(crate) fn is_declined(headers: &HeaderMap) -> bool {
    headers.get(DECLINE).is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"never"))
}

/// The answer that leads to `address`. The address is a key to the content for a short time, so nobody keeps it
/// (RFC 9110 §15.4.8, RFC 9111 §5.2.2.5).
pub(crate) fn to(address: &str) -> Response {
    let mut response = empty(StatusCode::TEMPORARY_REDIRECT);
    let headers = response.headers_mut();
    // What is signed here is a URL, so it is fit for a header.
    if let Ok(address) = HeaderValue::from_str(address) {
        headers.insert(LOCATION, address);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_never_declines() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(http::HeaderName::from_static(DECLINE), HeaderValue::from_static(value))])
        };
        assert!(is_declined(&headers("never")));
        assert!(is_declined(&headers(" Never ")));
        assert!(!is_declined(&headers("always")));
        assert!(!is_declined(&HeaderMap::new()));
    }
}
