//! Weighted phrases: which of many short texts occur in a message, found in one pass.

use aho_corasick::{AhoCorasick, MatchKind};

/// Phrases, each with a value. They match without regard to ASCII case, at word boundaries; a phrase
/// that ends in `*` matches the beginnings of words too.
pub(super) struct Phrases<T> {
    automaton: Option<AhoCorasick>,
    values: Vec<(T, bool)>,
}

impl<T: Copy> Phrases<T> {
    /// Compiles phrases. Should that fail, nothing matches; a test of each table shows that it does not.
    pub(super) fn new(phrases: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        let mut texts = Vec::new();
        let mut values = Vec::new();
        for (phrase, value) in phrases {
            let (text, open) = phrase.strip_suffix('*').map_or((phrase, false), |text| (text, true));
            texts.push(text);
            values.push((value, open));
        }
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::Standard).ascii_case_insensitive(true).build(texts).ok();
        Phrases { automaton, values }
    }

    /// The values of the phrases that occur, each occurrence once, in order of their ends. Typographic
    /// apostrophes match straight ones when `text` went through [`plain`].
    pub(super) fn matches<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (T, usize)> + 'a {
        let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        self.automaton.iter().flat_map(move |automaton| automaton.find_overlapping_iter(text)).filter_map(
            move |found| {
                let (value, open) = self.values.get(found.pattern().as_usize())?;
                let bytes = text.as_bytes();
                let starts = found.start() == 0 || !word(bytes.get(found.start() - 1));
                let ends = *open || !word(bytes.get(found.end()));
                (starts && ends).then_some((*value, found.pattern().as_usize()))
            },
        )
    }

    /// Whether any phrase occurs.
    pub(super) fn any(&self, text: &str) -> bool {
        self.matches(text).next().is_some()
    }

    /// Whether the phrases compiled.
    #[cfg(test)]
    pub(super) fn is_complete(&self) -> bool {
        self.automaton.is_some()
    }
}

/// The text with straight apostrophes, as the phrases are written.
pub(super) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('’') { text.replace('’', "'").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_match_at_word_boundaries() {
        let phrases = Phrases::new([("refund", 1), ("charg*", 2)]);
        let values = |text: &str| phrases.matches(text).map(|(value, _)| value).collect::<Vec<_>>();
        assert_eq!(values("Refund, REFUND refunds"), [1, 1]);
        assert_eq!(values("charged overcharged"), [2]);
        assert_eq!(plain("can’t"), "can't");
    }
}
