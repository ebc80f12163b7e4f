//! Why Go refuses the certificates that were sent: the nine causes behind one text, and the others.

use std::sync::Arc;

use jiff::Timestamp;

use crate::certificate::{Certificate, PublicKey};
use crate::connect::Route;
use crate::finding::Judgement;
use crate::go_debug::GoDebug;
use crate::handshake::{Groups, Session, shake};
use crate::http::{Http, Manner};
use crate::issuers::{Chase, chase};
use crate::options::Options;
use crate::report::ChainRepair;
use crate::target::Target;
use crate::trust::TrustContent;
use crate::verify::{
    Hint, HintFault, Pool, Question, Reason, Refusal, is_signed_with, valid_for, verify_sent,
};

/// A clock that differs by more than this is wrong.
const SKEW_SECONDS: i64 = 300;

/// So many other hosts are asked.
const WITNESSES: usize = 3;

/// What is known when the certificates are judged.
pub(crate) struct Case<'a> {
    pub(crate) route: &'a Route,
    pub(crate) options: &'a Options,
    pub(crate) sent: &'a [Vec<u8>],
    pub(crate) certificates: &'a [Arc<Certificate>],
    pub(crate) refusal: &'a Refusal,
    /// The server's clock.
    pub(crate) date: Option<Timestamp>,
}

/// The cause, and what the server must send if that is the cure.
pub(crate) async fn judge(case: &Case<'_>) -> (Judgement, Option<ChainRepair>) {
    let refusal = case.refusal;
    let at_fault = refusal.certificate.as_ref();
    let named = at_fault
        .map(|it| format!("`{}`", it.display_name()))
        .unwrap_or_default();
    let judgement = match &refusal.reason {
        Reason::UnknownAuthority(hint) => return case.unknown_authority(hint.as_ref()).await,
        Reason::Expired | Reason::NotYetValid => case.dates().await,
        Reason::NameMismatch | Reason::NoNames => case.names(),
        Reason::Empty => {
            Judgement::certain("tls-bad-certificate", "the list of certificates is empty")
        }
        Reason::Unparsable => {
            let cause = if refusal.text.contains("elliptic curve") {
                "tls-weak-key"
            } else {
                "tls-bad-certificate"
            };
            Judgement::certain(cause, format!("Go cannot parse {named}: {}", refusal.text))
        }
        Reason::UnhandledCritical => {
            let extensions = at_fault.map(|it| it.unhandled_critical.join(", "));
            Judgement::certain(
                "tls-bad-certificate",
                format!(
                    "{named} has a critical extension that Go does not handle: {}",
                    extensions.unwrap_or_default()
                ),
            )
        }
        Reason::KeyUsage => {
            let culprit = case.certificates.iter().find(|it| {
                let usages = &it.extended_key_usage;
                !usages.is_empty() && !usages.iter().any(|usage| usage.ends_with(".3.1"))
            });
            let who = culprit.map_or_else(
                || "an authority".to_owned(),
                |it| {
                    let usages = it.extended_key_usage.join(", ");
                    format!("`{}` (extendedKeyUsage {usages})", it.display_name())
                },
            );
            Judgement::certain("tls-key-usage", format!("{who} does not allow serverAuth"))
        }
        Reason::TooManyIntermediates => Judgement::certain(
            "tls-key-usage",
            format!("the path length of {named} allows fewer authorities below it"),
        ),
        Reason::NotAuthorizedToSign => {
            Judgement::certain("tls-key-usage", format!("{named} is no authority"))
        }
        Reason::NameConstraints => Judgement::certain("tls-name-constraints", refusal.text.clone()),
        Reason::Policies => Judgement::certain("tls-key-usage", refusal.text.clone()),
        Reason::Key => {
            let key = at_fault.map(|it| it.key.describe()).unwrap_or_default();
            Judgement::certain("tls-weak-key", format!("the key of {named} is {key}"))
        }
        Reason::SignatureLimit => Judgement::certain("tls-bad-certificate", refusal.text.clone()),
    };
    (judgement, None)
}

impl Case<'_> {
    fn leaf(&self) -> Option<&Arc<Certificate>> {
        self.certificates.first()
    }

    fn question(&self) -> Question<'_> {
        Question {
            roots: &self.options.trust.roots,
            host: &self.route.target.host,
            now: self.options.now,
            go_debug: self.options.go_debug,
        }
    }

    /// Only a second clock tells a wrong date from a wrong clock: the server's, or that of a host which has
    /// nothing to do with it.
    async fn dates(&self) -> Judgement {
        let now = self.options.now;
        let second = match self.date {
            Some(date) => Some((date, "the server's".to_owned())),
            None => self.time_of_a_witness().await,
        };
        let at_fault = self.refusal.certificate.as_ref();
        let is_leaf = match (at_fault, self.leaf()) {
            (Some(one), Some(leaf)) => one.der == leaf.der,
            _ => true,
        };
        let who = at_fault.map_or_else(
            || "a certificate".to_owned(),
            |it| {
                format!(
                    "`{}` is valid from {} to {}",
                    it.display_name(),
                    it.not_before,
                    it.not_after
                )
            },
        );
        let clocks = match &second {
            Some((date, whose)) => format!("this machine's clock: {now}, {whose}: {date}"),
            None => format!("this machine's clock: {now}; the server tells no time"),
        };
        if let Some((date, _)) = second
            && (date.as_second() - now.as_second()).abs() > SKEW_SECONDS
            && verify_sent(
                self.sent,
                Question {
                    now: date,
                    ..self.question()
                },
            )
            .is_ok()
        {
            return Judgement::certain("tls-clock-skew", clocks)
                .and(format!("{who}: at {date} all is well"));
        }
        let cause = match (&self.refusal.reason, is_leaf) {
            (Reason::NotYetValid, _) => "tls-not-yet-valid",
            (_, true) => "tls-cert-expired",
            (_, false) => "tls-ca-expired",
        };
        match second {
            Some(_) => Judgement::certain(cause, who).and(clocks),
            // Without a second clock the first one may be wrong.
            None => Judgement::likely(cause, &["tls-clock-skew"], who).and(clocks),
        }
    }

    fn names(&self) -> Judgement {
        let host = &self.route.target.host;
        let later = self
            .certificates
            .iter()
            .skip(1)
            .position(|it| valid_for(it, host));
        if let Some(place) = later {
            return Judgement::certain(
                "tls-chain-order",
                format!(
                    "the certificate for {host} is number {} of those sent",
                    place + 2
                ),
            );
        }
        let names = self.leaf().map_or_else(Vec::new, |leaf| {
            let addresses = leaf.addresses.iter().map(ToString::to_string);
            leaf.dns_names
                .iter()
                .cloned()
                .chain(addresses)
                .take(20)
                .collect()
        });
        let common_name = self.leaf().and_then(|leaf| leaf.subject.common_name());
        let names = match (names.as_slice(), common_name) {
            ([], Some(name)) => format!("no alternative name, only the common name {name}"),
            ([], None) => "no name".to_owned(),
            (names, _) => names.join(", "),
        };
        let evidence = format!("asked for {host}; the certificate has: {names}");
        let cause = match self.refusal.reason {
            Reason::NoNames => "tls-san-missing",
            _ => "tls-name-mismatch",
        };
        Judgement::certain(cause, evidence)
    }

    async fn unknown_authority(&self, hint: Option<&Hint>) -> (Judgement, Option<ChainRepair>) {
        let Some(leaf) = self.leaf() else {
            return (
                Judgement::certain("tls-bad-certificate", "no certificate"),
                None,
            );
        };
        if let Some(judgement) = self.store() {
            return (judgement, None);
        }
        if let Some(judgement) = hint.and_then(|hint| self.hinted(hint)) {
            return (judgement, None);
        }
        if leaf.signs_itself() && !leaf.is_authority()
            || self.certificates.len() == 1 && leaf.signs_itself()
        {
            let judgement = Judgement::certain(
                "tls-self-signed",
                format!(
                    "`{}` is its own issuer and signed with its own key",
                    leaf.display_name()
                ),
            );
            return (judgement, None);
        }
        self.missing_link(leaf).await
    }

    /// What is wrong with the store that Go would read.
    fn store(&self) -> Option<Judgement> {
        let trust = &self.options.trust;
        let broken: Vec<String> = trust
            .broken_sources()
            .map(|source| format!("{} {}", source.path.display(), source.content.describe()))
            .collect();
        let public = Question {
            roots: &self.options.public_roots,
            ..self.question()
        };
        let is_public = verify_sent(self.sent, public).is_ok();
        if trust.roots.is_empty() {
            let mut judgement = Judgement::certain(
                "tls-missing-ca-bundle",
                "the store that Go would read holds no certificate",
            );
            judgement.evidence.extend(broken);
            return Some(judgement);
        }
        let unreadable = trust.broken_sources().any(|source| {
            let content = &source.content;
            matches!(
                content,
                TrustContent::Der | TrustContent::NoCertificate | TrustContent::Empty
            )
        });
        if is_public {
            let count = trust.roots.len();
            let mut judgement = Judgement::certain(
                "tls-missing-ca-bundle",
                format!(
                    "the chain ends in a public root that is not among the {count} of this machine"
                ),
            );
            judgement.evidence.extend(broken);
            return Some(judgement);
        }
        if unreadable {
            let mut judgement = Judgement::likely(
                "tls-missing-ca-bundle",
                &["tls-untrusted-ca"],
                "a file of authorities was named, and Go takes nothing from it",
            );
            judgement.evidence.extend(broken);
            return Some(judgement);
        }
        None
    }

    /// Go saw a candidate issuer and left it out.
    fn hinted(&self, hint: &Hint) -> Option<Judgement> {
        let child = self.refusal.certificate.as_ref()?;
        let candidate = &hint.candidate;
        let (name, authority) = (child.display_name(), candidate.display_name());
        Some(match &hint.fault {
            HintFault::WrongSignature => {
                let in_store = self.options.trust.roots.contains(candidate);
                let place = if in_store {
                    "the store of this machine"
                } else {
                    "what the server sends"
                };
                let same_key = !candidate.subject_key_id.is_empty()
                    && candidate.subject_key_id == child.authority_key_id;
                if same_key {
                    Judgement::certain(
                        "tls-bad-certificate",
                        format!(
                            "`{name}` names the key of `{authority}`, whose certificate is in {place}, and its signature does not verify with it"
                        ),
                    )
                } else {
                    Judgement::certain(
                        "tls-stale-ca",
                        format!(
                            "`{authority}` in {place} has the issuer's name and another key: the signature of `{name}` does not verify with it"
                        ),
                    )
                    .and(format!("that copy is valid from {}", candidate.not_before))
                }
            }
            HintFault::InsecureAlgorithm => Judgement::certain(
                "tls-weak-signature",
                format!(
                    "`{name}` is signed with {}",
                    child.signature_algorithm.name()
                ),
            ),
            HintFault::UnknownAlgorithm => Judgement::certain(
                "tls-weak-key",
                format!(
                    "`{name}` is signed in a way that Go does not know, by a key that is {}",
                    candidate.key.describe()
                ),
            ),
            HintFault::ShortKey => Judgement::certain(
                "tls-weak-key",
                format!("the key of `{authority}` is {}", candidate.key.describe()),
            ),
            HintFault::CannotSign => Judgement::certain(
                "tls-key-usage",
                format!(
                    "`{authority}`, which signed `{name}`, may not sign certificates: {}",
                    if candidate.is_authority() {
                        "keyUsage lacks keyCertSign"
                    } else {
                        "basicConstraints do not say CA:TRUE"
                    }
                ),
            ),
            HintFault::Invalid(_) => return None,
        })
    }

    /// No candidate at all: the chain ends somewhere.
    async fn missing_link(&self, leaf: &Arc<Certificate>) -> (Judgement, Option<ChainRepair>) {
        let path = path(leaf, self.certificates);
        let top = path.last().unwrap_or(leaf);
        let sent: Pool = self.certificates.iter().skip(1).cloned().collect();
        let issuer = top.issuer.to_string();
        let (chased, same_issuer) = tokio::join!(
            async {
                if top.is_self_issued() {
                    Chase::default()
                } else {
                    let question = self.question();
                    chase(leaf, &sent, top, question, self.route, self.options).await
                }
            },
            self.interception(leaf)
        );
        let others = self.certificates.len() - 1;
        if chased.is_whole {
            return self.incomplete(leaf, &path, chased);
        }
        if let Some(evidence) = same_issuer {
            let judgement = Judgement::certain("tls-intercepted", evidence).and(format!(
                "the issuer `{issuer}` is neither trusted here nor public"
            ));
            return (judgement, None);
        }
        if let Some(product) = inspector(&self.certificates_and_issuer(leaf)) {
            let judgement = Judgement::likely(
                "tls-intercepted",
                &["tls-untrusted-ca"],
                format!(
                    "the issuer `{issuer}` names a device or program that inspects TLS ({product})"
                ),
            );
            return (judgement, None);
        }
        let mut judgement = if path.len() == 1 && others > 0 {
            let names: Vec<_> = self
                .certificates
                .iter()
                .skip(1)
                .take(5)
                .map(|it| format!("`{}`", it.display_name()))
                .collect();
            Judgement::certain(
                "tls-wrong-intermediate",
                format!(
                    "the issuer of the leaf is `{issuer}`; beside it are sent: {}",
                    names.join(", ")
                ),
            )
        } else if top.is_self_issued() || path.len() > 1 {
            let how = if top.is_self_issued() {
                "the root itself was sent"
            } else {
                "every link below the root was sent"
            };
            Judgement::certain(
                "tls-untrusted-ca",
                format!(
                    "the chain holds together up to `{issuer}`, which is neither trusted here nor public; {how}"
                ),
            )
        } else if leaf.issuer_urls.is_empty() {
            Judgement::likely(
                "tls-untrusted-ca",
                &["tls-incomplete-chain", "tls-intercepted"],
                format!("only the leaf was sent; its issuer `{issuer}` is not known here"),
            )
        } else {
            Judgement::likely(
                "tls-incomplete-chain",
                &["tls-untrusted-ca", "tls-intercepted"],
                format!("only the leaf was sent, not its issuer `{issuer}`"),
            )
        };
        judgement.evidence.extend(chased.evidence);
        (judgement, None)
    }

    fn incomplete(
        &self,
        leaf: &Arc<Certificate>,
        path: &[Arc<Certificate>],
        chased: Chase,
    ) -> (Judgement, Option<ChainRepair>) {
        let others = self.certificates.len() - 1;
        let is_wrong = path.len() == 1
            && others > 0
            && !self.certificates.iter().skip(1).any(|it| {
                it.is_self_issued() && {
                    // The root beside the leaf is too much, not wrong.
                    self.options.trust.roots.contains(it)
                }
            });
        let cause = if is_wrong {
            "tls-wrong-intermediate"
        } else {
            "tls-incomplete-chain"
        };
        let mut judgement = Judgement::certain(
            cause,
            format!(
                "the server sends {} of the {} certificates that Go needs to reach a trusted root",
                path.len(),
                path.len() + chased.found.len()
            ),
        );
        judgement.evidence.extend(chased.evidence);
        let missing: Vec<String> = chased.found.iter().map(|(it, _)| it.to_pem()).collect();
        let whole = path
            .iter()
            .filter(|it| it.der == leaf.der || !it.is_self_issued())
            .map(|it| it.to_pem())
            .chain(missing.iter().cloned());
        let repair = ChainRepair {
            chain_file: whole.collect(),
            missing,
            sources: chased.found.into_iter().map(|(_, source)| source).collect(),
        };
        (judgement, Some(repair))
    }

    /// Whoever signs for any name, or for unrelated hosts, intercepts.
    async fn interception(&self, leaf: &Arc<Certificate>) -> Option<String> {
        let time = self.route.time;
        let minted = async {
            let stranger = "larder-doctor.example";
            let connection = self.route.open().await.ok()?;
            let session = shake(connection, stranger, &[], Groups::Small, time)
                .await
                .ok()?;
            let shown = Certificate::parse(session.sent.first()?).ok()?;
            let is_minted = valid_for(&shown, stranger)
                && !valid_for(leaf, stranger)
                && shown.issuer.raw == leaf.issuer.raw;
            is_minted.then(|| {
                format!("asked for the name {stranger}, which nobody has, it shows a certificate for that too")
            })
        };
        let witnessed = async {
            for witness in self.options.witnesses.iter().take(WITNESSES) {
                if witness.host == self.route.target.host {
                    continue;
                }
                let Some(shown) = self.witness(witness).await else {
                    continue;
                };
                if shown.issuer.raw == leaf.issuer.raw {
                    return Some(format!("the same issuer signs for {}", witness.host));
                }
            }
            None
        };
        let (minted, witnessed) = tokio::join!(minted, witnessed);
        minted.or(witnessed)
    }

    /// The time on the clock of the first witness that tells it, and whose it is.
    async fn time_of_a_witness(&self) -> Option<(Timestamp, String)> {
        for witness in self.options.witnesses.iter().take(WITNESSES) {
            let Some(session) = self.session_with(witness).await else {
                continue;
            };
            let Ok(mut http) = Http::over(session.stream, false).await else {
                continue;
            };
            let root = witness.at("/");
            let answer = http.fetch(&root, &Manner::default(), self.route.time).await;
            if let Some(date) = answer.ok().and_then(|it| it.date) {
                return Some((date, format!("that of {}", witness.host)));
            }
        }
        None
    }

    async fn witness(&self, witness: &Target) -> Option<Certificate> {
        let session = self.session_with(witness).await?;
        Certificate::parse(session.sent.first()?).ok()
    }

    async fn session_with(&self, witness: &Target) -> Option<Session> {
        let options = self.options;
        let address = match &self.route.proxy {
            Some(_) => self.route.address,
            None => {
                let found = match witness.address() {
                    Some(address) => vec![address],
                    None => {
                        crate::dns::resolve(&witness.host, &options.resolvers, options.timeouts.dns)
                            .await
                            .addresses
                    }
                };
                (*found.first()?, witness.port).into()
            }
        };
        let route = Route {
            address,
            target: witness.clone(),
            ..self.route.clone()
        };
        let connection = route.open().await.ok()?;
        shake(connection, &witness.host, &[], Groups::Small, route.time)
            .await
            .ok()
    }

    fn certificates_and_issuer(&self, leaf: &Arc<Certificate>) -> String {
        let subjects = self
            .certificates
            .iter()
            .skip(1)
            .map(|it| it.subject.to_string());
        subjects
            .chain([leaf.issuer.to_string()])
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// From the leaf upwards as far as what was sent reaches: by name and by signature.
fn path(leaf: &Arc<Certificate>, sent: &[Arc<Certificate>]) -> Vec<Arc<Certificate>> {
    let mut path = vec![leaf.clone()];
    while let Some(last) = path.last().filter(|it| !it.is_self_issued()) {
        let next = sent.iter().find(|it| {
            it.subject.raw == last.issuer.raw
                && is_signed_with(last, &it.key)
                && !path.iter().any(|known| known.der == it.der)
        });
        let Some(next) = next.cloned() else { break };
        path.push(next);
    }
    path
}

/// Words in the names of authorities that inspecting devices and programs make.
const INSPECTORS: &[&str] = &[
    "zscaler",
    "netskope",
    "fortinet",
    "fortigate",
    "palo alto",
    "blue coat",
    "bluecoat",
    "forcepoint",
    "websense",
    "sophos",
    "check point",
    "checkpoint",
    "cisco umbrella",
    "opendns",
    "mcafee",
    "skyhigh",
    "barracuda",
    "sonicwall",
    "watchguard",
    "kaspersky",
    "avast",
    "avg technologies",
    "eset",
    "bitdefender",
    "mitmproxy",
    "charles proxy",
    "fiddler",
    "do_not_trust",
    "portswigger",
    "proxyman",
    "superfish",
    "cato networks",
    "iboss",
    "menlo security",
    "untangle",
    "smoothwall",
    "lightspeed",
    "contentkeeper",
    "adguard",
    "cloudflare for teams",
    "gateway ca - cloudflare",
    "trend micro",
    "symantec web",
    "inspection",
    "interception",
    "ssl decrypt",
    "tls decrypt",
    "ssl proxy",
    "tls proxy",
    "web gateway",
    "deep packet",
];

fn inspector(names: &str) -> Option<&'static str> {
    let names = names.to_lowercase();
    INSPECTORS.iter().copied().find(|word| names.contains(word))
}

/// What other programs refuse although Go does not: an RSA key below what OpenSSL takes.
pub(crate) fn weak_for_others(
    certificates: &[Arc<Certificate>],
    go_debug: GoDebug,
) -> Option<Judgement> {
    // Who sets this knows of the key.
    if go_debug.short_rsa_keys {
        return None;
    }
    const OPENSSL_BITS: usize = 2048;
    certificates.iter().find_map(|it| match it.key {
        PublicKey::Rsa { bits, .. } if bits < OPENSSL_BITS => Some(
            Judgement::certain(
                "tls-weak-key",
                format!("the key of `{}` is RSA {bits}", it.display_name()),
            )
            .and("Go takes it; OpenSSL at its usual security level does not"),
        ),
        _ => None,
    })
}

/// A chain, for people.
pub(crate) fn describe(chain: &[Arc<Certificate>]) -> String {
    let names: Vec<_> = chain
        .iter()
        .map(|it| format!("`{}`", it.display_name()))
        .collect();
    names.join(" ← ")
}
