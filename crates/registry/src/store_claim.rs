//! Which blob store a database belongs to.

use crate::error::{Error, ErrorKind};
use crate::{Registry, store};

impl Registry {
    /// Notes that the database belongs to the blob store in use, or finds that it belongs to another: then half
    /// of the content would lie in one place and half in the other.
    pub async fn store_claim(&self) -> Result<(), Error> {
        let identity = self.store_identity().await?;
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    if store::leases::blob_store_claim_in(transaction, &identity).await? == identity {
                        return Ok(());
                    }
                    Err(Error::new(
                        ErrorKind::Conflict,
                        "the database belongs to another blob store than the one that is configured. Servers \
                         that share a database share a bucket too: set storage.url. If all content was moved to \
                         this store on purpose, run `larder admin adopt-store`",
                    ))
                })
            })
            .await
    }

    /// Makes the database belong to the blob store in use, whichever it belonged to.
    pub async fn store_adopt(&self) -> Result<(), Error> {
        let identity = self.store_identity().await?;
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    store::leases::blob_store_set_in(transaction, &identity).await?;
                    Ok(())
                })
            })
            .await
    }

    async fn store_identity(&self) -> Result<String, Error> {
        let identity = self.blobs().identity().await;
        identity.map_err(|error| Error::unavailable("the blob store does not say which one it is", error))
    }
}
