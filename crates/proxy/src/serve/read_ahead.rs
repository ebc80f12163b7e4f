//! Reads of stored files that don't block the reactor: what the page cache holds is read at once,
//! the rest on the blocking pool.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

/// Bytes read at once. Large enough that a transfer is few system calls, small enough that a
/// thousand slow readers hold 256 MiB at most.
pub const CHUNK_BYTES: u64 = 256 << 10;

/// The bytes from `position` to `end`, at most [`CHUNK_BYTES`] of them; empty at the end of file.
///
/// # Errors
/// Whatever the file system says.
pub async fn read_chunk(file: &Arc<File>, position: u64, end: u64) -> std::io::Result<Bytes> {
    let wanted = usize::try_from(end.saturating_sub(position).min(CHUNK_BYTES))
        .expect("a chunk's size fits in memory");
    let mut buffer = vec![0; wanted];
    if let Some(read) = read_cached(file, &mut buffer, position) {
        buffer.truncate(read?);
        return Ok(buffer.into());
    }
    let file = file.clone();
    let read = tokio::task::spawn_blocking(move || {
        let read = loop {
            match file.read_at(&mut buffer, position) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        buffer.truncate(read);
        Ok(Bytes::from(buffer))
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

/// Reads what the page cache holds; `None` where it would have to wait for the disk.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, buffer: &mut [u8], position: u64) -> Option<std::io::Result<usize>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    let mut slices = [std::io::IoSliceMut::new(buffer)];
    match preadv2(file, &mut slices, position, ReadWriteFlags::NOWAIT) {
        Ok(read) => Some(Ok(read)),
        // Some file systems don't know the flag; then every read goes to the pool.
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: &mut [u8], _: u64) -> Option<std::io::Result<usize>> {
    None
}
