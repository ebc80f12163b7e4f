//! Archives that no honest writer makes, built field by field.
use super::{PREFIX, check};
use crate::zip::ZipError;

/// One entry: the same fields for the local header and the directory, until a test changes one of them.
#[derive(Clone)]
pub(super) struct Entry {
    local: Header,
    central: Header,
    content: Vec<u8>,
    descriptor: Vec<u8>,
    /// Bytes between the entry before and this one.
    before: Vec<u8>,
    /// Another place for the directory to point to.
    offset: Option<u32>,
}

#[derive(Clone)]
struct Header {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    crc32: u32,
    compressed: u32,
    uncompressed: u32,
    extra: Vec<u8>,
}

impl Entry {
    fn stored(name: &str, content: &[u8]) -> Self {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let length = u32::try_from(content.len()).unwrap();
        let header = Header {
            name: format!("{PREFIX}{name}").into(),
            flags: 0,
            method: 0,
            crc32: crc.sum(),
            compressed: length,
            uncompressed: length,
            extra: Vec::new(),
        };
        Self {
            local: header.clone(),
            central: header,
            content: content.into(),
            descriptor: Vec::new(),
            before: Vec::new(),
            offset: None,
        }
    }

    /// Content that inflates to `content`.
    fn deflated(name: &str, content: &[u8]) -> Self {
        use std::io::Write;
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        let deflated = encoder.finish().unwrap();
        let mut entry = Self::stored(name, content);
        let length = u32::try_from(deflated.len()).unwrap();
        entry.both(|header| {
            header.method = 8;
            header.compressed = length;
        });
        entry.content = deflated;
        entry
    }

    fn both(&mut self, change: impl Fn(&mut Header)) {
        change(&mut self.local);
        change(&mut self.central);
    }
}

impl Header {
    /// From the flags to the sizes, which both headers share.
    fn shared(&self, out: &mut Vec<u8>) {
        put16(out, &[self.flags, self.method, 0, 0]);
        put32(out, &[self.crc32, self.compressed, self.uncompressed]);
        put16(out, &[length16(&self.name), length16(&self.extra)]);
    }
}

#[derive(Clone)]
pub(super) struct Archive {
    entries: Vec<Entry>,
    before_directory: Vec<u8>,
    comment: Vec<u8>,
    after: Vec<u8>,
    zip64: bool,
}

impl Archive {
    pub(super) fn of(files: &[(&str, &[u8])]) -> Self {
        let entry = |(name, content): &(&str, &[u8])| Entry::stored(name, content);
        Self::new(files.iter().map(entry).collect())
    }

    fn new(entries: Vec<Entry>) -> Self {
        Self {
            entries,
            before_directory: Vec::new(),
            comment: Vec::new(),
            after: Vec::new(),
            zip64: false,
        }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut offsets = Vec::new();
        for entry in &self.entries {
            out.extend(&entry.before);
            offsets.push(u32::try_from(out.len()).unwrap());
            out.extend(b"PK\x03\x04\x14\x00");
            entry.local.shared(&mut out);
            out.extend(&entry.local.name);
            out.extend(&entry.local.extra);
            out.extend(&entry.content);
            out.extend(&entry.descriptor);
        }
        out.extend(&self.before_directory);
        let start = out.len();
        for (entry, offset) in self.entries.iter().zip(offsets) {
            out.extend(b"PK\x01\x02\x14\x00\x14\x00");
            entry.central.shared(&mut out);
            put16(&mut out, &[0, 0, 0]);
            put32(&mut out, &[0, entry.offset.unwrap_or(offset)]);
            out.extend(&entry.central.name);
            out.extend(&entry.central.extra);
        }
        let directory = [out.len() - start, start].map(|value| u32::try_from(value).unwrap());
        let count = u16::try_from(self.entries.len()).unwrap();
        if self.zip64 {
            let record = u64::try_from(out.len()).unwrap();
            out.extend(b"PK\x06\x06");
            put64(&mut out, &[44]);
            put32(&mut out, &[0x002d_002d, 0, 0]);
            put64(&mut out, &[count.into(), count.into()]);
            put64(&mut out, &directory.map(u64::from));
            out.extend(b"PK\x06\x07");
            put32(&mut out, &[0]);
            put64(&mut out, &[record]);
            put32(&mut out, &[1]);
            out.extend(b"PK\x05\x06");
            put16(&mut out, &[0, 0, u16::MAX, u16::MAX]);
            put32(&mut out, &[u32::MAX, u32::MAX]);
        } else {
            out.extend(b"PK\x05\x06");
            put16(&mut out, &[0, 0, count, count]);
            put32(&mut out, &directory);
        }
        put16(&mut out, &[length16(&self.comment)]);
        out.extend(&self.comment);
        out.extend(&self.after);
        out
    }
}

fn put16(out: &mut Vec<u8>, values: &[u16]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
fn put32(out: &mut Vec<u8>, values: &[u32]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
fn put64(out: &mut Vec<u8>, values: &[u64]) {
    out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
fn length16(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap()
}

/// Two good files, changed by the test. `expected` is a part of the text; empty: the archive is good.
fn changed(change: impl Fn(&mut Archive), expected: &str) {
    let mut archive = Archive::new(vec![
        Entry::stored("a", b"first"),
        Entry::deflated("b", b"second second second second"),
    ]);
    change(&mut archive);
    judged(&archive.bytes(), expected);
}

fn judged(bytes: &[u8], expected: &str) {
    match check(bytes) {
        Ok(_) => assert_eq!(expected, "", "was accepted"),
        Err(ZipError::Invalid(text)) if !expected.is_empty() => {
            assert!(text.contains(expected), "{text:?} instead of {expected:?}");
        }
        Err(error) => panic!("{error:?} instead of {expected:?}"),
    }
}

#[test]
fn headers_must_agree_with_the_directory() {
    changed(|_| (), "");
    let name = "another name";
    changed(
        |a| *a.entries[0].local.name.last_mut().unwrap() = b'x',
        name,
    );
    changed(|a| a.entries[0].local.name.truncate(29), name);
    let how = "how it is compressed";
    changed(|a| a.entries[0].local.method = 8, how);
    changed(|a| a.entries[0].local.flags = 0x800, how);
    changed(|a| a.entries[0].local.flags = 1, how);
    let sizes = "on sizes or checksum";
    changed(|a| a.entries[0].local.crc32 = 0, sizes);
    changed(|a| a.entries[0].local.compressed += 1, sizes);
    changed(|a| a.entries[1].local.uncompressed = 0, sizes);
    changed(
        |a| a.entries[1].local.uncompressed = u32::MAX,
        "64-bit sizes are missing",
    );
}

#[test]
fn every_byte_of_the_archive_belongs_to_something() {
    let before = "bytes before";
    changed(|a| a.entries[0].before = b"#!prefix".into(), before);
    changed(
        |a| a.entries[1].before = b"gap".into(),
        "bytes after it that belong to no file",
    );
    changed(|a| a.before_directory = b"gap".into(), "bytes after it");
    changed(|a| a.after = b"x".into(), "bytes after the end");
    changed(|a| a.comment = b"a comment".into(), "");
    changed(
        |a| {
            a.comment = b"cut".into();
            a.after = b"x".into();
        },
        "bytes after the end",
    );
    changed(|a| a.entries[1].content.push(0), "bytes after it");
    let hidden = |a: &mut Archive| {
        let entry = &mut a.entries[1];
        entry.content.extend(b"hidden");
        entry.both(|header| header.compressed += 6);
    };
    changed(hidden, "after the end of its deflate data");
    // A prefix that the offsets leave out, as self-extracting archives have it.
    let mut bytes = b"#!/bin/sh\n".to_vec();
    bytes.extend(Archive::of(&[("x", b"1")]).bytes());
    judged(&bytes, "bytes before the zip archive");
    judged(
        &[b"PK\x05\x06".as_slice(), &[0; 17]].concat(),
        "no end record",
    );
    // An end record inside the comment is the last one, and wins as it does for Go.
    let empty = Archive::of(&[]).bytes();
    changed(
        |a| a.comment = empty.clone(),
        "bytes before the zip archive",
    );
    changed(
        |a| a.comment = b"PK\x05\x06 and so on, for more than 22".into(),
        "comment is cut off",
    );
}

#[test]
fn files_may_not_overlap() {
    changed(
        |a| a.entries[1].offset = Some(0),
        "overlaps what comes after it",
    );
    let twice = |a: &mut Archive| {
        let mut other = a.entries[0].clone();
        other.central.name.push(b'2');
        other.local.name.push(b'2');
        other.offset = Some(0);
        a.entries.push(other);
    };
    changed(twice, "overlaps");
    changed(
        |a| a.entries[0].both(|header| header.compressed = 200),
        "two different sizes",
    );
    let longer = |header: &mut Header| {
        header.compressed = 200;
        header.uncompressed = 200;
    };
    changed(
        |a| a.entries[0].both(longer),
        "overlaps what comes after it",
    );
    changed(
        |a| a.entries[1].offset = Some(u32::MAX - 1),
        "at the directory or beyond",
    );
    // The file before it would have room for more bytes than the archive has.
    let endless = |a: &mut Archive| {
        a.entries[0].both(|header| (header.compressed, header.uncompressed) = (1 << 20, 1 << 20));
        a.entries[1].offset = Some(u32::MAX - 1);
    };
    changed(endless, "at the directory or beyond");
    changed(|a| a.entries[0].local.extra = vec![0; 4], "");
    // The second header lies in the first one's extra field.
    let inside = |a: &mut Archive| a.entries[1].offset = Some(20);
    changed(inside, "overlaps what comes after it");
}

#[test]
fn contents_must_be_what_is_declared() {
    let bomb = Entry::deflated("bomb", &vec![0; 10 << 20]);
    let with = |change: &dyn Fn(&mut Entry), expected: &str| {
        let mut entry = bomb.clone();
        change(&mut entry);
        judged(&Archive::new(vec![entry]).bytes(), expected);
    };
    with(&|_| (), "");
    with(
        &|e| e.both(|header| header.uncompressed = 1000),
        "larger than declared",
    );
    with(
        &|e| e.both(|header| header.uncompressed -= 1),
        "larger than declared",
    );
    with(
        &|e| e.both(|header| header.uncompressed += 1),
        "smaller than declared",
    );
    with(
        &|e| e.both(|header| header.uncompressed = 0),
        "larger than declared",
    );
    with(&|e| e.both(|header| header.crc32 ^= 1), "checksum");
    let cut = |e: &mut Entry| {
        e.content.truncate(100);
        e.both(|header| header.compressed = 100);
    };
    with(&cut, "cut off");
    let nothing = |e: &mut Entry| {
        e.content.clear();
        e.both(|header| header.compressed = 0);
    };
    with(&nothing, "cut off");
    with(&|e| e.content[0] = 0xff, "malformed");
    // A folder with content.
    judged(
        &Archive::of(&[("d/", b"x")]).bytes(),
        "directory with content",
    );
}

#[test]
fn encrypted_and_unknown_forms_are_refused() {
    for flag in [0x1, 0x40, 0x2000] {
        changed(
            |a| a.entries[0].both(|header| header.flags = flag),
            "encrypted",
        );
    }
    changed(|a| a.entries[0].both(|header| header.flags = 0x800), "");
    for method in [1, 9, 12, 14, 93, 99] {
        changed(
            |a| a.entries[0].both(|header| header.method = method),
            "neither store",
        );
    }
    let mut split = Archive::of(&[("x", b"1")]).bytes();
    let end = split.len() - 22;
    split[end + 4] = 1;
    judged(&split, "disks");
}

#[test]
fn data_descriptors_come_in_four_forms() {
    let described = |form: &dyn Fn(&Header) -> Vec<u8>, expected: &str| {
        let change = |a: &mut Archive| {
            for entry in &mut a.entries {
                entry.both(|header| header.flags = 8);
                entry.descriptor = form(&entry.central);
                (
                    entry.local.crc32,
                    entry.local.compressed,
                    entry.local.uncompressed,
                ) = (0, 0, 0);
            }
        };
        changed(change, expected);
    };
    let short = |h: &Header| {
        let mut out = Vec::new();
        put32(&mut out, &[h.crc32, h.compressed, h.uncompressed]);
        out
    };
    let wide = |h: &Header| {
        let mut out = h.crc32.to_le_bytes().to_vec();
        put64(&mut out, &[h.compressed.into(), h.uncompressed.into()]);
        out
    };
    let signed = |rest: Vec<u8>| [b"PK\x07\x08".to_vec(), rest].concat();
    described(&short, "");
    described(&|h| signed(short(h)), "");
    described(&wide, "");
    described(&|h| signed(wide(h)), "");
    described(&|_| Vec::new(), "no room for its data descriptor");
    described(
        &|h| [short(h), vec![0]].concat(),
        "no room for its data descriptor",
    );
    described(
        &|h| [b"PK\x07\x09".to_vec(), short(h)].concat(),
        "descriptor disagrees",
    );
    described(
        &|h| {
            signed(short(&Header {
                crc32: 1,
                ..h.clone()
            }))
        },
        "descriptor disagrees",
    );
    described(
        &|h| {
            signed(short(&Header {
                uncompressed: 1,
                ..h.clone()
            }))
        },
        "descriptor disagrees",
    );
    // Go writes sizes into the local header of raw entries although a descriptor follows.
    changed(
        |a| {
            let entry = &mut a.entries[0];
            entry.both(|header| header.flags = 8);
            entry.descriptor = signed(short(&entry.central));
        },
        "",
    );
}

#[test]
fn sizes_of_64_bits_are_read_where_they_are_marked() {
    let field = |values: &[u64]| {
        let mut extra = b"\x99\x99\x02\x00xx\x01\x00".to_vec();
        put16(&mut extra, &[u16::try_from(values.len() * 8).unwrap()]);
        put64(&mut extra, values);
        extra
    };
    let wide = |a: &mut Archive| {
        let entry = &mut a.entries[0];
        entry.both(|header| {
            header.extra = field(&[5, 5]);
            (header.compressed, header.uncompressed) = (u32::MAX, u32::MAX);
        });
    };
    changed(wide, "");
    changed(
        |a| {
            wide(a);
            a.entries[0].local.extra = field(&[5, 6]);
        },
        "on sizes or checksum",
    );
    changed(
        |a| {
            wide(a);
            a.entries[0].central.extra = field(&[5]);
        },
        "64-bit sizes are missing",
    );
    changed(
        |a| {
            wide(a);
            a.entries[0].central.extra.clear();
        },
        "64-bit sizes are missing",
    );
    let huge = |a: &mut Archive| {
        a.entries[1].offset = Some(u32::MAX);
        a.entries[1].central.extra = field(&[u64::MAX]);
    };
    changed(huge, "at the directory or beyond");
}

#[test]
fn an_end_record_of_64_bits_is_read() {
    changed(|a| a.zip64 = true, "");
    let mut good = Archive::of(&[("x", b"1")]);
    good.zip64 = true;
    let good = good.bytes();
    let record = good.len() - 22 - 20 - 56;
    let broken = |at: usize, value: u8, expected: &str| {
        let mut bytes = good.clone();
        bytes[record + at] = value;
        judged(&bytes, expected);
    };
    broken(0, 0, "malformed or misplaced");
    broken(4, 45, "malformed or misplaced");
    broken(16, 1, "disks");
    broken(24, 2, "disks");
    broken(40, 0xff, "bytes before");
    broken(48, 1, "bytes before");
    broken(47, 0xff, "bytes before");
    broken(56, 0, "bytes before");
    broken(56 + 8, 0, "malformed or misplaced");
    broken(56 + 16, 2, "disks");
    // The short record may repeat the values but not contradict them.
    broken(76 + 8, 1, "disks");
    let mut repeated = good.clone();
    repeated[record + 76 + 8..record + 76 + 12].copy_from_slice(&[1, 0, 1, 0]);
    judged(&repeated, "");
    repeated[record + 76 + 8..record + 76 + 12].copy_from_slice(&[2, 0, 2, 0]);
    judged(&repeated, "disagree");
}

#[test]
fn a_directory_that_is_cut_off_is_refused() {
    let good = Archive::of(&[("x", b"1"), ("y", b"2")]).bytes();
    let end = good.len() - 22;
    let count = |value: u8| {
        let mut bytes = good.clone();
        bytes[end + 8] = value;
        bytes[end + 10] = value;
        bytes
    };
    judged(&count(1), "has 2 entries but the end record says 1");
    judged(&count(3), "has 2 entries but the end record says 3");
    for missing in 1..30 {
        let mut bytes = good.clone();
        bytes.drain(end - missing..end);
        let length = bytes[end - missing + 12] - u8::try_from(missing).unwrap();
        bytes[end - missing + 12] = length;
        judged(&bytes, "cut off or malformed");
    }
    let mut bytes = good.clone();
    let directory = end - 2 * (46 + PREFIX.len() + 1);
    bytes[directory] = b'Q';
    judged(&bytes, "entry 0 of the directory is cut off or malformed");
}

#[test]
fn names_beyond_all_reason_are_refused() {
    let long = "a/".repeat(2048) + "a";
    judged(
        &Archive::of(&[(&long, b"1")]).bytes(),
        "longer than 4096 bytes",
    );
}

#[test]
fn no_single_broken_byte_goes_unnoticed_or_stops_us() {
    let mut archive = Archive::new(vec![
        Entry::stored("a", b"first"),
        Entry::deflated("b", b"second second second second"),
    ]);
    archive.comment = b"c".into();
    let good = archive.bytes();
    let hash = check(&good).unwrap().hash;
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[index] ^= 1 << bit;
            // Versions, times, attributes and the comment say nothing about the files.
            if let Ok(report) = check(&bytes) {
                assert_eq!(report.hash, hash, "byte {index}, bit {bit}");
            }
        }
        if let Ok(report) = check(&good[..index]) {
            panic!("{report:?} of the first {index} bytes");
        }
    }
}
