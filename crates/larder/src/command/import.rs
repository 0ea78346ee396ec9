//! `larder import`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use transfer::{Import, ImportOptions, Pattern, Selection, SourceAddress, TargetAddress};

use super::moving::{self, Access};

/// What to import, and how.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("selection").required(true).multiple(false))]
#[command(after_help = "\
Passwords never stand on the command line: LARDER_IMPORT_FROM_PASSWORD and LARDER_IMPORT_TO_PASSWORD hold them, \
LARDER_IMPORT_PASSWORD stands in for either, and --password-stdin reads one line for each user that is named, the \
source's first. Without --from-user or --to-user, what `docker login` remembers is used.

Tags at the target end up as they are at the source. Running the same command again goes on where it was \
interrupted, and brings what is new.

Examples:
  larder import --from https://registry.example --to http://localhost:5000/acme/prod --all
  larder import --from https://registry.example --to http://localhost:5000/acme/prod/old --repository 'team/*'
  larder import --from /var/lib/registry --to http://localhost:5000/acme/prod --all --to-user admin")]
pub(super) struct ImportArguments {
    /// What to copy from: a registry (`https://host`), or the data directory of a registry of the distribution
    /// project (a path, or `file:///path`).
    #[arg(long, value_name = "SOURCE")]
    from: String,
    /// Where to: `http(s)://host/organization/registry`, with a prefix for the names behind it if wanted.
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// A repository to copy; * stands for any characters. Can be given several times.
    #[arg(long, value_name = "PATTERN", group = "selection", num_args = 1, action = clap::ArgAction::Append)]
    repository: Vec<Pattern>,
    /// Copy every repository that the source lists.
    #[arg(long, group = "selection")]
    all: bool,
    /// How many things are read or written at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Say what would be copied, and copy nothing.
    #[arg(long)]
    dry_run: bool,
    /// The user at the source.
    #[arg(long, value_name = "NAME")]
    from_user: Option<String>,
    /// The user at the target.
    #[arg(long, value_name = "NAME")]
    to_user: Option<String>,
    /// Read the passwords from standard input, a line each.
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    // Read here and not by the parser of the command line, which would repeat a password in an address.
    let source: SourceAddress = arguments.from.parse()?;
    let target: TargetAddress = arguments.to.parse()?;
    let mut access = Access::new("LARDER_IMPORT", arguments.password_stdin);
    let source_credentials = access.credentials(arguments.from_user, "FROM", "--from-user")?;
    let target_credentials = access.credentials(arguments.to_user, "TO", "--to-user")?;
    let selection = if arguments.all { Selection::All } else { Selection::Matching(arguments.repository) };
    let options = ImportOptions {
        source,
        target,
        selection,
        concurrency: arguments.concurrency.into(),
        source_credentials,
        target_credentials,
    };
    let import = Import::open(options).await?;
    if arguments.dry_run {
        return plan(&import).await;
    }
    let progress = import.progress();
    let work = Arc::new(import).run();
    moving::watch(work, &progress, "imported", "import").await
}

async fn plan(import: &Import) -> anyhow::Result<ExitCode> {
    let (planned, failures) = import.plan().await?;
    let (mut tags, mut missing) = (0, 0);
    for repository in &planned {
        moving::say(&format!(
            "{} -> {}: {} tags, {} to copy",
            repository.source, repository.target, repository.tags, repository.missing
        ))?;
        tags += repository.tags;
        missing += repository.missing;
    }
    moving::say(&format!("would copy {missing} of {tags} tags in {} repositories", planned.len()))?;
    Ok(moving::report(&failures, "import"))
}
