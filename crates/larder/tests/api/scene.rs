//! What the tests share: one running server, and in it organizations and people of each test's own, so that
//! no test sees what another does.
//!
//! Who fails to sign in slows down everybody else at the same address, by design: a test that needs wrong
//! passwords starts a server of its own with [`own_server`].

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    Answer, Api, Body, Method, Options, Place, RequestBuilder, Role, Server, Visibility, random_word, sha256,
};

pub(crate) use testkit::images::{CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE};

/// The codes that an error body may hold: those of the specification ("Error Codes") and those that
/// registries of the Docker lineage add to them.
const CODES: [&str; 17] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
    "PAGINATION_NUMBER_INVALID",
    "UNAVAILABLE",
    "UNKNOWN",
];

/// The program with what makes a suite fast: nobody pulls the plug on it.
pub(crate) fn options() -> Options {
    Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_STORAGE__DURABILITY", "relaxed")
}

/// The server of all tests that do not need one of their own.
pub(crate) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    Server::shared(&SERVER, options)
}

/// A server for one test, with variables such as `("LARDER_GC__GRACE", "0s")`.
pub(crate) fn own_server(variables: &[(&str, &str)]) -> Server {
    let with = |options: Options, (name, value): &(&str, &str)| options.env(name, value);
    Server::start(variables.iter().fold(options(), with))
}

/// The shared server as its administrator.
pub(crate) fn admin() -> &'static Api {
    static ADMIN: OnceLock<Api> = OnceLock::new();
    ADMIN.get_or_init(|| server().api())
}

/// The shared server as a user who is a member of nothing.
pub(crate) fn outsider() -> Api {
    user_of(admin())
}

/// A new user of the server that `admin` administers.
pub(crate) fn user_of(admin: &Api) -> Api {
    let (username, password) = (format!("user-{}", random_word()), random_word());
    admin.user_create(&username, &password);
    admin.as_user(&username, &password)
}

/// A new user who runs the server and is a member of nothing: the one of the tests creates organizations, and who
/// creates one administers it.
pub(crate) fn system_admin_of(server: &Server) -> Api {
    let (username, password) = (format!("root-{}", random_word()), random_word());
    let input = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(input.path(), &password).expect("a temporary file can be written");
    let arguments = [
        "admin",
        "create-user",
        &username,
        "--email",
        "root@example.com",
        "--system-admin",
        "--password-stdin",
    ];
    let mut command = server.command(&arguments);
    testkit::run(command.stdin(std::fs::File::open(input.path()).expect("the file is there"))).success();
    server.api().as_user(&username, &password)
}

/// An organization of one test's own, with the private registry `main`.
pub(crate) struct Organization {
    /// Its name, which nothing else has.
    pub(crate) name: String,
    admin: Api,
}

impl Organization {
    /// A new one on the shared server.
    pub(crate) fn new() -> Self {
        Self::on(admin())
    }

    /// A new one on the server that `admin` administers.
    pub(crate) fn on(admin: &Api) -> Self {
        let name = format!("org-{}", random_word());
        admin.organization_create(&name);
        admin.registry_create(&name, "main", Visibility::Private);
        Self { name, admin: admin.clone() }
    }

    /// One that the shared server has.
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), admin: admin().clone() }
    }

    /// A further registry.
    pub(crate) fn registry(&self, name: &str, visibility: Visibility) {
        self.admin.registry_create(&self.name, name, visibility);
    }

    /// The full name of a repository in `main`; the first push creates it.
    pub(crate) fn repository(&self, name: &str) -> String {
        format!("{}/main/{name}", self.name)
    }

    /// A new user with a role in the whole organization.
    pub(crate) fn member(&self, role: Role) -> Api {
        let user = user_of(&self.admin);
        self.admin.member_put(Place::Organization(&self.name), user.username(), role);
        user
    }

    /// The administrator of the whole server.
    pub(crate) fn admin(&self) -> &Api {
        &self.admin
    }
}

/// A repository in an organization of its own, and somebody who may push to it.
pub(crate) fn writer_and_repository() -> (Api, String) {
    let organization = Organization::new();
    (organization.member(Role::Writer), organization.repository("app"))
}

/// Requests whose parts a test sets itself.
pub(crate) trait Calls {
    /// Sends a request with these header fields and this body, whatever the answer is.
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer;

    /// The same without header fields and body.
    #[track_caller]
    fn ask(&self, method: &str, path: &str) -> Answer {
        self.call(method, path, &[], Vec::new())
    }

    /// A token from the token service, for these scopes.
    fn token(&self, scopes: &[&str]) -> String;

    /// Calls the management API with a JSON body, none when it is null; `path` starts behind `/api/v1`.
    #[track_caller]
    fn manage(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/api/v1{path}");
        if body.is_null() {
            return self.ask(method, &path);
        }
        self.call(method, &path, &[("content-type", "application/json")], body.to_string())
    }

    /// Pushes a blob in one request and returns its digest.
    #[track_caller]
    fn blob_push(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.call("POST", &path, &[], bytes.to_vec()).expect(&[201]);
        digest
    }

    /// Opens an upload and returns its location.
    #[track_caller]
    fn upload_open(&self, repository: &str) -> String {
        let answer = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/")).expect(&[202]);
        answer.header("location").expect("an upload has a location").to_owned()
    }

    /// Pushes a manifest, whatever the answer is.
    #[track_caller]
    fn manifest_put(&self, repository: &str, reference: &str, media_type: &str, manifest: &[u8]) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.call("PUT", &path, &[("content-type", media_type)], manifest.to_vec())
    }

    /// Pushes a manifest over the empty configuration under a tag or, when that is empty, its digest.
    #[track_caller]
    fn image_push(&self, repository: &str, reference: &str, manifest: &Value) -> Pushed {
        let bytes = manifest.to_string().into_bytes();
        self.blob_push(repository, b"{}");
        let media_type = manifest["mediaType"].as_str().unwrap_or(MANIFEST_TYPE).to_owned();
        let pushed = Pushed { digest: sha256(&bytes), bytes, media_type };
        let reference = if reference.is_empty() { &pushed.digest } else { reference };
        self.manifest_put(repository, reference, &pushed.media_type, &pushed.bytes).expect(&[201]);
        pushed
    }
}

impl Calls for Api {
    #[track_caller]
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method is a token");
        let with = |request: RequestBuilder, (name, value): &(&str, &str)| request.header(*name, *value);
        let body = body.into();
        let request = headers.iter().fold(self.request(method, path), with);
        // No body at all is something else than a body of no bytes.
        let request =
            if body.as_bytes().is_some_and(<[u8]>::is_empty) { request } else { request.body(body) };
        let answer = self.send(request);
        assert!(answer.status != 500, "the server failed: {answer}");
        answer
    }

    #[track_caller]
    fn token(&self, scopes: &[&str]) -> String {
        let scopes: Vec<_> =
            scopes.iter().map(|scope| format!("scope={}", scope.replace(' ', "%20"))).collect();
        let answer = self.ask("GET", &format!("/token?service=larder&{}", scopes.join("&"))).expect(&[200]);
        answer.json()["token"].as_str().expect("the answer holds a token").to_owned()
    }
}

/// A manifest that the server has.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    /// Its SHA-256 digest.
    pub(crate) digest: String,
    /// The bytes as they were pushed.
    pub(crate) bytes: Vec<u8>,
    /// The type with which it was pushed.
    pub(crate) media_type: String,
}

impl Pushed {
    /// The descriptor that names it (OCI image-spec, `descriptor.md`).
    pub(crate) fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// The descriptor of the empty configuration `{}` (OCI image-spec, `manifest.md`).
pub(crate) fn empty_config() -> Value {
    json!({ "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2 })
}

/// A manifest that nothing else has, over the empty configuration alone.
pub(crate) fn small_manifest() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": empty_config(),
        "layers": [],
        "annotations": { "larder.test": random_word() },
    })
}

/// A manifest that refers to `subject`, a descriptor.
pub(crate) fn referrer_of(subject: &Value, artifact_type: &str) -> Value {
    let mut manifest = small_manifest();
    manifest["artifactType"] = artifact_type.into();
    manifest["subject"] = subject.clone();
    manifest
}

/// A body that goes out in chunks, without a length beforehand.
pub(crate) fn chunked(bytes: &[u8]) -> Body {
    Body::new(std::io::Cursor::new(bytes.to_vec()))
}

/// Asserts that an answer is the protocol's error with this status and code, and returns the message.
#[track_caller]
pub(crate) fn expect_error(answer: Answer, status: u16, code: &str) -> String {
    let answer = answer.expect(&[status]);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no list of errors: {answer}"));
    assert!(!errors.is_empty(), "{answer}");
    for error in errors {
        let found = error["code"].as_str().unwrap_or_default();
        assert!(CODES.contains(&found), "{found:?} is none of the protocol's codes: {answer}");
        assert_eq!(found, code, "{answer}");
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "an error without a message: {answer}");
        assert!(!message.chars().any(char::is_control), "control characters in a message: {answer}");
    }
    errors[0]["message"].as_str().unwrap_or_default().to_owned()
}

/// Asserts that an answer is a problem (RFC 9457) with this status and code, and returns it.
#[track_caller]
pub(crate) fn expect_problem(answer: Answer, status: u16, code: &str) -> Value {
    let answer = answer.expect(&[status]);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer}");
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{answer}");
    assert_eq!(problem["type"], format!("urn:larder:problem:{code}"), "{answer}");
    assert_eq!(problem["status"], status, "{answer}");
    assert_eq!(problem["request_id"].as_str(), answer.header("x-request-id"), "{answer}");
    for field in ["title", "detail"] {
        let text = problem[field].as_str().unwrap_or_default();
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{field}: {answer}");
    }
    assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{answer}");
    problem
}

/// The files in the server's store whose content has this SHA-256 digest.
pub(crate) fn object_files(server: &Server, digest: &str) -> Vec<PathBuf> {
    stored_files(server)
        .into_iter()
        .filter(|path| std::fs::read(path).is_ok_and(|bytes| sha256(&bytes) == digest))
        .collect()
}

/// All files in the server's store, in order.
pub(crate) fn stored_files(server: &Server) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).expect("a directory of the store can be read");
        entries.map(|entry| entry.expect("an entry can be read").path()).collect()
    };
    let mut files: Vec<_> =
        entries(&server.data_directory().join("objects")).iter().flat_map(|folder| entries(folder)).collect();
    files.sort();
    files
}

/// Sends bytes as they are over a connection of their own, and returns everything that comes back until the
/// server closes it; so the request has to say `Connection: close` or be one that the server ends.
pub(crate) fn raw(server: &Server, request: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(request).expect("the server takes the request");
    let mut answer = Vec::new();
    // A server that refuses early may reset the connection; what it said before counts.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a request line as it is, with a token, and returns everything that comes back.
pub(crate) fn raw_with_token(server: &Server, line: &str, token: &str) -> String {
    let head =
        format!("{line}\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    raw(server, head.as_bytes())
}

/// A connection to the server, which gives up after 20 seconds without a byte.
pub(crate) fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.host()).expect("the server accepts connections");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit can be set");
    stream
}
