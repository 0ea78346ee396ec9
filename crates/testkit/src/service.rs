//! A program that serves the tests in a directory of its own, and that ends when they do, however they end.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process;

/// How long a service may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How long a service may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the end of its standard input, whose other end this process holds: nothing that happens to this
/// process, not even `kill -9`, leaves it open. Then it ends what it was told to watch and removes a directory.
#[derive(Debug)]
pub(crate) struct Undertaker {
    shell: Child,
}

impl Undertaker {
    /// Will remove `directory`. Processes are asked to end with `signal` (such as `TERM`) and have a second.
    pub(crate) fn new(directory: &Path, signal: &str) -> Self {
        const SCRIPT: &str = r#"
            pid=
            while read -r line; do pid=$line; done
            if [ -n "$pid" ]; then
                kill -s "$1" "$pid"
                for _ in 1 2 3 4 5 6 7 8 9 10; do
                    kill -0 "$pid" || break
                    sleep 0.1
                done
                kill -9 "$pid"
                # What it has started may be in its group, and may write a last file while all are removed.
                kill -9 "-$pid"
            fi
            rm -rf "$2" || { sleep 0.5; rm -rf "$2"; }
        "#;
        let shell = Command::new("sh")
            .args(["-c", SCRIPT, "sh", signal])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal reaches the whole group of the tests; this has work left then.
            .process_group(0)
            .spawn()
            .expect("a shell can be started");
        Self { shell }
    }

    /// Watches `child` instead of what it watched before.
    pub(crate) fn watch(&mut self, child: Option<&Child>) {
        let pid = child.map(|child| child.id().to_string()).unwrap_or_default();
        if let Some(input) = &mut self.shell.stdin {
            // Only a shell that somebody has ended does not listen.
            let _ = writeln!(input, "{pid}");
        }
    }
}

impl Drop for Undertaker {
    fn drop(&mut self) {
        // Whoever drops this has ended its program, and removes its directory.
        process::kill(&mut self.shell);
    }
}

/// A running or stopped program with its directory and log.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    child: Option<Child>,
    end: Signal,
    // Dropped in this order: the undertaker must not outlive the directory that it would remove.
    undertaker: Undertaker,
    directory: TempDir,
}

impl Service {
    /// The program called `name` in messages, not running yet. It is asked to end with `end` when this is
    /// dropped, and with `undertaker` (a signal's name) when the tests die.
    pub(crate) fn new(name: &'static str, end: Signal, undertaker: &str) -> Self {
        // A short name: the path of a socket in it must fit in 107 bytes.
        let directory = tempfile::Builder::new()
            .prefix("larder")
            .rand_bytes(8)
            .tempdir()
            .expect("a temporary directory can be made");
        let undertaker = Undertaker::new(directory.path(), undertaker);
        Self { name, child: None, end, undertaker, directory }
    }

    /// The directory that everything of the program is in.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Everything that the program has written since its first start.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory().join("log")).unwrap_or_default()
    }

    /// Starts `command` and waits until `is_ready`. On failure no process is left.
    pub(crate) fn launch(
        &mut self,
        command: &mut Command,
        is_ready: impl Fn(&Child) -> bool,
    ) -> Result<(), String> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.directory().join("log"))
            .expect("the log file can be opened");
        let copy = log.try_clone().expect("a file handle can be duplicated");
        let child = command
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log)
            // A signal to the terminal's group must not end it before the test has cleaned up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name));
        self.undertaker.watch(Some(&child));
        let child = self.child.insert(child);
        let deadline = Instant::now() + READY_WITHIN;
        let reason = loop {
            if let Some(status) = process::wait(child, Duration::ZERO) {
                break format!("it ended before it was ready: {status}");
            }
            if is_ready(child) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                break format!("it was not ready within {} seconds", READY_WITHIN.as_secs());
            }
            std::thread::sleep(process::PAUSE);
        };
        self.kill9();
        Err(reason)
    }

    /// Starts `command` again where it may find its port taken for a moment, by a neighbour that looks for one.
    #[track_caller]
    pub(crate) fn launch_again(
        &mut self,
        mut command: impl FnMut() -> Command,
        is_ready: impl Fn(&Child) -> bool,
    ) {
        let mut last = String::new();
        for _ in 0..5 {
            match self.launch(&mut command(), &is_ready) {
                Ok(()) => return,
                Err(reason) => last = reason,
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        self.give_up(&last)
    }

    /// Asks the program to end with `signal` and waits for it.
    pub(crate) fn stop(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            if process::wait(&mut child, Duration::ZERO).is_none() {
                // It may have ended a moment ago; then there is nobody to ask, and that is what we want.
                let _ = kill_process(Pid::from_child(&child), signal);
                if process::wait(&mut child, PATIENCE).is_none() {
                    process::kill(&mut child);
                }
            }
            self.undertaker.watch(None);
        }
    }

    /// Ends the program as a crash would.
    pub(crate) fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            process::kill(&mut child);
            self.undertaker.watch(None);
        }
    }

    /// Panics with the log.
    #[track_caller]
    pub(crate) fn give_up(&self, reason: &str) -> ! {
        panic!("cannot start {}: {reason}\n--- its log\n{}", self.name, self.log())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop(self.end);
        if std::thread::panicking() {
            eprintln!("--- the log of {}\n{}", self.name, self.log());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_when_the_tests_die() {
        let directory = tempfile::tempdir().unwrap().keep();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let mut undertaker = Undertaker::new(&directory, "TERM");
        undertaker.watch(Some(&child));
        // What the system does with every handle of a process that ends.
        undertaker.shell.stdin = None;
        assert!(process::wait(&mut child, Duration::from_secs(10)).is_some_and(|status| !status.success()));
        assert!(process::wait(&mut undertaker.shell, Duration::from_secs(10)).is_some());
        assert!(!directory.exists());
    }

    #[test]
    fn a_service_is_started_stopped_and_heard() {
        let mut service = Service::new("a test's shell", Signal::TERM, "TERM");
        let log = service.directory().join("log");
        let ready = move |_: &Child| std::fs::read_to_string(&log).is_ok_and(|log| log.contains("ready"));
        let mut command = Command::new("sh");
        service.launch(command.args(["-c", "echo ready; sleep 600"]), &ready).unwrap();
        service.stop(Signal::TERM);
        let mut command = Command::new("sh");
        let reason = service.launch(command.args(["-c", "exit 3"]), |_| false).unwrap_err();
        assert!(reason.contains("exit status: 3"), "{reason}");
        assert_eq!(service.log(), "ready\n");
    }
}
