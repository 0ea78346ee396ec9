//! Organizations and registries.

use access::{Role, Visibility};
use clock::Timestamp;
use db::{Durability, Lock};
use oci::{OrganizationName, RegistryName};

use crate::Registry;
use crate::error::{Error, ErrorKind, What, registry_gone};
use crate::grant::{
    Caller, Granted, OrganizationDelete, OrganizationRead, RegistryCreate, RegistryManage, RegistryRead,
};
use crate::member::person_hold_in;
use crate::python::{PythonSettings, PythonSettingsChange};
use crate::store::members::organization_member_put_in;
use crate::store::tenancy as rows;

/// Names that are tried for an organization that is made for somebody.
const NAMES_TRIED: u32 = 50;

/// An organization, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationView {
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What the administrators of a registry decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Who may pull.
    pub visibility: Visibility,
    /// Whether a manifest may name content that its repository does not hold, as in a mirror of some
    /// platforms of an image (OCI image-spec, sparse indexes). Clients that pull the rest find it missing.
    pub sparse: bool,
    /// Whether everything stays as it is: nothing is pushed and nothing deleted, whoever asks.
    pub read_only: bool,
    /// Whether large blobs may be answered with a redirect to the object store, where there is one. Clients that
    /// cannot reach it need this off.
    pub redirect: bool,
    /// How its Python index judges uploads.
    pub python: PythonSettings,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            visibility: Visibility::Private,
            sparse: false,
            read_only: false,
            redirect: true,
            python: PythonSettings::default(),
        }
    }
}

/// A change of a registry's settings: what is `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrySettingsChange {
    /// Who may pull.
    pub visibility: Option<Visibility>,
    /// Whether manifests may be sparse.
    pub sparse: Option<bool>,
    /// Whether nothing is pushed and nothing deleted.
    pub read_only: Option<bool>,
    /// Whether large blobs may be answered with a redirect.
    pub redirect: Option<bool>,
    /// How the Python index judges uploads.
    pub python: PythonSettingsChange,
}

/// A registry, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryView {
    /// The organization that it is in.
    pub organization: String,
    /// Its name.
    pub name: String,
    /// What its administrators decided.
    pub settings: RegistrySettings,
    /// When it was created.
    pub created_at: Timestamp,
}

fn organization_view((name, created_at): (String, i64)) -> OrganizationView {
    OrganizationView { name, created_at: Timestamp::from_millis(created_at) }
}

fn registry_view(organization: &OrganizationName, row: rows::RegistryRow) -> RegistryView {
    RegistryView {
        organization: organization.to_string(),
        name: row.name,
        settings: row.settings,
        created_at: row.created_at,
    }
}

impl Registry {
    /// Whether what the first start creates was once there in full.
    pub async fn first_start_is_complete(&self) -> Result<bool, Error> {
        Ok(rows::first_start_is_complete(self.db()).await?)
    }

    /// Records that everything that the first start creates is there.
    pub async fn first_start_complete(&self) -> Result<(), Error> {
        let now = self.now();
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    rows::first_start_complete_in(transaction, now).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Creates an organization and makes the user its first administrator. The caller has been asked for
    /// the right to create organizations, which is one over the instance.
    pub async fn organization_create(
        &self,
        name: &OrganizationName,
        first_admin: i64,
    ) -> Result<OrganizationView, Error> {
        let (text, now) = (name.to_string(), self.now());
        let view = OrganizationView { name: text.clone(), created_at: now };
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    person_hold_in(transaction, first_admin).await?;
                    let id = rows::organization_insert_in(transaction, &text, now)
                        .await
                        .map_err(|error| taken(error, || format!("organization {text} exists already")))?;
                    organization_member_put_in(transaction, id, first_admin, Role::Admin).await?;
                    Ok::<_, Error>(())
                })
            })
            .await?;
        Ok(view)
    }

    /// Creates an organization for somebody who has just come, named after them as far as names allow.
    pub async fn organization_create_starting(
        &self,
        user_id: i64,
        username: &str,
    ) -> Result<OrganizationView, Error> {
        let mut outcome = Err(Error::new(ErrorKind::Conflict, "no name is left for an organization"));
        for name in starting_names(username) {
            outcome = self.organization_create(&name, user_id).await;
            match &outcome {
                Err(error) if *error.kind() == ErrorKind::Conflict => {}
                _ => break,
            }
        }
        outcome
    }

    /// An organization.
    pub async fn organization_get(
        &self,
        granted: &Granted<OrganizationRead>,
    ) -> Result<OrganizationView, Error> {
        rows::organization_get(self.db(), granted.resource.id)
            .await?
            .map(organization_view)
            .ok_or_else(organization_gone)
    }

    /// Organizations after `after` that the caller may see: all for a system administrator.
    pub async fn organization_list(
        &self,
        caller: &Caller,
        after: &str,
        limit: u32,
    ) -> Result<Vec<OrganizationView>, Error> {
        let found = if caller.principal.is_system_admin() {
            rows::organizations_all(self.db(), after, limit).await?
        } else {
            rows::organizations_of_user(self.db(), caller.user_id(), after, limit).await?
        };
        Ok(found.into_iter().map(organization_view).collect())
    }

    /// Deletes an organization that holds no registry any more.
    pub async fn organization_delete(&self, granted: &Granted<OrganizationDelete>) -> Result<(), Error> {
        let organization = granted.resource.clone();
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    if rows::organization_delete_in(transaction, organization.id).await? {
                        return Ok(());
                    }
                    Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "organization {} holds registries; delete them first, and wait until the content of \
                             deleted ones is collected",
                            organization.name
                        ),
                    ))
                })
            })
            .await
    }

    /// Creates a registry.
    pub async fn registry_create(
        &self,
        granted: &Granted<RegistryCreate>,
        name: &RegistryName,
        settings: RegistrySettings,
    ) -> Result<RegistryView, Error> {
        let (organization, text, now) = (granted.resource.clone(), name.to_string(), self.now());
        let view = RegistryView {
            organization: organization.name.to_string(),
            name: text.clone(),
            settings,
            created_at: now,
        };
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    if !rows::organization_hold_in(transaction, organization.id).await? {
                        return Err(organization_gone());
                    }
                    rows::registry_insert_in(
                        transaction,
                        organization.id,
                        organization.name.as_str(),
                        &text,
                        settings,
                        now,
                    )
                    .await
                    .map_err(|error| {
                        taken(error, || format!("registry {}/{text} exists already", organization.name))
                    })?;
                    Ok::<_, Error>(())
                })
            })
            .await?;
        Ok(view)
    }

    /// A registry.
    pub async fn registry_get(&self, granted: &Granted<RegistryRead>) -> Result<RegistryView, Error> {
        let place = &granted.resource;
        let row = rows::registry_get(self.db(), place.id).await?.ok_or_else(registry_gone)?;
        Ok(registry_view(&place.organization, row))
    }

    /// Registries of an organization after `after` that the caller may see.
    pub async fn registry_list(
        &self,
        granted: &Granted<OrganizationRead>,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RegistryView>, Error> {
        let organization = &granted.resource;
        let user_id = granted.caller.user_id();
        let rows = rows::registries_list(self.db(), organization.id, user_id, after, limit).await?;
        Ok(rows.into_iter().map(|row| registry_view(&organization.name, row)).collect())
    }

    /// Changes a registry's settings.
    pub async fn registry_settings_change(
        &self,
        granted: &Granted<RegistryManage>,
        change: RegistrySettingsChange,
    ) -> Result<(), Error> {
        let id = granted.resource.id;
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    let before =
                        rows::registry_settings_in(transaction, id).await?.ok_or_else(registry_gone)?;
                    let after = RegistrySettings {
                        visibility: change.visibility.unwrap_or(before.visibility),
                        sparse: change.sparse.unwrap_or(before.sparse),
                        read_only: change.read_only.unwrap_or(before.read_only),
                        redirect: change.redirect.unwrap_or(before.redirect),
                        python: change.python.applied_to(before.python),
                    };
                    rows::registry_settings_set_in(transaction, id, after).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Deletes a registry: it is out of sight at once, and the collector takes its content away. With
    /// content in it, only when `force` says so.
    pub async fn registry_delete(&self, granted: &Granted<RegistryManage>, force: bool) -> Result<(), Error> {
        let (place, now) = (granted.resource.clone(), self.now());
        self.db()
            .write(Durability::Durable, move |transaction| {
                Box::pin(async move {
                    transaction.lock(Lock::Tenancy, 0).await?;
                    // Whoever is making its first repository holds it, and is waited for.
                    if !rows::registry_take_in(transaction, place.id).await? {
                        return Err(registry_gone());
                    }
                    if !force && rows::registry_has_repositories_in(transaction, place.id).await? {
                        return Err(Error::new(
                            ErrorKind::Conflict,
                            format!(
                                "registry {}/{} holds repositories; to delete it with everything in it, add \
                                 ?force=true",
                                place.organization, place.name
                            ),
                        ));
                    }
                    rows::registry_condemn_in(transaction, place.id, now).await?;
                    Ok(())
                })
            })
            .await
    }
}

pub(crate) fn organization_gone() -> Error {
    Error::not_found(What::Organization, "the organization was deleted just now")
}

fn taken(error: db::Error, message: impl FnOnce() -> String) -> Error {
    if error.is_unique_violation() {
        return Error::new(ErrorKind::Conflict, format!("{}; choose another name", message()));
    }
    error.into()
}

/// Names for the organization of somebody who has just come: the user name in the grammar of organizations (OCI
/// distribution-spec, a component of `<name>`), then the same with a number.
fn starting_names(username: &str) -> impl Iterator<Item = OrganizationName> {
    let words: Vec<&str> = username
        .split(|character: char| !character.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut base = words.join("-").to_ascii_lowercase();
    base.truncate(oci::name::MAX_COMPONENT_BYTES - 3);
    let base = base.trim_end_matches('-').to_owned();
    (1..=NAMES_TRIED).filter_map(move |number| {
        let name = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        name.parse().ok()
    })
}

#[cfg(test)]
mod tests;
