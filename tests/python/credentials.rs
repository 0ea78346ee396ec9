//! How installers are given their credentials: in the URL, in the environment, in the home, on request.

use testkit::python::Wheel;
use testkit::run;

use crate::scene::{Scene, pairs};

#[test]
fn installers_take_their_credentials_from_the_home() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    let netrc =
        format!("machine localhost\nlogin {}\npassword {}\n", scene.viewer.name, scene.viewer.password);
    scene.home.write("home/.netrc", netrc);
    for client in ["pip", "pip-23.0"] {
        let target = scene.home.file(client);
        run(&mut scene
            .pip(client, &["install", "--target", &target, "--index-url", &scene.index_url(), "acme-demo"]))
        .success();
        assert_eq!(pairs(&scene.installed(client)), [("acme-demo", "1.0")]);
    }
    run(scene.client("uv", "uv").args([
        "pip",
        "install",
        "--target",
        &scene.home.file("uv"),
        "--default-index",
        &scene.index_url(),
        "acme-demo",
    ]))
    .success();
    assert_eq!(pairs(&scene.installed("uv")), [("acme-demo", "1.0")]);

    // Uv publishes with the same file; the writer's own line replaces the viewer's.
    let netrc =
        format!("machine localhost\nlogin {}\npassword {}\n", scene.writer.name, scene.writer.password);
    scene.home.write("home/.netrc", netrc);
    let path = scene.save(&Wheel::new("acme-demo", "1.1").build());
    run(scene.client("uv", "uv").args(["publish", "--publish-url", &scene.upload_url(), &path])).success();
    assert_eq!(scene.files("acme-demo").len(), 2);
}

#[test]
fn installers_take_their_index_from_the_environment() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    for client in ["pip", "pip-23.0"] {
        run(scene
            .pip(client, &["install", "--target", &scene.home.file(client), "acme-demo"])
            .env("PIP_INDEX_URL", scene.index_url_of(&scene.viewer)))
        .success();
        assert_eq!(pairs(&scene.installed(client)), [("acme-demo", "1.0")]);
    }
    // Without the slash at the end, as people type it.
    let bare = scene.index_url_of(&scene.viewer);
    let bare = bare.trim_end_matches('/');
    run(scene
        .pip("pip", &["install", "--target", &scene.home.file("bare"), "acme-demo"])
        .env("PIP_INDEX_URL", bare))
    .success();
    run(scene
        .client("uv", "uv")
        .args(["pip", "install", "--target", &scene.home.file("uv-bare"), "acme-demo"])
        .env("UV_DEFAULT_INDEX", bare))
    .success();
    for folder in ["bare", "uv-bare"] {
        assert_eq!(pairs(&scene.installed(folder)), [("acme-demo", "1.0")]);
    }
}

#[test]
fn a_password_may_be_escaped_in_an_index_url() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    let password = "p@ss/w:rd %41";
    scene.admin.user_create("petra", password);
    scene.admin.member_put(testkit::Place::Registry("demo", "main"), "petra", testkit::Role::Viewer);
    let url = scene.index_url().replacen("://", "://petra:p%40ss%2Fw%3Ard%20%2541@", 1);
    let pip = ["install", "--target", &scene.home.file("pip"), "--index-url", &url, "acme-demo"];
    run(&mut scene.pip("pip", &pip)).success();
    let uv = ["pip", "install", "--target", &scene.home.file("uv"), "--default-index", &url, "acme-demo"];
    run(scene.client("uv", "uv").args(uv)).success();
    for folder in ["pip", "uv"] {
        assert_eq!(pairs(&scene.installed(folder)), [("acme-demo", "1.0")]);
    }
}

#[test]
fn a_public_registry_needs_no_credentials_and_a_private_one_gives_nothing_without() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-demo", "1.0").build());
    let install = |folder: &str| {
        let target = scene.home.file(folder);
        let index = scene.index_url();
        run(&mut scene.pip("pip", &["install", "--target", &target, "--index-url", &index, "acme-demo"]))
    };
    let uv = |folder: &str| {
        let target = scene.home.file(folder);
        let index = scene.index_url();
        run(scene.client("uv", "uv").args([
            "pip",
            "install",
            "--no-cache",
            "--target",
            &target,
            "--default-index",
            &index,
            "acme-demo",
        ]))
    };
    install("private").failure();
    uv("private").failure().says("401");
    scene.admin.registry_update("demo", "main", testkit::Visibility::Public);
    install("public").success();
    uv("public-uv").success();
    for folder in ["public", "public-uv"] {
        assert_eq!(pairs(&scene.installed(folder)), [("acme-demo", "1.0")]);
    }
}

#[test]
fn files_at_an_absolute_address_are_asked_for_with_the_same_credentials() {
    let (scene, relay) = Scene::behind_a_relay();
    scene.publish(&Wheel::new("acme-base", "1.0").build());
    scene.publish(&Wheel::new("acme-top", "1.0").header("Requires-Dist", "acme-base").build());
    let page = scene.page("acme-top");
    let url = page["files"][0]["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("http://{}/", relay.host())), "{url}");
    let index = relay.url(&scene.index_url_of(&scene.viewer), &scene.server.host());
    for client in ["pip", "pip-23.0"] {
        let target = scene.home.file(client);
        run(&mut scene.pip(client, &["install", "--target", &target, "--index-url", &index, "acme-top"]))
            .success();
    }
    let target = scene.home.file("uv");
    let uv = ["pip", "install", "--target", &target, "--default-index", &index, "acme-top"];
    run(scene.client("uv", "uv").args(uv)).success();
    for folder in ["pip", "pip-23.0", "uv"] {
        assert_eq!(pairs(&scene.installed(folder)), [("acme-base", "1.0"), ("acme-top", "1.0")]);
    }
}
