//! What only a database with many writers has to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use db::{Db, Durability, Error, Location, Lock, Options, params};
use testkit::postgres::{Database, Postgres};

async fn open(database: &Database) -> Db {
    Db::open(options(database)).await.expect("the database opens")
}

fn options(database: &Database) -> Options {
    let location = Location::Postgres { url: database.url(), connections: 8 };
    Options { location, durability: Durability::Durable }
}

async fn user_create(db: &Db, username: &str) -> Result<i64, Error> {
    let username = username.to_owned();
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

async fn email_of(db: &Db, username: &str) -> Option<String> {
    let row: Option<(String,)> = db
        .opt("SELECT email FROM users WHERE username = $1", params![username])
        .await
        .expect("the query runs");
    row.map(|(email,)| email)
}

const RENAME: &str = "UPDATE users SET email = $1 WHERE username = $2";

/// Changes two rows in the given order, with time in between for somebody else to begin in the other order.
async fn change_both(db: &Db, first: &'static str, then: &'static str, runs: Arc<AtomicUsize>) {
    db.write::<(), Error, _>(Durability::Durable, move |transaction| {
        Box::pin(async move {
            runs.fetch_add(1, Ordering::Relaxed);
            transaction.exec(RENAME, params![first, first]).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            transaction.exec(RENAME, params![first, then]).await?;
            Ok(())
        })
    })
    .await
    .expect("both writes are carried out in the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_writes_that_wait_for_each_other_one_is_run_again() {
    let database = Postgres::shared().database();
    let db = open(&database).await;
    user_create(&db, "ada").await.expect("created");
    user_create(&db, "bob").await.expect("created");
    let runs = Arc::new(AtomicUsize::new(0));
    tokio::join!(
        change_both(&db, "ada", "bob", Arc::clone(&runs)),
        change_both(&db, "bob", "ada", Arc::clone(&runs)),
    );
    assert_eq!(runs.load(Ordering::Relaxed), 3);
    assert_eq!(email_of(&db, "ada").await, email_of(&db, "bob").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_of_one_lock_take_turns_and_others_do_not_wait() {
    let database = Postgres::shared().database();
    let (db, other) = (open(&database).await, open(&database).await);
    let inside = Arc::new(AtomicUsize::new(0));
    let hold = |db: Db, id: i64, inside: Arc<AtomicUsize>| async move {
        db.write::<usize, Error, _>(Durability::Relaxed, move |transaction| {
            Box::pin(async move {
                transaction.lock(Lock::Python, id).await?;
                let before = inside.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(100)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok(before)
            })
        })
        .await
        .expect("the lock is given")
    };
    let same = futures_util::future::join_all((0..6).map(|number| {
        hold(if number % 2 == 0 { db.clone() } else { other.clone() }, 7, Arc::clone(&inside))
    }));
    assert_eq!(same.await, [0; 6], "two held the same lock at once");
    let different =
        futures_util::future::join_all((0..4).map(|id| hold(db.clone(), id, Arc::clone(&inside)))).await;
    assert!(different.iter().any(|before| *before > 0), "locks of different resources waited for each other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_connection_is_cut_before_its_end_is_run_again() {
    let database = Postgres::shared().database();
    let db = open(&database).await;
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let writing = db.write::<(), Error, _>(Durability::Durable, move |transaction| {
        Box::pin(async move {
            counted.fetch_add(1, Ordering::Relaxed);
            let sql = "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3)";
            transaction.exec(sql, params!["ada", "a@x", 1_i64]).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            transaction.exec(RENAME, params!["b@x", "ada"]).await?;
            Ok(())
        })
    });
    let cutting = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        tokio::task::block_in_place(|| database.cut_connections())
    };
    let (written, cut) = tokio::join!(writing, cutting);
    written.expect("the second run went through");
    assert!(cut >= 1);
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    assert_eq!(email_of(&db, "ada").await.as_deref(), Some("b@x"));
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_caller_that_goes_away_leaves_no_half_and_no_open_transaction() {
    let database = Postgres::shared().database();
    let db = open(&database).await;
    for wait_micros in (0..4000).step_by(250) {
        let name = format!("user{wait_micros}");
        let wait = Duration::from_micros(wait_micros);
        let _ = tokio::time::timeout(wait, user_create(&db, &name)).await;
    }
    user_create(&db, "last").await.expect("connections are free");
    let open = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                AND datname = current_database() AND xact_start < now() - interval '1 second'";
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let left = tokio::task::block_in_place(|| database.query(open));
    assert_eq!(left, [["0"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_failed_is_never_passed_over() {
    let database = Postgres::shared().database();
    let db = open(&database).await;
    user_create(&db, "ada").await.expect("created");
    let written = db.write::<(), Error, _>(Durability::Durable, |transaction| {
        Box::pin(async move {
            let sql = "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3)";
            let _ = transaction.exec(sql, params!["ada", "a@x", 1_i64]).await;
            Ok(())
        })
    });
    assert!(matches!(written.await, Err(Error::Driver(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_last_answers_count_for_their_time_and_writes_fail() {
    let mut server = Postgres::start();
    let database = server.database();
    let db = open(&database).await;
    user_create(&db, "ada").await.expect("created");
    let sql = "SELECT username FROM users WHERE username = $1";
    let ask = |name: &'static str, max_age| {
        let db = db.clone();
        async move { db.opt_or_last::<(String,)>(max_age, sql, params![name]).await }
    };
    let long = Duration::from_mins(10);
    assert_eq!(ask("ada", long).await.expect("answered"), Some(("ada".to_owned(),)));
    assert_eq!(ask("bob", long).await.expect("answered"), None);

    tokio::task::block_in_place(|| server.stop());
    assert_eq!(ask("ada", long).await.expect("remembered"), Some(("ada".to_owned(),)));
    assert!(matches!(ask("bob", long).await, Err(Error::Unavailable(_))), "a lack is not remembered");
    assert!(
        matches!(ask("ada", Duration::ZERO).await, Err(Error::Unavailable(_))),
        "it was asked too long ago"
    );
    assert!(matches!(user_create(&db, "eve").await, Err(Error::Unavailable(_))));
    assert!(db.probe().await.is_err());

    tokio::task::block_in_place(|| server.start_again());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while user_create(&db, "eve").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "writes do not heal");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    db.probe().await.expect("ready again");
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_servers_that_start_at_once_migrate_once() {
    let database = Postgres::shared().database();
    let opened = futures_util::future::join_all((0..8).map(|_| Db::open(options(&database)))).await;
    assert!(opened.iter().all(Result::is_ok));
    let state = Db::schema(&options(&database).location).await.expect("the schema can be looked at");
    assert!(state.pending.is_empty());
    let applied = tokio::task::block_in_place(|| database.query("SELECT count(*) FROM larder_schema"));
    assert_eq!(applied, [[state.known.to_string()]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_the_schema_changes_nothing() {
    let database = Postgres::shared().database();
    let state = Db::schema(&options(&database).location).await.expect("the schema can be looked at");
    assert_eq!(state.applied, 0);
    assert_eq!(state.pending.len(), usize::try_from(state.known).expect("a small number"));
    let tables = "SELECT count(*) FROM pg_class WHERE relname = 'larder_schema'";
    assert_eq!(tokio::task::block_in_place(|| database.query(tables)), [["0"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_newer_schema_that_only_added_is_good_enough() {
    let database = Postgres::shared().database();
    let db = open(&database).await;
    let known = Db::schema(&options(&database).location).await.expect("looked at").known;
    drop(db);
    let newer = |needs: i64| {
        format!(
            "INSERT INTO larder_schema (version, name, checksum, needs) VALUES (9999, 'x', 'y', {needs})
             ON CONFLICT (version) DO UPDATE SET needs = {needs}"
        )
    };
    tokio::task::block_in_place(|| database.execute(&newer(known)));
    open(&database).await;
    tokio::task::block_in_place(|| database.execute(&newer(known + 1)));
    let refused = Db::open(options(&database)).await.err().expect("refused");
    assert!(matches!(refused, Error::SchemaTooNew { found: 9999, .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_connecting_is_said_in_one_line() {
    let database = Postgres::shared().database();
    let url = database.url();
    let wrong_database = format!("{}/nothing", url.rsplit_once('/').expect("a URL with a database").0);
    let (who, place) = url.rsplit_once('@').expect("a URL with a user");
    let (user, _) = who.rsplit_once(':').expect("a user with a password");
    let (host, name) = place.rsplit_once('/').expect("a host with a database");
    let closed =
        std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    for (url, says) in [
        (wrong_database, "create the database"),
        (format!("{user}:wrong@{place}"), "the password"),
        (format!("{who}@{closed}/{name}"), "check the host and port"),
        (format!("{who}@{host}/{name}?sslmode=require"), "check the host and port"),
    ] {
        let location = Location::Postgres { url, connections: 2 };
        let refused = Db::open(Options { location, durability: Durability::Durable }).await.err();
        let message = refused.expect("it cannot connect").to_string();
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
        assert!(!message.contains("wrong@"), "{message}");
    }
}
