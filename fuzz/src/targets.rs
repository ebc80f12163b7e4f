//! What is fuzzed: the readers of `gomod`, of logs and of connections, and what must hold of whatever they accept.
#![expect(
    clippy::panic,
    reason = "a panic is how a target tells that something is wrong"
)]
mod connection;
mod head;

use std::io::{Cursor, Write};

use gomod::modfile::{self, ModFile, Mode};
use gomod::sumdb::log::{Log, SigningKey};
use gomod::sumdb::{Lookup, Note, SumdbSetting, Tile, TreeHead, Verifier};
use gomod::zip::{FileFacts, FileKind, Limits, ReadAt, ZipError, check_and_hash, select_files};
use gomod::{
    EscapedPath, EscapedVersion, GoModHash, GoSum, H1, Info, ModulePath, ModuleVersion,
    PathPatterns, ProxyList, Request, Revision, Version, semver,
};

/// One thing that reads foreign bytes.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    /// Panics if something is wrong.
    pub(crate) run: fn(&[u8]),
    /// Good inputs, from which bad ones are made.
    pub(crate) corpus: fn() -> Vec<Vec<u8>>,
    /// Parts that chance would not find.
    pub(crate) words: &'static [&'static [u8]],
}

pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "failure-log",
        run: failure_log,
        corpus: || {
            include_str!("../../fixtures/corpora/go-failures.jsonl")
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .filter_map(|failure| Some(failure.get("log")?.as_str()?.as_bytes().to_vec()))
                .collect()
        },
        words: &[
            b"\n",
            b"\n\t",
            b"\\n",
            b"\\\"",
            b"\x1b[31m",
            b"\r",
            b"> ",
            b"#12 0.34 ",
            b"{\"log\":\"",
            b"\"}",
            b"level=error msg=\"",
            b"server response:",
            b"exit status 128:",
            b"https://",
            b"https:/",
            b"/@v/",
            b": 404",
            b"current time ",
            b"Prefix:\"",
            b" is not in ",
            b"\xe2\x80\x9c",
            b"\xff",
        ],
    },
    Target {
        name: "request",
        run: request,
        corpus: || {
            texts(&[
                "/github.com/!azure/sdk/@v/list",
                "/github.com/!azure/sdk/@latest",
                "/a.b/c/v2/@v/v2.0.0-20240102030405-0123456789ab.info",
                "/gopkg.in/yaml.v3/@v/v3.0.1.zip",
                "/a.b/c/@v/v2.0.0+incompatible.mod",
                "/a.b/%21c/@v/master.info",
                "/sumdb/sum.golang.org/supported",
                "/sumdb/sum.golang.org/lookup/a.b/c@v1.0.0",
                "/sumdb/sum.golang.org/tile/8/0/x001/234.p/5",
            ])
        },
        words: &[
            b"/@v/",
            b".info",
            b"%2f",
            b"%00",
            b"!",
            b"@",
            b"/sumdb/",
            b"/tile/8/data/",
            b".p/",
            b"x001/",
            b"\xff",
            b"?",
        ],
    },
    Target {
        name: "names",
        run: names,
        corpus: || {
            texts(&[
                "github.com/!azure/sdk",
                "github.com/Azure/sdk/v2",
                "gopkg.in/yaml.v3-unstable",
                "v1.2.3-pre.1+incompatible",
                "v0.0.0-20240102030405-0123456789ab",
                "v1.2.4-0.20240102030405-0123456789ab",
                "v1.2.3-pre.0.20240102030405-0123456789ab+incompatible",
                "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            ])
        },
        words: &[
            b"/v2",
            b".v1",
            b"-unstable",
            b"+incompatible",
            b"-0.",
            b"v0.0.0-",
            b"..",
            b"~1",
            b"con",
            b"!a",
            b"99999999999999999999",
            b"\xc3\xa9",
        ],
    },
    Target {
        name: "go-mod",
        run: go_mod,
        corpus: || {
            texts(&[
                "// Deprecated: gone\nmodule a.b/c // why\n\ngo 1.21\n\nrequire (\n\td.e/f v1.2.3 // indirect\n\t\"g.h/i/v2\" v2.0.0\n)\n",
                "replace a.b/c v1.0.0 => ../c\nreplace d.e/f => g.h/i v1.0.0\nexclude a.b/c v1.0.1\n",
                "// all\nretract (\n\tv1.0.0 // one\n\n\t[v1.1.0, v1.2.0]\n)\ntool a.b/c\nignore ./x\ngodebug a=b\ntoolchain go1.21.0\n",
            ])
        },
        words: &[
            b"(",
            b")",
            b"(\n",
            b"\n)\n",
            b"//",
            b"/*",
            b"\"",
            b"`",
            b"\\",
            b"=>",
            b"[",
            b"]",
            b",",
            b"\r\n",
            b"module ",
            b"retract ",
            b"require ",
            b"\\x",
            b"\xe2\x80\xa8",
        ],
    },
    Target {
        name: "go-sum",
        run: go_sum,
        corpus: || {
            texts(&[
                "a.b/c v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\na.b/c v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
                "\n a.b/c\tv1.0.0  h2:later\r\n",
            ])
        },
        words: &[b"/go.mod", b"h1:", b"=", b" ", b"\n", b"\xc2\xa0"],
    },
    Target {
        name: "info",
        run: info,
        corpus: || {
            texts(&[
                r#"{"Version":"v1.2.3","Time":"2024-01-02T03:04:05Z"}"#,
                r#"{"Version":"v1.2.3","Time":"2024-01-02T03:04:05Z","Origin":{"VCS":"git","URL":"https://a.b/c","Hash":"0123","Ref":"refs/tags/v1.2.3"}}"#,
                r#"{ "version" : "v1.2.3", "Name": "", "Short": null }"#,
            ])
        },
        words: &[
            b"\"Version\":",
            b"\"Time\":",
            b"\"Origin\":",
            b"{",
            b"}",
            b"[",
            b"null",
            b"\\u0000",
            b"\\ud800",
            b"1e999",
            b"+00:00",
        ],
    },
    Target {
        name: "proxy-list",
        run: proxy_list,
        corpus: || {
            texts(&[
                "https://mirror.example,direct",
                "http://user:secret@mirror.example:8080/a/b/|file:///srv/modules,off",
                "mirror.example,,|direct",
            ])
        },
        words: &[
            b",", b"|", b"direct", b"off", b"noproxy", b"http://", b"file://", b"@", b"[::1]",
            b"%", b"#", b"?",
        ],
    },
    Target {
        name: "patterns",
        run: patterns,
        corpus: || {
            texts(&[
                "*.corp.example,rsc.io/private\ngit.corp.example/a/b",
                "a.b/[a-c]?d/*,,x/\na.b/bxd/e/f",
                "[^a]\\*,[]a]\nb*",
            ])
        },
        words: &[
            b"*",
            b"?",
            b"[",
            b"]",
            b"-",
            b"^",
            b"\\",
            b",",
            b"/",
            b"\n",
            b"********",
        ],
    },
    Target {
        name: "zip-bytes",
        run: module_zip,
        corpus: || {
            vec![
                Vec::new(),
                [b"PK\x05\x06".as_slice(), &[0; 18]].concat(),
                vec![0; 200],
            ]
        },
        words: ZIP_WORDS,
    },
    Target {
        name: "zip",
        run: module_zip,
        corpus: archives,
        words: ZIP_WORDS,
    },
    Target {
        name: "select",
        run: select,
        corpus: || {
            texts(&[
                "1.21\ngo.mod\na/b.go\nvendor/modules.txt\npkg/vendor/x.go\nnested/GO.MOD\nnested/x\n",
                "1.24\nREADME\nreadme\n\u{212a}\nk\na/b\nA/b\na\n",
            ])
        },
        words: &[
            b"/",
            b"//",
            b"..",
            b"vendor/",
            b"/vendor/",
            b"go.mod",
            b"\n",
            b"\xe2\x84\xaa",
            b"\xff",
        ],
    },
    Target {
        name: "note",
        run: note,
        corpus: || {
            let signed = signing_key()
                .sign("go.sum database tree\n12\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
            vec![signed.unwrap_or_default().into_bytes()]
        },
        words: &[
            b"\n\n",
            "\u{2014} ".as_bytes(),
            b"sum.example ",
            b"go.sum database tree\n",
            b"9223372036854775808\n",
            b"\r",
        ],
    },
    Target {
        name: "lookup",
        run: lookup,
        corpus: || {
            let mut log = Log::default();
            let id = log.append("a.b/c v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
            let answer = log.lookup(id.unwrap_or_default(), 1, &signing_key());
            vec![answer.unwrap_or_default().into_bytes()]
        },
        words: &[
            b"\n\n",
            b"9223372036854775808\n",
            b"-1\n",
            b"\r",
            b"/go.mod h1:",
        ],
    },
    Target {
        name: "tile-path",
        run: tile_path,
        corpus: || {
            texts(&[
                "tile/8/0/x001/x234/067",
                "tile/8/3/000.p/3",
                "tile/30/63/000",
                "tile/1/data/x009/x223/x372/x036/x854/x775/807",
            ])
        },
        words: &[b"x999/", b".p/", b"data/", b"/63/", b"+", b"00"],
    },
    Target {
        name: "gosumdb",
        run: gosumdb,
        corpus: || {
            vec![
                b"off".to_vec(),
                b"sum.golang.org https://mirror.example/db".to_vec(),
                b"sum.golang.google.cn".to_vec(),
                signing_key().verifier().to_string().into_bytes(),
            ]
        },
        words: &[b"+", b" ", b"https://", b"/", b"@", b"sum.golang.org"],
    },
    connection::CERTIFICATE,
    connection::TLS_RECORDS,
    connection::DNS_ANSWER,
    head::REQUEST_HEAD,
];

const ZIP_WORDS: &[&[u8]] = &[
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"PK\x06\x06",
    b"PK\x06\x07",
    b"PK\x07\x08",
    b"\x01\x00\x10\x00",
    b"larder.example/pantry@v1.2.3/",
];

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Every finding is of the catalogue, quotes lines that are there, and does not depend on the last
/// line's end.
fn failure_log(bytes: &[u8]) {
    let log = String::from_utf8_lossy(bytes);
    let findings = diagnosis::explain(&log);
    let lines = log.split('\n').count();
    for finding in &findings {
        assert!(
            finding.entry().is_some(),
            "{} is in no catalogue",
            finding.cause
        );
        assert!(!finding.evidence.is_empty());
        for evidence in &finding.evidence {
            assert!(
                evidence
                    .line
                    .is_some_and(|line| (1..=lines).contains(&line))
            );
        }
    }
    let causes = |log: &str| -> Vec<&str> {
        diagnosis::explain(log)
            .iter()
            .map(|finding| finding.cause)
            .collect()
    };
    let ended = causes(&format!("{log}\n"));
    assert!(findings.iter().map(|finding| finding.cause).eq(ended));
    let code = log.lines().next().unwrap_or_default();
    if let Some(code) = diagnosis::code::Code::parse(code) {
        let _ = diagnosis::code::explain(code);
    }
}

fn request(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(request) = Request::parse(&text)
        && let Some(path) = request.module_path()
    {
        assert_eq!(ModulePath::parse(path.as_str()).as_ref(), Ok(path));
    }
}

fn names(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(path) = ModulePath::parse(&text) {
        let escaped = path.escape();
        assert_eq!(escaped.unescape(), path);
        assert_eq!(EscapedPath::parse(escaped.as_str()), Ok(escaped));
        let (prefix, major) = path.split_major();
        assert_eq!(format!("{prefix}{major}"), path.as_str());
        path.parents()
            .for_each(|parent| assert!(path.as_str().starts_with(parent.as_str())));
        let file = modfile::synthesise(&path);
        assert_eq!(
            modfile::module_path(file.as_bytes()).as_deref(),
            Some(path.as_str())
        );
    }
    if let Ok(escaped) = EscapedPath::parse(&text) {
        assert_eq!(escaped.unescape().escape(), escaped);
    }
    if let Ok(version) = Version::parse(&text) {
        assert!(semver::is_valid(version.as_str()));
        assert!(semver::compare(&text, version.major()).is_ge() || version.is_prerelease());
        if let Some(pseudo) = version.pseudo() {
            let _ = (pseudo.base(), pseudo.time_rfc3339());
            assert!(text.contains(pseudo.revision()));
        }
        for path in ["a.b/c", "a.b/c/v2", "gopkg.in/c.v1"] {
            let path = ModulePath::parse(path).expect("a good path");
            let _ = ModuleVersion::new(path, version.clone());
        }
    }
    if let Ok(revision) = Revision::parse(&text) {
        assert_eq!(revision.escape().unescape(), revision);
    }
    let _ = (
        EscapedVersion::parse(&text),
        gomod::check_import_path(&text),
    );
    if let Ok(hash) = H1::parse(&text) {
        assert_eq!(hash.to_string(), text);
    }
}

fn go_mod(input: &[u8]) {
    let _ = modfile::module_path(input);
    let _ = GoModHash::of(input);
    let strict = ModFile::parse(input, Mode::Strict);
    let lax = ModFile::parse(input, Mode::Lax);
    match (&strict, &lax) {
        (Ok(strict), Ok(lax)) => {
            // Of what both read, both read the same.
            assert_eq!(strict.module, lax.module);
            assert_eq!(strict.require, lax.require);
            assert_eq!(strict.retract, lax.retract);
            let version = Version::parse("v1.1.5").expect("a good version");
            assert_eq!(strict.retracts(&version), lax.retracts(&version));
        }
        (Ok(_), Err(errors)) => panic!("lax is stricter: {errors}"),
        (Err(errors), _) => {
            assert!(!errors.0.is_empty());
            let ends = |byte: usize| byte <= String::from_utf8_lossy(input).len();
            assert!(errors.0.iter().all(|error| ends(error.position.byte)));
            let _ = errors.to_string();
        }
    }
}

fn go_sum(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(sums) = GoSum::parse(&text) else {
        return;
    };
    let line = |line: &gomod::GoSumLine| {
        let suffix = if line.go_mod { "/go.mod" } else { "" };
        format!(
            "{} {}{suffix} {}\n",
            line.module_path, line.version, line.hash
        )
    };
    let written: String = sums.lines.iter().map(line).collect();
    // A version may be empty but for the suffix, and reads as two fields no more.
    if sums
        .lines
        .iter()
        .all(|line| line.go_mod || !line.version.is_empty())
    {
        assert_eq!(GoSum::parse(&written), Ok(sums));
    }
}

fn info(input: &[u8]) {
    if let Ok(info) = Info::parse(input) {
        assert_eq!(Info::parse(info.to_json().as_bytes()), Ok(info));
    }
}

fn proxy_list(input: &[u8]) {
    if let Ok(list) = ProxyList::parse(&String::from_utf8_lossy(input)) {
        assert!(!list.entries().is_empty());
        let _ = format!("{list:?}");
    }
}

/// The first line is a list, the second what is matched.
fn patterns(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (list, target) = text.split_once('\n').unwrap_or((&text, "a.b/c"));
    let (list, other) = (PathPatterns::parse(list), PathPatterns::parse("a.b"));
    let either = list.matches(target) || other.matches(target);
    assert_eq!(list.union(&other).matches(target), either);
}

fn module_zip(input: &[u8]) {
    let path = ModulePath::parse("larder.example/pantry").expect("a good path");
    let version = Version::parse("v1.2.3").expect("a good version");
    let module = ModuleVersion::new(path, version).expect("they fit");
    // Small limits, so that an archive that grows when inflated does not take the time of others.
    let limits = Limits {
        zip_bytes: 4 << 20,
        go_mod_bytes: 1 << 20,
        license_bytes: 1 << 20,
    };
    let bytes = u64::try_from(input.len()).expect("a length");
    let at_once = check_and_hash(input, bytes, &module, &limits);
    match &at_once {
        Err(ZipError::Io(error)) => panic!("nothing was read from a disk: {error}"),
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(report) => assert!(report.uncompressed_bytes <= limits.zip_bytes),
    }
    let in_parts = check_and_hash(&InParts(input), bytes, &module, &limits);
    assert_eq!(format!("{at_once:?}"), format!("{in_parts:?}"));
}

/// Never gives as much as was asked for.
struct InParts<'a>(&'a [u8]);

impl ReadAt for InParts<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let part = buffer.len().min(61);
        self.0
            .read_at(buffer.get_mut(..part).unwrap_or_default(), offset)
    }
}

/// The first line is the version of the go directive, every other one a name; the kind is made from
/// its length.
fn select(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let go_version = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let kind = |name: &[u8]| match name.len() % 13 {
        0 => FileKind::Symlink,
        1 => FileKind::Directory,
        2 => FileKind::Other,
        _ => FileKind::Regular,
    };
    let facts = |name| FileFacts {
        name,
        kind: kind(name),
        bytes: 1,
    };
    let files: Vec<_> = lines.map(facts).collect();
    let selected = select_files(&files, Some(&go_version), &Limits::default());
    let told = selected.valid.len() + selected.omitted.len() + selected.invalid.len();
    assert!(told <= files.len());
    assert!(selected.valid.is_sorted());
}

/// Good archives in the forms that writers give them.
fn archives() -> Vec<Vec<u8>> {
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    let deflate = SimpleFileOptions::default();
    let store = deflate.compression_method(CompressionMethod::Stored);
    let archive = |files: &[(&str, &[u8])], options: SimpleFileOptions, comment: &str| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            let name = format!("larder.example/pantry@v1.2.3/{name}");
            writer.start_file(name, options).expect("a new file");
            writer.write_all(content).expect("memory takes all");
        }
        writer.set_comment(comment).expect("a short comment");
        writer.finish().expect("a whole archive").into_inner()
    };
    let go_mod: (&str, &[u8]) = ("go.mod", b"module larder.example/pantry\n");
    let zeros = [0; 2000];
    // Files of this writer have no data descriptor where it can go back, so one is streamed.
    let mut stream = ZipWriter::new_stream(Vec::new());
    stream
        .start_file("larder.example/pantry@v1.2.3/streamed", deflate)
        .expect("a new file");
    stream
        .write_all(b"streamed streamed streamed")
        .expect("memory takes all");
    let streamed = stream.finish().expect("a whole archive").into_inner();
    vec![
        archive(&[], deflate, ""),
        archive(&[go_mod, ("a/b.go", b"package a\n")], deflate, ""),
        archive(
            &[go_mod, ("LICENSE", b"free"), ("empty", b"")],
            store,
            "a comment",
        ),
        archive(&[("zeros", &zeros)], deflate, ""),
        archive(&[("wide", b"64-bit sizes")], deflate.large_file(true), ""),
        streamed,
    ]
}

fn signing_key() -> SigningKey {
    SigningKey::from_seed("sum.example", [7; 32]).unwrap_or_else(|error| panic!("{error}"))
}

fn note(input: &[u8]) {
    if let Ok(note) = Note::open(input, signing_key().verifier()) {
        assert!(note.signed().as_bytes() == input && note.signed().starts_with(note.text()));
        if let Ok(head) = TreeHead::of(&note) {
            assert!(note.text().starts_with(&head.text()));
        }
    }
}

fn lookup(input: &[u8]) {
    if let Ok(lookup) = Lookup::parse(input) {
        let record = &lookup.record;
        let mut again = format!("{}\n{}\n", record.id, record.text).into_bytes();
        again.extend_from_slice(lookup.signed_head());
        assert_eq!(again, input);
    }
}

fn tile_path(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(tile) = Tile::parse_path(&text) {
        assert_eq!(tile.path(), text);
        assert!(tile.hash_bytes() <= tile.full().hash_bytes());
    }
}

fn gosumdb(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(SumdbSetting::Database { verifier, .. }) = SumdbSetting::parse(&text) {
        assert_eq!(Verifier::parse(&verifier.to_string()), Ok(verifier));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archives_to_be_broken_are_good() {
        let path = ModulePath::parse("larder.example/pantry").unwrap();
        let module = ModuleVersion::new(path, Version::parse("v1.2.3").unwrap()).unwrap();
        for archive in archives() {
            let bytes = u64::try_from(archive.len()).unwrap();
            check_and_hash(archive.as_slice(), bytes, &module, &Limits::default()).unwrap();
        }
    }
}
