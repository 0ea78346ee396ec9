//! Docker: a real daemon, which does the pushing and pulling with what the command line keeps.

use testkit::images::Image;
use testkit::{Dockerd, Output};

use crate::matrix::{Client, Visit, go_through};

/// The name of the image in the daemon.
const IMAGE: &str = "larder-test:1";

struct Docker(Dockerd);

impl Docker {
    fn run(&self, visit: &Visit<'_>, arguments: &[&str]) -> Output {
        self.0.docker(&visit.home, arguments)
    }
}

impl Client for Docker {
    fn sign_in(&self, visit: &Visit<'_>) -> Option<Output> {
        let arguments = ["login", "--username", &visit.login.username, "--password-stdin", &visit.host];
        Some(self.0.docker_with_input(&visit.home, &arguments, &visit.login.secret))
    }

    fn push(&self, visit: &Visit<'_>) -> Output {
        let reference = format!("{}:1", visit.reference());
        self.run(visit, &["tag", IMAGE, &reference]).success();
        self.run(visit, &["push", &reference])
    }

    fn pull(&self, visit: &Visit<'_>) -> Option<Output> {
        Some(self.run(visit, &["pull", &format!("{}:1", visit.reference())]))
    }
}

#[test]
fn docker_pushes_and_pulls_with_everything_until_it_is_revoked() {
    let daemon = Dockerd::start();
    let home = testkit::Sandbox::new();
    Image::random().docker_archive_write(&home.path().join("image.tar"), IMAGE);
    daemon.docker(&home, &["load", "--input", &home.file("image.tar")]).success();
    go_through(&Docker(daemon));
}
