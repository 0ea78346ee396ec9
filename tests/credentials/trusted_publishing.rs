//! Trusted publishing over TLS: a job that knows the URL and nothing else publishes packages.

use std::process::Command;

use serde_json::{Value, json};
use testkit::issuer::Claims;
use testkit::{Method, Output, Sandbox, run};

use crate::python::{command, wheel};
use crate::scene::{Fleet, Organization, text};
use crate::tls::TlsServer;

/// The package that the binding is for, and the only one.
const PACKAGE: &str = "hello-larder";

/// One more server over what the others keep, which speaks TLS, and an organization whose account `ci` publishes.
struct Scene {
    organization: Organization,
    /// `https://localhost:PORT`.
    url: String,
    home: Sandbox,
    server: TlsServer,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::shared();
        let organization = Organization::new(fleet);
        organization.manage(Method::POST, "/service-accounts", &json!({ "name": "ci" }), &[201]);
        organization.let_write(&format!("{}+ci", organization.name));

        let home = Sandbox::new();
        let kept = (fleet.replicas.database(), fleet.replicas.bucket());
        let server = TlsServer::start(&home, "localhost", kept, &fleet.issuer.url());
        Self { organization, url: format!("https://localhost:{}", server.port), home, server }
    }

    /// Lets the jobs with this claim publish [`PACKAGE`]; the binding's name in paths.
    fn bind(&self, claims: &Claims, number: &str) -> String {
        let body = json!({
            "name": "release",
            "issuer": self.organization.fleet.issuer.url(),
            "audience": self.url,
            "claims": [{ "claim": number, "equals": claims.text(number) }],
            "scopes": [{ "repositories": self.organization.repository(PACKAGE), "actions": ["pull", "push"] }],
        });
        let made = self.organization.manage(Method::POST, "/service-accounts/ci/bindings", &body, &[201]);
        text(&made.json(), "id")
    }

    fn unbind(&self, binding: &str) {
        let path = format!("/service-accounts/ci/bindings/{binding}");
        self.organization.manage(Method::DELETE, &path, &Value::Null, &[204]);
    }

    /// What a job of the repository `name` says of itself.
    fn github(&self, name: &str) -> Claims {
        let repository = format!("{}/{name}", self.organization.name);
        Claims::github(&self.organization.fleet.issuer.url(), &repository, &self.url)
    }

    /// A client in a job with this environment, which trusts the certificate.
    fn client(&self, client: &str, environment: &[(String, String)]) -> Command {
        let mut command = command(&self.home, client);
        let environment = environment.iter().map(|(name, value)| (name, value));
        command
            .env("SSL_CERT_FILE", &self.server.certificate)
            .env("REQUESTS_CA_BUNDLE", &self.server.certificate)
            .envs(environment);
        command
    }

    /// `uv publish` with the URL and nothing else.
    fn publish(&self, environment: &[(String, String)], package: &str, version: &str) -> Output {
        run(self
            .client("uv", environment)
            .args(["publish", "--publish-url", &self.organization.upload_url(&self.url)])
            .arg(wheel(&self.home, package, version)))
    }

    /// How many files of the package are there.
    fn count(&self) -> usize {
        self.organization.fleet.admin.python_files(&self.organization.name, "main", PACKAGE).len()
    }

    /// How many tokens of jobs the account has.
    fn tokens(&self) -> String {
        let sql = format!(
            "SELECT count(*) FROM tokens JOIN users ON users.id = tokens.user_id WHERE users.username = '{}+ci'",
            self.organization.name
        );
        self.organization.fleet.replicas.database().query(&sql)[0][0].clone()
    }
}

#[test]
fn uv_publishes_from_a_job_of_github_with_nothing_but_the_url() {
    let scene = Scene::new();
    let issuer = &scene.organization.fleet.issuer;
    let claims = scene.github("app");
    let job = issuer.github_environment(&claims);
    // Nobody has said yet whose jobs may publish.
    scene.publish(&job, PACKAGE, "0.1").failure().says("token");
    let binding = scene.bind(&claims, "repository_id");

    scene.publish(&job, PACKAGE, "1.0").success();
    assert_eq!(scene.count(), 1);
    run(scene
        .client("uv", &job)
        .args(["publish", "--trusted-publishing", "always"])
        .args(["--publish-url", &scene.organization.upload_url(&scene.url)])
        .arg(wheel(&scene.home, PACKAGE, "1.1")))
    .success();
    assert_eq!(scene.count(), 2);
    assert_eq!(scene.tokens(), "0", "what was minted is burned when it has been used");

    // Another package is none of its business, and another repository's job has none here.
    scene.publish(&job, "other-larder", "1.0").failure().says("403");
    let stranger = issuer.github_environment(&scene.github("fork"));
    scene.publish(&stranger, PACKAGE, "1.2").failure().says("no binding matches");

    scene.unbind(&binding);
    scene.publish(&job, PACKAGE, "1.2").failure().says("token");
    assert_eq!(scene.count(), 2);
}

#[test]
fn uv_publishes_from_a_job_of_gitlab_with_nothing_but_the_url() {
    let scene = Scene::new();
    let issuer = &scene.organization.fleet.issuer;
    let project = format!("{}/app", scene.organization.name);
    let claims = Claims::gitlab(&issuer.url(), &project, &scene.url);
    let binding = scene.bind(&claims, "project_id");
    // The name that the documentation gives for this audience.
    let variable = scene.url.to_uppercase().replace([':', '/'], "_") + "_ID_TOKEN";
    let job = || {
        [("GITLAB_CI", "true".to_owned()), ("CI", "true".to_owned())]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .chain([(variable.clone(), issuer.token(&claims.clone().anew()))])
            .collect::<Vec<_>>()
    };
    scene.publish(&job(), PACKAGE, "1.0").success();
    assert_eq!(scene.count(), 1);
    // Each job's token is good for this once.
    let one = job();
    scene.publish(&one, PACKAGE, "1.1").success();
    scene.publish(&one, PACKAGE, "1.2").failure().says("used before");
    scene.unbind(&binding);
    scene.publish(&job(), PACKAGE, "1.2").failure().says("token");
    assert_eq!(scene.count(), 2);
}

#[test]
fn twine_takes_the_token_of_a_job_for_a_password() {
    let scene = Scene::new();
    let claims = scene.github("app");
    let binding = scene.bind(&claims, "repository_id");
    let job = scene.organization.fleet.issuer.github_environment(&claims);
    // What twine itself finds a job's token with, on every platform that it knows.
    let token = || {
        let mut command = scene.home.command("python/twine/bin/python");
        let environment = job.iter().map(|(name, value)| (name, value));
        run(command.args(["-m", "id", &scene.url]).envs(environment)).success().stdout.trim().to_owned()
    };
    let upload = |version: &str| {
        run(scene
            .client("twine", &job)
            .args(["upload", "--non-interactive", "--disable-progress-bar", "--username", "oidc"])
            .args(["--repository-url", &scene.organization.upload_url(&scene.url)])
            .env("TWINE_PASSWORD", token())
            .arg(wheel(&scene.home, PACKAGE, version)))
    };
    upload("1.0").success();
    assert_eq!(scene.count(), 1);
    scene.unbind(&binding);
    upload("1.1").failure().says("401");

    // It asks nobody but PyPI for trust, so the URL alone does not do.
    scene.bind(&claims, "repository_id");
    run(scene
        .client("twine", &job)
        .args(["upload", "--non-interactive", "--disable-progress-bar", "--username", "__token__"])
        .args(["--repository-url", &scene.organization.upload_url(&scene.url)])
        .arg(wheel(&scene.home, PACKAGE, "1.1")))
    .failure()
    .says("credential not found");
}
