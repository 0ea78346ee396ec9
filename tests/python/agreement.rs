//! Names, versions, file names, requirements and metadata: the server against the libraries that pip reads them
//! with. Whatever is read differently must stand in a list here, with the reason.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::string::string_regex;
use proptest::test_runner::TestRunner;
use python::{FileName, Metadata, NormalizedName, Version};
use serde_json::{Value, json};
use testkit::{Sandbox, run};

/// What asks the libraries.
const JUDGE: &str = include_str!("agreement.py");

const MINIMAL: &str = "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n";

/// A text and why the two sides read it differently.
type Apart = (&'static str, &'static str);

const NOT_A_NAME: &str = "a project name begins and ends with a letter or a digit; the library does not look";
const NOT_ASCII: &str = "file names are ASCII here, as the specification of names has it";
const NOT_A_TAG: &str = "tags consist of letters, digits and underscores; they become parts of OCI tags";
const TOO_LONG: &str = "there are limits here, as every index has them";
const TOO_LARGE: &str = "numbers have 64 bits here; the database compares them by their digits";

const NAMES: &[&str] = &[
    "",
    "a",
    "0",
    "A-._b",
    "zope.interface",
    "Zope_Interface",
    "-a",
    "a-",
    ".a",
    "a_",
    "a b",
    "a/b",
    "a\n",
    "\na",
    "acmé",
    "\u{212a}elvin",
    "\u{17f}ix",
    "a--b",
    "a.-_b",
    "a+b",
    "a!b",
    "É",
    "ａ",
    "a\0",
];

const VERSIONS: &[&str] = &[
    "",
    "1",
    "1.0",
    "v1.0",
    "V1.0",
    "1.0.0",
    "0",
    "0.0.0",
    "1!0",
    "1!",
    "!1",
    "1..0",
    ".1",
    "1.",
    "1.0a",
    "1.0-a1",
    "1.0_a_1",
    "1.0.a.1",
    "1.0alpha",
    "1.0ALPHA1",
    "1.0beta2",
    "1.0c1",
    "1.0rc",
    "1.0pre",
    "1.0preview3",
    "1.0-1",
    "1.0-",
    "1.0-r4",
    "1.0.post",
    "1.0.post.2",
    "1.0post_2",
    "1.0rev",
    "1.0.dev",
    "1.0-dev3",
    "1.0.dev_3",
    "1.0a1.post2.dev3+l.4",
    "1.0+a",
    "1.0+A-b_c.d",
    "1.0+001",
    "1.0+",
    "1.0+.a",
    "1.0+a..b",
    "1.0+a.",
    "+a",
    "1.0+é",
    "1.0.*",
    "1.x",
    "abc",
    "1.0a1b2",
    "1.0.dev1.post1",
    "1.0.post1.dev1",
    "1.0 1",
    "1,0",
    "01.02.03",
    "1.0--1",
    "1.0.post-1",
    "1.0a-",
    "1.0+a-",
    "１.0",
    "1e5",
    "0x10",
    "-1",
    "1_0",
    "2024.01.01",
    "1.0rc1.dev2",
];
const VERSIONS_APART: &[Apart] = &[
    (" 1.0", "a name or a field with white space around the version is damaged"),
    ("1.0 ", "the same"),
    ("\t1.0\n", "the same"),
    ("1.0\u{a0}", "the same"),
    ("18446744073709551616", TOO_LARGE),
    ("1.0a18446744073709551616", TOO_LARGE),
    ("1.0+18446744073709551616", TOO_LARGE),
    (
        "1.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
        TOO_LONG,
    ),
];

const WHEELS: &[&str] = &[
    "acme-1.0-py3-none-any.whl",
    "Acme.Demo_pkg-1.0+CU118-2a-py2.py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "acme-1.0-py3-none.whl",
    "acme-1.0-1-2-py3-none-any.whl",
    "acme-1.0-x-py3-none-any.whl",
    "acme-1.0--py3-none-any.whl",
    "acme-1.0-py3--any.whl",
    "acme-1.0-py2..py3-none-any.whl",
    "acme-1.0-.py3-none-any.whl",
    "acme-1.0-3py-none-any.whl",
    "acme-1.0-PY3-NONE-ANY.whl",
    "acme-1.0-py3-none-any.WHL",
    "acme-1.0-py3-none-any.tar.gz",
    "acme__demo-1.0-py3-none-any.whl",
    "acme-latest-py3-none-any.whl",
    "-1.0-py3-none-any.whl",
    "acme-01.0-001-py3-none-any.whl",
    "acme-1!2.0-py3-none-any.whl",
    ".whl",
];
const WHEELS_APART: &[Apart] = &[
    ("_acme-1.0-py3-none-any.whl", NOT_A_NAME),
    ("acme_-1.0-py3-none-any.whl", NOT_A_NAME),
    ("acme.-1.0-py3-none-any.whl", NOT_A_NAME),
    ("acmé-1.0-py3-none-any.whl", NOT_ASCII),
    ("acme-1.0-py3-none-a+b.whl", NOT_A_TAG),
    ("acme-1.0-py3-none-a b.whl", NOT_A_TAG),
    ("acme-1.0-py3-no!ne-any.whl", NOT_A_TAG),
    ("acme-1.0-1!2-py3-none-any.whl", NOT_A_TAG),
    ("acme-18446744073709551616-py3-none-any.whl", TOO_LARGE),
];

const SDISTS: &[&str] = &[
    "acme-1.0.tar.gz",
    "acme-demo-1.0.tar.gz",
    "zope.event-5.0.tar.gz",
    "acme-1.0-1.tar.gz",
    "acme-1!2.0+local.1.tar.gz",
    "acme-v1.0RC1.tar.gz",
    "acme-latest.tar.gz",
    "acme.tar.gz",
    "-1.0.tar.gz",
    "acme-1.0.tar.bz2",
    "acme-1.0.tgz",
    "acme-1.0.TAR.GZ",
    ".tar.gz",
];
const SDISTS_APART: &[Apart] = &[
    ("acme-1.0.zip", "source distributions are gzipped tar files since PEP 527 and 625"),
    ("acme-1.0-beta.tar.gz", "old packages have such versions; the library stops at the last hyphen"),
    ("acme-1.0-post1.tar.gz", "the same"),
    ("_acme-1.0.tar.gz", NOT_A_NAME),
    ("acme_-1.0.tar.gz", NOT_A_NAME),
    ("acme--1.0.tar.gz", NOT_A_NAME),
    ("a b-1.0.tar.gz", NOT_A_NAME),
    ("acmé-1.0.tar.gz", NOT_ASCII),
    ("acme-18446744073709551616.tar.gz", TOO_LARGE),
];

const METADATA_VERSIONS: &[&str] = &["1.0", "1.2", "2.1", "2.4", "2.6"];

/// `count` texts that match the pattern, the same ones in every run.
fn generated(pattern: &str, count: usize) -> Vec<String> {
    let mut runner = TestRunner::deterministic();
    let strategy = string_regex(pattern).expect("the pattern is a regular expression");
    let mut next = || strategy.new_tree(&mut runner).expect("a text that matches").current();
    (0..count).map(|_| next()).collect()
}

/// Texts written by hand and generated ones, each once.
fn texts(by_hand: &[&str], apart: &[Apart], generated: impl IntoIterator<Item = String>) -> Vec<String> {
    let by_hand = by_hand.iter().chain(apart.iter().map(|(text, _)| text)).map(|text| (*text).to_owned());
    let mut texts: Vec<String> = by_hand.chain(generated).collect();
    texts.sort();
    texts.dedup();
    texts
}

fn any_version() -> Vec<String> {
    generated(
        "v?([012]!)?(0|1|2|9|10|2024)(\\.(0|00|1|9|10)){0,3}([._-]?(a|b|c|rc|alpha|BETA|pre|preview)[._-]?(0|1|12)?)?\
         (-[01]|[._-]?(post|rev|r)[._-]?[0-2]?)?([._-]?dev[._-]?[0-2]?)?\
         (\\+(0|1|01|10|a|ab|abc|A1)([._-](0|2|a|b)){0,2})?",
        1200,
    )
}

fn name(text: &str) -> Value {
    text.parse::<NormalizedName>().map_or(Value::Null, |name| json!(name.as_str()))
}

fn version(text: &str) -> Value {
    text.parse::<Version>().map_or(Value::Null, |version| {
        json!({
            "text": version.to_string(),
            "key": version.release_key(),
            "prerelease": version.is_prerelease(),
        })
    })
}

fn wheel(text: &str) -> Value {
    let Some(file) = text.parse::<FileName>().ok() else { return Value::Null };
    let Some(tags) = file.tags() else { return Value::Null };
    let mut triples = Vec::new();
    for interpreter in &tags.python {
        for abi in &tags.abi {
            triples.extend(tags.platform.iter().map(|platform| format!("{interpreter}-{abi}-{platform}")));
        }
    }
    triples.sort();
    triples.dedup();
    let canonical = file.canonical();
    let parts: Vec<&str> = canonical.split('-').collect();
    let build = if let [_, _, build, _, _, _] = parts[..] {
        let end = build.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(build.len());
        json!([build[..end].parse::<u64>().expect("a build number begins with digits"), build[end..]])
    } else {
        json!([])
    };
    json!({
        "project": file.project().as_str(),
        "version": file.version().to_string(),
        "build": build,
        "tags": triples,
    })
}

fn sdist(text: &str) -> Value {
    match text.parse::<FileName>() {
        Ok(file) if file.tags().is_none() => {
            json!({ "project": file.project().as_str(), "version": file.version().to_string() })
        }
        _ => Value::Null,
    }
}

/// Whether a file name states a project whose name begins or ends with something else than a letter or a digit.
fn has_no_name(project: &str) -> bool {
    !project.starts_with(|first: char| first.is_ascii_alphanumeric())
        || !project.ends_with(|last: char| last.is_ascii_alphanumeric())
}

fn list(answer: &Value) -> &[Value] {
    answer.as_array().expect("the judge answers with lists")
}

fn string(answer: &Value) -> &str {
    answer.as_str().expect("the judge answers with texts")
}

/// Compares both sides text by text. `is_known` says of a generated text that its difference is one of those
/// that `apart` lists examples of; the examples themselves must differ, or their reason is out of date.
fn compare(
    texts: &[String],
    ours: impl Fn(&str) -> Value,
    theirs: &Value,
    apart: &[Apart],
    is_known: impl Fn(&str) -> bool,
) {
    let theirs = list(theirs);
    assert_eq!(texts.len(), theirs.len());
    let agreed =
        texts.iter().zip(theirs).filter(|(text, answer)| ours(text) == **answer && !answer.is_null());
    assert!(agreed.count() >= 10, "almost nothing is accepted by both");
    let mut different: BTreeMap<&str, (Value, &Value)> = texts
        .iter()
        .zip(theirs)
        .map(|(text, answer)| (text.as_str(), (ours(text), answer)))
        .filter(|(_, (ours, theirs))| ours != *theirs)
        .collect();
    for (text, reason) in apart {
        assert!(different.remove(text).is_some(), "no longer read differently: {text:?} ({reason})");
    }
    different.retain(|text, _| !is_known(text));
    assert!(different.is_empty(), "text: (ours, theirs) {different:#?}");
}

/// The order of the key by which the database sorts is that of the library.
fn compare_order(versions: &[&String], ranks: &Value) {
    let keys = versions
        .iter()
        .map(|text| text.parse::<Version>().expect("only valid versions are asked").sort_key());
    let ranks = list(ranks).iter().map(|rank| rank.as_u64().expect("a rank is a number"));
    let mut ordered: Vec<((String, u64), &&String)> = keys.zip(ranks).zip(versions).collect();
    ordered.sort();
    for pair in ordered.windows(2) {
        let (((lower_key, lower_rank), lower), ((higher_key, higher_rank), higher)) = (&pair[0], &pair[1]);
        assert_eq!(lower_key.cmp(higher_key), lower_rank.cmp(higher_rank), "{lower} and {higher}");
    }
}

/// No warning is given of what the library understands.
fn compare_requirements(requirements: &[String], theirs: &Value) {
    let is_warned_of = |requirement: &str| {
        let metadata = Metadata::parse(format!("{MINIMAL}Requires-Dist: {requirement}\n").as_bytes());
        !metadata.expect("a requirement is no reason to refuse a file").warnings().is_empty()
    };
    let is_known = |requirement: &str| {
        let head = requirement.split(';').next().unwrap_or_default().trim_end();
        // The library forgives a comma behind the last version, which the grammar does not have and other
        // installers do not take.
        let ends_in_comma = head.trim_end_matches(')').trim_end().ends_with(',');
        // It looks for the end of a word where a name ends, and takes `_` for a part of the word.
        let is_in_name = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        let mut names = head.split(|character| !is_in_name(character));
        ends_in_comma || names.any(|name| name.ends_with('_'))
    };
    let warned: Vec<&String> = requirements
        .iter()
        .zip(list(theirs))
        .filter(|(text, understood)| **understood == json!(true) && is_warned_of(text) && !is_known(text))
        .map(|(text, _)| text)
        .collect();
    assert!(warned.is_empty(), "{warned:#?}");
}

/// Metadata with fields in many forms, of which most are well formed.
fn any_metadata() -> Vec<String> {
    let line = "[!-~é日]([ -~é日\u{2028}]{0,20}[!-~é日])?";
    let patterns = [
        format!(
            "(Summary|Home-page|author-EMAIL|Keywords|X-Vendor): {{1,2}}{line}(\n( |\t|        ){line}){{0,2}}\n"
        ),
        format!("(License|Description): {line}(\n        {line}){{0,3}}\n"),
        format!("(Classifier|Requires-Dist|Provides-Extra|Dynamic|Platform):{line}\n"),
        "((Name|Version|Summary|License|X-Vendor)( :|:) ?(UNKNOWN|1\\.0)?|:|no field)\n".to_owned(),
    ];
    let columns = patterns.map(|pattern| generated(&pattern, 400));
    let bodies = generated("(\r?\n(\\PC{0,20}\r?\n){0,4})?", 400);
    (0..400)
        .map(|row| {
            let version = METADATA_VERSIONS[row % METADATA_VERSIONS.len()];
            // Each form of field is in every second, third, … text.
            let fields = columns.iter().enumerate().filter(|(column, _)| row % (column + 2) == 0);
            let fields: String = fields.map(|(_, column)| column[row].as_str()).collect();
            let body = &bodies[row];
            format!("Metadata-Version: {version}\nName: Acme_{row}\nVersion: 1.0.{row}\n{fields}{body}")
        })
        .collect()
}

/// A value without the line breaks of folding, which are kept where they mean something.
fn unfolded(name: &str, value: &str) -> String {
    if matches!(name, "license" | "description") {
        value.trim().to_owned()
    } else {
        value.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Fields as the two sides have them in common: empty ones and placeholders are left out here.
fn common<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    fields
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .map(|(name, value)| (unfolded(&name, value), name))
        .filter(|(value, name)| !value.is_empty() && (value != "UNKNOWN" || name == "name"))
        .map(|(value, name)| (name, value))
        .collect()
}

/// Every text that is accepted here is read alike by the library of the language and by that of pip.
fn compare_metadata(texts: &[String], theirs: &Value) {
    let mut accepted = 0;
    for (text, answer) in texts.iter().zip(list(theirs)) {
        let Ok(metadata) = Metadata::parse(text.as_bytes()) else { continue };
        accepted += 1;
        let ours = metadata.fields().iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let fields = list(&answer["fields"]);
        let fields = fields.iter().map(|field| (string(&field[0]), string(&field[1])));
        assert_eq!(common(ours), common(fields), "{text:?}");
        assert_eq!(answer["name"], metadata.name().as_str(), "{text:?}");
        assert_eq!(answer["version"].as_str(), metadata.get("Version"), "{text:?}");
        // What the library does not know, and a description in front of a body of nothing but white space.
        let known = ["x-vendor", "description"];
        let ambiguous = list(&answer["ambiguous"]);
        assert!(ambiguous.iter().all(|name| known.contains(&string(name))), "{text:?}: {answer}");
    }
    assert!(accepted >= texts.len() / 3, "{accepted} of {} were accepted", texts.len());
}

#[test]
fn what_pip_reads_is_read_alike() {
    let names = texts(
        NAMES,
        &[],
        [generated("[A-Za-z0-9._-]{1,12}", 800), generated("\\PC{0,4}", 200)].into_iter().flatten(),
    );
    let near_versions = generated("[v0-9]{0,2}[0-9.a!+_-]{0,8}(post|dev|rc|é)?[0-9]{0,2}", 800);
    let versions = texts(VERSIONS, VERSIONS_APART, any_version().into_iter().chain(near_versions));
    let wheels = texts(
        WHEELS,
        WHEELS_APART,
        generated(
            "[a-zA-Z0-9._]{1,6}-v?[01](\\.[0-9]){0,2}(a1|rc2)?(\\+[a-zA-Z1](_b)?)?(-[0-9]{1,3}[a-zA-Z_.]?)?\
             -((py|cp)[23](\\.py3)?|PY3|3|_)-(none|abi3|cp311|\\.)(\\.none)?-(any|win_amd64)(\\.linux_x86_64)?\\.?\\.whl",
            1200,
        ),
    );
    let sdists = texts(
        SDISTS,
        SDISTS_APART,
        generated(
            "[a-zA-Z0-9._-]{1,8}-(v?[01](\\.[0-9]){0,2}((a|b|rc)[0-9])?(\\.post1)?(\\.dev[0-9])?(\\+[a-z]{1,3})?|beta|x)\
             (\\.tar\\.gz|\\.tar\\.gz|\\.zip|\\.tgz)",
            1200,
        ),
    );
    let one = "(==|!=|<=|>=|<|>|~=|=) ?(1|1\\.0|1\\.0\\.\\*|1!2|1\\.0rc1|1\\.0\\+a|x)";
    let requirements = generated(
        &format!(
            "[a-zA-Z0-9._-]{{1,4}}( ?\\[ ?([a-z._-]{{1,3}}(, ?[a-z]{{1,3}})?)? ?\\]?)?\
             (|| \\({one}( ?, ?{one})?\\)?| ?{one}( ?, ?{one}){{0,2}},?| ?@ ?(https://a.example/b;c|x)?)\
             (|| ?; ?python_version ?< ?'3')"
        ),
        1200,
    );
    let metadata = any_metadata();
    let ordered: Vec<&String> = versions.iter().filter(|text| text.parse::<Version>().is_ok()).collect();

    let home = Sandbox::new();
    let questions = json!({
        "names": names, "versions": versions, "ordered": ordered, "wheels": wheels, "sdists": sdists,
        "requirements": requirements, "metadata": metadata,
    });
    let script = home.write("agreement.py", JUDGE);
    let questions = home.write("questions.json", questions.to_string());
    let answers = home.file("answers.json");
    run(home
        .command("python/pip/bin/python")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args([&script, &questions, &answers]))
    .success();
    let answers: Value = serde_json::from_slice(&std::fs::read(answers).unwrap()).unwrap();

    compare(&names, name, &answers["names"], &[], |_| false);
    compare(&versions, version, &answers["versions"], VERSIONS_APART, |_| false);
    compare(&wheels, wheel, &answers["wheels"], WHEELS_APART, |text| {
        has_no_name(text.split('-').next().unwrap_or_default())
    });
    compare(&sdists, sdist, &answers["sdists"], SDISTS_APART, |text| {
        let stem = text.strip_suffix(".tar.gz").and_then(|stem| stem.rsplit_once('-'));
        stem.is_none_or(|(project, version)| has_no_name(project) || version.parse::<Version>().is_err())
    });

    compare_order(&ordered, &answers["ranks"]);
    compare_requirements(&requirements, &answers["requirements"]);
    compare_metadata(&metadata, &answers["metadata"]);
}
