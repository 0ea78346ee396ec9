//! What a disk and a bucket do alike, and what a bucket does when others write to it or the network fails.
//!
//! `suite` starts an S3 server and then this program once more for everything that talks to it, because the
//! library takes its credentials from the environment of its process. `cargo test -p blobs --test bucket` runs
//! it; a single test runs with `cargo test -p blobs --test bucket -- suite` and its name in `LARDER_TEST_ONLY`.

mod behaviour;
mod faults;
mod opening;
mod place;
mod races;

use std::process::Command;

use testkit::bucket::{Bucket, S3};

#[test]
fn suite() {
    let server = S3::start();
    let bucket = server.bucket();
    run(&server, &bucket, &["--skip", "faults::"]);
    assert_eq!(bucket.unfinished_uploads(), 0, "every multipart upload was completed or given up");
    // An upload whose beginning was answered to nobody stays, for the bucket's own rules to clear away.
    run(&server, &server.bucket(), &["--skip", "behaviour::", "--skip", "races::"]);
}

/// Runs the tests of this program that talk to a bucket.
fn run(server: &S3, bucket: &Bucket, chosen: &[&str]) {
    let mut tests = Command::new(std::env::current_exe().expect("this program is a file"));
    tests.args(["--ignored", "--test-threads", "4", "--skip", "opens_the_bucket"]).args(chosen);
    if let Ok(only) = std::env::var("LARDER_TEST_ONLY") {
        tests.arg(only);
    }
    let status = tests
        .envs(bucket.env())
        .env(place::URL, bucket.url())
        .env(place::ADDRESS, server.address().to_string())
        .status()
        .expect("this program can be started again");
    assert!(status.success(), "{status}\n{}", server.log());
}
