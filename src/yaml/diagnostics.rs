//! What is wrong with a file, where, and what would be right.
//!
//! Checks report into [`Problems`] and go on, so that a file's author sees all mistakes at once.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::Span;

/// One mistake.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    span: Span,
    line: usize,
    column: usize,
    message: String,
    expected: Option<String>,
    help: Option<String>,
    related: Vec<(Span, String)>,
}

impl Diagnostic {
    /// A mistake at a range of bytes of the file.
    pub(crate) fn new(span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Diagnostic { span, line: 1, column: 1, message, expected: None, help: None, related: Vec::new() }
    }

    /// Says what was expected there.
    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where something is known.
    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Points at another place that has to do with it.
    pub(crate) fn related(mut self, span: Span, note: impl Into<String>) -> Self {
        self.related.push((span, note.into()));
        self
    }

    /// The line, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong: one sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected, if that says more than the message.
    pub fn expectation(&self) -> Option<&str> {
        self.expected.as_deref()
    }

    /// What to do, where something is known: often the nearest name that exists.
    pub fn hint(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The bytes of the file that it is about.
    pub fn span(&self) -> Span {
        self.span.clone()
    }
}

/// All mistakes of a file, by position.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: String,
    source: Arc<str>,
    items: Vec<Diagnostic>,
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Diagnostics {
    /// What is said where a file cannot be planned although nothing is wrong with it: an error of the planner.
    pub(crate) fn internal(file: &str, source: &str) -> Self {
        let help = "this is an error of signalstream, not of the file; please report it with the file";
        let item = Diagnostic::new(0..0, "the topology could not be planned").help(help);
        Diagnostics { file: file.to_owned(), source: source.into(), items: vec![item] }
    }

    /// The name of the file, as it was given to the reader.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The mistakes, by position.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// How many mistakes there are; at least one.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// The mistakes as people read them: position, the line with a caret, what was expected, help.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled().decor_style(DecorStyle::Unicode) } else { Renderer::plain() };
        let mut text = String::new();
        for item in &self.items {
            let group = self.group(item);
            text.push_str(renderer.render(&[group]).trim_end());
            text.push_str("\n\n");
        }
        text.push_str(&match self.items.len() {
            1 => format!("{}: 1 mistake\n", self.file),
            count => format!("{}: {count} mistakes\n", self.file),
        });
        text
    }

    fn group<'a>(&'a self, item: &'a Diagnostic) -> Group<'a> {
        let mut primary = AnnotationKind::Primary.span(item.span.clone());
        if let Some(expected) = &item.expected {
            primary = primary.label(expected.as_str());
        }
        let mut snippet = Snippet::source(&*self.source).path(self.file.as_str()).annotation(primary);
        for (span, note) in &item.related {
            snippet = snippet.annotation(AnnotationKind::Context.span(span.clone()).label(note.as_str()));
        }
        let mut group = Level::ERROR.primary_title(item.message.as_str()).element(snippet);
        if let Some(help) = &item.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

/// Collects the mistakes of one file.
#[derive(Debug)]
pub(crate) struct Problems {
    source: Arc<str>,
    items: Vec<Diagnostic>,
}

impl Problems {
    /// No mistakes yet.
    pub(crate) fn new(source: &str) -> Self {
        Problems { source: source.into(), items: Vec::new() }
    }

    /// The text of the file.
    pub(crate) fn source(&self) -> Arc<str> {
        self.source.clone()
    }

    /// The line that a place begins on, counted from 1.
    pub(crate) fn line(&self, span: &Span) -> usize {
        self.source.get(..span.start).unwrap_or_default().matches('\n').count() + 1
    }

    /// Has asterisks shown in place of a part of the file, which may be a secret.
    pub(crate) fn hide(&mut self, span: &Span) {
        let (Some(before), Some(part), Some(after)) =
            (self.source.get(..span.start), self.source.get(span.clone()), self.source.get(span.end..))
        else {
            return;
        };
        let hidden: String =
            part.chars().map(|c| if c == '\n' { c.to_string() } else { "*".repeat(c.len_utf8()) }).collect();
        self.source = [before, &hidden, after].concat().into();
    }

    /// How many mistakes there are so far.
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    /// Adds a mistake. The same message at the same place is kept once.
    pub(crate) fn report(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.span = self.one_line(diagnostic.span);
        for (span, _) in &mut diagnostic.related {
            *span = one_line(&self.source, span.clone());
        }
        let before = self.source.get(..diagnostic.span.start).unwrap_or_default();
        diagnostic.line = before.matches('\n').count() + 1;
        diagnostic.column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        if !self.items.contains(&diagnostic) {
            self.items.push(diagnostic);
        }
    }

    fn one_line(&self, span: Span) -> Span {
        one_line(&self.source, span)
    }

    /// The mistakes by position, if there are any.
    pub(crate) fn finish(self, file: &str) -> Option<Diagnostics> {
        let mut items = self.items;
        items.sort_by_key(|item| (item.span.start, item.span.end));
        (!items.is_empty()).then(|| Diagnostics { file: file.to_owned(), source: self.source, items })
    }
}

/// The part of `span` on its first line, on character boundaries and within the file.
fn one_line(source: &str, span: Span) -> Span {
    let mut start = span.start.min(source.len());
    while !source.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, source.len());
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    let line = source.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
    start..start + line.trim_end().len()
}

/// The name of `candidates` that is closest to `name`, if one is close enough to be meant.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| !candidate.is_empty())
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= allowed || (name.len() >= 3 && (candidate.starts_with(name) || candidate.ends_with(name)))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint for a name that does not exist: the nearest one, else all of them when they are few.
pub(crate) fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(name, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if candidates.is_empty() || candidates.len() > 24 => None,
        None => Some(format!("there is {}", list(&candidates))),
    }
}

/// Names as a sentence lists them.
pub(crate) fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_shown_with_its_line_and_a_caret() {
        let source = "topology: a\nsources:\n  é: {topc: x}\n";
        let mut problems = Problems::new(source);
        let at = source.find("topc").unwrap();
        problems.report(Diagnostic::new(at..at + 4, "unknown field `topc`").help("did you mean `topic`?"));
        let diagnostics = problems.finish("a.yaml").unwrap();
        let item = diagnostics.iter().next().unwrap();
        assert_eq!((item.line(), item.column()), (3, 7));
        let text = diagnostics.to_string();
        for part in ["a.yaml:3:7", "  é: {topc: x}", "^^^^", "help: did you mean `topic`?", "a.yaml: 1 mistake"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn the_nearest_name_is_found_and_far_ones_are_not() {
        assert_eq!(nearest("sentimnt", ["pii", "sentiment"]), Some("sentiment"));
        assert_eq!(nearest("orders", ["pii", "sentiment"]), None);
    }
}
