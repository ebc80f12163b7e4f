//! Larder keeps a team's Go modules close.
//!
//! The one binary: it reads the command line and the settings, puts the rooms together and says how
//! it went. Nobody imports it.

mod announce;
mod cause_pages;
mod command_line;
mod commands;
mod descriptors;
mod go_env;
mod logging;
mod reference;
mod settings;
mod shell;
mod terminal;
mod timed_http;
mod way_out;
mod wiring;

use command_line::{Action, Stop};
use commands::Outcome;
use settings::environment::Environment;
use std::process::ExitCode;

fn main() -> ExitCode {
    heap::one_arena_a_core();
    let environment = Environment::of_process();
    let action = match command_line::parse(std::env::args_os()) {
        Ok(action) => action,
        Err(stop) => return refuse(stop).into(),
    };
    let outcome = match action {
        Action::Serve { flags } => commands::serve::serve(&flags, &environment),
        Action::Exec { flags, command } => commands::exec::exec(&flags, &environment, &command),
        Action::ConfigCheck { flags, form } => commands::config::check(&flags, &environment, form),
        Action::ConfigShow {
            flags,
            form,
            origins,
        } => commands::config::show(&flags, &environment, form, origins),
        Action::AuthTest {
            flags,
            target,
            form,
        } => commands::auth::test(&flags, &environment, &target, form),
        Action::Explain {
            question,
            probing,
            form,
        } => commands::explain::explain(&question, probing, &environment, form),
        Action::Doctor { question, form } => {
            commands::doctor::doctor(&question, &environment, form)
        }
        Action::Env { form } => commands::env::show(&environment, form),
        Action::EnvRoute { module_path, form } => {
            commands::env::route::route(&environment, &module_path, form)
        }
        Action::EnvUse { wish, form } => commands::env::profile::apply(&environment, &wish, form),
        Action::Trace { question, form } => commands::trace::trace(&environment, &question, form),
        Action::Compare { question, form } => {
            commands::compare::compare(&environment, &question, form)
        }
        Action::Cache { flags, task, form } => {
            commands::cache::run(&flags, &environment, &task, form)
        }
        Action::Reference => {
            terminal::data(&format!("{:#}\n", serde_json::json!(reference::pages())));
            Outcome::Fine
        }
    };
    outcome.into()
}

fn refuse(stop: Stop) -> Outcome {
    match stop {
        Stop::Text(text) => {
            terminal::data(&text);
            Outcome::Fine
        }
        Stop::Wrong(complaint) => {
            terminal::complain(&[complaint]);
            Outcome::UsedWrongly
        }
    }
}
