use serde_json::{Value, json};

use super::*;

fn strict(text: &str) -> ModFile {
    ModFile::parse(text.as_bytes(), Mode::Strict).unwrap()
}

/// What `fixtures/modfile` prints of a parsed file, from our types.
fn as_recorded(input: &str, mode: Mode) -> Value {
    let file = match ModFile::parse(input.as_bytes(), mode) {
        Ok(file) => file,
        Err(errors) => {
            let fault = |error: &ModFileError| {
                let at = error.position;
                // Go counts runes where we count bytes.
                let start = at.byte + 1 - at.column;
                let column = input[start..at.byte].chars().count() + 1;
                json!({"Line": at.line, "Column": column, "Byte": at.byte, "Text": error.text})
            };
            return json!({"Errors": errors.0.iter().map(fault).collect::<Vec<_>>()});
        }
    };
    let mut recorded = serde_json::Map::new();
    let mut add = |key: &str, lines: Vec<Value>| {
        if !lines.is_empty() {
            recorded.insert(key.into(), lines.into());
        }
    };
    let at = |position: &Position| json!(position.byte);
    if let Some(m) = &file.module {
        let deprecated = m.deprecated.as_deref().unwrap_or_default();
        add(
            "Module",
            vec![at(&m.position), json!(m.path), json!(deprecated)],
        );
    }
    if let Some(g) = &file.go {
        add("Go", vec![at(&g.position), json!(g.version)]);
    }
    if let Some(t) = &file.toolchain {
        add("Toolchain", vec![at(&t.position), json!(t.name)]);
    }
    let godebug = |g: &Godebug| json!([g.position.byte, g.key, g.value]);
    add("Godebug", file.godebug.iter().map(godebug).collect());
    let require = |r: &Require| json!([r.position.byte, r.path, r.version.as_str(), r.indirect]);
    add("Require", file.require.iter().map(require).collect());
    let exclude = |x: &Exclude| json!([x.position.byte, x.path, x.version.as_str()]);
    add("Exclude", file.exclude.iter().map(exclude).collect());
    let replace = |r: &Replace| {
        let old = r.version.as_ref().map_or("", Version::as_str);
        let (path, version) = match &r.replacement {
            Replacement::Module { path, version } => (path, version.as_str()),
            Replacement::Directory(path) => (path, ""),
        };
        json!([r.position.byte, r.path, old, path, version])
    };
    add("Replace", file.replace.iter().map(replace).collect());
    let retract = |r: &Retract| {
        json!([
            r.position.byte,
            r.low.as_str(),
            r.high.as_str(),
            r.rationale
        ])
    };
    add("Retract", file.retract.iter().map(retract).collect());
    let tool = |t: &Tool| json!([t.position.byte, t.path]);
    add("Tool", file.tool.iter().map(tool).collect());
    let ignore = |i: &Ignore| json!([i.position.byte, i.path]);
    add("Ignore", file.ignore.iter().map(ignore).collect());
    recorded.into()
}

#[test]
fn files_and_faults_are_read_as_go_reads_them() {
    let mut count = 0;
    for line in include_str!("../../vectors/modfile.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).unwrap();
        let input = vector["Input"].as_str().unwrap();
        let path = module_path(input.as_bytes()).unwrap_or_default();
        assert_eq!(vector["ModulePath"], path, "{input:?}");
        assert_eq!(
            as_recorded(input, Mode::Strict),
            vector["Strict"],
            "strict {input:?}"
        );
        assert_eq!(
            as_recorded(input, Mode::Lax),
            vector["Lax"],
            "lax {input:?}"
        );
        count += 1;
    }
    assert!(count > 100, "{count} vectors");
}

#[test]
fn faults_are_displayed_with_file_line_and_column() {
    let check = |text: &str, expected: &str| {
        let errors = ModFile::parse(text.as_bytes(), Mode::Strict).unwrap_err();
        assert_eq!(errors.to_string(), expected);
    };
    check(
        "require (\n\ta.b/c\n)\nwhat\n",
        "go.mod:2:2: usage: require module/path v1.2.3\ngo.mod:4: unknown directive: what",
    );
}

#[test]
fn a_flood_of_faults_is_cut() {
    let errors = ModFile::parse("x\n".repeat(5000).as_bytes(), Mode::Strict).unwrap_err();
    assert_eq!(errors.0.len(), MAX_ERRORS);
}

#[test]
fn bytes_that_are_not_text_are_read_as_replacement_characters() {
    let file = ModFile::parse(b"module a.b/\xff\n", Mode::Strict).unwrap();
    assert_eq!(file.module_path(), Some("a.b/\u{fffd}"));
}

#[test]
fn retracted_versions_are_found_with_their_rationale() {
    let file = strict(
        "module a.b/c\nretract v1.0.0 // leaks\nretract [v1.1.0, v1.2.0]\n// twice\nretract v1.1.5\n\
         retract v3.0.0+incompatible // old\n",
    );
    let check = |version, expected| {
        let version = Version::parse(version).unwrap();
        assert_eq!(file.retracts(&version), expected, "{version}");
    };
    check("v1.0.0", Some("leaks"));
    check("v1.0.0-pre", None);
    check("v1.0.1", None);
    check("v1.1.0", Some(""));
    check("v1.1.5", Some("twice"));
    check("v1.2.0", Some(""));
    check("v1.2.1", None);
    check("v3.0.0+incompatible", Some("old"));
}

#[test]
fn what_is_said_once_is_easy_to_ask() {
    let file = strict("// Deprecated: use d\nmodule a.b/c\n\ngo 1.21\n");
    assert_eq!(file.module_path(), Some("a.b/c"));
    assert_eq!(file.go_version(), Some("1.21"));
    assert_eq!(file.deprecated(), Some("use d"));
    let empty = strict("");
    assert_eq!(
        (empty.module_path(), empty.go_version(), empty.deprecated()),
        (None, None, None)
    );
}

#[test]
fn a_module_without_go_mod_is_given_one_line() {
    let path = ModulePath::parse("github.com/Azure/sdk").unwrap();
    assert_eq!(synthesise(&path), "module github.com/Azure/sdk\n");
}

#[test]
fn paths_are_quoted_where_go_quotes_them() {
    let check = |text, expected| assert_eq!(auto_quote(text), expected);
    check("a.b/c", "a.b/c");
    check("", "\"\"");
    check("a b", "\"a b\"");
    check("a(b", "\"a(b\"");
    check("(", "(");
    check("a//b", "\"a//b\"");
    check("a\tb", "\"a\\tb\"");
}
