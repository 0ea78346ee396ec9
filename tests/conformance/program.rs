//! What the newer conformance program prints: a tree of results, then the verdict, then the counts.

use std::collections::BTreeMap;

/// Before the verdict.
const VERDICT: &str = "OCI Conformance Result: ";

/// How a result in the tree ends when it is not what we want.
const BAD: [&str; 4] = [": FAIL", ": Error", ": Skip", ": Disabled"];

/// The counts that must be zero.
const ZERO: [&str; 4] = ["FAIL", "Error", "Skip", "Disabled"];

/// The program's own account of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// `Pass` or what it says instead.
    verdict: String,
    /// Checks by how they ended, and their `Total`.
    counts: BTreeMap<String, u64>,
    /// The results in the tree that are not passes, with the reasons below them.
    failing: Vec<String>,
}

impl Report {
    /// Reads the program's standard output. Without a verdict and counts there was no run.
    pub(crate) fn parse(output: &str) -> Result<Self, String> {
        let (tree, rest) = output
            .split_once(&format!("\n{VERDICT}"))
            .ok_or_else(|| format!("the program printed no line {VERDICT:?}: it did not run to its end"))?;
        let mut lines = rest.lines();
        let verdict = lines.next().unwrap_or_default().trim().to_owned();
        let counts: BTreeMap<_, _> = lines.map_while(count).collect();
        for name in ["Pass", "Total"].into_iter().chain(ZERO) {
            if !counts.contains_key(name) {
                return Err(format!("the program printed no count {name:?} below its verdict"));
            }
        }
        Ok(Self { verdict, counts, failing: failing(tree) })
    }

    /// What keeps this run from being a success, one line each; nothing if it is one.
    pub(crate) fn complaints(&self, wanted: u64) -> Vec<String> {
        let mut complaints = Vec::new();
        if self.verdict != "Pass" {
            complaints.push(format!("the verdict is {:?}", self.verdict));
        }
        let wrong = ZERO.into_iter().map(|name| (name, self.counts[name])).filter(|(_, count)| *count > 0);
        complaints.extend(wrong.map(|(name, count)| format!("{count} × {name}")));
        let passed = self.counts["Pass"];
        if passed < wanted {
            complaints.push(format!("{passed} checks passed, expected at least {wanted}"));
        }
        if !complaints.is_empty() {
            complaints.extend(self.failing.iter().cloned());
        }
        complaints
    }
}

/// A line such as `  Pass..........................:        848`; the block ends at the first other one.
fn count(line: &str) -> Option<(String, u64)> {
    let (name, number) = line.split_once(':')?;
    Some((name.trim().trim_end_matches('.').to_owned(), number.trim().parse().ok()?))
}

/// The bad leaves of the tree, each with the ` - reason` lines that follow it. A branch is as bad as its worst
/// leaf, so branches are left out: the next line is indented deeper.
fn failing(tree: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<_> = tree.lines().collect();
    let mut found = Vec::new();
    let mut reasons = false;
    for (line, next) in lines.iter().zip(lines.iter().skip(1).map(Some).chain([None])) {
        let is_reason = line.trim_start().starts_with("- ");
        let is_result = !is_reason && BAD.iter().any(|bad| line.ends_with(bad));
        let is_branch =
            next.is_some_and(|next| !next.trim_start().starts_with("- ") && indent(next) > indent(line));
        if is_result && !is_branch {
            reasons = true;
            found.push((*line).trim().to_owned());
        } else if is_reason && reasons {
            found.push(format!("    {}", line.trim()));
        } else if !is_reason {
            reasons = false;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(verdict: &str, tree: &str, [disabled, skip, pass, fail, error]: [u64; 5]) -> String {
        let total = disabled + skip + pass + fail + error;
        format!(
            "Test results\n{tree}\n\nOCI Conformance Result: {verdict}\n  Disabled......................: {disabled:10}\n  \
             Skip..........................: {skip:10}\n  Pass..........................: {pass:10}\n  \
             FAIL..........................: {fail:10}\n  Error.........................: {error:10}\n  \
             Total.........................: {total:10}\n\nAPI conformance:\n  Tag listing...................:       \
             Pass\n"
        )
    }

    #[test]
    fn a_clean_run_has_nothing_to_complain_of() {
        let tree = "OCI Conformance Test: Pass\n  OCI Conformance Test/ping: Pass";
        let report = Report::parse(&output("Pass", tree, [0, 0, 1032, 0, 0])).unwrap();
        assert_eq!(report.complaints(1032), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_shortfall_is_a_complaint() {
        for counts in [
            [1, 0, 1032, 0, 0],
            [0, 1, 1032, 0, 0],
            [0, 0, 1031, 0, 0],
            [0, 0, 1032, 1, 0],
            [0, 0, 1032, 0, 1],
        ] {
            let report = Report::parse(&output("Pass", "", counts)).unwrap();
            assert_eq!(report.complaints(1032).len(), 1, "{counts:?}");
        }
        let report = Report::parse(&output("Unknown", "", [0, 0, 1032, 0, 0])).unwrap();
        assert_eq!(report.complaints(1032), [r#"the verdict is "Unknown""#]);
    }

    #[test]
    fn failing_leaves_are_shown_with_their_reasons() {
        let tree = "T: FAIL\n  T/ping: Pass\n  T/blobs: FAIL\n    T/blobs/get: Pass\n    T/blobs/mount: FAIL\n     - \
                    unexpected status 404\n     - blob: gone\n  T/tags: Skip\n   - registry does not support it";
        let report = Report::parse(&output("FAIL", tree, [0, 1, 2, 1, 0])).unwrap();
        assert_eq!(
            report.complaints(2),
            [
                r#"the verdict is "FAIL""#,
                "1 × FAIL",
                "1 × Skip",
                "T/blobs/mount: FAIL",
                "    - unexpected status 404",
                "    - blob: gone",
                "T/tags: Skip",
                "    - registry does not support it",
            ]
        );
    }

    #[test]
    fn a_run_that_tested_nothing_is_an_error() {
        assert!(Report::parse("").is_err());
        assert!(Report::parse("failed to load config: unsupported version").is_err());
        assert!(Report::parse("Test results\n\nOCI Conformance Result: Pass\n\nAPI conformance:\n").is_err());
    }
}
