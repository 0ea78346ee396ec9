//! The rules of the house that a compiler does not know, each with its reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which room may use which: arrows point at what is used, and nothing else is allowed. A new arrow is a
/// change to the architecture, so it is made here on purpose.
const ARROWS: &[(&str, &[&str])] = &[
    ("access", &[]),
    ("auth", &["access", "clock", "db"]),
    ("bench", &["testkit"]),
    ("blobs", &[]),
    ("clock", &[]),
    ("db", &[]),
    ("larder", &["access", "auth", "blobs", "clock", "db", "oci", "registry", "server", "transfer"]),
    ("oci", &[]),
    ("python", &[]),
    ("registry", &["access", "blobs", "clock", "db", "oci", "python"]),
    ("server", &["access", "auth", "clock", "oci", "python", "registry"]),
    ("testkit", &[]),
    ("transfer", &["oci"]),
];

/// Crates that only some rooms may name, so that what they stand for stays behind its wall.
const WALLS: &[(&str, &[&str])] = &[
    ("rusqlite", &["bench", "db"]),
    ("tokio-postgres", &["bench", "db"]),
    ("object_store", &["blobs"]),
    ("argon2", &["auth"]),
    ("jsonwebtoken", &["auth"]),
    ("hyper", &["server"]),
    ("axum", &["server"]),
    ("http", &["oci", "python", "server"]),
    ("reqwest", &["auth", "testkit", "transfer"]),
    ("lettre", &["auth"]),
    ("rustix", &["blobs", "bench", "testkit"]),
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate lies in a workspace")
}

/// What each crate of the workspace depends on outside its tests.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages
        .iter()
        .map(|package| {
            let used = package["dependencies"].as_array().expect("a package lists its dependencies");
            let normal = used.iter().filter(|dependency| dependency["kind"].is_null());
            (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
        })
        .collect()
}

#[test]
fn crates_use_each_other_only_along_the_arrows() {
    let found = dependencies();
    let names: Vec<&String> = found.keys().collect();
    let known: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, known, "a crate without arrows, or arrows without a crate");
    for (name, allowed) in ARROWS {
        for used in &found[*name] {
            let is_room = known.contains(&used.as_str());
            assert!(!is_room || allowed.contains(&used.as_str()), "{name} -> {used} is a new arrow");
        }
    }
}

#[test]
fn what_stands_behind_a_wall_is_named_by_its_rooms_alone() {
    for (name, used) in dependencies() {
        for (behind, rooms) in WALLS {
            assert!(
                !used.iter().any(|used| used == behind) || rooms.contains(&name.as_str()),
                "{name} uses {behind}, which is for {rooms:?}"
            );
        }
    }
}

#[test]
fn every_migration_is_applied_and_written_for_both_engines() {
    let applied = std::fs::read_to_string(workspace().join("crates/db/src/migrate.rs")).expect("readable");
    let names = |engine: &str| {
        let folder = workspace().join("migrations").join(engine);
        let entries = std::fs::read_dir(folder).expect("there are migrations");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("readable").file_name().into_string().expect("UTF-8")
        };
        entries.map(name).collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(names("sqlite"), names("postgres"), "a migration exists for one engine only");
    for name in names("sqlite") {
        let (number, rest) = name.trim_end_matches(".sql").split_once('_').expect("NNNN_verb_noun.sql");
        let version: u32 = number.parse().expect("NNNN_verb_noun.sql");
        let listed = format!("migration!({version}, \"{rest}\"");
        assert!(applied.contains(&listed), "{name} is not in the list of migrations");
    }
}

/// Secrets are found by their hash or checked by a keyed one: `==` on their text stops at the first byte that differs,
/// and the time that takes tells which one it was (Harbor's CVE-2023-20902). The type that holds them has no `==`, so
/// only a text that was taken out of it can be compared.
#[test]
fn t37_the_text_of_a_secret_is_not_compared() {
    let mut found = Vec::new();
    for path in sources(&workspace().join("crates")) {
        let text = std::fs::read_to_string(&path).expect("a source is text");
        for (index, line) in text.lines().enumerate() {
            let is_comparison = ["expose_secret() ==", "expose_secret() !=", "== secret.", "!= secret."]
                .iter()
                .any(|comparison| line.contains(comparison));
            // What a test keeps in a setting is no secret.
            if is_comparison && !line.contains("== \"kept:\"") {
                found.push(format!("{}:{}: {}", path.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "compare hashes instead:\n{}", found.join("\n"));
}

/// The sources below a folder that are no tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("readable");
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && name != "tests" {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !name.starts_with("test") {
            found.push(path);
        }
    }
    found
}

/// The pages about signing in, machines and rights: whoever follows them trusts every line with a secret.
const PAGES: &[&str] =
    &["docs/rights.md", "docs/sign-in-with-your-provider.md", "docs/tokens-and-machines.md"];

/// What a reader types or copies into a pipeline has a name, and under that name a test takes it from the page and runs
/// it.
#[test]
fn every_command_and_every_job_of_the_pages_is_run_by_a_test() {
    let mut tests = String::new();
    for path in all_sources(&workspace().join("tests")) {
        tests.push_str(&std::fs::read_to_string(&path).expect("a source is text"));
    }
    for path in PAGES {
        let page = testkit::page::Page::read(path);
        for block in page.blocks().iter().filter(|block| ["sh", "yaml"].contains(&block.language)) {
            let named = format!("\"{}\"", block.name);
            assert!(!block.name.is_empty(), "{path} has commands without a name:\n{}", block.text);
            assert!(tests.contains(&named), "no test runs {named} of {path}:\n{}", block.text);
        }
    }
}

/// All sources below a folder.
fn all_sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(all_sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
