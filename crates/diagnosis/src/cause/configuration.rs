//! Settings of the go command and of the project.

use super::{Cause, Whose, at, cause, client};

pub(super) const CAUSES: &[Cause] = &[
    cause("goproxy-config", Whose::Client,
        "GOPROXY has a value that go cannot read",
        "The list has no entry, or one without a scheme that go knows.",
        "The value.")
        .said_outright()
        .cured_by(&[&[client("Write a list of URLs, `direct` or `off`.", &["go env GOPROXY", "go env -w GOPROXY=https://mirror.example,direct"])]]),
    cause("goproxy-off", Whose::Client,
        "GOPROXY=off forbids every download",
        "go may use only what is in the module cache, and this was not.",
        "The value, and where it comes from.")
        .said_outright()
        .cured_by(&[&[client("Unset it, or fill the cache while there is a network.", &["go env -u GOPROXY", "go mod download"])]]),
    cause("gopath-mode", Whose::Client,
        "Modules are off, so that GOPROXY is not asked",
        "Messages that begin with `package` and name no version come from the old GOPATH mode: go asks every host itself, whatever GOPROXY says.",
        "GO111MODULE=off, or a Go before 1.16 outside of a module.")
        .confused_with(&["net-timeout"])
        .cured_by(&[&[client("Switch modules on, and work inside of one.", &["go env -u GO111MODULE", "go mod init example.com/project"])]])
        .settled_by("go env GO111MODULE GOMOD GOVERSION"),
    cause("no-main-module", Whose::Client,
        "There is no go.mod here",
        "The command needs a module around the working folder, and there is none up to the root.",
        "No go.mod from here up.")
        .said_outright()
        .cured_by(&[&[
            client("Go into the module's folder, or make one.", &["cd PROJECT", "go mod init example.com/project"]),
            client("A program is installed with its version, from anywhere.", &["go install MODULE/cmd/PROGRAM@latest"]),
        ]]),
    cause("vendor-mismatch", Whose::Client,
        "The vendor folder and go.mod disagree",
        "With a vendor folder go uses only what is in it, and vendor/modules.txt does not fit go.mod.",
        "vendor/modules.txt against go.mod.")
        .said_outright()
        .cured_by(&[&[client("Write the folder anew; for questions about other versions step around it.", &["go mod vendor", "go list -mod=mod -m -versions MODULE"])]]),
    cause("mod-readonly", Whose::Client,
        "go.mod or go.sum would have to change, and may not",
        "The files are not complete, and -mod=readonly (the default, and right for CI) forbids to complete them here.",
        "The flag in force.")
        .said_outright()
        .confused_with(&["go-too-old"])
        .cured_by(&[&[client("Complete the files where they may change, and commit them.", &["go mod tidy", "git add go.mod go.sum"])]]),
    cause("env-home-unset", Whose::Client,
        "go does not know where its folders are",
        "HOME, GOPATH or GOCACHE are not set: a service, a cron job or a minimal container.",
        "The variables are unset.")
        .said_outright()
        .cured_by(&[&[
            client("Set HOME, or the two folders.", &["export HOME=/var/lib/builder", "export GOMODCACHE=/var/cache/go/mod GOCACHE=/var/cache/go/build"]),
            at(Whose::Client, "docker", "Set them in the image.", &["ENV HOME=/home/builder"]),
            at(Whose::Client, "windows", "Set LocalAppData or the folders.", &["setx GOCACHE %USERPROFILE%\\go-build"]),
        ]]),
    cause("goroot-wrong", Whose::Client,
        "go looks for its own standard library in the wrong place",
        "Packages of the standard library are said to be missing: GOROOT points to another installation, or two are mixed on PATH.",
        "GOROOT differs from the go that runs.")
        .confused_with(&["go-too-old"])
        .cured_by(&[&[client("Unset GOROOT, and keep one installation on PATH.", &["go env -u GOROOT", "unset GOROOT", "type -a go"])]])
        .settled_by("go env GOROOT GOVERSION; type -a go"),
    cause("install-replace", Whose::CodeHost,
        "This program's go.mod cannot be installed from afar",
        "`go install path@version` refuses a module with replace or exclude directives: they would hold only for a main module.",
        "The module's go.mod.")
        .said_outright()
        .cured_by(&[&[
            client("Clone it and install from there.", &["git clone REPOSITORY && cd PROJECT && go install ./cmd/PROGRAM"]),
            at(Whose::CodeHost, "any", "Ask for a release without such directives.", &[]),
        ]]),
];
