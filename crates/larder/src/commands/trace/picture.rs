//! The walk as a waterfall, and as curl commands.

use super::behind;
use super::walk::Walked;
use crate::shell::quoted;
use crate::timed_http::{Exchange, shown};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tlsdoctor::certificate::Certificate;
use tlsdoctor::trust::{TrustContent, TrustSettings, TrustSource, TrustStore};

/// Columns of the bars.
const WIDTH: usize = 40;

/// Name, connection, TLS, waiting for the first byte, body.
const SIGNS: [char; 5] = ['·', '-', '=', '░', '█'];

/// A bar a request, over the time of the whole walk.
pub(super) fn waterfall(walked: &Walked) -> String {
    let version = walked.version.as_ref().map(ToString::to_string);
    let mut text = format!(
        "{}{}\n",
        walked.module_path,
        version.map(|v| format!("@{v}")).unwrap_or_default()
    );
    let end = walked
        .requests
        .iter()
        .map(|(_, exchange)| exchange.began_ms + exchange.phases.total())
        .fold(1.0, f64::max);
    let mut entry = "";
    let mut chains = Vec::new();
    for (step, exchange) in &walked.requests {
        if step.asked != entry {
            entry = &step.asked;
            let _ = writeln!(text, "\n{entry}");
        }
        let outcome = match &exchange.result {
            Ok(reply) => format!("{} {}", reply.status, size(reply.body.len())),
            Err(_) => "failed".into(),
        };
        let _ = writeln!(
            text,
            "  {:<17} {:<13} {:>7.1} ms |{}| {}",
            step.what,
            outcome,
            exchange.phases.total(),
            bar(exchange, end),
            tail(exchange)
        );
        if let Err(error) = &exchange.result {
            let _ = writeln!(text, "      ✗ {}: {error}", shown(&exchange.url));
        }
        if !exchange.reused {
            let is_new = exchange
                .peer
                .as_ref()
                .is_none_or(|peer| !chains.contains(&&peer.chain));
            chains.extend(exchange.peer.as_ref().map(|peer| &peer.chain));
            text.push_str(&peer_lines(exchange, is_new));
        }
    }
    text.push_str(&direct_lines(walked));
    text.push_str("\n· name   - connection   = TLS   ░ waiting   █ body\n");
    text.push_str(&behind::lines(&walked.behind));
    text.push('\n');
    for note in &walked.notes {
        let _ = writeln!(text, "note: {note}");
    }
    for verdict in &walked.verified {
        let _ = match &verdict.by {
            Ok(database) => writeln!(
                text,
                "✓ .{} {} (checksum database {database})",
                verdict.file, verdict.hash
            ),
            Err(reason) => writeln!(
                text,
                "! .{} {} not verified: {reason}",
                verdict.file, verdict.hash
            ),
        };
    }
    if let Some(failure) = &walked.failure {
        let _ = writeln!(text, "✗ {failure}");
    }
    text
}

/// The questions to a repository, each with its git processes.
fn direct_lines(walked: &Walked) -> String {
    let mut text = String::new();
    let mut repository = "";
    for step in &walked.direct {
        if step.repository != repository {
            repository = &step.repository;
            let _ = writeln!(text, "\n{repository} (git)");
        }
        let _ = writeln!(
            text,
            "  {:<17} {:<13} {:>7.1} ms",
            step.what,
            size(step.bytes),
            step.ms
        );
        for process in &step.processes {
            let sign = if process.succeeded { "✓" } else { "✗" };
            let _ = writeln!(
                text,
                "      {sign} git {} {:.1} ms",
                process.kind, process.ms
            );
        }
        if let Some(error) = &step.error {
            let _ = writeln!(text, "      ✗ {error}");
        }
    }
    text
}

fn bar(exchange: &Exchange, end: f64) -> String {
    let column = |ms: f64| -> usize {
        let columns = (0..WIDTH).take_while(|column| {
            let column = u32::try_from(*column).unwrap_or(u32::MAX);
            f64::from(column) < ms / end * 40.0
        });
        columns.count()
    };
    let phases = [
        exchange.phases.dns,
        exchange.phases.connect,
        exchange.phases.tls,
        exchange.phases.first_byte,
        exchange.phases.body,
    ];
    let mut bar = vec![' '; WIDTH];
    let mut at = exchange.began_ms;
    for (phase, sign) in phases.into_iter().zip(SIGNS) {
        let Some(phase) = phase else { continue };
        let (from, to) = (column(at), column(at + phase));
        bar.iter_mut()
            .take(to)
            .skip(from)
            .for_each(|cell| *cell = sign);
        at += phase;
    }
    bar.into_iter().collect()
}

/// The path, and what a Larder on the way says of itself.
fn tail(exchange: &Exchange) -> String {
    let mut tail = exchange.url.path().rsplit_once("/@").map_or_else(
        || exchange.url.path().to_owned(),
        |(_, file)| format!("@{file}"),
    );
    if let Ok(reply) = &exchange.result {
        for name in ["x-larder-cache", "x-larder-source", "age"] {
            if let Some(value) = reply.header(name) {
                let name = name.trim_start_matches("x-larder-");
                let _ = write!(tail, " {name}={value}");
            }
        }
    }
    tail
}

/// Who answered a new connection; a chain that was not seen before as a tree.
fn peer_lines(exchange: &Exchange, is_new: bool) -> String {
    let mut text = String::new();
    if let Some(address) = exchange.address {
        let through = exchange
            .proxy
            .as_ref()
            .map(|proxy| format!(" through the HTTP proxy {proxy}"));
        let _ = writeln!(
            text,
            "      connected to {address}{}",
            through.unwrap_or_default()
        );
    }
    let Some(peer) = exchange.peer.as_ref().filter(|_| is_new) else {
        return text;
    };
    let _ = writeln!(text, "      {}", peer.version);
    for (depth, der) in peer.chain.iter().enumerate() {
        let indent = "  ".repeat(depth);
        let _ = match Certificate::parse(der) {
            Ok(certificate) => writeln!(
                text,
                "      {indent}└ {}, until {}",
                certificate.display_name(),
                certificate.not_after
            ),
            Err(error) => writeln!(text, "      {indent}└ {error}"),
        };
    }
    text
}

/// The same for machines.
pub(super) fn peer_json(exchange: &Exchange) -> serde_json::Value {
    let chain: Vec<_> = exchange
        .peer
        .iter()
        .flat_map(|peer| &peer.chain)
        .filter_map(|der| Certificate::parse(der).ok())
        .map(|certificate| {
            json!({
                "subject": certificate.subject.to_string(),
                "issuer": certificate.issuer.to_string(),
                "not_after": certificate.not_after.to_string(),
                "fingerprint": certificate.fingerprint(),
            })
        })
        .collect();
    json!({
        "address": exchange.address.map(|address| address.to_string()),
        "tls": exchange.peer.as_ref().map(|peer| peer.version.clone()),
        "chain": chain,
    })
}

/// The walk as commands: each can be repeated by hand. Passwords are left to netrc.
pub(super) fn curl(walked: &Walked, trusting: &Trusting) -> String {
    let mut text = String::new();
    for note in &walked.notes {
        let _ = writeln!(text, "# {note}");
    }
    if let Roots::Bundle(sources) = &trusting.roots {
        text.push_str("# these authorities in one file: curl reads of each kind one, and of folders only what `openssl rehash` named\n");
        text.push_str("roots=$(mktemp); cat");
        for source in sources {
            let all = if source.is_dir() { "/*" } else { "" };
            let _ = write!(text, " {}{all}", quoted(&source.display().to_string()));
        }
        text.push_str(" > \"$roots\"\n");
    }
    for (step, exchange) in &walked.requests {
        let mut bare = exchange.url.clone();
        let has_password = bare.password().is_some() || !bare.username().is_empty();
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let outcome = match &exchange.result {
            Ok(reply) => format!("{}, {}", reply.status, size(reply.body.len())),
            Err(error) => error.clone(),
        };
        let _ = writeln!(
            text,
            "# {}: {outcome}, {:.1} ms",
            step.what,
            exchange.phases.total()
        );
        text.push_str("curl -sS -o /dev/null -w '%{http_code} %{size_download} bytes, name %{time_namelookup} connect %{time_connect} tls %{time_appconnect} first byte %{time_starttransfer} total %{time_total}\\n'");
        match &trusting.roots {
            Roots::OfCurl => {}
            Roots::Named { file, folders } => {
                if let Some(file) = file {
                    let _ = write!(text, " --cacert {}", quoted(&file.display().to_string()));
                }
                if !folders.is_empty() {
                    let _ = write!(text, " --capath {}", quoted(&folders.join(":")));
                }
            }
            Roots::Bundle(_) => text.push_str(" --cacert \"$roots\""),
        }
        if let Some(proxy) = &exchange.proxy {
            let _ = write!(text, " --proxy {}", quoted(proxy));
        }
        if has_password {
            text.push_str(" --user \"$USER_AND_PASSWORD\"");
        } else {
            text.push_str(" --netrc-optional");
            if let Some(file) = &trusting.netrc {
                let _ = write!(
                    text,
                    " --netrc-file {}",
                    quoted(&file.display().to_string())
                );
            }
        }
        let _ = writeln!(text, " {}", quoted(bare.as_str()));
    }
    text
}

/// Where curl must look to trust and to sign in as the walk did. It does not heed NETRC in every release.
pub(super) struct Trusting {
    pub(super) roots: Roots,
    pub(super) netrc: Option<PathBuf>,
}

/// Which authorities curl is told of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// None: it knows the system's.
    OfCurl,
    /// Those of SSL_CERT_FILE and SSL_CERT_DIR. Of the two variables curl heeds one, so each becomes an option.
    Named {
        file: Option<PathBuf>,
        folders: Vec<String>,
    },
    /// One file made of all these. More authorities than the system's, or folders that curl could not read: it
    /// finds only names such as `5ad8a5d6.0` in them, and go reads every file.
    Bundle(Vec<PathBuf>),
}

impl Roots {
    /// For what go would trust here.
    pub(super) fn of(settings: &TrustSettings) -> Self {
        let mut sources = TrustStore::load(settings).sources;
        sources.retain(|source| matches!(source.content, TrustContent::Certificates(_)));
        if !sources.iter().any(|source| source.is_named) {
            return Self::OfCurl;
        }
        let is_folder = |source: &TrustSource| source.path.is_dir();
        let is_readable =
            |source: &TrustSource| !is_folder(source) || has_hashed_names(&source.path);
        let mut named = sources.iter().filter(|source| source.is_named);
        if settings.extra_files.is_empty() && named.all(is_readable) {
            let named = || sources.iter().filter(|source| source.is_named);
            return Self::Named {
                file: named()
                    .find(|source| !is_folder(source))
                    .map(|source| source.path.clone()),
                folders: named()
                    .filter(|source| is_folder(source))
                    .map(|source| source.path.display().to_string())
                    .collect(),
            };
        }
        // The system's folders hold what its bundle does.
        let has_bundle = sources
            .iter()
            .any(|source| !source.is_named && !is_folder(source));
        let paths = sources
            .into_iter()
            .filter(|source| source.is_named || !has_bundle || !is_folder(source))
            .map(|source| source.path);
        Self::Bundle(paths.collect())
    }
}

/// `5ad8a5d6.0`: what `openssl rehash` and `update-ca-certificates` name the certificates of a folder.
fn has_hashed_names(folder: &Path) -> bool {
    let is_hashed = |name: &str| {
        name.split_once('.').is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    fs_err::read_dir(folder).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_str().is_some_and(is_hashed))
    })
}

fn size(bytes: usize) -> String {
    match bytes {
        0..=9_999 => format!("{bytes} B"),
        10_000..=9_999_999 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
