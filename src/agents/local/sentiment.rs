//! The agent `sentiment`: how a message feels, from its words.

use std::sync::Arc;

use super::lexicon::{self, Emotion, Entry};
use super::tokens::{Token, tokens};
use crate::agents::fields::{self, Input, structure};
use crate::agents::{Agent, AgentError};
use crate::record::{Shape, StructShape, Value};

const NAME: &str = "sentiment";

/// From this score on, a text is positive; from its negation down, negative. A single mild word ("thanks")
/// stays below it, a single clear one ("annoying") does not.
const THRESHOLD: f64 = 0.32;
/// How strongly a sum of valences approaches 1: sum / sqrt(sum² + DAMPING), after VADER (Hutto and
/// Gilbert, 2014).
const DAMPING: f64 = 15.0;
/// How many words before a word may negate it.
const NEGATION_WINDOW: usize = 3;

/// Judges how a text feels.
///
/// Reads `{text: string}`. Gives `{sentiment, emotion, confidence: double, reasoning: string}`:
/// `sentiment` is `positive`, `neutral` or `negative`; `emotion` is `angry`, `frustrated`, `disappointed`,
/// `worried`, `confused`, `sad`, `happy`, `grateful`, `satisfied` or `neutral`; `confidence` is from 0 to
/// 1; `reasoning` is one sentence that names the words that decided.
pub struct SentimentAgent {
    input: Shape,
    output: Shape,
    answer: Arc<StructShape>,
}

/// What a text feels like.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mood {
    /// From -1 to 1.
    pub(super) score: f64,
    pub(super) emotion: Emotion,
    pub(super) confidence: f64,
    /// The words that decided, with what they contributed, strongest first.
    reasons: Vec<(String, f64)>,
}

impl Mood {
    /// `positive`, `neutral` or `negative`.
    pub(super) fn sentiment(&self) -> &'static str {
        if self.score >= THRESHOLD {
            "positive"
        } else if self.score <= -THRESHOLD {
            "negative"
        } else {
            "neutral"
        }
    }

    /// Whether the text is negative.
    pub(super) fn is_negative(&self) -> bool {
        self.score <= -THRESHOLD
    }

    fn reasoning(&self) -> String {
        let sentiment = self.sentiment();
        let wanted = |weight: f64| match sentiment {
            "positive" => weight > 0.0,
            "negative" => weight < 0.0,
            _ => true,
        };
        let words: Vec<String> = self
            .reasons
            .iter()
            .filter(|(_, weight)| wanted(*weight))
            .take(3)
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        match (sentiment, words.is_empty()) {
            (_, true) => "No word carries a feeling.".to_owned(),
            ("neutral", false) => {
                format!("Nothing outweighs the rest: {} carry little or cancel out.", words.join(", "))
            }
            (_, false) => format!("The text is {sentiment} because of {}.", words.join(", ")),
        }
    }
}

/// A word that carries a feeling, and its weight here.
struct Hit {
    text: String,
    weight: f64,
    emotion: Emotion,
    /// Position among the tokens, for words on either side of a contrast.
    at: usize,
}

/// Judges a text.
pub(super) fn mood(text: &str) -> Mood {
    let tokens = tokens(text);
    let mut hits = word_hits(&tokens);
    discount_courtesy(text, &tokens, &mut hits);
    apply_contrast(&tokens, &mut hits);
    hits.extend(sign_hits(text, tokens.len()));
    let mut sum: f64 = hits.iter().map(|hit| hit.weight).sum();
    sum += emphasis(text, sum);
    let score = sum / (sum * sum + DAMPING).sqrt();
    hits.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then(a.at.cmp(&b.at)));
    let emotion = emotion(&hits, score);
    let confidence = confidence(score, &hits);
    let mut reasons: Vec<(String, f64)> = Vec::with_capacity(6);
    for hit in hits {
        if reasons.len() < 6 && reasons.iter().all(|(text, _)| *text != hit.text) {
            reasons.push((hit.text, hit.weight));
        }
    }
    Mood { score, emotion, confidence, reasons }
}

fn word_hits(tokens: &[Token]) -> Vec<Hit> {
    let everything_shouted = tokens.iter().filter(|token| token.shouted).count() * 2 > tokens.len();
    let mut hits = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some((entry, words)) = lexicon::lookup(tokens, at) else {
            at += 1;
            continue;
        };
        let mut weight = entry.valence * degree(tokens, at);
        if !everything_shouted && tokens.get(at).is_some_and(|token| token.shouted) {
            weight *= 1.25;
        }
        let negated = is_negated(tokens, at);
        if negated {
            // "not good" is bad, "not bad" is hardly good.
            weight *= if weight > 0.0 { -0.7 } else { -0.35 };
        }
        let emotion = if negated { Emotion::Neutral } else { entry.emotion };
        hits.push(Hit { text: shown(tokens, at, words, negated), weight, emotion, at });
        at += words;
    }
    hits
}

/// The words of a hit as the reasoning names them.
fn shown(tokens: &[Token], at: usize, words: usize, negated: bool) -> String {
    let phrase: Vec<&str> = tokens.iter().skip(at).take(words).map(|token| token.word.as_str()).collect();
    let phrase = phrase.join(" ");
    if negated { format!("not {phrase}") } else { phrase }
}

/// The product of the degrees of the two words before, as far as the clause reaches.
fn degree(tokens: &[Token], at: usize) -> f64 {
    let mut factor = 1.0;
    let mut position = at;
    for _ in 0..2 {
        if position == 0 || tokens.get(position).is_none_or(|token| token.after_break) {
            break;
        }
        position -= 1;
        factor *= tokens.get(position).and_then(|token| lexicon::degree(&token.word)).unwrap_or(1.0);
    }
    factor
}

/// Whether one of the words before, in the same clause, negates. Two negations cancel.
fn is_negated(tokens: &[Token], at: usize) -> bool {
    let mut negated = false;
    let mut position = at;
    for _ in 0..NEGATION_WINDOW {
        if position == 0 || tokens.get(position).is_none_or(|token| token.after_break) {
            break;
        }
        position -= 1;
        negated ^= tokens.get(position).is_some_and(|token| lexicon::negates(&token.word));
    }
    negated
}

/// "Thanks" in a request is courtesy and weighs half.
fn discount_courtesy(text: &str, tokens: &[Token], hits: &mut [Hit]) {
    let request = |token: &Token| matches!(token.word.as_str(), "please" | "pls" | "plz" | "help" | "need");
    if text.contains('?') || tokens.iter().any(request) {
        for hit in hits.iter_mut().filter(|hit| hit.emotion == Emotion::Grateful && hit.weight < 2.0) {
            hit.weight *= 0.5;
        }
    }
}

/// After the last contrasting word, feelings weigh half as much again; before it, half.
fn apply_contrast(tokens: &[Token], hits: &mut [Hit]) {
    let Some(contrast) = tokens.iter().rposition(|token| lexicon::contrasts(&token.word)) else { return };
    let both_sides = hits.iter().any(|hit| hit.at < contrast) && hits.iter().any(|hit| hit.at > contrast);
    if both_sides {
        for hit in hits {
            hit.weight *= if hit.at < contrast { 0.5 } else { 1.5 };
        }
    }
}

/// Emoji and emoticons. One that repeats counts once more at half its weight, then no more.
fn sign_hits(text: &str, at: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut add = |sign: &str, entry: Entry| {
        let seen = hits.iter().filter(|hit| hit.text == sign).count();
        let share = [1.0, 0.5].get(seen).copied().unwrap_or_default();
        if share > 0.0 {
            hits.push(Hit { text: sign.to_owned(), weight: entry.valence * share, emotion: entry.emotion, at });
        }
    };
    for piece in text.split_whitespace() {
        if piece.len() <= 5
            && let Some(entry) = lexicon::emoticon(piece)
        {
            add(piece, entry);
        }
        if piece.is_ascii() {
            continue;
        }
        for character in piece.chars() {
            if let Some(entry) = lexicon::emoji(character) {
                add(character.encode_utf8(&mut [0; 4]), entry);
            }
        }
    }
    hits
}

/// What exclamation and question marks add: up to three `!` in the direction of the sum, a run of
/// question marks against the writer's patience.
fn emphasis(text: &str, sum: f64) -> f64 {
    let exclamations = text.bytes().filter(|byte| *byte == b'!').count().min(3) as f64;
    let impatience = if text.contains("??") || text.contains("?!") { -0.4 } else { 0.0 };
    if sum == 0.0 { impatience } else { exclamations * 0.3 * sum.signum() + impatience }
}

/// The emotion that most of the weight speaks of, among those that fit the score's sign. Weak scores
/// are neutral, unless the words are those of worry or confusion.
fn emotion(hits: &[Hit], score: f64) -> Emotion {
    let weight_of = |emotion: Emotion| -> f64 {
        let same_sign = |hit: &&Hit| hit.emotion == emotion && (hit.weight > 0.0) == (score > 0.0);
        hits.iter().filter(same_sign).map(|hit| hit.weight.abs()).sum()
    };
    let mut best = (Emotion::Neutral, 0.0);
    for emotion in Emotion::ALL {
        let weight = weight_of(emotion);
        if weight > best.1 && emotion != Emotion::Neutral {
            best = (emotion, weight);
        }
    }
    if score.abs() < THRESHOLD {
        let mild = matches!(best.0, Emotion::Worried | Emotion::Confused) && best.1 >= 0.5;
        return if mild { best.0 } else { Emotion::Neutral };
    }
    match best.0 {
        Emotion::Neutral if score < 0.0 => Emotion::Disappointed,
        Emotion::Neutral => Emotion::Satisfied,
        found => found,
    }
}

/// Near 1 for a strong score without contradiction, near one half at the threshold.
fn confidence(score: f64, hits: &[Hit]) -> f64 {
    let total: f64 = hits.iter().map(|hit| hit.weight.abs()).sum();
    let agreeing: f64 = hits.iter().filter(|hit| (hit.weight > 0.0) == (score > 0.0)).map(|hit| hit.weight.abs()).sum();
    let agreement = if total > 0.0 { agreeing / total } else { 1.0 };
    let strength = score.abs();
    let raw = if strength >= THRESHOLD {
        0.5 + 0.5 * ((strength - THRESHOLD) / (1.0 - THRESHOLD)).sqrt() * (0.4 + 0.6 * agreement)
    } else {
        0.9 - 0.4 * strength / THRESHOLD
    };
    (raw.clamp(0.0, 0.99) * 100.0).round() / 100.0
}

impl SentimentAgent {
    /// The agent.
    pub fn new() -> Self {
        let output = Shape::structure(
            "SentimentAnswer",
            [
                ("sentiment", Shape::String),
                ("emotion", Shape::String),
                ("confidence", Shape::Double),
                ("reasoning", Shape::String),
            ],
        );
        let input = Shape::structure("SentimentQuestion", [("text", Shape::String)]);
        SentimentAgent { input, answer: fields::of(&output), output }
    }
}

impl Default for SentimentAgent {
    fn default() -> Self {
        SentimentAgent::new()
    }
}

impl Agent for SentimentAgent {
    fn name(&self) -> &str {
        NAME
    }

    fn input(&self) -> &Shape {
        &self.input
    }

    fn output(&self) -> &Shape {
        &self.output
    }

    fn answer(&self, input: &Value) -> Result<Value, AgentError> {
        let mood = mood(Input::new(NAME, input).text("text")?);
        let values = vec![
            Value::from(mood.sentiment()),
            Value::from(mood.emotion.as_str()),
            Value::Double(mood.confidence),
            Value::text(mood.reasoning()),
        ];
        Ok(structure(&self.answer, values))
    }
}
