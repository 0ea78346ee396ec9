//! What an upload leaves behind between its requests.

use std::fmt;

/// How far an object has come, for the next request that appends to it: bytes that only the store understands,
/// to be kept in the upload's row. Empty for an object that nothing was written to, and always on a disk, where
/// the file itself says how far it has come.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct StagedState(Vec<u8>);

impl StagedState {
    /// The state in a row.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What to write into the row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What to write into the row.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for StagedState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StagedState({} bytes)", self.0.len())
    }
}
