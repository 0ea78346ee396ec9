//! The calls that pip and twine make, on one connection, and in what the three indexes differ: where their pages
//! are, and who may ask for them.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::wheel::Wheel;
use crate::http::{Connection, Head};
use crate::server::{Account, Product, Server};

/// What pip accepts for a page.
pub(super) const AS_PIP: &str = "application/vnd.pypi.simple.v1+json, \
                                 application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
/// What a browser accepts for a page, and an installer that is older than JSON.
pub(super) const HTML: &str = "text/html";

/// One server's Python index.
#[derive(Clone, Debug)]
pub(super) struct Index {
    address: SocketAddr,
    /// Where uploads go.
    upload: &'static str,
    /// What the paths of pages begin with.
    simple: &'static str,
    /// The `Authorization` field of reads.
    reader: Option<String>,
    /// The same of uploads.
    writer: Option<String>,
    /// Where files may be put without an upload.
    pub(super) packages: Option<PathBuf>,
}

impl Index {
    /// The index of `server`, made if it has none yet.
    pub(super) async fn open(server: &Server) -> anyhow::Result<Self> {
        let index = |upload, simple| Self {
            address: server.address(),
            upload,
            simple,
            reader: None,
            writer: None,
            packages: server.packages(),
        };
        match (server.product(), server.account()) {
            (Product::Larder, Some(account)) => {
                index("/api/v1/demo/main/python/", "/api/v1/demo/main/python/simple/")
                    .open_larder(account)
                    .await
            }
            (Product::Devpi, Some(account)) => {
                index("/root/bench/", "/root/bench/+simple/").open_devpi(account).await
            }
            (Product::Pypiserver, _) => Ok(index("/", "/simple/")),
            (product, _) => bail!("{} has no Python index", product.name()),
        }
    }

    /// The registry is private: every request carries a personal token in Basic credentials, as pip and twine
    /// send it.
    async fn open_larder(mut self, account: &Account) -> anyhow::Result<Self> {
        let mut client = self.connect().await?;
        client.send("GET", self.simple, &[("accept", HTML)], &[]).await?;
        client.answer(&[401]).await?;
        let basic = basic(account.name, &account.password);
        let body = json!({ "name": "bench" }).to_string().into_bytes();
        let fields = [("authorization", basic.as_str()), ("content-type", "application/json")];
        let made = client.call("POST", "/api/v1/me/tokens", &fields, &body, &[201]).await?;
        let token = made["token"].as_str().context("the answer has no token")?;
        self.reader = Some(self::basic("__token__", token));
        self.writer.clone_from(&self.reader);
        Ok(self)
    }

    /// Anybody may read; who uploads sends the token of a login.
    async fn open_devpi(mut self, account: &Account) -> anyhow::Result<Self> {
        let mut client = self.connect().await?;
        let body = json!({ "user": account.name, "password": account.password }).to_string().into_bytes();
        let json_type = ("content-type", "application/json");
        let login = client.call("POST", "/+login", &[json_type], &body, &[200]).await?;
        let token = login["result"]["password"].as_str().context("the answer has no token")?;
        let basic = basic(account.name, token);
        let body = json!({ "type": "stage", "bases": [], "volatile": false }).to_string().into_bytes();
        let fields = [json_type, ("authorization", basic.as_str())];
        client.call("PUT", "/root/bench", &fields, &body, &[200]).await?;
        self.writer = Some(basic);
        Ok(self)
    }

    /// A connection of its own.
    pub(super) async fn connect(&self) -> anyhow::Result<Client> {
        let connection = Connection::open(self.address).await?;
        Ok(Client { index: self.clone(), connection, ended: false, request: Vec::new() })
    }

    /// The path of the page of `project`.
    pub(super) fn page(&self, project: &str) -> String {
        format!("{}{project}/", self.simple)
    }

    /// The path of the list of projects.
    pub(super) fn list(&self) -> &str {
        self.simple
    }
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// One client on one connection, or on one after the other where the server ends them.
#[derive(Debug)]
pub(crate) struct Client {
    index: Index,
    connection: Connection,
    /// The server has ended the connection.
    ended: bool,
    /// The request that is being made, kept for its memory.
    request: Vec<u8>,
}

impl Client {
    /// Reads what lies under `path`, which is `length` bytes long.
    pub(super) async fn get(&mut self, path: &str, accept: &str, length: u64) -> anyhow::Result<()> {
        let head = self.read(path, accept).await?;
        let found = self.connection.discard_any(&head).await?;
        ensure!(found == length, "GET {path} brought {found} bytes and before {length}");
        Ok(())
    }

    /// The same, kept.
    pub(super) async fn collect(&mut self, path: &str, accept: &str) -> anyhow::Result<Vec<u8>> {
        let head = self.read(path, accept).await?;
        self.connection.collect_any(&head).await
    }

    async fn read(&mut self, path: &str, accept: &str) -> anyhow::Result<Head> {
        let reader = self.index.reader.clone();
        let mut fields = vec![("accept", accept)];
        fields.extend(reader.as_deref().map(|reader| ("authorization", reader)));
        self.send("GET", path, &fields, &[]).await?;
        self.head(&[200]).await
    }

    /// Uploads a wheel.
    pub(super) async fn upload(&mut self, wheel: &Wheel) -> anyhow::Result<()> {
        let (writer, path) = (self.index.writer.clone(), self.index.upload);
        let mut fields = vec![("content-type", Wheel::FORM_TYPE)];
        fields.extend(writer.as_deref().map(|writer| ("authorization", writer)));
        self.send("POST", path, &fields, &wheel.form()).await?;
        self.answer(&[200]).await
    }

    /// Exchanges JSON.
    async fn call(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
        expected: &[u16],
    ) -> anyhow::Result<Value> {
        self.send(method, path, fields, body).await?;
        let head = self.head(expected).await?;
        let body = self.connection.collect_any(&head).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer to {method} {path} is not JSON"))
    }

    async fn send(
        &mut self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &[u8],
    ) -> anyhow::Result<()> {
        if std::mem::take(&mut self.ended) {
            self.connection = Connection::open(self.index.address).await?;
        }
        let host = self.index.address.to_string();
        let length = body.len().to_string();
        self.request.clear();
        self.request.extend([method, " ", path, " HTTP/1.1\r\nhost: ", &host, "\r\n"].concat().bytes());
        for (name, value) in fields {
            self.request.extend([name, ": ", value, "\r\n"].concat().bytes());
        }
        if method != "GET" {
            self.request.extend(["content-length: ", &length, "\r\n"].concat().bytes());
        }
        self.request.extend(b"\r\n");
        self.request.extend(body);
        self.connection.send(&self.request).await
    }

    /// Reads an answer whose body is of no interest.
    async fn answer(&mut self, expected: &[u16]) -> anyhow::Result<()> {
        let head = self.head(expected).await?;
        self.connection.discard_any(&head).await?;
        Ok(())
    }

    async fn head(&mut self, expected: &[u16]) -> anyhow::Result<Head> {
        let head = self.connection.any_head().await?;
        self.ended = head.close;
        if expected.contains(&head.status) {
            return Ok(head);
        }
        let body = self.connection.collect_any(&head).await.unwrap_or_default();
        let request = String::from_utf8_lossy(&self.request);
        bail!(
            "unexpected answer {} to {}: {}",
            head.status,
            request.lines().next().unwrap_or_default(),
            String::from_utf8_lossy(&body[..body.len().min(1000)])
        )
    }
}
