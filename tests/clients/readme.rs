//! The first push of the README, as a reader would type it.

use std::path::Path;
use std::time::Duration;

use testkit::{Dockerd, Options, Output, Sandbox, Server, run_within, tool};

/// Several clients, one after the other.
const LIMIT: Duration = Duration::from_mins(5);

/// The commands of a page, in order, for the server that a test runs: those of its blocks with this tag.
pub(crate) fn commands(page: &str, tag: &str, host: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let page = std::fs::read_to_string(path).expect("the page is in the workspace");
    let blocks: Vec<&str> = page
        .split(&format!("```sh {tag}\n"))
        .skip(1)
        .map(|rest| rest.split_once("```").expect("every block ends").0)
        .collect();
    assert!(!blocks.is_empty(), "the page lost its commands");
    blocks.concat().replace("localhost:5000", host)
}

/// Types commands into a shell that knows the password of the server's administrator, with every client at hand.
pub(crate) fn type_in(server: &Server, commands: &str) -> Output {
    let (daemon, home) = (Dockerd::start(), Sandbox::new());
    let script = home.write("commands.sh", commands);
    // The pinned clients have no place on the search path of their own.
    let pinned = tool("oras").parent().expect("a file is in a folder").display().to_string();
    let path = format!("{pinned}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = home.command("bash");
    for (name, value) in daemon.command(&home, &[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    run_within(
        LIMIT,
        command
            .args(["-euxo", "pipefail", &script])
            .env("PATH", path)
            .env("PASSWORD", server.admin_password()),
    )
}

#[test]
fn the_first_push_of_the_readme_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let output = type_in(&server, &commands("README.md", "first-push", &server.host()));
    // The tree that the last client draws names both attachments below the image.
    output
        .success()
        .says("application/vnd.example.signature")
        .says("application/spdx+json")
        .says("\"viewer\"");
}
