//! Go's quoting (`strconv.Quote`, `strconv.Unquote`): for go.mod files and for messages in Go's
//! words.
use crate::unicode::is_printable;

/// Go's `strconv.Quote` (`%q`): the text in double quotes, unprintable runes escaped.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    text.chars()
        .for_each(|rune| push_escaped(&mut quoted, rune, '"'));
    quoted.push('"');
    quoted
}

/// `strconv.Quote` of bytes: those that are not UTF-8 become `\xNN`.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let runes = chunk.valid().chars();
        runes.for_each(|rune| push_escaped(&mut quoted, rune, '"'));
        let invalid = chunk.invalid().iter();
        invalid.for_each(|byte| quoted.push_str(&format!("\\x{byte:02x}")));
    }
    quoted.push('"');
    quoted
}

/// `strconv.QuoteRune`: one rune in single quotes.
pub(crate) fn quote_rune(rune: char) -> String {
    let mut quoted = String::from("'");
    push_escaped(&mut quoted, rune, '\'');
    quoted.push('\'');
    quoted
}

fn push_escaped(to: &mut String, rune: char, quote: char) {
    let escape = match rune {
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        '\\' => "\\\\",
        _ if rune == quote => {
            to.push('\\');
            to.push(rune);
            return;
        }
        _ if is_printable(rune) => {
            to.push(rune);
            return;
        }
        _ => {
            let code = u32::from(rune);
            to.push_str(&match code {
                0..=0x7f => format!("\\x{code:02x}"),
                0x80..=0xffff => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            });
            return;
        }
    };
    to.push_str(escape);
}

/// `strconv.Unquote` of a text in double quotes or backquotes; `None` is Go's "invalid syntax".
/// Escaped bytes that are not UTF-8 become U+FFFD.
pub(crate) fn unquote(text: &str) -> Option<String> {
    if let Some(raw) = text.strip_prefix('`') {
        let raw = raw.strip_suffix('`').filter(|raw| !raw.contains('`'))?;
        return Some(raw.replace('\r', ""));
    }
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut runes = inner.chars();
    while let Some(rune) = runes.next() {
        match rune {
            '"' | '\n' => return None,
            '\\' => unescape(&mut runes, &mut bytes)?,
            _ => push_rune(&mut bytes, rune),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The part of an escape after its backslash.
fn unescape(runes: &mut std::str::Chars<'_>, to: &mut Vec<u8>) -> Option<()> {
    let byte = match runes.next()? {
        'a' => 0x7,
        'b' => 0x8,
        'f' => 0xc,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0xb,
        '\\' => b'\\',
        '"' => b'"',
        'x' => u8::try_from(digits(runes, 0, 2, 16)?).ok()?,
        first @ '0'..='7' => {
            let value = digits(runes, first.to_digit(8)?, 2, 8)?;
            u8::try_from(value).ok()?
        }
        'u' => {
            push_rune(to, char::from_u32(digits(runes, 0, 4, 16)?)?);
            return Some(());
        }
        'U' => {
            push_rune(to, char::from_u32(digits(runes, 0, 8, 16)?)?);
            return Some(());
        }
        _ => return None,
    };
    to.push(byte);
    Some(())
}

fn digits(runes: &mut std::str::Chars<'_>, first: u32, count: usize, radix: u32) -> Option<u32> {
    let mut value = first;
    for _ in 0..count {
        let digit = runes.next()?.to_digit(radix)?;
        value = value.checked_mul(radix)?.checked_add(digit)?;
    }
    Some(value)
}

fn push_rune(to: &mut Vec<u8>, rune: char) {
    to.extend_from_slice(rune.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_go_does() {
        let check = |text, expected: &str| assert_eq!(quote(text), expected);
        check("", r#""""#);
        check("plain 'text'", r#""plain 'text'""#);
        check("a\"b\\c", r#""a\"b\\c""#);
        check("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#);
        check("\0\u{7f}", r#""\x00\x7f""#);
        check("é\u{a0}\u{200b}", r#""é\u00a0\u200b""#);
        check("\u{1f600}\u{e0001}", "\"\u{1f600}\\U000e0001\"");
    }

    #[test]
    fn bytes_are_quoted_as_go_does() {
        assert_eq!(quote_bytes(b"a\xff\xc3\xa9\xe2\x82"), r#""a\xffé\xe2\x82""#);
    }

    #[test]
    fn runes_are_quoted_as_go_does() {
        assert_eq!(quote_rune('"'), r#"'"'"#);
        assert_eq!(quote_rune('\''), r"'\''");
        assert_eq!(quote_rune('\0'), r"'\x00'");
    }

    #[test]
    fn quoted_text_is_read_back() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(unquote(text).as_deref(), expected, "{text}");
        };
        check(r#""a\tb""#, Some("a\tb"));
        check(r#""\x41\101\u00e9\U0001f600""#, Some("AAé\u{1f600}"));
        check(r#""\xc3\xa9""#, Some("é"));
        check(r#""\xff""#, Some("\u{fffd}"));
        check("`a\\n\rb`", Some("a\\nb"));
        check("`a`b`", None);
        check(r#""a"b""#, None);
        check(r#""a"#, None);
        check("\"", None);
        check(r#""\""#, None);
        check(r#""\'""#, None);
        check(r#""\400""#, None);
        check(r#""\ud800""#, None);
        check(r#""\q""#, None);
        check("\"a\nb\"", None);
        check("plain", None);
    }
}
