//! Straight from a code host: go-import pages, git over HTTPS, GOVCS.

use super::super::http_proxy::tunnel_to;
use super::super::lab::{Lab, Prepared};
use super::super::listener::listen;
use super::super::tls_server::TlsServer;
use super::super::web::{self, Reply, Request, Web, reply, reply_with};
use super::super::{Case, Needs, case};
use super::http::{forbidden, not_found};
use crate::SshServer;
use std::path::Path;
use std::sync::Arc;

pub(in super::super) const CASES: &[Case] = &[
    case("direct-404", "vcs-repo-not-found", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/404/x@v1.0.0",
    ]),
    case("direct-401", "vcs-auth-https", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/401/x@v1.0.0",
    ]),
    case("direct-nometa", "goget-meta-missing", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/nometa/x@v1.0.0",
    ]),
    case("direct-login", "vcs-auth-https", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/login/x@v1.0.0",
    ]),
    case("direct-login-page", "vcs-auth-https", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/form/x@v1.0.0",
    ]),
    case("direct-other-meta", "goget-meta-missing", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/other/x@v1.0.0",
    ]),
    case("direct-json", "goget-meta-missing", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/json/x@v1.0.0",
    ]),
    case("direct-503", "proxy-server-error", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/503/x@v1.0.0",
    ]),
    case("direct-400", "proxy-bad-body", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/400/x@v1.0.0",
    ]),
    case("direct-404-with-meta", "vcs-auth-https", code_host)
        .asked(&["mod", "download", "git.lab.test/priv/404@v1.0.0"])
        .needs(Needs::Git),
    case("direct-captive", "captive-portal", |lab| {
        let pages = web::always(200, "OK", "text/html", web::LOGIN_PAGE);
        let plain = listen(move |stream| web::serve(stream, Arc::clone(&pages)));
        let proxy = tunnel_to(&[("git.lab.test:80", plain.address)]);
        let address = format!("http://{}", proxy.address);
        lab.url("https://git.lab.test".into())
            .env("GOPROXY", "direct")
            .env("GOINSECURE", "git.lab.test")
            .env("HTTPS_PROXY", address.clone())
            .env("HTTP_PROXY", address)
            .keep((plain, proxy))
    })
    .asked(PRIVATE),
    case("git-401-noprompt", "vcs-auth-https", code_host)
        .asked(PRIVATE)
        .needs(Needs::Git),
    case("git-404", "vcs-repo-not-found", code_host)
        .asked(&["mod", "download", "git.lab.test/gone@v1.0.0"])
        .needs(Needs::Git),
    case("git-sslcainfo", "vcs-tls", |lab| {
        let none = lab.pem_file("git-roots.pem", &[lab.private_root.der()]);
        code_host(lab).env("GIT_SSL_CAINFO", text(&none))
    })
    .asked(PRIVATE)
    .needs(Needs::Git),
    case("govcs-svn", "vcs-disallowed", code_host).asked(&[
        "mod",
        "download",
        "git.lab.test/svn@v1.0.0",
    ]),
    case("private-via-proxy-404", "private-not-excluded", |lab| {
        let proxy = not_found(lab);
        code_host(lab).env("GOPROXY", proxy.url.clone()).keep(proxy)
    })
    .asked(PRIVATE),
    case("no-fallback-on-403", "proxy-forbidden", |lab| {
        behind_proxy(lab, ",")
    })
    .asked(PRIVATE),
    case("fallback-pipe", "vcs-auth-https", |lab| {
        behind_proxy(lab, "|")
    })
    .asked(PRIVATE)
    .needs(Needs::Git),
    case("goinsecure-http", "vcs-auth-https", |lab| {
        let none = lab.pem_file("go-roots.pem", &[lab.private_root.der()]);
        code_host(lab)
            .trusting(&none)
            .env("GOINSECURE", "git.lab.test")
    })
    .asked(PRIVATE)
    .needs(Needs::Git),
    case("direct-private-ca", "tls-untrusted-ca", |lab| {
        let leaf = super::super::authorities::leaf_params(&["git.lab.test"]);
        let leaf = lab.private_issuing.sign(&leaf, &lab.leaf_key);
        let identity = lab.showing(vec![leaf, lab.private_issuing.der()]);
        host(lab, TlsServer::new(&identity))
    })
    .asked(PRIVATE),
    case("ssh-hostkey-unknown", "vcs-host-key", |lab| {
        over_ssh(lab, |_| String::new(), "-o StrictHostKeyChecking=yes")
    })
    .asked(OVER_SSH)
    .needs(Needs::Sshd),
    case("ssh-hostkey-changed", "vcs-host-key-changed", |lab| {
        over_ssh(lab, another_key, "-o StrictHostKeyChecking=yes")
    })
    .asked(OVER_SSH)
    .needs(Needs::Sshd),
    case("ssh-publickey", "vcs-ssh-auth", |lab| {
        over_ssh(lab, |_| String::new(), "-o StrictHostKeyChecking=no")
    })
    .asked(&["mod", "download", "git.lab.test/sshdeny@v1.0.0"])
    .needs(Needs::Sshd),
];

const OVER_SSH: &[&str] = &["mod", "download", "git.lab.test/sshmod@v1.0.0"];
const PRIVATE: &[&str] = &["mod", "download", "git.lab.test/priv@v1.0.0"];

/// `git.lab.test`, which a forward proxy finds, over https and http; git trusts its root.
pub(super) fn code_host(lab: &Lab) -> Prepared {
    host(lab, TlsServer::new(&lab.healthy(&["git.lab.test"])))
}

fn host(lab: &Lab, server: TlsServer) -> Prepared {
    let pages: Web = Arc::new(page);
    let secure = server.serve(Arc::clone(&pages));
    let plain = listen(move |stream| web::serve(stream, Arc::clone(&pages)));
    let proxy = tunnel_to(&[
        ("git.lab.test:443", secure.address),
        ("git.lab.test:80", plain.address),
    ]);
    let address = format!("http://{}", proxy.address);
    lab.url("https://git.lab.test".into())
        .env("GOPROXY", "direct")
        .env("HTTPS_PROXY", address.clone())
        .env("HTTP_PROXY", address)
        .env("GIT_SSL_CAINFO", text(&lab.roots()))
        .keep((secure, plain, proxy))
}

/// A repository behind `ssh://git@git.lab.test:PORT`, asked with a key that the server doesn't know.
fn over_ssh(lab: &Lab, known_hosts: fn(&SshServer) -> String, option: &str) -> Prepared {
    let server = SshServer::find().expect("was asked before");
    let port = server.address().port();
    let folder = lab.folder().join(format!("ssh-{port}"));
    std::fs::create_dir(&folder).unwrap();
    let known = folder.join("known_hosts");
    std::fs::write(&known, known_hosts(&server)).unwrap();
    // The name exists nowhere; whatever ssh sends goes to the server's port. Ssh hangs up on its command when it
    // ends, which must live on to end what reads.
    let way = format!(
        "bash -c 'trap \"\" HUP; exec 3<>/dev/tcp/127.0.0.1/{port}; cat <&3 2>/dev/null & cat >&3 2>/dev/null; kill $!'"
    );
    let config = folder.join("config");
    let settings = format!(
        "Host *\n  ProxyCommand {way}\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  IdentitiesOnly yes\n  IdentityFile {}\n",
        text(&known),
        text(&server.stranger_key())
    );
    std::fs::write(&config, settings).unwrap();
    let ssh = format!("ssh -F {} -o BatchMode=yes {option}", text(&config));
    let pages: Web = Arc::new(move |request| {
        let name = request
            .target
            .trim_start_matches('/')
            .split('?')
            .next()
            .unwrap_or_default();
        let meta = format!(
            "<html><head><meta name=\"go-import\" content=\"git.lab.test/{name} git ssh://git@git.lab.test:{port}/r.git\"></head></html>"
        );
        reply(200, "OK", "text/html", meta.as_bytes())
    });
    let secure = TlsServer::new(&lab.healthy(&["git.lab.test"])).serve(pages);
    let proxy = tunnel_to(&[("git.lab.test:443", secure.address)]);
    lab.url("https://git.lab.test".into())
        .env("GOPROXY", "direct")
        .env("GIT_SSH_COMMAND", ssh)
        .env("HTTPS_PROXY", format!("http://{}", proxy.address))
        .keep((secure, proxy, server))
}

/// The name's entry, with the key of another server.
fn another_key(server: &SshServer) -> String {
    let other = SshServer::find().expect("was asked before");
    let entry = std::fs::read_to_string(other.known_hosts()).unwrap();
    let (_, key) = entry.split_once(' ').unwrap();
    format!("[git.lab.test]:{} {key}", server.address().port())
}

/// A module proxy that forbids everything, then `direct`.
fn behind_proxy(lab: &Lab, separator: &str) -> Prepared {
    let proxy = forbidden(lab);
    let list = format!("{}{separator}direct", proxy.url);
    code_host(lab).env("GOPROXY", list).keep(proxy)
}

fn page(request: &Request) -> Reply {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let path = request.target.split('?').next().unwrap_or_default();
    let wants_meta = request.target.contains("go-get=1");
    if path.starts_with("/404/") {
        reply(404, "Not Found", PLAIN, b"nope")
    } else if path.starts_with("/401/") {
        reply(401, "Unauthorized", PLAIN, b"auth")
    } else if path.starts_with("/login/") {
        reply_with(302, "Found", &[("Location", "/sign_in")], b"")
    } else if path.starts_with("/form/") {
        let form = b"<html><body><form><input name=\"p\" type=\"password\"></form></body></html>";
        reply(200, "OK", "text/html", form)
    } else if path.starts_with("/other/") {
        let meta = b"<html><head><meta name=\"go-import\" content=\"git.lab.test/another git https://git.lab.test/another.git\"></head></html>";
        reply(200, "OK", "text/html", meta)
    } else if path.starts_with("/json/") {
        reply(200, "OK", "application/json", br#"{"message":"ok"}"#)
    } else if path.starts_with("/503/") {
        reply(503, "Service Unavailable", PLAIN, b"restarting")
    } else if path.starts_with("/400/") {
        reply(400, "Bad Request", PLAIN, b"what?")
    } else if path.starts_with("/nometa/") || path == "/sign_in" {
        reply(
            200,
            "OK",
            "text/html",
            b"<html><head><title>Sign in</title></head></html>",
        )
    } else if wants_meta {
        let first = path
            .trim_start_matches('/')
            .split('/')
            .next()
            .unwrap_or_default();
        let system = if first == "svn" { "svn" } else { "git" };
        let meta = format!(
            "<html><head><meta name=\"go-import\" content=\"git.lab.test/{first} {system} https://git.lab.test/{first}.git\"></head></html>"
        );
        let (status, reason) = match path.ends_with("/404") {
            true => (404, "Not Found"),
            false => (200, "OK"),
        };
        reply(status, reason, "text/html", meta.as_bytes())
    } else if path.starts_with("/priv.git/") {
        let headers = [
            ("WWW-Authenticate", "Basic realm=\"git\""),
            ("Content-Type", PLAIN),
        ];
        reply_with(401, "Unauthorized", &headers, b"auth")
    } else {
        reply(404, "Not Found", PLAIN, b"404 page not found")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
