//! Many statements, few causes: repeats become one finding, the root cause comes first.

use super::decoration::Line;
use super::judge::Judgement;
use super::place::{Endpoint, looks_private};
use super::{Facts, Verdict};
use crate::cause;
use crate::finding::{Confidence, Evidence, Finding, Subject};
use crate::redact::redact;

/// Lines that are quoted for one finding; one cause repeated for a hundred packages says no more.
const MOST_EVIDENCE: usize = 5;

/// ssh's warning that a host's key changed is so many lines long; `Host key verification failed` ends it.
const HOST_KEY_WARNING_LINES: usize = 16;

/// A quoted line is cut here, in letters.
const LONGEST_QUOTE: usize = 600;

/// How near a verdict is to the root, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// A fault of its own.
    Root,
    /// Absence: what a client meets everywhere once something else has failed.
    Absence,
    /// Words that come with many causes.
    Consequence,
}

fn rank(judgement: &Judgement) -> Rank {
    if judgement.consequence {
        return Rank::Consequence;
    }
    match judgement.cause {
        "ver-unknown-revision"
        | "ver-no-match"
        | "proxy-not-found"
        | "pkg-not-required"
        | "goget-meta-missing"
        | "vcs-repo-not-found" => Rank::Absence,
        _ => Rank::Root,
    }
}

/// The findings of a log, root cause first.
pub(super) fn findings(
    lines: &[Line<'_>],
    mut verdicts: Vec<Verdict>,
    facts: &Facts,
) -> Vec<Finding> {
    let told_elsewhere: Vec<Verdict> = verdicts
        .iter()
        .filter(|verdict| verdict.superseded)
        .cloned()
        .collect();
    verdicts.retain(|verdict| !verdict.superseded);
    refine(&mut verdicts, lines, facts);
    if verdicts
        .iter()
        .any(|verdict| rank(&verdict.judgement) != Rank::Consequence)
    {
        verdicts.retain(|verdict| rank(&verdict.judgement) != Rank::Consequence);
    }
    verdicts.sort_by_key(|verdict| (rank(&verdict.judgement), verdict.line));
    let mut groups: Vec<(&'static str, Vec<Verdict>)> = Vec::new();
    for verdict in verdicts {
        match groups
            .iter_mut()
            .find(|(cause, _)| *cause == verdict.judgement.cause)
        {
            Some((_, group)) => group.push(verdict),
            None => groups.push((verdict.judgement.cause, vec![verdict])),
        }
    }
    groups
        .into_iter()
        .filter_map(|(cause, group)| finding(cause, &group, &told_elsewhere, lines))
        .collect()
}

/// What only the whole log can tell.
fn refine(verdicts: &mut [Verdict], lines: &[Line<'_>], facts: &Facts) {
    let mut untrusted_hosts: Vec<String> = verdicts
        .iter()
        .filter(|verdict| verdict.judgement.cause == "tls-untrusted-ca")
        .filter_map(|verdict| verdict.subject.host.clone())
        .filter(|host| !looks_private(host))
        .collect();
    untrusted_hosts.sort();
    untrusted_hosts.dedup();
    let shown_in_chain = verdicts
        .iter()
        .any(|verdict| verdict.judgement.cause == "tls-intercepted");
    let changed_host_keys: Vec<usize> = verdicts
        .iter()
        .filter(|verdict| verdict.judgement.cause == "vcs-host-key-changed")
        .map(|verdict| verdict.line)
        .collect();
    let toolchain_missing = verdicts
        .iter()
        .any(|verdict| verdict.judgement.cause == "toolchain-unavailable");
    for verdict in verdicts.iter_mut() {
        let text = lines
            .get(verdict.line)
            .map(|line| line.text.as_ref())
            .unwrap_or_default();
        let judgement = &mut verdict.judgement;
        match judgement.cause {
            "tls-untrusted-ca" => {
                let public = verdict
                    .subject
                    .host
                    .as_deref()
                    .is_none_or(|host| !looks_private(host));
                if public && shown_in_chain {
                    judgement.cause = "tls-intercepted";
                    judgement.confidence = Some(Confidence::Likely);
                } else if public && facts.bare_image {
                    judgement.cause = "tls-missing-ca-bundle";
                    judgement.confidence = Some(Confidence::Possible);
                } else if verdict.endpoint == Some(Endpoint::ObjectStore)
                    && untrusted_hosts.len() <= 1
                {
                    // The proxy's own answer passed, and sent go here.
                    judgement.cause = "tls-intercepted";
                    judgement.confidence = Some(Confidence::Likely);
                } else if untrusted_hosts.len() > 1 {
                    // Unrelated hosts do not lose their intermediates on one day.
                    judgement.cause = "tls-intercepted";
                    judgement.confidence = Some(Confidence::Possible);
                    judgement.also.push("tls-missing-ca-bundle");
                }
                if facts.insecure {
                    judgement.also.push("insecure-http");
                }
            }
            // An unknown root that was sent too: of a company's own host it is the company's.
            "tls-intercepted" if verdict.subject.host.as_deref().is_some_and(looks_private) => {
                judgement.cause = "tls-untrusted-ca";
                judgement.also.push("tls-intercepted");
            }
            "vcs-host-key"
                if changed_host_keys.iter().any(|changed| {
                    (*changed..*changed + HOST_KEY_WARNING_LINES).contains(&verdict.line)
                }) =>
            {
                judgement.consequence = true;
            }
            // go would have helped itself, had it got the newer toolchain.
            "go-too-old" if toolchain_missing => judgement.consequence = true,
            // Without modules go asks each host itself; that a proxy is configured shows that it
            // should not have.
            "net-timeout" | "net-refused" | "net-reset"
                if (facts.modules_off || facts.module_proxy_seen)
                    && text.starts_with("package ")
                    && verdict.endpoint == Some(Endpoint::Discovery) =>
            {
                judgement.also.push(judgement.cause);
                judgement.cause = "gopath-mode";
                judgement.confidence = Some(Confidence::Likely);
            }
            "net-timeout" | "net-refused"
                if text.starts_with("package ")
                    && verdict.endpoint == Some(Endpoint::Discovery) =>
            {
                judgement.also.push("gopath-mode");
            }
            // Go before 1.16 wrote to go.mod unless told not to, and reads what newer releases write
            // as incomplete.
            "mod-readonly" if facts.go_minor.is_some_and(|minor| minor < 16) => {
                judgement.cause = "go-too-old";
                judgement.also.push("mod-readonly");
                judgement.confidence = Some(Confidence::Possible);
            }
            "tls-plain-http" if verdict.endpoint == Some(Endpoint::Discovery) || facts.insecure => {
                judgement.also.push("insecure-http");
            }
            _ => {}
        }
    }
}

fn finding(
    cause: &'static str,
    group: &[Verdict],
    told_elsewhere: &[Verdict],
    lines: &[Line<'_>],
) -> Option<Finding> {
    let entry = cause::find(cause)?;
    let first = group.first()?;
    let confidence = group
        .iter()
        .map(|verdict| verdict.judgement.confidence.unwrap_or(entry.message_proves))
        .max()
        .unwrap_or(entry.message_proves);
    let mut also_possible: Vec<&'static str> = Vec::new();
    if confidence != Confidence::Certain {
        let from_log = group
            .iter()
            .flat_map(|verdict| verdict.judgement.also.iter());
        for other in from_log.chain(entry.confused_with) {
            if *other != cause && !also_possible.contains(other) {
                also_possible.push(other);
            }
        }
    }
    let subject = fullest(group);
    let mut evidence_lines: Vec<usize> = Vec::new();
    for verdict in group.iter().take(MOST_EVIDENCE) {
        // The answer's status stands before the answer, and belongs to it.
        let head = told_elsewhere
            .iter()
            .rfind(|told| told.line < verdict.line && told.line + 12 > verdict.line);
        evidence_lines.extend(head.map(|head| head.line));
        evidence_lines.push(verdict.line);
    }
    evidence_lines.sort_unstable();
    evidence_lines.dedup();
    let evidence = evidence_lines
        .iter()
        .filter_map(|index| lines.get(*index))
        .take(MOST_EVIDENCE)
        .map(|line| Evidence {
            line: Some(line.number),
            text: quote(&line.text),
        })
        .collect();
    let settle = (confidence != Confidence::Certain)
        .then(|| entry.probe(&subject))
        .flatten();
    Some(Finding {
        cause,
        confidence,
        also_possible,
        whose: match first.quoted {
            Some(quoted) if cause == "vcs-network" => whose_git(quoted),
            _ => entry.whose,
        },
        subject,
        evidence,
        cures: entry
            .cures
            .iter()
            .flat_map(|cures| cures.iter())
            .copied()
            .collect(),
        settle,
    })
}

/// Whose git failed, when its words were quoted by this endpoint.
fn whose_git(quoted: Endpoint) -> cause::Whose {
    match quoted {
        Endpoint::ChecksumDatabase | Endpoint::ProxiedChecksumDatabase => {
            cause::Whose::ChecksumDatabase
        }
        _ => cause::Whose::ModuleProxy,
    }
}

/// The subject of the first verdict, with what only later ones name about the same thing.
fn fullest(group: &[Verdict]) -> Subject {
    let mut subject = group
        .first()
        .map(|verdict| verdict.subject.clone())
        .unwrap_or_default();
    for verdict in group {
        if subject.host.is_none() {
            subject.host.clone_from(&verdict.subject.host);
            subject.url.clone_from(&verdict.subject.url);
        }
        if subject.module.is_none() {
            subject.module.clone_from(&verdict.subject.module);
            subject.version.clone_from(&verdict.subject.version);
        }
    }
    subject
}

fn quote(text: &str) -> String {
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(LONGEST_QUOTE).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    redact(&short)
}
