//! Content digests, `algorithm:encoded` (OCI image-spec, descriptor.md, "Digests").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256, Sha512};

use crate::excerpt::excerpt;

/// The longest digest that is accepted, in bytes. The grammar sets no limit; every registered algorithm needs
/// less than a third of this.
pub const MAX_DIGEST_BYTES: usize = 512;

/// A hash algorithm that this registry can compute, and so can vouch for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, what nearly every client uses.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name as it stands before the colon of a digest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits follow the colon.
    pub const fn hex_len(self) -> usize {
        self.hash_len() * 2
    }

    /// How many bytes the raw hash has.
    pub const fn hash_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(DigestError::UnsupportedAlgorithm { algorithm: excerpt(text) }),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why a text is not a digest that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not a digest by the grammar, or one whose length or letter case its algorithm does not allow.
    #[error(
        "\"{value}\" is not a digest: {reason}; send algorithm:hex, for example sha256: and 64 lower-case \
         hexadecimal digits"
    )]
    Malformed {
        /// The offending text, already made harmless by [`excerpt`].
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A well-formed digest whose algorithm this registry cannot compute.
    #[error("digest algorithm \"{algorithm}\" is not supported; use sha256 or sha512")]
    UnsupportedAlgorithm {
        /// The algorithm's name, already made harmless by [`excerpt`].
        algorithm: String,
    },
}

/// A validated digest of an algorithm that this registry supports. Cloning it copies no text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    text: Arc<str>,
    algorithm: Algorithm,
}

impl Digest {
    /// Hashes `content`.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::from_hash(algorithm, &Sha256::digest(content)),
            Algorithm::Sha512 => Self::from_hash(algorithm, &Sha512::digest(content)),
        }
    }

    /// The digest for a finished hash.
    ///
    /// # Panics
    /// If `hash` does not have the algorithm's length ([`Algorithm::hash_len`]).
    pub fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        assert_eq!(hash.len(), algorithm.hash_len(), "a {algorithm} hash has a fixed length");
        Self { text: format!("{algorithm}:{}", hex::encode(hash)).into(), algorithm }
    }

    /// The whole digest, `algorithm:hex`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The algorithm before the colon.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The lower-case hexadecimal digits after the colon.
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.as_str().len() + 1..]
    }

    /// Whether `content` hashes to this digest.
    pub fn matches(&self, content: &[u8]) -> bool {
        Self::of(self.algorithm, content) == *self
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let algorithm = check(text)?.parse()?;
        Ok(Self { text: text.into(), algorithm })
    }
}

text_type!(Digest);

/// Any syntactically valid digest, also of an algorithm that this registry cannot compute. Descriptors,
/// subjects and the referrers API take these: they name content, they do not promise that we could check it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnyDigest {
    text: Arc<str>,
}

impl AnyDigest {
    /// The whole digest, `algorithm:encoded`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The algorithm's name, which need not be a supported one.
    pub fn algorithm(&self) -> &str {
        self.text.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// The same digest as one that can be computed here; an error says which algorithm cannot.
    pub fn to_supported(&self) -> Result<Digest, DigestError> {
        let algorithm = self.algorithm().parse()?;
        Ok(Digest { text: Arc::clone(&self.text), algorithm })
    }
}

impl FromStr for AnyDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        check(text)?;
        Ok(Self { text: text.into() })
    }
}

impl From<Digest> for AnyDigest {
    fn from(digest: Digest) -> Self {
        Self { text: digest.text }
    }
}

impl From<&Digest> for AnyDigest {
    fn from(digest: &Digest) -> Self {
        Self { text: Arc::clone(&digest.text) }
    }
}

text_type!(AnyDigest);

/// Checks the grammar and, for registered algorithms, the encoding; returns the algorithm's name.
fn check(text: &str) -> Result<&str, DigestError> {
    let malformed = |reason| Err(DigestError::Malformed { value: excerpt(text), reason });
    if text.len() > MAX_DIGEST_BYTES {
        return malformed("it is longer than 512 bytes");
    }
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return malformed("it has no colon");
    };
    if !is_algorithm_name(algorithm) {
        return malformed("the part before the colon is not an algorithm name");
    }
    if encoded.is_empty() {
        return malformed("nothing follows the colon");
    }
    if !encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"=_-".contains(&byte)) {
        return malformed("the part after the colon has characters that no digest has");
    }
    match algorithm {
        "sha256" if !is_lower_hex(encoded, 64) => malformed("sha256 needs 64 lower-case hexadecimal digits"),
        "sha512" if !is_lower_hex(encoded, 128) => {
            malformed("sha512 needs 128 lower-case hexadecimal digits")
        }
        "blake3" if !is_lower_hex(encoded, 64) => malformed("blake3 needs 64 lower-case hexadecimal digits"),
        _ => Ok(algorithm),
    }
}

/// `[a-z0-9]+([+._-][a-z0-9]+)*`
fn is_algorithm_name(name: &str) -> bool {
    name.split(['+', '.', '_', '-']).all(|part| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY_SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_hashes() {
        assert_eq!(Digest::of(Algorithm::Sha256, b"").as_str(), EMPTY_SHA256);
        let sha512 = Digest::of(Algorithm::Sha512, b"");
        assert!(sha512.as_str().starts_with("sha512:cf83e1357eefb8bd"));
        assert_eq!(sha512.hex().len(), Algorithm::Sha512.hex_len());
        assert!(sha512.matches(b"") && !sha512.matches(b"x"));
    }

    #[test]
    fn malformed_digests_say_what_is_wrong() {
        for (text, part) in [
            ("", "no colon"),
            ("sha256", "no colon"),
            ("sha256:", "nothing follows"),
            (":abc", "algorithm name"),
            ("SHA256:abc", "algorithm name"),
            ("sha256+:abc", "algorithm name"),
            ("sha256:baddigest", "64 lower-case"),
            ("sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855", "64 lower-case"),
            ("sha512:e3b0", "128 lower-case"),
            ("blake3:00", "blake3 needs"),
            ("other:a/b", "characters"),
            ("other:a:b", "characters"),
        ] {
            let message = text.parse::<AnyDigest>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
            assert!(matches!(text.parse::<Digest>(), Err(DigestError::Malformed { .. })), "{text}");
        }
        assert!(format!("x:{}", "a".repeat(600)).parse::<AnyDigest>().is_err());
    }

    #[test]
    fn other_algorithms_are_valid_but_unsupported() {
        for text in ["sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", "multihash+base58:QmRZxt2b"] {
            let any: AnyDigest = text.parse().unwrap();
            assert!(matches!(any.to_supported(), Err(DigestError::UnsupportedAlgorithm { .. })));
            assert!(matches!(text.parse::<Digest>(), Err(DigestError::UnsupportedAlgorithm { .. })));
        }
        assert!(format!("blake3:{}", "0".repeat(64)).parse::<AnyDigest>().is_ok());
    }

    #[test]
    fn serde_validates() {
        let digest: Digest = serde_json::from_str(&format!("\"{EMPTY_SHA256}\"")).unwrap();
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{EMPTY_SHA256}\""));
        assert!(serde_json::from_str::<Digest>("\"sha256:1\"").is_err());
    }

    proptest! {
        #[test]
        fn computed_digests_parse_back(content in any::<Vec<u8>>(), long in any::<bool>()) {
            let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
            let digest = Digest::of(algorithm, &content);
            prop_assert_eq!(&digest.as_str().parse::<Digest>().unwrap(), &digest);
            let any = AnyDigest::from(&digest);
            prop_assert_eq!(any.as_str(), digest.as_str());
            prop_assert_eq!(any.to_supported().unwrap(), digest);
        }

        #[test]
        fn grammar_is_accepted(text in "[a-z0-9]{1,6}([+._-][a-z0-9]{1,6}){0,2}:[a-zA-Z0-9=_-]{1,60}") {
            prop_assume!(!["sha256:", "sha512:", "blake3:"].iter().any(|known| text.starts_with(known)));
            let digest = text.parse::<AnyDigest>().unwrap();
            prop_assert_eq!(digest.to_string(), text);
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            if let Ok(digest) = text.parse::<AnyDigest>() {
                prop_assert_eq!(digest.as_str(), text);
            }
        }
    }
}
