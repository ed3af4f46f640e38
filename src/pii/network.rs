//! IP and MAC addresses, and URLs that carry credentials.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::context::{after, announced_by, before, each_match, is_word, pattern, stands_alone};
use super::signals::{Signals, Topic};
use super::{Finding, Kind};

static IPV4: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"));

static MAC: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(?i)[0-9a-f]{2}(?::[0-9a-f]{2}){5}|[0-9a-f]{2}(?:-[0-9a-f]{2}){5}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")
});

/// A user's name and password before the host.
static USER_INFO: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"://[^\s/@:?#]*:[^\s/@]+@[^\s/@]"));

/// A parameter whose name says that its value opens something.
static SECRET_PARAMETER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)[?&#;](?:[a-z0-9]+[_\-.])?(?:access_?token|refresh_?token|id_?token|auth_?token|token|api_?key|apikey|access_?key|client_?secret|secret|password|passwd|pwd|auth|signature|sig|session_?id|sessionid|sid|jwt|bearer|credential|otp|key)=[^&\s#]{6,}",
    )
});

/// Finds IP addresses, MAC addresses and URLs with credentials.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if signals.dots >= 3 && signals.digits >= 4 {
        ipv4(text, found);
    }
    if signals.colons >= 2 {
        ipv6(text, found);
    }
    if signals.colons >= 5 || signals.hyphens >= 5 || signals.dots >= 2 {
        mac(text, found);
    }
    if signals.mentions(Topic::Url) {
        urls(text, found);
    }
}

/// Four numbers below 256. Versions are written alike, so the word before must not be one for versions.
fn ipv4(text: &str, found: &mut Vec<Finding>) {
    const VERSION: &[&str] = &["version", "ver", "v", "build", "beta", "release", "update", "firmware", "patch"];
    each_match(&IPV4, text, |captures| {
        let whole = captures.get(0)?;
        let (start, end) = (whole.start(), whole.end());
        let dotted = before(text, start) == Some('.')
            || (after(text, end) == Some('.') && after(text, end + 1).is_some_and(|c| c.is_ascii_digit()));
        let valid = whole.as_str().parse::<Ipv4Addr>().is_ok_and(|address| !address.is_unspecified());
        if !valid || dotted || !stands_alone(text, start, end) {
            return Some(text.get(start..end)?.find('.').map_or(end, |dot| start + dot));
        }
        if !announced_by(text, start, 14, VERSION) {
            found.push(Finding { kind: Kind::IpAddress, start, end, confidence: 0.9 });
        }
        None
    });
}

/// Runs of hexadecimal digits and colons that read as an address (RFC 4291). `::` with nothing else
/// is not one, nor are the words of `std::cafe`.
fn ipv6(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let part = |byte: u8| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.';
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes.iter().skip(at).take_while(|byte| part(**byte)).count();
        let run = text.get(at..at + length).unwrap_or_default();
        let address = run.trim_end_matches('.');
        let address = if address.ends_with("::") { address } else { address.trim_end_matches(':') };
        // Something before or after with a colon is a time or a label; an address is at most 45 long.
        let plausible = (3..=45).contains(&address.len())
            && address.bytes().filter(|byte| *byte == b':').count() >= 2
            && address.bytes().any(|byte| byte.is_ascii_digit());
        if plausible
            && address.parse::<Ipv6Addr>().is_ok_and(|address| !address.is_unspecified())
            && stands_alone(text, at, at + address.len())
        {
            found.push(Finding { kind: Kind::IpAddress, start: at, end: at + address.len(), confidence: 0.93 });
        }
        at += length.max(1);
    }
}

fn mac(text: &str, found: &mut Vec<Finding>) {
    each_match(&MAC, text, |captures| {
        let whole = captures.get(0)?;
        let (start, end) = (whole.start(), whole.end());
        let more = |edge: Option<char>| is_word(edge) || matches!(edge, Some(':' | '-'));
        // "MAC: 00:…" has a space before; "id-00-…" would be part of something longer.
        if more(before(text, start)) || is_word(after(text, end)) || continues(text, end) {
            return Some(start + 1);
        }
        found.push(Finding { kind: Kind::MacAddress, start, end, confidence: 0.93 });
        None
    });
}

fn continues(text: &str, end: usize) -> bool {
    matches!(after(text, end), Some(':' | '-')) && after(text, end + 1).is_some_and(|c| c.is_ascii_hexdigit())
}

/// Takes each URL whole, up to the next space or quote, and looks for credentials in it.
fn urls(text: &str, found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(offset) = text.get(from..).and_then(|rest| rest.find("://")) {
        let mark = from + offset;
        let scheme = text
            .get(from..mark)
            .unwrap_or_default()
            .bytes()
            .rev()
            .take(16)
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let start = mark - scheme;
        let rest = text.get(mark..).unwrap_or_default();
        let end =
            mark + rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`')).unwrap_or(rest.len());
        let url = text.get(start..end).unwrap_or_default().trim_end_matches(['.', ',', ')', ']', '!', ';']);
        let matches = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(url));
        if scheme > 0 && (matches(&USER_INFO) || matches(&SECRET_PARAMETER)) {
            found.push(Finding { kind: Kind::UrlCredentials, start, end: start + url.len(), confidence: 0.95 });
        }
        from = end.max(mark + 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!([&IPV4, &MAC, &USER_INFO, &SECRET_PARAMETER].iter().all(|pattern| pattern.is_some()));
    }
}
