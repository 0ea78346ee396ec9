//! Helm 3: charts as artifacts.

use std::path::Path;

use testkit::{Output, Sandbox, random_word};

use crate::scene::{Account, NOT_LOGGED_IN, Scene};

const PLAIN: &str = "--plain-http";

fn login(home: &Sandbox, host: &str, account: &Account, password: &str) -> Output {
    let arguments = ["registry", "login", PLAIN, "--username", account.name, "--password-stdin", host];
    home.run_with_input("helm", &arguments, password)
}

/// Packages a chart `pantry` of version 1.2.3 and returns the archive's path.
fn package(home: &Sandbox) -> String {
    let chart = home.path().join("pantry");
    std::fs::create_dir_all(chart.join("templates")).expect("a directory can be made in the sandbox");
    let write = |name: &str, text: String| {
        std::fs::write(chart.join(name), text).expect("a file can be written in the sandbox");
    };
    write("Chart.yaml", "apiVersion: v2\nname: pantry\nversion: 1.2.3\ndescription: Shelves\n".to_owned());
    write("values.yaml", format!("shelf: {}\n", random_word()));
    let map =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pantry}\ndata: {shelf: '{{ .Values.shelf }}'}\n";
    write("templates/map.yaml", map.to_owned());
    home.run("helm", &["package", &home.file("pantry"), "--destination", &home.file("")]).success();
    home.file("pantry-1.2.3.tgz")
}

#[test]
fn helm_pushes_shows_and_pulls_the_same_bytes() {
    let scene = Scene::new();
    let helm = |arguments: &[&str]| scene.home.run("helm", arguments);
    let archive = package(&scene.home);
    let charts = format!("oci://{}", scene.reference("charts"));
    let chart = format!("{charts}/pantry");

    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password)
        .success()
        .says("login succeeded");
    let digest = testkit::sha256(&{
        helm(&["push", PLAIN, &archive, &charts]).success().says("pushed:");
        scene.manifest("charts/pantry", "1.2.3")
    });
    helm(&["show", "chart", PLAIN, &chart, "--version", "1.2.3"]).success().says("description: Shelves");
    helm(&["template", PLAIN, "name", &chart, "--version", "1.2.3"]).success().says("kind: ConfigMap");
    let back = scene.home.file("back");
    std::fs::create_dir(&back).unwrap();
    helm(&["pull", PLAIN, &chart, "--version", "1.2.3", "--destination", &back]).success().says(&digest);
    let pulled = std::fs::read(Path::new(&back).join("pantry-1.2.3.tgz")).unwrap();
    assert!(pulled == std::fs::read(&archive).unwrap(), "the pulled chart differs from the pushed one");
    assert_eq!(scene.admin.tag_list("demo/main/charts/pantry"), ["1.2.3"]);
    helm(&["registry", "logout", &scene.host()]).success();
}

#[test]
fn helm_tells_why_not() {
    let scene = Scene::new();
    let helm = |arguments: &[&str]| scene.home.run("helm", arguments);
    let archive = package(&scene.home);
    let charts = format!("oci://{}", scene.reference("charts"));
    let chart = format!("{charts}/pantry");

    helm(&["push", PLAIN, &archive, &charts]).failure().says_one_of(NOT_LOGGED_IN);
    login(&scene.home, &scene.host(), &scene.writer, "wrong").failure().says("unauthorized");
    login(&scene.home, &scene.host(), &scene.writer, &scene.writer.password).success();
    helm(&["push", PLAIN, &archive, &charts]).success();
    helm(&["pull", PLAIN, &chart, "--version", "9.9.9"]).failure().says("not found");
    helm(&["pull", PLAIN, &format!("{charts}/nothing"), "--version", "1.0.0"]).failure().says("not found");

    // Somebody who may look meets the refusal at the first write, and reads the server's own words.
    login(&scene.home, &scene.host(), &scene.viewer, &scene.viewer.password).success();
    helm(&["push", PLAIN, &archive, &charts]).failure().says("denied");

    login(&scene.home, &scene.host(), &scene.stranger, &scene.stranger.password).success();
    helm(&["pull", PLAIN, &chart, "--version", "1.2.3"]).failure().says("403");
    helm(&["pull", PLAIN, &format!("{charts}/nothing"), "--version", "1.0.0"])
        .failure()
        .says("403")
        .says_nothing_of("not found");
    helm(&["push", PLAIN, &archive, &charts]).failure().says("403");
}
