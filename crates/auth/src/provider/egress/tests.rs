use std::time::Instant;

use super::*;
use crate::provider::testing::{FakeIssuer, Reply};

fn egress() -> Egress {
    Egress::new(Duration::from_millis(500)).unwrap()
}

#[test]
fn t20_only_addresses_of_the_public_internet_are_public() {
    for public in [
        "1.1.1.1",
        "8.8.8.8",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "2a00::1",
        "64:ff9b::808:808",
    ] {
        assert!(is_public(public.parse().unwrap()), "{public}");
    }
    for private in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "100::1",
    ] {
        assert!(!is_public(private.parse().unwrap()), "{private}");
    }
}

#[test]
fn t20_no_spelling_of_an_address_inside_gets_through() {
    for inside in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://2130706433/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://①②⑦.⓪.⓪.①/",
        "https://10.0.0.1:8443/",
    ] {
        assert_eq!(
            check(inside, &Reach::default()).map(|_| ()),
            Err(EgressError::NotAllowed(NOT_PUBLIC)),
            "{inside}"
        );
    }
    for unusable in [
        "http://issuer.example.com/",
        "ftp://issuer.example.com/",
        "file:///etc/passwd",
        "gopher://issuer.example.com/",
        "https://user@issuer.example.com/",
        "https://issuer.example.com@127.0.0.1/",
        "issuer.example.com",
        "",
    ] {
        assert!(check(unusable, &Reach::default()).is_err(), "{unusable}");
    }
    assert!(check("https://issuer.example.com/", &Reach::default()).is_ok());
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let reach = Reach::of(["http://localhost:1234/realms/team", "not an address"]);
    assert!(reach.contains("http://localhost:1234/other"));
    for other in
        ["http://localhost:1235/", "https://localhost:1234/", "http://localhost/", "http://127.0.0.1:1234/"]
    {
        assert!(!reach.contains(other), "{other}");
    }
    assert!(reach.and(&Reach::of(["https://inside.example"])).contains("https://inside.example:443/x"));
}

#[tokio::test]
async fn t20_a_name_that_leads_inside_is_not_followed() {
    let server = FakeIssuer::silent().await;
    let (_, port) = server.url.rsplit_once(':').unwrap();
    let url = format!("https://localhost:{port}/");
    let error = egress().fetch(Outgoing::get(&url), &Reach::default()).await.unwrap_err();
    assert_eq!(error, EgressError::NotAllowed(NOT_PUBLIC));
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn t20_redirects_are_not_followed() {
    let (server, other) = (FakeIssuer::silent().await, FakeIssuer::silent().await);
    let redirect = Reply { location: Some(other.at("/secret")), ..Reply::bytes(Vec::new()).status(302) };
    server.reply("/", redirect);
    let reach = Reach::of([server.url.as_str(), other.url.as_str()]);
    let url = server.at("/");
    let error = egress().fetch(Outgoing::get(&url), &reach).await.unwrap_err();
    assert_eq!(error, EgressError::Status(302));
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn answers_have_an_end() {
    let server = FakeIssuer::silent().await;
    let reach = Reach::of([server.url.as_str()]);
    server.reply("/large", Reply::bytes(vec![b' '; LARGEST]));
    server.reply("/huge", Reply::bytes(vec![b' '; LARGEST + 1]));
    server.reply("/slow", Reply { wait: Duration::from_mins(1), ..Reply::bytes(Vec::new()) });
    server.reply("/trickle", Reply { trickles: true, ..Reply::bytes(b"{".to_vec()) });
    let begun = Instant::now();
    for (path, expected) in [
        ("/large", Ok(LARGEST)),
        ("/huge", Err(EgressError::TooLarge)),
        ("/slow", Err(EgressError::TooSlow)),
        ("/trickle", Err(EgressError::TooSlow)),
        ("/absent", Err(EgressError::Status(404))),
    ] {
        let url = server.at(path);
        let found = egress().fetch(Outgoing::get(&url), &reach).await.map(|body| body.len());
        assert_eq!(found, expected, "{path}");
    }
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_is_sent_arrives() {
    let server = FakeIssuer::silent().await;
    server.reply("/token", Reply::bytes(b"{}".to_vec()).status(400));
    let url = server.at("/token");
    let mut outgoing = Outgoing::get(&url).bearer("secret");
    outgoing.body = Some(("text/plain", b"hello".to_vec()));
    let answer = egress().send(outgoing, &Reach::of([server.url.as_str()])).await.unwrap();
    assert_eq!((answer.status, answer.body), (400, b"{}".to_vec()));
    let seen = server.seen("/token").remove(0);
    assert!(seen.head.starts_with("POST "));
    assert!(seen.head.contains("Bearer secret"));
    assert_eq!(seen.body, "hello");
}
