//! The two conformance suites of the OCI distribution specification, judged by what they count: both can end
//! with success after having tested nothing.
//!
//! The programs come from `scripts/install-test-tools.sh`; what they report is kept in `test-output/` of the
//! workspace.

mod program;
mod suite;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use testkit::{Api, Options, Sandbox, Server, run, run_within};

/// A run takes seconds; a server that hangs must not hold a build for long.
const LIMIT: Duration = Duration::from_mins(10);

/// Checks that pass when everything is there, including anonymous mounts and sparse indexes.
const PROGRAM_PASSES: u64 = 1032;

/// Fewer passes than this mean that the suite ran without some of its four workflows.
const SUITE_PASSES: usize = 70;

/// What the suite cannot run in one configuration, because each has a counterpart that runs instead.
const SUITE_SKIPS: [&str; 4] = [
    // For a registry that the suite may not push to.
    "Get tag name from environment",
    "Populate registry with test tags (no push)",
    // For a registry that answers a mount with an upload session; ours answers that the blob is there.
    "Cross-mounting of nonexistent blob should yield session id",
    // For a registry that finds no blob without being told where; ours finds it.
    "Cross-mounting without from, and automatic content discovery disabled should return a 202",
];

/// Where a suite runs, and the name of what it reports.
struct Place<'a> {
    url: String,
    host: String,
    admin: Api,
    /// Two repositories that nothing was pushed to.
    repositories: [&'a str; 2],
    reports: &'a str,
}

impl Place<'_> {
    fn server<'a>(server: &Server, reports: &'a str) -> Place<'a> {
        Place {
            url: server.url(),
            host: server.host(),
            admin: server.api(),
            repositories: ["demo/main/conformance1", "demo/main/conformance2"],
            reports,
        }
    }

    fn run_program(&self) {
        // A registry refuses manifests over content that it lacks unless its administrator says otherwise.
        self.admin.registry_sparse("demo", "main");
        let (home, reports) = (Sandbox::new(), report_directory(self.reports));
        let output = run_within(
            LIMIT,
            home.command("conformance-dev")
                .env("OCI_REGISTRY", &self.host)
                .env("OCI_TLS", "disabled")
                .env("OCI_REPO1", self.repositories[0])
                .env("OCI_REPO2", self.repositories[1])
                .env("OCI_USERNAME", self.admin.username())
                .env("OCI_PASSWORD", self.admin.password())
                .env("OCI_VERSION", "dev")
                .env("OCI_DATA_SPARSE", "true")
                .env("OCI_RESULTS_DIR", &reports),
        );
        keep(&reports, &output);
        let report =
            program::Report::parse(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
        let complaints = report.complaints(PROGRAM_PASSES);
        assert!(complaints.is_empty(), "{}\nall of it is in {}", complaints.join("\n"), reports.display());
        output.success();
    }

    fn run_suite(&self) {
        let (home, reports) = (Sandbox::new(), report_directory(self.reports));
        let output = run_within(
            LIMIT,
            home.command("conformance-v1.1.1")
                .env("OCI_ROOT_URL", &self.url)
                .env("OCI_NAMESPACE", self.repositories[0])
                .env("OCI_CROSSMOUNT_NAMESPACE", self.repositories[1])
                .env("OCI_AUTOMATIC_CROSSMOUNT", "1")
                .env("OCI_USERNAME", self.admin.username())
                .env("OCI_PASSWORD", self.admin.password())
                .env("OCI_TEST_PULL", "1")
                .env("OCI_TEST_PUSH", "1")
                .env("OCI_TEST_CONTENT_DISCOVERY", "1")
                .env("OCI_TEST_CONTENT_MANAGEMENT", "1")
                .env("OCI_REPORT_DIR", &reports),
        );
        keep(&reports, &output);
        let junit = std::fs::read_to_string(reports.join("junit.xml"))
            .unwrap_or_else(|error| panic!("the suite wrote no report: {error}\n{output}"));
        let complaints = suite::complaints(&suite::cases(&junit), SUITE_PASSES, &SUITE_SKIPS);
        assert!(complaints.is_empty(), "{}\nall of it is in {}", complaints.join("\n"), reports.display());
        output.success();
    }
}

fn options() -> Options {
    Options::new(env!("CARGO_BIN_EXE_larder"))
}

#[test]
fn the_development_program_passes_every_check() {
    Place::server(&Server::start(options()), "conformance-dev").run_program();
}

#[test]
fn the_suite_of_release_1_1_1_passes_every_test() {
    Place::server(&Server::start(options()), "conformance-v1.1.1").run_suite();
}

/// A server that was brought back from a backup is as good as the one that the backup is of.
#[test]
fn the_suite_of_release_1_1_1_passes_every_test_on_a_restored_server() {
    let home = Sandbox::new();
    let (backup, data) = (home.file("backup"), home.file("data"));
    let first = Server::start(options());
    Place::server(&first, "conformance-v1.1.1-saved").run_suite();
    run(&mut first.command(&["backup", "--to", &backup])).success();
    let mut restore = Command::new(env!("CARGO_BIN_EXE_larder"));
    run(restore.args(["restore", "--from", &backup, "--data-dir", &data])).success();
    // One machine again, whatever the other servers of this run stand on.
    let one_machine = options().env("LARDER_DATABASE__URL", "").env("LARDER_STORAGE__URL", "");
    let restored = Server::start(one_machine.data_directory(data).admin_password(first.admin_password()));
    run(&mut restored.command(&["scrub"])).success().says(": 0 suspects");
    let place = Place {
        repositories: ["demo/main/conformance3", "demo/main/conformance4"],
        ..Place::server(&restored, "conformance-v1.1.1-restored")
    };
    place.run_suite();
}

/// An empty directory below `test-output/` of the workspace.
fn report_directory(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let directory =
        workspace.canonicalize().expect("a crate lies in a workspace").join("test-output").join(name);
    // What an earlier run left must not pass for this one's.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("the report directory can be made");
    directory
}

/// Keeps what a suite printed beside its own reports.
fn keep(reports: &Path, output: &testkit::Output) {
    std::fs::write(reports.join("output.txt"), output.to_string()).expect("the output can be kept");
}
