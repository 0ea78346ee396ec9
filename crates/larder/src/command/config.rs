//! `larder config check`, `larder config print` and `larder config new-key`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Subcommand;
use secrecy::ExposeSecret as _;

use crate::sealing;
use crate::settings::Settings;

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Say whether the configuration can be used.
    Check,
    /// Show every setting with the value that is in force; secrets are masked.
    Print,
    /// Make a sealing key and print it, for `auth.sealing_key`. Nothing is read and nothing is stored.
    NewKey,
}

pub(super) fn run(
    command: &ConfigCommand,
    load: impl FnOnce() -> anyhow::Result<Settings>,
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match command {
        ConfigCommand::Check => {
            // Loading it is the check.
            load()?;
            writeln!(out, "the configuration is in order")?;
        }
        ConfigCommand::Print => write!(out, "{}", load()?.masked()?)?,
        // A configuration that lacks the key is how people come here.
        ConfigCommand::NewKey => writeln!(out, "{}", sealing::generate()?.expose_secret())?,
    }
    Ok(ExitCode::SUCCESS)
}
