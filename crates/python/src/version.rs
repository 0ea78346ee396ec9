//! Versions (packaging specification "Version specifiers", PEP 440).

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use pep440_rs::{LocalSegment, PrereleaseKind};

use crate::error::{Code, Invalid, excerpt};

/// The longest version that is accepted, in bytes, both as written and as canonical text.
pub const MAX_VERSION_BYTES: usize = 100;

/// A version. It displays as the canonical text of what was written: `1.0-RC.1` is `1.0rc1`, but trailing
/// zeros stay, so `1.0.0` is not displayed as `1.0`. Comparison follows the specification, by which these two
/// are equal.
#[derive(Debug, Clone)]
pub struct Version {
    inner: pep440_rs::Version,
}

impl Version {
    /// A text that is the same for equal versions and only for them: the canonical text without trailing zeros
    /// of the release part. It is itself a version.
    pub fn release_key(&self) -> String {
        let significant = self.significant_release();
        self.inner.clone().with_release(if significant.is_empty() { &[0] } else { significant }).to_string()
    }

    /// Whether it is a pre-release or a development release.
    pub fn is_prerelease(&self) -> bool {
        self.inner.any_prerelease()
    }

    /// A text whose bytes compare like the versions do, for a database that knows nothing of versions. Equal
    /// versions have the same key.
    pub fn sort_key(&self) -> String {
        // Each part begins with a character that decides between "absent" and "present" in the order of the
        // specification; numbers carry their length first; lists end in a mark that is lower than any element.
        const LOWEST: char = '0';
        const HIGHEST: char = '9';
        const END: char = '-';

        let mut key = String::new();
        push_number(&mut key, self.inner.epoch());
        for number in self.significant_release() {
            push_number(&mut key, *number);
        }
        key.push(END);
        match (self.inner.pre(), self.inner.post(), self.inner.dev()) {
            (Some(prerelease), _, _) => {
                key.push(match prerelease.kind {
                    PrereleaseKind::Alpha => '1',
                    PrereleaseKind::Beta => '2',
                    PrereleaseKind::Rc => '3',
                });
                push_number(&mut key, prerelease.number);
            }
            // A development release of the release itself comes before all of its pre-releases.
            (None, None, Some(_)) => key.push(LOWEST),
            (None, _, _) => key.push(HIGHEST),
        }
        match self.inner.post() {
            Some(number) => {
                key.push('1');
                push_number(&mut key, number);
            }
            None => key.push(LOWEST),
        }
        match self.inner.dev() {
            Some(number) => {
                key.push('1');
                push_number(&mut key, number);
            }
            None => key.push(HIGHEST),
        }
        for segment in self.inner.local() {
            match segment {
                LocalSegment::String(text) => {
                    key.push('1');
                    key.push_str(text);
                    key.push(END);
                }
                LocalSegment::Number(number) => {
                    key.push('2');
                    push_number(&mut key, *number);
                }
            }
        }
        key.push(END);
        key
    }

    /// The release part without its trailing zeros; empty if it is all zeros.
    fn significant_release(&self) -> &[u64] {
        let release = self.inner.release();
        let length = release.iter().rposition(|number| *number != 0).map_or(0, |last| last + 1);
        &release[..length]
    }
}

/// Appends a number so that texts compare like numbers: a letter for the count of digits, then the digits.
fn push_number(key: &mut String, number: u64) {
    let digits = number.checked_ilog10().unwrap_or(0);
    // `u64` has at most 20 digits, so the letter is one of `a` to `t`.
    key.push(char::from(b'a' + u8::try_from(digits).expect("a logarithm of a 64-bit number is below 20")));
    write!(key, "{number}").expect("writing to a string cannot fail");
}

impl FromStr for Version {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            Invalid::new(
                Code::Version,
                format!(
                    "Invalid version '{}': use a version such as 1.0, 2.1rc1 or 1.0+local (PEP 440)",
                    excerpt(text)
                ),
            )
        };
        // The parser below forgives white space around the version; a file name or a metadata field that has
        // some is damaged.
        let is_trimmed = text.trim().len() == text.len();
        if text.len() > MAX_VERSION_BYTES || !is_trimmed || !text.is_ascii() {
            return Err(invalid());
        }
        let version = Self { inner: text.parse().map_err(|_| invalid())? };
        // A number of the local part that needs more than 64 bits is kept as a text by the parser, and would
        // be compared as one.
        let is_overlong_number = |segment: &LocalSegment| match segment {
            LocalSegment::String(text) => text.bytes().all(|byte| byte.is_ascii_digit()),
            LocalSegment::Number(_) => false,
        };
        // The canonical text, which is what is stored, may be longer: `1c` is `1rc0`.
        let is_too_long = version.to_string().len() > MAX_VERSION_BYTES;
        if is_too_long || version.inner.local().iter().any(is_overlong_number) {
            return Err(invalid());
        }
        Ok(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, formatter)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.inner.cmp(&other.inner)
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn displays_canonically_and_keeps_zeros() {
        for (written, canonical, key) in [
            ("1.0", "1.0", "1"),
            ("1.0.0", "1.0.0", "1"),
            ("0", "0", "0"),
            ("0.0.0", "0.0.0", "0"),
            ("v1.0-RC.1", "1.0rc1", "1rc1"),
            ("1!2.0", "1!2.0", "1!2"),
            ("0!2.0", "2.0", "2"),
            ("1.0-1", "1.0.post1", "1.post1"),
            ("1.0a", "1.0a0", "1a0"),
            ("1.0.dev", "1.0.dev0", "1.dev0"),
            ("1.0+CU118-abc_1", "1.0+cu118.abc.1", "1+cu118.abc.1"),
            ("01.02", "1.2", "1.2"),
            ("1.0+001", "1.0+1", "1+1"),
        ] {
            assert_eq!(version(written).to_string(), canonical, "{written}");
            assert_eq!(version(written).release_key(), key, "{written}");
        }
    }

    #[test]
    fn texts_that_are_refused() {
        let long = format!("1.{}", "0".repeat(MAX_VERSION_BYTES));
        // As long as allowed when written, and longer as canonical text.
        let grows = format!("1c+{}", "a".repeat(MAX_VERSION_BYTES - 3));
        for text in [
            "",
            "1.0.*",
            " 1.0",
            "1.0\n",
            "abc",
            "1.0-",
            "1.0+",
            "1..0",
            "1.0+é",
            "１.0",
            "1.0+99999999999999999999",
            &long,
            &grows,
        ] {
            assert_eq!(text.parse::<Version>().expect_err(text).code, Code::Version);
        }
    }

    #[test]
    fn order_of_the_specification() {
        let ascending = [
            "0.9",
            "1.0.dev1",
            "1.0a1.dev1",
            "1.0a1",
            "1.0a2.post1.dev3",
            "1.0a2.post1",
            "1.0b1",
            "1.0rc1",
            "1.0",
            "1.0+abc",
            "1.0+abc.1",
            "1.0+abd",
            "1.0+5",
            "1.0+5.a",
            "1.0+10",
            "1.0.post1.dev1",
            "1.0.post1",
            "1.0.1",
            "1.1",
            "1.9",
            "1.10",
            "2024.1",
            "1!0.1",
            "10!0",
        ];
        for pair in ascending.windows(2) {
            let (lower, higher) = (version(pair[0]), version(pair[1]));
            assert!(lower < higher, "{lower} < {higher}");
            assert!(lower.sort_key() < higher.sort_key(), "{lower} < {higher}");
        }
    }

    #[test]
    fn prereleases() {
        for (text, expected) in [("1.0", false), ("1.0.post1", false), ("1.0rc1", true), ("1.0.dev1", true)] {
            assert_eq!(version(text).is_prerelease(), expected, "{text}");
        }
    }

    /// Versions in many spellings, dense enough that equal ones meet.
    pub(crate) fn any_spelling() -> impl Strategy<Value = String> {
        "(v?([01]!)?(0|1|9|10|100)(\\.(0|00|1|10)){0,3}([-_.]?(a|b|c|rc|alpha|BETA|pre|preview)[-.]?(0|1|12)?)?(-[01]|[._-]?(post|rev|r)[0-2]?)?([._-]?dev[0-2]?)?(\\+(0|1|01|10|a|ab|abc|A1)([._-](0|2|a|b)){0,2})?)"
    }

    proptest! {
        #[test]
        fn keys_follow_the_order(left in any_spelling(), right in any_spelling()) {
            let (left, right): (Version, Version) = (left.parse().unwrap(), right.parse().unwrap());
            prop_assert_eq!(left.sort_key().cmp(&right.sort_key()), left.cmp(&right), "{} {}", left, right);
            prop_assert_eq!(left.release_key() == right.release_key(), left == right);
        }

        #[test]
        fn big_numbers_keep_their_order(left in any::<u64>(), right in any::<u64>()) {
            let key = |number: u64| version(&number.to_string()).sort_key();
            prop_assume!(left < u64::MAX && right < u64::MAX);
            prop_assert_eq!(key(left).cmp(&key(right)), left.cmp(&right));
        }

        #[test]
        fn canonical_text_and_key_are_stable(written in any_spelling()) {
            let parsed: Version = written.parse().unwrap();
            let again = version(&parsed.to_string());
            prop_assert_eq!(again.to_string(), parsed.to_string());
            let key = version(&parsed.release_key());
            prop_assert_eq!(&key, &parsed);
            prop_assert_eq!(key.release_key(), parsed.release_key());
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in any::<String>()) {
            let _ = text.parse::<Version>();
        }
    }
}
