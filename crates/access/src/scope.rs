//! Scopes of the registry token protocol: what a client asks for, and what a token says.
//!
//! The grammar is that of the distribution project's token scope documentation
//! (`resourcescope = resourcetype ":" resourcename ":" action [ "," action ]*`, type with an optional class
//! in parentheses), read leniently: a client that asks for something unknown gets a token for the rest.

use serde::{Deserialize, Serialize};

use crate::action::{Action, ActionSet};

/// Most scopes that one request may ask for; what comes after is ignored and reported.
pub const MAXIMUM_SCOPES: usize = 64;
/// Most bytes of scope text that one request may send; what comes after is ignored and reported.
pub const MAXIMUM_BYTES: usize = 8 * 1024;

/// What a scope is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScopeKind {
    /// A repository, by the name as it was sent: whether it is a valid name is for the caller to check.
    Repository(String),
    /// The list of all repositories, `registry:catalog:*`.
    RegistryCatalog,
    /// Something that this registry does not have. Nothing is ever granted for it.
    Other,
}

/// One thing that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// What it is about.
    pub kind: ScopeKind,
    /// What the client wants to do with it; `*` asks for everything.
    pub actions: ActionSet,
}

/// Something in the scope text that was passed over. Never a reason to refuse the request. Offending text is
/// cut to a safe length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeProblem {
    /// The text does not have the form `type:name:actions`.
    #[error("scope \"{0}\" is ignored, expected \"repository:<name>:<action>[,<action>]\"")]
    Malformed(String),
    /// The type is neither `repository` nor `registry` (with the name `catalog`).
    #[error("scope \"{0}\" is ignored, only \"repository:<name>\" and \"registry:catalog\" are known")]
    UnknownType(String),
    /// An action is none of `pull`, `push`, `delete`, `*`.
    #[error("action \"{0}\" is ignored, expected \"pull\", \"push\", \"delete\" or \"*\"")]
    UnknownAction(String),
    /// There were more than [`MAXIMUM_SCOPES`] scopes.
    #[error("scopes after the first {MAXIMUM_SCOPES} are ignored, ask for fewer at a time")]
    TooMany,
    /// There were more than [`MAXIMUM_BYTES`] bytes of scopes.
    #[error("scopes after the first {MAXIMUM_BYTES} bytes are ignored, ask for fewer at a time")]
    TooLong,
}

/// All scopes of one request, each resource once, and what was passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeList {
    /// What was asked for, in the order of the first mention.
    pub scopes: Vec<Scope>,
    /// What was not understood, for the log.
    pub problems: Vec<ScopeProblem>,
}

impl ScopeList {
    /// Adds a scope; what is asked for twice is asked for once with all its actions.
    fn add(&mut self, scope: Scope) {
        if let Some(present) = self.scopes.iter_mut().find(|present| present.kind == scope.kind) {
            present.actions = present.actions.union(scope.actions);
        } else if self.scopes.len() < MAXIMUM_SCOPES {
            self.scopes.push(scope);
        } else if self.problems.last() != Some(&ScopeProblem::TooMany) {
            self.problems.push(ScopeProblem::TooMany);
        }
    }
}

/// Reads the values of all `scope` parameters of a request: clients repeat the parameter, or separate
/// scopes with spaces inside one value, or both. Never fails, see [`ScopeProblem`].
pub fn parse_list<'a>(values: impl IntoIterator<Item = &'a str>) -> ScopeList {
    let mut list = ScopeList::default();
    let mut bytes_left = MAXIMUM_BYTES;
    for value in values {
        // One byte more a value, so that a flood of empty values ends as well.
        let Some(left) = bytes_left.checked_sub(value.len() + 1) else {
            list.problems.push(ScopeProblem::TooLong);
            return list;
        };
        bytes_left = left;
        for text in value.split_ascii_whitespace() {
            if let Some(scope) = parse_one(text, &mut list.problems) {
                list.add(scope);
            }
        }
    }
    list
}

/// Reads one scope, for example `repository:acme/prod/app:pull,push`. What is not understood is added to
/// `problems`; none when nothing of it can be used.
pub fn parse_one(text: &str, problems: &mut Vec<ScopeProblem>) -> Option<Scope> {
    // A name may hold a colon (a host and its port), so the type ends at the first and the actions
    // begin after the last.
    let parts = text
        .split_once(':')
        .and_then(|(kind, rest)| rest.rsplit_once(':').map(|(name, actions)| (kind, name, actions)))
        .filter(|(kind, name, _)| !kind.is_empty() && !name.is_empty());
    let Some((kind, name, actions)) = parts else {
        problems.push(ScopeProblem::Malformed(cut(text)));
        return None;
    };
    let kind = match (without_class(kind), name) {
        ("repository", name) => ScopeKind::Repository(name.to_owned()),
        ("registry", "catalog") => ScopeKind::RegistryCatalog,
        _ => {
            problems.push(ScopeProblem::UnknownType(cut(text)));
            ScopeKind::Other
        }
    };
    let mut set = ActionSet::NONE;
    for word in actions.split(',').filter(|word| !word.is_empty()) {
        if word == "*" {
            set = ActionSet::ALL;
        } else if let Ok(action) = word.parse() {
            set.insert(action);
        } else {
            problems.push(ScopeProblem::UnknownAction(cut(word)));
        }
    }
    Some(Scope { kind, actions: set })
}

/// `repository(plugin)` is `repository`: the class is deprecated and says nothing here.
fn without_class(kind: &str) -> &str {
    match kind.split_once('(') {
        Some((kind, class)) if class.ends_with(')') => kind,
        _ => kind,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// What a token says about one repository: it was looked at when the token was issued, and this came out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ScopeGrant {
    /// Name of the repository, or [`ScopeGrant::CATALOG`].
    pub name: String,
    /// What the token allows, as long as its owner still may.
    pub granted: ActionSet,
    /// What was asked for and refused.
    pub denied: ActionSet,
}

impl ScopeGrant {
    /// Stands in the place of a repository name for the list of all repositories. No repository can have
    /// this name: a component of a name never begins with an underscore.
    pub const CATALOG: &'static str = "_catalog";

    /// The right to list repositories, each of which still has to be readable by the owner of the token.
    pub fn catalog() -> Self {
        Self { name: Self::CATALOG.to_owned(), granted: ActionSet::ALL, denied: ActionSet::NONE }
    }
}

/// What the grants of a token say about one action on one repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeVerdict {
    /// The token allows it; its owner has to have the right now as well.
    Granted,
    /// The token was asked for it when it was issued and does not allow it: a new token would not help.
    Denied,
    /// The token says nothing about it: a new one with this scope may help.
    Silent,
}

/// Looks an action on a repository up in what a token says.
pub fn evaluate(grants: &[ScopeGrant], name: &str, action: Action) -> ScopeVerdict {
    let mut verdict = ScopeVerdict::Silent;
    for grant in grants.iter().filter(|grant| grant.name == name) {
        if grant.granted.contains(action) {
            return ScopeVerdict::Granted;
        }
        if grant.denied.contains(action) {
            verdict = ScopeVerdict::Denied;
        }
    }
    verdict
}

#[cfg(test)]
mod tests;
