//! Why a handshake fails: the hello is varied in one thing at a time, and what changes the answer is the
//! cause.

use crate::certificate::{Certificate, PublicKey};
use crate::connect::Route;
use crate::finding::Judgement;
use crate::flight::{Found, protocol_name};
use crate::go_debug::GoDebug;
use crate::handshake::{FaultKind, HandshakeFault};
use crate::hello::{Offer, cipher_name, group, version};
use crate::probe::{Reaction, alert_text, listen, probe, shown};

/// What a failed handshake comes to.
pub(crate) enum Outcome {
    /// Go fails here with this text.
    Broken { judgement: Judgement, go: String },
    /// Go gets along with the server, and only this program does not; what it saw of the server's answer.
    GoAgrees(Box<Found>),
}

/// What the server did with each variation.
struct Reactions {
    go: Reaction,
    small: Reaction,
    nameless: Reaction,
    renamed: Reaction,
    without_protocols: Reaction,
    old: [(u16, Reaction); 2],
    wide: Reaction,
    all_groups: Reaction,
    quiet: Reaction,
}

/// A server name that nobody has.
const NOBODY: &str = "larder-doctor.invalid";

/// `local` stands in Go's text of a reset. `small` is the answer to a small hello where the first one was met
/// with silence.
pub(crate) async fn investigate(
    route: &Route,
    fault: &HandshakeFault,
    go_debug: GoDebug,
    local: &str,
    small: Option<Reaction>,
) -> Outcome {
    let host = &route.target.host;
    if fault.kind == FaultKind::Empty {
        return broken(
            Judgement::certain(
                "tls-bad-certificate",
                "the server's list of certificates is empty",
            ),
            "tls: received empty certificates message",
        );
    }
    if let (true, FaultKind::Alert(number)) = (fault.asks_for_certificate, &fault.kind) {
        return broken(
            client_certificate(*number),
            format!("remote error: tls: {}", alert_text(*number)),
        );
    }
    if fault.kind == FaultKind::Silent {
        return silence(small);
    }
    let go = Offer::of_go(host).with(go_debug);
    let small = go.clone().small();
    let nameless = go.clone().server_name(None);
    let renamed = go.clone().server_name(Some(NOBODY));
    let without_protocols = go.clone().without_protocols();
    let oldest = go.clone().only(version::TLS_1_0);
    let old = go.clone().only(version::TLS_1_1);
    let wide = go.clone().wide();
    let all_groups = go.clone().all_groups();
    let (first, second) = tokio::join!(
        async {
            tokio::join!(
                probe(route, &go),
                probe(route, &small),
                probe(route, &nameless),
                probe(route, &renamed),
                probe(route, &without_protocols),
            )
        },
        async {
            tokio::join!(
                probe(route, &oldest),
                probe(route, &old),
                probe(route, &wide),
                probe(route, &all_groups),
                listen(route),
            )
        }
    );
    let (go, small, nameless, renamed, without_protocols) = first;
    let (oldest, old, wide, all_groups, quiet) = second;
    let reactions = Reactions {
        go,
        small,
        nameless,
        renamed,
        without_protocols,
        old: [(version::TLS_1_0, oldest), (version::TLS_1_1, old)],
        wide,
        all_groups,
        quiet,
    };
    reactions.judge(fault, &route.address.to_string(), local)
}

fn broken(judgement: Judgement, go: impl Into<String>) -> Outcome {
    Outcome::Broken {
        judgement,
        go: go.into(),
    }
}

fn client_certificate(alert: u8) -> Judgement {
    Judgement::certain(
        "tls-client-cert-required",
        "the server sent a CertificateRequest",
    )
    .and(format!(
        "without a certificate it answers alert {alert} ({})",
        alert_text(alert)
    ))
}

/// Nothing came in answer to the first hello.
fn silence(small: Option<Reaction>) -> Outcome {
    let large = "no answer to the hello that Go sends (more than one segment)";
    let judgement = match small {
        Some(reaction) if reaction.agreed() => Judgement::certain("tls-hello-too-large", large)
            .and(format!(
                "a hello without the post-quantum key share is answered: {}",
                reaction.describe()
            )),
        Some(Reaction::Other(first)) => other_protocol(&first).0,
        Some(reaction) => Judgement::certain("tls-handshake-timeout", large)
            .and(format!("a small hello: {}", reaction.describe())),
        None => Judgement::likely("tls-handshake-timeout", &["tls-hello-too-large"], large),
    };
    broken(judgement, "net/http: TLS handshake timeout")
}

fn other_protocol(first: &[u8]) -> (Judgement, &'static str) {
    let name = protocol_name(first);
    let evidence = format!("the first bytes are {name}: {}", shown(first));
    if first.starts_with(b"HTTP/") {
        (
            Judgement::certain("tls-plain-http", evidence),
            "http: server gave HTTP response to HTTPS client",
        )
    } else {
        let cause = if name == "HTTP" {
            "tls-plain-http"
        } else {
            "tls-not-tls"
        };
        (
            Judgement::certain(cause, evidence),
            "tls: first record does not look like a TLS handshake",
        )
    }
}

impl Reactions {
    fn judge(self, fault: &HandshakeFault, remote: &str, local: &str) -> Outcome {
        let reset = format!("read tcp {local}->{remote}: read: connection reset by peer");
        // What speaks first does so whatever is sent; a reset may eat its words.
        if let (Reaction::Reset | Reaction::Closed, Reaction::Other(first)) =
            (&self.go, &self.quiet)
        {
            let (judgement, go) = other_protocol(first);
            return broken(judgement, go);
        }
        match &self.go {
            Reaction::Agreed(found) => {
                if found.certificates.as_ref().is_some_and(Vec::is_empty) {
                    let judgement = Judgement::certain(
                        "tls-bad-certificate",
                        "the server's list of certificates is empty",
                    );
                    return broken(judgement, "tls: received empty certificates message");
                }
                if let (true, FaultKind::Alert(number)) = (found.asks_for_certificate, &fault.kind)
                {
                    let go = format!("remote error: tls: {}", alert_text(*number));
                    return broken(client_certificate(*number), go);
                }
                // In TLS 1.3 what follows the ServerHello is encrypted: only the whole handshake saw the alert.
                let is_late = found
                    .server
                    .as_ref()
                    .is_some_and(|server| server.version >= version::TLS_1_3);
                if let FaultKind::Alert(number) = fault.kind
                    && (is_late || number == 120)
                {
                    let go = format!("remote error: tls: {}", alert_text(number));
                    return broken(self.judge_alert(number), go);
                }
                Outcome::GoAgrees(found.clone())
            }
            Reaction::Other(first) => {
                let (judgement, go) = other_protocol(first);
                broken(judgement, go)
            }
            Reaction::Alert(number) => {
                let go = format!("remote error: tls: {}", alert_text(*number));
                broken(self.judge_alert(*number), go)
            }
            Reaction::Silent => silence(Some(self.small)),
            Reaction::Closed => broken(self.judge_cut("closes the connection"), "EOF"),
            Reaction::Reset => broken(self.judge_cut("resets the connection"), reset),
            Reaction::Gone(text) => broken(
                Judgement::likely("net-refused", &["net-reset"], text.clone()),
                text.clone(),
            ),
        }
    }

    /// The connection ends in answer to Go's hello.
    fn judge_cut(&self, how: &str) -> Judgement {
        let seen = format!("the hello that Go sends: the peer {how}");
        if matches!(self.quiet, Reaction::Reset | Reaction::Closed) {
            return Judgement::certain(
                "net-reset",
                "the connection is cut before anything is sent over it",
            );
        }
        if self.small.agreed() {
            return Judgement::certain("tls-hello-too-large", seen).and(format!(
                "a hello without the post-quantum key share is answered: {}",
                self.small.describe()
            ));
        }
        if let Some(judgement) = self.judge_name(&seen) {
            return judgement;
        }
        let cause = Judgement::certain("tls-truncated", seen);
        cause.and(format!(
            "so it does with a small hello ({}) and without server name ({})",
            self.small.describe(),
            self.nameless.describe()
        ))
    }

    /// Another server name, or none, is answered.
    fn judge_name(&self, seen: &str) -> Option<Judgement> {
        let (how, reaction) = if self.nameless.agreed() {
            ("without server name", &self.nameless)
        } else if self.renamed.agreed() {
            ("with another server name", &self.renamed)
        } else {
            return None;
        };
        let judgement = Judgement::certain("tls-sni-refused", seen);
        Some(judgement.and(format!("{how}: {}", reaction.describe())))
    }

    fn judge_alert(&self, number: u8) -> Judgement {
        let seen = format!(
            "the hello that Go sends is answered by alert {number} ({})",
            alert_text(number)
        );
        if number == 116 {
            return Judgement::certain("tls-client-cert-required", seen);
        }
        let older = self.old.iter().find(|(_, reaction)| reaction.agreed());
        if number == 70 || older.is_some() {
            let judgement = Judgement::certain("tls-version-too-old", seen);
            return match older {
                Some((version, reaction)) => judgement.and(format!(
                    "{} alone: {}",
                    version::name(*version),
                    reaction.describe()
                )),
                None => judgement.and("no version from 1.0 to 1.3 is accepted".to_owned()),
            };
        }
        if number == 120 || self.without_protocols.agreed() {
            return Judgement::certain("tls-alpn", seen).and(format!(
                "without ALPN: {}",
                self.without_protocols.describe()
            ));
        }
        if number == 112 {
            return Judgement::certain("tls-sni-refused", seen)
                .and(format!("without server name: {}", self.nameless.describe()));
        }
        if let Some(judgement) = self.judge_name(&seen) {
            return judgement;
        }
        if let Reaction::Agreed(found) = &self.wide {
            return judge_wide(found, seen);
        }
        if let Reaction::Agreed(found) = &self.all_groups {
            let group = found.server.as_ref().and_then(|server| server.group);
            let group = group.map_or_else(|| "another group".to_owned(), group::name);
            return Judgement::certain("tls-no-shared-cipher", seen).and(format!(
                "with every group on offer the server wants {group}"
            ));
        }
        if self.small.agreed() {
            let judgement =
                Judgement::likely("tls-hello-too-large", &["tls-handshake-alert"], seen);
            return judgement.and(format!(
                "a hello without the post-quantum key share is answered: {}",
                self.small.describe()
            ));
        }
        Judgement::certain("tls-handshake-alert", seen)
            .and("no other version, cipher, group, server name or ALPN changes that".to_owned())
    }
}

/// The server went along with a hello that offers everything: what it chose, or showed, is what Go lacks.
fn judge_wide(found: &Found, seen: String) -> Judgement {
    let chosen = found.server.as_ref().map(|it| cipher_name(it.cipher));
    let chosen = chosen.unwrap_or_else(|| "nothing that can be named".to_owned());
    let leaf = found.certificates.iter().flatten().next();
    let leaf = leaf.and_then(|der| Certificate::parse(der).ok());
    if let Some(leaf) = leaf {
        if matches!(leaf.key, PublicKey::Dsa { .. } | PublicKey::Unknown(_)) {
            return Judgement::certain("tls-weak-key", seen).and(format!(
                "to a hello that offers more it shows a certificate whose key is {}; Go knows no such key",
                leaf.key.describe()
            ));
        }
        if leaf.signature_algorithm.is_weak() {
            return Judgement::certain("tls-weak-signature", seen).and(format!(
                "to a hello that offers more it shows a certificate signed with {}",
                leaf.signature_algorithm.name()
            ));
        }
    }
    Judgement::certain("tls-no-shared-cipher", seen).and(format!(
        "to a hello that offers everything it chooses {chosen}"
    ))
}
