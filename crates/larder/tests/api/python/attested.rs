//! What is attested about a file (PEP 740): referrers of its manifest, and one provenance document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::python::{BuiltFile, Sdist, Upload, Wheel};
use testkit::sha256;

use super::scene::{Index, OwnIndex, project};
use crate::scene::{Calls as _, own_server};

const ATTESTATION_TYPE: &str = "application/vnd.python.attestation.v1+json";
pub(super) const PUBLISH: &str = "https://docs.pypi.org/attestations/publish/v1";
const BUILD: &str = "https://slsa.dev/provenance/v1";

/// An attestation of the right shape, signed by nobody.
pub(super) fn attestation(file: &BuiltFile, predicate_type: &str) -> Value {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": file.filename, "digest": { "sha256": file.sha256() } }],
        "predicateType": predicate_type,
        "predicate": null,
    });
    json!({
        "version": 1,
        "verification_material": {
            "certificate": STANDARD.encode("certificate"),
            "transparency_entries": [{ "logIndex": "1" }],
        },
        "envelope": {
            "statement": STANDARD.encode(statement.to_string()),
            "signature": STANDARD.encode("signature"),
        },
    })
}

/// The upload of a file with these attestations.
pub(super) fn upload(file: &BuiltFile, attestations: &[Value]) -> Upload {
    // At the end, as some clients send it.
    let field = testkit::python::Part::text("attestations", Value::from(attestations.to_vec()).to_string());
    Upload::new(file).last(field)
}

fn allow(index: &Index) {
    index.policy(&json!({ "store_unverified_attestations": true }));
}

/// The referrers of a file's manifest, as their list shows them.
#[track_caller]
fn referrers(index: &Index, file: &BuiltFile) -> Vec<Value> {
    let row = index.row(&file.name, &file.filename);
    let digest = row["manifest_digest"].as_str().expect("a file has a manifest");
    let path = format!("/v2/{}/referrers/{digest}", index.repository(&file.name));
    let listed = index.writer.ask("GET", &path).expect(&[200]).json();
    listed["manifests"].as_array().expect("an index has manifests").clone()
}

/// The path of the provenance document.
fn provenance(index: &Index, file: &BuiltFile, version: &str) -> String {
    index.path(&format!("/integrity/{}/{version}/{}/provenance", file.name, file.filename))
}

#[test]
fn m8_attestations_are_referrers_and_one_document() {
    let index = Index::new();
    allow(&index);
    let file = Wheel::new(&project(), "1.0").build();
    let attestations = [attestation(&file, PUBLISH), attestation(&file, BUILD)];
    index.send(&upload(&file, &attestations)).expect(&[200]);
    assert_eq!(index.row(&file.name, &file.filename)["attestations"], 2);
    let repository = index.repository(&file.name);
    let listed = referrers(&index, &file);
    assert_eq!(listed.len(), 2, "{listed:?}");
    for predicate_type in [PUBLISH, BUILD] {
        let entry = listed
            .iter()
            .find(|entry| entry["annotations"]["org.larder.python.predicate-type"] == predicate_type)
            .unwrap_or_else(|| panic!("no {predicate_type} in {listed:?}"));
        assert_eq!(entry["artifactType"], ATTESTATION_TYPE, "{entry}");
        let digest = entry["digest"].as_str().expect("an entry has a digest");
        let manifest = index.writer.manifest_get(&repository, digest).expect(&[200]).json();
        assert_eq!(manifest["subject"]["digest"], index.row(&file.name, &file.filename)["manifest_digest"]);
        assert_eq!(manifest["layers"][0]["mediaType"], ATTESTATION_TYPE, "{manifest}");
        let layer = manifest["layers"][0]["digest"].as_str().expect("a layer has a digest");
        let stored = index.writer.blob_get(&repository, layer).expect(&[200]).json();
        assert!(attestations.contains(&stored), "{stored}");
    }
    let filter = format!(
        "/v2/{repository}/referrers/{}?artifactType={}",
        index.row(&file.name, &file.filename)["manifest_digest"].as_str().unwrap_or_default(),
        ATTESTATION_TYPE.replace('+', "%2B")
    );
    let filtered = index.writer.ask("GET", &filter).expect(&[200]).json();
    assert_eq!(filtered["manifests"].as_array().map(Vec::len), Some(2), "{filtered}");

    let answer = index.writer.ask("GET", &provenance(&index, &file, "1.0")).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some("application/vnd.pypi.integrity.v1+json"), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"), "{answer}");
    let document = answer.json();
    assert_eq!(document["version"], 1, "{document}");
    let bundles = document["attestation_bundles"].as_array().expect("there are bundles");
    assert_eq!(bundles.len(), 1, "{document}");
    // Nothing here has verified them, and nobody is told otherwise.
    assert_eq!(bundles[0]["publisher"]["kind"], "unverified", "{document}");
    let shown = bundles[0]["attestations"].as_array().expect("a bundle has attestations");
    assert!(shown.len() == 2 && attestations.iter().all(|wanted| shown.contains(wanted)), "{document}");
    // Any spelling of the version, and only this file.
    index.writer.ask("GET", &provenance(&index, &file, "1.0.0")).expect(&[200]);
    index.writer.ask("GET", &provenance(&index, &file, "2.0")).expect(&[404]);
    index.writer.ask("HEAD", &provenance(&index, &file, "1.0")).expect(&[200]);
}

#[test]
fn m8_they_stay_when_other_files_come_and_when_the_same_comes_again() {
    let index = Index::new();
    allow(&index);
    let name = project();
    let file = Wheel::new(&name, "1.0").build();
    index.send(&upload(&file, &[attestation(&file, PUBLISH)])).expect(&[200]);
    let before = (referrers(&index, &file), index.writer.ask("GET", &provenance(&index, &file, "1.0")).body);
    let plain = [Sdist::new(&name, "1.0").build(), Wheel::new(&name, "1.0").tag("cp312-cp312-any").build()];
    for other in &plain {
        index.takes(other);
    }
    index.send(&upload(&file, &[attestation(&file, PUBLISH)])).expect(&[200]);
    index.takes(&file);
    let after = (referrers(&index, &file), index.writer.ask("GET", &provenance(&index, &file, "1.0")).body);
    assert_eq!(after, before);
    for other in &plain {
        assert!(referrers(&index, other).is_empty());
        index.writer.ask("GET", &provenance(&index, other, "1.0")).expect(&[404]);
        assert_eq!(index.entry(&name, &other.filename)["provenance"], Value::Null);
    }
    // One that comes later is added.
    index.send(&upload(&file, &[attestation(&file, PUBLISH), attestation(&file, BUILD)])).expect(&[200]);
    assert_eq!(referrers(&index, &file).len(), 2);
    assert_eq!(index.row(&name, &file.filename)["attestations"], 2);
}

#[test]
fn m8_the_page_names_the_document_where_the_address_is_known() {
    let server = own_server(&[("LARDER_SERVER__PUBLIC_URL", "https://packages.example.org")]);
    let index = Index::on(&server);
    allow(&index);
    let name = project();
    let file = Wheel::new(&name, "1!1.0+x").build();
    index.send(&upload(&file, &[attestation(&file, PUBLISH)])).expect(&[200]);
    let entry = index.entry(&name, &file.filename);
    let url = entry["provenance"].as_str().unwrap_or_else(|| panic!("no provenance: {entry}"));
    let path = url.strip_prefix("https://packages.example.org").expect("an absolute address");
    index.writer.ask("GET", path).expect(&[200]);
    let page = index.path(&format!("/simple/{name}/"));
    let html = index.writer.call("GET", &page, &[("accept", "text/html")], "").expect(&[200]);
    assert!(String::from_utf8_lossy(&html.body).contains(&format!("data-provenance=\"{url}\"")), "{html}");
    // The page is another one once something is attested.
    let plain = Wheel::new(&name, "2.0").build();
    index.takes(&plain);
    let before = index.page(&name).expect(&[200]);
    index.send(&upload(&plain, &[attestation(&plain, PUBLISH)])).expect(&[200]);
    let after = index.page(&name).expect(&[200]);
    assert_ne!(before.header("etag"), after.header("etag"));
    assert!(index.entry(&name, &plain.filename)["provenance"].is_string());
}

#[test]
fn m8_they_fall_with_their_file_and_survive_the_collector_with_it() {
    let own = OwnIndex::new();
    allow(&own.index);
    let file = Wheel::new(&project(), "1.0").build();
    let kept = Wheel::new(&file.name, "2.0").build();
    for file in [&file, &kept] {
        own.index.send(&upload(file, &[attestation(file, PUBLISH)])).expect(&[200]);
    }
    own.collect();
    own.index.writer.ask("GET", &provenance(&own.index, &file, "1.0")).expect(&[200]);
    let gone = referrers(&own.index, &file).remove(0);
    let digest = gone["digest"].as_str().expect("an entry has a digest").to_owned();
    let path = format!("/projects/{}/files/{}", file.name, file.filename);
    own.index.manage("DELETE", &path, &Value::Null).expect(&[204]);
    own.index.writer.ask("GET", &provenance(&own.index, &file, "1.0")).expect(&[410]);
    own.collect();
    own.collect();
    let repository = own.index.repository(&file.name);
    own.index.writer.manifest_get(&repository, &digest).expect(&[404]);
    own.index.writer.ask("GET", &provenance(&own.index, &kept, "2.0")).expect(&[200]);
    assert_eq!(referrers(&own.index, &kept).len(), 1);
    own.scrub();
    assert!(
        crate::scene::object_files(&own.server, &sha256(attestation(&file, PUBLISH).to_string().as_bytes()))
            .is_empty()
    );
}
