//! A load balancer that other people run: `HAProxy`, with a configuration as its documentation has it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::port::free_port;
use crate::service::Service;
use crate::{process, tool};

/// How long the balancer may take to see that a server came or went.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// A balancer on a port of `localhost`. It ends when this is dropped, and when the test process ends in
/// whatever way.
///
/// Each request goes to the next server in turn, whatever connection it came by. A server is asked five times
/// a second for `/readyz` and has requests while it answers 200; a request that could not be delivered goes to
/// another server, one that was delivered does not.
#[derive(Debug)]
pub struct Haproxy {
    service: Service,
    port: u16,
}

impl Haproxy {
    /// A balancer whose address is known and that does not run yet, because servers are told their public
    /// address when they start.
    pub fn new() -> Self {
        Self { service: Service::new("haproxy", Signal::TERM, "TERM"), port: free_port() }
    }

    /// Starts it in front of `servers`; panics with its log when that cannot be done. One that runs is
    /// replaced.
    pub fn start(&mut self, servers: &[SocketAddr]) {
        self.stop();
        let (file, socket) =
            (self.service.directory().join("haproxy.cfg"), self.service.directory().join("socket"));
        std::fs::write(&file, self.configuration(servers)).expect("a configuration file can be written");
        let command = || {
            let mut command = Command::new(tool("haproxy"));
            command.arg("-db").arg("-f").arg(&file);
            command
        };
        let ready = |_: &Child| UnixStream::connect(&socket).is_ok();
        self.service.launch_again(command, ready);
    }

    /// Ends it at once, with everything that is in flight.
    pub fn stop(&mut self) {
        self.service.stop(Signal::TERM);
    }

    /// Where it listens, without a slash at the end: `http://localhost:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    /// `localhost:PORT`.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// What the servers behind it are told: their address, and that it may speak for clients.
    pub(crate) fn environment(&self) -> [(String, String); 2] {
        [
            ("LARDER_SERVER__PUBLIC_URL", self.url()),
            ("LARDER_SERVER__TRUSTED_PROXIES", "127.0.0.1/32,::1/128".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// How many servers have requests at the moment.
    pub fn healthy(&self) -> usize {
        let mut socket = UnixStream::connect(self.service.directory().join("socket"))
            .expect("a balancer that runs can be asked");
        socket.write_all(b"show stat\n").expect("the balancer takes a question");
        let mut table = String::new();
        socket.read_to_string(&mut table).expect("the balancer answers with text");
        // HAProxy, "Management Guide", 9.1: the 18th column is the status, the second the server's name.
        let rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
        rows.filter(|row| row.get(1).is_some_and(|name| name.starts_with("replica")))
            .filter(|row| row.get(17).is_some_and(|status| status.starts_with("UP")))
            .count()
    }

    /// Waits until so many servers have requests; panics with the balancer's log after ten seconds.
    #[track_caller]
    pub fn wait_until_healthy(&self, count: usize) {
        let deadline = Instant::now() + SEEN_WITHIN;
        while self.healthy() != count {
            let healthy = self.healthy();
            assert!(
                Instant::now() < deadline,
                "the balancer sees {healthy} healthy servers, not {count}\n--- its log\n{}",
                self.log()
            );
            std::thread::sleep(process::PAUSE);
        }
    }

    /// What it has logged: a line for each request, and for each server that came or went.
    pub fn log(&self) -> String {
        self.service.log()
    }

    fn configuration(&self, servers: &[SocketAddr]) -> String {
        let Self { port, service } = self;
        let mut text = format!(
            "global
    maxconn 4000
    log stdout format raw local0 info
    stats socket {socket} mode 600 level admin

defaults
    mode http
    log global
    option httplog
    option dontlognull
    # Each request is balanced, and meets a server that may have gone since the one before.
    option http-server-close
    option redispatch 1
    retries 3
    retry-on conn-failure
    option forwardfor
    timeout connect 2s
    # Large blobs take their time; nothing limits the size of a body.
    timeout client 10m
    timeout server 10m
    timeout check 2s

frontend registry
    bind 127.0.0.1:{port}
    {ipv6}
    http-request set-header X-Forwarded-Proto http
    default_backend replicas

backend replicas
    balance roundrobin
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 200ms fall 2 rise 1
",
            socket = service.directory().join("socket").display(),
            // A machine may have no IPv6.
            ipv6 = if std::net::TcpListener::bind("[::1]:0").is_ok() {
                format!("bind [::1]:{port}")
            } else {
                String::new()
            },
        );
        for (number, address) in servers.iter().enumerate() {
            writeln!(text, "    server replica{number} {address}").expect("text takes everything");
        }
        text
    }
}

impl Default for Haproxy {
    fn default() -> Self {
        Self::new()
    }
}
