//! Schema migrations: numbered files, applied in order, each in one transaction, never changed afterwards.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;

pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

/// Every migration, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "create_registry",
        sql: include_str!("../../../migrations/sqlite/0001_create_registry.sql"),
    },
    Migration {
        version: 2,
        name: "create_python",
        sql: include_str!("../../../migrations/sqlite/0002_create_python.sql"),
    },
];

/// Brings the schema at `path` up to date.
pub(crate) fn migrate(connection: &mut rusqlite::Connection, path: &Path) -> Result<(), Error> {
    // An immediate transaction makes two programs that start at once take turns.
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(Error::from_sqlite)?;
    transaction
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS larder_schema (
                 version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL) STRICT",
        )
        .map_err(Error::from_sqlite)?;
    let applied: Vec<(i64, String, String)> = {
        let mut statement = transaction
            .prepare("SELECT version, name, checksum FROM larder_schema ORDER BY version")
            .map_err(Error::from_sqlite)?;
        let rows = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .map_err(Error::from_sqlite)?;
        rows.collect::<Result<_, _>>().map_err(Error::from_sqlite)?
    };
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    if let Some((found, _, _)) = applied.last().filter(|(found, _, _)| *found > known) {
        return Err(Error::SchemaTooNew { path: path.to_owned(), found: *found, known });
    }
    for migration in MIGRATIONS {
        let checksum = hex::encode(Sha256::digest(migration.sql));
        match applied.iter().find(|(version, _, _)| *version == migration.version) {
            Some((_, _, stored)) if *stored == checksum => {}
            Some((version, name, _)) => {
                return Err(Error::MigrationChanged { version: *version, name: name.clone() });
            }
            None => {
                transaction.execute_batch(migration.sql).map_err(Error::from_sqlite)?;
                transaction
                    .execute(
                        "INSERT INTO larder_schema (version, name, checksum) VALUES (?1, ?2, ?3)",
                        (migration.version, migration.name, &checksum),
                    )
                    .map_err(Error::from_sqlite)?;
            }
        }
    }
    transaction.commit().map_err(Error::from_sqlite)
}
