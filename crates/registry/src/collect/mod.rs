//! Garbage: what nothing refers to any more, found through the review queue and never by walking.
//!
//! 1. An event that may orphan something puts it into the queue with a time in the future.
//! 2. A worker takes what is due and asks again whether anything refers to it, in the transaction that
//!    removes the row. It has locked the row before it asks, and whoever refers to a row has locked it too, so
//!    nothing comes between the question and the removal.
//! 3. The bytes of an object that lost its last link go to the trash in the same transaction, and from the
//!    disk later, outside any transaction, as often as it takes.

mod condemned;
mod review;
mod run;
mod status;
mod trash;

pub(crate) use review::{blob_take_in, removal_announce_in, unlink_in};
pub use run::{Collected, Pace};
pub use status::CollectionStatus;
