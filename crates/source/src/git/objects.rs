//! Objects of a mirror, read through one long-lived `git cat-file --batch`.
//!
//! Names that are sent are object names, checked ref names and peelings of both; never a path, so that no
//! byte of a path can break the protocol. Paths are walked through the trees here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::Instant;

use super::process::{Children, Launch, Running, Stopped};
use super::repository::Trouble;
use crate::{Clue, ObjectName, SourceError, SourceErrorKind, TreeEntry, TreeEntryKind};

/// How long a reader rests before it is closed.
const IDLE: Duration = Duration::from_secs(10);
/// The longest header of an answer: two object names and two words.
const HEADER_BYTES: u64 = 512;
/// A commit or a tree that is larger is a bomb.
const STRUCTURE_BYTES: u64 = 128 << 20;
/// Deeper folders than these are a bomb; longer paths than 4096 bytes cannot be unpacked anywhere.
const TREE_DEPTH: usize = 1024;
/// What the names of one tree may take together.
const TREE_NAME_BYTES: usize = 256 << 20;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObjectKind {
    Commit,
    Tree,
    Blob,
    Tag,
}

/// An object as it was read.
pub(super) struct Object {
    pub(super) name: ObjectName,
    pub(super) kind: ObjectKind,
    pub(super) bytes: Bytes,
}

/// A running `git cat-file --batch`.
pub(super) struct ObjectReader {
    running: Running,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stall: Duration,
    /// False while an answer is being read: a reader that is left then is of no more use.
    is_between_questions: bool,
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        if self.is_between_questions {
            self.running.tell(Ok(()));
        }
    }
}

impl ObjectReader {
    fn new(mut running: Running, stall: Duration) -> Option<Self> {
        let stdin = running.take_stdin()?;
        let stdout = running.take_stdout()?;
        Some(Self {
            running,
            stdin,
            stdout: BufReader::with_capacity(64 * 1024, stdout),
            stall,
            is_between_questions: true,
        })
    }

    async fn object(&mut self, name: &str, limit_bytes: u64) -> Result<Option<Object>, Trouble> {
        let ended = |_| Trouble::Damaged("the reader of objects ended".to_owned());
        let stalled = |_| {
            Trouble::Failed(SourceError::new(
                SourceErrorKind::TimedOut,
                "git stalled while it read objects",
            ))
        };
        let stall = self.stall;
        tokio::time::timeout(stall, self.stdin.write_all(format!("{name}\n").as_bytes()))
            .await
            .map_err(stalled)?
            .map_err(ended)?;
        let mut header = Vec::new();
        tokio::time::timeout(
            stall,
            (&mut self.stdout)
                .take(HEADER_BYTES)
                .read_until(b'\n', &mut header),
        )
        .await
        .map_err(stalled)?
        .map_err(ended)?;
        let header = std::str::from_utf8(&header)
            .ok()
            .and_then(|header| header.strip_suffix('\n'))
            .ok_or_else(|| Trouble::Damaged("the reader of objects ended".to_owned()))?;
        if header.ends_with(" missing") || header.ends_with(" ambiguous") {
            return Ok(None);
        }
        let (object, kind, size) = parse_header(header)
            .ok_or_else(|| Trouble::Damaged(format!("git answered `{header}` for an object")))?;
        if size > limit_bytes {
            return Err(Trouble::Failed(SourceError::new(
                SourceErrorKind::TooLarge,
                format!("the file has {size} bytes, and at most {limit_bytes} are read"),
            )));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        // Grown as it comes: the size is only what was announced.
        let mut content = Vec::with_capacity(size.min(1 << 20));
        while content.len() < size {
            let missing = (size - content.len()) as u64;
            let bytes = tokio::time::timeout(
                stall,
                (&mut self.stdout).take(missing).read_buf(&mut content),
            )
            .await
            .map_err(stalled)?
            .map_err(ended)?;
            if bytes == 0 {
                return Err(Trouble::Damaged("an object ended early".to_owned()));
            }
        }
        let newline = tokio::time::timeout(stall, self.stdout.read_u8())
            .await
            .map_err(stalled)?
            .map_err(ended)?;
        if newline != b'\n' {
            return Err(Trouble::Damaged(
                "an object is longer than it says".to_owned(),
            ));
        }
        Ok(Some(Object {
            name: object,
            kind,
            bytes: content.into(),
        }))
    }
}

fn parse_header(header: &str) -> Option<(ObjectName, ObjectKind, u64)> {
    let mut words = header.split(' ');
    let name = ObjectName::parse(words.next()?)?;
    let kind = match words.next()? {
        "commit" => ObjectKind::Commit,
        "tree" => ObjectKind::Tree,
        "blob" => ObjectKind::Blob,
        "tag" => ObjectKind::Tag,
        _ => return None,
    };
    let size = words.next()?.parse().ok()?;
    words.next().is_none().then_some((name, kind, size))
}

/// The readers of all mirrors: at most one resting for each, closed when others need their permit.
pub(super) struct Readers {
    children: Arc<Children>,
    stall: Duration,
    idle: Mutex<Idle>,
    waiting: AtomicUsize,
}

#[derive(Default)]
struct Idle {
    /// The longest resting first.
    readers: VecDeque<(String, Instant, ObjectReader)>,
    sweeper_runs: bool,
}

impl Readers {
    pub(super) fn new(children: Arc<Children>, stall: Duration) -> Self {
        Self {
            children,
            stall,
            idle: Mutex::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The reader of a mirror, the resting one or a new one.
    pub(super) async fn lease(
        self: &Arc<Self>,
        mirror: &str,
        launch: impl FnOnce() -> Launch + Send,
    ) -> Result<Lease, Stopped> {
        if let Some(reader) = self.take(mirror) {
            return Ok(self.leased(mirror, reader));
        }
        let permit = match self.children.readers.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let waiting = Waiting::new(&self.waiting);
                // Closed outside of the lock: closing kills.
                let closed = self.idle.lock().readers.pop_front();
                drop(closed);
                let permit = self.children.permit(&self.children.readers).await?;
                drop(waiting);
                permit
            }
        };
        let running = self.children.start_reader(launch(), permit)?;
        let reader = ObjectReader::new(running, self.stall).ok_or_else(|| {
            Stopped::NotStarted(std::io::Error::other("the reader of objects has no pipes"))
        })?;
        Ok(self.leased(mirror, reader))
    }

    /// Closes the resting reader of a mirror that is going away.
    pub(super) fn close(&self, mirror: &str) {
        drop(self.take(mirror));
    }

    fn leased(self: &Arc<Self>, mirror: &str, reader: ObjectReader) -> Lease {
        Lease {
            readers: self.clone(),
            mirror: mirror.to_owned(),
            reader: Some(reader),
        }
    }

    fn take(&self, mirror: &str) -> Option<ObjectReader> {
        let readers = &mut self.idle.lock().readers;
        let at = readers.iter().position(|(of, ..)| of == mirror)?;
        readers.remove(at).map(|(.., reader)| reader)
    }

    fn give_back(self: &Arc<Self>, mirror: String, reader: ObjectReader) {
        let mut idle = self.idle.lock();
        // Looked at under the lock that a waiting one takes before it sleeps: one of both sees the other.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            drop(idle);
            drop(reader);
            return;
        }
        idle.readers.push_back((mirror, Instant::now(), reader));
        if !std::mem::replace(&mut idle.sweeper_runs, true) {
            let readers = Arc::downgrade(self);
            tokio::spawn(async move {
                loop {
                    let Some(strong) = readers.upgrade() else {
                        return;
                    };
                    let Some(next) = strong.sweep() else { return };
                    drop(strong);
                    tokio::time::sleep_until(next).await;
                }
            });
        }
    }

    /// Closes what has rested long enough; when to look again, if anything rests.
    fn sweep(&self) -> Option<Instant> {
        let mut closed = Vec::new();
        let mut idle = self.idle.lock();
        let now = Instant::now();
        while idle
            .readers
            .front()
            .is_some_and(|(_, since, _)| *since + IDLE <= now)
        {
            closed.extend(idle.readers.pop_front());
        }
        let next = idle.readers.front().map(|(_, since, _)| *since + IDLE);
        idle.sweeper_runs = next.is_some();
        drop(idle);
        next
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A reader in use. It rests afterwards, unless a question broke off halfway.
pub(super) struct Lease {
    readers: Arc<Readers>,
    mirror: String,
    reader: Option<ObjectReader>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // One that broke off halfway is dropped, which kills it.
        if let Some(reader) = self.reader.take()
            && reader.is_between_questions
        {
            self.readers
                .give_back(std::mem::take(&mut self.mirror), reader);
        }
    }
}

impl Lease {
    /// An object by its name, a ref's full name or a peeling of one; `None` if there is none.
    pub(super) async fn object(
        &mut self,
        name: &str,
        limit_bytes: u64,
    ) -> Result<Option<Object>, Trouble> {
        let Some(reader) = &mut self.reader else {
            return Ok(None);
        };
        reader.is_between_questions = false;
        let answer = reader.object(name, limit_bytes).await?;
        reader.is_between_questions = true;
        Ok(answer)
    }

    /// The commit that a name stands for and its time; `None` if it stands for none.
    pub(super) async fn commit(
        &mut self,
        name: &str,
    ) -> Result<Option<(ObjectName, i64)>, Trouble> {
        let object = self
            .object(&format!("{name}^{{commit}}"), STRUCTURE_BYTES)
            .await?;
        let Some(object) = object.filter(|object| object.kind == ObjectKind::Commit) else {
            return Ok(None);
        };
        let seconds = committed_unix_seconds(&object.bytes).ok_or_else(|| {
            let text = format!("commit {} does not say when it was committed", object.name);
            Trouble::Failed(
                SourceError::new(SourceErrorKind::BadAnswer, text).with_clue(Clue::BrokenTransfer),
            )
        })?;
        Ok(Some((object.name, seconds)))
    }

    /// The entry at a path below a commit's root; `None` if there is none. `""` is the root.
    pub(super) async fn entry_at(
        &mut self,
        commit: &ObjectName,
        path: &str,
    ) -> Result<Option<RawEntry>, Trouble> {
        let root = self
            .object(&format!("{commit}^{{tree}}"), STRUCTURE_BYTES)
            .await?
            .ok_or_else(|| Trouble::Damaged(format!("commit {commit} is gone")))?;
        let mut entry = RawEntry {
            mode: Mode::Folder,
            name: Vec::new(),
            object: root.name.clone(),
        };
        let mut tree = Some(root);
        for element in path.split('/').filter(|element| !element.is_empty()) {
            let found = match tree.take() {
                Some(tree) => tree,
                None if entry.mode == Mode::Folder => self.tree_object(&entry.object).await?,
                None => return Ok(None),
            };
            match find_in_tree(&found, element.as_bytes())? {
                Some(next) => entry = next,
                None => return Ok(None),
            }
        }
        Ok(Some(entry))
    }

    /// All files below a tree, in its order.
    pub(super) async fn files_below(
        &mut self,
        tree: &ObjectName,
        most_files: usize,
    ) -> Result<Vec<TreeEntry>, Trouble> {
        let too_large = |what: &str| {
            Trouble::Failed(SourceError::new(
                SourceErrorKind::TooLarge,
                format!("the tree {tree} has {what}"),
            ))
        };
        let mut files = Vec::new();
        let (mut folders, mut name_bytes) = (0_usize, 0_usize);
        let mut prefix = Vec::new();
        let root = self.tree_object(tree).await?;
        // What is left of each folder on the way, and how long the path to it is.
        // Folders that contain each other a thousand deep may each name millions, of which only the first is
        // looked at: what waits on the way is counted before it is kept.
        let mut room = most_files.saturating_mul(2);
        let mut folder = |tree: &Object| -> Result<_, Trouble> {
            let entries = parse_tree(tree, room)?
                .ok_or_else(|| too_large("more files and folders than are read"))?;
            room -= entries.len();
            Ok(entries.into_iter())
        };
        let mut stack = vec![(folder(&root)?, prefix.len())];
        while let Some((entries, prefix_bytes)) = stack.last_mut() {
            prefix.truncate(*prefix_bytes);
            let Some(entry) = entries.next() else {
                stack.pop();
                continue;
            };
            prefix.extend_from_slice(&entry.name);
            let kind = match entry.mode {
                Mode::File => TreeEntryKind::File,
                Mode::Symlink => TreeEntryKind::Symlink,
                Mode::Submodule => TreeEntryKind::Submodule,
                Mode::Folder => {
                    folders += 1;
                    if folders > most_files {
                        return Err(too_large(&format!("more than {most_files} folders")));
                    }
                    if stack.len() >= TREE_DEPTH {
                        return Err(too_large(&format!("folders {TREE_DEPTH} levels deep")));
                    }
                    prefix.push(b'/');
                    let below = self.tree_object(&entry.object).await?;
                    stack.push((folder(&below)?, prefix.len()));
                    continue;
                }
            };
            name_bytes += prefix.len();
            if files.len() >= most_files {
                return Err(too_large(&format!("more than {most_files} files")));
            }
            if name_bytes > TREE_NAME_BYTES {
                return Err(too_large("file names of more than 256 MiB"));
            }
            files.push(TreeEntry {
                name: prefix.clone(),
                kind,
                object: entry.object,
            });
        }
        Ok(files)
    }

    async fn tree_object(&mut self, name: &ObjectName) -> Result<Object, Trouble> {
        self.object(name.as_str(), STRUCTURE_BYTES)
            .await?
            .filter(|object| object.kind == ObjectKind::Tree)
            .ok_or_else(|| Trouble::Damaged(format!("tree {name} is gone")))
    }
}

/// What the mode of a tree's entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    File,
    Symlink,
    Submodule,
    Folder,
}

/// One entry of one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawEntry {
    pub(super) mode: Mode,
    pub(super) name: Vec<u8>,
    pub(super) object: ObjectName,
}

/// Reads a tree: `MODE NAME NUL OBJECT`, repeated, the object as raw bytes of the repository's hash. `None` for
/// one of more than so many entries.
fn parse_tree(tree: &Object, most_entries: usize) -> Result<Option<Vec<RawEntry>>, Trouble> {
    let entries: Result<Vec<RawEntry>, Trouble> = entries_of(tree)
        .take(most_entries.saturating_add(1))
        .collect();
    entries.map(|entries| (entries.len() <= most_entries).then_some(entries))
}

/// The entry of a tree that has this name.
fn find_in_tree(tree: &Object, name: &[u8]) -> Result<Option<RawEntry>, Trouble> {
    entries_of(tree)
        .find(|entry| entry.as_ref().map_or(true, |entry| entry.name == name))
        .transpose()
}

/// The entries of a tree one after the other; a malformed one is the last.
fn entries_of(tree: &Object) -> impl Iterator<Item = Result<RawEntry, Trouble>> {
    let hash_bytes = tree.name.as_str().len() / 2;
    let mut rest: &[u8] = &tree.bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((entry, after)) = parse_entry(rest, hash_bytes) else {
            rest = &[];
            let text = format!("tree {} is malformed", tree.name);
            return Some(Err(Trouble::Failed(
                SourceError::new(SourceErrorKind::BadAnswer, text).with_clue(Clue::BrokenTransfer),
            )));
        };
        rest = after;
        Some(Ok(entry))
    })
}

fn parse_entry(bytes: &[u8], hash_bytes: usize) -> Option<(RawEntry, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let (mode, rest) = (bytes.get(..space)?, bytes.get(space + 1..)?);
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let (hash, rest) = rest.split_at_checked(hash_bytes)?;
    let mode = u32::from_str_radix(std::str::from_utf8(mode).ok()?, 8).ok()?;
    let mode = match mode & 0o170_000 {
        0o040_000 => Mode::Folder,
        0o120_000 => Mode::Symlink,
        0o160_000 => Mode::Submodule,
        _ => Mode::File,
    };
    let mut digits = String::with_capacity(hash.len() * 2);
    for byte in hash {
        use std::fmt::Write;
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    let entry = RawEntry {
        mode,
        name: name.to_vec(),
        object: ObjectName::parse(&digits)?,
    };
    (!name.is_empty()).then_some((entry, rest))
}

/// The committer's time of a commit: the number behind the last `>` of its `committer` line.
fn committed_unix_seconds(commit: &[u8]) -> Option<i64> {
    let line = commit
        .split(|byte| *byte == b'\n')
        .take_while(|line| !line.is_empty())
        .find_map(|line| line.strip_prefix(b"committer "))?;
    let after = line.rsplit(|byte| *byte == b'>').next()?;
    let seconds = std::str::from_utf8(after).ok()?.split_whitespace().next()?;
    seconds.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_commit_is_its_committers() {
        let check = |commit: &str, expected: Option<i64>| {
            assert_eq!(
                committed_unix_seconds(commit.as_bytes()),
                expected,
                "{commit}"
            );
        };
        let head = "tree x\nauthor A <a@b> 1 +0000\n";
        check(
            &format!("{head}committer C <c@d> 1523994202 -0400\n\nm"),
            Some(1_523_994_202),
        );
        check(&format!("{head}committer C > x <c@d> 7 +0000\n"), Some(7));
        check(&format!("{head}committer C <c@d>\n"), None);
        check(&format!("{head}\ncommitter C <c@d> 7 +0000\n"), None);
        check("", None);
    }

    #[test]
    fn a_tree_with_odd_names_is_read_and_a_cut_one_refused() {
        let mut bytes = Vec::new();
        for (mode, name) in [
            ("100644", "a\nb"),
            ("120000", "link"),
            ("160000", "sub"),
            ("40000", "folder"),
        ] {
            bytes.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            bytes.extend_from_slice(&[0xab; 20]);
        }
        let tree = |bytes: &[u8]| Object {
            name: ObjectName::parse(&"a".repeat(40)).unwrap(),
            kind: ObjectKind::Tree,
            bytes: Bytes::copy_from_slice(bytes),
        };
        let entries = parse_tree(&tree(&bytes), 4).ok().unwrap().unwrap();
        let modes: Vec<Mode> = entries.iter().map(|entry| entry.mode).collect();
        assert_eq!(
            modes,
            [Mode::File, Mode::Symlink, Mode::Submodule, Mode::Folder]
        );
        assert_eq!(entries[0].name, b"a\nb");
        assert_eq!(entries[0].object.as_str(), "ab".repeat(20));
        assert!(parse_tree(&tree(&bytes), 3).ok().unwrap().is_none());
        assert!(parse_tree(&tree(&bytes[..bytes.len() - 1]), 4).is_err());
        let found = |name: &[u8]| find_in_tree(&tree(&bytes), name).ok().unwrap();
        assert_eq!(found(b"link").map(|entry| entry.mode), Some(Mode::Symlink));
        assert_eq!(found(b"lin"), None);
        assert!(find_in_tree(&tree(&bytes[..bytes.len() - 1]), b"none").is_err());
    }
}
