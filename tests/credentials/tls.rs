//! One more server over what others keep, which speaks TLS under whatever name it is given.

use std::net::TcpStream;
use std::process::Command;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use testkit::bucket::Bucket;
use testkit::postgres::Database;
use testkit::{Background, Sandbox, TEST_SEALING_KEY, free_port};

/// The server. It ends when this is dropped.
pub(crate) struct TlsServer {
    pub(crate) port: u16,
    /// The path of the certificate, which nobody trusts without being told.
    pub(crate) certificate: String,
    _server: Background,
}

impl TlsServer {
    /// Starts one that has a certificate for `name`, keeps its files in `home`, and asks this issuer for its keys.
    pub(crate) fn start(
        home: &Sandbox,
        name: &str,
        (database, bucket): (&Database, &Bucket),
        issuer: &str,
    ) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed([name.to_owned()]).expect("a certificate can be made");
        let certificate = home.write("server.crt", cert.pem());
        let key = home.write("server.key", signing_key.serialize_pem());
        let port = free_port();
        let address = format!("localhost:{port}");
        let mut serve = Command::new(env!("CARGO_BIN_EXE_larder"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["LARDER_", "AWS_", "PG"].iter().any(|prefix| text.starts_with(prefix)) {
                serve.env_remove(name);
            }
        }
        serve
            .args(["serve", "--listen", &address, "--data-dir", &home.file("data")])
            .env("LARDER_SERVER__TLS_CERTIFICATE", &certificate)
            .env("LARDER_SERVER__TLS_KEY", key)
            .env("LARDER_DATABASE__URL", database.url())
            .env("LARDER_STORAGE__URL", bucket.url())
            .envs(bucket.env())
            .env("LARDER_AUTH__SEALING_KEY", TEST_SEALING_KEY)
            .env("LARDER_AUTH__INTERNAL_ISSUERS", issuer);
        let mut server = Background::start(&mut serve);
        server.until(|_| TcpStream::connect(&address).is_ok());
        Self { port, certificate, _server: server }
    }
}
