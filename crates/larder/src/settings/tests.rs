use super::complaint::{Complaint, did_you_mean};
use super::environment::Environment;
use super::file;
use super::table::{Draft, Kind, PROFILES, SETTINGS, by_key};
use super::value::{self, Given};
use super::written::{Purpose, Written};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

fn given(text: &str) -> Given<'_> {
    Given {
        text,
        base: Path::new(""),
    }
}

#[test]
fn no_two_settings_share_a_name_and_the_names_of_one_agree() {
    let mut names = BTreeSet::new();
    for setting in SETTINGS {
        assert!(names.insert(setting.key), "{} is there twice", setting.key);
        assert_eq!(setting.flag, setting.key.replace('_', "-"));
        let environment = format!("LARDER_{}", setting.flag.replace('-', "_").to_uppercase());
        assert_eq!(setting.environment, environment);
        assert!(!setting.summary.ends_with('.'), "{}", setting.key);
        assert!(setting.details.ends_with('.'), "{}", setting.key);
    }
}

#[test]
fn every_default_example_and_built_in_profile_is_a_valid_value() {
    let check = |key: &str, text: &str| {
        let setting = by_key(key).unwrap();
        let applied = (setting.apply)(&mut Draft::default(), &given(text));
        assert_eq!(applied, Ok(()), "{key} = {text}");
        if let Kind::Choice(words) = setting.kind {
            assert!(words.contains(&text), "{key} = {text}");
        }
    };
    for setting in SETTINGS {
        if let Some(text) = setting.default.text() {
            check(setting.key, text);
        }
        check(setting.key, setting.example.trim_matches('"'));
        if let Kind::Choice(words) = setting.kind {
            words.iter().for_each(|word| check(setting.key, word));
        }
    }
    for (_, values) in PROFILES {
        values.iter().for_each(|(key, text)| check(key, text));
    }
    let profiles: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        by_key("profile").unwrap().kind,
        Kind::Choice(&["dev", "staging", "prod"])
    );
    assert_eq!(profiles, ["dev", "staging", "prod"]);
}

#[test]
fn sizes_are_bytes_or_have_a_unit() {
    let check = |text: &str, expected: Option<u64>| {
        assert_eq!(value::bytes(&given(text), 0).ok(), expected, "{text}");
    };
    check("0", Some(0));
    check("67108864", Some(64 << 20));
    check("64MiB", Some(64 << 20));
    check("64 mib", Some(64 << 20));
    check("1GiB", Some(1 << 30));
    check("500MB", Some(500_000_000));
    check("512KiB", Some(512 << 10));
    check("", None);
    check("MiB", None);
    check("-1", None);
    check("1.5GiB", None);
    check("3x", None);
    check("99999999999999999999", None);
    check("18446744073709551615GiB", None);
    let least = value::bytes(&given("1MiB"), 8 << 20).unwrap_err();
    assert_eq!(
        least.reason,
        "is `1MiB`, but `8MiB` is the least that works"
    );
}

#[test]
fn lengths_of_time_are_seconds_or_have_a_unit() {
    let check = |text: &str, expected: Option<Duration>| {
        assert_eq!(value::duration(&given(text)).ok(), expected, "{text}");
    };
    check("0", Some(Duration::ZERO));
    check("60", Some(Duration::from_secs(60)));
    check("90s", Some(Duration::from_secs(90)));
    check("5m", Some(Duration::from_secs(300)));
    check("1h", Some(Duration::from_secs(3600)));
    check("500ms", Some(Duration::from_millis(500)));
    check("s", None);
    check("1y", None);
    check("1.5", None);
    check("10000h", None);
    check("18446744073709551615h", None);
    assert!(value::deadline(&given("0")).is_err());
}

#[test]
fn addresses_need_a_host_and_a_port() {
    let check = |text: &str, expected: Option<(&str, u16)>| {
        let parsed = value::host_port(&given(text)).ok();
        let parsed = parsed.as_ref().map(|it| (it.host.as_str(), it.port));
        assert_eq!(parsed, expected, "{text}");
    };
    check("127.0.0.1:8080", Some(("127.0.0.1", 8080)));
    check("localhost:0", Some(("localhost", 0)));
    check("[::1]:8080", Some(("::1", 8080)));
    check("::1:8080", None);
    check(":8080", None);
    check("localhost", None);
    check("localhost:http", None);
    check("localhost:65536", None);
}

#[test]
fn paths_are_relative_to_the_file_that_names_them_and_tilde_is_refused() {
    let base = Path::new("/etc/larder");
    let path = |text| value::path(&Given { text, base });
    assert_eq!(path("tls.key").unwrap(), Path::new("/etc/larder/tls.key"));
    assert_eq!(path("/srv/tls.key").unwrap(), Path::new("/srv/tls.key"));
    assert!(path("~/tls.key").is_err());
    assert!(path("").is_err());
}

#[test]
fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
    let keys = || SETTINGS.iter().map(|setting| setting.key);
    let check = |written: &str, expected: Option<&str>| {
        assert_eq!(did_you_mean(written, keys()), expected, "{written}");
    };
    check("lisen", Some("listen"));
    check("tls-cert", Some("tls_cert"));
    check("upstreams", Some("upstream"));
    check("cachedir", Some("cache_dir"));
    check("nosumdb", Some("no_sumdb"));
    check("zzz", None);
}

/// The complaints about a file, as a terminal shows them.
fn complaints(text: &str) -> String {
    let mut complaints = Vec::new();
    file::parse(text, Path::new("larder.toml"), &mut complaints);
    complaints.iter().map(Complaint::render).collect()
}

#[test]
fn everything_wrong_in_a_file_is_said_with_its_line() {
    let text = r#"
lisen = "127.0.0.1:1"
fresh = "60"
offline = "yes"
profile = "prod"
config = "other.toml"

[[upstream]]
url = ["https://mirror.example"]
mode = "race"
fallback = "never"
credentials = { user = "larder", password = "secret-word" }

[[upstream]]
urls = []
mode = "fast"

[profile.production]
fresh = 1

[profile.dev]
tls-key = "key"
"#;
    insta::assert_snapshot!(complaints(text), @r#"
    error: larder.toml:18: is not TOML: cannot extend value of type string with a dotted key
    error: larder.toml:18: is not TOML: cannot extend value of type string with a dotted key
    error: larder.toml:21: is not TOML: cannot extend value of type string with a dotted key
    error: larder.toml:21: is not TOML: cannot extend value of type string with a dotted key
    "#);
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    insta::assert_snapshot!(complaints("listen = \"a:1\"\nfresh = = 3\n"), @r#"
    error: larder.toml:2: is not TOML: extra `=`, expected nothing
    error: larder.toml:2: is not TOML: unexpected key or value, expected newline, `#`
    "#);
}

#[test]
fn a_misspelt_variable_is_a_warning_and_an_orchestrators_is_not() {
    let warnings = |name: &str| {
        let environment = Environment::from_iter([(name, "1")]);
        Written::collect(&[], &environment, Purpose::Serve).warnings
    };
    assert_eq!(
        warnings("LARDER_UPSTREEM"),
        ["`LARDER_UPSTREEM` is no setting; did you mean `LARDER_UPSTREAM`?"]
    );
    let none: [&str; 0] = [];
    assert_eq!(warnings("LARDER_PORT"), none);
    assert_eq!(warnings("LARDER_SERVICE_HOST"), none);
    assert_eq!(warnings("LARDER_PORT_8080_TCP"), none);
}
