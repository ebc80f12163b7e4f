//! What policy refuses leaves by no way out, though the file is stored and in memory.

#![expect(clippy::unwrap_used, reason = "a test's set-up fails by panicking")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::{FileKind, H1, ModulePath, ModuleVersion, Version};
use proxy::gate::Caller;
use proxy::observe::{AccessLog, Metrics};
use proxy::policy::{Facts, Policy, Reason, Verdict, Wants};
use proxy::refresh::access::RefreshAccess;
use proxy::{Parts, ServeOptions, Server, TlsFiles};
use reqwest::header::RANGE;
use reqwest::{Client, Method, StatusCode};
use source::privacy::Privacy;
use store::disk::DiskStore;
use store::first_seen::FirstSeen;
use store::memory::MemoryTier;
use store::{
    Accepted, Committed, FileKey, Namespace, Staged, Staging, Store, Verified, VerifiedBy,
    Verifier, VerifyError,
};
use tokio::net::TcpListener;

/// The secret that must not leave.
const CONTENT: &str = "module example.com/secret\n";
const PATH: &str = "/example.com/secret/@v/v1.0.0.mod";

/// A policy whose one rule can be switched.
#[derive(Default)]
struct Switch {
    deny: AtomicBool,
}

impl Policy for Switch {
    fn revision(&self) -> u64 {
        u64::from(self.deny.load(Ordering::SeqCst))
    }
    fn wants(&self) -> Wants {
        Wants::FirstSeen
    }
    fn judge(&self, _: &Caller, _: &ModuleVersion, _: &Facts) -> Verdict {
        if self.deny.load(Ordering::SeqCst) {
            Verdict::Deny(Reason {
                rule: "test-rule".into(),
                text: "it is under embargo".into(),
                cure: "wait until it is not".into(),
            })
        } else {
            Verdict::Allow
        }
    }
}

struct TrustAll;

#[async_trait]
impl Verifier for TrustAll {
    async fn judge(&self, staged: &Staged) -> Result<Accepted, VerifyError> {
        let hash = (staged.key().kind != FileKind::Info).then_some(H1([7; 32]));
        Ok(Accepted {
            by: VerifiedBy::FirstSight,
            hash,
        })
    }
}

async fn stored(dir: &Path, store: &dyn Store, staging: &Staging) {
    let module = ModuleVersion::new(
        ModulePath::parse("example.com/secret").unwrap(),
        Version::parse("v1.0.0").unwrap(),
    )
    .unwrap();
    let files = [
        (
            FileKind::Info,
            "{\"Version\":\"v1.0.0\",\"Time\":\"2020-01-01T00:00:00Z\"}",
        ),
        (FileKind::Mod, CONTENT),
        (FileKind::Zip, "not opened in this test"),
    ];
    for (kind, content) in files {
        let key = FileKey {
            namespace: Namespace::Shared,
            module: module.clone(),
            kind,
        };
        let mut file = staging.begin(key);
        file.write(Bytes::from_static(content.as_bytes()))
            .await
            .unwrap();
        let staged = file.finish("test".into()).await.unwrap();
        let verified: Verified = staged.verify(&TrustAll).await.unwrap();
        let committed = store.commit(Arc::new(verified)).await.unwrap();
        assert!(
            matches!(committed, Committed::Stored),
            "{committed:?} in {}",
            dir.display()
        );
    }
}

struct Running {
    address: SocketAddr,
    policy: Arc<Switch>,
    metrics: Arc<Metrics>,
    _dir: tempfile::TempDir,
}

async fn start(tls: bool) -> (Running, Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryTier::new(DiskStore::open(dir.path()).unwrap(), 1 << 20, 1 << 16);
    let store: Arc<dyn Store> = Arc::new(store);
    let staging = Arc::new(Staging::open(dir.path(), 1 << 20, 1 << 22).unwrap());
    stored(dir.path(), &*store, &staging).await;
    let policy = Arc::new(Switch::default());
    let (files, root) = if tls {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        fs_err::write(&certificate, made.cert.pem()).unwrap();
        fs_err::write(&key, made.signing_key.serialize_pem()).unwrap();
        (Some(TlsFiles { certificate, key }), Some(made.cert.pem()))
    } else {
        (None, None)
    };
    let metrics = Metrics::new();
    let parts = Parts {
        store,
        staging,
        kept_answers: Arc::new(store::answers::Answers::open(dir.path()).unwrap()),
        first_seen: Arc::new(FirstSeen::open(dir.path()).unwrap()),
        source: None,
        checksums: None,
        sumdb: None,
        privacy: Privacy::default(),
        policy: policy.clone(),
        metrics: metrics.clone(),
        access_log: Arc::new(AccessLog::off()),
        refresh_access: RefreshAccess::default(),
        refreshers: Vec::new(),
        cause_page: |_| None,
        upstreams: source::UpstreamList::default(),
    };
    let options = ServeOptions {
        prefetch_bytes_per_second: 0,
        fresh: Duration::from_secs(60),
        negative: Duration::from_secs(30),
        instance: "test".into(),
        tls: files,
    };
    let server = Server::new(parts, options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener, std::future::pending()));
    (
        Running {
            address,
            policy,
            metrics,
            _dir: dir,
        },
        root,
    )
}

/// Clients over each way in, with the base URL that each uses.
async fn ways() -> Vec<(&'static str, Running, Client, String)> {
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut ways = Vec::new();
    let (plain, _) = start(false).await;
    let base = format!("http://{}", plain.address);
    ways.push((
        "HTTP/1.1",
        plain,
        Client::builder().http1_only().build().unwrap(),
        base,
    ));
    let (clear, _) = start(false).await;
    let base = format!("http://{}", clear.address);
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    ways.push(("HTTP/2 in clear", clear, client, base));
    for (name, http1_only) in [("TLS, HTTP/1.1", true), ("TLS, HTTP/2", false)] {
        let (running, root) = start(true).await;
        let root = reqwest::Certificate::from_pem(root.unwrap().as_bytes()).unwrap();
        let base = format!("https://localhost:{}", running.address.port());
        let builder = Client::builder()
            .tls_certs_only([root])
            .resolve("localhost", running.address);
        let builder = if http1_only {
            builder.http1_only()
        } else {
            builder
        };
        ways.push((name, running, builder.build().unwrap(), base));
    }
    ways
}

#[tokio::test]
async fn a_denied_file_leaves_by_no_way_out_though_it_is_stored() {
    for (way, running, client, base) in ways().await {
        let url = format!("{base}{PATH}");
        for _warm in 0..2 {
            let allowed = client.get(&url).send().await.unwrap();
            assert_eq!(allowed.status(), StatusCode::OK, "{way}");
            assert_eq!(allowed.text().await.unwrap(), CONTENT, "{way}");
        }
        // What was just answered the short way is refused there too, where the test means to go that way.
        let declined = || running.metrics.lane_declined.get();
        assert_eq!(declined(), u64::from(way == "HTTP/2 in clear"), "{way}");
        running.policy.deny.store(true, Ordering::SeqCst);
        let requests = [
            ("GET", client.get(&url)),
            ("HEAD", client.request(Method::HEAD, &url)),
            ("Range", client.get(&url).header(RANGE, "bytes=0-3")),
            (
                "conditional",
                client.get(&url).header("If-None-Match", "\"x\""),
            ),
            (
                "cached only",
                client.get(format!("{base}/cached-only{PATH}")),
            ),
            (
                "no fetch",
                client.get(&url).header("Disable-Module-Fetch", "true"),
            ),
            (
                "escaped",
                client.get(format!("{base}/example.com/%73ecret/@v/v1.0.0.mod")),
            ),
        ];
        for (request, builder) in requests {
            let denied = builder.send().await.unwrap();
            assert_eq!(denied.status(), StatusCode::FORBIDDEN, "{way}, {request}");
            let headers: HashMap<_, _> = denied
                .headers()
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.clone()))
                .collect();
            assert!(
                !headers.contains_key("etag"),
                "{way}, {request}: {headers:?}"
            );
            let body = denied.text().await.unwrap();
            assert!(
                !body.contains("module example.com/secret"),
                "{way}, {request}: {body}"
            );
            if request != "HEAD" {
                assert!(
                    body.contains("test-rule") && body.contains("embargo"),
                    "{way}, {request}: {body}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_hidden_version_is_in_no_list_and_is_not_the_latest() {
    for (way, running, client, base) in ways().await {
        let list = format!("{base}/example.com/secret/@v/list");
        let latest = format!("{base}/example.com/secret/@latest");
        assert_eq!(
            client
                .get(&list)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
            "v1.0.0\n",
            "{way}"
        );
        assert_eq!(
            client.get(&latest).send().await.unwrap().status(),
            StatusCode::OK,
            "{way}"
        );
        running.policy.deny.store(true, Ordering::SeqCst);
        assert_eq!(
            client
                .get(&list)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap(),
            "",
            "{way}"
        );
        let denied = client.get(&latest).send().await.unwrap();
        assert_eq!(denied.status(), StatusCode::FORBIDDEN, "{way}");
    }
}
