//! Large content comes from the object store itself.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use testkit::bucket::S3;
use testkit::images::Image;
use testkit::python::Wheel;
use testkit::{Place, Role, Sandbox, random_word, run, sha256};

use crate::content::{Content, Dice, Manifest};
use crate::scene::{Exchanged, Scene, client, exchange, options};
use crate::wire::{Request, plain};

const REPOSITORY: &str = "demo/main/large";
/// The smallest size that is redirected.
const LARGE: usize = 1 << 20;

/// Asks the balancer with a token and these header fields.
fn ask(scene: &Scene, method: Method, path: &str, headers: &[(&str, &str)]) -> Exchanged {
    let request = client(Duration::from_secs(30))
        .request(method, format!("{}{path}", scene.replicas.url()))
        .bearer_auth(&scene.token);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    exchange(request).expect("a well server answers")
}

/// Where an answer leads, which has to be a redirect.
#[track_caller]
fn leads_to(answer: &Exchanged) -> String {
    assert_eq!(answer.status, 307, "{answer:?} {}", String::from_utf8_lossy(&answer.body));
    answer.header("location").expect("a redirect leads somewhere").to_owned()
}

#[test]
fn large_blobs_are_fetched_from_the_bucket_without_credentials() {
    let scene = Scene::with(2, options());
    let large = Content::random(&mut Dice::new(1), LARGE + 4321);
    scene.balanced().blob_push(REPOSITORY, &large);
    let path = format!("/v2/{REPOSITORY}/blobs/{}", large.digest);

    let redirect = ask(&scene, Method::GET, &path, &[]);
    let location = leads_to(&redirect);
    assert!(location.starts_with(&scene.replicas.bucket().endpoint()), "{location}");
    assert_eq!(redirect.header("cache-control"), Some("no-store"));
    let secret = &scene.replicas.bucket().env()[1].1;
    let everything = format!("{redirect:?} {}", String::from_utf8_lossy(&redirect.body));
    assert!(!everything.contains(&scene.token) && !everything.contains(secret), "a secret leaks");
    assert!(!everything.to_lowercase().contains("authorization:"), "{everything}");

    let client = client(Duration::from_secs(30));
    let whole = exchange(client.get(&location)).expect("the bucket answers");
    assert_eq!((whole.status, sha256(&whole.body)), (200, large.digest.clone()));
    let part =
        exchange(client.get(&location).header("range", "bytes=1000-1099")).expect("the bucket answers");
    assert_eq!((part.status, part.body.as_slice()), (206, &large.bytes[1000..1100]));
    // A client that asks for a part is sent on as well, and asks there for the same part.
    leads_to(&ask(&scene, Method::GET, &path, &[("range", "bytes=0-9")]));

    // It is good for this one blob and for nothing else.
    let signed = location.split_once('?').expect("it is signed").1;
    let other = format!(
        "{}/{}/larder/identity?{signed}",
        scene.replicas.bucket().endpoint(),
        scene.replicas.bucket().name()
    );
    assert_eq!(exchange(client.get(other)).expect("the bucket answers").status, 403);
    assert_eq!(exchange(client.put(&location).body("x")).expect("the bucket answers").status, 403);
    let expires: u64 = signed
        .split('&')
        .find_map(|pair| pair.strip_prefix("X-Amz-Expires="))
        .and_then(|seconds| seconds.parse().ok())
        .expect("it expires");
    assert!(expires <= 900, "it is good for {expires} s");
}

#[test]
fn nothing_else_is_redirected() {
    let scene = Scene::with(2, options());
    let mut dice = Dice::new(2);
    let (large, small) = (Content::random(&mut dice, LARGE), Content::random(&mut dice, LARGE - 1));
    let manifest = Manifest::image(&[&small, &large], None, &"long ".repeat(300_000));
    let mut wire = scene.balanced();
    for blob in [&large, &small] {
        wire.blob_push(REPOSITORY, blob);
    }
    wire.manifest_put(REPOSITORY, "one", &manifest);
    let [large, small] = [large, small].map(|blob| format!("/v2/{REPOSITORY}/blobs/{}", blob.digest));
    let served = |method: Method, path: &str, headers: &[(&str, &str)]| {
        let answer = ask(&scene, method, path, headers);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    };
    leads_to(&ask(&scene, Method::GET, &large, &[]));
    served(Method::HEAD, &large, &[]);
    served(Method::GET, &large, &[("larder-redirect", "never")]);
    served(Method::GET, &small, &[]);
    served(Method::HEAD, &small, &[]);
    assert!(manifest.body.len() > LARGE);
    served(Method::GET, &format!("/v2/{REPOSITORY}/manifests/one"), &[]);
    served(Method::GET, &format!("/v2/{REPOSITORY}/manifests/{}", manifest.digest), &[]);
    // Who may not pull is told nothing.
    let stranger = exchange(client(Duration::from_secs(30)).get(format!("{}{large}", scene.replicas.url())));
    assert_eq!(stranger.expect("a well server answers").status, 401);

    // An upload stays where it is.
    let more = Content::random(&mut dice, 3 * LARGE);
    let location = wire.ask("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), &[202]).location();
    wire.must(Request { body: &more.bytes, ..plain("PATCH", &location) }, &[202]);
    wire.ask("PUT", &format!("{location}?digest={}", more.digest), &[201]);

    let setting = |value: bool| {
        scene.replicas.api().registry_change("demo", "main", &json!({ "redirect": value }));
        // The other replicas may take a moment.
        std::thread::sleep(Duration::from_secs(2));
    };
    setting(false);
    for _ in 0..4 {
        served(Method::GET, &large, &[]);
    }
    setting(true);
    leads_to(&ask(&scene, Method::GET, &large, &[]));
}

#[test]
fn real_clients_follow_redirects() {
    // A name and not an address: crane follows no redirect to a bare private address.
    let bucket = S3::shared().bucket();
    let url = bucket.url().replace("127.0.0.1", "localhost");
    let scene = Scene::with(2, options().bucket(&bucket).env("LARDER_STORAGE__URL", &url));
    let api = scene.replicas.api();
    let home = Sandbox::new();
    let password = random_word();
    api.user_create("wendy", &password);
    api.member_put(Place::Organization("demo"), "wendy", Role::Writer);
    let host = scene.replicas.host();
    let image = Image::random_of("amd64", 3 * LARGE);
    image.layout_write(&home.path().join("image"), "1");
    let reference = format!("{host}/demo/main/image:1");
    let remote = format!("docker://{reference}");
    let layer = format!("/v2/demo/main/image/blobs/{}", image.layer.digest());
    for (client, login, arguments) in [
        (
            "skopeo",
            ["login", "--tls-verify=false"].as_slice(),
            vec!["copy", "--preserve-digests", "--src-tls-verify=false", &remote],
        ),
        (
            "crane",
            &["auth", "login", "--insecure"],
            vec!["--insecure", "pull", "--format", "oci", &reference],
        ),
        (
            "oras",
            &["login", "--plain-http"],
            vec!["copy", "--from-plain-http", "--to-oci-layout", &reference],
        ),
    ] {
        let user = ["--username", "wendy", "--password-stdin", &host];
        home.run_with_input(client, &[login, &user].concat(), &password).success();
        if client == "skopeo" {
            let layout = format!("oci:{}", home.file("image:1"));
            home.run("skopeo", &["copy", "--preserve-digests", "--dest-tls-verify=false", &layout, &remote])
                .success();
            leads_to(&ask(&scene, Method::GET, &layer, &[]));
        }
        let folder = home.file(&format!("from-{client}"));
        let target = match client {
            "skopeo" => format!("oci:{folder}:1"),
            "oras" => format!("{folder}:1"),
            _ => folder.clone(),
        };
        home.run(client, &[&arguments[..], &[&target]].concat()).success();
        let blob = format!("{folder}/{}", image.layer.digest().replace("sha256:", "blobs/sha256/"));
        let pulled = std::fs::read(blob).expect("the layer came");
        assert!(pulled == image.layer.bytes, "{client} pulled something else");
    }

    let bytes = Content::random(&mut Dice::new(8), 3 * LARGE).bytes;
    let wheel = Wheel::new("acme-large", "1.0").file("acme_large/data.bin", bytes.clone()).build();
    api.python_upload("demo", "main", &wheel).expect(&[200]);
    leads_to(&ask(&scene, Method::GET, &api.python_path("demo", "main", "acme-large", &wheel.filename), &[]));
    let index = format!("http://wendy:{password}@{host}/api/v1/demo/main/python/simple/");
    for pip in ["pip", "pip-23.0"] {
        run(home
            .command(&format!("python/{pip}/bin/python"))
            .args(["-m", "pip", "install", "--no-cache-dir", "--target", &home.file(pip)])
            .args(["--index-url", &index, "acme-large"])
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            .env("PIP_NO_INPUT", "1")
            .env("PIP_RETRIES", "0"))
        .success();
        let installed = std::fs::read(home.path().join(pip).join("acme_large/data.bin"));
        assert!(installed.expect("the file is installed") == bytes, "{pip} installed something else");
    }
}
