//! What somebody reads who has set something wrong: one line that names it.

use std::time::{Duration, Instant};

use blobs::{Durability, Location, Options, Store};
use testkit::bucket::{Bucket, S3};
use testkit::fault::{Fault, Proxy, Rule};

use crate::place::URL;

/// Tries to open the bucket; started by the tests below, each with other variables.
#[tokio::test]
#[ignore = "started by the tests of opening"]
async fn opens_the_bucket() {
    let location = Location::Url(std::env::var(URL).expect("the test names a URL"));
    match Store::open(&Options { location, durability: Durability::Durable }).await {
        Ok(_) => println!("opened: fine"),
        Err(error) => println!("opened: {error}"),
    }
}

/// What opening says in a process with these credentials.
fn opening(url: &str, variables: &[(String, String)]) -> String {
    let begun = Instant::now();
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "opening::opens_the_bucket", "--nocapture"])
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().cloned())
        .env(URL, url)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}: {output}", begun.elapsed());
    let line = output.lines().find_map(|line| line.split_once("opened: ")).map(|(_, said)| said.to_owned());
    line.unwrap_or_else(|| panic!("{output}{}", String::from_utf8_lossy(&ended.stderr)))
}

fn said(bucket: &Bucket) -> String {
    opening(&bucket.url(), &bucket.env())
}

#[test]
fn each_wrong_setting_is_named() {
    let server = S3::start();
    let bucket = server.bucket();
    assert_eq!(said(&bucket), "fine");
    let names = |line: &str, named: &str| assert!(line.contains(named), "{named}: {line}");
    names(&said(&server.bucket_that_is_missing()), "does not exist");
    names(&said(&bucket.with_wrong_secret()), "AWS_SECRET_ACCESS_KEY");
    names(&said(&bucket.with_unknown_key()), "AWS_ACCESS_KEY_ID");
    let all = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:DeleteObject"];
    for missing in all {
        let granted: Vec<_> = all.into_iter().filter(|action| *action != missing).collect();
        names(&said(&bucket.as_user(&granted)), missing);
    }
    assert_eq!(said(&bucket.as_user(&all)), "fine");

    let proxy = Proxy::http(server.address(), 1);
    proxy.add(Rule::new(Fault::Answer(403, "RequestTimeTooSkewed")));
    names(&said(&bucket.through(&proxy)), "clock");
    proxy.clear();
    proxy.add(Rule::new(Fault::Stall));
    names(&said(&bucket.through(&proxy)), "does not answer");
    proxy.outage();
    names(&said(&bucket.through(&proxy)), "does not answer");

    // The files of the command line hold the credentials as well.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let [(_, key), (_, secret)] = &bucket.env()[..] else { panic!("a key and a secret") };
    let text = format!("[work]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    std::fs::write(&file, text).unwrap();
    let file = ("AWS_SHARED_CREDENTIALS_FILE".to_owned(), file.to_str().unwrap().to_owned());
    let profile = |name: &str| [file.clone(), ("AWS_PROFILE".to_owned(), name.to_owned())];
    assert_eq!(opening(&bucket.url(), &profile("work")), "fine");
    names(&opening(&bucket.url(), &profile("wrk")), "AWS_PROFILE is wrk");
}
