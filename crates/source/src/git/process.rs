//! Children: started in a process group of their own, watched, bounded, killed whole and always reaped.
//!
//! Called by everything in this room that needs the git program; knows nothing of what the programs mean.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{GitObserver, failure};
use crate::SourceErrorKind;

/// What is kept of a child's standard error: its end.
const STDERR_BYTES: usize = 16 * 1024;
/// How long the pipes of a child that has ended are still read, for what its own children may hold open.
pub(super) const AFTER_EXIT: Duration = Duration::from_millis(500);
/// How often the folder that a fetch writes to is measured.
const DISK_TICK: Duration = Duration::from_secs(1);

/// What a child is for; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProcessKind {
    /// `git version` and `git config`.
    Settings,
    /// `git ls-remote`.
    Listing,
    /// `git fetch`.
    Fetch,
    /// `git cat-file --batch`.
    Objects,
    /// `git archive`.
    Archive,
    /// `git for-each-ref --merged` and `git merge-base`.
    History,
    /// `git repack`, now and then after a fetch.
    Repack,
}

impl ProcessKind {
    /// The label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Listing => "listing",
            Self::Fetch => "fetch",
            Self::Objects => "objects",
            Self::Archive => "archive",
            Self::History => "history",
            Self::Repack => "repack",
        }
    }
}

/// A command line and its whole environment: nothing is inherited.
pub(super) struct Launch {
    pub(super) kind: ProcessKind,
    pub(super) program: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// How a bounded child ended by itself.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// Why a child did not end by itself.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It could not be started.
    NotStarted(io::Error),
    /// No turn came in time.
    Busy,
    /// Nothing was heard of it for the stall time.
    Stalled { stderr: String },
    /// It took longer than anything may take.
    TooLong,
    /// It wrote more than it may.
    TooMuchOutput { limit_bytes: u64 },
    /// What it brings in is more than may be.
    TooLarge { limit_bytes: u64 },
}

/// What a child may do.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) stall: Duration,
    pub(super) total: Duration,
    pub(super) stdout_bytes: u64,
}

/// A folder that a child fills, and how much it may add.
pub(super) struct DiskWatch {
    pub(super) folder: PathBuf,
    pub(super) limit_bytes: u64,
}

/// The children's permits. Object readers have their own, because they are the only children that outlive
/// an operation; archives leave one permit to the transport, because their readers may take their time.
/// Nobody waits for a permit while holding one of the same kind, so no wait is for ever.
pub(super) struct Children {
    pub(super) readers: Arc<Semaphore>,
    archives: Arc<Semaphore>,
    others: Arc<Semaphore>,
    queue_timeout: Duration,
    observer: Arc<dyn GitObserver>,
}

impl Children {
    /// At most `most` children at once; fewer than 2 are 2.
    pub(super) fn new(
        most: usize,
        queue_timeout: Duration,
        observer: Arc<dyn GitObserver>,
    ) -> Self {
        let most = most.max(2);
        let readers = (most / 3).max(1);
        let others = most - readers;
        Self {
            readers: Arc::new(Semaphore::new(readers)),
            archives: Arc::new(Semaphore::new((others - 1).max(1))),
            others: Arc::new(Semaphore::new(others)),
            queue_timeout,
            observer,
        }
    }

    /// Starts a reader of objects under the permit that its caller has.
    pub(super) fn start_reader(
        &self,
        launch: Launch,
        permit: OwnedSemaphorePermit,
    ) -> Result<Running, Stopped> {
        self.start(launch, vec![permit], Stdio::piped(), Stdio::null())
    }

    /// Starts an archive.
    pub(super) async fn start_archive(&self, launch: Launch) -> Result<Running, Stopped> {
        let permits = vec![
            self.permit(&self.archives).await?,
            self.permit(&self.others).await?,
        ];
        self.start(launch, permits, Stdio::null(), Stdio::piped())
    }

    /// Runs a child to its end.
    pub(super) async fn run(
        &self,
        launch: Launch,
        bounds: Bounds,
        watch: Option<DiskWatch>,
    ) -> Result<Finished, Stopped> {
        let kind = launch.kind;
        let permit = self.permit(&self.others).await?;
        let mut running = self.start(launch, vec![permit], Stdio::null(), Stdio::piped())?;
        let outcome = running.run_out(bounds, watch).await;
        let told = match &outcome {
            Ok(finished) if finished.status.success() => Ok(()),
            // "Nothing of the kind is set", "is no ancestor": answers, not failures.
            Ok(finished)
                if finished.status.code() == Some(1)
                    && matches!(kind, ProcessKind::Settings | ProcessKind::History) =>
            {
                Ok(())
            }
            Ok(finished) => Err(failure::kind(&failure::clean(&finished.stderr, None))),
            Err(stopped) => Err(stopped.kind()),
        };
        running.tell(told);
        outcome
    }

    /// A permit, or `Busy` when the queue's time is over.
    pub(super) async fn permit(
        &self,
        semaphore: &Arc<Semaphore>,
    ) -> Result<OwnedSemaphorePermit, Stopped> {
        match tokio::time::timeout(self.queue_timeout, semaphore.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Stopped::Busy),
        }
    }

    fn start(
        &self,
        launch: Launch,
        permits: Vec<OwnedSemaphorePermit>,
        stdin: Stdio,
        stderr: Stdio,
    ) -> Result<Running, Stopped> {
        let mut command = Command::new(&launch.program);
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment)
            .current_dir(&launch.folder)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true);
        let child = match command.spawn() {
            // The mirrors' folder may be deleted at any time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs_err::create_dir_all(&launch.folder).and_then(|()| command.spawn())
            }
            spawned => spawned,
        }
        .map_err(Stopped::NotStarted)?;
        self.observer.process_started(launch.kind);
        let group = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Ok(Running {
            child,
            group,
            kind: launch.kind,
            started: Instant::now(),
            observer: self.observer.clone(),
            told: false,
            _permits: permits,
        })
    }
}

impl Stopped {
    pub(super) fn kind(&self) -> SourceErrorKind {
        match self {
            Self::NotStarted(_) => SourceErrorKind::Internal,
            Self::Busy => SourceErrorKind::Busy,
            Self::Stalled { .. } | Self::TooLong => SourceErrorKind::TimedOut,
            Self::TooMuchOutput { .. } | Self::TooLarge { .. } => SourceErrorKind::TooLarge,
        }
    }
}

/// A child and its group. Dropped before its end it is killed with all that it started.
pub(super) struct Running {
    child: Child,
    /// `None` once the child has ended: what it left running on purpose (a credential cache) may stay.
    group: Option<Pid>,
    kind: ProcessKind,
    started: Instant,
    observer: Arc<dyn GitObserver>,
    told: bool,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Running {
    pub(super) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    pub(super) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Kills the whole group now.
    pub(super) fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // It may have ended a moment ago: nothing to kill is what was wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Kills the whole group and waits until the child itself is no more.
    async fn kill_and_reap(&mut self) {
        self.kill();
        // What cannot be killed now is reaped by the runtime later.
        let _ = tokio::time::timeout(AFTER_EXIT, self.child.wait()).await;
    }

    /// Tells the observer how it ended; the first word counts.
    pub(super) fn tell(&mut self, outcome: Result<(), SourceErrorKind>) {
        if !std::mem::replace(&mut self.told, true) {
            self.observer
                .process_finished(self.kind, outcome, self.started.elapsed());
        }
    }

    /// Reads both pipes until the child has ended, within its bounds.
    pub(super) async fn run_out(
        &mut self,
        bounds: Bounds,
        watch: Option<DiskWatch>,
    ) -> Result<Finished, Stopped> {
        let mut stdout = Pipe::new(self.child.stdout.take());
        let mut stderr = Pipe::new(self.child.stderr.take());
        let mut output = Vec::new();
        let mut complaints = Tail::default();
        let mut status = None;
        let mut disk = Disk::new(watch).await;
        let deadline = self.started + bounds.total;
        let mut heard = Instant::now();
        while status.is_none() || stdout.is_open() || stderr.is_open() {
            let quiet = if status.is_some() {
                AFTER_EXIT
            } else {
                bounds.stall
            };
            tokio::select! {
                chunk = stdout.read() => {
                    heard = Instant::now();
                    output.extend_from_slice(chunk);
                    if output.len() as u64 > bounds.stdout_bytes {
                        self.kill_and_reap().await;
                        return Err(Stopped::TooMuchOutput { limit_bytes: bounds.stdout_bytes });
                    }
                }
                chunk = stderr.read() => {
                    heard = Instant::now();
                    complaints.push(chunk);
                }
                ended = self.child.wait(), if status.is_none() => {
                    heard = Instant::now();
                    self.group = None;
                    status = Some(ended.map_err(Stopped::NotStarted)?);
                }
                () = disk.tick(), if status.is_none() => {
                    match disk.grew().await {
                        Growth::None => {}
                        Growth::Some => heard = Instant::now(),
                        Growth::TooLarge { limit_bytes } => {
                            self.kill_and_reap().await;
                            return Err(Stopped::TooLarge { limit_bytes });
                        }
                    }
                }
                () = tokio::time::sleep_until(deadline), if status.is_none() => {
                    self.kill_and_reap().await;
                    return Err(Stopped::TooLong);
                }
                () = tokio::time::sleep_until(heard + quiet) => {
                    if status.is_some() {
                        break;
                    }
                    self.kill_and_reap().await;
                    return Err(Stopped::Stalled { stderr: complaints.text() });
                }
            }
        }
        // A child that brought too much between two measurements is told apart here.
        if let Growth::TooLarge { limit_bytes } = disk.grew().await {
            return Err(Stopped::TooLarge { limit_bytes });
        }
        match status {
            Some(status) => Ok(Finished {
                status,
                stdout: output,
                stderr: complaints.text(),
            }),
            None => Err(Stopped::TooLong),
        }
    }

    /// Waits for the end of a child whose pipes are read elsewhere.
    pub(super) async fn wait(&mut self, stall: Duration) -> Result<Finished, Stopped> {
        let bounds = Bounds {
            stall,
            total: Duration::from_secs(24 * 3600),
            stdout_bytes: u64::MAX,
        };
        self.run_out(bounds, None).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        self.tell(Err(SourceErrorKind::Internal));
    }
}

/// One pipe of a child; closed for good at its end or first error.
struct Pipe<R> {
    source: Option<R>,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(source: Option<R>) -> Self {
        Self {
            source,
            buffer: vec![0; 16 * 1024],
        }
    }

    fn is_open(&self) -> bool {
        self.source.is_some()
    }

    /// The next bytes; empty at the end; never ready again after it.
    async fn read(&mut self) -> &[u8] {
        let Some(source) = &mut self.source else {
            return std::future::pending().await;
        };
        let bytes = source.read(&mut self.buffer).await.unwrap_or(0);
        if bytes == 0 {
            self.source = None;
        }
        self.buffer.get(..bytes).unwrap_or_default()
    }
}

/// The end of a stream.
#[derive(Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let excess = self.0.len().saturating_sub(STDERR_BYTES);
        self.0.drain(..excess);
    }

    pub(super) fn text(&self) -> String {
        let (front, back) = self.0.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

/// The growth of a folder under a child's hands.
struct Disk {
    watch: Option<DiskWatch>,
    at_first: u64,
    last: u64,
    ticks: tokio::time::Interval,
}

enum Growth {
    None,
    Some,
    TooLarge { limit_bytes: u64 },
}

impl Disk {
    async fn new(watch: Option<DiskWatch>) -> Self {
        let bytes = match &watch {
            Some(watch) => folder_bytes(watch.folder.clone()).await,
            None => 0,
        };
        let mut ticks = tokio::time::interval_at(Instant::now() + DISK_TICK, DISK_TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self {
            watch,
            at_first: bytes,
            last: bytes,
            ticks,
        }
    }

    async fn tick(&mut self) {
        if self.watch.is_none() {
            return std::future::pending().await;
        }
        self.ticks.tick().await;
    }

    async fn grew(&mut self) -> Growth {
        let Some(watch) = &self.watch else {
            return Growth::None;
        };
        let bytes = folder_bytes(watch.folder.clone()).await;
        let before = std::mem::replace(&mut self.last, bytes);
        if bytes.saturating_sub(self.at_first) > watch.limit_bytes {
            Growth::TooLarge {
                limit_bytes: watch.limit_bytes,
            }
        } else if bytes > before {
            Growth::Some
        } else {
            Growth::None
        }
    }
}

async fn folder_bytes(folder: PathBuf) -> u64 {
    tokio::task::spawn_blocking(move || super::mirror::bytes_below(&folder))
        .await
        .unwrap_or(0)
}
