//! What every test of a Python client starts from: a fresh server with the registry `demo/main`, people with
//! different rights there, and a home in which the clients know nothing of the developer's own configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::python::BuiltFile;
use testkit::{Api, Options, Output, Place, Role, Sandbox, Server, random_word, run, tool};

use crate::relay::Relay;

/// Where every file of these tests goes.
pub(crate) const REGISTRY: (&str, &str) = ("demo", "main");

/// A person with a name and a password.
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) password: String,
}

/// A server with people.
pub(crate) struct Scene {
    pub(crate) server: Server,
    /// The administrator of everything.
    pub(crate) admin: Api,
    /// A writer in `demo/main`.
    pub(crate) writer: Account,
    /// A viewer in `demo/main`.
    pub(crate) viewer: Account,
    /// Somebody without any membership.
    pub(crate) stranger: Account,
    /// Where the clients run.
    pub(crate) home: Sandbox,
}

impl Scene {
    pub(crate) fn new() -> Self {
        // Without an address of its own its pages lead to wherever they were asked for, through a relay too.
        Self::with(Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_SERVER__PUBLIC_URL", ""))
    }

    /// A server that its clients reach through a relay, and that knows itself by the relay's address.
    pub(crate) fn behind_a_relay() -> (Self, Relay) {
        let relay = Relay::listening(|_, passing| passing);
        let url = format!("http://{}", relay.host());
        let options = Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_SERVER__PUBLIC_URL", &url);
        let scene = Self::with(options);
        relay.lead_to(&scene.server.host());
        (scene, relay)
    }

    pub(crate) fn with(options: Options) -> Self {
        let server = Server::start(options);
        let admin = server.api();
        let [writer, viewer, stranger] =
            ["wendy", "victor", "stanley"].map(|name| Account { name, password: random_word() });
        for account in [&writer, &viewer, &stranger] {
            admin.user_create(account.name, &account.password);
        }
        admin.member_put(Place::Registry("demo", "main"), writer.name, Role::Writer);
        admin.member_put(Place::Registry("demo", "main"), viewer.name, Role::Viewer);
        let home = Sandbox::new();
        for name in ["dist", "home/.config/system"] {
            std::fs::create_dir_all(home.path().join(name)).expect("a folder can be made in the home");
        }
        Self { server, admin, writer, viewer, stranger, home }
    }

    /// The path of the index, without a slash at the end: uploads go there.
    pub(crate) fn path() -> String {
        format!("/api/v1/{}/{}/python", REGISTRY.0, REGISTRY.1)
    }

    /// Where uploads go.
    pub(crate) fn upload_url(&self) -> String {
        format!("{}{}", self.server.url(), Self::path())
    }

    /// Where installers look.
    pub(crate) fn index_url(&self) -> String {
        format!("{}/simple/", self.upload_url())
    }

    /// Where installers look, with the credentials of `account`.
    pub(crate) fn index_url_of(&self, account: &Account) -> String {
        with_credentials(&self.index_url(), account)
    }

    /// The index as somebody without a client sees it.
    pub(crate) fn api_of(&self, account: &Account) -> Api {
        self.admin.as_user(account.name, &account.password)
    }

    /// Uploads a file as the writer without a client.
    #[track_caller]
    pub(crate) fn publish(&self, file: &BuiltFile) {
        self.api_of(&self.writer).python_upload(REGISTRY.0, REGISTRY.1, file).expect(&[200]);
    }

    /// The page of a project in JSON, as the writer sees it.
    #[track_caller]
    pub(crate) fn page(&self, project: &str) -> Value {
        self.api_of(&self.writer).python_page(REGISTRY.0, REGISTRY.1, project).expect(&[200]).json()
    }

    /// The names of the files of a project.
    #[track_caller]
    pub(crate) fn files(&self, project: &str) -> Vec<String> {
        self.api_of(&self.writer).python_files(REGISTRY.0, REGISTRY.1, project)
    }

    /// The stored content of a file.
    #[track_caller]
    pub(crate) fn stored(&self, project: &str, filename: &str) -> Vec<u8> {
        self.api_of(&self.writer).python_file(REGISTRY.0, REGISTRY.1, project, filename).expect(&[200]).body
    }

    /// A personal token of the writer.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let created = self.api_of(&self.writer).token_create("ci");
        created["token"].as_str().expect("a new token is shown once").to_owned()
    }

    /// Changes settings of the registry.
    pub(crate) fn settings(&self, change: &Value) {
        self.admin.registry_change(REGISTRY.0, REGISTRY.1, change);
    }

    /// Yanks a release, or takes that back without a reason.
    #[track_caller]
    pub(crate) fn yank(&self, project: &str, version: &str, reason: Option<&str>) {
        let body = match reason {
            Some(reason) => json!({ "yanked": true, "reason": reason }),
            None => json!({ "yanked": false }),
        };
        let path = format!("/projects/{project}/releases/{version}");
        let method = testkit::Method::PATCH;
        self.admin.python_manage(method, REGISTRY.0, REGISTRY.1, &path, Some(&body)).expect(&[200, 204]);
    }

    /// Puts a file where clients find it, and returns its path.
    pub(crate) fn save(&self, file: &BuiltFile) -> String {
        self.home.write(&format!("dist/{}", file.filename), &file.bytes)
    }

    /// A program of a client, such as `twine` of `twine-6.1`, that knows no index but what a test tells it.
    pub(crate) fn client(&self, client: &str, program: &str) -> Command {
        let mut command = self.home.command(&format!("python/{client}/bin/{program}"));
        command
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_NO_INPUT", "1")
            .env("PIP_RETRIES", "0")
            .env("UV_HTTP_RETRIES", "0")
            .env("UV_PYTHON", tool("python/pip/bin/python"))
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("XDG_CONFIG_DIRS", self.home.path().join("home/.config/system"))
            .env("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // Some clients break their lines to fit the terminal.
            .env("COLUMNS", "1000")
            .env("NO_COLOR", "1");
        command
    }

    /// Uploads files with a version of twine as the writer.
    #[track_caller]
    pub(crate) fn twine(&self, client: &str, arguments: &[&str]) -> Output {
        self.twine_as(&self.writer, client, arguments)
    }

    /// Uploads files with a version of twine.
    #[track_caller]
    pub(crate) fn twine_as(&self, account: &Account, client: &str, arguments: &[&str]) -> Output {
        run(self
            .client(client, "twine")
            .args(["upload", "--non-interactive", "--disable-progress-bar"])
            .env("TWINE_REPOSITORY_URL", self.upload_url())
            .env("TWINE_USERNAME", account.name)
            .env("TWINE_PASSWORD", &account.password)
            .args(arguments))
    }

    /// Uploads files with uv as the writer.
    #[track_caller]
    pub(crate) fn uv_publish(&self, arguments: &[&str]) -> Output {
        self.uv_publish_as(&self.writer, arguments)
    }

    /// Uploads files with uv.
    #[track_caller]
    pub(crate) fn uv_publish_as(&self, account: &Account, arguments: &[&str]) -> Output {
        run(self
            .client("uv", "uv")
            .args(["publish", "--trusted-publishing", "never"])
            .env("UV_PUBLISH_URL", self.upload_url())
            .env("UV_PUBLISH_USERNAME", account.name)
            .env("UV_PUBLISH_PASSWORD", &account.password)
            .args(arguments))
    }

    /// Installs with a version of pip into a folder of the home, from the index of the viewer.
    #[track_caller]
    pub(crate) fn pip_install(&self, client: &str, folder: &str, arguments: &[&str]) -> Output {
        run(self
            .pip(client, &["install", "--target", &self.home.file(folder)])
            .args(["--index-url", &self.index_url_of(&self.viewer)])
            .args(arguments))
    }

    /// A version of pip.
    pub(crate) fn pip(&self, client: &str, arguments: &[&str]) -> Command {
        let mut command = self.client(client, "python");
        command.args(["-m", "pip"]).args(arguments);
        command
    }

    /// Installs with uv into a folder of the home, from the index of the viewer.
    #[track_caller]
    pub(crate) fn uv_install(&self, folder: &str, arguments: &[&str]) -> Output {
        run(self
            .client("uv", "uv")
            .args(["pip", "install", "--target", &self.home.file(folder)])
            .args(["--default-index", &self.index_url_of(&self.viewer)])
            .args(arguments))
    }

    /// What lies in a folder that was installed into: project in normal form to version.
    pub(crate) fn installed(&self, folder: &str) -> BTreeMap<String, String> {
        installed(&self.home.path().join(folder))
    }
}

/// The distributions that a folder holds: project in normal form to version.
pub(crate) fn installed(folder: &Path) -> BTreeMap<String, String> {
    let names = std::fs::read_dir(folder).map(|entries| {
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect::<Vec<_>>()
    });
    names
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.strip_suffix(".dist-info")?.split_once('-'))
        .map(|(name, version)| (name.replace(['_', '.'], "-").to_lowercase(), version.to_owned()))
        .collect()
}

/// `found` as pairs that a test can write down.
pub(crate) fn pairs(found: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    found.iter().map(|(name, version)| (name.as_str(), version.as_str())).collect()
}

/// A URL that holds the credentials of `account`.
pub(crate) fn with_credentials(url: &str, account: &Account) -> String {
    url.replacen("://", &format!("://{}:{}@", account.name, account.password), 1)
}
