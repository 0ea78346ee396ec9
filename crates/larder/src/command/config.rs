//! `larder config check` and `larder config print`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;

use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the configuration can be used.
    Check,
    /// Show every setting with the value that is in force; secrets are masked.
    Print,
}

pub(super) fn run(command: &ConfigCommand, settings: &Settings) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        // Loading it was the check.
        ConfigCommand::Check => writeln!(out, "the configuration is in order")?,
        ConfigCommand::Print => write!(out, "{}", settings.masked()?)?,
    }
    Ok(ExitCode::SUCCESS)
}
