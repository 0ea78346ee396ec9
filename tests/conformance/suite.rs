//! What the suite of release 1.1.1 reports: a `JUnit` file with one `testcase` element for each test.

/// One test.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Where it stands and what it says, such as `[It] … Push Blob Upload Streamed PATCH request …`.
    name: String,
    /// `passed`, `failed`, `skipped`, or something worse.
    status: String,
    /// Why it failed, if it did.
    reason: String,
}

/// The tests in a report. What is no report has none.
pub(crate) fn cases(junit: &str) -> Vec<Case> {
    let elements = junit.split("<testcase ").skip(1);
    elements
        .map(|element| {
            let (start, body) = element.split_once('>').unwrap_or((element, ""));
            // Each is cut at the next one's start; the last one's tail holds nothing but closing tags.
            let failure = body.split_once("<failure ").map_or("", |(_, failure)| failure);
            let head = failure.split_once('>').map_or(failure, |(head, _)| head);
            Case {
                name: attribute(start, "name"),
                status: attribute(start, "status"),
                reason: attribute(head, "message").split_whitespace().collect::<Vec<_>>().join(" "),
            }
        })
        .collect()
}

/// What keeps a run from being a success, one line each; nothing if it is one.
pub(crate) fn complaints(cases: &[Case], wanted: usize, may_skip: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut passed = 0;
    for Case { name, status, reason } in cases {
        match status.as_str() {
            "passed" => passed += 1,
            "skipped" if may_skip.iter().any(|allowed| name.ends_with(allowed)) => {}
            other => complaints.push(format!("{other}: {name}\n    {reason}")),
        }
    }
    if passed < wanted {
        complaints.push(format!("{passed} tests passed, expected at least {wanted}"));
    }
    complaints
}

/// The value of an attribute in the inside of a start tag, with its entities replaced.
fn attribute(tag: &str, name: &str) -> String {
    let start = format!(" {name}=\"");
    let padded = format!(" {tag}");
    let value =
        padded.split_once(&start).and_then(|(_, rest)| rest.split_once('"')).map_or("", |(value, _)| value);
    let entities = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#xA;", "\n"),
        ("&#x9;", "\t"),
        ("&amp;", "&"),
    ];
    entities.iter().fold(value.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
  <testsuites tests="3" disabled="1" errors="0" failures="1" time="0.0007">
      <testsuite name="conformance tests" package="/tmp" tests="3" skipped="1" errors="0" failures="1">
          <testcase name="[It] Push GET &#34;a&#34; &amp; &lt;b&gt;" classname="c" status="passed" time="6.053e-05">
              <system-err>&gt; Enter [It] works</system-err>
          </testcase>
          <testcase name="[It] Push fails" classname="c" status="failed" time="0.0001">
              <failure message="Expected&#xA;    &lt;int&gt;: 404&#xA;to equal&#xA;    &lt;int&gt;: 200" type="failed">at</failure>
          </testcase>
          <testcase name="[It] Pull Setup Get tag name" classname="c" status="skipped" time="0">
              <skipped message="skipped - not enabled"></skipped>
          </testcase>
      </testsuite>
  </testsuites>"#;

    #[test]
    fn failures_are_told_with_their_reason() {
        let cases = cases(REPORT);
        assert_eq!(cases[0].name, r#"[It] Push GET "a" & <b>"#);
        let failed = "failed: [It] Push fails\n    Expected <int>: 404 to equal <int>: 200";
        assert_eq!(complaints(&cases, 1, &["Get tag name"]), [failed]);
    }

    #[test]
    fn an_unexpected_skip_and_a_short_run_are_complaints() {
        let cases: Vec<_> = cases(REPORT).into_iter().filter(|case| case.status != "failed").collect();
        assert_eq!(complaints(&cases, 1, &["Get tag name"]), Vec::<String>::new());
        assert_eq!(complaints(&cases, 1, &[]), ["skipped: [It] Pull Setup Get tag name\n    "]);
        assert_eq!(complaints(&cases, 2, &["Get tag name"]), ["1 tests passed, expected at least 2"]);
    }

    #[test]
    fn what_is_no_report_has_no_tests_and_does_not_pass() {
        assert_eq!(complaints(&super::cases("no such file"), 1, &[]).len(), 1);
    }
}
