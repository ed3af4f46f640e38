//! Payment card numbers: ISO/IEC 7812's lengths and the Luhn check digit; issuers' ranges make them surer.

use super::context::{after, before, is_word};
use super::signals::Signals;
use super::{Finding, Kind};

/// The fewest digits of a card number in use.
const SHORTEST: usize = 12;
/// The most digits (ISO/IEC 7812).
const LONGEST: usize = 19;

/// The fewest digits of a number that is taken for a card's by its check digit alone: there are more issuers than
/// any list has, and a card number that stays costs more than another number that goes.
const SHORTEST_OF_OTHERS: usize = 13;
/// How sure such a number is: one in ten has the right check digit by chance.
const OTHER_ISSUER: f64 = 0.5;

/// A run of digits, in bytes.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

/// Finds card numbers, whole or in groups set off by single spaces, hyphens or dots.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if signals.digits < SHORTEST {
        return;
    }
    let groups = groups(text);
    let mut first = 0;
    while let Some(start) = groups.get(first) {
        first += 1;
        if is_word(before(text, start.start)) && !before(text, start.start).is_some_and(char::is_alphabetic) {
            continue;
        }
        if let Some((last, finding)) = longest_card(text, &groups, first - 1) {
            found.push(finding);
            first = last + 1;
        }
    }
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().enumerate() {
        match (byte.is_ascii_digit(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                groups.push(Group { start: from, end: at });
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        groups.push(Group { start: from, end: text.len() });
    }
    groups
}

/// The longest card number that starts with group `first`: the index of its last group, and the finding.
fn longest_card(text: &str, groups: &[Group], first: usize) -> Option<(usize, Finding)> {
    let mut digits: Vec<u8> = Vec::with_capacity(LONGEST);
    let start = groups.get(first)?.start;
    let mut previous_end = start;
    // The end of a longer row of numbers has the right check digit one time in ten.
    let continues = matches!(before(text, start), Some(' ' | '-' | '.'))
        && start >= 2
        && before(text, start - 1).is_some_and(|c| c.is_ascii_digit());
    let fewest = if continues { SHORTEST + 1 } else { SHORTEST };
    let mut best = None;
    for (index, group) in groups.iter().enumerate().skip(first) {
        let joined = index == first || is_separator(text.get(previous_end..group.start).unwrap_or_default());
        if !joined || digits.len() + (group.end - group.start) > LONGEST {
            break;
        }
        digits.extend(text.get(group.start..group.end).unwrap_or_default().bytes().map(|byte| byte - b'0'));
        previous_end = group.end;
        if digits.len() >= fewest && !is_word(after(text, group.end)) && luhn(&digits) {
            let confidence = if has_issuer(&digits) { 0.97 } else { OTHER_ISSUER };
            if confidence > OTHER_ISSUER || digits.len() >= SHORTEST_OF_OTHERS {
                best = Some((index, Finding { kind: Kind::CreditCard, start, end: group.end, confidence }));
            }
        }
    }
    best
}

fn is_separator(between: &str) -> bool {
    matches!(between, " " | "-" | "." | "\u{a0}" | "\u{2010}" | "\u{2011}" | "\u{2012}" | "\u{2013}" | " - " | "  ")
}

/// Whether these digits have a known issuer's range and its length.
fn has_issuer(digits: &[u8]) -> bool {
    let length = digits.len();
    if !(SHORTEST..=LONGEST).contains(&length) {
        return false;
    }
    let prefix = |n: usize| digits.iter().take(n).fold(0_u32, |value, digit| value * 10 + u32::from(*digit));
    let (two, three, four, six) = (prefix(2), prefix(3), prefix(4), prefix(6));
    match prefix(1) {
        // Visa.
        4 => matches!(length, 13 | 16 | 19),
        // American Express; Diners Club; JCB.
        3 if matches!(two, 34 | 37) => length == 15,
        3 if matches!(three, 300..=305 | 309) || matches!(two, 36 | 38 | 39) => (14..=19).contains(&length),
        3 => (3528..=3589).contains(&four) && (16..=19).contains(&length),
        // Mastercard; Maestro.
        5 if (51..=55).contains(&two) => length == 16,
        5 => matches!(two, 50 | 56..=58),
        // Mastercard's second range; Mir.
        2 if (222_100..=272_099).contains(&six) => length == 16,
        2 => (2200..=2204).contains(&four) && length >= 16,
        // Discover, UnionPay and RuPay; Maestro.
        6 if matches!(two, 60 | 62 | 64 | 65) => length >= 16,
        6 => two == 67 || matches!(four, 6304 | 6333 | 6334 | 6390),
        // RuPay; Verve is in 50.
        8 => matches!(two, 81 | 82) && length == 16,
        // Troy.
        9 => four == 9792 && length == 16,
        _ => false,
    }
}

/// The check of ISO/IEC 7812-1, annex B: every second digit from the right doubled, cross sums added.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(position, digit)| {
            let doubled = u32::from(*digit) * if position % 2 == 1 { 2 } else { 1 };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != 0)
}
