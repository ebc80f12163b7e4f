//! The documents: references that are generated, links that must resolve, words that must not be
//! written.

mod links;

use std::collections::BTreeMap;
use std::process::Command;

use crate::{Outcome, process, repository};

/// Writes every generated reference.
///
/// # Errors
/// A page that Larder does not print, or a file that cannot be written.
pub(crate) fn write() -> Outcome {
    let folder = repository::root().join("docs/reference");
    for stale in stale_pages()? {
        fs_err::remove_file(folder.join(&stale))?;
        println!("removed docs/reference/{stale}");
    }
    for (name, page) in generated()? {
        let file = folder.join(&name);
        if let Some(parent) = file.parent() {
            fs_err::create_dir_all(parent)?;
        }
        if fs_err::read_to_string(&file).unwrap_or_default() != page {
            fs_err::write(file, page)?;
            println!("wrote docs/reference/{name}");
        }
    }
    Ok(())
}

/// # Errors
/// Everything that is out of date, broken or not to be written, each on a line with its place.
pub(crate) fn check() -> Outcome {
    let files = repository::files()?;
    let mut wrong = out_of_date()?;
    wrong.extend(links::broken(&files)?);
    wrong.extend(forbidden_words(&files)?);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

/// The pages of `docs/reference` by file name: what `larder __reference` prints.
fn generated() -> Outcome<BTreeMap<String, String>> {
    let printed = process::output(
        process::cargo()
            .args(["run", "--quiet", "--package", "larder", "--", "__reference"])
            .current_dir(repository::root()),
    )?;
    Ok(serde_json::from_str(&printed)?)
}

/// Pages of causes that are in the catalogue no more.
fn stale_pages() -> Outcome<Vec<String>> {
    let pages = generated()?;
    let folder = repository::root().join("docs/reference/causes");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut stale = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let name = format!("causes/{}", entry?.file_name().to_string_lossy());
        if !pages.contains_key(&name) {
            stale.push(name);
        }
    }
    Ok(stale)
}

/// Pages that differ from what would be written now.
fn out_of_date() -> Outcome<Vec<String>> {
    let mut old = Vec::new();
    for (name, page) in generated()? {
        let file = repository::root().join("docs/reference").join(&name);
        if fs_err::read_to_string(file).unwrap_or_default() != page {
            old.push(format!(
                "docs/reference/{name} is out of date: `cargo xtask docs` writes it"
            ));
        }
    }
    for name in stale_pages()? {
        old.push(format!(
            "docs/reference/{name} is of no cause: `cargo xtask docs` removes it"
        ));
    }
    Ok(old)
}

/// Places that name the public module mirror or a path of this machine.
///
/// The project compiles in no mirror's address and its documents recommend none: the user's own go
/// command says which one to use. So the words to look for are read from the go command too.
fn forbidden_words(files: &[std::path::PathBuf]) -> Outcome<Vec<String>> {
    let mut words: Vec<(String, &str)> = mirror_hosts()
        .into_iter()
        .map(|host| {
            (
                host,
                "names a module mirror; write `$(go env GOPROXY)` or https://mirror.example",
            )
        })
        .collect();
    words.push((
        format!("{}/", repository::root().display()),
        "names a folder of this machine",
    ));
    let mut found = Vec::new();
    for file in files {
        let bytes = fs_err::read(repository::root().join(file))?;
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate() {
            for (word, reason) in &words {
                if line.contains(word.as_str()) {
                    found.push(format!("{}:{}: {reason}", file.display(), number + 1));
                }
            }
        }
    }
    Ok(found)
}

/// The hosts of the GOPROXY list in force and of the one that Go ships with. None without `go`.
fn mirror_hosts() -> Vec<String> {
    let ask =
        |name: &str| process::output(Command::new("go").args(["env", name])).unwrap_or_default();
    let shipped = std::path::Path::new(ask("GOROOT").trim()).join("go.env");
    let shipped = fs_err::read_to_string(shipped).unwrap_or_default();
    let shipped = shipped
        .lines()
        .find_map(|line| line.strip_prefix("GOPROXY="))
        .unwrap_or_default();
    let mut hosts: Vec<String> = [ask("GOPROXY").as_str(), shipped]
        .into_iter()
        .flat_map(hosts_of_list)
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// The host names in a GOPROXY list; addresses of this machine are no one's mirror.
fn hosts_of_list(list: &str) -> Vec<String> {
    list.split([',', '|'])
        .filter_map(|entry| entry.trim().split_once("://"))
        .filter(|(scheme, _)| scheme.starts_with("http"))
        .filter_map(|(_, rest)| rest.split('/').next())
        .map(|authority| authority.rsplit('@').next().unwrap_or(authority))
        .filter_map(|authority| authority.split(':').next())
        .filter(|host| host.contains('.') && !host.starts_with("127."))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::hosts_of_list;

    #[test]
    fn hosts_are_read_from_every_entry_of_a_list() {
        let check = |list: &str, hosts: &[&str]| assert_eq!(hosts_of_list(list), hosts, "{list}");
        check("https://mirror.example,direct", &["mirror.example"]);
        check(
            "https://user:word@a.example:8443/go|http://b.example\n",
            &["a.example", "b.example"],
        );
        check(
            "http://127.0.0.1:8080,http://localhost:1,file:///srv/go.d,off",
            &[],
        );
        check("", &[]);
    }
}
