//! Gathering a body into parts, and sending a part while the next one fills.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use object_store::PutPayload;
use tokio::task::JoinHandle;

use super::{Held, Multipart, Progress, Staged};
use crate::append::Sink;
use crate::blocking::{blocking, settle};
use crate::bucket::Inner;
use crate::bucket::part::{FREE, Grant, part_length};
use crate::{ContentHash, ObjectKey};

/// The room that the first bytes of a body get.
const FIRST_ROOM: usize = 16 * 1024;

/// A body on its way into the bucket.
pub(super) struct Pour {
    inner: Arc<Inner>,
    key: ObjectKey,
    held: Arc<Held>,
    now: Progress,
    tail: Vec<u8>,
    /// How much of the tail the hash has seen.
    hashed: usize,
    grant: Option<Grant>,
    sender: Sender,
    finished_before: bool,
}

/// Who holds the hash.
#[expect(clippy::large_enum_variant, reason = "one for each upload, which holds much larger buffers anyway")]
enum Sender {
    /// Nothing is on its way.
    Idle(ContentHash),
    /// A task sends a part and hashes it.
    Busy(JoinHandle<io::Result<Sent>>),
    Failed,
}

/// What became of a part.
struct Sent {
    part: io::Result<Option<String>>,
    hash: ContentHash,
}

impl Pour {
    pub(super) fn new(staged: &mut Staged, hash: ContentHash) -> Self {
        let tail = std::mem::take(&mut staged.tail);
        Self {
            inner: Arc::clone(&staged.inner),
            key: staged.key,
            held: Arc::clone(&staged.held),
            now: std::mem::take(&mut staged.now),
            hashed: tail.len(),
            tail: Vec::from(tail),
            grant: staged.grant.take(),
            sender: Sender::Idle(hash),
            finished_before: staged.finished_before,
        }
    }

    /// Sends nothing more but what is on its way, and gives the hash over everything.
    pub(super) async fn finish(&mut self) -> io::Result<ContentHash> {
        let mut hash = self.sent().await?;
        if self.hashed < self.tail.len() {
            let (tail, from) = (std::mem::take(&mut self.tail), self.hashed);
            (hash, self.tail) = blocking(move || {
                hash.update(&tail[from..]);
                Ok((hash, tail))
            })
            .await?;
            self.hashed = self.tail.len();
        }
        Ok(hash)
    }

    /// Waits until nothing is in flight, whatever becomes of it. Gives the multipart upload that was begun.
    pub(super) async fn stop(self) -> Option<Multipart> {
        if let Sender::Busy(sending) = self.sender {
            let _ = sending.await;
        }
        self.now.multipart
    }

    pub(super) fn give_back(self, staged: &mut Staged) {
        staged.now = self.now;
        staged.finished_before = self.finished_before;
        if !staged.finished_before {
            (staged.tail, staged.grant) = (Bytes::from(self.tail), self.grant);
        }
    }

    /// The number of the part that is being filled.
    fn number(&self) -> usize {
        self.now.part_count() + usize::from(matches!(self.sender, Sender::Busy(_)))
    }

    /// How many bytes the tail has when the part is full.
    fn full(&self) -> usize {
        let waiting = usize::try_from(self.now.piece_bytes()).unwrap_or(usize::MAX);
        part_length(self.number()).saturating_sub(waiting)
    }

    /// Waits for the part on its way.
    async fn sent(&mut self) -> io::Result<ContentHash> {
        match std::mem::replace(&mut self.sender, Sender::Failed) {
            Sender::Idle(hash) => Ok(hash),
            Sender::Busy(sending) => {
                let Sent { part, hash } = settle(sending.await)?;
                match part {
                    Ok(Some(part)) => {
                        if let Some(multipart) = &mut self.now.multipart {
                            multipart.parts.push(part);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => self.gone(error).await?,
                }
                Ok(hash)
            }
            Sender::Failed => Err(io::Error::other("an earlier part of this upload could not be sent")),
        }
    }

    /// What to make of an upload or of pieces that are not there: the object may have been finished already.
    async fn gone(&mut self, error: io::Error) -> io::Result<()> {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        if self.inner.head(&self.inner.object(&self.key)).await?.is_none() {
            return Err(error);
        }
        self.finished_before = true;
        Ok(())
    }

    /// Sends the filled part on its way.
    async fn send(&mut self) -> io::Result<()> {
        let mut hash = self.sent().await?;
        let (tail, from) = (Bytes::from(std::mem::take(&mut self.tail)), self.hashed);
        let (grant, held) = (self.grant.take(), Arc::clone(&self.held));
        self.hashed = 0;
        let prepared = if self.finished_before { None } else { self.prepare(&tail).await? };
        let (inner, key) = (Arc::clone(&self.inner), self.key);
        self.sender = Sender::Busy(tokio::spawn(async move {
            let hashing = blocking(move || {
                hash.update(&tail[from..]);
                Ok(hash)
            });
            let putting = async {
                match prepared {
                    Some((id, number, payload)) => inner.put_part(&key, &id, number, payload).await.map(Some),
                    None => Ok(None),
                }
            };
            let (hash, part) = tokio::join!(hashing, putting);
            drop((grant, held));
            Ok(Sent { part, hash: hash? })
        }));
        Ok(())
    }

    /// The upload, the number and the content of the next part. `None`: the object was finished before.
    async fn prepare(&mut self, tail: &Bytes) -> io::Result<Option<(String, usize, PutPayload)>> {
        let mut content = match self.inner.read_pieces(&self.key, &self.now.pieces).await {
            Ok(content) => content,
            Err(error) => {
                self.gone(error).await?;
                return Ok(None);
            }
        };
        content.push(tail.clone());
        if self.now.multipart.is_none() {
            self.now.multipart = Some(self.inner.begin_multipart(&self.key).await?);
        }
        let id = self.now.multipart.as_ref().map(|multipart| multipart.id.clone()).unwrap_or_default();
        let number = self.now.part_count();
        self.now.spent.extend(self.now.pieces.drain(..).map(|piece| piece.name));
        Ok(Some((id, number, content.into_iter().collect())))
    }

    /// Makes room for more bytes in the tail.
    async fn make_room(&mut self, more: usize, full: usize) -> io::Result<()> {
        let needed = self.tail.len() + more;
        if needed <= self.tail.capacity() {
            return Ok(());
        }
        if needed > FREE && self.grant.is_none() {
            self.grant = self.inner.budget.try_take(full);
            if self.grant.is_none() {
                // The part on its way holds memory that this upload must not wait for while it holds it.
                let hash = self.sent().await?;
                self.sender = Sender::Idle(hash);
                self.grant = Some(self.inner.budget.take(full).await?);
            }
        }
        let room = needed.next_power_of_two().clamp(FIRST_ROOM, full.max(needed));
        self.tail.reserve_exact(room - self.tail.len());
        Ok(())
    }
}

impl Sink for Pour {
    async fn take_in(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.finished_before {
                // The bytes are there, so all that is wanted of them is their hash.
                let full = self.tail.len() >= part_length(0);
                if full {
                    self.send().await?;
                }
            } else if self.tail.len() >= self.full() {
                self.send().await?;
            }
            let full = if self.finished_before { part_length(0) } else { self.full() };
            let (fitting, rest) = bytes.split_at(bytes.len().min(full.saturating_sub(self.tail.len())));
            self.make_room(fitting.len(), full).await?;
            self.tail.extend_from_slice(fitting);
            bytes = rest;
        }
        Ok(())
    }
}
