use super::*;
use gomod::{ModuleVersion, Version};
use store::Namespace;

const MEGABYTE: u64 = 1 << 20;
const OF_MOD: Signal = Signal {
    is_info: false,
    module_is_known: false,
};
const OF_INFO: Signal = Signal {
    is_info: true,
    module_is_known: false,
};

fn zip(number: usize) -> FileKey {
    let path = ModulePath::parse(&format!("example.com/m{number}")).expect("a path");
    let version = Version::parse("v1.0.0").expect("a version");
    FileKey {
        namespace: Namespace::Shared,
        module: ModuleVersion::new(path, version).expect("they fit"),
        kind: FileKind::Zip,
    }
}

fn prefetch(now: Instant) -> Prefetch {
    Prefetch::new(MEGABYTE, Metrics::new(), now)
}

#[test]
fn the_info_of_a_version_brings_its_zip_and_the_mod_of_an_unknown_module_does_not() {
    let now = Instant::now();
    let prefetch = prefetch(now);
    assert!(prefetch.signalled(&zip(1), OF_INFO, now));
    assert!(!prefetch.signalled(&zip(2), OF_MOD, now));
    assert!(
        !prefetch.signalled(&zip(1), OF_MOD, now),
        "the weaker signal of the same version adds nothing"
    );
}

#[test]
fn clients_that_only_look_end_it_and_clients_that_build_bring_it_back() {
    let start = Instant::now();
    let prefetch = prefetch(start);
    let mut now = start;
    for number in 0..20 {
        prefetch.signalled(&zip(number), OF_INFO, now);
        now += WINDOW;
    }
    assert!(!prefetch.signalled(&zip(100), OF_INFO, now));
    for number in 200..260 {
        prefetch.signalled(&zip(number), OF_INFO, now);
        prefetch.zip_asked(&zip(number), now);
    }
    assert!(prefetch.signalled(&zip(300), OF_INFO, now));
}

#[test]
fn a_graph_whose_zips_are_asked_later_is_not_taken_for_one_that_is_only_looked_at() {
    let now = Instant::now();
    let prefetch = prefetch(now);
    for number in 0..500 {
        assert!(prefetch.signalled(&zip(number), OF_INFO, now), "{number}");
    }
}

#[test]
fn the_budget_is_kept_on_average() {
    let start = Instant::now();
    let prefetch = prefetch(start);
    let mut fetched = 0_u64;
    for second in 0..100_u32 {
        let now = start + Duration::from_secs(second.into());
        for number in 0..10 {
            let zip = zip(usize::try_from(second).expect("small") * 10 + number);
            if prefetch.signalled(&zip, OF_INFO, now) {
                prefetch.fetched(&zip, MEGABYTE);
                fetched += 1;
            }
            prefetch.zip_asked(&zip, now);
        }
    }
    assert!((100..=112).contains(&fetched), "{fetched} megabytes");
}

#[test]
fn what_is_waited_for_is_bounded() {
    let now = Instant::now();
    let prefetch = prefetch(now);
    for number in 0..AWAITED + 1000 {
        prefetch.signalled(&zip(number), OF_INFO, now);
    }
    let state = prefetch.state.lock();
    assert!(state.awaited.len() <= AWAITED + 1);
    assert!(state.by_age.len() <= AWAITED + 1);
}

#[test]
fn a_zip_that_nobody_asks_for_is_counted_as_wasted() {
    let now = Instant::now();
    let metrics = Metrics::new();
    let prefetch = Prefetch::new(MEGABYTE, metrics.clone(), now);
    for (number, is_asked) in [(1, true), (2, false)] {
        prefetch.signalled(&zip(number), OF_INFO, now);
        prefetch.fetched(&zip(number), 1000);
        if is_asked {
            prefetch.zip_asked(&zip(number), now);
        }
    }
    prefetch.zip_asked(&zip(3), now + WINDOW);
    let text = metrics.render();
    for line in [
        r#"larder_prefetched_files_total{outcome="asked"} 1"#,
        r#"larder_prefetched_files_total{outcome="unasked"} 1"#,
        r#"larder_prefetched_bytes_total{outcome="unasked"} 1000"#,
    ] {
        assert!(text.contains(line), "{line} not in {text}");
    }
}
