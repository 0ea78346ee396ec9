//! A network and a store that fail: nothing is acknowledged wrongly, and nothing is silently short.

use std::time::{Duration, Instant};

use blobs::{AppendOutcome, ObjectKey, ReadError, StagedState, Store, SyncError};
use futures_util::TryStreamExt;
use testkit::fault::{Fault, Proxy, Rule};

use crate::place::{ADDRESS, LIMITS, MEBIBYTE, Place, content, frames, hash_of, nothing, read, write};

fn proxy(seed: u64) -> (Proxy, Place, Place) {
    let address = std::env::var(ADDRESS).expect("the test is started by `suite`");
    let proxy = Proxy::http(address.parse().expect("it is an address"), seed);
    let (straight, through) = Place::bucket_through(proxy.port());
    (proxy, straight, through)
}

/// An upload in two requests. `None`: it was refused.
async fn upload(store: &Store, key: &ObjectKey, first: &[u8], rest: &[u8]) -> Option<blobs::Finished> {
    let mut staged = store.stage(key, &StagedState::default()).await.unwrap();
    let appended = staged.append(nothing(), LIMITS, frames(first)).await;
    let AppendOutcome::Complete = appended.outcome else {
        assert_eq!(appended.written, 0);
        return None;
    };
    let state = staged.keep().await.ok()?;
    drop(staged);
    let mut staged = store.stage(key, &state).await.unwrap();
    let appended = staged.append(appended.hash, LIMITS, frames(rest)).await;
    let AppendOutcome::Complete = appended.outcome else { return None };
    for _ in 0..3 {
        match staged.seal().await {
            Ok(()) => return Some(appended.hash.finish()),
            Err(SyncError::Io(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn what_is_acknowledged_is_there_whatever_fails() {
    let (proxy, straight, through) = proxy(7);
    let (clean, store) = (straight.store().await, through.store().await);
    for (method, fault) in [
        ("PUT", Fault::Answer(500, "InternalError")),
        ("PUT", Fault::Answer(503, "SlowDown")),
        ("PUT", Fault::ResetBeforeBody),
        ("PUT", Fault::ResetDuringBody),
        ("PUT", Fault::ResetAfterBody),
        ("POST", Fault::Answer(500, "InternalError")),
        ("POST", Fault::ResetAfterBody),
        ("HEAD", Fault::ResetBeforeBody),
        ("GET", Fault::Truncate(1000)),
        ("DELETE", Fault::Answer(503, "SlowDown")),
    ] {
        let mut acknowledged = 0;
        proxy.add(Rule::new(fault).method(method).chance(0.3));
        for (first, rest) in [(10, 10), (MEBIBYTE, 10), (10, 9 * MEBIBYTE), (9 * MEBIBYTE, MEBIBYTE)] {
            let (first, rest) = (content(first, 1), content(rest, 2));
            let key = ObjectKey::random();
            let finished = upload(&store, &key, &first, &rest).await;
            if let Some(finished) = finished {
                let whole = [first, rest].concat();
                assert_eq!(finished, hash_of(&whole).finish());
                assert!(read(&clean, &key).await == whole, "{method} {fault:?}");
                acknowledged += 1;
            }
            clean.discard(&key, &StagedState::default()).await.unwrap();
        }
        proxy.clear();
        assert!(acknowledged >= 2, "{method} {fault:?}: only {acknowledged} uploads got through");
    }
    assert!(proxy.faults() > 20, "only {} faults", proxy.faults());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn a_read_is_whole_or_an_error() {
    let (proxy, straight, through) = proxy(11);
    let (clean, store) = (straight.store().await, through.store().await);
    let (key, content) = (ObjectKey::random(), content(3 * MEBIBYTE, 5));
    write(&clean, &key, &content).await.unwrap();
    for fault in [
        Fault::Answer(500, "InternalError"),
        Fault::Answer(503, "SlowDown"),
        Fault::ResetBeforeBody,
        Fault::ResetAfterBody,
        Fault::Truncate(500_000),
        Fault::Delay(Duration::from_millis(50)),
    ] {
        // Now and then: the read gets through.
        proxy.add(Rule::new(fault).method("GET").times(3));
        assert!(read(&store, &key).await == content, "{fault:?}");
        proxy.clear();
    }
    // Always, and so often that nothing gets on: an error within bounds.
    proxy.add(Rule::new(Fault::Truncate(1)).method("GET"));
    let begun = Instant::now();
    let reader = store.read(&key, 0, content.len() as u64).await.unwrap();
    let ended = reader.try_collect::<Vec<_>>().await;
    assert!(ended.is_err(), "a truncated body passed for a whole one");
    assert!(begun.elapsed() < Duration::from_mins(2), "{:?}", begun.elapsed());
    proxy.clear();
    clean.delete(&key).await.unwrap();
    assert!(matches!(store.read(&key, 0, 1).await, Err(ReadError::Missing)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn a_refusal_is_not_tried_again() {
    let (proxy, _straight, through) = proxy(13);
    let store = through.store().await;
    proxy.add(Rule::new(Fault::Answer(403, "AccessDenied")).path("/objects/"));
    let begun = Instant::now();
    let error = write(&store, &ObjectKey::random(), b"content").await.unwrap_err();
    assert!(matches!(error, SyncError::Io(_)), "{error}");
    assert!(error.to_string().contains("AccessDenied"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by `suite`"]
async fn a_store_that_is_gone_is_said_so_and_heals() {
    let (proxy, _straight, through) = proxy(17);
    let store = through.store().await;
    store.probe().await.unwrap();
    proxy.outage();
    tokio::time::sleep(Duration::from_secs(6)).await;
    let begun = Instant::now();
    let error = store.probe().await.unwrap_err();
    assert!(error.to_string().contains("does not answer"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    proxy.heal();
    store.probe().await.unwrap();
}
