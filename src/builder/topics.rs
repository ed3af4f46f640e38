//! Which topics: one, several, or those whose names match; and how they are created.

use std::time::Duration;

use super::yaml::Tree;

/// Which topics a stream is read from, or a sink may write to. A name is one, an array of names several.
///
/// ```
/// # use std::sync::Arc;
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, Topics};
/// # use signalstream::testing::TopologyTestDriver;
///
/// let builder = StreamsBuilder::new("all-orders");
/// let texts = || Consumed::with(Serdes::string(), Serdes::string());
/// let own = builder.stream(["shop.orders", "shop.returns"], texts());
/// let partners = builder.stream(Topics::matching(r"partner\..*"), texts().named("partners"));
/// let all = Produced::with(Serdes::string(), Serdes::string());
/// // Each to the topic of its key, of those that are there and start with `per-key.`.
/// own.merge(&partners).to_chosen(Topics::matching(r"per-key\..*"), |key, _, _| format!("per-key.{key}"), all);
/// # let there_are = [("partner.x", 1), ("per-key.a", 1)];
/// # let topology = Arc::new(builder.build()?);
/// # let mut driver = TopologyTestDriver::with_partitions(&topology, builder.schemas(), there_are)?;
/// # driver.pipe("partner.x", "a", "order", 0)?;
/// # assert_eq!(driver.read::<String, String>("per-key.a")?, [("a".to_owned(), "order".to_owned())]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Named(Vec<String>),
    Matching(String),
}

impl Topics {
    /// Those whose whole names match a regular expression of RE2's kind. What the topology names elsewhere and internal
    /// topics are left out, and topics that come later taken in.
    pub fn matching(pattern: &str) -> Self {
        Topics(Kind::Matching(pattern.to_owned()))
    }

    fn of<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Topics(Kind::Named(names.into_iter().map(Into::into).collect()))
    }

    /// What a source of them is called where it has no name of its own: its first topic, or what is plain of the pattern.
    pub(super) fn name(&self) -> String {
        match &self.0 {
            Kind::Named(names) => names.first().cloned().unwrap_or_default(),
            Kind::Matching(pattern) => {
                let plain: String =
                    pattern.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
                if plain.is_empty() { "matching".to_owned() } else { plain }
            }
        }
    }

    /// As the topic of a source.
    pub(super) fn of_a_source(&self) -> Tree {
        match &self.0 {
            Kind::Named(names) => match names.as_slice() {
                [name] => Tree::text(name),
                names => list(names),
            },
            Kind::Matching(pattern) => Tree::map([("pattern", Tree::text(pattern))]),
        }
    }

    /// As what an expression may name.
    pub(super) fn of_a_sink(&self, expression: Tree) -> Tree {
        let (field, topics) = match &self.0 {
            Kind::Named(names) => ("topics", list(names)),
            Kind::Matching(pattern) => ("pattern", Tree::text(pattern)),
        };
        Tree::map([("expression", expression), (field, topics)])
    }
}

fn list(names: &[String]) -> Tree {
    Tree::List(names.iter().map(|name| Tree::text(name)).collect())
}

impl From<&str> for Topics {
    fn from(name: &str) -> Self {
        Topics::of([name])
    }
}

impl From<&String> for Topics {
    fn from(name: &String) -> Self {
        Topics::of([name])
    }
}

impl From<String> for Topics {
    fn from(name: String) -> Self {
        Topics::of([name])
    }
}

impl<const N: usize> From<[&str; N]> for Topics {
    fn from(names: [&str; N]) -> Self {
        Topics::of(names)
    }
}

impl From<Vec<String>> for Topics {
    fn from(names: Vec<String>) -> Self {
        Topics::of(names)
    }
}

/// How a topic is created where it is missing.
///
/// ```
/// use std::time::Duration;
///
/// use signalstream::builder::{Consumed, Produced, Serdes, StreamsBuilder, TopicSettings};
///
/// let day = Duration::from_secs(24 * 3600);
/// let builder = StreamsBuilder::new("app").default_partitions(6);
/// builder.topic("events", TopicSettings::new().partitions(12).retention(7 * day));
/// builder.topic("latest", TopicSettings::new().compacted().delete_retention(2 * day));
/// let texts = Consumed::with(Serdes::string(), Serdes::string());
/// builder.stream("events", texts).to("latest", Produced::with(Serdes::string(), Serdes::string()));
/// let topology = builder.build()?;
/// # let partitions: Vec<i32> = topology.topics.iter().map(|topic| topic.config.partitions).collect();
/// # assert_eq!(partitions, [12, 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TopicSettings {
    fields: Tree,
}

impl Default for TopicSettings {
    fn default() -> Self {
        TopicSettings::new()
    }
}

impl TopicSettings {
    /// Nothing is said yet.
    pub fn new() -> Self {
        TopicSettings { fields: Tree::map([]) }
    }

    /// How many partitions it has; as many as [`default_partitions`](super::StreamsBuilder::default_partitions) says, if nothing is said.
    pub fn partitions(mut self, partitions: u16) -> Self {
        self.fields.set("partitions", Tree::number(partitions));
        self
    }

    /// How long records are kept, by their own timestamps; for ever, if nothing is said.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.fields.set("retention", Tree::duration(retention));
        self
    }

    /// Only the last record of each key is kept.
    pub fn compacted(mut self) -> Self {
        self.fields.set("cleanup", Tree::text("compact"));
        self
    }

    /// Only the last record of each key is kept, and no record for longer than its retention.
    pub fn compacted_and_deleted(mut self) -> Self {
        self.fields.set("cleanup", Tree::text("compact,delete"));
        self
    }

    /// How long a compacted topic keeps tombstones; a day, if nothing is said.
    pub fn delete_retention(mut self, retention: Duration) -> Self {
        self.fields.set("delete_retention", Tree::duration(retention));
        self
    }

    /// The fields of the topic.
    pub(super) fn tree(self) -> Tree {
        self.fields
    }
}
