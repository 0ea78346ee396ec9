//! Oras: files as artifacts, and image layouts copied as they are.

use testkit::images::Index;
use testkit::{Output, Sandbox, random_bytes};

use crate::scene::{Account, NOT_LOGGED_IN, Scene, repository};

const PLAIN: &str = "--plain-http";

pub(crate) fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    home.run_with_input(
        "oras",
        &["login", PLAIN, "--username", account.name, "--password-stdin", host],
        password,
    )
}

#[test]
fn oras_pushes_pulls_copies_lists_and_deletes() {
    let scene = Scene::new();
    let oras = |arguments: &[&str]| scene.home.run("oras", arguments);
    let payload = random_bytes(100_000);
    scene.home.write("notes.bin", &payload);

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password)
        .success()
        .says("login succeeded");
    let (one, typed) = (scene.reference("oras:1"), "notes.bin:application/vnd.example.notes");
    oras(&["push", PLAIN, "--artifact-type", "application/vnd.example.notes.v1", &one, typed]).success();
    let pushed = scene.manifest("oras", "1");
    let fetched = oras(&["manifest", "fetch", PLAIN, &one]).success();
    assert_eq!(fetched.stdout.trim_end().as_bytes(), pushed.trim_ascii_end());
    oras(&["pull", PLAIN, "--output", &scene.home.file("back"), &one]).success();
    assert!(std::fs::read(scene.home.path().join("back/notes.bin")).unwrap() == payload);

    let index = Index::random();
    index.layout_write(&scene.home.path().join("layout"), "1");
    let many = scene.reference("oras:many");
    oras(&["copy", "--to-plain-http", "--from-oci-layout", &scene.home.file("layout:1"), &many]).success();
    scene.holds_index("oras", "many", &index);

    oras(&["tag", PLAIN, &one, "2"]).success();
    let tags = oras(&["repo", "tags", PLAIN, &scene.reference("oras")]).success();
    assert_eq!(tags.lines(), ["1", "2", "many"]);
    oras(&["repo", "ls", PLAIN, &scene.host()]).success().says(&repository("oras"));

    // By digest, so both tags go; the index beside it stays.
    let digest = testkit::sha256(&pushed);
    oras(&["manifest", "delete", PLAIN, "--force", &scene.reference(&format!("oras@{digest}"))]).success();
    for reference in ["1", "2", &digest] {
        scene.holds_nothing("oras", reference);
    }
    scene.holds_index("oras", "many", &index);

    let blob = testkit::sha256(&payload);
    oras(&["blob", "delete", PLAIN, "--force", &scene.reference(&format!("oras@{blob}"))]).success();
    scene.admin.blob_get(&repository("oras"), &blob).expect(&[404]);
}

#[test]
fn oras_tells_why_not() {
    let scene = Scene::new();
    let oras = |arguments: &[&str]| scene.home.run("oras", arguments);
    let one = scene.reference("oras:1");
    scene.home.write("notes.txt", "notes\n");

    oras(&["push", PLAIN, &one, "notes.txt"]).failure().says_one_of(NOT_LOGGED_IN);
    login(&scene.home, &scene.host(), &scene.writer, "wrong").failure().says("unauthorized");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    oras(&["push", PLAIN, &one, "notes.txt"]).success();
    oras(&["pull", PLAIN, &scene.reference("oras:unknown")]).failure().says("not found");
    oras(&["manifest", "fetch", PLAIN, &scene.reference("oras:unknown")]).failure().says("not found");
    oras(&["repo", "tags", PLAIN, &scene.reference("nothing")]).failure().says("name unknown");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    oras(&["push", PLAIN, &one, "notes.txt"]).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    oras(&["pull", PLAIN, &one]).failure().says("denied");
    oras(&["push", PLAIN, &one, "notes.txt"]).failure().says("403");
    oras(&["repo", "tags", PLAIN, &scene.reference("oras")]).failure().says("denied");
    oras(&["repo", "tags", PLAIN, &scene.reference("nothing")])
        .failure()
        .says("denied")
        .says_nothing_of("unknown");
    oras(&["manifest", "delete", PLAIN, "--force", &one]).failure();
    assert_eq!(scene.admin.tag_list(&repository("oras")), ["1"]);
}
