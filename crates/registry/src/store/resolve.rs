//! From a name to what is there and where the caller stands: what every authorization asks, in one statement.

use access::{Facts, Role, Visibility};
use db::{Db, Error, FromRow, Row, params};
use oci::{OrganizationName, RegistryName, RepositoryName};

use super::tenancy::python_settings;
use crate::python::PythonSettings;

/// What is known about a repository's place and the caller's standing there.
pub(crate) struct RepositoryFound {
    pub(crate) facts: Facts,
    pub(crate) registry_id: Option<i64>,
    pub(crate) repository_id: Option<i64>,
    /// Whether the registry takes manifests over content that is not there.
    pub(crate) sparse: bool,
    /// Whether large blobs may be answered with a redirect to the object store.
    pub(crate) redirect: bool,
    /// Whether nothing in the registry is pushed or deleted.
    pub(crate) read_only: bool,
    /// Why nobody may pull from the repository.
    pub(crate) quarantine: Option<String>,
}

/// What is known about a registry as an index of packages and the caller's standing there.
pub(crate) struct PackagesFound {
    pub(crate) facts: Facts,
    pub(crate) registry_id: Option<i64>,
    pub(crate) read_only: bool,
    pub(crate) redirect: bool,
    pub(crate) python: PythonSettings,
    pub(crate) python_serial: i64,
}

pub(crate) struct RegistryFound {
    pub(crate) facts: Facts,
    pub(crate) registry_id: Option<i64>,
}

pub(crate) struct OrganizationFound {
    pub(crate) facts: Facts,
    pub(crate) id: Option<i64>,
}

/// A role or a visibility that the database holds was written by this program, so anything else is a
/// damaged row, which must not pass for a right.
fn parsed<T: std::str::FromStr>(row: &Row<'_>, index: usize) -> Result<Option<T>, Error> {
    let Some(text) = row.get::<Option<String>>(index)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Error::UnexpectedType { index })
}

impl FromRow for RepositoryFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            registry_id: row.get(0)?,
            repository_id: row.get(1)?,
            facts: Facts {
                visibility: parsed::<Visibility>(row, 2)?,
                organization_role: parsed::<Role>(row, 3)?,
                registry_role: parsed::<Role>(row, 4)?,
            },
            sparse: row.get::<Option<bool>>(5)?.unwrap_or(false),
            read_only: row.get::<Option<bool>>(6)?.unwrap_or(false),
            quarantine: row.get(7)?,
            redirect: row.get::<Option<bool>>(8)?.unwrap_or(false),
        })
    }
}

impl FromRow for PackagesFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            registry_id: row.get(0)?,
            facts: Facts {
                visibility: parsed::<Visibility>(row, 1)?,
                organization_role: parsed::<Role>(row, 2)?,
                registry_role: parsed::<Role>(row, 3)?,
            },
            read_only: row.get::<Option<bool>>(4)?.unwrap_or(false),
            python: python_settings(&row.get::<Option<String>>(5)?.unwrap_or_default(), 5)?,
            python_serial: row.get::<Option<i64>>(6)?.unwrap_or(0),
            redirect: row.get::<Option<bool>>(7)?.unwrap_or(false),
        })
    }
}

/// One statement answers for what exists and what does not, so that both take the same way.
pub(crate) async fn repository_resolve(
    db: &Db,
    name: &RepositoryName,
    user_id: i64,
) -> Result<RepositoryFound, Error> {
    let found = db
        .opt_or_last(
            super::OUTAGE,
            "SELECT g.id, r.id, g.visibility, om.role, gm.role, g.sparse, g.read_only, r.quarantine,
                    g.redirect
             FROM organizations o
             LEFT JOIN registries g ON g.organization_id = o.id AND g.name = $1
             LEFT JOIN repositories r ON r.registry_id = g.id AND r.name = $2
             LEFT JOIN organization_members om ON om.organization_id = o.id AND om.user_id = $3
             LEFT JOIN registry_members gm ON gm.registry_id = g.id AND gm.user_id = $3
             WHERE o.name = $4",
            params![name.registry(), name.repository(), user_id, name.organization()],
        )
        .await?;
    Ok(found.unwrap_or(RepositoryFound {
        facts: Facts::default(),
        registry_id: None,
        repository_id: None,
        sparse: false,
        redirect: false,
        read_only: false,
        quarantine: None,
    }))
}

/// A registry as an index of packages, with what its uploads are judged by.
pub(crate) async fn packages_resolve(
    db: &Db,
    organization: &OrganizationName,
    name: &RegistryName,
    user_id: i64,
) -> Result<PackagesFound, Error> {
    let found = db
        .opt_or_last(
            super::OUTAGE,
            "SELECT g.id, g.visibility, om.role, gm.role, g.read_only, g.python_settings, g.python_serial,
                    g.redirect
             FROM organizations o
             LEFT JOIN registries g ON g.organization_id = o.id AND g.name = $1
             LEFT JOIN organization_members om ON om.organization_id = o.id AND om.user_id = $2
             LEFT JOIN registry_members gm ON gm.registry_id = g.id AND gm.user_id = $2
             WHERE o.name = $3",
            params![name.as_str(), user_id, organization.as_str()],
        )
        .await?;
    Ok(found.unwrap_or(PackagesFound {
        facts: Facts::default(),
        registry_id: None,
        read_only: false,
        redirect: false,
        python: PythonSettings::default(),
        python_serial: 0,
    }))
}

pub(crate) async fn registry_resolve(
    db: &Db,
    organization: &OrganizationName,
    name: &RegistryName,
    user_id: i64,
) -> Result<RegistryFound, Error> {
    let found: Option<RepositoryFound> = db
        .opt(
            "SELECT g.id, NULL, g.visibility, om.role, gm.role, NULL, NULL, NULL, NULL
             FROM organizations o
             LEFT JOIN registries g ON g.organization_id = o.id AND g.name = $1
             LEFT JOIN organization_members om ON om.organization_id = o.id AND om.user_id = $2
             LEFT JOIN registry_members gm ON gm.registry_id = g.id AND gm.user_id = $2
             WHERE o.name = $3",
            params![name.as_str(), user_id, organization.as_str()],
        )
        .await?;
    Ok(found.map_or(RegistryFound { facts: Facts::default(), registry_id: None }, |found| RegistryFound {
        facts: found.facts,
        registry_id: found.registry_id,
    }))
}

pub(crate) async fn organization_resolve(
    db: &Db,
    name: &OrganizationName,
    user_id: i64,
) -> Result<OrganizationFound, Error> {
    // A role on any registry of it makes an organization visible, and nothing more.
    let found: Option<RepositoryFound> = db
        .opt(
            "SELECT o.id, NULL, NULL, om.role,
                    (SELECT 'viewer' FROM registry_members gm JOIN registries g ON g.id = gm.registry_id
                     WHERE gm.user_id = $1 AND g.organization_id = o.id LIMIT 1), NULL, NULL, NULL, NULL
             FROM organizations o
             LEFT JOIN organization_members om ON om.organization_id = o.id AND om.user_id = $1
             WHERE o.name = $2",
            params![user_id, name.as_str()],
        )
        .await?;
    Ok(found.map_or(OrganizationFound { facts: Facts::default(), id: None }, |found| OrganizationFound {
        facts: found.facts,
        id: found.registry_id,
    }))
}
