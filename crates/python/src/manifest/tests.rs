use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

const SHA256: &str = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274";
const METADATA_SHA256: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn metadata(extra: &str) -> Metadata {
    let text = format!("Metadata-Version: 2.1\nName: six\nVersion: 1.17.0\n{extra}");
    Metadata::parse(text.as_bytes()).expect("valid metadata")
}

fn wheel() -> FileName {
    "six-1.17.0-py2.py3-none-any.whl".parse().expect("a valid name")
}

fn manifest(file: &FileName, metadata: &Metadata) -> Vec<u8> {
    FileManifest { file, sha256: SHA256, size: 11_050, metadata, metadata_sha256: METADATA_SHA256 }.to_json()
}

fn annotations(extra: &str) -> BTreeMap<String, String> {
    layer_annotations(&wheel(), &metadata(extra), METADATA_SHA256)
}

#[test]
fn the_empty_config() {
    assert_eq!(EMPTY_CONFIG_SHA256, format!("sha256:{}", hex::encode(Sha256::digest(EMPTY_CONFIG))));
}

#[test]
fn the_manifest_of_a_wheel() {
    let json = manifest(&wheel(), &metadata("summary: s\nRequires-Dist: a\nhome-page: h\n\nText\n"));
    let expected = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""artifactType":"application/vnd.python.artifact","#,
            r#""config":{{"mediaType":"application/vnd.oci.empty.v1+json","#,
            r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","#,
            r#""size":2,"data":"e30="}},"#,
            r#""layers":[{{"mediaType":"application/vnd.python.whl.file","digest":"sha256:{}","size":11050,"#,
            r#""annotations":{{"Description":"Text\n","Home-page":"h","Metadata-SHA256-Checksum":"{}","#,
            r#""Metadata-Version":"2.1","Name":"six","Requires-Dist":"[\"a\"]","Summary":"s","#,
            r#""Version":"1.17.0","org.opencontainers.image.title":"six-1.17.0-py2.py3-none-any.whl"}}}}],"#,
            r#""annotations":{{"org.opencontainers.image.created":"2000-01-01T00:00:00Z"}}}}"#,
        ),
        SHA256, METADATA_SHA256
    );
    assert_eq!(String::from_utf8(json).expect("JSON is text"), expected);
}

#[test]
fn the_manifest_of_a_source_archive() {
    let file = "six-1.17.0.tar.gz".parse().expect("a valid name");
    let json: Value = serde_json::from_slice(&manifest(&file, &metadata(""))).expect("JSON");
    assert_eq!(json["layers"][0]["mediaType"], SDIST_LAYER_TYPE);
    assert_eq!(json["layers"][0]["annotations"][TITLE_ANNOTATION], "six-1.17.0.tar.gz");
}

#[test]
fn fields_that_may_repeat_are_arrays() {
    let annotations = annotations(
        "Classifier: b\nClassifier: a\nProject-URL: x, y\nKeywords: a,b\nX-Vendor: no\n\
         org.opencontainers.image.title: forged\n",
    );
    assert_eq!(annotations["Classifier"], r#"["b","a"]"#);
    assert_eq!(annotations["Project-URL"], r#"["x, y"]"#);
    assert_eq!(annotations["Keywords"], "a,b");
    assert_eq!(annotations[TITLE_ANNOTATION], "six-1.17.0-py2.py3-none-any.whl");
    assert!(!annotations.contains_key("X-Vendor"));
}

#[test]
fn long_descriptions_are_left_out() {
    let fits = "a".repeat(MAX_DESCRIPTION_BYTES);
    let with = annotations(&format!("\n{fits}"));
    assert_eq!(with["Description"].len(), MAX_DESCRIPTION_BYTES);
    assert!(!with.contains_key("Description-Truncated"));
    let without = annotations(&format!("\n{fits}a"));
    assert!(!without.contains_key("Description"));
    assert_eq!(without["Description-Truncated"], "true");
}

#[test]
fn what_is_left_out_has_an_order() {
    let long = |field: &str, kibibytes: usize| format!("{field}: {}\n", "a".repeat(kibibytes * 1024));
    let description = format!("\n{}", "d".repeat(20 * 1024));

    let only_description = annotations(&format!("{}{description}", long("Summary", 240)));
    assert!(!only_description.contains_key("Description"));
    assert_eq!(only_description["Description-Truncated"], "true");

    let license_too = annotations(&format!(
        "{}{}{}{description}",
        long("License", 100),
        long("Classifier", 100),
        long("Summary", 100)
    ));
    assert!(!license_too.contains_key("License"));
    assert!(license_too.contains_key("Classifier"));

    let longest =
        annotations(&format!("{}{}{}", long("Author", 200), long("Requires-Dist", 300), long("Keywords", 1)));
    assert!(!longest.contains_key("Requires-Dist"));
    assert!(!longest.contains_key("Keywords"));
    assert!(longest.contains_key("Author"));
}

#[test]
fn pushed_annotations_have_to_agree() {
    let metadata = metadata("Requires-Dist: a\nClassifier: x\nClassifier: y\nSummary: s\n");
    for (key, value, agrees) in [
        ("name", "six", true),
        ("Version", "1.17.0", true),
        ("Version", "1.17", false),
        ("Requires-Dist", r#"["a"]"#, true),
        ("requires-dist", "a", true),
        ("Requires-Dist", "b", false),
        ("Classifier", r#"["x","y"]"#, true),
        ("Classifier", "x", false),
        ("Requires-Python", ">=3", false),
        ("com.example.note", "anything", true),
        (TITLE_ANNOTATION, "anything", true),
    ] {
        let pushed = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(check_pushed_annotations(&pushed, &metadata).is_ok(), agrees, "{key} {value}");
    }
    assert_eq!(check_pushed_annotations(&layer_annotations(&wheel(), &metadata, "00"), &metadata), Ok(()));
}

#[test]
fn the_index_of_a_release() {
    let entry = |file, requires_python| IndexEntry {
        file,
        sha256: SHA256,
        requires_python,
        manifest_digest: "sha256:aa",
        manifest_size: 7,
    };
    let mut entries = [entry("six-1.0.tar.gz", None), entry("six-1.0-py3-none-any.whl", Some(">=3.8"))];
    let json = release_index(&mut entries);
    let mut reversed = entries.clone();
    reversed.reverse();
    assert_eq!(release_index(&mut reversed), json);
    let descriptor = |file: &str, extra: Value| {
        let mut annotations = json!({FILE_NAME_ANNOTATION: file, SHA256_ANNOTATION: SHA256});
        if !extra.is_null() {
            annotations[REQUIRES_PYTHON_ANNOTATION] = extra;
        }
        json!({"mediaType": MANIFEST_TYPE, "digest": "sha256:aa", "size": 7, "artifactType": ARTIFACT_TYPE,
               "annotations": annotations})
    };
    assert_eq!(
        serde_json::from_slice::<Value>(&json).expect("JSON"),
        json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "artifactType": ARTIFACT_TYPE, "manifests": [
            descriptor("six-1.0-py3-none-any.whl", json!(">=3.8")), descriptor("six-1.0.tar.gz", Value::Null)]})
    );
}

#[test]
fn the_manifest_of_an_attestation() {
    let json = attestation_manifest("sha256:aa", 7, "bb", 9, "https://slsa.dev/provenance/v1");
    let json: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["artifactType"], ATTESTATION_TYPE);
    assert_eq!(json["subject"], json!({"mediaType": MANIFEST_TYPE, "digest": "sha256:aa", "size": 7}));
    assert_eq!(json["layers"], json!([{"mediaType": ATTESTATION_TYPE, "digest": "sha256:bb", "size": 9}]));
    assert_eq!(json["annotations"][PREDICATE_TYPE_ANNOTATION], "https://slsa.dev/provenance/v1");
}

proptest! {
    #[test]
    fn annotations_are_bounded_and_repeatable(
        sizes in proptest::collection::vec((0_usize..Field::ALL.len(), 1_usize..120_000), 0..8),
        description in 0_usize..60_000,
    ) {
        // Those that are there in any case, and the one that is never long.
        let left_alone = [
            Field::MetadataVersion,
            Field::Name,
            Field::Version,
            Field::Description,
            Field::RequiresPython,
        ];
        let mut used = Vec::new();
        let mut text = String::new();
        for (at, size) in sizes {
            let field = Field::ALL[at];
            if !left_alone.contains(&field) && !used.contains(&field) {
                used.push(field);
                text.extend([field.as_str(), ": ", &"\u{1}".repeat(size), "\n"]);
            }
        }
        let metadata = metadata(&format!("{text}\n{}", "d".repeat(description)));
        let annotations = layer_annotations(&wheel(), &metadata, METADATA_SHA256);
        prop_assert!(annotation_bytes(&annotations) <= MAX_ANNOTATION_BYTES);
        let json = manifest(&wheel(), &metadata);
        prop_assert!(json.len() < 4 * 1024 * 1024);
        prop_assert_eq!(&json, &manifest(&wheel(), &metadata));
        for key in ["Name", "Version", "Metadata-Version", TITLE_ANNOTATION] {
            prop_assert!(annotations.contains_key(key));
        }
    }
}
