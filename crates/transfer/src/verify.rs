//! Content that is hashed while it passes by.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use oci::{Algorithm, Digest};
use sha2::{Digest as _, Sha256, Sha512};

use crate::error::Error;

/// Pieces of a blob.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, Error>>;

/// A blob that is about to be read.
pub(crate) struct Blob {
    /// How many bytes the source says it has.
    pub(crate) length: u64,
    /// Its content, not verified.
    pub(crate) pieces: Pieces,
}

/// Where the reason of a failed stream is found after the consumer has wrapped it into an error of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict(Arc<Mutex<Option<Error>>>);

impl Verdict {
    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(crate) fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> Digest {
        match self {
            Self::Sha256(hasher) => Digest::from_hash(Algorithm::Sha256, &hasher.finalize()),
            Self::Sha512(hasher) => Digest::from_hash(Algorithm::Sha512, &hasher.finalize()),
        }
    }
}

/// Reads on, hashes, and compares before it hands out the last piece.
struct Verifier {
    pieces: Pieces,
    digest: Digest,
    length: u64,
    seen: u64,
    /// Taken once the content was compared.
    hasher: Option<Hasher>,
    done: bool,
}

impl Verifier {
    async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        match self.pieces.next().await {
            Some(Ok(piece)) => {
                self.seen += piece.len() as u64;
                if let Some(hasher) = &mut self.hasher {
                    hasher.update(&piece);
                }
                if self.seen > self.length {
                    let length = self.length;
                    return Some(
                        Err(self.damaged(&format!("it has more than the {length} bytes announced"))),
                    );
                }
                let compared = if self.seen == self.length { self.compare() } else { Ok(()) };
                Some(compared.map(|()| piece))
            }
            Some(Err(error)) => Some(Err(error)),
            None if self.seen < self.length => {
                let (seen, length) = (self.seen, self.length);
                Some(Err(self.damaged(&format!("it ends after {seen} of {length} bytes"))))
            }
            // Only an empty blob was not compared with its last piece.
            None => self.compare().err().map(Err),
        }
    }

    fn compare(&mut self) -> Result<(), Error> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        let found = hasher.finish();
        if found == self.digest { Ok(()) } else { Err(self.damaged(&format!("its content is {found}"))) }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::Corrupt(format!(
            "blob {} is damaged at the source: {what}; nothing of it was kept: push it there again, then run the same \
             command again",
            self.digest
        ))
    }
}

/// The content of `blob`, of which the last piece comes only if everything hashes to `digest`: whoever counts
/// bytes never sees all of a wrong one.
pub(crate) fn verified(blob: Blob, digest: Digest, verdict: Verdict) -> Pieces {
    let hasher = Some(Hasher::new(digest.algorithm()));
    let Blob { length, pieces } = blob;
    let verifier = Verifier { pieces, digest, length, seen: 0, hasher, done: false };
    stream::unfold((verifier, verdict), |(mut verifier, verdict)| async move {
        if verifier.done {
            return None;
        }
        let result = verifier.next().await?;
        if let Err(error) = &result {
            verdict.set(error.clone());
            verifier.done = true;
        }
        Some((result, (verifier, verdict)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(length: u64, pieces: &[&'static [u8]]) -> Blob {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
        Blob { length, pieces: stream::iter(pieces).boxed() }
    }

    async fn read(blob: Blob, promised: &[u8], algorithm: Algorithm) -> (Vec<u8>, Option<Error>) {
        let verdict = Verdict::default();
        let stream = verified(blob, Digest::of(algorithm, promised), verdict.clone());
        let results: Vec<_> = stream.collect().await;
        let bytes = results.into_iter().filter_map(Result::ok).flatten().collect();
        (bytes, verdict.take())
    }

    #[tokio::test]
    async fn good_content_passes() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(read(blob(4, &[b"ab", b"cd"]), b"abcd", algorithm).await, (b"abcd".to_vec(), None));
            assert_eq!(read(blob(0, &[]), b"", algorithm).await, (Vec::new(), None));
        }
    }

    #[tokio::test]
    async fn the_last_piece_of_wrong_content_is_held_back() {
        let (bytes, error) = read(blob(4, &[b"ab", b"cX"]), b"abcd", Algorithm::Sha256).await;
        assert_eq!(bytes, b"ab");
        assert!(matches!(error, Some(Error::Corrupt(message)) if message.contains("its content is sha256:")));
    }

    #[tokio::test]
    async fn wrong_lengths_are_found() {
        let (bytes, error) = read(blob(4, &[b"ab"]), b"ab", Algorithm::Sha256).await;
        assert_eq!((bytes.as_slice(), error.is_some()), (b"ab".as_slice(), true));
        let (bytes, error) = read(blob(1, &[b"ab"]), b"ab", Algorithm::Sha256).await;
        assert_eq!((bytes.as_slice(), error.is_some()), (b"".as_slice(), true));
        let (_, error) = read(blob(0, &[]), b"x", Algorithm::Sha256).await;
        assert!(error.is_some());
    }
}
