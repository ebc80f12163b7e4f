use super::{ProxyEntry, ProxyList, SafeUrl};
use crate::ParseError;

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(ProxyList::parse(text).unwrap().to_string(), expected);
}

#[track_caller]
fn check_refused(text: &str, reason: &str) -> ParseError {
    let error = ProxyList::parse(text).unwrap_err();
    assert!(error.reason.contains(reason), "{error}");
    error
}

#[test]
fn entries_keep_their_order_and_separators() {
    check("https://a.example", "https://a.example/");
    check("https://a.example,direct", "https://a.example/,direct");
    check("https://a.example|direct", "https://a.example/|direct");
    check(
        "https://a.example|https://b.example,off",
        "https://a.example/|https://b.example/,off",
    );
    check("direct", "direct");
    check("off", "off");
    check("http://127.0.0.1:8080/base", "http://127.0.0.1:8080/base");
    check("file:///srv/modules", "file:///srv/modules");
    check("file:/srv/modules", "file:///srv/modules");
    check("HTTPS://A.example/Base", "https://a.example/Base");
}

#[test]
fn empty_entries_and_white_space_are_skipped() {
    check(" https://a.example , direct ", "https://a.example/,direct");
    check(",,https://a.example,|,direct,", "https://a.example/,direct");
    check("|https://a.example|", "https://a.example/");
    // The separator right behind an entry counts, not that behind the empty one.
    check(
        "https://a.example|,https://b.example",
        "https://a.example/|https://b.example/",
    );
    check(
        "https://a.example,|https://b.example",
        "https://a.example/,https://b.example/",
    );
}

#[test]
fn nothing_follows_direct_or_off() {
    check("direct,https://a.example", "direct");
    check("off|::nonsense::", "off");
    check("https://a.example,direct,off", "https://a.example/,direct");
}

#[test]
fn a_host_without_scheme_is_asked_over_https() {
    check("a.example", "https://a.example/");
    check("a.example/base/", "https://a.example/base");
    check("localhost:8080", "https://localhost:8080/");
    check("user:secret@a.example", "https://REDACTED@a.example/");
}

#[test]
fn slashes_at_the_end_are_trimmed() {
    check("https://a.example/", "https://a.example/");
    check("https://a.example/base//", "https://a.example/base");
    check("file:///srv/modules/", "file:///srv/modules");
}

#[test]
fn other_entries_are_refused() {
    check_refused("", "contains no entries");
    check_refused(" , | ,", "contains no entries");
    check_refused("noproxy", "missing scheme");
    check_refused("none,direct", "missing scheme");
    check_refused("/srv/modules", "missing scheme");
    check_refused("/srv:/modules", "missing scheme");
    check_refused("ftp://a.example", "must be https, http, file");
    check_refused("ssh://git@a.example", "must be https, http, file");
    check_refused("file://host/srv", "non-path elements");
    check_refused("file://srv", "non-path elements");
    check_refused("file:///srv?x", "non-path elements");
    check_refused("file:///srv#x", "non-path elements");
    check_refused("https:/a.example", "without a host");
    check_refused("https://", "empty host");
    check_refused("https://a.example:99999", "invalid port");
    check_refused("https://a b.example", "invalid");
    check_refused("https://a.exa\nmple", "invalid char");
    // One bad entry spoils the list, as in go, even behind a good one.
    check_refused("https://a.example,nonsense", "missing scheme");
}

#[test]
fn secrets_are_never_shown() {
    for text in [
        "https://user:s3cret@a.example/base?token=s3cret",
        "https://s3cret@a.example/base#s3cret",
        "https://:s3cret@a.example/base",
    ] {
        let list = ProxyList::parse(text).unwrap();
        for shown in [list.to_string(), format!("{list:?}")] {
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains("https://REDACTED@a.example/base"), "{shown}");
        }
        let Some(ProxyEntry::Proxy(proxy)) = list.entries().first() else {
            panic!("not a proxy: {list}");
        };
        assert!(
            proxy.url.expose().as_str().contains("s3cret"),
            "the dial needs it"
        );
    }
    for text in [
        "https://user:s3cret@a.example:99999/",
        "https://user:s3cret/s3cret@a b.example/",
        "https://user:s3#cret@a.example:x/",
        "ftp://user:s3cret@a.example",
        "ftp://a.example/?token=s3cret",
        "user:s3cret@:/",
        "https://us@er:s3cret@a b",
        "https:/user:s3cret@a.example",
    ] {
        let error = ProxyList::parse(text).unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("s3") && !shown.contains("cret"), "{shown}");
        }
    }
    let url = SafeUrl::parse("https://user:s3cret@a.example/?s3cret").unwrap();
    assert_eq!(
        format!("{url} {url:?}"),
        "https://REDACTED@a.example/?REDACTED https://REDACTED@a.example/?REDACTED"
    );
}

#[test]
fn paths_are_joined_below_the_base() {
    let check = |base: &str, path: &str, expected: &str| {
        assert_eq!(
            SafeUrl::parse(base)
                .unwrap()
                .join_path(path)
                .expose()
                .as_str(),
            expected
        );
    };
    check(
        "https://a.example",
        "x.y/!z/@v/list",
        "https://a.example/x.y/!z/@v/list",
    );
    check(
        "https://a.example/base",
        "x.y/@latest",
        "https://a.example/base/x.y/@latest",
    );
    check(
        "https://a.example/base/",
        "/x.y/@latest",
        "https://a.example/base/x.y/@latest",
    );
    check(
        "https://u:p@a.example/b?t=1",
        "c",
        "https://u:p@a.example/b/c?t=1",
    );
    check(
        "https://a.example/%2Fb",
        "100%.info",
        "https://a.example/%2Fb/100%25.info",
    );
    check(
        "https://a.example",
        "a?b#c d^e",
        "https://a.example/a%3Fb%23c%20d%5Ee",
    );
    check(
        "https://a.example",
        "v2.0.0+incompatible.mod",
        "https://a.example/v2.0.0+incompatible.mod",
    );
    check("file:///srv", "x.y/@v/list", "file:///srv/x.y/@v/list");
}

#[test]
fn a_url_tells_its_host_and_kind() {
    let url = |text| SafeUrl::parse(text).unwrap();
    assert_eq!(url("https://u@a.example:1/x").host(), Some("a.example"));
    assert_eq!(url("file:///srv").host(), None);
    assert!(url("file:///srv").is_file());
    assert!(!url("https://a.example").is_file());
    assert!(url("https://u@a.example").has_credentials());
    assert!(!url("https://a.example/@x").has_credentials());
    assert_eq!(
        url("ssh://git@[::1]:22/x").to_string(),
        "ssh://REDACTED@[::1]:22/x"
    );
    assert_eq!(url("mailto:someone").to_string(), "mailto:someone");
}
