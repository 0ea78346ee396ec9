//! The closed loop: so many connections, each with one operation under way, for so long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::machine::{self, Memory};
use crate::server::{Product, Server};
use crate::workload::Workload;

/// The longest operation that a histogram can hold, in microseconds: ten minutes.
const LONGEST_MICROSECONDS: u64 = 600_000_000;

/// What a server was filled with, and how to ask it for that.
pub(crate) trait Load: Send + Sync + 'static {
    /// One client on a connection of its own.
    type Client: Send + 'static;

    /// A client that is ready to begin.
    fn connect(&self) -> impl Future<Output = anyhow::Result<Self::Client>> + Send;

    /// Does `workload` once.
    fn operate(
        &self,
        workload: Workload,
        client: &mut Self::Client,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// How long a run takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Durations {
    /// Operations before anything is counted.
    pub(crate) warm_up: Duration,
    /// Operations that are counted: none starts later.
    pub(crate) measure: Duration,
}

/// The result of one run of one workload on one server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    /// Which server.
    pub(crate) product: Product,
    /// Which workload.
    pub(crate) workload: Workload,
    /// Operations that ended well; any other ends the benchmark.
    pub(crate) operations: u64,
    /// From the first start to the last end.
    pub(crate) seconds: f64,
    /// Units of the workload in a second.
    pub(crate) rate: f64,
    /// Half of the operations took at most this long, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99 % of the operations took at most this long, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Processor time of the server, in seconds.
    pub(crate) server_seconds: f64,
    /// Processor time of the server for one operation, in seconds.
    pub(crate) server_seconds_each: f64,
    /// The share of its core that the server used, 0 to 1.
    pub(crate) server_load: f64,
    /// The share of its core that the generator used, 0 to 1. Near 1 the generator was the limit and the server
    /// could do more.
    pub(crate) generator_load: f64,
    /// The share of both cores that anything else used, 0 to 1. Well above 0 the machine was not quiet.
    pub(crate) others_load: f64,
    /// Memory of the server when the run ended.
    pub(crate) memory: Memory,
}

/// Measures `workload` on `server`, which was set up for `load`.
pub(crate) async fn run<L: Load>(
    workload: Workload,
    server: &Server,
    load: &Arc<L>,
    durations: Durations,
) -> anyhow::Result<Run> {
    let mut clients = Vec::new();
    for _ in 0..workload.connections(server.product()) {
        clients.push(load.connect().await?);
    }
    if !durations.warm_up.is_zero() {
        clients = phase(workload, clients, load, durations.warm_up).await?.clients;
    }
    let generator = std::process::id();
    let server_before = machine::processor_time(server.process())?;
    let generator_before = machine::processor_time(generator)?;
    let busy_before = machine::busy_time()?;
    let phase = phase(workload, clients, load, durations.measure).await?;
    let server_seconds = since(server_before, machine::processor_time(server.process())?);
    let generator_seconds = since(generator_before, machine::processor_time(generator)?);
    let others_seconds = since(busy_before, machine::busy_time()?) - server_seconds - generator_seconds;
    let seconds = phase.elapsed.as_secs_f64();
    let operations = phase.latencies.len();
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 operations fit into a run")]
    let count = operations as f64;
    Ok(Run {
        product: server.product(),
        workload,
        operations,
        seconds,
        rate: count * workload.weight() / seconds,
        p50_ms: milliseconds(phase.latencies.value_at_quantile(0.5)),
        p99_ms: milliseconds(phase.latencies.value_at_quantile(0.99)),
        server_seconds,
        server_seconds_each: server_seconds / count,
        server_load: server_seconds / seconds,
        generator_load: generator_seconds / seconds,
        others_load: others_seconds.max(0.0) / (2.0 * seconds),
        memory: machine::memory(server.process())?,
    })
}

/// Seconds from one time of the same clock to a later one.
fn since(before: Duration, after: Duration) -> f64 {
    after.saturating_sub(before).as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "no operation takes 2^52 microseconds")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1000.0
}

/// What came out of a phase, and its clients for the next.
struct Phase<C> {
    clients: Vec<C>,
    latencies: Histogram<u64>,
    elapsed: Duration,
}

/// Each client does one operation after the other; none starts after `duration`, and each does at least one.
async fn phase<L: Load>(
    workload: Workload,
    clients: Vec<L::Client>,
    load: &Arc<L>,
    duration: Duration,
) -> anyhow::Result<Phase<L::Client>> {
    let start = Instant::now();
    let deadline = start + duration;
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let load = Arc::clone(load);
        tasks.spawn(async move {
            let mut latencies = new_histogram();
            let mut now = Instant::now();
            while latencies.is_empty() || now < deadline {
                load.operate(workload, &mut client).await?;
                let end = Instant::now();
                let microseconds = u64::try_from((end - now).as_micros()).unwrap_or(u64::MAX);
                latencies.saturating_record(microseconds.max(1));
                now = end;
            }
            anyhow::Ok((client, latencies, now))
        });
    }
    let mut phase = Phase { clients: Vec::new(), latencies: new_histogram(), elapsed: Duration::ZERO };
    while let Some(ended) = tasks.join_next().await {
        let (client, latencies, end) = ended.context("a client's task ended early")??;
        phase.clients.push(client);
        phase.latencies.add(latencies).context("two histograms differ")?;
        phase.elapsed = phase.elapsed.max(end - start);
    }
    Ok(phase)
}

fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROSECONDS, 3).expect("the bounds are valid constants")
}
