//! The pattern syntax of Go's `path.Match`: `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a literal.

/// A well-formed pattern, cut at its stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob(Vec<Chunk>);

/// A star, maybe, and what follows it up to the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chunk {
    after_star: bool,
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(char),
    /// `?`: any character but a slash.
    AnyCharacter,
    /// `[a-z]`: unlike `?` and `*`, Go lets a class match a slash.
    Class {
        is_negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Reads a pattern; `None` if it is malformed.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let mut chunks = vec![Chunk::default()];
        let mut rest = pattern.chars();
        while let Some(c) = rest.next() {
            let item = match c {
                '*' => {
                    chunks.push(Chunk {
                        after_star: true,
                        items: Vec::new(),
                    });
                    continue;
                }
                '?' => Item::AnyCharacter,
                '[' => parse_class(&mut rest)?,
                '\\' => Item::Literal(rest.next()?),
                literal => Item::Literal(literal),
            };
            chunks.last_mut()?.items.push(item);
        }
        // A run of stars is one star; the first chunk is empty where the pattern starts with one.
        let last = chunks.len() - 1;
        let chunks = chunks
            .into_iter()
            .enumerate()
            .filter(|(at, chunk)| !chunk.items.is_empty() || *at == last)
            .map(|(_, chunk)| chunk)
            .collect();
        Some(Self(chunks))
    }

    /// True if the whole of `name` matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let mut name = name;
        let last = self.0.len().saturating_sub(1);
        // Each chunk takes the first place where it fits. That this is right although a class may
        // match a slash and a star may not is Go's decision.
        for (at, chunk) in self.0.iter().enumerate() {
            let is_last = at == last;
            if is_last && chunk.after_star && chunk.items.is_empty() {
                return !name.contains('/');
            }
            let Some(rest) = chunk.find(name, is_last) else {
                return false;
            };
            name = rest;
        }
        name.is_empty()
    }
}

impl Chunk {
    /// What is left of `name` behind the first place where the chunk matches.
    fn find<'a>(&self, name: &'a str, to_the_end: bool) -> Option<&'a str> {
        let mut start = name;
        loop {
            if let Some(rest) = self.matches_at(start)
                && (rest.is_empty() || !to_the_end)
            {
                return Some(rest);
            }
            let mut skipped = start.chars();
            if !self.after_star || matches!(skipped.next(), None | Some('/')) {
                return None;
            }
            start = skipped.as_str();
        }
    }

    fn matches_at<'a>(&self, name: &'a str) -> Option<&'a str> {
        let mut rest = name.chars();
        self.items
            .iter()
            .all(|item| rest.next().is_some_and(|c| item.matches(c)))
            .then_some(rest.as_str())
    }
}

impl Item {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == c,
            Self::AnyCharacter => c != '/',
            Self::Class { is_negated, ranges } => {
                ranges.iter().any(|&(low, high)| low <= c && c <= high) != *is_negated
            }
        }
    }
}

/// Reads a class behind its `[`: at least one range, each a character or two with a dash between.
fn parse_class(rest: &mut std::str::Chars<'_>) -> Option<Item> {
    let is_negated = take_if(rest, '^');
    let mut ranges = Vec::new();
    while ranges.is_empty() || !take_if(rest, ']') {
        let low = parse_class_character(rest)?;
        let high = if take_if(rest, '-') {
            parse_class_character(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    Some(Item::Class { is_negated, ranges })
}

fn parse_class_character(rest: &mut std::str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        c => Some(c),
    }
}

fn take_if(rest: &mut std::str::Chars<'_>, wanted: char) -> bool {
    let is_next = rest.as_str().starts_with(wanted);
    if is_next {
        rest.next();
    }
    is_next
}
