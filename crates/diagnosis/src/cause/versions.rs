//! Versions, module paths, the Go version itself, the local disk.

use super::{Cause, Whose, at, cause, client};

const VERSIONS: &str = "go list -m -versions {module}";

pub(super) const CAUSES: &[Cause] = &[
    cause("ver-unknown-revision", Whose::Client,
        "There is no such version",
        "The tag or commit is gone, never existed, lacks its `v`, or was asked for before it existed and is remembered as absent.",
        "The source's list of tags.")
        .confused_with(&["vcs-auth-https", "private-not-excluded"])
        .cured_by(&[&[client("See what there is and take one of those.", &["go list -m -versions MODULE", "go get MODULE@VERSION"])]])
        .settled_by(VERSIONS),
    cause("ver-path-mismatch", Whose::Client,
        "The module calls itself by another path",
        "Its go.mod declares another path than the one it was asked under: it moved, or is a fork.",
        "The go.mod that is served.")
        .said_outright()
        .cured_by(&[&[client("Use the declared path; a fork is put in the place of the original.", &["go get DECLARED/PATH@VERSION", "go mod edit -replace ORIGINAL/PATH=FORK/PATH@VERSION"])]]),
    cause("ver-major-suffix", Whose::Client,
        "Major version and module path do not fit",
        "From v2 on the module path ends in /vN, and below it must not.",
        "Path against version.")
        .said_outright()
        .cured_by(&[&[client("Ask for the path with the suffix of the major version.", &["go get MODULE/v2@v2.0.0"])]]),
    cause("ver-pseudo-invalid", Whose::Client,
        "The pseudo-version does not fit its commit",
        "Time, base version and commit of a pseudo-version must agree with the repository; written by hand, or after history was rewritten, they do not.",
        "Time and commit against the repository.")
        .confused_with(&["ver-unknown-revision"])
        .cured_by(&[&[client("Name the commit and let go write the version.", &["go get MODULE@COMMIT"])]])
        .settled_by("go list -m {module}@latest"),
    cause("ver-no-match", Whose::Client,
        "No version matches",
        "There is no tag that the query could mean.",
        "The list of versions.")
        .cured_by(&[&[client("See what there is, then ask for one of those or for a commit.", &["go list -m -versions MODULE", "go get MODULE@COMMIT"])]])
        .settled_by(VERSIONS),
    cause("ver-package-missing", Whose::Client,
        "This version of the module has no such package",
        "The module was found, but the package is not in it: it moved, was removed, or came later.",
        "The list of the zip's files.")
        .said_outright()
        .cured_by(&[&[client("Use the version that has the package, or its new import path.", &["go get MODULE@VERSION", "go mod tidy"])]]),
    cause("ver-ambiguous-import", Whose::Client,
        "Two modules hold the same package",
        "A package was split off into a module of its own, and both versions in use still hold it.",
        "Both modules are named.")
        .said_outright()
        .cured_by(&[&[client("Upgrade the outer module to a version without the package, or exclude the old one.", &["go get OUTER/MODULE@latest", "go mod why -m OUTER/MODULE"])]]),
    cause("pkg-not-required", Whose::Client,
        "No module in go.mod provides the package",
        "The package is imported, and no requirement holds it.",
        "go.mod.")
        .confused_with(&["ver-no-match"])
        .cured_by(&[&[client("Add it.", &["go get PACKAGE", "go mod tidy"])]]),
    cause("gomod-bad-path", Whose::Client,
        "That is no path of a module",
        "An import path outside of the standard library begins with a host name, with a dot in it. A name without one is taken for the standard library.",
        "The path.")
        .confused_with(&["goroot-wrong"])
        .cured_by(&[&[
            client("Write the full path, beginning with your own module's path for local packages.", &["go list -m"]),
            client("For several local modules use a workspace or a replacement.", &["go work init . ./OTHER", "go mod edit -replace NAME=../OTHER"]),
        ]])
        .settled_by("go list -m"),
    cause("case-collision", Whose::Client,
        "One module is imported in two spellings",
        "Paths that differ only in capital letters are two modules for go, and cannot be used together.",
        "Both spellings.")
        .said_outright()
        .cured_by(&[&[client("Use one spelling everywhere; for a dependency's import replace the other.", &["go mod why -m WRONG/SPELLING", "go mod edit -replace WRONG/SPELLING=RIGHT/SPELLING@VERSION"])]]),
    cause("go-too-old", Whose::Client,
        "This Go is too old",
        "A module or a directive needs a newer Go than the one that runs. A linter that complains of a directive is itself built with an old Go.",
        "`go version` against the go line.")
        .said_outright()
        .cured_by(&[&[
            client("Install a newer Go, or let go fetch the right one.", &["go version", "go env -w GOTOOLCHAIN=auto"]),
            at(Whose::Client, "docker", "Raise the image's tag.", &["FROM golang:1.26"]),
            at(Whose::Client, "ci", "Take the version from go.mod.", &["uses: actions/setup-go@v5", "with: { go-version-file: go.mod }"]),
        ]])
        .settled_by("go version; go env GOTOOLCHAIN"),
    cause("toolchain-unavailable", Whose::Client,
        "The Go toolchain cannot be downloaded",
        "go.mod asks for a toolchain that does not exist under this name (a release has three numbers: 1.23.0), or that the proxy does not pass on.",
        "The toolchain's URL at each source.")
        .cured_by(&[&[
            client("Write the full version, or install that Go and forbid the switch.", &["go mod edit -go=1.23.0", "go env -w GOTOOLCHAIN=local"]),
            at(Whose::ModuleProxy, "any", "Pass on golang.org/toolchain as any other module.", &[]),
        ]])
        .settled_by("go list -m -versions golang.org/toolchain"),
    cause("disk-full", Whose::Client,
        "The disk is full",
        "There is no room, or no inode, where go writes. It looks like a broken download.",
        "Free blocks and inodes.")
        .said_outright()
        .cured_by(&[&[
            client("Free some, or move the folders.", &["df -h \"$(go env GOMODCACHE)\" /tmp", "df -i /tmp", "go clean -cache", "export GOTMPDIR=/large/tmp"]),
            at(Whose::Client, "docker", "Remove what no container uses.", &["docker system df", "docker system prune"]),
        ]]),
    cause("disk-permission", Whose::Client,
        "go may not write its folders",
        "The module cache, the build cache or the temporary folder belongs to another user, or is mounted read-only.",
        "Owner and mode of the folder.")
        .said_outright()
        .cured_by(&[&[
            client("Own the folder, or use another one.", &["ls -ld \"$(go env GOMODCACHE)\"", "sudo chown -R \"$(id -u)\" \"$(go env GOMODCACHE)\"", "export GOMODCACHE=\"$HOME/go-modules\""]),
            at(Whose::Client, "docker", "Give the build's user a folder of its own.", &["ENV GOMODCACHE=/tmp/go-modules GOCACHE=/tmp/go-build"]),
        ]]),
    cause("cache-lock", Whose::Client,
        "The module cache cannot be locked",
        "go locks files in the module cache, and the file system (an old NFS, some network mounts) cannot.",
        "The file system in use.")
        .said_outright()
        .cured_by(&[&[client("Put the module cache on a local file system.", &["export GOMODCACHE=/var/tmp/go-modules"])]]),
    cause("zip-bad-path", Whose::CodeHost,
        "The module holds file names that a zip may not",
        "A file in the tag has a character that not every system allows, or two differ only in capital letters. No such version can become a module.",
        "The file names in the tag.")
        .said_outright()
        .cured_by(&[&[
            at(Whose::CodeHost, "any", "Rename the file and tag a new version.", &[]),
            client("Use an older version.", &["go list -m -versions MODULE"]),
        ]]),
];
