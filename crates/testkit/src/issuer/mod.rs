//! An issuer of tokens of the tests' own, for everything that an honest one never does: it rotates its keys when
//! it is told to, is down, slow or huge, and says wrong things about itself. What a job's platform would do
//! beside it, it does too.
//!
//! People sign in with [`crate::oidc`], which others have written.

mod claims;
mod http;
mod key;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use claims::Claims;
pub use http::Request;
use http::{Listener, Response};
pub use key::{Key, claims_of, header_of, hmac_token, unsigned_token};
use serde_json::{Map, Value, json};

use crate::random_word;

/// Where a job of GitHub Actions asks for its token.
const RUNNER: &str = "/runner/token";

/// What an issuer publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    /// What it says about itself (OpenID Connect Discovery 1.0, 4).
    Discovery,
    /// Its keys (RFC 7517, 5).
    Keys,
}

/// How a document comes instead of as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehavior {
    /// The connection is closed without an answer.
    Down,
    /// An answer with this status and nothing in it.
    Status(u16),
    /// As it should be, after so long a time.
    Slow(Duration),
    /// As it should be, a byte at a time with so long a pause between two.
    Trickle(Duration),
    /// As it should be, with so many bytes of white space before it, and a length that says so.
    Huge(u64),
    /// White space that never ends, and no word about its length.
    Endless,
    /// A redirection to this URL.
    Redirect(String),
    /// This text instead.
    Text(String),
}

/// What the token endpoint makes of a request.
type TokenEndpoint = dyn Fn(&Request) -> (u16, Value) + Send + Sync;

/// A running issuer. It ends when this is dropped.
#[derive(Debug)]
pub struct Issuer {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

struct State {
    origin: String,
    /// The first of them signs; all of them are published.
    keys: Vec<Key>,
    /// What discovery says on top of the usual, and instead of it.
    discovery: Map<String, Value>,
    misbehaviors: HashMap<Document, Misbehavior>,
    /// The claims of jobs, by what they prove themselves to the runner's endpoint with.
    jobs: HashMap<String, Claims>,
    token_endpoint: Option<Arc<TokenEndpoint>>,
    requests: Vec<Request>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let State { origin, keys, requests, .. } = self;
        let mut text = formatter.debug_struct("State");
        text.field("origin", origin).field("keys", keys).field("requests", requests).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Starts an issuer with one RSA key on a free port of `localhost`.
    pub fn start() -> Self {
        Self::start_with(Key::rs256())
    }

    /// Starts an issuer with this key.
    pub fn start_with(key: Key) -> Self {
        let state = Arc::new(Mutex::new(State {
            origin: String::new(),
            keys: vec![key],
            discovery: Map::new(),
            misbehaviors: HashMap::new(),
            jobs: HashMap::new(),
            token_endpoint: None,
            requests: Vec::new(),
        }));
        let answering = Arc::clone(&state);
        let listener = Listener::start(move |request| answer(&answering, request));
        lock(&state).origin = format!("http://localhost:{}", listener.port());
        Self { listener, state }
    }

    /// Its URL, without a slash at the end: `http://localhost:PORT`.
    pub fn url(&self) -> String {
        lock(&self.state).origin.clone()
    }

    /// The URL of another issuer at the same place with the same keys, as platforms have one for each of their
    /// customers: `path` starts with a slash.
    pub fn url_at(&self, path: &str) -> String {
        format!("{}{path}", self.url())
    }

    /// Where it listens on every address of `localhost`.
    pub fn port(&self) -> u16 {
        self.listener.port()
    }

    /// Where its keys are, for whoever is told without discovery.
    pub fn keys_url(&self) -> String {
        self.url_at("/keys")
    }

    /// Where codes and passwords are exchanged for tokens: see [`Self::answer_tokens_with`].
    pub fn token_url(&self) -> String {
        self.url_at("/token")
    }

    /// The key that signs.
    pub fn key(&self) -> Key {
        lock(&self.state).keys[0].clone()
    }

    /// What it publishes as its keys.
    pub fn keys(&self) -> Value {
        published(&lock(&self.state).keys)
    }

    /// A token with these claims.
    pub fn token(&self, claims: &Claims) -> String {
        self.key().token(claims)
    }

    /// Signs with a new key of the same kind from now on, and publishes nothing else. Returns the old one, so
    /// that a test can sign with it.
    pub fn rotate(&self) -> Key {
        let mut state = lock(&self.state);
        let new = next(&state.keys[0]);
        std::mem::replace(&mut state.keys, vec![new]).swap_remove(0)
    }

    /// Signs with a new key of the same kind from now on, and goes on publishing what it published before.
    pub fn rotate_gently(&self) {
        let mut state = lock(&self.state);
        let new = next(&state.keys[0]);
        state.keys.insert(0, new);
    }

    /// Publishes these keys; the first of them signs.
    pub fn publish(&self, keys: Vec<Key>) {
        assert!(!keys.is_empty(), "an issuer has a key");
        lock(&self.state).keys = keys;
    }

    /// Says this in its discovery document, instead of what it would say, as `("issuer", "https://…")`. Null
    /// leaves a member out.
    pub fn say(&self, member: &str, value: impl Into<Value>) {
        lock(&self.state).discovery.insert(member.to_owned(), value.into());
    }

    /// Misbehaves for one document from now on, or no longer.
    pub fn misbehave(&self, document: Document, misbehavior: impl Into<Option<Misbehavior>>) {
        let mut state = lock(&self.state);
        match misbehavior.into() {
            Some(misbehavior) => state.misbehaviors.insert(document, misbehavior),
            None => state.misbehaviors.remove(&document),
        };
    }

    /// Lets `endpoint` answer every `POST` with a status and a body: what a provider does at its token endpoint,
    /// or a service of a provider's own, wherever it lies.
    pub fn answer_tokens_with(&self, endpoint: impl Fn(&Request) -> (u16, Value) + Send + Sync + 'static) {
        lock(&self.state).token_endpoint = Some(Arc::new(endpoint));
    }

    /// Everything that was asked of it, in order.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// How often it was asked for one document.
    pub fn count(&self, document: Document) -> usize {
        lock(&self.state)
            .requests
            .iter()
            .filter(|request| document_at(&request.path) == Some(document))
            .count()
    }

    /// The environment of a job of GitHub Actions with these claims: the job asks this issuer for its token,
    /// for whatever audience it likes, and each one is new.
    pub fn github_environment(&self, claims: &Claims) -> Vec<(String, String)> {
        let secret = random_word();
        lock(&self.state).jobs.insert(secret.clone(), claims.clone());
        [
            ("CI", "true".to_owned()),
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_REPOSITORY", claims.get("repository").as_str().unwrap_or_default().to_owned()),
            ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}?api-version=2.0", self.url_at(RUNNER))),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", secret),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new key of the same kind.
fn next(key: &Key) -> Key {
    if key.algorithm() == "ES256" { Key::es256() } else { Key::rs256() }
}

fn published(keys: &[Key]) -> Value {
    json!({ "keys": keys.iter().map(Key::jwk).collect::<Vec<_>>() })
}

/// Which document lies at `path`, of whichever issuer at this place.
fn document_at(path: &str) -> Option<Document> {
    if path.ends_with("/.well-known/openid-configuration") {
        return Some(Document::Discovery);
    }
    path.ends_with("/keys").then_some(Document::Keys)
}

fn answer(state: &Mutex<State>, request: &Request) -> Response {
    let mut state = lock(state);
    state.requests.push(request.clone());
    if request.method == "POST" {
        let endpoint = state.token_endpoint.clone();
        // It may ask the issuer itself for a token.
        drop(state);
        return match endpoint {
            Some(endpoint) => {
                let (status, body) = endpoint(request);
                Response::json(status, &body)
            }
            None => Response::json(400, &json!({ "error": "unsupported_grant_type" })),
        };
    }
    if request.path == RUNNER {
        return runner(&state, request);
    }
    let Some(document) = document_at(&request.path) else {
        return Response::json(404, &json!({ "error": "there is nothing here" }));
    };
    let response = match document {
        Document::Discovery => Response::json(200, &discovery(&state, &request.path)),
        Document::Keys => Response::json(200, &published(&state.keys)),
    };
    match state.misbehaviors.get(&document) {
        Some(misbehavior) => response.spoiled(misbehavior.clone()),
        None => response,
    }
}

fn discovery(state: &State, path: &str) -> Value {
    let prefix = path.trim_end_matches("/.well-known/openid-configuration");
    let issuer = format!("{}{prefix}", state.origin);
    let mut document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/keys"),
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["public"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
    });
    for (member, value) in &state.discovery {
        if value.is_null() {
            document.as_object_mut().expect("a document is an object").remove(member);
        } else {
            document[member] = value.clone();
        }
    }
    document
}

/// What the runner of a job answers when the job asks for its token (GitHub, "OpenID Connect reference").
fn runner(state: &State, request: &Request) -> Response {
    let secret = request.bearer().unwrap_or_default();
    let Some(claims) = state.jobs.get(secret) else {
        return Response::json(401, &json!({ "message": "this is no job's secret" }));
    };
    let mut claims = claims.clone().anew();
    if let Some(audience) = request.query("audience") {
        claims = claims.with("aud", audience);
    }
    Response::json(200, &json!({ "count": 1, "value": state.keys[0].token(&claims) }))
}
