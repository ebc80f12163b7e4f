//! The stages of a diagnosis, in order, until the first broken one.
//!
//! A healthy target costs one connection, one handshake and one request. Everything else (variations of
//! the hello, fetched issuers, other names, other name servers) is tried only where something is broken,
//! and side by side.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::net::TcpStream;

use crate::certificate::Certificate;
use crate::chain::{self, Case};
use crate::clients;
use crate::connect::{Attempt, Connection, NetworkFault, ProxyFault, Route, connect_all};
use crate::dns::{Asked, DnsFault, Resolution, resolve};
use crate::finding::Judgement;
use crate::flight::Found;
use crate::forward_proxy::{ForwardProxy, ProxyKind};
use crate::handshake::{FaultKind, Groups, HandshakeFault, Session, shake};
use crate::hello::{Offer, cipher_name, group, version};
use crate::http::{Fetched, Http, HttpFault, Led, Manner};
use crate::options::{Expects, Options};
use crate::probe::{Reaction, probe};
use crate::protocol::{self, Outcome};
use crate::reach::ends_in_private_network;
use crate::report::{
    ClientVerdict, Clients, Handshake, Report, SentCertificate, Stage, StageName, StageStatus,
    Verdict,
};
use crate::target::{Scheme, Target};
use crate::verify::{Chain, Question, Refusal, verify_sent};

/// A clock that differs by more than this is worth a word.
const SKEW_SECONDS: i64 = 300;

/// Protocols that Go's HTTP client offers.
const PROTOCOLS: &[&str] = &["h2", "http/1.1"];

/// Finds out what is wrong with a target, or that nothing is.
///
/// Ends within the time-outs of `options`: each stage has its own, and what is tried after a failure runs
/// side by side within one more.
pub async fn diagnose(target: &Target, options: &Options) -> Report {
    diagnose_over(target, options, &mut None).await
}

/// The same, where several targets of one host are examined one after the other with the same options: a
/// connection that was found sound is kept and asked again, as go's own client does. Such a report tells
/// of the request alone.
pub async fn diagnose_over(
    target: &Target,
    options: &Options,
    kept: &mut Option<KeptConnection>,
) -> Report {
    let mut examination = Examination {
        target,
        options,
        kept: kept.take(),
        report: Report {
            target: target.clone(),
            verdict: Verdict::Healthy,
            stages: Vec::new(),
            findings: Vec::new(),
            clients: Clients::default(),
            handshake: None,
            chain: Vec::new(),
            repair: None,
            answer: None,
            is_in_private_network: false,
        },
    };
    // `None` is a broken stage, whose finding stands in the report.
    let _ = Box::pin(examination.run()).await;
    *kept = examination.kept;
    let mut report = examination.report;
    report.verdict = match report.clients.go.ok {
        true => Verdict::Healthy,
        false => Verdict::Faulty,
    };
    report
}

struct Examination<'a> {
    target: &'a Target,
    options: &'a Options,
    kept: Option<KeptConnection>,
    report: Report,
}

/// A connection on which a request was answered, and which stands.
pub struct KeptConnection {
    http: Http,
    route: Route,
    handshake: Option<Handshake>,
    chain: Vec<SentCertificate>,
}

impl KeptConnection {
    /// Whether it leads to the host and port of this target, by its scheme.
    pub fn leads_to(&self, target: &Target) -> bool {
        let own = &self.route.target;
        (own.scheme, &own.host, own.port) == (target.scheme, &target.host, target.port)
    }
}

/// Counts a stage's time.
struct Clock(Instant);

impl Clock {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// In milliseconds, to a tenth.
    fn ms(&self) -> f64 {
        (self.0.elapsed().as_secs_f64() * 10_000.0).round() / 10.0
    }
}

impl<'a> Examination<'a> {
    async fn run(&mut self) -> Option<()> {
        if let Some(kept) = self.kept.take()
            && kept.leads_to(self.target)
            && self.asked_again(kept).await
        {
            return Some(());
        }
        let (host, port) = match &self.options.forward_proxy {
            Some(proxy) => (proxy.host.clone(), proxy.port),
            None => (self.target.host.clone(), self.target.port),
        };
        let addresses = self.dns(&host).await?;
        let addresses = self.within_reach(addresses)?;
        let addresses: Vec<_> = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address, port))
            .collect();
        let (stream, address) = self.tcp(&host, &addresses).await?;
        self.met_at(address.ip());
        let local = stream
            .local_addr()
            .map(|it| it.to_string())
            .unwrap_or_default();
        let route = Route {
            address,
            proxy: self.options.forward_proxy.clone(),
            target: self.target.clone(),
            time: self.options.timeouts.handshake,
        };
        let connection = self.proxy(&route, stream).await?;
        match self.target.scheme {
            Scheme::Http => self.plain(&route, connection, &local).await,
            Scheme::Https => Box::pin(self.secured(&route, connection, &local)).await,
        }
    }

    /// One more request over a connection that stands. False where it brought no answer, or one that is
    /// worth a look at the whole way: then nothing of it is told.
    async fn asked_again(&mut self, kept: KeptConnection) -> bool {
        let clock = Clock::start();
        let KeptConnection {
            mut http,
            route,
            handshake,
            chain,
        } = kept;
        let proxy_authorization = self.proxy_authorization(&route);
        let manner = self.manner(&route, proxy_authorization.as_deref());
        let time = self.options.timeouts.request;
        let fetched = match http.fetch(self.target, &manner, time).await {
            Ok(fetched) => fetched,
            // It was waited for long enough.
            Err(HttpFault::Silent) => {
                self.report.handshake = handshake;
                self.unanswered(&route, &clock, &HttpFault::Silent, "")
                    .await;
                return true;
            }
            Err(_) => return false,
        };
        if judge_answer(self.target, &fetched, self.options.expects).is_some() {
            return false;
        }
        self.met_at(route.address.ip());
        self.report.answer = Some(fetched.answer.clone());
        self.report.handshake = handshake.clone();
        self.report.chain = chain.clone();
        let (status, evidence) = self.describe_answer(&fetched);
        self.stage(StageName::Http, status, &clock, evidence);
        self.kept = (!fetched.is_cut).then_some(KeptConnection {
            http,
            route,
            handshake,
            chain,
        });
        true
    }

    fn is_proxied(&self, route: &Route) -> bool {
        let proxy = route.proxy.as_ref();
        self.target.scheme == Scheme::Http
            && proxy.is_some_and(|proxy| proxy.kind == ProxyKind::Http)
    }

    fn proxy_authorization(&self, route: &Route) -> Option<String> {
        let proxy = route.proxy.as_ref();
        proxy
            .filter(|_| self.is_proxied(route))
            .and_then(ForwardProxy::authorization)
    }

    fn manner<'b>(&self, route: &Route, proxy_authorization: Option<&'b str>) -> Manner<'b>
    where
        'a: 'b,
    {
        Manner {
            authorization: self.target.authorization(),
            is_proxied: self.is_proxied(route),
            proxy_authorization,
        }
    }

    fn passed(&mut self, stage: StageName, clock: &Clock, evidence: Vec<String>) {
        self.stage(stage, StageStatus::Passed, clock, evidence);
    }

    fn stage(
        &mut self,
        stage: StageName,
        status: StageStatus,
        clock: &Clock,
        evidence: Vec<String>,
    ) {
        self.report.stages.push(Stage {
            host: self.target.short_authority(),
            stage,
            status,
            ms: clock.ms(),
            evidence,
        });
    }

    /// Ends the diagnosis: the stage is broken, and go prints `Get "URL": …`.
    fn broken(&mut self, stage: StageName, clock: &Clock, judgement: Judgement, go: &str) {
        let go = format!("Get \"{}\": {go}", self.target);
        self.broken_saying(stage, clock, judgement, go);
    }

    /// The same where go's words are other ones.
    fn broken_saying(&mut self, stage: StageName, clock: &Clock, judgement: Judgement, go: String) {
        let root_was_sent = self.report.chain.iter().skip(1).any(|it| it.is_self_issued);
        let host = self.target.host.as_str();
        self.report.clients = clients::for_cause(judgement.cause, go, host, root_was_sent);
        let evidence = judgement.evidence.clone();
        self.stage(stage, StageStatus::Failed, clock, evidence);
        let by_hand = by_hand(stage, self.target, self.options.forward_proxy.as_ref());
        self.find(match by_hand {
            Some(command) => judgement.and(format!("to see it by hand: {command}")),
            None => judgement,
        });
    }

    fn find(&mut self, judgement: Judgement) {
        let finding = judgement.finding(&self.target.short_authority());
        self.report.findings.extend(finding);
    }

    async fn dns(&mut self, host: &str) -> Option<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Some(vec![address]);
        }
        let clock = Clock::start();
        let options = self.options;
        let found = resolve(host, &options.resolvers, options.timeouts.dns).await;
        let mut evidence: Vec<_> = found.asked.iter().map(Asked::describe).collect();
        if !found.addresses.is_empty() {
            let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
            evidence.insert(0, format!("{host}: {}", addresses.join(", ")));
            self.passed(StageName::Dns, &clock, evidence);
            return Some(found.addresses);
        }
        let (cause, go) = judge_dns(host, &found);
        let mut judgement = Judgement::certain(cause, format!("{host} has no address"));
        judgement.evidence.extend(evidence);
        let error = found
            .system_error
            .map(|it| format!("the system says: {it}"));
        judgement.evidence.extend(error);
        if let Some(proxy) = &options.forward_proxy {
            judgement.cause = "http-proxy-unreachable";
            let judgement = judgement.and(format!("that is the host of the proxy {proxy}"));
            self.broken(
                StageName::Dns,
                &clock,
                judgement,
                &format!("proxyconnect tcp: {go}"),
            );
        } else {
            self.broken(StageName::Dns, &clock, judgement, &go);
        }
        None
    }

    /// The addresses that may be dialled, where a stranger named the target.
    fn within_reach(&mut self, addresses: Vec<IpAddr>) -> Option<Vec<IpAddr>> {
        let clock = Clock::start();
        let reach = self.options.reach;
        let allowed: Vec<IpAddr> = match &self.options.forward_proxy {
            Some(_) if reach.allows_by_proxy(self.target) => addresses.clone(),
            Some(_) => Vec::new(),
            None => {
                let allowed = addresses.iter().filter(|it| reach.allows(**it));
                allowed.copied().collect()
            }
        };
        if !allowed.is_empty() {
            return Some(allowed);
        }
        let at = match self.options.forward_proxy {
            Some(_) => self.target.host.clone(),
            None => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                addresses.join(", ")
            }
        };
        let judgement = Judgement::likely(
            "redirect-private",
            &["captive-portal"],
            format!("an answer from outside leads to {}", self.target),
        )
        .and(format!(
            "that is in a private network ({at}): it was not followed"
        ));
        let go = "go follows the redirect; what it meets there was not looked at";
        self.broken(StageName::Dns, &clock, judgement, go);
        None
    }

    fn met_at(&mut self, dialled: IpAddr) {
        let proxy = self.options.forward_proxy.as_ref();
        self.report.is_in_private_network = ends_in_private_network(self.target, dialled, proxy);
    }

    async fn tcp(
        &mut self,
        host: &str,
        addresses: &[SocketAddr],
    ) -> Option<(TcpStream, SocketAddr)> {
        let clock = Clock::start();
        let (found, attempts) = connect_all(addresses, self.options.timeouts.connect).await;
        let evidence: Vec<_> = attempts.iter().map(describe_attempt).collect();
        if let Some((stream, address)) = found {
            let status = match attempts.iter().any(|it| it.outcome.is_err()) {
                true => StageStatus::Warning,
                false => StageStatus::Passed,
            };
            self.stage(StageName::Tcp, status, &clock, evidence);
            return Some((stream, address));
        }
        // Go tells of the first address.
        let first = attempts.first();
        let go = first.map_or_else(
            || "dial tcp: no address".to_owned(),
            |it| match &it.outcome {
                Err(fault) => fault.dial_text(it.address),
                Ok(()) => String::new(),
            },
        );
        let faults = || attempts.iter().filter_map(|it| it.outcome.as_ref().err());
        let cause = if faults().all(|fault| *fault == NetworkFault::TimedOut) {
            "net-timeout"
        } else if attempts.iter().all(|it| it.address.is_ipv6())
            && faults().all(|fault| matches!(fault, NetworkFault::NoRoute(_)))
        {
            "ipv6-broken"
        } else if faults().all(|fault| *fault == NetworkFault::Reset) {
            "net-reset"
        } else {
            "net-refused"
        };
        let mut judgement =
            Judgement::certain(cause, format!("no address of {host} takes a connection"));
        judgement.evidence.extend(evidence);
        if let Some(proxy) = &self.options.forward_proxy {
            judgement.cause = "http-proxy-unreachable";
            let judgement = judgement.and(format!("that is the host of the proxy {proxy}"));
            self.broken(
                StageName::Tcp,
                &clock,
                judgement,
                &format!("proxyconnect tcp: {go}"),
            );
        } else {
            self.broken(StageName::Tcp, &clock, judgement, &go);
        }
        None
    }

    async fn proxy(&mut self, route: &Route, stream: TcpStream) -> Option<Connection> {
        let Some(proxy) = &route.proxy else {
            return Some(Box::new(stream));
        };
        let clock = Clock::start();
        let fault = match route.over(stream).await {
            Ok(connection) => {
                let tunnel = match (proxy.kind, self.target.scheme) {
                    (ProxyKind::Http, Scheme::Http) => format!("{proxy} is asked for whole URLs"),
                    _ => format!("{proxy} opens a tunnel to {}", self.target.authority()),
                };
                self.passed(StageName::Proxy, &clock, vec![tunnel]);
                return Some(connection);
            }
            Err(fault) => fault,
        };
        let mut judged = judge_proxy(&fault, proxy.kind);
        // An HTTP proxy that was given a SOCKS greeting, or the other way round, says so when it is asked in
        // its own protocol.
        if let (ProxyKind::Socks5, ProxyFault::Silent | ProxyFault::Closed { .. }) =
            (proxy.kind, &fault)
        {
            let mut as_http = route.clone();
            if let Some(proxy) = &mut as_http.proxy {
                proxy.kind = ProxyKind::Http;
            }
            let speaks_http = match as_http.open().await {
                Ok(_) | Err(ProxyFault::Status { .. } | ProxyFault::WebPage(_)) => true,
                // It waits for a CONNECT that it dislikes, as it does not wait for SOCKS.
                Err(_) => false,
            };
            let confidence = "the greeting of SOCKS 5 is not answered";
            judged.0 = if speaks_http {
                Judgement::certain("http-proxy-config", confidence)
                    .and("CONNECT of HTTP is answered: it is an HTTP proxy")
            } else {
                Judgement::likely("http-proxy-config", &["http-proxy-no-answer"], confidence)
            };
        }
        let (judgement, go) = judged;
        self.broken(StageName::Proxy, &clock, judgement, &go);
        None
    }

    async fn secured(&mut self, route: &Route, connection: Connection, local: &str) -> Option<()> {
        let clock = Clock::start();
        let time = route.time;
        // A server that is silent for a while is asked with a small hello too, so that a dropped large one is
        // known within the time of one handshake.
        let groups = match self.options.go_debug.without_ml_kem {
            true => Groups::Small,
            false => Groups::OfGo,
        };
        let first = shake(connection, &self.target.host, PROTOCOLS, groups, time);
        tokio::pin!(first);
        let mut small = None;
        let shaken = match tokio::time::timeout(time / 4, &mut first).await {
            Ok(shaken) => shaken,
            Err(_) => {
                let offer = Offer::of_go(&self.target.host).small();
                // Within the same time: who says nothing is known for it when that is over.
                let probed = tokio::time::timeout(time - time / 4, probe(route, &offer));
                let (shaken, probed) = tokio::join!(first, probed);
                small = Some(probed.unwrap_or(Reaction::Silent));
                shaken
            }
        };
        match shaken {
            Ok(session) => {
                self.report.handshake = Some(session.facts.clone());
                let evidence = vec![describe_handshake(&session.facts)];
                self.passed(StageName::Tls, &clock, evidence);
                self.judged(route, session, local).await
            }
            Err(fault) => Box::pin(self.unshaken(route, &clock, &fault, local, small)).await,
        }
    }

    /// The handshake failed.
    async fn unshaken(
        &mut self,
        route: &Route,
        clock: &Clock,
        fault: &HandshakeFault,
        local: &str,
        small: Option<Reaction>,
    ) -> Option<()> {
        self.keep_chain(&fault.sent);
        match protocol::investigate(route, fault, self.options.go_debug, local, small).await {
            Outcome::Broken { judgement, go } => {
                self.broken(StageName::Tls, clock, judgement, &go);
                None
            }
            Outcome::GoAgrees(found) => self.without_session(route, clock, fault, *found).await,
        }
    }

    /// Go gets along with this server and this program does not: the certificates are judged from what was
    /// seen in the clear, and nothing is asked.
    async fn without_session(
        &mut self,
        route: &Route,
        clock: &Clock,
        fault: &HandshakeFault,
        found: Found,
    ) -> Option<()> {
        if let Some(server) = &found.server {
            let facts = Handshake {
                version: version::name(server.version),
                cipher: cipher_name(server.cipher),
                group: server.group.map(group::name),
                alpn: None,
                asks_for_certificate: found.asks_for_certificate,
            };
            let evidence = vec![describe_handshake(&facts)];
            self.report.handshake = Some(facts);
            self.passed(StageName::Tls, clock, evidence);
        }
        let sent = match found.certificates {
            Some(sent) => sent,
            None => fault.sent.clone(),
        };
        let why = match &fault.kind {
            FaultKind::Tls(text) => text.clone(),
            FaultKind::Alert(number) => format!("alert {number}"),
            other => format!("{other:?}"),
        };
        if sent.is_empty() {
            let judgement = Judgement::likely(
                "tls-handshake-alert",
                &["tls-bad-certificate"],
                format!("the handshake goes wrong after the ServerHello: {why}"),
            );
            self.broken(StageName::Tls, clock, judgement, &format!("tls: {why}"));
            return None;
        }
        let clock = Clock::start();
        let verdict = verify_sent(&sent, self.question());
        self.certificates(route, &clock, &sent, verdict, None)
            .await?;
        let clock = Clock::start();
        let text = format!(
            "go can speak to this server and this program cannot ({why}): nothing was asked"
        );
        self.stage(StageName::Http, StageStatus::Skipped, &clock, vec![text]);
        Some(())
    }

    /// The handshake is done: certificates, then the request.
    async fn judged(&mut self, route: &Route, session: Session, local: &str) -> Option<()> {
        let judging = Clock::start();
        let verdict = verify_sent(&session.sent, self.question());
        let is_two = session.facts.alpn.as_deref() == Some("h2");
        let sent = session.sent.clone();
        if verdict.is_ok() {
            self.certificates(route, &judging, &sent, verdict, None)
                .await?;
            let clock = Clock::start();
            return match Http::over(session.stream, is_two).await {
                Ok(http) => self.ask(route, http, &clock, local).await,
                Err(fault) => {
                    self.unanswered(route, &clock, &fault, local).await;
                    None
                }
            };
        }
        // The server's clock, without a word of ours that would be a secret.
        let date = match Http::over(session.stream, is_two).await {
            Ok(mut http) => {
                let time = self.options.timeouts.request.min(Duration::from_secs(3));
                let root = self.target.at("/");
                let fetched = http.fetch(&root, &Manner::default(), time).await;
                fetched.ok().and_then(|it| it.date)
            }
            Err(_) => None,
        };
        self.certificates(route, &judging, &sent, verdict, date)
            .await
    }

    fn question(&self) -> Question<'a> {
        Question {
            roots: &self.options.trust.roots,
            host: &self.target.host,
            now: self.options.now,
            go_debug: self.options.go_debug,
        }
    }

    /// Keeps the certificates for the report.
    fn keep_chain(&mut self, sent: &[Vec<u8>]) -> Vec<Arc<Certificate>> {
        let parsed: Vec<_> = sent
            .iter()
            .filter_map(|der| Certificate::parse(der).ok())
            .map(Arc::new)
            .collect();
        let now = self.options.now;
        self.report.chain = parsed
            .iter()
            .map(|it| SentCertificate::of(it, now))
            .collect();
        parsed
    }

    async fn certificates(
        &mut self,
        route: &Route,
        clock: &Clock,
        sent: &[Vec<u8>],
        verdict: Result<Vec<Chain>, Refusal>,
        date: Option<Timestamp>,
    ) -> Option<()> {
        let parsed = self.keep_chain(sent);
        let refusal = match verdict {
            Ok(chains) => {
                self.accepted(clock, &parsed, &chains);
                return Some(());
            }
            Err(refusal) => refusal,
        };
        let case = Case {
            route,
            options: self.options,
            sent,
            certificates: &parsed,
            refusal: &refusal,
            date,
        };
        let weak = parsed
            .iter()
            .any(|it| it.signature_algorithm.is_weak() && !it.is_self_issued());
        let ((judgement, repair), go) = tokio::join!(chain::judge(&case), async {
            // A server that knows what Go takes refuses instead of showing such a certificate.
            if weak {
                match probe(route, &Offer::of_go(&self.target.host)).await {
                    Reaction::Alert(number) => Some(format!(
                        "remote error: tls: {}",
                        crate::probe::alert_text(number)
                    )),
                    _ => None,
                }
            } else {
                None
            }
        });
        self.report.repair = repair;
        let go = go.unwrap_or_else(|| refusal.text.clone());
        self.broken(StageName::Certificate, clock, judgement, &go);
        self.report.clients.go.ok = false;
        clients::for_refusal(&mut self.report.clients, &refusal);
        None
    }

    /// Go accepts the certificates; others may not.
    fn accepted(&mut self, clock: &Clock, certificates: &[Arc<Certificate>], chains: &[Chain]) {
        let Some(judgement) = chain::weak_for_others(certificates, self.options.go_debug) else {
            let chain = chains.first().map(|chain| chain::describe(chain));
            return self.passed(StageName::Certificate, clock, chain.into_iter().collect());
        };
        let evidence = judgement.evidence.clone();
        self.stage(
            StageName::Certificate,
            StageStatus::Warning,
            clock,
            evidence,
        );
        self.report.clients.curl = ClientVerdict::failing(
            "curl: (60) SSL certificate problem: EE certificate key too weak",
        );
        self.find(judgement);
    }

    /// Plain HTTP.
    async fn plain(&mut self, route: &Route, connection: Connection, local: &str) -> Option<()> {
        let clock = Clock::start();
        match Http::over(connection, false).await {
            Ok(http) => self.ask(route, http, &clock, local).await,
            Err(fault) => {
                self.unanswered(route, &clock, &fault, local).await;
                None
            }
        }
    }

    async fn ask(
        &mut self,
        route: &Route,
        mut http: Http,
        clock: &Clock,
        local: &str,
    ) -> Option<()> {
        let proxy_authorization = self.proxy_authorization(route);
        let manner = self.manner(route, proxy_authorization.as_deref());
        let time = self.options.timeouts.request;
        let fetched = match http.fetch(self.target, &manner, time).await {
            Ok(fetched) => fetched,
            Err(fault) => {
                self.unanswered(route, clock, &fault, local).await;
                return None;
            }
        };
        self.report.answer = Some(fetched.answer.clone());
        let status = fetched.answer.status;
        let is_plain = self.target.scheme == Scheme::Http;
        if is_plain && status == 400 && self.speaks_tls(route).await {
            self.http_to_tls(
                clock,
                format!("reading {}: 400 {}", self.target, fetched.answer.reason),
            );
            return None;
        }
        match judge_answer(self.target, &fetched, self.options.expects) {
            None => {
                let (status, evidence) = self.describe_answer(&fetched);
                self.stage(StageName::Http, status, clock, evidence);
                self.kept = (!fetched.is_cut).then(|| KeptConnection {
                    http,
                    route: route.clone(),
                    handshake: self.report.handshake.clone(),
                    chain: self.report.chain.clone(),
                });
                Some(())
            }
            Some((mut judgement, go)) => {
                if judgement.cause == "proxy-bad-body" && is_page(&fetched) {
                    // A path that no server can have tells a portal from a service in the wrong place.
                    let nowhere = format!("/larder-doctor-{:08x}/nowhere.info", fastrand::u32(..));
                    let manner = Manner {
                        authorization: None,
                        ..manner
                    };
                    let nowhere = http.fetch(&self.target.at(&nowhere), &manner, time).await;
                    if nowhere.is_ok_and(|it| it.answer.status == 200 && is_page(&it)) {
                        judgement.cause = "captive-portal";
                        judgement = judgement
                            .and("a path that no server can have is answered by a page too");
                    }
                }
                self.broken_saying(StageName::Http, clock, judgement, go);
                self.clients_of_status(status);
                None
            }
        }
    }

    /// What git and curl make of a status that Go refuses.
    fn clients_of_status(&mut self, status: u16) {
        if status == 200 || (300..400).contains(&status) {
            return;
        }
        self.report.clients.curl = ClientVerdict::default();
        self.report.clients.git =
            ClientVerdict::failing(format!("The requested URL returned error: {status}"));
    }

    fn describe_answer(&self, fetched: &Fetched) -> (StageStatus, Vec<String>) {
        let answer = &fetched.answer;
        let kind = answer.content_type.as_deref().unwrap_or("no content type");
        let mut evidence = vec![format!(
            "GET {}: {} {}, {kind}",
            self.target, answer.status, answer.reason
        )];
        let mut status = StageStatus::Passed;
        if let Led::Elsewhere(url) = &fetched.led {
            evidence.push(format!("it leads to another host: {url}"));
        }
        if let Some(date) = fetched.date {
            let skew = self.options.now.as_second() - date.as_second();
            if skew.abs() > SKEW_SECONDS {
                evidence.push(format!(
                    "this machine's clock is {} s {} the server's",
                    skew.abs(),
                    if skew > 0 { "ahead of" } else { "behind" }
                ));
                status = StageStatus::Warning;
            }
        }
        if answer.status >= 400 {
            status = StageStatus::Warning;
        }
        (status, evidence)
    }

    async fn speaks_tls(&self, route: &Route) -> bool {
        let reaction = probe(route, &Offer::of_go(&self.target.host)).await;
        matches!(reaction, Reaction::Agreed(_) | Reaction::Alert(_))
    }

    fn http_to_tls(&mut self, clock: &Clock, go: String) {
        let judgement = Judgement::certain(
            "http-to-tls-port",
            format!(
                "{} answers a ClientHello, and the URL says http://",
                self.target.authority()
            ),
        );
        self.broken_saying(StageName::Http, clock, judgement, go);
    }

    /// No answer to the request.
    async fn unanswered(&mut self, route: &Route, clock: &Clock, fault: &HttpFault, local: &str) {
        let get = format!("Get \"{}\"", self.target);
        let (what, go) = match fault {
            HttpFault::Silent => (
                "the request is sent, and nothing comes",
                "no answer; go waits without limit".to_owned(),
            ),
            HttpFault::Closed => ("the connection is closed in answer to the request", "EOF".to_owned()),
            HttpFault::Network(NetworkFault::Reset) => (
                "the connection is reset in answer to the request",
                format!("read tcp {local}->{}: read: connection reset by peer", route.address),
            ),
            HttpFault::Network(fault) => ("the connection fails", fault.describe()),
            HttpFault::Alert(number) => (
                "an alert comes in answer to the request",
                format!("remote error: tls: {}", crate::probe::alert_text(*number)),
            ),
            HttpFault::Protocol { text, first } if first.starts_with(b"HTTP/") => (
                "HTTP/2 was agreed and HTTP/1.1 comes",
                match self.target.scheme {
                    Scheme::Https => "http2: failed reading the frame payload: http2: frame too large, note that the frame header looked like an HTTP/1.1 header".to_owned(),
                    Scheme::Http => text.clone(),
                },
            ),
            HttpFault::Protocol { text, .. } => ("the answer is no HTTP", text.clone()),
        };
        if self.target.scheme == Scheme::Http && self.speaks_tls(route).await {
            self.http_to_tls(clock, format!("{get}: {go}"));
            return;
        }
        let asks = self
            .report
            .handshake
            .as_ref()
            .is_some_and(|it| it.asks_for_certificate);
        let judgement = match fault {
            HttpFault::Alert(116) => Judgement::certain("tls-client-cert-required", what)
                .and("alert 116 (certificate required)"),
            HttpFault::Alert(number) if asks => Judgement::certain(
                "tls-client-cert-required",
                "the server sent a CertificateRequest",
            )
            .and(format!("alert {number} comes in answer to the request")),
            HttpFault::Closed | HttpFault::Network(NetworkFault::Reset) if asks => {
                Judgement::likely("tls-client-cert-required", &["no-answer"], what)
                    .and("the server sent a CertificateRequest")
            }
            HttpFault::Alert(number) => {
                Judgement::certain("tls-handshake-alert", what).and(format!("alert {number}"))
            }
            HttpFault::Protocol { first, .. }
                if first.starts_with(b"HTTP/") && self.target.scheme == Scheme::Https =>
            {
                Judgement::certain("tls-alpn", what)
                    .and(format!("the first bytes: {}", crate::probe::shown(first)))
            }
            HttpFault::Protocol { first, .. } => {
                Judgement::likely("proxy-bad-body", &["net-http2-stream"], what)
                    .and(format!("the first bytes: {}", crate::probe::shown(first)))
            }
            _ => Judgement::certain("no-answer", what),
        };
        self.broken_saying(StageName::Http, clock, judgement, format!("{get}: {go}"));
    }
}

/// The command with which a sceptic sees the same; `None` where a name would need quoting.
fn by_hand(stage: StageName, target: &Target, proxy: Option<&ForwardProxy>) -> Option<String> {
    let (host, port) = match proxy {
        Some(proxy) if matches!(stage, StageName::Dns | StageName::Tcp) => {
            (proxy.host.clone(), proxy.port)
        }
        _ => (target.host.clone(), target.port),
    };
    let authority = target.authority();
    let command = match (stage, proxy) {
        (StageName::Dns, _) => format!("getent ahosts {host}"),
        (StageName::Tcp, _) => format!("nc -vz {host} {port}"),
        (StageName::Proxy | StageName::Http, Some(proxy)) => {
            format!("curl -vL --proxy {proxy} {target}")
        }
        (StageName::Proxy | StageName::Http, None) => format!("curl -vL {target}"),
        (StageName::Tls | StageName::Certificate, proxy) => {
            let name = match target.address() {
                Some(_) => " -noservername".to_owned(),
                None => format!(" -servername {host}"),
            };
            let proxy = proxy.map(|it| format!(" -proxy {}:{}", it.host, it.port));
            let proxy = proxy.unwrap_or_default();
            format!("openssl s_client -connect {authority}{name}{proxy} -showcerts </dev/null")
        }
    };
    let is_plain = |text: &str| {
        text.chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-/:[]~@!+".contains(letter))
            && !text.starts_with('-')
    };
    (is_plain(&host) && is_plain(&target.to_string())).then_some(command)
}

fn describe_attempt(attempt: &Attempt) -> String {
    let outcome = match &attempt.outcome {
        Ok(()) => "connected".to_owned(),
        Err(fault) => fault.describe(),
    };
    format!("{}: {outcome} ({:.1} ms)", attempt.address, attempt.ms)
}

fn describe_handshake(facts: &Handshake) -> String {
    let group = facts
        .group
        .as_deref()
        .map(|it| format!(", {it}"))
        .unwrap_or_default();
    let alpn = facts
        .alpn
        .as_deref()
        .map(|it| format!(", ALPN {it}"))
        .unwrap_or_default();
    format!("{}, {}{group}{alpn}", facts.version, facts.cipher)
}

/// Cause, and Go's words.
fn judge_dns(host: &str, found: &Resolution) -> (&'static str, String) {
    let lookup =
        |asked: &Asked, what: &str| format!("dial tcp: lookup {host} on {}: {what}", asked.server);
    let answered = |wanted: fn(u8) -> bool| {
        found
            .asked
            .iter()
            .find(|it| it.outcome.as_ref().is_ok_and(|answer| wanted(answer.code)))
    };
    if let Some(asked) = answered(|code| code == 0 || code == 3) {
        return ("dns-nxdomain", lookup(asked, "no such host"));
    }
    if let Some(asked) = answered(|code| code != 0 && code != 3) {
        return ("dns-server-failure", lookup(asked, "server misbehaving"));
    }
    let Some(asked) = found.asked.first() else {
        return ("net-dns", format!("dial tcp: lookup {host}: no such host"));
    };
    let local = asked.local.map(|it| it.to_string()).unwrap_or_default();
    let read = format!("read udp {local}->{}", asked.server);
    match &asked.outcome {
        Err(DnsFault::Network(fault)) => {
            let text = format!("{read}: read: {}", fault.describe());
            ("dns-unreachable", lookup(asked, &text))
        }
        Err(DnsFault::Malformed) => (
            "dns-server-failure",
            lookup(asked, "cannot unmarshal DNS message"),
        ),
        _ => (
            "dns-unreachable",
            lookup(asked, &format!("{read}: i/o timeout")),
        ),
    }
}

/// Cause, and Go's words.
fn judge_proxy(fault: &ProxyFault, kind: ProxyKind) -> (Judgement, String) {
    let asked = match kind {
        ProxyKind::Socks5 => "the greeting of SOCKS 5",
        ProxyKind::Http | ProxyKind::Https => "CONNECT",
    };
    let certain = Judgement::certain;
    match fault {
        ProxyFault::Status {
            status: 407,
            reason,
            asks,
        } => {
            let asks = asks
                .clone()
                .unwrap_or_else(|| "nothing that says how".to_owned());
            let judgement = certain(
                "http-proxy-auth",
                format!("{asked} is answered 407 {reason}"),
            );
            (
                judgement.and(format!("it asks for: {asks}")),
                reason.clone(),
            )
        }
        ProxyFault::Status { status, reason, .. } => {
            let cause = match status {
                401 | 403 | 451 => "http-proxy-forbidden",
                500..600 => "http-proxy-upstream",
                _ => "http-proxy-bad",
            };
            (
                certain(cause, format!("{asked} is answered {status} {reason}")),
                reason.clone(),
            )
        }
        ProxyFault::WebPage(kind) => (
            certain(
                "http-proxy-config",
                format!("{asked} is answered by a web page ({kind})"),
            ),
            "EOF".to_owned(),
        ),
        ProxyFault::Closed { received } => (
            certain(
                "http-proxy-no-answer",
                format!("{asked} is answered by {received} bytes and the end of the connection"),
            ),
            match received {
                0 => "unexpected EOF".to_owned(),
                _ => "malformed HTTP response".to_owned(),
            },
        ),
        ProxyFault::Silent => (
            certain("http-proxy-no-answer", format!("{asked} is not answered")),
            match kind {
                ProxyKind::Socks5 => "no answer; go waits without limit".to_owned(),
                _ => "context deadline exceeded".to_owned(),
            },
        ),
        ProxyFault::OtherProtocol(first) => (
            certain(
                "http-proxy-config",
                format!(
                    "{asked} is answered by something else: {}",
                    crate::probe::shown(first)
                ),
            ),
            "malformed HTTP response".to_owned(),
        ),
        ProxyFault::SocksRefused(code) => (
            certain(
                "http-proxy-upstream",
                format!("SOCKS 5 refuses with code {code}"),
            ),
            "socks connect tcp: general SOCKS server failure".to_owned(),
        ),
        ProxyFault::Tls(text) => (
            certain(
                "http-proxy-config",
                format!("the value says https://, and no TLS is spoken there: {text}"),
            ),
            "proxyconnect tcp: tls: first record does not look like a TLS handshake".to_owned(),
        ),
        ProxyFault::Network(fault) => (
            certain(
                "http-proxy-no-answer",
                format!("{asked}: {}", fault.describe()),
            ),
            "unexpected EOF".to_owned(),
        ),
    }
}

fn is_page(fetched: &Fetched) -> bool {
    let kind = fetched.answer.content_type.as_deref().unwrap_or_default();
    let body = fetched.answer.body.trim_start();
    body.starts_with('<') || kind.to_ascii_lowercase().contains("html")
}

/// What is wrong with an answer, and what the go command prints; `None` if nothing is.
fn judge_answer(
    target: &Target,
    fetched: &Fetched,
    expects: Expects,
) -> Option<(Judgement, String)> {
    let answer = &fetched.answer;
    let (status, reason) = (answer.status, &answer.reason);
    let get = |url: &str, text: &str| format!("Get \"{url}\": {text}");
    match &fetched.led {
        Led::ToPlain { from, to } => {
            let judgement =
                Judgement::certain("redirect-insecure", format!("{from} leads to {to}"));
            let text = format!("redirected from secure URL {from} to insecure URL {to}");
            return Some((judgement, get(to, &text)));
        }
        Led::InCircles(location) => {
            let judgement = Judgement::certain(
                "redirect-loop",
                format!("10 redirects, the last to {location}"),
            );
            return Some((judgement, get(location, "stopped after 10 redirects")));
        }
        Led::Elsewhere(_) => return None,
        Led::Here => {}
    }
    if fetched.is_cut && status == 200 {
        let judgement = Judgement::certain(
            "body-truncated",
            "the connection ends before the promised length of the body",
        );
        return Some((judgement, format!("read \"{target}\": unexpected EOF")));
    }
    let is_data = expects == Expects::Data;
    let cause = match status {
        407 => "http-proxy-auth",
        429 => "proxy-rate-limit",
        500..600 => "proxy-server-error",
        401 if is_data => "proxy-auth-required",
        402 | 403 | 451 if is_data => "proxy-forbidden",
        404 | 410 if is_data => "proxy-not-found",
        400..500 if is_data => "proxy-bad-body",
        200 if is_data && is_page(fetched) => "proxy-bad-body",
        _ => return None,
    };
    let mut judgement = Judgement::certain(cause, format!("GET {target}: {status} {reason}"));
    let extra = [
        answer
            .content_type
            .as_ref()
            .map(|it| format!("Content-Type: {it}")),
        fetched
            .retry_after
            .as_ref()
            .map(|it| format!("Retry-After: {it}")),
        fetched
            .asks
            .as_ref()
            .map(|it| format!("WWW-Authenticate: {it}")),
    ];
    judgement.evidence.extend(extra.into_iter().flatten());
    let start: String = answer.body.trim().chars().take(80).collect();
    if !start.is_empty() {
        judgement = judgement.and(format!(
            "the body begins: {}",
            start.replace(['\n', '\t'], " ")
        ));
    }
    if status == 200 {
        let text = "invalid character '<' looking for beginning of value";
        let base = format!("{}://{}", target.scheme.name(), target.short_authority());
        return Some((
            judgement,
            format!("invalid response from proxy \"{base}\": {text}"),
        ));
    }
    let is_text = answer
        .content_type
        .as_deref()
        .is_some_and(|kind| kind.starts_with("text/plain"));
    let mut go = format!("reading {target}: {status} {reason}");
    let body = answer.body.trim_end();
    // Go shows a body only if it is plain text, and indents what follows the first line.
    if is_text && !body.is_empty() {
        let separator = if body.contains('\n') { "\n\t" } else { " " };
        go.push_str("\n\tserver response:");
        go.push_str(separator);
        go.push_str(&body.replace('\n', "\n\t"));
    }
    Some((judgement, go))
}

#[cfg(test)]
mod tests;
