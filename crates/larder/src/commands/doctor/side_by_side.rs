//! Several examinations at once: a silent host must not hold up the look at the others.

use std::pin::Pin;
use std::task::Poll;

/// One examination, not begun.
pub(super) type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Waits for all of them, on this task; the results are in the order of what was given.
pub(super) async fn all<T>(pending: Vec<Pending<'_, T>>) -> Vec<T> {
    let mut places: Vec<Place<'_, T>> = pending.into_iter().map(Place::Waiting).collect();
    std::future::poll_fn(|context| {
        let mut is_waiting = false;
        for place in &mut places {
            if let Place::Waiting(future) = place {
                match future.as_mut().poll(context) {
                    Poll::Ready(result) => *place = Place::Done(result),
                    Poll::Pending => is_waiting = true,
                }
            }
        }
        match is_waiting {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await;
    let results = places.into_iter().filter_map(|place| match place {
        Place::Done(result) => Some(result),
        Place::Waiting(_) => None,
    });
    results.collect()
}

enum Place<'a, T> {
    Waiting(Pending<'a, T>),
    Done(T),
}

#[cfg(test)]
mod tests {
    use super::{Pending, all};
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn one_that_waits_for_another_is_no_hindrance_and_the_order_is_kept() {
        let (sender, receiver) = oneshot::channel();
        let first: Pending<'_, &str> = Box::pin(async { receiver.await.unwrap() });
        let second: Pending<'_, &str> = Box::pin(async {
            sender.send("told by the second").unwrap();
            "the second"
        });
        let results = all(vec![first, second]).await;
        assert_eq!(results, ["told by the second", "the second"]);
    }
}
