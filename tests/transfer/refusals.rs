//! Damage is found, the rest goes on, and each message says what to do.

use std::fs;

use testkit::{random_bytes, run};

use crate::Scene;
use crate::origin::Origin;

/// Three images, of which the second has a layer that was changed on the disk, and the third a manifest.
struct Damaged {
    origin: Origin,
    layer: String,
    manifest: String,
}

impl Damaged {
    fn new() -> Self {
        let mut origin = Origin::new();
        let base = random_bytes(1024);
        for tag in ["good", "layer", "manifest"] {
            let own = random_bytes(700_000);
            let image = origin.image("app", if tag == "layer" { &own } else { &base });
            origin.tag("app", tag, &image.digest);
        }
        let contents = &origin.repositories["app"];
        let layer =
            contents.blobs.iter().find(|(_, bytes)| bytes.len() == 700_000).expect("it was stored").0.clone();
        let manifest = contents.tags["manifest"].clone();
        let damage = |digest: &str| {
            let path = origin.blob_path(digest);
            let mut bytes = fs::read(&path).expect("readable");
            // Near the end, and as long as before: nothing but the hash tells.
            let at = bytes.len() - 20;
            bytes[at] ^= 1;
            fs::write(path, bytes).expect("writable");
        };
        damage(&layer);
        damage(&manifest);
        Self { origin, layer, manifest }
    }
}

#[test]
fn damage_is_named_and_nothing_of_it_arrives() {
    let damaged = Damaged::new();
    let registry = damaged.origin.serve();
    let scene = Scene::new();
    let path = damaged.origin.path().to_str().expect("text").to_owned();
    for (name, source) in [("http", registry.url.as_str()), ("disk", path.as_str())] {
        let target = scene.registry(name);
        let output = run(&mut scene.import(source, &target, &["--all"])).failure();
        assert_eq!(output.status.code(), Some(1), "{output}");
        output
            .says(&format!("app:layer: blob {} is damaged at the source", damaged.layer))
            // A registry that checks what it reads answers with an error of its own.
            .says("app:manifest: ")
            .says(if name == "disk" { damaged.manifest.as_str() } else { "500" })
            .says("everything else is done");
        let repository = format!("acme/{name}/app");
        assert_eq!(scene.api.tag_list(&repository), ["good"]);
        scene.api.blob_get(&repository, &damaged.layer).expect(&[404]);
    }
}

#[test]
fn a_damaged_store_is_mended_and_the_import_completed() {
    let damaged = Damaged::new();
    let scene = Scene::new();
    let target = scene.registry("mended");
    let path = damaged.origin.path().to_str().expect("text").to_owned();
    run(&mut scene.import(&path, &target, &["--all"])).failure();
    let contents = &damaged.origin.repositories["app"];
    fs::write(damaged.origin.blob_path(&damaged.layer), &contents.blobs[&damaged.layer]).expect("writable");
    fs::write(damaged.origin.blob_path(&damaged.manifest), &contents.manifests[&damaged.manifest])
        .expect("writable");
    run(&mut scene.import(&path, &target, &["--all"])).success().says("2 manifests copied");
    assert_eq!(scene.api.tag_list("acme/mended/app"), ["good", "layer", "manifest"]);
}

#[test]
fn mistakes_are_explained() {
    let origin = Origin::filled(10);
    let registry = origin.serve();
    let scene = Scene::new();
    let target = scene.registry("main");
    let url = scene.server.url();
    let import =
        |source: &str, target: &str, more: &[&str]| run(&mut scene.import(source, target, more)).failure();

    import(&registry.url, &format!("{url}/acme"), &["--all"]).says("<organization>/<registry>");
    import(&registry.url, &format!("{url}/acme/nothing"), &["--all"]).says("create-registry");
    import(&registry.url, &target, &[]).says("--repository").says("--all");
    import("http://me:secret@localhost:1", &target, &["--all"]).says("password").says_nothing_of("secret");
    import("http://localhost:1", &target, &["--all"]).says("cannot reach localhost:1");
    import(&format!("{}/team2", registry.url), &target, &["--all"]).says("--repository 'team2'");
    import("/nonexistent", &target, &["--all"]).says("cannot read /nonexistent");
    import("/tmp", &target, &["--all"]).says("rootdirectory");
    import(&registry.url.replace("http:", "https:"), &target, &["--all"]).says("http://");
    import(&registry.url, &target, &["--repository", "none"]).says("no such repository");
    import(&registry.url, &target, &["--repository", "none/*"]).says("no repository of the source");
    import(&url, &target, &["--all", "--from-user", "nobody"]).says("check the user and the password");

    let mut command = scene.import(&registry.url, &target, &["--all"]);
    run(command.env("LARDER_IMPORT_PASSWORD", "wrong")).failure().says("check the user and the password");
    let mut command = scene.import(&registry.url, &target, &["--all"]);
    run(command.env_remove("LARDER_IMPORT_PASSWORD")).failure().says("LARDER_IMPORT_TO_PASSWORD");
    // A password by standard input.
    let password = scene.server.admin_password();
    let home = testkit::Sandbox::new();
    let program = env!("CARGO_BIN_EXE_larder");
    let arguments = [
        "import",
        "--from",
        &registry.url,
        "--to",
        &target,
        "--to-user",
        "admin",
        "--all",
        "--password-stdin",
    ];
    let line = format!("{password}\n");
    let mut command = home.command(program);
    let input = fs::File::open(home.write("password", line)).expect("readable");
    run(command.args(arguments).stdin(input)).success();
}

#[test]
fn names_that_the_target_cannot_have_are_reported() {
    let mut origin = Origin::new();
    let base = random_bytes(10);
    let long = format!("{}/app", ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join("/"));
    for repository in ["fine", &long] {
        let image = origin.image(repository, &base);
        origin.tag(repository, "1", &image.digest);
    }
    let scene = Scene::new();
    let target = scene.registry("names");
    let path = origin.path().to_str().expect("text").to_owned();
    run(&mut scene.import(&path, &target, &["--all"]))
        .failure()
        .says("its name cannot be used here")
        .says("255");
    assert_eq!(scene.api.tag_list("acme/names/fine"), ["1"]);
}
