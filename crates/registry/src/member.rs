//! Members: who has a role of its own on an organization or on a registry.

use access::Role;
use db::{Durability, Lock, Transaction, WriteFuture};

use crate::Registry;
use crate::error::{Error, ErrorKind, What, registry_gone};
use crate::grant::{Granted, MembersList, MembersManage, OrganizationMembersList, OrganizationMembersManage};
use crate::store::{members as rows, tenancy};
use crate::tenancy::organization_gone;

/// Organizations that an answer names at the most.
const NAMED_AT_ONCE: usize = 10;

/// A member, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// The user's number: the cursor of the list.
    pub user_id: i64,
    /// The user's name.
    pub username: String,
    /// What the user may do.
    pub role: Role,
}

impl Registry {
    /// Gives a user a role on an organization, in place of the one it had.
    pub async fn organization_member_put(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        user_id: i64,
        role: Role,
    ) -> Result<(), Error> {
        let id = granted.resource.id;
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    if !tenancy::organization_hold_in(transaction, id).await? {
                        return Err(organization_gone());
                    }
                    account_hold_in(transaction, user_id, id).await?;
                    if role != Role::Admin {
                        keep_an_admin_in(transaction, id, user_id).await?;
                    }
                    rows::organization_member_put_in(transaction, id, user_id, role).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Takes a user's role on an organization away.
    pub async fn organization_member_delete(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        user_id: i64,
    ) -> Result<(), Error> {
        let id = granted.resource.id;
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    keep_an_admin_in(transaction, id, user_id).await?;
                    found(rows::organization_member_delete_in(transaction, id, user_id).await?)
                })
            })
            .await
    }

    /// One member of an organization.
    pub async fn organization_member_get(
        &self,
        granted: &Granted<OrganizationMembersList>,
        user_id: i64,
    ) -> Result<MemberView, Error> {
        member_view(user_id, rows::organization_member_get(self.db(), granted.resource.id, user_id).await?)
    }

    /// Members of an organization after the user with the number `after`.
    pub async fn organization_member_list(
        &self,
        granted: &Granted<OrganizationMembersList>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<MemberView>, Error> {
        member_views(rows::organization_members_list(self.db(), granted.resource.id, after, limit).await?)
    }

    /// Gives a user a role on a registry, in place of the one it had there.
    pub async fn registry_member_put(
        &self,
        granted: &Granted<MembersManage>,
        user_id: i64,
        role: Role,
    ) -> Result<(), Error> {
        let (id, organization_id) = (granted.resource.id, granted.resource.organization_id);
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    if !tenancy::registry_hold_in(transaction, id).await? {
                        return Err(registry_gone());
                    }
                    account_hold_in(transaction, user_id, organization_id).await?;
                    rows::registry_member_put_in(transaction, id, user_id, role).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Takes a user's role on a registry away. A role on the organization stays.
    pub async fn registry_member_delete(
        &self,
        granted: &Granted<MembersManage>,
        user_id: i64,
    ) -> Result<(), Error> {
        let id = granted.resource.id;
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    found(rows::registry_member_delete_in(transaction, id, user_id).await?)
                })
            })
            .await
    }

    /// One member of a registry.
    pub async fn registry_member_get(
        &self,
        granted: &Granted<MembersList>,
        user_id: i64,
    ) -> Result<MemberView, Error> {
        member_view(user_id, rows::registry_member_get(self.db(), granted.resource.id, user_id).await?)
    }

    /// Members of a registry after the user with the number `after`.
    pub async fn registry_member_list(
        &self,
        granted: &Granted<MembersList>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<MemberView>, Error> {
        member_views(rows::registry_members_list(self.db(), granted.resource.id, after, limit).await?)
    }
}

/// An organization without an administrator could only be helped from the server's shell. Who counts as one is said
/// where the rows are asked.
async fn keep_an_admin_in(transaction: &mut Transaction, id: i64, leaving: i64) -> Result<(), Error> {
    let is_admin = rows::organization_role_in(transaction, id, leaving).await? == Some(Role::Admin);
    if !is_admin || rows::organization_has_other_admin_in(transaction, id, leaving).await? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "this would leave the organization without an administrator; make another person one first: service \
         accounts, disabled accounts and roles of groups do not count",
    ))
}

/// Whether every organization can do without this user, whose account is about to go with all its roles. Asked in the
/// transaction that removes the account, which has to hold [`Lock::Tenancy`].
pub fn user_may_go_in(transaction: &mut Transaction, user_id: i64) -> WriteFuture<'_, (), Error> {
    Box::pin(async move {
        let found = rows::organizations_of_last_admin_in(transaction, user_id, NAMED_AT_ONCE + 1).await?;
        if found.is_empty() {
            return Ok(());
        }
        let mut names: Vec<String> = found.into_iter().map(|(name,)| name).collect();
        names.sort_unstable();
        let more = if names.len() > NAMED_AT_ONCE { " and others" } else { "" };
        names.truncate(NAMED_AT_ONCE);
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "this user is the only administrator of {}{more}; give another person the role admin there first, \
                 or delete the organization: service accounts, disabled accounts and roles of groups do not count",
                names.join(", ")
            ),
        ))
    })
}

/// Holds an account that is to have a role in an organization. A service account has roles in its own alone.
async fn account_hold_in(transaction: &mut Transaction, id: i64, organization_id: i64) -> Result<(), Error> {
    let account = rows::user_hold_in(transaction, id).await?.ok_or_else(user_gone)?;
    if !account.is_service || account.organization_id == Some(organization_id) {
        return Ok(());
    }
    Err(Error::not_found(
        What::Member,
        "this is no account that can be a member here; a service account has roles in its own organization alone",
    ))
}

/// Holds the account of a person.
pub(crate) async fn person_hold_in(transaction: &mut Transaction, id: i64) -> Result<(), Error> {
    let account = rows::user_hold_in(transaction, id).await?.ok_or_else(user_gone)?;
    if !account.is_service {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Forbidden,
        "a service account gets its roles from an administrator of its organization; use the account of a person",
    ))
}

fn user_gone() -> Error {
    Error::not_found(What::Member, "the user was deleted just now")
}

fn found(rows: u64) -> Result<(), Error> {
    if rows > 0 { Ok(()) } else { Err(member_unknown()) }
}

fn member_unknown() -> Error {
    Error::not_found(What::Member, "this user has no role here of its own")
}

fn member_view(user_id: i64, row: Option<rows::MemberRow>) -> Result<MemberView, Error> {
    let (username, role) = row.ok_or_else(member_unknown)?;
    Ok(MemberView { user_id, username, role: tenancy::stored(&role)? })
}

fn member_views(found: Vec<(i64, String, String)>) -> Result<Vec<MemberView>, Error> {
    found.into_iter().map(|(user_id, username, role)| member_view(user_id, Some((username, role)))).collect()
}

#[cfg(test)]
mod tests;
