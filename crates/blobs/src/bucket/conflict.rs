//! Requests that a store refuses because it does something else at the same place.

use std::time::Duration;

use object_store::PutResult;

/// How often something is put that is in conflict with something else.
pub(super) const CONFLICTS: u32 = 5;

/// How long to wait before the next try, after so many.
pub(super) fn pause(tries: u32) -> Duration {
    Duration::from_millis(20) * tries
}

/// Puts again what was refused with status 409. Stores answer so while they do something else at the same place
/// and ask for another try (Amazon S3 API reference, "Error responses": `OperationAborted`); those that keep
/// objects in files do when the folder goes with another object.
pub(super) async fn unless_in_conflict<F>(put: impl Fn() -> F) -> object_store::Result<PutResult>
where
    F: Future<Output = object_store::Result<PutResult>>,
{
    for number in 1..CONFLICTS {
        match put().await {
            Err(object_store::Error::AlreadyExists { .. }) => {
                tokio::time::sleep(pause(number)).await;
            }
            ended => return ended,
        }
    }
    put().await
}
