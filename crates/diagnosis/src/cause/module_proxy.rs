//! What a GOPROXY answers.

use super::shared_cures::ANOTHER_SOURCE;
use super::{Cause, Whose, at, cause, client};

const ASK_PROXY: &str = "curl -sSi \"$(go env GOPROXY | cut -d, -f1)/{module}/@v/list\"";

pub(super) const CAUSES: &[Cause] = &[
    cause("proxy-not-found", Whose::ModuleProxy,
        "The module proxy does not have what exists elsewhere",
        "A self-hosted proxy or repository manager answered 404 or 410: a hosted repository instead of one that pulls, a wrong base path, an upstream it cannot reach, or an absence that it remembered.",
        "Another source has it, and this proxy answers 404 or 410 for the list too.")
        .confused_with(&["ver-unknown-revision", "proxy-server-error"])
        .cured_by(&[&[
            at(Whose::ModuleProxy, "any", "Correct the base path and the upstream of the repository, and clear remembered absences.", &[]),
            client("Let go ask the code host where the proxy has nothing.", &["go env -w GOPROXY=https://proxy.corp.example,direct"]),
        ]])
        .settled_by(ASK_PROXY),
    cause("proxy-forbidden", Whose::ModuleProxy,
        "The module proxy refuses",
        "The proxy, its object store or a site's front answered that this client may not: an address range, an export rule, a policy of the company.",
        "The status, and who sent it.")
        .confused_with(&["proxy-auth-required", "http-proxy-bad"])
        .cured_by(&[&[
            at(Whose::ModuleProxy, "any", "Ask its operator for access, or for an exception to the policy.", &[]),
            client("In a comma list go stops at 403; the next entry is asked only after 404 and 410.", &["go env GOPROXY"]),
        ], ANOTHER_SOURCE])
        .settled_by(ASK_PROXY),
    cause("proxy-rate-limit", Whose::ModuleProxy,
        "Too many requests",
        "The server answered 429: this address asked too often.",
        "The status, and its Retry-After.")
        .said_outright()
        .cured_by(&[&[
            client("Wait, and run fewer jobs at once.", &[]),
            at(Whose::Client, "ci", "Keep the module cache between jobs, or put a caching proxy in front of them.", &["larder exec -- go mod download"]),
        ]]),
    cause("proxy-server-error", Whose::ModuleProxy,
        "The module proxy failed",
        "The proxy answered with a status of 500 or more. Its own log holds the cause.",
        "The status on repeated requests.")
        .cured_by(&[&[
            at(Whose::ModuleProxy, "any", "Read the proxy's log at that second; often its own way to the code host or its disk failed.", &[]),
            client("Behind a comma go does not go on after such a status; behind `|` it does.", &["GOPROXY='https://proxy.corp.example|direct' go mod download"]),
        ]])
        .settled_by(ASK_PROXY),
    cause("proxy-bad-body", Whose::ModuleProxy,
        "What answered is no module proxy",
        "A status or a body that the protocol does not know: a web page, a login form, an error page with status 200, another API.",
        "Status, content type and first bytes of the answer.")
        .confused_with(&["captive-portal", "proxy-server-error"])
        .cured_by(&[&[
            client("Look at the answer, then correct the URL of the proxy.", &["go env GOPROXY"]),
            at(Whose::ModuleProxy, "any", "Answer unknown paths, /sumdb/ among them, with 404.", &[]),
        ]])
        .settled_by(ASK_PROXY),
    cause("zip-invalid", Whose::ModuleProxy,
        "The zip is damaged or another module's",
        "What was served, or lies in a cache, is no module zip of this path: cut, replaced by a page, or holding files of another name.",
        "The bytes are no zip, or hold foreign names.")
        .said_outright()
        .confused_with(&["proxy-server-error"])
        .cured_by(&[&[
            client("Forget the local copy and fetch again.", &["go clean -modcache"]),
            at(Whose::ModuleProxy, "any", "Remove the copy from the proxy and from whatever delivers for it.", &[]),
        ], ANOTHER_SOURCE]),
    cause("module-too-large", Whose::CodeHost,
        "The module is larger than go allows",
        "A module's files may hold 500 MiB together. This one holds more.",
        "The message.")
        .said_outright()
        .cured_by(&[&[
            at(Whose::CodeHost, "any", "Keep large files out of the tag, or put a go.mod into the folder that holds them: it is another module then.", &[]),
            client("Use an older, smaller version.", &["go list -m -versions MODULE"]),
        ]]),
];
