//! A client whose server is never killed: no answer, and any answer that blames the server, fails the test.

use testkit::{Server, sha256};

use crate::content::{Content, Manifest};
use crate::wire::{Answer, Request, Wire, plain};

/// One client with one connection.
#[derive(Debug)]
pub(crate) struct Client(Wire);

impl Client {
    pub(crate) fn new(server: &Server, token: &str) -> Self {
        Self(Wire::new(&server.host(), token))
    }

    /// A token for any number of clients of one server.
    pub(crate) fn token(server: &Server) -> String {
        server.api().token_create("race")["token"].as_str().expect("a token is text").to_owned()
    }

    #[track_caller]
    pub(crate) fn send(&mut self, request: Request<'_>) -> Answer {
        let answer = self.0.send(request).unwrap_or_else(|lost| panic!("{lost}"));
        assert!(answer.status < 500, "the server failed: {answer}");
        answer
    }

    #[track_caller]
    pub(crate) fn plain(&mut self, method: &str, target: &str, expected: &[u16]) -> Answer {
        self.send(plain(method, target)).expect(expected)
    }

    /// Pushes a blob in one request or in three.
    #[track_caller]
    pub(crate) fn blob_push(&mut self, repository: &str, content: &Content, in_parts: bool) {
        let uploads = format!("/v2/{repository}/blobs/uploads/");
        let digest = &content.digest;
        if in_parts {
            let location = self.plain("POST", &uploads, &[202]).location();
            let (first, second) = content.bytes.split_at(content.bytes.len() / 2);
            self.send(Request { body: first, ..plain("PATCH", &location) }).expect(&[202]);
            let target = format!("{location}?digest={digest}");
            self.send(Request { body: second, ..plain("PUT", &target) }).expect(&[201]);
        } else {
            let target = format!("{uploads}?digest={digest}");
            self.send(Request { body: &content.bytes, ..plain("POST", &target) }).expect(&[201]);
        }
    }

    /// Puts a manifest under a reference and further tags. `false` when the server says that something that it
    /// names is not there.
    #[track_caller]
    pub(crate) fn manifest_put(&mut self, repository: &str, reference: &str, manifest: &Manifest) -> bool {
        let target = format!("/v2/{repository}/manifests/{reference}");
        let headers = [("content-type", manifest.media_type)];
        let request = Request { method: "PUT", target: &target, headers: &headers, body: &manifest.body };
        let answer = self.send(request);
        if answer.refuses_with("MANIFEST_BLOB_UNKNOWN") {
            return false;
        }
        answer.expect(&[201]);
        true
    }

    /// The bytes of a blob if it is there, checked against the digest.
    #[track_caller]
    pub(crate) fn has_blob(&mut self, repository: &str, digest: &str) -> bool {
        self.has(&format!("/v2/{repository}/blobs/{digest}"), digest)
    }

    /// The same for a manifest.
    #[track_caller]
    pub(crate) fn has_manifest(&mut self, repository: &str, digest: &str) -> bool {
        self.has(&format!("/v2/{repository}/manifests/{digest}"), digest)
    }

    #[track_caller]
    fn has(&mut self, target: &str, digest: &str) -> bool {
        let answer = self.plain("GET", target, &[200, 404]);
        if answer.status == 200 {
            assert_eq!(sha256(&answer.body), digest, "wrong content: {}", answer.body.len());
        }
        answer.status == 200
    }

    /// The digest of the manifest under a tag.
    #[track_caller]
    pub(crate) fn resolve(&mut self, repository: &str, tag: &str) -> Option<String> {
        let answer = self.plain("GET", &format!("/v2/{repository}/manifests/{tag}"), &[200, 404]);
        (answer.status == 200).then(|| sha256(&answer.body))
    }
}
