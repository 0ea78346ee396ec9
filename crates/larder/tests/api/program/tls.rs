//! TLS from a certificate and a key file.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use testkit::{Api, Background, run};

use super::{Place, free_address};

/// A certificate for `localhost`, its key in PEM, and the files in `place` that hold them.
fn certificate(place: &Place, name: &str) -> (CertificateDer<'static>, [String; 2]) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate can be made");
    let files = [
        place.write(&format!("{name}.crt"), &cert.pem()),
        place.write(&format!("{name}.key"), &signing_key.serialize_pem()),
    ];
    (cert.der().clone(), files)
}

/// One request over TLS, with a server that has this certificate.
fn ask(address: &str, trusted: &CertificateDer<'static>, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("the certificate can be trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection can be made");
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = StreamOwned::new(connection, stream);
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn with_a_certificate_the_server_speaks_tls_and_says_so_in_its_challenge() {
    let (place, address) = (Place::new(), free_address());
    let (trusted, [certificate_file, key_file]) = certificate(&place, "server");
    let (stranger, _) = certificate(&place, "other");
    let mut command = place.command(&["serve", "--listen", &address]);
    command.env("LARDER_SERVER__TLS_CERTIFICATE", certificate_file).env("LARDER_SERVER__TLS_KEY", key_file);
    let operations = free_address();
    command.env("LARDER_SERVER__OPERATIONS_LISTEN", &operations);
    let mut server = Background::start(&mut command);
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    server.until(|_| {
        ask(&address, &trusted, &request("/readyz")).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    let answer = ask(&address, &trusted, &request("/v2/")).expect("the server answers");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains(&format!("realm=\"https://{address}/token\"")), "{answer}");
    // Who does not trust the certificate hears nothing, and neither does who speaks without TLS.
    let error = ask(&address, &stranger, &request("/v2/")).expect_err("another certificate must not do");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    let mut plain = TcpStream::connect(&address).expect("the server accepts connections");
    plain.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit can be set");
    plain.write_all(request("/v2/").as_bytes()).expect("the server takes bytes");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    // Operators are asked for no certificate: they listen where nobody else is.
    Api::new(format!("http://{operations}"), "nobody", "nothing").as_nobody().get("/metrics").expect(&[200]);
    // And the next one is served as before.
    ask(&address, &trusted, &request("/healthz")).expect("the server answers");
    server.terminate();
    assert!(server.wait(Duration::from_secs(10)).is_some_and(|status| status.success()), "{server}");
}

#[test]
fn a_certificate_or_key_that_cannot_be_used_is_named() {
    let place = Place::new();
    let (_, [certificate_file, key_file]) = certificate(&place, "server");
    let (_, [_, other_key]) = certificate(&place, "other");
    let nonsense = place.write("nonsense.pem", "this is no PEM\n");
    for (certificate_file, key_file, texts) in [
        ("absent.crt", key_file.as_str(), ["certificate", "absent.crt"]),
        (&certificate_file, "absent.key", ["key", "absent.key"]),
        (&nonsense, &key_file, ["certificate", "nonsense.pem"]),
        (&certificate_file, &nonsense, ["key", "nonsense.pem"]),
        (&certificate_file, &other_key, ["certificate", "do not go together"]),
    ] {
        let mut command = place.command(&["serve", "--listen", &free_address()]);
        command
            .env("LARDER_SERVER__TLS_CERTIFICATE", certificate_file)
            .env("LARDER_SERVER__TLS_KEY", key_file);
        run(&mut command).failure().says(texts[0]).says(texts[1]);
    }
}
