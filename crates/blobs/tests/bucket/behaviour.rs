//! What a disk and a bucket do alike.

use std::io::{self, SeekFrom};

use blobs::{
    AppendLimits, AppendOutcome, ContentHash, Hashes, ObjectKey, ReadError, StageError, StagedState, Store,
};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::iter;

use crate::place::{
    LIMITS, MEBIBYTE, Place, append, chunk, content, frames, hash_of, left_over, nothing, read, write,
};

/// Each of these tests on a disk, and in a bucket in the process that `suite` starts.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod disk {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name(crate::place::Place::disk()).await;
                }
            )*
        }
        mod bucket {
            $(
                #[tokio::test]
                #[ignore = "started by `suite`"]
                async fn $name() {
                    super::$name(crate::place::Place::bucket()).await;
                }
            )*
        }
    };
}

on_both! {
    a_body_is_stored_hashed_and_found_again,
    an_upload_goes_on_in_other_processes,
    chunks_of_any_size_make_the_whole,
    one_writer_at_a_time,
    a_broken_body_keeps_what_came,
    a_body_longer_than_allowed_keeps_nothing,
    bytes_of_a_lost_request_are_cut_off,
    a_hash_ahead_of_the_bytes_is_noticed,
    ranges_give_exactly_their_bytes,
    what_is_missing_is_told_from_what_is_short,
    an_object_is_read_back_and_forth,
    everything_is_listed_once,
    a_discarded_upload_leaves_nothing,
    files_lie_beside_the_objects,
    a_store_keeps_its_name,
    the_last_request_may_come_twice,
}

async fn a_body_is_stored_hashed_and_found_again(place: Place) {
    let store = place.store().await;
    store.probe().await.unwrap();
    assert_eq!(store.is_shared(), place.is_bucket());
    let part = 8 * MEBIBYTE;
    for length in [0, 1, 1000, 300_000, part - 1, part, part + 1, 2 * part, 20 * MEBIBYTE + 12_345] {
        let content = content(length, length);
        let key = ObjectKey::random();
        let mut staged = store.stage(&key, &StagedState::default()).await.unwrap();
        let appended = staged.append(ContentHash::new(Hashes::Both), LIMITS, frames(&content)).await;
        assert!(matches!(appended.outcome, AppendOutcome::Complete), "{:?}", appended.outcome);
        staged.seal().await.unwrap();
        staged.seal().await.unwrap();
        let finished = appended.hash.finish();
        assert_eq!(finished.sha256, hash_of(&content).finish().sha256);
        assert_eq!(staged.rehash(finished.size, Hashes::Both).await.unwrap().finish(), finished);
        assert_eq!(store.verify(&key, Hashes::Both).await.unwrap(), finished);
        assert_eq!(store.size(&key).await.unwrap(), Some(length as u64));
        assert!(read(&store, &key).await == content, "{length}");
    }
    assert_eq!(left_over(&store).await, []);
}

async fn an_upload_goes_on_in_other_processes(place: Place) {
    let store = place.store().await;
    for lengths in [&[7, 100_000, 3][..], &[5 * MEBIBYTE, 9 * MEBIBYTE, 17 * MEBIBYTE, 1], &[8 * MEBIBYTE; 3]]
    {
        let (key, mut at) = (ObjectKey::random(), (nothing(), StagedState::default()));
        let mut whole = Vec::new();
        for length in lengths {
            let part = content(*length, whole.len());
            at = chunk(&place, &key, at, &part).await;
            whole.extend_from_slice(&part);
        }
        let mut staged = store.stage(&key, &at.1).await.unwrap();
        let hash = append(&mut staged, at.0, b"").await;
        staged.seal().await.unwrap();
        assert_eq!(hash.finish(), hash_of(&whole).finish());
        assert!(read(&store, &key).await == whole);
    }
    assert_eq!(left_over(&store).await, []);
}

async fn chunks_of_any_size_make_the_whole(place: Place) {
    let store = place.store().await;
    let (key, mut at) = (ObjectKey::random(), (nothing(), StagedState::default()));
    let mut whole = Vec::new();
    for number in 0..150_usize {
        let part = content(1 + number * 37 % 3000, number);
        let mut staged = store.stage(&key, &at.1).await.unwrap();
        let hash = append(&mut staged, at.0, &part).await;
        at = (hash, staged.keep().await.unwrap());
        whole.extend_from_slice(&part);
        if number == 100 {
            // From here on, a part is filled and more chunks follow.
            let part = content(8 * MEBIBYTE, number);
            drop(staged);
            at = chunk(&place, &key, at, &part).await;
            whole.extend_from_slice(&part);
        }
    }
    let mut staged = store.stage(&key, &at.1).await.unwrap();
    append(&mut staged, at.0, b"the end").await;
    whole.extend_from_slice(b"the end");
    staged.seal().await.unwrap();
    assert!(read(&store, &key).await == whole);
    assert_eq!(left_over(&store).await, []);
}

async fn one_writer_at_a_time(place: Place) {
    let store = place.store().await;
    let key = ObjectKey::random();
    let staged = store.stage(&key, &StagedState::default()).await.unwrap();
    let again = store.stage(&key, &StagedState::default()).await;
    assert!(matches!(again, Err(StageError::Busy)));
    drop(again);
    store.stage(&ObjectKey::random(), &StagedState::default()).await.unwrap();
    drop(staged);
    store.stage(&key, &StagedState::default()).await.unwrap();
}

async fn a_broken_body_keeps_what_came(place: Place) {
    let store = place.store().await;
    for length in [1000, 300_000, 9 * MEBIBYTE] {
        let (key, content) = (ObjectKey::random(), content(length, 1));
        let mut staged = store.stage(&key, &StagedState::default()).await.unwrap();
        let body =
            iter([Ok(Bytes::from(content.clone())), Err("connection reset"), Ok(Bytes::from("never"))]);
        let appended = staged.append(nothing(), LIMITS, body).await;
        assert!(matches!(appended.outcome, AppendOutcome::BodyFailed("connection reset")));
        assert_eq!(appended.written, length as u64);
        let state = staged.keep().await.unwrap();
        drop(staged);

        let mut staged = store.stage(&key, &state).await.unwrap();
        append(&mut staged, appended.hash, b"the rest").await;
        staged.seal().await.unwrap();
        assert!(read(&store, &key).await == [&content[..], b"the rest"].concat());
    }
}

async fn a_body_longer_than_allowed_keeps_nothing(place: Place) {
    let store = place.store().await;
    let key = ObjectKey::random();
    let mut staged = store.stage(&key, &StagedState::default()).await.unwrap();
    let before = append(&mut staged, nothing(), b"before").await;
    let body = content(17 * MEBIBYTE, 0);
    let limits = AppendLimits { length: Some(body.len() as u64 - 1), ..LIMITS };
    let long = staged.append(before.clone(), limits, frames(&body)).await;
    assert!(matches!(long.outcome, AppendOutcome::TooLong));
    assert_eq!((long.written, long.hash.len()), (0, 6));
    let exact = staged.append(long.hash, limits, frames(&body[1..])).await;
    assert!(matches!(exact.outcome, AppendOutcome::Complete), "{:?}", exact.outcome);
    staged.seal().await.unwrap();
    assert!(read(&store, &key).await == [b"before", &body[1..]].concat());
    assert_eq!(left_over(&store).await, []);
}

async fn bytes_of_a_lost_request_are_cut_off(place: Place) {
    let store = place.store().await;
    for lost in [10, 9 * MEBIBYTE] {
        let (key, lost) = (ObjectKey::random(), content(lost, 3));
        let at = chunk(&place, &key, (nothing(), StagedState::default()), b"kept").await;
        // This request's end is never recorded.
        chunk(&place, &key, at.clone(), &lost).await;
        let mut staged = store.stage(&key, &at.1).await.unwrap();
        // Nor is what this one did at first.
        append(&mut staged, at.0.clone(), &lost).await;
        append(&mut staged, at.0, b" and closed").await;
        staged.seal().await.unwrap();
        assert_eq!(read(&store, &key).await, b"kept and closed");
        drop(staged);
        store.discard(&key, &StagedState::default()).await.unwrap();
    }
    assert_eq!(left_over(&store).await, []);
}

async fn a_hash_ahead_of_the_bytes_is_noticed(place: Place) {
    let store = place.store().await;
    let key = ObjectKey::random();
    let mut staged = store.stage(&key, &StagedState::default()).await.unwrap();
    let appended = staged.append(hash_of(b"never stored"), LIMITS, frames(b"more")).await;
    assert!(matches!(appended.outcome, AppendOutcome::Lost));
    assert_eq!(appended.hash.len(), 12);
}

async fn ranges_give_exactly_their_bytes(place: Place) {
    let store = place.store().await;
    let (key, content) = (ObjectKey::random(), content(3 * MEBIBYTE + 17, 0));
    write(&store, &key, &content).await.unwrap();
    for (first, length) in [
        (0, content.len()),
        (0, 0),
        (content.len(), 0),
        (0, 1),
        (MEBIBYTE - 1, 2),
        (5, 2 * MEBIBYTE),
        (3 * MEBIBYTE, 17),
    ] {
        let reader = store.read(&key, first as u64, length as u64).await.unwrap();
        assert_eq!(reader.remaining(), length as u64);
        let read = reader.try_collect::<Vec<_>>().await.unwrap().concat();
        assert!(read == content[first..first + length], "{first}+{length}");
    }
}

async fn what_is_missing_is_told_from_what_is_short(place: Place) {
    let store = place.store().await;
    let (missing, key) = (ObjectKey::random(), ObjectKey::random());
    assert_eq!(store.size(&missing).await.unwrap(), None);
    for (first, length) in [(0, 1), (0, 0), (7, 7)] {
        assert!(matches!(store.read(&missing, first, length).await, Err(ReadError::Missing)));
    }
    assert!(matches!(store.verify(&missing, Hashes::Sha256).await, Err(ReadError::Missing)));
    assert!(matches!(store.inspect(&missing, |_, _| ()).await, Err(ReadError::Missing)));
    write(&store, &key, b"0123456789").await.unwrap();
    for (first, length) in [(0, 11), (11, 0), (5, 6), (20, 1), (u64::MAX, 2)] {
        let Err(ReadError::Io(error)) = store.read(&key, first, length).await else {
            panic!("{first}+{length} is beyond the end");
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
    }
    assert!(store.delete(&key).await.unwrap());
    assert!(matches!(store.read(&key, 0, 1).await, Err(ReadError::Missing)));
    store.delete(&key).await.unwrap();
}

async fn an_object_is_read_back_and_forth(place: Place) {
    let store = place.store().await;
    let (key, content) = (ObjectKey::random(), content(2 * MEBIBYTE + 5, 9));
    write(&store, &key, &content).await.unwrap();
    let expected = content.clone();
    store
        .inspect(&key, move |reader, size| {
            assert_eq!(size, expected.len() as u64);
            for at in [2 * MEBIBYTE, 0, MEBIBYTE - 2, 1_500_000] {
                let mut four = [0; 4];
                assert_eq!(reader.seek(SeekFrom::Start(at as u64)).unwrap(), at as u64);
                reader.read_exact(&mut four).unwrap();
                assert_eq!(four, expected[at..at + 4]);
            }
            assert_eq!(reader.seek(SeekFrom::End(-5)).unwrap(), expected.len() as u64 - 5);
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).unwrap();
            assert_eq!(rest, expected[expected.len() - 5..]);
            assert!(reader.seek(SeekFrom::Current(-i64::MAX)).is_err());
            reader.rewind().unwrap();
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            assert!(all == expected);
        })
        .await
        .unwrap();
}

async fn everything_is_listed_once(place: Place) {
    let store = place.store().await;
    let mut expected = Vec::new();
    for length in 0..30 {
        let key = ObjectKey::random();
        write(&store, &key, &content(length, 0)).await.unwrap();
        expected.push((key, length as u64));
    }
    let (mut listing, mut listed) = (store.list(), Vec::new());
    loop {
        let batch = listing.next_batch().await.unwrap();
        if batch.is_empty() {
            break;
        }
        // Stores round times to seconds, and their clock may be a little ahead.
        let young = |time: std::time::SystemTime| time.elapsed().unwrap_or_default().as_secs() < 600;
        assert!(batch.iter().all(|object| young(object.modified)));
        listed.extend(batch.into_iter().map(|object| (object.key, object.size)));
    }
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

async fn a_discarded_upload_leaves_nothing(place: Place) {
    let store = place.store().await;
    for length in [100, 9 * MEBIBYTE] {
        let key = ObjectKey::random();
        let at = chunk(&place, &key, (nothing(), StagedState::default()), &content(length, 1)).await;
        if place.is_bucket() {
            assert_eq!(left_over(&store).await, [key]);
        }
        // Whoever throws an upload away need not know how far it came.
        let state = if length == 100 { at.1 } else { StagedState::default() };
        store.discard(&key, &state).await.unwrap();
        store.discard(&key, &state).await.unwrap();
        assert_eq!(left_over(&store).await, []);
        assert_eq!(store.size(&key).await.unwrap(), None);
    }
}

async fn files_lie_beside_the_objects(place: Place) {
    let store = place.store().await;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    assert_eq!(store.files("snapshots").await.unwrap(), []);
    let names = ["snapshots/2.larder", "snapshots/1.larder"].map(|name| name.parse().unwrap());
    for (name, length) in names.iter().zip([11, 10 * MEBIBYTE + 3]) {
        for seed in [1, 2] {
            std::fs::write(&source, content(length, seed)).unwrap();
            store.file_write(name, &source).await.unwrap();
        }
        let reader = store.file_read(name).await.unwrap();
        assert_eq!(reader.remaining(), length as u64);
        assert!(reader.try_collect::<Vec<_>>().await.unwrap().concat() == content(length, 2));
    }
    let listed = store.files("snapshots").await.unwrap();
    let listed: Vec<_> = listed.iter().map(|file| (file.name.as_str(), file.size)).collect();
    assert_eq!(listed, [("snapshots/1.larder", 10 * MEBIBYTE as u64 + 3), ("snapshots/2.larder", 11)]);
    assert!(store.list().next_batch().await.unwrap().is_empty());
    assert!(store.file_delete(&names[0]).await.unwrap());
    store.file_delete(&names[0]).await.unwrap();
    assert!(matches!(store.file_read(&names[0]).await, Err(ReadError::Missing)));
    assert_eq!(store.files("snapshots").await.unwrap().len(), 1);
}

async fn a_store_keeps_its_name(place: Place) {
    assert!(Store::attach(&place.options).await.is_err());
    let store = place.store().await;
    let name = store.identity().await.unwrap();
    assert_eq!(store.identity().await.unwrap(), name);
    assert_eq!(Store::attach(&place.options).await.unwrap().identity().await.unwrap(), name);
    drop(store);
    assert_eq!(place.store().await.identity().await.unwrap(), name);
    let other = if place.is_bucket() { Place::bucket() } else { Place::disk() };
    assert_ne!(other.store().await.identity().await.unwrap(), name);
}

async fn the_last_request_may_come_twice(place: Place) {
    let store = place.store().await;
    for (first, last) in [(0, 10), (10, 10), (9 * MEBIBYTE, 10), (10, 9 * MEBIBYTE), (0, 17 * MEBIBYTE)] {
        let key = ObjectKey::random();
        let (first, last) = (content(first, 1), content(last, 2));
        let at = chunk(&place, &key, (nothing(), StagedState::default()), &first).await;
        // The process dies after this, before anything is recorded.
        let mut staged = store.stage(&key, &at.1).await.unwrap();
        append(&mut staged, at.0.clone(), &last).await;
        staged.seal().await.unwrap();
        drop(staged);

        let mut staged = store.stage(&key, &at.1).await.unwrap();
        let hash = append(&mut staged, at.0.clone(), &last).await;
        staged.seal().await.unwrap();
        let whole = [first, last].concat();
        assert_eq!(hash.finish(), hash_of(&whole).finish());
        assert!(read(&store, &key).await == whole);
    }
    let _ = left_over(&store).await;
}
