//! The first push of the README, as a reader would type it.

use std::path::Path;
use std::time::Duration;

use testkit::{Dockerd, Options, Sandbox, Server, run_within, tool};

/// Several clients, one after the other.
const LIMIT: Duration = Duration::from_mins(5);

/// The commands of the README, in order, for the server that this test runs.
fn commands(host: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(path).expect("the README is in the workspace");
    let blocks: Vec<&str> = readme
        .split("```sh first-push\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("every block ends").0)
        .collect();
    assert!(blocks.len() >= 5, "the README lost its first push");
    blocks.concat().replace("localhost:5000", host)
}

#[test]
fn the_first_push_of_the_readme_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let (daemon, home) = (Dockerd::start(), Sandbox::new());
    let script = home.write("first-push.sh", commands(&server.host()));
    // The pinned clients have no place on the search path of their own.
    let pinned = tool("oras").parent().expect("a file is in a folder").display().to_string();
    let path = format!("{pinned}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = home.command("bash");
    for (name, value) in daemon.command(&home, &[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = run_within(
        LIMIT,
        command
            .args(["-euxo", "pipefail", &script])
            .env("PATH", path)
            .env("PASSWORD", server.admin_password()),
    );
    // The tree that the last client draws names both attachments below the image.
    output
        .success()
        .says("application/vnd.example.signature")
        .says("application/spdx+json")
        .says("\"viewer\"");
}
