//! `larder gc`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use clock::Timestamp;
use registry::{Collected, CollectionStatus, Pace};

use crate::logging;
use crate::open::Opened;
use crate::settings::Settings;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(group = clap::ArgGroup::new("mode").required(true))]
pub(super) struct GcArguments {
    #[command(subcommand)]
    command: Option<GcCommand>,
    /// Say what would be collected now.
    #[arg(long, group = "mode")]
    dry_run: bool,
    /// Collect everything that is due, then end.
    #[arg(long, group = "mode")]
    once: bool,
}

#[derive(Debug, Subcommand)]
enum GcCommand {
    /// Show how much waits to be collected and what collection has freed.
    Status,
}

pub(super) async fn run(arguments: GcArguments, settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    let opened = Opened::beside_server(&settings).await?;
    let mut out = std::io::stdout().lock();
    if let Some(GcCommand::Status) = arguments.command {
        write_status(&mut out, &opened.registry.collection_status().await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (verb, collected) = if arguments.dry_run {
        ("would collect", opened.registry.collect_dry_run().await?)
    } else {
        ("collected", opened.registry.collect(Pace::Fast).await?)
    };
    let Collected { uploads, blobs, manifests, kept, objects, bytes, failed, condemned } = collected;
    writeln!(
        out,
        "{verb} {uploads} expired uploads, {manifests} manifests, {blobs} blob links, {condemned} rows of deleted \
         registries; {objects} objects deleted from the storage, {bytes} bytes; {kept} looked at and kept"
    )?;
    if failed > 0 {
        writeln!(out, "{failed} objects could not be deleted and are tried again later; the log says why")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn write_status(out: &mut impl std::io::Write, status: &CollectionStatus) -> std::io::Result<()> {
    let since = |due: Option<Timestamp>| match due.map(|due| status.at.as_millis() - due.as_millis()) {
        Some(millis) if millis > 0 => format!(", the oldest for {} s", millis / 1000),
        _ => String::new(),
    };
    let CollectionStatus { review_due, review_waiting, trash_due_objects, trash_due_bytes, .. } = status;
    let CollectionStatus {
        trash_waiting_objects, trash_waiting_bytes, deleted_objects, deleted_bytes, ..
    } = status;
    writeln!(out, "review queue: {review_due} due{}, {review_waiting} waiting", since(status.review_oldest))?;
    writeln!(
        out,
        "trash: {trash_due_objects} objects ({trash_due_bytes} bytes) due{}, {trash_waiting_objects} objects \
         ({trash_waiting_bytes} bytes) waiting",
        since(status.trash_oldest)
    )?;
    writeln!(out, "deleted since the beginning: {deleted_objects} objects, {deleted_bytes} bytes")
}
