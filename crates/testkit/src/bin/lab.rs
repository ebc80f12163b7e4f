//! The fault lab for hands and for benches: one case, standing until stdin ends.
//!
//! - `lab`: the names of all cases, each with the cause that a diagnosis must find.
//! - `lab CASE [DELAY_MS]`: sets the case up and prints it as one JSON object: `url`, `environment`, `resolver`,
//!   `module`, `folder` (its own, with the case's go.mod and go.sum) and `home`. With a delay the URL leads through a
//!   pipe, and each byte takes so long in either direction.
//! - `lab --shell CASE`: the same as lines for a shell.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for developers: it fails loudly, prints what it made and reads its arguments"
)]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use testkit::faults::{Case, Lab, all, witness};
use testkit::{Link, Pipe};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => {
            for case in all() {
                println!("{:32} {}", case.id, case.cause);
            }
        }
        ["--shell", id] => stand(find(id), None, Form::Shell),
        [id] => stand(find(id), None, Form::Json),
        [id, delay_ms] => {
            let delay = Duration::from_millis(delay_ms.parse().unwrap());
            stand(find(id), Some(delay), Form::Json);
        }
        _ => panic!("used wrongly: see the head of this program's source"),
    }
}

#[derive(PartialEq)]
enum Form {
    Json,
    Shell,
}

fn find(id: &str) -> &'static Case {
    all()
        .find(|case| case.id == id)
        .unwrap_or_else(|| panic!("no case `{id}`"))
}

fn stand(case: &'static Case, delay: Option<Duration>, form: Form) {
    let lab = Lab::open();
    let prepared = case.prepare(&lab).unwrap();
    let place = witness::Place::of(&prepared);
    let mut url = prepared.url.clone();
    let pipe = delay.map(|delay| {
        let (before, port) = url.rsplit_once(':').unwrap();
        let server: SocketAddr = ([127, 0, 0, 1], port.parse().unwrap()).into();
        let pipe = Pipe::to(server);
        pipe.pass(Link {
            delay,
            ..Link::default()
        });
        url = format!("{before}:{}", pipe.address().port());
        pipe
    });
    let mut environment = place.environment(&prepared);
    for (_, value) in &mut environment {
        *value = value.replace(&prepared.url, &url);
    }
    match form {
        Form::Json => {
            let told = serde_json::json!({
                "url": url,
                "environment": environment,
                "resolver": prepared.resolver.map(|resolver| resolver.to_string()),
                "module": case.module(),
                "folder": place.work(),
                "home": place.home(),
            });
            println!("{told}");
        }
        Form::Shell => {
            for (name, value) in &environment {
                println!("export {name}='{}'", value.replace('\'', "'\\''"));
            }
            println!("cd '{}'", place.work().display());
            println!("URL='{url}' MODULE='{}'", case.module().unwrap_or_default());
            if let Some(resolver) = prepared.resolver {
                println!("RESOLVER='{resolver}'");
            }
        }
    }
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(pipe);
}
