//! What the operating system knows: who runs on which core, and what a process has used.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

/// The core that the servers run on.
pub(crate) const SERVER_CORE: usize = 0;
/// The core that the generator runs on.
pub(crate) const GENERATOR_CORE: usize = 1;

/// Runs this thread, and every process that it starts from now on, on `core` only.
pub(crate) fn pin(core: usize) -> anyhow::Result<()> {
    let mut wanted = CpuSet::new();
    wanted.set(core);
    sched_setaffinity(None, &wanted)
        .with_context(|| format!("cannot run on core {core}: the benchmark needs cores 0 and 1"))
}

/// Fails when the two cores that the benchmark needs are not there.
pub(crate) fn check_cores() -> anyhow::Result<()> {
    let allowed = sched_getaffinity(None).context("cannot ask which cores may be used")?;
    ensure!(
        allowed.is_set(SERVER_CORE) && allowed.is_set(GENERATOR_CORE),
        "the benchmark needs cores {SERVER_CORE} and {GENERATOR_CORE}, and may not use both: run it on a machine \
         with two cores or more and without a CPU restriction"
    );
    Ok(())
}

/// Processor time that the process `id` has used so far, in user and kernel mode, all threads.
pub(crate) fn processor_time(id: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{id}/stat");
    let stat =
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))?;
    let ticks = ticks_in_stat(&stat).ok_or_else(|| anyhow!("cannot find the processor time in {path}"))?;
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// `utime` and `stime` of `proc_pid_stat(5)`, fields 14 and 15. The second field is a name in parentheses that
/// may itself hold spaces and parentheses.
fn ticks_in_stat(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

/// Time that the benchmark's two cores have worked so far, for whomever, or that the hypervisor kept from them.
pub(crate) fn busy_time() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let ticks = busy_ticks(&stat).ok_or_else(|| anyhow!("cannot find the processor time in /proc/stat"))?;
    Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

/// The times of the two cores in `proc_stat(5)` without idle and iowait (the fourth and the fifth), and without
/// those of guests (from the ninth), which are in the first two already.
fn busy_ticks(stat: &str) -> Option<u64> {
    let core = |core: usize| {
        let name = format!("cpu{core} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
        let times: Vec<u64> = line.split_ascii_whitespace().map_while(|time| time.parse().ok()).collect();
        (times.len() >= 8).then(|| times[..3].iter().chain(&times[5..8]).sum::<u64>())
    };
    Some(core(SERVER_CORE)? + core(GENERATOR_CORE)?)
}

/// Memory of one process, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// Everything resident, with the mapped parts of files.
    pub(crate) resident: u64,
    /// What is resident and belongs to no file: heap and stacks.
    pub(crate) anonymous: u64,
    /// The most that was ever resident, or since [`forget_peak`].
    pub(crate) peak_resident: u64,
}

/// What the process `id` holds in memory now.
pub(crate) fn memory(id: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{id}/status");
    let status =
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))?;
    memory_in_status(&status).ok_or_else(|| anyhow!("cannot find the memory in {path}"))
}

fn memory_in_status(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        kibibytes.checked_mul(1024)
    };
    Some(Memory { resident: field("VmRSS")?, anonymous: field("RssAnon")?, peak_resident: field("VmHWM")? })
}

/// Lets [`Memory::peak_resident`] of the process `id` start again from what it holds now.
pub(crate) fn forget_peak(id: u32) -> anyhow::Result<()> {
    let path = format!("/proc/{id}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

/// Where a result comes from.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) processor: String,
    /// How many cores there are.
    pub(crate) cores: usize,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The file system that held the data.
    pub(crate) file_system: String,
}

impl Machine {
    /// This machine, with the file system of `directory`.
    pub(crate) fn look(directory: &Path) -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = |line: &str| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned());
        Self {
            processor: processors.lines().find_map(named).unwrap_or_else(|| "unknown processor".to_owned()),
            cores: processors.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            file_system: file_system(directory),
        }
    }
}

/// The type of the file system that holds `directory`: the mount point with the longest path wins.
fn file_system(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(mount_point, _)| directory.starts_with(mount_point))
        .max_by_key(|(mount_point, _)| mount_point.len())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

/// Bytes that are free for data in `directory`.
pub(crate) fn free_bytes(directory: &Path) -> anyhow::Result<u64> {
    let space = rustix::fs::statvfs(directory)
        .with_context(|| format!("cannot ask how much space is free in {}", directory.display()))?;
    Ok(space.f_bavail * space.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_does_not_shift_its_times() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0";
        assert_eq!(ticks_in_stat(stat), Some(300));
        assert_eq!(ticks_in_stat("7 (a) S 1"), None);
    }

    #[test]
    fn idle_time_is_not_busy_time() {
        let stat =
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 1000 1000 4 5 6 70 80\ncpu1 1 0 0 1000 1000 0 0 0 0 0\n";
        assert_eq!(busy_ticks(stat), Some(22));
        assert_eq!(busy_ticks("cpu0 1 2 3"), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    30 kB\nVmRSS:\t    20 kB\nRssAnon:\t    10 kB\n";
        let memory = memory_in_status(status).unwrap();
        assert_eq!((memory.resident, memory.anonymous, memory.peak_resident), (20480, 10240, 30720));
        assert!(memory_in_status("Name:\tx\n").is_none());
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let id = std::process::id();
        processor_time(id).unwrap();
        assert!(busy_time().unwrap() > Duration::ZERO);
        assert!(memory(id).unwrap().resident > 0);
    }
}
