//! Layouts that `larder export` writes, read by skopeo and oras.

use testkit::images::{Image, Index};
use testkit::{Sandbox, run, sha256};

use crate::Scene;

/// Pushes an image and an index with skopeo, and a signature with oras.
fn fill(scene: &Scene, home: &Sandbox) -> (Image, Index) {
    let (image, index) = (Image::random(), Index::random());
    let credentials = format!("admin:{}", scene.server.admin_password());
    for (tag, layout) in [("1", "one"), ("2", "two")] {
        let directory = home.path().join(layout);
        match tag {
            "1" => image.layout_write(&directory, tag),
            _ => index.layout_write(&directory, tag),
        }
        let target = format!("docker://{}", scene.server.reference(&format!("acme/out/app:{tag}")));
        let source = format!("oci:{layout}:{tag}");
        let copy = [
            "copy",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            "--dest-creds",
            &credentials,
            &source,
            &target,
        ];
        home.run("skopeo", &copy).success();
    }
    let file = home.write("sbom.json", "{}");
    let name = std::path::Path::new(&file).file_name().expect("a file").to_str().expect("text");
    let password = scene.server.admin_password();
    let subject = scene.server.reference("acme/out/app:1");
    let kind = "application/spdx+json";
    let attach =
        ["attach", "--plain-http", "-u", "admin", "-p", password, "--artifact-type", kind, &subject, name];
    home.run("oras", &attach).success();
    (image, index)
}

#[test]
fn a_layout_is_written_extended_and_read_by_others() {
    let scene = Scene::new();
    let address = format!("{}/app", scene.registry("out"));
    let home = Sandbox::new();
    let (image, index) = fill(&scene, &home);
    let layout = home.file("layout");
    let export = |images: &[&str], more: &[&str]| {
        let mut command = scene.program("export");
        for image in images {
            command.args(["--from", image]);
        }
        run(command.args(["--to", &layout, "--from-user", "admin"]).args(more))
    };

    // Which one is meant has to be said.
    export(&[&address], &[]).failure().says("--all-tags");
    export(&[&format!("{address}:1")], &[]).success();
    // Nothing is fetched twice, and what is damaged is fetched again.
    export(&[&format!("{address}:1")], &[]).success().says("0 manifests copied").says("0 blobs copied");
    let layer = home.path().join("layout/blobs").join(image.layer.digest().replace(':', "/"));
    std::fs::write(&layer, "damaged").expect("writable");
    export(&[&format!("{address}:1")], &[]).success().says("1 blobs copied");
    assert_eq!(sha256(&std::fs::read(&layer).expect("readable")), image.layer.digest());

    export(&[&address], &["--all-tags", "--with-referrers"]).success();
    let names: Vec<String> = std::fs::read_dir(&layout)
        .expect("a directory")
        .map(|entry| entry.expect("readable").file_name().into_string().expect("text"))
        .collect();
    assert_eq!(names.len(), 3, "nothing but the layout is left: {names:?}");

    for (tag, manifest) in [("1", &image.manifest), ("2", &index.manifest)] {
        let source = format!("oci:layout:{tag}");
        let raw = home.run("skopeo", &["inspect", "--raw", &source]).success();
        assert_eq!(sha256(raw.stdout.as_bytes()), manifest.digest());
        // Copying reads and checks every blob.
        let target = format!("oci:copy{tag}:{tag}");
        home.run("skopeo", &["copy", "--all", &source, &target]).success();
    }
    home.run("oras", &["discover", "--oci-layout", "layout:1"]).success().says("application/spdx+json");
    home.run("oras", &["copy", "-r", "--from-oci-layout", "layout:1", "--to-oci-layout", "by-oras:1"])
        .success();

    // By digest, out of two repositories into one layout.
    let other = format!("{}/other", scene.registry("more"));
    run(scene.program("import").args(["--from", &scene.server.url(), "--from-user", "admin"]).args([
        "--to",
        other.rsplit_once('/').expect("a path").0,
        "--to-user",
        "admin",
        "--repository",
        "acme/out/app",
    ]))
    .success();
    let moved = format!("{}/acme/more/acme/out/app:2", scene.server.url());
    let both = [format!("{address}@{}", image.manifest.digest()), moved];
    export(&[&both[0], &both[1]], &[]).success();
    home.run("skopeo", &["inspect", "--raw", "oci:layout:acme/more/acme/out/app:2"]).success();
}

#[test]
fn what_cannot_be_exported_is_told() {
    let scene = Scene::new();
    let address = format!("{}/app", scene.registry("out"));
    let home = Sandbox::new();
    fill(&scene, &home);
    let layout = home.file("layout");
    let export = |image: &str, directory: &str| {
        run(scene.program("export").args(["--from", image, "--to", directory, "--from-user", "admin"]))
    };
    export(&format!("{address}:none"), &layout).failure().says("app:none").says("404");
    export(&address.replace("/app", "/nothing:1"), &layout).failure().says("nothing:1");
    // A directory with something else in it stays as it is.
    export(&format!("{address}:1"), &home.file("docker"))
        .failure()
        .says("something else than an image layout");
}
