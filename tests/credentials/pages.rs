//! The page "Tokens and machines", as a reader types it in, and its jobs, as their platforms run them: on machines of
//! their own, which reach the registry over TLS under the name that the page gives it and know no secret of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use testkit::bucket::S3;
use testkit::issuer::{Claims, Issuer};
use testkit::page::Page;
use testkit::postgres::Postgres;
use testkit::python::Wheel;
use testkit::{Dockerd, ForwardProxy, Options, Output, Sandbox, Server, run, run_within, tool};

use crate::scene::text;
use crate::tls::TlsServer;

/// Several clients, one after the other.
const LIMIT: Duration = Duration::from_mins(5);

/// What the page calls the registry where it speaks of jobs.
const HOST: &str = "registry.example.org";
const AUDIENCE: &str = "https://registry.example.org";

/// The numbers that the page's bindings are for.
const REPOSITORY: &str = "1296269";
const PROJECT: &str = "278964";

/// Where the page comes to the jobs.
const JOBS: &str = "### GitHub Actions";

/// A registry at both of the addresses that the page uses, and everything around it.
struct Scene {
    issuer: Issuer,
    server: Server,
    tls: TlsServer,
    proxy: ForwardProxy,
    daemon: Dockerd,
    /// The folder with the pinned clients, under the names that people type.
    programs: Sandbox,
    _home: Sandbox,
}

impl Scene {
    fn new() -> Self {
        let (issuer, home) = (Issuer::start(), Sandbox::new());
        let options = Options::new(env!("CARGO_BIN_EXE_larder"))
            .postgres(&Postgres::shared().database())
            .bucket(&S3::shared().bucket())
            .env("LARDER_AUTH__INTERNAL_ISSUERS", &issuer.url());
        let server = Server::start(options);
        let kept = server.database().zip(server.bucket()).expect("the server was given both");
        let tls = TlsServer::start(&home, HOST, kept, &issuer.url());
        let proxy = ForwardProxy::start(&[(&format!("{HOST}:443"), tls.port)]);
        let (variable, address) = proxy.environment();
        let daemon = Dockerd::start_with(&[(variable, &address), ("SSL_CERT_FILE", &tls.certificate)]);
        Self { issuer, server, tls, proxy, daemon, programs: programs(), _home: home }
    }

    /// The page for this registry and for the issuer of the tests, which stands for both platforms.
    fn page(&self) -> Page {
        Page::read("docs/tokens-and-machines.md")
            .with("localhost:5000", &self.server.host())
            .with("https://token.actions.githubusercontent.com", &self.issuer.url())
            .with("https://gitlab.com", &self.gitlab())
    }

    fn gitlab(&self) -> String {
        self.issuer.url_at("/gitlab")
    }

    /// A shell in a folder of the home, with every client at hand.
    fn shell(&self, home: &Sandbox, folder: &Path) -> Command {
        let mut command = home.command("bash");
        for (name, value) in self.daemon.command(home, &[]).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("UV_NO_CONFIG", "1")
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring");
        command
    }

    /// Types commands in, as somebody who knows the administrator's password.
    fn type_in(&self, home: &Sandbox, commands: &str, variables: &[(&str, &str)]) -> Output {
        let script = home.write("commands.sh", commands);
        run_within(
            LIMIT,
            self.shell(home, home.path())
                .args(["-euxo", "pipefail", &script])
                .env("PASSWORD", self.server.admin_password())
                .envs(variables.iter().copied()),
        )
    }

    /// Makes the service account and its bindings as the page says; `more` is typed in behind that.
    fn prepare(&self, more: &str) {
        let commands = self.page().above(JOBS).commands(&["machines"]);
        self.type_in(&Sandbox::new(), &format!("{commands}{more}"), &[]).success();
    }

    /// The page's command that lets GitHub's jobs of one repository push the app.
    fn binding(&self) -> String {
        let page = self.page();
        let blocks = page.blocks();
        let found = blocks.iter().find(|block| block.name == "machines" && block.text.contains(REPOSITORY));
        found.expect("the page has a binding for jobs of GitHub").text.to_owned()
    }

    /// A step of a job on a machine that knows the registry's certificate and where to find it, and nothing else
    /// about it. Platforms differ in what they tell the shell.
    fn step(
        &self,
        job: &Machine,
        step: &str,
        shell: &[&str],
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Output {
        let script = job.home.write("step.sh", step);
        let (variable, address) = self.proxy.environment();
        run_within(
            LIMIT,
            self.shell(&job.home, &job.home.path().join(&job.checkout))
                .args(shell)
                .arg(script)
                .env(variable, address)
                .env("SSL_CERT_FILE", &self.tls.certificate)
                .env("REQUESTS_CA_BUNDLE", &self.tls.certificate)
                .envs(environment),
        )
    }

    /// A step as GitHub's runner runs it: it does not mind what fails in the middle of a pipe.
    fn step_of_github(&self, job: &Machine, step: &str, claims: &Claims) -> Output {
        let mut environment = self.issuer.github_environment(claims);
        let reference = claims.text("ref");
        let name = reference.rsplit('/').next().unwrap_or_default();
        environment.push(("GITHUB_REF_NAME".to_owned(), name.to_owned()));
        self.step(job, step, &["-e"], environment)
    }

    /// The same with GitLab's, which does, and which gives the job its tokens beforehand.
    fn step_of_gitlab(&self, job: &Machine, step: &str, tokens: &[(String, String)]) -> Output {
        let own = [("GITLAB_CI", "true"), ("CI", "true"), ("CI_COMMIT_SHORT_SHA", "714a629c")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tokens = tokens.iter().map(|(variable, audience)| {
            let claims = Claims::gitlab(&self.gitlab(), "acme/app", audience).with("project_id", PROJECT);
            (variable.clone(), self.issuer.token(&claims))
        });
        self.step(job, step, &["-eo", "pipefail"], own.into_iter().chain(tokens))
    }

    /// A job of GitHub's in the repository with this number, for a tag.
    fn github(&self, number: &str) -> Claims {
        Claims::github(&self.issuer.url(), "acme/app", AUDIENCE)
            .with("repository_id", number)
            .with_all(serde_json::json!({ "ref": "refs/tags/v1.2.0", "ref_type": "tag" }))
    }
}

/// A machine that is new to everything, with what a job has checked out.
struct Machine {
    home: Sandbox,
    checkout: String,
}

impl Machine {
    /// One with a program that goes into an image.
    fn with_app() -> Self {
        let home = Sandbox::new();
        std::fs::create_dir(home.path().join("app")).expect("the home of the job is empty");
        home.write("app/Dockerfile", "FROM scratch\nCOPY notes.txt /\n");
        home.write("app/notes.txt", "notes\n");
        Self { home, checkout: "app".to_owned() }
    }

    /// One with a Python package of this version.
    fn with_package(version: &str) -> Self {
        let home = Sandbox::new();
        let uv = ["init", "--lib", "--vcs", "none", "--no-config", "hello-larder"];
        run(home.command("python/uv/bin/uv").args(uv).env("UV_PYTHON_DOWNLOADS", "never")).success();
        let file = home.path().join("hello-larder/pyproject.toml");
        let about = std::fs::read_to_string(&file).expect("a package says something about itself");
        let line = "version = \"0.1.0\"";
        assert!(about.contains(line), "{about}");
        std::fs::write(&file, about.replace(line, &format!("version = \"{version}\"")))
            .expect("a file can be written in the home");
        Self { home, checkout: "hello-larder".to_owned() }
    }
}

/// The pinned clients in a folder of their own, without the interpreters that they bring.
fn programs() -> Sandbox {
    let programs = Sandbox::new();
    for client in ["python/uv/bin/uv", "python/twine/bin/twine", "python/pip/bin/pip", "oras", "helm"] {
        let program = tool(client);
        let name = program.file_name().expect("a program has a name");
        std::os::unix::fs::symlink(&program, programs.path().join(name)).expect("a link can be made");
    }
    // A link would not do: an interpreter looks for its packages beside its own name.
    let python = tool("python/twine/bin/python");
    let script = programs.write("python", format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()));
    run(programs.command("chmod").args(["+x", &script])).success();
    programs
}

#[test]
fn the_page_about_machines_works_line_by_line() {
    let scene = Scene::new();
    let (page, home) = (scene.page(), Sandbox::new());
    std::fs::create_dir(home.path().join("dist")).expect("the home of the test is empty");
    let file = Wheel::new("hello-larder", "1.0").build();
    home.write(&format!("dist/{}", file.filename), &file.bytes);
    let job = scene.issuer.token(&scene.github(REPOSITORY));
    let commands = page.commands(&["machines", "machines-python", "machines-test"]);
    let output = scene.type_in(&home, &commands, &[("JOB_TOKEN", &job)]).success();
    let fetched = home.path().join(&file.filename);
    assert!(
        std::fs::read(fetched).is_ok_and(|bytes| bytes == file.bytes),
        "pip has something else: {output}"
    );
    let said = |text: &str| assert!(output.stdout.contains(text), "not said: {text}\n{output}");
    said("Login Succeeded");
    said("\"username\":\"demo+ci\"");
    // One binding is this job's and the other is not, for a reason.
    said("\"accepted\":true");
    said("issuer is");
    said("\"disabled\":true");
}

#[test]
fn jobs_push_with_nothing_but_their_own_token_as_the_page_says() {
    let scene = Scene::new();
    scene.prepare("");
    let (page, api) = (scene.page(), scene.server.api());
    let github = page.job("github");
    assert!(github.may_ask_for_token());
    let steps = github.steps();
    let [sign_in, push] = steps.as_slice() else { panic!("other steps: {steps:?}") };
    let (job, claims) = (Machine::with_app(), scene.github(REPOSITORY));
    let output = scene.step_of_github(&job, sign_in, &claims).success();
    // Helm says so where others say what went wrong.
    let said = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(said.matches("Login Succeeded").count(), 3, "docker, helm and oras: {output}");
    scene.step_of_github(&job, push, &claims).success();
    assert_eq!(api.tag_list("demo/main/app"), ["v1.2.0"]);
    // Somebody else's job says the same and is nobody.
    scene.step_of_github(&Machine::with_app(), sign_in, &scene.github("1296270")).failure();

    let gitlab = page.job("gitlab");
    scene.step_of_gitlab(&Machine::with_app(), &gitlab.script(), &gitlab.id_tokens()).success();
    assert_eq!(api.tag_list("demo/main/app"), ["714a629c", "v1.2.0"]);

    // What a token is exchanged for does the same.
    let job = Machine::with_app();
    let token = scene.issuer.token(&claims.clone().anew());
    let exchange = page.commands(&["machines-exchange"]);
    let with_token = |step: &str| {
        let variables = [("JOB_TOKEN", token.as_str()), ("GITHUB_REF_NAME", "v1.2.1")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        scene.step(&job, step, &["-e"], variables)
    };
    let issued: Value =
        serde_json::from_str(&with_token(&exchange).success().stdout).expect("an answer in JSON");
    let (username, secret) = (text(&issued, "username"), text(&issued, "access_token"));
    assert_eq!((username.as_str(), &issued["expires_in"]), ("demo+ci", &Value::from(900)), "{issued}");
    let sign_in = format!("echo {secret} | docker login {HOST} --username {username} --password-stdin");
    with_token(&sign_in).success();
    with_token(push).success();
    assert_eq!(api.tag_list("demo/main/app"), ["714a629c", "v1.2.0", "v1.2.1"]);
    with_token(&exchange).failure().says("used before");
    // Where several bindings would do, the job says which account it means, and is refused another one's.
    for (account, is_its_own) in [("demo+ci", true), ("demo+other", false)] {
        let variables = [("JOB_TOKEN".to_owned(), scene.issuer.token(&claims.clone().anew()))];
        let named = format!("{} --data-urlencode service_account={account}", exchange.trim_end());
        let output = scene.step(&job, &named, &["-e"], variables);
        assert_eq!(output.status.success(), is_its_own, "{output}");
    }
}

#[test]
fn jobs_publish_packages_with_nothing_but_their_own_token_as_the_page_says() {
    let scene = Scene::new();
    // The page says to name the repositories of the packages in the scopes.
    let number = "1300192";
    let binding =
        scene.binding().replace(REPOSITORY, number).replace("demo/main/app", "demo/main/hello-larder");
    scene.prepare(&binding);
    let (page, api) = (scene.page(), scene.server.api());
    let count = || api.python_files("demo", "main", "hello-larder").len();
    let github = page.job("github-python");
    assert!(github.may_ask_for_token());
    let (job, claims) = (Machine::with_package("1.0"), scene.github(number));
    for step in github.steps() {
        scene.step_of_github(&job, &step, &claims).success();
    }
    assert_eq!(count(), 2, "a wheel and an sdist");

    let gitlab = page.job("gitlab-python");
    let job = Machine::with_package("1.1");
    scene.step_of_gitlab(&job, &gitlab.script(), &gitlab.id_tokens()).success();
    assert_eq!(count(), 4);

    let twine = format!("uv build\n{}", page.commands(&["machines-twine"]));
    scene.step_of_github(&Machine::with_package("1.2"), &twine, &claims).success();
    assert_eq!(count(), 6);
    let job = Machine::with_package("1.3");
    scene.step_of_gitlab(&job, &twine, &gitlab.id_tokens()).success();
    assert_eq!(count(), 8);
    // The binding of the app is no good for the package.
    let app = scene.github(REPOSITORY);
    scene.step_of_github(&Machine::with_package("1.4"), &twine, &app).failure().says("403");
    assert_eq!(count(), 8);
}
