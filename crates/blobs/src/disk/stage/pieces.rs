//! Gathering frames into pieces, and writing a piece while the next one fills.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::ContentHash;
use crate::append::Sink;
use crate::blocking::settle;
use crate::disk::PIECE;

/// The room that the first bytes of a body get. Most bodies are small or slow, and then this is all they hold.
const FIRST_ROOM: usize = 16 * 1024;

/// The body on its way to the disk. Frames are copied, not kept: a frame of a few bytes may hold on to a large
/// buffer of the connection.
pub(super) struct Pieces {
    file: Arc<File>,
    filling: Vec<u8>,
    writer: Writer,
}

/// Who holds the hash and the second buffer.
#[expect(clippy::large_enum_variant, reason = "one for each upload, which holds much larger buffers anyway")]
enum Writer {
    /// Nothing is being written.
    Idle { hash: ContentHash, spare: Vec<u8> },
    /// A task on the blocking pool writes and hashes a piece.
    Busy(JoinHandle<io::Result<(ContentHash, Vec<u8>)>>),
    /// A write failed.
    Failed,
}

impl Pieces {
    /// Pieces that go into the file from where the hash stands.
    pub(super) fn new(file: Arc<File>, hash: ContentHash) -> Self {
        Self { file, filling: Vec::new(), writer: Writer::Idle { hash, spare: Vec::new() } }
    }

    /// Writes what was taken in to its end, and gives the hash over everything.
    pub(super) async fn finish(&mut self) -> io::Result<ContentHash> {
        if !self.filling.is_empty() {
            self.write().await?;
        }
        self.written().await.map(|(hash, _)| hash)
    }

    /// Waits until nothing is in flight, whatever becomes of it.
    pub(super) async fn discard(&mut self) {
        let _ = self.written().await;
    }

    /// Waits for the piece in flight and sends the filled one on its way.
    async fn write(&mut self) -> io::Result<()> {
        let (mut hash, mut spare) = self.written().await?;
        spare.clear();
        let piece = std::mem::replace(&mut self.filling, spare);
        let file = Arc::clone(&self.file);
        self.writer = Writer::Busy(tokio::task::spawn_blocking(move || {
            file.write_all_at(&piece, hash.len())?;
            hash.update(&piece);
            crash_point!("blobs::piece_written");
            Ok((hash, piece))
        }));
        Ok(())
    }

    /// Waits for the piece in flight. Leaves nothing behind, so only one call may come after a failure or as
    /// the last.
    async fn written(&mut self) -> io::Result<(ContentHash, Vec<u8>)> {
        match std::mem::replace(&mut self.writer, Writer::Failed) {
            Writer::Idle { hash, spare } => Ok((hash, spare)),
            Writer::Busy(writing) => settle(writing.await),
            Writer::Failed => Err(io::Error::other("an earlier piece of this upload could not be written")),
        }
    }
}

impl Sink for Pieces {
    /// Waits for the disk when it is two pieces behind.
    async fn take_in(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (fitting, rest) = bytes.split_at(bytes.len().min(PIECE - self.filling.len()));
            make_room(&mut self.filling, fitting.len());
            self.filling.extend_from_slice(fitting);
            bytes = rest;
            if self.filling.len() == PIECE {
                self.write().await?;
            }
        }
        Ok(())
    }
}

/// Grows a buffer by doubling, so that a small body takes little and a large one is soon at the full piece.
fn make_room(buffer: &mut Vec<u8>, more: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let room = needed.next_power_of_two().clamp(FIRST_ROOM, PIECE);
        buffer.reserve_exact(room - buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_grow_with_the_body_and_stop_at_a_piece() {
        let mut buffer = Vec::new();
        let mut rooms = Vec::new();
        while buffer.len() < PIECE {
            make_room(&mut buffer, 1024);
            buffer.extend_from_slice(&[7; 1024]);
            if rooms.last() != Some(&buffer.capacity()) {
                rooms.push(buffer.capacity());
            }
        }
        assert_eq!(rooms, [16, 32, 64, 128, 256].map(|kibibytes| kibibytes * 1024));
    }
}
