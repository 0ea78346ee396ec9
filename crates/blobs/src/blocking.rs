//! Work that may wait for the disk.

use std::io;

use tokio::task::JoinError;

/// Runs `work` on the blocking pool. It runs to its end even if the returned future is dropped.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    settle(tokio::task::spawn_blocking(work).await)
}

/// The result of work that was joined: a panic in it goes on here, and a runtime that ended before the work
/// began is an error like any other.
pub(crate) fn settle<T>(joined: Result<io::Result<T>, JoinError>) -> io::Result<T> {
    match joined {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(io::Error::other("the server is shutting down; try again")),
    }
}

/// Whether the error says that there is no room: disk full, quota used up, or file larger than allowed.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn no_room_is_told_from_other_faults() {
        for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert!(is_full(&full.into()), "{full}");
        }
        for other in [Errno::IO, Errno::ROFS, Errno::NOENT, Errno::ACCESS] {
            assert!(!is_full(&other.into()), "{other}");
        }
    }

    #[tokio::test]
    #[should_panic(expected = "broken rule")]
    async fn a_panic_is_not_swallowed() {
        let _: io::Result<()> = blocking(|| panic!("broken rule")).await;
    }
}
