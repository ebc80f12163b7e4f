//! Cures that several causes share.

use super::{Cure, Whose, at, client, server};

/// How a certificate authority becomes known on a client, everywhere that the same hosts are met.
pub(super) const TRUST_A_CA: &[Cure] = &[
    at(
        Whose::Client,
        "debian",
        "Install the authority's certificate (PEM, name ending in .crt).",
        &[
            "sudo cp company-ca.crt /usr/local/share/ca-certificates/company-ca.crt",
            "sudo update-ca-certificates",
        ],
    ),
    at(
        Whose::Client,
        "rhel",
        "Install the authority's certificate.",
        &[
            "sudo cp company-ca.crt /etc/pki/ca-trust/source/anchors/",
            "sudo update-ca-trust",
        ],
    ),
    at(
        Whose::Client,
        "alpine",
        "Install the authority's certificate.",
        &[
            "apk add --no-cache ca-certificates",
            "cp company-ca.crt /usr/local/share/ca-certificates/company-ca.crt",
            "update-ca-certificates",
        ],
    ),
    at(
        Whose::Client,
        "arch",
        "Install the authority's certificate.",
        &["sudo trust anchor --store company-ca.crt"],
    ),
    at(
        Whose::Client,
        "macos",
        "Add it to the system keychain; go asks the keychain on macOS.",
        &[
            "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain company-ca.crt",
        ],
    ),
    at(
        Whose::Client,
        "windows",
        "Add it to the machine's root store (as administrator).",
        &["certutil -addstore -f Root company-ca.crt"],
    ),
    at(
        Whose::Client,
        "docker",
        "Install it in the image before the first download.",
        &[
            "COPY company-ca.crt /usr/local/share/ca-certificates/company-ca.crt",
            "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && update-ca-certificates",
            "RUN go mod download",
        ],
    ),
    at(
        Whose::Client,
        "ci",
        "In a job, name a bundle that holds the public roots and yours: go on Linux reads this file.",
        &[
            "cat /etc/ssl/certs/ca-certificates.crt company-ca.crt > \"$HOME/ca-bundle.pem\"",
            "export SSL_CERT_FILE=\"$HOME/ca-bundle.pem\"",
        ],
    ),
    at(
        Whose::Client,
        "git",
        "git has a list of its own; limit it to the host.",
        &["git config --global http.https://HOST/.sslCAInfo /etc/ssl/certs/ca-certificates.crt"],
    ),
    at(
        Whose::Client,
        "java",
        "Java keeps its own store.",
        &[
            "keytool -importcert -cacerts -storepass changeit -noprompt -alias company-ca -file company-ca.crt",
        ],
    ),
    at(
        Whose::Client,
        "python",
        "Python's requests and pip read a bundle named by the environment.",
        &["export REQUESTS_CA_BUNDLE=\"$HOME/ca-bundle.pem\""],
    ),
    at(
        Whose::Client,
        "node",
        "Node adds the certificates of one file.",
        &["export NODE_EXTRA_CA_CERTS=/path/company-ca.crt"],
    ),
];

/// The system's own list of authorities, installed or brought up to date.
pub(super) const INSTALL_ROOTS: &[Cure] = &[
    at(
        Whose::Client,
        "debian",
        "Install or update the list of authorities.",
        &[
            "sudo apt-get update && sudo apt-get install -y ca-certificates && sudo update-ca-certificates",
        ],
    ),
    at(
        Whose::Client,
        "rhel",
        "Install or update the list of authorities.",
        &["sudo dnf install -y ca-certificates && sudo update-ca-trust"],
    ),
    at(
        Whose::Client,
        "alpine",
        "Install the list of authorities.",
        &["apk add --no-cache ca-certificates"],
    ),
    at(
        Whose::Client,
        "arch",
        "Update the list of authorities.",
        &["sudo pacman -S ca-certificates"],
    ),
    at(
        Whose::Client,
        "macos",
        "Authorities come with the system's updates.",
        &["softwareupdate --install --all"],
    ),
    at(
        Whose::Client,
        "windows",
        "Fetch the current roots through Windows Update (as administrator).",
        &[
            "certutil -generateSSTFromWU roots.sst",
            "certutil -addstore -f Root roots.sst",
        ],
    ),
    at(
        Whose::Client,
        "docker",
        "Copy the list into an image that has none.",
        &[
            "COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt",
        ],
    ),
    client(
        "A bundle at another place is named to go on Linux by SSL_CERT_FILE; it must be PEM.",
        &[
            "export SSL_CERT_FILE=/path/ca-bundle.pem",
            "head -c 27 \"$SSL_CERT_FILE\"",
        ],
    ),
];

/// Where a server's certificate chain is configured.
pub(super) const SERVE_THE_CHAIN: &[Cure] = &[
    server(
        "Put the leaf and every intermediate into one file, leaf first, without the root.",
        &[
            "cat leaf.pem intermediate.pem > fullchain.pem",
            "openssl verify -untrusted intermediate.pem leaf.pem",
        ],
    ),
    at(
        Whose::Server,
        "nginx",
        "Name the whole chain, then reload.",
        &[
            "ssl_certificate     /etc/ssl/fullchain.pem;",
            "ssl_certificate_key /etc/ssl/key.pem;",
        ],
    ),
    at(
        Whose::Server,
        "apache",
        "Since 2.4.8 the chain belongs into SSLCertificateFile.",
        &[
            "SSLCertificateFile    /etc/ssl/fullchain.pem",
            "SSLCertificateKeyFile /etc/ssl/key.pem",
        ],
    ),
    at(
        Whose::Server,
        "haproxy",
        "One file: leaf, intermediates, key.",
        &[
            "cat /etc/ssl/fullchain.pem /etc/ssl/key.pem > /etc/haproxy/site.pem",
            "bind :443 ssl crt /etc/haproxy/site.pem",
        ],
    ),
    at(
        Whose::Server,
        "caddy",
        "Name the whole chain.",
        &["tls /etc/ssl/fullchain.pem /etc/ssl/key.pem"],
    ),
    at(
        Whose::Server,
        "traefik",
        "Name the whole chain in the dynamic configuration.",
        &[
            "tls:",
            "  certificates:",
            "    - certFile: /etc/ssl/fullchain.pem",
            "      keyFile: /etc/ssl/key.pem",
        ],
    ),
];

/// A new certificate in place of one that is refused.
pub(super) const REPLACE_CERTIFICATE: &[Cure] = &[
    server(
        "Look at what is really served; a renewed file is not served before a reload.",
        &[
            "openssl s_client -connect HOST:443 -servername HOST </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer -dates -serial -ext subjectAltName",
        ],
    ),
    at(
        Whose::Server,
        "nginx",
        "Reload after the file was replaced.",
        &["nginx -t && nginx -s reload"],
    ),
    at(
        Whose::Server,
        "apache",
        "Reload after the file was replaced.",
        &["apachectl configtest && apachectl graceful"],
    ),
    at(
        Whose::Server,
        "haproxy",
        "Reload after the file was replaced.",
        &["haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy"],
    ),
    at(
        Whose::Server,
        "caddy",
        "Caddy renews by itself; look why it could not.",
        &["journalctl -u caddy | grep -i certificate"],
    ),
    at(
        Whose::Server,
        "traefik",
        "Traefik renews by itself where the router names a resolver.",
        &["traefik.http.routers.modules.tls.certresolver=letsencrypt"],
    ),
];

/// Protocols and suites that every client of today has.
pub(super) const MODERN_TLS: &[Cure] = &[
    at(
        Whose::Server,
        "nginx",
        "Offer TLS 1.2 and 1.3 with common suites.",
        &[
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384;",
            "ssl_ecdh_curve X25519:prime256v1:secp384r1;",
        ],
    ),
    at(
        Whose::Server,
        "apache",
        "Offer TLS 1.2 and 1.3 with common suites.",
        &[
            "SSLProtocol -all +TLSv1.2 +TLSv1.3",
            "SSLCipherSuite ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
        ],
    ),
    at(
        Whose::Server,
        "haproxy",
        "Offer TLS 1.2 and newer, in the section `global`.",
        &[
            "ssl-default-bind-options ssl-min-ver TLSv1.2",
            "ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
        ],
    ),
    at(
        Whose::Server,
        "caddy",
        "The defaults are right; drop a narrower `tls` block.",
        &["tls {", "  protocols tls1.2 tls1.3", "}"],
    ),
    at(
        Whose::Server,
        "traefik",
        "Offer TLS 1.2 and newer.",
        &[
            "tls:",
            "  options:",
            "    default:",
            "      minVersion: VersionTLS12",
        ],
    ),
];

/// Another way to the same modules.
pub(super) const ANOTHER_SOURCE: &[Cure] = &[client(
    "Try the next source; behind `|` it is asked after any failure, behind `,` only after 404 and 410.",
    &[
        "go env GOPROXY",
        "GOPROXY='https://mirror.example|direct' go mod download",
    ],
)];

/// The proxy that HTTP_PROXY and HTTPS_PROXY name.
pub(super) const CHECK_HTTP_PROXY: &[Cure] = &[
    client(
        "See which HTTP proxy is in force; the scheme is nearly always http:// even for HTTPS_PROXY.",
        &[
            "env | grep -i _proxy",
            "export HTTPS_PROXY=http://proxy.example:3128 HTTP_PROXY=http://proxy.example:3128",
            "export NO_PROXY=localhost,127.0.0.1,.corp.example",
        ],
    ),
    at(
        Whose::Client,
        "docker",
        "Builds take the proxy as arguments; 127.0.0.1 would be the container itself.",
        &["docker build --build-arg HTTPS_PROXY --build-arg NO_PROXY ."],
    ),
    at(
        Whose::Client,
        "git",
        "git reads the same variables, and a setting of its own.",
        &["git config --global --get http.proxy"],
    ),
];

/// Names that cannot be resolved.
pub(super) const CHECK_DNS: &[Cure] = &[
    client(
        "Ask the resolver by hand, then another one.",
        &["nslookup HOST", "cat /etc/resolv.conf"],
    ),
    at(
        Whose::Client,
        "docker",
        "Give containers a resolver that they can reach (/etc/docker/daemon.json), then restart the daemon.",
        &["{ \"dns\": [\"192.0.2.53\"] }"],
    ),
    at(
        Whose::Client,
        "macos",
        "Look at all resolvers, a VPN's included.",
        &["scutil --dns"],
    ),
    at(
        Whose::Client,
        "windows",
        "Look at the resolvers and forget old answers.",
        &["ipconfig /all", "ipconfig /flushdns"],
    ),
];

/// Modules that only some may see.
pub(super) const MARK_PRIVATE: &[Cure] = &[
    client(
        "Tell go which paths are private: they are fetched directly and the checksum database is not asked.",
        &[
            "go env -w GOPRIVATE=git.corp.example/*,github.com/company/*",
            "go env GOPRIVATE GONOPROXY GONOSUMDB",
        ],
    ),
    at(
        Whose::Client,
        "docker",
        "Settings of `go env -w` do not reach a build; say it there.",
        &["ENV GOPRIVATE=git.corp.example/*"],
    ),
    at(
        Whose::Client,
        "ci",
        "The file of `go env -w` is another on every machine, and an exported value beats it: export it in the job.",
        &["export GOPRIVATE='git.corp.example/*'"],
    ),
];

/// Credentials for a code host.
pub(super) const GIT_CREDENTIALS: &[Cure] = &[
    client(
        "See what git itself says to this repository; go uses the same git.",
        &["GIT_TERMINAL_PROMPT=1 git ls-remote https://HOST/PATH"],
    ),
    client(
        "Give git a credential: a helper, or the netrc file (mode 600) with a token.",
        &[
            "git config --global credential.helper cache",
            "printf 'machine HOST login USER password TOKEN\\n' >> ~/.netrc && chmod 600 ~/.netrc",
        ],
    ),
    client(
        "Or let git go by ssh for that organisation.",
        &[
            "git config --global url.\"ssh://git@HOST/ORGANISATION/\".insteadOf \"https://HOST/ORGANISATION/\"",
        ],
    ),
    at(
        Whose::Client,
        "windows",
        "The file is called _netrc in %USERPROFILE%; or use the credential manager.",
        &["git config --global credential.helper manager"],
    ),
    at(
        Whose::Client,
        "docker",
        "Hand a token to the build as a secret, never as an argument.",
        &["RUN --mount=type=secret,id=netrc,target=/root/.netrc go mod download"],
    ),
    at(
        Whose::Client,
        "ci",
        "Use the job's own token.",
        &["git config --global url.\"https://oauth2:${TOKEN}@HOST/\".insteadOf \"https://HOST/\""],
    ),
];
