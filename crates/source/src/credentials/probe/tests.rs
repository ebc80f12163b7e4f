use super::*;
use crate::credentials::tests::{address, https_server, rule, rules, variable};
use crate::credentials::{CredentialBook, Grant};
use crate::raw_server::{RawServer, answer, impatient};
use crate::{Credentials as _, Netrc};

/// What a host answers to the credential, to nobody, and at the repository's own address.
#[derive(Clone, Copy)]
struct Host {
    known: &'static str,
    unknown: &'static str,
    page: &'static str,
}

async fn host(host: Host) -> (RawServer, UpstreamOptions) {
    https_server(move |_, head| {
        let status = match head {
            _ if !head.contains("/info/refs?service=git-upload-pack ") => host.page,
            _ if head.contains("\r\nauthorization: basic ") => host.known,
            _ => host.unknown,
        };
        answer(
            status,
            &[("Location", "https://elsewhere.example/")],
            b"no ann s3cret",
        )
    })
    .await
}

fn credential() -> Credential {
    Credential {
        rule: "[[credential]] git.example/team".into(),
        means: Means::Password {
            username: "ann".to_owned(),
            password: Secret::new("s3cret"),
        },
    }
}

async fn judge(asked: Host, trust: Trust, credential: Option<&Credential>) -> HostVerdict {
    let (server, options) = host(asked).await;
    // The loopback of the test stands for a public address.
    let guard = Arc::new(AddressGuard::new(["127.0.0.1"]));
    let probe = RepositoryProbe::new(guard, options, None);
    let url = address(&format!("https://{}/team/x.git", server.address));
    let verdict = probe
        .judge(&url, trust, credential, "fatal: repository not found")
        .await;
    for head in server.requests() {
        assert!(
            credential.is_some() || !head.contains("authorization"),
            "{head}"
        );
    }
    verdict
}

const NOT_FOUND: &str = "404 Not Found";
const UNAUTHORISED: &str = "401 Unauthorized";
const FORBIDDEN: &str = "403 Forbidden";
const FINE: &str = "200 OK";
const BROKEN: &str = "500 Internal Server Error";
const MOVED: &str = "301 Moved Permanently";

#[tokio::test]
async fn absence_of_what_is_private_needs_a_credential_that_the_host_accepted() {
    let credential = credential();
    let check = async |known, unknown, expected: fn(String) -> HostVerdict, part: &str| {
        let host = Host {
            known,
            unknown,
            page: NOT_FOUND,
        };
        let verdict = judge(host, Trust::Named, Some(&credential)).await;
        assert_verdict(&verdict, expected, part);
        let said = format!("{verdict:?}");
        assert!(!said.contains("s3cret"), "{said}");
    };
    use HostVerdict::{Absent, Refused, Unproven};
    check(
        NOT_FOUND,
        UNAUTHORISED,
        Absent,
        "accepts the credential of `[[credential]] git.example/team`",
    )
    .await;
    check("410 Gone", UNAUTHORISED, Absent, "410").await;
    check(NOT_FOUND, FORBIDDEN, Absent, "accepts").await;
    check(
        NOT_FOUND,
        NOT_FOUND,
        Unproven,
        "not known whether it looked",
    )
    .await;
    check(NOT_FOUND, FINE, Unproven, "200 without").await;
    check(NOT_FOUND, BROKEN, Unproven, "500 without").await;
    check(NOT_FOUND, MOVED, Unproven, "redirects to another host").await;
    check(
        UNAUTHORISED,
        UNAUTHORISED,
        Refused,
        "does not accept the credential of `[[credential]] git.example/team`",
    )
    .await;
    check(UNAUTHORISED, NOT_FOUND, Refused, "expired or revoked").await;
    check(FORBIDDEN, UNAUTHORISED, Refused, "\"no ann ***\"").await;
    check(FINE, UNAUTHORISED, Unproven, "it is there").await;
    check(BROKEN, UNAUTHORISED, Unproven, "500").await;
    check("429 Too Many Requests", UNAUTHORISED, Unproven, "429").await;
    check(MOVED, UNAUTHORISED, Unproven, "redirects to another host").await;
}

#[tokio::test]
async fn of_what_is_private_a_host_says_nothing_to_strangers() {
    let check = async |unknown, page, expected: fn(String) -> HostVerdict, part: &str| {
        let host = Host {
            known: BROKEN,
            unknown,
            page,
        };
        for trust in [Trust::Named, Trust::PrivatelyChosen] {
            assert_verdict(&judge(host, trust, None).await, expected, part);
        }
    };
    use HostVerdict::{Refused, Unproven};
    check(NOT_FOUND, NOT_FOUND, Unproven, "no credential rule matches").await;
    check(
        UNAUTHORISED,
        NOT_FOUND,
        Refused,
        "no credential rule matches",
    )
    .await;
    check(FINE, NOT_FOUND, Unproven, "200").await;
    check(BROKEN, NOT_FOUND, Unproven, "500").await;
}

#[tokio::test]
async fn a_public_address_is_absent_when_an_anonymous_get_says_so() {
    let credential = credential();
    let check = async |page,
                       credential: Option<&Credential>,
                       expected: fn(String) -> HostVerdict,
                       part: &str| {
        let host = Host {
            known: NOT_FOUND,
            unknown: NOT_FOUND,
            page,
        };
        assert_verdict(
            &judge(host, Trust::Chosen, credential).await,
            expected,
            part,
        );
    };
    use HostVerdict::{Absent, Refused, Unproven};
    check(NOT_FOUND, None, Absent, "404 to everybody").await;
    check("410 Gone", None, Absent, "410 to everybody").await;
    check(NOT_FOUND, Some(&credential), Absent, "404 to everybody").await;
    check(FINE, None, Unproven, "200").await;
    check(FINE, Some(&credential), Unproven, "200").await;
    check(UNAUTHORISED, None, Refused, "401").await;
    check(FORBIDDEN, None, Refused, "403").await;
    check(BROKEN, None, Unproven, "500").await;
    // A refused credential is no stranger's question: a token that expired hides what it once showed.
    let host = Host {
        known: UNAUTHORISED,
        unknown: NOT_FOUND,
        page: NOT_FOUND,
    };
    assert_verdict(
        &judge(host, Trust::Chosen, Some(&credential)).await,
        Refused,
        "expired",
    );
}

#[tokio::test]
async fn what_a_host_makes_of_a_credential_is_told_apart() {
    let credential = credential();
    let check = async |known, unknown, credential: Option<&Credential>, expected: Access| {
        let (server, options) = host(Host {
            known,
            unknown,
            page: FINE,
        })
        .await;
        let probe = RepositoryProbe::new(Arc::default(), options, None);
        let url = address(&format!("https://{}/team/x", server.address));
        let inspection = probe.inspect(&url, Trust::Named, credential).await;
        assert_eq!(inspection.access, expected, "{inspection:?}");
        let knows_it = credential.is_some();
        assert!(
            !(knows_it && inspection.said.contains("s3cret")),
            "{inspection:?}"
        );
    };
    let ours = Some(&credential);
    check(FINE, FINE, ours, Access::Open).await;
    check(FINE, UNAUTHORISED, ours, Access::Granted).await;
    check(FINE, NOT_FOUND, ours, Access::Granted).await;
    check(UNAUTHORISED, FINE, ours, Access::NotAccepted).await;
    check(FORBIDDEN, UNAUTHORISED, ours, Access::NotAllowed).await;
    check(NOT_FOUND, UNAUTHORISED, ours, Access::NotSeen).await;
    check(NOT_FOUND, NOT_FOUND, ours, Access::Unclear).await;
    check(BROKEN, UNAUTHORISED, ours, Access::Unclear).await;
    check(MOVED, UNAUTHORISED, ours, Access::Unreached).await;
    check(BROKEN, UNAUTHORISED, None, Access::Wanted).await;
    check(BROKEN, FINE, None, Access::Open).await;
    check(BROKEN, NOT_FOUND, None, Access::Unclear).await;
}

#[tokio::test]
async fn an_address_that_a_request_chose_leads_to_no_private_network() {
    let probe = RepositoryProbe::new(Arc::default(), impatient(), None);
    let verdict = probe
        .judge(&address("https://127.0.0.1:1/x"), Trust::Chosen, None, "")
        .await;
    assert_verdict(
        &verdict,
        HostVerdict::Unproven,
        "may not make this server dial",
    );
}

#[tokio::test]
async fn a_password_is_not_sent_over_plain_http() {
    let server = RawServer::start(|_, _| answer(NOT_FOUND, &[], b"")).await;
    let probe = RepositoryProbe::new(Arc::default(), impatient(), None);
    let url = address(&format!("http://{}/x", server.address));
    let verdict = probe
        .judge(&url, Trust::Named, Some(&credential()), "")
        .await;
    assert_verdict(&verdict, HostVerdict::Unproven, "not sent over plain HTTP");
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_within_its_host() {
    let (server, options) = https_server(|number, head| match number {
        0 => answer(
            MOVED,
            &[(
                "Location",
                "/team/new.git/info/refs?service=git-upload-pack",
            )],
            b"",
        ),
        _ if head.starts_with("get /team/new.git/") && head.contains("authorization") => {
            answer(NOT_FOUND, &[], b"")
        }
        _ => answer(UNAUTHORISED, &[], b""),
    })
    .await;
    let probe = RepositoryProbe::new(Arc::default(), options, None);
    let url = address(&format!("https://{}/team/x", server.address));
    let verdict = probe
        .judge(&url, Trust::Named, Some(&credential()), "")
        .await;
    assert_verdict(&verdict, HostVerdict::Absent, "accepts");
}

#[tokio::test]
async fn a_kept_answer_that_the_host_refuses_is_asked_for_anew() {
    let (server, options) = https_server(|_, _| answer(UNAUTHORISED, &[], b"")).await;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!(
        "echo . >> {}; echo username=a; echo password=b",
        log.display()
    );
    let command = crate::credentials::CredentialCommand {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script],
        time_limit: Duration::from_secs(60),
    };
    let place = server.address.to_string();
    let rules = Arc::new(rules(CredentialBook {
        rules: vec![
            rule(&place, Grant::Command(command)),
            rule("x.example", Grant::Token(variable("t"))),
        ],
        netrc: Netrc::default(),
    }));
    let probe = RepositoryProbe::new(Arc::default(), options, Some(rules.clone()));
    let url = address(&format!("https://{place}/x"));
    for times in 1..=2 {
        let credential = rules.for_repository(&url).await.unwrap().unwrap();
        assert_eq!(fs_err::read_to_string(&log).unwrap().lines().count(), times);
        let verdict = probe.judge(&url, Trust::Named, Some(&credential), "").await;
        assert_verdict(&verdict, HostVerdict::Refused, "401");
    }
}

#[test]
fn over_ssh_only_a_session_that_knows_us_can_prove_absence() {
    let url = address("ssh://git@git.example/team/x");
    let end = "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\n";
    let check = |stderr: &str, expected: fn(String) -> HostVerdict, part: &str| {
        let verdict = judge_ssh(&url, Some(&credential()), &format!("{stderr}\n{end}"));
        assert_verdict(&verdict, expected, part);
    };
    use HostVerdict::{Absent, Refused, Unproven};
    check(
        "ERROR: Repository not found.",
        Absent,
        "lets the key of `[[credential]] git.example/team` in",
    );
    check(
        "remote: ERROR: The project you were looking for could not be found or you don't have permission to view it.",
        Absent,
        "no such",
    );
    check(
        "Gitea: Repository does not exist or you do not have access",
        Absent,
        "no such",
    );
    check(
        "fatal: '/srv/x.git' does not appear to be a git repository",
        Absent,
        "no such",
    );
    check(
        "git@git.example: Permission denied (publickey).",
        Refused,
        "does not accept the key of",
    );
    check(
        "Received disconnect: Too many authentication failures",
        Refused,
        "does not accept",
    );
    check("repository access denied.", Refused, "does not let");
    check(
        "Host key verification failed.",
        Unproven,
        "host key is not known",
    );
    check(
        "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
        Unproven,
        "no SSH session",
    );
    check(
        "ssh: connect to host git.example port 22: Connection refused",
        Unproven,
        "refuses connections",
    );
    check(
        "ssh: Could not resolve hostname git.example: Name or service not known",
        Unproven,
        "can't be looked up",
    );
    check("something else", Unproven, "nothing that proves it");
    // A host that was not known cannot have said that something is absent, whatever else stands there.
    check(
        "Host key verification failed.\nERROR: Repository not found.",
        Unproven,
        "no SSH session",
    );
    let without_end = judge_ssh(&url, None, "ERROR: Repository not found.");
    assert_verdict(&without_end, Unproven, "not heard");
    let users_own = judge_ssh(&url, None, &format!("ERROR: Repository not found.\n{end}"));
    assert_verdict(&users_own, Absent, "no credential rule matches");
}

#[tokio::test]
async fn a_folder_is_there_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let there = address(&format!("file://{}", folder.path().display()));
    let missing = address(&format!("file://{}/x%20y", folder.path().display()));
    assert_verdict(
        &judge_folder(&there).await,
        HostVerdict::Unproven,
        "is there",
    );
    assert_verdict(
        &judge_folder(&missing).await,
        HostVerdict::Absent,
        "no such folder",
    );
}

#[track_caller]
fn assert_verdict(verdict: &HostVerdict, expected: fn(String) -> HostVerdict, part: &str) {
    let (HostVerdict::Absent(text) | HostVerdict::Refused(text) | HostVerdict::Unproven(text)) =
        verdict;
    assert_eq!(*verdict, expected(text.clone()));
    assert!(text.contains(part), "`{part}` in `{text}`");
}
