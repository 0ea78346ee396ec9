//! HTTP/1.1 (RFC 9112) with as little work as possible, so that the servers are measured and not this.
//!
//! One connection, one request at a time, keep-alive. Bodies that are only counted are dropped inside the
//! kernel and never copied. Chunked answers are for the callers that say so: a registry has no reason to send
//! one, and some Python indexes do.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context as _, anyhow, bail, ensure};
use bytes::{Buf as _, BytesMut};
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;

/// Bytes of an answer's head.
const HEAD_BYTES: usize = 32 * 1024;
/// Header fields in an answer.
const HEAD_FIELDS: usize = 64;
/// Bytes that one system call may read.
const RECEIVE_BYTES: usize = 16 * 1024;
/// Bytes that one system call may drop.
const DISCARD_BYTES: usize = 1 << 20;
/// Bytes of a body that is kept.
const COLLECT_BYTES: u64 = 4 << 20;

/// One kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was received and not yet used.
    received: BytesMut,
    /// Where dropped bytes are said to go; the kernel never writes it.
    nowhere: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// `Content-Length`, 0 when absent.
    pub(crate) length: u64,
    /// The body comes in chunks.
    pub(crate) chunked: bool,
    /// The server ends the connection behind this answer.
    pub(crate) close: bool,
    /// `Location`.
    pub(crate) location: Option<String>,
    /// The first `WWW-Authenticate`.
    pub(crate) challenge: Option<String>,
    /// `Link`.
    pub(crate) link: Option<String>,
}

/// What an answer's head was parsed into, with the bytes that it took, or nothing when bytes are missing.
fn parse(received: &[u8]) -> anyhow::Result<Option<(Head, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(taken) =
        answer.parse(received).context("the server's answer is not HTTP/1.1")?
    else {
        ensure!(
            received.len() <= HEAD_BYTES,
            "the head of the server's answer is longer than {HEAD_BYTES} bytes"
        );
        return Ok(None);
    };
    let status = answer.code.ok_or_else(|| anyhow!("the server's answer has no status"))?;
    // Before HTTP/1.1 every answer ends the connection unless it says otherwise.
    let close = answer.version == Some(0);
    let mut head =
        Head { status, length: 0, chunked: false, close, location: None, challenge: None, link: None };
    for field in answer.headers {
        // Almost every field is of no interest; the length of its name says so sooner than a comparison.
        match field.name.len() {
            10 if field.name.eq_ignore_ascii_case("connection") => {
                head.close = !field.value.eq_ignore_ascii_case(b"keep-alive");
            }
            4 if field.name.eq_ignore_ascii_case("link") => head.link = Some(text(field.value)?),
            8 if field.name.eq_ignore_ascii_case("location") => head.location = Some(text(field.value)?),
            14 if field.name.eq_ignore_ascii_case("content-length") => {
                head.length =
                    text(field.value)?.parse().context("the server's content-length is no number")?;
            }
            16 if field.name.eq_ignore_ascii_case("www-authenticate") => {
                head.challenge.get_or_insert(text(field.value)?);
            }
            17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                ensure!(
                    field.value.eq_ignore_ascii_case(b"chunked"),
                    "the server answered with a transfer-encoding that this client does not read"
                );
                head.chunked = true;
            }
            _ => {}
        }
    }
    Ok(Some((head, taken)))
}

fn text(value: &[u8]) -> anyhow::Result<String> {
    Ok(std::str::from_utf8(value).context("a header field of the server is not text")?.to_owned())
}

impl Connection {
    /// Connects to `address`.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream =
            TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true).context("cannot set TCP_NODELAY")?;
        Ok(Self { stream, received: BytesMut::new(), nowhere: vec![0; DISCARD_BYTES] })
    }

    /// Sends `bytes`, a head or a piece of a body.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(bytes).await.context("cannot send to the server")
    }

    /// The head of the next answer that is final (not 1xx), and whose body is not chunked.
    pub(crate) async fn head(&mut self) -> anyhow::Result<Head> {
        let head = self.any_head().await?;
        ensure!(!head.chunked, "the server answered in chunks, which is not expected of it");
        Ok(head)
    }

    /// The same whether or not its body is chunked.
    pub(crate) async fn any_head(&mut self) -> anyhow::Result<Head> {
        loop {
            if let Some((head, taken)) = parse(&self.received)? {
                self.received.advance(taken);
                if head.status >= 200 {
                    return Ok(head);
                }
                continue;
            }
            self.receive().await?;
        }
    }

    /// Waits for more bytes.
    async fn receive(&mut self) -> anyhow::Result<()> {
        self.received.reserve(RECEIVE_BYTES);
        let count = self.stream.read_buf(&mut self.received).await.context("cannot read from the server")?;
        ensure!(count > 0, "the server closed the connection before the end of its answer");
        Ok(())
    }

    /// Drops a body of `length` bytes that follows.
    pub(crate) async fn discard(&mut self, length: u64) -> anyhow::Result<()> {
        let held =
            usize::try_from(length).map_or(self.received.len(), |length| length.min(self.received.len()));
        self.received.advance(held);
        let mut rest = length - held as u64;
        while rest > 0 {
            let most = usize::try_from(rest).map_or(DISCARD_BYTES, |rest| rest.min(DISCARD_BYTES));
            self.stream.readable().await.context("cannot read from the server")?;
            let nowhere = &mut self.nowhere[..most];
            let stream = &self.stream;
            // For TCP the flag means: take the bytes out of the queue without copying them (tcp(7)).
            let dropped = stream.try_io(Interest::READABLE, || {
                rustix::net::recv(stream, nowhere, RecvFlags::TRUNC | RecvFlags::DONTWAIT)
                    .map(|(_, count)| count)
                    .map_err(io::Error::from)
            });
            match dropped {
                Ok(0) => bail!("the server closed the connection {rest} bytes before the end of a body"),
                Ok(count) => rest -= count as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("cannot read from the server"),
            }
        }
        Ok(())
    }

    /// A body of `length` bytes that follows, at most 4 MiB.
    pub(crate) async fn collect(&mut self, length: u64) -> anyhow::Result<Vec<u8>> {
        ensure!(length <= COLLECT_BYTES, "an answer of {length} bytes is too long to be kept");
        let mut body = Vec::new();
        self.pieces(length, |piece| body.extend_from_slice(piece)).await?;
        Ok(body)
    }

    /// Drops the body behind `head` and tells how long it was.
    pub(crate) async fn discard_any(&mut self, head: &Head) -> anyhow::Result<u64> {
        if !head.chunked {
            self.discard(head.length).await?;
            return Ok(head.length);
        }
        let mut length = 0;
        while let Some(chunk) = self.chunk_length().await? {
            self.discard(chunk).await?;
            length += chunk;
            self.line().await?;
        }
        Ok(length)
    }

    /// The body behind `head`, at most 4 MiB.
    pub(crate) async fn collect_any(&mut self, head: &Head) -> anyhow::Result<Vec<u8>> {
        if !head.chunked {
            return self.collect(head.length).await;
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk_length().await? {
            ensure!(body.len() as u64 + chunk <= COLLECT_BYTES, "a chunked answer is too long to be kept");
            self.pieces(chunk, |piece| body.extend_from_slice(piece)).await?;
            self.line().await?;
        }
        Ok(body)
    }

    /// The length of the next chunk (RFC 9112 §7.1), `None` behind the last one, whose trailers are dropped.
    async fn chunk_length(&mut self) -> anyhow::Result<Option<u64>> {
        let line = self.line().await?;
        let length = line.split(';').next().unwrap_or_default().trim();
        let length = u64::from_str_radix(length, 16).context("the length of a chunk is no number")?;
        if length > 0 {
            return Ok(Some(length));
        }
        while !self.line().await?.is_empty() {}
        Ok(None)
    }

    /// What stands before the next line break.
    async fn line(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.received.split_to(end);
                self.received.advance(2);
                return text(&line);
            }
            ensure!(self.received.len() <= HEAD_BYTES, "a line between two chunks is too long");
            self.receive().await?;
        }
    }

    /// Shows `see` a body of `length` bytes that follows, piece by piece.
    pub(crate) async fn pieces(&mut self, length: u64, mut see: impl FnMut(&[u8])) -> anyhow::Result<()> {
        let mut rest = length;
        while rest > 0 {
            if self.received.is_empty() {
                self.receive().await?;
            }
            let take =
                usize::try_from(rest).map_or(self.received.len(), |rest| rest.min(self.received.len()));
            see(&self.received[..take]);
            self.received.advance(take);
            rest -= take as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_to_its_end_and_not_further() {
        let answer =
            b"HTTP/1.1 202 Accepted\r\nLocation: /v2/a/b/c/blobs/uploads/1\r\nContent-Length: 3\r\n\r\nabc";
        let (head, taken) = parse(answer).unwrap().unwrap();
        assert_eq!(&answer[taken..], b"abc");
        assert_eq!(
            head,
            Head {
                status: 202,
                length: 3,
                chunked: false,
                close: false,
                location: Some("/v2/a/b/c/blobs/uploads/1".to_owned()),
                challenge: None,
                link: None,
            }
        );
    }

    #[test]
    fn half_a_head_is_not_an_answer() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        for end in 0..answer.len() {
            assert_eq!(parse(&answer[..end]).unwrap(), None);
        }
    }

    #[test]
    fn answers_that_end_their_connection_say_so() {
        for (answer, closes, chunked) in [
            ("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", true, false),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false, false),
            ("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n", true, true),
        ] {
            let (head, _) = parse(answer.as_bytes()).unwrap().unwrap();
            assert_eq!((head.close, head.chunked), (closes, chunked), "{answer}");
        }
    }

    #[test]
    fn what_this_client_cannot_read_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n").is_err());
        assert!(parse(b"SSH-2.0-OpenSSH\r\n").is_err());
    }
}
