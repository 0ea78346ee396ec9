//! A mail server that others have written (`aiosmtpd`), and a reader of what it has taken.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::port::free_port;
use crate::service::Service;
use crate::{process, random_word, tool};

/// What the server does with what it takes.
const SERVER: &str = include_str!("server.py");

/// How many ports are tried before giving up: somebody else may take the one that was just found free.
const ATTEMPTS: usize = 5;

/// How long a message may be on its way.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// A running mail server. It ends when this is dropped, and when the test process ends in whatever way.
///
/// It takes mail to everybody but `nobody@…`, whom it refuses.
#[derive(Debug)]
pub struct MailServer {
    service: Service,
    port: u16,
    credentials: Option<(String, String)>,
}

impl MailServer {
    /// Starts a server that takes mail from everybody on a free port of `localhost`.
    ///
    /// Panics with its log when that cannot be done.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a server that takes mail only from one user, with a password: see [`Self::credentials`].
    pub fn start_with_password() -> Self {
        Self::start_with(Some(("postman".to_owned(), random_word())))
    }

    fn start_with(credentials: Option<(String, String)>) -> Self {
        let service = Service::new("aiosmtpd", Signal::TERM, "TERM");
        std::fs::write(service.directory().join("server.py"), SERVER).expect("a file can be written");
        std::fs::create_dir(service.directory().join("mail")).expect("a directory can be made");
        let mut server = Self { service, port: free_port(), credentials };
        for attempt in 1.. {
            let port = server.port;
            let mut command = command(server.service.directory(), port, server.credentials.as_ref());
            match server.service.launch(&mut command, move |_: &Child| greets(port)) {
                Ok(()) => break,
                Err(_) if attempt < ATTEMPTS && server.service.log().contains("in use") => {
                    server.port = free_port();
                }
                Err(reason) => server.service.give_up(&reason),
            }
        }
        server
    }

    /// Where it listens, on every address of `localhost`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User name and password, where it asks for them.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials.as_ref().map(|(username, password)| (username.as_str(), password.as_str()))
    }

    /// Everything that it has taken so far, in order.
    pub fn messages(&self) -> Vec<Message> {
        let entries = std::fs::read_dir(self.folder()).expect("the folder of the mail can be read");
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.expect("an entry can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        files.iter().map(|file| Message::read(file)).collect()
    }

    /// What was sent to `address`, in order.
    pub fn messages_to(&self, address: &str) -> Vec<Message> {
        self.messages().into_iter().filter(|message| message.to.iter().any(|to| to == address)).collect()
    }

    /// Waits for the message number `count` to `address`, counted from one; panics with everything that has
    /// arrived when it takes more than ten seconds.
    #[track_caller]
    pub fn wait_for(&self, address: &str, count: usize) -> Message {
        let deadline = Instant::now() + ARRIVES_WITHIN;
        loop {
            if let Some(message) = self.messages_to(address).into_iter().nth(count - 1) {
                return message;
            }
            assert!(
                Instant::now() < deadline,
                "message {count} to {address} does not arrive; this did: {:#?}",
                self.messages()
            );
            std::thread::sleep(process::PAUSE);
        }
    }

    /// Ends it; what it has taken stays.
    pub fn stop(&mut self) {
        self.service.stop(Signal::TERM);
    }

    /// Starts it again on the same port.
    pub fn start_again(&mut self) {
        let Self { service, port, credentials } = self;
        let (directory, port) = (service.directory().to_owned(), *port);
        let ready = move |_: &Child| greets(port);
        service.launch_again(|| command(&directory, port, credentials.as_ref()), ready);
    }

    fn folder(&self) -> PathBuf {
        self.service.directory().join("mail")
    }
}

fn command(directory: &Path, port: u16, credentials: Option<&(String, String)>) -> Command {
    let mut command = Command::new(tool("python/aiosmtpd/bin/python"));
    command.current_dir(directory).args(["-I", "server.py", &port.to_string(), "mail"]);
    if let Some((username, password)) = credentials {
        command.args([username, password]);
    }
    command
}

/// Whether a mail server says hello at `port`.
fn greets(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut line = String::new();
    let is_read = stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| BufReader::new(stream).read_line(&mut line));
    is_read.is_ok() && line.starts_with("220")
}

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it, as the envelope has it.
    pub from: String,
    /// To whom it goes, as the envelope has it.
    pub to: Vec<String>,
    /// The subject, decoded.
    pub subject: String,
    /// The body as plain text, decoded; empty when there is none.
    pub text: String,
    /// The body as HTML, decoded; empty when there is none.
    pub html: String,
    /// The header fields, decoded, in order.
    pub headers: Vec<(String, String)>,
    /// The message as it was sent.
    pub source: String,
}

impl Message {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a message can be read");
        let value: Value = serde_json::from_slice(&bytes).expect("a message was written as JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        Self {
            from: text(&value["from"]),
            to: list(&value["to"]).iter().map(text).collect(),
            subject: text(&value["subject"]),
            text: text(&value["text"]),
            html: text(&value["html"]),
            headers: list(&value["headers"]).iter().map(|field| (text(&field[0]), text(&field[1]))).collect(),
            source: text(&value["source"]),
        }
    }

    /// The first header field of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first link of the text; panics with the message when there is none.
    #[track_caller]
    pub fn link(&self) -> String {
        let mut words = self.text.split_whitespace();
        let link = words.find(|word| word.starts_with("http://") || word.starts_with("https://"));
        link.unwrap_or_else(|| panic!("no link in {self:#?}"))
            .trim_end_matches(['.', ',', '>', ')'])
            .to_owned()
    }

    /// The first word of the text that somebody could copy as a code: six characters or more of which one is a
    /// digit, all of them letters, digits, hyphens or underscores. Panics with the message when there is none.
    #[track_caller]
    pub fn code(&self) -> String {
        let is_code = |word: &&str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            word.len() >= 6 && word.bytes().all(is_part) && word.bytes().any(|byte| byte.is_ascii_digit())
        };
        let words = self.text.split_whitespace();
        let mut words = words.map(|word| word.trim_matches(['.', ',', ':', ';', '"', '(', ')', '<', '>']));
        words.find(is_code).unwrap_or_else(|| panic!("no code in {self:#?}")).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_codes_are_found_in_text() {
        let text = "Hello Ada,\n\nopen http://localhost:5000/verify?code=a1b2c3d4.\nOr type: 123456.\n";
        let message = Message {
            from: String::new(),
            to: Vec::new(),
            subject: String::new(),
            text: text.to_owned(),
            html: String::new(),
            headers: vec![("Subject".to_owned(), "hello".to_owned())],
            source: String::new(),
        };
        assert_eq!(message.link(), "http://localhost:5000/verify?code=a1b2c3d4");
        assert_eq!(message.code(), "123456");
        assert_eq!(message.header("subject"), Some("hello"));
    }
}
