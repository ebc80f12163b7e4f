//! Laws that hold for whatever text comes in.

use std::cmp::Ordering;

use proptest::prelude::*;

use crate::{
    EscapedPath, EscapedVersion, H1, Info, ModulePath, ModuleVersion, PathPatterns, ProxyList,
    Request, Revision, SafeUrl, Sha256, Version, calendar, check_import_path, semver,
};

/// Text that comes near to what the parsers look for.
fn telling_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-zA-Z0-9]{1,3}",
        3 => "[-./@!%,|~+:\\[\\]*?^\\\\]",
        1 => any::<char>().prop_map(String::from),
        2 => prop::sample::select(vec![
            "example.com/", "gopkg.in/", "/@v/", "/@latest", "list", ".info", ".zip", "/sumdb/", "/lookup/", "/tile/8/0/", "v1.2.3", "/v2", "+incompatible",
            "-0.20240229235959-0123456789ab", "https://", "file:///", "direct", "%2", "%21", "h1:", "{\"Version\":\"v1.0.0\"", "}", "NUL",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn version() -> impl Strategy<Value = Version> {
    "v(0|[1-9][0-9]{0,2})\\.(0|[1-9][0-9]?)\\.(0|[1-9])(-(0|[1-9][0-9]?|[a-zA-Z-]{1,3})(\\.(0|[1-9]|[a-c-]{1,2})){0,2})?(\\+incompatible)?"
        .prop_map(|text| Version::parse(&text).unwrap())
}

fn module_path() -> impl Strategy<Value = ModulePath> {
    "[a-z]{1,3}\\.[a-z]{1,2}(/[a-zA-Z0-9_][a-zA-Z0-9_-]{0,4}){0,3}"
        .prop_filter_map("a module path", |text| ModulePath::parse(&text).ok())
}

proptest! {
    #[test]
    fn nothing_panics(text in prop_oneof![telling_text(), any::<String>()]) {
        let _ = ModulePath::parse(&text).map(|path| path.parents().count());
        let _ = check_import_path(&text);
        let _ = EscapedPath::parse(&text);
        let _ = EscapedVersion::parse(&text);
        let _ = Revision::parse(&text);
        let _ = Request::parse(&text);
        let _ = Request::parse(&format!("/{text}"));
        let _ = ProxyList::parse(&text);
        let _ = SafeUrl::parse(&text).map(|url| url.join_path(&text).to_string());
        let _ = Sha256::parse(&text);
        let _ = H1::parse(&text);
        let _ = Info::parse(text.as_bytes());
        let _ = calendar::is_rfc3339(&text);
        let _ = calendar::rfc3339_from_digits(&text);
        let _ = semver::canonical(&text);
        let _ = PathPatterns::parse(&text).matches(&text);
        if let Some(pseudo) = Version::parse(&text).ok().and_then(|version| version.pseudo()) {
            let _ = (pseudo.base(), pseudo.time_rfc3339());
        }
    }

    #[test]
    fn an_info_of_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Info::parse(&bytes);
    }

    #[test]
    fn what_is_escaped_can_be_unescaped(path in module_path(), version in version()) {
        let escaped = path.escape();
        prop_assert!(!escaped.as_str().bytes().any(|byte| byte.is_ascii_uppercase()));
        prop_assert_eq!(escaped.unescape(), path);
        prop_assert_eq!(EscapedPath::parse(escaped.as_str()).unwrap(), escaped);
        let escaped = version.escape();
        prop_assert_eq!(escaped.unescape(), version.to_revision());
        prop_assert_eq!(EscapedVersion::parse(escaped.as_str()).unwrap(), escaped);
    }

    #[test]
    fn what_is_read_from_an_escaped_path_escapes_to_it(text in telling_text()) {
        if let Ok(escaped) = EscapedPath::parse(&text) {
            prop_assert_eq!(escaped.unescape().escape(), escaped);
        }
        if let Ok(escaped) = EscapedVersion::parse(&text) {
            prop_assert_eq!(escaped.unescape().escape(), escaped);
        }
    }

    #[test]
    fn versions_have_one_order(a in version(), b in version(), c in version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
    }

    #[test]
    fn a_canonical_form_is_its_own_canonical_form(text in telling_text()) {
        let canonical = semver::canonical(&text);
        prop_assert_eq!(&semver::canonical(&canonical), &canonical);
        prop_assert_eq!(semver::is_valid(&text), !canonical.is_empty());
        if semver::is_valid(&text) {
            prop_assert_eq!(semver::compare(&text, &canonical), Ordering::Equal);
        }
    }

    #[test]
    fn a_module_version_is_found_again_in_its_url(path in module_path(), version in version()) {
        if let Ok(module) = ModuleVersion::new(path, version) {
            let url = format!("/{}/@v/{}.zip", module.path().escape(), module.version().escape());
            let request = Request::parse(&url).unwrap();
            prop_assert_eq!(request, Request::File(module, crate::FileKind::Zip));
        }
    }

    #[test]
    fn passwords_are_not_shown(user in "[a-z]{0,3}", password in "SECRET[a-z:/#?@%]{0,6}", rest in telling_text()) {
        let text = format!("https://{user}:{password}@{rest}");
        if let Err(error) = SafeUrl::parse(&text) {
            prop_assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        }
    }
}
