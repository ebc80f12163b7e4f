//! Whom TLS trusts, read as Go on Linux reads it (`crypto/x509`), and what TLS errors mean.

use crate::TlsFault;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

/// The two values that say where trusted authorities are.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// SSL_CERT_FILE: read instead of the system's file. Empty counts as not set.
    pub ssl_cert_file: Option<PathBuf>,
    /// SSL_CERT_DIR: folders with colons between them, read instead of the system's. Empty counts as not set.
    pub ssl_cert_dir: Option<String>,
}

/// The authorities that TLS trusts.
#[derive(Clone, Debug)]
pub struct TlsRoots {
    store: Arc<RootCertStore>,
}

/// An extra file of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// It cannot be read.
    #[error("the CA file `{path}` cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It holds no certificate in PEM form.
    #[error("the CA file `{0}` holds no certificate in PEM form")]
    NoCertificate(PathBuf),
}

/// Bundles of the Linux distributions, in Go's order; the first that can be read is taken.
const SYSTEM_FILES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Folders of certificates; all are read.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

impl TlsRoots {
    /// Reads the authorities: the file and the folders both, whatever of them is there. What is no
    /// certificate is passed over; nothing found is an empty store and no error, as in Go.
    pub fn load(settings: &TlsSettings) -> Self {
        let mut found = Found::default();
        let chosen_file = settings
            .ssl_cert_file
            .as_deref()
            .filter(|file| !file.as_os_str().is_empty());
        match chosen_file {
            Some(file) => found.read_file(file).is_ok(),
            None => SYSTEM_FILES
                .iter()
                .any(|file| found.read_file(Path::new(file)).is_ok()),
        };
        let chosen_folders = settings
            .ssl_cert_dir
            .as_deref()
            .filter(|folders| !folders.is_empty());
        match chosen_folders {
            Some(folders) => folders
                .split(':')
                .for_each(|folder| found.read_folder(folder)),
            None => SYSTEM_FOLDERS
                .iter()
                .for_each(|folder| found.read_folder(folder)),
        }
        Self {
            store: Arc::new(found.store),
        }
    }

    /// These roots and those of `files` (PEM); each file must hold at least one certificate.
    pub fn with_files(&self, files: &[PathBuf]) -> Result<Self, CaFileError> {
        if files.is_empty() {
            return Ok(self.clone());
        }
        let mut found = Found {
            store: RootCertStore::clone(&self.store),
            seen: HashSet::new(),
        };
        for path in files {
            let taken = found
                .read_file(path)
                .map_err(|error| CaFileError::Unreadable {
                    path: path.clone(),
                    error,
                })?;
            if taken == 0 {
                return Err(CaFileError::NoCertificate(path.clone()));
            }
        }
        Ok(Self {
            store: Arc::new(found.store),
        })
    }

    /// No authorities at all: nothing behind TLS is trusted.
    pub fn none() -> Self {
        Self {
            store: Arc::new(RootCertStore::empty()),
        }
    }

    /// How many authorities there are.
    pub fn count(&self) -> usize {
        self.store.len()
    }

    /// The TLS set-up of a client that trusts these roots, with HTTP/2 on offer.
    pub fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.store.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// The TLS set-up of a client that takes any certificate: for what GOINSECURE names, and only for that.
    pub(crate) fn unverified_client_config() -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Takes every certificate. The handshake must still be signed by the certificate's key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// What failed, in words for people who did not write TLS.
pub(crate) fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(fault) => explain_certificate(fault),
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        rustls::Error::PeerIncompatible(_) => {
            format!("the server offers no version or cipher of TLS that is safe ({error})")
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the server broke the TLS handshake off with the alert {alert:?}")
        }
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// Which kind of fault an error of the TLS library is.
pub(crate) fn classify(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::UnknownIssuer => TlsFault::UnknownAuthority,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                TlsFault::Expired
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsFault::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsFault::OtherName
            }
            _ => TlsFault::BadCertificate,
        },
        rustls::Error::InvalidMessage(_) => TlsFault::NoTls,
        _ => TlsFault::Handshake,
    }
}

fn explain_certificate(fault: &CertificateError) -> String {
    match fault {
        CertificateError::UnknownIssuer => {
            "the certificate's authority is not trusted here, or the server sends an incomplete chain"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet; is this machine's clock right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another host name".to_owned()
        }
        other => format!("the certificate cannot be accepted: {other:?}"),
    }
}

/// Collects certificates, each once.
struct Found {
    store: RootCertStore,
    seen: HashSet<CertificateDer<'static>>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            store: RootCertStore::empty(),
            seen: HashSet::new(),
        }
    }
}

impl Found {
    /// The number of certificates that the file holds.
    fn read_file(&mut self, path: &Path) -> io::Result<usize> {
        let bytes = fs_err::read(path)?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes).flatten().collect();
        let mut usable = 0;
        for certificate in certificates {
            if self.seen.contains(&certificate) {
                usable += 1;
            } else if self.store.add(certificate.clone()).is_ok() {
                usable += 1;
                self.seen.insert(certificate);
            }
        }
        Ok(usable)
    }

    fn read_folder(&mut self, folder: impl AsRef<Path>) {
        let Ok(entries) = fs_err::read_dir(folder.as_ref()) else {
            return;
        };
        for entry in entries.flatten() {
            // Links from a hash to a neighbour are the same certificate again, and anything that cannot be
            // read is passed over as Go does.
            if !is_link_to_neighbour(&entry.path()) {
                let _ = self.read_file(&entry.path());
            }
        }
    }
}

fn is_link_to_neighbour(path: &Path) -> bool {
    fs_err::read_link(path).is_ok_and(|target| target.components().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> String {
        let mut parameters = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn file_and_folders_are_both_read_and_replace_the_systems() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file.pem");
        let first = folder.path().join("first");
        let second = folder.path().join("second");
        fs_err::create_dir_all(&first).unwrap();
        fs_err::create_dir_all(&second).unwrap();
        fs_err::write(&file, authority()).unwrap();
        fs_err::write(first.join("a.pem"), authority() + &authority()).unwrap();
        fs_err::write(second.join("b"), "text\n".to_owned() + &authority()).unwrap();
        fs_err::write(second.join("junk"), "no certificate").unwrap();
        std::os::unix::fs::symlink("b", second.join("0a1b2c.0")).unwrap();
        let roots = TlsRoots::load(&TlsSettings {
            ssl_cert_file: Some(file),
            ssl_cert_dir: Some(format!("{}:{}", first.display(), second.display())),
        });
        assert_eq!(roots.count(), 4);
    }

    #[test]
    fn a_certificate_file_that_is_not_there_leaves_no_roots_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let roots = TlsRoots::load(&TlsSettings {
            ssl_cert_file: Some(folder.path().join("missing.pem")),
            ssl_cert_dir: Some(folder.path().display().to_string()),
        });
        assert_eq!(roots.count(), 0);
        assert!(roots.client_config().is_ok());
    }

    #[test]
    fn an_extra_file_without_a_certificate_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str| {
            let path = folder.path().join(name);
            let error = TlsRoots::none()
                .with_files(&[path])
                .unwrap_err()
                .to_string();
            assert!(error.contains(name), "{error}");
        };
        fs_err::write(folder.path().join("empty.pem"), "").unwrap();
        fs_err::write(
            folder.path().join("garbage.pem"),
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        )
        .unwrap();
        refused("missing.pem");
        refused("empty.pem");
        refused("garbage.pem");

        let good = folder.path().join("good.pem");
        fs_err::write(&good, authority()).unwrap();
        assert_eq!(TlsRoots::none().with_files(&[good]).unwrap().count(), 1);
    }
}
