//! `larder migrate`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use db::Db;

use crate::logging;
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
    /// Say what would be applied and change nothing; ends in failure when something is to be applied.
    #[arg(long)]
    check: bool,
}

/// A start migrates by itself; this is for who wants it done, or known, before.
pub(super) async fn run(arguments: MigrateArguments, settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    let options = settings.database_options()?;
    let state = Db::schema(&options.location).await.context("cannot look at the database")?;
    let mut out = std::io::stdout().lock();
    let (applied, known) = (state.applied, state.known);
    if state.pending.is_empty() {
        let newer = if applied > known { ", newer than this program and fit for it" } else { "" };
        writeln!(out, "the schema is at version {applied}{newer}; nothing is to be applied")?;
        return Ok(ExitCode::SUCCESS);
    }
    let verb = if arguments.check { "would apply" } else { "applied" };
    if !arguments.check {
        Db::open(options).await.context("the schema could not be brought up to date")?;
    }
    for (version, name) in &state.pending {
        writeln!(out, "{verb} {version:04} {name}")?;
    }
    if arguments.check {
        writeln!(
            out,
            "the schema is at version {applied} of {known}; `larder migrate` or the next start applies these"
        )?;
        return Ok(ExitCode::FAILURE);
    }
    writeln!(out, "the schema is at version {known}")?;
    Ok(ExitCode::SUCCESS)
}
