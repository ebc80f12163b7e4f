//! A checksum database of the tests' own, which can also lie.
//!
//! It stands on `gomod::sumdb::log`, as a database of one's own would; that this is the protocol of
//! the real thing is shown by the real go command, which is pointed at it too.
use crate::{Module, Mounted};
use gomod::sumdb::log::{Log, SigningKey};
use gomod::sumdb::{CLIENT_TILE_HEIGHT, Tile};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// A checksum database in memory. Clones are the same database. Answers a path at a time, so that any
/// server can carry it: `upstream.mount("/sumdb/NAME/", move |path| database.mounted(path))`.
#[derive(Clone)]
pub struct FakeSumdb {
    key: Arc<SigningKey>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    log: Log,
    /// Records by `escaped path@version`.
    by_name: HashMap<String, u64>,
    /// Lookups come with the head of so many records, where they hold the record.
    shown_size: Option<u64>,
    has_bad_signatures: bool,
    has_no_partial_tiles: bool,
    failing_with: Option<u16>,
    requests: Vec<String>,
}

impl FakeSumdb {
    /// An empty database; `name` is `host[/path]`.
    pub fn new(name: &str) -> Self {
        Self {
            key: Arc::new(SigningKey::from_seed(name, [42; 32]).unwrap()),
            state: Arc::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.key.verifier().name().to_owned()
    }

    /// `NAME+HASH+KEY`: a GOSUMDB value.
    pub fn verifier_key(&self) -> String {
        self.key.verifier().to_string()
    }

    /// Records in the log.
    pub fn size(&self) -> u64 {
        self.state.lock().log.size()
    }

    /// Records a module's own hashes.
    pub fn add_module(&self, module: &Module) -> u64 {
        self.add(
            module.path(),
            module.version(),
            &module.zip_hash(),
            &module.go_mod_hash(),
        )
    }

    /// Records two `h1:` hashes, true or not, and returns the record's number.
    pub fn add(&self, path: &str, version: &str, zip_hash: &str, go_mod_hash: &str) -> u64 {
        let mut state = self.state.lock();
        let id = state
            .log
            .append(&format!(
                "{path} {version} {zip_hash}\n{path} {version}/go.mod {go_mod_hash}\n"
            ))
            .unwrap();
        let name = format!("{}@{}", crate::escape(path), crate::escape(version));
        state.by_name.insert(name, id);
        id
    }

    /// Adds records of modules that nobody asks for.
    pub fn grow(&self, records: u64) {
        for _ in 0..records {
            let number = self.size();
            let hash = format!("h1:{}=", "A".repeat(43));
            self.add(&format!("filler.example/m{number}"), "v1.0.0", &hash, &hash);
        }
    }

    /// Shows another history from now on: the same records, but for record `id`, which is changed.
    pub fn fork_at(&self, id: u64) {
        let mut state = self.state.lock();
        let mut forked = Log::default();
        for number in 0..state.log.size() {
            let record = state.log.record(number).unwrap();
            let text = if number == id {
                format!("forked.example v1.0.0 h1:forked\n{}", record.text)
            } else {
                record.text
            };
            forked.append(&text).unwrap();
        }
        state.log = forked;
    }

    /// Forgets all records but the first `size`. What is added later makes another history.
    pub fn roll_back(&self, size: u64) {
        let mut state = self.state.lock();
        let mut shorter = Log::default();
        for id in 0..size {
            shorter.append(&state.log.record(id).unwrap().text).unwrap();
        }
        state.log = shorter;
        state.by_name.retain(|_, id| *id < size);
    }

    /// Answers lookups with the head of the first `size` records where those hold the record, as
    /// caches in front of a database do; `None`: with the newest.
    pub fn show_heads_of(&self, size: Option<u64>) {
        self.state.lock().shown_size = size;
    }

    /// Signs with one bit wrong from now on.
    pub fn corrupt_signatures(&self) {
        self.state.lock().has_bad_signatures = true;
    }

    /// Answers partial tiles of full ones with 404 from now on, as a database may.
    pub fn drop_partial_tiles(&self) {
        self.state.lock().has_no_partial_tiles = true;
    }

    /// Answers everything with this status from now on; `None`: works again.
    pub fn fail_with(&self, status: Option<u16>) {
        self.state.lock().failing_with = status;
    }

    /// Requests so far whose path (without leading slash) begins with `prefix`.
    pub fn requests(&self, prefix: &str) -> usize {
        let state = self.state.lock();
        let matching = state.requests.iter();
        matching.filter(|path| path.starts_with(prefix)).count()
    }

    /// The signed head of the whole log.
    pub fn signed_head(&self) -> String {
        let state = self.state.lock();
        let head = state.log.head(state.log.size()).unwrap();
        self.signed(&state, self.key.sign(&head.text()).unwrap())
    }

    /// Status and body for a path below the database's root, with or without leading slash.
    pub fn answer(&self, path: &str) -> (u16, Vec<u8>) {
        let path = path.trim_start_matches('/');
        let failing_with = {
            let mut state = self.state.lock();
            state.requests.push(path.to_owned());
            state.failing_with
        };
        if let Some(status) = failing_with {
            return (status, format!("failing with {status}\n").into_bytes());
        }
        let found = match path {
            "supported" => Some(Vec::new()),
            "latest" => Some(self.signed_head().into_bytes()),
            path => match path.strip_prefix("lookup/") {
                Some(name) => self.lookup(name),
                None => self.tile(path),
            },
        };
        match found {
            Some(body) => (200, body),
            None => (404, format!("not found: {path}\n").into_bytes()),
        }
    }

    /// [`answer`](Self::answer) in the form that [`FakeUpstream::mount`](crate::FakeUpstream::mount) takes.
    pub fn mounted(&self, path: &str) -> Mounted {
        let (status, body) = self.answer(path);
        Mounted {
            status,
            content_type: if path.contains("tile/") {
                "application/octet-stream"
            } else {
                "text/plain; charset=UTF-8"
            },
            body: body.into(),
        }
    }

    fn lookup(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let id = *state.by_name.get(name)?;
        let size = state
            .shown_size
            .filter(|size| *size > id)
            .unwrap_or_else(|| state.log.size());
        let answer = state.log.lookup(id, size, &self.key)?;
        Some(self.signed(&state, answer).into_bytes())
    }

    fn tile(&self, path: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let tile = Tile::parse_path(path).ok()?;
        if tile.is_partial()
            && state.has_no_partial_tiles
            && tile.height == CLIENT_TILE_HEIGHT
            && state.log.tile(&tile.full()).is_some()
        {
            return None;
        }
        state.log.tile(&tile)
    }

    /// The text, with its last signature spoilt where the test wants that.
    fn signed(&self, state: &State, mut text: String) -> String {
        if state.has_bad_signatures {
            // A character in the middle of the signature, the key's id before it untouched.
            let place = text.len() - 40;
            let other = if text.as_bytes()[place] == b'A' {
                "B"
            } else {
                "A"
            };
            text.replace_range(place..=place, other);
        }
        text
    }
}
