//! What the claims of a job's token have to be.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of a claim's name at the most.
const LONGEST_CLAIM: usize = 200;
/// Bytes of an expected value at the most, and of a claim that a pattern is compared with.
const LONGEST_VALUE: usize = 1024;
/// Values to choose from at the most.
const MOST_VALUES: usize = 50;
/// Bytes of a claim that are shown to whoever asks why it did not match.
const LONGEST_SHOWN: usize = 200;

/// Claims for which a pattern may stand: what is named anew all the time, and never what says whose job it is.
const PATTERN_CLAIMS: [&str; 13] = [
    "ref",
    "base_ref",
    "head_ref",
    "ref_path",
    "workflow",
    "workflow_ref",
    "job_workflow_ref",
    "ci_config_ref_uri",
    "environment",
    "deployment_tier",
    "build_branch",
    "build_tag",
    "oidc.circleci.com/vcs-ref",
];

/// Claims that platforms spell as somebody typed them and compare without case.
const CASELESS_CLAIMS: [&str; 4] = ["repository", "repository_owner", "project_path", "namespace_path"];

/// What one claim has to be. All of a binding's have to agree.
///
/// In JSON one of `equals`, `any_of` and `glob` beside `claim`:
/// `{"claim": "repository_id", "equals": "1296269"}`, `{"claim": "ref", "glob": "refs/tags/v*"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Fields", try_from = "Fields")]
pub struct ClaimMatch {
    /// Name of a claim, or with a slash at the beginning a path into one (JSON Pointer, RFC 6901).
    pub claim: String,
    /// What it has to be.
    pub rule: ClaimRule,
    /// Whether upper and lower case letters of ASCII count as the same.
    pub ignore_case: bool,
}

/// What a claim is compared with. Numbers and truth values are compared as JSON writes them; of a list one element
/// has to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimRule {
    /// Exactly this.
    Equals(String),
    /// Exactly one of these.
    AnyOf(Vec<String>),
    /// This pattern: `*` for any text without a slash, `**` for any text.
    Glob(String),
}

/// A rule as JSON spells it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    claim: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    equals: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    any_of: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    glob: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ignore_case: bool,
}

impl From<ClaimMatch> for Fields {
    fn from(rule: ClaimMatch) -> Self {
        let ClaimMatch { claim, rule, ignore_case } = rule;
        let mut fields = Self { claim, equals: None, any_of: None, glob: None, ignore_case };
        match rule {
            ClaimRule::Equals(value) => fields.equals = Some(value),
            ClaimRule::AnyOf(values) => fields.any_of = Some(values),
            ClaimRule::Glob(pattern) => fields.glob = Some(pattern),
        }
        fields
    }
}

impl TryFrom<Fields> for ClaimMatch {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let rule = match (fields.equals, fields.any_of, fields.glob) {
            (Some(value), None, None) => ClaimRule::Equals(value),
            (None, Some(values), None) => ClaimRule::AnyOf(values),
            (None, None, Some(pattern)) => ClaimRule::Glob(pattern),
            _ => return Err("a claim needs exactly one of equals, any_of and glob"),
        };
        Ok(Self { claim: fields.claim, rule, ignore_case: fields.ignore_case })
    }
}

impl ClaimMatch {
    /// A claim that has to be exactly this.
    pub fn equals(claim: &str, value: &str) -> Self {
        Self { claim: claim.to_owned(), rule: ClaimRule::Equals(value.to_owned()), ignore_case: false }
    }

    /// A claim that has to match this pattern.
    pub fn glob(claim: &str, pattern: &str) -> Self {
        Self { claim: claim.to_owned(), rule: ClaimRule::Glob(pattern.to_owned()), ignore_case: false }
    }

    /// Whether only listed values match, rather than a pattern.
    pub(crate) fn is_exact(&self) -> bool {
        !matches!(self.rule, ClaimRule::Glob(_))
    }

    /// What is wrong with the rule, if something is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let is_line = |text: &str, most: usize| {
            !text.is_empty() && text.len() <= most && !text.chars().any(char::is_control)
        };
        if !is_line(&self.claim, LONGEST_CLAIM) {
            return Some("the name of a claim has 1 to 200 bytes on one line");
        }
        let values = match &self.rule {
            ClaimRule::Equals(value) => std::slice::from_ref(value),
            ClaimRule::AnyOf(values) => values,
            ClaimRule::Glob(pattern) => {
                if !PATTERN_CLAIMS.contains(&self.claim.as_str()) {
                    return Some(
                        "patterns are for refs, workflows and environments, give the exact value of other claims",
                    );
                }
                if pattern.bytes().all(|byte| byte == b'*') {
                    return Some("a pattern of stars alone says nothing, leave the claim out");
                }
                std::slice::from_ref(pattern)
            }
        };
        if values.is_empty() || values.len() > MOST_VALUES {
            return Some("any_of lists 1 to 50 values");
        }
        if !values.iter().all(|value| is_line(value, LONGEST_VALUE)) {
            return Some("the value of a claim has 1 to 1024 bytes on one line");
        }
        None
    }

    /// Why these claims do not agree; nothing when they do.
    pub(crate) fn mismatch(&self, claims: &Map<String, Value>) -> Option<String> {
        let Some(value) = find(claims, &self.claim) else {
            return Some(format!("claim {:?} is not in the token", self.claim));
        };
        if scalars(value).any(|text| self.accepts(&text)) {
            return None;
        }
        let shown = shorten(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let expected = match &self.rule {
            ClaimRule::Equals(value) => format!("expected {value:?}"),
            ClaimRule::AnyOf(values) => format!("expected one of {values:?}"),
            ClaimRule::Glob(pattern) => format!("expected to match {pattern:?}"),
        };
        Some(format!("claim {:?} is {shown:?}, {expected}", self.claim))
    }

    fn accepts(&self, text: &str) -> bool {
        let ignore_case = self.ignore_case || CASELESS_CLAIMS.contains(&self.claim.as_str());
        let same =
            |value: &String| if ignore_case { value.eq_ignore_ascii_case(text) } else { value == text };
        match &self.rule {
            ClaimRule::Equals(value) => same(value),
            ClaimRule::AnyOf(values) => values.iter().any(same),
            ClaimRule::Glob(pattern) if ignore_case => {
                glob_matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase())
            }
            ClaimRule::Glob(pattern) => glob_matches(pattern, text),
        }
    }
}

/// A claim by its name or by the path to it.
pub(crate) fn find<'c>(claims: &'c Map<String, Value>, claim: &str) -> Option<&'c Value> {
    let Some(path) = claim.strip_prefix('/') else { return claims.get(claim) };
    let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let first = claims.get(&steps.next()?)?;
    steps.try_fold(first, |value, step| match value {
        Value::Object(members) => members.get(&step),
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The texts that a value stands for: itself, or the elements of a list.
fn scalars(value: &Value) -> impl Iterator<Item = String> {
    let elements = match value {
        Value::Array(elements) => elements.as_slice(),
        other => std::slice::from_ref(other),
    };
    elements.iter().filter_map(|element| match element {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    })
}

fn shorten(text: &str) -> String {
    if text.len() <= LONGEST_SHOWN {
        return text.to_owned();
    }
    let end = (0..=LONGEST_SHOWN).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// Matches a pattern: every state that the pattern can be in after each byte, so that no text makes it slow.
fn glob_matches(pattern: &str, text: &str) -> bool {
    if text.len() > LONGEST_VALUE {
        return false;
    }
    let pieces = pieces(pattern);
    let mut reached = vec![false; pieces.len() + 1];
    reached[0] = true;
    skip_stars(&pieces, &mut reached);
    for byte in text.bytes() {
        let mut next = vec![false; pieces.len() + 1];
        for (at, piece) in pieces.iter().enumerate().filter(|(at, _)| reached[*at]) {
            match piece {
                Piece::Byte(expected) if *expected == byte => next[at + 1] = true,
                Piece::WithinComponent if byte != b'/' => next[at] = true,
                Piece::Anything => next[at] = true,
                Piece::Byte(_) | Piece::WithinComponent => {}
            }
        }
        skip_stars(&pieces, &mut next);
        reached = next;
    }
    reached[pieces.len()]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    WithinComponent,
    Anything,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(pattern.len());
    for byte in pattern.bytes() {
        match (byte, pieces.last()) {
            (b'*', Some(Piece::WithinComponent)) => {
                pieces.pop();
                pieces.push(Piece::Anything);
            }
            (b'*', Some(Piece::Anything)) => {}
            (b'*', _) => pieces.push(Piece::WithinComponent),
            (byte, _) => pieces.push(Piece::Byte(byte)),
        }
    }
    pieces
}

/// A star may stand for nothing.
fn skip_stars(pieces: &[Piece], reached: &mut [bool]) {
    for (at, piece) in pieces.iter().enumerate() {
        if reached[at] && !matches!(piece, Piece::Byte(_)) {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else { panic!("claims are an object") };
        members
    }

    fn agrees(rule: &ClaimMatch, value: Value) -> bool {
        rule.mismatch(&claims(value)).is_none()
    }

    #[test]
    fn values_are_compared_whole_and_with_their_case() {
        let rule = ClaimMatch::equals("environment", "release");
        assert!(agrees(&rule, json!({"environment": "release"})));
        for other in ["Release", "release ", "prerelease", "release/x", ""] {
            assert!(!agrees(&rule, json!({"environment": other})), "{other}");
        }
        assert!(!agrees(&rule, json!({"environment": null})));
        assert!(!agrees(&rule, json!({"environment": {"release": true}})));
        assert!(!agrees(&rule, json!({})));
        assert!(agrees(&ClaimMatch { ignore_case: true, ..rule }, json!({"environment": "RELEASE"})));
    }

    #[test]
    fn names_of_repositories_and_projects_have_no_case() {
        for claim in ["repository", "repository_owner", "project_path", "namespace_path"] {
            let rule = ClaimMatch::equals(claim, "Octo-Org/App");
            assert!(agrees(&rule, json!({claim: "octo-org/app"})));
            assert!(!agrees(&rule, json!({claim: "octo-org/app2"})));
            // Only letters of ASCII: this one is the sign of the unit kelvin.
            assert!(!agrees(&ClaimMatch::equals(claim, "kit"), json!({claim: "\u{212a}it"})));
        }
        assert!(!agrees(&ClaimMatch::equals("ref", "refs/heads/Main"), json!({"ref": "refs/heads/main"})));
    }

    #[test]
    fn numbers_truth_values_and_lists_are_compared_as_text() {
        assert!(agrees(&ClaimMatch::equals("project_id", "42"), json!({"project_id": 42})));
        assert!(agrees(&ClaimMatch::equals("project_id", "42"), json!({"project_id": "42"})));
        assert!(!agrees(&ClaimMatch::equals("project_id", "42"), json!({"project_id": 42.5})));
        assert!(agrees(&ClaimMatch::equals("ref_protected", "true"), json!({"ref_protected": true})));
        let rule = ClaimMatch {
            claim: "oidc.circleci.com/context-ids".to_owned(),
            rule: ClaimRule::AnyOf(vec!["a".to_owned(), "b".to_owned()]),
            ignore_case: false,
        };
        assert!(agrees(&rule, json!({"oidc.circleci.com/context-ids": ["x", "b"]})));
        assert!(!agrees(&rule, json!({"oidc.circleci.com/context-ids": ["x", ["a"]]})));
    }

    #[test]
    fn a_path_leads_into_a_claim() {
        let pod =
            json!({"kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "push", "uid": "7"}}});
        assert!(agrees(&ClaimMatch::equals("/kubernetes.io/serviceaccount/uid", "7"), pod.clone()));
        assert!(!agrees(&ClaimMatch::equals("/kubernetes.io/serviceaccount/uid", "8"), pod.clone()));
        assert!(!agrees(&ClaimMatch::equals("/kubernetes.io/serviceaccount", "7"), pod.clone()));
        assert!(!agrees(&ClaimMatch::equals("kubernetes.io.namespace", "ci"), pod));
        assert!(agrees(&ClaimMatch::equals("/a~1b/~0", "x"), json!({"a/b": {"~": "x"}})));
    }

    #[test]
    fn a_star_stops_at_a_slash_and_two_do_not() {
        for (pattern, text, expected) in [
            ("refs/heads/*", "refs/heads/main", true),
            ("refs/heads/*", "refs/heads/feature/x", false),
            ("refs/heads/**", "refs/heads/feature/x", true),
            ("refs/tags/v*", "refs/tags/v", true),
            ("refs/tags/v*", "refs/tags/w1", false),
            ("refs/tags/v*.*", "refs/tags/v1.2.3", true),
            ("*", "", true),
            ("**/main", "refs/heads/main", true),
            ("**/main", "refs/heads/main2", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abcb", false),
            ("a?c", "abc", false),
            ("a.c", "abc", false),
            ("refs/heads/main", "refs/heads/main\n", false),
        ] {
            assert_eq!(glob_matches(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_pattern_is_quick_on_any_text() {
        let begun = std::time::Instant::now();
        assert!(!glob_matches(&"*a".repeat(500), &"a".repeat(1024)[..400]));
        assert!(!glob_matches("*", &"a".repeat(1025)));
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }

    #[test]
    fn rules_that_make_no_sense_have_a_fault() {
        let any_of = |values: Vec<String>| ClaimMatch {
            claim: "ref".to_owned(),
            rule: ClaimRule::AnyOf(values),
            ignore_case: false,
        };
        for rule in [
            ClaimMatch::equals("", "x"),
            ClaimMatch::equals("a\nb", "x"),
            ClaimMatch::equals(&"a".repeat(201), "x"),
            ClaimMatch::equals("ref", ""),
            ClaimMatch::equals("ref", "a\u{1b}b"),
            ClaimMatch::equals("ref", &"a".repeat(1025)),
            ClaimMatch::glob("repository", "octo-org/*"),
            ClaimMatch::glob("repository_id", "12*"),
            ClaimMatch::glob("sub", "repo:octo-org/*"),
            ClaimMatch::glob("/ref", "refs/*"),
            ClaimMatch::glob("ref", "**"),
            any_of(vec![]),
            any_of(vec!["x".to_owned(); 51]),
        ] {
            assert!(rule.fault().is_some(), "{rule:?}");
        }
        for rule in [ClaimMatch::glob("ref", "refs/tags/*"), any_of(vec!["x".to_owned(); 50])] {
            assert_eq!(rule.fault(), None);
        }
    }

    #[test]
    fn json_has_exactly_one_rule() {
        let rules = [
            (ClaimMatch::equals("ref", "x"), json!({"claim": "ref", "equals": "x"})),
            (
                ClaimMatch { ignore_case: true, ..ClaimMatch::glob("ref", "x*") },
                json!({"claim": "ref", "glob": "x*", "ignore_case": true}),
            ),
        ];
        for (rule, json) in rules {
            assert_eq!(serde_json::to_value(&rule).unwrap(), json);
            assert_eq!(serde_json::from_value::<ClaimMatch>(json).unwrap(), rule);
        }
        for json in [
            json!({"claim": "ref"}),
            json!({"claim": "ref", "equals": "x", "glob": "y"}),
            json!({"claim": "ref", "equals": "x", "regex": "y"}),
            json!({"equals": "x"}),
        ] {
            assert!(serde_json::from_value::<ClaimMatch>(json.clone()).is_err(), "{json}");
        }
    }

    #[test]
    fn what_does_not_match_is_shown_short_and_on_one_line() {
        let rule = ClaimMatch::equals("actor", "octocat");
        let shown =
            rule.mismatch(&claims(json!({"actor": format!("a\r\n\u{1b}[{}", "ä".repeat(500))}))).unwrap();
        assert!(shown.len() < 400 && !shown.contains(char::is_control), "{shown}");
        assert!(rule.mismatch(&claims(json!({}))).unwrap().contains("not in the token"));
    }

    proptest! {
        #[test]
        fn a_pattern_without_stars_matches_itself_only(pattern in "[a-z/]{1,20}", text in "[a-z/]{0,20}") {
            prop_assert_eq!(glob_matches(&pattern, &text), pattern == text);
            prop_assert!(glob_matches(&pattern, &pattern));
        }

        #[test]
        fn any_pattern_on_any_text_is_survived(pattern in ".{0,40}", text in ".{0,40}") {
            glob_matches(&pattern, &text);
        }

        #[test]
        fn a_star_takes_any_component(before in "[a-z/]{0,10}", middle in "[a-z]{0,10}", after in "[a-z/]{0,10}") {
            let text = format!("{before}{middle}{after}");
            let (one, two) = (format!("{before}*{after}"), format!("{before}**{after}"));
            prop_assert!(glob_matches(&one, &text) && glob_matches(&two, &text));
        }

        #[test]
        fn any_json_is_survived(text in ".{0,80}") {
            let _ = serde_json::from_str::<ClaimMatch>(&text);
        }
    }
}
