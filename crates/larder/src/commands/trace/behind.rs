//! What a Larder among the entries says of the upstreams behind it: who is asked, in which order, and how they are.

use super::walk::{Plan, Walked};
use crate::timed_http::TimedClient;
use gomod::{ProxyEntry, SafeUrl};
use http::Method;
use proxy::observe::{EntryDocument, MemberDocument, UpstreamsDocument};
use serde::Serialize;
use std::fmt::Write as _;

/// More than any list of upstreams has.
const DOCUMENT_BYTES: usize = 1 << 20;

/// The upstreams behind one entry.
#[derive(Debug, Serialize)]
pub(super) struct Behind {
    /// The entry of GOPROXY, without a password.
    entry: String,
    upstreams: Vec<EntryDocument>,
}

/// Asks every entry that answered as a Larder does, a failure included: then it is of the most use. One that doesn't
/// say is left out: it may be an earlier Larder, or stand behind a server that passes on nothing but modules.
pub(super) async fn ask(plan: &Plan, client: &TimedClient, walked: &Walked) -> Vec<Behind> {
    let mut behind = Vec::new();
    for entry in plan.entries() {
        let ProxyEntry::Proxy(proxy) = entry else {
            continue;
        };
        let name = proxy.url.to_string();
        let is_larder = walked.requests.iter().any(|(step, exchange)| {
            let reply = exchange.result.as_ref().ok();
            step.asked == name
                && reply.is_some_and(|reply| reply.header("x-larder-cache").is_some())
        });
        if is_larder && let Some(document) = document(client, &proxy.url).await {
            behind.push(Behind {
                entry: name,
                upstreams: document.upstreams,
            });
        }
    }
    behind
}

async fn document(client: &TimedClient, base: &SafeUrl) -> Option<UpstreamsDocument> {
    let url = base.join_path("-/upstreams");
    let exchange = client
        .ask(Method::GET, url.expose(), &[], DOCUMENT_BYTES)
        .await;
    // Not a request of the walk.
    client.take_record();
    let reply = exchange.result.ok().filter(|reply| reply.status == 200)?;
    serde_json::from_slice(&reply.body).ok()
}

/// A line an upstream.
pub(super) fn lines(behind: &[Behind]) -> String {
    let mut text = String::new();
    for behind in behind {
        let _ = writeln!(text, "\nbehind {}", behind.entry);
        for entry in &behind.upstreams {
            if let Some(mode) = &entry.mode {
                let _ = write!(text, "  {}", printable(mode));
                if let Some(left) = entry.extra_requests_left {
                    let _ = write!(text, ", {left:.1} extra requests left");
                }
                text.push('\n');
            }
            let indent = if entry.mode.is_some() { "    " } else { "  " };
            for member in &entry.members {
                let _ = writeln!(text, "{indent}{}", member_line(member));
            }
        }
    }
    text
}

fn member_line(member: &MemberDocument) -> String {
    let mut line = format!("{:<40}", printable(&member.upstream));
    let mut add = |part: Option<String>| {
        if let Some(part) = part {
            let _ = write!(line, "  {part}");
        }
    };
    add(member
        .condition
        .as_deref()
        .map(|condition| format!("{:<10}", printable(condition))));
    add(member
        .breaker
        .as_deref()
        .map(|breaker| format!("breaker {:<9}", printable(breaker))));
    add(member.first_byte_mean_ms.map(|mean| {
        let p95 = member
            .first_byte_p95_ms
            .map(|p95| format!(", p95 {p95:.0}"));
        format!("first byte {mean:.0} ms{}", p95.unwrap_or_default())
    }));
    add(member
        .progress_p95_ms
        .map(|p95| format!("64 KiB p95 {p95:.0} ms")));
    add(member
        .error_rate
        .map(|rate| format!("errors {:.0} %", rate * 100.0)));
    add(member
        .refused_files
        .filter(|refused| *refused > 0)
        .map(|refused| format!("{refused} files refused")));
    line.trim_end().to_owned()
}

/// What a server says of itself goes to a terminal: no control characters, and no more than a line.
fn printable(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_server_says_cannot_move_the_cursor() {
        let behind = Behind {
            entry: "http://127.0.0.1:1".into(),
            upstreams: vec![EntryDocument {
                mode: Some("hedge\x1b[2J".into()),
                extra_requests_left: None,
                members: vec![MemberDocument {
                    upstream: "https://a.example\nb".into(),
                    condition: Some("well\r".into()),
                    ..MemberDocument::default()
                }],
            }],
        };
        let text = lines(&[behind]);
        assert!(!text.contains('\x1b') && !text.contains('\r'), "{text:?}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
