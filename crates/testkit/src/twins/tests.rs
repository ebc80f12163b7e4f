//! The twins agree on every hash and on no zip; each fault is seen as what it is.
use super::{Fault, Twin, Twins};
use crate::{Connection, GoCommand, Link, Module};
use std::net::TcpStream;

fn module() -> Module {
    Module::new("example.com/twin", "v1.0.0").file("sub/sub.go", "package sub\n".repeat(50))
}

fn zip(twin: &Twin) -> crate::Answer {
    Connection::open(twin.pipe.address()).ask("GET", &module().url_path("zip"), &[])
}

#[test]
fn both_serve_other_bytes_and_go_computes_one_sum() {
    let twins = Twins::start(&[module()], Link::default());
    assert_ne!(zip(&twins.first).body, zip(&twins.second).body);
    for twin in [&twins.first, &twins.second] {
        let Some(go) = GoCommand::find(&twin.url()) else {
            return;
        };
        let folder = go.main_module("main", "module main\n", "package main\n");
        let output = go.run(&folder, &["mod", "download", "-json", &module().name()]);
        let stdout = output.success().stdout;
        assert!(stdout.contains(&module().zip_hash()), "{stdout}");
    }
}

#[test]
fn a_broken_twin_is_whole_again_when_healed() {
    let twins = Twins::start(&[module()], Link::default());
    let (broken, healthy) = (&twins.first, &twins.second);
    let right = zip(broken).body;

    broken.break_with(Fault::ServerError);
    zip(broken).expect_status(500);
    broken.heal();

    broken.break_with(Fault::Lie);
    assert_ne!(zip(broken).expect_status(200).body, right);
    broken.heal();

    broken.break_with(Fault::Refuse);
    assert!(TcpStream::connect(broken.pipe.address()).is_err());
    zip(healthy).expect_status(200);
    broken.heal();

    zip(broken).expect_body(&right);
}
