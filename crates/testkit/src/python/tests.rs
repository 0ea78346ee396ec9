use std::io::Read as _;

use super::{Entry, Part, Sdist, TarEntry, Upload, Wheel, Zip};

/// Reads `length` bytes of a little-endian number.
fn number(bytes: &[u8], start: usize, length: usize) -> usize {
    bytes[start..start + length].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[test]
fn a_wheel_has_the_members_and_the_record_that_it_should() {
    let wheel =
        Wheel::new("Acme.Demo_pkg", "1.0").header("Requires-Dist", "six").description("Text\n").build();
    assert_eq!(wheel.filename, "acme_demo_pkg-1.0-py3-none-any.whl");
    assert_eq!(
        String::from_utf8(wheel.metadata.clone()).unwrap(),
        "Metadata-Version: 2.1\nName: Acme.Demo_pkg\nVersion: 1.0\nRequires-Dist: six\n\nText\n"
    );
    let end = wheel.bytes.len() - 22;
    assert_eq!(&wheel.bytes[end..end + 4], b"PK\x05\x06");
    assert_eq!(number(&wheel.bytes, end + 10, 2), 4);
    let directory = number(&wheel.bytes, end + 16, 4);
    assert_eq!(directory + number(&wheel.bytes, end + 12, 4), end);
    assert_eq!(&wheel.bytes[directory..directory + 4], b"PK\x01\x02");
}

#[test]
fn a_field_of_an_archive_is_written_as_the_test_wants_it() {
    let mut archive = Zip { prefix: b"#!".to_vec(), ..Zip::default() };
    archive.entries.push(Entry { size: Some(7), method: 12, ..Entry::new("a", "abc") });
    archive.count = Some(9);
    let bytes = archive.build();
    assert_eq!(&bytes[..6], b"#!PK\x03\x04");
    assert_eq!((number(&bytes, 2 + 8, 2), number(&bytes, 2 + 18, 4), number(&bytes, 2 + 22, 4)), (12, 3, 7));
    assert_eq!(number(&bytes, bytes.len() - 12, 2), 9);
}

#[test]
fn zeros_cost_next_to_nothing() {
    let wheel =
        Wheel::new("acme", "1").build_with(|archive| archive.entries.push(Entry::zeros("z", 50 << 20)));
    assert!(wheel.bytes.len() < 100_000, "{}", wheel.bytes.len());
}

#[test]
fn a_source_distribution_is_a_tar_archive_that_others_can_read() {
    let sdist = Sdist::new("Acme.Demo", "1.0").build_with(|archive| {
        archive.entries.push(TarEntry::special("acme_demo-1.0/link", b'2', "PKG-INFO"));
    });
    assert_eq!(sdist.filename, "acme_demo-1.0.tar.gz");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(sdist.bytes.as_slice()));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        found.push((entry.path().unwrap().display().to_string(), content));
    }
    assert_eq!(found[0], ("acme_demo-1.0/PKG-INFO".to_owned(), sdist.metadata));
    assert_eq!(found.last().unwrap().0, "acme_demo-1.0/link");
}

#[test]
fn a_form_has_its_parts_in_the_order_that_the_test_wants() {
    let wheel = Wheel::new("acme", "1").build();
    let upload = Upload::new(&wheel)
        .field("name", "other")
        .without("blake2_256_digest")
        .part(Part::text("classifiers", "one"))
        .part(Part::text("classifiers", "two"))
        .content_first()
        .content(|part| part.content_type = None);
    let names: Vec<&str> = upload.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names.first(), Some(&"content"));
    assert_eq!(names.iter().filter(|name| **name == "classifiers").count(), 2);
    let body = upload.body();
    let text = String::from_utf8_lossy(&body);
    assert!(text.contains("name=\"name\"\r\n\r\nother\r\n"), "{text}");
    assert!(text.contains("name=\"content\"; filename=\"acme-1-py3-none-any.whl\"\r\n\r\nPK"), "{text}");
    assert!(text.ends_with("--\r\n"), "{text}");
}

#[test]
fn an_answer_is_read_with_its_reason_and_without_its_chunks() {
    for answer in [
        "HTTP/1.1 409 File already exists ('a')\r\nContent-Length: 4\r\nX-One: 1\r\n\r\nbody",
        "HTTP/1.1 409 File already exists ('a')\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
    ] {
        let listener = std::net::TcpListener::bind("localhost:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            std::io::Write::write_all(&mut stream, answer.as_bytes()).unwrap();
            request[..length].to_vec()
        });
        let found = super::exchange(&host, b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!((found.status, found.body.as_slice()), (409, b"body".as_slice()));
        assert_eq!(found.reason.as_deref(), Some("File already exists ('a')"));
        assert_eq!(found.header("x-one"), Some("1"));
        assert_eq!(server.join().unwrap(), b"GET / HTTP/1.1\r\n\r\n");
    }
}
