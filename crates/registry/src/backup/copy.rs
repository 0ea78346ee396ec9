//! Copying objects from one store to another, verified on the way.

use std::time::Duration;

use blobs::{
    AppendLimits, AppendOutcome, ContentHash, Finished, Hashes, ReadError, StageError, StagedState, Store,
    SyncError,
};
use futures_util::{Stream, StreamExt as _};

use super::BackupEvent;
use super::objects::Object;
use crate::error::{Error, ErrorKind};

/// Objects under way at once: enough to make up for a bucket's latency.
const AT_ONCE: usize = 8;
/// How long the source may give nothing before an object counts as unreadable.
const STALL: Duration = Duration::from_mins(2);

/// What to believe of an object that is in the target already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// That it is what it was when it was copied.
    Trusted,
    /// Nothing before its bytes were read again.
    Read,
}

/// What copying did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Objects that were copied.
    pub(super) copied: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Objects that were there.
    pub(super) present: u64,
    /// Objects that are missing or damaged at the source.
    pub(super) bad: u64,
}

enum Outcome {
    Copied,
    Present,
    /// What is wrong with the source's object.
    Bad(String),
}

/// Copies all of `objects`, and tells about each. Objects that the source cannot give are told and passed over;
/// a target that cannot take them is an error.
pub(super) async fn copy_all(
    from: &Store,
    to: &Store,
    objects: impl Stream<Item = Result<Object, Error>> + Send,
    present: Present,
    watch: &mut (impl FnMut(BackupEvent) + Send),
) -> Result<Tally, Error> {
    let mut done = Tally::default();
    let outcomes = objects.map(|object| async move {
        let object = object?;
        let outcome = copy(from, to, &object, present).await?;
        Ok::<_, Error>((object, outcome))
    });
    let mut outcomes = std::pin::pin!(outcomes.buffer_unordered(AT_ONCE));
    while let Some(outcome) = outcomes.next().await {
        let (object, outcome) = outcome?;
        match outcome {
            Outcome::Copied => {
                done.copied += 1;
                done.bytes += object.size;
                watch(BackupEvent::Object { copied: Some(object.size) });
            }
            Outcome::Present => {
                done.present += 1;
                watch(BackupEvent::Object { copied: None });
            }
            Outcome::Bad(reason) => {
                done.bad += 1;
                watch(BackupEvent::Bad { key: object.key.to_string(), digest: object.digest(), reason });
            }
        }
    }
    Ok(done)
}

async fn copy(from: &Store, to: &Store, object: &Object, present: Present) -> Result<Outcome, Error> {
    let Object { key, size, .. } = object;
    let there = to.size(key).await.map_err(|error| target("cannot be asked for an object", error))?;
    if there == Some(*size) {
        let intact = match present {
            Present::Trusted => true,
            Present::Read => {
                matches!(to.verify(key, Hashes::Sha256).await, Ok(found) if is_what(object, &found))
            }
        };
        if intact {
            return Ok(Outcome::Present);
        }
    }
    let body = match from.read(key, 0, *size).await {
        Ok(body) => body,
        Err(ReadError::Missing) => return Ok(Outcome::Bad("it is missing".to_owned())),
        Err(ReadError::Io(error)) => return Ok(Outcome::Bad(format!("it cannot be read: {error}"))),
    };
    if there.is_some() {
        to.delete(key).await.map_err(|error| target("does not let go of a damaged object", error))?;
    }
    let mut staged = to.stage(key, &StagedState::default()).await.map_err(|error| match error {
        StageError::Full => full(),
        StageError::Busy => Error::new(
            ErrorKind::Conflict,
            format!("somebody else is writing object {key} there; wait for that to end, then begin again"),
        ),
        error @ StageError::Io(_) => target("does not take objects", error),
    })?;
    let limits = AppendLimits { length: None, idle: STALL };
    let appended = staged.append(ContentHash::new(Hashes::Sha256), limits, body).await;
    let reason = match appended.outcome {
        AppendOutcome::Complete if is_what(object, &appended.hash.finish()) => {
            staged.seal().await.map_err(|error| match error {
                SyncError::Full => full(),
                error => target("does not keep objects", error),
            })?;
            return Ok(Outcome::Copied);
        }
        AppendOutcome::Complete => "its content does not hash to its digest".to_owned(),
        AppendOutcome::BodyFailed(error) => format!("it cannot be read: {error}"),
        AppendOutcome::Stalled => "it cannot be read: no data came".to_owned(),
        AppendOutcome::Full => return Err(full()),
        AppendOutcome::Io(error) => return Err(target("does not take objects", error)),
        outcome @ (AppendOutcome::TooLong | AppendOutcome::Lost) => {
            return Err(Error::new(
                ErrorKind::Unavailable,
                format!("object {key} was not taken: {outcome:?}"),
            ));
        }
    };
    // What was written must not be taken for the object by the next run.
    let state = staged.keep().await.unwrap_or_default();
    drop(staged);
    to.discard(key, &state).await.map_err(|error| target("does not let go of a damaged object", error))?;
    Ok(Outcome::Bad(reason))
}

fn is_what(object: &Object, found: &Finished) -> bool {
    found.size == object.size && found.sha256 == object.sha256
}

fn target(what: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::unavailable(format!("the store that is written to {what}"), error)
}

fn full() -> Error {
    Error::new(
        ErrorKind::StorageFull,
        "the disk that is written to is full; free some space, then run the command again: it goes on from there",
    )
}
