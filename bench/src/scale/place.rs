//! A server with its database and its store, and the way past it into both.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde::Serialize;
use testkit::bucket::S3;
use testkit::postgres::{Database, Postgres};
use testkit::{Options, Server};

use crate::client::Target;

/// A database and a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// What a server has that was told nothing.
    SqliteAndDisk,
    /// What replicas share.
    PostgresAndBucket,
}

impl Kind {
    /// All, in the order in which they are measured.
    pub(crate) const ALL: [Self; 2] = [Self::SqliteAndDisk, Self::PostgresAndBucket];

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SqliteAndDisk => "SQLite, disk",
            Self::PostgresAndBucket => "PostgreSQL, S3",
        }
    }
}

/// A running server. It ends, and what it stands on, when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    /// The one that runs is the last; those before it hold the directories of its data.
    servers: Vec<Server>,
    program: PathBuf,
    /// Dropped behind the servers.
    services: Option<(Postgres, S3)>,
}

impl Place {
    /// Starts a server on an empty `kind` with these variables. What it acknowledges is durable, in whatever it
    /// stands on.
    pub(super) fn start(kind: Kind, program: &Path, variables: &[(&str, &str)]) -> Self {
        let services = (kind == Kind::PostgresAndBucket).then(|| (Postgres::start(), S3::start()));
        let mut options = Options::new(program);
        if let Some((postgres, store)) = &services {
            options = options.postgres(&postgres.database()).bucket(&store.bucket());
        }
        let server = Server::start(with(options, variables));
        Self { servers: vec![server], program: program.to_owned(), services }
    }

    /// Ends the server and starts one with other variables over the same data.
    pub(super) fn start_again(&mut self, variables: &[(&str, &str)]) {
        let options = Options::new(&self.program).data_of(self.server());
        if let Some(server) = self.servers.last_mut() {
            server.stop();
        }
        self.servers.push(Server::start(with(options, variables)));
    }

    /// Ends the server.
    pub(super) fn stop(&mut self) {
        if let Some(server) = self.servers.last_mut() {
            server.stop();
        }
    }

    /// The server.
    pub(super) fn server(&self) -> &Server {
        self.servers.last().expect("there is a server from the start")
    }

    /// Who asks the server: its administrator, with a personal token on every request.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let made = self.server().api().token_create("bench");
        let token = made["token"].as_str().context("the answer has no token")?;
        let basic = STANDARD.encode(format!("__token__:{token}"));
        Ok(Target::at(self.server().address(), format!("Basic {basic}")))
    }

    /// The folder of the store that holds the objects.
    pub(super) fn objects(&self) -> PathBuf {
        let server = self.server();
        server
            .bucket()
            .map_or_else(|| server.data_directory(), testkit::bucket::Bucket::directory)
            .join("objects")
    }

    /// Runs statements in the database.
    pub(super) fn execute(&self, sql: &str) -> anyhow::Result<()> {
        match self.server().database() {
            Some(database) => {
                database.execute(sql);
                Ok(())
            }
            None => {
                self.embedded()?.execute_batch(sql).context("the database refuses what it was filled with")
            }
        }
    }

    /// Runs a query that answers with one number.
    pub(super) fn number(&self, sql: &str) -> anyhow::Result<i64> {
        if let Some(database) = self.server().database() {
            return number_of(database, sql);
        }
        let row = self.embedded()?.query_row(sql, [], |row| row.get(0));
        row.with_context(|| format!("no number for {sql}"))
    }

    /// Brings what the database knows about its tables up to date after they were filled.
    pub(super) fn settle(&self) -> anyhow::Result<()> {
        match self.server().database() {
            Some(database) => {
                database.execute(
                    "VACUUM ANALYZE organizations, registries, repositories, objects, blobs,
                     manifests, edges, referrers, tags, review_queue",
                );
                if let Some((postgres, _)) = &self.services {
                    postgres.execute("CHECKPOINT");
                }
                Ok(())
            }
            None => {
                self.embedded()?.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").context("no checkpoint")
            }
        }
    }

    /// Bytes as they stand in a statement.
    pub(super) fn bytes(&self, bytes: &[u8]) -> String {
        let quoted = if self.server().database().is_some() { r"'\x" } else { "x'" };
        format!("{quoted}{}'", hex::encode(bytes))
    }

    fn embedded(&self) -> anyhow::Result<Connection> {
        let path = self.server().data_directory().join("larder.db");
        let connection = Connection::open(path).context("cannot open the server's database")?;
        connection.busy_timeout(std::time::Duration::from_secs(30)).context("cannot set a time limit")?;
        Ok(connection)
    }
}

fn number_of(database: &Database, sql: &str) -> anyhow::Result<i64> {
    let rows = database.query(sql);
    let cell = rows.first().and_then(|row| row.first()).with_context(|| format!("no row for {sql}"))?;
    cell.parse().with_context(|| format!("{cell:?} is no number, for {sql}"))
}

fn with(options: Options, variables: &[(&str, &str)]) -> Options {
    variables.iter().fold(options, |options, (name, value)| options.env(name, value))
}

/// `INSERT` statements of a thousand rows each, in one transaction.
pub(super) struct Script {
    text: String,
    into: &'static str,
    rows: u32,
}

impl Script {
    const ROWS: u32 = 1000;

    /// An empty one.
    pub(super) fn new() -> Self {
        Self { text: "BEGIN;\n".to_owned(), into: "", rows: 0 }
    }

    /// Adds a row, such as `1, 'a'`, to a table with columns, such as `tags (id, name)`.
    pub(super) fn row(&mut self, into: &'static str, values: &str) {
        if self.into == into && self.rows < Self::ROWS {
            self.text.push_str(",\n(");
        } else {
            self.end();
            self.text.push_str("INSERT INTO ");
            self.text.push_str(into);
            self.text.push_str(" VALUES\n(");
            (self.into, self.rows) = (into, 0);
        }
        self.text.push_str(values);
        self.text.push(')');
        self.rows += 1;
    }

    fn end(&mut self) {
        if !self.into.is_empty() {
            self.text.push_str(";\n");
            self.into = "";
        }
    }

    /// The statements.
    pub(super) fn text(mut self) -> String {
        self.end();
        self.text.push_str("COMMIT;\n");
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_gathered_into_statements() {
        let mut script = Script::new();
        script.row("a (x)", "1");
        script.row("a (x)", "2");
        script.row("b (y)", "'z'");
        let expected =
            "BEGIN;\nINSERT INTO a (x) VALUES\n(1),\n(2);\nINSERT INTO b (y) VALUES\n('z');\nCOMMIT;\n";
        assert_eq!(script.text(), expected);
    }

    #[test]
    fn a_statement_has_a_thousand_rows_at_most() {
        let mut script = Script::new();
        (0..2500).for_each(|row| script.row("a (x)", &row.to_string()));
        assert_eq!(script.text().matches("INSERT").count(), 3);
    }
}
