//! What clients send, the crate `multer` reads the same way. It is not what the server reads with: it takes a
//! part whose name is given twice, or whose `filename` and `filename*` differ, for one of the two.

use std::convert::Infallible;

use futures_util::stream;
use proptest::prelude::*;

use super::*;

/// A part: its name, its file name if it is a file, its content.
type Part = (String, Option<String>, Vec<u8>);

/// The body in pieces of the given lengths, over and over.
fn pieces(body: &[u8], lengths: &[usize]) -> Vec<Result<Bytes, Infallible>> {
    let mut rest = body;
    let mut lengths = lengths.iter().cycle();
    let mut pieces = Vec::new();
    while let Some(length) = lengths.next().filter(|_| !rest.is_empty()) {
        let (piece, after) = rest.split_at(rest.len().min(*length));
        pieces.push(Ok(Bytes::copy_from_slice(piece)));
        rest = after;
    }
    pieces
}

async fn ours(body: &[u8], boundary: &str, lengths: &[usize]) -> Result<Vec<Part>, MultipartError> {
    let body = stream::iter(pieces(body, lengths));
    let mut multipart = Multipart::new(body, boundary, Duration::from_mins(1));
    let mut parts = Vec::new();
    while let Some(Disposition { name, filename }) = multipart.next_part().await? {
        let mut content = Vec::new();
        while let Some(chunk) = multipart.chunk().await? {
            content.extend_from_slice(&chunk);
        }
        parts.push((name, filename, content));
    }
    Ok(parts)
}

async fn theirs(body: &[u8], boundary: &str, lengths: &[usize]) -> multer::Result<Vec<Part>> {
    let mut multipart = multer::Multipart::new(stream::iter(pieces(body, lengths)), boundary);
    let mut parts = Vec::new();
    while let Some(field) = multipart.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        parts.push((name, filename, field.bytes().await?.to_vec()));
    }
    Ok(parts)
}

/// Content in which pieces of delimiters come up.
fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec!["\r", "\n", "\r\n", "--", "\r\n--", "\r\n--B", "B", "\r\n\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// The head of a part as clients write it, and what it says.
fn any_head() -> impl Strategy<Value = (String, String, Option<String>)> {
    let name = "[a-z:_]{1,12}";
    // Quotes and backslashes are written in several ways, which the library does not all know.
    let filename = proptest::option::of("[a-z0-9_.+!;=' é-]{1,20}");
    let header =
        prop::sample::select(vec!["Content-Disposition", "content-disposition", "CONTENT-DISPOSITION"]);
    let content_type = prop_oneof![
        Just(String::new()),
        Just("Content-Type: application/octet-stream\r\n".to_owned()),
        Just("Content-Type: text/plain; charset=utf-8\r\n".to_owned()),
    ];
    (name, filename, header, content_type, any::<bool>()).prop_map(
        |(name, filename, header, content_type, type_first)| {
            let parameter =
                filename.as_ref().map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            let disposition = format!("{header}: form-data; name=\"{name}\"{parameter}\r\n");
            let head = if type_first { content_type + &disposition } else { disposition + &content_type };
            (head, name, filename)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn forms_are_read_alike(
        boundary in "[A-Za-z0-9]{8,40}|-{20}[0-9a-f]{16}",
        parts in prop::collection::vec((any_head(), any_content()), 0..6),
        begins_with_line_break in any::<bool>(),
        lengths in prop::collection::vec(1_usize..80, 1..6),
    ) {
        let mut body = if begins_with_line_break { b"\r\n".to_vec() } else { Vec::new() };
        let mut expected = Vec::new();
        for ((head, name, filename), content) in parts {
            body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n").as_bytes());
            body.extend_from_slice(&content);
            body.extend_from_slice(b"\r\n");
            expected.push((name, filename, content));
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let found = runtime.block_on(ours(&body, &boundary, &lengths));
        let found = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&found, &expected);
        let found = runtime.block_on(theirs(&body, &boundary, &lengths));
        let found = found.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&found, &expected);
    }

    #[test]
    fn boundaries_are_read_alike(boundary in "[A-Za-z0-9'()+_,./:=?-]{1,70}", quoted in any::<bool>()) {
        let is_token = boundary.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'+_.-".contains(&byte));
        let text = if quoted || !is_token { format!("\"{boundary}\"") } else { boundary.clone() };
        let content_type = format!("multipart/form-data; boundary={text}");
        prop_assert_eq!(super::boundary(&content_type), Some(boundary.clone()));
        prop_assert_eq!(multer::parse_boundary(&content_type).ok(), Some(boundary));
    }
}
