//! Private modules, git and the other version control programs, code hosts.

use super::shared_cures::{GIT_CREDENTIALS, INSTALL_ROOTS, MARK_PRIVATE, TRUST_A_CA};
use super::{Cause, Whose, at, cause, client, server};

const ASK_HOST: &str = "GIT_TERMINAL_PROMPT=0 git ls-remote https://{module}";
const ASK_TAG: &str = "curl -sS \"https://{module}?go-get=1\" | grep -i go-import";

pub(super) const CAUSES: &[Cause] = &[
    cause("private-not-excluded", Whose::Client,
        "A private module is asked for in public",
        "The public mirror or checksum database was asked about a module that it cannot see. GOPRIVATE on this client does not name it. The failure that is quoted happened at the other side.",
        "The path matches no pattern of GOPRIVATE, and its host is not public.")
        .confused_with(&["sumdb-not-found", "vcs-repo-not-found"])
        .cured_by(&[MARK_PRIVATE])
        .settled_by("go env GOPRIVATE GONOSUMDB GOPROXY"),
    cause("vcs-auth-https", Whose::Client,
        "The code host wants to know who asks",
        "The repository needs a login over HTTPS, and git had none and could not ask. Code hosts answer the same for a repository that does not exist.",
        "The host answers 401 or 403, and the repository exists.")
        .confused_with(&["vcs-repo-not-found", "private-not-excluded"])
        .cured_by(&[GIT_CREDENTIALS, MARK_PRIVATE])
        .settled_by(ASK_HOST),
    cause("vcs-repo-not-found", Whose::Client,
        "There is no such repository, or it is hidden",
        "The path is mistyped, the repository was renamed or removed, or these credentials may not see it.",
        "A look with the right credentials says that it does not exist.")
        .confused_with(&["vcs-auth-https"])
        .cured_by(&[&[
            client("Correct the import path; a moved module can be replaced until its users follow.", &["go mod edit -replace OLD/PATH=NEW/PATH@VERSION"]),
        ], GIT_CREDENTIALS])
        .settled_by(ASK_HOST),
    cause("vcs-ssh-auth", Whose::Client,
        "The code host does not accept the ssh key",
        "git went by ssh, often because a rule rewrote https, and no key was offered that the account knows.",
        "The message.")
        .said_outright()
        .cured_by(&[&[
            client("Load the key, and see as whom the host knows you.", &["ssh-add -l", "ssh -T git@HOST"]),
            client("A rule that rewrites every https URL catches public modules too: narrow it to your organisation.", &["git config --global --get-regexp 'url.*insteadof'"]),
            at(Whose::Client, "docker", "Lend the agent to the build.", &["RUN --mount=type=ssh go mod download", "docker build --ssh default ."]),
            at(Whose::Client, "ci", "Load a deploy key before the download.", &["eval \"$(ssh-agent -s)\" && ssh-add - <<< \"$DEPLOY_KEY\""]),
        ]])
        .settled_by("ssh -vT git@{host}"),
    cause("vcs-host-key", Whose::Client,
        "The code host's ssh key is not known here",
        "ssh has never met this host and may not ask.",
        "No entry for the host in known_hosts.")
        .said_outright()
        .confused_with(&["vcs-host-key-changed"])
        .cured_by(&[&[
            client("Fetch the key, compare its fingerprint with the published one, then keep it.", &[
                "ssh-keyscan HOST > host.pub && ssh-keygen -lf host.pub",
                "cat host.pub >> ~/.ssh/known_hosts",
            ]),
            at(Whose::Client, "docker", "Put the compared key into the image.", &["COPY known_hosts /root/.ssh/known_hosts"]),
        ]]),
    cause("vcs-tls", Whose::Client,
        "git cannot verify or speak TLS with the host",
        "git has its own TLS library and its own list of authorities: it can fail where go succeeds, and the other way round.",
        "git fails where go's handshake with the same host passes.")
        .confused_with(&["tls-missing-ca-bundle", "tls-intercepted", "tls-untrusted-ca"])
        .cured_by(&[&[
            at(Whose::Client, "git", "Name the authority for this host alone.", &["git config --global http.https://HOST/.sslCAInfo /path/company-ca.pem"]),
            at(Whose::Client, "windows", "Let git use the system's store.", &["git config --global http.sslBackend schannel"]),
        ], INSTALL_ROOTS, TRUST_A_CA])
        .settled_by("GIT_CURL_VERBOSE=1 git ls-remote https://{module}"),
    cause("vcs-network", Whose::Network,
        "The transfer failed inside git",
        "git could not reach the code host, or the transfer broke off. Where the words stand inside a server's answer, it was that server's git, and this machine's network is sound.",
        "git's own message, and who ran git.")
        .confused_with(&["net-reset"])
        .cured_by(&[&[
            client("Repeat; inside a server's answer: ask again later, its operator cannot be hurried.", &["go mod download"]),
            client("Fetch through a module proxy rather than directly: one file in place of a history.", &["go env GOPROXY"]),
            at(Whose::Client, "git", "On thin lines HTTP/1.1 helps.", &["git config --global http.version HTTP/1.1"]),
        ]])
        .settled_by(ASK_HOST),
    cause("vcs-missing-binary", Whose::Client,
        "The version control program is not installed",
        "A module is fetched directly, and git (or hg, svn, bzr, fossil) is not on PATH.",
        "The program is not on PATH.")
        .said_outright()
        .cured_by(&[&[
            at(Whose::Client, "debian", "Install it.", &["sudo apt-get install -y git"]),
            at(Whose::Client, "rhel", "Install it.", &["sudo dnf install -y git"]),
            at(Whose::Client, "alpine", "Install it.", &["apk add --no-cache git"]),
            at(Whose::Client, "arch", "Install it.", &["sudo pacman -S git"]),
            at(Whose::Client, "macos", "Install it.", &["xcode-select --install"]),
            at(Whose::Client, "windows", "Install it, and open a new terminal.", &["winget install --id Git.Git"]),
            at(Whose::Client, "docker", "Install it in the image before the download.", &["RUN apk add --no-cache git"]),
            client("Or fetch through a module proxy: then no version control program is needed.", &["go env GOPROXY"]),
        ]]),
    cause("vcs-disallowed", Whose::Client,
        "GOVCS does not allow this version control program",
        "By default only git and hg are used for public modules.",
        "The message.")
        .said_outright()
        .cured_by(&[&[client("Allow it for this host alone, or fetch through a proxy.", &["go env -w GOVCS=HOST:svn,public:git|hg,private:all"])]]),
    cause("gitlab-subgroup", Whose::CodeHost,
        "GitLab tells strangers the wrong repository",
        "For a private project in a subgroup GitLab answers a request without credentials with the group above as repository root, so that go looks for a project that is not there.",
        "The go-import line fetched with and without credentials differs.")
        .confused_with(&["vcs-auth-https", "vcs-repo-not-found"])
        .cured_by(&[&[
            client("Give go a token for the host (netrc, mode 600): then it is told the right root.", &["printf 'machine HOST login USER password TOKEN\\n' >> ~/.netrc && chmod 600 ~/.netrc"]),
            client("Or say where the repository ends.", &["go get HOST/GROUP/SUBGROUP/PROJECT.git"]),
        ], MARK_PRIVATE])
        .settled_by(ASK_TAG),
    cause("goget-meta-missing", Whose::CodeHost,
        "The page does not say where the repository is",
        "go asked the import path's host for its go-import tag, and a page without one answered: a wrong path, a login page, or a site that does not serve the tag.",
        "The page itself.")
        .confused_with(&["captive-portal", "vcs-auth-https", "proxy-bad-body"])
        .cured_by(&[&[
            client("Correct the import path.", &[]),
            server("Serve the tag for the path and all paths below it.", &["<meta name=\"go-import\" content=\"example.com/module git https://git.example.com/module\">"]),
        ]])
        .settled_by(ASK_TAG),
    cause("insecure-http", Whose::Client,
        "The host offers only plain HTTP or a self-made certificate",
        "go refuses both unless GOINSECURE names the path; the old -insecure flag is gone since Go 1.17. GOINSECURE holds for direct fetches and never for a GOPROXY.",
        "The scheme that the host offers, and the flags in use.")
        .confused_with(&["tls-untrusted-ca", "net-refused"])
        .cured_by(&[&[
            server("Give the host TLS with a certificate from an authority that clients trust.", &[]),
            client("Take -insecure out of commands and GOFLAGS.", &["go env GOFLAGS", "go env -u GOFLAGS"]),
        ], TRUST_A_CA])
        .settled_by("larder doctor https://{host}/"),
];
