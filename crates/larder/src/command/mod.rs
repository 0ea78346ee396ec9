//! The command line, one file a command.

mod admin;
mod backup;
mod config;
mod export;
mod gc;
mod import;
mod migrate;
mod moving;
mod progress;
mod restore;
mod scrub;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::settings::{self, Overrides, Settings};

/// One registry for everything that a team ships.
#[derive(Debug, Parser)]
#[command(name = "larder", version, about, long_about = None)]
pub(crate) struct Larder {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

/// Options that every command takes; they override the environment and the file.
#[derive(Debug, Args)]
struct Options {
    /// Configuration file; without it ./larder.toml is read when it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that holds the database and the content.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on, host:port.
    #[arg(long, global = true, value_name = "ADDRESS")]
    listen: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the registry.
    Serve,
    /// Check or show the configuration, or make a key for it.
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Manage users, organizations and members in the database itself, for when nobody can sign in.
    Admin {
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// Collect garbage now, beside the server or without it.
    Gc(gc::GcArguments),
    /// Bring the database's schema up to date, or say what that would do.
    Migrate(migrate::MigrateArguments),
    /// Read all content and report what is missing, damaged or unknown. Nothing is changed.
    Scrub,
    Backup(backup::BackupArguments),
    Restore(restore::RestoreArguments),
    /// Copy repositories from another registry, or from its data directory, into this one or any other Larder.
    /// Every digest is verified; running it again goes on where it stopped.
    Import(Box<import::ImportArguments>),
    /// Copy images into an OCI image layout, a directory that skopeo, oras and others read.
    Export(export::ExportArguments),
}

impl Larder {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let overrides = Overrides { data_dir: self.options.data_dir, listen: self.options.listen };
        let load = || -> anyhow::Result<Settings> {
            settings::load(self.options.config.as_deref(), overrides)
                .context("the configuration is not usable")
        };
        match self.command {
            Command::Serve => block_on(serve::run(load()?)),
            Command::Config { command } => config::run(&command, load),
            Command::Admin { command } => block_on(admin::run(command, load()?)),
            Command::Gc(arguments) => block_on(gc::run(arguments, load()?)),
            Command::Migrate(arguments) => block_on(migrate::run(arguments, load()?)),
            Command::Scrub => block_on(scrub::run(load()?)),
            Command::Backup(arguments) => block_on(backup::run(arguments, load()?)),
            Command::Restore(arguments) => block_on(restore::run(arguments, load()?)),
            // These two are clients and need no configuration.
            Command::Import(arguments) => block_on(import::run(*arguments)),
            Command::Export(arguments) => block_on(export::run(arguments)),
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}
