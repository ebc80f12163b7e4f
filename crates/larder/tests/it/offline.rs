//! Without upstream: answers from the store, by Go's rules, and old answers with their age.
use crate::{expect_error, expect_parts, hello, larder, larder_over};
use testkit::{Behaviour, FakeUpstream, Larder, LarderBuilder, Module, eventually};

/// Fills the three files of each module through a server, and gives the builder of one that is offline.
fn filled_and_offline(modules: &[Module]) -> (LarderBuilder, FakeUpstream) {
    let upstream = FakeUpstream::with(modules);
    let larder = larder_over(&upstream);
    for module in modules {
        fill(&larder, module);
    }
    let (exited, builder) = larder.terminate();
    assert!(exited.status.success(), "{}", exited.stderr);
    upstream.forget_requests();
    (builder.args(["--offline"]), upstream)
}

fn fill(larder: &Larder, module: &Module) {
    for extension in ["info", "mod", "zip"] {
        let path = module.url_path(extension);
        larder.get(&path).expect_status(200);
        eventually("the file is stored", || {
            let answer = larder.get_with(&path, &[("Disable-Module-Fetch", "true")]);
            (answer.status() == 200).then_some(())
        });
    }
}

fn versions(path: &str, versions: &[&str]) -> Vec<Module> {
    versions
        .iter()
        .map(|version| Module::new(path, version))
        .collect()
}

/// What an offline server with these modules says of the module's list and latest version.
fn check(modules: &[Module], list: &str, latest: &str) {
    let (builder, upstream) = filled_and_offline(modules);
    let larder = builder.start();
    let about = |rest| modules[0].about(rest);
    assert_eq!(
        larder.get(&about("@v/list")).expect_status(200).text(),
        list
    );
    let info = larder.get(&about("@latest")).expect_status(200).text();
    expect_parts(&info, &[&format!("\"Version\":\"{latest}\"")]);
    assert_eq!(upstream.total(), 0, "an offline server asks nobody");
}

#[test]
fn list_is_sorted_as_go_sorts_and_latest_is_the_highest_release() {
    let all = [
        "v1.10.0",
        "v1.2.0",
        "v1.9.1",
        "v2.0.0-alpha",
        "v1.11.0-rc.1",
        "v0.1.0",
    ];
    let of_v1: Vec<&str> = all
        .into_iter()
        .filter(|version| !version.starts_with("v2"))
        .collect();
    check(
        &versions("example.com/sorted", &of_v1),
        "v0.1.0\nv1.2.0\nv1.9.1\nv1.10.0\nv1.11.0-rc.1\n",
        "v1.10.0",
    );
}

#[test]
fn latest_is_the_highest_prerelease_where_there_is_no_release() {
    check(
        &versions(
            "example.com/pre",
            &["v1.0.0-rc.2", "v1.0.0-rc.10", "v0.9.0-beta"],
        ),
        "v0.9.0-beta\nv1.0.0-rc.2\nv1.0.0-rc.10\n",
        "v1.0.0-rc.10",
    );
}

#[test]
fn retracted_versions_stay_in_the_list_and_are_not_the_latest() {
    let mut modules = versions("example.com/regret", &["v1.0.0", "v1.1.0"]);
    modules.push(
        Module::new("example.com/regret", "v1.2.0")
            .go_mod_line("retract [v1.1.0, v1.2.0] // published by mistake"),
    );
    check(&modules, "v1.0.0\nv1.1.0\nv1.2.0\n", "v1.0.0");
}

#[test]
fn pseudo_versions_are_not_listed_and_are_the_latest_where_there_is_nothing_else() {
    let newer = "v0.0.0-20240301120000-0123456789ab";
    let older = "v0.0.0-20230301120000-ba9876543210";
    check(
        &versions("example.com/untagged", &[older, newer]),
        "",
        newer,
    );
    check(
        &versions("example.com/tagged", &["v0.1.0", newer]),
        "v0.1.0\n",
        "v0.1.0",
    );
}

#[test]
fn incompatible_versions_count_only_while_no_compatible_one_has_a_go_mod() {
    let old = Module::new("example.com/plain", "v1.0.0").without_go_mod();
    let incompatible = |path| Module::new(path, "v2.0.0+incompatible").without_go_mod();
    check(
        &[old, incompatible("example.com/plain")],
        "v1.0.0\nv2.0.0+incompatible\n",
        "v1.0.0",
    );
    let with_go_mod = Module::new("example.com/modern", "v1.0.0");
    check(
        &[with_go_mod, incompatible("example.com/modern")],
        "v1.0.0\n",
        "v1.0.0",
    );
    check(
        &[incompatible("example.com/only")],
        "v2.0.0+incompatible\n",
        "v2.0.0+incompatible",
    );
}

#[test]
fn what_is_not_stored_is_503_and_404_below_a_stored_module() {
    let (builder, upstream) = filled_and_offline(&[hello()]);
    let larder = builder.start();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
    for path in [
        "/example.com/hello/@v/v1.9.0.zip",
        "/example.com/hello/@v/v1.9.0.info",
        "/example.com/hello/@v/master.info",
        "/example.com/other/@v/list",
        "/example.com/other/@latest",
    ] {
        let text = expect_error(larder.get(path), 503);
        expect_parts(&text, &["offline"]);
    }
    for path in [
        "/example.com/hello/sub/@v/list",
        "/example.com/hello/sub/@latest",
    ] {
        expect_error(larder.get(path), 404);
    }
    assert_eq!(upstream.total(), 0);
}

#[test]
fn offline_needs_no_upstream() {
    let larder = larder().args(["--offline"]).start();
    expect_error(larder.get("/example.com/hello/@v/list"), 503);
}

#[test]
fn an_older_list_is_served_with_its_age_when_upstream_is_down_across_a_restart_too() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--fresh", "0"])
        .start();
    let answers = ["/example.com/hello/@v/list", "/example.com/hello/@latest"];
    let fresh = answers.map(|path| larder.get(path).expect_status(200).body);
    upstream.refuse_connections();
    let check = |larder: &Larder| {
        for (path, body) in answers.iter().zip(&fresh) {
            let stale = larder.get(path).expect_body(body);
            let age: u64 = stale.header("age").unwrap().parse().unwrap();
            assert!(age < 600, "{age}");
            assert_eq!(stale.header("x-larder-cache"), Some("stale"), "{path}");
        }
    };
    check(&larder);
    let (_, builder) = larder.terminate();
    check(&builder.start());
}

#[test]
fn what_a_list_said_before_does_not_hide_that_a_module_is_gone() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder()
        .upstream(upstream.url())
        .args(["--fresh", "0"])
        .start();
    let list = "/example.com/hello/@v/list";
    larder.get(list).expect_status(200);
    upstream.misbehave_under("/", Behaviour::normal().status(410, "taken down\n"));
    expect_error(larder.get(list), 410);
}

#[test]
fn proven_absence_is_remembered_for_a_while() {
    let upstream = FakeUpstream::start();
    let larder = larder_over(&upstream);
    let paths = [
        "/example.com/nothing/@v/list",
        "/example.com/nothing/@latest",
        "/example.com/nothing/@v/v1.0.0.info",
        "/example.com/nothing/@v/v1.0.0.mod",
        "/example.com/nothing/@v/master.info",
    ];
    for path in paths {
        for _ in 0..3 {
            expect_error(larder.get(path), 404);
        }
        assert_eq!(upstream.count(path), 1, "{path}");
    }
}

#[test]
fn trouble_is_not_remembered_as_absence_is() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    upstream.misbehave_under("/", Behaviour::normal().status(501, "no\n"));
    expect_error(larder.get(&hello().url_path("mod")), 502);
    upstream.behave();
    larder.get(&hello().url_path("mod")).expect_status(200);
}

#[test]
fn a_fresh_list_is_not_asked_again_and_a_new_version_makes_it_due() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let list = "/example.com/hello/@v/list";
    for _ in 0..3 {
        larder.get(list).expect_body(b"v1.0.0\n");
    }
    assert_eq!(upstream.count(list), 1);
    let newer = Module::new("example.com/hello", "v1.1.0");
    upstream.add(&newer);
    larder.get(list).expect_body(b"v1.0.0\n");
    fill(&larder, &newer);
    larder.get(list).expect_body(b"v1.0.0\nv1.1.0\n");
    assert_eq!(upstream.count(list), 2);
}
