//! The real go command behind Larder.
use crate::{expect_parts, hello, larder, larder_over, paste_line};
use std::path::PathBuf;
use testkit::{FakeUpstream, GoCommand, Larder, Module, eventually};

/// Three versions of a module, and one that needs the second of them.
fn modules() -> Vec<Module> {
    vec![
        hello(),
        Module::new("example.com/hello", "v1.1.0"),
        Module::new("example.com/hello", "v1.2.0-rc.1"),
        Module::new("github.com/Upper/Crate/v2", "v2.0.1")
            .go_mod_line("require example.com/hello v1.1.0"),
    ]
}

/// A main module that uses both. No program: linking one would build Go's runtime first.
fn main_module(go: &GoCommand) -> PathBuf {
    go.main_module(
        "main",
        "module example.com/main\n\ngo 1.20\n",
        "package app\n\nimport (\n\t\"example.com/hello\"\n\tcrate \"github.com/Upper/Crate/v2\"\n)\n\n\
         var Versions = hello.Version + crate.Version\n",
    )
}

#[test]
fn go_gets_downloads_verifies_lists_and_builds() {
    let upstream = FakeUpstream::with(&modules());
    let larder = larder_over(&upstream);
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let main = main_module(&go);
    go.run(&main, &["get", "github.com/Upper/Crate/v2@latest"])
        .success();
    go.run(&main, &["mod", "tidy"]).success();
    go.run(&main, &["mod", "download"]).success();
    go.run(&main, &["mod", "verify"]).success();
    let list = go
        .run(&main, &["list", "-m", "-versions", "example.com/hello"])
        .success();
    assert_eq!(list.stdout, "example.com/hello v1.0.0 v1.1.0 v1.2.0-rc.1\n");
    let go_sum = std::fs::read_to_string(main.join("go.sum")).unwrap();
    expect_parts(
        &go_sum,
        &[&modules()[1].zip_hash(), &modules()[3].zip_hash()],
    );
    go.run(&main, &["build", "./..."]).success();
    let zip = modules()[3].url_path("zip");
    upstream.assert_counts(&[(&zip, 1), (&hello().url_path("zip"), 0)]);

    // A second machine costs upstream nothing but what may have changed.
    upstream.forget_requests();
    go.forget_modules();
    go.run(&main, &["mod", "download"]).success();
    assert_eq!(upstream.count_matching(".zip"), 0);
    assert_eq!(upstream.count_matching(".mod"), 0);
}

#[test]
fn go_shows_a_developer_what_larder_says() {
    let upstream = FakeUpstream::with(&modules());
    let larder = larder_over(&upstream);
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let main = main_module(&go);
    let output = go
        .run(&main, &["get", "example.com/hello@v9.9.9"])
        .failure();
    expect_parts(&output.stderr, &["v9"]);
    upstream.misbehave_under("/", testkit::Behaviour::normal().html());
    let output = go
        .run(&main, &["get", "example.com/other@v1.0.0"])
        .failure();
    expect_parts(&output.stderr, &["502", "HTML"]);
}

#[test]
fn the_filled_folder_is_a_proxy_by_itself() {
    let upstream = FakeUpstream::with(&modules());
    let larder = larder_over(&upstream);
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let main = main_module(&go);
    go.run(&main, &["get", "github.com/Upper/Crate/v2@latest"])
        .success();
    go.run(&main, &["mod", "tidy"]).success();
    complete(&larder, &[&modules()[1], &modules()[3]]);
    let folder = format!("file://{}", larder.cache_dir().join("download").display());
    let (exited, _builder) = larder.terminate();
    assert!(exited.status.success());
    drop(upstream);

    let go = go.env("GOPROXY", &folder);
    go.forget_modules();
    go.run(&main, &["mod", "download"]).success();
    go.run(&main, &["mod", "verify"]).success();
    let list = go
        .run(&main, &["list", "-m", "-versions", "example.com/hello"])
        .success();
    assert_eq!(list.stdout, "example.com/hello v1.1.0\n");
    let fresh = go.main_module(
        "fresh",
        "module example.com/fresh\n\ngo 1.20\n",
        "package app\n",
    );
    go.run(&fresh, &["get", "example.com/hello@latest"])
        .success();
    go.run(&fresh, &["get", "github.com/Upper/Crate/v2@v2.0.1"])
        .success();
}

/// Waits until the store has all three files of the modules: those that go did not ask for follow behind.
fn complete(larder: &Larder, modules: &[&Module]) {
    for module in modules {
        for extension in ["info", "mod", "zip"] {
            let path = module.url_path(extension);
            eventually("the file is stored", || {
                let answer = larder.get_with(&path, &[("Disable-Module-Fetch", "true")]);
                (answer.status() == 200).then_some(())
            });
        }
    }
}

#[test]
fn larder_offline_is_enough_for_what_was_downloaded_before() {
    let upstream = FakeUpstream::with(&modules());
    let larder = larder_over(&upstream);
    let Some(go) = GoCommand::find(&larder.url()) else {
        return;
    };
    let main = main_module(&go);
    go.run(&main, &["get", "github.com/Upper/Crate/v2@latest"])
        .success();
    go.run(&main, &["mod", "tidy"]).success();
    complete(&larder, &[&modules()[1], &modules()[3]]);
    let (_, builder) = larder.terminate();
    drop(upstream);
    let larder = builder.args(["--offline"]).start();
    let go = go.env("GOPROXY", &larder.url());
    go.forget_modules();
    go.run(&main, &["mod", "download"]).success();
    go.run(&main, &["get", "-u", "./..."]).success();
    go.run(&main, &["build", "./..."]).success();
}

#[test]
fn with_goprivate_preset_the_pasted_line_sends_private_modules_through_larder_and_no_further() {
    let private = Module::new("corp.example/secret/tool", "v1.0.0");
    let mut all = modules();
    all.push(private.clone());
    let upstream = FakeUpstream::with(&all);
    let larder = larder()
        .upstream(upstream.url())
        .env("GOPRIVATE", "corp.example/*")
        .start();
    let Some(go) = GoCommand::find("off") else {
        return;
    };
    let paste = paste_line(&larder);

    // A shell takes the line apart, as the developer's would.
    let shell = std::process::Command::new("/bin/sh")
        .args([
            "-c",
            &format!("{paste}; exec go mod download example.com/hello@v1.0.0"),
        ])
        .current_dir(main_module(&go))
        .env_clear()
        .envs(go.environment())
        .env("GOPRIVATE", "corp.example/*")
        .output()
        .unwrap();
    assert!(
        shell.status.success(),
        "{}",
        String::from_utf8_lossy(&shell.stderr)
    );
    assert_eq!(upstream.count(&hello().url_path("zip")), 1);

    let shell = std::process::Command::new("/bin/sh")
        .args([
            "-c",
            &format!("{paste}; exec go mod download {}", private.name()),
        ])
        .current_dir(main_module(&go))
        .env_clear()
        .envs(go.environment())
        .env("GOPRIVATE", "corp.example/*")
        .output()
        .unwrap();
    // Private modules are not fetched yet: go shows Larder's words, which proves that it was asked.
    assert!(!shell.status.success());
    expect_parts(
        &String::from_utf8_lossy(&shell.stderr),
        &["502", "corp.example/secret/tool"],
    );
    assert_eq!(upstream.count_matching("corp.example"), 0);
}

#[test]
fn exec_runs_one_command_behind_a_proxy_and_ends_with_its_status() {
    let upstream = FakeUpstream::with(&modules());
    let Some(go) = GoCommand::find("off") else {
        return;
    };
    let main = go.main_module(
        "main",
        "module example.com/main\n\ngo 1.20\n\nrequire example.com/hello v1.1.0\n",
        "package app\n\nimport \"example.com/hello\"\n\nvar Version = hello.Version\n",
    );
    std::fs::write(main.join("go.sum"), modules()[1].go_sum()).unwrap();
    let mut builder = larder().upstream(upstream.url());
    for (name, value) in go.environment() {
        builder = builder.env(&name, value);
    }
    let built = builder.clone().run_exec(&main, &["go", "build", "./..."]);
    assert_eq!(built.status.code(), Some(0), "{}", built.stderr);
    assert_eq!(upstream.count(&modules()[1].url_path("zip")), 1);

    std::fs::write(
        main.join("main.go"),
        "package app\n\nvar Version = broken\n",
    )
    .unwrap();
    let broken = builder.clone().run_exec(&main, &["go", "build", "./..."]);
    assert_eq!(broken.status.code(), Some(1), "{}", broken.stderr);
    let exit_7 = builder
        .clone()
        .run_exec(&main, &["/bin/sh", "-c", "echo out; exit 7"]);
    assert_eq!(
        (exit_7.status.code(), &*exit_7.stdout),
        (Some(7), "out\n"),
        "{}",
        exit_7.stderr
    );
    let missing = builder.run_exec(&main, &["no-such-program"]);
    assert_eq!(missing.status.code(), Some(127), "{}", missing.stderr);
}
