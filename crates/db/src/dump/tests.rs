use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{Column, Durability, Value, params, testing};

fn about() -> About {
    About { written_at: "2026-11-21T18:00:00Z".to_owned(), store: "a store".to_owned() }
}

fn column(value: &Value) -> Column<'_> {
    match value {
        Value::Null => Column::Null,
        Value::Integer(value) => Column::Integer(*value),
        Value::Text(text) => Column::Text(text),
        Value::Bytes(bytes) => Column::Bytes(bytes),
    }
}

/// A dump with one table of these rows.
fn written(rows: &[Vec<Value>]) -> (Summary, Vec<u8>) {
    let header = Header::new(about(), "sqlite", 3);
    let mut writer = Writer::begin(Vec::new(), header).unwrap();
    let columns = (0..rows.first().map_or(0, Vec::len)).map(|number| format!("c{number}")).collect();
    writer.table(Table { name: "things".to_owned(), columns }).unwrap();
    for row in rows {
        writer.row(row.iter().map(column)).unwrap();
    }
    writer.sequences(BTreeMap::from([("things".to_owned(), 7)])).unwrap();
    writer.finish().unwrap()
}

fn entries(bytes: &[u8]) -> Result<Vec<Entry>, DumpError> {
    let mut reader = Reader::open(bytes)?;
    std::iter::from_fn(|| reader.next().transpose()).collect()
}

fn sample() -> (Summary, Vec<u8>) {
    written(&[
        vec![Value::Integer(1), Value::Text("tä\n\"g\u{0}".to_owned()), Value::Null],
        vec![Value::Integer(i64::MIN), Value::Text(String::new()), Value::Bytes(vec![0, 255])],
    ])
}

#[test]
fn a_dump_that_is_cut_off_anywhere_is_refused() {
    let (summary, whole) = sample();
    assert_eq!(Reader::open(&whole[..]).unwrap().finish().unwrap(), summary);
    for length in 0..whole.len() {
        let read = Reader::open(&whole[..length]).and_then(Reader::finish);
        assert!(matches!(read, Err(DumpError::Damaged(_) | DumpError::Foreign)), "{length}: {read:?}");
    }
    let longer = [&whole[..], b"x"].concat();
    assert!(matches!(Reader::open(&longer[..]).and_then(Reader::finish), Err(DumpError::Damaged(_))));
}

#[test]
fn a_dump_in_which_any_bit_is_turned_is_refused_or_the_same() {
    let (summary, whole) = sample();
    for position in 0..whole.len() * 8 {
        let mut turned = whole.clone();
        turned[position / 8] ^= 1 << (position % 8);
        if let Ok(read) = Reader::open(&turned[..]).and_then(Reader::finish) {
            // Some bits of the compressed form say nothing: the time in its header, the padding at its end.
            assert_eq!(read, summary, "bit {position}");
        }
    }
}

/// The lines of a dump, compressed again after a change.
fn changed(change: impl Fn(String) -> String) -> Vec<u8> {
    use std::io::Read as _;
    let (_, whole) = sample();
    let mut text = String::new();
    flate2::read::GzDecoder::new(&whole[..]).read_to_string(&mut text).unwrap();
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(change(text).as_bytes()).unwrap();
    out.finish().unwrap()
}

#[test]
fn what_somebody_edited_is_refused_with_a_reason() {
    let refusal = |change: &dyn Fn(String) -> String| {
        Reader::open(&changed(change)[..]).and_then(Reader::finish).unwrap_err().to_string()
    };
    assert!(refusal(&|text| text.replace("[1,", "[2,")).contains("not what was written"));
    assert!(refusal(&|text| text.replace("[1,", "[1,1,")).contains("does not belong to a table"));
    assert!(refusal(&|text| text.replace("[1,", "[1.5,")).contains("whole number"));
    assert!(refusal(&|text| text + "{}\n").contains("something follows"));
    assert!(refusal(&|text| text.replace("database dump", "shopping list")).contains("not a database dump"));
    assert!(
        refusal(&|text| text.replace("\"format\":1", "\"format\":2")).contains("newer program (format 2")
    );
    assert!(
        Reader::open(&b"not even compressed"[..]).is_err_and(|error| error.to_string().contains("not a"))
    );
}

#[test]
fn tables_follow_those_that_they_name() {
    let pair = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
    let names = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
    let references = [("a", "c"), ("c", "d"), ("b", "b")].map(pair);
    assert_eq!(in_order_of_keys(names.clone(), &references), ["b", "d", "c", "a"]);
    let circle = [("a", "b"), ("b", "a")].map(pair);
    assert_eq!(in_order_of_keys(names, &circle).len(), 4);
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Integer),
        any::<String>().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
    ]
}

proptest! {
    #[test]
    fn rows_come_back_as_they_went_in(rows in prop::collection::vec(prop::collection::vec(value(), 3), 1..20)) {
        let (summary, bytes) = written(&rows);
        prop_assert_eq!(summary.rows_of("things"), rows.len() as u64);
        let read: Vec<Vec<Value>> = entries(&bytes)
            .unwrap()
            .into_iter()
            .filter_map(|entry| match entry {
                Entry::Row(row) => Some(row),
                _ => None,
            })
            .collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = entries(&bytes);
    }
}

/// Something of everything: a row in as many tables as one needs to see what is kept.
async fn fill(db: &Db) {
    db.write::<(), Error, _>(Durability::Durable, |transaction| {
        Box::pin(async move {
            for (sql, values) in [
                (
                    "INSERT INTO users (username, email, password_hash, created_at) VALUES ($1, $2, $3, $4)",
                    params!["ada", "ada@example.org", None::<&str>, 1_i64],
                ),
                (
                    "INSERT INTO users (username, email, password_hash, created_at) VALUES ($1, $2, $3, $4)",
                    params!["böb\n", "b@x", "hash", i64::MAX],
                ),
                (
                    "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3)",
                    params!["gone", "g@x", 1_i64],
                ),
                ("DELETE FROM users WHERE username = $1", params!["gone"]),
                ("INSERT INTO organizations (name, created_at) VALUES ($1, $2)", params!["acme", 1_i64]),
                (
                    "INSERT INTO organization_members (organization_id, user_id, role) VALUES ($1, $2, $3)",
                    params![1_i64, 2_i64, "admin"],
                ),
                (
                    "INSERT INTO objects (key, size, sha256, created_at) VALUES ($1, $2, $3, $4)",
                    params!["0123", 3_i64, vec![0_u8, 1, 255], 1_i64],
                ),
                ("INSERT INTO trash (object_key, delete_after) VALUES ($1, $2)", params!["4567", 5_i64]),
                (
                    "INSERT INTO signing_keys (kid, secret, created_at) VALUES ($1, $2, $3)",
                    params!["key", vec![7_u8; 32], 1_i64],
                ),
            ] {
                transaction.exec(sql, values).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

async fn dumped(db: &Db) -> (Summary, Vec<u8>) {
    db.dump(about(), Vec::new()).await.unwrap()
}

#[tokio::test]
async fn a_database_comes_back_whole() {
    let (db, _folder) = testing::temporary().await;
    fill(&db).await;
    let (summary, bytes) = dumped(&db).await;
    assert_eq!((summary.rows_of("users"), summary.rows_of("tokens")), (2, 0));

    let (other, _other_folder) = testing::temporary().await;
    assert_eq!(other.filled_table().await.unwrap(), None);
    let loaded = other.load(std::io::Cursor::new(bytes.clone()), &[]).await.unwrap();
    assert_eq!(loaded, summary);
    assert_eq!(dumped(&other).await.0.content, summary.content);
    // A number that was given is not given again.
    let (id,): (i64,) = other
        .write(Durability::Durable, |transaction| {
            Box::pin(async move {
                transaction
                    .one::<(i64,)>(
                        "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3) RETURNING id",
                        params!["new", "n@x", 1_i64],
                    )
                    .await
            })
        })
        .await
        .map_err(|error: Error| error)
        .unwrap();
    assert_eq!(id, 4);
    let again = other.load(std::io::Cursor::new(bytes.clone()), &[]).await.unwrap_err();
    assert!(matches!(again, DumpError::NotEmpty { .. }), "{again}");

    let (third, _third_folder) = testing::temporary().await;
    third.load(std::io::Cursor::new(bytes), &["trash"]).await.unwrap();
    let trash: Option<(i64,)> =
        third.opt("SELECT delete_after FROM trash WHERE object_key = $1", params!["4567"]).await.unwrap();
    assert_eq!(trash, None);
}

#[tokio::test]
async fn a_dump_moves_between_engines_and_back() {
    let (db, _guard) = testing::temporary().await;
    fill(&db).await;
    let (summary, bytes) = dumped(&db).await;
    let folder = tempfile::tempdir().unwrap();
    let location = crate::Location::Sqlite(folder.path().join("larder.db"));
    let embedded = Db::open(crate::Options { location, durability: Durability::Relaxed }).await.unwrap();
    embedded.load(std::io::Cursor::new(bytes), &[]).await.unwrap();
    let (moved, bytes) = dumped(&embedded).await;
    assert_eq!((moved.content, moved.rows), (summary.content, summary.rows.clone()));
    let (back, _back_guard) = testing::temporary().await;
    back.load(std::io::Cursor::new(bytes), &[]).await.unwrap();
    assert_eq!(dumped(&back).await.0.content, summary.content);
}

#[tokio::test]
async fn i2_a_damaged_dump_leaves_the_database_empty() {
    let (db, _folder) = testing::temporary().await;
    fill(&db).await;
    let (_, bytes) = dumped(&db).await;
    let (other, _other_folder) = testing::temporary().await;
    for length in [bytes.len() / 2, bytes.len() - 1] {
        let cut = std::io::Cursor::new(bytes[..length].to_vec());
        assert!(matches!(other.load(cut, &[]).await, Err(DumpError::Damaged(_))));
        assert_eq!(other.filled_table().await.unwrap(), None);
    }
    other.load(std::io::Cursor::new(bytes), &[]).await.unwrap();
}

#[tokio::test]
async fn no_table_is_forgotten() {
    let (db, _folder) = testing::temporary().await;
    let (summary, _) = dumped(&db).await;
    let migrations = ["0001_create_registry", "0002_create_python", "0003_grow_out"];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations/sqlite");
    let mut created = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")) {
            let table = line.split([' ', '(']).next().unwrap();
            let held = summary.rows.contains_key(table);
            assert_ne!(held, LEFT_OUT.contains(&table), "{table}");
            created += 1;
        }
    }
    assert!(created >= 20, "{created} tables in {migrations:?}");
}

#[tokio::test]
async fn a_dump_of_an_older_schema_is_brought_up_to_date() {
    let (db, _folder) = testing::temporary().await;
    fill(&db).await;
    let newest = dumped(&db).await.0.header.schema;
    for schema in 1..newest {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE larder_schema (version INTEGER PRIMARY KEY, name TEXT, checksum TEXT)",
            )
            .unwrap();
        for (_, sql, _) in migrate::texts().filter(|(version, ..)| *version <= schema) {
            connection.execute_batch(sql).unwrap();
        }
        connection.execute("INSERT INTO larder_schema (version) VALUES (?1)", [schema]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO organizations (name, created_at) VALUES ('acme', 1);
                 INSERT INTO registries (organization_id, name, path, visibility, created_at)
                 VALUES (1, 'main', 'acme/main/', 'private', 1)",
            )
            .unwrap();
        let (summary, bytes) = sqlite::dump::dump(&connection, about(), Vec::new()).unwrap();
        assert_eq!(summary.header.schema, schema);
        let (other, _other_folder) = testing::temporary().await;
        other.load(std::io::Cursor::new(bytes), &[]).await.unwrap();
        let (read_only,): (bool,) = other
            .one("SELECT read_only FROM registries WHERE path = $1", params!["acme/main/"])
            .await
            .unwrap();
        assert!(!read_only);
        assert_eq!(dumped(&other).await.0.header.schema, newest);
    }
}

#[tokio::test]
async fn a_dump_of_a_newer_schema_is_refused() {
    let mut header = Header::new(about(), "sqlite", 9999);
    header.store.clear();
    let writer = Writer::begin(Vec::new(), header).unwrap();
    let (_, bytes) = writer.finish().unwrap();
    let (db, _folder) = testing::temporary().await;
    let error = db.load(std::io::Cursor::new(bytes), &[]).await.unwrap_err();
    assert!(error.to_string().contains("newer program (schema 9999"), "{error}");
}

#[tokio::test]
async fn one_dump_sees_one_moment() {
    let (db, _folder) = testing::temporary().await;
    fill(&db).await;
    let writing = {
        let db = db.clone();
        tokio::spawn(async move {
            for number in 0..300_i64 {
                // Both rows or none.
                let write = db.write::<(), Error, _>(Durability::Relaxed, move |transaction| {
                    Box::pin(async move {
                        let name = format!("user{number}");
                        transaction
                            .exec(
                                "INSERT INTO users (username, email, created_at) VALUES ($1, $2, $3)",
                                params![name.as_str(), "u@x", 1_i64],
                            )
                            .await?;
                        transaction
                            .exec(
                                "INSERT INTO organizations (name, created_at) VALUES ($1, $2)",
                                params![name.as_str(), 1_i64],
                            )
                            .await?;
                        Ok(())
                    })
                });
                write.await.unwrap();
            }
        })
    };
    while !writing.is_finished() {
        let (summary, _) = dumped(&db).await;
        assert_eq!(summary.rows_of("users"), summary.rows_of("organizations") + 1);
    }
    writing.await.unwrap();
}
