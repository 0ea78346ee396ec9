//! The running hash over an object's content.

use std::fmt;

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::digest::typenum::Unsigned;
use sha2::{Digest, Sha256, Sha512};

/// Which hashes to compute. SHA-512 costs about twice what SHA-256 does on processors with SHA instructions,
/// so it runs only where somebody asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashes {
    /// SHA-256 alone.
    Sha256,
    /// SHA-256 and SHA-512.
    Both,
}

/// A hash over the bytes so far, which can be put away and taken up again.
///
/// An upload may come in many requests with restarts between them; the state written by
/// [`to_bytes`](Self::to_bytes) after one request lets the next go on without reading anything again.
#[derive(Clone)]
pub struct ContentHash {
    sha256: Sha256,
    sha512: Option<Sha512>,
    length: u64,
}

/// What a finished hash says about the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    /// The SHA-256 of the content.
    pub sha256: [u8; 32],
    /// The SHA-512 of the content, if it was asked for.
    pub sha512: Option<[u8; 64]>,
    /// The length of the content in bytes.
    pub size: u64,
}

/// The stored state was written by an incompatible version, or is damaged. The way on is
/// [`Staged::rehash`](crate::Staged::rehash), which computes it anew from the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored hash state cannot be read by this version; hash the staged content again")]
pub struct HashStateError;

/// First byte of a stored state. Raise it whenever the layout, or that of the hash library, changes.
const STATE_VERSION: u8 = 1;
/// Bytes before the states of the single hashes: version, number of hashes, length.
const HEADER: usize = 1 + 1 + 8;
const SHA256_STATE: usize = <Sha256 as SerializableState>::SerializedStateSize::USIZE;
const SHA512_STATE: usize = <Sha512 as SerializableState>::SerializedStateSize::USIZE;

impl ContentHash {
    /// The hash over nothing yet.
    pub fn new(hashes: Hashes) -> Self {
        let sha512 = match hashes {
            Hashes::Sha256 => None,
            Hashes::Both => Some(Sha512::new()),
        };
        Self { sha256: Sha256::new(), sha512, length: 0 }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(bytes);
        }
        self.length += bytes.len() as u64;
    }

    /// How many bytes were taken in, which is the offset where the next byte goes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing was taken in yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Which hashes run.
    pub fn hashes(&self) -> Hashes {
        if self.sha512.is_some() { Hashes::Both } else { Hashes::Sha256 }
    }

    /// The result.
    pub fn finish(self) -> Finished {
        Finished {
            sha256: self.sha256.finalize().into(),
            sha512: self.sha512.map(|sha512| sha512.finalize().into()),
            size: self.length,
        }
    }

    /// The state, to be kept until the next bytes come. It holds up to 127 bytes of the content in the clear.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut state = Vec::with_capacity(HEADER + SHA256_STATE + SHA512_STATE);
        state.push(STATE_VERSION);
        state.push(if self.sha512.is_some() { 2 } else { 1 });
        state.extend_from_slice(&self.length.to_le_bytes());
        state.extend_from_slice(&self.sha256.serialize());
        if let Some(sha512) = &self.sha512 {
            state.extend_from_slice(&sha512.serialize());
        }
        state
    }

    /// Takes up a state that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(state: &[u8]) -> Result<Self, HashStateError> {
        let (header, rest) = state.split_at_checked(HEADER).ok_or(HashStateError)?;
        let (sha256, sha512) = rest.split_at_checked(SHA256_STATE).ok_or(HashStateError)?;
        let (start, length) = header.split_at(2);
        let length = u64::from_le_bytes(length.try_into().expect("the header ends with eight bytes"));
        let sha512 = match start {
            [STATE_VERSION, 1] if sha512.is_empty() => None,
            [STATE_VERSION, 2] => Some(restore(sha512)?),
            _ => return Err(HashStateError),
        };
        Ok(Self { sha256: restore(sha256)?, sha512, length })
    }
}

fn restore<H: SerializableState>(state: &[u8]) -> Result<H, HashStateError> {
    let state = SerializedState::<H>::try_from(state).map_err(|_| HashStateError)?;
    H::deserialize(&state).map_err(|_| HashStateError)
}

impl fmt::Debug for ContentHash {
    /// Names the length and the algorithms; the state itself can hold content.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ContentHash")
            .field("length", &self.length)
            .field("hashes", &self.hashes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A state as it lies in databases out there. When this fails, old sessions would be misread: raise the
    /// version instead of changing the text.
    const STATE_OF_ABC: &str = "01010300000000000000\
        67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b0000000000000000\
        0361626300000000000000000000000000000000000000000000000000000000\
        0000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn the_stored_state_is_stable() {
        let mut hash = ContentHash::new(Hashes::Sha256);
        hash.update(b"abc");
        assert_eq!(hex::encode(hash.to_bytes()), STATE_OF_ABC);
        let finished = ContentHash::from_bytes(&hex::decode(STATE_OF_ABC).unwrap()).unwrap().finish();
        assert_eq!(
            hex::encode(finished.sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!((finished.sha512, finished.size), (None, 3));
    }

    #[test]
    fn other_versions_and_damaged_states_are_refused() {
        let state = ContentHash::new(Hashes::Both).to_bytes();
        for length in 0..state.len() {
            assert!(ContentHash::from_bytes(&state[..length]).is_err(), "{length}");
        }
        let mut newer = state.clone();
        newer[0] = 2;
        assert!(ContentHash::from_bytes(&newer).is_err());
        let mut longer = state;
        longer.push(0);
        assert!(ContentHash::from_bytes(&longer).is_err());
    }

    #[test]
    fn debug_shows_no_content() {
        let mut hash = ContentHash::new(Hashes::Sha256);
        hash.update(b"secret");
        assert_eq!(format!("{hash:?}"), "ContentHash { length: 6, hashes: Sha256, .. }");
    }

    proptest! {
        #[test]
        fn putting_away_and_taking_up_changes_nothing(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            both: bool,
        ) {
            let hashes = if both { Hashes::Both } else { Hashes::Sha256 };
            let mut resumed = ContentHash::new(hashes);
            for part in &parts {
                resumed.update(part);
                resumed = ContentHash::from_bytes(&resumed.to_bytes()).unwrap();
                prop_assert_eq!(resumed.hashes(), hashes);
            }
            let mut whole = ContentHash::new(hashes);
            whole.update(&parts.concat());
            prop_assert_eq!(resumed.finish(), whole.finish());
        }

        #[test]
        fn reading_a_state_never_panics(state in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(hash) = ContentHash::from_bytes(&state) {
                hash.to_bytes();
            }
        }
    }
}
