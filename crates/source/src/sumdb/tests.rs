use super::*;
use bytes::Bytes;
use gomod::sumdb::{Note, SumdbSetting, Tile, Verifier};
use gomod::{ModulePath, ProxyList, SafeUrl, SumdbRequest, Version};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use testkit::FakeSumdb;

const ZIP: &str = "h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=";
const GO_MOD: &str = "h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=";

struct Direct(FakeSumdb);

#[async_trait]
impl SumdbTransport for Direct {
    async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        answer(self.0.answer(path))
    }
}

fn answer((status, body): (u16, Vec<u8>)) -> Result<Bytes, TransportError> {
    let text = || String::from_utf8_lossy(&body).into_owned();
    match status {
        200 => Ok(body.into()),
        404 | 410 => Err(TransportError::Absent {
            status,
            text: text(),
        }),
        _ => Err(TransportError::Unavailable { text: text() }),
    }
}

fn fake() -> FakeSumdb {
    FakeSumdb::new("sum.example/db")
}

fn client(fake: &FakeSumdb, state: &Arc<MemoryState>) -> Database {
    let verifier = Verifier::parse(&fake.verifier_key()).unwrap();
    Database::new(verifier, Arc::new(Direct(fake.clone())), state.clone())
}

fn module(path: &str) -> ModuleVersion {
    module_version(path, "v1.0.0")
}

fn module_version(path: &str, version: &str) -> ModuleVersion {
    ModuleVersion::new(
        ModulePath::parse(path).unwrap(),
        Version::parse(version).unwrap(),
    )
    .unwrap()
}

fn add(fake: &FakeSumdb, path: &str) -> ModuleVersion {
    fake.add(path, "v1.0.0", ZIP, GO_MOD);
    module(path)
}

async fn must_know(database: &Database, module: &ModuleVersion) {
    let checksums = database.lookup(module).await.unwrap();
    assert_eq!(checksums.zip.unwrap().to_string(), ZIP);
    assert_eq!(checksums.go_mod.unwrap().to_string(), GO_MOD);
    assert_eq!(checksums.database, database.name());
}

/// As the process of a server that is stopped in good order.
async fn must_know_and_stop(database: Database, module: &ModuleVersion) {
    must_know(&database, module).await;
    database.settled().await;
}

async fn must_shout(database: &Database, module: &ModuleVersion) -> String {
    match database.lookup(module).await {
        Err(ChecksumError::Misbehaves(text)) => text,
        other => unreachable!("misbehaviour went unnoticed: {other:?}"),
    }
}

fn assert_is_fork(text: &str) {
    assert!(
        text.starts_with("SECURITY ERROR go.sum database server misbehavior detected!"),
        "{text}"
    );
    assert_eq!(text.matches("go.sum database tree").count(), 2, "{text}");
    assert_eq!(
        text.matches("\u{2014} sum.example/db ").count(),
        2,
        "{text}"
    );
}

/// What sum.golang.org answered once; see `fixtures/sumdb/README.md`.
const RECORDED: [(&str, &[u8]); 8] = [
    (
        "/lookup/rsc.io/quote@v1.5.2",
        include_bytes!("../../fixtures/sumdb/lookup-rsc.io-quote-v1.5.2.txt"),
    ),
    (
        "/tile/8/3/000.p/3",
        include_bytes!("../../fixtures/sumdb/tile-8-3-000.p-3"),
    ),
    (
        "/tile/8/2/003.p/24",
        include_bytes!("../../fixtures/sumdb/tile-8-2-003.p-24"),
    ),
    (
        "/tile/8/1/792.p/97",
        include_bytes!("../../fixtures/sumdb/tile-8-1-792.p-97"),
    ),
    (
        "/tile/8/0/x202/849.p/92",
        include_bytes!("../../fixtures/sumdb/tile-8-0-x202-849.p-92"),
    ),
    (
        "/tile/8/2/000",
        include_bytes!("../../fixtures/sumdb/tile-8-2-000"),
    ),
    (
        "/tile/8/1/000",
        include_bytes!("../../fixtures/sumdb/tile-8-1-000"),
    ),
    (
        "/tile/8/0/003",
        include_bytes!("../../fixtures/sumdb/tile-8-0-003"),
    ),
];

struct Recorded {
    answers: HashMap<String, Vec<u8>>,
    asked: Mutex<Vec<String>>,
}

impl Recorded {
    fn new() -> Self {
        let own = |(path, body): (&str, &[u8])| (path.to_owned(), body.to_vec());
        Self {
            answers: RECORDED.into_iter().map(own).collect(),
            asked: Mutex::default(),
        }
    }
    fn with_flipped(path: &str, place: usize) -> Self {
        let mut recorded = Self::new();
        recorded.answers.get_mut(path).unwrap()[place] ^= 1;
        recorded
    }
}

#[async_trait]
impl SumdbTransport for Recorded {
    async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        self.asked.lock().push(path.to_owned());
        answer(match self.answers.get(path) {
            Some(body) => (200, body.clone()),
            None => (503, b"not recorded".to_vec()),
        })
    }
}

fn public_verifier() -> Verifier {
    let SumdbSetting::Database { verifier, .. } = SumdbSetting::parse("sum.golang.org").unwrap()
    else {
        unreachable!("a database");
    };
    verifier
}

async fn look_up_recorded(recorded: Arc<Recorded>) -> Result<Checksums, ChecksumError> {
    Database::new(
        public_verifier(),
        recorded,
        Arc::new(MemoryState::default()),
    )
    .lookup(&module_version("rsc.io/quote", "v1.5.2"))
    .await
}

#[tokio::test]
async fn what_sum_golang_org_answered_is_proven_with_the_requests_that_go_made() {
    let recorded = Arc::new(Recorded::new());
    let checksums = look_up_recorded(recorded.clone()).await.unwrap();
    assert_eq!(checksums.zip.unwrap().to_string(), ZIP);
    assert_eq!(checksums.go_mod.unwrap().to_string(), GO_MOD);
    let mut asked = recorded.asked.lock().clone();
    let mut expected: Vec<_> = RECORDED
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    asked.sort();
    expected.sort();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn no_bit_of_what_sum_golang_org_answered_can_be_changed() {
    for (path, body) in RECORDED {
        let step = if path.contains("lookup") {
            1
        } else {
            body.len() / 8 - 1
        };
        for place in (0..body.len()).step_by(step) {
            let result = look_up_recorded(Arc::new(Recorded::with_flipped(path, place))).await;
            assert!(result.is_err(), "byte {place} of {path}");
            if path.contains("tile") {
                assert!(
                    matches!(result, Err(ChecksumError::Misbehaves(_))),
                    "byte {place} of {path}: {result:?}"
                );
            }
        }
    }
    let latest = include_bytes!("../../fixtures/sumdb/latest.txt");
    assert!(Note::open(latest, &public_verifier()).is_ok());
    for place in 0..latest.len() {
        let mut changed = latest.to_vec();
        changed[place] ^= 1;
        assert!(
            Note::open(&changed, &public_verifier()).is_err(),
            "byte {place}"
        );
    }
}

#[tokio::test]
async fn a_growing_log_is_followed_across_the_bounds_of_tiles_and_restarts() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let mut database = client(&fake, &state);
    let first = add(&fake, "example.com/Azure/first");
    for size in [
        1_u64, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 65_800,
    ] {
        fake.grow(size.saturating_sub(fake.size() + 1));
        let newest = add(&fake, &format!("example.com/at{size}"));
        must_know(&database, &newest).await;
        must_know(&database, &first).await;
        database = client(&fake, &state);
    }
}

#[tokio::test]
async fn heads_in_any_order_lie_on_one_timeline() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let modules: Vec<_> = (0..700)
        .map(|id| add(&fake, &format!("example.com/m{id}")))
        .collect();
    let database = client(&fake, &state);
    for (index, size) in [300, 299, 700, 256, 1, 257, 512, 513, 699]
        .into_iter()
        .enumerate()
    {
        fake.show_heads_of(Some(size));
        must_know(&database, &modules[index]).await;
    }
    let (note, _) = database.0.open(&state.head().unwrap()).unwrap();
    assert!(note.text().contains("\n700\n"), "{}", note.text());
}

#[tokio::test]
async fn a_fork_is_shouted_and_never_forgotten() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    fake.grow(400);
    let before = add(&fake, "example.com/before");
    let database = client(&fake, &state);
    must_know(&database, &before).await;
    let stored = state.head().unwrap();

    fake.fork_at(7);
    let after = add(&fake, "example.com/after");
    let text = must_shout(&database, &after).await;
    assert_is_fork(&text);
    assert_eq!(must_shout(&database, &after).await, text);
    assert_eq!(
        state.head().unwrap(),
        stored,
        "the forked head was believed"
    );

    // What was proven before stays proven; nothing new is believed, after a restart neither.
    must_know_and_stop(database, &before).await;
    let restarted = client(&fake, &state);
    must_know(&restarted, &before).await;
    assert_eq!(must_shout(&restarted, &after).await, text);
}

#[tokio::test]
async fn two_heads_of_one_size_are_a_fork() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let (first, second) = (add(&fake, "example.com/a"), add(&fake, "example.com/b"));
    let database = client(&fake, &state);
    must_know(&database, &first).await;
    fake.fork_at(0);
    assert_is_fork(&must_shout(&database, &second).await);
}

#[tokio::test]
async fn a_rolled_back_log_that_goes_on_otherwise_is_a_fork_after_a_restart() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let early = add(&fake, "example.com/early");
    fake.grow(600);
    let last = add(&fake, "example.com/last");
    must_know(&client(&fake, &state), &last).await;

    fake.roll_back(256);
    // Shorter is not another history: caches show older heads every day.
    must_know(&client(&fake, &state), &early).await;
    let other = add(&fake, "example.com/other");
    // While it is shorter it cannot show the tiles that would prove it; nothing is believed.
    assert!(client(&fake, &state).lookup(&other).await.is_err());
    fake.grow(600);
    assert_is_fork(&must_shout(&client(&fake, &state), &other).await);
}

#[tokio::test]
async fn a_full_tile_stands_in_for_a_partial_one_that_is_gone() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let first = add(&fake, "example.com/first");
    fake.grow(1000);
    fake.drop_partial_tiles();
    fake.show_heads_of(Some(300));
    must_know(&client(&fake, &state), &first).await;
    assert_eq!(fake.requests("tile/8/0/001.p/44"), 1);
    assert_eq!(fake.requests("tile/8/0/001"), 2);
}

#[tokio::test]
async fn what_was_looked_up_once_is_proven_again_offline_after_a_restart() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let modules: Vec<_> = (0..600)
        .map(|id| add(&fake, &format!("example.com/m{id}")))
        .collect();
    let database = client(&fake, &state);
    fake.show_heads_of(Some(400));
    must_know(&database, &modules[3]).await;
    fake.show_heads_of(None);
    must_know_and_stop(database, &modules[599]).await;

    fake.fail_with(Some(500));
    let asked = fake.requests("");
    let restarted = client(&fake, &state);
    must_know(&restarted, &modules[3]).await;
    must_know(&restarted, &modules[599]).await;
    assert_eq!(fake.requests(""), asked);
    assert!(matches!(
        restarted.lookup(&modules[5]).await,
        Err(ChecksumError::Unavailable(_))
    ));
}

/// A state that has to be waited for, each time.
struct Disk {
    memory: Arc<MemoryState>,
    is_full: bool,
}

impl Disk {
    fn check_room(&self) -> Result<(), StateError> {
        if self.is_full {
            return Err(StateError("no space left".into()));
        }
        Ok(())
    }
}

impl SumdbState for Disk {
    fn read(&self, file: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.memory.read(file)
    }
    fn read_at_once(&self, _: &str) -> Option<Result<Option<Vec<u8>>, StateError>> {
        None
    }
    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.check_room()?;
        self.memory.write(file, bytes)
    }
    fn head(&self) -> Result<Vec<u8>, StateError> {
        self.memory.head()
    }
    fn swap_head(&self, old: &[u8], new: &[u8]) -> Result<Swapped, StateError> {
        self.check_room()?;
        self.memory.swap_head(old, new)
    }
}

#[tokio::test]
async fn what_is_kept_on_a_slow_disk_is_asked_of_nobody_else() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let modules: Vec<_> = (0..600)
        .map(|id| add(&fake, &format!("example.com/m{id}")))
        .collect();
    let slow = || {
        Database::new(
            Verifier::parse(&fake.verifier_key()).unwrap(),
            Arc::new(Direct(fake.clone())),
            Arc::new(Disk {
                memory: Arc::clone(&state),
                is_full: false,
            }),
        )
    };
    let database = slow();
    must_know(&database, &modules[3]).await;
    must_know_and_stop(database, &modules[300]).await;
    let asked = fake.requests("");
    let restarted = slow();
    must_know(&restarted, &modules[3]).await;
    must_know(&restarted, &modules[300]).await;
    assert_eq!(fake.requests(""), asked);
}

#[tokio::test]
async fn a_damaged_kept_file_is_asked_for_again() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let known = add(&fake, "example.com/known");
    fake.grow(600);
    must_know_and_stop(client(&fake, &state), &known).await;
    for file in [
        "tile/8/0/000",
        "tile/edge/0",
        "tile/edge/1",
        "lookup/example.com/known@v1.0.0",
    ] {
        state.write(file, &[1; 8192]).unwrap();
        must_know_and_stop(client(&fake, &state), &known).await;
    }
    assert_ne!(state.read("tile/8/0/000").unwrap().unwrap(), [1; 8192]);
}

#[tokio::test]
async fn unknown_unreachable_and_badly_signed_are_told_apart() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let known = add(&fake, "example.com/known");
    let database = client(&fake, &state);
    assert!(matches!(
        database.lookup(&module("example.com/unknown")).await,
        Err(ChecksumError::Unknown { module, text, .. })
            if module == "example.com/unknown@v1.0.0" && text.contains("not found")
    ));
    for (status, is_absent) in [
        (404, true),
        (410, true),
        (400, false),
        (429, false),
        (500, false),
    ] {
        fake.fail_with(Some(status));
        match database.lookup(&known).await {
            Err(ChecksumError::Unknown { .. }) => assert!(is_absent, "{status}"),
            Err(ChecksumError::Unavailable(_)) => assert!(!is_absent, "{status}"),
            other => unreachable!("{status}: {other:?}"),
        }
    }
    fake.fail_with(None);
    must_know(&database, &known).await;

    let other = add(&fake, "example.com/other");
    fake.corrupt_signatures();
    let text = must_shout(&database, &other).await;
    assert!(text.contains("invalid signature"), "{text}");
    assert!(
        state
            .read("lookup/example.com/other@v1.0.0")
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_record_of_another_module_vouches_for_nothing() {
    struct Swapping(FakeSumdb);
    #[async_trait]
    impl SumdbTransport for Swapping {
        async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
            answer(self.0.answer(&path.replace("/asked@", "/other@")))
        }
    }
    let fake = fake();
    add(&fake, "example.com/other");
    let database = Database::new(
        Verifier::parse(&fake.verifier_key()).unwrap(),
        Arc::new(Swapping(fake)),
        Arc::new(MemoryState::default()),
    );
    let text = must_shout(&database, &module("example.com/asked")).await;
    assert!(text.contains("does not name it"), "{text}");
}

#[tokio::test]
async fn those_who_ask_for_the_same_share_one_request() {
    let fake = fake();
    let wanted = add(&fake, "example.com/wanted");
    fake.grow(300);
    let database = client(&fake, &Arc::new(MemoryState::default()));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (database, wanted) = (database.clone(), wanted.clone());
        asking.spawn(async move { must_know(&database, &wanted).await });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    assert_eq!(fake.requests("lookup/"), 1);
    assert_eq!(fake.requests("tile/8/0/000"), 1);
}

#[tokio::test]
async fn many_modules_are_looked_up_with_each_tile_asked_for_once() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let modules: Vec<_> = (0..1000)
        .map(|id| add(&fake, &format!("example.com/m{id}")))
        .collect();
    let database = client(&fake, &state);
    let mut asking = tokio::task::JoinSet::new();
    for module in modules {
        let database = database.clone();
        asking.spawn(async move { must_know(&database, &module).await });
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
    for tile in [
        "tile/8/0/000",
        "tile/8/0/001",
        "tile/8/0/002",
        "tile/8/0/003",
        "tile/8/1/000",
    ] {
        assert_eq!(fake.requests(tile), 1, "{tile}");
    }
}

#[tokio::test]
async fn two_processes_follow_each_other_through_the_stored_head() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    let (one, two) = (client(&fake, &state), client(&fake, &state));
    for round in 0..6 {
        let module = add(&fake, &format!("example.com/m{round}"));
        fake.grow(200);
        must_know(if round % 2 == 0 { &one } else { &two }, &module).await;
    }
    // Each is shown a head that the other has not seen, and one of them another history.
    fake.fork_at(1100);
    let forked = add(&fake, "example.com/forked");
    assert_is_fork(&must_shout(&one, &forked).await);
}

#[tokio::test]
async fn a_full_disk_does_not_stop_lookups_and_moves_nothing() {
    let fake = fake();
    let (first, second) = (add(&fake, "example.com/a"), add(&fake, "example.com/b"));
    fake.grow(300);
    let database = Database::new(
        Verifier::parse(&fake.verifier_key()).unwrap(),
        Arc::new(Direct(fake.clone())),
        Arc::new(Disk {
            memory: Arc::default(),
            is_full: true,
        }),
    );
    must_know(&database, &first).await;
    must_know(&database, &second).await;
    assert_eq!(database.0.newest().head.size, 0);
}

#[tokio::test]
async fn clients_are_served_what_is_kept_and_stale_heads_when_the_database_is_down() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    fake.fail_with(Some(500));
    let ask = async |mirror: &SumdbMirror, request: SumdbRequest| mirror.answer(&request).await;
    let database = client(&fake, &state);
    let fresh = || SumdbMirror::new(&client(&fake, &state));
    let tile = |path: &str| SumdbRequest::Tile(Tile::parse_path(path).unwrap());
    assert!(matches!(
        ask(&fresh(), SumdbRequest::Supported).await,
        Err(ChecksumError::Unknown { .. })
    ));
    fake.fail_with(None);
    let known = add(&fake, "example.com/known");
    fake.grow(599);

    let mirror = SumdbMirror::new(&database);
    assert!(ask(&mirror, SumdbRequest::Supported).await.is_ok());
    let latest = ask(&mirror, SumdbRequest::Latest).await.unwrap();
    assert_eq!(latest.body, fake.signed_head());
    let lookup = ask(&mirror, SumdbRequest::Lookup(known.clone()))
        .await
        .unwrap();
    assert!(!lookup.kept && lookup.max_age > Duration::from_secs(3600));
    let full = ask(&mirror, tile("tile/8/0/000")).await.unwrap();
    assert_eq!(full.body, fake.answer("tile/8/0/000").1);
    assert!(full.max_age > Duration::from_secs(30 * 24 * 3600));
    database.settled().await;

    fake.fail_with(Some(500));
    let asked = fake.requests("");
    let mirror = fresh();
    for request in [
        SumdbRequest::Supported,
        SumdbRequest::Lookup(known),
        tile("tile/8/0/000"),
        tile("tile/8/0/000.p/17"),
        tile("tile/8/0/002.p/88"),
        tile("tile/8/1/000.p/2"),
    ] {
        let again = ask(&mirror, request.clone()).await.unwrap();
        assert!(again.kept, "{request:?}");
    }
    assert_eq!(fake.requests(""), asked);
    let stale = ask(&mirror, SumdbRequest::Latest).await.unwrap();
    assert_eq!(stale.body, latest.body);
    assert!(stale.max_age <= Duration::from_secs(60));
    assert!(matches!(
        ask(&mirror, tile("tile/8/0/001")).await,
        Err(ChecksumError::Unavailable(_))
    ));
}

#[tokio::test]
async fn tiles_that_cannot_be_proven_are_passed_on_for_a_short_time_and_not_kept() {
    let (fake, state) = (fake(), Arc::new(MemoryState::default()));
    fake.grow(600);
    let mirror = SumdbMirror::new(&client(&fake, &state));
    for path in ["tile/8/data/001", "tile/4/0/003", "tile/8/0/001"] {
        let request = SumdbRequest::Tile(Tile::parse_path(path).unwrap());
        let passed = mirror.answer(&request).await.unwrap();
        assert_eq!(passed.body, fake.answer(path).1, "{path}");
        assert!(passed.max_age <= Duration::from_secs(60), "{path}");
        assert!(state.read(path).unwrap().is_none(), "{path}");
    }
    assert!(matches!(
        mirror
            .answer(&SumdbRequest::Tile(
                Tile::parse_path("tile/8/0/009").unwrap()
            ))
            .await,
        Err(ChecksumError::Unknown { .. })
    ));
}

/// Hosts that answer each path with one status; what was asked, in order.
#[derive(Default)]
struct Hosts {
    statuses: Mutex<HashMap<&'static str, u16>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl SumdbHttp for Hosts {
    async fn get(&self, base: &SafeUrl, path: &str) -> Result<Bytes, TransportError> {
        let url = base.expose();
        let host = url.host_str().unwrap();
        self.asked
            .lock()
            .push(format!("{host}{}{path}", url.path().trim_end_matches('/')));
        let status = self.statuses.lock().get(host).copied().unwrap_or(200);
        answer((status, Vec::new()))
    }
}

async fn ways_taken(list: &str, statuses: &[(&'static str, u16)]) -> (bool, String) {
    let hosts = Arc::new(Hosts::default());
    hosts.statuses.lock().extend(statuses.iter().copied());
    let list = ProxyList::parse(list).unwrap();
    let transport = ChosenTransport::new("sum.example/db", None, list.entries(), hosts.clone());
    let is_ok = transport.get("/latest").await.is_ok();
    let asked = hosts.asked.lock().join(" ");
    (
        is_ok,
        asked
            .replace("sum.example/db/", "DB/")
            .replace("/sumdb/DB/", "/"),
    )
}

#[tokio::test]
async fn the_way_to_the_database_is_the_go_commands() {
    let check = async |list, statuses: &[(&'static str, u16)], is_ok, asked: &str| {
        assert_eq!(
            ways_taken(list, statuses).await,
            (is_ok, asked.to_owned()),
            "{list} {statuses:?}"
        );
    };
    let (a, b) = ("a.example", "b.example");
    let list = "https://a.example,https://b.example,direct";
    let any = "https://a.example|https://b.example,direct";
    check(list, &[], true, "a.example/supported a.example/latest").await;
    check(
        list,
        &[(a, 404)],
        true,
        "a.example/supported b.example/supported b.example/latest",
    )
    .await;
    check(
        list,
        &[(a, 410)],
        true,
        "a.example/supported b.example/supported b.example/latest",
    )
    .await;
    check(
        list,
        &[(a, 404), (b, 404)],
        true,
        "a.example/supported b.example/supported DB/latest",
    )
    .await;
    check(list, &[(a, 500)], false, "a.example/supported").await;
    check(
        any,
        &[(a, 500)],
        true,
        "a.example/supported b.example/supported b.example/latest",
    )
    .await;
    check(
        any,
        &[(a, 500), (b, 403)],
        false,
        "a.example/supported b.example/supported",
    )
    .await;
    check("direct", &[], true, "DB/latest").await;
    check(
        "https://a.example",
        &[(a, 404)],
        true,
        "a.example/supported DB/latest",
    )
    .await;
    check(
        "https://a.example,off",
        &[(a, 404)],
        false,
        "a.example/supported",
    )
    .await;
    check("off", &[], false, "").await;
    check(
        "file:///srv/modules,https://b.example",
        &[],
        true,
        "b.example/supported b.example/latest",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_way_is_kept_while_it_works_and_chosen_again_after_a_failure_or_ten_minutes() {
    let hosts = Arc::new(Hosts::default());
    let list = ProxyList::parse("https://a.example|https://b.example").unwrap();
    let transport = ChosenTransport::new("sum.example/db", None, list.entries(), hosts.clone());
    let asked = |prefix: &str| {
        let asked = hosts.asked.lock();
        asked.iter().filter(|url| url.starts_with(prefix)).count()
    };
    for _ in 0..5 {
        transport.get("/latest").await.unwrap();
    }
    assert_eq!(asked("a.example/sumdb/sum.example/db/supported"), 1);
    hosts.statuses.lock().insert("a.example", 503);
    assert!(transport.get("/latest").await.is_err());
    transport.get("/latest").await.unwrap();
    assert_eq!(asked("b.example/sumdb/sum.example/db/latest"), 1);
    hosts.statuses.lock().clear();
    tokio::time::advance(Duration::from_secs(601)).await;
    transport.get("/latest").await.unwrap();
    assert_eq!(asked("b.example/sumdb/sum.example/db/latest"), 1);
}

#[tokio::test]
async fn a_url_in_the_setting_is_the_only_one_asked() {
    let hosts = Arc::new(Hosts::default());
    let list = ProxyList::parse("https://a.example").unwrap();
    let url = SafeUrl::parse("https://c.example/db").unwrap();
    let transport =
        ChosenTransport::new("sum.example/db", Some(url), list.entries(), hosts.clone());
    transport.get("/latest").await.unwrap();
    hosts.statuses.lock().insert("c.example", 500);
    assert!(transport.get("/latest").await.is_err());
    assert_eq!(
        *hosts.asked.lock(),
        ["c.example/db/latest", "c.example/db/latest"]
    );
}

/// Answers nothing for 40 seconds, and then fails.
#[derive(Default)]
struct Hanging {
    asked: Mutex<usize>,
}

#[async_trait]
impl SumdbHttp for Hanging {
    async fn get(&self, _: &SafeUrl, _: &str) -> Result<Bytes, TransportError> {
        *self.asked.lock() += 1;
        tokio::time::advance(Duration::from_secs(40)).await;
        answer((504, b"it did not answer".to_vec()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_hangs_is_waited_for_once_by_all_who_ask() {
    let http = Arc::new(Hanging::default());
    let list = ProxyList::parse("https://a.example").unwrap();
    let transport = Arc::new(ChosenTransport::new(
        "sum.example/db",
        None,
        list.entries(),
        http.clone(),
    ));
    let asked = || *http.asked.lock();
    let began = tokio::time::Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let transport = Arc::clone(&transport);
        asking.spawn(async move { transport.get("/latest").await });
    }
    while let Some(answered) = asking.join_next().await {
        answered.unwrap().unwrap_err();
    }
    assert_eq!(began.elapsed(), Duration::from_secs(40));
    assert_eq!(asked(), 1);

    tokio::time::advance(Duration::from_secs(4)).await;
    transport.get("/latest").await.unwrap_err();
    assert_eq!(asked(), 1, "the failed choice was forgotten at once");
    tokio::time::advance(Duration::from_secs(2)).await;
    transport.get("/latest").await.unwrap_err();
    assert_eq!(asked(), 2, "the failed choice was never forgotten");
}

/// A transport without an end.
struct Silent;

#[async_trait]
impl SumdbTransport for Silent {
    async fn get(&self, _: &str) -> Result<Bytes, TransportError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_does_not_wait_for_its_turn_for_ever() {
    let database = Database::new(
        Verifier::parse(&fake().verifier_key()).unwrap(),
        Arc::new(Silent),
        Arc::new(MemoryState::default()),
    );
    let mut asking = tokio::task::JoinSet::new();
    for id in 0..33 {
        let database = database.clone();
        asking.spawn(async move {
            database
                .lookup(&module(&format!("example.com/m{id}")))
                .await
        });
    }
    let refused = asking.join_next().await.unwrap().unwrap();
    assert!(
        matches!(&refused, Err(ChecksumError::Unavailable(text)) if text.contains("waited 60 s for a turn")),
        "{refused:?}"
    );
    assert!(asking.try_join_next().is_none());
}

fn tile_request(path: &str) -> SumdbRequest {
    SumdbRequest::Tile(Tile::parse_path(path).unwrap())
}

#[tokio::test(start_paused = true)]
async fn clients_who_ask_for_the_same_share_one_request() {
    let fake = fake();
    fake.grow(600);
    let mirror = SumdbMirror::new(&client(&fake, &Arc::new(MemoryState::default())));
    mirror.answer(&SumdbRequest::Supported).await.unwrap();
    tokio::time::advance(Duration::from_secs(11)).await;
    let asked = fake.requests("");
    let mut asking = tokio::task::JoinSet::new();
    for request in [
        SumdbRequest::Latest,
        tile_request("tile/8/data/001"),
        tile_request("tile/4/0/003"),
    ] {
        for _ in 0..16 {
            let (mirror, request) = (mirror.clone(), request.clone());
            asking.spawn(async move { mirror.answer(&request).await });
        }
    }
    while let Some(answered) = asking.join_next().await {
        answered.unwrap().unwrap();
    }
    assert_eq!(fake.requests("") - asked, 3);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_the_database_does_not_know_is_asked_for_once_in_30_seconds() {
    let fake = fake();
    add(&fake, "example.com/other");
    let mirror = SumdbMirror::new(&client(&fake, &Arc::new(MemoryState::default())));
    let request = SumdbRequest::Lookup(module("example.com/late"));
    for _ in 0..2 {
        let answered = mirror.answer(&request).await;
        assert!(matches!(answered, Err(ChecksumError::Unknown { .. })));
    }
    assert_eq!(fake.requests("lookup/"), 1);
    add(&fake, "example.com/late");
    tokio::time::advance(Duration::from_secs(31)).await;
    mirror.answer(&request).await.unwrap();
}

/// Never answers for tiles of height 4.
struct HangingTiles(FakeSumdb);

#[async_trait]
impl SumdbTransport for HangingTiles {
    async fn get(&self, path: &str) -> Result<Bytes, TransportError> {
        if path.starts_with("/tile/4/") {
            std::future::pending::<()>().await;
        }
        answer(self.0.answer(path))
    }
}

#[tokio::test(start_paused = true)]
async fn clients_of_a_hanging_database_leave_turns_to_verification_and_hear_in_words() {
    let fake = fake();
    let known = add(&fake, "example.com/known");
    let database = Database::new(
        Verifier::parse(&fake.verifier_key()).unwrap(),
        Arc::new(HangingTiles(fake.clone())),
        Arc::new(MemoryState::default()),
    );
    let mirror = SumdbMirror::new(&database);
    mirror.answer(&SumdbRequest::Supported).await.unwrap();
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..40 {
        let mirror = mirror.clone();
        let request = tile_request(&format!("tile/4/0/{number:03}"));
        asking.spawn(async move { mirror.answer(&request).await });
    }
    tokio::task::yield_now().await;
    let began = tokio::time::Instant::now();
    must_know(&database, &known).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    for _ in 0..24 {
        let refused = asking.join_next().await.unwrap().unwrap();
        assert!(
            matches!(&refused, Err(ChecksumError::Unavailable(text)) if text.contains("waited 60 s for a turn")),
            "{refused:?}"
        );
    }
    assert!(asking.try_join_next().is_none());
}
