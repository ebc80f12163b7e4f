//! New tags at once: refreshes by an operator and webhooks of code hosts.
use crate::{expect_error, expect_parts, hello, larder, larder_over};
use testkit::{Answer, Behaviour, FakeUpstream, Gate, Larder, Module};

pub(crate) const TOKEN: &str = "refresh-token-of-the-tests";
const SECRET: &str = "webhook-secret-of-the-tests";
const LIST: &str = "/example.com/hello/@v/list";
const LATEST: &str = "/example.com/hello/@latest";
const BRANCH: &str = "/example.com/hello/@v/main.info";
const REFRESH: &str = "/-/refresh/example.com/hello";

/// What a host sends, and its signature: `printf '%s' BODY | openssl dgst -sha256 -hmac SECRET`.
const PUSH: &str = r#"{"ref":"refs/tags/v1.1.0","repository":{"full_name":"example/hello","clone_url":"https://example.com/hello.git"}}"#;
const PUSH_SIGNATURE: &str = "0af3b0d5e493bd4c128083b276e8b046024524d43038f4b09304fab693fb7fb9";
const GARBAGE: &str = r#"{"ref": "refs/tags/v1.1.0""#;
const GARBAGE_SIGNATURE: &str = "b775310af7375937334a3d7aef68db63daddeb9cc1917690928e37c616fc9c76";
const PING: &str = r#"{"zen":"Keep it simple.","hook_id":1}"#;
const PING_SIGNATURE: &str = "fa2e0ed327af55314518d00eeaccf181304de2f437afc34f475a6fe034e23903";

/// A server that can be refreshed both ways, in front of one upstream.
fn refreshable(upstream: &FakeUpstream) -> Larder {
    larder()
        .upstream(upstream.url())
        .env("LARDER_REFRESH_TOKEN", TOKEN)
        .env("LARDER_WEBHOOK_SECRET", SECRET)
        .start()
}

fn newer() -> Module {
    Module::new("example.com/hello", "v1.1.0")
}

#[track_caller]
fn post(larder: &Larder, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("Content-Length", &length));
    let mut connection = larder.connect();
    connection.request("POST", target, &headers);
    connection.send(body.as_bytes());
    connection.read_answer()
}

#[track_caller]
pub(crate) fn refresh(larder: &Larder, target: &str) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    post(larder, target, &[("Authorization", &bearer)], "")
}

#[test]
fn a_new_tag_is_seen_after_a_refresh_and_not_before() {
    let upstream = FakeUpstream::with([&hello()]);
    upstream.add_revision("main", &hello());
    let larder = refreshable(&upstream);
    for path in [LIST, LATEST, BRANCH] {
        expect_parts(&larder.get(path).expect_status(200).text(), &["v1.0.0"]);
    }
    upstream.add(&newer());
    upstream.add_revision("main", &newer());
    for path in [LIST, LATEST, BRANCH] {
        let text = larder.get(path).expect_status(200).text();
        assert!(!text.contains("v1.1.0"), "{path}: {text}");
    }
    let said = refresh(&larder, REFRESH).expect_status(200);
    assert_eq!(said.header("content-type"), Some("application/json"));
    assert_eq!(said.header("cache-control"), Some("no-store"));
    expect_parts(
        &said.text(),
        &["\"answers\":3", "\"modules_below\":[\"example.com/hello\"]"],
    );
    for path in [LIST, LATEST, BRANCH] {
        expect_parts(&larder.get(path).expect_status(200).text(), &["v1.1.0"]);
        assert_eq!(upstream.count(path), 2, "{path}");
    }
}

#[test]
fn a_version_that_was_absent_a_moment_ago_is_asked_again_after_a_refresh() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = refreshable(&upstream);
    larder.get(&newer().url_path("info")).expect_status(404);
    upstream.add(&newer());
    larder.get(&newer().url_path("info")).expect_status(404);
    expect_parts(&refresh(&larder, REFRESH).text(), &["\"failures\":1"]);
    larder.get(&newer().url_path("info")).expect_status(200);
}

#[test]
fn a_refresh_reaches_the_modules_below_its_path_and_no_others() {
    let modules = [
        Module::new("example.com/Team/tool", "v1.0.0"),
        Module::new("example.com/Team/tool/v2", "v2.0.0"),
        Module::new("example.com/Team/toolbox", "v1.0.0"),
    ];
    let upstream = FakeUpstream::with(&modules);
    let larder = refreshable(&upstream);
    let ask_all = || {
        for module in &modules {
            larder.get(&module.about("@v/list")).expect_status(200);
        }
        modules
            .each_ref()
            .map(|module| upstream.count(&module.about("@v/list")))
    };
    assert_eq!(ask_all(), [1, 1, 1]);
    refresh(&larder, "/-/refresh/example.com/!team/tool").expect_status(200);
    assert_eq!(ask_all(), [2, 2, 1]);
    refresh(&larder, "/-/refresh/example.com").expect_status(200);
    assert_eq!(ask_all(), [3, 3, 2]);
}

#[test]
fn a_question_from_before_a_refresh_neither_answers_nor_lasts_after_it() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = refreshable(&upstream);
    let gate = Gate::new();
    upstream.misbehave(LIST, Behaviour::normal().times(1).stall(&gate));
    let mut early = larder.connect();
    early.request("GET", LIST, &[]);
    gate.wait_for_arrivals(1);
    refresh(&larder, REFRESH).expect_status(200);
    larder.get(LIST).expect_status(200);
    assert_eq!(
        upstream.count(LIST),
        2,
        "the question from before was joined"
    );
    refresh(&larder, REFRESH).expect_status(200);
    gate.open();
    early.read_answer().expect_status(200);
    larder.get(LIST).expect_status(200);
    assert_eq!(upstream.count(LIST), 3, "the old answer was remembered");
}

#[test]
fn an_older_answer_is_still_given_when_upstream_is_down_after_a_refresh() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = refreshable(&upstream);
    larder.get(LIST).expect_status(200);
    upstream.refuse_connections();
    refresh(&larder, REFRESH).expect_status(200);
    let stale = larder.get(LIST).expect_status(200);
    assert_eq!(stale.header("x-larder-cache"), Some("stale"));
}

#[test]
fn only_the_token_refreshes() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = refreshable(&upstream);
    larder.get(LIST).expect_status(200);
    let check = |headers: &[(&str, &str)]| {
        let answer = post(&larder, REFRESH, headers, "");
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer realm=\"larder\"")
        );
        let text = expect_error(answer, 401);
        assert!(!text.contains(TOKEN), "{text}");
    };
    check(&[]);
    check(&[("Authorization", "Bearer ")]);
    check(&[("Authorization", "Bearer wrong")]);
    check(&[("Authorization", &format!("Bearer {SECRET}"))]);
    check(&[("Authorization", &format!("Basic {TOKEN}"))]);
    check(&[("Authorization", &format!("Bearer {TOKEN}x"))]);
    larder.get(LIST).expect_status(200);
    assert_eq!(upstream.count(LIST), 1, "a refused refresh refreshed");
    let metrics = larder.get("/-/metrics").text();
    expect_parts(
        &metrics,
        &["larder_refreshes_total{by=\"operator\",outcome=\"refused\"} 6"],
    );
}

#[test]
fn without_a_token_or_a_secret_there_is_no_way_in() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = larder_over(&upstream);
    let text = expect_error(refresh(&larder, REFRESH), 404);
    expect_parts(&text, &["not enabled", "LARDER_REFRESH_TOKEN"]);
    let signed = format!("sha256={PUSH_SIGNATURE}");
    let headers = [("X-Hub-Signature-256", signed.as_str())];
    let text = expect_error(post(&larder, "/-/webhook/github", &headers, PUSH), 404);
    expect_parts(&text, &["not enabled", "LARDER_WEBHOOK_SECRET"]);
}

#[test]
fn nothing_but_post_refreshes() {
    let larder = refreshable(&FakeUpstream::start());
    for target in [REFRESH, "/-/refresh", "/-/webhook/github", "/-/webhook/x"] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let answer = larder.connect().ask(method, target, &[]);
            assert_eq!(answer.status(), 405, "{method} {target}");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
    }
    let answer = post(&larder, LIST, &[], "");
    assert_eq!(answer.status(), 405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
}

#[test]
fn a_path_that_is_no_module_is_refused() {
    let larder = refreshable(&FakeUpstream::start());
    for path in [
        "",
        "/",
        "/nodots",
        "/example.com/Upper",
        "/example.com/../other",
        "/example.com/%2e%2e/other",
        "/example.com//hello",
        "/example.com/hello/",
        "/example.com/hello/@v/list",
        "/example.com/hello/@latest",
        "/example.com/a/@v/list?x=",
        "/sumdb/sum.golang.org/supported",
        "/-/metrics",
        "/example.com/%0a",
        "/example.com/%zz",
        "/example.com/hello%00",
        "/.example.com/x",
        "/-oProxyCommand.example/x",
    ] {
        let answer = refresh(&larder, &format!("/-/refresh{path}"));
        expect_error(answer, 400);
    }
    let escaped = format!("/-/refresh/{}", "%61".repeat(3000));
    expect_error(refresh(&larder, &escaped), 400);
    // Not one of the two ways in, whatever it looks like.
    for target in [
        "//-/refresh/example.com/x",
        "/-/x/../refresh/example.com/x",
        "/-/refreshx",
    ] {
        assert_eq!(refresh(&larder, target).status(), 405, "{target}");
    }
}

#[test]
fn each_host_proves_itself_in_its_own_way() {
    let upstream = FakeUpstream::with([&hello()]);
    let larder = refreshable(&upstream);
    let signed = format!("sha256={PUSH_SIGNATURE}");
    let ways = [
        (
            "/-/webhook/github",
            ("X-Hub-Signature-256", signed.as_str()),
        ),
        ("/-/webhook/gitlab", ("X-Gitlab-Token", SECRET)),
        ("/-/webhook/gitea", ("X-Gitea-Signature", PUSH_SIGNATURE)),
    ];
    for (asked, (target, proof)) in ways.into_iter().enumerate() {
        larder.get(LIST).expect_status(200);
        assert_eq!(upstream.count(LIST), asked + 1);
        let said = post(&larder, target, &[proof], PUSH).expect_status(200);
        expect_parts(
            &said.text(),
            &["\"repositories\":[\"example.com/hello\"]", "\"answers\":1"],
        );
        // The proof of one host is none of another, nor is that of another body.
        for (other, _) in ways.iter().filter(|(other, _)| *other != target) {
            expect_error(post(&larder, other, &[proof], PUSH), 401);
        }
        if target != "/-/webhook/gitlab" {
            let forged = PUSH.replace("hello", "other");
            expect_error(post(&larder, target, &[proof], &forged), 401);
        }
        expect_error(post(&larder, target, &[], PUSH), 401);
    }
    let metrics = larder.get("/-/metrics").text();
    for host in ["github", "gitlab", "gitea"] {
        let done = format!("larder_refreshes_total{{by=\"{host}\",outcome=\"done\"}} 1");
        expect_parts(&metrics, &[&done]);
    }
    assert!(!metrics.contains("hello"), "a module path in the metrics");
}

#[test]
fn a_webhook_that_says_nothing_of_use_is_answered_in_words() {
    let larder = refreshable(&FakeUpstream::start());
    let send = |signature: &str, body: &str| {
        post(
            &larder,
            "/-/webhook/gitea",
            &[("X-Gitea-Signature", signature)],
            body,
        )
    };
    let text = expect_error(send(GARBAGE_SIGNATURE, GARBAGE), 400);
    expect_parts(&text, &["not the JSON of a webhook", "application/json"]);
    let said = send(PING_SIGNATURE, PING).expect_status(200);
    assert_eq!(said.text(), "{\"repositories\":[]}\n");
    let unknown = post(&larder, "/-/webhook/svn", &[], PUSH);
    expect_parts(&expect_error(unknown, 404), &["/-/webhook/github"]);
}

#[test]
fn a_body_that_is_too_large_is_not_read() {
    let larder = refreshable(&FakeUpstream::start());
    let head = |length: &str| {
        format!(
            "POST /-/webhook/gitlab HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: {SECRET}\r\n{length}\r\n\r\n"
        )
    };
    let mut announced = larder.connect();
    announced.send(head("Content-Length: 1048577").as_bytes());
    expect_error(announced.read_answer(), 413);
    let mut growing = larder.connect();
    growing.send(head("Transfer-Encoding: chunked").as_bytes());
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(1 << 16));
    for _ in 0..16 {
        growing.send(chunk.as_bytes());
    }
    // The first byte too many; the server has no reason to wait for another.
    growing.send(b"1\r\n \r\n");
    expect_error(growing.read_answer(), 413);
}

#[test]
fn a_body_that_never_ends_is_not_waited_for() {
    let larder = refreshable(&FakeUpstream::start());
    let mut slow = larder.connect();
    let head = format!(
        "POST /-/webhook/gitlab HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: {SECRET}\r\nContent-Length: 1000\r\n\r\n{{"
    );
    slow.send(head.as_bytes());
    expect_error(slow.read_answer(), 408);
}

#[test]
fn a_flood_of_refreshes_is_slowed() {
    let larder = refreshable(&FakeUpstream::start());
    let refused = std::iter::repeat_with(|| refresh(&larder, REFRESH))
        .take(500)
        .find(|answer| answer.status() != 200)
        .expect("500 refreshes at once");
    assert!(refused.header("retry-after").is_some());
    expect_error(refused, 429);
}

#[test]
fn secrets_come_from_files_too_and_are_never_shown() {
    let builder = larder();
    let file = builder.home().join("tokens");
    std::fs::write(&file, format!("an-older-token-that-holds\n\n{TOKEN}\n")).unwrap();
    let upstream = FakeUpstream::with([&hello()]);
    let larder = builder
        .upstream(upstream.url())
        .args(["--refresh-token-file".into(), file])
        .start();
    refresh(&larder, REFRESH).expect_status(200);
    let old = [("Authorization", "Bearer an-older-token-that-holds")];
    post(&larder, REFRESH, &old, "").expect_status(200);
    let (exited, _) = larder.terminate();
    assert!(!exited.stderr.contains(TOKEN), "{}", exited.stderr);
}

#[test]
fn a_secret_that_is_soon_guessed_stops_the_start() {
    let exited = larder()
        .upstream("https://mirror.example")
        .env("LARDER_REFRESH_TOKEN", "hunter2")
        .env("LARDER_WEBHOOK_SECRET_FILE", "/nowhere/secret")
        .try_start()
        .err()
        .expect("a start without a good secret");
    expect_parts(
        &exited.stderr,
        &["LARDER_REFRESH_TOKEN", "shorter than 16", "/nowhere/secret"],
    );
    assert!(!exited.stderr.contains("hunter2"), "{}", exited.stderr);
}
