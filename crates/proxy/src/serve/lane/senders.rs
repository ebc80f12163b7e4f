//! The threads on which large files leave.
//!
//! `sendfile` waits for the disk where the page cache lacks a page, whatever the socket's mode, and nothing
//! that may be called without `unsafe` says of a whole range beforehand whether it will. So it never runs
//! on the reactor. A hop to the blocking pool for each filling of a socket's buffer (some 800 kB) costs
//! three changes of thread; here the whole transfer changes its thread once each way, and between two
//! fillings it waits for its client at a reactor of these threads, as a static file server does.
//!
//! A wait for the disk holds up other large files at most, and these seldom: where the next page is not
//! in the cache, that filling is done on the blocking pool, which reads ahead for the next ones too.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// Starts its threads with the first large file: a server that is asked for small ones has none.
#[derive(Default)]
pub(in crate::serve) struct Senders(OnceLock<Runtime>);

impl Senders {
    /// Runs a transfer to its end. It is broken off when the caller gives up.
    ///
    /// # Errors
    /// The system has no threads left, or the server stops.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        transfer: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let task = self.runtime()?.spawn(transfer);
        let _ended_with_us = Ended(task.abort_handle());
        task.await.map_err(io::Error::other)
    }

    fn runtime(&self) -> io::Result<&Runtime> {
        if let Some(runtime) = self.0.get() {
            return Ok(runtime);
        }
        let built = Builder::new_multi_thread()
            .thread_name("larder-send")
            .enable_all()
            .build()?;
        // Two first files at once: the second's runtime is put away, and no task has seen it.
        if let Err(second) = self.0.set(built) {
            second.shutdown_background();
        }
        self.0
            .get()
            .ok_or_else(|| io::Error::other("no threads to send files on"))
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        // A runtime that is dropped by a task of another would wait for its threads there.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct Ended(AbortHandle);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}
