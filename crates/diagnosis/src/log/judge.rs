//! From what a message says, and where it stands, to the cause.
//!
//! The rules are about meaning: who speaks (go, git or the other side of a connection), which hop a
//! word belongs to (the resolver, the HTTP proxy, the module proxy, the checksum database, a code
//! host), and what a status can mean there.

use super::decoration::Line;
use super::place::{Endpoint, Url, looks_private, standard_package};
use super::vocabulary::{Hit, Mark, Meaning, Transport};
use crate::finding::Confidence;

/// What one statement says.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    pub(super) cause: &'static str,
    /// What cannot be told apart from it here, besides what the catalogue names.
    pub(super) also: Vec<&'static str>,
    /// Where this is surer or less sure than the catalogue's word for the message.
    pub(super) confidence: Option<Confidence>,
    /// Often only the consequence of something else.
    pub(super) consequence: bool,
}

impl Judgement {
    pub(super) fn of(cause: &'static str) -> Self {
        Self {
            cause,
            also: Vec::new(),
            confidence: None,
            consequence: false,
        }
    }

    /// git failed in words that are not in the vocabulary.
    pub(super) fn unknown_git_failure() -> Self {
        Self::of("vcs-network").sure(Confidence::Possible)
    }

    fn or(mut self, also: &[&'static str]) -> Self {
        self.also.extend_from_slice(also);
        self
    }

    fn sure(mut self, confidence: Confidence) -> Self {
        self.confidence = Some(confidence);
        self
    }

    fn following_another(mut self) -> Self {
        self.consequence = true;
        self
    }
}

/// The other side, whose words are being quoted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoter {
    pub(super) endpoint: Endpoint,
    pub(super) status: Option<u16>,
    pub(super) self_hosted: bool,
    /// The module that was asked for lives on a host that looks private.
    pub(super) private_module: bool,
}

impl Quoter {
    fn is_database(self) -> bool {
        matches!(
            self.endpoint,
            Endpoint::ChecksumDatabase | Endpoint::ProxiedChecksumDatabase
        )
    }

    fn says_absent(self) -> bool {
        matches!(self.status, Some(404 | 410) | None)
    }
}

/// One statement, or the part of it that one side said.
pub(super) struct Statement<'a> {
    pub(super) text: &'a str,
    pub(super) hits: &'a [Hit],
    /// URLs of the line up to the end of this part.
    pub(super) urls: &'a [Url<'a>],
    /// git speaks in what goes before.
    pub(super) by_git: bool,
    pub(super) quoter: Option<Quoter>,
    /// The module that go's own layers name.
    pub(super) module: Option<&'a str>,
    pub(super) version: Option<&'a str>,
    /// The lines behind, for messages that go on there.
    pub(super) following: &'a [Line<'a>],
}

impl Statement<'_> {
    /// What this statement says; `None` where it says nothing.
    pub(super) fn judge(&self) -> Option<Judgement> {
        let judgement = self.innermost()?;
        let Some(quoter) = self.quoter else {
            return Some(judgement);
        };
        // A public service that failed to reach a host which only the company reaches: whatever it
        // met on the way, it should not have been asked.
        let asked_in_public = quoter.is_database() || quoter.says_absent() && !quoter.self_hosted;
        let on_the_way = ["tls-", "net-", "dns-", "http-", "vcs-", "goget-", "proxy-"]
            .iter()
            .any(|kind| judgement.cause.starts_with(kind));
        if quoter.private_module && asked_in_public && on_the_way && !judgement.consequence {
            return Some(Judgement::of("private-not-excluded").or(&[judgement.cause]));
        }
        Some(judgement)
    }

    /// The innermost message that decides.
    fn innermost(&self) -> Option<Judgement> {
        if let Some(judgement) = self.answer_to_connect() {
            return Some(judgement);
        }
        let status = self.unnamed_status();
        let decisive = self
            .hits
            .iter()
            .rev()
            .find(|hit| self.decides(hit) && !matches!(hit.meaning, Meaning::Follows(_)));
        // `RPC failed; HTTP 404`: the number says more than the words around it.
        let says_more = |hit: &Hit| status.is_some() && hit.meaning == Meaning::Says("vcs-network");
        if let Some(hit) = decisive.filter(|hit| !says_more(hit)) {
            return self.weigh(hit);
        }
        if let Some(status) = status {
            return self.status(status);
        }
        let follows = self
            .hits
            .iter()
            .rev()
            .find(|hit| matches!(hit.meaning, Meaning::Follows(_)));
        match follows {
            Some(hit) => self.weigh(hit),
            None => self.unknown_reason(),
        }
    }

    /// `Get "URL": some words` that no program of ours says: every failure of go's own has a colon or
    /// is known, so this is the reason of a proxy that answered CONNECT in its own words.
    fn unknown_reason(&self) -> Option<Judgement> {
        let url = self.last_url().filter(|_| self.has(Mark::Asked))?;
        let rest = self.text.get(url.end..)?;
        let reason = rest
            .strip_prefix("\": ")
            .or_else(|| rest.strip_prefix(": "))?
            .trim();
        let is_reason = !reason.is_empty()
            && reason.len() < 80
            && !reason.starts_with("context ")
            && reason
                .chars()
                .all(|letter| letter.is_alphabetic() || " -_!.".contains(letter));
        (is_reason && self.quoter.is_none()).then(|| {
            Judgement::of("http-proxy-bad")
                .or(&["http-proxy-auth", "http-proxy-forbidden"])
                .sure(Confidence::Possible)
                .following_another()
        })
    }

    fn decides(&self, hit: &Hit) -> bool {
        match hit.meaning {
            Meaning::Mark(_) => false,
            // A bare reason is an answer to CONNECT only where it ends the message behind a URL.
            Meaning::Reason(_) => {
                let rest = self.text.get(hit.end..).unwrap_or_default();
                let before = self.text.get(..hit.start).unwrap_or_default();
                let behind_url = self
                    .last_url()
                    .and_then(|url| before.get(url.end..))
                    .is_some_and(|between| matches!(between, "\": " | ": " | "': "));
                behind_url && rest.trim_matches([')', ' ', '.', '"']).is_empty()
            }
            _ => true,
        }
    }

    fn weigh(&self, hit: &Hit) -> Option<Judgement> {
        Some(match hit.meaning {
            Meaning::Says(cause) => self.says(cause),
            Meaning::Follows(cause) => Judgement::of(cause).following_another(),
            Meaning::MalformedPath => self.malformed_path(hit),
            Meaning::MetaTag => self.meta_tag()?,
            Meaning::GitDaemon => self.git_daemon(),
            Meaning::Transport(what) => self.transport(what, hit),
            Meaning::Resolver(cause) => self.resolver(cause, hit),
            Meaning::Trust(cause) => self.trust(cause, hit),
            Meaning::Handshake(cause) => self.handshake(cause, hit),
            Meaning::Login => self.login(),
            Meaning::NoRepository => {
                // `'…' not found` is git's where it names a repository.
                let quoted = self
                    .text
                    .get(hit.start..)
                    .is_some_and(|rest| rest.starts_with('\''));
                if quoted && !self.text.contains("repository '") {
                    return None;
                }
                self.no_repository()
            }
            Meaning::GitLabProject => self.gitlab_project(),
            Meaning::Revision => self.revision(),
            Meaning::Status(status) => return self.status(status),
            Meaning::Reason(status) => http_proxy_answer(status),
            Meaning::PackageNowhere => self.package_nowhere()?,
            Meaning::ChecksumMismatch => self.checksum_mismatch(),
            Meaning::Denied => {
                if self.before(hit, "dial ") || self.text.contains("connect: ") {
                    Judgement::of("net-refused")
                } else if self.text.to_ascii_lowercase().contains("docker") {
                    return None;
                } else {
                    Judgement::of("disk-permission")
                }
            }
            Meaning::Mark(_) => return None,
        })
    }

    fn says(&self, cause: &'static str) -> Judgement {
        match cause {
            "proxy-bad-body" if self.names_database() => Judgement::of("sumdb-bad-answer"),
            _ => Judgement::of(cause),
        }
    }

    // ---- connections

    fn transport(&self, what: Transport, hit: &Hit) -> Judgement {
        if self.has_before(Mark::ProxyConnect, hit) {
            let unreachable = matches!(
                what,
                Transport::TimedOut | Transport::Refused | Transport::Unroutable
            );
            return if unreachable {
                Judgement::of("http-proxy-unreachable")
            } else {
                Judgement::of("http-proxy-bad").or(&["http-proxy-no-answer", "http-proxy-config"])
            };
        }
        if self.has_before(Mark::Lookup, hit) {
            return Judgement::of("dns-unreachable");
        }
        if let Some(quoter) = self.quoter {
            // What broke is the other side's connection; the client's own was good enough for the
            // answer to arrive.
            return if self.speaks_git() || quoter.is_database() || quoter.says_absent() {
                Judgement::of("vcs-network").or(&["sumdb-not-found"])
            } else {
                Judgement::of("proxy-server-error")
            };
        }
        if self.speaks_git() {
            return Judgement::of("vcs-network");
        }
        if self.names_database() && !self.is_local_read(hit) {
            return Judgement::of("sumdb-unreachable");
        }
        if self.may_be_of_another_matter(what) {
            let cause = match what {
                Transport::TimedOut => "net-timeout",
                _ => "net-reset",
            };
            return Judgement::of(cause)
                .sure(Confidence::Possible)
                .following_another();
        }
        match what {
            Transport::TimedOut => {
                // Without an address nobody can say whether a name or a connection was waited for.
                if self.text.contains("dial tcp: ") {
                    Judgement::of("net-timeout").or(&["net-dns"])
                } else {
                    Judgement::of("net-timeout")
                }
            }
            Transport::Refused => Judgement::of("net-refused"),
            Transport::Unroutable => {
                let judgement = Judgement::of("net-refused");
                if self.text.contains("dial tcp [") {
                    judgement.or(&["ipv6-broken"])
                } else {
                    judgement
                }
            }
            Transport::Reset | Transport::Ended => {
                Judgement::of("net-reset").or(&["tls-truncated", "tls-hello-too-large"])
            }
            // curl says so only of a body whose length it knew.
            Transport::Truncated if self.has(Mark::ReadingBody) || self.has(Mark::Curl) => {
                Judgement::of("body-truncated")
            }
            Transport::Truncated => {
                Judgement::of("net-reset").or(&["body-truncated", "http-proxy-no-answer"])
            }
            Transport::HandshakeSilent => Judgement::of("tls-handshake-timeout"),
            Transport::Stream => Judgement::of("net-http2-stream"),
        }
    }

    /// Compilers meet the end of a file and linters their own deadline: such words speak of a
    /// connection only beside a URL, an address or a module.
    fn may_be_of_another_matter(&self, what: Transport) -> bool {
        let generic = match what {
            Transport::Ended | Transport::Truncated => true,
            Transport::TimedOut => !self.text.contains("i/o timeout"),
            _ => false,
        };
        generic
            && self.urls.is_empty()
            && self.module.is_none()
            && !self.text.contains("tcp")
            && !self.has(Mark::Curl)
    }

    fn resolver(&self, cause: &'static str, hit: &Hit) -> Judgement {
        if self.has_before(Mark::ProxyConnect, hit) {
            return Judgement::of("http-proxy-unreachable").or(&["http-proxy-config"]);
        }
        if let Some(quoter) = self.quoter {
            // A name that exists only for some.
            return if cause == "dns-nxdomain" && (quoter.is_database() || quoter.says_absent()) {
                Judgement::of("private-not-excluded").or(&["vcs-repo-not-found"])
            } else {
                Judgement::of("vcs-network").or(&["sumdb-not-found"])
            };
        }
        let judgement = Judgement::of(cause);
        if self.names_database() {
            judgement.or(&["sumdb-unreachable"])
        } else {
            judgement
        }
    }

    // ---- TLS

    fn trust(&self, cause: &'static str, hit: &Hit) -> Judgement {
        if self.has_before(Mark::ProxyConnect, hit) {
            return Judgement::of("http-proxy-bad").or(&["http-proxy-config", cause]);
        }
        if self.text.contains("RPC failed") {
            return Judgement::of("vcs-network").or(&[cause]);
        }
        if self.speaks_git() && !self.has(Mark::Curl) || self.text.contains("unable to access") {
            return Judgement::of("vcs-tls").or(&[cause]);
        }
        match cause {
            "tls-cert-expired" => self.dates(),
            "tls-name-mismatch" if self.text.contains("not valid for any names") => {
                Judgement::of(cause).or(&["tls-intercepted", "tls-san-missing", "tls-chain-order"])
            }
            "tls-self-signed" => {
                Judgement::of("tls-untrusted-ca").or(&["tls-self-signed", "tls-intercepted"])
            }
            "tls-incomplete-chain" => {
                Judgement::of("tls-untrusted-ca").or(&["tls-incomplete-chain", "tls-intercepted"])
            }
            "tls-cert-policy" if self.text.contains("is not trusted") => Judgement::of(cause)
                .or(&["tls-untrusted-ca"])
                .sure(Confidence::Likely),
            _ => Judgement::of(cause),
        }
    }

    /// Expired, or the clock? Only the two times in the message can tell.
    fn dates(&self) -> Judgement {
        let Some((_, times)) = self.text.split_once("current time ") else {
            return Judgement::of("tls-cert-expired")
                .or(&["tls-clock-skew"])
                .sure(Confidence::Possible);
        };
        let year = |time: &str| time.get(..4).and_then(|year| year.parse::<u32>().ok());
        if let Some((now, start)) = times.split_once(" is before ") {
            let judgement = Judgement::of("tls-clock-skew").or(&["tls-not-yet-valid"]);
            // A clock from before Go knew modules is wrong in any case.
            let clock_is_wrong = year(now).is_some_and(|year| year < 2018)
                || year(now)
                    .zip(year(start))
                    .is_some_and(|(now, start)| now + 1 < start);
            return judgement.sure(if clock_is_wrong {
                Confidence::Certain
            } else {
                Confidence::Likely
            });
        }
        if let Some((now, end)) = times.split_once(" is after ") {
            // No certificate of today stays in use ten years behind its end.
            let far = year(now)
                .zip(year(end))
                .is_some_and(|(now, end)| now > end + 10);
            if far {
                return Judgement::of("tls-clock-skew")
                    .or(&["tls-cert-expired"])
                    .sure(Confidence::Likely);
            }
        }
        Judgement::of("tls-cert-expired")
            .or(&["tls-ca-expired"])
            .sure(Confidence::Likely)
    }

    fn handshake(&self, cause: &'static str, hit: &Hit) -> Judgement {
        if self.has_before(Mark::ProxyConnect, hit) {
            return Judgement::of("http-proxy-bad").or(&["http-proxy-config"]);
        }
        // The handshake was long done when a transfer broke off.
        if self.text.contains("RPC failed") {
            return Judgement::of("vcs-network");
        }
        // Plain HTTP in the place of TLS is the same fault whoever meets it.
        if cause != "tls-plain-http" && self.speaks_git() && !self.has(Mark::Curl) {
            return Judgement::of("vcs-tls").or(&[cause]);
        }
        if self.has(Mark::ServerLog) && self.text.contains("certificate") {
            // The client of this server broke off: it does not trust what it was shown.
            return Judgement::of("tls-untrusted-ca").or(&["tls-incomplete-chain"]);
        }
        if self.quoter.is_none() && cause == "net-reset" && self.names_database() {
            return Judgement::of("sumdb-unreachable");
        }
        match cause {
            "tls-handshake-alert" => {
                Judgement::of(cause).or(&["tls-no-shared-cipher", "tls-client-cert-required"])
            }
            "tls-plain-http" => Judgement::of(cause).or(&["tls-not-tls"]),
            _ => Judgement::of(cause),
        }
    }

    // ---- code hosts

    fn login(&self) -> Judgement {
        match self.quoter {
            // A proxy whose own git was refused answers otherwise: here it asks who is there itself.
            Some(quoter) if quoter.status == Some(401) && !quoter.is_database() => {
                Judgement::of("proxy-auth-required").or(&["vcs-auth-https"])
            }
            Some(quoter) if quoter.is_database() || quoter.says_absent() => {
                Judgement::of("private-not-excluded").or(&["vcs-repo-not-found"])
            }
            Some(_) => Judgement::of("vcs-auth-https").or(&["private-not-excluded"]),
            None => Judgement::of("vcs-auth-https").or(&["vcs-repo-not-found"]),
        }
    }

    fn no_repository(&self) -> Judgement {
        match self.quoter {
            // The database is asked after the download: who could download it can see it.
            Some(quoter) if quoter.is_database() => {
                Judgement::of("private-not-excluded").or(&["vcs-repo-not-found"])
            }
            Some(quoter) if quoter.private_module && quoter.says_absent() => {
                Judgement::of("private-not-excluded").or(&["vcs-repo-not-found"])
            }
            _ => Judgement::of("vcs-repo-not-found").or(&["vcs-auth-https"]),
        }
    }

    fn gitlab_project(&self) -> Judgement {
        if self.quoter.is_some() {
            return self.no_repository();
        }
        // A module two or more levels below the host whose repository is one level up is what the
        // tag for anonymous visitors leads to.
        let below_group = self
            .module
            .is_some_and(|module| module.matches('/').count() >= 3);
        if below_group || self.module.is_none() {
            Judgement::of("gitlab-subgroup").or(&["vcs-auth-https", "vcs-repo-not-found"])
        } else {
            Judgement::of("vcs-repo-not-found").or(&["vcs-auth-https"])
        }
    }

    /// go tries git's own protocol last, after https and ssh were refused: that nobody listens
    /// there says nothing about the line.
    fn git_daemon(&self) -> Judgement {
        match self.quoter {
            Some(quoter) if quoter.is_database() || quoter.says_absent() => {
                Judgement::of("private-not-excluded").or(&["vcs-network"])
            }
            _ => Judgement::of("vcs-network").or(&["vcs-auth-https"]),
        }
    }

    /// git failed, and nothing that is known says why.
    pub(super) fn git_failed(quoter: Option<Quoter>) -> Judgement {
        match quoter {
            Some(quoter) if quoter.is_database() || quoter.says_absent() => {
                Judgement::of("private-not-excluded").or(&["vcs-network", "vcs-repo-not-found"])
            }
            _ => Judgement::of("vcs-auth-https").or(&[
                "vcs-network",
                "vcs-repo-not-found",
                "vcs-tls",
            ]),
        }
        .sure(Confidence::Possible)
        .following_another()
    }

    fn revision(&self) -> Judgement {
        match self.quoter {
            Some(quoter)
                if quoter.endpoint == Endpoint::ProxiedChecksumDatabase && quoter.self_hosted =>
            {
                // Through a proxy of one's own comes what only that proxy can see.
                Judgement::of("private-not-excluded").or(&["ver-unknown-revision"])
            }
            Some(quoter) if quoter.private_module && !quoter.self_hosted => {
                Judgement::of("private-not-excluded").or(&["ver-unknown-revision"])
            }
            Some(_) => Judgement::of("ver-unknown-revision").or(&["proxy-not-found"]),
            None if self.looks_below_the_repository() => {
                Judgement::of("vcs-auth-https").or(&["ver-unknown-revision", "gitlab-subgroup"])
            }
            None => Judgement::of("ver-unknown-revision"),
        }
    }

    /// `reading HOST/a/b/go.mod at revision b/v1.0.0`: the module's last element in the tag says that
    /// go took the repository to be one level up. On a private host that is the root which is told
    /// to strangers.
    fn looks_below_the_repository(&self) -> bool {
        let Some((before, revision)) = self.text.split_once(" at revision ") else {
            return false;
        };
        let Some((folder, _)) = revision
            .split([':', ' '])
            .next()
            .and_then(|tag| tag.rsplit_once("/v"))
        else {
            return false;
        };
        let module = before.rsplit(' ').next().unwrap_or_default();
        let module = module.strip_suffix("/go.mod").unwrap_or(module);
        looks_private(module) && module.ends_with(&format!("/{folder}"))
    }

    // ---- statuses

    /// `URL: 520`, `returned error: 403`: a number without its reason.
    fn unnamed_status(&self) -> Option<u16> {
        let number_at = |at: usize| -> Option<u16> {
            let rest = self
                .text
                .get(at..)?
                .trim_start_matches(['"', ')', '\'', ':', ' ']);
            let number: u16 = rest.get(..3)?.parse().ok()?;
            let ends = rest
                .get(3..)?
                .chars()
                .next()
                .is_none_or(|next| !next.is_ascii_alphanumeric());
            (ends && (300..600).contains(&number)).then_some(number)
        };
        let marked = self
            .hits
            .iter()
            .rev()
            .find(|hit| hit.meaning == Meaning::Mark(Mark::StatusFollows))
            .and_then(|hit| number_at(hit.end));
        marked.or_else(|| self.last_url().and_then(|url| number_at(url.end)))
    }

    /// What the HTTP proxy answered to CONNECT, as git and curl tell it.
    fn answer_to_connect(&self) -> Option<Judgement> {
        let hit = self
            .hits
            .iter()
            .find(|hit| hit.meaning == Meaning::Mark(Mark::ProxyAnswer))?;
        let digits = |text: &str| -> Option<u16> {
            text.split(|letter: char| !letter.is_ascii_digit())
                .filter(|word| word.len() == 3)
                .find_map(|word| word.parse().ok())
        };
        let status = self.text.get(hit.end..).and_then(digits).or_else(|| {
            let (_, code) = self.text.get(..hit.start)?.rsplit_once("code ")?;
            digits(code)
        });
        Some(http_proxy_answer(status.unwrap_or(0)))
    }

    fn status(&self, status: u16) -> Option<Judgement> {
        if self.text.starts_with("# get ") || self.text.starts_with("Fetching ") {
            // A trace of requests: most of such answers are part of the search.
            return None;
        }
        if status == 407 {
            return Some(Judgement::of("http-proxy-auth").or(&["proxy-forbidden"]));
        }
        if let Some(url) = self.last_url() {
            let judgement = match url.endpoint() {
                Endpoint::ChecksumDatabase => self.database_status(status),
                Endpoint::ProxiedChecksumDatabase => match status {
                    400 | 405 => Judgement::of("proxy-bad-body").or(&["sumdb-unreachable"]),
                    401 => Judgement::of("proxy-auth-required"),
                    _ => self.database_status(status),
                },
                Endpoint::ModuleProxy => self.proxy_status(status, url),
                Endpoint::ObjectStore => plain_proxy_status(status),
                Endpoint::Discovery => self.discovery_status(status, url),
                Endpoint::Other if self.speaks_git() => git_status(status),
                Endpoint::Other => plain_proxy_status(status),
            };
            return Some(judgement);
        }
        if self.quoter.is_some() {
            // A number inside an answer says nothing that the answer's own status did not.
            return None;
        }
        if self.speaks_git() {
            return Some(git_status(status));
        }
        Some(plain_proxy_status(status))
    }

    fn database_status(&self, status: u16) -> Judgement {
        match status {
            404 | 410 if self.module_is_private() => {
                Judgement::of("private-not-excluded").or(&["sumdb-not-found"])
            }
            404 | 410 => Judgement::of("sumdb-not-found")
                .or(&["private-not-excluded"])
                .sure(Confidence::Possible),
            429 => Judgement::of("proxy-rate-limit"),
            _ => Judgement::of("sumdb-unreachable"),
        }
    }

    fn proxy_status(&self, status: u16, url: &Url<'_>) -> Judgement {
        let pseudo = self.version.is_some_and(is_pseudo_version);
        match status {
            404 | 410 if self.names_toolchain() => Judgement::of("toolchain-unavailable"),
            404 | 410 if url.is_self_hosted() => {
                Judgement::of("proxy-not-found").or(&["ver-unknown-revision"])
            }
            404 | 410 if self.module_is_private() => Judgement::of("private-not-excluded")
                .or(&["ver-unknown-revision", "proxy-not-found"]),
            400 | 404 | 410 if pseudo && !url.is_self_hosted() => {
                Judgement::of("ver-pseudo-invalid")
                    .or(&["ver-unknown-revision"])
                    .sure(Confidence::Likely)
            }
            404 | 410 => Judgement::of("ver-unknown-revision")
                .or(&[
                    "proxy-not-found",
                    "private-not-excluded",
                    "vcs-repo-not-found",
                ])
                .sure(Confidence::Possible),
            _ => plain_proxy_status(status),
        }
    }

    fn discovery_status(&self, status: u16, url: &Url<'_>) -> Judgement {
        match status {
            401 => Judgement::of("vcs-auth-https"),
            403 if looks_private(url.host) => {
                Judgement::of("vcs-auth-https").or(&["proxy-forbidden"])
            }
            404 | 410 => {
                Judgement::of("vcs-repo-not-found").or(&["vcs-auth-https", "goget-meta-missing"])
            }
            _ => plain_proxy_status(status),
        }
    }

    // ---- packages and sums

    /// `/v0` and `/v1` at the end are the one thing that is wrong with an otherwise good path.
    fn malformed_path(&self, hit: &Hit) -> Judgement {
        let rest = self.text.get(hit.end..).unwrap_or_default();
        let path = rest.split('"').nth(1).unwrap_or_default();
        if path.ends_with("/v1") || path.ends_with("/v0") || path.contains(".v0") {
            return Judgement::of("ver-major-suffix");
        }
        Judgement::of("gomod-bad-path").following_another()
    }

    /// `get "PATH": found meta tag …{Prefix:"P", …}`: where P ends above PATH on a GitLab, strangers
    /// may have been told the group; so it looks for a package in a project too.
    fn meta_tag(&self) -> Option<Judgement> {
        let path = self.text.split('"').nth(1)?;
        let (_, rest) = self.text.split_once("Prefix:\"")?;
        let prefix = rest.split('"').next()?;
        let below = path.strip_prefix(prefix)?.starts_with('/');
        let is_gitlab = path
            .split('/')
            .next()?
            .split('.')
            .any(|label| label == "gitlab");
        (below && is_gitlab).then(|| {
            Judgement::of("gitlab-subgroup")
                .or(&["vcs-auth-https"])
                .following_another()
        })
    }

    fn package_nowhere(&self) -> Option<Judgement> {
        let package = self.package()?;
        let in_vendor =
            |line: &Line<'_>| line.text.contains("/vendor/") || line.text.contains("\\vendor\\");
        if package == "." && self.following.iter().take(2).any(in_vendor) {
            return Some(Judgement::of("vendor-mismatch"));
        }
        if let Some(since) = standard_package(package) {
            return Some(if since > 0 {
                Judgement::of("go-too-old").or(&["goroot-wrong"])
            } else {
                Judgement::of("goroot-wrong").or(&["go-too-old"])
            });
        }
        let has_host = package
            .split('/')
            .next()
            .is_some_and(|first| first.contains('.') && !first.starts_with('.'));
        Some(if has_host && self.text.contains("cannot find package") {
            Judgement::of("gopath-mode")
                .or(&["pkg-not-required"])
                .sure(Confidence::Likely)
        } else {
            Judgement::of("gomod-bad-path").or(&["goroot-wrong"])
        })
    }

    /// The package that the message is about: before `is not in`, else quoted, else behind a word
    /// that introduces it.
    fn package(&self) -> Option<&str> {
        let clean =
            |word: &str| -> bool { !word.is_empty() && !word.contains(char::is_whitespace) };
        if let Some((before, _)) = self.text.split_once(" is not in ") {
            let word = before.rsplit([' ', ':']).next()?.trim_matches('"');
            return clean(word).then_some(word);
        }
        for introduction in [
            "malformed module path \"",
            "cannot find package \"",
            "import path \"",
            "import \"",
        ] {
            if let Some((_, rest)) = self.text.split_once(introduction) {
                return rest.split('"').next().filter(|word| clean(word));
            }
        }
        for introduction in ["package ", "import path ", "module "] {
            if let Some((_, rest)) = self.text.rsplit_once(introduction)
                && let Some(word) = rest
                    .split([' ', ':', ';'])
                    .next()
                    .filter(|word| clean(word) && *word != "in")
            {
                return Some(word.trim_matches('"'));
            }
        }
        let first = self
            .text
            .split([' ', ':'])
            .find(|word| word.contains('/'))?;
        Some(first.trim_matches('"'))
    }

    /// Which of two sums did not match: the second label says with what was compared.
    fn checksum_mismatch(&self) -> Judgement {
        let behind = self
            .following
            .iter()
            .take(12)
            .map(|line| line.text.as_ref());
        for text in std::iter::once(self.text).chain(behind) {
            if text.contains("go.sum:") || text.contains("recorded in go.sum") {
                return Judgement::of("sum-mismatch-gosum");
            }
            if text.contains("reported by the checksum server") {
                return Judgement::of("sum-mismatch-sumdb");
            }
            let label = text.split_once(':').map(|(label, _)| label.trim());
            let is_database = label.is_some_and(|label| {
                label.contains('.') && !label.contains([' ', '/', '@']) && text.contains("h1:")
            });
            if is_database {
                return Judgement::of("sum-mismatch-sumdb");
            }
        }
        Judgement::of("sum-mismatch-gosum")
            .or(&["sum-mismatch-sumdb"])
            .sure(Confidence::Possible)
    }

    // ---- what stands around

    fn last_url(&self) -> Option<&Url<'_>> {
        self.urls.last()
    }

    fn has(&self, mark: Mark) -> bool {
        self.hits
            .iter()
            .any(|hit| hit.meaning == Meaning::Mark(mark))
    }

    fn has_before(&self, mark: Mark, hit: &Hit) -> bool {
        self.hits
            .iter()
            .any(|other| other.meaning == Meaning::Mark(mark) && other.start < hit.start)
    }

    fn before(&self, hit: &Hit, word: &str) -> bool {
        self.text
            .get(..hit.start)
            .is_some_and(|before| before.contains(word))
    }

    /// Something was read from this machine's own files, whose names may hold a URL's words.
    fn is_local_read(&self, hit: &Hit) -> bool {
        self.before(hit, "open /") || self.before(hit, "read /")
    }

    fn speaks_git(&self) -> bool {
        self.by_git
            || self.text.starts_with("remote: ")
            || self.hits.iter().any(|hit| match hit.meaning {
                Meaning::Mark(Mark::Git) | Meaning::Login => true,
                Meaning::Says(cause) | Meaning::Follows(cause) => cause.starts_with("vcs-"),
                _ => false,
            })
    }

    fn names_database(&self) -> bool {
        self.last_url().is_some_and(|url| {
            matches!(
                url.endpoint(),
                Endpoint::ChecksumDatabase | Endpoint::ProxiedChecksumDatabase
            )
        }) || self.urls.is_empty()
            && (self.text.contains("sum.golang.org") || self.text.contains("/lookup/"))
    }

    fn names_toolchain(&self) -> bool {
        self.has(Mark::Toolchain)
            || self
                .urls
                .iter()
                .any(|url| url.path.contains("golang.org/toolchain"))
    }

    fn module_is_private(&self) -> bool {
        let asked = self
            .last_url()
            .and_then(Url::module)
            .map(|(module, _)| module);
        asked.as_deref().or(self.module).is_some_and(looks_private)
    }
}

/// What the HTTP(S)_PROXY answered to CONNECT.
fn http_proxy_answer(status: u16) -> Judgement {
    match status {
        407 => Judgement::of("http-proxy-auth"),
        401 | 403 | 405 => Judgement::of("http-proxy-forbidden"),
        500..=599 => Judgement::of("http-proxy-upstream"),
        _ => Judgement::of("http-proxy-bad"),
    }
}

/// A status of a module proxy that means the same for every file.
fn plain_proxy_status(status: u16) -> Judgement {
    match status {
        401 => Judgement::of("proxy-auth-required"),
        402 | 403 | 451 => Judgement::of("proxy-forbidden"),
        404 | 410 => Judgement::of("proxy-not-found").or(&["ver-unknown-revision"]),
        429 => Judgement::of("proxy-rate-limit"),
        500..=599 => Judgement::of("proxy-server-error"),
        _ => Judgement::of("proxy-bad-body"),
    }
}

/// A status that git got from a code host.
fn git_status(status: u16) -> Judgement {
    match status {
        401 | 403 => Judgement::of("vcs-auth-https").or(&["vcs-repo-not-found"]),
        404 | 410 => Judgement::of("vcs-repo-not-found").or(&["vcs-auth-https"]),
        402 | 451 => Judgement::of("proxy-forbidden"),
        429 => Judgement::of("proxy-rate-limit"),
        _ => Judgement::of("vcs-network"),
    }
}

/// `v0.0.0-20190701000000-0123456789ab`, with or without a base version before the time.
pub(super) fn is_pseudo_version(version: &str) -> bool {
    let version = version.split('+').next().unwrap_or(version);
    let mut parts = version.rsplit('-');
    let revision = parts.next().unwrap_or_default();
    let time = parts.next().unwrap_or_default();
    let time = time.rsplit('.').next().unwrap_or_default();
    time.len() == 14
        && time.bytes().all(|byte| byte.is_ascii_digit())
        && revision.len() >= 7
        && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}
