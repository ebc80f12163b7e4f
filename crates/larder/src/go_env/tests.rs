use super::*;
use crate::settings::environment::Environment;

/// A home folder and a Go installation, empty at first.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
        self
    }

    /// HOME is `home`, PATH is `bin`; `more` comes on top.
    fn environment(&self, more: &[(&str, &str)]) -> Environment {
        let mut variables = vec![
            ("HOME".to_owned(), self.path("home").into_os_string()),
            ("PATH".to_owned(), self.path("bin").into_os_string()),
        ];
        variables.extend(
            more.iter()
                .map(|(name, value)| ((*name).to_owned(), value.into())),
        );
        variables.into_iter().collect()
    }

    fn lookup(&self, more: &[(&str, &str)], variable: &str) -> Option<String> {
        let found = GoEnv::read(&self.environment(more)).lookup(variable);
        found.map(|(value, _)| value)
    }
}

const USER_FILE: &str = "home/.config/go/env";

#[test]
#[cfg(target_os = "linux")]
fn the_environment_wins_over_the_users_file_and_that_over_the_installations() {
    let machine = Machine::new();
    machine
        .write(USER_FILE, "GOPROXY=https://user.example\n")
        .write(
            "goroot/go.env",
            "GOPROXY=https://installed.example\nGOSUMDB=sum.example\n",
        );
    let goroot = machine
        .path("goroot")
        .into_os_string()
        .into_string()
        .unwrap();
    let root = ("GOROOT", goroot.as_str());
    let check = |more: &[(&str, &str)], variable: &str, expected: Option<&str>| {
        assert_eq!(
            machine.lookup(more, variable).as_deref(),
            expected,
            "{more:?} {variable}"
        );
    };
    check(
        &[root, ("GOPROXY", "https://env.example")],
        "GOPROXY",
        Some("https://env.example"),
    );
    check(
        &[root, ("GOPROXY", "")],
        "GOPROXY",
        Some("https://user.example"),
    );
    check(&[root], "GOPROXY", Some("https://user.example"));
    check(&[root], "GOSUMDB", Some("sum.example"));
    check(
        &[root, ("GOENV", "off")],
        "GOPROXY",
        Some("https://installed.example"),
    );
    check(&[("GOENV", "off")], "GOPROXY", None);
    check(&[root], "GOPRIVATE", None);
}

#[test]
#[cfg(target_os = "linux")]
fn the_users_file_is_found_where_go_looks_for_it() {
    let machine = Machine::new();
    machine
        .write(USER_FILE, "GOPRIVATE=home\n")
        .write("config/go/env", "GOPRIVATE=xdg\n")
        .write("elsewhere", "GOPRIVATE=named\n");
    let config = machine
        .path("config")
        .into_os_string()
        .into_string()
        .unwrap();
    let elsewhere = machine
        .path("elsewhere")
        .into_os_string()
        .into_string()
        .unwrap();
    let check = |more: &[(&str, &str)], expected: Option<&str>| {
        assert_eq!(
            machine.lookup(more, "GOPRIVATE").as_deref(),
            expected,
            "{more:?}"
        );
    };
    check(&[], Some("home"));
    check(&[("XDG_CONFIG_HOME", &config)], Some("xdg"));
    check(&[("XDG_CONFIG_HOME", "relative")], None);
    check(
        &[("XDG_CONFIG_HOME", &config), ("GOENV", &elsewhere)],
        Some("named"),
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_variable_set_to_nothing_by_go_env_w_hides_the_installations() {
    let machine = Machine::new();
    machine
        .write(USER_FILE, "GOPROXY=\n")
        .write("goroot/go.env", "GOPROXY=https://installed.example\n");
    let goroot = machine
        .path("goroot")
        .into_os_string()
        .into_string()
        .unwrap();
    assert_eq!(machine.lookup(&[("GOROOT", &goroot)], "GOPROXY"), None);
}

#[test]
#[cfg(unix)]
fn the_installation_is_found_through_links_as_distributions_make_them() {
    let machine = Machine::new();
    machine
        .write("lib/go-1.26/bin/go", "")
        .write(
            "lib/go-1.26/go.env",
            "# defaults\nGOPROXY=https://installed.example\n",
        )
        .write("shims/go", "#!/bin/sh\n");
    fs_err::create_dir_all(machine.path("bin")).unwrap();
    fs_err::os::unix::fs::symlink("../lib/go-1.26/bin/go", machine.path("bin/go")).unwrap();
    let found = GoEnv::read(&machine.environment(&[])).lookup("GOPROXY");
    let (value, place) = found.unwrap();
    assert_eq!(value, "https://installed.example");
    let file = fs_err::canonicalize(machine.path("lib/go-1.26/go.env")).unwrap();
    assert_eq!(
        place,
        GoEnvPlace::File {
            path: file,
            line: 2
        }
    );

    // A version manager's stand-in before it leads nowhere.
    let path = std::env::join_paths([machine.path("shims"), machine.path("bin")]).unwrap();
    let found = machine.lookup(&[("PATH", path.to_str().unwrap())], "GOPROXY");
    assert_eq!(found.as_deref(), Some("https://installed.example"));
}

#[test]
fn lines_are_read_as_go_reads_them() {
    let check = |text: &str, expected: &[(&str, &str, usize)]| {
        let lines = parse(text);
        let lines: Vec<(&str, &str, usize)> = lines
            .iter()
            .map(|(name, value, line)| (name.as_str(), value.as_str(), *line))
            .collect();
        assert_eq!(lines, expected, "{text:?}");
    };
    check("", &[]);
    check("GOPROXY=a=b", &[("GOPROXY", "a=b", 1)]);
    check("# GOPROXY=a\n\nGOPROXY=b\n", &[("GOPROXY", "b", 3)]);
    check(" GOPROXY=a\ngoproxy=b\nGOPROXY\n=c\n", &[]);
    check("GOPROXY=\"a\" \r\n", &[("GOPROXY", "\"a\" \r", 1)]);
}

#[test]
#[cfg(target_os = "linux")]
fn the_last_line_of_a_name_counts() {
    let machine = Machine::new();
    machine.write(USER_FILE, "GOPROXY=first\nGOPROXY=second\n");
    assert_eq!(machine.lookup(&[], "GOPROXY").as_deref(), Some("second"));
}
