//! The connection itself: names, addresses, HTTP proxies.

use super::shared_cures::{ANOTHER_SOURCE, CHECK_DNS, CHECK_HTTP_PROXY};
use super::{Cause, Whose, at, cause, client, server};

pub(super) const CAUSES: &[Cause] = &[
    cause("net-timeout", Whose::Network,
        "No answer within the time",
        "A connection was asked for, or a request sent, and nothing came back: a firewall that drops packets, a missing HTTP proxy, a host that cannot be reached from this network.",
        "No address of the host answers a connection attempt.")
        .confused_with(&["net-refused", "no-answer"])
        .cured_by(&[&[
            client("See whether anything is reachable from here.", &["curl -sS -o /dev/null -w '%{http_code} %{remote_ip} %{time_connect}\\n' https://HOST/"]),
            client("A company network may want its HTTP proxy.", &["export HTTPS_PROXY=http://proxy.example:3128"]),
        ], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
    cause("net-refused", Whose::Server,
        "Nothing accepts connections there",
        "The address answered that nothing listens on the port, or there is no way to the address: a service that is not running, the wrong port, a firewall that rejects, an address family that this machine lacks. Inside a container 127.0.0.1 is the container itself.",
        "The dialled address answers a connection attempt with a reset, or the system has no route.")
        .confused_with(&["net-timeout"])
        .cured_by(&[&[
            server("Start the service, and let it listen on an address that others reach.", &["ss -ltnp"]),
            client("Correct host and port.", &["go env GOPROXY"]),
            at(Whose::Client, "docker", "From a container the host is not 127.0.0.1.", &["docker run --add-host host.docker.internal:host-gateway …"]),
        ], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
    cause("net-dns", Whose::Network,
        "The name could not be resolved",
        "The resolver did not give an address. The server itself was never dialled.",
        "The resolver's answer for the name.")
        .confused_with(&["dns-nxdomain", "dns-unreachable", "dns-server-failure"])
        .cured_by(&[CHECK_DNS])
        .settled_by("larder doctor https://{host}/"),
    cause("net-reset", Whose::Network,
        "The connection was cut",
        "The other side or something between broke the connection off before an answer was complete: a filter, a load balancer without a living server, a device that dislikes the greeting.",
        "The connection is reset or closed right after it opened.")
        .confused_with(&["body-truncated", "net-http2-stream", "no-answer"])
        .cured_by(&[&[
            client("Try without the large key share: if it works, a device on the way breaks large greetings.", &["GODEBUG=tlsmlkem=0 go mod download"]),
            client("Repeat: what is complete is kept, and only the rest is asked again.", &["go mod download"]),
        ], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
    cause("net-http2-stream", Whose::Network,
        "An HTTP/2 stream was broken off",
        "The server or its delivery network ended one stream or the connection while the body was under way.",
        "The frame itself is in the message.")
        .confused_with(&["net-reset"])
        .cured_by(&[&[
            client("Repeat; then try HTTP/1.1 as a test.", &["GODEBUG=http2client=0 go mod download"]),
        ], ANOTHER_SOURCE])
        .settled_by("GODEBUG=http2client=0 go mod download {module}@{version}"),
    cause("http-proxy-bad", Whose::HttpProxy,
        "The HTTP proxy of this machine fails",
        "HTTP_PROXY or HTTPS_PROXY names a hop that go must pass, and that hop failed. This is not the GOPROXY.",
        "The same request fails inside the proxy, and its answer is in hand.")
        .confused_with(&["http-proxy-config", "http-proxy-no-answer"])
        .cured_by(&[CHECK_HTTP_PROXY])
        .settled_by("larder doctor https://{host}/"),
    cause("http-proxy-auth", Whose::Client,
        "The HTTP proxy wants a login",
        "The proxy of HTTPS_PROXY answered 407. go can send a name and password from the URL; for NTLM and Kerberos it needs a helper on this machine.",
        "The 407 and its Proxy-Authenticate header.")
        .said_outright()
        .cured_by(&[&[
            client("Put name and password into the URL, percent-encoded.", &["export HTTPS_PROXY=http://USER:PASSWORD@proxy.example:3128"]),
            client("For NTLM or Kerberos run a local helper and point HTTPS_PROXY to it.", &["export HTTPS_PROXY=http://127.0.0.1:3128"]),
        ], CHECK_HTTP_PROXY])
        .settled_by("larder doctor https://{host}/"),
];
