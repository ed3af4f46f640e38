//! Topics that are not named one by one: those of a pattern, and those that an expression chooses.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Source;
use crate::expression::Expression;
use crate::record::Text;
use crate::serdes::Format;
use crate::topology::TopicPattern;

/// A source of the topics whose names match, until it is known which these are.
#[derive(Clone, Debug)]
pub struct PatternSource {
    /// What their names match.
    pub pattern: TopicPattern,
    /// What each of them becomes; its topic is the pattern's text.
    pub source: Source,
    /// How keys are written.
    pub key: Format,
    /// How values are written.
    pub value: Format,
}

/// Where a sink writes.
#[derive(Clone, Debug)]
pub enum SinkTopic {
    /// To one topic.
    One {
        /// The topic.
        topic: Arc<str>,
        /// Whether the application reads the topic itself: then what several tasks write to it is put in order of time.
        read_back: bool,
    },
    /// To the topic that an expression names.
    Chosen(ChosenTopic),
}

/// The topic that an expression names, of those that it may name.
#[derive(Clone, Debug)]
pub struct ChosenTopic {
    /// Gives the name.
    pub expression: Expression,
    /// The topics that it may name, and whether the application reads them itself.
    pub topics: BTreeMap<Arc<str>, bool>,
    /// Those that are there and match are added when the application starts.
    pub pattern: Option<TopicPattern>,
    /// How keys are written.
    pub key: Format,
    /// How values are written.
    pub value: Format,
}

impl SinkTopic {
    /// The topics that are known to be written to.
    pub fn names(&self) -> Box<dyn Iterator<Item = &Arc<str>> + '_> {
        match self {
            SinkTopic::One { topic, .. } => Box::new(std::iter::once(topic)),
            SinkTopic::Chosen(chosen) => Box::new(chosen.topics.keys()),
        }
    }

    /// The pattern of those that are not.
    pub fn pattern(&self) -> Option<&TopicPattern> {
        match self {
            SinkTopic::One { .. } => None,
            SinkTopic::Chosen(chosen) => chosen.pattern.as_ref(),
        }
    }

    /// Notes which topics the application reads.
    pub fn note_read(&mut self, is_read: impl Fn(&str) -> bool) {
        match self {
            SinkTopic::One { topic, read_back } => *read_back |= is_read(topic),
            SinkTopic::Chosen(chosen) => {
                chosen.topics.iter_mut().for_each(|(topic, read_back)| *read_back |= is_read(topic));
            }
        }
    }
}

/// What becomes of the headers of a name.
#[derive(Clone, Debug)]
pub struct HeaderChange {
    /// The name.
    pub name: Text,
    /// Gives the new value, which takes the place of all headers of that name; null, or none: they go.
    pub value: Option<Expression>,
}
