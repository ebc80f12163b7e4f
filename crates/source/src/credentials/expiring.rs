//! Something that is made at some cost, holds for a while, and is made anew by one caller for all.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::SourceError;

/// How long a failure is given again before the next attempt.
const FAILURE_REST: Duration = Duration::from_secs(5);

/// A value that is made anew before it expires. Whoever comes while it is being made waits for the one attempt.
pub(super) struct Expiring<T> {
    slot: Mutex<Option<Held<T>>>,
}

/// A value that was just made.
pub(super) struct Fresh<T> {
    pub(super) value: T,
    /// After this long it is made anew at the next use.
    pub(super) renew_in: Duration,
    /// Until then it still serves where it cannot be made anew. At least `renew_in`.
    pub(super) dies_in: Duration,
}

struct Held<T> {
    outcome: Result<T, SourceError>,
    renew_at: Instant,
    dies_at: Instant,
}

impl<T: Clone> Expiring<T> {
    pub(super) fn new() -> Self {
        Self {
            slot: Mutex::new(None),
        }
    }

    /// The value, made by `make` if there is none that still holds. `make` must end by itself.
    pub(super) async fn value(
        &self,
        make: impl Future<Output = Result<Fresh<T>, SourceError>>,
    ) -> Result<T, SourceError> {
        let mut slot = self.slot.lock().await;
        if let Some(held) = slot.as_ref()
            && Instant::now() < held.renew_at
        {
            return held.outcome.clone();
        }
        let made = make.await;
        let now = Instant::now();
        let previous = slot.take().filter(|held| now < held.dies_at);
        let held = match (made, previous) {
            (Ok(fresh), _) => Held {
                outcome: Ok(fresh.value),
                renew_at: now + fresh.renew_in,
                dies_at: now + fresh.dies_in,
            },
            (Err(error), Some(previous)) if previous.outcome.is_ok() => {
                tracing::warn!(%error, "a credential could not be renewed; the old one still holds");
                Held {
                    renew_at: now + FAILURE_REST,
                    ..previous
                }
            }
            (Err(error), _) => Held {
                outcome: Err(error),
                renew_at: now + FAILURE_REST,
                dies_at: now + FAILURE_REST,
            },
        };
        let outcome = held.outcome.clone();
        *slot = Some(held);
        outcome
    }

    /// Drops a value that turned out not to hold; a failure is kept for its time.
    pub(super) async fn forget(&self) {
        let mut slot = self.slot.lock().await;
        if slot.as_ref().is_some_and(|held| held.outcome.is_ok()) {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceErrorKind;
    use std::sync::atomic::{AtomicU32, Ordering};

    const RENEW: Duration = Duration::from_secs(60);
    const DIE: Duration = Duration::from_secs(90);

    struct Maker {
        cell: Expiring<u32>,
        made: AtomicU32,
    }

    impl Maker {
        fn new() -> Self {
            Self {
                cell: Expiring::new(),
                made: AtomicU32::new(0),
            }
        }

        async fn ask(&self, works: bool) -> Option<u32> {
            let make = async {
                let number = self.made.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::task::yield_now().await;
                if !works {
                    return Err(SourceError::new(SourceErrorKind::Unreachable, "down"));
                }
                Ok(Fresh {
                    value: number,
                    renew_in: RENEW,
                    dies_in: DIE,
                })
            };
            self.cell.value(make).await.ok()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_together_wait_for_one_attempt() {
        let maker = Maker::new();
        assert_eq!(
            tokio::join!(maker.ask(true), maker.ask(true), maker.ask(true)),
            (Some(1), Some(1), Some(1))
        );
        tokio::time::advance(RENEW).await;
        assert_eq!(maker.ask(true).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_renewal_leaves_the_old_value_until_it_dies() {
        let maker = Maker::new();
        assert_eq!(maker.ask(true).await, Some(1));
        tokio::time::advance(RENEW).await;
        assert_eq!(maker.ask(false).await, Some(1));
        assert_eq!(maker.ask(false).await, Some(1));
        assert_eq!(maker.made.load(Ordering::SeqCst), 2);
        tokio::time::advance(DIE).await;
        assert_eq!(maker.ask(false).await, None);
        assert_eq!(maker.ask(true).await, None, "the failure rests");
        tokio::time::advance(FAILURE_REST).await;
        assert_eq!(maker.ask(true).await, Some(4));
    }

    #[tokio::test(start_paused = true)]
    async fn what_turned_out_not_to_hold_is_made_anew() {
        let maker = Maker::new();
        assert_eq!(maker.ask(true).await, Some(1));
        maker.cell.forget().await;
        assert_eq!(maker.ask(true).await, Some(2));
    }
}
