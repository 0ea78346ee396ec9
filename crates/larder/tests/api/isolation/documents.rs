//! Documents that one reader takes for this and another for that.

use serde_json::json;
use testkit::{Answer, sha256};

use super::Attacker;
use crate::scene::{Calls as _, INDEX_TYPE, MANIFEST_TYPE, expect_error, small_manifest};

const DOCKER_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST_TYPE: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const ARTIFACT_TYPE: &str = "application/vnd.cncf.oras.artifact.manifest.v1+json";

/// The document is refused, and nothing of it is left.
#[track_caller]
fn refused(attacker: &Attacker, media_type: &str, bytes: &[u8]) {
    let Attacker { api, repository } = attacker;
    let check = |answer: Answer| {
        expect_error(answer, 400, "MANIFEST_INVALID");
        for reference in ["hybrid", sha256(bytes).as_str()] {
            api.manifest_get(repository, reference).expect(&[404]);
        }
    };
    check(api.manifest_put(repository, "hybrid", media_type, bytes));
    check(api.manifest_put(repository, &sha256(bytes), media_type, bytes));
}

#[test]
fn t7_a_document_of_two_kinds_is_refused_under_either() {
    let attacker = Attacker::new();
    let own = attacker.api.image_push(&attacker.repository, "", &small_manifest());
    let image = small_manifest();
    let mut hybrid = image.clone();
    hybrid["manifests"] = json!([own.descriptor()]);
    let mut only_layers = json!({ "schemaVersion": 2, "manifests": [own.descriptor()], "layers": [] });
    let mut only_config = json!({ "schemaVersion": 2, "manifests": [], "config": image["config"] });
    let mut with_signatures = hybrid.clone();
    with_signatures["schemaVersion"] = json!(1);
    let mut artifact = json!({ "artifactType": "application/vnd.example", "blobs": [], "layers": [] });
    for media_type in [MANIFEST_TYPE, INDEX_TYPE, DOCKER_TYPE, DOCKER_LIST_TYPE, ARTIFACT_TYPE] {
        for document in [&mut hybrid, &mut only_layers, &mut only_config, &mut artifact] {
            // With a type inside that agrees with the one outside, with one that does not, and with none.
            for inside in [json!(media_type), json!(INDEX_TYPE), json!(MANIFEST_TYPE)] {
                document["mediaType"] = inside;
                refused(&attacker, media_type, document.to_string().as_bytes());
            }
            document.as_object_mut().expect("documents are objects").remove("mediaType");
            if media_type == ARTIFACT_TYPE || document.get("artifactType").is_none() {
                refused(&attacker, media_type, document.to_string().as_bytes());
            }
        }
    }
    refused(
        &attacker,
        "application/vnd.docker.distribution.manifest.v1+json",
        with_signatures.to_string().as_bytes(),
    );
}

#[test]
fn t7_a_type_inside_that_differs_from_the_one_outside_is_refused() {
    let attacker = Attacker::new();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] });
    refused(
        &attacker,
        MANIFEST_TYPE,
        small_manifest().to_string().replace(MANIFEST_TYPE, DOCKER_TYPE).as_bytes(),
    );
    refused(&attacker, INDEX_TYPE, small_manifest().to_string().as_bytes());
    refused(&attacker, MANIFEST_TYPE, index.to_string().as_bytes());
    refused(&attacker, DOCKER_LIST_TYPE, index.to_string().as_bytes());
}

#[test]
fn t7_what_was_pushed_as_one_type_is_served_as_that_type() {
    let Attacker { api, repository } = Attacker::new();
    let pushed = api.image_push(&repository, "v1", &small_manifest());
    for accept in [INDEX_TYPE, DOCKER_TYPE, "application/json", "text/html", "*/*"] {
        let path = format!("/v2/{repository}/manifests/v1");
        let answer = api.call("GET", &path, &[("accept", accept)], "").expect(&[200]);
        assert_eq!(answer.header("content-type"), Some(MANIFEST_TYPE), "{answer}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer}");
        assert_eq!(answer.body, pushed.bytes);
    }
}

#[test]
fn t8_json_that_parsers_disagree_about_is_refused() {
    let attacker = Attacker::new();
    attacker.api.image_push(&attacker.repository, "own", &small_manifest());
    let good = small_manifest().to_string();
    let body = good.strip_prefix('{').expect("a manifest is an object");
    let evil = json!([{ "mediaType": "a/b", "digest": super::digest_of_nothing(), "size": 1 }]);
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let sized = |size: &str| good.replace("\"size\":2", &format!("\"size\":{size}"));
    let documents: Vec<Vec<u8>> = vec![
        // One key twice, at the top and inside: the first or the last, who knows.
        format!("{{\"layers\":{evil},{body}").into(),
        format!("{{\"schemaVersion\":2,{body}").into(),
        good.replace("\"size\":2", "\"size\":2,\"size\":3").into(),
        good.replace("\"annotations\":{", "\"annotations\":{\"a\":\"1\",\"a\":\"2\",").into(),
        // A byte order mark, another encoding, bytes that are no text, a null inside.
        format!("\u{feff}{good}").into(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        [good.as_bytes(), b"\xff"].concat(),
        [&good.as_bytes()[..20], b"\xc0\xaf", &good.as_bytes()[20..]].concat(),
        // More than one document.
        format!("{good}{good}").into(),
        format!("{good} x").into(),
        format!("{good}\0").into(),
        // Numbers that are none, or too large to be exact everywhere.
        sized("1e3").into(),
        sized("2.5").into(),
        sized("-2").into(),
        sized("9223372036854775808").into(),
        sized("18446744073709551616").into(),
        sized("\"2\"").into(),
        sized("0x2").into(),
        // Things that some parsers let pass.
        good.replacen('}', ",}", 1).into(),
        good.replace("\"schemaVersion\":2", "\"schemaVersion\":\"2\"").into(),
        good.replace("\"schemaVersion\":2", "\"schemaVersion\":3").into(),
        format!("// a comment\n{good}").into(),
        format!("{{\"deep\":{deep},{body}").into(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"".to_vec(),
        b"{".to_vec(),
    ];
    for document in &documents {
        // An empty body would be no body at all.
        if !document.is_empty() {
            refused(&attacker, MANIFEST_TYPE, document);
        }
    }
    // What everybody reads alike is kept to the byte, spaces, escapes and unknown fields included.
    let spaced = format!("\n{{ \"x-unknown\": [1, \"\\u00e9\"],\t{body} \n");
    let answer = attacker
        .api
        .manifest_put(&attacker.repository, "spaced", MANIFEST_TYPE, spaced.as_bytes())
        .expect(&[201]);
    assert_eq!(answer.header("docker-content-digest"), Some(sha256(spaced.as_bytes()).as_str()), "{answer}");
    assert_eq!(
        attacker.api.manifest_get(&attacker.repository, "spaced").expect(&[200]).body,
        spaced.as_bytes()
    );
}

#[test]
fn t8_keys_that_differ_in_case_are_different_keys() {
    let Attacker { api, repository } = Attacker::new();
    // Go's parser takes `Layers` for `layers`; such a document says two things.
    let manifest = small_manifest().to_string();
    let evil = json!([{ "mediaType": "a/b", "digest": super::digest_of_nothing(), "size": 1 }]);
    let document = manifest.replacen('{', &format!("{{\"Layers\":{evil},"), 1);
    let answer = api.manifest_put(&repository, "cased", MANIFEST_TYPE, document.as_bytes());
    expect_error(answer, 400, "MANIFEST_INVALID");
}
