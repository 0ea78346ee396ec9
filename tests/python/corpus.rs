//! Real packages: they go in with a client, come out byte for byte, and install from here alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use testkit::python::BuiltFile;
use testkit::{run, tool};

use crate::scene::{REGISTRY, Scene, pairs};

/// What `corpus.txt` lists, which `scripts/install-test-tools.sh` has fetched and compared.
const LIST: &str = include_str!("corpus.txt");

/// One file of the list.
struct Listed {
    project: &'static str,
    version: &'static str,
    filename: &'static str,
    sha256: &'static str,
}

fn listed() -> Vec<Listed> {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [requirement, filename, sha256] = words[..] else { panic!("not three words: {line}") };
            let (project, version) = requirement.split_once("==").expect("a pinned requirement");
            Listed { project, version, filename, sha256 }
        })
        .collect()
}

fn directory() -> PathBuf {
    tool("python/corpus/.complete").parent().expect("a file lies in a directory").to_owned()
}

/// A real package by its file name.
pub(crate) fn corpus_file(filename: &str) -> BuiltFile {
    let listed = listed().into_iter().find(|listed| listed.filename == filename);
    let listed = listed.unwrap_or_else(|| panic!("{filename} is not in corpus.txt"));
    let bytes = std::fs::read(directory().join(filename)).expect("a fetched package can be read");
    let file = BuiltFile::new(filename, listed.project, listed.version, bytes);
    assert_eq!(file.sha256(), listed.sha256, "{filename} is not what corpus.txt lists");
    file
}

fn is_wheel(filename: &str) -> bool {
    Path::new(filename).extension() == Some("whl".as_ref())
}

fn normalized(name: &str) -> String {
    name.replace(['_', '.'], "-").to_lowercase()
}

/// The METADATA of a wheel, read by Python's own library.
fn metadata(scene: &Scene, path: &str) -> Vec<u8> {
    const SCRIPT: &str = "import sys, zipfile; archive = zipfile.ZipFile(sys.argv[1]); \
        name, = [n for n in archive.namelist() if n.endswith('.dist-info/METADATA') and n.count('/') == 1]; \
        open(sys.argv[2], 'wb').write(archive.read(name))";
    let target = scene.home.file("METADATA");
    run(scene.client("pip", "python").args(["-c", SCRIPT, path, &target])).success();
    std::fs::read(target).expect("what was just written can be read")
}

/// Whether the name of the project is in its normal form in a file name: uv leaves others aside.
fn is_normal(filename: &str) -> bool {
    let name = filename.split('-').next().unwrap_or_default();
    !name.contains(|character: char| character == '.' || character.is_ascii_uppercase())
}

/// A scene whose registry holds the whole list: wheels by uv as far as it takes them, the rest by twine.
fn stocked() -> Scene {
    let scene = Scene::new();
    let listed = listed();
    let wheels = listed.iter().filter(|listed| is_wheel(listed.filename)).count();
    assert!(wheels >= 40 && listed.len() - wheels >= 15, "{wheels} wheels of {}", listed.len());
    let (by_uv, by_twine): (Vec<_>, Vec<_>) = listed
        .iter()
        .map(|listed| listed.filename)
        .partition(|filename| is_wheel(filename) && is_normal(filename));
    let paths = |filenames: Vec<&str>| -> Vec<String> {
        filenames.into_iter().map(|filename| scene.save(&corpus_file(filename))).collect()
    };
    let (by_uv, by_twine) = (paths(by_uv), paths(by_twine));
    scene.uv_publish(&by_uv.iter().map(String::as_str).collect::<Vec<_>>()).success();
    scene.twine("twine", &by_twine.iter().map(String::as_str).collect::<Vec<_>>()).success();
    scene
}

#[test]
fn real_packages_come_back_byte_for_byte() {
    let scene = stocked();
    let reader = scene.api_of(&scene.viewer);
    let mut pages: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    for listed in listed() {
        let file = corpus_file(listed.filename);
        let project = normalized(listed.project);
        let page = pages.entry(project.clone()).or_insert_with(|| scene.page(&project));
        let entry =
            page["files"].as_array().unwrap().iter().find(|entry| entry["filename"] == listed.filename);
        let entry = entry.unwrap_or_else(|| panic!("{} is not on its page: {page}", listed.filename));
        assert_eq!(entry["hashes"]["sha256"], listed.sha256);
        assert_eq!(entry["size"], file.bytes.len());
        assert_eq!(entry["yanked"], false);
        assert!(
            page["versions"].as_array().unwrap().iter().any(|version| version == listed.version),
            "{page}"
        );
        let path = reader.python_path(REGISTRY.0, REGISTRY.1, &project, listed.filename);
        // Only the bytes count here, whether they lie on a disk or in a bucket.
        let here = reader.request(testkit::Method::GET, &path).header("larder-redirect", "never");
        assert!(
            reader.send(here).expect(&[200]).body == file.bytes,
            "{} came back different",
            listed.filename
        );
        if is_wheel(listed.filename) {
            let inside = metadata(&scene, &scene.home.file(&format!("dist/{}", listed.filename)));
            let served = reader.get(&format!("{path}.metadata")).expect(&[200]);
            assert!(served.body == inside, "METADATA of {} came back different", listed.filename);
            let digest = testkit::sha256(&inside);
            assert_eq!(Some(&digest[7..]), entry["core-metadata"]["sha256"].as_str());
        }
    }

    // The clients' own downloads, of everything that is for any machine.
    for client in ["pip", "pip-23.0"] {
        let back = scene.home.file(&format!("back-{client}"));
        let mut seen = BTreeMap::new();
        for listed in listed() {
            if listed.filename.ends_with("-none-any.whl") {
                seen.insert(listed.project, listed);
            }
        }
        let requirements: Vec<String> =
            seen.values().map(|listed| format!("{}=={}", listed.project, listed.version)).collect();
        run(scene
            .pip(client, &["download", "--no-deps", "--only-binary", ":all:", "--dest", &back])
            .args(["--index-url", &scene.index_url_of(&scene.viewer)])
            .args(&requirements))
        .success();
        for listed in seen.values() {
            // A project may have a wheel that suits this machine better than the one for all.
            let Ok(bytes) = std::fs::read(format!("{back}/{}", listed.filename)) else { continue };
            assert!(bytes == corpus_file(listed.filename).bytes, "{} came back different", listed.filename);
        }
        assert_eq!(std::fs::read_dir(&back).unwrap().count(), seen.len());
    }

    // Wheels for other machines, picked by their tags.
    let back = scene.home.file("back-other");
    run(scene
        .pip("pip", &["download", "--no-deps", "--only-binary", ":all:", "--dest", &back])
        .args(["--platform", "win_amd64", "--python-version", "3.11", "--implementation", "cp"])
        .args(["--index-url", &scene.index_url_of(&scene.viewer), "MarkupSafe==3.0.2"]))
    .success();
    let name = "MarkupSafe-3.0.2-cp311-cp311-win_amd64.whl";
    assert!(std::fs::read(format!("{back}/{name}")).unwrap() == corpus_file(name).bytes);
}

#[test]
fn real_dependencies_are_found_here_alone() {
    let scene = stocked();
    let dependent = ["requests==2.32.3", "flask==3.1.0", "jaraco.classes==3.4.0", "python-dateutil"];
    let expected = [
        ("blinker", "1.9.0"),
        ("certifi", "2024.8.30"),
        ("charset-normalizer", "3.4.0"),
        ("click", "8.1.8"),
        ("flask", "3.1.0"),
        ("idna", "3.10"),
        ("itsdangerous", "2.2.0"),
        ("jaraco-classes", "3.4.0"),
        ("jinja2", "3.1.5"),
        ("markupsafe", "3.0.2"),
        ("more-itertools", "10.5.0"),
        ("python-dateutil", "2.9.0.post0"),
        ("requests", "2.32.3"),
        ("six", "1.17.0"),
        ("urllib3", "2.2.3"),
        ("werkzeug", "3.1.3"),
    ];
    for client in ["pip", "pip-23.0"] {
        scene.pip_install(client, client, &dependent).success();
    }
    scene.uv_install("uv", &dependent).success();
    let uses = "import flask, requests, jaraco.classes.properties, dateutil.parser; print(flask.Flask('x'))";
    for folder in ["pip", "pip-23.0", "uv"] {
        assert_eq!(pairs(&scene.installed(folder)), expected, "{folder}");
        run(scene.client("pip", "python").args(["-c", uses]).env("PYTHONPATH", scene.home.file(folder)))
            .success()
            .says("Flask");
    }
}

#[test]
fn real_source_distributions_build_from_here_alone() {
    let scene = stocked();
    // What builds them (setuptools, flit_core) is in the list too.
    for (client, requirement) in
        [("pip", "toml"), ("pip", "itsdangerous"), ("pip-23.0", "typing-extensions"), ("pip", "docopt")]
    {
        let folder = format!("{client}-{requirement}");
        scene.pip_install(client, &folder, &["--no-deps", "--no-binary", requirement, requirement]).success();
        assert_eq!(scene.installed(&folder).len(), 1);
    }
    scene.uv_install("uv", &["--no-binary", "mdurl", "mdurl", "--no-binary", "docopt", "docopt"]).success();
    assert_eq!(pairs(&scene.installed("uv")), [("docopt", "0.6.2"), ("mdurl", "0.1.2")]);
}

#[test]
fn dotted_names_of_old_build_tools_can_be_refused() {
    let scene = Scene::new();
    let names = ["jaraco.classes-3.4.0.tar.gz", "zope.event-5.0.tar.gz", "zope.event-5.0-py3-none-any.whl"];
    let paths = names.map(|name| scene.save(&corpus_file(name)));
    scene.settings(&serde_json::json!({ "python": { "strict_filenames": true } }));
    for path in &paths {
        scene.twine("twine", &[path]).failure().says("400").says("normal");
    }
    assert!(scene.files("zope-event").is_empty());
    scene.settings(&serde_json::json!({ "python": { "strict_filenames": false } }));
    scene.twine("twine", &paths.each_ref().map(String::as_str)).success();
    assert_eq!(scene.files("zope-event").len(), 2);
    assert_eq!(scene.files("jaraco-classes").len(), 1);
}
