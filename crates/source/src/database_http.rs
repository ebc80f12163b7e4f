//! GETs of a checksum database, directly or through an upstream that carries its data.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::SafeUrl;
use parking_lot::Mutex;

use crate::address::AddressGuard;
use crate::answer::AnswerKind;
use crate::options::UpstreamOptions;
use crate::sumdb::{SumdbHttp, TransportError};
use crate::upstream::Upstream;
use crate::{SourceError, SourceErrorKind, SourceName};

/// The HTTP side of a checksum database's client, with the time-outs, retries and bounds of upstreams.
///
/// The turns are its own, not those of the files: a fill that holds a turn for its file waits for what the
/// database says, and must not wait for itself.
pub struct DatabaseHttp {
    of_upstreams: Vec<(SourceName, UpstreamOptions)>,
    guard: Arc<AddressGuard>,
    direct: UpstreamOptions,
    /// By base URL. There are as many as the settings name: a handful.
    clients: Mutex<BTreeMap<String, Arc<Upstream>>>,
}

impl DatabaseHttp {
    pub(crate) fn new(
        of_upstreams: Vec<(SourceName, UpstreamOptions)>,
        guard: Arc<AddressGuard>,
        direct: UpstreamOptions,
    ) -> Self {
        Self {
            of_upstreams,
            guard,
            direct,
            clients: Mutex::new(BTreeMap::new()),
        }
    }

    /// The body of `base` + `path` (`path` begins with a slash), at most 1 MiB. The base comes from the
    /// settings, so its host may be anywhere.
    pub async fn get_below(&self, base: &SafeUrl, path: &str) -> Result<Bytes, SourceError> {
        let client = self.client(base)?;
        let below = path.strip_prefix('/').unwrap_or(path);
        let (body, _) = client.ask_small(below, AnswerKind::Database).await?;
        Ok(body)
    }

    fn client(&self, base: &SafeUrl) -> Result<Arc<Upstream>, SourceError> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(base.expose().as_str()) {
            return Ok(client.clone());
        }
        let host = base.expose().host_str().unwrap_or_default();
        let guard = Arc::new(self.guard.and_host(host));
        let made = Upstream::new(base, guard, self.options_of(base));
        let client = Arc::new(made.map_err(|error| {
            SourceError::new(SourceErrorKind::Internal, format!("`{base}`: {error}"))
        })?);
        clients.insert(base.expose().as_str().to_owned(), client.clone());
        Ok(client)
    }

    fn options_of(&self, base: &SafeUrl) -> UpstreamOptions {
        let base = base.to_string();
        let carrier = self.of_upstreams.iter().find(|(name, _)| {
            base.strip_prefix(&**name)
                .is_some_and(|rest| rest.starts_with("/sumdb/"))
        });
        carrier.map_or_else(|| self.direct.clone(), |(_, options)| options.clone())
    }
}

#[async_trait]
impl SumdbHttp for DatabaseHttp {
    async fn get(&self, base: &SafeUrl, path: &str) -> Result<Bytes, TransportError> {
        self.get_below(base, path).await.map_err(|error| {
            let failure = *error.0;
            match (failure.kind, failure.status) {
                (SourceErrorKind::NotExist | SourceErrorKind::Gone, Some(status)) => {
                    TransportError::Absent {
                        status,
                        text: failure.upstream_text.unwrap_or(failure.text),
                    }
                }
                _ => TransportError::Unavailable {
                    text: match failure.url {
                        Some(url) => format!("{url}: {}", failure.text),
                        None => failure.text,
                    },
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::raw_server::{RawServer, answer, impatient};

    #[tokio::test]
    async fn a_database_is_asked_below_its_base() {
        let server = RawServer::start(|_, request| match request.split(' ').nth(1) {
            Some("/go/sumdb/sum.example/latest") => answer("200 OK", &[], b"a note"),
            Some("/go/sumdb/sum.example/supported") => answer("200 OK", &[], b""),
            Some("/go/sumdb/sum.example/page") => answer("200 OK", &[], b"<html>"),
            _ => answer("404 Not Found", &[], b"no such thing"),
        })
        .await;
        let list = gomod::ProxyList::parse(&format!("http://{}/go/", server.address)).unwrap();
        let options = |_: &SafeUrl| impatient();
        let guard = crate::address_guard(list.entries(), &[], options);
        let direct = crate::Direct::missing("there is no git here");
        let sources = crate::build(list.entries(), &[], Arc::default(), guard, options, direct);
        let http = sources.unwrap().database_http(impatient());
        let base = format!("http://{}/go/sumdb/sum.example", server.address);
        let base = SafeUrl::parse(&base).unwrap();
        assert_eq!(http.get_below(&base, "/latest").await.unwrap(), "a note");
        assert_eq!(http.get_below(&base, "/supported").await.unwrap(), "");
        let absent = http.get_below(&base, "/lookup/x@v1.0.0").await.unwrap_err();
        assert_eq!(absent.kind(), SourceErrorKind::NotExist);
        assert_eq!(absent.0.upstream_text.as_deref(), Some("no such thing"));
        let page = http.get_below(&base, "/page").await.unwrap_err();
        assert_eq!(page.kind(), SourceErrorKind::BadAnswer);

        let absent = TransportError::Absent {
            status: 404,
            text: "no such thing".to_owned(),
        };
        assert_eq!(http.get(&base, "/lookup/x@v1.0.0").await, Err(absent));
        let unavailable = http.get(&base, "/page").await.unwrap_err().to_string();
        assert!(
            unavailable.contains("/sumdb/sum.example/page: the answer"),
            "{unavailable}"
        );
    }

    #[test]
    fn a_database_behind_an_upstream_is_asked_with_that_upstreams_options() {
        let named = |name: &str| UpstreamOptions::new(name, crate::TlsRoots::none());
        let http = DatabaseHttp::new(
            vec![
                ("https://a.example".into(), named("a")),
                ("https://a.example/b".into(), named("b")),
            ],
            Arc::new(AddressGuard::default()),
            named("direct"),
        );
        let options = |base: &str| http.options_of(&SafeUrl::parse(base).unwrap()).instance;
        assert_eq!(options("https://a.example/sumdb/sum.example"), "a");
        assert_eq!(options("https://a.example/b/sumdb/sum.example"), "b");
        assert_eq!(options("https://sum.example"), "direct");
        assert_eq!(options("https://a.example.org/sumdb/sum.example"), "direct");
    }
}
