//! How much an upload may be, and what one costs that is too much: memory that does not grow, and nothing that
//! stays.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::python::{BuiltFile, Entry, Part, Sdist, TarEntry, Upload, Wheel};
use testkit::{Api, Method, Server, random_bytes};

use super::scene::{AT_ONCE, Index, OwnIndex, expect_refusal, leaving_nothing, project, wheel};
use crate::scene::{own_server, stored_files};

const MEBIBYTE: u64 = 1024 * 1024;
const SIZE: &str = "SIZE_INVALID";

/// A wheel of about this many bytes.
fn wheel_of(bytes: u64) -> BuiltFile {
    let length = usize::try_from(bytes).expect("a test's file fits in memory");
    wheel().file("data", random_bytes(length)).build_with(|archive| archive.entry("data").method = 0)
}

/// By how many bytes the most memory that the server ever had grows meanwhile.
fn memory_of(server: &Server, work: impl FnOnce()) -> u64 {
    let before = server.peak_memory();
    work();
    server.peak_memory().saturating_sub(before)
}

/// What a test sends by hand.
struct Wire {
    stream: TcpStream,
}

impl Wire {
    /// A connection on which an upload has begun; the body is up to the caller.
    fn begin(index: &Index, length: Option<u64>) -> Self {
        Self::begin_with(&index.writer, index, length, &[])
    }

    /// The same as somebody, with more header fields.
    fn begin_with(api: &Api, index: &Index, length: Option<u64>, headers: &[(&str, &str)]) -> Self {
        let model = api.request(Method::POST, "/").build().expect("a request can be built");
        let authorization = model.headers()["authorization"].to_str().expect("credentials are text");
        let length = length
            .map_or("Transfer-Encoding: chunked".to_owned(), |length| format!("Content-Length: {length}"));
        let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let headers = headers.concat();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nContent-Type: {}\r\n{length}\r\n{headers}\r\n",
            index.path(""),
            index.host(),
            Upload::content_type(),
        );
        let mut stream = TcpStream::connect(index.host()).expect("the server accepts connections");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit can be set");
        stream.write_all(head.as_bytes()).expect("the server takes the head");
        Self { stream }
    }

    /// Sends more of the body; whether the server still takes it.
    fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next line that the server sends.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\n") && self.stream.read(&mut byte).is_ok_and(|length| length == 1) {
            line.extend_from_slice(&byte);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Everything that the server says before it ends the connection or goes silent.
    fn answer(mut self) -> String {
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..length]);
            if length == 0 || answer.ends_with(b"}") {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// The beginning of a form up to the content of the field or file `head`.
fn opening(head: &str) -> Vec<u8> {
    let boundary = Upload::content_type();
    let boundary = boundary.split_once("boundary=").expect("the type has a boundary").1.to_owned();
    format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes()
}

#[test]
fn u22_a_file_of_the_limit_is_taken_and_one_byte_more_is_not() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel_of(MEBIBYTE);
    let size = file.bytes.len();
    index.policy(&json!({ "file_bytes": size - 1 }));
    let sentence = format!("the file is larger than {} bytes, which is the limit of this registry", size - 1);
    for form in [Upload::new(&file), Upload::new(&file).content_first()] {
        expect_refusal(index.send(&form), 413, SIZE, &sentence);
    }
    index.has_nothing_of(&file.name);
    own.collect();
    own.scrub();
    assert_eq!(stored_files(&own.server).len(), 0);
    index.policy(&json!({ "file_bytes": size }));
    index.takes(&file);
    // What is there stays when the limit is lowered later.
    index.policy(&json!({ "file_bytes": 10 }));
    assert_eq!(index.files(&file.name), [file.filename]);
}

#[test]
fn u22_s3_a_file_far_over_the_limit_costs_no_memory() {
    let own = OwnIndex::new();
    let index = &own.index;
    index.policy(&json!({ "file_bytes": 10 * MEBIBYTE }));
    index.takes(&wheel_of(9 * MEBIBYTE));
    let collected = |server| stored_files(server).len();
    own.collect();
    let before = collected(&own.server);
    let file = wheel_of(30 * MEBIBYTE);
    let grown = memory_of(&own.server, || {
        // By its length, and in the middle when the length says nothing.
        expect_refusal(index.upload(&file), 413, SIZE, "the file is larger than 10485760 bytes");
        let small = wheel_of(15 * MEBIBYTE);
        expect_refusal(index.upload(&small), 413, SIZE, "the file is larger than 10485760 bytes");
        let mut wire = Wire::begin(index, None);
        let start = opening("name=\"content\"; filename=\"demo-1.0-py3-none-any.whl\"");
        wire.send(format!("{:x}\r\n", start.len()).as_bytes());
        wire.send(&start);
        wire.send(b"\r\n");
        let piece = random_bytes(1 << 16);
        for _ in 0..480 {
            if !(wire.send(b"10000\r\n") && wire.send(&piece) && wire.send(b"\r\n")) {
                break;
            }
        }
        // There is no end of the body, and yet an answer, unless it was lost when the server hung up.
        let answer = wire.answer();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 the file is larger"), "{answer}");
    });
    assert!(grown < 16 * MEBIBYTE, "{grown} bytes");
    own.collect();
    own.scrub();
    assert_eq!(collected(&own.server), before);
    index.has_nothing_of(&file.name);
}

#[test]
fn b2_s3_forms_with_too_much_beside_the_file() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let form = || Upload::new(&file);
        let long = |field: &str, length: usize| form().part(Part::text(field, vec![b'x'; length]));
        let many = |count: usize| {
            let mut many = form();
            many.parts.splice(0..0, (0..count).map(|number| Part::text("classifiers", format!("{number}"))));
            many
        };
        let total = (0..130).fold(form(), |form, _| form.part(Part::text("classifiers", vec![b'x'; 65_000])));
        for (form, sentence) in [
            (many(10_000), "the form has more than 4096 parts"),
            (many(4097), "the form has more than 4096 parts"),
            (long("summary", 65_537), "summary: longer than 65536 bytes"),
            (long("unknown_field", 65_537), "unknown_field: longer than 65536 bytes"),
            (long("description", 2 * 1024 * 1024 + 1), "description: longer than 2097152 bytes"),
            (long("attestations", 1024 * 1024 + 1), "attestations: longer than 1048576 bytes"),
            (total, "the form has more than 8388608 bytes beside the file"),
            (
                form().part(Part::file("gpg_signature", "x.asc", vec![b'x'; 1024 * 1024 + 1])),
                "gpg_signature: longer than 1048576 bytes",
            ),
        ] {
            expect_refusal(index.send(&form), 413, SIZE, sentence);
            let mut last = form.clone();
            let content = last.parts.iter().position(|part| part.name == "content").expect("there is one");
            let content = last.parts.remove(content);
            last.parts.insert(0, content);
            expect_refusal(index.send(&last), 413, SIZE, sentence);
        }
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn forms_with_as_much_as_long_metadata_needs_are_taken() {
    let index = Index::new();
    let file = wheel().build();
    let mut form = Upload::new(&file).part(Part::text("description", vec![b'x'; 2 * 1024 * 1024]));
    for number in 0..4000 {
        form = form.part(Part::text("classifiers", format!("Topic :: {number}")));
    }
    super::scene::expect_taken(index.send(&form));
    assert_eq!(index.files(&file.name), [file.filename]);
}

/// A field of a gigabyte is refused as soon as it is too long, and what follows is not even read.
#[test]
fn s3_a_text_field_of_a_gigabyte() {
    let own = OwnIndex::new();
    let index = &own.index;
    index.takes(&wheel().build());
    let begun = Instant::now();
    let grown = memory_of(&own.server, || {
        let mut wire = Wire::begin(index, Some(1024 * MEBIBYTE));
        wire.send(&opening("name=\"description\""));
        let piece = vec![b'x'; 1 << 20];
        let mut sent = 0;
        while sent < 1024 && wire.send(&piece) {
            sent += 1;
        }
        assert!(sent < 100, "the server took {sent} MiB");
        let answer = wire.answer();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 description: longer than"), "{answer}");
    });
    assert!(grown < 16 * MEBIBYTE, "{grown} bytes");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    index.takes(&wheel().build());
}

#[test]
fn s3_an_upload_that_stands_still_is_given_up() {
    let server = own_server(&[AT_ONCE.as_slice(), &[("LARDER_UPLOADS__STALL_TIMEOUT", "1s")]].concat());
    let index = Index::on(&server);
    let file = wheel().build();
    let body = Upload::new(&file).body();
    let content = body.windows(4).position(|window| window == b"PK\x03\x04").expect("the form has a wheel");
    // In a head, in a field, and in the file.
    for length in [20, 70, content + 100] {
        let begun = Instant::now();
        let mut wire = Wire::begin(&index, Some(body.len() as u64));
        assert!(wire.send(&body[..length]));
        let answer = wire.answer();
        assert!(answer.starts_with("HTTP/1.1 400 "), "after {length} bytes: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(15), "after {length} bytes: {:?}", begun.elapsed());
    }
    index.is_empty();
    testkit::run(&mut server.command(&["gc", "--once"])).success();
    testkit::run(&mut server.command(&["scrub"])).success().says(": 0 suspects");
    assert_eq!(stored_files(&server).len(), 0);
    index.takes(&file);
}

#[test]
fn s3_clients_that_hang_up_leave_nothing() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().file("data", random_bytes(200_000)).build();
    let body = Upload::new(&file).body();
    let content = body.windows(4).position(|window| window == b"PK\x03\x04").expect("the form has a wheel");
    for how in [Shutdown::Both, Shutdown::Write] {
        for length in [0, 20, content, content + 100_000, body.len() - 3] {
            let mut wire = Wire::begin(index, Some(body.len() as u64));
            assert!(wire.send(&body[..length]));
            wire.stream.shutdown(how).expect("a connection can be ended");
            let answer = wire.answer();
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
        }
    }
    // The server notices in its own time.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        own.collect();
        let left = stored_files(&own.server);
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "the store holds {left:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    own.scrub();
    index.is_empty();
}

/// What is small on the wire and large when it is opened takes neither memory nor time.
#[test]
fn t26_archives_that_expand_cost_no_memory() {
    let own = OwnIndex::new();
    let index = &own.index;
    index.takes(&wheel().build());
    index.takes(&Sdist::new(&project(), "1.0").build());
    let many_members =
        (0..60_000).fold(wheel(), |wheel, number| wheel.file(&format!("{number}"), "")).build();
    let deep = wheel().build_with(|archive| archive.add(&"a/".repeat(500), ""));
    let long_names = wheel().build_with(|archive| {
        let name = |number: usize| format!("{number:01000}");
        archive.entries.extend((0..20_000).map(|number| Entry { method: 0, ..Entry::new(name(number), "") }));
    });
    let tar = |edit: &dyn Fn(&mut testkit::python::Tar, &str)| {
        let name = project();
        let directory = format!("{}-1.0", name.replace('-', "_"));
        Sdist::new(&name, "1.0").build_with(|archive| edit(archive, &directory))
    };
    let bombs = [
        wheel().build_with(|archive| archive.entries.push(Entry::zeros("zeros", 512 * MEBIBYTE))),
        wheel().file("zeros", vec![0; 60 << 20]).build_with(|archive| archive.entry("zeros").size = Some(10)),
        wheel().build_with(|archive| {
            for number in 0..30_000 {
                let shared =
                    Entry { offset: Some(0), central_only: true, ..Entry::new(format!("{number}"), "x") };
                archive.entries.push(shared);
            }
        }),
        Wheel::new(&project(), "1.0").description(&"x".repeat(60 << 20)).build(),
        wheel().record("x".repeat(60 << 20)).build(),
        wheel().dist_info_file("entry_points.txt", "x".repeat(50 << 20)).build(),
        long_names,
        tar(&|archive, directory| {
            archive.entries.push(TarEntry::zeros(format!("{directory}/z"), 1024 * MEBIBYTE));
        }),
        tar(&|archive, directory| {
            archive
                .entries
                .push(TarEntry { kind: b'x', ..TarEntry::zeros(format!("{directory}/z"), 60 * MEBIBYTE) });
        }),
        tar(&|archive, directory| {
            archive
                .entries
                .push(TarEntry { kind: b'L', ..TarEntry::zeros(format!("{directory}/z"), 60 * MEBIBYTE) });
        }),
        tar(&|archive, directory| {
            archive
                .entries
                .extend((0..100_000).map(|number| TarEntry::new(format!("{directory}/{number}"), "")));
            archive
                .entries
                .extend((0..100_001).map(|number| TarEntry::new(format!("{directory}/x{number}"), "")));
        }),
    ];
    let begun = Instant::now();
    let grown = memory_of(&own.server, || {
        for bomb in &bombs {
            let answer = index.upload(bomb);
            assert_eq!(answer.status, 400, "{answer}");
            index.has_nothing_of(&bomb.name);
        }
        index.takes(&many_members);
        index.takes(&deep);
    });
    assert!(grown < 64 * MEBIBYTE, "{grown} bytes");
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
}

/// Text that is short when it is compressed and has very many parts.
#[test]
fn t26_descriptions_of_very_many_parts_cost_little_memory() {
    let own = OwnIndex::new();
    let index = &own.index;
    index.takes(&wheel().build());
    index.policy(&json!({ "record": "warn" }));
    let metadata = |line: &str| {
        let name = project();
        let start = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
        let lines = line.repeat(((4 << 20) - start.len()) / line.len());
        Wheel::new(&name, "1.0").metadata(start + &lines).build()
    };
    let files = [
        metadata("A:b\n"),
        metadata("Classifier: x\n"),
        metadata("Requires-Dist: x\n"),
        metadata(" \n"),
        wheel().record("a,sha256=x,1\n".repeat((16 << 20) / 13)).build(),
        wheel().record(",,\n".repeat((16 << 20) / 3)).build(),
        wheel().record(",".repeat(16 << 20)).build(),
        wheel().wheel("Tag: a-b-c\n".repeat((256 << 10) / 11)).build(),
        wheel().dist_info_file("entry_points.txt", "a=b\n".repeat((1 << 20) / 4)).build(),
    ];
    for file in &files {
        let begun = Instant::now();
        let grown = memory_of(&own.server, || {
            let answer = index.upload(file);
            assert!([200, 400].contains(&answer.status), "{answer}");
        });
        assert!(grown < 48 * MEBIBYTE, "{grown} bytes");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_first() {
    let index = Index::new();
    let viewer = index.organization().member(testkit::Role::Viewer);
    let file = wheel().build();
    let body = Upload::new(&file).body();
    let expect = [("Expect", "100-continue")];
    let mut wire = Wire::begin_with(&viewer, &index, Some(body.len() as u64), &expect);
    assert!(wire.line().starts_with("HTTP/1.1 403 "));
    let mut wire = Wire::begin_with(&index.writer, &index, Some(body.len() as u64), &expect);
    assert!(wire.line().starts_with("HTTP/1.1 100 "));
    assert!(wire.line().trim().is_empty());
    assert!(wire.send(&body));
    assert!(wire.line().starts_with("HTTP/1.1 200 "));
    assert_eq!(index.files(&file.name), [file.filename]);
}
