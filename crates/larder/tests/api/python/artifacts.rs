//! Python files as artifacts of the registry (OCI image-spec, "Image Manifest"): what manifests, indexes and tags
//! there are of a project, and that they are pulled like any other.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Sdist, Wheel};
use testkit::{Answer, Role, Visibility, sha256};

use super::scene::{Index, project};
use crate::scene::{Calls as _, INDEX_TYPE, MANIFEST_TYPE};

const ARTIFACT_TYPE: &str = "application/vnd.python.artifact";
const WHEEL_LAYER: &str = "application/vnd.python.whl.file";
const SDIST_LAYER: &str = "application/vnd.python.sdist.file";
const TITLE: &str = "org.opencontainers.image.title";

/// The manifest of a reference.
#[track_caller]
fn pull(index: &Index, project: &str, reference: &str) -> Answer {
    let answer = index.writer.manifest_get(&index.repository(project), reference).expect(&[200]);
    assert_eq!(answer.header("docker-content-digest"), Some(sha256(&answer.body).as_str()), "{answer}");
    answer
}

/// The digest of a reference.
#[track_caller]
fn digest(index: &Index, project: &str, reference: &str) -> String {
    sha256(&pull(index, project, reference).body)
}

/// The annotations of the layer of a file's manifest.
#[track_caller]
fn annotations(index: &Index, project: &str, reference: &str) -> Value {
    pull(index, project, reference).json()["layers"][0]["annotations"].clone()
}

#[test]
fn m1_a_wheel_is_one_manifest_with_one_layer() {
    let index = Index::new();
    let name = project();
    let wheel = Wheel::new(&name, "1.17.0")
        .tag("py2.py3-none-any")
        .header("Summary", "compatibility \u{2603}")
        .header("Author-email", "A <a@example.com>")
        .header("Home-page", "https://example.com")
        .header("Requires-Python", ">=2.7")
        .header("Classifier", "Programming Language :: Python :: 2")
        .header("Classifier", "Programming Language :: Python :: 3")
        .header("Project-URL", "Source, https://example.com/source")
        .description("A text.\n")
        .build();
    index.takes(&wheel);
    let answer = pull(&index, &name, "1.17.0");
    assert_eq!(answer.header("content-type"), Some(MANIFEST_TYPE), "{answer}");
    let expected = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "digest": sha256(b"{}"),
            "size": 2,
            "data": "e30=",
        },
        "layers": [{
            "mediaType": WHEEL_LAYER,
            "digest": sha256(&wheel.bytes),
            "size": wheel.bytes.len(),
            "annotations": {
                TITLE: wheel.filename,
                "Metadata-Version": "2.1",
                "Name": name,
                "Version": "1.17.0",
                "Summary": "compatibility \u{2603}",
                "Author-email": "A <a@example.com>",
                "Home-page": "https://example.com",
                "Requires-Python": ">=2.7",
                // Fields that may come more than once are lists even where they come once.
                "Classifier": "[\"Programming Language :: Python :: 2\",\"Programming Language :: Python :: 3\"]",
                "Project-URL": "[\"Source, https://example.com/source\"]",
                "Description": "A text.\n",
                "Metadata-SHA256-Checksum": sha256(&wheel.metadata).replace("sha256:", ""),
            },
        }],
        "annotations": { "org.opencontainers.image.created": "2000-01-01T00:00:00Z" },
    });
    assert_eq!(answer.json(), expected);
    // The file has a tag of its own, and both name the same.
    assert_eq!(index.tags(&name), ["1.17.0", "1.17.0-py2.py3-none-any"]);
    assert_eq!(pull(&index, &name, "1.17.0-py2.py3-none-any").body, answer.body);
    assert_eq!(index.row(&name, &wheel.filename)["manifest_digest"], sha256(&answer.body));
    assert_eq!(index.row(&name, &wheel.filename)["tag"], "1.17.0-py2.py3-none-any");
    // Only what the file says is in it: not who uploaded it, when, and where.
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    for word in [index.writer.username(), index.organization().name.as_str(), index.host()] {
        assert!(!text.contains(word), "{text}");
    }
}

#[test]
fn m1_the_digest_follows_from_the_file_alone() {
    let (one, other) = (Index::new(), Index::new());
    let name = project();
    let files = [Wheel::new(&name, "1.0").build(), Sdist::new(&name, "1.0").build()];
    for file in &files {
        one.takes(file);
    }
    // In another order, by somebody else, with another form.
    for file in files.iter().rev() {
        let form = testkit::python::Upload::new(file).field("summary", "something").field("author", "x");
        other.send(&form).expect(&[200]);
    }
    for tag in ["1.0-py3-none-any", "1.0-sdist", "1.0"] {
        assert_eq!(digest(&one, &name, tag), digest(&other, &name, tag), "{tag}");
    }
}

#[test]
fn m2_from_two_files_on_a_release_is_an_index() {
    let index = Index::new();
    let name = project();
    let wheel = Wheel::new(&name, "1.0").header("Requires-Python", ">=3.8").build();
    let sdist = Sdist::new(&name, "1.0").build();
    index.takes(&wheel);
    let first = digest(&index, &name, "1.0");
    index.takes(&sdist);
    let answer = pull(&index, &name, "1.0");
    assert_eq!(answer.header("content-type"), Some(INDEX_TYPE), "{answer}");
    let entry = |file: &BuiltFile, tag: &str| {
        let manifest = pull(&index, &name, tag);
        let mut annotations = json!({
            "org.larder.python.filename": file.filename,
            "org.larder.python.sha256": file.sha256(),
        });
        if file.filename == wheel.filename {
            annotations["org.larder.python.requires-python"] = ">=3.8".into();
        }
        json!({
            "mediaType": MANIFEST_TYPE,
            "artifactType": ARTIFACT_TYPE,
            "digest": sha256(&manifest.body),
            "size": manifest.body.len(),
            "annotations": annotations,
        })
    };
    let expected = json!({
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "manifests": [entry(&wheel, "1.0-py3-none-any"), entry(&sdist, "1.0-sdist")],
    });
    assert_eq!(answer.json(), expected);
    // A title would make clients write the manifest where the file belongs.
    assert!(!String::from_utf8_lossy(&answer.body).contains(TITLE), "{answer}");
    // What was there before is untouched, under its digest and its tag.
    assert_eq!(digest(&index, &name, "1.0-py3-none-any"), first);
    pull(&index, &name, &first);
    let layer = pull(&index, &name, "1.0-sdist").json()["layers"][0].clone();
    assert_eq!(
        (&layer["mediaType"], &layer["annotations"][TITLE]),
        (&json!(SDIST_LAYER), &json!(sdist.filename))
    );
    assert_eq!(index.tags(&name), ["1.0", "1.0-py3-none-any", "1.0-sdist"]);
    // A third file makes another index, and the one before can still be pulled.
    let second = digest(&index, &name, "1.0");
    index.takes(&Wheel::new(&name, "1.0").tag("cp312-cp312-win_amd64").build());
    assert_eq!(pull(&index, &name, "1.0").json()["manifests"].as_array().map(Vec::len), Some(3));
    assert_ne!(digest(&index, &name, "1.0"), second);
    pull(&index, &name, &second);
}

#[test]
fn m3_files_are_pulled_by_tag_and_by_digest_and_are_those_of_the_index() {
    let index = Index::new();
    let name = project();
    let files = [
        ("1.0-py3-none-any", Wheel::new(&name, "1.0").build()),
        (
            "1.0-1-cp312-cp312-win_amd64",
            Wheel::new(&name, "1.0").build_number("1").tag("cp312-cp312-win_amd64").build(),
        ),
        ("1.0-sdist", Sdist::new(&name, "1.0").build()),
    ];
    for (_, file) in &files {
        index.takes(file);
    }
    let repository = index.repository(&name);
    let viewer = index.organization().member(Role::Viewer);
    let bearer = viewer.as_bearer(&viewer.token(&[&format!("repository:{repository}:pull")]));
    // As clients do it: the index, its manifests, their layers; each layer is named as the file is.
    let top = bearer.manifest_get(&repository, "1.0").expect(&[200]).json();
    let listed = top["manifests"].as_array().expect("an index has manifests").clone();
    assert_eq!(listed.len(), files.len());
    for (tag, file) in &files {
        let by_tag = bearer.manifest_get(&repository, tag).expect(&[200]);
        let digest = sha256(&by_tag.body);
        assert!(listed.iter().any(|entry| entry["digest"] == digest), "{top}");
        assert_eq!(bearer.manifest_get(&repository, &digest).expect(&[200]).body, by_tag.body);
        let manifest = by_tag.json();
        assert_eq!(manifest["layers"][0]["annotations"][TITLE], file.filename, "{manifest}");
        let layer = manifest["layers"][0]["digest"].as_str().expect("a layer has a digest");
        let blob = bearer.blob_get(&repository, layer).expect(&[200]);
        assert!(blob.body == file.bytes, "other bytes");
        let entry = index.entry(&name, &file.filename);
        assert_eq!(entry["hashes"]["sha256"], layer.replace("sha256:", ""));
        let config = manifest["config"]["digest"].as_str().expect("a config has a digest");
        assert_eq!(bearer.blob_get(&repository, config).expect(&[200]).body, b"{}");
    }
    let titles: Vec<_> =
        listed.iter().map(|entry| &entry["annotations"]["org.larder.python.filename"]).collect();
    let mut names = files.each_ref().map(|(_, file)| file.filename.as_str());
    names.sort_unstable();
    assert_eq!(titles, names);
    // Nobody else pulls them.
    crate::scene::outsider().manifest_get(&repository, "1.0").expect(&[403]);
    let organization = index.organization();
    organization.admin().registry_update(&organization.name, "main", Visibility::Public);
    let nobody = viewer.as_nobody();
    nobody
        .as_bearer(&nobody.token(&[&format!("repository:{repository}:pull")]))
        .manifest_get(&repository, "1.0")
        .expect(&[200]);
}

#[test]
fn tags_of_versions_that_no_tag_can_hold_as_they_are() {
    let index = Index::new();
    let name = project();
    for (version, tag) in [("1!2.0", "1__2.0"), ("1.0+cu118.abc", "1.0_cu118.abc"), ("1!2.0+x", "1__2.0_x")] {
        index.takes(&Wheel::new(&name, version).build());
        let file_tag = format!("{tag}-py3-none-any");
        assert_eq!(digest(&index, &name, tag), digest(&index, &name, &file_tag));
        assert_eq!(annotations(&index, &name, tag)["Version"], version);
        index.takes(&Sdist::new(&name, version).build());
        assert_eq!(pull(&index, &name, tag).header("content-type"), Some(INDEX_TYPE));
        pull(&index, &name, &format!("{tag}-sdist"));
    }
    assert_eq!(index.tags(&name).len(), 9);
    assert_eq!(index.page(&name).json()["versions"], json!(["1.0+cu118.abc", "1!2.0", "1!2.0+x"]));
}

#[test]
fn u18_long_tags_are_whole_and_longer_ones_end_in_a_hash() {
    let index = Index::new();
    let name = project();
    let platforms =
        "cp311-cp311-manylinux_2_5_x86_64.manylinux1_x86_64.manylinux_2_17_x86_64.manylinux2014_x86_64";
    index.takes(&Wheel::new(&name, "1.17.0").tag(platforms).build());
    let tag = format!("1.17.0-{platforms}");
    assert_eq!(tag.len(), 100);
    pull(&index, &name, &tag);
    let endless = format!("{platforms}.manylinux_2_28_x86_64.manylinux_2_34_x86_64");
    let wheel = Wheel::new(&name, "1.17.0").tag(&endless).build();
    index.takes(&wheel);
    let row = index.row(&name, &wheel.filename);
    let tag = row["tag"].as_str().expect("a file has a tag");
    let hash = sha256(wheel.filename.as_bytes()).replace("sha256:", "");
    assert_eq!(tag, format!("1.17.0-x{}", &hash[..40]));
    assert_eq!(annotations(&index, &name, tag)[TITLE], wheel.filename);
}

/// Versions that are equal are one release, and the first upload says how it is written.
#[test]
fn spellings_of_one_version_are_one_release() {
    let index = Index::new();
    let name = project();
    index.takes(&Wheel::new(&name, "1.0").build());
    index.takes(&Wheel::new(&name, "1.0.0").tag("cp312-cp312-any").build());
    index.takes(&Sdist::new(&name, "1.0").build());
    assert_eq!(index.tags(&name), ["1.0", "1.0-cp312-cp312-any", "1.0-py3-none-any", "1.0-sdist"]);
    assert_eq!(pull(&index, &name, "1.0").json()["manifests"].as_array().map(Vec::len), Some(3));
    assert_eq!(annotations(&index, &name, "1.0-cp312-cp312-any")["Version"], "1.0.0");
}

#[test]
fn m4_fields_of_several_values_are_always_lists() {
    let index = Index::new();
    let name = project();
    let one = Wheel::new(&name, "1.0").header("Requires-Dist", "idna>=3").build();
    let two =
        Wheel::new(&name, "2.0").header("Requires-Dist", "idna").header("Requires-Dist", "attrs").build();
    index.takes(&one);
    index.takes(&two);
    assert_eq!(annotations(&index, &name, "1.0")["Requires-Dist"], "[\"idna>=3\"]");
    assert_eq!(annotations(&index, &name, "2.0")["Requires-Dist"], "[\"idna\",\"attrs\"]");
    assert!(annotations(&index, &name, "1.0").get("Classifier").is_none());
}

#[test]
fn m5_a_long_description_is_left_out_of_the_manifest_and_not_of_the_metadata() {
    let index = Index::new();
    let name = project();
    for (version, length, kept) in
        [("1.0", 32 * 1024, true), ("2.0", 36 * 1024, false), ("3.0", 3 * 1024 * 1024, false)]
    {
        let wheel = Wheel::new(&name, version).description(&"\u{1f980}\"\\\n".repeat(length / 7)).build();
        index.takes(&wheel);
        let answer = pull(&index, &name, version);
        assert!(answer.body.len() < 256 * 1024, "{} bytes", answer.body.len());
        let annotations = annotations(&index, &name, version);
        assert_eq!(annotations.get("Description").is_some(), kept, "{version}");
        let truncated = annotations.get("Description-Truncated").and_then(Value::as_str);
        assert_eq!(truncated, if kept { None } else { Some("true") }, "{version}");
        let digest = sha256(&wheel.metadata).replace("sha256:", "");
        assert_eq!(annotations["Metadata-SHA256-Checksum"], digest);
        let path = index.writer.python_path(&index.organization().name, "main", &name, &wheel.filename);
        let metadata = index.writer.get(&format!("{path}.metadata")).expect(&[200]);
        assert!(metadata.body == wheel.metadata, "other metadata");
    }
    // So do thousands of classifiers.
    let wheel = (0..8000).fold(Wheel::new(&name, "4.0"), |wheel, number| {
        wheel.header("Classifier", &format!("Private :: Something that takes room :: {number:06}"))
    });
    index.takes(&wheel.build());
    let answer = pull(&index, &name, "4.0");
    assert!(answer.body.len() < 1024 * 1024, "{} bytes", answer.body.len());
    assert!(annotations(&index, &name, "4.0").get("Classifier").is_none());
}

#[test]
fn the_catalog_and_the_list_of_tags_hold_projects_too() {
    let index = Index::new();
    let name = project();
    index.takes(&Wheel::new(&name, "1.0").build());
    let path = format!("/v2/_catalog?last={}&n=10", index.organization().name);
    let listed = index.writer.ask("GET", &path).expect(&[200]).json();
    let found = listed["repositories"].as_array().expect("a list");
    assert!(found.iter().any(|found| *found == index.repository(&name)), "{listed}");
    assert_eq!(index.tags(&name), ["1.0", "1.0-py3-none-any"]);
}
