//! What a pull costs others, and what others cost a pull.

use std::sync::{Arc, Mutex, mpsc};

use testkit::{Role, Server};

use crate::scene::{Calls as _, Organization, own_server, referrer_of, small_manifest};

/// Runs `work` while somebody else holds the database's one place for writers.
fn while_a_writer_holds_the_database(server: &Server, work: impl FnOnce()) {
    let location = db::Location::Sqlite(server.data_directory().join("larder.db"));
    let options = db::Options { location, durability: db::Durability::Relaxed };
    let (holds, is_held) = mpsc::channel::<()>();
    let (release, released) = mpsc::channel::<()>();
    // A write can be begun more than once, so what it takes is shared.
    let released = Arc::new(Mutex::new(released));
    let writer = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can start");
        runtime.block_on(async {
            let database = db::Db::open(options).await.expect("the database can be opened beside the server");
            let written: Result<(), db::Error> = database
                .write(db::Durability::Relaxed, move |transaction| {
                    Box::pin(async move {
                        transaction.exec("UPDATE users SET epoch = epoch /* walks */", db::params![]).await?;
                        holds.send(()).expect("the test waits for it");
                        // A thread of its own runs this, so it may stand still. An end without a word is the
                        // end of the test, and as good.
                        let _ = released.lock().expect("nobody else receives").recv();
                        Ok(())
                    })
                })
                .await;
            written.expect("an empty change can be written");
        });
    });
    is_held.recv().expect("the writer gets hold of the database");
    work();
    release.send(()).expect("the writer waits for it");
    writer.join().expect("the writer ends in order");
}

#[test]
fn i6_a_pull_waits_for_no_writer() {
    let server = own_server(&[]);
    let organization = Organization::on(&server.api());
    let writer = organization.member(Role::Writer);
    let repository = organization.repository("app");
    let subject = writer.image_push(&repository, "1", &small_manifest());
    writer.image_push(&repository, "", &referrer_of(&subject.descriptor(), "a/b"));
    let blob = writer.blob_push(&repository, b"content");
    while_a_writer_holds_the_database(&server, || {
        let bearer = writer.as_bearer(&writer.token(&[&format!("repository:{repository}:pull")]));
        for caller in [&writer, &bearer] {
            for rest in [
                "manifests/1".to_owned(),
                format!("manifests/{}", subject.digest),
                format!("blobs/{blob}"),
                "tags/list".to_owned(),
                format!("referrers/{}", subject.digest),
            ] {
                for method in ["GET", "HEAD"] {
                    caller.ask(method, &format!("/v2/{repository}/{rest}")).expect(&[200]);
                }
            }
        }
        writer.ask("GET", "/v2/_catalog").expect(&[200]);
    });
    // The writers come next.
    writer.image_push(&repository, "2", &small_manifest());
}
