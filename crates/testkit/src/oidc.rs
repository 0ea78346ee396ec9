//! An OpenID Connect provider that others have written and had certified (npm's `oidc-provider`), with people
//! and clients of the tests, and forms that a browser fills.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::process::Signal;
use serde_json::{Map, Value, json};

use crate::browser::Browser;
use crate::port::free_port;
use crate::service::Service;
use crate::{random_word, tool};

/// What runs it: the package, and what a person sees.
const SERVER: &str = include_str!("../../../tests/tools/oidc-provider/server.mjs");

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    username: String,
    password: String,
    claims: Map<String, Value>,
}

impl User {
    /// A person with a random subject and password, whose preferred user name is `username`.
    pub fn new(username: &str) -> Self {
        let claims = [("sub", random_word()), ("preferred_username", username.to_owned())];
        Self {
            username: username.to_owned(),
            password: random_word(),
            claims: claims.map(|(name, value)| (name.to_owned(), json!(value))).into_iter().collect(),
        }
    }

    /// The same with this claim instead of what it is.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// The same with a verified address.
    #[must_use]
    pub fn email(self, address: &str) -> Self {
        self.claim("email", address).claim("email_verified", true)
    }

    /// The same in these groups and in no other.
    #[must_use]
    pub fn groups(self, groups: &[&str]) -> Self {
        self.claim("groups", json!(groups))
    }

    /// What the person types.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// What the person types.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// What the provider calls the person, for ever.
    pub fn subject(&self) -> &str {
        self.claims["sub"].as_str().unwrap_or_default()
    }

    fn to_json(&self) -> Value {
        json!({ "username": self.username, "password": self.password, "claims": self.claims })
    }
}

/// A program that people sign in to.
#[derive(Clone, Debug, PartialEq)]
pub struct Client(Map<String, Value>);

impl Client {
    /// One with a secret, which people are sent back to at `redirect`.
    pub fn confidential(id: &str, redirect: &str) -> Self {
        Self::new(id, redirect).metadata("client_secret", random_word())
    }

    /// One without.
    pub fn public(id: &str, redirect: &str) -> Self {
        Self::new(id, redirect).metadata("token_endpoint_auth_method", "none")
    }

    fn new(id: &str, redirect: &str) -> Self {
        Self(Map::new())
            .metadata("client_id", id)
            .metadata("grant_types", json!(["authorization_code", "refresh_token"]))
            .metadata("redirect_uris", json!([redirect]))
            .metadata("post_logout_redirect_uris", json!([]))
    }

    /// The same with this member of its metadata (OpenID Connect Dynamic Client Registration 1.0, 2).
    #[must_use]
    pub fn metadata(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The same, which people may also be sent back to at this URL.
    #[must_use]
    pub fn redirect(self, url: &str) -> Self {
        self.push("redirect_uris", url)
    }

    /// The same, which people may also be sent back to at this URL after they have signed out.
    #[must_use]
    pub fn after_logout(self, url: &str) -> Self {
        self.push("post_logout_redirect_uris", url)
    }

    /// The same, which may also use this grant, such as `password` or `client_credentials`.
    #[must_use]
    pub fn grant(self, grant: &str) -> Self {
        self.push("grant_types", grant)
    }

    fn push(mut self, name: &str, value: &str) -> Self {
        self.0[name].as_array_mut().expect("it is a list from the beginning").push(json!(value));
        self
    }

    /// Its name.
    pub fn id(&self) -> &str {
        self.0["client_id"].as_str().unwrap_or_default()
    }

    /// Its secret, empty when it has none.
    pub fn secret(&self) -> &str {
        self.0.get("client_secret").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A running provider. It ends when this is dropped, and when the test process ends in whatever way.
///
/// Whoever asks for the scopes `email`, `profile` and `groups` finds their claims in the ID token; PKCE is
/// required. Whoever names a `resource` (RFC 8707) gets an access token for it that is a JWT with all claims of
/// the person.
#[derive(Debug)]
pub struct OidcProvider {
    service: Service,
    port: u16,
    users: Vec<User>,
    clients: Vec<Client>,
}

impl OidcProvider {
    /// Starts a provider that knows nobody on a free port of `localhost`.
    ///
    /// Panics with its log when that cannot be done.
    pub fn start() -> Self {
        let service = Service::new("oidc-provider", Signal::TERM, "TERM");
        let directory = service.directory();
        std::fs::write(directory.join("server.mjs"), SERVER).expect("a file can be written");
        std::os::unix::fs::symlink(packages(), directory.join("node_modules")).expect("a link can be made");
        let mut provider = Self { service, port: free_port(), users: Vec::new(), clients: Vec::new() };
        provider.write();
        for attempt in 1.. {
            let mut command = command(provider.service.directory(), provider.port);
            match provider.service.launch(&mut command, is_ready(provider.port)) {
                Ok(()) => break,
                Err(_) if attempt < ATTEMPTS && provider.log().contains("EADDRINUSE") => {
                    provider.port = free_port();
                }
                Err(reason) => provider.service.give_up(&reason),
            }
        }
        provider
    }

    /// What it calls itself: `http://localhost:PORT`.
    pub fn issuer(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Lets somebody sign in, or changes whoever has this user name.
    pub fn put_user(&mut self, user: &User) {
        self.users.retain(|other| other.username != user.username);
        self.users.push(user.clone());
        self.write();
    }

    /// Forgets somebody.
    pub fn remove_user(&mut self, username: &str) {
        self.users.retain(|user| user.username != username);
        self.write();
    }

    /// Lets a program send people here, or changes the one of this name.
    pub fn put_client(&mut self, client: &Client) {
        self.clients.retain(|other| other.id() != client.id());
        self.clients.push(client.clone());
        self.write();
    }

    /// Has new keys from now on and has forgotten the old ones, together with everybody's session.
    pub fn rotate_keys(&mut self) {
        self.stop();
        std::fs::remove_file(self.service.directory().join("keys.json")).expect("it has made its keys");
        self.start_again();
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.service.stop(Signal::TERM);
    }

    /// Starts it again on the same port with the same keys. It has forgotten everybody's session.
    pub fn start_again(&mut self) {
        let (directory, port) = (self.service.directory().to_owned(), self.port);
        self.service.launch_again(|| command(&directory, port), is_ready(port));
    }

    /// What it has logged: a line for each request, without the query.
    pub fn log(&self) -> String {
        self.service.log()
    }

    /// Signs `user` in where `browser` has been sent to this provider, allows what is asked for, and waits until
    /// the provider has sent the browser elsewhere.
    #[track_caller]
    pub fn sign_in(&self, browser: &Browser, user: &User) {
        browser.type_into("input[name=username]", &user.username);
        browser.type_into("input[name=password]", &user.password);
        browser.click("#sign-in");
        self.allow(browser);
    }

    /// Allows what is asked for where the provider asks, which it does once, and waits until it has sent the
    /// browser elsewhere.
    #[track_caller]
    pub fn allow(&self, browser: &Browser) {
        let here = format!("{}/", self.issuer());
        browser.wait_until("the provider sends the browser back", |browser| {
            if !browser.url().starts_with(&here) {
                return true;
            }
            if browser.has("#allow") {
                browser.click("#allow");
            }
            false
        });
    }

    /// Writes down whom it knows. A new file takes the old one's place, because the provider may read it now.
    fn write(&self) {
        let users: Vec<Value> = self.users.iter().map(User::to_json).collect();
        let clients: Vec<&Map<String, Value>> = self.clients.iter().map(|client| &client.0).collect();
        let state = json!({ "users": users, "clients": clients });
        let directory = self.service.directory();
        let new = directory.join("state.json.new");
        std::fs::write(&new, state.to_string()).expect("a file can be written");
        std::fs::rename(new, directory.join("state.json")).expect("a file can be renamed");
    }
}

fn command(directory: &Path, port: u16) -> Command {
    let settings = json!({ "issuer": format!("http://localhost:{port}"), "port": port });
    std::fs::write(directory.join("settings.json"), settings.to_string()).expect("a file can be written");
    let mut command = Command::new(tool("node"));
    command.current_dir(directory).args(["server.mjs", "settings.json", "state.json", "keys.json"]);
    // What the developer sets for programs of theirs must not reach this one.
    command.env_remove("NODE_OPTIONS").env_remove("DEBUG").env("NO_COLOR", "1");
    command
}

fn is_ready(port: u16) -> impl Fn(&Child) -> bool {
    move |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The directory with the pinned packages.
fn packages() -> PathBuf {
    let manifest = tool("node/oidc-provider/package.json");
    manifest.parent().expect("a file lies in a directory").join("node_modules")
}
