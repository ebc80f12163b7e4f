//! The module graph below a go.mod file, as far as `go mod download` would read it.
//!
//! Follows `readModGraph` of cmd/go/internal/modload: from Go 1.17 on, a module lists all that its packages need,
//! so that the requirements of such a module's requirements are not read (they are pruned); below a module of an
//! older Go everything is. The versions are those of minimal version selection. `go mod download` then fetches, for a
//! main module of Go 1.17 or later, the zips of what its go.mod names, and for an older one all of the graph.

use super::super::progress::Progress;
use super::super::supply::{Supplier, Wanted};
use super::wish::Wish;
use super::{Failed, all_files};
use gomod::modfile::{ModFile, Mode, Replacement};
use gomod::{FileKind, ModulePath, ModuleVersion, Version};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a graph needs.
#[derive(Default)]
pub(super) struct ReadGraph {
    pub(super) wish: Wish,
    pub(super) failed: Vec<Failed>,
    /// Files that were not stored before.
    pub(super) fetched: usize,
}

/// Whether requirements below a module are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pruning {
    Pruned,
    Unpruned,
}

impl Pruning {
    /// By the `go` line: 1.17 and later list everything themselves.
    fn of(go_mod: &ModFile) -> Self {
        let mut numbers = go_mod
            .go_version()
            .unwrap_or("1.16")
            .split(['.', 'r', 'b'])
            .map(|number| number.parse::<u32>().unwrap_or(0));
        let (major, minor) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(0));
        match (major, minor) >= (1, 17) {
            true => Self::Pruned,
            false => Self::Unpruned,
        }
    }
}

/// A requirement, after the main module's replacements.
enum Replaced {
    /// This version's files are used.
    By(ModuleVersion),
    /// A folder is, of whose requirements nothing is known here.
    Folder(String),
}

/// Reads the graph of `main`, whose go.mod files are fetched on the way.
pub(super) async fn read(supplier: &Supplier, main: &ModFile, progress: &Progress) -> ReadGraph {
    let mut graph = ReadGraph::default();
    let pruning = Pruning::of(main);
    let mut selected: BTreeMap<ModulePath, Version> = BTreeMap::new();
    let mut seen: HashSet<(ModuleVersion, Pruning)> = HashSet::new();
    let mut told: HashSet<ModuleVersion> = HashSet::new();
    let mut read: HashMap<ModuleVersion, Option<ModFile>> = HashMap::new();
    let mut front: Vec<(ModuleVersion, Pruning)> = Vec::new();
    for require in required(main, main) {
        select(&mut selected, &require);
        front.push((require, pruning));
    }
    while !front.is_empty() {
        front.retain(|node| seen.insert(node.clone()));
        let mut wanted = HashMap::new();
        for (module, _) in &front {
            if read.contains_key(module) {
                continue;
            }
            match replaced(main, module) {
                Replaced::By(other) => {
                    let file = Wanted {
                        module: other,
                        kind: FileKind::Mod,
                    };
                    wanted
                        .entry(file)
                        .or_insert_with(Vec::new)
                        .push(module.clone());
                }
                Replaced::Folder(folder) => {
                    if told.insert(module.clone()) {
                        graph.wish.skipped.push(format!(
                            "{module} is replaced by the folder `{folder}`; what that requires is not looked at"
                        ));
                    }
                    read.insert(module.clone(), None);
                }
            }
        }
        progress.expect_files(wanted.len());
        let all: Vec<Wanted> = wanted.keys().cloned().collect();
        supplier
            .bring_all(all, progress, |file, got| {
                let parsed = got.and_then(|got| {
                    graph.fetched += usize::from(!got.was_there);
                    let bytes = got.go_mod.unwrap_or_default();
                    ModFile::parse(&bytes, Mode::Lax).map_err(|errors| errors.to_string())
                });
                let parsed = match parsed {
                    Ok(parsed) => {
                        graph.wish.add(file.clone());
                        Some(parsed)
                    }
                    Err(reason) => {
                        graph.failed.push(Failed::new(&file, reason));
                        None
                    }
                };
                for module in wanted.get(&file).into_iter().flatten() {
                    read.insert(module.clone(), parsed.clone());
                }
            })
            .await;
        front = next_front(main, &front, &read, &mut selected);
    }
    let named: HashSet<ModulePath> = required(main, main)
        .map(|module| module.path().clone())
        .collect();
    for (path, version) in selected {
        if pruning == Pruning::Pruned && !named.contains(&path) {
            continue;
        }
        let Ok(module) = ModuleVersion::new(path, version) else {
            continue;
        };
        if let Replaced::By(module) = replaced(main, &module) {
            all_files(&module).for_each(|wanted| graph.wish.add(wanted));
        }
    }
    graph
}

/// What is read after `front`, whose go.mod files are in `read`.
fn next_front(
    main: &ModFile,
    front: &[(ModuleVersion, Pruning)],
    read: &HashMap<ModuleVersion, Option<ModFile>>,
    selected: &mut BTreeMap<ModulePath, Version>,
) -> Vec<(ModuleVersion, Pruning)> {
    let mut next = Vec::new();
    for (module, pruning) in front {
        let Some(Some(go_mod)) = read.get(module) else {
            continue;
        };
        let below = match pruning {
            Pruning::Unpruned => Pruning::Unpruned,
            Pruning::Pruned => Pruning::of(go_mod),
        };
        for require in required(go_mod, main) {
            // Known of, even where it is not read.
            select(selected, &require);
            if *pruning == Pruning::Unpruned || below == Pruning::Unpruned {
                next.push((require, below));
            }
        }
    }
    next
}

/// What a go.mod file requires, without what the main module excludes.
fn required<'file>(
    go_mod: &'file ModFile,
    main: &'file ModFile,
) -> impl Iterator<Item = ModuleVersion> + 'file {
    let is_excluded = |path: &str, version: &Version| {
        let named =
            |exclude: &gomod::modfile::Exclude| exclude.path == path && exclude.version == *version;
        main.exclude.iter().any(named)
    };
    go_mod.require.iter().filter_map(move |require| {
        if is_excluded(&require.path, &require.version) {
            return None;
        }
        let path = ModulePath::parse(&require.path).ok()?;
        ModuleVersion::new(path, require.version.clone()).ok()
    })
}

/// Minimal version selection: the highest version that anyone requires.
fn select(selected: &mut BTreeMap<ModulePath, Version>, module: &ModuleVersion) {
    let version = selected
        .entry(module.path().clone())
        .or_insert_with(|| module.version().clone());
    if *version < *module.version() {
        version.clone_from(module.version());
    }
}

/// What the main module's `replace` lines make of a requirement; one with a version counts before one without.
fn replaced(main: &ModFile, module: &ModuleVersion) -> Replaced {
    let of_path = || {
        main.replace
            .iter()
            .filter(|it| it.path == module.path().as_str())
    };
    let found = of_path()
        .find(|it| it.version.as_ref() == Some(module.version()))
        .or_else(|| of_path().find(|it| it.version.is_none()));
    match found.map(|it| &it.replacement) {
        None => Replaced::By(module.clone()),
        Some(Replacement::Directory(folder)) => Replaced::Folder(folder.clone()),
        Some(Replacement::Module { path, version }) => {
            let other =
                ModulePath::parse(path).and_then(|path| ModuleVersion::new(path, version.clone()));
            other.map_or_else(|_| Replaced::Folder(path.clone()), Replaced::By)
        }
    }
}
