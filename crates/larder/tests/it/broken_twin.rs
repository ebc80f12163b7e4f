//! One of two equal upstreams breaks while requests run: no client sees it. `cargo xtask bench faults` measures
//! the same at length.
use crate::larder;
use testkit::{Behaviour, Ending, FakeSumdb, FakeUpstream, Fault, Larder, Link, Module, Twins};

const MODULES: usize = 8;
/// The first so many are fetched while all is well.
const BEFORE: usize = 6;

fn modules() -> Vec<Module> {
    let module = |number: usize| {
        Module::new(&format!("example.com/m{number}"), "v1.0.0")
            .file("text.go", "package text\n".repeat(number))
    };
    (0..MODULES).map(module).collect()
}

/// The database of the modules, on a server of its own that never breaks, and the value for `--sumdb`.
fn database(modules: &[Module]) -> (FakeUpstream, String) {
    let database = FakeSumdb::new("sum.example.com");
    for module in modules {
        database.add_module(module);
    }
    let key = database.verifier_key();
    let server = FakeUpstream::start();
    server.mount("/sumdb/", move |path| database.mounted(path));
    let value = format!("{key} {}/sumdb", server.url());
    (server, value)
}

fn over(twins: &Twins, mode: &str, sumdb: &str) -> Larder {
    let builder = larder();
    let file = builder.home().join("larder.toml");
    let urls = [twins.first.url(), twins.second.url()];
    let text = format!("[[upstream]]\nurls = {urls:?}\nmode = {mode:?}\nfallback = \"any\"\n");
    std::fs::write(&file, text).unwrap();
    builder
        .sumdb(sumdb)
        .args(["--config".as_ref(), file.as_os_str()])
        .args(["--stall-timeout", "1"])
        .start()
}

#[track_caller]
fn fetch(larder: &Larder, twins: &Twins, module: &Module) {
    let zip = larder.get(&module.url_path("zip")).expect_status(200).body;
    let right = [&twins.first, &twins.second].map(|twin| {
        let path = module.url_path("zip");
        twin.zip(&path).expect("a zip of the twins")
    });
    assert!(
        right.iter().any(|right| **right == *zip),
        "{}: bytes that no upstream has",
        module.name()
    );
    larder
        .get(&module.url_path("mod"))
        .expect_body(&module.go_mod_file());
}

#[track_caller]
fn check(fault: Fault) {
    for mode in ["order", "hedge"] {
        let modules = modules();
        let twins = Twins::start(&modules, Link::default());
        let (_server, sumdb) = database(&modules);
        let larder = over(&twins, mode, &sumdb);
        for module in &modules[..BEFORE] {
            fetch(&larder, &twins, module);
        }
        twins.first.break_with(fault);
        for module in &modules[BEFORE..] {
            fetch(&larder, &twins, module);
        }
    }
}

#[test]
fn an_upstream_that_stalls_is_left_for_the_other() {
    check(Fault::Stall);
}

#[test]
fn an_upstream_that_resets_is_left_for_the_other() {
    check(Fault::Reset);
}

#[test]
fn an_upstream_that_trickles_still_answers_small_requests() {
    check(Fault::Trickle);
}

#[test]
fn an_upstream_that_answers_500_is_left_for_the_other() {
    check(Fault::ServerError);
}

#[test]
fn an_upstream_that_lies_in_a_hash_is_left_for_the_other() {
    check(Fault::Lie);
}

#[test]
fn an_upstream_that_is_gone_is_left_for_the_other() {
    check(Fault::Refuse);
}

#[test]
fn who_asks_again_for_a_large_file_that_was_a_lie_gets_it_from_the_other() {
    let modules = [Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)];
    for mode in ["order", "hedge"] {
        let twins = Twins::start(&modules, Link::default());
        let (_server, sumdb) = database(&modules);
        let larder = over(&twins, mode, &sumdb);
        twins.first.break_with(Fault::Lie);
        let answer = larder.get(&modules[0].url_path("zip"));
        assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));
        fetch(&larder, &twins, &modules[0]);
    }
}

#[test]
fn an_upstream_that_lied_in_one_large_file_breaks_off_no_other() {
    let modules: Vec<Module> = (0..3)
        .map(|number| Module::new(&format!("example.com/large{number}"), "v1.0.0"))
        .map(|module| module.incompressible(12 << 20))
        .collect();
    let twins = Twins::start(&modules, Link::default());
    let (_server, sumdb) = database(&modules);
    let larder = over(&twins, "order", &sumdb);
    twins.first.break_with(Fault::Lie);
    let answer = larder.get(&modules[0].url_path("zip"));
    assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));
    for module in &modules[1..] {
        fetch(&larder, &twins, module);
    }
}

#[test]
fn an_upstream_that_lied_in_a_small_file_breaks_off_no_large_one() {
    let modules = [
        Module::new("example.com/small", "v1.0.0"),
        Module::new("example.com/large", "v1.0.0").incompressible(12 << 20),
    ];
    let twins = Twins::start(&modules, Link::default());
    let (_server, sumdb) = database(&modules);
    let larder = over(&twins, "order", &sumdb);
    twins.first.break_with(Fault::Lie);
    for module in &modules {
        fetch(&larder, &twins, module);
    }
}

#[test]
fn a_large_file_that_broke_off_is_there_as_soon_as_its_database_answers_again() {
    let module = Module::new("example.com/large", "v1.0.0").incompressible(12 << 20);
    let path = module.url_path("zip");
    let upstream = FakeUpstream::builder().without_ranges().start();
    upstream.add(&module);
    let (database, sumdb) = database(std::slice::from_ref(&module));
    let larder = larder().upstream(upstream.url()).sumdb(&sumdb).start();
    database.misbehave_under("/", Behaviour::normal().status(503, "later\n"));
    upstream.misbehave(&path, Behaviour::normal().cut_after(10 << 20));
    let answer = larder.get(&path);
    assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));

    upstream.behave();
    larder.get(&path).expect_status(503);
    database.behave();
    larder.get(&path).expect_body(&module.zip());
}
