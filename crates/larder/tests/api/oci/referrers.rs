//! What refers to a manifest (OCI distribution-spec, "Listing Referrers").

use serde_json::{Value, json};
use testkit::{Answer, Api, Role, random_word, sha256};

use super::tag::next;
use crate::scene::{
    CONFIG_TYPE, Calls as _, INDEX_TYPE, MANIFEST_TYPE, Organization, Pushed, empty_config, expect_error,
    referrer_of, small_manifest, writer_and_repository,
};

/// No entry.
const NONE: [Value; 0] = [];

/// A subject, and somebody who attaches to it.
pub(super) struct Scene {
    pub(super) writer: Api,
    pub(super) repository: String,
    pub(super) subject: Pushed,
}

impl Scene {
    pub(super) fn new() -> Self {
        let (writer, repository) = writer_and_repository();
        let subject = writer.image_push(&repository, "subject", &small_manifest());
        Self { writer, repository, subject }
    }

    fn path(&self) -> String {
        format!("/v2/{}/referrers/{}", self.repository, self.subject.digest)
    }

    pub(super) fn referrer(&self, artifact_type: &str) -> Value {
        referrer_of(&self.subject.descriptor(), artifact_type)
    }

    #[track_caller]
    pub(super) fn attach(&self, manifest: &Value) -> Pushed {
        self.writer.image_push(&self.repository, "", manifest)
    }

    #[track_caller]
    fn list(&self, query: &str) -> Answer {
        list(&self.writer, &format!("{}{query}", self.path()))
    }
}

/// Asserts that the answer is an index as clients compare it, whatever is in it.
#[track_caller]
fn list(caller: &Api, path: &str) -> Answer {
    let answer = caller.ask("GET", path).expect(&[200]);
    assert_eq!(answer.header("content-type"), Some(INDEX_TYPE), "{answer}");
    let index = answer.json();
    assert_eq!(index["schemaVersion"], 2, "{answer}");
    assert_eq!(index["mediaType"], INDEX_TYPE, "{answer}");
    assert!(index["manifests"].is_array(), "{answer}");
    answer
}

#[track_caller]
fn entries(answer: &Answer) -> Vec<Value> {
    answer.json()["manifests"].as_array().expect("an index has manifests").clone()
}

pub(super) fn digests(entries: &[Value]) -> Vec<&str> {
    entries.iter().map(|entry| entry["digest"].as_str().expect("a digest is text")).collect()
}

/// Anything but 200 makes clients believe that the registry does not know referrers at all.
#[test]
fn what_does_not_exist_has_no_referrers() {
    let (writer, repository) = writer_and_repository();
    let zeros = format!("sha256:{}", "0".repeat(64));
    for digest in [&zeros, &sha256(random_word().as_bytes()), &format!("sha512:{}", "0".repeat(128))] {
        assert_eq!(entries(&list(&writer, &format!("/v2/{repository}/referrers/{digest}"))), NONE);
    }
    writer.image_push(&repository, "1", &small_manifest());
    assert_eq!(entries(&list(&writer, &format!("/v2/{repository}/referrers/{zeros}"))), NONE);
    for digest in ["sha256:bad", "1", "sha256", &zeros.to_uppercase()] {
        expect_error(
            writer.ask("GET", &format!("/v2/{repository}/referrers/{digest}")),
            400,
            "DIGEST_INVALID",
        );
    }
}

#[test]
fn a_push_with_a_subject_says_that_it_was_seen() {
    let scene = Scene::new();
    for (media_type, document) in [
        (MANIFEST_TYPE, scene.referrer("application/vnd.example")),
        (
            INDEX_TYPE,
            json!({
                "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [], "subject": scene.subject.descriptor(),
            }),
        ),
    ] {
        let body = document.to_string();
        let answer =
            scene.writer.manifest_put(&scene.repository, "1", media_type, body.as_bytes()).expect(&[201]);
        assert_eq!(answer.header("oci-subject"), Some(scene.subject.digest.as_str()), "{answer}");
        assert!(digests(&entries(&scene.list(""))).contains(&sha256(body.as_bytes()).as_str()));
    }
}

#[test]
fn an_entry_describes_the_referrer_and_nothing_else() {
    let scene = Scene::new();
    let annotations =
        json!({ "org.opencontainers.image.created": "2026-01-01T00:00:00Z", "a": "b", "": "🦀" });
    // The type of an image without one of its own is that of its configuration.
    let mut image = scene.referrer("");
    image["artifactType"] = Value::Null;
    image["annotations"] = annotations.clone();
    let config = b"{\"config\":true}";
    scene.writer.blob_push(&scene.repository, config);
    image["config"] = json!({ "mediaType": "application/vnd.example.config", "digest": sha256(config), "size": config.len() });
    image["layers"] = json!([{
        "mediaType": "a/b", "digest": sha256(b"{}"), "size": 2, "annotations": { "of": "the layer" },
    }]);
    let mut typed = scene.referrer("application/vnd.example.sbom+json");
    typed["config"]["annotations"] = json!({ "of": "the configuration" });
    typed["annotations"] = json!({ "one": "only" });
    let mut index = json!({
        "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [], "subject": scene.subject.descriptor(),
    });
    let (image, typed, plain_index) = (scene.attach(&image), scene.attach(&typed), scene.attach(&index));
    index["artifactType"] = "application/vnd.example.index".into();
    let typed_index = scene.attach(&index);

    let listed = entries(&scene.list(""));
    let find = |pushed: &Pushed| {
        let found = listed.iter().find(|entry| entry["digest"] == pushed.digest);
        found.unwrap_or_else(|| panic!("{} is not listed: {listed:?}", pushed.digest)).clone()
    };
    let with = |pushed: &Pushed, artifact_type: &str, annotations: &Value| {
        let mut descriptor = pushed.descriptor();
        descriptor["artifactType"] = artifact_type.into();
        descriptor["annotations"] = annotations.clone();
        descriptor
    };
    assert_eq!(find(&image), with(&image, "application/vnd.example.config", &annotations));
    let only = json!({ "one": "only" });
    assert_eq!(find(&typed), with(&typed, "application/vnd.example.sbom+json", &only));
    assert_eq!(find(&plain_index), plain_index.descriptor());
    let mut descriptor = typed_index.descriptor();
    descriptor["artifactType"] = "application/vnd.example.index".into();
    assert_eq!(find(&typed_index), descriptor);
    assert_eq!(listed.len(), 4);
}

#[test]
fn a_filter_is_exact_and_says_that_it_was_applied() {
    let scene = Scene::new();
    let spdx = scene.attach(&scene.referrer("application/spdx+json")).digest;
    let other = scene.attach(&scene.referrer("application/spdx")).digest;
    // The plus sign is escaped by some and sent raw by others; a form would turn it into a space.
    for query in [
        "application/spdx+json",
        "application%2Fspdx%2Bjson",
        "application/spdx%2bjson",
        "application/spdx%20json",
    ] {
        let answer = scene.list(&format!("?artifactType={query}"));
        assert_eq!(digests(&entries(&answer)), [spdx.as_str()], "{query}");
        assert_eq!(answer.header("oci-filters-applied"), Some("artifactType"), "{answer}");
    }
    assert_eq!(digests(&entries(&scene.list("?artifactType=application/spdx"))), [other.as_str()]);
    for query in ["?artifactType=application/SPDX%2Bjson", "?artifactType=spdx", "?artifactType=application/"]
    {
        let answer = scene.list(query);
        assert_eq!(entries(&answer), NONE, "{query}");
        assert_eq!(answer.header("oci-filters-applied"), Some("artifactType"), "{answer}");
    }
    for query in ["", "?unknown=filter", "?artifactType="] {
        let answer = scene.list(query);
        assert_eq!(entries(&answer).len(), 2, "{query}");
        assert_eq!(answer.header("oci-filters-applied"), None, "{answer}");
    }
}

#[test]
fn a_referrer_may_come_before_its_subject() {
    let (writer, repository) = writer_and_repository();
    let subject = small_manifest();
    let digest = sha256(subject.to_string().as_bytes());
    let descriptor =
        json!({ "mediaType": MANIFEST_TYPE, "digest": digest, "size": subject.to_string().len() });
    let referrer = writer.image_push(&repository, "", &referrer_of(&descriptor, "application/vnd.example"));
    let path = format!("/v2/{repository}/referrers/{digest}");
    assert_eq!(digests(&entries(&list(&writer, &path))), [referrer.digest.as_str()]);
    writer.ask("GET", &format!("/v2/{repository}/manifests/{digest}")).expect(&[404]);
    writer.image_push(&repository, "1", &subject);
    assert_eq!(digests(&entries(&list(&writer, &path))), [referrer.digest.as_str()]);
}

#[test]
fn a_deleted_referrer_is_gone_at_once() {
    let scene = Scene::new();
    let (one, other) = (scene.attach(&scene.referrer("a/b")), scene.attach(&scene.referrer("a/b")));
    assert_eq!(entries(&scene.list("")).len(), 2);
    scene.writer.ask("DELETE", &format!("/v2/{}/manifests/{}", scene.repository, one.digest)).expect(&[202]);
    assert_eq!(digests(&entries(&scene.list(""))), [other.digest.as_str()]);
    assert_eq!(digests(&entries(&scene.list("?artifactType=a/b"))), [other.digest.as_str()]);
}

#[test]
fn the_same_referrer_pushed_twice_is_listed_once() {
    let scene = Scene::new();
    let referrer = scene.referrer("a/b");
    scene.attach(&referrer);
    scene.writer.image_push(&scene.repository, "tagged", &referrer);
    assert_eq!(entries(&scene.list("")).len(), 1);
}

#[test]
fn referrers_never_cross_repositories() {
    let organization = Organization::new();
    let writer = organization.member(Role::Writer);
    let (one, other) = (organization.repository("one"), organization.repository("other"));
    let manifest = small_manifest();
    let subject = writer.image_push(&one, "1", &manifest);
    writer.image_push(&other, "1", &manifest);
    let referrer = writer.image_push(&one, "", &referrer_of(&subject.descriptor(), "a/b"));
    let at = |repository: &str| list(&writer, &format!("/v2/{repository}/referrers/{}", subject.digest));
    assert_eq!(digests(&entries(&at(&one))), [referrer.digest.as_str()]);
    assert_eq!(entries(&at(&other)), NONE);
}

/// Reads all pages and asserts that every one but the last holds between `least` and `most` entries.
#[track_caller]
fn read_pages(scene: &Scene, query: &str, least: usize, most: usize) -> (usize, Vec<Value>) {
    let (mut page, mut pages, mut found) = (scene.list(query), 1, Vec::new());
    loop {
        let entries = entries(&page);
        assert!(page.body.len() < 4 * 1024 * 1024, "clients stop reading at 4 MiB");
        assert!(entries.len() <= most, "{} entries", entries.len());
        found.extend(entries.clone());
        let Some(path) = next(&page) else { return (pages, found) };
        assert!(entries.len() >= least, "a page of {} entries that goes on", entries.len());
        assert!(path.starts_with(&scene.path()), "{path}");
        page = list(&scene.writer, &path);
        pages += 1;
    }
}

/// Asserts that the pages hold each of these once.
#[track_caller]
fn check_complete(found: &[Value], pushed: &[Pushed]) {
    let mut found = digests(found);
    let mut expected: Vec<_> = pushed.iter().map(|pushed| pushed.digest.as_str()).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_client_may_ask_for_small_pages() {
    let scene = Scene::new();
    let pushed: Vec<_> = (0..7).map(|_| scene.attach(&scene.referrer("application/a+b"))).collect();
    scene.attach(&scene.referrer("application/other"));
    let (pages, found) = read_pages(&scene, "?n=3&artifactType=application/a%2Bb", 3, 3);
    assert_eq!(pages, 3);
    check_complete(&found, &pushed);
    // What is asked for stays asked for.
    let path = next(&scene.list("?n=3&artifactType=application/a%2Bb")).expect("there is more");
    assert!(path.contains("artifactType=application%2Fa%2Bb") && path.contains("n=3"), "{path}");
    let second = list(&scene.writer, &path);
    assert_eq!(second.header("oci-filters-applied"), Some("artifactType"), "{second}");
    assert_eq!(entries(&scene.list("?n=0")), NONE);
    for cursor in ["x", "%21", "AAAA", &"a".repeat(500)] {
        let path = format!("{}?nextToken={cursor}", scene.path());
        expect_error(scene.writer.ask("GET", &path), 400, "UNSUPPORTED");
    }
}

#[test]
fn pages_end_by_their_bytes() {
    let scene = Scene::new();
    let long = |length: usize| {
        let mut referrer = scene.referrer("a/b");
        referrer["annotations"]["long"] = "x".repeat(length).into();
        referrer
    };
    // Ordinary annotations: a hundred in a page, however long they are together.
    let mut pushed: Vec<_> = (0..120).map(|_| scene.attach(&long(12_000))).collect();
    let (pages, found) = read_pages(&scene, "", 100, 119);
    assert_eq!(pages, 2);
    check_complete(&found, &pushed);
    // Annotations that nobody should write: even so no page that clients stop reading.
    pushed.extend((0..5).map(|_| scene.attach(&long(900_000))));
    let (pages, found) = read_pages(&scene, "", 2, 119);
    assert!(pages >= 3, "{pages}");
    check_complete(&found, &pushed);
}

#[test]
fn the_tag_that_stood_for_the_list_is_a_tag_like_any_other() {
    // Clients that do not know the list keep it under a tag of this form.
    let scene = Scene::new();
    let tag = scene.subject.digest.replace(':', "-");
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [] });
    scene.writer.image_push(&scene.repository, &tag, &index);
    scene.writer.ask("GET", &format!("/v2/{}/manifests/{tag}", scene.repository)).expect(&[200]);
    assert_eq!(entries(&scene.list("")), NONE);
}

#[test]
fn a_subject_may_be_anything_that_has_a_digest() {
    let scene = Scene::new();
    for subject in [
        json!({ "mediaType": CONFIG_TYPE, "digest": sha256(b"{}"), "size": 2 }),
        empty_config(),
        json!({ "mediaType": MANIFEST_TYPE, "digest": format!("blake3:{}", "0".repeat(64)), "size": 2 }),
    ] {
        let body = referrer_of(&subject, "a/b").to_string();
        let answer =
            scene.writer.manifest_put(&scene.repository, "1", MANIFEST_TYPE, body.as_bytes()).expect(&[201]);
        assert_eq!(answer.header("oci-subject"), subject["digest"].as_str(), "{answer}");
        let digest = subject["digest"].as_str().unwrap();
        let path = format!("/v2/{}/referrers/{digest}", scene.repository);
        assert!(digests(&entries(&list(&scene.writer, &path))).contains(&sha256(body.as_bytes()).as_str()));
    }
}
