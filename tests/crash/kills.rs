//! Kills at random moments under parallel pushes, mounts, tag moves and deletes.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use testkit::{Options, Server, run};

use crate::collect_and_scrub;
use crate::content::{Content, Dice};
use crate::verify::Depth;
use crate::wire::Wire;
use crate::worker::{Promises, Worker};

/// Clients at work at the same time.
const WORKERS: usize = 6;
/// Kills when nobody asks for another number.
const KILLS: u64 = 200;
/// How long the server lives between two kills, in milliseconds from when it answers.
const LIFE: std::ops::Range<u64> = 10..150;
/// How long it lives when it is killed while it starts.
const START: std::ops::Range<u64> = 0..80;
/// One of so many restarts is killed while the server starts.
const KILLED_AT_START: usize = 5;

const PROMISES: Promises = Promises { grace: Duration::from_secs(4), upload: Duration::from_secs(12) };

#[test]
fn i1_i2_i3_what_was_acknowledged_survives_kills_at_random_moments() {
    let kills = variable("LARDER_CRASH_KILLS").unwrap_or(KILLS);
    let seed = variable("LARDER_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{kills} kills; the same choices again with LARDER_CRASH_SEED={seed}");
    let mut server = Server::start(
        Options::new(env!("CARGO_BIN_EXE_larder"))
            .env("LARDER_GC__INTERVAL", "50ms")
            .env("LARDER_GC__GRACE", &format!("{}s", PROMISES.grace.as_secs()))
            .env("LARDER_GC__TRASH_DELAY", "0s")
            .env("LARDER_UPLOADS__EXPIRE_AFTER", &format!("{}s", PROMISES.upload.as_secs()))
            // Every kill leaves some open, and all clients are the same user.
            .env("LARDER_UPLOADS__OPEN_PER_USER", "1000000")
            .env("LARDER_LOG__LEVEL", "warn"),
    );
    let token = server.api().token_create("crash")["token"].as_str().expect("a token is text").to_owned();
    let mut dice = Dice::new(seed);
    let sizes = [10, 400, 3_000, 9_000, 40_000, 120_000, 300_000, 700_000];
    let shared = Arc::new(sizes.map(|size| Content::random(&mut dice, size)).into_iter().collect::<Vec<_>>());
    let worker =
        |number| Worker::new(number, seed, Wire::new(&server.host(), &token), Arc::clone(&shared), PROMISES);
    let mut workers: Vec<Worker> = (0..WORKERS).map(worker).collect();

    let began = Instant::now();
    for _ in 0..kills {
        let killing = AtomicBool::new(false);
        scope(|scope| {
            for worker in &mut workers {
                scope.spawn(|| worker.live(&killing));
            }
            sleep(milliseconds(&mut dice, LIFE));
            killing.store(true, Ordering::SeqCst);
            server.kill9();
        });
        if dice.below(KILLED_AT_START) == 0 {
            start_and_kill(&server, milliseconds(&mut dice, START));
        }
        server.restart();
        verify(&mut workers, Depth::Present);
    }
    let acknowledged: u64 = workers.iter().map(|worker| worker.acknowledged).sum();
    eprintln!("{acknowledged} requests were answered in {} s with {kills} kills", began.elapsed().as_secs());
    assert!(acknowledged > kills, "the server was killed too early to do anything");

    // What nobody finished expires; what nobody names is collected; and then nothing is left that should not be.
    sleep(PROMISES.grace.max(PROMISES.upload) + Duration::from_secs(1));
    server.stop();
    everything_is_due(&server);
    let (objects, manifests) = collect_and_scrub(&server);
    let status = run(&mut server.command(&["gc", "status"])).success().stdout;
    server.restart();
    verify(&mut workers, Depth::Everything);
    let mut expected_manifests = BTreeSet::new();
    let mut expected_blobs = BTreeSet::new();
    for worker in &mut workers {
        let (manifests, blobs) = worker.inventory();
        expected_manifests.extend(manifests);
        expected_blobs.extend(blobs);
    }
    assert_eq!(manifests, expected_manifests.len(), "manifests are stored that nobody pushed");
    assert_eq!(objects, expected_blobs.len(), "objects are stored that no manifest names:\n{status}");
}

/// Waits until nothing in the review queue waits any more: how long that takes is for the machine to say.
fn everything_is_due(server: &Server) {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let status = run(&mut server.command(&["gc", "status"])).success().stdout;
        if status.lines().any(|line| line.starts_with("review queue: ") && line.ends_with(", 0 waiting")) {
            return;
        }
        assert!(Instant::now() < until, "something waits that was promised to nobody any more:\n{status}");
        sleep(Duration::from_millis(500));
    }
}

fn verify(workers: &mut [Worker], depth: Depth) {
    scope(|scope| {
        for worker in workers {
            scope.spawn(move || worker.verify(depth));
        }
    });
}

/// Kills the server before it answers: recovery may be interrupted like anything else.
fn start_and_kill(server: &Server, after: Duration) {
    let mut child = server
        .command(&["serve", "--listen", &server.host()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    sleep(after);
    child.kill().expect("a child that was not waited for can be killed");
    child.wait().expect("a killed child ends");
}

fn milliseconds(dice: &mut Dice, range: std::ops::Range<u64>) -> Duration {
    let span = usize::try_from(range.end - range.start).expect("the ranges are short");
    Duration::from_millis(range.start + dice.below(span) as u64)
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
