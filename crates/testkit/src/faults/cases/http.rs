//! Good TLS, and an answer that is none.

use super::super::lab::{Lab, Prepared};
use super::super::listener::closed_port;
use super::super::web::{
    LOGIN_PAGE, Reply, Web, always, module, module_proxy, module_proxy_of, reply, reply_with,
};
use super::super::{Case, case};
use std::sync::Arc;

const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const UNKNOWN: &str = "not found: example.lab/m@v1.0.0: unknown revision v1.0.0";

pub(in super::super) const CASES: &[Case] = &[
    case("http-400", "proxy-bad-body", |lab| {
        status(lab, 400, "Bad Request", "")
    }),
    case("http-401", "proxy-auth-required", wants_login),
    case("http-402", "proxy-forbidden", |lab| {
        status(lab, 402, "Payment Required", "")
    }),
    case("http-403", "proxy-forbidden", forbidden),
    case("http-404", "proxy-not-found", not_found),
    case("http-407", "http-proxy-auth", |lab| {
        status(lab, 407, "Proxy Authentication Required", "")
    }),
    case("http-429", "proxy-rate-limit", |lab| {
        status(lab, 429, "Too Many Requests", "")
    }),
    case("http-451", "proxy-forbidden", |lab| {
        status(lab, 451, "Unavailable For Legal Reasons", "")
    }),
    case("http-500", "proxy-server-error", |lab| {
        status(lab, 500, "Internal Server Error", "boom")
    }),
    case("http-502", "proxy-server-error", |lab| {
        status(lab, 502, "Bad Gateway", "")
    }),
    case("http-504", "proxy-server-error", |lab| {
        status(lab, 504, "Gateway Timeout", "")
    }),
    case("captive-200", "captive-portal", captive),
    case("redirect-loop", "redirect-loop", |lab| {
        lab.healthy_web(Arc::new(|request| {
            reply_with(302, "Found", &[("Location", &request.target)], b"")
        }))
    }),
    case("redirect-to-http", "redirect-insecure", |lab| {
        let dead = closed_port().port();
        lab.healthy_web(Arc::new(move |request| {
            let place = format!("http://localhost:{dead}{}", request.target);
            reply_with(302, "Found", &[("Location", &place)], b"")
        }))
    }),
    case("truncated-body", "body-truncated", |lab| {
        lab.healthy_web(Arc::new(|_| {
            let whole = r#"{"Version":"v1.0.0","Time":"2024-03-01T12:30:45Z"}"#;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
            let length = whole.len();
            let text = format!("{head}Content-Length: {length}\r\n\r\n{}", &whole[..20]);
            Reply::Last(text.into_bytes())
        }))
    }),
    case("empty-reply", "no-answer", |lab| {
        lab.healthy_web(Arc::new(|_| Reply::Hangup))
    }),
    case("bad-json", "proxy-bad-body", |lab| {
        lab.healthy_web(Arc::new(|_| {
            reply(200, "OK", "application/json", br#"{"foo":1}"#)
        }))
    }),
    case("bad-zip", "zip-invalid", |lab| {
        let inner = module_proxy();
        lab.healthy_web(Arc::new(move |request| {
            if request.target.ends_with(".zip") {
                reply(200, "OK", HTML, LOGIN_PAGE.as_bytes())
            } else {
                inner(request)
            }
        }))
    }),
    case("wrong-gomod-path", "ver-path-mismatch", |lab| {
        let module = module().go_mod("module other.lab/x\n\ngo 1.20\n");
        lab.healthy_web(module_proxy_of(module))
    }),
    case("netrc-sent", "proxy-auth-required", |lab| {
        wants_login(lab).home_file(".netrc", "machine localhost login me password wrong\n")
    }),
    case("module-path-case", "zip-invalid", |lab| {
        lab.healthy_web(careless())
    })
    .asked(&["mod", "download", "example.lab/M@v1.0.0"]),
    case("goget-missing-pkg", "zip-invalid", |lab| {
        lab.healthy_web(careless())
            .file("go.mod", "module x.test/a\n\ngo 1.20\n")
    })
    .asked(&["get", "example.lab/m/nope@v1.0.0"]),
    case("goget-captive", "captive-portal", |lab| {
        captive(lab).file("go.mod", REQUIRING)
    })
    .asked(&["get", "example.lab/m@latest"]),
    case("goget-latest-404", "proxy-not-found", |lab| {
        not_found(lab).file("go.mod", REQUIRING)
    })
    .asked(&["get", "example.lab/m@latest"]),
];

/// A go.mod that requires the lab's module.
pub(super) const REQUIRING: &str = "module x.test/a\n\ngo 1.20\n\nrequire example.lab/m v1.0.0\n";

/// The same status for every path; go repeats a body that is plain text.
pub(super) fn status(lab: &Lab, status: u16, reason: &'static str, body: &'static str) -> Prepared {
    let content_type = if body.is_empty() { HTML } else { PLAIN };
    lab.healthy_web(always(status, reason, content_type, body))
}

fn wants_login(lab: &Lab) -> Prepared {
    lab.healthy_web(Arc::new(|_| {
        let headers = [
            ("Content-Type", PLAIN),
            ("WWW-Authenticate", "Basic realm=\"lab\""),
        ];
        reply_with(401, "Unauthorized", &headers, b"authentication required")
    }))
}

/// Blocked by somebody's rule.
pub(super) fn forbidden(lab: &Lab) -> Prepared {
    status(lab, 403, "Forbidden", "blocked by policy")
}

/// Nothing is known under any path.
pub(super) fn not_found(lab: &Lab) -> Prepared {
    status(lab, 404, "Not Found", UNKNOWN)
}

fn captive(lab: &Lab) -> Prepared {
    lab.healthy_web(always(200, "OK", HTML, LOGIN_PAGE))
}

/// A proxy that serves one module's files under every name, whatever was asked.
fn careless() -> Web {
    let inner = module_proxy();
    Arc::new(move |request| {
        let mut request = request.clone();
        if let Some((_, rest)) = request.target.split_once("/@v/") {
            request.target = format!("/example.lab/m/@v/{rest}");
        } else if request.target.ends_with("/@latest") {
            request.target = "/example.lab/m/@latest".into();
        }
        inner(&request)
    })
}
