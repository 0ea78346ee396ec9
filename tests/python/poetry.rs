//! Poetry as an installer: it resolves against the index, writes a lock file, and installs from it.

use testkit::python::Wheel;
use testkit::run;

use crate::scene::{Scene, installed};

#[test]
fn poetry_locks_and_installs() {
    let scene = Scene::new();
    scene.publish(&Wheel::new("acme-base", "1.0").build());
    scene.publish(&Wheel::new("acme-top", "1.0").header("Requires-Dist", "acme-base>=1").build());
    std::fs::create_dir(scene.home.path().join("consumer")).unwrap();
    scene.home.write(
        "consumer/pyproject.toml",
        format!(
            "[project]\nname = \"consumer\"\nversion = \"0\"\nrequires-python = \">=3.11\"\n\
             dependencies = [\"acme-top\"]\n\n[tool.poetry]\npackage-mode = false\n\n\
             [[tool.poetry.source]]\nname = \"larder\"\nurl = \"{}\"\npriority = \"primary\"\n",
            scene.index_url()
        ),
    );
    let poetry = |arguments: &[&str]| {
        run(scene
            .client("poetry", "poetry")
            .args(["--no-interaction", "--directory", &scene.home.file("consumer")])
            .args(arguments)
            .env("POETRY_VIRTUALENVS_IN_PROJECT", "true")
            .env("POETRY_HTTP_BASIC_LARDER_USERNAME", scene.viewer.name)
            .env("POETRY_HTTP_BASIC_LARDER_PASSWORD", &scene.viewer.password))
        .success()
    };
    poetry(&["lock"]);
    let lock = std::fs::read_to_string(scene.home.path().join("consumer/poetry.lock")).unwrap();
    assert!(lock.contains("acme-base") && !lock.contains(&scene.viewer.password), "{lock}");
    poetry(&["install", "--no-root"]);
    let library = scene.home.path().join("consumer/.venv/lib");
    let site = std::fs::read_dir(library).unwrap().next().unwrap().unwrap().path().join("site-packages");
    let found = installed(&site);
    assert_eq!(found.get("acme-top").map(String::as_str), Some("1.0"), "{found:?}");
    assert_eq!(found.get("acme-base").map(String::as_str), Some("1.0"), "{found:?}");
}
