//! Two upstreams that carry the same modules in different bytes, each behind a [`Pipe`], and the faults that
//! one of them can have.
//!
//! The zips of the first are deflated and those of the second stored: the same `h1:`, other bytes and another
//! length, as two mirrors may well serve. Whoever splices them gets a broken zip.

#[cfg(test)]
mod tests;

use crate::{Behaviour, FakeUpstream, Link, Module, Pipe, ZipVariant};
use bytes::Bytes;

/// Both of them.
pub struct Twins {
    /// Serves the zips as Go makes them.
    pub first: Twin,
    /// Serves them stored.
    pub second: Twin,
}

/// An upstream and the network in front of it.
pub struct Twin {
    /// What counts the requests that got through.
    pub upstream: FakeUpstream,
    /// What clients dial.
    pub pipe: Pipe,
    usual: Link,
    modules: Vec<Module>,
    /// Path and content of every zip.
    zips: Vec<(String, Bytes)>,
}

/// What can be wrong with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Connections are accepted and nothing comes.
    Stall,
    /// Connections are reset.
    Reset,
    /// 1000 bytes a second.
    Trickle,
    /// Every answer is a 500.
    ServerError,
    /// Every zip holds one file more than it should, so that its `h1:` is another.
    Lie,
    /// Nobody listens.
    Refuse,
}

impl Twins {
    /// Starts both, with all of these modules, behind pipes with this link.
    pub fn start(modules: &[Module], usual: Link) -> Self {
        Self {
            first: Twin::start(modules, &ZipVariant::AsGo, usual),
            second: Twin::start(modules, &ZipVariant::OtherBytes, usual),
        }
    }
}

impl Twin {
    fn start(modules: &[Module], variant: &ZipVariant, usual: Link) -> Self {
        let upstream = FakeUpstream::start();
        let mut zips = Vec::new();
        for module in modules {
            upstream.add(module);
            zips.push((module.url_path("zip"), module.zip_as(variant)));
        }
        let twin = Self {
            pipe: Pipe::to(upstream.address()),
            upstream,
            usual,
            modules: modules.to_vec(),
            zips,
        };
        twin.heal();
        twin
    }

    /// Its URL through the pipe, without a slash at the end.
    pub fn url(&self) -> String {
        self.pipe.url()
    }

    /// The right zip that it has at this path, whatever is wrong with it now.
    pub fn zip(&self, path: &str) -> Option<&Bytes> {
        let mut zips = self.zips.iter();
        zips.find(|(known, _)| known == path).map(|(_, zip)| zip)
    }

    /// Changes the link that it has when nothing is wrong, from the next [`heal`](Self::heal) on.
    pub fn set_usual(&mut self, usual: Link) {
        self.usual = usual;
    }

    /// Has this fault from now on, besides those it already has.
    pub fn break_with(&self, fault: Fault) {
        match fault {
            Fault::Stall => self.pipe.stall(),
            Fault::Reset => self.pipe.reset(),
            Fault::Trickle => self.pipe.trickle(),
            Fault::Refuse => self.pipe.refuse(),
            Fault::ServerError => {
                let broken = Behaviour::normal().status(500, "internal server error\n");
                self.upstream.misbehave_under("/", broken);
            }
            Fault::Lie => self.lie(),
        }
    }

    /// Has no fault any more.
    pub fn heal(&self) {
        self.upstream.behave();
        for (path, zip) in &self.zips {
            self.upstream.serve(path, zip.clone(), "application/zip");
        }
        self.pipe.pass(self.usual);
    }

    fn lie(&self) {
        let lies: Vec<Bytes> = self
            .modules
            .iter()
            .map(|module| {
                let other = module.clone().file("lie.go", "package lie\n");
                other.zip_as(&ZipVariant::OtherBytes)
            })
            .collect();
        for ((path, _), lie) in self.zips.iter().zip(lies) {
            self.upstream.serve(path, lie, "application/zip");
        }
    }
}
