//! Poetry, flit and hatch, each publishing with the form that it makes itself.

use testkit::python::{Sdist, Wheel};
use testkit::{Output, run};

use crate::relay::Relay;
use crate::scene::Scene;

#[track_caller]
fn poetry_publish(scene: &Scene, project: &str) -> Output {
    run(scene
        .client("poetry", "poetry")
        .args(["publish", "--no-interaction", "--repository", "larder", "--directory"])
        .arg(scene.home.file(project))
        .env("POETRY_REPOSITORIES_LARDER_URL", scene.upload_url())
        .env("POETRY_HTTP_BASIC_LARDER_USERNAME", scene.writer.name)
        .env("POETRY_HTTP_BASIC_LARDER_PASSWORD", &scene.writer.password))
}

#[test]
fn poetry_publishes_what_it_finds() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.home.path().join("project/dist")).unwrap();
    scene.home.write(
        "project/pyproject.toml",
        "[project]\nname = \"acme-poetry\"\nversion = \"1.0\"\ndescription = \"A demo\"\n\
         keywords = [\"flour\", \"salt\"]\n",
    );
    let files = [
        Wheel::new("acme-poetry", "1.0")
            .header("Summary", "A demo")
            .header("Requires-Python", ">=3.8")
            .build(),
        Sdist::new("acme-poetry", "1.0").header("Summary", "A demo").build(),
    ];
    for file in &files {
        scene.home.write(&format!("project/dist/{}", file.filename), &file.bytes);
    }
    poetry_publish(&scene, "project").success();
    assert_eq!(scene.files("acme-poetry").len(), 2);
    for file in &files {
        assert_eq!(scene.stored("acme-poetry", &file.filename), file.bytes);
    }
    poetry_publish(&scene, "project").success();

    let other = Wheel::new("acme-poetry", "1.0").file("other.py", "").build();
    scene.home.write(&format!("project/dist/{}", other.filename), &other.bytes);
    poetry_publish(&scene, "project").failure().says("File already exists");
}

#[test]
fn flit_builds_and_publishes() {
    let scene = Scene::new();
    std::fs::create_dir(scene.home.path().join("project")).unwrap();
    scene.home.write(
        "project/pyproject.toml",
        "[build-system]\nrequires = [\"flit_core >=3.2\"]\nbuild-backend = \"flit_core.buildapi\"\n\n\
         [project]\nname = \"acme_flit\"\nversion = \"1.0\"\ndescription = \"A demo\"\n\
         requires-python = \">=3.8\"\n",
    );
    scene.home.write("project/acme_flit.py", "\"\"\"A demo\"\"\"\n");
    let publish = || {
        run(scene
            .client("flit", "flit")
            .args(["publish"])
            .current_dir(scene.home.path().join("project"))
            .env("FLIT_INDEX_URL", scene.upload_url())
            .env("FLIT_USERNAME", scene.writer.name)
            .env("FLIT_PASSWORD", &scene.writer.password)
            // The same bytes from the same files, whenever it runs.
            .env("SOURCE_DATE_EPOCH", "1700000000"))
    };
    publish().success();
    assert_eq!(scene.files("acme-flit"), ["acme_flit-1.0-py3-none-any.whl", "acme_flit-1.0.tar.gz"]);
    publish().success();
    assert_eq!(scene.files("acme-flit").len(), 2);
}

#[test]
fn hatch_publishes_and_skips_what_it_finds_in_the_index() {
    let scene = Scene::new();
    let files = [Wheel::new("acme-hatch", "1.0").build(), Sdist::new("acme-hatch", "1.0").build()];
    let paths = files.each_ref().map(|file| scene.save(file));
    let host = scene.server.host();
    let relay = Relay::new(&host);
    let publish = || {
        run(scene
            .client("hatch", "hatch")
            .args(["--no-interactive", "publish", "--no-prompt"])
            .args(&paths)
            .env("HATCH_INDEX_REPO", relay.url(&scene.upload_url(), &host))
            .env("HATCH_INDEX_USER", scene.writer.name)
            .env("HATCH_INDEX_AUTH", &scene.writer.password))
    };
    publish().success();
    assert_eq!(scene.files("acme-hatch").len(), 2);
    let posts = |relay: &Relay| relay.take().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(posts(&relay), 2);
    publish().says("already exists");
    assert_eq!(posts(&relay), 0);
}
