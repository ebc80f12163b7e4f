//! For tests: names that lead where the test says, and elsewhere at the second look if it says so.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::AddressGuard;
use crate::address::Lookup;
use crate::raw_server::{RawServer, Step};

/// An address of this machine that [`Names::guard`] takes for a public one.
pub(crate) const AS_IF_PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// The names of a test: all others have no address.
#[derive(Debug)]
pub(crate) struct Names {
    /// Each look takes the next address; the last one stays.
    known: HashMap<&'static str, Vec<SocketAddr>>,
    looks: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn new(names: &[(&'static str, &[SocketAddr])]) -> Arc<Self> {
        let known = names.iter().map(|(name, found)| (*name, found.to_vec()));
        Arc::new(Self {
            known: known.collect(),
            looks: Mutex::default(),
        })
    }

    /// The names that were looked up so far, in order.
    pub(crate) fn looks(&self) -> Vec<String> {
        self.looks.lock().clone()
    }

    /// The rule over these names.
    pub(crate) fn guard(self: &Arc<Self>, guard: AddressGuard) -> Arc<AddressGuard> {
        Arc::new(guard.of_test(self.clone(), &[AS_IF_PUBLIC]))
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        let looked_before = {
            let mut looks = self.looks.lock();
            looks.push(host.to_owned());
            looks.iter().filter(|look| *look == host).count() - 1
        };
        let known = self.known.get(host).ok_or(io::ErrorKind::NotFound)?;
        let address = known.get(looked_before).or_else(|| known.last());
        Ok(address.copied().into_iter().collect())
    }
}

/// Two servers behind one port: what a name leads to at first, as if it were public, and this machine.
pub(crate) struct TwoServers {
    pub(crate) outer: RawServer,
    pub(crate) inner: RawServer,
    pub(crate) port: u16,
}

impl TwoServers {
    pub(crate) async fn start(
        script: impl Fn(usize, &str) -> Vec<Step> + Clone + Send + Sync + 'static,
    ) -> Self {
        loop {
            let outer = RawServer::start_at((AS_IF_PUBLIC, 0).into(), script.clone()).await;
            let outer = outer.unwrap();
            let port = outer.address.port();
            // The port may be somebody else's there.
            let inner = (Ipv4Addr::LOCALHOST, port).into();
            if let Ok(inner) = RawServer::start_at(inner, script.clone()).await {
                return Self { outer, inner, port };
            }
        }
    }

    /// A name that leads to the outer server at the first look, and to this machine from then on.
    pub(crate) fn rebinding(&self, name: &'static str) -> Arc<Names> {
        Names::new(&[(name, &[self.outer.address, self.inner.address])])
    }
}
