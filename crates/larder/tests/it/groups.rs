//! Groups of equal upstreams: one of them stalls, fails, lies, or has other bytes.
use crate::{expect_error, hello, larder};
use testkit::{Behaviour, Ending, FakeUpstream, Gate, Larder, LarderBuilder, Module, ZipVariant};

/// Larger than what is verified before its first byte is sent.
fn large() -> Module {
    Module::new("example.com/large", "v1.0.0").incompressible(12 << 20)
}

/// A Larder over a group in this mode.
fn grouped(mode: &str, members: &[&FakeUpstream]) -> LarderBuilder {
    let urls: Vec<String> = members.iter().map(|it| format!("{:?}", it.url())).collect();
    let urls = urls.join(", ");
    let text = format!("[[upstream]]\nurls = [{urls}]\nmode = \"{mode}\"\n");
    let builder = larder();
    let file = builder.home().join("larder.toml");
    fs_err::write(&file, text).unwrap();
    builder.args(["--config".into(), file.into_os_string()])
}

#[test]
fn how_each_upstream_is_is_seen_by_operators_and_by_who_traces_a_download() {
    let (first, second) = (FakeUpstream::start(), FakeUpstream::with([&hello()]));
    first.misbehave_under("/", Behaviour::normal().status(500, "oops\n"));
    let larder = grouped("hedge", &[&first, &second]).start();
    for kind in ["info", "mod", "zip"] {
        larder.get(&hello().url_path(kind)).expect_status(200);
    }
    let traced = |arguments: &[&str], status: i32| {
        let builder = crate::larder()
            .env("GOPROXY", larder.url())
            .env("GOSUMDB", "off");
        let exited = builder.run(&[&["trace"], arguments].concat());
        assert_eq!(exited.status.code(), Some(status), "{exited:?}");
        exited.stdout
    };
    let text = traced(&["example.com/hello@v1.0.0"], 0);
    let line_of = |upstream: &FakeUpstream| {
        let mut lines = text.lines().skip_while(|line| !line.starts_with("behind "));
        lines.find(|line| line.contains(&upstream.url())).unwrap()
    };
    assert!(text.contains("  hedge, "), "{text}");
    for part in [
        "  ill  ",
        "  breaker closed  ",
        "  first byte ",
        "  errors ",
    ] {
        assert!(line_of(&first).contains(part), "{part}: {text}");
    }
    assert!(!line_of(&first).contains("errors 0 %"), "{text}");
    for part in ["  well  ", "  breaker closed  ", "  errors 0 %"] {
        assert!(line_of(&second).contains(part), "{part}: {text}");
    }
    let json = traced(&["example.com/hello@v1.0.0", "--json"], 0);
    let said: serde_json::Value = serde_json::from_str(&json).unwrap();
    let behind = &said["behind"][0]["upstreams"];
    assert_eq!(behind[0]["mode"], "hedge", "{said}");
    assert_eq!(behind[0]["members"][0]["upstream"], first.url());
    assert_eq!(behind[0]["members"][0]["condition"], "ill");

    let own: serde_json::Value =
        serde_json::from_str(&larder.get("/-/upstreams").expect_status(200).text()).unwrap();
    assert_eq!(own["upstreams"], *behind);
    let (first, second) = (first.url(), second.url());
    let breaker = "larder_upstream_breaker{";
    assert_eq!(metric(&larder, &[breaker, &first, "closed"]), "1");
    assert_eq!(metric(&larder, &[breaker, &second, "half-open"]), "0");
    let condition = "larder_group_member_condition{";
    assert_eq!(metric(&larder, &[condition, &first, "ill"]), "1");
    let mean = "larder_upstream_first_byte_mean_seconds{";
    let mean: f64 = metric(&larder, &[mean, &second]).parse().unwrap();
    assert!(mean > 0.0);

    // Most of all where the download fails.
    let failed = traced(&["example.com/nowhere@v1.0.0"], 1);
    assert!(
        failed.contains("behind ") && failed.contains(&second),
        "{failed}"
    );
}

fn source_of(larder: &Larder, target: &str) -> Option<String> {
    let answer = larder.get(target).expect_status(200);
    answer.header("x-larder-source").map(str::to_owned)
}

fn metric(larder: &Larder, parts: &[&str]) -> String {
    let text = larder.get("/-/metrics").text();
    text.lines()
        .filter(|line| parts.iter().all(|part| line.contains(part)))
        .filter_map(|line| line.rsplit(' ').next())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_large_file_goes_on_from_the_second_upstream_when_the_first_stalls_in_the_middle_and_both_have_the_same_bytes()
 {
    for mode in ["hedge", "race"] {
        let (first, second) = (
            FakeUpstream::with([&large()]),
            FakeUpstream::with([&large()]),
        );
        let (zip, never) = (large().url_path("zip"), Gate::new());
        let in_the_middle = large().zip().len() as u64 / 2;
        first.misbehave(
            &zip,
            Behaviour::normal().stall_in_body(in_the_middle, &never),
        );
        let larder = grouped(mode, &[&first, &second]).start();
        larder.get(&zip).expect_body(&large().zip());
        assert_eq!(source_of(&larder, &zip), Some(second.url()), "{mode}");
        never.open();
    }
}

#[test]
fn a_large_file_is_broken_off_and_never_spliced_when_the_bytes_differ() {
    let first = FakeUpstream::builder().without_ranges().start();
    let second = FakeUpstream::with([&large()]);
    first.add(&large());
    second.replace_zip(&large(), &ZipVariant::OtherBytes);
    let (zip, never) = (large().url_path("zip"), Gate::new());
    let in_the_middle = large().zip().len() as u64 / 2;
    first.misbehave(
        &zip,
        Behaviour::normal().stall_in_body(in_the_middle, &never),
    );
    let larder = grouped("hedge", &[&first, &second])
        .args(["--stall-timeout", "2"])
        .start();
    let cut = larder.get(&zip);
    assert_eq!((cut.status(), cut.ending), (200, Ending::CutShort));
    assert!(!cut.body.is_empty() && large().zip().starts_with(&cut.body));
    assert_eq!(second.count(&zip), 1, "it was tried");
    never.open();
}

#[test]
fn one_that_fails_stalls_or_lies_is_not_noticed_by_who_asks_for_a_small_file() {
    let never = Gate::new();
    let faults = [
        Behaviour::normal().status(500, "oops\n"),
        Behaviour::normal().hang_up(),
        Behaviour::normal().cut_after(100),
        Behaviour::normal().stall(&never),
        Behaviour::normal().stall_in_body(100, &never),
        Behaviour::normal().html(),
    ];
    for (index, fault) in faults.into_iter().enumerate() {
        let (first, second) = (
            FakeUpstream::with([&hello()]),
            FakeUpstream::with([&hello()]),
        );
        first.misbehave_under("/", fault);
        let larder = grouped("hedge", &[&first, &second]).start();
        let zip = hello().url_path("zip");
        let answer = larder.get(&zip).expect_body(&hello().zip());
        assert_eq!(
            answer.header("x-larder-source"),
            Some(&*second.url()),
            "fault {index}"
        );
        let list = hello().about("@v/list");
        larder.get(&list).expect_status(200);
    }
    never.open();
}

#[test]
fn a_member_whose_file_was_refused_is_mistrusted_and_asked_last() {
    let (first, second) = (
        FakeUpstream::with([&hello()]),
        FakeUpstream::with([&hello()]),
    );
    first.replace_zip(&hello(), &ZipVariant::DirectoryRenames);
    let larder = grouped("hedge", &[&first, &second]).start();
    let zip = hello().url_path("zip");
    assert_eq!(source_of(&larder, &zip), Some(second.url()));
    let (asked_first, mod_file) = (first.total(), hello().url_path("mod"));
    assert_eq!(source_of(&larder, &mod_file), Some(second.url()));
    assert!(
        first.total() <= asked_first + 1,
        "what follows behind the zip"
    );
    let of_first = format!("upstream=\"{}\"", first.url());
    let condition = ["larder_group_member_condition{", &of_first, "mistrusted"];
    assert_eq!(metric(&larder, &condition), "1");
    let refused = ["larder_group_events_total{", &of_first, "file-refused"];
    assert_eq!(metric(&larder, &refused), "1");
}

#[test]
fn a_list_is_404_only_when_every_member_says_so() {
    let (first, second) = (FakeUpstream::start(), FakeUpstream::with([&hello()]));
    let larder = grouped("hedge", &[&first, &second]).start();
    larder.get(&hello().about("@v/list")).expect_status(200);
    expect_error(larder.get("/example.com/nowhere/@v/list"), 404);
    second.misbehave_under("/", Behaviour::normal().status(501, "no\n"));
    expect_error(larder.get("/example.com/elsewhere/@v/list"), 502);
}

#[test]
fn when_all_members_are_gone_what_is_cached_is_served_and_the_rest_is_an_outage() {
    let (first, second) = (
        FakeUpstream::with([&hello()]),
        FakeUpstream::with([&hello()]),
    );
    let larder = grouped("hedge", &[&first, &second])
        .args(["--fresh", "0"])
        .start();
    let list = hello().about("@v/list");
    larder.get(&hello().url_path("zip")).expect_status(200);
    larder.get(&list).expect_status(200);
    first.refuse_connections();
    second.refuse_connections();
    larder
        .get(&hello().url_path("zip"))
        .expect_body(&hello().zip());
    let stale = larder.get(&list).expect_status(200);
    assert_eq!(stale.header("x-larder-cache"), Some("stale"));
    expect_error(larder.get("/example.com/other/@v/list"), 502);
}

#[test]
fn a_group_that_makes_no_sense_is_refused_with_what_to_write_instead() {
    let check = |text: &str, expected: &[&str]| {
        let builder = larder();
        let file = builder.home().join("larder.toml");
        fs_err::write(&file, text).unwrap();
        let exited = builder
            .args(["--config".into(), file.into_os_string()])
            .run_serve();
        assert_eq!(exited.status.code(), Some(2), "{}", exited.stderr);
        crate::expect_parts(&exited.stderr, expected);
    };
    check(
        "[[upstream]]\nurls = [\"https://mirror.example\"]\nmode = \"race\"\n",
        &["larder.toml:1", "single URL", "order"],
    );
    check(
        "[[upstream]]\nurls = [\"https://mirror.example\", \"direct\"]\nmode = \"race\"\n",
        &["larder.toml:2", "direct", "of its own"],
    );
    check(
        "[[upstream]]\nurls = [\"https://a.example\", \"https://a.example/\"]\nmode = \"hedge\"\n",
        &["larder.toml:2", "twice"],
    );
    check(
        "[[upstream]]\nurls = [\"https://a.example\", \"https://b.example\"]\nmode = \"fastest\"\n",
        &["larder.toml:3", "hedge", "race"],
    );
}
