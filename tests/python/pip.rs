//! Pip, the current one and the oldest that we promise.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use serde_json::{Value, json};
use testkit::python::Wheel;
use testkit::{random_bytes, run};

use crate::relay::{Passing, Relay, Seen};
use crate::scene::{Scene, pairs};

const PIPS: [&str; 2] = ["pip", "pip-23.0"];

/// The last parts of the paths that were asked for, with method and status.
fn steps(seen: &[Seen]) -> Vec<(String, String, u16)> {
    let name = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    seen.iter().map(|seen| (seen.method.clone(), name(&seen.path), seen.status)).collect()
}

/// A project and another that depends on it.
fn publish_pair(scene: &Scene) {
    scene.publish(&Wheel::new("acme-base", "1.0").build());
    scene.publish(&Wheel::new("acme-top", "1.0").header("Requires-Dist", "acme-base>=1").build());
}

#[test]
fn pip_reads_the_metadata_before_the_wheels() {
    let scene = Scene::new();
    publish_pair(&scene);
    let host = scene.server.host();
    let relay = Relay::new(&host);
    let url = relay.url(&scene.index_url_of(&scene.viewer), &host);
    for client in PIPS {
        run(scene.pip(client, &["install", "--target", &scene.home.file(client)]).args([
            "--index-url",
            &url,
            "acme-top",
        ]))
        .success();
        assert_eq!(pairs(&scene.installed(client)), [("acme-base", "1.0"), ("acme-top", "1.0")]);
        let seen = relay.take();
        let steps: Vec<String> = steps(&seen).into_iter().map(|(_, name, _)| name).collect();
        let at = |name: &str| steps.iter().position(|step| step == name);
        assert!(seen.iter().all(|seen| seen.status == 200), "{seen:?}");
        assert!(at("acme_top-1.0-py3-none-any.whl").is_some(), "{steps:?}");
        if client == "pip" {
            let metadata = at("acme_base-1.0-py3-none-any.whl.metadata");
            assert!(metadata.is_some() && metadata < at("acme_top-1.0-py3-none-any.whl"), "{steps:?}");
            let page = seen.first().unwrap();
            assert!(page.head.contains("accept: application/vnd.pypi.simple.v1+json"), "{}", page.head);
        }
    }
}

#[test]
fn a_second_run_of_pip_asks_only_whether_the_page_has_changed() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    let host = scene.server.host();
    let relay = Relay::new(&host);
    let url = relay.url(&scene.index_url_of(&scene.viewer), &host);
    let install = |folder: &str| {
        // Over plain HTTP pip keeps only what comes from a host that it was told to trust.
        run(scene
            .pip("pip", &["install", "--trusted-host", "localhost", "--target", &scene.home.file(folder)])
            .args(["--index-url", &url, "acme-demo"]))
        .success();
        steps(&relay.take())
    };
    install("first");
    assert_eq!(install("second"), [("GET".to_owned(), "acme-demo".to_owned(), 304)]);
    scene.publish(&Wheel::new("acme-demo", "1.1").build());
    install("third");
    assert_eq!(pairs(&scene.installed("third")), [("acme-demo", "1.1")]);

    let secret = &scene.viewer.password;
    let pair = format!("{}:{secret}", scene.viewer.name);
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let cache = scene.home.path().join("home/.cache/pip");
    let files = files_below(&cache);
    assert!(!files.is_empty(), "pip kept nothing");
    for file in files {
        let content = std::fs::read(&file).unwrap();
        for secret in [secret.as_bytes(), encoded.as_bytes()] {
            let found = content.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} holds the password", file.display());
        }
    }
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_second_run_of_uv_asks_only_whether_the_pages_have_changed() {
    let scene = Scene::new();
    publish_pair(&scene);
    let host = scene.server.host();
    let relay = Relay::new(&host);
    let url = relay.url(&scene.index_url_of(&scene.viewer), &host);
    let install = |folder: &str| {
        let target = scene.home.file(folder);
        run(scene.client("uv", "uv").args([
            "pip",
            "install",
            "--target",
            &target,
            "--default-index",
            &url,
            "acme-top",
        ]))
        .success();
        let mut steps = steps(&relay.take());
        steps.sort();
        steps
    };
    install("first");
    let unchanged = |name: &str| ("GET".to_owned(), name.to_owned(), 304);
    assert_eq!(install("second"), [unchanged("acme-base"), unchanged("acme-top")]);
    assert_eq!(scene.installed("second").len(), 2);
    scene.publish(&Wheel::new("acme-base", "1.1").build());
    install("third");
    assert_eq!(pairs(&scene.installed("third")), [("acme-base", "1.1"), ("acme-top", "1.0")]);
}

#[test]
fn pip_compares_the_hashes_that_it_is_given() {
    let scene = Scene::new();
    let base = Wheel::new("acme-base", "1.0").build();
    let top = Wheel::new("acme-top", "1.0").header("Requires-Dist", "acme-base>=1").build();
    for file in [&base, &top] {
        scene.publish(file);
    }
    let requirements = |name: &str, base: &str, top: &str| {
        let line = |name: &str, hash: &str| format!("{name}==1.0 --hash=sha256:{hash}\n");
        scene.home.write(name, line("acme-base", base) + &line("acme-top", top))
    };
    let right = requirements("right.txt", &base.sha256(), &top.sha256());
    let wrong = requirements("wrong.txt", &base.sha256(), &base.sha256());
    for client in PIPS {
        scene.pip_install(client, client, &["--require-hashes", "--requirement", &right]).success();
        assert_eq!(scene.installed(client).len(), 2);
        scene
            .pip_install(client, "wrong", &["--require-hashes", "--requirement", &wrong])
            .failure()
            .says("do not match the hashes");
        assert!(scene.installed("wrong").is_empty());
    }
    scene.uv_install("uv", &["--require-hashes", "--requirement", &right]).success();
    scene
        .uv_install("uv-wrong", &["--require-hashes", "--requirement", &wrong])
        .failure()
        .says("hash mismatch");
}

#[test]
fn a_yanked_release_is_for_those_who_insist_on_it() {
    let scene = Scene::new();
    for version in ["1.0", "2.0"] {
        scene.publish(&Wheel::new("acme-demo", version).build());
    }
    scene.yank("acme-demo", "2.0", Some("it eats the <jam> & \"bread\""));
    let constraints = scene.home.write("constraints.txt", "acme-demo==2.0\n");
    for client in PIPS {
        scene.pip_install(client, &format!("{client}-free"), &["acme-demo"]).success();
        assert_eq!(pairs(&scene.installed(&format!("{client}-free"))), [("acme-demo", "1.0")]);
        scene
            .pip_install(client, &format!("{client}-pinned"), &["acme-demo==2.0"])
            .success()
            .says("it eats the <jam> & \"bread\"");
        assert_eq!(pairs(&scene.installed(&format!("{client}-pinned"))), [("acme-demo", "2.0")]);
        scene.pip_install(client, &format!("{client}-range"), &["acme-demo>1.0"]).failure();
    }
    scene
        .pip_install("pip", "constrained", &["--constraint", &constraints, "acme-demo"])
        .success()
        .says("it eats the <jam>");
    assert_eq!(pairs(&scene.installed("constrained")), [("acme-demo", "2.0")]);
    scene.uv_install("uv-free", &["acme-demo"]).success();
    assert_eq!(pairs(&scene.installed("uv-free")), [("acme-demo", "1.0")]);
    scene.uv_install("uv-pinned", &["acme-demo==2.0"]).success().says("it eats the <jam>");

    scene.yank("acme-demo", "2.0", None);
    for client in PIPS {
        scene.pip_install(client, &format!("{client}-again"), &["acme-demo"]).success();
        assert_eq!(pairs(&scene.installed(&format!("{client}-again"))), [("acme-demo", "2.0")]);
    }
}

#[test]
fn pip_takes_up_a_download_where_it_broke_off() {
    let scene = Scene::new();
    // The relay sees what the server itself sends.
    scene.settings(&json!({"redirect": false}));
    let wheel = Wheel::new("acme-large", "1.0").file("acme_large.bin", random_bytes(2 << 20)).build();
    scene.publish(&wheel);
    let (host, broken) = (scene.server.host(), AtomicBool::new(false));
    let relay = Relay::with(&host, move |seen, mut passing| {
        if Path::new(&seen.path).extension() == Some("whl".as_ref()) && !broken.swap(true, Ordering::Relaxed)
        {
            passing.body.truncate(1 << 20);
        }
        passing
    });
    let url = relay.url(&scene.index_url_of(&scene.viewer), &host);
    run(scene.pip("pip", &["download", "--dest", &scene.home.file("back"), "--resume-retries", "3"]).args([
        "--index-url",
        &url,
        "acme-large",
    ]))
    .success();
    let back = std::fs::read(scene.home.path().join("back").join(&wheel.filename)).unwrap();
    assert!(back == wheel.bytes, "the file came back different");
    let seen = relay.take();
    let resumed = seen.iter().find(|seen| seen.status == 206);
    let resumed = resumed.unwrap_or_else(|| panic!("nothing was resumed: {:?}", steps(&seen)));
    assert!(resumed.head.contains("range: bytes=1048576-"), "{}", resumed.head);
    assert!(resumed.head.contains("if-range: "), "{}", resumed.head);
}

/// A page in JSON that offers no metadata apart from the files.
fn without_metadata(seen: &Seen, passing: Passing) -> Passing {
    if !seen.path.contains("/simple/") || seen.status != 200 {
        return passing;
    }
    let mut page: Value = serde_json::from_slice(&passing.body).expect("a page in JSON");
    for file in page["files"].as_array_mut().expect("a list of files") {
        for key in ["core-metadata", "dist-info-metadata"] {
            file.as_object_mut().expect("a file is an object").remove(key);
        }
    }
    passing.with_body(page.to_string().into_bytes())
}

#[test]
fn clients_read_the_metadata_out_of_the_wheel_where_they_have_to() {
    let scene = Scene::new();
    scene.settings(&json!({"redirect": false}));
    scene.publish(&Wheel::new("acme-base", "1.0").build());
    scene.publish(
        &Wheel::new("acme-top", "1.0")
            .header("Requires-Dist", "acme-base>=1")
            .file("acme_top.bin", random_bytes(1 << 20))
            .build(),
    );
    let host = scene.server.host();
    let relay = Relay::with(&host, without_metadata);
    let url = relay.url(&scene.index_url_of(&scene.viewer), &host);
    run(scene
        .pip("pip", &["install", "--use-feature", "fast-deps", "--target", &scene.home.file("pip")])
        .args(["--index-url", &url, "acme-top"]))
    .success();
    let pip = relay.take();
    run(scene.client("uv", "uv").args([
        "pip",
        "install",
        "--target",
        &scene.home.file("uv"),
        "--default-index",
        &url,
        "acme-top",
    ]))
    .success();
    let uv = relay.take();
    for (client, seen) in [("pip", pip), ("uv", uv)] {
        assert_eq!(pairs(&scene.installed(client)), [("acme-base", "1.0"), ("acme-top", "1.0")]);
        let steps = steps(&seen);
        assert!(steps.iter().any(|(method, _, status)| method == "HEAD" && *status == 200), "{steps:?}");
        assert!(steps.iter().any(|(method, _, status)| method == "GET" && *status == 206), "{steps:?}");
        assert!(steps.iter().all(|(_, _, status)| *status < 300), "{steps:?}");
    }
}

#[test]
fn an_interpreter_gets_the_files_that_are_for_it() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").header("Requires-Python", ">=3.8").build());
    scene.publish(&Wheel::new("acme-demo", "2.0").header("Requires-Python", ">=99").build());
    for client in PIPS {
        scene.pip_install(client, client, &["acme-demo"]).success();
        assert_eq!(pairs(&scene.installed(client)), [("acme-demo", "1.0")]);
    }
    scene.uv_install("uv", &["acme-demo"]).success();
    assert_eq!(pairs(&scene.installed("uv")), [("acme-demo", "1.0")]);
    scene.pip_install("pip", "pinned", &["acme-demo==2.0"]).failure().says("require a different python");
}

#[test]
fn pip_tells_what_is_wrong_with_the_credentials() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    let url = scene.index_url().replacen("://", "://victor:wrong@", 1);
    let target = scene.home.file("wrong");
    let install = ["install", "--target", &target, "--index-url", &url, "acme-demo"];
    run(&mut scene.pip("pip", &install)).failure().says("401 Error, Credentials not correct");
    run(&mut scene.pip("pip-23.0", &install)).failure().says("no matching distribution");
    // Somebody without the right is not asked again for a password, and learns nothing of the index.
    let url = scene.index_url_of(&scene.stranger);
    for client in PIPS {
        run(&mut scene.pip(client, &["install", "--target", &target, "--index-url", &url, "acme-demo"]))
            .failure()
            .says("no matching distribution")
            .says_nothing_of("1.0");
    }
}
