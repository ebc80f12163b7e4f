//! Replays what Go's own functions said of some ten thousand inputs.
//!
//! The files in `vectors/` are made by the program in `fixtures/vectors`; their first line names the
//! command. Only verdicts and results are compared, not the words of errors.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{
    EscapedPath, EscapedVersion, H1, ModulePath, ModuleVersion, PathPatterns, PseudoVersion,
    Revision, Sha256, Version, calendar, check_import_path, path, pseudo, semver, version,
};

#[test]
fn paths_are_judged_as_go_judges_them() {
    #[derive(Deserialize)]
    #[serde(default)]
    #[derive(Default)]
    struct Vector {
        text: String,
        module: bool,
        import: bool,
        escaped: Option<String>,
        prefix: String,
        major: String,
        split: bool,
    }
    for vector in read::<Vector>(include_str!("../vectors/paths.jsonl"), 2000) {
        let text = vector.text.as_str();
        let parsed = ModulePath::parse(text);
        assert_eq!(
            parsed.is_ok(),
            vector.module,
            "module path {text:?}: {parsed:?}"
        );
        let import = check_import_path(text);
        assert_eq!(
            import.is_ok(),
            vector.import,
            "import path {text:?}: {import:?}"
        );
        let split = path::split_path_version(text);
        let wanted = vector
            .split
            .then_some((vector.prefix.as_str(), vector.major.as_str()));
        assert_eq!(split, wanted, "split of {text:?}");
        let escaped = parsed.ok().map(|path| path.escape());
        let escaped_text = escaped.as_ref().map(EscapedPath::as_str);
        assert_eq!(
            escaped_text,
            vector.escaped.as_deref(),
            "escape of {text:?}"
        );
        if let Some(escaped) = escaped {
            assert_eq!(escaped.unescape().as_str(), text);
        }
    }
}

#[test]
fn escaped_names_are_read_as_go_reads_them() {
    #[derive(Deserialize)]
    struct Vector {
        text: String,
        path: Option<String>,
        version: Option<String>,
    }
    for vector in read::<Vector>(include_str!("../vectors/escaped.jsonl"), 500) {
        let text = vector.text.as_str();
        let path = EscapedPath::parse(text).ok().map(|path| path.unescape());
        assert_eq!(
            path.as_ref().map(ModulePath::as_str),
            vector.path.as_deref(),
            "path {text:?}"
        );
        let version = EscapedVersion::parse(text)
            .ok()
            .map(|version| version.unescape());
        assert_eq!(
            version.as_ref().map(Revision::as_str),
            vector.version.as_deref(),
            "version {text:?}"
        );
    }
}

#[test]
fn versions_are_cut_up_as_go_cuts_them_up() {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Vector {
        text: String,
        valid: bool,
        canonical: String,
        major: String,
        prerelease: String,
        build: String,
        canonical_version: String,
        escaped: Option<String>,
        pseudo: bool,
        pseudo_base: Option<String>,
        pseudo_time: Option<String>,
        pseudo_revision: Option<String>,
    }
    for vector in read::<Vector>(include_str!("../vectors/versions.jsonl"), 2000) {
        let text = vector.text.as_str();
        assert_eq!(semver::is_valid(text), vector.valid, "validity of {text:?}");
        assert_eq!(
            semver::canonical(text),
            vector.canonical,
            "canonical form of {text:?}"
        );
        assert_eq!(semver::major(text), vector.major, "major of {text:?}");
        assert_eq!(
            semver::prerelease(text),
            vector.prerelease,
            "pre-release of {text:?}"
        );
        assert_eq!(
            semver::build(text),
            vector.build,
            "build metadata of {text:?}"
        );
        assert_eq!(
            pseudo::is_pseudo_version(text),
            vector.pseudo,
            "pseudo-version {text:?}"
        );
        let revision = Revision::parse(text).ok().map(|revision| revision.escape());
        assert_eq!(
            revision.as_ref().map(EscapedVersion::as_str),
            vector.escaped.as_deref(),
            "revision {text:?}"
        );

        let is_canonical = !text.is_empty() && vector.canonical_version == text;
        let version = Version::parse(text);
        assert_eq!(
            version.is_ok(),
            is_canonical,
            "canonical version {text:?}: {version:?}"
        );
        let Ok(version) = version else { continue };
        assert_eq!(version.is_pseudo(), vector.pseudo);
        assert_eq!(version.pseudo().is_some(), vector.pseudo);
        let Some(pseudo) = version.pseudo() else {
            continue;
        };
        let base = pseudo
            .base()
            .ok()
            .map(|base| base.as_ref().map_or("", Version::as_str).to_owned());
        assert_eq!(base, vector.pseudo_base, "base of {text:?}");
        assert_eq!(
            pseudo.time_rfc3339().ok(),
            vector.pseudo_time,
            "time of {text:?}"
        );
        assert_eq!(Some(pseudo.revision()), vector.pseudo_revision.as_deref());
    }
}

#[test]
fn versions_are_ordered_as_go_orders_them() {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Vector {
        Pair {
            left: String,
            right: String,
            order: i8,
        },
        Sorted {
            sorted: Vec<String>,
        },
    }
    for vector in read::<Vector>(include_str!("../vectors/order.jsonl"), 1500) {
        match vector {
            Vector::Pair { left, right, order } => {
                let got = semver::compare(&left, &right) as i8;
                assert_eq!(got, order, "{left:?} against {right:?}");
            }
            Vector::Sorted { sorted } => {
                assert!(sorted.len() > 100);
                let wanted: Vec<Version> = sorted
                    .iter()
                    .map(|text| Version::parse(text).unwrap())
                    .collect();
                let mut shuffled = wanted.clone();
                shuffled.sort_by(|left, right| left.as_str().cmp(right.as_str()));
                assert_ne!(shuffled, wanted, "order by text is not order by precedence");
                shuffled.sort();
                assert_eq!(shuffled, wanted);
            }
        }
    }
}

#[test]
fn majors_fit_paths_as_in_go() {
    #[derive(Deserialize)]
    struct Vector {
        path: String,
        version: String,
        fits: bool,
    }
    for Vector {
        path,
        version,
        fits,
    } in read(include_str!("../vectors/majors.jsonl"), 200)
    {
        let (_, path_major) = path::split_path_version(&path).unwrap();
        let fit = version::check_path_major(&version, path_major);
        assert_eq!(fit.is_ok(), fits, "{path}@{version}: {fit:?}");

        // The type is stricter about +incompatible, and only about that.
        let version = Version::parse(&version).unwrap();
        let is_misplaced = version.is_incompatible()
            && (!path_major.is_empty() || matches!(version.major(), "v0" | "v1"));
        let pair = ModuleVersion::new(ModulePath::parse(&path).unwrap(), version);
        assert_eq!(pair.is_ok(), fits && !is_misplaced, "{pair:?}");
    }
}

#[test]
fn prefix_patterns_match_as_in_go() {
    #[derive(Deserialize)]
    struct Vector {
        patterns: String,
        target: String,
        matches: bool,
    }
    for Vector {
        patterns,
        target,
        matches,
    } in read(include_str!("../vectors/patterns.jsonl"), 2000)
    {
        let got = PathPatterns::parse(&patterns).matches(&target);
        assert_eq!(got, matches, "{patterns:?} on {target:?}");
    }
}

#[test]
fn pseudo_versions_are_built_as_go_builds_them() {
    #[derive(Deserialize)]
    struct Vector {
        major: String,
        older: String,
        time: String,
        revision: String,
        version: String,
    }
    for vector in read::<Vector>(include_str!("../vectors/pseudo.jsonl"), 80) {
        let Vector {
            major,
            older,
            time,
            revision,
            version,
        } = &vector;
        let built = PseudoVersion::build(major, older, time, revision);
        // Go keeps any build metadata of the base; we only build what is canonical.
        let wanted = Version::parse(version).ok();
        assert_eq!(
            built.ok(),
            wanted,
            "{major:?} {older:?} {time:?} {revision:?}"
        );
    }
}

#[test]
fn trees_of_files_hash_as_in_go() {
    #[derive(Deserialize)]
    struct Vector {
        files: Vec<File>,
        h1: Option<String>,
    }
    #[derive(Deserialize)]
    struct File {
        name: String,
        content: String,
    }
    for Vector { files, h1 } in read(include_str!("../vectors/hashes.jsonl"), 5) {
        let mut digests: Vec<(String, Sha256)> = files
            .iter()
            .map(|file| (file.name.clone(), Sha256::of(file.content.as_bytes())))
            .collect();
        let got = H1::of(&mut digests).ok();
        assert_eq!(got.map(|h1| h1.to_string()), h1);
        assert_eq!(got, h1.map(|text| H1::parse(&text).unwrap()));
    }
}

#[test]
fn times_are_judged_as_go_judges_them_or_more_strictly() {
    #[derive(Deserialize)]
    struct Vector {
        text: String,
        #[serde(default)]
        valid: bool,
    }
    // Go's decoder still lets these pass, contrary to RFC 3339: a comma before fractions, an hour of one
    // digit, an offset of 24 hours or 60 minutes.
    let is_lax = |text: &str| {
        text.contains(',')
            || text.get(12..13) == Some(":")
            || text.ends_with("+24:00")
            || text.ends_with(":60")
    };
    for Vector { text, valid } in read(include_str!("../vectors/times.jsonl"), 100) {
        assert_eq!(
            calendar::is_rfc3339(&text),
            valid && !is_lax(&text),
            "{text:?}"
        );
    }
}

/// The vectors of a file without its first line, and at least so many.
fn read<T: DeserializeOwned>(jsonl: &str, at_least: usize) -> Vec<T> {
    let vectors: Vec<T> = jsonl
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert!(vectors.len() >= at_least, "only {} vectors", vectors.len());
    vectors
}
