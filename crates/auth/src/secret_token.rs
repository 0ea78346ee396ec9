//! The form of tokens that are shown once: `lrd_<kind>_<43 base62><6 base62>`.
//!
//! The first part is 256 random bits, the second the CRC-32 of everything before it. So a mistyped or
//! invented token is refused without asking the database, and a scanner for leaked secrets finds ours with
//! one expression: `lrd_[a-z]{3}_[0-9A-Za-z]{49}`. Only letters, digits and underscores: a double click
//! selects all of it.

use access::AccountKind;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::random;

/// How every token of ours begins. What begins so is never taken for a password.
pub(crate) const PREFIX: &str = "lrd_";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;

/// What a token is for. One kind is never accepted in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Made by a user, for scripts and clients.
    Personal,
    /// Made by an administrator for a service account.
    Service,
    /// Given for the token of a job, for as long as the job may take.
    Job,
    /// Given to a client at sign-in, to get access tokens with.
    Refresh,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Self; 4] = [Self::Personal, Self::Service, Self::Job, Self::Refresh];
    /// The kinds that are credentials: a refresh token is good for getting access tokens and nothing else.
    pub(crate) const CREDENTIALS: [Self; 3] = [Self::Personal, Self::Service, Self::Job];

    /// As it is written in the token and in the database.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Personal => "pat",
            Self::Service => "sat",
            Self::Job => "cit",
            Self::Refresh => "idt",
        }
    }

    /// Whose tokens are of this kind.
    pub(crate) const fn account(self) -> AccountKind {
        match self {
            Self::Personal | Self::Refresh => AccountKind::Person,
            Self::Service | Self::Job => AccountKind::Service,
        }
    }
}

/// A new token.
pub(crate) fn generate(kind: Kind) -> SecretString {
    let mut token = format!("{PREFIX}{}_", kind.as_str());
    token.push_str(&random_text(&random::bytes::<32>()));
    token.push_str(&checksum(&token));
    token.into()
}

/// What the token claims to be; none when it is not one of ours. Does not tell whether it is known.
pub(crate) fn parse(token: &str) -> Option<Kind> {
    let rest = token.strip_prefix(PREFIX)?;
    let (kind, secret) = rest.split_once('_')?;
    let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
    let well_formed = secret.len() == RANDOM_LENGTH + CHECKSUM_LENGTH
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !well_formed {
        return None;
    }
    let (covered, check) = token.split_at(token.len() - CHECKSUM_LENGTH);
    (checksum(covered) == check).then_some(kind)
}

/// Under what a token is stored and found. With 256 random bits in it, one fast hash is enough.
pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// What of a token may be shown again, so that its owner recognizes it.
pub(crate) fn hint(token: &SecretString) -> String {
    let token = token.expose_secret();
    let (start, _) = token.split_at(PREFIX.len() + 4);
    let (_, end) = token.split_at(token.len() - 4);
    format!("{start}…{end}")
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [ALPHABET[0]; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.into_iter().map(char::from).collect()
}

/// 256 bits as base62, most significant digit first: 62^43 is just above 2^256.
pub(crate) fn random_text(bytes: &[u8; 32]) -> String {
    let mut number = *bytes;
    let mut digits = [ALPHABET[0]; RANDOM_LENGTH];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("a remainder below 62 keeps the quotient in a byte");
            remainder = value % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn t37_what_holds_a_secret_cannot_be_compared() {
        trait Ambiguous<Way> {
            fn is_one_of_its_kind() {}
        }
        impl<T> Ambiguous<()> for T {}
        impl<T: PartialEq> Ambiguous<u8> for T {}
        // With a `==` there would be two ways to read this, and it would not compile.
        <SecretString as Ambiguous<_>>::is_one_of_its_kind();
    }

    #[test]
    fn a_new_token_has_the_form_and_is_recognized() {
        for kind in Kind::ALL {
            let token = generate(kind);
            let text = token.expose_secret();
            assert_eq!(text.len(), 57);
            assert!(text.starts_with(&format!("lrd_{}_", kind.as_str())));
            assert_eq!(parse(text), Some(kind));
            assert_ne!(text, generate(kind).expose_secret());
            assert!(hint(&token).len() < 20);
        }
    }

    #[test]
    fn base62_of_known_numbers() {
        assert_eq!(random_text(&[0; 32]), "0".repeat(43));
        let mut small = [0; 32];
        small[30] = 1; // 256 = 4 * 62 + 8
        assert_eq!(random_text(&small), format!("{}48", "0".repeat(41)));
        assert_eq!(random_text(&[255; 32]), "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1");
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let token = generate(Kind::Personal);
        let text = token.expose_secret();
        for index in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[index] = if bytes[index] == b'a' { b'b' } else { b'a' };
            assert_eq!(parse(&String::from_utf8(bytes).unwrap()), None, "position {index}");
        }
    }

    #[test]
    fn a_kind_cannot_be_exchanged() {
        let token = generate(Kind::Refresh);
        assert_eq!(parse(&token.expose_secret().replace("lrd_idt_", "lrd_pat_")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            prop_assert_eq!(parse(&text), None);
        }

        #[test]
        fn near_tokens_are_survived(text in "lrd_(pat|sat|cit|idt|xyz)_.{40,50}") {
            prop_assert_eq!(parse(&text), None);
        }
    }
}
