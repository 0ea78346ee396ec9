//! `larder backup`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use blobs::Store;
use clap::Args;
use registry::BackupOptions;

use super::progress::{Progress, bytes};
use crate::logging;
use crate::open::Opened;
use crate::settings::Settings;

/// Save the database and all content into a folder or a bucket, beside the running server.
///
/// The first backup into a place copies everything, later ones copy what is new. Each is whole or not there:
/// until its end, the one before it is what `larder restore` finds.
///
/// The backup holds password hashes and the keys that sign access tokens: its files are readable by their owner
/// alone, and whoever copies them elsewhere has to keep it so.
#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// Where to save to: a folder, or a bucket as in storage.url.
    #[arg(long, value_name = "DIR")]
    to: String,
    /// Remove objects that this backup does not need any more.
    #[arg(long)]
    prune: bool,
    /// Read the objects that were saved before as well, and save those again that are damaged.
    #[arg(long)]
    verify: bool,
}

pub(super) async fn run(arguments: BackupArguments, settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    let BackupArguments { to, prune, verify } = arguments;
    let opened = Opened::beside_server(&settings).await?;
    let location = location(&to);
    if let blobs::Location::Disk(path) = &location
        && settings.uses_data_dir()
        && is_same(path, &settings.storage.data_dir)
    {
        anyhow::bail!("{to} is the data folder itself; name another folder with --to");
    }
    let options = blobs::Options { location: location.clone(), durability: blobs::Durability::Durable };
    let target = Store::open(&options).await.map_err(|error| match error {
        blobs::OpenError::InUse { .. } => {
            anyhow::anyhow!("another backup is being written to {to}; wait for it to end")
        }
        error => anyhow::Error::new(error).context(format!("cannot write a backup to {to}")),
    })?;
    let scratch = Scratch::beside(&location)?;
    let progress = Progress::start("saved");
    let report = opened
        .registry
        .backup(&target, scratch.path(), BackupOptions { prune, verify }, |event| progress.tell(&event))
        .await
        .with_context(|| format!("the backup to {to} is not complete"))?;
    progress.end();
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "saved {} rows and {} objects to {to}: {} copied ({}), {} were there, {} removed",
        report.rows,
        report.copied + report.present,
        report.copied,
        bytes(report.bytes),
        report.present,
        report.removed
    )?;
    if report.bad == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "{} objects are missing or damaged in the registry itself and not in the backup; everything else is",
        report.bad
    )?;
    Ok(ExitCode::FAILURE)
}

/// A place as people write it: a URL, or a folder.
pub(super) fn location(text: &str) -> blobs::Location {
    if text.contains("://") {
        blobs::Location::Url(text.to_owned())
    } else {
        blobs::Location::Disk(PathBuf::from(text))
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// A folder for the dump on its way, which nobody else reads or writes.
pub(super) enum Scratch {
    /// The backup's own folder: what fits there at the end fits before.
    Beside(PathBuf),
    /// One of its own.
    Temporary(tempfile::TempDir),
}

impl Scratch {
    /// In the folder that is written to, or, for a bucket, in the system's folder for such things.
    fn beside(location: &blobs::Location) -> anyhow::Result<Self> {
        match location {
            blobs::Location::Disk(folder) => Ok(Self::Beside(folder.clone())),
            blobs::Location::Url(_) => Self::temporary(&std::env::temp_dir()),
        }
    }

    /// A folder of its own in `folder`, or in the system's when that does not exist.
    pub(super) fn temporary(folder: &Path) -> anyhow::Result<Self> {
        let temporary = std::env::temp_dir();
        let place = if folder.is_dir() { folder } else { &temporary };
        let made = tempfile::Builder::new().prefix("larder-").tempdir_in(place);
        made.map(Self::Temporary).with_context(|| {
            format!("cannot make a folder for a temporary file in {}; set TMPDIR", place.display())
        })
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Beside(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}
