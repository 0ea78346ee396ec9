//! What credentials allow at most, whatever their owner may.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::{Action, ActionSet};
use crate::scope::{ScopeGrant, ScopeVerdict, evaluate};

/// Most scopes of one token.
pub const MAXIMUM_TOKEN_SCOPES: usize = 32;
/// Most bytes of a pattern.
const LONGEST_PATTERN: usize = 255;

/// What credentials allow at most. Nothing in it adds to what the principal may do: both have to agree.
#[derive(Clone, Debug, Default)]
pub struct Limit {
    scopes: Option<Arc<[TokenScope]>>,
    grants: Option<Arc<[ScopeGrant]>>,
}

impl Limit {
    /// Everything that the principal may.
    pub const NONE: Self = Self { scopes: None, grants: None };

    /// Only what the scopes of a stored token name; everything when it has none.
    pub fn of_scopes(scopes: Option<Arc<[TokenScope]>>) -> Self {
        Self { scopes, grants: None }
    }

    /// Also only what an access token says about each repository.
    #[must_use]
    pub fn with_grants(self, grants: Arc<[ScopeGrant]>) -> Self {
        Self { grants: Some(grants), ..self }
    }

    /// True when the credentials are good for everything that their owner may do.
    pub fn is_none(&self) -> bool {
        self.scopes.is_none() && self.grants.is_none()
    }

    /// What an access token says, if one was presented.
    pub fn grants(&self) -> Option<&[ScopeGrant]> {
        self.grants.as_deref()
    }

    /// The scopes of the stored token that was presented, or from which the access token came.
    pub fn scopes(&self) -> Option<&[TokenScope]> {
        self.scopes.as_deref()
    }

    /// What the credentials say about an action on the repository with this full name.
    pub fn verdict(&self, repository: &str, action: Action) -> ScopeVerdict {
        if !self.reaches(repository, action) {
            return ScopeVerdict::Denied;
        }
        match &self.grants {
            None => ScopeVerdict::Granted,
            Some(grants) => evaluate(grants, repository, action),
        }
    }

    /// Whether the stored token behind the credentials could be used for an action on a repository: an access
    /// token that says nothing about it yet could be fetched.
    pub fn reaches(&self, repository: &str, action: Action) -> bool {
        match &self.scopes {
            None => true,
            Some(scopes) => scopes.iter().any(|scope| scope.allows(repository, action)),
        }
    }

    /// Whether the stored token is good for an action on every repository of a registry
    /// (`organization/registry`), those that do not exist yet included.
    pub fn covers_registry(&self, registry: &str, action: Action) -> bool {
        match &self.scopes {
            None => true,
            Some(scopes) => scopes
                .iter()
                .any(|scope| scope.actions.contains(action) && scope.repositories.covers_registry(registry)),
        }
    }

    /// Whether the stored token is good for an action on some repository of a registry.
    pub fn enters_registry(&self, registry: &str, action: Action) -> bool {
        match &self.scopes {
            None => true,
            Some(scopes) => scopes
                .iter()
                .any(|scope| scope.actions.contains(action) && scope.repositories.enters_registry(registry)),
        }
    }
}

/// One thing that a stored token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenScope {
    /// Which repositories.
    pub repositories: RepositoryPattern,
    /// What may be done there.
    pub actions: ActionSet,
}

impl TokenScope {
    /// Whether it allows an action on the repository with this full name.
    pub fn allows(&self, repository: &str, action: Action) -> bool {
        self.actions.contains(action) && self.repositories.matches(repository)
    }

    /// Whether everything that `other` allows is certainly allowed by this one too.
    pub fn includes(&self, other: &Self) -> bool {
        self.actions.contains_all(other.actions) && self.repositories.includes(&other.repositories)
    }
}

/// Which repositories, by full name: `acme/prod/app` for one, `*` for any text within one component,
/// `**` as the last component for everything below, as in `acme/prod/**` or `acme/*/team-*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RepositoryPattern(String);

/// The text is no pattern of repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pattern names repositories as organization/registry/repository, with * for any text within a component \
     and ** as the last component for everything below, such as acme/prod/**"
)]
pub struct InvalidPattern;

impl RepositoryPattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it matches the repository with this full name.
    pub fn matches(&self, repository: &str) -> bool {
        let mut names = repository.split('/');
        for pattern in self.0.split('/') {
            if pattern == "**" {
                return names.next().is_some();
            }
            if !names.next().is_some_and(|name| component_matches(pattern, name)) {
                return false;
            }
        }
        names.next().is_none()
    }

    /// Whether everything that `other` matches is certainly matched by this one too. Says no when that would
    /// take comparing two wildcards within one component.
    pub fn includes(&self, other: &Self) -> bool {
        let mut theirs = other.0.split('/');
        for ours in self.0.split('/') {
            let Some(their) = theirs.next() else { return false };
            if ours == "**" {
                return true;
            }
            let includes = match their {
                "**" => false,
                their if their.contains('*') => ours == "*" || ours == their,
                their => component_matches(ours, their),
            };
            if !includes {
                return false;
            }
        }
        theirs.next().is_none()
    }

    fn covers_registry(&self, registry: &str) -> bool {
        let Some((before, "**")) = self.0.rsplit_once('/') else { return self.0 == "**" };
        let mut names = registry.split('/');
        // A pattern that goes deeper than the registry leaves out what lies beside it.
        before.split('/').all(|pattern| names.next().is_some_and(|name| component_matches(pattern, name)))
    }

    fn enters_registry(&self, registry: &str) -> bool {
        let mut patterns = self.0.split('/');
        for name in registry.split('/') {
            match patterns.next() {
                Some("**") => return true,
                Some(pattern) if component_matches(pattern, name) => {}
                _ => return false,
            }
        }
        patterns.next().is_some()
    }
}

impl fmt::Display for RepositoryPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl FromStr for RepositoryPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-*".contains(&byte);
        let components: Vec<&str> = text.split('/').collect();
        let (last, before) = components.split_last().ok_or(InvalidPattern)?;
        let is_component =
            |text: &str| !text.is_empty() && !text.contains("**") && text.bytes().all(is_plain);
        let is_valid = text.len() <= LONGEST_PATTERN
            && before.iter().all(|component| is_component(component))
            && (*last == "**" || (is_component(last) && components.len() > 2));
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidPattern) }
    }
}

impl TryFrom<String> for RepositoryPattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<RepositoryPattern> for String {
    fn from(pattern: RepositoryPattern) -> Self {
        pattern.0
    }
}

/// Matches one component: the pieces between the stars have to come one after the other. Linear, because each
/// piece is taken at its first place: a star takes up whatever lies between.
fn component_matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests;
