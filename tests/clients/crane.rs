//! Crane: the client library that cosign and ko share, with a command line.

use testkit::images::{Image, Index};
use testkit::{Output, Sandbox};

use crate::scene::{Account, NOT_LOGGED_IN, Scene, contains, repository};

/// Crane keeps what it is given without asking the server, so a wrong password shows at the next command.
fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    let arguments = ["auth", "login", "--insecure", "--username", account.name, "--password-stdin", host];
    home.run_with_input("crane", &arguments, password).success()
}

#[test]
fn crane_pushes_pulls_copies_lists_and_deletes() {
    let scene = Scene::new();
    let crane = |arguments: &[&str]| scene.home.run("crane", &[&["--insecure"], arguments].concat());
    let (image, index) = (Image::random(), Index::random());
    image.layout_write(&scene.home.path().join("one"), "1");
    index.layout_write(&scene.home.path().join("many"), "1");
    let (one, many) = (scene.reference("crane:one"), scene.reference("crane:many"));

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).says("logged in");
    crane(&["push", &scene.home.file("one"), &one]).success().says(&image.manifest.digest());
    scene.holds_image("crane", "one", &image);
    crane(&["push", "--index", &scene.home.file("many"), &many]).success();

    crane(&["pull", "--format", "oci", &one, &scene.home.file("back")]).success();
    for pushed in [&image.manifest, &image.config, &image.layer] {
        let name = pushed.digest().replace("sha256:", "back/blobs/sha256/");
        let pulled = std::fs::read(scene.home.path().join(name)).unwrap();
        assert!(pulled == pushed.bytes, "{} came back different", pushed.digest());
    }
    crane(&["export", &one, &scene.home.file("export.tar")]).success();
    assert!(contains(&std::fs::read(scene.home.path().join("export.tar")).unwrap(), &image.payload));
    assert_eq!(crane(&["digest", &one]).success().stdout.trim(), image.manifest.digest());

    // Across repositories of one server crane mounts the blobs.
    crane(&["copy", &one, &scene.reference("crane/copy:one")]).success();
    scene.holds_image("crane/copy", "one", &image);
    crane(&["tag", &one, "two"]).success();
    assert_eq!(crane(&["ls", &scene.reference("crane")]).success().lines(), ["many", "one", "two"]);
    let catalog = crane(&["catalog", &scene.host()]).success();
    assert_eq!(catalog.lines(), [repository("crane"), repository("crane/copy")]);

    crane(&["delete", &scene.reference(&format!("crane@{}", image.manifest.digest()))]).success();
    scene.holds_nothing("crane", "one");
    scene.holds_nothing("crane", "two");
    scene.holds_image("crane/copy", "one", &image);
}

#[test]
fn crane_tells_why_not() {
    let scene = Scene::new();
    let crane = |arguments: &[&str]| scene.home.run("crane", &[&["--insecure"], arguments].concat());
    Image::random().layout_write(&scene.home.path().join("one"), "1");
    let (layout, one) = (scene.home.file("one"), scene.reference("crane:1"));

    crane(&["push", &layout, &one]).failure().says_one_of(NOT_LOGGED_IN);
    login(&scene.home, &scene.host(), &scene.writer, "wrong");
    crane(&["push", &layout, &one]).failure().says("unauthorized");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password);
    crane(&["push", &layout, &one]).success();
    crane(&["manifest", &scene.reference("crane:unknown")]).failure().says("manifest_unknown");
    crane(&["ls", &scene.reference("nothing")]).failure().says("name_unknown");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password);
    crane(&["push", &layout, &scene.reference("crane:2")]).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password);
    crane(&["manifest", &one]).failure().says("denied");
    crane(&["ls", &scene.reference("nothing")]).failure().says("denied").says_nothing_of("unknown");
    crane(&["push", &layout, &one]).failure().says("403");
    crane(&["delete", &one]).failure().says("denied");
    crane(&["catalog", &scene.host()]).success().says_nothing_of("demo/main");
}
