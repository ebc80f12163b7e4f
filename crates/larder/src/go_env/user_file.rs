//! Changing the file that `go env -w` writes, as it does itself (`envcmd.updateEnvFile`): lines of other
//! variables stay as they are, the new ones come sorted, and the file appears whole or not at all. The file as it
//! was before is kept beside it, so that the change can be undone once.

use super::{parse, user_file};
use crate::settings::complaint::Complaint;
use crate::settings::environment::Environment;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What a variable shall become: a value, or nothing (`go env -u`).
pub(crate) type Wanted = BTreeMap<&'static str, Option<String>>;

/// One line that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
}

/// The user's file and what it would become.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) path: PathBuf,
    pub(crate) changes: Vec<Change>,
    text: String,
}

/// What a change of the user's file would do. Writes nothing.
pub(crate) fn plan(environment: &Environment, wanted: &Wanted) -> Result<Plan, Complaint> {
    let path = file(environment)?;
    let before = read(&path)?;
    let text = changed(&before, wanted);
    Ok(Plan {
        changes: changes(&before, &text),
        path,
        text,
    })
}

impl Plan {
    /// Writes the file; keeps what it was before for [`undo`].
    pub(crate) fn write(&self) -> Result<(), Complaint> {
        replace(&kept(&self.path), &read(&self.path)?)?;
        replace(&self.path, &self.text)
    }
}

/// What undoing the last [`Plan::write`] would change. Undoing twice brings the change back.
pub(crate) fn undo(environment: &Environment) -> Result<Plan, Complaint> {
    let path = file(environment)?;
    let kept = kept(&path);
    let text = match fs_err::read_to_string(&kept) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Complaint::new("there is nothing to undo")
                .hint("`larder env use` keeps the file as it was when it changes it"));
        }
        Err(error) => return Err(Complaint::from_error(error)),
    };
    Ok(Plan {
        changes: changes(&read(&path)?, &text),
        path,
        text,
    })
}

fn file(environment: &Environment) -> Result<PathBuf, Complaint> {
    user_file(environment).ok_or_else(|| {
        Complaint::new("go reads no file of yours here: GOENV is `off`, or there is no home folder")
            .hint("unset GOENV, or set HOME")
    })
}

fn read(path: &Path) -> Result<String, Complaint> {
    match fs_err::read(path) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
            Complaint::new(format!("`{}` is not UTF-8 text", path.display()))
                .hint("mend or remove it; go itself would read it byte by byte")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Complaint::from_error(error)),
    }
}

fn kept(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".before-larder");
    PathBuf::from(name)
}

fn changed(before: &str, wanted: &Wanted) -> String {
    let is_ours = |line: &str| {
        line.split_once('=')
            .is_some_and(|(name, _)| wanted.contains_key(name))
    };
    let mut lines: Vec<String> = before
        .lines()
        .filter(|line| !is_ours(line))
        .map(str::to_owned)
        .collect();
    let new = wanted
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
    lines.extend(new);
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn changes(before: &str, after: &str) -> Vec<Change> {
    let values = |text: &str| -> BTreeMap<String, String> {
        parse(text)
            .into_iter()
            .map(|(name, value, _)| (name, value))
            .collect()
    };
    let (before, after) = (values(before), values(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| Change {
            name: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .collect()
}

/// Writes a file beside and renames it into place. It may hold passwords, so only its owner may read it.
fn replace(path: &Path, text: &str) -> Result<(), Complaint> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs_err::create_dir_all(folder).map_err(Complaint::from_error)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Complaint::from_error)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .map_err(Complaint::from_error)?;
    file.persist(path)
        .map(drop)
        .map_err(|error| Complaint::from_error(error.error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(pairs: &[(&'static str, Option<&str>)]) -> Wanted {
        pairs
            .iter()
            .map(|(name, value)| (*name, value.map(str::to_owned)))
            .collect()
    }

    #[test]
    fn other_lines_of_the_file_stay_and_a_change_can_be_undone() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("env");
        fs_err::write(&file, "# mine\nGOFLAGS=-v\nGOPROXY=https://old.example\n").unwrap();
        let environment: Environment = [("GOENV", file.as_os_str())].into_iter().collect();
        let plan = plan(
            &environment,
            &wanted(&[("GOPROXY", Some("https://new.example")), ("GOFLAGS", None)]),
        )
        .unwrap();
        assert_eq!(plan.changes.len(), 2);
        plan.write().unwrap();
        assert_eq!(
            fs_err::read_to_string(&file).unwrap(),
            "# mine\nGOPROXY=https://new.example\n"
        );
        undo(&environment).unwrap().write().unwrap();
        assert_eq!(
            fs_err::read_to_string(&file).unwrap(),
            "# mine\nGOFLAGS=-v\nGOPROXY=https://old.example\n"
        );
    }

    #[test]
    fn without_a_file_there_is_nothing_to_undo_and_goenv_off_is_said() {
        let home = tempfile::tempdir().unwrap();
        let environment: Environment = [("GOENV", home.path().join("env").as_os_str())]
            .into_iter()
            .collect();
        assert_eq!(
            undo(&environment).unwrap_err().text,
            "there is nothing to undo"
        );
        let off: Environment = [("GOENV", "off")].into_iter().collect();
        assert!(
            plan(&off, &Wanted::new())
                .unwrap_err()
                .text
                .contains("GOENV")
        );
    }
}
