//! Attestations: files beside a wheel that say who published it, on their way through clients and server.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::python::{BuiltFile, Wheel};
use testkit::run;

use crate::scene::{REGISTRY, Scene};

/// An attestation of the right shape. Nobody has signed it.
fn attestation(file: &BuiltFile) -> Value {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": file.filename, "digest": { "sha256": file.sha256() } }],
        "predicateType": "https://docs.pypi.org/attestations/publish/v1",
        "predicate": null,
    });
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

#[test]
fn an_attestation_is_kept_and_found_again() {
    let (scene, relay) = Scene::behind_a_relay();
    scene.settings(&json!({ "python": { "store_unverified_attestations": true } }));
    for (client, version) in [("twine", "1.0"), ("uv", "2.0")] {
        let file = Wheel::new("acme-demo", version).build();
        let attested = attestation(&file);
        let path = scene.save(&file);
        let beside = format!("dist/{}.publish.attestation", file.filename);
        let beside = scene.home.write(&beside, attested.to_string());
        if client == "uv" {
            scene.uv_publish(&[&path, &beside]).success();
        } else {
            scene.twine(client, &["--attestations", &path, &beside]).success();
        }

        // More files of the release change nothing about it.
        scene.publish(&Wheel::new("acme-demo", version).tag("py2-none-any").build());
        let page = scene.page("acme-demo");
        let entries = page["files"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["filename"] == file.filename.as_str()).unwrap();
        let provenance = entry["provenance"].as_str().unwrap_or_else(|| panic!("no provenance: {entry}"));
        let reader = scene.api_of(&scene.viewer);
        let provenance = provenance.strip_prefix(&format!("http://{}", relay.host()));
        let answer = reader.get(provenance.expect("the page knows the public address")).expect(&[200]);
        assert_eq!(answer.json()["attestation_bundles"][0]["attestations"][0], attested, "{answer}");

        let tag = format!("{version}-py3-none-any");
        let reference = format!("{}/{}/{}/acme-demo:{tag}", relay.host(), REGISTRY.0, REGISTRY.1);
        crate::oci::login(&scene, relay.host());
        run(scene.home.command("oras").args(["discover", "--plain-http", &reference]))
            .success()
            .says("application/vnd.python.attestation.v1+json");
    }
    assert_eq!(scene.files("acme-demo").len(), 4);
}

#[test]
fn an_attestation_that_nothing_verifies_is_refused_unless_the_registry_says_otherwise() {
    let scene = Scene::new();
    let file = Wheel::new("acme-demo", "1.0").build();
    let path = scene.save(&file);
    let beside = scene
        .home
        .write(&format!("dist/{}.publish.attestation", file.filename), attestation(&file).to_string());
    scene.uv_publish(&[&path, &beside]).failure().says("attestations are not enabled");
    scene.twine("twine", &["--attestations", &path, &beside]).failure().says("attestations are not enabled");
    assert!(scene.files("acme-demo").is_empty());
    scene.uv_publish(&["--no-attestations", &path, &beside]).success();
    assert_eq!(scene.files("acme-demo").len(), 1);
}
