//! Sentences of messages, cut to a bounded length, and the cues that say what they are for.

use std::sync::LazyLock;

use super::phrases::{Phrases, plain};

/// A sentence that may become part of a summary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sentence {
    /// The text, without mentions, URLs and line breaks, ending in `.`, `!`, `?` or `…`.
    pub(super) text: String,
    /// Whether the customer wrote it.
    pub(super) customer: bool,
    /// Position of its message: 0 is the previous summary, 1 the first message given.
    pub(super) message: usize,
    /// Whether it speaks of a problem or asks for something.
    pub(super) problem: bool,
    /// Whether it says that a problem is solved, or gives thanks.
    pub(super) resolution: bool,
    /// Whether it promises something that is still to come.
    pub(super) promise: bool,
    /// Whether it is a question.
    pub(super) question: bool,
}

static PROBLEM: LazyLock<Phrases<()>> = LazyLock::new(|| {
    Phrases::new(
        [
            "can't",
            "cannot",
            "can not",
            "won't",
            "doesn't",
            "didn't",
            "isn't",
            "not working",
            "not able",
            "unable",
            "error*",
            "problem*",
            "issue*",
            "trouble*",
            "help",
            "fail*",
            "crash*",
            "broken",
            "stuck",
            "lost",
            "missing",
            "wrong",
            "haven't",
            "hasn't",
            "never",
            "refund*",
            "charged",
            "cancel*",
            "locked",
            "hacked",
            "bug",
            "bugs",
            "glitch*",
            "disappear*",
            "need",
            "want",
            "how do i",
            "how can i",
            "why",
            "please",
            "stopped",
            "still",
            "not received",
            "complain*",
            "disappointed",
            "frustrat*",
            "unacceptable",
            "late",
            "delay*",
            "banned",
            "terminated",
            "down",
        ]
        .map(|phrase| (phrase, ())),
    )
});

static RESOLUTION: LazyLock<Phrases<()>> = LazyLock::new(|| {
    Phrases::new(
        [
            "resolved",
            "solved",
            "fixed",
            "works now",
            "working now",
            "works again",
            "working again",
            "that worked",
            "it worked",
            "all good",
            "all set",
            "sorted",
            "refunded",
            "has been sent",
            "been processed",
            "been issued",
            "been replaced",
            "thank you so much",
            "thanks so much",
            "problem solved",
            "got it working",
            "no longer an issue",
            "did the trick",
            "it's alright",
            "no worries",
            "perfect, thanks",
            "great, thanks",
            "appreciate it",
            "appreciate your help",
            "thanks for the help",
            "thanks for your help",
            "thank you for your help",
        ]
        .map(|phrase| (phrase, ())),
    )
});

static PROMISE: LazyLock<Phrases<()>> = LazyLock::new(|| {
    Phrases::new(
        [
            "we'll get back",
            "get back to you",
            "we will get back",
            "look into",
            "looking into",
            "will let you know",
            "keep you posted",
            "keep you updated",
            "follow up",
            "we'll check",
            "we will check",
            "working on",
            "investigat*",
            "in the meantime",
            "within 24 hours",
            "business days",
            "will be in touch",
            "dm us",
            "send us a dm",
            "direct message",
            "send us",
            "let us know",
            "keep us posted",
            "escalated",
        ]
        .map(|phrase| (phrase, ())),
    )
});

/// Phrases of courtesy that carry nothing.
static COURTESY: LazyLock<Phrases<()>> = LazyLock::new(|| {
    Phrases::new(
        [
            "hi there",
            "hello",
            "hey there",
            "hi",
            "thanks for reaching out",
            "thank you for reaching out",
            "good morning",
            "good afternoon",
            "good evening",
            "hope this helps",
            "have a great day",
            "have a nice day",
            "you're welcome",
            "thanks for contacting",
            "we're here to help",
            "thank you in advance",
            "thanks in advance",
            "stay safe",
        ]
        .map(|phrase| (phrase, ())),
    )
});

/// Words too common to say what a message is about.
pub(super) fn is_common(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "that", "this", "with", "have", "from", "they", "your", "what", "when", "where", "will", "would", "there",
        "their", "been", "were", "them", "then", "than", "also", "just", "like", "some", "into", "over", "only",
        "very", "much", "about", "could", "should", "because", "please", "thanks", "thank", "hello", "does", "doing",
        "here", "each", "after", "before", "even", "still", "want", "need", "know", "make", "made", "back", "come",
        "more", "most", "other", "such", "these", "those", "which", "while", "being", "can't", "don't", "i've", "i'm",
        "it's", "you're", "we're",
    ];
    word.chars().count() < 4 || WORDS.contains(&word)
}

/// Whether a sentence is nothing but courtesy.
pub(super) fn is_courtesy(text: &str) -> bool {
    text.split_whitespace().take(9).count() < 9 && COURTESY.any(text)
}

/// The sentences of one message, each at most `longest` characters.
pub(super) fn sentences(text: &str, customer: bool, message: usize, longest: usize) -> Vec<Sentence> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words: Vec<&str> = Vec::new();
        for word in line.split_whitespace() {
            if is_noise(word) {
                continue;
            }
            words.push(word);
            if ends_sentence(word) {
                found.extend(sentence(&words, customer, message, longest));
                words.clear();
            }
        }
        found.extend(sentence(&words, customer, message, longest));
    }
    found
}

/// Mentions, URLs and the initials that agents sign with (`^AB`).
fn is_noise(word: &str) -> bool {
    word.starts_with('@') || word.contains("://") || (word.starts_with('^') && word.len() <= 4)
}

fn ends_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', '”', '’']);
    let abbreviation =
        matches!(bare, "e.g." | "i.e." | "Mr." | "Mrs." | "Ms." | "Dr." | "vs." | "etc." | "St." | "No.");
    bare.ends_with(['.', '!', '?', '…']) && !abbreviation
}

fn sentence(words: &[&str], customer: bool, message: usize, longest: usize) -> Option<Sentence> {
    let joined = words.join(" ");
    let joined = joined.trim_matches(|c: char| matches!(c, '-' | '*' | ',' | '(' | ':') || c.is_whitespace());
    if joined.chars().filter(|c| c.is_alphanumeric()).count() < 2 {
        return None;
    }
    let mut text = clip(joined, longest);
    if !text.ends_with(['.', '!', '?', '…']) {
        text.push('.');
    }
    let lower = plain(&text);
    Some(Sentence {
        problem: PROBLEM.any(&lower),
        resolution: RESOLUTION.any(&lower),
        promise: PROMISE.any(&lower),
        question: text.ends_with('?') || text.contains("? "),
        text,
        customer,
        message,
    })
}

/// At most `longest` characters, cut after a word where one ends in time, with `…` for what is left out.
pub(super) fn clip(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    let at_word = kept.rfind(' ').filter(|at| *at > kept.len() / 2);
    let kept = at_word.and_then(|at| kept.get(..at)).unwrap_or(&kept);
    format!("{}…", kept.trim_end_matches([' ', ',', '.', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_compiles() {
        assert!([&PROBLEM, &RESOLUTION, &PROMISE, &COURTESY].iter().all(|table| table.is_complete()));
    }

    #[test]
    fn a_message_falls_into_sentences_without_mentions_and_urls() {
        let found = sentences("@Shop It broke. See https://x.example, why?\nBye ^AB", true, 1, 80);
        let texts: Vec<&str> = found.iter().map(|sentence| sentence.text.as_str()).collect();
        assert_eq!(texts, ["It broke.", "See why?", "Bye."]);
        assert!(found[1].question && found[1].problem);
    }

    #[test]
    fn a_long_sentence_is_cut_after_a_word() {
        assert_eq!(clip("one two three", 10), "one two…");
        assert_eq!(clip("ééééééééé", 5), "éééé…");
        assert_eq!(clip("short", 5), "short");
    }
}
