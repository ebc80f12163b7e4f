//! The HTTP clients of this room: for hosts that the operator named, and for hosts that a request chose.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use url::Url;

use crate::address::AddressGuard;
use crate::http_client::HttpClient;
use crate::{Netrc, Secret, SourceError, SourceErrorKind, Trust, UpstreamOptions};

/// Clients that are kept; beyond, the cache starts anew.
const KEPT: usize = 64;

/// Letters of a host's own words that are passed on.
const MOST_LETTERS: usize = 240;

/// Makes and keeps clients. They know no password by themselves: what is sent is what the asker says.
pub(super) struct Clients {
    guard: Arc<AddressGuard>,
    options: UpstreamOptions,
    /// By the named host; the empty name is the client of all others.
    kept: Mutex<BTreeMap<String, Arc<HttpClient>>>,
}

impl Clients {
    pub(super) fn new(guard: Arc<AddressGuard>, mut options: UpstreamOptions) -> Self {
        options.netrc = Arc::new(Netrc::default());
        Self {
            guard,
            options,
            kept: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn of(&self, host: &str, trust: Trust) -> Result<Arc<HttpClient>, SourceError> {
        match trust {
            Trust::Named => self.of_named_host(host),
            Trust::Chosen | Trust::PrivatelyChosen => self.client(""),
        }
    }

    /// A client that may dial this host wherever it is.
    pub(super) fn of_named_host(&self, host: &str) -> Result<Arc<HttpClient>, SourceError> {
        self.client(host)
    }

    fn client(&self, named_host: &str) -> Result<Arc<HttpClient>, SourceError> {
        let mut kept = self.kept.lock();
        if let Some(client) = kept.get(named_host) {
            return Ok(client.clone());
        }
        let internal = |text: String| SourceError::new(SourceErrorKind::Internal, text);
        let guard = match named_host {
            "" => self.guard.clone(),
            host => Arc::new(self.guard.and_host(host)),
        };
        // A base whose origin has no password of its own.
        let base = Url::parse("https://localhost").map_err(|error| internal(error.to_string()))?;
        let client = HttpClient::new(&base, guard, &self.options)
            .map_err(|error| internal(error.to_string()))?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        let client = Arc::new(client);
        kept.insert(named_host.to_owned(), client.clone());
        Ok(client)
    }
}

/// What a host wrote, as `, "…"`: the `message` of a JSON body or the first line of plain text, short, without
/// control characters and without the secrets that it was sent. Empty where there is nothing to quote.
pub(super) fn words(body: &[u8], sent: &[&Secret]) -> String {
    let text = String::from_utf8_lossy(body);
    let message = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => json["message"].as_str().unwrap_or_default().to_owned(),
        Err(_) => {
            let line = text.lines().find(|line| !line.trim().is_empty());
            line.unwrap_or_default().trim().to_owned()
        }
    };
    let mut message = message;
    for secret in sent {
        message = message.replace(secret.expose(), "***");
    }
    if message.is_empty() || message.starts_with('<') {
        return String::new();
    }
    let quoted: String = message
        .chars()
        .filter(|letter| !letter.is_control())
        .take(MOST_LETTERS)
        .collect();
    format!(", \"{quoted}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_quoted_in_short_and_without_what_it_was_sent() {
        let check = |body: &str, expected: &str| {
            let secret = Secret::new("hunter2");
            assert_eq!(words(body.as_bytes(), &[&secret]), expected);
        };
        check("", "");
        check("<!DOCTYPE html><p>no", "");
        check(
            "{\"message\": \"Bad credentials\"}",
            ", \"Bad credentials\"",
        );
        check("{\"token\": \"x\"}", "");
        check(
            "\n remote: no\u{1b}[31m hunter2!\nmore",
            ", \"remote: no[31m ***!\"",
        );
    }
}
