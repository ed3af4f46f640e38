//! YAML with positions: the events of the parser become a tree in which everything knows where it stands.
//!
//! Topologies, their tests and the configuration use a plain subset of YAML. What makes a file hard to read or hard
//! to bound (aliases, merge keys, tags, several documents, repeated keys) is refused with its position, and every
//! mistake is shown with its line, a caret and, where there is one, the nearest name that exists ([`Diagnostics`]).

mod diagnostics;
mod json;

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as EventSpan};

pub use diagnostics::{Diagnostic, Diagnostics};
pub(crate) use diagnostics::{Problems, list, nearest, suggest};

/// A range of bytes of the file.
pub(crate) type Span = Range<usize>;

/// A file longer than this is refused; it is far beyond what a person writes.
const MAX_BYTES: usize = 1 << 20;
/// Mappings and sequences nested deeper than this are refused.
const MAX_DEPTH: usize = 48;

/// What kind of file is read, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileKind {
    /// What a file holds: `topology`.
    pub(crate) what: &'static str,
    /// What to do about an empty file.
    pub(crate) start: &'static str,
    /// What to do about one that is too long.
    pub(crate) too_long: &'static str,
}

/// A topology, or a file of tests for one.
pub(crate) const TOPOLOGY: FileKind = FileKind {
    what: "topology",
    start: "start with `topology: NAME`",
    too_long: "is it the right file? What is too large for one topology can be several that share topics",
};

/// A piece of the file.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Where it stands.
    pub(crate) span: Span,
    /// What to point at when the piece as a whole is meant: the key that introduces it, else its own span.
    pub(crate) label: Span,
    /// What it is.
    pub(crate) content: Content,
}

/// The kinds of nodes.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Text, a number, true, false, null.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values, in order.
    Mapping(Vec<(Key, Node)>),
}

/// A scalar: its text after YAML's unquoting and folding, and how it was written.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// The text.
    pub(crate) text: String,
    /// How it was written.
    pub(crate) style: ScalarStyle,
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The text.
    pub(crate) text: String,
    /// Where it stands.
    pub(crate) span: Span,
}

impl Node {
    /// A null that stands where `span` is, for what was left out.
    pub(crate) fn null(span: Span) -> Self {
        let scalar = Scalar { text: String::new(), style: ScalarStyle::Plain };
        Node { span: span.clone(), label: span, content: Content::Scalar(scalar) }
    }

    /// A scalar that is not in the file: what something left out stands for.
    pub(crate) fn text(text: &str, span: Span) -> Self {
        let scalar = Scalar { text: text.to_owned(), style: ScalarStyle::Literal };
        Node { span: span.clone(), label: span, content: Content::Scalar(scalar) }
    }

    /// The scalar, if it is one.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.content {
            Content::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether it is null: nothing, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| {
            scalar.style == ScalarStyle::Plain && matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
        })
    }

    /// Where to point when the node itself is wrong: a scalar, else what introduces it.
    pub(crate) fn place(&self) -> Span {
        match &self.content {
            Content::Scalar(scalar) if !scalar.text.is_empty() => self.span.clone(),
            _ => self.label.clone(),
        }
    }

    /// The value of a key of a mapping.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|(key, _)| key.text == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(_) if self.is_null() => "nothing",
            Content::Scalar(_) => "a single value",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }

    /// Where a range of bytes of a scalar's text stands in the file.
    ///
    /// Unquoting and folding only ever drop or replace whitespace, quotes and escapes, so every visible
    /// character of the text is found by walking both side by side.
    pub(crate) fn locate(&self, source: &str, range: &Range<usize>) -> Span {
        let Some(scalar) = self.scalar() else { return self.place() };
        let start = self.position(source, scalar, range.start);
        let end = self.position(source, scalar, range.end.max(range.start));
        match (start, end) {
            (Some(start), Some(end)) if start <= end => start..end,
            _ => self.place(),
        }
    }

    fn position(&self, source: &str, scalar: &Scalar, offset: usize) -> Option<usize> {
        let raw = source.get(self.span.clone())?;
        let mut at = match scalar.style {
            ScalarStyle::Plain => 0,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
            ScalarStyle::Literal | ScalarStyle::Folded if raw.starts_with(['|', '>']) => raw.find('\n')? + 1,
            ScalarStyle::Literal | ScalarStyle::Folded => 0,
        };
        for (index, expected) in scalar.text.char_indices() {
            if !expected.is_whitespace() {
                at += raw.get(at..)?.len() - raw.get(at..)?.trim_start().len();
            }
            if index >= offset {
                return Some(self.span.start + at);
            }
            at += written_length(raw.get(at..)?, expected, scalar.style);
        }
        Some(self.span.start + at.min(raw.len()))
    }
}

/// How many bytes of `raw` stand for the character `expected`; 0 for whitespace that folding inserted.
fn written_length(raw: &str, expected: char, style: ScalarStyle) -> usize {
    let Some(first) = raw.chars().next() else { return 0 };
    match style {
        ScalarStyle::SingleQuoted if raw.starts_with("''") => 2,
        ScalarStyle::DoubleQuoted if first == '\\' => {
            let digits = match raw.chars().nth(1) {
                Some('x') => 2,
                Some('u') => 4,
                Some('U') => 8,
                _ => 0,
            };
            raw.chars().take(2 + digits).map(char::len_utf8).sum()
        }
        _ if first == expected || !expected.is_whitespace() => first.len_utf8(),
        _ => 0,
    }
}

/// Reads a file into a tree. `None`: it is not YAML, or empty; the reason is among the problems.
pub(crate) fn parse(text: &str, kind: FileKind, problems: &mut Problems) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a {} may have {MAX_BYTES}", text.len(), kind.what);
        problems.report(Diagnostic::new(0..0, message).help(kind.too_long));
        return None;
    }
    let mut builder = Builder::new(text, kind);
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let at = builder.byte(error.marker().index());
                let message = format!("this is not valid YAML: {}", error.info());
                problems.report(Diagnostic::new(at..at + 1, message).help_if(yaml_help(error.info())));
                return None;
            }
        };
        if !builder.event(event, &span, problems) {
            return None;
        }
    }
    if builder.root.is_none() {
        problems.report(Diagnostic::new(0..0, "the file is empty").help(kind.start));
    }
    builder.root
}

/// What to do about what the parser says.
fn yaml_help(info: &str) -> Option<String> {
    let help = if info.contains("tabs ") {
        "indent with spaces"
    } else if info.contains("unprintable") {
        "remove the character, or write it as an escape within double quotes; is it the right file?"
    } else {
        return None;
    };
    Some(help.to_owned())
}

/// An open mapping or sequence.
struct Open {
    start: usize,
    label: Option<Span>,
    content: Content,
    /// The key that waits for its value.
    key: Option<Key>,
}

struct Builder<'a> {
    text: &'a str,
    kind: FileKind,
    /// The byte at which each character starts; empty when the file is ASCII.
    bytes: Vec<usize>,
    open: Vec<Open>,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, kind: FileKind) -> Self {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Builder { text, kind, bytes, open: Vec::new(), root: None }
    }

    /// The parser counts characters; spans count bytes.
    fn byte(&self, index: usize) -> usize {
        let at = if self.bytes.is_empty() { index } else { self.bytes.get(index).copied().unwrap_or(self.text.len()) };
        at.min(self.text.len())
    }

    /// Takes one event in. `false`: the rest of the file makes no sense any more.
    fn event(&mut self, event: Event<'_>, span: &EventSpan, problems: &mut Problems) -> bool {
        let span = self.byte(span.start.index())..self.byte(span.end.index());
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let message = format!("a file holds one {}; a second document starts here", self.kind.what);
                problems.report(Diagnostic::new(span, message));
                return false;
            }
            Event::Alias(_) => {
                let problem = Diagnostic::new(span.clone(), "aliases (`*name`) are not supported");
                problems.report(problem.help("write the value out"));
                self.finish(Node::null(span), problems);
            }
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), &span, problems);
                let span = self.trimmed(span);
                let scalar = Scalar { text: Cow::into_owned(text), style };
                self.finish(Node { label: span.clone(), span, content: Content::Scalar(scalar) }, problems);
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(tag.is_some(), &span, problems);
                return self.start(span.start, Content::Sequence(Vec::new()), problems);
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(tag.is_some(), &span, problems);
                return self.start(span.start, Content::Mapping(Vec::new()), problems);
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let end = self.trimmed(open.start..span.end.max(open.start)).end;
                    let span = open.start..end;
                    let label = open.label.unwrap_or_else(|| span.clone());
                    self.finish(Node { span, label, content: open.content }, problems);
                }
            }
            _ => {}
        }
        true
    }

    fn refuse_tag(&self, tagged: bool, span: &Span, problems: &mut Problems) {
        if tagged {
            problems
                .report(Diagnostic::new(span.clone(), "tags (`!name`) are not supported").help("leave the tag out"));
        }
    }

    fn start(&mut self, start: usize, content: Content, problems: &mut Problems) -> bool {
        if self.open.len() >= MAX_DEPTH {
            problems
                .report(Diagnostic::new(start..start + 1, format!("this is nested deeper than {MAX_DEPTH} levels")));
            return false;
        }
        let label = self.open.last().and_then(|open| open.key.as_ref()).map(|key| key.span.clone());
        self.open.push(Open { start, label, content, key: None });
        true
    }

    /// Block scalars and collections end after their line breaks; a position never should.
    fn trimmed(&self, span: Span) -> Span {
        let kept = self.text.get(span.clone()).map_or(0, |raw| raw.trim_end().len());
        span.start..span.start + kept
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, mut node: Node, problems: &mut Problems) {
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match (&mut open.content, open.key.take()) {
            (Content::Sequence(items), _) => items.push(node),
            (Content::Mapping(_), None) => {
                let key = match node.content {
                    Content::Scalar(scalar) => Key { text: scalar.text, span: node.span },
                    _ => {
                        problems.report(Diagnostic::new(node.span.clone(), "a key must be a single value"));
                        Key { text: String::new(), span: node.span }
                    }
                };
                open.key = Some(key);
            }
            (Content::Mapping(entries), Some(key)) => {
                node.label = key.span.clone();
                if key.text == "<<" {
                    problems.report(
                        Diagnostic::new(key.span, "merge keys (`<<`) are not supported").help("write the fields out"),
                    );
                } else if let Some((first, _)) = entries.iter().find(|(other, _)| other.text == key.text) {
                    let problem = Diagnostic::new(key.span, format!("`{}` is given twice", key.text));
                    problems.report(problem.related(first.span.clone(), "first given here"));
                } else {
                    entries.push((key, node));
                }
            }
            (Content::Scalar(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(yaml: &str, needle: &str) -> String {
        let mut problems = Problems::new(yaml);
        let node = parse(yaml, TOPOLOGY, &mut problems).unwrap();
        let value = node.get("x").unwrap();
        let at = value.scalar().unwrap().text.find(needle).unwrap();
        yaml[value.locate(yaml, &(at..at + needle.len()))].to_owned()
    }

    #[test]
    fn a_range_of_a_scalar_is_found_in_the_file_however_it_is_written() {
        assert_eq!(located("x: a + bcd\n", "bcd"), "bcd");
        assert_eq!(located("x: 'it''s + bcd'\n", "bcd"), "bcd");
        assert_eq!(located("x: \"a\\t\\u00e9 + bcd\"\n", "bcd"), "bcd");
        assert_eq!(located("é: 1\nx: a +\n  bcd\n", "bcd"), "bcd");
        assert_eq!(located("x: >-\n  a &&\n\n  bcd\n", "bcd"), "bcd");
        assert_eq!(located("x: |\n  a &&\n    bcd\n  e\n", "bcd"), "bcd");
    }

    #[test]
    fn what_is_hard_to_read_is_refused_with_its_position() {
        for (yaml, message) in [
            ("a: 1\na: 2\n", "`a` is given twice"),
            ("a: &x 1\nb: *x\n", "aliases (`*name`) are not supported"),
            ("a: 1\n---\nb: 2\n", "a file holds one topology; a second document starts here"),
            ("a: !int 1\n", "tags (`!name`) are not supported"),
            ("", "the file is empty"),
            ("a: [1, 2\n", "this is not valid YAML"),
        ] {
            let mut problems = Problems::new(yaml);
            parse(yaml, TOPOLOGY, &mut problems);
            let found = problems.finish("f").map(|d| d.iter().map(|d| d.message().to_owned()).collect::<Vec<_>>());
            assert!(found.iter().flatten().any(|found| found.starts_with(message)), "{yaml:?} gave {found:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let yaml = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let mut problems = Problems::new(&yaml);
        assert!(parse(&yaml, TOPOLOGY, &mut problems).is_none());
    }
}
