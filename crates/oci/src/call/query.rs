//! Query strings as registry clients write them: percent-encoded by most, raw by some, and with a plus sign
//! that means a plus sign.

use std::borrow::Cow;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::digest::{Algorithm, AnyDigest, Digest};
use crate::excerpt::excerpt;
use crate::name::RepositoryName;
use crate::reference::Tag;

use super::error::CallErrorReason;
use super::{ReferrersQuery, UploadStart};

/// The most tags that one push of a manifest may set by query. The specification asks for at least ten.
pub const MAX_TAGS_PER_PUSH: usize = 32;

/// The decoded parameters of one request, in order.
pub(super) struct Query<'a> {
    parameters: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    pub(super) fn parse(query: Option<&'a str>) -> Self {
        let decode = |text: &'a str| percent_decode_str(text).decode_utf8_lossy();
        let parameters = query
            .unwrap_or_default()
            .split('&')
            .filter(|parameter| !parameter.is_empty())
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .map(|(key, value)| (decode(key), decode(value)))
            .collect();
        Self { parameters }
    }

    /// The first value of a parameter; an empty one counts as absent.
    fn get(&self, name: &'static str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    fn text(&self, name: &'static str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Option<Result<T, T::Err>> {
        self.get(name).map(str::parse)
    }

    /// The page size. One too large for 64 bits is as good as the largest; the domain has a maximum anyway.
    pub(super) fn page_size(&self) -> Result<Option<u64>, CallErrorReason> {
        match self.get("n") {
            None => Ok(None),
            Some(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(Some(text.parse().unwrap_or(u64::MAX)))
            }
            Some(text) => Err(CallErrorReason::Pagination { value: excerpt(text) }),
        }
    }

    pub(super) fn last(&self) -> Option<String> {
        self.text("last")
    }

    pub(super) fn digest(&self) -> Result<Option<Digest>, CallErrorReason> {
        self.parsed("digest").transpose().map_err(CallErrorReason::Digest)
    }

    /// The subject of the ORAS form that has it in the query; an absent one is a malformed one.
    pub(super) fn subject(&self) -> Result<AnyDigest, CallErrorReason> {
        self.get("digest").unwrap_or_default().parse().map_err(CallErrorReason::Digest)
    }

    pub(super) fn upload_start(&self) -> Result<UploadStart, CallErrorReason> {
        if let Some(digest) = self.parsed("mount") {
            let from = self.get("from");
            return Ok(UploadStart::Mount {
                digest: digest.map_err(CallErrorReason::Digest)?,
                from: from.and_then(|name| name.parse::<RepositoryName>().ok()),
                from_given: from.is_some(),
            });
        }
        if let Some(digest) = self.digest()? {
            return Ok(UploadStart::Monolithic { digest });
        }
        let algorithm =
            self.parsed::<Algorithm>("digest-algorithm").transpose().map_err(CallErrorReason::Digest)?;
        Ok(UploadStart::Session { algorithm })
    }

    pub(super) fn tags(&self) -> Result<Vec<Tag>, CallErrorReason> {
        let mut tags: Vec<Tag> = Vec::new();
        for (count, text) in self.all("tag").enumerate() {
            if count == MAX_TAGS_PER_PUSH {
                return Err(CallErrorReason::TooManyTags);
            }
            let tag = text.parse().map_err(CallErrorReason::InvalidTag)?;
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    pub(super) fn referrers(
        &self,
        name: RepositoryName,
        digest: AnyDigest,
    ) -> Result<ReferrersQuery, CallErrorReason> {
        Ok(ReferrersQuery {
            name,
            digest,
            // No media type holds a space. Where one arrives, a plus sign went through form encoding on its
            // way.
            artifact_type: self.get("artifactType").map(|text| text.replace(' ', "+")),
            n: self.page_size()?,
            cursor: self.text("nextToken"),
        })
    }
}
