//! The lexicon: words and phrases with a valence and the emotion they speak of, emoji and emoticons
//! likewise, and the small words that turn, strengthen or weaken what follows.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::tokens::Token;

/// The words and phrases, one a line: text, valence from -4 to 4, emotion, set off by tabs.
const WORDS: &str = include_str!("lexicon.tsv");

/// The most words in a phrase of the lexicon.
const LONGEST_PHRASE: usize = 5;

/// What a text speaks of, most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Emotion {
    Angry,
    Frustrated,
    Disappointed,
    Worried,
    Confused,
    Sad,
    Grateful,
    Satisfied,
    Happy,
    Neutral,
}

impl Emotion {
    /// Every emotion, in the order in which ties are decided.
    pub(super) const ALL: [Emotion; 10] = [
        Emotion::Angry,
        Emotion::Frustrated,
        Emotion::Disappointed,
        Emotion::Worried,
        Emotion::Confused,
        Emotion::Sad,
        Emotion::Grateful,
        Emotion::Satisfied,
        Emotion::Happy,
        Emotion::Neutral,
    ];

    /// The emotion's name in answers.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Emotion::Angry => "angry",
            Emotion::Frustrated => "frustrated",
            Emotion::Disappointed => "disappointed",
            Emotion::Worried => "worried",
            Emotion::Confused => "confused",
            Emotion::Sad => "sad",
            Emotion::Grateful => "grateful",
            Emotion::Satisfied => "satisfied",
            Emotion::Happy => "happy",
            Emotion::Neutral => "neutral",
        }
    }

    fn named(name: &str) -> Option<Emotion> {
        Emotion::ALL.into_iter().find(|emotion| emotion.as_str() == name)
    }
}

/// What the lexicon knows of a word or phrase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    /// From -4 (worst) to 4 (best).
    pub(super) valence: f64,
    /// What it speaks of.
    pub(super) emotion: Emotion,
}

struct Lexicon {
    entries: HashMap<&'static str, Entry, ahash::RandomState>,
    /// First words of phrases, so that only they are tried for longer matches.
    openings: HashMap<&'static str, usize, ahash::RandomState>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut lexicon = Lexicon { entries: HashMap::default(), openings: HashMap::default() };
    for line in WORDS.lines() {
        let mut columns = line.split('\t');
        let (Some(text), Some(valence), Some(emotion)) = (columns.next(), columns.next(), columns.next()) else {
            continue;
        };
        let (Ok(valence), Some(emotion)) = (valence.parse(), Emotion::named(emotion)) else { continue };
        lexicon.entries.insert(text, Entry { valence, emotion });
        if let Some((first, _)) = text.split_once(' ') {
            let words = text.split(' ').count();
            let longest = lexicon.openings.entry(first).or_insert(0);
            *longest = words.max(*longest);
        }
    }
    lexicon
});

/// The longest entry that starts with the token at `at`: what is known of it, and its words.
pub(super) fn lookup(tokens: &[Token], at: usize) -> Option<(Entry, usize)> {
    let lexicon = &*LEXICON;
    let first = tokens.get(at)?;
    let longest = lexicon.openings.get(first.word.as_str()).copied().unwrap_or(1).min(LONGEST_PHRASE);
    for words in (2..=longest).rev() {
        let Some(rest) = tokens.get(at..at + words) else { continue };
        if rest.iter().skip(1).any(|token| token.after_break) {
            continue;
        }
        let mut phrase = String::with_capacity(32);
        for token in rest {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(&token.word);
        }
        if let Some(entry) = lexicon.entries.get(phrase.as_str()) {
            return Some((*entry, words));
        }
    }
    lexicon.entries.get(first.word.as_str()).map(|entry| (*entry, 1))
}

/// Whether a word turns the meaning of what follows.
pub(super) fn negates(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "not", "no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "without", "hardly", "barely",
        "scarcely", "rarely", "cannot", "cant", "dont", "doesnt", "didnt", "wont", "isnt", "wasnt", "arent", "aint",
        "couldnt", "wouldnt", "shouldnt", "hasnt", "havent", "zero", "lacks",
    ];
    word.ends_with("n't") || WORDS.contains(&word)
}

/// By how much a word before strengthens (above 1) or weakens (below 1) what follows.
pub(super) fn degree(word: &str) -> Option<f64> {
    match word {
        "extremely" | "absolutely" | "incredibly" | "insanely" | "utterly" | "fucking" | "completely" | "totally"
        | "beyond" | "ridiculously" | "unbelievably" => Some(1.4),
        "very" | "really" | "so" | "super" | "too" | "truly" | "highly" | "deeply" | "always" | "damn" | "hella"
        | "freaking" | "such" | "most" | "constantly" | "seriously" | "literally" | "especially" | "quite" => {
            Some(1.25)
        }
        "slightly" | "somewhat" | "kinda" | "bit" | "little" | "fairly" | "partly" | "mildly" | "almost" | "sort"
        | "occasionally" | "sometimes" | "maybe" | "rather" | "marginally" => Some(0.6),
        _ => None,
    }
}

/// Whether what follows a word weighs more than what precedes it.
pub(super) fn contrasts(word: &str) -> bool {
    matches!(word, "but" | "however" | "yet" | "nevertheless" | "except" | "unfortunately" | "although")
}

/// What an emoji says.
pub(super) fn emoji(character: char) -> Option<Entry> {
    let entry = |valence, emotion| Some(Entry { valence, emotion });
    match character {
        '😡' | '🤬' | '👿' | '🖕' => entry(-3.5, Emotion::Angry),
        '😠' | '😤' | '💢' => entry(-2.5, Emotion::Angry),
        '🙄' | '😒' | '🤦' | '😑' | '😩' | '😫' | '😖' | '👎' | '💩' => {
            entry(-2.0, Emotion::Frustrated)
        }
        '😞' | '😔' | '😕' | '🙁' | '☹' | '😟' => entry(-1.7, Emotion::Disappointed),
        '😢' | '😭' | '💔' | '😿' | '🥺' => entry(-1.8, Emotion::Sad),
        '😨' | '😰' | '😱' | '😬' | '😧' => entry(-1.7, Emotion::Worried),
        '🤔' | '😵' | '🤷' | '🧐' => entry(-0.6, Emotion::Confused),
        '🙏' | '🤗' => entry(1.2, Emotion::Grateful),
        '👍' | '👌' | '✅' | '💯' | '🙂' | '😌' => entry(1.8, Emotion::Satisfied),
        '😀' | '😃' | '😄' | '😁' | '😊' | '😍' | '🥰' | '😎' | '🎉' | '❤' | '💕' | '💖' | '💙' | '💜' | '😘'
        | '🥳' | '🤩' | '👏' | '🔥' | '☺' | '💚' => entry(2.5, Emotion::Happy),
        _ => None,
    }
}

/// What an emoticon says: a piece of text between spaces.
pub(super) fn emoticon(piece: &str) -> Option<Entry> {
    let entry = |valence, emotion| Some(Entry { valence, emotion });
    match piece {
        ":)" | ":-)" | "(:" | "=)" | ":]" | ";)" | ";-)" => entry(1.5, Emotion::Satisfied),
        ":D" | ":-D" | "=D" | "xD" | "XD" | "<3" | "^_^" => entry(2.2, Emotion::Happy),
        ":(" | ":-(" | "=(" | "):" | ":[" | ":/" | ":-/" | "</3" => entry(-1.7, Emotion::Disappointed),
        ":'(" | ":,(" | "T_T" | "T___T" | ";(" | ";_;" => entry(-2.0, Emotion::Sad),
        ">:(" | ":@" | ">:[" => entry(-2.5, Emotion::Angry),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn every_line_of_the_lexicon_is_an_entry() {
        let lines = WORDS.lines().filter(|line| !line.starts_with('#')).count();
        assert!(lines >= 600, "{lines} entries");
        assert_eq!(LEXICON.entries.len(), lines, "each line parses, and none repeats another");
        assert!(LEXICON.entries.values().all(|entry| (-4.0..=4.0).contains(&entry.valence) && entry.valence != 0.0));
        assert!(LEXICON.entries.keys().all(|text| text.split(' ').count() <= LONGEST_PHRASE));
    }

    #[test]
    fn the_longest_phrase_is_taken_but_not_across_a_break() {
        let phrase = tokens("thank you so much");
        assert_eq!(lookup(&phrase, 0).map(|(_, words)| words), Some(4));
        let broken = tokens("thank you. So much");
        assert_eq!(lookup(&broken, 0).map(|(_, words)| words), Some(2));
    }
}
