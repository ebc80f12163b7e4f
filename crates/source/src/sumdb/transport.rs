//! How the database is reached (rule 65).
use crate::flights::Flights;
use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FallBack, ProxyEntry, SafeUrl};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The largest answer that a transport may give. A full tile has 8 KiB, a lookup less than 1 KiB.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How long a choice among the proxies holds, so that a proxy that begins or ceases to serve the
/// database is noticed.
const CHOICE_HOLDS: Duration = Duration::from_secs(600);

/// How long a choice that failed is the answer, so that a proxy that is slow to fail is not waited for
/// again by each of those who ask one after the other.
const FAILED_CHOICE_HOLDS: Duration = Duration::from_secs(5);

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
/// `direct`. The choice is made at the first request and made again after a failure or ten minutes; one
/// choice serves all who ask while it is made, and one that failed is the answer for five seconds.
pub struct ChosenTransport {
    http: Arc<dyn SumdbHttp>,
    way: Way,
}

enum Way {
    Fixed(SafeUrl),
    Through {
        choice: Arc<Choice>,
        flights: Flights<(), Chosen>,
    },
}

type Chosen = Result<SafeUrl, TransportError>;

impl ChosenTransport {
    /// The way to the database `name`: `url` is the one of the GOSUMDB value, `proxies` the GOPROXY list.
    pub fn new(
        name: &str,
        url: Option<SafeUrl>,
        proxies: &[ProxyEntry],
        http: Arc<dyn SumdbHttp>,
    ) -> Self {
        let way = match url {
            Some(url) => Way::Fixed(url),
            None => Way::Through {
                choice: Arc::new(Choice {
                    name: name.to_owned(),
                    proxies: proxies.to_vec(),
                    http: Arc::clone(&http),
                    last: Mutex::new(None),
                }),
                flights: Flights::default(),
            },
        };
        Self { http, way }
    }

    /// The base of the database's URLs.
    async fn base(&self) -> Chosen {
        let (choice, flights) = match &self.way {
            Way::Fixed(url) => return Ok(url.clone()),
            Way::Through { choice, flights } => (choice, flights),
        };
        if let Some(chosen) = choice.remembered() {
            return chosen;
        }
        let flight = flights.join((), || {
            let choice = Arc::clone(choice);
            async move { choice.make().await }
        });
        flight.landed().await.unwrap_or_else(|| {
            Err(unavailable(
                "the choice among the proxies was interrupted".to_owned(),
            ))
        })
    }

    fn forget(&self, base: &SafeUrl) {
        if let Way::Through { choice, .. } = &self.way {
            let mut last = choice.last.lock();
            if matches!(last.as_ref(), Some((Ok(chosen), _)) if chosen == base) {
                *last = None;
            }
        }
    }
}

/// The choice among the proxies of a list.
struct Choice {
    name: String,
    proxies: Vec<ProxyEntry>,
    http: Arc<dyn SumdbHttp>,
    /// What was chosen last, and when.
    last: Mutex<Option<(Chosen, Instant)>>,
}

impl Choice {
    fn remembered(&self) -> Option<Chosen> {
        let last = self.last.lock();
        let (chosen, since) = last.as_ref()?;
        let holds = match chosen {
            Ok(_) => CHOICE_HOLDS,
            Err(_) => FAILED_CHOICE_HOLDS,
        };
        (since.elapsed() < holds).then(|| chosen.clone())
    }

    async fn make(&self) -> Chosen {
        // Another flight may have landed between the caller's look and this one's start.
        if let Some(chosen) = self.remembered() {
            return chosen;
        }
        let chosen = self.ask_proxies().await;
        *self.last.lock() = Some((chosen.clone(), Instant::now()));
        chosen
    }

    async fn ask_proxies(&self) -> Chosen {
        for entry in &self.proxies {
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
}

#[async_trait]
impl SumdbTransport for ChosenTransport {
    async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        let base = self.base().await?;
        let answer = self.http.get(&base, path).await;
        if matches!(answer, Err(TransportError::Unavailable { .. })) {
            self.forget(&base);
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
