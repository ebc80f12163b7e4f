use crate::zip::{DirectoryEntry, Method, ZipWriter};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

/// A module version with its files, from which `.info`, `.mod`, `.zip` and both `h1:` sums are made.
#[derive(Clone)]
pub struct Module {
    path: String,
    version: String,
    time: String,
    go_mod: String,
    go_mod_in_zip: bool,
    files: Vec<(String, Vec<u8>)>,
}

/// In which way a zip is unlike the one that Go makes.
#[derive(Clone, Debug)]
pub enum ZipVariant {
    /// Not at all: deflated, data descriptors.
    AsGo,
    /// Other bytes with the same `h1:`: not compressed.
    OtherBytes,
    /// A file has other content, so the `h1:` differs.
    WrongContent,
    /// The local headers, read in order, show the right files; the central directory names a second
    /// entry with other content in place of one of them.
    DirectoryPointsElsewhere,
    /// The central directory gives the last file another name than its local header.
    DirectoryRenames,
    /// Bytes before the first entry.
    Prefixed,
    /// One more file, of this many zero bytes.
    Bomb(u64),
    /// As `Bomb`, with a central directory that says the file holds ten bytes.
    LyingBomb(u64),
    /// One more file, of this name within the archive.
    BadName(String),
}

/// A zip too large for memory, in a file.
pub struct LargeZip {
    /// The open file.
    pub file: Arc<File>,
    /// Its size.
    pub len_bytes: u64,
    /// The `h1:` of the zip.
    pub zip_hash: String,
}

impl Module {
    /// A module with a go.mod and one small package.
    pub fn new(path: &str, version: &str) -> Self {
        let base = path
            .rsplit('/')
            .find(|element| !is_major_suffix(element))
            .unwrap();
        let package: String = base
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        Self {
            path: path.into(),
            version: version.into(),
            time: "2024-03-01T12:30:45Z".into(),
            go_mod: format!("module {path}\n\ngo 1.20\n"),
            go_mod_in_zip: true,
            files: vec![(
                format!("{package}.go"),
                format!(
                    "package {package}\n\n// Version is {version}.\nconst Version = {version:?}\n"
                )
                .into_bytes(),
            )],
        }
    }

    /// Adds a file.
    pub fn file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.into(), content.into()));
        self
    }

    /// Adds a file of `len_bytes` bytes that do not compress, so that the zip has about that size.
    pub fn incompressible(self, len_bytes: usize) -> Self {
        let mut noise = Noise::new(len_bytes as u64);
        let content = noise.chunk(len_bytes);
        self.file("noise.bin", content)
    }

    /// Replaces the go.mod.
    pub fn go_mod(mut self, text: &str) -> Self {
        self.go_mod = text.into();
        self
    }

    /// Adds a line to the go.mod, such as a `require` or a `retract`.
    pub fn go_mod_line(mut self, line: &str) -> Self {
        self.go_mod.push_str(line);
        self.go_mod.push('\n');
        self
    }

    /// Takes the go.mod out of the zip; the `.mod` is the one that Go makes up.
    pub fn without_go_mod(mut self) -> Self {
        self.go_mod = format!("module {}\n", self.path);
        self.go_mod_in_zip = false;
        self
    }

    /// Sets the time of the version (RFC 3339).
    pub fn time(mut self, time: &str) -> Self {
        self.time = time.into();
        self
    }

    /// The module path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// `path@version`.
    pub fn name(&self) -> String {
        format!("{}@{}", self.path, self.version)
    }

    /// The path of a request about the module: `/ESCAPED_PATH/` and `rest`.
    pub fn about(&self, rest: &str) -> String {
        format!("/{}/{rest}", escape(&self.path))
    }

    /// The path of the request for `info`, `mod` or `zip`.
    pub fn url_path(&self, extension: &str) -> String {
        self.about(&format!("@v/{}.{extension}", escape(&self.version)))
    }

    /// The `.info` file, `Origin` included.
    pub fn info(&self) -> Bytes {
        let (path, version, time) = (&self.path, &self.version, &self.time);
        let hash = hex(digest::digest(&digest::SHA256, self.name().as_bytes()).as_ref());
        let hash = &hash[..40];
        format!(
            r#"{{"Version":"{version}","Time":"{time}","Origin":{{"VCS":"git","URL":"https://{path}","Hash":"{hash}","Ref":"refs/tags/{version}"}}}}"#
        )
        .into()
    }

    /// The `.mod` file.
    pub fn go_mod_file(&self) -> Bytes {
        self.go_mod.clone().into()
    }

    /// The `.zip` file as Go makes it.
    pub fn zip(&self) -> Bytes {
        self.zip_as(&ZipVariant::AsGo)
    }

    /// The `.zip` file, unlike Go's in the given way.
    pub fn zip_as(&self, variant: &ZipVariant) -> Bytes {
        let mut zip = ZipWriter::new(Vec::new());
        let method = match variant {
            ZipVariant::OtherBytes => Method::Stored,
            _ => Method::Deflated(9),
        };
        if matches!(variant, ZipVariant::Prefixed) {
            zip.gap(b"#!/bin/sh\n");
        }
        let mut contents = self.archive_files();
        if matches!(variant, ZipVariant::WrongContent) {
            contents.last_mut().unwrap().1 = b"package evil\n".to_vec();
        }
        let mut directory: Vec<DirectoryEntry> = contents
            .iter()
            .map(|(name, content)| zip.entry(name.as_bytes(), content, method))
            .collect();
        match variant {
            ZipVariant::DirectoryPointsElsewhere => {
                let name = directory.pop().unwrap().name;
                directory.push(zip.entry(&name, b"package evil\n", method));
            }
            ZipVariant::DirectoryRenames => {
                let name = &mut directory.last_mut().unwrap().name;
                *name.last_mut().unwrap() ^= 1;
            }
            ZipVariant::Bomb(len_bytes) | ZipVariant::LyingBomb(len_bytes) => {
                let name = format!("{}/zeros.bin", self.name());
                let chunk = vec![0; 1 << 20];
                let whole = len_bytes.div_ceil(1 << 20) as usize;
                let chunks = std::iter::repeat_n(&chunk, whole);
                let mut entry = zip.entry_of_chunks(name.as_bytes(), chunks, method);
                if matches!(variant, ZipVariant::LyingBomb(_)) {
                    entry.uncompressed_bytes = 10;
                }
                directory.push(entry);
            }
            ZipVariant::BadName(name) => {
                directory.push(zip.entry(name.as_bytes(), b"package evil\n", method));
            }
            ZipVariant::AsGo
            | ZipVariant::OtherBytes
            | ZipVariant::WrongContent
            | ZipVariant::Prefixed => {}
        }
        zip.finish(&directory).into()
    }

    /// Writes the module's zip with one more file of about `len_bytes`, stored, into `folder`,
    /// without ever holding it in memory.
    pub fn large_zip(&self, folder: &Path, len_bytes: u64) -> LargeZip {
        const CHUNK_BYTES: usize = 1 << 20;
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.join("large.zip"))
            .unwrap();
        let mut zip = ZipWriter::new(BufWriter::with_capacity(CHUNK_BYTES, file));
        let files = self.archive_files();
        let mut sums: Vec<(String, String)> = files
            .iter()
            .map(|(name, content)| (name.clone(), sha256_hex(content)))
            .collect();
        let mut directory: Vec<DirectoryEntry> = files
            .iter()
            .map(|(name, content)| zip.entry(name.as_bytes(), content, Method::Deflated(9)))
            .collect();

        let name = format!("{}/large.bin", self.name());
        let mut noise = Noise::new(len_bytes);
        let mut sum = digest::Context::new(&digest::SHA256);
        let chunks = (0..len_bytes.div_ceil(CHUNK_BYTES as u64)).map(|_| {
            let chunk = noise.chunk(CHUNK_BYTES);
            sum.update(&chunk);
            chunk
        });
        directory.push(zip.entry_of_chunks(name.as_bytes(), chunks, Method::Stored));
        sums.push((name, hex(sum.finish().as_ref())));

        let file = zip.finish(&directory).into_inner().unwrap();
        LargeZip {
            len_bytes: file.metadata().unwrap().len(),
            file: Arc::new(file),
            zip_hash: h1(sums),
        }
    }

    /// The `h1:` of the zip (Go's `dirhash.Hash1`, rule 64).
    pub fn zip_hash(&self) -> String {
        self.zip_hash_as(&ZipVariant::AsGo)
    }

    /// The `h1:` of the zip with wrong content where `variant` is `WrongContent`, else of the right one.
    pub fn zip_hash_as(&self, variant: &ZipVariant) -> String {
        let mut files = self.archive_files();
        if matches!(variant, ZipVariant::WrongContent) {
            files.last_mut().unwrap().1 = b"package evil\n".to_vec();
        }
        h1(files
            .into_iter()
            .map(|(name, content)| (name, sha256_hex(&content)))
            .collect())
    }

    /// The `h1:` of the go.mod file.
    pub fn go_mod_hash(&self) -> String {
        h1(vec![("go.mod".into(), sha256_hex(self.go_mod.as_bytes()))])
    }

    /// The two lines that a go.sum file and a checksum database hold.
    pub fn go_sum(&self) -> String {
        let (path, version) = (&self.path, &self.version);
        let (zip, go_mod) = (self.zip_hash(), self.go_mod_hash());
        format!("{path} {version} {zip}\n{path} {version}/go.mod {go_mod}\n")
    }

    /// The names within the archive with their content, in the archive's order.
    fn archive_files(&self) -> Vec<(String, Vec<u8>)> {
        let go_mod = self
            .go_mod_in_zip
            .then(|| ("go.mod".to_owned(), self.go_mod.clone().into_bytes()));
        go_mod
            .into_iter()
            .chain(self.files.iter().cloned())
            .map(|(name, content)| (format!("{}/{name}", self.name()), content))
            .collect()
    }
}

/// Case-encodes a path or a version as URLs hold it: `!` and the lower-case letter for each upper-case one.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(character.to_ascii_lowercase());
    }
    escaped
}

fn is_major_suffix(element: &str) -> bool {
    element
        .strip_prefix('v')
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

fn h1(mut sums: Vec<(String, String)>) -> String {
    sums.sort();
    let mut text = digest::Context::new(&digest::SHA256);
    for (name, sum) in sums {
        text.update(format!("{sum}  {name}\n").as_bytes());
    }
    format!("h1:{}", STANDARD.encode(text.finish()))
}

/// SHA-256 in lower-case hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that do not compress, the same in every run (xorshift64*).
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    fn chunk(&mut self, len_bytes: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len_bytes + 8);
        while bytes.len() < len_bytes {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            bytes.extend(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        bytes.truncate(len_bytes);
        bytes
    }
}
