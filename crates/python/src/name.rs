//! Project names (packaging specification "Names and normalization").

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Code, Invalid, excerpt};

mod standard_library;

/// The longest project name, in bytes.
pub const MAX_NAME_BYTES: usize = 100;

/// A project name as somebody wrote it. It follows the grammar: ASCII letters, digits, `.`, `_` and `-`,
/// beginning and ending with a letter or a digit. Names that do not are refused, never mended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProjectName(Arc<str>);

impl ProjectName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which names are compared: lower case, with every run of `-`, `_` and `.` as one `-`.
    pub fn normalized(&self) -> NormalizedName {
        let mut normalized = String::with_capacity(self.0.len());
        for character in self.0.chars() {
            match character {
                '-' | '_' | '.' if normalized.ends_with('-') => {}
                '-' | '_' | '.' => normalized.push('-'),
                _ => normalized.push(character.to_ascii_lowercase()),
            }
        }
        NormalizedName(normalized.into())
    }
}

impl FromStr for ProjectName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_NAME_BYTES {
            return Err(Invalid::new(
                Code::Name,
                format!("Invalid project name '{}': use at most {MAX_NAME_BYTES} characters", excerpt(text)),
            ));
        }
        let bytes = text.as_bytes();
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let edges_allowed = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.last().is_some_and(u8::is_ascii_alphanumeric);
        if edges_allowed && bytes.iter().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(
                Code::Name,
                format!(
                    "Invalid project name '{}': use ASCII letters, digits, '.', '_' and '-', and begin and end \
                     with a letter or digit",
                    excerpt(text)
                ),
            ))
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// A project name in normal form. Parsing accepts every valid spelling and normalizes it, so two spellings of
/// one project are one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NormalizedName(Arc<str>);

impl NormalizedName {
    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The normal form as the file name formats write it: with `_` for `-`.
    pub fn as_file_name_part(&self) -> String {
        self.0.replace('-', "_")
    }

    /// A key that is equal for names which people mistake for one another: without separators, and with `l`
    /// and `i` as `1`, `o` as `0`.
    pub fn similarity_key(&self) -> String {
        self.0
            .chars()
            .filter(|character| *character != '-')
            .map(|character| match character {
                'l' | 'i' => '1',
                'o' => '0',
                other => other,
            })
            .collect()
    }
}

impl FromStr for NormalizedName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse::<ProjectName>().map(|name| name.normalized())
    }
}

impl AsRef<str> for NormalizedName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NormalizedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// Whether the name is that of a top-level module of the Python standard library, in any version from 3.8 on.
/// A package of such a name is shadowed by the module, or shadows it.
pub fn is_standard_library(name: &NormalizedName) -> bool {
    standard_library::MODULES.binary_search(&name.as_str()).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spellings_of_one_project() {
        for (written, normal) in [
            ("Acme.Demo_pkg", "acme-demo-pkg"),
            ("zope.event", "zope-event"),
            ("ZOPE__.event", "zope-event"),
            ("a-._-b", "a-b"),
            ("x", "x"),
            ("7", "7"),
        ] {
            let name: ProjectName = written.parse().expect(written);
            assert_eq!(name.as_str(), written);
            assert_eq!(name.normalized().as_str(), normal, "{written}");
            assert_eq!(written.parse::<NormalizedName>().expect(written), name.normalized());
        }
    }

    #[test]
    fn names_that_are_refused() {
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for written in ["", "_x", "x-", ".x", "acmé", "Kelvin K", "\u{212a}elvin", "a b", "a/b", "x\n", &long]
        {
            let error = written.parse::<ProjectName>().expect_err(written);
            assert_eq!(error.code, Code::Name);
            assert!(error.message.starts_with("Invalid project name"), "{error}");
            assert!(written.parse::<NormalizedName>().is_err());
        }
        assert!("a".repeat(MAX_NAME_BYTES).parse::<ProjectName>().is_ok());
    }

    #[test]
    fn similar_names_share_a_key() {
        let key = |text: &str| text.parse::<NormalizedName>().expect("a valid name").similarity_key();
        assert_eq!(key("acme-1ib"), key("acme_LIB"));
        assert_eq!(key("Foo"), "f00");
        assert_ne!(key("acme-lib"), key("acme-libs"));
    }

    #[test]
    fn standard_library_modules() {
        for (text, expected) in [
            ("os", true),
            ("JSON", true),
            ("py_compile", true),
            ("Py.Compile", true),
            ("distutils", true),
            ("asyncore", true),
            ("tomllib", true),
            ("annotationlib", true),
            ("compression", true),
            ("parser", true),
            ("six", false),
            ("setuptools", false),
        ] {
            let name: NormalizedName = text.parse().expect(text);
            assert_eq!(is_standard_library(&name), expected, "{text}");
        }
    }

    #[test]
    fn the_module_list_is_sorted_and_in_normal_form() {
        assert!(standard_library::MODULES.is_sorted_by(|left, right| left < right));
        for module in standard_library::MODULES {
            let name: NormalizedName = module.parse().expect(module);
            assert_eq!(name.as_str(), *module);
        }
    }

    proptest! {
        #[test]
        fn normalization_is_idempotent(written in "[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?") {
            let normal: NormalizedName = written.parse().unwrap();
            let again: NormalizedName = normal.as_str().parse().unwrap();
            prop_assert_eq!(&again, &normal);
            let as_part: NormalizedName = normal.as_file_name_part().parse().unwrap();
            prop_assert_eq!(as_part, normal);
        }

        #[test]
        fn any_text_is_kept_or_refused(text in any::<String>()) {
            if let Ok(name) = text.parse::<ProjectName>() {
                prop_assert_eq!(name.as_str(), text.as_str());
            }
        }
    }
}
