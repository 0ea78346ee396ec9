//! How often one may ask, said in every answer of an endpoint that limits it: `RateLimit-Policy` and `RateLimit`
//! (IETF draft "`RateLimit` header fields for HTTP").

use std::time::Duration;

use auth::Allowance;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What is allowed.
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What of it is left.
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Writes both fields.
pub(crate) fn write(headers: &mut HeaderMap, allowance: &Allowance) {
    let Allowance { policy, limit, window, remaining, next, .. } = allowance;
    let texts = [
        (POLICY, format!("\"{policy}\";q={limit};w={}", seconds(*window))),
        (LEFT, format!("\"{policy}\";r={remaining};t={}", seconds(*next))),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

/// Whole seconds after which the time is certainly over.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_say_what_is_allowed_and_what_is_left() {
        let mut headers = HeaderMap::new();
        let allowance = Allowance {
            policy: "mail",
            limit: 10,
            window: Duration::from_mins(20),
            remaining: 3,
            next: Duration::from_millis(1_001),
            is_allowed: true,
        };
        write(&mut headers, &allowance);
        assert_eq!(headers[POLICY], "\"mail\";q=10;w=1200");
        assert_eq!(headers[LEFT], "\"mail\";r=3;t=2");
    }
}
