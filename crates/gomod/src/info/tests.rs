use super::Info;

fn parse(text: &str) -> Info {
    Info::parse(text.as_bytes()).unwrap()
}

#[track_caller]
fn check_refused(bytes: &[u8], reason: &str) {
    let error = Info::parse(bytes).unwrap_err();
    assert!(error.reason.contains(reason), "{error}");
}

#[test]
fn an_info_of_go_reads_and_writes_itself() {
    for text in [
        r#"{"Version":"v1.2.3"}"#,
        r#"{"Version":"v1.2.3","Time":"2024-02-29T23:59:59Z"}"#,
        r#"{"Version":"v1.2.3","Time":"2024-02-29T23:59:59Z","Origin":{"VCS":"git","URL":"https://git.example.com/a","Hash":"0123","Ref":"refs/tags/v1.2.3"}}"#,
    ] {
        assert_eq!(parse(text).to_json(), text);
    }
}

#[test]
fn fields_are_read_as_go_reads_them() {
    let check = |text: &str, expected: &str| assert_eq!(parse(text).to_json(), expected);
    check(
        r#" {"Name":"x","Short":1,"Version":"v1.0.0","More":[{}]} "#,
        r#"{"Version":"v1.0.0"}"#,
    );
    check(
        r#"{"version":"v1.0.0","TIME":null,"origin":null}"#,
        r#"{"Version":"v1.0.0"}"#,
    );
    check(
        r#"{"Version":"v1.0.0","Version":"v1.0.1"}"#,
        r#"{"Version":"v1.0.1"}"#,
    );
    check(
        "{\"Version\":\"v1.0.0\",\"Origin\": {\n\t\"URL\" : \"a \\\" b\\\\\" ,\r\n \"N\" : [ 1.50, { } ] } }",
        r#"{"Version":"v1.0.0","Origin":{"URL":"a \" b\\","N":[1.50,{}]}}"#,
    );
}

#[test]
fn what_is_not_an_info_is_refused() {
    check_refused(b"", "EOF");
    check_refused(b"not found", "expected");
    check_refused(b"<html></html>", "expected");
    check_refused(b"[]", "an object with a Version");
    check_refused(b"{}", "no Version");
    check_refused(br#"{"Version":null}"#, "no Version");
    check_refused(br#"{"Version":1}"#, "string");
    check_refused(br#"{"Version":"v1.0.0"} {}"#, "trailing");
    check_refused(br#"{"Version":"v1.0.0""#, "EOF");
    check_refused(br#"{"Version":"v1"}"#, "version v1 is not canonical");
    check_refused(
        br#"{"Version":"master"}"#,
        "version master is not canonical",
    );
    check_refused(br#"{"Version":"v1.0.0","Time":""}"#, "not RFC 3339");
    check_refused(
        br#"{"Version":"v1.0.0","Time":"yesterday"}"#,
        "not RFC 3339",
    );
    check_refused(br#"{"Version":"v1.0.0","Origin":"x"}"#, "not an object");
    check_refused(b"{\"Version\":\"v1.0.0\xff\"}", "unicode");
    let deep = format!(r#"{{"Version":"v1.0.0","Origin":{}"#, "[".repeat(100_000));
    check_refused(deep.as_bytes(), "EOF");
    let large = format!(r#"{{"Version":"v1.0.0","X":"{}"}}"#, "x".repeat(1 << 20));
    check_refused(large.as_bytes(), "larger than 1 MiB");
}
