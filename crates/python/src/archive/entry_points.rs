//! `entry_points.txt` (entry points specification): an INI file of groups, names and object references.

use std::collections::HashSet;

use super::notes::Notes;
use super::{REBUILD_WHEEL, archive_fault};
use crate::{Refused, excerpt};

/// The groups whose names become executable files at installation.
const SCRIPT_GROUPS: [&str; 2] = ["console_scripts", "gui_scripts"];

/// Checks that the file can be read in one way only, and that no script could be written outside of the
/// directory for scripts.
pub(super) fn check(bytes: &[u8], notes: &mut Notes) -> Result<(), Refused> {
    let text = std::str::from_utf8(bytes).map_err(|_| refused("the file is not UTF-8"))?;
    let mut group: Option<&str> = None;
    let mut groups = HashSet::new();
    let mut names = HashSet::new();
    for line in text.lines() {
        // Installed readers strip every line, so that an indented line is no continuation.
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            if !groups.insert(name) {
                return Err(refused(format!("the group '{}' is there twice", excerpt(name))));
            }
            names.clear();
            group = Some(name);
            continue;
        }
        let shown = excerpt(line);
        let (Some(group), Some((name, reference))) = (group, line.split_once('=')) else {
            return Err(refused(format!("the line '{shown}' is not 'name = reference' in a group")));
        };
        let (name, reference) = (name.trim(), reference.trim());
        if name.is_empty() {
            return Err(refused(format!("the line '{shown}' has no name")));
        }
        if !names.insert(name) {
            return Err(refused(format!("'{}' is twice in the group '{}'", excerpt(name), excerpt(group))));
        }
        if SCRIPT_GROUPS.contains(&group) {
            check_script_name(name)?;
            if !is_object_reference(reference) {
                notes.add(|| format!("the script '{}' has no reference to a function", excerpt(name)));
            }
        }
    }
    Ok(())
}

fn check_script_name(name: &str) -> Result<(), Refused> {
    let foreign = |character: char| matches!(character, '/' | '\\' | ':') || character.is_control();
    if name.contains(foreign) || matches!(name, "." | "..") {
        return Err(refused(format!("the script name '{}' could be a path", excerpt(name))));
    }
    Ok(())
}

/// Whether this is `importable.module:object.attribute`, perhaps with extras in brackets behind.
fn is_object_reference(reference: &str) -> bool {
    let reference = match reference.split_once('[') {
        Some((object, extras)) if extras.ends_with(']') => object.trim_end(),
        Some(_) => return false,
        None => reference,
    };
    let is_dotted_name = |text: &str| {
        text.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|character| character.is_alphanumeric() || character == '_')
        })
    };
    reference
        .split_once(':')
        .is_some_and(|(module, object)| is_dotted_name(module.trim()) && is_dotted_name(object.trim()))
}

fn refused(reason: impl std::fmt::Display) -> Refused {
    archive_fault(format!("invalid entry points: {reason}; correct them, and {REBUILD_WHEEL}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn warnings(text: &str) -> Result<Vec<String>, String> {
        let mut notes = Notes::default();
        check(text.as_bytes(), &mut notes).map_err(|refused| refused.to_string())?;
        Ok(notes.into_warnings())
    }

    #[test]
    fn ordinary_files_pass() {
        for text in [
            "",
            "# nothing\n\n; nothing\n",
            "[console_scripts]\nfoo = a.b:c.d\nfoo-bar.x=a:b [extra, other]\n\n[gui_scripts]\nfoo=a:b\n",
            "  [console_scripts]\n  foo = a:b\n",
            "[a.plugins]\nkey/with slash = a\nö = a.b\nx=\n[console_scripts]\r\nfoo = ö:b\r\n",
        ] {
            assert_eq!(warnings(text).unwrap(), [""; 0], "{text}");
        }
    }

    #[test]
    fn files_that_can_be_read_differently_are_refused() {
        for text in [
            "foo = a:b",
            "[a]\nfoo",
            "[a\nfoo = b",
            "[a]\n= b",
            "[a]\nx=1\n[a]\ny=1",
            "[a]\nx=1\nx=2",
            "[console_scripts]\nfoo = a:b\n  [extra",
        ] {
            assert!(warnings(text).unwrap_err().starts_with("invalid entry points: "), "{text}");
        }
        assert!(check(b"\xff", &mut Notes::default()).is_err());
    }

    #[test]
    fn scripts_are_not_paths() {
        for name in ["../x", "a/b", "a\\b", "/x", "C:x", "..", ".", "a\u{1b}b"] {
            for group in SCRIPT_GROUPS {
                let refusal = warnings(&format!("[{group}]\n{name} = a:b\n")).unwrap_err();
                assert!(refusal.contains("could be a path"), "{refusal}");
            }
        }
    }

    #[test]
    fn scripts_without_a_function_give_a_warning() {
        for reference in ["", "a", "a:", ":b", "a b:c", "a:b [x", "a..b:c"] {
            assert_eq!(
                warnings(&format!("[console_scripts]\nx = {reference}\n")).unwrap().len(),
                1,
                "{reference}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text in "(\\[|\\]|=|:|/|a|ö|\n| ){0,40}") {
            let _ = warnings(&text);
        }
    }
}
