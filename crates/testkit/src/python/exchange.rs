//! One request and its answer over a plain socket, because HTTP libraries hide the reason phrase, and that is
//! all that many upload clients show.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::Answer;

/// How long a server may stay silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sends `request` (request line, header fields and body, byte for byte) to `host` (`localhost:PORT`) and
/// collects the answer, which may come before the request is through. Panics when there is none.
#[track_caller]
pub fn exchange(host: &str, request: &[u8]) -> Answer {
    let line = String::from_utf8_lossy(request.split(|byte| *byte == b'\r').next().unwrap_or_default());
    let line = format!("{host} {line}");
    let mut stream =
        TcpStream::connect(host).unwrap_or_else(|error| panic!("cannot connect for {line}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit can be set on a socket");
    let mut writer = stream.try_clone().expect("a socket can be duplicated");
    let mut received = Vec::new();
    std::thread::scope(|scope| {
        // A server that refuses early reads no further; what it says is read all the same.
        scope.spawn(move || writer.write_all(request));
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => received.extend_from_slice(&buffer[..length]),
                Err(_) if whole(&received) => break,
                Err(error) => panic!(
                    "no whole answer to {line}: {error}, after {:?}",
                    String::from_utf8_lossy(&received)
                ),
            }
            if whole(&received) {
                break;
            }
        }
        // Ends the writer, which may wait for a server that has stopped reading.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    parse(&received, line)
}

/// Whether head and body are there.
fn whole(received: &[u8]) -> bool {
    let Some((head, body)) = split(received) else { return false };
    let head = String::from_utf8_lossy(head).to_lowercase();
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
    match length.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) => body.len() >= length,
        None if head.contains("transfer-encoding: chunked") => body.ends_with(b"0\r\n\r\n"),
        None => false,
    }
}

fn split(received: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((&received[..end], &received[end + 4..]))
}

#[track_caller]
fn parse(received: &[u8], request: String) -> Answer {
    let Some((head, body)) = split(received) else {
        panic!("no answer to {request}: {:?}", String::from_utf8_lossy(received))
    };
    // ISO-8859-1, as upload clients decode it.
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = head.split("\r\n");
    let mut status_line = lines.next().unwrap_or_default().splitn(3, ' ').skip(1);
    let status = status_line.next().and_then(|status| status.parse().ok());
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header field: {line:?}"));
        headers.append(
            HeaderName::from_bytes(name.as_bytes()).expect("a server sends valid field names"),
            HeaderValue::from_str(value.trim()).expect("a server sends valid field values"),
        );
    }
    let body = if headers.contains_key("transfer-encoding") { unchunked(body) } else { body.to_vec() };
    Answer {
        status: status.unwrap_or_else(|| panic!("no status in the answer to {request}: {head}")),
        reason: Some(status_line.next().unwrap_or_default().to_owned()),
        headers,
        body,
        request,
    }
}

/// The content of a body in chunks (RFC 9112, section 7.1).
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = body.windows(2).position(|window| window == b"\r\n") {
        let length = std::str::from_utf8(&body[..end]).ok();
        let length = length.and_then(|length| usize::from_str_radix(length.trim(), 16).ok()).unwrap_or(0);
        let rest = &body[end + 2..];
        if length == 0 || rest.len() < length + 2 {
            break;
        }
        content.extend_from_slice(&rest[..length]);
        body = &rest[length + 2..];
    }
    content
}
