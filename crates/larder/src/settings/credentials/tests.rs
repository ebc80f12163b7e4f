use super::*;
use crate::settings::resolve::resolve;
use crate::settings::written::Purpose;

/// A home folder with a settings file, and files beside it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn new(settings: &str) -> Self {
        let home = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        home.write("larder.toml", settings, 0o600);
        home
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.folder.path().join(name);
        fs_err::write(&path, text).unwrap();
        let mode = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(&path, mode).unwrap();
    }

    fn flags(&self) -> Vec<(&'static str, String)> {
        let file = self.folder.path().join("larder.toml");
        vec![("config", file.display().to_string())]
    }

    fn environment(&self, variables: &[(&str, &str)]) -> Environment {
        let home = self.folder.path().to_str().unwrap();
        let own = [
            ("HOME", home),
            ("PATH", "/usr/bin:/bin"),
            ("GOENV", "off"),
            ("GOPROXY", "https://go.example"),
        ];
        own.iter().chain(variables).copied().collect()
    }

    /// The rules and the warnings, or what is wrong, as a terminal shows it; with this folder as `HOME`.
    fn resolve(&self, variables: &[(&str, &str)]) -> Result<(Vec<CredentialRule>, String), String> {
        let environment = self.environment(variables);
        let written = Written::collect(&self.flags(), &environment, Purpose::Serve);
        let home = self.folder.path().display().to_string();
        match resolve(&written, &environment) {
            Ok(resolved) => {
                let warnings = resolved.warnings.join("\n").replace(&home, "HOME");
                Ok((resolved.config.credentials.rules, warnings))
            }
            Err(complaints) => {
                let texts: String = complaints.iter().map(Complaint::render).collect();
                Err(texts.replace(&home, "HOME"))
            }
        }
    }
}

/// Name, protocol and description of each rule.
fn told(rules: &[CredentialRule]) -> String {
    let lines = rules.iter().map(|rule| {
        let (name, grant) = (rule.name(), &rule.grant);
        let place = rule
            .written_at
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        format!(
            "{name} ({}, {place}): {}",
            grant.protocol(),
            grant.describe()
        )
    });
    lines.collect::<Vec<String>>().join("\n")
}

#[test]
fn every_kind_of_credential_is_read_from_the_file_and_the_variable() {
    let home = Home::new(
        r#"
[[credential]]
match = "git.example/team"
token_file = "token"

[[credential]]
match = "git.example"
user = "ann"
password_env = "GIT_PASSWORD"

[[credential]]
match = "git.example/team"
ssh_key = "key"

[[credential]]
match = "vault.example:8443"
command = ["/bin/echo", "get"]

[[credential]]
match = "sh.example"
command = "sh"

[[credential]]
match = "gitlab.example"
gitlab_job_token = { token_env = "CI_JOB_TOKEN" }

[[credential]]
match = "gitlab.example/group"
gitlab_deploy_token = { user = "gitlab+deploy-token-1", token_file = "token" }

[profile.prod]
[[profile.prod.credential]]
match = "git.example"
token_file = "token"
"#,
    );
    home.write("token", "s3cret\n", 0o600);
    home.write("key", "s3cret", 0o600);
    let variables = [
        ("GIT_PASSWORD", "s3cret"),
        ("CI_JOB_TOKEN", "s3cret"),
        (
            "LARDER_CREDENTIALS",
            "https://bob:s3c%40ret@git.example/a/b.git\n https://s3cret@other.example:8443 ",
        ),
        ("LARDER_PROFILE", "prod"),
    ];
    let (rules, warnings) = home.resolve(&variables).unwrap();
    assert_eq!(warnings, "");
    let told = told(&rules).replace(&home.folder.path().display().to_string(), "HOME");
    insta::assert_snapshot!(told, @r"
    [[credential]] git.example/team (https, larder.toml:2): a token from the file `HOME/token`
    [[credential]] git.example (https, larder.toml:6): user `ann`, password from the variable `GIT_PASSWORD`
    [[credential]] git.example/team (ssh, larder.toml:11): the SSH key `HOME/key`
    [[credential]] vault.example:8443 (https, larder.toml:15): the command `/bin/echo`
    [[credential]] sh.example (https, larder.toml:19): the command `sh`
    [[credential]] gitlab.example (https, larder.toml:23): user `gitlab-ci-token`, password from the variable `CI_JOB_TOKEN`
    [[credential]] gitlab.example/group (https, larder.toml:27): user `gitlab+deploy-token-1`, password from the file `HOME/token`
    [[credential]] git.example (https, larder.toml:32 (prod)): a token from the file `HOME/token`
    LARDER_CREDENTIALS git.example/a/b (https, LARDER_CREDENTIALS, entry 1): user `bob`, password from the variable `LARDER_CREDENTIALS`
    LARDER_CREDENTIALS other.example:8443 (https, LARDER_CREDENTIALS, entry 2): a token from the variable `LARDER_CREDENTIALS`
    ");
}

#[test]
fn everything_that_is_wrong_with_credentials_is_said_at_once_and_shows_no_secret() {
    let home = Home::new(
        r#"
[[credential]]
token_file = "token"

[[credential]]
match = "https://ann:s3cret@git.example"
token_file = "token"

[[credential]]
match = "git.example/a"
tokenfile = "token"

[[credential]]
match = "git.example/b"
token = "s3cret"

[[credential]]
match = "git.example/c"
token_file = "token"
ssh_key = "key"

[[credential]]
match = "git.example/d"
token_file = "missing.txt"

[[credential]]
match = "git.example/e"
token_env = "ghp_s3cret"

[[credential]]
match = "git.example/f"
token_env = "NOT_SET"

[[credential]]
match = "git.example/g"
token_file = "ghp_s3cret0123456789"

[[credential]]
match = "git.example/h"
user = "ann"

[[credential]]
match = "git.example/i"
command = "helper get"

[[credential]]
match = "git.example/j"
command = ["no-such-program-anywhere"]

[[credential]]
match = "git.example/k"
github_app = { id = 1, installation = "x", private_key = "s3cret", api = "http://git.example" }

[[credential]]
match = "git.example/l"
github_app = { id = 1, installation = 2, key_file = "token" }

[[credential]]
match = "git.example/m"
gitlab_job_token = "s3cret"

[[credential]]
match = "git.example/n"
token_file = "empty"
user = "ann"

[[credential]]
match = "git.example/o"
token_file = "empty"

[[credential]]
match = "git.example/d/"
password_file = "token"
user = "a:s3cret"

[[credential]]
match = "git.example/o"
token_file = "token"

[[credential]]
match = "git.example/p"
"#,
    );
    home.write("token", "s3cret", 0o600);
    home.write("empty", "\n", 0o600);
    let variables = [(
        "LARDER_CREDENTIALS",
        "s3cret https://git.example/x http://a:s3cret@h",
    )];
    let complaints = home.resolve(&variables).unwrap_err();
    assert!(!complaints.contains("s3cret"), "{complaints}");
    insta::assert_snapshot!(complaints, @r#"
    error: HOME/larder.toml:2: `[[credential]]` without `match`
    hint: write `match = "git.example"` or `match = "git.example/team"`
    error: HOME/larder.toml:6: `credential.match` begins with `https://`: it is a host, or a host and a path, without a scheme
    hint: write `match = "git.example"` or `match = "git.example/team"`
    error: HOME/larder.toml:11: unknown key `credential.tokenfile`
    hint: did you mean `token_file`?
    error: HOME/larder.toml:15: `credential.token`: a secret can't stand in the settings file
    hint: put it into a file of its own and name that as `token_file`
    error: HOME/larder.toml:17: `[[credential]]` for `git.example/c` grants in two ways, `token_file` and `ssh_key`
    hint: write a `[[credential]]` table for each
    error: HOME/larder.toml:28: `credential.token_env` must be the name of an environment variable
    hint: name the variable, such as `CI_JOB_TOKEN`; the secret itself stays out of the file
    error: HOME/larder.toml:38: `credential` needs `password_file` or `password_env`
    error: HOME/larder.toml:44: `credential.command` has a space in its program: no shell splits it
    hint: write `command = ["/usr/local/bin/git-credential-vault", "get"]`
    error: HOME/larder.toml:52: `credential.github_app.private_key`: a secret can't stand in the settings file
    hint: put it into a file of its own and name that as `key_file`
    error: HOME/larder.toml:52: `credential.github_app` needs `id` and `installation`, both numbers
    hint: write `github_app = { id = 12345, installation = 67890, key_file = "/etc/larder/app.pem" }`
    error: HOME/larder.toml:52: `credential` needs `github_app.key_file` or `github_app.key_env`
    error: HOME/larder.toml:52: `credential.github_app.api` must be an `https://` URL without a user
    hint: write `api = "https://github.corp.example/api/v3"`, or leave it out
    error: HOME/larder.toml:60: `credential.gitlab_job_token` must be a table
    hint: write `gitlab_job_token = { … }` with `token_file`, `token_env`
    error: HOME/larder.toml:62: `[[credential]]` for `git.example/n` grants in two ways, `token_file` and `user`
    hint: a token that has a user of its own is written `user` with `password_file` or `password_env`
    error: HOME/larder.toml:71: `credential.user` must be a text without colons
    error: HOME/larder.toml:76: there are two credentials for `git.example/o` over https: the other is in line 67
    error: HOME/larder.toml:80: `[[credential]]` for `git.example/p` grants nothing
    hint: write one of `token_file`, `token_env`, `user` with `password_file` or `password_env`, `ssh_key`, `command`, `github_app`, `gitlab_job_token`, `gitlab_deploy_token`
    error: HOME/larder.toml:22: `credential.token_file` is `HOME/missing.txt`: its file is not there
    error: HOME/larder.toml:30: `credential.token_env` is `NOT_SET`, a variable that is not set
    error: HOME/larder.toml:34: `credential.token_file` names no file that can be used
    hint: if that is the secret itself, put it into a file of its own, name that, and make a new secret
    error: HOME/larder.toml:46: `credential.command` is `no-such-program-anywhere`, which is not found in `PATH`
    hint: give the whole path
    error: HOME/larder.toml:54: `credential.github_app.key_file` is `HOME/token`: the app's key is no private key in PEM form
    error: HOME/larder.toml:67: `credential.token_file` is `HOME/empty`: its file is empty
    error: LARDER_CREDENTIALS: entry 1 is no URL
    hint: write `https://USER:PASSWORD@HOST/PATH` or `https://TOKEN@HOST/PATH`, spaces between them, `%40` for an `@` in a password
    error: LARDER_CREDENTIALS: entry 2 holds no user and no token
    hint: write `https://USER:PASSWORD@HOST/PATH` or `https://TOKEN@HOST/PATH`, spaces between them, `%40` for an `@` in a password
    error: LARDER_CREDENTIALS: entry 3 does not begin with `https://`
    hint: write `https://USER:PASSWORD@HOST/PATH` or `https://TOKEN@HOST/PATH`, spaces between them, `%40` for an `@` in a password
    "#);
}

#[test]
fn a_secret_that_others_may_read_is_worth_a_warning() {
    let home = Home::new(
        "[[credential]]\nmatch = 'a.example'\ntoken_file = 'token'\n[[credential]]\nmatch = 'a.example'\nssh_key = 'key'\n",
    );
    home.write("token", "s3cret", 0o644);
    home.write("key", "s3cret", 0o640);
    let (_, warnings) = home.resolve(&[]).unwrap();
    insta::assert_snapshot!(warnings, @r"
    every user of this machine may read the secret in `HOME/token`: `chmod 600 HOME/token`
    others than its owner may use the SSH key `HOME/key`, and ssh refuses such a key: `chmod 600 HOME/key`
    ");
}

#[test]
fn the_layers_are_read_again_with_the_netrc_file() {
    let home = Home::new("");
    home.write(".netrc", "machine n.example login a password b", 0o600);
    let environment = home.environment(&[("LARDER_CREDENTIALS", "https://t@v.example")]);
    let written = Written::collect(&home.flags(), &environment, Purpose::Serve);
    let source = source(&written, &environment);
    assert_eq!(source.files.len(), 2);
    let read = || (source.read)().map(|book| (book.rules.len(), format!("{:?}", book.netrc)));
    assert_eq!(read().unwrap(), (1, "Netrc(1 entries)".to_owned()));
    home.write("token", "t", 0o600);
    home.write(
        "larder.toml",
        "[[credential]]\nmatch = 'a.example'\ntoken_file = 'token'\n",
        0o600,
    );
    assert_eq!(read().unwrap().0, 2);
    home.write(
        "larder.toml",
        "[[credential]]\nmatch = 'a.example'\n",
        0o600,
    );
    let error = read().unwrap_err();
    assert!(
        error.contains("larder.toml:1: `[[credential]]` for `a.example` grants nothing"),
        "{error}"
    );
}
