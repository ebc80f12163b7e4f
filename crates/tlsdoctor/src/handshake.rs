//! A whole handshake, to see the certificates of TLS 1.3 and to ask for something.
//!
//! rustls carries it and judges nothing: every certificate and every signature is taken, because the
//! verdict is [`crate::verify`]'s. What is sent over such a connection must therefore be no secret.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::connect::{Connection, NetworkFault};
use crate::hello::{cipher_name, group, version};
use crate::report::Handshake;

/// A connection whose handshake is done.
pub(crate) struct Session {
    pub(crate) stream: TlsStream<Connection>,
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) facts: Handshake,
}

/// A handshake that failed, with what was seen until then.
#[derive(Clone, Debug)]
pub(crate) struct HandshakeFault {
    pub(crate) kind: FaultKind,
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) asks_for_certificate: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Alert(u8),
    Network(NetworkFault),
    Closed,
    Silent,
    Empty,
    /// What rustls cannot do or does not understand.
    Tls(String),
}

/// Which groups are offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    /// As Go does: post-quantum ones first.
    OfGo,
    /// Only those whose hello fits into one segment.
    Small,
}

/// Takes everything and keeps it.
#[derive(Debug, Default)]
struct Witness {
    sent: Mutex<Vec<Vec<u8>>>,
    asks_for_certificate: AtomicBool,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        *self.sent.lock() = all.map(|der| der.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// Go's list, in its order.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::RSA_PKCS1_SHA1,
            SignatureScheme::ECDSA_SHA1_Legacy,
        ]
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.asks_for_certificate.store(true, Ordering::Relaxed);
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Only protocols that Go's HTTP client offers, and no session is ever resumed.
fn config(
    witness: &Arc<Witness>,
    protocols: &[&str],
    groups: Groups,
) -> Result<ClientConfig, rustls::Error> {
    let mut provider = provider::default_provider();
    provider.kx_groups = vec![
        provider::kx_group::X25519MLKEM768,
        provider::kx_group::SECP256R1MLKEM768,
        provider::kx_group::X25519,
        provider::kx_group::SECP256R1,
        provider::kx_group::SECP384R1,
    ];
    if groups == Groups::Small {
        provider.kx_groups.drain(..2);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(witness.clone())
        .with_client_cert_resolver(witness.clone());
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// One handshake with this server name.
pub(crate) async fn shake(
    connection: Connection,
    host: &str,
    protocols: &[&str],
    groups: Groups,
    time: Duration,
) -> Result<Session, HandshakeFault> {
    let witness = Arc::new(Witness::default());
    let outcome = match prepare(&witness, host, protocols, groups) {
        Err(text) => Err(FaultKind::Tls(text)),
        Ok((connector, name)) => match timeout(time, connector.connect(name, connection)).await {
            Err(_) => Err(FaultKind::Silent),
            Ok(Err(error)) => Err(fault_kind(&error)),
            Ok(Ok(stream)) => Ok(stream),
        },
    };
    let sent = std::mem::take(&mut *witness.sent.lock());
    let asks_for_certificate = witness.asks_for_certificate.load(Ordering::Relaxed);
    match outcome {
        Ok(stream) => {
            let facts = facts(&stream, asks_for_certificate);
            Ok(Session {
                stream,
                sent,
                facts,
            })
        }
        Err(kind) => Err(HandshakeFault {
            kind,
            sent,
            asks_for_certificate,
        }),
    }
}

/// TLS to a forward proxy: only its answer to CONNECT is of interest here.
pub(crate) async fn plain_tls(connection: Connection, host: &str) -> Result<Connection, String> {
    let witness = Arc::new(Witness::default());
    let (connector, name) = prepare(&witness, host, &[], Groups::Small)?;
    match connector.connect(name, connection).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(error.to_string()),
    }
}

fn prepare(
    witness: &Arc<Witness>,
    host: &str,
    protocols: &[&str],
    groups: Groups,
) -> Result<(TlsConnector, ServerName<'static>), String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let config = config(witness, protocols, groups).map_err(|error| error.to_string())?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

fn facts(stream: &TlsStream<Connection>, asks_for_certificate: bool) -> Handshake {
    let (_, connection) = stream.get_ref();
    let suite = connection.negotiated_cipher_suite();
    let agreed = connection.negotiated_key_exchange_group();
    Handshake {
        version: connection
            .protocol_version()
            .map(|it| version::name(u16::from(it)))
            .unwrap_or_default(),
        cipher: suite
            .map(|it| cipher_name(u16::from(it.suite())))
            .unwrap_or_default(),
        group: agreed.map(|it| group::name(u16::from(it.name()))),
        alpn: connection
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        asks_for_certificate,
    }
}

/// What an error of the connection means, in a handshake or after one.
pub(crate) fn fault_kind(error: &io::Error) -> FaultKind {
    let inner = error.get_ref().and_then(|it| it.downcast_ref());
    match inner {
        Some(rustls::Error::AlertReceived(alert)) => FaultKind::Alert(u8::from(*alert)),
        Some(rustls::Error::NoCertificatesPresented) => FaultKind::Empty,
        Some(other) => FaultKind::Tls(other.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => FaultKind::Closed,
        None => FaultKind::Network(NetworkFault::of(error)),
    }
}
