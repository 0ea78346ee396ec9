//! Roles of groups: whoever an identity provider says is in a group has the group's role, for as long as both say
//! so. They add to the roles that people have themselves, and take nothing away.

use access::Role;
use clock::Timestamp;
use db::{Durability, Lock};
use oci::RegistryName;

use crate::Registry;
use crate::error::{Error, ErrorKind, What};
use crate::grant::{Granted, OrganizationMembersManage};
use crate::public_id::public_id;
use crate::store::group_roles::{self as rows, GroupPlace, GroupRoleRow, MOST_GROUP_ROLES};
use crate::store::tenancy;
use crate::tenancy::organization_gone;

/// Characters of a provider's or a group's name at the most.
const LONGEST_NAME: usize = 255;

/// A role for a group.
#[derive(Clone, Debug)]
pub struct NewGroupRole {
    /// Name of the identity provider, as the configuration has it.
    pub provider: String,
    /// Name of the group, byte for byte as the provider says it.
    pub group: String,
    /// The registry that the role is on; none for the whole organization.
    pub registry: Option<RegistryName>,
    /// What people in the group are there.
    pub role: Role,
}

/// The role of a group, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRoleView {
    /// Its name: the cursor of the list.
    pub id: String,
    /// Name of the identity provider.
    pub provider: String,
    /// Name of the group.
    pub group: String,
    /// The registry that the role is on; none for the whole organization.
    pub registry: Option<String>,
    /// What people in the group are there.
    pub role: Role,
    /// When it was given.
    pub created_at: Timestamp,
}

impl From<GroupRoleRow> for GroupRoleView {
    fn from(row: GroupRoleRow) -> Self {
        Self {
            id: row.public_id,
            provider: row.provider,
            group: row.group_name,
            registry: row.registry,
            role: row.role,
            created_at: Timestamp::from_millis(row.created_at),
        }
    }
}

impl Registry {
    /// Gives a group a role on the organization or on a registry of it.
    pub async fn group_role_create(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        new: NewGroupRole,
    ) -> Result<GroupRoleView, Error> {
        check_name("provider", &new.provider)?;
        check_name("group", &new.group)?;
        let (organization, now) = (granted.resource.clone(), self.now());
        let view = GroupRoleView {
            id: public_id(now),
            provider: new.provider.clone(),
            group: new.group.clone(),
            registry: new.registry.as_ref().map(ToString::to_string),
            role: new.role,
            created_at: now,
        };
        let id = view.id.clone();
        self.db()
            .write::<(), Error, _>(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    if !tenancy::organization_hold_in(transaction, organization.id).await? {
                        return Err(organization_gone());
                    }
                    let registry_id = match &new.registry {
                        None => None,
                        Some(name) => {
                            let found =
                                tenancy::registry_id_in(transaction, organization.id, name.as_str()).await?;
                            Some(found.ok_or_else(|| {
                                Error::not_found(
                                    What::Registry,
                                    format!(
                                        "registry {name} does not exist in organization {}; create it first",
                                        organization.name
                                    ),
                                )
                            })?)
                        }
                    };
                    let place = GroupPlace {
                        organization_id: organization.id,
                        registry_id,
                        provider: new.provider,
                        group_name: new.group,
                    };
                    if rows::group_role_exists_in(transaction, &place).await? {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            format!(
                                "group {} of provider {} has a role there already; change that one",
                                place.group_name, place.provider
                            ),
                        ));
                    }
                    if rows::group_roles_count_in(transaction, organization.id).await? >= MOST_GROUP_ROLES {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            format!(
                                "the organization has {MOST_GROUP_ROLES} roles for groups, and no more are \
                                 allowed; delete some, or use fewer groups"
                            ),
                        ));
                    }
                    rows::group_role_insert_in(transaction, &id, &place, new.role, now).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(view)
    }

    /// Roles of groups on an organization and on its registries after `after`, oldest first.
    pub async fn group_role_list(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<GroupRoleView>, Error> {
        let found = rows::group_roles_list(self.db(), granted.resource.id, after, limit).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// One role of a group.
    pub async fn group_role_get(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        id: &str,
    ) -> Result<GroupRoleView, Error> {
        let found = rows::group_role_get(self.db(), granted.resource.id, id).await?;
        found.map(Into::into).ok_or_else(group_role_unknown)
    }

    /// Changes what people in a group are. It counts for all of them at once.
    pub async fn group_role_set(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        id: &str,
        role: Role,
    ) -> Result<(), Error> {
        let (organization_id, id) = (granted.resource.id, id.to_owned());
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    found(rows::group_role_set_in(transaction, organization_id, &id, role).await?)
                })
            })
            .await
    }

    /// Takes a group's role away. People in it keep the roles that they have themselves.
    pub async fn group_role_delete(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        id: &str,
    ) -> Result<(), Error> {
        let (organization_id, id) = (granted.resource.id, id.to_owned());
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    found(rows::group_role_delete_in(transaction, organization_id, &id).await?)
                })
            })
            .await
    }
}

fn found(rows: u64) -> Result<(), Error> {
    if rows > 0 { Ok(()) } else { Err(group_role_unknown()) }
}

fn group_role_unknown() -> Error {
    Error::not_found(What::Member, "there is no such role of a group here; list them to see which there are")
}

fn check_name(field: &str, text: &str) -> Result<(), Error> {
    let is_acceptable =
        (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_acceptable {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidRequest,
        format!("{field}: expected 1 to {LONGEST_NAME} characters on one line"),
    ))
}

#[cfg(test)]
mod tests;
