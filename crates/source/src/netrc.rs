//! Passwords from `.netrc`, as the go command reads them (`cmd/go/internal/auth`).

use std::fmt;
use std::io;
use std::path::Path;

use url::Url;

/// The passwords of a `.netrc` file. Never prints them.
#[derive(Clone, Default)]
pub struct Netrc {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    machine: String,
    login: String,
    password: String,
}

impl Netrc {
    /// Reads a file; one that is not there holds no passwords.
    pub fn load(path: &Path) -> io::Result<Self> {
        match fs_err::read(path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads the text of such a file. Never fails: what isn't understood is passed over.
    ///
    /// Words are taken in pairs, line by line; an entry counts once machine, login and password are
    /// known. `default` has no password of its own here, as in the go command, and a line that ends in it
    /// ends the file. A macro reaches to the next empty line.
    pub fn parse(text: &str) -> Self {
        let mut entries = Vec::new();
        let mut entry = Entry::empty();
        let mut in_macro = false;
        for line in text.split('\n') {
            if in_macro {
                in_macro = !line.is_empty();
                continue;
            }
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                let Some(value) = words.next() else {
                    if word == "default" {
                        return Self { entries };
                    }
                    break;
                };
                match word {
                    "machine" => {
                        entry = Entry::empty();
                        entry.machine = value.to_owned();
                    }
                    "login" => entry.login = value.to_owned(),
                    "password" => entry.password = value.to_owned(),
                    "macdef" => in_macro = true,
                    _ => {}
                }
                if entry.is_complete() {
                    entries.push(std::mem::replace(&mut entry, Entry::empty()));
                }
            }
        }
        Self { entries }
    }

    /// The login and password for a URL: only over https, only for exactly this host (with its port
    /// where it is not 443); the first entry wins.
    pub fn credentials(&self, url: &Url) -> Option<(&str, &str)> {
        if url.scheme() != "https" {
            return None;
        }
        let host = url.host_str()?;
        let machine = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        self.entries
            .iter()
            .find(|entry| entry.machine == machine)
            .map(|entry| (entry.login.as_str(), entry.password.as_str()))
    }
}

impl Netrc {
    /// The hosts that it has passwords for, as they are written.
    pub fn machines(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.machine.as_str())
    }
}

impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Netrc({} entries)", self.entries.len())
    }
}

impl Entry {
    fn empty() -> Self {
        Self {
            machine: String::new(),
            login: String::new(),
            password: String::new(),
        }
    }
    fn is_complete(&self) -> bool {
        !self.machine.is_empty() && !self.login.is_empty() && !self.password.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, url: &str, expected: Option<(&str, &str)>) {
        let netrc = Netrc::parse(text);
        assert_eq!(netrc.credentials(&Url::parse(url).unwrap()), expected);
    }

    #[test]
    fn a_machine_is_known_by_its_exact_name_over_https_only() {
        let text = "machine go.example login ann password s3cret\n";
        check(text, "https://go.example/x", Some(("ann", "s3cret")));
        check(text, "http://go.example/x", None);
        check(text, "https://sub.go.example/x", None);
        check(text, "https://go.example:8443/x", None);
        let with_port = "machine go.example:8443 login ann password s3cret";
        check(
            with_port,
            "https://go.example:8443/",
            Some(("ann", "s3cret")),
        );
    }

    #[test]
    fn the_first_of_two_entries_wins() {
        let text = "machine h login a password 1\nmachine h login b password 2";
        check(text, "https://h/", Some(("a", "1")));
    }

    #[test]
    fn an_entry_may_span_lines_and_a_half_one_does_not_count() {
        check(
            "machine h\n  login a\n  password 1\n",
            "https://h/",
            Some(("a", "1")),
        );
        check(
            "machine h login a\nmachine k login b password 2",
            "https://h/",
            None,
        );
        check(
            "machine h login a\nmachine k login b password 2",
            "https://k/",
            Some(("b", "2")),
        );
    }

    #[test]
    fn default_gives_no_password_and_ends_the_file() {
        check("default\nmachine h login a password 1", "https://h/", None);
        check("default login a password 1", "https://h/", None);
    }

    #[test]
    fn a_macro_is_passed_over() {
        check(
            "macdef init\nmachine h login a password 1\n\nmachine h login b password 2",
            "https://h/",
            Some(("b", "2")),
        );
    }

    #[test]
    fn the_passwords_are_never_printed() {
        let netrc = Netrc::parse("machine h login ann password s3cret");
        assert_eq!(format!("{netrc:?}"), "Netrc(1 entries)");
    }
}
