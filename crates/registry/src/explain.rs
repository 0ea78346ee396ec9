//! Why somebody may do something, or may not: the sources of rights that a decision looked at, one by one.

use std::fmt;
use std::str::FromStr;

use access::{
    Action, Decision, Facts, InstanceAction, ManagementAction, Operation, Principal, Role, ScopeVerdict,
    UserPrincipal, Visibility, decide,
};
use oci::{OrganizationName, RegistryName, RepositoryName};
use serde::{Serialize, Serializer};

use crate::Registry;
use crate::error::{Error, ErrorKind, What};
use crate::grant::{Caller, MembersManage, OrganizationMembersManage, Refusal};
use crate::store::explain::{self as rows, AccountFound, PlaceFound};
use crate::store::{group_roles, members};

/// Roles on registries of one organization that are looked at for one account.
const MOST_ROLES: u32 = 1000;

/// What a question is about: `instance`, an organization, `organization/registry`, or a repository's full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The instance itself.
    Instance,
    /// An organization.
    Organization(OrganizationName),
    /// A registry.
    Registry(OrganizationName, RegistryName),
    /// A repository.
    Repository(RepositoryName),
}

/// How the instance itself is called. No organization can have this name.
const INSTANCE: &str = "instance";

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance => formatter.write_str(INSTANCE),
            Self::Organization(organization) => write!(formatter, "{organization}"),
            Self::Registry(organization, registry) => write!(formatter, "{organization}/{registry}"),
            Self::Repository(name) => write!(formatter, "{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = oci::NameError;

    fn from_str(text: &str) -> Result<Self, oci::NameError> {
        if text == INSTANCE {
            return Ok(Self::Instance);
        }
        match text.split_once('/') {
            None => Ok(Self::Organization(text.parse()?)),
            Some((organization, rest)) if !rest.contains('/') => {
                Ok(Self::Registry(organization.parse()?, rest.parse()?))
            }
            Some(_) => Ok(Self::Repository(text.parse()?)),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What decides whether somebody may do something, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Whether it would be carried out.
    pub allowed: bool,
    /// User name of the one that it is about.
    pub principal: String,
    /// What is asked for; serialized as its word.
    pub action: Operation,
    /// What it is asked of.
    pub resource: Target,
    /// The lowest role that allows it; none when only system admins may.
    pub role_needed: Option<Role>,
    /// Everything that was looked at. One that allows is enough, and one that refuses stops it.
    pub steps: Vec<Step>,
}

/// One thing that a decision looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where it comes from.
    #[serde(flatten)]
    pub source: Source,
    /// The role that it gives, if it is one that does.
    pub role: Option<Role>,
    /// What it does to the decision.
    pub effect: Effect,
}

/// Where a right comes from, or what stands in its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// A role of its own on the organization.
    OrganizationMember {
        /// The organization.
        organization: String,
    },
    /// A role of its own on a registry.
    RegistryMember {
        /// `organization/registry`.
        registry: String,
    },
    /// A role that a group has on the organization or on a registry.
    Group {
        /// Name of the role among the organization's roles of groups.
        id: String,
        /// The identity provider that said at the last sign-in who is in the group.
        provider: String,
        /// The group.
        group: String,
        /// The organization, or `organization/registry`.
        on: String,
    },
    /// The registry is public.
    Public {
        /// `organization/registry`.
        registry: String,
    },
    /// Being a system admin.
    SystemAdmin,
    /// What the credentials that ask are limited to.
    Credentials,
    /// The account is disabled, or was never confirmed.
    Disabled,
    /// The registry takes no changes.
    ReadOnly {
        /// `organization/registry`.
        registry: String,
    },
    /// The project is quarantined.
    Quarantined {
        /// Full name of the repository.
        repository: String,
    },
}

/// What a step does to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It is enough by itself.
    Allows,
    /// It is there and changes nothing.
    Nothing,
    /// It stops what others allow.
    Refuses,
}

impl From<Decision> for Effect {
    fn from(decision: Decision) -> Self {
        if decision.is_allowed() { Self::Allows } else { Self::Nothing }
    }
}

impl Registry {
    /// Explains what decides whether somebody may do something. Everybody may ask about themselves; about others,
    /// whoever may give roles there, and system admins. `principal` is a user name; none asks about the caller.
    pub async fn access_explain(
        &self,
        caller: &Caller,
        principal: Option<&str>,
        operation: Operation,
        target: &Target,
    ) -> Result<Explanation, Error> {
        let target = fitting(operation, target)?;
        let Some(asking) = caller.principal.user() else { return Err(Refusal::Unasked.into()) };
        let about_self = principal.is_none_or(|name| *name == *asking.name);
        let account = if about_self {
            rows::account_by_id(self.db(), asking.id).await?
        } else {
            self.explain_authorize(caller, &target).await?;
            let found = rows::account_by_name(self.db(), principal.unwrap_or_default()).await?;
            // Administrators learn of the machines of their own organization alone.
            found.filter(|account| {
                caller.principal.is_system_admin()
                    || account
                        .organization
                        .as_deref()
                        .is_none_or(|name| Some(name) == organization_of(&target))
            })
        };
        let account = account.ok_or_else(|| {
            Error::not_found(What::Member, "there is no such user here; check the name for typing errors")
        })?;
        let mut steps = self.steps_of(&account, operation, &target).await?;
        if about_self && let Some(step) = credentials_step(caller, operation, &target) {
            steps.push(step);
        }
        let allowed = steps.iter().any(|step| step.effect == Effect::Allows)
            && !steps.iter().any(|step| step.effect == Effect::Refuses);
        Ok(Explanation {
            allowed,
            principal: account.username,
            action: operation,
            resource: target,
            role_needed: operation.role_needed(),
            steps,
        })
    }

    /// Whether the caller may ask about others.
    async fn explain_authorize(&self, caller: &Caller, target: &Target) -> Result<(), Error> {
        if caller.principal.is_system_admin() && caller.limit.is_none() {
            return Ok(());
        }
        match target {
            Target::Instance => Err(Refusal::Hidden {
                what: "that user".to_owned(),
                who: format!("user {}", caller.actor()),
                verb: "see",
            }
            .into()),
            Target::Organization(organization) => self
                .authorize_organization::<OrganizationMembersManage>(caller, organization)
                .await
                .map(|_| ()),
            Target::Registry(organization, registry) => {
                self.authorize_registry::<MembersManage>(caller, organization, registry).await.map(|_| ())
            }
            Target::Repository(name) => {
                let (organization, registry) = place_of(name)?;
                self.authorize_registry::<MembersManage>(caller, &organization, &registry).await.map(|_| ())
            }
        }
    }

    /// What the account has, and what stands in its way. Nothing in it tells an account without rights whether the
    /// place exists.
    async fn steps_of(
        &self,
        account: &AccountFound,
        operation: Operation,
        target: &Target,
    ) -> Result<Vec<Step>, Error> {
        let question = Question::new(account, operation, target);
        let mut steps = Vec::new();
        if question.principal.is_system_admin() {
            let effect = decide(&question.principal, operation, &Facts::default()).into();
            steps.push(Step { source: Source::SystemAdmin, role: None, effect });
        }
        if let Some(organization) = organization_of(target) {
            let (registry, repository) = below_organization(target);
            let place = rows::place_find(self.db(), organization, registry, repository).await?;
            if let Some(place) = place {
                self.role_steps(account, &question, organization, registry, &place, &mut steps).await?;
                question.state_steps(target, &place, &mut steps);
            }
        }
        if account.is_disabled {
            steps.push(Step { source: Source::Disabled, role: None, effect: Effect::Refuses });
        }
        Ok(steps)
    }

    /// The account's own roles, then those of its groups.
    async fn role_steps(
        &self,
        account: &AccountFound,
        question: &Question,
        organization: &str,
        registry: &str,
        place: &PlaceFound,
        steps: &mut Vec<Step>,
    ) -> Result<(), Error> {
        let path = |name: &str| format!("{organization}/{name}");
        let own = members::roles_of_user(self.db(), account.id, place.organization_id, MOST_ROLES).await?;
        for (on, role) in own {
            if let Some(effect) = question.effect_of(on.as_deref(), role, registry) {
                let source = match &on {
                    None => Source::OrganizationMember { organization: organization.to_owned() },
                    Some(name) => Source::RegistryMember { registry: path(name) },
                };
                steps.push(Step { source, role: Some(role), effect });
            }
        }
        for row in group_roles::group_roles_of_user(self.db(), account.id, place.organization_id).await? {
            if let Some(effect) = question.effect_of(row.registry.as_deref(), row.role, registry) {
                let on = row.registry.as_deref().map_or_else(|| organization.to_owned(), path);
                let (provider, group) = (row.provider, row.group_name);
                let source = Source::Group { id: row.public_id, provider, group, on };
                steps.push(Step { source, role: Some(row.role), effect });
            }
        }
        Ok(())
    }
}

/// Who asks for what, as [`decide`] is asked for each source by itself.
struct Question {
    principal: Principal,
    /// The same without being a system admin, which is a step of its own.
    plain: Principal,
    operation: Operation,
    is_about_registry: bool,
}

impl Question {
    fn new(account: &AccountFound, operation: Operation, target: &Target) -> Self {
        let user = |system_admin| {
            Principal::User(UserPrincipal {
                id: account.id,
                name: account.username.as_str().into(),
                system_admin,
                kind: account.kind,
            })
        };
        Self {
            principal: user(account.system_admin),
            plain: user(false),
            operation,
            is_about_registry: matches!(target, Target::Registry(..) | Target::Repository(_)),
        }
    }

    /// What a role on the organization or on a registry of it does; none when it has nothing to do with the
    /// question.
    fn effect_of(&self, on: Option<&str>, role: Role, registry: &str) -> Option<Effect> {
        let facts = match on {
            None => Facts { organization_role: Some(role), ..Facts::default() },
            Some(name) if self.is_about_registry && name != registry => return None,
            Some(_) if self.is_about_registry => Facts { registry_role: Some(role), ..Facts::default() },
            // A role on any registry of it makes an organization visible, and nothing more.
            Some(_) => Facts { registry_role: Some(Role::Viewer), ..Facts::default() },
        };
        Some(decide(&self.plain, self.operation, &facts).into())
    }

    /// What the state of the place does: whether it is public, and what is shut whoever asks.
    fn state_steps(&self, target: &Target, place: &PlaceFound, steps: &mut Vec<Step>) {
        let path = match target {
            Target::Instance | Target::Organization(_) => return,
            Target::Registry(organization, registry) => format!("{organization}/{registry}"),
            Target::Repository(name) => format!("{}/{}", name.organization(), name.registry()),
        };
        if place.visibility == Some(Visibility::Public) {
            let facts = Facts { visibility: place.visibility, ..Facts::default() };
            let effect = decide(&self.plain, self.operation, &facts).into();
            steps.push(Step { source: Source::Public { registry: path.clone() }, role: None, effect });
        }
        // Only whoever would be let through may know of the rest.
        if !steps.iter().any(|step| step.effect == Effect::Allows) {
            return;
        }
        if place.is_read_only && matches!(self.operation, Operation::Content(Action::Push | Action::Delete)) {
            let source = Source::ReadOnly { registry: path };
            steps.push(Step { source, role: None, effect: Effect::Refuses });
        }
        if place.is_quarantined && matches!(self.operation, Operation::Content(Action::Pull | Action::Push)) {
            let source = Source::Quarantined { repository: target.to_string() };
            steps.push(Step { source, role: None, effect: Effect::Refuses });
        }
    }
}

/// What the credentials of the caller do, unless they are good for everything.
fn credentials_step(caller: &Caller, operation: Operation, target: &Target) -> Option<Step> {
    if caller.limit.is_none() {
        return None;
    }
    let is_good = match (operation, target) {
        (Operation::Content(action), Target::Repository(name)) => {
            caller.limit.verdict(name.as_str(), action) == ScopeVerdict::Granted
        }
        (Operation::Content(action), Target::Registry(..)) => {
            caller.limit.grants().is_none() && caller.limit.enters_registry(&target.to_string(), action)
        }
        _ => false,
    };
    let effect = if is_good { Effect::Nothing } else { Effect::Refuses };
    Some(Step { source: Source::Credentials, role: None, effect })
}

/// The part of a target that an action is about: of a repository's name the registry, for what is done to
/// registries.
fn fitting(operation: Operation, target: &Target) -> Result<Target, Error> {
    let wrong = |expected: &str| {
        Error::new(
            ErrorKind::InvalidRequest,
            format!("{operation} is about {expected}; name one as the resource"),
        )
    };
    match operation {
        Operation::Content(_) => match target {
            Target::Registry(..) | Target::Repository(_) => Ok(target.clone()),
            Target::Instance | Target::Organization(_) => {
                Err(wrong("a repository (organization/registry/repository), or a whole registry"))
            }
        },
        Operation::Management(
            ManagementAction::RegistryRead
            | ManagementAction::RegistryManage
            | ManagementAction::RegistryMembersList
            | ManagementAction::RegistryMembersManage,
        ) => match target {
            Target::Registry(..) => Ok(target.clone()),
            Target::Repository(name) => {
                let (organization, registry) = place_of(name)?;
                Ok(Target::Registry(organization, registry))
            }
            Target::Instance | Target::Organization(_) => Err(wrong("a registry (organization/registry)")),
        },
        Operation::Management(
            ManagementAction::OrganizationRead
            | ManagementAction::OrganizationUpdate
            | ManagementAction::OrganizationDelete
            | ManagementAction::OrganizationMembersList
            | ManagementAction::OrganizationMembersManage
            | ManagementAction::RegistryCreate,
        ) => match target {
            Target::Organization(_) => Ok(target.clone()),
            Target::Registry(organization, _) => Ok(Target::Organization(organization.clone())),
            Target::Repository(name) => Ok(Target::Organization(place_of(name)?.0)),
            Target::Instance => Err(wrong("an organization")),
        },
        Operation::Instance(
            InstanceAction::UsersManage
            | InstanceAction::OrganizationCreate
            | InstanceAction::OrganizationsList,
        ) => Ok(Target::Instance),
    }
}

fn organization_of(target: &Target) -> Option<&str> {
    match target {
        Target::Instance => None,
        Target::Organization(organization) | Target::Registry(organization, _) => Some(organization.as_str()),
        Target::Repository(name) => Some(name.organization()),
    }
}

/// The registry and the repository that a target names, where it names them.
fn below_organization(target: &Target) -> (&str, &str) {
    match target {
        Target::Instance | Target::Organization(_) => ("", ""),
        Target::Registry(_, registry) => (registry.as_str(), ""),
        Target::Repository(name) => (name.registry(), name.repository()),
    }
}

/// The organization and the registry in a repository's name.
fn place_of(name: &RepositoryName) -> Result<(OrganizationName, RegistryName), Error> {
    let invalid = |error: oci::NameError| Error::new(ErrorKind::InvalidRequest, error.to_string());
    Ok((name.organization().parse().map_err(invalid)?, name.registry().parse().map_err(invalid)?))
}

#[cfg(test)]
mod tests;
