//! Writes a module zip while its files arrive, with the very header fields of Go's `archive/zip` (rule 41).
//!
//! The `zip` crate writes to streams too, but not these fields: it always gives times and the attributes of a
//! system, and marks other versions. What Go writes is little: each file deflated, even an empty one, with
//! its sizes behind it in a data descriptor; no times, no attributes; the UTF-8 flag for names that some old
//! reader could misread. Archives stay below 500 MiB, so that no size needs 64 bits; only the number of
//! files may, for which the end of the archive has its longer form. The compressed bytes are not Go's: its
//! hashes do not depend on them.

use std::io::{self, Read, Write};

use flate2::{Compression, CrcWriter, write::DeflateEncoder};

/// Writes an archive to `output`, file by file.
pub(super) struct ZipWriter<W: Write> {
    output: Counting<W>,
    directory: Vec<u8>,
    files: u64,
}

const LOCAL_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x03\x04");
const DESCRIPTOR_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x07\x08");
const ENTRY_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x01\x02");
const END_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x05\x06");
const ZIP64_END_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x06\x06");
const ZIP64_LOCATOR_SIGNATURE: u32 = u32::from_le_bytes(*b"PK\x06\x07");

/// 2.0, in a system that means nothing; and 4.5 for the longer form of the end.
const VERSION_20: u16 = 20;
const VERSION_45: u16 = 45;
const DEFLATED: u16 = 8;
const HAS_DESCRIPTOR: u16 = 0x8;
const IS_UTF8: u16 = 0x800;
/// What the longer form of the end holds behind its own length.
const ZIP64_END_REST_BYTES: u64 = 44;

impl<W: Write> ZipWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output: Counting {
                output,
                written_bytes: 0,
            },
            directory: Vec::new(),
            files: 0,
        }
    }

    /// Bytes written so far, and those that the end will take at least.
    pub(super) fn bytes(&self) -> u64 {
        let directory_bytes = u64::try_from(self.directory.len()).unwrap_or(u64::MAX);
        self.output.written_bytes.saturating_add(directory_bytes)
    }

    /// Adds a file with everything that `content` holds. Returns its size.
    ///
    /// # Errors
    /// What reading or writing said; [`io::ErrorKind::FileTooLarge`] if a size or a name does not fit.
    pub(super) fn add(&mut self, name: &str, content: &mut dyn Read) -> io::Result<u64> {
        let offset = fitting(self.output.written_bytes)?;
        let name_bytes = u16::try_from(name.len()).map_err(|_| too_large())?;
        let flags = flags_of(name);

        let mut header = Vec::with_capacity(30 + name.len());
        put_u32(&mut header, LOCAL_SIGNATURE);
        put_u16(&mut header, VERSION_20);
        put_u16(&mut header, flags);
        put_u16(&mut header, DEFLATED);
        // Time and date, checksum and both sizes: none, or in the descriptor.
        header.extend_from_slice(&[0; 16]);
        put_u16(&mut header, name_bytes);
        put_u16(&mut header, 0);
        header.extend_from_slice(name.as_bytes());
        self.output.write_all(&header)?;

        let start = self.output.written_bytes;
        let deflating = DeflateEncoder::new(&mut self.output, Compression::default());
        let mut deflating = CrcWriter::new(deflating);
        let size = io::copy(content, &mut deflating)?;
        let checksum = deflating.crc().sum();
        deflating.into_inner().finish()?;
        let compressed = fitting(self.output.written_bytes.saturating_sub(start))?;
        let uncompressed = fitting(size)?;

        let mut descriptor = Vec::with_capacity(16);
        put_u32(&mut descriptor, DESCRIPTOR_SIGNATURE);
        put_u32(&mut descriptor, checksum);
        put_u32(&mut descriptor, compressed);
        put_u32(&mut descriptor, uncompressed);
        self.output.write_all(&descriptor)?;

        let entry = &mut self.directory;
        put_u32(entry, ENTRY_SIGNATURE);
        put_u16(entry, VERSION_20);
        put_u16(entry, VERSION_20);
        put_u16(entry, flags);
        put_u16(entry, DEFLATED);
        put_u32(entry, 0);
        put_u32(entry, checksum);
        put_u32(entry, compressed);
        put_u32(entry, uncompressed);
        put_u16(entry, name_bytes);
        // No extra field, no comment, the first disk, no attributes.
        entry.extend_from_slice(&[0; 12]);
        put_u32(entry, offset);
        entry.extend_from_slice(name.as_bytes());
        self.files = self.files.saturating_add(1);
        Ok(size)
    }

    /// Writes the directory. Without it the archive is none.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let offset = self.output.written_bytes;
        self.output.write_all(&self.directory)?;
        let directory_bytes = self.output.written_bytes.saturating_sub(offset);
        let mut end = Vec::with_capacity(98);
        let files = match u16::try_from(self.files) {
            Ok(files) if files < u16::MAX => files,
            Ok(_) | Err(_) => {
                let end_offset = self.output.written_bytes;
                put_u32(&mut end, ZIP64_END_SIGNATURE);
                put_u64(&mut end, ZIP64_END_REST_BYTES);
                put_u16(&mut end, VERSION_45);
                put_u16(&mut end, VERSION_45);
                put_u64(&mut end, 0);
                put_u64(&mut end, self.files);
                put_u64(&mut end, self.files);
                put_u64(&mut end, directory_bytes);
                put_u64(&mut end, offset);
                put_u32(&mut end, ZIP64_LOCATOR_SIGNATURE);
                put_u32(&mut end, 0);
                put_u64(&mut end, end_offset);
                put_u32(&mut end, 1);
                u16::MAX
            }
        };
        // As in Go, all three go where they no longer fit together.
        let (directory_bytes, offset) = if files == u16::MAX {
            (u32::MAX, u32::MAX)
        } else {
            (fitting(directory_bytes)?, fitting(offset)?)
        };
        put_u32(&mut end, END_SIGNATURE);
        put_u32(&mut end, 0);
        put_u16(&mut end, files);
        put_u16(&mut end, files);
        put_u32(&mut end, directory_bytes);
        put_u32(&mut end, offset);
        put_u16(&mut end, 0);
        self.output.write_all(&end)?;
        Ok(self.output.output)
    }
}

/// Go's `detectUTF8`: the flag is set unless every character is printable ASCII that the old code pages of
/// Japan and Korea leave in place.
fn flags_of(name: &str) -> u16 {
    let is_plain = name
        .bytes()
        .all(|byte| matches!(byte, 0x20..=0x7d) && byte != b'\\');
    if is_plain {
        HAS_DESCRIPTOR
    } else {
        HAS_DESCRIPTOR | IS_UTF8
    }
}

fn fitting(bytes: u64) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::ErrorKind::FileTooLarge.into()
}

fn put_u16(to: &mut Vec<u8>, value: u16) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn put_u32(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(to: &mut Vec<u8>, value: u64) {
    to.extend_from_slice(&value.to_le_bytes());
}

/// Counts what passes.
struct Counting<W> {
    output: W,
    written_bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        let more = u64::try_from(written).unwrap_or(u64::MAX);
        self.written_bytes = self.written_bytes.saturating_add(more);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests;
