//! The go-import elements of a page, read as Go reads them (`parseMetaGoImports`, rule 51): lax XML, up to
//! the end of the head or the beginning of the body, and no further than the first thing that isn't XML.

/// One `<meta name="go-import" content="prefix vcs root [subdirectory]">`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MetaImport {
    pub(super) prefix: String,
    pub(super) system: String,
    pub(super) root: String,
    /// Empty where the element has only three fields.
    pub(super) subdirectory: String,
}

/// What a page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Imports {
    /// Those with `mod` first; others only for prefixes that have none with `mod`.
    pub(super) found: Vec<MetaImport>,
    /// Why reading ended early, where it did.
    pub(super) fault: Option<String>,
}

/// Why no element was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoMatch {
    /// None is for the path.
    None,
    /// More than one is.
    Several,
}

impl Imports {
    /// Reads a page.
    pub(super) fn read(page: &[u8]) -> Self {
        let mut reader = Reader { page, at: 0 };
        let mut all = Vec::new();
        let fault = loop {
            match reader.next() {
                Ok(Some(Token::Start(element))) if element.is("body") => break None,
                Ok(Some(Token::Start(element))) => all.extend(element.go_import()),
                Ok(Some(Token::End(name))) if name.eq_ignore_ascii_case("head") => break None,
                Ok(Some(Token::End(_) | Token::Other)) => {}
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
        };
        let (mut found, others): (Vec<MetaImport>, Vec<MetaImport>) =
            all.into_iter().partition(|import| import.system == "mod");
        let proxies = found.len();
        for import in others {
            let superseded = found
                .iter()
                .take(proxies)
                .any(|proxy| proxy.prefix == import.prefix);
            if !superseded {
                found.push(import);
            }
        }
        Self { found, fault }
    }

    /// The element for a path (`matchGoImport`): the only one whose prefix the path begins with, or the first,
    /// if that is one with `mod` and no other with `mod` fits.
    pub(super) fn for_path(&self, path: &str) -> Result<&MetaImport, NoMatch> {
        let mut fitting = self
            .found
            .iter()
            .filter(|import| is_below(path, &import.prefix));
        let first = fitting.next().ok_or(NoMatch::None)?;
        match fitting.next() {
            Some(second) if first.system != "mod" || second.system == "mod" => {
                Err(NoMatch::Several)
            }
            _ => Ok(first),
        }
    }
}

/// True if `path` is `prefix` or lies below it.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

enum Token {
    Start(Element),
    End(String),
    Other,
}

struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    empty: bool,
}

impl Element {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn attribute(&self, name: &str) -> &str {
        self.attributes
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    fn go_import(&self) -> Option<MetaImport> {
        if !self.is("meta") || self.attribute("name") != "go-import" {
            return None;
        }
        let mut fields = self.attribute("content").split_whitespace();
        let (prefix, system, root) = (fields.next()?, fields.next()?, fields.next()?);
        let subdirectory = fields.next().unwrap_or_default();
        if fields.next().is_some() {
            return None;
        }
        Some(MetaImport {
            prefix: prefix.to_owned(),
            system: system.to_owned(),
            root: root.to_owned(),
            subdirectory: subdirectory.to_owned(),
        })
    }
}

/// Go's XML decoder without its strictness, as far as it decides where reading ends.
struct Reader<'a> {
    page: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, String>;

impl Reader<'_> {
    fn next(&mut self) -> Read<Option<Token>> {
        match self.peek() {
            None => return Ok(None),
            Some(b'<') => self.at += 1,
            Some(_) => {
                self.text(None)?;
                return Ok(Some(Token::Other));
            }
        }
        Ok(Some(match self.must_peek()? {
            b'/' => {
                self.at += 1;
                let name = self.name("expected element name after </")?;
                self.space();
                if self.must_take()? != b'>' {
                    return fault("invalid characters between an end tag's name and >");
                }
                Token::End(name)
            }
            b'?' => {
                self.at += 1;
                self.instruction()?;
                Token::Other
            }
            b'!' => {
                self.at += 1;
                self.declaration()?;
                Token::Other
            }
            _ => {
                let element = self.element()?;
                // An empty element is its own end.
                if element.empty && element.is("head") {
                    Token::End(element.name)
                } else {
                    Token::Start(element)
                }
            }
        }))
    }

    fn peek(&self) -> Option<u8> {
        self.page.get(self.at).copied()
    }

    fn must_peek(&self) -> Read<u8> {
        self.peek().ok_or_else(|| "unexpected EOF".to_owned())
    }

    fn must_take(&mut self) -> Read<u8> {
        let byte = self.must_peek()?;
        self.at += 1;
        Ok(byte)
    }

    fn rest(&self) -> &[u8] {
        self.page.get(self.at..).unwrap_or_default()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\r' | b'\n' | b'\t')) {
            self.at += 1;
        }
    }

    /// A name without its namespace.
    fn name(&mut self, otherwise: &str) -> Read<String> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            let fits = byte >= 0x80
                || byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b':' | b'.' | b'-');
            if !fits {
                break;
            }
            self.at += 1;
        }
        let name = self.page.get(start..self.at).unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|_| "invalid UTF-8".to_owned())?;
        let starts_well = name
            .chars()
            .next()
            .is_some_and(|first| first.is_alphabetic() || matches!(first, '_' | ':'));
        if !starts_well || name.matches(':').count() > 1 {
            return fault(otherwise);
        }
        Ok(match name.split_once(':') {
            Some((space, local)) if !space.is_empty() && !local.is_empty() => local.to_owned(),
            _ => name.to_owned(),
        })
    }

    fn element(&mut self) -> Read<Element> {
        let name = self.name("expected element name after <")?;
        let mut attributes = Vec::new();
        loop {
            self.space();
            match self.must_peek()? {
                b'/' => {
                    self.at += 1;
                    if self.must_take()? != b'>' {
                        return fault("expected /> in element");
                    }
                    return Ok(Element {
                        name,
                        attributes,
                        empty: true,
                    });
                }
                b'>' => {
                    self.at += 1;
                    return Ok(Element {
                        name,
                        attributes,
                        empty: false,
                    });
                }
                _ => {
                    let attribute = self.name("expected attribute name in element")?;
                    self.space();
                    let value = if self.must_peek()? == b'=' {
                        self.at += 1;
                        self.space();
                        self.attribute_value()?
                    } else {
                        attribute.clone()
                    };
                    attributes.push((attribute, value));
                }
            }
        }
    }

    fn attribute_value(&mut self) -> Read<String> {
        let first = self.must_peek()?;
        if matches!(first, b'"' | b'\'') {
            self.at += 1;
            return self.text(Some(first));
        }
        let start = self.at;
        while self
            .must_peek()
            .map(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'-'))?
        {
            self.at += 1;
        }
        let value = self.page.get(start..self.at).unwrap_or_default();
        Ok(String::from_utf8_lossy(value).into_owned())
    }

    /// Text up to the quote, or up to the next `<`.
    fn text(&mut self, quote: Option<u8>) -> Read<String> {
        let start = self.at;
        loop {
            match (self.peek(), quote) {
                (None, None) | (Some(b'<'), None) => break,
                (None, Some(_)) => return fault("unexpected EOF"),
                (Some(b'<'), Some(_)) => return fault("unescaped < inside quoted string"),
                (Some(byte), Some(quote)) if byte == quote => break,
                (Some(_), _) => {}
            }
            if self.rest().starts_with(b"]]>") {
                return fault("unescaped ]]> not in CDATA section");
            }
            self.at += 1;
        }
        let text = self.page.get(start..self.at).unwrap_or_default();
        if quote.is_some() {
            self.at += 1;
        }
        characters(text).map(unescaped)
    }

    fn instruction(&mut self) -> Read<()> {
        let target = self.name("expected target name after <?")?;
        let start = self.at;
        self.skip_past(b"?>")?;
        let end = self.at.saturating_sub(2).max(start);
        if target != "xml" {
            return Ok(());
        }
        let content =
            String::from_utf8_lossy(self.page.get(start..end).unwrap_or_default()).into_owned();
        let version = parameter(&content, "version");
        if !matches!(version, "" | "1.0") {
            return fault("unsupported version of XML; only version 1.0 is supported");
        }
        let encoding = parameter(&content, "encoding").to_ascii_lowercase();
        if !matches!(&*encoding, "" | "utf-8" | "ascii") {
            let encoding: String = encoding.chars().take(40).collect();
            return Err(format!(
                "can't decode XML document using charset {}",
                gomod::go_quote(&encoding)
            ));
        }
        Ok(())
    }

    /// A comment, a CDATA section or a directive such as `<!DOCTYPE html>`.
    fn declaration(&mut self) -> Read<()> {
        match self.must_peek()? {
            b'-' => {
                self.at += 1;
                if self.must_take()? != b'-' {
                    return fault("invalid sequence <!- not part of <!--");
                }
                self.skip_past(b"--")?;
                match self.must_take()? {
                    b'>' => Ok(()),
                    _ => fault("invalid sequence \"--\" not allowed in comments"),
                }
            }
            b'[' => {
                if !self.rest().starts_with(b"[CDATA[") {
                    return fault("invalid <![ sequence");
                }
                let start = self.at;
                self.skip_past(b"]]>")?;
                characters(self.page.get(start..self.at).unwrap_or_default()).map(|_| ())
            }
            _ => self.directive(),
        }
    }

    fn directive(&mut self) -> Read<()> {
        let mut quote = None;
        let mut depth = 0_usize;
        loop {
            let byte = self.must_take()?;
            match (quote, byte) {
                (Some(open), byte) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(byte),
                (None, b'>') if depth == 0 => return Ok(()),
                (None, b'>') => depth -= 1,
                (None, b'<') if self.rest().starts_with(b"!--") => self.skip_past(b"-->")?,
                (None, b'<') => depth += 1,
                (None, _) => {}
            }
        }
    }

    fn skip_past(&mut self, end: &[u8]) -> Read<()> {
        let found = self
            .rest()
            .windows(end.len())
            .position(|window| window == end)
            .ok_or_else(|| "unexpected EOF".to_owned())?;
        self.at += found + end.len();
        Ok(())
    }
}

fn fault<T>(text: &str) -> Read<T> {
    Err(text.to_owned())
}

/// UTF-8 of characters that XML allows.
fn characters(text: &[u8]) -> Read<&str> {
    let text = std::str::from_utf8(text).map_err(|_| "invalid UTF-8".to_owned())?;
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(allowed) {
        Ok(text)
    } else {
        fault("illegal character code")
    }
}

/// A value of an XML declaration: `version="1.0"`.
fn parameter<'a>(content: &'a str, name: &str) -> &'a str {
    let Some(start) = content.find(&format!("{name}=")) else {
        return "";
    };
    let rest = content.get(start + name.len() + 1..).unwrap_or_default();
    let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        return "";
    };
    rest.get(1..)
        .and_then(|rest| rest.split_once(quote))
        .map_or("", |(value, _)| value)
}

/// The five named references of XML and the numbered ones replaced; others stay as they are.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        plain.push_str(before);
        let character = after
            .split_once(';')
            .and_then(|(name, behind)| Some((referred(name)?, behind)));
        match character {
            Some((character, behind)) => {
                plain.push(character);
                rest = behind;
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn referred(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: &[&str]) {
        let imports = Imports::read(page.as_bytes());
        let found: Vec<String> = imports
            .found
            .iter()
            .map(|import| {
                format!(
                    "{} {} {} {}",
                    import.prefix, import.system, import.root, import.subdirectory
                )
                .trim_end()
                .to_owned()
            })
            .collect();
        assert_eq!(found, expected, "{page}: {:?}", imports.fault);
    }

    const META: &str = r#"<meta name="go-import" content="a.example/x git https://g.example/x">"#;
    const SAID: &str = "a.example/x git https://g.example/x";

    #[test]
    fn elements_are_found_however_the_page_is_written() {
        check(META, &[SAID]);
        check(
            &format!("<!DOCTYPE html><html><head>{META}</head>"),
            &[SAID],
        );
        check(
            &format!("<!-- c --><?xml version=\"1.0\"?>{META}<body>"),
            &[SAID],
        );
        check(
            "<META content='a.example/x  git\n https://g.example/x' NAME=go-import />",
            &[SAID],
        );
        check(
            "<link rel=x crossorigin><meta name=\"go-import\" content=\"a b c d\">",
            &["a b c d"],
        );
        check(
            "<meta name=\"go-import\" content=\"a git https://h/?x&amp;y&nbsp;&#65;\">",
            &["a git https://h/?x&y&nbsp;A"],
        );
        check(&format!("&copy; <title>a > b</title>{META}"), &[SAID]);
    }

    #[test]
    fn the_body_and_what_follows_the_head_do_not_count() {
        check(&format!("<head></head>{META}"), &[]);
        check(&format!("<HEAD></HEAD>{META}"), &[]);
        check(&format!("<body>{META}"), &[]);
        check(&format!("<head/>{META}"), &[]);
        check(&format!("{META}<body>{META}"), &[SAID]);
    }

    #[test]
    fn other_elements_and_other_counts_of_fields_do_not_count() {
        check("<meta name=\"go-import\" content=\"a git\">", &[]);
        check("<meta name=\"go-import\" content=\"a git c d e\">", &[]);
        check("<meta name=\"Go-Import\" content=\"a git c\">", &[]);
        check("<meta name=\"go-source\" content=\"a git c\">", &[]);
        check("<mета name=\"go-import\" content=\"a git c\">", &[]);
    }

    #[test]
    fn reading_ends_where_the_page_stops_being_markup() {
        let check_fault = |page: &str, expected: &str, found: usize| {
            let imports = Imports::read(page.as_bytes());
            let fault = imports.fault.unwrap_or_default();
            assert!(fault.contains(expected), "{page}: {fault}");
            assert_eq!(imports.found.len(), found, "{page}");
        };
        check_fault(
            &format!("<script>if (a < b) {{}}</script>{META}"),
            "element name",
            0,
        );
        check_fault(&format!("{META}<script>if (a < b)"), "element name", 1);
        check_fault(&format!("<!-- a -- b -->{META}"), "comments", 0);
        check_fault("<meta content=\"a<b\">", "unescaped <", 0);
        check_fault("<a href=x/y>", "/>", 0);
        check_fault("<a href=\"", "EOF", 0);
        check_fault(
            &format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{META}"),
            "charset \"iso-8859-1\"",
            0,
        );
        check_fault("]]>", "CDATA", 0);
        check_fault("\u{1}", "illegal character", 0);
        assert!(Imports::read(b"\xff").fault.is_some());
        check(
            &format!("<?xml version=\"1.0\" encoding=\"ASCII\"?>{META}"),
            &[SAID],
        );
    }

    #[test]
    fn a_proxy_wins_over_a_repository_of_the_same_prefix() {
        let meta = |content: &str| format!("<meta name=\"go-import\" content=\"{content}\">");
        let page =
            meta("a git https://g/a") + &meta("b git https://g/b") + &meta("a mod https://p/a");
        check(&page, &["a mod https://p/a", "b git https://g/b"]);
    }

    #[test]
    fn one_element_must_fit_the_path() {
        let imports = |contents: &[&str]| {
            let page: String = contents
                .iter()
                .map(|content| format!("<meta name=\"go-import\" content=\"{content}\">"))
                .collect();
            Imports::read(page.as_bytes())
        };
        let check = |contents: &[&str], path: &str, expected: Result<&str, NoMatch>| {
            let imports = imports(contents);
            let found = imports.for_path(path).map(|import| &*import.root);
            assert_eq!(found, expected, "{contents:?} {path}");
        };
        check(&["h/a git 1", "h/b git 2"], "h/b/c", Ok("2"));
        check(&["h/a git 1"], "h/ab", Err(NoMatch::None));
        check(
            &["h/a git 1", "h/a/b git 2"],
            "h/a/b",
            Err(NoMatch::Several),
        );
        check(&["h/a git 1", "h/a/b git 2"], "h/a/c", Ok("1"));
        check(&["h/a mod 1", "h/a/b git 2"], "h/a/b", Ok("1"));
        check(
            &["h/a mod 1", "h/a/b mod 2"],
            "h/a/b",
            Err(NoMatch::Several),
        );
        check(&[], "h/a", Err(NoMatch::None));
    }
}
