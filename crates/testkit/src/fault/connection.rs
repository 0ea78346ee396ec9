//! What the proxy does with one connection.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::{Connection, Fault, Protocol, Shared};

/// The most bytes of a head.
const HEAD_LIMIT: usize = 64 * 1024;

/// How often somebody who cannot get rid of bytes looks whether the connection is cut.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a connection ended before its time; nobody needs to know more.
type Ended = io::Error;

/// Serves a client until either side is through.
pub(super) fn serve(shared: &Shared, client: &TcpStream) {
    let cut = Arc::new(AtomicBool::new(false));
    let Ok(end) = client.try_clone() else { return };
    let number = {
        let mut state = shared.state();
        state.next += 1;
        let number = state.next;
        state.connections.insert(number, Connection { ends: vec![end], cut: Arc::clone(&cut) });
        number
    };
    let link = Link { shared, client, cut: &cut, number };
    // However it ended, there is nothing left to do but to close.
    let _ = match shared.protocol {
        Protocol::Http => link.http(),
        Protocol::Bytes => link.bytes(),
    };
    shared.state().connections.remove(&number);
}

/// Lets `stream` end with a reset as soon as its last handle is closed, and wakes whoever reads from it.
pub(super) fn reset(stream: &TcpStream) {
    // Either fails only on a connection that the other side has reset already.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

/// One client's connection.
struct Link<'a> {
    shared: &'a Shared,
    client: &'a TcpStream,
    cut: &'a AtomicBool,
    number: u64,
}

impl Link<'_> {
    /// Connects to the server behind. Where nobody listens, the client sees a reset.
    fn connect(&self) -> Result<TcpStream, Ended> {
        let upstream = TcpStream::connect_timeout(&self.shared.upstream, Duration::from_secs(10))
            .inspect_err(|_| reset(self.client))?;
        for stream in [self.client, &upstream] {
            stream.set_nodelay(true)?;
            stream.set_write_timeout(Some(PAUSE))?;
        }
        let end = upstream.try_clone()?;
        let mut state = self.shared.state();
        if let Some(connection) = state.connections.get_mut(&self.number) {
            connection.ends.push(end);
        }
        drop(state);
        self.check()?;
        Ok(upstream)
    }

    /// Passes bytes on in both directions, each until its source ends.
    fn bytes(&self) -> Result<(), Ended> {
        self.shared.wait_while_stalled(self.cut);
        let upstream = self.connect()?;
        std::thread::scope(|scope| {
            scope.spawn(|| self.pass_all(self.client, &upstream));
            self.pass_all(&upstream, self.client)
        })
    }

    /// Passes one request on, and its answer back, as far as its fault lets them.
    fn http(&self) -> Result<(), Ended> {
        let (head, rest) = read_head(self.client)?;
        let request = Head::parse(&head);
        self.shared.wait_while_stalled(self.cut);
        let fault = self.shared.state().fault(request.method, request.path);
        match fault {
            Some(Fault::Answer(status, code)) => return self.refuse(&request, &rest, status, code),
            Some(Fault::ResetBeforeBody) => {
                reset(self.client);
                return Ok(());
            }
            Some(Fault::Stall) => {
                // The client's patience ends with the connection.
                return self.copy(self.client, None, u64::MAX).map(drop);
            }
            Some(Fault::Delay(duration)) => std::thread::sleep(duration),
            Some(Fault::ResetDuringBody | Fault::ResetAfterBody | Fault::Truncate(_)) | None => {}
        }
        let upstream = self.connect()?;
        self.write(&upstream, request.with_connection_close().as_bytes())?;
        if fault == Some(Fault::ResetDuringBody) {
            // Of a chunked body the half is not known, and of none there is nothing to wait for.
            let half = request.length.unwrap_or(if request.is_chunked { 2 } else { 0 }) / 2;
            let begun = &rest[..rest.len().min(usize::try_from(half).unwrap_or(usize::MAX))];
            self.write(&upstream, begun)?;
            let passed = self.copy(self.client, Some(&upstream), half - begun.len() as u64);
            reset(self.client);
            reset(&upstream);
            return passed.map(drop);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| self.pass_body(&request, &rest, &upstream));
            match fault {
                Some(Fault::ResetAfterBody) => {
                    self.copy(&upstream, None, u64::MAX)?;
                    reset(self.client);
                }
                Some(Fault::Truncate(at)) => self.truncate(&upstream, at)?,
                _ => self.pass_all(&upstream, self.client)?,
            }
            Ok(())
        })
    }

    /// Answers in the place of the server behind.
    fn refuse(&self, request: &Head<'_>, rest: &[u8], status: u16, code: &str) -> Result<(), Ended> {
        self.drain_body(request, rest)?;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Error><Code>{code}</Code><Message>The fault proxy says so.</Message></Error>"
        );
        let body = if request.method == "HEAD" { String::new() } else { body };
        let answer = format!(
            "HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        self.write(self.client, answer.as_bytes())?;
        self.client.shutdown(Shutdown::Write)
    }

    /// Passes the answer on without its end.
    fn truncate(&self, upstream: &TcpStream, at: u64) -> Result<(), Ended> {
        let (head, rest) = read_head(upstream)?;
        self.write(self.client, head.as_bytes())?;
        let length = Head::parse(&head).length.unwrap_or(u64::MAX);
        let at = at.min(length.saturating_sub(1));
        let begun = &rest[..rest.len().min(usize::try_from(at).unwrap_or(usize::MAX))];
        self.write(self.client, begun)?;
        self.copy(upstream, Some(self.client), at - begun.len() as u64)?;
        // An orderly end, which only somebody who counts takes for what it is.
        self.client.shutdown(Shutdown::Write)?;
        upstream.shutdown(Shutdown::Both)
    }

    /// Passes the body of a request on, of which `rest` is there already.
    fn pass_body(&self, request: &Head<'_>, rest: &[u8], upstream: &TcpStream) -> Result<(), Ended> {
        self.write(upstream, rest)?;
        self.body(request, rest, Some(upstream))
    }

    /// Takes the body of a request in, of which `rest` is there already.
    fn drain_body(&self, request: &Head<'_>, rest: &[u8]) -> Result<(), Ended> {
        self.body(request, rest, None)
    }

    /// Copies what is missing behind `rest` of the body of a request.
    fn body(&self, request: &Head<'_>, rest: &[u8], to: Option<&TcpStream>) -> Result<(), Ended> {
        if !request.is_chunked {
            let missing = request.length.unwrap_or(0).saturating_sub(rest.len() as u64);
            return self.copy(self.client, to, missing).map(drop);
        }
        // The last chunk is empty (RFC 9112, 7.1), and clients of object stores send no trailers.
        let mut tail = rest.to_vec();
        let mut buffer = vec![0; 64 * 1024];
        while !tail.ends_with(b"0\r\n\r\n") {
            let length = self.read(self.client, &mut buffer)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(to) = to {
                self.write(to, &buffer[..length])?;
            }
            tail.extend_from_slice(&buffer[..length]);
            tail.drain(..tail.len().saturating_sub(5));
        }
        Ok(())
    }

    /// Passes everything on, and then the end.
    fn pass_all(&self, from: &TcpStream, to: &TcpStream) -> Result<(), Ended> {
        let passed = self.copy(from, Some(to), u64::MAX);
        if self.check().is_ok() {
            // A side that has gone already needs no end.
            let _ = to.shutdown(Shutdown::Write);
            if passed.is_err() {
                let _ = from.shutdown(Shutdown::Read);
            }
        }
        passed.map(drop)
    }

    /// Passes at most `limit` bytes on, fewer when there are no more. Without a place to go they are dropped.
    fn copy(&self, from: &TcpStream, to: Option<&TcpStream>, limit: u64) -> Result<u64, Ended> {
        let mut buffer = vec![0; 64 * 1024];
        let mut copied = 0;
        while copied < limit {
            let most = usize::try_from(limit - copied).map_or(buffer.len(), |most| most.min(buffer.len()));
            let length = self.read(from, &mut buffer[..most])?;
            if length == 0 {
                break;
            }
            if let Some(to) = to {
                self.write(to, &buffer[..length])?;
            }
            copied += length as u64;
        }
        Ok(copied)
    }

    fn read(&self, mut from: &TcpStream, buffer: &mut [u8]) -> Result<usize, Ended> {
        let length = from.read(buffer)?;
        self.shared.wait_while_stalled(self.cut);
        self.check()?;
        Ok(length)
    }

    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> Result<(), Ended> {
        while !bytes.is_empty() {
            self.check()?;
            match to.write(bytes) {
                Ok(length) => bytes = &bytes[length..],
                // Nobody takes them at the moment.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Ends whatever is done for a connection that is cut.
    fn check(&self) -> Result<(), Ended> {
        if self.cut.load(Ordering::SeqCst) { Err(ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

/// Reads the head of a message, up to and with its empty line, and what came along behind it.
fn read_head(mut from: &TcpStream) -> Result<(String, Vec<u8>), Ended> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        let length = from.read(&mut buffer)?;
        if length == 0 || bytes.len() > HEAD_LIMIT {
            return Err(ErrorKind::InvalidData.into());
        }
        bytes.extend_from_slice(&buffer[..length]);
    }
}

/// What counts in the head of a request or an answer.
#[derive(Debug)]
struct Head<'a> {
    text: &'a str,
    method: &'a str,
    path: &'a str,
    length: Option<u64>,
    is_chunked: bool,
}

impl<'a> Head<'a> {
    fn parse(text: &'a str) -> Self {
        let mut words = text.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut head = Self { text, method, path, length: None, is_chunked: false };
        for (name, value) in text.lines().skip(1).filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                head.length = value.trim().parse().ok();
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.is_chunked = value.to_ascii_lowercase().contains("chunked");
            }
        }
        head
    }

    /// The same head, with the announcement that the connection ends behind the answer.
    fn with_connection_close(&self) -> String {
        let kept = self.text.trim_end().lines().filter(|line| {
            let name = line.split_once(':').map_or("", |(name, _)| name);
            !name.eq_ignore_ascii_case("connection")
        });
        kept.chain(["Connection: close", "", ""]).collect::<Vec<_>>().join("\r\n")
    }
}
