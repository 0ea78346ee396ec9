//! Larder as its user gets it: default durability, private registry, Bearer tokens. Only the log is lowered,
//! as the peer's is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::{Account, Launch};

/// How Larder is started to listen on `address` and keep everything in `directory`.
pub(super) fn launch(program: &Path, address: SocketAddr, directory: &Path) -> Launch {
    let account = Account { name: "admin", password: "bench-password-of-a-throw-away-server".to_owned() };
    let mut command = Command::new(program);
    // What the developer's own shell sets for a server of theirs must not reach this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LARDER_")) {
        command.env_remove(name);
    }
    command
        .args(["serve", "--listen", &address.to_string(), "--data-dir"])
        .arg(directory.join("data"))
        .env("LARDER_BOOTSTRAP__ADMIN_PASSWORD", &account.password)
        .env("LARDER_LOG__LEVEL", "warn");
    Launch { command, ready_path: "/readyz", account: Some(account) }
}
