//! `larder admin rebuild-python`: the rows of an index made again from its artifacts.

use serde_json::{Value, json};
use testkit::python::{Sdist, Wheel};
use testkit::{Output, Server, run};

use super::attested::{PUBLISH, attestation, upload};
use super::scene::{Index, OwnIndex, project};
use crate::scene::{Calls as _, own_server, small_manifest};

/// Deletes all rows of the index behind the server's back, as somebody who has lost them would find it.
fn lose(server: &Server) {
    let location = db::Location::Sqlite(server.data_directory().join("larder.db"));
    tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(async {
        let db = db::Db::open(db::Options { location, durability: db::Durability::Relaxed })
            .await
            .expect("the database opens");
        let deleted: Result<(), db::Error> = db
            .write(db::Durability::Durable, |transaction| {
                Box::pin(async move {
                    for deletion in [
                        "DELETE FROM python_files /* walks */",
                        "DELETE FROM python_releases /* walks */",
                        "DELETE FROM python_projects /* walks */",
                        "DELETE FROM python_metadata /* walks */",
                    ] {
                        transaction.exec(deletion, &[]).await?;
                    }
                    Ok(())
                })
            })
            .await;
        deleted.expect("the rows can be deleted");
    });
}

fn rebuild(server: &Server, organization: &str, registry: &str) -> Output {
    run(&mut server.command(&["admin", "rebuild-python", organization, registry]))
}

/// What every surface shows of a project: the page, the tags, and what is under each of them.
fn shown(index: &Index, name: &str) -> (Value, Vec<(String, Vec<u8>)>) {
    let page = index.page(name).expect(&[200]).json();
    let tags = index.tags(name).into_iter().map(|tag| {
        let body = index.writer.manifest_get(&index.repository(name), &tag).expect(&[200]).body;
        (tag, body)
    });
    (page, tags.collect())
}

#[test]
fn m10_the_same_pages_come_back() {
    let mut own = OwnIndex::new();
    let projects = [project(), project(), "Zzz.Last_One".to_owned()];
    for name in &projects {
        for file in [
            Wheel::new(name, "1.0").header("Requires-Python", ">=3.8").build(),
            Wheel::new(name, "1.0.0").tag("cp312-cp312-win_amd64").build(),
            Sdist::new(name, "1.0").build(),
            Wheel::new(name, "1!2.0+cpu").build(),
        ] {
            own.index.takes(&file);
        }
    }
    own.index.writer.image_push(&own.index.repository("app"), "v1", &small_manifest());
    let normal = [projects[0].as_str(), projects[1].as_str(), "zzz-last-one"];
    let before = normal.map(|name| shown(&own.index, name));
    own.server.stop();
    lose(&own.server);
    own.server.restart();
    own.index.is_empty();
    own.server.stop();
    let organization = own.index.organization().name.clone();
    rebuild(&own.server, &organization, "main").success().says("12 files again, and had 0");
    own.server.restart();
    assert_eq!(normal.map(|name| shown(&own.index, name)), before);
    for (page, _) in &before {
        for file in page["files"].as_array().expect("a page has files") {
            let url = file["url"].as_str().expect("a file has an address");
            let bytes = own.index.writer.get(url).expect(&[200]).body;
            assert_eq!(testkit::sha256(&bytes).replace("sha256:", ""), file["hashes"]["sha256"]);
            if file.get("core-metadata").is_some() {
                own.index.writer.get(&format!("{url}.metadata")).expect(&[200]);
            }
        }
    }
    // The name as it was first written is in the files.
    let project = own.index.manage("GET", "/projects/zzz-last-one", &Value::Null).expect(&[200]).json();
    assert_eq!(project["display_name"], "Zzz.Last_One");
    // The index works as before: what is there is there, and more can come.
    own.index.takes(&Wheel::new(&projects[0], "1.0").header("Requires-Python", ">=3.8").build());
    own.index.takes(&Wheel::new(&projects[0], "3.0").build());
    assert_eq!(own.index.files(&projects[0]).len(), 5);
    // Nothing is missing, so there is nothing to do.
    rebuild(&own.server, &organization, "main").success().says("0 files again, and had 13");
    own.collect();
    own.scrub();
    assert_eq!(shown(&own.index, normal[1]), before[1]);
}

/// Beside a running server, and only what is missing.
#[test]
fn m10_a_server_that_runs_shows_what_comes_back() {
    let server = own_server(&[]);
    let index = Index::on(&server);
    let name = project();
    index.takes(&Wheel::new(&name, "1.0").build());
    index.takes(&Sdist::new(&name, "1.0").build());
    let before = shown(&index, &name);
    lose(&server);
    index.page(&name).expect(&[404]);
    rebuild(&server, &index.organization().name, "main").success().says("2 files again");
    assert_eq!(shown(&index, &name), before);
}

/// What artifacts do not say does not come back: the documentation says so too.
#[test]
fn m10_yanks_statuses_and_used_names_are_in_the_rows_alone() {
    let server = own_server(&[]);
    let index = Index::on(&server);
    let name = project();
    let (kept, deleted) = (Wheel::new(&name, "1.0").build(), Wheel::new(&name, "2.0").build());
    index.takes(&kept);
    index.takes(&deleted);
    index
        .manage("PATCH", &format!("/projects/{name}/releases/1.0"), &json!({ "yanked": true }))
        .expect(&[200]);
    index.manage("PATCH", &format!("/projects/{name}"), &json!({ "status": "deprecated" })).expect(&[200]);
    index.manage("DELETE", &format!("/projects/{name}/releases/2.0"), &Value::Null).expect(&[204]);
    lose(&server);
    rebuild(&server, &index.organization().name, "main").success().says("1 files again, and had 0");
    assert_eq!(index.files(&name), [kept.filename.as_str()]);
    assert_eq!(index.entry(&name, &kept.filename)["yanked"], false);
    assert_eq!(index.page(&name).json()["project-status"], json!({ "status": "active" }));
}

/// What refers to a file may look like one and is none.
#[test]
fn m10_only_files_become_files() {
    let server = own_server(&[]);
    let index = Index::on(&server);
    let (file, hidden) = (Wheel::new(&project(), "1.0").build(), project());
    index.takes(&file);
    let hidden = Wheel::new(&file.name, "2.0").file("hidden.py", hidden).build();
    let repository = index.repository(&file.name);
    let manifest = index.writer.manifest_get(&repository, "1.0").expect(&[200]);
    let mut document = manifest.json();
    document["subject"] = json!({
        "mediaType": crate::scene::MANIFEST_TYPE,
        "digest": testkit::sha256(&manifest.body),
        "size": manifest.body.len(),
    });
    document["layers"][0]["digest"] = index.writer.blob_push(&repository, &hidden.bytes).into();
    document["layers"][0]["size"] = hidden.bytes.len().into();
    document["layers"][0]["annotations"]["org.opencontainers.image.title"] = hidden.filename.clone().into();
    index.writer.image_push(&repository, "", &document);
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
    lose(&server);
    rebuild(&server, &index.organization().name, "main").success().says("1 files again");
    assert_eq!(index.files(&file.name), [file.filename.as_str()]);
}

/// Attestations are artifacts too.
#[test]
fn m10_attestations_come_back_and_rules_for_new_files_do_not_count() {
    let server = own_server(&[("LARDER_SERVER__PUBLIC_URL", "https://packages.example.org")]);
    let index = Index::on(&server);
    index.policy(&json!({ "store_unverified_attestations": true, "allow_similar_names": true }));
    let name = project();
    let files = [
        Wheel::new(&name, "1.0").spelled(&name.replace('-', "_").to_uppercase()).build(),
        Wheel::new(&format!("{name}-li"), "1.0").build(),
        Wheel::new(&format!("{name}-1l"), "1.0").build(),
    ];
    for file in &files {
        index.send(&upload(file, &[attestation(file, PUBLISH)])).expect(&[200]);
    }
    let strict = json!({
        "store_unverified_attestations": false, "allow_similar_names": false, "strict_filenames": true,
    });
    index.policy(&strict);
    let before = files.each_ref().map(|file| shown(&index, &file.name));
    lose(&server);
    rebuild(&server, &index.organization().name, "main").success().says("3 files again");
    assert_eq!(files.each_ref().map(|file| shown(&index, &file.name)), before);
    for file in &files {
        assert!(index.entry(&file.name, &file.filename)["provenance"].is_string());
    }
}

#[test]
fn m10_what_cannot_be_read_is_left_out_and_named() {
    let server = own_server(&[]);
    let index = Index::on(&server);
    let (good, bad) = (Wheel::new(&project(), "1.0").build(), Wheel::new(&project(), "1.0").build());
    index.takes(&good);
    index.takes(&bad);
    let stored =
        crate::scene::object_files(&server, &testkit::sha256(&bad.bytes)).pop().expect("it is stored");
    std::fs::write(stored, b"no wheel").expect("the object can be damaged");
    lose(&server);
    let organization = &index.organization().name;
    rebuild(&server, organization, "main").failure().says("left out").says(&bad.name).says("1 files again");
    index.page(&good.name).expect(&[200]);
    index.page(&bad.name).expect(&[404]);
    rebuild(&server, organization, "nothing").failure().says("nothing");
    rebuild(&server, "Not-A-Name", "main").failure();
}
