//! HTTP/1.1 for a server that may be killed at any moment: a request ends in an answer or in the certainty
//! that none comes. Nothing is ever sent twice behind the caller's back, as a pooling client would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than anything that a healthy server does here.
const PATIENCE: Duration = Duration::from_mins(1);

/// No answer came: the server is gone, and whether it did what was asked is unknown. Says what was seen of it.
#[derive(Clone, Debug)]
pub(crate) struct Lost(String);

impl std::fmt::Display for Lost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "no answer: {}", self.0)
    }
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What is asked of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) body: &'a [u8],
}

/// A request without headers of its own and without a body.
pub(crate) fn plain<'a>(method: &'a str, target: &'a str) -> Request<'a> {
    Request { method, target, headers: &[], body: &[] }
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    headers: Vec<(String, String)>,
    request: String,
}

impl Answer {
    /// A header; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// Where an upload goes on.
    #[track_caller]
    pub(crate) fn location(&self) -> String {
        self.header("location").unwrap_or_else(|| panic!("no location: {self}")).to_owned()
    }

    /// Whether the answer is a refusal with this code of the distribution specification.
    pub(crate) fn refuses_with(&self, code: &str) -> bool {
        self.status >= 400 && String::from_utf8_lossy(&self.body).contains(code)
    }

    /// The same answer; panics with the whole of it when its status is not one of `expected`.
    #[track_caller]
    pub(crate) fn expect(self, expected: &[u16]) -> Self {
        assert!(expected.contains(&self.status), "expected one of {expected:?}: {self}");
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2000)]).into_owned();
        write!(formatter, "{} → {}\n{:?}\n{body}", self.request, self.status, self.headers)
    }
}

/// One caller with one connection, opened anew when the last one is gone.
#[derive(Debug)]
pub(crate) struct Wire {
    host: String,
    token: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Wire {
    /// A caller of the server at `host` (`localhost:PORT`) with a personal token: unlike a password it costs
    /// nothing to check, so that a server just started spends its short life on the requests.
    pub(crate) fn new(host: &str, token: &str) -> Self {
        Self { host: host.to_owned(), token: token.to_owned(), connection: None }
    }

    /// Sends a request and waits for the answer, whatever it is.
    pub(crate) fn send(&mut self, request: Request<'_>) -> Result<Answer, Lost> {
        let answered = self.exchange(request);
        if answered.is_err() {
            self.connection = None;
        }
        answered
    }

    fn exchange(&mut self, request: Request<'_>) -> Result<Answer, Lost> {
        let Request { method, target, headers, body } = request;
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n",
            self.host,
            self.token,
            body.len()
        );
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let connection = self.connect()?;
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        // A server that refuses a body may answer before it has read all of it; the answer counts.
        let _ = connection.get_mut().write_all(&bytes);
        let (answer, reusable) = read_answer(connection, format!("{method} {target}"), method == "HEAD")?;
        if !reusable {
            self.connection = None;
        }
        Ok(answer)
    }

    fn connect(&mut self) -> Result<&mut BufReader<TcpStream>, Lost> {
        // A server that was stopped in an orderly way closed its connections before anything was sent here.
        if self.connection.as_ref().is_none_or(|connection| is_closed(connection.get_ref())) {
            let stream = TcpStream::connect(&self.host)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            self.connection = Some(BufReader::new(stream));
        }
        Ok(self.connection.as_mut().expect("it was just opened"))
    }
}

/// Whether the other side has ended the connection.
fn is_closed(stream: &TcpStream) -> bool {
    let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let waiting = peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).is_err() || !waiting
}

/// Reads one answer and tells whether the connection may be used again. One that is cut short is none.
fn read_answer(
    connection: &mut BufReader<TcpStream>,
    request: String,
    head: bool,
) -> Result<(Answer, bool), Lost> {
    let status_line = read_line(connection)?;
    let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| Lost(format!("no status: {status_line}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(connection)?;
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                break;
            }
            return Err(Lost(format!("no header: {line}")));
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, body: Vec::new(), headers, request };
    let length: usize = answer.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    assert!(answer.header("transfer-encoding").is_none(), "an answer of unknown length: {answer}");
    if !head && status != 204 && status != 304 {
        answer.body.resize(length, 0);
        connection.read_exact(&mut answer.body)?;
    }
    let reusable = answer.header("connection") != Some("close");
    Ok((answer, reusable))
}

fn read_line(connection: &mut BufReader<TcpStream>) -> Result<String, Lost> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(Lost(format!("the answer ended in a line: {line:?}"))),
    }
}
