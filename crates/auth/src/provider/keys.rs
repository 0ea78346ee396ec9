//! The keys that an issuer publishes (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::SigningAlgorithm;

/// Keys of one issuer that are looked at, at the most.
const MOST: usize = 100;
/// Bytes of a key's name at the most.
pub(crate) const LONGEST_NAME: usize = 512;

/// The keys of one issuer. Keys of different issuers never lie together.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

/// One key, good for what its type and its own statement allow.
#[derive(Debug)]
pub(crate) struct Key {
    name: String,
    kind: KeyKind,
    /// The one algorithm that the issuer uses it with, if it says so.
    algorithm: Option<SigningAlgorithm>,
    decoding: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeySet {
    /// Reads a set. Keys that cannot be used are left out: those without a name, for encryption, of a type or for
    /// an algorithm that is not known here, weak ones, and shared secrets. None when it is not a set at all.
    pub(crate) fn parse(json: &[u8]) -> Option<Self> {
        let document: Value = serde_json::from_slice(json).ok()?;
        let keys = document.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(MOST).filter_map(Key::of).collect()))
    }

    /// Whether there is any key of this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|key| key.name == name)
    }

    /// Whether there is any key.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this name that may be used with this algorithm.
    pub(crate) fn find(&self, name: &str, algorithm: SigningAlgorithm) -> Option<&Key> {
        self.0.iter().find(|key| key.name == name && key.fits(algorithm))
    }
}

impl Key {
    fn of(entry: &Value) -> Option<Self> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str);
        let name = text("kid").filter(|name| (1..=LONGEST_NAME).contains(&name.len()))?;
        if entry.get("use").is_some_and(|purpose| purpose.as_str() != Some("sig")) {
            return None;
        }
        if let Some(operations) = entry.get("key_ops") {
            operations.as_array()?.iter().find(|operation| operation.as_str() == Some("verify"))?;
        }
        let algorithm = match entry.get("alg") {
            None => None,
            Some(stated) => Some(stated.as_str()?.parse::<SigningAlgorithm>().ok()?),
        };
        let bytes = |field: &str| URL_SAFE_NO_PAD.decode(text(field)?).ok();
        let (kind, decoding) = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                // From 2048 to 8192 bits (RFC 7518 §3.3 asks for the first).
                if !(256..=1024).contains(&modulus.len()) || exponent.len() > 8 {
                    return None;
                }
                (KeyKind::Rsa, DecodingKey::from_rsa_raw_components(&modulus, &exponent))
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (kind, length) = if curve == "P-256" { (KeyKind::P256, 32) } else { (KeyKind::P384, 48) };
                if bytes("x")?.len() != length || bytes("y")?.len() != length {
                    return None;
                }
                (kind, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?)
            }
            ("OKP", Some("Ed25519")) => {
                if bytes("x")?.len() != 32 {
                    return None;
                }
                (KeyKind::Ed25519, DecodingKey::from_ed_components(text("x")?).ok()?)
            }
            _ => return None,
        };
        let key = Self { name: name.to_owned(), kind, algorithm, decoding };
        key.algorithm.is_none_or(|algorithm| key.fits(algorithm)).then_some(key)
    }

    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm as A;
        let kind = match algorithm {
            A::Rs256 | A::Rs384 | A::Rs512 | A::Ps256 | A::Ps384 | A::Ps512 => KeyKind::Rsa,
            A::Es256 => KeyKind::P256,
            A::Es384 => KeyKind::P384,
            A::EdDsa => KeyKind::Ed25519,
        };
        self.kind == kind && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether this key made the signature, in its text form, of this text.
    pub(crate) fn verifies(&self, message: &str, signature: &str, algorithm: SigningAlgorithm) -> bool {
        let algorithm = match algorithm {
            SigningAlgorithm::Rs256 => Algorithm::RS256,
            SigningAlgorithm::Rs384 => Algorithm::RS384,
            SigningAlgorithm::Rs512 => Algorithm::RS512,
            SigningAlgorithm::Ps256 => Algorithm::PS256,
            SigningAlgorithm::Ps384 => Algorithm::PS384,
            SigningAlgorithm::Ps512 => Algorithm::PS512,
            SigningAlgorithm::Es256 => Algorithm::ES256,
            SigningAlgorithm::Es384 => Algorithm::ES384,
            SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &self.decoding, algorithm)
            .unwrap_or(false)
    }
}

#[cfg(test)]
mod tests;
