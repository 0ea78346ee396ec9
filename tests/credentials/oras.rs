//! Oras: files as artifacts.

use testkit::Output;

use crate::matrix::{Client, Visit, go_through};

struct Oras;

impl Client for Oras {
    fn sign_in(&self, visit: &Visit<'_>) -> Option<Output> {
        let (username, host) = (&visit.login.username, &visit.host);
        let arguments = ["login", "--plain-http", "--username", username, "--password-stdin", host];
        Some(visit.home.run_with_input("oras", &arguments, &visit.login.secret))
    }

    fn push(&self, visit: &Visit<'_>) -> Output {
        visit.home.write("notes.txt", "notes\n");
        let reference = format!("{}:1", visit.reference());
        visit.home.run("oras", &["push", "--plain-http", &reference, "notes.txt"])
    }

    fn pull(&self, visit: &Visit<'_>) -> Option<Output> {
        let reference = format!("{}:1", visit.reference());
        Some(visit.home.run("oras", &["pull", "--plain-http", "--output", "back", &reference]))
    }
}

#[test]
fn oras_pushes_with_everything_until_it_is_revoked() {
    go_through(&Oras);
}
