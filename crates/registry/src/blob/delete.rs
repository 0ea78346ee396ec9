use oci::Digest;

use crate::error::{Error, ErrorKind};
use crate::grant::{Delete, Granted};
use crate::{Registry, collect, store};

impl Registry {
    /// Takes a repository's link to a blob away. What a manifest of the repository still names stays: the
    /// manifest was acknowledged as complete.
    pub async fn blob_delete(&self, granted: &Granted<Delete>, digest: &Digest) -> Result<(), Error> {
        let unknown = || super::unknown(digest, granted.name());
        let repository_id = granted.existing().map_err(|_| unknown())?;
        let (name, text) = (granted.name().clone(), digest.clone());
        let delete_after = self.now() + self.settings().trash_delay;
        self.db()
            .write(db::Durability::Durable, move |transaction| {
                Box::pin(async move {
                    if !store::repositories::repository_hold_in(transaction, repository_id).await?
                        || !collect::blob_take_in(transaction, repository_id, text.as_str()).await?
                    {
                        return Err(super::unknown(&text, &name));
                    }
                    let holder =
                        store::manifests::edge_holder_in(transaction, repository_id, text.as_str()).await?;
                    if let Some(holder) = holder {
                        return Err(Error::new(
                            ErrorKind::Forbidden,
                            format!("manifest {holder} still names blob {text}; delete the manifest first"),
                        ));
                    }
                    collect::unlink_in(transaction, repository_id, text.as_str(), delete_after).await
                })
            })
            .await
    }
}
