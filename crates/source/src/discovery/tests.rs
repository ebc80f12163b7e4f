use super::*;

use std::net::SocketAddr;

use parking_lot::Mutex;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::conformance::module_path;
use crate::raw_server::impatient;
use crate::test_names::TwoServers;
use crate::{
    Credential, HttpProxies, Means, Netrc, NoCredentials, Refs, Repository, RepositoryAddress,
    Secret, TlsRoots,
};

/// All hosts of the world behind one HTTP proxy on loopback, https for some of them.
struct Web {
    address: SocketAddr,
    authority_pem: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone, Debug)]
struct Asked {
    url: String,
    /// In lower case, but for the password.
    authorization: Option<String>,
}

/// An answer: status line, headers, body.
type Said = (&'static str, Vec<(&'static str, String)>, String);

const HOSTS: [&str; 4] = [
    "host.example",
    "other.example",
    "git.corp.example",
    "launchpad.net",
];

impl Web {
    async fn start(script: impl Fn(&str) -> Said + Send + Sync + 'static) -> Self {
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<String> = HOSTS.iter().map(|&name| name.to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (script, seen) = (Arc::new(script), asked.clone());
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let (script, seen, acceptor) = (script.clone(), seen.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Some(head) = read_head(&mut connection).await else {
                        return;
                    };
                    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    if !head.starts_with("CONNECT ") {
                        answer(connection, &head, &target, &*script, &seen).await;
                        return;
                    }
                    let host = target.strip_suffix(":443").unwrap().to_owned();
                    connection
                        .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
                        .await
                        .unwrap();
                    let Ok(mut connection) = acceptor.accept(connection).await else {
                        return;
                    };
                    let Some(head) = read_head(&mut connection).await else {
                        return;
                    };
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let url = format!("https://{host}{path}");
                    answer(connection, &head, &url, &*script, &seen).await;
                });
            }
        });
        Self {
            address,
            authority_pem,
            asked,
        }
    }

    /// The URLs that were asked for, without `?go-get=1`.
    fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .iter()
            .map(|asked| asked.url.replace("?go-get=1", ""))
            .collect()
    }

    fn options(&self) -> DiscoveryOptions {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authority.pem");
        fs_err::write(&file, &self.authority_pem).unwrap();
        let proxy = format!("http://{}", self.address);
        DiscoveryOptions {
            privacy: Arc::new(Privacy {
                private: PathPatterns::parse("git.corp.example"),
                no_sumdb: PathPatterns::default(),
            }),
            insecure: PathPatterns::default(),
            govcs: GoVcs::default(),
            protocols: vec![GitProtocol::Https, GitProtocol::Ssh],
            fresh: Duration::from_secs(60),
            guard: Arc::new(AddressGuard::new(["127.0.0.1"])),
            http: UpstreamOptions {
                http_proxies: HttpProxies::parse(&proxy, &proxy, "").unwrap(),
                tls_roots: TlsRoots::none().with_files(&[file]).unwrap(),
                ..impatient()
            },
            credentials: Arc::new(NoCredentials),
        }
    }

    fn discovery(&self) -> Discovery {
        discovery(self.options())
    }
}

async fn read_head(connection: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read(&mut byte).await {
            Ok(1) => head.extend_from_slice(&byte),
            _ => return None,
        }
    }
    String::from_utf8(head).ok()
}

async fn answer(
    mut connection: impl AsyncWrite + Unpin,
    head: &str,
    url: &str,
    script: &(dyn Fn(&str) -> Said + Send + Sync),
    asked: &Mutex<Vec<Asked>>,
) {
    let authorization = head
        .lines()
        .find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
    asked.lock().push(Asked {
        url: url.to_owned(),
        authorization,
    });
    let (status, headers, body) = script(url);
    let mut text = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    let _ = connection
        .write_all(format!("{text}\r\n{body}").as_bytes())
        .await;
    let _ = connection.shutdown().await;
}

fn discovery(options: DiscoveryOptions) -> Discovery {
    Discovery::new(options, Arc::new(Unreachable)).unwrap()
}

/// No repository of any protocol but those that are let through.
struct Protocols(Vec<GitProtocol>, Arc<Mutex<Vec<String>>>);
struct Unreachable;

impl Repositories for Unreachable {
    fn open(&self, url: &RepositoryUrl, _: Trust) -> Result<Arc<dyn Repository>, SourceError> {
        Err(SourceError::new(
            SourceErrorKind::Unreachable,
            format!("{url} cannot be reached"),
        ))
    }
}

impl Repositories for Protocols {
    fn open(&self, url: &RepositoryUrl, _: Trust) -> Result<Arc<dyn Repository>, SourceError> {
        self.1.lock().push(url.to_string());
        if self.0.contains(&url.protocol()) {
            Ok(Arc::new(Empty(url.clone())))
        } else {
            Unreachable.open(url, Trust::Named)
        }
    }
}

/// A repository without refs.
struct Empty(RepositoryUrl);

#[async_trait]
impl Repository for Empty {
    fn url(&self) -> &RepositoryUrl {
        &self.0
    }
    async fn refs(&self, _: Freshness) -> Result<Arc<Refs>, SourceError> {
        Ok(Arc::default())
    }
    async fn find(&self, _: &str) -> Result<Option<crate::Commit>, SourceError> {
        Ok(None)
    }
    async fn file(
        &self,
        _: &crate::ObjectName,
        _: &str,
        _: u64,
    ) -> Result<Option<bytes::Bytes>, SourceError> {
        Ok(None)
    }
    async fn merged_tags(&self, _: &crate::ObjectName) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }
    async fn descends_from(&self, _: &crate::ObjectName, _: &str) -> Result<bool, SourceError> {
        Ok(false)
    }
    async fn complete_history(&self) -> Result<(), SourceError> {
        Ok(())
    }
    async fn tree(
        &self,
        _: &crate::ObjectName,
        _: &str,
    ) -> Result<Option<Vec<crate::TreeEntry>>, SourceError> {
        Ok(None)
    }
    async fn archive(&self, _: &crate::ObjectName, _: &str) -> Result<crate::Archive, SourceError> {
        Err(SourceError::new(SourceErrorKind::NotExist, "it is empty"))
    }
}

fn page(imports: &[&str]) -> Said {
    let metas: String = imports
        .iter()
        .map(|content| format!("<meta name=\"go-import\" content=\"{content}\">"))
        .collect();
    (
        "200 OK",
        Vec::new(),
        format!("<!DOCTYPE html><html><head>{metas}</head>"),
    )
}

fn status(line: &'static str) -> Said {
    (line, Vec::new(), "<html><head></head>".to_owned())
}

fn redirect(to: &str) -> Said {
    (
        "302 Found",
        vec![("Location", to.to_owned())],
        String::new(),
    )
}

const ROOT: &str = "host.example/a git https://code.example/a.git";

async fn found(discovery: &Discovery, path: &str) -> String {
    match discovery.locate(&module_path(path)).await.unwrap() {
        Location::Repository(root) => format!("{} {} {}", root.prefix, root.url, root.subdirectory)
            .trim_end()
            .to_owned(),
        Location::Proxy { prefix, url, .. } => format!("{prefix} proxy {url}"),
    }
}

async fn failure(discovery: &Discovery, path: &str) -> SourceError {
    discovery.locate(&module_path(path)).await.unwrap_err()
}

#[track_caller]
fn check_failure(error: &SourceError, kind: SourceErrorKind, text: &str) {
    let whole = format!("{error} {}", error.0.notes.join(" "));
    assert_eq!(error.kind(), kind, "{whole}");
    assert!(whole.contains(text), "{whole}");
}

#[tokio::test]
async fn known_hosts_are_asked_for_no_page() {
    let web = Web::start(|_| status("500 Oops")).await;
    let discovery = web.discovery();
    assert_eq!(
        found(&discovery, "github.com/a/b/c").await,
        "github.com/a/b https://github.com/a/b"
    );
    let error = failure(&discovery, "github.com/a").await;
    check_failure(
        &error,
        SourceErrorKind::NotExist,
        "invalid github.com import path \"github.com/a\"",
    );
    let below = module_path("github.com/a/b/c");
    assert_eq!(discovery.locate_anew(&below).await.unwrap(), None);
    assert!(web.asked().is_empty());
}

#[tokio::test]
async fn three_questions_at_once_about_one_repository_cost_a_page_and_its_roots() {
    let web = Web::start(|_| page(&[ROOT])).await;
    let discovery = web.discovery();
    let expected = "host.example/a https://code.example/a.git";
    let (first, second, third) = tokio::join!(
        found(&discovery, "host.example/a/b/c"),
        found(&discovery, "host.example/a/b"),
        found(&discovery, "host.example/a"),
    );
    assert_eq!([&*first, &*second, &*third], [expected; 3]);
    assert_eq!(
        web.asked(),
        ["https://host.example/a/b/c", "https://host.example/a"]
    );
    // And those behind them nothing.
    assert_eq!(found(&discovery, "host.example/a/d").await, expected);
    assert_eq!(web.asked().len(), 2);
}

#[tokio::test]
async fn a_root_that_is_asked_first_costs_one_page() {
    let web = Web::start(|_| page(&[ROOT])).await;
    let discovery = web.discovery();
    tokio::join!(
        found(&discovery, "host.example/a"),
        found(&discovery, "host.example/a/b"),
        found(&discovery, "host.example/a/b/c"),
    );
    assert_eq!(web.asked(), ["https://host.example/a"]);
}

#[tokio::test]
async fn what_was_found_is_asked_again_when_it_is_stale_or_touched() {
    let web = Web::start(|_| page(&[ROOT])).await;
    let discovery = discovery(DiscoveryOptions {
        fresh: Duration::ZERO,
        ..web.options()
    });
    found(&discovery, "host.example/a").await;
    found(&discovery, "host.example/a").await;
    assert_eq!(web.asked().len(), 2);

    let discovery = web.discovery();
    found(&discovery, "host.example/a").await;
    let mut touched = Touched::below(&module_path("host.example/a/b"));
    discovery.forget(&mut touched);
    assert!(
        touched.covers_repository(&RepositoryUrl::parse("https://code.example/a.git").unwrap())
    );
    assert!(!touched.covers("host.example/a"));
    found(&discovery, "host.example/a/b").await;
    let address = RepositoryAddress::parse("git@code.example:a.git").unwrap();
    let mut touched = Touched::repository(address);
    discovery.forget(&mut touched);
    assert!(touched.covers("host.example/a/b"));
    let before = web.asked().len();
    found(&discovery, "host.example/a/b").await;
    assert!(web.asked().len() > before);
    let mut touched = Touched::below(&module_path("host.example"));
    discovery.forget(&mut touched);
    assert!(
        touched.covers_repository(&RepositoryUrl::parse("https://code.example/a.git").unwrap()),
        "a path above the root touches its repository, too"
    );
}

#[tokio::test]
async fn a_repository_inside_another_one_is_found_by_its_own_page() {
    let web = Web::start(|url| {
        if url.starts_with("https://host.example/a/nested") {
            page(&["host.example/a/nested git https://code.example/nested"])
        } else if url.starts_with("https://host.example/a/broken") {
            status("500 Oops")
        } else if url.starts_with("https://host.example/a?") {
            page(&[ROOT])
        } else {
            status("404 Not Found")
        }
    })
    .await;
    let discovery = web.discovery();
    found(&discovery, "host.example/a").await;
    let nested = module_path("host.example/a/nested/x");
    assert_eq!(
        found(&discovery, nested.as_str()).await,
        "host.example/a https://code.example/a.git"
    );
    let Some(Location::Repository(root)) = discovery.locate_anew(&nested).await.unwrap() else {
        panic!("the nested repository was not found");
    };
    assert_eq!(root.prefix, "host.example/a/nested");
    // From now on it is known.
    assert_eq!(
        found(&discovery, nested.as_str()).await,
        "host.example/a/nested https://code.example/nested"
    );
    // A page that fails for a path below a root that was read says nothing against the root.
    for path in [
        "host.example/a",
        "host.example/a/elsewhere",
        "host.example/a/broken",
    ] {
        let anew = discovery.locate_anew(&module_path(path)).await.unwrap();
        assert_eq!(anew, None, "{path}");
    }
}

#[tokio::test]
async fn a_public_page_cannot_lead_into_a_private_repository() {
    let web = Web::start(|url| {
        if url.starts_with("https://host.example/b?") {
            page(&["host.example/b git https://git.corp.example/team/secret.git"])
        } else {
            page(&[ROOT])
        }
    })
    .await;
    let discovery = web.discovery();
    let error = failure(&discovery, "host.example/b").await;
    check_failure(&error, SourceErrorKind::Disallowed, "private patterns");
}

#[tokio::test]
async fn a_public_path_is_absent_only_where_its_page_came_and_says_nothing() {
    use SourceErrorKind::{BadAnswer, Busy, NotExist, Refused, Unreachable};
    for (line, kind) in [
        ("200 OK", NotExist),
        ("404 Not Found", NotExist),
        ("410 Gone", NotExist),
        ("401 Unauthorized", Refused),
        ("403 Forbidden", Refused),
        ("400 Bad Request", BadAnswer),
        ("429 Too Many Requests", Busy),
        ("500 Internal Server Error", Unreachable),
        ("503 Service Unavailable", Unreachable),
    ] {
        let web = Web::start(move |_| status(line)).await;
        let error = failure(&web.discovery(), "host.example/a").await;
        check_failure(
            &error,
            kind,
            "unrecognized import path \"host.example/a\": ",
        );
        if line != "200 OK" {
            check_failure(
                &error,
                kind,
                &format!("reading https://host.example/a?go-get=1: {line}"),
            );
        }
    }
}

#[tokio::test]
async fn absence_is_remembered_and_failure_is_not() {
    let web = Web::start(|url| {
        if url.starts_with("https://host.example/") {
            status("404 Not Found")
        } else {
            status("500 Oops")
        }
    })
    .await;
    let discovery = web.discovery();
    for path in ["host.example/a", "other.example/a"] {
        failure(&discovery, path).await;
        failure(&discovery, path).await;
    }
    assert_eq!(
        web.asked(),
        [
            "https://host.example/a",
            "https://other.example/a",
            "https://other.example/a"
        ]
    );
}

#[tokio::test]
async fn no_page_proves_that_a_private_path_is_absent() {
    for line in ["200 OK", "404 Not Found", "410 Gone", "401 Unauthorized"] {
        let web = Web::start(move |_| status(line)).await;
        let error = failure(&web.discovery(), "git.corp.example/team/secret").await;
        check_failure(&error, SourceErrorKind::Refused, "without a password");
    }
    // A page to sign in.
    let web = Web::start(|url| {
        if url.contains("sign_in") {
            status("200 OK")
        } else {
            redirect("https://git.corp.example/users/sign_in")
        }
    })
    .await;
    let error = failure(&web.discovery(), "git.corp.example/team/secret").await;
    check_failure(&error, SourceErrorKind::Refused, "users/sign_in");
    check_failure(&error, SourceErrorKind::Refused, "proves no absence");
}

#[tokio::test]
async fn a_private_path_without_a_page_is_looked_for_in_the_repository_above_it() {
    let web = Web::start(|url| {
        if url == "https://git.corp.example/lib?go-get=1" {
            page(&["git.corp.example/lib git https://code.corp.example/lib"])
        } else {
            status("404 Not Found")
        }
    })
    .await;
    let discovery = web.discovery();
    assert_eq!(
        found(&discovery, "git.corp.example/lib/deep/package").await,
        "git.corp.example/lib https://code.corp.example/lib"
    );
    // The host is the operator's own, and so is what it vouches for.
    let lib = module_path("git.corp.example/lib");
    let location = discovery.locate(&lib).await;
    let Ok(Location::Repository(root)) = location else {
        panic!("{location:?}");
    };
    assert_eq!(root.trust, Trust::Named);
}

#[tokio::test]
async fn a_page_that_is_an_error_may_hold_the_answer() {
    let web = Web::start(|_| ("404 Not Found", Vec::new(), page(&[ROOT]).2)).await;
    assert_eq!(
        found(&web.discovery(), "host.example/a").await,
        "host.example/a https://code.example/a.git"
    );
}

#[tokio::test]
async fn the_page_of_the_root_must_agree() {
    let web = Web::start(|url| {
        if url.contains("/bob/") {
            page(&["host.example git https://evil.example/all"])
        } else {
            page(&["host.example git https://code.example/all"])
        }
    })
    .await;
    let error = failure(&web.discovery(), "host.example/bob/x").await;
    check_failure(
        &error,
        SourceErrorKind::BadAnswer,
        "disagree about go-import for host.example",
    );
    assert_eq!(
        web.asked(),
        ["https://host.example/bob/x", "https://host.example/"]
    );
}

#[tokio::test]
async fn what_a_page_says_must_make_sense() {
    use SourceErrorKind::{BadAnswer, Disallowed, NotExist, Unsupported};
    let check = |content: &'static str, kind, text: &'static str| async move {
        let web = Web::start(move |_| page(&[content])).await;
        let error = failure(&web.discovery(), "host.example/a").await;
        check_failure(&error, kind, text);
    };
    check(
        "host.example/b git https://c.example/b",
        NotExist,
        "no go-import meta tags",
    )
    .await;
    check(
        "host.example/a git file:///etc",
        BadAnswer,
        "file scheme disallowed",
    )
    .await;
    check("host.example/a git code.example/a", BadAnswer, "scheme").await;
    check("host.example/a git --upload-pack=x", BadAnswer, "scheme").await;
    check("host.example/a git ext::sh", BadAnswer, "scheme").await;
    check(
        "host.example/a git https://u:p@c.example/a",
        BadAnswer,
        "password",
    )
    .await;
    check(
        "host.example/a gitt https://c.example/a",
        BadAnswer,
        "unknown vcs \"gitt\"",
    )
    .await;
    check(
        "host.example/a git https://c.example/a /x",
        BadAnswer,
        "leading slash",
    )
    .await;
    check(
        "host.example/a git https://c.example/a -x",
        BadAnswer,
        "leading hyphen",
    )
    .await;
    check(
        "host.example/a git https://c.example/a x/../y",
        BadAnswer,
        "no name",
    )
    .await;
    check(
        "host.example/a git http://c.example/a",
        Disallowed,
        "GOINSECURE",
    )
    .await;
    check(
        "host.example/a git git://c.example/a",
        Disallowed,
        "GOINSECURE",
    )
    .await;
    check("host.example/a mod file:///etc", BadAnswer, "file scheme").await;
    check(
        "host.example/a mod http://c.example/a",
        Disallowed,
        "GOINSECURE",
    )
    .await;
    check(
        "host.example/a hg https://c.example/a",
        Unsupported,
        "Mercurial",
    )
    .await;
    check(
        "host.example/a hg https://c.example/a",
        Unsupported,
        "GONOPROXY=host.example/a",
    )
    .await;
    check(
        "host.example/a svn https://c.example/a",
        Disallowed,
        "GOVCS disallows using svn for public",
    )
    .await;

    let web = Web::start(|_| page(&[ROOT, "host.example git https://c.example"])).await;
    let error = failure(&web.discovery(), "host.example/a").await;
    check_failure(&error, BadAnswer, "multiple meta tags match");
}

#[tokio::test]
async fn subdirectories_proxies_and_ssh_are_passed_on() {
    let web = Web::start(|url| {
        if url.contains("/sub") {
            page(&["host.example/sub git https://c.example/mono go/sub/"])
        } else if url.contains("/mod") {
            page(&[
                "host.example/mod git https://c.example/m",
                "host.example/mod mod https://p.example/m",
            ])
        } else {
            page(&["host.example/ssh git ssh://git@c.example:2222/m"])
        }
    })
    .await;
    let discovery = web.discovery();
    let check = |path: &'static str, expected: &'static str| {
        let discovery = discovery.clone();
        async move { assert_eq!(found(&discovery, path).await, expected) }
    };
    check(
        "host.example/sub",
        "host.example/sub https://c.example/mono go/sub",
    )
    .await;
    check(
        "host.example/mod",
        "host.example/mod proxy https://p.example/m",
    )
    .await;
    check(
        "host.example/ssh",
        "host.example/ssh ssh://git@c.example:2222/m",
    )
    .await;
}

#[tokio::test]
async fn other_systems_are_named_with_what_to_do() {
    let web = Web::start(|_| status("404 Not Found")).await;
    let discovery = web.discovery();
    let check = |path: &'static str, kind, text: &'static str| {
        let discovery = discovery.clone();
        async move { check_failure(&failure(&discovery, path).await, kind, text) }
    };
    check(
        "git.corp.example/x.svn/y",
        SourceErrorKind::Unsupported,
        "Subversion (svn)",
    )
    .await;
    check(
        "git.corp.example/x.bzr",
        SourceErrorKind::Unsupported,
        "Bazaar",
    )
    .await;
    check(
        "host.example/x.hg",
        SourceErrorKind::Unsupported,
        "Mercurial",
    )
    .await;
    check(
        "host.example/x.svn",
        SourceErrorKind::Disallowed,
        "GOVCS disallows using svn",
    )
    .await;
    check(
        "chiselapp.com/user/a/repository/b",
        SourceErrorKind::Disallowed,
        "fossil",
    )
    .await;
    assert!(web.asked().is_empty());
    check(
        "launchpad.net/project/x",
        SourceErrorKind::Disallowed,
        "using bzr",
    )
    .await;
}

#[tokio::test]
async fn redirects_are_followed_ten_times_and_never_out_of_https() {
    let web = Web::start(|url| {
        let step = |path: &str| {
            let number: u32 = url.rsplit(path).next()?.parse().ok()?;
            Some(number)
        };
        if let Some(number) = step("/step") {
            return if number == 10 {
                page(&["host.example/ten git https://c.example/ten"])
            } else {
                redirect(&format!("/step{}", number + 1))
            };
        }
        if url.contains("/ten?") {
            redirect("/step1")
        } else if url.contains("/eleven?") {
            redirect("/step0")
        } else if url.contains("/loop") {
            redirect("/loop")
        } else if url.contains("/unsafe") {
            redirect("http://host.example/a")
        } else {
            redirect("https://169.254.169.254/latest")
        }
    })
    .await;
    let discovery = web.discovery();
    assert_eq!(
        found(&discovery, "host.example/ten").await,
        "host.example/ten https://c.example/ten"
    );
    for (path, kind, text) in [
        (
            "host.example/eleven",
            SourceErrorKind::BadAnswer,
            "more than 10",
        ),
        (
            "host.example/loop",
            SourceErrorKind::BadAnswer,
            "more than 10",
        ),
        (
            "host.example/unsafe",
            SourceErrorKind::BadAnswer,
            "from https to http",
        ),
        (
            "host.example/inward",
            SourceErrorKind::ForbiddenAddress,
            "169.254.169.254",
        ),
    ] {
        check_failure(&failure(&discovery, path).await, kind, text);
    }
}

#[tokio::test]
async fn an_address_that_a_request_chose_is_not_dialled() {
    let web = Web::start(|_| page(&[ROOT])).await;
    let mut options = web.options();
    options.guard = Arc::new(AddressGuard::new([]));
    options.http.http_proxies = HttpProxies::default();
    // A pattern that matches everything names nobody.
    options.privacy = Arc::new(Privacy {
        private: PathPatterns::parse("*"),
        no_sumdb: PathPatterns::default(),
    });
    let discovery = discovery(options);
    for path in [
        "127.0.0.1/x",
        "169.254.169.254/latest/meta-data",
        "10.0.0.1/x",
    ] {
        let error = failure(&discovery, path).await;
        check_failure(
            &error,
            SourceErrorKind::ForbiddenAddress,
            "may not make this server dial",
        );
    }
    assert!(web.asked().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_at_the_second_look_is_not_dialled_for_a_page() {
    // The first answer sends the client to another page of the same host, over a connection of its own.
    let servers = TwoServers::start(|number, head| {
        let host = head
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .unwrap_or_default();
        let location = format!("http://{host}/again?go-get=1");
        let said: &[u8] = b"<meta name=\"go-import\" content=\"x git https://c.example/x\">";
        match number {
            0 => crate::raw_server::answer("302 Found", &[("Location", &location)], b""),
            _ => crate::raw_server::answer("200 OK", &[], said),
        }
    })
    .await;
    let names = servers.rebinding("code.example");
    let guard = names.guard(AddressGuard::default());
    let client = HttpClient::of_any_host(
        guard,
        &impatient(),
        Security::Insecure,
        Arc::new(NoCredentials),
    )
    .unwrap();
    let url = format!("http://code.example:{}/x?go-get=1", servers.port);
    let headers = HeaderMap::new();
    let asked = client.get(Url::parse(&url).unwrap(), &headers);
    let refused = asked.await.err().unwrap().error;
    check_failure(
        &refused,
        SourceErrorKind::ForbiddenAddress,
        "`code.example` leads to 127.0.0.1",
    );
    assert_eq!(names.looks(), ["code.example"; 2]);
    assert_eq!(servers.outer.requests().len(), 1);
    assert!(servers.inner.requests().is_empty());
}

#[tokio::test]
async fn who_chose_an_address_is_told() {
    let web = Web::start(|url| {
        if url.contains("git.corp.example/x") {
            page(&["git.corp.example/x git https://elsewhere.example/x"])
        } else {
            page(&["host.example/a git https://code.example/a"])
        }
    })
    .await;
    let discovery = web.discovery();
    let trust = |path: &'static str| {
        let discovery = discovery.clone();
        async move {
            match discovery.locate(&module_path(path)).await {
                Ok(Location::Repository(root)) => root.trust,
                other => panic!("{path}: {other:?}"),
            }
        }
    };
    assert_eq!(trust("host.example/a").await, Trust::Chosen);
    assert_eq!(trust("git.corp.example/x").await, Trust::Named);
    assert_eq!(trust("github.com/a/b").await, Trust::Chosen);
}

#[tokio::test]
async fn a_private_name_at_a_host_that_nobody_named_leads_no_further_than_a_public_one() {
    let web = Web::start(|_| status("404 Not Found")).await;
    let mut options = web.options();
    options.privacy = Arc::new(Privacy {
        private: PathPatterns::parse("*"),
        no_sumdb: PathPatterns::default(),
    });
    let located = discovery(options)
        .locate(&module_path("github.com/team/tool"))
        .await;
    let Ok(Location::Repository(root)) = located else {
        panic!("{located:?}");
    };
    assert_eq!(root.trust, Trust::PrivatelyChosen);
}

#[tokio::test]
async fn goinsecure_lets_http_through_for_its_paths_only() {
    let web = Web::start(|url| {
        if url.starts_with("http://") {
            page(&["host.example/a git http://c.example/a"])
        } else {
            redirect("http://host.example/a?go-get=1")
        }
    })
    .await;
    let options = DiscoveryOptions {
        insecure: PathPatterns::parse("host.example,unknown.example"),
        ..web.options()
    };
    let discovery = discovery(options);
    assert_eq!(
        found(&discovery, "host.example/a").await,
        "host.example/a http://c.example/a"
    );
    // Not of a certificate's names: taken all the same.
    let error = failure(&discovery, "unknown.example/a").await;
    check_failure(&error, SourceErrorKind::NotExist, "no go-import meta tags");
    let error = failure(&discovery, "other.example/a").await;
    check_failure(&error, SourceErrorKind::BadAnswer, "from https to http");
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_proves_nothing() {
    let web = Web::start(|_| page(&[ROOT])).await;
    let error = failure(&web.discovery(), "unknown.example/a").await;
    check_failure(&error, SourceErrorKind::Tls, "for another host name");
    assert!(web.asked().is_empty());
}

struct OneRule;

#[async_trait]
impl Credentials for OneRule {
    async fn for_repository(&self, url: &RepositoryUrl) -> Result<Option<Credential>, SourceError> {
        Ok((url.host() == "git.corp.example").then(|| Credential {
            rule: "[[credential]] git.corp.example".into(),
            means: Means::Password {
                username: "ann".to_owned(),
                password: Secret::new("s3cret"),
            },
        }))
    }
}

#[tokio::test]
async fn pages_are_asked_with_the_password_of_their_host() {
    let web = Web::start(|url| {
        if url.contains("corp") {
            status("404 Not Found")
        } else {
            page(&[ROOT])
        }
    })
    .await;
    let mut options = web.options();
    options.credentials = Arc::new(OneRule);
    options.http.netrc = Arc::new(Netrc::parse(
        "machine host.example login bob password hunter2",
    ));
    let discovery = discovery(options);
    found(&discovery, "host.example/a").await;
    let error = failure(&discovery, "git.corp.example/secret").await;
    check_failure(
        &error,
        SourceErrorKind::Refused,
        "[[credential]] git.corp.example",
    );
    let asked = web.asked.lock().clone();
    let authorization = |host: &str| {
        let asked = asked.iter().find(|asked| asked.url.contains(host)).unwrap();
        asked.authorization.clone().unwrap()
    };
    assert_eq!(authorization("host.example"), "Basic Ym9iOmh1bnRlcjI=");
    assert_eq!(authorization("git.corp.example"), "Basic YW5uOnMzY3JldA==");
}

#[tokio::test]
async fn a_path_that_names_git_is_fetched_by_the_first_protocol_that_works() {
    let web = Web::start(|_| status("500 Oops")).await;
    let tried = Arc::new(Mutex::new(Vec::new()));
    let with = |working: &[GitProtocol]| {
        tried.lock().clear();
        let repositories = Protocols(working.to_vec(), tried.clone());
        Discovery::new(web.options(), Arc::new(repositories)).unwrap()
    };
    let path = module_path("git.corp.example/team/x.git/sub");
    let by_https = "git.corp.example/team/x.git https://git.corp.example/team/x";
    let by_ssh = "git.corp.example/team/x.git ssh://git.corp.example/team/x";
    let failed = SourceError::new(SourceErrorKind::Unreachable, "no connection");
    let otherwise = async |discovery: &Discovery| {
        let before = discovery.locate(&path).await.unwrap();
        discovery.locate_otherwise(&path, &before, &failed).await
    };
    // Whoever asks there first finds out.
    let discovery = with(&[GitProtocol::Https, GitProtocol::Ssh]);
    assert_eq!(found(&discovery, path.as_str()).await, by_https);
    assert_eq!(otherwise(&discovery).await.unwrap(), None);
    // Only the question whether it was reached.
    assert_eq!(tried.lock().len(), 1);

    let discovery = with(&[GitProtocol::Ssh]);
    assert_eq!(found(&discovery, path.as_str()).await, by_https);
    assert!(otherwise(&discovery).await.unwrap().is_some());
    let asked = tried.lock().len();
    assert_eq!(found(&discovery, path.as_str()).await, by_ssh);
    assert_eq!(tried.lock().len(), asked);
    // However old: only when it fails, too, the other is tried again.
    tokio::time::pause();
    tokio::time::advance(10 * web.options().fresh + Duration::from_secs(3600)).await;
    assert_eq!(found(&discovery, path.as_str()).await, by_ssh);
    assert_eq!(tried.lock().len(), asked);
    tokio::time::resume();

    let error = otherwise(&with(&[])).await.unwrap_err();
    check_failure(&error, SourceErrorKind::Unreachable, "no connection");
    assert!(error.0.notes[0].contains("by ssh: ssh://"), "{error:?}");
    assert!(web.asked().is_empty());
}

#[tokio::test]
async fn a_host_that_is_down_is_not_asked_by_each_of_those_who_wait() {
    let web = Web::start(|_| page(&[ROOT])).await;
    let mut options = web.options();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(Mutex::new(0));
    let seen = connections.clone();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            *seen.lock() += 1;
            drop(connection);
        }
    });
    options.http.http_proxies = HttpProxies::parse(&proxy, &proxy, "").unwrap();
    let discovery = discovery(options);
    let (first, second) = tokio::join!(
        failure(&discovery, "host.example/a/b"),
        failure(&discovery, "host.example/a"),
    );
    check_failure(&first, SourceErrorKind::Unreachable, "");
    assert_eq!(first.to_string(), second.to_string());
    // The first tries twice, the second not at all.
    assert_eq!(*connections.lock(), 2);
}
