//! Phone numbers: E.164's international form (ITU-T E.164: at most 15 digits), the North American
//! plan, vanity numbers, national forms with a trunk zero, and bare digits where nothing speaks
//! against them.
//!
//! Recall comes first here. What keeps order numbers, prices and dates out are the words before a bare
//! number, the shape of its groups, and what it touches.

use std::sync::LazyLock;

use regex::Regex;

use super::context::{after, announced_by, before, count_digits, each_match, is_word, pattern, preceding};
use super::signals::Signals;
use super::{Finding, Kind};

/// What may stand between groups of digits: a space, a dot, a hyphen, and their typographic kin.
const SEPARATOR: &str = r"[ .\-\x{a0}\x{2010}-\x{2014}\x{202f}]";

/// A way in which phone numbers are written.
struct Form {
    pattern: Option<Regex>,
    /// How many digits it may have.
    digits: std::ops::RangeInclusive<usize>,
    confidence: f64,
    /// What the words before must say.
    asks: Asks,
}

#[derive(Clone, Copy, PartialEq)]
enum Asks {
    /// The form speaks for itself.
    Nothing,
    /// The words before must not announce another kind of number.
    NoOther,
    /// The words before must announce a phone number.
    Phone,
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let form = |source: &str, digits, confidence, asks| Form {
        pattern: pattern(&source.replace("SEP", SEPARATOR)),
        digits,
        confidence,
        asks,
    };
    vec![
        // +44 (0)20 7946 0958, +1-415-555-2671, +4915112345678
        form(r"\+SEP?\(?\d{1,4}\)?(?:SEP{0,2}[(/]?\d{1,12}\)?){1,7}", 7..=15, 0.95, Asks::Nothing),
        // 0044 20 7946 0958
        form(r"00SEP?[1-9]\d{0,2}(?:SEP{0,2}\(?\d{1,12}\)?){1,7}", 10..=17, 0.85, Asks::NoOther),
        // (415) 555-2671, 1-800-555-0199, 415.555.2671
        form(r"(?:1SEP?)?(?:\(\d{3}\)|\d{3})SEP{0,3}\d{3}SEP{1,3}\d{4}", 10..=11, 0.95, Asks::Nothing),
        form(r"(?:1SEP?)?(?:\(\d{3}\)SEP{0,3}|\d{3}(?:SEP{1,3}|/))\d{3}SEP{0,3}\d{4}", 10..=11, 0.95, Asks::Nothing),
        // 1-800-FLOWERS, 1-800-GO-FEDEX
        form(r"(?:1SEP?)?\(?8(?:00|33|44|55|66|77|88)\)?SEP[A-Z\d](?:-?[A-Z\d]){6,9}", 3..=11, 0.85, Asks::Nothing),
        // 020 7946 0958, 01 23 45 67 89, 089/1234567, (02) 9374 4000
        form(r"(?:\(0[1-9]\d{0,4}\)|0[1-9]\d{0,4})(?:(?:SEP{1,2}|/)\(?\d{2,8}\)?){1,5}", 9..=12, 0.8, Asks::NoOther),
        form(r"\(0[1-9]\d{0,4}\)\d{4,9}", 9..=12, 0.85, Asks::NoOther),
        // 98765 43210
        form(r"[6-9]\d{4}SEP\d{5}", 10..=10, 0.75, Asks::NoOther),
        // 01120738976: a trunk zero; 4155552671, 14155552671, 9876543210
        form(r"0[1-9]\d{7,10}", 9..=12, 0.7, Asks::NoOther),
        form(r"1?[2-9]\d{9}", 10..=11, 0.65, Asks::NoOther),
        // "call 555-0123", "phone: 12 34 56 78"
        form(r"\(?\d{1,5}\)?(?:SEP{0,2}\(?\d{1,12}\)?){1,6}", 7..=15, 0.75, Asks::Phone),
        form(r"\d{7,15}", 7..=15, 0.75, Asks::Phone),
    ]
});

/// `ext. 12` after a number.
static EXTENSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(r"(?i)^[ ,]{0,2}(?:x|ext\.?|extension|#)\s?\d{1,6}"));

/// Words that announce a phone number.
const PHONE_WORDS: &[&str] = &[
    "phone",
    "phones",
    "phonenumber",
    "telephone",
    "tel",
    "tele",
    "mobile",
    "mob",
    "cell",
    "cellphone",
    "call",
    "calling",
    "called",
    "whatsapp",
    "reach",
    "ring",
    "dial",
    "fax",
    "sms",
    "hotline",
    "landline",
    "ph",
    "telefon",
    "handy",
    "contact",
    "callback",
    "helpline",
    "tollfree",
];

/// Words that announce a number of another kind.
const OTHER_WORDS: &[&str] = &[
    "order",
    "orders",
    "ticket",
    "case",
    "ref",
    "reference",
    "invoice",
    "tracking",
    "account",
    "acct",
    "transaction",
    "confirmation",
    "booking",
    "reservation",
    "id",
    "serial",
    "model",
    "error",
    "sku",
    "isbn",
    "version",
    "build",
    "imei",
    "receipt",
    "policy",
    "claim",
    "flight",
    "routing",
    "parcel",
    "shipment",
    "item",
    "product",
    "part",
    "customer",
    "member",
    "membership",
    "article",
    "views",
    "subscribers",
];

/// Finds phone numbers.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if signals.digits < 3 {
        return;
    }
    let few_digits = signals.digits < 7;
    for form in FORMS.iter() {
        if few_digits && *form.digits.start() > 3 {
            continue;
        }
        each_match(&form.pattern, text, |captures| {
            let whole = captures.get(0)?;
            match accept(text, form, whole.start(), whole.end()) {
                Some(end) => {
                    let end = with_extension(text, end);
                    found.push(Finding { kind: Kind::Phone, start: whole.start(), end, confidence: form.confidence });
                    Some(end)
                }
                None => Some(end_of_digits(text, whole.start())),
            }
        });
    }
}

/// Where the number ends that starts here, when it is one.
fn accept(text: &str, form: &Form, start: usize, end: usize) -> Option<usize> {
    let end = shorten(text, start, end, *form.digits.end());
    let number = text.get(start..end)?;
    if !form.digits.contains(&count_digits(number)) || touches_more(text, start, end, form.asks == Asks::Nothing) {
        return None;
    }
    if in_url_path(text, start) || is_date(number) {
        return None;
    }
    let phone = || announced_by(text, start, 40, PHONE_WORDS) || preceding(text, start, 12).ends_with("number is ");
    let accepted = match form.asks {
        Asks::Nothing => true,
        Asks::NoOther => phone() || !announced_by(text, start, 24, OTHER_WORDS),
        Asks::Phone => phone() && !announced_by(text, start, 16, OTHER_WORDS),
    };
    accepted.then_some(end)
}

/// Takes whole groups off the end until at most `most` digits are left, and an unpaired bracket.
fn shorten(text: &str, start: usize, mut end: usize, most: usize) -> usize {
    while let Some(number) = text.get(start..end) {
        if count_digits(number) <= most {
            break;
        }
        let kept = number.trim_end_matches(|c: char| c.is_ascii_digit());
        let kept = kept.trim_end_matches(|c: char| !c.is_ascii_digit());
        if kept.is_empty() {
            break;
        }
        end = start + kept.len();
    }
    end
}

/// Whether digits, letters, or signs that make it part of something else stand right before or after.
/// A form that speaks for itself may follow a `#`.
fn touches_more(text: &str, start: usize, end: usize, certain: bool) -> bool {
    let left = before(text, start);
    // "+1…/+1…": the sign starts a number whatever stands before it.
    let separates = |c: char| (c == '/' && after(text, start) == Some('+')) || (c == '#' && certain);
    let left = left.filter(|c| !separates(*c));
    if is_word(left) || matches!(left, Some('/' | '=' | '#' | '&' | '$' | '€' | '£' | '¥' | '₹' | '%' | '+')) {
        return true;
    }
    if matches!(left, Some('.' | '-' | ',' | ':')) {
        let further = before(text, start - 1);
        let joins_digits = further.is_some_and(|c| c.is_ascii_digit());
        let joins_word = left == Some('-') && is_word(further) || left == Some('.') && is_word(further);
        if joins_digits || (joins_word && !ends_with_phone_word(text, start - 1)) {
            return true;
        }
    }
    let right = after(text, end);
    if is_word(right) && !matches!(right, Some('x' | 'X' | 'e')) || matches!(right, Some('%' | '€' | '£')) {
        return true;
    }
    if matches!(right, Some('.' | '-' | ',' | ':' | '/')) {
        return after(text, end + 1).is_some_and(|c| c.is_ascii_digit());
    }
    false
}

fn ends_with_phone_word(text: &str, at: usize) -> bool {
    announced_by(text, at, 12, PHONE_WORDS)
}

/// Whether the position lies in a URL, other than one that dials. The look back is bounded, so that
/// long runs without spaces cost linear time.
fn in_url_path(text: &str, at: usize) -> bool {
    let word = preceding(text, at, 256);
    let word = word.rsplit(char::is_whitespace).next().unwrap_or_default();
    (word.contains("://") || word.starts_with("www.") || word.contains(".com/")) && !word.ends_with("wa.me/")
}

/// `2020-04-07`, `07.04.2020 12`: not a phone number, whatever surrounds it.
fn is_date(number: &str) -> bool {
    let mut groups = [0_u32; 4];
    let mut count = 0;
    for group in number.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()) {
        if group.len() > 4 {
            return false;
        }
        let (Some(slot), Ok(value)) = (groups.get_mut(count), group.parse()) else { return false };
        *slot = value;
        count += 1;
    }
    let [a, b, c, _] = groups;
    let year = |n: u32| (1900..2100).contains(&n);
    let day_month = |a: u32, b: u32| (1..=31).contains(&a) && (1..=31).contains(&b) && a.min(b) <= 12;
    count >= 3 && (year(a) && day_month(b, c) || year(c) && day_month(a, b)) || (count == 2 && year(a) && year(b))
}

fn with_extension(text: &str, end: usize) -> usize {
    let extension = EXTENSION.as_ref().zip(text.get(end..));
    extension.and_then(|(pattern, rest)| pattern.find(rest)).map_or(end, |found| end + found.end())
}

/// The end of the group of digits at or after `start`: where a search goes on after a rejected start.
fn end_of_digits(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let lead = rest.bytes().position(|byte| byte.is_ascii_digit()).unwrap_or(0);
    let digits = rest.bytes().skip(lead).take_while(u8::is_ascii_digit).count();
    start + lead + digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!(FORMS.iter().all(|form| form.pattern.is_some()));
        assert!(EXTENSION.is_some());
    }

    #[test]
    fn dates_are_told_from_numbers() {
        assert!(is_date("2020-04-07"));
        assert!(is_date("07.04.2020"));
        assert!(!is_date("020 7946 0958"));
        assert!(!is_date("415-555-2671"));
    }
}
