//! What people read: each stage with a tick or a cross, the chain as a tree, then cause, evidence and cure.
//! Complete without colour.

use super::examined::{Examined, Stage};
use crate::commands::explain;
use std::fmt::Write as _;
use tlsdoctor::{Report, SentCertificate, StageStatus};

/// All targets, one after the other.
pub(super) fn text(examined: &[Examined]) -> String {
    let mut text = String::new();
    for (index, target) in examined.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        push_target(target, &mut text);
    }
    text
}

fn push_target(target: &Examined, text: &mut String) {
    let verdict = if target.is_faulty() { "✗" } else { "✓" };
    let _ = writeln!(text, "{verdict} {}", target.target);
    let hosts: Vec<&String> = target
        .stages
        .iter()
        .filter_map(|stage| stage.of.as_ref())
        .collect();
    let names_hosts = hosts.windows(2).any(|pair| pair.first() != pair.get(1));
    let mut shown_host: Option<&String> = None;
    for stage in &target.stages {
        if names_hosts && stage.of.is_some() && stage.of.as_ref() != shown_host {
            shown_host = stage.of.as_ref();
            let _ = writeln!(text, "  {}", stage.of.as_deref().unwrap_or_default());
        }
        push_stage(stage, text);
    }
    if let Some(report) = target
        .reports
        .iter()
        .find(|report| !report.chain.is_empty())
    {
        push_chain(report, text);
    }
    if target.is_faulty() {
        text.push_str("\n  go says:\n");
        for line in target.go.message.lines() {
            let _ = writeln!(text, "    {}", line.replace('\t', "    "));
        }
    }
    if let Some((git, curl)) = &target.others {
        for (name, said) in [("git", git), ("curl", curl)] {
            if said.ok != target.go.ok {
                let words = if said.ok {
                    "has nothing against it"
                } else {
                    said.message.as_str()
                };
                let _ = writeln!(text, "  {name}: {words}");
            }
        }
    }
    if !target.findings.is_empty() {
        text.push('\n');
        text.push_str(&explain::findings_text(&target.findings));
    }
    for repair in target
        .reports
        .iter()
        .filter_map(|report| report.repair.as_ref())
    {
        text.push_str("\n  the server must also send, behind its own certificate:\n");
        for (pem, source) in repair.missing.iter().zip(&repair.sources) {
            let _ = writeln!(text, "  (from {source})\n{}", pem.trim_end());
        }
        text.push_str(
            "  the finished chain file is in `repair.chain_file` of `--json`; the script of `--fix-script` writes it\n",
        );
    }
}

fn push_stage(stage: &Stage, text: &mut String) {
    let sign = match stage.status {
        StageStatus::Passed => "✓",
        StageStatus::Warning => "!",
        StageStatus::Failed => "✗",
        StageStatus::Skipped => "·",
    };
    let _ = writeln!(text, "  {sign} {:<12} {:>9.1} ms", stage.name, stage.ms);
    for line in &stage.evidence {
        let _ = writeln!(text, "        {line}");
    }
}

/// The certificates as they were sent, each below the one that it issued.
fn push_chain(report: &Report, text: &mut String) {
    text.push_str("\n  the server sends:\n");
    for (depth, certificate) in report.chain.iter().enumerate() {
        let margin = "   ".repeat(depth);
        let branch = if depth == 0 { "" } else { "└─ " };
        let _ = writeln!(text, "    {margin}{branch}{}", certificate.subject);
        let below = if depth == 0 { "" } else { "   " };
        let _ = writeln!(text, "    {margin}{below}{}", facts(certificate));
    }
    if let Some(last) = report.chain.last().filter(|last| !last.is_self_issued) {
        let margin = "   ".repeat(report.chain.len());
        let _ = writeln!(text, "    {margin}└─ (issuer: {})", last.issuer);
    }
}

fn facts(certificate: &SentCertificate) -> String {
    let days = match certificate.days_left {
        left if left < 0 => format!("expired {} days ago", left.unsigned_abs()),
        left => format!("{left} days left"),
    };
    let mut names: Vec<&str> = certificate
        .names
        .iter()
        .take(4)
        .map(String::as_str)
        .collect();
    if certificate.names.len() > names.len() {
        names.push("…");
    }
    let mut facts = vec![
        certificate.key.clone(),
        certificate.signature_algorithm.clone(),
        days,
    ];
    if !names.is_empty() {
        facts.insert(0, names.join(", "));
    }
    if certificate.is_authority {
        facts.push("authority".into());
    }
    facts.join(" · ")
}
