//! Helm 3: charts as artifacts.

use testkit::Output;

use crate::matrix::{Client, Visit, go_through};

struct Helm;

impl Client for Helm {
    fn sign_in(&self, visit: &Visit<'_>) -> Option<Output> {
        let (username, host) = (&visit.login.username, &visit.host);
        let arguments =
            ["registry", "login", "--plain-http", "--username", username, "--password-stdin", host];
        Some(visit.home.run_with_input("helm", &arguments, &visit.login.secret))
    }

    /// The repository of a chart is named after the chart.
    fn push(&self, visit: &Visit<'_>) -> Output {
        let chart = visit.home.path().join(&visit.name);
        std::fs::create_dir_all(&chart).expect("a folder can be made in the home");
        let about = format!("apiVersion: v2\nname: {}\nversion: 1.0.0\n", visit.name);
        std::fs::write(chart.join("Chart.yaml"), about).expect("a file can be written in the home");
        visit.home.run("helm", &["package", &visit.name]).success();
        let archive = format!("{}-1.0.0.tgz", visit.name);
        let reference = visit.reference();
        let (registry, _) = reference.rsplit_once('/').expect("a reference has a host");
        visit.home.run("helm", &["push", "--plain-http", &archive, &format!("oci://{registry}")])
    }

    fn pull(&self, visit: &Visit<'_>) -> Option<Output> {
        let chart = format!("oci://{}", visit.reference());
        Some(visit.home.run("helm", &["show", "chart", "--plain-http", &chart, "--version", "1.0.0"]))
    }
}

#[test]
fn helm_pushes_with_everything_until_it_is_revoked() {
    go_through(&Helm);
}
