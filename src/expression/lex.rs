//! The tokens of a CEL source and where they stand.
//!
//! The `cel` crate's parser says only at which byte the token of a node starts, its operator or bracket.
//! From these tokens the whole range of a node is found, and a source whose brackets nest too deep is
//! refused before the parser, which recurses, sees it.

use std::ops::Range;

/// What a token is, as far as ranges need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Open,
    Close,
    Comma,
    Other,
}

/// A token and its range in bytes.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) range: Range<usize>,
    /// For a bracket, the position of its partner among the tokens.
    pub(super) partner: Option<usize>,
    /// How many brackets are open before this token.
    pub(super) depth: usize,
}

/// The tokens of one source, in order.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Token>);

impl Tokens {
    pub(super) fn of(source: &str) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut at = 0;
        while let Some((kind, range)) = next_token(source, at) {
            at = range.end;
            let position = tokens.len();
            let mut token = Token { kind, range, partner: None, depth: open.len() };
            match kind {
                Kind::Open => open.push(position),
                Kind::Close => {
                    token.partner = open.pop();
                    token.depth = open.len();
                    if let Some(partner) = token.partner.and_then(|partner| tokens.get_mut(partner)) {
                        partner.partner = Some(position);
                    }
                }
                _ => {}
            }
            tokens.push(token);
        }
        Tokens(tokens)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Token> {
        self.0.iter()
    }

    pub(super) fn get(&self, position: usize) -> Option<&Token> {
        self.0.get(position)
    }

    /// The token that covers the byte `offset`, by its position.
    pub(super) fn position_at(&self, offset: usize) -> Option<usize> {
        let after = self.0.partition_point(|token| token.range.start <= offset);
        let position = after.checked_sub(1)?;
        self.0.get(position).filter(|token| token.range.contains(&offset)).map(|_| position)
    }

    /// From the bracket at `position` to its partner, both included.
    pub(super) fn bracketed(&self, position: usize) -> Option<Range<usize>> {
        let open = self.0.get(position)?;
        let close = self.0.get(open.partner?)?;
        Some(open.range.start..close.range.end)
    }
}

fn next_token(source: &str, mut at: usize) -> Option<(Kind, Range<usize>)> {
    loop {
        let rest = source.get(at..)?;
        let first = rest.chars().next()?;
        if first.is_whitespace() {
            at += first.len_utf8();
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let (kind, length) = measure(rest, first);
            return Some((kind, at..at + length));
        }
    }
}

fn measure(rest: &str, first: char) -> (Kind, usize) {
    if let Some(length) = text_length(rest) {
        return (Kind::Text, length);
    }
    let span = |accepts: fn(char) -> bool| rest.find(|c| !accepts(c)).unwrap_or(rest.len());
    match first {
        '(' | '[' | '{' => (Kind::Open, 1),
        ')' | ']' | '}' => (Kind::Close, 1),
        ',' => (Kind::Comma, 1),
        '`' => (Kind::Word, rest.char_indices().skip(1).find(|(_, c)| *c == '`').map_or(rest.len(), |(n, _)| n + 1)),
        '0'..='9' => (Kind::Number, number_length(rest)),
        c if c.is_ascii_alphabetic() || c == '_' => (Kind::Word, span(|c| c.is_ascii_alphanumeric() || c == '_')),
        _ => {
            let pair = ["==", "!=", "<=", ">=", "&&", "||"].into_iter().any(|pair| rest.starts_with(pair));
            (Kind::Other, if pair { 2 } else { first.len_utf8() })
        }
    }
}

fn number_length(rest: &str) -> usize {
    let mut length = 0;
    let mut before = ' ';
    let mut rest = rest.chars().peekable();
    while let Some(c) = rest.next() {
        let exponent_sign = (c == '-' || c == '+') && (before == 'e' || before == 'E');
        let fraction = c == '.' && rest.peek().is_some_and(char::is_ascii_digit);
        if !(c.is_ascii_alphanumeric() || exponent_sign || fraction) {
            break;
        }
        length += 1;
        before = c;
    }
    length
}

/// The length of the text or bytes literal that `rest` starts with, to the end if it is not closed.
fn text_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let prefix = bytes.iter().take(2).take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B')).count();
    let raw = bytes.iter().take(prefix).any(|b| matches!(b, b'r' | b'R'));
    let quote = *bytes.get(prefix)?;
    if quote != b'"' && quote != b'\'' {
        return None;
    }
    let triple = bytes.get(prefix..prefix + 3).is_some_and(|start| start.iter().all(|b| *b == quote));
    let width = if triple { 3 } else { 1 };
    let mut at = prefix + width;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' && !raw {
            at += 2;
        } else if *byte == quote && bytes.get(at..at + width).is_some_and(|end| end.iter().all(|b| *b == quote)) {
            return Some(at + width);
        } else {
            at += 1;
        }
    }
    Some(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_where_they_stand() {
        let source = "a.size('x)\\'', r\"\\\") >= 1.5e-3 // (";
        let tokens = Tokens::of(source);
        let texts: Vec<&str> = tokens.iter().map(|token| &source[token.range.clone()]).collect();
        assert_eq!(texts, ["a", ".", "size", "(", "'x)\\''", ",", "r\"\\\"", ")", ">=", "1.5e-3"]);
        assert_eq!(tokens.bracketed(3), Some(8 - 2..20));
    }

    #[test]
    fn text_beyond_ascii_and_open_quotes_do_no_harm() {
        for source in ["'ä", "ä", "\"\\", "b'", "'''ä'", "`ä"] {
            let end = Tokens::of(source).iter().last().map(|token| token.range.end);
            assert!(end.is_some_and(|end| end <= source.len() && source.is_char_boundary(end)), "{source}");
        }
    }
}
