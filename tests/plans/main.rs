//! Every statement finds its rows by an index, on both databases.
//!
//! A debug build asks the database for the plan of each statement that it runs for the first time, and panics when
//! one walks a table. Here a server does everything that a server does, once on each database; what it and the
//! commands beside it had to say about plans is at the end of the test.

use serde_json::{Value, json};
use testkit::postgres::Postgres;
use testkit::python::{Sdist, Wheel};
use testkit::{Answer, Api, Method, Options, Place, Role, Server, Visibility, random_bytes, run, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What a panic about a plan says.
const FAULT: &str = "no index that serves it";

fn options() -> Options {
    assert!(cfg!(debug_assertions), "only a debug build asks for plans");
    Options::new(env!("CARGO_BIN_EXE_larder"))
        .env("LARDER_STORAGE__DURABILITY", "relaxed")
        .env("LARDER_GC__ENABLED", "false")
        .env("LARDER_GC__GRACE", "0s")
        .env("LARDER_GC__TRASH_DELAY", "0s")
        .env("LARDER_GC__COLLECT_UNTAGGED", "true")
}

#[test]
fn i7_every_statement_has_an_index_on_sqlite() {
    // Not where the environment of the tests says, but on this one.
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let url = format!("sqlite:{}", folder.path().join("larder.db").display());
    walk(&Server::start(options().env("LARDER_DATABASE__URL", &url)));
}

#[test]
fn i7_every_statement_has_an_index_on_postgresql() {
    walk(&Server::start(options().postgres(&Postgres::shared().database())));
}

/// The tests above find what they are for: without an index, collection walks the trash.
#[test]
fn i7_a_missing_index_is_found_on_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let path = folder.path().join("larder.db");
    let url = format!("sqlite:{}", path.display());
    let server = Server::start(options().env("LARDER_DATABASE__URL", &url));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let location = db::Location::Sqlite(path);
        let options = db::Options { location, durability: db::Durability::Relaxed };
        let database = db::Db::open(options).await.expect("a second process may open it");
        database
            .write::<u64, db::Error, _>(db::Durability::Relaxed, |transaction| {
                Box::pin(async move { transaction.exec("DROP INDEX trash_by_time", &[]).await })
            })
            .await
            .expect("an index can be dropped");
    });
    let output = run(&mut server.command(&["gc", "--once"])).failure();
    assert!(output.stderr.contains(FAULT), "{output}");
}

#[test]
fn i7_a_missing_index_is_found_on_postgresql() {
    let database = Postgres::shared().database();
    let server = Server::start(options().postgres(&database));
    database.execute("DROP INDEX trash_by_time");
    let output = run(&mut server.command(&["gc", "--once"])).failure();
    assert!(output.stderr.contains(FAULT), "{output}");
}

/// Does everything.
fn walk(server: &Server) {
    tenancy(server);
    images(server);
    packages(server);
    collection(server);
    let log = server.log();
    let faults: Vec<&str> = log.lines().filter(|line| line.contains(FAULT)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(!log.contains("panicked"), "{log}");
}

/// Users, organizations, registries, members and tokens.
fn tenancy(server: &Server) {
    let admin = server.api();
    admin.organization_create("acme");
    for registry in ["main", "public", "gone"] {
        admin.registry_create("acme", registry, Visibility::Private);
    }
    admin.registry_update("acme", "public", Visibility::Public);
    admin.registry_sparse("acme", "gone");
    for name in ["ada", "bob"] {
        admin.user_create(name, "a password that is long enough");
    }
    let places = [Place::Organization("acme"), Place::Registry("acme", "public")];
    for place in places {
        admin.member_put(place, "ada", Role::Writer);
        admin.member_put(place, "bob", Role::Viewer);
        admin.member_list(place);
        admin.member_delete(place, "bob");
    }
    let ada = ada(server);
    for api in [&admin, &ada] {
        api.organization_list();
        api.registry_list("acme");
        ask(api, Method::GET, "/v2/_catalog?n=1", 200);
        ask(api, Method::GET, "/api/v1/me", 200);
    }
    ask(&admin, Method::GET, "/api/v1/users?limit=1", 200);
    ask(&admin, Method::GET, "/api/v1/users/ada", 200);
    ask(&admin, Method::GET, "/api/v1/organizations/acme", 200);
    ask(&admin, Method::GET, "/api/v1/organizations/acme/registries/main", 200);
    let token = ada.token_create("work");
    ada.token_list();
    let secret = token["token"].as_str().expect("a new token is shown");
    admin.as_user("__token__", secret).organization_list();
    ada.token_delete(token["id"].as_str().expect("a token has a name for the API"));
    admin.user_delete("bob");
    ask(&admin, Method::GET, "/metrics", 200);
    ask(&admin, Method::GET, "/readyz", 200);
}

fn ada(server: &Server) -> Api {
    server.api().as_user("ada", "a password that is long enough")
}

/// Pushes and pulls in every form, lists and deletions.
fn images(server: &Server) {
    let ada = ada(server);
    let scope = "/token?service=larder&scope=repository:acme/main/app:pull,push,delete";
    let token = ask(&ada, Method::GET, scope, 200).json();
    let pusher = ada.as_bearer(token["token"].as_str().expect("the answer holds a token"));
    let repository = "acme/main/app";

    let whole = blob_push(&pusher, repository, &random_bytes(1000));
    let pieces = random_bytes(2000);
    let upload = upload_open(&pusher, repository);
    let path = send(&pusher, Method::PATCH, &upload, None, pieces[..700].to_vec(), 202);
    ask(&pusher, Method::GET, &location(&path), 204);
    let path = send(&pusher, Method::PATCH, &location(&path), None, pieces[700..].to_vec(), 202);
    let (chunked, closing) = (sha256(&pieces), location(&path));
    let separator = if closing.contains('?') { '&' } else { '?' };
    send(&pusher, Method::PUT, &format!("{closing}{separator}digest={chunked}"), None, Vec::new(), 201);
    ask(&pusher, Method::DELETE, &upload_open(&pusher, repository), 204);
    upload_open(&pusher, repository);
    for digest in [&whole, &chunked] {
        ask(&ada, Method::HEAD, &format!("/v2/{repository}/blobs/{digest}"), 200);
        ada.blob_get(repository, digest).expect(&[200]);
        for from in ["&from=acme/main/app", ""] {
            let path = format!("/v2/acme/public/copy/blobs/uploads/?mount={digest}{from}");
            ask(&ada, Method::POST, &path, 201);
        }
    }
    blob_push(&pusher, repository, b"{}");

    let image = manifest_push(&ada, repository, "1", MANIFEST, &manifest(&[(&whole, 1000)], None));
    let other = manifest_push(&ada, repository, "2", MANIFEST, &manifest(&[(&chunked, 2000)], None));
    manifest_push(&ada, repository, "1", MANIFEST, &manifest(&[(&chunked, 2000)], None));
    let children = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [image, other] });
    let index = manifest_push(&ada, repository, "index", INDEX, &children);
    let referrer = manifest_push(&ada, repository, "", MANIFEST, &manifest(&[], Some(&other)));
    manifest_push(&ada, repository, "", MANIFEST, &manifest(&[], Some(&referrer)));
    for reference in ["1", "index", digest_of(&other)] {
        ada.manifest_get(repository, reference).expect(&[200]);
        ask(&ada, Method::HEAD, &format!("/v2/{repository}/manifests/{reference}"), 200);
    }
    ada.tag_list(repository);
    ask(&ada, Method::GET, &format!("/v2/{repository}/tags/list?n=1&last=1"), 200);
    for query in ["", "?n=1", "?artifactType=application/vnd.example"] {
        ask(&ada, Method::GET, &format!("/v2/{repository}/referrers/{}{query}", digest_of(&other)), 200);
    }
    for (path, expected) in [("/v2/_catalog?n=100", 200), ("/v2/_catalog?n=1&last=acme/main/app", 200)] {
        ask(&server.api(), Method::GET, path, expected);
        ask(&ada, Method::GET, path, expected);
    }
    manifest_push(&server.api(), "acme/gone/app", "1", MANIFEST, &manifest(&[(&whole, 1000)], None));
    blob_push(&server.api(), "acme/gone/app", &random_bytes(300));
    for path in ["tags/list", "manifests/1"] {
        ask(&server.api(), Method::GET, &format!("/v2/acme/gone/app/{path}"), 200);
    }
    let manifests = [&index, &other].map(|gone| format!("manifests/{}", digest_of(gone)));
    let spare = format!("blobs/{}", blob_push(&ada, repository, &random_bytes(400)));
    for what in ["manifests/1", &manifests[0], &manifests[1], &spare] {
        ask(&ada, Method::DELETE, &format!("/v2/{repository}/{what}"), 202);
    }
}

/// A Python project from its first upload to the end.
fn packages(server: &Server) {
    let (ada, admin) = (ada(server), server.api());
    let wheel = Wheel::new("sample", "1.0").build();
    let sdist = Sdist::new("sample", "1.0").build();
    for file in
        [&wheel, &sdist, &Wheel::new("sample", "1.1").build(), &Wheel::new("other", "2").build(), &wheel]
    {
        ada.python_upload("acme", "main", file).expect(&[200]);
    }
    let base = "/api/v1/acme/main/python/simple/";
    ask(&ada, Method::GET, base, 200);
    ada.python_page("acme", "main", "sample").expect(&[200]);
    ada.python_file("acme", "main", "sample", &wheel.filename).expect(&[200]);
    let metadata = ada.python_path("acme", "main", "sample", &wheel.filename) + ".metadata";
    ask(&ada, Method::GET, &metadata, 200);
    admin.registry_change("acme", "main", &json!({ "read_only": true }));
    admin.registry_change("acme", "main", &json!({ "read_only": false }));
    let manage = |method: Method, path: &str, body: Option<Value>| {
        let answer = admin.python_manage(method, "acme", "main", path, body.as_ref());
        answer.expect(&[200, 201, 202, 204])
    };
    for path in ["", "/sample", "/sample/releases", "/sample/releases/1.0", "/sample/files"] {
        manage(Method::GET, &format!("/projects{path}"), None);
    }
    let file = format!("/projects/sample/files/{}", wheel.filename);
    manage(Method::GET, &file, None);
    manage(Method::PATCH, &file, Some(json!({ "yanked": true })));
    manage(Method::PATCH, "/projects/sample/releases/1.0", Some(json!({ "yanked": true, "reason": "old" })));
    manage(Method::PATCH, "/projects/sample", Some(json!({ "status": "quarantined", "reason": "a look" })));
    manage(Method::PATCH, "/projects/sample", Some(json!({ "status": "active" })));
    manage(Method::DELETE, &file, None);
    manage(Method::POST, &format!("{file}/restore"), None);
    manage(Method::DELETE, "/projects/sample/releases/1.0", None);
    manage(Method::POST, "/projects/sample/releases/1.0/restore", None);
    manage(Method::DELETE, "/projects/sample/releases/1.1", None);
}

/// What runs beside requests: collection of all kinds of garbage, and what looks at it.
fn collection(server: &Server) {
    let admin = server.api();
    let command = |arguments: &[&str]| run(&mut server.command(arguments)).success();
    command(&["gc", "--dry-run"]);
    command(&["gc", "status"]);
    // What was deleted lets go of what it named, which is judged a round later.
    for _ in 0..3 {
        command(&["gc", "--once"]);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ask(&admin, Method::DELETE, "/api/v1/organizations/acme/registries/gone?force=true", 204);
    for _ in 0..3 {
        command(&["gc", "--once"]);
    }
    command(&["scrub"]);
    ask(&admin, Method::GET, "/v2/_catalog", 200);
}

#[track_caller]
fn ask(api: &Api, method: Method, path: &str, expected: u16) -> Answer {
    api.send(api.request(method, path)).expect(&[expected])
}

#[track_caller]
fn send(
    api: &Api,
    method: Method,
    path: &str,
    media_type: Option<&str>,
    body: Vec<u8>,
    expected: u16,
) -> Answer {
    let request = api.request(method, path).body(body);
    api.send(request.header("content-type", media_type.unwrap_or("application/octet-stream")))
        .expect(&[expected])
}

/// The path of the upload that an answer names.
fn location(answer: &Answer) -> String {
    let location = answer.header("location").expect("an upload has a location");
    location.find("/v2/").map_or(location, |start| &location[start..]).to_owned()
}

#[track_caller]
fn upload_open(api: &Api, repository: &str) -> String {
    location(&ask(api, Method::POST, &format!("/v2/{repository}/blobs/uploads/"), 202))
}

#[track_caller]
fn blob_push(api: &Api, repository: &str, bytes: &[u8]) -> String {
    let digest = sha256(bytes);
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    send(api, Method::POST, &path, None, bytes.to_vec(), 201);
    digest
}

/// A manifest over the empty configuration and layers, each a digest and a size.
fn manifest(layers: &[(&str, usize)], subject: Option<&Value>) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(|(digest, size)| json!({ "mediaType": LAYER, "digest": digest, "size": size }))
        .collect();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": sha256(b"{}"), "size": 2 },
        "layers": layers,
        "annotations": { "unique": testkit::random_word() },
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
    }
    manifest
}

/// Pushes a manifest under a tag, or its digest when that is empty, and returns its descriptor.
#[track_caller]
fn manifest_push(api: &Api, repository: &str, tag: &str, media_type: &str, manifest: &Value) -> Value {
    let bytes = manifest.to_string().into_bytes();
    let digest = sha256(&bytes);
    let reference = if tag.is_empty() { &digest } else { tag };
    let size = bytes.len();
    send(api, Method::PUT, &format!("/v2/{repository}/manifests/{reference}"), Some(media_type), bytes, 201);
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

fn digest_of(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().expect("a descriptor has a digest")
}
