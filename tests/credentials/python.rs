//! Twine and uv: files of Python packages, with the credentials in the environment.

use std::process::Command;

use testkit::python::Wheel;
use testkit::{Output, Sandbox, run};

use crate::matrix::{Client, Visit, go_through};

/// A program of a Python client that knows no index but what a test tells it.
pub(crate) fn command(home: &Sandbox, client: &str) -> Command {
    let mut command = home.command(&format!("python/{client}/bin/{client}"));
    command
        .env("UV_HTTP_RETRIES", "0")
        .env("UV_PYTHON_DOWNLOADS", "never")
        .env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // They break their lines to fit the terminal.
        .env("COLUMNS", "1000")
        .env("NO_COLOR", "1");
    command
}

/// A wheel in the home, by its path.
pub(crate) fn wheel(home: &Sandbox, project: &str, version: &str) -> String {
    let file = Wheel::new(project, version).build();
    home.write(&file.filename, &file.bytes)
}

struct Twine;

impl Client for Twine {
    fn sign_in(&self, _visit: &Visit<'_>) -> Option<Output> {
        None
    }

    fn push(&self, visit: &Visit<'_>) -> Output {
        let url = visit.organization.upload_url(&format!("http://{}", visit.host));
        run(command(&visit.home, "twine")
            .args(["upload", "--non-interactive", "--disable-progress-bar"])
            .env("TWINE_REPOSITORY_URL", url)
            .env("TWINE_USERNAME", &visit.login.username)
            .env("TWINE_PASSWORD", &visit.login.secret)
            .arg(wheel(&visit.home, &visit.name, "1.0")))
    }
}

struct Uv;

impl Client for Uv {
    fn sign_in(&self, _visit: &Visit<'_>) -> Option<Output> {
        None
    }

    fn push(&self, visit: &Visit<'_>) -> Output {
        let url = visit.organization.upload_url(&format!("http://{}", visit.host));
        run(command(&visit.home, "uv")
            .args(["publish", "--trusted-publishing", "never"])
            .env("UV_PUBLISH_URL", url)
            .env("UV_PUBLISH_USERNAME", &visit.login.username)
            .env("UV_PUBLISH_PASSWORD", &visit.login.secret)
            .arg(wheel(&visit.home, &visit.name, "1.0")))
    }
}

#[test]
fn twine_uploads_with_everything_until_it_is_revoked() {
    go_through(&Twine);
}

#[test]
fn uv_publishes_with_everything_until_it_is_revoked() {
    go_through(&Uv);
}
