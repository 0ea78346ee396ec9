//! Attestations that come with an upload (PEP 740).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::python::{BuiltFile, Part, Upload, Wheel};

use super::scene::{Index, OwnIndex, expect_taken, leaving_nothing, project, wheel};
use crate::scene::Calls as _;

const CODE: &str = "PYTHON_ATTESTATION_INVALID";
const PUBLISH: &str = "https://docs.pypi.org/attestations/publish/v1";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The statement that a file was published (in-toto attestation framework, "Statement").
fn statement(file: &BuiltFile, predicate_type: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": file.filename, "digest": { "sha256": file.sha256() } }],
        "predicateType": predicate_type,
        "predicate": null,
    })
}

/// An attestation of a statement. Its signature is one of nothing.
fn attestation(statement: &Value) -> Value {
    json!({
        "version": 1,
        "verification_material": {
            "certificate": STANDARD.encode("a certificate"),
            "transparency_entries": [{ "logIndex": "1" }],
        },
        "envelope": {
            "statement": STANDARD.encode(statement.to_string()),
            "signature": STANDARD.encode("a signature"),
        },
    })
}

/// The form of a file with these attestations.
fn form(file: &BuiltFile, attestations: &Value) -> Upload {
    Upload::new(file).field("attestations", &attestations.to_string())
}

/// A change of a value in a document.
fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut changed = document.clone();
    *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {document}")) = value;
    changed
}

#[test]
fn b28_attestations_are_refused_unless_they_are_enabled() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let good = form(&file, &json!([attestation(&statement(&file, PUBLISH))]));
        index.refuses_form(&good, CODE, "Invalid attestations: attestations are not enabled");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b28_attestations_that_are_malformed_or_about_something_else() {
    leaving_nothing(|index| {
        index.policy(&json!({ "store_unverified_attestations": true }));
        let file = wheel().build();
        let other = wheel().build();
        let stated = statement(&file, PUBLISH);
        let good = attestation(&stated);
        let of = |statement: &Value| json!([attestation(statement)]);
        let subject = stated["subject"][0].clone();
        let text = |text: &str| Upload::new(&file).field("attestations", text);
        for sent in ["not JSON", "{}", "\"x\"", "[", "1", "null", "[1]", "[null]"] {
            index.refuses_form(&text(sent), CODE, "Invalid attestations: ");
        }
        index.refuses_form(&text(&good.to_string()), CODE, "Invalid attestations: ");
        for (attestations, why) in [
            (json!([]), "none at all"),
            (Value::Array(vec![good.clone(); 9]), "more than eight"),
            (json!([good, good]), "two of one kind"),
            (json!([with(&good, "/version", json!(2))]), "another version"),
            (json!([with(&good, "/version", json!("1"))]), "a version that is text"),
            (json!([with(&good, "/envelope", json!({}))]), "an empty envelope"),
            (json!([with(&good, "/envelope/statement", json!("%"))]), "no base64"),
            (json!([with(&good, "/envelope/signature", json!(""))]), "no signature"),
            (
                json!([with(&good, "/envelope/statement", json!(STANDARD.encode("x")))]),
                "a statement that is no JSON",
            ),
            (json!([with(&good, "/verification_material", json!(null))]), "no material"),
            (json!([with(&good, "/verification_material/certificate", json!(null))]), "no certificate"),
            (json!([with(&good, "/verification_material/transparency_entries", json!([]))]), "no entries"),
            (
                of(&with(&stated, "/_type", json!("https://in-toto.io/Statement/v0.1"))),
                "another statement type",
            ),
            (of(&with(&stated, "/predicateType", json!("https://example.com/x"))), "an unknown predicate"),
            (of(&with(&stated, "/subject", json!([]))), "no subject"),
            (of(&with(&stated, "/subject", json!([subject, subject]))), "two subjects"),
            (of(&with(&stated, "/subject/0/name", json!(other.filename))), "another file"),
            (of(&with(&stated, "/subject/0/name", json!("x"))), "no file name"),
            (of(&with(&stated, "/subject/0/digest/sha256", json!(other.sha256()))), "another digest"),
            (of(&with(&stated, "/subject/0/digest", json!({ "md5": file.md5() }))), "a weak digest"),
            (of(&statement(&other, PUBLISH)), "another file altogether"),
        ] {
            let answer = index.send(&form(&file, &attestations));
            assert_eq!(answer.status, 400, "{why}: {answer}");
            super::scene::expect_refusal(answer, 400, CODE, "Invalid attestations: ");
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep = Upload::new(&file).without("attestations").part(Part::text("attestations", deep));
        index.refuses_form(&deep, CODE, "Invalid attestations: ");
        index.has_nothing_of(&file.name);
    });
}

/// The rest of an upload counts as much when it has attestations.
#[test]
fn b28_attestations_save_no_file_that_is_broken() {
    leaving_nothing(|index| {
        index.policy(&json!({ "store_unverified_attestations": true }));
        let file = Wheel::new(&project(), "1.0").without("WHEEL").build();
        let attestations = json!([attestation(&statement(&file, PUBLISH))]);
        index.refuses_form(&form(&file, &attestations), "PYTHON_ARCHIVE_INVALID", "WHEEL is missing");
        let text = attestations.to_string();
        let last = Upload::new(&file).last(Part::text("attestations", text));
        index.refuses_form(&last, "PYTHON_ARCHIVE_INVALID", "WHEEL is missing");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn u23_attestations_behind_the_content_are_kept() {
    let own = OwnIndex::new();
    let index = &own.index;
    index.policy(&json!({ "store_unverified_attestations": true }));
    let file = wheel().build();
    let stated = attestation(&statement(&file, PUBLISH));
    let upload = Upload::new(&file).last(Part::text("attestations", json!([stated]).to_string()));
    expect_taken(index.send(&upload));
    let row = index.row(&file.name, &file.filename);
    assert_eq!(row["attestations"], 1, "{row}");
    // Another one is added to the same file; what came again is not.
    let built = attestation(&statement(&file, PROVENANCE));
    expect_taken(index.send(&form(&file, &json!([stated, built]))));
    expect_taken(index.send(&form(&file, &json!([built]))));
    assert_eq!(index.row(&file.name, &file.filename)["attestations"], 2);
    let path = format!("/integrity/{}/1.0/{}/provenance", file.name, file.filename);
    let provenance = index.writer.ask("GET", &index.path(&path)).expect(&[200]).json();
    let bundles = provenance["attestation_bundles"].as_array().expect("there are bundles");
    let kept: Vec<_> =
        bundles.iter().flat_map(|bundle| bundle["attestations"].as_array().expect("a list")).collect();
    assert_eq!(kept.len(), 2, "{provenance}");
    assert!(kept.contains(&&stated) && kept.contains(&&built), "{provenance}");
    own.collect();
    own.scrub();
    assert_eq!(index.row(&file.name, &file.filename)["attestations"], 2);
}

#[test]
fn b28_the_name_in_a_statement_may_be_spelled_differently() {
    let index = Index::new();
    index.policy(&json!({ "store_unverified_attestations": true }));
    let file = wheel().build();
    let other = file.filename.replacen("pkg_", "PKG.", 1);
    let stated = with(&statement(&file, PUBLISH), "/subject/0/name", json!(other));
    expect_taken(index.send(&form(&file, &json!([attestation(&stated)]))));
}
