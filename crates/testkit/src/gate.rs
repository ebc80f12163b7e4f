use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use tokio::sync::Notify;

/// Where a fake waits until the test lets it go on. Opens once and for all; cheap to clone.
#[derive(Clone, Default)]
pub struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    state: Mutex<State>,
    arrived: Condvar,
    opened: Notify,
}

#[derive(Default)]
struct State {
    open: bool,
    arrivals: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone through, now and later.
    pub fn open(&self) {
        self.0.state.lock().open = true;
        self.0.opened.notify_waiters();
    }

    /// Waits until `count` requests in all have come to the gate.
    #[track_caller]
    pub fn wait_for_arrivals(&self, count: usize) {
        let mut state = self.0.state.lock();
        while state.arrivals < count {
            let waited = self.0.arrived.wait_for(&mut state, crate::patience());
            assert!(
                !waited.timed_out(),
                "{} of {count} requests came to the gate",
                state.arrivals
            );
        }
    }

    /// Comes to the gate and waits until it is open.
    pub(crate) async fn pass(&self) {
        // Registered before the state is read, so that an opening in between is not missed.
        let opened = self.0.opened.notified();
        tokio::pin!(opened);
        opened.as_mut().enable();
        {
            let mut state = self.0.state.lock();
            state.arrivals += 1;
            self.0.arrived.notify_all();
            if state.open {
                return;
            }
        }
        opened.await;
    }
}
