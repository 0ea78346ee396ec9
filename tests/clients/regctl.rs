//! Regctl: the client that uploads in chunks when it is told to, and asks a broken upload how far it came.

use testkit::images::{Image, Index};
use testkit::{Output, Sandbox};

use crate::scene::{Account, Scene, repository};

/// Tells regctl that the server speaks plain HTTP, then logs in.
fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    home.run("regctl", &["registry", "set", host, "--tls", "disabled", "--skip-check"]).success();
    home.run_with_input(
        "regctl",
        &["registry", "login", host, "--user", account.name, "--pass-stdin"],
        password,
    )
}

#[test]
fn regctl_pushes_pulls_lists_and_deletes() {
    let scene = Scene::new();
    let regctl = |arguments: &[&str]| scene.home.run("regctl", arguments);
    let layout = |name: &str| format!("ocidir://{}", scene.home.file(name));
    let (image, index) = (Image::random_of("amd64", 300_000), Index::random());
    image.layout_write(&scene.home.path().join("one"), "1");
    index.layout_write(&scene.home.path().join("many"), "1");
    let (one, many) = (scene.reference("regctl:one"), scene.reference("regctl:many"));

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    // Several chunks for the layer of 300 kB.
    let chunks = ["registry", "set", &scene.host(), "--blob-chunk", "65536", "--blob-max", "65536"];
    regctl(&[&chunks[..], &["--skip-check"]].concat()).success();
    regctl(&["image", "copy", &layout("one:1"), &one]).success();
    regctl(&["image", "copy", &layout("many:1"), &many]).success();
    scene.holds_image("regctl", "one", &image);
    scene.holds_index("regctl", "many", &index);

    regctl(&["image", "copy", &one, &layout("back:1")]).success();
    for pushed in [&image.manifest, &image.config, &image.layer] {
        let name = pushed.digest().replace("sha256:", "back/blobs/sha256/");
        let pulled = std::fs::read(scene.home.path().join(name)).unwrap();
        assert!(pulled == pushed.bytes, "{} came back different", pushed.digest());
    }
    assert_eq!(regctl(&["image", "digest", &many]).success().stdout.trim(), index.manifest.digest());
    assert_eq!(regctl(&["tag", "ls", &scene.reference("regctl")]).success().lines(), ["many", "one"]);
    assert_eq!(regctl(&["repo", "ls", &scene.host()]).success().lines(), [repository("regctl")]);

    regctl(&["tag", "delete", &one]).success();
    scene.holds_nothing("regctl", "one");
    scene.holds_image("regctl", &image.manifest.digest(), &image);
    let pinned = scene.reference(&format!("regctl@{}", image.manifest.digest()));
    regctl(&["manifest", "delete", &pinned]).success();
    scene.holds_nothing("regctl", &image.manifest.digest());
    scene.holds_index("regctl", "many", &index);
}

#[test]
fn regctl_tells_why_not() {
    let scene = Scene::new();
    let regctl = |arguments: &[&str]| scene.home.run("regctl", arguments);
    Image::random().layout_write(&scene.home.path().join("one"), "1");
    let (local, one) = (format!("ocidir://{}", scene.home.file("one:1")), scene.reference("regctl:1"));

    login(&scene.home, &scene.host(), &scene.writer, "wrong").failure().says("unauthorized");
    regctl(&["image", "copy", &local, &one]).failure().says("unauthorized");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    regctl(&["image", "copy", &local, &one]).success();
    regctl(&["manifest", "get", &scene.reference("regctl:unknown")]).failure().says("not found");
    regctl(&["tag", "ls", &scene.reference("nothing")]).failure().says("not found");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    regctl(&["image", "copy", &local, &scene.reference("regctl:3")]).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    regctl(&["manifest", "get", &one]).failure().says("403");
    regctl(&["tag", "ls", &scene.reference("nothing")]).failure().says("403").says_nothing_of("not found");
    regctl(&["image", "copy", &local, &scene.reference("regctl:2")]).failure().says("403");
    regctl(&["tag", "delete", &one]).failure();
    assert_eq!(scene.admin.tag_list(&repository("regctl")), ["1"]);
}
