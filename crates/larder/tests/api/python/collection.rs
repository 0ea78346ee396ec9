//! The collector and Python projects: nothing live goes, and nothing that is not stays.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use testkit::python::{Sdist, Wheel};
use testkit::{Role, random_bytes, run};

use super::scene::{AT_ONCE, Index, OwnIndex, project, wheel};
use crate::scene::{Calls as _, own_server, stored_files};

/// A collector that runs all the time and has no patience at all, beside uploads and deletions.
#[test]
fn m9_nothing_live_is_collected_while_files_come_and_go() {
    let server = own_server(&[
        ("LARDER_GC__INTERVAL", "20ms"),
        ("LARDER_GC__GRACE", "0s"),
        ("LARDER_GC__TRASH_DELAY", "0s"),
        ("LARDER_GC__COLLECT_UNTAGGED", "true"),
    ]);
    let index = Index::on(&server);
    // The config that all files share has a user all the time.
    index.takes(&wheel().build());
    let projects: Vec<String> = (0..4).map(|_| project()).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A second collector, from the command line.
        let collector = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                run(&mut server.command(&["gc", "--once"])).success();
            }
        });
        let uploads: Vec<_> = projects
            .iter()
            .map(|name| {
                let index = &index;
                scope.spawn(move || {
                    for number in 0..25 {
                        let version = format!("1.{number}");
                        index.takes(
                            &Wheel::new(name, &version).file("data.bin", random_bytes(20_000)).build(),
                        );
                        index.takes(&Sdist::new(name, &version).build());
                        if number % 3 == 0 {
                            let release = format!("/projects/{name}/releases/{version}");
                            index.manage("DELETE", &release, &Value::Null).expect(&[204]);
                        }
                    }
                })
            })
            .collect();
        let failed =
            uploads.into_iter().map(std::thread::ScopedJoinHandle::join).filter(Result::is_err).count();
        done.store(true, Ordering::Relaxed);
        collector.join().expect("the collector works");
        assert_eq!(failed, 0, "uploads failed");
    });
    for name in &projects {
        let page = index.page(name).expect(&[200]).json();
        let files = page["files"].as_array().expect("a page has files");
        assert_eq!(files.len(), 32, "{page}");
        for file in files {
            let bytes = index.writer.get(file["url"].as_str().expect("an address")).expect(&[200]).body;
            assert_eq!(testkit::sha256(&bytes).replace("sha256:", ""), file["hashes"]["sha256"]);
        }
        let repository = index.repository(name);
        for tag in index.tags(name) {
            let manifest = index.writer.manifest_get(&repository, &tag).expect(&[200]).json();
            for child in manifest["manifests"].as_array().into_iter().flatten() {
                let digest = child["digest"].as_str().expect("a digest is text");
                index.writer.manifest_get(&repository, digest).expect(&[200]);
            }
            for blob in manifest["layers"].as_array().into_iter().flatten().chain(manifest.get("config")) {
                let digest = blob["digest"].as_str().expect("a digest is text");
                index.writer.blob_get(&repository, digest).expect(&[200]);
            }
        }
    }
    run(&mut server.command(&["gc", "--once"])).success();
    run(&mut server.command(&["scrub"])).success().says(": 0 suspects");
    // And the collector did its work: what is left are the files, the first one, and the config.
    assert_eq!(stored_files(&server).len(), 4 * 32 + 2);
}

/// The rows of the Python tables, table by table.
fn rows(own: &OwnIndex) -> Vec<(&'static str, i64)> {
    let counts = [
        ("python_projects", "SELECT count(*) FROM python_projects WHERE id > 0"),
        ("python_releases", "SELECT count(*) FROM python_releases WHERE id > 0"),
        ("python_files", "SELECT count(*) FROM python_files WHERE id > 0"),
        ("python_metadata", "SELECT count(*) FROM python_metadata WHERE sha256 > ''"),
        ("repositories", "SELECT count(*) FROM repositories WHERE id > 0"),
        ("manifests", "SELECT count(*) FROM manifests WHERE id > 0"),
    ];
    let location = db::Location::Sqlite(own.server.data_directory().join("larder.db"));
    tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(async {
        let db = db::Db::open(db::Options { location, durability: db::Durability::Relaxed })
            .await
            .expect("the database opens");
        let mut found = Vec::new();
        for (table, count) in counts {
            let count: Option<(i64,)> = db.opt(count, &[]).await.expect("a table can be counted");
            found.push((table, count.expect("a count is one row").0));
        }
        found
    })
}

#[test]
fn a_deleted_registry_leaves_nothing() {
    let own = OwnIndex::new();
    let organization = own.index.organization();
    let name = project();
    for file in [
        Wheel::new(&name, "1.0").build(),
        Sdist::new(&name, "1.0").build(),
        Wheel::new(&name, "2.0").description("other metadata").build(),
        wheel().build(),
    ] {
        own.index.takes(&file);
    }
    // A deleted file, a status and a yank are rows too.
    own.index.manage("DELETE", &format!("/projects/{name}/releases/2.0"), &Value::Null).expect(&[204]);
    own.index
        .manage("PATCH", &format!("/projects/{name}"), &serde_json::json!({ "status": "quarantined" }))
        .expect(&[200]);
    own.collect();
    assert!(rows(&own).iter().all(|(_, count)| *count > 0), "{:?}", rows(&own));
    let path = format!("/organizations/{}/registries/main", organization.name);
    let owner = organization.member(Role::Admin);
    owner.manage("DELETE", &path, &Value::Null).expect(&[409]);
    assert_eq!(own.index.page(&name).expect(&[200]).json()["project-status"]["status"], "quarantined");
    owner.manage("DELETE", &format!("{path}?force=true"), &Value::Null).expect(&[204]);
    own.index.page(&name).expect(&[403]);
    own.collect();
    own.collect();
    let left = rows(&own);
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
    assert!(stored_files(&own.server).is_empty(), "{:?}", stored_files(&own.server));
    own.scrub();
    // The name is free again, and nothing of the old registry is in the new one.
    organization.registry("main-2", testkit::Visibility::Private);
    organization.admin().registry_create(&organization.name, "main", testkit::Visibility::Private);
    own.index.is_empty();
    own.index.takes(&Wheel::new(&name, "2.0").file("other.py", "x = 1\n").build());
    organization.admin().registry_delete(&organization.name, "main-2");
}

/// Uploads that were refused, or that brought nothing new, leave no bytes behind.
#[test]
fn what_nobody_names_goes() {
    let own = OwnIndex::new();
    let file = wheel().build();
    own.index.takes(&file);
    own.collect();
    let before = stored_files(&own.server);
    for _ in 0..3 {
        own.index.takes(&file);
    }
    own.index.upload(&Wheel::new(&file.name, "1.0").file("other.py", "x = 1\n").build()).expect(&[409]);
    own.index.writer.as_nobody().python_upload(&own.index.organization().name, "main", &file).expect(&[401]);
    own.collect();
    assert_eq!(stored_files(&own.server), before);
}

/// The index of a release that another replaced is kept for a week, and then it goes.
#[test]
fn indexes_that_were_replaced_are_kept_for_some_time() {
    let own = OwnIndex::new();
    let name = project();
    let mut digests = Vec::new();
    for tag in ["py3-none-any", "cp311-cp311-any", "cp312-cp312-any", "cp313-cp313-any"] {
        own.index.takes(&Wheel::new(&name, "1.0").tag(tag).build());
        let answer = own.index.writer.manifest_get(&own.index.repository(&name), "1.0").expect(&[200]);
        digests.push(testkit::sha256(&answer.body));
    }
    own.collect();
    for digest in &digests {
        own.index.writer.manifest_get(&own.index.repository(&name), digest).expect(&[200]);
    }
    assert_eq!(AT_ONCE[1].1, "0s", "with any other grace this would prove nothing");
}
