//! The process dies at each crash point, and the next one finds a store that it can go on with.
//!
//! Runs with `--features failpoints`.

use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use blobs::{
    AppendLimits, ContentHash, Durability, Finished, Hashes, Location, ObjectKey, Options, StagedState, Store,
};
use bytes::Bytes;
use futures_util::stream::iter;

const ROOT: &str = "LARDER_TEST_CRASH_ROOT";
const SIGABRT: i32 = 6;

fn key() -> ObjectKey {
    ObjectKey::from_bits([7; 16])
}

async fn upload(store: &Store) -> Finished {
    let mut staged =
        store.stage(&key(), &StagedState::default()).await.expect("nobody else writes the object");
    let limits = AppendLimits { length: None, idle: Duration::from_secs(5) };
    let body = iter([Ok::<_, Infallible>(Bytes::from(vec![5; 600_000]))]);
    let appended = staged.append(ContentHash::new(Hashes::Sha256), limits, body).await;
    staged.seal().await.expect("the disk works");
    appended.hash.finish()
}

fn options(root: impl AsRef<Path>) -> Options {
    Options { location: Location::Disk(root.as_ref().to_owned()), durability: Durability::Durable }
}

/// What the process that dies does; started by the test below.
#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn victim() {
    let _scenario = fail::FailScenario::setup();
    let store = Store::open(&options(std::env::var_os(ROOT).unwrap())).await.unwrap();
    upload(&store).await;
    store.delete(&key()).await.unwrap();
}

#[tokio::test]
async fn i3_the_next_process_goes_on_after_a_crash_anywhere() {
    // At each point: whether the content must be there, whole.
    let points = [
        ("blobs::staged_created", Some(false)),
        ("blobs::piece_written", None),
        ("blobs::before_sync", None),
        ("blobs::after_sync", Some(true)),
        ("blobs::before_delete", Some(true)),
        ("blobs::after_delete", Some(false)),
    ];
    for (point, whole) in points {
        let folder = tempfile::tempdir().unwrap();
        let died = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "victim"])
            .env(ROOT, folder.path())
            .env("FAILPOINTS", format!("{point}=return"))
            .output()
            .unwrap();
        assert_eq!(died.status.signal(), Some(SIGABRT), "{point}: {died:?}");

        // Neither the lock of the store nor that of the object outlives the process.
        let store = Store::open(&options(folder.path())).await.unwrap();
        let found = store.verify(&key(), Hashes::Sha256).await.ok();
        let finished = upload(&store).await;
        if let Some(whole) = whole {
            assert_eq!(found == Some(finished), whole, "{point}");
        }
        assert_eq!(store.verify(&key(), Hashes::Sha256).await.unwrap(), finished, "{point}");
    }
}
