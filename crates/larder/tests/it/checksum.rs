//! Nothing is stored or served that the checksum database, or the first download, does not vouch for.
use crate::{expect_error, expect_parts, hello, larder};
use std::path::Path;
use testkit::http2::Http2;
use testkit::{
    Behaviour, Ending, FakeSumdb, FakeUpstream, GoCommand, Larder, LarderBuilder, Module,
    ZipVariant, eventually,
};

const NAME: &str = "sum.test.example";
const MOUNT: &str = "/sumdb/sum.test.example/";

/// An upstream that also carries a checksum database which knows all its modules.
fn upstream_with_database(modules: &[Module]) -> (FakeUpstream, FakeSumdb) {
    let database = FakeSumdb::new(NAME);
    // Enough records that proofs take tiles of two levels.
    database.grow(300);
    for module in modules {
        database.add_module(module);
    }
    let upstream = FakeUpstream::with(modules);
    let mounted = database.clone();
    upstream.mount(MOUNT, move |path| mounted.mounted(path));
    (upstream, database)
}

fn verifying(upstream: &FakeUpstream, database: &FakeSumdb) -> LarderBuilder {
    larder()
        .upstream(upstream.url())
        .sumdb(database.verifier_key())
}

/// Larger than what is verified before its first byte is sent.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)
}

/// Files below the folder whose name ends so.
fn files_ending(folder: &Path, ending: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| match path.is_dir() {
            true => files_ending(&path, ending),
            false => usize::from(path.to_string_lossy().ends_with(ending)),
        })
        .sum()
}

fn wait_until_stored(larder: &Larder, path: &str) {
    eventually("the file is stored", || {
        let answer = larder.get_with(path, &[("Disable-Module-Fetch", "true")]);
        (answer.status() == 200).then_some(())
    });
}

#[test]
fn files_that_the_database_vouches_for_are_served_and_asked_for_once() {
    let modules = [
        hello(),
        large(),
        Module::new("github.com/Upper/Case", "v1.0.0-RC1"),
    ];
    let (upstream, database) = upstream_with_database(&modules);
    let larder = verifying(&upstream, &database).start();
    for module in &modules {
        for _ in 0..2 {
            larder
                .get(&module.url_path("mod"))
                .expect_body(&module.go_mod_file());
            larder
                .get(&module.url_path("zip"))
                .expect_body(&module.zip());
            larder
                .get(&module.url_path("info"))
                .expect_body(&module.info());
        }
    }
    assert_eq!(database.requests("lookup/"), modules.len());
    let metrics = larder.get("/-/metrics").text();
    expect_parts(&metrics, &["larder_verified_total"]);
}

#[test]
fn a_wrong_zip_is_a_security_error_with_both_hashes_and_is_never_stored() {
    for variant in [
        ZipVariant::WrongContent,
        ZipVariant::DirectoryPointsElsewhere,
    ] {
        let (upstream, database) = upstream_with_database(&[hello()]);
        upstream.replace_zip(&hello(), &variant);
        let larder = verifying(&upstream, &database).start();
        let path = hello().url_path("zip");
        let text = expect_error(larder.get(&path), 502);
        if matches!(variant, ZipVariant::WrongContent) {
            let got = hello().zip_hash_as(&variant);
            expect_parts(&text, &["SECURITY", &hello().zip_hash(), &got, NAME]);
        }
        assert_eq!(
            files_ending(&larder.cache_dir().join("download"), ".zip"),
            0
        );
        // The right one is taken as soon as upstream has it.
        upstream.add(&hello());
        larder.get(&path).expect_body(&hello().zip());
    }
}

#[test]
fn a_wrong_large_zip_never_reaches_a_client_whole_and_the_next_ask_gets_the_words() {
    let (upstream, database) = upstream_with_database(&[large()]);
    let evil = large().file("evil.go", "package evil\n");
    upstream.serve(&large().url_path("zip"), evil.zip(), "application/zip");
    let larder = verifying(&upstream, &database).start();
    let path = large().url_path("zip");
    let answer = larder.get(&path);
    assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));
    assert!(answer.body.len() <= evil.zip().len() - (128 << 10));
    let text = expect_error(larder.get(&path), 502);
    expect_parts(&text, &["SECURITY", &large().zip_hash(), &evil.zip_hash()]);
    assert_eq!(
        files_ending(&larder.cache_dir().join("download"), ".zip"),
        0
    );
}

#[test]
fn over_http2_a_wrong_large_zip_ends_in_a_reset_stream_and_the_connection_lives_on() {
    let (upstream, database) = upstream_with_database(&[large(), hello()]);
    let evil = large().file("evil.go", "package evil\n");
    upstream.serve(&large().url_path("zip"), evil.zip(), "application/zip");
    let larder = verifying(&upstream, &database).start();
    let mut connection = Http2::open(larder.address());
    let answer = connection.ask("GET", &large().url_path("zip"), &[]);
    assert_eq!((answer.status(), answer.ending), (200, Ending::CutShort));
    connection
        .ask("GET", &hello().url_path("zip"), &[])
        .expect_body(&hello().zip());
    expect_error(connection.ask("GET", &large().url_path("zip"), &[]), 502);
}

#[test]
fn a_wrong_go_mod_is_a_security_error() {
    let (upstream, database) = upstream_with_database(&[hello()]);
    let evil = "module example.com/hello\n\nrequire evil.example/x v1.0.0\n";
    upstream.serve(&hello().url_path("mod"), evil, "text/plain");
    let larder = verifying(&upstream, &database).start();
    let text = expect_error(larder.get(&hello().url_path("mod")), 502);
    expect_parts(&text, &["SECURITY", &hello().go_mod_hash()]);
}

#[test]
fn another_upstream_that_has_the_right_zip_is_asked_after_a_wrong_one() {
    let (wrong, database) = upstream_with_database(&[hello()]);
    wrong.replace_zip(&hello(), &ZipVariant::WrongContent);
    let right = FakeUpstream::with([&hello()]);
    let larder = larder()
        .upstream(format!("{},{}", wrong.url(), right.url()))
        .sumdb(database.verifier_key())
        .start();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
}

#[test]
fn zips_that_go_would_refuse_are_refused_whoever_vouches() {
    let name = hello().name();
    let variants = [
        ZipVariant::DirectoryRenames,
        ZipVariant::DirectoryPointsElsewhere,
        ZipVariant::Prefixed,
        ZipVariant::BadName(format!("{name}/../evil.go")),
        ZipVariant::BadName("elsewhere@v1.0.0/evil.go".into()),
        ZipVariant::BadName(format!("{name}/HELLO.go")),
        ZipVariant::BadName(format!("{name}/con.go")),
        ZipVariant::LyingBomb(4 << 20),
        ZipVariant::Bomb(600 << 20),
    ];
    for variant in variants {
        let upstream = FakeUpstream::with([&hello()]);
        upstream.replace_zip(&hello(), &variant);
        // No database: only the shape can tell.
        let larder = larder().upstream(upstream.url()).start();
        let answer = larder.get(&hello().url_path("zip"));
        assert_eq!(answer.status(), 502, "{variant:?}: {}", answer.text());
        expect_error(answer, 502);
        assert_eq!(
            files_ending(&larder.cache_dir().join("download"), ".zip"),
            0
        );
    }
}

#[test]
fn a_version_that_the_database_does_not_know_is_502_and_names_the_flag_that_exempts_it() {
    let (upstream, database) = upstream_with_database(&[]);
    upstream.add(&hello());
    let larder = verifying(&upstream, &database).start();
    for extension in ["zip", "mod"] {
        let text = expect_error(larder.get(&hello().url_path(extension)), 502);
        expect_parts(&text, &[NAME, "--no-sumdb"]);
    }
    assert_eq!(
        files_ending(&larder.cache_dir().join("download"), ".zip"),
        0
    );
}

#[test]
fn while_the_database_is_down_nothing_new_is_served_and_all_that_is_stored_is() {
    let other = Module::new("example.com/other", "v1.0.0");
    let (upstream, database) = upstream_with_database(&[hello(), other.clone()]);
    let larder = verifying(&upstream, &database).start();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
    wait_until_stored(&larder, &hello().url_path("zip"));
    upstream.misbehave_under(MOUNT, Behaviour::normal().status(500, "down\n"));
    expect_error(larder.get(&other.url_path("zip")), 503);
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
    upstream.behave();
    larder.get(&other.url_path("zip")).expect_body(&other.zip());
}

#[test]
fn a_database_that_forks_or_rolls_back_across_a_restart_is_caught() {
    let lie: [fn(&FakeSumdb); 2] = [
        |database| database.fork_at(7),
        |database| database.roll_back(200),
    ];
    for lie in lie {
        let (upstream, database) = upstream_with_database(&[hello()]);
        let larder = verifying(&upstream, &database).start();
        larder
            .get(&hello().url_path("zip"))
            .expect_body(&hello().zip());
        let (exited, builder) = larder.terminate();
        assert!(exited.status.success());

        lie(&database);
        let later = Module::new("example.com/later", "v1.0.0");
        database.add_module(&later);
        database.grow(300);
        upstream.add(&later);
        let larder = builder.start();
        let text = expect_error(larder.get(&later.url_path("zip")), 502);
        expect_parts(&text, &["SECURITY", "contradicts itself"]);
        // The log is written behind the answer.
        eventually("the log speaks of it", || {
            larder.stderr().contains("SECURITY").then_some(())
        });
    }
}

#[test]
fn a_bad_signature_is_refused() {
    let (upstream, database) = upstream_with_database(&[hello()]);
    database.corrupt_signatures();
    let larder = verifying(&upstream, &database).start();
    expect_error(larder.get(&hello().url_path("zip")), 502);
}

#[test]
fn exempt_modules_are_trusted_at_first_sight_and_held_to_it_even_when_deleted() {
    let exempt = Module::new("corp.example/tool", "v1.0.0");
    let (upstream, database) = upstream_with_database(&[]);
    upstream.add(&exempt);
    let larder = verifying(&upstream, &database)
        .args(["--no-sumdb", "corp.example/*"])
        .start();
    let (zip, go_mod) = (exempt.url_path("zip"), exempt.url_path("mod"));
    larder.get(&zip).expect_body(&exempt.zip());
    larder.get(&go_mod).expect_body(&exempt.go_mod_file());
    for path in [&zip, &go_mod] {
        wait_until_stored(&larder, path);
    }
    assert_eq!(database.requests("lookup/"), 0);
    let (_, builder) = larder.terminate();

    let download = builder.cache().join("download");
    for path in [&zip, &go_mod] {
        std::fs::remove_file(download.join(&path[1..])).unwrap();
    }
    upstream.replace_zip(&exempt, &ZipVariant::WrongContent);
    upstream.serve(
        &go_mod,
        "module corp.example/tool\n\ngo 1.21\n",
        "text/plain",
    );
    let larder = builder.start();
    let text = expect_error(larder.get(&zip), 502);
    expect_parts(
        &text,
        &[
            "SECURITY",
            &exempt.zip_hash(),
            "came first",
            "tag may have been moved",
        ],
    );
    let text = expect_error(larder.get(&go_mod), 502);
    expect_parts(&text, &["SECURITY", &exempt.go_mod_hash()]);
    let metrics = larder.get("/-/metrics").text();
    expect_parts(&metrics, &["larder_moved_tags_total 2"]);
    expect_parts(&larder.stderr(), &["ERROR", "a file was refused"]);
    // Other bytes with the same sum are the same module.
    upstream.replace_zip(&exempt, &ZipVariant::OtherBytes);
    larder
        .get(&zip)
        .expect_body(&exempt.zip_as(&ZipVariant::OtherBytes));
}

#[test]
fn private_names_reach_neither_upstream_nor_database() {
    let private = Module::new("corp.example/secret/tool", "v1.0.0");
    let (upstream, database) = upstream_with_database(&[hello(), private.clone()]);
    let larder = verifying(&upstream, &database)
        .args(["--private", "corp.example/secret"])
        .start();
    larder.get(&hello().url_path("zip")).expect_status(200);
    for path in [
        private.url_path("zip"),
        private.url_path("mod"),
        private.url_path("info"),
        private.about("@v/list"),
        private.about("@latest"),
        private.about("@v/master.info"),
        "/corp.example/secret/@v/list".into(),
    ] {
        expect_error(larder.get(&path), 502);
    }
    let lookup = format!("{MOUNT}lookup/corp.example/secret/tool@v1.0.0");
    let text = expect_error(larder.get(&lookup), 403);
    expect_parts(&text, &["GONOSUMDB"]);
    assert_eq!(upstream.count_matching("corp.example"), 0);
    assert_eq!(database.requests("lookup/corp.example"), 0);
    let metrics = larder.get("/-/metrics").text();
    assert!(
        !metrics.contains("corp.example"),
        "a private name in the metrics"
    );
}

#[test]
fn the_real_go_verifies_through_larder_against_the_database() {
    let modules = [hello(), Module::new("github.com/Upper/Case/v2", "v2.0.1")];
    let (upstream, database) = upstream_with_database(&modules);
    let larder = verifying(&upstream, &database).start();
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let go = go.env("GOSUMDB", &database.verifier_key());
    let main = go.main_module(
        "main",
        "module example.com/main\n\ngo 1.20\n",
        "package main\n",
    );
    for module in &modules {
        let output = go
            .run(&main, &["mod", "download", "-json", &module.name()])
            .success();
        expect_parts(&output.stdout, &[&module.zip_hash()]);
    }
    // Whatever go asked of the database, it asked here; Larder asked upstream.
    assert!(database.requests("lookup/") >= modules.len());

    // What go was given it can have again when upstream and database are gone.
    for module in &modules {
        for extension in ["info", "mod", "zip"] {
            wait_until_stored(&larder, &module.url_path(extension));
        }
    }
    let (_, builder) = larder.terminate();
    drop(upstream);
    let larder = builder.args(["--offline"]).start();
    let go = go.env("GOPROXY", &larder.url());
    go.forget_modules();
    for module in &modules {
        go.run(&main, &["mod", "download", &module.name()])
            .success();
    }
}

#[test]
fn the_real_go_catches_a_lying_database_through_larder_too() {
    let (upstream, database) = upstream_with_database(&[]);
    let other = Module::new("example.com/other", "v1.0.0");
    database.add(
        "example.com/hello",
        "v1.0.0",
        &other.zip_hash(),
        &hello().go_mod_hash(),
    );
    upstream.add(&hello());
    let larder = verifying(&upstream, &database).start();
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let go = go.env("GOSUMDB", &database.verifier_key());
    let main = go.main_module(
        "main",
        "module example.com/main\n\ngo 1.20\n",
        "package main\n",
    );
    let output = go
        .run(&main, &["mod", "download", &hello().name()])
        .failure();
    expect_parts(&output.stderr, &["SECURITY", &other.zip_hash()]);
}

#[test]
fn other_databases_are_not_served() {
    let (upstream, database) = upstream_with_database(&[]);
    let larder = verifying(&upstream, &database).start();
    larder.get(&format!("{MOUNT}supported")).expect_status(200);
    expect_error(larder.get("/sumdb/other.example/supported"), 404);
    let latest = larder
        .get(&format!("{MOUNT}latest"))
        .expect_status(200)
        .text();
    expect_parts(&latest, &["go.sum database tree", NAME]);
}
