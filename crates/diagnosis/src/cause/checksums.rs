//! go.sum and the checksum database.

use super::shared_cures::{ANOTHER_SOURCE, MARK_PRIVATE};
use super::{Cause, Whose, at, cause, client};

const ASK_DATABASE: &str = "curl -sSi https://sum.golang.org/lookup/{module}@{version}";

pub(super) const CAUSES: &[Cause] = &[
    cause("sum-mismatch-gosum", Whose::CodeHost,
        "The download differs from what go.sum recorded",
        "The bytes are not those that this project was built with before: a tag was moved, a proxy and the code host disagree, or somebody changed them.",
        "Both sums.")
        .said_outright()
        .cured_by(&[&[
            client("Compare with the checksum database and with a second source before go.sum is touched.", &[
                "curl -sS https://sum.golang.org/lookup/MODULE@VERSION",
                "GOFLAGS=-modcacherw GOMODCACHE=$(mktemp -d) GOPROXY=direct go mod download -json MODULE@VERSION",
            ]),
            client("Where the database agrees with go.sum the download is wrong: purge the source's copy. Where it agrees with the download, go.sum is old: take its line out and add it anew.", &["go clean -modcache"]),
        ]]),
    cause("sum-mismatch-sumdb", Whose::ModuleProxy,
        "The download differs from what the whole world sees",
        "The checksum database knows another sum for this version. The source served other bytes than everybody got: a tag moved after it was first seen, or tampering.",
        "Both sums, and a second source.")
        .said_outright()
        .cured_by(&[&[
            client("Stop; do not use these bytes. Fetch from a second source and compare.", &["GOMODCACHE=$(mktemp -d) GOPROXY=direct go mod download -json MODULE@VERSION"]),
            at(Whose::ModuleProxy, "any", "Purge the copy. Report a moved tag to the module's author.", &[]),
        ], MARK_PRIVATE]),
    cause("sum-missing-entry", Whose::Client,
        "go.sum lacks a line",
        "A needed module has no sum in go.sum, and this command may not add one.",
        "The message.")
        .said_outright()
        .cured_by(&[&[client("Let go complete the file, and commit it.", &["go mod tidy", "git add go.mod go.sum"])]]),
    cause("sumdb-unreachable", Whose::Network,
        "The checksum database cannot be reached",
        "The download passed, but the question to the checksum database failed: it is blocked here, or the proxy that passes it on is down.",
        "A lookup over the same way.")
        .confused_with(&["net-timeout", "net-refused", "proxy-server-error"])
        .cured_by(&[&[
            client("Let the database through, or use a GOPROXY that serves /sumdb/ for it.", &["curl -sSi \"$(go env GOPROXY | cut -d, -f1)/sumdb/sum.golang.org/supported\""]),
            client("Or name a mirror of the database; its signature stays that of the database.", &["go env -w GOSUMDB='sum.golang.org https://sumdb.corp.example'"]),
        ]])
        .settled_by("curl -sSi https://sum.golang.org/latest"),
    cause("sumdb-not-found", Whose::ChecksumDatabase,
        "The checksum database does not know this version",
        "The database, or a proxy that passes it on, answered 404 or 410. The indented text behind `server response:` has the reason; without it a private module, a version that is gone, and a proxy that does not pass on look the same.",
        "The body of the lookup.")
        .confused_with(&["private-not-excluded", "sumdb-fetch-timeout", "ver-unknown-revision"])
        .cured_by(&[&[client("Read the database's own reason.", &["curl -sS https://sum.golang.org/lookup/MODULE@VERSION"])], MARK_PRIVATE])
        .settled_by(ASK_DATABASE),
    cause("sumdb-fetch-timeout", Whose::ChecksumDatabase,
        "The checksum database gave up fetching the module",
        "The database fetches what it does not know yet, and this repository was too slow or too large for it.",
        "The message.")
        .said_outright()
        .confused_with(&["sumdb-not-found"])
        .cured_by(&[&[client("Ask again in some minutes: what was fetched by then is kept.", &["go mod download MODULE@VERSION"])]]),
    cause("sumdb-config", Whose::Client,
        "GOSUMDB has a value that go cannot read",
        "GOSUMDB is a known name, `NAME+KEY`, `NAME+KEY URL`, or `off`.",
        "The value.")
        .said_outright()
        .cured_by(&[&[client("See the value and where it comes from, then correct it.", &["go env GOSUMDB", "go env -u GOSUMDB"])]]),
    cause("sumdb-local-state", Whose::Client,
        "The remembered state of the checksum database does not fit",
        "Below the module cache, and under pkg/sumdb, go keeps what it saw of the database. That copy is damaged, or newer than what the database shows now.",
        "The local note does not verify, or is newer than the database.")
        .cured_by(&[&[client("Remove the remembered state and fetch again; if it returns, suspect whoever serves the database here.", &[
            "rm -rf \"$(go env GOPATH)/pkg/sumdb\" \"$(go env GOMODCACHE)/cache/download/sumdb\"",
        ])], ANOTHER_SOURCE])
        .settled_by("curl -sSi https://sum.golang.org/latest"),
];
