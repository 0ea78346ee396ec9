//! A release of two wheels in the Python index, the second of which is being uploaded when the server dies.

use serde_json::Value;
use testkit::python::{BuiltFile, Upload, Wheel};
use testkit::sha256;

use crate::wire::{Answer, Lost, Request, Wire, plain};

const INDEX: &str = "/api/v1/demo/main/python";
const REPOSITORY: &str = "demo/main/acme-demo";

/// The two wheels.
pub(crate) fn wheels() -> [BuiltFile; 2] {
    ["first", "second"].map(|name| {
        Wheel::new("acme-demo", "1.0")
            .tag(&format!("py3-none-{name}"))
            // Longer than the pieces in which the server writes.
            .file("acme_demo/large.py", format!("name = {name:?}\n").repeat(40_000))
            .build()
    })
}

/// Uploads a wheel.
pub(crate) fn upload(wire: &mut Wire, wheel: &BuiltFile) -> Result<Answer, Lost> {
    let content_type = Upload::content_type();
    let headers = [("content-type", content_type.as_str())];
    wire.send(Request { method: "POST", target: INDEX, headers: &headers, body: &Upload::new(wheel).body() })
}

/// Every place where the second wheel shows: the page, its file, its tag, its manifest as a part of the release.
/// The first shows whatever happens.
pub(crate) fn sights(wire: &mut Wire, [first, second]: &[BuiltFile; 2]) -> Vec<bool> {
    let mut get = |target: &str| wire.send(plain("GET", target)).expect("the server runs");
    let mut json = |target: &str| -> Value {
        let answer = get(target).expect(&[200]);
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    };
    let page = json(&format!("{INDEX}/simple/acme-demo/?format=application/vnd.pypi.simple.v1%2Bjson"));
    let release = json(&format!("/v2/{REPOSITORY}/manifests/1.0"));
    let tags = json(&format!("/v2/{REPOSITORY}/tags/list"));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let listed =
        |wheel: &BuiltFile| list(&page["files"]).iter().any(|file| file["filename"] == wheel.filename);
    assert!(listed(first), "the first wheel is gone from the page: {page}");
    let tag = "1.0-py3-none-second";
    let tagged = list(&tags["tags"]).iter().any(|found| found == tag);
    let entries = list(&release["manifests"]).len();
    assert!(
        entries == 2 || release["layers"][0]["digest"] == format!("sha256:{}", first.sha256()),
        "{release}"
    );

    let path = format!("{INDEX}/files/acme-demo/{}/{}", second.sha256(), second.filename);
    let file = get(&path).expect(&[200, 404]);
    let served = file.status == 200;
    assert!(!served || sha256(&file.body) == format!("sha256:{}", second.sha256()), "wrong content");
    let resolved = get(&format!("/v2/{REPOSITORY}/manifests/{tag}")).expect(&[200, 404]).status == 200;
    vec![listed(second), tagged, entries == 2, served, resolved]
}
