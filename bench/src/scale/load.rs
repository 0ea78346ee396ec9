//! The requests that go on while something else happens: a few clients that read and push, with a little time to
//! think in between, so that the server is busy and not beyond what it can do.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::{Client, Target};
use crate::workload::{Fixture, Workload};

/// Clients at once.
pub(super) const CLIENTS: u64 = 4;
/// Time that a client thinks between two operations.
pub(super) const THINK: Duration = Duration::from_millis(10);
/// What is not counted at the beginning.
const WARM_UP: Duration = Duration::from_secs(2);
/// Of so many operations of a client one is a push; the others are reads of both kinds in turn.
const ONE_PUSH_IN: u64 = 8;
/// The longest operation that a histogram can hold, in microseconds: ten minutes.
const LONGEST_MICROSECONDS: u64 = 600_000_000;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operation {
    /// Read a manifest by tag.
    ManifestGet,
    /// Read a blob of 4 KiB.
    BlobGet,
    /// Push an image of four small blobs: thirteen requests.
    ImagePush,
}

impl Operation {
    /// All.
    pub(crate) const ALL: [Self; 3] = [Self::ManifestGet, Self::BlobGet, Self::ImagePush];

    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ManifestGet => "manifest GET",
            Self::BlobGet => "blob GET, 4 KiB",
            Self::ImagePush => "small-image push",
        }
    }
}

/// How one operation went while the load ran.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latency {
    /// Which.
    pub(crate) operation: Operation,
    /// How often it was done.
    pub(crate) count: u64,
    /// Half took at most this long, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99 % took at most this long, in milliseconds.
    pub(crate) p99_ms: f64,
}

/// What one run of the load found.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    /// For how long operations were counted, in seconds.
    pub(crate) seconds: f64,
    /// Operations that failed. None may.
    pub(crate) failures: u64,
    /// What the first failure was.
    pub(crate) first_failure: Option<String>,
    /// Images that were pushed, those before the counting included.
    pub(crate) images: u64,
    /// Each kind of operation.
    pub(crate) latencies: Vec<Latency>,
}

impl Outcome {
    /// One kind of operation.
    pub(crate) fn of(&self, operation: Operation) -> Option<&Latency> {
        self.latencies.iter().find(|latency| latency.operation == operation)
    }
}

/// A load that runs on a thread of its own until it is told to stop.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<anyhow::Result<Outcome>>,
}

impl Load {
    /// Starts it.
    pub(super) fn start(target: Target, fixture: Arc<Fixture>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || block_on(run(target, fixture, told))?);
        Self { stop, thread }
    }

    /// Ends it once every client has ended what it does.
    pub(super) fn stop(self) -> anyhow::Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the load's thread ended early"))?
    }
}

/// Runs a future on this thread, which must not be inside a runtime already.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    Ok(runtime.block_on(future))
}

/// What the clients found so far.
struct Found {
    histograms: [Histogram<u64>; 3],
    failures: u64,
    first_failure: Option<String>,
    images: u64,
}

async fn run(target: Target, fixture: Arc<Fixture>, stop: Arc<AtomicBool>) -> anyhow::Result<Outcome> {
    let histogram =
        || Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, 3).expect("the bounds are valid constants");
    let found = Arc::new(Mutex::new(Found {
        histograms: [histogram(), histogram(), histogram()],
        failures: 0,
        first_failure: None,
        images: 0,
    }));
    let counted_from = Instant::now() + WARM_UP;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (target, fixture) = (target.clone(), Arc::clone(&fixture));
        let (stop, found) = (Arc::clone(&stop), Arc::clone(&found));
        clients.spawn(async move {
            let mut client = target.connect().await?;
            let mut turn = number * ONE_PUSH_IN / CLIENTS;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                let operation = match turn % ONE_PUSH_IN {
                    0 => Operation::ImagePush,
                    odd if odd % 2 == 1 => Operation::ManifestGet,
                    _ => Operation::BlobGet,
                };
                let begun = Instant::now();
                let result = operate(operation, &fixture, &mut client).await;
                let took = begun.elapsed();
                if result.is_err() {
                    client = target.connect().await?;
                }
                note(&found, operation, result, took, begun >= counted_from);
                tokio::time::sleep(THINK).await;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.context("a client's task ended early")??;
    }
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    let latencies = Operation::ALL.into_iter().zip(&found.histograms).map(|(operation, histogram)| Latency {
        operation,
        count: histogram.len(),
        p50_ms: milliseconds(histogram.value_at_quantile(0.5)),
        p99_ms: milliseconds(histogram.value_at_quantile(0.99)),
    });
    Ok(Outcome {
        seconds: counted_from.elapsed().as_secs_f64(),
        failures: found.failures,
        first_failure: found.first_failure.clone(),
        images: found.images,
        latencies: latencies.collect(),
    })
}

async fn operate(operation: Operation, fixture: &Fixture, client: &mut Client) -> anyhow::Result<()> {
    match operation {
        Operation::ManifestGet => fixture.operate(Workload::ManifestGet, client).await,
        Operation::BlobGet => fixture.small_pull(client).await,
        Operation::ImagePush => fixture.operate(Workload::ImagePush, client).await,
    }
}

fn note(
    found: &Mutex<Found>,
    operation: Operation,
    result: anyhow::Result<()>,
    took: Duration,
    is_counted: bool,
) {
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = result {
        found.failures += 1;
        found.first_failure.get_or_insert_with(|| format!("{}: {error:#}", operation.name()));
        return;
    }
    found.images += u64::from(operation == Operation::ImagePush);
    if is_counted {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let index = Operation::ALL.iter().position(|known| *known == operation).unwrap_or_default();
        found.histograms[index].saturating_record(microseconds.max(1));
    }
}

#[expect(clippy::cast_precision_loss, reason = "no operation takes 2^52 microseconds")]
pub(super) fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}
