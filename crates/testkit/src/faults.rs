//! The fault lab: every way in which TLS, HTTP, names, proxies, the checksum database and git break a
//! module download, on loopback, made when it is asked for.
//!
//! [`CASES`] is the list. A [`Case`] is a name, the cause that a diagnosis must find, the go command
//! that meets it, and a function that sets it up; [`Case::prepare`] runs that function and gives what a
//! client needs: a URL and an environment. Its servers live as long as what it gave. What go, git, curl
//! and openssl said to the same faults when they were first measured is in [`recorded`]; [`witness`] asks
//! the ones of this machine again, and [`mask`] takes out what differs from run to run.
//!
//! Nothing here needs root, and nothing leaves loopback: names that exist nowhere are found by a forward
//! proxy or a name server of the lab's own.

mod authorities;
mod cases;
mod dns_server;
mod http2_server;
mod http_proxy;
mod lab;
mod listener;
pub mod mask;
mod openssl;
pub mod recorded;
#[cfg(test)]
mod tests;
mod tls_server;
mod web;
pub mod witness;

pub use lab::{Lab, Prepared};

use crate::SshServer;

/// All cases, in groups.
pub static CASES: &[&[Case]] = &[
    cases::certificates::CASES,
    cases::protocols::CASES,
    cases::transport::CASES,
    cases::http::CASES,
    cases::environment::CASES,
    cases::checksums::CASES,
    cases::version_control::CASES,
    cases::beyond::CASES,
    cases::elsewhere::CASES,
];

/// Every case.
pub fn all() -> impl Iterator<Item = &'static Case> {
    CASES.iter().flat_map(|group| group.iter())
}

/// One fault, or one healthy control.
pub struct Case {
    /// Its name; that of the recording where there is one.
    pub id: &'static str,
    /// The cause that a diagnosis must name: an id of the catalogue, or `healthy`.
    pub cause: &'static str,
    /// What go is asked.
    pub go: &'static [&'static str],
    /// Seconds that the go command waits before it gives up; 0 where it fails or passes at once.
    pub go_waits_seconds: u64,
    /// What this machine must have.
    needs: Needs,
    set_up: fn(&Lab) -> Prepared,
}

/// What a case needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// The openssl command.
    Openssl,
    /// The git command.
    Git,
    /// An SSH server, and git.
    Sshd,
    /// The loopback address of IPv6.
    Ipv6Loopback,
    /// No way to the documentation network `2001:db8::/32`.
    NoIpv6Route,
}

/// What `go` is asked unless a case says otherwise.
const DOWNLOAD: &[&str] = &["mod", "download", "example.lab/m@v1.0.0"];

const fn case(id: &'static str, cause: &'static str, set_up: fn(&Lab) -> Prepared) -> Case {
    Case {
        id,
        cause,
        go: DOWNLOAD,
        go_waits_seconds: 0,
        needs: Needs::Nothing,
        set_up,
    }
}

impl Case {
    const fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    const fn asked(mut self, go: &'static [&'static str]) -> Self {
        self.go = go;
        self
    }

    const fn go_waits(mut self, seconds: u64) -> Self {
        self.go_waits_seconds = seconds;
        self
    }

    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.cause == "healthy"
    }

    /// The module that go is asked for, `path@version`, where it is asked for one.
    pub fn module(&self) -> Option<&'static str> {
        self.go.iter().copied().find(|word| word.contains('@'))
    }

    /// Sets the case up.
    ///
    /// # Errors
    /// What this machine lacks, in words.
    pub fn prepare(&self, lab: &Lab) -> Result<Prepared, String> {
        match self.needs {
            Needs::Openssl if !openssl::is_here() => return Err("needs the openssl command".into()),
            Needs::Git if !witness::git_is_here() => return Err("needs the git command".into()),
            Needs::Sshd if SshServer::find().is_none() => {
                return Err("needs the SSH server of OpenSSH".into());
            }
            Needs::Ipv6Loopback if std::net::TcpListener::bind("[::1]:0").is_err() => {
                return Err("needs the IPv6 loopback address".into());
            }
            Needs::NoIpv6Route if has_ipv6_route() => {
                return Err("needs a machine without a way to 2001:db8::/32".into());
            }
            _ => {}
        }
        Ok((self.set_up)(lab))
    }
}

/// Connecting a UDP socket sends nothing: it only asks the kernel for the way.
fn has_ipv6_route() -> bool {
    std::net::UdpSocket::bind("[::]:0")
        .is_ok_and(|socket| socket.connect("[2001:db8::1]:443").is_ok())
}
