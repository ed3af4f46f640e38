//! How clients prove who they are: passwords (SCRAM, PLAIN), TLS, certificates of their own; made for each cluster.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// The user that clients of a cluster with passwords are.
pub(crate) const USER: &str = "alice";
/// Her password. It is looked for in logs, where it must not be.
pub(crate) const PASSWORD: &str = "alice-s3cr3t";

/// What the listener for clients asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    Plaintext,
    /// SCRAM-SHA-512 or PLAIN, in the clear.
    SaslPlaintext,
    /// The same over TLS.
    SaslSsl,
    /// TLS in which the client shows a certificate, for `CN=alice`.
    MutualTls,
}

impl Security {
    /// Kafka's name of the protocol.
    pub(crate) fn protocol(self) -> &'static str {
        match self {
            Security::Plaintext => "PLAINTEXT",
            Security::SaslPlaintext => "SASL_PLAINTEXT",
            Security::SaslSsl => "SASL_SSL",
            Security::MutualTls => "SSL",
        }
    }

    pub(crate) fn has_passwords(self) -> bool {
        matches!(self, Security::SaslPlaintext | Security::SaslSsl)
    }

    pub(crate) fn has_tls(self) -> bool {
        matches!(self, Security::SaslSsl | Security::MutualTls)
    }

    /// The settings of a broker's listener CLIENT.
    pub(crate) fn broker_settings(self, certificates: Option<&Certificates>) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        let mut set = |key: &str, value: String| settings.push((format!("listener.name.client.{key}"), value));
        if self.has_passwords() {
            let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
            let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
            set("sasl.enabled.mechanisms", "SCRAM-SHA-512,PLAIN".to_owned());
            set("scram-sha-512.sasl.jaas.config", scram.to_owned());
            set("plain.sasl.jaas.config", format!("{plain} user_{USER}=\"{PASSWORD}\";"));
        }
        if let Some(certificates) = certificates.filter(|_| self.has_tls()) {
            set("ssl.keystore.type", "PEM".to_owned());
            set("ssl.keystore.location", certificates.broker.display().to_string());
            set("ssl.truststore.type", "PEM".to_owned());
            set("ssl.truststore.location", certificates.authority.display().to_string());
            set("ssl.client.auth", if self == Security::MutualTls { "required" } else { "none" }.to_owned());
            set("ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/".to_owned());
        }
        settings
    }

    /// The settings with which a client of librdkafka is let in, as [`USER`].
    pub(crate) fn client_settings(self, certificates: Option<&Certificates>) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        let mut set = |key: &str, value: &str| settings.push((key.to_owned(), value.to_owned()));
        if self != Security::Plaintext {
            set("security.protocol", self.protocol());
        }
        if self.has_passwords() {
            set("sasl.mechanism", "SCRAM-SHA-512");
            set("sasl.username", USER);
            set("sasl.password", PASSWORD);
        }
        if let Some(certificates) = certificates.filter(|_| self.has_tls()) {
            set("ssl.ca.location", certificates.authority.to_str().unwrap());
            if self == Security::MutualTls {
                set("ssl.certificate.location", certificates.client.to_str().unwrap());
                set("ssl.key.location", certificates.client_key.to_str().unwrap());
            }
        }
        settings
    }
}

/// Certificates of a cluster, in PEM files.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// Whom both sides trust.
    pub(crate) authority: PathBuf,
    /// A broker's key and certificate, for 127.0.0.1 and localhost.
    pub(crate) broker: PathBuf,
    /// The certificate of the client `CN=alice`.
    pub(crate) client: PathBuf,
    pub(crate) client_key: PathBuf,
}

impl Certificates {
    /// Makes an authority and what it signs, in `directory`.
    pub(crate) fn make(directory: &Path) -> Certificates {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().unwrap();
        let authority = parameters.self_signed(&key).unwrap();
        let issuer = Issuer::from_params(&parameters, &key);

        let (broker, broker_key) = signed("broker", &["localhost", "127.0.0.1"], &issuer);
        let (client, client_key) = signed(USER, &[], &issuer);
        let write = |name: &str, text: String| {
            let path = directory.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        Certificates {
            authority: write("authority.pem", authority.pem()),
            broker: write("broker.pem", broker_key + &broker),
            client: write("client.pem", client),
            client_key: write("client.key", client_key),
        }
    }
}

/// A certificate for `name`, and its key.
fn signed(name: &str, addresses: &[&str], issuer: &Issuer<'_, &KeyPair>) -> (String, String) {
    let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
    let mut parameters = CertificateParams::new(addresses).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}
