//! Registries behind TLS: whom the client trusts, and by what the registry knows it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::super::{RegistryClient, RegistryError, RegistrySettings};
use super::settings;

/// An authority, and a server that takes only clients with a certificate of it.
struct Guarded {
    url: String,
    /// Holds `ca.pem`, `client.pem` and `client.key`.
    directory: tempfile::TempDir,
}

type Signed = (CertificateDer<'static>, String, KeyPair);

fn signed(issuer: &Issuer<'_, &KeyPair>) -> Signed {
    let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, issuer).unwrap();
    (certificate.der().clone(), certificate.pem(), key)
}

impl Guarded {
    fn start() -> Guarded {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = parameters.self_signed(&key).unwrap();
        let issuer = Issuer::from_params(&parameters, &key);
        let ((server, _, server_key), (_, client, client_key)) = (signed(&issuer), signed(&issuer));

        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(directory.path().join(name), text).unwrap();
        write("ca.pem", authority.pem());
        write("client.pem", client);
        write("client.key", client_key.serialize_pem());

        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(verifier);
        let key = PrivateKeyDer::Pkcs8(server_key.serialize_der().into());
        let config = Arc::new(config.with_single_cert(vec![server], key).unwrap());

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        // It ends with the process: nobody waits for it.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                answer(StreamOwned::new(connection, stream.unwrap()));
            }
        });
        Guarded { url, directory }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }

    fn ask(&self, settings: RegistrySettings) -> Result<(), RegistryError> {
        RegistryClient::new(&settings)?.by_id(1).map(drop)
    }
}

/// Answers one request; who is not let in gets none.
fn answer(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&buffer[..count]),
        }
    }
    let body = r#"{"schema": "\"int\""}"#;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _written = stream.write_all((head + body).as_bytes());
    stream.conn.send_close_notify();
    let _flushed = stream.flush();
}

#[test]
fn only_who_is_vouched_for_is_trusted_and_known() {
    let guarded = Guarded::start();
    let known = RegistrySettings {
        ca_file: guarded.path("ca.pem"),
        certificate_file: guarded.path("client.pem"),
        key_file: guarded.path("client.key"),
        attempts: 1,
        ..settings(&[&guarded.url])
    };
    guarded.ask(known.clone()).unwrap();
    let nobody = RegistrySettings { certificate_file: None, key_file: None, ..known.clone() };
    assert!(matches!(guarded.ask(nobody).unwrap_err(), RegistryError::Away(_)));
    let other = Guarded::start();
    let error = guarded.ask(RegistrySettings { ca_file: other.path("ca.pem"), ..known.clone() }).unwrap_err();
    assert!(matches!(&error, RegistryError::Away(detail) if detail.contains("certificate")), "{error}");
    let swapped = RegistrySettings { key_file: Some(Path::new("/no/such.key").to_owned()), ..known };
    let error = guarded.ask(swapped).unwrap_err().to_string();
    assert!(error.contains("`schema_registry.key_file`: /no/such.key"), "{error}");
}
