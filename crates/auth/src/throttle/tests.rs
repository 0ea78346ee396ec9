use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

fn throttle() -> Arc<Throttle> {
    Arc::new(Throttle::new(FailureDelays::default()))
}

/// Fails once and tells for how long it had to wait before.
async fn fail(throttle: &Arc<Throttle>, account: &str, address: IpAddr) -> Duration {
    let arrived = Instant::now();
    let attempt = throttle.reserve(account, address).unwrap_or_else(|wait| panic!("refused for {wait:?}"));
    attempt.turn().await;
    arrived.elapsed()
}

fn milliseconds(times: &[Duration]) -> Vec<u128> {
    times.iter().map(Duration::as_millis).collect()
}

#[tokio::test(start_paused = true)]
async fn delays_double_from_the_third_failure_up_to_the_account_limit() {
    let throttle = throttle();
    let mut waits = Vec::new();
    for host in 1..=9 {
        // A new address each time, so that only the account counts.
        waits.push(fail(&throttle, "alice", IpAddr::from([192, 0, 2, host])).await);
    }
    assert_eq!(milliseconds(&waits), [0, 0, 0, 250, 500, 1000, 2000, 2000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_tries_many_accounts_slows_down_further() {
    let throttle = throttle();
    let mut waits = Vec::new();
    for number in 0..10 {
        waits.push(fail(&throttle, &format!("user{number}"), HERE).await);
    }
    assert_eq!(milliseconds(&waits), [0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 8000]);
}

#[tokio::test(start_paused = true)]
async fn parallel_attempts_queue_and_the_last_are_refused() {
    let throttle = throttle();
    let attempts: Vec<_> = (0..20).map(|_| throttle.reserve("alice", HERE)).collect();
    let now = Instant::now();
    let begins: Vec<_> =
        attempts.iter().flatten().map(|attempt| (attempt.begins - now).as_millis()).collect();
    assert_eq!(begins, [0, 0, 0, 250, 750, 1750, 3750, 5750, 7750, 9750]);
    assert!(
        attempts
            .iter()
            .skip(begins.len())
            .all(|attempt| { attempt.as_ref().is_err_and(|wait| *wait > Duration::from_secs(10)) })
    );
}

#[tokio::test(start_paused = true)]
async fn many_users_behind_one_address_start_at_once() {
    let throttle = throttle();
    let attempts: Vec<_> =
        (0..64).map(|number| throttle.reserve(&format!("user{number}"), HERE).ok().unwrap()).collect();
    assert!(attempts.iter().all(|attempt| attempt.begins == Instant::now()));
    for attempt in attempts {
        attempt.succeeded();
    }
    assert_eq!(fail(&throttle, "alice", HERE).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_parallel_burst_from_one_address_ends_at_the_longest_delay() {
    let throttle = throttle();
    let burst: Vec<_> = (0..200).map(|number| throttle.reserve(&format!("user{number}"), HERE)).collect();
    let let_in = burst.iter().filter(|attempt| attempt.is_ok()).count();
    assert!((64..=80).contains(&let_in), "{let_in} were let in");
    drop(burst);
    assert!(
        throttle.reserve("another", HERE).is_err() || fail(&throttle, "another", HERE).await.as_secs() >= 8
    );
}

#[tokio::test(start_paused = true)]
async fn success_clears_both_counters() {
    let throttle = throttle();
    for _ in 0..5 {
        fail(&throttle, "alice", HERE).await;
    }
    let attempt = throttle.reserve("alice", HERE).ok().unwrap();
    attempt.turn().await;
    attempt.succeeded();
    assert_eq!(fail(&throttle, "alice", HERE).await, Duration::ZERO);
    assert_eq!(fail(&throttle, "bob", HERE).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn strangers_do_not_slow_down_an_owner_at_a_known_address() {
    let throttle = throttle();
    throttle.reserve("alice", HERE).ok().unwrap().succeeded();
    for _ in 0..6 {
        fail(&throttle, "alice", THERE).await;
    }
    assert_eq!(fail(&throttle, "alice", HERE).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn neighbours_do_not_slow_down_a_known_account_nor_does_it_clear_them() {
    let throttle = throttle();
    throttle.reserve("alice", HERE).ok().unwrap().succeeded();
    for number in 0..10 {
        fail(&throttle, &format!("user{number}"), HERE).await;
    }
    let attempt = throttle.reserve("alice", HERE).ok().unwrap();
    assert_eq!(attempt.begins, Instant::now());
    attempt.succeeded();
    assert_eq!(fail(&throttle, "another", HERE).await.as_secs(), 8);
}

#[tokio::test(start_paused = true)]
async fn a_known_account_slows_down_too() {
    let throttle = throttle();
    throttle.reserve("alice", HERE).ok().unwrap().succeeded();
    let mut waits = Vec::new();
    for _ in 0..8 {
        waits.push(fail(&throttle, "alice", HERE).await);
    }
    assert_eq!(milliseconds(&waits), [0, 0, 0, 250, 500, 1000, 2000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn failures_are_forgotten_after_a_quiet_time() {
    let throttle = throttle();
    for _ in 0..6 {
        fail(&throttle, "alice", HERE).await;
    }
    tokio::time::advance(Duration::from_mins(16)).await;
    assert_eq!(fail(&throttle, "alice", HERE).await, Duration::ZERO);
    assert_eq!(fail(&throttle, "alice", HERE).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_was_never_compared_does_not_count() {
    let throttle = throttle();
    for _ in 0..10 {
        throttle.reserve("alice", HERE).ok().unwrap().withdrawn();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(fail(&throttle, "alice", HERE).await, Duration::ZERO);
}

#[test]
fn addresses_are_grouped_by_what_one_customer_has() {
    let group_of = |text: &str| group(text.parse().unwrap());
    assert_eq!(group_of("2001:db8:1:2::1"), group_of("2001:db8:1:2:ffff::9"));
    assert_ne!(group_of("2001:db8:1:2::1"), group_of("2001:db8:1:3::1"));
    assert_eq!(group_of("::ffff:192.0.2.1"), HERE);
    assert_ne!(group_of("192.0.2.1"), group_of("192.0.2.2"));
}
