//! `larder cache …` on folders of real servers, real module caches and an Athens store.
use crate::{expect_parts, hello, larder, larder_over};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use testkit::{Exited, FakeUpstream, GoCommand, Larder, Module, eventually};

/// Runs `larder cache …` on a folder, with a source that is never asked unless `arguments` name another.
fn cache(folder: &Path, arguments: &[&str]) -> Exited {
    let mut all = vec!["cache"];
    all.extend(arguments);
    all.extend(["--cache-dir", folder.to_str().unwrap(), "--sumdb", "off"]);
    if !arguments.contains(&"--upstream") && !arguments.contains(&"--offline") {
        all.extend(["--upstream", "off"]);
    }
    larder().run(&all)
}

#[track_caller]
fn expect_status(exited: Exited, status: i32) -> Exited {
    let text = format!("{}\n{}", exited.stdout, exited.stderr);
    assert_eq!(exited.status.code(), Some(status), "{text}");
    exited
}

fn stored(larder: &Larder, module: &Module, extension: &str) -> PathBuf {
    let path = larder.cache_dir().join("download");
    path.join(module.url_path(extension).trim_start_matches('/'))
}

fn fill(larder: &Larder, module: &Module) {
    for extension in ["info", "mod", "zip"] {
        larder.get(&module.url_path(extension)).expect_status(200);
        let place = stored(larder, module, extension);
        eventually("the file is stored", || place.exists().then_some(()));
    }
}

fn flip_a_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

/// Modules that need nothing, in an Athens store.
fn athens(modules: &[Module]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for module in modules {
        let version = folder.path().join(module.path()).join(module.version());
        std::fs::create_dir_all(&version).unwrap();
        std::fs::write(version.join("go.mod"), module.go_mod_file()).unwrap();
        std::fs::write(version.join("source.zip"), module.zip()).unwrap();
        let info = format!("{}.info", module.version());
        std::fs::write(version.join(info), module.info()).unwrap();
    }
    folder
}

#[test]
fn verify_moves_a_damaged_file_aside_and_the_next_request_brings_a_good_one() {
    let upstream = FakeUpstream::with(&[hello()]);
    let builder = larder().upstream(upstream.url());
    let larder = builder.args(["--memory", "0"]).start();
    fill(&larder, &hello());
    expect_status(cache(larder.cache_dir(), &["verify"]), 0);

    flip_a_byte(&stored(&larder, &hello(), "zip"));
    let found = expect_status(cache(larder.cache_dir(), &["verify"]), 1);
    expect_parts(
        &found.stdout,
        &["damaged: example.com/hello@v1.0.0 (zip)", "SHA-256"],
    );
    let aside = expect_status(cache(larder.cache_dir(), &["ls", "--quarantined"]), 0);
    expect_parts(
        &aside.stdout,
        &["example.com/hello@v1.0.0 (zip)", "quarantine"],
    );

    let zip = hello().url_path("zip");
    let answer = larder.get(&zip).expect_status(200);
    assert_eq!(answer.body, hello().zip());
    assert_eq!(upstream.count(&zip), 2);
    eventually("the good file is stored", || {
        let verified = cache(larder.cache_dir(), &["verify", "--json"]);
        (verified.status.success() && verified.stdout.contains("\"files\": 3")).then_some(())
    });
}

#[test]
fn verify_fetches_a_damaged_file_anew_where_it_is_told_to() {
    let upstream = FakeUpstream::with(&[hello()]);
    let larder = larder_over(&upstream);
    fill(&larder, &hello());
    let place = stored(&larder, &hello(), "mod");
    std::fs::write(larder.cache_dir().join("download/notes.txt"), "mine").unwrap();
    flip_a_byte(&place);
    let repair = [
        "verify",
        "example.com/*",
        "--repair",
        "--json",
        "--upstream",
        &upstream.url(),
    ];
    let repaired = expect_status(cache(larder.cache_dir(), &repair), 1);
    expect_parts(
        &repaired.stdout,
        &["\"repaired\": true", "\"kind\": \"mod\""],
    );
    assert_eq!(std::fs::read(&place).unwrap(), hello().go_mod_file());
    let verified = expect_status(cache(larder.cache_dir(), &["verify"]), 0);
    expect_parts(&verified.stdout, &["notes.txt"]);
}

#[test]
fn the_scrub_finds_a_damaged_file_by_itself() {
    let upstream = FakeUpstream::with(&[hello()]);
    let larder = larder().upstream(upstream.url()).start();
    fill(&larder, &hello());
    let zip = hello().url_path("zip");
    // In memory, too: what is damaged on disk is let go of there.
    flip_a_byte(&stored(&larder, &hello(), "zip"));
    let metrics = || larder.get("/-/metrics").expect_status(200).text();
    eventually("the scrub has read everything", || {
        metrics()
            .contains("larder_damaged_files_total 1")
            .then_some(())
    });
    expect_parts(&larder.stderr(), &["example.com/hello@v1.0.0", "damaged"]);
    assert_eq!(larder.get(&zip).expect_status(200).body, hello().zip());
    assert_eq!(upstream.count(&zip), 2);
}

#[test]
fn ls_shows_what_is_stored_and_pins_are_kept_in_a_file() {
    let upstream = FakeUpstream::with(&[hello()]);
    let larder = larder_over(&upstream);
    fill(&larder, &hello());
    let folder = larder.cache_dir();
    let listed = expect_status(cache(folder, &["ls"]), 0);
    expect_parts(
        &listed.stdout,
        &["imz", "first-sight", "example.com/hello@v1.0.0"],
    );
    expect_parts(&listed.stderr, &["1 module, 1 version, 3 files"]);
    let none = expect_status(cache(folder, &["ls", "other.example", "--json"]), 0);
    expect_parts(&none.stdout, &["\"versions\": []"]);

    expect_status(
        cache(folder, &["pin", "example.com/*", "a.example/b@v1.0.0"]),
        0,
    );
    let pins = std::fs::read_to_string(folder.join("state/pins")).unwrap();
    assert_eq!(pins, "example.com/*\na.example/b@v1.0.0\n");
    let json = expect_status(cache(folder, &["ls", "--json"]), 0).stdout;
    expect_parts(&json, &["\"pinned_by\":\"pins\"", "\"files\":3"]);
    expect_status(cache(folder, &["pin", "--remove", "a.example/b@v1.0.0"]), 0);
    expect_status(cache(folder, &["pin", "--remove", "a.example/b@v1.0.0"]), 1);
    std::fs::write(folder.join("state/pins"), "example.com/*\nno pin\n").unwrap();
    let bad = expect_status(cache(folder, &["pin", "--list"]), 1);
    expect_parts(&bad.stderr, &["line 2", "no pin"]);
    expect_status(cache(folder, &["pin", "example.com/[a"]), 2);
    expect_status(cache(&folder.join("none"), &["ls"]), 1);
}

#[test]
fn ls_says_which_versions_stay_because_upstream_no_longer_has_them() {
    let newer = Module::new("example.com/hello", "v1.1.0");
    let upstream = FakeUpstream::with(&[hello(), newer.clone()]);
    let larder = larder_over(&upstream);
    fill(&larder, &hello());
    fill(&larder, &newer);
    upstream.serve("/example.com/hello/@v/list", "v1.1.0\n", "text/plain");
    larder.get("/example.com/hello/@v/list").expect_status(200);
    let listed = expect_status(cache(larder.cache_dir(), &["ls"]), 0).stdout;
    let line = |version: &str| listed.lines().find(|line| line.contains(version)).unwrap();
    assert!(line("@v1.0.0").ends_with("(pinned: withdrawn)"), "{listed}");
    assert!(line("@v1.1.0").ends_with("@v1.1.0"), "{listed}");
    let json = expect_status(
        cache(larder.cache_dir(), &["ls", "--sort", "used", "--json"]),
        0,
    );
    let said: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(said["versions"][0]["used_at"].is_string(), "{said}");
}

fn modules() -> Vec<Module> {
    vec![
        hello(),
        Module::new("example.com/hello", "v1.1.0"),
        Module::new("github.com/Upper/Crate/v2", "v2.0.1")
            .go_mod_line("require example.com/hello v1.1.0"),
    ]
}

/// A main module with its go.sum, made by the real go command straight from upstream.
fn built(go: &GoCommand) -> PathBuf {
    let main = go.main_module(
        "main",
        "module example.com/main\n\ngo 1.20\n",
        "package app\n\nimport (\n\t\"example.com/hello\"\n\tcrate \"github.com/Upper/Crate/v2\"\n)\n\n\
         var Versions = hello.Version + crate.Version\n",
    );
    go.run(&main, &["get", "github.com/Upper/Crate/v2@latest"])
        .success();
    go.run(&main, &["mod", "tidy"]).success();
    go.run(&main, &["mod", "download"]).success();
    main
}

/// Serves the folder without any upstream, and lets go download everything from it.
fn expect_offline_build(folder: &Path, go: GoCommand, main: &Path) {
    let larder = larder().cache_dir(folder).args(["--offline"]).start();
    let go = go.env("GOPROXY", &larder.url());
    go.forget_modules();
    go.run(main, &["mod", "download"]).success();
    go.run(main, &["mod", "verify"]).success();
    go.run(main, &["build", "./..."]).success();
}

#[test]
fn a_real_module_cache_is_imported_and_served_offline() {
    let upstream = FakeUpstream::with(&modules());
    let Some(go) = GoCommand::find(&upstream.url()) else {
        return;
    };
    let main = built(&go);
    drop(upstream);
    let folder = tempfile::tempdir().unwrap();
    let download = go.download_folder();
    let download = download.to_str().unwrap();
    let seen = expect_status(cache(folder.path(), &["import", download, "--dry-run"]), 0);
    expect_parts(&seen.stderr, &["go-module-cache", "nothing was imported"]);
    let imported = expect_status(cache(folder.path(), &["import", download]), 0);
    expect_parts(&imported.stderr, &["0 there before", "0 refused"]);
    let again = expect_status(cache(folder.path(), &["import", download, "--json"]), 0);
    expect_parts(
        &again.stdout,
        &["\"imported\": 0", "\"layout\": \"go-module-cache\""],
    );
    expect_status(cache(folder.path(), &["verify"]), 0);
    expect_offline_build(folder.path(), go, &main);
}

#[test]
fn an_athens_store_is_imported_and_a_zip_that_is_none_is_refused() {
    let modules = modules();
    let athens = athens(&modules);
    let bad = athens.path().join("example.com/hello/v1.0.0/source.zip");
    std::fs::write(bad, "PK not really").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let from = athens.path().to_str().unwrap();
    let imported = expect_status(cache(folder.path(), &["import", from]), 1);
    expect_parts(&imported.stderr, &["athens", "8 imported", "1 refused"]);
    expect_parts(
        &imported.stdout,
        &["refused: example.com/hello@v1.0.0 (zip)", "zip"],
    );
    let larder = larder()
        .cache_dir(folder.path())
        .args(["--offline"])
        .start();
    let upper = modules.last().unwrap();
    let answer = larder.get(&upper.url_path("zip")).expect_status(200);
    assert_eq!(answer.body, upper.zip());
    larder.get(&modules[0].url_path("zip")).expect_status(503);
}

#[test]
fn a_folder_that_is_no_cache_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let from = other.path().to_str().unwrap();
    let refused = expect_status(cache(folder.path(), &["import", from]), 1);
    expect_parts(&refused.stderr, &["no cache of Go modules", "GOMODCACHE"]);
}

#[test]
fn a_folder_that_was_warmed_from_go_sum_is_all_that_a_build_needs() {
    let upstream = FakeUpstream::with(&modules());
    let Some(go) = GoCommand::find(&upstream.url()) else {
        return;
    };
    let main = built(&go);
    let go_sum = main.join("go.sum");
    let (go_sum, url) = (go_sum.to_str().unwrap(), upstream.url());
    let folder = tempfile::tempdir().unwrap();
    let warm = ["warm", go_sum, "--json", "--upstream", &url];
    let warmed = expect_status(cache(folder.path(), &warm), 0);
    expect_parts(
        &warmed.stdout,
        &["\"failed\": []", "\"checked\": 4", "\"were_there\": 0"],
    );
    drop(upstream);
    let again = expect_status(cache(folder.path(), &["warm", go_sum, "--offline"]), 0);
    expect_parts(&again.stderr, &["0 failed"]);
    expect_offline_build(folder.path(), go, &main);
}

#[test]
fn warming_from_go_mod_fetches_what_go_mod_download_would() {
    let upstream = FakeUpstream::with(&modules());
    let Some(go) = GoCommand::find(&upstream.url()) else {
        return;
    };
    let main = built(&go);
    let go_mod = main.join("go.mod");
    let folder = tempfile::tempdir().unwrap();
    let warm = [
        "warm",
        go_mod.to_str().unwrap(),
        "--upstream",
        &upstream.url(),
    ];
    expect_status(cache(folder.path(), &warm), 0);
    drop(upstream);
    expect_offline_build(folder.path(), go, &main);
}

#[test]
fn a_hash_that_go_sum_does_not_name_is_told_and_so_is_what_is_missing() {
    let upstream = FakeUpstream::with(&[hello()]);
    let folder = tempfile::tempdir().unwrap();
    let go_sum = folder.path().join("go.sum");
    let other = Module::new("example.com/other", "v1.0.0");
    let wrong = hello()
        .go_sum()
        .replace(&hello().zip_hash(), &other.zip_hash());
    std::fs::write(&go_sum, wrong + &other.go_sum()).unwrap();
    let warm = [
        "warm",
        go_sum.to_str().unwrap(),
        "--upstream",
        &upstream.url(),
    ];
    let warmed = expect_status(cache(&folder.path().join("cache"), &warm), 1);
    let parts = [
        "example.com/hello@v1.0.0 (zip): SECURITY",
        "example.com/other@v1.0.0 (zip)",
    ];
    expect_parts(&warmed.stdout, &parts);
}

#[test]
fn a_running_server_is_warmed_over_http() {
    let upstream = FakeUpstream::with(&modules());
    let larder = larder_over(&upstream);
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("modules.txt");
    std::fs::write(&list, "# ours\nexample.com/hello@v1.1.0\n").unwrap();
    let warm = ["warm", list.to_str().unwrap(), "--server", &larder.url()];
    expect_status(cache(folder.path(), &warm), 0);
    let module = &modules()[1];
    for extension in ["info", "mod", "zip"] {
        let place = stored(&larder, module, extension);
        eventually("the server has stored it", || place.exists().then_some(()));
    }
    assert_eq!(upstream.count(&module.url_path("zip")), 1);
}

#[test]
fn an_import_that_is_killed_leaves_a_sound_store_and_goes_on_where_it_was() {
    let modules: Vec<Module> = (0..40)
        .map(|number| {
            Module::new(&format!("example.com/m{number}"), "v1.0.0").incompressible(200_000)
        })
        .collect();
    let athens = athens(&modules);
    let from = athens.path().to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().to_str().unwrap();
    for round in 1..=4 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_larder"))
            .args(["cache", "import", from, "--cache-dir", into])
            .args(["--sumdb", "off", "--upstream", "off"])
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("some more of it is stored", || {
            let all = cache(folder.path(), &["ls", "--json"]);
            let files = all.stdout.matches("\"module\"").count();
            (files >= round * 4 || child.try_wait().unwrap().is_some()).then_some(())
        });
        // It may have come to its end by itself.
        let _ = child.kill();
        child.wait().unwrap();
        expect_status(cache(folder.path(), &["verify"]), 0);
    }
    let last = expect_status(cache(folder.path(), &["import", from]), 0);
    expect_parts(&last.stderr, &["120 module files", "0 refused"]);
    let verified = expect_status(cache(folder.path(), &["verify", "--json"]), 0);
    expect_parts(&verified.stdout, &["\"files\": 120"]);
}

#[test]
fn gc_evicts_what_the_limit_asks_for_and_leaves_what_is_pinned() {
    let other = Module::new("example.com/other", "v1.0.0");
    let upstream = FakeUpstream::with(&[hello(), other.clone()]);
    let larder = larder_over(&upstream);
    fill(&larder, &hello());
    fill(&larder, &other);
    let folder = larder.cache_dir();
    expect_status(cache(folder, &["pin", "example.com/hello@v1.0.0"]), 0);
    let within = expect_status(cache(folder, &["gc", "--cache-limit", "1GiB"]), 0);
    expect_parts(&within.stderr, &["0 files evicted"]);

    let shown = cache(folder, &["gc", "--cache-limit", "1", "--dry-run"]);
    let shown = expect_status(shown, 1);
    expect_parts(&shown.stdout, &["example.com/other@v1.0.0 (zip)"]);
    expect_parts(&shown.stderr, &["3 files would go", "the rest is pinned"]);
    assert!(stored(&larder, &other, "zip").exists());

    let gone = cache(folder, &["gc", "--cache-limit", "1", "--json"]);
    let gone = expect_status(gone, 1);
    let report: serde_json::Value = serde_json::from_str(&gone.stdout).unwrap();
    assert_eq!(report["files"], 3, "{report}");
    for extension in ["info", "mod", "zip"] {
        assert!(!stored(&larder, &other, extension).exists());
        assert!(stored(&larder, &hello(), extension).exists());
    }
}
