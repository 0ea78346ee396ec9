//! `larder restore`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use blobs::Store;
use clap::Args;
use clock::Clock;
use db::Db;
use registry::{Registry, RestoreOptions, RestoreReport};

use super::backup::{Scratch, location};
use super::progress::{Progress, bytes};
use crate::logging;
use crate::open::{create_data_folder, lock_database};
use crate::settings::Settings;

/// Bring a backup or a snapshot back, onto a machine where nothing is yet.
///
/// `--from DIR` brings back what `larder backup --to DIR` saved. Database and storage are the ones that are
/// configured, and both have to be empty; they need not be of the kind that the backup was taken from, so this
/// is also the way from SQLite to PostgreSQL and from a disk to a bucket, and back.
///
/// `--from latest` is for when only the database was lost: it loads the newest snapshot that lies in the
/// storage, and leaves the storage as it is. The server puts one there every hour in which something changed
/// (database.snapshots), and keeps the last 24.
///
/// No server may run on the data meanwhile. When it was interrupted, run it again.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct RestoreArguments {
    /// What to bring back: a folder or bucket that `larder backup` wrote to, `latest` for the newest snapshot in
    /// the storage, or `snapshot:NAME` for one of them.
    #[arg(long, value_name = "DIR|latest|snapshot:NAME", group = "what")]
    from: Option<String>,
    /// List the snapshots in the storage, oldest first.
    #[arg(long, group = "what")]
    list_snapshots: bool,
    /// Restore everything else when objects of the backup are missing or damaged.
    #[arg(long)]
    allow_missing: bool,
}

pub(super) async fn run(arguments: RestoreArguments, settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    let RestoreArguments { from, list_snapshots: _, allow_missing } = arguments;
    let Some(from) = from else { return list(&settings).await };
    if settings.uses_data_dir() {
        create_data_folder(&settings.storage.data_dir)?;
    }
    // The lock of a folder keeps a server out, and finds one that runs.
    let blobs = Store::open(&settings.blob_options()).await.context("cannot open the storage")?;
    let _lock = lock_database(&settings)?;
    let db = Db::open(settings.database_options()?).await.context("cannot open the database")?;
    // Nothing else is opened: whatever sets itself up would leave rows in the database.
    let registry = Registry::new(db, blobs, Clock::system(), settings.registry());
    let scratch = Scratch::temporary(&settings.storage.data_dir)?;
    let snapshot = match from.strip_prefix("snapshot:") {
        Some(name) => Some(Some(name)),
        None => (from == "latest").then_some(None),
    };
    let report = if let Some(name) = snapshot {
        let progress = Progress::start("found");
        let report = registry.restore_snapshot(scratch.path(), name, |event| progress.tell(&event)).await?;
        progress.end();
        report
    } else {
        let source = open_backup(&from).await?;
        let progress = Progress::start("restored");
        let options = RestoreOptions { allow_missing };
        let report = registry
            .restore(&source, scratch.path(), options, |event| progress.tell(&event))
            .await
            .with_context(|| format!("cannot restore from {from}"))?;
        progress.end();
        report
    };
    tell(&from, &report)
}

/// Looks into a place that `larder backup` wrote to, and changes nothing there.
async fn open_backup(from: &str) -> anyhow::Result<Store> {
    let options = blobs::Options { location: location(from), durability: blobs::Durability::Durable };
    Store::attach(&options).await.map_err(|error| match error {
        blobs::OpenError::Missing { .. } => {
            anyhow::anyhow!("there is no backup in {from}; name the place that `larder backup --to` wrote to")
        }
        error => anyhow::Error::new(error).context(format!("cannot read the backup in {from}")),
    })
}

fn tell(from: &str, report: &RestoreReport) -> anyhow::Result<ExitCode> {
    let RestoreReport { rows, copied, bytes: size, present, bad } = *report;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "restored {rows} rows from {from}; {copied} objects copied ({}), {present} were there, {bad} are not",
        bytes(size)
    )?;
    if bad > 0 {
        writeln!(
            out,
            "push the content of the objects listed above again; what needs it cannot be pulled until then"
        )?;
    }
    writeln!(out, "next: check everything with `larder scrub`, then start the server with `larder serve`")?;
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the storage alone: the database may be gone.
async fn list(settings: &Settings) -> anyhow::Result<ExitCode> {
    let blobs = Store::attach(&settings.blob_options()).await.context("cannot open the storage")?;
    let snapshots = registry::snapshots_list(&blobs).await?;
    let mut out = std::io::stdout().lock();
    for snapshot in snapshots {
        writeln!(out, "{}\t{}", snapshot.name, bytes(snapshot.size))?;
    }
    Ok(ExitCode::SUCCESS)
}
