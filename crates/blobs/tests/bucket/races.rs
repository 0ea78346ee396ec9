//! Several processes that write to one bucket without knowing of each other.

use blobs::{AppendOutcome, ContentHash, ObjectKey, Staged, StagedState, Store, SyncError};

use crate::place::{LIMITS, MEBIBYTE, Place, append, chunk, content, frames, hash_of, nothing, read};

/// Writes all of the content and seals it; `None` if the upload was lost to somebody else.
async fn finish(
    store: &Store,
    key: &ObjectKey,
    (hash, state): (ContentHash, StagedState),
    content: &[u8],
) -> Option<ContentHash> {
    let mut staged = store.stage(key, &state).await.unwrap();
    let appended = staged.append(hash, LIMITS, frames(content)).await;
    match appended.outcome {
        AppendOutcome::Complete => {}
        AppendOutcome::Lost => return None,
        other => panic!("{other:?}"),
    }
    match staged.seal().await {
        Ok(()) => Some(appended.hash),
        Err(SyncError::Lost) => None,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn what_was_acknowledged_is_never_replaced() {
    let place = Place::bucket();
    let (one, other) = (place.store().await, place.store().await);
    let large = 9 * MEBIBYTE;
    for (round, lengths) in
        [(10, 10), (large, large), (10, large), (large, 10)].repeat(4).into_iter().enumerate()
    {
        for recorded in [0, 10, large] {
            let key = ObjectKey::random();
            let before = content(recorded, 7);
            let at = if recorded == 0 {
                (nothing(), StagedState::default())
            } else {
                chunk(&place, &key, (nothing(), StagedState::default()), &before).await
            };
            let bodies = [content(lengths.0, 2 * round), content(lengths.1, 2 * round + 1)];
            let (first, second) = tokio::join!(
                finish(&one, &key, at.clone(), &bodies[0]),
                finish(&other, &key, at.clone(), &bodies[1])
            );
            assert!(first.is_none() || second.is_none(), "two contents of one object were acknowledged");
            let winner = first.map(|hash| (hash, &bodies[0])).or(second.map(|hash| (hash, &bodies[1])));
            if let Some((hash, body)) = winner {
                let whole = [&before[..], body].concat();
                assert_eq!(hash.finish(), hash_of(&whole).finish());
                assert!(read(&one, &key).await == whole, "round {round} of {lengths:?} after {recorded}");
                // Nobody can replace it later either.
                let late = content(lengths.1, 99);
                assert!(finish(&other, &key, at.clone(), &late).await.is_none());
                assert!(read(&one, &key).await == whole);
            }
            // A part that comes while the upload is being completed lets some servers keep the upload.
            one.discard(&key, &at.1).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn the_same_content_may_be_finished_twice() {
    let place = Place::bucket();
    let (one, other) = (place.store().await, place.store().await);
    for length in [10, 9 * MEBIBYTE, 10, 17 * MEBIBYTE] {
        let key = ObjectKey::random();
        let (before, body) = (content(100, 7), content(length, 8));
        let at = chunk(&place, &key, (nothing(), StagedState::default()), &before).await;
        let (first, second) =
            tokio::join!(finish(&one, &key, at.clone(), &body), finish(&other, &key, at, &body));
        assert!(first.is_some() || second.is_some());
        assert!(read(&one, &key).await == [before, body].concat());
        one.discard(&key, &StagedState::default()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn the_recorded_one_of_two_appends_goes_on() {
    let place = Place::bucket();
    let (one, other) = (place.store().await, place.store().await);
    let part = 8 * MEBIBYTE;
    let mut lost = 0;
    for (before, after) in
        [(10, 10), (10, part), (part + 5, 10), (part + 5, part), (part + 5, 2 * part)].repeat(2)
    {
        let key = ObjectKey::random();
        let before = content(before, 1);
        let at = chunk(&place, &key, (nothing(), StagedState::default()), &before).await;
        let bodies = [content(after, 2), content(after, 3)];
        let keep = async |store: &Store, body: &[u8]| {
            let mut staged: Staged = store.stage(&key, &at.1).await.unwrap();
            let hash = append(&mut staged, at.0.clone(), body).await;
            (hash, staged.keep().await.unwrap())
        };
        let (recorded, _unrecorded) = tokio::join!(keep(&one, &bodies[0]), keep(&other, &bodies[1]));
        // The other one's bytes may have taken the place of a part; then the upload is lost, but never wrong.
        match finish(&one, &key, recorded, b"end").await {
            Some(_) => assert!(read(&one, &key).await == [&before[..], &bodies[0], b"end"].concat()),
            None if after >= part && before.len() > part => lost += 1,
            None => panic!("nothing could collide"),
        }
        one.discard(&key, &StagedState::default()).await.unwrap();
    }
    assert!(lost <= 4);
}
