//! Numbers and dates that identify a person: social security numbers by the rules of their issue,
//! passports, driver's licences and dates of birth by the words that announce them.

use std::sync::LazyLock;

use regex::Regex;

use super::context::{after, announced_by, before, count_digits, each_match, is_word, pattern, stands_alone};
use super::signals::{Signals, Topic};
use super::{Finding, Kind};

static SSN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(r"(\d{3})[ \-.\x{2010}-\x{2013}](\d{2})[ \-.\x{2010}-\x{2013}](\d{4})|(\d{3})(\d{2})(\d{4})")
});

static PASSPORT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\bpassport(?:\s+(?:number|no\.?|num\.?|nr\.?|id))?(?:\s+(?:is|was|of))?\s*(?:is|was|[:#=\-(])?\s*#?\s*([a-z0-9]{6,11})",
    )
});

static LICENSE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:driver['’]?s?['’]?|driving|drivers)\s+licen[cs]e|licen[cs]e\s+(?:number|no\.?)|dl)(?:\s+(?:number|no\.?|num\.?|id))?(?:\s+(?:is|was))?\s*(?:[:#=\-(])?\s*#?\s*([a-z0-9*](?:[ -]?[a-z0-9*]){4,19})",
    )
});

const MONTH: &str = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]{0,6}\\.?";

static BIRTH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let numeric = r"\d{1,4}\s?[./\-]\s?\d{1,2}\s?[./\-]\s?\d{2,4}";
    let day_first = format!(r"\d{{1,2}}(?:st|nd|rd|th)?[\s\-/.,]+(?:of\s+)?{MONTH}[\s\-/.,]+\d{{2,4}}");
    let month_first = format!(r"{MONTH}[\s\-/.]+\d{{1,2}}(?:st|nd|rd|th)?[\s\-/.,]+\d{{2,4}}");
    let announced = r"(?:born|d\.?\s?o\.?\s?b\b\.?|date\s+of\s+birth|birth\s?-?date|birth\s?day)";
    let between = r"\)?(?:\s+(?:is|was|on|the|in|as|of))*\s*[:=\-,(]?\s*(?:the\s+|on\s+|is\s+)?";
    pattern(&format!(r"(?i)\b{announced}{between}({numeric}|{day_first}|{month_first}|\d{{8}})"))
});

/// Finds social security numbers, passport and licence numbers, and dates of birth.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if signals.digits >= 9 {
        social_security(text, found);
    }
    if signals.digits < 4 || !signals.mentions(Topic::Identity) {
        return;
    }
    announced(&PASSPORT, text, Kind::Passport, 0.85, found, |number| count_digits(number) >= 5);
    announced(&LICENSE, text, Kind::DriversLicense, 0.8, found, |number| count_digits(number) >= 4);
    announced(&BIRTH, text, Kind::DateOfBirth, 0.92, found, is_date);
}

/// Area 001–665 or 667–899, group and serial not zero (the Social Security Administration's rules).
/// Without separators only where the words before say so.
fn social_security(text: &str, found: &mut Vec<Finding>) {
    each_match(&SSN, text, |captures| {
        let whole = captures.get(0)?;
        let part = |n: usize| captures.get(n).or(captures.get(n + 3)).map_or("", |part| part.as_str());
        let (area, group, serial) = (part(1), part(2), part(3));
        let issued = area != "000" && area != "666" && !area.starts_with('9') && group != "00" && serial != "0000";
        let announced = announced_by(text, whole.start(), 40, &["ssn", "social", "security"]);
        let separated = captures.get(1).is_some();
        let joined = |edge: Option<char>, further: Option<char>| {
            is_word(edge) || matches!(edge, Some('-' | '/' | '.')) && further.is_some_and(|c| c.is_ascii_digit())
        };
        let left = before(text, whole.start());
        let right = after(text, whole.end());
        let alone = !joined(left, left.and_then(|c| before(text, whole.start() - c.len_utf8())))
            && !joined(right, right.and_then(|c| after(text, whole.end() + c.len_utf8())));
        if issued && alone && (separated || announced) {
            let confidence = if announced { 0.97 } else { 0.85 };
            found.push(Finding { kind: Kind::Ssn, start: whole.start(), end: whole.end(), confidence });
            return None;
        }
        Some(whole.start() + 1)
    });
}

/// Pushes the first group of each match that stands alone and that `valid` accepts. A number of
/// several words is cut before the first word without digits.
fn announced(
    pattern: &Option<Regex>,
    text: &str,
    kind: Kind,
    confidence: f64,
    found: &mut Vec<Finding>,
    valid: impl Fn(&str) -> bool,
) {
    each_match(pattern, text, |captures| {
        let number = captures.get(1)?;
        let end = if kind == Kind::DriversLicense { end_of_number(number.as_str()) } else { number.len() };
        let end = number.start() + end;
        let candidate = text.get(number.start()..end)?;
        if valid(candidate) && stands_alone(text, number.start(), end) {
            found.push(Finding { kind, start: number.start(), end, confidence });
        }
        None
    });
}

/// The length of the leading words that have digits; a first word of at most three letters may precede.
fn end_of_number(number: &str) -> usize {
    let mut end = 0;
    let mut from = 0;
    for word in number.split(' ') {
        let prefix = from == 0 && word.len() <= 3;
        if count_digits(word) == 0 && !prefix {
            break;
        }
        end = from + word.len();
        from = end + 1;
    }
    end
}

/// Whether the text is a date that a living person can have been born on: a day and a month in some
/// order, and a year of two digits or from 1900 on.
fn is_date(text: &str) -> bool {
    let numbers: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let value = |n: usize| numbers.get(n).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let year = |n: usize| {
        let long = numbers.get(n).is_some_and(|part| part.len() == 4);
        !long || (1900..2100).contains(&value(n))
    };
    let day = |n: usize| (1..=31).contains(&value(n));
    let month = |n: usize| (1..=12).contains(&value(n));
    match numbers.len() {
        1 => text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()),
        2 => day(0) && year(1),
        3 if value(0) > 31 => year(0) && (month(1) && day(2) || day(1) && month(2)),
        3 => year(2) && (month(0) && day(1) || day(0) && month(1)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!([&SSN, &PASSPORT, &LICENSE, &BIRTH].iter().all(|pattern| pattern.is_some()));
    }

    #[test]
    fn a_date_needs_a_day_and_a_month() {
        assert!(is_date("1985-03-12") && is_date("12.3.85") && is_date("March 12, 1985"));
        assert!(!is_date("45/45/1985") && !is_date("12/13/1785"));
    }
}
