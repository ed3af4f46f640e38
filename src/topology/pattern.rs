//! Topics by pattern: which of those that there are a source reads, or a sink may write to.
//!
//! A pattern takes what matches it as a whole and is nobody else's: no topic that the topology names anywhere, and none
//! that looks like an internal one of any application.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use regex::Regex;

use super::partitioning::PartitioningError;
use super::plan::{Asks, PatternSource, SinkTopic, Source, Subtopology, Topic, TopicRole, Topology, Verb};
use crate::log::TopicConfig;
use crate::serdes::Format;

/// What the names of internal topics end in.
const INTERNAL: [&str; 3] = ["-changelog", "-repartition", "-tasks"];

/// A regular expression that the whole name of a topic matches.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    text: Arc<str>,
    regex: Regex,
}

impl TopicPattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<TopicPattern, String> {
        // On its own first: within a group, a parenthesis too many would close that.
        Regex::new(text).map_err(|error| reason(&error))?;
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| reason(&error))?;
        Ok(TopicPattern { text: text.into(), regex })
    }

    /// Whether a pattern takes a topic of this name, if it is nobody else's.
    pub fn takes(&self, topic: &str) -> bool {
        let internal = topic.starts_with("__") || INTERNAL.iter().any(|end| topic.ends_with(end));
        !internal && self.regex.is_match(topic)
    }

    /// The regular expression, as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The last line of what the regular expressions' parser says: the lines before show the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// The patterns of a topology's sources and sinks.
pub fn patterns(topology: &Topology) -> impl Iterator<Item = &TopicPattern> {
    topology.subtopologies.iter().flat_map(|part| {
        let of_sinks = part.nodes.iter().filter_map(|node| match &node.verb {
            Verb::Sink(sink) => sink.topic.pattern(),
            _ => None,
        });
        part.patterns.iter().map(|source| &source.pattern).chain(of_sinks)
    })
}

/// Whether the topology reads topics by pattern, or writes to such.
pub fn has_patterns(topology: &Topology) -> bool {
    patterns(topology).next().is_some()
}

/// The topology on the topics that there are: each pattern has become the topics that it takes of them, in the order of
/// their names.
///
/// # Errors
/// [`PartitioningError::Ambiguous`] if two patterns take one topic.
pub fn on_topics<'t, 'e>(
    topology: &'t Topology,
    existing: impl IntoIterator<Item = &'e str>,
) -> Result<Cow<'t, Topology>, PartitioningError> {
    if !has_patterns(topology) {
        return Ok(Cow::Borrowed(topology));
    }
    let named: BTreeSet<&str> = topology.topics.iter().map(|topic| topic.name.as_str()).collect();
    let free: BTreeSet<&str> = existing.into_iter().filter(|topic| !named.contains(topic)).collect();
    let mut found = Found::default();
    let mut parts: Vec<Subtopology> = topology.subtopologies.iter().map(|part| Subtopology::clone(part)).collect();
    for part in &mut parts {
        for pattern in std::mem::take(&mut part.patterns) {
            found.read(&pattern, &free, part)?;
        }
    }
    for node in parts.iter_mut().flat_map(|part| &mut part.nodes) {
        if let Verb::Sink(sink) = &mut node.verb {
            found.write(&mut sink.topic, &free);
        }
    }
    let mut resolved = topology.clone();
    resolved.subtopologies = parts.into_iter().map(Arc::new).collect();
    resolved.topics.extend(found.topics.into_values());
    Ok(Cow::Owned(resolved))
}

/// As [`on_topics`], for a topology that is shared.
///
/// # Errors
/// As [`on_topics`].
pub fn on_named<'e>(
    topology: Arc<Topology>,
    existing: impl IntoIterator<Item = &'e String>,
) -> Result<Arc<Topology>, PartitioningError> {
    Ok(match on_topics(&topology, existing.into_iter().map(String::as_str))? {
        Cow::Owned(resolved) => Arc::new(resolved),
        Cow::Borrowed(_) => topology,
    })
}

/// Checks that every sub-topology reads something.
///
/// # Errors
/// [`PartitioningError::NothingMatches`] of the first one whose patterns have taken nothing.
pub fn check_matched(topology: &Topology, on_topics: &Topology) -> Result<(), PartitioningError> {
    let parts = topology.subtopologies.iter().zip(&on_topics.subtopologies);
    let unmatched =
        parts.filter(|(_, resolved)| resolved.sources.is_empty()).find_map(|(part, _)| part.patterns.first());
    unmatched.map_or(Ok(()), |pattern| {
        Err(PartitioningError::NothingMatches {
            source_name: pattern.source.name.clone(),
            pattern: pattern.pattern.to_string(),
        })
    })
}

/// What patterns have taken so far.
#[derive(Default)]
struct Found {
    topics: BTreeMap<String, Topic>,
    /// Which source reads each topic.
    readers: BTreeMap<String, String>,
}

impl Found {
    fn read(
        &mut self,
        pattern: &PatternSource,
        free: &BTreeSet<&str>,
        part: &mut Subtopology,
    ) -> Result<(), PartitioningError> {
        let PatternSource { pattern, source, key, value } = pattern;
        for topic in free.iter().filter(|topic| pattern.takes(topic)) {
            if let Some(first) = self.readers.insert((*topic).to_owned(), source.name.clone()) {
                let (topic, second) = ((*topic).to_owned(), source.name.clone());
                return Err(PartitioningError::Ambiguous { topic, first, second });
            }
            part.sources.push(Source { topic: Arc::from(*topic), ..source.clone() });
            self.add(topic, TopicRole::Source, key, value);
        }
        Ok(())
    }

    /// A sink never writes to what a pattern reads: its records would come back.
    fn write(&mut self, target: &mut SinkTopic, free: &BTreeSet<&str>) {
        let SinkTopic::Chosen(chosen) = target else { return };
        let Some(pattern) = &chosen.pattern else { return };
        for topic in free.iter().filter(|topic| pattern.takes(topic)) {
            if self.readers.contains_key(*topic) {
                continue;
            }
            chosen.topics.insert(Arc::from(*topic), false);
            self.add(topic, TopicRole::Sink, &chosen.key, &chosen.value);
        }
    }

    fn add(&mut self, name: &str, role: TopicRole, key: &Format, value: &Format) {
        let topic = Topic {
            name: name.to_owned(),
            role,
            config: TopicConfig::new(1),
            asks: Asks::default(),
            key: key.clone(),
            value: Some(value.clone()),
        };
        self.topics.entry(topic.name.clone()).or_insert(topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::Agents;
    use crate::serdes::SchemaRegistry;
    use crate::topology::{PlanOptions, load};

    fn plan(text: &str) -> Topology {
        let registry = SchemaRegistry::new();
        let options = PlanOptions { registry: &registry, agents: &Agents::local(), projection: true };
        load("t.yaml", text, &options).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn read(topology: &Topology) -> Vec<&str> {
        topology.subtopologies.iter().flat_map(|part| &part.sources).map(|source| &*source.topic).collect()
    }

    #[test]
    fn a_pattern_takes_whole_names_that_are_nobody_elses() {
        let topology = plan(
            r"
topology: t
defaults: {key: string, value: json, dlq: shop.dlq}
sources:
  some: {topic: {pattern: 'shop\..*'}}
  one: {topic: shop.one}
streams:
  all: {merge: [some, one]}
sinks:
  - {from: all, topic: shop.out}
",
        );
        let existing = [
            "shop.b",
            "shop.a",
            "shop.one",
            "shop.out",
            "shop.dlq",
            "my-shop.a",
            "shopXa",
            "shop.t-changelog",
            "shop.t-repartition",
            "shop.t-tasks",
        ];
        let resolved = on_topics(&topology, existing).unwrap();
        assert_eq!(read(&resolved), ["shop.one", "shop.a", "shop.b"]);
        assert_eq!(read(&on_topics(&resolved, existing).unwrap()), read(&resolved), "a second time changes nothing");
    }

    #[test]
    fn a_topic_that_two_patterns_take_is_refused() {
        let topology = plan(
            "
topology: t
defaults: {key: string, value: json}
sources:
  some: {topic: {pattern: 'a.*'}}
  more: {topic: {pattern: '.*b'}}
streams:
  all: {merge: [some, more]}
sinks:
  - {from: all, topic: out}
",
        );
        assert!(on_topics(&topology, ["aa", "bb"]).is_ok());
        let error = on_topics(&topology, ["ab"]).unwrap_err().to_string();
        assert!(error.contains("`ab`") && error.contains("`some`") && error.contains("`more`"), "{error}");
    }

    #[test]
    fn a_sink_never_writes_to_what_a_pattern_reads() {
        let topology = plan(
            "
topology: t
defaults: {key: string, value: json}
sources:
  some: {topic: {pattern: 'a.*'}}
sinks:
  - {from: some, topic: {expression: key, pattern: '.*b'}}
",
        );
        let resolved = on_topics(&topology, ["ab", "bb"]).unwrap();
        let targets: Vec<&str> = resolved.subtopologies[0]
            .nodes
            .iter()
            .filter_map(|node| if let Verb::Sink(sink) = &node.verb { Some(&sink.topic) } else { None })
            .flat_map(SinkTopic::names)
            .map(|name| &**name)
            .collect();
        assert_eq!((read(&resolved), targets), (vec!["ab"], vec!["bb"]));
    }
}
