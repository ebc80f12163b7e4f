//! What larder says when it can serve: its address, and the line for a developer's shell.

use crate::settings::config::Config;
use crate::shell::quoted;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The one line on stdout. `address` is the one that was bound.
pub(crate) fn listening_line(config: &Config, address: SocketAddr) -> String {
    format!("listening on {}\n", url(config, address))
}

/// What a developer pastes into a shell.
///
/// With GOPRIVATE alone, go asks no proxy for private modules. Where there are private patterns,
/// `GONOPROXY=none` sends those to larder too, and `GONOSUMDB` keeps their names from the checksum
/// database, which GOPRIVATE did until then.
pub(crate) fn paste_line(config: &Config, address: SocketAddr) -> String {
    let assignments: Vec<String> = go_variables(config, address)
        .into_iter()
        .map(|(name, value)| format!("{name}={}", quoted(&value)))
        .collect();
    format!("export {}\n", assignments.join(" "))
}

/// The variables that make go use this server.
pub(crate) fn go_variables(config: &Config, address: SocketAddr) -> Vec<(&'static str, String)> {
    let mut variables = vec![("GOPROXY", url(config, connectable(address)))];
    if !config.private.is_empty() {
        let exempt = config.no_sumdb.union(&config.private);
        variables.push(("GONOPROXY", "none".into()));
        variables.push(("GONOSUMDB", exempt.as_str().into()));
    }
    variables
}

fn url(config: &Config, address: SocketAddr) -> String {
    let scheme = match config.tls {
        Some(_) => "https",
        None => "http",
    };
    // A name stays a name: the certificate is made out to it.
    let host = match config.listen.text.rsplit_once(':') {
        Some((host, _)) if host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() => host,
        _ => return format!("{scheme}://{address}"),
    };
    format!("{scheme}://{host}:{}", address.port())
}

/// An address that a client on this machine can connect to.
fn connectable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests;
