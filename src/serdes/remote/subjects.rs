//! Under which name a schema stands in a registry.

use std::fmt;

use crate::config::SubjectStrategy;

/// Keys or values of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Its keys.
    Key,
    /// Its values.
    Value,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Key => "key",
            Side::Value => "value",
        })
    }
}

/// The name under which the versions of a schema stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(String);

impl Subject {
    /// A subject by its name.
    pub fn named(name: impl Into<String>) -> Subject {
        Subject(name.into())
    }

    /// That of a topic's keys or values, whose schema has the full name `record`; the names are those of Confluent's
    /// `TopicNameStrategy`, `RecordNameStrategy` and `TopicRecordNameStrategy`.
    pub fn of(strategy: SubjectStrategy, topic: &str, side: Side, record: &str) -> Subject {
        Subject(match strategy {
            SubjectStrategy::Topic => format!("{topic}-{side}"),
            SubjectStrategy::Record => record.to_owned(),
            SubjectStrategy::TopicRecord => format!("{topic}-{record}"),
        })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_named_as_confluent_names_them() {
        let name = |strategy, side| Subject::of(strategy, "orders", side, "shop.Order").to_string();
        assert_eq!(name(SubjectStrategy::Topic, Side::Key), "orders-key");
        assert_eq!(name(SubjectStrategy::Topic, Side::Value), "orders-value");
        assert_eq!(name(SubjectStrategy::Record, Side::Value), "shop.Order");
        assert_eq!(name(SubjectStrategy::TopicRecord, Side::Value), "orders-shop.Order");
    }
}
