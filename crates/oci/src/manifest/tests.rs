use proptest::prelude::*;
use serde_json::json;

use super::json::{MAX_DEPTH, MAX_VALUES};
use super::*;
use crate::digest::{Algorithm, Digest};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const ORAS: &str = "application/vnd.cncf.oras.artifact.manifest.v1+json";
const OCI_ARTIFACT: &str = "application/vnd.oci.artifact.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn of(content: &str) -> Digest {
    Digest::of(Algorithm::Sha256, content.as_bytes())
}

fn descriptor(media_type: &str, content: &str) -> Value {
    json!({"mediaType": media_type, "digest": of(content), "size": content.len()})
}

fn image() -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI,
        "config": descriptor("application/vnd.oci.image.config.v1+json", "{}"),
        "layers": [descriptor(LAYER, "one"), descriptor(LAYER, "two")],
    })
}

fn index() -> Value {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(OCI, "child")]})
}

fn oras() -> Value {
    json!({"mediaType": ORAS, "artifactType": "a/b", "blobs": [descriptor("x/y", "blob")], "subject": descriptor(OCI, "subject")})
}

/// `base` with the field at a JSON pointer's place set.
fn with(mut base: Value, field: &str, value: Value) -> Value {
    let (parent, key) = field.rsplit_once('/').unwrap_or(("", field));
    let parent = if parent.is_empty() { &mut base } else { base.pointer_mut(&format!("/{parent}")).unwrap() };
    parent[key] = value;
    base
}

fn without(mut base: Value, field: &str) -> Value {
    base.as_object_mut().unwrap().remove(field);
    base
}

fn parse(content_type: &str, body: &Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(Some(content_type), body.to_string().as_bytes())
}

/// The message of a refusal, with what has to be in it.
#[track_caller]
fn refused(content_type: &str, body: &Value, part: &str) {
    let message = parse(content_type, body).expect_err(part).to_string();
    assert!(message.contains(part), "{message}");
}

#[test]
fn an_image_names_its_config_and_layers() {
    let manifest = parse(OCI, &image()).unwrap();
    assert_eq!((manifest.kind, manifest.media_type.as_str()), (ManifestKind::OciManifest, OCI));
    assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.oci.image.config.v1+json"));
    assert_eq!(manifest.config_media_type, manifest.artifact_type);
    let contents: Vec<_> = manifest.blobs.iter().map(|blob| blob.digest.clone()).collect();
    assert_eq!(contents, ["{}", "one", "two"].map(|content| of(content).into()));
    assert!(manifest.children.is_empty() && manifest.subject.is_none());
}

#[test]
fn every_kind_is_accepted() {
    for kind in ManifestKind::ALL {
        let body = if kind.is_image() {
            image()
        } else if kind.is_index() {
            index()
        } else {
            oras()
        };
        let body = with(body, "mediaType", json!(kind.as_str()));
        assert_eq!(parse(kind.as_str(), &body).unwrap().kind, kind);
        // The header alone, the body alone, the header with parameters and in other letters.
        assert_eq!(parse(kind.as_str(), &without(body.clone(), "mediaType")).unwrap().kind, kind);
        assert_eq!(Manifest::parse(None, body.to_string().as_bytes()).unwrap().kind, kind);
        let odd = format!("{}; charset=utf-8", kind.as_str().to_uppercase());
        assert_eq!(parse(&odd, &body).unwrap().media_type, kind.as_str());
    }
}

#[test]
fn types_have_to_agree_and_be_known() {
    refused(OCI, &with(image(), "mediaType", json!(DOCKER)), "same type in both");
    refused(INDEX, &image(), "same type in both");
    refused(OCI, &with(image(), "mediaType", json!(OCI.to_uppercase())), "same type in both");
    refused(OCI, &with(image(), "mediaType", json!(7)), "has to be a string");
    refused("application/json", &image(), "not a manifest type");
    refused("application/x-www-form-urlencoded", &image(), "not a manifest type");
    let untyped = without(image(), "mediaType").to_string();
    let error = Manifest::parse(None, untyped.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("content-type"), "{error}");
}

#[test]
fn schema_1_is_refused_with_its_own_message() {
    let body = json!({"schemaVersion": 1, "name": "x", "fsLayers": []});
    for content_type in [
        "application/json",
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws; charset=utf-8",
    ] {
        refused(content_type, &body, "schema 1");
    }
    let error = Manifest::parse(None, body.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("schema 1"), "{error}");
}

#[test]
fn size_limit_is_exact() {
    let mut body = image().to_string().into_bytes();
    body.resize(MAX_MANIFEST_BYTES, b' ');
    assert!(Manifest::parse(Some(OCI), &body).is_ok());
    body.push(b' ');
    assert_eq!(
        Manifest::parse(Some(OCI), &body),
        Err(ManifestError::TooLarge { size: MAX_MANIFEST_BYTES + 1 })
    );
}

#[test]
fn ambiguous_json_is_refused() {
    let body = image().to_string();
    let open = body.strip_prefix('{').unwrap();
    for (text, part) in [
        (String::new(), "JSON"),
        ("[]".to_owned(), "has to be a JSON object"),
        ("null".to_owned(), "has to be a JSON object"),
        (format!("\u{feff}{body}"), "byte order mark"),
        (format!("{body}{{}}"), "trailing"),
        (format!("{{\"schemaVersion\":2,{open}"), "stands twice"),
        (format!("{{\"\\u0073chemaVersion\":2,{open}"), "stands twice"),
        (format!("{{\"x\":[{{\"a\":1,\"a\":1}}],{open}"), "stands twice"),
        (format!("{{\"x\":\"\\ud800\",{open}"), "JSON"),
        (format!("{{\"Layers\":[],{open}"), "only in letter case"),
        (format!("{{\"layer\u{17f}\":[],{open}"), "only in letter case"),
        (format!("{{\"subject\":{{\"Digest\":\"x\"}},{open}"), "only in letter case"),
        (format!("{{\"x\":[{}0],{open}", "0,".repeat(MAX_VALUES)), "more than 200000 values"),
    ] {
        let error = Manifest::parse(Some(OCI), text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(Manifest::parse(Some(OCI), b"{\"a\":\"\xff\"}").unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| {
        let lists = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        image().to_string().replacen('{', &format!("{{\"x\":{lists},"), 1)
    };
    assert!(Manifest::parse(Some(OCI), nested(MAX_DEPTH - 1).as_bytes()).is_ok());
    let error = Manifest::parse(Some(OCI), nested(MAX_DEPTH).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("levels deep"), "{error}");
    assert!(Manifest::parse(Some(OCI), nested(100_000).as_bytes()).is_err());
}

#[test]
fn an_index_and_an_image_are_two_documents() {
    refused(OCI, &with(image(), "manifests", json!([])), "both \"manifests\" and \"config\"");
    refused(INDEX, &with(index(), "layers", json!([])), "both \"manifests\" and \"layers\"");
    refused(INDEX, &with(index(), "blobs", json!([])), "both \"manifests\" and \"blobs\"");
    refused(ORAS, &with(oras(), "layers", json!([])), "cannot have \"layers\"");
    refused(ORAS, &with(without(oras(), "blobs"), "manifests", json!([])), "cannot have \"manifests\"");
    assert!(parse(OCI, &with(image(), "manifests", Value::Null)).is_ok());
}

#[test]
fn required_fields() {
    refused(OCI, &without(image(), "schemaVersion"), "schemaVersion");
    refused(OCI, &with(image(), "schemaVersion", json!("2")), "schemaVersion");
    refused(INDEX, &with(index(), "schemaVersion", json!(3)), "schemaVersion");
    refused(OCI, &without(image(), "config"), "config");
    refused(OCI, &with(image(), "config", json!([])), "config has to be");
    refused(DOCKER, &without(without(image(), "mediaType"), "layers"), "\"layers\"");
    refused(OCI, &with(image(), "layers", json!({})), "\"layers\"");
    refused(INDEX, &without(index(), "manifests"), "\"manifests\"");
    refused(ORAS, &with(oras(), "artifactType", json!("")), "artifactType");
    refused(OCI, &with(image(), "artifactType", json!("a\nb")), "artifactType");
    refused(OCI, &with(image(), "annotations", json!({"a": 1})), "annotation \"a\"");
    refused(OCI, &with(image(), "annotations", json!([])), "annotations");
    assert!(parse(OCI, &with(image(), "layers", json!([]))).unwrap().blobs.len() == 1);
    assert!(parse(OCI, &with(image(), "layers", Value::Null)).unwrap().blobs.len() == 1);
    assert!(parse(INDEX, &with(index(), "manifests", json!([]))).unwrap().children.is_empty());
    assert!(parse(ORAS, &without(without(oras(), "blobs"), "subject")).unwrap().blobs.is_empty());
    assert!(parse(OCI_ARTIFACT, &json!({"mediaType": OCI_ARTIFACT})).unwrap().artifact_type.is_none());
}

#[test]
fn unknown_fields_and_types_are_left_alone() {
    let body = with(image(), "com.example.custom", json!({"Config": [1.5, null, true, -3, u64::MAX]}));
    let body = with(body, "layers/0/custom", json!(1));
    let body = with(body, "config/mediaType", json!("application/vnd.cncf.helm.config.v1+json"));
    let manifest = parse(OCI, &with(body, "annotations", json!({"Foo": "1", "foo": "2"}))).unwrap();
    assert_eq!(manifest.annotations.len(), 2);
    assert_eq!(manifest.artifact_type.as_deref(), Some("application/vnd.cncf.helm.config.v1+json"));
}

#[test]
fn descriptors_are_checked() {
    for (field, value, part) in [
        ("layers/1/digest", json!("sha256:baddigest"), "layers[1]: \"sha256:baddigest\" is not a digest"),
        ("layers/1/digest", json!(null), "layers[1]: a descriptor needs a \"digest\""),
        ("layers/1/size", json!(-1), "layers[1]: \"size\""),
        ("layers/1/size", json!(1.5), "layers[1]: \"size\""),
        ("layers/1/size", json!(u64::MAX), "layers[1]: \"size\""),
        ("layers/1/size", json!(null), "needs a \"size\""),
        ("layers/1/mediaType", json!(""), "needs a \"mediaType\""),
        ("layers/1/urls", json!("http://x"), "urls"),
        ("config/digest", json!("x"), "config: "),
    ] {
        refused(OCI, &with(image(), field, value), part);
    }
    let bad = parse(OCI, &with(image(), "config/digest", json!("x")));
    assert!(matches!(bad, Err(ManifestError::Digest { .. })));
    let other = json!(format!("blake3:{}", "0".repeat(64)));
    assert!(parse(OCI, &with(image(), "layers/1/digest", other)).is_ok());
}

#[test]
fn too_many_descriptors() {
    let layers = |count: usize| with(image(), "layers", json!(vec![descriptor(LAYER, "x"); count]));
    assert_eq!(parse(OCI, &layers(MAX_DESCRIPTORS - 1)).unwrap().blobs.len(), 2);
    refused(OCI, &layers(MAX_DESCRIPTORS), "more than 4096");
}

#[test]
fn embedded_data_has_to_be_the_content() {
    let data = |text: &str| with(image(), "config/data", json!(text));
    assert!(parse(OCI, &data("e30=")).is_ok());
    refused(OCI, &data("e30"), "base64");
    refused(OCI, &data("e30gIA=="), "holds 4 bytes");
    refused(OCI, &data("W10="), "does not hash");
    refused(OCI, &with(image(), "config/data", json!(1)), "base64");
    let unknown = with(data("W10="), "config/digest", json!("other:abc"));
    assert!(parse(OCI, &unknown).is_ok());
}

#[test]
fn foreign_layers_with_urls_are_optional() {
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let body = with(image(), "layers/0/urls", json!(["https://example.com/layer"]));
    assert!(!parse(OCI, &body).unwrap().blobs[1].optional);
    let body = with(body, "layers/0/mediaType", json!(foreign));
    assert!(parse(OCI, &body).unwrap().blobs[1].optional);
    assert!(!parse(OCI, &with(body.clone(), "layers/0/urls", json!([]))).unwrap().blobs[1].optional);
    // The same content named again as something that has to be there.
    let both = with(body, "layers/1/digest", json!(of("one")));
    let manifest = parse(OCI, &both).unwrap();
    assert_eq!(manifest.blobs.len(), 2);
    assert!(!manifest.blobs[1].optional);
}

#[test]
fn an_index_may_list_blobs() {
    let body = with(
        index(),
        "manifests",
        json!([
            descriptor(LAYER, "layer"),
            descriptor("application/vnd.buildkit.cacheconfig.v0", "config"),
            descriptor(INDEX, "nested"),
            descriptor(DOCKER, "image"),
            descriptor(DOCKER, "image"),
        ]),
    );
    let manifest = parse(DOCKER_LIST, &without(body, "mediaType")).unwrap();
    let manifests: Vec<_> = manifest.children.iter().map(Descriptor::is_manifest_type).collect();
    assert_eq!(manifests, [false, false, true, true]);
    assert_eq!(manifest.artifact_type, None);
    let typed = parse(INDEX, &with(index(), "artifactType", json!("a/b"))).unwrap();
    assert_eq!(typed.artifact_type.as_deref(), Some("a/b"));
}

#[test]
fn subjects() {
    let subject = |body: Value, value: Value| with(body, "subject", value);
    for (content_type, body) in [(OCI, image()), (INDEX, index()), (ORAS, oras())] {
        let manifest = parse(content_type, &subject(body.clone(), descriptor(OCI, "subject"))).unwrap();
        let parsed = manifest.subject.unwrap();
        assert_eq!((parsed.digest, parsed.size), (of("subject").into(), Some(7)));
        let bad = parse(content_type, &subject(body, json!({"digest": "sha256:baddigest"})));
        assert!(matches!(bad, Err(ManifestError::Digest { .. })));
    }
    let sparse = parse(OCI, &subject(image(), json!({"digest": "other:abc"}))).unwrap().subject.unwrap();
    assert_eq!((sparse.digest.as_str(), sparse.media_type, sparse.size), ("other:abc", None, None));
    assert!(parse(OCI, &subject(image(), Value::Null)).unwrap().subject.is_none());
    assert!(parse(OCI, &subject(image(), descriptor(LAYER, "x"))).is_ok());
    refused(ORAS, &subject(oras(), descriptor(LAYER, "x")), "has to be a manifest");
    refused(OCI, &subject(image(), json!("x")), "subject has to be");
}

#[test]
fn the_alias_of_the_first_oras_alphas() {
    let alias = |body: Value| with(body, "subjectManifest", descriptor(OCI, "old"));
    assert_eq!(parse(ORAS, &alias(oras())).unwrap().subject.unwrap().digest, of("subject").into());
    assert_eq!(
        parse(ORAS, &alias(without(oras(), "subject"))).unwrap().subject.unwrap().digest,
        of("old").into()
    );
    assert!(parse(OCI, &alias(image())).unwrap().subject.is_none());
}

#[test]
fn created_is_an_rfc_3339_timestamp() {
    let created = |body: Value, text: &str| with(body, "annotations", json!({ORAS_CREATED_ANNOTATION: text}));
    assert_eq!(parse(ORAS, &created(oras(), "1970-01-01T00:00:01Z")).unwrap().created, Some(1000));
    refused(ORAS, &created(oras(), "yesterday"), "RFC 3339");
    assert_eq!(parse(OCI, &created(image(), "yesterday")).unwrap().created, None);
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9:/]{0,12}".prop_map(Value::from),
        Just(json!(of("x"))),
        Just(json!(OCI)),
    ];
    let key = prop::sample::select(vec![
        "schemaVersion",
        "mediaType",
        "config",
        "layers",
        "blobs",
        "manifests",
        "subject",
        "annotations",
        "digest",
        "size",
        "data",
        "urls",
        "artifactType",
        "x",
    ]);
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner, 0..6).prop_map(|map| Value::Object(
                map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn never_panics_on_bytes(body in any::<Vec<u8>>()) {
        let _ = Manifest::parse(Some(OCI), &body);
        let _ = Manifest::parse(None, &body);
    }

    #[test]
    fn never_panics_on_json(field in "config|layers|manifests|subject|annotations|mediaType|blobs", value in json_value()) {
        for (content_type, base) in [(OCI, image()), (INDEX, index()), (ORAS, oras())] {
            let body = with(base, &field, value.clone());
            let _ = parse(content_type, &body);
            let _ = Manifest::parse(None, value.to_string().as_bytes());
        }
    }

    #[test]
    fn annotations_come_back(annotations in prop::collection::btree_map(any::<String>(), any::<String>(), 0..8)) {
        prop_assume!(!annotations.contains_key(ORAS_CREATED_ANNOTATION));
        let manifest = parse(OCI, &with(image(), "annotations", json!(annotations))).unwrap();
        prop_assert_eq!(manifest.annotations, annotations);
    }
}
