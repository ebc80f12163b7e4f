//! TLS servers of the lab: rustls with whatever certificates a case wants shown.

use super::authorities::{Authority, Identity, leaf_params};
use super::listener::{
    HANDSHAKE, Server, Wire, alert, listen, misbehave, peek_record, reset, server_name,
};
use super::web::{self, Web};
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A client that keeps its side open for longer after an alert is left all the same.
const LEAVE_TAKING: std::time::Duration = std::time::Duration::from_secs(5);

/// How a TLS server of the lab is set up.
pub(crate) struct TlsServer {
    shown: Arc<dyn ResolvesServerCert>,
    versions: Vec<&'static SupportedProtocolVersion>,
    protocols: Vec<Vec<u8>>,
    groups: Option<Vec<&'static dyn rustls::crypto::SupportedKxGroup>>,
    client_roots: Option<Vec<u8>>,
    door: Door,
}

/// What a ClientHello must pass before TLS sees it.
#[derive(Clone)]
pub(crate) enum Door {
    /// Nothing.
    Open,
    /// A middlebox that has no patience with records above so many bytes.
    Small(usize, Wire),
    /// `unrecognized_name` for every name but this one; a hello without a name passes.
    NamesOnly(&'static str),
    /// RST to whatever is no TLS.
    OnlyTls,
    /// Another door for one name: what a filter by name does.
    Filtered(&'static str, Wire),
}

impl TlsServer {
    /// Shows this identity to everybody, whether it makes sense or not.
    pub(crate) fn new(identity: &Identity) -> Self {
        Self::showing(Arc::new(Fixed(certified(identity))))
    }

    fn showing(shown: Arc<dyn ResolvesServerCert>) -> Self {
        Self {
            shown,
            versions: vec![&rustls::version::TLS12, &rustls::version::TLS13],
            protocols: vec![b"http/1.1".to_vec()],
            groups: None,
            client_roots: None,
            door: Door::Open,
        }
    }

    /// Shows whatever name is asked for, signed on the spot, as an inspecting device does.
    pub(crate) fn minting(authority: Arc<Authority>, key_pem: String) -> Self {
        Self::showing(Arc::new(Minting { authority, key_pem }))
    }

    /// Shows `named` to who asks for that name, and `default` to everybody else.
    pub(crate) fn by_name(name: &'static str, named: &Identity, default: &Identity) -> Self {
        Self::showing(Arc::new(ByName {
            name,
            named: certified(named),
            default: certified(default),
        }))
    }

    /// Only these versions.
    pub(crate) fn versions(mut self, versions: &[&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions.to_vec();
        self
    }

    /// Only these ALPN protocols.
    pub(crate) fn protocols(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        self
    }

    /// Only this key exchange group.
    pub(crate) fn group(mut self, group: &'static dyn rustls::crypto::SupportedKxGroup) -> Self {
        self.groups = Some(vec![group]);
        self
    }

    /// Wants a client certificate of this authority (DER).
    pub(crate) fn client_certificate(mut self, root: Vec<u8>) -> Self {
        self.client_roots = Some(root);
        self
    }

    /// Puts this in front.
    pub(crate) fn door(mut self, door: Door) -> Self {
        self.door = door;
        self
    }

    /// Answers requests with `web`.
    pub(crate) fn serve(self, web: Web) -> Server {
        self.listen(Behind::Web(web))
    }

    /// Writes these bytes as soon as the handshake is done.
    pub(crate) fn blurt(self, bytes: &'static [u8]) -> Server {
        self.listen(Behind::Blurt(bytes))
    }

    /// Speaks HTTP/2 when that was agreed, else HTTP/1.1.
    pub(crate) fn serve_http2(self, web: Web) -> Server {
        self.listen(Behind::Http2(web))
    }

    fn listen(self, behind: Behind) -> Server {
        let door = self.door.clone();
        let acceptor = TlsAcceptor::from(Arc::new(self.config()));
        listen(move |stream| {
            let (door, acceptor, behind) = (door.clone(), acceptor.clone(), behind.clone());
            async move {
                if let Some(stream) = pass(stream, door).await {
                    accept(stream, &acceptor, behind).await;
                }
            }
        })
    }

    fn config(self) -> ServerConfig {
        let mut provider = aws_lc_rs::default_provider();
        if let Some(groups) = self.groups {
            provider.kx_groups = groups;
        }
        let provider = Arc::new(provider);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .unwrap();
        let builder = match self.client_roots {
            None => builder.with_no_client_auth(),
            Some(root) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(root.into()).unwrap();
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots),
                    provider,
                );
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let mut config = builder.with_cert_resolver(self.shown);
        config.alpn_protocols = self.protocols;
        config
    }
}

#[derive(Clone)]
enum Behind {
    Web(Web),
    Http2(Web),
    Blurt(&'static [u8]),
}

/// The stream again if the door lets it through.
async fn pass(stream: TcpStream, door: Door) -> Option<TcpStream> {
    match door {
        Door::Open => Some(stream),
        Door::Small(most, otherwise) => {
            if peek_record(&stream).await.len() <= most {
                return Some(stream);
            }
            misbehave(stream, otherwise).await;
            None
        }
        Door::OnlyTls => {
            if peek_record(&stream).await.first() == Some(&HANDSHAKE) {
                return Some(stream);
            }
            reset(stream);
            None
        }
        Door::NamesOnly(allowed) => {
            let name = server_name(&peek_record(&stream).await);
            if name.as_deref().is_none_or(|name| name == allowed) {
                return Some(stream);
            }
            misbehave(stream, Wire::Answer(alert(112))).await;
            None
        }
        Door::Filtered(forbidden, wire) => {
            let name = server_name(&peek_record(&stream).await);
            if name.as_deref() != Some(forbidden) {
                return Some(stream);
            }
            match wire {
                Wire::ResetAtOnce => reset(stream),
                other => misbehave(stream, other).await,
            }
            None
        }
    }
}

async fn accept(stream: TcpStream, acceptor: &TlsAcceptor, behind: Behind) {
    let mut stream = match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => stream,
        Err((_, stream)) => return leave(stream).await,
    };
    match behind {
        Behind::Web(web) => web::serve(stream, web).await,
        Behind::Blurt(bytes) => {
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            // Unread bytes would turn the end into a reset.
            let mut buffer = [0; 1024];
            while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        }
        Behind::Http2(web) => {
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                super::http2_server::serve(stream, web).await;
            } else {
                web::serve(stream, web).await;
            }
        }
    }
}

/// Ends a connection whose handshake failed. What the client sent meanwhile (with TLS 1.3 that may be its
/// request) is read first: a socket that is closed with unread bytes resets, and the alert that is under
/// way would be lost.
async fn leave(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut buffer = [0; 1024];
    let drained = async { while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    let _ = tokio::time::timeout(LEAVE_TAKING, drained).await;
}

/// Rustls would check that key and certificate belong together; the lab wants what it says.
fn certified(identity: &Identity) -> Arc<CertifiedKey> {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(identity.key_der.clone());
    let key = aws_lc_rs::sign::any_supported_type(&key.into()).unwrap();
    let sent = identity.sent.iter().map(|der| der.clone().into()).collect();
    Arc::new(CertifiedKey::new(sent, key))
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct ByName {
    name: &'static str,
    named: Arc<CertifiedKey>,
    default: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = if hello.server_name() == Some(self.name) {
            &self.named
        } else {
            &self.default
        };
        Some(Arc::clone(shown))
    }
}

struct Minting {
    authority: Arc<Authority>,
    key_pem: String,
}

impl std::fmt::Debug for Minting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Minting")
    }
}

impl ResolvesServerCert for Minting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().unwrap_or("localhost");
        let der = self.authority.sign(&leaf_params(&[name]), &self.key_pem);
        Some(certified(&Identity::new(vec![der], &self.key_pem)))
    }
}
