//! `larder scrub`.

use std::io::Write as _;
use std::process::ExitCode;

use registry::Suspect;

use crate::logging;
use crate::open::Opened;
use crate::settings::Settings;

/// Ends in failure when something is wrong, so that a scheduled run is noticed.
pub(super) async fn run(settings: Settings) -> anyhow::Result<ExitCode> {
    logging::start(&settings.log)?;
    let opened = Opened::beside_server(&settings).await?;
    let report = opened
        .registry
        .scrub(|suspect| {
            let line = match suspect {
                Suspect::Missing { key } => {
                    format!("missing: object {key}; push its content again, or restore it from a backup")
                }
                Suspect::Damaged { key, reason } => {
                    format!("damaged: object {key}: {reason}; restore it from a backup")
                }
                Suspect::Unknown { key, size } => {
                    format!("unknown: object {key}, {size} bytes, is in no row of the database")
                }
                Suspect::ManifestDamaged { digest } => {
                    format!("damaged: manifest {digest} does not hash to its digest; push it again")
                }
            };
            // A closed pipe must not end the scrub; the count at the end still tells.
            let _ = writeln!(std::io::stdout(), "{line}");
        })
        .await?;
    let (objects, manifests) = (report.objects, report.manifests);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "read {objects} objects and {manifests} manifests, {} bytes: {} suspects",
        report.bytes, report.suspects
    )?;
    Ok(if report.suspects == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
