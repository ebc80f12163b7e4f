//! How long an upstream has been silent to a request. The time that connecting takes has a limit of its own, so the
//! silence begins when the connection stands; the HTTP library does not say when that is, but for a layer around
//! its connector.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// The request that the present task is polling.
    static ASKING: Silence;
}

/// The silence that follows one request.
#[derive(Clone, Debug)]
pub(crate) struct Silence(Arc<Mutex<Stage>>);

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// A connection is being made for it.
    Connecting,
    /// It could be answered since then.
    Waiting(Instant),
}

impl Silence {
    /// What `answer` gives, or `None` where no answer began within `limit`: counted from now, or from when the
    /// connection stood that was made for it.
    pub(crate) async fn broken_by<T>(
        limit: Duration,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        let silence = Self(Arc::new(Mutex::new(Stage::Waiting(Instant::now()))));
        tokio::select! {
            biased;
            answer = ASKING.scope(silence.clone(), answer) => Some(answer),
            () = silence.lasts(limit) => None,
        }
    }

    /// Waits until it is `limit` long.
    async fn lasts(&self, limit: Duration) {
        loop {
            let now = Instant::now();
            let since = match *self.0.lock() {
                Stage::Waiting(since) => since,
                // Looked at again after `limit`: no silence that begins later can be so long by then.
                Stage::Connecting => now,
            };
            let end = since + limit;
            if end <= now {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    /// A connection is being made for it, until what this returns is dropped.
    fn connects(self) -> Connecting {
        *self.0.lock() = Stage::Connecting;
        Connecting(self)
    }
}

/// A connection on its way. It may be given up without an end of its own (where another one was free first, and this one
/// takes too long), and the request must not be borne in silence for ever then.
struct Connecting(Silence);

impl Drop for Connecting {
    fn drop(&mut self) {
        *self.0.0.lock() = Stage::Waiting(Instant::now());
    }
}

/// Tells the request that a connection is made for when that begins and ends.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLayer;

impl<S> Layer<S> for ConnectionLayer {
    type Service = ToldConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        ToldConnector(connector)
    }
}

/// A connector whose requests are told.
#[derive(Clone, Debug)]
pub(crate) struct ToldConnector<S>(S);

impl<S, R> Service<R> for ToldConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let told = ASKING.try_with(Silence::clone).ok().map(Silence::connects);
        let connecting = self.0.call(target);
        Box::pin(async move {
            let connected = connecting.await;
            drop(told);
            connected
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    /// A connector that takes so long.
    #[derive(Clone)]
    struct Slow(Duration);

    impl Service<()> for Slow {
        type Response = ();
        type Error = ();
        type Future = Pin<Box<dyn Future<Output = Result<(), ()>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            let takes = self.0;
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                Ok(())
            })
        }
    }

    /// Connects and then says nothing, or something after so long: when it was over, and whether it was answered.
    async fn ask(connecting: Duration, answers_after: Option<Duration>) -> (Duration, bool) {
        let began = Instant::now();
        let mut connector = ConnectionLayer.layer(Slow(connecting));
        let answer = Silence::broken_by(LIMIT, async {
            connector.call(()).await.unwrap();
            match answers_after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        });
        let is_answered = answer.await.is_some();
        (began.elapsed(), is_answered)
    }

    #[tokio::test(start_paused = true)]
    async fn silence_begins_when_the_connection_stands() {
        let seconds = Duration::from_secs_f64;
        for connecting in [0.0, 0.5, 1.99, 2.0, 5.5, 9.0] {
            let (took, is_answered) = ask(seconds(connecting), None).await;
            assert!(!is_answered);
            let over = took.saturating_sub(seconds(connecting) + LIMIT);
            assert!(
                took >= seconds(connecting) + LIMIT && over < Duration::from_millis(5),
                "{connecting} s of connecting: given up after {took:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_time_is_taken_however_long_connecting_took() {
        let (took, is_answered) =
            ask(Duration::from_secs(9), Some(Duration::from_millis(1900))).await;
        assert!(is_answered, "after {took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_given_up_does_not_make_the_silence_endless() {
        let began = Instant::now();
        let mut connector = ConnectionLayer.layer(Slow(Duration::from_secs(3600)));
        let answer = Silence::broken_by(LIMIT, async {
            let connecting = connector.call(());
            // The request goes out over another connection, and the time-out of this one strikes.
            assert!(tokio::time::timeout(LIMIT, connecting).await.is_err());
            std::future::pending::<()>().await;
        });
        let given_up = tokio::time::timeout(LIMIT * 10, answer).await;
        assert!(given_up.unwrap().is_none());
        assert!(began.elapsed() < LIMIT * 2 + Duration::from_millis(5));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_connection_of_its_own_silence_begins_at_once() {
        let began = Instant::now();
        let answer = Silence::broken_by(LIMIT, std::future::pending::<()>()).await;
        assert!(answer.is_none());
        assert!(began.elapsed() < LIMIT + Duration::from_millis(5));
    }
}
