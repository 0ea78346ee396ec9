//! A proxy that goes wrong on command: in front of an object store it fails single requests, in front of a
//! database it cuts, refuses and stalls connections.
//!
//! What it does by chance comes from a seed; which request meets which throw depends on the order in which they
//! arrive, so only a sequence of requests is repeated exactly.

mod connection;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::port::free_port;

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is taken in and goes nowhere; the answer has this status and, as S3's errors have, this
    /// code in a body of XML: `(500, "InternalError")`, `(503, "SlowDown")`, `(403, "RequestTimeTooSkewed")`.
    Answer(u16, &'static str),
    /// The connection is reset as soon as the head of the request is there; nothing is passed on.
    ResetBeforeBody,
    /// Half of the body is passed on, then both connections are reset.
    ResetDuringBody,
    /// The server behind does what it was asked, and its answer is lost: the connection is reset instead.
    ResetAfterBody,
    /// The answer is as it should be, its `Content-Length` too, but it ends after so many bytes of the body,
    /// at the latest one byte before its end.
    Truncate(u64),
    /// The request waits so long before it is passed on.
    Delay(Duration),
    /// No answer, ever: until the client gives up, or the connections are cut.
    Stall,
}

/// Which requests a fault happens to.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    method: Option<&'static str>,
    path: Option<String>,
    chance: f64,
    times: u64,
}

impl Rule {
    /// `fault` for every request.
    pub fn new(fault: Fault) -> Self {
        Self { fault, method: None, path: None, chance: 1.0, times: u64::MAX }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Only requests whose path and query contain this text.
    #[must_use]
    pub fn path(mut self, text: &str) -> Self {
        self.path = Some(text.to_owned());
        self
    }

    /// Only so many of them, by chance: 0.0 is none, 1.0 is all.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = chance;
        self
    }

    /// Only the first so many of them.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    fn is_about(&self, method: &str, path: &str) -> bool {
        self.times > 0
            && self.method.is_none_or(|wanted| wanted == method)
            && self.path.as_ref().is_none_or(|text| path.contains(text))
    }
}

/// A proxy on a port of its own in front of one server. It ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    /// Absent while connections are refused.
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// A proxy that knows HTTP/1.1, with faults for single requests. Each request gets a connection of its own,
    /// and the client is told so.
    pub fn http(upstream: SocketAddr, seed: u64) -> Self {
        Self::new(upstream, Protocol::Http, seed)
    }

    /// A proxy that passes bytes on, whatever they mean.
    pub fn tcp(upstream: SocketAddr) -> Self {
        Self::new(upstream, Protocol::Bytes, 0)
    }

    fn new(upstream: SocketAddr, protocol: Protocol, seed: u64) -> Self {
        let state = State { dice: seed, ..State::default() };
        let shared =
            Arc::new(Shared { upstream, protocol, state: Mutex::new(state), changed: Condvar::new() });
        let (port, listener) = std::iter::repeat_with(free_port)
            .take(10)
            .find_map(|port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?)))
            .expect("one of ten free ports can be bound");
        let listening = Mutex::new(Some(listen(listener, Arc::clone(&shared))));
        Self { port, shared, listening }
    }

    /// The port of 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// From now on, requests may meet this fault too. The first rule that is about a request, and whose chance
    /// comes up, decides.
    pub fn add(&self, rule: Rule) {
        assert_eq!(self.shared.protocol, Protocol::Http, "only a proxy that knows HTTP knows requests");
        self.shared.state().rules.push(rule);
    }

    /// No request meets a fault any more.
    pub fn clear(&self) {
        self.shared.state().rules.clear();
    }

    /// How many requests have come, in a proxy that knows HTTP.
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }

    /// How many of them have met a fault.
    pub fn faults(&self) -> u64 {
        self.shared.state().faults
    }

    /// How many connections there are now.
    pub fn connections(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Resets every connection that there is. New ones are welcome.
    pub fn cut(&self) {
        for connection in self.shared.state().connections.values() {
            connection.cut.store(true, Ordering::SeqCst);
            connection.ends.iter().for_each(connection::reset);
        }
        self.shared.changed.notify_all();
    }

    /// Refuses new connections, as a machine does where nobody listens. Those that there are go on.
    pub fn refuse(&self) {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = listening {
            self.shared.state().refuses = true;
            // Whoever waits for a connection looks up only when there is one.
            let _ = TcpStream::connect(self.address());
            thread.join().expect("the thread that accepts connections does not panic");
        }
    }

    /// Passes nothing on in either direction, as a network does that swallows packets: connections stay open.
    pub fn stall(&self) {
        self.shared.state().stalls = true;
    }

    /// The server behind is gone, as far as anybody can tell: connections are reset, new ones refused.
    pub fn outage(&self) {
        self.refuse();
        self.cut();
    }

    /// Everything is well again: no rules, nothing stalls, connections are accepted.
    pub fn heal(&self) {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.shared.state();
        state.rules.clear();
        state.stalls = false;
        state.refuses = false;
        drop(state);
        self.shared.changed.notify_all();
        if listening.is_none() {
            let listener =
                TcpListener::bind(self.address()).expect("a port that was just ours can be bound again");
            *listening = Some(listen(listener, Arc::clone(&self.shared)));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.outage();
    }
}

/// Accepts connections until they are to be refused.
fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for client in listener.incoming() {
            if shared.state().refuses {
                return;
            }
            // A client that has gone already, or no file handle left for it: the next may have more luck.
            let Ok(client) = client else { continue };
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || connection::serve(&shared, &client));
        }
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http,
    Bytes,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    protocol: Protocol,
    state: Mutex<State>,
    /// Wakes those that stall.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    dice: u64,
    requests: u64,
    faults: u64,
    stalls: bool,
    refuses: bool,
    connections: HashMap<u64, Connection>,
    /// The number of the next connection.
    next: u64,
}

/// A client's connection and the one that it leads to, where that is there already.
#[derive(Debug)]
struct Connection {
    ends: Vec<TcpStream>,
    cut: Arc<AtomicBool>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as everything stalls, and the connection that waits is not cut.
    fn wait_while_stalled(&self, cut: &AtomicBool) {
        let stalled = |state: &mut State| state.stalls && !cut.load(Ordering::SeqCst);
        drop(self.changed.wait_while(self.state(), stalled));
    }
}

impl State {
    /// The fault that a request meets.
    fn fault(&mut self, method: &str, path: &str) -> Option<Fault> {
        self.requests += 1;
        let mut dice = self.dice;
        let rule =
            self.rules.iter_mut().find(|rule| rule.is_about(method, path) && throw(&mut dice) < rule.chance);
        let fault = rule.map(|rule| {
            rule.times -= 1;
            rule.fault
        });
        self.dice = dice;
        self.faults += u64::from(fault.is_some());
        fault
    }
}

/// A number from 0 to below 1 (Steele and others, "Fast splittable pseudorandom number generators", 2014).
fn throw(dice: &mut u64) -> f64 {
    *dice = dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *dice;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    let high = u32::try_from(mixed >> 32).expect("32 bits are left");
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}
