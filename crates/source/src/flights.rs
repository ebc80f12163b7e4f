//! One piece of work for all who ask for the same at the same time: of the checksum database, of discovery.
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// Work under way, by key. The work runs in a task of its own and outlives whoever asked first.
pub(crate) struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

/// A place on a flight.
pub(crate) struct Seat<V>(watch::Receiver<Option<V>>);

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self {
            under_way: Arc::default(),
        }
    }
}

impl<K: Eq + Hash + Clone + Send + 'static, V: Clone + Send + Sync + 'static> Flights<K, V> {
    /// Joins the flight of `key`, or starts it.
    pub(crate) fn join<W>(&self, key: K, start: impl FnOnce() -> W) -> Seat<V>
    where
        W: Future<Output = V> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(flight) = under_way.get(&key) {
            return Seat(flight.clone());
        }
        let (landed, flight) = watch::channel(None);
        under_way.insert(key.clone(), flight.clone());
        let landing = Landing {
            under_way: Arc::clone(&self.under_way),
            key,
        };
        let work = start();
        tokio::spawn(async move {
            let value = work.await;
            // Gone from the list before anyone hears of it: who comes later asks anew.
            drop(landing);
            landed.send_replace(Some(value));
        });
        Seat(flight)
    }
}

impl<V: Clone> Seat<V> {
    /// What came of it; `None` if the work died.
    pub(crate) async fn landed(mut self) -> Option<V> {
        let value = self.0.wait_for(Option::is_some).await.ok()?;
        value.clone()
    }
}

/// Takes a flight off the list, also when its work panics.
struct Landing<K: Eq + Hash, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.key);
    }
}
