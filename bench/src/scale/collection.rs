//! Collection beside requests: half of very many blobs is garbage, and goes while clients push and pull.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use testkit::run_within;

pub(crate) use super::load::Operation;
use super::load::{Load, Outcome, block_on};
use super::place::{Kind, Place, Script};
use crate::content::{MANIFEST_TYPE, digest_of};
use crate::machine;
use crate::tell;
use crate::workload::{Fixture, LAYERS, Workload};

/// Blobs that one of the manifests names which keep the other half.
const NAMED_BY_ONE: u32 = 100;
/// Images that the load reads.
const TAGS: usize = 200;
/// How long the load runs without collection: long enough to meet what a database does of its own accord, such as
/// checkpoints and vacuuming, since the run with collection meets that too.
const WITHOUT: Duration = Duration::from_mins(5);
/// How long collection may take.
const PATIENCE: Duration = Duration::from_mins(30);
/// How often it is asked how far collection is.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long looking through everything that is left may take.
const SCRUB_WITHIN: Duration = Duration::from_mins(20);
/// Where the numbers of rows begin that the server did not make.
const FIRST: u32 = 1_000_000;

/// How collection went on one pair of a database and a store.
#[derive(Debug, Serialize)]
pub(crate) struct Collection {
    /// On what.
    pub(crate) kind: Kind,
    /// How many blobs there were that nothing named, and as many that something did.
    pub(crate) garbage: u32,
    /// The load while nothing was collected.
    pub(crate) without: Outcome,
    /// The load while everything was.
    pub(crate) with: Outcome,
    /// How long all entries took to be judged, in seconds.
    pub(crate) judged_seconds: f64,
    /// How long it took until the last object was gone, in seconds.
    pub(crate) seconds: f64,
    /// Resident memory of the server when collection began, in bytes.
    pub(crate) memory_before: u64,
    /// The most of it while it went on.
    pub(crate) memory_peak: u64,
    /// The same of the server that did not collect.
    pub(crate) memory_peak_without: u64,
    /// What the program said about the state at the end.
    pub(crate) status: String,
    /// What it said when it had read everything that was left.
    pub(crate) scrub: String,
}

impl Collection {
    /// How much longer 99 % of the operations took at most while collection went on.
    pub(crate) fn ratio(&self, operation: Operation) -> Option<f64> {
        Some(self.with.of(operation)?.p99_ms / self.without.of(operation)?.p99_ms)
    }

    /// Objects deleted in a second, from the first look at the queue to the last deletion.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(self.garbage) / self.seconds
    }
}

/// Measures it.
pub(crate) fn measure(program: &Path, kind: Kind, blobs: u32) -> anyhow::Result<Collection> {
    let garbage = blobs / 2;
    let idle = [("LARDER_LOG__LEVEL", "warn"), ("LARDER_GC__ENABLED", "false")];
    let mut place = Place::start(kind, program, &idle);
    let fixture = block_on(Fixture::set_up(&place.target()?, &[Workload::ManifestGet], TAGS))??;
    let fixture = Arc::new(fixture);
    place.stop();
    fill(&place, blobs).context("cannot fill the server")?;
    place.start_again(&idle);
    let objects_before = place.server().object_count();

    tell("  requests without collection");
    let load = Load::start(place.target()?, Arc::clone(&fixture));
    std::thread::sleep(WITHOUT);
    let without = load.stop()?;
    let memory_peak_without = place.server().peak_memory();

    tell("  requests with collection");
    place.start_again(&[
        ("LARDER_LOG__LEVEL", "warn"),
        ("LARDER_GC__INTERVAL", "1s"),
        ("LARDER_GC__TRASH_DELAY", "0s"),
    ]);
    let begun = Instant::now();
    let process = place.server().process();
    let memory_before = machine::memory(process)?.resident;
    let load = Load::start(place.target()?, fixture);
    let mut judged = None;
    let seconds = loop {
        std::thread::sleep(LOOK_EVERY);
        let (reviews, trash) = waiting(&place)?;
        if !reviews {
            judged.get_or_insert_with(|| begun.elapsed().as_secs_f64());
        }
        if !reviews && !trash {
            break begun.elapsed().as_secs_f64();
        }
        ensure!(begun.elapsed() < PATIENCE, "collection has not ended after {} s", PATIENCE.as_secs());
    };
    let with = load.stop()?;
    for operation in Operation::ALL {
        if let (Some(without), Some(with)) = (without.of(operation), with.of(operation)) {
            let (name, p99, beside) = (operation.name(), without.p99_ms, with.p99_ms);
            tell(&format!("  {name}: p99 {p99:.2} ms without, {beside:.2} ms with, for {seconds:.0} s"));
        }
    }
    let memory_peak = place.server().peak_memory();

    tell("  looking through what is left");
    let pushed = usize::try_from((without.images + with.images) * (LAYERS as u64 + 1))?;
    let expected = objects_before + pushed - usize::try_from(garbage)?;
    let left = place.server().object_count();
    ensure!(
        left == expected,
        "{left} objects are left, and {expected} should be; the server's log:\n{}",
        place.server().log()
    );
    let kept = place.number("SELECT count(*) FROM blobs WHERE created_at = 1")?;
    ensure!(kept == i64::from(blobs - garbage), "{kept} blobs are left of those that are needed");
    let freed = place.number("SELECT objects FROM collection_totals")?;
    ensure!(freed == i64::from(garbage), "the server has counted {freed} deleted objects");
    let status = run_within(SCRUB_WITHIN, &mut place.server().command(&["gc", "status"])).success().stdout;
    let scrub = run_within(SCRUB_WITHIN, &mut place.server().command(&["scrub"])).success().stdout;
    Ok(Collection {
        kind,
        garbage,
        without,
        with,
        judged_seconds: judged.unwrap_or(seconds),
        seconds,
        memory_before,
        memory_peak,
        memory_peak_without,
        status: status.trim().to_owned(),
        scrub: scrub.trim().to_owned(),
    })
}

/// Whether there is something left to judge, and something to delete.
fn waiting(place: &Place) -> anyhow::Result<(bool, bool)> {
    let bits = place.number(&format!(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM review_queue WHERE review_after <= {DUE}) THEN 1 ELSE 0 END
              + CASE WHEN EXISTS (SELECT 1 FROM trash) THEN 2 ELSE 0 END"
    ))?;
    Ok((bits & 1 != 0, bits & 2 != 0))
}

/// When everything was due that was put into the queue here: long ago, in milliseconds.
const DUE: u32 = 1_000_000_000;

/// Puts `blobs` blobs into the repository of the load, of which manifests name every other, and all of which are to
/// be looked at.
fn fill(place: &Place, blobs: u32) -> anyhow::Result<()> {
    let repository = place.number("SELECT id FROM repositories WHERE name = 'bench'")?;
    let folders: Vec<_> = (0..=u8::MAX).map(|byte| place.objects().join(hex::encode([byte]))).collect();
    for folder in &folders {
        fs::create_dir_all(folder).context("cannot make a folder of objects")?;
    }
    let (mut objects, mut links, mut queue) = (Script::new(), Script::new(), Script::new());
    let mut kept = Vec::new();
    for number in 0..blobs {
        let content = format!("what blob {number} of the benchmark holds\n");
        let hash = Sha256::digest(&content);
        // Any 32 hexadecimal digits are a key; these spread over the folders as random ones do.
        let key = hex::encode(&hash[16..]);
        let path = folders[usize::from(hash[16])].join(&key);
        fs::write(path, &content).context("cannot write an object")?;
        let (id, size, digest) = (FIRST + number, content.len(), format!("sha256:{}", hex::encode(hash)));
        let bytes = place.bytes(&hash);
        objects.row(
            "objects (id, key, size, sha256, created_at)",
            &format!("{id}, '{key}', {size}, {bytes}, 1"),
        );
        links.row(
            "blobs (repository_id, digest, object_id, created_at)",
            &format!("{repository}, '{digest}', {id}, 1"),
        );
        queue.row(
            "review_queue (repository_id, kind, digest, review_after)",
            &format!("{repository}, 'blob', '{digest}', {}", DUE - blobs + number),
        );
        if number % 2 == 0 {
            kept.push((digest, size));
        }
    }
    for script in [objects, links, queue, manifests(place, repository, &kept)] {
        place.execute(&script.text())?;
    }
    place.settle()?;
    // What was written here is not what the load is to wait for.
    rustix::fs::sync();
    Ok(())
}

/// Manifests with a tag each that name the blobs given.
fn manifests(place: &Place, repository: i64, blobs: &[(String, usize)]) -> Script {
    let mut script = Script::new();
    let (mut tags, mut edges) = (Vec::new(), Vec::new());
    for (id, named) in (FIRST..).zip(blobs.chunks(NAMED_BY_ONE as usize)) {
        let mut body = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","layers":["#);
        for (place, (digest, size)) in named.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let layer = "application/vnd.oci.image.layer.v1.tar";
            write!(body, r#"{comma}{{"mediaType":"{layer}","digest":"{digest}","size":{size}}}"#)
                .expect("writing to a string cannot fail");
            edges.push(format!("{id}, '{digest}', {repository}"));
        }
        body.push_str("]}");
        let (digest, size, bytes) = (digest_of(body.as_bytes()), body.len(), place.bytes(body.as_bytes()));
        script.row(
            "manifests (id, repository_id, digest, media_type, size, pushed_by, created_at, body)",
            &format!("{id}, {repository}, '{digest}', '{MANIFEST_TYPE}', {size}, 'admin', 1, {bytes}"),
        );
        tags.push(format!("{repository}, 'keeps-{id}', {id}, 1"));
    }
    for row in &tags {
        script.row("tags (repository_id, name, manifest_id, updated_at)", row);
    }
    for row in &edges {
        script.row("edges (manifest_id, digest, repository_id)", row);
    }
    script
}
