//! How far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Numbers that grow while content moves. Reading them costs nothing.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    pub(crate) repositories: AtomicU64,
    pub(crate) repositories_listed: AtomicU64,
    /// Tags, and manifests without a tag where the source lists them.
    pub(crate) items: AtomicU64,
    pub(crate) items_done: AtomicU64,
    pub(crate) manifests: AtomicU64,
    pub(crate) manifests_present: AtomicU64,
    pub(crate) blobs: AtomicU64,
    pub(crate) blobs_mounted: AtomicU64,
    pub(crate) blobs_present: AtomicU64,
    pub(crate) bytes: Arc<AtomicU64>,
    pub(crate) failures: AtomicU64,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            repositories: AtomicU64::default(),
            repositories_listed: AtomicU64::default(),
            items: AtomicU64::default(),
            items_done: AtomicU64::default(),
            manifests: AtomicU64::default(),
            manifests_present: AtomicU64::default(),
            blobs: AtomicU64::default(),
            blobs_mounted: AtomicU64::default(),
            blobs_present: AtomicU64::default(),
            bytes: Arc::default(),
            failures: AtomicU64::default(),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Progress {
    /// One line about now: what is done of what is known, the rate, and how long the rest may take.
    pub fn line(&self) -> String {
        let elapsed = self.started.elapsed();
        let (items, done) = (get(&self.items), get(&self.items_done));
        let bytes = get(&self.bytes);
        let line = format!(
            "{done}/{items} images, {} manifests, {} blobs, {}, {}/s",
            get(&self.manifests),
            get(&self.blobs) + get(&self.blobs_mounted),
            size(bytes),
            size(rate(bytes, elapsed)),
        );
        let failed = match get(&self.failures) {
            0 => String::new(),
            failures => format!(", {failures} failed"),
        };
        // A guess while repositories are still being listed would only mislead.
        let all_known = get(&self.repositories_listed) == get(&self.repositories);
        let left = if all_known && done > 0 && done < items {
            format!(", about {} left", time(elapsed.mul_f64(ratio(items - done, done))))
        } else {
            String::new()
        };
        line + &failed + &left
    }

    /// What was done in the end.
    pub fn summary(&self) -> String {
        let elapsed = self.started.elapsed();
        format!(
            "{} images in {} repositories: {} manifests copied, {} were there; {} blobs copied, {} mounted, {} were \
             there; {} in {}",
            get(&self.items_done),
            get(&self.repositories),
            get(&self.manifests),
            get(&self.manifests_present),
            get(&self.blobs),
            get(&self.blobs_mounted),
            get(&self.blobs_present),
            size(get(&self.bytes)),
            time(elapsed),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate for people needs no more than 52 bits")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / milliseconds
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut divisor = 1024;
    while bytes / divisor >= 1024 && unit + 1 < UNITS.len() {
        divisor *= 1024;
        unit += 1;
    }
    format!("{:.1} {}", ratio(bytes, divisor), UNITS[unit])
}

fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_numbers() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
        assert_eq!(size(u64::MAX), "16384.0 PiB");
        assert_eq!(time(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(time(Duration::from_secs(3725)), "1 h 2 min");
        assert_eq!(time(Duration::from_secs(125)), "2 min 5 s");
    }

    #[test]
    fn what_is_left_is_told_once_everything_is_known() {
        let progress = Progress::default();
        add(&progress.repositories, 2);
        add(&progress.repositories_listed, 1);
        add(&progress.items, 10);
        add(&progress.items_done, 5);
        assert!(progress.line().starts_with("5/10 images, 0 manifests, 0 blobs, 0 B"));
        assert!(!progress.line().contains("left"));
        add(&progress.repositories_listed, 1);
        add(&progress.failures, 1);
        assert!(progress.line().contains("1 failed, about") && progress.line().ends_with("left"));
    }
}
