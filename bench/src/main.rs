//! Measures Larder beside another registry and beside other Python indexes: all on this machine, in the same run,
//! under the same load.

mod client;
mod content;
mod http;
mod machine;
mod measure;
mod memory;
mod python;
mod report;
mod scale;
mod server;
mod workload;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, ValueEnum as _};
use tokio::signal::unix::{SignalKind, signal};

use client::Target;
use machine::Machine;
use measure::{Durations, Load};
use python::{Python, Sizes};
use report::Report;
use scale::Scale;
use server::{Product, Programs, Server};
use workload::{Fixture, Registry, Workload};

/// Space that a whole run needs for what is pushed, in GiB.
const SPACE_GIB: u64 = 48;
/// The same with `--quick`.
const SPACE_QUICK_GIB: u64 = 16;
/// The same for a run without large blobs.
const SPACE_SMALL_GIB: u64 = 4;
/// What `--only` calls the measurement of memory, which is no workload of the first table.
const MEMORY: &str = "memory";
/// What `--only` calls all workloads of a Python index.
const PYTHON: &str = "python";
/// What `--only` calls the measurement of collection beside requests.
const COLLECTION: &str = "collection";
/// What `--only` calls the measurement of long lists.
const NAMES: &str = "names";
/// What `--only` calls the comparison of credentials.
const CREDENTIALS: &str = "credentials";
/// Where `make` says that the tools are.
const TOOLS: &str = "LARDER_TEST_TOOLS";

/// Measures Larder beside Debian's docker-registry, pypiserver and devpi-server, and prints rates, latencies,
/// processor time and memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// Larder's program, built with `--release`; when not given, the one built beside this one.
    #[arg(long, value_name = "PROGRAM")]
    larder: Option<PathBuf>,
    /// The peer's program.
    #[arg(long, value_name = "PROGRAM", default_value = "docker-registry")]
    peer: PathBuf,
    /// pypiserver's program; when not given, the one among the test tools or in the path.
    #[arg(long, value_name = "PROGRAM")]
    pypiserver: Option<PathBuf>,
    /// devpi-server's program, beside devpi-init; found in the same way.
    #[arg(long, value_name = "PROGRAM")]
    devpi: Option<PathBuf>,
    /// Where the servers keep their data while they run; it should be a real disk.
    #[arg(long, value_name = "DIRECTORY", default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// Shorter runs and 128 MiB instead of 1 GiB for memory: for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Measure this only (may be given several times).
    #[arg(long, value_name = "WORKLOAD", value_parser = names())]
    only: Vec<String>,
    /// Measure collection, lists and credentials on this alone.
    #[arg(long, value_name = "BACK_END")]
    on: Option<scale::Kind>,
    /// How often each workload runs on each server.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// Write everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn names() -> clap::builder::PossibleValuesParser {
    let workloads = Workload::ALL.iter().filter_map(Workload::to_possible_value);
    clap::builder::PossibleValuesParser::new(
        workloads.chain([PYTHON, MEMORY, COLLECTION, NAMES, CREDENTIALS].map(Into::into)),
    )
}

/// What the arguments ask for.
struct Plan {
    programs: Programs,
    directory: PathBuf,
    workloads: Vec<Workload>,
    durations: Durations,
    repetitions: usize,
    /// Images whose manifests are read.
    tags: usize,
    /// How much a Python index holds.
    sizes: Sizes,
    /// Bytes of the blobs under which memory is measured, when it is.
    memory_blob_bytes: Option<u64>,
    /// What is measured with very much of it.
    scale: scale::Plan,
    space_gib: u64,
}

impl Plan {
    fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let asked = |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
        let named = |workload: &Workload| {
            workload.to_possible_value().is_some_and(|value| asked(value.get_name()))
                || (workload.is_python() && asked(PYTHON))
        };
        let quick = arguments.quick;
        let workloads: Vec<Workload> = Workload::ALL.into_iter().filter(named).collect();
        let is_small = !asked(MEMORY) && workloads.iter().all(|workload| workload.is_python());
        let durations = if quick {
            Durations { warm_up: Duration::from_millis(500), measure: Duration::from_secs(2) }
        } else {
            Durations { warm_up: Duration::from_secs(2), measure: Duration::from_secs(8) }
        };
        Ok(Self {
            programs: Programs {
                larder: larder(arguments.larder.as_deref())?,
                distribution: absolute(&arguments.peer)?,
                pypiserver: tool(arguments.pypiserver.as_deref(), "pypiserver", "pypi-server")?,
                devpi: tool(arguments.devpi.as_deref(), "devpi", "devpi-server")?,
            },
            directory: std::path::absolute(&arguments.directory)
                .context("cannot tell where --directory is")?,
            workloads,
            durations,
            repetitions: arguments.repetitions.into(),
            tags: if quick { 500 } else { 3000 },
            sizes: if quick {
                Sizes { files: 200, projects: 500 }
            } else {
                Sizes { files: 1000, projects: 10_000 }
            },
            memory_blob_bytes: asked(MEMORY).then_some(if quick { 128 << 20 } else { 1 << 30 }),
            scale: scale::Plan {
                on: arguments.on,
                blobs: asked(COLLECTION).then_some(if quick { 20_000 } else { 200_000 }),
                requests: asked(NAMES).then_some(if quick { 500 } else { 3000 }),
                rounds: asked(CREDENTIALS).then_some(if quick { 8 } else { 40 }),
            },
            space_gib: match (is_small, quick) {
                (true, _) => SPACE_SMALL_GIB,
                (false, true) => SPACE_QUICK_GIB,
                (false, false) => SPACE_GIB,
            },
        })
    }

    /// Everybody who is measured.
    fn products(&self) -> Vec<Product> {
        let is_peer =
            |product: &Product| self.workloads.iter().any(|workload| workload.peers().contains(product));
        let is_needed = |product: &Product| match product {
            Product::Larder => true,
            Product::Distribution => self.memory_blob_bytes.is_some() || is_peer(product),
            Product::Pypiserver | Product::Devpi => is_peer(product),
        };
        Product::ALL.into_iter().filter(is_needed).collect()
    }
}

/// A Python program: the one that was named, or the one in its environment among the test tools, or the one in
/// the path.
fn tool(named: Option<&Path>, environment: &str, program: &str) -> anyhow::Result<PathBuf> {
    let found = std::env::var_os(TOOLS)
        .map(|tools| Path::new(&tools).join("python").join(environment).join("bin").join(program));
    absolute(named.map_or_else(|| found.unwrap_or_else(|| program.into()), Path::to_owned).as_path())
}

/// The program that is measured.
fn larder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(named) = named {
        return absolute(named);
    }
    let this =
        std::env::current_exe().context("cannot tell where this program is; name the other with --larder")?;
    Ok(this.with_file_name("larder"))
}

/// The servers run in directories of their own, where a relative path would name something else. A bare name is
/// searched for in `PATH` and stays.
fn absolute(program: &Path) -> anyhow::Result<PathBuf> {
    if program.components().count() == 1 && !program.is_absolute() {
        return Ok(program.to_owned());
    }
    std::path::absolute(program).with_context(|| format!("cannot tell where {} is", program.display()))
}

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn bench() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let plan = Plan::new(&arguments)?;
    machine::check_cores()?;
    check_space(&plan.directory, plan.space_gib)?;
    // These have servers beside the server, so everything runs where the system puts it.
    let scale = scale::measure(&plan.programs.larder, plan.scale)?;
    machine::pin(machine::GENERATOR_CORE)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    // The servers are owned by the future: whichever branch wins, and on a panic too, they are dropped, and
    // with them their processes and their data.
    let report = runtime.block_on(async {
        tokio::select! {
            report = measure(&plan, scale) => report,
            interrupted = interrupted() => interrupted,
        }
    })?;
    if let Some(path) = &arguments.json {
        let json = serde_json::to_vec_pretty(&report).context("cannot write the result as JSON")?;
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    std::io::stdout().write_all(report.text().as_bytes()).context("cannot print the result")
}

fn check_space(directory: &Path, needed_gib: u64) -> anyhow::Result<()> {
    let free_gib = machine::free_bytes(directory)? >> 30;
    ensure!(
        free_gib >= needed_gib,
        "the servers may need {needed_gib} GiB in {} and {free_gib} GiB are free: name another place with \
         --directory, or use --quick",
        directory.display()
    );
    Ok(())
}

/// Waits for somebody to end the benchmark.
async fn interrupted<T>() -> anyhow::Result<T> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::select! {
        listened = tokio::signal::ctrl_c() => listened.context("cannot listen for SIGINT")?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    bail!("interrupted: the servers were stopped and their data removed")
}

async fn measure(plan: &Plan, scale: Scale) -> anyhow::Result<Report> {
    let mut report = Report {
        machine: Machine::look(&plan.directory),
        versions: plan
            .products()
            .into_iter()
            .map(|product| anyhow::Ok((product, plan.programs.version(product)?)))
            .collect::<anyhow::Result<_>>()?,
        sizes: plan.sizes,
        durations: plan.durations,
        repetitions: plan.repetitions,
        runs: Vec::new(),
        memory: Vec::new(),
        scale,
        targets: Vec::new(),
    };
    let registry: Vec<Workload> =
        plan.workloads.iter().copied().filter(|workload| !workload.is_python()).collect();
    if !registry.is_empty() {
        measure_registries(plan, &registry, &mut report).await?;
    }
    for group in Workload::PYTHON {
        let group: Vec<Workload> =
            group.iter().copied().filter(|workload| plan.workloads.contains(workload)).collect();
        if !group.is_empty() {
            measure_indexes(plan, &group, &mut report).await?;
        }
    }
    if let Some(blob_bytes) = plan.memory_blob_bytes {
        for product in [Product::Larder, Product::Distribution] {
            tell(&format!("memory: {}", product.name()));
            report.memory.push(memory::run(product, &plan.programs, &plan.directory, blob_bytes).await?);
        }
    }
    report.judge();
    Ok(report)
}

/// Measures what a registry of images does.
async fn measure_registries(plan: &Plan, workloads: &[Workload], report: &mut Report) -> anyhow::Result<()> {
    let mut servers = Vec::new();
    for product in [Product::Larder, Product::Distribution] {
        tell(&format!("starting and filling {}", product.name()));
        let server = Server::start(product, &plan.programs, &plan.directory).await?;
        let target = Target::new(&server).await.map_err(|error| explain(error, &server))?;
        let fixture =
            Fixture::set_up(&target, workloads, plan.tags).await.map_err(|error| explain(error, &server))?;
        servers.push((server, Arc::new(fixture)));
    }
    for repetition in 0..plan.repetitions {
        // Who goes first changes, so that whatever drifts on this machine favours nobody.
        servers.reverse();
        for &workload in workloads {
            for (server, fixture) in &servers {
                let target = Target::new(server).await.map_err(|error| explain(error, server))?;
                let load = Arc::new(Registry { target, fixture: Arc::clone(fixture) });
                measure_once(plan, repetition, workload, server, &load, report).await?;
            }
        }
    }
    Ok(())
}

/// Measures what a Python index does, on servers of their own.
async fn measure_indexes(plan: &Plan, workloads: &[Workload], report: &mut Report) -> anyhow::Result<()> {
    let mut servers = Vec::new();
    for product in [Product::Larder, Product::Pypiserver, Product::Devpi] {
        tell(&format!("starting and filling {}", product.name()));
        let server = Server::start(product, &plan.programs, &plan.directory).await?;
        let load =
            Python::set_up(&server, workloads, plan.sizes).await.map_err(|error| explain(error, &server))?;
        servers.push((server, Arc::new(load)));
    }
    for repetition in 0..plan.repetitions {
        servers.rotate_left(1);
        for &workload in workloads {
            for (server, load) in &servers {
                measure_once(plan, repetition, workload, server, load, report).await?;
            }
        }
    }
    Ok(())
}

async fn measure_once<L: Load>(
    plan: &Plan,
    repetition: usize,
    workload: Workload,
    server: &Server,
    load: &Arc<L>,
    report: &mut Report,
) -> anyhow::Result<()> {
    let run = measure::run(workload, server, load, plan.durations)
        .await
        .with_context(|| format!("cannot measure {}", workload.title()))
        .map_err(|error| explain(error, server))?;
    tell(&format!(
        "{}/{} {}, {}: {:.1} {}",
        repetition + 1,
        plan.repetitions,
        workload.title(),
        run.product.name(),
        run.rate,
        workload.unit()
    ));
    report.runs.push(run);
    Ok(())
}

/// Adds what the server has to say, before its log goes with it.
fn explain(error: anyhow::Error, server: &Server) -> anyhow::Error {
    error.context(format!("{} failed; the end of its log:\n{}", server.product().name(), server.log_tail()))
}

/// Says on standard error how far it is. Nobody may be there to read it, and that is fine.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
