//! Many clients at once: a herd on one cold zip, connections that idle, and clients that are slow on purpose.

use crate::figures::{Process, milliseconds, percentile, worst};
use rustix::net::{RecvFlags, recv};
use serde::Serialize;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::{FakeUpstream, Larder, LarderBuilder, Link, Module, Pipe, assert_loopback};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Barrier, Semaphore};

/// Clients of one cold zip.
const HERD: usize = 1000;
const HERD_ZIP_BYTES: usize = 40_000_000;
/// One way, between Larder and the upstream of the herd.
const HERD_DELAY: Duration = Duration::from_millis(100);
/// Connections that have asked once and then say nothing.
const IDLE: usize = 10_000;
/// Clients that take a byte a second of a large zip, and connections with half a request.
const SLOW: usize = 200;
const HALF_OPEN: usize = 200;
/// Clients beside them that behave, and how long they ask.
const NORMAL: usize = 16;
const NORMAL_TIME: Duration = Duration::from_secs(2);
/// What a client reads of the beginning of an answer; no head is longer.
const HEAD_PIECE_BYTES: usize = 8 << 10;
/// What it takes at once of the rest.
const DISCARDED_BYTES: usize = 256 << 10;
/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Serialize)]
pub(crate) struct Load {
    herd: Vec<Herd>,
    idle: Idle,
    slow: Vec<Slow>,
}

#[derive(Serialize)]
struct Herd {
    clients: usize,
    zip_bytes: u64,
    /// Of one client that asks the upstream itself through the same pipe.
    upstream_first_byte_ms: f64,
    first_byte_p50_ms: f64,
    first_byte_p99_ms: f64,
    first_byte_worst_ms: f64,
    upstream_requests: usize,
    complete: usize,
    wall_s: f64,
    server_cpu_s: f64,
    peak_bytes: u64,
}

#[derive(Serialize)]
struct Idle {
    connections: usize,
    resident_before_bytes: u64,
    resident_bytes: u64,
    /// A hit beside them.
    hit_p99_ms: f64,
}

/// One round: the same clients without and with slow ones beside them.
#[derive(Serialize)]
struct Slow {
    p99_without_ms: f64,
    p99_with_ms: f64,
    resident_without_bytes: u64,
    resident_with_bytes: u64,
}

pub(crate) fn measure(larder: &str, folder: &Path, rounds: usize) -> Load {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let builder = |name: &str| {
        let cache = folder.join(name);
        if cache.exists() {
            std::fs::remove_dir_all(&cache).unwrap();
        }
        Larder::builder(larder)
            .cache_dir(cache)
            .args(["--access-log", "off"])
    };
    let herd_rounds = rounds.min(3);
    let herd = (1..=herd_rounds).map(|round| {
        eprintln!("load: {HERD} clients of one zip, round {round} of {herd_rounds}");
        herd(&runtime, builder("herd"))
    });
    let herd = herd.collect();

    let small = Module::new("load.example/small", "v1.0.0");
    let large = Module::new("load.example/large", "v1.0.0").incompressible(7_000_000);
    let upstream = FakeUpstream::with([&small, &large]);
    let builder = builder("load").upstream(upstream.url());
    let serve = |builder: LarderBuilder| {
        let larder = builder.start();
        for path in [small.url_path("mod"), large.url_path("zip")] {
            larder.get(&path).expect_status(200);
        }
        larder
    };
    eprintln!("load: {IDLE} idle connections");
    let larder = serve(builder.clone());
    let idle = runtime.block_on(idle(&larder, &small.url_path("mod")));
    drop(larder);

    let larder = serve(builder);
    let mut slow = Vec::new();
    for round in 1..=rounds {
        eprintln!("load: slow clients, round {round} of {rounds}");
        let paths = (small.url_path("mod"), large.url_path("zip"));
        slow.push(runtime.block_on(beside_slow_ones(&larder, paths)));
    }
    Load { herd, idle, slow }
}

fn herd(runtime: &tokio::runtime::Runtime, builder: LarderBuilder) -> Herd {
    let module = Module::new("load.example/herd", "v1.0.0").incompressible(HERD_ZIP_BYTES);
    let upstream = FakeUpstream::with([&module]);
    let pipe = Pipe::to(upstream.address());
    pipe.pass(Link {
        delay: HERD_DELAY,
        ..Link::default()
    });
    let path = module.url_path("zip");
    let direct = runtime.block_on(async {
        let mut client = connect(pipe.address()).await;
        download(&mut client, &path).await.unwrap()
    });
    upstream.forget_requests();

    let larder = builder.upstream(pipe.url()).start();
    let process = Process(larder.process_id());
    let cpu_before = process.cpu();
    let began = Instant::now();
    let downloads = runtime.block_on(async {
        // Everybody is connected before the first one asks.
        let together = Arc::new(Barrier::new(HERD));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..HERD {
            let (together, path, address) = (together.clone(), path.clone(), larder.address());
            clients.spawn(async move {
                let mut client = connect(address).await;
                together.wait().await;
                download(&mut client, &path).await
            });
        }
        clients.join_all().await
    });
    let wall_s = began.elapsed().as_secs_f64();
    let good: Vec<Download> = downloads.into_iter().flatten().collect();
    let first_bytes: Vec<f64> = good
        .iter()
        .map(|download| milliseconds(download.first_byte))
        .collect();
    Herd {
        clients: HERD,
        zip_bytes: direct.body_bytes,
        upstream_first_byte_ms: milliseconds(direct.first_byte),
        first_byte_p50_ms: percentile(&first_bytes, 50.0),
        first_byte_p99_ms: percentile(&first_bytes, 99.0),
        first_byte_worst_ms: worst(&first_bytes),
        upstream_requests: upstream.count(&path),
        complete: good
            .iter()
            .filter(|download| download.body_bytes == direct.body_bytes)
            .count(),
        wall_s,
        server_cpu_s: (process.cpu() - cpu_before).as_secs_f64(),
        peak_bytes: larder.peak_memory_bytes(),
    }
}

async fn idle(larder: &Larder, path: &str) -> Idle {
    let process = Process(larder.process_id());
    let resident_before_bytes = process.resident_bytes();
    let mut connections = Vec::with_capacity(IDLE);
    let dialling = Arc::new(Semaphore::new(64));
    let mut dials = tokio::task::JoinSet::new();
    for number in 0..IDLE {
        let (dialling, path, address) = (dialling.clone(), path.to_owned(), larder.address());
        dials.spawn(async move {
            let _turn = dialling.acquire().await;
            let mut client = connect_from(number, address).await;
            download(&mut client, &path).await.unwrap();
            client
        });
    }
    while let Some(connection) = dials.join_next().await {
        connections.push(connection.unwrap());
    }
    // What was needed for the answers themselves may be given back before the figure is taken.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let resident_bytes = process.resident_bytes();
    let times = hits(larder.address(), path, Duration::from_secs(1)).await;
    let connections = connections.len();
    Idle {
        connections,
        resident_before_bytes,
        resident_bytes,
        hit_p99_ms: percentile(&times, 99.0),
    }
}

async fn beside_slow_ones(larder: &Larder, (path, large): (String, String)) -> Slow {
    let process = Process(larder.process_id());
    let p99 = async || percentile(&hits(larder.address(), &path, NORMAL_TIME).await, 99.0);
    let p99_without_ms = p99().await;
    let resident_without_bytes = process.resident_bytes();
    let mut slow = tokio::task::JoinSet::new();
    for number in 0..SLOW + HALF_OPEN {
        let (large, address) = (large.clone(), larder.address());
        slow.spawn(async move {
            let mut client = connect_from(number, address).await;
            let request = format!("GET {large} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            if number >= SLOW {
                let _ = client.write_all(&request.as_bytes()[..20]).await;
                return std::future::pending().await;
            }
            let _ = client.write_all(request.as_bytes()).await;
            while client.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    // All of them have dialled and asked by then.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let p99_with_ms = p99().await;
    Slow {
        p99_without_ms,
        p99_with_ms,
        resident_without_bytes,
        resident_with_bytes: process.resident_bytes(),
    }
}

/// How long each of many hits took, in milliseconds.
async fn hits(address: SocketAddr, path: &str, time: Duration) -> Vec<f64> {
    let until = Instant::now() + time;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..NORMAL {
        let path = path.to_owned();
        clients.spawn(async move {
            let mut client = connect(address).await;
            let mut times = Vec::new();
            while Instant::now() < until {
                let began = Instant::now();
                download(&mut client, &path).await.expect("a hit");
                times.push(milliseconds(began.elapsed()));
            }
            times
        });
    }
    clients.join_all().await.concat()
}

struct Download {
    first_byte: Duration,
    body_bytes: u64,
}

async fn connect(address: SocketAddr) -> TcpStream {
    connect_from(0, address).await
}

/// From one of several addresses, so that no range of ports runs out.
async fn connect_from(number: usize, address: SocketAddr) -> TcpStream {
    assert_loopback(address);
    let host = u8::try_from(1 + number / 5000).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::from(([127, 0, 0, host], 0)))
        .unwrap();
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Asks and reads the whole answer, of which only the length is kept; `None` where it is no 200 or breaks off.
async fn download(client: &mut TcpStream, path: &str) -> Option<Download> {
    let answer = async {
        let began = Instant::now();
        let host = client.peer_addr().ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        client.write_all(request.as_bytes()).await.ok()?;
        let mut buffer = vec![0; HEAD_PIECE_BYTES];
        let mut have = 0;
        let mut first_byte = None;
        let (head_bytes, length) = loop {
            let count = client.read(&mut buffer[have..]).await.ok()?;
            if count == 0 {
                return None;
            }
            first_byte.get_or_insert_with(|| began.elapsed());
            have += count;
            let end = buffer[..have]
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break (end + 4, announced(&buffer[..end])?);
            }
        };
        let mut left = length.checked_sub((have - head_bytes) as u64)?;
        // Room that nobody writes to. It must not be zeroed either: the allocator leaves that to the kernel for the
        // first such buffers only, and then a thousand clients fill 256 MB on the server's cores.
        let mut room = Vec::with_capacity(if left > 0 { DISCARDED_BYTES } else { 0 });
        while left > 0 {
            // The others are clients of their own: what one reads must not delay what another measures.
            tokio::task::yield_now().await;
            let most = left.min(room.capacity() as u64) as usize;
            let count = discard(client, &mut room.spare_capacity_mut()[..most])
                .await
                .ok()?;
            left = left.checked_sub(count as u64)?;
            if count == 0 {
                return None;
            }
        }
        Some(Download {
            first_byte: first_byte?,
            body_bytes: length,
        })
    };
    tokio::time::timeout(PATIENCE, answer).await.ok()?
}

/// Takes what has come, at most as much as `place` has room for, without a copy: clients on other machines
/// don't cost the server's cores one. How many bytes that were.
async fn discard(client: &TcpStream, place: &mut [MaybeUninit<u8>]) -> std::io::Result<usize> {
    let taken = client.async_io(Interest::READABLE, || {
        let (_, count) = recv(client, &mut *place, RecvFlags::TRUNC)?;
        Ok(count)
    });
    taken.await
}

/// The length of a body with status 200.
fn announced(head: &[u8]) -> Option<u64> {
    let head = String::from_utf8_lossy(head);
    let mut lines = head.lines();
    if lines.next()?.split(' ').nth(1)? != "200" {
        return None;
    }
    lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    })
}
