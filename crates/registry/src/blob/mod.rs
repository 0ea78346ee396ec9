//! Blobs: content under a digest, reached through a repository's link.

mod adopt;
mod delete;
mod mount;
mod pull;
mod redirect;
mod session;
mod upload;

use oci::Digest;

pub(crate) use adopt::{StoredObject, object_adopt_in};
pub use mount::Mounted;
pub(crate) use pull::parse_key;
pub use pull::{BlobContent, BlobStat};
pub(crate) use session::{storage_failed, storage_full, sync_failed};
pub use upload::{Pushed, UploadStatus};

/// What the record says when a blob is not linked, in one place so that every way to ask hears the same.
fn unknown(digest: &Digest, name: &oci::RepositoryName) -> crate::Error {
    crate::Error::not_found(
        crate::What::Blob,
        format!("blob {digest} is not in repository {name}; push it, or check the digest"),
    )
}
