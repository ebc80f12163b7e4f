//! Makes the zips of published modules anew and compares them with those that the go command made.
//!
//! Called by `cargo xtask zip-sums`. The Go installation holds a table of modules with the hashes of their zips. For a
//! sample of small ones that the given module proxies serve, the zip is downloaded once, taken apart, and put
//! together again by the way that every zip of a repository goes: a repository that holds just these files stands
//! behind [`DirectSource`]. Names, their order, all header fields and the `h1:` must come out the same. The
//! compressed bytes may differ.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a program of the automation: the terminal is its output, and what is malformed ends it"
)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gomod::zip::{Limits, check_and_hash};
use gomod::{
    FileKind, H1, ModulePath, ModuleVersion, ProxyEntry, ProxyList, PseudoVersion, SafeUrl, Sha256,
    Version,
};
use source::{
    AddressGuard, Archive, Chain, ChainEnd, ChainEntry, Commit, DirectSource, Freshness, Location,
    ModuleProxies, ObjectName, Refs, Repositories, Repository, RepositoryRoot, RepositoryUrl,
    Roots, Sink, SinkError, Source, SourceError, SourceErrorKind, SourceName, TlsRoots,
    TlsSettings, TreeEntry, TreeEntryKind, Trust, Upstream, UpstreamOptions,
};

/// Larger zips are not downloaded.
const SMALL_BYTES: u64 = 1 << 20;
/// Modules that are tried for each one that is wanted: some are too large, and some are served no longer.
const TRIES: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, proxies, folder, count] = arguments.as_slice() else {
        eprintln!("usage: zip_sums TABLE GOPROXY FOLDER COUNT");
        return ExitCode::from(2);
    };
    let count: usize = count.parse().unwrap();
    let folder = PathBuf::from(folder);
    fs_err::create_dir_all(&folder).unwrap();
    let upstream = upstream(proxies);
    let mut same = 0;
    let mut different = 0;
    let mut files = 0;
    let mut not_had = Vec::new();
    for row in sample(&fs_err::read_to_string(table).unwrap())
        .into_iter()
        .take(count.saturating_mul(TRIES))
    {
        if same + different == count {
            break;
        }
        let zip = match row.download(&*upstream, &folder).await {
            Ok(zip) => zip,
            Err(why) => {
                not_had.push(format!("{}: {why}", row.module));
                continue;
            }
        };
        match row.compare(&zip).await {
            Ok(entries) => {
                same += 1;
                files += entries;
            }
            Err(why) => {
                different += 1;
                println!("{}: {why}", row.module);
            }
        }
    }
    println!(
        "{same} of {count} zips with {files} files are as the go command makes them, {different} are not; {} were \
         not to be had small",
        not_had.len()
    );
    if same == count {
        return ExitCode::SUCCESS;
    }
    for why in not_had {
        println!("not compared: {why}");
    }
    ExitCode::FAILURE
}

/// The proxies of the list, asked as Larder asks them. What stands behind them (`direct`, `off`) is not.
fn upstream(proxies: &str) -> Arc<dyn Source> {
    let list = ProxyList::parse(proxies).unwrap();
    let entries = list.entries().iter().filter_map(|entry| match entry {
        ProxyEntry::Proxy(spec) => Some(spec),
        ProxyEntry::Direct | ProxyEntry::Off => None,
    });
    let entries = entries.map(|spec| {
        let options = UpstreamOptions::new("zip-sums", TlsRoots::load(&TlsSettings::default()));
        let guard = Arc::new(AddressGuard::new(spec.url.expose().host_str()));
        let upstream = Upstream::new(&spec.url, guard, options).unwrap();
        ChainEntry {
            source: Arc::new(upstream),
            fall_back: spec.fall_back,
            breaker: None,
        }
    });
    Arc::new(Chain::new(entries.collect(), ChainEnd::Source))
}

/// A row of the table.
struct Row {
    module: ModuleVersion,
    hash: H1,
}

/// The rows in an order that is as good as any and the same every time.
fn sample(table: &str) -> Vec<Row> {
    let mut lines: Vec<&str> = table.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_by_key(|line| Sha256::of(line.as_bytes()).0);
    lines
        .into_iter()
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let [path, version, hash, _] = fields[..] else {
                panic!("a row with {} fields", fields.len());
            };
            let path = ModulePath::parse(path).unwrap();
            let version = Version::parse(version).unwrap();
            Row {
                module: ModuleVersion::new(path, version).unwrap(),
                hash: H1::parse(hash).unwrap(),
            }
        })
        .collect()
}

impl Row {
    /// The zip, from the folder or from upstream; why there is none is remembered as well.
    async fn download(&self, upstream: &dyn Source, folder: &Path) -> Result<Vec<u8>, String> {
        let name = Sha256::of(self.module.to_string().as_bytes());
        let (file, reason) = (
            folder.join(format!("{name}.zip")),
            folder.join(format!("{name}.txt")),
        );
        if let Ok(zip) = fs_err::read(&file) {
            return Ok(zip);
        }
        if let Ok(reason) = fs_err::read_to_string(&reason) {
            return Err(reason);
        }
        let mut sink = Memory::default();
        match upstream.fetch(&self.module, FileKind::Zip, &mut sink).await {
            Ok(_) => {
                fs_err::write(&file, &sink.0).unwrap();
                Ok(sink.0)
            }
            Err(error) => {
                fs_err::write(&reason, error.to_string()).unwrap();
                Err(error.to_string())
            }
        }
    }

    /// Makes the zip anew. Returns the number of its files, or the first difference.
    async fn compare(&self, published: &[u8]) -> Result<usize, String> {
        let hash = |zip: &[u8]| {
            let bytes = u64::try_from(zip.len()).unwrap();
            check_and_hash(zip, bytes, &self.module, &Limits::default())
                .map(|report| report.hash.0)
                .map_err(|error| error.to_string())
        };
        if hash(published)? != self.hash {
            return Err("the proxy serves other files than the table has".to_owned());
        }
        let repository = Arc::new(Unpacked::new(&self.module, published)?);
        let source = DirectSource::new(
            Arc::new(One(repository.root.clone())),
            Arc::new(One(repository)),
            Arc::new(One(())),
        );
        let mut sink = Memory::default();
        source
            .fetch(&self.module, FileKind::Zip, &mut sink)
            .await
            .map_err(|error| error.to_string())?;
        let (ours, theirs) = (headers(&sink.0), headers(published));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            if ours != theirs {
                return Err(format!(
                    "a header differs:\n  go:     {theirs:?}\n  larder: {ours:?}"
                ));
            }
        }
        if ours.len() != theirs.len() {
            return Err(format!("{} files instead of {}", ours.len(), theirs.len()));
        }
        if hash(&sink.0)? != self.hash {
            return Err("the hash differs".to_owned());
        }
        Ok(ours.len())
    }
}

/// What stands in the headers of a file, but for compressed sizes and places.
#[derive(Debug, PartialEq)]
struct Header {
    name: String,
    /// The local header: all of it.
    local: Vec<u8>,
    /// The directory's: versions, flags, method, time, checksum.
    before_sizes: Vec<u8>,
    /// Uncompressed size, lengths, disk, attributes.
    behind_compressed_size: Vec<u8>,
}

/// The headers in the order of the directory. The archives were checked before.
fn headers(zip: &[u8]) -> Vec<Header> {
    let number = |at: usize, bytes: usize| {
        let bytes = &zip[at..at + bytes];
        bytes
            .iter()
            .rev()
            .fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    let end = zip
        .windows(4)
        .rposition(|four| four == b"PK\x05\x06")
        .unwrap();
    let mut at = number(end + 16, 4);
    let mut headers = Vec::new();
    for _ in 0..number(end + 10, 2) {
        let name_bytes = number(at + 28, 2);
        let local = number(at + 42, 4);
        headers.push(Header {
            name: String::from_utf8(zip[at + 46..at + 46 + name_bytes].to_vec()).unwrap(),
            local: zip[local..local + 30 + name_bytes + number(local + 28, 2)].to_vec(),
            before_sizes: zip[at + 4..at + 20].to_vec(),
            behind_compressed_size: zip[at + 24..at + 42].to_vec(),
        });
        at += 46 + name_bytes + number(at + 30, 2) + number(at + 32, 2);
    }
    headers
}

/// Takes a small file into memory.
#[derive(Default)]
struct Memory(Vec<u8>);

#[async_trait]
impl Sink for Memory {
    async fn begin(&mut self, _: &SourceName, total_bytes: Option<u64>) -> Result<(), SinkError> {
        self.0.clear();
        match total_bytes {
            Some(bytes) if bytes > SMALL_BYTES => {
                Err(SinkError::Fatal(format!("it has {bytes} bytes")))
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), SinkError> {
        self.0.extend_from_slice(&chunk);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A repository that holds one version of one module. A licence that was taken from a root lies there, and the
/// module in a folder.
struct Unpacked {
    root: RepositoryRoot,
    commit: Commit,
    refs: Arc<Refs>,
    files: Vec<(String, Bytes)>,
    license: Option<Bytes>,
}

const FOLDER: &str = "m";
const OTHER_COMMIT: &str = "0123456789012345678901234567890123456789";

impl Unpacked {
    fn new(module: &ModuleVersion, archive: &[u8]) -> Result<Self, String> {
        let mut files = unpacked(module, archive)?;
        // Trees are sorted: a licence behind a later name did not lie there.
        let is_taken = match files.as_slice() {
            [.., (before, _), (last, _)] => last == "LICENSE" && before.as_str() > "LICENSE",
            _ => false,
        };
        let license = is_taken
            .then(|| files.pop())
            .flatten()
            .map(|(_, file)| file);
        let subdirectory = if is_taken { FOLDER } else { "" };
        let prefix = if is_taken { "m/" } else { "" };

        let version = module.version();
        let base_version = version.as_str().trim_end_matches("+incompatible");
        let (name, time, listing) = match version.pseudo() {
            None => {
                let name = "abcdefabcdefabcdefabcdefabcdefabcdefabcd".to_owned();
                let listing = format!("{name}\trefs/tags/{prefix}{base_version}\n");
                (name, 0, listing)
            }
            Some(pseudo) => {
                let base = base_of(base_version)?;
                let listing = base.map_or_else(String::new, |base| {
                    format!("{OTHER_COMMIT}\trefs/tags/{prefix}{base}\n")
                });
                let time: jiff::Timestamp = pseudo
                    .time_rfc3339()
                    .map_err(|error| error.to_string())?
                    .parse()
                    .unwrap();
                let name = format!("{:0<40}", pseudo.revision());
                (name, time.as_second(), listing)
            }
        };
        let refs = Refs::parse(&listing);
        let name = ObjectName::parse(&name).ok_or("its revision is not git's")?;
        Ok(Self {
            root: RepositoryRoot {
                prefix: module.path().to_string(),
                url: RepositoryUrl::parse("https://git.example/r").unwrap(),
                subdirectory: subdirectory.to_owned(),
                trust: Trust::Chosen,
            },
            commit: Commit {
                tags: refs.tags_of(&name),
                name,
                committed_unix_seconds: time,
                found_by: Some("refs/heads/main".to_owned()),
            },
            refs: Arc::new(refs),
            files,
            license,
        })
    }
}

fn base_of(version: &str) -> Result<Option<Version>, String> {
    let version = Version::parse(version).map_err(|error| error.to_string())?;
    let pseudo = PseudoVersion::of(&version).ok_or("no pseudo-version")?;
    pseudo.base().map_err(|error| error.to_string())
}

/// The files of a zip in their order, without the module's prefix.
fn unpacked(module: &ModuleVersion, archive: &[u8]) -> Result<Vec<(String, Bytes)>, String> {
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(archive)).map_err(|error| error.to_string())?;
    let prefix = format!("{module}/");
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = file.name().map_err(|error| error.to_string())?.into_owned();
        let name = name
            .strip_prefix(&prefix)
            .ok_or("a name without the prefix")?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)
            .map_err(|error| error.to_string())?;
        files.push((name.to_owned(), Bytes::from(content)));
    }
    Ok(files)
}

#[async_trait]
impl Repository for Unpacked {
    fn url(&self) -> &RepositoryUrl {
        &self.root.url
    }

    async fn refs(&self, _: Freshness) -> Result<Arc<Refs>, SourceError> {
        Ok(self.refs.clone())
    }

    async fn find(&self, _: &str) -> Result<Option<Commit>, SourceError> {
        Ok(Some(self.commit.clone()))
    }

    async fn file(&self, _: &ObjectName, path: &str, _: u64) -> Result<Option<Bytes>, SourceError> {
        let name = match self.root.subdirectory.as_str() {
            "" => Some(path),
            folder => path
                .strip_prefix(folder)
                .and_then(|path| path.strip_prefix('/')),
        };
        Ok(match name {
            Some(name) => {
                let mut files = self.files.iter();
                files
                    .find(|(file, _)| file == name)
                    .map(|(_, content)| content.clone())
            }
            None => self.license.clone().filter(|_| path == "LICENSE"),
        })
    }

    async fn merged_tags(&self, _: &ObjectName) -> Result<Vec<String>, SourceError> {
        Ok(Vec::new())
    }

    async fn descends_from(&self, _: &ObjectName, _: &str) -> Result<bool, SourceError> {
        Ok(true)
    }

    async fn complete_history(&self) -> Result<(), SourceError> {
        Ok(())
    }

    async fn tree(
        &self,
        commit: &ObjectName,
        _: &str,
    ) -> Result<Option<Vec<TreeEntry>>, SourceError> {
        let entries = self.files.iter().map(|(name, _)| TreeEntry {
            name: name.clone().into_bytes(),
            kind: TreeEntryKind::File,
            object: commit.clone(),
        });
        Ok(Some(entries.collect()))
    }

    async fn archive(&self, _: &ObjectName, folder: &str) -> Result<Archive, SourceError> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(u64::try_from(content.len()).unwrap());
            let path = Path::new(folder).join(name);
            archive
                .append_data(&mut header, path, &content[..])
                .unwrap();
        }
        Ok(Archive {
            stream: Box::new(std::io::Cursor::new(archive.into_inner().unwrap())),
            finish: Box::new(|| Ok(())),
        })
    }
}

/// Always gives the one thing.
struct One<T>(T);

#[async_trait]
impl Roots for One<RepositoryRoot> {
    async fn locate(&self, _: &ModulePath) -> Result<Location, SourceError> {
        Ok(Location::Repository(self.0.clone()))
    }

    async fn locate_anew(&self, _: &ModulePath) -> Result<Option<Location>, SourceError> {
        Ok(None)
    }
}

impl Repositories for One<Arc<Unpacked>> {
    fn open(&self, _: &RepositoryUrl, _: Trust) -> Result<Arc<dyn Repository>, SourceError> {
        Ok(self.0.clone())
    }
}

impl ModuleProxies for One<()> {
    fn open(&self, _: &SafeUrl, _: Trust) -> Result<Arc<dyn Source>, SourceError> {
        Err(SourceError::new(SourceErrorKind::Off, "there are none"))
    }
}
