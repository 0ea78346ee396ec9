//! Python files that come through the registry protocol: pushed by hand, or copied from another registry.

use serde_json::{Value, json};
use testkit::python::{BuiltFile, Sdist, Wheel};
use testkit::{Answer, Api, Role, Visibility, sha256};

use super::scene::{Index, OwnIndex, project};
use crate::scene::{Calls as _, INDEX_TYPE, MANIFEST_TYPE, empty_config, expect_error, referrer_of};

const ARTIFACT_TYPE: &str = "application/vnd.python.artifact";
const WHEEL_LAYER: &str = "application/vnd.python.whl.file";
const SDIST_LAYER: &str = "application/vnd.python.sdist.file";
const TITLE: &str = "org.opencontainers.image.title";

/// The least that a manifest of a file has to say.
fn manifest(file: &BuiltFile) -> Value {
    let media_type = if file.filetype() == "sdist" { SDIST_LAYER } else { WHEEL_LAYER };
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": empty_config(),
        "layers": [{
            "mediaType": media_type,
            "digest": sha256(&file.bytes),
            "size": file.bytes.len(),
            "annotations": { TITLE: file.filename },
        }],
    })
}

/// Pushes the blobs and then the manifest.
#[track_caller]
fn push(index: &Index, file: &BuiltFile, reference: &str, manifest: &Value) -> Answer {
    let repository = index.repository(&file.name);
    index.writer.blob_push(&repository, &file.bytes);
    index.writer.blob_push(&repository, b"{}");
    index.writer.manifest_put(&repository, reference, MANIFEST_TYPE, manifest.to_string().as_bytes())
}

#[test]
fn a_file_that_is_pushed_is_in_the_index() {
    let index = Index::new();
    let name = project();
    let wheel = Wheel::new(&name, "1.0").header("Requires-Python", ">=3.8").build();
    let sdist = Sdist::new(&name, "1.0").build();
    let document = manifest(&wheel);
    let answer = push(&index, &wheel, "1.0", &document).expect(&[201]);
    let digest = sha256(document.to_string().as_bytes());
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
    let entry = index.entry(&name, &wheel.filename);
    assert_eq!(entry["hashes"]["sha256"], wheel.sha256(), "{entry}");
    assert_eq!(entry["requires-python"], ">=3.8", "{entry}");
    assert_eq!(entry["core-metadata"]["sha256"], sha256(&wheel.metadata).replace("sha256:", ""), "{entry}");
    let url = entry["url"].as_str().expect("a file has an address");
    assert!(index.writer.get(url).expect(&[200]).body == wheel.bytes, "other bytes");
    assert_eq!(index.writer.get(&format!("{url}.metadata")).expect(&[200]).body, wheel.metadata);
    assert_eq!(index.row(&name, &wheel.filename)["uploaded_by"], index.writer.username());
    // The tags are those of any file, whichever of them the client named, and the manifest is the client's.
    assert_eq!(index.tags(&name), ["1.0", "1.0-py3-none-any"]);
    let repository = index.repository(&name);
    for reference in ["1.0", "1.0-py3-none-any", &digest] {
        let stored = index.writer.manifest_get(&repository, reference).expect(&[200]);
        assert_eq!(stored.body, document.to_string().as_bytes());
    }
    // The next one makes an index of the release.
    push(&index, &sdist, "1.0-sdist", &manifest(&sdist)).expect(&[201]);
    assert_eq!(index.files(&name).len(), 2);
    let release = index.writer.manifest_get(&repository, "1.0").expect(&[200]).json();
    assert_eq!(release["manifests"].as_array().map(Vec::len), Some(2), "{release}");
    // Uploads and pushes are the same thing, whichever comes first.
    index.takes(&Wheel::new(&name, "2.0").build());
    index.takes(&wheel);
    assert_eq!(index.files(&name).len(), 3);
}

#[test]
fn a_file_is_pushed_by_digest_and_with_the_manifest_that_an_upload_makes() {
    let (one, other) = (Index::new(), Index::new());
    let name = project();
    let file = Wheel::new(&name, "1.0").header("Summary", "as it is").build();
    one.takes(&file);
    let made = one.writer.manifest_get(&one.repository(&name), "1.0").expect(&[200]);
    let document = made.json();
    let digest = sha256(&made.body);
    let repository = other.repository(&name);
    other.writer.blob_push(&repository, &file.bytes);
    other.writer.blob_push(&repository, b"{}");
    other.writer.manifest_put(&repository, &digest, MANIFEST_TYPE, &made.body).expect(&[201]);
    assert_eq!(other.writer.manifest_get(&repository, "1.0").expect(&[200]).body, made.body);
    assert_eq!(document["layers"][0]["annotations"]["Summary"], "as it is");
    other.takes(&file);
    // With another manifest the file would have two.
    let answer = other.writer.manifest_put(
        &repository,
        "1.0-py3-none-any",
        MANIFEST_TYPE,
        manifest(&file).to_string().as_bytes(),
    );
    assert!([400, 403, 409].contains(&answer.status), "{answer}");
    assert_eq!(other.writer.manifest_get(&repository, "1.0-py3-none-any").expect(&[200]).body, made.body);
}

#[test]
fn annotations_that_agree_are_taken_and_others_are_not() {
    let index = Index::new();
    let name = project();
    let file = Wheel::new(&name, "1.0")
        .header("Requires-Python", ">=3.8")
        .header("Requires-Dist", "idna")
        .header("Summary", "one thing")
        .build();
    let with = |key: &str, value: &str| {
        let mut document = manifest(&file);
        document["layers"][0]["annotations"][key] = value.into();
        document
    };
    for (key, value) in [
        ("Requires-Python", ">=3.12"),
        ("requires-python", ">=3.12"),
        ("Version", "2.0"),
        ("Name", "other"),
        ("Summary", "another thing"),
        ("Requires-Dist", "[\"attrs\"]"),
        ("Requires-Dist", "[\"idna\",\"attrs\"]"),
        ("License", "MIT"),
    ] {
        let message = expect_error(push(&index, &file, "1.0", &with(key, value)), 400, "MANIFEST_INVALID");
        assert!(message.to_lowercase().contains(&key.to_lowercase()), "{key}: {message}");
    }
    index.page(&name).expect(&[404]);
    // What agrees, however the key is written, and what no metadata field is called like.
    let mut document = with("requires-PYTHON", ">=3.8");
    document["layers"][0]["annotations"]["Requires-Dist"] = "[\"idna\"]".into();
    document["layers"][0]["annotations"]["com.example.build"] = "17".into();
    document["annotations"] = json!({ "org.opencontainers.image.source": "https://example.com" });
    push(&index, &file, "1.0", &document).expect(&[201]);
    assert_eq!(index.files(&name), [file.filename.as_str()]);
}

#[test]
fn a_pushed_manifest_has_the_shape_of_a_file() {
    let index = Index::new();
    let name = project();
    let file = Wheel::new(&name, "1.0").build();
    let sdist = Sdist::new(&name, "1.0").build();
    let repository = index.repository(&name);
    for bytes in [file.bytes.as_slice(), &sdist.bytes, b"{}", b"{ }"] {
        index.writer.blob_push(&repository, bytes);
    }
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut document = manifest(&file);
        change(&mut document);
        document
    };
    let layer = manifest(&sdist)["layers"][0].clone();
    for (what, document) in [
        ("two files", changed(&|it| it["layers"].as_array_mut().unwrap().push(layer.clone()))),
        ("no file", changed(&|it| it["layers"] = json!([]))),
        ("no title", changed(&|it| it["layers"][0]["annotations"] = json!({}))),
        ("another type", changed(&|it| it["layers"][0]["mediaType"] = "application/zip".into())),
        ("the type of an sdist", changed(&|it| it["layers"][0]["mediaType"] = SDIST_LAYER.into())),
        (
            "another title",
            changed(&|it| it["layers"][0]["annotations"][TITLE] = sdist.filename.clone().into()),
        ),
        ("a path", changed(&|it| it["layers"][0]["annotations"][TITLE] = "../x-1.0-py3-none-any.whl".into())),
        (
            "another project",
            changed(&|it| it["layers"][0]["annotations"][TITLE] = "other-1.0-py3-none-any.whl".into()),
        ),
        (
            "another version",
            changed(&|it| {
                it["layers"][0]["annotations"][TITLE] = file.filename.replace("1.0", "2.0").into();
            }),
        ),
        (
            "a config",
            changed(&|it| {
                it["config"] = json!({ "mediaType": "application/vnd.example.config", "digest": sha256(b"{ }"), "size": 3 });
            }),
        ),
    ] {
        let answer =
            index.writer.manifest_put(&repository, "1.0", MANIFEST_TYPE, document.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{what}: {answer}");
        expect_error(answer, 400, "MANIFEST_INVALID");
        index.page(&name).expect(&[404]);
    }
    // A file goes under its own tags and no others.
    for tag in ["2.0", "latest", "1.0.0", "1.0-sdist", "v1.0", "1.0-py2-none-any"] {
        let answer = index.writer.manifest_put(
            &repository,
            tag,
            MANIFEST_TYPE,
            manifest(&file).to_string().as_bytes(),
        );
        let message = expect_error(answer, 400, "MANIFEST_INVALID");
        assert!(message.contains("1.0-py3-none-any"), "which tag it should be is missing: {message}");
    }
    // A size that is not the blob's, and a blob that is not there.
    let absent = changed(&|it| it["layers"][0]["digest"] = sha256(b"absent").into());
    let longer = changed(&|it| it["layers"][0]["size"] = (file.bytes.len() + 1).into());
    for document in [absent, longer] {
        let answer =
            index.writer.manifest_put(&repository, "1.0", MANIFEST_TYPE, document.to_string().as_bytes());
        assert_eq!(answer.status, 400, "{answer}");
    }
    index.page(&name).expect(&[404]);
    index
        .writer
        .manifest_put(&repository, "1.0", MANIFEST_TYPE, manifest(&file).to_string().as_bytes())
        .expect(&[201]);
}

#[test]
fn b30_a_pushed_file_is_examined_as_an_uploaded_one() {
    let own = OwnIndex::new();
    let index = &own.index;
    let name = project();
    let module = format!("{}.py", name.replace('-', "_"));
    let broken = [
        Wheel::new(&name, "1.0").wrong_hash(&module).build(),
        Wheel::new(&name, "1.0").without("METADATA").build(),
        Wheel::new(&name, "1.0").metadata("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n").build(),
        Wheel::new(&name, "1.0")
            .metadata(format!("Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n"))
            .build(),
        BuiltFile::new(
            &Wheel::new(&name, "1.0").build().filename,
            &name,
            "1.0",
            b"\x89PNG\r\n\x1a\n".to_vec(),
        ),
    ];
    for file in &broken {
        let answer = push(index, file, "1.0", &manifest(file));
        expect_error(answer, 400, "MANIFEST_INVALID");
        let digest = sha256(manifest(file).to_string().as_bytes());
        index.writer.manifest_get(&index.repository(&name), &digest).expect(&[404]);
    }
    index.is_empty();
    own.collect();
    for file in &broken {
        own.holds(false, file);
    }
    own.scrub();
    // The rules for names and the state of the registry count as well.
    for reserved in ["json", "asyncio"] {
        let file = Wheel::new(reserved, "1.0").build();
        expect_error(push(index, &file, "1.0", &manifest(&file)), 403, "DENIED");
    }
    let file = Wheel::new(&name, "1.0").build();
    push(index, &file, "1.0", &manifest(&file)).expect(&[201]);
    index.manage("DELETE", &format!("/projects/{name}/releases/1.0"), &Value::Null).expect(&[204]);
    expect_error(push(index, &file, "1.0", &manifest(&file)), 403, "DENIED");
    index.manage("PATCH", &format!("/projects/{name}"), &json!({ "status": "archived" })).expect(&[200]);
    let next = Wheel::new(&name, "2.0").build();
    expect_error(push(index, &next, "2.0", &manifest(&next)), 403, "DENIED");
    assert!(index.files(&name).is_empty());
}

#[test]
fn a_pushed_file_with_the_content_of_another_is_refused() {
    let index = Index::new();
    let name = project();
    index.takes(&Wheel::new(&name, "1.0").build());
    let other = Wheel::new(&name, "1.0").file("other.py", "x = 1\n").build();
    let message = expect_error(push(&index, &other, "1.0", &manifest(&other)), 403, "DENIED");
    assert!(message.contains("already exists"), "{message}");
    assert_eq!(
        index.entry(&name, &other.filename)["hashes"]["sha256"],
        Wheel::new(&name, "1.0").build().sha256()
    );
}

#[test]
fn who_may_not_push_pushes_no_file() {
    let index = Index::new();
    let file = Wheel::new(&project(), "1.0").build();
    let repository = index.repository(&file.name);
    index.writer.blob_push(&repository, &file.bytes);
    index.writer.blob_push(&repository, b"{}");
    let viewer = index.organization().member(Role::Viewer);
    let document = manifest(&file).to_string();
    let answer = viewer.manifest_put(&repository, "1.0", MANIFEST_TYPE, document.as_bytes());
    expect_error(answer, 403, "DENIED");
    index.page(&file.name).expect(&[404]);
}

/// A manifest is known by the digest under which it was pushed, and a file of the index by one manifest.
#[test]
fn a_file_is_pushed_under_the_digest_that_the_index_knows() {
    let index = Index::new();
    let file = Wheel::new(&project(), "1.0").build();
    let repository = index.repository(&file.name);
    index.writer.blob_push(&repository, &file.bytes);
    index.writer.blob_push(&repository, b"{}");
    let document = manifest(&file).to_string();
    let digest = testkit::sha512(document.as_bytes());
    let answer = index.writer.manifest_put(&repository, &digest, MANIFEST_TYPE, document.as_bytes());
    if answer.status == 201 {
        index.writer.manifest_get(&repository, &digest).expect(&[200]);
    } else {
        let message = expect_error(answer, 400, "DIGEST_INVALID");
        assert!(message.contains("sha256"), "{message}");
        index.page(&file.name).expect(&[404]);
    }
}

/// What older clients call a manifest says nothing of artifacts, and what a registry lets others leave out does
/// not count for files.
#[test]
fn a_file_is_an_image_manifest_with_everything_that_it_names() {
    let index = Index::new();
    let file = Wheel::new(&project(), "1.0").build();
    let repository = index.repository(&file.name);
    index.writer.blob_push(&repository, &file.bytes);
    index.writer.blob_push(&repository, b"{}");
    for media_type in [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.cncf.oras.artifact.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ] {
        let mut document = manifest(&file);
        document["mediaType"] = media_type.into();
        if media_type.contains("oras") {
            document["blobs"] = document["layers"].take();
            for field in ["config", "layers", "schemaVersion"] {
                document.as_object_mut().expect("a manifest is an object").remove(field);
            }
        }
        if media_type.contains("list") {
            document = json!({ "schemaVersion": 2, "mediaType": media_type, "artifactType": ARTIFACT_TYPE, "manifests": [] });
        }
        let answer =
            index.writer.manifest_put(&repository, "1.0", media_type, document.to_string().as_bytes());
        assert!([400, 403, 405].contains(&answer.status), "{media_type}: {answer}");
    }
    index.organization().admin().registry_sparse(&index.organization().name, "main");
    let absent = Wheel::new(&project(), "1.0").build();
    let answer = index.writer.manifest_put(
        &index.repository(&absent.name),
        "1.0",
        MANIFEST_TYPE,
        manifest(&absent).to_string().as_bytes(),
    );
    expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    index.is_empty();
    // Neither has to say its own type twice.
    let mut document = manifest(&file);
    document.as_object_mut().expect("a manifest is an object").remove("mediaType");
    index
        .writer
        .manifest_put(&repository, "1.0", MANIFEST_TYPE, document.to_string().as_bytes())
        .expect(&[201]);
}

/// One registry to copy from and one to copy to, and somebody who may do both.
struct Copy {
    writer: Api,
    from: String,
    to: String,
}

impl Copy {
    /// Copies a blob unless it is there, as clients do.
    #[track_caller]
    fn blob(&self, digest: &str) {
        let there = self.writer.ask("HEAD", &format!("/v2/{}/blobs/{digest}", self.to)).status == 200;
        if !there {
            let bytes = self.writer.blob_get(&self.from, digest).expect(&[200]).body;
            assert_eq!(self.writer.blob_push(&self.to, &bytes), digest);
        }
    }

    /// Copies what a manifest names, then the manifest by its digest, then what refers to it.
    #[track_caller]
    fn graph(&self, reference: &str) -> String {
        let answer = self.writer.manifest_get(&self.from, reference).expect(&[200]);
        let (media_type, digest) =
            (answer.header("content-type").expect("a manifest has a type"), sha256(&answer.body));
        let document = answer.json();
        let text = |value: &Value| value.as_str().expect("a digest is text").to_owned();
        for blob in document["layers"].as_array().into_iter().flatten().chain(document.get("config")) {
            self.blob(&text(&blob["digest"]));
        }
        for child in document["manifests"].as_array().into_iter().flatten() {
            self.graph(&text(&child["digest"]));
        }
        self.writer.manifest_put(&self.to, &digest, media_type, &answer.body).expect(&[201]);
        let path = format!("/v2/{}/referrers/{digest}", self.from);
        let referrers = self.writer.ask("GET", &path).expect(&[200]).json();
        for referrer in referrers["manifests"].as_array().into_iter().flatten() {
            self.graph(&text(&referrer["digest"]));
        }
        digest
    }

    /// Copies a tag with everything that belongs to it.
    #[track_caller]
    fn tag(&self, tag: &str) {
        let digest = self.graph(tag);
        let answer = self.writer.manifest_get(&self.to, &digest).expect(&[200]);
        let media_type = answer.header("content-type").expect("a manifest has a type");
        self.writer.manifest_put(&self.to, tag, media_type, &answer.body).expect(&[201]);
    }
}

#[test]
fn a_project_is_copied_from_one_registry_to_another() {
    let index = Index::new();
    let organization = index.organization();
    organization.registry("second", Visibility::Private);
    index.policy(&json!({ "store_unverified_attestations": true }));
    let name = project();
    let files = [
        Wheel::new(&name, "1.0").header("Requires-Python", ">=3.8").build(),
        Wheel::new(&name, "1.0").tag("cp312-cp312-win_amd64").build(),
        Sdist::new(&name, "1.0").build(),
        Wheel::new(&name, "1!2.0+x").build(),
    ];
    for file in &files {
        index.takes(file);
    }
    let repository = index.repository(&name);
    let subject = index.writer.manifest_get(&repository, "1.0-sdist").expect(&[200]);
    let subject =
        json!({ "mediaType": MANIFEST_TYPE, "digest": sha256(&subject.body), "size": subject.body.len() });
    index.writer.image_push(&repository, "", &referrer_of(&subject, "application/vnd.example.sbom"));

    let copy = Copy {
        writer: index.writer.clone(),
        to: repository.replace("/main/", "/second/"),
        from: repository.clone(),
    };
    copy.tag("1.0");
    copy.tag("1__2.0_x");
    assert_eq!(copy.writer.tag_list(&copy.to), copy.writer.tag_list(&copy.from));
    for tag in copy.writer.tag_list(&copy.from) {
        let [from, to] = [&copy.from, &copy.to]
            .map(|repository| copy.writer.manifest_get(repository, &tag).expect(&[200]).body);
        assert_eq!(sha256(&from), sha256(&to), "{tag}");
    }
    let path = format!("/v2/{}/referrers/{}", copy.to, subject["digest"].as_str().unwrap_or_default());
    let referrers = copy.writer.ask("GET", &path).expect(&[200]).json();
    assert_eq!(referrers["manifests"].as_array().map(Vec::len), Some(1), "{referrers}");
    // The page is the same but for where and when.
    let page = |registry: &str| {
        let answer = index.writer.python_page(&organization.name, registry, &name).expect(&[200]);
        let mut page = answer.json();
        for file in page["files"].as_array_mut().into_iter().flatten() {
            let url = file["url"].as_str().expect("a file has an address").to_owned();
            index.writer.get(&url).expect(&[200]);
            file["url"] = url.replace(&format!("/{registry}/"), "/").into();
            file["upload-time"] = Value::Null;
        }
        page
    };
    assert_eq!(page("second"), page("main"));
    // Once more changes nothing.
    copy.tag("1.0");
    copy.tag("1__2.0_x");
    assert_eq!(page("second"), page("main"));
}

/// The index of a release is what its files make it.
#[test]
fn an_index_is_taken_when_it_is_the_one_that_is_there() {
    let index = Index::new();
    let name = project();
    let files = [Wheel::new(&name, "1.0").build(), Sdist::new(&name, "1.0").build()];
    for file in &files {
        index.takes(file);
    }
    let repository = index.repository(&name);
    let release = index.writer.manifest_get(&repository, "1.0").expect(&[200]);
    for reference in ["1.0", &sha256(&release.body)] {
        index.writer.manifest_put(&repository, reference, INDEX_TYPE, &release.body).expect(&[201]);
    }
    let mut fewer = release.json();
    fewer["manifests"].as_array_mut().expect("an index has manifests").truncate(1);
    let mut noted = release.json();
    noted["annotations"] = json!({ "com.example": "x" });
    for other in
        [fewer.to_string(), noted.to_string(), format!("{} ", String::from_utf8_lossy(&release.body))]
    {
        for reference in ["1.0", "1.0-all", &sha256(other.as_bytes())] {
            let answer = index.writer.manifest_put(&repository, reference, INDEX_TYPE, other.as_bytes());
            assert!([400, 403, 405].contains(&answer.status), "{answer}");
            let code = if answer.status == 405 { "UNSUPPORTED" } else { "DENIED" };
            let status = answer.status;
            expect_error(answer, status, code);
        }
        index.writer.manifest_get(&repository, &sha256(other.as_bytes())).expect(&[404]);
    }
    assert_eq!(index.writer.manifest_get(&repository, "1.0").expect(&[200]).body, release.body);
    // Nor does an index come before its files.
    let fresh = index.repository(&project());
    let answer = index.writer.manifest_put(&fresh, "1.0", INDEX_TYPE, &release.body);
    assert!([400, 403, 405].contains(&answer.status), "{answer}");
}
