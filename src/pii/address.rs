//! Postal addresses: a number and a street of a known type, in English, German or French order, post
//! office boxes, a US place with state and ZIP code, and postal codes that the text announces.

use std::sync::LazyLock;

use regex::Regex;

use super::context::{each_match, pattern, stands_alone};
use super::signals::{Signals, Topic};
use super::{Finding, Kind};

/// Street types that need no capital before them to be taken for one.
const LONG_TYPES: &str = "street|avenue|boulevard|road|lane|terrace|parkway|highway|crescent|court|drive";
/// Street types that are everyday words or abbreviations.
const SHORT_TYPES: &str = "st|ave|av|blvd|rd|ln|ter|pkwy|hwy|cres|ct|dr|place|pl|way|square|sq|circle|cir|close|gardens|grove|row|trail|trl|mews|walk|hill|quay|park";
const STATES: &str = "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|PR";
/// What may follow a street: a flat, up to three words of a place, a state, a postal code.
const TAIL: &str = r"(?:[,\s]{1,3}(?:(?i:apt|apartment|suite|ste|unit|flat|floor|fl|room|rm)\.?\s?#?|#\s?)[\w-]{1,6})?(?:(?:,\s?|\s)(?:\p{Lu}[\p{L}.'’-]*\s?){1,3})?(?:,?\s?(?:STATES))?(?:,?\s?(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]\d[A-Z]\s?\d[A-Z]\d))?";

fn with_tail(street: &str) -> Option<Regex> {
    let source = format!("{street}{TAIL}");
    pattern(&source.replace("STATES", STATES).replace("LONG", LONG_TYPES).replace("SHORT", SHORT_TYPES))
}

/// 221B Baker Street, 1600 N. Pennsylvania Ave NW, Washington, DC 20500.
static CAPITALISED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    with_tail(
        r"(?:#\s?)?\d{1,6}[A-Za-z]?(?:[-/]\d{1,4})?,?\s+(?:(?:N|S|E|W|NE|NW|SE|SW)\.?\s+)?(?:(?:\p{Lu}[\p{L}\d.'’-]*|\d{1,3}(?:st|nd|rd|th))\s+){1,4}(?i:LONG|SHORT)\b\.?(?:\s+(?:N|S|E|W|NE|NW|SE|SW)\b)?",
    )
});

/// 12 main street: the group is what stands between number and type.
static LOWER_CASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    with_tail(r"\d{1,6}[A-Za-z]?\s+(?i:([\p{L}.'’-]+(?:\s+[\p{L}.'’-]+)?)\s+(?:LONG|st|ave|blvd|rd))\b\.?")
});

/// Hauptstraße 12, 10115 Berlin; 12 rue de la Paix, 75002 Paris.
static CONTINENTAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?:\p{Lu}[\p{L}-]*(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|ufer)|\p{Lu}[\p{L}-]*\s(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Ring))\s?\d{1,4}\s?[a-z]?\b(?:,?\s+(?:[A-Z]{1,2}-)?\d{4,5}\s+\p{Lu}[\p{L}-]+)?|\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?i:rue|avenue|boulevard|chemin|allée|place|quai|via|calle)\s+(?:(?:de|du|des|la|le|del|los|las)\s+|(?:l|d)['’])*\p{Lu}[\p{L}-]+(?:\s\p{Lu}[\p{L}-]+)*(?:,?\s+\d{5}\s+\p{Lu}[\p{L}-]+)?",
    )
});

/// P.O. Box 123.
static BOX: LazyLock<Option<Regex>> =
    LazyLock::new(|| with_tail(r"(?i:\bp\.?\s?o\.?\s?box|\bpost\s+office\s+box)\s+#?\d{1,6}"));

/// Springfield, IL 62704.
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(&format!(r"\p{{Lu}}[\p{{L}}.'’-]+(?:\s\p{{Lu}}[\p{{L}}.'’-]+)?,\s?(?:{STATES})\.?,?\s\d{{5}}(?:-\d{{4}})?"))
});

/// zip 62704, postcode SW1A 1AA.
static CODE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:zip(?:\s?code)?|postal\s?code|post\s?code|plz)(?:\s+(?:is|was))?\s*[:=#]?\s*(\d{5}(?:-\d{4})?|[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}|[a-z]\d[a-z]\s?\d[a-z]\d|\d{4}\s?[a-z]{2}|\d{4,6})",
    )
});

/// Words that a street is not called by: "5 minutes down the road".
const NO_STREET: &[&str] = &[
    "a",
    "an",
    "the",
    "of",
    "in",
    "on",
    "to",
    "my",
    "your",
    "our",
    "his",
    "her",
    "their",
    "this",
    "that",
    "is",
    "are",
    "was",
    "by",
    "at",
    "for",
    "from",
    "with",
    "and",
    "or",
    "off",
    "down",
    "up",
    "more",
    "days",
    "day",
    "hours",
    "hour",
    "minutes",
    "minute",
    "min",
    "mins",
    "years",
    "year",
    "weeks",
    "months",
    "people",
    "miles",
    "mile",
    "km",
    "times",
    "times.",
    "hard",
    "free",
    "usb",
    "gb",
    "tb",
    "external",
    "test",
    "i",
    "it",
    "not",
    "no",
    "per",
    "each",
    "every",
    "ways",
    "cars",
    "different",
    "main.",
    "same",
    "other",
    "open",
    "high",
    "supreme",
    "federal",
];

/// Finds postal addresses and announced postal codes.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if signals.digits == 0 {
        return;
    }
    if signals.digits >= 5 && text.contains(',') {
        whole(&PLACE, text, 0.8, found);
    }
    if !signals.mentions(Topic::Address) {
        return;
    }
    whole(&CAPITALISED, text, 0.85, found);
    whole(&CONTINENTAL, text, 0.8, found);
    whole(&BOX, text, 0.9, found);
    each_match(&LOWER_CASE, text, |captures| {
        let (whole, street) = (captures.get(0)?, captures.get(1)?);
        let named = street
            .as_str()
            .split_whitespace()
            .all(|word| !NO_STREET.iter().any(|known| word.eq_ignore_ascii_case(known)));
        if named && stands_alone(text, whole.start(), whole.end()) {
            found.push(claim(text, whole.start(), whole.end(), 0.7));
            return None;
        }
        Some(whole.start() + 1)
    });
    each_match(&CODE, text, |captures| {
        let code = captures.get(1)?;
        if stands_alone(text, code.start(), code.end()) {
            found.push(claim(text, code.start(), code.end(), 0.75));
        }
        None
    });
}

fn whole(pattern: &Option<Regex>, text: &str, confidence: f64, found: &mut Vec<Finding>) {
    each_match(pattern, text, |captures| {
        let whole = captures.get(0)?;
        if stands_alone(text, whole.start(), whole.start() + whole.as_str().trim_end().len()) {
            found.push(claim(text, whole.start(), whole.end(), confidence));
        }
        None
    });
}

/// A finding without the spaces and commas that the pattern took along.
fn claim(text: &str, start: usize, end: usize, confidence: f64) -> Finding {
    let trimmed = text.get(start..end).unwrap_or_default().trim_end_matches([' ', ',', '\n', '\t', '\r']);
    Finding { kind: Kind::PostalAddress, start, end: start + trimmed.len(), confidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let patterns = [&CAPITALISED, &LOWER_CASE, &CONTINENTAL, &BOX, &PLACE, &CODE];
        assert!(patterns.iter().all(|pattern| pattern.is_some()));
    }
}
