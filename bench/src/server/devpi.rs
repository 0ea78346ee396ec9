//! devpi-server: a new data directory with one user, without the mirror that it would make by itself.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::{Account, Launch};

/// The configuration that it is started with.
const CONFIGURATION: &str = include_str!("../../peers/devpi.yml");
/// What it logs.
const LOGGING: &str = include_str!("../../peers/devpi-logging.yml");

/// How devpi-server is started to listen on `address` and keep everything in `directory`.
pub(super) fn launch(program: &Path, address: SocketAddr, directory: &Path) -> anyhow::Result<Launch> {
    let account = Account { name: "root", password: "bench-password-of-a-throw-away-server".to_owned() };
    let (configuration, logging) = (directory.join("devpi.yml"), directory.join("devpi-logging.yml"));
    for (path, text) in [(&configuration, CONFIGURATION), (&logging, LOGGING)] {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let data = directory.join("data");
    // The program that makes a data directory lies beside the one that serves it.
    let output = Command::new(program.with_file_name("devpi-init"))
        .args(["--no-root-pypi", "--root-passwd", &account.password, "--serverdir"])
        .arg(&data)
        .output()
        .context("cannot run devpi-init")?;
    ensure!(output.status.success(), "devpi-init failed: {}", String::from_utf8_lossy(&output.stderr));
    let mut command = Command::new(program);
    command.arg("--serverdir").arg(data).arg("--configfile").arg(configuration);
    command.arg("--logger-cfg").arg(logging);
    command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
    Ok(Launch { command, ready_path: "/+api", account: Some(account) })
}
