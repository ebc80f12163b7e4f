use super::*;

use std::time::Duration;

use gomod::Version;
use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;

use crate::conformance::{NotingSink, module, module_path};
use crate::raw_server::{RawServer, Step, answer, dead_address, head, impatient, until_asked};
use crate::{HttpProxies, Netrc, TlsRoots, UpstreamObserver};

fn zip() -> Vec<u8> {
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend((0..40_000_u32).map(|n| u8::try_from(n % 251).unwrap()));
    zip
}

fn upstream_at(base: &SafeUrl, options: UpstreamOptions) -> Upstream {
    let guard = Arc::new(AddressGuard::new(base.expose().host_str()));
    Upstream::new(base, guard, options).unwrap()
}

fn upstream_of(server: &RawServer) -> Upstream {
    upstream_at(&server.url(), impatient())
}

async fn fetch_zip(upstream: &Upstream) -> (Result<Fetched, SourceError>, NotingSink) {
    let mut sink = NotingSink::default();
    let module = module("example.com/m", "v1.0.0");
    let outcome = upstream.fetch(&module, FileKind::Zip, &mut sink).await;
    (outcome, sink)
}

async fn list_failure(upstream: &Upstream) -> SourceError {
    upstream
        .list(&module_path("example.com/m"))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_request_says_who_asks_and_asks_for_the_bytes_as_they_are() {
    let server = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let upstream = upstream_of(&server);
    upstream
        .list(&module_path("example.com/Azure/m"))
        .await
        .unwrap();
    let requests = server.requests();
    let request = &requests[0];
    assert!(
        request.starts_with("get /example.com/!azure/m/@v/list http/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nuser-agent: larder/0."), "{request}");
    assert!(
        request.contains("\r\nvia: 1.1 larder-test\r\n"),
        "{request}"
    );
    for absent in ["accept-encoding", "authorization", "referer", "range"] {
        assert!(!request.contains(&format!("\r\n{absent}:")), "{request}");
    }
}

#[tokio::test]
async fn a_revision_reaches_upstream_as_it_was_asked() {
    let server = RawServer::start(|_, _| answer("404 Not Found", &[], b"")).await;
    let upstream = upstream_of(&server);
    for (name, expected) in [
        ("issue#7", "issue%237"),
        ("100%41", "100%2541"),
        ("%2e%2e", "%252e%252e"),
        ("a b", "a%20b"),
    ] {
        let revision = Revision::parse(name).unwrap();
        let _ = upstream
            .resolve(&module_path("example.com/m"), &revision)
            .await;
        let request = server.requests().pop().unwrap();
        assert!(
            request.starts_with(&format!("get /example.com/m/@v/{expected}.info ")),
            "{request}"
        );
    }
}

#[tokio::test]
async fn each_status_has_one_meaning_and_only_what_may_heal_is_asked_again() {
    use SourceErrorKind as Kind;
    for (status, kind, attempts) in [
        ("404 Not Found", Kind::NotExist, 1),
        ("410 Gone", Kind::Gone, 1),
        ("401 Unauthorized", Kind::Refused, 1),
        ("403 Forbidden", Kind::Refused, 1),
        ("429 Too Many Requests", Kind::Busy, 4),
        ("500 Internal Server Error", Kind::Unreachable, 4),
        ("501 Not Implemented", Kind::Unreachable, 1),
        ("502 Bad Gateway", Kind::Unreachable, 4),
        ("503 Service Unavailable", Kind::Unreachable, 4),
        ("508 Loop Detected", Kind::Loop, 1),
        ("204 No Content", Kind::BadAnswer, 1),
        ("206 Partial Content", Kind::BadAnswer, 1),
        ("302 Found", Kind::BadAnswer, 1),
        ("400 Bad Request", Kind::BadAnswer, 1),
    ] {
        let server = RawServer::start(move |_, _| {
            answer(status, &[("Content-Type", "text/plain")], b"the reason\n")
        })
        .await;
        let failure = list_failure(&upstream_of(&server)).await;
        assert_eq!(
            (failure.kind(), failure.0.attempts),
            (kind, attempts),
            "{status}"
        );
        assert_eq!(
            server.requests().len(),
            usize::try_from(attempts).unwrap(),
            "{status}"
        );
        if !status.starts_with("302") && !status.starts_with("204") {
            assert_eq!(
                failure.0.upstream_text.as_deref(),
                Some("the reason"),
                "{status}"
            );
            assert_eq!(failure.0.status.unwrap().to_string(), status[..3]);
        }
        let url = failure.0.url.unwrap();
        assert!(url.ends_with("/example.com/m/@v/list"), "{url}");
    }
}

#[tokio::test]
async fn a_pause_that_upstream_names_is_kept_and_a_long_one_is_an_answer() {
    let server = RawServer::start(|number, _| match number {
        0 => answer("503 Service Unavailable", &[("Retry-After", "0")], b""),
        1 => answer(
            "429 Too Many Requests",
            &[("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")],
            b"",
        ),
        _ => answer("200 OK", &[], b"v1.0.0\n"),
    })
    .await;
    let listing = upstream_of(&server)
        .list(&module_path("example.com/m"))
        .await
        .unwrap();
    assert_eq!(listing.versions, [Version::parse("v1.0.0").unwrap()]);
    assert_eq!(server.requests().len(), 3);

    let server =
        RawServer::start(|_, _| answer("503 Service Unavailable", &[("Retry-After", "3600")], b""))
            .await;
    let failure = list_failure(&upstream_of(&server)).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::Busy, 1)
    );
    assert_eq!(failure.0.retry_after, Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn an_upstream_that_refuses_is_tried_again_and_then_unreachable() {
    let base = SafeUrl::parse(&format!("http://{}", dead_address().await)).unwrap();
    let failure = list_failure(&upstream_at(&base, impatient())).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::Unreachable, 4)
    );
    assert!(failure.to_string().contains("refused"), "{failure}");
}

#[tokio::test]
async fn an_upstream_that_stalls_or_trickles_is_too_slow_and_not_asked_again() {
    let silent = RawServer::start(|_, _| vec![Step::Hang]).await;
    let options = || UpstreamOptions {
        // What connecting may take is no part of the silence behind it.
        connect_timeout: Duration::from_secs(3600),
        stall_timeout: Duration::from_millis(250),
        ..impatient()
    };
    let failure = list_failure(&upstream_at(&silent.url(), options())).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::TimedOut, 1),
        "{failure}"
    );
    assert!(failure.to_string().contains("did not answer"), "{failure}");
    assert!(failure.0.elapsed < Duration::from_secs(60), "{failure:?}");

    let no_body =
        RawServer::start(|_, _| vec![Step::Send(head("200 OK", &[], Some(9))), Step::Hang]).await;
    let failure = list_failure(&upstream_at(&no_body.url(), options())).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::TimedOut, 1),
        "{failure}"
    );
    assert!(failure.to_string().contains("stood still"), "{failure}");

    let trickling = RawServer::start(|_, _| {
        vec![
            Step::Send(head("200 OK", &[], None)),
            Step::Trickle(vec![b'v'; 4000], Duration::from_millis(20)),
        ]
    })
    .await;
    let failure = list_failure(&upstream_of(&trickling)).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::TimedOut, 1),
        "{failure}"
    );
    assert!(failure.to_string().contains("bytes came in"), "{failure}");
}

/// Serves a zip whose first transfer is cut at `cut`; later requests are answered by `rest`.
async fn cut_server(
    cut: usize,
    etag: &'static str,
    rest: impl Fn(&str) -> Vec<Step> + Send + Sync + 'static,
) -> RawServer {
    RawServer::start(move |number, request| {
        if number > 0 {
            return rest(request);
        }
        let mut bytes = head("200 OK", &[("ETag", etag)], Some(zip().len()));
        bytes.extend_from_slice(&zip()[..cut]);
        vec![Step::Send(bytes)]
    })
    .await
}

fn rest_of_zip(first: usize, etag: &str) -> Vec<Step> {
    let range = format!("bytes {first}-{}/{}", zip().len() - 1, zip().len());
    answer(
        "206 Partial Content",
        &[("ETag", etag), ("Content-Range", &range)],
        &zip()[first..],
    )
}

#[tokio::test]
async fn a_zip_cut_at_any_quarter_is_resumed_where_the_etag_is_strong() {
    for quarter in 1..4 {
        let cut = zip().len() * quarter / 4;
        let server = cut_server(cut, "\"one\"", move |_| rest_of_zip(cut, "\"one\"")).await;
        let (outcome, sink) = fetch_zip(&upstream_of(&server)).await;
        assert_eq!(outcome.unwrap().attempts, 2);
        assert_eq!((sink.beginnings.len(), sink.finished), (1, 1));
        assert!(sink.body == zip());
        let second = &server.requests()[1];
        assert!(
            second.contains(&format!("\r\nrange: bytes={cut}-\r\n")),
            "{second}"
        );
        assert!(second.contains("\r\nif-range: \"one\"\r\n"), "{second}");
    }
}

#[tokio::test]
async fn a_zip_that_stands_still_half_way_is_resumed_too() {
    let cut = zip().len() / 2;
    let server = RawServer::start(move |number, _| {
        if number > 0 {
            return rest_of_zip(cut, "\"one\"");
        }
        let mut bytes = head("200 OK", &[("ETag", "\"one\"")], Some(zip().len()));
        bytes.extend_from_slice(&zip()[..cut]);
        vec![Step::Send(bytes), Step::Hang]
    })
    .await;
    let options = UpstreamOptions {
        stall_timeout: Duration::from_millis(250),
        ..impatient()
    };
    let (outcome, sink) = fetch_zip(&upstream_at(&server.url(), options)).await;
    assert_eq!(outcome.unwrap().attempts, 2);
    assert!(sink.body == zip());
}

#[tokio::test]
async fn bytes_of_two_bodies_are_never_mixed() {
    let whole = |_: &str| answer("200 OK", &[("ETag", "\"two\"")], &zip());
    let cut = zip().len() / 4;

    // A weak ETag, none, or one too short to have reached the sink: begun anew without a Range.
    for (cut, etag) in [(cut, "W/\"one\""), (cut, ""), (2, "\"one\"")] {
        let server = cut_server(cut, etag, whole).await;
        let (outcome, sink) = fetch_zip(&upstream_of(&server)).await;
        assert_eq!(outcome.unwrap().attempts, 2);
        assert!(sink.body == zip());
        assert!(!server.requests()[1].contains("\r\nrange:"));
    }

    // Another body by now: the whole one comes and is begun anew.
    let server = cut_server(cut, "\"one\"", whole).await;
    let (outcome, sink) = fetch_zip(&upstream_of(&server)).await;
    assert_eq!(outcome.unwrap().attempts, 2);
    assert_eq!(sink.beginnings.len(), 2);
    assert!(sink.body == zip());

    // A part that does not fit: of another body, or from another place.
    for (first, etag) in [(cut, "\"two\""), (cut + 1, "\"one\"")] {
        let server = cut_server(cut, "\"one\"", move |request| {
            if request.contains("\r\nrange:") {
                rest_of_zip(first, etag)
            } else {
                answer("200 OK", &[], &zip())
            }
        })
        .await;
        let (outcome, sink) = fetch_zip(&upstream_of(&server)).await;
        assert_eq!(outcome.unwrap().attempts, 3);
        assert_eq!((sink.beginnings.len(), sink.finished), (2, 1));
        assert!(sink.body == zip());
    }
}

#[tokio::test]
async fn a_zip_that_is_cut_each_time_is_an_outage_and_never_finished() {
    let server = RawServer::start(|_, _| {
        let mut bytes = head("200 OK", &[], Some(zip().len()));
        bytes.extend_from_slice(&zip()[..100]);
        vec![Step::Send(bytes)]
    })
    .await;
    let (outcome, sink) = fetch_zip(&upstream_of(&server)).await;
    let failure = outcome.unwrap_err();
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::Unreachable, 4)
    );
    assert!(failure.to_string().contains("cut"), "{failure}");
    assert_eq!((sink.beginnings.len(), sink.finished), (4, 0));
}

#[tokio::test]
async fn a_length_that_lies_is_noticed() {
    let long = RawServer::start(|_, _| {
        let mut bytes = head("200 OK", &[], Some(20));
        bytes.extend_from_slice(b"v1.0.0\n");
        vec![Step::Send(bytes)]
    })
    .await;
    let failure = list_failure(&upstream_of(&long)).await;
    assert_eq!(failure.kind(), SourceErrorKind::Unreachable, "{failure}");

    let short = RawServer::start(|_, _| {
        let mut bytes = head("200 OK", &[], Some(10));
        bytes.extend_from_slice(br#"{"Version":"v1.0.0"}"#);
        vec![Step::Send(bytes)]
    })
    .await;
    let failure = upstream_of(&short)
        .latest(&module_path("example.com/m"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), SourceErrorKind::BadAnswer, "{failure}");
}

#[tokio::test]
async fn too_large_an_answer_is_refused_by_its_length_and_by_its_bytes() {
    let limit = usize::try_from(AnswerKind::Info.limit_bytes()).unwrap();
    for announced in [Some(limit + 1), None] {
        let server = RawServer::start(move |_, _| {
            let mut bytes = head("200 OK", &[], announced);
            bytes.extend(std::iter::repeat_n(b'{', limit + 1));
            vec![Step::Send(bytes)]
        })
        .await;
        let failure = upstream_of(&server)
            .latest(&module_path("example.com/m"))
            .await
            .unwrap_err();
        assert_eq!(
            (failure.kind(), failure.0.attempts),
            (SourceErrorKind::TooLarge, 1)
        );
    }
}

#[tokio::test]
async fn nonsense_is_a_bad_answer() {
    let encoded =
        RawServer::start(|_, _| answer("200 OK", &[("Content-Encoding", "gzip")], b"x")).await;
    let failure = list_failure(&upstream_of(&encoded)).await;
    assert_eq!(failure.kind(), SourceErrorKind::BadAnswer, "{failure}");

    let no_http =
        RawServer::start(|_, _| vec![Step::Send(b"220 mail.example ESMTP\r\n".to_vec())]).await;
    let failure = list_failure(&upstream_of(&no_http)).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::BadAnswer, 1),
        "{failure}"
    );
}

#[tokio::test]
async fn redirects_are_followed_within_bounds() {
    let server = RawServer::start(|_, request| {
        let path = request.split_whitespace().nth(1).unwrap_or_default();
        match path {
            "/example.com/m/@v/list" => answer("302 Found", &[("Location", "/elsewhere")], b""),
            "/elsewhere" => answer("200 OK", &[], b"v1.0.0\n"),
            _ => answer("307 Temporary Redirect", &[("Location", path)], b""),
        }
    })
    .await;
    let upstream = upstream_of(&server);
    let listing = upstream.list(&module_path("example.com/m")).await.unwrap();
    assert_eq!(listing.versions.len(), 1);
    let failure = upstream
        .latest(&module_path("example.com/m"))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), SourceErrorKind::BadAnswer);
    assert!(
        failure.to_string().contains("more than 10 times"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_redirect_cannot_make_us_dial_this_machine_or_its_neighbours() {
    let inner = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let port = inner.address.port();
    for location in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        format!("http://0.0.0.0:{port}/"),
    ] {
        let to = location.clone();
        let server =
            RawServer::start(move |_, _| answer("302 Found", &[("Location", &to)], b"")).await;
        let failure = list_failure(&upstream_of(&server)).await;
        assert_eq!(
            failure.kind(),
            SourceErrorKind::ForbiddenAddress,
            "{location} {failure}"
        );
        assert_eq!(failure.0.attempts, 1);
    }
    assert_eq!(inner.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_password_goes_to_its_own_origin_only_and_is_never_shown() {
    let other = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let elsewhere = format!("http://ann:leak@{}/", other.address);
    let server = RawServer::start(move |number, _| match number {
        0 => answer("302 Found", &[("Location", &elsewhere)], b""),
        _ => answer("404 Not Found", &[], b""),
    })
    .await;
    let base = SafeUrl::parse(&format!("http://ann:s%3acret@{}", server.address)).unwrap();
    let upstream = upstream_at(&base, impatient());
    upstream.list(&module_path("example.com/m")).await.unwrap();
    // `ann:s:cret` in base64, and in lower case like all that the server notes.
    assert!(server.requests()[0].contains("\r\nauthorization: basic yw5uonm6y3jlda==\r\n"));
    assert!(!other.requests()[0].contains("authorization"));
    let failure = list_failure(&upstream).await;
    assert!(
        !format!("{failure:?} {}", upstream.name()).contains("cret"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn behind_an_http_proxy_only_the_proxy_is_dialled() {
    let proxy = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let proxy_url = format!("http://ann:pw@{}", proxy.address);
    let options = UpstreamOptions {
        http_proxies: HttpProxies::parse(&proxy_url, &proxy_url, "").unwrap(),
        ..impatient()
    };
    let guard = Arc::new(AddressGuard::new(["127.0.0.1"]));
    let base = SafeUrl::parse("http://mirror.invalid/go").unwrap();
    let upstream = Upstream::new(&base, guard.clone(), options.clone()).unwrap();
    upstream.list(&module_path("example.com/m")).await.unwrap();
    let request = &proxy.requests()[0];
    assert!(
        request.starts_with("get http://mirror.invalid/go/example.com/m/@v/list "),
        "{request}"
    );
    assert!(
        request.contains("\r\nproxy-authorization: basic "),
        "{request}"
    );

    let base = SafeUrl::parse("https://mirror.invalid/go").unwrap();
    let refused = Upstream::new(&base, guard, options).unwrap();
    let failure = list_failure(&refused).await;
    assert!(proxy.requests()[1].starts_with("connect mirror.invalid:443 "));
    assert_ne!(failure.kind(), SourceErrorKind::NotExist);
    assert!(!format!("{failure:?}").contains("pw@"), "{failure:?}");
}

/// A certificate for these names, signed by an authority; the authority's PEM.
fn certified(names: &[&str]) -> (TlsAcceptor, String) {
    certified_for(names, &[])
}

/// The same, for a server that chooses among these protocols.
fn certified_for(names: &[&str], protocols: &[&str]) -> (TlsAcceptor, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    (TlsAcceptor::from(Arc::new(config)), authority_pem)
}

fn trusting(folder: &tempfile::TempDir, authority: &str) -> UpstreamOptions {
    let file = folder.path().join("ca.pem");
    fs_err::write(&file, authority).unwrap();
    UpstreamOptions {
        extra_ca_files: vec![file],
        ..impatient()
    }
}

fn https(server: &RawServer) -> SafeUrl {
    SafeUrl::parse(&format!("https://localhost:{}", server.address.port())).unwrap()
}

#[tokio::test]
async fn an_extra_authority_is_trusted_for_its_upstream_and_no_other() {
    let (acceptor, authority) = certified(&["localhost"]);
    let server = RawServer::start_tls(acceptor, |_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let trusted = upstream_at(&https(&server), trusting(&folder, &authority));
    trusted.list(&module_path("example.com/m")).await.unwrap();

    let failure = list_failure(&upstream_at(&https(&server), impatient())).await;
    assert_eq!(
        (failure.kind(), failure.0.attempts),
        (SourceErrorKind::Tls, 1)
    );
    assert!(failure.to_string().contains("not trusted"), "{failure}");
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    use tokio::io::AsyncReadExt as _;
    let (acceptor, authority) = certified_for(&["localhost"], &["h2", "http/1.1"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let base = SafeUrl::parse(&format!("https://localhost:{port}")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let upstream = upstream_at(&base, trusting(&folder, &authority));
    let path = module_path("example.com/m");
    let server = async {
        let (connection, _) = listener.accept().await.unwrap();
        let mut connection = acceptor.accept(connection).await.unwrap();
        let mut preface = [0; 24];
        connection.read_exact(&mut preface).await.unwrap();
        preface
    };
    tokio::select! {
        preface = server => assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        listing = upstream.list(&path) => panic!("nobody answered, and yet {listing:?}"),
    }
}

#[tokio::test]
async fn tls_that_fails_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (acceptor, authority) = certified(&["other.example"]);
    let server = RawServer::start_tls(acceptor, |_, _| answer("200 OK", &[], b"")).await;
    let failure = list_failure(&upstream_at(&https(&server), trusting(&folder, &authority))).await;
    assert_eq!(failure.kind(), SourceErrorKind::Tls);
    assert!(
        failure.to_string().contains("another host name"),
        "{failure}"
    );

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = SafeUrl::parse(&format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    ))
    .unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await;
        }
    });
    let failure = list_failure(&upstream_at(&base, impatient())).await;
    assert_eq!(failure.kind(), SourceErrorKind::Tls, "{failure}");
    assert!(
        failure.to_string().contains("does not speak TLS"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_redirect_from_https_to_http_is_not_followed() {
    let plain = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let to = format!("http://localhost:{}/", plain.address.port());
    let (acceptor, authority) = certified(&["localhost"]);
    let server = RawServer::start_tls(acceptor, move |_, _| {
        answer("302 Found", &[("Location", &to)], b"")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let failure = list_failure(&upstream_at(&https(&server), trusting(&folder, &authority))).await;
    assert_eq!(failure.kind(), SourceErrorKind::BadAnswer);
    assert!(
        failure.to_string().contains("from https to http"),
        "{failure}"
    );
    assert_eq!(plain.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn the_password_of_netrc_goes_over_https() {
    let (acceptor, authority) = certified(&["localhost"]);
    let server = RawServer::start_tls(acceptor, |_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let folder = tempfile::tempdir().unwrap();
    let netrc = format!(
        "machine localhost:{} login bob password pw",
        server.address.port()
    );
    let options = UpstreamOptions {
        netrc: Arc::new(Netrc::parse(&netrc)),
        ..trusting(&folder, &authority)
    };
    upstream_at(&https(&server), options)
        .list(&module_path("example.com/m"))
        .await
        .unwrap();
    assert!(server.requests()[0].contains("\r\nauthorization: basic "));
}

#[tokio::test]
async fn a_ca_file_that_is_missing_stops_the_start() {
    let options = UpstreamOptions {
        extra_ca_files: vec!["/nonexistent/ca.pem".into()],
        tls_roots: TlsRoots::none(),
        ..impatient()
    };
    let base = SafeUrl::parse("https://mirror.example").unwrap();
    let made = Upstream::new(&base, Arc::new(AddressGuard::default()), options);
    assert!(
        made.err()
            .unwrap()
            .to_string()
            .contains("/nonexistent/ca.pem")
    );
}

#[tokio::test]
async fn a_question_waits_for_its_turn_and_not_for_ever() {
    let server = RawServer::start(|_, _| vec![Step::Hang]).await;
    let upstream = Arc::new(upstream_at(
        &server.url(),
        UpstreamOptions {
            concurrent_requests: 1,
            queue_timeout: Duration::from_millis(50),
            stall_timeout: Duration::from_secs(600),
            ..impatient()
        },
    ));
    let first = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.list(&module_path("example.com/m")).await.map(drop) }
    });
    until_asked(&server, 1).await;
    for _ in 0..10 {
        assert_eq!(list_failure(&upstream).await.kind(), SourceErrorKind::Busy);
    }
    assert_eq!(server.requests().len(), 1);
    first.abort();
}

fn take_down(upstream: &Upstream) {
    let down = SourceError::new(SourceErrorKind::Unreachable, "no connection");
    for _ in 0..upstream.options.breaker_outages {
        let admission = upstream.breaker.try_admit().unwrap();
        admission.finished::<()>(&Err(down.clone()));
    }
    assert!(upstream.breaker.is_open());
}

/// Begins a zip, and hangs; answers lists.
async fn slow_zip_server() -> RawServer {
    RawServer::start(|_, request| match request.contains(".zip") {
        true => vec![
            Step::Send(head("200 OK", &[], Some(zip().len()))),
            Step::Hang,
        ],
        false => answer("200 OK", &[], b"v1.0.0\n"),
    })
    .await
}

#[tokio::test]
async fn an_upstream_is_back_with_the_first_head_and_not_with_the_last_byte() {
    let server = slow_zip_server().await;
    let options = UpstreamOptions {
        stall_timeout: Duration::from_secs(600),
        ..impatient()
    };
    let upstream = Arc::new(upstream_at(&server.url(), options));
    take_down(&upstream);
    let probe = tokio::spawn({
        let upstream = upstream.clone();
        async move { fetch_zip(&upstream).await.0.map(drop) }
    });
    until_asked(&server, 1).await;
    upstream.list(&module_path("example.com/m")).await.unwrap();
    assert!(!upstream.breaker.is_open());
    assert!(!probe.is_finished());
    probe.abort();
}

#[tokio::test]
async fn a_question_that_waits_for_its_turn_is_nobodys_probe() {
    let server = RawServer::start(|_, _| answer("200 OK", &[], b"v1.0.0\n")).await;
    let options = UpstreamOptions {
        concurrent_requests: 1,
        breaker_rest: Duration::ZERO,
        ..impatient()
    };
    let upstream = upstream_at(&server.url(), options);
    take_down(&upstream);
    let turn = upstream.turns.acquire().await.unwrap();
    let wanted = module_path("example.com/m");
    let mut asking = std::pin::pin!(upstream.list(&wanted));
    let polled = tokio::time::timeout(Duration::ZERO, &mut asking).await;
    assert!(polled.is_err());
    assert!(!upstream.breaker.is_resting(), "it is the probe already");
    drop(turn);
    asking.await.unwrap();
}

fn one_at_a_time() -> UpstreamOptions {
    UpstreamOptions {
        concurrent_requests: 1,
        queue_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_secs(600),
        ..impatient()
    }
}

#[tokio::test]
async fn a_small_answer_does_not_wait_for_a_zip() {
    let server = slow_zip_server().await;
    let upstream = Arc::new(upstream_at(&server.url(), one_at_a_time()));
    let fetching = tokio::spawn({
        let upstream = upstream.clone();
        async move { fetch_zip(&upstream).await.0.map(drop) }
    });
    until_asked(&server, 1).await;
    upstream.list(&module_path("example.com/m")).await.unwrap();
    assert!(!fetching.is_finished());
    fetching.abort();
}

#[tokio::test]
async fn a_question_that_pauses_holds_no_turn() {
    let server = RawServer::start(|number, _| match number {
        0 => answer("503 Service Unavailable", &[("Retry-After", "600")], b""),
        _ => answer("200 OK", &[], b"v1.0.0\n"),
    })
    .await;
    let options = UpstreamOptions {
        longest_retry_after: Duration::from_secs(600),
        ..one_at_a_time()
    };
    let upstream = Arc::new(upstream_at(&server.url(), options));
    let pausing = tokio::spawn({
        let upstream = upstream.clone();
        async move { upstream.list(&module_path("example.com/m")).await.map(drop) }
    });
    until_asked(&server, 1).await;
    upstream.list(&module_path("example.com/m")).await.unwrap();
    assert!(!pausing.is_finished());
    pausing.abort();
}

/// Asks the same upstream before it judges.
struct AskingSink<'a>(&'a Upstream);

#[async_trait]
impl Sink for AskingSink<'_> {
    async fn begin(&mut self, _: &SourceName, _: Option<u64>) -> Result<(), SinkError> {
        Ok(())
    }
    async fn write(&mut self, _: Bytes) -> Result<(), SinkError> {
        Ok(())
    }
    async fn finish(&mut self) -> Result<(), SinkError> {
        let listing = self.0.list(&module_path("example.com/m")).await;
        listing
            .map(drop)
            .map_err(|error| SinkError::Fatal(error.to_string()))
    }
}

#[tokio::test]
async fn a_file_that_is_being_judged_holds_no_turn() {
    let server = RawServer::start(|_, request| match request.contains(".zip") {
        true => answer("200 OK", &[], &zip()),
        false => answer("200 OK", &[], b"v1.0.0\n"),
    })
    .await;
    let options = UpstreamOptions {
        concurrent_requests: 1,
        queue_timeout: Duration::from_millis(500),
        ..impatient()
    };
    let upstream = upstream_at(&server.url(), options);
    let wanted = module("example.com/m", "v1.0.0");
    let mut sink = AskingSink(&upstream);
    upstream
        .fetch(&wanted, FileKind::Zip, &mut sink)
        .await
        .unwrap();
}

/// Name, outcome and bytes.
type Finished = (String, Result<(), SourceErrorKind>, u64);

#[derive(Default)]
struct Noting(Mutex<Vec<Finished>>);

impl UpstreamObserver for Noting {
    fn finished(
        &self,
        upstream: &SourceName,
        outcome: Result<(), SourceErrorKind>,
        bytes: u64,
        _elapsed: Duration,
    ) {
        self.0.lock().push((upstream.to_string(), outcome, bytes));
    }
}

#[tokio::test]
async fn each_question_is_counted_once_with_its_bytes() {
    let server = RawServer::start(|number, _| match number {
        0 => answer("500 Internal Server Error", &[], b"oops"),
        1 => answer("200 OK", &[], b"v1.0.0\n"),
        _ => answer("404 Not Found", &[], b""),
    })
    .await;
    let observer = Arc::new(Noting::default());
    let options = UpstreamOptions {
        observer: observer.clone(),
        ..impatient()
    };
    let upstream = upstream_at(&server.url(), options);
    upstream.list(&module_path("example.com/m")).await.unwrap();
    list_failure(&upstream).await;
    let name = upstream.name().to_string();
    assert_eq!(
        *observer.0.lock(),
        [
            (name.clone(), Ok(()), 7),
            (name, Err(SourceErrorKind::NotExist), 0)
        ]
    );
}
