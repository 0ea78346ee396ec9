//! Secrets at rest that have to be read again: sealed with a key that the database does not hold.
//!
//! A sealed secret is `version (1) | key (4) | nonce (12) | ciphertext and tag`, AES-256-GCM (NIST SP 800-38D).
//! What it is for and which row it belongs to are authenticated with it, so that one who can write to the
//! database cannot put a secret of its own in the place of somebody else's. Each purpose has a key of its own,
//! derived from the configured one (HKDF, RFC 5869).

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::{OpenError, Settings, random};

/// Bytes of a key.
const KEY_LENGTH: usize = 32;
/// The only form there is.
const VERSION: u8 = 1;
/// Bytes that tell which key it was.
const KEY_ID_LENGTH: usize = 4;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH;

/// What a sealed secret is for. One is never accepted in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A key that access tokens are signed with; its row is the key's name.
    SigningKey,
    /// A secret of one-time passwords; its row is the user's key.
    SecondFactor,
    /// What a browser keeps while somebody is away at an identity provider; its row is the provider's name.
    SignInState,
}

impl Purpose {
    const ALL: [Self; 3] = [Self::SigningKey, Self::SecondFactor, Self::SignInState];

    const fn as_str(self) -> &'static str {
        match self {
            Self::SigningKey => "signing-key",
            Self::SecondFactor => "second-factor",
            Self::SignInState => "sign-in-state",
        }
    }
}

/// One configured key.
struct Key {
    id: [u8; KEY_ID_LENGTH],
    /// By purpose, in the order of [`Purpose::ALL`].
    derived: Vec<RandomizedNonceKey>,
}

impl Key {
    fn new(bytes: &[u8; KEY_LENGTH]) -> Self {
        let digest = Sha256::new().chain_update("larder sealing key").chain_update(bytes).finalize();
        let mut id = [0; KEY_ID_LENGTH];
        id.copy_from_slice(&digest[..KEY_ID_LENGTH]);
        let derived = Purpose::ALL.iter().map(|purpose| derive(bytes, *purpose)).collect();
        Self { id, derived }
    }

    fn parse(text: &SecretString, name: &'static str) -> Result<Self, OpenError> {
        let unusable = || OpenError::SealingKey { name };
        let bytes = Zeroizing::new(STANDARD.decode(text.expose_secret().trim()).map_err(|_| unusable())?);
        let bytes: &[u8; KEY_LENGTH] = bytes.as_slice().try_into().map_err(|_| unusable())?;
        // Zeros, or one letter over and over, is what somebody writes who wants to get past this line.
        if bytes.iter().all(|byte| *byte == bytes[0]) {
            return Err(unusable());
        }
        Ok(Self::new(bytes))
    }

    fn of(&self, purpose: Purpose) -> &RandomizedNonceKey {
        let index = Purpose::ALL.iter().position(|known| *known == purpose);
        &self.derived[index.expect("all purposes are listed")]
    }
}

fn derive(bytes: &[u8; KEY_LENGTH], purpose: Purpose) -> RandomizedNonceKey {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"larder sealing");
    let mut derived = Zeroizing::new([0; KEY_LENGTH]);
    let info = [purpose.as_str().as_bytes()];
    salt.extract(bytes)
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|material| material.fill(derived.as_mut_slice()))
        .expect("one block of output is always allowed");
    RandomizedNonceKey::new(&AES_256_GCM, derived.as_slice()).expect("the key has the cipher's length")
}

/// Seals and opens.
pub(crate) struct Sealer {
    current: Key,
    before: Vec<Key>,
    is_lasting: bool,
}

impl Sealer {
    pub(crate) fn new(settings: &Settings) -> Result<Self, OpenError> {
        let current = match &settings.sealing_key {
            Some(text) => Key::parse(text, "auth.sealing_key")?,
            None => Key::new(&Zeroizing::new(random::bytes())),
        };
        let before = settings
            .sealing_keys_before
            .iter()
            .map(|text| Key::parse(text, "auth.sealing_keys_before"))
            .collect::<Result<_, _>>()?;
        Ok(Self { current, before, is_lasting: settings.sealing_key.is_some() })
    }

    /// Whether what is sealed now can be opened after the next start.
    pub(crate) fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// Seals a secret for one purpose and one row.
    pub(crate) fn seal(&self, purpose: Purpose, row: &str, secret: &[u8]) -> Vec<u8> {
        let mut body = secret.to_vec();
        let nonce = self
            .current
            .of(purpose)
            .seal_in_place_append_tag(aad(purpose, row, self.current.id), &mut body)
            .expect("secrets are far shorter than the cipher's limit");
        let mut sealed = Vec::with_capacity(HEADER_LENGTH + NONCE_LEN + body.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.current.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what was sealed for this purpose and this row, with the present key or an earlier one. None for
    /// anything else.
    pub(crate) fn open(&self, purpose: Purpose, row: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (version, rest) = sealed.split_first()?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>()?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>()?;
        if *version != VERSION {
            return None;
        }
        let nonce = *nonce;
        // Two keys may have the same name by chance: each is tried.
        let keys = std::iter::once(&self.current).chain(&self.before).filter(|key| key.id == *id);
        for key in keys {
            let mut body = Zeroizing::new(body.to_vec());
            let opened = key.of(purpose).open_in_place(
                Nonce::assume_unique_for_key(nonce),
                aad(purpose, row, *id),
                &mut body,
            );
            if let Ok(plain) = opened {
                let length = plain.len();
                body.truncate(length);
                return Some(body);
            }
        }
        None
    }

    /// Whether this was sealed with the present key.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..HEADER_LENGTH).is_some_and(|id| *id == self.current.id)
    }
}

fn aad(purpose: Purpose, row: &str, id: [u8; KEY_ID_LENGTH]) -> Aad<Vec<u8>> {
    // No purpose has a zero byte in it, so nothing of one runs into the other.
    let parts: [&[u8]; 5] = [&[VERSION], &id, purpose.as_str().as_bytes(), &[0], row.as_bytes()];
    Aad::from(parts.concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(first: u8) -> SecretString {
        let bytes: Vec<u8> = (0..32).map(|index| first ^ index).collect();
        STANDARD.encode(bytes).into()
    }

    fn sealer(current: u8, before: &[u8]) -> Sealer {
        let settings = Settings {
            sealing_key: Some(key(current)),
            sealing_keys_before: before.iter().map(|first| key(*first)).collect(),
            ..Settings::default()
        };
        Sealer::new(&settings).unwrap()
    }

    #[test]
    fn what_is_sealed_is_opened_and_looks_different_each_time() {
        let sealer = sealer(1, &[]);
        let blob = sealer.seal(Purpose::SigningKey, "k1", b"secret");
        assert_eq!(*sealer.open(Purpose::SigningKey, "k1", &blob).unwrap(), b"secret");
        assert_ne!(blob, sealer.seal(Purpose::SigningKey, "k1", b"secret"));
        assert!(!blob.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn t44_a_sealed_secret_moved_to_another_row_or_purpose_is_none() {
        let sealer = sealer(1, &[]);
        let blob = sealer.seal(Purpose::SecondFactor, "7", b"secret");
        assert!(sealer.open(Purpose::SecondFactor, "8", &blob).is_none());
        assert!(sealer.open(Purpose::SecondFactor, "", &blob).is_none());
        assert!(sealer.open(Purpose::SigningKey, "7", &blob).is_none());
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealer = sealer(1, &[2]);
        let blob = sealer.seal(Purpose::SecondFactor, "7", b"secret");
        for index in 0..blob.len() {
            for bit in 0..8 {
                let mut changed = blob.clone();
                changed[index] ^= 1 << bit;
                assert!(sealer.open(Purpose::SecondFactor, "7", &changed).is_none(), "byte {index}");
            }
            assert!(sealer.open(Purpose::SecondFactor, "7", &blob[..index]).is_none());
        }
    }

    #[test]
    fn an_earlier_key_opens_and_a_forgotten_one_does_not() {
        let old = sealer(1, &[]).seal(Purpose::SecondFactor, "7", b"secret");
        let rotated = sealer(2, &[1]);
        assert_eq!(*rotated.open(Purpose::SecondFactor, "7", &old).unwrap(), b"secret");
        assert!(!rotated.is_current(&old));
        assert!(rotated.is_current(&rotated.seal(Purpose::SecondFactor, "7", b"secret")));
        assert!(sealer(2, &[]).open(Purpose::SecondFactor, "7", &old).is_none());
    }

    #[test]
    fn t44_weak_and_malformed_keys_are_refused() {
        let zeros = STANDARD.encode([0; 32]);
        let short = STANDARD.encode([1; 31]);
        for text in ["", "changeme", "!!", zeros.as_str(), short.as_str()] {
            let settings = Settings { sealing_key: Some(text.into()), ..Settings::default() };
            let answer = Sealer::new(&settings);
            assert!(matches!(answer, Err(OpenError::SealingKey { .. })), "{text}");
        }
        assert!(!Sealer::new(&Settings::default()).unwrap().is_lasting());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(sealer(1, &[]).open(Purpose::SigningKey, "k", &bytes).is_none());
        }
    }
}
