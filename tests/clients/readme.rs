//! The first push of the README, as a reader would type it.

use std::path::Path;
use std::time::Duration;

use testkit::page::Page;
use testkit::{Dockerd, Options, Output, Sandbox, Server, run_within, tool};

/// Several clients, one after the other.
const LIMIT: Duration = Duration::from_mins(5);

/// Types commands into a shell on the server's own machine that knows the password of its administrator, with every
/// client at hand.
pub(crate) fn type_in(server: &Server, commands: &str) -> Output {
    let (daemon, home) = (Dockerd::start(), Sandbox::new());
    let script = home.write("commands.sh", commands);
    // Neither the pinned clients nor the program have a place on the search path of their own.
    let folder = |program: &Path| program.parent().expect("a file is in a folder").display().to_string();
    let (pinned, program) = (folder(&tool("oras")), folder(Path::new(env!("CARGO_BIN_EXE_larder"))));
    let path = format!("{pinned}:{program}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = home.command("bash");
    for (name, value) in daemon.command(&home, &[]).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    run_within(
        LIMIT,
        command
            .args(["-euxo", "pipefail", &script])
            .env("PATH", path)
            .env("LARDER_STORAGE__DATA_DIR", server.data_directory())
            .env("PASSWORD", server.admin_password()),
    )
}

#[test]
fn the_first_push_of_the_readme_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let page = Page::read("README.md").with("localhost:5000", &server.host());
    let output = type_in(&server, &page.commands(&["first-push"]));
    // The tree that the last client draws names both attachments below the image.
    output
        .success()
        .says("application/vnd.example.signature")
        .says("application/spdx+json")
        .says("\"viewer\"");
}
