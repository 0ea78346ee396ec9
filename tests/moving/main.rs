//! From one machine to many and back: what was saved on one database and storage is restored onto others.

mod docs;

use std::process::Command;

use tempfile::TempDir;
use testkit::bucket::S3;
use testkit::postgres::Postgres;
use testkit::{Api, Options, Server, TEST_SEALING_KEY, random_bytes, run};

const REPOSITORY: &str = "demo/main/app";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn options() -> Options {
    Options::new(env!("CARGO_BIN_EXE_larder")).env("LARDER_STORAGE__DURABILITY", "relaxed")
}

fn push(api: &Api, tag: &str) -> String {
    let blob = |bytes: &[u8]| {
        let digest = testkit::sha256(bytes);
        let path = format!("/v2/{REPOSITORY}/blobs/uploads/?digest={digest}");
        api.send(api.request(testkit::Method::POST, &path).body(bytes.to_vec())).expect(&[201]);
        digest
    };
    let (config, layer) = (blob(b"{}"), blob(&random_bytes(100_000)));
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}",
            "config":{{"mediaType":"application/vnd.oci.empty.v1+json","digest":"{config}","size":2}},
            "layers":[{{"mediaType":"application/octet-stream","digest":"{layer}","size":100000}}]}}"#
    );
    let path = format!("/v2/{REPOSITORY}/manifests/{tag}");
    let request = api.request(testkit::Method::PUT, &path).header("content-type", MANIFEST);
    api.send(request.body(manifest)).expect(&[201]);
    layer
}

#[test]
fn a_backup_moves_between_databases_and_storages_and_back() {
    let folder = TempDir::new().expect("a temporary directory can be made");
    let path = |name: &str| folder.path().join(name).to_str().expect("temporary paths are text").to_owned();
    let (database, bucket) = (Postgres::shared().database(), S3::shared().bucket());

    let small = Server::start(options().data_directory(path("small")));
    let layers: Vec<String> = (0..20).map(|tag| push(&small.api(), &format!("v{tag}"))).collect();
    run(&mut small.command(&["backup", "--to", &path("first")])).success();

    // The server over the new places may not have started before the rows are there.
    let many = options().postgres(&database).bucket(&bucket).admin_password(small.admin_password());
    let mut restore = small.command(&["restore", "--from", &path("first")]);
    restore
        .env("LARDER_DATABASE__URL", database.url())
        .env("LARDER_AUTH__SEALING_KEY", TEST_SEALING_KEY)
        .env("LARDER_STORAGE__URL", bucket.url());
    run(restore.envs(bucket.env())).success().says(" 0 are not");
    let many = Server::start(many);
    let serves = |api: &Api, layers: &[String]| {
        for (tag, layer) in layers.iter().enumerate() {
            api.manifest_get(REPOSITORY, &format!("v{tag}")).expect(&[200]);
            let pulled = api.blob_get(REPOSITORY, layer).expect(&[200]);
            assert_eq!(testkit::sha256(&pulled.body), *layer);
        }
    };
    serves(&many.api(), &layers);
    run(&mut many.command(&["scrub"])).success().says(": 0 suspects");
    let all: Vec<String> = layers.into_iter().chain([push(&many.api(), "v20")]).collect();

    // And back, through a backup in the other direction.
    run(&mut many.command(&["backup", "--to", &path("second")])).success();
    run(&mut small.command(&["restore", "--from", &path("second")])).failure().says("in use");
    let mut back = Command::new(env!("CARGO_BIN_EXE_larder"));
    run(back.args(["restore", "--from", &path("second"), "--data-dir", &path("back")])).success();
    let back = options().data_directory(path("back")).admin_password(small.admin_password());
    serves(&Server::start(back).api(), &all);
}
