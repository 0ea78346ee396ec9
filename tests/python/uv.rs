//! Uv: publishing with and without a look at the index, installing, locking.

use testkit::python::Wheel;
use testkit::{Options, run};

use crate::corpus::corpus_file;
use crate::relay::{Passing, Relay};
use crate::scene::{REGISTRY, Scene, pairs, with_credentials};

#[test]
fn uv_publishes_and_sees_what_is_there_already() {
    let scene = Scene::new();
    let host = scene.server.host();
    let relay = Relay::new(&host);
    let file = corpus_file("idna-3.7-py3-none-any.whl");
    let path = scene.save(&file);
    let (upload, check) =
        (relay.url(&scene.upload_url(), &host), relay.url(&scene.index_url_of(&scene.writer), &host));

    scene.uv_publish(&["--publish-url", &upload, &path]).success();
    assert_eq!(scene.stored("idna", &file.filename), file.bytes);
    // The same bytes once more are no mistake.
    scene.uv_publish(&["--publish-url", &upload, &path]).success();
    relay.take();
    scene
        .uv_publish(&["--publish-url", &upload, "--check-url", &check, &path])
        .success()
        .says("already exists");
    let posts: Vec<_> = relay.take().into_iter().filter(|seen| seen.method == "POST").collect();
    assert!(posts.is_empty(), "{posts:?}");

    let other = Wheel::new("idna", "3.7").build();
    assert_eq!(other.filename, file.filename);
    scene.save(&other);
    scene
        .uv_publish(&["--publish-url", &upload, "--check-url", &check, &path])
        .failure()
        .says("do not match");
    assert!(relay.take().iter().all(|seen| seen.method != "POST"));
    scene
        .uv_publish(&["--publish-url", &upload, &path])
        .failure()
        .says("409 File already exists")
        .says_nothing_of("\"errors\"");
    assert_eq!(scene.stored("idna", &file.filename), file.bytes);
}

#[test]
fn uv_is_configured_by_the_environment_alone() {
    let scene = Scene::new();
    let path = scene.save(&Wheel::new("acme-demo", "1.0").build());
    run(scene
        .client("uv", "uv")
        .args(["publish", &path])
        .env("UV_PUBLISH_URL", scene.upload_url())
        .env("UV_PUBLISH_TOKEN", scene.token()))
    .success();

    let install = |folder: &str| {
        let mut command = scene.client("uv", "uv");
        command.args(["pip", "install", "--no-cache", "--target", &scene.home.file(folder), "acme-demo"]);
        command
    };
    run(install("url").env("UV_DEFAULT_INDEX", scene.index_url_of(&scene.viewer))).success();
    run(install("old").env("UV_INDEX_URL", scene.index_url_of(&scene.viewer))).success();
    run(install("named")
        .env("UV_DEFAULT_INDEX", format!("larder={}", scene.index_url()))
        .env("UV_INDEX_LARDER_USERNAME", scene.viewer.name)
        .env("UV_INDEX_LARDER_PASSWORD", &scene.viewer.password))
    .success();
    for folder in ["url", "old", "named"] {
        assert_eq!(pairs(&scene.installed(folder)), [("acme-demo", "1.0")], "{folder}");
    }
}

#[test]
fn uv_is_told_that_the_index_takes_no_uploads() {
    let scene = Scene::new();
    let path = scene.save(&Wheel::new("acme-demo", "1.0").build());
    scene
        .uv_publish(&["--publish-url", &scene.index_url(), &path])
        .failure()
        .says("405")
        .says("simple index URL instead of the upload URL");
    assert!(scene.files("acme-demo").is_empty());
}

#[test]
fn uv_looks_elsewhere_only_for_what_is_nowhere_here() {
    let scene = Scene::new();
    // The other index has the name that ours is asked for.
    scene.admin.registry_create("demo", "other", testkit::Visibility::Public);
    let other = Wheel::new("acme-demo", "99.0").build();
    scene.admin.python_upload("demo", "other", &other).expect(&[200]);
    let public = scene.index_url().replace("/main/", "/other/");
    let install = |folder: &str, index: &str| {
        run(scene
            .client("uv", "uv")
            .args(["pip", "install", "--no-cache", "--target", &scene.home.file(folder)])
            .args(["--index", index, "--default-index", &public, "acme-demo"]))
    };

    let ours = scene.index_url_of(&scene.viewer);
    install("absent", &ours).success();
    assert_eq!(pairs(&scene.installed("absent")), [("acme-demo", "99.0")]);

    let wrong = with_credentials(
        &scene.index_url(),
        &crate::scene::Account { name: "victor", password: "wrong".to_owned() },
    );
    install("wrong", &wrong).failure().says("401");
    install("stranger", &scene.index_url_of(&scene.stranger)).failure().says("403");
    let host = scene.server.host();
    let relay = Relay::with(&host, |seen, passing| {
        if seen.path.contains("/main/") { Passing::refusal("503 Service Unavailable") } else { passing }
    });
    install("down", &relay.url(&ours, &host)).failure().says("503");
    for folder in ["wrong", "stranger", "down"] {
        assert!(scene.installed(folder).is_empty(), "{folder} was installed from elsewhere");
    }

    // A name that is ours without any file left stays ours.
    let mine = Wheel::new("acme-demo", "1.0").build();
    scene.publish(&mine);
    let path = format!("/projects/acme-demo/files/{}", mine.filename);
    scene.admin.python_manage(testkit::Method::DELETE, REGISTRY.0, REGISTRY.1, &path, None).expect(&[204]);
    assert!(scene.files("acme-demo").is_empty());
    install("empty", &ours).failure();
    assert!(scene.installed("empty").is_empty());
}

#[test]
fn a_lock_file_holds_addresses_that_last_and_no_secret() {
    let options = Options::new(env!("CARGO_BIN_EXE_larder"));
    let mut scene = Scene::with(options);
    let wheel = Wheel::new("acme-demo", "1.0+local").build();
    scene.publish(&wheel);
    let project = |index: &str| {
        format!(
            "[project]\nname = \"consumer\"\nversion = \"0\"\nrequires-python = \">=3.11\"\n\
             dependencies = [\"acme-demo\"]\n\n[[tool.uv.index]]\nname = \"larder\"\nurl = \"{index}\"\n\
             default = true\n"
        )
    };
    std::fs::create_dir(scene.home.path().join("consumer")).unwrap();
    scene.home.write("consumer/pyproject.toml", project(&scene.index_url()));
    let uv = |scene: &Scene, arguments: &[&str]| {
        run(scene
            .client("uv", "uv")
            .args(["--directory", &scene.home.file("consumer")])
            .args(arguments)
            .env("UV_INDEX_LARDER_USERNAME", scene.viewer.name)
            .env("UV_INDEX_LARDER_PASSWORD", &scene.viewer.password))
        .success()
    };
    uv(&scene, &["lock"]);
    let lock = std::fs::read_to_string(scene.home.path().join("consumer/uv.lock")).unwrap();
    assert!(!lock.contains(&scene.viewer.password) && !lock.contains(scene.viewer.name), "{lock}");
    assert!(lock.contains(&wheel.sha256()), "{lock}");

    // The server is started anew over the same data, with more in the index; the lock leads to the same bytes.
    scene.server.restart();
    scene.publish(&Wheel::new("acme-demo", "2.0").build());
    uv(&scene, &["sync", "--frozen", "--no-cache"]);
    let site = scene.home.path().join("consumer/.venv/lib");
    let site = std::fs::read_dir(site).unwrap().next().unwrap().unwrap().path().join("site-packages");
    assert_eq!(crate::scene::installed(&site).get("acme-demo").map(String::as_str), Some("1.0+local"));
    uv(&scene, &["lock", "--no-cache"]);
    let again = std::fs::read_to_string(scene.home.path().join("consumer/uv.lock")).unwrap();
    assert_eq!(lock, again);
}
