//! What a manifest may name, and what of it has to be there.

use serde_json::{Value, json};
use testkit::{Api, Role, random_bytes, random_word, sha256};

use super::manifest::{DOCKER_LIST, DOCKER_MANIFEST, check_refused, check_taken, get, put, with_config};
use crate::scene::{
    CONFIG_TYPE, Calls as _, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, Organization, empty_config, expect_error,
    small_manifest, writer_and_repository,
};

/// A descriptor of content that is not in the repository.
fn absent(media_type: &str) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(random_word().as_bytes()), "size": 24 })
}

/// Pushes random bytes and returns the descriptor that names them.
#[track_caller]
fn layer(writer: &Api, repository: &str, media_type: &str) -> Value {
    let bytes = random_bytes(64);
    json!({ "mediaType": media_type, "digest": writer.blob_push(repository, &bytes), "size": 64 })
}

#[test]
fn what_a_manifest_names_has_to_be_in_the_same_repository() {
    let organization = Organization::new();
    let writer = organization.member(Role::Writer);
    let (repository, other) = (organization.repository("app"), organization.repository("other"));
    writer.blob_push(&repository, b"{}");
    let elsewhere = layer(&writer, &other, LAYER_TYPE);
    let missing = absent(LAYER_TYPE);
    let mut manifest = small_manifest();
    manifest["layers"] = json!([elsewhere, missing, elsewhere]);
    let answer = put(&writer, &repository, MANIFEST_TYPE, &manifest);
    let errors = answer.json()["errors"].clone();
    expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    let named: Vec<_> = errors.as_array().unwrap().iter().map(|error| &error["detail"]["digest"]).collect();
    assert_eq!(named, [&elsewhere["digest"], &missing["digest"]], "one error for each digest");
    get(&writer, &repository, "1").expect(&[404]);

    let mut manifest = small_manifest();
    manifest["config"] = absent(CONFIG_TYPE);
    expect_error(put(&writer, &repository, MANIFEST_TYPE, &manifest), 400, "MANIFEST_BLOB_UNKNOWN");
}

/// A mirror of some platforms of an image needs it; its administrator says so.
#[test]
fn a_registry_may_take_manifests_over_content_that_is_not_there() {
    let organization = Organization::new();
    let writer = organization.member(Role::Writer);
    let repository = organization.repository("app");
    let mut image = small_manifest();
    image["layers"] = json!([absent(LAYER_TYPE)]);
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [absent(MANIFEST_TYPE)] });
    for (media_type, manifest) in [(MANIFEST_TYPE, &image), (INDEX_TYPE, &index)] {
        expect_error(put(&writer, &repository, media_type, manifest), 400, "MANIFEST_BLOB_UNKNOWN");
    }
    organization.admin().registry_sparse(&organization.name, "main");
    for (media_type, manifest) in [(MANIFEST_TYPE, &image), (INDEX_TYPE, &index)] {
        let answer = put(&writer, &repository, media_type, manifest).expect(&[201]);
        let warning = answer.header("warning").expect("who pushes it hears that something is missing");
        assert!(warning.starts_with("299 - \"") && warning.ends_with('"'), "{warning}");
        check_taken(&writer, &repository, media_type, manifest);
    }
}

#[test]
fn foreign_layers_may_be_elsewhere() {
    let (writer, repository) = with_config();
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        let mut foreign = absent(media_type);
        let mut manifest = small_manifest();
        manifest["layers"] = json!([foreign]);
        expect_error(put(&writer, &repository, MANIFEST_TYPE, &manifest), 400, "MANIFEST_BLOB_UNKNOWN");
        foreign["urls"] = json!(["https://example.org/layer"]);
        manifest["layers"] = json!([foreign]);
        check_taken(&writer, &repository, MANIFEST_TYPE, &manifest);
    }
    // Only layers that nobody may hand out are excused.
    let mut ordinary = absent(LAYER_TYPE);
    ordinary["urls"] = json!(["https://example.org/layer"]);
    let mut manifest = small_manifest();
    manifest["layers"] = json!([ordinary]);
    expect_error(put(&writer, &repository, MANIFEST_TYPE, &manifest), 400, "MANIFEST_BLOB_UNKNOWN");
    // Who pushes one anyway gets it back.
    let foreign = layer(&writer, &repository, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    manifest["layers"] = json!([foreign]);
    check_taken(&writer, &repository, MANIFEST_TYPE, &manifest);
    let path = format!("/v2/{repository}/blobs/{}", foreign["digest"].as_str().unwrap());
    writer.ask("GET", &path).expect(&[200]);
}

#[test]
fn docker_images_and_lists() {
    let (writer, repository) = writer_and_repository();
    let mut config = layer(&writer, &repository, "application/vnd.docker.container.image.v1+json");
    config["size"] = 64.into();
    let docker = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": config,
        "layers": [layer(&writer, &repository, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
    });
    check_taken(&writer, &repository, DOCKER_MANIFEST, &docker);
    let docker = docker.to_string();
    let oci = writer.image_push(&repository, "oci", &small_manifest());
    // A list may mix the two generations.
    let list = json!({
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST,
        "manifests": [
            { "mediaType": DOCKER_MANIFEST, "digest": sha256(docker.as_bytes()), "size": docker.len(),
              "platform": { "architecture": "amd64", "os": "linux" } },
            oci.descriptor(),
        ],
    });
    check_taken(&writer, &repository, DOCKER_LIST, &list);
}

#[test]
fn an_index_names_what_is_there() {
    let (writer, repository) = with_config();
    let index =
        |children: &[Value]| json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": children });
    check_taken(&writer, &repository, INDEX_TYPE, &index(&[]));
    let child = writer.image_push(&repository, "", &small_manifest());
    let missing = absent(MANIFEST_TYPE);
    let answer = put(&writer, &repository, INDEX_TYPE, &index(&[child.descriptor(), missing.clone()]));
    assert_eq!(answer.json()["errors"][0]["detail"]["digest"], missing["digest"]);
    expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    // A blob does not make a manifest.
    let blob = layer(&writer, &repository, MANIFEST_TYPE);
    expect_error(put(&writer, &repository, INDEX_TYPE, &index(&[blob])), 400, "MANIFEST_BLOB_UNKNOWN");

    let mut inner = index(&[child.descriptor()]);
    inner["artifactType"] = "application/vnd.example.bundle".into();
    check_taken(&writer, &repository, INDEX_TYPE, &inner);
    let inner = inner.to_string();
    let nested = json!({ "mediaType": INDEX_TYPE, "digest": sha256(inner.as_bytes()), "size": inner.len() });
    check_taken(&writer, &repository, INDEX_TYPE, &index(&[nested, child.descriptor()]));
}

/// The older of BuildKit's two cache exports is an index of blobs.
#[test]
fn a_build_cache_is_an_index_of_blobs() {
    let (writer, repository) = writer_and_repository();
    for media_type in [INDEX_TYPE, DOCKER_LIST] {
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        let children = [
            layer(&writer, &repository, layer_type),
            layer(&writer, &repository, "application/vnd.buildkit.cacheconfig.v0"),
        ];
        let mut cache = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": children });
        check_taken(&writer, &repository, media_type, &cache);
        cache["manifests"][0] = absent(layer_type);
        expect_error(put(&writer, &repository, media_type, &cache), 400, "MANIFEST_BLOB_UNKNOWN");
    }
    // The newer one is an image with a config of its own type.
    let config = layer(&writer, &repository, "application/vnd.buildkit.cacheconfig.v0");
    let mut image = small_manifest();
    image["config"] = config;
    check_taken(&writer, &repository, MANIFEST_TYPE, &image);
}

#[test]
fn an_attestation_is_a_child_like_any_other() {
    let (writer, repository) = with_config();
    let image = writer.image_push(&repository, "", &small_manifest());
    let mut attestation = small_manifest();
    let mut statement = layer(&writer, &repository, "application/vnd.in-toto+json");
    statement["annotations"] = json!({ "in-toto.io/predicate-type": "https://slsa.dev/provenance/v1" });
    attestation["layers"] = json!([statement]);
    let attestation = writer.image_push(&repository, "", &attestation);
    let mut entry = attestation.descriptor();
    entry["platform"] = json!({ "architecture": "unknown", "os": "unknown" });
    entry["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.digest,
    });
    let index =
        json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [image.descriptor(), entry] });
    check_taken(&writer, &repository, INDEX_TYPE, &index);
}

#[test]
fn whatever_artifact_authors_think_of_is_kept() {
    let (writer, repository) = with_config();
    let data = json!({ "mediaType": "application/json", "digest": sha256(b"{}"), "size": 2, "data": "e30=" });
    for (field, value) in [
        ("artifactType", json!("application/vnd.example+type")),
        ("org.example.unknown", json!({ "nested": [1, 2.5, null, true] })),
        (
            "layers",
            json!([layer(&writer, &repository, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")]),
        ),
        (
            "layers",
            json!([layer(&writer, &repository, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")]),
        ),
        ("layers", json!([empty_config(), empty_config()])),
        ("layers", json!([data])),
        ("annotations", json!({})),
        ("annotations", json!({ "": "", "emoji": "🦀", "long": "x".repeat(10_000) })),
    ] {
        let mut manifest = small_manifest();
        manifest["larder.test"] = random_word().into();
        manifest[field] = value;
        check_taken(&writer, &repository, MANIFEST_TYPE, &manifest);
    }
    let mut manifest = small_manifest();
    manifest["layers"] = json!([{ "mediaType": "a/b", "digest": sha256(b"{}"), "size": 2, "data": "e31=" }]);
    check_refused(&writer, &repository, MANIFEST_TYPE, manifest.to_string().as_bytes());
}
