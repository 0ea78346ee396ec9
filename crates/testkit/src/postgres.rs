//! A PostgreSQL of the tests' own: a cluster in a directory that is thrown away, and databases in it.
//!
//! Its default collation orders text as people do and not by bytes (ICU, English), so that a query which
//! relies on byte order without saying so is found out. Passwords are real, and the owner of a database is no
//! superuser, as it is where other people run the server.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, OnceLock};

use rustix::process::{Signal, geteuid};

use crate::fault::Proxy;
use crate::port::free_port;
use crate::service::Service;
use crate::{Output, random_word, run, tool};

/// Where Debian keeps the programs of each version: `VERSION/bin` below it.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Who administers the cluster.
const SUPERUSER: &str = "postgres";

/// Who owns the databases that tests get.
const OWNER: &str = "larder";

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// Between two columns and between two rows of what `psql` prints: bytes that no value of a test has.
const COLUMN: &str = "\u{1f}";
const ROW: &str = "\u{1e}";

/// A running PostgreSQL. It ends when this is dropped, and when the test process ends in whatever way.
#[derive(Debug)]
pub struct Postgres {
    service: Service,
    access: Access,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts a new cluster on a free port of 127.0.0.1 with what PostgreSQL calls its defaults: a commit is on
    /// the disk when it is acknowledged.
    ///
    /// Panics with its log when that cannot be done.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings, such as `("fsync", "off")` where only speed counts.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        let service = Service::new("PostgreSQL", Signal::QUIT, "QUIT");
        let (port, password) = (free_port(), random_word());
        let access = Access { programs: programs(), port, password };
        let settings = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut postgres = Self { service, access, settings };
        postgres.create_cluster();
        for attempt in 1.. {
            match postgres.launch() {
                Ok(()) => break,
                Err(_) if attempt < ATTEMPTS && postgres.service.log().contains("in use") => {
                    postgres.access.port = free_port();
                }
                Err(reason) => postgres.service.give_up(&reason),
            }
        }
        let role = format!("CREATE ROLE {OWNER} LOGIN PASSWORD '{}'", postgres.access.password);
        postgres.execute(&role);
        postgres
    }

    /// One cluster for all tests of a program, started by whoever asks first and gone when the program is.
    ///
    /// It does not wait for the disk, because no test cuts the power, and many databases come and go in it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            Self::start_with(&[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")])
        })
    }

    /// A new, empty database. It is dropped with the last of its handles.
    #[track_caller]
    pub fn database(&self) -> Database {
        let name = format!("test_{}", random_word());
        // From the template that nobody is ever connected to, so that many can be made at once.
        self.execute(&format!("CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0"));
        let port = self.access.port;
        Database { inner: Arc::new(Inner { access: self.access.clone(), name }), port }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.access.port).into()
    }

    /// Runs statements as the superuser, in the database `postgres`; panics when one fails.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.access.psql(SUPERUSER, "postgres", sql).success();
    }

    /// Runs a query as the superuser, in the database `postgres`: rows of columns, NULL as empty text.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        rows(&self.access.psql(SUPERUSER, "postgres", sql).success())
    }

    /// Ends every connection of somebody else, in all databases, as an administrator or a failover does.
    /// Returns how many there were.
    pub fn cut_connections(&self) -> usize {
        self.access.cut_connections("true")
    }

    /// Ends it in an orderly way: connections are cut, commits are kept.
    pub fn stop(&mut self) {
        self.service.stop(Signal::INT);
    }

    /// Ends it as a crash would. The processes of its connections notice and end by themselves.
    pub fn kill9(&mut self) {
        self.service.kill9();
    }

    /// Starts it again on the same port over the same data.
    pub fn start_again(&mut self) {
        let Self { service, access, settings } = self;
        let (data, socket) = (service.directory().join("data"), service.directory().to_owned());
        let ready = is_ready(&data);
        service.launch_again(|| access.server(&data, &socket, settings), ready);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Runs `initdb`.
    fn create_cluster(&self) {
        let directory = self.service.directory();
        let password = directory.join("password");
        std::fs::write(&password, &self.access.password).expect("a file can be written");
        if let Some(user) = service_user() {
            for path in [directory, password.as_path()] {
                chown(path, Some(user.uid), Some(user.gid)).expect("root may give a file away");
            }
        }
        let mut command = self.access.as_service_user("initdb");
        command
            .arg("--pgdata")
            .arg(directory.join("data"))
            .args(["--username", SUPERUSER, "--auth", "scram-sha-256", "--pwfile"])
            .arg(&password)
            .args(["--encoding", "UTF8", "--locale", "C.UTF-8"])
            .args(["--locale-provider", "icu", "--icu-locale", "en"])
            // The directory is thrown away: nothing is lost when the machine stops while it is made.
            .arg("--no-sync");
        run(&mut command).success();
    }

    fn launch(&mut self) -> Result<(), String> {
        let data = self.service.directory().join("data");
        let mut command = self.access.server(&data, self.service.directory(), &self.settings);
        self.service.launch(&mut command, is_ready(&data))
    }
}

/// Tells whether the server with these data takes connections: the last line of its lock file says so
/// (PostgreSQL documentation, "Database File Layout", `postmaster.pid`).
fn is_ready(data: &Path) -> impl Fn(&Child) -> bool + use<> {
    let lock = data.join("postmaster.pid");
    move |child| {
        let text = std::fs::read_to_string(&lock).unwrap_or_default();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // A server that crashed has left a file that says so too, with its own number.
        lines.first() == Some(&child.id().to_string().as_str()) && lines.get(7) == Some(&"ready")
    }
}

/// One database. Clones are handles of the same; the last one drops it, whoever is connected.
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
    /// Where clients are told to connect: the server's own port, or a proxy's.
    port: u16,
}

#[derive(Debug)]
struct Inner {
    access: Access,
    name: String,
}

impl Database {
    /// What a client is configured with: `postgres://USER:PASSWORD@127.0.0.1:PORT/NAME`.
    pub fn url(&self) -> String {
        let Inner { access, name } = &*self.inner;
        format!("postgres://{OWNER}:{}@{}:{}/{name}", access.password, Ipv4Addr::LOCALHOST, self.port)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The same database, with a URL that leads through `proxy`. What a test itself asks goes past it.
    #[must_use]
    pub fn through(&self, proxy: &Proxy) -> Self {
        Self { port: proxy.port(), ..self.clone() }
    }

    /// Runs statements as the database's owner; panics when one fails.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.inner.access.psql(OWNER, self.name(), sql).success();
    }

    /// Runs a query as the database's owner: rows of columns, NULL as empty text.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Vec<Vec<String>> {
        rows(&self.inner.access.psql(OWNER, self.name(), sql).success())
    }

    /// Ends every connection to this database. Returns how many there were.
    pub fn cut_connections(&self) -> usize {
        self.inner.access.cut_connections(&format!("datname = '{}'", self.name()))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A server that is gone has no database left to drop.
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.access.psql(SUPERUSER, "postgres", &drop);
    }
}

/// How tests reach the server past everything that they test.
#[derive(Clone, Debug)]
struct Access {
    /// The directory with `initdb`, `postgres` and `psql`.
    programs: PathBuf,
    port: u16,
    /// Of both roles.
    password: String,
}

impl Access {
    /// Runs a script in `psql`, each statement a transaction of its own.
    #[track_caller]
    fn psql(&self, user: &str, database: &str, sql: &str) -> Output {
        let script = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        std::fs::write(script.path(), sql).expect("a temporary file can be written");
        let mut command = Command::new(self.programs.join("psql"));
        // What the developer's own shell sets for their own databases must not reach this one.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"])
            .args(["--field-separator", COLUMN, "--record-separator", ROW])
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--username", user, "--dbname", database, "--file"])
            .arg(script.path())
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "10");
        run(&mut command)
    }

    fn cut_connections(&self, condition: &str) -> usize {
        let cut = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND {condition}"
        );
        rows(&self.psql(SUPERUSER, "postgres", &cut).success()).len()
    }

    /// The server itself.
    fn server(&self, data: &Path, socket: &Path, settings: &[String]) -> Command {
        let mut command = self.as_service_user("postgres");
        command.arg("-D").arg(data).args(["-p", &self.port.to_string()]);
        let fixed = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", socket.display()),
            "max_connections=200".to_owned(),
            "timezone=UTC".to_owned(),
            "log_timezone=UTC".to_owned(),
            "log_lock_waits=on".to_owned(),
        ];
        for setting in fixed.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        command
    }

    /// One of PostgreSQL's programs, which refuse to run as root.
    fn as_service_user(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match service_user() {
            None => Command::new(path),
            Some(User { uid, gid, .. }) => {
                let mut command = Command::new(tool("setpriv"));
                command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
                command.arg("--clear-groups").arg(path);
                command
            }
        };
        // Not somewhere that the user may not enter.
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }
}

/// Somebody without root's power.
#[derive(Debug)]
struct User {
    uid: u32,
    gid: u32,
}

/// Whose name root takes to run the server; nobody's when this is not root.
fn service_user() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let table = std::fs::read_to_string("/etc/passwd").expect("the table of users can be read");
    let user = |name: &str| {
        let mut lines = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = lines.find(|fields| fields.first() == Some(&name))?;
        Some(User { uid: fields.get(2)?.parse().ok()?, gid: fields.get(3)?.parse().ok()? })
    };
    let found = user("postgres").or_else(|| user("nobody"));
    Some(found.expect("there is a user called postgres or nobody to run PostgreSQL as"))
}

/// The newest version that Debian has installed, else what is on the path.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().map_or_else(
        || tool("initdb").parent().expect("a program lies in a directory").to_owned(),
        |(_, programs)| programs,
    )
}

/// What `psql` printed, taken apart.
fn rows(output: &Output) -> Vec<Vec<String>> {
    let text = output.stdout.strip_suffix('\n').unwrap_or(&output.stdout);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(ROW).map(|row| row.split(COLUMN).map(str::to_owned).collect()).collect()
}
