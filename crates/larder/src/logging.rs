//! Structured logs on standard error.

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, LogSettings};

/// The most that the driver of PostgreSQL logs, whatever the level of everything else.
const DRIVER: &str = "tokio_postgres=info";

/// Starts logging.
pub(crate) fn start(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.level).with_context(|| {
        format!(
            "log.level = {:?} is not usable; it is a level such as info, or a list as in info,db=debug",
            settings.level
        )
    })?;
    // Below this it writes down what is stored: hashes, and whatever somebody typed into the wrong field.
    let filter = filter.add_directive(DRIVER.parse().expect("a fixed text is a directive"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
