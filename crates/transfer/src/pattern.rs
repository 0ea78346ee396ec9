//! Which repositories are meant.

use std::convert::Infallible;
use std::str::FromStr;

/// A repository's name in which `*` stands for any number of any characters, slashes too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether it names one repository, so that the source need not be able to list its own.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means the repository `name`.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

impl FromStr for Pattern {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars() {
        let matches = |pattern: &str, name: &str| pattern.parse::<Pattern>().unwrap().matches(name);
        assert!(matches("a/b", "a/b") && !matches("a/b", "a/bc") && !matches("a/b", "a"));
        assert!(matches("a/*", "a/b/c") && !matches("a/*", "b/a"));
        assert!(matches("*", "x") && matches("*-test", "app-test") && matches("a*b*c", "a1b2c"));
        assert!(!matches("ab*bc", "abc") && !matches("a*b*c", "a1c2b"));
    }

    proptest! {
        #[test]
        fn a_star_takes_anything(before in "[a-z/]{0,5}", middle in "[a-z/]{0,5}", after in "[a-z/]{0,5}") {
            let pattern: Pattern = format!("{before}*{after}").parse().unwrap();
            let name = format!("{before}{middle}{after}");
            prop_assert!(pattern.matches(&name));
        }
    }
}
