use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::stream::{self, iter, pending};
use proptest::prelude::*;
use sha2::{Digest, Sha256, Sha512};
use tempfile::TempDir;

use super::*;
use crate::disk::PIECE;
use crate::{AppendLimits, AppendOutcome, ReadError};

const LIMITS: AppendLimits = AppendLimits { length: None, idle: Duration::from_secs(5) };

fn store() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let store = Disk::open(folder.path(), Durability::Durable).unwrap();
    (folder, store)
}

fn nothing() -> ContentHash {
    ContentHash::new(Hashes::Sha256)
}

fn hash_of(content: &[u8]) -> ContentHash {
    let mut hash = nothing();
    hash.update(content);
    hash
}

fn frames(content: &[u8], length: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin + use<> {
    iter(content.chunks(length).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect::<Vec<_>>())
}

fn file_of(folder: &TempDir, key: &ObjectKey) -> Vec<u8> {
    std::fs::read(folder.path().join("objects").join(key.path())).unwrap()
}

/// Stages again after a writer was dropped whose last write may still run.
async fn stage_soon(store: &Disk, key: &ObjectKey) -> Staged {
    loop {
        match store.stage(key).await {
            Ok(staged) => return staged,
            Err(StageError::Busy) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_body_is_stored_hashed_and_found_again() {
    let (folder, store) = store();
    for length in [0, 1, 1000, PIECE, 2 * PIECE + 1, 9 * PIECE + 12345] {
        let content: Vec<u8> = (0..length).map(|index| (index % 251).to_le_bytes()[0]).collect();
        let key = ObjectKey::random();
        let mut staged = store.stage(&key).await.unwrap();
        let appended = staged.append(ContentHash::new(Hashes::Both), LIMITS, frames(&content, 70_000)).await;
        assert!(matches!(appended.outcome, AppendOutcome::Complete));
        assert_eq!(appended.written, length as u64);
        staged.sync().await.unwrap();
        let finished = appended.hash.finish();
        assert_eq!(finished.sha256, <[u8; 32]>::from(Sha256::digest(&content)));
        assert_eq!(finished.sha512, Some(Sha512::digest(&content).into()));
        assert_eq!(store.verify(&key, Hashes::Both).await.unwrap(), finished);
        assert_eq!(store.size(&key).await.unwrap(), Some(length as u64));
        assert_eq!(staged.rehash(finished.size, Hashes::Both).await.unwrap().finish(), finished);
        assert!(file_of(&folder, &key) == content);
    }
}

#[tokio::test]
async fn an_upload_goes_on_after_a_restart() {
    let (folder, store) = store();
    let key = ObjectKey::random();
    let first = store.stage(&key).await.unwrap().append(nothing(), LIMITS, frames(b"first, ", 3)).await;
    let stored = first.hash.to_bytes();
    drop(store);

    let store = Disk::open(folder.path(), Durability::Durable).unwrap();
    let hash = ContentHash::from_bytes(&stored).unwrap();
    let mut staged = store.stage(&key).await.unwrap();
    let second = staged.append(hash, LIMITS, frames(b"second", 2)).await;
    assert_eq!(second.written, 6);
    assert_eq!(second.hash.finish(), hash_of(b"first, second").finish());
    assert_eq!(file_of(&folder, &key), b"first, second");
}

#[tokio::test]
async fn one_writer_at_a_time() {
    let (_folder, store) = store();
    let key = ObjectKey::random();
    let staged = store.stage(&key).await.unwrap();
    assert!(matches!(store.stage(&key).await, Err(StageError::Busy)));
    store.stage(&ObjectKey::random()).await.unwrap();

    // A write in flight holds the file as this does.
    let in_flight = Arc::clone(&staged.file);
    drop(staged);
    assert!(matches!(store.stage(&key).await, Err(StageError::Busy)));
    drop(in_flight);
    store.stage(&key).await.unwrap();
}

#[tokio::test]
async fn a_broken_body_keeps_what_came() {
    let (folder, store) = store();
    let key = ObjectKey::random();
    let content = vec![3; PIECE + 1000];
    let mut staged = store.stage(&key).await.unwrap();
    let body = iter([Ok(Bytes::from(content.clone())), Err("connection reset"), Ok(Bytes::from("never"))]);
    let appended = staged.append(nothing(), LIMITS, body).await;
    assert!(matches!(appended.outcome, AppendOutcome::BodyFailed("connection reset")));
    assert_eq!(appended.written, content.len() as u64);
    assert_eq!(appended.hash.clone().finish(), hash_of(&content).finish());
    assert!(file_of(&folder, &key) == content);

    let rest = staged.append(appended.hash, LIMITS, frames(b"the rest", 8)).await;
    assert!(matches!(rest.outcome, AppendOutcome::Complete));
    assert_eq!(store.size(&key).await.unwrap(), Some(content.len() as u64 + 8));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_keeps_what_came() {
    let (folder, store) = store();
    let key = ObjectKey::random();
    let mut staged = store.stage(&key).await.unwrap();
    let limits = AppendLimits { length: None, idle: Duration::from_mins(1) };
    // Slow is not stalled: three frames, 50 seconds apart.
    let slow = Box::pin(stream::iter(["a", "b", "c"]).then(async |frame| {
        tokio::time::sleep(Duration::from_secs(50)).await;
        Ok::<_, Infallible>(Bytes::from(frame))
    }));
    let appended = staged.append(nothing(), limits, slow.chain(pending())).await;
    assert!(matches!(appended.outcome, AppendOutcome::Stalled));
    assert_eq!(appended.hash.finish(), hash_of(b"abc").finish());
    assert_eq!(file_of(&folder, &key), b"abc");
}

#[tokio::test]
async fn bytes_of_a_lost_request_are_cut_off() {
    let (folder, store) = store();
    let key = ObjectKey::random();
    let mut staged = store.stage(&key).await.unwrap();
    let kept = staged.append(nothing(), LIMITS, frames(b"kept", 4)).await.hash;
    staged.append(kept.clone(), LIMITS, frames(b", and a long tail that no row knows of", 9)).await;

    let again = staged.append(kept.clone(), LIMITS, frames(b" too", 4)).await;
    assert_eq!(again.hash.finish(), hash_of(b"kept too").finish());
    assert_eq!(file_of(&folder, &key), b"kept too");

    let closed = staged.append(kept, LIMITS, frames(b"", 1)).await;
    assert_eq!((closed.written, closed.hash.len()), (0, 4));
    assert_eq!(file_of(&folder, &key), b"kept");
}

#[tokio::test]
async fn a_body_that_is_too_long_leaves_nothing() {
    let (folder, store) = store();
    let key = ObjectKey::random();
    let mut staged = store.stage(&key).await.unwrap();
    let before = staged.append(nothing(), LIMITS, frames(b"before", 6)).await.hash;
    let allowed = 2 * PIECE as u64 + 10;
    let limits = AppendLimits { length: Some(allowed), ..LIMITS };

    let body = vec![1; 2 * PIECE + 11];
    let long = staged.append(before.clone(), limits, frames(&body, 50_000)).await;
    assert!(matches!(long.outcome, AppendOutcome::TooLong));
    assert_eq!((long.written, long.hash.len()), (0, 6));
    assert_eq!(file_of(&folder, &key), b"before");

    let exact = staged.append(before, limits, frames(&body[1..], 50_000)).await;
    assert!(matches!(exact.outcome, AppendOutcome::Complete));
    assert_eq!(exact.written, allowed);
}

#[tokio::test]
async fn lost_bytes_are_noticed() {
    let (_folder, store) = store();
    let key = ObjectKey::random();
    let mut staged = store.stage(&key).await.unwrap();
    let appended = staged.append(hash_of(b"never stored"), LIMITS, frames(b"more", 4)).await;
    assert!(matches!(appended.outcome, AppendOutcome::Lost));
    assert_eq!(appended.hash.len(), 12);
    let error = staged.rehash(12, Hashes::Sha256).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn i3_an_upload_deleted_under_its_writer_never_counts_as_durable() {
    let (_folder, store) = store();
    let key = ObjectKey::random();
    let mut staged = store.stage(&key).await.unwrap();
    let hash = staged.append(nothing(), LIMITS, frames(b"content", 7)).await.hash;
    assert!(store.delete(&key).await.unwrap());
    assert!(matches!(staged.sync().await, Err(SyncError::Lost)));
    let again = staged.append(hash, LIMITS, frames(b"", 1)).await;
    assert!(matches!(again.outcome, AppendOutcome::Lost));
    // The deleted file's lock does not stand in the way of a new one.
    store.stage(&key).await.unwrap();
}

#[tokio::test]
async fn a_dropped_append_can_be_done_again() {
    let (folder, store) = store();
    let content = vec![9; 3 * PIECE];
    for after in [0, 1, 2, 5] {
        let key = ObjectKey::random();
        let mut staged = store.stage(&key).await.unwrap();
        let body = frames(&content, PIECE).take(after).chain(pending());
        let dropped = tokio::time::timeout(Duration::from_millis(5), staged.append(nothing(), LIMITS, body));
        dropped.await.unwrap_err();

        let refused = staged.append(nothing(), LIMITS, frames(b"mixed up", 8)).await;
        assert!(matches!(refused.outcome, AppendOutcome::Io(_)));
        staged.sync().await.unwrap_err();
        drop(staged);

        let mut staged = stage_soon(&store, &key).await;
        let appended = staged.append(nothing(), LIMITS, frames(&content, 1000)).await;
        assert!(matches!(appended.outcome, AppendOutcome::Complete));
        staged.sync().await.unwrap();
        assert_eq!(appended.hash.finish(), hash_of(&content).finish());
        assert!(file_of(&folder, &key) == content);
    }
}

#[tokio::test]
async fn everything_is_listed_once() {
    let (folder, store) = store();
    let mut expected = Vec::new();
    for length in 0..1100 {
        let key = ObjectKey::random();
        // Written past the store, which would sync each of them.
        let folder = folder.path().join("objects").join(key.folder());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(key.as_str()), vec![0; length]).unwrap();
        expected.push((key, length as u64));
    }
    let stray = folder.path().join("objects").join(expected[0].0.folder());
    std::fs::write(stray.join("README"), "not an object").unwrap();
    std::fs::create_dir(stray.join(ObjectKey::random().as_str())).unwrap();

    let (mut listing, mut listed) = (store.list(), Vec::new());
    loop {
        let batch = listing.next_batch().await.unwrap();
        assert!(batch.len() <= 1000);
        if batch.is_empty() {
            break;
        }
        assert!(batch.iter().all(|object| object.modified.elapsed().unwrap() < Duration::from_mins(10)));
        listed.extend(batch.into_iter().map(|object| (object.key, object.size)));
    }
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
    assert!(listing.next_batch().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_missing_is_said_so() {
    let (_folder, store) = store();
    let key = ObjectKey::random();
    assert_eq!(store.size(&key).await.unwrap(), None);
    assert!(matches!(store.verify(&key, Hashes::Sha256).await, Err(ReadError::Missing)));
    assert!(!store.delete(&key).await.unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a body is cut into requests and frames, and whatever breaks in between, the object and its hash
    /// are those of the content.
    #[test]
    fn i1_any_way_of_sending_gives_the_same_content(
        requests in prop::collection::vec((0_usize..600_000, 1_usize..400_000, any::<bool>()), 1..5),
        seed: u8,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, store) = store();
            let key = ObjectKey::random();
            let (mut hash, mut content) = (nothing(), Vec::new());
            for (number, (length, frame, lost)) in requests.into_iter().enumerate() {
                let part: Vec<u8> = (0..length).map(|index| (index * 7 + number).to_le_bytes()[0] ^ seed).collect();
                let mut staged = stage_soon(&store, &key).await;
                if lost {
                    // This request's result is never recorded.
                    staged.append(hash.clone(), LIMITS, frames(&part, frame)).await;
                }
                let appended = staged.append(hash, LIMITS, frames(&part, frame)).await;
                assert!(matches!(appended.outcome, AppendOutcome::Complete));
                hash = ContentHash::from_bytes(&appended.hash.to_bytes()).unwrap();
                content.extend_from_slice(&part);
            }
            assert!(file_of(&folder, &key) == content);
            assert_eq!(hash.finish(), hash_of(&content).finish());
        });
    }
}
