//! Functions on text. Positions count Unicode characters (code points), as CEL's do.

use regex::{Regex, RegexBuilder};

use super::{Arguments, Function, Kinds, Style, count, integer, list, text, unexpected};
use crate::expression::error::Reason;
use crate::record::{Shape, Value};

const STRING: Kinds = Kinds::STRING;
const INT: Kinds = Kinds::INT;
/// The largest compiled form of a regular expression, in bytes.
const PATTERN_LIMIT: usize = 1 << 20;
/// The longest text that `replace` and `join` make, in bytes.
const TEXT_LIMIT: usize = 64 << 20;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("size", Style::Both, &[Kinds::STRING.or(Kinds::BYTES).or(Kinds::LIST).or(Kinds::MAP)], int, size),
    Function::new("contains", Style::Method, &[STRING, STRING], boolean, |a| {
        Ok(Value::Bool(text(a, 0)?.contains(text(a, 1)?)))
    }),
    Function::new("startsWith", Style::Method, &[STRING, STRING], boolean, |a| {
        Ok(Value::Bool(text(a, 0)?.starts_with(text(a, 1)?)))
    }),
    Function::new("endsWith", Style::Method, &[STRING, STRING], boolean, |a| {
        Ok(Value::Bool(text(a, 0)?.ends_with(text(a, 1)?)))
    }),
    Function::new("matches", Style::Both, &[STRING, STRING], boolean, matches),
    Function::new("lowerAscii", Style::Method, &[STRING], string, |a| {
        Ok(Value::text(text(a, 0)?.to_ascii_lowercase()))
    }),
    Function::new("upperAscii", Style::Method, &[STRING], string, |a| {
        Ok(Value::text(text(a, 0)?.to_ascii_uppercase()))
    }),
    Function::new("trim", Style::Method, &[STRING], string, |a| Ok(Value::text(text(a, 0)?.trim()))),
    Function::new("split", Style::Method, &[STRING, STRING, INT], |_| Ok(Shape::list(Shape::String)), split)
        .requiring(2),
    Function::new("join", Style::Method, &[Kinds::LIST, STRING], joined, join).requiring(1),
    Function::new("redact", Style::Both, &[STRING, STRING], string, redact).requiring(1),
    Function::new("replace", Style::Method, &[STRING, STRING, STRING, INT], string, replace).requiring(3),
    Function::new("substring", Style::Method, &[STRING, INT, INT], string, substring).requiring(2),
    Function::new("charAt", Style::Method, &[STRING, INT], string, char_at),
    Function::new("indexOf", Style::Method, &[STRING, STRING, INT], int, index_of).requiring(2),
    Function::new("lastIndexOf", Style::Method, &[STRING, STRING, INT], int, last_index_of).requiring(2),
];

fn int(_: &[Shape]) -> Result<Shape, String> {
    Ok(Shape::Int)
}

fn boolean(_: &[Shape]) -> Result<Shape, String> {
    Ok(Shape::Bool)
}

fn string(_: &[Shape]) -> Result<Shape, String> {
    Ok(Shape::String)
}

fn joined(arguments: &[Shape]) -> Result<Shape, String> {
    match arguments.first().map(Shape::required) {
        Some(Shape::List(element)) if !STRING.accepts(element) => {
            Err(format!("`join` joins a list of strings, and this is a list of {element}"))
        }
        _ => Ok(Shape::String),
    }
}

/// `redact(text)`: the text with `[REDACTED:kind]` in place of the personal data that is found in it. `redact(text, 'name')`:
/// `[REDACTED:name]`, whatever the text is.
fn redact(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let given = text(arguments, 0)?;
    Ok(Value::text(match arguments.len() {
        1 => crate::pii::redact(given, &crate::pii::find(given)),
        _ => format!("[REDACTED:{}]", text(arguments, 1)?),
    }))
}

fn length(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Keeps a few nested calls from making a text that fills the memory.
fn check_length(bytes: usize) -> Result<(), Reason> {
    let message = || Reason::Argument(format!("the text would be longer than {TEXT_LIMIT} bytes"));
    (bytes <= TEXT_LIMIT).then_some(()).ok_or_else(message)
}

fn size(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let value = arguments.first();
    Ok(length(match value.map(|value| value.as_ref()) {
        Some(Value::String(text)) => text.chars().count(),
        Some(Value::Bytes(bytes)) => bytes.len(),
        Some(Value::List(elements)) => elements.len(),
        Some(Value::Map(map)) => map.len(),
        Some(Value::Struct(fields)) => fields.values().len(),
        _ => return Err(unexpected(value)),
    }))
}

/// Compiles a regular expression (RE2's syntax); the error says what is wrong with it in a line.
pub(in crate::expression) fn compile_pattern(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&super::pattern::ascii_classes(pattern)).size_limit(PATTERN_LIMIT).build().map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.trim().trim_start_matches("error: ").to_owned()
    })
}

fn matches(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let wrong = |message: String| Reason::Argument(format!("the regular expression cannot be read: {message}"));
    let pattern = compile_pattern(text(arguments, 1)?).map_err(wrong)?;
    Ok(Value::Bool(pattern.is_match(text(arguments, 0)?)))
}

fn split(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let (whole, separator) = (text(arguments, 0)?, text(arguments, 1)?);
    let limit = if arguments.len() > 2 { integer(arguments, 2)? } else { -1 };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let parts: Vec<Value> = match (limit, separator) {
        (0, _) => Vec::new(),
        // Into characters; Rust's own split would add an empty part at either end.
        (limit, "") if limit == usize::MAX => whole.chars().map(|c| Value::text(c.to_string())).collect(),
        (limit, "") => {
            let cut = whole.char_indices().nth(limit - 1).map_or(whole.len(), |(at, _)| at);
            let (single, rest) = whole.split_at(cut);
            let rest = (!rest.is_empty()).then(|| Value::text(rest));
            single.chars().map(|c| Value::text(c.to_string())).chain(rest).collect()
        }
        (limit, separator) => whole.splitn(limit, separator).map(Value::text).collect(),
    };
    Ok(Value::list(parts))
}

fn join(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let separator = if arguments.len() > 1 { text(arguments, 1)? } else { "" };
    let mut joined = String::new();
    for (position, element) in list(arguments, 0)?.iter().enumerate() {
        let Value::String(part) = element else {
            return Err(Reason::Kind { expected: "a list of strings for `join`".to_owned(), found: element.kind() });
        };
        if position > 0 {
            joined.push_str(separator);
        }
        joined.push_str(part);
        check_length(joined.len())?;
    }
    Ok(Value::text(joined))
}

fn replace(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let (whole, old, new) = (text(arguments, 0)?, text(arguments, 1)?, text(arguments, 2)?);
    let limit = if arguments.len() > 3 { integer(arguments, 3)? } else { -1 };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let times = whole.matches(old).take(limit).count();
    let length = whole.len().saturating_add(times.saturating_mul(new.len()));
    check_length(length)?;
    let mut replaced = String::with_capacity(length - times * old.len());
    let mut copied = 0;
    for (at, part) in whole.match_indices(old).take(times) {
        replaced.push_str(whole.get(copied..at).unwrap_or_default());
        replaced.push_str(new);
        copied = at + part.len();
    }
    replaced.push_str(whole.get(copied..).unwrap_or_default());
    Ok(Value::text(replaced))
}

/// The byte offset of a character position; the position after the last character is the end.
fn offset(text: &str, position: usize) -> Result<usize, Reason> {
    let outside = || {
        Reason::Argument(format!(
            "position {position} is outside the text, which has {} characters",
            text.chars().count()
        ))
    };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(position).ok_or_else(outside)
}

fn substring(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let whole = text(arguments, 0)?;
    let start = offset(whole, count(arguments, 1, 0)?)?;
    let end = if arguments.len() > 2 { offset(whole, count(arguments, 2, 0)?)? } else { whole.len() };
    let part = whole
        .get(start..end)
        .ok_or_else(|| Reason::Argument("the end of a substring lies before its start".to_owned()))?;
    Ok(Value::text(part))
}

fn char_at(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let whole = text(arguments, 0)?;
    let start = offset(whole, count(arguments, 1, 0)?)?;
    let found = whole.get(start..).and_then(|rest| rest.chars().next());
    Ok(Value::text(found.map(String::from).unwrap_or_default()))
}

fn position_of(whole: &str, offset: Option<usize>) -> Value {
    offset.and_then(|offset| whole.get(..offset)).map_or(Value::Int(-1), |before| length(before.chars().count()))
}

fn index_of(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let (whole, wanted) = (text(arguments, 0)?, text(arguments, 1)?);
    let from = offset(whole, count(arguments, 2, 0)?)?;
    let found = whole.get(from..).and_then(|rest| rest.find(wanted)).map(|at| at + from);
    Ok(position_of(whole, found))
}

/// With a third argument, the last that starts there or before.
fn last_index_of(arguments: Arguments<'_, '_>) -> Result<Value, Reason> {
    let (whole, wanted) = (text(arguments, 0)?, text(arguments, 1)?);
    if arguments.len() < 3 {
        return Ok(position_of(whole, whole.rfind(wanted)));
    }
    let latest = offset(whole, count(arguments, 2, 0)?)?;
    let starts = whole.char_indices().map(|(at, _)| at).chain([whole.len()]).take_while(|at| *at <= latest);
    let found = starts.filter(|at| whole.get(*at..).is_some_and(|rest| rest.starts_with(wanted))).last();
    Ok(position_of(whole, found))
}
