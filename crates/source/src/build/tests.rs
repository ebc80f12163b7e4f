use super::*;

use std::net::TcpListener;

use gomod::{ModulePath, ProxyList};

use crate::SourceErrorKind;
use crate::raw_server::{RawServer, answer, impatient};

fn built(list: &str) -> Result<Sources, BuildError> {
    let list = ProxyList::parse(list).unwrap();
    build_with(list.entries(), |_| impatient())
}

fn build_with(
    entries: &[ProxyEntry],
    options: impl Fn(&SafeUrl) -> UpstreamOptions,
) -> Result<Sources, BuildError> {
    let guard = address_guard(entries, &[], &options);
    let direct = Direct::missing("there is no git here");
    build(entries, &[], Arc::default(), guard, options, direct)
}

#[tokio::test]
async fn a_list_becomes_a_source_with_its_upstreams_in_order() {
    let absent = RawServer::start(|_, _| answer("404 Not Found", &[], b"")).await;
    let present = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let list = format!(
        "file://{},{},{}|direct",
        folder.path().display(),
        absent.url(),
        present.url()
    );
    let sources = built(&list).unwrap();
    let names: Vec<String> = sources
        .upstreams
        .iter()
        .map(|upstream| upstream.name().to_string())
        .collect();
    let name = |server: &RawServer| format!("http://{}", server.address);
    assert_eq!(names, [name(&absent), name(&present)]);
    let module_path = ModulePath::parse("example.com/m").unwrap();
    let listing = sources.source.list(&module_path).await.unwrap();
    assert_eq!(*listing.source, name(&present));
    assert_eq!(absent.requests().len(), 1);
}

#[tokio::test]
async fn an_upstream_is_dialled_wherever_the_operator_put_it_and_nobody_else_is() {
    let sources = built("http://Mirror.internal:8081,https://10.0.0.7").unwrap();
    assert!(sources.guard.allows_host("mirror.internal"));
    assert!(sources.guard.allows_host("10.0.0.7"));
    assert!(!sources.guard.allows_host("10.0.0.8"));
}

#[tokio::test]
async fn a_list_of_off_refuses() {
    let sources = built("off").unwrap();
    let module_path = ModulePath::parse("example.com/m").unwrap();
    let failure = sources.source.latest(&module_path).await.unwrap_err();
    assert_eq!(failure.kind(), SourceErrorKind::Off);
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_named_with_its_upstream() {
    let list = ProxyList::parse("https://mirror.example").unwrap();
    let options = |_: &SafeUrl| UpstreamOptions {
        extra_ca_files: vec!["/nonexistent/ca.pem".into()],
        ..impatient()
    };
    let made = build_with(list.entries(), options);
    let error = made.err().unwrap().to_string();
    assert!(
        error.contains("mirror.example") && error.contains("/nonexistent/ca.pem"),
        "{error}"
    );
}

#[track_caller]
fn check(url: &str, listening: &[&str], expected: bool) {
    let listening: Vec<SocketAddr> = listening.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(
        is_this_server(&SafeUrl::parse(url).unwrap(), &listening),
        expected,
        "{url}"
    );
}

#[test]
fn a_server_knows_itself_under_its_names() {
    check("http://127.0.0.1:8080", &["127.0.0.1:8080"], true);
    check("http://localhost:8080/base", &["127.0.0.1:8080"], true);
    check("http://0.0.0.0:8080", &["127.0.0.1:8080"], true);
    check("http://127.0.0.1:8081", &["127.0.0.1:8080"], false);
    check("http://127.0.0.2:8080", &["127.0.0.1:8080"], false);
    check("http://127.0.0.2:8080", &["0.0.0.0:8080"], true);
    check("http://[::ffff:127.0.0.1]:8080", &["127.0.0.1:8080"], true);
    check("https://127.0.0.1", &["127.0.0.1:443"], true);
    check("http://127.0.0.1", &["[::]:80"], true);
    check("http://192.0.2.1:8080", &["0.0.0.0:8080"], false);
    check("http://name.invalid:8080", &["0.0.0.0:8080"], false);
    check("file:///srv/8080", &["0.0.0.0:8080"], false);
}

#[test]
fn a_server_on_one_address_is_not_its_neighbour_on_the_same_port() {
    let own = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = SafeUrl::parse(&format!("http://127.0.0.3:{}", own.port())).unwrap();
    assert!(!is_this_server(&url, &[own]));
}
