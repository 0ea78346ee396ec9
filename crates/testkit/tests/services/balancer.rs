use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::balancer::Haproxy;

/// A server that answers everything with its name, or with 503 while it is not well.
fn server(name: &'static str, is_well: &Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("a bound socket has an address");
    let is_well = Arc::clone(is_well);
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection comes in");
            let _ = client.read(&mut [0; 4096]);
            let status = if is_well.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close", name.len());
            let _ = client.write_all(format!("{head}\r\n\r\n{name}").as_bytes());
        }
    });
    address
}

#[test]
fn requests_take_turns_and_avoid_who_is_not_well() {
    let (one, two) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let mut balancer = Haproxy::new();
    balancer.start(&[server("one", &one), server("two", &two)]);
    balancer.wait_until_healthy(2);
    let client = reqwest::blocking::Client::new();
    let ask = || client.get(balancer.url()).send().expect("an answer").text().expect("a body");
    let mut answers: Vec<_> = (0..4).map(|_| ask()).collect();
    answers.sort();
    assert_eq!(answers, ["one", "one", "two", "two"], "one client over one connection meets both");
    two.store(false, Ordering::SeqCst);
    balancer.wait_until_healthy(1);
    assert_eq!([ask(), ask()], ["one", "one"]);
    two.store(true, Ordering::SeqCst);
    balancer.wait_until_healthy(2);
}
