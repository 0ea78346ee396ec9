//! Throw-away databases for tests.

use crate::{Db, Durability, Options};

/// A fresh database in a folder that goes away with the returned guard.
pub fn temporary() -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let options = Options { path: folder.path().join("larder.db"), durability: Durability::Relaxed };
    (Db::open(options).expect("a fresh database opens"), folder)
}
