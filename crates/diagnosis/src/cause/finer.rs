//! Finer causes: a live probe tells them apart, or words that say them outright.

use super::shared_cures::{
    ANOTHER_SOURCE, CHECK_DNS, CHECK_HTTP_PROXY, INSTALL_ROOTS, MODERN_TLS, REPLACE_CERTIFICATE,
    SERVE_THE_CHAIN, TRUST_A_CA,
};
use super::{Cause, Whose, at, cause, client, server};

const SHOW_CHAIN: &str = "larder doctor https://{host}/";
const SHOW_LEAF: &str =
    "openssl s_client -connect {host}:443 </dev/null 2>/dev/null | openssl x509 -noout -text";

pub(super) const CAUSES: &[Cause] = &[
    cause("tls-self-signed", Whose::Server,
        "The certificate signs itself",
        "No authority stands behind the certificate: it was made on the server.",
        "Subject and issuer are the same, and its own key verifies it.")
        .finer_than("tls-untrusted-ca")
        .cured_by(&[&[server("Take a certificate from an authority, your own small one too.", &[])], TRUST_A_CA])
        .settled_by(SHOW_CHAIN),
    cause("tls-wrong-intermediate", Whose::Server,
        "The server sends another authority's intermediate certificate",
        "A certificate stands beside the leaf, but it is not the leaf's issuer.",
        "Names and key ids of what was sent.")
        .finer_than("tls-untrusted-ca")
        .cured_by(&[SERVE_THE_CHAIN])
        .settled_by(SHOW_CHAIN),
    cause("tls-stale-ca", Whose::Client,
        "An old copy of the authority's certificate is in use",
        "A certificate of the right name has another key: an authority was renewed, and an old root lies in the store, or an old intermediate in the server's chain.",
        "Same subject, other key; the leaf's signature fails under it.")
        .finer_than("tls-untrusted-ca")
        .confused_with(&["tls-untrusted-ca", "tls-bad-certificate", "tls-wrong-intermediate"])
        .cured_by(&[&[client("Find the old copy in the store and replace it.", &["awk '/BEGIN/{n++}{print > (\"ca-\" n \".pem\")}' /etc/ssl/certs/ca-certificates.crt; grep -l . ca-*.pem | xargs -n1 openssl x509 -noout -subject -dates -in"])], TRUST_A_CA, SERVE_THE_CHAIN])
        .settled_by(SHOW_CHAIN),
    cause("tls-ca-expired", Whose::Server,
        "An authority's certificate in the chain has expired",
        "The leaf is good, but an intermediate or the root is past its end. To renew the leaf does not help.",
        "The end of each certificate.")
        .finer_than("tls-cert-expired")
        .cured_by(&[&[server("Serve the authority's new chain; with ACME clients the preferred chain can be named.", &["certbot renew --preferred-chain 'ISRG Root X1'"])], SERVE_THE_CHAIN, INSTALL_ROOTS])
        .settled_by(SHOW_CHAIN),
    cause("tls-not-yet-valid", Whose::Server,
        "The certificate is valid only from a later time on",
        "Its dates begin in the future, and this machine's clock is right: the issuing machine's was not.",
        "The beginning of the certificate against two clocks that agree.")
        .finer_than("tls-clock-skew")
        .cured_by(&[&[server("Set the issuing machine's clock, then reissue; or wait.", &[])], REPLACE_CERTIFICATE])
        .settled_by(SHOW_LEAF),
    cause("tls-chain-order", Whose::Server,
        "The leaf is not the first certificate that is sent",
        "The first certificate must be the server's own; here an authority's stands first.",
        "A later certificate is the one with the name.")
        .finer_than("tls-name-mismatch")
        .cured_by(&[SERVE_THE_CHAIN])
        .settled_by(SHOW_CHAIN),
    cause("tls-name-constraints", Whose::Server,
        "The authority may not sign for this name",
        "An authority above the leaf is limited to other names.",
        "The constraint and the name.")
        .finer_than("tls-cert-policy")
        .said_outright()
        .cured_by(&[&[server("Take a certificate from an authority that is not so limited, or use a name within the limits.", &[])]])
        .settled_by(SHOW_CHAIN),
    cause("tls-key-usage", Whose::Server,
        "A certificate is used for what it may not do",
        "The leaf lacks the server purpose, or an issuer lacks the right to sign certificates, or its path is longer than it may be.",
        "The field of the certificate that is named.")
        .finer_than("tls-cert-policy")
        .said_outright()
        .cured_by(&[&[server("The authority reissues: leaf with extendedKeyUsage serverAuth, issuers with CA:TRUE and keyCertSign.", &[
            "basicConstraints=critical,CA:FALSE",
            "extendedKeyUsage=serverAuth",
        ])]])
        .settled_by(SHOW_LEAF),
    cause("tls-weak-signature", Whose::Server,
        "The certificate is signed with SHA-1 or MD5",
        "Such signatures can be forged, and are refused on the leaf and on intermediates; the root's own does not matter.",
        "The signature algorithm.")
        .finer_than("tls-cert-policy")
        .said_outright()
        .cured_by(&[&[server("Reissue with SHA-256.", &["openssl x509 -req -sha256 -in host.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 397 -out leaf.pem"])]])
        .settled_by(SHOW_LEAF),
    cause("tls-weak-key", Whose::Server,
        "The certificate's key is too weak, or of a kind that go does not know",
        "RSA below 1024 bits for go (2048 for curl and others), DSA, and curves outside of NIST's and Ed25519.",
        "The key of the leaf or of an authority.")
        .finer_than("tls-cert-policy")
        .said_outright()
        .cured_by(&[&[server("Make a key of today and reissue.", &["openssl ecparam -name prime256v1 -genkey -noout -out key.pem"])]])
        .settled_by(SHOW_LEAF),
    cause("tls-bad-certificate", Whose::Server,
        "What the server sent is not a certificate that go reads",
        "Malformed or empty, with a negative serial number, an unknown critical extension, or a damaged signature.",
        "The bytes served.")
        .finer_than("tls-cert-policy")
        .said_outright()
        .cured_by(&[&[
            server("Install the file again, or have it reissued.", &[]),
            client("For a negative serial number alone, while the certificate is being replaced.", &["GODEBUG=x509negativeserial=1 go mod download"]),
        ]])
        .settled_by(SHOW_LEAF),
    cause("tls-version-too-old", Whose::Server,
        "The server speaks only old versions of TLS",
        "Only TLS 1.0 or 1.1 is offered; go needs 1.2.",
        "Which versions the server accepts, or alert 70.")
        .finer_than("tls-handshake-alert")
        .said_outright()
        .cured_by(&[MODERN_TLS])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-no-shared-cipher", Whose::Server,
        "Server and client have no cipher suite or group in common",
        "The server offers only what go does not: static RSA, DHE, Camellia, X448.",
        "Which suites and groups the server accepts.")
        .finer_than("tls-handshake-alert")
        .cured_by(&[MODERN_TLS, &[client("For static RSA alone, while the server is being mended.", &["GODEBUG=tlsrsakex=1 go mod download"])]])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-client-cert-required", Whose::Server,
        "The server wants a certificate of the client",
        "go cannot present one to a GOPROXY.",
        "The server's request for a certificate.")
        .finer_than("tls-handshake-alert")
        .said_outright()
        .cured_by(&[&[
            server("Exempt the path of the module proxy.", &[]),
            client("Or put a local proxy between that holds the certificate.", &[]),
            at(Whose::Server, "nginx", "Ask for it, but do not demand it.", &["ssl_verify_client optional;"]),
        ]])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-sni-refused", Whose::Server,
        "The server does not know this name",
        "The server, or a filter before it, refuses the name in the greeting.",
        "Alert 112; another name, or none, passes.")
        .finer_than("tls-handshake-alert")
        .said_outright()
        .cured_by(&[&[server("Add a site for the name, or point the name to the host that has one.", &[])]])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-alpn", Whose::Server,
        "Server and client do not agree on the protocol inside of TLS",
        "The server insists on another protocol than HTTP, or agrees on HTTP/2 and speaks HTTP/1.1.",
        "Alert 120, or the first bytes after the handshake.")
        .finer_than("tls-handshake-alert")
        .said_outright()
        .cured_by(&[&[
            server("Offer http/1.1, and correct the protocol list of whatever ends TLS.", &[]),
            at(Whose::Server, "haproxy", "Name both protocols.", &["bind :443 ssl crt /etc/haproxy/site.pem alpn h2,http/1.1"]),
            client("As a test.", &["GODEBUG=http2client=0 go mod download"]),
        ]])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-hello-too-large", Whose::Network,
        "A device on the way drops large TLS greetings",
        "Since Go 1.24 the greeting holds a post-quantum key share and needs two packets. Old devices reset or drop such a connection.",
        "A small greeting passes, a large one fails.")
        .finer_than("net-reset")
        .cured_by(&[&[
            at(Whose::Network, "any", "Update the device.", &[]),
            client("Until then.", &["export GODEBUG=tlsmlkem=0"]),
        ]])
        .settled_by("GODEBUG=tlsmlkem=0 go mod download {module}@{version}"),
    cause("tls-not-tls", Whose::Client,
        "The port speaks neither TLS nor HTTP",
        "ssh, mail or something else answers there.",
        "The first bytes of the answer.")
        .finer_than("tls-plain-http")
        .cured_by(&[&[client("Correct the port.", &["go env GOPROXY"])]])
        .settled_by("larder doctor https://{host}/"),
    cause("tls-truncated", Whose::Server,
        "The other side hangs up in the handshake",
        "The connection ends in answer to the greeting, whatever its size: a firewall that knows the name, a load balancer that wants the PROXY protocol, a port without TLS.",
        "The connection ends after the greeting and before the handshake's end.")
        .finer_than("net-reset")
        .cured_by(&[&[server("See the load balancer's listener: TLS, PROXY protocol, living servers behind.", &[])], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
    cause("http-to-tls-port", Whose::Client,
        "Plain HTTP was sent to a TLS port",
        "The URL says http:// and the port wants TLS.",
        "The port answers a TLS greeting.")
        .finer_than("proxy-bad-body")
        .said_outright()
        .cured_by(&[&[client("Write https:// in GOPROXY.", &["go env GOPROXY", "go env -w GOPROXY=https://proxy.corp.example,direct"])]]),
    cause("captive-portal", Whose::Network,
        "A login or block page answers in place of the service",
        "The network answers every request with a page of its own until somebody logs in, or because a filter forbids the host.",
        "A web page for paths that no server can have.")
        .finer_than("proxy-bad-body")
        .cured_by(&[&[client("Open any page in a browser, log in, and repeat.", &[])]])
        .settled_by("larder doctor https://{host}/"),
    cause("redirect-loop", Whose::ModuleProxy,
        "The proxy redirects in a circle",
        "After ten redirects go gives up: mostly a server behind a load balancer that does not know by which scheme it was asked.",
        "The Location headers.")
        .finer_than("proxy-bad-body")
        .said_outright()
        .cured_by(&[&[
            at(Whose::ModuleProxy, "nginx", "Pass on scheme and host.", &["proxy_set_header X-Forwarded-Proto $scheme;", "proxy_set_header Host $host;"]),
            at(Whose::ModuleProxy, "any", "Set the external URL with its scheme in the server's settings.", &[]),
        ]]),
    cause("redirect-insecure", Whose::ModuleProxy,
        "The proxy redirects from https to http",
        "go refuses to leave TLS.",
        "The Location header.")
        .finer_than("proxy-bad-body")
        .said_outright()
        .cured_by(&[&[at(Whose::ModuleProxy, "any", "Set the external URL with https in the server's settings.", &[])]]),
    cause("redirect-private", Whose::ModuleProxy,
        "A server outside redirects into a private network",
        "The redirect names a place of a private network, or of this machine: a network's login page, a service that knows only its inside name, or somebody who wants a machine inside to ask there. go would follow.",
        "The Location header, and the addresses of the host that it names.")
        .finer_than("proxy-bad-body")
        .confused_with(&["captive-portal"])
        .cured_by(&[&[
            client("If it is a login page, log in and repeat. If the place is your own, have it looked at as such.", &["larder doctor https://HOST/"]),
            at(Whose::ModuleProxy, "any", "Set the external URL in the server's settings.", &[]),
        ]])
        .settled_by("larder doctor https://{host}/"),
    cause("body-truncated", Whose::Network,
        "The answer ends before it is complete",
        "Fewer bytes came than were promised: a broken line, a filter that stops certain files, a damaged copy at a delivery network.",
        "Bytes received against bytes promised.")
        .finer_than("net-reset")
        .confused_with(&["net-reset", "net-http2-stream"])
        .cured_by(&[&[client("Repeat; if it is always the same file, suspect a filter or a damaged copy and take another source.", &["go mod download"])], ANOTHER_SOURCE])
        .settled_by("go mod download -x {module}@{version}"),
    cause("no-answer", Whose::Server,
        "The server takes the request and says nothing",
        "The handshake is done and the request sent; then the connection is closed or silent. go waits for ever on silence.",
        "No byte after the request.")
        .finer_than("net-reset")
        .cured_by(&[&[server("Look at the application behind whatever ends TLS.", &[])], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
    cause("proxy-auth-required", Whose::Client,
        "The module proxy wants a login",
        "The proxy answered 401: there were no credentials for its host, or wrong ones.",
        "The 401 and its WWW-Authenticate header.")
        .finer_than("proxy-forbidden")
        .said_outright()
        .cured_by(&[&[
            client("Name the credentials for its host in the netrc file (mode 600); since Go 1.24 GOAUTH can name a helper.", &["printf 'machine HOST login USER password TOKEN\\n' >> ~/.netrc && chmod 600 ~/.netrc", "go env GOAUTH"]),
            at(Whose::Client, "windows", "The file is %USERPROFILE%\\_netrc.", &[]),
            at(Whose::Client, "docker", "Hand it to the build as a secret.", &["RUN --mount=type=secret,id=netrc,target=/root/.netrc go mod download"]),
        ]]),
    cause("proxy-offline", Whose::ModuleProxy,
        "The module proxy may not fetch, and has not stored it",
        "The proxy runs offline, or the request itself forbade a download, and this version was never fetched through it.",
        "The proxy's own words.")
        .finer_than("proxy-server-error")
        .confused_with(&["proxy-not-found"])
        .cured_by(&[&[
            at(Whose::ModuleProxy, "any", "Fetch the version through it once while it is online, or fill its folder from one that has it.", &["larder exec -- go mod download"]),
            client("Take a version that it has.", &["go list -m -versions MODULE"]),
        ], ANOTHER_SOURCE]),
    cause("proxy-overloaded", Whose::ModuleProxy,
        "The module proxy has too much to do",
        "More requests wait for its upstream than it lets wait, so it turned this one away and said when to come back.",
        "The status 503 with Retry-After.")
        .finer_than("proxy-server-error")
        .confused_with(&["proxy-rate-limit"])
        .cured_by(&[&[
            client("Repeat in some seconds; what was fetched meanwhile is stored.", &["go mod download"]),
            at(Whose::ModuleProxy, "any", "Look at how fast its upstream answers, and how many requests may wait.", &[]),
        ]]),
    cause("proxy-upstream-unreachable", Whose::ModuleProxy,
        "The module proxy cannot reach its own upstream",
        "The proxy that was asked is sound, but it had to fetch, and the connection to its upstream could not be made, broke or stalled. What it has stored is still served.",
        "The proxy's own words, or the same connection tried from its machine.")
        .finer_than("proxy-server-error")
        .confused_with(&["proxy-overloaded"])
        .cured_by(&[&[
            at(Whose::ModuleProxy, "any", "On the proxy's machine, find out which stage of the way to its upstream fails.", &["larder doctor UPSTREAM_URL"]),
            client("Repeat later; behind `|` go asks the next entry of GOPROXY meanwhile.", &["GOPROXY='https://proxy.corp.example|direct' go mod download"]),
        ], ANOTHER_SOURCE]),
    cause("proxy-loop", Whose::ModuleProxy,
        "The module proxy's upstream leads back to itself",
        "A request came back to the proxy that had sent it on: its list of upstreams names its own address, or another proxy that asks it.",
        "The proxy's own name in the Via header of what it receives.")
        .finer_than("proxy-server-error")
        .cured_by(&[&[
            at(Whose::ModuleProxy, "any", "Take the entry out of its list of upstreams; GOPROXY of the shell that starts it may be where the list comes from.", &["go env GOPROXY"]),
        ], ANOTHER_SOURCE]),
    cause("dns-nxdomain", Whose::Client,
        "The name does not exist",
        "The resolver answered that there is no such name, or none with an address: a typing error, a name that exists only inside the company's network, a missing search domain.",
        "The resolver's answer.")
        .finer_than("net-dns")
        .said_outright()
        .cured_by(&[&[client("See the spelling; for internal names connect the VPN.", &["go env GOPROXY"])], CHECK_DNS])
        .settled_by("larder doctor https://{host}/"),
    cause("dns-server-failure", Whose::Network,
        "The resolver failed",
        "It answered SERVFAIL or REFUSED: its own way to the zone is broken, or it does not serve this client.",
        "The answer's code.")
        .finer_than("net-dns")
        .said_outright()
        .cured_by(&[CHECK_DNS])
        .settled_by("larder doctor https://{host}/"),
    cause("dns-unreachable", Whose::Network,
        "The resolver does not answer",
        "The question went to port 53 and nothing came back, or nobody listens there. The server itself was never dialled.",
        "No answer from each server of resolv.conf.")
        .finer_than("net-dns")
        .said_outright()
        .cured_by(&[CHECK_DNS])
        .settled_by("larder doctor https://{host}/"),
    cause("ipv6-broken", Whose::Network,
        "IPv6 does not work here",
        "The host has an IPv6 address, and this machine or network has no way to it.",
        "Each address tried alone: IPv4 works, IPv6 does not.")
        .finer_than("net-refused")
        .cured_by(&[&[
            at(Whose::Network, "any", "Mend IPv6, or do not announce it.", &[]),
            at(Whose::Client, "docker", "Switch IPv6 on for the daemon's networks, or off in the container.", &["sysctl -w net.ipv6.conf.all.disable_ipv6=1"]),
        ]])
        .settled_by("larder doctor https://{host}/"),
    cause("http-proxy-unreachable", Whose::Client,
        "The HTTP proxy cannot be reached",
        "HTTP_PROXY or HTTPS_PROXY names an address that refuses, does not answer or does not resolve: a setting of another network, or 127.0.0.1 inside a container.",
        "The address of the proxy, dialled.")
        .finer_than("http-proxy-bad")
        .said_outright()
        .cured_by(&[&[client("Correct it, or unset it outside of the company's network.", &["unset HTTP_PROXY HTTPS_PROXY http_proxy https_proxy"])], CHECK_HTTP_PROXY])
        .settled_by("env | grep -i _proxy"),
    cause("http-proxy-forbidden", Whose::HttpProxy,
        "The HTTP proxy does not allow this host",
        "The proxy answered 403 to CONNECT. go prints the bare word; the module proxy was never reached.",
        "The answer to CONNECT.")
        .finer_than("http-proxy-bad")
        .said_outright()
        .cured_by(&[&[at(Whose::HttpProxy, "any", "Have the host allowed, or use a module proxy that is.", &[])], ANOTHER_SOURCE])
        .settled_by("larder doctor https://{host}/"),
    cause("http-proxy-upstream", Whose::HttpProxy,
        "The HTTP proxy cannot reach the host",
        "The proxy answered 502, 503 or 504 to CONNECT: it could not resolve or reach the destination. For internal names it must not be asked at all.",
        "The answer to CONNECT.")
        .finer_than("http-proxy-bad")
        .said_outright()
        .cured_by(&[&[client("Take internal names out of its way.", &["export NO_PROXY=localhost,127.0.0.1,.corp.example"]), at(Whose::HttpProxy, "any", "Its operator sees why.", &[])]])
        .settled_by("larder doctor https://{host}/"),
    cause("http-proxy-no-answer", Whose::HttpProxy,
        "The HTTP proxy takes the connection and says nothing",
        "CONNECT was sent, and the proxy closed or stayed silent.",
        "No byte in answer to CONNECT.")
        .finer_than("http-proxy-bad")
        .cured_by(&[&[at(Whose::HttpProxy, "any", "Its operator sees why.", &[])], CHECK_HTTP_PROXY])
        .settled_by("larder doctor https://{host}/"),
    cause("http-proxy-config", Whose::HttpProxy,
        "HTTPS_PROXY does not name an HTTP proxy",
        "Its value is malformed, has the wrong scheme, or names a web page or a SOCKS server.",
        "The value, and the first bytes that the address answers.")
        .finer_than("http-proxy-bad")
        .cured_by(&[CHECK_HTTP_PROXY])
        .settled_by("env | grep -i _proxy"),
    cause("sumdb-bad-answer", Whose::Network,
        "Something else answers in the checksum database's place",
        "The answer is no record of the database: a page, or an error that came with status 200.",
        "The body of a lookup.")
        .finer_than("sumdb-unreachable")
        .confused_with(&["captive-portal", "sumdb-unreachable"])
        .cured_by(&[&[client("See what answers; use a GOPROXY that serves /sumdb/.", &["curl -sSi https://sum.golang.org/latest"])]])
        .settled_by("curl -sSi https://sum.golang.org/latest"),
    cause("sumdb-wrong-key", Whose::Client,
        "The note is not signed by the configured key",
        "GOSUMDB names another key than the one that signed. If the name and key are right, somebody else speaks for the database.",
        "The signer of the note against GOSUMDB.")
        .finer_than("sumdb-config")
        .confused_with(&["sumdb-config", "sumdb-bad-answer"])
        .cured_by(&[&[client("Correct name and key; if they are right, treat it as tampering.", &["go env GOSUMDB", "go env -u GOSUMDB"])]])
        .settled_by("go env GOSUMDB; curl -sS https://sum.golang.org/latest"),
    cause("vcs-host-key-changed", Whose::CodeHost,
        "The code host shows another ssh key than before",
        "The host was set up anew and its key changed, or somebody stands between.",
        "known_hosts against the key that is offered.")
        .finer_than("vcs-host-key")
        .said_outright()
        .cured_by(&[&[client("Compare with the fingerprint that the host publishes first; only then forget the old key.", &["ssh-keyscan HOST | ssh-keygen -lf -", "ssh-keygen -R HOST"])]]),
];
