//! Schema migrations: numbered files, one for each engine, applied in order, each in one transaction, never
//! changed afterwards.
//!
//! A migration first only adds (it expands), and what it replaces goes in a later release (it contracts), so
//! that replicas of two neighbouring releases can work with one schema. [`Migration::needs`] says which.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;

pub(crate) struct Migration {
    version: i64,
    name: &'static str,
    /// The oldest schema version that a program has to know to work with the schema as this leaves it.
    needs: i64,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal, needs $needs:literal) => {
        Migration {
            version: $version,
            name: $name,
            needs: $needs,
            sqlite: include_str!(concat!("../../../migrations/sqlite/000", $version, "_", $name, ".sql")),
            postgres: include_str!(concat!("../../../migrations/postgres/000", $version, "_", $name, ".sql")),
        }
    };
}

/// Every migration, oldest first.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "create_registry", needs 1),
    migration!(2, "create_python", needs 2),
    migration!(3, "grow_out", needs 3),
    // A program that knows no disabled accounts and no service accounts must not decide about them.
    migration!(4, "identify", needs 4),
];

/// How a database's schema compares with what the program carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaState {
    /// The newest version that is applied; 0 for an empty database.
    pub applied: i64,
    /// The newest version that the program knows.
    pub known: i64,
    /// What a start would apply: (version, name).
    pub pending: Vec<(i64, &'static str)>,
}

/// A migration as the database's own record has it.
struct Applied {
    version: i64,
    name: String,
    checksum: String,
    needs: i64,
}

/// Where migrations are recorded. The last column came with the third; databases from before get it added.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS larder_schema (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, needs BIGINT NOT NULL DEFAULT 1)";
const APPLIED: &str = "SELECT version, name, checksum, needs FROM larder_schema ORDER BY version";

/// What is still to be applied, oldest first.
fn pending(
    applied: &[Applied],
    place: &str,
    text: fn(&Migration) -> &'static str,
) -> Result<Vec<&'static Migration>, Error> {
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if let Some(newer) = applied.iter().rfind(|applied| applied.version > known && applied.needs > known) {
        return Err(Error::SchemaTooNew { place: place.to_owned(), found: newer.version, known });
    }
    let mut pending = Vec::new();
    for migration in MIGRATIONS {
        match applied.iter().find(|applied| applied.version == migration.version) {
            Some(applied) if applied.checksum == checksum(text(migration)) => {}
            Some(Applied { version, name, .. }) => {
                return Err(Error::MigrationChanged { version: *version, name: name.clone() });
            }
            None => pending.push(migration),
        }
    }
    Ok(pending)
}

fn checksum(sql: &str) -> String {
    hex::encode(Sha256::digest(sql))
}

fn state(applied: &[Applied], pending: &[&'static Migration]) -> SchemaState {
    SchemaState {
        applied: applied.last().map_or(0, |applied| applied.version),
        known: MIGRATIONS.last().map_or(0, |migration| migration.version),
        pending: pending.iter().map(|migration| (migration.version, migration.name)).collect(),
    }
}

/// Brings the schema of the file at `path` up to date.
pub(crate) fn sqlite(connection: &mut rusqlite::Connection, path: &Path) -> Result<(), Error> {
    // An immediate transaction makes two programs that start at once take turns.
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(Error::from_sqlite)?;
    let record = format!("{} STRICT", RECORD.replace("BIGINT", "INTEGER"));
    transaction.execute_batch(&record).map_err(Error::from_sqlite)?;
    if !sqlite_record_is_whole(&transaction)? {
        transaction
            .execute_batch("ALTER TABLE larder_schema ADD COLUMN needs INTEGER NOT NULL DEFAULT 1")
            .map_err(Error::from_sqlite)?;
    }
    let applied = sqlite_applied(&transaction, APPLIED)?;
    for migration in pending(&applied, &path.display().to_string(), |migration| migration.sqlite)? {
        transaction.execute_batch(migration.sqlite).map_err(Error::from_sqlite)?;
        transaction
            .execute(
                "INSERT INTO larder_schema (version, name, checksum, needs) VALUES (?1, ?2, ?3, ?4)",
                (migration.version, migration.name, checksum(migration.sqlite), migration.needs),
            )
            .map_err(Error::from_sqlite)?;
    }
    transaction.commit().map_err(Error::from_sqlite)
}

/// Looks at the schema of the file at `path` and changes nothing.
pub(crate) fn sqlite_state(path: &Path) -> Result<SchemaState, Error> {
    let text: fn(&Migration) -> &'static str = |migration| migration.sqlite;
    let place = path.display().to_string();
    if !path.exists() {
        return Ok(state(&[], &pending(&[], &place, text)?));
    }
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(path, flags).map_err(Error::from_sqlite)?;
    let recorded: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'larder_schema'", [], |row| row.get(0))
        .map_err(Error::from_sqlite)?;
    let applied = match recorded {
        0 => Vec::new(),
        _ if sqlite_record_is_whole(&connection)? => sqlite_applied(&connection, APPLIED)?,
        _ => sqlite_applied(
            &connection,
            "SELECT version, name, checksum, 1 FROM larder_schema ORDER BY version",
        )?,
    };
    Ok(state(&applied, &pending(&applied, &place, text)?))
}

fn sqlite_record_is_whole(connection: &rusqlite::Connection) -> Result<bool, Error> {
    connection
        .query_row(
            "SELECT count(*) FROM pragma_table_info('larder_schema') WHERE name = 'needs'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .map(|columns| columns > 0)
        .map_err(Error::from_sqlite)
}

fn sqlite_applied(connection: &rusqlite::Connection, sql: &str) -> Result<Vec<Applied>, Error> {
    let mut statement = connection.prepare(sql).map_err(Error::from_sqlite)?;
    let rows = statement
        .query_map([], |row| {
            Ok(Applied { version: row.get(0)?, name: row.get(1)?, checksum: row.get(2)?, needs: row.get(3)? })
        })
        .map_err(Error::from_sqlite)?;
    rows.collect::<Result<_, _>>().map_err(Error::from_sqlite)
}

/// The lock that replicas take before they look at the schema, so that of those that start at once one
/// migrates and the others find it done. Locks with two keys are a space of their own.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(1818321518, 1)";

/// Brings the schema of the database at `place` up to date.
pub(crate) async fn postgres(client: &mut tokio_postgres::Client, place: &str) -> Result<(), Error> {
    let transaction = client.transaction().await.map_err(Error::from_postgres)?;
    // That the record is there already is not worth a line in the log.
    let quiet = "SET LOCAL client_min_messages = warning";
    transaction.batch_execute(quiet).await.map_err(Error::from_postgres)?;
    transaction.batch_execute(MIGRATION_LOCK).await.map_err(Error::from_postgres)?;
    transaction.batch_execute(RECORD).await.map_err(|error| refused(error, place))?;
    let applied = postgres_applied(transaction.query(APPLIED, &[]).await)?;
    for migration in pending(&applied, place, |migration| migration.postgres)? {
        transaction.batch_execute(migration.postgres).await.map_err(|error| refused(error, place))?;
        transaction
            .execute(
                "INSERT INTO larder_schema (version, name, checksum, needs) VALUES ($1, $2, $3, $4)",
                &[&migration.version, &migration.name, &checksum(migration.postgres), &migration.needs],
            )
            .await
            .map_err(Error::from_postgres)?;
    }
    transaction.commit().await.map_err(Error::from_postgres)
}

/// Looks at the schema of the database at `place` and changes nothing.
pub(crate) async fn postgres_state(
    client: &tokio_postgres::Client,
    place: &str,
) -> Result<SchemaState, Error> {
    let there = client
        .query_one("SELECT to_regclass('larder_schema') IS NOT NULL", &[])
        .await
        .map_err(Error::from_postgres)?;
    let applied = if there.get(0) { postgres_applied(client.query(APPLIED, &[]).await)? } else { Vec::new() };
    Ok(state(&applied, &pending(&applied, place, |migration| migration.postgres)?))
}

fn postgres_applied(
    rows: Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>,
) -> Result<Vec<Applied>, Error> {
    let rows = rows.map_err(Error::from_postgres)?;
    let applied = |row: &tokio_postgres::Row| Applied {
        version: row.get(0),
        name: row.get(1),
        checksum: row.get(2),
        needs: row.get(3),
    };
    Ok(rows.iter().map(applied).collect())
}

/// A user who may not create tables is the most frequent reason, and says so.
fn refused(error: tokio_postgres::Error, place: &str) -> Error {
    use tokio_postgres::error::SqlState;
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Error::Connect {
            place: place.to_owned(),
            reason:
                "its user may not create tables; make the user owner of the database, or grant it CREATE \
                     on the schema"
                    .to_owned(),
        },
        _ => Error::from_postgres(error),
    }
}

/// Every migration, oldest first, as its version and its text for SQLite and for PostgreSQL.
pub(crate) fn texts() -> impl Iterator<Item = (i64, &'static str, &'static str)> {
    MIGRATIONS.iter().map(|migration| (migration.version, migration.sqlite, migration.postgres))
}
