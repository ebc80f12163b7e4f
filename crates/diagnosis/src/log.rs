//! Reads a pasted log: what failed first, and why.
//!
//! Four steps, each in a room of its own. `decoration` takes off what CI systems put around lines.
//! `vocabulary` finds what is said in them. This file keeps the nesting: which words are go's own,
//! which stand inside a server's answer or behind a program's exit status, and which later line only
//! tells more of an earlier one. `judge` weighs each statement; `ranking` puts root causes first.

mod decoration;
mod judge;
mod place;
mod ranking;
mod vocabulary;

use decoration::Line;
use judge::{Judgement, Quoter, Statement};
use place::{Endpoint, Url, looks_private, module_in, urls};
use vocabulary::{Hit, Mark, Meaning, hits};

use crate::finding::{Finding, Subject};

/// What went wrong in this log, root cause first; empty where nothing was recognised.
///
/// Takes any text: bytes that are no UTF-8 are to be replaced by the caller. Time grows with the
/// length of the log.
pub fn explain(log: &str) -> Vec<Finding> {
    let lines = decoration::lines(log);
    let mut reader = Reader::new(&lines);
    for index in 0..lines.len() {
        reader.read(index);
    }
    ranking::findings(&lines, reader.verdicts, &reader.facts)
}

/// One judged statement with where it stands.
#[derive(Clone, Debug)]
struct Verdict {
    judgement: Judgement,
    /// Index into the plain lines.
    line: usize,
    subject: Subject,
    /// Another statement told what was behind this one.
    superseded: bool,
    /// The endpoint that failed, where a URL shows one.
    endpoint: Option<Endpoint>,
    /// Who is quoted, where another side said it.
    quoted: Option<Endpoint>,
}

/// What the log says besides its failures.
#[derive(Debug, Default)]
struct Facts {
    /// A GOPROXY is configured, or go spoke to one.
    module_proxy_seen: bool,
    /// `-insecure` or GOINSECURE.
    insecure: bool,
    modules_off: bool,
    /// A minimal image.
    bare_image: bool,
    /// The minor version of Go 1 that runs, where the log shows it.
    go_minor: Option<u32>,
}

/// What the next lines belong to.
#[derive(Clone, Debug)]
struct Block {
    quoter: Option<Quoter>,
    by_git: bool,
    /// Indentation of the line that opened it.
    indent: usize,
    /// The verdicts that a line inside would explain: the answer's status, the program's failure.
    openers: Vec<usize>,
    subject: Subject,
}

struct Reader<'a> {
    lines: &'a [Line<'a>],
    verdicts: Vec<Verdict>,
    facts: Facts,
    block: Option<Block>,
    /// A line that was read together with the one before it.
    joined: Option<usize>,
}

impl<'a> Reader<'a> {
    fn new(lines: &'a [Line<'a>]) -> Self {
        Self {
            lines,
            verdicts: Vec::new(),
            facts: Facts::default(),
            block: None,
            joined: None,
        }
    }

    fn read(&mut self, index: usize) {
        let Some(line) = self.lines.get(index) else {
            return;
        };
        if self.joined.take() == Some(index) || line.text.is_empty() {
            return;
        }
        let joined = self.with_status_of_next_line(index, &line.text);
        let text = joined.as_deref().unwrap_or(&line.text);
        if self
            .block
            .as_ref()
            .is_some_and(|block| line.indent <= block.indent && begins_statement(text))
        {
            self.block = None;
        }
        let found = hits(text);
        if found.is_empty() {
            if text.starts_with("fatal: ") || text.starts_with("error: ") {
                self.note_unknown_git_failure(index);
            }
            return;
        }
        self.note_facts(text, &found);
        let urls = urls(text);
        let mut from = 0;
        for cut in cuts(text, &found) {
            self.part(index, text, &found, &urls, from, cut.start);
            self.open_block(index, line, text, &urls, cut);
            from = cut.end;
        }
        let judged = self.part(index, text, &found, &urls, from, text.len());
        // Before Go 1.16 a server's answer followed its status without any word between.
        if self.block.is_none()
            && let Some(verdict) = judged
            && let Some(url) = urls.last()
            && answers_with_text(url.endpoint())
            && !self.begins_anew_behind(index, line.indent)
        {
            self.block = Some(Block {
                quoter: Some(quoter(url, text)),
                by_git: false,
                indent: line.indent,
                openers: vec![verdict],
                subject: Subject::default(),
            });
        }
    }

    /// Whether the next line says something of its own, so that nothing can belong to this one.
    fn begins_anew_behind(&self, index: usize, indent: usize) -> bool {
        self.joined.is_none()
            && self
                .lines
                .get(index + 1)
                .is_some_and(|next| next.indent <= indent && begins_statement(&next.text))
    }

    /// A line that ends behind a URL, with the status that stands on the next one.
    fn with_status_of_next_line(&mut self, index: usize, text: &str) -> Option<String> {
        let url = text.strip_suffix(':')?.rsplit(' ').next()?;
        let next = self.lines.get(index + 1)?.text.as_ref();
        let begins_with_status = next
            .split_once(' ')
            .is_some_and(|(number, _)| number.len() == 3 && number.parse::<u16>().is_ok());
        if !url.contains("://") || !begins_with_status {
            return None;
        }
        self.joined = Some(index + 1);
        Some(format!("{text} {next}"))
    }

    /// git says in words that are not known here why it failed.
    fn note_unknown_git_failure(&mut self, index: usize) {
        let Some(block) = self.block.as_ref().filter(|block| block.by_git) else {
            return;
        };
        self.verdicts.push(Verdict {
            judgement: Judgement::unknown_git_failure(),
            line: index,
            subject: block.subject.clone(),
            superseded: false,
            endpoint: None,
            quoted: block.quoter.map(|quoter| quoter.endpoint),
        });
        self.supersede_opener();
    }

    /// Words that are only a consequence still say more than that a program failed.
    fn supersede_placeholders(&mut self) {
        let openers = self.block.as_ref().map(|block| block.openers.clone());
        for opener in openers.into_iter().flatten() {
            if let Some(verdict) = self.verdicts.get_mut(opener) {
                verdict.superseded |= verdict.judgement.consequence;
            }
        }
    }

    fn supersede_opener(&mut self) {
        let openers = self.block.as_ref().map(|block| block.openers.clone());
        for opener in openers.into_iter().flatten() {
            if let Some(verdict) = self.verdicts.get_mut(opener) {
                verdict.superseded = true;
            }
        }
    }

    /// Judges what one side said, `text[from..to]`; the index of its verdict.
    fn part(
        &mut self,
        index: usize,
        text: &str,
        found: &[Hit],
        urls: &[Url<'_>],
        from: usize,
        to: usize,
    ) -> Option<usize> {
        let said = text.get(from..to)?;
        let within = |start: usize, end: usize| start >= from && end <= to;
        let own: Vec<Hit> = found
            .iter()
            .filter(|hit| within(hit.start, hit.end))
            .map(|hit| Hit {
                start: hit.start - from,
                end: hit.end - from,
                meaning: hit.meaning,
            })
            .collect();
        if own.is_empty() {
            return None;
        }
        let own_urls: Vec<Url<'_>> = urls
            .iter()
            .filter(|url| within(url.start, url.end))
            .map(|url| Url {
                start: url.start - from,
                end: url.end - from,
                ..url.clone()
            })
            .collect();
        let subject = self.subject(text, &own_urls);
        let following = self.lines.get(index + 1..).unwrap_or_default();
        let statement = Statement {
            text: said,
            hits: &own,
            urls: &own_urls,
            by_git: self.block.as_ref().is_some_and(|block| block.by_git),
            quoter: self.block.as_ref().and_then(|block| block.quoter),
            module: subject.module.as_deref(),
            version: subject.version.as_deref(),
            following,
        };
        let judgement = statement.judge()?;
        if judgement.consequence {
            self.supersede_placeholders();
        } else {
            self.supersede_opener();
        }
        self.verdicts.push(Verdict {
            judgement,
            line: index,
            subject,
            superseded: false,
            endpoint: own_urls.last().map(Url::endpoint),
            quoted: self
                .block
                .as_ref()
                .and_then(|block| block.quoter)
                .map(|quoter| quoter.endpoint),
        });
        Some(self.verdicts.len() - 1)
    }

    /// What follows `server response:` or `exit status N:` was said by another.
    fn open_block(
        &mut self,
        index: usize,
        line: &Line<'_>,
        text: &str,
        urls: &[Url<'_>],
        cut: Cut,
    ) {
        let by_git = cut.what == Mark::ExitStatus && runs_version_control(text);
        if cut.what == Mark::ExitStatus && !by_git {
            return;
        }
        let outer = self.block.take();
        let url = urls.iter().rfind(|url| url.end <= cut.start);
        // The verdict of this line, else of the block around: `server response:` on a line of its own.
        let own = self.verdicts.len().checked_sub(1).filter(|last| {
            url.is_some()
                || self
                    .verdicts
                    .get(*last)
                    .is_some_and(|verdict| verdict.quoted.is_none())
        });
        let mut openers = match cut.what {
            Mark::ServerResponse => own.into_iter().collect(),
            _ => outer
                .as_ref()
                .map(|outer| outer.openers.clone())
                .unwrap_or_default(),
        };
        let quoter = match (cut.what, url) {
            (Mark::ServerResponse, Some(url)) => Some(quoter(url, text)),
            _ => outer.as_ref().and_then(|outer| outer.quoter),
        };
        let mut subject = self.subject(text, urls);
        if let Some(outer) = &outer
            && subject.module.is_none()
        {
            subject.module.clone_from(&outer.subject.module);
            subject.version.clone_from(&outer.subject.version);
        }
        if by_git {
            if quoter.is_some() {
                for opener in &openers {
                    if let Some(verdict) = self.verdicts.get_mut(*opener) {
                        verdict.superseded = true;
                    }
                }
            }
            // Stands until git's own words say more.
            self.verdicts.push(Verdict {
                judgement: Statement::git_failed(quoter),
                line: index,
                subject: subject.clone(),
                superseded: false,
                endpoint: None,
                quoted: quoter.map(|quoter| quoter.endpoint),
            });
            openers.truncate(MOST_CUTS);
            openers.push(self.verdicts.len() - 1);
        }
        self.block = Some(Block {
            quoter,
            by_git,
            indent: outer.map_or(line.indent, |outer| outer.indent.min(line.indent)),
            openers,
            subject,
        });
    }

    fn subject(&self, text: &str, urls: &[Url<'_>]) -> Subject {
        let (module, version) = urls
            .iter()
            .rev()
            .find_map(Url::module)
            .filter(|(_, version)| version.is_some())
            .or_else(|| module_in(text))
            .or_else(|| urls.iter().rev().find_map(Url::module))
            .map_or((None, None), |(module, version)| (Some(module), version));
        let host = urls
            .last()
            .map(|url| url.host.to_owned())
            .or_else(|| looked_up(text));
        let around = self.block.as_ref().map(|block| &block.subject);
        let url = match &host {
            Some(_) => urls.last().and_then(Url::asked),
            None => around.and_then(|subject| subject.url.clone()),
        };
        Subject {
            host: host.or_else(|| around.and_then(|subject| subject.host.clone())),
            url,
            version: if module.is_some() {
                version
            } else {
                around.and_then(|subject| subject.version.clone())
            },
            module: module.or_else(|| around.and_then(|subject| subject.module.clone())),
        }
    }

    fn note_facts(&mut self, text: &str, found: &[Hit]) {
        for hit in found {
            match hit.meaning {
                Meaning::Mark(Mark::Insecure) => {
                    let value = text.get(hit.end..).unwrap_or_default();
                    self.facts.insecure |= !value.starts_with("=\"\"") && value != "=";
                }
                Meaning::Mark(Mark::ModulesOff) => self.facts.modules_off = true,
                Meaning::Mark(Mark::BareImage) => self.facts.bare_image = true,
                Meaning::Mark(Mark::GoVersion) => {
                    let version = text.get(hit.end..).unwrap_or_default();
                    let minor = version.strip_prefix("1.").map(|rest| {
                        rest.split(|letter: char| !letter.is_ascii_digit())
                            .next()
                            .unwrap_or_default()
                    });
                    self.facts.go_minor = minor
                        .and_then(|minor| minor.parse().ok())
                        .or(self.facts.go_minor);
                }
                Meaning::Mark(Mark::Setting) => {
                    self.facts.module_proxy_seen |= text
                        .get(hit.start..)
                        .is_some_and(|rest| rest.starts_with("GOPROXY="));
                }
                _ => {}
            }
        }
    }
}

/// Where another side begins to speak.
#[derive(Clone, Copy, Debug)]
struct Cut {
    start: usize,
    end: usize,
    what: Mark,
}

/// More layers than this are not told apart on one line; go writes three.
const MOST_CUTS: usize = 8;

fn cuts(text: &str, found: &[Hit]) -> Vec<Cut> {
    found
        .iter()
        .filter_map(|hit| match hit.meaning {
            Meaning::Mark(Mark::ServerResponse) => Some(Cut {
                start: hit.start,
                end: hit.end,
                what: Mark::ServerResponse,
            }),
            Meaning::Mark(Mark::ExitStatus) => {
                let rest = text.get(hit.end..)?;
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let end = hit.end + digits;
                // Behind a number and a colon stands what was said, if anything; a number at the end
                // is all there is.
                let rest = text.get(end..)?;
                (rest.is_empty() || rest.starts_with(':')).then_some(Cut {
                    start: hit.start,
                    end: (end + 1).min(text.len()),
                    what: Mark::ExitStatus,
                })
            }
            _ => None,
        })
        .take(MOST_CUTS)
        .collect()
}

/// Was it git or one of its kin that go ran here?
fn runs_version_control(text: &str) -> bool {
    ["git ", "hg ", "svn ", "bzr ", "fossil ", "cache/vcs"]
        .iter()
        .any(|program| text.contains(program))
}

fn answers_with_text(endpoint: Endpoint) -> bool {
    matches!(
        endpoint,
        Endpoint::ModuleProxy | Endpoint::ChecksumDatabase | Endpoint::ProxiedChecksumDatabase
    )
}

fn quoter(url: &Url<'_>, text: &str) -> Quoter {
    let status = text
        .get(url.end..)
        .unwrap_or_default()
        .trim_start_matches(['"', ')', ':', ' '])
        .get(..3)
        .and_then(|number| number.parse().ok());
    Quoter {
        endpoint: url.endpoint(),
        status,
        self_hosted: url.is_self_hosted(),
        private_module: url
            .module()
            .is_some_and(|(module, _)| looks_private(&module)),
    }
}

/// The name behind `lookup`, or the address behind `dial tcp`.
fn looked_up(text: &str) -> Option<String> {
    let name = |after: &str| {
        let (_, rest) = text.rsplit_once(after)?;
        let word = rest.split([' ', ',', '"']).next()?.trim_end_matches(':');
        (word.contains('.') || word.contains(':')).then(|| word.to_owned())
    };
    name("lookup ").or_else(|| name("dial tcp "))
}

/// Does a new statement begin here, so that the answer or output that was quoted is over?
fn begins_statement(text: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "go: ",
        "go get",
        "go mod",
        "go install",
        "go build",
        "go list",
        "go run",
        "go test",
        "go vet",
        "go env",
        "go version",
        "verifying ",
        "package ",
        "Fetching ",
        "get \"",
        "# ",
        "$ ",
        "+ ",
        "make",
        "The command",
        "failed to",
        "Error",
        "exit status",
        "build ",
        "panic:",
        "FAIL",
        "ok ",
        "curl",
        "ERROR",
        "Step ",
        "------",
        "> ",
    ];
    if BEGINNINGS
        .iter()
        .any(|beginning| text.starts_with(beginning))
    {
        return true;
    }
    let first = text.split_whitespace().next().unwrap_or_default();
    // `file.go:12:2:`, `path@version:`
    first.contains(".go:") || first.ends_with(':') && first.contains("@v")
}

#[cfg(test)]
mod tests;
