//! `larder env`: the go environment as the go command sees it, where each value comes from, and what is
//! odd in it. Asks no server.

pub(crate) mod profile;
pub(crate) mod route;

use super::Outcome;
use crate::command_line::Form;
use crate::go_env::GoEnv;
use crate::go_env::effective::{Effective, Layer, effective, without_passwords};
use crate::go_env::lint::{Remark, Severity, lint};
use crate::settings::environment::Environment;
use crate::terminal;
use diagnosis::cause::page;
use serde_json::json;
use std::fmt::Write as _;

/// Shows every variable that decides where modules come from.
pub(crate) fn show(environment: &Environment, form: Form) -> Outcome {
    let go_env = GoEnv::read(environment);
    let variables = effective(&go_env);
    let remarks = lint(&go_env);
    match form {
        Form::Json => {
            let variables: Vec<_> = variables.iter().map(variable_json).collect();
            let installation = go_env
                .installation()
                .map(|folder| folder.display().to_string());
            let all = json!({
                "installation": installation,
                "variables": variables,
                "remarks": remarks.iter().map(remark_json).collect::<Vec<_>>(),
            });
            terminal::data(&format!("{all:#}\n"));
        }
        Form::Text => terminal::data(&text(&variables, &remarks)),
    }
    if go_env.installation().is_none() {
        terminal::talk(
            "note: no Go installation was found in GOROOT or PATH: its own defaults are not in this picture\n",
        );
    }
    match remarks
        .iter()
        .any(|remark| remark.severity < Severity::Note)
    {
        true => Outcome::FoundFault,
        false => Outcome::Fine,
    }
}

fn variable_json(variable: &Effective) -> serde_json::Value {
    let hidden: Vec<_> = variable
        .hidden
        .iter()
        .map(|(value, layer)| {
            json!({"value": without_passwords(value), "layer": layer.name(), "place": layer.place()})
        })
        .collect();
    json!({
        "name": variable.known.name,
        "value": variable.shown(),
        "layer": variable.layer.name(),
        "place": variable.layer.place(),
        "hidden": hidden,
        "about": variable.known.about,
    })
}

fn text(variables: &[Effective], remarks: &[Remark]) -> String {
    let mut text = String::new();
    let (unset, set): (Vec<&Effective>, Vec<&Effective>) = variables
        .iter()
        .partition(|variable| variable.layer == Layer::Unset);
    for variable in set {
        let name = variable.known.name;
        let _ = writeln!(text, "{name}={}", variable.shown());
        let _ = writeln!(
            text,
            "    {}; {}",
            variable.layer.place(),
            variable.known.about
        );
        let hidden = variable.hidden.iter();
        for (value, layer) in hidden.filter(|(value, _)| *value != variable.value) {
            let value = without_passwords(value);
            let _ = writeln!(text, "    hides `{value}` ({})", layer.place());
        }
    }
    let names: Vec<&str> = unset.iter().map(|variable| variable.known.name).collect();
    if !names.is_empty() {
        let _ = writeln!(text, "not set: {}", names.join(", "));
    }
    if remarks.is_empty() {
        text.push_str("\n✓ nothing odd\n");
    }
    for remark in remarks {
        text.push('\n');
        text.push_str(&remark_text(remark));
    }
    text
}

/// A remark, with the page of its cause where it has one.
fn remark_json(remark: &Remark) -> serde_json::Value {
    let mut json = json!(remark);
    if let Some(cause) = remark.cause {
        json["page"] = json!(page::path(cause));
    }
    json
}

fn remark_text(remark: &Remark) -> String {
    let sign = match remark.severity {
        Severity::Error => "✗",
        Severity::Warning => "!",
        Severity::Note => "·",
    };
    let mut text = format!("{sign} {} [{}]\n", remark.text, remark.rule);
    let _ = writeln!(text, "    {} ({})", remark.variable, remark.place);
    let _ = writeln!(text, "    → {}", remark.cure);
    if let Some(cause) = remark.cause {
        let _ = writeln!(text, "    More: {}", page::path(cause));
    }
    text
}
