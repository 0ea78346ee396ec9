//! Reading `multipart/form-data` (RFC 7578, RFC 2046 §5.1.1) from a stream, part after part.
//!
//! What is held at any time is one piece of the stream and one part's head: a part of any length goes through
//! in pieces, and the stream is asked for more only when what is held does not suffice.

#[cfg(test)]
mod agreement;
mod disposition;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt as _;
use memchr::memmem::Finder;
use tokio::time::{Instant, Sleep};

pub(super) use disposition::Disposition;

/// The longest head of a part, in bytes, and the longest text before the first part.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most header fields of a part.
const MAX_HEADERS: usize = 32;
/// The longest boundary, in bytes (RFC 2046 §5.1.1).
const MAX_BOUNDARY_BYTES: usize = 70;

/// Why a body cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum MultipartError {
    /// It does not follow the grammar, or ends early.
    #[error("malformed multipart body: {0}")]
    Malformed(&'static str),
    /// A part's head is longer than any that a client sends.
    #[error("the head of a part is longer than {MAX_HEAD_BYTES} bytes")]
    HeadTooLong,
}

/// The boundary from a `Content-Type` header, `None` if it announces no multipart form.
pub(super) fn boundary(content_type: &str) -> Option<String> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut found = disposition::parameters(parameters.as_bytes()).ok()?;
    let position = found.iter().position(|(name, _)| name == "boundary")?;
    let (_, boundary) = found.swap_remove(position);
    let is_last_named = found.iter().all(|(name, _)| name != "boundary");
    let boundary = String::from_utf8(boundary).ok()?;
    // The set of RFC 2046 and nothing else: it is compared with what comes byte for byte.
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let is_boundary = (1..=MAX_BOUNDARY_BYTES).contains(&boundary.len())
        && boundary.bytes().all(is_allowed)
        && !boundary.ends_with(' ');
    (is_last_named && is_boundary).then_some(boundary)
}

/// Where in the body the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Preamble,
    /// Behind a delimiter.
    Head,
    /// In a part's content.
    Content,
    End,
}

/// A body of several parts.
pub(super) struct Multipart<S> {
    body: S,
    stall: Duration,
    /// Runs while the body is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
    buffer: BytesMut,
    /// Finds what stands between two parts: a line break, two hyphens and the boundary.
    delimiter: Finder<'static>,
    position: Position,
}

impl<S, E> Multipart<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
{
    /// A reader that gives up when nothing comes for `stall`.
    pub(super) fn new(body: S, boundary: &str, stall: Duration) -> Self {
        let delimiter = format!("\r\n--{boundary}");
        Self {
            body,
            stall,
            waiting: None,
            // The line break before the first delimiter may be missing; with one in front it never is.
            buffer: BytesMut::from(&b"\r\n"[..]),
            delimiter: Finder::new(delimiter.as_bytes()).into_owned(),
            position: Position::Preamble,
        }
    }

    /// What is left of the body.
    pub(super) fn into_body(self) -> S {
        self.body
    }

    /// The next part, `None` behind the last one. What was not read of the part before is passed over.
    pub(super) async fn next_part(&mut self) -> Result<Option<Disposition>, MultipartError> {
        while self.position == Position::Content {
            self.chunk().await?;
        }
        if self.position == Position::Preamble {
            self.pass_preamble().await?;
        }
        if self.position == Position::End {
            return Ok(None);
        }
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer.starts_with(b"--") {
            self.position = Position::End;
            self.pass_epilogue().await?;
            return Ok(None);
        }
        let head = self.head().await?;
        self.position = Position::Content;
        read_head(&head).map(Some)
    }

    /// The next piece of the part's content, `None` behind the last one.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        std::future::poll_fn(|context| self.poll_chunk(context)).await
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, MultipartError>> {
        while self.position == Position::Content {
            let delimiter = self.delimiter.needle().len();
            match self.delimiter.find(&self.buffer) {
                Some(0) => {
                    self.buffer.advance(delimiter);
                    self.position = Position::Head;
                }
                Some(end) => return Poll::Ready(Ok(Some(self.buffer.split_to(end).freeze()))),
                None => {
                    // The end of what is there may be the beginning of a delimiter.
                    let tail = self.buffer.len().saturating_sub(delimiter - 1);
                    let safe = memchr::memchr(b'\r', &self.buffer[tail..]);
                    let safe = safe.map_or(self.buffer.len(), |position| tail + position);
                    if safe > 0 {
                        return Poll::Ready(Ok(Some(self.buffer.split_to(safe).freeze())));
                    }
                    ready!(self.poll_fill(context))?;
                }
            }
        }
        Poll::Ready(Ok(None))
    }

    async fn pass_preamble(&mut self) -> Result<(), MultipartError> {
        loop {
            if let Some(position) = self.delimiter.find(&self.buffer) {
                self.buffer.advance(position + self.delimiter.needle().len());
                self.position = Position::Head;
                return Ok(());
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(MultipartError::Malformed(
                    "the boundary that its header announces does not come",
                ));
            }
            self.fill().await?;
        }
    }

    /// Everything from the delimiter to the empty line.
    async fn head(&mut self) -> Result<Bytes, MultipartError> {
        let mut searched = 0;
        loop {
            if let Some(position) = memchr::memmem::find(&self.buffer[searched..], b"\r\n\r\n") {
                let length = searched + position + 4;
                if length > MAX_HEAD_BYTES {
                    return Err(MultipartError::HeadTooLong);
                }
                return Ok(self.buffer.split_to(length).freeze());
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(MultipartError::HeadTooLong);
            }
            searched = self.buffer.len().saturating_sub(3);
            self.fill().await?;
        }
    }

    /// Whatever follows the last part means nothing, but a connection goes on only behind the end of a body.
    async fn pass_epilogue(&mut self) -> Result<(), MultipartError> {
        let mut passed = 0;
        while passed <= MAX_HEAD_BYTES {
            self.buffer.clear();
            let next = tokio::time::timeout(self.stall, self.body.next()).await;
            match next.map_err(|_| MultipartError::Malformed("nothing more came"))? {
                None => return Ok(()),
                Some(Ok(piece)) => passed += piece.len(),
                Some(Err(_)) => return Err(MultipartError::Malformed("it ended early")),
            }
        }
        Err(MultipartError::Malformed("text follows its last part"))
    }

    async fn fill(&mut self) -> Result<(), MultipartError> {
        std::future::poll_fn(|context| self.poll_fill(context)).await
    }

    /// Takes one piece of the body.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<Result<(), MultipartError>> {
        let malformed = |why| Poll::Ready(Err(MultipartError::Malformed(why)));
        match self.body.poll_next_unpin(context) {
            Poll::Ready(Some(Ok(piece))) => {
                self.waiting = None;
                self.buffer.extend_from_slice(&piece);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Some(Err(_))) => malformed("it ended early"),
            Poll::Ready(None) => malformed("it ended before its closing boundary"),
            Poll::Pending => {
                let stall = self.stall;
                let waiting = self
                    .waiting
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + stall)));
                ready!(waiting.as_mut().poll(context));
                malformed("nothing came for too long")
            }
        }
    }
}

/// The content of the part that a [`Multipart`] is at.
pub(super) struct Content<'a, S>(pub(super) &'a mut Multipart<S>);

impl<S, E> Stream for Content<'_, S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin + Send,
{
    type Item = Result<Bytes, MultipartError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_chunk(context).map(Result::transpose)
    }
}

/// `head` is the rest of the delimiter's line, the header fields, and the empty line.
fn read_head(head: &[u8]) -> Result<Disposition, MultipartError> {
    let line = memchr::memmem::find(head, b"\r\n").unwrap_or(head.len());
    if !head[..line].iter().all(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(MultipartError::Malformed("text follows a boundary on its line"));
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let headers = match httparse::parse_headers(&head[line + 2..], &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => headers,
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err(MultipartError::Malformed("the head of a part cannot be read"));
        }
    };
    let mut dispositions =
        headers.iter().filter(|header| header.name.eq_ignore_ascii_case("content-disposition"));
    let (Some(disposition), None) = (dispositions.next(), dispositions.next()) else {
        return Err(MultipartError::Malformed("a part needs exactly one Content-Disposition"));
    };
    Disposition::parse(disposition.value).map_err(MultipartError::Malformed)
}
