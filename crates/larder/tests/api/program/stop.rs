//! The end: what is in flight is finished, and nothing new is begun.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use testkit::{Role, Server, random_bytes, sha256};

use crate::scene::{Organization, connect, own_server};

/// A push of a whole blob whose second half is still to be sent.
fn half_a_push(server: &Server, bytes: &[u8], repository: &str, token: &str) -> TcpStream {
    let mut stream = connect(server);
    let head = format!(
        "POST /v2/{repository}/blobs/uploads/?digest={} HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n",
        sha256(bytes),
        bytes.len()
    );
    stream.write_all(head.as_bytes()).expect("the server takes the head");
    stream.write_all(&bytes[..bytes.len() / 2]).expect("the server takes the first half");
    stream
}

#[test]
fn a_push_in_flight_is_finished_and_new_connections_are_refused() {
    let mut server = own_server(&[]);
    let organization = Organization::on(&server.api());
    let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
    let token = api.token_create("raw")["token"].as_str().expect("a token is text").to_owned();
    let bytes = random_bytes(1 << 20);
    let mut push = half_a_push(&server, &bytes, &repository, &token);
    // The request is being answered before the server is told to end.
    in_flight(&server, 2);
    server.terminate();
    let refused = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        TcpStream::connect(server.host()).is_err()
    });
    assert!(refused, "a server that ends takes new connections");
    assert!(server.wait(Duration::ZERO).is_none(), "it did not wait for the push");
    push.write_all(&bytes[bytes.len() / 2..]).expect("the server takes the second half");
    let mut answer = String::new();
    push.read_to_string(&mut answer).expect("the server answers and closes the connection");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let status = server.wait(Duration::from_secs(10)).expect("it ends once the push is finished");
    assert!(status.success(), "{status}");
    assert!(server.log().contains("stopped"), "{}", server.log());
    server.restart();
    assert!(api.blob_get(&repository, &sha256(&bytes)).expect(&[200]).body == bytes, "other bytes");
}

/// Waits until so many requests are being answered, the one that asks included.
fn in_flight(server: &Server, expected: u32) {
    let line = format!("larder_http_requests_in_flight {expected}");
    let nobody = server.api().as_nobody();
    let reached = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        String::from_utf8_lossy(&nobody.get("/metrics").body).lines().any(|found| found == line)
    });
    assert!(reached, "the push never arrived");
}

#[test]
fn a_push_that_never_ends_holds_the_end_up_only_so_long() {
    let mut server = own_server(&[("LARDER_SERVER__DRAIN_TIMEOUT", "500ms")]);
    let organization = Organization::on(&server.api());
    let (api, repository) = (organization.member(Role::Writer), organization.repository("app"));
    let token = api.token_create("raw")["token"].as_str().expect("a token is text").to_owned();
    let bytes = random_bytes(1 << 20);
    let push = half_a_push(&server, &bytes, &repository, &token);
    in_flight(&server, 2);
    server.terminate();
    let status = server.wait(Duration::from_secs(10)).expect("it ends although the push goes on");
    assert!(status.success(), "{status}");
    assert!(server.log().contains("requests still under way were cut off"), "{}", server.log());
    drop(push);
    server.restart();
    api.blob_get(&repository, &sha256(&bytes)).expect(&[404]);
}

#[test]
fn connections_that_wait_for_nothing_do_not_hold_it_up() {
    let mut server = own_server(&[]);
    let idle = connect(&server);
    let mut kept_alive = connect(&server);
    kept_alive
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .expect("the server takes a request");
    let mut first = [0; 12];
    kept_alive.read_exact(&mut first).expect("the server answers");
    assert_eq!(&first, b"HTTP/1.1 200");
    server.terminate();
    let status = server.wait(Duration::from_secs(5)).expect("it ends while connections are open");
    assert!(status.success(), "{status}");
    drop((idle, kept_alive));
}
