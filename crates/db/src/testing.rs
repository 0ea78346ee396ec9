//! Throw-away databases for tests.

use crate::{Db, Durability, Location, Options};

/// Names a PostgreSQL server whose user may create databases; without it, databases are SQLite files.
const SERVER: &str = "LARDER_TEST_POSTGRES_URL";

/// What a throw-away database leaves behind until it is dropped.
pub struct Guard {
    location: Location,
    folder: Option<tempfile::TempDir>,
}

impl Guard {
    /// How to open the database once more.
    pub fn options(&self) -> Options {
        Options { location: self.location.clone(), durability: Durability::Relaxed }
    }

    /// The folder of an SQLite file.
    pub fn path(&self) -> &std::path::Path {
        self.folder.as_ref().expect("the database is an SQLite file").path()
    }
}

/// A fresh database: on the server that `LARDER_TEST_POSTGRES_URL` names, else in a folder of its own.
pub async fn temporary() -> (Db, Guard) {
    let guard = if let Ok(url) = std::env::var(SERVER) {
        Guard { location: on_server(&url).await, folder: None }
    } else {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let location = Location::Sqlite(folder.path().join("larder.db"));
        Guard { location, folder: Some(folder) }
    };
    (Db::open(guard.options()).await.expect("a fresh database opens"), guard)
}

/// Makes a database on a server. It goes with the server, which the tests' runner throws away.
async fn on_server(url: &str) -> Location {
    let name = format!("larder_{:016x}", getrandom::u64().expect("the system has random numbers"));
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("the test's server can be reached");
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("a database can be made");
    drop(client);
    let _ = connection.await;
    let (server, _) = url.rsplit_once('/').expect("the URL names a database");
    Location::Postgres { url: format!("{server}/{name}"), connections: 4 }
}
