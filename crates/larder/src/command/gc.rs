//! `larder gc`.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Args;
use registry::Collected;

use crate::logging;
use crate::open::Opened;
use crate::settings::Settings;

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("mode").required(true))]
pub(super) struct GcArguments {
    /// Say what would be collected now.
    #[arg(long, group = "mode")]
    dry_run: bool,
    /// Collect everything that is due, then end.
    #[arg(long, group = "mode")]
    once: bool,
}

pub(super) async fn run(arguments: GcArguments, settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    let opened = Opened::beside_server(&settings).await?;
    let mut out = std::io::stdout().lock();
    let (verb, collected) = if arguments.dry_run {
        ("would collect", opened.registry.collect_dry_run().await?)
    } else {
        ("collected", opened.registry.collect().await?)
    };
    let Collected { uploads, blobs, manifests, kept, objects, condemned } = collected;
    writeln!(
        out,
        "{verb} {uploads} expired uploads, {manifests} manifests, {blobs} blob links, {condemned} rows of deleted \
         registries; {objects} objects deleted from the storage; {kept} looked at and kept"
    )?;
    Ok(ExitCode::SUCCESS)
}
