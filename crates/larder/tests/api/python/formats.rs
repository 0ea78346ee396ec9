//! A repository holds Python files or other artifacts and never both, and the tags of a project are the server's
//! own.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Sdist, Wheel};
use testkit::{Api, Role, sha256};

use super::scene::{Index, expect_refusal, project};
use crate::scene::{
    Calls as _, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, empty_config, expect_error, referrer_of,
    small_manifest,
};

/// A project whose release 1.0 has a wheel and a source distribution.
struct Project {
    index: Index,
    name: String,
    repository: String,
    wheel: BuiltFile,
    sdist: BuiltFile,
}

impl Project {
    fn new() -> Self {
        let (index, name) = (Index::new(), project());
        let (wheel, sdist) = (Wheel::new(&name, "1.0").build(), Sdist::new(&name, "1.0").build());
        index.takes(&wheel);
        index.takes(&sdist);
        Self { repository: index.repository(&name), index, name, wheel, sdist }
    }

    #[track_caller]
    fn digest(&self, reference: &str) -> String {
        sha256(&self.index.writer.manifest_get(&self.repository, reference).expect(&[200]).body)
    }

    /// Everything that the tags and the page show.
    #[track_caller]
    fn state(&self) -> (Vec<(String, String)>, Value) {
        let tags = self.index.tags(&self.name);
        let tags = tags.into_iter().map(|tag| (tag.clone(), self.digest(&tag))).collect();
        (tags, self.index.page(&self.name).expect(&[200]).json())
    }

    #[track_caller]
    fn delete(&self, caller: &Api, reference: &str) -> testkit::Answer {
        caller.ask("DELETE", &format!("/v2/{}/manifests/{reference}", self.repository))
    }
}

/// A container image, as docker pushes it.
fn image(layer: &str) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": empty_config(),
        "layers": [{ "mediaType": LAYER_TYPE, "digest": layer, "size": 5 }],
    })
}

#[test]
fn m6_an_image_is_not_pushed_into_a_python_project() {
    let project = Project::new();
    let before = project.state();
    let writer = &project.index.writer;
    let layer = writer.blob_push(&project.repository, b"layer");
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] });
    let mut helm = small_manifest();
    helm["artifactType"] = "application/vnd.cncf.helm.config.v1+json".into();
    let documents = [
        (MANIFEST_TYPE, image(&layer)),
        (INDEX_TYPE, index),
        (MANIFEST_TYPE, small_manifest()),
        (MANIFEST_TYPE, helm),
    ];
    for (media_type, document) in documents {
        let bytes = document.to_string().into_bytes();
        for reference in ["latest", "1.0", "1.0-py3-none-any", "9.9", &sha256(&bytes)] {
            let answer = writer.manifest_put(&project.repository, reference, media_type, &bytes);
            let message = expect_error(answer, 403, "DENIED");
            assert!(message.contains("Python"), "{message}");
        }
        writer.manifest_get(&project.repository, &sha256(&bytes)).expect(&[404]);
    }
    assert_eq!(project.state(), before);
}

#[test]
fn m6_a_python_file_is_not_uploaded_to_the_name_of_another_repository() {
    let index = Index::new();
    let name = project();
    let repository = index.repository(&name);
    let image = index.writer.image_push(&repository, "v1", &small_manifest());
    let file = Wheel::new(&name, "1.0").build();
    let message = expect_refusal(index.upload(&file), 409, "PYTHON_NAME_TAKEN", &name);
    assert!(message.contains("another name"), "{message}");
    index.page(&name).expect(&[404]);
    assert_eq!(index.tags(&name), ["v1"]);
    index.writer.manifest_get(&repository, &image.digest).expect(&[200]);
    // A repository below or beside it is another one.
    index.writer.image_push(&format!("{repository}/below"), "v1", &small_manifest());
    index.takes(&Wheel::new(&format!("{name}-2"), "1.0").build());
    // Whoever only uploaded a blob has not decided anything.
    let fresh = project();
    index.writer.blob_push(&index.repository(&fresh), b"something");
    index.takes(&Wheel::new(&fresh, "1.0").build());
    let answer = index.writer.manifest_put(
        &index.repository(&fresh),
        "v1",
        MANIFEST_TYPE,
        small_manifest().to_string().as_bytes(),
    );
    expect_error(answer, 403, "DENIED");
}

/// Signatures, SBOMs and scan results refer to a file; where they are is no format's own business.
#[test]
fn m6_what_refers_to_a_file_is_pushed_beside_it() {
    let project = Project::new();
    let writer = &project.index.writer;
    let before = project.state();
    let digest = project.digest("1.0-py3-none-any");
    let size = writer.manifest_get(&project.repository, &digest).body.len();
    let subject = json!({ "mediaType": MANIFEST_TYPE, "digest": digest, "size": size });
    let signature = writer.image_push(
        &project.repository,
        "",
        &referrer_of(&subject, "application/vnd.example.signature"),
    );
    let path = format!("/v2/{}/referrers/{digest}", project.repository);
    let listed = writer.ask("GET", &path).expect(&[200]).json();
    assert_eq!(listed["manifests"][0]["digest"], signature.digest, "{listed}");
    // Under a tag too, as some tools do, but under none that a version could have.
    let fallback = format!("{}.sig", digest.replace(':', "-"));
    let document = referrer_of(&subject, "application/vnd.example.signature").to_string().into_bytes();
    writer.manifest_put(&project.repository, &fallback, MANIFEST_TYPE, &document).expect(&[201]);
    for tag in ["1.0", "1.0-sdist", "2.0", "1.0-py3-none-any"] {
        let answer = writer.manifest_put(&project.repository, tag, MANIFEST_TYPE, &document);
        assert!([403, 405].contains(&answer.status), "{answer}");
    }
    let (tags, page) = project.state();
    let kept: Vec<_> = tags.into_iter().filter(|(tag, _)| *tag != fallback).collect();
    assert_eq!((kept, page), before);
    // It is deleted as it is everywhere, and so is a tag that is the client's own.
    project.delete(writer, &fallback).expect(&[202]);
    project.delete(writer, &signature.digest).expect(&[202]);
    assert_eq!(project.state(), before);
}

#[test]
fn m7_a_tag_of_a_project_is_neither_moved_nor_removed() {
    let project = Project::new();
    let before = project.state();
    let organization = project.index.organization();
    for caller in [&project.index.writer, &organization.member(Role::Admin)] {
        for tag in ["1.0", "1.0-py3-none-any", "1.0-sdist", "9.9"] {
            let answer = project.delete(caller, tag);
            assert!(answer.header("allow").is_some(), "{answer}");
            let message = expect_error(answer, 405, "UNSUPPORTED");
            assert!(message.contains("digest"), "what to do instead is missing: {message}");
        }
    }
    // Not onto another file of the same project either.
    let writer = &project.index.writer;
    let sdist = writer.manifest_get(&project.repository, "1.0-sdist").body;
    for tag in ["1.0-py3-none-any", "2.0", "latest", "2.0-sdist"] {
        let answer = writer.manifest_put(&project.repository, tag, MANIFEST_TYPE, &sdist);
        assert!([400, 403, 405].contains(&answer.status), "{answer}");
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "artifactType": "application/vnd.python.artifact",
        "manifests": [{ "mediaType": MANIFEST_TYPE, "digest": sha256(&sdist), "size": sdist.len() }] });
    let bytes = index.to_string().into_bytes();
    for reference in ["1.0", "2.0", "latest", &sha256(&bytes)] {
        let answer = writer.manifest_put(&project.repository, reference, INDEX_TYPE, &bytes);
        assert!([400, 403, 405].contains(&answer.status), "{answer}");
    }
    assert_eq!(project.state(), before);
    // What is there already may be pushed again, under its tags and under its digest.
    for tag in ["1.0", "1.0-sdist", "1.0-py3-none-any"] {
        let answer = writer.manifest_get(&project.repository, tag);
        let media_type = answer.header("content-type").expect("a manifest has a type").to_owned();
        for reference in [tag, &sha256(&answer.body)] {
            writer.manifest_put(&project.repository, reference, &media_type, &answer.body).expect(&[201]);
        }
    }
    assert_eq!(project.state(), before);
}

#[test]
fn m7_deleting_the_manifest_of_a_file_deletes_the_file() {
    let project = Project::new();
    let writer = &project.index.writer;
    let digest = project.digest("1.0-py3-none-any");
    let path = project.index.path(&format!(
        "/files/{}/{}/{}",
        project.name,
        project.wheel.sha256(),
        project.wheel.filename
    ));
    let viewer = project.index.organization().member(Role::Viewer);
    expect_error(project.delete(&viewer, &digest), 403, "DENIED");
    project.delete(writer, &digest).expect(&[202]);
    assert_eq!(project.index.files(&project.name), [project.sdist.filename.as_str()]);
    assert_eq!(project.index.tags(&project.name), ["1.0", "1.0-sdist"]);
    assert_eq!(project.digest("1.0"), project.digest("1.0-sdist"));
    writer.ask("GET", &path).expect(&[410]);
    project.index.upload(&project.wheel).expect(&[409]);
    expect_error(project.delete(writer, &digest), 404, "MANIFEST_UNKNOWN");
    let row = project.index.row(&project.name, &project.wheel.filename);
    assert_eq!(row["deleted"]["by"], writer.username(), "{row}");
    // The last one takes the tag of the release along.
    project.delete(writer, &project.digest("1.0-sdist")).expect(&[202]);
    assert!(project.index.tags(&project.name).is_empty());
    assert_eq!(project.index.page(&project.name).expect(&[200]).json()["files"], json!([]));
}

#[test]
fn m7_what_a_file_needs_is_not_deleted_under_it() {
    let project = Project::new();
    let before = project.state();
    let writer = &project.index.writer;
    for blob in [sha256(&project.wheel.bytes), sha256(&project.sdist.bytes), sha256(b"{}")] {
        let answer = writer.ask("DELETE", &format!("/v2/{}/blobs/{blob}", project.repository));
        expect_error(answer, 403, "DENIED");
    }
    // The index of a release is no file: it goes with the files, not before them.
    let index = project.digest("1.0");
    expect_error(project.delete(writer, &index), 405, "UNSUPPORTED");
    assert_eq!(project.state(), before);
}

/// A list of signatures may name files, and a file goes all the same when it is deleted.
#[test]
fn m7_what_names_a_file_besides_its_release_does_not_hold_it() {
    let project = Project::new();
    let writer = &project.index.writer;
    let descriptor = |reference: &str| {
        let body = writer.manifest_get(&project.repository, reference).expect(&[200]).body;
        json!({ "mediaType": MANIFEST_TYPE, "digest": sha256(&body), "size": body.len() })
    };
    let (wheel, sdist) = (descriptor("1.0-py3-none-any"), descriptor("1.0-sdist"));
    let list = json!({
        "schemaVersion": 2, "mediaType": INDEX_TYPE, "artifactType": "application/vnd.example.list",
        "manifests": [wheel], "subject": sdist,
    });
    let list = list.to_string().into_bytes();
    writer.manifest_put(&project.repository, "signed", INDEX_TYPE, &list).expect(&[201]);
    let (tags, page) = project.state();
    assert_eq!(tags.len(), 4);
    let digest = wheel["digest"].as_str().expect("a digest is text");
    let answer = project.delete(writer, digest);
    if answer.status == 202 {
        assert_eq!(project.index.files(&project.name), [project.sdist.filename.as_str()]);
        assert_eq!(project.digest("1.0"), sdist["digest"].as_str().unwrap_or_default());
        project.index.upload(&project.wheel).expect(&[409]);
    } else {
        let message = expect_error(answer, 403, "DENIED");
        assert!(message.contains("delete"), "what to do next is missing: {message}");
        assert_eq!(project.state(), (tags, page));
    }
}

#[test]
fn m7_a_read_only_registry_takes_and_gives_up_nothing() {
    let project = Project::new();
    let before = project.state();
    project.index.change(&json!({ "read_only": true }));
    let new = Wheel::new(&project.name, "2.0").build();
    expect_refusal(project.index.upload(&new), 403, "DENIED", "read-only");
    expect_error(project.delete(&project.index.writer, &project.digest("1.0-sdist")), 403, "DENIED");
    let file = format!("/projects/{}/files/{}", project.name, project.wheel.filename);
    project.index.manage("DELETE", &file, &Value::Null).expect(&[403]);
    assert_eq!(project.state(), before);
    project.index.change(&json!({ "read_only": false }));
    project.index.takes(&new);
}
