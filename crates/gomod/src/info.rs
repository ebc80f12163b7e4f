//! `.info` files (rules 23 and 24).

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::{ParseError, Version, calendar};

/// What a `.info` file says; the bytes themselves are kept and served as they came, `Origin` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The canonical version.
    pub version: Version,
    /// RFC 3339 time, as written.
    pub time: Option<String>,
    /// The `Origin` object as compact JSON.
    pub origin: Option<String>,
}

impl Info {
    /// The longest `.info` that is read.
    pub const MAX_BYTES: usize = 1 << 20;

    /// Reads the JSON of a `.info` file (at most 1 MiB).
    ///
    /// As Go's decoder does: unknown fields are ignored, names are matched without regard to case, the
    /// last of several equal ones counts, and `null` is absence. A time must be RFC 3339.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let fail = |reason: String| {
            ParseError::new(
                ".info",
                &String::from_utf8_lossy(bytes.get(..200).unwrap_or(bytes)),
                reason,
            )
        };
        if bytes.len() > Self::MAX_BYTES {
            return Err(fail("larger than 1 MiB".into()));
        }
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let fields = json
            .deserialize_map(FieldsVisitor)
            .and_then(|fields| json.end().map(|()| fields))
            .map_err(|error| fail(error.to_string()))?;
        let version = fields.version.ok_or_else(|| fail("no Version".into()))?;
        if let Some(time) = &fields.time
            && !calendar::is_rfc3339(time)
        {
            return Err(fail(format!("Time {time:?} is not RFC 3339")));
        }
        if let Some(origin) = &fields.origin
            && !origin.get().starts_with('{')
        {
            return Err(fail("Origin is not an object".into()));
        }
        Ok(Self {
            version: Version::parse(&version)?,
            time: fields.time,
            origin: fields.origin.map(|origin| compact(origin.get())),
        })
    }

    /// Go's own compact form without a newline (rule 24).
    pub fn to_json(&self) -> String {
        let mut json = format!(r#"{{"Version":"{}""#, self.version);
        if let Some(time) = &self.time {
            json.push_str(r#","Time":"#);
            // A valid time needs no escaping, but this field is public.
            json.push_str(&serde_json::Value::from(time.as_str()).to_string());
        }
        if let Some(origin) = &self.origin {
            json.push_str(r#","Origin":"#);
            json.push_str(origin);
        }
        json.push('}');
        json
    }
}

#[derive(Default)]
struct Fields {
    version: Option<String>,
    time: Option<String>,
    origin: Option<Box<RawValue>>,
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with a Version")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(name) = map.next_key::<String>()? {
            if name.eq_ignore_ascii_case("version") {
                fields.version = map.next_value()?;
            } else if name.eq_ignore_ascii_case("time") {
                fields.time = map.next_value()?;
            } else if name.eq_ignore_ascii_case("origin") {
                fields.origin = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(fields)
    }
}

/// Drops the white space between the tokens of valid JSON.
fn compact(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut is_in_string = false;
    let mut chars = json.chars();
    while let Some(c) = chars.next() {
        if !is_in_string && matches!(c, ' ' | '\t' | '\r' | '\n') {
            continue;
        }
        compact.push(c);
        match c {
            '"' => is_in_string = !is_in_string,
            '\\' => compact.extend(chars.next()),
            _ => {}
        }
    }
    compact
}

#[cfg(test)]
mod tests;
