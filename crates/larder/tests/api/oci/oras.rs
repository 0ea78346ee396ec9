//! The two forms that the list of referrers had before OCI 1.1, and the artifact manifests that came with
//! them (ORAS artifacts-spec).

use serde_json::{Value, json};
use testkit::{Answer, random_word, sha256};

use super::referrers::{Scene, digests};
use super::tag::next;
use crate::scene::{Calls as _, INDEX_TYPE, MANIFEST_TYPE, admin, expect_error};

const ORAS_ARTIFACT: &str = "application/vnd.cncf.oras.artifact.manifest.v1+json";
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
/// No entry.
const NONE: [Value; 0] = [];
const CREATED: &str = "io.cncf.oras.artifact.created";

/// An artifact manifest that refers to the subject.
fn artifact(scene: &Scene, artifact_type: &str) -> Value {
    json!({
        "mediaType": ORAS_ARTIFACT,
        "artifactType": artifact_type,
        "blobs": [{ "mediaType": "application/octet-stream", "digest": sha256(b"{}"), "size": 2 }],
        "subject": scene.subject.descriptor(),
        "annotations": { "larder.test": random_word() },
    })
}

fn created(scene: &Scene, time: &str) -> String {
    let mut artifact = artifact(scene, "a/b");
    artifact["annotations"][CREATED] = time.into();
    scene.attach(&artifact).digest
}

/// The list in both forms: the path up to the parameters, and the key.
fn forms(scene: &Scene) -> [(String, &'static str); 2] {
    let Scene { repository, subject, .. } = scene;
    [
        (format!("/oras/artifacts/v1/{repository}/manifests/{}/referrers?", subject.digest), "references"),
        (format!("/v2/{repository}/_oras/artifacts/referrers?digest={}&", subject.digest), "referrers"),
    ]
}

#[track_caller]
fn list(scene: &Scene, path: &str, key: &str) -> (Answer, Vec<Value>) {
    let answer = scene.writer.ask("GET", path).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    assert_eq!(answer.header("oras-api-version"), Some("oras/1.0"), "{answer}");
    let body = answer.json();
    let entries = body[key].as_array().unwrap_or_else(|| panic!("no list under {key}: {answer}")).clone();
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{answer}");
    (answer, entries)
}

#[test]
fn an_artifact_manifest_is_listed_in_every_form() {
    let scene = Scene::new();
    for (path, key) in forms(&scene) {
        assert_eq!(list(&scene, &path, key).1, NONE);
    }
    let manifest = artifact(&scene, "application/vnd.example.signature+json");
    let body = manifest.to_string();
    let answer =
        scene.writer.manifest_put(&scene.repository, "1", ORAS_ARTIFACT, body.as_bytes()).expect(&[201]);
    assert_eq!(answer.header("oci-subject"), Some(scene.subject.digest.as_str()), "{answer}");
    let answer = scene.writer.ask("GET", &format!("/v2/{}/manifests/1", scene.repository)).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some(ORAS_ARTIFACT), "{answer}");
    assert_eq!(answer.body, body.as_bytes());

    let entry = json!({
        "mediaType": ORAS_ARTIFACT,
        "digest": sha256(body.as_bytes()),
        "size": body.len(),
        "artifactType": "application/vnd.example.signature+json",
        "annotations": manifest["annotations"],
    });
    for (path, key) in forms(&scene) {
        assert_eq!(list(&scene, &path, key).1, std::slice::from_ref(&entry));
    }
    let path = format!("/v2/{}/referrers/{}", scene.repository, scene.subject.digest);
    assert_eq!(scene.writer.ask("GET", &path).expect(&[200]).json()["manifests"], json!([entry]));
}

#[test]
fn what_others_attached_is_listed_too() {
    let scene = Scene::new();
    let image = scene.attach(&scene.referrer("application/vnd.example.sbom"));
    let index = scene.attach(&json!({
        "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [], "subject": scene.subject.descriptor(),
    }));
    let mut withdrawn = artifact(&scene, "application/vnd.example");
    withdrawn["mediaType"] = OCI_ARTIFACT.into();
    let withdrawn = scene.attach(&withdrawn);
    for (path, key) in forms(&scene) {
        let (_, entries) = list(&scene, &path, key);
        let mut found: Vec<_> = entries.iter().map(|entry| (&entry["digest"], &entry["mediaType"])).collect();
        found.sort_by_key(|(digest, _)| digest.to_string());
        let media_types = [(&image, MANIFEST_TYPE), (&index, INDEX_TYPE), (&withdrawn, OCI_ARTIFACT)];
        let mut expected: Vec<_> = media_types
            .iter()
            .map(|(pushed, media_type)| (json!(pushed.digest), json!(media_type)))
            .collect();
        expected.sort_by_key(|(digest, _)| digest.to_string());
        assert_eq!(
            found,
            expected.iter().map(|(digest, media_type)| (digest, media_type)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn the_newest_comes_first_and_what_has_no_time_last() {
    let scene = Scene::new();
    let without = scene.attach(&artifact(&scene, "a/b")).digest;
    let middle = created(&scene, "2022-04-05T13:04:05Z");
    let newest = created(&scene, "2022-04-05T14:34:05+01:00");
    let oldest = created(&scene, "2021-12-31T23:59:59.999Z");
    for (path, key) in forms(&scene) {
        let (_, entries) = list(&scene, &path, key);
        assert_eq!(digests(&entries), [&newest, &middle, &oldest, &without].map(String::as_str), "{path}");
    }
}

#[test]
fn pages_go_on_in_the_same_order() {
    let scene = Scene::new();
    let mut expected: Vec<_> =
        (0..7).map(|number| created(&scene, &format!("2022-01-0{}T00:00:00Z", 7 - number))).collect();
    expected.extend(
        (0..3).map(|_| scene.attach(&artifact(&scene, "a/b")).digest).collect::<Vec<_>>().into_iter().rev(),
    );
    for (path, key) in forms(&scene) {
        let (mut answer, mut found) = list(&scene, &format!("{path}n=4"), key);
        assert_eq!(found.len(), 4);
        while let Some(next) = next(&answer) {
            assert!(next.contains("nextToken=") && next.contains("n=4"), "{next}");
            let entries;
            (answer, entries) = list(&scene, &next, key);
            assert!(!entries.is_empty() && entries.len() <= 4);
            found.extend(entries);
        }
        assert_eq!(digests(&found), expected.iter().map(String::as_str).collect::<Vec<_>>(), "{path}");
        for cursor in ["nextToken=x", "nextToken=%00"] {
            expect_error(scene.writer.ask("GET", &format!("{path}{cursor}")), 400, "UNSUPPORTED");
        }
    }
}

#[test]
fn a_filter_goes_by_artifact_type() {
    let scene = Scene::new();
    let signature = scene.attach(&artifact(&scene, "application/signature+json")).digest;
    scene.attach(&artifact(&scene, "application/sbom"));
    for (path, key) in forms(&scene) {
        for artifact_type in ["application/signature%2Bjson", "application/signature+json"] {
            let (_, entries) = list(&scene, &format!("{path}artifactType={artifact_type}"), key);
            assert_eq!(digests(&entries), [signature.as_str()]);
        }
        assert_eq!(list(&scene, &format!("{path}artifactType=application/none"), key).1, NONE);
        assert_eq!(list(&scene, &path, key).1.len(), 2);
    }
}

#[test]
fn a_subject_that_is_not_there_has_a_list() {
    let scene = Scene::new();
    let mut early = artifact(&scene, "a/b");
    let absent = sha256(random_word().as_bytes());
    early["subject"]["digest"] = absent.as_str().into();
    let early = scene.attach(&early).digest;
    for (path, key) in forms(&scene) {
        let path = path.replace(&scene.subject.digest, &absent);
        assert_eq!(digests(&list(&scene, &path, key).1), [early.as_str()]);
        let path = path.replace(&absent, &sha256(random_word().as_bytes()));
        assert_eq!(list(&scene, &path, key).1, NONE);
        let path = path.replace("sha256:", "sha256:x");
        expect_error(scene.writer.ask("GET", &path), 400, "DIGEST_INVALID");
    }
    let path = format!("/v2/{}/_oras/artifacts/referrers", scene.repository);
    expect_error(scene.writer.ask("GET", &path), 400, "DIGEST_INVALID");
}

#[test]
fn an_artifact_manifest_follows_its_rules() {
    let scene = Scene::new();
    let put = |manifest: &Value| {
        let body = manifest.to_string();
        scene.writer.manifest_put(&scene.repository, "1", ORAS_ARTIFACT, body.as_bytes())
    };
    let with = |field: &str, value: Value| {
        let mut manifest = artifact(&scene, "a/b");
        manifest[field] = value;
        manifest
    };
    let without = |field: &str| with(field, Value::Null);
    for manifest in [
        without("artifactType"),
        with("artifactType", json!("")),
        with("config", json!({ "mediaType": "a/b", "digest": sha256(b"{}"), "size": 2 })),
        with("manifests", json!([])),
        with("annotations", json!({ CREATED: "yesterday" })),
        with("subject", json!({ "mediaType": MANIFEST_TYPE, "digest": "sha256:bad", "size": 2 })),
        with(
            "subject",
            json!({ "mediaType": "application/octet-stream", "digest": sha256(b"{}"), "size": 2 }),
        ),
    ] {
        expect_error(put(&manifest), 400, "MANIFEST_INVALID");
    }
    let missing = json!([{ "mediaType": "a/b", "digest": sha256(random_word().as_bytes()), "size": 2 }]);
    expect_error(put(&with("blobs", missing)), 400, "MANIFEST_BLOB_UNKNOWN");
    for manifest in [without("blobs"), with("blobs", json!([])), without("subject")] {
        put(&manifest).expect(&[201]);
    }
    // What the first of these manifests called it.
    let mut alias = without("subject");
    alias["subjectManifest"] = scene.subject.descriptor();
    let answer = put(&alias).expect(&[201]);
    assert_eq!(answer.header("oci-subject"), Some(scene.subject.digest.as_str()), "{answer}");
}

#[test]
fn the_extension_is_announced() {
    let scene = Scene::new();
    for path in ["/v2/_oci/ext/discover".to_owned(), format!("/v2/{}/_oci/ext/discover", scene.repository)] {
        let answer = scene.writer.ask("GET", &path).expect(&[200]);
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
        let extensions = answer.json()["extensions"].clone();
        assert_eq!(extensions[0]["name"], "_oras", "{answer}");
        assert_eq!(extensions[0]["endpoints"], json!(["_oras/artifacts/referrers"]), "{answer}");
        expect_error(admin().as_nobody().ask("GET", &path), 401, "UNAUTHORIZED");
    }
}

#[test]
fn both_forms_take_the_right_to_pull() {
    let scene = Scene::new();
    let stranger = crate::scene::outsider();
    for (path, _) in forms(&scene) {
        let answer = admin().as_nobody().ask("GET", &path);
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        assert!(challenge.contains(&format!("scope=\"repository:{}:pull\"", scene.repository)), "{answer}");
        expect_error(answer, 401, "UNAUTHORIZED");
        expect_error(stranger.ask("GET", &path), 403, "DENIED");
        let token = scene.writer.token(&[&format!("repository:{}:pull", scene.repository)]);
        scene.writer.as_bearer(&token).ask("GET", &path).expect(&[200]);
    }
}
