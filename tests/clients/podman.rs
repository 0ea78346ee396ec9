//! Podman: pushes what it loaded from an archive, as a person would who got one by mail.

use testkit::images::{Image, Index};
use testkit::{Output, Sandbox};

use crate::scene::{Account, NOT_LOGGED_IN, Scene, contains};

const PLAIN: &str = "--tls-verify=false";

fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    home.run_with_input(
        "podman",
        &["login", PLAIN, "--username", account.name, "--password-stdin", host],
        password,
    )
}

#[test]
fn podman_pushes_lists_and_pulls_the_same_bytes() {
    let scene = Scene::new();
    let podman = |arguments: &[&str]| scene.home.run("podman", arguments);
    let (image, reference) = (Image::random(), scene.reference("podman:1"));
    image.docker_archive_write(&scene.home.path().join("image.tar"), &reference);
    podman(&["load", "--input", &scene.home.file("image.tar")]).success();

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password)
        .success()
        .says("login succeeded");
    podman(&["push", PLAIN, "--digestfile", &scene.home.file("digest"), &reference]).success();
    let digest = std::fs::read_to_string(scene.home.path().join("digest")).unwrap();
    assert_eq!(testkit::sha256(&scene.manifest("podman", "1")), digest);
    podman(&["search", PLAIN, "--list-tags", "--format", "{{.Tag}}", &scene.reference("podman")])
        .success()
        .says("1");

    podman(&["image", "rm", &reference]).success();
    podman(&["pull", PLAIN, &scene.reference(&format!("podman@{digest}"))]).success();
    podman(&["pull", PLAIN, &reference]).success();
    let id = podman(&["image", "inspect", "--format", "{{.Id}}", &reference]).success();
    assert_eq!(format!("sha256:{}", id.stdout.trim()), image.config.digest());
    podman(&["save", "--output", &scene.home.file("saved.tar"), &reference]).success();
    let saved = std::fs::read(scene.home.path().join("saved.tar")).unwrap();
    assert!(contains(&saved, &image.payload), "the pulled image lacks the file that was pushed");
}

#[test]
fn podman_pulls_its_platform_out_of_an_index() {
    let scene = Scene::new();
    let index = Index::random();
    index.layout_write(&scene.home.path().join("layout"), "1");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    let (from, to) = (scene.home.file("layout:1"), scene.reference("podman:many"));
    scene
        .home
        .run(
            "skopeo",
            &[
                "copy",
                "--all",
                "--dest-tls-verify=false",
                "--preserve-digests",
                &format!("oci:{from}"),
                &format!("docker://{to}"),
            ],
        )
        .success();
    for (architecture, image) in ["amd64", "arm64"].iter().zip(&index.images) {
        let pulled = scene
            .home
            .run("podman", &["pull", PLAIN, "--quiet", "--platform", &format!("linux/{architecture}"), &to]);
        assert_eq!(format!("sha256:{}", pulled.success().stdout.trim()), image.config.digest());
    }
}

#[test]
fn podman_tells_why_not() {
    let scene = Scene::new();
    let podman = |arguments: &[&str]| scene.home.run("podman", arguments);
    let reference = scene.reference("podman:1");
    Image::random().docker_archive_write(&scene.home.path().join("image.tar"), &reference);
    podman(&["load", "--input", &scene.home.file("image.tar")]).success();

    podman(&["push", PLAIN, &reference]).failure().says_one_of(NOT_LOGGED_IN);
    login(&scene.home, &scene.host(), &scene.writer, "wrong").failure().says("invalid username/password");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    podman(&["push", PLAIN, &reference]).success();
    podman(&["pull", PLAIN, &scene.reference("podman:unknown")]).failure().says("manifest unknown");
    podman(&["pull", PLAIN, &scene.reference("nothing:1")]).failure().says("unknown");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    podman(&["push", PLAIN, &reference]).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    podman(&["pull", PLAIN, &scene.reference("podman:1")]).failure().says("denied");
    podman(&["push", PLAIN, &reference]).failure().says("403");
    podman(&["pull", PLAIN, &scene.reference("nothing:1")])
        .failure()
        .says("denied")
        .says_nothing_of("unknown");
}
