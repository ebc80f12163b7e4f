//! `larder auth test` against code hosts that want to know who asks; and no secret anywhere.
use crate::{expect_error, expect_parts, larder};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use testkit::{
    Answer, Behaviour, Exited, FakeUpstream, ForwardProxy, Gate, GitHttpServer, GitRepository,
    Larder, LarderBuilder, SshServer, TestCa, eventually,
};

const SECRET: &str = "s3cret-of-ann";

/// A code host over HTTPS with one private repository, and settings for it.
struct Host {
    server: GitHttpServer,
    _repository: GitRepository,
    folder: tempfile::TempDir,
    ca: PathBuf,
}

impl Host {
    fn start() -> Self {
        let authority = TestCa::new();
        let server = GitHttpServer::start_tls(&authority, &[]);
        let repository = GitRepository::new();
        let commit = repository.commit("main").file("a.txt", "a").write();
        repository.tag("v1.0.0", &commit);
        server.serve("/team/a.git", &repository);
        server.restrict("/team", "ann", SECRET);
        let folder = tempfile::tempdir().unwrap();
        let ca = authority.write(folder.path());
        Self {
            server,
            _repository: repository,
            folder,
            ca,
        }
    }

    fn place(&self) -> String {
        self.server
            .url("")
            .trim_start_matches("https://")
            .to_owned()
    }

    /// `larder auth test` with these tables; `PLACE` stands for the host.
    fn test(&self, tables: &str, arguments: &[&str]) -> Exited {
        let builder = self.builder(tables);
        let settings = self.folder.path().join("larder.toml");
        let mut all = vec!["auth", "test", "--config", settings.to_str().unwrap()];
        all.extend(arguments);
        let ended = builder.run(&all);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!said.contains(SECRET), "{said}");
        ended
    }

    fn builder(&self, tables: &str) -> LarderBuilder {
        write(self.folder.path(), "password", SECRET);
        write(self.folder.path(), "old-password", "s3cret-of-yesterday");
        let settings = format!("ca_file = \"{}\"\n{tables}", self.ca.display());
        let settings = settings.replace("PLACE", &self.place());
        write(self.folder.path(), "larder.toml", &settings);
        with_path(larder()).env("GIT_SSL_CAINFO", &self.ca)
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn with_path(builder: LarderBuilder) -> LarderBuilder {
    let path = std::env::var("PATH").unwrap();
    builder.env("PATH", path)
}

const GOOD: &str =
    "[[credential]]\nmatch = \"PLACE/team\"\nuser = \"ann\"\npassword_file = \"password\"\n";
const OLD: &str =
    "[[credential]]\nmatch = \"PLACE/team\"\nuser = \"ann\"\npassword_file = \"old-password\"\n";

#[test]
fn auth_test_says_which_rule_holds_and_what_the_host_makes_of_it() {
    let host = Host::start();
    let check = |tables: &str, path: &str, status: i32, parts: &[&str]| {
        let ended = host.test(tables, &[&host.server.url(path)]);
        assert_eq!(
            ended.status.code(),
            Some(status),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
        expect_parts(&ended.stdout, parts);
    };
    check(
        GOOD,
        "/team/a.git",
        0,
        &[
            "rule        [[credential]] 127.0.0.1:",
            "user `ann`",
            "with the credential it answers 200, without it 401",
            "lists 3 refs",
            "the credential works",
        ],
    );
    check(
        OLD,
        "/team/a.git",
        1,
        &[
            "with the credential it answers 401",
            "does not accept the credential",
            "make a new token",
        ],
    );
    check(
        GOOD,
        "/team/b.git",
        1,
        &[
            "with the credential it answers 404",
            "may not see it",
            "compare the spelling",
        ],
    );
    check(
        "",
        "/team/a.git",
        1,
        &["none: git is left", "401", "no rule matches", "add a rule"],
    );
    let other = GOOD.replace("/team", "/other");
    check(
        &other,
        "/team/a.git",
        1,
        &["not         [[credential]]", "it is for another path"],
    );
    let command = "[[credential]]\nmatch = \"PLACE\"\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n";
    check(
        command,
        "/team/a.git",
        1,
        &["its command failed (exit status: 3)", "gives no credential"],
    );
}

#[test]
fn auth_test_speaks_json_and_knows_when_it_is_used_wrongly() {
    let host = Host::start();
    let url = host.server.url("/team/a.git");
    let ended = host.test(GOOD, &[&url, "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["verdict"], "readable", "{report:#}");
    assert_eq!(report["accepted"], true);
    assert_eq!(report["repository"], url);
    let name = format!("[[credential]] {}/team", host.place());
    assert_eq!(report["rule"]["name"], name);
    assert_eq!(report["cures"], serde_json::json!([]));
    let ended = host.test(&GOOD.replace("password_file", "password"), &[&url]);
    assert_eq!(ended.status.code(), Some(2));
    expect_parts(
        &ended.stderr,
        &["a secret can't stand in the settings file"],
    );
    let ended = host.test(GOOD, &["not a module"]);
    assert_eq!(ended.status.code(), Some(2));
}

#[test]
fn one_variable_serves_where_there_is_no_file() {
    let host = Host::start();
    let variable = format!("https://ann:{SECRET}@{}/team", host.place());
    let ca = host.ca.display().to_string();
    let url = host.server.url("/team/a.git");
    let builder = host.builder("").env("LARDER_CREDENTIALS", variable);
    let ended = builder.run(&["auth", "test", "--ca-file", &ca, &url]);
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
    expect_parts(
        &ended.stdout,
        &["LARDER_CREDENTIALS 127.0.0.1:", "the credential works"],
    );
    assert!(!ended.stdout.contains(SECRET) && !ended.stderr.contains(SECRET));
}

#[test]
fn no_secret_is_in_an_argument_of_any_process() {
    let host = Host::start();
    let refs = "/team/a.git/info/refs?service=git-upload-pack";
    // Larder asks twice, then git without the password, then git with it.
    let gate = Gate::new();
    host.server
        .http()
        .misbehave(refs, Behaviour::normal().after(3).stall(&gate));
    let tables = format!(
        "{GOOD}[[credential]]\nmatch = \"PLACE\"\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n"
    );
    let url = host.server.url("/team/a.git");
    std::thread::scope(|scope| {
        let tested = scope.spawn(|| host.test(&tables, &[&url]));
        eventually("git asks with the password", || {
            (host.server.http().count(refs) >= 4).then_some(())
        });
        let lines = command_lines();
        gate.open();
        assert!(
            lines.iter().any(|line| line.contains("ls-remote")),
            "{lines:?}"
        );
        for line in lines {
            assert!(!line.contains(SECRET), "{line}");
        }
        let ended = tested.join().unwrap();
        assert_eq!(
            ended.status.code(),
            Some(0),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
    });
}

/// The arguments of every process that can be seen.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let bytes = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    processes.filter_map(read).collect()
}

#[test]
fn auth_test_tells_what_ssh_said() {
    let Some(server) = SshServer::find() else {
        return;
    };
    let repository = GitRepository::new();
    repository.commit("main").file("a.txt", "a").write();
    server.serve("/team/a.git", &repository);
    let folder = tempfile::tempdir().unwrap();
    // SSH looks for known hosts in the home folder of the account, whatever HOME says.
    let check = |key: &Path, known_hosts: &Path, path: &str, status: i32, parts: &[&str]| {
        let ssh = format!(
            "#!/bin/sh\nexec /usr/bin/ssh -F none -o IdentityAgent=none -o StrictHostKeyChecking=yes \
             -o GlobalKnownHostsFile=/dev/null -o UserKnownHostsFile={} \"$@\"\n",
            known_hosts.display()
        );
        write(folder.path(), "ssh", &ssh);
        let executable = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(folder.path().join("ssh"), executable).unwrap();
        let settings = format!(
            "[[credential]]\nmatch = \"127.0.0.1\"\nssh_key = \"{}\"\n",
            key.display()
        );
        write(folder.path(), "larder.toml", &settings);
        let settings = folder.path().join("larder.toml");
        let path_variable = format!(
            "{}:{}",
            folder.path().display(),
            std::env::var("PATH").unwrap()
        );
        let ended = larder().env("PATH", path_variable).run(&[
            "auth",
            "test",
            "--config",
            settings.to_str().unwrap(),
            &server.url(path),
        ]);
        let said = format!("{}{}\n{}", ended.stdout, ended.stderr, server.log());
        assert_eq!(ended.status.code(), Some(status), "{said}");
        expect_parts(&ended.stdout, parts);
    };
    let known = server.known_hosts();
    let (key, stranger) = (server.accepted_key(), server.stranger_key());
    check(
        &key,
        &known,
        "/team/a.git",
        0,
        &["the SSH key", "lists 2 refs", "the credential works"],
    );
    check(
        &stranger,
        &known,
        "/team/a.git",
        1,
        &[
            "Permission denied (",
            "does not accept the credential",
            "deploy key",
        ],
    );
    check(
        &key,
        Path::new("/dev/null"),
        "/team/a.git",
        1,
        &["Host key verification failed", "ssh-keyscan -p "],
    );
    check(&key, &known, "/team/b.git", 1, &["no such repository"]);
}

/// The name that a forward proxy takes to the code host.
const NAME: &str = "git.corp.example";

/// A code host by name, with a repository that only `ann` may read, and a server with these tables.
struct Served {
    _server: GitHttpServer,
    proxy: ForwardProxy,
    _repository: GitRepository,
    folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let authority = TestCa::new();
        let server = GitHttpServer::start_tls(&authority, &[NAME]);
        let repository = GitRepository::new();
        let go_mod = format!("module {NAME}/team/a\n");
        let commit = repository.commit("main").file("go.mod", go_mod).write();
        repository.tag("v1.0.0", &commit);
        server.serve("/team/a.git", &repository);
        for name in ["a", "b", "missing"] {
            server.restrict(&format!("/team/{name}.git"), "ann", SECRET);
            let entry = format!("{NAME}/team/{name} git https://{NAME}/team/{name}.git");
            server.go_import(&format!("/team/{name}"), &[&entry]);
        }
        let folder = tempfile::tempdir().unwrap();
        authority.write(folder.path());
        Self {
            proxy: ForwardProxy::start(&[(NAME, server.http().address())]),
            _server: server,
            _repository: repository,
            folder,
        }
    }

    fn larder(&self, tables: &str) -> Larder {
        write(self.folder.path(), "larder.toml", tables);
        let authority = std::fs::read_dir(self.folder.path()).unwrap();
        let authority = authority
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|extension| extension == "pem"))
            .unwrap();
        let settings = self.folder.path().join("larder.toml");
        with_path(larder())
            .env("HTTPS_PROXY", self.proxy.url())
            .env("GIT_SSL_CAINFO", &authority)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LARDER_LOG_LEVEL", "trace")
            .args(["--ca-file", authority.to_str().unwrap()])
            .args(["--config", settings.to_str().unwrap()])
            .args(["--private", NAME])
            .upstream(FakeUpstream::start().url())
            .start()
    }
}

const RULE: &str = "[[credential]]\nmatch = \"git.corp.example/team\"\nuser = \"ann\"\npassword_file = \"password\"\n";

fn list(larder: &Larder, repository: &str) -> Answer {
    larder.get(&format!("/{NAME}/team/{repository}/@v/list"))
}

#[test]
fn a_server_follows_its_rules_and_their_secrets_without_a_restart() {
    let served = Served::start();
    write(served.folder.path(), "password", "s3cret-of-yesterday");
    let larder = served.larder(RULE);
    let refused = expect_error(list(&larder, "a"), 403);
    expect_parts(&refused, &["[[credential]] git.corp.example/team"]);
    write(served.folder.path(), "password", SECRET);
    let listed = eventually("the new password is used", || {
        Some(list(&larder, "a")).filter(|answer| answer.status() == 200)
    });
    assert_eq!(listed.text(), "v1.0.0\n");
    // A rule that is more exact, and wrong, is used from then on.
    let exact = RULE
        .replace("/team", "/team/b.git")
        .replace("\"password\"", "\"old\"");
    write(served.folder.path(), "old", "s3cret-of-yesterday");
    write(
        served.folder.path(),
        "larder.toml",
        &format!("{RULE}{exact}"),
    );
    eventually("the more exact rule is used", || {
        let answer = list(&larder, "b");
        answer
            .text()
            .contains("[[credential]] git.corp.example/team/b")
            .then_some(())
    });
    let logged = larder.stderr();
    assert!(!logged.contains("s3cret"), "{logged}");
    assert!(logged.contains("credential rules read again"), "{logged}");
}

#[test]
fn of_a_private_repository_only_an_accepted_credential_proves_absence() {
    let served = Served::start();
    write(served.folder.path(), "password", SECRET);
    let larder = served.larder(RULE);
    expect_error(list(&larder, "missing"), 404);
    drop(larder);
    write(served.folder.path(), "password", "s3cret-of-yesterday");
    let larder = served.larder(RULE);
    let refused = expect_error(list(&larder, "missing"), 403);
    expect_parts(&refused, &["[[credential]] git.corp.example/team"]);
    drop(larder);
    let larder = served.larder("");
    let refused = expect_error(list(&larder, "missing"), 403);
    expect_parts(&refused, &["no credential rule matches"]);
}
