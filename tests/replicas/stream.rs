//! Content that is never held: any part of it can be made at any time, by anybody who knows the seed.

use std::io::Read;
use std::sync::mpsc::{Receiver, Sender};

use sha2::{Digest as _, Sha256};

/// So many bytes, which only depend on the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endless {
    pub(crate) seed: u64,
    pub(crate) length: u64,
}

impl Endless {
    /// The bytes from `from` to before `to`.
    pub(crate) fn part(self, from: u64, to: u64) -> Part {
        assert!(from <= to && to <= self.length, "the content has no bytes {from} to {to}");
        Part { content: self, at: from, end: to, pause: None }
    }

    /// The SHA-256 digest of all of it, as a client writes it.
    pub(crate) fn digest(self) -> String {
        digest_of(self.part(0, self.length)).0
    }

    /// The eight bytes with this number (Steele and others, "Fast splittable pseudorandom number generators",
    /// 2014).
    fn word(self, number: u64) -> [u8; 8] {
        let mut mixed = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_le_bytes()
    }
}

/// The digest of everything that comes, as a client writes it, and how much that is.
pub(crate) fn digest_of(mut from: impl Read) -> (String, u64) {
    let (mut hash, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let read = from.read(&mut buffer).expect("all of the content can be read");
        if read == 0 {
            let digest = hash.finalize();
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            return (format!("sha256:{hex}"), length);
        }
        hash.update(&buffer[..read]);
        length += read as u64;
    }
}

/// A reader of a part.
#[derive(Debug)]
pub(crate) struct Part {
    content: Endless,
    at: u64,
    end: u64,
    pause: Option<Pause>,
}

/// Where a reader stops to let something happen.
#[derive(Debug)]
struct Pause {
    at: u64,
    reached: Sender<()>,
    go_on: Receiver<()>,
}

impl Part {
    /// The same, but at the byte `at` of the content it says so and waits.
    pub(crate) fn pausing(mut self, at: u64, reached: Sender<()>, go_on: Receiver<()>) -> Self {
        self.pause = Some(Pause { at, reached, go_on });
        self
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if let Some(pause) = self.pause.take_if(|pause| pause.at <= self.at) {
            // Nobody listens when the test has failed already.
            let _ = pause.reached.send(());
            let _ = pause.go_on.recv();
        }
        let mut filled = 0;
        while filled < buffer.len() && self.at < self.end {
            let within = usize::try_from(self.at % 8).expect("less than 8");
            let word = self.content.word(self.at / 8);
            let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
            let count = (8 - within).min(buffer.len() - filled).min(left);
            buffer[filled..filled + count].copy_from_slice(&word[within..within + count]);
            filled += count;
            self.at += count as u64;
        }
        Ok(filled)
    }
}
