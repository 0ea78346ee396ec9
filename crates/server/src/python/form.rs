//! The form of an upload: its fields one after the other, in any order, within limits.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use http::StatusCode;

use super::multipart::{Content, Multipart, MultipartError};

/// The most parts of a form. A long METADATA has some hundreds of repeated fields.
const MAX_PARTS: u32 = 4096;
/// The longest `description`, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 2 * 1024 * 1024;
/// The longest `attestations`, in bytes.
const MAX_ATTESTATIONS_BYTES: usize = 1024 * 1024;
/// The longest other field, in bytes.
const MAX_FIELD_BYTES: usize = 64 * 1024;
/// The longest file that is not the upload itself, such as a detached signature, in bytes.
const MAX_IGNORED_FILE_BYTES: usize = 1024 * 1024;
/// Everything but the upload itself, in bytes.
const MAX_FORM_BYTES: usize = 8 * 1024 * 1024;

/// The field that holds the uploaded file.
const CONTENT: &str = "content";

/// Fields that are text; as a file they would be misread.
const TEXT_FIELDS: &[&str] = &[
    ":action",
    "attestations",
    "author",
    "author_email",
    "blake2_256_digest",
    "classifiers",
    "comment",
    "description",
    "description_content_type",
    "download_url",
    "dynamic",
    "filetype",
    "home_page",
    "import_name",
    "import_names",
    "import_namespace",
    "import_namespaces",
    "keywords",
    "license",
    "license_expression",
    "license_file",
    "maintainer",
    "maintainer_email",
    "md5_digest",
    "metadata_version",
    "name",
    "obsoletes",
    "obsoletes_dist",
    "platform",
    "project_urls",
    "protocol_version",
    "provides",
    "provides_dist",
    "provides_extra",
    "pyversion",
    "requires",
    "requires_dist",
    "requires_external",
    "requires_python",
    "sha256_digest",
    "summary",
    "supported_platform",
    "version",
];

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormError {
    /// The body is no form, or a field is not what it has to be.
    #[error("{0}")]
    Invalid(String),
    /// Something is longer than allowed.
    #[error("{0}")]
    TooLarge(String),
}

impl FormError {
    /// The status for the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }
}

impl From<MultipartError> for FormError {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Malformed(_) => Self::Invalid(error.to_string()),
            MultipartError::HeadTooLong => Self::TooLarge(error.to_string()),
        }
    }
}

/// The next thing in a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A text field.
    Text {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// The uploaded file: its bytes come from [`Form::content`].
    Content {
        /// Its name.
        filename: String,
    },
}

/// Reads a form.
pub(super) struct Form<S> {
    multipart: Multipart<S>,
    parts: u32,
    /// Bytes of all fields so far but those of the upload.
    bytes: usize,
    has_content: bool,
}

impl<S, E> Form<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
{
    /// A form that is given up when nothing comes for `stall`.
    pub(super) fn new(body: S, boundary: &str, stall: Duration) -> Self {
        Self { multipart: Multipart::new(body, boundary, stall), parts: 0, bytes: 0, has_content: false }
    }

    /// What is left of the body.
    pub(super) fn into_body(self) -> S {
        self.multipart.into_body()
    }

    /// The next field, `None` behind the last one. A form without the uploaded file is an error there.
    pub(super) async fn next(&mut self) -> Result<Option<Field>, FormError> {
        while let Some(part) = self.multipart.next_part().await? {
            self.parts += 1;
            if self.parts > MAX_PARTS {
                return Err(FormError::TooLarge(format!("the form has more than {MAX_PARTS} parts")));
            }
            let shown = oci::excerpt(&part.name);
            if part.name == CONTENT {
                let filename = part.filename.ok_or_else(|| {
                    FormError::Invalid("content: must be a file, so its part needs a filename".to_owned())
                })?;
                if std::mem::replace(&mut self.has_content, true) {
                    return Err(FormError::Invalid(
                        "exactly one file per upload: content comes twice".to_owned(),
                    ));
                }
                return Ok(Some(Field::Content { filename }));
            }
            if part.filename.is_none() {
                let limit = match part.name.as_str() {
                    "description" => MAX_DESCRIPTION_BYTES,
                    "attestations" => MAX_ATTESTATIONS_BYTES,
                    _ => MAX_FIELD_BYTES,
                };
                let value = String::from_utf8(self.collect(&shown, limit).await?)
                    .map_err(|_| FormError::Invalid(format!("{shown}: must be text in UTF-8")))?;
                return Ok(Some(Field::Text { name: part.name, value }));
            }
            if TEXT_FIELDS.contains(&part.name.as_str()) {
                return Err(FormError::Invalid(format!("{shown}: must not be a file")));
            }
            // A signature, or something that newer clients send: read, so that what follows can be.
            self.collect(&shown, MAX_IGNORED_FILE_BYTES).await?;
        }
        if self.has_content {
            return Ok(None);
        }
        Err(FormError::Invalid("the upload has no file: a part named content is missing".to_owned()))
    }

    /// The bytes of the uploaded file, after [`Field::Content`].
    pub(super) fn content(&mut self) -> Content<'_, S> {
        Content(&mut self.multipart)
    }

    async fn collect(&mut self, shown: &str, limit: usize) -> Result<Vec<u8>, FormError> {
        let mut value = Vec::new();
        while let Some(chunk) = self.multipart.chunk().await? {
            self.bytes += chunk.len();
            if value.len() + chunk.len() > limit {
                return Err(FormError::TooLarge(format!("{shown}: longer than {limit} bytes")));
            }
            if self.bytes > MAX_FORM_BYTES {
                return Err(FormError::TooLarge(format!(
                    "the form has more than {MAX_FORM_BYTES} bytes beside the file"
                )));
            }
            value.extend_from_slice(&chunk);
        }
        Ok(value)
    }
}
