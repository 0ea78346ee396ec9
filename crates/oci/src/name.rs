//! Names: `<organization>/<registry>/<repository…>` (OCI distribution-spec, "Pulling manifests", the grammar
//! of `<name>`). This registry needs at least three components; the grammar of each is the specification's.

use std::str::FromStr;
use std::sync::Arc;

use crate::excerpt::excerpt;

/// The longest repository name, in bytes. Many clients cap host and name together at 255.
pub const MAX_REPOSITORY_NAME_BYTES: usize = 255;

/// The longest organization or registry name, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 64;

/// Organization names that nobody may take, because a path of the server begins with them or because they
/// would mislead people. Names that begin with `_` need no entry: the grammar has none.
pub const RESERVED_ORGANIZATION_NAMES: &[&str] = &[
    "about",
    "account",
    "accounts",
    "admin",
    "administrator",
    "api",
    "artifacts",
    "assets",
    "audit",
    "auth",
    "blobs",
    "catalog",
    "config",
    "dashboard",
    "docs",
    "events",
    "favicon.ico",
    "forgot-password",
    "health",
    "healthz",
    "help",
    "index",
    "instance",
    "invitations",
    "invite",
    "jobs",
    "login",
    "logout",
    "manifest",
    "manifests",
    "me",
    "metrics",
    "new",
    "notifications",
    "oauth",
    "oauth2",
    "oidc",
    "openapi",
    "openapi.json",
    "oras",
    "organizations",
    "orgs",
    "public",
    "readyz",
    "register",
    "registries",
    "repositories",
    "reset-password",
    "robots.txt",
    "root",
    "search",
    "security",
    "service-accounts",
    "session",
    "sessions",
    "settings",
    "setup",
    "sign-in",
    "sign-out",
    "sign-up",
    "signup",
    "simple",
    "static",
    "status",
    "support",
    "system",
    "tags",
    "token",
    "tokens",
    "uploads",
    "user",
    "users",
    "v1",
    "v2",
    "v3",
    "verify",
    "version",
    "webhooks",
    "well-known",
];

/// Why a text is not a usable name. Values inside are already made harmless by [`excerpt`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no text at all.
    #[error("the name is empty; a repository is named <organization>/<registry>/<repository>")]
    Empty,
    /// The name, or its organization or registry component, is longer than allowed.
    #[error("\"{value}\" is {length} bytes long and at most {limit} are allowed; choose a shorter name")]
    TooLong {
        /// The part that is too long.
        value: String,
        /// Its length in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A repository name without organization or registry.
    #[error(
        "\"{value}\" has too few parts; a repository is named <organization>/<registry>/<repository>, for \
         example acme/prod/app"
    )]
    TooFewComponents {
        /// The whole name.
        value: String,
    },
    /// One component does not follow the grammar.
    #[error(
        "\"{component}\" cannot be part of a name: use lower-case letters and digits, with single '.', '_', \
         '__' or any number of '-' between them; a repository is named <organization>/<registry>/<repository>"
    )]
    InvalidComponent {
        /// The offending component.
        component: String,
    },
    /// The server keeps this name for itself.
    #[error("the organization name \"{value}\" is reserved; choose another one")]
    Reserved {
        /// The reserved name.
        value: String,
    },
}

/// The full name of a repository, at least three components long. Cloning it copies no text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName {
    text: Arc<str>,
    /// Where the registry component begins and where the rest begins, both just behind a slash.
    registry_start: u8,
    repository_start: u8,
}

impl RepositoryName {
    /// The whole name, `organization/registry/repository…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first component. A reserved one is possible here: the list guards the creation of organizations
    /// and must be able to grow without locking anybody out.
    pub fn organization(&self) -> &str {
        &self.text[..usize::from(self.registry_start) - 1]
    }

    /// The second component.
    pub fn registry(&self) -> &str {
        &self.text[usize::from(self.registry_start)..usize::from(self.repository_start) - 1]
    }

    /// Everything behind the second slash; may itself hold slashes.
    pub fn repository(&self) -> &str {
        &self.text[usize::from(self.repository_start)..]
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        check_length(text, MAX_REPOSITORY_NAME_BYTES)?;
        for component in text.split('/') {
            check_component(component)?;
        }
        let mut parts = text.splitn(3, '/');
        let (Some(organization), Some(registry), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NameError::TooFewComponents { value: excerpt(text) });
        };
        check_length(organization, MAX_COMPONENT_BYTES)?;
        check_length(registry, MAX_COMPONENT_BYTES)?;
        let offset = |at: usize| u8::try_from(at).expect("both components are at most 64 bytes long");
        Ok(Self {
            text: text.into(),
            registry_start: offset(organization.len() + 1),
            repository_start: offset(organization.len() + registry.len() + 2),
        })
    }
}

text_type!(RepositoryName);

/// The name of an organization: one component that is not reserved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationName(Arc<str>);

impl OrganizationName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OrganizationName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_single(text)?;
        if RESERVED_ORGANIZATION_NAMES.contains(&text) {
            return Err(NameError::Reserved { value: excerpt(text) });
        }
        Ok(Self(text.into()))
    }
}

text_type!(OrganizationName);

/// The name of a registry inside an organization: one component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryName(Arc<str>);

impl RegistryName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        check_single(text)?;
        Ok(Self(text.into()))
    }
}

text_type!(RegistryName);

fn check_single(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    check_length(text, MAX_COMPONENT_BYTES)?;
    check_component(text)
}

fn check_length(text: &str, limit: usize) -> Result<(), NameError> {
    if text.len() > limit {
        return Err(NameError::TooLong { value: excerpt(text), length: text.len(), limit });
    }
    Ok(())
}

fn check_component(component: &str) -> Result<(), NameError> {
    if is_component(component) {
        Ok(())
    } else {
        Err(NameError::InvalidComponent { component: excerpt(component) })
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(component: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // Splitting at letters and digits leaves the separators; between neighbours there is an empty piece.
    let bytes = component.as_bytes();
    let ends_are_alphanumeric = bytes.first().copied().is_some_and(is_alphanumeric)
        && bytes.last().copied().is_some_and(is_alphanumeric);
    ends_are_alphanumeric
        && bytes.split(|byte| is_alphanumeric(*byte)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPONENT: &str = "[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,8}){0,3}";

    #[test]
    fn the_three_parts() {
        let name: RepositoryName = "acme/prod/team/blobs/uploads".parse().unwrap();
        assert_eq!(
            (name.organization(), name.registry(), name.repository()),
            ("acme", "prod", "team/blobs/uploads")
        );
    }

    #[test]
    fn refusals() {
        let parse = |text: &str| text.parse::<RepositoryName>().unwrap_err();
        assert_eq!(parse(""), NameError::Empty);
        assert!(matches!(parse("alpine"), NameError::TooFewComponents { .. }));
        assert!(parse("library/alpine").to_string().contains("<organization>/<registry>/<repository>"));
        for text in [
            "a/b/C",
            "a/b/",
            "/a/b/c",
            "a//b/c",
            "a/b/_c",
            "a/b/c_",
            "a/b/c..d",
            "a/b/c___d",
            "a/b/c._d",
            "a/b/c-.d",
            "a/b/é",
            "a/b/c d",
            "a/b/.",
            "a/b/..",
            "a/b/-",
        ] {
            assert!(matches!(parse(text), NameError::InvalidComponent { .. }), "{text}");
        }
        assert!("a/b/c__d---e.f_g".parse::<RepositoryName>().is_ok());
        let longest = format!("a/b/{}", "c".repeat(251));
        assert!(longest.parse::<RepositoryName>().is_ok());
        assert!(matches!(parse(&format!("{longest}c")), NameError::TooLong { limit: 255, .. }));
        assert!(matches!(parse(&format!("{}/b/c", "a".repeat(65))), NameError::TooLong { limit: 64, .. }));
        assert!(format!("{}/{}/c", "a".repeat(64), "b".repeat(64)).parse::<RepositoryName>().is_ok());
    }

    #[test]
    fn single_components() {
        assert!("acme".parse::<OrganizationName>().is_ok());
        assert!("prod".parse::<RegistryName>().is_ok());
        assert!(matches!("v2".parse::<OrganizationName>(), Err(NameError::Reserved { .. })));
        assert!("v2".parse::<RegistryName>().is_ok());
        assert!(matches!("a/b".parse::<RegistryName>(), Err(NameError::InvalidComponent { .. })));
        assert!(matches!("".parse::<OrganizationName>(), Err(NameError::Empty)));
    }

    #[test]
    fn reserved_names_are_sorted_and_follow_the_grammar() {
        assert!(RESERVED_ORGANIZATION_NAMES.is_sorted());
        assert!(RESERVED_ORGANIZATION_NAMES.iter().all(|name| is_component(name)));
    }

    proptest! {
        #[test]
        fn grammar_round_trips(parts in prop::collection::vec(COMPONENT, 3..6)) {
            let text = parts.join("/");
            let name: RepositoryName = text.parse().unwrap();
            prop_assert_eq!(name.as_str(), &text);
            prop_assert_eq!(name.organization(), &parts[0]);
            prop_assert_eq!(name.registry(), &parts[1]);
            prop_assert_eq!(name.repository(), parts[2..].join("/"));
            let json = serde_json::to_string(&name).unwrap();
            prop_assert_eq!(serde_json::from_str::<RepositoryName>(&json).unwrap(), name);
        }

        #[test]
        fn never_panics(text in "[a-zA-Z0-9._/é-]{0,40}") {
            if let Ok(name) = text.parse::<RepositoryName>() {
                prop_assert_eq!(format!("{}/{}/{}", name.organization(), name.registry(), name.repository()), text);
            }
        }
    }
}
