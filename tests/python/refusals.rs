//! What is wrong with an upload, in the words that somebody reads in the terminal. Twine shows the reason phrase
//! of the answer and nothing else, uv the body and nothing else.

use serde_json::json;
use testkit::python::{BuiltFile, Entry, Part, Sdist, TarEntry, Upload, Wheel};
use testkit::{Api, random_bytes, run};

use crate::relay::Relay;
use crate::scene::{Account, REGISTRY, Scene};

/// A file that no registry may take, and what its uploader has to read.
struct Bad {
    file: BuiltFile,
    says: &'static str,
}

fn bad(file: BuiltFile, says: &'static str) -> Bad {
    Bad { file, says }
}

fn wheel(name: &str) -> Wheel {
    Wheel::new(name, "1.0")
}

/// What a file can be that no registry may take.
fn bad_files() -> Vec<Bad> {
    let metadata =
        |name: &str, version: &str| format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    vec![
        bad(wheel("bad-suffix").build_with(|zip| zip.suffix = b"more".to_vec()), "trailing data"),
        bad(wheel("bad-comment").build_with(|zip| zip.comment = b"hello".to_vec()), "comment"),
        bad(wheel("bad-prefix").build_with(|zip| zip.prefix = b"#!/bin/sh\n".to_vec()), "ZIP"),
        bad(wheel("bad-path").build_with(|zip| zip.add("../escape.py", "")), "unsafe path"),
        bad(wheel("bad-root").build_with(|zip| zip.add("/etc/escape.py", "")), "unsafe path"),
        bad(wheel("bad-drive").build_with(|zip| zip.add("C:\\escape.py", "")), "unsafe path"),
        bad(wheel("bad-descriptor").build_with(|zip| zip.entries[0].flags = 1 << 3), "data descriptor"),
        bad(wheel("bad-secret").build_with(|zip| zip.entries[0].flags = 1), "encrypted"),
        bad(wheel("bad-method").build_with(|zip| zip.entries[0].method = 12), "compression"),
        bad(wheel("bad-size").build_with(|zip| zip.entries[0].local_size = Some(1)), "size"),
        bad(
            wheel("bad-info").build_with(|zip| zip.add("other-1.0.dist-info/METADATA", "")),
            "exactly one .dist-info",
        ),
        bad(
            wheel("bad-script").dist_info_file("entry_points.txt", "[console_scripts]\n../x = a:b\n").build(),
            "entry",
        ),
        bad(
            wheel("bad-text")
                .metadata([metadata("bad-text", "1.0").as_bytes(), b"Summary: caf\xe9\n"].concat())
                .build(),
            "UTF-8",
        ),
        bad(wheel("bad-age").metadata_version("3.0").build(), "Metadata-Version"),
        bad(wheel("no-metadata").without("METADATA").build(), "METADATA"),
        bad(BuiltFile::new("png-1.0-py3-none-any.whl", "png", "1.0", b"\x89PNG\r\n\x1a\n".repeat(50)), "ZIP"),
        bad(wheel("bad-link").build_with(|zip| zip.entries.push(Entry::link("link", "/etc/passwd"))), "link"),
        bad(wheel("bad-twice").build_with(|zip| zip.add("bad_twice.py", "again")), "bad_twice.py"),
        bad(wheel("bad-bomb").build_with(|zip| zip.entries.push(Entry::zeros("zeros", 200 << 20))), "expand"),
        bad(wheel("bad-record").wrong_hash("bad_record.py").build(), "RECORD"),
        bad(wheel("no-record").without("RECORD").build(), "RECORD"),
        bad(wheel("no-wheel").without("WHEEL").build(), "WHEEL"),
        bad(wheel("bad-name").metadata(metadata("other-name", "1.0")).build(), "other-name"),
        bad(wheel("bad-version").metadata(metadata("bad-version", "2.0")).build(), "2.0"),
        bad(Sdist::new("bad-gzip", "1.0").suffix("more").build(), "gzip"),
        bad(Sdist::new("bad-top", "1.0").build_with(|tar| tar.add("second-1.0/file", "")), "second-1.0"),
        bad(
            Sdist::new("bad-device", "1.0")
                .build_with(|tar| tar.entries.push(TarEntry::special("bad_device-1.0/x", b'3', ""))),
            "bad_device-1.0/x",
        ),
        bad(
            Sdist::new("bad-sparse", "1.0")
                .build_with(|tar| tar.entries.push(TarEntry::special("bad_sparse-1.0/x", b'S', ""))),
            "sparse",
        ),
        bad(
            Sdist::new("bad-climb", "1.0").build_with(|tar| tar.add("bad_climb-1.0/../../x", "")),
            "unsafe path",
        ),
        bad(
            Sdist::new("bad-swell", "1.0")
                .build_with(|tar| tar.entries.push(TarEntry::zeros("bad_swell-1.0/x", 200 << 20))),
            "expand",
        ),
        bad(Sdist::new("bad-end", "1.0").build().renamed("bad_end-1.0.zip"), ".tar.gz"),
        bad(Sdist::new("bad-egg", "1.0").build().renamed("bad_egg-1.0-py3.11.egg"), ".whl"),
        bad(Sdist::new("bad-sdist", "1.0").directory("elsewhere").build(), "elsewhere"),
        bad(
            Sdist::new("bad-tar", "1.0")
                .build_with(|tar| tar.entries.push(TarEntry::special("bad_tar-1.0/x", b'2', "/etc/passwd"))),
            "link",
        ),
    ]
}

/// What twine refuses before it sends anything.
const NOT_BY_TWINE: [&str; 7] =
    ["bad-text", "bad-age", "no-metadata", "png", "bad-top", "bad-end", "bad-egg"];
/// What uv refuses, or leaves aside, before it sends anything.
const NOT_BY_UV: [&str; 10] = [
    "bad-suffix",
    "bad-prefix",
    "bad-secret",
    "bad-method",
    "bad-info",
    "no-metadata",
    "png",
    "bad-sparse",
    "bad-end",
    "bad-egg",
];

#[test]
fn twine_and_uv_tell_what_is_wrong_with_a_file() {
    let scene = Scene::new();
    // What the clients themselves do not send, or send nothing of.
    let (mut not_by_twine, mut not_by_uv) = (Vec::new(), Vec::new());
    for Bad { file, says } in bad_files() {
        let path = scene.save(&file);
        let refused = scene.twine("twine", &[&path]).failure();
        if refused.stdout.contains("HTTPError") || refused.stderr.contains("HTTPError") {
            refused.says("400 Bad Request").says(says).says_nothing_of("Traceback");
        } else {
            not_by_twine.push(file.name.clone());
        }
        let refused = scene.uv_publish(&[&path]);
        if refused.stderr.contains("Server says") {
            // A sentence, and not the document that holds it.
            refused.says("400").says(says).says_nothing_of("\"errors\"");
        } else {
            not_by_uv.push(file.name.clone());
        }
        let project = file.name.to_lowercase();
        assert!(scene.files(&project).is_empty(), "{} is listed", file.filename);
    }
    assert_eq!(names(&scene.api_of(&scene.writer)), Vec::<String>::new());
    assert_eq!(not_by_twine, NOT_BY_TWINE);
    assert_eq!(not_by_uv, NOT_BY_UV);
}

fn names(api: &Api) -> Vec<String> {
    let path = format!("{}/simple/?format=application/vnd.pypi.simple.v1%2Bjson", Scene::path());
    let list = api.get(&path).expect(&[200]).json();
    let projects = list["projects"].as_array().expect("a list of projects");
    projects.iter().map(|project| project["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_description_that_is_too_long_for_a_form_is_named() {
    let scene = Scene::new();
    let file = Wheel::new("acme-long", "1.0").description(&"word ".repeat(1 << 19)).build();
    let path = scene.save(&file);
    scene.twine("twine", &[&path]).failure().says("413").says("description");
    scene.uv_publish(&[&path]).failure().says("413").says("description");
    assert!(scene.files("acme-long").is_empty());
}

#[test]
fn a_file_that_is_too_large_is_refused_with_the_limit() {
    let scene = Scene::new();
    scene.settings(&json!({ "python": { "file_bytes": 10 << 20 } }));
    let file = Wheel::new("acme-large", "1.0").file("large.bin", random_bytes(30 << 20)).build();
    let path = scene.save(&file);
    scene.twine("twine", &[&path]).failure().says("413").says("larger");
    scene.uv_publish(&[&path]).failure().says("413").says("larger");
    assert!(scene.files("acme-large").is_empty());
}

#[test]
fn people_without_the_right_are_told_so() {
    let scene = Scene::new();
    let path = scene.save(&Wheel::new("acme-demo", "1.0").build());
    let wrong = Account { name: scene.writer.name, password: "wrong".to_owned() };
    for (account, status) in [(&wrong, "401"), (&scene.viewer, "403"), (&scene.stranger, "403")] {
        scene.twine_as(account, "twine", &[&path]).failure().says(status);
        scene.uv_publish_as(account, &[&path]).failure().says(status);
    }
    scene.twine_as(&scene.viewer, "twine", &[&path]).failure().says("may not push");
    let token = scene.api_of(&scene.viewer).token_create("ci");
    let token = Account { name: "__token__", password: token["token"].as_str().unwrap().to_owned() };
    scene.twine_as(&token, "twine", &[&path]).failure().says("403").says("may not push");
    let invalid = Account { name: "__token__", password: "lrd_invalid".to_owned() };
    scene.twine_as(&invalid, "twine", &[&path]).failure().says("401");
    let nobody = scene.admin.as_nobody();
    let answer = nobody.python_upload(REGISTRY.0, REGISTRY.1, &Wheel::new("acme-demo", "1.0").build());
    assert_eq!(answer.status, 401, "{answer}");
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Basic realm=\"demo/main\""), "{answer}");
    assert!(scene.files("acme-demo").is_empty());
}

#[test]
fn a_read_only_registry_is_asked_once() {
    let scene = Scene::new();
    scene.settings(&json!({ "read_only": true }));
    let host = scene.server.host();
    let relay = Relay::new(&host);
    let path = scene.save(&Wheel::new("acme-demo", "1.0").build());
    let url = relay.url(&scene.upload_url(), &host);
    scene.twine("twine", &["--repository-url", &url, &path]).failure().says("403").says("read-only");
    assert_eq!(relay.take().len(), 1);
    scene.uv_publish(&["--publish-url", &url, &path]).failure().says("403").says("read-only");
    assert_eq!(relay.take().len(), 1);
}

#[test]
fn an_archived_project_takes_nothing_and_a_quarantined_one_gives_nothing() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    let status = |word: &str| {
        let body = json!({ "status": word, "reason": "moved to acme-next" });
        let method = testkit::Method::PATCH;
        scene
            .admin
            .python_manage(method, REGISTRY.0, REGISTRY.1, "/projects/acme-demo", Some(&body))
            .expect(&[200]);
    };
    let path = scene.save(&Wheel::new("acme-demo", "1.1").build());
    status("archived");
    scene.twine("twine", &[&path]).failure().says("403").says("archived");
    scene.uv_publish(&[&path]).failure().says("403").says("archived");
    scene.pip_install("pip", "archived", &["acme-demo"]).success();
    status("quarantined");
    scene.twine("twine", &[&path]).failure().says("403").says("quarantined");
    scene.pip_install("pip", "quarantined", &["--no-cache-dir", "acme-demo"]).failure();
    scene.uv_install("uv", &["--no-cache", "acme-demo"]).failure();
}

#[test]
fn names_that_can_be_mistaken_are_refused() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-lib", "1.0").build());
    let twin = scene.save(&Wheel::new("acme-1ib", "1.0").build());
    scene.twine("twine", &[&twin]).failure().says("409").says("acme-lib");
    scene.uv_publish(&[&twin]).failure().says("409").says("acme-lib");
    let module = scene.save(&Wheel::new("json", "1.0").build());
    scene.twine("twine", &[&module]).failure().says("json");
    scene.uv_publish(&[&module]).failure().says("json");
}

#[test]
fn metadata_of_the_future_is_taken_and_that_of_another_age_is_not() {
    let scene = Scene::new();
    for version in ["2.4", "2.5", "2.6", "2.7"] {
        let name = format!("acme-{}", version.replace('.', ""));
        let file = Wheel::new(&name, "1.0").metadata_version(version).build();
        scene.publish(&file);
        scene.pip_install("pip", &name, &[&name]).success();
    }
    let api = scene.api_of(&scene.writer);
    let file = Wheel::new("acme-30", "1.0").metadata_version("3.0").build();
    let answer = api.python_upload(REGISTRY.0, REGISTRY.1, &file).expect(&[400]);
    assert!(answer.reason.as_deref().is_some_and(|reason| reason.contains("Metadata-Version")), "{answer}");
}

#[test]
fn forms_that_no_client_of_today_sends_are_answered_plainly() {
    let scene = Scene::new();
    let api = scene.api_of(&scene.writer);
    let file = Wheel::new("acme-demo", "1.0").build();
    let send = |upload: &Upload| api.python_send(REGISTRY.0, REGISTRY.1, upload);
    for action in ["submit", "submit_pkg_info", "doc_upload"] {
        send(&Upload::new(&file).field(":action", action)).expect(&[410]);
    }
    for (upload, status) in [
        (Upload::new(&file).without(":action"), 400),
        (Upload::new(&file).without("sha256_digest").without("blake2_256_digest"), 400),
        (Upload::new(&file).field("sha256_digest", &"0".repeat(64)), 400),
        (Upload::new(&file).part(Part::file("content", &file.filename, "again")), 400),
    ] {
        let answer = send(&upload).expect(&[status]);
        assert!(answer.reason.as_deref().is_some_and(|reason| reason.len() > 12), "{answer}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    }
    assert!(scene.files("acme-demo").is_empty());
    send(&Upload::new(&file).content_first().content(|part| part.content_type = None).last(Part::file(
        "gpg_signature",
        "x.asc",
        "sig",
    )))
    .expect(&[200]);
    assert_eq!(scene.files("acme-demo").len(), 1);
}

#[test]
fn installers_read_why_a_file_is_kept_from_them() {
    let scene = Scene::new();
    let file = Wheel::new("acme-demo", "1.0").build();
    scene.publish(&file);
    let reader = scene.api_of(&scene.viewer);
    let path = reader.python_path(REGISTRY.0, REGISTRY.1, "acme-demo", &file.filename);
    let body = json!({ "status": "quarantined", "reason": "under review" });
    let method = testkit::Method::PATCH;
    scene
        .admin
        .python_manage(method, REGISTRY.0, REGISTRY.1, "/projects/acme-demo", Some(&body))
        .expect(&[200]);
    let url = format!("{}{path}", scene.server.url());
    let url = crate::scene::with_credentials(&url, &scene.viewer);
    let target = scene.home.file("pip");
    run(&mut scene.pip("pip", &["install", "--target", &target, &url]))
        .failure()
        .says("403")
        .says("quarantined");
}
