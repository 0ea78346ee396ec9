//! As much of HTTP/1.1 as an issuer needs: one request on each connection, a thread for each.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use super::Misbehavior;
use crate::port::free_port;

/// The longest head of a request, and the longest body.
const LONGEST: u64 = 1 << 20;

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// How long a client may take to send or to take something.
const PATIENCE: Duration = Duration::from_secs(30);

/// What somebody asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// What is behind the question mark, empty when there is none.
    pub query: String,
    /// The header fields with their names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header field of this name, which is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// What follows `Bearer` in the field `Authorization`.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, rest) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim())
    }

    /// A parameter of the query.
    pub fn query(&self, name: &str) -> Option<String> {
        parameter(&self.query, name)
    }

    /// A field of the form that the body is.
    pub fn field(&self, name: &str) -> Option<String> {
        parameter(str::from_utf8(&self.body).ok()?, name)
    }

    /// The body as JSON, null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Reads one; nothing when the client sends something else.
    fn read(stream: &TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream.take(2 * LONGEST));
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            line.ends_with('\n').then(|| line.trim_end().to_owned())
        };
        let first = line()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let mut headers = Vec::new();
        loop {
            let line = line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        let mut request = Self { method, path, query, headers, body: Vec::new() };
        let length = request.header("content-length").map_or(Some(0), |length| length.parse().ok())?;
        if length > LONGEST {
            return None;
        }
        reader.take(length).read_to_end(&mut request.body).ok()?;
        Some(request)
    }
}

/// One of the parameters that `text` has (WHATWG URL, "application/x-www-form-urlencoded").
fn parameter(text: &str, name: &str) -> Option<String> {
    let url = Url::parse(&format!("http://localhost/?{text}")).ok()?;
    url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) struct Response {
    status: u16,
    body: String,
    misbehavior: Option<Misbehavior>,
}

impl Response {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string(), misbehavior: None }
    }

    /// The same, as it should not be.
    pub(super) fn spoiled(mut self, misbehavior: Misbehavior) -> Self {
        self.misbehavior = Some(misbehavior);
        self
    }

    /// Sends it. A client that goes away has what it wants.
    fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        let Self { status, body, misbehavior } = self;
        let length = body.len() as u64;
        match misbehavior {
            None => {
                stream.write_all(head(status, Some(length), "").as_bytes())?;
                stream.write_all(body.as_bytes())
            }
            Some(Misbehavior::Down) => Ok(()),
            Some(Misbehavior::Status(status)) => stream.write_all(head(status, Some(0), "").as_bytes()),
            Some(Misbehavior::Slow(pause)) => {
                std::thread::sleep(pause);
                Self { status, body, misbehavior: None }.send(stream)
            }
            Some(Misbehavior::Trickle(pause)) => {
                stream.set_nodelay(true)?;
                stream.write_all(head(status, Some(length), "").as_bytes())?;
                body.as_bytes().iter().try_for_each(|byte| {
                    std::thread::sleep(pause);
                    stream.write_all(&[*byte])
                })
            }
            Some(Misbehavior::Huge(more)) => {
                stream.write_all(head(status, Some(more + length), "").as_bytes())?;
                std::io::copy(&mut std::io::repeat(b' ').take(more), stream)?;
                stream.write_all(body.as_bytes())
            }
            Some(Misbehavior::Endless) => {
                stream.write_all(head(status, None, "").as_bytes())?;
                std::io::copy(&mut std::io::repeat(b' '), stream).map(|_| ())
            }
            Some(Misbehavior::Redirect(place)) => {
                let field = format!("Location: {place}\r\n");
                stream.write_all(head(302, Some(0), &field).as_bytes())
            }
            Some(Misbehavior::Text(text)) => Self { status, body: text, misbehavior: None }.send(stream),
        }
    }
}

fn head(status: u16, length: Option<u64>, more: &str) -> String {
    let length = length.map(|length| format!("Content-Length: {length}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\n{length}{more}Connection: close\r\n\r\n"
    )
}

/// Listens on one port of every address that `localhost` stands for, until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    port: u16,
    addresses: Vec<SocketAddr>,
    is_over: Arc<AtomicBool>,
}

impl Listener {
    /// Lets `answer` answer every request, each in a thread of its own.
    pub(super) fn start(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let (port, sockets) = (0..ATTEMPTS)
            .find_map(|_| {
                let port = free_port();
                let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
                // A machine may have no IPv6.
                Some((
                    port,
                    std::iter::once(first).chain(TcpListener::bind((Ipv6Addr::LOCALHOST, port)).ok()),
                ))
            })
            .expect("a port that was free a moment ago can be had");
        let (is_over, answer) = (Arc::new(AtomicBool::new(false)), Arc::new(answer));
        let addresses = sockets
            .map(|socket| {
                let (is_over, answer) = (Arc::clone(&is_over), Arc::clone(&answer));
                let address = socket.local_addr().expect("a bound socket has an address");
                std::thread::spawn(move || {
                    for stream in socket.incoming() {
                        if is_over.load(Ordering::SeqCst) {
                            return;
                        }
                        let Ok(stream) = stream else { continue };
                        let answer = Arc::clone(&answer);
                        std::thread::spawn(move || serve(stream, &*answer));
                    }
                });
                address
            })
            .collect();
        Self { port, addresses, is_over }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        for address in &self.addresses {
            // Wakes the thread that waits for a connection.
            let _ = TcpStream::connect_timeout(address, Duration::from_secs(1));
        }
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Response) {
    // Without these a client that says nothing would hold its thread; then it says nothing at its own cost.
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    if let Some(request) = Request::read(&stream) {
        let _ = answer(&request).send(&mut stream);
    }
}
