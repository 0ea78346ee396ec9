//! The half of a registry that takes content.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use oci::{Digest, RepositoryName, Tag};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body as HttpBody, StatusCode, Url};

use super::{DIGEST, HEAD, Remote, header};
use crate::error::Error;
use crate::manifest::Body;
use crate::verify::{Blob, Verdict, verified};

/// An upload in which nothing moves for this long is given up. The registry may need a while at the end to
/// make a large blob durable.
const STALL: Duration = Duration::from_mins(5);

/// What became of an upload that was asked for.
pub(crate) enum Start {
    /// The registry has the content already, in a repository that we may read.
    Mounted,
    /// It wants the bytes, there.
    Session(Url),
}

/// The scope to write one repository.
pub(crate) fn push(repository: &RepositoryName) -> String {
    format!("repository:{repository}:pull,push")
}

impl Remote {
    /// Whether a repository has a blob.
    pub(crate) async fn blob_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, Error> {
        let url = self.url(&format!("/v2/{repository}/blobs/{digest}"));
        let ask = |http: &reqwest::Client| http.request(HEAD, url.clone());
        let response = self.client.send(&push(repository), &[StatusCode::NOT_FOUND], ask).await?;
        Ok(response.status() != StatusCode::NOT_FOUND)
    }

    /// Begins an upload, or does without one where `from` has the blob.
    pub(crate) async fn upload_start(
        &self,
        repository: &RepositoryName,
        mount: Option<(&Digest, &RepositoryName)>,
    ) -> Result<Start, Error> {
        let path = format!("/v2/{repository}/blobs/uploads/");
        let (path, scope) = match mount {
            None => (path, push(repository)),
            Some((digest, from)) => (
                format!("{path}?mount={digest}&from={from}"),
                format!("{} {}", push(repository), super::pull(from.as_str())),
            ),
        };
        let url = self.url(&path);
        let ask = |http: &reqwest::Client| http.post(url.clone()).header(CONTENT_LENGTH, 0);
        let response = self.client.send(&scope, &[], ask).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(Start::Mounted);
        }
        let location = header(response.headers(), LOCATION.as_str());
        match location.and_then(|location| response.url().join(&location).ok()) {
            Some(session) => Ok(Start::Session(session)),
            None => Err(Error::Other(format!("{} begins an upload and does not say where", self.host()))),
        }
    }

    /// Sends the whole content of an upload, verifying it on the way, and counts the bytes in `moved`. The
    /// last of wrong content is never sent, so nothing can come of it.
    pub(crate) async fn upload_finish(
        &self,
        repository: &RepositoryName,
        session: &Url,
        digest: &Digest,
        blob: Blob,
        moved: &Arc<AtomicU64>,
    ) -> Result<(), Error> {
        let (length, verdict) = (blob.length, Verdict::default());
        let pieces = verified(blob, digest.clone(), verdict.clone());
        let mut url = session.clone();
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let own = Arc::new(AtomicU64::new(0));
        let (counter, total) = (Arc::clone(&own), Arc::clone(moved));
        let pieces = pieces.inspect(move |piece| {
            if let Ok(piece) = piece {
                counter.fetch_add(piece.len() as u64, Ordering::Relaxed);
                total.fetch_add(piece.len() as u64, Ordering::Relaxed);
            }
        });
        let request = self
            .client
            .http()
            .put(url)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, length)
            .body(HttpBody::wrap_stream(pieces));
        let scope = push(repository);
        let sent = tokio::select! {
            sent = self.client.send_once(&scope, request) => sent.map(|_| ()),
            () = stalled(&own) => Err(Error::temporary(format!(
                "{} took nothing more of blob {digest} for {} seconds", self.host(), STALL.as_secs()
            ))),
        };
        // What the source did wrong explains the broken request better than the request itself.
        sent.map_err(|error| verdict.take().unwrap_or(error))
    }

    /// Tells the registry that the rest of an upload will not come. It would find out by itself, later.
    pub(crate) async fn upload_cancel(&self, repository: &RepositoryName, session: &Url) {
        let _ = self.client.send_once(&push(repository), self.client.http().delete(session.clone())).await;
    }

    /// Stores a manifest whose parts are all there, under its digest and under `tag`.
    pub(crate) async fn manifest_put(
        &self,
        repository: &RepositoryName,
        body: &Body,
        tag: Option<&Tag>,
    ) -> Result<(), Error> {
        let base = format!("/v2/{repository}/manifests");
        let path = match tag {
            None => format!("{base}/{}", body.digest),
            Some(tag) if body.digest.algorithm() == oci::Algorithm::Sha256 => format!("{base}/{tag}"),
            // A tag alone would be given the SHA-256 digest.
            Some(tag) => format!("{base}/{}?tag={tag}", body.digest),
        };
        let url = self.url(&path);
        let ask = |http: &reqwest::Client| {
            http.put(url.clone()).header(CONTENT_TYPE, body.kind.as_str()).body(body.bytes.clone())
        };
        let response = self.client.send(&push(repository), &[], ask).await?;
        match header(response.headers(), DIGEST) {
            Some(stored) if stored != body.digest.as_str() => Err(Error::Corrupt(format!(
                "{} stored the manifest as {stored} and not as {}; do not rely on it",
                self.host(),
                body.digest
            ))),
            _ => Ok(()),
        }
    }

    /// Whether we may push to `repository`, before anything is read.
    pub(crate) async fn may_push(&self, repository: &RepositoryName) -> Result<(), Error> {
        match self.upload_start(repository, None).await {
            Ok(Start::Session(session)) => {
                self.upload_cancel(repository, &session).await;
                Ok(())
            }
            Ok(Start::Mounted) => Ok(()),
            Err(Error::Refused(message) | Error::Missing(message)) => {
                let (organization, registry) = (repository.organization(), repository.registry());
                Err(Error::Refused(format!(
                    "cannot push to {organization}/{registry}: {message}; the registry has to exist (larder admin \
                     create-registry {organization} {registry}) and the user needs the role writer in it"
                )))
            }
            Err(error) => Err(error),
        }
    }
}

/// Ends when `counter` has not moved for [`STALL`].
async fn stalled(counter: &AtomicU64) {
    let mut before = counter.load(Ordering::Relaxed);
    loop {
        tokio::time::sleep(STALL).await;
        let now = counter.load(Ordering::Relaxed);
        if now == before {
            return;
        }
        before = now;
    }
}
