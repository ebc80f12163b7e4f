//! The route that Go's scripts of direct mode need, for `cargo xtask suite-b`: `vcs_route LARDER`.
//!
//! A request for `/_vcs/HOST/TLSHOST/CERTIFICATE/_/…` is handed to a `larder serve --upstream direct` which finds
//! `vcs-test.golang.org` at HOST, as if an operator had mirrored that host. There is one Larder for each HOST, started
//! when it is first asked for. Says `listening on URL`, and when its stdin is closed how many requests there
//! were.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for tests: it fails loudly, speaks on stdout and reads its arguments"
)]

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use testkit::{ForwardProxy, Larder, TestCa, TlsRelay, assert_loopback};

/// The host that Go's scripts name.
const HOST: &str = "vcs-test.golang.org";

fn main() {
    let binary = std::env::args().nth(1).expect("usage: vcs_route LARDER");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    let route = Arc::new(Route {
        binary,
        behind: Mutex::default(),
        requests: AtomicU64::new(0),
    });
    let accepting = route.clone();
    std::thread::spawn(move || {
        while let Ok((client, peer)) = listener.accept() {
            assert_loopback(peer);
            let route = accepting.clone();
            std::thread::spawn(move || route.answer(client));
        }
    });
    // Nothing is sent: the end is the message.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    // Ends every Larder before the last word.
    route.behind.lock().clear();
    println!("{} requests", route.requests.load(Ordering::Relaxed));
}

struct Route {
    binary: String,
    behind: Mutex<BTreeMap<String, Behind>>,
    requests: AtomicU64,
}

/// A Larder with the way to one of Go's servers.
struct Behind {
    larder: Larder,
    _relay: TlsRelay,
    _proxy: ForwardProxy,
}

impl Route {
    /// Answers one request and closes the connection; a client that breaks off is its own business.
    fn answer(&self, client: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(client.try_clone().ok()?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let (first, headers) = head.split_once("\r\n")?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let Some((host, rest)) = split(target) else {
            let absent = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return (&client).write_all(absent.as_bytes()).ok();
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let mut server = TcpStream::connect(self.larder(host)).ok()?;
        let headers: String = headers
            .split_inclusive("\r\n")
            .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
            .collect();
        let request = format!("{method} {rest} HTTP/1.1\r\nConnection: close\r\n{headers}");
        server.write_all(request.as_bytes()).ok()?;
        std::io::copy(&mut server, &mut &client).ok()?;
        Some(())
    }

    /// The Larder that finds the repositories at `host`.
    fn larder(&self, host: &str) -> SocketAddr {
        let mut behind = self.behind.lock();
        let entry = behind.entry(host.to_owned());
        entry
            .or_insert_with(|| Behind::start(&self.binary, host.parse().expect("an address")))
            .larder
            .address()
    }
}

impl Behind {
    fn start(binary: &str, server: SocketAddr) -> Self {
        let ca = TestCa::new();
        let relay = TlsRelay::start(&ca, &[HOST], server);
        let proxy = ForwardProxy::start(&[(HOST, relay.address())]);
        let builder =
            Larder::builder(binary)
                .upstream("direct")
                .args(["--fresh", "0", "--private", HOST]);
        let certificates = ca.write(builder.home()).display().to_string();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mirrored = format!("url.https://{}/.insteadOf", relay.address());
        let larder = builder
            .env("PATH", path)
            .env("SSL_CERT_FILE", &certificates)
            .env("GIT_SSL_CAINFO", &certificates)
            .env("HTTPS_PROXY", proxy.url())
            .env("NO_PROXY", "127.0.0.1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", mirrored)
            .env("GIT_CONFIG_VALUE_0", format!("https://{HOST}/"))
            .start();
        Self {
            larder,
            _relay: relay,
            _proxy: proxy,
        }
    }
}

/// `/_vcs/HOST/TLSHOST/CERTIFICATE/_/REST` as HOST and `/REST`. The other two are what a client inside Go's own test
/// program needs; the relay has a certificate of its own.
fn split(target: &str) -> Option<(&str, &str)> {
    let (host, rest) = target.strip_prefix("/_vcs/")?.split_once('/')?;
    let (_, rest) = rest.split_once("/_/")?;
    let start = target.len() - rest.len() - 1;
    Some((host, target.get(start..)?))
}
