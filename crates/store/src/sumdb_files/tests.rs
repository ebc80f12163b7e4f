use super::*;
use crate::tests::scratch;

#[test]
fn tiles_and_lookups_are_there_after_a_restart() {
    let (scratch, _staging) = scratch();
    let files = [
        ("tile/8/0/003", &b"tile"[..]),
        ("tile/8/0/x001/003", b"\n\n"),
        ("tile/8/0/003.p/12", b""),
        ("lookup/rsc.io/quote@v1.5.2", b"lookup"),
        ("lookup/rsc.io/!quote@v1.5.2", b"escaped"),
        ("lookup/rsc.io/Quote@v1.5.2", b"another case"),
        ("lookup/rsc.io/%51uote@v1.5.2", b"no alias of the former"),
    ];
    let sumdb = SumdbFiles::open(scratch.path(), "sum.golang.org").unwrap();
    for (file, bytes) in files {
        assert_eq!(sumdb.read(file).unwrap(), None);
        sumdb.write(file, b"replaced").unwrap();
        sumdb.write(file, bytes).unwrap();
    }
    let sumdb = SumdbFiles::open(scratch.path(), "sum.golang.org").unwrap();
    for (file, bytes) in files {
        assert_eq!(sumdb.read(file).unwrap().as_deref(), Some(bytes), "{file}");
    }
}

#[test]
fn databases_do_not_mix() {
    let (scratch, _staging) = scratch();
    let names = [
        "sum.example",
        "sum.example/tile",
        "Sum.example",
        "sum.example/a/b",
    ];
    for name in names {
        let sumdb = SumdbFiles::open(scratch.path(), name).unwrap();
        assert_eq!(sumdb.head().unwrap(), b"", "{name}");
        assert_eq!(sumdb.read("tile/8/0/000").unwrap(), None, "{name}");
        sumdb.write("tile/8/0/000", name.as_bytes()).unwrap();
        assert_eq!(
            sumdb.swap_head(b"", name.as_bytes()).unwrap(),
            Swapped::Stored
        );
    }
    for name in names {
        let sumdb = SumdbFiles::open(scratch.path(), name).unwrap();
        assert_eq!(sumdb.head().unwrap(), name.as_bytes());
        assert_eq!(
            sumdb.read("tile/8/0/000").unwrap().unwrap(),
            name.as_bytes()
        );
    }
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let (scratch, _staging) = scratch();
    let sumdb = SumdbFiles::open(scratch.path(), "sum.example").unwrap();
    for name in [
        "",
        "/",
        ".",
        "..",
        "head",
        "head.lock",
        "/tile/8/0/000",
        "tile//0",
        "tile/",
        "tile/../head",
        "tile/./0",
        "lookup/../../../../etc/passwd",
        "../tile/8",
        "supported",
        "latest",
    ] {
        assert!(sumdb.read(name).is_err(), "{name}");
        assert!(sumdb.write(name, b"bytes").is_err(), "{name}");
    }
    for name in ["", ".", "..", "..."] {
        assert!(SumdbFiles::open(scratch.path(), name).is_err(), "{name}");
    }
    for name in ["../out", "/etc", "a/../../../out", "a\\b\0"] {
        let sumdb = SumdbFiles::open(scratch.path(), name).unwrap();
        let parent = sumdb.folder.parent().unwrap();
        assert_eq!(parent, scratch.path().join("state/sumdb"), "{name}");
    }
    sumdb.write("lookup/a\\..\\b\0/c", b"bytes").unwrap();
    assert_eq!(
        sumdb.read("lookup/a\\..\\b\0/c").unwrap().unwrap(),
        b"bytes"
    );
}

#[test]
fn a_torn_tile_is_absent() {
    let (scratch, _staging) = scratch();
    let sumdb = SumdbFiles::open(scratch.path(), "sum.example").unwrap();
    sumdb.write("tile/8/0/000", b"tile").unwrap();
    let path = sumdb.path("tile/8/0/000").unwrap();
    let whole = fs::read(&path).unwrap();
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        assert_eq!(sumdb.read("tile/8/0/000").unwrap(), None, "{len} bytes");
    }
}

#[test]
fn one_of_two_processes_that_move_the_head_wins() {
    let (scratch, _staging) = scratch();
    let open = || SumdbFiles::open(scratch.path(), "sum.example").unwrap();
    let [ours, theirs] = [open(), open()];
    assert_eq!(ours.swap_head(b"", b"1").unwrap(), Swapped::Stored);
    let changed = Swapped::Changed(b"1".to_vec());
    assert_eq!(theirs.swap_head(b"", b"2").unwrap(), changed);
    assert_eq!(theirs.swap_head(b"1", b"2").unwrap(), Swapped::Stored);
    assert_eq!(ours.head().unwrap(), b"2");

    // Eight movers count to 80 together: no step is lost.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let sumdb = open();
                for _ in 0..10 {
                    let mut old = sumdb.head().unwrap();
                    loop {
                        let count: u32 = str::from_utf8(&old).unwrap().parse().unwrap();
                        let new = (count + 1).to_string();
                        match sumdb.swap_head(&old, new.as_bytes()).unwrap() {
                            Swapped::Stored => break,
                            Swapped::Changed(there) => old = there,
                        }
                    }
                }
            });
        }
    });
    assert_eq!(ours.head().unwrap(), b"82");
}
