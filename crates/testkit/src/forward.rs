//! A proxy as companies put before the internet, which clients ask for connections to names (RFC 9110, 9.3.6):
//! with it, a test's server is found under whatever name a page gives it, and nothing else is found at all.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// The longest head of a request.
const LONGEST: u64 = 1 << 16;

/// How long a client may take to say where it wants to go.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy. Its threads wait for connections until the test program ends.
#[derive(Debug)]
pub struct ForwardProxy {
    port: u16,
}

impl ForwardProxy {
    /// Starts a proxy on a free port of `localhost` that leads to `ports` of this machine: the first of each pair is
    /// what clients ask for, such as `registry.example.org:443`.
    pub fn start(ports: &[(&str, u16)]) -> Self {
        let ports: HashMap<String, u16> =
            ports.iter().map(|(name, port)| ((*name).to_owned(), *port)).collect();
        let ports = Arc::new(ports);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it listens somewhere").port();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let ports = Arc::clone(&ports);
                // A client that goes away, or that says something else, has what it wants.
                std::thread::spawn(move || serve(&client, &ports));
            }
        });
        Self { port }
    }

    /// The variable that all clients know, and its value.
    pub fn environment(&self) -> (&'static str, String) {
        ("HTTPS_PROXY", format!("http://127.0.0.1:{}", self.port))
    }
}

fn serve(mut client: &TcpStream, ports: &HashMap<String, u16>) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let target = read_target(client)?;
    let Some(port) = target.as_ref().and_then(|target| ports.get(target)) else {
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?;
    client.set_read_timeout(None)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    std::thread::scope(|scope| {
        scope.spawn(|| relay(client, &server));
        relay(&server, client);
    });
    Ok(())
}

/// Where a client wants to go. It says nothing more before it is answered, so nothing that it sends is lost.
fn read_target(client: &TcpStream) -> std::io::Result<Option<String>> {
    let mut lines = BufReader::new(client.take(LONGEST)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = first.split(' ');
    Ok((words.next() == Some("CONNECT")).then(|| words.next().unwrap_or_default().to_owned()))
}

/// Passes on what comes until nothing comes any more, and then says so.
fn relay(mut from: &TcpStream, mut to: &TcpStream) {
    // Whoever hangs up in between does so on the other side too.
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(proxy: &ForwardProxy, target: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).unwrap();
        write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        let status = String::from_utf8_lossy(&answer[9..]).into_owned();
        (stream, status)
    }

    #[test]
    fn names_that_were_given_lead_to_the_test_and_others_nowhere() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = server.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut asked = String::new();
            stream.read_to_string(&mut asked).unwrap();
            stream.write_all(asked.to_uppercase().as_bytes()).unwrap();
        });
        let proxy = ForwardProxy::start(&[("registry.example.org:443", port)]);
        let (mut stream, status) = ask(&proxy, "registry.example.org:443");
        assert_eq!(status, "200");
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("\r\n\r\nHELLO"), "{answer:?}");
        for other in ["registry.example.org:80", "pypi.org:443"] {
            assert_eq!(ask(&proxy, other).1, "403");
        }
    }
}
