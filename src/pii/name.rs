//! People's names, where the text announces one: "my name is …", "this is … speaking", "I am Ada
//! Lovelace", "Mr. Doe", a signature after a closing formula.

use std::sync::LazyLock;

use regex::Regex;

use super::context::{before, each_match, is_word, pattern};
use super::signals::{Signals, Topic};
use super::{Finding, Kind};

/// A capitalised word of a name.
const PART: &str = r"\p{Lu}[\p{L}\p{M}'’-]*\.?";

/// "my name is": whatever follows is a name, capitalised or not.
static STATED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:(?:my|full|customer|first|last|sur)\s?name(?:['’]?s|\s+is|\s+is\s*:|\s*:)|my\s+names|name\s*:|name\s+is)\s+(\p{L}[\p{L}\p{M}'’-]*\.?(?:[ \x{a0}]\p{L}[\p{L}\p{M}'’-]*\.?){0,3})",
    )
});

/// "this is Ada Lovelace speaking", "Ada Lovelace here", with a word after that makes it a person.
static SPEAKING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i:\bthis\s+is)\s+({PART}(?:\s{PART}){{0,2}})(?:,)?\s+(?i:speaking|here|calling|writing|from|again|with)\b"
    ))
});

/// "I am Ada Lovelace": at least two capitalised words.
static SELF: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(&format!(r"\b(?i:i\s+am|i['’]m|im|call\s+me|this\s+is)\s+({PART}(?:\s{PART}){{1,3}})")));

/// "Mr. Doe".
static TITLED: LazyLock<Option<Regex>> =
    LazyLock::new(|| pattern(&format!(r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof)\.?\s+({PART}(?:\s{PART}){{0,2}})")));

/// "Best regards,\nAda Lovelace".
static SIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(&format!(r"(?i:regards|sincerely|yours truly)\s*[,!.]?\s*\n?\s*({PART}(?:[ ]{PART}){{0,2}})"))
});

/// Words that begin no name and end one: what follows "my name is" or "I am" in other sentences.
const NO_NAME: &[&str] = &[
    "http",
    "https",
    "name",
    "names",
    "www",
    "a",
    "an",
    "the",
    "and",
    "or",
    "but",
    "so",
    "i",
    "im",
    "i'm",
    "we",
    "you",
    "he",
    "she",
    "it",
    "they",
    "my",
    "your",
    "our",
    "is",
    "was",
    "are",
    "am",
    "be",
    "been",
    "not",
    "on",
    "in",
    "at",
    "to",
    "of",
    "for",
    "from",
    "with",
    "by",
    "as",
    "that",
    "this",
    "there",
    "here",
    "what",
    "who",
    "which",
    "how",
    "why",
    "when",
    "where",
    "very",
    "really",
    "so",
    "too",
    "just",
    "still",
    "now",
    "also",
    "wrong",
    "misspelled",
    "spelled",
    "incorrect",
    "different",
    "correct",
    "already",
    "taken",
    "changed",
    "change",
    "changing",
    "showing",
    "missing",
    "back",
    "please",
    "pls",
    "plz",
    "can",
    "could",
    "would",
    "will",
    "have",
    "has",
    "had",
    "do",
    "does",
    "did",
    "because",
    "if",
    "then",
    "than",
    "no",
    "yes",
    "sorry",
    "happy",
    "sad",
    "angry",
    "upset",
    "unable",
    "able",
    "trying",
    "having",
    "getting",
    "using",
    "going",
    "looking",
    "waiting",
    "calling",
    "writing",
    "speaking",
    "contacting",
    "disappointed",
    "frustrated",
    "furious",
    "grateful",
    "thankful",
    "glad",
    "sure",
    "afraid",
    "aware",
    "new",
    "old",
    "premium",
    "customer",
    "member",
    "user",
    "subscriber",
    "unacceptable",
    "ridiculous",
    "terrible",
    "great",
    "good",
    "bad",
    "hello",
    "hi",
    "hey",
    "thanks",
    "thank",
    "help",
    "need",
    "want",
    "love",
    "hate",
    "never",
    "always",
    "all",
    "any",
    "some",
    "only",
    "email",
    "phone",
    "number",
    "account",
    "address",
    "order",
    "card",
    "about",
    "after",
    "before",
    "under",
    "over",
    "out",
    "off",
    "up",
    "down",
    "being",
    "linked",
    "associated",
    "registered",
    "listed",
    "mentioned",
    "below",
    "above",
    "tag",
    "mc",
    "server",
    "team",
    "support",
    "windows",
    "android",
    "mac",
    "ios",
    "xbox",
    "google",
    "apple",
    "amazon",
    "microsoft",
    "playstation",
    "pc",
    "us",
    "usa",
    "uk",
    "level",
    "currently",
    "hereby",
    "locked",
    "stuck",
    "done",
    "born",
    "dob",
    "me",
    "today",
    "yesterday",
    "tomorrow",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "extremely",
    "absolutely",
    "completely",
    "totally",
    "beyond",
    "sick",
    "tired",
    "fed",
];

/// Finds announced names.
pub(super) fn recognize(text: &str, signals: &Signals, found: &mut Vec<Finding>) {
    if !signals.mentions(Topic::Name) {
        return;
    }
    for (pattern, fewest, confidence) in
        [(&STATED, 1, 0.85), (&SPEAKING, 1, 0.8), (&SELF, 2, 0.7), (&TITLED, 1, 0.75), (&SIGNED, 1, 0.7)]
    {
        each_match(pattern, text, |captures| {
            let name = captures.get(1)?;
            let (words, length) = name_words(name.as_str());
            if words >= fewest {
                let end = name.start() + length;
                found.push(Finding { kind: Kind::PersonName, start: name.start(), end, confidence });
                return Some(end);
            }
            None
        });
    }
}

/// How many leading words can be a name's, and how long they are together. After the first word, a
/// lower-case word ends a name that began with a capital.
fn name_words(candidate: &str) -> (usize, usize) {
    let mut words = 0;
    let mut end = 0;
    let mut capitalised = false;
    for (offset, word) in words_of(candidate) {
        let bare = word.trim_end_matches(['.', '\'', '’', '-']);
        let upper = bare.chars().next().is_some_and(char::is_uppercase);
        let common = NO_NAME.iter().any(|known| bare.eq_ignore_ascii_case(known));
        let ends = common || bare.is_empty() || is_word(before(candidate, offset));
        if ends || (words > 0 && capitalised && !upper) || (words >= 2 && !upper) {
            break;
        }
        capitalised |= upper;
        words += 1;
        let initial = bare.chars().count() == 1 && word.ends_with('.');
        end = offset + if initial { word.len() } else { bare.len() };
        // A full stop after more than an initial ends the sentence, and the name with it.
        if word.ends_with('.') && !initial {
            break;
        }
    }
    (words, end)
}

fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split([' ', '\u{a0}', '\n', '\t', '\r'])
        .map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word))
        .filter(|(_, word)| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert!([&STATED, &SPEAKING, &SELF, &TITLED, &SIGNED].iter().all(|pattern| pattern.is_some()));
    }

    #[test]
    fn a_name_ends_where_the_sentence_goes_on() {
        assert_eq!(name_words("john smith and I"), (2, 10));
        assert_eq!(name_words("Ada Lovelace. Please"), (2, 12));
        assert_eq!(name_words("not working"), (0, 0));
    }
}
