//! The words that stand for operations wherever they are shown or asked about: `resource:action`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::action::{Action, InstanceAction, ManagementAction, Operation};
use crate::role::Role;

/// The text is not the word of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown action, expected resource:action such as \"artifact:pull\" or \"registry:manage\"")]
pub struct UnknownOperation;

impl Operation {
    /// Every operation: on content, on organizations and registries, on the instance.
    pub const ALL: [Self; 16] = [
        Self::Content(Action::Pull),
        Self::Content(Action::Push),
        Self::Content(Action::Delete),
        Self::Management(ManagementAction::OrganizationRead),
        Self::Management(ManagementAction::OrganizationUpdate),
        Self::Management(ManagementAction::OrganizationDelete),
        Self::Management(ManagementAction::OrganizationMembersList),
        Self::Management(ManagementAction::OrganizationMembersManage),
        Self::Management(ManagementAction::RegistryCreate),
        Self::Management(ManagementAction::RegistryRead),
        Self::Management(ManagementAction::RegistryManage),
        Self::Management(ManagementAction::RegistryMembersList),
        Self::Management(ManagementAction::RegistryMembersManage),
        Self::Instance(InstanceAction::UsersManage),
        Self::Instance(InstanceAction::OrganizationCreate),
        Self::Instance(InstanceAction::OrganizationsList),
    ];

    /// The word that stands for the operation.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content(action) => match action {
                Action::Pull => "artifact:pull",
                Action::Push => "artifact:push",
                Action::Delete => "artifact:delete",
            },
            Self::Management(action) => match action {
                ManagementAction::OrganizationRead => "organization:read",
                ManagementAction::OrganizationUpdate => "organization:update",
                ManagementAction::OrganizationDelete => "organization:delete",
                ManagementAction::OrganizationMembersList => "organization-members:list",
                ManagementAction::OrganizationMembersManage => "organization-members:manage",
                ManagementAction::RegistryCreate => "registry:create",
                ManagementAction::RegistryRead => "registry:read",
                ManagementAction::RegistryManage => "registry:manage",
                ManagementAction::RegistryMembersList => "registry-members:list",
                ManagementAction::RegistryMembersManage => "registry-members:manage",
            },
            Self::Instance(action) => match action {
                InstanceAction::UsersManage => "users:manage",
                InstanceAction::OrganizationCreate => "organization:create",
                InstanceAction::OrganizationsList => "organizations:list",
            },
        }
    }

    /// The lowest role that allows it on the organization, and on the registry for what is about registries.
    /// `None` when no role does: what is done to the instance is for system admins.
    pub const fn role_needed(self) -> Option<Role> {
        match self {
            Self::Content(Action::Pull)
            | Self::Management(
                ManagementAction::OrganizationRead
                | ManagementAction::OrganizationMembersList
                | ManagementAction::RegistryRead,
            ) => Some(Role::Viewer),
            Self::Content(Action::Push | Action::Delete)
            | Self::Management(ManagementAction::RegistryMembersList) => Some(Role::Writer),
            Self::Management(
                ManagementAction::OrganizationUpdate
                | ManagementAction::OrganizationDelete
                | ManagementAction::OrganizationMembersManage
                | ManagementAction::RegistryCreate
                | ManagementAction::RegistryManage
                | ManagementAction::RegistryMembersManage,
            ) => Some(Role::Admin),
            Self::Instance(_) => None,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Self, UnknownOperation> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == text).ok_or(UnknownOperation)
    }
}

impl Serialize for Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_operation_has_a_word_of_its_own_that_comes_back() {
        let listed = Action::ALL
            .into_iter()
            .map(Operation::from)
            .chain(ManagementAction::ALL.into_iter().map(Operation::from))
            .chain(InstanceAction::ALL.into_iter().map(Operation::from));
        assert_eq!(listed.collect::<Vec<_>>(), Operation::ALL);
        let words: BTreeSet<&str> = Operation::ALL.into_iter().map(Operation::as_str).collect();
        assert_eq!(words.len(), Operation::ALL.len());
        for operation in Operation::ALL {
            assert_eq!(operation.to_string().parse(), Ok(operation));
            assert_eq!(serde_json::to_string(&operation).unwrap(), format!("\"{operation}\""));
            let (resource, action) = operation.as_str().split_once(':').unwrap();
            let is_word = |word: &str| !word.is_empty() && !word.contains(':');
            assert!(is_word(resource) && is_word(action), "{operation}");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for text in ["", "pull", "artifact:", ":pull", "artifact:pull ", "Artifact:pull", "artifact:pull:x"] {
            assert_eq!(text.parse::<Operation>(), Err(UnknownOperation), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_understood_is_printed_as_it_was(text in "[a-z:-]{0,30}") {
            if let Ok(operation) = text.parse::<Operation>() {
                prop_assert_eq!(operation.as_str(), text);
            }
        }
    }
}
