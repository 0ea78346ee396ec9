//! Paths. A repository may be called `blobs/uploads` or `tags/list`, so the end of a path decides, never its
//! first match.

use std::borrow::Cow;

use http::Method;
use percent_encoding::percent_decode_str;

use crate::digest::{AnyDigest, Digest};
use crate::name::RepositoryName;
use crate::reference::{Reference, ReferenceError, Tag};

use super::error::{CallError, CallErrorReason};
use super::query::Query;
use super::{Call, UploadId};

pub(super) fn parse(method: &Method, path: &str, query: Option<&str>) -> Result<Call, CallError> {
    let anonymous = |reason| CallError { name: None, reason };
    let segments = decode(path).map_err(anonymous)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let (name, target) = Target::find(&segments).ok_or_else(|| anonymous(CallErrorReason::NotFound))?;
    let Some(name) = name else {
        return target.registry_call(method, &Query::parse(query)).map_err(anonymous);
    };
    let name: RepositoryName = name.parse().map_err(|error| anonymous(CallErrorReason::Name(error)))?;
    target
        .repository_call(method, name.clone(), &Query::parse(query))
        .map_err(|reason| CallError { name: Some(name), reason })
}

/// Splits a path at its slashes and decodes each piece once. The leading slash gives no piece. A decoded
/// piece that would change the path for somebody who decodes first is refused.
fn decode(path: &str) -> Result<Vec<Cow<'_, str>>, CallErrorReason> {
    let problem = |problem| Err(CallErrorReason::Path { problem });
    let Some(path) = path.strip_prefix('/') else {
        return Err(CallErrorReason::NotFound);
    };
    let mut segments = Vec::new();
    let mut pieces = path.split('/').peekable();
    while let Some(piece) = pieces.next() {
        if piece.is_empty() && pieces.peek().is_some() {
            return problem("an empty part between two slashes");
        }
        let Ok(segment) = percent_decode_str(piece).decode_utf8() else {
            return problem("bytes that are not UTF-8");
        };
        if segment.contains(['/', '\\']) {
            return problem("an encoded slash or a backslash");
        }
        if segment.chars().any(char::is_control) {
            return problem("control characters");
        }
        if matches!(segment.as_ref(), "." | "..") {
            return problem("a part that is only dots");
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// What a path is aimed at, before the method is looked at.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Ping,
    Catalog,
    ExtensionDiscover,
    Blob(&'a str),
    Uploads,
    Upload(&'a str),
    Manifest(&'a str),
    TagList,
    Referrers(&'a str),
    OrasReferrersDraft(&'a str),
    OrasReferrersRc,
}

const GET_HEAD: &str = "GET, HEAD";
const GET_HEAD_DELETE: &str = "GET, HEAD, DELETE";
const POST: &str = "POST";
const UPLOAD_METHODS: &str = "GET, HEAD, PATCH, PUT, DELETE";
const MANIFEST_METHODS: &str = "GET, HEAD, PUT, DELETE";

impl<'a> Target<'a> {
    /// The target and the repository's name, `None` for paths that have none.
    fn find(segments: &[&'a str]) -> Option<(Option<String>, Self)> {
        match segments {
            ["v2"] | ["v2", ""] => Some((None, Self::Ping)),
            ["v2", "_catalog"] => Some((None, Self::Catalog)),
            ["v2", "_oci", "ext", "discover"] => Some((None, Self::ExtensionDiscover)),
            ["v2", rest @ ..] => {
                let (name, target) = Self::find_in_repository(rest)?;
                Some((Some(name.join("/")), target))
            }
            ["oras", "artifacts", "v1", name @ .., "manifests", digest, "referrers"] => {
                Some((Some(name.join("/")), Self::OrasReferrersDraft(digest)))
            }
            _ => None,
        }
    }

    /// Each pattern is tied to the end of the path. No two of them can match the same path, except that a
    /// blob can not be called `uploads`.
    fn find_in_repository<'s>(segments: &'s [&'a str]) -> Option<(&'s [&'a str], Self)> {
        match segments {
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Some((name, Self::Uploads))
            }
            // A trailing slash belongs to uploads only.
            [.., ""] => None,
            [name @ .., "blobs", digest] => Some((name, Self::Blob(digest))),
            [name @ .., "manifests", reference] => Some((name, Self::Manifest(reference))),
            [name @ .., "referrers", digest] => Some((name, Self::Referrers(digest))),
            [name @ .., "blobs", "uploads", id] => Some((name, Self::Upload(id))),
            [name @ .., "tags", "list"] => Some((name, Self::TagList)),
            [name @ .., "_oras", "artifacts", "referrers"] => Some((name, Self::OrasReferrersRc)),
            [name @ .., "_oci", "ext", "discover"] => Some((name, Self::ExtensionDiscover)),
            _ => None,
        }
    }

    fn registry_call(self, method: &Method, query: &Query<'_>) -> Result<Call, CallErrorReason> {
        let is_read = *method == Method::GET || *method == Method::HEAD;
        if !is_read {
            return Err(CallErrorReason::MethodNotAllowed { allow: GET_HEAD });
        }
        match self {
            Self::Ping => Ok(Call::Ping),
            Self::Catalog => Ok(Call::Catalog { n: query.page_size()?, last: query.last() }),
            Self::ExtensionDiscover => Ok(Call::ExtensionDiscover { name: None }),
            _ => Err(CallErrorReason::NotFound),
        }
    }

    fn repository_call(
        self,
        method: &Method,
        name: RepositoryName,
        query: &Query<'_>,
    ) -> Result<Call, CallErrorReason> {
        let is_read = *method == Method::GET || *method == Method::HEAD;
        match self {
            Self::Blob(text) => blob_call(method, name, text),
            Self::Upload(text) => upload_call(method, name, text, query),
            Self::Manifest(text) => manifest_call(method, name, text, query),
            Self::Uploads if *method == Method::POST => {
                Ok(Call::UploadStart { mode: query.upload_start()?, name })
            }
            Self::Uploads => Err(CallErrorReason::MethodNotAllowed { allow: POST }),
            _ if !is_read => Err(CallErrorReason::MethodNotAllowed { allow: GET_HEAD }),
            Self::TagList => Ok(Call::TagList { name, n: query.page_size()?, last: query.last() }),
            Self::Referrers(text) => Ok(Call::Referrers(query.referrers(name, subject(text)?)?)),
            Self::OrasReferrersDraft(text) => {
                Ok(Call::OrasReferrersDraft(query.referrers(name, subject(text)?)?))
            }
            Self::OrasReferrersRc => Ok(Call::OrasReferrersRc(query.referrers(name, query.subject()?)?)),
            Self::ExtensionDiscover => Ok(Call::ExtensionDiscover { name: Some(name) }),
            Self::Ping | Self::Catalog => Err(CallErrorReason::NotFound),
        }
    }
}

fn subject(text: &str) -> Result<AnyDigest, CallErrorReason> {
    text.parse().map_err(CallErrorReason::Digest)
}

fn blob_call(method: &Method, name: RepositoryName, text: &str) -> Result<Call, CallErrorReason> {
    let digest = || text.parse::<Digest>().map_err(CallErrorReason::Digest);
    match *method {
        Method::GET => Ok(Call::BlobGet { name, digest: digest()? }),
        Method::HEAD => Ok(Call::BlobHead { name, digest: digest()? }),
        Method::DELETE => Ok(Call::BlobDelete { name, digest: digest()? }),
        _ => Err(CallErrorReason::MethodNotAllowed { allow: GET_HEAD_DELETE }),
    }
}

fn upload_call(
    method: &Method,
    name: RepositoryName,
    text: &str,
    query: &Query<'_>,
) -> Result<Call, CallErrorReason> {
    let id = || text.parse::<UploadId>().map_err(CallErrorReason::UploadId);
    match *method {
        Method::GET | Method::HEAD => Ok(Call::UploadStatus { name, id: id()? }),
        Method::PATCH => Ok(Call::UploadPatch { name, id: id()? }),
        Method::PUT => Ok(Call::UploadPut { name, id: id()?, digest: query.digest()? }),
        Method::DELETE => Ok(Call::UploadCancel { name, id: id()? }),
        _ => Err(CallErrorReason::MethodNotAllowed { allow: UPLOAD_METHODS }),
    }
}

fn manifest_call(
    method: &Method,
    name: RepositoryName,
    text: &str,
    query: &Query<'_>,
) -> Result<Call, CallErrorReason> {
    let reference = |bad_tag: fn(_) -> CallErrorReason| {
        text.parse::<Reference>().map_err(|error| match error {
            ReferenceError::Digest(error) => CallErrorReason::Digest(error),
            ReferenceError::Tag(error) => bad_tag(error),
        })
    };
    match *method {
        Method::GET => Ok(Call::ManifestGet { name, reference: reference(CallErrorReason::UnknownTag)? }),
        Method::HEAD => Ok(Call::ManifestHead { name, reference: reference(CallErrorReason::UnknownTag)? }),
        Method::DELETE => {
            Ok(Call::ManifestDelete { name, reference: reference(CallErrorReason::UnknownTag)? })
        }
        Method::PUT => {
            let reference = reference(CallErrorReason::InvalidTag)?;
            let tags = additional_tags(&reference, query)?;
            Ok(Call::ManifestPut { name, reference, tags })
        }
        _ => Err(CallErrorReason::MethodNotAllowed { allow: MANIFEST_METHODS }),
    }
}

/// The specification has `tag` only beside a digest; beside a tag it is a parameter that nobody knows.
fn additional_tags(reference: &Reference, query: &Query<'_>) -> Result<Vec<Tag>, CallErrorReason> {
    match reference {
        Reference::Digest(_) => query.tags(),
        Reference::Tag(_) => Ok(Vec::new()),
    }
}
