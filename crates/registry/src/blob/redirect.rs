//! Sending a client to the object store itself.

use std::time::Duration;

use super::pull::BlobContent;
use crate::Registry;
use crate::error::Error;

/// How long the address works. Clients follow a redirect at once, and a transfer that has begun goes on.
const LIFETIME: Duration = Duration::from_mins(5);

impl Registry {
    /// An address at which the object store gives the blob to whoever asks, for a short time and without
    /// credentials. `None`: it is too small to be worth the detour, its registry wants none, or the storage
    /// cannot.
    pub async fn blob_redirect(&self, content: &BlobContent) -> Result<Option<String>, Error> {
        let large = self.settings().redirect_from.is_some_and(|size| content.size >= size);
        if !large || !content.may_redirect {
            return Ok(None);
        }
        let address = self.blobs().presign(&content.key, LIFETIME).await;
        address.map_err(|error| Error::unavailable("the server cannot sign an address of its storage", error))
    }
}
