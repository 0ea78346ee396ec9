//! The whole database as one portable file, in one consistent snapshot, while it is in use.
//!
//! The file is the same whichever engine wrote it, and either engine reads it. It is gzip (RFC 1952) over
//! lines of JSON (RFC 8259):
//!
//! ```text
//! {"larder":"database dump","format":1,"schema":3,"written_at":"…","engine":"sqlite","store":"…"}
//! {"table":{"name":"users","columns":["id","username", …]}}
//! [1,"admin", …]
//! {"table":{"name":"tokens","columns":[ … ]}}
//! …
//! {"sequences":{"users":17, …}}
//! {"end":{"rows":{"users":1, …},"sha256":"…"}}
//! ```
//!
//! Tables stand in the order of their foreign keys, rows in the order of their primary keys. A column is null,
//! a number, a string, or `{"base64":"…"}` for bytes. The SHA-256 is over everything before the last line, so a
//! file that was cut off or changed is noticed. Both ways it streams: memory follows the longest row.
//!
//! Tables and columns are read from the schema, so a migration needs no change here. What is left out is
//! [`LEFT_OUT`]: it says who works right now and to which store the database belongs, and would be wrong
//! anywhere else.

mod cell;
mod read;
mod write;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::{Db, Engine, Error, migrate, sqlite};
pub use read::{Entry, Reader};
pub(crate) use write::Writer;

/// What a reader of this program understands.
const FORMAT: u32 = 1;
/// The first thing in a dump's header.
const MARK: &str = "database dump";
/// Tables that no dump holds: leases are of processes that run now, the store's identity is of the place where
/// the database is, and the list of migrations is in the header as the schema's version.
pub const LEFT_OUT: [&str; 3] = ["blob_store", "larder_schema", "leases"];
/// Tables that a database may have rows in and still count as empty: migrations and the start of a program
/// make them, and a dump brings its own.
pub(crate) const MADE_BY_START: [&str; 2] = ["collection_totals", "signing_keys"];

/// What the caller of [`Db::dump`] says about it.
#[derive(Clone, Debug)]
pub struct About {
    /// The present time (RFC 3339).
    pub written_at: String,
    /// The identity of the store whose objects the database names.
    pub store: String,
}

/// A dump's first line.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Header {
    larder: String,
    /// The version of the file's format.
    pub format: u32,
    /// The version of the schema: the number of the last migration.
    pub schema: i64,
    /// When it was written (RFC 3339).
    pub written_at: String,
    /// The engine that it was read from.
    pub engine: String,
    /// The identity of the store whose objects it names.
    pub store: String,
}

impl Header {
    pub(crate) fn new(about: About, engine: &str, schema: i64) -> Self {
        let About { written_at, store } = about;
        Self { larder: MARK.to_owned(), format: FORMAT, schema, written_at, engine: engine.to_owned(), store }
    }
}

/// What is in a dump that was written or read to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Its first line.
    pub header: Header,
    /// How many rows each table has in it.
    pub rows: BTreeMap<String, u64>,
    /// The SHA-256 of everything between the first line and the last: equal for equal content.
    pub content: [u8; 32],
}

impl Summary {
    /// How many rows a table has in it.
    pub fn rows_of(&self, table: &str) -> u64 {
        self.rows.get(table).copied().unwrap_or_default()
    }

    /// How many rows all tables have in it.
    pub fn rows(&self) -> u64 {
        self.rows.values().sum()
    }
}

/// A line that is no row.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Marker {
    Table(Table),
    Sequences(BTreeMap<String, i64>),
    End(End),
}

/// The line before a table's rows.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// The names of its columns, in the order in which its rows have them.
    pub columns: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct End {
    rows: BTreeMap<String, u64>,
    sha256: String,
}

/// Why a dump could not be written, read or loaded.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It is some other file.
    #[error("it is not a database dump of larder; name one that `larder backup` or the server wrote")]
    Foreign,
    /// It was cut off or changed.
    #[error("it is damaged: {0}; use another one")]
    Damaged(String),
    /// A newer program wrote it.
    #[error(
        "it was written by a newer program ({what} {found}, this program knows up to {known}); restore it with that program"
    )]
    TooNew {
        /// What is too new: the format or the schema.
        what: &'static str,
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// The database that it is to be loaded into is in use.
    #[error("the database holds rows already (in the table {table}); name an empty one")]
    NotEmpty {
        /// A table with rows.
        table: String,
    },
    /// A row cannot be stored by this engine.
    #[error("a row of the table {table} cannot be stored: {reason}")]
    Refused {
        /// The table.
        table: String,
        /// What the engine says.
        reason: String,
    },
    /// A file could not be read or written.
    #[error("a file could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] Error),
}

impl Db {
    /// Writes the whole database to `sink`, as it is at one moment, while it goes on being used. Gives the sink
    /// back, flushed, so that a file can be synced.
    pub async fn dump<W>(&self, about: About, sink: W) -> Result<(Summary, W), DumpError>
    where
        W: Write + Send + 'static,
    {
        match &self.0 {
            Engine::Sqlite(database) => {
                let path = database.read(|connection| Ok(connection.path().map(str::to_owned)))?;
                off_the_workers(move || {
                    let connection = sqlite::dump::connect_reader(&path.unwrap_or_default())?;
                    sqlite::dump::dump(&connection, about, sink)
                })
                .await
            }
            Engine::Postgres(database) => database.dump(about, sink).await,
        }
    }

    /// Reads a dump into this database, all of it or nothing, except for the tables named in `leave_out`. The
    /// database has to be empty. A dump of an older schema is brought up to date. The numbers of rows go on
    /// where they stood.
    pub async fn load<R>(&self, source: R, leave_out: &'static [&'static str]) -> Result<Summary, DumpError>
    where
        R: Read + Send + 'static,
    {
        match &self.0 {
            Engine::Sqlite(database) => {
                let path = database.read(|connection| Ok(connection.path().map(str::to_owned)))?;
                off_the_workers(move || sqlite::dump::load(&path.unwrap_or_default(), source, leave_out))
                    .await
            }
            Engine::Postgres(database) => database.load(source, leave_out).await,
        }
    }

    /// The name of a table that makes this database one that is in use, if there is any. A database is empty
    /// after its migrations, and still after a program opened it without creating a user.
    pub async fn filled_table(&self) -> Result<Option<String>, DumpError> {
        match &self.0 {
            Engine::Sqlite(database) => {
                database.read(|connection| Ok(sqlite::dump::filled_table(connection)))?
            }
            Engine::Postgres(database) => database.filled_table().await,
        }
    }
}

/// Runs what waits for disks where that holds nobody up.
pub(crate) async fn off_the_workers<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DumpError> + Send + 'static,
) -> Result<T, DumpError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // Only a panic or the end of the runtime gets here.
        Err(error) => Err(DumpError::Io(io::Error::other(error))),
    }
}

/// Whether a dump's schema is older than this program's. One that is newer is an error.
pub(crate) fn expect_known(schema: i64) -> Result<bool, DumpError> {
    let known = migrate::texts().last().map_or(0, |(version, ..)| version);
    if schema > known {
        return Err(DumpError::TooNew { what: "schema", found: schema, known });
    }
    Ok(schema < known)
}

/// An SQL name that came from the schema itself.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Several of them.
pub(crate) fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// Puts tables behind those that their foreign keys name. `references` are pairs of a table and one that it
/// names. The order is the same every time.
pub(crate) fn in_order_of_keys(mut names: Vec<String>, references: &[(String, String)]) -> Vec<String> {
    names.sort();
    let mut ordered: Vec<String> = Vec::with_capacity(names.len());
    while !names.is_empty() {
        let waits = |name: &String| {
            references.iter().any(|(from, to)| from == name && to != name && names.contains(to))
        };
        // Tables in a circle would all wait; the first of them then goes as it is.
        let next = names.iter().position(|name| !waits(name)).unwrap_or_default();
        ordered.push(names.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests;
