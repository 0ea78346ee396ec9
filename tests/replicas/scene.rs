//! What the tests start from: replicas with a token, and callers of each of them and of their balancer.

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use testkit::{Options, Replicas, sha256};

use crate::content::{Content, Manifest};
use crate::wire::{Answer, Lost, Request, Wire, plain};

/// Replicas of the program, and a token of their administrator: unlike a password it costs nothing to check.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) replicas: Replicas,
    pub(crate) token: String,
}

/// The program, quiet.
pub(crate) fn options() -> Options {
    Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_LOG__LEVEL", "warn")
}

impl Scene {
    /// Three replicas over a database and a bucket of their own.
    pub(crate) fn new() -> Self {
        Self::with(3, options())
    }

    pub(crate) fn with(count: usize, options: Options) -> Self {
        let replicas = Replicas::start(count, options);
        let token =
            replicas.api().token_create("test")["token"].as_str().expect("a token is text").to_owned();
        Self { replicas, token }
    }

    /// A caller of one replica.
    pub(crate) fn wire(&self, replica: usize) -> Wire {
        Wire::new(&self.replicas.replica(replica).host(), &self.token)
    }

    /// A caller of the balancer.
    pub(crate) fn balanced(&self) -> Wire {
        Wire::new(&self.replicas.host(), &self.token)
    }

    /// The addresses of all replicas, `localhost:PORT`.
    pub(crate) fn hosts(&self) -> Vec<String> {
        (0..self.replicas.count()).map(|number| self.replicas.replica(number).host()).collect()
    }
}

/// What a test asks of a server that is well: each method panics when the server does something else.
impl Wire {
    /// Sends a request to a server that has to answer.
    #[track_caller]
    pub(crate) fn must(&mut self, request: Request<'_>, expected: &[u16]) -> Answer {
        self.send(request).unwrap_or_else(|lost| panic!("{lost}")).expect(expected)
    }

    /// The same without headers and body.
    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, target: &str, expected: &[u16]) -> Answer {
        self.must(plain(method, target), expected)
    }

    /// Pushes a blob in one request.
    #[track_caller]
    pub(crate) fn blob_push(&mut self, repository: &str, content: &Content) {
        self.try_blob_push(repository, content).unwrap_or_else(|lost| panic!("{lost}")).expect(&[201]);
    }

    /// The same when the server may be unwell.
    pub(crate) fn try_blob_push(&mut self, repository: &str, content: &Content) -> Result<Answer, Lost> {
        let target = format!("/v2/{repository}/blobs/uploads/?digest={}", content.digest);
        self.send(Request { body: &content.bytes, ..plain("POST", &target) })
    }

    /// Puts a manifest under a tag or its digest.
    pub(crate) fn try_manifest_put(
        &mut self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<Answer, Lost> {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let headers = [("content-type", manifest.media_type)];
        self.send(Request { method: "PUT", target: &target, headers: &headers, body: &manifest.body })
    }

    /// The same when the server is well.
    #[track_caller]
    pub(crate) fn manifest_put(&mut self, repository: &str, reference: &str, manifest: &Manifest) -> Answer {
        self.try_manifest_put(repository, reference, manifest)
            .unwrap_or_else(|lost| panic!("{lost}"))
            .expect(&[201])
    }

    /// Pulls a blob that has to be there, from the server itself.
    #[track_caller]
    pub(crate) fn blob_has(&mut self, repository: &str, digest: &str) {
        let target = format!("/v2/{repository}/blobs/{digest}");
        let answer =
            self.must(Request { headers: &[("larder-redirect", "never")], ..plain("GET", &target) }, &[200]);
        assert_eq!(sha256(&answer.body), digest, "wrong content under its digest");
    }

    /// Pulls a manifest that has to be there.
    #[track_caller]
    pub(crate) fn manifest_has(&mut self, repository: &str, reference: &str, digest: &str) {
        let answer = self.ask("GET", &format!("/v2/{repository}/manifests/{reference}"), &[200]);
        assert_eq!(sha256(&answer.body), digest, "{reference} is another manifest");
    }

    /// The digest under a tag, if there is one.
    #[track_caller]
    pub(crate) fn resolve(&mut self, repository: &str, tag: &str) -> Option<String> {
        let answer = self.ask("GET", &format!("/v2/{repository}/manifests/{tag}"), &[200, 404]);
        (answer.status == 200).then(|| sha256(&answer.body))
    }
}

/// An HTTP client that follows nothing, keeps no more than it must, and gives up after `limit`.
pub(crate) fn client(limit: Duration) -> Client {
    Client::builder()
        .no_proxy()
        .timeout(limit)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client with a time limit can be built")
}

/// Sends a request; the answer's status, the header fields and the whole body, or why there is none.
pub(crate) fn exchange(request: RequestBuilder) -> Result<Exchanged, String> {
    let answer = request.send().map_err(|error| error.to_string())?;
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.bytes().map_err(|error| format!("{status} and then: {error}"))?;
    Ok(Exchanged { status, headers, body: body.to_vec() })
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Exchanged {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
