//! DER as Go reads it: one value after another, with the strictness and the leniences of
//! `golang.org/x/crypto/cryptobyte`, because a certificate that this reader refuses and Go accepts
//! (or the other way round) would make the verdict wrong.
//!
//! Nothing is copied and nothing recurses, so any bytes are read in linear time.

/// Tags that certificates use.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const NUMERIC_STRING: u8 = 0x12;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const T61_STRING: u8 = 0x14;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const BMP_STRING: u8 = 0x1e;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// A context-specific tag, primitive.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// A context-specific tag, constructed.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Der<'a> {
    rest: &'a [u8],
}

/// One value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    /// Tag, length and content.
    pub(crate) whole: &'a [u8],
    pub(crate) content: &'a [u8],
}

/// A BIT STRING whose padding is zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitString<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) padding_bits: u8,
}

impl<'a> Der<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn peek(&self, tag: u8) -> bool {
        self.rest.first() == Some(&tag)
    }

    /// The next value whatever its tag. Long tags, indefinite lengths, lengths longer than needed and
    /// values that end too early are refused.
    pub(crate) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, after_tag) = self.rest.split_first()?;
        let (&first, after_first) = after_tag.split_first()?;
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (length, header) = if first & 0x80 == 0 {
            (usize::from(first), 2)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let digits = after_first.get(..count)?;
            let length = digits
                .iter()
                .fold(0_u64, |sum, digit| (sum << 8) | u64::from(*digit));
            if length < 128 || digits.first() == Some(&0) {
                return None;
            }
            (usize::try_from(length).ok()?, 2 + count)
        };
        let (whole, rest) = self.rest.split_at_checked(header.checked_add(length)?)?;
        self.rest = rest;
        Some(Element {
            tag,
            whole,
            content: whole.get(header..)?,
        })
    }

    /// The next value, which must have this tag.
    pub(crate) fn element(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = *self;
        let element = ahead.any().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element)
    }

    /// The content of the next value, which must have this tag.
    pub(crate) fn inside(&mut self, tag: u8) -> Option<Self> {
        Some(Self::new(self.element(tag)?.content))
    }

    /// The content of the next value if it has this tag, `Some(None)` if another or nothing follows;
    /// `None` if that tag is there and its value is broken.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Option<Self>> {
        if self.peek(tag) {
            self.inside(tag).map(Some)
        } else {
            Some(None)
        }
    }

    pub(crate) fn boolean(&mut self) -> Option<bool> {
        match self.element(tag::BOOLEAN)?.content {
            [0] => Some(false),
            [0xff] => Some(true),
            _ => None,
        }
    }

    /// The content of an INTEGER in the fewest bytes.
    pub(crate) fn integer(&mut self) -> Option<&'a [u8]> {
        let content = self.element(tag::INTEGER)?.content;
        is_minimal_integer(content).then_some(content)
    }

    /// An INTEGER from 0 to the largest `u64`.
    pub(crate) fn unsigned(&mut self) -> Option<u64> {
        unsigned(self.integer()?)
    }

    /// A dotted object identifier whose numbers are below 2^31, as Go wants them.
    pub(crate) fn identifier(&mut self) -> Option<String> {
        dotted(self.element(tag::OBJECT_IDENTIFIER)?.content)
    }

    pub(crate) fn bit_string(&mut self) -> Option<BitString<'a>> {
        let (&padding_bits, bytes) = self.element(tag::BIT_STRING)?.content.split_first()?;
        let padding_is_zero = match bytes.last() {
            None => padding_bits == 0,
            Some(last) => padding_bits <= 7 && last & ((1 << padding_bits) - 1) == 0,
        };
        padding_is_zero.then_some(BitString {
            bytes,
            padding_bits,
        })
    }
}

impl BitString<'_> {
    /// Bit `number` from the left.
    pub(crate) fn bit(&self, number: usize) -> bool {
        self.bytes
            .get(number / 8)
            .is_some_and(|byte| byte >> (7 - number % 8) & 1 == 1)
    }

    /// The bits as one number, shifted to the right end.
    pub(crate) fn right_aligned(&self) -> Vec<u8> {
        if self.padding_bits == 0 {
            return self.bytes.to_vec();
        }
        let mut carried = 0_u8;
        self.bytes
            .iter()
            .map(|byte| {
                let out = carried << (8 - self.padding_bits) | byte >> self.padding_bits;
                carried = *byte;
                out
            })
            .collect()
    }
}

pub(crate) fn is_minimal_integer(content: &[u8]) -> bool {
    match content {
        [] => false,
        [0, second, ..] => second & 0x80 != 0,
        [0xff, second, ..] => second & 0x80 == 0,
        _ => true,
    }
}

/// The value of an INTEGER's content, if it is not negative and small enough.
pub(crate) fn unsigned(content: &[u8]) -> Option<u64> {
    let digits = content.strip_prefix(&[0]).unwrap_or(content);
    if digits.len() > 8 || content.first()? & 0x80 != 0 {
        return None;
    }
    Some(
        digits
            .iter()
            .fold(0, |sum, digit| (sum << 8) | u64::from(*digit)),
    )
}

/// An object identifier's content as text; `None` where Go refuses it.
pub(crate) fn dotted(content: &[u8]) -> Option<String> {
    let mut numbers = Vec::new();
    let mut value = 0_u64;
    let mut digits = 0;
    for &byte in content {
        if digits == 0 && byte == 0x80 {
            return None;
        }
        digits += 1;
        value = (value << 7) | u64::from(byte & 0x7f);
        if digits > 5 || value > u64::from(u32::MAX >> 1) {
            return None;
        }
        if byte & 0x80 == 0 {
            numbers.push(value);
            (value, digits) = (0, 0);
        }
    }
    let (&first, others) = numbers.split_first()?;
    if digits != 0 {
        return None;
    }
    let mut text = match first {
        0..80 => format!("{}.{}", first / 40, first % 40),
        _ => format!("2.{}", first - 80),
    };
    for number in others {
        text.push('.');
        text.push_str(&number.to_string());
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_go_reads_them() {
        let check = |bytes: &[u8], content: Option<&[u8]>| {
            assert_eq!(Der::new(bytes).any().map(|e| e.content), content);
        };
        check(&[4, 1, 7], Some(&[7]));
        check(&[4, 0], Some(&[]));
        check(&[4, 2, 7], None);
        check(&[4, 0x80, 0, 0], None);
        check(&[4, 0x81, 1, 7], None);
        check(&[4, 0x85, 0, 0, 0, 0, 1, 7], None);
        check(&[0x1f, 1, 0, 0], None);
        check(&[4], None);
        let mut long = vec![4, 0x81, 128];
        long.extend([9; 128]);
        check(&long, Some(&[9; 128]));
    }

    #[test]
    fn identifiers_are_dotted() {
        let check = |content: &[u8], text: Option<&str>| {
            assert_eq!(dotted(content).as_deref(), text);
        };
        check(&[0x55, 0x1d, 0x11], Some("2.5.29.17"));
        check(
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d],
            Some("1.2.840.113549"),
        );
        check(&[0x2a, 0x80, 0x01], None);
        check(&[0x2a, 0x86], None);
        check(&[], None);
    }

    #[test]
    fn bits_are_counted_from_the_left() {
        let bits = Der::new(&[3, 2, 1, 0b1000_0110]).bit_string().unwrap();
        assert!(bits.bit(0) && bits.bit(5) && bits.bit(6) && !bits.bit(1) && !bits.bit(99));
        assert_eq!(bits.right_aligned(), [0b0100_0011]);
        assert!(Der::new(&[3, 2, 1, 1]).bit_string().is_none());
        assert!(Der::new(&[3, 1, 1]).bit_string().is_none());
    }
}
