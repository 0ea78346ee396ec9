//! What a registry is asked for (OCI distribution-spec, "Pull", "Push" and "Content Discovery").

mod push;

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use oci::{AnyDigest, Digest, MAX_MANIFEST_BYTES, ManifestKind, Reference};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LINK, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

pub(crate) use self::push::{Start, push as push_scope};
use crate::client::{Client, causes, read_bounded};
use crate::error::Error;
use crate::manifest::Body;
use crate::retry::retry;
use crate::verify::{Blob, Pieces};

/// A page of tags or repositories; some registries send everything at once.
const LIST_BYTES: usize = 64 * 1024 * 1024;
const PAGE: u32 = 1000;
/// A chain of pages that is longer than this leads in a circle.
const PAGES: usize = 100_000;
/// A blob of which nothing comes for this long is given up, and asked for again.
const STALL: Duration = Duration::from_mins(1);
/// How often one blob may be taken up again behind what has come already.
const RESUMES: u32 = 5;
const DIGEST: &str = "docker-content-digest";

/// A registry over HTTP.
#[derive(Debug)]
pub(crate) struct Remote {
    client: Client,
    referrers_api: AtomicU8,
}

const UNKNOWN: u8 = 0;
const SUPPORTED: u8 = 1;
const ABSENT: u8 = 2;

/// The scope to read one repository.
fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

impl Remote {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, referrers_api: AtomicU8::new(UNKNOWN) }
    }

    pub(crate) fn host(&self) -> String {
        self.client.site().host()
    }

    fn url(&self, path: &str) -> Url {
        self.client.site().at(path)
    }

    /// Whether it is a registry at all, and knows us.
    pub(crate) async fn check(&self) -> Result<(), Error> {
        let url = self.url("/v2/");
        let answer = self.client.send("", &[], |http| http.get(url.clone())).await;
        let response = match answer {
            Err(Error::Missing(_)) => return Err(self.not_a_registry()),
            other => other?,
        };
        let is_page = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        if is_page { Err(self.not_a_registry()) } else { Ok(()) }
    }

    fn not_a_registry(&self) -> Error {
        Error::Other(format!(
            "{} does not answer as a registry does: there is nothing at {}; check the host and the port",
            self.host(),
            self.url("/v2/")
        ))
    }

    /// Every repository that it lists (distribution, "Catalog").
    pub(crate) async fn repositories(&self) -> Result<Vec<String>, Error> {
        let path = format!("/v2/_catalog?n={PAGE}");
        let listed = self.pages("registry:catalog:*", &path, |value| strings(&value["repositories"])).await;
        listed.map_err(|error| match error {
            Error::Missing(message) | Error::Refused(message) | Error::Other(message) => {
                Error::Other(format!(
                    "{} does not list its repositories ({message}); name them with --repository",
                    self.host()
                ))
            }
            other => other,
        })
    }

    /// The tags of a repository.
    pub(crate) async fn tags(&self, repository: &str) -> Result<Vec<String>, Error> {
        let path = format!("/v2/{repository}/tags/list?n={PAGE}");
        self.pages(&pull(repository), &path, |value| strings(&value["tags"])).await
    }

    /// A manifest as it is stored, verified.
    pub(crate) async fn manifest(&self, repository: &str, reference: &Reference) -> Result<Body, Error> {
        let url = self.url(&format!("/v2/{repository}/manifests/{reference}"));
        let scope = pull(repository);
        retry(|| async {
            let ask = |http: &reqwest::Client| http.get(url.clone()).header(ACCEPT, accepted());
            let response = self.client.send(&scope, &[], ask).await?;
            let headers = response.headers().clone();
            let bytes = read_bounded(response, MAX_MANIFEST_BYTES).await?;
            let promised = match reference {
                Reference::Digest(digest) => Some(digest.clone()),
                Reference::Tag(_) => header(&headers, DIGEST).and_then(|text| text.parse().ok()),
            };
            Body::verified(promised, header(&headers, CONTENT_TYPE.as_str()), bytes)
        })
        .await
    }

    /// What a tag points at, or whether a manifest is there. `None` is "no".
    pub(crate) async fn manifest_head(
        &self,
        repository: &str,
        reference: &Reference,
        scope: Option<&str>,
    ) -> Result<Option<Head>, Error> {
        let url = self.url(&format!("/v2/{repository}/manifests/{reference}"));
        let own = pull(repository);
        let ask = |http: &reqwest::Client| http.head(url.clone()).header(ACCEPT, accepted());
        let response = self.client.send(scope.unwrap_or(&own), &[StatusCode::NOT_FOUND], ask).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let digest = header(response.headers(), DIGEST).and_then(|text| text.parse().ok());
        let kind = header(response.headers(), CONTENT_TYPE.as_str())
            .and_then(|text| oci::media_type::essence(&text).parse().ok());
        Ok(Some(Head { digest, kind }))
    }

    /// A blob, read as it comes and taken up again where the connection broke.
    pub(crate) async fn blob(
        self: &std::sync::Arc<Self>,
        repository: &str,
        digest: &Digest,
    ) -> Result<Blob, Error> {
        let response = self.blob_request(repository, digest, 0).await?;
        let Some(length) = content_length(&response) else {
            let host = self.host();
            return Err(Error::Other(format!("{host} does not say how long blob {digest} is")));
        };
        let state = Download {
            remote: std::sync::Arc::clone(self),
            repository: repository.to_owned(),
            digest: digest.clone(),
            response,
            at: 0,
            length,
            resumes: 0,
        };
        let pieces: Pieces = stream::unfold(Some(state), |state| async move {
            let mut state = state?;
            match state.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(state))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed();
        Ok(Blob { length, pieces })
    }

    async fn blob_request(&self, repository: &str, digest: &Digest, offset: u64) -> Result<Response, Error> {
        let url = self.url(&format!("/v2/{repository}/blobs/{digest}"));
        let ask = |http: &reqwest::Client| match offset {
            0 => http.get(url.clone()),
            offset => http.get(url.clone()).header(RANGE, format!("bytes={offset}-")),
        };
        let answer = self.client.send(&pull(repository), &[], ask).await;
        answer.map_err(|error| match error {
            Error::Missing(_) => Error::Missing(format!("{} has no blob {digest}", self.host())),
            other => other,
        })
    }

    /// What refers to a manifest; `None` when the registry has no such listing and keeps the fallback tag.
    pub(crate) async fn referrers(
        &self,
        repository: &str,
        digest: &Digest,
    ) -> Result<Option<Vec<AnyDigest>>, Error> {
        if self.referrers_api.load(Ordering::Relaxed) == ABSENT {
            return Ok(None);
        }
        let path = format!("/v2/{repository}/referrers/{digest}");
        let listed = self
            .pages(&pull(repository), &path, |value| {
                let entries = value["manifests"].as_array()?;
                entries.iter().map(|entry| entry["digest"].as_str()?.parse().ok()).collect()
            })
            .await;
        match listed {
            Ok(found) => {
                self.referrers_api.store(SUPPORTED, Ordering::Relaxed);
                Ok(Some(found))
            }
            // Answers that are no such listing: the specification says 404, some registries say otherwise.
            Err(Error::Missing(_) | Error::Other(_))
                if self.referrers_api.load(Ordering::Relaxed) == UNKNOWN =>
            {
                self.referrers_api.store(ABSENT, Ordering::Relaxed);
                Ok(None)
            }
            Err(Error::Missing(_)) => Ok(Some(Vec::new())),
            Err(error) => Err(error),
        }
    }

    /// Whether it is known that there is no listing of referrers.
    pub(crate) fn lacks_referrers(&self) -> bool {
        self.referrers_api.load(Ordering::Relaxed) == ABSENT
    }

    /// All pages of a listing. `read` returns `None` for an answer that has another shape.
    async fn pages<T>(
        &self,
        scope: &str,
        path: &str,
        read: impl Fn(&serde_json::Value) -> Option<Vec<T>>,
    ) -> Result<Vec<T>, Error> {
        let mut url = self.url(path);
        let mut all = Vec::new();
        for _ in 0..PAGES {
            let (value, next) = retry(|| async {
                let response = self.client.send(scope, &[], |http| http.get(url.clone())).await?;
                let next = header(response.headers(), LINK.as_str()).and_then(|link| next_link(&link));
                let body = read_bounded(response, LIST_BYTES).await?;
                Ok((serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default(), next))
            })
            .await?;
            let Some(page) = read(&value) else {
                let host = self.host();
                return Err(Error::Other(format!(
                    "{host} answers something else than a list for {}",
                    url.path()
                )));
            };
            all.extend(page);
            let Some(next) = next else { return Ok(all) };
            let next = url.join(&next).ok().filter(|next| self.client.site().owns(next) && *next != url);
            let Some(next) = next else {
                let host = self.host();
                return Err(Error::Other(format!(
                    "{host} continues its list at an address that cannot be used"
                )));
            };
            url = next;
        }
        Err(Error::Other(format!("{} never ends its list at {}", self.host(), url.path())))
    }
}

/// What a `HEAD` of a manifest tells.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) digest: Option<Digest>,
    pub(crate) kind: Option<ManifestKind>,
}

struct Download {
    remote: std::sync::Arc<Remote>,
    repository: String,
    digest: Digest,
    response: Response,
    at: u64,
    length: u64,
    resumes: u32,
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let why = match tokio::time::timeout(STALL, self.response.chunk()).await {
                Ok(Ok(Some(piece))) => {
                    self.at += piece.len() as u64;
                    return Ok(Some(piece));
                }
                Ok(Ok(None)) if self.at >= self.length => return Ok(None),
                Ok(Ok(None)) => "it ended too early".to_owned(),
                Ok(Err(error)) => causes(&error),
                Err(_) => format!("nothing came for {} seconds", STALL.as_secs()),
            };
            self.resume(&why).await?;
        }
    }

    /// Asks for the rest. A registry that sends everything again instead is taken up from the start by whoever
    /// wants the blob.
    async fn resume(&mut self, why: &str) -> Result<(), Error> {
        let broken = format!(
            "blob {} broke off at {} after {} bytes: {why}",
            self.digest,
            self.remote.host(),
            self.at
        );
        if self.resumes == RESUMES || self.at == 0 {
            return Err(Error::temporary(broken));
        }
        self.resumes += 1;
        let response = self.remote.blob_request(&self.repository, &self.digest, self.at).await?;
        let range = header(response.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
        let continues = range.starts_with(&format!("bytes {}-", self.at));
        if response.status() != StatusCode::PARTIAL_CONTENT || !continues {
            return Err(Error::temporary(broken));
        }
        self.response = response;
        Ok(())
    }
}

fn accepted() -> String {
    let kinds: Vec<&str> = ManifestKind::ALL.iter().map(|kind| kind.as_str()).collect();
    kinds.join(", ")
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// What the header says; the library knows no length of bodies that it does not read itself.
fn content_length(response: &Response) -> Option<u64> {
    header(response.headers(), CONTENT_LENGTH.as_str())?.parse().ok()
}

/// A list of strings; `null` is an empty one, as old registries write it.
fn strings(value: &serde_json::Value) -> Option<Vec<String>> {
    if value.is_null() {
        return Some(Vec::new());
    }
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

/// Where a listing goes on (RFC 8288), if it does.
fn next_link(field: &str) -> Option<String> {
    let (_, rest) = field.split_once('<')?;
    let (target, parameters) = rest.split_once('>')?;
    let relation = parameters.to_ascii_lowercase();
    (relation.contains("rel=\"next\"") || relation.contains("rel=next")).then(|| target.to_owned())
}

/// `HEAD`, for the other half of this module.
const HEAD: Method = Method::HEAD;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        let next = next_link("</v2/a/tags/list?last=b&n=1>; rel=\"next\"");
        assert_eq!(next.as_deref(), Some("/v2/a/tags/list?last=b&n=1"));
        assert_eq!(next_link("</x>; rel=prev"), None);
        assert_eq!(next_link("nothing"), None);
    }

    #[test]
    fn lists_of_names() {
        assert_eq!(strings(&serde_json::Value::Null), Some(Vec::new()));
        assert_eq!(strings(&serde_json::json!(["a", "b"])), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(strings(&serde_json::json!(["a", 1])), None);
        assert_eq!(strings(&serde_json::json!({})), None);
    }
}
