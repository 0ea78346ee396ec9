//! The first package of the README, as a reader would type it.

use std::path::Path;
use std::time::Duration;

use testkit::{Options, Sandbox, Server, run_within, tool};

/// Several clients, one after the other.
const LIMIT: Duration = Duration::from_mins(5);

/// The commands of the README, in order, for the server that this test runs.
fn commands(host: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(path).expect("the README is in the workspace");
    let blocks: Vec<&str> = readme
        .split("```sh first-package\n")
        .skip(1)
        .map(|rest| rest.split_once("```").expect("every block ends").0)
        .collect();
    assert!(blocks.len() >= 6, "the README lost its first package");
    blocks.concat().replace("localhost:5000", host)
}

#[test]
fn the_first_package_of_the_readme_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let home = Sandbox::new();
    let script = home.write("first-package.sh", commands(&server.host()));
    // The pinned clients by their names, without the interpreters that they bring.
    let programs = home.path().join("programs");
    std::fs::create_dir(&programs).unwrap();
    for client in ["python/uv/bin/uv", "python/twine/bin/twine", "python/poetry/bin/poetry", "oras"] {
        let program = tool(client);
        std::os::unix::fs::symlink(&program, programs.join(program.file_name().unwrap())).unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let output = run_within(
        LIMIT,
        home.command("bash")
            .args(["-euxo", "pipefail", &script])
            .env("PATH", path)
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("UV_NO_CONFIG", "1")
            .env("PASSWORD", server.admin_password()),
    );
    output
        .success()
        .says("Successfully installed hello-larder-0.1.0")
        .says("+ hello-larder==0.1.0")
        .says("Publishing with-poetry (0.1.0) to larder")
        .says("org.larder.python.filename");
}
