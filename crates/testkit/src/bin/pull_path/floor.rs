//! The least that a server of small files can do: `epoll_wait`, `recv` and `send`, and nothing between them but to
//! find the bytes. What is left of a real server's figures is what the kernel takes for itself.

use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::collections::HashMap;
use std::io::{ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Connections of one run of the load generator, and its restarts.
const CONNECTIONS: usize = 16 * 1024;
const REQUEST_BYTES: usize = 16 << 10;
/// Events of one `epoll_wait`.
const EVENTS: usize = 64;

/// Each connection has the place that its events name. None is given back: the program lives for one measurement.
static PLACES: [OnceLock<TcpStream>; CONNECTIONS] = [const { OnceLock::new() }; CONNECTIONS];

/// Whole answers, by the path that asks for them.
type Answers = HashMap<String, Vec<u8>>;

/// Serves these paths of `folder` from memory, with a thread a core, until it is killed.
pub(crate) fn serve(folder: &Path, paths: &[&str]) {
    let answers: Answers = paths
        .iter()
        .map(|path| {
            let body = std::fs::read(folder.join(path.trim_start_matches('/'))).unwrap();
            ((*path).to_owned(), answer(&body))
        })
        .collect();
    let answers = Arc::new(answers);
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let polls: Vec<Arc<OwnedFd>> = (0..cores)
        .map(|_| Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC).unwrap()))
        .collect();
    for poll in &polls {
        let (poll, answers) = (poll.clone(), answers.clone());
        std::thread::spawn(move || take_turns(&poll, &answers));
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    std::io::stdout().flush().unwrap();
    for (number, (place, poll)) in PLACES.iter().zip(polls.iter().cycle()).enumerate() {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = place.get_or_init(|| stream);
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(poll, stream, data, epoll::EventFlags::IN).unwrap();
    }
}

/// With a head as long as Larder's.
fn answer(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         ETag: \"{:064}\"\r\nCache-Control: public, max-age=31536000, immutable\r\n\
         X-Larder-Cache: hit/memory\r\nX-Larder-Source: file:///srv/origin\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 GMT\r\n\r\n",
        body.len(),
        0
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn take_turns(poll: &OwnedFd, answers: &Answers) {
    let mut events = Vec::with_capacity(EVENTS);
    let mut request = vec![0; REQUEST_BYTES];
    loop {
        let forever: Option<&Timespec> = None;
        match epoll::wait(poll, rustix::buffer::spare_capacity(&mut events), forever) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("{error}"),
        }
        for event in events.drain(..) {
            let place = event.data.u64() as usize;
            let Some(stream) = PLACES[place].get() else {
                continue;
            };
            if !serve_one(stream, &mut request, answers) {
                let _ = epoll::delete(poll, stream);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
    }
}

/// False where the client has left.
fn serve_one(stream: &TcpStream, request: &mut [u8], answers: &Answers) -> bool {
    let count = match recv(stream, &mut *request, RecvFlags::empty()) {
        Ok((_, 0)) => return false,
        Ok((_, count)) => count,
        Err(error) => return error.kind() == ErrorKind::Interrupted,
    };
    let request = &request[..count];
    let answer = std::str::from_utf8(request)
        .ok()
        .and_then(|request| request.split(' ').nth(1))
        .and_then(|path| answers.get(path));
    // The socket waits where it must: the answers are small.
    answer.is_some_and(|answer| send(stream, answer, SendFlags::NOSIGNAL) == Ok(answer.len()))
}
