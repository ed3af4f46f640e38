//! What stands around a candidate.

use regex::{Captures, Regex};

/// Compiles a pattern of this crate. A pattern that does not compile finds nothing; a test compiles
/// every one of them.
pub(super) fn pattern(source: &str) -> Option<Regex> {
    Regex::new(source).ok()
}

/// The character before a byte position.
pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at).and_then(|text| text.chars().next_back())
}

/// The character at a byte position.
pub(super) fn after(text: &str, at: usize) -> Option<char> {
    text.get(at..).and_then(|text| text.chars().next())
}

/// Whether the character is part of a word, a number or an identifier.
pub(super) fn is_word(character: Option<char>) -> bool {
    character.is_some_and(|character| character.is_alphanumeric() || character == '_')
}

/// Whether a range of the text does not touch word characters on either side.
pub(super) fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    !is_word(before(text, start)) && !is_word(after(text, end))
}

/// Up to `length` bytes before a position, cut at a character boundary.
pub(super) fn preceding(text: &str, at: usize, length: usize) -> &str {
    let mut start = at.saturating_sub(length);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text.get(start..at).unwrap_or_default()
}

/// Whether one of the last words before a position (within `length` bytes) is in the list, which is
/// in lower case. Words are runs of letters.
pub(super) fn announced_by(text: &str, at: usize, length: usize, words: &[&str]) -> bool {
    preceding(text, at, length)
        .split(|character: char| !character.is_alphabetic())
        .any(|word| words.iter().any(|known| word.eq_ignore_ascii_case(known)))
}

/// How many ASCII digits a text has.
pub(super) fn count_digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Calls `visit` with each match of the pattern. `visit` may give the position at which the search
/// goes on; it goes on after the match otherwise, and always moves forward.
pub(super) fn each_match<'t>(
    pattern: &Option<Regex>,
    text: &'t str,
    mut visit: impl FnMut(&Captures<'t>) -> Option<usize>,
) {
    let Some(pattern) = pattern else { return };
    let mut at = 0;
    while at <= text.len() {
        let Some(captures) = pattern.captures_at(text, at) else { return };
        let Some(whole) = captures.get(0) else { return };
        let resume = visit(&captures).unwrap_or_else(|| whole.end());
        at = resume.max(whole.start() + 1);
        while !text.is_char_boundary(at) && at < text.len() {
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_precedes_is_cut_at_a_character() {
        assert_eq!(preceding("aéb", 4, 2), "b");
        assert_eq!(preceding("aéb", 4, 3), "éb");
        assert!(announced_by("My Phone: 12", 10, 16, &["phone"]));
        assert!(!announced_by("headphones 12", 11, 16, &["phone"]));
    }

    #[test]
    fn a_search_can_go_on_inside_a_match() {
        let mut seen = Vec::new();
        each_match(&pattern("a+"), "aaa", |captures| {
            seen.push(captures[0].len());
            captures.get(0).map(|whole| whole.start() + 1)
        });
        assert_eq!(seen, vec![3, 2, 1]);
    }
}
