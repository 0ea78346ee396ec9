//! A Docker daemon of the test's own.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{Output, Sandbox, process, run, tool};

/// How long the daemon and its containerd may take to come up on a busy machine.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long they may take to end when they are asked to.
const PATIENCE: Duration = Duration::from_secs(15);

/// A real `dockerd` on a socket in a temporary directory, with a containerd of its own. It needs root. It
/// makes no bridge and writes no firewall rule, copies directories instead of mounting layers, and leaves
/// neither process nor mount when it is dropped.
#[derive(Debug)]
pub struct Dockerd {
    directory: TempDir,
    child: Child,
}

impl Dockerd {
    /// Starts the daemon and waits until it answers; panics with its log when it does not.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more variables: it is the daemon that talks to registries, so whatever is said about proxies
    /// and certificates it has to hear too.
    pub fn start_with(environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("larder")
            .rand_bytes(8)
            .tempdir()
            .expect("a temporary directory can be made");
        let path = |name: &str| directory.path().join(name);
        let log = File::create(path("log")).expect("the log file can be made");
        let copy = log.try_clone().expect("a file handle can be duplicated");
        let child = Command::new(tool("dockerd"))
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"])
            .arg("--config-file")
            // An absent file that is named is an error, and the machine's own must not be read.
            .arg(empty_configuration(&directory))
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("sock").display()))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log)
            // A signal to the terminal's group must not end it before the test has cleaned up.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start dockerd: {error}"));
        let mut daemon = Self { directory, child };
        daemon.wait_until_ready();
        daemon
    }

    /// The docker client, talking to this daemon, with the configuration of `sandbox`.
    pub fn command(&self, sandbox: &Sandbox, arguments: &[&str]) -> Command {
        let mut command = sandbox.command("docker");
        command.env("DOCKER_HOST", self.address()).args(arguments);
        command
    }

    /// Runs the docker client; see [`Self::command`].
    #[track_caller]
    pub fn docker(&self, sandbox: &Sandbox, arguments: &[&str]) -> Output {
        run(&mut self.command(sandbox, arguments))
    }

    /// Runs the docker client with `input` on its standard input.
    #[track_caller]
    pub fn docker_with_input(&self, sandbox: &Sandbox, arguments: &[&str], input: &str) -> Output {
        let path = sandbox.write("input", input);
        let file = File::open(path).expect("a file that was just written can be opened");
        run(self.command(sandbox, arguments).stdin(file))
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn address(&self) -> String {
        format!("unix://{}", self.directory.path().join("sock").display())
    }

    fn wait_until_ready(&mut self) {
        let sandbox = Sandbox::new();
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = process::wait(&mut self.child, Duration::ZERO) {
                panic!("dockerd ended before it answered: {status}\n--- its log\n{}", self.log());
            }
            if self.docker(&sandbox, &["version"]).status.success() {
                return;
            }
            assert!(Instant::now() < deadline, "dockerd does not answer\n--- its log\n{}", self.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Ends the containerd that a killed daemon left behind. The number in its file may have gone to
    /// another process, so only one that was started with our directory counts.
    fn end_containerd(&self) {
        let exec = self.directory.path().join("exec");
        let Ok(text) = std::fs::read_to_string(exec.join("containerd/containerd.pid")) else { return };
        let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) else { return };
        let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&*exec.to_string_lossy()) {
            // It may have ended meanwhile, which is what we want.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Takes away the mounts below our directory, innermost first.
    fn unmount(&self) {
        let prefix = self.directory.path().to_string_lossy().into_owned();
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for place in table.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if place.starts_with(&prefix) {
                // Lazily: a process that is about to end may still stand in it.
                let _ = Command::new("umount").args(["--lazy", place]).status();
            }
        }
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        process::stop(&mut self.child, PATIENCE);
        self.end_containerd();
        self.unmount();
        if std::thread::panicking() {
            eprintln!("--- dockerd's log\n{}", self.log());
        }
    }
}

/// An empty configuration file in `directory`.
fn empty_configuration(directory: &TempDir) -> std::path::PathBuf {
    let path = directory.path().join("daemon.json");
    std::fs::write(&path, "{}").expect("a configuration file can be written");
    path
}
