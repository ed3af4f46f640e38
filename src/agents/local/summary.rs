//! The agent `summary`: an extractive summary of a conversation that is carried on from message to
//! message, in constant space.

use std::collections::HashMap;
use std::sync::Arc;

use super::sentences::{Sentence, clip, is_common, is_courtesy, sentences};
use super::tokens::{model_tokens, tokens};
use crate::agents::fields::{self, Input, structure};
use crate::agents::{Agent, AgentError};
use crate::record::{Shape, StructShape, Value};

const NAME: &str = "summary";

/// The most messages that are read; of more, the last count.
const MESSAGE_LIMIT: usize = 5;
/// The most characters of a message or of the previous summary that are read.
const READ_LIMIT: usize = 4_000;
/// The most characters of a sentence; three and their spaces stay below [`TLDR_LIMIT`].
const SENTENCE_LIMIT: usize = 190;
/// The most characters of a tl;dr.
const TLDR_LIMIT: usize = 600;
/// The most key points.
const POINT_LIMIT: usize = 5;

/// Summarises a conversation from its previous summary and its latest messages.
///
/// Reads `{previous: string or null, messages: list<{sender: string, text: string}>, covered: int,
/// history_tokens: int}`. `previous` is the tl;dr so far; `messages` are the latest, oldest first, of
/// which the last five are read; a `sender` of `customer` is the customer, any other is not.
/// `covered` is how many messages the previous answers have covered, `history_tokens` the previous
/// answer's (0 at first). Messages not yet covered are the last `messages` beyond `covered`, and at
/// least the last one: an agent is asked because there is a new message.
///
/// Gives `{tldr, customer_issue: string, key_points: list<string>, follow_up_needed: bool, tokens_used: int,
/// tokens_saved: int, history_tokens: int}`. All text is taken from the messages, cut at 190 characters a
/// sentence: nothing is made up. `tldr` has up to three sentences (the issue, what matters most since,
/// where it stands) and at most 600 characters; `key_points` are at most five. A follow-up is needed
/// while the customer's last word is not a solution or thanks, or the other side's last word asks or
/// promises something.
///
/// Tokens are estimated as characters / 4, rounded up. `tokens_used` is what was read and written;
/// `history_tokens` all messages so far; `tokens_saved` what summarising them anew would have cost more.
pub struct SummaryAgent {
    input: Shape,
    output: Shape,
    answer: Arc<StructShape>,
}

/// What the summary is made from.
struct Conversation {
    sentences: Vec<Sentence>,
    /// How often each telling word occurs in what the customer wrote.
    terms: HashMap<String, f64, ahash::RandomState>,
    /// The salience of each sentence.
    scores: Vec<f64>,
    /// The number of the last message.
    last: usize,
}

impl Conversation {
    fn read(previous: &str, messages: &[(bool, &str)]) -> Conversation {
        let mut all = sentences(head(previous), true, 0, SENTENCE_LIMIT);
        for (n, (customer, text)) in messages.iter().enumerate() {
            all.extend(sentences(head(text), *customer, n + 1, SENTENCE_LIMIT));
        }
        let mut terms: HashMap<String, f64, ahash::RandomState> = HashMap::default();
        for sentence in all.iter().filter(|sentence| sentence.customer) {
            for token in tokens(&sentence.text) {
                if !is_common(&token.word) {
                    *terms.entry(token.word).or_insert(0.0) += 1.0;
                }
            }
        }
        let mut conversation = Conversation { sentences: all, terms, scores: Vec::new(), last: messages.len() };
        conversation.scores = conversation.sentences.iter().map(|sentence| conversation.salience(sentence)).collect();
        conversation
    }

    /// How well a sentence stands for the conversation: the weight of its telling words (per root of
    /// its length, so that long sentences do not win by length), its cues, its writer, its place.
    fn salience(&self, sentence: &Sentence) -> f64 {
        let words = tokens(&sentence.text);
        let mut seen: Vec<&str> = Vec::new();
        let mut weight = 0.0;
        for token in &words {
            if let Some(count) = self.terms.get(&token.word)
                && !seen.contains(&token.word.as_str())
            {
                weight += count.ln_1p();
                seen.push(&token.word);
            }
        }
        let mut score = weight / (words.len().max(4) as f64).sqrt();
        score += if sentence.problem { 1.0 } else { 0.0 };
        score += if sentence.resolution { 0.8 } else { 0.0 };
        score += if sentence.customer { 0.5 } else { 0.0 };
        score += if words.len() < 4 { -0.6 } else { 0.0 };
        score - if is_courtesy(&sentence.text) { 1.5 } else { 0.0 }
    }

    fn score(&self, n: usize) -> f64 {
        self.scores.get(n).copied().unwrap_or_default()
    }

    /// The sentence of the greatest score among some, the first on a tie.
    fn best(&self, choose: impl Fn(usize, &Sentence) -> Option<f64>) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (n, sentence) in self.sentences.iter().enumerate() {
            if let Some(score) = choose(n, sentence)
                && best.is_none_or(|(_, most)| score > most)
            {
                best = Some((n, score));
            }
        }
        best.map(|(n, _)| n)
    }

    /// The customer's issue: the previous summary begins with it, and keeps it unless a later sentence
    /// is clearly more telling; at first it is the most telling sentence, early ones preferred.
    fn issue(&self) -> Option<usize> {
        let scored = |only_customer: bool| {
            self.best(|n, sentence| {
                let bonus = if n == 0 && sentence.message == 0 { 2.0 } else { -0.15 * sentence.message as f64 };
                (sentence.customer || !only_customer).then(|| self.score(n) + bonus)
            })
        };
        scored(true).or_else(|| scored(false))
    }

    /// Where things stand: the most telling sentence of the last message.
    fn status(&self) -> Option<usize> {
        self.best(|n, sentence| (sentence.message == self.last && self.last > 0).then(|| self.score(n)))
    }

    /// What matters most besides: the answer of the other side if there is one.
    fn middle(&self, taken: &[usize]) -> Option<usize> {
        self.best(|n, sentence| {
            let other_side = if sentence.customer { 0.0 } else { 0.7 };
            (!self.repeats(n, taken) && !is_courtesy(&sentence.text)).then(|| self.score(n) + other_side)
        })
    }

    /// Whether a sentence is among those taken, or says the same.
    fn repeats(&self, n: usize, taken: &[usize]) -> bool {
        let Some(sentence) = self.sentences.get(n) else { return true };
        taken.iter().any(|t| *t == n || self.sentences.get(*t).is_some_and(|other| other.text == sentence.text))
    }

    fn text(&self, n: usize) -> &str {
        self.sentences.get(n).map_or("", |sentence| &sentence.text)
    }

    fn tldr(&self, issue: Option<usize>) -> String {
        let mut taken: Vec<usize> = issue.into_iter().collect();
        if let Some(status) = self.status().filter(|status| !self.repeats(*status, &taken)) {
            taken.push(status);
        }
        if let Some(middle) = self.middle(&taken) {
            taken.push(middle);
        }
        // The issue stays first, so that the next summary finds it there.
        if let Some(rest) = taken.get_mut(1..) {
            rest.sort_unstable();
        }
        let texts: Vec<&str> = taken.iter().map(|n| self.text(*n)).collect();
        clip(&texts.join(" "), TLDR_LIMIT)
    }

    fn key_points(&self) -> Vec<Value> {
        let mut ranked: Vec<(usize, f64)> = self.scores.iter().copied().enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut taken: Vec<usize> = Vec::new();
        for (n, score) in ranked {
            if taken.len() < POINT_LIMIT && score > 0.5 && !self.repeats(n, &taken) {
                taken.push(n);
            }
        }
        taken.sort_unstable();
        taken.into_iter().map(|n| Value::text(self.text(n))).collect()
    }

    fn follow_up_needed(&self) -> bool {
        let last: Vec<&Sentence> = self.sentences.iter().filter(|sentence| sentence.message == self.last).collect();
        let asks = last.iter().any(|sentence| sentence.question);
        if last.iter().any(|sentence| sentence.customer) {
            return asks || !last.iter().any(|sentence| sentence.resolution);
        }
        asks || last.iter().any(|sentence| sentence.promise && !sentence.resolution)
    }
}

/// What is read of a text.
fn head(text: &str) -> &str {
    text.char_indices().nth(READ_LIMIT).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// How many of the messages given are not yet covered.
fn uncovered(given: usize, covered: i64) -> usize {
    let covered = usize::try_from(covered).unwrap_or(0);
    given.saturating_sub(covered).max(1)
}

impl SummaryAgent {
    /// The agent.
    pub fn new() -> Self {
        let message = Shape::structure("SummaryMessage", [("sender", Shape::String), ("text", Shape::String)]);
        let input = Shape::structure(
            "SummaryQuestion",
            [
                ("previous", Shape::String.optional()),
                ("messages", Shape::list(message)),
                ("covered", Shape::Int),
                ("history_tokens", Shape::Int),
            ],
        );
        let output = Shape::structure(
            "SummaryAnswer",
            [
                ("tldr", Shape::String),
                ("customer_issue", Shape::String),
                ("key_points", Shape::list(Shape::String)),
                ("follow_up_needed", Shape::Bool),
                ("tokens_used", Shape::Int),
                ("tokens_saved", Shape::Int),
                ("history_tokens", Shape::Int),
            ],
        );
        SummaryAgent { input, answer: fields::of(&output), output }
    }
}

impl Default for SummaryAgent {
    fn default() -> Self {
        SummaryAgent::new()
    }
}

impl Agent for SummaryAgent {
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
        let input = Input::new(NAME, input);
        let previous = input.text_or_null("previous")?.unwrap_or_default();
        let given = input.structs("messages")?;
        let given = given.get(given.len().saturating_sub(MESSAGE_LIMIT)..).unwrap_or_default();
        let mut messages = Vec::with_capacity(given.len());
        for message in given {
            messages.push((message.text("sender")? == "customer", message.text("text")?));
        }
        let new = uncovered(messages.len(), input.int("covered")?);
        let before = input.int("history_tokens")?.max(0);

        let conversation = Conversation::read(previous, &messages);
        let issue = conversation.issue();
        let tldr = conversation.tldr(issue);
        let customer_issue = issue.map_or("", |issue| conversation.text(issue)).to_owned();
        let points = conversation.key_points();

        let written = model_tokens(&tldr)
            + model_tokens(&customer_issue)
            + points.iter().filter_map(Value::as_str).map(model_tokens).sum::<i64>();
        let read = model_tokens(previous) + messages.iter().map(|(_, text)| model_tokens(text)).sum::<i64>();
        let added: i64 = messages.iter().rev().take(new).map(|(_, text)| model_tokens(text)).sum();
        let history = before.saturating_add(added);
        let used = read + written;
        let values = vec![
            Value::text(tldr),
            Value::text(customer_issue),
            Value::list(points),
            Value::Bool(conversation.follow_up_needed()),
            Value::Int(used),
            Value::Int(history.saturating_add(written).saturating_sub(used).max(0)),
            Value::Int(history),
        ];
        Ok(structure(&self.answer, values))
    }
}
