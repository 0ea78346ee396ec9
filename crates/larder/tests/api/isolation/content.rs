//! Content of others, asked for by its digest from a place where the caller has every right.

use serde_json::json;
use testkit::{random_bytes, sha256};

use super::{Attacker, UPLOADED, Victim, digest_of_nothing, upload_of_nothing};
use crate::scene::{Calls as _, INDEX_TYPE, LAYER_TYPE, MANIFEST_TYPE, admin, expect_error, small_manifest};

/// What a caller sees of an answer, with a digest taken out.
fn seen(answer: &testkit::Answer, digest: &str) -> (u16, Vec<(String, String)>, String) {
    let hide = |text: &str| text.replace(digest, "{digest}");
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| {
            !["x-request-id", "date", "location", "docker-upload-uuid"].contains(&name.as_str())
        })
        .map(|(name, value)| (name.to_string(), hide(&String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    headers.sort();
    (answer.status, headers, hide(&String::from_utf8_lossy(&answer.body)))
}

#[test]
fn t1_a_known_digest_opens_nothing_in_another_repository() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let repository = &attacker.repository;
    let scope = format!("repository:{repository}:pull,push,delete");
    let bearer = attacker.api.as_bearer(&attacker.api.token(&[&scope]));
    for caller in [&attacker.api, &bearer] {
        for kind in ["blobs", "manifests"] {
            for digest in [&victim.layer_digest, &victim.image.digest, &sha256(b"{}")[..].to_owned()] {
                // `{}` is everybody's configuration, and the attacker has pushed it too.
                if *digest == sha256(b"{}") {
                    continue;
                }
                // Asking changes nothing: the second and third answers are like the first.
                for method in ["HEAD", "HEAD", "GET", "GET", "HEAD", "DELETE"] {
                    let answers = [digest.clone(), digest_of_nothing()].map(|digest| {
                        let answer =
                            caller.ask(method, &format!("/v2/{repository}/{kind}/{digest}")).expect(&[404]);
                        seen(&answer, &digest)
                    });
                    assert_eq!(answers[0], answers[1], "{method} tells that somebody has {digest}");
                }
            }
        }
    }
    victim.is_untouched();
}

#[test]
fn t2_a_mount_tells_nothing_about_what_others_have() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let (target, source) = (&attacker.repository, &victim.repository);
    let missing = format!("{}-not", victim.organization.name);
    let scopes = [format!("repository:{target}:pull,push"), format!("repository:{source}:pull")];
    let both = attacker.api.as_bearer(&attacker.api.token(&[&scopes[0], &scopes[1]]));
    for caller in [&attacker.api, &both] {
        let mut answers = Vec::new();
        for from in [format!("&from={source}"), format!("&from={target}"), String::new(), "&from=".to_owned()]
        {
            for digest in [&victim.layer_digest, &digest_of_nothing()] {
                let path = format!("/v2/{target}/blobs/uploads/?mount={digest}{from}");
                let answer = caller.ask("POST", &path).expect(&[202]);
                let location = answer.header("location").expect("an upload has a location").to_owned();
                caller.ask("DELETE", &location).expect(&[204]);
                answers.push(seen(&answer, digest));
            }
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        caller.blob_get(target, &victim.layer_digest).expect(&[404]);
    }
    // A source that is not there at all.
    let path = format!("/v2/{target}/blobs/uploads/?mount={}&from={missing}/main/app", victim.layer_digest);
    attacker.api.ask("POST", &path).expect(&[202]);
    // A token that says nothing about the source asks for one that does, whether or not there is a source.
    let only = attacker.api.as_bearer(&attacker.api.token(&[&scopes[0]]));
    for (source, digest) in
        [(source.clone(), &victim.layer_digest), (format!("{missing}/main/app"), &victim.layer_digest)]
    {
        let path = format!("/v2/{target}/blobs/uploads/?mount={digest}&from={source}");
        let answer = only.ask("POST", &path).expect(&[401]);
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        assert!(challenge.contains(&format!("repository:{source}:pull")), "{answer}");
        expect_error(answer, 401, "UNAUTHORIZED");
    }
    victim.is_untouched();
}

#[test]
fn t3_a_manifest_that_names_content_of_others_is_refused() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let (api, repository) = (&attacker.api, &attacker.repository);
    let layer =
        |digest: &str| json!([{ "mediaType": LAYER_TYPE, "digest": digest, "size": victim.layer.len() }]);
    let try_all = |blob: &str, manifest: &str| {
        let mut with_layer = small_manifest();
        with_layer["layers"] = layer(blob);
        let mut with_config = small_manifest();
        with_config["config"]["digest"] = json!(blob);
        let child =
            json!({ "mediaType": MANIFEST_TYPE, "digest": manifest, "size": victim.image.bytes.len() });
        let index = |entry| json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [entry] });
        // A build cache names layers in an index.
        let cache = json!({ "mediaType": LAYER_TYPE, "digest": blob, "size": victim.layer.len() });
        let documents = [
            (MANIFEST_TYPE, with_layer, blob),
            (MANIFEST_TYPE, with_config, blob),
            (INDEX_TYPE, index(child), manifest),
            (INDEX_TYPE, index(cache), blob),
        ];
        documents.map(|(media_type, document, digest)| {
            let bytes = document.to_string().into_bytes();
            let answer = api.manifest_put(repository, "stolen", media_type, &bytes);
            let status = seen(&answer, digest);
            expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
            api.manifest_get(repository, "stolen").expect(&[404]);
            api.manifest_get(repository, &sha256(&bytes)).expect(&[404]);
            status
        })
    };
    let others = try_all(&victim.layer_digest, &victim.image.digest);
    assert_eq!(others, try_all(&digest_of_nothing(), &digest_of_nothing()));
    api.blob_get(repository, &victim.layer_digest).expect(&[404]);

    // A layer that may be absent is accepted by its name and opens nothing.
    let mut foreign = small_manifest();
    foreign["layers"] = json!([{
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "digest": victim.layer_digest, "size": victim.layer.len(), "urls": ["https://example.com/layer"]
    }]);
    api.image_push(repository, "foreign", &foreign);
    api.blob_get(repository, &victim.layer_digest).expect(&[404]);
    api.ask("HEAD", &format!("/v2/{repository}/blobs/{}", victim.layer_digest)).expect(&[404]);
    victim.is_untouched();
}

/// A registry may take manifests over content that it does not hold. That opens nothing either.
#[test]
fn t3_a_sparse_manifest_that_names_content_of_others_opens_nothing() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let (api, repository) = (&attacker.api, &attacker.repository);
    let organization = repository.split('/').next().expect("a name has parts");
    let path = format!("/organizations/{organization}/registries/main");
    admin().manage("PATCH", &path, &json!({ "sparse_manifests": true })).expect(&[200]);
    let mut manifest = small_manifest();
    manifest["layers"] =
        json!([{ "mediaType": LAYER_TYPE, "digest": victim.layer_digest, "size": victim.layer.len() }]);
    let image = api.image_push(repository, "sparse", &manifest);
    let index =
        json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [victim.image.descriptor()] });
    let index = api.image_push(repository, "index", &index);
    for (kind, digest) in [
        ("blobs", &victim.layer_digest),
        ("manifests", &victim.image.digest),
        ("blobs", &victim.image.digest),
    ] {
        for method in ["HEAD", "GET"] {
            api.ask(method, &format!("/v2/{repository}/{kind}/{digest}")).expect(&[404]);
        }
    }
    let mount = format!("/v2/{repository}/blobs/uploads/?mount={}", victim.layer_digest);
    api.ask("POST", &mount).expect(&[202]);
    // Nor does deleting such a manifest reach beyond the repository.
    for digest in [&index.digest, &image.digest] {
        api.ask("DELETE", &format!("/v2/{repository}/manifests/{digest}")).expect(&[202]);
    }
    victim.is_untouched();
}

#[test]
fn t3_a_referrer_of_a_foreign_subject_stays_at_home() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let (api, repository) = (&attacker.api, &attacker.repository);
    let manifest = crate::scene::referrer_of(&victim.image.descriptor(), "application/vnd.example.false");
    let pushed = api.image_push(repository, "", &manifest);
    let path = format!("/v2/{repository}/referrers/{}", victim.image.digest);
    let listed = api.ask("GET", &path).expect(&[200]).json();
    assert_eq!(listed["manifests"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(listed["manifests"][0]["digest"], pushed.digest);
    api.manifest_get(repository, &victim.image.digest).expect(&[404]);
    victim.is_untouched();
}

/// Of Python projects too: what somebody else has can neither be named nor fetched, and a name is used in one
/// registry alone.
#[test]
fn t3_a_python_project_of_the_same_name_elsewhere_is_another_one() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let (api, file) = (&attacker.api, &victim.wheel);
    let organization = attacker.repository.split('/').next().expect("a name has parts");
    let own = format!("{organization}/main/{}", victim.project);
    let theirs = format!("{}/{}/{}", victim.organization.name, victim.registry, victim.project);
    let digest = sha256(&file.bytes);
    // The manifest is no secret to whoever knows the file: it follows from it.
    let manifest = victim.writer.manifest_get(&theirs, &file.version).expect(&[200]).body;
    api.blob_push(&own, b"{}");
    let answer = api.manifest_put(&own, &file.version, MANIFEST_TYPE, &manifest);
    expect_error(answer, 400, "MANIFEST_BLOB_UNKNOWN");
    let mount = format!("/v2/{own}/blobs/uploads/?mount={digest}&from={theirs}");
    api.ask("POST", &mount).expect(&[202]);
    api.blob_get(&own, &digest).expect(&[404]);
    let path = format!(
        "/api/v1/{organization}/main/python/files/{}/{}/{}",
        victim.project,
        file.sha256(),
        file.filename
    );
    api.ask("GET", &path).expect(&[404]);
    // Whoever has the bytes uploads them, and other ones under the same name as well.
    let other =
        testkit::python::Wheel::new(&victim.project, &file.version).file("other.py", "x = 1\n").build();
    assert_eq!(other.filename, file.filename);
    api.python_upload(organization, "main", &other).expect(&[200]);
    api.python_upload(organization, "main", file).expect(&[409]);
    assert!(
        api.python_file(organization, "main", &victim.project, &file.filename).expect(&[200]).body
            == other.bytes
    );
    victim.is_untouched();
    let base = format!("/organizations/{organization}/registries/main/python/projects/{}", victim.project);
    admin()
        .manage("DELETE", &format!("{base}/releases/{}", file.version), &serde_json::Value::Null)
        .expect(&[204]);
    victim.is_untouched();
}

#[test]
fn t4_known_bytes_have_to_be_sent_all_the_same() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let (api, repository) = (&attacker.api, &attacker.repository);
    let unknown = random_bytes(victim.layer.len());
    // Nothing is answered sooner or otherwise because somebody has it: byte for byte the same conversation.
    let answers = [&victim.layer, &unknown].map(|bytes| {
        let digest = sha256(bytes);
        let mut answers = Vec::new();
        let mut note = |answer: testkit::Answer| answers.push(seen(&answer, &digest));
        let whole = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        note(api.ask("POST", &whole).expect(&[202]));
        note(api.call("POST", &whole, &[], random_bytes(bytes.len())).expect(&[400]));
        api.blob_get(repository, &digest).expect(&[404]);
        let upload = api.upload_open(repository);
        note(api.call("PATCH", &upload, &[], bytes[..1000].to_vec()).expect(&[202]));
        note(api.ask("GET", &upload).expect(&[204]));
        // Closing it early does not hit what somebody else has.
        note(api.ask("PUT", &format!("{upload}?digest={digest}")).expect(&[400]));
        api.blob_get(repository, &digest).expect(&[404]);
        note(api.call("POST", &whole, &[], bytes.clone()).expect(&[201]));
        note(api.blob_get(repository, &digest).expect(&[200]));
        answers
    });
    let statuses: Vec<_> = answers[0].iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [202, 400, 202, 204, 400, 201, 200]);
    for (known, unknown) in answers[0].iter().zip(&answers[1]) {
        assert_eq!(known.0, unknown.0);
        assert_eq!(known.1, unknown.1);
    }
    victim.is_untouched();
}

#[test]
fn t5_an_upload_belongs_to_who_opened_it() {
    let (victim, attacker) = (Victim::new(), Attacker::new());
    let colleague = victim.organization.member(testkit::Role::Writer);
    let requests = [("GET", ""), ("HEAD", ""), ("PATCH", "more"), ("PUT", ""), ("DELETE", "")];
    let through = |caller: &testkit::Api, repository: &str, expected: u16| {
        for (method, body) in requests {
            let answers = [victim.upload_id().to_owned(), upload_of_nothing()].map(|id| {
                let digest = sha256(UPLOADED);
                let query = if method == "PUT" { format!("?digest={digest}") } else { String::new() };
                let path = format!("/v2/{repository}/blobs/uploads/{id}{query}");
                seen(&caller.call(method, &path, &[], body).expect(&[expected]), &id)
            });
            assert_eq!(answers[0], answers[1], "{method} tells that there is such an upload");
        }
    };
    through(&attacker.api, &attacker.repository, 404);
    through(&attacker.api, &victim.repository, 403);
    // Not even who may push to the same repository, nor the owner by way of another one.
    through(&colleague, &victim.repository, 404);
    through(&victim.writer, &victim.organization.repository("other"), 404);
    victim.is_untouched();
    let close = format!("{}?digest={}", victim.upload, sha256(UPLOADED));
    victim.writer.ask("PUT", &close).expect(&[201]);
}

#[test]
fn t6_a_digest_is_read_strictly_and_compared_with_the_bytes() {
    let attacker = Attacker::new();
    let (api, repository) = (&attacker.api, &attacker.repository);
    let bytes = random_bytes(100);
    let (digest, hex) = (sha256(&bytes), sha256(&bytes).replace("sha256:", ""));
    let upload = |digest: &str| format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    for wrong in [
        format!("SHA256:{hex}"),
        format!("sha256:{}", hex.to_uppercase()),
        format!("sha256:{}", &hex[..63]),
        format!("sha256:{hex}0"),
        format!("sha256:{}", &hex[..32]),
        format!("sha512:{hex}"),
        format!("md5:{}", &hex[..32]),
        format!("sha256:{hex}%00"),
        format!("sha256:{hex}%20"),
        format!("sha256%3A%3A{hex}"),
        hex.clone(),
        digest_of_nothing(),
    ] {
        expect_error(api.call("POST", &upload(&wrong), &[], bytes.clone()), 400, "DIGEST_INVALID");
        // The header of an answer is no claim that a request can make.
        let spoofed = [("docker-content-digest", digest.as_str())];
        expect_error(api.call("POST", &upload(&wrong), &spoofed, bytes.clone()), 400, "DIGEST_INVALID");
        let session = api.upload_open(repository);
        api.call("PATCH", &session, &[], bytes.clone()).expect(&[202]);
        expect_error(api.ask("PUT", &format!("{session}?digest={wrong}")), 400, "DIGEST_INVALID");
    }
    api.blob_get(repository, &digest).expect(&[404]);
    // The digest in the path counts, and no other.
    let manifest = small_manifest().to_string().into_bytes();
    let wrong = digest_of_nothing();
    expect_error(api.manifest_put(repository, &wrong, MANIFEST_TYPE, &manifest), 400, "DIGEST_INVALID");
    let path = format!("/v2/{repository}/manifests/{wrong}?digest={}", sha256(&manifest));
    let headers = [("content-type", MANIFEST_TYPE)];
    expect_error(api.call("PUT", &path, &headers, manifest.clone()), 400, "DIGEST_INVALID");
    for reference in [&wrong, &sha256(&manifest)] {
        api.manifest_get(repository, reference).expect(&[404]);
    }
    // Content is reached under the digest with which it was pushed, and every answer names that one.
    api.call("POST", &upload(&digest), &[], bytes.clone()).expect(&[201]);
    let answer = api.blob_get(repository, &digest).expect(&[200]);
    assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()), "{answer}");
    for spelled in [format!("sha256:{}", hex.to_uppercase()), format!("SHA256:{hex}")] {
        expect_error(api.blob_get(repository, &spelled), 400, "DIGEST_INVALID");
    }
}
