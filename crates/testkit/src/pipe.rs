//! A network that can be broken: a TCP relay on loopback that delays, throttles, stalls, resets, or is not there.
//!
//! Tests and measurements put a [`Pipe`] between Larder and a server, or between a client and Larder, and change
//! it while connections run through it. It knows bytes only; what a server says wrongly is the business of
//! [`FakeUpstream`](crate::FakeUpstream). A dial is accepted at once, so that a delay costs round trips of
//! requests, not of TCP's own handshake.

#[cfg(test)]
mod tests;

use crate::{assert_loopback, eventually, runtime};
use bytes::{Bytes, BytesMut};
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// A relay from a port of its own to a server on loopback. Stops when dropped, its connections with it.
pub struct Pipe {
    address: SocketAddr,
    state: watch::Sender<State>,
    applied: watch::Receiver<State>,
    traffic: Arc<Traffic>,
    task: tokio::task::JoinHandle<()>,
}

/// How bytes pass, in each direction by itself and for each connection by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// How much later bytes arrive than on loopback. A round trip takes twice as long.
    pub delay: Duration,
    /// The most that passes in a second, if there is a limit.
    pub bytes_per_second: Option<u64>,
}

/// What has gone through a pipe since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Connections that were accepted.
    pub connections: u64,
    /// Bytes from clients to the server.
    pub bytes_up: u64,
    /// Bytes from the server to clients.
    pub bytes_down: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Passing(Link),
    Stalled,
    Resetting,
    Refusing,
}

#[derive(Default)]
struct Traffic {
    connections: AtomicU64,
    bytes_up: AtomicU64,
    bytes_down: AtomicU64,
}

/// The rate of [`Pipe::trickle`].
const TRICKLE_BYTES_PER_SECOND: u64 = 1000;
/// Connections at the same time; more wait in the listener's backlog.
const CONNECTIONS: usize = 4096;
/// One read. With [`QUEUE_CHUNKS`] it bounds what is under way in one direction: 1 MiB.
const CHUNK_BYTES: usize = 32 << 10;
const QUEUE_CHUNKS: usize = 32;
/// A limited link passes its bytes in portions of so many milliseconds.
const PORTION_MS: u64 = 50;

impl Pipe {
    /// A pipe to this server, without any delay.
    pub fn to(server: SocketAddr) -> Self {
        assert_loopback(server);
        let listener = runtime()
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let first = State::Passing(Link::default());
        let (state, wanted) = watch::channel(first);
        let (applying, applied) = watch::channel(first);
        let traffic = Arc::new(Traffic::default());
        let relay = Relay {
            address,
            server,
            wanted,
            traffic: traffic.clone(),
        };
        let task = runtime().spawn(relay.run(listener, applying));
        Self {
            address,
            state,
            applied,
            traffic,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL for a server that speaks plain HTTP, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Passes bytes as this link does from now on; also what was held back while stalled.
    pub fn pass(&self, link: Link) {
        self.change(State::Passing(link));
    }

    /// Passes everything at once from now on.
    pub fn heal(&self) {
        self.pass(Link::default());
    }

    /// Passes 1000 bytes a second from now on.
    pub fn trickle(&self) {
        self.pass(Link {
            bytes_per_second: Some(TRICKLE_BYTES_PER_SECOND),
            ..Link::default()
        });
    }

    /// Accepts connections and passes nothing on, in neither direction, until told otherwise.
    pub fn stall(&self) {
        self.change(State::Stalled);
    }

    /// Answers every connection with RST, those that are open too.
    pub fn reset(&self) {
        self.change(State::Resetting);
    }

    /// Resets the open connections and listens no more: a dial is refused.
    pub fn refuse(&self) {
        self.change(State::Refusing);
    }

    /// What has gone through it so far.
    pub fn passed(&self) -> Passed {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Passed {
            connections: count(&self.traffic.connections),
            bytes_up: count(&self.traffic.bytes_up),
            bytes_down: count(&self.traffic.bytes_down),
        }
    }

    /// Returns when the listener is as it was asked to be.
    fn change(&self, state: State) {
        self.state.send_replace(state);
        eventually("the pipe is as it was told to be", || {
            (*self.applied.borrow() == state).then_some(())
        });
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the listening task knows.
struct Relay {
    address: SocketAddr,
    server: SocketAddr,
    wanted: watch::Receiver<State>,
    traffic: Arc<Traffic>,
}

impl Relay {
    async fn run(mut self, listener: TcpListener, applying: watch::Sender<State>) {
        let turns = Arc::new(Semaphore::new(CONNECTIONS));
        // The connections end with the pipe.
        let mut connections = tokio::task::JoinSet::new();
        let mut listener = Some(listener);
        loop {
            let state = *self.wanted.borrow_and_update();
            if state == State::Refusing {
                listener = None;
            } else if listener.is_none() {
                // The port stays ours only by luck while nobody listens; a short wait covers its last connections.
                listener = TcpListener::bind(self.address).await.ok();
                if listener.is_none() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            }
            applying.send_replace(state);
            let accepted = async {
                let Some(listener) = &listener else {
                    return pending().await;
                };
                let turn = turns.clone().acquire_owned().await;
                listener.accept().await.map(|(client, _)| (client, turn))
            };
            tokio::select! {
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                Ok((client, turn)) = accepted => {
                    self.traffic.connections.fetch_add(1, Ordering::Relaxed);
                    let (server, wanted) = (self.server, self.wanted.clone());
                    let traffic = self.traffic.clone();
                    connections.spawn(async move {
                        carry(client, server, wanted, &traffic).await;
                        drop(turn);
                    });
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }
}

/// One connection, from its dial to its end.
async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    wanted: watch::Receiver<State>,
    traffic: &Traffic,
) {
    let mut breaking = wanted.clone();
    let broken = breaking.wait_for(|state| matches!(state, State::Resetting | State::Refusing));
    let ended_by_itself = async {
        let mut server = TcpStream::connect(server).await?;
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::try_join!(
            one_way(from_client, to_server, wanted.clone(), &traffic.bytes_up),
            one_way(from_server, to_client, wanted.clone(), &traffic.bytes_down),
        )?;
        io::Result::Ok(())
    };
    let outcome = tokio::select! {
        outcome = ended_by_itself => outcome,
        _ = broken => Err(io::ErrorKind::ConnectionReset.into()),
    };
    if outcome.is_err() {
        // A connection that broke on one side breaks on the other.
        let _ = client.set_zero_linger();
    }
}

/// Bytes with the time when they came; no bytes are the end of the stream.
type Arrival = (Instant, Bytes);

async fn one_way(
    mut from: ReadHalf<'_>,
    into: WriteHalf<'_>,
    wanted: watch::Receiver<State>,
    passed: &AtomicU64,
) -> io::Result<()> {
    let (sender, arrivals) = mpsc::channel(QUEUE_CHUNKS);
    let take = async move {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK_BYTES);
            let count = from.read_buf(&mut buffer).await?;
            let arrival: Arrival = (Instant::now(), buffer.split().freeze());
            if sender.send(arrival).await.is_err() || count == 0 {
                return io::Result::Ok(());
            }
        }
    };
    tokio::try_join!(take, hand_on(arrivals, into, wanted, passed))?;
    Ok(())
}

/// Writes what arrives in its order, as the state of the pipe allows it.
async fn hand_on(
    mut arrivals: mpsc::Receiver<Arrival>,
    mut into: WriteHalf<'_>,
    mut wanted: watch::Receiver<State>,
    passed: &AtomicU64,
) -> io::Result<()> {
    let mut free_at = Instant::now();
    while let Some((arrived, mut bytes)) = arrivals.recv().await {
        let is_end = bytes.is_empty();
        while is_end || !bytes.is_empty() {
            let state = *wanted.borrow_and_update();
            let State::Passing(link) = state else {
                if wanted.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            };
            let due = (arrived + link.delay).max(free_at);
            if due > Instant::now() {
                tokio::select! {
                    () = sleep_until(due) => {}
                    changed = wanted.changed() => {
                        if changed.is_err() {
                            return Ok(());
                        }
                    }
                }
                continue;
            }
            if is_end {
                return into.shutdown().await;
            }
            let portion = bytes.split_to(link.portion(bytes.len()));
            free_at = link.free_after(free_at, portion.len());
            into.write_all(&portion).await?;
            passed.fetch_add(portion.len() as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}

impl Link {
    /// How many of `waiting` bytes may pass in one go.
    fn portion(self, waiting: usize) -> usize {
        match self.bytes_per_second {
            None => waiting,
            Some(rate) => waiting.min((rate * PORTION_MS / 1000).max(1) as usize),
        }
    }

    /// When the link is free again for the next bytes after these.
    fn free_after(self, free_at: Instant, len_bytes: usize) -> Instant {
        match self.bytes_per_second {
            None => free_at,
            Some(rate) => {
                let nanoseconds = len_bytes as u64 * 1_000_000_000 / rate.max(1);
                free_at.max(Instant::now()) + Duration::from_nanos(nanoseconds)
            }
        }
    }
}
