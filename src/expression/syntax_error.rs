//! The parser's complaints in words that help.

use std::ops::Range;

use cel::{ParseError, ParseErrors};

use super::error::ExpressionError;
use super::lex::{Kind, Tokens};

/// Turns what the parser reports into errors with ranges.
///
/// After the first token that does not fit, the parser guesses how to go on, and its further complaints about
/// structure follow from the guess: only the first is passed on. Each literal that is wrong in itself is
/// reported.
pub(super) fn translate(source: &str, tokens: &Tokens, errors: ParseErrors) -> Vec<ExpressionError> {
    if let Some(error) = errors.errors.iter().find(|error| error.msg.contains("Recursion limit")) {
        let start = offset_of(source, error.pos);
        let message = "the expression nests too deep for the parser here; split it over several steps";
        return vec![ExpressionError::new(token_at(source, tokens, start).unwrap_or(0..source.len()), message)];
    }
    let mut translated: Vec<ExpressionError> = Vec::new();
    let mut structural = false;
    for error in &errors.errors {
        let offset = offset_of(source, error.pos);
        let is_literal = error.msg.starts_with("invalid ") || error.msg.starts_with("reserved");
        if is_literal {
            translated.push(wrong_word(source, tokens, offset, &error.msg));
        } else if !structural && is_about_structure(error) {
            structural = true;
            translated.push(misplaced(source, tokens, offset));
        }
    }
    if translated.is_empty() {
        let offset = errors.errors.first().map_or(source.len(), |error| offset_of(source, error.pos));
        translated.push(misplaced(source, tokens, offset));
    }
    translated
}

fn is_about_structure(error: &ParseError) -> bool {
    error.msg.starts_with("Syntax error") || error.msg.starts_with("unsupported syntax")
}

/// The byte offset of a line and column, both counted from 1, the column in characters.
fn offset_of(source: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).max(1);
    let column = usize::try_from(column).unwrap_or(1).max(1);
    let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = source.get(start..).unwrap_or_default();
    rest.char_indices().nth(column - 1).map_or(source.len(), |(offset, _)| start + offset)
}

fn token_at(source: &str, tokens: &Tokens, offset: usize) -> Option<Range<usize>> {
    tokens
        .position_at(offset)
        .and_then(|position| tokens.get(position))
        .map(|token| token.range.clone())
        .filter(|range| source.get(range.clone()).is_some())
}

fn wrong_word(source: &str, tokens: &Tokens, offset: usize, message: &str) -> ExpressionError {
    let range = token_at(source, tokens, offset).unwrap_or(offset..source.len());
    let text = source.get(range.clone()).unwrap_or_default();
    if message.starts_with("reserved") {
        let error = ExpressionError::new(range, format!("`{text}` is a reserved word and cannot be a name"));
        return error;
    }
    let message = match message {
        m if m.starts_with("invalid int") => format!("`{text}` does not fit into a signed 64-bit integer"),
        m if m.starts_with("invalid uint") => format!("`{text}` does not fit into an unsigned 64-bit integer"),
        m if m.starts_with("invalid double") => format!("`{text}` does not fit into a 64-bit float"),
        m if m.starts_with("invalid bytes") => "an escape in these bytes cannot be read".to_owned(),
        _ => "an escape in this text cannot be read".to_owned(),
    };
    let hint = matches!(text.as_bytes().first(), Some(b'\'' | b'"'))
        .then(|| "write a backslash as `\\\\`, or the text as `r'...'`".to_owned());
    ExpressionError::new(range, message).with_hint(hint)
}

fn misplaced(source: &str, tokens: &Tokens, offset: usize) -> ExpressionError {
    if let Some(error) = unbalanced(source, tokens).or_else(|| unclosed_quote(source, tokens)) {
        return error;
    }
    let Some(range) = token_at(source, tokens, offset) else {
        let end = tokens.iter().last().map_or(0, |token| token.range.end);
        return ExpressionError::new(end..end, "the expression ends here, where a value is expected");
    };
    let text = source.get(range.clone()).unwrap_or_default().to_owned();
    if let Some(error) = unreadable_text(source, tokens, &range) {
        return error;
    }
    let hint = match text.as_str() {
        "=" => Some("to compare, write `==`"),
        "and" | "AND" | "&" => Some("write `&&`"),
        "or" | "OR" | "|" => Some("write `||`"),
        "not" | "NOT" => Some("write `!`"),
        "is" => Some("to compare, write `==`"),
        "<>" => Some("write `!=`"),
        _ => None,
    };
    let before = not_a_word_before(source, tokens, &range);
    let hint = hint.map(str::to_owned).or(before);
    ExpressionError::new(range, format!("`{text}` is not expected here")).with_hint(hint)
}

/// A text where one may stand, so that what is wrong must be in it.
fn unreadable_text(source: &str, tokens: &Tokens, range: &Range<usize>) -> Option<ExpressionError> {
    let position = tokens.position_at(range.start)?;
    let token = tokens.get(position).filter(|token| token.kind == Kind::Text)?;
    let before = position.checked_sub(1).and_then(|before| tokens.get(before));
    let follows_value = before.is_some_and(|before| {
        let is_in = source.get(before.range.clone()) == Some("in");
        !is_in && matches!(before.kind, Kind::Word | Kind::Number | Kind::Text | Kind::Close)
    });
    if follows_value {
        return None;
    }
    let text = source.get(token.range.clone())?;
    let (message, hint) = if text.contains('\\') {
        ("an escape in this text cannot be read", "write a backslash as `\\\\`, or the text as `r'...'`")
    } else if text.contains(['\n', '\r']) {
        (
            "a text between single quotes ends on its line",
            "write the break as `\\n`, or put three quotes around the text",
        )
    } else {
        return None;
    };
    Some(ExpressionError::new(range.clone(), message).with_hint(Some(hint.to_owned())))
}

/// `not a`: the parser complains at `a`.
fn not_a_word_before(source: &str, tokens: &Tokens, range: &Range<usize>) -> Option<String> {
    let position = tokens.position_at(range.start)?;
    let before = tokens.get(position.checked_sub(1)?)?;
    let text = source.get(before.range.clone())?;
    match text {
        "not" | "NOT" => Some("for `not`, write `!`".to_owned()),
        _ if before.kind == Kind::Word || before.kind == Kind::Close || before.kind == Kind::Text => {
            Some("an operator such as `==`, `&&` or `+` is missing before it".to_owned())
        }
        _ => None,
    }
}

fn unbalanced(source: &str, tokens: &Tokens) -> Option<ExpressionError> {
    let closing = |open: &str| match open {
        "(" => ")",
        "[" => "]",
        _ => "}",
    };
    for token in tokens.iter() {
        let text = source.get(token.range.clone())?;
        match (token.kind, token.partner.and_then(|partner| tokens.get(partner))) {
            (Kind::Open, None) => {
                let message = format!("this `{text}` is never closed; `{}` is expected", closing(text));
                return Some(ExpressionError::new(token.range.clone(), message));
            }
            (Kind::Close, None) => {
                return Some(ExpressionError::new(token.range.clone(), format!("this `{text}` closes nothing")));
            }
            (Kind::Close, Some(open)) => {
                let open = source.get(open.range.clone())?;
                if closing(open) != text {
                    let message = format!("`{}` is expected here to close `{open}`, found `{text}`", closing(open));
                    return Some(ExpressionError::new(token.range.clone(), message));
                }
            }
            _ => {}
        }
    }
    None
}

fn unclosed_quote(source: &str, tokens: &Tokens) -> Option<ExpressionError> {
    let last = tokens.iter().last().filter(|token| token.kind == Kind::Text)?;
    let text = source.get(last.range.clone())?;
    let quote = text.trim_start_matches(['r', 'R', 'b', 'B']).chars().next()?;
    let closed = text.len() > 1 && text.ends_with(quote) && !text.ends_with(&format!("\\{quote}"));
    let opens = text.trim_start_matches(['r', 'R', 'b', 'B']).len() == 1;
    (!closed || opens)
        .then(|| ExpressionError::new(last.range.clone(), format!("this text is never closed; `{quote}` is expected")))
}
