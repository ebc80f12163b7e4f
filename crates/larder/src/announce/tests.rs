use super::*;
use crate::settings::environment::Environment;
use crate::settings::resolve::resolve;
use crate::settings::written::{Purpose, Written};

fn config(variables: &[(&str, &str)]) -> Config {
    let own = [
        ("GOPROXY", "https://go.example"),
        ("GOENV", "off"),
        ("HOME", "/"),
    ];
    let environment: Environment = own.iter().chain(variables).copied().collect();
    let written = Written::collect(&[], &environment, Purpose::Serve);
    resolve(&written, &environment).unwrap().config
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn without_private_patterns_one_variable_is_enough() {
    let line = paste_line(&config(&[]), address("127.0.0.1:8080"));
    assert_eq!(line, "export GOPROXY=http://127.0.0.1:8080\n");
}

#[test]
fn with_goprivate_go_would_never_ask_so_two_more_are_set() {
    let config = config(&[
        ("GOPRIVATE", "corp.example/*"),
        ("GONOSUMDB", "other.example"),
    ]);
    assert_eq!(
        paste_line(&config, address("127.0.0.1:8080")),
        "export GOPROXY=http://127.0.0.1:8080 GONOPROXY=none GONOSUMDB='other.example,corp.example/*'\n"
    );
}

#[test]
fn every_network_is_announced_as_bound_and_pasted_as_this_machine() {
    let config = config(&[("LARDER_LISTEN", "[::]:0")]);
    let bound = address("[::]:4321");
    assert_eq!(
        listening_line(&config, bound),
        "listening on http://[::]:4321\n"
    );
    assert_eq!(
        paste_line(&config, bound),
        "export GOPROXY='http://[::1]:4321'\n"
    );
}

#[test]
fn a_name_stays_a_name_because_certificates_are_made_out_to_it() {
    let config = config(&[("LARDER_LISTEN", "localhost:0")]);
    let line = paste_line(&config, address("127.0.0.1:4321"));
    assert_eq!(line, "export GOPROXY=http://localhost:4321\n");
}

#[test]
fn what_a_shell_would_expand_is_quoted() {
    let check = |value: &str, expected: &str| assert_eq!(quoted(value), expected);
    check("corp.example,b.example/c", "corp.example,b.example/c");
    check("corp.example/*", "'corp.example/*'");
    check("it's", r"'it'\''s'");
    check("a$(b)", "'a$(b)'");
}
