//! The upload form: the first byte says in which pieces the body arrives, the rest is the body. What is read does not
//! depend on the pieces, and every refusal can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

/// The server's own reader. It is private to the server, and needs nothing of it.
#[path = "../../crates/server/src/python"]
mod python {
    #[allow(dead_code, reason = "the server takes a body on where the form ended")]
    mod form;
    #[allow(dead_code, reason = "the server takes a body on where the form ended")]
    mod multipart;

    use std::convert::Infallible;
    use std::time::Duration;

    use bytes::Bytes;
    use form::{Field, Form, FormError};
    use futures_util::stream;

    pub(super) const BOUNDARY: &str = "b";

    /// A field: name, file name, content.
    type Part = (String, Option<String>, Vec<u8>);

    /// The fields of a body that comes in pieces of that length, or the status and the text of a refusal.
    pub(super) async fn read(body: &[u8], piece: usize) -> Result<Vec<Part>, (u16, String)> {
        parts(body, piece).await.map_err(|error| (error.status().as_u16(), error.to_string()))
    }

    async fn parts(body: &[u8], piece: usize) -> Result<Vec<Part>, FormError> {
        let pieces: Vec<_> =
            body.chunks(piece).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
        let mut form = Form::new(stream::iter(pieces), BOUNDARY, Duration::from_secs(60));
        let mut parts = Vec::new();
        while let Some(field) = form.next().await? {
            match field {
                Field::Text { name, value } => parts.push((name, None, value.into_bytes())),
                Field::Content { filename } => {
                    let mut content = Vec::new();
                    let mut chunks = form.content();
                    while let Some(chunk) = futures_util::StreamExt::next(&mut chunks).await {
                        content.extend_from_slice(&chunk.map_err(FormError::from)?);
                    }
                    parts.push(("content".to_owned(), Some(filename), content));
                }
            }
        }
        Ok(parts)
    }

    pub(super) fn boundary(content_type: &str) -> Option<String> {
        multipart::boundary(content_type)
    }
}

/// The longest head of a part. How early a longer one is noticed does depend on the pieces.
const HEAD_BYTES: usize = 16 * 1024;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime without threads");
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some(boundary) = python::boundary(text)
    {
        assert!((1..=70).contains(&boundary.len()) && boundary.is_ascii());
    }
    let Some((piece, body)) = data.split_first() else { return };
    let read = |piece| RUNTIME.with(|runtime| runtime.block_on(python::read(body, piece)));
    let (in_pieces, whole) = (read(usize::from(*piece).max(1)), read(body.len().max(1)));
    if body.len() < HEAD_BYTES {
        assert_eq!(in_pieces, whole);
    }
    match whole {
        Ok(parts) => {
            assert_eq!(parts.iter().filter(|(_, filename, _)| filename.is_some()).count(), 1);
            let length: usize = parts.iter().map(|(name, _, content)| name.len() + content.len()).sum();
            assert!(length < body.len());
            let mut form = ::python::UploadForm::new();
            for (name, _, value) in parts {
                form.add(&name, &String::from_utf8(value).unwrap_or_default());
            }
            for refused in [form.check_action().err(), form.kind().err()].into_iter().flatten() {
                assert!(!refused.message.contains(char::is_control));
            }
        }
        Err((status, text)) => {
            assert!((400..500).contains(&status));
            assert!(!text.contains(char::is_control));
        }
    }
});
