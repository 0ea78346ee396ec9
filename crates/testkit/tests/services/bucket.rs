use testkit::bucket::S3;
use testkit::fault::{Fault, Proxy, Rule};

#[test]
fn objects_are_put_listed_read_and_deleted() {
    let bucket = S3::shared().bucket();
    assert_eq!((bucket.object_count(), bucket.unfinished_uploads()), (0, 0));
    bucket.put("larder/objects/aa/one & two", b"hello");
    bucket.put("larder/snapshots/x", b"");
    assert_eq!(bucket.get("larder/objects/aa/one & two").expect(&[200]).body, b"hello");
    assert_eq!(bucket.keys("larder/"), ["larder/objects/aa/one & two", "larder/snapshots/x"]);
    assert_eq!(bucket.object_count(), 1);
    bucket.delete("larder/objects/aa/one & two");
    bucket.get("larder/objects/aa/one & two").expect(&[404]);
    assert_eq!(bucket.object_count(), 0);
}

#[test]
fn a_long_listing_has_several_pages() {
    let bucket = S3::shared().bucket();
    for number in 0..1005 {
        bucket.put(&format!("larder/objects/{number:04}"), b"");
    }
    let keys = bucket.keys("larder/");
    assert_eq!((keys.len(), keys[1004].as_str()), (1005, "larder/objects/1004"));
}

#[test]
fn a_bucket_that_nobody_created_is_missing() {
    let bucket = S3::shared().bucket_that_is_missing();
    assert_eq!(bucket.get("key").status, 404);
}

#[test]
fn an_outage_keeps_what_was_there() {
    let mut server = S3::start();
    let bucket = server.bucket();
    bucket.put("larder/a", b"kept");
    let address = server.address();
    server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
    server.start_again();
    assert_eq!((server.address(), bucket.get("larder/a").body.as_slice()), (address, b"kept".as_slice()));
}

#[test]
fn a_restricted_user_is_refused_what_is_not_allowed() {
    let bucket = S3::shared().bucket();
    bucket.put("larder/a", b"kept");
    let user = bucket.as_user(&["s3:GetObject", "s3:PutObject", "s3:ListBucket"]);
    user.put("larder/b", b"new");
    assert_eq!(user.keys("larder/"), ["larder/a", "larder/b"]);
    user.get("larder/a").expect(&[200]);
    assert_eq!(user.try_delete("larder/a").status, 403);
    assert_ne!(user.env(), bucket.env());
    let stranger = bucket.with_wrong_secret();
    let answer = stranger.get("larder/a").expect(&[403]);
    assert!(String::from_utf8_lossy(&answer.body).contains("SignatureDoesNotMatch"), "{answer}");
}

#[test]
fn faults_stand_in_the_way_of_whoever_goes_through_the_proxy() {
    let server = S3::shared();
    let bucket = server.bucket();
    bucket.put("larder/a", b"hello");
    let proxy = Proxy::http(server.address(), 1);
    let through = bucket.through(&proxy);
    assert!(through.url().contains(&format!("http://127.0.0.1:{}&", proxy.port())), "{}", through.url());
    proxy.add(Rule::new(Fault::Answer(503, "SlowDown")).method("GET").path("larder/a").times(1));
    let get = || {
        let address = format!("{}/{}/larder/a", through.endpoint(), through.name());
        let answer = reqwest::blocking::get(address).expect("the proxy answers");
        (answer.status().as_u16(), answer.text().expect("a body"))
    };
    let (status, body) = get();
    assert_eq!(status, 503);
    assert!(body.contains("SlowDown"), "{body}");
    // Nobody signed this one, and the server behind says so.
    let (status, body) = get();
    assert_eq!(status, 403);
    assert!(body.contains("AccessDenied"), "{body}");
    assert_eq!((proxy.requests(), proxy.faults()), (2, 1));
}
