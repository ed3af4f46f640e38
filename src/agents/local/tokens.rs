//! Words of a message, with what the analysers need to know about how they are written.

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    /// In lower case, with straight apostrophes.
    pub(super) word: String,
    /// Whether it is written in capitals and has at least three letters.
    pub(super) shouted: bool,
    /// Whether a sentence or clause ends right before it.
    pub(super) after_break: bool,
}

/// The words of a text. Mentions (`@name`) and URLs are not words; of a hashtag the word counts.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 5 + 1);
    let mut after_break = false;
    for piece in text.split_whitespace() {
        if piece.starts_with('@') || piece.contains("://") || piece.starts_with("[REDACTED:") {
            continue;
        }
        for word in piece.split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’'))) {
            let word = word.trim_matches(['\'', '’']);
            if word.is_empty() {
                // Two signs in a row, or a sign at an edge of the piece.
                after_break |= piece.contains(['.', ',', ';', ':', '!', '?']) && !piece.starts_with('#');
                continue;
            }
            tokens.push(token(word, after_break));
            after_break = false;
        }
        after_break |= piece.ends_with(['.', ',', ';', ':', '!', '?', ')']);
    }
    tokens
}

fn token(word: &str, after_break: bool) -> Token {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let shouted = letters >= 3 && !word.chars().any(char::is_lowercase);
    let word = if word.is_ascii() {
        word.to_ascii_lowercase()
    } else {
        word.chars().flat_map(char::to_lowercase).map(|c| if c == '’' { '\'' } else { c }).collect()
    };
    Token { word, shouted, after_break }
}

/// How many tokens a language model would count for a text: one for every four characters, rounded
/// up. That is the usual estimate for English; nothing here depends on its being exact.
pub(super) fn model_tokens(text: &str) -> i64 {
    i64::try_from(text.chars().count().div_ceil(4)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_and_urls_are_not_words() {
        let words: Vec<String> =
            tokens("@Shop I CAN’T log in, see https://x.example #sad!").into_iter().map(|t| t.word).collect();
        assert_eq!(words, ["i", "can't", "log", "in", "see", "sad"]);
    }

    #[test]
    fn breaks_and_capitals_are_noted() {
        let seen: Vec<(bool, bool)> =
            tokens("no. GREAT stuff").into_iter().map(|t| (t.shouted, t.after_break)).collect();
        assert_eq!(seen, [(false, false), (true, true), (false, false)]);
    }

    #[test]
    fn four_characters_are_one_token() {
        assert_eq!((model_tokens(""), model_tokens("abcd"), model_tokens("abcde")), (0, 1, 2));
    }
}
