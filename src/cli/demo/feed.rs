//! The input of a demo on its way into the log.

use std::collections::HashMap;

use anyhow::{Context, anyhow};

use crate::log::Log;
use crate::runtime::Application;
use crate::testing::{InputLine, InputRecord, parse_line};
use crate::time::Clock;
use crate::topology::plan::TopicRole;

use super::super::feeder::Feeder;
use super::super::formats::Formats;
use super::super::lines::Lines;
use super::super::output::progress_bar;
use super::super::records::RecordWriter;
use super::super::signals::StopRequest;

/// Writes lines of records to the topics that a topology reads.
pub(super) struct Feed<'a> {
    writers: HashMap<String, RecordWriter>,
    feeder: Feeder,
    clock: &'a dyn Clock,
}

impl<'a> Feed<'a> {
    /// For the topics that the topology reads; they exist.
    pub(super) fn new(formats: &Formats, log: &dyn Log, clock: &'a dyn Clock) -> anyhow::Result<Feed<'a>> {
        let existing = log.admin().topics()?;
        let mut writers = HashMap::new();
        for topic in &formats.topology().topics {
            if matches!(topic.role, TopicRole::Source | TopicRole::SourceAndSink) {
                let partitions = existing.get(&topic.name).map_or(1, |config| config.partitions);
                let writer = RecordWriter::new(&topic.name, partitions, formats.writer(&topic.name, false)?);
                writers.insert(topic.name.clone(), writer);
            }
        }
        Ok(Feed { writers, feeder: Feeder::new(log, "signalstream-demo")?, clock })
    }

    /// Writes all lines, unless the application or somebody else stops; returns how many records that were.
    pub(super) fn run(
        mut self,
        mut lines: Lines,
        application: &Application,
        stop: &StopRequest,
    ) -> anyhow::Result<u64> {
        let progress = progress_bar(0, "reading");
        loop {
            let Some(line) = lines.next()? else { break };
            let parsed = parse_line(line).with_context(|| lines.place())?;
            let Some(parsed) = parsed else { continue };
            let InputLine::Record(record) = parsed else {
                return Err(anyhow!("{}: a demo runs on the real clock, which cannot be advanced", lines.place()));
            };
            if self.send(&record).with_context(|| lines.place())? {
                progress.set_position(self.feeder.committed());
                if stop.is_set() || application.is_stopping() {
                    break;
                }
            }
        }
        self.feeder.commit()?;
        progress.finish_and_clear();
        Ok(self.feeder.committed())
    }

    fn send(&mut self, record: &InputRecord) -> anyhow::Result<bool> {
        let now = self.clock.now();
        let Some(writer) = self.writers.get_mut(&record.topic) else {
            let mut known: Vec<String> = self.writers.keys().map(|topic| format!("`{topic}`")).collect();
            known.sort();
            return Err(anyhow!("the topology does not read `{}`; it reads {}", record.topic, known.join(", ")));
        };
        Ok(self.feeder.send(writer.record(record, now)?)?)
    }
}
