//! Requests to S3 signed by hand (AWS, "Signature Version 4 for API requests"), so that what a test asks about
//! a bucket does not go through the code that is tested.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::REGION;
use crate::random_word;

/// An access key and its secret.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) key: String,
    pub(super) secret: String,
}

impl Credentials {
    /// New ones.
    pub(super) fn random() -> Self {
        Self { key: format!("KEY{}", random_word()), secret: random_word() }
    }
}

/// What is signed of a request: everything that decides what it does.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// `host:port`.
    pub(super) host: &'a str,
    /// Encoded, with a slash before it.
    pub(super) path: &'a str,
    /// Encoded and in order; see [`query`].
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    /// As in `20150830T123600Z`.
    pub(super) time: &'a str,
}

impl Signed<'_> {
    /// The header fields that the request needs on top of `host`.
    pub(super) fn headers(&self, credentials: &Credentials) -> [(&'static str, String); 3] {
        let Self { method, host, path, query, body, time } = self;
        let hash = hex::encode(Sha256::digest(body));
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{time}\n\n{names}\n{hash}"
        );
        let day = &time[..8];
        let scope = format!("{day}/{REGION}/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
        let mut key = format!("AWS4{}", credentials.secret).into_bytes();
        for part in [day, REGION, "s3", "aws4_request"] {
            key = sign(&key, part);
        }
        let signature = hex::encode(sign(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            credentials.key
        );
        [("x-amz-content-sha256", hash), ("x-amz-date", time.to_string()), ("authorization", authorization)]
    }
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// A query as it is signed and sent: encoded and in the order of its names.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    pairs.sort();
    pairs.join("&")
}

/// Text as it stands in a path or query: everything but RFC 3986's unreserved characters encoded.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("text takes everything");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's own example ("Examples: Signature Calculations", "GET Bucket (List Objects)").
    #[test]
    fn the_published_example_is_signed_as_published() {
        let credentials = Credentials {
            key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        let query = query(&[("prefix", "J"), ("max-keys", "2")]);
        assert_eq!(query, "max-keys=2&prefix=J");
        let [_, _, (_, authorization)] = Signed {
            method: "GET",
            host: "examplebucket.s3.amazonaws.com",
            path: "/",
            query: &query,
            body: b"",
            time: "20130524T000000Z",
        }
        .headers(&credentials);
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        assert!(authorization.ends_with(&format!("Signature={signature}")), "{authorization}");
    }

    #[test]
    fn what_has_a_meaning_in_a_query_is_encoded() {
        assert_eq!(
            query(&[("uploads", ""), ("prefix", "a/b c&=ü")]),
            "prefix=a%2Fb%20c%26%3D%C3%BC&uploads="
        );
    }
}
