//! `larder config check` and `larder config show`. Neither starts, makes or dials anything.

use super::{Outcome, settings};
use crate::command_line::{Form, Origins};
use crate::reference::toml_value;
use crate::settings::complaint::Complaint;
use crate::settings::config::Config;
use crate::settings::environment::Environment;
use crate::settings::file::UpstreamTable;
use crate::settings::origin::Origin;
use crate::settings::resolve::{Resolved, resolve};
use crate::settings::table::{SETTINGS, Setting};
use crate::settings::written::{Entry, Purpose, Written};
use crate::terminal;
use gomod::sumdb::SumdbSetting;
use gomod::{FallBack, ProxyList};
use serde_json::{Value, json};
use source::GroupMode;
use std::fmt::Write as _;

/// Says everything that is wrong with the settings of `larder serve`.
pub(crate) fn check(
    flags: &[(&'static str, String)],
    environment: &Environment,
    form: Form,
) -> Outcome {
    let resolved = settings(flags, environment, Purpose::Serve);
    let warnings = match &resolved {
        Ok(resolved) => resolved.warnings.as_slice(),
        Err(_) => &[],
    };
    let complaints = match &resolved {
        Ok(_) => [].as_slice(),
        Err(complaints) => complaints,
    };
    match form {
        Form::Json => terminal::data(&check_json(complaints, warnings)),
        Form::Text => {
            terminal::warn(warnings);
            terminal::complain(complaints);
            if complaints.is_empty() {
                terminal::talk("the settings are fine\n");
            }
        }
    }
    if complaints.is_empty() {
        Outcome::Fine
    } else {
        Outcome::FoundFault
    }
}

fn check_json(complaints: &[Complaint], warnings: &[String]) -> String {
    let errors: Vec<Value> = complaints
        .iter()
        .map(|complaint| {
            json!({
                "place": complaint.origin.as_ref().map(Origin::place),
                "text": complaint.text,
                "hint": complaint.hint,
            })
        })
        .collect();
    format!("{:#}\n", json!({"errors": errors, "warnings": warnings}))
}

/// Shows what `larder serve` would run with.
pub(crate) fn show(
    flags: &[(&'static str, String)],
    environment: &Environment,
    form: Form,
    origins: Origins,
) -> Outcome {
    let written = Written::collect(flags, environment, Purpose::Serve);
    match resolve(&written, environment) {
        Err(complaints) => {
            terminal::complain(&complaints);
            Outcome::FoundFault
        }
        Ok(Resolved { config, warnings }) => {
            terminal::warn(&warnings);
            terminal::data(&match form {
                Form::Text => show_text(&written, &config, origins),
                Form::Json => show_json(&written, &config),
            });
            Outcome::Fine
        }
    }
}

/// One setting as it is shown.
struct Shown {
    setting: &'static Setting,
    /// `None` where nothing is set and nothing holds.
    text: Option<String>,
    origin: Origin,
}

fn shown(written: &Written, config: &Config) -> Vec<Shown> {
    SETTINGS
        .iter()
        .filter(|setting| setting.key != "upstream" || written.upstream_tables.is_empty())
        .map(|setting| {
            let entry = written.entries.get(setting.key);
            let text = match setting.key {
                // A default of its own; relative paths are shown as what they came to.
                "cache_dir" => Some(config.cache_dir.display().to_string()),
                _ if setting.secret => entry.map(|entry| without_password(setting, entry, written)),
                _ => entry.map(|entry| entry.text.clone()),
            };
            Shown {
                setting,
                text,
                origin: entry.map_or(Origin::Default, |entry| entry.origin.clone()),
            }
        })
        .collect()
}

/// The value through its parsed form, which hides passwords.
fn without_password(setting: &Setting, entry: &Entry, written: &Written) -> String {
    match (setting.key, &written.draft.upstream, &written.draft.sumdb) {
        ("upstream", Some(list), _) => list.to_string(),
        ("sumdb", _, Some(SumdbSetting::Database { url: Some(url), .. })) => {
            let name = entry.text.split_whitespace().next().unwrap_or_default();
            format!("{name} {url}")
        }
        ("sumdb", _, Some(_)) => entry.text.clone(),
        _ => "hidden".into(),
    }
}

/// As the file would have it, so that it can become one.
fn show_text(written: &Written, config: &Config, origins: Origins) -> String {
    let lines: Vec<(String, String)> = shown(written, config)
        .into_iter()
        .map(|shown| {
            let key = shown.setting.key;
            let line = match &shown.text {
                Some(text) if shown.setting.in_file => {
                    format!("{key} = {}", toml_value(shown.setting.kind, text))
                }
                Some(text) => format!("# {key} = {}", toml_value(shown.setting.kind, text)),
                None => format!("# {key} is not set"),
            };
            (line, shown.origin.describe())
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max();
    let mut text = String::new();
    for (line, origin) in lines {
        let _ = match origins {
            Origins::Shown => writeln!(
                text,
                "{line:width$}  # {origin}",
                width = width.unwrap_or(0)
            ),
            Origins::Hidden => writeln!(text, "{line}"),
        };
    }
    for table in &written.upstream_tables {
        text.push_str(&table_text(table, written, origins));
    }
    // As comments: what they hold is in other files.
    for rule in &config.credentials.rules {
        let _ = write!(text, "\n# {}: {}", rule.name(), rule.grant.describe());
        if origins == Origins::Shown {
            let _ = write!(text, "  # {}", rule.written_at);
        }
    }
    if !config.credentials.rules.is_empty() {
        text.push('\n');
    }
    text
}

fn table_text(table: &UpstreamTable, written: &Written, origins: Origins) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut text = String::from("\n[[upstream]]");
    if let (Origins::Shown, Some(origin)) = (origins, &written.upstream_tables_origin) {
        let _ = write!(text, "  # {}", origin.at_line(table.line).describe());
    }
    let urls: Vec<String> = shown_urls(table).iter().map(|url| quoted(url)).collect();
    let _ = write!(
        text,
        "\nurls = [{}]\nmode = \"{}\"\nfallback = \"{}\"\n",
        urls.join(", "),
        mode_word(table.mode),
        fall_back_word(table.fall_back)
    );
    if let Some(ca_file) = &table.ca_file {
        let _ = writeln!(text, "ca_file = {}", quoted(&ca_file.to_string_lossy()));
    }
    if let Some(credentials) = &table.credentials {
        let _ = writeln!(
            text,
            "credentials = {{ user = {}, password_file = {} }}",
            quoted(&credentials.user),
            quoted(&credentials.password_file.to_string_lossy())
        );
    }
    text
}

/// Through the parsed URLs, which hide passwords.
fn shown_urls(table: &UpstreamTable) -> Vec<String> {
    table
        .urls
        .iter()
        .filter_map(|(url, _)| Some(ProxyList::parse(url).ok()?.to_string()))
        .collect()
}

fn fall_back_word(fall_back: FallBack) -> &'static str {
    match fall_back {
        FallBack::Absent => "absent",
        FallBack::Any => "any",
    }
}

fn mode_word(mode: Option<GroupMode>) -> &'static str {
    mode.map_or("order", GroupMode::name)
}

fn show_json(written: &Written, config: &Config) -> String {
    let mut settings: Vec<Value> = shown(written, config)
        .into_iter()
        .map(|shown| setting_json(shown.setting.key, json!(shown.text), &shown.origin))
        .collect();
    if let Some(origin) = &written.upstream_tables_origin {
        let tables: Vec<Value> = written
            .upstream_tables
            .iter()
            .map(|table| {
                let credentials = table.credentials.as_ref();
                json!({
                    "urls": shown_urls(table),
                    "mode": mode_word(table.mode),
                    "fallback": fall_back_word(table.fall_back),
                    "ca_file": table.ca_file,
                    "user": credentials.map(|credentials| &credentials.user),
                })
            })
            .collect();
        settings.push(setting_json("upstream", json!(tables), origin));
    }
    let credentials: Vec<Value> = config
        .credentials
        .rules
        .iter()
        .map(|rule| {
            json!({
                "match": rule.place.to_string(),
                "protocol": rule.grant.protocol().name(),
                "grants": rule.grant.describe(),
                "place": rule.written_at,
            })
        })
        .collect();
    format!(
        "{:#}\n",
        json!({ "settings": settings, "credentials": credentials })
    )
}

fn setting_json(key: &str, value: Value, origin: &Origin) -> Value {
    json!({"key": key, "value": value, "layer": origin.layer(), "place": origin.place()})
}

#[cfg(test)]
mod tests;
