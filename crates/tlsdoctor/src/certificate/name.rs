//! Distinguished names.

use std::fmt;

use crate::der::{Der, tag};

/// A distinguished name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    /// The encoding: two names are the same for Go if their bytes are.
    pub raw: Vec<u8>,
    /// Dotted identifier and text of each attribute, in order.
    pub attributes: Vec<(String, String)>,
}

impl Name {
    /// The last common name, as Go takes it.
    pub fn common_name(&self) -> Option<&str> {
        self.last("2.5.4.3")
    }

    /// The first organisation.
    pub fn organization(&self) -> Option<&str> {
        let found = self.attributes.iter().find(|(kind, _)| kind == "2.5.4.10");
        found.map(|(_, text)| text.as_str())
    }

    fn last(&self, wanted: &str) -> Option<&str> {
        let found = self
            .attributes
            .iter()
            .rev()
            .find(|(kind, _)| kind == wanted);
        found.map(|(_, text)| text.as_str())
    }

    /// Reads a name; what cannot be read is Go's complaint, and the attributes before it are kept.
    pub(super) fn read(raw: &[u8]) -> (Self, Option<String>) {
        let mut name = Self {
            raw: raw.to_vec(),
            attributes: Vec::new(),
        };
        let complaint = name.read_attributes(raw).err();
        (name, complaint)
    }

    fn read_attributes(&mut self, raw: &[u8]) -> Result<(), String> {
        let invalid = |more: &str| format!("x509: invalid RDNSequence{more}");
        let mut sets = Der::new(raw)
            .inside(tag::SEQUENCE)
            .ok_or_else(|| invalid(""))?;
        while !sets.is_empty() {
            let mut set = sets.inside(tag::SET).ok_or_else(|| invalid(""))?;
            while !set.is_empty() {
                let mut attribute = set
                    .inside(tag::SEQUENCE)
                    .ok_or_else(|| invalid(": invalid attribute"))?;
                let kind = attribute
                    .identifier()
                    .ok_or_else(|| invalid(": invalid attribute type"))?;
                let value = attribute
                    .any()
                    .ok_or_else(|| invalid(": invalid attribute value"))?;
                let text = text(value.tag, value.content)
                    .map_err(|fault| invalid(&format!(": invalid attribute value: {fault}")))?;
                self.attributes.push((kind, text));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Name {
    /// `CN=Example CA, O=Example`, the order of the encoding turned round.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (kind, text)) in self.attributes.iter().rev().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            let kind = match kind.as_str() {
                "2.5.4.3" => "CN",
                "2.5.4.5" => "SERIALNUMBER",
                "2.5.4.6" => "C",
                "2.5.4.7" => "L",
                "2.5.4.8" => "ST",
                "2.5.4.9" => "STREET",
                "2.5.4.10" => "O",
                "2.5.4.11" => "OU",
                other => other,
            };
            write!(f, "{separator}{kind}={text}")?;
        }
        Ok(())
    }
}

/// A string of one of the types that names use, with Go's words where it refuses one.
fn text(tag: u8, value: &[u8]) -> Result<String, String> {
    let checked = |fits: fn(&u8) -> bool, kind: &str| {
        if value.iter().all(fits) {
            Ok(String::from_utf8_lossy(value).into_owned())
        } else {
            Err(format!("invalid {kind}"))
        }
    };
    match tag {
        // Read as Latin-1, as most programs do.
        tag::T61_STRING => Ok(value.iter().copied().map(char::from).collect()),
        tag::UTF8_STRING => {
            String::from_utf8(value.to_vec()).map_err(|_| "invalid UTF-8 string".to_owned())
        }
        tag::PRINTABLE_STRING => checked(
            |byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(byte),
            "PrintableString",
        ),
        tag::IA5_STRING => checked(u8::is_ascii, "IA5String"),
        tag::NUMERIC_STRING => checked(
            |byte| byte.is_ascii_digit() || *byte == b' ',
            "NumericString",
        ),
        tag::BMP_STRING => two_byte_text(value).ok_or_else(|| "invalid BMPString".to_owned()),
        other => Err(format!("unsupported string type: {other}")),
    }
}

fn two_byte_text(value: &[u8]) -> Option<String> {
    let value = value.strip_suffix(&[0, 0]).unwrap_or(value);
    let (pairs, []) = value.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|pair| match u16::from_be_bytes(*pair) {
            0xfffe | 0xffff | 0xfdd0..=0xfdef => None,
            point => char::from_u32(u32::from(point)),
        })
        .collect()
}
