//! The prefilter: what a text contains that could make a recognizer find something.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// What the single pass over a text saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signals {
    /// How many ASCII digits there are.
    pub(super) digits: usize,
    /// How many `@` there are.
    pub(super) ats: usize,
    /// How many `:` there are.
    pub(super) colons: usize,
    /// How many `.` there are.
    pub(super) dots: usize,
    /// How many `-` there are.
    pub(super) hyphens: usize,
    /// Which groups of telling words occur.
    topics: u8,
}

/// A group of telling words.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Topic {
    /// Words that announce a name.
    Name = 1,
    /// Words and prefixes of keys, tokens and passwords.
    Secret = 2,
    /// Words of identity documents and dates of birth.
    Identity = 4,
    /// Parts of streets, and words for postal codes.
    Address = 8,
    /// `://`.
    Url = 16,
}

/// The words, with their group. Matched without regard to ASCII case, anywhere in the text.
const WORDS: &[(Topic, &[&str])] = &[
    (
        Topic::Name,
        &[
            "name is",
            "name's",
            "name’s",
            "name:",
            "i am ",
            "i'm ",
            "i’m ",
            "this is ",
            "call me ",
            "mr ",
            "mr.",
            "mrs",
            "ms.",
            "ms ",
            "miss ",
            "dr.",
            "dr ",
            "regards",
            "sincerely",
            "speaking",
            "names ",
        ],
    ),
    (
        Topic::Secret,
        &[
            "sk-",
            "sk_",
            "pk_",
            "rk_",
            "akia",
            "asia",
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "xox",
            "eyj",
            "bearer",
            "key",
            "token",
            "secret",
            "passw",
            "pwd",
            "aiza",
            "glpat-",
            "npm_",
            "sg.",
            "ya29.",
            "private key",
            "hf_",
            "passcode",
        ],
    ),
    (Topic::Identity, &["passport", "licen", "dl ", "dl#", "dl:", "born", "dob", "d.o.b", "birth", "ssn", "social"]),
    (
        Topic::Address,
        &[
            " st",
            " ave",
            " road",
            " rd",
            " boulevard",
            " blvd",
            " lane",
            " ln",
            " dr",
            " court",
            " ct",
            " place",
            " pl",
            " way",
            " square",
            " sq",
            " terrace",
            " ter",
            " parkway",
            " pkwy",
            " highway",
            " hwy",
            " circle",
            " cir",
            " close",
            " crescent",
            " gardens",
            " grove",
            " row",
            " trail",
            " mews",
            "box",
            "zip",
            "postal",
            "postcode",
            "post code",
            "straße",
            "strasse",
            "str.",
            "weg ",
            "platz",
            "allee",
            "gasse",
            "rue ",
            "avenue",
            "chemin",
            "calle",
            "via ",
        ],
    ),
    (Topic::Url, &["://"]),
];

struct Words {
    automaton: Option<AhoCorasick>,
    topics: Vec<u8>,
}

static AUTOMATON: LazyLock<Words> = LazyLock::new(|| {
    let mut topics = Vec::new();
    let mut patterns = Vec::new();
    for (topic, words) in WORDS {
        for word in *words {
            patterns.push(*word);
            topics.push(*topic as u8);
        }
    }
    // A DFA: these few words make it small, and it reads one table cell per byte.
    let automaton = AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::DFA))
        .match_kind(MatchKind::Standard)
        .ascii_case_insensitive(true)
        .build(patterns)
        .ok();
    Words { automaton, topics }
});

impl Signals {
    /// Reads the text once for its characters and once for its words.
    pub(super) fn of(text: &str) -> Signals {
        let mut signals = Signals::default();
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => signals.digits += 1,
                b'@' => signals.ats += 1,
                b':' => signals.colons += 1,
                b'.' => signals.dots += 1,
                b'-' => signals.hyphens += 1,
                _ => {}
            }
        }
        // Nearly every sentence has one of the words; a text too short for any of them does not ask.
        if text.len() > 3 {
            signals.topics = topics(text);
        }
        signals
    }

    /// Whether a word of this group occurs.
    pub(super) fn mentions(&self, topic: Topic) -> bool {
        self.topics & topic as u8 != 0
    }
}

fn topics(text: &str) -> u8 {
    let words = &*AUTOMATON;
    let Some(automaton) = &words.automaton else { return u8::MAX };
    let mut seen = 0;
    for found in automaton.find_overlapping_iter(text) {
        seen |= words.topics.get(found.pattern().as_usize()).copied().unwrap_or_default();
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_group_are_seen_in_any_case() {
        assert!(AUTOMATON.automaton.is_some(), "the words build an automaton");
        assert!(Signals::of("My NAME Is Ada").mentions(Topic::Name));
        assert!(!Signals::of("where is my parcel").mentions(Topic::Name));
        assert!(Signals::of("see https://x.example").mentions(Topic::Url));
    }

    #[test]
    fn characters_are_counted() {
        let signals = Signals::of("a@b.c 12:34-5");
        assert_eq!((signals.ats, signals.dots, signals.digits, signals.colons, signals.hyphens), (1, 1, 5, 1, 1));
    }
}
