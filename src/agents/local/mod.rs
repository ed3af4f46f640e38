//! The analysers in the binary: no model, no network, the same answer for the same input.
//!
//! They are built from three things: [`crate::pii`] for personal data, a lexicon of words with a
//! valence for sentiment, and weighted phrases for intents and urgency. A crate that ports VADER exists;
//! its lexicon was made for social media and its answer has no emotion and no reasons, which this
//! product's answers need, so the lexicon here is our own.

mod insights;
mod lexicon;
mod phrases;
mod pii;
mod rules;
mod sentences;
mod sentiment;
mod summary;
#[cfg(test)]
mod tests;
mod tokens;

pub use insights::InsightsAgent;
pub use pii::PiiAgent;
pub use sentiment::SentimentAgent;
pub use summary::SummaryAgent;
