//! The real git is the judge of the repositories and the servers.

use super::clean_git;
use crate::{ForwardProxy, GitHttpServer, GitRepository, SshServer, TestCa};
use std::process::Output;
use tempfile::TempDir;

/// One commit with a tag.
fn repository() -> GitRepository {
    let repository = GitRepository::new();
    let commit = repository
        .commit("main")
        .file("go.mod", "module git.example/a\n")
        .executable("run.sh", "#!/bin/sh\n")
        .symlink("link", "run.sh")
        .write();
    repository.tag("v1.0.0", &commit);
    repository
}

/// `git ls-remote URL`, with settings and variables.
fn ls_remote(url: &str, settings: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = TempDir::new().unwrap();
    let mut command = clean_git(folder.path());
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .args(["ls-remote", url])
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn check_listed(output: &Output, repository: &GitRepository) {
    let listing = String::from_utf8_lossy(&output.stdout);
    let expected = format!("{}\trefs/tags/v1.0.0", repository.head("main"));
    assert!(
        listing.contains(&expected),
        "{listing}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_same_calls_make_the_same_objects() {
    let repository = repository();
    assert_eq!(repository.head("main"), self::repository().head("main"));
    assert_eq!(
        repository.git(&["ls-tree", "--format=%(objectmode) %(path)", "main"]),
        "100644 go.mod\n120000 link\n100755 run.sh"
    );
    let second = repository
        .commit("main")
        .remove("link")
        .file(b"\xff\"\n", "odd")
        .submodule("sub", &"1".repeat(40))
        .write();
    let other = repository
        .commit("other")
        .parent(&second)
        .at(1_000_000_000)
        .write();
    let merged = repository.commit("main").merge(&other).write();
    assert_eq!(
        repository.git(&["log", "--format=%ct %P", "-1", &merged]),
        format!("1000000060 {second} {other}")
    );
    assert_eq!(
        repository.git(&["ls-tree", "--format=%(objectmode) %(path)", "main"]),
        "100644 go.mod\n100755 run.sh\n160000 sub\n100644 \"\\377\\\"\\n\""
    );
    repository.annotated_tag("v1.1.0", &merged);
    assert_eq!(repository.git(&["cat-file", "-t", "v1.1.0"]), "tag");
    assert_eq!(repository.git(&["rev-parse", "v1.1.0^{}"]), merged);
    repository.commit("other").orphan().file("a", "").write();
    assert_eq!(repository.git(&["rev-list", "--count", "other"]), "1");
    let sha256 = GitRepository::sha256();
    assert_eq!(sha256.commit("main").file("a", "").write().len(), 64);
}

#[test]
fn git_lists_and_fetches_over_http() {
    let (server, repository) = (GitHttpServer::start(), repository());
    server.serve("/team/a.git", &repository);
    let url = server.url("/team/a.git");
    check_listed(&ls_remote(&url, &[], &[]), &repository);
    assert_eq!(server.git_requests("/team/a.git"), 2);
    let folder = TempDir::new().unwrap();
    let output = clean_git(folder.path())
        .args(["clone", "--quiet", &url, "."])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(folder.path().join("go.mod").exists());
    server.stop_serving("/team/a.git");
    assert!(!ls_remote(&url, &[], &[]).status.success());
}

#[test]
fn only_the_right_user_sees_a_restricted_repository() {
    let ca = TestCa::new();
    let folder = TempDir::new().unwrap();
    let trust = format!("http.sslCAInfo={}", ca.write(folder.path()).display());
    let (server, repository) = (
        GitHttpServer::start_tls(&ca, &["git.example"]),
        repository(),
    );
    server.serve("/team/a.git", &repository);
    server.restrict("/team/", "me", "secret");
    let output = ls_remote(&server.url("/team/a.git"), &[&trust], &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("could not read Username"), "{said}");
    let with_user = server
        .url("/team/a.git")
        .replace("https://", "https://me:secret@");
    check_listed(&ls_remote(&with_user, &[&trust], &[]), &repository);

    // The same through a proxy, by a name that no resolver knows.
    let proxy = ForwardProxy::start(&[("git.example", server.http().address())]);
    let url = "https://me:secret@git.example/team/a.git";
    check_listed(
        &ls_remote(url, &[&trust], &[("HTTPS_PROXY", &proxy.url())]),
        &repository,
    );
    assert_eq!(proxy.asked(), ["git.example:443"]);
}

#[test]
fn git_lists_over_ssh_with_the_right_key_only() {
    let Some(server) = SshServer::find() else {
        return;
    };
    let repository = repository();
    server.serve("/team/a.git", &repository);
    let list = |key: std::path::PathBuf| {
        let command = server.ssh_command(&key);
        ls_remote(
            &server.url("/team/a.git"),
            &[],
            &[("GIT_SSH_COMMAND", &command)],
        )
    };
    check_listed(&list(server.accepted_key()), &repository);
    assert_eq!(
        server.sessions(),
        ["git-upload-pack '/team/a.git'"],
        "{}",
        server.log()
    );
    let refused = list(server.stranger_key());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        said.contains("Permission denied (publickey)"),
        "{said}{}",
        server.log()
    );
}
