//! Modules straight from their repositories: private ones, and public ones that no upstream has.
//!
//! The code host is git over HTTPS with an authority of its own and passwords, under names that no resolver
//! knows: a forward proxy takes them to loopback. Where the proxy would hide what is tested (which
//! addresses are dialled), there is none.
use crate::refresh::{TOKEN, refresh};
use crate::{expect_error, expect_parts, hello, larder, paste_line};
use std::path::PathBuf;
use testkit::{
    Answer, Behaviour, FakeSumdb, FakeUpstream, ForwardProxy, GitHttpServer, GitRepository,
    GoCommand, Larder, LarderBuilder, Module, SshServer, TestCa, eventually,
};

const HOST: &str = "git.corp.example";
/// The module of [`CodeHost::with_repository`].
const MODULE: &str = "git.corp.example/team/repo";
const PASSWORD: &str = "correct-horse";

/// A code host, and larder's way there.
struct CodeHost {
    server: GitHttpServer,
    proxy: ForwardProxy,
    _folder: tempfile::TempDir,
    ca_file: PathBuf,
}

impl CodeHost {
    fn start() -> Self {
        let ca = TestCa::new();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = ca.write(folder.path());
        let names = [HOST, "pub.example"];
        let server = GitHttpServer::start_tls(&ca, &names);
        let address = server.http().address();
        let proxy = ForwardProxy::start(&names.map(|name| (name, address)));
        Self {
            server,
            proxy,
            _folder: folder,
            ca_file,
        }
    }

    /// The same with a repository at `/team/repo` that only `dev` may read, and pages as GitLab serves them: at
    /// the repository and below it, to everyone.
    fn with_repository() -> (Self, GitRepository) {
        let host = Self::start();
        let repository = repository(MODULE);
        host.server.serve("/team/repo.git", &repository);
        host.server.restrict("/team/repo.git", "dev", PASSWORD);
        host.serve_pages(MODULE, "/team/repo.git");
        (host, repository)
    }

    /// Go-import pages at the module's root and three levels below it.
    fn serve_pages(&self, module: &str, repository: &str) {
        let (name, path) = module.split_once('/').unwrap();
        let entry = format!("{module} git https://{name}{repository}");
        for below in ["", "/deep", "/deep/er", "/deep/er/pkg"] {
            self.server.go_import(&format!("/{path}{below}"), &[&entry]);
        }
    }

    /// Larder that trusts the host and keeps its modules private.
    fn larder(&self) -> LarderBuilder {
        self.larder_without_git_ca()
            .env("GIT_SSL_CAINFO", &self.ca_file)
    }

    fn larder_without_git_ca(&self) -> LarderBuilder {
        git_larder()
            .env("HTTPS_PROXY", self.proxy.url())
            .args(["--ca-file", self.ca_file.to_str().unwrap()])
            .args(["--private", HOST])
    }

    /// The go-import pages that were asked for.
    fn pages(&self) -> Vec<String> {
        let seen = self.server.http().seen();
        let paths = seen.iter().map(|seen| seen.path.clone());
        paths.filter(|path| path.ends_with("?go-get=1")).collect()
    }
}

/// A larder that finds git.
fn git_larder() -> LarderBuilder {
    larder()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
}

/// Two tagged versions of a module whose packages lie deep.
fn repository(module: &str) -> GitRepository {
    let repository = GitRepository::new();
    for version in ["v1.0.0", "v1.1.0"] {
        let commit = repository
            .commit("main")
            .file("go.mod", format!("module {module}\n\ngo 1.20\n"))
            .file(
                "deep/er/pkg/pkg.go",
                format!("package pkg\n\nconst Version = \"{version}\"\n"),
            )
            .write();
        repository.tag(version, &commit);
    }
    repository
}

/// Writes the password into the netrc file of larder's home, which git and larder both read.
fn with_password(builder: LarderBuilder, password: &str) -> LarderBuilder {
    let line = format!("machine {HOST} login dev password {password}\n");
    std::fs::write(builder.home().join(".netrc"), line).unwrap();
    builder
}

/// Lets git see another address instead of the one that is asked for.
fn instead_of(builder: LarderBuilder, other: &str, asked: &str) -> LarderBuilder {
    builder
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.{other}.insteadOf"))
        .env("GIT_CONFIG_VALUE_0", asked)
}

fn url_path(module: &str, file: &str) -> String {
    format!("/{module}/@v/{file}")
}

fn main_module(go: &GoCommand) -> PathBuf {
    go.main_module(
        "main",
        "module example.com/main\n\ngo 1.20\n",
        "package app\n",
    )
}

/// The go command as the printed line sets it up.
fn go_behind(larder: &Larder) -> Option<GoCommand> {
    Some(
        GoCommand::find(&larder.url())?
            .env("GONOPROXY", "none")
            .env("GONOSUMDB", HOST),
    )
}

#[test]
fn a_new_tag_of_a_private_repository_is_seen_after_a_refresh() {
    let (host, repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .env("LARDER_REFRESH_TOKEN", TOKEN)
        .start();
    let list = url_path(MODULE, "list");
    let text = larder.get(&list).expect_status(200).text();
    assert_eq!(text, "v1.0.0\nv1.1.0\n");
    let commit = repository
        .commit("main")
        .file("new.go", "package repo\n")
        .write();
    repository.tag("v1.2.0", &commit);
    let text = larder.get(&list).expect_status(200).text();
    assert_eq!(text, "v1.0.0\nv1.1.0\n", "within its freshness");
    refresh(&larder, &format!("/-/refresh/{MODULE}")).expect_status(200);
    let text = larder.get(&list).expect_status(200).text();
    assert_eq!(text, "v1.0.0\nv1.1.0\nv1.2.0\n");
}

#[test]
fn a_package_deep_in_a_private_repository_is_fetched_with_the_password() {
    let (host, _repository) = CodeHost::with_repository();
    let upstream = FakeUpstream::start();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream(upstream.url())
        .start();
    let Some(go) = go_behind(&larder) else {
        return;
    };
    let main = main_module(&go);
    go.run(&main, &["get", &format!("{MODULE}/deep/er/pkg")])
        .success();
    let go_mod = std::fs::read_to_string(main.join("go.mod")).unwrap();
    expect_parts(&go_mod, &[&format!("{MODULE} v1.1.0")]);
    go.run(&main, &["mod", "verify"]).success();
    let listed = go
        .run(&main, &["list", "-m", "-versions", MODULE])
        .success();
    assert_eq!(listed.stdout, format!("{MODULE} v1.0.0 v1.1.0\n"));
    assert_eq!(upstream.total(), 0, "a private name went to an upstream");
    // Six paths from the package up to the host: those below the repository cost its page and one below it
    // at most twice, the two above it a page each.
    let pages = host.pages();
    assert!(pages.len() <= 6, "{pages:?}");

    // Another machine gets it without a word to the host.
    host.server.http().forget_requests();
    go.forget_modules();
    go.run(&main, &["mod", "download"]).success();
    assert_eq!(host.server.http().total(), 0);
}

#[test]
fn without_the_password_go_is_told_why_and_the_name_goes_nowhere_else() {
    let (host, _repository) = CodeHost::with_repository();
    let upstream = FakeUpstream::start();
    for builder in [host.larder(), with_password(host.larder(), "tr0ub4dor")] {
        let larder = builder.upstream(upstream.url()).start();
        let Some(go) = go_behind(&larder) else {
            return;
        };
        // Behind a comma, only proven absence would let the go command go on.
        let elsewhere = FakeUpstream::start();
        let go = go.env("GOPROXY", &format!("{},{}", larder.url(), elsewhere.url()));
        let main = main_module(&go);
        let output = go
            .run(&main, &["get", &format!("{MODULE}/deep/er/pkg")])
            .failure();
        expect_parts(&output.stderr, &["403", MODULE]);
        assert_eq!(elsewhere.total(), 0, "the name was carried elsewhere");
        let text = expect_error(larder.get(&url_path(MODULE, "list")), 403);
        expect_parts(&text, &[HOST]);
        assert!(!text.contains("tr0ub4dor"), "{text}");
    }
    assert_eq!(upstream.total(), 0);
}

/// Serves an empty repository at `/team/empty`, for `dev` alone, and gives the path of its module.
fn serve_empty(host: &CodeHost) -> (GitRepository, String) {
    let module = format!("{HOST}/team/empty");
    let repository = GitRepository::new();
    host.server.serve("/team/empty.git", &repository);
    host.server.restrict("/team/empty.git", "dev", PASSWORD);
    host.serve_pages(&module, "/team/empty.git");
    (repository, module)
}

#[test]
fn of_an_empty_private_repository_go_hears_from_larder_what_it_finds_itself() {
    let (host, _repository) = CodeHost::with_repository();
    let (_empty, module) = serve_empty(&host);
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .start();
    larder.get(&url_path(&module, "list")).expect_body(b"");
    expect_error(larder.get(&format!("/{module}/@latest")), 404);
    expect_error(larder.get(&url_path(&module, "v1.0.0.info")), 404);

    let Some(behind) = go_behind(&larder) else {
        return;
    };
    let Some(alone) = GoCommand::find("direct") else {
        return;
    };
    let certificates = host.ca_file.to_str().unwrap();
    let alone = alone
        .env("GOVCS", "*:git")
        .env("HTTPS_PROXY", &host.proxy.url())
        .env("SSL_CERT_FILE", certificates)
        .env("GIT_SSL_CAINFO", certificates)
        .env("GIT_CONFIG_NOSYSTEM", "1");
    let netrc = format!("machine {HOST} login dev password {PASSWORD}\n");
    std::fs::write(alone.folder().join(".netrc"), netrc).unwrap();
    let run = |arguments: &[&str]| [&behind, &alone].map(|go| go.run(&main_module(go), arguments));
    let latest = format!("{module}@latest");
    for arguments in [
        &["list", "-m", "-versions", &module][..],
        &["list", "-m", &latest],
        &["mod", "download", &latest],
    ] {
        let [behind, alone] = run(arguments);
        assert_eq!(behind.stdout, alone.stdout, "{arguments:?}");
        assert_eq!(behind.stderr, alone.stderr, "{arguments:?}");
        assert_eq!(behind.status, alone.status, "{arguments:?}");
    }
    // Of the paths above, which `go get` asks for too, the host's 404 proves nothing, so that go ends with that.
    for ended in run(&["get", &latest]) {
        ended.failure();
    }
}

#[test]
fn a_login_page_in_place_of_a_private_repository_carries_the_name_nowhere() {
    for page in ["<html>Who are you?</html>", ""] {
        let (host, _repository) = CodeHost::with_repository();
        let login = Behaviour::normal().status(200, page);
        host.server.http().misbehave_under("/team/repo.git/", login);
        let larder = with_password(host.larder(), PASSWORD)
            .upstream("off")
            .start();
        for file in ["list", "v1.0.0.info"] {
            let text = expect_error(larder.get(&url_path(MODULE, file)), 502);
            expect_parts(&text, &["login"]);
        }
        let Some(go) = go_behind(&larder) else {
            return;
        };
        let elsewhere = FakeUpstream::start();
        let go = go.env("GOPROXY", &format!("{},{}", larder.url(), elsewhere.url()));
        go.run(&main_module(&go), &["get", MODULE]).failure();
        assert_eq!(elsewhere.total(), 0, "the name was carried elsewhere");
        assert!(!larder.stderr().contains("packet:"), "{}", larder.stderr());
    }
}

#[test]
fn a_private_name_leaves_by_no_other_way() {
    let (host, _repository) = CodeHost::with_repository();
    let database = FakeSumdb::new("sum.test.example");
    let upstream = FakeUpstream::start();
    let mounted = database.clone();
    upstream.mount("/sumdb/sum.test.example/", move |path| {
        mounted.mounted(path)
    });
    let larder = with_password(host.larder(), PASSWORD)
        .upstream(format!("{}|direct", upstream.url()))
        .sumdb(database.verifier_key())
        .start();
    let module = |file: &str| larder.get(&url_path(MODULE, file));
    module("list").expect_status(200);
    module("v1.0.0.mod").expect_status(200);
    module("v1.0.0.zip").expect_status(200);
    larder.get(&format!("/{MODULE}/@latest")).expect_status(200);
    expect_error(module("v9.9.9.info"), 404);
    for path in ["team/absent", "team"] {
        let text = expect_error(larder.get(&format!("/{HOST}/{path}/@v/list")), 403);
        expect_parts(&text, &["proves no absence"]);
    }
    let lookup = format!("/sumdb/sum.test.example/lookup/{MODULE}@v1.0.0");
    expect_error(larder.get(&lookup), 403);
    assert_eq!(upstream.total(), 0, "{:?}", upstream.seen());
    assert_eq!(database.requests(""), 0);
    let metrics = larder.get("/-/metrics").expect_status(200).text();
    for part in ["corp", "team", "repo"] {
        assert!(!metrics.contains(part), "`{part}` is in the metrics");
    }
    // Nor does another caller hear of it.
    let text = expect_error(larder.get("/example.com/other/@v/list"), 502);
    assert!(!text.contains("corp"), "{text}");
}

#[test]
fn what_a_repository_that_can_be_read_does_not_have_is_absent() {
    let (host, _repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .start();
    for path in [
        url_path(MODULE, "v1.2.0.info"),
        url_path(MODULE, "no-such-branch.info"),
        url_path(&format!("{MODULE}/deep"), "v1.0.0.info"),
        format!("/{MODULE}/deep/er/@latest"),
        url_path(&format!("{MODULE}/v2"), "v2.0.0.mod"),
    ] {
        expect_error(larder.get(&path), 404);
    }
    // Below a root that is known and can be read, a page that fails adds no doubt.
    for (status, path) in [(500, "deep/a"), (403, "deep/b")] {
        let broken = Behaviour::normal().status(status, "oops\n");
        let page = format!("/team/repo/{path}?go-get=1");
        host.server.http().misbehave(&page, broken);
        let path = format!("{MODULE}/{path}");
        expect_error(larder.get(&format!("/{path}/@latest")), 404);
        expect_error(larder.get(&url_path(&path, "v1.0.0.info")), 404);
    }
}

#[test]
fn what_looks_like_an_option_is_none() {
    let (host, _repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .start();
    // Where git would run, were the word taken for its option.
    let trap = larder.cache_dir().join("state/git/trapped");
    for path in [
        url_path(MODULE, "--upload-pack=touch%20trapped.info"),
        url_path(MODULE, "--all.info"),
        url_path("--upload-pack/x", "list"),
        url_path(&format!("{HOST}/--help.git"), "list"),
        url_path(&format!("{MODULE}/--output"), "v1.0.0.zip"),
    ] {
        let status = larder.get(&path).status();
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert!(!trap.exists());
}

#[test]
fn plain_http_is_used_only_where_goinsecure_says_so() {
    let (host, _repository) = CodeHost::with_repository();
    let module = format!("{HOST}/plain");
    let plain = GitHttpServer::start();
    let repository = repository(&module);
    plain.serve("/plain.git", &repository);
    let entry = format!("{module} git {}", plain.url("/plain.git"));
    host.server.go_import("/plain", &[&entry]);
    let list = |arguments: &[&str]| {
        let larder = host.larder().upstream("off").args(arguments).start();
        larder.get(&url_path(&module, "list"))
    };
    let text = expect_error(list(&[]), 403);
    expect_parts(&text, &["http"]);
    expect_error(list(&["--insecure", "git.corp.example/other"]), 403);
    assert_eq!(plain.http().total(), 0);
    let text = list(&["--insecure", &module]).expect_status(200).text();
    assert_eq!(text, "v1.0.0\nv1.1.0\n");
}

#[test]
fn a_failure_that_proves_nothing_is_never_an_absence() {
    let check = |status: u16, parts: &[&str], spoil: &dyn Fn(&CodeHost) -> LarderBuilder| {
        let (host, _repository) = CodeHost::with_repository();
        let larder = spoil(&host).upstream("off").start();
        for path in [
            url_path(MODULE, "list"),
            url_path(MODULE, "v1.0.0.zip"),
            format!("/{MODULE}/@latest"),
        ] {
            let text = expect_error(larder.get(&path), status);
            expect_parts(&text, parts);
        }
    };
    let good = |host: &CodeHost| with_password(host.larder(), PASSWORD);
    check(502, &["500"], &|host| {
        let broken = Behaviour::normal().status(500, "oops\n");
        host.server
            .http()
            .misbehave_under("/team/repo.git/", broken);
        good(host)
    });
    check(502, &["not valid"], &|host| {
        let page = Behaviour::normal().status(200, "<html>\nWho are you?\n</html>\n");
        host.server.http().misbehave_under("/team/repo.git/", page);
        good(host)
    });
    check(502, &[], &|host| {
        let gone = Behaviour::normal().hang_up();
        host.server.http().misbehave_under("/team/repo.git/", gone);
        good(host)
    });
    check(502, &["certificate"], &|host| {
        with_password(host.larder_without_git_ca(), PASSWORD)
    });
    check(502, &["500"], &|host| {
        let broken = Behaviour::normal().status(500, "oops\n");
        let page = "/team/repo?go-get=1";
        host.server.http().misbehave(page, broken);
        good(host)
    });
    // As code hosts answer to whom they do not know.
    check(403, &[], &|host| {
        let hidden = Behaviour::normal().status(404, "not found\n");
        host.server
            .http()
            .misbehave_under("/team/repo.git/", hidden);
        host.larder()
    });
    check(502, &["Mercurial", "GONOPROXY"], &|host| {
        let entry = format!("{MODULE} hg https://{HOST}/team/repo");
        host.server.go_import("/team/repo", &[&entry]);
        good(host)
    });
}

#[test]
fn a_key_opens_a_repository_over_ssh_that_a_page_names_by_https() {
    let Some(ssh) = SshServer::find() else {
        return;
    };
    let (host, repository) = CodeHost::with_repository();
    ssh.serve("/team/repo.git", &repository);
    let larder_with = |key: PathBuf| {
        let asked = format!("https://{HOST}/");
        instead_of(host.larder(), &ssh.url("/"), &asked)
            .env("GIT_SSH_COMMAND", ssh.ssh_command(&key))
            .upstream("off")
            .start()
    };
    let larder = larder_with(ssh.accepted_key());
    let list = larder.get(&url_path(MODULE, "list")).expect_status(200);
    assert_eq!(list.text(), "v1.0.0\nv1.1.0\n");
    larder
        .get(&url_path(MODULE, "v1.1.0.zip"))
        .expect_status(200);
    assert!(!ssh.sessions().is_empty());
    let package = format!("{MODULE}/deep/er/pkg");
    if let Some(go) = go_behind(&larder) {
        let main = main_module(&go);
        go.run(&main, &["get", &package]).success();
        let go_mod = std::fs::read_to_string(main.join("go.mod")).unwrap();
        expect_parts(&go_mod, &[&format!("{MODULE} v1.1.0")]);
    }
    assert_eq!(host.server.git_requests("/team/repo.git"), 0);

    let larder = larder_with(ssh.stranger_key());
    let text = expect_error(larder.get(&url_path(MODULE, "list")), 403);
    expect_parts(&text, &["ublickey"]);
    if let Some(go) = go_behind(&larder) {
        let main = main_module(&go);
        let said = go.run(&main, &["get", &package]).failure();
        expect_parts(&said.stderr, &["403", MODULE]);
    }
}

#[test]
fn a_public_module_that_the_mirror_lacks_comes_from_its_repository_and_is_verified() {
    const PUBLIC: &str = "pub.example/lib";
    let repository = repository(PUBLIC);
    let host = CodeHost::start();
    host.serve_pages(PUBLIC, "/lib.git");
    let mirror = FakeUpstream::with([&hello()]);
    let database = FakeSumdb::new("sum.test.example");
    database.add_module(&hello());
    let mounted = database.clone();
    mirror.mount("/sumdb/sum.test.example/", move |path| {
        mounted.mounted(path)
    });
    let builder = || {
        // The operator's own word: the name need not resolve, and the address may be anywhere.
        let local = format!("file://{}", repository.folder().display());
        instead_of(host.larder(), &local, "https://pub.example/lib.git")
            .args(["--git-protocols", "https,ssh,file"])
            .upstream(format!("{},direct", mirror.url()))
    };
    // What go itself finds are its sums.
    let trusting = builder().start();
    let Some(go) = GoCommand::find(&trusting.url()) else {
        return;
    };
    let main = main_module(&go);
    let said = go
        .run(
            &main,
            &["mod", "download", "-json", &format!("{PUBLIC}@v1.0.0")],
        )
        .success();
    let sum = |field: &str| {
        let (_, rest) = said.stdout.split_once(&format!("\"{field}\": \"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    database.add(PUBLIC, "v1.0.0", &sum("Sum"), &sum("GoModSum"));
    database.add(PUBLIC, "v1.1.0", &sum("Sum"), &sum("GoModSum"));

    let larder = builder().sumdb(database.verifier_key()).start();
    let zip = |version: &str| larder.get(&url_path(PUBLIC, &format!("{version}.zip")));
    zip("v1.0.0").expect_status(200);
    let text = expect_error(zip("v1.1.0"), 502);
    expect_parts(&text, &["SECURITY", &sum("Sum")]);
    larder.get(&hello().url_path("zip")).expect_status(200);
    assert!(
        mirror.count_matching("/pub.example/lib/") > 0,
        "the mirror is asked first"
    );
    expect_error(larder.get(&url_path(PUBLIC, "v7.0.0.info")), 404);
}

#[test]
fn an_address_that_nobody_named_is_not_dialled() {
    let server = GitHttpServer::start();
    let port = server.http().address().port();
    // Everything is private, and nothing is named by that.
    for builder in [git_larder(), git_larder().args(["--private", "*"])] {
        let larder = builder.upstream("direct").start();
        for host in ["127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0"] {
            let text = expect_error(larder.get(&format!("/{host}/x/@v/list")), 502);
            expect_parts(&text, &[host, "may not make this server dial"]);
        }
        // By git, too.
        for path in ["127.0.0.1/x.git", "169.254.169.254/x.git/sub"] {
            expect_error(larder.get(&format!("/{path}/@v/list")), 502);
        }
    }
    assert_eq!(server.http().total(), 0);

    // A page of the world names a repository next door.
    let host = CodeHost::start();
    let next_door = format!("http://127.0.0.1:{port}/x.git");
    host.server
        .go_import("/lib", &[&format!("pub.example/lib git {next_door}")]);
    let secure = format!("https://127.0.0.1:{port}/x.git");
    host.server
        .go_import("/secure", &[&format!("pub.example/secure git {secure}")]);
    let larder = host.larder().upstream("direct").start();
    expect_error(larder.get("/pub.example/lib/@v/list"), 403);
    expect_error(larder.get("/pub.example/secure/@v/list"), 502);
    // And one redirects there.
    let away = Behaviour::normal().redirect(&secure);
    host.server.http().misbehave("/away?go-get=1", away);
    let text = expect_error(larder.get("/pub.example/away/@v/list"), 502);
    expect_parts(&text, &["127.0.0.1"]);
    assert_eq!(server.http().total(), 0);
}

#[test]
fn what_was_fetched_is_served_offline_and_without_git() {
    let (host, _repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .start();
    let zip = url_path(MODULE, "v1.0.0.zip");
    let first = larder.get(&zip).expect_status(200);
    eventually("the zip is stored", || {
        let answer = larder.get_with(&zip, &[("Disable-Module-Fetch", "true")]);
        (answer.status() == 200).then_some(())
    });
    let (_, builder) = larder.terminate();
    host.server.http().forget_requests();
    let larder = builder.env("PATH", "").args(["--offline"]).start();
    larder.get(&zip).expect_body(&first.body);
    expect_error(larder.get(&url_path(MODULE, "v1.1.0.zip")), 503);
    assert_eq!(host.server.http().total(), 0);
}

#[test]
fn without_git_everything_else_works_and_says_so() {
    let upstream = FakeUpstream::with([&hello()]);
    let builders = [
        (larder().env("PATH", "/nonexistent"), "there is no `git`"),
        (git_larder().args(["--git", "off"]), "--git off"),
    ];
    for (builder, why) in builders {
        let larder = builder
            .args(["--private", HOST])
            .upstream(format!("{},direct", upstream.url()))
            .start();
        larder.get(&hello().url_path("zip")).expect_status(200);
        let text = expect_error(larder.get(&url_path(MODULE, "list")), 502);
        expect_parts(&text, &["private here", why]);
        // A package of a module that the upstream knows, and a path that can have no repository.
        let package = format!("/{}/deep/er/@v/list", hello().path());
        let text = expect_error(larder.get(&package), 404);
        expect_parts(&text, &["direct was not tried", why]);
        expect_error(larder.get("/github.com/alone/@v/list"), 404);
        // A module, and a version, that only its repository could know.
        for file in [
            "/github.com/nobody/absent/@v/list".to_owned(),
            format!("/{}/@v/v9.9.9.info", hello().path()),
        ] {
            let text = expect_error(larder.get(&file), 502);
            expect_parts(&text, &["direct was not tried", why]);
        }
        if why != "--git off" {
            expect_parts(&larder.stderr(), &[why]);
        }
    }
    let larder = larder()
        .env("PATH", "/nonexistent")
        .upstream("direct")
        .start();
    let text = expect_error(larder.get(&hello().url_path("zip")), 502);
    expect_parts(&text, &["there is no `git`"]);
}

#[test]
fn without_git_go_gets_packages_of_what_the_upstream_knows_and_is_told_why_of_others() {
    let module =
        Module::new("github.com/team/tool", "v1.0.0").file("deep/er/pkg/pkg.go", "package pkg\n");
    let upstream = FakeUpstream::with([&module]);
    let larder = larder()
        .env("PATH", "/nonexistent")
        .upstream(format!("{},direct", upstream.url()))
        .start();
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let main = main_module(&go);
    go.run(&main, &["get", "github.com/team/tool/deep/er/pkg"])
        .success();
    let said = go
        .run(&main, &["get", "github.com/team/other/deep/er/pkg"])
        .failure();
    expect_parts(&said.stderr, &["502", "there is no `git`"]);
}

#[test]
fn a_tag_that_was_moved_changes_nothing_that_was_handed_out_and_is_told() {
    let (host, repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .env("LARDER_REFRESH_TOKEN", TOKEN)
        .start();
    let get = |larder: &Larder, file: &str| larder.get(&url_path(MODULE, file));
    let stored = |file: &str| {
        larder
            .cache_dir()
            .join(format!("download/{MODULE}/@v/{file}"))
    };
    let first = get(&larder, "v1.0.0.zip").expect_status(200).body;
    let info = get(&larder, "v1.0.0.info").expect_status(200).body;
    get(&larder, "v1.1.0.info").expect_status(200);
    get(&larder, "v1.1.0.mod").expect_status(200);
    let metric = |count: usize| {
        let line = format!("larder_moved_tags_total {count}\n");
        eventually("the metric", || {
            let text = larder.get("/-/metrics").expect_status(200).text();
            text.contains(&line).then_some(())
        });
    };
    metric(0);

    let commit = repository
        .commit("main")
        .file("deep/er/pkg/pkg.go", "package pkg\n\nconst Moved = true\n")
        .write();
    for tag in ["v1.0.0", "v1.1.0"] {
        repository.tag(tag, &commit);
    }
    refresh(&larder, &format!("/-/refresh/{MODULE}")).expect_status(200);
    get(&larder, "list").expect_status(200);
    metric(2);
    eventually("a line of the log", || {
        let log = larder.stderr();
        let told = log.lines().any(|line| {
            line.contains("ERROR") && line.contains("a tag was moved") && line.contains(&commit)
        });
        told.then_some(())
    });
    // What was handed out first is handed out again, from the store and, where that lost it, from the mirror.
    get(&larder, "v1.0.0.zip").expect_body(&first);
    get(&larder, "v1.0.0.info").expect_body(&info);

    // Without the mirror nothing is left of the first commit but what the store remembers.
    let (cache, builder) = {
        let cache = larder.cache_dir().to_owned();
        std::fs::remove_file(stored("v1.0.0.zip")).unwrap();
        let (_, builder) = larder.terminate();
        (cache, builder)
    };
    std::fs::remove_dir_all(cache.join("state/git")).unwrap();
    let larder = builder.start();
    for file in ["v1.0.0.zip", "v1.1.0.zip"] {
        let text = expect_error(get(&larder, file), 502);
        expect_parts(&text, &["SECURITY ERROR", "tag was moved", &commit]);
        assert!(!cache.join(format!("download/{MODULE}/@v/{file}")).exists());
    }
    let text = larder.get("/-/metrics").expect_status(200).text();
    expect_parts(&text, &["larder_moved_tags_total 2\n"]);
    get(&larder, "v1.0.0.info").expect_body(&info);
}

#[test]
fn whichever_file_of_a_version_came_first_the_others_are_of_its_commit() {
    let (host, repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .start();
    // What came first, and of which version.
    let first = [("v1.0.0", "mod"), ("v1.1.0", "zip")];
    for (version, kind) in first {
        let file = url_path(MODULE, &format!("{version}.{kind}"));
        larder.get(&file).expect_status(200);
    }
    let cache = larder.cache_dir().to_owned();
    let (_, builder) = larder.terminate();
    let commit = repository
        .commit("main")
        .file("deep/er/pkg/pkg.go", "package pkg\n\nconst Moved = true\n")
        .write();
    for (version, kept) in first {
        repository.tag(version, &commit);
        // Nothing but that file is left, and its record.
        for kind in ["info", "mod", "zip"].iter().filter(|kind| **kind != kept) {
            let path = cache.join(format!("download/{MODULE}/@v/{version}.{kind}"));
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
    }
    std::fs::remove_dir_all(cache.join("state/git")).unwrap();
    let larder = builder.start();
    for file in ["v1.0.0.zip", "v1.0.0.info", "v1.1.0.info", "v1.1.0.mod"] {
        let text = expect_error(larder.get(&url_path(MODULE, file)), 502);
        expect_parts(&text, &["SECURITY ERROR", "tag was moved", &commit]);
    }
}

#[test]
fn the_log_says_which_git_was_found() {
    let larder = git_larder().upstream("direct").start();
    let line = eventually("a line about git", || {
        let stderr = larder.stderr();
        let line = stderr.lines().find(|line| line.contains("git fetches"))?;
        Some(line.to_owned())
    });
    expect_parts(&line, &["version", "2."]);
}

#[test]
fn exec_serves_private_modules_to_its_command() {
    let (host, _repository) = CodeHost::with_repository();
    let Some(go) = GoCommand::find("off") else {
        return;
    };
    let main = main_module(&go);
    let mut builder = with_password(host.larder(), PASSWORD).upstream("off");
    let own = [
        "HOME",
        "PATH",
        "GOPROXY",
        "GOVCS",
        "HTTP_PROXY",
        "HTTPS_PROXY",
    ];
    for (name, value) in go.environment() {
        if !own.contains(&&*name) {
            builder = builder.env(&name, value);
        }
    }
    let package = format!("{MODULE}/deep/er/pkg");
    let exited = builder.run_exec(&main, &["go", "get", &package]);
    assert!(exited.status.success(), "{}", exited.stderr);
    let go_mod = std::fs::read_to_string(main.join("go.mod")).unwrap();
    expect_parts(&go_mod, &[&format!("{MODULE} v1.1.0")]);
}

#[test]
fn the_printed_line_sends_private_names_to_larder_and_to_no_checksum_database() {
    let larder = larder()
        .upstream("off")
        .args(["--private", HOST, "--no-sumdb", "other.example"])
        .start();
    let exempt = format!("GONOSUMDB=other.example,{HOST}");
    expect_parts(&paste_line(&larder), &["GONOPROXY=none", &exempt]);
}

#[test]
fn private_sources_are_not_served_to_strangers_by_accident() {
    let check_at = |listen: &str, arguments: &[&str], netrc: &str, refused: bool| {
        let builder = larder();
        std::fs::write(builder.home().join(".netrc"), netrc).unwrap();
        let all = [&["config", "check", "--listen", listen], arguments].concat();
        let exited = builder.run(&all);
        assert_eq!(
            exited.status.success(),
            !refused,
            "{arguments:?}: {}",
            exited.stderr
        );
        if refused {
            let parts = ["0.0.0.0:0", "--allow-anonymous-private"];
            expect_parts(&exited.stderr, &parts);
        }
    };
    let check = |arguments: &[&str], netrc: &str, refused: bool| {
        check_at("0.0.0.0:0", arguments, netrc, refused);
    };
    let mirror = ["--upstream", "https://mirror.example,direct"];
    let with = |more: &[&'static str]| [&mirror, more].concat();
    check(&mirror, "", false);
    check(&with(&["--private", HOST]), "", true);
    check(
        &with(&["--private", HOST, "--allow-anonymous-private"]),
        "",
        false,
    );
    check_at("127.0.0.1:0", &with(&["--private", HOST]), "", false);
    check_at("[::1]:0", &with(&["--private", HOST]), "", false);
    check(
        &mirror,
        "machine git.corp.example login a password b\n",
        true,
    );
    check(
        &mirror,
        "machine mirror.example login a password b\n",
        false,
    );
    check(
        &["--upstream", "https://mirror.example"],
        "machine git.corp.example login a password b\n",
        false,
    );
}

#[test]
fn a_new_tag_is_seen_and_a_list_costs_the_host_one_listing() {
    let (host, repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .args(["--fresh", "0"])
        .start();
    let list = || -> Answer { larder.get(&url_path(MODULE, "list")).expect_status(200) };
    assert_eq!(list().text(), "v1.0.0\nv1.1.0\n");
    repository.tag("v1.2.0", &repository.head("main"));
    eventually("the new tag", || {
        (list().text() == "v1.0.0\nv1.1.0\nv1.2.0\n").then_some(())
    });
}

#[test]
fn a_module_of_a_known_root_is_looked_for_there_without_another_page() {
    let (host, _repository) = CodeHost::with_repository();
    let larder = with_password(host.larder(), PASSWORD)
        .upstream("off")
        .start();
    larder.get(&url_path(MODULE, "list")).expect_status(200);
    assert_eq!(host.pages(), ["/team/repo?go-get=1"]);
    larder
        .get(&url_path(MODULE, "v1.0.0.mod"))
        .expect_status(200);
    larder
        .get(&url_path(MODULE, "v1.1.0.info"))
        .expect_status(200);
    assert_eq!(host.pages().len(), 1);
    let module = Module::new("git.corp.example/team/repo/deep", "v1.0.0");
    expect_error(larder.get(&module.url_path("info")), 404);
    // Only its own page can say whether a root is nested there.
    assert_eq!(host.pages().len(), 2);
}
