//! `larder doctor` where a target leads to another host: redirects, the place of a missing issuer, the code hosts
//! of private modules. The causes themselves are held by the fault lab (`faults.rs`).

use crate::faults::doctor;
use crate::{hello, larder};
use serde_json::Value;
use testkit::FakeUpstream;
use testkit::faults::{Lab, all};

/// The targets that the doctor tells of in this case of the lab.
fn examined(id: &str, arguments: &[&str]) -> Vec<Value> {
    let lab = Lab::open();
    let case = all().find(|case| case.id == id).unwrap();
    let prepared = case.prepare(&lab).unwrap();
    let (answer, _) = doctor(case, &prepared, arguments);
    answer["targets"].as_array().unwrap().clone()
}

fn texts(value: &Value) -> Vec<&str> {
    let list = value.as_array().unwrap().iter();
    list.map(|text| text["text"].as_str().or(text.as_str()).unwrap())
        .collect()
}

/// The hosts whose stages are told, each once, in order.
fn hosts(target: &Value) -> Vec<&str> {
    let stages = target["stages"].as_array().unwrap().iter();
    let mut hosts: Vec<&str> = stages.filter_map(|stage| stage["of"].as_str()).collect();
    hosts.dedup();
    hosts
}

#[test]
fn a_redirect_to_another_host_is_followed_and_both_hosts_are_shown() {
    let targets = examined("redirect-elsewhere", &[]);
    assert_eq!(targets[0]["verdict"], "healthy", "{:#}", targets[0]);
    let hosts = hosts(&targets[0]);
    let (first, second) = (hosts[0], hosts[1]);
    assert!(first.starts_with("localhost:") && second.starts_with("localhost:"));
    assert_ne!(first, second);
}

#[test]
fn a_fault_behind_a_redirect_is_that_of_the_host_it_leads_to() {
    let targets = examined("redirect-to-expired", &[]);
    let finding = &targets[0]["findings"][0];
    assert_eq!(finding["cause"], "tls-cert-expired");
    let hosts = hosts(&targets[0]);
    assert_eq!(finding["subject"]["host"], hosts[1]);
    assert_ne!(hosts[0], hosts[1]);
}

#[test]
fn a_redirect_from_outside_to_a_name_inside_is_told_and_not_followed() {
    let targets = examined("redirect-inside", &[]);
    let finding = &targets[0]["findings"][0];
    assert_eq!(finding["cause"], "redirect-private");
    let evidence = texts(&finding["evidence"]).join("\n");
    assert!(
        evidence.contains("https://inside.lab.test:") && evidence.contains("(127.0.0.1)"),
        "{evidence}"
    );
    let stages = targets[0]["stages"].as_array().unwrap();
    let inside = stages
        .iter()
        .filter(|stage| stage["of"].as_str().is_some_and(|of| of.contains("inside")));
    let names: Vec<&Value> = inside.map(|stage| &stage["stage"]).collect();
    assert_eq!(names, ["dns", "dns"], "looked up and judged, not dialled");
}

#[test]
fn a_redirect_to_a_name_inside_is_followed_where_the_user_says_so() {
    let targets = examined("redirect-inside", &["--private-issuers"]);
    let finding = &targets[0]["findings"][0];
    assert_eq!(finding["cause"], "net-refused");
}

#[test]
fn the_missing_issuer_is_fetched_through_the_forward_proxy() {
    let targets = examined("incomplete-chain-behind-proxy", &[]);
    assert_eq!(
        targets[0]["findings"][0]["cause"], "tls-incomplete-chain",
        "{:#}",
        targets[0]
    );
    let repair = &targets[0]["repair"];
    assert_eq!(
        texts(&repair["sources"]),
        ["http://pki.lab.test/issuing.der"]
    );
    let chain = repair["chain_file"].as_str().unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
}

#[test]
fn the_fix_script_writes_the_finished_chain_and_changes_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("fix.sh");
    examined(
        "incomplete-chain",
        &["--fix-script", script.to_str().unwrap()],
    );
    let run = std::process::Command::new("sh")
        .arg(&script)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "fix.sh")
        .collect();
    let [chain] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert!(chain.starts_with("fullchain-localhost-"), "{chain}");
    let chain = std::fs::read_to_string(folder.path().join(chain)).unwrap();
    assert_eq!(chain.matches("BEGIN CERTIFICATE").count(), 2);
    // A second run would write over what an operator may have in use.
    let again = std::process::Command::new("sh")
        .arg(&script)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!again.status.success());
}

#[test]
fn without_a_target_the_code_hosts_of_private_modules_are_examined() {
    let targets = examined("private-code-host", &[]);
    let names: Vec<&str> = targets
        .iter()
        .map(|target| target["target"].as_str().unwrap())
        .collect();
    let of_code_host = names
        .iter()
        .position(|name| *name == "git.lab.test/priv@v1.0.0");
    let target = &targets[of_code_host.unwrap_or_else(|| panic!("{names:?}"))];
    assert_eq!(target["findings"][0]["cause"], "vcs-auth-https");
    // The environment itself and the module proxy of GOPROXY are examined too.
    assert!(
        names.contains(&"environment") && names.len() >= 3,
        "{names:?}"
    );
}

#[test]
fn without_a_go_installation_the_doctor_says_what_it_cannot_see() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg("doctor")
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", folder.path())
        .env("PATH", folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.contains("no Go installation was found") && told.contains("GOPROXY"),
        "{told}"
    );
}

#[test]
fn a_probe_of_a_log_asks_the_url_that_failed_by_its_own_scheme() {
    let upstream = FakeUpstream::with(&[hello()]);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("build.log");
    let url = format!("{}/example.com/hello/@v/v1.0.0.info", upstream.url());
    let line = format!("go: example.com/hello@v1.0.0: reading {url}: 500 Internal Server Error\n");
    fs_err::write(&log, line).unwrap();
    let exited = larder().run(&["explain", "--probe", "--json", log.to_str().unwrap()]);
    let said: Value = serde_json::from_str(&exited.stdout).unwrap();
    assert_eq!(said["findings"][0]["cause"], "proxy-server-error");
    let target = &said["targets"][0];
    assert_eq!(target["target"], url.as_str());
    assert_eq!(target["verdict"], "healthy", "{target:#}");
}

#[test]
fn a_token_in_the_query_of_a_url_is_nowhere_shown() {
    let url = "http://127.0.0.1:1/modules?token=abcdef";
    for form in [&["doctor", url][..], &["doctor", "--json", url]] {
        let exited = larder().env("GOPROXY", url).run(form);
        assert_eq!(exited.status.code(), Some(1), "{exited:?}");
        let shown = format!("{}{}", exited.stdout, exited.stderr);
        assert!(!shown.contains("abcdef"), "{shown}");
    }
}
