//! Reads a call such as `top_k(value.emotion, 3)` without knowing the function: aggregates are written so.

use std::ops::Range;

use super::error::ExpressionError;
use super::lex::{Kind, Token, Tokens};

/// A call, taken apart. Its arguments are sources that [`super::Expression::compile`] takes; what it reports
/// about one is moved to its place by adding the start of [`CallArgument::range`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallSyntax {
    /// The function's name.
    pub name: String,
    /// Where the name stands, in bytes.
    pub name_range: Range<usize>,
    /// The arguments, in order.
    pub arguments: Vec<CallArgument>,
}

/// An argument of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallArgument {
    /// Its source, without the white space around it.
    pub source: String,
    /// Where it stands in the source of the call, in bytes.
    pub range: Range<usize>,
}

/// Takes `name(argument, ...)` apart. Quotes, comments and brackets within arguments are respected; what the
/// arguments say is not looked at.
pub fn split_call(source: &str) -> Result<CallSyntax, ExpressionError> {
    let tokens = Tokens::of(source);
    let example = || Some("write a call such as `count()` or `sum(value.amount)`".to_owned());
    let whole = 0..source.len();
    let refuse = |range: Range<usize>, message: &str| ExpressionError::new(range, message).with_hint(example());
    let name =
        tokens.get(0).ok_or_else(|| refuse(whole.clone(), "a function call is expected here, and there is nothing"))?;
    if name.kind != Kind::Word {
        return Err(refuse(name.range.clone(), "the name of a function is expected here"));
    }
    let open = tokens.get(1).filter(|token| source.get(token.range.clone()) == Some("("));
    let open = open.ok_or_else(|| refuse(whole.clone(), "a function call is expected here"))?;
    let close = open
        .partner
        .ok_or_else(|| ExpressionError::new(open.range.clone(), "this `(` is never closed; `)` is expected"))?;
    if let Some(extra) = tokens.get(close + 1) {
        return Err(refuse(extra.range.start..source.len(), "nothing is expected after the call"));
    }
    let close = tokens.get(close).filter(|token| source.get(token.range.clone()) == Some(")"));
    let close = close.ok_or_else(|| ExpressionError::new(open.range.clone(), "this `(` is not closed by `)`"))?;
    let commas = tokens.iter().filter(|token| token.kind == Kind::Comma && token.depth == open.depth + 1);
    Ok(CallSyntax {
        name: source.get(name.range.clone()).unwrap_or_default().to_owned(),
        name_range: name.range.clone(),
        arguments: arguments(source, open, close, commas)?,
    })
}

fn arguments<'t>(
    source: &str,
    open: &'t Token,
    close: &'t Token,
    commas: impl Iterator<Item = &'t Token>,
) -> Result<Vec<CallArgument>, ExpressionError> {
    let mut arguments = Vec::new();
    let mut start = open.range.end;
    for end in commas.chain([close]) {
        let text = source.get(start..end.range.start).unwrap_or_default();
        let trimmed = text.trim();
        let is_only = arguments.is_empty() && end.range == close.range;
        if trimmed.is_empty() && !is_only {
            return Err(ExpressionError::new(end.range.clone(), "an argument is missing before this"));
        }
        if !trimmed.is_empty() {
            let start = start + (text.len() - text.trim_start().len());
            arguments.push(CallArgument { source: trimmed.to_owned(), range: start..start + trimmed.len() });
        }
        start = end.range.end;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_taken_apart_at_its_own_commas_only() {
        let call = split_call(" top_k( [value.a, 'b,('][0] , 3 )").unwrap();
        assert_eq!((call.name.as_str(), call.name_range), ("top_k", 1..6));
        let arguments: Vec<_> =
            call.arguments.iter().map(|argument| (argument.source.as_str(), argument.range.clone())).collect();
        assert_eq!(arguments, [("[value.a, 'b,('][0]", 8..27), ("3", 30..31)]);
        assert_eq!(split_call("count()").unwrap().arguments, []);
    }

    #[test]
    fn what_is_not_a_call_is_refused_where_it_goes_wrong() {
        for (source, range) in [
            ("", 0..0),
            ("count", 0..5),
            ("3()", 0..1),
            ("sum(a", 3..4),
            ("sum(a,)", 6..7),
            ("sum(,a)", 4..5),
            ("f(a) + 1", 5..8),
            ("f(a]", 1..2),
        ] {
            assert_eq!(split_call(source).unwrap_err().range, range, "{source}");
        }
    }
}
