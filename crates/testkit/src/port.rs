//! Ports for programs that bind them themselves.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::random_bytes;

/// The lowest port that is handed out: below it are the services that a machine may have.
const LOWEST: u16 = 10_000;

/// A port of the loopback interface that was free a moment ago, and that this process has not handed out before.
///
/// The program that it is for binds it itself, so another process may be faster; then it is asked again. The
/// port is not one of those that the system gives to outgoing connections: such a connection could take it
/// while the program is down, even one that is meant for the very program.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_default();
    let end = first_outgoing_port();
    for _ in 0..1000 {
        let random = u16::from_le_bytes(random_bytes(2).try_into().expect("two bytes were asked for"));
        let port = LOWEST + random % (end - LOWEST);
        if !given.contains(&port) && is_free(port) {
            given.insert(port);
            return port;
        }
    }
    panic!("no port between {LOWEST} and {end} of the loopback interface is free");
}

/// The first port that the system gives to outgoing connections (`ip(7)`, `ip_local_port_range`).
fn first_outgoing_port() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|text| text.parse().ok());
    // Where outgoing connections may have every port, there is none to be had beside them.
    first.filter(|first| *first >= LOWEST + 1000).unwrap_or(u16::MAX)
}

/// Whether nobody listens on `port`, by either of the addresses that `localhost` stands for.
fn is_free(port: u16) -> bool {
    let free = |address: SocketAddr| match TcpListener::bind(address) {
        Ok(_) => true,
        // A machine may have no IPv6.
        Err(error) => error.kind() == std::io::ErrorKind::AddrNotAvailable,
    };
    free((Ipv4Addr::LOCALHOST, port).into()) && free((Ipv6Addr::LOCALHOST, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_handed_out_twice() {
        let ports: HashSet<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| *port >= LOWEST));
    }
}
