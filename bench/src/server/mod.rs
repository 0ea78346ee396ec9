//! The servers: each on a loopback port, with a data directory of its own, on the servers' core.

mod devpi;
mod distribution;
mod larder;
mod pypiserver;

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tempfile::TempDir;

use crate::http::Connection;
use crate::machine;

/// How long a server may take until it answers. Those in Python take seconds even on a quiet machine.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long the wait for a server sleeps between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Product {
    /// This project's server.
    Larder,
    /// The CNCF's registry, as Debian packages it.
    Distribution,
    /// A Python index over a directory of files.
    Pypiserver,
    /// A Python index with users and a database.
    Devpi,
}

impl Product {
    /// All, in the order in which results are printed.
    pub(crate) const ALL: [Self; 4] = [Self::Larder, Self::Distribution, Self::Pypiserver, Self::Devpi];

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Larder => "larder",
            Self::Distribution => "distribution",
            Self::Pypiserver => "pypiserver",
            Self::Devpi => "devpi",
        }
    }
}

/// The servers' programs.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// Larder's.
    pub(crate) larder: PathBuf,
    /// Distribution's.
    pub(crate) distribution: PathBuf,
    /// pypiserver's.
    pub(crate) pypiserver: PathBuf,
    /// devpi-server's, with devpi-init beside it.
    pub(crate) devpi: PathBuf,
}

impl Programs {
    fn of(&self, product: Product) -> &Path {
        match product {
            Product::Larder => &self.larder,
            Product::Distribution => &self.distribution,
            Product::Pypiserver => &self.pypiserver,
            Product::Devpi => &self.devpi,
        }
    }

    /// What the program says about its version.
    pub(crate) fn version(&self, product: Product) -> anyhow::Result<String> {
        let program = self.of(product);
        let output = Command::new(program).arg("--version").output().with_context(|| {
            let hint = match product {
                Product::Larder => "build it with `cargo build --release -p larder` or name it with --larder",
                Product::Distribution => "install Debian's package docker-registry or name it with --peer",
                Product::Pypiserver => "install it or name it with --pypiserver; `make bench` does both",
                Product::Devpi => "install it or name it with --devpi; `make bench` does both",
            };
            format!("cannot run {}: {hint}", program.display())
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().trim().to_owned())
    }
}

/// A name and a password.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// The user's name.
    pub(crate) name: &'static str,
    /// The user's password.
    pub(crate) password: String,
}

/// A running server. It ends, and its data goes, when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    product: Product,
    address: SocketAddr,
    account: Option<Account>,
    child: Child,
    directory: TempDir,
}

/// How a server is started.
struct Launch {
    command: Command,
    /// A path that is answered 200 once the server works.
    ready_path: &'static str,
    /// Who may push, when the server asks.
    account: Option<Account>,
}

impl Server {
    /// Starts `product` with an empty data directory below `parent` and waits until it answers.
    pub(crate) async fn start(product: Product, programs: &Programs, parent: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(&format!("bench-{}-", product.name()))
            .tempdir_in(parent)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        let address = free_address()?;
        let Launch { mut command, ready_path, account } = match product {
            Product::Larder => larder::launch(&programs.larder, address, directory.path()),
            Product::Distribution => distribution::launch(&programs.distribution, address, directory.path())?,
            Product::Pypiserver => pypiserver::launch(&programs.pypiserver, address, directory.path())?,
            Product::Devpi => devpi::launch(&programs.devpi, address, directory.path())?,
        };
        let log = File::create(directory.path().join("log")).context("cannot make the server's log")?;
        command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("cannot share the server's log")?)
            .stderr(log);
        let child = spawn_pinned(&mut command)
            .with_context(|| format!("cannot start {}", programs.of(product).display()))?;
        let mut server = Self { product, address, account, child, directory };
        server.wait_until_ready(ready_path).await?;
        Ok(server)
    }

    /// Which server this is.
    pub(crate) fn product(&self) -> Product {
        self.product
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who may push, when the server asks.
    pub(crate) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Where files are served from that nobody uploads, by the one server that does so.
    pub(crate) fn packages(&self) -> Option<PathBuf> {
        (self.product == Product::Pypiserver).then(|| pypiserver::packages(self.directory.path()))
    }

    /// The process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The end of what the server has logged, for an error's text.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    async fn wait_until_ready(&mut self, path: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("cannot ask whether the server runs")? {
                bail!("{} ended at its start ({status}); its log:\n{}", self.product.name(), self.log_tail());
            }
            if matches!(tokio::time::timeout(READY_WITHIN, status_of(self.address, path)).await, Ok(Ok(200)))
            {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!(
            "{} did not answer GET {path} with 200 within {} seconds; its log:\n{}",
            self.product.name(),
            READY_WITHIN.as_secs(),
            self.log_tail()
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The data goes with the process, so nothing is lost by ending it at once. Errors mean that it ended
        // already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn status_of(address: SocketAddr, path: &str) -> anyhow::Result<u16> {
    let mut connection = Connection::open(address).await?;
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    Ok(connection.head().await?.status)
}

/// A child inherits the core of the thread that starts it, so that even its first thread runs there and it
/// sizes its thread pools for one core.
fn spawn_pinned(command: &mut Command) -> anyhow::Result<Child> {
    machine::pin(machine::SERVER_CORE)?;
    let child = command.spawn();
    machine::pin(machine::GENERATOR_CORE)?;
    Ok(child?)
}

/// A port that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .context("cannot find a free port on the loopback interface")?;
    listener.local_addr().context("cannot find a free port on the loopback interface")
}
