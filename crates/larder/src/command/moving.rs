//! What `larder import` and `larder export` share: passwords, progress on the terminal, and how they end.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use tokio::signal::unix::{SignalKind, signal};
use transfer::{Credentials, Error, Failure, Progress};

/// How often the line on a terminal changes.
const ON_TERMINAL: Duration = Duration::from_millis(200);
/// How often a line goes to a log.
const IN_LOG: Duration = Duration::from_secs(5);
/// How many failures are told one by one.
const TOLD: usize = 50;
/// The longest line that fits on a terminal of the usual width; a longer one could not be overwritten.
const WIDTH: usize = 79;
/// What a shell reports for a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Where the passwords come from: the environment or standard input, never the command line, which others can
/// read.
pub(super) struct Access {
    prefix: &'static str,
    from_stdin: bool,
}

impl Access {
    pub(super) fn new(prefix: &'static str, from_stdin: bool) -> Self {
        Self { prefix, from_stdin }
    }

    /// The credentials of `user`, whose password is in `<prefix>_<side>_PASSWORD` or `<prefix>_PASSWORD`.
    pub(super) fn credentials(
        &mut self,
        user: Option<String>,
        side: &str,
        option: &str,
    ) -> anyhow::Result<Option<Credentials>> {
        let Some(username) = user else { return Ok(None) };
        let password = if self.from_stdin {
            let mut line = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut line)
                .context("cannot read the password from standard input")?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            let names = [format!("{}_{side}_PASSWORD", self.prefix), format!("{}_PASSWORD", self.prefix)];
            names.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default()
        };
        if password.is_empty() {
            bail!(
                "there is no password for {option} {username}; set {}_{side}_PASSWORD or {}_PASSWORD, or give \
                 --password-stdin",
                self.prefix,
                self.prefix
            );
        }
        Ok(Some(Credentials { username, password: SecretString::from(password) }))
    }
}

/// Does `work` while telling how far it is, until it ends or somebody interrupts it.
pub(super) async fn watch(
    work: impl Future<Output = Result<Vec<Failure>, Error>>,
    progress: &Progress,
    verb: &str,
    command: &str,
) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let on_terminal = std::io::stderr().is_terminal();
    let period = if on_terminal { ON_TERMINAL } else { IN_LOG };
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    let mut work = Box::pin(work);
    let outcome = loop {
        tokio::select! {
            outcome = &mut work => break Some(outcome),
            _ = tokio::signal::ctrl_c() => break None,
            _ = terminate.recv() => break None,
            _ = ticks.tick() => show(&progress.line(), on_terminal),
        }
    };
    // Whatever was under way ends here, before the last word.
    drop(work);
    if on_terminal {
        show("", true);
    }
    match outcome {
        None => {
            eprintln!("{}", progress.summary());
            eprintln!(
                "larder: interrupted; nothing is half done, run the same {command} command again to go on"
            );
            Ok(ExitCode::from(INTERRUPTED))
        }
        Some(outcome) => {
            let failures = outcome?;
            say(&format!("{verb} {}", progress.summary()))?;
            Ok(report(&failures, command))
        }
    }
}

/// One line that replaces the one before on a terminal, and follows it in a log.
fn show(line: &str, on_terminal: bool) {
    let mut out = std::io::stderr().lock();
    // Nothing can be done about a terminal that is gone.
    let _ = if on_terminal {
        let line: String = line.chars().take(WIDTH).collect();
        write!(out, "\r\x1b[2K{line}").and_then(|()| out.flush())
    } else {
        writeln!(out, "{line}")
    };
}

/// Tells what failed and what to do about it, and how the program ends.
pub(super) fn report(failures: &[Failure], command: &str) -> ExitCode {
    if failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    for failure in failures.iter().take(TOLD) {
        eprintln!("larder: {failure}");
    }
    if failures.len() > TOLD {
        eprintln!("larder: … and {} more", failures.len() - TOLD);
    }
    eprintln!(
        "larder: {} failed and everything else is done; see to what is named above and run the same {command} command \
         again",
        failures.len()
    );
    ExitCode::FAILURE
}

pub(super) fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
