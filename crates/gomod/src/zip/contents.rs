//! The files of an archive: local headers held against the directory, contents inflated and hashed.
//!
//! Entries are read in the order of their offsets, so that each must begin exactly where the one
//! before ended: there is no room for gaps, overlaps or a prefix. Memory is two buffers, whatever
//! the archive.
use aws_lc_rs::digest;
use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::directory::{DirectoryEntry, Method, invalid_entry, widen};
use super::{ReadAt, ZipError, bytes::Fields, invalid};
use crate::Sha256;

const HEADER_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x03\x04");
const HEADER_BYTES: usize = 30;
const DESCRIPTOR_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x07\x08");

/// Read and inflate in blocks of this size: big enough that the calls do not count, small enough
/// for the second-level cache, where inflating, checksum and hash find the bytes again.
const BLOCK_BYTES: usize = 128 << 10;

/// SHA-256 of each entry, in the order of `entries`, or the first fault.
pub(super) fn hash_all<R: ReadAt + ?Sized>(
    archive: &R,
    entries: &[DirectoryEntry<'_>],
    directory_offset: u64,
) -> Result<Vec<Sha256>, ZipError> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    let offset_of = |&index: &usize| entries.get(index).map(|entry| entry.header_offset);
    order.sort_by_key(offset_of);
    // Each file is read up to where the next one begins, so none may begin beyond the last of them.
    if let Some(entry) = order.last().and_then(|&index| entries.get(index))
        && entry.header_offset >= directory_offset
    {
        return Err(invalid_entry(
            entry.name,
            "it begins at the directory or beyond",
        ));
    }

    let mut digests = vec![Sha256([0; 32]); entries.len()];
    let mut reader = EntryReader::new(archive);
    for (rank, &index) in order.iter().enumerate() {
        let (Some(entry), Some(digest)) = (entries.get(index), digests.get_mut(index)) else {
            continue;
        };
        let next = order.get(rank + 1).and_then(offset_of);
        *digest = reader.hash(entry, next.unwrap_or(directory_offset))?;
    }
    if reader.blocks.offset != directory_offset {
        return Err(invalid(
            "there are bytes between the files and the directory",
        ));
    }
    Ok(digests)
}

struct EntryReader<'r, R: ?Sized> {
    blocks: Blocks<'r, R>,
    inflater: Decompress,
    output: Vec<u8>,
    header: Vec<u8>,
}

impl<'r, R: ReadAt + ?Sized> EntryReader<'r, R> {
    fn new(archive: &'r R) -> Self {
        Self {
            blocks: Blocks::new(archive),
            inflater: Decompress::new(false),
            output: vec![0; BLOCK_BYTES],
            header: Vec::new(),
        }
    }

    /// Reads one entry, which begins here and ends at `end_offset`.
    fn hash(&mut self, entry: &DirectoryEntry<'_>, end_offset: u64) -> Result<Sha256, ZipError> {
        let fault = |reason: &str| Err(invalid_entry(entry.name, reason));
        if entry.header_offset > self.blocks.offset {
            return fault("there are bytes before it that belong to no file");
        }
        if entry.header_offset < self.blocks.offset {
            return fault("it overlaps another file");
        }
        self.read_header(entry, end_offset)?;
        // Checked before a byte of content is read: what overlaps is not worth inflating.
        let content_end = self.blocks.offset.checked_add(entry.compressed_bytes);
        let Some(descriptor_bytes) = content_end.and_then(|end| end_offset.checked_sub(end)) else {
            return fault("it overlaps what comes after it");
        };

        let mut content = Content::new();
        match entry.method {
            Method::Store => self.copy(entry, &mut content)?,
            Method::Deflate => self.inflate(entry, &mut content)?,
        }
        if content.crc32.sum() != entry.crc32 {
            return fault("its content does not match its checksum (CRC-32)");
        }
        self.read_descriptor(entry, descriptor_bytes)?;
        Ok(content.digest())
    }

    fn read_header(&mut self, entry: &DirectoryEntry<'_>, end_offset: u64) -> Result<(), ZipError> {
        let room = end_offset.saturating_sub(self.blocks.offset);
        let fault = |reason: &str| Err(invalid_entry(entry.name, reason));
        let too_short = "it overlaps what comes after it";
        if room < u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX) {
            return fault(too_short);
        }
        self.read_into_header(HEADER_BYTES)?;
        let Some(local) = LocalHeader::read(&self.header) else {
            return fault("its local header is malformed");
        };
        let variable_length = usize::from(local.name_length) + usize::from(local.extra_length);
        if room < u64::try_from(HEADER_BYTES + variable_length).unwrap_or(u64::MAX) {
            return fault(too_short);
        }
        self.read_into_header(variable_length)?;
        let mut fields = Fields::new(&self.header);
        let name = fields.take(usize::from(local.name_length));
        let extra = fields.take(usize::from(local.extra_length));
        if name != Some(entry.name) {
            return fault("its local header has another name than the directory");
        }
        if local.flags != entry.flags || local.method != code(entry.method) {
            return fault("its local header disagrees with the directory on how it is compressed");
        }
        let Some([uncompressed_bytes, compressed_bytes]) = widen(
            [local.uncompressed, local.compressed],
            extra.unwrap_or_default(),
        ) else {
            return fault("its 64-bit sizes are missing from the local header");
        };
        let agrees =
            |local: u64, directory: u64| local == directory || entry.has_descriptor() && local == 0;
        if !agrees(uncompressed_bytes, entry.uncompressed_bytes)
            || !agrees(compressed_bytes, entry.compressed_bytes)
            || !agrees(u64::from(local.crc32), u64::from(entry.crc32))
        {
            return fault("its local header disagrees with the directory on sizes or checksum");
        }
        Ok(())
    }

    fn read_into_header(&mut self, length: usize) -> Result<(), ZipError> {
        self.header.clear();
        while self.header.len() < length {
            let block = self.blocks.peek(length - self.header.len())?;
            self.header.extend_from_slice(block);
            let taken = block.len();
            self.blocks.advance(taken);
        }
        Ok(())
    }

    fn copy(&mut self, entry: &DirectoryEntry<'_>, content: &mut Content) -> Result<(), ZipError> {
        let mut rest = entry.compressed_bytes;
        while rest > 0 {
            let block = self
                .blocks
                .peek(usize::try_from(rest).unwrap_or(usize::MAX))?;
            content.add(block);
            let taken = block.len();
            self.blocks.advance(taken);
            rest -= u64::try_from(taken).unwrap_or(rest);
        }
        Ok(())
    }

    /// Inflates exactly the declared bytes to exactly the declared size; stops at the first byte
    /// too many.
    fn inflate(
        &mut self,
        entry: &DirectoryEntry<'_>,
        content: &mut Content,
    ) -> Result<(), ZipError> {
        let fault = |reason: &str| Err(invalid_entry(entry.name, reason));
        self.inflater.reset(false);
        loop {
            let rest = entry.compressed_bytes - self.inflater.total_in();
            let block = self
                .blocks
                .peek(usize::try_from(rest).unwrap_or(usize::MAX))?;
            let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self
                .inflater
                .decompress(block, &mut self.output, FlushDecompress::None)
                .map_err(|_| invalid_entry(entry.name, "its deflate data is malformed"))?;
            let consumed = usize::try_from(self.inflater.total_in() - before_in).unwrap_or(0);
            let produced = usize::try_from(self.inflater.total_out() - before_out).unwrap_or(0);
            self.blocks.advance(consumed);
            if self.inflater.total_out() > entry.uncompressed_bytes {
                return fault("its content is larger than declared");
            }
            content.add(self.output.get(..produced).unwrap_or_default());
            if status == Status::StreamEnd {
                break;
            }
            if consumed == 0 && produced == 0 {
                return fault("its deflate data is cut off");
            }
        }
        if self.inflater.total_out() != entry.uncompressed_bytes {
            return fault("its content is smaller than declared");
        }
        if self.inflater.total_in() != entry.compressed_bytes {
            return fault("there are bytes after the end of its deflate data");
        }
        Ok(())
    }

    /// The data descriptor has four forms, told apart by the room that is left for it.
    fn read_descriptor(&mut self, entry: &DirectoryEntry<'_>, room: u64) -> Result<(), ZipError> {
        let after = "there are bytes after it that belong to no file";
        if !entry.has_descriptor() {
            return if room == 0 {
                Ok(())
            } else {
                Err(invalid_entry(entry.name, after))
            };
        }
        let (is_signed, is_wide) = match room {
            12 => (false, false),
            16 => (true, false),
            20 => (false, true),
            24 => (true, true),
            _ => {
                return Err(invalid_entry(
                    entry.name,
                    "there is no room for its data descriptor, or too much",
                ));
            }
        };
        self.read_into_header(usize::try_from(room).unwrap_or(0))?;
        let mut fields = Fields::new(&self.header);
        let signature = is_signed.then(|| fields.u32()).flatten();
        let crc32 = fields.u32();
        let mut size = || {
            if is_wide {
                fields.u64()
            } else {
                fields.u32().map(u64::from)
            }
        };
        let agrees = signature.is_none_or(|signature| signature == DESCRIPTOR_SIGNATURE)
            && crc32 == Some(entry.crc32)
            && size() == Some(entry.compressed_bytes)
            && size() == Some(entry.uncompressed_bytes);
        if agrees {
            Ok(())
        } else {
            Err(invalid_entry(
                entry.name,
                "its data descriptor disagrees with the directory",
            ))
        }
    }
}

fn code(method: Method) -> u16 {
    match method {
        Method::Store => 0,
        Method::Deflate => 8,
    }
}

/// The fixed part of a local header, as far as it is compared.
struct LocalHeader {
    flags: u16,
    method: u16,
    crc32: u32,
    compressed: u32,
    uncompressed: u32,
    name_length: u16,
    extra_length: u16,
}

impl LocalHeader {
    fn read(header: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(header);
        if fields.u32()? != HEADER_SIGNATURE {
            return None;
        }
        fields.skip(2)?; // version needed
        let flags = fields.u16()?;
        let method = fields.u16()?;
        fields.skip(4)?; // time and date
        Some(Self {
            flags,
            method,
            crc32: fields.u32()?,
            compressed: fields.u32()?,
            uncompressed: fields.u32()?,
            name_length: fields.u16()?,
            extra_length: fields.u16()?,
        })
    }
}

/// The running hash and checksum of one file.
struct Content {
    sha256: digest::Context,
    crc32: Crc,
}

impl Content {
    fn new() -> Self {
        Self {
            sha256: digest::Context::new(&digest::SHA256),
            crc32: Crc::new(),
        }
    }
    fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc32.update(bytes);
    }
    fn digest(self) -> Sha256 {
        let mut sha256 = Sha256([0; 32]);
        sha256.0.copy_from_slice(self.sha256.finish().as_ref());
        sha256
    }
}

/// The archive from its first byte on, in big blocks.
struct Blocks<'r, R: ?Sized> {
    archive: &'r R,
    block: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the archive the next byte comes from.
    offset: u64,
}

impl<'r, R: ReadAt + ?Sized> Blocks<'r, R> {
    fn new(archive: &'r R) -> Self {
        Self {
            archive,
            block: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            offset: 0,
        }
    }

    /// At least one of the next bytes and at most `limit`; empty only for a `limit` of 0.
    fn peek(&mut self, limit: usize) -> Result<&[u8], ZipError> {
        if limit > 0 && self.start == self.end {
            self.start = 0;
            let read = self.archive.read_at(&mut self.block, self.offset)?;
            self.end = read.min(self.block.len());
            if self.end == 0 {
                return Err(ZipError::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
        let end = self.end.min(self.start.saturating_add(limit));
        Ok(self.block.get(self.start..end).unwrap_or_default())
    }

    /// Passes over bytes that `peek` showed.
    fn advance(&mut self, bytes: usize) {
        self.start += bytes;
        self.offset += u64::try_from(bytes).unwrap_or(0);
    }
}
