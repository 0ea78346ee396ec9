//! Whether the store can take content right now.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, stat, unlinkat};
use rustix::io::Errno;

use crate::ProbeError;
use crate::blocking::{blocking, is_full};
use crate::disk::{Disk, Inner, OBJECTS};

/// The name of the probe file. Always the same one, so that a probe that died leaves at most one file.
const PROBE: &str = "probe";

impl Disk {
    /// Writes, syncs and deletes a small file, to find out whether the store can take content.
    pub(crate) async fn probe(&self) -> Result<(), ProbeError> {
        let inner = Arc::clone(&self.inner);
        let probed = blocking(move || write_probe(&inner)).await;
        probed.map_err(|error| explain(self.inner.root_path.clone(), error))
    }
}

fn write_probe(inner: &Inner) -> io::Result<()> {
    // Where content goes, which may be a disk of its own.
    let (opened, named) = (fstat(&inner.objects)?, stat(inner.root_path.join(OBJECTS))?);
    if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino) {
        return Err(Errno::NOENT.into());
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let mut file = File::from(openat(&inner.objects, PROBE, flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(b"larder was here\n").and_then(|()| file.sync_all());
    // Deleted even when writing failed; another process may have done it first.
    match unlinkat(&inner.objects, PROBE, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => written,
        Err(error) => written.and(Err(error.into())),
    }
}

fn explain(root: PathBuf, error: io::Error) -> ProbeError {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => ProbeError::ReadOnly(root),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::StaleNetworkFileHandle => {
            ProbeError::Gone(root)
        }
        _ if is_full(&error) => ProbeError::Full(root),
        _ => ProbeError::Io { root, source: error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Durability;

    #[tokio::test]
    async fn a_healthy_store_passes_and_a_moved_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let store = Disk::open(&root, Durability::Durable).unwrap();
        store.probe().await.unwrap();
        assert!(!root.join(OBJECTS).join(PROBE).exists());
        assert!(store.free_bytes().await.unwrap() > 0);

        std::fs::rename(&root, folder.path().join("elsewhere")).unwrap();
        assert!(matches!(store.probe().await, Err(ProbeError::Gone(_))));
        std::fs::create_dir(&root).unwrap();
        assert!(matches!(store.probe().await, Err(ProbeError::Gone(_))));
        std::fs::create_dir(root.join(OBJECTS)).unwrap();
        assert!(matches!(store.probe().await, Err(ProbeError::Gone(_))));
    }

    #[test]
    fn each_fault_is_named() {
        let fault = |errno: Errno| explain("/data".into(), errno.into());
        assert!(matches!(fault(Errno::ROFS), ProbeError::ReadOnly(_)));
        assert!(matches!(fault(Errno::NOSPC), ProbeError::Full(_)));
        assert!(matches!(fault(Errno::DQUOT), ProbeError::Full(_)));
        assert!(matches!(fault(Errno::NOENT), ProbeError::Gone(_)));
        assert_eq!(
            fault(Errno::IO).to_string(),
            "the blob store in /data cannot be written: Input/output error (os error 5); check the disk and its \
             permissions"
        );
    }
}
