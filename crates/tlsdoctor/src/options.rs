//! How to diagnose: everything that would otherwise be read from the surroundings is given here.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::forward_proxy::ForwardProxy;
use crate::go_debug::GoDebug;
use crate::target::Target;
use crate::trust::TrustStore;
use crate::verify::Pool;

/// How to diagnose one target.
#[derive(Clone, Debug)]
pub struct Options {
    /// The roots that the go command trusts.
    pub trust: Arc<TrustStore>,
    /// The roots that everybody trusts: what is signed by one of these, and not trusted here, is not private.
    pub public_roots: Arc<Pool>,
    /// This machine's clock.
    pub now: Timestamp,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// Who is asked for names.
    pub resolvers: Resolvers,
    /// The proxy of HTTP_PROXY or HTTPS_PROXY for this target, if it is reached through one (NO_PROXY and
    /// loopback are the caller's to judge).
    pub forward_proxy: Option<ForwardProxy>,
    /// What GODEBUG changes for go.
    pub go_debug: GoDebug,
    /// What a sound answer to the target's path looks like.
    pub expects: Expects,
    /// Which addresses of the target may be dialled.
    pub reach: Reach,
    /// Whether issuers may be fetched from where a certificate says.
    pub fetch_issuers: FetchIssuers,
    /// Other hosts over TLS, looked at only if the issuer is unknown (one that signs unrelated hosts
    /// intercepts), or if a date is wrong and the target tells no time.
    pub witnesses: Vec<Target>,
}

impl Options {
    /// The defaults, with these roots and at this time.
    pub fn new(trust: Arc<TrustStore>, now: Timestamp) -> Self {
        Self {
            trust,
            public_roots: public_roots(),
            now,
            timeouts: Timeouts::default(),
            resolvers: Resolvers::System,
            forward_proxy: None,
            go_debug: GoDebug::default(),
            expects: Expects::Anything,
            reach: Reach::Anywhere,
            fetch_issuers: FetchIssuers::FromPublicAddresses,
            witnesses: Vec::new(),
        }
    }
}

/// How long each stage may take. Go's own times are longer for some; a verdict does not need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One name.
    pub dns: Duration,
    /// All connections to all addresses.
    pub connect: Duration,
    /// One handshake, or the answer to one CONNECT. Go gives up after 10 s.
    pub handshake: Duration,
    /// One request, redirects included.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            dns: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            request: Duration::from_secs(15),
        }
    }
}

impl Timeouts {
    /// The same time for every stage.
    pub fn all(time: Duration) -> Self {
        Self {
            dns: time,
            connect: time,
            handshake: time,
            request: time,
        }
    }
}

/// Who is asked for names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolvers {
    /// The system, its hosts file included; the servers of its `resolv.conf` one by one where that fails.
    System,
    /// These servers, and nobody else.
    Servers(Vec<SocketAddr>),
}

/// What a sound answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// Any: a web page too.
    Anything,
    /// Data for programs: a web page in its place is not from the service.
    Data,
}

/// Which addresses may be dialled. Names are judged by what they resolve to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All: the user named the target.
    Anywhere,
    /// Not loopback, private or link-local ones: a stranger named the target.
    PublicAddresses,
}

/// Whether issuers may be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchIssuers {
    /// Nothing is fetched.
    Never,
    /// Not from loopback, private or link-local addresses: a certificate must not send us there.
    FromPublicAddresses,
    /// From such addresses too where the target itself has one.
    FromNetworkOfTarget,
    /// From wherever the certificate says.
    FromAnywhere,
}

/// Mozilla's roots, read once.
pub fn public_roots() -> Arc<Pool> {
    PUBLIC_ROOTS.clone()
}

static PUBLIC_ROOTS: LazyLock<Arc<Pool>> = LazyLock::new(|| {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let parsed = roots.filter_map(|der| Certificate::parse(der).ok());
    Arc::new(parsed.map(Arc::new).collect())
});
