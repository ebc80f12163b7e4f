//! What can be had of a folder without waiting for a disk.
//!
//! Most of what a server opens has been looked for a moment ago: go asks for a version's three files one after the
//! other, and each leaves the names on its way, found or not, in the kernel's memory. What lies there is had for less
//! than it costs to change the thread. Linux since 5.12 says so of names (`RESOLVE_CACHED`) and, for most file systems,
//! of bytes (`RWF_NOWAIT`). Elsewhere nothing is had at once, and the patient way does all.

use crate::folder::is_absence;
use fs_err as fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Whether a look into a folder may wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// As long as it takes: off the reactor.
    Patient,
    /// From the kernel's memory alone, or not at all: [`io::ErrorKind::WouldBlock`] where it has not all of it, or
    /// can't tell.
    Cached,
}

impl Access {
    /// How the reactor may look into `folder`: where all of it is in memory, there is nothing to wait for.
    pub(crate) fn on_the_reactor(folder: &Path) -> Self {
        match fs::File::open(folder) {
            Ok(folder) if is_in_memory(folder.file()) => Self::Patient,
            Ok(_) | Err(_) => Self::Cached,
        }
    }

    /// Opens a file to read it.
    pub(crate) fn open(self, path: &Path) -> io::Result<File> {
        match self {
            Self::Patient => {
                // Not even for the writer of a named pipe that somebody put there.
                let flags = rustix::fs::OFlags::NONBLOCK.bits();
                let mut options = fs::OpenOptions::new();
                options
                    .read(true)
                    .options_mut()
                    .custom_flags(flags.cast_signed());
                Ok(options.open(path)?.into_parts().0)
            }
            Self::Cached => open_cached(path),
        }
    }

    /// Fills `bytes` from the file's beginning.
    pub(crate) fn read_exact(self, file: &File, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Patient => file.read_exact_at(bytes, 0),
            Self::Cached => match read(file, bytes, 0) {
                Some(Ok(read)) if read == bytes.len() => Ok(()),
                // The rest, and what is wrong, are for the patient way.
                _ => Err(io::ErrorKind::WouldBlock.into()),
            },
        }
    }

    /// The file's bytes; `None` where it is not there.
    pub(crate) fn read_if_there(self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let read = match self {
            Self::Patient => fs::read(path),
            Self::Cached => open_cached(path).and_then(|file| {
                let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
                let mut bytes = vec![0; len];
                self.read_exact(&file, &mut bytes)?;
                Ok(bytes)
            }),
        };
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Reads what the kernel has in memory of a file, from `offset`; `None` where it would have to wait for the disk, or
/// can't tell.
///
/// # Errors
/// Whatever the file system says.
#[cfg(target_os = "linux")]
pub fn read(file: &File, buffer: &mut [u8], offset: u64) -> Option<io::Result<usize>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    let mut slices = [io::IoSliceMut::new(buffer)];
    match preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
        Ok(read) => Some(Ok(read)),
        // The file systems that lie in memory don't know the flag, and wait for nothing but swap.
        Err(Errno::OPNOTSUPP) if is_in_memory(file) => Some(file.read_at(buffer, offset)),
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS) => None,
        Err(error) => Some(Err(error.into())),
    }
}

/// Reads what the kernel has in memory of a file; `None`: this system can't tell.
///
/// # Errors
/// None here.
#[cfg(not(target_os = "linux"))]
pub fn read(_: &File, _: &mut [u8], _: u64) -> Option<io::Result<usize>> {
    None
}

#[cfg(target_os = "linux")]
fn open_cached(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
        Ok(file) => Ok(File::from(file)),
        Err(error) if is_absence(&error.into()) => Err(error.into()),
        // Whatever else is wrong is told by the patient way, which names the path.
        Err(_) => Err(io::ErrorKind::WouldBlock.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open_cached(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::WouldBlock.into())
}

/// True on tmpfs and ramfs.
#[cfg(target_os = "linux")]
fn is_in_memory(file: &File) -> bool {
    const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;
    const RAMFS_MAGIC: rustix::fs::FsWord = 0x8584_58f6;
    rustix::fs::fstatfs(file).is_ok_and(|about| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&about.f_type))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_: &File) -> bool {
    false
}
