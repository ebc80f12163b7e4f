//! Names that may be given to git: judged before they stand in a command line or in a question.

use crate::{ObjectName, Refs};

/// Fewer digits are never an object's name (`codehost.minHashDigits`).
const LEAST_DIGITS: usize = 7;

/// True for a ref's full name that git itself would take (`git check-ref-format`), so that no pattern,
/// peeling, option or line end is in it.
pub(super) fn is_ref_name(name: &str) -> bool {
    let element = |element: &str| {
        !element.is_empty() && !element.starts_with('.') && !element.ends_with(".lock")
    };
    let byte = |byte: u8| {
        byte > b' '
            && byte != 0x7f
            && !matches!(byte, b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\')
    };
    name.len() <= 1024
        && name.contains('/')
        && name.bytes().all(byte)
        && name.split('/').all(element)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
}

/// True for a text that can be the beginning of an object's name.
pub(super) fn is_object_prefix(text: &str, hex_digits: usize) -> bool {
    (LEAST_DIGITS..=hex_digits).contains(&text.len()) && crate::repository::is_hex(text)
}

/// What a revision name is by a listing (`gitRepo.stat`): tag, branch, HEAD, the beginning of a listed
/// commit's name, or some whole object name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meant {
    /// A ref and its commit. `is_name` if the ref's name was asked for, not its commit's.
    Ref {
        name: String,
        commit: ObjectName,
        is_name: bool,
    },
    /// The beginning of an object's name that no ref has; it may lie in the history.
    Object(String),
    /// The beginning of several listed commits' names.
    Ambiguous,
    /// Nothing.
    Unknown,
}

/// Reads a revision name by a listing.
pub(super) fn meant(refs: &Refs, revision: &str) -> Meant {
    for name in [
        format!("refs/tags/{revision}"),
        format!("refs/heads/{revision}"),
    ] {
        if let Some(commit) = refs.get(&name) {
            return Meant::Ref {
                commit: commit.clone(),
                name,
                is_name: true,
            };
        }
    }
    if revision == "HEAD"
        && let Some(commit) = refs.head()
    {
        return Meant::Ref {
            name: "HEAD".to_owned(),
            commit: commit.clone(),
            is_name: true,
        };
    }
    let hex_digits = refs
        .iter()
        .next()
        .map_or(40, |(_, commit)| commit.as_str().len());
    if !is_object_prefix(revision, hex_digits) {
        return Meant::Unknown;
    }
    let mut found: Option<(&str, &ObjectName)> = None;
    // In the order of names: the first of several refs of one commit stands for it.
    for (name, commit) in refs.iter() {
        if commit.as_str().starts_with(revision) {
            match found {
                Some((_, other)) if other != commit => return Meant::Ambiguous,
                Some(_) => {}
                None => found = Some((name, commit)),
            }
        }
    }
    match found {
        Some((name, commit)) => Meant::Ref {
            name: name.to_owned(),
            commit: commit.clone(),
            is_name: false,
        },
        None => Meant::Object(revision.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_git_would_take_are_given_to_it() {
        let check =
            |name: &str, expected: bool| assert_eq!(is_ref_name(name), expected, "{name:?}");
        check("refs/tags/v1.0.0", true);
        check("refs/tags/sub/v1.0.0+incompatible", true);
        check("refs/heads/-x", true);
        check("refs/heads/ä", true);
        check("refs/tags/a..b", false);
        check("refs/tags/a\nb", false);
        check("refs/tags/a b", false);
        check("refs/tags/a\u{7f}", false);
        check("refs/tags/*", false);
        check("refs/tags/v1^{tree}", false);
        check("refs/tags/v1:path", false);
        check("refs/tags/@{u}", false);
        check("refs/tags/.a", false);
        check("refs/tags/a.lock", false);
        check("refs/tags/", false);
        check("refs/tags//a", false);
        check("refs/tags/a.", false);
        check("HEAD", false);
    }

    #[test]
    fn a_revision_is_a_tag_then_a_branch_then_head_then_a_hash() {
        let one = "1111111aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let two = "1111111bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        let three = "3333333333333333333333333333333333333333";
        let refs = Refs::parse(&format!(
            "{one}\tHEAD\n{one}\trefs/heads/main\n{two}\trefs/heads/both\n{three}\trefs/tags/both\n{three}\trefs/tags/v1\n"
        ));
        let check = |revision: &str, expected: &str| {
            let found = match meant(&refs, revision) {
                Meant::Ref {
                    name,
                    commit,
                    is_name,
                } => format!("{name} {} {is_name}", commit.short()),
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{revision}");
        };
        check("both", "refs/tags/both 333333333333 true");
        check("main", "refs/heads/main 1111111aaaaa true");
        check("HEAD", "HEAD 1111111aaaaa true");
        check("1111111a", "HEAD 1111111aaaaa false");
        check("3333333", "refs/tags/both 333333333333 false");
        check("1111111", "Ambiguous");
        check("333333", "Unknown");
        check("4444444", "Object(\"4444444\")");
        check("4444444G", "Unknown");
        check("refs/heads/main", "Unknown");
        check("", "Unknown");
        assert_eq!(meant(&Refs::default(), "HEAD"), Meant::Unknown);
    }
}
