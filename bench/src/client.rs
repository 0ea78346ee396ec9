//! The calls of the OCI distribution-spec that the workloads make, on one connection. Every answer is checked:
//! an unexpected status ends the benchmark, because a wrong answer is not a fast answer.

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::content::{Blob, MANIFEST_TYPE};
use crate::http::{Connection, Head};
use crate::server::{Account, Server};

/// The repository that every workload uses.
pub(crate) const REPOSITORY: &str = "demo/main/bench";
/// Blobs up to this size are sent together with the head of their request, in one system call.
const JOINED_BYTES: u64 = 128 * 1024;
/// What a container engine accepts for a manifest.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                      application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json";

/// Where requests go and who sends them.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    address: SocketAddr,
    /// The `Authorization` field, when the server asks for one.
    authorization: Option<String>,
}

impl Target {
    /// `server`, with a fresh token when it asks for one. A server with an account is checked to refuse those
    /// who have none, so that no result is ever measured with its doors open.
    pub(crate) async fn new(server: &Server) -> anyhow::Result<Self> {
        let anonymous = Self { address: server.address(), authorization: None };
        let Some(account) = server.account() else { return Ok(anonymous) };
        let mut client = anonymous.connect().await?;
        client.start("GET", "/v2/");
        let head = client.exchange(&[401]).await?;
        client.start("GET", &format!("/v2/{REPOSITORY}/tags/list"));
        client.exchange(&[401]).await?;
        let challenge = head.challenge.context("the server's 401 has no WWW-Authenticate")?;
        let token = client.token(&challenge, account).await?;
        Ok(Self { authorization: Some(format!("Bearer {token}")), ..anonymous })
    }

    /// The server at `address`, with this `Authorization` field in every request.
    pub(crate) fn at(address: SocketAddr, authorization: String) -> Self {
        Self { address, authorization: Some(authorization) }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> anyhow::Result<Client> {
        Ok(Client {
            target: self.clone(),
            connection: Connection::open(self.address).await?,
            request: String::new(),
        })
    }
}

/// One client on one connection.
#[derive(Debug)]
pub(crate) struct Client {
    target: Target,
    connection: Connection,
    /// The head of the request that is being made, kept for its memory.
    request: String,
}

impl Client {
    /// Reads the manifest under `tag`, which has `length` bytes.
    pub(crate) async fn manifest_get(&mut self, tag: &str, length: u64) -> anyhow::Result<()> {
        self.start_at("GET", format_args!("/v2/{REPOSITORY}/manifests/{tag}"));
        self.field("accept", ACCEPT);
        self.finish_head();
        self.send_head().await?;
        let head = self.connection.head().await?;
        if head.status != 200 || head.length != length {
            return self.unexpected(&head).await;
        }
        self.connection.discard(length).await
    }

    /// Asks whether `digest` is there, which has `length` bytes.
    pub(crate) async fn blob_head(&mut self, digest: &str, length: u64) -> anyhow::Result<()> {
        let head = self.blob_look(digest).await?;
        ensure!(
            head.status == 200 && head.length == length,
            "HEAD of blob {digest} was answered {} with content-length {}; expected 200 and {length}",
            head.status,
            head.length
        );
        Ok(())
    }

    async fn blob_look(&mut self, digest: &str) -> anyhow::Result<Head> {
        self.start_at("HEAD", format_args!("/v2/{REPOSITORY}/blobs/{digest}"));
        self.finish_head();
        self.send_head().await?;
        self.connection.head().await
    }

    /// Reads a blob of `length` bytes and drops it.
    pub(crate) async fn blob_pull(&mut self, digest: &str, length: u64) -> anyhow::Result<()> {
        self.blob_get(digest, length).await?;
        self.connection.discard(length).await
    }

    /// Reads a blob of `length` bytes and compares its digest.
    pub(crate) async fn blob_verify(&mut self, digest: &str, length: u64) -> anyhow::Result<()> {
        self.blob_get(digest, length).await?;
        let mut hasher = Sha256::new();
        self.connection.pieces(length, |piece| hasher.update(piece)).await?;
        let found = format!("sha256:{}", hex::encode(hasher.finalize()));
        ensure!(found == digest, "the server answered for blob {digest} with the bytes of {found}");
        Ok(())
    }

    async fn blob_get(&mut self, digest: &str, length: u64) -> anyhow::Result<()> {
        self.start_at("GET", format_args!("/v2/{REPOSITORY}/blobs/{digest}"));
        self.finish_head();
        self.send_head().await?;
        let head = self.connection.head().await?;
        if head.status != 200 || head.length != length {
            return self.unexpected(&head).await;
        }
        Ok(())
    }

    /// Reads one page of a list and gives it with its `Link` field.
    pub(crate) async fn page(&mut self, path: &str) -> anyhow::Result<(Vec<u8>, Option<String>)> {
        self.start("GET", path);
        self.finish_head();
        self.send_head().await?;
        let head = self.connection.head().await?;
        if head.status != 200 {
            return self.unexpected(&head).await;
        }
        Ok((self.connection.collect(head.length).await?, head.link))
    }

    /// Asks for a blob that should not be there, as clients do before they push it.
    pub(crate) async fn blob_miss(&mut self, digest: &str) -> anyhow::Result<()> {
        let head = self.blob_look(digest).await?;
        ensure!(
            head.status == 404,
            "HEAD of blob {digest}, which nobody pushed, was answered {}; expected 404",
            head.status
        );
        Ok(())
    }

    /// Pushes a blob: `POST`, then one `PUT` with the bytes.
    pub(crate) async fn blob_push(&mut self, blob: &Blob) -> anyhow::Result<()> {
        self.start_at("POST", format_args!("/v2/{REPOSITORY}/blobs/uploads/"));
        self.field("content-length", "0");
        let head = self.exchange(&[202]).await?;
        let location = head.location.context("the answer to POST of an upload has no Location")?;
        let path = path_of(&location);
        let separator = if path.contains('?') { '&' } else { '?' };
        self.start_at("PUT", format_args!("{path}{separator}digest={}", blob.digest()));
        self.field("content-type", "application/octet-stream");
        self.length(blob.size());
        self.finish_head();
        if blob.size() <= JOINED_BYTES {
            let mut joined = self.request.as_bytes().to_vec();
            blob.pieces().for_each(|piece| joined.extend_from_slice(piece));
            self.connection.send(&joined).await?;
        } else {
            self.send_head().await?;
            for piece in blob.pieces() {
                if let Err(error) = self.connection.send(piece).await {
                    // A server that refuses a body answers and closes; its answer says more than the broken pipe.
                    let Ok(head) = self.connection.head().await else { return Err(error) };
                    return self.unexpected(&head).await;
                }
            }
        }
        self.answer(&[201]).await?;
        Ok(())
    }

    /// Pushes `manifest` under `tag`.
    pub(crate) async fn manifest_put(&mut self, tag: &str, manifest: &[u8]) -> anyhow::Result<()> {
        self.start_at("PUT", format_args!("/v2/{REPOSITORY}/manifests/{tag}"));
        self.field("content-type", MANIFEST_TYPE);
        self.length(manifest.len() as u64);
        self.finish_head();
        let mut joined = self.request.as_bytes().to_vec();
        joined.extend_from_slice(manifest);
        self.connection.send(&joined).await?;
        self.answer(&[201]).await?;
        Ok(())
    }

    /// Asks the token service that `challenge` names for the right to pull and push.
    async fn token(&mut self, challenge: &str, account: &Account) -> anyhow::Result<String> {
        let parameter = |name| challenge_parameter(challenge, name);
        let realm = parameter("realm").with_context(|| format!("no realm in the challenge `{challenge}`"))?;
        let service = parameter("service").unwrap_or_default();
        let path = format!("{}?service={service}&scope=repository:{REPOSITORY}:pull,push", path_of(realm));
        let basic = STANDARD.encode(format!("{}:{}", account.name, account.password));
        self.start("GET", &path);
        self.field("authorization", &format!("Basic {basic}"));
        self.finish_head();
        self.send_head().await?;
        let head = self.connection.head().await?;
        if head.status != 200 {
            return self.unexpected(&head).await;
        }
        let body = self.connection.collect(head.length).await?;
        let answer: serde_json::Value =
            serde_json::from_slice(&body).context("the token service's answer is not JSON")?;
        let token = answer["token"].as_str().or(answer["access_token"].as_str());
        Ok(token.context("the token service's answer has no token")?.to_owned())
    }

    fn start(&mut self, method: &str, path: &str) {
        self.start_at(method, format_args!("{path}"));
    }

    fn start_at(&mut self, method: &str, path: std::fmt::Arguments<'_>) {
        self.request.clear();
        let host = self.target.address;
        write!(self.request, "{method} {path} HTTP/1.1\r\nhost: {host}\r\n").expect(INFALLIBLE);
        if let Some(authorization) = &self.target.authorization {
            write!(self.request, "authorization: {authorization}\r\n").expect(INFALLIBLE);
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        write!(self.request, "{name}: {value}\r\n").expect(INFALLIBLE);
    }

    fn length(&mut self, bytes: u64) {
        write!(self.request, "content-length: {bytes}\r\n").expect(INFALLIBLE);
    }

    fn finish_head(&mut self) {
        self.request.push_str("\r\n");
    }

    async fn send_head(&mut self) -> anyhow::Result<()> {
        self.connection.send(self.request.as_bytes()).await
    }

    /// Sends a request without a body and reads an answer whose body is of no interest.
    async fn exchange(&mut self, expected: &[u16]) -> anyhow::Result<Head> {
        self.finish_head();
        self.send_head().await?;
        self.answer(expected).await
    }

    async fn answer(&mut self, expected: &[u16]) -> anyhow::Result<Head> {
        let head = self.connection.head().await?;
        if !expected.contains(&head.status) {
            return self.unexpected(&head).await;
        }
        self.connection.discard(head.length).await?;
        Ok(head)
    }

    /// Ends with what the server says about an answer that was not expected.
    async fn unexpected<T>(&mut self, head: &Head) -> anyhow::Result<T> {
        let body = self.connection.collect(head.length.min(1024)).await.unwrap_or_default();
        let request = self.request.lines().next().unwrap_or("a push");
        bail!(
            "unexpected answer {} with content-length {} to {request}: {}",
            head.status,
            head.length,
            String::from_utf8_lossy(&body)
        )
    }
}

const INFALLIBLE: &str = "writing to a string cannot fail";

/// The path of a URL or of what is a path already, with its query.
fn path_of(location: &str) -> &str {
    if location.starts_with('/') {
        return location;
    }
    let (_, rest) = location.split_once("://").unwrap_or(("", location));
    rest.find('/').map_or("/", |start| &rest[start..])
}

/// A parameter of a challenge (RFC 9110 §11.2), without escapes in it.
fn challenge_parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_may_be_a_url_or_a_path() {
        assert_eq!(path_of("http://127.0.0.1:5000/v2/a?b=c"), "/v2/a?b=c");
        assert_eq!(path_of("/v2/a?b=http://x/"), "/v2/a?b=http://x/");
        assert_eq!(path_of("http://127.0.0.1:5000"), "/");
    }

    #[test]
    fn the_parameters_of_a_challenge_are_found() {
        let challenge = r#"Bearer realm="http://localhost:5000/token",service="localhost:5000""#;
        assert_eq!(challenge_parameter(challenge, "realm"), Some("http://localhost:5000/token"));
        assert_eq!(challenge_parameter(challenge, "service"), Some("localhost:5000"));
        assert_eq!(challenge_parameter(challenge, "scope"), None);
    }
}
