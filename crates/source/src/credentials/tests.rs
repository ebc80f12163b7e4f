use std::path::Path;

use gomod::SafeUrl;
use testkit::TestCa;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::raw_server::{RawServer, Step, impatient};
use crate::{Netrc, NoCredentials};

/// A server over HTTPS on `127.0.0.1`, and options that trust it.
pub(super) async fn https_server(
    script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static,
) -> (RawServer, UpstreamOptions) {
    let authority = TestCa::new();
    let acceptor = TlsAcceptor::from(authority.server_config(&["http/1.1"], &[]));
    let folder = tempfile::tempdir().unwrap();
    let mut options = impatient();
    options.tls_roots = crate::TlsRoots::none()
        .with_files(&[authority.write(folder.path())])
        .unwrap();
    (RawServer::start_tls(acceptor, script).await, options)
}

pub(super) fn address(text: &str) -> RepositoryUrl {
    RepositoryUrl::parse(text).unwrap()
}

pub(super) fn variable(value: &str) -> SecretSource {
    SecretSource::Variable {
        name: "TOKEN".into(),
        value: Secret::new(value),
    }
}

pub(super) fn rule(place: &str, grant: Grant) -> CredentialRule {
    CredentialRule {
        place: CredentialPlace::parse(place).unwrap(),
        grant,
        layer: "[[credential]]".into(),
        written_at: "larder.toml:1".to_owned(),
    }
}

fn user(name: &str) -> Grant {
    Grant::Password {
        user: name.to_owned(),
        password: variable("s3cret"),
    }
}

pub(super) fn rules(book: CredentialBook) -> CredentialRules {
    let source = BookSource {
        files: Vec::new(),
        read: Arc::new(|| Err("there is no file".to_owned())),
    };
    CredentialRules::new(book, source, Arc::default(), impatient())
}

/// The rule's name and the user, or the key's file.
async fn granted(rules: &CredentialRules, url: &str) -> Option<(String, String)> {
    let credential = rules.for_repository(&address(url)).await.unwrap()?;
    let who = match credential.means {
        Means::Password { username, .. } => username,
        Means::SshKey { file } => file.display().to_string(),
    };
    Some((credential.rule.to_string(), who))
}

#[track_caller]
fn check(found: Option<(String, String)>, expected: Option<(&str, &str)>) {
    let found = found.as_ref().map(|(rule, who)| (&**rule, &**who));
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_longest_prefix_counts_then_netrc_then_nothing() {
    let key = Grant::SshKey {
        file: "/keys/deploy".into(),
    };
    let rules = rules(CredentialBook {
        rules: vec![
            rule("git.example", user("all")),
            rule("git.example/team", user("team")),
            rule("git.example/team/secret", user("secret")),
            rule("git.example/team/secret", key),
            rule("other.example/team", user("replaced")),
            rule("other.example/team", user("last")),
        ],
        netrc: Netrc::parse(
            "machine git.example login n password p machine net.example login ann password p",
        ),
    });
    let rules = &rules;
    let check = async |url: &str, expected| check(granted(rules, url).await, expected);
    check(
        "https://git.example/x",
        Some(("[[credential]] git.example", "all")),
    )
    .await;
    check(
        "https://git.example/team/a.git",
        Some(("[[credential]] git.example/team", "team")),
    )
    .await;
    check(
        "https://git.example/teams/a",
        Some(("[[credential]] git.example", "all")),
    )
    .await;
    let secret = "[[credential]] git.example/team/secret";
    check(
        "https://git.example/team/secret/x",
        Some((secret, "secret")),
    )
    .await;
    check(
        "ssh://git@git.example/team/secret/x",
        Some((secret, "/keys/deploy")),
    )
    .await;
    check("ssh://git@git.example/team/x", None).await;
    check("http://git.example/team/x", None).await;
    check(
        "https://other.example/team/x",
        Some(("[[credential]] other.example/team", "last")),
    )
    .await;
    check("https://other.example/x", None).await;
    check(
        "https://net.example/x",
        Some((".netrc (machine net.example)", "ann")),
    )
    .await;
    check("ssh://git@net.example/x", None).await;
    check("https://net.example:8443/x", None).await;
    assert!(
        NoCredentials
            .for_repository(&address("https://a.example/b"))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_token_has_the_user_that_its_host_expects() {
    let rules = rules(CredentialBook {
        rules: vec![
            rule("git.example", Grant::Token(variable("t"))),
            rule("bitbucket.org", Grant::Token(variable("t"))),
        ],
        netrc: Netrc::default(),
    });
    let (_, who) = granted(&rules, "https://git.example/x").await.unwrap();
    assert_eq!(who, "x-access-token");
    let (_, who) = granted(&rules, "https://bitbucket.org/x/y").await.unwrap();
    assert_eq!(who, "x-token-auth");
}

#[test]
fn the_rules_that_nearly_match_say_why_they_do_not() {
    let rules = rules(CredentialBook {
        rules: vec![
            rule("git.example", user("a")),
            rule("git.example/Team", user("b")),
            rule("git.example/team", user("c")),
            rule("git.example/other", user("d")),
            rule("git.example:8443/team", user("e")),
            rule("git.example/team/x", Grant::SshKey { file: "/k".into() }),
            rule("elsewhere.example", user("f")),
        ],
        netrc: Netrc::default(),
    });
    let matches = rules.matches(&address("https://git.example/team/x"));
    let told: Vec<(String, Option<NearMiss>)> = matches
        .iter()
        .map(|it| (it.rule.place.to_string(), it.miss))
        .collect();
    let expected = [
        ("git.example/team", None),
        ("git.example", Some(NearMiss::Shorter)),
        ("git.example/Team", Some(NearMiss::Case)),
        ("git.example/other", Some(NearMiss::Path)),
        ("git.example:8443/team", Some(NearMiss::Port)),
        (
            "git.example/team/x",
            Some(NearMiss::Protocol(GitProtocol::Ssh)),
        ),
    ];
    assert_eq!(told, expected.map(|(place, miss)| (place.to_owned(), miss)));
}

#[tokio::test]
async fn a_secret_file_is_read_at_each_use_and_its_faults_name_no_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let rules = rules(CredentialBook {
        rules: vec![rule(
            "git.example",
            Grant::Token(SecretSource::File(file.clone())),
        )],
        netrc: Netrc::default(),
    });
    let ask = async || {
        let credential = rules
            .for_repository(&address("https://git.example/x"))
            .await;
        credential.map(|found| match found.unwrap().means {
            Means::Password { password, .. } => password.expose().to_owned(),
            Means::SshKey { .. } => String::new(),
        })
    };
    let refuses = async |reason: &str| {
        let error = ask().await.unwrap_err();
        assert_eq!(error.kind(), SourceErrorKind::Internal);
        assert!(error.to_string().contains(reason), "{error}");
        assert!(
            !error.to_string().contains(folder.path().to_str().unwrap()),
            "{error}"
        );
        assert!(!error.to_string().contains("s3cret"), "{error}");
    };
    refuses("can't be used: its file is not there").await;
    let put = |text: &str| fs_err::write(&file, text).unwrap();
    put("first\n");
    assert_eq!(ask().await.unwrap(), "first");
    put("second\r\n");
    assert_eq!(ask().await.unwrap(), "second");
    put("\n");
    refuses("its file is empty").await;
    put("s3cret\nline two\n");
    refuses("more than one line").await;
    put(&"s3cret".repeat(20_000));
    refuses("larger than 64 KiB").await;
}

/// Rules from a file with one user a line.
fn rules_of(file: &Path) -> CredentialRules {
    let read = {
        let file = file.to_owned();
        move || {
            let text = fs_err::read_to_string(&file).map_err(|error| error.to_string())?;
            if text.contains("broken") {
                return Err("it is broken".to_owned());
            }
            let users = text.lines().map(|name| rule("git.example", user(name)));
            Ok(CredentialBook {
                rules: users.collect(),
                netrc: Netrc::default(),
            })
        }
    };
    let source = BookSource {
        files: vec![file.to_owned()],
        read: Arc::new(read),
    };
    CredentialRules::new(
        (source.read)().unwrap(),
        source,
        Arc::default(),
        impatient(),
    )
}

#[tokio::test(start_paused = true)]
async fn rules_are_read_again_when_their_file_changes_and_a_broken_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("larder.toml");
    fs_err::write(&file, "first").unwrap();
    let rules = rules_of(&file);
    let who = async || granted(&rules, "https://git.example/x").await.unwrap().1;
    assert_eq!(who().await, "first");
    // Replaced, as editors and mounted secrets do it: another inode, whatever the clock says.
    let put = |text: &str| {
        let new = folder.path().join("new");
        fs_err::write(&new, text).unwrap();
        fs_err::rename(&new, &file).unwrap();
    };
    put("second");
    assert_eq!(who().await, "first", "it was looked at a moment ago");
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(who().await, "second");
    put("broken");
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(who().await, "second");
    put("third");
    tokio::time::advance(LOOK_AGAIN).await;
    assert_eq!(who().await, "third");
}

#[test]
fn no_secret_is_in_any_debug_text() {
    let app = GithubApp {
        id: "1".into(),
        installation: 2,
        key: variable("s3cret"),
        api: SafeUrl::parse("https://api.git.example").unwrap(),
    };
    for grant in [
        user("ann"),
        Grant::Token(variable("s3cret")),
        Grant::GithubApp(app),
    ] {
        let description = grant.describe();
        let text = format!("{:?} {description}", rule("git.example", grant));
        assert!(!text.contains("s3cret"), "{text}");
    }
}
