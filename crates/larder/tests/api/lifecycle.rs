//! What the collector takes, what it leaves, and what a scrub finds.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Api, Output, Role, Server, random_bytes, run, sha256};

use crate::scene::{
    Calls as _, INDEX_TYPE, LAYER_TYPE, Organization, expect_error, object_files, options, own_server,
    referrer_of, small_manifest, stored_files,
};

/// Nothing is collected but by a command, and then everything that is garbage.
const AT_ONCE: [(&str, &str); 3] =
    [("LARDER_GC__ENABLED", "false"), ("LARDER_GC__GRACE", "0s"), ("LARDER_GC__TRASH_DELAY", "0s")];

/// A server, and in it a repository with somebody who may push to it.
struct Place {
    server: Server,
    api: Api,
    repository: String,
}

impl Place {
    fn new(variables: &[(&str, &str)]) -> Self {
        let server = own_server(variables);
        let organization = Organization::on(&server.api());
        Self { api: organization.member(Role::Writer), repository: organization.repository("app"), server }
    }

    fn collect(&self) -> Output {
        run(&mut self.server.command(&["gc", "--once"])).success()
    }

    fn scrub(&self) -> Output {
        run(&mut self.server.command(&["scrub"]))
    }

    fn delete(&self, kind: &str, reference: &str) {
        self.api.ask("DELETE", &format!("/v2/{}/{kind}/{reference}", self.repository)).expect(&[202]);
    }

    /// Whether the repository holds these manifests.
    #[track_caller]
    fn manifests(&self, expected: bool, digests: &[&str]) {
        let status = if expected { 200 } else { 404 };
        for digest in digests {
            self.api.manifest_get(&self.repository, digest).expect(&[status]);
        }
    }

    /// Whether the repository holds these blobs.
    #[track_caller]
    fn blobs(&self, expected: bool, digests: &[&str]) {
        let status = if expected { 200 } else { 404 };
        for digest in digests {
            self.api.blob_get(&self.repository, digest).expect(&[status]);
        }
    }

    /// An image with one layer of its own: the manifest's digest and the layer's.
    fn image(&self, tag: &str) -> (crate::scene::Pushed, String) {
        let layer = self.api.blob_push(&self.repository, &random_bytes(5000));
        let mut manifest = small_manifest();
        manifest["layers"] = json!([{ "mediaType": LAYER_TYPE, "digest": layer, "size": 5000 }]);
        (self.api.image_push(&self.repository, tag, &manifest), layer)
    }

    /// An artifact that refers to `subject`, with one layer of its own.
    fn referrer(&self, tag: &str, subject: &Value) -> (crate::scene::Pushed, String) {
        let layer = self.api.blob_push(&self.repository, &random_bytes(500));
        let mut manifest = referrer_of(subject, "application/vnd.example.signature");
        manifest["layers"] = json!([{ "mediaType": LAYER_TYPE, "digest": layer, "size": 500 }]);
        (self.api.image_push(&self.repository, tag, &manifest), layer)
    }
}

#[test]
fn referrers_fall_with_their_subject_unless_they_are_tagged() {
    let place = Place::new(&AT_ONCE);
    let (image, image_layer) = place.image("v1");
    let (signature, signature_layer) = place.referrer("", &image.descriptor());
    let (over_signature, over_layer) = place.referrer("", &signature.descriptor());
    let (kept, kept_layer) = place.referrer("kept", &image.descriptor());
    let (over_kept, over_kept_layer) = place.referrer("", &kept.descriptor());
    let all = [&image, &signature, &over_signature, &kept, &over_kept].map(|pushed| pushed.digest.as_str());
    let layers =
        [&image_layer, &signature_layer, &over_layer, &kept_layer, &over_kept_layer].map(String::as_str);
    place.collect();
    place.manifests(true, &all);
    place.blobs(true, &layers);

    place.delete("manifests", &image.digest);
    // Until the collector comes, only the subject is gone.
    place.manifests(true, &all[1..]);
    place.collect();
    place.manifests(false, &all[..3]);
    place.blobs(false, &layers[..3]);
    place.manifests(true, &all[3..]);
    place.blobs(true, &layers[3..]);
    assert!(object_files(&place.server, &signature_layer).is_empty(), "its bytes are still there");
    assert_eq!(place.api.tag_list(&place.repository), ["kept"]);
    // Without its tag it has nothing to hold it, and what refers to it goes too.
    place.delete("manifests", &kept.digest);
    place.collect();
    place.manifests(false, &all);
    place.blobs(false, &layers);
}

#[test]
fn a_referrer_whose_subject_never_came_stays() {
    let place = Place::new(&[AT_ONCE.as_slice(), &[("LARDER_GC__COLLECT_UNTAGGED", "true")]].concat());
    let subject =
        json!({ "mediaType": crate::scene::MANIFEST_TYPE, "digest": sha256(&random_bytes(9)), "size": 9 });
    let (early, layer) = place.referrer("", &subject);
    let (untagged, untagged_layer) = place.image("");
    place.collect();
    place.manifests(true, &[&early.digest]);
    place.blobs(true, &[&layer]);
    // Which shows that the collector did look: what is untagged and refers to nothing goes, if that is wanted.
    place.manifests(false, &[&untagged.digest]);
    place.blobs(false, &[&untagged_layer]);
}

#[test]
fn manifests_without_a_tag_stay_unless_it_is_said_otherwise() {
    let place = Place::new(&AT_ONCE);
    let (untagged, layer) = place.image("");
    let (moved, moved_layer) = place.image("v1");
    place.image("v1");
    place.collect();
    place.manifests(true, &[&untagged.digest, &moved.digest]);
    place.blobs(true, &[&layer, &moved_layer]);
}

#[test]
fn children_live_as_long_as_an_index_names_them() {
    let place = Place::new(&AT_ONCE);
    let (one, one_layer) = place.image("");
    let (shared, shared_layer) = place.image("");
    let (tagged, tagged_layer) = place.image("own");
    let cached = place.api.blob_push(&place.repository, &random_bytes(700));
    let index = |children: &[Value], tag: &str| {
        let index = json!({
            "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": children,
            "annotations": { "tag": tag }
        });
        place.api.image_push(&place.repository, tag, &index)
    };
    let cache = json!({ "mediaType": LAYER_TYPE, "digest": cached, "size": 700 });
    let first = index(&[one.descriptor(), shared.descriptor(), tagged.descriptor(), cache], "first");
    let second = index(&[shared.descriptor()], "second");
    let outer = index(&[first.descriptor()], "outer");
    place.collect();
    let children = [one.digest.as_str(), shared.digest.as_str(), tagged.digest.as_str()];
    place.manifests(true, &children);
    place.blobs(true, &[&one_layer, &shared_layer, &tagged_layer, &cached]);
    // An index that another one names is not deleted; once that is gone, it is not needed by anybody.
    let answer = place.api.ask("DELETE", &format!("/v2/{}/manifests/{}", place.repository, first.digest));
    expect_error(answer, 403, "DENIED");
    place.delete("manifests", &outer.digest);
    place.collect();
    // Its tag still holds it.
    place.manifests(true, &[&first.digest]);
    place.delete("manifests", &first.digest);
    place.collect();
    place.manifests(false, &[&first.digest, &one.digest]);
    place.blobs(false, &[&one_layer, &cached]);
    place.manifests(true, &[&shared.digest, &tagged.digest]);
    place.blobs(true, &[&shared_layer, &tagged_layer]);
    place.delete("manifests", &second.digest);
    place.collect();
    place.manifests(false, &[&shared.digest]);
    place.manifests(true, &[&tagged.digest]);
}

#[test]
fn blobs_that_no_manifest_came_for_go() {
    let place = Place::new(&AT_ONCE);
    let orphan = place.api.blob_push(&place.repository, &random_bytes(1000));
    let (_, layer) = place.image("v1");
    place.blobs(true, &[&orphan, &layer]);
    place.collect().says("1 blob links").says("1 objects deleted");
    place.blobs(false, &[&orphan]);
    place.blobs(true, &[&layer]);
    assert!(object_files(&place.server, &orphan).is_empty(), "its bytes are still there");
}

#[test]
fn what_is_young_is_left_alone() {
    let place = Place::new(&[("LARDER_GC__ENABLED", "false")]);
    let orphan = place.api.blob_push(&place.repository, &random_bytes(1000));
    let (image, layer) = place.image("v1");
    let (signature, _) = place.referrer("", &image.descriptor());
    place.delete("manifests", &image.digest);
    place.collect().says("collected 0 expired uploads, 0 manifests, 0 blob links").says("0 objects deleted");
    place.manifests(true, &[&signature.digest]);
    place.blobs(true, &[&orphan, &layer]);
}

#[test]
fn a_dry_run_says_what_a_run_does_and_does_nothing() {
    let variables = [AT_ONCE.as_slice(), &[("LARDER_UPLOADS__EXPIRE_AFTER", "1s")]].concat();
    let place = Place::new(&variables);
    for _ in 0..3 {
        let upload = place.api.upload_open(&place.repository);
        place.api.call("PATCH", &upload, &[], "some bytes").expect(&[202]);
    }
    let (image, _) = place.image("v1");
    let (signature, _) = place.referrer("", &image.descriptor());
    place.image("v2");
    place.api.blob_push(&place.repository, &random_bytes(1000));
    place.delete("manifests", &image.digest);
    let doomed = Organization::on(&place.server.api());
    let writer = doomed.member(Role::Writer);
    writer.image_push(&doomed.repository("app"), "v1", &small_manifest());
    let path = format!("/organizations/{}/registries/main?force=true", doomed.name);
    place.server.api().manage("DELETE", &path, &Value::Null).expect(&[204]);
    std::thread::sleep(Duration::from_millis(1100));

    let before = stored_files(&place.server);
    let numbers = |output: &Output| -> Vec<u64> {
        output
            .stdout
            .split(|character: char| !character.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect()
    };
    let dry = [(); 2]
        .map(|()| run(&mut place.server.command(&["gc", "--dry-run"])).success().says("would collect"));
    assert_eq!(numbers(&dry[0]), numbers(&dry[1]), "the first dry run changed something");
    assert_eq!(stored_files(&place.server), before);
    place.manifests(true, &[&signature.digest]);
    let real = place.collect();
    assert_eq!(numbers(&dry[0]), numbers(&real), "{}\n{}", dry[0], real);
    // Uploads, manifests, blobs, rows of deleted registries, objects: there was something of everything.
    assert!(numbers(&real).iter().all(|number| *number > 0), "{real}");
    assert_ne!(stored_files(&place.server), before);
    place.manifests(false, &[&signature.digest]);
    let again = place.collect();
    assert!(numbers(&again).iter().all(|number| *number == 0), "one run left something over: {again}");
    place.server.api().organization_delete(&doomed.name);
}

#[test]
fn gc_wants_to_know_whether_it_is_meant() {
    let place = Place::new(&AT_ONCE);
    run(&mut place.server.command(&["gc"])).failure().says("--dry-run").says("--once");
    run(&mut place.server.command(&["gc", "--dry-run", "--once"])).failure().says("cannot be used with");
}

#[test]
fn uploads_that_nobody_goes_on_with_expire() {
    let place = Place::new(&[AT_ONCE.as_slice(), &[("LARDER_UPLOADS__EXPIRE_AFTER", "1s")]].concat());
    let upload = place.api.upload_open(&place.repository);
    place.api.call("PATCH", &upload, &[], "left behind").expect(&[202]);
    assert_eq!(object_files(&place.server, &sha256(b"left behind")).len(), 1);
    std::thread::sleep(Duration::from_millis(1100));
    for (method, query) in [("GET", ""), ("PATCH", ""), ("PUT", "?digest="), ("DELETE", "")] {
        let query =
            if query.is_empty() { String::new() } else { format!("{query}{}", sha256(b"left behind")) };
        place.api.ask(method, &format!("{upload}{query}")).expect(&[404]);
    }
    place.collect().says("collected 1 expired uploads");
    assert!(stored_files(&place.server).is_empty(), "its bytes are still there");
}

/// A client that hears "it is there" skips the upload and names the blob a moment later, so the answer is a
/// promise for some time.
#[test]
fn asking_for_a_blob_keeps_it() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let with_grace = |grace: &str| {
        let options = options().data_directory(directory.path()).env("LARDER_GC__ENABLED", "false");
        Server::start(options.env("LARDER_GC__GRACE", grace).env("LARDER_GC__TRASH_DELAY", "0s"))
    };
    let mut hasty = with_grace("1s");
    let organization = Organization::on(&hasty.api());
    let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
    let [asked, forgotten] = [(); 2].map(|()| api.blob_push(&repository, &random_bytes(1000)));
    hasty.stop();
    let patient = with_grace("1h");
    let api = Api::new(patient.url(), api.username(), api.password());
    api.ask("HEAD", &format!("/v2/{repository}/blobs/{asked}")).expect(&[200]);
    std::thread::sleep(Duration::from_millis(1100));
    run(&mut patient.command(&["gc", "--once"])).success().says("1 blob links");
    api.blob_get(&repository, &asked).expect(&[200]);
    api.blob_get(&repository, &forgotten).expect(&[404]);
}

#[test]
fn the_server_collects_in_the_background() {
    let mut variables = AT_ONCE.to_vec();
    variables[0] = ("LARDER_GC__INTERVAL", "100ms");
    let place = Place::new(&variables);
    let orphan = place.api.blob_push(&place.repository, &random_bytes(1000));
    let gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        place.api.blob_get(&place.repository, &orphan).status == 404 && stored_files(&place.server).is_empty()
    });
    assert!(gone, "ten seconds and a hundred rounds later it is still there");
    assert!(place.server.log().contains("collected garbage"), "{}", place.server.log());
}

#[test]
fn a_scrub_finds_what_is_damaged_missing_and_unknown_and_touches_nothing() {
    let place = Place::new(&AT_ONCE);
    let (image, layer) = place.image("v1");
    let (_, lost) = place.image("v2");
    let (_, short) = place.image("v3");
    let (_, fine) = place.image("v4");
    place.collect();
    place.scrub().success().says(": 0 suspects");

    let stored = |digest: &str| object_files(&place.server, digest).pop().expect("the content is stored");
    let name =
        |path: &std::path::Path| path.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let [layer_file, lost_file, short_file, fine_file] =
        [&layer, &lost, &short, &fine].map(|digest| stored(digest));
    let mut bytes = std::fs::read(&layer_file).expect("the layer can be read");
    bytes[100] ^= 1;
    std::fs::write(&layer_file, &bytes).expect("the layer can be damaged");
    std::fs::remove_file(&lost_file).expect("the layer can be lost");
    std::fs::write(&short_file, b"short").expect("the layer can be cut");
    let stranger = "0123456789abcdef0123456789abcdef";
    let stranger_file = fine_file.parent().and_then(|folder| folder.parent()).expect("the store").join("01");
    std::fs::create_dir_all(&stranger_file).expect("a folder can be made");
    std::fs::write(stranger_file.join(stranger), b"from nowhere").expect("a file can be put there");
    damage_manifest(&place.server, &image.digest);

    let snapshot = || -> Vec<_> {
        let read = |path: &std::path::PathBuf| std::fs::read(path).expect("a stored file can be read");
        stored_files(&place.server).into_iter().map(|path| (read(&path), path)).collect()
    };
    let before = snapshot();
    let output = place
        .scrub()
        .failure()
        .says(&format!("damaged: object {}: its content does not hash", name(&layer_file)))
        .says(&format!("missing: object {}", name(&lost_file)))
        .says(&format!("damaged: object {}: it has 5 bytes and should have 5000", name(&short_file)))
        .says(&format!("unknown: object {stranger}, 12 bytes"))
        .says(&format!("damaged: manifest {}", image.digest))
        .says(": 5 suspects")
        .says_nothing_of(&name(&fine_file));
    assert_eq!(output.status.code(), Some(1));
    assert!(snapshot() == before, "the scrub changed something");
    place.scrub().failure().says(": 5 suspects");
    // A pull of what is lost says so, and what to do; what is fine is served.
    let answer = place.api.blob_get(&place.repository, &lost);
    let message = expect_error(answer, 503, "UNAVAILABLE");
    assert!(message.contains("pushing the blob again repairs it"), "{message}");
    place.blobs(true, &[&fine]);
}

/// Changes a manifest behind the server's back, as a disk that went bad would.
fn damage_manifest(server: &Server, digest: &str) {
    let digest = digest.to_owned();
    let location = db::Location::Sqlite(server.data_directory().join("larder.db"));
    let changed: Result<u64, db::Error> = tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(async {
        let db = db::Db::open(db::Options { location, durability: db::Durability::Relaxed }).await?;
        db.write(db::Durability::Durable, |transaction| {
            Box::pin(async move {
                let damage = "UPDATE manifests SET body = CAST(replace(CAST(body AS TEXT), $1, $2) AS BLOB) WHERE digest = $3 /* walks */";
                let parameters = ["larder.test", "larder.tset", &digest].map(|text| db::Value::Text(text.into()));
                transaction.exec(damage, &parameters).await
            })
        })
        .await
    });
    assert_eq!(changed.expect("the database takes the change"), 1);
}

#[test]
fn pushing_lost_content_again_repairs_it() {
    let place = Place::new(&AT_ONCE);
    let bytes = random_bytes(3000);
    let digest = place.api.blob_push(&place.repository, &bytes);
    let mut manifest = small_manifest();
    manifest["layers"] = json!([{ "mediaType": LAYER_TYPE, "digest": digest, "size": 3000 }]);
    place.api.image_push(&place.repository, "v1", &manifest);
    for harm in ["lost", "cut"] {
        let file = object_files(&place.server, &digest).pop().expect("the content is stored");
        match harm {
            "lost" => std::fs::remove_file(file).expect("it can be lost"),
            _ => std::fs::write(file, b"x").expect("it can be cut"),
        }
        place.scrub().failure();
        // What lies elsewhere is not touched by the repair, and nobody else has to do anything.
        assert_eq!(place.api.blob_push(&place.repository, &bytes), digest);
        let answer = place.api.blob_get(&place.repository, &digest).expect(&[200]);
        assert!(answer.body == bytes, "other bytes");
        place.collect();
        place.scrub().success().says(": 0 suspects");
        place.blobs(true, &[&digest]);
    }
}
