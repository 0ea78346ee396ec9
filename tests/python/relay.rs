//! A relay between a client and the server: it remembers what passes, and it can change an answer.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};

/// Why a lock is there to be taken: nothing that holds it can panic.
const UNPOISONED: &str = "no thread panics with the lock";

/// One request with the status of the server's answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The head of the request, in lower case.
    pub(crate) head: String,
    pub(crate) status: u16,
}

/// An answer on its way: status line and header fields, and the body.
pub(crate) struct Passing {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Passing {
    /// A bare refusal in place of the answer.
    pub(crate) fn refusal(status: &str) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nConnection: close"),
            body: Vec::new(),
        }
    }

    /// The same answer with another body.
    pub(crate) fn with_body(self, body: Vec<u8>) -> Self {
        let framing = ["content-length:", "transfer-encoding:", "etag:"];
        let kept = |line: &&str| !framing.iter().any(|name| line.to_lowercase().starts_with(name));
        let head: Vec<&str> = self.head.split("\r\n").filter(kept).collect();
        Self { head: format!("{}\r\nContent-Length: {}", head.join("\r\n"), body.len()), body }
    }
}

type Change = dyn Fn(&Seen, Passing) -> Passing + Send + Sync;

/// A relay that listens until the test program ends.
pub(crate) struct Relay {
    host: String,
    target: Arc<OnceLock<String>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Relay {
    /// A relay to the server at `target` (`localhost:PORT`) that changes nothing.
    pub(crate) fn new(target: &str) -> Self {
        Self::with(target, |_, passing| passing)
    }

    /// A relay that passes every answer through `change`.
    pub(crate) fn with(
        target: &str,
        change: impl Fn(&Seen, Passing) -> Passing + Send + Sync + 'static,
    ) -> Self {
        let relay = Self::listening(change);
        relay.lead_to(target);
        relay
    }

    /// A relay that is there before its server, so that the server can be told of it.
    pub(crate) fn listening(change: impl Fn(&Seen, Passing) -> Passing + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("localhost:0").expect("the loopback interface has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let host = format!("localhost:{}", address.port());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (target, change): (Arc<OnceLock<String>>, Arc<Change>) = (Arc::default(), Arc::new(change));
        let (shared, led) = (Arc::clone(&seen), Arc::clone(&target));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (target, change, seen) = (Arc::clone(&led), Arc::clone(&change), Arc::clone(&shared));
                // A client that goes away in the middle is its own affair.
                std::thread::spawn(move || relay(client, target.get()?, &*change, &seen));
            }
        });
        Self { host, target, seen }
    }

    /// Tells a relay its server (`localhost:PORT`).
    pub(crate) fn lead_to(&self, target: &str) {
        self.target.set(target.to_owned()).expect("a relay has one server");
    }

    /// Where it listens: `localhost:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The same URL by way of the relay.
    pub(crate) fn url(&self, url: &str, target: &str) -> String {
        url.replacen(target, &self.host, 1)
    }

    /// What has passed so far, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect(UNPOISONED).clone()
    }

    /// What has passed since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect(UNPOISONED))
    }
}

/// One request for each connection: both sides are told to close.
fn relay(mut client: TcpStream, target: &str, change: &Change, seen: &Mutex<Vec<Seen>>) -> Option<()> {
    let (head, rest) = read_head(&mut client)?;
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = rest;
    let left = length.unwrap_or(0_usize).saturating_sub(body.len());
    (&mut client).take(left as u64).read_to_end(&mut body).ok()?;
    // Plain answers, so that a test can read and change them.
    let kept = |line: &&str| {
        let line = line.to_lowercase();
        !line.starts_with("connection:") && !line.starts_with("accept-encoding:")
    };
    let lines: Vec<&str> = head.split("\r\n").filter(kept).collect();

    let mut server = TcpStream::connect(target).ok()?;
    let mut writer = server.try_clone().ok()?;
    let request = [format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n")).as_bytes(), &body].concat();
    let writing = std::thread::spawn(move || writer.write_all(&request));
    let (answer, mut content) = read_head(&mut server)?;
    // A server that refuses early may end the connection while the request is still on its way.
    let _ = server.read_to_end(&mut content);
    let _ = writing.join();

    let mut first = head.split(' ');
    let event = Seen {
        method: first.next()?.to_owned(),
        path: first.next()?.to_owned(),
        head: head.to_lowercase(),
        status: answer.split(' ').nth(1)?.parse().ok()?,
    };
    let passing = change(&event, Passing { head: answer, body: content });
    seen.lock().ok()?.push(event);
    client.write_all(format!("{}\r\n\r\n", passing.head).as_bytes()).ok()?;
    client.write_all(&passing.body).ok()
}

/// Everything up to the empty line, and what came with it.
fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut received = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        received.extend_from_slice(&buffer[..length]);
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&received[..end]).into_owned();
            return Some((head, received.split_off(end + 4)));
        }
    }
}
