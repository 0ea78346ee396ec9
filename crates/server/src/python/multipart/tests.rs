use std::convert::Infallible;

use futures_util::stream;
use proptest::prelude::*;

use super::*;

const STALL: Duration = Duration::from_mins(1);

type Parts = Vec<(Disposition, Vec<u8>)>;

/// Reads a body that comes in pieces of the given length.
async fn read(body: &[u8], boundary: &str, piece: usize) -> Result<Parts, MultipartError> {
    let pieces: Vec<_> =
        body.chunks(piece).map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece))).collect();
    let mut multipart = Multipart::new(stream::iter(pieces), boundary, STALL);
    let mut parts = Parts::new();
    while let Some(disposition) = multipart.next_part().await? {
        let mut content = Vec::new();
        while let Some(chunk) = multipart.chunk().await? {
            content.extend_from_slice(&chunk);
        }
        parts.push((disposition, content));
    }
    Ok(parts)
}

fn text(name: &str) -> Disposition {
    Disposition { name: name.to_owned(), filename: None }
}

fn file(name: &str, filename: &str) -> Disposition {
    Disposition { name: name.to_owned(), filename: Some(filename.to_owned()) }
}

const FORM: &str = "--B\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\ndemo\r\n\
    --B\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n\
    --B \t\r\nContent-Type: application/octet-stream\r\n\
    Content-Disposition: form-data; name=\"content\"; filename=\"demo-1.0+a!b.tar.gz\"\r\n\r\n\
    \r\n--\r\n--C\r\r\n-\r\n--B--\r\n";

fn form() -> Parts {
    vec![
        (text("name"), b"demo".to_vec()),
        (text("empty"), Vec::new()),
        (file("content", "demo-1.0+a!b.tar.gz"), b"\r\n--\r\n--C\r\r\n-".to_vec()),
    ]
}

#[tokio::test]
async fn parts_are_the_same_however_the_body_is_cut() {
    for piece in 1..FORM.len() {
        assert_eq!(read(FORM.as_bytes(), "B", piece).await, Ok(form()), "pieces of {piece}");
    }
    for around in [format!("a preamble\r\n{FORM}"), format!("\r\n{FORM}an epilogue")] {
        assert_eq!(read(around.as_bytes(), "B", 7).await, Ok(form()));
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_refused() {
    // Nothing behind the two hyphens at the end is missed.
    for length in 0..FORM.len() - 2 {
        let read = read(&FORM.as_bytes()[..length], "B", 5).await;
        assert!(matches!(read, Err(MultipartError::Malformed(_))), "{length} bytes");
    }
}

#[tokio::test]
async fn malformed_bodies() {
    let part = |head: &str| format!("--B\r\n{head}\r\n\r\nx\r\n--B--\r\n");
    for body in [
        String::new(),
        "--C--\r\n".to_owned(),
        "--Bx\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--B--".to_owned(),
        "--B\r\n\r\nno head\r\n--B--\r\n".to_owned(),
        part("Content-Type: text/plain"),
        part("Content-Disposition: attachment; name=a"),
        part("Content-Disposition: form-data"),
        part("Content-Disposition: form-data; filename=\"a\""),
        part("Content-Disposition: form-data; name=\"a"),
        part("Content-Disposition: form-data; name=\"a\" filename=\"b\""),
        part("Content-Disposition: form-data; name=\"a\"; name=\"b\""),
        part("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b"),
        part("Content-Disposition: form-data; name=\"content\"; filename=\"a.whl\"; filename=\"b.whl\""),
        part("Content-Disposition: form-data; name=\"content\"; filename=\"a.whl\"; filename*=UTF-8''b.whl"),
        part("Content-Disposition: form-data; name=\"content\"; filename*=latin-1''b.whl"),
        part("not a header"),
        "x".repeat(MAX_HEAD_BYTES + 1),
        format!("--B--{}", "x".repeat(3 * MAX_HEAD_BYTES)),
    ] {
        let read = read(body.as_bytes(), "B", 1000).await;
        assert!(matches!(read, Err(MultipartError::Malformed(_))), "{body:.200}");
    }
}

#[tokio::test]
async fn file_names_in_both_spellings() {
    let read_one = async |parameters: &str| {
        let body =
            format!("--B\r\nContent-Disposition: form-data; name=content; {parameters}\r\n\r\n\r\n--B--");
        let parts = read(body.as_bytes(), "B", 1000).await.unwrap();
        parts.into_iter().next().unwrap().0.filename.unwrap()
    };
    assert_eq!(read_one("filename=a.whl").await, "a.whl");
    assert_eq!(read_one("FILENAME = \"a.whl\"").await, "a.whl");
    assert_eq!(read_one("filename*=utf-8''a.whl").await, "a.whl");
    assert_eq!(read_one("filename=\"a.whl\"; filename*=UTF-8''a%2Ewhl").await, "a.whl");
    assert_eq!(read_one("filename=\"a; name=b.whl\"").await, "a; name=b.whl");
    assert_eq!(read_one("filename=\"a\\\"b\\c\"").await, "a\"b\\c");
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let head = "--B\r\nContent-Disposition: form-data; name=\"";
    for rest in ["a".repeat(3 * MAX_HEAD_BYTES), format!("{}\"\r\n\r\n", "a".repeat(MAX_HEAD_BYTES))] {
        let read = read(format!("{head}{rest}").as_bytes(), "B", 1000).await;
        assert_eq!(read, Err(MultipartError::HeadTooLong));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let begun = Ok::<_, Infallible>(Bytes::from_static(b"--B\r\nContent-Disp"));
    let body = Box::pin(stream::iter([begun]).chain(stream::pending()));
    let mut multipart = Multipart::new(body, "B", STALL);
    assert!(matches!(multipart.next_part().await, Err(MultipartError::Malformed(_))));
}

#[tokio::test]
async fn only_as_much_is_read_as_is_needed() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let many_parts = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n".repeat(100);
    let taken = AtomicUsize::new(0);
    let more = std::iter::repeat_n(Bytes::from(vec![b'-'; 1000]), 100);
    let body = stream::iter(std::iter::once(Bytes::from(many_parts)).chain(more).map(|piece| {
        taken.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Infallible>(piece)
    }));
    let mut multipart = Multipart::new(body, "B", STALL);
    for _ in 0..99 {
        assert!(multipart.next_part().await.unwrap().is_some());
    }
    assert_eq!(taken.load(Ordering::Relaxed), 1);
}

#[test]
fn boundaries() {
    let found = |text: &str| boundary(text);
    assert_eq!(found("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
    assert_eq!(found("Multipart/Form-Data;charset=utf-8; Boundary=\"a b\"").as_deref(), Some("a b"));
    let longest = "x".repeat(70);
    assert_eq!(found(&format!("multipart/form-data; boundary={longest}")), Some(longest));
    for none in [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"a",
        "multipart/form-data; boundary=\"a \"",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/mixed; boundary=a",
        "application/json",
        "multipart/form-data; boundary=a\u{e9}",
        &format!("multipart/form-data; boundary={}", "x".repeat(71)),
    ] {
        assert_eq!(found(none), None, "{none}");
    }
}

proptest! {
    #[test]
    fn any_content_comes_through(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4),
        piece in 1_usize..200,
    ) {
        let boundary = "0123456789abcdef";
        let mut body = Vec::new();
        for content in &contents {
            body.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n").as_bytes());
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let parts = runtime.block_on(read(&body, boundary, piece)).unwrap();
        let found: Vec<_> = parts.into_iter().map(|(_, content)| content).collect();
        prop_assert_eq!(found, contents);
    }

    #[test]
    fn any_body_is_read_or_refused(body in "(--B|\r\n|-|: |form-data; name=a|Content-Disposition|B|x){0,40}", piece in 1_usize..20) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _ = runtime.block_on(read(body.as_bytes(), "B", piece));
    }

    #[test]
    fn any_disposition_is_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Disposition::parse(&value);
        let _ = Disposition::parse(&[b"form-data; ", value.as_slice()].concat());
    }
}
