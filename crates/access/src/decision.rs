//! The decision itself.

use crate::action::{Action, InstanceAction, ManagementAction, Operation};
use crate::principal::Principal;
use crate::role::{Role, Visibility};

/// What is known about the principal in relation to the thing it asks about. Without anything known,
/// nobody may do anything: `Facts::default()` is the safe value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Role of the principal on the organization; it counts for all registries of the organization.
    pub organization_role: Option<Role>,
    /// Role of the principal on this one registry. When the question is about the organization itself:
    /// the role on any registry in it (which makes the organization visible, and nothing more).
    pub registry_role: Option<Role>,
    /// Visibility of the registry; none when the registry does not exist or the question is not about one.
    pub visibility: Option<Visibility>,
}

impl Facts {
    /// The highest role that counts for content and settings of the registry.
    pub fn role(&self) -> Option<Role> {
        self.organization_role.max(self.registry_role)
    }
}

/// The answer. It says nothing about existence: what a refused caller learns is for the surface to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a decision that nobody looks at protects nothing"]
pub enum Decision {
    /// The principal may.
    Allowed,
    /// The principal may not.
    Denied,
}

impl Decision {
    /// True when the principal may.
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed)
    }
}

impl From<bool> for Decision {
    fn from(allowed: bool) -> Self {
        if allowed { Self::Allowed } else { Self::Denied }
    }
}

/// May this principal do this? The highest of its roles counts, and nothing takes a right away.
///
/// An anonymous principal holds no role whatever the facts say. Being a system admin counts for instance
/// actions and for seeing and deleting organizations; it opens no registry and no content.
///
/// The operator manages everything and reads no content.
///
/// A member of the organization is answered by its role even when the registry does not exist, so that it
/// then gets the honest "not found" rather than a refusal.
pub fn decide(principal: &Principal, operation: impl Into<Operation>, facts: &Facts) -> Decision {
    let (system_admin, facts) = match principal {
        Principal::Anonymous => (false, Facts { visibility: facts.visibility, ..Facts::default() }),
        Principal::User(_) => (principal.is_system_admin(), *facts),
        Principal::Operator => {
            return Decision::from(!matches!(operation.into(), Operation::Content(_)));
        }
    };
    match operation.into() {
        Operation::Content(action) => content(action, facts),
        Operation::Management(action) => management(action, system_admin, facts),
        Operation::Instance(
            InstanceAction::UsersManage
            | InstanceAction::OrganizationCreate
            | InstanceAction::OrganizationsList,
        ) => system_admin,
    }
    .into()
}

fn content(action: Action, facts: Facts) -> bool {
    match action {
        Action::Pull => is_public(facts) || facts.role() >= Some(Role::Viewer),
        Action::Push | Action::Delete => facts.role() >= Some(Role::Writer),
    }
}

fn management(action: ManagementAction, system_admin: bool, facts: Facts) -> bool {
    match action {
        ManagementAction::OrganizationRead => system_admin || facts.role() >= Some(Role::Viewer),
        ManagementAction::OrganizationDelete => system_admin || facts.organization_role >= Some(Role::Admin),
        ManagementAction::OrganizationMembersList => facts.organization_role >= Some(Role::Viewer),
        // A role on one registry says nothing about the organization around it.
        ManagementAction::OrganizationUpdate
        | ManagementAction::OrganizationMembersManage
        | ManagementAction::RegistryCreate => facts.organization_role >= Some(Role::Admin),
        ManagementAction::RegistryRead => is_public(facts) || facts.role() >= Some(Role::Viewer),
        ManagementAction::RegistryMembersList => facts.role() >= Some(Role::Writer),
        ManagementAction::RegistryManage | ManagementAction::RegistryMembersManage => {
            facts.role() >= Some(Role::Admin)
        }
    }
}

fn is_public(facts: Facts) -> bool {
    facts.visibility == Some(Visibility::Public)
}

#[cfg(test)]
mod tests;
