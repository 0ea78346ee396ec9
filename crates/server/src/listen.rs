//! The accept loop: connections, TLS, time limits, and an orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::context::RequestIds;
use crate::tls::{self, TlsError};
use crate::{Entrances, Peer, State, Surfaces, observe};

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of a request that a connection reads ahead; bounds what an upload holds before it is written.
const READ_BUFFER: usize = 128 * 1024;
/// Connections of operators that are served at once. They are counted apart, so that the metrics are there to be read
/// while the public listener is full.
const OPERATORS: usize = 100;

/// Sockets that are bound but not yet served.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; is another program using it? choose another with {setting}")]
pub struct ListenError {
    address: String,
    setting: &'static str,
    source: io::Error,
}

impl Listeners {
    /// Binds every address that `address` (`host:port`) stands for: `localhost` is both `127.0.0.1` and
    /// `::1`, and clients try either. `setting` is what the address was set with.
    pub async fn bind(address: &str, setting: &'static str) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address: address.to_owned(), setting, source };
        let mut bound = Vec::new();
        let mut refused = None;
        let mut seen = Vec::new();
        for resolved in lookup_host(address).await.map_err(failed)? {
            if seen.contains(&resolved) {
                continue;
            }
            seen.push(resolved);
            match TcpListener::bind(resolved).await {
                Ok(listener) => bound.push(listener),
                // A machine may resolve a name to IPv6 and have none.
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => refused = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        if bound.is_empty() {
            let none = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(failed(refused.unwrap_or_else(none)));
        }
        Ok(Self(bound))
    }

    /// The addresses that are bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

pub(crate) async fn serve(
    state: &Arc<State>,
    entrances: Entrances,
    stop: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let Entrances { public, tls, operations } = entrances;
    let graceful = Arc::new(GracefulShutdown::new());
    let mut accepting = JoinSet::new();
    let everybody = Connections {
        state: Arc::clone(state),
        surfaces: Surfaces::public(state, operations.is_none()),
        ids: Arc::new(RequestIds::new()),
        graceful: Arc::clone(&graceful),
        acceptor: tls.map(tls::Acceptor::load).transpose()?,
    };
    if let Some(operations) = operations {
        let surfaces = Surfaces::operations(state);
        let operators = Connections { surfaces, acceptor: None, ..everybody.clone() };
        operators.accept_at(operations, OPERATORS, &mut accepting);
    }
    everybody.accept_at(public, state.settings.connections, &mut accepting);
    drop(everybody);
    stop.await;
    // Dropping the accept loops closes the sockets: new connections go to another replica, or are refused.
    accepting.shutdown().await;
    let drain = state.settings.drain_timeout;
    // The accept loops held the other references.
    if let Ok(graceful) = Arc::try_unwrap(graceful)
        && tokio::time::timeout(drain, graceful.shutdown()).await.is_err()
    {
        tracing::warn!(drain_secs = drain.as_secs(), "requests still under way were cut off");
    }
    Ok(())
}

#[derive(Clone)]
struct Connections {
    state: Arc<State>,
    surfaces: Surfaces,
    ids: Arc<RequestIds>,
    graceful: Arc<GracefulShutdown>,
    acceptor: Option<tls::Acceptor>,
}

async fn accept(listener: TcpListener, connections: Connections, places: Arc<Semaphore>) {
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Forgets those that have ended.
            Some(_) = handshakes.join_next(), if !handshakes.is_empty() => continue,
        };
        match accepted {
            Ok((stream, address)) => {
                let _ = stream.set_nodelay(true);
                if connections.acceptor.is_some() {
                    handshakes.spawn(handshake(connections.clone(), stream, address, place));
                } else {
                    connections.serve(stream, Peer { address, secure: false }, place);
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: waiting lets connections end.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn handshake(
    connections: Connections,
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    let Some(acceptor) = &connections.acceptor else { return };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => connections.serve(stream, Peer { address, secure: true }, place),
        Ok(Err(error)) => tracing::debug!(%error, client = %address, "a TLS handshake failed"),
        Err(_) => tracing::debug!(client = %address, "a TLS handshake took too long"),
    }
}

impl Connections {
    /// Accepts connections at these sockets, of which at most so many are served at once.
    fn accept_at(&self, listeners: Listeners, most: usize, accepting: &mut JoinSet<()>) {
        let places = Arc::new(Semaphore::new(most));
        for listener in listeners.0 {
            accepting.spawn(accept(listener, self.clone(), Arc::clone(&places)));
        }
    }

    fn serve<S>(&self, stream: S, peer: Peer, place: OwnedSemaphorePermit)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (state, ids) = (Arc::clone(&self.state), Arc::clone(&self.ids));
        let surfaces = self.surfaces.clone();
        let service = service_fn(move |request| {
            let (state, ids, surfaces) = (Arc::clone(&state), Arc::clone(&ids), surfaces.clone());
            async move {
                let response = observe::handle(state, &surfaces, ids, peer, request).await;
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.state.settings.head_timeout)
            .max_buf_size(READ_BUFFER)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        let state = Arc::clone(&self.state);
        state.metrics.connections.inc();
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, client = %peer.address, "a connection ended in an error");
            }
            state.metrics.connections.dec();
            drop(place);
        });
    }
}
