//! Lines to paste into a POSIX shell.

/// A word as it is where nothing in it is special, else in single quotes.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/@%+,=".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.into();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_stays_one_word() {
        let check = |word: &str, expected: &str| assert_eq!(quoted(word), expected);
        check(
            "https://mirror.example,direct",
            "https://mirror.example,direct",
        );
        check("a|b", "'a|b'");
        check("~/ca.pem", "'~/ca.pem'");
        check("$(id)", "'$(id)'");
        check("it's", r"'it'\''s'");
        check("", "''");
    }
}
