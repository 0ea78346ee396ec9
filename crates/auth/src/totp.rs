//! Time-based one-time passwords (RFC 6238), as every authenticator program has them: HMAC-SHA-1, 30 seconds, six
//! digits.

use aws_lc_rs::hmac;
use clock::Timestamp;
use secrecy::zeroize::Zeroizing;

/// Bytes of a secret: as many as SHA-1 gives (RFC 4226 §4, R6).
pub(crate) const SECRET_LENGTH: usize = 20;
/// Seconds of a time step.
const STEP: i64 = 30;
/// Digits of a code.
pub(crate) const DIGITS: usize = 6;
/// How many steps a clock may be wrong, either way.
const DRIFT: i64 = 1;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The step that `code` belongs to, if it is a code of this secret at about this time that is newer than the last
/// one that was used.
pub(crate) fn verify(secret: &[u8], code: &str, now: Timestamp, last_step: i64) -> Option<i64> {
    let code = normalize(code)?;
    let present = now.as_secs().div_euclid(STEP);
    let mut found = None;
    // All are compared, whichever it is.
    for step in present - DRIFT..=present + DRIFT {
        let expected = at_step(secret, step);
        let is_equal = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), &code).is_ok();
        if is_equal && step > last_step {
            found = Some(step);
        }
    }
    found
}

/// The six digits, without the blanks and the dash that people type between them.
fn normalize(code: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = code.bytes().filter(|byte| !matches!(byte, b' ' | b'-')).collect();
    (code.len() <= 16 && digits.len() == DIGITS && digits.iter().all(u8::is_ascii_digit)).then_some(digits)
}

/// The code of one step (RFC 4226 §5.3).
pub(crate) fn at_step(secret: &[u8], step: i64) -> Zeroizing<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let mut word = [0; 4];
    word.copy_from_slice(&tag[offset..offset + 4]);
    let number = u32::from_be_bytes(word) & 0x7fff_ffff;
    Zeroizing::new(format!("{:06}", number % 1_000_000))
}

/// The code at this moment, as the user's program shows it.
#[cfg(test)]
pub(crate) fn at(secret: &[u8], now: Timestamp) -> String {
    at_step(secret, now.as_secs().div_euclid(STEP)).to_string()
}

/// A secret as authenticator programs take it (base32 without padding, RFC 4648 §6).
pub(crate) fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(BASE32[(bits >> count & 31) as usize]));
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(char::from(BASE32[(bits << (5 - count) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6238, appendix B.
    const SECRET: &[u8] = b"12345678901234567890";

    fn at_second(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(at(SECRET, at_second(seconds)), code);
            assert_eq!(verify(SECRET, code, at_second(seconds), 0), Some(seconds / 30));
        }
    }

    #[test]
    fn one_step_early_or_late_is_right_and_two_are_not() {
        let code = at(SECRET, at_second(3_000));
        for (seconds, is_right) in [(2_939, false), (2_970, true), (3_059, true), (3_060, false)] {
            assert_eq!(verify(SECRET, &code, at_second(seconds), 0).is_some(), is_right, "{seconds}");
        }
    }

    #[test]
    fn a_step_counts_once() {
        let code = at(SECRET, at_second(3_000));
        assert_eq!(verify(SECRET, &code, at_second(3_000), 99), Some(100));
        assert_eq!(verify(SECRET, &code, at_second(3_000), 100), None);
    }

    #[test]
    fn people_type_blanks() {
        assert!(verify(SECRET, " 287 082 ", at_second(59), 0).is_some());
        for code in ["", "28708", "2870820", "28708a", "٢٨٧٠٨٢", "287082                "] {
            assert!(verify(SECRET, code, at_second(59), 0).is_none(), "{code}");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (text, encoded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(text.as_bytes()), encoded);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(code in ".{0,20}") {
            verify(SECRET, &code, at_second(59), 0);
        }
    }
}
