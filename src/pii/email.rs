//! E-mail addresses: the local part and domain around each `@`, after RFC 5321's practice rather than
//! its full grammar, and the spelled-out form that people use against harvesters.

use std::sync::LazyLock;

use regex::Regex;

use super::context::{each_match, pattern, stands_alone};
use super::signals::Signals;
use super::{Finding, Kind};

static SPELLED_OUT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)[\w.+-]+\s?(?:[\[({]\s?at\s?[\])}]|\sat\s)\s?[a-z0-9-]+(?:\s?(?:[\[({]\s?dot\s?[\])}]|\sdot\s|\.)\s?[a-z0-9-]+)*\s?(?:[\[({]\s?dot\s?[\])}]|\sdot\s)\s?[a-z]{2,12}|[\w.+-]+\s?[\[({]\s?at\s?[\])}]\s?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,12}",
    )
});

/// Finds e-mail addresses.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if signals.ats > 0 {
        around_at_signs(text, found);
    }
    if contains_spelled_out(text) {
        each_match(&SPELLED_OUT, text, |captures| {
            let whole = captures.get(0)?;
            if stands_alone(text, whole.start(), whole.end()) {
                found.push(Finding { kind: Kind::Email, start: whole.start(), end: whole.end(), confidence: 0.8 });
            }
            None
        });
    }
}

/// The spelled-out form has a bracketed "at", or the word "dot".
fn contains_spelled_out(text: &str) -> bool {
    ["[at]", "(at)", " dot ", "(dot)", "[dot]", "[AT]", "(AT)", " DOT ", "{at}"].iter().any(|mark| text.contains(mark))
}

/// Looks left and right of each `@` for a local part and a domain. No character is looked at more than
/// twice, since neither part holds an `@`.
fn around_at_signs(text: &str, found: &mut Vec<Finding>) {
    for (at, _) in text.match_indices('@') {
        let (Some(left), Some(right)) = (text.get(..at), text.get(at + 1..)) else { continue };
        let local = local_part(left);
        let domain = domain(right);
        if local > 0 && domain > 0 {
            found.push(Finding { kind: Kind::Email, start: at - local, end: at + 1 + domain, confidence: 0.98 });
        }
    }
}

/// How many bytes at the end of `left` are a local part.
fn local_part(left: &str) -> usize {
    let length: usize = left
        .chars()
        .rev()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '&'))
        .map(char::len_utf8)
        .sum();
    let part = left.get(left.len() - length..).unwrap_or_default();
    let part = part.trim_start_matches(['.', '\'', '-', '&', '%']);
    // Only signs of punctuation are no mailbox: ".@support" is a mention after a full stop.
    if part.chars().any(char::is_alphanumeric) { part.len() } else { 0 }
}

/// How many bytes at the start of `right` are a domain with at least one dot and a top-level domain.
fn domain(right: &str) -> usize {
    if let Some(literal) = address_literal(right) {
        return literal;
    }
    let length: usize =
        right.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-')).map(char::len_utf8).sum();
    let mut host = right.get(..length).unwrap_or_default();
    if host.starts_with(['.', '-']) {
        return 0;
    }
    // A sentence may go on right after the address ("a@b.com.Thanks" is read as longer than it is,
    // "a@b.com..." is not).
    if let Some(end) = host.find("..") {
        host = host.get(..end).unwrap_or_default();
    }
    loop {
        host = host.trim_end_matches(['.', '-']);
        let Some((_, last)) = host.rsplit_once('.') else { return 0 };
        if last.chars().take_while(|c| c.is_alphabetic()).count() >= 2 || host.parse::<std::net::Ipv4Addr>().is_ok() {
            return host.len();
        }
        host = host.get(..host.len() - last.len()).unwrap_or_default();
    }
}

/// `[192.0.2.1]` after the `@`.
fn address_literal(right: &str) -> Option<usize> {
    let inner = right.strip_prefix('[')?;
    let end = inner.bytes().take(16).position(|byte| byte == b']')?;
    inner.get(..end)?.parse::<std::net::Ipv4Addr>().ok()?;
    Some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_compiles() {
        assert!(SPELLED_OUT.is_some());
    }
}
