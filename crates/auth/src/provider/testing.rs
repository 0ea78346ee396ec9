//! An issuer of the tests' own, on loopback, that can misbehave; and keys to sign with.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::{Clock, Timestamp};
use db::Db;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::testing::CHEAP;
use crate::{Auth, Settings};

/// The second that the tests' clock begins with.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Setup {
    pub(crate) auth: Auth,
    pub(crate) clock: Clock,
    pub(crate) db: Db,
    _database: db::testing::Guard,
}

/// A registry with these settings, which waits for issuers for half a second.
pub(crate) async fn setup(settings: Settings) -> Setup {
    let (db, database) = db::testing::temporary().await;
    let clock = Clock::manual(Timestamp::from_millis(NOW * 1000));
    let settings = Settings { password_cost: CHEAP, egress_timeout: Duration::from_millis(500), ..settings };
    let auth = Auth::open(db.clone(), clock.clone(), settings).await.unwrap();
    Setup { auth, clock, db, _database: database }
}

/// How the server answers.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) location: Option<String>,
    pub(crate) body: Vec<u8>,
    /// How long it thinks.
    pub(crate) wait: Duration,
    /// Goes on after the body, slowly and without an end.
    pub(crate) trickles: bool,
}

impl Reply {
    pub(crate) fn json(body: &Value) -> Self {
        Self::bytes(body.to_string().into_bytes())
    }

    pub(crate) fn bytes(body: Vec<u8>) -> Self {
        Self { status: 200, location: None, body, wait: Duration::ZERO, trickles: false }
    }

    pub(crate) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
}

#[derive(Default)]
struct Script {
    replies: HashMap<String, Reply>,
    seen: Vec<Seen>,
}

/// A server on loopback.
#[derive(Clone)]
pub(crate) struct FakeIssuer {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl FakeIssuer {
    /// A server that knows nothing yet.
    pub(crate) async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::<Mutex<Script>>::default();
        let served = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { url, script }
    }

    /// A server that is a well-behaved issuer with these keys.
    pub(crate) async fn with_keys(keys: &[Value]) -> Self {
        let issuer = Self::silent().await;
        issuer.reply(
            "/.well-known/openid-configuration",
            Reply::json(&json!({
                "issuer": issuer.url,
                "jwks_uri": issuer.at("/jwks"),
                "authorization_endpoint": issuer.at("/authorize"),
                "token_endpoint": issuer.at("/token"),
                "userinfo_endpoint": issuer.at("/userinfo"),
                "end_session_endpoint": issuer.at("/logout"),
            })),
        );
        issuer.keys(keys);
        issuer
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.script.lock().replies.insert(path.to_owned(), reply);
    }

    pub(crate) fn keys(&self, keys: &[Value]) {
        self.reply("/jwks", Reply::json(&json!({ "keys": keys })));
    }

    /// What arrived at a path.
    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.script.lock().seen.iter().filter(|seen| seen.path == path).cloned().collect()
    }

    /// How many requests arrived.
    pub(crate) fn count(&self) -> usize {
        self.script.lock().seen.len()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Mutex<Script>>) {
    let mut received = Vec::new();
    let (head, body) = loop {
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => received.extend_from_slice(&piece[..length]),
        }
        let text = String::from_utf8_lossy(&received).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
            break (text.split_once("\r\n\r\n").unwrap().0.to_owned(), body.to_owned());
        }
    };
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let reply = {
        let mut script = script.lock();
        script.seen.push(Seen { path: path.clone(), head, body });
        script.replies.get(&path).cloned().unwrap_or_else(|| Reply::bytes(Vec::new()).status(404))
    };
    tokio::time::sleep(reply.wait).await;
    let location = reply.location.map(|url| format!("location: {url}\r\n")).unwrap_or_default();
    let length =
        if reply.trickles { String::new() } else { format!("content-length: {}\r\n", reply.body.len()) };
    let head = format!("HTTP/1.1 {} X\r\nconnection: close\r\n{location}{length}\r\n", reply.status);
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&reply.body).await;
    while reply.trickles && stream.write_all(b" ").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A key to sign with.
pub(crate) enum SigningKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

pub(crate) static RSA: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()));
pub(crate) static P256: LazyLock<SigningKey> = LazyLock::new(p256);
pub(crate) static ED25519: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::Ed25519(Ed25519KeyPair::generate().unwrap()));

pub(crate) fn p256() -> SigningKey {
    SigningKey::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
}

impl SigningKey {
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// The public half as an issuer publishes it.
    pub(crate) fn public(&self, name: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(key) => {
                // SEQUENCE { INTEGER modulus, INTEGER 65537 } (RFC 8017 §A.1.1); 2048 bits give these offsets.
                let der = key.public_key().as_ref();
                json!({ "kty": "RSA", "kid": name, "use": "sig", "n": encode(&der[9..265]), "e": "AQAB" })
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "kid": name, "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Self::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": name, "x": encode(key.public_key().as_ref()) })
            }
        }
    }

    pub(crate) fn signature(&self, message: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::P256(key) => key.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, name: &str, claims: &Value) -> String {
        self.token_with(&json!({ "alg": self.algorithm(), "typ": "JWT", "kid": name }), claims)
    }

    /// A token with this header, true or not.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = URL_SAFE_NO_PAD.encode(self.signature(&message));
        format!("{message}.{signature}")
    }
}

/// The first two parts of a token.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// These claims with some changed; those that are null are taken out.
pub(crate) fn changed(claims: &Value, changes: &Value) -> Value {
    let mut claims = claims.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims.into()
}
