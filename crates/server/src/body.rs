//! Bodies: what comes in, as a stream of bytes; what goes out, with its length known beforehand.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;

pub(crate) type Response = http::Response<Body>;

type BytesStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
pub(crate) enum Body {
    /// All of it at once; taken once it is sent.
    Whole(Option<Bytes>),
    /// A blob in pieces, and how many bytes are still to come.
    Stream(BytesStream, u64),
    /// What a routed handler made.
    Routed(axum::body::Body),
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream, left) => match stream.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    *left = left.saturating_sub(piece.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::error!(%error, "a blob could not be read to its end");
                    Poll::Ready(Some(Err(error.into())))
                }
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
            Self::Routed(body) => Pin::new(body).poll_frame(context).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(_, left) => *left == 0,
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_, left) => SizeHint::with_exact(*left),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

/// A request's body as a stream of pieces; trailers mean nothing here and are dropped.
pub(crate) fn pieces(body: Incoming) -> impl Stream<Item = Result<Bytes, hyper::Error>> + Unpin + Send {
    body.into_data_stream()
}

/// Why a body was not collected.
pub(crate) enum CollectError {
    /// It is longer than allowed.
    TooLong,
    /// It ended early or stood still.
    Incomplete(String),
}

/// A whole body of at most `limit` bytes, given up when nothing comes for `stall`.
pub(crate) async fn collect(
    body: Incoming,
    limit: usize,
    stall: std::time::Duration,
) -> Result<Bytes, CollectError> {
    let mut body = Limited::new(body, limit);
    let mut collected = bytes::BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(stall, body.frame()).await {
            Err(_) => {
                return Err(CollectError::Incomplete(format!("nothing came for {} s", stall.as_secs())));
            }
            Ok(None) => return Ok(collected.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(CollectError::TooLong);
            }
            Ok(Some(Err(error))) => return Err(CollectError::Incomplete(error.to_string())),
        };
        if let Ok(data) = frame.into_data() {
            collected.extend_from_slice(&data);
        }
    }
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
