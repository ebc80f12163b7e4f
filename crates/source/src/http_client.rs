//! One GET over HTTP, with our rules: which proxy, which address, whose password, how long. Used by
//! [`crate::Upstream`], by the checksum database's client and by [`crate::Discovery`]; knows nothing of
//! modules and retries nothing.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::{Origin, Url};

use crate::address::{AddressGuard, ForbiddenAddress, GuardedResolver};
use crate::credential::{Credentials, Means, NoCredentials};
use crate::http_proxy::HttpProxies;
use crate::netrc::Netrc;
use crate::options::UpstreamOptions;
use crate::silence::{ConnectionLayer, Silence};
use crate::tls::{self, CaFileError, TlsRoots};
use crate::{Clue, RepositoryUrl, SourceError, SourceErrorKind, via_value};

/// Redirects that are followed for one request.
const REDIRECTS: usize = 10;

/// What one answer over HTTP/2 may have under way: 20 MB/s at a round trip of 50 ms.
const HTTP2_STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// A client for one base URL, or for any.
pub(crate) struct HttpClient {
    client: reqwest::Client,
    guard: Arc<AddressGuard>,
    security: Security,
    http_proxies: HttpProxies,
    credentials: Arc<dyn Credentials>,
    netrc: Arc<Netrc>,
    /// The base URL's password, and the one origin that gets it.
    own_authorization: Option<(Origin, HeaderValue)>,
    via: HeaderValue,
    pace: Pace,
}

/// Whether a connection must be safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    /// Certificates are verified, and https never leads to http.
    Verified,
    /// What GOINSECURE allows: neither.
    Insecure,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An extra CA file is unusable.
    #[error(transparent)]
    CaFile(#[from] CaFileError),
    /// The instance name is no token of HTTP.
    #[error("the instance name cannot stand in a header")]
    Instance,
    /// The TLS or HTTP library refuses its set-up.
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

/// The head of an answer and the body behind it.
pub(crate) struct Reply {
    /// Who gave it, after all redirects.
    pub(crate) url: Url,
    /// The rule whose password went with the request, where one did.
    pub(crate) credential_rule: Option<Arc<str>>,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// A failure, and whether the same request may well succeed when it is repeated.
pub(crate) struct RequestFailure {
    pub(crate) error: SourceError,
    pub(crate) may_heal: bool,
}

impl HttpClient {
    pub(crate) fn new(
        base: &Url,
        guard: Arc<AddressGuard>,
        options: &UpstreamOptions,
    ) -> Result<Self, ClientError> {
        Self::set_up(guard, options, Security::Verified).map(|client| Self {
            own_authorization: own_authorization(base).map(|value| (base.origin(), value)),
            ..client
        })
    }

    /// A client for whatever hosts it is given, with the passwords of `credentials` before those of `.netrc`.
    pub(crate) fn of_any_host(
        guard: Arc<AddressGuard>,
        options: &UpstreamOptions,
        security: Security,
        credentials: Arc<dyn Credentials>,
    ) -> Result<Self, ClientError> {
        Self::set_up(guard, options, security).map(|client| Self {
            credentials,
            ..client
        })
    }

    fn set_up(
        guard: Arc<AddressGuard>,
        options: &UpstreamOptions,
        security: Security,
    ) -> Result<Self, ClientError> {
        // For zips and for small answers.
        let most_at_once = options.concurrent_requests.saturating_mul(2);
        let roots = options.tls_roots.with_files(&options.extra_ca_files)?;
        let setup = |error: &dyn std::fmt::Display| ClientError::Setup(error.to_string());
        let tls_config = match security {
            Security::Verified => roots.client_config(),
            Security::Insecure => TlsRoots::unverified_client_config(),
        }
        .map_err(|error| setup(&error))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config)
            .dns_resolver(GuardedResolver::new(guard.clone()))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .user_agent(concat!("larder/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .connector_layer(ConnectionLayer)
            .pool_max_idle_per_host(most_at_once)
            .pool_idle_timeout(Duration::from_secs(90))
            .http2_initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(connection_window(most_at_once))
            .tcp_nodelay(true)
            // Proxies come from the settings, never from the environment of the process.
            .no_proxy();
        if !options.http_proxies.is_empty() {
            let http_proxies = options.http_proxies.clone();
            builder = builder.proxy(reqwest::Proxy::custom(move |url| {
                http_proxies.for_url(url).cloned()
            }));
        }
        Ok(Self {
            client: builder.build().map_err(|error| setup(&error))?,
            guard,
            security,
            http_proxies: options.http_proxies.clone(),
            credentials: Arc::new(NoCredentials),
            netrc: options.netrc.clone(),
            own_authorization: None,
            via: HeaderValue::from_str(&via_value(&options.instance))
                .map_err(|_| ClientError::Instance)?,
            pace: Pace::new(
                options.stall_timeout,
                options.minimum_bytes_per_second,
                options.minimum_rate_window,
            ),
        })
    }

    /// GETs a URL, following at most 10 redirects, none of them from https to http unless that is allowed.
    pub(crate) async fn get(&self, url: Url, headers: &HeaderMap) -> Result<Reply, RequestFailure> {
        let mut url = without_credentials(url);
        let came_from_https = |url: &Url| url.scheme() == "https";
        for _ in 0..=REDIRECTS {
            let reply = self.ask_once(Method::GET, &url, headers).await?;
            if !matches!(reply.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(reply);
            }
            let next = reply
                .headers
                .get(header::LOCATION)
                .and_then(|location| location.to_str().ok())
                .and_then(|location| url.join(location).ok())
                .filter(|next| matches!(next.scheme(), "http" | "https") && next.has_host())
                .ok_or_else(|| bad_answer("it redirects to nowhere"))?;
            let turns_unsafe = came_from_https(&url) && !came_from_https(&next);
            if turns_unsafe && self.security == Security::Verified {
                let text = "it redirects from https to http, which is not followed";
                return Err(bad_answer(text).with_clue(Clue::RedirectsToPlain));
            }
            url = without_credentials(next);
        }
        let text = "it redirects more than 10 times";
        Err(bad_answer(text).with_clue(Clue::RedirectsInCircles))
    }

    /// One request without a body, redirects not followed: an `Authorization` among the headers goes to this
    /// URL and nowhere else. The URL must hold no credentials.
    pub(crate) async fn ask_once(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
    ) -> Result<Reply, RequestFailure> {
        self.guard
            .check_literal(url)
            .map_err(|refusal| forbidden(&refusal))?;
        let mut request = self
            .client
            .request(method, url.clone())
            .headers(headers.clone())
            .header(header::VIA, self.via.clone());
        let mut credential_rule = None;
        if let Some((rule, authorization)) = self.authorization(url).await? {
            request = request.header(header::AUTHORIZATION, authorization);
            credential_rule = Some(rule);
        }
        let asked = Instant::now();
        let response = Silence::broken_by(self.pace.stall_timeout, request.send())
            .await
            .ok_or_else(|| RequestFailure {
                error: SourceError::new(
                    SourceErrorKind::TimedOut,
                    format!("it did not answer for {}", seconds(self.pace.stall_timeout)),
                ),
                may_heal: false,
            })?
            .map_err(|error| self.explain(&error, url, asked.elapsed()))?;
        Ok(Reply {
            url: url.clone(),
            credential_rule,
            status: response.status(),
            headers: response.headers().clone(),
            body: Body {
                response,
                pace: self.pace.clone(),
            },
        })
    }

    /// The password for a URL, and the rule that it comes from: our own for the base's origin, else that of a
    /// credential rule for the address, else that of `.netrc` for the host.
    async fn authorization(
        &self,
        url: &Url,
    ) -> Result<Option<(Arc<str>, HeaderValue)>, RequestFailure> {
        if let Some((origin, value)) = &self.own_authorization
            && *origin == url.origin()
        {
            return Ok(Some(("the upstream's URL".into(), value.clone())));
        }
        if let Some(found) = self.ruled_authorization(url).await? {
            return Ok(Some(found));
        }
        let of_netrc = || {
            let (login, password) = self.netrc.credentials(url)?;
            let value = basic(login.as_bytes(), password.as_bytes())?;
            let host = url.host_str().unwrap_or_default();
            Some((format!(".netrc (machine {host})").into(), value))
        };
        Ok(of_netrc())
    }

    /// The password of a credential rule, over https only.
    async fn ruled_authorization(
        &self,
        url: &Url,
    ) -> Result<Option<(Arc<str>, HeaderValue)>, RequestFailure> {
        let mut address = url.clone();
        address.set_query(None);
        address.set_fragment(None);
        let Ok(address) = RepositoryUrl::parse(address.as_str()) else {
            return Ok(None);
        };
        if url.scheme() != "https" {
            return Ok(None);
        }
        let credential = self
            .credentials
            .for_repository(&address)
            .await
            .map_err(|error| RequestFailure {
                error,
                may_heal: false,
            })?;
        let Some(credential) = credential else {
            return Ok(None);
        };
        let value = match &credential.means {
            Means::Password { username, password } => {
                basic(username.as_bytes(), password.expose().as_bytes())
            }
            Means::SshKey { .. } => None,
        };
        Ok(value.map(|value| (credential.rule, value)))
    }

    fn explain(&self, error: &reqwest::Error, url: &Url, elapsed: Duration) -> RequestFailure {
        let causes = Causes::of(error);
        if let Some(refusal) = causes.forbidden {
            return forbidden(refusal);
        }
        if let Some(fault) = causes.tls {
            return RequestFailure {
                error: SourceError::tls(
                    tls::classify(fault),
                    format!(
                        "TLS to `{}` failed: {}",
                        host_and_port(url),
                        tls::explain(fault)
                    ),
                ),
                may_heal: false,
            };
        }
        if causes.is_nonsense {
            return bad_answer("what it says is not HTTP");
        }
        let through = match self.http_proxies.for_url(url) {
            Some(proxy) => format!(" through the HTTP proxy `{}`", host_and_port(proxy)),
            None => String::new(),
        };
        let host = host_and_port(url);
        let (kind, text) = if error.is_timeout() {
            (
                SourceErrorKind::TimedOut,
                format!(
                    "connecting to `{host}`{through} took longer than {}",
                    seconds(elapsed)
                ),
            )
        } else if error.is_connect() {
            (
                SourceErrorKind::Unreachable,
                format!("no connection to `{host}`{through}: {}", causes.root),
            )
        } else {
            (
                SourceErrorKind::Unreachable,
                format!("the connection to `{host}`{through} broke: {}", causes.root),
            )
        };
        RequestFailure {
            error: SourceError::new(kind, text),
            may_heal: true,
        }
    }
}

/// The bytes of an answer, as they come.
pub(crate) struct Body {
    response: reqwest::Response,
    pace: Pace,
}

/// Why a body ended before its end.
pub(crate) enum BodyFailure {
    /// Nothing came for so long.
    Stalled(Duration),
    /// Bytes came, but too few.
    TooSlow { bytes: u64, waited: Duration },
    /// The connection broke, or the length was a lie.
    Cut(String),
}

impl Body {
    /// The next bytes, or `None` at the end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BodyFailure> {
        let asked = Instant::now();
        let chunk = tokio::time::timeout(self.pace.stall_timeout, self.response.chunk())
            .await
            .map_err(|_| BodyFailure::Stalled(self.pace.stall_timeout))?
            .map_err(|error| BodyFailure::Cut(Causes::of(&error).root))?;
        if let Some(bytes) = &chunk {
            self.pace.took(bytes.len(), asked.elapsed())?;
        }
        Ok(chunk)
    }

    /// The beginning of the body, for an error's text: what comes of it, up to so many bytes.
    pub(crate) async fn beginning(mut self, limit: usize) -> Vec<u8> {
        let mut beginning = Vec::new();
        while beginning.len() < limit {
            match self.chunk().await {
                Ok(Some(bytes)) => beginning.extend_from_slice(&bytes),
                Ok(None) | Err(_) => break,
            }
        }
        beginning
    }
}

impl BodyFailure {
    pub(crate) fn into_error(self) -> SourceError {
        match self {
            Self::Stalled(silence) => SourceError::new(
                SourceErrorKind::TimedOut,
                format!("the transfer stood still for {}", seconds(silence)),
            ),
            Self::TooSlow { bytes, waited } => SourceError::new(
                SourceErrorKind::TimedOut,
                format!("only {bytes} bytes came in {}", seconds(waited)),
            ),
            Self::Cut(cause) => SourceError::new(
                SourceErrorKind::Unreachable,
                format!("the transfer was cut: {cause}"),
            ),
        }
    }
}

/// Measures a body against the stall time-out and the minimum rate. Only the time spent waiting for
/// upstream counts: a slow disk on our side is no fault of theirs.
#[derive(Clone)]
struct Pace {
    stall_timeout: Duration,
    minimum_bytes_per_window: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn new(stall_timeout: Duration, minimum_bytes_per_second: u64, window: Duration) -> Self {
        let per_window = window
            .as_millis()
            .saturating_mul(minimum_bytes_per_second.into())
            / 1000;
        Self {
            stall_timeout,
            minimum_bytes_per_window: u64::try_from(per_window).unwrap_or(u64::MAX),
            window,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    fn took(&mut self, bytes: usize, waited: Duration) -> Result<(), BodyFailure> {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.waited = self.waited.saturating_add(waited);
        if self.waited < self.window {
            return Ok(());
        }
        if self.bytes < self.minimum_bytes_per_window {
            return Err(BodyFailure::TooSlow {
                bytes: self.bytes,
                waited: self.waited,
            });
        }
        self.waited = Duration::ZERO;
        self.bytes = 0;
        Ok(())
    }
}

/// What stands behind an error of the HTTP library.
struct Causes<'a> {
    forbidden: Option<&'a ForbiddenAddress>,
    tls: Option<&'a rustls::Error>,
    is_nonsense: bool,
    /// The innermost text.
    root: String,
}

impl<'a> Causes<'a> {
    fn of(error: &'a reqwest::Error) -> Self {
        let mut causes = Self {
            forbidden: None,
            tls: None,
            is_nonsense: false,
            root: String::new(),
        };
        let mut current: Option<&'a (dyn StdError + 'static)> = error.source();
        while let Some(cause) = current {
            causes.forbidden = causes.forbidden.or_else(|| cause.downcast_ref());
            causes.tls = causes.tls.or_else(|| cause.downcast_ref());
            if let Some(fault) = cause.downcast_ref::<hyper::Error>() {
                causes.is_nonsense |= fault.is_parse() || fault.is_parse_too_large();
            }
            causes.root = cause.to_string();
            // An I/O error hides what it wraps: its `source` is that of the wrapped error.
            let wrapped = cause
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref)
                .map(|wrapped| wrapped as &(dyn StdError + 'static));
            current = wrapped.or_else(|| cause.source());
        }
        if causes.root.is_empty() {
            causes.root = "the HTTP library gives no reason".to_owned();
        }
        causes
    }
}

/// Room for all answers at once, so that one whose sink is slow never holds up the others.
fn connection_window(concurrent_requests: usize) -> u32 {
    const LARGEST: u32 = (1 << 31) - 1;
    u32::try_from(concurrent_requests)
        .unwrap_or(u32::MAX)
        .saturating_mul(HTTP2_STREAM_WINDOW_BYTES)
        .clamp(HTTP2_STREAM_WINDOW_BYTES, LARGEST)
}

/// A header's value as text, where it is some.
pub(crate) fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// `1.5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// The host and port of a URL: nothing in it is secret.
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

pub(crate) fn without_credentials(mut url: Url) -> Url {
    // These fail only for URLs without a host, which hold no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The base URL's password.
fn own_authorization(base: &Url) -> Option<HeaderValue> {
    if base.username().is_empty() && base.password().is_none() {
        return None;
    }
    basic(
        &percent_decoded(base.username()),
        &percent_decoded(base.password().unwrap_or_default()),
    )
}

/// Basic authentication; `None` for bytes that cannot stand in a header.
pub(crate) fn basic(login: &[u8], password: &[u8]) -> Option<HeaderValue> {
    let pair = [login, b":", password].concat();
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn percent_decoded(text: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(text).collect()
}

impl RequestFailure {
    fn with_clue(mut self, clue: Clue) -> Self {
        self.error = self.error.with_clue(clue);
        self
    }
}

fn bad_answer(text: &str) -> RequestFailure {
    RequestFailure {
        error: SourceError::new(SourceErrorKind::BadAnswer, text),
        may_heal: false,
    }
}

fn forbidden(refusal: &ForbiddenAddress) -> RequestFailure {
    RequestFailure {
        error: SourceError::new(SourceErrorKind::ForbiddenAddress, refusal.to_string()),
        may_heal: false,
    }
}
