//! The management API and the raw registry, spoken to with name and password, with a token, or as nobody.

use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::{Client, RequestBuilder};
use reqwest::header::{ACCEPT, HeaderMap};
use serde_json::{Value, json};

/// Every manifest form that a test pushes.
const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// What somebody may do where they are a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Lists and pulls.
    Viewer,
    /// Also pushes and deletes artifacts.
    Writer,
    /// Also manages registries, members and settings.
    Admin,
}

/// Who may pull from a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Members.
    Private,
    /// Anyone.
    Public,
}

/// Where somebody is made a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In every registry of the organization.
    Organization(&'a str),
    /// In one registry: organization and registry.
    Registry(&'a str, &'a str),
}

impl Place<'_> {
    fn path(self) -> String {
        match self {
            Self::Organization(organization) => format!("/organizations/{organization}"),
            Self::Registry(organization, registry) => {
                format!("/organizations/{organization}/registries/{registry}")
            }
        }
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The text behind the status code, where the exchange was one that shows it.
    pub reason: Option<String>,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub body: Vec<u8>,
    /// What was asked, for messages.
    pub(crate) request: String,
}

impl Answer {
    /// A header field, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON; panics with the whole answer when it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {self}"))
    }

    /// The same answer; panics with the whole of it when its status is not one of `expected`.
    #[track_caller]
    pub fn expect(self, expected: &[u16]) -> Self {
        assert!(expected.contains(&self.status), "expected one of {expected:?}: {self}");
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { status, reason, headers, body, request } = self;
        let reason = reason.as_deref().unwrap_or_default();
        write!(formatter, "{request} → {status} {reason}\n{headers:?}\n{}", String::from_utf8_lossy(body))
    }
}

/// A caller of one server with one set of credentials. Every method panics with the answer when the server
/// does not do what was asked.
#[derive(Clone, Debug)]
pub struct Api {
    client: Client,
    url: String,
    credentials: Credentials,
}

#[derive(Clone, Debug)]
enum Credentials {
    None,
    Basic { username: String, password: String },
    Bearer(String),
}

impl Api {
    /// A caller of the server at `url` (`http://localhost:PORT`).
    pub fn new(url: impl Into<String>, username: &str, password: &str) -> Self {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client with a time limit can be built");
        let credentials = Credentials::Basic { username: username.to_owned(), password: password.to_owned() };
        Self { client, url: url.into(), credentials }
    }

    /// The same server as somebody else.
    #[must_use]
    pub fn as_user(&self, username: &str, password: &str) -> Self {
        let credentials = Credentials::Basic { username: username.to_owned(), password: password.to_owned() };
        Self { credentials, ..self.clone() }
    }

    /// The same server with a token, as `Authorization: Bearer`.
    #[must_use]
    pub fn as_bearer(&self, token: &str) -> Self {
        Self { credentials: Credentials::Bearer(token.to_owned()), ..self.clone() }
    }

    /// The same server without credentials.
    #[must_use]
    pub fn as_nobody(&self) -> Self {
        Self { credentials: Credentials::None, ..self.clone() }
    }

    /// The name of this caller, who has to have one: a caller with a password.
    #[track_caller]
    pub fn username(&self) -> &str {
        match &self.credentials {
            Credentials::Basic { username, .. } => username,
            other => panic!("only a caller with a password has a name here, and this is {other:?}"),
        }
    }

    /// The password of this caller, who has to have one.
    #[track_caller]
    pub fn password(&self) -> &str {
        match &self.credentials {
            Credentials::Basic { password, .. } => password,
            other => panic!("a caller with a password is needed, and this is {other:?}"),
        }
    }

    /// A request to `path` (from the root, such as `/v2/`) with this caller's credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.credentials {
            Credentials::None => request,
            Credentials::Basic { username, password } => request.basic_auth(username, Some(password)),
            Credentials::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// `http://localhost:PORT`, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a request and collects the answer, whatever it is.
    #[track_caller]
    pub fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap_or_else(|error| panic!("cannot build a request: {error}"));
        let line = format!("{} {}", request.method(), request.url());
        let answer =
            self.client.execute(request).unwrap_or_else(|error| panic!("no answer to {line}: {error}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body =
            answer.bytes().unwrap_or_else(|error| panic!("no whole answer to {line}: {error}")).to_vec();
        Answer { status, reason: None, headers, body, request: line }
    }

    /// `GET path`, whatever the answer is.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path))
    }

    /// A management call with a JSON body; `path` starts behind `/api/v1`.
    #[track_caller]
    fn call(&self, method: Method, path: &str, body: Option<&Value>, expected: &[u16]) -> Answer {
        let request = self.request(method, &format!("/api/v1{path}"));
        self.send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .expect(expected)
    }

    /// Creates an organization.
    #[track_caller]
    pub fn organization_create(&self, organization: &str) -> Answer {
        self.call(Method::POST, "/organizations", Some(&json!({ "name": organization })), &[201])
    }

    /// The organizations that the caller may see.
    #[track_caller]
    pub fn organization_list(&self) -> Value {
        self.call(Method::GET, "/organizations", None, &[200]).json()
    }

    /// Deletes an organization.
    #[track_caller]
    pub fn organization_delete(&self, organization: &str) -> Answer {
        self.call(Method::DELETE, &format!("/organizations/{organization}"), None, &[202, 204])
    }

    /// Creates a registry in an organization.
    #[track_caller]
    pub fn registry_create(&self, organization: &str, registry: &str, visibility: Visibility) -> Answer {
        let body = json!({ "name": registry, "visibility": visibility_word(visibility) });
        self.call(Method::POST, &format!("/organizations/{organization}/registries"), Some(&body), &[201])
    }

    /// The registries of an organization that the caller may see.
    #[track_caller]
    pub fn registry_list(&self, organization: &str) -> Value {
        self.call(Method::GET, &format!("/organizations/{organization}/registries"), None, &[200]).json()
    }

    /// Makes a registry private or public.
    #[track_caller]
    pub fn registry_update(&self, organization: &str, registry: &str, visibility: Visibility) -> Answer {
        let path = Place::Registry(organization, registry).path();
        let body = json!({ "visibility": visibility_word(visibility) });
        self.call(Method::PATCH, &path, Some(&body), &[200, 204])
    }

    /// Lets a registry take manifests over content that it does not hold.
    pub fn registry_sparse(&self, organization: &str, registry: &str) -> Answer {
        let path = Place::Registry(organization, registry).path();
        self.call(Method::PATCH, &path, Some(&json!({ "sparse_manifests": true })), &[200])
    }

    /// Deletes a registry.
    #[track_caller]
    pub fn registry_delete(&self, organization: &str, registry: &str) -> Answer {
        self.call(Method::DELETE, &Place::Registry(organization, registry).path(), None, &[202, 204])
    }

    /// Creates a local account; its address is `username@example.com`.
    #[track_caller]
    pub fn user_create(&self, username: &str, password: &str) -> Answer {
        let email = format!("{username}@example.com");
        let body = json!({ "username": username, "email": email, "password": password });
        self.call(Method::POST, "/users", Some(&body), &[201])
    }

    /// Deletes an account.
    #[track_caller]
    pub fn user_delete(&self, username: &str) -> Answer {
        self.call(Method::DELETE, &format!("/users/{username}"), None, &[202, 204])
    }

    /// Makes `username` a member, or changes what they are.
    #[track_caller]
    pub fn member_put(&self, place: Place<'_>, username: &str, role: Role) -> Answer {
        let role = match role {
            Role::Viewer => "viewer",
            Role::Writer => "writer",
            Role::Admin => "admin",
        };
        let path = format!("{}/members/{username}", place.path());
        self.call(Method::PUT, &path, Some(&json!({ "role": role })), &[200, 201, 204])
    }

    /// The members of a place.
    #[track_caller]
    pub fn member_list(&self, place: Place<'_>) -> Value {
        self.call(Method::GET, &format!("{}/members", place.path()), None, &[200]).json()
    }

    /// Ends a membership.
    #[track_caller]
    pub fn member_delete(&self, place: Place<'_>, username: &str) -> Answer {
        self.call(Method::DELETE, &format!("{}/members/{username}", place.path()), None, &[202, 204])
    }

    /// Creates a token of the caller's own; the answer holds it, and holds it only once.
    #[track_caller]
    pub fn token_create(&self, name: &str) -> Value {
        self.call(Method::POST, "/me/tokens", Some(&json!({ "name": name })), &[201]).json()
    }

    /// The caller's tokens, without their secrets.
    #[track_caller]
    pub fn token_list(&self) -> Value {
        self.call(Method::GET, "/me/tokens", None, &[200]).json()
    }

    /// Revokes a token of the caller's own.
    #[track_caller]
    pub fn token_delete(&self, id: &str) -> Answer {
        self.call(Method::DELETE, &format!("/me/tokens/{id}"), None, &[202, 204])
    }

    /// `GET /v2/<repository>/manifests/<reference>` for every manifest form, whatever the answer is.
    #[track_caller]
    pub fn manifest_get(&self, repository: &str, reference: &str) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send(self.request(Method::GET, &path).header(ACCEPT, MANIFEST_TYPES))
    }

    /// `GET /v2/<repository>/blobs/<digest>`, whatever the answer is.
    #[track_caller]
    pub fn blob_get(&self, repository: &str, digest: &str) -> Answer {
        self.get(&format!("/v2/{repository}/blobs/{digest}"))
    }

    /// The tags of a repository, in the server's order.
    #[track_caller]
    pub fn tag_list(&self, repository: &str) -> Vec<String> {
        let answer = self.get(&format!("/v2/{repository}/tags/list")).expect(&[200]);
        let listing = answer.json();
        let tags = listing["tags"].as_array().unwrap_or_else(|| panic!("`tags` is no list: {answer}"));
        tags.iter().map(|tag| tag.as_str().expect("a tag is text").to_owned()).collect()
    }
}

/// The word for a visibility in requests.
fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Private => "private",
        Visibility::Public => "public",
    }
}
