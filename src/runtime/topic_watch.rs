//! Topics that come or go while an application runs: patterns take those in that match.
//!
//! The threads go on with the new ones after their next commit: their tasks are opened anew, on the same partitions of
//! the tasks topic. What would make other tasks than there are waits for a start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::TaskList;
use super::connections::ThreadParts;
use super::schemas::announce_new;
use super::topics::targets;
use crate::error::{Classified, ErrorClass};
use crate::log::{LogError, TopicConfig};
use crate::serdes::remote::RegistryError;
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
    /// The topics of patterns that are used, as of the last change.
    used: BTreeSet<String>,
    /// What matches, as of the last look, if that is different.
    pending: Option<BTreeSet<String>>,
    changes: u64,
    looked_at: Duration,
    /// What was said last of what cannot be taken in, as a whole (under no name) or by topic: it is said once.
    said: BTreeMap<String, String>,
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
            used: matching(topology, topics.keys()),
            pending: None,
            changes: 0,
            looked_at: now,
            said: BTreeMap::new(),
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
            Ok(None) => {}
            Ok(Some(seen)) => parts.shared.show_topics(seen),
            // The threads tell of a log that is away.
            Err(Kept::Away) => self.pending = None,
            Err(Kept::Because(reason)) => {
                self.pending = None;
                self.say(BTreeMap::from([(String::new(), reason)]));
            }
        }
    }

    /// Says what was not said the last time.
    fn say(&mut self, reasons: BTreeMap<String, String>) {
        let application = &self.topology.name;
        for (topic, reason) in &reasons {
            if self.said.get(topic) == Some(reason) {
                continue;
            }
            if topic.is_empty() {
                tracing::warn!(application, "topics that match a pattern are not taken in: {reason}");
            } else {
                tracing::warn!(application, topic, "a topic that matches a pattern is not taken in: {reason}");
            }
        }
        self.said = reasons;
    }

    /// What is different from before, if something is and can be taken in.
    fn change(&mut self, parts: &ThreadParts) -> Result<Option<TopicsSeen>, Kept> {
        let admin = parts.log.admin();
        let matching_now = matching(&self.topology, &admin.topic_names()?);
        if matching_now == self.used {
            self.pending = None;
            self.said.clear();
            return Ok(None);
        }
        if self.pending.replace(matching_now.clone()) != Some(matching_now) {
            return Ok(None);
        }
        let existing = admin.topics()?;
        self.pending = None;
        let (used, topics, tasks) = self.taken(existing, parts)?;
        if used == self.used {
            return Ok(None);
        }
        let come: Vec<&String> = used.difference(&self.used).collect();
        announce_new(&self.topology, &come.iter().map(|topic| (*topic).clone()).collect())?;
        let gone: Vec<&String> = self.used.difference(&used).collect();
        tracing::info!(application = self.topology.name, ?come, ?gone, "the topics of patterns have changed");
        self.used = used;
        self.changes += 1;
        let partitions = targets(&self.topology, admin.as_ref(), &topics);
        Ok(Some(TopicsSeen { number: self.changes, tasks, partitions }))
    }

    /// The topics of patterns that can be used of those that there are, all topics with these, and the tasks on them. What
    /// cannot be taken in is left out, and keeps no other out.
    fn taken(&mut self, existing: BTreeMap<String, TopicConfig>, parts: &ThreadParts) -> Result<Taken, Kept> {
        let all = matching(&self.topology, existing.keys());
        let mut left_out: BTreeSet<String> = all.difference(&self.used).cloned().collect();
        // What was left out before comes last; the others are most often fine together.
        let (before, new): (Vec<String>, Vec<String>) =
            left_out.iter().cloned().partition(|topic| self.said.contains_key(topic));
        let without = |left_out: &BTreeSet<String>| {
            let mut topics = existing.clone();
            topics.retain(|topic, _| !left_out.contains(topic));
            topics
        };
        let mut reasons = BTreeMap::new();
        let together = &left_out - &new.iter().cloned().collect();
        let mut best = self.tasks_on(&without(&together), parts);
        let single = if best.is_ok() {
            left_out = together;
            before
        } else {
            best = self.tasks_on(&without(&left_out), parts);
            new.into_iter().chain(before).collect()
        };
        for topic in single {
            left_out.remove(&topic);
            match self.tasks_on(&without(&left_out), parts) {
                // Where nothing goes without it, that it goes with it is enough.
                Ok(taken) => best = Ok(taken),
                Err(Kept::Away) => return Err(Kept::Away),
                Err(Kept::Because(reason)) => {
                    reasons.insert(topic.clone(), reason);
                    left_out.insert(topic);
                }
            }
        }
        let (topics, tasks) = best?;
        self.say(reasons);
        Ok((&all - &left_out, topics, tasks))
    }

    /// The topics that would be used, and the tasks on them, if these were all that there are.
    fn tasks_on(
        &self,
        existing: &BTreeMap<String, TopicConfig>,
        parts: &ThreadParts,
    ) -> Result<(BTreeMap<String, TopicConfig>, TaskList), Kept> {
        let resolved = pattern::on_topics(&self.topology, existing.keys().map(String::as_str))?;
        let required = requirements(&self.topology, existing)?;
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
        if !tasks.has_tasks_of(&parts.tasks) {
            let (were, are) = (parts.tasks.len(), tasks.len());
            let how = if were == are { ", others than before".to_owned() } else { format!(" instead of {were}") };
            return Err(Kept::Because(format!("there would be {are} tasks{how}; it waits for a start")));
        }
        Ok((topics, tasks))
    }
}

/// The topics of patterns, all topics that are used with these, and the tasks on them.
type Taken = (BTreeSet<String>, BTreeMap<String, TopicConfig>, TaskList);

/// The topics that patterns of a topology take.
fn matching<'a>(topology: &Topology, names: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    let takes = |name: &&String| pattern::patterns(topology).any(|pattern| pattern.takes(name));
    let is_named = |name: &&String| topology.topics.iter().any(|topic| topic.name == **name);
    names.into_iter().filter(takes).filter(|name| !is_named(name)).cloned().collect()
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

impl From<RegistryError> for Kept {
    /// A registry that is away is asked again at the next look.
    fn from(error: RegistryError) -> Self {
        Kept::Because(error.to_string())
    }
}

impl From<PartitioningError> for Kept {
    fn from(error: PartitioningError) -> Self {
        Kept::Because(error.to_string())
    }
}
