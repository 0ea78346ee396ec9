//! Opening a bucket: whether it does what is asked of it, and what its name is.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use parking_lot::Mutex;

use super::client::{Client, Patience};
use super::conflict::unless_in_conflict;
use super::fault::{Step, explain, unreachable_line};
use super::part::{Budget, MEMORY};
use super::settings::Settings;
use super::{Bucket, Inner, PROBE_LIMIT};
use crate::identity::{self, IDENTITY};
use crate::{ObjectKey, OpenError};

const CONTENT: &[u8] = b"larder was here\n";

impl Bucket {
    /// Opens the bucket for serving: checks everything that will be asked of it, and gives the store its name if
    /// it has none.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let mut inner = Inner::new(url).map_err(OpenError::Bucket)?;
        let opened = tokio::time::timeout(PROBE_LIMIT, async {
            inner.check().await?;
            match inner.read_identity().await? {
                Some(identity) => Ok(identity),
                None => inner.write_identity().await,
            }
        });
        inner.identity = opened
            .await
            .unwrap_or_else(|_| Err(unreachable_line(&inner.settings)))
            .map_err(OpenError::Bucket)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens a store that is there. Writes nothing.
    pub(crate) async fn attach(url: &str) -> Result<Self, OpenError> {
        let mut inner = Inner::new(url).map_err(OpenError::Bucket)?;
        let opened = tokio::time::timeout(PROBE_LIMIT, async {
            inner.read_identity().await?.ok_or_else(|| {
                let place = inner.settings.place();
                format!("there is no blob store in {place}; check storage.url, or start the server once to create it")
            })
        });
        inner.identity = opened
            .await
            .unwrap_or_else(|_| Err(unreachable_line(&inner.settings)))
            .map_err(OpenError::Bucket)?;
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl Inner {
    fn new(url: &str) -> Result<Self, String> {
        let settings = Settings::parse(url)?;
        Ok(Self {
            client: Client::new(&settings, Patience::Long)?,
            impatient: Client::new(&settings, Patience::Short)?,
            settings,
            identity: String::new(),
            budget: Budget::new(MEMORY),
            held: Mutex::new(HashSet::new()),
            healthy: tokio::sync::Mutex::new(None),
        })
    }

    /// Does once, with a small object, what serving does all the time.
    async fn check(&self) -> Result<(), String> {
        let path = self.path(&format!("probe/{}", ObjectKey::random()));
        let store = &self.impatient.store;
        let refused = |step| move |error| explain(&self.settings, step, &error);
        let create = || {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            store.put_opts(&path, PutPayload::from_static(CONTENT), options)
        };
        match unless_in_conflict(create).await {
            // The name is ours alone: it was put by a try whose answer was lost, as reading it shows.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(error) => return Err(refused(Step::Write)(error)),
        }
        let looked_at = async {
            let got = store.get(&path).await.map_err(refused(Step::Read))?;
            let content = got.bytes().await.map_err(refused(Step::Read))?;
            if content != CONTENT {
                let place = self.settings.place();
                return Err(format!(
                    "the object store of {place} gave back other bytes than were put; do not use it"
                ));
            }
            match create().await {
                Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                }
                Ok(_) => {
                    return Err(format!(
                        "the object store of {} ignores If-None-Match, so servers could overwrite each other's \
                         content; use a store that has conditional writes",
                        self.settings.place()
                    ));
                }
                Err(error) => return Err(refused(Step::Write)(error)),
            }
            let mut listed = store.list(Some(&self.path("probe")));
            listed.next().await.transpose().map(|_| ()).map_err(refused(Step::List))
        };
        let looked_at = looked_at.await;
        // Deleted even when it could not be read, but that fault comes first.
        let deleted = store.delete(&path).await;
        looked_at?;
        deleted.map_err(refused(Step::Delete))
    }

    /// Whether the store takes content right now.
    pub(super) async fn write_and_delete(&self) -> Result<(), String> {
        let path = self.path(&format!("probe/{}", ObjectKey::random()));
        let store = &self.impatient.store;
        let put = unless_in_conflict(|| store.put(&path, PutPayload::from_static(CONTENT))).await;
        put.map_err(|error| explain(&self.settings, Step::Write, &error))?;
        store.delete(&path).await.map_err(|error| explain(&self.settings, Step::Delete, &error))
    }

    async fn read_identity(&self) -> Result<Option<String>, String> {
        let got = match self.impatient.store.get(&self.path(IDENTITY)).await {
            Ok(got) => got,
            Err(error @ object_store::Error::NotFound { .. }) => {
                return match super::fault::code_of(&error).as_deref() {
                    Some("NoSuchBucket") => Err(explain(&self.settings, Step::Read, &error)),
                    _ => Ok(None),
                };
            }
            Err(error) => return Err(explain(&self.settings, Step::Read, &error)),
        };
        let bytes = got.bytes().await.map_err(|error| explain(&self.settings, Step::Read, &error))?;
        let text = String::from_utf8_lossy(&bytes);
        identity::parse(&text).map(Some).map_err(|error| error.to_string())
    }

    async fn write_identity(&self) -> Result<String, String> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put =
            self.impatient.store.put_opts(&self.path(IDENTITY), identity::random().into(), options).await;
        match put {
            // Whoever came first has named it, and it may have been an earlier try of ours.
            Ok(_)
            | Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => return Err(explain(&self.settings, Step::Write, &error)),
        }
        let read = self.read_identity().await?;
        read.ok_or_else(|| format!("the object store of {} lost what was put", self.settings.place()))
    }
}
