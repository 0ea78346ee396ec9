//! The CNCF's registry with everything off that costs time and is not asked for: no authentication, no access
//! log, no background purge; and with its in-memory descriptor cache. It always syncs what it writes.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::Launch;

/// How Distribution is started to listen on `address` and keep everything in `directory`.
pub(super) fn launch(program: &Path, address: SocketAddr, directory: &Path) -> anyhow::Result<Launch> {
    let path = directory.join("config.yml");
    fs::write(&path, configuration(address, &directory.join("data")))
        .with_context(|| format!("cannot write {}", path.display()))?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRY_")) {
        command.env_remove(name);
    }
    command.arg("serve").arg(path).env("OTEL_TRACES_EXPORTER", "none");
    Ok(Launch { command, ready_path: "/v2/", account: None })
}

/// JSON is YAML, and needs no rules for quoting.
fn configuration(address: SocketAddr, data: &Path) -> String {
    serde_json::json!({
        "version": "0.1",
        "log": { "level": "error", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": data },
            "cache": { "blobdescriptor": "inmemory" },
            "delete": { "enabled": true },
            "maintenance": { "uploadpurging": { "enabled": false } },
        },
        "http": { "addr": address.to_string() },
    })
    .to_string()
}
