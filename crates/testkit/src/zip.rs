//! A zip writer in which everything can be wrong on purpose.
use flate2::{Compression, Crc, write::DeflateEncoder};
use std::io::Write;

/// How the bytes of an entry are kept.
#[derive(Clone, Copy)]
pub(crate) enum Method {
    Stored,
    Deflated(u32),
}

/// What the central directory says of an entry.
pub(crate) struct DirectoryEntry {
    pub(crate) name: Vec<u8>,
    method: Method,
    pub(crate) crc32: u32,
    pub(crate) compressed_bytes: u32,
    pub(crate) uncompressed_bytes: u32,
    pub(crate) offset: u32,
}

/// Writes local entries one after the other, as Go's writer does: sizes in a data descriptor behind
/// the bytes, no modification time.
pub(crate) struct ZipWriter<W> {
    out: W,
    position: u32,
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, position: 0 }
    }

    /// Bytes that belong to no entry.
    pub(crate) fn gap(&mut self, bytes: &[u8]) {
        self.put(bytes);
    }

    /// Adds a local entry and gives what an honest directory says of it.
    pub(crate) fn entry(&mut self, name: &[u8], content: &[u8], method: Method) -> DirectoryEntry {
        self.entry_of_chunks(name, std::iter::once(content), method)
    }

    /// As [`Self::entry`], with content that need not be in memory at once where it is `Stored`.
    pub(crate) fn entry_of_chunks<C: AsRef<[u8]>>(
        &mut self,
        name: &[u8],
        chunks: impl Iterator<Item = C>,
        method: Method,
    ) -> DirectoryEntry {
        let offset = self.position;
        let mut header = Vec::new();
        header.extend(0x0403_4b50_u32.to_le_bytes());
        header.extend(fields16(&[20, flags(name), method.number(), 0, 0]));
        header.extend([0; 12]);
        header.extend(fields16(&[name.len() as u16, 0]));
        header.extend(name);
        self.put(&header);

        let mut crc = Crc::new();
        let mut compressed_bytes = 0;
        match method {
            Method::Stored => {
                for chunk in chunks {
                    crc.update(chunk.as_ref());
                    compressed_bytes += chunk.as_ref().len() as u32;
                    self.put(chunk.as_ref());
                }
            }
            Method::Deflated(level) => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
                for chunk in chunks {
                    crc.update(chunk.as_ref());
                    encoder.write_all(chunk.as_ref()).unwrap();
                }
                let deflated = encoder.finish().unwrap();
                compressed_bytes = deflated.len() as u32;
                self.put(&deflated);
            }
        }
        let entry = DirectoryEntry {
            name: name.to_vec(),
            method,
            crc32: crc.sum(),
            compressed_bytes,
            uncompressed_bytes: crc.amount(),
            offset,
        };
        self.put(&0x0807_4b50_u32.to_le_bytes());
        self.put(&entry.crc32.to_le_bytes());
        self.put(&entry.compressed_bytes.to_le_bytes());
        self.put(&entry.uncompressed_bytes.to_le_bytes());
        entry
    }

    /// Writes the central directory and gives the destination back.
    pub(crate) fn finish(mut self, directory: &[DirectoryEntry]) -> W {
        let start = self.position;
        for entry in directory {
            let mut header = Vec::new();
            header.extend(0x0201_4b50_u32.to_le_bytes());
            header.extend(fields16(&[
                20,
                20,
                flags(&entry.name),
                entry.method.number(),
                0,
                0,
            ]));
            header.extend(entry.crc32.to_le_bytes());
            header.extend(entry.compressed_bytes.to_le_bytes());
            header.extend(entry.uncompressed_bytes.to_le_bytes());
            header.extend(fields16(&[entry.name.len() as u16, 0, 0, 0, 0]));
            header.extend(0_u32.to_le_bytes());
            header.extend(entry.offset.to_le_bytes());
            header.extend(&entry.name);
            self.put(&header);
        }
        let length = self.position - start;
        let count = directory.len() as u16;
        self.put(&0x0605_4b50_u32.to_le_bytes());
        self.put(&fields16(&[0, 0, count, count]));
        self.put(&length.to_le_bytes());
        self.put(&start.to_le_bytes());
        self.put(&[0, 0]);
        self.out
    }

    fn put(&mut self, bytes: &[u8]) {
        self.out.write_all(bytes).unwrap();
        self.position += bytes.len() as u32;
    }
}

impl Method {
    fn number(self) -> u16 {
        match self {
            Self::Stored => 0,
            Self::Deflated(_) => 8,
        }
    }
}

/// Bit 3: sizes follow in a data descriptor. Bit 11: the name is UTF-8 and not ASCII.
fn flags(name: &[u8]) -> u16 {
    if name.is_ascii() { 0x8 } else { 0x808 }
}

fn fields16(fields: &[u16]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect()
}
