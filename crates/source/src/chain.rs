//! The sources of a GOPROXY list, asked one after the other by Go's rules (`modfetch.TryProxies`).

use std::sync::Arc;

use async_trait::async_trait;
use gomod::{FallBack, FileKind, ModulePath, ModuleVersion, Revision};

use crate::breaker::Breaker;
use crate::{
    Fetched, Listing, Resolved, Roots, Sink, Source, SourceError, SourceErrorKind, SourceName,
};

/// One entry of a [`Chain`].
#[derive(Clone)]
pub struct ChainEntry {
    /// Who is asked.
    pub source: Arc<dyn Source>,
    /// The separator behind it.
    pub fall_back: FallBack,
    /// What is remembered of its outages, where it can have some.
    pub breaker: Option<Arc<Breaker>>,
}

/// What stands at the end of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// Its last source; `direct` is one like any other.
    Source,
    /// `direct`, but nothing here can fetch from repositories: why, as one clause. What the proxies before it
    /// know works all the same. What they do not know is nobody's absence to prove, but for two kinds of path that
    /// every `go get` asks for: one below a module that they know, which is a package's, and one without any
    /// repository.
    NoDirect(Arc<str>),
    /// `off`.
    Off,
}

/// A GOPROXY list.
#[derive(Clone)]
pub struct Chain {
    entries: Vec<ChainEntry>,
    end: ChainEnd,
    name: SourceName,
    roots: Option<Arc<dyn Roots>>,
}

/// True if the next source is asked after such a failure. The only place that knows `,` and `|`.
///
/// A complete file that was refused always sends us on: another source may have a good one. A sink that
/// cannot go on never does.
pub fn falls_through(kind: SourceErrorKind, fall_back: FallBack) -> bool {
    match kind {
        SourceErrorKind::NotExist | SourceErrorKind::Gone | SourceErrorKind::Rejected => true,
        SourceErrorKind::Sink | SourceErrorKind::Internal => false,
        _ => fall_back == FallBack::Any,
    }
}

/// Paths above one that are asked for a module; modules are not nested deeper.
const MOST_ABOVE: usize = 16;

/// Go's words for a list that ends in `off`.
const OFF: &str = "module lookup disabled by GOPROXY=off";

impl Chain {
    /// A chain of these entries in this order.
    pub fn new(entries: Vec<ChainEntry>, end: ChainEnd) -> Self {
        let name = match entries.first() {
            Some(entry) => entry.source.name(),
            None => match end {
                ChainEnd::NoDirect(_) => "direct".into(),
                ChainEnd::Source | ChainEnd::Off => "off".into(),
            },
        };
        Self {
            entries,
            end,
            name,
            roots: None,
        }
    }

    /// Asks these roots where the list ends in [`ChainEnd::NoDirect`]: what has none is absent.
    pub fn telling_absence_by(self, roots: Option<Arc<dyn Roots>>) -> Self {
        Self { roots, ..self }
    }

    /// What is told after the last source. `walk` has asked them all, or was stopped.
    async fn conclude(&self, walk: Walk<'_>, module_path: &ModulePath) -> SourceError {
        let has_all_been_asked = walk.reached_end;
        let error = walk.into_error();
        let ChainEnd::NoDirect(why) = &self.end else {
            return error;
        };
        let is_open = has_all_been_asked && error.is_absence();
        if !is_open || self.know_a_module_above(module_path).await {
            return error;
        }
        if let Some(roots) = &self.roots
            && let Err(said) = roots.locate(module_path).await
            && said.is_absence()
        {
            return said.on_the_way_to_repository_of(module_path);
        }
        let mut unserved = SourceError::new(
            SourceErrorKind::Unsupported,
            format!(
                "{module_path}: the upstreams before `direct` do not have it, and direct was not tried: {why}"
            ),
        );
        unserved.0.upstream_text = error.0.upstream_text;
        unserved.0.notes.push(
            "let this server have git (--git), or end its list of upstreams without `direct`"
                .to_owned(),
        );
        unserved
    }

    /// True if some source knows a module whose path the given one lies below.
    async fn know_a_module_above(&self, module_path: &ModulePath) -> bool {
        let mut path = module_path.as_str();
        for _ in 0..MOST_ABOVE {
            let Some((above, _)) = path.rsplit_once('/') else {
                return false;
            };
            path = above;
            // A host alone is hardly ever a module.
            let Some(above) = path.contains('/').then(|| ModulePath::parse(path).ok()) else {
                return false;
            };
            let Some(above) = above else { continue };
            for entry in &self.entries {
                let is_known = match entry.source.list(&above).await {
                    Ok(listing) if listing.versions.is_empty() => {
                        entry.source.latest(&above).await.is_ok()
                    }
                    Ok(_) => true,
                    Err(_) => false,
                };
                if is_known {
                    return true;
                }
            }
        }
        false
    }

    fn walk(&self) -> Walk<'_> {
        Walk {
            chain: self,
            next: 0,
            put_off: Vec::new(),
            stopped: false,
            reached_end: false,
            current: None,
            best: None,
        }
    }
}

#[async_trait]
impl Source for Chain {
    async fn list(&self, module_path: &ModulePath) -> Result<Listing, SourceError> {
        let mut walk = self.walk();
        while let Some(source) = walk.next_source() {
            match source.list(module_path).await {
                Ok(listing) => return Ok(listing),
                Err(error) => walk.failed(error),
            }
        }
        Err(self.conclude(walk, module_path).await)
    }

    async fn latest(&self, module_path: &ModulePath) -> Result<Resolved, SourceError> {
        let mut walk = self.walk();
        while let Some(source) = walk.next_source() {
            match source.latest(module_path).await {
                Ok(resolved) => return Ok(resolved),
                Err(error) => walk.failed(error),
            }
        }
        Err(self.conclude(walk, module_path).await)
    }

    async fn resolve(
        &self,
        module_path: &ModulePath,
        revision: &Revision,
    ) -> Result<Resolved, SourceError> {
        let mut walk = self.walk();
        while let Some(source) = walk.next_source() {
            match source.resolve(module_path, revision).await {
                Ok(resolved) => return Ok(resolved),
                Err(error) => walk.failed(error),
            }
        }
        Err(self.conclude(walk, module_path).await)
    }

    async fn fetch(
        &self,
        module: &ModuleVersion,
        kind: FileKind,
        sink: &mut dyn Sink,
    ) -> Result<Fetched, SourceError> {
        let mut walk = self.walk();
        while let Some(source) = walk.next_source() {
            match source.fetch(module, kind, sink).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => walk.failed(error),
            }
        }
        Err(self.conclude(walk, module.path()).await)
    }

    /// The name of the first source: answers carry the name of the one that gave them.
    fn name(&self) -> SourceName {
        self.name.clone()
    }
}

/// One way through a chain. Sources that are known to be down are put off to the end, but only where the
/// separators would have let us pass them after asking; nobody is ever refused without a source being asked.
struct Walk<'a> {
    chain: &'a Chain,
    next: usize,
    put_off: Vec<&'a ChainEntry>,
    stopped: bool,
    reached_end: bool,
    current: Option<&'a ChainEntry>,
    best: Option<SourceError>,
}

impl<'a> Walk<'a> {
    fn next_source(&mut self) -> Option<&'a dyn Source> {
        let entry = self.next_entry()?;
        self.current = Some(entry);
        Some(&*entry.source)
    }

    fn next_entry(&mut self) -> Option<&'a ChainEntry> {
        while !self.stopped {
            let Some(entry) = self.chain.entries.get(self.next) else {
                self.reached_end = true;
                break;
            };
            self.next += 1;
            let has_successor = self.next < self.chain.entries.len();
            let is_resting = entry
                .breaker
                .as_ref()
                .is_some_and(|breaker| breaker.is_resting());
            if !(is_resting
                && has_successor
                && falls_through(SourceErrorKind::Unreachable, entry.fall_back))
            {
                return Some(entry);
            }
            self.put_off.push(entry);
        }
        if self.put_off.is_empty() {
            None
        } else {
            Some(self.put_off.remove(0))
        }
    }

    fn failed(&mut self, error: SourceError) {
        let fall_back = self
            .current
            .map_or(FallBack::Absent, |entry| entry.fall_back);
        let kind = error.kind();
        if !falls_through(kind, fall_back) {
            self.stopped = true;
        }
        if !falls_through(kind, FallBack::Any) {
            self.put_off.clear();
        }
        let replaces = self
            .best
            .as_ref()
            .is_none_or(|best| rank(&error) >= rank(best));
        if replaces {
            self.best = Some(error);
        }
    }

    fn into_error(self) -> SourceError {
        let Some(mut error) = self.best else {
            return SourceError::new(
                SourceErrorKind::Off,
                match &self.chain.end {
                    ChainEnd::NoDirect(why) => {
                        format!("the list of upstreams holds nothing but `direct`, and {why}")
                    }
                    ChainEnd::Off | ChainEnd::Source => OFF.to_owned(),
                },
            );
        };
        if self.reached_end {
            match &self.chain.end {
                ChainEnd::Source => {}
                ChainEnd::NoDirect(why) => {
                    error.0.notes.push(format!("direct was not tried: {why}"));
                }
                ChainEnd::Off => error.0.notes.push(OFF.to_owned()),
            }
        }
        error
    }
}

/// Which of several failures is told: a refused file before trouble before absence, and of equals the last,
/// as in Go. So absence is said only where every source that was to be asked said so.
pub(crate) fn rank(error: &SourceError) -> u8 {
    match error.kind() {
        SourceErrorKind::NotExist | SourceErrorKind::Gone => 0,
        SourceErrorKind::Rejected => 2,
        SourceErrorKind::Sink => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
