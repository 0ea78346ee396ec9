//! The bytes: staged uploads, verified content, range reads, on a local disk.
//!
//! A [`Store`] keeps objects. An object is a file under a random [`ObjectKey`]; which digest it has, who may
//! see it and whether it is still wanted is known to the database alone. Because the name is never the digest,
//! finishing an upload moves nothing, and deleting an object can never hit a later upload of the same content.
//!
//! - **Write**: [`Store::stage`] takes the right to write one object, [`Staged::append`] streams a body into it
//!   while a [`ContentHash`] runs over the bytes, [`Staged::sync`] makes it survive a power failure.
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

mod blocking;
mod hash;
mod key;
mod list;
mod open;
mod page_cache;
mod probe;
mod read;
mod stage;
mod store;

pub use hash::{ContentHash, Finished, HashStateError, Hashes};
pub use key::{ObjectKey, ParseObjectKeyError};
pub use list::{ListedObject, Listing};
pub use open::{Durability, OpenError, Options};
pub use probe::ProbeError;
pub use read::{ReadError, Reader};
pub use stage::{AppendLimits, AppendOutcome, Appended, StageError, Staged, SyncError};
pub use store::{ReadSeek, Store};
