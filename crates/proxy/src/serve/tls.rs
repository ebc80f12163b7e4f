//! The server's certificate: read at start, read again when its files change.
//!
//! Connections that exist keep the certificate they were opened with, so a renewal drops nobody.
//! Files are polled, not watched: a poll sees the symbolic-link swaps of container platforms too.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(1);

/// HTTP/2 over TLS, as the handshake names it (RFC 9113, section 3.2).
const HTTP_2: &[u8] = b"h2";

/// The files of `--tls-cert` and `--tls-key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why a certificate can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("can't read `{path}`: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The two don't fit, or the key is of no known kind.
    #[error(
        "the certificate in `{certificate}` and the key in `{key}` can't be used together: {reason}"
    )]
    Unusable {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The certificate in use.
#[derive(Debug)]
pub(super) struct CurrentCertificate {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
}

impl CurrentCertificate {
    pub(super) fn read(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from(read(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    pub(super) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Reads the files again whenever they change, for ever. A bad pair is reported and the good
    /// one stays: a renewal writes two files, and between them they don't fit.
    pub(super) async fn follow_files(self: Arc<Self>) {
        let mut seen = stamp(&self.files).await;
        loop {
            tokio::time::sleep(POLL).await;
            let now = stamp(&self.files).await;
            if now == seen {
                continue;
            }
            let files = self.files.clone();
            match tokio::task::spawn_blocking(move || read(&files)).await {
                Ok(Ok(certified)) => {
                    self.current.store(certified);
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate was renewed");
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the changed certificate can't be used; the one before stays");
                }
                Err(died) => tracing::warn!(%died, "reading the certificate failed"),
            }
            seen = now;
        }
    }
}

/// True where client and server agreed on HTTP/2 in the handshake (RFC 7301).
pub(super) fn is_http2<S>(stream: &tokio_rustls::server::TlsStream<S>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP_2)
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<Arc<CertifiedKey>, TlsError> {
    let unreadable = |path: &Path, reason: String| TlsError::Unreadable {
        path: path.into(),
        reason,
    };
    let pem = fs_err::read(&files.certificate)
        .map_err(|error| unreadable(&files.certificate, error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable(
            &files.certificate,
            "it holds no PEM certificate".into(),
        ));
    }
    let pem =
        fs_err::read(&files.key).map_err(|error| unreadable(&files.key, error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| unreadable(&files.key, format!("it holds no PEM private key: {error}")))?;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    CertifiedKey::from_der(chain, key, &provider)
        .map(Arc::new)
        .map_err(|error| TlsError::Unusable {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
            reason: error.to_string(),
        })
}

type Stamp = [Option<(SystemTime, u64)>; 2];

async fn stamp(files: &TlsFiles) -> Stamp {
    let files = files.clone();
    let stamp = tokio::task::spawn_blocking(move || {
        [&files.certificate, &files.key].map(|path| {
            let metadata = fs_err::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    });
    stamp.await.unwrap_or_default()
}
