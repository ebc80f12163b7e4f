//! The roots that Go would trust on this system, read as Go reads them (`loadSystemRoots`).
//!
//! Where the files lie and what they hold is kept beside the certificates, because a store that is
//! missing, empty or in the wrong form is itself a cause. On macOS and Windows Go asks the system, which
//! this module cannot: there only the files that were named are read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::verify::Pool;

/// The system whose lists are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux.
    Linux,
    /// FreeBSD, OpenBSD, NetBSD, DragonFly.
    Bsd,
    /// Any other: nothing is read but what was named.
    Other,
}

impl System {
    /// The system this program was built for.
    pub fn this() -> Self {
        if cfg!(target_os = "linux") {
            Self::Linux
        } else if cfg!(any(
            target_os = "freebsd",
            target_os = "openbsd",
            target_os = "netbsd",
            target_os = "dragonfly"
        )) {
            Self::Bsd
        } else {
            Self::Other
        }
    }

    /// Bundles in Go's order; the first that can be read is taken.
    fn files(self) -> &'static [&'static str] {
        match self {
            Self::Linux => &[
                "/etc/ssl/certs/ca-certificates.crt",
                "/etc/pki/tls/certs/ca-bundle.crt",
                "/etc/ssl/ca-bundle.pem",
                "/etc/pki/tls/cacert.pem",
                "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
                "/etc/ssl/cert.pem",
            ],
            Self::Bsd => &[
                "/usr/local/etc/ssl/cert.pem",
                "/etc/ssl/cert.pem",
                "/usr/local/share/certs/ca-root-nss.crt",
                "/etc/openssl/certs/ca-certificates.crt",
            ],
            Self::Other => &[],
        }
    }

    /// Folders; all are read.
    fn folders(self) -> &'static [&'static str] {
        match self {
            Self::Linux => &["/etc/ssl/certs", "/etc/pki/tls/certs"],
            Self::Bsd => &[
                "/etc/ssl/certs",
                "/usr/local/share/certs",
                "/etc/openssl/certs",
            ],
            Self::Other => &[],
        }
    }
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct TrustSettings {
    /// Whose lists hold.
    pub system: System,
    /// SSL_CERT_FILE: in place of the system's files. Empty counts as not set.
    pub ssl_cert_file: Option<PathBuf>,
    /// SSL_CERT_DIR: folders with colons between them, in place of the system's. Empty counts as not set.
    pub ssl_cert_dir: Option<String>,
    /// More files of roots.
    pub extra_files: Vec<PathBuf>,
}

impl Default for TrustSettings {
    fn default() -> Self {
        Self {
            system: System::this(),
            ssl_cert_file: None,
            ssl_cert_dir: None,
            extra_files: Vec::new(),
        }
    }
}

/// The trusted roots and where they come from.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    /// The roots.
    pub roots: Pool,
    /// What was read or should have been: every named file and folder, and of the system's lists those that
    /// are there.
    pub sources: Vec<TrustSource>,
}

/// One file or folder of roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustSource {
    /// Where.
    pub path: PathBuf,
    /// Whether a setting names it, as opposed to the system's lists.
    pub is_named: bool,
    /// What was found.
    pub content: TrustContent,
}

/// What a file or folder of roots holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustContent {
    /// So many certificates that Go can use.
    Certificates(usize),
    /// It is not there. Go passes over it in silence.
    Missing,
    /// It cannot be read.
    Unreadable(String),
    /// A file of no bytes.
    Empty,
    /// A certificate in DER form: Go reads PEM only, and passes over it in silence.
    Der,
    /// Something else than certificates in PEM form.
    NoCertificate,
}

impl TrustContent {
    /// What a person reads of it.
    pub fn describe(&self) -> String {
        match self {
            Self::Certificates(count) => format!("{count} certificates"),
            Self::Missing => "is not there".to_owned(),
            Self::Unreadable(error) => format!("cannot be read: {error}"),
            Self::Empty => "is empty".to_owned(),
            Self::Der => "is in DER form; Go reads PEM only".to_owned(),
            Self::NoCertificate => "holds no certificate in PEM form".to_owned(),
        }
    }
}

/// More than this of one file is not read.
const LARGEST_FILE_BYTES: u64 = 32 << 20;

impl TrustStore {
    /// Reads the store. What is missing or broken is noted and passed over, as Go passes over it.
    pub fn load(settings: &TrustSettings) -> Self {
        let mut store = Self::default();
        let named =
            |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
        match named(&settings.ssl_cert_file) {
            Some(file) => {
                store.read_file(&file, true);
            }
            None => {
                for file in settings.system.files() {
                    if store.read_file(Path::new(file), false) {
                        break;
                    }
                }
            }
        }
        let folders = settings
            .ssl_cert_dir
            .as_deref()
            .filter(|folders| !folders.is_empty());
        match folders {
            Some(folders) => folders
                .split(':')
                .for_each(|folder| store.read_folder(Path::new(folder), true)),
            None => settings
                .system
                .folders()
                .iter()
                .for_each(|folder| store.read_folder(Path::new(folder), false)),
        }
        for file in &settings.extra_files {
            store.read_file(file, true);
        }
        store
    }

    /// A store of these certificates.
    pub fn of(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        Self {
            roots: certificates.into_iter().map(Arc::new).collect(),
            sources: Vec::new(),
        }
    }

    /// Adds the certificates of a PEM text; how many there are.
    pub fn add_pem(&mut self, text: &[u8]) -> usize {
        let certificates = Certificate::from_pem(text);
        let count = certificates.len();
        certificates
            .into_iter()
            .for_each(|certificate| self.roots.add(Arc::new(certificate)));
        count
    }

    /// The named sources that yield nothing, which Go never mentions.
    pub fn broken_sources(&self) -> impl Iterator<Item = &TrustSource> {
        self.sources
            .iter()
            .filter(|source| source.is_named)
            .filter(|source| !matches!(source.content, TrustContent::Certificates(1..)))
    }

    /// True if the file could be read, whatever is in it.
    fn read_file(&mut self, path: &Path, is_named: bool) -> bool {
        let content = match read_bounded(path) {
            Ok(bytes) => self.take(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => TrustContent::Missing,
            Err(error) => TrustContent::Unreadable(error.kind().to_string()),
        };
        let was_read = !matches!(content, TrustContent::Missing | TrustContent::Unreadable(_));
        if was_read || is_named {
            self.sources.push(TrustSource {
                path: path.to_owned(),
                is_named,
                content,
            });
        }
        was_read
    }

    fn take(&mut self, bytes: &[u8]) -> TrustContent {
        match self.add_pem(bytes) {
            0 if bytes.is_empty() => TrustContent::Empty,
            0 if Certificate::parse(bytes).is_ok() => TrustContent::Der,
            0 => TrustContent::NoCertificate,
            count => TrustContent::Certificates(count),
        }
    }

    fn read_folder(&mut self, folder: &Path, is_named: bool) {
        let entries = match fs_err::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                if is_named {
                    let content = match error.kind() {
                        io::ErrorKind::NotFound => TrustContent::Missing,
                        kind => TrustContent::Unreadable(kind.to_string()),
                    };
                    self.sources.push(TrustSource {
                        path: folder.to_owned(),
                        is_named,
                        content,
                    });
                }
                return;
            }
        };
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut count = 0;
        for path in paths.iter().filter(|path| !is_link_to_neighbour(path)) {
            if let Ok(bytes) = read_bounded(path) {
                count += self.add_pem(&bytes);
            }
        }
        self.sources.push(TrustSource {
            path: folder.to_owned(),
            is_named,
            content: TrustContent::Certificates(count),
        });
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs_err::File::open(path)?
        .take(LARGEST_FILE_BYTES)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Links from a hash to a neighbour are the same certificate again.
fn is_link_to_neighbour(path: &Path) -> bool {
    fs_err::read_link(path).is_ok_and(|target| target.components().count() == 1)
}
