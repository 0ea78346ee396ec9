//! Yanks, and the status of a project (PEP 592, PEP 792), through the management API.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Sdist, Wheel};
use testkit::{Api, Role};

use super::scene::{Index, expect_refusal, project};
use crate::scene::{Calls as _, expect_error, expect_problem};

/// A project with two files in release 1.0 and one in release 2.0.
struct Project {
    index: Index,
    name: String,
    files: [BuiltFile; 3],
}

impl Project {
    fn new() -> Self {
        let (index, name) = (Index::new(), project());
        let files = [
            Wheel::new(&name, "1.0").build(),
            Sdist::new(&name, "1.0").build(),
            Wheel::new(&name, "2.0").build(),
        ];
        for file in &files {
            index.takes(file);
        }
        Self { index, name, files }
    }

    /// What the page says about yanks, file by file.
    #[track_caller]
    fn yanks(&self) -> [Value; 3] {
        self.files.each_ref().map(|file| self.index.entry(&self.name, &file.filename)["yanked"].clone())
    }

    fn file(&self, number: usize) -> String {
        format!("/projects/{}/files/{}", self.name, self.files[number].filename)
    }

    fn release(&self, version: &str) -> String {
        format!("/projects/{}/releases/{version}", self.name)
    }

    #[track_caller]
    fn set(&self, status: &Value) {
        let answer = self.index.manage("PATCH", &format!("/projects/{}", self.name), status).expect(&[200]);
        assert_eq!(answer.json()["status"], status["status"], "{answer}");
    }

    fn path(&self, number: usize) -> String {
        let file = &self.files[number];
        self.index.path(&format!("/files/{}/{}/{}", self.name, file.sha256(), file.filename))
    }

    fn html(&self) -> String {
        let path = self.index.path(&format!("/simple/{}/", self.name));
        let answer = self.index.writer.call("GET", &path, &[("accept", "text/html")], "").expect(&[200]);
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    /// Management calls of one caller.
    fn call(&self, caller: &Api, method: &str, path: &str, body: &Value) -> testkit::Answer {
        let organization = &self.index.organization().name;
        caller.manage(method, &format!("/organizations/{organization}/registries/main/python{path}"), body)
    }
}

#[test]
fn i15_a_file_is_yanked_with_a_reason_and_comes_back() {
    let project = Project::new();
    let tags = project.index.tags(&project.name);
    let yanked = project
        .index
        .manage("PATCH", &project.file(0), &json!({ "yanked": true, "reason": "breaks < 3.9" }))
        .expect(&[200])
        .json();
    assert_eq!(
        (&yanked["yanked"], &yanked["yanked_reason"]),
        (&json!(true), &json!("breaks < 3.9")),
        "{yanked}"
    );
    assert_eq!(project.yanks(), [json!("breaks < 3.9"), json!(false), json!(false)]);
    assert!(project.html().contains("data-yanked=\"breaks &lt; 3.9\""), "{}", project.html());
    // Only the page says so: whoever asks for the very file, gets it.
    project.index.writer.ask("GET", &project.path(0)).expect(&[200]);
    project.index.writer.manifest_get(&project.index.repository(&project.name), "1.0").expect(&[200]);
    assert_eq!(project.index.tags(&project.name), tags);
    // Without a reason it is yanked all the same.
    project.index.manage("PATCH", &project.file(0), &json!({ "yanked": true })).expect(&[200]);
    assert_eq!(project.yanks(), [json!(true), json!(false), json!(false)]);
    assert!(project.html().contains("data-yanked=\"\""), "{}", project.html());
    let back =
        project.index.manage("PATCH", &project.file(0), &json!({ "yanked": false })).expect(&[200]).json();
    assert_eq!(back["yanked"], false, "{back}");
    assert!(back.get("yanked_reason").is_none(), "{back}");
    assert_eq!(project.yanks(), [json!(false), json!(false), json!(false)]);
    assert!(!project.html().contains("data-yanked"), "{}", project.html());
}

#[test]
fn i15_a_release_is_yanked_as_a_whole() {
    let project = Project::new();
    let change = json!({ "yanked": true, "reason": "wrong" });
    let release = project.index.manage("PATCH", &project.release("1.0"), &change).expect(&[200]).json();
    assert_eq!((&release["files"], &release["yanked_files"]), (&json!(2), &json!(2)), "{release}");
    assert_eq!(project.yanks(), [json!("wrong"), json!("wrong"), json!(false)]);
    // Any spelling of the version is the release.
    project.index.manage("PATCH", &project.release("1.0.0"), &json!({ "yanked": false })).expect(&[200]);
    assert_eq!(project.yanks(), [json!(false), json!(false), json!(false)]);
}

#[test]
fn i15_versions_with_signs_that_addresses_escape() {
    let (index, name) = (Index::new(), project());
    let file = Wheel::new(&name, "1!2.0+cpu").build();
    index.takes(&file);
    let yanked = || index.entry(&name, &file.filename)["yanked"].clone();
    let escaped = file.filename.replace('+', "%2B").replace('!', "%21");
    for (number, path) in [
        "releases/1!2.0+cpu",
        "releases/1%212.0%2Bcpu",
        &format!("files/{}", file.filename),
        &format!("files/{escaped}"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/projects/{name}/{path}");
        let reason = format!("reason {number}");
        index.manage("PATCH", &path, &json!({ "yanked": true, "reason": reason })).expect(&[200]);
        assert_eq!(yanked(), reason);
    }
}

#[test]
fn i15_changes_that_make_no_sense() {
    let project = Project::new();
    let long = "x".repeat(501);
    for (body, code) in [
        (json!({ "yanked": false, "reason": "why" }), "invalid"),
        (json!({ "yanked": true, "reason": "two\nlines" }), "malformed"),
        (json!({ "yanked": true, "reason": long }), "malformed"),
        (json!({ "yanked": true, "other": 1 }), "malformed"),
        (json!({}), "malformed"),
    ] {
        for path in [project.file(0), project.release("1.0")] {
            let answer = project.index.manage("PATCH", &path, &body).expect(&[400, 422]);
            let status = answer.status;
            expect_problem(answer, status, code);
        }
    }
    let yank = json!({ "yanked": true });
    for path in [
        format!("/projects/{}/files/other-1.0-py3-none-any.whl", project.name),
        project.release("3.0"),
        "/projects/no-such-project/releases/1.0".to_owned(),
        "/projects/no%20such/releases/1.0".to_owned(),
        project.release("not-a-version!"),
    ] {
        expect_problem(project.index.manage("PATCH", &path, &yank), 404, "not_found");
    }
    assert_eq!(project.yanks(), [json!(false), json!(false), json!(false)]);
}

#[test]
fn i16_a_project_has_a_status_in_both_forms() {
    let project = Project::new();
    for (status, reason) in [
        ("archived", Some("moved on")),
        ("deprecated", None),
        ("quarantined", Some("malware")),
        ("active", None),
    ] {
        let mut change = json!({ "status": status });
        if let Some(reason) = reason {
            change["reason"] = reason.into();
        }
        project.set(&change);
        let page = project.index.page(&project.name).expect(&[200]).json();
        assert_eq!(page["project-status"], change, "{page}");
        assert_eq!(page["versions"], json!(["1.0", "2.0"]), "{page}");
        let files = page["files"].as_array().map_or(0, Vec::len);
        assert_eq!(files, if status == "quarantined" { 0 } else { 3 }, "{page}");
        let html = project.html();
        assert!(
            html.contains(&format!("<meta name=\"pypi:project-status\" content=\"{status}\">")),
            "{html}"
        );
        let said = html.contains("pypi:project-status-reason");
        assert_eq!(said, reason.is_some(), "{html}");
        assert_eq!(html.matches("<a ").count(), files, "{html}");
        let shown = project.index.manage("GET", &format!("/projects/{}", project.name), &Value::Null);
        assert_eq!(shown.expect(&[200]).json()["status"], status);
    }
    // A reason for being as it should be is none.
    project.set(&json!({ "status": "active", "reason": "all is well" }));
    let page = project.index.page(&project.name).expect(&[200]).json();
    assert_eq!(page["project-status"], json!({ "status": "active" }));
    for body in [json!({ "status": "gone" }), json!({}), json!({ "status": "archived", "reason": "a\u{7}" })]
    {
        let answer = project.index.manage("PATCH", &format!("/projects/{}", project.name), &body);
        assert!([400, 422].contains(&answer.status), "{answer}");
    }
    let answer = project.index.manage("PATCH", "/projects/no-such-project", &json!({ "status": "archived" }));
    expect_problem(answer, 404, "not_found");
}

#[test]
fn i16_an_archived_project_takes_no_files_and_gives_all() {
    let project = Project::new();
    project.set(&json!({ "status": "archived", "reason": "moved on" }));
    let new = Wheel::new(&project.name, "3.0").build();
    let answer = project.index.upload(&new);
    let message = expect_refusal(answer, 403, "PYTHON_PROJECT_ARCHIVED", "is archived");
    assert!(message.contains("moved on"), "{message}");
    project.index.writer.ask("GET", &project.path(0)).expect(&[200]);
    project.index.writer.manifest_get(&project.index.repository(&project.name), "1.0").expect(&[200]);
    // A deprecated one does take files.
    project.set(&json!({ "status": "deprecated" }));
    project.index.takes(&new);
    project.set(&json!({ "status": "active" }));
    project.index.takes(&Wheel::new(&project.name, "4.0").build());
}

#[test]
fn i16_a_quarantined_project_is_shut_on_every_way() {
    let project = Project::new();
    let (index, repository) = (&project.index, project.index.repository(&project.name));
    let manifest = index.writer.manifest_get(&repository, "2.0").expect(&[200]);
    let digest = manifest.header("docker-content-digest").expect("a manifest has a digest").to_owned();
    let blob = testkit::sha256(&project.files[2].bytes);
    let viewer = index.organization().member(Role::Viewer);
    let bearer = viewer.as_bearer(&viewer.token(&[&format!("repository:{repository}:pull")]));
    bearer.blob_get(&repository, &blob).expect(&[200]);

    project.set(&json!({ "status": "quarantined", "reason": "malware" }));
    let admin = index.organization().admin().clone();
    for caller in [&index.writer, &viewer, &admin] {
        for path in [project.path(2), format!("{}.metadata", project.path(2))] {
            let answer = caller.ask("GET", &path).expect(&[403]);
            let body = answer.json();
            assert_eq!(body["errors"][0]["code"], "PYTHON_PROJECT_QUARANTINED", "{answer}");
            assert!(body["message"].as_str().is_some_and(|message| message.contains("malware")), "{answer}");
        }
        index.writer.ask("HEAD", &project.path(2)).expect(&[403]);
        let path = format!("/integrity/{}/2.0/{}/provenance", project.name, project.files[2].filename);
        caller.ask("GET", &index.path(&path)).expect(&[403]);
    }
    for caller in [&index.writer, &viewer, &bearer, &admin] {
        for path in [
            format!("/v2/{repository}/manifests/2.0"),
            format!("/v2/{repository}/manifests/{digest}"),
            format!("/v2/{repository}/blobs/{blob}"),
            format!("/v2/{repository}/tags/list"),
            format!("/v2/{repository}/referrers/{digest}"),
        ] {
            let message = expect_error(caller.ask("GET", &path), 403, "DENIED");
            assert!(message.contains("quarantined"), "{path}: {message}");
        }
        caller.ask("HEAD", &format!("/v2/{repository}/blobs/{blob}")).expect(&[403]);
    }
    // Nor does it leave by a mount, or take anything in.
    let other = index.repository("elsewhere");
    let mount = format!("/v2/{other}/blobs/uploads/?mount={blob}&from={repository}");
    index.writer.ask("POST", &mount).expect(&[202, 403]);
    index.writer.blob_get(&other, &blob).expect(&[404]);
    let new = Wheel::new(&project.name, "3.0").build();
    expect_refusal(index.upload(&new), 403, "PYTHON_PROJECT_QUARANTINED", "is quarantined");
    expect_error(index.writer.ask("POST", &format!("/v2/{repository}/blobs/uploads/")), 403, "DENIED");

    project.set(&json!({ "status": "active" }));
    assert_eq!(index.files(&project.name).len(), 3);
    index.writer.ask("GET", &project.path(2)).expect(&[200]);
    bearer.manifest_get(&repository, "2.0").expect(&[200]);
    index.takes(&new);
}

#[test]
fn who_may_yank_and_who_may_say_what_a_project_is() {
    let project = Project::new();
    let organization = project.index.organization();
    let viewer = organization.member(Role::Viewer);
    let yank = json!({ "yanked": true });
    expect_problem(project.call(&viewer, "PATCH", &project.file(0), &yank), 403, "denied");
    project.call(&project.index.writer, "PATCH", &project.file(0), &yank).expect(&[200]);
    let status = json!({ "status": "archived" });
    let path = format!("/projects/{}", project.name);
    for caller in [&viewer, &project.index.writer] {
        expect_problem(project.call(caller, "PATCH", &path, &status), 403, "denied");
    }
    project.call(&organization.member(Role::Admin), "PATCH", &path, &status).expect(&[200]);
    // Reading is for everybody who may read.
    for path in [&path, &project.file(0), &project.release("1.0"), &format!("{path}/files")] {
        project.call(&viewer, "GET", path, &Value::Null).expect(&[200]);
    }
}

#[test]
fn management_lists_projects_releases_and_files() {
    let project = Project::new();
    let (index, name) = (&project.index, &project.name);
    let second = Wheel::new("Zzz.Last_One", "1.0").build();
    index.takes(&second);
    let list = |path: &str| index.manage("GET", path, &Value::Null).expect(&[200]).json();
    let fields = |page: &Value, field: &str| -> Vec<String> {
        let items = page["items"].as_array().expect("a list has items");
        items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
    };
    let projects = list("/projects");
    assert_eq!(fields(&projects, "name"), [name.as_str(), "zzz-last-one"]);
    assert_eq!(projects["items"][1]["display_name"], "Zzz.Last_One");
    assert_eq!(projects["items"][1]["status"], "active");
    // Page by page.
    let first = list("/projects?limit=1");
    assert_eq!(fields(&first, "name"), [name.as_str()]);
    let cursor = first["next_cursor"].as_str().expect("there is more");
    let rest = list(&format!("/projects?limit=1&cursor={cursor}"));
    assert_eq!(
        (fields(&rest, "name"), rest["next_cursor"].is_null()),
        (vec!["zzz-last-one".to_owned()], true)
    );

    let releases = list(&format!("/projects/{name}/releases"));
    assert_eq!(fields(&releases, "version"), ["1.0", "2.0"]);
    assert_eq!(releases["items"][0]["files"], 2);
    let first = list(&format!("/projects/{name}/releases?limit=1"));
    let cursor = first["next_cursor"].as_str().expect("there is more").to_owned();
    let rest = list(&format!("/projects/{name}/releases?limit=1&cursor={cursor}"));
    assert_eq!(fields(&rest, "version"), ["2.0"]);

    let files = list(&format!("/projects/{name}/files"));
    let mut names = project.files.each_ref().map(|file| file.filename.clone());
    names.sort_unstable();
    assert_eq!(fields(&files, "filename"), names);
    assert_eq!(fields(&list(&format!("/projects/{name}/files?version=2.0")), "filename"), [names[2].clone()]);
    let file = index.row(name, &project.files[0].filename);
    assert_eq!(file["sha256"], project.files[0].sha256(), "{file}");
    assert_eq!(file["kind"], "bdist_wheel", "{file}");
    assert_eq!(file["uploaded_by"], index.writer.username(), "{file}");
    assert_eq!(file["tag"], "1.0-py3-none-any", "{file}");
    assert!(file.get("deleted").is_none(), "{file}");
    // Names are read as installers write them.
    list("/projects/ZZZ_last.one");
    for path in ["/projects/nothing", "/projects/nothing/files", "/projects/nothing/releases"] {
        expect_problem(index.manage("GET", path, &Value::Null), 404, "not_found");
    }
}
