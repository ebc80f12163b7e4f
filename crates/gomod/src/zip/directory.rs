//! The central directory of a zip archive, read once and strictly.
//!
//! Where Go's reader is lenient (bytes before the archive or after it, several disks), this one
//! refuses: an archive that two readers could read in two ways has no place in a store. `contents`
//! goes on to hold the local headers against what is read here.
use super::{ReadAt, ZipError, bytes::Fields, invalid, read_exact_at};

/// The largest central directory that is read into memory. The largest public modules have less
/// than 10 MiB.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;

/// The most entries of an archive, folders included.
const MAX_ENTRIES: u64 = 1 << 19;

const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const END_BYTES: usize = 22;
const ZIP64_LOCATOR_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x06\x07");
const ZIP64_LOCATOR_BYTES: u64 = 20;
const ZIP64_END_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x06\x06");
const ZIP64_END_BYTES: u64 = 56;
const ENTRY_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x01\x02");
const ZIP64_EXTRA: u16 = 1;

/// The bytes of a directory, and where in the archive they lie.
pub(super) struct Directory {
    bytes: Vec<u8>,
    /// Where the directory begins, that is, where the files end.
    pub(super) offset: u64,
    entries: u64,
}

/// How the content of an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Store,
    Deflate,
}

/// What the directory says of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct DirectoryEntry<'a> {
    pub(super) name: &'a [u8],
    pub(super) flags: u16,
    pub(super) method: Method,
    pub(super) crc32: u32,
    pub(super) compressed_bytes: u64,
    pub(super) uncompressed_bytes: u64,
    pub(super) header_offset: u64,
}

impl DirectoryEntry<'_> {
    /// Sizes and checksum follow the content, and the local header may hold zeros (flag 8).
    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & 0x8 != 0
    }
}

/// Where the directory is said to lie.
#[derive(Clone, Copy)]
struct Place {
    offset: u64,
    bytes: u64,
    entries: u64,
}

impl Directory {
    /// Finds and reads the directory of a complete archive.
    pub(super) fn read<R: ReadAt + ?Sized>(
        archive: &R,
        archive_bytes: u64,
    ) -> Result<Self, ZipError> {
        let (end_offset, end) = find_end(archive, archive_bytes)?;
        let place = match short_place(&end, end_offset)? {
            Some(place) => place,
            None => zip64_place(archive, &end, end_offset)?,
        };
        if place.entries > MAX_ENTRIES {
            return Err(ZipError::TooLarge(format!(
                "the zip has {} entries (limit is {MAX_ENTRIES})",
                place.entries
            )));
        }
        if place.bytes > MAX_DIRECTORY_BYTES {
            return Err(ZipError::TooLarge(format!(
                "the zip's directory has {} bytes (limit is {MAX_DIRECTORY_BYTES})",
                place.bytes
            )));
        }
        let length = usize::try_from(place.bytes)
            .map_err(|_| invalid("the directory does not fit into memory"))?;
        let mut bytes = vec![0; length];
        read_exact_at(archive, &mut bytes, place.offset)?;
        Ok(Self {
            bytes,
            offset: place.offset,
            entries: place.entries,
        })
    }

    /// The entries in the directory's order, which is the one that Go hashes and checks in.
    pub(super) fn entries(&self) -> Result<Vec<DirectoryEntry<'_>>, ZipError> {
        let mut fields = Fields::new(&self.bytes);
        let mut entries = Vec::new();
        while !fields.is_empty() {
            let entry = read_entry(&mut fields).ok_or_else(|| {
                invalid(format!(
                    "entry {} of the directory is cut off or malformed",
                    entries.len()
                ))
            })??;
            entries.push(entry);
        }
        if u64::try_from(entries.len()) != Ok(self.entries) {
            return Err(invalid(format!(
                "the directory has {} entries but the end record says {}",
                entries.len(),
                self.entries
            )));
        }
        Ok(entries)
    }
}

/// The end record: the last one in the file, as Go takes it, and it must end where the file ends.
fn find_end<R: ReadAt + ?Sized>(
    archive: &R,
    archive_bytes: u64,
) -> Result<(u64, Vec<u8>), ZipError> {
    // Most archives have no comment, so the end record is just the last bytes.
    for search_bytes in [END_BYTES, END_BYTES + usize::from(u16::MAX)] {
        let length = usize::try_from(archive_bytes).map_or(search_bytes, |n| n.min(search_bytes));
        let mut tail = vec![0; length];
        let tail_offset = archive_bytes.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
        read_exact_at(archive, &mut tail, tail_offset)?;
        let Some(position) = last_signature(&tail) else {
            continue;
        };
        let end = tail.split_off(position);
        let comment = Fields::new(end.get(20..).unwrap_or_default())
            .u16()
            .map_or(usize::MAX, usize::from);
        return match (end.len() - END_BYTES).cmp(&comment) {
            std::cmp::Ordering::Equal => {
                Ok((archive_bytes - u64::try_from(end.len()).unwrap_or(0), end))
            }
            std::cmp::Ordering::Less => Err(invalid("not a complete zip: its comment is cut off")),
            std::cmp::Ordering::Greater => {
                Err(invalid("there are bytes after the end of the zip archive"))
            }
        };
    }
    Err(invalid("not a valid zip file: it has no end record"))
}

fn last_signature(tail: &[u8]) -> Option<usize> {
    (0..(tail.len() + 1).saturating_sub(END_BYTES))
        .rev()
        .find(|&position| {
            tail.get(position..)
                .is_some_and(|rest| rest.starts_with(&END_SIGNATURE))
        })
}

/// The place that a 32-bit end record gives; `None` if only a 64-bit one can tell.
fn short_place(end: &[u8], end_offset: u64) -> Result<Option<Place>, ZipError> {
    let short = ShortEnd::read(end).ok_or_else(|| invalid("the end record is cut off"))?;
    if short.disk != 0 || short.directory_disk != 0 || short.entries_here != short.entries {
        return Err(invalid("the archive is split over several disks"));
    }
    let place = Place {
        offset: u64::from(short.offset),
        bytes: u64::from(short.bytes),
        entries: u64::from(short.entries),
    };
    if !short.is_open() && place.offset + place.bytes == end_offset {
        return Ok(Some(place));
    }
    if short.is_open() || end_offset >= ZIP64_LOCATOR_BYTES + ZIP64_END_BYTES {
        return Ok(None);
    }
    Err(gap_before_end())
}

fn gap_before_end() -> ZipError {
    invalid("there are bytes before the zip archive, or between its directory and its end record")
}

struct ShortEnd {
    disk: u16,
    directory_disk: u16,
    entries_here: u16,
    entries: u16,
    bytes: u32,
    offset: u32,
}

impl ShortEnd {
    fn read(end: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(end);
        fields.u32()?;
        Some(Self {
            disk: fields.u16()?,
            directory_disk: fields.u16()?,
            entries_here: fields.u16()?,
            entries: fields.u16()?,
            bytes: fields.u32()?,
            offset: fields.u32()?,
        })
    }

    /// Some field holds the mark that sends readers to the 64-bit record.
    fn is_open(&self) -> bool {
        self.entries == u16::MAX || self.bytes == u32::MAX || self.offset == u32::MAX
    }

    /// Each field holds the mark or the same value.
    fn agrees_with(&self, place: &Place) -> bool {
        (self.entries == u16::MAX || u64::from(self.entries) == place.entries)
            && (self.bytes == u32::MAX || u64::from(self.bytes) == place.bytes)
            && (self.offset == u32::MAX || u64::from(self.offset) == place.offset)
    }
}

/// The place that the 64-bit end record gives. Without one, the marks are plain values (a directory
/// of exactly 65,535 entries).
fn zip64_place<R: ReadAt + ?Sized>(
    archive: &R,
    end: &[u8],
    end_offset: u64,
) -> Result<Place, ZipError> {
    let short = ShortEnd::read(end).ok_or_else(|| invalid("the end record is cut off"))?;
    let plain = Place {
        offset: u64::from(short.offset),
        bytes: u64::from(short.bytes),
        entries: u64::from(short.entries),
    };
    let is_plain = plain.offset + plain.bytes == end_offset;
    let records_bytes = ZIP64_LOCATOR_BYTES + ZIP64_END_BYTES;
    let Some(record_offset) = end_offset.checked_sub(records_bytes) else {
        return if is_plain {
            Ok(plain)
        } else {
            Err(gap_before_end())
        };
    };
    let mut records = vec![0; usize::try_from(records_bytes).unwrap_or(0)];
    read_exact_at(archive, &mut records, record_offset)?;
    let Some(record) = Zip64End::read(&records) else {
        return Err(gap_before_end());
    };
    if record.locator_signature != ZIP64_LOCATOR_SIGNATURE {
        return if is_plain {
            Ok(plain)
        } else {
            Err(gap_before_end())
        };
    }
    if record.signature != ZIP64_END_SIGNATURE
        || record.rest_bytes != ZIP64_END_BYTES - 12
        || record.record_offset != record_offset
    {
        return Err(invalid("the 64-bit end record is malformed or misplaced"));
    }
    if record.disks != [0; 3]
        || record.disk_count > 1
        || record.entries_here != record.place.entries
    {
        return Err(invalid("the archive is split over several disks"));
    }
    if !short.agrees_with(&record.place) {
        return Err(invalid("the two end records of the archive disagree"));
    }
    if record.place.offset.checked_add(record.place.bytes) != Some(record_offset) {
        return Err(gap_before_end());
    }
    Ok(record.place)
}

/// The 64-bit end record and the locator behind it.
struct Zip64End {
    signature: u32,
    rest_bytes: u64,
    disks: [u32; 3],
    entries_here: u64,
    place: Place,
    locator_signature: u32,
    record_offset: u64,
    disk_count: u32,
}

impl Zip64End {
    fn read(records: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(records);
        let signature = fields.u32()?;
        let rest_bytes = fields.u64()?;
        fields.skip(4)?; // versions made by and needed
        let (disk, directory_disk) = (fields.u32()?, fields.u32()?);
        let entries_here = fields.u64()?;
        let entries = fields.u64()?;
        let bytes = fields.u64()?;
        let offset = fields.u64()?;
        let locator_signature = fields.u32()?;
        let record_disk = fields.u32()?;
        Some(Self {
            signature,
            rest_bytes,
            disks: [disk, directory_disk, record_disk],
            entries_here,
            place: Place {
                offset,
                bytes,
                entries,
            },
            locator_signature,
            record_offset: fields.u64()?,
            disk_count: fields.u32()?,
        })
    }
}

/// One entry. `None`: cut off or not an entry at all.
fn read_entry<'a>(fields: &mut Fields<'a>) -> Option<Result<DirectoryEntry<'a>, ZipError>> {
    if fields.u32()? != ENTRY_SIGNATURE {
        return None;
    }
    fields.skip(4)?; // versions made by and needed
    let flags = fields.u16()?;
    let method = fields.u16()?;
    fields.skip(4)?; // time and date
    let crc32 = fields.u32()?;
    let compressed = fields.u32()?;
    let uncompressed = fields.u32()?;
    let name_length = fields.u16()?;
    let extra_length = fields.u16()?;
    let comment_length = fields.u16()?;
    let disk = fields.u16()?;
    fields.skip(6)?; // attributes; Go judges no mode
    let offset = fields.u32()?;
    let name = fields.take(usize::from(name_length))?;
    let extra = fields.take(usize::from(extra_length))?;
    fields.skip(usize::from(comment_length))?;

    let fault = |reason: &str| Some(Err(invalid_entry(name, reason)));
    let Some([uncompressed_bytes, compressed_bytes, header_offset]) =
        widen([uncompressed, compressed, offset], extra)
    else {
        return fault("its 64-bit sizes are missing");
    };
    if disk != 0 {
        return fault("the archive is split over several disks");
    }
    // Bits 0, 6 and 13: encrypted, strongly encrypted, hidden header.
    if flags & 0x2041 != 0 {
        return fault("it is encrypted");
    }
    let method = match method {
        0 => Method::Store,
        8 => Method::Deflate,
        other => {
            return fault(&format!(
                "its compression method {other} is neither store nor deflate"
            ));
        }
    };
    if method == Method::Store && compressed_bytes != uncompressed_bytes {
        return fault("it is stored as it is, but with two different sizes");
    }
    Some(Ok(DirectoryEntry {
        name,
        flags,
        method,
        crc32,
        compressed_bytes,
        uncompressed_bytes,
        header_offset,
    }))
}

/// Takes from the 64-bit extra field, in its order, the values whose 32-bit field holds the mark.
pub(super) fn widen<const N: usize>(short: [u32; N], extra: &[u8]) -> Option<[u64; N]> {
    let mut wide = short.map(u64::from);
    if !short.contains(&u32::MAX) {
        return Some(wide);
    }
    let mut fields = Fields::new(extra);
    loop {
        let tag = fields.u16()?;
        let length = fields.u16()?;
        let body = fields.take(usize::from(length))?;
        if tag == ZIP64_EXTRA {
            let mut body = Fields::new(body);
            for (value, mark) in wide.iter_mut().zip(short) {
                if mark == u32::MAX {
                    *value = body.u64()?;
                }
            }
            return Some(wide);
        }
    }
}

/// A fault of one file, worded as the go command words it: people search for its words.
pub(super) fn invalid_entry(name: &[u8], reason: &str) -> ZipError {
    invalid(format!("{}: {reason}", printable(name)))
}

/// A name for messages: cut, and without control characters.
pub(super) fn printable(name: &[u8]) -> String {
    let start = name.get(..200).unwrap_or(name);
    String::from_utf8_lossy(start).escape_debug().to_string()
}
