//! Where git goes, with what it proves who asks, and what its failures mean.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use parking_lot::Mutex;

use super::Setup;
use crate::git::guarded_proxy::GuardedProxy;
use crate::git::{Git, GitOptions, HostProbe, HostVerdict};
use crate::raw_server::{RawServer, Step, answer};
use crate::test_names::{Names, TwoServers};
use crate::{
    AddressGuard, Credential, Credentials, Freshness, GitProtocol, Means, Refs, Repositories,
    RepositoryUrl, Secret, SourceError, SourceErrorKind, Trust,
};

const COMMIT: &str = "ede458df7cd0fdca520df19a33158086a8a68e81";

/// A server of one repository for clients that know no better protocol.
async fn dumb_server() -> RawServer {
    RawServer::start(one_repository).await
}

fn one_repository(_: usize, head: &str) -> Vec<Step> {
    if head.starts_with("get /m.git/info/refs") {
        answer(
            "200 OK",
            &[("Content-Type", "text/plain")],
            format!("{COMMIT}\trefs/heads/main\n").as_bytes(),
        )
    } else if head.starts_with("get /m.git/head") {
        answer("200 OK", &[], b"ref: refs/heads/main\n")
    } else {
        answer("404 Not Found", &[], b"")
    }
}

/// An engine over these names.
async fn engine(options: &GitOptions, guard: AddressGuard, names: &Arc<Names>) -> Git {
    let options = GitOptions {
        guard: names.guard(guard),
        ..options.clone()
    };
    Git::find(options).await.unwrap()
}

fn url(text: &str) -> RepositoryUrl {
    RepositoryUrl::parse(text).unwrap()
}

async fn list(git: &Git, url: &RepositoryUrl, trust: Trust) -> Result<Arc<Refs>, SourceError> {
    git.open(url, trust)?.refs(Freshness::Recent).await
}

#[tokio::test]
async fn an_address_that_a_request_chose_does_not_lead_to_this_machine() {
    let server = dumb_server().await;
    let names = Names::new(&[("code.example", &[server.address])]);
    let setup = Setup::new().await;
    let git = engine(&setup.options, AddressGuard::default(), &names).await;
    let port = server.address.port();
    for address in [
        format!("http://code.example:{port}/m.git"),
        format!("https://code.example:{port}/m.git"),
        format!("http://127.0.0.1:{port}/m.git"),
        format!("http://[::1]:{port}/m.git"),
        format!("ssh://git@code.example:{port}/m.git"),
        format!("ssh://git@127.0.0.1:{port}/m.git"),
        format!("git://code.example:{port}/m.git"),
        "http://169.254.169.254/m.git".to_owned(),
        format!("file://{}", setup.folder.path().display()),
    ] {
        for trust in [Trust::Chosen, Trust::PrivatelyChosen] {
            let refused = list(&git, &url(&address), trust).await.unwrap_err();
            assert_eq!(
                refused.kind(),
                SourceErrorKind::ForbiddenAddress,
                "{address}: {refused}"
            );
            assert!(
                refused.0.notes[0].contains("GOPRIVATE"),
                "{:?}",
                refused.0.notes
            );
        }
    }
    assert_eq!(server.requests(), Vec::<String>::new());
    assert!(names.looks().contains(&"code.example".to_owned()));
}

#[tokio::test]
async fn an_address_that_may_be_dialled_is_reached_through_the_guarded_proxy_and_its_redirects_are_judged()
 {
    let server = dumb_server().await;
    let inner = dumb_server().await;
    let to_inner = format!(
        "http://inner.example:{}/m.git/info/refs",
        inner.address.port()
    );
    let leading = RawServer::start(move |_, _| {
        answer("301 Moved Permanently", &[("Location", &to_inner)], b"")
    })
    .await;
    let names = Names::new(&[
        ("code.example", &[server.address]),
        ("leading.example", &[leading.address]),
        ("inner.example", &[inner.address]),
    ]);
    let mut setup = Setup::new().await;
    // Neither keeps git from the guarded proxy.
    setup.set("NO_PROXY", "*");
    setup.user_config("[http \"http://code.example\"]\n\tproxy =\n");
    let git = engine(&setup.options, AddressGuard::default(), &names).await;
    // As if these two were public.
    let guard = AddressGuard::new(["code.example", "leading.example"]);
    let proxy = GuardedProxy::open(names.guard(guard)).await.unwrap();
    assert!(git.engine.guarded_proxy.set(proxy).is_ok());
    let reached = url(&format!(
        "http://code.example:{}/m.git",
        server.address.port()
    ));
    let refs = list(&git, &reached, Trust::Chosen).await.unwrap();
    assert_eq!(refs.get("refs/heads/main").unwrap().as_str(), COMMIT);
    assert!(
        server.requests()[0].contains("host: code.example"),
        "{:?}",
        server.requests()
    );

    let redirected = url(&format!(
        "http://leading.example:{}/m.git",
        leading.address.port()
    ));
    let refused = list(&git, &redirected, Trust::Chosen).await.unwrap_err();
    assert_eq!(
        refused.kind(),
        SourceErrorKind::ForbiddenAddress,
        "{refused}"
    );
    assert!(refused.to_string().contains("inner.example"), "{refused}");
    assert!(!leading.requests().is_empty());
    assert_eq!(inner.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn a_named_address_and_one_that_the_operator_rewrites_lead_anywhere() {
    let server = dumb_server().await;
    let mut setup = Setup::new().await;
    setup.set("GIT_CONFIG_COUNT", "1");
    setup.set(
        "GIT_CONFIG_KEY_0",
        format!("url.http://{}/.insteadOf", server.address),
    );
    setup.set("GIT_CONFIG_VALUE_0", "https://code.example/team/");
    let git = engine(&setup.options, AddressGuard::default(), &Names::new(&[])).await;
    let named = url(&format!("http://{}/m.git", server.address));
    list(&git, &named, Trust::Named).await.unwrap();
    // The original name need not resolve, and the operator's way may be another protocol.
    let rewritten = url("https://code.example/team/m.git");
    let refs = list(&git, &rewritten, Trust::Chosen).await.unwrap();
    assert_eq!(refs.iter().count(), 2);
    let beside = url("https://code.example/other/m.git");
    assert!(list(&git, &beside, Trust::Chosen).await.is_err());
}

#[tokio::test]
async fn ssh_to_a_chosen_host_goes_to_the_judged_address_under_the_hosts_own_key() {
    let names = Names::new(&[("code.example", &["1.1.1.1:0".parse().unwrap()])]);
    let mut setup = Setup::new().await;
    let said = setup.folder.path().join("ssh-said");
    let script = setup.folder.path().join("bin/ssh");
    setup
        .program_at(
            &script,
            &format!("printf '%s\\n' \"$*\" >> {}; exit 255", said.display()),
        )
        .await;
    let git = engine(&setup.options, AddressGuard::default(), &names).await;
    list(
        &git,
        &url("ssh://git@code.example:2222/m.git"),
        Trust::Chosen,
    )
    .await
    .unwrap_err();
    let words = fs_err::read_to_string(&said).unwrap();
    for expected in [
        "-o BatchMode=yes",
        "-o HostName=1.1.1.1",
        "-o HostKeyAlias=[code.example]:2222",
        "-p 2222",
        "git@code.example",
    ] {
        assert!(words.contains(expected), "{words}");
    }
    setup.set("GIT_SSH_COMMAND", "ssh -v");
    let git = engine(&setup.options, AddressGuard::default(), &names).await;
    let refused = list(&git, &url("ssh://git@code.example/m.git"), Trust::Chosen)
        .await
        .unwrap_err();
    assert_eq!(
        refused.kind(),
        SourceErrorKind::ForbiddenAddress,
        "{refused}"
    );
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_at_the_second_look_is_not_dialled_for_git() {
    let servers = TwoServers::start(one_repository).await;
    let names = servers.rebinding("code.example");
    let setup = Setup::new().await;
    let git = engine(&setup.options, AddressGuard::default(), &names).await;
    // Git asks twice for one listing, and each answer ends its connection: the first dial goes where the first
    // look was judged, the second look is judged anew.
    let address = url(&format!("http://code.example:{}/m.git", servers.port));
    let refused = list(&git, &address, Trust::Chosen).await.unwrap_err();
    assert_eq!(
        refused.kind(),
        SourceErrorKind::ForbiddenAddress,
        "{refused}"
    );
    assert_eq!(names.looks(), ["code.example"; 2]);
    assert_eq!(servers.outer.requests().len(), 1);
    assert_eq!(servers.inner.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn ssh_is_pinned_to_the_address_of_the_one_look_that_was_judged() {
    let outward = "1.1.1.1:0".parse().unwrap();
    let inward = "127.0.0.1:0".parse().unwrap();
    let names = Names::new(&[("code.example", &[outward, inward])]);
    let setup = Setup::new().await;
    let said = setup.folder.path().join("ssh-said");
    let script = setup.folder.path().join("bin/ssh");
    let note = format!("printf '%s\\n' \"$*\" >> {}; exit 255", said.display());
    setup.program_at(&script, &note).await;
    let git = engine(&setup.options, AddressGuard::default(), &names).await;
    let address = url("ssh://git@code.example/m.git");
    list(&git, &address, Trust::Chosen).await.unwrap_err();
    assert_eq!(names.looks(), ["code.example"]);
    let words = fs_err::read_to_string(&said).unwrap();
    assert!(words.contains("-o HostName=1.1.1.1 "), "{words}");
    // From now on the name leads inward, and ssh is not started any more.
    let refused = list(&git, &address, Trust::Chosen).await.unwrap_err();
    assert_eq!(
        refused.kind(),
        SourceErrorKind::ForbiddenAddress,
        "{refused}"
    );
    assert_eq!(fs_err::read_to_string(&said).unwrap(), words);
}

struct OneRule(Means);

#[async_trait]
impl Credentials for OneRule {
    async fn for_repository(&self, _: &RepositoryUrl) -> Result<Option<Credential>, SourceError> {
        Ok(Some(Credential {
            rule: "[[credential]] code.example/team".into(),
            means: self.0.clone(),
        }))
    }
}

#[tokio::test]
async fn a_password_convinces_the_host_and_stands_in_no_command_line_error_or_file() {
    let basic = base64::engine::general_purpose::STANDARD
        .encode("ann:pa'ss $word")
        .to_lowercase();
    let server = RawServer::start(move |_, head| {
        if !head.contains(&format!("authorization: basic {basic}")) {
            return answer(
                "401 Unauthorized",
                &[("WWW-Authenticate", "Basic realm=\"x\"")],
                b"",
            );
        }
        if head.starts_with("get /m.git/info/refs") {
            let refs = format!("{COMMIT}\trefs/heads/main\n");
            answer("200 OK", &[("Content-Type", "text/plain")], refs.as_bytes())
        } else {
            answer("200 OK", &[], b"ref: refs/heads/main\n")
        }
    })
    .await;
    let means = |password: &str| Means::Password {
        username: "ann".to_owned(),
        password: Secret::new(password),
    };
    let mut setup = Setup::new().await;
    // The rule was chosen for the address: the user's own helper is not asked.
    setup.user_config(
        "[credential]\n\thelper = \"!f() { echo username=eve; echo password=wrong; }; f\"\n",
    );
    setup.options.credentials = Arc::new(OneRule(means("pa'ss $word")));
    let address = url(&format!("http://{}/m.git", server.address));
    let refs = list(&setup.start().await, &address, Trust::Named)
        .await
        .unwrap();
    assert_eq!(refs.iter().count(), 2);

    setup.options.credentials = Arc::new(OneRule(means("wrong-s3cret")));
    let refused = list(&setup.start().await, &address, Trust::Named)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), SourceErrorKind::Refused, "{refused}");
    let everything = format!("{:?}{:?}", refused, setup.lines());
    assert!(!everything.contains("s3cret"), "{everything}");
    assert!(!everything.contains("pa'ss"), "{everything}");
    assert!(refused.0.notes[0].contains("[[credential]] code.example/team"));
    // Without a rule the user's own helper is.
    setup.options.credentials = Arc::new(crate::NoCredentials);
    list(&setup.start().await, &address, Trust::Named)
        .await
        .unwrap_err();
    let eve = base64::engine::general_purpose::STANDARD
        .encode("eve:wrong")
        .to_lowercase();
    assert!(server.requests().iter().any(|head| head.contains(&eve)));
}

struct ByHost;

#[async_trait]
impl Credentials for ByHost {
    async fn for_repository(&self, url: &RepositoryUrl) -> Result<Option<Credential>, SourceError> {
        Ok((url.host() == "127.0.0.1").then(|| Credential {
            rule: "[[credential]] 127.0.0.1".into(),
            means: Means::Password {
                username: "ann".to_owned(),
                password: Secret::new("there"),
            },
        }))
    }
}

#[tokio::test]
async fn a_rewritten_address_gets_the_credential_of_where_it_leads() {
    let server = RawServer::start(|_, head| match head.contains("authorization: basic") {
        true => answer("404 Not Found", &[], b""),
        false => answer(
            "401 Unauthorized",
            &[("WWW-Authenticate", "Basic realm=\"x\"")],
            b"",
        ),
    })
    .await;
    let mut setup = Setup::new().await;
    setup.user_config(&format!(
        "[url \"http://{}/\"]\n\tinsteadOf = https://code.example/\n",
        server.address
    ));
    setup.options.credentials = Arc::new(ByHost);
    let git = setup.start().await;
    let failed = list(&git, &url("https://code.example/m"), Trust::Named)
        .await
        .unwrap_err();
    assert!(
        failed.0.notes[0].contains("[[credential]] 127.0.0.1"),
        "{failed:?}"
    );
    let there = base64::engine::general_purpose::STANDARD
        .encode("ann:there")
        .to_lowercase();
    assert!(server.requests().iter().any(|head| head.contains(&there)));
}

#[tokio::test]
async fn names_that_a_hostile_remote_lists_reach_no_command_line() {
    let server = RawServer::start(|_, head| {
        let refs: String = [
            "refs/tags/v1.0.0\u{1}x",
            "refs/heads/a..b",
            "refs/heads/--upload-pack=touch",
            "refs/tags/x:refs/heads/y",
            "refs/tags/*",
        ]
        .iter()
        .map(|name| format!("{COMMIT}\t{name}\n"))
        .collect();
        if head.starts_with("get /m.git/info/refs") {
            answer("200 OK", &[("Content-Type", "text/plain")], refs.as_bytes())
        } else {
            answer("404 Not Found", &[], b"")
        }
    })
    .await;
    let setup = Setup::new().await;
    let git = setup.start().await;
    let repository = git
        .open(
            &url(&format!("http://{}/m.git", server.address)),
            Trust::Named,
        )
        .unwrap();
    for revision in [
        "v1.0.0\u{1}x",
        "a..b",
        "--upload-pack=touch",
        "x:refs/heads/y",
        "*",
    ] {
        match repository.find(revision).await {
            Ok(found) => assert_eq!(found, None, "{revision:?}"),
            Err(error) => assert!(!error.is_absence(), "{revision:?}: {error}"),
        }
    }
    for line in setup.lines() {
        let hostile = line.contains('\u{1}')
            || line.contains("a..b")
            || line.contains("x:refs")
            || line.contains(" --upload-pack");
        assert!(!hostile, "{line}");
    }
}

struct Verdict(HostVerdict, Mutex<Vec<String>>);

#[async_trait]
impl HostProbe for Verdict {
    async fn judge(
        &self,
        _: &RepositoryUrl,
        _: Trust,
        _: Option<&Credential>,
        stderr: &str,
    ) -> HostVerdict {
        self.1.lock().push(stderr.to_owned());
        self.0.clone()
    }
}

#[tokio::test]
async fn only_the_probe_proves_that_a_repository_is_absent() {
    let missing = RawServer::start(|_, _| answer("404 Not Found", &[], b"")).await;
    let closed = RawServer::start(|_, _| {
        answer(
            "401 Unauthorized",
            &[("WWW-Authenticate", "Basic realm=\"x\"")],
            b"",
        )
    })
    .await;
    let broken = RawServer::start(|_, _| answer("503 Service Unavailable", &[], b"")).await;
    let silent = RawServer::start(|_, _| vec![Step::Hang]).await;
    let check = async |server: &RawServer, verdict: &str, kind: SourceErrorKind, asked: usize| {
        let text = || "because".to_owned();
        let probe = Arc::new(Verdict(
            match verdict {
                "absent" => HostVerdict::Absent(text()),
                "refused" => HostVerdict::Refused(text()),
                _ => HostVerdict::Unproven(text()),
            },
            Mutex::default(),
        ));
        let mut setup = Setup::new().await;
        setup.options.probe = probe.clone();
        setup.options.stall_timeout = std::time::Duration::from_secs(1);
        let address = url(&format!("http://{}/m.git", server.address));
        let failed = list(&setup.start().await, &address, Trust::Named)
            .await
            .unwrap_err();
        assert_eq!(failed.kind(), kind, "{verdict}: {failed:?}");
        assert_eq!(probe.1.lock().len(), asked, "{verdict}: {failed:?}");
        if asked == 1 {
            assert!(failed.to_string().ends_with("because"), "{failed}");
            assert!(
                failed.0.notes[0].contains("no credential rule"),
                "{failed:?}"
            );
        }
    };
    use SourceErrorKind::{NotExist, Refused, TimedOut, Unreachable};
    check(&missing, "absent", NotExist, 1).await;
    check(&missing, "refused", Refused, 1).await;
    check(&missing, "unproven", Refused, 1).await;
    check(&closed, "absent", NotExist, 1).await;
    check(&closed, "unproven", Refused, 1).await;
    check(&broken, "absent", Unreachable, 0).await;
    check(&silent, "absent", TimedOut, 0).await;
}

#[tokio::test]
async fn a_user_cannot_widen_the_allowed_protocols() {
    let mut setup = Setup::new().await;
    let trap = setup.folder.path().join("trapped");
    setup.user_config(&format!(
        "[protocol]\n\tallow = always\n[protocol \"ext\"]\n\tallow = always\n[url \"ext::touch {} \"]\n\tinsteadOf = https://code.example/\n",
        trap.display()
    ));
    setup.options.protocols = [GitProtocol::Https].into();
    let git = setup.start().await;
    let refused = list(&git, &url("https://code.example/m"), Trust::Named)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), SourceErrorKind::Refused, "{refused:?}");
    assert!(!trap.exists());
}
