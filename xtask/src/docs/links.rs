//! Do the links of our Markdown files lead anywhere? Links to other files and to headings are
//! checked; links to other hosts are not, for the test command asks no network.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::{Outcome, repository};

/// Every link of the Markdown files among `files` that leads nowhere, with its place.
pub(super) fn broken(files: &[PathBuf]) -> Outcome<Vec<String>> {
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| is_markdown(file)) {
        let text = fs_err::read_to_string(repository::root().join(file))?;
        for (line, target) in links(&text) {
            if let Some(reason) = leads_nowhere(file, &target)? {
                broken.push(format!(
                    "{}:{line}: link to `{target}`: {reason}",
                    file.display()
                ));
            }
        }
    }
    Ok(broken)
}

fn is_markdown(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md")
}

fn leads_nowhere(file: &Path, target: &str) -> Outcome<Option<String>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let linked = if path.is_empty() {
        file.to_owned()
    } else {
        let Some(linked) = resolve(file.parent().unwrap_or_else(|| Path::new("")), path) else {
            return Ok(Some("leaves the repository".to_owned()));
        };
        linked
    };
    if !repository::root().join(&linked).exists() {
        return Ok(Some("no such file".to_owned()));
    }
    let Some(anchor) = anchor.filter(|_| is_markdown(&linked)) else {
        return Ok(None);
    };
    let headings = anchors(&fs_err::read_to_string(repository::root().join(&linked))?);
    Ok((!headings.contains(anchor)).then(|| format!("no such heading in {}", linked.display())))
}

/// The path relative to the repository's root; `None` above it.
fn resolve(folder: &Path, path: &str) -> Option<PathBuf> {
    let mut resolved = folder.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => {
                if !resolved.pop() {
                    return None;
                }
            }
            Component::Normal(name) => resolved.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(resolved)
}

/// Targets of `[text](target)` with their line numbers, outside of code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(text) {
        // Every second piece between backticks is code.
        let outside: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        for (at, _) in outside.match_indices("](") {
            let rest = outside.get(at + 2..).unwrap_or_default();
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
    }
    found
}

/// The anchors that a page offers: its headings as code hosts spell them, and explicit `id="…"`s.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        if let Some(heading) = line.strip_prefix('#') {
            let base = slug(heading.trim_start_matches('#').trim());
            let mut name = base.clone();
            let mut repeated = 0;
            while !anchors.insert(name) {
                repeated += 1;
                name = format!("{base}-{repeated}");
            }
        }
        for (at, _) in line.match_indices("id=\"") {
            let rest = line.get(at + 4..).unwrap_or_default();
            anchors.insert(rest.split('"').next().unwrap_or_default().to_owned());
        }
    }
    anchors
}

/// Lines outside of fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_fence = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
            return None;
        }
        (!in_fence).then_some((index + 1, line))
    })
}

fn slug(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => Some(letter),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{anchors, links, resolve};

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "See [a](a.md) and [b](<b.md>).\n```\n[c](c.md)\n```\n`[d](d.md)` [`e`](e.md#f \"title\")\n";
        let found: Vec<String> = links(text)
            .into_iter()
            .map(|(line, target)| format!("{line} {target}"))
            .collect();
        assert_eq!(found, ["1 a.md", "1 b.md", "5 e.md#f"]);
    }

    #[test]
    fn headings_become_anchors() {
        let found =
            anchors("# The rooms\n## `larder serve`: flags\n# The rooms\n<a id=\"odd\"></a>\n");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["larder-serve-flags", "odd", "the-rooms", "the-rooms-1"]
        );
    }

    #[test]
    fn a_link_stays_within_the_repository() {
        let folder = Path::new("docs/guides");
        assert_eq!(
            resolve(folder, "../README.md"),
            Some(PathBuf::from("docs/README.md"))
        );
        assert_eq!(resolve(folder, "../../../other"), None);
        assert_eq!(resolve(folder, "/etc/passwd"), None);
    }
}
