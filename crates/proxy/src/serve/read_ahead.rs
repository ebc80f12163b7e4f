//! Reads of stored files that don't block the reactor: what the page cache holds is read at once,
//! the rest on the blocking pool.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use store::at_once;

/// Bytes read at once: large enough that a transfer is few system calls.
pub const CHUNK_BYTES: u64 = 256 << 10;
/// Bytes read at once while [`ROOMY_BUFFERS`] are out, so that a thousand readers of large files hold 48 MiB and not
/// 256 (measured: 312 MiB at the peak of a thousand clients of one cold zip, all of it such chunks).
const CROWDED_CHUNK_BYTES: u64 = 32 << 10;
/// So many connections may hold a chunk of the full size at the same time: 16 MiB.
const ROOMY_BUFFERS: usize = 64;

/// The bytes from `position` to `end`, at most [`CHUNK_BYTES`] of them; empty at the end of file.
///
/// # Errors
/// Whatever the file system says.
pub async fn read_chunk(file: &Arc<File>, position: u64, end: u64) -> std::io::Result<Bytes> {
    let mut buffer = Buffer::take();
    let wanted = usize::try_from(end.saturating_sub(position).min(buffer.most_bytes()))
        .expect("a chunk's size fits in memory");
    if let Some(read) = at_once::read(file, buffer.room(wanted), position) {
        return Ok(buffer.filled(read?));
    }
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || {
        let read = loop {
            match file.read_at(buffer.room(wanted), position) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        Ok(buffer.filled(read))
    });
    read.await
        .unwrap_or_else(|died| Err(std::io::Error::other(died)))
}

/// The whole of a small file.
///
/// # Errors
/// Whatever the file system says, and an early end.
pub async fn read_whole(file: &Arc<File>, len_bytes: u64) -> std::io::Result<Bytes> {
    let mut whole = Vec::new();
    while (whole.len() as u64) < len_bytes {
        let chunk = read_chunk(file, whole.len() as u64, len_bytes).await?;
        if chunk.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if chunk.len() as u64 == len_bytes {
            return Ok(chunk);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

/// Memory of one chunk, used again when the connection has sent it: fresh memory would be zeroed
/// and faulted in page by page, which costs as much as the copy itself.
struct Buffer {
    bytes: Vec<u8>,
    filled_bytes: usize,
    /// Others were out when this one was taken.
    others: usize,
}

/// Buffers that wait for their next chunk; 4 MiB at most.
static IDLE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// Buffers that are being filled or sent.
static OUT: AtomicUsize = AtomicUsize::new(0);
const IDLE_BUFFERS: usize = 16;

impl Buffer {
    fn take() -> Self {
        let others = OUT.fetch_add(1, Ordering::Relaxed);
        let bytes = if others < ROOMY_BUFFERS {
            IDLE.lock().pop().unwrap_or_default()
        } else {
            // A buffer of the full size would be held for a small chunk.
            Vec::new()
        };
        Self {
            bytes,
            filled_bytes: 0,
            others,
        }
    }

    /// How much may be read into it.
    fn most_bytes(&self) -> u64 {
        if self.others < ROOMY_BUFFERS {
            CHUNK_BYTES
        } else {
            CROWDED_CHUNK_BYTES
        }
    }

    /// Room for `wanted` bytes. What an earlier chunk left there is overwritten or not handed out.
    fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() < wanted {
            self.bytes.resize(wanted, 0);
        }
        self.bytes.get_mut(..wanted).unwrap_or_default()
    }

    fn filled(mut self, bytes: usize) -> Bytes {
        self.filled_bytes = bytes.min(self.bytes.len());
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.filled_bytes).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        OUT.fetch_sub(1, Ordering::Relaxed);
        if self.others >= ROOMY_BUFFERS {
            return;
        }
        let mut idle = IDLE.lock();
        if idle.len() < IDLE_BUFFERS {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// Whether the page cache holds the byte at `position`. True at the end of a file.
pub(super) fn is_cached(file: &File, position: u64) -> bool {
    at_once::read(file, &mut [0], position).is_some()
}

#[cfg(test)]
mod tests {
    use super::{Buffer, CROWDED_CHUNK_BYTES, ROOMY_BUFFERS};

    #[test]
    fn chunks_are_small_while_many_are_out() {
        // Other tests of this process may hold some, too: never fewer than these are out.
        let held: Vec<Buffer> = (0..ROOMY_BUFFERS).map(|_| Buffer::take()).collect();
        assert_eq!(Buffer::take().most_bytes(), CROWDED_CHUNK_BYTES);
        drop(held);
    }
}
