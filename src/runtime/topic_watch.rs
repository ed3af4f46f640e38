//! Topics that come or go while an application runs: patterns take those in that match.
//!
//! The threads go on with the new ones after their next commit: their tasks are opened anew, on the same partitions of
//! the tasks topic. What would make other tasks than there are waits for a start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::TaskList;
use super::connections::ThreadParts;
use super::topics::targets;
use crate::error::{Classified, ErrorClass};
use crate::log::{LogError, TopicConfig};
use crate::sink::Partitions;
use crate::topology::partitioning::PartitioningError;
use crate::topology::pattern;
use crate::topology::plan::Topology;
use crate::topology::requirements::requirements;

/// What has changed is looked at once more after this time: by then all brokers know of it.
const CONFIRMED_AFTER: Duration = Duration::from_secs(1);

/// The tasks on the topics that there are by now.
pub(super) struct TopicsSeen {
    /// Counts the changes, from 1.
    pub(super) number: u64,
    pub(super) tasks: TaskList,
    pub(super) partitions: Arc<Partitions>,
}

/// Looks for topics from time to time, for a topology with patterns.
pub(super) struct TopicWatch {
    topology: Topology,
    /// The topics that are used, as of the last change.
    used: BTreeSet<String>,
    /// What there would be, as of the last look, if that is different.
    pending: Option<BTreeSet<String>>,
    changes: u64,
    looked_at: Duration,
    /// What was said last of topics that cannot be taken in: it is said once.
    said: Option<String>,
}

impl TopicWatch {
    /// A watch over a topology that has just started on these topics; `None`: there is nothing to look for.
    pub(super) fn new(
        topology: &Topology,
        topics: &BTreeMap<String, TopicConfig>,
        now: Duration,
    ) -> Option<TopicWatch> {
        pattern::has_patterns(topology).then(|| TopicWatch {
            topology: topology.clone(),
            used: topics.keys().cloned().collect(),
            pending: None,
            changes: 0,
            looked_at: now,
            said: None,
        })
    }

    /// How long until it looks again.
    pub(super) fn until_next(&self, now: Duration, interval: Duration) -> Duration {
        let interval = if self.pending.is_some() { interval.min(CONFIRMED_AFTER) } else { interval };
        interval.saturating_sub(now.saturating_sub(self.looked_at))
    }

    /// Looks what there is, and has the threads take it in.
    pub(super) fn look(&mut self, parts: &ThreadParts, now: Duration) {
        self.looked_at = now;
        match self.change(parts) {
            Ok(None) if self.pending.is_none() => self.said = None,
            Ok(None) => {}
            Ok(Some(seen)) => {
                self.said = None;
                parts.shared.show_topics(seen);
            }
            // The threads tell of a log that is away.
            Err(Kept::Away) => self.pending = None,
            Err(Kept::Because(reason)) => {
                self.pending = None;
                self.say(reason);
            }
        }
    }

    fn say(&mut self, reason: String) {
        if self.said.as_ref() != Some(&reason) {
            tracing::warn!(application = self.topology.name, "topics that match a pattern are not taken in: {reason}");
            self.said = Some(reason);
        }
    }

    /// What is different from before, if something is and can be taken in.
    fn change(&mut self, parts: &ThreadParts) -> Result<Option<TopicsSeen>, Kept> {
        let admin = parts.log.admin();
        let names = admin.topic_names()?;
        let resolved = pattern::on_topics(&self.topology, names.iter().map(String::as_str))?;
        let used = self.used_of(&resolved, parts);
        if used == self.used {
            self.pending = None;
            return Ok(None);
        }
        if self.pending.replace(used.clone()) != Some(used) {
            return Ok(None);
        }
        let existing = admin.topics()?;
        let resolved = pattern::on_topics(&self.topology, existing.keys().map(String::as_str))?;
        let required = requirements(&self.topology, &existing)?;
        if let Some((topic, breaks)) =
            required.iter().find_map(|topic| Some((topic, topic.breaking().find_map(|one| one.breaks.clone())?)))
        {
            return Err(Kept::Because(format!("topic `{}` {breaks}", topic.topic)));
        }
        let topics: BTreeMap<String, TopicConfig> = required
            .into_iter()
            .map(|topic| {
                let config = existing.get(&topic.topic).cloned().unwrap_or(topic.wanted);
                (topic.topic, config)
            })
            .collect();
        let tasks = TaskList::new(&resolved, &topics);
        if tasks.len() != parts.tasks.len() {
            return Err(Kept::Because(format!("{} tasks would become {}", parts.tasks.len(), tasks.len())));
        }
        let used = self.used_of(&resolved, parts);
        let come: Vec<&String> = used.difference(&self.used).collect();
        let gone: Vec<&String> = self.used.difference(&used).collect();
        tracing::info!(application = self.topology.name, ?come, ?gone, "the topics of patterns have changed");
        self.used = used;
        self.pending = None;
        self.changes += 1;
        let partitions = targets(&self.topology, admin.as_ref(), &topics);
        Ok(Some(TopicsSeen { number: self.changes, tasks, partitions }))
    }

    /// The topics that a topology uses, with that of its tasks.
    fn used_of(&self, topology: &Topology, parts: &ThreadParts) -> BTreeSet<String> {
        let tasks = parts.tasks.topic().to_string();
        topology.topics.iter().map(|topic| topic.name.clone()).chain([tasks]).collect()
    }
}

/// Why topics are not taken in.
enum Kept {
    /// The log is away.
    Away,
    /// For a reason that a person must know.
    Because(String),
}

impl From<LogError> for Kept {
    fn from(error: LogError) -> Self {
        match error.class() {
            ErrorClass::Retry => Kept::Away,
            _ => Kept::Because(error.to_string()),
        }
    }
}

impl From<PartitioningError> for Kept {
    fn from(error: PartitioningError) -> Self {
        Kept::Because(error.to_string())
    }
}
