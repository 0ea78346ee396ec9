//! The crash points in the code, one by one: the process dies there, and afterwards there is the old state or
//! the new one, the client's request can be sent again, and nothing half-written is left.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread::scope;

use crate::scenario::{Operation, Scenario};

/// Which state has to be found after the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// As if the request had never come.
    Old,
    /// As if it had been answered.
    New,
}

/// Every crash point with the operations that come by there.
const CASES: &[(&str, Operation, State)] = &[
    ("blobs::staged_created", Operation::BlobPush, State::Old),
    ("blobs::staged_created", Operation::ChunkAppend, State::Old),
    ("blobs::piece_written", Operation::BlobPush, State::Old),
    ("blobs::piece_written", Operation::ChunkAppend, State::Old),
    ("blobs::before_sync", Operation::ChunkAppend, State::Old),
    ("blobs::before_sync", Operation::UploadFinish, State::Old),
    ("blobs::after_sync", Operation::ChunkAppend, State::Old),
    ("blobs::after_sync", Operation::BlobPush, State::Old),
    ("blobs::before_delete", Operation::Collection, State::New),
    ("blobs::after_delete", Operation::Collection, State::New),
    ("registry::upload_before_advance", Operation::ChunkAppend, State::Old),
    ("registry::upload_before_sync", Operation::UploadFinish, State::Old),
    ("registry::upload_before_commit", Operation::UploadFinish, State::Old),
    ("registry::upload_before_commit", Operation::BlobPush, State::Old),
    ("registry::upload_after_commit", Operation::UploadFinish, State::New),
    ("registry::upload_after_commit", Operation::BlobPush, State::New),
    ("registry::manifest_before_commit", Operation::ManifestPush, State::Old),
    ("registry::manifest_after_commit", Operation::ManifestPush, State::New),
    ("registry::delete_before_commit", Operation::ManifestDelete, State::Old),
    ("registry::delete_after_commit", Operation::ManifestDelete, State::New),
    ("blobs::staged_created", Operation::PackageUpload, State::Old),
    ("blobs::piece_written", Operation::PackageUpload, State::Old),
    ("blobs::before_sync", Operation::PackageUpload, State::Old),
    ("blobs::after_sync", Operation::PackageUpload, State::Old),
    ("registry::python_before_commit", Operation::PackageUpload, State::Old),
    ("registry::python_after_commit", Operation::PackageUpload, State::New),
    ("registry::review_before", Operation::Collection, State::Old),
    ("registry::review_between", Operation::Collection, State::Old),
    ("registry::review_after", Operation::Collection, State::New),
    ("registry::trash_between", Operation::Collection, State::New),
];

/// Servers that run at the same time.
const AT_ONCE: usize = 8;

#[test]
fn i2_i3_a_crash_at_each_point_leaves_the_old_state_or_the_new_one() {
    for cases in CASES.chunks(AT_ONCE) {
        scope(|scope| {
            for &(point, operation, state) in cases {
                let name = format!("{point} in {operation:?}");
                let case = std::thread::Builder::new().name(name);
                case.spawn_scoped(scope, move || crash(point, operation, state)).expect("a thread can start");
            }
        });
    }
}

fn crash(point: &str, operation: Operation, state: State) {
    let mut scenario = Scenario::prepare(operation);
    scenario.die_at(point);
    let found = scenario.state();
    assert_eq!(found, state, "after a crash at {point} in {operation:?}");
    scenario.repeat(found);
    assert_eq!(scenario.state(), State::New, "the request was repeated after a crash at {point}");
    scenario.finish();
}

#[test]
fn every_crash_point_in_the_code_is_in_the_table() {
    let mut found = BTreeSet::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for entry in std::fs::read_dir(crates).expect("a crate lies among the crates") {
        collect_points(&entry.expect("the crates can be listed").path().join("src"), &mut found);
    }
    let tested: BTreeSet<String> = CASES.iter().map(|(point, _, _)| (*point).to_owned()).collect();
    assert_eq!(found, tested, "the code has the crash points on the left, this test those on the right");
}

/// The names in all `crash_point!("…")` below a folder.
fn collect_points(path: &Path, found: &mut BTreeSet<String>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a source folder can be read") {
            collect_points(&entry.expect("a source folder can be listed").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let text = std::fs::read_to_string(path).expect("a source file can be read");
        let names = text.split("crash_point!(").skip(1);
        found
            .extend(names.filter_map(|rest| {
                rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)
            }));
    }
}
