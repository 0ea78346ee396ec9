//! Descriptors inside a manifest (OCI image-spec, descriptor.md).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Descriptor, ManifestError, Subject, invalid, optional_media_type};
use crate::digest::AnyDigest;
use crate::media_type;

/// Reads a descriptor of content that the manifest consists of. `place` names it in messages.
pub(super) fn parse(value: &Value, place: &str) -> Result<Descriptor, ManifestError> {
    let object = as_object(value, place)?;
    let media_type = optional_media_type(object, "mediaType", place)?
        .ok_or_else(|| invalid(format!("{place}: a descriptor needs a \"mediaType\"")))?;
    let digest = digest(object, place)?;
    let size = size(object, place)?
        .ok_or_else(|| invalid(format!("{place}: a descriptor needs a \"size\" in bytes")))?;
    check_data(object, &digest, size, place)?;
    let optional = has_urls(object, place)? && media_type::is_non_distributable(&media_type);
    Ok(Descriptor { media_type, digest, size, optional })
}

/// Reads a subject, which may be sparser: it is a pointer to something that need not even exist.
pub(super) fn parse_subject(value: &Value, place: &str) -> Result<Subject, ManifestError> {
    let object = as_object(value, place)?;
    Ok(Subject {
        digest: digest(object, place)?,
        media_type: optional_media_type(object, "mediaType", place)?,
        size: size(object, place)?,
    })
}

fn as_object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, ManifestError> {
    value.as_object().ok_or_else(|| invalid(format!("{place} has to be a descriptor object")))
}

fn digest(object: &Map<String, Value>, place: &str) -> Result<AnyDigest, ManifestError> {
    let text = object
        .get("digest")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid(format!("{place}: a descriptor needs a \"digest\" string")))?;
    text.parse().map_err(|source| ManifestError::Digest { place: place.to_owned(), source })
}

fn size(object: &Map<String, Value>, place: &str) -> Result<Option<u64>, ManifestError> {
    match object.get("size") {
        None | Some(Value::Null) => Ok(None),
        // The specification's type is a signed 64-bit integer.
        Some(value) => match value.as_i64().map(u64::try_from) {
            Some(Ok(size)) => Ok(Some(size)),
            _ => Err(invalid(format!("{place}: \"size\" has to be a whole number of bytes, not negative"))),
        },
    }
}

/// `data` embeds the content. Who trusts it need not fetch the blob, so it has to be the same bytes.
fn check_data(
    object: &Map<String, Value>,
    digest: &AnyDigest,
    size: u64,
    place: &str,
) -> Result<(), ManifestError> {
    let data = match object.get("data") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(data)) => data,
        Some(_) => return Err(invalid(format!("{place}: \"data\" has to be a base64 string"))),
    };
    let content = STANDARD
        .decode(data)
        .map_err(|_| invalid(format!("{place}: \"data\" is not valid base64 with padding")))?;
    if u64::try_from(content.len()) != Ok(size) {
        return Err(invalid(format!(
            "{place}: \"data\" holds {} bytes and \"size\" says {size}",
            content.len()
        )));
    }
    match digest.to_supported() {
        Ok(digest) if !digest.matches(&content) => {
            Err(invalid(format!("{place}: \"data\" does not hash to the descriptor's digest {digest}")))
        }
        // What cannot be computed here is left to clients that can.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn has_urls(object: &Map<String, Value>, place: &str) -> Result<bool, ManifestError> {
    match object.get("urls") {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Array(urls)) if urls.iter().all(Value::is_string) => Ok(!urls.is_empty()),
        Some(_) => Err(invalid(format!("{place}: \"urls\" has to be a list of strings"))),
    }
}
