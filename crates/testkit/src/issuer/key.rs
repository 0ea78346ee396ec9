//! Keys that sign tokens, and tokens as nobody honest makes them.
//!
//! Written beside the specifications (RFC 7515, 7517, 7518) and without the library that the server verifies
//! with, so that no mistake is on both sides.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::Claims;
use crate::random_word;

/// What stands before the modulus in the DER form of a public RSA key of 2048 bits (RFC 8017, A.1.1): a
/// sequence, and an integer whose first byte says that it is not negative.
const MODULUS_AT: usize = 9;
/// How long such a modulus is.
const MODULUS_BYTES: usize = 256;

/// A key pair with a name. Clones are the same key.
#[derive(Clone, Debug)]
pub struct Key {
    kid: String,
    pair: Arc<Pair>,
}

#[derive(Debug)]
enum Pair {
    Rsa(rsa::KeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl Key {
    /// A new RSA key of 2048 bits, which signs as `RS256` does.
    pub fn rs256() -> Self {
        let pair = rsa::KeyPair::generate(KeySize::Rsa2048).expect("the library makes keys of this size");
        Self { kid: random_word(), pair: Arc::new(Pair::Rsa(pair)) }
    }

    /// A new key on the curve P-256, which signs as `ES256` does.
    pub fn es256() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .expect("the library makes keys on this curve");
        Self { kid: random_word(), pair: Arc::new(Pair::Ecdsa(pair)) }
    }

    /// The same key by another name.
    #[must_use]
    pub fn named(mut self, kid: &str) -> Self {
        kid.clone_into(&mut self.kid);
        self
    }

    /// Its name, which the header of its tokens has as `kid`.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the header of its tokens has as `alg`.
    pub fn algorithm(&self) -> &'static str {
        match *self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ecdsa(_) => "ES256",
        }
    }

    /// The public half as a set of keys has it (RFC 7517).
    pub fn jwk(&self) -> Value {
        let mut jwk = match &*self.pair {
            Pair::Rsa(pair) => {
                let der = pair.public_key().as_ref();
                let modulus = &der[MODULUS_AT..MODULUS_AT + MODULUS_BYTES];
                json!({ "kty": "RSA", "n": encode(modulus), "e": "AQAB" })
            }
            Pair::Ecdsa(pair) => {
                // SEC 1, 2.3.3: a byte that says "uncompressed", then both coordinates.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    /// The public half as a file has it: what an attacker knows, and what a verifier that confuses the
    /// algorithms takes for a shared secret.
    pub fn public_pem(&self) -> String {
        const REASON: &str = "a public key has an encoding";
        let der = match &*self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der().expect(REASON).as_ref().to_vec(),
            Pair::Ecdsa(pair) => pair.public_key().as_der().expect(REASON).as_ref().to_vec(),
        };
        let text = STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("base64 is ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A token with these claims, as an honest issuer makes it.
    pub fn token(&self, claims: &Claims) -> String {
        self.token_with_header(
            &json!({ "typ": "JWT", "alg": self.algorithm(), "kid": self.kid }),
            &claims.to_json(),
        )
    }

    /// A token that this key has signed, whatever its header and its body say: `jku` or `jwk` of the attacker's
    /// own, the name of somebody else's key, claims that are no object.
    pub fn token_with_header(&self, header: &Value, body: &Value) -> String {
        let signed = signing_input(header, body);
        let signature = match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
                    .expect("an RSA key signs");
                signature
            }
            Pair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), signed.as_bytes())
                .expect("an ECDSA key signs")
                .as_ref()
                .to_vec(),
        };
        format!("{signed}.{}", encode(&signature))
    }
}

/// A token that nobody has signed (RFC 7519, 6.1): its header says `none`, in whatever case is given, and its
/// signature is empty.
pub fn unsigned_token(none: &str, claims: &Claims) -> String {
    format!("{}.", signing_input(&json!({ "typ": "JWT", "alg": none }), &claims.to_json()))
}

/// A token with a `HS256` of `secret`, which is no secret when it is [`Key::public_pem`].
pub fn hmac_token(kid: &str, secret: &[u8], claims: &Claims) -> String {
    let header = json!({ "typ": "JWT", "alg": "HS256", "kid": kid });
    let signed = signing_input(&header, &claims.to_json());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", encode(&mac.finalize().into_bytes()))
}

/// The header of `token`, which need not be signed by anybody; panics when it is no token.
#[track_caller]
pub fn header_of(token: &str) -> Value {
    part_of(token, 0)
}

/// The claims of `token`, likewise.
#[track_caller]
pub fn claims_of(token: &str) -> Value {
    part_of(token, 1)
}

#[track_caller]
fn part_of(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).unwrap_or_else(|| panic!("no token: {token}"));
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_else(|error| panic!("{error} in {token}"));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error} in {token}"))
}

fn signing_input(header: &Value, body: &Value) -> String {
    format!("{}.{}", encode(header.to_string().as_bytes()), encode(body.to_string().as_bytes()))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };

    use super::*;

    #[track_caller]
    fn assert_signed(token: &str, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) {
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn tokens_are_signed_with_the_key_that_is_published() {
        let claims = Claims::new("https://issuer.example", "someone", "here");
        let key = Key::es256().named("one");
        let token = key.token(&claims);
        assert_eq!(header_of(&token), json!({ "typ": "JWT", "alg": "ES256", "kid": "one" }));
        assert_eq!(claims_of(&token), claims.to_json());
        let jwk = key.jwk();
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        assert_signed(&token, &ECDSA_P256_SHA256_FIXED, &point);

        let key = Key::rs256();
        let token = key.token(&claims);
        let modulus = URL_SAFE_NO_PAD.decode(key.jwk()["n"].as_str().unwrap()).unwrap();
        let der = [&[0x30, 0x82, 1, 0x0a, 2, 0x82, 1, 1, 0][..], &modulus, &[2, 3, 1, 0, 1]].concat();
        assert_signed(&token, &RSA_PKCS1_2048_8192_SHA256, &der);
        assert!(modulus[0] >= 0x80, "the modulus has all its bits");
    }

    #[test]
    fn attackers_tokens_look_as_they_should() {
        let claims = Claims::new("https://issuer.example", "someone", "here");
        let token = unsigned_token("nOnE", &claims);
        assert_eq!(header_of(&token)["alg"], "nOnE");
        assert!(token.ends_with('.'));
        let key = Key::rs256();
        assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"));
        let token = hmac_token(key.kid(), key.public_pem().as_bytes(), &claims);
        assert_eq!(header_of(&token), json!({ "typ": "JWT", "alg": "HS256", "kid": key.kid() }));
    }
}
