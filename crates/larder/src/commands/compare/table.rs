//! The services side by side, and the GOPROXY line that follows.

use super::service::{Judged, newest};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// All services, in the order in which they were named.
pub(super) struct Compared {
    pub(super) services: Vec<Judged>,
    recommended: Option<String>,
}

impl Compared {
    pub(super) fn of(mut services: Vec<Judged>) -> Self {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for service in &services {
            for (module, versions) in &service.listed {
                let versions = versions.iter().cloned();
                all.entry(module.clone()).or_default().extend(versions);
            }
        }
        for service in &mut services {
            if service.failure.is_some() {
                continue;
            }
            let behind = all.iter().map(|(module, versions)| {
                let own: BTreeSet<&String> =
                    service.listed.get(module).into_iter().flatten().collect();
                versions
                    .iter()
                    .filter(|version| !own.contains(version))
                    .count()
            });
            service.behind = u32::try_from(behind.sum::<usize>()).unwrap_or(u32::MAX);
        }
        dispute(&mut services);
        let recommended = recommend(&services);
        Self {
            services,
            recommended,
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        json!({"services": self.services, "recommended": self.recommended})
    }

    pub(super) fn text(&self) -> String {
        let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
        let mut row = |name, cell: &dyn Fn(&Judged) -> String| {
            let cells = self.services.iter().map(|service| match service.failure {
                Some(_) => "–".to_owned(),
                None => cell(service),
            });
            rows.push((name, cells.collect()));
        };
        let ms = |value: Option<f64>| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1} ms"))
        };
        let yes = |value: Option<bool>| match value {
            Some(true) => "✓".to_owned(),
            Some(false) => "✗".to_owned(),
            None => "not asked".to_owned(),
        };
        row("name lookup", &|service| ms(service.phases_ms.dns));
        row("connection", &|service| ms(service.phases_ms.connect));
        row("TLS", &|service| ms(service.phases_ms.tls));
        row("first byte, new", &|service| {
            ms(service.phases_ms.first_byte)
        });
        row("first byte, p50", &|service| ms(service.p50_ms));
        row("first byte, p99", &|service| ms(service.p99_ms));
        row("throughput", &|service| {
            service
                .throughput
                .map_or_else(|| "–".into(), |rate| format!("{:.1} MB/s", rate / 1e6))
        });
        row("TLS version", &|service| {
            service.tls.clone().unwrap_or_else(|| "none".into())
        });
        row("HTTP", &|service| {
            if service.http2 {
                "2".into()
            } else {
                "1.1".into()
            }
        });
        row("chain, days left", &|service| {
            service
                .chain_days_left
                .map_or_else(|| "–".into(), |days| days.to_string())
        });
        row("files there", &|service| {
            format!("{} of {}", service.complete.0, service.complete.1)
        });
        row("hashes verified", &|service| service.verified.to_string());
        row("hashes wrong", &|service| match service.wrong.len() {
            0 => "0".into(),
            count => format!("✗ {count}"),
        });
        row("hashes disputed", &|service| match service.disputed.len() {
            0 => "0".into(),
            count => format!("✗ {count}"),
        });
        row("versions not listed", &|service| service.behind.to_string());
        row("HEAD", &|service| yes(service.head));
        row("Range", &|service| yes(service.range));
        row("checksum database", &|service| yes(service.sumdb));
        row("unknown module", &|service| match service.absent_status {
            Some(status @ (404 | 410)) => format!("✓ {status}"),
            Some(status) => format!("✗ {status}"),
            None => "not asked".into(),
        });
        row("private module", &|service| match service.private_status {
            Some(200) => "serves it".into(),
            Some(status) => format!("{status}"),
            None => "not asked".into(),
        });
        row("it learns", &|service| match service.private_status {
            Some(_) => "public and private names".into(),
            None => "public names asked".into(),
        });
        row("requests made", &|service| service.requests.to_string());
        self.laid_out(&rows)
    }

    fn laid_out(&self, rows: &[(&str, Vec<String>)]) -> String {
        let mut text = String::new();
        for (number, service) in (1..).zip(&self.services) {
            let _ = writeln!(text, "[{number}] {}", service.url);
        }
        text.push('\n');
        let widths: Vec<usize> = (0..self.services.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|(_, cells)| cells.get(column));
                cells
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or_default()
                    .max(6)
            })
            .collect();
        let _ = write!(text, "{:<20}", "");
        for (number, width) in (1..).zip(&widths) {
            let head = format!("[{number}]");
            let _ = write!(text, "  {head:<width$}");
        }
        text.push('\n');
        for (name, cells) in rows {
            let _ = write!(text, "{name:<20}");
            for (cell, width) in cells.iter().zip(&widths) {
                let _ = write!(text, "  {cell:<width$}");
            }
            let trimmed = text.trim_end().len();
            text.truncate(trimmed);
            text.push('\n');
        }
        for (number, service) in (1..).zip(&self.services) {
            if let Some(failure) = &service.failure {
                let _ = writeln!(text, "\n✗ [{number}] {failure}");
            }
            for wrong in &service.wrong {
                let _ = writeln!(text, "\n✗ [{number}] SECURITY: {wrong}");
            }
            for disputed in &service.disputed {
                let _ = writeln!(text, "\n✗ [{number}] SECURITY: {disputed}");
            }
            for missing in &service.missing {
                let _ = writeln!(text, "! [{number}] {missing}");
            }
            for (module, latest) in &service.latest {
                let listed = service
                    .listed
                    .get(module)
                    .and_then(|versions| newest(versions));
                if let Some(listed) = listed
                    && listed.to_string() != *latest
                {
                    let _ = writeln!(
                        text,
                        "· [{number}] {module}: @latest is {latest}, the list's newest is {listed}"
                    );
                }
            }
        }
        match &self.recommended {
            Some(line) => {
                let _ = writeln!(text, "\nGOPROXY={line}");
            }
            None => text.push_str("\nnone of them can be recommended\n"),
        }
        text
    }
}

/// Two services cannot both be right about a file; where the checksum database does not know it, nobody says which.
fn dispute(services: &mut [Judged]) {
    let mut hashes: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (file, hash) in services.iter().flat_map(|service| &service.unvouched) {
        hashes.entry(file).or_default().insert(hash);
    }
    let disputed: BTreeSet<String> = hashes
        .into_iter()
        .filter(|(_, hashes)| hashes.len() > 1)
        .map(|(file, _)| file.to_owned())
        .collect();
    for service in services {
        let own = service.unvouched.iter();
        service.disputed = own
            .filter(|(file, _)| disputed.contains(*file))
            .map(|(file, hash)| {
                format!("{file}: {hash}, and another service has other bytes; no checksum database says which are right")
            })
            .collect();
    }
}

/// The sound services, the complete before the fast. A service that says something else than 404 for what it does
/// not have would end a `,` list, so `|` stands behind it.
fn recommend(services: &[Judged]) -> Option<String> {
    let mut sound: Vec<&Judged> = services
        .iter()
        .filter(|service| !service.is_faulty() && service.complete.0 > 0)
        .collect();
    sound.sort_by(|a, b| {
        let missing = |service: &Judged| service.complete.1 - service.complete.0;
        let speed = |service: &Judged| service.p50_ms.unwrap_or(f64::MAX);
        missing(a)
            .cmp(&missing(b))
            .then(speed(a).total_cmp(&speed(b)))
    });
    if sound.is_empty() {
        return None;
    }
    let mut line = String::new();
    for service in sound {
        line.push_str(service.url.trim_end_matches('/'));
        line.push(match service.absent_status {
            Some(404 | 410) | None => ',',
            Some(_) => '|',
        });
    }
    line.push_str("direct");
    Some(line)
}
