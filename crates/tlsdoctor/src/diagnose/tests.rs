//! Every case of the fault lab that ends below modules, diagnosed.

use std::path::PathBuf;

use testkit::faults::{Case, Lab, Prepared, all, mask, recorded};

use super::*;
use crate::GoDebug;
use crate::options::{FetchIssuers, Resolvers, Timeouts};
use crate::trust::{System, TrustSettings, TrustStore};

/// Cases that only who knows modules can tell: what is under a connection is healthy, or says less.
const ABOUT_MODULES: &[&str] = &[
    "bad-json",
    "bad-zip",
    "wrong-gomod-path",
    "private-via-proxy-404",
    "module-path-case",
    "goget-missing-pkg",
    "goproxy-off",
    "goproxy-empty-item",
    "goflags-insecure",
    "flag-insecure",
    "toolchain-download",
    "toolchain-auto",
    "goinsecure-http",
    "fallback-pipe",
    "no-fallback-on-403",
    "private-code-host",
    // What is behind a redirect to another host is another target.
    "redirect-to-expired",
    "redirect-inside",
];

/// The same, in whole families.
const FAMILIES_ABOUT_MODULES: &[&str] = &["sumdb-", "gosum-", "direct-", "git-", "govcs-", "ssh-"];

fn is_below_modules(case: &Case) -> bool {
    !ABOUT_MODULES.contains(&case.id)
        && !FAMILIES_ABOUT_MODULES
            .iter()
            .any(|family| case.id.starts_with(family))
}

/// What the environment of a case means for a diagnosis.
fn options(prepared: &Prepared) -> Options {
    let trust = TrustStore::load(&TrustSettings {
        system: System::Linux,
        ssl_cert_file: prepared.variable("SSL_CERT_FILE").map(PathBuf::from),
        ssl_cert_dir: prepared.variable("SSL_CERT_DIR").map(str::to_owned),
        extra_files: Vec::new(),
    });
    let mut options = Options::new(Arc::new(trust), Timestamp::now());
    options.timeouts = Timeouts::all(TIME);
    options.fetch_issuers = FetchIssuers::FromAnywhere;
    options.expects = Expects::Data;
    options.go_debug = GoDebug::parse(prepared.variable("GODEBUG").unwrap_or_default());
    if let Some(server) = prepared.resolver {
        options.resolvers = Resolvers::Servers(vec![server]);
    }
    options
}

/// Of every stage.
const TIME: Duration = Duration::from_millis(1500);

/// What a diagnosis of the case's module proxy comes to: cause and report. A proxy value that cannot be read
/// never comes to a diagnosis.
async fn examine(prepared: &Prepared) -> (String, Option<Report>) {
    let url = format!("{}/example.lab/m/@v/v1.0.0.info", prepared.url);
    let target = Target::parse(&url).unwrap();
    let mut options = options(prepared);
    let is_local = target.host == "localhost" || target.address().is_some();
    if let Some(value) = prepared.variable("HTTPS_PROXY").filter(|_| !is_local) {
        match ForwardProxy::parse(value) {
            Ok(proxy) => options.forward_proxy = Some(proxy),
            Err(error) => return (error.finding(&target.host).unwrap().cause.to_owned(), None),
        }
    }
    let report = diagnose(&target, &options).await;
    let cause = report.findings.first().map_or("healthy", |it| it.cause);
    (cause.to_owned(), Some(report))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// What go prints after the module's name, with what differs from run to run taken out.
fn go_text(recorded: &str) -> String {
    let line = recorded.strip_prefix("go: ").unwrap_or(recorded);
    let line = line.strip_prefix("example.lab/m@v1.0.0: ").unwrap_or(line);
    mask::masked(line)
}

#[test]
fn every_fault_of_the_lab_is_told_by_its_cause_and_in_gos_words() {
    let lab = Lab::open();
    let runtime = runtime();
    let (mut wrong, mut worded, mut count) = (Vec::new(), Vec::new(), 0);
    for case in all().filter(|case| is_below_modules(case)) {
        let Ok(prepared) = case.prepare(&lab) else {
            continue;
        };
        count += 1;
        let started = Instant::now();
        let (cause, report) = runtime.block_on(examine(&prepared));
        let time = started.elapsed();
        if cause != case.cause {
            wrong.push(format!("{}: {cause}, not {}", case.id, case.cause));
        }
        assert!(
            time < TIME + Duration::from_secs(2),
            "{}: {time:?}",
            case.id
        );
        let Some(report) = report else { continue };
        let is_broken = report
            .stages
            .iter()
            .any(|it| it.status == StageStatus::Failed);
        assert_eq!(is_broken, report.verdict == Verdict::Faulty, "{}", case.id);
        for finding in &report.findings {
            assert!(!finding.evidence.is_empty(), "{}", case.id);
            assert!(!finding.cures.is_empty(), "{}", case.id);
        }
        if let Some(recording) = recorded::find(case.id) {
            let ours = mask::masked(&report.clients.go.message);
            let theirs = go_text(&recording.go);
            if ours != theirs {
                worded.push(format!("{}\n  go:   {theirs}\n  ours: {ours}", case.id));
            }
        }
    }
    println!(
        "{count} cases, {} wrong, {} worded otherwise",
        wrong.len(),
        worded.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(worded.len() * 20 <= count, "{}", worded.join("\n"));
    assert!(count > 90, "{count}");
}

#[test]
fn an_incomplete_chain_is_mended_with_the_very_certificate() {
    let lab = Lab::open();
    let case = all().find(|case| case.id == "incomplete-chain").unwrap();
    let prepared = case.prepare(&lab).unwrap();
    let (_, report) = runtime().block_on(examine(&prepared));
    let report = report.unwrap();
    let repair = report.repair.unwrap();
    assert_eq!((repair.missing.len(), repair.sources.len()), (1, 1));
    let sent: Vec<Vec<u8>> = Certificate::from_pem(repair.chain_file.as_bytes())
        .into_iter()
        .map(|certificate| certificate.der)
        .collect();
    assert_eq!(sent.len(), 2);
    let options = options(&prepared);
    let question = Question {
        roots: &options.trust.roots,
        host: "localhost",
        now: options.now,
        go_debug: options.go_debug,
    };
    assert!(verify_sent(&sent, question).is_ok());
}

#[test]
fn nothing_is_fetched_from_a_private_network_unless_asked() {
    let lab = Lab::open();
    let case = all().find(|case| case.id == "incomplete-chain").unwrap();
    let prepared = case.prepare(&lab).unwrap();
    let mut options = options(&prepared);
    options.fetch_issuers = FetchIssuers::FromPublicAddresses;
    let target = Target::parse(&prepared.url).unwrap();
    let report = runtime().block_on(diagnose(&target, &options));
    let finding = report.findings.first().unwrap();
    assert_eq!(finding.cause, "tls-incomplete-chain");
    assert_eq!(finding.confidence, diagnosis::Confidence::Likely);
    let evidence: Vec<_> = finding.evidence.iter().map(|it| it.text.as_str()).collect();
    assert!(
        evidence.join("\n").contains("private network"),
        "{evidence:?}"
    );
    assert_eq!(report.repair, None);
}

#[test]
fn a_wrong_clock_is_told_from_an_expired_certificate() {
    let lab = Lab::open();
    let case = all().find(|case| case.id == "ok").unwrap();
    let prepared = case.prepare(&lab).unwrap();
    let target = Target::parse(&prepared.url).unwrap();
    let mut options = options(&prepared);
    // Far beyond every certificate of the lab.
    options.now = "2200-01-01T00:00:00Z".parse().unwrap();
    let report = runtime().block_on(diagnose(&target, &options));
    let finding = report.findings.first().unwrap();
    let text = &report.clients.go.message;
    assert!(
        text.contains("current time 2200-01-01T00:00:00Z is after"),
        "{text}"
    );
    assert_eq!(finding.cause, "tls-clock-skew", "{finding:?}");
}

#[test]
fn another_hosts_clock_decides_where_the_server_tells_no_time() {
    let lab = Lab::open();
    let timeless = all().find(|case| case.id == "timeless").unwrap();
    let timeless = timeless.prepare(&lab).unwrap();
    let healthy = all().find(|case| case.id == "ok").unwrap();
    let healthy = healthy.prepare(&lab).unwrap();
    let target = Target::parse(&timeless.url).unwrap();
    let mut options = options(&timeless);
    options.now = "2200-01-01T00:00:00Z".parse().unwrap();
    let mut told = |witnesses: Vec<Target>| {
        options.witnesses = witnesses;
        let report = runtime().block_on(diagnose(&target, &options));
        let finding = report.findings.into_iter().next().unwrap();
        (finding.cause, finding.confidence, finding.also_possible)
    };
    assert_eq!(
        told(vec![Target::parse(&healthy.url).unwrap()]),
        ("tls-clock-skew", diagnosis::Confidence::Certain, vec![])
    );
    // With one clock alone nobody can know.
    assert_eq!(
        told(Vec::new()),
        (
            "tls-cert-expired",
            diagnosis::Confidence::Likely,
            vec!["tls-clock-skew"]
        )
    );
}

#[test]
fn an_issuer_at_a_name_of_a_private_network_is_not_fetched() {
    let lab = Lab::open();
    let case = all().find(|case| case.id == "incomplete-chain-inside");
    let prepared = case.unwrap().prepare(&lab).unwrap();
    let mut options = options(&prepared);
    let target = Target::parse(&prepared.url).unwrap();
    let mut told = |fetch_issuers| {
        options.fetch_issuers = fetch_issuers;
        let report = runtime().block_on(diagnose(&target, &options));
        let finding = report.findings.first().unwrap();
        let evidence = finding.evidence.iter().map(|it| it.text.as_str());
        (
            finding.cause,
            evidence.collect::<Vec<_>>().join("\n"),
            report.repair.is_some(),
        )
    };
    let (cause, evidence, is_mended) = told(FetchIssuers::FromPublicAddresses);
    assert_eq!((cause, is_mended), ("tls-incomplete-chain", false));
    assert!(
        evidence.contains("http://pki.lab.test") && evidence.contains("private network"),
        "{evidence}"
    );
    // The server itself was met in that network.
    let (cause, _, is_mended) = told(FetchIssuers::FromNetworkOfTarget);
    assert_eq!((cause, is_mended), ("tls-incomplete-chain", true));
}

#[test]
fn a_finding_says_how_to_see_it_by_hand_unless_a_name_would_need_quoting() {
    let check = |url: &str, command: Option<&str>| {
        let target = Target::parse(url).unwrap();
        assert_eq!(
            by_hand(StageName::Tls, &target, None).as_deref(),
            command,
            "{url}"
        );
    };
    check(
        "https://a.example/",
        Some("openssl s_client -connect a.example:443 -servername a.example -showcerts </dev/null"),
    );
    check(
        "https://[::1]:8443/",
        Some("openssl s_client -connect [::1]:8443 -noservername -showcerts </dev/null"),
    );
    check("https://a.example/$(id)", None);
    check("https://a;id.example/", None);
}

/// The figure that the issue asks for: at most one and a half times what a handshake and a request cost.
#[test]
fn a_healthy_host_costs_little_more_than_a_handshake_and_a_request() {
    const RUNS: usize = 200;
    const ENOUGH: usize = 10;
    let lab = Lab::open();
    let case = all().find(|case| case.id == "ok").unwrap();
    let prepared = case.prepare(&lab).unwrap();
    let target = Target::parse(&format!("{}/example.lab/m/@v/v1.0.0.info", prepared.url)).unwrap();
    let options = options(&prepared);
    let runtime = runtime();
    let plain = async || {
        let found = resolve(&target.host, &options.resolvers, TIME).await;
        let address = SocketAddr::new(found.addresses[0], target.port);
        let stream = crate::connect::connect(address, TIME).await.unwrap();
        let shaken = shake(
            Box::new(stream),
            &target.host,
            PROTOCOLS,
            Groups::OfGo,
            TIME,
        );
        let session = shaken.await.map_err(|fault| fault.kind).unwrap();
        let is_two = session.facts.alpn.as_deref() == Some("h2");
        let mut http = Http::over(session.stream, is_two).await.unwrap();
        http.fetch(&target, &Manner::default(), TIME).await.unwrap();
    };
    let (mut least_plain, mut least_diagnosis) = (TIME, TIME);
    // Turn by turn, and the least of each: what else runs on the machine must not count.
    for run in 0..RUNS {
        if run > ENOUGH && least_diagnosis < least_plain * 3 / 2 {
            break;
        }
        let started = Instant::now();
        runtime.block_on(plain());
        least_plain = least_plain.min(started.elapsed());
        let started = Instant::now();
        let report = runtime.block_on(diagnose(&target, &options));
        least_diagnosis = least_diagnosis.min(started.elapsed());
        assert_eq!(report.verdict, Verdict::Healthy);
    }
    println!("a handshake and a request: {least_plain:?}, a diagnosis: {least_diagnosis:?}");
    assert!(
        least_diagnosis < least_plain * 3 / 2,
        "{least_diagnosis:?} against {least_plain:?}"
    );
}
