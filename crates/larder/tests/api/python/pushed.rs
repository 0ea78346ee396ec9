//! Python files that come through the registry protocol. They have to be as good as those of the upload form.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Entry, Sdist, TarEntry, Wheel};
use testkit::{random_bytes, sha256};

use super::attested::{PUBLISH, attestation, upload};
use super::scene::{Index, OwnIndex, expect_taken, leaving_nothing, project, wheel};
use crate::scene::{
    Calls as _, INDEX_TYPE, MANIFEST_TYPE, empty_config, expect_error, referrer_of, small_manifest,
};

const ARTIFACT_TYPE: &str = "application/vnd.python.artifact";
const ATTESTATION_TYPE: &str = "application/vnd.python.attestation.v1+json";
const BUILD: &str = "https://slsa.dev/provenance/v1";
const TITLE: &str = "org.opencontainers.image.title";

fn layer_type(file: &BuiltFile) -> &'static str {
    match file.filetype() {
        "sdist" => "application/vnd.python.sdist.file",
        _ => "application/vnd.python.whl.file",
    }
}

/// A manifest of a file with nothing but what it has to have.
fn manifest(file: &BuiltFile) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": empty_config(),
        "layers": [{
            "mediaType": layer_type(file),
            "digest": sha256(&file.bytes),
            "size": file.bytes.len(),
            "annotations": { TITLE: file.filename },
        }],
    })
}

/// The repository in which a file belongs by its name.
fn repository(index: &Index, file: &BuiltFile) -> String {
    index.repository(&file.name.to_lowercase())
}

/// Pushes the content of a file and what its manifest needs.
fn push_content(index: &Index, file: &BuiltFile) {
    let repository = repository(index, file);
    index.writer.blob_push(&repository, b"{}");
    index.writer.blob_push(&repository, &file.bytes);
}

/// Asserts that a manifest is refused by digest and under a tag, and returns what is said.
#[track_caller]
fn refuses(index: &Index, file: &BuiltFile, manifest: &Value, sentence: &str) {
    let bytes = manifest.to_string().into_bytes();
    let repository = repository(index, file);
    for reference in [sha256(&bytes), "1.0".to_owned()] {
        let answer = index.writer.manifest_put(&repository, &reference, MANIFEST_TYPE, &bytes);
        let message = expect_error(answer, 400, "MANIFEST_INVALID");
        assert!(message.contains(sentence), "{sentence:?} is not in {message:?}");
    }
    index.page(&file.name.to_lowercase()).expect(&[404]);
    index.manage("GET", &format!("/projects/{}", file.name.to_lowercase()), &Value::Null).expect(&[404]);
}

/// Runs pushes of files that have to be refused. The blobs were pushed on purpose and belong to the repository
/// that was named, so they stay as long as it does; no project, tag or manifest comes of them.
#[track_caller]
fn refusing(rows: Vec<(BuiltFile, &str)>) {
    let own = OwnIndex::new();
    let index = &own.index;
    for (file, sentence) in rows {
        push_content(index, &file);
        refuses(index, &file, &manifest(&file), sentence);
        let listing = index.writer.ask("GET", &format!("/v2/{}/tags/list", repository(index, &file)));
        if listing.status == 200 {
            assert_eq!(listing.json()["tags"], json!([]), "{listing}");
        }
    }
    index.is_empty();
    own.collect();
    own.scrub();
}

#[test]
fn b30_wheels_whose_archive_is_broken() {
    refusing(vec![
        (BuiltFile { bytes: random_bytes(1000), ..wheel().build() }, "ZIP archive not accepted"),
        (wheel().build_with(|archive| archive.suffix = b"x".to_vec()), "trailing data"),
        (wheel().build_with(|archive| archive.add("../x", "x")), "unsafe path in archive"),
        (
            wheel().build_with(|archive| archive.entries.push(Entry::link("x", "/etc/passwd"))),
            "a link or a device",
        ),
        (wheel().build_with(|archive| archive.entries.push(Entry::zeros("x", 65 << 20))), "expands too much"),
        (wheel().without("RECORD").build(), "RECORD is missing"),
        (wheel().without("METADATA").build(), "METADATA is missing"),
        (wheel().metadata_version("3.0").build(), "METADATA has Metadata-Version '3.0'"),
    ]);
}

#[test]
fn b30_source_distributions_whose_archive_is_broken() {
    refusing(vec![
        (Sdist::new(&project(), "1.0").uncompressed().build(), "tar archive not accepted"),
        (
            Sdist::new(&project(), "1.0").build_with(|archive| archive.add("../x", "x")),
            "unsafe path in archive",
        ),
        (
            Sdist::new(&project(), "1.0").build_with(|archive| {
                archive.entries.push(TarEntry::zeros("zeros", 128 << 20));
            }),
            "tar archive not accepted",
        ),
        (Sdist::new(&project(), "1.0").without_metadata().build(), "PKG-INFO is missing"),
    ]);
}

#[test]
fn b30_manifests_that_do_not_describe_their_file() {
    let own = OwnIndex::new();
    let index = &own.index;
    let file = wheel().header("Requires-Python", ">=3.8").build();
    push_content(index, &file);
    let good = manifest(&file);
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in {good}")) = value;
        changed
    };
    let other = wheel().build();
    let annotated =
        |key: &str, value: &str| with("/layers/0/annotations", json!({ TITLE: file.filename, key: value }));
    for (manifest, sentence) in [
        (with("/layers/0/annotations", json!({})), TITLE),
        (with("/layers", json!([])), "exactly one layer"),
        (with("/layers", json!([good["layers"][0], good["layers"][0]])), "exactly one layer"),
        (with("/layers/0/mediaType", json!("application/vnd.python.sdist.file")), "is a layer of type"),
        (with("/layers/0/mediaType", json!("application/octet-stream")), "is a layer of type"),
        (with("/config/mediaType", json!("application/vnd.oci.image.config.v1+json")), "empty config"),
        (annotated(TITLE, &other.filename), "belongs into the repository"),
        (annotated(TITLE, "x.zip"), "Use .whl or .tar.gz"),
        (annotated(TITLE, "../x-1.0-py3-none-any.whl"), "Invalid filename"),
        (annotated(TITLE, &file.filename.replace("1.0", "2.0")), ""),
        (annotated("Requires-Python", ">=2.7"), "METADATA of the file does not say Requires-Python"),
        (annotated("name", &other.name), "METADATA of the file does not say Name"),
        (annotated("VERSION", "2.0"), "METADATA of the file does not say Version"),
        (annotated("Requires-Dist", "[\"evil\"]"), "METADATA of the file does not say Requires-Dist"),
    ] {
        refuses(index, &file, &manifest, sentence);
    }
    let bytes = good.to_string().into_bytes();
    for tag in ["latest", "2.0", "1.0-py3-none-win32", "1.0.0"] {
        let answer = index.writer.manifest_put(&repository(index, &file), tag, MANIFEST_TYPE, &bytes);
        expect_error(answer, 400, "MANIFEST_INVALID");
    }
    let absent = manifest(&Wheel::new(&file.name, "1.0").file("more", "x").build()).to_string();
    let answer =
        index.writer.manifest_put(&repository(index, &file), "1.0", MANIFEST_TYPE, absent.as_bytes());
    expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    index.page(&file.name).expect(&[404]);
    // And as it should be, it is a file like any other.
    index.writer.manifest_put(&repository(index, &file), "1.0", MANIFEST_TYPE, &bytes).expect(&[201]);
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    assert_eq!(index.entry(&file.name, &file.filename)["requires-python"], ">=3.8");
    assert_eq!(index.tags(&file.name), ["1.0", "1.0-py3-none-any"]);
    index.takes(&file);
    own.collect();
    own.scrub();
}

#[test]
fn b30_b25_b26_b27_the_rules_for_names_are_the_same() {
    let index = Index::new();
    let push = |file: &BuiltFile| {
        push_content(&index, file);
        let manifest = manifest(file).to_string();
        index.writer.manifest_put(&repository(&index, file), "1.0", MANIFEST_TYPE, manifest.as_bytes())
    };
    let file = wheel().build();
    index.takes(&file);
    let other = Wheel::new(&file.name, "1.0").file("more", "x").build();
    expect_error(push(&other), 403, "DENIED");
    expect_error(push(&Wheel::new("json", "1.0").build()), 403, "DENIED");
    let word = testkit::random_word().replace(['0', '1'], "x");
    index.takes(&Wheel::new(&format!("acme-lib-{word}"), "1.0").build());
    expect_error(push(&Wheel::new(&format!("acme-1ib-{word}"), "1.0").build()), 403, "DENIED");
    let status = format!("/projects/{}", file.name);
    index.manage("PATCH", &status, &json!({ "status": "archived" })).expect(&[200]);
    let next = Wheel::new(&file.name, "1.0").tag("py2-none-any").build();
    expect_error(push(&next), 403, "DENIED");
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    let list = index.manage("GET", "/projects", &Value::Null).expect(&[200]).json();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2), "{list}");
}

#[test]
fn b30_what_is_no_python_file_stays_out_of_a_project() {
    let index = Index::new();
    let file = wheel().build();
    index.takes(&file);
    let repository = repository(&index, &file);
    let tags = index.tags(&file.name);
    let page = index.page(&file.name).expect(&[200]).body;
    let image = small_manifest().to_string();
    for reference in [sha256(image.as_bytes()), "latest".to_owned(), "1.0".to_owned(), "9.9".to_owned()] {
        let answer = index.writer.manifest_put(&repository, &reference, MANIFEST_TYPE, image.as_bytes());
        expect_error(answer, 403, "DENIED");
    }
    // An index of a release is the server's own work, so nobody else's is taken.
    let pointed = index.writer.manifest_get(&repository, "1.0").expect(&[200]);
    let entry =
        json!({ "mediaType": MANIFEST_TYPE, "digest": sha256(&pointed.body), "size": pointed.body.len() });
    let own = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "artifactType": ARTIFACT_TYPE, "manifests": [entry] });
    let own = own.to_string();
    for reference in [sha256(own.as_bytes()), "1.0".to_owned(), "2.0".to_owned()] {
        let answer = index.writer.manifest_put(&repository, &reference, INDEX_TYPE, own.as_bytes());
        assert!([403, 405].contains(&answer.status), "{answer}");
    }
    assert_eq!(index.tags(&file.name), tags);
    assert_eq!(index.page(&file.name).expect(&[200]).body, page);
}

#[test]
fn b30_a_python_file_in_a_repository_of_containers() {
    let index = Index::new();
    let file = wheel().build();
    let repository = repository(&index, &file);
    index.writer.image_push(&repository, "latest", &small_manifest());
    push_content(&index, &file);
    let manifest = manifest(&file).to_string();
    let answer = index.writer.manifest_put(&repository, "1.0", MANIFEST_TYPE, manifest.as_bytes());
    expect_error(answer, 403, "DENIED");
    index.page(&file.name).expect(&[404]);
    assert_eq!(index.tags(&file.name), ["latest"]);
}

#[test]
fn b30_nothing_is_left_of_a_push_without_its_content() {
    leaving_nothing(|index| {
        let file = wheel().build();
        let manifest = manifest(&file).to_string();
        let answer =
            index.writer.manifest_put(&repository(index, &file), "1.0", MANIFEST_TYPE, manifest.as_bytes());
        expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
        index.has_nothing_of(&file.name);
    });
}

#[test]
fn b30_u22_the_limit_of_the_registry_is_the_same() {
    let index = Index::new();
    let file = wheel().file("data", random_bytes(20_000)).build();
    push_content(&index, &file);
    let bytes = manifest(&file).to_string().into_bytes();
    let push = || index.writer.manifest_put(&repository(&index, &file), "1.0", MANIFEST_TYPE, &bytes);
    index.policy(&json!({ "file_bytes": file.bytes.len() - 1 }));
    expect_error(push(), 413, "SIZE_INVALID");
    index.page(&file.name).expect(&[404]);
    index.policy(&json!({ "file_bytes": file.bytes.len() }));
    push().expect(&[201]);
    assert_eq!(index.files(&file.name), [file.filename]);
}

/// What calls itself an attestation of a file is judged as one that comes with an upload.
#[test]
fn b28_b30_attestations_that_are_pushed_by_hand() {
    let index = Index::new();
    let file = wheel().build();
    let other = wheel().build();
    let repository = repository(&index, &file);
    let attach = |content: &[u8]| {
        let subject = index.writer.manifest_get(&repository, "1.0").expect(&[200]).body;
        let subject =
            json!({ "mediaType": MANIFEST_TYPE, "digest": sha256(&subject), "size": subject.len() });
        let mut referrer = referrer_of(&subject, ATTESTATION_TYPE);
        let digest = index.writer.blob_push(&repository, content);
        referrer["layers"] =
            json!([{ "mediaType": ATTESTATION_TYPE, "digest": digest, "size": content.len() }]);
        let bytes = referrer.to_string().into_bytes();
        index.writer.manifest_put(&repository, &sha256(&bytes), MANIFEST_TYPE, &bytes)
    };
    let path = index.path(&format!("/integrity/{}/1.0/{}/provenance", file.name, file.filename));
    let good = attestation(&file, PUBLISH);

    // Where attestations are not enabled, none is taken.
    index.takes(&file);
    expect_error(attach(good.to_string().as_bytes()), 403, "DENIED");
    index.writer.ask("GET", &path).expect(&[404]);
    assert!(index.entry(&file.name, &file.filename)["provenance"].is_null());

    index.policy(&json!({ "store_unverified_attestations": true }));
    let built = attestation(&file, BUILD);
    expect_taken(index.send(&upload(&file, std::slice::from_ref(&built))));
    for content in [
        b"no JSON".to_vec(),
        b"{}".to_vec(),
        b"[]".to_vec(),
        b"{},{}".to_vec(),
        b"\xff".to_vec(),
        attestation(&other, PUBLISH).to_string().into_bytes(),
        vec![b' '; 2 << 20],
    ] {
        expect_error(attach(&content), 400, "MANIFEST_INVALID");
    }
    attach(good.to_string().as_bytes()).expect(&[201]);
    let provenance = index.writer.ask("GET", &path).expect(&[200]).json();
    let bundles = provenance["attestation_bundles"].as_array().expect("there are bundles");
    let shown: Vec<_> =
        bundles.iter().flat_map(|bundle| bundle["attestations"].as_array().expect("a list")).collect();
    assert_eq!(shown.len(), 2, "{provenance}");
    assert!(shown.contains(&&built) && shown.contains(&&good), "{provenance}");
}
