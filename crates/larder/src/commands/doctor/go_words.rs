//! What the go command prints around the cause.

use tlsdoctor::{Answer, Report};

/// `go: MODULE@VERSION: …`, as every failure of one module is told.
pub(super) fn of_module(module: &str, version: &str, words: &str) -> String {
    format!("go: {module}@{version}: {words}")
}

/// The words for a request that got no answer: `Get "URL": …`.
pub(super) fn no_answer(report: &Report) -> String {
    let message = &report.clients.go.message;
    let is_whole = [
        "Get \"",
        "read \"",
        "reading ",
        "invalid response",
        "redirected ",
    ]
    .iter()
    .any(|start| message.starts_with(start));
    if is_whole {
        message.clone()
    } else {
        format!("Get \"{}\": {message}", report.target)
    }
}

/// The words for an answer other than 200: `reading URL: 404 Not Found`, and what the server says if it is
/// plain text (cmd/go/internal/web, `HTTPError`).
pub(super) fn status(url: &str, answer: &Answer) -> String {
    let mut words = format!("reading {url}: {} {}", answer.status, answer.reason);
    let lines = server_response(answer);
    match lines.as_slice() {
        [] => {}
        [line] => words.push_str(&format!("\n\tserver response: {line}")),
        lines => {
            words.push_str("\n\tserver response:");
            for line in lines {
                words.push_str(&format!("\n\t{line}"));
            }
        }
    }
    words
}

/// At most eight lines up to a blank one, and only of plain text.
fn server_response(answer: &Answer) -> Vec<&str> {
    let content_type = answer.content_type.as_deref().unwrap_or_default();
    if !content_type.starts_with("text/plain") {
        return Vec::new();
    }
    let body = answer.body.trim_end_matches('\n');
    let lines = body.lines().take(8);
    lines.take_while(|line| !line.trim().is_empty()).collect()
}

/// What `encoding/json` says of the first letter that begins no value.
pub(super) fn no_json(base: &str, body: &str) -> String {
    let fault = match body.trim_start().chars().next() {
        None => "unexpected end of JSON input".to_owned(),
        Some('{') => "unexpected end of JSON input".to_owned(),
        Some(first) => format!(
            "invalid character {} looking for beginning of value",
            quoted(first)
        ),
    };
    format!("invalid response from proxy \"{base}\": {fault}")
}

fn quoted(letter: char) -> String {
    match letter {
        '\'' => r"'\''".into(),
        '"' => "'\"'".into(),
        letter => format!("'{letter}'"),
    }
}

/// The lines below a mismatch, which go prints for every one.
pub(super) fn security_error(second: &str) -> String {
    let against = match second {
        "go.sum" => "an earlier download recorded in go.sum",
        _ => "the one reported by the checksum server",
    };
    format!(
        "\n\nSECURITY ERROR\nThis download does NOT match {against}.\nThe bits may have been replaced on the origin \
         server, or an attacker may\nhave intercepted the download attempt.\n\nFor more information, see 'go help \
         module-auth'."
    )
}

/// `checksum mismatch` with both hashes; the second is that of `go.sum` or of a database.
pub(super) fn mismatch(downloaded: &str, second: &str, recorded: &str) -> String {
    let label = match second {
        "go.sum" => "go.sum:    ".to_owned(),
        database => format!("{database}:"),
    };
    format!(
        "checksum mismatch\n\tdownloaded: {downloaded}\n\t{label} {recorded}{}",
        security_error(second)
    )
}
