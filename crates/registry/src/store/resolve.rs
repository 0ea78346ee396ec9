//! From a name to what is there and where the caller stands: what every authorization asks, in one statement.
//!
//! A caller's role is the highest of its own and of those that its groups have.

use access::{Anchor, Basis, Facts, Role, Visibility};
use clock::Timestamp;
use db::{Db, Error, FromRow, Row, params};
use oci::{OrganizationName, RegistryName, RepositoryName};

use super::group_roles::{level_on_organization, level_on_registry, of_user, role_of_level};
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
    pub(crate) organization_id: i64,
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

/// Visibility, the role on the organization and on the registry, then the levels of the user's groups on both: five
/// columns.
fn facts(row: &Row<'_>, first: usize) -> Result<Facts, Error> {
    let organization_level = role_of_level(row.get(first + 3)?, first + 3)?;
    let registry_level = role_of_level(row.get(first + 4)?, first + 4)?;
    Ok(Facts {
        visibility: parsed::<Visibility>(row, first)?,
        organization_role: parsed::<Role>(row, first + 1)?.max(organization_level),
        registry_role: parsed::<Role>(row, first + 2)?.max(registry_level),
    })
}

impl FromRow for RepositoryFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            facts: facts(row, 0)?,
            registry_id: row.get(5)?,
            repository_id: row.get(6)?,
            sparse: row.get::<Option<bool>>(7)?.unwrap_or(false),
            read_only: row.get::<Option<bool>>(8)?.unwrap_or(false),
            quarantine: row.get(9)?,
            redirect: row.get::<Option<bool>>(10)?.unwrap_or(false),
        })
    }
}

impl FromRow for PackagesFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            facts: facts(row, 0)?,
            registry_id: row.get(5)?,
            read_only: row.get::<Option<bool>>(6)?.unwrap_or(false),
            python: python_settings(&row.get::<Option<String>>(7)?.unwrap_or_default(), 7)?,
            python_serial: row.get::<Option<i64>>(8)?.unwrap_or(0),
            redirect: row.get::<Option<bool>>(9)?.unwrap_or(false),
        })
    }
}

impl FromRow for RegistryFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self { facts: facts(row, 0)?, organization_id: row.get(5)?, registry_id: row.get(6)? })
    }
}

impl FromRow for OrganizationFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        let own = parsed::<Role>(row, 1)?;
        let has_registry = row.get::<bool>(3)?;
        Ok(Self {
            id: row.get(0)?,
            facts: Facts {
                organization_role: own.max(role_of_level(row.get(2)?, 2)?),
                registry_role: has_registry.then_some(Role::Viewer),
                visibility: None,
            },
        })
    }
}

/// The five columns of [`facts`], for the user `$1`.
macro_rules! facts_columns {
    () => {
        concat!(
            "SELECT g.visibility, om.role, gm.role, ",
            level_on_organization!("$1", "o.id"),
            ", ",
            level_on_registry!("$1", "o.id", "g.id")
        )
    };
}

/// What is joined to the organization for them, for the registry of this name.
macro_rules! facts_joins {
    ($registry:literal) => {
        concat!(
            " LEFT JOIN registries g ON g.organization_id = o.id AND g.name = ",
            $registry,
            " LEFT JOIN organization_members om ON om.organization_id = o.id AND om.user_id = $1
              LEFT JOIN registry_members gm ON gm.registry_id = g.id AND gm.user_id = $1"
        )
    };
}

/// The tables behind them, for the registry `$2`.
macro_rules! facts_tables {
    () => {
        concat!(" FROM organizations o", facts_joins!("$2"))
    };
}

/// The columns of [`RepositoryFound`].
macro_rules! repository_columns {
    () => {
        concat!(facts_columns!(), ", g.id, r.id, g.sparse, g.read_only, r.quarantine, g.redirect")
    };
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
            concat!(
                repository_columns!(),
                facts_tables!(),
                " LEFT JOIN repositories r ON r.registry_id = g.id AND r.name = $3
                  WHERE o.name = $4"
            ),
            params![user_id, name.registry(), name.repository(), name.organization()],
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

/// What is known about a repository's place and the standing there of a caller whose credentials still stand.
pub(crate) struct StandingFound {
    pub(crate) repository: RepositoryFound,
    /// When the row beside the account ends.
    pub(crate) anchor_ends_at: Option<Timestamp>,
}

impl FromRow for StandingFound {
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
            repository: RepositoryFound::from_row(row)?,
            anchor_ends_at: row.get::<Option<i64>>(11)?.map(Timestamp::from_millis),
        })
    }
}

/// The same statement for an account with an epoch, from the tables in which its credentials are, beginning with
/// `users u`.
macro_rules! standing_statement {
    ($ends_at:literal, $tables:literal, $condition:literal) => {
        concat!(
            repository_columns!(),
            ", ",
            $ends_at,
            " FROM ",
            $tables,
            " LEFT JOIN organizations o ON o.name = $2",
            facts_joins!("$3"),
            " LEFT JOIN repositories r ON r.registry_id = g.id AND r.name = $4
              WHERE u.id = $1 AND u.epoch = $5 AND u.disabled_at IS NULL",
            $condition
        )
    };
}

/// As [`repository_resolve`], together with the question whether the rows are as they were on which the caller's
/// credentials stand. `None` when they are not, and only then: whether anything else exists makes no difference.
pub(crate) async fn repository_resolve_standing(
    db: &Db,
    name: &RepositoryName,
    basis: &Basis,
) -> Result<Option<StandingFound>, Error> {
    let (sql, anchor_id) = match basis.anchor {
        Anchor::Account => (standing_statement!("NULL", "users u", ""), None),
        Anchor::Token(id) => (
            standing_statement!(
                "k.expires_at",
                "users u JOIN tokens k ON k.user_id = u.id",
                " AND k.id = $6"
            ),
            Some(id),
        ),
        Anchor::Binding(id) => (
            standing_statement!("NULL", "users u JOIN bindings b ON b.user_id = u.id", " AND b.id = $6"),
            Some(id),
        ),
    };
    let mut params =
        params![basis.user_id, name.organization(), name.registry(), name.repository(), basis.epoch].to_vec();
    params.extend(anchor_id.map(Into::into));
    db.opt_or_last(super::OUTAGE, sql, &params).await
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
            concat!(
                facts_columns!(),
                ", g.id, g.read_only, g.python_settings, g.python_serial, g.redirect",
                facts_tables!(),
                " WHERE o.name = $3"
            ),
            params![user_id, name.as_str(), organization.as_str()],
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

/// `None` when there is no such organization.
pub(crate) async fn registry_resolve(
    db: &Db,
    organization: &OrganizationName,
    name: &RegistryName,
    user_id: i64,
) -> Result<Option<RegistryFound>, Error> {
    db.opt(
        concat!(facts_columns!(), ", o.id, g.id", facts_tables!(), " WHERE o.name = $3"),
        params![user_id, name.as_str(), organization.as_str()],
    )
    .await
}

pub(crate) async fn organization_resolve(
    db: &Db,
    name: &OrganizationName,
    user_id: i64,
) -> Result<OrganizationFound, Error> {
    // A role on any registry of it makes an organization visible, and nothing more.
    let found: Option<OrganizationFound> = db
        .opt(
            concat!(
                "SELECT o.id, om.role, ",
                level_on_organization!("$1", "o.id"),
                ", EXISTS (SELECT 1 FROM registry_members gm JOIN registries g ON g.id = gm.registry_id
                           WHERE gm.user_id = $1 AND g.organization_id = o.id LIMIT 1)
                   OR EXISTS (SELECT 1 FROM ",
                of_user!("$1"),
                " AND gr.organization_id = o.id AND gr.registry_id IS NOT NULL LIMIT 1)
                 FROM organizations o
                 LEFT JOIN organization_members om ON om.organization_id = o.id AND om.user_id = $1
                 WHERE o.name = $2"
            ),
            params![user_id, name.as_str()],
        )
        .await?;
    Ok(found.unwrap_or(OrganizationFound { facts: Facts::default(), id: None }))
}
