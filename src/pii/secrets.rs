//! API keys, tokens and passwords: prefixes that issuers publish for scanners, JSON web tokens
//! (RFC 7519), bearer tokens (RFC 6750), PEM private keys, and values that a word such as "token"
//! announces.

use std::sync::LazyLock;

use regex::Regex;

use super::context::{after, each_match, is_word, pattern};
use super::signals::{Signals, Topic};
use super::{Finding, Kind};

/// Keys that their prefix gives away.
static PREFIXED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(concat!(
        r"(?-u:\b)(?:(?:sk|pk|rk)[-_](?:live_|test_|proj-|ant-|or-)?[A-Za-z0-9_\-]{16,}",
        r"|(?:AKIA|ASIA)[0-9A-Z]{16}",
        r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
        r"|xox[abeoprs]-[A-Za-z0-9\-]{8,}",
        r"|AIza[0-9A-Za-z_\-]{30,}",
        r"|ya29\.[0-9A-Za-z_\-]{20,}",
        r"|glpat-[0-9A-Za-z_\-]{16,}",
        r"|npm_[0-9A-Za-z]{30,}|hf_[0-9A-Za-z]{30,}",
        r"|SG\.[0-9A-Za-z_\-]{16,}\.[0-9A-Za-z_\-]{16,}",
        r"|eyJ[0-9A-Za-z_\-]{8,}\.[0-9A-Za-z_\-]{8,}(?:\.[0-9A-Za-z_\-]*)?)",
    ))
});

/// A private key, up to its end or that of the text.
static PRIVATE_KEY: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"-----BEGIN [A-Z ]{0,24}PRIVATE KEY-----[A-Za-z0-9+/=\s:,\-]*"));

static BEARER: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"(?i)\bbearer\s+([A-Za-z0-9._~+/\-]{16,}=*)"));

/// A word for a secret, then what it is.
static ANNOUNCED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r#"(?i)(?:key|token|secret|credential)s?(?:\s+(?:id|value|code))?["']?(?:\s*(?:is\s*:?|was|=>|[:=])\s*|\s+)["'`]?([A-Za-z0-9+/_\-.]{16,}=*)"#,
    )
});

/// A password, where the text says what it is.
static PASSWORD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r#"(?i)(?:password|passwd|pwd|passcode|passphrase)["']?\s*(?:is\s*:?|was|[:=])\s*["'`]?([^\s"'`,]{4,})"#)
});

/// Finds keys, tokens and passwords.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if !signals.mentions(Topic::Secret) {
        return;
    }
    each_match(&PREFIXED, text, |captures| {
        let whole = captures.get(0)?;
        if mixed(whole.as_str()) {
            found.push(claim(whole.start(), whole.end(), 0.97));
        }
        None
    });
    each_match(&PRIVATE_KEY, text, |captures| {
        let whole = captures.get(0)?;
        found.push(claim(whole.start(), whole.end(), 0.99));
        None
    });
    value_of(&BEARER, text, 0.92, found, |value| value.bytes().any(|byte| byte.is_ascii_digit()));
    value_of(&ANNOUNCED, text, 0.85, found, mixed);
    value_of(&PASSWORD, text, 0.7, found, |value| {
        value.bytes().any(|byte| byte.is_ascii_digit() || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'*'))
    });
}

fn value_of(
    pattern: &Option<Regex>,
    text: &str,
    confidence: f64,
    found: &mut Vec<Finding>,
    valid: impl Fn(&str) -> bool,
) {
    each_match(pattern, text, |captures| {
        let value = captures.get(1)?;
        let trimmed = value.as_str().trim_end_matches(['.', ',']);
        let end = value.start() + trimmed.len();
        if valid(trimmed) && !is_word(after(text, end)) {
            found.push(claim(value.start(), end, confidence));
        }
        None
    });
}

/// Keys mix digits and letters; words and plain numbers do not. Long ones of both cases may do with one
/// digit.
fn mixed(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let lower = value.bytes().filter(u8::is_ascii_lowercase).count();
    let upper = value.bytes().filter(u8::is_ascii_uppercase).count();
    let random = digits >= 2 || (digits == 1 && lower >= 4 && upper >= 4 && value.len() >= 20);
    random && lower + upper >= 2 && !value.contains("://") && !value.starts_with("www.")
}

fn claim(start: usize, end: usize, confidence: f64) -> Finding {
    Finding { kind: Kind::ApiKey, start, end, confidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let patterns = [&PREFIXED, &PRIVATE_KEY, &BEARER, &ANNOUNCED, &PASSWORD];
        assert!(patterns.iter().all(|pattern| pattern.is_some()));
    }
}
