//! What the environment says of the way out, as the go command reads it: HTTP proxies, certificates, the
//! netrc file. The server's settings, `larder doctor`, `larder trace` and `larder env` go by it.

use crate::settings::environment::Environment;
use gomod::ParseError;
use source::{HttpProxies, Netrc, TlsSettings};
use std::io;
use std::path::PathBuf;

/// The proxies of HTTP_PROXY, HTTPS_PROXY and NO_PROXY; upper case first, as Go's
/// `httpproxy.FromEnvironment` has it.
///
/// # Errors
/// A value that names no proxy.
pub(crate) fn http_proxies(environment: &Environment) -> Result<HttpProxies, ParseError> {
    let value = |names: &[&'static str]| match environment.first(names) {
        Some((_, text)) => text,
        None => String::new(),
    };
    HttpProxies::parse(
        &value(&["HTTP_PROXY", "http_proxy"]),
        &value(&["HTTPS_PROXY", "https_proxy"]),
        &value(&["NO_PROXY", "no_proxy"]),
    )
}

/// The places of SSL_CERT_FILE and SSL_CERT_DIR.
pub(crate) fn tls_settings(environment: &Environment) -> TlsSettings {
    TlsSettings {
        ssl_cert_file: environment.path("SSL_CERT_FILE"),
        ssl_cert_dir: environment.text("SSL_CERT_DIR"),
    }
}

/// Where the passwords of hosts are; the file need not exist.
pub(crate) fn netrc_file(environment: &Environment) -> Option<PathBuf> {
    environment
        .path("NETRC")
        .or_else(|| Some(environment.path("HOME")?.join(".netrc")))
}

/// The passwords of hosts; none where there is no file.
///
/// # Errors
/// A file that cannot be read.
pub(crate) fn netrc(environment: &Environment) -> io::Result<Netrc> {
    match netrc_file(environment) {
        Some(file) => Netrc::load(&file),
        None => Ok(Netrc::default()),
    }
}
