//! Counters for Prometheus. Label values come from closed sets; no label ever holds a module path.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use source::{
    BreakerState, Condition, EntryReport, GitObserver, GroupEvent, ObjectName, ProcessKind,
    RepositoryUrl, SourceErrorKind, SourceName, UpstreamObserver, UpstreamReport,
};
use store::check::Damaged;
use store::eviction::{EvictionObserver, Reason};
use store::scrub::ScrubObserver;
use store::{FileKey, StoreError, VerifiedBy};

use super::{Outcome, RefreshOutcome, RefreshedBy, RequestKind};

/// Upper bounds of the latency buckets, in seconds: from a hit in memory to a slow toolchain zip.
const BUCKETS: [f64; 12] = [
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    kind: &'static str,
    cache: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerifiedLabels {
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemberLabels {
    upstream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemberEventLabels {
    upstream: String,
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    upstream: String,
    condition: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabels {
    upstream: String,
    state: &'static str,
}

/// How the upstreams are, and the members of groups.
#[derive(Default)]
struct Members {
    events: Family<MemberEventLabels, Counter>,
    breaker: Family<BreakerLabels, Gauge>,
    mean_first_byte: Family<MemberLabels, Fraction>,
    error_rate: Family<MemberLabels, Fraction>,
    condition: Family<ConditionLabels, Gauge>,
    first_byte_p95: Family<MemberLabels, Fraction>,
    progress_p95: Family<MemberLabels, Fraction>,
    budget: Family<MemberLabels, Fraction>,
}

/// A gauge of fractions.
type Fraction = Gauge<f64, AtomicU64>;

impl Members {
    fn note(&self, entry: &EntryReport) {
        for upstream in entry.members() {
            self.note_upstream(upstream);
        }
        if let EntryReport::Group {
            extra_requests_left,
            members,
            ..
        } = entry
        {
            for member in members {
                let budget = self.budget.get_or_create(&MemberLabels::of(member));
                budget.set(*extra_requests_left);
            }
        }
    }

    fn note_upstream(&self, upstream: &UpstreamReport) {
        let labels = MemberLabels::of(upstream);
        let set = |family: &Family<MemberLabels, Fraction>, value: f64| {
            family.get_or_create(&labels).set(value);
        };
        if let Some(now) = upstream.breaker {
            for state in BreakerState::ALL {
                let labels = BreakerLabels {
                    upstream: upstream.name.to_string(),
                    state: state.name(),
                };
                let gauge = self.breaker.get_or_create(&labels);
                gauge.set(i64::from(state == now));
            }
        }
        if let Some(vitals) = upstream.vitals {
            let mean = vitals.mean_first_byte.unwrap_or_default();
            set(&self.mean_first_byte, mean.as_secs_f64());
            set(&self.error_rate, vitals.error_rate);
        }
        if let Some(health) = upstream.health {
            for condition in Condition::ALL {
                let labels = ConditionLabels {
                    upstream: upstream.name.to_string(),
                    condition: condition.name(),
                };
                let gauge = self.condition.get_or_create(&labels);
                gauge.set(i64::from(condition == health.condition));
            }
            set(&self.first_byte_p95, health.first_byte_p95.as_secs_f64());
            set(&self.progress_p95, health.progress_p95.as_secs_f64());
        }
    }

    fn register(registry: &mut Registry) -> Self {
        let members = Self::default();
        registry.register(
            "group_events",
            "What groups of upstreams did with their members: hedges started, won and cancelled, failovers, probes, refused files",
            members.events.clone(),
        );
        registry.register(
            "upstream_breaker",
            "1 for the state of an upstream's breaker: closed, open (taken to be down) or half-open (tried again)",
            members.breaker.clone(),
        );
        registry.register_with_unit(
            "upstream_first_byte_mean",
            "Weighted mean of the times to an upstream's first byte",
            Unit::Seconds,
            members.mean_first_byte.clone(),
        );
        registry.register(
            "upstream_error_rate",
            "Weighted share of the questions that an upstream did not answer, from 0 to 1",
            members.error_rate.clone(),
        );
        registry.register(
            "group_member_condition",
            "1 for how a member of a group stands: well, ill or mistrusted",
            members.condition.clone(),
        );
        registry.register_with_unit(
            "group_member_first_byte_p95",
            "95th percentile of the last times to the first byte of a file",
            Unit::Seconds,
            members.first_byte_p95.clone(),
        );
        registry.register_with_unit(
            "group_member_progress_p95",
            "95th percentile of the last times that 64 KiB of a file took",
            Unit::Seconds,
            members.progress_p95.clone(),
        );
        registry.register(
            "group_budget",
            "Extra requests that the group of this member may make now",
            members.budget.clone(),
        );
        members
    }
}

impl MemberLabels {
    fn of(upstream: &UpstreamReport) -> Self {
        Self {
            upstream: upstream.name.to_string(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GitLabels {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PrefetchLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EvictionLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabels {
    by: &'static str,
    outcome: &'static str,
}

/// All counters of a server.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    /// Those with status 200 by kind and outcome, resolved when they are first counted, for the same reason
    /// as the next.
    successes: Vec<OnceLock<Counter>>,
    /// Latency and bytes by kind, resolved once: a look-up in a family costs as much as a hit.
    by_kind: Vec<(Histogram, Counter)>,
    verified: Family<VerifiedLabels, Counter>,
    upstream: Family<UpstreamLabels, Counter>,
    upstream_bytes: Counter,
    upstream_seconds: Histogram,
    members: Members,
    refreshes: Family<RefreshLabels, Counter>,
    prefetched_files: Family<PrefetchLabels, Counter>,
    prefetched_bytes: Family<PrefetchLabels, Counter>,
    evicted_files: Family<EvictionLabels, Counter>,
    evicted_bytes: Family<EvictionLabels, Counter>,
    store_bytes: Gauge,
    store_limit_bytes: Gauge,
    git_processes: Family<GitLabels, Counter>,
    git_seconds: Family<KindLabels, Histogram>,
    git_running: Gauge,
    /// Zips whose fetch began before they were asked for.
    pub prefetches: Counter,
    /// Fills under way.
    pub flights: Gauge,
    /// Requests that joined another's fill.
    pub flights_joined: Counter,
    /// Files that a verifier refused.
    pub refused: Counter,
    /// Versions whose content was seen to differ from what came first: a tag was moved, most likely.
    pub moved_tags: Counter,
    /// Verified files that could not be stored.
    pub commit_failures: Counter,
    /// Older answers given because upstream was down.
    pub stale_answers: Counter,
    /// Open connections.
    pub connections: Gauge,
    /// Times that a request over plain HTTP left the lane.
    pub lane_declined: Counter,
    scrubbed_files: Counter,
    scrubbed_bytes: Counter,
    damaged_files: Counter,
    /// In seconds since 1970.
    last_scrub: Gauge,
}

impl Metrics {
    /// Counters at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("larder");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register(
            "requests",
            "Requests by kind, cache outcome and status",
            requests.clone(),
        );
        let seconds =
            Family::<KindLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to the end of its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        let sent = Family::<KindLabels, Counter>::default();
        registry.register_with_unit("sent", "Bytes of answers", Unit::Bytes, sent.clone());
        let by_kind = RequestKind::ALL
            .iter()
            .map(|kind| {
                let labels = KindLabels { kind: kind.name() };
                (
                    seconds.get_or_create(&labels).clone(),
                    sent.get_or_create(&labels).clone(),
                )
            })
            .collect();
        let verified = Family::<VerifiedLabels, Counter>::default();
        registry.register(
            "verified",
            "Files accepted, by who vouched for them",
            verified.clone(),
        );
        let upstream = Family::<UpstreamLabels, Counter>::default();
        registry.register(
            "upstream_requests",
            "Requests to upstreams, by outcome",
            upstream.clone(),
        );
        let upstream_bytes = Counter::default();
        registry.register_with_unit(
            "upstream_received",
            "Bytes received from upstreams",
            Unit::Bytes,
            upstream_bytes.clone(),
        );
        let upstream_seconds = Histogram::new(BUCKETS);
        registry.register_with_unit(
            "upstream_duration",
            "Time from a question to an upstream to its end, retries included",
            Unit::Seconds,
            upstream_seconds.clone(),
        );
        let members = Members::register(&mut registry);
        let flights = Gauge::default();
        registry.register("fills", "Fills under way", flights.clone());
        let flights_joined = Counter::default();
        registry.register(
            "fills_joined",
            "Requests that joined another's fill",
            flights_joined.clone(),
        );
        let refused = Counter::default();
        registry.register(
            "refused_files",
            "Files that a verifier refused",
            refused.clone(),
        );
        let moved_tags = Counter::default();
        registry.register(
            "moved_tags",
            "Times that a version's content or commit differed from what came first",
            moved_tags.clone(),
        );
        let commit_failures = Counter::default();
        registry.register(
            "commit_failures",
            "Verified files that were served but could not be stored",
            commit_failures.clone(),
        );
        let stale_answers = Counter::default();
        registry.register(
            "stale_answers",
            "Older answers given because upstream was down",
            stale_answers.clone(),
        );
        let refreshes = Family::<RefreshLabels, Counter>::default();
        registry.register(
            "refreshes",
            "Refreshes of modules, by who asked and by outcome",
            refreshes.clone(),
        );
        let prefetches = Counter::default();
        registry.register(
            "prefetches",
            "Zips whose fetch began before they were asked for",
            prefetches.clone(),
        );
        let prefetched_files = Family::<PrefetchLabels, Counter>::default();
        registry.register(
            "prefetched_files",
            "Zips fetched before they were asked for, by whether they then were",
            prefetched_files.clone(),
        );
        let prefetched_bytes = Family::<PrefetchLabels, Counter>::default();
        registry.register_with_unit(
            "prefetched",
            "Bytes of zips fetched before they were asked for, by whether they then were",
            Unit::Bytes,
            prefetched_bytes.clone(),
        );
        let evicted_files = Family::<EvictionLabels, Counter>::default();
        registry.register(
            "evicted_files",
            "Files that were evicted from the cache folder, by why",
            evicted_files.clone(),
        );
        let evicted_bytes = Family::<EvictionLabels, Counter>::default();
        registry.register_with_unit(
            "evicted",
            "Bytes of files that were evicted from the cache folder, by why",
            Unit::Bytes,
            evicted_bytes.clone(),
        );
        let store_bytes = Gauge::default();
        registry.register_with_unit(
            "store",
            "Bytes of module files in the cache folder; counted a while after the start",
            Unit::Bytes,
            store_bytes.clone(),
        );
        let store_limit_bytes = Gauge::default();
        registry.register_with_unit(
            "store_limit",
            "Bytes of module files that the cache folder may hold; 0 where there is no limit",
            Unit::Bytes,
            store_limit_bytes.clone(),
        );
        let git_processes = Family::<GitLabels, Counter>::default();
        registry.register(
            "git_processes",
            "Git processes that have ended, by what they did and by outcome",
            git_processes.clone(),
        );
        let git_seconds =
            Family::<KindLabels, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register_with_unit(
            "git_process_duration",
            "Time from the start of a git process to its end",
            Unit::Seconds,
            git_seconds.clone(),
        );
        let git_running = Gauge::default();
        registry.register(
            "git_processes_running",
            "Git processes under way",
            git_running.clone(),
        );
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        let lane_declined = Counter::default();
        registry.register(
            "lane_declined",
            "Times that a request over plain HTTP left the short way of hits",
            lane_declined.clone(),
        );
        let scrubbed_files = Counter::default();
        registry.register(
            "scrubbed_files",
            "Stored files that the scrub read again and found as they were stored",
            scrubbed_files.clone(),
        );
        let scrubbed_bytes = Counter::default();
        registry.register_with_unit(
            "scrubbed",
            "Bytes of those files",
            Unit::Bytes,
            scrubbed_bytes.clone(),
        );
        let damaged_files = Counter::default();
        registry.register(
            "damaged_files",
            "Stored files that the scrub found damaged",
            damaged_files.clone(),
        );
        let last_scrub = Gauge::default();
        registry.register_with_unit(
            "scrub_last_round_timestamp",
            "When the scrub last reached the end of the folder, since 1970; 0 where it has not yet",
            Unit::Seconds,
            last_scrub.clone(),
        );
        Arc::new(Self {
            registry: Mutex::new(registry),
            requests,
            successes: (0..RequestKind::ALL.len() * Outcome::ALL.len())
                .map(|_| OnceLock::new())
                .collect(),
            by_kind,
            verified,
            upstream,
            upstream_bytes,
            upstream_seconds,
            members,
            refreshes,
            prefetches,
            prefetched_files,
            prefetched_bytes,
            evicted_files,
            evicted_bytes,
            store_bytes,
            store_limit_bytes,
            git_processes,
            git_seconds,
            git_running,
            flights,
            flights_joined,
            refused,
            moved_tags,
            commit_failures,
            stale_answers,
            connections,
            lane_declined,
            scrubbed_files,
            scrubbed_bytes,
            damaged_files,
            last_scrub,
        })
    }

    /// The exposition text (OpenMetrics, which Prometheus reads).
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock();
        // Writing to a String does not fail; an encoder's own error would leave a partial text.
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }

    /// Says how the upstreams are.
    pub fn upstreams(&self, entries: &[EntryReport]) {
        for entry in entries {
            self.members.note(entry);
        }
    }

    /// Counts a refresh.
    pub fn refresh(&self, by: RefreshedBy, outcome: RefreshOutcome) {
        let labels = RefreshLabels {
            by: by.name(),
            outcome: outcome.name(),
        };
        self.refreshes.get_or_create(&labels).inc();
    }

    /// Says what the cache folder may hold.
    pub fn store_limit(&self, bytes: Option<u64>) {
        self.store_limit_bytes.set(gauge_value(bytes.unwrap_or(0)));
    }

    pub(crate) fn prefetched(&self, was_asked: bool, bytes: u64) {
        let outcome = if was_asked { "asked" } else { "unasked" };
        let labels = PrefetchLabels { outcome };
        self.prefetched_files.get_or_create(&labels).inc();
        self.prefetched_bytes.get_or_create(&labels).inc_by(bytes);
    }

    pub(super) fn request(
        &self,
        kind: RequestKind,
        outcome: Outcome,
        status: u16,
        sent_bytes: u64,
        elapsed: Duration,
    ) {
        let resolved = || {
            let labels = RequestLabels {
                kind: kind.name(),
                cache: outcome.name(),
                status: status_label(status),
            };
            self.requests.get_or_create(&labels).clone()
        };
        let success = (status == 200)
            .then(|| kind as usize * Outcome::ALL.len() + outcome as usize)
            .and_then(|at| self.successes.get(at));
        match success {
            Some(counter) => counter.get_or_init(resolved).inc(),
            None => resolved().inc(),
        };
        if let Some((seconds, sent)) = self.by_kind.get(kind as usize) {
            seconds.observe(elapsed.as_secs_f64());
            sent.inc_by(sent_bytes);
        }
    }

    pub(crate) fn verified(&self, by: &VerifiedBy) {
        let by = match by {
            VerifiedBy::ChecksumDatabase(_) => "checksum-database",
            VerifiedBy::FirstSight => "first-sight",
            VerifiedBy::Shape => "shape",
        };
        self.verified.get_or_create(&VerifiedLabels { by }).inc();
    }
}

impl Metrics {
    pub(super) fn eviction(&self, reason: Reason, bytes: u64) {
        let labels = EvictionLabels {
            reason: reason.name(),
        };
        self.evicted_files.get_or_create(&labels).inc();
        self.evicted_bytes.get_or_create(&labels).inc_by(bytes);
    }
}

impl EvictionObserver for Metrics {
    /// The log names the module; a label never does.
    fn evicted(&self, _: &FileKey, reason: Reason, bytes: u64) {
        self.eviction(reason, bytes);
    }

    fn stored_bytes(&self, bytes: u64) {
        self.store_bytes.set(gauge_value(bytes));
    }
}

fn gauge_value(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl UpstreamObserver for Metrics {
    fn finished(
        &self,
        upstream: &SourceName,
        outcome: Result<(), SourceErrorKind>,
        bytes: u64,
        elapsed: Duration,
    ) {
        let outcome = outcome.map_or_else(outcome_label, |()| "ok");
        let labels = UpstreamLabels {
            upstream: upstream.to_string(),
            outcome,
        };
        self.upstream.get_or_create(&labels).inc();
        self.upstream_seconds.observe(elapsed.as_secs_f64());
        self.upstream_bytes.inc_by(bytes);
    }

    fn group_event(&self, upstream: &SourceName, event: GroupEvent) {
        let labels = MemberEventLabels {
            upstream: upstream.to_string(),
            event: event.name(),
        };
        self.members.events.get_or_create(&labels).inc();
    }
}

/// Neither an address nor a tag becomes a label: they name private modules. The log line is written where the
/// move is seen.
impl GitObserver for Metrics {
    fn process_started(&self, _: ProcessKind) {
        self.git_running.inc();
    }

    fn process_finished(
        &self,
        kind: ProcessKind,
        outcome: Result<(), SourceErrorKind>,
        elapsed: Duration,
    ) {
        self.git_running.dec();
        let kind = kind.name();
        let outcome = outcome.map_or_else(outcome_label, |()| "ok");
        let labels = GitLabels { kind, outcome };
        self.git_processes.get_or_create(&labels).inc();
        let seconds = self.git_seconds.get_or_create(&KindLabels { kind });
        seconds.observe(elapsed.as_secs_f64());
    }

    fn moved_tag(&self, _: &RepositoryUrl, _: &str, _: &ObjectName, _: &ObjectName) {
        self.moved_tags.inc();
    }
}

/// The log line names the file; no metric does.
impl ScrubObserver for Metrics {
    fn good(&self, len_bytes: u64) {
        self.scrubbed_files.inc();
        self.scrubbed_bytes.inc_by(len_bytes);
    }

    fn damaged(&self, damaged: &Damaged, kept: Option<&StoreError>) {
        self.damaged_files.inc();
        let (module, kind) = (&damaged.key.module, damaged.key.kind.extension());
        let reason = &damaged.reason;
        match kept {
            None => {
                tracing::error!(%module, kind, %reason, "a stored file is damaged and was moved into quarantine; the next request fetches it anew")
            }
            Some(error) => {
                tracing::error!(%module, kind, %reason, %error, "a stored file is damaged and could not be moved into quarantine")
            }
        }
    }

    fn trouble(&self, text: &str) {
        tracing::warn!(reason = text, "the scrub could not look at something");
    }

    fn round_ended(&self, at: jiff::Timestamp) {
        self.last_scrub.set(at.as_second());
        tracing::info!("the scrub has looked at every stored file");
    }
}

fn outcome_label(kind: SourceErrorKind) -> &'static str {
    match kind {
        SourceErrorKind::NotExist | SourceErrorKind::Gone => "absent",
        SourceErrorKind::Refused => "refused",
        SourceErrorKind::Busy => "busy",
        SourceErrorKind::Unreachable => "unreachable",
        SourceErrorKind::Tls => "tls",
        SourceErrorKind::TimedOut => "timed-out",
        SourceErrorKind::BadAnswer => "bad-answer",
        SourceErrorKind::TooLarge => "too-large",
        SourceErrorKind::Rejected => "rejected",
        SourceErrorKind::Sink
        | SourceErrorKind::Off
        | SourceErrorKind::PrivateUnserved
        | SourceErrorKind::Unsupported
        | SourceErrorKind::Disallowed
        | SourceErrorKind::ForbiddenAddress
        | SourceErrorKind::Loop
        | SourceErrorKind::Internal => "failed",
    }
}

/// The statuses that this server answers with; a closed set, so that labels stay bounded.
fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        206 => "206",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        410 => "410",
        412 => "412",
        413 => "413",
        416 => "416",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        508 => "508",
        _ => "other",
    }
}
