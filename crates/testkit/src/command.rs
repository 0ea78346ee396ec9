//! Running other people's programs: found, isolated, limited in time, and talkative when they fail.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process;

/// How long a client may take before it counts as stuck.
const LIMIT: Duration = Duration::from_mins(2);

/// Where the program `name` is: in `LARDER_TEST_TOOLS`, else on the search path, else where Debian keeps what
/// only administrators are expected to type.
///
/// A missing client fails the test. Skipping would make a run green that has proved nothing.
pub fn tool(name: &str) -> PathBuf {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let pinned = std::env::var_os("LARDER_TEST_TOOLS").map(PathBuf::from);
    pinned
        .into_iter()
        .chain(std::env::split_paths(&search))
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "cannot find the program {name}: run scripts/install-test-tools.sh and set LARDER_TEST_TOOLS to \
                 the directory that it prints"
            )
        })
}

/// What a program left behind.
#[derive(Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
    /// The command line, for messages.
    command: String,
}

impl Output {
    /// The output of a command that had to work; panics with everything it said when it did not.
    #[track_caller]
    pub fn success(self) -> Self {
        assert!(self.status.success(), "this had to work, and did not:\n{self}");
        self
    }

    /// The output of a command that had to be refused; panics when it worked.
    #[track_caller]
    pub fn failure(self) -> Self {
        assert!(!self.status.success(), "this had to be refused, and was not:\n{self}");
        self
    }

    /// Asserts that the user reads `text` somewhere in the output, in whatever case.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let everything = format!("{}\n{}", self.stdout, self.stderr).to_lowercase();
        assert!(everything.contains(&text.to_lowercase()), "the user does not read {text:?}:\n{self}");
        self
    }

    /// Asserts that the user reads at least one of `texts`, in whatever case: for a client whose words depend
    /// on the request that was refused first.
    #[track_caller]
    pub fn says_one_of(self, texts: &[&str]) -> Self {
        let everything = format!("{}\n{}", self.stdout, self.stderr).to_lowercase();
        let found = texts.iter().any(|text| everything.contains(&text.to_lowercase()));
        assert!(found, "the user reads none of {texts:?}:\n{self}");
        self
    }

    /// Asserts that the user does not read `text` anywhere in the output, in whatever case.
    #[track_caller]
    pub fn says_nothing_of(self, text: &str) -> Self {
        let everything = format!("{}\n{}", self.stdout, self.stderr).to_lowercase();
        assert!(!everything.contains(&text.to_lowercase()), "the user reads {text:?}:\n{self}");
        self
    }

    /// The lines of standard output, trimmed, without empty ones.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr } = self;
        write!(
            formatter,
            "$ {command}\n{status}\n--- standard output\n{stdout}\n--- standard error\n{stderr}"
        )
    }
}

/// Runs `command` for at most 120 seconds; panics when it cannot be started or does not end.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_within(LIMIT, command)
}

/// Runs `command` for at most `limit`; panics when it cannot be started or does not end.
#[track_caller]
pub fn run_within(limit: Duration, command: &mut Command) -> Output {
    let directory = TempDir::new().expect("a temporary directory can be made");
    // Files and not pipes: a program that writes much never waits for a reader.
    let file = |name: &str| File::create(directory.path().join(name)).expect("an output file can be made");
    let text = |name: &str| {
        let bytes = std::fs::read(directory.path().join(name)).expect("an output file can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let line = describe(command);
    command.stdout(file("stdout")).stderr(file("stderr")).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {line}: {error}"));
    let Some(status) = process::wait(&mut child, limit) else {
        process::kill_group(&mut child);
        panic!(
            "stuck for {} seconds: {line}\n--- standard output\n{}\n--- standard error\n{}",
            limit.as_secs(),
            text("stdout"),
            text("stderr")
        );
    };
    Output { status, stdout: text("stdout"), stderr: text("stderr"), command: line }
}

/// The command line as a person would type it.
fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A home of their own for clients: nothing that a developer configured reaches a test, and no test finds
/// the credentials or the cached layers of another.
#[derive(Debug)]
pub struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    /// A fresh, empty home.
    pub fn new() -> Self {
        // A short name: a socket's path must fit in 108 bytes, and podman wants its run directory shorter still.
        let directory = tempfile::Builder::new()
            .prefix("larder")
            .rand_bytes(8)
            .tempdir()
            .expect("a temporary directory can be made");
        let sandbox = Self { directory };
        for (name, content) in sandbox.configuration() {
            let path = sandbox.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a configuration file lies in a directory"))
                .expect("a configuration directory can be made");
            std::fs::write(&path, content).expect("a configuration file can be written");
        }
        for name in ["home", "run", "tmp"] {
            std::fs::create_dir_all(sandbox.path().join(name))
                .expect("a directory can be made in the sandbox");
        }
        sandbox
    }

    /// The sandbox's own directory, for files that a test makes.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path inside the sandbox, as text for a command line.
    pub fn file(&self, name: &str) -> String {
        self.path().join(name).to_str().expect("temporary paths are text").to_owned()
    }

    /// Writes a file into the sandbox and returns its path as text.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path().join(name), content).expect("a file can be written in the sandbox");
        self.file(name)
    }

    /// A command that finds `program` with [`tool`] and knows no home but this one.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(tool(program));
        command.env_clear().current_dir(self.path()).stdin(Stdio::null());
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        for (name, place) in [
            ("HOME", "home"),
            ("TMPDIR", "tmp"),
            ("DOCKER_CONFIG", "docker"),
            ("REGISTRY_AUTH_FILE", "auth.json"),
            ("REGCTL_CONFIG", "regctl.json"),
            ("CONTAINERS_CONF", "containers.conf"),
            ("CONTAINERS_STORAGE_CONF", "storage.conf"),
            ("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
            ("HELM_CACHE_HOME", "helm/cache"),
            ("HELM_CONFIG_HOME", "helm/config"),
            ("HELM_DATA_HOME", "helm/data"),
            ("HELM_REGISTRY_CONFIG", "helm/registry.json"),
            ("XDG_CACHE_HOME", "home/.cache"),
            ("XDG_CONFIG_HOME", "home/.config"),
            ("XDG_DATA_HOME", "home/.local/share"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            command.env(name, self.path().join(place));
        }
        command
    }

    /// Runs `program` with `arguments` in this home.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        run(self.command(program).args(arguments))
    }

    /// Runs `program` with `arguments` in this home and hands it `input` on standard input: how a password
    /// reaches a login without showing in the list of processes.
    #[track_caller]
    pub fn run_with_input(&self, program: &str, arguments: &[&str], input: &str) -> Output {
        let path = self.write("input", input);
        let file = File::open(path).expect("a file that was just written can be opened");
        run(self.command(program).args(arguments).stdin(file))
    }

    /// What podman, buildah and skopeo read at start. The storage driver copies directories, so that no
    /// mount is needed; locks and events are files, so that nothing outside this directory is touched.
    fn configuration(&self) -> [(&'static str, String); 6] {
        let root = self.path().display();
        [
            (
                "home/.config/containers/policy.json",
                r#"{"default":[{"type":"insecureAcceptAnything"}]}"#.to_owned(),
            ),
            ("registries.conf", "unqualified-search-registries = []\n".to_owned()),
            (
                "storage.conf",
                format!(
                    "[storage]\ndriver = \"vfs\"\ngraphroot = \"{root}/c\"\nrunroot = \"{root}/run/c\"\n"
                ),
            ),
            (
                "containers.conf",
                format!(
                    "[network]\nnetwork_config_dir = \"{root}/networks\"\n\
                     [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nlock_type = \"file\"\n\
                     tmp_dir = \"{root}/run/t\"\nstatic_dir = \"{root}/static\"\nvolume_path = \"{root}/volumes\"\n"
                ),
            ),
            ("docker/config.json", "{}".to_owned()),
            // Podman refuses to start when the file that it is told about is absent.
            ("auth.json", "{}".to_owned()),
        ]
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_apart_and_the_status_seen() {
        let output = run(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]));
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(output.status.code(), Some(3));
        output.failure().says("OUT").says("err").says_nothing_of("other");
    }

    #[test]
    #[should_panic(expected = "stuck for 0 seconds")]
    fn a_stuck_command_is_ended_with_its_children() {
        run_within(Duration::from_millis(200), Command::new("sh").args(["-c", "sleep 60 & sleep 60"]));
    }

    #[test]
    #[should_panic(expected = "run scripts/install-test-tools.sh")]
    fn a_missing_tool_says_what_to_run() {
        tool("a-program-that-nobody-wrote");
    }

    #[test]
    fn a_sandbox_hides_the_developers_home() {
        let sandbox = Sandbox::new();
        let output = sandbox.run("sh", &["-c", "echo $HOME; cat"]).success();
        assert_eq!(output.stdout.trim(), sandbox.file("home"));
        assert_eq!(sandbox.run_with_input("cat", &[], "secret").success().stdout, "secret");
    }
}
