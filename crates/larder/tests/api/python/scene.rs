//! What the tests of the Python index share.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Upload, Wheel};
use testkit::{Answer, Api, Method, Output, Role, Server, random_word, run, sha256};

use crate::scene::{Calls as _, Organization, object_files, own_server, server, stored_files};

/// Nothing is collected but by a command, and then everything that is garbage.
pub(super) const AT_ONCE: [(&str, &str); 3] =
    [("LARDER_GC__ENABLED", "false"), ("LARDER_GC__GRACE", "0s"), ("LARDER_GC__TRASH_DELAY", "0s")];

/// The longest reason phrase, in bytes.
const MAX_REASON_BYTES: usize = 250;

/// The registry `main` of an organization of one test's own, and somebody who may upload to it.
pub(super) struct Index {
    organization: Organization,
    /// The writer.
    pub(super) writer: Api,
    host: String,
}

impl Index {
    /// A new one on the shared server.
    pub(super) fn new() -> Self {
        Self::on(server())
    }

    /// A new one on this server.
    pub(super) fn on(server: &Server) -> Self {
        let organization = Organization::on(&server.api());
        Self { writer: organization.member(Role::Writer), organization, host: server.host() }
    }

    /// The organization around it.
    pub(super) fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Where the server listens: `localhost:PORT`.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The path under the upload URL; that itself when `rest` is empty.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/api/v1/{}/main/python{rest}", self.organization.name)
    }

    /// The repository that holds a project.
    pub(super) fn repository(&self, project: &str) -> String {
        self.organization.repository(project)
    }

    /// Uploads a file as twine does, whatever the answer is.
    #[track_caller]
    pub(super) fn upload(&self, file: &BuiltFile) -> Answer {
        self.send(&Upload::new(file))
    }

    /// Sends an upload form, whatever the answer is.
    #[track_caller]
    pub(super) fn send(&self, upload: &Upload) -> Answer {
        self.writer.python_send(&self.organization.name, "main", upload)
    }

    /// Sends bytes as a form with this `Content-Type`, whatever the answer is.
    #[track_caller]
    pub(super) fn send_body(&self, content_type: &str, body: &[u8]) -> Answer {
        self.writer.exchange(&Method::POST, &self.path(""), &[("Content-Type", content_type)], body)
    }

    /// Uploads a file that has to be taken.
    #[track_caller]
    pub(super) fn takes(&self, file: &BuiltFile) {
        expect_taken(self.upload(file));
    }

    /// Uploads a file that has to be refused, which leaves no trace of its project.
    #[track_caller]
    pub(super) fn refuses(&self, file: &BuiltFile, code: &str, sentence: &str) {
        self.refuses_form(&Upload::new(file), code, sentence);
        self.has_nothing_of(&file.name);
    }

    /// Sends a form that has to be refused.
    #[track_caller]
    pub(super) fn refuses_form(&self, upload: &Upload, code: &str, sentence: &str) {
        expect_refusal(self.send(upload), 400, code, sentence);
    }

    /// Asserts that neither surface knows anything of a project. The name need not be a possible one.
    #[track_caller]
    pub(super) fn has_nothing_of(&self, name: &str) {
        let words: Vec<_> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
        let project = words.join("-").to_lowercase();
        if project.is_empty() || !project.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return;
        }
        self.page(&project).expect(&[404]);
        self.manage("GET", &format!("/projects/{project}"), &Value::Null).expect(&[404]);
        self.writer.ask("GET", &format!("/v2/{}/tags/list", self.repository(&project))).expect(&[404]);
    }

    /// Asserts that the index lists no project at all, on either surface.
    #[track_caller]
    pub(super) fn is_empty(&self) {
        let accept = [("accept", "application/vnd.pypi.simple.v1+json")];
        let list = self.writer.call("GET", &self.path("/simple/"), &accept, "").expect(&[200]).json();
        assert_eq!(list["projects"], json!([]), "{list}");
        let list = self.manage("GET", "/projects", &Value::Null).expect(&[200]).json();
        assert_eq!(list["items"], json!([]), "{list}");
    }

    /// The page of a project in JSON, whatever the answer is.
    #[track_caller]
    pub(super) fn page(&self, project: &str) -> Answer {
        self.writer.python_page(&self.organization.name, "main", project)
    }

    /// The names of the files on the page of a project.
    #[track_caller]
    pub(super) fn files(&self, project: &str) -> Vec<String> {
        self.writer.python_files(&self.organization.name, "main", project)
    }

    /// The tags of a project's repository.
    #[track_caller]
    pub(super) fn tags(&self, project: &str) -> Vec<String> {
        self.writer.tag_list(&self.repository(project))
    }

    /// What the page says of one file.
    #[track_caller]
    pub(super) fn entry(&self, project: &str, filename: &str) -> Value {
        let answer = self.page(project).expect(&[200]);
        let page = answer.json();
        let mut files = page["files"].as_array().into_iter().flatten();
        let found = files.find(|file| file["filename"] == filename);
        found.unwrap_or_else(|| panic!("{filename} is not on the page: {answer}")).clone()
    }

    /// What the management API says of one file.
    #[track_caller]
    pub(super) fn row(&self, project: &str, filename: &str) -> Value {
        self.manage("GET", &format!("/projects/{project}/files/{filename}"), &Value::Null)
            .expect(&[200])
            .json()
    }

    /// The warnings that are kept with a file.
    #[track_caller]
    pub(super) fn warnings(&self, project: &str, filename: &str) -> Vec<String> {
        let row = self.row(project, filename);
        let warnings = row["warnings"].as_array().unwrap_or_else(|| panic!("no list of warnings: {row}"));
        warnings.iter().map(|warning| warning.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// A management call as the administrator; `path` starts behind the registry's `…/python`.
    #[track_caller]
    pub(super) fn manage(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/organizations/{}/registries/main/python{path}", self.organization.name);
        self.organization.admin().manage(method, &path, body)
    }

    /// Changes settings of the registry, such as `{"read_only": true}`.
    #[track_caller]
    pub(super) fn change(&self, change: &Value) {
        self.organization.admin().registry_change(&self.organization.name, "main", change);
    }

    /// Changes how the registry judges uploads, such as `{"record": "warn"}`.
    #[track_caller]
    pub(super) fn policy(&self, policy: &Value) {
        self.change(&json!({ "python": policy }));
    }
}

/// A server of one test's own, where garbage goes at once.
pub(super) struct OwnIndex {
    pub(super) server: Server,
    pub(super) index: Index,
}

impl OwnIndex {
    pub(super) fn new() -> Self {
        let server = own_server(&AT_ONCE);
        Self { index: Index::on(&server), server }
    }

    pub(super) fn collect(&self) -> Output {
        run(&mut self.server.command(&["gc", "--once"])).success()
    }

    /// Asserts that every stored object is one that something names.
    #[track_caller]
    pub(super) fn scrub(&self) {
        run(&mut self.server.command(&["scrub"])).success().says(": 0 suspects");
    }

    /// Asserts that the server holds the bytes of this file, or that it does not.
    #[track_caller]
    pub(super) fn holds(&self, expected: bool, file: &BuiltFile) {
        let found = object_files(&self.server, &sha256(&file.bytes));
        assert_eq!(!found.is_empty(), expected, "{}: {found:?}", file.filename);
    }
}

/// Runs uploads, all of which have to be refused, on a server of their own, and asserts that nothing is left of
/// them: no project, and after a collection no object.
#[track_caller]
pub(super) fn leaving_nothing(attempts: impl FnOnce(&Index)) {
    let own = OwnIndex::new();
    attempts(&own.index);
    own.index.is_empty();
    own.collect();
    own.scrub();
    let left = stored_files(&own.server);
    assert!(left.is_empty(), "the store holds {left:?}");
}

/// A project name that no other test has and that resembles none.
pub(super) fn project() -> String {
    // The similarity of names folds some letters and digits, but none of these hexadecimal ones into another.
    format!("pkg-{}", random_word())
}

/// A wheel of a new project.
pub(super) fn wheel() -> Wheel {
    Wheel::new(&project(), "1.0")
}

/// Asserts that an upload was taken.
#[track_caller]
pub(super) fn expect_taken(answer: Answer) {
    let answer = answer.expect(&[200]);
    assert!(answer.body.is_empty(), "{answer}");
    assert!(answer.header("content-type").is_some_and(|value| value.starts_with("text/plain")), "{answer}");
}

/// Asserts that an answer is a refusal with this status and code that says `sentence` to every client, those
/// that show the reason phrase and those that show the body; returns the whole message.
#[track_caller]
pub(super) fn expect_refusal(answer: Answer, status: u16, code: &str, sentence: &str) -> String {
    let answer = answer.expect(&[status]);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    let body = answer.json();
    let message = body["message"].as_str().unwrap_or_default();
    assert!(message.contains(sentence), "{sentence:?} is not in the message: {answer}");
    assert!(!message.chars().any(char::is_control), "control characters in a message: {answer}");
    assert_eq!(body["code"], format!("{status} {message}"), "{answer}");
    assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{answer}");
    assert_eq!(body["errors"][0]["code"], code, "{answer}");
    assert_eq!(body["errors"][0]["message"], message, "{answer}");
    let reason = answer.reason.as_deref().unwrap_or_else(|| panic!("nobody looked at the reason: {answer}"));
    let harmless = |character: char| if matches!(character, ' '..='~') { character } else { '?' };
    let expected: String = message.chars().map(harmless).take(MAX_REASON_BYTES).collect();
    assert_eq!(reason, expected, "{answer}");
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{answer}");
    message.to_owned()
}
