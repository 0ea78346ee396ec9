//! Reading everything that is stored and saying what is wrong with it. Nothing is ever repaired or deleted.

use blobs::{Hashes, ReadError};
use oci::Digest;

use crate::error::Error;
use crate::{Registry, blob_key, store};

/// Rows read at a time.
const PAGE: u32 = 256;
/// Manifest rows read at a time; each may be 4 MiB.
const MANIFEST_PAGE: u32 = 8;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspect {
    /// The database names an object whose bytes are not there.
    Missing {
        /// The object's key.
        key: String,
    },
    /// An object's bytes are not those that were stored.
    Damaged {
        /// The object's key.
        key: String,
        /// What differs.
        reason: String,
    },
    /// The storage holds bytes that the database does not know.
    Unknown {
        /// The object's key, or the file's name.
        key: String,
        /// Its length in bytes.
        size: u64,
    },
    /// A manifest in the database does not hash to its digest.
    ManifestDamaged {
        /// The manifest's digest.
        digest: String,
    },
}

/// What a scrub saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Objects whose bytes were read.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Manifests read.
    pub manifests: u64,
    /// Suspects reported.
    pub suspects: u64,
}

impl Registry {
    /// Re-hashes all content and reports each suspect as it is found. Pushes and pulls go on meanwhile.
    pub async fn scrub(&self, mut report: impl FnMut(Suspect)) -> Result<ScrubReport, Error> {
        let mut seen = ScrubReport::default();
        let mut tell = |suspect, seen: &mut ScrubReport| {
            seen.suspects += 1;
            report(suspect);
        };
        self.scrub_objects(&mut seen, &mut tell).await?;
        self.scrub_manifests(&mut seen, &mut tell).await?;
        self.scrub_storage(&mut seen, &mut tell).await?;
        Ok(seen)
    }

    async fn scrub_objects(
        &self,
        seen: &mut ScrubReport,
        tell: &mut impl FnMut(Suspect, &mut ScrubReport),
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = store::blobs::objects_page(self.db(), after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.0;
            for (_, key, size, sha256, sha512) in page {
                let hashes = if sha512.is_some() { Hashes::Both } else { Hashes::Sha256 };
                let suspect = match self.blobs().verify(&blob_key(&key)?, hashes).await {
                    Ok(actual) => {
                        seen.objects += 1;
                        seen.bytes += actual.size;
                        let sha512_differs =
                            sha512.is_some_and(|sha512| actual.sha512.is_none_or(|found| sha512 != found));
                        if actual.size != size {
                            let reason = format!("it has {} bytes and should have {size}", actual.size);
                            Some(Suspect::Damaged { key: key.clone(), reason })
                        } else if actual.sha256[..] != sha256[..] || sha512_differs {
                            let reason = "its content does not hash to its digest".to_owned();
                            Some(Suspect::Damaged { key: key.clone(), reason })
                        } else {
                            None
                        }
                    }
                    Err(ReadError::Missing) => Some(Suspect::Missing { key: key.clone() }),
                    Err(ReadError::Io(error)) => Some(Suspect::Damaged {
                        key: key.clone(),
                        reason: format!("it cannot be read: {error}"),
                    }),
                };
                // What was deleted while it was being read is no suspect.
                if let Some(suspect) = suspect
                    && store::blobs::object_key_exists(self.db(), &key).await?
                {
                    tell(suspect, seen);
                }
            }
        }
    }

    async fn scrub_manifests(
        &self,
        seen: &mut ScrubReport,
        tell: &mut impl FnMut(Suspect, &mut ScrubReport),
    ) -> Result<(), Error> {
        let mut after = 0;
        loop {
            let page = store::manifests::manifests_page(self.db(), after, MANIFEST_PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.0;
            for (_, digest, size, body) in page {
                seen.manifests += 1;
                seen.bytes += body.len() as u64;
                let intact = digest.parse::<Digest>().is_ok_and(|digest| digest.matches(&body));
                if !intact || size != body.len() as u64 {
                    tell(Suspect::ManifestDamaged { digest }, seen);
                }
            }
        }
    }

    async fn scrub_storage(
        &self,
        seen: &mut ScrubReport,
        tell: &mut impl FnMut(Suspect, &mut ScrubReport),
    ) -> Result<(), Error> {
        let mut listing = self.blobs().list();
        loop {
            let batch = listing
                .next_batch()
                .await
                .map_err(|error| Error::unavailable("cannot list the storage", error))?;
            if batch.is_empty() {
                return Ok(());
            }
            for listed in batch {
                let key = listed.key.to_string();
                // The row comes before the file, so a file without one has lost it, or just went.
                let known = store::blobs::object_key_exists(self.db(), &key).await?
                    || store::uploads::upload_key_exists(self.db(), &key).await?
                    || store::trash::trash_key_exists(self.db(), &key).await?;
                let still_there = self.blobs().size(&listed.key).await.ok().flatten();
                if !known && let Some(size) = still_there {
                    tell(Suspect::Unknown { key, size }, seen);
                }
            }
        }
    }
}
