//! The WHEEL file: how a wheel was built and for which systems.

use std::collections::BTreeSet;

use super::notes::Notes;
use super::{REBUILD_WHEEL, archive_fault};
use crate::{FileName, Refused, excerpt};

/// The most single tags that are compared; a compressed tag can stand for very many.
const MOST_TAGS: usize = 10_000;

/// What matters of a WHEEL file.
#[derive(Debug)]
pub(super) struct WheelFile<'a> {
    version: &'a str,
    tags: Vec<&'a str>,
}

impl<'a> WheelFile<'a> {
    /// Reads `Key: value` lines.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Refused> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| archive_fault(format!("WHEEL is not UTF-8; {REBUILD_WHEEL}")))?;
        let mut version = None;
        let mut tags = Vec::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            if key.eq_ignore_ascii_case("Wheel-Version") {
                version = version.or(Some(value));
            } else if key.eq_ignore_ascii_case("Tag") {
                tags.push(value);
            }
        }
        let version =
            version.ok_or_else(|| archive_fault(format!("WHEEL has no Wheel-Version; {REBUILD_WHEEL}")))?;
        Ok(Self { version, tags })
    }

    /// Checks the version of the format, and compares the tags with those of the file name.
    pub(super) fn check(&self, file: &FileName, notes: &mut Notes) -> Result<(), Refused> {
        let mut numbers = self.version.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(1)), None | Some(Ok(0)), None) => {}
            (Some(Ok(1)), Some(Ok(_)), None) => {
                notes
                    .add(|| format!("WHEEL has the Wheel-Version {}, newer than 1.0", excerpt(self.version)));
            }
            _ => {
                return Err(archive_fault(format!(
                    "WHEEL has the unsupported Wheel-Version '{}'; build a wheel of version 1.0",
                    excerpt(self.version)
                )));
            }
        }
        let Some(tags) = file.tags() else { return Ok(()) };
        let mut named = SingleTags::default();
        let parts = [&tags.python, &tags.abi, &tags.platform].map(|part| part.iter().map(String::as_str));
        let comparable = named.add(parts).and_then(|()| self.single_tags());
        if comparable.is_none_or(|stated| stated.tags != named.tags) {
            notes.add(|| "the tags in WHEEL are not those in the file name".to_owned());
        }
        Ok(())
    }

    /// The tags, if they are well formed and not too many.
    fn single_tags(&self) -> Option<SingleTags> {
        let mut stated = SingleTags::default();
        for tag in &self.tags {
            let mut parts = tag.splitn(3, '-').map(|part| part.split('.'));
            stated.add([parts.next()?, parts.next()?, parts.next()?])?;
        }
        Some(stated)
    }
}

/// The single tags, in lower case, that compressed tags stand for.
#[derive(Debug, Default)]
struct SingleTags {
    tags: BTreeSet<String>,
    /// How many were added, the repeated ones included: repetition costs time as well.
    added: usize,
}

impl SingleTags {
    /// Adds all combinations of the parts; nothing if they are too many.
    fn add<'a>(&mut self, parts: [impl Iterator<Item = &'a str> + Clone; 3]) -> Option<()> {
        let [pythons, abis, platforms] = parts;
        let counts = [pythons.clone().count(), abis.clone().count(), platforms.clone().count()];
        let count = counts.into_iter().try_fold(1_usize, usize::checked_mul)?;
        self.added = self.added.checked_add(count).filter(|&added| added <= MOST_TAGS)?;
        for python in pythons {
            for abi in abis.clone() {
                for platform in platforms.clone() {
                    self.tags.insert(format!("{python}-{abi}-{platform}").to_ascii_lowercase());
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn warnings(wheel: &str, file: &str) -> Result<Vec<String>, String> {
        let mut notes = Notes::default();
        WheelFile::parse(wheel.as_bytes())
            .and_then(|wheel| wheel.check(&file.parse().unwrap(), &mut notes))
            .map_err(|refused| refused.to_string())?;
        Ok(notes.into_warnings())
    }

    #[test]
    fn expanded_and_compressed_tags_are_equal() {
        let file = "six-1.17.0-py2.py3-none-any.whl";
        for tags in [
            "Tag: py2-none-any\nTag: py3-none-any\n",
            "Tag: py3.py2-none-any",
            "tag:PY2-none-any\r\nTag: py3-none-any",
        ] {
            let wheel = format!("Wheel-Version: 1.0\nGenerator: x\n{tags}");
            assert_eq!(warnings(&wheel, file).unwrap(), [""; 0], "{tags}");
        }
    }

    #[test]
    fn other_tags_give_a_warning() {
        let many = vec!["a"; 200].join(".");
        for tags in ["", "Tag: py3-none-any", "Tag: x", &format!("Tag: {many}-{many}-{many}")] {
            let wheel = format!("Wheel-Version: 1.0\n{tags}\n");
            let warnings = warnings(&wheel, "six-1.17.0-py2.py3-none-any.whl").unwrap();
            assert!(warnings.len() == 1 && warnings[0].contains("tags in WHEEL"), "{warnings:?}");
        }
    }

    #[test]
    fn the_version_of_the_format_is_1() {
        let file = "a-1-py3-none-any.whl";
        assert!(
            warnings("Wheel-Version: 1.9\nTag: py3-none-any", file).unwrap()[0].contains("newer than 1.0")
        );
        assert_eq!(warnings("Wheel-Version: 1\nTag: py3-none-any", file).unwrap(), [""; 0]);
        for wheel in ["Wheel-Version: 2.0", "Wheel-Version: ", "Wheel-Version: x", "Wheel-Version: 1.0.0", ""]
        {
            assert!(warnings(wheel, file).unwrap_err().contains("WHEEL has "), "{wheel}");
        }
        assert!(WheelFile::parse(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(wheel in "(Wheel-Version: 1\\.0\n)?(Tag|.|\n|[:.-]){0,60}") {
            let _ = warnings(&wheel, "a-1-py3-none-any.whl");
        }
    }
}
