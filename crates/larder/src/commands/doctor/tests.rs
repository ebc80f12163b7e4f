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
