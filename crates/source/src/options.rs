//! What the operator may set of an upstream. Plain data: the settings of `larder` fill it in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::http_proxy::HttpProxies;
use crate::netrc::Netrc;
use crate::observer::{NoObserver, UpstreamObserver};
use crate::tls::TlsRoots;

/// When a question is asked again that failed without a byte of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// As often as [`UpstreamOptions::attempts`] allows: for an upstream that nobody stands in for.
    Always,
    /// While most of the last questions were answered. For one behind which another is asked after any failure: what
    /// happened once may heal, and what happens to all of them must not be waited for by each.
    WhileWell,
    /// Not at all: for the members of a group, where another member is the better second try.
    Never,
}

/// How an upstream is asked. [`UpstreamOptions::new`] gives the defaults named here.
///
/// There is no total time-out anywhere: a transfer that makes progress may take as long as it needs.
#[derive(Clone)]
pub struct UpstreamOptions {
    /// Who we say we are in `Via`: any token that is unique among servers. See [`crate::via_name`].
    pub instance: String,
    /// Name lookup, TCP and TLS together. Default 10 s.
    pub connect_timeout: Duration,
    /// Silence that is borne, before the first byte and between bytes. Default 30 s.
    pub stall_timeout: Duration,
    /// Bytes a second, on average over [`Self::minimum_rate_window`], that a body must bring. Only the time
    /// spent waiting for upstream counts, not the time that a slow disk takes. Default 1 KiB/s; 0 switches it off.
    pub minimum_bytes_per_second: u64,
    /// The span over which the rate is taken. Default 60 s.
    pub minimum_rate_window: Duration,
    /// Requests for one question, the first included. Default 4.
    pub attempts: u32,
    /// Whether a question that failed without a byte of an answer is asked again. What was cut is resumed in any case,
    /// and so is waited where upstream says when to come back. Default [`Repeats::Always`].
    pub repeats: Repeats,
    /// The pause before the first retry; doubled for each later one, up to [`Self::longest_backoff`], and
    /// then drawn between its half and its whole. Default 200 ms.
    pub first_backoff: Duration,
    /// The longest pause between retries that upstream did not name itself. Default 5 s.
    pub longest_backoff: Duration,
    /// The longest `Retry-After` that is waited for; a longer one is an answer. Default 20 s.
    pub longest_retry_after: Duration,
    /// Requests in flight at one upstream for zips, and as many for anything else. Default 32.
    pub concurrent_requests: usize,
    /// How long a question waits for its turn. Default 120 s.
    pub queue_timeout: Duration,
    /// Consecutive outages that open the breaker. Default 5.
    pub breaker_outages: u32,
    /// How long an open breaker rests before one question may try; drawn between this and one and a half of it.
    /// Default 10 s.
    pub breaker_rest: Duration,
    /// The HTTP proxies to go through. Default none.
    pub http_proxies: HttpProxies,
    /// The passwords of `.netrc`. Default none.
    pub netrc: Arc<Netrc>,
    /// Whom TLS trusts.
    pub tls_roots: TlsRoots,
    /// PEM files of authorities to trust besides, for this upstream only. Default none.
    pub extra_ca_files: Vec<PathBuf>,
    /// Told of each finished question. Default: nobody.
    pub observer: Arc<dyn UpstreamObserver>,
}

impl UpstreamOptions {
    /// The defaults, for a server with this instance name and these roots.
    pub fn new(instance: impl Into<String>, tls_roots: TlsRoots) -> Self {
        Self {
            instance: instance.into(),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            minimum_bytes_per_second: 1024,
            minimum_rate_window: Duration::from_secs(60),
            attempts: 4,
            repeats: Repeats::Always,
            first_backoff: Duration::from_millis(200),
            longest_backoff: Duration::from_secs(5),
            longest_retry_after: Duration::from_secs(20),
            concurrent_requests: 32,
            queue_timeout: Duration::from_secs(120),
            breaker_outages: 5,
            breaker_rest: Duration::from_secs(10),
            http_proxies: HttpProxies::default(),
            netrc: Arc::new(Netrc::default()),
            tls_roots,
            extra_ca_files: Vec::new(),
            observer: Arc::new(NoObserver),
        }
    }
}
