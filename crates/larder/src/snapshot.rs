//! Snapshots of the embedded database, put into the blob store while the server runs.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::open::Opened;
use crate::settings::Settings;

/// How many are kept.
const KEPT: usize = 24;
/// How soon a change is saved that comes after a long time without any.
const SOON: Duration = Duration::from_mins(3);

/// The running task.
pub(crate) struct Snapshots {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts to take snapshots, when the database is a file and the settings want them.
pub(crate) fn start(opened: &Opened, settings: &Settings) -> Option<Snapshots> {
    let every = settings.snapshot_interval();
    let folder = settings.database_folder()?;
    if every.is_zero() {
        return None;
    }
    let (stop, mut stopped) = oneshot::channel();
    let (db, registry) = (opened.db.clone(), opened.registry.clone());
    let task = tokio::spawn(async move {
        tokio::select! {
            // A snapshot that is being written is given up: the next start takes one soon.
            biased;
            _ = &mut stopped => {}
            () = take_all(&db, &registry, folder, every) => {}
        }
    });
    Some(Snapshots { stop, task })
}

impl Snapshots {
    /// Ends it.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn take_all(db: &db::Db, registry: &registry::Registry, folder: PathBuf, every: Duration) {
    let soon = SOON.min(every);
    // Nothing is known yet, so the first look is one at the content.
    let mut saved = None;
    let mut content = None;
    let mut next = Instant::now() + soon;
    loop {
        sleep_until(next).await;
        let commits = db.commits();
        if saved == Some(commits) {
            next = Instant::now() + soon;
            continue;
        }
        // Begun with what the last run of the program left: a restart alone is no change.
        if content.is_none() {
            content = registry.snapshot_newest_content(&folder).await.unwrap_or_default();
        }
        let begun = Instant::now();
        match registry.snapshot_take(&folder, content, KEPT).await {
            Ok(taken) => {
                if let Some(name) = &taken.name {
                    let millis = begun.elapsed().as_millis();
                    tracing::info!(name, rows = taken.rows, millis, "took a snapshot of the database");
                }
                content = Some(taken.content);
                saved = Some(commits);
                next = Instant::now() + every;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the database could not be saved; it is tried again");
                next = Instant::now() + soon;
            }
        }
    }
}
