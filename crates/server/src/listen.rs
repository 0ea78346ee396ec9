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
use crate::tls::{self, TlsError, TlsFiles};
use crate::{Peer, State, observe};

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes of a request that a connection reads ahead; bounds what an upload holds before it is written.
const READ_BUFFER: usize = 128 * 1024;

/// Sockets that are bound but not yet served.
#[derive(Debug)]
pub struct Listeners(Vec<TcpListener>);

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; is another program using it? choose another with --listen")]
pub struct ListenError {
    address: String,
    source: io::Error,
}

impl Listeners {
    /// Binds every address that `address` (`host:port`) stands for: `localhost` is both `127.0.0.1` and
    /// `::1`, and clients try either.
    pub async fn bind(address: &str) -> Result<Self, ListenError> {
        let failed = |source| ListenError { address: address.to_owned(), source };
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
    state: Arc<State>,
    listeners: Listeners,
    tls: Option<TlsFiles>,
    stop: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let acceptor = tls.map(tls::Acceptor::load).transpose()?;
    let graceful = Arc::new(GracefulShutdown::new());
    let ids = Arc::new(RequestIds::new());
    let places = Arc::new(Semaphore::new(state.settings.connections));
    let mut accepting = JoinSet::new();
    for listener in listeners.0 {
        let connections = Connections {
            state: Arc::clone(&state),
            ids: Arc::clone(&ids),
            graceful: Arc::clone(&graceful),
            acceptor: acceptor.clone(),
        };
        let places = Arc::clone(&places);
        accepting.spawn(async move { accept(listener, connections, places).await });
    }
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
    fn serve<S>(&self, stream: S, peer: Peer, place: OwnedSemaphorePermit)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (state, ids) = (Arc::clone(&self.state), Arc::clone(&self.ids));
        let service = service_fn(move |request| {
            let (state, ids) = (Arc::clone(&state), Arc::clone(&ids));
            async move { Ok::<_, std::convert::Infallible>(observe::handle(state, ids, peer, request).await) }
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
