use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A certificate authority of one test.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
}

/// A server certificate with its key.
pub struct Leaf {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The key, PEM (PKCS #8).
    pub key_pem: String,
    /// The certificate, DER: what a client sees in the handshake.
    pub certificate_der: Vec<u8>,
}

impl TestCa {
    /// A new authority.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Larder test authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for `127.0.0.1` and `localhost`.
    pub fn leaf(&self) -> Leaf {
        self.leaf_for(&[])
    }

    /// A certificate for `127.0.0.1`, `localhost` and these names.
    pub fn leaf_for(&self, names: &[&str]) -> Leaf {
        let names = ["127.0.0.1", "localhost"].iter().chain(names);
        let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate_der: certificate.der().to_vec(),
        }
    }

    /// The authority's certificate, PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes the authority's certificate to a file of this folder.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        std::fs::write(&file, &self.pem).unwrap();
        file
    }

    /// What a client needs to trust this authority and nobody else; `protocols` are offered by ALPN.
    pub fn client_config(&self, protocols: &[&str]) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }

    /// What a server needs to show a fresh certificate of this authority, for these names too.
    pub fn server_config(&self, protocols: &[&str], names: &[&str]) -> Arc<rustls::ServerConfig> {
        let leaf = self.leaf_for(names);
        let key = KeyPair::from_pem(&leaf.key_pem).unwrap().serialize_der();
        let mut config = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.certificate_der.into()],
                rustls::pki_types::PrivatePkcs8KeyDer::from(key).into(),
            )
            .unwrap();
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        Arc::new(config)
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl Leaf {
    /// Writes certificate and key into `folder`, each whole or not at all, and gives their paths.
    pub fn write(&self, folder: &Path) -> (PathBuf, PathBuf) {
        let files = (folder.join("leaf.pem"), folder.join("leaf.key"));
        for (file, text) in [(&files.1, &self.key_pem), (&files.0, &self.certificate_pem)] {
            let new = file.with_extension("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(&new, file).unwrap();
        }
        files
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
