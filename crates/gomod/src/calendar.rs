//! Just enough of the calendar to tell a real point in time from digits: times are passed on as text here.

/// True for RFC 3339 with upper-case `T` and `Z`: what Go's `time.Time.UnmarshalJSON` takes, without
/// its indulgences (a comma before fractions, an hour of one digit, an offset of a whole day).
pub(crate) fn is_rfc3339(text: &str) -> bool {
    let Some((digits, rest)) = cut_shape(text.as_bytes(), b"0000-00-00T00:00:00") else {
        return false;
    };
    if !is_point_in_time(&digits) {
        return false;
    }
    let zone = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let length = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            match fraction.split_at_checked(length) {
                Some((digits, zone)) if !digits.is_empty() => zone,
                _ => return false,
            }
        }
        None => rest,
    };
    if zone == b"Z" {
        return true;
    }
    match cut_shape(
        zone.strip_prefix(b"+")
            .or_else(|| zone.strip_prefix(b"-"))
            .unwrap_or_default(),
        b"00:00",
    ) {
        Some((offset, b"")) => {
            matches!(numbers(&offset, &[2, 2]).as_slice(), [hours, minutes] if *hours < 24 && *minutes < 60)
        }
        _ => false,
    }
}

/// The RFC 3339 form, in UTC, of the 14 digits `yyyymmddhhmmss`; `None` if there is no such time.
pub(crate) fn rfc3339_from_digits(text: &str) -> Option<String> {
    let (digits, b"") = cut_shape(text.as_bytes(), b"00000000000000")? else {
        return None;
    };
    if !is_point_in_time(&digits) {
        return None;
    }
    let part = |range| text.get(range);
    Some(format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?,
        part(12..14)?
    ))
}

/// Cuts off a start that looks like `shape`, in which `0` stands for any digit, and returns the digits.
fn cut_shape<'a>(text: &'a [u8], shape: &[u8]) -> Option<(Vec<u8>, &'a [u8])> {
    let (start, rest) = text.split_at_checked(shape.len())?;
    let mut digits = Vec::with_capacity(shape.len());
    for (&byte, &wanted) in start.iter().zip(shape) {
        match wanted {
            b'0' if byte.is_ascii_digit() => digits.push(byte - b'0'),
            b'0' => return None,
            _ if byte == wanted => {}
            _ => return None,
        }
    }
    Some((digits, rest))
}

/// The decimal numbers of `widths` digits each.
fn numbers(digits: &[u8], widths: &[usize]) -> Vec<u32> {
    let mut digits = digits.iter();
    widths
        .iter()
        .map(|&width| {
            digits
                .by_ref()
                .take(width)
                .fold(0, |number, &digit| number * 10 + u32::from(digit))
        })
        .collect()
}

/// The proleptic Gregorian calendar without leap seconds, as in Go.
fn is_point_in_time(digits: &[u8]) -> bool {
    let numbers = numbers(digits, &[4, 2, 2, 2, 2, 2]);
    let &[year, month, day, hour, minute, second] = numbers.as_slice() else {
        return false;
    };
    let is_leap_year =
        year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap_year => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60
}
