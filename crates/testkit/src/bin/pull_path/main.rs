//! The parts of `cargo xtask bench` that need upstreams which misbehave, thousands of clients, or a store of a
//! hundred thousand files. Each prints one JSON object; `xtask` runs them and writes the report.
//!
//! - `pull_path faults LARDER FOLDER REQUESTS ROUNDS`: one of two upstreams breaks, in every way and every mode
//! - `pull_path load LARDER FOLDER ROUNDS`: a herd on one cold zip, idle connections, slow clients
//! - `pull_path soak LARDER FOLDER SECONDS`: hits, misses, faults and evictions, all at once
//! - `pull_path store FOLDER FILES`: fills a cache folder with small files
//! - `pull_path certificate FOLDER`: writes `ca.pem`, `leaf.pem` and `leaf.key`
//! - `pull_path http2 ADDRESS CA PATH LENGTH TIME_MS`: a load generator for HTTP/2 over TLS 1.3
//! - `pull_path floor FOLDER PATH...`: a server that does the least that one can, until it is killed
//! - `pull_path pipe SERVER DELAY_MS`: a pipe to a server, until stdin ends; prints `listening on URL` only
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a program for measurements: it fails loudly, prints its figures and reads its arguments"
)]

mod client;
mod faults;
mod figures;
mod floor;
mod http2;
mod load;
mod many_files;
mod soak;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use testkit::{Link, Pipe, TestCa};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["faults", larder, folder, requests, rounds] => {
            let (requests, rounds) = (requests.parse().unwrap(), rounds.parse().unwrap());
            print(&faults::measure(
                larder,
                Path::new(folder),
                requests,
                rounds,
            ));
        }
        ["load", larder, folder, rounds] => {
            print(&load::measure(
                larder,
                Path::new(folder),
                rounds.parse().unwrap(),
            ));
        }
        ["soak", larder, folder, seconds] => {
            print(&soak::measure(
                larder,
                Path::new(folder),
                seconds.parse().unwrap(),
            ));
        }
        ["store", folder, files] => {
            print(&many_files::fill(Path::new(folder), files.parse().unwrap()));
        }
        ["certificate", folder] => {
            let (authority, folder) = (TestCa::new(), Path::new(folder));
            authority.write(folder);
            authority.leaf().write(folder);
            print(&"written");
        }
        ["http2", address, authority, path, length, time_ms] => {
            let time = Duration::from_millis(time_ms.parse().unwrap());
            let (address, length) = (address.parse().unwrap(), length.parse().unwrap());
            print(&http2::load(
                address,
                Path::new(authority),
                path,
                length,
                time,
            ));
        }
        ["floor", folder, paths @ ..] => floor::serve(Path::new(folder), paths),
        ["pipe", server, delay_ms] => {
            let delay = Duration::from_millis(delay_ms.parse().unwrap());
            carry_until_stdin_ends(server.parse().unwrap(), delay);
        }
        _ => panic!("used wrongly: see the head of this program's source"),
    }
}

fn print(figures: &impl serde::Serialize) {
    println!("{}", serde_json::to_string(figures).unwrap());
}

fn carry_until_stdin_ends(server: std::net::SocketAddr, delay: Duration) {
    let pipe = Pipe::to(server);
    pipe.pass(Link {
        delay,
        ..Link::default()
    });
    println!("listening on {}", pipe.url());
    std::io::stdout().flush().unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
