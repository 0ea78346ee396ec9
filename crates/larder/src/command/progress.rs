//! What a long command says while it runs: one line that changes on a terminal, a line now and then in a log.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use registry::BackupEvent;

/// How often the line changes on a terminal, and how often a line comes elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Counts what is dealt with and tells it on standard error; what is wrong goes to standard output, which a
/// script may keep.
pub(super) struct Progress {
    verb: &'static str,
    state: Mutex<State>,
}

struct State {
    terminal: bool,
    told: Instant,
    begun: Instant,
    objects: u64,
    of: u64,
    bytes: u64,
    line_is_open: bool,
}

impl Progress {
    pub(super) fn start(verb: &'static str) -> Self {
        let now = Instant::now();
        let terminal = std::io::stderr().is_terminal();
        let state =
            State { terminal, told: now, begun: now, objects: 0, of: 0, bytes: 0, line_is_open: false };
        Self { verb, state: Mutex::new(state) }
    }

    /// Takes in one event. A closed pipe must not end the command, so nothing here fails.
    pub(super) fn tell(&self, event: &BackupEvent) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            BackupEvent::Database { rows, objects, written_at } => {
                state.of = *objects;
                state.close_line();
                let _ = writeln!(
                    std::io::stderr(),
                    "the database as of {written_at}: {rows} rows, {objects} objects"
                );
                return;
            }
            BackupEvent::Object { copied } => state.bytes += copied.unwrap_or_default(),
            BackupEvent::Bad { key, digest, reason } => {
                state.close_line();
                let _ = writeln!(std::io::stdout(), "bad: object {key} ({digest}): {reason}");
            }
        }
        state.objects += 1;
        let pause = if state.terminal { ON_TERMINAL } else { ELSEWHERE };
        if state.told.elapsed() >= pause {
            state.told = Instant::now();
            state.line(self.verb);
        }
    }

    /// The last line.
    pub(super) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if state.terminal && state.objects > 0 {
            state.line(self.verb);
        }
        state.close_line();
    }
}

impl State {
    fn line(&mut self, verb: &str) {
        let seconds = self.begun.elapsed().as_secs().max(1);
        let rate = bytes(self.bytes / seconds);
        let text =
            format!("{verb} {} of {} objects, {} ({rate}/s)", self.objects, self.of, bytes(self.bytes));
        let mut err = std::io::stderr().lock();
        let _ = if self.terminal {
            self.line_is_open = true;
            write!(err, "\r{text}\x1b[K").and_then(|()| err.flush())
        } else {
            writeln!(err, "{text}")
        };
    }

    fn close_line(&mut self) {
        if std::mem::take(&mut self.line_is_open) {
            let _ = writeln!(std::io::stderr());
        }
    }
}

/// A number of bytes as people read it.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_555, "1.5 kB"),
            (999_999, "999.9 kB"),
            (1_000_000, "1.0 MB"),
            (2_500_000_000, "2.5 GB"),
            (7_000_000_000_000_000, "7000.0 TB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
