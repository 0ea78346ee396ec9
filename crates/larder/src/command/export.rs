//! `larder export`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use transfer::{Export, ExportOptions, ImageAddress};

use super::moving::{self, Access};

/// What to export, and how.
#[derive(Debug, Args)]
#[command(after_help = "\
The password stands in LARDER_EXPORT_PASSWORD, or --password-stdin reads it from the first line. Without \
--from-user, what `docker login` remembers is used.

A layout that is there is added to; what it has already is checked and not fetched again. With images of several \
repositories the names in the layout are repository:tag, otherwise they are the tags.

Examples:
  larder export --from http://localhost:5000/acme/prod/app:1.0 --to ./app --with-referrers
  larder export --from http://localhost:5000/acme/prod/app --all-tags --to ./app
  skopeo copy oci:./app:1.0 docker://registry.example/app:1.0")]
pub(super) struct ExportArguments {
    /// An image: `http(s)://host/organization/registry/repository:tag`, or `@digest`. Can be given several
    /// times.
    #[arg(long, value_name = "IMAGE", required = true, num_args = 1, action = clap::ArgAction::Append)]
    from: Vec<String>,
    /// The directory of the OCI image layout. It is made, or added to.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Take all tags of repositories that are named without one.
    #[arg(long)]
    all_tags: bool,
    /// Also take what refers to the images: signatures, SBOMs, attestations.
    #[arg(long)]
    with_referrers: bool,
    /// How many things are read at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// The user at the registry.
    #[arg(long, value_name = "NAME")]
    from_user: Option<String>,
    /// Read the password from standard input.
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(arguments: ExportArguments) -> anyhow::Result<ExitCode> {
    // Read here and not by the parser of the command line, which would repeat a password in an address.
    let images =
        arguments.from.iter().map(|image| image.parse()).collect::<Result<Vec<ImageAddress>, _>>()?;
    let mut access = Access::new("LARDER_EXPORT", arguments.password_stdin);
    let credentials = access.credentials(arguments.from_user, "FROM", "--from-user")?;
    let options = ExportOptions {
        images,
        directory: arguments.to,
        all_tags: arguments.all_tags,
        with_referrers: arguments.with_referrers,
        concurrency: arguments.concurrency.into(),
        credentials,
    };
    let export = Export::open(options).await?;
    let progress = export.progress();
    moving::watch(export.run(), &progress, "exported", "export").await
}
