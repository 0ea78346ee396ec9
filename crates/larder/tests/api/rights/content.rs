//! Rows about content: the registry protocol and the Python index.

use testkit::python::Wheel;
use testkit::{Answer, Api, random_word};

use super::{Call, Row, Stage};
use crate::scene::{Calls as _, MANIFEST_TYPE, small_manifest};

/// Columns: anonymous, other | organization V W A | registry V W A | system | machine W, machine A.
#[rustfmt::skip]
pub(super) const PROTOCOL: &[Row] = &[
    Row("pull a manifest, private",       |s, c| manifest(s, c, "main", "GET"),  "403 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("look for a manifest, private",   |s, c| manifest(s, c, "main", "HEAD"), "403 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("pull a blob, private",           |s, c| blob(s, c, "main"),             "403 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("list tags, private",             |s, c| tags(s, c, "main"),             "403 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("list referrers, private",        |s, c| referrers(s, c, "main"),        "403 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("begin an upload, private",       |s, c| upload(s, c, "main"),           "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("push a manifest, private",       |s, c| push(s, c, "main", "moved"),    "403 403 | 403 201 201 | 403 201 201 | 403 | 201 201"),
    Row("push a new repository, private", |s, c| create(s, c, "main"),           "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("delete a tag, private",          |s, c| delete_tag(s, c, "main"),       "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("delete a manifest, private",     |s, c| delete_manifest(s, c, "main"),  "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("delete a blob, private",         |s, c| delete_blob(s, c, "main"),      "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("pull a manifest, public",        |s, c| manifest(s, c, "open", "GET"),  "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("look for a manifest, public",    |s, c| manifest(s, c, "open", "HEAD"), "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("pull a blob, public",            |s, c| blob(s, c, "open"),             "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("list tags, public",              |s, c| tags(s, c, "open"),             "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("list referrers, public",         |s, c| referrers(s, c, "open"),        "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("begin an upload, public",        |s, c| upload(s, c, "open"),           "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("push a manifest, public",        |s, c| push(s, c, "open", "moved"),    "403 403 | 403 201 201 | 403 201 201 | 403 | 201 201"),
    Row("delete a tag, public",           |s, c| delete_tag(s, c, "open"),       "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("delete a manifest, public",      |s, c| delete_manifest(s, c, "open"),  "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
    Row("delete a blob, public",          |s, c| delete_blob(s, c, "open"),      "403 403 | 403 202 202 | 403 202 202 | 403 | 202 202"),
];

/// The columns are the same.
#[rustfmt::skip]
pub(super) const PYTHON: &[Row] = &[
    Row("the list of projects, private", |s, c| index(s, c, "main", "/simple/"), "401 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("the page of a project, private", page_private as Call,                  "401 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("download a file, private",       |s, c| file(s, c, "main"),             "401 403 | 200 200 200 | 200 200 200 | 403 | 200 200"),
    Row("upload a file, private",         |s, c| publish(s, c, "main"),          "401 403 | 403 200 200 | 403 200 200 | 403 | 200 200"),
    Row("the list of projects, public",  |s, c| index(s, c, "open", "/simple/"), "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("the page of a project, public",  page_public as Call,                   "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("download a file, public",        |s, c| file(s, c, "open"),             "200 200 | 200 200 200 | 200 200 200 | 200 | 200 200"),
    Row("upload a file, public",          |s, c| publish(s, c, "open"),          "401 403 | 403 200 200 | 403 200 200 | 403 | 200 200"),
];

fn manifest(stage: &Stage, caller: &Api, registry: &str, method: &str) -> Answer {
    caller.ask(method, &format!("/v2/{}/manifests/kept", stage.repository(registry)))
}

fn blob(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    caller.blob_get(&stage.repository(registry), &stage.layer)
}

fn tags(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    caller.ask("GET", &format!("/v2/{}/tags/list", stage.repository(registry)))
}

fn referrers(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    caller.ask("GET", &format!("/v2/{}/referrers/{}", stage.repository(registry), stage.image.digest))
}

fn upload(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let answer = caller.ask("POST", &format!("/v2/{}/blobs/uploads/", stage.repository(registry)));
    if let Some(location) = answer.header("location") {
        caller.ask("DELETE", location).expect(&[204]);
    }
    answer
}

/// A repository that is not there yet.
fn create(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let answer = caller.ask("POST", &format!("/v2/{}-new/blobs/uploads/", stage.repository(registry)));
    if let Some(location) = answer.header("location") {
        caller.ask("DELETE", location).expect(&[204]);
    }
    answer
}

fn push(stage: &Stage, caller: &Api, registry: &str, tag: &str) -> Answer {
    caller.manifest_put(&stage.repository(registry), tag, MANIFEST_TYPE, &stage.image.bytes)
}

fn delete_tag(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let (repository, tag) = (stage.repository(registry), format!("t-{}", random_word()));
    stage.owner.manifest_put(&repository, &tag, MANIFEST_TYPE, &stage.image.bytes).expect(&[201]);
    caller.ask("DELETE", &format!("/v2/{repository}/manifests/{tag}"))
}

fn delete_manifest(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let repository = stage.repository(registry);
    let pushed = stage.owner.image_push(&repository, "", &small_manifest());
    caller.ask("DELETE", &format!("/v2/{repository}/manifests/{}", pushed.digest))
}

fn delete_blob(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let repository = stage.repository(registry);
    let digest = stage.owner.blob_push(&repository, random_word().as_bytes());
    caller.ask("DELETE", &format!("/v2/{repository}/blobs/{digest}"))
}

fn index(stage: &Stage, caller: &Api, registry: &str, rest: &str) -> Answer {
    caller.ask("GET", &format!("/api/v1/{}/{registry}/python{rest}", stage.organization.name))
}

fn page_private(stage: &Stage, caller: &Api) -> Answer {
    caller.python_page(&stage.organization.name, "main", &stage.wheel.name)
}

fn page_public(stage: &Stage, caller: &Api) -> Answer {
    caller.python_page(&stage.organization.name, "open", &stage.wheel.name)
}

fn file(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let rest = format!("/files/{}/{}/{}", stage.wheel.name, stage.wheel.sha256(), stage.wheel.filename);
    index(stage, caller, registry, &rest)
}

fn publish(stage: &Stage, caller: &Api, registry: &str) -> Answer {
    let file = Wheel::new(&format!("pkg-{}", random_word()), "1.0").build();
    caller.python_upload(&stage.organization.name, registry, &file)
}
