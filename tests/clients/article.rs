//! A walk that every artifact takes: it is published, signed and described; the description is signed too;
//! somebody finds all of it from the artifact's name; and when the artifact goes, all of it goes.

use serde_json::Value;
use testkit::{Options, run};

use crate::oras::login;
use crate::scene::{Scene, repository};

const PLAIN: &str = "--plain-http";
const CONFIGURATION: &str = "application/vnd.example.configuration.v1";
const SIGNATURE: &str = "application/vnd.example.signature.v1";
const SBOM: &str = "application/vnd.example.sbom.v1";

#[test]
fn what_is_attached_to_an_artifact_is_found_with_it_and_goes_with_it() {
    let scene = Scene::with(Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_GC__GRACE", "0s"));
    let oras = |arguments: &[&str]| scene.home.run("oras", arguments);
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    for (name, text) in [
        ("deployment.yaml", "replicas: 3\n"),
        ("deployment.sig", "a signature of the deployment\n"),
        ("sbom.json", "{\"packages\":[\"flour\",\"salt\"]}\n"),
        ("sbom.sig", "a signature of the list of ingredients\n"),
    ] {
        scene.home.write(name, text);
    }

    // A YAML file, published under a tag.
    let subject = scene.reference("article:1");
    let push =
        ["push", PLAIN, "--artifact-type", CONFIGURATION, &subject, "deployment.yaml:application/yaml"];
    oras(&push).success();
    let subject_digest = testkit::sha256(&scene.manifest("article", "1"));

    // A signature and an SBOM on it, and a signature on the SBOM. Nothing of this gets a tag.
    let attach = |to: &str, kind: &str, file: &str| -> String {
        let attached =
            oras(&["attach", PLAIN, "--format", "json", "--artifact-type", kind, to, file]).success();
        let answer: Value = serde_json::from_str(&attached.stdout).unwrap();
        answer["digest"].as_str().expect("oras prints the digest of what it attached").to_owned()
    };
    let pinned = |digest: &str| scene.reference(&format!("article@{digest}"));
    let signature = attach(&subject, SIGNATURE, "deployment.sig:text/plain");
    let sbom = attach(&subject, SBOM, "sbom.json:application/json");
    let sbom_signature = attach(&pinned(&sbom), SIGNATURE, "sbom.sig:text/plain");

    // Everything is found from the tag, at its place in the tree.
    let discovered = oras(&["discover", PLAIN, "--format", "tree", &subject]).success();
    let depth = |digest: &str| tree_depth(&discovered.stdout, digest);
    assert_eq!(depth(&signature), depth(&sbom), "{discovered}");
    assert!(
        depth(&sbom_signature) > depth(&sbom),
        "the SBOM's signature does not hang below it:\n{discovered}"
    );
    discovered.says(SIGNATURE).says(SBOM);

    // Every file comes back as it was.
    for (reference, file) in [
        (&subject, "deployment.yaml"),
        (&pinned(&signature), "deployment.sig"),
        (&pinned(&sbom), "sbom.json"),
        (&pinned(&sbom_signature), "sbom.sig"),
    ] {
        oras(&["pull", PLAIN, "--output", &scene.home.file("back"), reference]).success();
        let read = |name: String| std::fs::read(scene.home.path().join(name)).unwrap();
        assert_eq!(read(format!("back/{file}")), read(file.to_owned()), "{file} came back different");
    }
    assert_eq!(scene.admin.tag_list(&repository("article")), ["1"], "an attachment left a tag behind");

    // The subject goes; after a collection so has everything that hung on it and had no tag of its own.
    oras(&["manifest", "delete", PLAIN, "--force", &pinned(&subject_digest)]).success();
    run(&mut scene.server.command(&["gc", "--once"])).success();
    for digest in [&subject_digest, &signature, &sbom, &sbom_signature] {
        scene.holds_nothing("article", digest);
    }
    for file in ["deployment.yaml", "deployment.sig", "sbom.json", "sbom.sig"] {
        let blob = testkit::sha256(&std::fs::read(scene.home.path().join(file)).unwrap());
        scene.admin.blob_get(&repository("article"), &blob).expect(&[404]);
    }
}

/// How far a digest is indented in the tree that oras draws.
#[track_caller]
fn tree_depth(tree: &str, digest: &str) -> usize {
    let line = tree.lines().find(|line| line.contains(digest));
    let line = line.unwrap_or_else(|| panic!("{digest} is not in the tree:\n{tree}"));
    line.chars()
        .position(|character| character.is_ascii_alphanumeric())
        .expect("a line with a digest has letters")
}
