//! What a shell sees of `larder`: exit statuses, what goes to stdout and what to stderr.

#![expect(clippy::unwrap_used, reason = "a test's set-up fails by panicking")]

use assert_cmd::Command;
use std::path::Path;

/// `larder` in an environment of its own: a home folder, no go, no network.
fn larder(home: &Path, arguments: &[&str]) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("larder");
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("GOENV", "off")
        .env("GOPROXY", "http://127.0.0.1:9/nobody")
        .env("GOSUMDB", "off")
        .args(arguments);
    command
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Runs, and expects the exit status and parts of stdout and stderr; an empty part means nothing.
fn check(mut command: Command, status: i32, stdout: &str, stderr: &str) {
    let output = command.output().unwrap();
    let (out, err) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert_eq!(output.status.code(), Some(status), "{out}\n{err}");
    assert!(
        out.contains(stdout) && out.is_empty() == stdout.is_empty(),
        "{out}"
    );
    assert!(
        err.contains(stderr) && err.is_empty() == stderr.is_empty(),
        "{err}"
    );
}

#[test]
fn help_and_version_go_to_stdout_and_are_fine() {
    let home = home();
    check(larder(home.path(), &["--help"]), 0, "Usage: larder", "");
    check(larder(home.path(), &["--version"]), 0, "larder 0.", "");
    check(
        larder(home.path(), &["serve", "--help"]),
        0,
        "--upstream <LIST>",
        "",
    );
}

#[test]
fn used_wrongly_is_2() {
    let home = home();
    let hint = "hint: did you mean `--listen`?";
    check(
        larder(home.path(), &["serve", "--lisen", "a:1"]),
        2,
        "",
        hint,
    );
    check(
        larder(home.path(), &["srve"]),
        2,
        "",
        "hint: did you mean `serve`?",
    );
    check(larder(home.path(), &[]), 2, "", "no command given");
    let two = ["serve", "--listen", "x", "--fresh", "never"];
    check(
        larder(home.path(), &two),
        2,
        "",
        "--listen: `listen` is `x`",
    );
    check(
        larder(home.path(), &two),
        2,
        "",
        "--fresh: `fresh` is `never`",
    );
    let cache = home.path().join(".cache");
    assert!(
        !cache.exists(),
        "nothing is made before the settings are fine"
    );
}

#[test]
fn config_check_is_1_when_something_is_wrong() {
    let home = home();
    check(
        larder(home.path(), &["config", "check"]),
        0,
        "",
        "the settings are fine",
    );
    let wrong = ["config", "check", "--memory", "3x"];
    check(
        larder(home.path(), &wrong),
        1,
        "",
        "--memory: `memory` is `3x`",
    );
    let json = ["config", "check", "--json", "--memory", "3x"];
    check(larder(home.path(), &json), 1, "\"place\": \"--memory\"", "");
    let show = ["config", "show", "--config", "/nowhere/larder.toml"];
    check(larder(home.path(), &show), 1, "", "/nowhere/larder.toml");
}

#[test]
fn config_show_is_data() {
    let home = home();
    let mut command = larder(home.path(), &["config", "show", "--origin"]);
    command.env("LARDER_FRESH", "7");
    check(command, 0, "# environment LARDER_FRESH", "");
    check(
        larder(home.path(), &["config", "show", "--json"]),
        0,
        "\"key\": \"listen\"",
        "",
    );
}

#[test]
fn explain_is_0_when_it_knows_1_when_it_does_not_and_2_when_it_cannot_read() {
    let home = home();
    let log = home.path().join("build.log");
    let refused = "#7 1.2 go: a.example/b@v1.0.0: Get \"https://mirror.example/a.example/b/@v/v1.0.0.info\": \
                   proxyconnect tcp: dial tcp 127.0.0.1:3128: connect: connection refused\n";
    fs_err::write(&log, refused).unwrap();
    let log = log.to_str().unwrap();
    let cause = "\"cause\": \"http-proxy-unreachable\"";
    check(
        larder(home.path(), &["explain", "--json", log]),
        0,
        cause,
        "",
    );
    for arguments in [&["explain"][..], &["explain", "-"]] {
        let mut command = larder(home.path(), arguments);
        command.write_stdin(refused);
        check(command, 0, "line 1: go: a.example/b@v1.0.0", "");
    }
    let mut healthy = larder(home.path(), &["explain", "--json"]);
    healthy.write_stdin("ok  \ta.example/b\t0.1s\n\u{0}\u{1}");
    check(healthy, 1, "\"findings\": []", "nothing was recognised");
    let code = |code| larder(home.path(), &["explain", "--code", code]);
    check(code("openssl:20"), 0, "unable to get local issuer", "");
    check(code("openssl:0"), 1, "", "nothing was recognised");
    check(code("openssl"), 2, "", "`openssl` is no code");
    check(
        larder(home.path(), &["explain", "/no/such.log"]),
        2,
        "",
        "/no/such.log",
    );
}

#[test]
fn a_port_in_use_and_a_foreign_address_are_1_and_say_what_to_do() {
    let home = home();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let serve = ["serve", "--listen", &address];
    check(
        larder(home.path(), &serve),
        1,
        "",
        "`--listen 127.0.0.1:0` picks a free port",
    );
    let foreign = ["serve", "--listen", "192.0.2.1:0"];
    check(
        larder(home.path(), &foreign),
        1,
        "",
        "no network interface of this machine",
    );
}

#[test]
fn exec_ends_as_its_command_does() {
    let home = home();
    let exec = |script: &str| larder(home.path(), &["exec", "--", "sh", "-c", script]);
    check(exec("exit 0"), 0, "", "");
    check(exec("exit 7"), 7, "", "");
    check(exec("kill -TERM $$"), 128 + 15, "", "");
    check(exec("echo $GOPROXY"), 0, "http://127.0.0.1:", "");
    let missing = larder(home.path(), &["exec", "--", "no-such-program"]);
    check(missing, 127, "", "`no-such-program` can't be run");
    let folder = larder(home.path(), &["exec", "--", "/"]);
    check(folder, 126, "", "`/` can't be run");
}

#[test]
fn exec_makes_private_modules_come_through_larder() {
    let home = home();
    let script = "echo $GONOPROXY $GONOSUMDB";
    let mut command = larder(home.path(), &["exec", "--", "sh", "-c", script]);
    command
        .env("GOPRIVATE", "corp.example/x")
        .env("GONOSUMDB", "other.example");
    check(command, 0, "none other.example,corp.example/x\n", "");
}

#[test]
fn exec_hands_sigterm_on_to_its_command() {
    let home = home();
    // The command asks its parent, larder, to stop, and says what it was told itself.
    let script = "trap 'echo told; exit 9' TERM; kill -TERM $PPID; i=0; while [ $i -lt 500 ]; do i=$((i+1)); sleep 0.01; done";
    check(
        larder(home.path(), &["exec", "--", "sh", "-c", script]),
        9,
        "told\n",
        "",
    );
}

/// `larder` behind a shell that gives it a soft limit of 200 descriptors.
#[cfg(target_os = "linux")]
fn with_few_descriptors(home: &Path, arguments: &[&str]) -> std::process::Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "a shell sets the limit before larder starts"
    )]
    let mut command = std::process::Command::new("/bin/sh");
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("GOENV", "off")
        .env("GOPROXY", "http://127.0.0.1:9/nobody")
        .env("GOSUMDB", "off")
        .args(["-c", "ulimit -S -n 200; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_larder"))
        .args(arguments);
    command
}

#[cfg(target_os = "linux")]
#[test]
fn serve_uses_all_descriptors_that_it_may_have() {
    use std::io::BufRead as _;
    let home = home();
    let mut server = with_few_descriptors(home.path(), &["serve", "--listen", "127.0.0.1:0"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let read = std::io::BufReader::new(server.stdout.take().unwrap()).read_line(&mut line);
    let limits = fs_err::read_to_string(format!("/proc/{}/limits", server.id()));
    server.kill().unwrap();
    server.wait().unwrap();
    read.unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    let limits = limits.unwrap();
    let open_files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let words: Vec<&str> = open_files.unwrap().split_whitespace().collect();
    let (soft, hard) = (words[3], words[4]);
    assert_eq!(soft, hard);
    assert_ne!(soft, "200");
}

#[cfg(target_os = "linux")]
#[test]
fn the_command_of_exec_keeps_its_limit_of_descriptors() {
    let home = home();
    let arguments = ["exec", "--", "sh", "-c", "ulimit -S -n"];
    let output = with_few_descriptors(home.path(), &arguments).output();
    assert_eq!(output.unwrap().stdout, b"200\n");
}
