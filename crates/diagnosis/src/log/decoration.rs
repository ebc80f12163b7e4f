//! Takes off what CI systems, container builds, loggers and people put around a line.
//!
//! A decorated line becomes one or more plain lines that keep the number of the line they came from
//! and their own indentation, which says what is nested in what. Nothing here knows any message.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// One plain line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Number of the line in the log, from 1.
    pub(super) number: usize,
    /// Columns of white space before the text; a tab counts as one.
    pub(super) indent: usize,
    pub(super) text: Cow<'a, str>,
}

/// How many layers of decoration are taken off one line: a container build's inside a CI system's
/// inside a quotation is five, and hostile input must not cost more.
const LAYERS: usize = 12;

/// Longer lines are cut: no message has its cause behind so much text, and the rest is never read.
const LONGEST: usize = 64 * 1024;

/// All plain lines of a log.
pub(super) fn lines(log: &str) -> Vec<Line<'_>> {
    let mut plain = Vec::new();
    for (index, physical) in log.split('\n').enumerate() {
        let number = index + 1;
        // A lone carriage return is a progress line overwritten by the next.
        for segment in physical.split('\r').filter(|segment| !segment.is_empty()) {
            let segment = without_escapes(cut(segment));
            push_unwrapped(number, segment, 0, &mut plain);
        }
        if physical.trim().is_empty() {
            plain.push(Line {
                number,
                indent: 0,
                text: Cow::Borrowed(""),
            });
        }
    }
    plain
}

fn cut(line: &str) -> &str {
    if line.len() <= LONGEST {
        return line;
    }
    let end = (0..=LONGEST).rev().find(|end| line.is_char_boundary(*end));
    line.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// A JSON record, a logfmt record, or one line that holds several.
fn push_unwrapped<'a>(number: usize, line: Cow<'a, str>, depth: usize, plain: &mut Vec<Line<'a>>) {
    if depth < 3 {
        if let Some(messages) = json_messages(&line).or_else(|| logfmt_messages(&line)) {
            for message in messages {
                for part in message.split('\n') {
                    push_unwrapped(number, Cow::Owned(part.to_owned()), depth + 1, plain);
                }
            }
            return;
        }
        if let Some(unescaped) = unescaped(&line) {
            for part in unescaped.split('\n') {
                push_unwrapped(number, Cow::Owned(part.to_owned()), depth + 1, plain);
            }
            return;
        }
    }
    plain.push(undecorated(number, line));
}

/// Without terminal escapes and control characters.
fn without_escapes(line: &str) -> Cow<'_, str> {
    if !line
        .bytes()
        .any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f)
    {
        return Cow::Borrowed(line);
    }
    let mut clean = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => match letters.next() {
                // CSI: parameters, then one final byte from `@` to `~`.
                Some('[') => {
                    for letter in letters.by_ref() {
                        if ('@'..='~').contains(&letter) {
                            break;
                        }
                    }
                }
                // OSC: up to BEL or ST.
                Some(']') => {
                    while let Some(letter) = letters.next() {
                        if letter == '\u{7}' {
                            break;
                        }
                        if letter == '\u{1b}' {
                            letters.next();
                            break;
                        }
                    }
                }
                _ => {}
            },
            '\t' => clean.push('\t'),
            letter if letter.is_control() => {}
            letter => clean.push(letter),
        }
    }
    Cow::Owned(clean)
}

/// The texts of a JSON record, in the order in which they explain: the message, then its error.
fn json_messages(line: &str) -> Option<Vec<String>> {
    let start = line.find('{').filter(|start| *start < 64)?;
    let record = line.get(start..)?.trim_end();
    if !record.ends_with('}') {
        return None;
    }
    let Value::Object(fields) = serde_json::from_str(record).ok()? else {
        return None;
    };
    let mut messages = Vec::new();
    push_messages(&fields, 0, &mut messages);
    (!messages.is_empty()).then_some(messages)
}

/// Under these names loggers keep texts, the more general ones first: what explains comes behind what happened.
const NAMES: [&str; 15] = [
    "log",
    "msg",
    "message",
    "textPayload",
    "Output",
    "output",
    "line",
    "text",
    "error",
    "err",
    "Error",
    "Err",
    "stdout",
    "stderr",
    "body",
];

/// An error within a record is a record too: its message, and what its program wrote.
fn push_messages(fields: &Map<String, Value>, depth: usize, messages: &mut Vec<String>) {
    const DEEPEST: usize = 3;
    for name in NAMES {
        match fields.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {
                messages.push(text.trim_end_matches('\n').to_owned());
            }
            Some(Value::Object(inner)) if depth < DEEPEST => {
                push_messages(inner, depth + 1, messages);
            }
            _ => {}
        }
    }
}

/// `time=… level=error msg="…" error="…"`.
fn logfmt_messages(line: &str) -> Option<Vec<String>> {
    // Most lines have no such letter, and to look for one is the cheapest search there is.
    if !line.contains('=') || !line.contains("level=") && !line.contains("lvl=") {
        return None;
    }
    let mut messages = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("=\"") {
        let name = before.rsplit([' ', '\t']).next().unwrap_or_default();
        let (text, behind) = quoted_text(after);
        if NAMES.contains(&name) {
            messages.push(text);
        }
        rest = behind;
    }
    (!messages.is_empty()).then_some(messages)
}

/// The text up to the closing quote, its escapes undone, and what follows.
fn quoted_text(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (text, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => match letters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, other)) => text.push(other),
                None => {}
            },
            letter => text.push(letter),
        }
    }
    (text, "")
}

/// Line breaks that were written as two characters, made real. `None` where there are none.
///
/// A Windows path holds `\n` and `\t` too (`C:\go\new`): in a word that begins with a drive letter
/// nothing is changed.
fn unescaped(line: &str) -> Option<String> {
    if !line.contains('\\') || !line.contains("\\n") && !line.contains("\\r") {
        return None;
    }
    let mut text = String::with_capacity(line.len());
    let mut changed = false;
    let mut in_windows_path = false;
    let mut letters = line.chars().peekable();
    // The last three letters, to see ` C:` before a backslash.
    let (mut outside, mut before, mut last) = (' ', ' ', ' ');
    while let Some(letter) = letters.next() {
        if letter == ' ' || letter == '\t' || letter == '"' {
            in_windows_path = false;
        }
        let drive = last == ':' && before.is_ascii_alphabetic() && !outside.is_alphanumeric();
        if letter == '\\' && drive {
            in_windows_path = true;
        }
        if letter == '\\' && !in_windows_path {
            // Escaped twice, as a string inside a string.
            while letters.peek() == Some(&'\\') {
                letters.next();
            }
            match letters.peek() {
                Some('n') => {
                    letters.next();
                    text.push('\n');
                    changed = true;
                }
                Some('r') => {
                    letters.next();
                }
                Some('t') => {
                    letters.next();
                    text.push('\t');
                }
                Some('"') => {
                    letters.next();
                    text.push('"');
                }
                _ => text.push('\\'),
            }
            (outside, before, last) = (' ', ' ', ' ');
            continue;
        }
        text.push(letter);
        (outside, before, last) = (before, last, letter);
    }
    changed.then_some(text)
}

fn undecorated(number: usize, line: Cow<'_, str>) -> Line<'_> {
    let whole: &str = &line;
    let mut rest = whole;
    for _ in 0..LAYERS {
        let Some(inner) = without_one_layer(rest) else {
            break;
        };
        rest = inner;
    }
    let text = rest.trim_start_matches([' ', '\t', '\u{a0}']);
    let indent = rest.chars().count() - text.chars().count();
    let start = whole.len() - text.len();
    let end = start + text.trim_end().len();
    let text = match line {
        Cow::Borrowed(line) => Cow::Borrowed(line.get(start..end).unwrap_or_default()),
        Cow::Owned(ref line) => Cow::Owned(line.get(start..end).unwrap_or_default().to_owned()),
    };
    Line {
        number,
        indent,
        text,
    }
}

/// The line without its outermost decoration and the one space behind that; `None` where it has none.
fn without_one_layer(line: &str) -> Option<&str> {
    let trimmed = line.trim_start();
    let inner = quotation(trimmed)
        .or_else(|| container_build(trimmed))
        .or_else(|| timestamp(trimmed))
        .or_else(|| bracketed(trimmed))
        .or_else(|| ci_command(trimmed))
        .or_else(|| level(trimmed))
        .or_else(|| service(trimmed))?;
    Some(inner.strip_prefix(' ').unwrap_or(inner))
}

/// `> quoted`, `| boxed`.
fn quotation(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix('>') {
        // `> [stage 3/5] RUN …` is a container build's; what follows is no message of its own.
        return Some(rest);
    }
    ["| ", "│", "┃", "║", "• ", "* ", "- "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
        .or_else(|| (line == "|").then_some(""))
}

/// `#25 0.058 `, `build #15 4.619 `, ` => ERROR `, `21.90 `.
fn container_build(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("=> ") {
        return Some(rest);
    }
    let line = line
        .strip_prefix("build ")
        .filter(|rest| rest.starts_with('#'))
        .unwrap_or(line);
    if let Some(rest) = line.strip_prefix('#') {
        let digits = leading(rest, |byte| byte.is_ascii_digit());
        let after = rest.get(digits..)?;
        if digits > 0 && after.starts_with(' ') {
            let after = after.get(1..)?;
            return Some(seconds(after).unwrap_or(after));
        }
        return None;
    }
    seconds(line)
}

/// `0.058 `: seconds with a fraction, as container builds print them.
fn seconds(line: &str) -> Option<&str> {
    let whole = leading(line, |byte| byte.is_ascii_digit());
    let rest = line.get(whole..)?.strip_prefix('.')?;
    let fraction = leading(rest, |byte| byte.is_ascii_digit());
    let rest = rest.get(fraction..)?.strip_prefix(' ')?;
    ((1..=6).contains(&whole) && (1..=6).contains(&fraction)).then_some(rest)
}

/// `2024-05-01T10:11:12.123Z `, `2024/05/01 10:11:12 `, `10:11:12.5 `, `May  1 10:11:12 host go[12]: `.
fn timestamp(line: &str) -> Option<&str> {
    let (line, bracket) = match line.strip_prefix('[') {
        Some(inner) => (inner, true),
        None => (line, false),
    };
    let mut rest = line;
    let mut parts = 0;
    if let Some(after) = date(rest) {
        parts += 1;
        rest = after
            .strip_prefix('T')
            .or_else(|| after.strip_prefix(' '))
            .unwrap_or(after);
    } else if let Some(after) = syslog_date(rest) {
        parts += 1;
        rest = after;
    }
    let had_date = parts > 0;
    if let Some(after) = time_of_day(rest) {
        parts += 1;
        rest = after;
    }
    if parts == 0 || (!had_date && !rest.starts_with([' ', ']', '|'])) {
        return None;
    }
    if bracket {
        rest = rest.strip_prefix(']')?;
    } else if !rest.is_empty() && !rest.starts_with([' ', '\t', '|', ':']) {
        return None;
    }
    Some(rest.strip_prefix(':').unwrap_or(rest))
}

/// `2024-05-01`, `2024/05/01`.
fn date(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mark = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|byte| matches!(byte, b'-' | b'/'))
    };
    let is_date =
        (0..4).all(digit) && mark(4) && (5..7).all(digit) && mark(7) && (8..10).all(digit);
    is_date.then(|| line.get(10..)).flatten()
}

/// `May  1 `.
fn syslog_date(line: &str) -> Option<&str> {
    const MONTHS: [&str; 12] = [
        "Jan ", "Feb ", "Mar ", "Apr ", "May ", "Jun ", "Jul ", "Aug ", "Sep ", "Oct ", "Nov ",
        "Dec ",
    ];
    let rest = MONTHS.iter().find_map(|month| line.strip_prefix(month))?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let digits = leading(rest, |byte| byte.is_ascii_digit());
    (1..=2)
        .contains(&digits)
        .then(|| rest.get(digits..)?.strip_prefix(' '))
        .flatten()
}

/// `10:11:12`, `10:11:12.123Z`, `10:11:12,5+02:00`, `10:11:12 +0200`.
fn time_of_day(line: &str) -> Option<&str> {
    let bytes = line.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let colon = |at: usize| bytes.get(at) == Some(&b':');
    if !(digit(0)
        && digit(1)
        && colon(2)
        && digit(3)
        && digit(4)
        && colon(5)
        && digit(6)
        && digit(7))
    {
        return None;
    }
    let mut rest = line.get(8..)?;
    if let Some(after) = rest.strip_prefix(['.', ',']) {
        rest = after.get(leading(after, |byte| byte.is_ascii_digit())..)?;
    }
    if let Some(after) = rest.strip_prefix('Z') {
        return Some(after);
    }
    let zone = rest.strip_prefix(' ').unwrap_or(rest);
    if let Some(after) = zone.strip_prefix(['+', '-']) {
        let width = leading(after, |byte| byte.is_ascii_digit() || byte == b':');
        if (4..=5).contains(&width) {
            return after.get(width..);
        }
    }
    Some(rest)
}

/// `[   47s]`, `[ERROR]`, `[linux/amd64 build 3/5]`: words in brackets that are no address.
fn bracketed(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('[')?;
    let (inside, after) = rest.split_once(']')?;
    let is_decoration = inside.len() <= 48
        && !inside.contains("://")
        && !inside.contains('"')
        && !inside.contains("::")
        && after.starts_with([' ', '\t', '['])
        || after.is_empty() && inside.len() <= 48 && !inside.contains(' ');
    is_decoration.then_some(after)
}

/// `##[error]`, `::error file=a.go,line=1::`, `section_start:1:name`.
fn ci_command(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("##[") {
        return rest.split_once(']').map(|(_, after)| after);
    }
    if let Some(rest) = line.strip_prefix("::") {
        return ["error", "warning", "notice", "debug", "group"]
            .iter()
            .find_map(|name| rest.strip_prefix(name))
            .and_then(|after| after.split_once("::"))
            .map(|(_, text)| text);
    }
    None
}

/// `ERROR `, `Error: `, `ERRO[0003] `, `npm ERR! `, `stderr: `.
fn level(line: &str) -> Option<&str> {
    const WORDS: [&str; 21] = [
        "ERROR: ",
        "ERROR ",
        "ERR: ",
        "Error: ",
        "FATAL: ",
        "FATAL ",
        "WARN: ",
        "WARN ",
        "WARNING: ",
        "INFO: ",
        "INFO ",
        "DEBUG: ",
        "DEBUG ",
        "stderr: ",
        "stdout: ",
        "stderr | ",
        "stderr F ",
        "stdout F ",
        "npm ERR! ",
        "E: ",
        "F: ",
    ];
    // A build that runs behind a `git push` is told by git; git's own words have one space.
    if let Some(rest) = line.strip_prefix("remote: ")
        && (rest.starts_with("  ") || rest.trim_start().starts_with("go: "))
    {
        return Some(rest);
    }
    if let Some(rest) = WORDS.iter().find_map(|word| line.strip_prefix(word)) {
        return Some(rest);
    }
    let rest = ["ERRO[", "WARN[", "INFO[", "FATA[", "DEBU["]
        .iter()
        .find_map(|word| line.strip_prefix(word))?;
    rest.split_once(']').map(|(_, after)| after)
}

/// `api_1  | `, `[pod/api-1/build] `, `api-1 go[12]: `: the name of a service before a bar.
fn service(line: &str) -> Option<&str> {
    let name = leading(line, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/')
    });
    if name == 0 || name > 48 {
        return None;
    }
    let rest = line.get(name..)?;
    let bar = rest.trim_start_matches(' ');
    if let Some(after) = bar.strip_prefix('|') {
        return Some(after);
    }
    None
}

/// How many bytes from the start satisfy the condition.
fn leading(text: &str, is: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is(*byte)).count()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[track_caller]
    fn check(log: &str, expected: &[(usize, usize, &str)]) {
        let plain = lines(log);
        let plain: Vec<(usize, usize, &str)> = plain
            .iter()
            .filter(|line| !line.text.is_empty())
            .map(|line| (line.number, line.indent, line.text.as_ref()))
            .collect();
        assert_eq!(plain, expected, "{log:?}");
    }

    #[test]
    fn decoration_is_taken_off_in_any_order() {
        let message = "go: module a.example/b: EOF";
        for prefix in [
            "",
            "#25 0.058 ",
            "build #15 4.619 ",
            "21.90 ",
            " => ERROR ",
            "[   47s] ",
            "2024-05-01T10:11:12.1234567Z ",
            "2024/05/01 10:11:12 ",
            "[2024-05-01 10:11:12,123] ",
            "10:11:12 ",
            "[10:11:12] ",
            "##[error]",
            "::error::",
            "Error: ",
            "> ",
            "> > #3 1.5 ",
            "api_1  | ",
            "ERRO[0003] ",
            "\u{1b}[31m",
            "2024-05-01T10:11:12+02:00 [ERROR] ",
        ] {
            check(&format!("{prefix}{message}"), &[(1, 0, message)]);
        }
    }

    #[test]
    fn indentation_behind_the_decoration_is_kept() {
        check(
            "#5 1.1 go: a: exit status 128:\n#5 1.1 \tfatal: b\r\n",
            &[(1, 0, "go: a: exit status 128:"), (2, 1, "fatal: b")],
        );
    }

    #[test]
    fn written_line_breaks_become_lines_and_windows_paths_stay() {
        check(
            "level=error msg=\"go: a:\\n\\tserver response: b\"",
            &[(1, 0, "go: a:"), (1, 1, "server response: b")],
        );
        check(
            "{\"log\":\"go: a:\\n\\tfatal: b\\n\",\"stream\":\"stderr\"}",
            &[(1, 0, "go: a:"), (1, 1, "fatal: b")],
        );
        check(
            "level=error msg=\"step failed\" stderr=\"go: a: Get \\\"x\\\": EOF\" code=1",
            &[(1, 0, "step failed"), (1, 0, "go: a: Get \"x\": EOF")],
        );
        check(
            "{\"err\":{\"message\":\"Command failed\",\"stderr\":\"go: a:\\n\\tfatal: b\\n\"},\"msg\":\"gone\"}",
            &[
                (1, 0, "gone"),
                (1, 0, "Command failed"),
                (1, 0, "go: a:"),
                (1, 1, "fatal: b"),
            ],
        );
        check(
            "err: go: ab:\\n\\tb",
            &[(1, 0, "err: go: ab:"), (1, 1, "b")],
        );
        check(
            r"open C:\Users\new\table: Access is denied.",
            &[(1, 0, r"open C:\Users\new\table: Access is denied.")],
        );
    }

    #[test]
    fn what_is_no_decoration_stays() {
        for line in [
            "[2001:db8::1]:443: connect: no route to host",
            "x509: certificate has expired",
            "go.mod:3: unknown directive: toolchain",
            "remote: Repository not found.",
            "1.2.3.4: refused",
        ] {
            check(line, &[(1, 0, line)]);
        }
    }
}
