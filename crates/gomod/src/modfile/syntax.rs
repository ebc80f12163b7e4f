//! The lines and blocks of a go.mod file, below the level of directives.
//!
//! A file is read once from the front and handed on line by line; there is no tree. That is
//! possible because a comment belongs to the line that it stands on or to the next one.
use super::{ModFileError, Position};
use crate::quote::quote_rune;
use crate::unicode;

/// What is told of a file while it is read.
pub(super) trait Listener {
    /// A line outside of blocks, or a line of the block that was opened last.
    fn line(&mut self, line: &Line<'_>, block: Option<&Block<'_>>);
    /// A block begins.
    fn block(&mut self, block: &Block<'_>);
}

/// The words of one directive.
pub(super) struct Line<'t> {
    pub(super) position: Position,
    /// At least one.
    pub(super) words: Vec<&'t str>,
    pub(super) comments: Comments<'t>,
}

/// `WORDS (`; its lines follow.
pub(super) struct Block<'t> {
    pub(super) position: Position,
    /// At least one.
    pub(super) words: Vec<&'t str>,
    pub(super) comments: Comments<'t>,
}

/// The comments of a line or block, with their `//`. Blank lines between them are empty comments,
/// as in Go.
#[derive(Default)]
pub(super) struct Comments<'t> {
    pub(super) before: Vec<&'t str>,
    pub(super) suffix: Option<&'t str>,
}

impl Comments<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.suffix.is_none()
    }
}

/// Reads a whole file, or stops at the first syntax error.
pub(super) fn read<L: Listener>(text: &str, listener: &mut L) -> Result<(), ModFileError> {
    let mut lexer = Lexer::new(text)?;
    let mut comments = Vec::new();
    loop {
        match lexer.next.kind {
            Kind::End => return Ok(()),
            Kind::Newline => {
                lexer.advance()?;
                comments.clear();
            }
            Kind::Comment => comments.push(lexer.advance()?.text),
            _ => statement(&mut lexer, std::mem::take(&mut comments), listener)?,
        }
    }
}

/// A line or a whole block.
fn statement<'t, L: Listener>(
    lexer: &mut Lexer<'t>,
    before: Vec<&'t str>,
    listener: &mut L,
) -> Result<(), ModFileError> {
    let first = lexer.advance()?;
    let mut words = vec![first.text];
    let comments = |suffix| Comments { before, suffix };
    let block = |words, comments| Block {
        position: first.position,
        words,
        comments,
    };
    loop {
        let token = lexer.advance()?;
        if token.kind.ends_line() {
            listener.line(
                &Line {
                    position: first.position,
                    words,
                    comments: comments(token.comment()),
                },
                None,
            );
            return Ok(());
        }
        if token.kind != Kind::Open {
            words.push(token.text);
            continue;
        }
        if lexer.next.kind.ends_line() {
            let block = block(words, comments(None));
            listener.block(&block);
            return block_lines(lexer, &block, listener);
        }
        words.push(token.text);
        if lexer.next.kind == Kind::Close {
            let close = lexer.advance()?;
            if lexer.next.kind.ends_line() {
                words.pop();
                let end = lexer.advance()?;
                listener.block(&block(words, comments(end.comment())));
                return Ok(());
            }
            words.push(close.text);
        }
    }
}

fn block_lines<'t, L: Listener>(
    lexer: &mut Lexer<'t>,
    block: &Block<'t>,
    listener: &mut L,
) -> Result<(), ModFileError> {
    let mut before: Vec<&str> = Vec::new();
    let mut is_first = true;
    loop {
        match lexer.next.kind {
            Kind::LineComment => {
                lexer.advance()?;
            }
            Kind::Newline => {
                lexer.advance()?;
                // A blank line counts as a comment, but not at the top and only once.
                if before.last().map_or(!is_first, |last| !last.is_empty()) {
                    before.push("");
                }
            }
            Kind::Comment => before.push(lexer.advance()?.text),
            Kind::End => {
                let Position { line, column, .. } = block.position;
                return Err(lexer.error(format!(
                    "syntax error (unterminated block started at go.mod:{line}:{column})"
                )));
            }
            Kind::Close => {
                lexer.advance()?;
                if !lexer.next.kind.ends_line() {
                    return Err(
                        lexer.error("syntax error (expected newline after closing paren)".into())
                    );
                }
                lexer.advance()?;
                return Ok(());
            }
            _ => {
                let line = block_line(lexer, std::mem::take(&mut before))?;
                listener.line(&line, Some(block));
                is_first = false;
            }
        }
    }
}

fn block_line<'t>(lexer: &mut Lexer<'t>, before: Vec<&'t str>) -> Result<Line<'t>, ModFileError> {
    let first = lexer.advance()?;
    let mut words = vec![first.text];
    loop {
        let token = lexer.advance()?;
        if token.kind.ends_line() {
            return Ok(Line {
                position: first.position,
                words,
                comments: Comments {
                    before,
                    suffix: token.comment(),
                },
            });
        }
        words.push(token.text);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    End,
    Newline,
    /// A comment that has its line for itself; ends with the line.
    Comment,
    /// A comment behind something else; ends with the line.
    LineComment,
    Open,
    Close,
    /// Anything else: a name, a string in its quotes, a bracket, a comma.
    Word,
}

impl Kind {
    fn ends_line(self) -> bool {
        matches!(self, Self::End | Self::Newline | Self::LineComment)
    }
}

#[derive(Clone, Copy)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    position: Position,
}

impl<'t> Token<'t> {
    fn comment(&self) -> Option<&'t str> {
        (self.kind == Kind::LineComment).then_some(self.text)
    }
}

/// Cuts a text into tokens, one ahead of the reader.
struct Lexer<'t> {
    text: &'t str,
    position: Position,
    next: Token<'t>,
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str) -> Result<Self, ModFileError> {
        let position = Position {
            line: 1,
            column: 1,
            byte: 0,
        };
        let mut lexer = Self {
            text,
            position,
            next: Token {
                kind: Kind::End,
                text: "",
                position,
            },
        };
        lexer.next = lexer.read()?;
        Ok(lexer)
    }

    /// The next token; reads the one after it, where most errors are found.
    fn advance(&mut self) -> Result<Token<'t>, ModFileError> {
        let next = self.read()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn error(&self, text: String) -> ModFileError {
        self.error_at(self.position, text)
    }

    fn error_at(&self, position: Position, text: String) -> ModFileError {
        ModFileError { position, text }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.position.byte..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let rune = self.peek()?;
        self.position.byte += rune.len_utf8();
        if rune == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += rune.len_utf8();
        }
        Some(rune)
    }

    fn token(&self, kind: Kind, start: Position) -> Token<'t> {
        let text = self
            .text
            .get(start.byte..self.position.byte)
            .unwrap_or_default();
        Token {
            kind,
            text,
            position: start,
        }
    }

    fn read(&mut self) -> Result<Token<'t>, ModFileError> {
        while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
            self.bump();
        }
        let start = self.position;
        if self.rest().starts_with("//") {
            return Ok(self.comment());
        }
        self.refuse_block_comment()?;
        let Some(rune) = self.peek() else {
            return Ok(self.token(Kind::End, start));
        };
        let kind = match rune {
            '\n' => Kind::Newline,
            '(' => Kind::Open,
            ')' => Kind::Close,
            '[' | ']' | '{' | '}' | ',' => Kind::Word,
            '"' | '`' => return self.string(rune),
            _ => return self.word(rune),
        };
        self.bump();
        Ok(self.token(kind, start))
    }

    fn refuse_block_comment(&self) -> Result<(), ModFileError> {
        if self.rest().starts_with("/*") {
            return Err(self.error("mod files must use // comments (not /* */ comments)".into()));
        }
        Ok(())
    }

    /// A comment with its newline, which is not part of its text.
    fn comment(&mut self) -> Token<'t> {
        let start = self.position;
        let line_start = start.byte + 1 - start.column;
        let before = self.text.get(line_start..start.byte).unwrap_or_default();
        let kind = if before.trim().is_empty() {
            Kind::Comment
        } else {
            Kind::LineComment
        };
        while self.bump().is_some_and(|rune| rune != '\n') {}
        let mut token = self.token(kind, start);
        token.text = match token.text.strip_suffix("\r\n") {
            Some(text) => text,
            None => token.text.strip_suffix('\n').unwrap_or(token.text),
        };
        token
    }

    fn string(&mut self, quote: char) -> Result<Token<'t>, ModFileError> {
        let start = self.position;
        let cut_off = |lexer: &Self| lexer.error_at(start, "unexpected EOF in string".into());
        self.bump();
        loop {
            match self.peek() {
                None => return Err(cut_off(self)),
                Some('\n') => return Err(self.error("unexpected newline in string".into())),
                Some(rune) => {
                    self.bump();
                    if rune == quote {
                        return Ok(self.token(Kind::Word, start));
                    }
                    if rune == '\\' && quote == '"' && self.bump().is_none() {
                        return Err(cut_off(self));
                    }
                }
            }
        }
    }

    fn word(&mut self, first: char) -> Result<Token<'t>, ModFileError> {
        let start = self.position;
        if !is_word_rune(first) {
            let rune = quote_rune(first);
            return Err(self.error(format!("unexpected input character {rune}")));
        }
        while self.peek().is_some_and(is_word_rune) && !self.rest().starts_with("//") {
            self.refuse_block_comment()?;
            self.bump();
        }
        Ok(self.token(Kind::Word, start))
    }
}

fn is_word_rune(rune: char) -> bool {
    !matches!(rune, ' ' | '(' | ')' | '[' | ']' | '{' | '}' | ',') && unicode::is_printable(rune)
}
