//! RECORD: the list of all files of a wheel with their hashes and sizes (recording installed projects).

use std::borrow::Cow;
use std::io::{Read, Seek};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::notes::Notes;
use super::zip::Archive;
use super::{REBUILD_WHEEL, RecordPolicy, archive_fault};
use crate::{Refused, excerpt};

/// Decides what becomes of a RECORD that does not match.
pub(super) struct Checker<'a> {
    policy: RecordPolicy,
    notes: &'a mut Notes,
}

impl<'a> Checker<'a> {
    /// Refuses or notes every fault, as `policy` says.
    pub(super) fn new(policy: RecordPolicy, notes: &'a mut Notes) -> Self {
        Self { policy, notes }
    }

    /// Deals with one fault.
    pub(super) fn fault(&mut self, reason: impl FnOnce() -> String) -> Result<(), Refused> {
        match self.policy {
            RecordPolicy::Reject => {
                let reason = reason();
                Err(archive_fault(format!("RECORD does not match the wheel: {reason}; {REBUILD_WHEEL}")))
            }
            RecordPolicy::Warn => {
                self.notes.add(|| format!("RECORD does not match the wheel: {}", reason()));
                Ok(())
            }
        }
    }
}

/// What RECORD says, ordered like the entries of the archive.
pub(super) struct Listing {
    expected: Vec<Option<Expected>>,
}

/// What RECORD says about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    hash: Option<Hash>,
    size: Option<u64>,
}

/// A hash of one of the algorithms that are strong enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256([u8; 32]),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
}

impl Listing {
    /// Reads RECORD. Faults in it, and files that it names and the archive lacks, go to `checker`. The files
    /// `exempt` need no hash: RECORD cannot hold its own, and its signatures are made after it.
    pub(super) fn parse<R: Read + Seek>(
        record: &[u8],
        archive: &Archive<R>,
        exempt: &[String],
        checker: &mut Checker,
    ) -> Result<Self, Refused> {
        let mut expected: Vec<Option<Expected>> = vec![None; archive.entries().len()];
        for line in record.split(|&byte| byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() {
                continue;
            }
            let Some([path, hash, size]) = std::str::from_utf8(line).ok().and_then(split) else {
                checker.fault(|| "a line is not a path, a hash and a size in UTF-8".to_owned())?;
                continue;
            };
            let (path, hash, size) = (&*path, &*hash, &*size);
            if exempt.iter().any(|exempt| exempt == path) {
                continue;
            }
            let Some(index) = archive.find(path) else {
                // Some old tools list directories.
                if !path.ends_with('/') {
                    checker.fault(|| format!("'{}' is listed but not in the archive", excerpt(path)))?;
                }
                continue;
            };
            let entry = match Expected::parse(hash, size) {
                Ok(entry) => entry,
                Err(reason) => {
                    checker.fault(|| format!("{reason} of '{}'", excerpt(path)))?;
                    // Listed all the same: one fault a line is enough.
                    Expected { hash: None, size: None }
                }
            };
            if expected[index].replace(entry).is_some_and(|before| before != entry) {
                checker.fault(|| format!("'{}' is listed twice and differently", excerpt(path)))?;
            }
        }
        Ok(Self { expected })
    }

    /// What RECORD says about the entry `index` of the archive.
    pub(super) fn expected(&self, index: usize) -> Option<&Expected> {
        self.expected[index].as_ref()
    }
}

impl Expected {
    fn parse(hash: &str, size: &str) -> Result<Self, &'static str> {
        let (algorithm, digest) = hash.split_once('=').ok_or("there is no hash")?;
        let hash = match algorithm {
            "sha256" => decode(digest).map(Hash::Sha256),
            "sha384" => decode(digest).map(Hash::Sha384),
            "sha512" => decode(digest).map(Hash::Sha512),
            "md5" | "sha1" | "sha224" => return Err("the hash algorithm is too weak for the entry"),
            _ => return Err("only sha256, sha384 and sha512 can be checked, unlike the hash"),
        };
        let hash = hash.ok_or("the hash is malformed, that")?;
        let size = match size {
            "" => None,
            size if size.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(size.parse().map_err(|_| "the size is too large, that")?)
            }
            _ => return Err("the size is malformed, that"),
        };
        Ok(Self { hash: Some(hash), size })
    }

    /// A hasher of the right algorithm.
    pub(super) fn hasher(&self) -> Hasher {
        match self.hash {
            None => Hasher::None,
            Some(Hash::Sha256(_)) => Hasher::Sha256(Sha256::new()),
            Some(Hash::Sha384(_)) => Hasher::Sha384(Sha384::new()),
            Some(Hash::Sha512(_)) => Hasher::Sha512(Sha512::new()),
        }
    }

    /// What differs from a file of `size` bytes that `hasher` has read.
    pub(super) fn difference(&self, size: u64, hasher: Hasher) -> Option<&'static str> {
        if self.size.is_some_and(|expected| expected != size) {
            return Some("size");
        }
        (hasher.finish() != self.hash).then_some("hash")
    }
}

/// A hash in the making.
pub(super) enum Hasher {
    /// Nothing is to be compared.
    None,
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-384.
    Sha384(Sha384),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// Reads more content.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Option<Hash> {
        match self {
            Self::None => None,
            Self::Sha256(hasher) => Some(Hash::Sha256(hasher.finalize().into())),
            Self::Sha384(hasher) => Some(Hash::Sha384(hasher.finalize().into())),
            Self::Sha512(hasher) => Some(Hash::Sha512(hasher.finalize().into())),
        }
    }
}

/// The three fields of a line of comma-separated values (RFC 4180): a field with a comma or a quotation mark in
/// it stands between quotation marks, and those within are doubled. No entry has a line break in its name, so
/// that every line is a row; and a line of very many fields is not collected first.
fn split(line: &str) -> Option<[Cow<'_, str>; 3]> {
    let (path, rest) = field(line)?;
    let (hash, rest) = field(rest?)?;
    let (size, rest) = field(rest?)?;
    rest.is_none().then_some([path, hash, size])
}

/// The first field of a line, and what follows the comma behind it if there is one.
fn field(line: &str) -> Option<(Cow<'_, str>, Option<&str>)> {
    let Some(mut rest) = line.strip_prefix('"') else {
        let (field, rest) = line.split_once(',').map_or((line, None), |(field, rest)| (field, Some(rest)));
        return Some((field.into(), rest));
    };
    let mut field = String::new();
    loop {
        let (before, after) = rest.split_once('"')?;
        field.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None if after.is_empty() => return Some((field.into(), None)),
            None => return Some((field.into(), Some(after.strip_prefix(',')?))),
        }
    }
}

/// A digest in URL-safe base 64 without padding, of exactly the right length.
fn decode<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    // Anything longer is wrong; looking at the length first keeps the memory small.
    if text.len() > LENGTH * 2 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    #[test]
    fn hashes_and_sizes_are_compared() {
        let expected = Expected::parse(EMPTY, "0").unwrap();
        assert_eq!(expected.difference(0, expected.hasher()), None);
        assert_eq!(expected.difference(1, expected.hasher()), Some("size"));
        let mut hasher = expected.hasher();
        hasher.update(b"a");
        assert_eq!(expected.difference(0, hasher), Some("hash"));
        let without_size = Expected::parse(EMPTY, "").unwrap();
        assert_eq!(without_size.difference(7, without_size.hasher()), None);
    }

    #[test]
    fn lines_have_three_fields() {
        for (line, fields) in [
            ("a/b.py,sha256=x,1", ["a/b.py", "sha256=x", "1"]),
            (",,", ["", "", ""]),
            ("\"a,\"\"b\"\"\",,\"\"", ["a,\"b\"", "", ""]),
            ("a\"b\",c,d", ["a\"b\"", "c", "d"]),
        ] {
            assert_eq!(split(line).expect(line), fields, "{line}");
        }
        for line in ["", "a", "a,b", "a,b,c,", "a,b,c,d", "\"a,b,c", "\"a\"b,c,d", "a,b,\"c"] {
            assert_eq!(split(line), None, "{line}");
        }
    }

    #[test]
    fn all_strong_algorithms_are_known() {
        let long = |algorithm: &str, digest: &[u8]| format!("{algorithm}={}", URL_SAFE_NO_PAD.encode(digest));
        for hash in [long("sha384", &Sha384::digest(b"abc")), long("sha512", &Sha512::digest(b"abc"))] {
            let expected = Expected::parse(&hash, "3").unwrap();
            let mut hasher = expected.hasher();
            hasher.update(b"abc");
            assert_eq!(expected.difference(3, hasher), None, "{hash}");
        }
    }

    #[test]
    fn weak_unknown_and_malformed_hashes_are_faults() {
        for hash in [
            "",
            "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
            "md5=1B2M2Y8AsgTpgAmY7PhCfg",
            "sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk",
            "blake2b=AA",
            "sha256=",
            "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
            "sha256=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            "sha384=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
            "SHA256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
        ] {
            assert!(Expected::parse(hash, "0").is_err(), "{hash}");
        }
        for size in ["-1", "1.0", "x", "+1", "99999999999999999999999"] {
            assert!(Expected::parse(EMPTY, size).is_err(), "{size}");
        }
    }
}
