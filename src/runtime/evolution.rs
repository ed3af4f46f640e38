//! Whether the state of an application fits its topology: a description of what it was written with is kept in the log,
//! and compared at every start, before anything is processed.
//!
//! It stands in the first partition of the tasks topic, which has no other records: it is made with the application and
//! deleted by a reset, every instance may read and write it, and one that starts on an empty disk finds it there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::RuntimeError;
use crate::error::{Classified, ErrorClass};
use crate::log::{Log, LogConsumer, LogError, ProducerRecord, TopicConfig};
use crate::record::TopicPartition;
use crate::time::{Clock, Timestamp};
use crate::topology::evolution::{Description, Finding, Removed, UnreadableDescription, Verdict, compare};
use crate::topology::pattern;
use crate::topology::plan::Topology;
use crate::topology::requirements::tasks_topic;

/// The key of the description's records.
const KEY: &[u8] = b"description";
/// The partition of the tasks topic that they are in.
const PARTITION: i32 = 0;
/// How many records are asked for at a time.
const FETCH_RECORDS: usize = 100;
/// How long it is waited for some, and how often: the log may just have come back.
const PATIENCE: Duration = Duration::from_secs(1);
const ATTEMPTS: usize = 30;

/// Why a topology cannot go on with the state that there is.
#[derive(Debug, thiserror::Error)]
pub enum EvolutionError {
    /// What is stored does not fit.
    #[error("{}", Refusals(application, findings))]
    Refused {
        /// The application.
        application: String,
        /// What does not fit.
        findings: Vec<Finding>,
    },
    /// The tasks are others than before, and somebody still works on those.
    #[error(
        "the tasks of `{application}` are not those that its {members} running members work on: sub-topologies or partitions \
         have changed. Stop all of its processes before this one starts. One that was killed is a member until its session \
         ends (setting `session_timeout`)"
    )]
    OthersRunning {
        /// The application.
        application: String,
        /// How many members its group has.
        members: usize,
    },
    /// What is stored is laid out anew because nothing is, and somebody may still store something.
    #[error(
        "the topology of `{application}` lays out anew what nothing has been stored of so far, or what is all processed, but \
         its {members} running members may write it as it was. Stop all of its processes before this one starts. One that \
         was killed is a member until its session ends (setting `session_timeout`)"
    )]
    OthersWrite {
        /// The application.
        application: String,
        /// How many members its group has.
        members: usize,
    },
    /// Others have started with other tasks since.
    #[error(
        "other processes of `{application}` have started meanwhile with tasks that are not those of this one: run the same \
         topology everywhere, on the same topics, and start this process again"
    )]
    Overtaken {
        /// The application.
        application: String,
    },
    /// The description cannot be read.
    #[error(
        "what the state of `{application}` was written with, at offset {offset} of {partition}, cannot be read: {source}"
    )]
    Unreadable {
        /// The application.
        application: String,
        /// Where it is.
        partition: TopicPartition,
        /// Its offset.
        offset: i64,
        /// What is wrong with it.
        #[source]
        source: UnreadableDescription,
    },
}

impl Classified for EvolutionError {
    fn class(&self) -> ErrorClass {
        match self {
            // They may be about to end.
            EvolutionError::OthersRunning { .. } | EvolutionError::OthersWrite { .. } => ErrorClass::Retry,
            EvolutionError::Refused { .. } | EvolutionError::Overtaken { .. } | EvolutionError::Unreadable { .. } => {
                ErrorClass::Fatal
            }
        }
    }
}

/// All that is refused, then what can be done about it, each once.
struct Refusals<'a>(&'a str, &'a [Finding]);

impl fmt::Display for Refusals<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusals(application, findings) = self;
        write!(f, "`{application}` cannot go on with the state that it has:")?;
        let mut remedies: Vec<&str> = Vec::new();
        for finding in *findings {
            write!(f, "\n  {}", Finding { remedy: String::new(), ..finding.clone() })?;
            if !remedies.contains(&finding.remedy.as_str()) {
                remedies.push(&finding.remedy);
            }
        }
        remedies.iter().filter(|remedy| !remedy.is_empty()).try_for_each(|remedy| write!(f, "\n{remedy}"))
    }
}

/// What has changed since the state was written.
#[derive(Debug)]
pub struct Evolution {
    /// What it was written with; `None`: that is not known, or there is none.
    pub before: Option<Description>,
    /// What it is going to be written with.
    pub now: Description,
    /// What follows from the differences.
    pub findings: Vec<Finding>,
    /// Whether stores are laid out anew that never had a row: local copies of them are of no use.
    pub renews: bool,
    /// Whether something would be refused if anything were stored of it, or left to process: then nobody else may be at
    /// work, who could still write it as it was.
    pub waived: bool,
}

impl Evolution {
    /// What is refused.
    pub fn refused(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.verdict == Verdict::Refused)
    }

    /// The topics of the engine's own that the topology had and has no longer, and those of stores that come back.
    /// `existing` are the topics that there are.
    pub fn left_over(&self, existing: &BTreeMap<String, TopicConfig>) -> Vec<Removed> {
        let comes_back = |one: &&Removed| {
            let is_used = self.now.internal_topics().any(|topic| topic == one.topic) && !self.now.removed.contains(one);
            is_used && existing.contains_key(&one.topic)
        };
        let before = self.before.iter().flat_map(|before| &before.removed);
        before.filter(comes_back).chain(&self.now.removed).cloned().collect()
    }

    /// Fails if something is refused.
    pub(super) fn accept(&self) -> Result<(), EvolutionError> {
        let findings: Vec<Finding> = self.refused().cloned().collect();
        if findings.is_empty() {
            return Ok(());
        }
        Err(EvolutionError::Refused { application: self.now.application.clone(), findings })
    }

    /// Why it cannot begin beside others; `None`: it can.
    pub(super) fn conflict(&self, members: usize) -> Option<EvolutionError> {
        let application = self.now.application.clone();
        if self.before.as_ref().is_some_and(|before| !before.has_tasks_of(&self.now)) {
            Some(EvolutionError::OthersRunning { application, members })
        } else if self.waived {
            Some(EvolutionError::OthersWrite { application, members })
        } else {
            None
        }
    }

    /// The topics of patterns that have more partitions than there are tasks to read them, by the tasks that others work
    /// on. `existing` are the topics that there are.
    pub(super) fn too_wide(
        &self,
        topology: &Topology,
        existing: &BTreeMap<String, TopicConfig>,
    ) -> Result<BTreeSet<String>, RuntimeError> {
        let Some(before) = &self.before else { return Ok(BTreeSet::new()) };
        let resolved = pattern::on_topics(topology, existing.keys().map(String::as_str))?;
        let mut wide = BTreeSet::new();
        for (part, kept) in resolved.subtopologies.iter().zip(&before.parts) {
            let of_patterns = part.sources.iter().map(|source| &*source.topic);
            let of_patterns = of_patterns.filter(|topic| !topology.topics.iter().any(|named| named.name == **topic));
            let has_more = |topic: &&str| existing.get(*topic).is_some_and(|config| config.partitions > kept.tasks);
            wide.extend(of_patterns.filter(has_more).map(str::to_owned));
        }
        Ok(wide)
    }

    /// Tells what is worth a note.
    pub(super) fn tell(&self) {
        for finding in &self.findings {
            tracing::warn!(application = self.now.application, "{finding}");
        }
    }

    /// Puts the description into the log, if it is another one.
    pub(super) fn record(&self, log: &dyn Log, topic: &str, clock: &dyn Clock) -> Result<(), RuntimeError> {
        if self.before.as_ref() == Some(&self.now) {
            return Ok(());
        }
        // Who has begun since it was looked at must not be described as something else.
        if self.conflict(0).is_some() {
            let members = log.admin().group_members(&self.now.application)?;
            if let Some(conflict) = self.conflict(members).filter(|_| members > 0) {
                return Err(conflict.into());
            }
        }
        Ok(write(log, topic, &self.now, clock.now())?)
    }
}

/// Whether an instance may begin to work: it has looked who else does before it joined the group, and others may have
/// done the same at that time.
pub(super) struct Admission {
    topology: Topology,
    topics: BTreeMap<String, TopicConfig>,
    description: Description,
    given: AtomicBool,
}

impl Admission {
    /// For a start that has put its description into the log, on these topics.
    pub(super) fn new(topology: &Topology, topics: &BTreeMap<String, TopicConfig>, description: Description) -> Self {
        Admission { topology: topology.clone(), topics: topics.clone(), description, given: AtomicBool::new(false) }
    }

    /// Fails if the description in the log is by now one that does not go with that of this start. To be asked by a
    /// member of the group before it opens a task: who comes later sees the member, and does not replace it.
    pub(super) fn confirm(&self, log: &dyn Log) -> Result<(), RuntimeError> {
        if self.given.load(Ordering::Acquire) {
            return Ok(());
        }
        let Description { application, .. } = &self.description;
        if let Some(found) = last_description(application, &tasks_topic(&self.topology), log)? {
            let comparison = compare(&found, &self.description, &self.topology, &self.topics);
            let differs = |finding: &Finding| finding.verdict == Verdict::Refused;
            let differs = comparison.findings.iter().any(differs) || !comparison.in_transit.is_empty();
            if differs || !found.has_tasks_of(&self.description) {
                return Err(EvolutionError::Overtaken { application: application.clone() }.into());
            }
        }
        self.given.store(true, Ordering::Release);
        Ok(())
    }
}

/// Compares a topology with the state of its application. `existing` are the topics that there are, `topics` those with
/// which it is going to run.
pub fn evolution(
    topology: &Topology,
    log: &dyn Log,
    existing: &BTreeMap<String, TopicConfig>,
    topics: &BTreeMap<String, TopicConfig>,
) -> Result<Evolution, RuntimeError> {
    let resolved = pattern::on_topics(topology, existing.keys().map(String::as_str))?;
    let mut now = Description::of(topology, &resolved, topics);
    let Some(before) = read_description(&topology.name, &tasks_topic(topology), log, existing)? else {
        return Ok(Evolution { before: None, now, findings: Vec::new(), renews: false, waived: false });
    };
    let comparison = compare(&before, &now, topology, existing);
    now.removed = comparison.removed;
    let (mut findings, mut renews, mut waived) = (Vec::new(), false, false);
    if !comparison.findings.is_empty() || !comparison.in_transit.is_empty() {
        let consumer = log.consumer(Some(&topology.name))?;
        let in_transit = comparison.in_transit.len();
        let waiting = waiting_findings(&*consumer, comparison.in_transit, existing)?;
        waived = waiting.len() < in_transit;
        for finding in comparison.findings.into_iter().chain(waiting) {
            // What was never written cannot be misread.
            match existing.get(&finding.topic) {
                Some(config) if !is_empty(&*consumer, &finding.topic, config)? => findings.push(finding),
                _ => renews |= finding.verdict == Verdict::Refused,
            }
        }
    }
    findings.sort_by(|a, b| (b.verdict, &a.subject).cmp(&(a.verdict, &b.subject)));
    waived |= renews;
    Ok(Evolution { before: Some(before), now, findings, renews, waived })
}

/// The findings about topics that hold records which have not been processed.
fn waiting_findings(
    consumer: &dyn LogConsumer,
    in_transit: Vec<Finding>,
    existing: &BTreeMap<String, TopicConfig>,
) -> Result<Vec<Finding>, LogError> {
    let mut found = Vec::new();
    for finding in in_transit {
        let Some(config) = existing.get(&finding.topic) else { continue };
        let waiting = waiting(consumer, &finding.topic, config)?;
        if waiting > 0 {
            let why = format!("{} ({waiting} offsets are left)", finding.why);
            found.push(Finding { why, ..finding });
        }
    }
    Ok(found)
}

/// How many offsets of a topic the group has not processed.
fn waiting(consumer: &dyn LogConsumer, topic: &str, config: &TopicConfig) -> Result<u64, LogError> {
    let mut waiting = 0;
    for partition in partitions(topic, config) {
        let (first, end) = (consumer.beginning_offset(&partition)?, consumer.end_offset(&partition)?);
        let committed = consumer.committed(&partition)?.map_or(first, |committed| committed.offset.max(first));
        waiting += u64::try_from(end.saturating_sub(committed)).unwrap_or(0);
    }
    Ok(waiting)
}

/// Whether nothing has ever been written to a topic.
fn is_empty(consumer: &dyn LogConsumer, topic: &str, config: &TopicConfig) -> Result<bool, LogError> {
    for partition in partitions(topic, config) {
        if consumer.end_offset(&partition)? > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn partitions<'a>(topic: &'a str, config: &TopicConfig) -> impl Iterator<Item = TopicPartition> + use<'a> {
    (0..config.partitions).map(move |number| TopicPartition::new(topic, number))
}

/// What the state of an application was written with, as the log has it; `None`: the log has nothing.
pub fn read_description(
    application: &str,
    tasks_topic: &str,
    log: &dyn Log,
    existing: &BTreeMap<String, TopicConfig>,
) -> Result<Option<Description>, RuntimeError> {
    if !existing.contains_key(tasks_topic) {
        return Ok(None);
    }
    last_description(application, tasks_topic, log)
}

fn last_description(application: &str, tasks_topic: &str, log: &dyn Log) -> Result<Option<Description>, RuntimeError> {
    let partition = TopicPartition::new(tasks_topic, PARTITION);
    let mut consumer = log.consumer(None)?;
    let (mut position, end) = (consumer.beginning_offset(&partition)?, consumer.end_offset(&partition)?);
    let mut last = None;
    if position < end {
        consumer.assign(&partition, position)?;
    }
    let mut attempts = 0;
    while position < end {
        let batches = consumer.poll(FETCH_RECORDS, PATIENCE)?.batches;
        attempts += usize::from(batches.is_empty());
        if attempts > ATTEMPTS {
            let action = format!("reading what the state of `{application}` was written with, in {partition},");
            let detail = "the log does not answer; see whether it is there".to_owned();
            return Err(LogError::Unreachable { action, detail }.into());
        }
        for batch in batches {
            position = position.max(batch.position);
            last = batch.records.into_iter().rfind(|record| record.key.as_deref() == Some(KEY)).or(last);
        }
    }
    let Some(record) = last else { return Ok(None) };
    let unreadable = |source| EvolutionError::Unreadable {
        application: application.to_owned(),
        partition,
        offset: record.offset,
        source,
    };
    Ok(Some(Description::parse(record.value.as_deref().unwrap_or_default()).map_err(unreadable)?))
}

/// Writes a description, and deletes those before it.
fn write(log: &dyn Log, topic: &str, description: &Description, now: Timestamp) -> Result<(), LogError> {
    let mut producer = log.producer()?;
    producer.begin()?;
    producer.send(ProducerRecord {
        topic: topic.into(),
        partition: PARTITION,
        timestamp: now,
        key: Some(KEY.into()),
        value: Some(description.to_text().into()),
        headers: Default::default(),
    })?;
    let ends = producer.commit()?;
    let partition = TopicPartition::new(topic, PARTITION);
    let Some(end) = ends.get(&partition) else { return Ok(()) };
    // The last one counts; that those before it stay does no harm.
    if let Err(error) = log.admin().delete_records(&partition, end.saturating_sub(1)) {
        tracing::warn!(%partition, %error, "what the state was written with before could not be deleted");
    }
    Ok(())
}
