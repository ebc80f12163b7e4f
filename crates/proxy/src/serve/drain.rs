//! The end of a server, as its connections see it: they are told once, and waited for.

use tokio::sync::watch;

/// Tells all connections that the server stops.
pub(super) struct Drain {
    begun: watch::Sender<bool>,
}

/// A connection's side. The connection counts as open for as long as this lives.
pub(super) struct Draining {
    begun: watch::Receiver<bool>,
}

impl Drain {
    pub(super) fn new() -> Self {
        Self {
            begun: watch::Sender::new(false),
        }
    }

    /// For one more connection.
    pub(super) fn watcher(&self) -> Draining {
        Draining {
            begun: self.begun.subscribe(),
        }
    }

    /// Tells the connections, and waits until each has ended.
    pub(super) async fn finish(self) {
        self.begun.send_replace(true);
        self.begun.closed().await;
    }
}

impl Draining {
    /// Resolves when the server stops.
    pub(super) async fn begun(&mut self) {
        // Without its sender there is no server left to wait for.
        let _told = self.begun.wait_for(|begun| *begun).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_ends_with_the_last_connection() {
        let drain = Drain::new();
        let mut early = drain.watcher();
        let late = drain.watcher();
        let finished = tokio::spawn(drain.finish());
        early.begun().await;
        drop(early);
        assert!(!finished.is_finished());
        drop(late);
        finished.await.expect("no panic");
    }
}
