//! A program that runs beside the test, as its user starts it in a terminal: its two outputs kept apart.

use std::fs::File;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process;

/// A running program. It ends when this is dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    outputs: TempDir,
}

impl Background {
    /// Starts `command`; panics when that cannot be done.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let outputs = TempDir::new().expect("a temporary directory can be made");
        let file = |name: &str| File::create(outputs.path().join(name)).expect("an output file can be made");
        command.stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, outputs }
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.output("stderr")
    }

    fn output(&self, name: &str) -> String {
        let bytes = std::fs::read(self.outputs.path().join(name)).expect("an output file can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `is_so`, at most ten seconds; panics with the program's output when it never is.
    #[track_caller]
    pub fn until(&mut self, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "what was waited for did not happen:\n{self}");
            std::thread::sleep(process::PAUSE);
        }
    }

    /// Asks the program to end, as a service manager does, and does not wait for it.
    pub fn terminate(&self) {
        process::terminate(&self.child);
    }

    /// Waits until the program ends, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        process::wait(&mut self.child, limit)
    }
}

impl std::fmt::Display for Background {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stdout, stderr) = (self.stdout(), self.stderr());
        write!(formatter, "--- standard output\n{stdout}\n--- standard error\n{stderr}")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        process::kill(&mut self.child);
        if std::thread::panicking() {
            eprintln!("{self}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_heard_while_it_runs_and_asked_to_end() {
        let script = "trap 'echo bye; exit 7' TERM; echo out; echo err >&2; while :; do sleep 0.05; done";
        let mut background = Background::start(Command::new("sh").args(["-c", script]));
        background.until(|running| running.stdout() == "out\n" && running.stderr() == "err\n");
        assert!(background.wait(Duration::ZERO).is_none());
        background.terminate();
        let status = background.wait(Duration::from_secs(10)).expect("the program ends");
        assert_eq!((status.code(), background.stdout().as_str()), (Some(7), "out\nbye\n"));
    }
}
