use super::*;
use crate::SourceErrorKind;
use crate::credentials::tests::address;
use testkit::eventually;

fn shell(script: &str) -> CredentialCommand {
    CredentialCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        time_limit: Duration::from_secs(60),
    }
}

const RULE: &str = "[[credential]] git.example";

async fn ask(command: &CredentialCommand, url: &str) -> Result<(String, String), String> {
    let answer = Answers::new()
        .means(RULE, command, &[], &address(url))
        .await;
    answer.map(pair).map_err(|error| {
        assert_eq!(error.kind(), SourceErrorKind::Internal);
        error.to_string()
    })
}

fn pair(means: Means) -> (String, String) {
    match means {
        Means::Password { username, password } => (username, password.expose().to_owned()),
        Means::SshKey { .. } => unreachable!("a command gives no key"),
    }
}

#[tokio::test]
async fn the_program_is_told_protocol_host_and_path() {
    let echo = shell("printf 'username=ann\\npassword='; tr '\\n' ' '; printf '\\n'");
    let check = async |url: &str, question: &str| {
        let (username, password) = ask(&echo, url).await.unwrap();
        assert_eq!((&*username, password.trim_end()), ("ann", question));
    };
    check(
        "https://git.example/team/x.git",
        "protocol=https host=git.example path=team/x.git",
    )
    .await;
    check(
        "https://git.example:8443/team/x",
        "protocol=https host=git.example:8443 path=team/x",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_answer_is_refused_and_never_quoted() {
    let check = async |script: &str, reason: &str| {
        let error = ask(&shell(script), "https://git.example/x")
            .await
            .unwrap_err();
        assert!(error.contains(reason), "{script}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    };
    let good = "echo username=ann; echo password=s3cret";
    check(&format!("{good}; exit 3"), "failed (exit status: 3)").await;
    check("kill -9 $$", "signal: 9").await;
    check("echo password=s3cret", "did not write a `username=`").await;
    check("echo username=; echo password=s3cret", "did not write").await;
    check("echo s3cret", "not `key=value`").await;
    check(
        "printf 'username=a\\npassword=s3cret\\r\\0\\n'",
        "control characters",
    )
    .await;
    check("printf 'username=\\377s3cret\\n'", "not UTF-8").await;
    check(
        &format!("{good}; echo password_expiry_utc=1"),
        "has expired",
    )
    .await;
    check(
        &format!("{good}; echo password_expiry_utc=soon"),
        "no number",
    )
    .await;
    check("echo quit=1", "knows no credential").await;
    check("yes username=s3cret", "more than 64 KiB").await;
    let missing = CredentialCommand {
        program: "/nowhere/helper".into(),
        ..shell("")
    };
    let error = ask(&missing, "https://git.example/x").await.unwrap_err();
    assert!(error.contains("can't be started"), "{error}");
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let mut command = shell(&format!("sleep 1000 & echo $! > {}; wait", file.display()));
    command.time_limit = Duration::from_millis(500);
    let error = ask(&command, "https://git.example/x").await.unwrap_err();
    assert!(error.contains("did not end within 0.5 s"), "{error}");
    let pid = fs_err::read_to_string(&file).unwrap();
    eventually("the child of the program is dead", || {
        let stat = fs_err::read_to_string(format!("/proc/{}/stat", pid.trim()));
        // A zombie is dead; who should bury it is not ours to say.
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
}

#[tokio::test]
async fn an_answer_is_kept_for_its_question_until_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let command = shell(&format!(
        "echo . >> {log}; echo username=ann; echo password=$(wc -l < {log})",
        log = log.display()
    ));
    let answers = Answers::new();
    let ask = async |url: &str| {
        let means = answers
            .means(RULE, &command, &[], &address(url))
            .await
            .unwrap();
        pair(means).1.trim().to_owned()
    };
    assert_eq!(ask("https://git.example/a").await, "1");
    assert_eq!(ask("https://git.example/a").await, "1");
    assert_eq!(ask("https://git.example/b").await, "2");
    answers.forget().await;
    assert_eq!(ask("https://git.example/a").await, "3");
    let fresh = |text: &str| {
        let fresh = read(format!("username=a\npassword=b\n{text}").as_bytes(), 1000).unwrap();
        (fresh.renew_in.as_secs(), fresh.dies_in.as_secs())
    };
    assert_eq!(fresh(""), (60, 60));
    assert_eq!(fresh("password_expiry_utc=1500\n"), (440, 500));
    assert_eq!(fresh("password_expiry_utc=1030\n"), (0, 30));
    assert_eq!(fresh("password_expiry_utc=9000000\n"), (3540, 3600));
    assert_eq!(fresh("\npassword_expiry_utc=1\n"), (60, 60));
}

#[tokio::test]
async fn what_it_writes_to_stderr_goes_nowhere() {
    let command = shell("echo s3cret >&2; echo username=ann; echo password=x");
    let (_, password) = ask(&command, "https://git.example/x").await.unwrap();
    assert_eq!(password, "x");
}

#[tokio::test]
async fn a_program_does_not_see_the_variables_that_hold_the_secrets_of_other_rules() {
    // A variable that is there in every run of the tests.
    let told = shell("echo username=ann; echo password=$(env | grep -c ^CARGO_MANIFEST_DIR=)");
    let seen = async |others: &[Arc<str>]| {
        let answers = Answers::new();
        let address = address("https://git.example/x");
        let means = answers.means(RULE, &told, others, &address).await;
        pair(means.unwrap()).1
    };
    assert_eq!(seen(&[]).await, "1");
    assert_eq!(seen(&["CARGO_MANIFEST_DIR".into()]).await, "0");
}
