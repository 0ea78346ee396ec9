//! What every database back end has to do.

use std::time::Duration;

use db::{Db, Durability, Error, params, testing};

async fn user_create(db: &Db, username: &'static str) -> Result<i64, Error> {
    db.write(Durability::Durable, move |transaction| {
        Box::pin(async move {
            let (id,) = transaction
                .one::<(i64,)>(
                    "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3) RETURNING id",
                    params![username, "someone@example.org", 1_i64],
                )
                .await?;
            Ok(id)
        })
    })
    .await
}

async fn user_exists(db: &Db, username: &str) -> bool {
    db.opt::<(i64,)>("SELECT id FROM users WHERE username = $1", params![username])
        .await
        .expect("the query runs")
        .is_some()
}

#[tokio::test]
async fn a_write_is_seen_by_the_read_after_it() {
    let (db, _folder) = testing::temporary().await;
    user_create(&db, "ada").await.expect("created");
    assert!(user_exists(&db, "ada").await);
}

#[tokio::test]
async fn i2_an_error_rolls_back_everything_of_its_write_and_nothing_else() {
    let (db, _folder) = testing::temporary().await;
    let failing = db.write::<(), Error, _>(Durability::Durable, |transaction| {
        Box::pin(async move {
            transaction
                .exec(
                    "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3)",
                    params!["bob", "b@x", 1_i64],
                )
                .await?;
            Err(Error::NoRow)
        })
    });
    let (failed, worked) = tokio::join!(failing, user_create(&db, "ada"));
    assert!(matches!(failed, Err(Error::NoRow)));
    worked.expect("the neighbour is unharmed");
    assert!(user_exists(&db, "ada").await);
    assert!(!user_exists(&db, "bob").await);
}

#[tokio::test]
async fn a_panic_in_a_write_harms_only_its_caller() {
    let (db, _folder) = testing::temporary().await;
    let panicking = db.write::<(), Error, _>(Durability::Durable, |_| panic!("on purpose"));
    let (panicked, worked) = tokio::join!(panicking, user_create(&db, "ada"));
    assert!(matches!(panicked, Err(Error::Closed)));
    worked.expect("the neighbour is unharmed");
    user_create(&db, "bob").await.expect("the writer goes on");
}

#[tokio::test]
async fn i3_writers_that_wait_share_a_commit() {
    let (db, _folder) = testing::temporary().await;
    if db.is_shared() {
        // There the server's own commits are shared.
        return;
    }
    let before = db.commits();
    // The first write holds the writer up while the others queue.
    let slow = db.write::<(), Error, _>(Durability::Durable, |_| {
        std::thread::sleep(Duration::from_millis(200));
        Box::pin(async { Ok(()) })
    });
    let others = futures_util::future::join_all((0..50).map(|number| {
        let name: &'static str = Box::leak(format!("user{number}").into_boxed_str());
        user_create(&db, name)
    }));
    let (slow, others) = tokio::join!(slow, others);
    slow.expect("committed");
    assert!(others.into_iter().all(|other| other.is_ok()));
    assert!(db.commits() - before <= 3, "51 writes took {} commits", db.commits() - before);
}

#[tokio::test]
async fn a_write_whose_caller_went_away_is_done_or_not_done() {
    let (db, _folder) = testing::temporary().await;
    for wait_micros in [0, 10, 50, 200, 1000] {
        let name: &'static str = Box::leak(format!("user{wait_micros}").into_boxed_str());
        let _ = tokio::time::timeout(Duration::from_micros(wait_micros), user_create(&db, name)).await;
    }
    // The writer is alive and every earlier piece of work has ended before this one.
    user_create(&db, "last").await.expect("created");
    for wait_micros in [0, 10, 50, 200, 1000] {
        let name = format!("user{wait_micros}");
        let rows: Vec<(i64,)> =
            db.all("SELECT created_at FROM users WHERE username = $1", params![&name]).await.expect("query");
        assert!(rows.len() <= 1);
    }
}

#[tokio::test]
async fn unique_and_foreign_keys_have_their_own_errors() {
    let (db, _folder) = testing::temporary().await;
    user_create(&db, "ada").await.expect("created");
    assert!(user_create(&db, "ada").await.expect_err("taken").is_unique_violation());
    let orphan = db
        .write::<u64, Error, _>(Durability::Durable, |transaction| {
            Box::pin(async move {
                transaction
                    .exec(
                        "INSERT INTO registries (organization_id, name, path, visibility, created_at)
                         VALUES ($1, $2, $3, $4, $5)",
                        params![99_i64, "main", "nobody/main/", "private", 1_i64],
                    )
                    .await
            })
        })
        .await;
    assert!(matches!(orphan, Err(Error::ForeignKey)));
}

#[tokio::test]
async fn values_come_back_as_they_went_in() {
    let (db, _folder) = testing::temporary().await;
    let row: (i64, String, Vec<u8>, Option<i64>, bool) = db
        .one("SELECT $1, $2, $3, $4, $5", params![-7_i64, "tä g", vec![0_u8, 255], None::<i64>, true])
        .await
        .expect("a row");
    assert_eq!(row, (-7, "tä g".to_owned(), vec![0, 255], None, true));
}

#[tokio::test]
async fn names_are_ordered_by_bytes() {
    let (db, _folder) = testing::temporary().await;
    for name in ["b", "a-b", "a.b", "a_b", "B", "ab"] {
        user_create(&db, name).await.expect("created");
    }
    let names: Vec<(String,)> =
        db.all("SELECT username FROM users ORDER BY username LIMIT 10", &[]).await.expect("query");
    let mut sorted = names.clone();
    sorted.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    assert_eq!(names, sorted);
}

#[tokio::test]
#[should_panic(expected = "no index that serves it")]
async fn i7_a_read_that_walks_a_table_is_refused_in_debug_builds() {
    let (db, _folder) = testing::temporary().await;
    let _ = db.opt::<(i64,)>("SELECT id FROM users WHERE email = $1", params!["x"]).await;
}

#[tokio::test]
async fn i7_a_write_that_walks_a_table_is_refused_in_debug_builds() {
    let (db, _folder) = testing::temporary().await;
    let walk = db.write::<u64, Error, _>(Durability::Relaxed, |transaction| {
        Box::pin(async move { transaction.exec("DELETE FROM users WHERE email = $1", params!["x"]).await })
    });
    assert!(walk.await.is_err());
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    let (db, folder) = testing::temporary().await;
    db.write::<u64, Error, _>(Durability::Durable, |transaction| {
        Box::pin(async move {
            transaction
                .exec(
                    "INSERT INTO larder_schema (version, name, checksum, needs) VALUES ($1, $2, $3, $4)",
                    params![9999_i64, "x", "y", 9999_i64],
                )
                .await
        })
    })
    .await
    .expect("written");
    drop(db);
    let error = Db::open(folder.options()).await.err().expect("refused");
    assert!(matches!(error, Error::SchemaTooNew { found: 9999, .. }), "{error}");
}

#[tokio::test]
async fn opening_twice_applies_migrations_once() {
    let (db, folder) = testing::temporary().await;
    user_create(&db, "ada").await.expect("created");
    drop(db);
    let db = Db::open(folder.options()).await.expect("opens again");
    assert!(user_exists(&db, "ada").await);
}
