//! TLS from a certificate and a key file, read anew when they change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Where the certificate chain and its private key are, both in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The certificate or the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as what it should hold.
    #[error("cannot read {what} from {path}: {reason}; it has to be a PEM file")]
    File {
        /// Certificate or key.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// They do not go together.
    #[error("the certificate and the key do not go together: {0}")]
    Mismatch(#[source] rustls::Error),
}

#[derive(Clone)]
pub(crate) struct Acceptor(Arc<Inner>);

struct Inner {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl Acceptor {
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let current = Current { acceptor: load(&files)?, modified: modified(&files), looked: Instant::now() };
        Ok(Self(Arc::new(Inner { files, current: Mutex::new(current) })))
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = self.current();
        acceptor.accept(stream).await
    }

    /// A renewed certificate takes effect without a restart; a broken one leaves the old in use.
    fn current(&self) -> TlsAcceptor {
        let mut current = self.0.current.lock();
        if current.looked.elapsed() >= LOOK_EVERY {
            current.looked = Instant::now();
            let now = modified(&self.0.files);
            if now != current.modified {
                match load(&self.0.files) {
                    Ok(acceptor) => {
                        tracing::info!("the TLS certificate was renewed");
                        current.acceptor = acceptor;
                        current.modified = now;
                    }
                    Err(error) => tracing::error!(%error, "the new TLS certificate is not used"),
                }
            }
        }
        current.acceptor.clone()
    }
}

fn modified(files: &TlsFiles) -> Option<SystemTime> {
    let of = |path: &Path| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    of(&files.certificate).max(of(&files.key))
}

fn load(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let unreadable =
        |what, path: &PathBuf, reason: String| TlsError::File { what, path: path.clone(), reason };
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable("the certificate", &files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("the certificate", &files.certificate, "it holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable("the key", &files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
