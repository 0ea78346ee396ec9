//! Asking the kernel for what it has in memory, without waiting for the disk.
//!
//! Content that is pulled often lies in the page cache. Reading it right on the asynchronous worker costs less
//! than a trip to the blocking pool; what is not there must not stall the worker. Linux offers exactly that
//! question (`preadv2` with `RWF_NOWAIT`, `openat2` with `RESOLVE_CACHED`). Where it is not offered (other
//! systems, old kernels, some file systems and sandboxes), everything goes through the blocking pool.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};

/// What we learned about the kernel and the file system under one store.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    no_cached_opens: AtomicBool,
    no_cached_reads: AtomicBool,
}

impl PageCache {
    /// Opens a file for reading if that needs no disk. `None`: it may need the disk, ask the blocking pool.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(&self, folder: &File, path: &str) -> Option<io::Result<File>> {
        use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

        if self.no_cached_opens.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match openat2(folder, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => Some(Ok(file.into())),
            Err(error) => refusal(error, &self.no_cached_opens).map(Err),
        }
    }

    /// Reads what is in memory. `None`: nothing of it is, ask the blocking pool. May read less than asked.
    #[cfg(target_os = "linux")]
    pub(crate) fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
        use rustix::io::{ReadWriteFlags, preadv2};

        if self.no_cached_reads.load(Ordering::Relaxed) {
            return None;
        }
        match preadv2(file, &mut [io::IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT) {
            // Linux 5.9 and 5.10 answer 0 before the end of the file; whether it ends is for a plain read to say.
            Ok(0) => None,
            Ok(length) => Some(Ok(length)),
            Err(error) => refusal(error, &self.no_cached_reads).map(Err),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn open(&self, _folder: &File, _path: &str) -> Option<io::Result<File>> {
        self.no_cached_opens.store(true, Ordering::Relaxed);
        None
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn read(&self, _file: &File, _buffer: &mut [u8], _offset: u64) -> Option<io::Result<usize>> {
        self.no_cached_reads.store(true, Ordering::Relaxed);
        None
    }

    /// Makes every read and open go through the blocking pool.
    #[cfg(test)]
    pub(crate) fn disable(&self) {
        self.no_cached_opens.store(true, Ordering::Relaxed);
        self.no_cached_reads.store(true, Ordering::Relaxed);
    }
}

/// Sorts an answer: not in memory (`None`), never offered here (`None`, remembered), or a true error.
#[cfg(target_os = "linux")]
fn refusal(error: rustix::io::Errno, unsupported: &AtomicBool) -> Option<io::Error> {
    use rustix::io::Errno;

    match error {
        Errno::AGAIN | Errno::INTR => None,
        // `EPERM` is how some sandboxes refuse a system call that they do not know.
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM => {
            unsupported.store(true, Ordering::Relaxed);
            None
        }
        error => Some(error.into()),
    }
}

/// How a file is about to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ReadPlan {
    /// From front to back.
    InOrder,
    /// Soon: start fetching.
    Soon,
    /// Once, and not worth keeping in memory.
    Once,
}

/// Tells the kernel. Advice only: a file system that does not take it loses speed and nothing else.
pub(crate) fn advise(file: &File, offset: u64, length: u64, plan: ReadPlan) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::Advice;

        let advice = match plan {
            ReadPlan::InOrder => Advice::Sequential,
            ReadPlan::Soon => Advice::WillNeed,
            ReadPlan::Once => Advice::NoReuse,
        };
        let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(length), advice);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, offset, NonZeroU64::new(length), plan);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_refusal_is_remembered_and_a_miss_is_not() {
        let unsupported = AtomicBool::new(false);
        assert!(refusal(Errno::AGAIN, &unsupported).is_none());
        assert!(!unsupported.load(Ordering::Relaxed));
        assert_eq!(refusal(Errno::NOENT, &unsupported).unwrap().kind(), io::ErrorKind::NotFound);
        assert!(!unsupported.load(Ordering::Relaxed));
        assert!(refusal(Errno::OPNOTSUPP, &unsupported).is_none());
        assert!(unsupported.load(Ordering::Relaxed));
    }
}
