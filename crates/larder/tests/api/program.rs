//! The program itself: configuration, start, end, and what operators ask it.

mod admin;
mod configuration;
mod exposure;
mod pages;
mod start;
mod stop;
mod tls;

use std::process::Command;

use tempfile::TempDir;

/// The program in a directory of its own, with nothing configured.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: TempDir::new().expect("a temporary directory can be made") }
    }

    /// A command of the program, in this directory.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("LARDER_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.directory.path())
            .env("LARDER_STORAGE__DURABILITY", "relaxed")
            .stdin(std::process::Stdio::null());
        command
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path.to_str().expect("temporary paths are text").to_owned()
    }

    fn has(&self, name: &str) -> bool {
        self.directory.path().join(name).exists()
    }
}

/// An address that nobody listens on.
fn free_address() -> String {
    let listener =
        std::net::TcpListener::bind("127.0.0.1:0").expect("the loopback interface has a free port");
    format!("localhost:{}", listener.local_addr().expect("a bound socket has an address").port())
}
