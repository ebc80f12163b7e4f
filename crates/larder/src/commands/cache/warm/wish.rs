//! What a file asks for: a go.sum, a go.mod, or a list of modules.

use super::super::supply::Wanted;
use super::all_files;
use crate::settings::complaint::Complaint;
use gomod::modfile::{ModFile, Mode};
use gomod::{FileKind, GoSum, H1, ModulePath, ModuleVersion, ParseError, Version};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// Files to bring, in the order in which they were named, each once.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) files: Vec<Wanted>,
    /// What go.sum says of some of them.
    pub(super) hashes: HashMap<Wanted, H1>,
    /// What is not fetched, and why.
    pub(super) skipped: Vec<String>,
    known: HashSet<Wanted>,
}

impl Wish {
    pub(super) fn add(&mut self, wanted: Wanted) {
        if self.known.insert(wanted.clone()) {
            self.files.push(wanted);
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        other.files.into_iter().for_each(|wanted| self.add(wanted));
        self.hashes.extend(other.hashes);
        self.skipped.extend(other.skipped);
    }
}

/// A file that names modules.
pub(super) enum Input {
    Wish(Wish),
    GoMod(Box<ModFile>),
}

impl Input {
    /// Tells what the text is by its first line, and reads it.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Complaint> {
        let first = text
            .lines()
            .map(|line| line.split("//").next().unwrap_or_default().trim())
            .find(|line| !line.is_empty() && !line.starts_with('#'))
            .unwrap_or_default();
        let fields: Vec<&str> = first.split_whitespace().collect();
        let is_go_sum = matches!(fields.as_slice(), [_, _, hash] if hash.contains(':') && hash.starts_with('h'));
        let wrong = |error: String| {
            Complaint::new(format!("`{}`: {error}", path.display()))
                .hint("give a go.mod or go.sum file, or a list with MODULE@VERSION on each line")
        };
        if is_go_sum {
            return go_sum(text)
                .map(Self::Wish)
                .map_err(|error| wrong(error.to_string()));
        }
        let directive = fields.first().copied().unwrap_or_default();
        if [
            "module",
            "go",
            "require",
            "toolchain",
            "replace",
            "exclude",
            "tool",
        ]
        .contains(&directive)
        {
            let go_mod = ModFile::parse(text.as_bytes(), Mode::Strict)
                .map_err(|errors| wrong(errors.to_string()))?;
            return Ok(Self::GoMod(Box::new(go_mod)));
        }
        list(text).map(Self::Wish).map_err(wrong)
    }
}

/// Every version that has a line for its zip: its three files. Every other one: its go.mod file.
fn go_sum(text: &str) -> Result<Wish, ParseError> {
    let mut wish = Wish::default();
    let mut zips = BTreeSet::new();
    let mut go_mods = BTreeSet::new();
    for line in GoSum::parse(text)?.lines {
        let module = ModulePath::parse(&line.module_path)
            .and_then(|path| ModuleVersion::new(path, Version::parse(&line.version)?));
        let module = match module {
            Ok(module) => module,
            Err(error) => {
                wish.skipped
                    .push(format!("{} {}: {error}", line.module_path, line.version));
                continue;
            }
        };
        let kind = if line.go_mod {
            FileKind::Mod
        } else {
            FileKind::Zip
        };
        let wanted = Wanted {
            module: module.clone(),
            kind,
        };
        wish.hashes.insert(wanted, line.hash);
        match line.go_mod {
            true => go_mods.insert(module),
            false => zips.insert(module),
        };
    }
    for module in &zips {
        all_files(module).for_each(|wanted| wish.add(wanted));
    }
    for module in go_mods {
        wish.add(Wanted {
            module,
            kind: FileKind::Mod,
        });
    }
    Ok(wish)
}

/// `MODULE@VERSION` on each line; `#` begins a comment.
fn list(text: &str) -> Result<Wish, String> {
    let mut wish = Wish::default();
    for (at, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (path, version) = line.split_once('@').unwrap_or((line, ""));
        let module = ModulePath::parse(path)
            .and_then(|path| ModuleVersion::new(path, Version::parse(version)?))
            .map_err(|error| format!("line {}: {error}", at + 1))?;
        all_files(&module).for_each(|wanted| wish.add(wanted));
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Wish {
        match Input::parse(Path::new("input"), text) {
            Ok(Input::Wish(wish)) => wish,
            Ok(Input::GoMod(_)) => panic!("a go.mod file"),
            Err(complaint) => panic!("{}", complaint.render()),
        }
    }

    fn names(wish: &Wish) -> Vec<String> {
        let name = |it: &Wanted| format!("{}.{}", it.module, it.kind.extension());
        wish.files.iter().map(name).collect()
    }

    #[test]
    fn a_go_sum_asks_for_three_files_of_a_zip_and_one_of_a_go_mod() {
        let hash = H1([7; 32]);
        let wish = wish(&format!(
            "example.com/a v1.0.0 {hash}\nexample.com/a v1.0.0/go.mod {hash}\nexample.com/b v1.1.0/go.mod {hash}\nexample.com/b bad {hash}\n"
        ));
        assert_eq!(
            names(&wish),
            [
                "example.com/a@v1.0.0.info",
                "example.com/a@v1.0.0.mod",
                "example.com/a@v1.0.0.zip",
                "example.com/b@v1.1.0.mod",
            ]
        );
        assert_eq!((wish.hashes.len(), wish.skipped.len()), (3, 1));
    }

    #[test]
    fn a_list_asks_for_three_files_of_each_line() {
        let wish = wish("# ours\n\nexample.com/a@v1.0.0 # why\nexample.com/a@v1.0.0\n");
        assert_eq!(wish.files.len(), 3);
        for (text, part) in [
            ("example.com/a\n", "line 1"),
            ("example.com/a@v1.0.0\nexample.com/a@main", "line 2"),
        ] {
            let Err(complaint) = Input::parse(Path::new("input"), text) else {
                panic!("`{text}` was read");
            };
            assert!(complaint.render().contains(part), "{}", complaint.render());
        }
    }

    #[test]
    fn a_go_mod_is_known_by_its_first_directive() {
        let input = Input::parse(Path::new("x"), "// ours\nmodule example.com/m\n\ngo 1.21\n");
        assert!(matches!(input, Ok(Input::GoMod(_))));
    }
}
