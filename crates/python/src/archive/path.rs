//! Names of entries, in wheels and in source distributions alike.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::archive_fault;
use crate::{Refused, excerpt};

/// The name of an entry as text, or what is wrong with it: it must be UTF-8 without control characters, and
/// neither empty nor longer than `limit` bytes.
pub(super) fn text(name: &[u8], limit: usize) -> Result<&str, String> {
    if name.len() > limit {
        return Err(format!("an entry name is longer than {limit} bytes"));
    }
    let name = std::str::from_utf8(name)
        .map_err(|_| format!("the entry name '{}' is not UTF-8", excerpt(&String::from_utf8_lossy(name))))?;
    if name.chars().any(char::is_control) {
        return Err(format!("the entry name '{}' holds a control character", excerpt(name)));
    }
    Ok(name)
}

/// Refuses a path that could lead out of the directory into which the archive is unpacked, on any system, or
/// that names one file in several ways.
pub(super) fn check(path: &str) -> Result<(), Refused> {
    match fault(path.strip_suffix('/').unwrap_or(path)) {
        Some(reason) => Err(archive_fault(format!("unsafe path in archive: '{}' {reason}", excerpt(path)))),
        None => Ok(()),
    }
}

fn fault(path: &str) -> Option<&'static str> {
    if path.starts_with('/') {
        return Some("is absolute");
    }
    if let Some(reason) = foreign_fault(path) {
        return Some(reason);
    }
    path.split('/').find_map(|segment| match segment {
        "" => Some("has an empty segment"),
        "." => Some("has a '.' segment"),
        ".." => Some("has a '..' segment"),
        _ => None,
    })
}

/// What other systems than the one at hand would read into a path.
fn foreign_fault(path: &str) -> Option<&'static str> {
    if path.contains('\\') {
        return Some("holds a backslash");
    }
    if path.starts_with('~') {
        return Some("begins with '~'");
    }
    if path.len() >= 2 && path.as_bytes()[0].is_ascii_alphabetic() && path.as_bytes()[1] == b':' {
        return Some("begins with a drive letter");
    }
    None
}

/// Refuses a symbolic link at `link` whose `target` could lead out of the top directory.
///
/// Steps up are allowed only at the beginning of the target: after a name that is itself a link, `..` leads
/// somewhere else than the text says.
pub(super) fn check_symbolic_link(link: &str, target: &str) -> Result<(), Refused> {
    // The directory of the link, the top directory included.
    let depth = link.matches('/').count();
    let mut steps_up = 0;
    let mut named = false;
    let mut fault = foreign_fault(target);
    if target.is_empty() || target.starts_with('/') || target.chars().any(char::is_control) {
        fault = Some("is not a relative path");
    }
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." if named => fault = Some("goes up after a name"),
            ".." => steps_up += 1,
            _ => named = true,
        }
    }
    if steps_up >= depth {
        fault = fault.or(Some("leaves the top directory"));
    }
    match fault {
        Some(reason) => Err(archive_fault(format!(
            "unsafe path in archive: the link '{}' to '{}' {reason}",
            excerpt(link),
            excerpt(target)
        ))),
        None => Ok(()),
    }
}

/// A set of paths that remembers only hashes with a secret key, eight bytes a path whatever its length. An
/// equal hash of two different paths is possible in principle and can not be brought about on purpose.
#[derive(Debug, Default)]
pub(super) struct PathSet {
    hashes: HashSet<u64>,
    state: RandomState,
}

impl PathSet {
    /// Adds a path; false if it was there.
    pub(super) fn insert(&mut self, path: &str) -> bool {
        self.hashes.insert(self.hash(path))
    }

    /// Whether the path is in the set.
    pub(super) fn contains(&self, path: &str) -> bool {
        self.hashes.contains(&self.hash(path))
    }

    /// Whether a directory above `path` is in the set.
    pub(super) fn contains_ancestor(&self, path: &str) -> bool {
        if self.hashes.is_empty() {
            return false;
        }
        let mut hasher = self.state.build_hasher();
        path.bytes().any(|byte| {
            let found = byte == b'/' && self.hashes.contains(&hasher.clone().finish());
            hasher.write(&[byte]);
            found
        })
    }

    fn hash(&self, path: &str) -> u64 {
        let mut hasher = self.state.build_hasher();
        // Byte by byte, as in `contains_ancestor`: a hasher does not promise that the sum of two writes is
        // that of one write.
        path.bytes().for_each(|byte| hasher.write(&[byte]));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in ["a", "a/b.py", "a/", "a~/b~", "a b/ö.txt", "a..b/...", "a/c:d", ".hidden"] {
            check(path).unwrap();
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for path in [
            "", "/", "/a", "//a", "..", "../a", "a/../b", "a/..", "a//b", "a//", "./a", "a/.", "a\\b", "\\a",
            "C:\\x", "C:/x", "c:x", "~", "~/x", "~root/x",
        ] {
            let refusal = check(path).unwrap_err().to_string();
            assert!(refusal.starts_with("unsafe path in archive: '"), "{path}: {refusal}");
        }
    }

    #[test]
    fn names_are_short_printable_utf_8() {
        assert_eq!(text("ö/a".as_bytes(), 4).unwrap(), "ö/a");
        assert!(text(b"abcde", 4).unwrap_err().contains("longer than 4 bytes"));
        assert!(text(b"a\xff", 4).unwrap_err().contains("not UTF-8"));
        assert!(text(b"a\0b", 4).unwrap_err().contains("control character"));
        assert!(text("a\u{85}".as_bytes(), 4).unwrap_err().contains("control character"));
    }

    #[test]
    fn links_stay_in_the_top_directory() {
        for (link, target) in
            [("t/a", "b"), ("t/a", "./b/c"), ("t/d/a", "../b"), ("t/d/e/a", "../../b"), ("t/d/a", "..")]
        {
            check_symbolic_link(link, target).unwrap();
        }
        for (link, target) in [
            ("t/a", ".."),
            ("t/a", "../t/b"),
            ("t/d/a", "../../x"),
            ("t/d/a", "b/../c"),
            ("t/a", "/etc/passwd"),
            ("t/a", ""),
            ("t/a", "b\\c"),
            ("t/a", "C:x"),
            ("t/a", "~/x"),
            ("t/a", "a\nb"),
            ("t", "x"),
        ] {
            let refusal = check_symbolic_link(link, target).unwrap_err().to_string();
            assert!(
                refusal.starts_with("unsafe path in archive: the link '"),
                "{link} -> {target}: {refusal}"
            );
        }
    }

    #[test]
    fn a_set_knows_paths_and_their_ancestors() {
        let mut set = PathSet::default();
        assert!(!set.contains_ancestor("a/b"));
        assert!(set.insert("a/b"));
        assert!(!set.insert("a/b"));
        assert!(set.contains("a/b") && !set.contains("a"));
        assert!(set.contains_ancestor("a/b/c") && set.contains_ancestor("a/b/c/d"));
        assert!(
            !set.contains_ancestor("a/b")
                && !set.contains_ancestor("a/bc/d")
                && !set.contains_ancestor("a/c")
        );
    }

    proptest! {
        #[test]
        fn an_accepted_path_stays_below(path in "[a/.~\\\\:C]{0,12}") {
            if check(&path).is_ok() {
                let joined = std::path::Path::new("/root").join(&path);
                let only_names = joined.components().skip(1).all(|part| matches!(part, std::path::Component::Normal(_)));
                prop_assert!(only_names && joined.starts_with("/root") && joined != std::path::Path::new("/root"));
            }
        }
    }
}
