//! What is wrong with the database or the bucket is said at the start, in one line.

use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::bucket::{Bucket, S3};
use testkit::fault::{Fault, Proxy, Rule};
use testkit::postgres::{Database, Postgres};
use testkit::{Output, Server, TEST_SEALING_KEY, run_within};

use crate::scene::options;

/// A server that cannot start says so before anybody gives up on it.
const LIMIT: Duration = Duration::from_secs(30);

/// Starts a server that has to refuse in one line, which holds all of `texts`.
#[track_caller]
fn refuses(database: &str, storage: Option<(&str, &Bucket)>, folder: &TempDir, texts: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
    command.args(["serve", "--listen", "localhost:0", "--data-dir"]).arg(folder.path().join("data"));
    command
        .env("LARDER_LOG__LEVEL", "error")
        .env("LARDER_DATABASE__URL", database)
        .env("LARDER_AUTH__SEALING_KEY", TEST_SEALING_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdin(Stdio::null());
    if let Some((url, bucket)) = storage {
        command.env("LARDER_STORAGE__URL", url).envs(bucket.env());
    }
    expect_refusal(run_within(LIMIT, &mut command), texts);
}

#[track_caller]
fn expect_refusal(output: Output, texts: &[&str]) {
    let output = texts.iter().fold(output.failure(), |output, text| output.says(text));
    eprint!("{}", output.stderr);
    assert!(output.stderr.starts_with("larder: "), "{output}");
    assert_eq!(output.stderr.lines().count(), 1, "{output}");
}

/// A bucket that is not as it should be, under a database that is.
#[track_caller]
fn refuses_bucket(bucket: &Bucket, texts: &[&str]) {
    refuses(&Postgres::shared().database().url(), Some((&bucket.url(), bucket)), &folder(), texts);
}

fn folder() -> TempDir {
    TempDir::new().expect("a temporary directory can be made")
}

#[test]
fn a_bucket_that_lets_nobody_in_is_refused() {
    let s3 = S3::shared();
    refuses_bucket(&s3.bucket().with_wrong_secret(), &["AWS_SECRET_ACCESS_KEY"]);
    refuses_bucket(&s3.bucket().with_unknown_key(), &["AWS_ACCESS_KEY_ID"]);
    let missing = s3.bucket_that_is_missing();
    refuses_bucket(&missing, &[missing.name(), "storage.url"]);
}

#[test]
fn a_bucket_that_does_not_allow_everything_is_refused() {
    let everything = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"];
    for forbidden in everything {
        let bucket = S3::shared().bucket();
        let allowed: Vec<&str> = everything.into_iter().filter(|action| *action != forbidden).collect();
        refuses_bucket(&bucket.as_user(&allowed), &[forbidden]);
    }
}

#[test]
fn a_store_that_does_not_answer_is_refused() {
    let bucket = S3::shared().bucket();
    let proxy = Proxy::tcp(S3::shared().address());
    let through = bucket.through(&proxy);
    proxy.stall();
    refuses_bucket(&through, &["does not answer", &through.endpoint(), "storage.url"]);
    proxy.outage();
    refuses_bucket(&through, &["does not answer", &through.endpoint(), "storage.url"]);
}

#[test]
fn a_clock_that_is_wrong_is_refused() {
    let bucket = S3::shared().bucket();
    let proxy = Proxy::http(S3::shared().address(), 1);
    proxy.add(Rule::new(Fault::Answer(403, "RequestTimeTooSkewed")));
    refuses_bucket(&bucket.through(&proxy), &["clock"]);
}

#[test]
fn a_database_that_lets_nobody_in_is_refused() {
    let bucket = S3::shared().bucket();
    let database = Postgres::shared().database();
    let refuses = |url: &str, texts: &[&str]| {
        assert_ne!(url, database.url());
        refuses(url, Some((&bucket.url(), &bucket)), &folder(), texts);
    };
    let url = database.url();
    let (user, place) = url.split_once('@').expect("the URL has credentials");
    let (user, _) = user.rsplit_once(':').expect("the URL has a password");
    refuses(&format!("{user}:wrong@{place}"), &["password", "database.url"]);
    refuses(&url.replace(database.name(), "nothing_here"), &["nothing_here", "database.url"]);
    let proxy = Proxy::tcp(Postgres::shared().address());
    proxy.stall();
    refuses(&database.through(&proxy).url(), &["database.url"]);
    proxy.outage();
    refuses(&database.through(&proxy).url(), &["database.url"]);
}

/// Each server would make one of its own, and none could read what another has sealed.
#[test]
fn a_shared_database_without_a_sealing_key_is_refused() {
    let database = Postgres::shared().database();
    for subcommand in [["serve"].as_slice(), &["config", "check"], &["gc", "--once"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_larder"));
        command.args(subcommand).env("LARDER_DATABASE__URL", database.url()).stdin(Stdio::null());
        expect_refusal(run_within(LIMIT, &mut command), &["auth.sealing_key", "larder config new-key"]);
    }
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let server =
        Server::start(options().postgres(&Postgres::shared().database()).bucket(&S3::shared().bucket()));
    let database: &Database = server.database().expect("it has one");
    database.execute(
        "INSERT INTO larder_schema (version, name, checksum, needs) VALUES (9999, 'tomorrow', '', 9999)",
    );
    let bucket = server.bucket().expect("it has one");
    refuses(&database.url(), Some((&bucket.url(), bucket)), &folder(), &["9999", "newer program"]);
    assert_eq!(server.api().get("/readyz").status, 200, "one that runs already runs on");
}

#[test]
fn i9_a_disk_has_one_server() {
    let database = Postgres::shared().database();
    let one = folder();
    let server = Server::start(options().postgres(&database).data_directory(one.path().join("data")));
    refuses(&database.url(), None, &one, &["in use"]);
    refuses(&database.url(), None, &folder(), &["another blob store", "storage.url"]);
    assert_eq!(server.api().get("/readyz").status, 200, "the first one runs on");
}
