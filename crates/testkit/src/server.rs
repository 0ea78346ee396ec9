//! The program as its user starts it, in a directory that is thrown away.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Api, process, random_word};

/// How long a server may take until it says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a server may take to finish what is in flight when it is asked to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server program, in an integration test `env!("CARGO_BIN_EXE_larder")`.
    pub program: PathBuf,
    /// Variables on top of those that [`Server::start`] sets, such as `("LARDER_GC__GRACE", "0s")`.
    pub env: Vec<(String, String)>,
    /// Where the server keeps its data, when that is not a directory that is thrown away.
    pub data_directory: Option<PathBuf>,
}

impl Options {
    /// The program at `program`, with nothing configured.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), env: Vec::new(), data_directory: None }
    }

    /// The same with the data in `directory`, which the test looks after.
    #[must_use]
    pub fn data_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.data_directory = Some(directory.into());
        self
    }

    /// The same with one more variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A running server with a data directory and an administrator of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    options: Options,
    directory: TempDir,
    port: u16,
    admin_password: String,
    /// Absent only between an end and the next start.
    child: Option<Child>,
    /// Of a server that is never dropped: the end of its input tells this process that the test program is gone.
    undertaker: Option<Child>,
}

impl Server {
    /// Starts the program on a free port of `localhost` and waits until `GET /readyz` answers 200.
    ///
    /// Panics with the server's log when that takes more than ten seconds or the program ends.
    pub fn start(options: Options) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let mut server = Self {
            options,
            directory,
            port: 0,
            admin_password: random_word(),
            child: None,
            undertaker: None,
        };
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

    /// One server for all tests of a program, started by whoever asks first. A static is never dropped, so
    /// another process ends the server and removes its data once the test program is gone, however it went.
    pub fn shared(cell: &'static OnceLock<Self>, options: impl FnOnce() -> Options) -> &'static Self {
        cell.get_or_init(|| {
            let mut server = Self::start(options());
            server.undertaker = Some(server.undertaker());
            server
        })
    }

    /// Starts a process that waits for the end of its standard input, then ends the server and cleans up.
    fn undertaker(&self) -> Child {
        const SCRIPT: &str = "cat >/dev/null; kill \"$1\"; sleep 1; kill -9 \"$1\"; rm -rf \"$2\"";
        let child = self.child.as_ref().expect("a server that was started has a process");
        Command::new("sh")
            .args(["-c", SCRIPT, "sh", &child.id().to_string()])
            .arg(self.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started")
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
        format!("localhost:{}", self.port)
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

    /// The directory that holds everything the server stores.
    pub fn data_directory(&self) -> PathBuf {
        self.options.data_directory.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// Everything the server has logged since its first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// The most memory that the program has had since it was started, in bytes (`proc_pid_status(5)`, `VmHWM`).
    pub fn peak_memory(&self) -> u64 {
        let child = self.child.as_ref().expect("a server that was started has a process");
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))
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
            if name.to_string_lossy().starts_with("LARDER_") {
                command.env_remove(name);
            }
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
        }
    }

    /// Asks the server to end, as a service manager does, and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::stop(&mut child, PATIENCE);
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
        Some(status)
    }

    /// Starts the server over the same data and on the same port, ending it first if it still runs.
    pub fn restart(&mut self) {
        self.stop();
        self.launch().unwrap_or_else(|reason| self.give_up(&reason));
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
            .command(&["serve", "--listen", &self.host()])
            .stdout(copy)
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.options.program.display()));
        self.child = Some(child);
        self.wait_until_ready().inspect_err(|_| self.kill9())
    }

    fn wait_until_ready(&mut self) -> Result<(), String> {
        let client = reqwest::blocking::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(1))
            .build()
            .expect("a client with a time limit can be built");
        let address = format!("{}/readyz", self.url());
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

/// A port that was free a moment ago. The server binds it itself, so a neighbour may be faster.
fn free_port() -> u16 {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the loopback interface has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
