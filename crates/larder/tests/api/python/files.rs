//! Downloads: whole, in parts, and what stands beside a file.

use testkit::python::{BuiltFile, Sdist, Wheel};
use testkit::{Answer, random_bytes, run, sha256};

use super::scene::{Index, OwnIndex, project, wheel};
use crate::scene::{Calls as _, object_files};

/// A wheel in an index, and its address.
struct Stored {
    index: Index,
    file: BuiltFile,
    path: String,
}

impl Stored {
    fn new() -> Self {
        Self::of(&wheel().file("data.bin", random_bytes(20_000)).build())
    }

    fn of(file: &BuiltFile) -> Self {
        let index = Index::new();
        index.takes(file);
        let path = index.writer.python_path(&index.organization().name, "main", &file.name, &file.filename);
        Self { index, file: file.clone(), path }
    }

    #[track_caller]
    fn get(&self, headers: &[(&str, &str)]) -> Answer {
        self.index.writer.call("GET", &self.path, headers, "")
    }

    /// Asserts that these header fields bring the bytes from `first` up to and without `end`, and say so.
    #[track_caller]
    fn is_part(&self, headers: &[(&str, &str)], first: usize, end: usize) {
        let answer = self.get(headers).expect(&[206]);
        let whole = self.file.bytes.len();
        assert!(answer.body == self.file.bytes[first..end], "other bytes for {headers:?}");
        let range = format!("bytes {first}-{}/{whole}", end - 1);
        assert_eq!(answer.header("content-range"), Some(range.as_str()), "{:?}", answer.headers);
        assert_eq!(answer.header("content-length"), Some((end - first).to_string().as_str()));
        self.describes(&answer);
        let head = self.index.writer.call("HEAD", &self.path, headers, "");
        // RFC 9110 §14.2: a range is for GET alone, and what a server does for HEAD is left open.
        assert!([200, 206].contains(&head.status), "{head}");
    }

    #[track_caller]
    fn is_whole(&self, headers: &[(&str, &str)]) {
        let answer = self.get(headers).expect(&[200]);
        assert!(answer.body == self.file.bytes, "other bytes for {headers:?}");
        assert_eq!(answer.header("content-range"), None, "{:?}", answer.headers);
        self.describes(&answer);
    }

    /// Asserts that an answer says of the file what clients rely on.
    #[track_caller]
    fn describes(&self, answer: &Answer) {
        let file = &self.file;
        for (name, value) in [
            ("content-type", "application/octet-stream".to_owned()),
            ("accept-ranges", "bytes".to_owned()),
            ("etag", format!("\"sha256:{}\"", file.sha256())),
            ("cache-control", "private, max-age=31536000, immutable".to_owned()),
            ("content-disposition", format!("attachment; filename=\"{}\"", file.filename)),
            ("x-content-type-options", "nosniff".to_owned()),
        ] {
            assert_eq!(answer.header(name), Some(value.as_str()), "{name}: {:?}", answer.headers);
        }
        assert_eq!(answer.header("content-encoding"), None, "{:?}", answer.headers);
        let date = answer.header("last-modified").unwrap_or_default();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date:?}");
    }
}

#[test]
fn a_file_comes_as_it_was_sent() {
    for file in [wheel().build(), Sdist::new(&project(), "1.0").build()] {
        let stored = Stored::of(&file);
        stored.is_whole(&[]);
        // Compressed once is enough: digests are those of the file.
        stored.is_whole(&[("accept-encoding", "gzip, deflate, zstd")]);
        stored.is_whole(&[("accept", "application/json")]);
        let head = stored.index.writer.ask("HEAD", &stored.path).expect(&[200]);
        assert_eq!(head.header("content-length"), Some(file.bytes.len().to_string().as_str()), "{head}");
        assert!(head.body.is_empty());
        stored.describes(&head);
    }
}

#[test]
fn i11_parts_of_a_file() {
    let stored = Stored::new();
    let length = stored.file.bytes.len();
    for (range, first, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=10-19".to_owned(), 10, 20),
        (format!("bytes={}-", length - 5), length - 5, length),
        ("bytes=100-".to_owned(), 100, length),
        ("bytes=-10000".to_owned(), length - 10_000, length),
        ("bytes=-1".to_owned(), length - 1, length),
        // Longer than the file: what there is.
        (format!("bytes=-{}", length * 2), 0, length),
        (format!("bytes=5-{}", length * 2), 5, length),
    ] {
        stored.is_part(&[("range", &range)], first, end);
        // What installers ask with.
        stored.is_part(
            &[("range", &range), ("cache-control", "no-cache"), ("accept-encoding", "identity")],
            first,
            end,
        );
    }
}

#[test]
fn i11_what_is_no_range_of_the_file() {
    let stored = Stored::new();
    let length = stored.file.bytes.len();
    for range in
        [format!("bytes={length}-"), format!("bytes={}-{}", length + 5, length + 10), "bytes=-0".to_owned()]
    {
        let answer = stored.get(&[("range", &range)]).expect(&[416]);
        assert_eq!(answer.header("content-range"), Some(format!("bytes */{length}").as_str()), "{answer}");
    }
    // What is malformed, or in another unit, or of several parts, may be passed over (RFC 9110 §14.2).
    for range in ["bytes=5-4", "bytes=", "bytes=a-b", "lines=0-1", "bytes 0-1", "bytes=0-1,5-6"] {
        let answer = stored.get(&[("range", range)]);
        assert!([200, 206, 416].contains(&answer.status), "{range}: {answer}");
        if answer.status == 200 {
            assert!(answer.body == stored.file.bytes, "other bytes");
        }
    }
}

#[test]
fn i11_a_part_counts_for_the_same_content_only() {
    let stored = Stored::new();
    let length = stored.file.bytes.len();
    let answer = stored.get(&[]);
    let header = |name: &str| answer.header(name).expect("a file has it").to_owned();
    let (tag, date) = (header("etag"), header("last-modified"));
    for current in [&tag, &date] {
        stored.is_part(&[("range", "bytes=7-"), ("if-range", current)], 7, length);
    }
    let weak = format!("W/{tag}");
    for old in ["\"sha256:0\"", &weak, "Sun, 06 Nov 1994 08:49:37 GMT", "nonsense"] {
        stored.is_whole(&[("range", "bytes=7-"), ("if-range", old)]);
    }
}

#[test]
fn i10_a_file_that_a_client_has_is_not_sent_again() {
    let stored = Stored::new();
    for path in [stored.path.clone(), format!("{}.metadata", stored.path)] {
        let answer = stored.index.writer.ask("GET", &path).expect(&[200]);
        let tag = answer.header("etag").expect("a file has a tag");
        for value in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let again =
                stored.index.writer.call("GET", &path, &[("if-none-match", &value)], "").expect(&[304]);
            assert!(again.body.is_empty(), "{again}");
            for name in ["etag", "cache-control", "last-modified"] {
                assert_eq!(again.header(name), answer.header(name), "{name}: {again}");
            }
        }
        stored.index.writer.call("GET", &path, &[("if-none-match", "\"other\"")], "").expect(&[200]);
    }
    assert_ne!(
        stored.get(&[]).header("etag"),
        stored.index.writer.ask("GET", &format!("{}.metadata", stored.path)).header("etag")
    );
}

#[test]
fn metadata_beside_a_wheel_is_its_own_to_the_byte() {
    // Spaces, folded lines, CR LF, and a description that ends without a line break.
    let name = project();
    let text = format!(
        "Metadata-Version: 2.1\r\nName: {name}\r\nVersion: 1.0\r\nSummary:   spaced  \r\nAuthor: Jos\u{e9}\r\n\
         License: one\r\n        two\r\nRequires-Dist: idna\r\n\r\nText \u{2603}\r\n\r\nno line break"
    );
    let stored = Stored::of(&Wheel::new(&name, "1.0").metadata(text.as_bytes()).build());
    let answer = stored.index.writer.ask("GET", &format!("{}.metadata", stored.path)).expect(&[200]);
    assert_eq!(answer.body, text.as_bytes());
    let entry = stored.index.entry(&name, &stored.file.filename);
    let digest = sha256(&answer.body).replace("sha256:", "");
    assert_eq!(entry["core-metadata"]["sha256"], digest, "{entry}");
    assert!(answer.header("content-type").is_some_and(|value| value.starts_with("text/plain")), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("private, max-age=31536000, immutable"), "{answer}");
    assert_eq!(answer.header("content-encoding"), None, "{answer}");
    let head = stored.index.writer.ask("HEAD", &format!("{}.metadata", stored.path)).expect(&[200]);
    assert_eq!(head.header("content-length"), Some(text.len().to_string().as_str()), "{head}");
}

/// What a source distribution says of itself may change when it is built.
#[test]
fn a_source_distribution_has_no_metadata_beside_it() {
    let stored = Stored::of(&Sdist::new(&project(), "1.0").build());
    let entry = stored.index.entry(&stored.file.name, &stored.file.filename);
    assert!(entry.get("core-metadata").is_none() && entry.get("dist-info-metadata").is_none(), "{entry}");
    stored.index.writer.ask("GET", &format!("{}.metadata", stored.path)).expect(&[404]);
}

#[test]
fn i14_a_damaged_file_is_found() {
    let own = OwnIndex::new();
    let (good, bad) = (wheel().build(), wheel().file("data.bin", random_bytes(3000)).build());
    own.index.takes(&good);
    own.index.takes(&bad);
    own.collect();
    own.scrub();
    let stored = object_files(&own.server, &sha256(&bad.bytes)).pop().expect("the wheel is stored");
    let mut bytes = bad.bytes.clone();
    bytes[1000] ^= 1;
    std::fs::write(&stored, &bytes).expect("the object can be damaged");
    let name = stored.file_name().expect("an object has a name").to_string_lossy().into_owned();
    run(&mut own.server.command(&["scrub"]))
        .failure()
        .says(&format!("damaged: object {name}: its content does not hash"))
        .says(": 1 suspects");
    // The page goes on saying what the bytes should be, so that every installer refuses what it gets.
    let entry = own.index.entry(&bad.name, &bad.filename);
    assert_eq!(entry["hashes"]["sha256"], bad.sha256());
    let organization = &own.index.organization().name;
    let answer = own.index.writer.python_file(organization, "main", &bad.name, &bad.filename).expect(&[200]);
    assert_ne!(sha256(&answer.body), sha256(&bad.bytes));
    own.index.writer.python_file(organization, "main", &good.name, &good.filename).expect(&[200]);
    // What is lost altogether is said to be lost, and is no 404.
    std::fs::remove_file(&stored).expect("the object can be lost");
    own.index.writer.python_file(organization, "main", &bad.name, &bad.filename).expect(&[503]);
    run(&mut own.server.command(&["scrub"])).failure().says(&format!("missing: object {name}"));
}
