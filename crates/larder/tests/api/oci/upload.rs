//! Pushing blobs: in one request, in chunks, and after something went wrong in between.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use testkit::{Answer, Api, Role, random_bytes, random_word, sha256};

use crate::scene::{Calls as _, Organization, chunked, connect, expect_error, server, writer_and_repository};

/// An open upload.
struct Upload {
    writer: Api,
    repository: String,
    location: String,
}

impl Upload {
    fn new() -> Self {
        let (writer, repository) = writer_and_repository();
        let location = writer.upload_open(&repository);
        Self { writer, repository, location }
    }

    #[track_caller]
    fn patch(&self, range: &str, bytes: &[u8]) -> Answer {
        self.writer.call("PATCH", &self.location, &[("content-range", range)], bytes.to_vec())
    }

    #[track_caller]
    fn put(&self, digest: &str, range: Option<&str>, bytes: &[u8]) -> Answer {
        let headers: Vec<_> = range.map(|range| ("content-range", range)).into_iter().collect();
        self.writer.call("PUT", &format!("{}?digest={digest}", self.location), &headers, bytes.to_vec())
    }

    /// What the server says that it has.
    #[track_caller]
    fn range(&self) -> String {
        let answer = self.writer.ask("GET", &self.location).expect(&[204]);
        self.check_place(&answer);
        answer.header("range").expect("an upload has a range").to_owned()
    }

    /// Asserts that an answer tells a client where to go on.
    #[track_caller]
    fn check_place(&self, answer: &Answer) {
        assert_eq!(answer.header("location"), Some(self.location.as_str()), "{answer}");
        let id = self.location.rsplit('/').next();
        assert_eq!(answer.header("docker-upload-uuid"), id, "{answer}");
    }

    /// Asserts that an answer refuses a chunk and tells where the upload stands.
    #[track_caller]
    fn check_out_of_order(&self, answer: Answer, range: &str) {
        self.check_place(&answer);
        assert_eq!(answer.header("range"), Some(range), "{answer}");
        expect_error(answer, 416, "BLOB_UPLOAD_INVALID");
        assert_eq!(self.range(), range, "nothing was written");
    }

    #[track_caller]
    fn check_stored(&self, answer: Answer, bytes: &[u8]) {
        check_stored(&self.writer, &self.repository, answer, bytes);
    }

    /// Asserts that the session is no more.
    #[track_caller]
    fn check_gone(&self) {
        let digest = sha256(b"");
        for (method, query) in [("GET", ""), ("PATCH", ""), ("PUT", digest.as_str()), ("DELETE", "")] {
            let query = if query.is_empty() { String::new() } else { format!("?digest={query}") };
            let answer = self.writer.ask(method, &format!("{}{query}", self.location));
            expect_error(answer, 404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
}

/// Asserts that an answer says "created", and that the blob is where the answer says.
#[track_caller]
fn check_stored(writer: &Api, repository: &str, answer: Answer, bytes: &[u8]) {
    let answer = answer.expect(&[201]);
    let digest = sha256(bytes);
    let location = format!("/v2/{repository}/blobs/{digest}");
    assert_eq!(answer.header("location"), Some(location.as_str()), "{answer}");
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
    assert_eq!(answer.header("content-length"), Some("0"), "{answer}");
    let head = writer.ask("HEAD", &location).expect(&[200]);
    assert_eq!(head.header("content-length"), Some(bytes.len().to_string().as_str()), "{head}");
    assert!(writer.ask("GET", &location).expect(&[200]).body == bytes, "the blob holds other bytes");
}

#[test]
fn an_upload_begins_with_a_relative_location() {
    let (writer, repository) = writer_and_repository();
    for path in [format!("/v2/{repository}/blobs/uploads/"), format!("/v2/{repository}/blobs/uploads")] {
        let answer = writer.call("POST", &path, &[("content-type", "application/json")], "").expect(&[202]);
        let id = answer.header("docker-upload-uuid").expect("an upload has an identifier");
        assert_eq!(id.len(), 36, "{answer}");
        let location = format!("/v2/{repository}/blobs/uploads/{id}");
        assert_eq!(answer.header("location"), Some(location.as_str()), "{answer}");
        assert_eq!(answer.header("range"), Some("0-0"), "{answer}");
        assert_eq!(answer.header("content-length"), Some("0"), "{answer}");
        assert!(answer.body.is_empty());
        let status = writer.ask("GET", &location).expect(&[204]);
        assert_eq!(status.header("range"), Some("0--1"), "{status}");
        let status = writer.ask("HEAD", &location).expect(&[204]);
        assert_eq!(status.header("docker-upload-uuid"), Some(id), "{status}");
    }
}

#[test]
fn a_whole_blob_in_one_post() {
    let (writer, repository) = writer_and_repository();
    for bytes in [random_bytes(70_000), Vec::new()] {
        let digest = sha256(&bytes);
        for escaped in [digest.clone(), digest.replace(':', "%3A")] {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={escaped}");
            check_stored(&writer, &repository, writer.call("POST", &path, &[], bytes.clone()), &bytes);
            check_stored(&writer, &repository, writer.call("POST", &path, &[], chunked(&bytes)), &bytes);
        }
    }
}

#[test]
fn i1_a_post_with_other_bytes_than_its_digest_is_refused() {
    let (writer, repository) = writer_and_repository();
    let digest = sha256(b"these bytes");
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let message = expect_error(writer.call("POST", &path, &[], "other bytes"), 400, "DIGEST_INVALID");
    assert!(message.contains(&digest) && message.contains(&sha256(b"other bytes")), "{message}");
    expect_error(writer.ask("GET", &format!("/v2/{repository}/blobs/{digest}")), 404, "BLOB_UNKNOWN");
    let other = format!("/v2/{repository}/blobs/{}", sha256(b"other bytes"));
    expect_error(writer.ask("GET", &other), 404, "BLOB_UNKNOWN");
}

#[test]
fn a_post_without_bytes_for_content_that_has_some_opens_a_session() {
    let (writer, repository) = writer_and_repository();
    let digest = sha256(b"later");
    let answer =
        writer.ask("POST", &format!("/v2/{repository}/blobs/uploads/?digest={digest}")).expect(&[202]);
    let location = answer.header("location").expect("a session has a location").to_owned();
    let answer = writer.call("PUT", &format!("{location}?digest={digest}"), &[], "later");
    check_stored(&writer, &repository, answer, b"later");
}

#[test]
fn a_whole_blob_in_the_closing_put() {
    for body in [random_bytes(70_000), Vec::new()] {
        let upload = Upload::new();
        upload.check_stored(upload.put(&sha256(&body), None, &body), &body);
        let upload = Upload::new();
        let path = format!("{}?digest={}", upload.location, sha256(&body).replace(':', "%3a"));
        let answer =
            upload.writer.call("PUT", &path, &[("content-type", "application/octet-stream")], chunked(&body));
        upload.check_stored(answer, &body);
    }
}

#[test]
fn a_stream_without_a_range_and_an_empty_put() {
    let upload = Upload::new();
    let bytes = random_bytes(300_000);
    let (one, other) = bytes.split_at(200_000);
    let answer = upload.writer.call("PATCH", &upload.location, &[], chunked(one)).expect(&[202]);
    upload.check_place(&answer);
    assert_eq!(answer.header("range"), Some("0-199999"), "{answer}");
    assert_eq!(answer.header("content-length"), Some("0"), "{answer}");
    let answer = upload.writer.call("PATCH", &upload.location, &[], other.to_vec()).expect(&[202]);
    assert_eq!(answer.header("range"), Some("0-299999"), "{answer}");
    upload.check_stored(upload.put(&sha256(&bytes), None, b""), &bytes);
}

#[test]
fn chunks_in_order() {
    let upload = Upload::new();
    let bytes = random_bytes(3000);
    for (range, first) in [("0-999", 0), ("1000-1999", 1000)] {
        let answer = upload.patch(range, &bytes[first..first + 1000]).expect(&[202]);
        upload.check_place(&answer);
        let range = format!("0-{}", first + 999);
        assert_eq!(answer.header("range"), Some(range.as_str()), "{answer}");
        assert_eq!(upload.range(), range);
    }
    upload.check_stored(upload.put(&sha256(&bytes), Some("2000-2999"), &bytes[2000..]), &bytes);
}

#[test]
fn the_end_of_a_range_is_not_believed() {
    // Some clients count the end of a chunk as the first byte after it.
    let upload = Upload::new();
    let answer = upload.patch("0-10", b"0123456789").expect(&[202]);
    assert_eq!(answer.header("range"), Some("0-9"), "{answer}");
    upload.patch("10-20", b"abcdefghij").expect(&[202]);
    // And name a byte with a last request that has none.
    let bytes = b"0123456789abcdefghij";
    upload.check_stored(upload.put(&sha256(bytes), Some("19-19"), b""), bytes);
}

#[test]
fn a_chunk_out_of_order_is_refused_and_the_session_goes_on() {
    let upload = Upload::new();
    upload.check_out_of_order(upload.patch("1000-1004", b"ahead"), "0--1");
    upload.patch("0-4", b"01234").expect(&[202]);
    upload.check_out_of_order(upload.patch("0-4", b"01234"), "0-4");
    upload.check_out_of_order(upload.patch("6-9", b"6789"), "0-4");
    for malformed in ["bytes 5-9/*", "5-", "-5", "5", "9-5", "five-nine", "5-9/10", "+5-9"] {
        upload.check_out_of_order(upload.patch(malformed, b"56789"), "0-4");
    }
    upload.patch("5-9", b"56789").expect(&[202]);
    upload.check_stored(upload.put(&sha256(b"0123456789"), None, b""), b"0123456789");
}

#[test]
fn a_closing_put_out_of_order_is_refused_and_the_session_goes_on() {
    let upload = Upload::new();
    let digest = sha256(b"0123456789");
    upload.patch("0-4", b"01234").expect(&[202]);
    upload.check_out_of_order(upload.put(&digest, Some("6-9"), b"6789"), "0-4");
    upload.check_out_of_order(upload.put(&digest, Some("0-4"), b"01234"), "0-4");
    upload.check_out_of_order(upload.put(&digest, Some("oops"), b"56789"), "0-4");
    // The status is asked for under the very URL of the closing request.
    let answer = upload.writer.ask("GET", &format!("{}?digest={digest}", upload.location)).expect(&[204]);
    assert_eq!(answer.header("range"), Some("0-4"), "{answer}");
    upload.check_stored(upload.put(&digest, Some("5-9"), b"56789"), b"0123456789");
}

#[test]
fn the_first_location_stays_good() {
    // Clients may hold on to the location of the POST; where the upload stands is not in it.
    let upload = Upload::new();
    let answer = upload.patch("0-4", b"01234").expect(&[202]);
    let later = answer.header("location").expect("an upload has a location").to_owned();
    assert_eq!(later, upload.location);
    upload.patch("5-9", b"56789").expect(&[202]);
    assert_eq!(upload.range(), "0-9");
    // Whatever a client adds to it.
    upload.writer.ask("GET", &format!("{}?_state=something", upload.location)).expect(&[204]);
    upload.check_stored(upload.put(&sha256(b"0123456789"), None, b""), b"0123456789");
}

#[test]
fn a_put_without_a_usable_digest_costs_nothing() {
    let upload = Upload::new();
    upload.patch("0-4", b"01234").expect(&[202]);
    let message = expect_error(upload.writer.ask("PUT", &upload.location), 400, "DIGEST_INVALID");
    assert!(message.contains("?digest="), "{message}");
    for digest in
        ["sha256:bad", "content", &format!("md5:{}", "0".repeat(32)), &format!("blake3:{}", "0".repeat(64))]
    {
        expect_error(upload.put(digest, None, b"56789"), 400, "DIGEST_INVALID");
    }
    assert_eq!(upload.range(), "0-4");
    upload.check_stored(upload.put(&sha256(b"01234"), None, b""), b"01234");
}

#[test]
fn i1_a_put_with_the_wrong_digest_ends_the_session() {
    let upload = Upload::new();
    upload.patch("0-4", b"01234").expect(&[202]);
    let wrong = sha256(b"something else");
    expect_error(upload.put(&wrong, None, b""), 400, "DIGEST_INVALID");
    upload.check_gone();
    for digest in [wrong, sha256(b"01234")] {
        let path = format!("/v2/{}/blobs/{digest}", upload.repository);
        expect_error(upload.writer.ask("GET", &path), 404, "BLOB_UNKNOWN");
    }
}

#[test]
fn a_put_whose_answer_was_lost_may_be_repeated() {
    let upload = Upload::new();
    let digest = sha256(b"0123456789");
    upload.check_stored(upload.put(&digest, None, b"0123456789"), b"0123456789");
    upload.check_stored(upload.put(&digest, None, b"0123456789"), b"0123456789");
    // Only the same request is answered: for everything else the session is over.
    expect_error(upload.put(&sha256(b"other"), None, b"other"), 404, "BLOB_UPLOAD_UNKNOWN");
    expect_error(upload.writer.ask("GET", &upload.location), 404, "BLOB_UPLOAD_UNKNOWN");
    expect_error(upload.patch("10-11", b"ab"), 404, "BLOB_UPLOAD_UNKNOWN");
}

/// A client that repeats it sends the body once more, and an answer before its end would be taken for one to the
/// request that follows on the same connection.
#[test]
fn a_repeated_closing_put_is_answered_after_its_body_and_the_connection_goes_on() {
    let upload = Upload::new();
    let bytes = random_bytes(4 * 1024 * 1024);
    let digest = sha256(&bytes);
    upload.check_stored(upload.put(&digest, None, &bytes), &bytes);
    let mut connection = connect(server());
    for _ in 0..3 {
        let request = head(&upload, "PUT", &format!("Content-Length: {}", bytes.len()))
            .replacen(" HTTP", &format!("?digest={digest} HTTP"), 1)
            .replace("Connection: close\r\n", "");
        let (first, second) = bytes.split_at(bytes.len() / 2);
        connection.write_all(request.as_bytes()).expect("the server reads");
        connection.write_all(first).expect("the server reads");
        connection.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit can be set");
        let early = connection.read(&mut [0]);
        assert!(early.is_err(), "an answer before the end of the body: {early:?}");
        connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit can be set");
        connection.write_all(second).expect("the server reads");
        let answer = read_head(&mut connection);
        assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
        assert!(answer.contains(&format!("\r\ndocker-content-digest: {digest}\r\n")), "{answer}");
        assert!(answer.contains("\r\ncontent-length: 0\r\n"), "{answer}");
        assert!(!answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
    // The next request is read where the body ended.
    let next = head(&upload, "GET", "Content-Length: 0").replacen(&upload.location, "/v2/", 1);
    connection.write_all(next.as_bytes()).expect("the server reads");
    let answer = read_head(&mut connection);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// The head of an answer, in lower case but for its first line, and not a byte more.
fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("the server answers");
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let (status, fields) = head.split_once("\r\n").expect("a head has lines");
    format!("{status}\r\n{}", fields.to_lowercase())
}

#[test]
fn a_cancelled_upload_is_gone() {
    let upload = Upload::new();
    upload.patch("0-4", b"01234").expect(&[202]);
    let answer = upload.writer.ask("DELETE", &upload.location).expect(&[204]);
    assert!(answer.body.is_empty());
    upload.check_gone();
}

#[test]
fn an_upload_belongs_to_who_began_it_and_where() {
    let organization = Organization::new();
    let (one, other) = (organization.member(Role::Writer), organization.member(Role::Writer));
    let repository = organization.repository("app");
    let location = one.upload_open(&repository);
    let elsewhere = location.replace("/app/", "/elsewhere/");
    for (caller, path) in [(&other, &location), (&one, &elsewhere)] {
        let digest = sha256(b"");
        for (method, path) in [
            ("GET", path.clone()),
            ("PATCH", path.clone()),
            ("PUT", format!("{path}?digest={digest}")),
            ("DELETE", path.clone()),
        ] {
            expect_error(caller.ask(method, &path), 404, "BLOB_UPLOAD_UNKNOWN");
        }
    }
    one.ask("GET", &location).expect(&[204]);
}

/// The head of a raw request to an upload.
fn head(upload: &Upload, method: &str, fields: &str) -> String {
    let request =
        upload.writer.request(testkit::Method::GET, "/").build().expect("a plain request can be built");
    let authorization = request.headers()["authorization"].to_str().expect("credentials are text");
    format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\nConnection: close\r\n{fields}\r\n\r\n",
        upload.location,
        server().host()
    )
}

/// Waits until the upload stands at `range`.
#[track_caller]
fn wait_for_range(upload: &Upload, range: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let now = upload.range();
        if now == range {
            return;
        }
        assert!(Instant::now() < deadline, "the upload stands at {now} and not at {range}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn of_two_chunks_at_the_same_time_one_is_refused() {
    let upload = Upload::new();
    let mut first = connect(server());
    let fields = "Content-Range: 0-9\r\nContent-Length: 10";
    first.write_all(head(&upload, "PATCH", fields).as_bytes()).unwrap();
    first.write_all(b"01234").unwrap();
    // Whichever of the two gets hold of the session: the other one hears that it is out of order.
    let second = upload.patch("0-9", b"abcdefghij");
    first.write_all(b"56789").unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    let (winner, loser) = (b"0123456789", b"abcdefghij");
    let stored: &[u8] = if second.status == 202 {
        assert!(answer.starts_with("HTTP/1.1 416 "), "{answer}");
        assert!(answer.to_lowercase().contains("\r\nrange: 0-"), "{answer}");
        assert!(answer.contains(&upload.location), "{answer}");
        loser
    } else {
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
        upload.check_place(&second);
        expect_error(second, 416, "BLOB_UPLOAD_INVALID");
        winner
    };
    assert_eq!(upload.range(), "0-9");
    upload.check_stored(upload.put(&sha256(stored), None, b""), stored);
}

/// A session that another request holds: its first half is sent, and the connection waits for the rest.
fn session_in_use() -> (Upload, TcpStream) {
    // A look that comes before the first request has the session takes it for a moment itself, and then the
    // first request is the one that is refused: such a try is given up for another.
    for _ in 0..20 {
        let upload = Upload::new();
        let mut first = connect(server());
        let fields = "Content-Range: 0-9\r\nContent-Length: 10";
        first.write_all(head(&upload, "PATCH", fields).as_bytes()).expect("the server reads");
        first.write_all(b"01234").expect("the server reads");
        std::thread::sleep(Duration::from_millis(200));
        // A chunk ahead is refused in any case, so it does no harm.
        let answer = upload.patch("20-29", b"abcdefghij");
        if expect_error(answer, 416, "BLOB_UPLOAD_INVALID").contains("another request") {
            return (upload, first);
        }
    }
    panic!("the session is never taken");
}

#[test]
fn a_session_in_use_refuses_a_second_writer_and_answers_about_its_state() {
    let (upload, mut first) = session_in_use();
    let answer = upload.put(&sha256(b"abc"), None, b"abc");
    upload.check_place(&answer);
    expect_error(answer, 416, "BLOB_UPLOAD_INVALID");
    assert_eq!(upload.range(), "0--1");
    first.write_all(b"56789").unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    upload.check_stored(upload.put(&sha256(b"0123456789"), None, b""), b"0123456789");
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_a_chunk_loses_nothing_that_came() {
    let bytes = random_bytes(100_000);
    let framings: [(&str, &[u8]); 2] =
        [("Content-Length: 100000", b""), ("Transfer-Encoding: chunked", b"186a0\r\n")];
    for (framing, prefix) in framings {
        let upload = Upload::new();
        let mut broken = connect(server());
        broken.write_all(head(&upload, "PATCH", framing).as_bytes()).unwrap();
        broken.write_all(prefix).unwrap();
        broken.write_all(&bytes[..60_000]).unwrap();
        broken.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        // The server may still say what it thinks of this; nobody has to hear it.
        let _ = broken.read_to_string(&mut answer);
        drop(broken);
        wait_for_range(&upload, "0-59999");
        upload.patch("60000-99999", &bytes[60_000..]).expect(&[202]);
        upload.check_stored(upload.put(&sha256(&bytes), None, b""), &bytes);
    }
}

#[test]
fn a_connection_that_breaks_in_the_closing_put_leaves_the_session() {
    let upload = Upload::new();
    let bytes = random_bytes(100_000);
    upload.patch("0-49999", &bytes[..50_000]).expect(&[202]);
    let mut broken = connect(server());
    let closing = head(&upload, "PUT", "Content-Length: 50000").replacen(
        " HTTP",
        &format!("?digest={} HTTP", sha256(&bytes)),
        1,
    );
    broken.write_all(closing.as_bytes()).unwrap();
    broken.write_all(&bytes[50_000..70_000]).unwrap();
    drop(broken);
    wait_for_range(&upload, "0-69999");
    let path = format!("/v2/{}/blobs/{}", upload.repository, sha256(&bytes));
    upload.writer.ask("GET", &path).expect(&[404]);
    upload.check_stored(upload.put(&sha256(&bytes), Some("70000-99999"), &bytes[70_000..]), &bytes);
}

#[test]
fn a_connection_that_breaks_in_a_post_leaves_nothing() {
    let (writer, repository) = writer_and_repository();
    let bytes = random_bytes(100_000);
    let digest = sha256(&bytes);
    let location = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let upload = Upload { writer, repository, location };
    let mut broken = connect(server());
    broken.write_all(head(&upload, "POST", "Content-Length: 100000").as_bytes()).unwrap();
    broken.write_all(&bytes[..60_000]).unwrap();
    broken.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = broken.read_to_string(&mut answer);
    upload.writer.ask("GET", &format!("/v2/{}/blobs/{digest}", upload.repository)).expect(&[404]);
    upload.writer.blob_push(&upload.repository, &bytes);
}

#[test]
fn the_same_content_may_come_again_and_in_parallel() {
    let (writer, repository) = writer_and_repository();
    let bytes = [random_word().into_bytes(), random_bytes(200_000)].concat();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| writer.blob_push(&repository, &bytes));
        }
    });
    let digest = writer.blob_push(&repository, &bytes);
    let answer = writer.ask("GET", &format!("/v2/{repository}/blobs/{digest}")).expect(&[200]);
    assert!(answer.body == bytes, "the blob holds other bytes");
}
