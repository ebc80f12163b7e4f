//! A connection on which HTTP/2 was agreed, to its end: hyper speaks it, and is driven here in turns.
//!
//! A turn takes every request that has come, answers those that need not wait, and sends all of that at once.
//! hyper by itself makes each stream a task and writes each frame of some size; but most streams are hits in
//! memory, whose answer is there the first time they are polled, and a task, its wakes and a TLS record for each
//! cost more than the answer. So a new stream is first polled within the turn, and becomes a task only where it
//! has to wait.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use super::gathered::Gathered;
use super::impatient::Impatient;
use super::{
    Ended, HEAD_BYTES, HEAD_DEADLINE, PING_INTERVAL, Room, STREAMS, WRITE_PATIENCE, respond,
};

/// Rounds of one turn: what comes while others are answered joins the turn, but other connections want theirs, too.
const ROUNDS: usize = 8;

/// Serves until the client leaves; after `stop` the requests under way end and no more are taken.
///
/// # Errors
/// The connection broke, or its client broke the protocol or took too long.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    room: &Arc<Room>,
    stream: S,
    peer: SocketAddr,
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Ended {
    let service_room = room.clone();
    let service = service_fn(move |request| {
        let room = service_room.clone();
        async move { Ok::<_, std::convert::Infallible>(respond::respond(&room, request, peer).await) }
    });
    let stream = Gathered::new(Impatient::new(stream, HEAD_DEADLINE, WRITE_PATIENCE));
    let begun = Begun::default();
    let connection = http2::Builder::new(begun.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(PING_INTERVAL))
        .serve_connection(TokioIo::new(stream.clone()), service);
    let mut connection = pin!(connection);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut stop = Some(stop);
    poll_fn(|task| {
        if let Some(waiting) = &mut stop
            && waiting.as_mut().poll(task).is_ready()
        {
            stop = None;
            connection.as_mut().graceful_shutdown();
        }
        bell.hush(task.waker());
        let mut context = Context::from_waker(&waker);
        for _ in 0..ROUNDS {
            bell.forget();
            let polled = connection.as_mut().poll(&mut context);
            begun.poll_each();
            if let Poll::Ready(ended) = polled {
                return Poll::Ready(ended.map_err(Into::into));
            }
            if !bell.has_rung() {
                break;
            }
        }
        let sent = stream.send(&mut context);
        bell.unhush();
        match sent {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Streams that hyper has begun and nobody has polled yet.
#[derive(Clone, Default)]
struct Begun(Arc<Mutex<Vec<Stream>>>);

type Stream = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Begun {
    fn execute(&self, stream: F) {
        self.0.lock().push(Box::pin(stream));
    }
}

impl Begun {
    /// Polls each for the first time; those that wait become tasks, which poll them anew with a waker of their own.
    fn poll_each(&self) {
        let begun = std::mem::take(&mut *self.0.lock());
        for mut stream in begun {
            let mut context = Context::from_waker(Waker::noop());
            if stream.as_mut().poll(&mut context).is_pending() {
                tokio::spawn(stream);
            }
        }
    }
}

/// The waker of a connection: it wakes the connection's task, but not while that has its turn. hyper rings for
/// every answer, and each would be another turn with nothing to do.
#[derive(Default)]
struct Bell {
    task: Mutex<Option<Waker>>,
    is_hushed: AtomicBool,
    has_rung: AtomicBool,
}

impl Bell {
    /// From now on it only notes that it was rung.
    fn hush(&self, task: &Waker) {
        let mut known = self.task.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(task)) {
            *known = Some(task.clone());
        }
        drop(known);
        self.is_hushed.store(true, Ordering::SeqCst);
    }

    fn forget(&self) {
        self.has_rung.store(false, Ordering::SeqCst);
    }

    fn has_rung(&self) -> bool {
        self.has_rung.load(Ordering::SeqCst)
    }

    /// Wakes the task again where it was rung since [`Bell::forget`].
    fn unhush(&self) {
        self.is_hushed.store(false, Ordering::SeqCst);
        if self.has_rung() {
            self.wake_task();
        }
    }

    fn wake_task(&self) {
        if let Some(task) = &*self.task.lock() {
            task.wake_by_ref();
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        if !self.is_hushed.load(Ordering::SeqCst) {
            self.wake_task();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_bell_wakes_its_task_at_once_or_when_the_turn_is_over() {
        let wakes = Arc::new(Wakes::default());
        let task = Waker::from(wakes.clone());
        let bell = Arc::new(Bell::default());
        let count = || wakes.0.load(Ordering::SeqCst);

        bell.hush(&task);
        bell.forget();
        bell.wake_by_ref();
        assert_eq!((bell.has_rung(), count()), (true, 0), "within the turn");
        bell.unhush();
        assert_eq!(count(), 1, "rung in the turn and not answered");

        bell.hush(&task);
        bell.wake_by_ref();
        bell.forget();
        bell.unhush();
        assert_eq!(count(), 1, "rung in the turn and answered there");
        bell.wake_by_ref();
        assert_eq!(count(), 2, "between two turns");
    }

    #[tokio::test]
    async fn a_stream_that_waits_becomes_a_task_and_one_that_does_not_ends_in_the_turn() {
        let begun = Begun::default();
        let (answer, answered) = oneshot::channel();
        let (waited, waiting) = oneshot::channel::<()>();
        begun.execute(async move {
            let _listening = answer.send("at once");
        });
        let (late, arrived) = oneshot::channel();
        begun.execute(async move {
            waiting.await.expect("told");
            let _listening = late.send("later");
        });
        begun.poll_each();
        assert_eq!(answered.await, Ok("at once"));
        waited.send(()).expect("it waits");
        assert_eq!(arrived.await, Ok("later"));
    }
}
