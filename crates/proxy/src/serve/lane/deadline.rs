//! One timer for each connection, which is moved when it rings: a request that is answered in time only
//! notes when it is due next, which touches no timer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

pub(super) struct Deadline {
    due: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(super) fn after(time: Duration) -> Self {
        let due = Instant::now() + time;
        let timer = Box::pin(tokio::time::sleep_until(due));
        Self { due, timer }
    }

    /// Due so long from now.
    pub(super) fn set(&mut self, time: Duration) {
        self.due = Instant::now() + time;
        // One that rings too early is moved then.
        if self.due < self.timer.deadline() {
            self.timer.as_mut().reset(self.due);
        }
    }

    /// Ready when it is due.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            if Instant::now() >= self.due {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test(start_paused = true)]
    async fn it_rings_when_it_is_due_however_often_it_was_moved() {
        let start = Instant::now();
        let mut deadline = Deadline::after(Duration::from_secs(10));
        for (seconds, rings_after) in [(100, 100), (20, 120), (5, 125), (50, 175)] {
            deadline.set(Duration::from_secs(seconds));
            poll_fn(|context| deadline.poll(context)).await;
            assert_eq!(start.elapsed().as_secs(), rings_after);
        }
    }
}
