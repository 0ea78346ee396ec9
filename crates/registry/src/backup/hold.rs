//! Keeping the collector from deleting bytes while they are copied.

use std::time::Duration;

use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::error::Error;
use crate::{Registry, store};

/// For how long after the last word of a backup nothing is deleted. One that died holds nobody up for longer.
const LEASE: Duration = Duration::from_mins(1);
const RENEW: Duration = Duration::from_secs(10);

/// While it lives, no server over this database deletes an object's bytes.
pub(super) struct Hold {
    registry: Registry,
    name: String,
    renewing: JoinHandle<()>,
}

impl Hold {
    /// Takes it. What the collector had begun to delete before is named by no row any more.
    pub(super) async fn take(registry: &Registry) -> Result<Self, Error> {
        // Several backups may run at once, so each has a lease of its own.
        let name = format!("backup:{}", Uuid::new_v4().simple());
        renew(registry, &name).await?;
        let renewing = {
            let (registry, name) = (registry.clone(), name.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(RENEW).await;
                    if let Err(error) = renew(&registry, &name).await {
                        tracing::warn!(%error, "the collector could not be told to wait for the backup");
                    }
                }
            })
        };
        Ok(Self { registry: registry.clone(), name, renewing })
    }

    /// Lets the collector go on at once.
    pub(super) async fn release(self) {
        self.renewing.abort();
        let name = self.name.clone();
        let released = self
            .registry
            .db()
            .write::<u64, Error, _>(db::Durability::Relaxed, move |transaction| {
                Box::pin(async move { Ok(store::leases::lease_release_in(transaction, &name, &name).await?) })
            })
            .await;
        if let Err(error) = released {
            tracing::warn!(%error, "the collector goes on a minute later");
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn renew(registry: &Registry, name: &str) -> Result<(), Error> {
    let (now, name) = (registry.now(), name.to_owned());
    registry
        .db()
        .write::<(), Error, _>(db::Durability::Relaxed, move |transaction| {
            Box::pin(async move {
                store::leases::lease_take_in(transaction, &name, &name, now, now + LEASE).await?;
                Ok(())
            })
        })
        .await
}
