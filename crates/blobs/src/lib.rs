//! The bytes: staged uploads, verified content, range reads, on a local disk or in a bucket.
//!
//! A [`Store`] keeps objects. An object lies under a random [`ObjectKey`]; which digest it has, who may
//! see it and whether it is still wanted is known to the database alone. Because the name is never the digest,
//! finishing an upload moves nothing, and deleting an object can never hit a later upload of the same content.
//!
//! - **Write**: [`Store::stage`] takes the right to write one object, [`Staged::append`] streams a body into it
//!   while a [`ContentHash`] runs over the bytes, [`Staged::keep`] and [`Staged::seal`] make it last.
//! - **Read**: [`Store::read`] gives a [`Reader`], a stream of pieces in bounded memory.
//! - **Look after**: [`Store::delete`], [`Store::verify`], [`Store::list`], [`Store::probe`].
//!
//! Nothing here knows HTTP, digests as text, or the database. All of it runs inside a Tokio runtime; anything
//! that may wait for the disk waits on the blocking pool.

/// A place where a test can make the process die, as a power failure would. Only compiled with the
/// `failpoints` feature; the action `return` for the name aborts.
#[cfg(feature = "failpoints")]
macro_rules! crash_point {
    ($name:literal) => {
        fail::fail_point!($name, |_| std::process::abort())
    };
}
#[cfg(not(feature = "failpoints"))]
macro_rules! crash_point {
    ($name:literal) => {};
}

mod append;
mod blocking;
mod bucket;
mod disk;
mod error;
mod file;
mod hash;
mod identity;
mod key;
mod listing;
mod options;
mod reader;
mod staged;
mod state;
mod store;

pub use append::{AppendLimits, AppendOutcome, Appended};
pub use error::{OpenError, ProbeError, ReadError, StageError, SyncError};
pub use file::{FileName, ParseFileNameError, StoredFile};
pub use hash::{ContentHash, Finished, HashStateError, Hashes};
pub use key::{ObjectKey, ParseObjectKeyError};
pub use listing::{ListedObject, Listing};
pub use options::{Durability, Location, Options};
pub use reader::Reader;
pub use staged::Staged;
pub use state::StagedState;
pub use store::{ReadSeek, Store};
