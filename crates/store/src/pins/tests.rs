use super::*;

fn module(text: &str) -> ModuleVersion {
    match Pin::parse(text).unwrap() {
        Pin::Version(module) => module,
        Pin::Pattern(pattern) => panic!("`{pattern}` is a pattern"),
    }
}

fn pins_of(text: &str) -> (tempfile::TempDir, Pins) {
    let scratch = tempfile::tempdir().unwrap();
    let pins = Pins::of(scratch.path());
    fs::create_dir_all(pins.path().parent().unwrap()).unwrap();
    fs::write(pins.path(), text).unwrap();
    (scratch, pins)
}

#[test]
fn a_folder_without_the_file_pins_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let pins = Pins::of(scratch.path());
    assert!(!pins.covers(&module("example.com/a@v1.0.0")).unwrap());
    assert!(pins.current().unwrap().pins().is_empty());
}

#[test]
fn patterns_and_single_versions_are_pinned() {
    let (_scratch, pins) = pins_of(
        "# what the release needs\n\nexample.com/team/*\n  example.com/one@v1.2.3  # the last good one\ncorp.example",
    );
    let check = |text: &str, expected: bool| {
        assert_eq!(pins.covers(&module(text)).unwrap(), expected, "{text}");
    };
    check("example.com/team/a@v1.0.0", true);
    check("example.com/team/a/deep@v0.0.1", true);
    check("example.com/team@v1.0.0", false);
    check("example.com/one@v1.2.3", true);
    check("example.com/one@v1.2.4", false);
    check("corp.example/x@v1.2.4", true);
    assert!(pins.current().unwrap().bad_lines().is_empty());
}

#[test]
fn a_text_that_would_pin_nothing_is_refused() {
    for (text, reason) in [
        ("", "empty"),
        ("a,b", "comma"),
        ("example.com/[a", "no pattern"),
        ("example.com/a@latest", "version"),
        ("example.com/a@v2.0.0", "v2"),
        ("Not A Path", "blank"),
    ] {
        let error = Pin::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn a_bad_line_is_told_by_number_and_unpins_nothing() {
    let (_scratch, pins) = pins_of("example.com/a\nexample.com/b\n");
    let (a, b) = (
        module("example.com/a@v1.0.0"),
        module("example.com/b@v1.0.0"),
    );
    assert!(pins.covers(&a).unwrap());
    let bad = "example.com/c # good\nexample.com/[a\nexample.com/b@main\n";
    fs::write(pins.path(), bad).unwrap();
    let set = pins.current().unwrap();
    let lines: Vec<usize> = set.bad_lines().iter().map(|bad| bad.line).collect();
    assert_eq!(lines, [2, 3]);
    assert!(set.covers(&a) && set.covers(&b));
    assert!(set.covers(&module("example.com/c@v1.0.0")));
    fs::write(pins.path(), "example.com/[a\n").unwrap();
    assert!(
        pins.covers(&a).unwrap(),
        "a second slip unpins nothing either"
    );

    pins.add(&[Pin::parse("example.com/d").unwrap()]).unwrap();
    let text = fs::read_to_string(pins.path()).unwrap();
    assert_eq!(text, "example.com/[a\nexample.com/d\n");

    fs::write(pins.path(), "example.com/b\n").unwrap();
    assert!(!pins.covers(&a).unwrap() && pins.covers(&b).unwrap());
}

#[test]
fn adding_and_removing_leaves_every_other_line_as_it_is() {
    let (_scratch, pins) = pins_of("# mine\nexample.com/a # why\n\nexample.com/b");
    let pin = |text: &str| Pin::parse(text).unwrap();
    let added = pins
        .add(&[
            pin("example.com/a"),
            pin("example.com/c@v1.0.0"),
            pin("example.com/c@v1.0.0"),
        ])
        .unwrap();
    assert_eq!(added, [pin("example.com/c@v1.0.0")]);
    assert!(pins.covers(&module("example.com/c@v1.0.0")).unwrap());
    let removed = pins
        .remove(&[pin("example.com/a"), pin("example.com/x")])
        .unwrap();
    assert_eq!(removed, [pin("example.com/a")]);
    let text = fs::read_to_string(pins.path()).unwrap();
    assert_eq!(text, "# mine\n\nexample.com/b\nexample.com/c@v1.0.0\n");
    assert!(!pins.covers(&module("example.com/a@v1.0.0")).unwrap());
}

#[test]
fn commands_at_once_lose_no_pin() {
    let (_scratch, pins) = pins_of("");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let pins = pins.clone();
            scope.spawn(move || {
                pins.add(&[Pin::Pattern(format!("example.com/{number}"))])
                    .unwrap();
            });
        }
    });
    assert_eq!(pins.current().unwrap().pins().len(), 8);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_never_an_empty_list() {
    let (_scratch, pins) = pins_of("");
    fs::write(pins.path(), [0xff, 0xfe, b'\n']).unwrap();
    let error = pins.current().unwrap_err().to_string();
    assert!(error.contains("UTF-8"), "{error}");
    fs::remove_file(pins.path()).unwrap();
    fs::create_dir(pins.path()).unwrap();
    assert!(pins.current().is_err());
}
