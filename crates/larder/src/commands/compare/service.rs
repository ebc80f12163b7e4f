//! One service: asked, measured, judged.

use super::Known;
use crate::timed_http::{Exchange, Phases, Reply, TimedClient};
use gomod::zip::{Limits, check_and_hash};
use gomod::{FileKind, Info, ModulePath, ModuleVersion, Query, Request, SafeUrl, Version};
use http::Method;
use http::header::{HeaderName, HeaderValue, RANGE};
use serde::Serialize;
use std::collections::BTreeMap;
use tlsdoctor::certificate::Certificate;

/// A zip of the set is a few hundred kilobytes.
const ZIP_BYTES: usize = 64 << 20;
const ANSWER_BYTES: usize = 8 << 20;

/// A module that nobody has. The host is reserved (RFC 2606), so that no private name is given away.
const NOBODY_HAS: &str = "larder.invalid/no/such/module";

/// A service that is being asked.
pub(super) struct Service {
    url: SafeUrl,
    client: TimedClient,
    left: u32,
    samples_ms: Vec<f64>,
}

/// What came out for one service.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) url: String,
    /// Why nothing could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<String>,
    /// Of the first request.
    pub(super) phases_ms: Phases,
    pub(super) tls: Option<String>,
    pub(super) http2: bool,
    /// Until the first certificate of the chain expires.
    pub(super) chain_days_left: Option<i64>,
    /// Of answers over an open connection.
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    /// Of the largest zip, in bytes a second.
    pub(super) throughput: Option<f64>,
    /// Files that should be there: how many are, of how many.
    pub(super) complete: (u32, u32),
    /// Files that are missing, with what was answered.
    pub(super) missing: Vec<String>,
    /// Files whose hash is not the checksum database's.
    pub(super) wrong: Vec<String>,
    /// How many hashes the database vouched for.
    pub(super) verified: u32,
    /// The hashes of files that the database says nothing of.
    pub(super) unvouched: BTreeMap<String, String>,
    /// Of these, the files that another service has otherwise; filled in when all are known.
    pub(super) disputed: Vec<String>,
    /// Versions listed, by module.
    pub(super) listed: BTreeMap<String, Vec<String>>,
    /// `@latest`, by module.
    pub(super) latest: BTreeMap<String, String>,
    /// Versions that another service lists and this one does not; filled in when all are known.
    pub(super) behind: u32,
    pub(super) head: Option<bool>,
    pub(super) range: Option<bool>,
    /// Whether it hands on the checksum database.
    pub(super) sumdb: Option<bool>,
    /// What it answers for a module that nobody has: 404 and 410 let a list go on.
    pub(super) absent_status: Option<u16>,
    /// What it answers for the private module; nothing where none was named.
    pub(super) private_status: Option<u16>,
    pub(super) requests: u32,
}

impl Judged {
    /// Wrong bytes, bytes that may be, or nothing at all.
    pub(super) fn is_faulty(&self) -> bool {
        self.failure.is_some() || !self.wrong.is_empty() || !self.disputed.is_empty()
    }
}

impl Service {
    pub(super) fn new(url: SafeUrl, client: TimedClient, requests: u32) -> Self {
        Self {
            url,
            client,
            left: requests,
            samples_ms: Vec::new(),
        }
    }

    /// Asks everything that the budget allows.
    pub(super) async fn judge(
        mut self,
        modules: &[ModuleVersion],
        known: &Known,
        private: Option<&ModulePath>,
    ) -> Judged {
        let budget = self.left;
        let mut judged = Judged {
            url: self.url.to_string(),
            failure: None,
            phases_ms: Phases::default(),
            tls: None,
            http2: false,
            chain_days_left: None,
            p50_ms: None,
            p99_ms: None,
            throughput: None,
            complete: (0, 0),
            missing: Vec::new(),
            wrong: Vec::new(),
            verified: 0,
            unvouched: BTreeMap::new(),
            disputed: Vec::new(),
            listed: BTreeMap::new(),
            latest: BTreeMap::new(),
            behind: 0,
            head: None,
            range: None,
            sumdb: None,
            absent_status: None,
            private_status: None,
            requests: 0,
        };
        match self.greet(modules, &mut judged).await {
            Ok(()) => {
                for module in modules {
                    self.module(module, known, &mut judged).await;
                }
                self.protocol(modules, private, &mut judged).await;
                self.latency(modules).await;
            }
            Err(failure) => judged.failure = Some(failure),
        }
        (judged.p50_ms, judged.p99_ms) = percentiles(&mut self.samples_ms);
        judged.requests = budget - self.left;
        judged
    }

    /// The first request shows name, connection and TLS.
    async fn greet(
        &mut self,
        modules: &[ModuleVersion],
        judged: &mut Judged,
    ) -> Result<(), String> {
        let Some(first) = modules.first() else {
            return Err("no module to ask for".into());
        };
        let request = Request::List(first.path().clone());
        let Some(exchange) = self
            .ask(Method::GET, &request.path(), &[], ANSWER_BYTES)
            .await
        else {
            return Err("the budget of requests is 0".into());
        };
        judged.phases_ms = exchange.phases;
        if let Some(peer) = &exchange.peer {
            judged.tls = Some(peer.version.clone());
            judged.chain_days_left = days_left(&peer.chain);
        }
        let reply = exchange.result?;
        judged.http2 = reply.http2;
        Ok(())
    }

    async fn module(&mut self, module: &ModuleVersion, known: &Known, judged: &mut Judged) {
        let path = module.path();
        if let Some(reply) = self.reply(&Request::List(path.clone()), judged).await {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            let versions = text
                .lines()
                .filter_map(|line| Version::parse(line.split_whitespace().next()?).ok());
            let versions = versions.map(|version| version.to_string()).collect();
            judged.listed.insert(path.to_string(), versions);
        }
        // `@latest` is not compulsory: the go command falls back to the list.
        if let Some(exchange) = self.get(&Request::Latest(path.clone()).path()).await
            && let Ok(reply) = &exchange.result
            && reply.status == 200
            && let Ok(info) = Info::parse(&reply.body)
        {
            judged
                .latest
                .insert(path.to_string(), info.version.to_string());
        }
        let _ = self
            .reply(&Request::File(module.clone(), FileKind::Info), judged)
            .await;
        let sums = known.get(module).and_then(|said| said.as_ref().ok());
        if let Some(reply) = self
            .reply(&Request::File(module.clone(), FileKind::Mod), judged)
            .await
        {
            let got = gomod::GoModHash::of(&reply.body);
            match sums.and_then(|sums| sums.go_mod) {
                Some(expected) if expected == got => judged.verified += 1,
                Some(expected) => judged.wrong.push(format!(
                    "{module} .mod: {} instead of {}",
                    got.0, expected.0
                )),
                None => {
                    let file = format!("{module} .mod");
                    judged.unvouched.insert(file, got.0.to_string());
                }
            }
        }
        if let Some(reply) = self
            .reply(&Request::File(module.clone(), FileKind::Zip), judged)
            .await
        {
            let bytes = reply.body.len() as u64;
            match (
                check_and_hash(reply.body.as_ref(), bytes, module, &Limits::default()),
                sums.and_then(|sums| sums.zip),
            ) {
                (Ok(report), Some(expected)) if report.hash == expected => judged.verified += 1,
                (Ok(report), Some(expected)) => {
                    judged.wrong.push(format!(
                        "{module} .zip: {} instead of {}",
                        report.hash.0, expected.0
                    ));
                }
                (Ok(report), None) => {
                    let file = format!("{module} .zip");
                    judged.unvouched.insert(file, report.hash.0.to_string());
                }
                (Err(error), _) => judged.wrong.push(format!("{module} .zip: {error}")),
            }
        }
    }

    /// A file or list that should be there.
    async fn reply(&mut self, request: &Request, judged: &mut Judged) -> Option<Reply> {
        let limit = match request {
            Request::File(_, FileKind::Zip) => ZIP_BYTES,
            _ => ANSWER_BYTES,
        };
        let exchange = self.ask(Method::GET, &request.path(), &[], limit).await?;
        judged.complete.1 += 1;
        let outcome = match exchange.result {
            Ok(reply) if reply.status == 200 => {
                judged.complete.0 += 1;
                let waited = exchange.phases.first_byte.unwrap_or_default();
                let seconds = (waited + exchange.phases.body.unwrap_or_default()) / 1000.0;
                let bytes = u32::try_from(reply.body.len()).unwrap_or(u32::MAX);
                // Less says more of the clock than of the line.
                if bytes > 64 << 10 && seconds > 0.0 {
                    let rate = f64::from(bytes) / seconds;
                    judged.throughput = Some(judged.throughput.unwrap_or_default().max(rate));
                }
                return Some(reply);
            }
            Ok(reply) => reply.status.to_string(),
            Err(error) => error,
        };
        judged
            .missing
            .push(format!("{}: {outcome}", request.path()));
        None
    }

    async fn protocol(
        &mut self,
        modules: &[ModuleVersion],
        private: Option<&ModulePath>,
        judged: &mut Judged,
    ) {
        let Some(module) = modules.first() else {
            return;
        };
        let zip = Request::File(module.clone(), FileKind::Zip).path();
        if let Some(exchange) = self.ask(Method::HEAD, &zip, &[], ANSWER_BYTES).await {
            judged.head = Some(
                matches!(&exchange.result, Ok(reply) if reply.status == 200 && reply.body.is_empty()),
            );
        }
        let range = [(RANGE, HeaderValue::from_static("bytes=0-3"))];
        if let Some(exchange) = self.ask(Method::GET, &zip, &range, ZIP_BYTES).await {
            judged.range = Some(
                matches!(&exchange.result, Ok(reply) if reply.status == 206 && reply.body.len() == 4),
            );
        }
        if let Some(exchange) = self.get("sumdb/sum.golang.org/supported").await {
            judged.sumdb = Some(matches!(&exchange.result, Ok(reply) if reply.status == 200));
        }
        judged.absent_status = self.status(&format!("{NOBODY_HAS}/@v/list")).await;
        if let Some(private) = private {
            judged.private_status = self.status(&Request::List(private.clone()).path()).await;
        }
    }

    async fn status(&mut self, path: &str) -> Option<u16> {
        let exchange = self.get(path).await?;
        exchange.result.ok().map(|reply| reply.status)
    }

    /// The same small files again, as long as the budget lasts, at most 20 times.
    async fn latency(&mut self, modules: &[ModuleVersion]) {
        for module in modules.iter().cycle().take(20) {
            let path = Request::File(module.clone(), FileKind::Info).path();
            if self.get(&path).await.is_none() {
                return;
            }
        }
    }

    async fn get(&mut self, path: &str) -> Option<Exchange> {
        self.ask(Method::GET, path, &[], ANSWER_BYTES).await
    }

    /// `None` when the budget is spent. Redirects count.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, HeaderValue)],
        limit: usize,
    ) -> Option<Exchange> {
        if self.left == 0 {
            return None;
        }
        let url = self.url.join_path(path);
        let exchange = self.client.ask(method, url.expose(), headers, limit).await;
        let made = u32::try_from(self.client.take_record().len()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(made.max(1));
        if exchange.reused && exchange.result.is_ok() {
            self.samples_ms.extend(exchange.phases.first_byte);
        }
        Some(exchange)
    }
}

/// The newest of the versions that somebody lists.
pub(super) fn newest(versions: &[String]) -> Option<Version> {
    let versions: Vec<Version> = versions
        .iter()
        .filter_map(|text| Version::parse(text).ok())
        .collect();
    Query::Latest.select(&versions, |_| true).cloned()
}

fn days_left(chain: &[rustls::pki_types::CertificateDer<'static>]) -> Option<i64> {
    chain
        .iter()
        .filter_map(|der| Certificate::parse(der).ok())
        .map(|certificate| {
            certificate
                .not_after
                .duration_since(jiff::Timestamp::now())
                .as_hours()
                / 24
        })
        .min()
}

/// Median and 99th percentile by nearest rank.
fn percentiles(samples: &mut [f64]) -> (Option<f64>, Option<f64>) {
    samples.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        let rank = (samples.len() * hundredths).div_ceil(100).max(1);
        samples.get(rank - 1).copied()
    };
    (at(50), at(99))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        assert_eq!(percentiles(&mut []), (None, None));
        assert_eq!(percentiles(&mut [3.0]), (Some(3.0), Some(3.0)));
        let mut samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentiles(&mut samples), (Some(50.0), Some(99.0)));
    }
}
