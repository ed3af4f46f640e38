//! Topics: what the file says of them, who uses them, and how they are created.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::Planner;
use crate::log::TopicConfig;
use crate::serdes::{Format, Serde, Serializer};
use crate::topology::error_event_shape;
use crate::topology::plan::{Asks, DeadLetters, Topic, TopicRole};
use crate::topology::spec::scalars::{FormatSpec, Retention};
use crate::topology::spec::{Cleanup, Name, TopicSpec};
use crate::yaml::Span;
use crate::yaml::{Diagnostic, nearest, suggest};

/// The topics of the application, by name.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// How those are created that the file describes.
    declared: IndexMap<String, (Span, TopicConfig, Asks)>,
    /// Those that are used, in order of their first use.
    pub(super) used: IndexMap<String, Topic>,
}

impl Planner<'_> {
    /// Takes in the section `topics`.
    pub(super) fn declare_topics(&mut self) {
        let spec = self.spec;
        for (name, topic) in spec.topics.iter().flat_map(|topics| &topics.0) {
            let config = match topic {
                Some(topic) => self.topic_config(topic),
                None => TopicConfig::new(1),
            };
            let asks = topic.as_ref().map_or(Asks::default(), |topic| Asks {
                partitions: topic.partitions.is_some(),
                cleanup: topic.cleanup.is_some(),
                retention: topic.retention.is_some(),
                delete_retention: topic.delete_retention.is_some(),
            });
            self.topics.declared.insert(name.text.clone(), (name.span.clone(), config, asks));
        }
    }

    fn topic_config(&mut self, topic: &TopicSpec) -> TopicConfig {
        let mut config = TopicConfig::new(self.default_partitions());
        if let Some(partitions) = &topic.partitions {
            config.partitions = partitions.value;
        }
        config.compacted = matches!(topic.cleanup, Some(Cleanup::Compact | Cleanup::CompactDelete));
        match &topic.retention {
            Some(Retention::For(time)) if time.value <= 0 => {
                let problem = Diagnostic::new(time.span.clone(), "a topic's retention must be longer than zero");
                self.problems.report(problem.help("write `forever` to keep records without limit"));
            }
            Some(Retention::For(time)) if topic.cleanup == Some(Cleanup::Compact) => {
                let message = "`retention` has no effect on a topic that is only compacted";
                let help = "write `cleanup: compact,delete` to delete old records too, or leave `retention` out";
                self.problems.report(Diagnostic::new(time.span.clone(), message).help(help));
            }
            Some(Retention::For(time)) => config.retention = Some(time.value),
            Some(Retention::Forever) | None => {}
        }
        if let Some(time) = &topic.delete_retention {
            if !config.compacted {
                let message = "`delete_retention` is for the tombstones of compacted topics";
                let problem = Diagnostic::new(time.span.clone(), message);
                self.problems.report(problem.help("write `cleanup: compact`, or leave it out"));
            } else if time.value < 0 {
                self.problems.report(Diagnostic::new(time.span.clone(), "`delete_retention` cannot be negative"));
            }
            config.delete_retention = time.value;
        }
        config
    }

    /// The partitions of topics that nothing is said of.
    pub(super) fn default_partitions(&self) -> i32 {
        let given = self.spec.defaults.as_ref().and_then(|defaults| defaults.partitions.as_ref());
        given.map_or(1, |count| count.value)
    }

    /// How an external topic is created where it is missing, and what of that the file asks for.
    pub(super) fn config_of(&self, topic: &str) -> (TopicConfig, Asks) {
        match self.topics.declared.get(topic) {
            Some((_, config, asks)) => (config.clone(), *asks),
            None => (TopicConfig::new(self.default_partitions()), Asks::default()),
        }
    }

    /// Reports a name that is an internal topic's.
    fn check_topic_name(&mut self, name: &Name) {
        let own = name.text.strip_prefix(&self.application).and_then(|rest| rest.strip_prefix('-'));
        if own.is_some_and(|own| own == "tasks" || own.ends_with("-repartition") || own.ends_with("-changelog")) {
            let message = format!("`{}` is a name that the engine keeps for its own topics", name.text);
            self.problems.report(Diagnostic::new(name.span.clone(), message).help("choose another name"));
        }
    }

    /// Notes that an external topic is read or written. All its users must agree on its formats.
    pub(super) fn use_topic(&mut self, name: &Name, role: TopicRole, key: &Format, value: &Format) {
        self.check_topic_name(name);
        let (config, asks) = self.config_of(&name.text);
        let Some(topic) = self.topics.used.get_mut(&name.text) else {
            let (key, value) = (key.clone(), Some(value.clone()));
            let name = name.text.clone();
            self.topics.used.insert(name.clone(), Topic { name, role, config, asks, key, value });
            return;
        };
        let problem = if topic.key != *key {
            Some(("keys", topic.key.to_string(), key.to_string()))
        } else if topic.value.as_ref() != Some(value) {
            let known = topic.value.as_ref().map(Format::to_string).unwrap_or_default();
            Some(("values", known, value.to_string()))
        } else {
            None
        };
        if let Some((part, known, given)) = problem {
            let message = format!("the {part} of `{}` are {given} here and {known} elsewhere", name.text);
            let help = "a topic has one format for its keys and one for its values";
            self.problems.report(Diagnostic::new(name.span.clone(), message).help(help));
        }
        if topic.role != role {
            topic.role = TopicRole::SourceAndSink;
        }
    }

    /// A format's serde. A schema that does not exist is reported, with the nearest one.
    pub(super) fn serde(&mut self, spec: &FormatSpec) -> Option<Serde> {
        let registry = self.options.registry;
        if let Format::Avro(name) = &spec.format
            && registry.shape(name).is_none()
        {
            let problem = Diagnostic::new(spec.span.clone(), format!("there is no schema `{name}`"));
            self.problems.report(problem.help_if(suggest(name, registry.names())));
            return None;
        }
        match Serde::new(&spec.format, registry) {
            Ok(serde) => Some(serde),
            Err(error) => {
                self.problems.report(Diagnostic::new(spec.span.clone(), error.to_string()));
                None
            }
        }
    }

    /// Where dead letters go, if a topic is configured.
    pub(super) fn dead_letters(&mut self) -> Option<DeadLetters> {
        let topic = self.spec.defaults.as_ref()?.dlq.as_ref()?;
        let name = "ErrorEvent".to_owned();
        let known = self.options.registry.shape(&name).is_some();
        let format = if known { Format::Avro(name) } else { Format::Json };
        let value = self.dead_letter_serializer(topic, &format)?;
        self.check_topic_name(topic);
        match self.topics.used.get_mut(&topic.text) {
            Some(used) if used.role != TopicRole::Sink => {
                let message = format!("the topology reads its dead letters from `{}`", topic.text);
                let problem = Diagnostic::new(topic.span.clone(), message);
                self.problems.report(problem.help("one that fails would come back for ever; read them in another"));
            }
            Some(used) if used.value.as_ref() != Some(&format) => {
                let known = used.value.as_ref().map(Format::to_string).unwrap_or_default();
                let message = format!("dead letters are {format}, and the values of `{}` {known}", topic.text);
                let problem = Diagnostic::new(topic.span.clone(), message);
                self.problems.report(problem.help("give dead letters a topic of their own"));
            }
            Some(used) => used.role = TopicRole::DeadLetters,
            None => {
                let (name, (config, asks)) = (topic.text.clone(), self.config_of(&topic.text));
                let (role, key) = (TopicRole::DeadLetters, Format::Bytes);
                let used = Topic { name, role, config, asks, key, value: Some(format) };
                self.topics.used.insert(topic.text.clone(), used);
            }
        }
        Some(DeadLetters { topic: topic.text.as_str().into(), value })
    }

    fn dead_letter_serializer(&mut self, topic: &Name, format: &Format) -> Option<Serializer> {
        let serde = self.serde(&FormatSpec { format: format.clone(), span: topic.span.clone() })?;
        match serde.serializer(&error_event_shape()) {
            Ok(serializer) => Some(serializer),
            Err(mismatches) => {
                for mismatch in mismatches {
                    let message = format!(
                        "dead letters do not fit {format}: `{}`: {}",
                        mismatch.path.join("."),
                        mismatch.message
                    );
                    self.problems.report(Diagnostic::new(topic.span.clone(), message));
                }
                None
            }
        }
    }

    /// Reports topics that are described and not used.
    pub(super) fn report_unused_topics(&mut self, mentioned: &BTreeSet<String>) {
        let spec = self.spec;
        let read = spec.sources.iter().flat_map(|sources| sources.iter()).flat_map(|(_, source)| source.topic.names());
        let written = spec.sinks.iter().flatten().flat_map(|sink| sink.topic.names());
        let dead = spec.defaults.iter().filter_map(|defaults| defaults.dlq.as_ref());
        let used: Vec<&str> = read.chain(written).chain(dead).map(|name| name.text.as_str()).collect();
        for (name, (span, _, _)) in &self.topics.declared {
            if used.contains(&name.as_str()) || mentioned.contains(name) {
                continue;
            }
            let undeclared = used.iter().copied().filter(|used| !self.topics.declared.contains_key(*used));
            let hint = nearest(name, undeclared).map(|near| format!("did you mean `{near}`?"));
            let message = format!("no source or sink uses the topic `{name}`");
            self.problems.report(Diagnostic::new(span.clone(), message).help_if(hint));
        }
    }
}
