use std::convert::Infallible;

use futures_util::{StreamExt as _, stream};

use super::*;

/// A part as a client writes it.
fn part(disposition: &str, content: &str) -> String {
    format!("--B\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n")
}

fn text(name: &str, value: &str) -> String {
    part(&format!("name=\"{name}\""), value)
}

fn file(name: &str, filename: &str, content: &str) -> String {
    part(&format!("name=\"{name}\"; filename=\"{filename}\""), content)
}

fn wheel() -> String {
    file("content", "demo-1.0-py3-none-any.whl", "PK")
}

/// The fields of a form, and under `content` the bytes of the file.
async fn read(parts: &[String]) -> Result<Vec<(String, String)>, FormError> {
    let body = format!("{}--B--\r\n", parts.concat());
    let pieces: Vec<_> = body
        .as_bytes()
        .chunks(8192)
        .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
        .collect();
    let mut form = Form::new(stream::iter(pieces), "B", Duration::from_mins(1));
    let mut fields = Vec::new();
    while let Some(field) = form.next().await? {
        match field {
            Field::Text { name, value } => fields.push((name, value)),
            Field::Content { filename } => {
                let mut content = Vec::new();
                let mut chunks = form.content();
                while let Some(chunk) = chunks.next().await {
                    content.extend_from_slice(&chunk?);
                }
                fields.push((filename, String::from_utf8(content).unwrap()));
            }
        }
    }
    Ok(fields)
}

async fn refused(parts: &[String]) -> (u16, String) {
    let error = read(parts).await.unwrap_err();
    (error.status().as_u16(), error.to_string())
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn fields_come_in_any_order() {
    let name = text("name", "demo");
    let expected = [("name", "demo"), ("demo-1.0-py3-none-any.whl", "PK"), ("attestations", "[]")];
    let [name_field, content, attestations] = expected;
    let read_all = async |parts: &[String]| read(parts).await.unwrap();
    assert_eq!(read_all(&[name.clone(), wheel()]).await, fields(&[name_field, content]));
    assert_eq!(read_all(&[wheel(), name.clone()]).await, fields(&[content, name_field]));
    assert_eq!(
        read_all(&[name, wheel(), text("attestations", "[]")]).await,
        fields(&[name_field, content, attestations])
    );
}

#[tokio::test]
async fn files_that_are_not_the_upload_are_passed_over() {
    let signature = file("gpg_signature", "demo-1.0-py3-none-any.whl.asc", "-----BEGIN");
    let unknown = file("sbom", "sbom.json", "{}");
    let read = read(&[signature, wheel(), unknown]).await.unwrap();
    assert_eq!(read, fields(&[("demo-1.0-py3-none-any.whl", "PK")]));
}

#[tokio::test]
async fn b1_a_body_that_breaks_off_is_malformed() {
    let (status, message) = refused(&["--B\r\nContent-Disposition: form-data; na".to_owned()]).await;
    assert_eq!(status, 400);
    assert!(message.starts_with("malformed multipart body"), "{message}");
}

#[tokio::test]
async fn b2_exactly_one_file() {
    let (status, message) = refused(&[wheel(), wheel()]).await;
    assert_eq!((status, &message[..]), (400, "exactly one file per upload: content comes twice"));
    let (status, message) = refused(&[text("name", "demo")]).await;
    assert_eq!(status, 400);
    assert!(message.contains("no file"), "{message}");
    let (status, message) = refused(&[text("content", "PK")]).await;
    assert_eq!(status, 400);
    assert!(message.starts_with("content: must be a file"), "{message}");
}

#[tokio::test]
async fn b2_text_is_not_sent_as_a_file() {
    for field in ["name", "version", "sha256_digest", ":action", "attestations"] {
        assert_eq!(
            refused(&[file(field, "a.txt", "demo"), wheel()]).await,
            (400, format!("{field}: must not be a file"))
        );
    }
}

#[tokio::test]
async fn b2_limits() {
    let many = vec![text("classifiers", "x"); 4096];
    let (status, message) = refused(&[many.concat(), wheel()]).await;
    assert_eq!((status, &message[..]), (413, "the form has more than 4096 parts"));
    for (field, limit) in
        [("summary", 64 * 1024), ("description", 2 * 1024 * 1024), ("attestations", 1024 * 1024)]
    {
        assert!(read(&[text(field, &"a".repeat(limit)), wheel()]).await.is_ok());
        assert_eq!(
            refused(&[text(field, &"a".repeat(limit + 1)), wheel()]).await,
            (413, format!("{field}: longer than {limit} bytes"))
        );
    }
    let long = text("description", &"a".repeat(2 * 1024 * 1024));
    let (status, message) = refused(&[vec![long; 4].concat(), text("name", "demo"), wheel()]).await;
    assert_eq!(status, 413);
    assert!(message.contains("beside the file"), "{message}");
    let (status, _) = refused(&[file("gpg_signature", "a.asc", &"a".repeat(1024 * 1024 + 1)), wheel()]).await;
    assert_eq!(status, 413);
    let (status, _) = refused(&[text(&"a".repeat(17 * 1024), "x"), wheel()]).await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn b29_two_file_names_are_refused() {
    for disposition in [
        "name=\"content\"; filename=\"a.whl\"; filename*=UTF-8''b.whl",
        "name=\"content\"; filename=\"a.whl\"; filename=\"b.whl\"",
        "name=\"content\"; name=\"name\"; filename=\"a.whl\"",
    ] {
        let (status, message) = refused(&[part(disposition, "PK")]).await;
        assert_eq!(status, 400);
        assert!(message.starts_with("malformed multipart body"), "{message}");
    }
}

#[test]
fn text_fields_are_sorted() {
    assert!(TEXT_FIELDS.is_sorted());
}

#[tokio::test]
async fn text_is_utf8_and_names_in_messages_are_harmless() {
    let (status, message) = refused(&[file("a\u{e9}b", "x", &"a".repeat(2 * 1024 * 1024)), wheel()]).await;
    assert_eq!(status, 413);
    assert!(message.starts_with("a\\u{e9}b: "), "{message}");
}
