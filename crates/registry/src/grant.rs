//! From a name to a capability: the one place where a caller's rights are asked.

use std::marker::PhantomData;

use access::{
    Action, Basis, Facts, Limit, ManagementAction, Operation, Principal, Role, ScopeVerdict, Visibility,
    decide,
};
use oci::{OrganizationName, RegistryName, RepositoryName};

use crate::error::{Error, ErrorKind, PackageFault, What};
use crate::python::PythonSettings;
use crate::store::resolve::RepositoryFound;
use crate::{Registry, store};

/// Who is asking, and what their credentials limit them to.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who is asking.
    pub principal: Principal,
    /// What the credentials were cut down to.
    pub limit: Limit,
}

impl Caller {
    /// Whoever runs a command on the server itself: the data folder is in their hands, so organizations
    /// are. No request can be this caller.
    pub fn operator() -> Self {
        Self { principal: Principal::Operator, limit: Limit::NONE }
    }

    /// The name that the record keeps for what this caller does.
    pub(crate) fn actor(&self) -> String {
        match &self.principal {
            Principal::User(user) => user.name.to_string(),
            Principal::Anonymous => "anonymous".to_owned(),
            Principal::Operator => "operator".to_owned(),
        }
    }

    pub(crate) fn user_id(&self) -> i64 {
        // No user has the number 0, so an anonymous caller matches no membership.
        self.principal.user_id().unwrap_or(0)
    }
}

/// A right that an authorization can grant.
pub trait Right: sealed::Sealed {
    /// What the right is over.
    type Resource;
    /// What is asked of [`access::decide`].
    const OPERATION: Operation;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident over $resource:ty = $operation:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub enum $name {}
            impl sealed::Sealed for $name {}
            impl Right for $name {
                type Resource = $resource;
                const OPERATION: Operation = $operation;
            }
        )+
    };
}

rights! {
    /// Read a repository's content.
    Pull over Repository = Operation::Content(Action::Pull);
    /// Write a repository's content.
    Push over Repository = Operation::Content(Action::Push);
    /// Delete a repository's content.
    Delete over Repository = Operation::Content(Action::Delete);
    /// See an organization.
    OrganizationRead over Organization = Operation::Management(ManagementAction::OrganizationRead);
    /// Delete an organization.
    OrganizationDelete over Organization = Operation::Management(ManagementAction::OrganizationDelete);
    /// See the members of an organization.
    OrganizationMembersList over Organization =
        Operation::Management(ManagementAction::OrganizationMembersList);
    /// Change the members of an organization.
    OrganizationMembersManage over Organization =
        Operation::Management(ManagementAction::OrganizationMembersManage);
    /// Create a registry in an organization.
    RegistryCreate over Organization = Operation::Management(ManagementAction::RegistryCreate);
    /// See a registry.
    RegistryRead over RegistryPlace = Operation::Management(ManagementAction::RegistryRead);
    /// Change or delete a registry.
    RegistryManage over RegistryPlace = Operation::Management(ManagementAction::RegistryManage);
    /// See the members of a registry.
    MembersList over RegistryPlace = Operation::Management(ManagementAction::RegistryMembersList);
    /// Read a registry's packages.
    PackagesRead over Packages = Operation::Content(Action::Pull);
    /// Add packages to a registry, yank them.
    PackagesPush over Packages = Operation::Content(Action::Push);
    /// Delete packages of a registry.
    PackagesDelete over Packages = Operation::Content(Action::Delete);
    /// Set the status of a registry's packages, bring deleted ones back.
    PackagesManage over Packages = Operation::Management(ManagementAction::RegistryManage);
    /// Change the members of a registry.
    MembersManage over RegistryPlace = Operation::Management(ManagementAction::RegistryMembersManage);
}

/// Where a repository is. It need not exist yet: a push creates it.
#[derive(Clone, Debug)]
pub struct Repository {
    pub(crate) registry_id: i64,
    pub(crate) id: Option<i64>,
    pub(crate) name: RepositoryName,
    pub(crate) sparse: bool,
    pub(crate) redirect: bool,
}

/// A registry that exists, as an index of packages.
#[derive(Clone, Debug)]
pub struct Packages {
    pub(crate) registry_id: i64,
    pub(crate) organization: OrganizationName,
    pub(crate) registry: RegistryName,
    pub(crate) settings: PythonSettings,
    pub(crate) public: bool,
    pub(crate) redirect: bool,
    pub(crate) serial: i64,
}

/// An organization that exists.
#[derive(Clone, Debug)]
pub struct Organization {
    pub(crate) id: i64,
    pub(crate) name: OrganizationName,
}

/// A registry that exists.
#[derive(Clone, Debug)]
pub struct RegistryPlace {
    pub(crate) id: i64,
    pub(crate) organization_id: i64,
    pub(crate) organization: OrganizationName,
    pub(crate) name: RegistryName,
}

/// Proof that a caller was authorized for the right `R` over one resource. Use cases take it, and only the
/// authorization makes it.
#[derive(Debug)]
pub struct Granted<R: Right> {
    pub(crate) resource: R::Resource,
    pub(crate) caller: Caller,
    right: PhantomData<R>,
}

impl<R: Right> Granted<R> {
    fn new(resource: R::Resource, caller: &Caller) -> Self {
        Self { resource, caller: caller.clone(), right: PhantomData }
    }
}

impl<R: Right<Resource = Repository>> Granted<R> {
    /// The repository's full name.
    pub fn name(&self) -> &RepositoryName {
        &self.resource.name
    }

    /// The repository's row, or the honest "not there" that whoever holds a right to it may hear.
    pub(crate) fn existing(&self) -> Result<i64, Error> {
        self.resource.id.ok_or_else(|| {
            Error::not_found(
                What::Repository,
                format!("repository {} does not exist; the first push to it creates it", self.resource.name),
            )
        })
    }
}

impl<R: Right<Resource = Packages>> Granted<R> {
    /// Whether anybody may read the packages.
    pub fn is_public(&self) -> bool {
        self.resource.public
    }

    /// Fails when the credentials are not good for one project.
    pub(crate) fn check_project(&self, project: &python::NormalizedName) -> Result<(), Error> {
        let Operation::Content(action) = R::OPERATION else { return Ok(()) };
        let name = format!("{}/{}/{project}", self.resource.organization, self.resource.registry);
        if self.caller.limit.reaches(&name, action) {
            return Ok(());
        }
        Err(limited::<R>(name).into())
    }

    /// Fails when the credentials are not good for all projects: a list of all names them all.
    pub(crate) fn check_all_projects(&self) -> Result<(), Error> {
        let Operation::Content(action) = R::OPERATION else { return Ok(()) };
        let registry = format!("{}/{}", self.resource.organization, self.resource.registry);
        if self.caller.limit.covers_registry(&registry, action) {
            return Ok(());
        }
        Err(limited::<R>(format!("all of {registry}")).into())
    }
}

impl<R: Right<Resource = Organization>> Granted<R> {
    /// The organization's row, for what is kept beside it: the accounts that machines use.
    pub fn organization_id(&self) -> i64 {
        self.resource.id
    }
}

/// Why a caller was turned away, and with it how much the answer may tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The credentials say nothing about this right; better ones may.
    #[error("authentication is required: sign in, or ask the token service for this scope")]
    Unasked,
    /// The caller may not know whether it exists.
    #[error(
        "{what} does not exist, or {who} may not {verb} it; check the name, or ask an administrator of the \
         organization for access"
    )]
    Hidden {
        /// What was named, as it was named.
        what: String,
        /// Who asked.
        who: String,
        /// What was asked.
        verb: &'static str,
    },
    /// The credentials are limited to something else. It says nothing of what exists: whoever holds them can read
    /// their limits.
    #[error("this token is not good for {verb} {what}; use one whose scopes name it")]
    Limited {
        /// What was named, as it was named.
        what: String,
        /// What was asked: "pulling from", and the like.
        verb: &'static str,
    },
    /// The caller may see it but not do this.
    #[error("{who} may not {verb} {what}; it takes the role {role}, which an administrator of it can give")]
    RoleTooLow {
        /// What was named.
        what: String,
        /// Who asked.
        who: String,
        /// What was asked.
        verb: &'static str,
        /// The lowest role that would do.
        role: Role,
    },
}

impl Registry {
    /// Asks for a right over a repository's content.
    pub async fn authorize<R>(&self, caller: &Caller, name: &RepositoryName) -> Result<Granted<R>, Error>
    where
        R: Right<Resource = Repository>,
    {
        let found = store::resolve::repository_resolve(self.db(), name, caller.user_id()).await?;
        grant_repository(caller, name, &found)
    }

    /// As [`authorize`](Self::authorize) for a caller of whom it is not known whether it still is who its
    /// credentials stood for: the one statement that looks for the right looks at their basis too. `None` when that
    /// is not any more as it was.
    pub async fn authorize_standing<R>(
        &self,
        caller: &Caller,
        basis: &Basis,
        name: &RepositoryName,
    ) -> Result<Option<Granted<R>>, Error>
    where
        R: Right<Resource = Repository>,
    {
        if caller.user_id() != basis.user_id {
            return Ok(None);
        }
        match store::resolve::repository_resolve_standing(self.db(), name, basis).await? {
            Some(found) if found.anchor_ends_at.is_none_or(|end| self.now() < end) => {
                grant_repository(caller, name, &found.repository).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Which of `actions` the principal may do on the repository now, for a token that will say so.
    pub async fn evaluate(
        &self,
        principal: &Principal,
        name: &RepositoryName,
        actions: access::ActionSet,
    ) -> Result<access::ActionSet, Error> {
        let found =
            store::resolve::repository_resolve(self.db(), name, principal.user_id().unwrap_or(0)).await?;
        Ok(actions.iter().filter(|action| decide(principal, *action, &found.facts).is_allowed()).collect())
    }

    /// Asks for a right over a registry as an index of packages.
    pub async fn authorize_packages<R>(
        &self,
        caller: &Caller,
        organization: &OrganizationName,
        name: &RegistryName,
    ) -> Result<Granted<R>, Error>
    where
        R: Right<Resource = Packages>,
    {
        let path = format!("{organization}/{name}");
        check_limit::<R>(caller, &path)?;
        let found = store::resolve::packages_resolve(self.db(), organization, name, caller.user_id()).await?;
        if !decide(&caller.principal, R::OPERATION, &found.facts).is_allowed() {
            if caller.principal.is_anonymous() {
                return Err(Refusal::Unasked.into());
            }
            return Err(refuse::<R>(caller, &path, found.facts).into());
        }
        // A token that was cut down to repositories says nothing about an index of all of them.
        if caller.limit.grants().is_some() {
            return Err(Refusal::Unasked.into());
        }
        let Some(registry_id) = found.registry_id else {
            return Err(registry_missing(organization.as_str(), name.as_str()));
        };
        if found.read_only && matches!(R::OPERATION, Operation::Content(Action::Push | Action::Delete)) {
            return Err(read_only(organization.as_str(), name.as_str()));
        }
        let packages = Packages {
            registry_id,
            organization: organization.clone(),
            registry: name.clone(),
            settings: found.python,
            public: found.facts.visibility == Some(Visibility::Public),
            redirect: found.redirect,
            serial: found.python_serial,
        };
        Ok(Granted::new(packages, caller))
    }

    /// Asks for a right over an organization.
    pub async fn authorize_organization<R>(
        &self,
        caller: &Caller,
        name: &OrganizationName,
    ) -> Result<Granted<R>, Error>
    where
        R: Right<Resource = Organization>,
    {
        check_limit::<R>(caller, name.as_str())?;
        let found = store::resolve::organization_resolve(self.db(), name, caller.user_id()).await?;
        // Being a system admin must not tell whether it exists any sooner than the row does.
        match (decide(&caller.principal, R::OPERATION, &found.facts).is_allowed(), found.id) {
            (true, Some(id)) => Ok(Granted::new(Organization { id, name: name.clone() }, caller)),
            (true, None) => Err(Error::not_found(
                What::Organization,
                format!("organization {name} does not exist; create it first"),
            )),
            (false, _) => Err(refuse_seen::<R>(
                caller,
                name.as_str(),
                decide(&caller.principal, ManagementAction::OrganizationRead, &found.facts).is_allowed()
                    && found.id.is_some(),
            )
            .into()),
        }
    }

    /// Asks for a right over a registry.
    pub async fn authorize_registry<R>(
        &self,
        caller: &Caller,
        organization: &OrganizationName,
        name: &RegistryName,
    ) -> Result<Granted<R>, Error>
    where
        R: Right<Resource = RegistryPlace>,
    {
        let path = format!("{organization}/{name}");
        check_limit::<R>(caller, &path)?;
        let found = store::resolve::registry_resolve(self.db(), organization, name, caller.user_id()).await?;
        let facts = found.as_ref().map(|found| found.facts).unwrap_or_default();
        if !decide(&caller.principal, R::OPERATION, &facts).is_allowed() {
            let readable = decide(&caller.principal, ManagementAction::RegistryRead, &facts).is_allowed();
            return Err(refuse_seen::<R>(caller, &path, readable).into());
        }
        let known = found.and_then(|found| Some((found.registry_id?, found.organization_id)));
        let Some((id, organization_id)) = known else {
            return Err(registry_missing(organization.as_str(), name.as_str()));
        };
        let place =
            RegistryPlace { id, organization_id, organization: organization.clone(), name: name.clone() };
        Ok(Granted::new(place, caller))
    }
}

/// The right over a repository, if what was found of it and of the caller's standing there gives it.
fn grant_repository<R>(
    caller: &Caller,
    name: &RepositoryName,
    found: &RepositoryFound,
) -> Result<Granted<R>, Error>
where
    R: Right<Resource = Repository>,
{
    let Operation::Content(action) = R::OPERATION else {
        unreachable!("a right over a repository is a right over content")
    };
    if !caller.limit.reaches(name.as_str(), action) {
        return Err(limited::<R>(name.to_string()).into());
    }
    match caller.limit.verdict(name.as_str(), action) {
        ScopeVerdict::Granted => {}
        ScopeVerdict::Silent => return Err(Refusal::Unasked.into()),
        ScopeVerdict::Denied => return Err(refuse::<R>(caller, name.as_str(), found.facts).into()),
    }
    // Without credentials every answer is the same question for some, whatever exists.
    if caller.principal.is_anonymous() && caller.limit.is_none() {
        return Err(Refusal::Unasked.into());
    }
    if !decide(&caller.principal, R::OPERATION, &found.facts).is_allowed() {
        return Err(refuse::<R>(caller, name.as_str(), found.facts).into());
    }
    let Some(registry_id) = found.registry_id else {
        return Err(registry_missing(name.organization(), name.registry()));
    };
    if found.read_only && action != Action::Pull {
        return Err(read_only(name.organization(), name.registry()));
    }
    if action != Action::Delete
        && let Some(reason) = &found.quarantine
    {
        return Err(quarantined(name.repository(), reason));
    }
    let repository = Repository {
        registry_id,
        id: found.repository_id,
        name: name.clone(),
        sparse: found.sparse,
        redirect: found.redirect,
    };
    Ok(Granted::new(repository, caller))
}

fn registry_missing(organization: &str, registry: &str) -> Error {
    Error::not_found(
        What::Registry,
        format!(
            "registry {registry} does not exist in organization {organization}; an administrator of the \
             organization can create it"
        ),
    )
}

fn read_only(organization: &str, registry: &str) -> Error {
    Error::new(
        ErrorKind::Forbidden,
        format!(
            "registry {organization}/{registry} is read-only; an administrator of it can change that, pulling \
             goes on"
        ),
    )
}

/// What everybody hears who asks for content of a quarantined project.
pub(crate) fn quarantined(project: &str, reason: &str) -> Error {
    let because = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
    Error::new(
        ErrorKind::Package(PackageFault::Quarantined),
        format!("project {project} is quarantined{because}; ask an administrator of the registry"),
    )
}

/// Whether credentials are good for anything of a kind in a place. What scopes name is content, so they are good
/// for content alone.
fn check_limit<R: Right>(caller: &Caller, place: &str) -> Result<(), Refusal> {
    let is_good = match R::OPERATION {
        Operation::Content(action) => caller.limit.enters_registry(place, action),
        Operation::Management(_) | Operation::Instance(_) => caller.limit.scopes().is_none(),
    };
    if is_good { Ok(()) } else { Err(limited::<R>(place.to_owned())) }
}

fn limited<R: Right>(what: String) -> Refusal {
    let verb = match R::OPERATION {
        Operation::Content(Action::Pull) => "pulling from",
        Operation::Content(Action::Push) => "pushing to",
        Operation::Content(Action::Delete) => "deleting from",
        Operation::Management(_) | Operation::Instance(_) => "managing",
    };
    Refusal::Limited { what, verb }
}

fn refuse<R: Right>(caller: &Caller, what: &str, facts: Facts) -> Refusal {
    refuse_seen::<R>(caller, what, decide(&caller.principal, Action::Pull, &facts).is_allowed())
}

/// What a refused caller hears: the one place that decides how much.
fn refuse_seen<R: Right>(caller: &Caller, what: &str, may_see: bool) -> Refusal {
    let who = match &caller.principal {
        Principal::User(user) => format!("user {}", user.name),
        Principal::Anonymous => "an anonymous caller".to_owned(),
        Principal::Operator => "the operator".to_owned(),
    };
    let verb = match R::OPERATION {
        Operation::Content(Action::Pull) => "pull from",
        Operation::Content(Action::Push) => "push to",
        Operation::Content(Action::Delete) => "delete from",
        Operation::Management(
            ManagementAction::OrganizationRead
            | ManagementAction::RegistryRead
            | ManagementAction::OrganizationMembersList
            | ManagementAction::RegistryMembersList,
        ) => "see",
        Operation::Management(_) | Operation::Instance(_) => "manage",
    };
    let what = what.to_owned();
    if !may_see {
        return Refusal::Hidden { what, who, verb };
    }
    // What no role allows is asked of nobody here.
    let role = R::OPERATION.role_needed().unwrap_or(Role::Admin);
    Refusal::RoleTooLow { what, who, verb, role }
}

#[cfg(test)]
mod tests;
