use super::*;

#[test]
fn hosts_and_modules_are_told_apart_as_people_write_them() {
    let check = |text: &str, expected: &str| {
        let read = match Subject::parse(text) {
            Ok(Subject::Host(target)) => format!("host {target}"),
            Ok(Subject::Module { path, query }) => format!("module {path} {query}"),
            Err(_) => "refused".into(),
        };
        assert_eq!(read, expected, "{text}");
    };
    check("https://a.example/p", "host https://a.example/p");
    check("a.example:8443", "host https://a.example:8443/");
    check("a.example", "host https://a.example/");
    check("localhost:8080", "host https://localhost:8080/");
    check(
        "github.com/pkg/errors",
        "module github.com/pkg/errors latest",
    );
    check(
        "github.com/pkg/errors@v0.9.1",
        "module github.com/pkg/errors v0.9.1",
    );
    check("gopkg.in/yaml.v3@latest", "module gopkg.in/yaml.v3 latest");
    check("ftp://a.example", "refused");
}

#[test]
fn a_probe_asks_again_what_failed_and_of_code_hosts_the_module() {
    let check = |log: &str, expected: &str| {
        let findings = diagnosis::explain(log);
        let asked = findings
            .first()
            .and_then(subject_of)
            .map(|subject| match subject {
                Subject::Host(target) => format!("host {target}"),
                Subject::Module { path, query } => format!("module {path} {query}"),
            });
        assert_eq!(asked.as_deref(), Some(expected), "{log}");
    };
    check(
        "go: a.example/b@v1.0.0: reading http://127.0.0.1:3000/a.example/b/@v/v1.0.0.info: 500 Internal Server Error",
        "host http://127.0.0.1:3000/a.example/b/@v/v1.0.0.info",
    );
    check(
        "go: a.example/b@v1.0.0: read \"https:/mirror.example/@v/v1.0.0.zip\": unexpected EOF",
        "host https://mirror.example/",
    );
    check(
        "go: a.example/b@v1.0.0: invalid version: git ls-remote -q https://a.example/b in /tmp/x: exit status 128:\n\tfatal: could not read Username for 'https://a.example': terminal prompts disabled",
        "module a.example/b v1.0.0",
    );
}
