//! The lab itself: its authorities, its keys, its folder; and what a case hands to who examines it.

use super::authorities::{Authority, Identity, authority_params, leaf_params, pem, rsa_key};
use super::tls_server::TlsServer;
use super::web::{Web, module_proxy};
use rcgen::CertificateParams;
use std::any::Any;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// What all cases share. Making it takes a second: a run of many cases makes one.
pub struct Lab {
    folder: TempDir,
    /// A key that has signed nothing.
    pub(crate) other_key: String,
    pub(crate) root_key: String,
    pub(crate) leaf_key: String,
    /// The root that clients of the lab trust, as they trust a public one.
    pub(crate) root: Authority,
    /// The intermediate below it, which issues the servers' certificates.
    pub(crate) issuing: Authority,
    /// A company's own root, which nobody trusts unless a case says so.
    pub(crate) private_root: Authority,
    pub(crate) private_issuing: Authority,
    /// The root of an inspecting device, which nobody trusts.
    pub(crate) inspection: Arc<Authority>,
}

impl Lab {
    /// Makes keys and authorities.
    pub fn open() -> Self {
        let folder = TempDir::with_prefix("larder-lab-").unwrap();
        let (root_key, issuing_key, other_key) = (rsa_key(), rsa_key(), rsa_key());
        let root = Authority::root(authority_params("Lab Root CA"), &root_key);
        let issuing = root.intermediate(authority_params("Lab Issuing CA 1"), &issuing_key);
        let private_root = Authority::root(authority_params("Corp Root CA"), &other_key);
        let private_issuing =
            private_root.intermediate(authority_params("Corp Issuing CA"), &issuing_key);
        let inspection = Authority::root(authority_params("Corp TLS Inspection CA"), &issuing_key);
        let lab = Self {
            folder,
            other_key,
            root_key,
            leaf_key: rsa_key(),
            root,
            issuing,
            private_root,
            private_issuing,
            inspection: Arc::new(inspection),
        };
        lab.pem_file("roots.pem", &[lab.root.der()]);
        std::fs::create_dir(lab.folder().join("no-certificates")).unwrap();
        lab
    }

    /// The lab's temporary folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file of roots that clients trust unless the case says otherwise.
    pub fn roots(&self) -> PathBuf {
        self.folder().join("roots.pem")
    }

    /// Writes certificates to a PEM file.
    pub(crate) fn pem_file(&self, name: &str, certificates: &[Vec<u8>]) -> PathBuf {
        let file = self.folder().join(name);
        let text: String = certificates.iter().map(|der| pem(der)).collect();
        std::fs::write(&file, text).unwrap();
        file
    }

    /// A server certificate by the issuing authority, DER.
    pub(crate) fn leaf(&self, params: &CertificateParams) -> Vec<u8> {
        self.issuing.sign(params, &self.leaf_key)
    }

    /// The certificates as they are sent, with the lab's leaf key.
    pub(crate) fn showing(&self, sent: Vec<Vec<u8>>) -> Identity {
        Identity::new(sent, &self.leaf_key)
    }

    /// What a healthy server shows for these names.
    pub(crate) fn healthy(&self, names: &[&str]) -> Identity {
        self.showing(vec![self.leaf(&leaf_params(names)), self.issuing.der()])
    }

    /// A module proxy behind this identity, asked as `localhost`.
    pub(crate) fn proxy_showing(&self, identity: &Identity) -> Prepared {
        self.proxy(TlsServer::new(identity))
    }

    /// A module proxy behind this TLS server, asked as `localhost`.
    pub(crate) fn proxy(&self, server: TlsServer) -> Prepared {
        self.web(server, module_proxy())
    }

    /// These answers behind this TLS server, asked as `localhost`.
    pub(crate) fn web(&self, server: TlsServer, web: Web) -> Prepared {
        let server = server.serve(web);
        self.at(server.address).keep(server)
    }

    /// These answers behind healthy TLS.
    pub(crate) fn healthy_web(&self, web: Web) -> Prepared {
        self.web(TlsServer::new(&self.healthy(&["localhost"])), web)
    }

    /// Whatever listens there, asked as `https://localhost:PORT`.
    pub(crate) fn at(&self, address: SocketAddr) -> Prepared {
        self.url(format!("https://localhost:{}", address.port()))
    }

    /// A GOPROXY of this URL.
    pub(crate) fn url(&self, url: String) -> Prepared {
        let path = |file: &str| self.folder().join(file).to_str().unwrap().to_owned();
        let environment = [
            ("GOPROXY", url.clone()),
            ("GOSUMDB", "off".into()),
            ("SSL_CERT_FILE", path("roots.pem")),
            ("SSL_CERT_DIR", path("no-certificates")),
        ];
        Prepared {
            url,
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            resolver: None,
            folder_files: Vec::new(),
            home_files: Vec::new(),
            keep: Vec::new(),
        }
    }
}

/// A case that stands: its servers run until this is dropped.
pub struct Prepared {
    /// The module proxy, or what stands in its place.
    pub url: String,
    /// What a client's environment holds: GOPROXY, GOSUMDB, SSL_CERT_FILE and what else the case is about.
    pub environment: Vec<(String, String)>,
    /// The name server to ask, where the case is about names.
    pub resolver: Option<SocketAddr>,
    /// Files of the folder in which go runs, where the case is about a main module.
    pub folder_files: Vec<(&'static str, String)>,
    /// Files of the home folder.
    pub home_files: Vec<(&'static str, String)>,
    keep: Vec<Box<dyn Any + Send>>,
}

impl Prepared {
    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Trusts the certificates of this file and no others.
    pub(crate) fn trusting(self, file: &Path) -> Self {
        self.env("SSL_CERT_FILE", file.to_str().unwrap())
    }

    /// Asks this name server.
    pub(crate) fn resolver(mut self, address: SocketAddr) -> Self {
        self.resolver = Some(address);
        self
    }

    /// Runs in a folder with this file.
    pub(crate) fn file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.folder_files.push((name, text.into()));
        self
    }

    /// Has this file in its home.
    pub(crate) fn home_file(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.home_files.push((name, text.into()));
        self
    }

    /// Keeps a server running.
    pub(crate) fn keep(mut self, server: impl Any + Send) -> Self {
        self.keep.push(Box::new(server));
        self
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.environment.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}
