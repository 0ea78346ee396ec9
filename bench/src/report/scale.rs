//! The tables of collection beside requests, of long lists and of credentials.

use std::fmt::Write as _;

use super::table::Table;
use super::{Target, mebibytes};
use crate::scale::Scale;
use crate::scale::collection::{Collection, Operation};
use crate::scale::credentials::Credential;
use crate::scale::names::{List, Page, Size};

/// How much longer 99 % of all operations may take while collection goes on.
const COLLECTION_RATIO: f64 = 1.5;
/// How much longer a page may take that is one of a hundred times as many.
const PAGE_RATIO: f64 = 1.2;
/// How many reads there are at least with credentials, in relation to those without.
const CREDENTIAL_RATIO: f64 = 0.8;

/// Adds what was aimed at.
pub(super) fn judge(scale: &Scale, targets: &mut Vec<Target>) {
    for run in &scale.collection {
        let failures = run.without.failures + run.with.failures;
        targets.push(Target {
            subject: format!("failed requests beside collection, {}", run.kind.name()),
            wanted: "none".to_owned(),
            found: failures.to_string(),
            reached: failures == 0,
        });
        for operation in Operation::ALL {
            let Some(ratio) = run.ratio(operation) else { continue };
            targets.push(Target {
                subject: format!("p99 of {} beside collection, {}", operation.name(), run.kind.name()),
                wanted: format!("≤ {COLLECTION_RATIO:.1} × without"),
                found: format!("{ratio:.2} ×"),
                reached: ratio <= COLLECTION_RATIO,
            });
        }
    }
    for run in &scale.names {
        for list in List::ALL {
            let ratios = run.pages.iter().filter(|page| page.list == list).map(Page::ratio);
            let Some(worst) = ratios.max_by(f64::total_cmp) else { continue };
            targets.push(Target {
                subject: format!("slowest page of {}, {}", list.name(), run.kind.name()),
                wanted: format!("≤ {PAGE_RATIO:.1} × at 1 % of the size"),
                found: format!("{worst:.2} ×"),
                reached: worst <= PAGE_RATIO,
            });
        }
    }
    for run in &scale.credentials {
        for credential in &Credential::ALL[1..] {
            let ratio = run.ratio(*credential);
            targets.push(Target {
                subject: format!("manifest GET with {}, {}", credential.name(), run.kind.name()),
                wanted: format!("≥ {CREDENTIAL_RATIO:.1} × anonymous"),
                found: format!("{ratio:.2} ×"),
                reached: ratio >= CREDENTIAL_RATIO,
            });
        }
    }
}

/// The tables, empty when nothing was measured.
pub(super) fn text(scale: &Scale) -> String {
    let mut text = String::new();
    for run in &scale.collection {
        text.push('\n');
        text.push_str(&collection(run));
    }
    if !scale.names.is_empty() {
        text.push('\n');
        text.push_str(&names(scale));
    }
    if !scale.credentials.is_empty() {
        text.push('\n');
        text.push_str(&credentials(scale));
    }
    text
}

fn credentials(scale: &Scale) -> String {
    let mut table = Table::new(&["manifest GET with", "on", "in a second", "ratio"]);
    for run in &scale.credentials {
        for credential in Credential::ALL {
            table.row([
                credential.name().to_owned(),
                run.kind.name().to_owned(),
                format!("{:.0}", run.rate(credential)),
                format!("{:.2} ×", run.ratio(credential)),
            ]);
        }
    }
    table.text()
}

fn collection(run: &Collection) -> String {
    let mut table = Table::new(&[
        "collection",
        "operation",
        "without",
        "p50 ms",
        "p99 ms",
        "with",
        "p50 ms",
        "p99 ms",
        "p99 ratio",
    ]);
    for operation in Operation::ALL {
        let (Some(without), Some(with)) = (run.without.of(operation), run.with.of(operation)) else {
            continue;
        };
        table.row([
            run.kind.name().to_owned(),
            operation.name().to_owned(),
            without.count.to_string(),
            format!("{:.2}", without.p50_ms),
            format!("{:.2}", without.p99_ms),
            with.count.to_string(),
            format!("{:.2}", with.p50_ms),
            format!("{:.2}", with.p99_ms),
            format!("{:.2} ×", run.ratio(operation).unwrap_or(f64::NAN)),
        ]);
    }
    let mut text = table.text();
    let garbage = run.garbage;
    writeln!(
        text,
        "{} blobs judged in {:.1} s; {garbage} objects gone after {:.1} s, {:.0} in a second; \
         requests ran for {:.0} s without and {:.0} s with collection, {} and {} failed",
        2 * garbage,
        run.judged_seconds,
        run.seconds,
        run.rate(),
        run.without.seconds,
        run.with.seconds,
        run.without.failures,
        run.with.failures,
    )
    .expect(INFALLIBLE);
    for failure in [&run.without.first_failure, &run.with.first_failure].into_iter().flatten() {
        writeln!(text, "the first failure: {failure}").expect(INFALLIBLE);
    }
    writeln!(
        text,
        "memory of the server: {:.0} MiB when collection began, {:.0} MiB at the most; {:.0} MiB at the most without",
        mebibytes(run.memory_before),
        mebibytes(run.memory_peak),
        mebibytes(run.memory_peak_without),
    )
    .expect(INFALLIBLE);
    writeln!(text, "{}\nscrub: {}", run.status, run.scrub).expect(INFALLIBLE);
    text
}

const INFALLIBLE: &str = "writing to a string cannot fail";

fn names(scale: &Scale) -> String {
    let mut table = Table::new(&["list", "on", "of", "page", "p50 ms", "of", "p50 ms", "ratio"]);
    for run in &scale.names {
        for page in &run.pages {
            table.row([
                page.list.name().to_owned(),
                run.kind.name().to_owned(),
                page.list.count(Size::SMALL).to_string(),
                page.which.to_owned(),
                format!("{:.3}", page.small_ms),
                page.list.count(Size::FULL).to_string(),
                format!("{:.3}", page.full_ms),
                format!("{:.2} ×", page.ratio()),
            ]);
        }
    }
    table.text()
}
