//! What can be asked for, from one layer of one image up to the whole instance.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is done to the content of a repository. These three words are also the actions of a token scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Read: blobs, manifests, tags, referrers.
    Pull,
    /// Add blobs and manifests, create and move tags.
    Push,
    /// Remove blobs, manifests and tags.
    Delete,
}

impl Action {
    /// Every action, in the order in which sets print them.
    pub const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    /// The word that stands for the action in a scope.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Delete => "delete",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Pull => 1,
            Self::Push => 2,
            Self::Delete => 4,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The text is not the name of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown action, expected one of \"pull\", \"push\", \"delete\"")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|action| action.as_str() == text).ok_or(UnknownAction)
    }
}

/// A set of actions. Prints as a scope writes it: `pull,push`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<Action>", from = "Vec<Action>")]
pub struct ActionSet(u8);

impl ActionSet {
    /// No action at all.
    pub const NONE: Self = Self(0);
    /// Every action; what `*` in a scope stands for.
    pub const ALL: Self = Self(1 | 2 | 4);

    /// The set of one action.
    pub const fn of(action: Action) -> Self {
        Self(action.bit())
    }

    /// This set and one action more.
    #[must_use]
    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | action.bit())
    }

    /// Puts an action into the set.
    pub const fn insert(&mut self, action: Action) {
        self.0 |= action.bit();
    }

    /// True when the action is in the set.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// True when all actions of the other set are in this one.
    pub const fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when there is no action in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The actions of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The actions that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The actions of this set that are not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The actions of the set: pull, push, delete.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl From<Action> for ActionSet {
    fn from(action: Action) -> Self {
        Self::of(action)
    }
}

impl From<ActionSet> for Vec<Action> {
    fn from(set: ActionSet) -> Self {
        set.iter().collect()
    }
}

impl From<Vec<Action>> for ActionSet {
    fn from(actions: Vec<Action>) -> Self {
        actions.into_iter().collect()
    }
}

impl fmt::Display for ActionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, action) in self.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            formatter.write_str(action.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for ActionSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ActionSet({self})")
    }
}

/// What is done to an organization or a registry itself, not to the content of its repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManagementAction {
    /// See that the organization exists, and its profile.
    OrganizationRead,
    /// Change the settings of the organization.
    OrganizationUpdate,
    /// Delete the organization with everything in it.
    OrganizationDelete,
    /// List who has which role on the organization.
    OrganizationMembersList,
    /// Give, change and take roles on the organization.
    OrganizationMembersManage,
    /// Create a registry in the organization.
    RegistryCreate,
    /// See that the registry exists, its settings, and the names of its repositories.
    RegistryRead,
    /// Change the settings of the registry, or delete it.
    RegistryManage,
    /// List who has which role on the registry.
    RegistryMembersList,
    /// Give, change and take roles on the registry.
    RegistryMembersManage,
}

impl ManagementAction {
    /// Every management action.
    pub const ALL: [Self; 10] = [
        Self::OrganizationRead,
        Self::OrganizationUpdate,
        Self::OrganizationDelete,
        Self::OrganizationMembersList,
        Self::OrganizationMembersManage,
        Self::RegistryCreate,
        Self::RegistryRead,
        Self::RegistryManage,
        Self::RegistryMembersList,
        Self::RegistryMembersManage,
    ];
}

/// What is done to the instance: only a system admin may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstanceAction {
    /// Create, list, see and delete users.
    UsersManage,
    /// Create an organization.
    OrganizationCreate,
    /// List the names of all organizations.
    OrganizationsList,
}

impl InstanceAction {
    /// Every instance action.
    pub const ALL: [Self; 3] = [Self::UsersManage, Self::OrganizationCreate, Self::OrganizationsList];
}

/// Anything that [`decide`](crate::decide) can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// On the content of a repository.
    Content(Action),
    /// On an organization or a registry.
    Management(ManagementAction),
    /// On the instance.
    Instance(InstanceAction),
}

impl From<Action> for Operation {
    fn from(action: Action) -> Self {
        Self::Content(action)
    }
}

impl From<ManagementAction> for Operation {
    fn from(action: ManagementAction) -> Self {
        Self::Management(action)
    }
}

impl From<InstanceAction> for Operation {
    fn from(action: InstanceAction) -> Self {
        Self::Instance(action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_prints_in_one_order_whatever_it_was_built_from() {
        let set: ActionSet = [Action::Delete, Action::Pull, Action::Delete].into_iter().collect();
        assert_eq!(set.to_string(), "pull,delete");
        assert_eq!(ActionSet::NONE.to_string(), "");
        assert_eq!(ActionSet::ALL.to_string(), "pull,push,delete");
        assert_eq!(format!("{set:?}"), "ActionSet(pull,delete)");
    }

    #[test]
    fn set_arithmetic() {
        let read_write = ActionSet::of(Action::Pull).with(Action::Push);
        assert_eq!(ActionSet::ALL.difference(read_write), ActionSet::of(Action::Delete));
        assert_eq!(read_write.intersection(Action::Push.into()), ActionSet::of(Action::Push));
        assert!(ActionSet::ALL.contains_all(read_write) && !read_write.contains_all(ActionSet::ALL));
        assert!(read_write.difference(ActionSet::ALL).is_empty());
    }

    #[test]
    fn a_set_is_a_list_of_words_in_json() {
        assert_eq!(serde_json::to_string(&ActionSet::ALL).unwrap(), r#"["pull","push","delete"]"#);
        let set: ActionSet = serde_json::from_str(r#"["push","push"]"#).unwrap();
        assert_eq!(set, ActionSet::of(Action::Push));
        assert!(serde_json::from_str::<ActionSet>(r#"["admin"]"#).is_err());
    }

    #[test]
    fn action_words_come_back() {
        for action in Action::ALL {
            assert_eq!(action.to_string().parse(), Ok(action));
        }
        assert_eq!("*".parse::<Action>(), Err(UnknownAction));
    }
}
