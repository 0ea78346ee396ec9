//! Skopeo: copies between an image layout on disk and the server, without an engine.

use testkit::images::{Image, Index};
use testkit::{Output, Sandbox, sha256};

use crate::scene::{Account, NOT_LOGGED_IN, Scene};

fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    let arguments = ["login", "--tls-verify=false", "--username", account.name, "--password-stdin", host];
    home.run_with_input("skopeo", &arguments, password)
}

/// Copies with every byte kept; `from` and `to` carry their transport.
fn copy(home: &Sandbox, from: &str, to: &str) -> Output {
    let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    home.run("skopeo", &[&["copy", "--all", "--preserve-digests"], &plain[..], &[from, to]].concat())
}

#[test]
fn skopeo_copies_lists_and_deletes() {
    let scene = Scene::new();
    let skopeo = |arguments: &[&str]| scene.home.run("skopeo", arguments);
    let remote = |name: &str| format!("docker://{}", scene.reference(name));
    let layout = |name: &str| format!("oci:{}", scene.home.file(name));
    let (image, index) = (Image::random(), Index::random());
    image.layout_write(&scene.home.path().join("one"), "1");
    index.layout_write(&scene.home.path().join("many"), "1");

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password)
        .success()
        .says("login succeeded");
    copy(&scene.home, &layout("one:1"), &remote("skopeo:one")).success();
    copy(&scene.home, &layout("many:1"), &remote("skopeo:many")).success();
    scene.holds_image("skopeo", "one", &image);
    scene.holds_index("skopeo", "many", &index);

    // Into another repository of the server: the blobs are mounted, not sent again.
    copy(&scene.home, &remote("skopeo:many"), &remote("skopeo/copy:many")).success();
    scene.holds_index("skopeo/copy", "many", &index);

    copy(&scene.home, &remote("skopeo:one"), &layout("back:1")).success();
    let blob = |digest: &str| {
        let name = digest.replace("sha256:", "back/blobs/sha256/");
        std::fs::read(scene.home.path().join(name)).unwrap()
    };
    for pushed in [&image.manifest, &image.config, &image.layer] {
        assert!(blob(&pushed.digest()) == pushed.bytes, "{} came back different", pushed.digest());
    }

    let listed = skopeo(&["list-tags", "--tls-verify=false", &remote("skopeo")]).success();
    let listed: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!(listed["Tags"], serde_json::json!(["many", "one"]));
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &remote("skopeo:many")]).success();
    assert_eq!(sha256(raw.stdout.as_bytes()), index.manifest.digest());

    skopeo(&["delete", "--tls-verify=false", &remote("skopeo:one")]).success();
    scene.holds_nothing("skopeo", "one");
    scene.holds_nothing("skopeo", &image.manifest.digest());
    scene.holds_index("skopeo", "many", &index);
}

#[test]
fn skopeo_tells_why_not() {
    let scene = Scene::new();
    let skopeo = |arguments: &[&str]| scene.home.run("skopeo", arguments);
    let remote = |name: &str| format!("docker://{}", scene.reference(name));
    let local = format!("oci:{}", scene.home.file("one:1"));
    Image::random().layout_write(&scene.home.path().join("one"), "1");

    copy(&scene.home, &local, &remote("skopeo:1")).failure().says_one_of(NOT_LOGGED_IN);
    login(&scene.home, &scene.host(), &scene.writer, "wrong").failure().says("invalid username/password");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    copy(&scene.home, &local, &remote("skopeo:1")).success();
    let inspect = |name: &str| skopeo(&["inspect", "--tls-verify=false", &remote(name)]);
    inspect("skopeo:unknown").failure().says("manifest unknown");
    inspect("nothing:1").failure().says("unknown");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    copy(&scene.home, &local, &remote("skopeo:3")).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    inspect("skopeo:1").failure().says("denied");
    inspect("nothing:1").failure().says("denied").says_nothing_of("unknown");
    copy(&scene.home, &local, &remote("skopeo:2")).failure().says("403");
    skopeo(&["delete", "--tls-verify=false", &remote("skopeo:1")]).failure();
    assert_eq!(scene.admin.tag_list("demo/main/skopeo"), ["1"]);
}
