//! How the database is reached (rule 65).
use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FallBack, ProxyEntry, SafeUrl};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The largest answer that a transport may give. A full tile has 8 KiB, a lookup less than 1 KiB.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How long a choice among the proxies holds, so that a proxy that begins or ceases to serve the
/// database is noticed.
const CHOICE_HOLDS: Duration = Duration::from_secs(600);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// 404 or 410.
    #[error("{status}: {text}")]
    Absent {
        /// Which of the two.
        status: u16,
        /// What the body said, cut to a few lines.
        text: String,
    },
    /// Anything else, answers over [`MAX_ANSWER_BYTES`] included.
    #[error("{text}")]
    Unavailable {
        /// What happened, in one sentence; names the host without credentials.
        text: String,
    },
}

/// Asks one database.
#[async_trait]
pub trait SumdbTransport: Send + Sync {
    /// The answer for a path below the database's root: `/latest`, `/lookup/rsc.io/quote@v1.5.2`,
    /// `/tile/8/0/003`.
    async fn get(&self, path: &str) -> Result<Bytes, TransportError>;
}

/// One HTTP GET, with the deadlines and limits of upstream requests.
#[async_trait]
pub trait SumdbHttp: Send + Sync {
    /// The body of `base` + `path` (`path` begins with a slash) when the status is 200.
    async fn get(&self, base: &SafeUrl, path: &str) -> Result<Bytes, TransportError>;
}

/// The transport that the GOSUMDB value and the GOPROXY list amount to
/// (cmd/go/internal/modfetch.dbClient.initBase).
///
/// With a URL in the value that URL only. Without: the first proxy that supports the database, and
/// from then on that proxy only; `https://NAME` where all proxies said that they don't, or the list is
/// `direct`. The choice is made at the first request and made again after a failure or ten minutes.
pub struct ChosenTransport {
    name: String,
    http: Arc<dyn SumdbHttp>,
    way: Way,
    chosen: Mutex<Option<(SafeUrl, Instant)>>,
}

enum Way {
    Fixed(SafeUrl),
    Through(Vec<ProxyEntry>),
}

impl ChosenTransport {
    /// The way to the database `name`: `url` is the one of the GOSUMDB value, `proxies` the GOPROXY list.
    pub fn new(
        name: &str,
        url: Option<SafeUrl>,
        proxies: &[ProxyEntry],
        http: Arc<dyn SumdbHttp>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            http,
            way: url.map_or_else(|| Way::Through(proxies.to_vec()), Way::Fixed),
            chosen: Mutex::new(None),
        }
    }

    /// The base of the database's URLs.
    async fn base(&self) -> Result<SafeUrl, TransportError> {
        let proxies = match &self.way {
            Way::Fixed(url) => return Ok(url.clone()),
            Way::Through(proxies) => proxies,
        };
        // Held while choosing, so that those who come meanwhile wait for the one choice.
        let mut chosen = self.chosen.lock().await;
        if let Some((base, since)) = chosen.as_ref()
            && since.elapsed() < CHOICE_HOLDS
        {
            return Ok(base.clone());
        }
        *chosen = None;
        let base = self.choose(proxies).await?;
        *chosen = Some((base.clone(), Instant::now()));
        Ok(base)
    }

    async fn choose(&self, proxies: &[ProxyEntry]) -> Result<SafeUrl, TransportError> {
        for entry in proxies {
            let proxy = match entry {
                ProxyEntry::Direct => break,
                ProxyEntry::Off => {
                    return Err(unavailable(format!(
                        "no proxy before `off` serves the checksum database {}",
                        self.name
                    )));
                }
                ProxyEntry::Proxy(proxy) => proxy,
            };
            // A folder of module files serves no database.
            if proxy.url.expose().scheme() == "file" {
                continue;
            }
            let root = proxy.url.expose().as_str().trim_end_matches('/');
            let base = parse_base(&format!("{root}/sumdb/{}", self.name))?;
            match self.http.get(&base, "/supported").await {
                Ok(_) => return Ok(base),
                Err(TransportError::Absent { .. }) => {}
                Err(_) if proxy.fall_back == FallBack::Any => {}
                Err(error) => return Err(error),
            }
        }
        parse_base(&format!("https://{}", self.name))
    }

    async fn forget(&self, base: &SafeUrl) {
        let mut chosen = self.chosen.lock().await;
        if chosen.as_ref().is_some_and(|(chosen, _)| chosen == base) {
            *chosen = None;
        }
    }
}

#[async_trait]
impl SumdbTransport for ChosenTransport {
    async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        let base = self.base().await?;
        let answer = self.http.get(&base, path).await;
        if matches!(answer, Err(TransportError::Unavailable { .. })) {
            self.forget(&base).await;
        }
        answer
    }
}

fn parse_base(text: &str) -> Result<SafeUrl, TransportError> {
    SafeUrl::parse(text).map_err(|error| unavailable(error.reason))
}

fn unavailable(text: String) -> TransportError {
    TransportError::Unavailable { text }
}
