//! What Go knows of Unicode that Rust's standard library tells otherwise: letters, printable runes
//! and simple folding.
//!
//! File names, case collisions and quoting must come out as the go command has them, so the tables
//! are recorded from it (`fixtures/unicode`). Nothing here decides what is allowed; `zip` and
//! `modfile` do.
mod tables;

use std::borrow::Cow;

/// Go's `unicode.IsLetter`.
pub(crate) fn is_letter(rune: char) -> bool {
    if rune.is_ascii() {
        return rune.is_ascii_alphabetic();
    }
    is_in(tables::LETTERS, rune)
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space.
pub(crate) fn is_printable(rune: char) -> bool {
    if rune.is_ascii() {
        return rune == ' ' || rune.is_ascii_graphic();
    }
    is_in(tables::PRINTABLE, rune)
}

fn is_in(runs: &[(u32, u32)], rune: char) -> bool {
    let code = u32::from(rune);
    run_at(runs, code, |&(first, _)| first).is_some_and(|&(_, last)| code <= last)
}

/// A form that is equal for two texts exactly when they differ by case only (Go's
/// `strings.EqualFold`).
///
/// Each letter becomes the smallest that it folds together with, ASCII letters their lower case.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_folded) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(fold_rune).collect())
}

fn fold_rune(rune: char) -> char {
    if rune.is_ascii() {
        return rune.to_ascii_lowercase();
    }
    let code = u32::from(rune);
    let smallest = match run_at(tables::FOLDS, code, |&(first, ..)| first) {
        Some(&(first, last, step, below)) if code <= last && (code - first) % step == 0 => {
            char::from_u32(code - below).unwrap_or(rune)
        }
        _ => rune,
    };
    // The Kelvin sign and the long s fold to ASCII letters.
    smallest.to_ascii_lowercase()
}

/// The last run that begins at or before `code`.
fn run_at<T>(runs: &[T], code: u32, first: impl Fn(&T) -> u32) -> Option<&T> {
    let after = runs.partition_point(|run| first(run) <= code);
    runs.get(after.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_those_of_go() {
        let check = |rune, expected| assert_eq!(is_letter(rune), expected, "{rune:?}");
        check('a', true);
        check('Z', true);
        check('0', false);
        check('_', false);
        check('é', true);
        check('日', true);
        check('ª', true);
        check('\u{300}', false); // a combining mark
        check('Ⅷ', false); // alphabetic for Rust, a number for Go
        check('²', false);
        check('€', false);
        check('\u{10FFFF}', false);
    }

    #[test]
    fn printable_runes_are_those_of_go() {
        let check = |rune, expected| assert_eq!(is_printable(rune), expected, "{rune:?}");
        check(' ', true);
        check('~', true);
        check('\t', false);
        check('\u{7f}', false);
        check('\u{a0}', false); // a space that is not ASCII
        check('\u{ad}', false); // soft hyphen
        check('\u{200b}', false);
        check('\u{301}', true); // a combining mark
        check('\u{fffd}', true);
        check('€', true);
        check('\u{e000}', false); // private use
    }

    #[test]
    fn folding_joins_what_differs_by_case_only() {
        let check = |one: &str, other: &str, same| {
            assert_eq!(fold(one) == fold(other), same, "{one:?} and {other:?}");
        };
        check("README", "readme", true);
        check("\u{212A}ey", "key", true); // the Kelvin sign
        check("\u{212A}ey", "KEY", true);
        check("\u{17F}um", "Sum", true); // the long s
        check("É", "é", true);
        check("ǅ", "Ǆ", true); // title and upper case
        check("ǅ", "ǆ", true);
        check("ς", "Σ", true); // three forms of sigma
        check("ß", "ẞ", true);
        check("ß", "ss", false); // simple folding keeps the length
        check("İ", "i", false);
        check("é", "e", false);
        check("𐐀", "𐐨", true);
    }
}
