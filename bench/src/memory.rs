//! Memory beside the load: what a server holds when it has nothing to do, and at most while large blobs go in
//! and out.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::client::Target;
use crate::content::{Blob, Stock};
use crate::machine;
use crate::server::{Product, Programs, Server};

/// Blobs in flight at once.
pub(crate) const STREAMS: usize = 16;
/// How often the server is looked at while it works.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);
/// How long a fresh server is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

/// What was seen while all streams ran.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Peak {
    /// The most anonymous memory in any sample above what it was when idle, in bytes.
    pub(crate) anonymous_above_idle: u64,
    /// The kernel's own mark of the most resident memory, file mappings included, above what it was when idle,
    /// in bytes. No sample can miss it.
    pub(crate) resident_above_idle: u64,
    /// How many samples there were.
    pub(crate) samples: u32,
    /// MiB moved in a second, all streams together.
    pub(crate) rate: f64,
}

/// The memory of one server.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct MemoryRun {
    /// Which server.
    pub(crate) product: Product,
    /// Bytes of each blob.
    pub(crate) blob_bytes: u64,
    /// Resident memory when idle, in bytes.
    pub(crate) idle_resident: u64,
    /// Anonymous memory when idle, in bytes.
    pub(crate) idle_anonymous: u64,
    /// While all streams push.
    pub(crate) push: Peak,
    /// While all streams pull what was pushed.
    pub(crate) pull: Peak,
}

/// Starts `product` afresh and measures its memory with blobs of `blob_bytes`.
pub(crate) async fn run(
    product: Product,
    programs: &Programs,
    directory: &Path,
    blob_bytes: u64,
) -> anyhow::Result<MemoryRun> {
    let server = Server::start(product, programs, directory).await?;
    tokio::time::sleep(SETTLE).await;
    let idle = machine::memory(server.process())?;
    let stock = Stock::new(blob_bytes)?;
    let blobs = (0..STREAMS).map(|_| stock.blob()).collect::<anyhow::Result<Vec<_>>>()?;
    let peak = async |direction| {
        observe(&server, idle, direction, blobs.clone())
            .await
            .with_context(|| format!("{} failed; the end of its log:\n{}", product.name(), server.log_tail()))
    };
    let push = peak(Direction::Push).await?;
    let pull = peak(Direction::Pull).await?;
    Ok(MemoryRun {
        product,
        blob_bytes,
        idle_resident: idle.resident,
        idle_anonymous: idle.anonymous,
        push,
        pull,
    })
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Push,
    Pull,
}

/// Moves every blob at once and looks at the server all the while.
async fn observe(
    server: &Server,
    idle: machine::Memory,
    direction: Direction,
    blobs: Vec<Blob>,
) -> anyhow::Result<Peak> {
    let target = Target::new(server).await?;
    machine::forget_peak(server.process())?;
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    let total: u64 = blobs.iter().map(Blob::size).sum();
    for blob in blobs {
        let mut client = target.connect().await?;
        tasks.spawn(async move {
            match direction {
                Direction::Push => client.blob_push(&blob).await,
                Direction::Pull => client.blob_pull(blob.digest(), blob.size()).await,
            }
        });
    }
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut anonymous = 0;
    let mut samples = 0;
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(ended) => ended.context("a stream's task ended early")??,
                None => break,
            },
            _ = ticks.tick() => {
                anonymous = machine::memory(server.process())?.anonymous.max(anonymous);
                samples += 1;
            }
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(samples > 0, "the streams ended before the server's memory was looked at");
    let peak_resident = machine::memory(server.process())?.peak_resident;
    #[expect(clippy::cast_precision_loss, reason = "a few GiB fit")]
    let rate = total as f64 / f64::from(1 << 20) / seconds;
    Ok(Peak {
        anonymous_above_idle: anonymous.saturating_sub(idle.anonymous),
        resident_above_idle: peak_resident.saturating_sub(idle.resident),
        samples,
        rate,
    })
}
