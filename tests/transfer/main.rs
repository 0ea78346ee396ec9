//! A whole registry is moved in and out again: from Debian's docker-registry and from its data directory, with an
//! interruption in the middle, compared digest by digest, and out into layouts that other programs read.

mod export;
mod origin;
mod refusals;

use std::process::Command;
use std::time::{Duration, Instant};

use testkit::{Api, Background, Options, Output, Server, Visibility, run, run_within, sha256};

use crate::origin::Origin;

/// How many images the registry has that is moved.
const IMAGES: usize = 500;
const LIMIT: Duration = Duration::from_mins(5);

struct Scene {
    server: Server,
    api: Api,
}

impl Scene {
    fn new() -> Self {
        let server = Server::start(Options::new(env!("CARGO_BIN_EXE_larder")));
        let api = server.api();
        api.organization_create("acme");
        Self { server, api }
    }

    /// A registry in `acme` and its address as a target.
    fn registry(&self, name: &str) -> String {
        self.api.registry_create("acme", name, Visibility::Private);
        format!("{}/acme/{name}", self.server.url())
    }

    fn import(&self, source: &str, target: &str, more: &[&str]) -> Command {
        let mut command = self.program("import");
        command.args(["--from", source, "--to", target, "--to-user", "admin"]).args(more);
        command
    }

    /// A command of the program that reaches for the network, with the administrator's password at hand.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command
            .arg(name)
            .env("LARDER_IMPORT_PASSWORD", self.server.admin_password())
            .env("LARDER_EXPORT_PASSWORD", self.server.admin_password())
            // Nothing that a developer has logged in to.
            .env("DOCKER_CONFIG", "/nonexistent");
        command
    }

    /// Every digest on both sides: manifests byte for byte, blobs by what they hash to.
    #[track_caller]
    fn assert_same(&self, origin: &Origin, below: &str, with_untagged: bool) {
        for (repository, contents) in &origin.repositories {
            let name = format!("{below}/{repository}");
            let mut tags = self.api.tag_list(&name);
            tags.sort();
            let expected: Vec<String> = contents.tags.keys().cloned().collect();
            assert_eq!(tags, expected, "the tags of {name}");
            for (tag, digest) in &contents.tags {
                let answer = self.api.manifest_get(&name, tag).expect(&[200]);
                assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{name}:{tag}");
                assert_eq!(&sha256(&answer.body), digest, "{name}:{tag}");
            }
            for (digest, bytes) in &contents.manifests {
                let is_untagged = contents.untagged.contains(digest);
                let answer = self.api.manifest_get(&name, digest);
                if is_untagged && !with_untagged {
                    assert_eq!(answer.status, 404, "{answer}");
                } else {
                    assert_eq!(&answer.expect(&[200]).body, bytes, "{name}@{digest}");
                }
            }
            if with_untagged {
                for digest in contents.blobs.keys() {
                    let answer = self.api.blob_get(&name, digest).expect(&[200]);
                    assert_eq!(&sha256(&answer.body), digest, "{name}@{digest}");
                }
            }
            // The signature of a tagged image, found the way that clients look for it now.
            let subject = contents.tags.iter().find(|(tag, _)| tag.starts_with('v')).expect("an image").1;
            let answer = self.api.get(&format!("/v2/{name}/referrers/{subject}")).expect(&[200]);
            assert_eq!(answer.json()["manifests"].as_array().map(Vec::len), Some(1), "{answer}");
        }
    }
}

/// Runs a command and says how long it took.
#[track_caller]
fn timed(what: &str, command: &mut Command) -> Output {
    let begin = Instant::now();
    let output = run_within(LIMIT, command);
    println!("{what}: {:.2} s\n{}", begin.elapsed().as_secs_f64(), output.stdout.trim());
    output
}

#[test]
fn a_registry_is_imported_killed_and_resumed() {
    let origin = Origin::filled(IMAGES);
    let registry = origin.serve();
    let scene = Scene::new();
    let target = scene.registry("http");

    // Killed like a machine that loses power, somewhere in the middle.
    let slowly = ["--all", "--concurrency", "1"];
    let mut import = Background::start(&mut scene.import(&registry.url, &target, &slowly));
    let copied = || {
        let count = |name: &String| {
            let answer = scene.api.get(&format!("/v2/acme/http/{name}/tags/list"));
            if answer.status == 200 { answer.json()["tags"].as_array().map_or(0, Vec::len) } else { 0 }
        };
        origin.repositories.keys().map(count).sum::<usize>()
    };
    import.until(|_| copied() >= IMAGES / 5);
    assert!(import.wait(Duration::ZERO).is_none(), "it was faster than the test:\n{import}");
    drop(import);
    let before = copied();
    println!("killed after {before} tags");
    assert!(before < IMAGES);

    let resumed = timed("resumed", &mut scene.import(&registry.url, &target, &["--all"])).success();
    assert!(!resumed.stdout.contains(" 0 were there"), "{resumed}");
    scene.assert_same(&origin, "acme/http", false);

    timed("again", &mut scene.import(&registry.url, &target, &["--all"]))
        .success()
        .says(": 0 manifests copied")
        .says("; 0 blobs copied");
    timed("dry run", &mut scene.import(&registry.url, &target, &["--all", "--dry-run"]))
        .success()
        .says("would copy 0 of ");

    let whole = scene.registry("whole");
    timed("500 images at once", &mut scene.import(&registry.url, &whole, &["--all"])).success();
    scene.assert_same(&origin, "acme/whole", false);

    // A prefix, and some of it.
    let target = format!("{}/old", scene.registry("some"));
    run(&mut scene.import(&registry.url, &target, &["--repository", "team2/*", "--repository", "app"]))
        .success();
    let listed = scene.api.get("/v2/_catalog?n=1000").expect(&[200]).json();
    let names = listed["repositories"].as_array().expect("a list").iter().filter_map(|name| name.as_str());
    let names: Vec<&str> = names.filter(|name| name.starts_with("acme/some/")).collect();
    assert_eq!(names, ["acme/some/old/app", "acme/some/old/team2/deep.er/na__me-2"]);
}

#[test]
fn a_data_directory_is_imported_with_what_has_no_tag() {
    let origin = Origin::filled(IMAGES);
    let scene = Scene::new();
    let target = scene.registry("disk");
    let path = origin.path().to_str().expect("temporary paths are text").to_owned();

    // Asked to end, it says how to go on.
    let mut import = Background::start(&mut scene.import(&path, &target, &["--all", "--concurrency", "2"]));
    import.until(|_| {
        let answer = scene.api.get("/v2/acme/disk/app/tags/list");
        answer.status == 200 && answer.json()["tags"].as_array().is_some_and(|tags| !tags.is_empty())
    });
    import.terminate();
    let status = import.wait(Duration::from_secs(10)).expect("it ends when it is asked to");
    assert_eq!(status.code(), Some(130), "{import}");
    assert!(import.stderr().contains("run the same import command again"), "{import}");

    timed("from the data directory", &mut scene.import(&path, &target, &["--all"])).success();
    scene.assert_same(&origin, "acme/disk", true);
    timed("again", &mut scene.import(&format!("file://{path}"), &target, &["--all"]))
        .success()
        .says(": 0 manifests copied");

    // From one Larder to another registry of it: with a token, and with a listing of referrers.
    let again = scene.registry("again");
    let more = ["--repository", "acme/disk/*", "--from-user", "admin"];
    timed("from a larder", &mut scene.import(&scene.server.url(), &again, &more)).success();
    scene.assert_same(&origin, "acme/again/acme/disk", false);
    timed("again", &mut scene.import(&scene.server.url(), &again, &more))
        .success()
        .says(": 0 manifests copied");
}
