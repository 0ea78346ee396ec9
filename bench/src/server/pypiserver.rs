//! pypiserver: files in a directory, served by the web server that it brings along.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use super::Launch;

/// The arguments that it is started with.
const ARGUMENTS: &str = include_str!("../../peers/pypiserver.arguments");

/// Where a server below `directory` looks for its files.
pub(super) fn packages(directory: &Path) -> PathBuf {
    directory.join("packages")
}

/// How pypi-server is started to listen on `address` and keep everything in `directory`.
pub(super) fn launch(program: &Path, address: SocketAddr, directory: &Path) -> anyhow::Result<Launch> {
    let packages = packages(directory);
    fs::create_dir(&packages).with_context(|| format!("cannot make {}", packages.display()))?;
    let mut command = Command::new(program);
    command.args(ARGUMENTS.lines().filter(|line| !line.starts_with('#')));
    command.args(["--interface", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.arg(packages);
    Ok(Launch { command, ready_path: "/health", account: None })
}
