use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::time::Instant;

use super::*;

/// A server that answers each connection's only request with its body, a thousand times over.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let mut buffer = [0; 4096];
                let body = loop {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
                        if length.is_none_or(|length| length.parse::<usize>().unwrap() == body.len()) {
                            break body.repeat(1000);
                        }
                    }
                    let Ok(length @ 1..) = client.read(&mut buffer) else { return };
                    bytes.extend_from_slice(&buffer[..length]);
                };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = client.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    address
}

/// Sends a request and reads to the end of the connection.
fn ask(proxy: &Proxy, method: &str, body: &str) -> Result<String, ErrorKind> {
    let mut stream = TcpStream::connect(proxy.address()).map_err(|error| error.kind())?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let head =
        format!("{method} /bucket/key?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).map_err(|error| error.kind())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.kind())?;
    Ok(answer.split_once("\r\n\r\n").map_or(answer.clone(), |(_, body)| body.to_owned()))
}

#[test]
fn without_rules_everything_passes() {
    let proxy = Proxy::http(echo(), 1);
    assert_eq!(ask(&proxy, "PUT", "hello"), Ok("hello".repeat(1000)));
    let large = "x".repeat(20_000);
    assert_eq!(ask(&proxy, "PUT", &large).unwrap().len(), 20_000_000);
    assert_eq!((proxy.requests(), proxy.faults()), (2, 0));
}

#[test]
fn each_fault_is_what_it_says() {
    let proxy = Proxy::http(echo(), 1);
    let meets = |fault: Fault| {
        proxy.clear();
        proxy.add(Rule::new(fault).method("PUT").path("key"));
        ask(&proxy, "PUT", "hello")
    };
    assert!(meets(Fault::Answer(503, "SlowDown")).unwrap().contains("<Code>SlowDown</Code>"));
    assert_eq!(meets(Fault::ResetBeforeBody), Err(ErrorKind::ConnectionReset));
    assert_eq!(meets(Fault::ResetDuringBody), Err(ErrorKind::ConnectionReset));
    assert_eq!(meets(Fault::ResetAfterBody), Err(ErrorKind::ConnectionReset));
    assert_eq!(meets(Fault::Truncate(7)), Ok("hellohe".to_owned()));
    assert_eq!(meets(Fault::Truncate(1 << 40)).unwrap().len(), 4999);
    let start = Instant::now();
    assert_eq!(meets(Fault::Delay(Duration::from_millis(300))).unwrap().len(), 5000);
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!(proxy.faults(), 7);
    assert_eq!(ask(&proxy, "GET", "").as_deref(), Ok(""), "the rule is about PUT");
}

#[test]
fn rules_are_limited_by_number_and_chance() {
    let proxy = Proxy::http(echo(), 7);
    proxy.add(Rule::new(Fault::ResetBeforeBody).times(2));
    let answers: Vec<bool> = (0..4).map(|_| ask(&proxy, "GET", "").is_ok()).collect();
    assert_eq!(answers, [false, false, true, true]);
    proxy.clear();
    proxy.add(Rule::new(Fault::Answer(500, "InternalError")).chance(0.5));
    let failed = (0..100).filter(|_| ask(&proxy, "GET", "").unwrap().contains("InternalError")).count();
    assert!((30..70).contains(&failed), "{failed} of 100 failed");
}

#[test]
fn a_stalled_request_ends_with_its_connection() {
    let proxy = Proxy::http(echo(), 1);
    proxy.add(Rule::new(Fault::Stall));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&proxy, "PUT", "hello"));
        while proxy.faults() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(!asked.is_finished());
        proxy.cut();
        assert_eq!(asked.join().unwrap(), Err(ErrorKind::ConnectionReset));
    });
}

#[test]
fn connections_are_cut_refused_stalled_and_healed() {
    let proxy = Proxy::tcp(echo());
    assert_eq!(ask(&proxy, "PUT", "hello"), Ok("hello".repeat(1000)));
    // The one that was just used must not pass for the next.
    while proxy.connections() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut open = TcpStream::connect(proxy.address()).unwrap();
    open.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    while proxy.connections() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    proxy.outage();
    assert_eq!(open.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(ask(&proxy, "PUT", "hello"), Err(ErrorKind::ConnectionRefused));
    proxy.heal();
    assert_eq!(ask(&proxy, "PUT", "hello"), Ok("hello".repeat(1000)));
    proxy.stall();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(&proxy, "PUT", "hello"));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!asked.is_finished());
        proxy.heal();
        assert_eq!(asked.join().unwrap(), Ok("hello".repeat(1000)));
    });
}
