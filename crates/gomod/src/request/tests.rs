use super::{Request, SumdbRequest};
use crate::sumdb::Tile;

/// Writes a request down: kind, path, version or what else it holds.
fn describe(request: &Request) -> String {
    match request {
        Request::List(path) => format!("list {path}"),
        Request::Latest(path) => format!("latest {path}"),
        Request::File(module, kind) => format!("{} {module}", kind.extension()),
        Request::Resolve(path, revision) => format!("resolve {path} {revision}"),
        Request::Sumdb { name, request } => match request {
            SumdbRequest::Supported => format!("{name}: supported"),
            SumdbRequest::Latest => format!("{name}: latest"),
            SumdbRequest::Lookup(module) => format!("{name}: lookup {module}"),
            SumdbRequest::Tile(Tile {
                height,
                level,
                number,
                width,
            }) => {
                format!("{name}: tile {height} {level:?} {number} {width}")
            }
        },
    }
}

#[track_caller]
fn check(target: &str, expected: &str) {
    let request = Request::parse(target).unwrap();
    assert_eq!(describe(&request), expected);
    let written = format!("/{}", request.path().replace('%', "%25"));
    assert_eq!(
        Request::parse(&written),
        Ok(request),
        "{target} is written as {written}"
    );
}

#[track_caller]
fn check_refused(target: &str, reason: &str) {
    let error = Request::parse(target).unwrap_err();
    assert!(error.reason.contains(reason), "{error}");
}

#[test]
fn each_request_of_the_protocol_is_understood() {
    check("/example.com/a/@v/list", "list example.com/a");
    check("/example.com/a/@latest", "latest example.com/a");
    check("/example.com/a/@v/v1.2.3.info", "info example.com/a@v1.2.3");
    check("/example.com/a/@v/v1.2.3.mod", "mod example.com/a@v1.2.3");
    check("/example.com/a/@v/v1.2.3.zip", "zip example.com/a@v1.2.3");
    check(
        "/example.com/a/v2/@v/v2.0.0-rc.1.zip",
        "zip example.com/a/v2@v2.0.0-rc.1",
    );
    check(
        "/example.com/a/@v/v2.0.0+incompatible.mod",
        "mod example.com/a@v2.0.0+incompatible",
    );
    check(
        "/gopkg.in/check.v1/@v/v0.0.0-20161208181325-20d25e280405.zip",
        "zip gopkg.in/check.v1@v0.0.0-20161208181325-20d25e280405",
    );
    check(
        "/golang.org/toolchain/@v/v0.0.1-go1.26.0.linux-amd64.zip",
        "zip golang.org/toolchain@v0.0.1-go1.26.0.linux-amd64",
    );
}

#[test]
fn upper_case_letters_arrive_escaped() {
    check(
        "/github.com/!azure/!s!d!k/@v/v1.0.0-!r!c1.zip",
        "zip github.com/Azure/SDK@v1.0.0-RC1",
    );
    check(
        "/github.com/!azure/sdk/@v/!main.info",
        "resolve github.com/Azure/sdk Main",
    );
    check_refused("/github.com/Azure/sdk/@v/list", "invalid char 'A'");
    check_refused("/example.com/a/@v/v1.0.0-RC1.zip", "invalid char 'R'");
    check_refused("/example.com/a!/@v/list", "without a lower-case letter");
    check_refused("/example.com/a/@v/!1.info", "without a lower-case letter");
}

#[test]
fn percent_escapes_are_decoded_once() {
    check(
        "/github.com/%21azure/sdk/@v/v1.0.0-%21rc.zip",
        "zip github.com/Azure/sdk@v1.0.0-Rc",
    );
    check("/example.com%2Fa/%40v/li%73t", "list example.com/a");
    check(
        "/example.com/a/@v/100%25.info",
        "resolve example.com/a 100%",
    );
    check(
        "/example.com/a/@v/50%2525.info",
        "resolve example.com/a 50%25",
    );
    check(
        "/example.com/a/@v/v2.0.0%2bincompatible.mod",
        "mod example.com/a@v2.0.0+incompatible",
    );
    for broken in ["/a.b/%", "/a.b/%2", "/a.b/%zz/@v/list", "/a.b/%+1/@v/list"] {
        check_refused(broken, "invalid percent-escape");
    }
    check_refused("/a.b/%ff/@v/list", "not UTF-8");
    check_refused("/a.b/%00/@v/list", "control character");
    check_refused("/a.b/@v/x%0a.info", "control character");
    check_refused("/a.b/%2e%2e/c.d/@v/list", "`.` or `..`");
    check_refused("/a.b/%2F/@v/list", "double slash");
}

#[test]
fn info_of_anything_but_a_fitting_version_is_to_be_resolved() {
    check(
        "/example.com/a/@v/master.info",
        "resolve example.com/a master",
    );
    check("/example.com/a/@v/v1.info", "resolve example.com/a v1");
    check("/example.com/a/@v/v1.2.info", "resolve example.com/a v1.2");
    check(
        "/example.com/a/@v/v1.2.3+meta.info",
        "resolve example.com/a v1.2.3+meta",
    );
    check(
        "/example.com/a/@v/v2.0.0.info",
        "resolve example.com/a v2.0.0",
    );
    check(
        "/example.com/a/@v/v1.0.0+incompatible.info",
        "resolve example.com/a v1.0.0+incompatible",
    );
    check(
        "/example.com/a/v2/@v/v2.0.0+incompatible.info",
        "resolve example.com/a/v2 v2.0.0+incompatible",
    );
    check("/example.com/a/@v/list.info", "resolve example.com/a list");
    check(
        "/example.com/a/@v/latest.info",
        "resolve example.com/a latest",
    );
    check(
        "/example.com/a/@v/1.0.zip.info",
        "resolve example.com/a 1.0.zip",
    );
}

#[test]
fn mod_and_zip_need_a_canonical_version_that_fits() {
    check_refused(
        "/example.com/a/@v/master.mod",
        "version master is not canonical",
    );
    check_refused(
        "/example.com/a/@v/v1.2.zip",
        "version v1.2 is not canonical",
    );
    check_refused(
        "/example.com/a/@v/v1.2.3+meta.zip",
        "version v1.2.3+meta is not canonical",
    );
    check_refused("/example.com/a/@v/v2.0.0.mod", "should be v0 or v1, not v2");
    check_refused("/example.com/a/v2/@v/v1.0.0.zip", "should be v2, not v1");
    check_refused(
        "/example.com/a/v2/@v/v2.0.0+incompatible.zip",
        "major version suffix",
    );
}

#[test]
fn other_paths_are_refused_with_a_reason() {
    check_refused("", "no leading slash");
    check_refused("example.com/a/@v/list", "no leading slash");
    check_refused("/", "empty path");
    check_refused("/example.com/a", "neither /@v/ nor /@latest");
    check_refused("/example.com/a/@v", "neither /@v/ nor /@latest");
    check_refused("/@latest", "neither /@v/ nor /@latest");
    check_refused("/@v/list", "neither /@v/ nor /@latest");
    check_refused("/example.com/a/@v/", "trailing slash");
    check_refused("/example.com/a/@v/list/", "trailing slash");
    check_refused("/example.com/a/@latest/", "trailing slash");
    check_refused("//example.com/a/@v/list", "double slash");
    check_refused("/example.com//a/@v/list", "double slash");
    check_refused("/example.com/../a/@v/list", "`.` or `..`");
    check_refused("/example.com/a/@v/../list", "`.` or `..`");
    check_refused("/example.com/a/@v/v1.0.0", "unknown extension");
    check_refused("/example.com/a/@v/v1.0.0.ziphash", "unknown extension");
    check_refused("/example.com/a/@v/v1.0.0.ZIP", "unknown extension");
    check_refused("/example.com/a/@v/lists", "want list or");
    check_refused("/example.com/a/@v/.info", "empty path element");
    check_refused(
        "/example.com/a/@v/feature/x.info",
        "disallowed version string",
    );
    check_refused("/example.com/a/@v/list?x=1", "want list or");
    check_refused("/localhost/a/@v/list", "missing dot");
    check_refused("/example.com/a/v1/@v/list", "invalid version");
    check_refused("/example.com/con/@v/list", "Windows");
    check_refused("/example.com/a/@v/list/@v/list", "invalid char '@'");
    check_refused("/example.com/é/@v/list", "invalid char");
    let long = format!("/example.com/{}/@v/list", "a/".repeat(4096));
    check_refused(&long, "longer than 8192 bytes");
}

#[test]
fn requests_to_a_checksum_database_are_understood() {
    check(
        "/sumdb/sum.golang.org/supported",
        "sum.golang.org: supported",
    );
    check("/sumdb/sum.golang.org/latest", "sum.golang.org: latest");
    check(
        "/sumdb/sum.golang.org/lookup/github.com/!azure/sdk@v1.0.0-!rc",
        "sum.golang.org: lookup github.com/Azure/sdk@v1.0.0-Rc",
    );
    check(
        "/sumdb/sum.golang.org/tile/8/0/x001/234",
        "sum.golang.org: tile 8 Some(0) 1234 256",
    );
    check(
        "/sumdb/sum.golang.org/tile/8/1/792.p/97",
        "sum.golang.org: tile 8 Some(1) 792 97",
    );
    check(
        "/sumdb/sum.golang.org/tile/8/data/005.p/5",
        "sum.golang.org: tile 8 None 5 5",
    );
    check(
        "/sumdb/localhost:8080/supported",
        "localhost:8080: supported",
    );
}

#[test]
fn names_of_databases_and_modules_may_hold_each_others_words() {
    check(
        "/sumdb/corp.example/sum/db/supported",
        "corp.example/sum/db: supported",
    );
    check(
        "/sumdb/corp.example/latest/latest",
        "corp.example/latest: latest",
    );
    check(
        "/sumdb/corp.example/tile/db/latest",
        "corp.example/tile/db: latest",
    );
    check(
        "/sumdb/corp.example/tile/db/lookup/example.com/a@v1.0.0",
        "corp.example/tile/db: lookup example.com/a@v1.0.0",
    );
    check(
        "/sumdb/sum.golang.org/lookup/example.com/tile/v2@v2.0.0",
        "sum.golang.org: lookup example.com/tile/v2@v2.0.0",
    );
    check(
        "/sumdb/sum.golang.org/lookup/example.com/lookup/rsc.io/quote@v1.0.0",
        "sum.golang.org: lookup example.com/lookup/rsc.io/quote@v1.0.0",
    );
}

#[test]
fn malformed_requests_to_a_checksum_database_are_refused() {
    check_refused("/sumdb/sum.golang.org", "want NAME/supported");
    check_refused("/sumdb/supported", "want NAME/supported");
    check_refused("/sumdb/sum.golang.org/other", "want NAME/supported");
    check_refused("/sumdb/sum.golang.org/supported/", "trailing slash");
    check_refused(
        "/sumdb/sum.golang.org/lookup/example.com/a",
        "want PATH@VERSION",
    );
    check_refused(
        "/sumdb/sum.golang.org/lookup/example.com/a@master",
        "not canonical",
    );
    check_refused(
        "/sumdb/sum.golang.org/lookup/example.com/a@v2.0.0",
        "should be v0 or v1",
    );
    check_refused(
        "/sumdb/sum.golang.org/lookup/example.com/A@v1.0.0",
        "invalid char 'A'",
    );
    check_refused("/sumdb/sum.golang.org/tile/8/0/1", "not of the form");
    check_refused(
        "/sumdb/sum.golang.org/tile/8/0/001.p/256",
        "not of the form",
    );
    check_refused("/sumdb/a b/supported", "invalid char ' '");
    check_refused("/sumdb/host:port/supported", "invalid char ':'");
    check_refused("/sumdb/host:+80/supported", "invalid char ':'");
    check_refused("/sumdb/host:/supported", "invalid char ':'");
    let long_name = format!("/sumdb/a.b{}/supported", "/x".repeat(20));
    check_refused(&long_name, "want NAME/supported");
    // Its last element is what a module proxy would be asked, but the path belongs to databases.
    check_refused("/sumdb/example.com/@v/list", "want NAME/supported");
}

#[test]
fn the_module_of_a_request_is_known_where_there_is_one() {
    let module = |target| {
        Request::parse(target)
            .unwrap()
            .module_path()
            .map(ToString::to_string)
    };
    for target in [
        "/example.com/a/@v/list",
        "/example.com/a/@latest",
        "/example.com/a/@v/main.info",
        "/example.com/a/@v/v1.0.0.zip",
        "/sumdb/sum.golang.org/lookup/example.com/a@v1.0.0",
    ] {
        assert_eq!(module(target).as_deref(), Some("example.com/a"));
    }
    assert_eq!(module("/sumdb/sum.golang.org/latest"), None);
    assert_eq!(module("/sumdb/sum.golang.org/tile/8/0/000"), None);
}

#[test]
fn version_numbers_of_any_length_are_refused_in_few_words() {
    let target = format!("/example.com/a/@v/v{}.0.0.zip", "9".repeat(8000));
    let error = Request::parse(&target).unwrap_err();
    assert!(error.to_string().len() < 800, "{error}");
    assert!(
        error.reason.starts_with("should be v0 or v1, not v999"),
        "{error}"
    );
}
