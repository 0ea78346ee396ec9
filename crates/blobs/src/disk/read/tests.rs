use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use tempfile::TempDir;

use super::*;
use crate::disk::PIECE;
use crate::{AppendLimits, ContentHash, Durability, Hashes};

/// Content in which every offset can be told from its neighbours.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| index.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect()
}

async fn store_with(content: &[u8]) -> (TempDir, Disk, ObjectKey) {
    let folder = tempfile::tempdir().unwrap();
    let store = Disk::open(folder.path(), Durability::Durable).unwrap();
    let key = ObjectKey::random();
    let mut staged = store.stage(&key).await.unwrap();
    let limits = AppendLimits { length: None, idle: Duration::from_secs(5) };
    let body = futures_util::stream::iter([Ok::<_, ()>(Bytes::copy_from_slice(content))]);
    let appended = staged.append(ContentHash::new(Hashes::Sha256), limits, body).await;
    assert_eq!(appended.written, content.len() as u64);
    staged.sync().await.unwrap();
    (folder, store, key)
}

async fn read_all(reader: Reader) -> io::Result<Vec<u8>> {
    reader
        .try_fold(Vec::new(), async |mut all, piece| {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
}

#[tokio::test]
async fn ranges_give_exactly_their_bytes() {
    let content = content(3 * PIECE + 17);
    let (_folder, store, key) = store_with(&content).await;
    let ranges = [
        (0, content.len()),
        (0, 0),
        (content.len(), 0),
        (0, 1),
        (PIECE - 1, 2),
        (5, 2 * PIECE),
        (3 * PIECE, 17),
    ];
    for (first, length) in ranges {
        let reader = store.read(&key, first as u64, length as u64).await.unwrap();
        assert_eq!(reader.remaining(), length as u64);
        assert_eq!(read_all(reader).await.unwrap(), content[first..first + length], "{first}+{length}");
    }
}

#[tokio::test]
async fn without_the_help_of_the_page_cache_the_bytes_are_the_same() {
    let content = content(2 * PIECE + 5);
    let (_folder, store, key) = store_with(&content).await;
    store.inner.page_cache.disable();
    let reader = store.read(&key, 1, content.len() as u64 - 1).await.unwrap();
    assert_eq!(read_all(reader).await.unwrap(), content[1..]);
    assert!(matches!(store.read(&ObjectKey::random(), 0, 1).await, Err(ReadError::Missing)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_left_memory_comes_from_the_disk() {
    let content = content(20 * PIECE);
    let (folder, store, key) = store_with(&content).await;
    let file = File::open(folder.path().join("objects").join(key.path())).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let reader = store.read(&key, 0, content.len() as u64).await.unwrap();
    assert!(read_all(reader).await.unwrap() == content);
}

#[tokio::test]
async fn a_missing_object_is_told_from_a_short_one() {
    let (_folder, store, key) = store_with(b"0123456789").await;
    assert!(matches!(store.read(&ObjectKey::random(), 0, 1).await, Err(ReadError::Missing)));
    for (first, length) in [(0, 11), (11, 0), (u64::MAX, 2)] {
        let Err(ReadError::Io(error)) = store.read(&key, first, length).await else {
            panic!("{first}+{length} is beyond the end");
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn i1_an_object_cut_short_under_a_reader_is_an_error() {
    let content = content(3 * PIECE);
    for page_cache in [true, false] {
        let (folder, store, key) = store_with(&content).await;
        if !page_cache {
            store.inner.page_cache.disable();
        }
        let mut reader = store.read(&key, 0, content.len() as u64).await.unwrap();
        assert_eq!(reader.next().await.unwrap().unwrap(), content[..PIECE]);
        let file = File::options().write(true).open(folder.path().join("objects").join(key.path())).unwrap();
        file.set_len(PIECE as u64 + 100).unwrap();
        let error = loop {
            if let Err(error) = reader.next().await.expect("the end must not come silently") {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(reader.next().await.is_none());
    }
}

#[tokio::test]
async fn i10_memory_follows_the_pieces_held_and_not_the_length() {
    let content = content(40 * PIECE);
    for (held, most) in [(0, 1), (1, 2), (2, 3)] {
        let (_folder, store, key) = store_with(&content).await;
        let mut reader = store.read(&key, 0, content.len() as u64).await.unwrap();
        let mut pieces = std::collections::VecDeque::new();
        let mut at = 0;
        while let Some(piece) = reader.next().await {
            let piece = piece.unwrap();
            assert_eq!(piece, content[at..at + piece.len()]);
            at += piece.len();
            pieces.push_back(piece);
            while pieces.len() > held {
                pieces.pop_front();
            }
        }
        assert_eq!(at, content.len());
        assert!(reader.allocated <= most, "{} buffers for {held} pieces held", reader.allocated);
    }
}

#[tokio::test]
async fn pieces_that_are_kept_are_never_written_over() {
    let content = content(20 * PIECE);
    let (_folder, store, key) = store_with(&content).await;
    let pieces: Vec<Bytes> =
        store.read(&key, 0, content.len() as u64).await.unwrap().try_collect().await.unwrap();
    assert!(pieces.concat() == content);
}

#[tokio::test]
async fn a_deleted_object_is_read_to_its_end_by_those_who_have_it() {
    let content = content(2 * PIECE);
    let (_folder, store, key) = store_with(&content).await;
    let reader = store.read(&key, 0, content.len() as u64).await.unwrap();
    assert!(store.delete(&key).await.unwrap());
    assert!(read_all(reader).await.unwrap() == content);
    assert!(matches!(store.read(&key, 0, 1).await, Err(ReadError::Missing)));
    assert!(!store.delete(&key).await.unwrap());
}
