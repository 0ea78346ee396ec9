//! From a URL to a connection.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that is not for the pool may take until it can be used.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// What to look at when nothing says what is wrong.
const ADVICE: &str = "check the host and port in database.url and that the server runs";
/// How long the kernel keeps trying on a connection whose other end is silent.
const SILENCE: Duration = Duration::from_secs(15);

/// Where to connect, and how.
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: MakeRustlsConnect,
    /// Host and database, for messages; never a password.
    pub(super) place: String,
}

impl Target {
    /// Reads a URL as libpq has it (PostgreSQL manual, "Connection URIs").
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let (url, trust) = split_trust(url)?;
        let mut config: tokio_postgres::Config =
            url.parse().map_err(|error: tokio_postgres::Error| invalid(&root_of(&error)))?;
        let place = place(&config);
        if config.get_hosts().is_empty() {
            return Err(invalid("it names no host"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        config.keepalives_idle(SILENCE);
        let tls = MakeRustlsConnect::new(tls_config(config.get_ssl_mode(), trust.as_deref())?);
        Ok(Self { config, tls, place })
    }

    /// One connection outside the pool.
    pub(super) async fn connect(&self) -> Result<tokio_postgres::Client, Error> {
        let failed = |reason| Error::Connect { place: self.place.clone(), reason };
        // The driver limits how long it waits for a connection, and not how long for the first answer over it.
        let (client, connection) =
            tokio::time::timeout(ANSWER_TIMEOUT, self.config.connect(self.tls.clone()))
                .await
                .map_err(|_| failed(format!("no answer within {} s; {ADVICE}", ANSWER_TIMEOUT.as_secs())))?
                .map_err(|error| failed(reason_of(&error)))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Ok(client)
    }
}

fn invalid(reason: &str) -> Error {
    Error::InvalidUrl { reason: reason.to_owned() }
}

/// What a failed connection means for whoever set the URL.
fn reason_of(error: &tokio_postgres::Error) -> String {
    use tokio_postgres::error::SqlState;
    let said = root_of(error);
    let advice = match error.code() {
        Some(&SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION) => {
            "check the user name and the password in database.url"
        }
        Some(&SqlState::INVALID_CATALOG_NAME) => "create the database, or correct its name in database.url",
        Some(&SqlState::TOO_MANY_CONNECTIONS) => {
            "raise the server's max_connections or lower database.connections"
        }
        _ => ADVICE,
    };
    format!("{said}; {advice}")
}

/// The innermost message, which is the one that says something.
fn root_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

fn place(config: &tokio_postgres::Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => String::new(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or_default();
    format!("{host}:{port}/{}", config.get_dbname().unwrap_or(user))
}

/// Takes out of the URL what the driver does not read: `sslrootcert`, and the modes of `sslmode` that ask for
/// what is done here anyway whenever encryption is required.
fn split_trust(url: &str) -> Result<(String, Option<String>), Error> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid("it does not begin with postgres://"));
    }
    let Some((address, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let mut trust = None;
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("sslrootcert", path) => trust = Some(path.to_owned()),
            ("sslmode", "verify-full" | "verify-ca") => {
                kept.append_pair("sslmode", "require");
            }
            _ => {
                kept.append_pair(&name, &value);
            }
        }
    }
    // The driver decodes percent signs but takes a plus sign for itself.
    let kept = kept.finish().replace('+', "%20");
    let url = if kept.is_empty() { address.to_owned() } else { format!("{address}?{kept}") };
    Ok((url, trust))
}

fn tls_config(mode: SslMode, trust: Option<&str>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Driver(Box::new(error)))?;
    if mode != SslMode::Require && trust.is_none() {
        // `prefer` encrypts against listeners if the server happens to offer it, and promises nothing.
        let any = Arc::new(Unverified(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(any).with_no_client_auth());
    }
    let mut roots = rustls::RootCertStore::empty();
    match trust {
        Some(path) => {
            let unreadable = |error: &dyn std::fmt::Display| {
                invalid(&format!("its sslrootcert {path} cannot be read: {error}"))
            };
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // A certificate that the system trusts and this library cannot read vouches for nothing here.
                let _ = roots.add(certificate);
            }
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Takes any certificate, as `sslmode=prefer` does everywhere.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_tells_where_without_its_password() {
        let target = Target::parse("postgres://larder:s3cret@db.example.org:6432/registry").unwrap();
        assert_eq!(target.place, "db.example.org:6432/registry");
        let target = Target::parse("postgresql://larder@localhost").unwrap();
        assert_eq!(target.place, "localhost:5432/larder");
    }

    #[test]
    fn what_is_not_a_url_is_named() {
        for (url, says) in [
            ("mysql://localhost/x", "postgres://"),
            ("postgres:///x", "no host"),
            ("postgres://h/x?sslmode=perhaps", "sslmode"),
            ("postgres://h/x?colour=red", "colour"),
            ("postgres://h/x?sslrootcert=/does/not/exist", "/does/not/exist"),
        ] {
            let error = Target::parse(url).err().expect(url).to_string();
            assert!(error.contains(says), "{url}: {error}");
        }
    }

    #[test]
    fn verifying_modes_are_required_encryption() {
        for mode in ["require", "verify-ca", "verify-full"] {
            let target = Target::parse(&format!("postgres://h/x?sslmode={mode}")).unwrap();
            assert_eq!(target.config.get_ssl_mode(), SslMode::Require, "{mode}");
        }
        let (url, _) = split_trust("postgres://h/x?options=-c%20a%3Db&sslmode=disable").unwrap();
        assert_eq!(url, "postgres://h/x?options=-c%20a%3Db&sslmode=disable");
    }
}
