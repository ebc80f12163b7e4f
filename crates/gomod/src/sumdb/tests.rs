use super::log::{Log, SigningKey};
use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn key() -> SigningKey {
    SigningKey::from_seed("sum.example/db", [7; 32]).unwrap()
}

fn log_of(size: u64) -> Log {
    let mut log = Log::default();
    for id in 0..size {
        log.append(&record_text(id)).unwrap();
    }
    log
}

fn record_text(id: u64) -> String {
    format!("example.com/m{id} v1.0.0 h1:x\n")
}

/// The root by the definition of RFC 6962, section 2.1.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::EMPTY_TREE,
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(split);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn bring(log: &Log, proof: &TreeProof) -> Vec<TileData> {
    proof
        .lacking()
        .iter()
        .map(|tile| Arc::from(log.tile(tile).unwrap()))
        .collect()
}

#[test]
fn tile_paths_are_read_and_written_one_way_only() {
    let check = |path: &str, height, level, number, width| {
        let tile = Tile::parse_path(path).unwrap();
        assert_eq!((tile.height, tile.level), (height, level), "{path}");
        assert_eq!((tile.number, tile.width), (number, width), "{path}");
        assert_eq!(tile.path(), path);
    };
    check("tile/8/0/003", 8, Some(0), 3, 256);
    check("tile/8/3/000.p/3", 8, Some(3), 0, 3);
    check("tile/8/0/x202/849.p/92", 8, Some(0), 202_849, 92);
    check("tile/8/0/x001/x234/067", 8, Some(0), 1_234_067, 256);
    check("tile/4/0/001", 4, Some(0), 1, 16);
    check("tile/3/data/x123/078", 3, None, 123_078, 8);
    check("tile/30/63/000", 30, Some(63), 0, 1 << 30);
    check("tile/1/0/000.p/1", 1, Some(0), 0, 1);
    check(
        "tile/8/0/x009/x223/x372/x036/x854/x775/807",
        8,
        Some(0),
        i64::MAX as u64,
        256,
    );
    let refuse = |path: &str| {
        assert!(Tile::parse_path(path).is_err(), "{path}");
    };
    for path in [
        "",
        "tile",
        "tile/8/0",
        "tile/8/0/",
        "/tile/8/0/000",
        "tile/0/0/000",
        "tile/31/0/000",
        "tile/8/64/000",
        "tile/8/-1/000",
        "tile/08/0/000",
        "tile/8/00/000",
        "tile/8/0/0",
        "tile/8/0/1000",
        "tile/8/0/x000/001",
        "tile/8/0/001/x234",
        "tile/8/0/001/234",
        "tile/8/0/x234",
        "tile/8/0/000.p/0",
        "tile/8/0/000.p/256",
        "tile/8/0/000.p/257",
        "tile/8/0/000.p/+1",
        "tile/8/0/000.p/01",
        "tile/8/0/000.p/1/2",
        "tile/8/0/000.p",
        "tile/8/0/+00",
        "tile/8/Data/000",
        "tile/8/0/x009/x223/x372/x036/x854/x775/808",
        "tile/8/0/x999/x999/x999/x999/x999/x999/x999/999",
    ] {
        refuse(path);
    }
}

#[test]
fn gosumdb_values_are_read_as_the_go_command_does() {
    let public = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let own = key().verifier().to_string();
    let check = |text: &str, key: &str, expected_url: Option<&str>| {
        let SumdbSetting::Database { verifier, url } = SumdbSetting::parse(text).unwrap() else {
            unreachable!("{text} is a database");
        };
        assert_eq!(verifier.to_string(), key, "{text}");
        let url = url.map(|url| url.expose().to_string());
        assert_eq!(
            url.as_deref().map(|url| url.trim_end_matches('/')),
            expected_url,
            "{text}"
        );
    };
    assert_eq!(SumdbSetting::parse("off").unwrap(), SumdbSetting::Off);
    check("sum.golang.org", public, None);
    check(public, public, None);
    check(&own, &own, None);
    check(
        "sum.golang.google.cn",
        public,
        Some("https://sum.golang.google.cn"),
    );
    check(
        "sum.golang.org  https://mirror.example/db",
        public,
        Some("https://mirror.example/db"),
    );
    check(
        &format!("{own} http://127.0.0.1:1/sumdb"),
        &own,
        Some("http://127.0.0.1:1/sumdb"),
    );

    let with_name = |name: &str| {
        SigningKey::from_seed(name, [7; 32])
            .unwrap()
            .verifier()
            .to_string()
    };
    let refuse = |text: &str, reason: &str| {
        let error = SumdbSetting::parse(text).unwrap_err();
        assert!(error.reason.contains(reason), "{text}: {error}");
    };
    refuse("", "missing GOSUMDB");
    refuse("sum.golang.org https://a.example b", "too many fields");
    refuse("sum.example", "only the key of sum.golang.org");
    refuse("sum.example+1234", "NAME+HASH+KEY");
    refuse("sum.example+0000000g+AAAA", "eight hex digits");
    refuse("sum.example+00000000+****", "not base64");
    refuse("sum.example+00000000+AAAA", "not an Ed25519 key");
    refuse(
        &own.replace("sum.example", "sum.other"),
        "not that of the name",
    );
    refuse(&with_name("sum.example/"), "host[/path]");
    refuse(&with_name("user@sum.example"), "host[/path]");
    refuse(&with_name("sum.example?query"), "host[/path]");
    refuse(&with_name("sum.example/a/../b"), "host[/path]");
    refuse(&with_name("/sum.example"), "host[/path]");
}

#[test]
fn a_note_is_opened_only_with_a_good_signature() {
    let signed = key().sign("text\nmore text\n").unwrap();
    let other = SigningKey::from_seed("sum.example/db", [8; 32]).unwrap();
    let other_line = other.sign("text\nmore text\n").unwrap();
    let other_line = other_line.split_once("\n\n").unwrap().1;
    let open = |note: &str| Note::open(note.as_bytes(), key().verifier());

    let note = open(&signed).unwrap();
    assert_eq!(note.text(), "text\nmore text\n");
    assert_eq!(note.signed(), signed);
    assert!(open(&format!("{signed}{other_line}")).is_ok());
    assert!(open(&signed.replace("\n\n", &format!("\n\n{other_line}"))).is_ok());

    assert_eq!(
        open(&signed.replace("more", "less")),
        Err(NoteError::BadSignature("sum.example/db".into()))
    );
    assert_eq!(
        Note::open(signed.as_bytes(), other.verifier()),
        Err(NoteError::Unsigned("sum.example/db".into()))
    );
    let malformed = |note: &str| {
        assert!(
            matches!(open(note), Err(NoteError::Malformed(_))),
            "{note:?}"
        );
    };
    malformed("");
    malformed("\n\n");
    malformed("text\n");
    malformed(signed.trim_end());
    malformed(&signed.replace("text\nmore", "text\r\nmore"));
    malformed(&signed.replace('\u{2014}', "-"));
    malformed(&format!("{signed}nonsense\n"));
    malformed(&format!("{signed}{}", other_line.repeat(100)));
    malformed(&"a".repeat(1_000_001));
}

#[test]
fn a_signing_key_survives_being_written_down() {
    let again = SigningKey::parse(&key().expose()).unwrap();
    assert_eq!(again.verifier(), key().verifier());
    assert_eq!(again.sign("text\n"), key().sign("text\n"));
    for text in ["", "PRIVATE+KEY+a+b", "PRIVATE+KEY+a+00000000+AAAA"] {
        let error = SigningKey::parse(text).unwrap_err();
        assert!(!error.to_string().contains("AAAA"), "{error}");
    }
}

#[test]
fn a_tree_head_is_three_lines_or_more() {
    let check = |text: &str, expected: Option<u64>| {
        let note = Note::open(key().sign(text).unwrap().as_bytes(), key().verifier()).unwrap();
        assert_eq!(
            TreeHead::of(&note).ok().map(|head| head.size),
            expected,
            "{text:?}"
        );
    };
    let root = Hash::EMPTY_TREE;
    check(&format!("go.sum database tree\n12\n{root}\n"), Some(12));
    check(
        &format!("go.sum database tree\n12\n{root}\nmore\n"),
        Some(12),
    );
    check(
        &format!("go.sum database tree\n9223372036854775807\n{root}\n"),
        Some(i64::MAX as u64),
    );
    check(
        &format!("go.sum database tree\n9223372036854775808\n{root}\n"),
        None,
    );
    check(&format!("go.sum database tree\n012\n{root}\n"), None);
    check(&format!("go.sum database tree\n-1\n{root}\n"), None);
    check(&format!("another tree\n12\n{root}\n"), None);
    check("go.sum database tree\n12\nAAAA\n", None);
    check("go.sum database tree\n12\n", None);
}

#[test]
fn a_lookup_is_a_number_a_record_and_a_note() {
    let log = log_of(3);
    let answer = log.lookup(1, 3, &key()).unwrap();
    let lookup = Lookup::parse(answer.as_bytes()).unwrap();
    assert_eq!(lookup.record, log.record(1).unwrap());
    let note = lookup.open_head(key().verifier()).unwrap();
    assert_eq!(TreeHead::of(&note).unwrap(), log.head(3).unwrap());

    for answer in [
        "",
        "1",
        "1\n",
        "1\ntext\n",
        "1\ntext",
        "-1\ntext\n\nnote\n",
        "01\ntext\n\nnote\n",
        "9223372036854775808\ntext\n\nnote\n",
        "1\n\n\nnote\n",
        "1\nte\rxt\n\nnote\n",
    ] {
        assert!(Lookup::parse(answer.as_bytes()).is_err(), "{answer:?}");
    }
    assert!(Lookup::parse(b"1\nte\xffxt\n\nnote\n").is_err());
    assert!(log.lookup(2, 2, &key()).is_none());
}

#[test]
fn the_empty_tree_needs_no_tiles() {
    let proof = TreeProof::of_root(TreeHead::EMPTY, 8, &[]).unwrap();
    assert!(proof.lacking().is_empty());
    assert!(proof.check(Vec::new()).is_ok());
    assert_eq!(Log::default().head(0), Some(TreeHead::EMPTY));
}

#[test]
fn hashes_beyond_the_tree_cannot_be_proven() {
    let head = log_of(5).head(5).unwrap();
    for (level, index) in [
        (0, 5),
        (1, 2),
        (2, 1),
        (3, 0),
        (63, 0),
        (0, u64::MAX),
        (255, 1),
    ] {
        assert!(
            matches!(
                TreeProof::new(head, 8, &[HashPosition { level, index }], &|_| None),
                Err(ProofError::OutsideTree { .. })
            ),
            "{level} {index}"
        );
    }
}

#[test]
fn the_head_is_that_of_rfc_6962_at_each_size() {
    let log = log_of(600);
    let leaves: Vec<_> = (0..600)
        .map(|id| record_hash(record_text(id).as_bytes()))
        .collect();
    for size in 0..=600 {
        assert_eq!(
            log.head(size as u64).unwrap().root,
            naive_root(&leaves[..size])
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_and_older_trees_are_proven_at_any_size_and_tile_height(
        size in 1_u64..2000,
        older in 0_u64..2000,
        id in 0_u64..2000,
        height in 1_u8..=10,
    ) {
        let (older, id) = (older % (size + 1), id % size);
        let log = log_of(size);
        let head = log.head(size).unwrap();
        let mut wanted = subtrees(older);
        wanted.push(HashPosition::of_record(id));
        let proof = TreeProof::of_root(head, height, &wanted).unwrap();
        let tiles = proof.check(bring(&log, &TreeProof::of_root(head, height, &wanted).unwrap())).unwrap();
        prop_assert_eq!(tiles.root(older).unwrap(), log.head(older).unwrap().root);
        prop_assert_eq!(
            tiles.hash(HashPosition::of_record(id)).unwrap(),
            log.record(id).unwrap().hash()
        );
    }

    #[test]
    fn no_altered_tile_proves_anything(
        size in 1_u64..2000,
        id in 0_u64..2000,
        height in 1_u8..=10,
        which in any::<prop::sample::Index>(),
        byte in any::<prop::sample::Index>(),
    ) {
        let log = log_of(size);
        let wanted = [HashPosition::of_record(id % size)];
        let proof = TreeProof::of_root(log.head(size).unwrap(), height, &wanted).unwrap();
        let mut tiles = bring(&log, &proof);
        let altered = Arc::make_mut(which.get_mut(&mut tiles));
        *byte.get_mut(altered) ^= 1;
        prop_assert!(proof.check(tiles).is_err());
    }

    #[test]
    fn tiles_that_are_proven_already_are_not_asked_for(
        size in 1_u64..2000,
        id in 0_u64..2000,
    ) {
        let log = log_of(size);
        let id = id % size;
        let wanted = [HashPosition::of_record(id)];
        let data = |tile: Tile| log.tile(&tile).map(TileData::from);
        let proof = TreeProof::new(log.head(size).unwrap(), 8, &wanted, &data).unwrap();
        prop_assert!(proof.lacking().is_empty());
        let tiles = proof.check(Vec::new()).unwrap();
        prop_assert_eq!(tiles.hash(wanted[0]).unwrap(), log.record(id).unwrap().hash());
    }
}
