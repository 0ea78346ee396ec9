//! What the reader gets: tables, the targets, and the same as JSON.

mod scale;
mod table;

use serde::Serialize;

use crate::machine::Machine;
use crate::measure::{Durations, Run};
use crate::memory::{MemoryRun, Peak, STREAMS};
use crate::python::Sizes;
use crate::scale::Scale;
use crate::server::Product;
use crate::workload::Workload;
use table::Table;

/// How much faster than the peer metadata must be.
const METADATA_RATIO: f64 = 20.0;
/// How much faster than the peer a pull must be.
const PULL_RATIO: f64 = 1.2;
/// How much faster than the peer a push must be.
const PUSH_RATIO: f64 = 1.5;
/// How much faster than each peer the pages of a Python index must be.
const PAGE_RATIO: f64 = 10.0;
/// The most that the idle server may hold, in bytes.
const IDLE_BYTES: u64 = 25_000_000;
/// The most that the streams may add to it, in bytes.
const STREAM_BYTES: u64 = 48 << 20;

/// Everything that one invocation found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Where.
    pub(crate) machine: Machine,
    /// Everybody who was measured, with the version.
    pub(crate) versions: Vec<(Product, String)>,
    /// How much the Python indexes held.
    pub(crate) sizes: Sizes,
    /// How long runs took.
    pub(crate) durations: Durations,
    /// How often each was repeated.
    pub(crate) repetitions: usize,
    /// Every run of the first table.
    pub(crate) runs: Vec<Run>,
    /// Every run of the second.
    pub(crate) memory: Vec<MemoryRun>,
    /// Collection beside requests, and long lists.
    pub(crate) scale: Scale,
    /// What was aimed at.
    pub(crate) targets: Vec<Target>,
}

/// Something to reach.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    /// What is looked at.
    subject: String,
    /// The bound, for the reader.
    wanted: String,
    /// What was found, for the reader.
    found: String,
    /// Whether what was found is within the bound.
    reached: bool,
}

/// The middle and the ends of several numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    /// Of at least one number.
    fn of(numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let mut numbers: Vec<f64> = numbers.collect();
        numbers.sort_by(f64::total_cmp);
        let (low, high) = (*numbers.first()?, *numbers.last()?);
        let middle = numbers.len() / 2;
        let median = if numbers.len() % 2 == 1 {
            numbers[middle]
        } else {
            f64::midpoint(numbers[middle - 1], numbers[middle])
        };
        Some(Self { low, median, high })
    }
}

/// How two servers compare in one workload.
struct Comparison {
    /// Larder's median rate over the peer's.
    rate: f64,
    /// The peer's median processor time for one operation over Larder's.
    processor: f64,
}

impl Report {
    /// Adds the targets that the runs can tell something about.
    pub(crate) fn judge(&mut self) {
        let mut targets = Vec::new();
        for (workload, wanted) in [
            (Workload::ManifestGet, METADATA_RATIO),
            (Workload::BlobHead, METADATA_RATIO),
            (Workload::Pull, PULL_RATIO),
            (Workload::Push, PUSH_RATIO),
            (Workload::PushParallel, PUSH_RATIO),
            (Workload::PythonPageJson, PAGE_RATIO),
            (Workload::PythonPageHtml, PAGE_RATIO),
            (Workload::PythonList, PAGE_RATIO),
        ] {
            for &peer in workload.peers() {
                let Some(found) = self.compare(workload, peer) else { continue };
                targets.push(Target {
                    subject: workload.title().to_owned(),
                    wanted: format!("≥ {wanted:.1} × {}", peer.name()),
                    found: format!("{:.2} ×", found.rate),
                    reached: found.rate >= wanted,
                });
            }
        }
        if let Some(run) = self.memory.iter().find(|run| run.product == Product::Larder) {
            targets.push(Target {
                subject: "idle memory (RSS)".to_owned(),
                wanted: format!("≤ {} MB", IDLE_BYTES / 1_000_000),
                found: format!("{:.1} MB", approximate(run.idle_resident) / 1e6),
                reached: run.idle_resident <= IDLE_BYTES,
            });
            for (name, peak) in [("pushes", run.push), ("pulls", run.pull)] {
                targets.push(Target {
                    subject: format!("{STREAMS} parallel {name} of {} MiB", run.blob_bytes >> 20),
                    wanted: format!("≤ {} MiB above idle", STREAM_BYTES >> 20),
                    found: format!("{:.1} MiB", mebibytes(peak.anonymous_above_idle)),
                    reached: peak.anonymous_above_idle <= STREAM_BYTES,
                });
            }
        }
        scale::judge(&self.scale, &mut targets);
        self.targets = targets;
    }

    fn spread(&self, product: Product, workload: Workload, number: impl Fn(&Run) -> f64) -> Option<Spread> {
        let runs = self.runs.iter().filter(|run| run.product == product && run.workload == workload);
        Spread::of(runs.map(number))
    }

    fn median(&self, product: Product, workload: Workload, number: impl Fn(&Run) -> f64) -> f64 {
        self.spread(product, workload, number).map_or(f64::NAN, |spread| spread.median)
    }

    fn compare(&self, workload: Workload, peer: Product) -> Option<Comparison> {
        let rate = |product| self.spread(product, workload, |run| run.rate);
        let each = |product| self.median(product, workload, |run| run.server_seconds_each);
        Some(Comparison {
            rate: rate(Product::Larder)?.median / rate(peer)?.median,
            processor: each(peer) / each(Product::Larder),
        })
    }

    /// What was measured, and where.
    fn head(&self) -> String {
        let Machine { processor, cores, kernel, file_system } = &self.machine;
        let mut lines = vec![format!("{processor}, {cores} cores, Linux {kernel}, data on {file_system}")];
        for (product, version) in &self.versions {
            let how = match product {
                Product::Larder => {
                    "private registry: Bearer tokens for images, Basic tokens for Python; durable"
                }
                Product::Distribution => "no authentication; durable",
                Product::Pypiserver => "no authentication; filled through its folder; not durable",
                Product::Devpi => {
                    "uploads with the token of a login, reads without authentication; durable but for files"
                }
            };
            lines.push(format!("{}: {version} ({how})", product.name()));
        }
        if self.runs.is_empty() && self.memory.is_empty() {
            lines.push(String::new());
            return lines.join("\n");
        }
        lines.push(format!(
            "server on core 0, generator on core 1; {} runs of {} s each, interleaved; median [low–high]",
            self.repetitions,
            self.durations.measure.as_secs_f64()
        ));
        if self.runs.iter().any(|run| run.workload.is_python()) {
            let Sizes { files, projects } = self.sizes;
            lines.push(format!(
                "Python: a page of {files} files, a list of {projects} projects, downloads and uploads of 16 KiB;"
            ));
            lines.push(
                "pages, list and uploads each on servers of their own, which hold nothing else".to_owned(),
            );
        }
        if file_system == "tmpfs" {
            lines.push("note: the data is in memory, so durable writes cost nothing here".to_owned());
        }
        lines.push(String::new());
        lines.join("\n")
    }

    /// The report for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = self.head();
        if !self.runs.is_empty() {
            text.push('\n');
            text.push_str(&self.rates());
        }
        if !self.memory.is_empty() {
            text.push('\n');
            text.push_str(&self.memories());
        }
        text.push_str(&scale::text(&self.scale));
        text.push_str("\nTargets\n");
        let mut table = Table::new(&["subject", "target", "found", ""]);
        for Target { subject, wanted, found, reached } in &self.targets {
            let verdict = if *reached { "reached" } else { "MISSED" };
            table.row([subject.clone(), wanted.clone(), found.clone(), verdict.to_owned()]);
        }
        text.push_str(&table.text());
        text
    }

    fn rates(&self) -> String {
        let mut table = Table::new(&[
            "workload",
            "server",
            "rate",
            "[low–high]",
            "",
            "p50 ms",
            "p99 ms",
            "CPU s",
            "CPU ms/op",
            "server core",
            "generator core",
            "others",
            "RSS MiB",
            "peak MiB",
        ]);
        for workload in Workload::ALL {
            for product in Product::ALL {
                let Some(rate) = self.spread(product, workload, |run| run.rate) else { continue };
                let median = |number: fn(&Run) -> f64| self.median(product, workload, number);
                let connections = workload.connections(product);
                table.row([
                    if product == Product::Larder { workload.title().to_owned() } else { String::new() },
                    format!("{} (c={connections})", product.name()),
                    number(rate.median),
                    format!("[{}–{}]", number(rate.low), number(rate.high)),
                    workload.unit().to_owned(),
                    format!("{:.2}", median(|run| run.p50_ms)),
                    format!("{:.2}", median(|run| run.p99_ms)),
                    format!("{:.2}", median(|run| run.server_seconds)),
                    format!("{:.3}", median(|run| run.server_seconds_each * 1000.0)),
                    percent(median(|run| run.server_load)),
                    percent(median(|run| run.generator_load)),
                    percent(median(|run| run.others_load)),
                    format!("{:.0}", median(|run| mebibytes(run.memory.resident))),
                    format!("{:.0}", median(|run| mebibytes(run.memory.peak_resident))),
                ]);
            }
            for &peer in workload.peers() {
                let Some(Comparison { rate, processor }) = self.compare(workload, peer) else { continue };
                let mut cells: [String; 14] = Default::default();
                cells[1] = format!("ratio to {}", peer.name());
                cells[2] = format!("{rate:.2} ×");
                cells[8] = format!("{processor:.2} × less");
                table.row(cells);
            }
        }
        table.text()
    }

    fn memories(&self) -> String {
        let above = |peak: Peak| {
            [
                format!("{:.1}", mebibytes(peak.anonymous_above_idle)),
                format!("{:.1}", mebibytes(peak.resident_above_idle)),
                format!("{:.0}", peak.rate),
            ]
        };
        let mut table = Table::new(&[
            "memory",
            "idle RSS MB",
            "push: anonymous +MiB",
            "peak RSS +MiB",
            "MiB/s",
            "pull: anonymous +MiB",
            "peak RSS +MiB",
            "MiB/s",
        ]);
        for run in &self.memory {
            let [push_anonymous, push_resident, push_rate] = above(run.push);
            let [pull_anonymous, pull_resident, pull_rate] = above(run.pull);
            table.row([
                format!("{} ({STREAMS} × {} MiB)", run.product.name(), run.blob_bytes >> 20),
                format!("{:.1}", approximate(run.idle_resident) / 1e6),
                push_anonymous,
                push_resident,
                push_rate,
                pull_anonymous,
                pull_resident,
                pull_rate,
            ]);
        }
        table.text()
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes are printed with three digits")]
fn approximate(bytes: u64) -> f64 {
    bytes as f64
}

fn mebibytes(bytes: u64) -> f64 {
    approximate(bytes) / approximate(1 << 20)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Three digits or more, without a useless fraction.
fn number(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter()).unwrap();
        assert_eq!(spread, Spread { low: 1.0, median: 2.5, high: 4.0 });
        assert_eq!(Spread::of([7.0].into_iter()), Some(Spread { low: 7.0, median: 7.0, high: 7.0 }));
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
