//! Opening the data folder and wiring the parts together.

use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;
use auth::Auth;
use blobs::Store;
use clock::Clock;
use db::Db;
use registry::Registry;

use crate::settings::Settings;

/// Everything that a command works with.
pub(crate) struct Opened {
    pub(crate) db: Db,
    pub(crate) blobs: Store,
    pub(crate) registry: Registry,
    pub(crate) auth: Auth,
    /// Held, never read: closing it ends the lock.
    _database_lock: Option<File>,
}

/// Takes the embedded database for one server. A folder's blob store is locked anyway; over a bucket nothing else
/// would keep a second server from the same file, and each would take itself for the only one.
///
/// The lock is the kernel's, so it ends with the process however that ends.
pub(crate) fn lock_database(settings: &Settings) -> anyhow::Result<Option<File>> {
    let db::Location::Sqlite(path) = settings.database_options()?.location else { return Ok(None) };
    let path = path.with_extension("lock");
    let lock = File::create(&path)
        .with_context(|| format!("cannot create {}; check that its folder may be written", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => anyhow::bail!(
            "the database beside {} is in use by another server process; stop that one, or let all share \
             PostgreSQL with database.url",
            path.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Makes the data folder, unless it is there, for nobody else on the machine to look into: private images and the
/// hashes of passwords are in it.
pub(crate) fn create_data_folder(folder: &Path) -> anyhow::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("cannot create the data folder {}; check its permissions", folder.display()))
}

impl Opened {
    /// For serving. A data folder has one server, and a second one is refused; over a bucket there may be any
    /// number.
    pub(crate) async fn for_serving(settings: &Settings) -> anyhow::Result<Self> {
        let folder = &settings.storage.data_dir;
        if settings.uses_data_dir() {
            create_data_folder(folder)?;
        }
        let blobs = Store::open(&settings.blob_options()).await.context("cannot open the storage")?;
        let lock = lock_database(settings)?;
        let opened = Self { _database_lock: lock, ..Self::wire(settings, blobs).await? };
        opened.registry.store_claim().await?;
        Ok(opened)
    }

    /// For a command that runs once, whether or not a server runs on the same data.
    pub(crate) async fn beside_server(settings: &Settings) -> anyhow::Result<Self> {
        let blobs = Store::attach(&settings.blob_options()).await.with_context(|| {
            if settings.uses_data_dir() {
                let folder = settings.storage.data_dir.display();
                format!("there is no data in {folder}; name the folder with --data-dir")
            } else {
                "cannot open the storage".to_owned()
            }
        })?;
        Self::wire(settings, blobs).await
    }

    async fn wire(settings: &Settings, blobs: Store) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let db = Db::open(settings.database_options()?).await.context("cannot open the database")?;
        let auth = Auth::open(db.clone(), clock.clone(), settings.sign_in()?)
            .await
            .context("cannot set up sign-in")?;
        let registry = Registry::new(db.clone(), blobs.clone(), clock, settings.registry());
        Ok(Self { db, blobs, registry, auth, _database_lock: None })
    }
}
