//! The first package of the README, as a reader would type it.

use std::time::Duration;

use testkit::page::Page;
use testkit::{Options, Sandbox, Server, run_within, tool};

/// Several clients, one after the other.
const LIMIT: Duration = Duration::from_mins(5);

#[test]
fn the_first_package_of_the_readme_works_line_by_line() {
    let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
    let home = Sandbox::new();
    let page = Page::read("README.md").with("localhost:5000", &server.host());
    let script = home.write("first-package.sh", page.commands(&["first-package"]));
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
