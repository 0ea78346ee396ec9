//! Invitations: a role on an organization or on a registry for whoever brings the link, once.
//!
//! An invitation stands for a right that its maker has: once the maker may give no roles there any more, it is over.

use std::time::Duration;

use access::Role;
use clock::Timestamp;
use db::{Durability, Lock};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, What, registry_gone};
use crate::grant::{Granted, MembersManage, OrganizationMembersManage};
use crate::member::person_hold_in;
use crate::public_id::public_id;
use crate::store::invitations::{self as rows, InvitationRow, MOST_INVITATIONS, NewInvitationRow};
use crate::store::{members, tenancy};
use crate::tenancy::organization_gone;
use crate::{Registry, store};

/// How long an invitation can be accepted.
const LIFE: Duration = Duration::from_hours(7 * 24);
/// Bytes of an address at the most (RFC 5321 §4.5.3.1.3, less the angle brackets).
const LONGEST_EMAIL: usize = 254;
/// Rows that are removed in one transaction.
const BATCH: u32 = 1000;

/// An invitation to be.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// Address that it is sent to, if anybody says. It binds nobody: what counts is who brings the link.
    pub email: Option<String>,
    /// What whoever accepts it will be.
    pub role: Role,
}

/// An invitation, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvitationView {
    /// Its name, which is not its secret: the cursor of the list.
    pub id: String,
    /// The organization that it is to.
    pub organization: String,
    /// The registry that it is to; none for the whole organization.
    pub registry: Option<String>,
    /// Address that it was sent to.
    pub email: Option<String>,
    /// What whoever accepts it will be.
    pub role: Role,
    /// User name of whoever made it.
    pub invited_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// An invitation that was just made.
#[derive(Debug)]
pub struct InvitationMade {
    /// What there is to see of it.
    pub view: InvitationView,
    /// What the link ends in. It is told this once, and stored as a hash.
    pub secret: SecretString,
}

/// Where an invitation leads.
struct Place {
    organization_id: i64,
    organization: String,
    /// Number and name.
    registry: Option<(i64, String)>,
}

impl From<InvitationRow> for InvitationView {
    fn from(row: InvitationRow) -> Self {
        Self {
            id: row.public_id,
            organization: row.organization,
            registry: row.registry,
            email: (!row.email.is_empty()).then_some(row.email),
            role: row.role,
            invited_by: row.invited_by,
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
        }
    }
}

impl Registry {
    /// Invites somebody to an organization.
    pub async fn organization_invitation_create(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        new: NewInvitation,
    ) -> Result<InvitationMade, Error> {
        let organization = &granted.resource;
        let place = Place {
            organization_id: organization.id,
            organization: organization.name.to_string(),
            registry: None,
        };
        self.invitation_create(place, granted.caller.actor(), new).await
    }

    /// Invites somebody to a registry.
    pub async fn registry_invitation_create(
        &self,
        granted: &Granted<MembersManage>,
        new: NewInvitation,
    ) -> Result<InvitationMade, Error> {
        let registry = &granted.resource;
        let place = Place {
            organization_id: registry.organization_id,
            organization: registry.organization.to_string(),
            registry: Some((registry.id, registry.name.to_string())),
        };
        self.invitation_create(place, granted.caller.actor(), new).await
    }

    async fn invitation_create(
        &self,
        place: Place,
        invited_by: String,
        new: NewInvitation,
    ) -> Result<InvitationMade, Error> {
        check_email(new.email.as_deref())?;
        let now = self.now();
        let text = secret();
        let row = NewInvitationRow {
            public_id: public_id(now),
            secret_hash: hash(&text),
            organization_id: place.organization_id,
            registry_id: place.registry.as_ref().map(|(id, _)| *id),
            email: new.email.clone().unwrap_or_default(),
            role: new.role,
            invited_by,
            created_at: now,
            expires_at: now + LIFE,
        };
        let view = InvitationView {
            id: row.public_id.clone(),
            organization: place.organization,
            registry: place.registry.map(|(_, name)| name),
            email: new.email,
            role: row.role,
            invited_by: row.invited_by.clone(),
            created_at: row.created_at,
            expires_at: row.expires_at,
        };
        self.db()
            .write::<(), Error, _>(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    if !tenancy::organization_hold_in(transaction, row.organization_id).await? {
                        return Err(organization_gone());
                    }
                    if let Some(id) = row.registry_id
                        && !tenancy::registry_hold_in(transaction, id).await?
                    {
                        return Err(registry_gone());
                    }
                    let open = rows::invitations_count_in(transaction, row.organization_id, now).await?;
                    if open >= MOST_INVITATIONS {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            format!(
                                "the organization has {MOST_INVITATIONS} open invitations, and no more are \
                                 allowed; delete some, or wait until they are accepted"
                            ),
                        ));
                    }
                    rows::invitation_insert_in(transaction, &row).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(InvitationMade { view, secret: text.into() })
    }

    /// Open invitations to an organization and to its registries after `after`, oldest first.
    pub async fn organization_invitation_list(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<InvitationView>, Error> {
        let id = granted.resource.id;
        let found = rows::invitations_of_organization(self.db(), id, after, self.now(), limit).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// Open invitations to a registry after `after`, oldest first.
    pub async fn registry_invitation_list(
        &self,
        granted: &Granted<MembersManage>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<InvitationView>, Error> {
        let id = granted.resource.id;
        let found = rows::invitations_of_registry(self.db(), id, after, self.now(), limit).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    /// Takes back an invitation to an organization or to a registry of it.
    pub async fn organization_invitation_delete(
        &self,
        granted: &Granted<OrganizationMembersManage>,
        id: &str,
    ) -> Result<(), Error> {
        let (organization_id, id) = (granted.resource.id, id.to_owned());
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    match rows::invitation_of_organization_delete_in(transaction, organization_id, &id)
                        .await?
                    {
                        0 => Err(invitation_unknown()),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// Takes back an invitation to a registry.
    pub async fn registry_invitation_delete(
        &self,
        granted: &Granted<MembersManage>,
        id: &str,
    ) -> Result<(), Error> {
        let (registry_id, id) = (granted.resource.id, id.to_owned());
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    match rows::invitation_of_registry_delete_in(transaction, registry_id, &id).await? {
                        0 => Err(invitation_unknown()),
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    /// The invitation that a link leads to, for whoever holds the link.
    pub async fn invitation_get(&self, secret: &str) -> Result<InvitationView, Error> {
        let row = rows::invitation_by_secret(self.db(), hash(secret), self.now()).await?;
        let row = row.ok_or_else(invitation_over)?;
        let maker =
            members::standing(self.db(), &row.invited_by, row.organization_id, row.registry_id).await?;
        if maker < Some(Role::Admin) {
            return Err(invitation_over());
        }
        Ok(row.into())
    }

    /// Accepts an invitation: the user gets its role, unless it has a higher one there, and the invitation is used
    /// up. The caller sees to it that the user's credentials are good for more than content.
    pub async fn invitation_accept(&self, secret: &str, user_id: i64) -> Result<InvitationView, Error> {
        let (secret_hash, now) = (hash(secret), self.now());
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    let row = rows::invitation_by_secret_in(transaction, secret_hash, now)
                        .await?
                        .ok_or_else(invitation_over)?;
                    let (organization_id, registry_id) = (row.organization_id, row.registry_id);
                    let maker =
                        members::standing_in(transaction, &row.invited_by, organization_id, registry_id)
                            .await?;
                    if maker < Some(Role::Admin)
                        || rows::invitation_use_in(transaction, secret_hash).await? == 0
                    {
                        return Err(invitation_over());
                    }
                    if !tenancy::organization_hold_in(transaction, organization_id).await? {
                        return Err(invitation_over());
                    }
                    person_hold_in(transaction, user_id).await?;
                    match registry_id {
                        None => {
                            let own =
                                members::organization_role_in(transaction, organization_id, user_id).await?;
                            if own < Some(row.role) {
                                let (id, role) = (organization_id, row.role);
                                members::organization_member_put_in(transaction, id, user_id, role).await?;
                            }
                        }
                        Some(id) => {
                            if !tenancy::registry_hold_in(transaction, id).await? {
                                return Err(invitation_over());
                            }
                            let own = members::registry_role_in(transaction, id, user_id).await?;
                            if own < Some(row.role) {
                                members::registry_member_put_in(transaction, id, user_id, row.role).await?;
                            }
                        }
                    }
                    Ok(InvitationView::from(row))
                })
            })
            .await
    }

    /// Removes some invitations that have ended; tells how many. The work of a background task.
    pub async fn invitations_remove_expired(&self) -> Result<u64, Error> {
        let now = self.now();
        let removed = self.db().write(Durability::Relaxed, move |transaction| {
            Box::pin(async move {
                store::invitations::invitations_remove_expired_in(transaction, now, BATCH)
                    .await
                    .map_err(Error::from)
            })
        });
        removed.await
    }
}

/// 256 random bits in hexadecimal digits: a double click selects all of it.
fn secret() -> String {
    let mut bytes = [0; 32];
    // A server that cannot make secrets must not run on with predictable ones.
    getrandom::fill(&mut bytes).expect("the operating system has a source of randomness");
    hex::encode(bytes)
}

/// Under what an invitation is found. With 256 random bits in the secret, one fast hash is enough.
fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Whether mail arrives there only mail can tell.
fn check_email(email: Option<&str>) -> Result<(), Error> {
    let Some(email) = email else { return Ok(()) };
    let is_acceptable = email.len() <= LONGEST_EMAIL
        && !email.chars().any(|character| character.is_whitespace() || character.is_control())
        && email
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'));
    if is_acceptable {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidRequest,
        "email: expected an address such as name@example.com of at most 254 bytes",
    ))
}

fn invitation_unknown() -> Error {
    Error::not_found(
        What::Member,
        "there is no such invitation here; it may have been accepted or have ended",
    )
}

/// One answer for every reason, so that it tells nothing to whoever guesses.
fn invitation_over() -> Error {
    Error::not_found(
        What::Member,
        "this invitation is not good any more: it was accepted, taken back, or has ended; ask for a new one",
    )
}

#[cfg(test)]
mod tests;
