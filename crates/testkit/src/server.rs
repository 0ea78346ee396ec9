//! The program as its user starts it, in a directory that is thrown away.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::balancer::Haproxy;
use crate::bucket::{Bucket, S3};
use crate::port::free_port;
use crate::postgres::{Database, Postgres};
use crate::service::Undertaker;
use crate::{Api, process, random_word};

/// How long a server may take until it says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may take to finish what is in flight when it is asked to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// The variable with the database's URL.
const DATABASE: &str = "LARDER_DATABASE__URL";
/// The variable with the key that seals what is stored and must be read again.
const SEALING_KEY: &str = "LARDER_AUTH__SEALING_KEY";
/// The sealing key of every server whose rows are not beside it: those that share a database share the key. It
/// protects nothing.
pub const TEST_SEALING_KEY: &str = "dGhpcyBrZXkgb2YgdGhlIHRlc3RzIGlzIG5vIHNlY3I=";
/// The variable with the object store's URL.
const STORAGE: &str = "LARDER_STORAGE__URL";

/// What to start.
///
/// Where neither a database nor a variable for one is set, `LARDER_TEST_DATABASE` in the environment of the
/// tests decides: `sqlite` (as if it were absent) or `postgres`, a new database in [`Postgres::shared`]. For the
/// objects it is `LARDER_TEST_STORAGE`: `disk` (as if it were absent) or `s3`, a new bucket in [`S3::shared`].
/// So every suite runs on every pair of them. With a number in `LARDER_TEST_REPLICAS` a server on PostgreSQL
/// and S3 is so many servers, and its address is that of a balancer in front of them.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server program, in an integration test `env!("CARGO_BIN_EXE_larder")`.
    pub program: PathBuf,
    /// Variables on top of those that [`Server::start`] sets, such as `("LARDER_GC__GRACE", "0s")`.
    pub env: Vec<(String, String)>,
    /// Where the server keeps its data, when that is not a directory that is thrown away.
    pub data_directory: Option<PathBuf>,
    /// Where the server keeps its rows, when that is not its data directory.
    pub database: Option<Database>,
    /// Where the server keeps its objects, when that is not its data directory.
    pub bucket: Option<Bucket>,
    /// The password of the account `admin`, when that is not a random one.
    pub admin_password: Option<String>,
}

impl Options {
    /// The program at `program`, with nothing configured.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            env: Vec::new(),
            data_directory: None,
            database: None,
            bucket: None,
            admin_password: None,
        }
    }

    /// The same with the data in `directory`, which the test looks after.
    #[must_use]
    pub fn data_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_directory = Some(directory.into());
        self
    }

    /// The same with the rows in `database`.
    #[must_use]
    pub fn postgres(mut self, database: &Database) -> Self {
        self.database = Some(database.clone());
        self
    }

    /// The same with the objects in `bucket`.
    #[must_use]
    pub fn bucket(mut self, bucket: &Bucket) -> Self {
        self.bucket = Some(bucket.clone());
        self
    }

    /// The same over everything that `server` keeps: its data directory, its database and its bucket, and with
    /// its administrator.
    #[must_use]
    pub fn data_of(mut self, server: &Server) -> Self {
        self.data_directory = Some(server.data_directory());
        self.database.clone_from(&server.options.database);
        self.bucket.clone_from(&server.options.bucket);
        self.admin_password = Some(server.admin_password.clone());
        self
    }

    /// The same with this password for the account `admin`.
    #[must_use]
    pub fn admin_password(mut self, password: &str) -> Self {
        self.admin_password = Some(password.to_owned());
        self
    }

    /// The same with one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same on what the environment of the tests asks for, where nothing is said about it here.
    fn or_as_asked_for(mut self) -> Self {
        let is_open = |name: &str| !self.env.iter().any(|(set, _)| set == name);
        if self.database.is_none()
            && is_open(DATABASE)
            && is_asked_for("LARDER_TEST_DATABASE", "sqlite", "postgres")
        {
            self.database = Some(Postgres::shared().database());
        }
        let is_open = |name: &str| !self.env.iter().any(|(set, _)| set == name);
        if self.bucket.is_none() && is_open(STORAGE) && is_asked_for("LARDER_TEST_STORAGE", "disk", "s3") {
            self.bucket = Some(S3::shared().bucket());
        }
        self
    }
}

/// Whether the variable `name` asks for `other` and not for `usual`, as it does when it is absent.
fn is_asked_for(name: &str, usual: &str, other: &str) -> bool {
    match std::env::var(name) {
        Err(_) => false,
        Ok(value) if value == usual || value.is_empty() => false,
        Ok(value) if value == other => true,
        Ok(value) => panic!("{name} is {value:?}; it is {usual:?} or {other:?}"),
    }
}

/// A running server with a data directory and an administrator of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    port: u16,
    admin_password: String,
    /// Absent only between an end and the next start.
    child: Option<Child>,
    // Dropped in this order: the undertaker must not outlive the directory that it would remove.
    undertaker: Undertaker,
    directory: TempDir,
    options: Options,
    fleet: Option<Fleet>,
}

/// What else stands behind the address of a server that is several.
#[derive(Debug)]
struct Fleet {
    balancer: Haproxy,
    others: Vec<Server>,
}

impl Server {
    /// Starts the program on a free port of `localhost` and waits until `GET /readyz` answers 200.
    ///
    /// Panics with the server's log when that takes more than ten seconds or the program ends.
    pub fn start(options: Options) -> Self {
        let options = options.or_as_asked_for();
        match std::env::var("LARDER_TEST_REPLICAS") {
            Ok(count) if options.database.is_some() && options.bucket.is_some() => {
                let count =
                    count.parse().unwrap_or_else(|_| panic!("LARDER_TEST_REPLICAS={count} is no number"));
                Self::start_several(count, options)
            }
            _ => Self::start_one(options),
        }
    }

    /// Starts so many servers and a balancer in front of them. What is done to the whole, such as a restart, is
    /// done to the first.
    fn start_several(count: usize, mut options: Options) -> Self {
        let mut balancer = Haproxy::new();
        options.env.splice(0..0, balancer.environment());
        let mut first = Self::start_one(options.clone());
        let options = options.admin_password(&first.admin_password);
        let others: Vec<Self> = (1..count).map(|_| Self::start_one(options.clone())).collect();
        let addresses: Vec<_> = others.iter().chain([&first]).map(Self::address).collect();
        balancer.start(&addresses);
        balancer.wait_until_healthy(count);
        first.fleet = Some(Fleet { balancer, others });
        first
    }

    /// Starts one server, whatever the environment of the tests asks for.
    pub(crate) fn start_one(options: Options) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let undertaker = Undertaker::new(directory.path(), "TERM");
        let admin_password = options.admin_password.clone().unwrap_or_else(random_word);
        let mut server =
            Self { port: 0, admin_password, child: None, undertaker, directory, options, fleet: None };
        for _ in 1..ATTEMPTS {
            server.port = free_port();
            match server.launch() {
                Ok(()) => return server,
                Err(_) if server.log().to_lowercase().contains("in use") => {}
                Err(reason) => server.give_up(&reason),
            }
        }
        server.port = free_port();
        server.launch().unwrap_or_else(|reason| server.give_up(&reason));
        server
    }

    /// One server for all tests of a program, started by whoever asks first. A static is never dropped, but the
    /// server ends with the test program nevertheless, as every server does, however that went.
    pub fn shared(cell: &'static OnceLock<Self>, options: impl FnOnce() -> Options) -> &'static Self {
        cell.get_or_init(|| Self::start(options()))
    }

    /// Where it listens, without a slash at the end: `http://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// What stands before the first slash of a reference: `localhost:PORT`.
    ///
    /// A name and not an address: clients treat `localhost` as fit for plain HTTP, and newer ones refuse a
    /// token service whose host is a bare private address.
    pub fn host(&self) -> String {
        self.fleet.as_ref().map_or_else(|| self.own_host(), |fleet| fleet.balancer.host())
    }

    /// Where the program itself listens.
    fn own_host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// One of the two addresses that `localhost` stands for, for a client that has no names.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A full reference to `name`, such as `demo/main/hello:1`.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// The password of the account `admin`.
    pub fn admin_password(&self) -> &str {
        &self.admin_password
    }

    /// The management API and the raw registry as the administrator.
    pub fn api(&self) -> Api {
        Api::new(self.url(), "admin", &self.admin_password)
    }

    /// Where the rows are, as the server's own configuration has it: `postgres://…` or `sqlite:PATH`.
    pub fn database_url(&self) -> String {
        let file = || format!("sqlite:{}", self.data_directory().join("larder.db").display());
        self.database().map_or_else(file, Database::url)
    }

    /// Where the rows are, when that is not the data directory.
    pub fn database(&self) -> Option<&Database> {
        self.options.database.as_ref()
    }

    /// Where the objects are, when that is not the data directory.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.options.bucket.as_ref()
    }

    /// How many objects of content the server keeps, in its bucket or on its disk.
    #[track_caller]
    pub fn object_count(&self) -> usize {
        if let Some(bucket) = self.bucket() {
            return bucket.object_count();
        }
        let objects = self.data_directory().join("objects");
        let folders = std::fs::read_dir(objects).expect("a directory of the store can be read");
        folders
            .map(|folder| folder.expect("an entry can be read").path())
            .map(|folder| std::fs::read_dir(folder).expect("a directory of the store can be read").count())
            .sum()
    }

    /// The directory that holds everything the server stores, but for what is in [`Self::database`] and
    /// [`Self::bucket`].
    pub fn data_directory(&self) -> PathBuf {
        self.options.data_directory.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// Everything the server has logged since its first start.
    pub fn log(&self) -> String {
        let mut log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        log.extend(self.fleet.iter().flat_map(|fleet| &fleet.others).map(Self::log));
        log
    }

    /// The number of the process.
    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("a server that was started has a process").id()
    }

    /// The most memory that the program has had since it was started, in bytes (`proc_pid_status(5)`, `VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process()))
            .expect("the system tells about its processes");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.unwrap_or_else(|| panic!("no VmHWM in {status}")) * 1024
    }

    /// The program with another subcommand over the same data and with the same variables, such as
    /// `server.command(&["gc", "--once"])`.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.options.program);
        // What the developer's own shell sets for a server of theirs must not reach this one.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["LARDER_", "AWS_", "PG"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        if let Some(database) = self.database() {
            command.env(DATABASE, database.url()).env(SEALING_KEY, TEST_SEALING_KEY);
        }
        if let Some(bucket) = self.bucket() {
            command.env(STORAGE, bucket.url()).envs(bucket.env());
        }
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data_directory())
            .current_dir(self.directory.path())
            .env("LARDER_BOOTSTRAP__ADMIN_PASSWORD", &self.admin_password)
            .envs(self.options.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Ends the server as a crash would: no signal handler runs, nothing is flushed.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::kill(&mut child);
            self.undertaker.watch(None);
        }
    }

    /// Asks the server to end, as a service manager does, and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::stop(&mut child, PATIENCE);
            self.undertaker.watch(None);
        }
    }

    /// Asks the server to end, as a service manager does, and does not wait for it.
    pub fn terminate(&self) {
        if let Some(child) = &self.child {
            process::terminate(child);
        }
    }

    /// Waits until the server ends, at most `limit`. `None` when it runs on.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let status = process::wait(self.child.as_mut()?, limit)?;
        self.child = None;
        self.undertaker.watch(None);
        Some(status)
    }

    /// Starts the server over the same data and on the same port, ending it first if it still runs.
    pub fn restart(&mut self) {
        self.stop();
        self.launch().unwrap_or_else(|reason| self.give_up(&reason));
        if let Some(fleet) = &self.fleet {
            fleet.balancer.wait_until_healthy(fleet.others.len() + 1);
        }
    }

    /// Spawns the program and waits until it is ready. On failure no process is left.
    fn launch(&mut self) -> Result<(), String> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory.path().join("log"))
            .expect("the log file can be opened");
        let copy = log.try_clone().expect("a file handle can be duplicated");
        let child = self
            .command(&["serve", "--listen", &self.own_host()])
            .stdout(copy)
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.options.program.display()));
        self.undertaker.watch(Some(&child));
        self.child = Some(child);
        self.wait_until_ready().inspect_err(|_| self.kill9())
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let client = reqwest::blocking::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(1))
            .build()
            .expect("a client with a time limit can be built");
        let address = format!("http://{}/readyz", self.own_host());
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.as_mut().and_then(|child| process::wait(child, Duration::ZERO)) {
                return Err(format!("it ended before it was ready: {status}"));
            }
            if client.get(&address).send().is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            std::thread::sleep(process::PAUSE);
        }
        Err(format!("GET {address} did not answer 200 within {} seconds", READY_WITHIN.as_secs()))
    }

    fn give_up(&self, reason: &str) -> ! {
        panic!("cannot start {}: {reason}\n--- its log\n{}", self.options.program.display(), self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}
