//! Twine, the current one and the last one that skips existing files on any index.

use serde_json::Value;
use testkit::python::{Sdist, Wheel};
use testkit::{run, sha256};

use crate::corpus::corpus_file;
use crate::relay::{Passing, Relay};
use crate::scene::{REGISTRY, Scene, pairs};

/// The upload times of a page, which a repeated upload must not move.
fn upload_times(page: &Value) -> Vec<&Value> {
    page["files"].as_array().expect("a list of files").iter().map(|file| &file["upload-time"]).collect()
}

#[test]
fn twine_uploads_with_a_token_and_may_repeat_itself() {
    let scene = Scene::new();
    let token = scene.token();
    assert!(
        token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte)),
        "a token goes into URLs as it is: {token}"
    );
    let wheel = scene.save(&corpus_file("six-1.17.0-py2.py3-none-any.whl"));
    let sdist = scene.save(&corpus_file("six-1.17.0.tar.gz"));
    let slash = format!("{}/", scene.upload_url());
    let upload = |url: &str, files: &[&str]| {
        run(scene
            .client("twine", "twine")
            .args(["upload", "--non-interactive", "--disable-progress-bar", "--repository-url", url])
            .args(["--username", "__token__", "--password", &token])
            .args(files))
    };

    upload(&scene.upload_url(), &[&wheel]).success();
    assert_eq!(scene.files("six"), ["six-1.17.0-py2.py3-none-any.whl"]);
    let repository = format!("{}/{}/six", REGISTRY.0, REGISTRY.1);
    let viewer = scene.api_of(&scene.viewer);
    let alone = viewer.manifest_get(&repository, "1.17.0").expect(&[200]);
    assert_eq!(alone.json()["artifactType"], "application/vnd.python.artifact");

    // With the sdist beside it, the version leads to both, and the wheel's own manifest is what it was.
    upload(&slash, &[&wheel, &sdist]).success();
    assert_eq!(scene.files("six"), ["six-1.17.0-py2.py3-none-any.whl", "six-1.17.0.tar.gz"]);
    let both = viewer.manifest_get(&repository, "1.17.0").expect(&[200]);
    assert_eq!(both.json()["manifests"].as_array().map(Vec::len), Some(2), "{both}");
    viewer.manifest_get(&repository, &sha256(&alone.body)).expect(&[200]);

    let before = scene.page("six");
    upload(&scene.upload_url(), &[&wheel, &sdist]).success();
    let after = scene.page("six");
    assert_eq!(upload_times(&before), upload_times(&after));
    assert_eq!(before["files"], after["files"]);
    assert_eq!(viewer.manifest_get(&repository, "1.17.0").body, both.body);
}

#[test]
fn other_content_under_the_same_name_is_refused_and_an_old_twine_can_skip_it() {
    let scene = Scene::new();
    let first = Wheel::new("acme-demo", "1.0").build();
    let second = Wheel::new("acme-demo", "1.0").file("other.py", "").build();
    scene.twine("twine", &[&scene.save(&first)]).success();
    let path = scene.save(&second);
    for client in ["twine", "twine-6.1"] {
        scene.twine(client, &[&path]).failure().says("409").says("File already exists").says(&first.filename);
    }
    scene.twine("twine-6.1", &["--skip-existing", &path]).success().says("skipping");
    assert_eq!(scene.stored("acme-demo", &first.filename), first.bytes);
}

#[test]
fn twine_is_configured_by_a_file_or_by_the_environment() {
    let scene = Scene::new();
    let wheel = scene.save(&Wheel::new("acme-file", "1.0").build());
    let configuration = format!(
        "[distutils]\nindex-servers = larder\n\n[larder]\nrepository = {}\nusername = __token__\npassword = {}\n",
        scene.upload_url(),
        scene.token()
    );
    scene.home.write("home/.pypirc", configuration);
    for client in ["twine", "twine-6.1"] {
        run(scene.client(client, "twine").args(["upload", "--repository", "larder", &wheel])).success();
    }
    assert_eq!(scene.files("acme-file").len(), 1);

    let wheel = scene.save(&Wheel::new("acme-env", "1.0").build());
    run(scene
        .client("twine", "twine")
        .args(["upload", &wheel])
        .env("TWINE_REPOSITORY_URL", scene.upload_url())
        .env("TWINE_USERNAME", "__token__")
        .env("TWINE_PASSWORD", scene.token())
        .env("TWINE_NON_INTERACTIVE", "1"))
    .success();
    assert_eq!(scene.files("acme-env").len(), 1);
}

#[test]
fn a_name_is_one_project_however_a_client_spells_it() {
    let scene = Scene::new();
    let one = scene.save(&Wheel::new("Acme.Demo_pkg", "1.0").build());
    let two = scene.save(&Wheel::new("Acme.Demo_pkg", "1.1").build());
    scene.twine("twine", &[&one]).success();
    scene.uv_publish(&[&two]).success();
    assert_eq!(
        scene.files("acme-demo-pkg"),
        ["acme_demo_pkg-1.0-py3-none-any.whl", "acme_demo_pkg-1.1-py3-none-any.whl"]
    );
    scene.pip_install("pip", "new", &["ACME__demo.Pkg==1.0"]).success();
    assert_eq!(pairs(&scene.installed("new")), [("acme-demo-pkg", "1.0")]);
}

#[test]
fn local_versions_and_epochs_go_in_and_come_out() {
    let scene = Scene::new();
    for (client, name, version, tag) in [
        ("twine", "acme-one", "1.0+cu118.abc", "1.0_cu118.abc"),
        ("uv", "acme-two", "1.0+cu118.abc", "1.0_cu118.abc"),
        ("twine", "acme-three", "1!2.0", "1__2.0"),
        ("uv", "acme-four", "1!2.0", "1__2.0"),
    ] {
        let wheel = Wheel::new(name, version).build();
        let path = scene.save(&wheel);
        let output = match client {
            "uv" => scene.uv_publish(&[&path]),
            twine => scene.twine(twine, &[&path]),
        };
        output.success();
        let requirement = format!("{name}=={version}");
        scene.pip_install("pip", &format!("pip-{name}"), &[&requirement]).success();
        scene.pip_install("pip-23.0", &format!("old-{name}"), &[&requirement]).success();
        scene.uv_install(&format!("uv-{name}"), &[&requirement]).success();
        for folder in ["pip", "old", "uv"] {
            assert_eq!(pairs(&scene.installed(&format!("{folder}-{name}"))), [(name, version)]);
        }
        let tags = scene.api_of(&scene.viewer).tag_list(&format!("{}/{}/{name}", REGISTRY.0, REGISTRY.1));
        assert!(tags.iter().any(|found| found == tag), "{tags:?}");

        // What a client may have written down without escapes is served all the same.
        let reader = scene.api_of(&scene.viewer);
        let path = reader.python_path(REGISTRY.0, REGISTRY.1, name, &wheel.filename);
        let raw = path.replace("%2B", "+").replace("%21", "!");
        assert_ne!(path, raw, "the address is not escaped");
        assert_eq!(reader.get(&raw).expect(&[200]).body, wheel.bytes);
    }
}

#[test]
fn versions_before_and_after_a_release_are_chosen_as_their_names_say() {
    let scene = Scene::new();
    for version in ["1.0.post1", "2.0.dev3", "1.0", "1.0rc1", "1.0.dev1"] {
        let path = scene.save(&Wheel::new("acme-one", version).build());
        scene.twine("twine", &[&path]).success();
    }
    let in_order = ["1.0.dev1", "1.0rc1", "1.0", "1.0.post1", "2.0.dev3"];
    assert_eq!(scene.page("acme-one")["versions"], serde_json::json!(in_order));
    for (wish, arguments, chosen) in [
        ("newest", &["acme-one"][..], "1.0.post1"),
        ("unfinished", &["--pre", "acme-one"][..], "2.0.dev3"),
        ("candidate", &["acme-one==1.0rc1"][..], "1.0rc1"),
        ("exact", &["acme-one==1.0"][..], "1.0"),
    ] {
        scene.pip_install("pip", &format!("pip-{wish}"), arguments).success();
        scene.pip_install("pip-23.0", &format!("old-{wish}"), arguments).success();
        scene.uv_install(&format!("uv-{wish}"), arguments).success();
        for client in ["pip", "old", "uv"] {
            assert_eq!(pairs(&scene.installed(&format!("{client}-{wish}"))), [("acme-one", chosen)]);
        }
    }
}

#[test]
fn a_signature_beside_a_file_is_taken_and_left_aside() {
    let scene = Scene::new();
    let wheel = scene.save(&Wheel::new("acme-demo", "1.0").build());
    let signature =
        scene.home.write("dist/acme_demo-1.0-py3-none-any.whl.asc", "-----BEGIN PGP SIGNATURE-----\n");
    scene.twine("twine", &[&wheel, &signature]).success();
    assert_eq!(scene.files("acme-demo"), ["acme_demo-1.0-py3-none-any.whl"]);
}

#[test]
fn an_upload_whose_answer_was_lost_is_repeated_without_harm() {
    let scene = Scene::new();
    let wheel = Wheel::new("acme-demo", "1.0").build();
    let path = scene.save(&wheel);
    let failures = std::sync::atomic::AtomicUsize::new(2);
    let relay = Relay::with(&scene.server.host(), move |_, passing| {
        use std::sync::atomic::Ordering::Relaxed;
        let fails = failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if fails { Passing::refusal("500 Internal Server Error") } else { passing }
    });
    let url = relay.url(&scene.upload_url(), &scene.server.host());
    scene.twine("twine", &["--repository-url", &url, &path]).success();
    assert_eq!(relay.seen().iter().map(|seen| seen.status).collect::<Vec<_>>(), [200, 200, 200]);
    assert_eq!(scene.files("acme-demo"), [wheel.filename.as_str()]);
}

#[test]
fn a_source_distribution_needs_no_wheel_beside_it() {
    let scene = Scene::new();
    let path = scene.save(&Sdist::new("acme-source", "2.0").header("Requires-Python", ">=3.8").build());
    scene.twine("twine-6.1", &[&path]).success();
    for client in ["pip", "pip-23.0"] {
        scene.pip_install(client, client, &["acme-source"]).success();
        assert_eq!(pairs(&scene.installed(client)), [("acme-source", "2.0")]);
    }
    scene.uv_install("uv", &["acme-source"]).success();
    assert_eq!(pairs(&scene.installed("uv")), [("acme-source", "2.0")]);
}
