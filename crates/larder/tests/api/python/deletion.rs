//! Deleting files, what stays of them, and bringing them back.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Sdist, Wheel};
use testkit::{Role, sha256};

use super::scene::{Index, OwnIndex, expect_refusal, project};
use crate::scene::{Calls as _, INDEX_TYPE, MANIFEST_TYPE, expect_error, expect_problem};

/// A release of a wheel and a source distribution.
struct Release {
    name: String,
    wheel: BuiltFile,
    sdist: BuiltFile,
}

impl Release {
    fn new(index: &Index) -> Self {
        let name = project();
        let release =
            Self { wheel: Wheel::new(&name, "1.0").build(), sdist: Sdist::new(&name, "1.0").build(), name };
        index.takes(&release.wheel);
        index.takes(&release.sdist);
        release
    }

    fn file(&self) -> String {
        format!("/projects/{}/files/{}", self.name, self.wheel.filename)
    }

    fn path(&self, index: &Index, file: &BuiltFile) -> String {
        index.path(&format!("/files/{}/{}/{}", self.name, file.sha256(), file.filename))
    }
}

/// The digest and the media type of what a reference names.
#[track_caller]
fn manifest(index: &Index, project: &str, reference: &str) -> (String, String) {
    let answer = index.writer.manifest_get(&index.repository(project), reference).expect(&[200]);
    let header = |name: &str| answer.header(name).expect("a manifest has it").to_owned();
    (header("docker-content-digest"), header("content-type"))
}

#[test]
fn i23_a_deleted_file_is_gone_and_says_why() {
    let index = Index::new();
    let release = Release::new(&index);
    let repository = index.repository(&release.name);
    let (digest, _) = manifest(&index, &release.name, "1.0-py3-none-any");
    let (before, before_type) = manifest(&index, &release.name, "1.0");
    assert_eq!(before_type, INDEX_TYPE);
    let path = format!("{}?reason=leaks%20a%20key", release.file());
    index.manage("DELETE", &path, &Value::Null).expect(&[204]);

    assert_eq!(index.files(&release.name), [release.sdist.filename.as_str()]);
    for path in
        [release.path(&index, &release.wheel), format!("{}.metadata", release.path(&index, &release.wheel))]
    {
        let answer = index.writer.exchange(&testkit::Method::GET, &path, &[], b"");
        expect_refusal(answer, 410, "PYTHON_FILE_DELETED", "leaks a key");
        index.writer.ask("HEAD", &path).expect(&[410]);
    }
    // On the other surface it is gone as if it had never been there.
    for reference in ["1.0-py3-none-any", &digest, &before] {
        expect_error(index.writer.manifest_get(&repository, reference), 404, "MANIFEST_UNKNOWN");
    }
    assert_eq!(index.tags(&release.name), ["1.0", "1.0-sdist"]);
    // With one file left, the release is that file.
    let (left, left_type) = manifest(&index, &release.name, "1.0");
    assert_eq!(left_type, MANIFEST_TYPE);
    assert_eq!(left, manifest(&index, &release.name, "1.0-sdist").0);
    // Who asks why finds who did it and when.
    let row = index.row(&release.name, &release.wheel.filename);
    assert_eq!(row["deleted"]["reason"], "leaks a key", "{row}");
    assert_eq!(row["deleted"]["by"], "admin", "{row}");
    assert!(row["deleted"]["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{row}");
}

/// The reason is shown to others, in one line and on terminals.
#[test]
fn i23_a_reason_is_one_line_of_text() {
    let index = Index::new();
    let release = Release::new(&index);
    for reason in ["two%0Alines", "a%0D%0AX-Header:%20b", "%1B[31m", &"x".repeat(501)] {
        let answer = index.manage("DELETE", &format!("{}?reason={reason}", release.file()), &Value::Null);
        assert!([400, 422].contains(&answer.status), "{answer}");
    }
    assert_eq!(index.files(&release.name).len(), 2);
    let path = format!("{}?reason=l%C3%A4uft%20%E2%98%83%20aus", release.file());
    index.manage("DELETE", &path, &Value::Null).expect(&[204]);
    let path = release.path(&index, &release.wheel);
    let answer = index.writer.exchange(&testkit::Method::GET, &path, &[], b"");
    expect_refusal(answer, 410, "PYTHON_FILE_DELETED", "l\u{e4}uft \u{2603} aus");
}

#[test]
fn i23_the_name_of_a_deleted_file_is_used_up() {
    let index = Index::new();
    let release = Release::new(&index);
    index.manage("DELETE", &release.file(), &Value::Null).expect(&[204]);
    let name = release.name.replace('-', "_");
    let other = Wheel::new(&release.name, "1.0").file("other.py", "x = 1\n").build();
    let spelled = release.wheel.clone().renamed(&format!("{}-1.0-py3-none-any.whl", name.to_uppercase()));
    let longer = Wheel::new(&release.name, "1.0.0").build();
    for file in [&release.wheel, &other, &spelled, &longer] {
        let answer = index.upload(file);
        expect_refusal(answer, 409, "PYTHON_FILENAME_USED", "previously used by a deleted file");
    }
    // Not even when the whole release, or the last file of the project, is gone.
    index.manage("DELETE", &format!("/projects/{}/releases/1.0", release.name), &Value::Null).expect(&[204]);
    for file in [&release.wheel, &release.sdist, &other] {
        index.upload(file).expect(&[409]);
    }
    assert!(index.files(&release.name).is_empty());
    assert!(index.tags(&release.name).is_empty());
    index.takes(&Wheel::new(&release.name, "1.0.post1").build());
    assert_eq!(index.files(&release.name).len(), 1);
    // Of another registry it is no concern.
    let organization = index.organization();
    organization.registry("second", testkit::Visibility::Private);
    index.writer.python_upload(&organization.name, "second", &release.wheel).expect(&[200]);
}

#[test]
fn i23_a_file_comes_back_as_it_was() {
    let index = Index::new();
    let release = Release::new(&index);
    let repository = index.repository(&release.name);
    let page = index.page(&release.name).json();
    let references = ["1.0", "1.0-py3-none-any", "1.0-sdist"];
    let before = references.map(|reference| manifest(&index, &release.name, reference));
    let body = index.writer.manifest_get(&repository, "1.0-py3-none-any").body;
    let row = index.row(&release.name, &release.wheel.filename);
    index.manage("DELETE", &release.file(), &Value::Null).expect(&[204]);
    let restored =
        index.manage("POST", &format!("{}/restore", release.file()), &Value::Null).expect(&[200]).json();
    assert_eq!(restored, row);
    assert_eq!(references.map(|reference| manifest(&index, &release.name, reference)), before);
    assert_eq!(index.writer.manifest_get(&repository, "1.0-py3-none-any").body, body);
    assert_eq!(index.page(&release.name).json(), page);
    let answer = index.writer.ask("GET", &release.path(&index, &release.wheel)).expect(&[200]);
    assert!(answer.body == release.wheel.bytes, "other bytes");
    // The same once more is taken as what is there, and other bytes are not.
    index.takes(&release.wheel);
    index.upload(&Wheel::new(&release.name, "1.0").file("other.py", "x = 1\n").build()).expect(&[409]);
    // What is there is not brought back.
    expect_problem(
        index.manage("POST", &format!("{}/restore", release.file()), &Value::Null),
        409,
        "conflict",
    );
}

#[test]
fn i23_a_release_goes_and_comes_back_as_a_whole() {
    let index = Index::new();
    let release = Release::new(&index);
    let path = format!("/projects/{}/releases/1.0", release.name);
    index.takes(&Wheel::new(&release.name, "2.0").build());
    let (page, tags) = (index.page(&release.name).json(), index.tags(&release.name));
    index.manage("DELETE", &format!("{path}?reason=no"), &Value::Null).expect(&[204]);
    assert_eq!(index.page(&release.name).json()["versions"], json!(["2.0"]));
    assert_eq!(index.tags(&release.name), ["2.0", "2.0-py3-none-any"]);
    let row = index.manage("GET", &path, &Value::Null).expect(&[200]).json();
    assert_eq!((&row["files"], &row["deleted_files"]), (&json!(0), &json!(2)), "{row}");
    expect_problem(index.manage("DELETE", &path, &Value::Null), 409, "conflict");
    index.manage("POST", &format!("{path}/restore"), &Value::Null).expect(&[200]);
    assert_eq!((index.page(&release.name).json(), index.tags(&release.name)), (page, tags));
}

#[test]
fn i23_who_may_delete_and_who_may_bring_back() {
    let index = Index::new();
    let release = Release::new(&index);
    let organization = index.organization();
    let base = format!("/organizations/{}/registries/main/python", organization.name);
    let viewer = organization.member(Role::Viewer);
    let path = format!("{base}{}", release.file());
    expect_problem(viewer.manage("DELETE", &path, &Value::Null), 403, "denied");
    assert_eq!(index.files(&release.name).len(), 2);
    index.writer.manage("DELETE", &path, &Value::Null).expect(&[204]);
    let restore = format!("{path}/restore");
    for caller in [&viewer, &index.writer] {
        expect_problem(caller.manage("POST", &restore, &Value::Null), 403, "denied");
    }
    organization.member(Role::Admin).manage("POST", &restore, &Value::Null).expect(&[200]);
    for path in [
        format!("/projects/{}/files/nothing-1.0-py3-none-any.whl", release.name),
        format!("/projects/{}/releases/9.9", release.name),
        "/projects/nothing/releases/1.0".to_owned(),
    ] {
        expect_problem(index.manage("DELETE", &path, &Value::Null), 404, "not_found");
        expect_problem(index.manage("POST", &format!("{path}/restore"), &Value::Null), 404, "not_found");
    }
}

#[test]
fn what_was_deleted_is_collected_and_then_does_not_come_back() {
    let own = OwnIndex::new();
    let release = Release::new(&own.index);
    let kept = Wheel::new(&release.name, "2.0").build();
    own.index.takes(&kept);
    own.collect();
    own.index.manage("DELETE", &release.file(), &Value::Null).expect(&[204]);
    own.holds(true, &release.wheel);
    own.collect();
    own.holds(false, &release.wheel);
    own.holds(true, &release.sdist);
    own.holds(true, &kept);
    own.scrub();
    let repository = own.index.repository(&release.name);
    own.index.writer.blob_get(&repository, &sha256(&release.wheel.bytes)).expect(&[404]);
    let answer = own.index.manage("POST", &format!("{}/restore", release.file()), &Value::Null);
    let problem = expect_problem(answer, 409, "conflict");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("collected")), "{problem}");
    // The name stays used, and the address goes on saying what became of it.
    own.index.upload(&release.wheel).expect(&[409]);
    own.index.writer.ask("GET", &release.path(&own.index, &release.wheel)).expect(&[410]);
    assert_eq!(own.index.files(&release.name), [release.sdist.filename.as_str(), kept.filename.as_str()]);
    own.index.writer.manifest_get(&repository, "1.0").expect(&[200]);
}

#[test]
fn what_two_projects_share_stays_for_the_other() {
    let own = OwnIndex::new();
    let organization = own.index.organization();
    organization.registry("second", testkit::Visibility::Private);
    let file = Wheel::new(&project(), "1.0").build();
    own.index.takes(&file);
    own.index.writer.python_upload(&organization.name, "second", &file).expect(&[200]);
    own.index.manage("DELETE", &format!("/projects/{}/releases/1.0", file.name), &Value::Null).expect(&[204]);
    own.collect();
    own.holds(true, &file);
    let answer = own.index.writer.python_file(&organization.name, "second", &file.name, &file.filename);
    assert!(answer.expect(&[200]).body == file.bytes, "other bytes");
    own.scrub();
}
